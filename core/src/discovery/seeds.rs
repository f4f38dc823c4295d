//! The nodes to begin with after a restart: one row of the store, rewritten when it has changed.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Discovery;
use super::contact::Contact;
use super::lookup::CLOSEST;
use crate::database::Row;
use crate::record::{NodeId, Signed};

/// The key of that row. No node has this id: a hash that is all zeros is not to be found.
pub const SEEDS_KEY: NodeId = NodeId([0; 32]);
/// How many nodes are remembered; those that answered most often go first.
pub const SEEDS_MAX: usize = 256;

impl Discovery {
    /// Whom to ask when hardly anybody is known.
    pub(super) fn seeds(&self) -> impl Iterator<Item = &Signed> {
        self.boot.iter().chain(&self.stored)
    }

    /// Whether somebody is one of them, where that one's record says.
    pub(super) fn is_seed(&self, contact: &Contact) -> bool {
        let mut seeds = self.seeds().filter(|seed| seed.node_id() == contact.id);
        seeds.any(|seed| seed.endpoints().udp_addresses().any(|at| at == contact.at))
    }

    /// The row of the nodes that answered; while they are few, also of those of the row before:
    /// whoever starts twice while the network is away must not have forgotten it.
    #[must_use]
    pub fn seeds_row(&self) -> Row {
        let answered: BTreeMap<NodeId, &Signed> = self
            .table
            .verified()
            .take(SEEDS_MAX)
            .map(|node| (node.record().node_id(), node.record()))
            .collect();
        let few = answered.len() < CLOSEST;
        let before =
            self.stored.iter().filter(|seed| few && !answered.contains_key(&seed.node_id()));
        let all = answered.values().copied().chain(before).take(SEEDS_MAX);
        let mut records: Vec<Bytes> =
            all.map(|record| Bytes::copy_from_slice(record.as_bytes())).collect();
        // By bytes, so that the same nodes make the same row.
        records.sort_unstable();
        Row { key: SEEDS_KEY, value: alloy_rlp::encode(records).into() }
    }

    /// Takes the nodes of a stored row as seeds, those whose records still verify. Answers whether
    /// the row could be read: if not, only time is lost.
    pub fn load_seeds(&mut self, row: &Row) -> bool {
        assert_eq!(row.key, SEEDS_KEY);
        let Ok(records) = <Vec<Bytes> as alloy_rlp::Decodable>::decode(&mut &row.value[..]) else {
            return false;
        };
        let mut good = true;
        for bytes in records.iter().take(SEEDS_MAX) {
            match Signed::from_bytes(bytes) {
                Ok(record) if record.node_id() == self.id => {}
                Ok(record) => self.stored.push(record),
                Err(_) => good = false,
            }
        }
        good
    }
}
