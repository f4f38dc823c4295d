//! The permanent node database: no node that was ever accepted is evicted; of each, the newest
//! record is kept.
//!
//! It is a join: merging is commutative, associative and idempotent. Of one node's records the
//! higher seq wins; same seq and different content is equivocation: both are kept, flagged, and
//! the greater content hash wins, so that every honest node ends with the same record.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::cluster::OperatorIndex;
use crate::mesh::Reachable;
use crate::planted::{Bug, planted};
use crate::record::{Claimed, NodeId, Signed};
use crate::time::Wall;

mod row;
mod versions;

pub use row::{Damage, Row};
pub use versions::Versions;

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// We signed it.
    Own,
    /// The manifest carries it.
    Manifest,
    /// An operator sent it: its own, or relayed. By the index that it had then.
    Peer(OperatorIndex),
    /// discv5 found it.
    Discovery,
}

/// What the database holds of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The newest record, and its rival if the node equivocated.
    pub versions: Versions,
    /// Where the newest record came from.
    pub provenance: Provenance,
    /// When a record of this node was first accepted.
    pub first: Wall,
    /// When the newest record was accepted.
    pub updated: Wall,
    /// Where the node was last reached on an authenticated link.
    pub reached: Option<SocketAddr>,
}

/// What merging a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// State: unchanged. What is held is as new or newer. Normal under replay and reordering.
    Stale,
    /// State: the record is now the node's newest.
    Newest,
    /// State: two records of one seq with different content are held; the greater content hash is
    /// the node's newest.
    Equivocation,
}

/// Every node ever heard of, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    entries: BTreeMap<NodeId, Entry>,
}

impl Database {
    /// Rebuilds a database from stored rows, each signature verified anew. Rows that are damaged
    /// are reported and left out: nothing else is lost with them.
    #[must_use]
    pub fn load<'a>(rows: impl IntoIterator<Item = &'a Row>) -> (Self, Vec<Damage>) {
        let mut entries = BTreeMap::new();
        let mut damages = Vec::new();
        for row in rows {
            match row.decode() {
                Ok(entry) => {
                    entries.insert(row.key, entry);
                }
                Err(damage) => damages.push(damage),
            }
        }
        (Self { entries }, damages)
    }

    /// What is held of a node.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<&Entry> {
        self.entries.get(node)
    }

    /// The newest record of a node.
    #[must_use]
    pub fn newest(&self, node: &NodeId) -> Option<&Signed> {
        self.get(node).map(|entry| entry.versions.newest())
    }

    /// Every node, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Entry)> {
        self.entries.iter()
    }

    /// Whether merging this record of `node` would change anything, if its signature is good:
    /// what is worth asking before a signature is verified.
    #[must_use]
    pub fn wants(&self, node: &NodeId, claimed: &Claimed<'_>) -> bool {
        self.get(node).is_none_or(|entry| entry.versions.wants(claimed))
    }

    /// Merges a record. After a verdict other than [`Verdict::Stale`] the node's row is to be
    /// persisted.
    #[must_use = "what changed must be persisted"]
    pub fn merge(&mut self, record: Signed, provenance: Provenance, now: Wall) -> Verdict {
        let node = record.node_id();
        let Some(entry) = self.entries.get_mut(&node) else {
            if planted(Bug::EvictsFromDatabase) && self.entries.len() >= 7 {
                self.entries.pop_first();
            }
            let versions = Versions::from(record);
            let entry = Entry { versions, provenance, first: now, updated: now, reached: None };
            self.entries.insert(node, entry);
            return Verdict::Newest;
        };
        let before = entry.versions.clone();
        entry.versions.merge(record);
        assert!(entry.versions.newest().rank() >= before.newest().rank(), "the join went back");
        if entry.versions == before {
            return Verdict::Stale;
        }
        if entry.versions.newest() != before.newest() {
            (entry.provenance, entry.updated) = (provenance, now);
        }
        match entry.versions.rival() {
            Some(_) => Verdict::Equivocation,
            None => Verdict::Newest,
        }
    }

    /// Notes where a node was reached; answers whether that is news, to be persisted.
    #[must_use = "what changed must be persisted"]
    pub fn reached(&mut self, node: &Reachable) -> bool {
        let entry = self.entries.get_mut(&node.node_id());
        let entry = entry.expect("a reachable record was merged before");
        entry.reached.replace(node.at()) != Some(node.at())
    }

    /// The row to persist for a node.
    ///
    /// # Panics
    /// If the node is not held.
    #[must_use]
    pub fn row(&self, node: &NodeId) -> Row {
        Row::encode(*node, &self.entries[node])
    }
}
