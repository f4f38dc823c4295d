//! The look-up, in ideal networks and against liars.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::discovery::lookup::*;
use stayfound_core::discovery::table::BUCKET_NODES;
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, NodeId, Signed};

type Told = (Signed, SocketAddr);

fn chance(label: &str) -> Stream {
    Chance::new([5; 32]).stream(label)
}

fn signed(n: u32, seq: u64, at: SocketAddr) -> Told {
    let mut bytes = [9; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    let key = SecretKey::from_bytes(&bytes).unwrap();
    (Signed::sign(&key, seq, &Endpoints::at([at])), at)
}

fn node(n: u32) -> Told {
    let [a, b, c, d] = (0x1400_0000 + n).to_be_bytes();
    signed(n, 1, SocketAddr::from(([a, b, c, d], 9_000)))
}

fn id(told: &Told) -> NodeId {
    told.0.node_id()
}

/// How a node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Each distance exhausted in the order asked.
    Ordered,
    /// Distances sorted, then cut.
    Sorted,
    /// Tells of invented nodes only.
    Liar,
    Silent,
}

/// A network with perfect tables: each node knows 16 random members of each of its buckets.
#[derive(Clone)]
struct Network {
    nodes: BTreeMap<NodeId, Told>,
    tables: BTreeMap<NodeId, BTreeMap<u16, Vec<NodeId>>>,
    manner: BTreeMap<NodeId, Manner>,
    /// Nodes that do not exist; whether they answer nevertheless, like liars.
    invented: BTreeMap<NodeId, Told>,
    inventions_answer: bool,
}

fn table_of(own: &NodeId, all: &[NodeId], chance: &mut Stream) -> BTreeMap<u16, Vec<NodeId>> {
    let mut table = BTreeMap::<u16, Vec<NodeId>>::new();
    for id in all.iter().filter(|id| *id != own) {
        table.entry(own.log_distance(id)).or_default().push(*id);
    }
    for bucket in table.values_mut() {
        for place in 0..bucket.len().min(BUCKET_NODES) {
            let other = place as u64 + chance.below((bucket.len() - place) as u64);
            bucket.swap(place, usize::try_from(other).unwrap());
        }
        bucket.truncate(BUCKET_NODES);
    }
    table
}

impl Network {
    fn of(size: u32) -> Self {
        let nodes: BTreeMap<NodeId, Told> =
            (0..size).map(node).map(|node| (id(&node), node)).collect();
        let all: Vec<NodeId> = nodes.keys().copied().collect();
        let mut chance = chance("tables");
        let tables = all.iter().map(|own| (*own, table_of(own, &all, &mut chance))).collect();
        let (manner, invented) = (BTreeMap::new(), BTreeMap::new());
        Self { nodes, tables, manner, invented, inventions_answer: false }
    }

    fn random(&self, chance: &mut Stream) -> NodeId {
        let place = usize::try_from(chance.below(self.nodes.len() as u64)).unwrap();
        *self.nodes.keys().nth(place).unwrap()
    }

    fn manner(&self, id: &NodeId) -> Manner {
        match self.invented.contains_key(id) {
            true if self.inventions_answer => Manner::Liar,
            true => Manner::Silent,
            false => self.manner.get(id).copied().unwrap_or(Manner::Ordered),
        }
    }

    /// The 16 closest that `own` knows.
    fn seeds(&self, own: &NodeId, target: &NodeId) -> Vec<Told> {
        let mut known: Vec<NodeId> = self.tables[own].values().flatten().copied().collect();
        known.sort_by_cached_key(|id| id.xor(target));
        known.iter().take(CLOSEST).map(|id| self.nodes[id].clone()).collect()
    }

    /// What a FINDNODE draws: at most 16 records; `None` from the silent.
    fn ask(&self, peer: &NodeId, distances: &[u16]) -> Option<Vec<Told>> {
        let at = |distance: &u16| self.tables[peer].get(distance).into_iter().flatten();
        let mut order = distances.to_vec();
        match self.manner(peer) {
            Manner::Silent => return None,
            Manner::Liar => {
                let fits = |told: &&Told| distances.contains(&peer.log_distance(&id(told)));
                return Some(self.invented.values().filter(fits).take(16).cloned().collect());
            }
            Manner::Sorted => order.sort_unstable(),
            Manner::Ordered => {}
        }
        if order.contains(&0) {
            return Some(vec![self.nodes[peer].clone()]);
        }
        Some(order.iter().flat_map(at).take(16).map(|id| self.nodes[id].clone()).collect())
    }

    /// Invents nodes close to `target`: the closest of many that anybody can make up.
    fn invent(&mut self, target: &NodeId, many: u32, kept: usize) {
        static MADE_UP: LazyLock<Vec<Told>> =
            LazyLock::new(|| (1_000_000..1_004_000).map(node).collect());
        let mut invented: Vec<&Told> = MADE_UP[..many as usize].iter().collect();
        invented.sort_by_cached_key(|told| id(told).xor(target));
        invented.truncate(kept);
        self.invented = invented.into_iter().map(|told| (id(told), told.clone())).collect();
    }

    fn look_up(&self, own: &NodeId, target: &NodeId, aim: Aim, chance: &mut Stream) -> Lookup {
        let mut lookup = Lookup::new(*target, aim, *own, self.seeds(own, target));
        self.run(&mut lookup, chance);
        lookup
    }

    /// Runs a look-up to its end; answers come in any order.
    fn run(&self, lookup: &mut Lookup, chance: &mut Stream) {
        let mut in_flight = VecDeque::new();
        let mut asked = BTreeSet::new();
        while !lookup.is_done() {
            while let Some(query) = lookup.next() {
                let fresh = asked.insert((id(&query.to), query.to.1, query.distances.to_vec()));
                assert!(fresh, "asked the same twice: {query:?}");
                in_flight.push_back(query);
            }
            assert!((1..=ALPHA).contains(&in_flight.len()), "{} in flight", in_flight.len());
            let place = chance.below(in_flight.len() as u64);
            let query = in_flight.remove(usize::try_from(place).unwrap()).unwrap();
            let from = id(&query.to);
            let lives_there = self.nodes.get(&from).is_none_or(|node| node.1 == query.to.1);
            match self.ask(&from, &query.distances).filter(|_| lives_there) {
                Some(records) => {
                    let received = records.len();
                    lookup.answered(&from, records, received);
                }
                None => lookup.failed(&from),
            }
        }
        assert!(lookup.queries() <= QUERIES_MAX);
    }

    /// The true closest to `target`, as seen by `own`, of those that answer.
    fn closest(&self, own: &NodeId, target: &NodeId) -> Vec<NodeId> {
        let answers = |id: &&NodeId| !matches!(self.manner(id), Manner::Silent);
        let mut all: Vec<_> = self.nodes.keys().filter(|id| *id != own).filter(answers).collect();
        all.sort_by_cached_key(|id| id.xor(target));
        all.into_iter().take(CLOSEST).copied().collect()
    }
}

static HUNDRED: LazyLock<Network> = LazyLock::new(|| Network::of(100));
static THOUSAND: LazyLock<Network> = LazyLock::new(|| Network::of(1_000));

/// What many look-ups of random nodes came to.
#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    found: usize,
    queries: usize,
    queries_max: usize,
    hits: usize,
    misses: usize,
}

impl Tally {
    fn of(network: &Network, aim: Aim, runs: usize) -> Self {
        let mut chance = chance("look-ups");
        let mut tally = Self { runs, ..Self::default() };
        for _ in 0..runs {
            let (own, target) = (network.random(&mut chance), network.random(&mut chance));
            if own == target || network.manner(&target) != Manner::Ordered {
                tally.runs -= 1;
                continue;
            }
            let lookup = network.look_up(&own, &target, aim, &mut chance);
            tally.count(&lookup, &network.closest(&own, &target));
        }
        tally
    }

    fn count(&mut self, lookup: &Lookup, closest: &[NodeId]) {
        self.found += usize::from(lookup.newest().is_some());
        self.queries += lookup.queries();
        self.queries_max = self.queries_max.max(lookup.queries());
        let result: BTreeSet<NodeId> = lookup.closest().iter().map(id).collect();
        let hits = closest.iter().filter(|id| result.contains(*id)).count();
        self.hits += hits;
        self.misses += closest.len() - hits;
    }

    fn recall(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses) as f64
    }

    fn mean_queries(&self) -> f64 {
        self.queries as f64 / self.runs as f64
    }
}

#[test]
fn r82_an_ideal_network_of_a_hundred() {
    let tally = Tally::of(&HUNDRED, Aim::Closest, 300);
    assert_eq!(tally.found, tally.runs);
    assert!(tally.recall() >= 0.99, "{tally:?}");
    assert!(tally.mean_queries() < 18.0 && tally.queries_max <= 26, "{tally:?}");
}

#[test]
fn r82_an_ideal_network_of_a_thousand() {
    let tally = Tally::of(&THOUSAND, Aim::Closest, 300);
    assert_eq!(tally.found, tally.runs);
    assert!(tally.recall() >= 0.99, "{tally:?}");
    assert!(tally.mean_queries() < 22.0 && tally.queries_max <= 30, "{tally:?}");
}

#[test]
fn who_wants_one_record_stops_early() {
    for (network, most) in [(&*HUNDRED, 6.0), (&*THOUSAND, 7.0)] {
        let tally = Tally::of(network, Aim::Record, 300);
        assert_eq!(tally.found, tally.runs);
        assert!(tally.mean_queries() < most, "{tally:?}");
    }
}

#[test]
fn r82_three_at_once_and_the_closest_first() {
    let (own, target) = (id(&node(1)), id(&node(2)));
    let seeds = HUNDRED.seeds(&own, &target);
    let mut lookup = Lookup::new(target, Aim::Closest, own, seeds.iter().rev().cloned());
    let asked: Vec<_> = std::iter::from_fn(|| lookup.next()).map(|query| query.to).collect();
    assert_eq!(asked, seeds[..ALPHA]);
    assert!(!lookup.is_done());
}

#[test]
fn r83_it_ends_when_the_closest_seen_have_all_been_asked() {
    for (own, target) in [(1, 2), (3, 4), (5, 6)].map(|(a, b)| (id(&node(a)), id(&node(b)))) {
        let lookup = THOUSAND.look_up(&own, &target, Aim::Closest, &mut chance("order"));
        assert_eq!(lookup.closest().len(), CLOSEST);
        let last = id(lookup.closest().last().unwrap()).xor(&target);
        // Whoever is closer than the last of the result answered as well: nothing was skipped.
        let result: BTreeSet<_> = lookup.closest().iter().map(id).collect();
        for told in lookup.closest() {
            let distances = Distances::towards(&target, &id(&told));
            for heard in THOUSAND.ask(&id(&told), &distances).unwrap() {
                let closer = id(&heard).xor(&target) < last && id(&heard) != own;
                assert!(!closer || result.contains(&id(&heard)));
            }
        }
    }
}

#[test]
fn r84_the_distances_asked() {
    let parse = |text: &str| {
        let byte = |place: usize| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).unwrap();
        NodeId(std::array::from_fn(byte))
    };
    let target = parse("aaaa8419e9f49d0083561b48287df592939a8d19947d8c0ef88f2a4856a69fbb");
    let peer = parse("bbbb9d047f0488c0b5a93c1c3f2d8bafc7c8ff337024a55434a0d0555de64db9");
    assert_eq!(*Distances::towards(&target, &peer), [253, 254, 252]);
    let at = |first: u8, last: u8| {
        let mut id = NodeId([0; 32]);
        (id.0[0], id.0[31]) = (first, last);
        id
    };
    assert_eq!(*Distances::towards(&at(0, 0), &at(0, 1)), [1, 2, 3]);
    assert_eq!(*Distances::towards(&at(0, 0), &at(0x80, 0)), [256, 255, 254]);
    assert_eq!(*Distances::towards(&at(0, 0), &at(8, 0)), [252, 253, 251]);
    assert_eq!(*Distances::towards(&at(5, 5), &at(5, 5)), [0]);
}

#[test]
fn r85_who_fails_is_no_result() {
    let mut network = HUNDRED.clone();
    let mut chance = chance("silent");
    for _ in 0..30 {
        let silent = network.random(&mut chance);
        network.manner.insert(silent, Manner::Silent);
    }
    let tally = Tally::of(&network, Aim::Closest, 200);
    assert_eq!(tally.found, tally.runs);
    assert!(tally.recall() >= 0.99, "{tally:?}");
    let own = id(&node(1));
    for target in (2..30).map(|n| id(&node(n))) {
        let lookup = network.look_up(&own, &target, Aim::Closest, &mut chance);
        let silent = |told: &Told| network.manner(&id(told)) == Manner::Silent;
        assert!(!lookup.closest().iter().any(silent));
    }
}

/// Deals three seeds, one to each path; the second is the liar's.
fn on_three_paths(aim: Aim) -> (Lookup, NodeId, [Query; ALPHA]) {
    let (own, target) = (id(&node(1)), id(&node(2)));
    let seeds = THOUSAND.seeds(&own, &target).into_iter().filter(|told| id(told) != target);
    let mut lookup = Lookup::new(target, aim, own, seeds.take(ALPHA));
    let queries = std::array::from_fn(|_| lookup.next().unwrap());
    (lookup, target, queries)
}

#[test]
fn r86_what_a_liar_invents_is_asked_on_its_own_path_only() {
    let (mut lookup, target, [a, liar, c]) = on_three_paths(Aim::Closest);
    let mut invented: Vec<Told> = (2_000..3_000).map(node).collect();
    invented.sort_by_cached_key(|told| id(told).xor(&target));
    invented.truncate(16);
    let ids: BTreeSet<_> = invented.iter().map(id).collect();
    lookup.answered(&id(&liar.to), invented, 16);
    let next: Vec<_> = std::iter::from_fn(|| lookup.next()).collect();
    assert_eq!(next.len(), 1, "one slot is free");
    assert!(ids.contains(&id(&next[0].to)));
    for honest in [a, c] {
        let records = THOUSAND.ask(&id(&honest.to), &honest.distances).unwrap();
        lookup.answered(&id(&honest.to), records, 16);
        let next: Vec<_> = std::iter::from_fn(|| lookup.next()).collect();
        assert_eq!(next.len(), 1);
        assert!(!ids.contains(&id(&next[0].to)), "the honest paths go on by themselves");
    }
}

#[test]
fn r86_a_liar_that_never_runs_out_of_inventions_ends_its_own_path_only() {
    let (mut lookup, target, [a, liar, _]) = on_three_paths(Aim::Closest);
    let mut invented: Vec<Told> = (2_000..3_000).map(node).collect();
    invented.sort_by_cached_key(|told| std::cmp::Reverse(id(told).xor(&target)));
    // Ever closer ones, without end, and all of them answer.
    let mut closer = invented.chunks(16);
    let mut next = Some(liar);
    let mut asked = 0;
    while let Some(query) = next {
        asked += 1;
        lookup.answered(&id(&query.to), closer.next().unwrap().to_vec(), 16);
        next = lookup.next();
    }
    assert_eq!(asked, PATH_QUERIES_MAX);
    let records = THOUSAND.ask(&id(&a.to), &a.distances).unwrap();
    let honest: BTreeSet<_> = records.iter().map(id).collect();
    lookup.answered(&id(&a.to), records, 16);
    assert!(honest.contains(&id(&lookup.next().unwrap().to)));
}

#[test]
fn r86_invented_nodes_that_do_not_answer_hide_nobody() {
    let mut network = HUNDRED.clone();
    let mut chance = chance("liars");
    for target in (10..60).map(|n| id(&node(n))) {
        let own = network.random(&mut chance);
        network.invent(&target, 4_000, 300);
        network.manner.clear();
        // The closest that it knows lies.
        let closest = network.seeds(&own, &target).into_iter().find(|told| id(told) != target);
        network.manner.insert(id(&closest.unwrap()), Manner::Liar);
        if own != target {
            for aim in [Aim::Record, Aim::Closest] {
                let lookup = network.look_up(&own, &target, aim, &mut chance);
                assert_eq!(lookup.newest(), Some(&network.nodes[&target].0));
            }
        }
    }
}

/// How many of a hundred look-ups find their target, and with how many requests in all, in a network of a thousand in which this share
/// of nodes lie in concert.
fn found_among_liars(per_cent: u64, inventions_answer: bool) -> (usize, usize) {
    let mut network = THOUSAND.clone();
    network.inventions_answer = inventions_answer;
    let mut chance = chance("many liars");
    for liar in network.nodes.keys().filter(|_| chance.hits(per_cent, 100)) {
        network.manner.insert(*liar, Manner::Liar);
    }
    let (mut found, mut runs, mut queries) = (0, 0, 0);
    while runs < 100 {
        let (own, target) = (network.random(&mut chance), network.random(&mut chance));
        if own != target && network.manner(&target) == Manner::Ordered {
            network.invent(&target, 4_000, 300);
            let lookup = network.look_up(&own, &target, Aim::Record, &mut chance);
            found += usize::from(lookup.newest().is_some());
            queries += lookup.queries();
            runs += 1;
        }
    }
    (found, queries)
}

#[test]
fn r86_three_nodes_in_ten_that_lie_are_borne() {
    for (per_cent, inventions_answer) in [(10, false), (30, false), (10, true), (30, true)] {
        let (found, queries) = found_among_liars(per_cent, inventions_answer);
        assert!(found >= 97 && queries <= 1_000, "{per_cent} %: {found} found, {queries} queries");
    }
}

#[test]
fn r87_the_target_is_found_where_a_peer_holds_it_at_the_distance_asked() {
    let (mut lookup, target, [a, ..]) = on_three_paths(Aim::Record);
    assert_eq!(lookup.newest(), None);
    lookup.answered(&id(&a.to), [THOUSAND.nodes[&target].clone()], 1);
    assert_eq!(lookup.newest(), Some(&THOUSAND.nodes[&target].0));
    let query = lookup.next().expect("the target is asked itself");
    assert_eq!((id(&query.to), &*query.distances), (target, &[0][..]));
    assert!(!lookup.is_done(), "it may have a newer record");
    let newer = signed(2, 9, query.to.1);
    lookup.answered(&target, [newer.clone()], 1);
    assert!(lookup.is_done() && lookup.next().is_none());
    assert_eq!(lookup.newest(), Some(&newer.0));
}

#[test]
fn a_target_that_moved_is_asked_where_its_newer_record_says() {
    let (mut lookup, target, [a, b, c]) = on_three_paths(Aim::Record);
    let stale = signed(2, 3, SocketAddr::from(([20, 9, 9, 1], 1)));
    let newer = signed(2, 4, SocketAddr::from(([20, 9, 9, 2], 1)));
    lookup.answered(&id(&a.to), [stale.clone()], 1);
    assert_eq!(lookup.next().unwrap().to, stale);
    lookup.failed(&target);
    lookup.answered(&id(&b.to), [newer.clone(), stale.clone()], 2);
    assert_eq!(lookup.next().unwrap().to, newer, "before anybody else");
    lookup.failed(&target);
    lookup.answered(&id(&c.to), [stale, newer.clone()], 2);
    assert!(lookup.next().is_none_or(|query| id(&query.to) != target), "not there again");
    assert_eq!(lookup.newest(), Some(&newer.0));
}

#[test]
fn a_newer_record_that_comes_while_the_old_endpoint_is_asked_counts_too() {
    let (mut lookup, target, [a, b, _]) = on_three_paths(Aim::Record);
    let stale = signed(2, 3, SocketAddr::from(([20, 9, 9, 1], 1)));
    let newer = signed(2, 4, SocketAddr::from(([20, 9, 9, 2], 1)));
    lookup.answered(&id(&a.to), [stale.clone()], 1);
    assert_eq!(lookup.next().unwrap().to, stale);
    lookup.answered(&id(&b.to), [newer.clone()], 1);
    lookup.failed(&target);
    let next: Vec<_> = std::iter::from_fn(|| lookup.next()).map(|query| query.to).collect();
    assert!(next.contains(&newer));
}

#[test]
fn a_distance_hidden_behind_a_full_bucket_is_asked_for_alone() {
    let mut network = THOUSAND.clone();
    let ids: Vec<NodeId> = network.nodes.keys().copied().collect();
    ids.iter().for_each(|id| _ = network.manner.insert(*id, Manner::Sorted));
    let mut chance = chance("sorted");
    for _ in 0..100 {
        let (own, target) = (network.random(&mut chance), network.random(&mut chance));
        if own != target {
            let lookup = network.look_up(&own, &target, Aim::Record, &mut chance);
            assert!(lookup.newest().is_some(), "{own} looks up {target}");
        }
    }
}

#[test]
fn who_is_asked_again_and_fails_has_answered_before() {
    let (mut lookup, target, [a, ..]) = on_three_paths(Aim::Closest);
    let (peer, at) = (id(&a.to), id(&a.to).log_distance(&target));
    let near = (2_000..).map(node).filter(|told| peer.log_distance(&id(told)) < at);
    lookup.answered(&peer, near.take(2), ANSWER_CUT);
    let query = lookup.next().unwrap();
    assert_eq!((id(&query.to), &*query.distances), (peer, &[at][..]));
    assert!(lookup.next().is_none());
    lookup.failed(&peer);
    assert!(lookup.closest().iter().any(|told| id(told) == peer));
}

#[test]
fn with_nobody_to_ask_it_is_over() {
    let (own, target) = (id(&node(1)), id(&node(2)));
    for seeds in [vec![], vec![node(1)]] {
        let mut lookup = Lookup::new(target, Aim::Record, own, seeds);
        assert!(lookup.is_done() && lookup.next().is_none() && lookup.closest().is_empty());
    }
}

#[test]
fn answers_of_whom_nobody_asked_change_nothing() {
    let (mut lookup, target, [a, ..]) = on_three_paths(Aim::Record);
    lookup.answered(&target, [THOUSAND.nodes[&target].clone()], 1);
    lookup.failed(&target);
    assert!(!lookup.is_done() && lookup.newest().is_none());
    lookup.failed(&id(&a.to));
    lookup.answered(&id(&a.to), [THOUSAND.nodes[&target].clone()], 1);
    assert!(lookup.newest().is_none(), "too late");
}

static STRANGERS: LazyLock<Vec<Told>> = LazyLock::new(|| (5_000..5_400).map(node).collect());

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/discovery_lookup.txt"
        )))),
        ..ProptestConfig::default()
    })]

    /// Whatever peers answer: it ends, within its queries, never more than three at once, and its
    /// result is sorted and names only those that answered.
    #[test]
    fn it_ends_whatever_peers_answer(
        target in 0..400_usize,
        record in any::<bool>(),
        seeds in prop::collection::vec(0..400_usize, 0..20),
        answers in prop::collection::vec(
            prop::option::weighted(0.7, prop::collection::vec(0..400_usize, 0..60)), 100..=100
        ),
    ) {
        let aim = if record { Aim::Record } else { Aim::Closest };
        let (own, target) = (id(&STRANGERS[0]), id(&STRANGERS[target]));
        let told = |places: &[usize]| -> Vec<Told> {
            places.iter().map(|place| STRANGERS[*place].clone()).collect()
        };
        let mut lookup = Lookup::new(target, aim, own, told(&seeds));
        let mut in_flight = VecDeque::new();
        let mut answered = BTreeSet::new();
        let mut answers = answers.iter();
        while !lookup.is_done() {
            in_flight.extend(std::iter::from_fn(|| lookup.next()));
            prop_assert!((1..=ALPHA).contains(&in_flight.len()));
            let from = id(&in_flight.pop_front().unwrap().to);
            prop_assert_ne!(from, own);
            match answers.next().expect("more queries than allowed") {
                Some(places) => {
                    answered.insert(from);
                    lookup.answered(&from, told(places), places.len());
                }
                None => lookup.failed(&from),
            }
        }
        prop_assert!(lookup.queries() <= QUERIES_MAX);
        let result = lookup.closest();
        prop_assert!(result.len() <= CLOSEST);
        prop_assert!(result.iter().all(|told| answered.contains(&id(told))));
        prop_assert!(result.is_sorted_by_key(|told| id(told).xor(&target)));
    }
}
