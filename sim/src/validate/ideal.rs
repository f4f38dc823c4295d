//! Networks of nodes with records and tables of the core's own, in which everybody has heard of
//! everybody: the state that a network without loss or churn comes to.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::discovery::lookup::CLOSEST;
use stayfound_core::discovery::table::{BUCKET_NODES, DISTANCE_MAX, Origin, Table, WAITING_MAX};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_core::time::Mono;

use super::{Figure, Scale, per_cent};

pub(super) const PART: &str = "core's table";
const SOURCE: &str = "Kademlia (2002), 2.4";

/// Of how many nodes the table is looked at.
const TABLES: usize = 20;

/// How many nodes of one distance a table is offered: more would be turned away.
const OFFERED_MAX: usize = BUCKET_NODES + WAITING_MAX;

/// A node as it is known to others.
pub(super) type Told = (Signed, SocketAddr);

/// Everybody, by id, and the tables of those that were asked for.
pub(super) struct Network {
    nodes: BTreeMap<NodeId, Told>,
    tables: BTreeMap<NodeId, OnceCell<Table>>,
    chance: Chance,
}

impl Network {
    pub(super) fn of(size: u32, chance: &Chance) -> Self {
        let mut keys = chance.stream("validate: keys");
        let nodes = (0..size).map(|n| node(n, &mut keys));
        let nodes: BTreeMap<NodeId, Told> = nodes.map(|told| (told.0.node_id(), told)).collect();
        let tables = nodes.keys().map(|id| (*id, OnceCell::new())).collect();
        Self { nodes, tables, chance: chance.clone() }
    }

    pub(super) fn random(&self, stream: &mut Stream) -> NodeId {
        let place = stream.below(self.nodes.len() as u64) as usize;
        *self.nodes.keys().nth(place).expect("there are so many")
    }

    pub(super) fn node(&self, id: &NodeId) -> &Told {
        &self.nodes[id]
    }

    /// The table of a node that has heard of everybody, in an order of its own.
    pub(super) fn table(&self, own: &NodeId) -> &Table {
        self.tables[own].get_or_init(|| {
            let mut stream = self.chance.stream(&format!("validate: table of {own}"));
            let mut others: Vec<&Told> =
                self.nodes.iter().filter(|(id, _)| *id != own).map(|(_, told)| told).collect();
            for place in (1..others.len()).rev() {
                others.swap(place, stream.below(place as u64 + 1) as usize);
            }
            let mut table = Table::new(*own);
            let mut offered = [0; DISTANCE_MAX as usize + 1];
            for (record, at) in others {
                let bucket = &mut offered[usize::from(own.log_distance(&record.node_id()))];
                if *bucket == OFFERED_MAX {
                    continue;
                }
                *bucket += 1;
                table.insert(Mono::default(), record.clone(), *at, Origin::Found);
                table.answered(Mono::default(), &record.node_id(), *at, &mut stream);
            }
            table.check();
            table
        })
    }

    /// The true closest to `target` but for `own`.
    pub(super) fn closest(&self, own: &NodeId, target: &NodeId) -> Vec<NodeId> {
        let mut all: Vec<&NodeId> = self.nodes.keys().filter(|id| *id != own).collect();
        all.sort_by_cached_key(|id| id.xor(target));
        all.into_iter().take(CLOSEST).copied().collect()
    }
}

/// Each in a /24 of its own: how many of one prefix a table takes is not what is measured.
fn node(n: u32, keys: &mut Stream) -> Told {
    let [_, a, b, c] = n.to_be_bytes();
    let at = SocketAddr::from(([20 + a, b, c, 1], 9_000));
    loop {
        let mut key = [0; 32];
        key.chunks_mut(8).for_each(|bytes| bytes.copy_from_slice(&keys.draw().to_be_bytes()));
        if let Ok(key) = SecretKey::from_bytes(&key) {
            return (Signed::sign(&key, 1, &Endpoints::at([at])), at);
        }
    }
}

pub(super) fn figures(scale: &Scale, chance: &Chance) -> Vec<Figure> {
    let network = Network::of(scale.recorded, chance);
    let mut stream = chance.stream("validate: tables");
    let (mut places, mut filled) = (0, 0);
    for _ in 0..TABLES {
        let own = network.random(&mut stream);
        let table = network.table(&own);
        let mut candidates = [0; DISTANCE_MAX as usize + 1];
        let others = network.nodes.keys().filter(|id| **id != own);
        others.for_each(|id| candidates[usize::from(own.log_distance(id))] += 1);
        places += candidates.iter().map(|nodes| BUCKET_NODES.min(*nodes)).sum::<usize>();
        filled += table.len();
    }
    vec![Figure {
        part: PART,
        name: "places filled where there are nodes for them".into(),
        unit: "%",
        published: 100.0,
        tolerance: 0.0,
        measured: per_cent(filled, places),
        source: SOURCE,
    }]
}
