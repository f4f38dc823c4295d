//! What a look-up costs: the core's look-up over networks in which every table is perfect, answered
//! from the core's own tables; and the textbook's, which goes on one path, over the same.

use std::collections::{BTreeMap, BTreeSet};

use stayfound_core::chance::Chance;
use stayfound_core::discovery::lookup::{ALPHA, ANSWER_CUT, Aim, CLOSEST, Distances, Lookup};
use stayfound_core::record::{NodeId, Signed};

use super::ideal::Network;
use super::{Figure, Scale, mean, per_cent, percentile};

pub(super) const PART: &str = "look-ups";
const SOURCE: &str = "ideal network, calculated";

/// What an independent calculation says of a network of one size: 300 look-ups of random nodes,
/// perfect tables of 16 random members per bucket, three distances per request, at most 16 records
/// per answer, three requests at once, one path.
struct Expected {
    nodes: u32,
    hops: f64,
    until_found: f64,
    until_end: f64,
    until_end_p95: f64,
    /// Per cent of the true 16 closest.
    recall: f64,
}

const EXPECTED: [Expected; 3] = [
    Expected {
        nodes: 100,
        hops: 0.41,
        until_found: 0.4,
        until_end: 16.1,
        until_end_p95: 16.0,
        recall: 100.0,
    },
    Expected {
        nodes: 1_000,
        hops: 0.94,
        until_found: 1.1,
        until_end: 17.9,
        until_end_p95: 19.0,
        recall: 99.7,
    },
    Expected {
        nodes: 10_000,
        hops: 1.49,
        until_found: 2.6,
        until_end: 19.3,
        until_end_p95: 21.0,
        recall: 99.8,
    },
];

/// What many look-ups came to.
#[derive(Default)]
struct Tally {
    hops: Vec<usize>,
    until_found: Vec<usize>,
    until_end: Vec<usize>,
    recalled: usize,
    runs: usize,
}

/// Which look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// The core's.
    Core,
    /// As the calculation has it.
    OnePath,
}

/// What came of one look-up.
struct Outcome {
    /// How many answers, one through the other, led to the target.
    hops: Option<usize>,
    /// After how many answers the target was known.
    until_found: Option<usize>,
    queries: usize,
    closest: BTreeSet<NodeId>,
}

pub(super) fn figures(scale: &Scale, chance: &Chance) -> Vec<Figure> {
    let expected = EXPECTED.iter().filter(|expected| expected.nodes <= scale.network_max);
    let of_size = |expected: &Expected| {
        let network = Network::of(expected.nodes, chance);
        let tally = |manner| Tally::of(&network, manner, scale.lookups, chance);
        [Manner::OnePath, Manner::Core].map(|manner| tally(manner).figures(expected, manner))
    };
    expected.flat_map(of_size).flatten().collect()
}

impl Tally {
    fn of(network: &Network, manner: Manner, lookups: u32, chance: &Chance) -> Self {
        let mut stream = chance.stream("validate: look-ups");
        let mut tally = Self::default();
        while tally.runs < lookups as usize {
            let (own, target) = (network.random(&mut stream), network.random(&mut stream));
            if own == target {
                continue;
            }
            let outcome = match manner {
                Manner::Core => core(network, &own, &target),
                Manner::OnePath => one_path(network, &own, &target),
            };
            tally.count(&outcome, &network.closest(&own, &target));
        }
        tally
    }

    fn count(&mut self, outcome: &Outcome, closest: &[NodeId]) {
        self.runs += 1;
        self.until_end.push(outcome.queries);
        self.until_found.extend(outcome.until_found);
        self.hops.extend(outcome.hops);
        self.recalled += closest.iter().filter(|id| outcome.closest.contains(*id)).count();
    }

    fn figures(&self, expected: &Expected, manner: Manner) -> Vec<Figure> {
        let part = match manner {
            Manner::Core => "",
            Manner::OnePath => "one path, ",
        };
        let figure = |name: &str, unit, published, tolerance, measured| Figure {
            part: PART,
            name: format!("{} nodes, {part}{name}", expected.nodes),
            unit,
            published,
            tolerance,
            measured,
            source: SOURCE,
        };
        let Expected { hops, until_found, until_end, until_end_p95, recall, .. } = *expected;
        let p95 = percentile(&self.until_end, 95);
        let recalled = per_cent(self.recalled, self.runs * CLOSEST);
        vec![
            figure("found", "%", 100.0, 0.0, per_cent(self.hops.len(), self.runs)),
            figure("hops, mean", "hops", hops, 0.15, mean(&self.hops)),
            figure("until found, mean", "queries", until_found, 0.6, mean(&self.until_found)),
            figure("until the end, mean", "queries", until_end, 2.0, mean(&self.until_end)),
            figure("until the end, p95", "queries", until_end_p95, 3.0, p95),
            figure("of the true 16 closest", "%", recall, 0.5, recalled),
        ]
    }
}

/// Runs a look-up of the core to its end; answers come in the order of asking.
fn core(network: &Network, own: &NodeId, target: &NodeId) -> Outcome {
    let seeds = network.table(own).closest(target, CLOSEST);
    let mut lookup = Lookup::new(*target, Aim::Closest, *own, seeds);
    let (mut in_flight, mut answers) = (Vec::new(), 0);
    let mut until_found = lookup.newest().map(|_| 0);
    while !lookup.is_done() {
        in_flight.extend(std::iter::from_fn(|| lookup.next()));
        let query = in_flight.remove(0);
        let peer = query.to.0.node_id();
        let records = answer(network, &peer, &query.distances, own);
        let received = records.len();
        let told = records.into_iter().map(|record| network.node(&record.node_id()).clone());
        lookup.answered(&peer, told, received);
        answers += 1;
        until_found = until_found.or(lookup.newest().map(|_| answers));
    }
    Outcome {
        hops: lookup.hops().filter(|_| until_found.is_some()),
        until_found,
        queries: lookup.queries(),
        closest: lookup.closest().iter().map(|(record, _)| record.node_id()).collect(),
    }
}

/// The textbook's (discv5-theory, "Lookup"): at every step the closest few that were not asked, of
/// the 16 closest seen, until all of those have answered. Answers come in the order of asking.
fn one_path(network: &Network, own: &NodeId, target: &NodeId) -> Outcome {
    let seeds = network.table(own).closest(target, CLOSEST);
    // By distance: who, through how many answers, and whether it was asked.
    let mut seen: BTreeMap<[u8; 32], (NodeId, usize, bool)> = BTreeMap::new();
    for (record, _) in seeds {
        seen.insert(record.node_id().xor(target), (record.node_id(), 0, false));
    }
    let (mut in_flight, mut answers, mut queries) = (Vec::new(), 0, 0);
    let mut until_found = seen.contains_key(&[0; 32]).then_some(0);
    loop {
        let unasked = seen.values_mut().take(CLOSEST).filter(|(.., asked)| !asked);
        for (peer, hops, asked) in unasked.take(ALPHA - in_flight.len()) {
            *asked = true;
            queries += 1;
            in_flight.push((*peer, *hops));
        }
        if in_flight.is_empty() {
            break;
        }
        let (peer, hops) = in_flight.remove(0);
        for record in answer(network, &peer, &Distances::towards(target, &peer), own) {
            let id = record.node_id();
            if id != *own {
                seen.entry(id.xor(target)).or_insert((id, hops + 1, false));
            }
        }
        answers += 1;
        until_found = until_found.or(seen.contains_key(&[0; 32]).then_some(answers));
    }
    Outcome {
        hops: seen.get(&[0; 32]).map(|(_, hops, _)| *hops),
        until_found,
        queries,
        closest: seen.values().take(CLOSEST).map(|(id, ..)| *id).collect(),
    }
}

/// What a FINDNODE draws.
fn answer(network: &Network, peer: &NodeId, distances: &[u16], requester: &NodeId) -> Vec<Signed> {
    if distances.contains(&0) {
        return vec![network.node(peer).0.clone()];
    }
    let at = network.node(requester).1.ip();
    network.table(peer).at_distances(distances.iter().copied(), at, ANSWER_CUT)
}
