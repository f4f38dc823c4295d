//! The table of known nodes, who may hear of whom, and the votes on our own address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::discovery::relay::{may_accept, may_relay};
use stayfound_core::discovery::table::*;
use stayfound_core::discovery::vote::{Family, VOTE_LIFE, VOTES_MAX, VOTES_NEEDED, Votes};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_core::time::Mono;

const START: Mono = Mono(1_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn key(n: u32) -> SecretKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    SecretKey::from_bytes(&bytes).unwrap()
}

fn record(n: u32, seq: u64, at: SocketAddr) -> Signed {
    Signed::sign(&key(n), seq, &Endpoints::at([at]))
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An address on the Internet, each of another /24.
fn public(n: u32) -> SocketAddr {
    let [_, b, c, d] = (n << 8 | 1).to_be_bytes();
    SocketAddr::from(([20, b, c, d], 9_000))
}

static OWN: LazyLock<NodeId> = LazyLock::new(|| record(0, 1, public(0)).node_id());

/// Node `n` as others know it.
fn node(n: u32) -> (Signed, SocketAddr) {
    (record(n, 1, public(n)), public(n))
}

/// Nodes that all belong into one bucket of ours.
fn of_distance(distance: u16) -> impl Iterator<Item = (Signed, SocketAddr)> {
    (1..).map(node).filter(move |(record, _)| OWN.log_distance(&record.node_id()) == distance)
}

struct Fixture {
    table: Table,
    now: Mono,
    jitter: Stream,
}

impl Fixture {
    fn new() -> Self {
        let jitter = Chance::new([3; 32]).stream("test");
        let mut table = Table::new(*OWN);
        table.admit_inbound(START);
        Self { table, now: START, jitter }
    }

    /// That of a node that has not yet looked around.
    fn poor() -> Self {
        Self { table: Table::new(*OWN), ..Self::new() }
    }

    fn insert(&mut self, (record, at): &(Signed, SocketAddr), origin: Origin) -> Inserted {
        let inserted = self.table.insert(self.now, record.clone(), *at, origin);
        self.table.check();
        inserted
    }

    fn find(&mut self, node: &(Signed, SocketAddr)) -> Inserted {
        self.insert(node, Origin::Found)
    }

    fn answered(&mut self, (record, at): &(Signed, SocketAddr)) -> bool {
        let answered = self.table.answered(self.now, &record.node_id(), *at, &mut self.jitter);
        self.table.check();
        answered
    }

    fn missed(&mut self, (record, at): &(Signed, SocketAddr)) {
        self.table.missed(self.now, &record.node_id(), *at);
        self.table.check();
    }

    fn verify(&mut self, node: &(Signed, SocketAddr)) {
        assert_ne!(self.find(node), Inserted::Refused);
        assert!(self.answered(node), "{node:?}");
    }

    fn due(&mut self) -> Option<(Signed, SocketAddr)> {
        let due = self.table.due(self.now).map(|due| (due.record, due.at));
        self.table.check();
        due
    }

    fn knows(&self, (record, _): &(Signed, SocketAddr)) -> bool {
        self.table.get(&record.node_id()).is_some()
    }

    fn is_verified(&self, (record, _): &(Signed, SocketAddr)) -> bool {
        self.table.get(&record.node_id()).is_some_and(Node::is_verified)
    }

    /// Everything that a stranger could be told.
    fn told(&self) -> Vec<Signed> {
        self.table.at_distances(1..=DISTANCE_MAX, STRANGER, usize::MAX)
    }

    /// Goes forward to the next check and answers with the time it took.
    fn sleep(&mut self) -> Duration {
        let before = self.now;
        self.now = self.table.deadline().expect("something is scheduled");
        self.now - before
    }
}

#[test]
fn r47_the_logarithmic_distance_is_the_bit_length() {
    let id = |first: u8, last: u8| {
        let mut id = NodeId([0; 32]);
        (id.0[0], id.0[31]) = (first, last);
        id
    };
    let zero = NodeId([0; 32]);
    assert_eq!(zero.log_distance(&zero), 0);
    assert_eq!(zero.log_distance(&id(0, 1)), 1);
    assert_eq!(zero.log_distance(&id(0, 0xff)), 8);
    assert_eq!(zero.log_distance(&id(1, 0)), 249);
    assert_eq!(id(0x80, 0).log_distance(&zero), DISTANCE_MAX);
    assert_eq!(id(3, 9).xor(&id(1, 8)), id(2, 1).0);
}

#[test]
fn r49_an_answer_is_bounded_whatever_is_asked() {
    let mut fixture = Fixture::new();
    (1..60).for_each(|n| fixture.verify_if_room(n));
    assert!(fixture.told().len() > 16);
    let again_and_again = std::iter::repeat_n([254, 254, 0, 9_999, 255, 256], 50).flatten();
    let answer = fixture.table.at_distances(again_and_again, STRANGER, 16);
    assert_eq!(answer.len(), 16);
    let ids: BTreeSet<_> = answer.iter().map(Signed::node_id).collect();
    assert_eq!(ids.len(), 16, "a distance asked twice is answered once");
}

impl Fixture {
    fn verify_if_room(&mut self, n: u32) {
        if self.find(&node(n)) == Inserted::Added {
            assert!(self.answered(&node(n)));
        }
    }
}

#[test]
fn r53_a_node_is_told_only_after_it_answered() {
    let mut fixture = Fixture::new();
    fixture.find(&node(1));
    assert!(fixture.told().is_empty());
    let elsewhere = (node(1).0, public(2));
    assert!(!fixture.answered(&elsewhere), "an answer from elsewhere proves nothing");
    assert!(fixture.told().is_empty());
    assert!(fixture.answered(&node(1)));
    assert_eq!(fixture.told(), [node(1).0]);
}

#[test]
fn r53_a_node_that_moved_has_to_answer_anew() {
    let mut fixture = Fixture::new();
    fixture.verify(&node(1));
    let moved = (record(1, 2, public(50)), public(50));
    assert_eq!(fixture.find(&moved), Inserted::Updated);
    assert!(fixture.told().is_empty());
    assert!(!fixture.answered(&node(1)), "that was where it is no more");
    assert_eq!(fixture.due(), Some(moved.clone()), "at once");
    assert!(fixture.answered(&moved));
    assert_eq!(fixture.told(), [moved.0]);
}

#[test]
fn r54_a_record_without_this_endpoint_is_refused() {
    let mut fixture = Fixture::new();
    let nowhere = Signed::sign(&key(1), 1, &Endpoints::default());
    assert_eq!(fixture.find(&(nowhere, public(1))), Inserted::Refused);
    assert_eq!(fixture.find(&(node(1).0, public(2))), Inserted::Refused);
    assert_eq!(fixture.find(&(record(0, 5, public(0)), public(0))), Inserted::Refused, "our own");
    assert!(fixture.table.is_empty());
}

#[test]
fn r55_an_address_is_told_only_where_it_leads_somewhere() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let loopback = ["127.0.0.1", "::1", "127.9.9.9"];
    let private = ["10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd00::1"];
    let global = ["1.1.1.1", "203.0.113.9", "198.51.100.9", "2001:db8::1", "2606:4700::1"];
    let nowhere = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1", "fe80::1", "ff02::1"];
    let tells = |records: &[&str], requesters: &[&str], expected: bool| {
        for (record, requester) in
            records.iter().flat_map(|record| requesters.iter().map(move |asks| (record, asks)))
        {
            assert_eq!(may_relay(ip(record), ip(requester)), expected, "{record} to {requester}");
            assert_eq!(may_accept(ip(record), ip(requester)), expected);
        }
    };
    for requesters in [&loopback[..], &private, &global] {
        tells(&global, requesters, true);
        tells(&nowhere, requesters, false);
    }
    tells(&loopback, &loopback, true);
    tells(&loopback, &private, false);
    tells(&loopback, &global, false);
    tells(&private, &loopback, true);
    tells(&private, &private, true);
    tells(&private, &global, false);
    tells(&["::ffff:127.0.0.1"], &global, false);
}

#[test]
fn r55_the_table_asks_before_it_tells() {
    let mut fixture = Fixture::new();
    let places = ["127.0.0.1:1", "10.0.0.1:1", "20.0.0.1:1"];
    for (n, place) in (1..).zip(places) {
        fixture.verify(&(record(n, 1, at(place)), at(place)));
    }
    let told = |requester: &str| {
        let all = 1..=DISTANCE_MAX;
        fixture.table.at_distances(all, requester.parse().unwrap(), 16).len()
    };
    assert_eq!([told("127.0.0.1"), told("10.9.9.9"), told("1.1.1.1")], [3, 2, 1]);
}

#[test]
fn r69_only_a_higher_seq_replaces_a_record() {
    let mut fixture = Fixture::new();
    let of_seq = |seq, n| (record(1, seq, public(n)), public(n));
    assert_eq!(fixture.find(&of_seq(5, 1)), Inserted::Added);
    for seq in [4, 5] {
        assert_eq!(fixture.find(&of_seq(seq, 2)), Inserted::Known);
    }
    assert!(fixture.answered(&of_seq(5, 1)));
    assert_eq!(fixture.find(&of_seq(6, 1)), Inserted::Updated);
    assert!(fixture.is_verified(&of_seq(6, 1)), "it is where it was");
    assert_eq!(fixture.told(), [of_seq(6, 1).0]);
}

#[test]
fn r69_also_while_it_waits() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(BUCKET_NODES).collect();
    nodes.iter().for_each(|node| fixture.verify(node));
    let n = (1_000..).find(|n| OWN.log_distance(&node(*n).0.node_id()) == 256).unwrap();
    let of_seq = |seq| (record(n, seq, public(n)), public(n));
    for seq in [3, 4, 2] {
        assert_eq!(fixture.find(&of_seq(seq)), Inserted::Waiting);
    }
    fixture.lose(&nodes[0]);
    assert_eq!(fixture.table.get(&of_seq(1).0.node_id()).unwrap().record().seq(), 4);
}

#[test]
fn r73_a_bucket_holds_sixteen_and_an_idle_table_takes_no_memory() {
    let mut fixture = Fixture::new();
    assert!(size_of_val(&fixture.table) < 512, "nothing is allocated before the first node");
    let inserted: Vec<_> = of_distance(256).take(40).map(|node| fixture.find(&node)).collect();
    let added = inserted.iter().filter(|inserted| **inserted == Inserted::Added).count();
    assert_eq!(added, BUCKET_NODES);
    assert_eq!(fixture.table.len(), BUCKET_NODES);
}

#[test]
fn r74_who_was_seen_last_is_told_first() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(3).collect();
    nodes.iter().for_each(|node| fixture.verify(node));
    assert!(fixture.answered(&nodes[0]));
    let expected = [&nodes[0], &nodes[2], &nodes[1]].map(|(record, _)| record.clone());
    assert_eq!(fixture.table.at_distances([256], STRANGER, 16), expected);
}

impl Fixture {
    /// Lets a node fail until it is gone.
    fn lose(&mut self, node: &(Signed, SocketAddr)) {
        for _ in 0..MISSES_MAX {
            if self.knows(node) {
                self.missed(node);
                self.now = self.now + RETRY;
            }
        }
        assert!(!self.knows(node));
    }
}

#[test]
fn r75_a_newcomer_waits_for_a_failure_and_displaces_nobody() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(BUCKET_NODES + 12).collect();
    let (first, newcomers) = nodes.split_at(BUCKET_NODES);
    first.iter().for_each(|node| fixture.verify(node));
    for newcomer in newcomers {
        assert_eq!(fixture.find(newcomer), Inserted::Waiting);
        assert!(!fixture.answered(newcomer));
    }
    assert!(first.iter().all(|node| fixture.is_verified(node)));
    fixture.lose(&first[3]);
    let newest = newcomers.last().unwrap();
    assert!(fixture.knows(newest), "the newest takes the place");
    assert_eq!(fixture.due().as_ref(), Some(newest), "and is checked at once");
    assert!(!fixture.is_verified(newest));
    let rest = first.iter().filter(|node| fixture.is_verified(node)).count();
    assert_eq!(rest, BUCKET_NODES - 1);
    // The oldest two were crowded out of the queue, the others follow.
    newcomers[2..].iter().rev().for_each(|newcomer| fixture.lose(newcomer));
    assert_eq!(fixture.table.len(), BUCKET_NODES - 1);
    assert!(!newcomers[..2].iter().any(|newcomer| fixture.knows(newcomer)));
}

#[test]
fn r75_a_stranger_that_does_not_answer_makes_way_at_once() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(BUCKET_NODES + 1).collect();
    nodes.iter().for_each(|node| _ = fixture.find(node));
    fixture.missed(&nodes[0]);
    assert!(!fixture.knows(&nodes[0]));
    assert!(fixture.knows(&nodes[BUCKET_NODES]));
}

#[test]
fn r76_checks_begin_at_once_and_grow_rarer() {
    let mut fixture = Fixture::new();
    fixture.find(&node(1));
    assert_eq!(fixture.table.deadline(), Some(fixture.now));
    let mut expected = CHECK_MIN;
    for _ in 0..10 {
        assert_eq!(fixture.due(), Some(node(1)));
        assert_eq!(fixture.table.deadline(), None, "it is being checked");
        assert_eq!(fixture.due(), None);
        assert!(fixture.answered(&node(1)));
        let waited = fixture.sleep();
        assert!(waited >= expected * 3 / 4 && waited <= expected * 5 / 4, "{waited:?}");
        expected = (expected * 2).min(CHECK_MAX);
    }
    assert_eq!(expected, CHECK_MAX);
}

#[test]
fn r77_who_answered_often_is_forgiven_longer() {
    let misses_until_replaced = |answers: u32| {
        let mut fixture = Fixture::new();
        let nodes: Vec<_> = of_distance(256).take(BUCKET_NODES + 1).collect();
        nodes.iter().for_each(|node| _ = fixture.find(node));
        (0..answers).for_each(|_| assert!(fixture.answered(&nodes[0])));
        let mut misses = 0;
        while fixture.knows(&nodes[0]) {
            fixture.now = fixture.now + RETRY;
            fixture.missed(&nodes[0]);
            misses += 1;
        }
        misses
    };
    let misses = [0, 1, 9, 10, 20, 30, 1_000].map(misses_until_replaced);
    assert_eq!(misses, [1, 3, 3, 4, 5, 6, 6]);
}

#[test]
fn r77_a_missed_check_is_repeated_soon() {
    let mut fixture = Fixture::new();
    fixture.verify(&node(1));
    fixture.sleep();
    assert_eq!(fixture.due(), Some(node(1)));
    fixture.missed(&node(1));
    assert_eq!(fixture.sleep(), RETRY);
    assert_eq!(fixture.due(), Some(node(1)));
    assert!(fixture.answered(&node(1)));
    assert!(fixture.sleep() < CHECK_MIN * 3 / 2, "and watched closely afterwards");
}

#[test]
fn r77_one_moment_of_silence_is_one_miss() {
    let mut fixture = Fixture::new();
    fixture.verify(&node(1));
    (0..20).for_each(|_| fixture.missed(&node(1)));
    assert!(fixture.is_verified(&node(1)));
}

#[test]
fn without_our_uplink_the_table_is_doubted_but_not_emptied() {
    let mut fixture = Fixture::new();
    let known: Vec<_> = (1..=10).map(node).collect();
    known.iter().for_each(|node| fixture.verify(node));
    let back = fixture.now + 50 * 60 * SECOND;
    while fixture.table.deadline().unwrap() < back {
        fixture.sleep();
        let due = fixture.due().unwrap();
        fixture.missed(&due);
    }
    assert_eq!((fixture.table.len(), fixture.told().len()), (10, 0));
    assert!(fixture.table.closest(&OWN, 16).is_empty(), "nobody to be asked in vain");
    fixture.now = back + QUIET;
    while let Some(due) = fixture.due() {
        assert!(fixture.answered(&due));
    }
    assert_eq!(fixture.told().len(), 10);
}

#[test]
fn r78_the_stalest_bucket_is_refreshed_first() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.table.stalest(), (DISTANCE_MAX, None));
    let near = of_distance(252).next().unwrap();
    fixture.find(&near);
    let mut order = Vec::new();
    for round in 0..10 {
        let (distance, last) = fixture.table.stalest();
        assert_eq!(last.is_none(), round < 5);
        order.push(distance);
        fixture.now = fixture.now + SECOND;
        fixture.table.refreshed(fixture.now, distance);
    }
    assert_eq!(order, [256, 255, 254, 253, 252, 256, 255, 254, 253, 252]);
}

#[test]
fn r78_a_target_is_at_its_distance_and_not_always_the_same() {
    let fixture = Fixture::new();
    let mut chance = Chance::new([9; 32]).stream("targets");
    for distance in 1..=DISTANCE_MAX {
        let [a, b] = [(); 2].map(|()| fixture.table.target_at(distance, &mut chance));
        assert_eq!(OWN.log_distance(&a), distance);
        assert!(distance < 32 || a != b, "{distance}");
    }
}

#[test]
fn r79_one_prefix_has_its_share_and_no_more() {
    let mut fixture = Fixture::new();
    let of_prefix = |n: u32| {
        let at = SocketAddr::from(([203, 0, 113, u8::try_from(n).unwrap()], 9_000));
        (record(n, 1, at), at)
    };
    for n in 1..=200 {
        if fixture.find(&of_prefix(n)) == Inserted::Added {
            fixture.answered(&of_prefix(n));
        }
    }
    let verified: Vec<_> = fixture.table.verified().map(|node| node.record().clone()).collect();
    assert!((5..=PREFIX_TABLE_MAX).contains(&verified.len()), "{}", verified.len());
    let mut per_bucket = BTreeMap::<u16, usize>::new();
    for record in &verified {
        *per_bucket.entry(OWN.log_distance(&record.node_id())).or_default() += 1;
    }
    assert_eq!(per_bucket.values().max(), Some(&PREFIX_BUCKET_MAX));
}

#[test]
fn r79_who_never_answered_takes_no_share() {
    let mut fixture = Fixture::new();
    let invented: Vec<_> = of_distance(256).take(12).map(|(record, _)| record).collect();
    for (host, _) in (1..).zip(&invented) {
        let at = SocketAddr::from(([203, 0, 113, host], 9_000));
        fixture.find(&(record(host.into(), 1, at), at));
    }
    let real = (record(900, 1, at("203.0.113.200:1")), at("203.0.113.200:1"));
    fixture.find(&real);
    assert!(fixture.answered(&real));
}

#[test]
fn r79_our_own_host_and_private_networks_are_not_limited() {
    for network in [[127, 0, 0], [192, 168, 1]] {
        let mut fixture = Fixture::new();
        for (n, _) in (1..).zip(of_distance(256).take(BUCKET_NODES)) {
            let [a, b, c] = network;
            let at = SocketAddr::from(([a, b, c, 1], 9_000 + n));
            let node = (record(n.into(), 1, at), at);
            if fixture.find(&node) == Inserted::Added {
                assert!(fixture.answered(&node));
            }
        }
        assert!(fixture.table.verified().count() > PREFIX_TABLE_MAX);
    }
}

#[test]
fn r80_inbound_nodes_take_at_most_half_of_a_bucket() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(60).collect();
    let (inbound, found) = nodes.split_at(30);
    for node in inbound {
        let added = fixture.insert(node, Origin::Inbound) == Inserted::Added;
        assert_eq!(added, fixture.table.len() <= BUCKET_INBOUND && fixture.knows(node));
    }
    assert_eq!(fixture.table.len(), BUCKET_INBOUND);
    for (place, node) in found.iter().enumerate() {
        let added = fixture.find(node) == Inserted::Added;
        assert_eq!(added, place < BUCKET_NODES - BUCKET_INBOUND, "{place}");
    }
    // One that came by itself is known from elsewhere now: it no longer counts as inbound.
    fixture.find(&inbound[0]);
    fixture.lose(&found[0]);
    assert_eq!(fixture.table.len(), BUCKET_NODES);
}

/// Whoever connects, and whoever it tells of: one word is that of nobody but its speaker.
#[test]
fn r80_one_teller_fills_half_of_a_bucket() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(40).collect();
    let tellers = [public(100_000), public(100_001), public(100_002)];
    for node in &nodes {
        fixture.insert(node, Origin::Inbound);
        fixture.insert(node, Origin::Told(tellers[0]));
        fixture.insert(node, Origin::Told(tellers[0]));
    }
    assert_eq!(fixture.table.len(), BUCKET_INBOUND);
    // Nor does the word of its neighbour count as another's, or that of a node for its neighbour.
    let mut neighbour = tellers[0];
    neighbour.set_port(1);
    for node in &nodes {
        fixture.insert(node, Origin::Told(neighbour));
        fixture.insert(node, Origin::Told(SocketAddr::new(node.1.ip(), 1)));
    }
    assert_eq!(fixture.table.len(), BUCKET_INBOUND);
    for node in &nodes {
        fixture.insert(node, Origin::Told(tellers[1]));
    }
    assert_eq!(fixture.table.len(), BUCKET_NODES, "two of different owners say so");
}

/// Before it has looked around, a table takes whom others tell of, and nobody who just connects.
#[test]
fn r80_a_poor_table_admits_nobody_who_connects() {
    let mut fixture = Fixture::poor();
    let nodes: Vec<_> = of_distance(256).take(4).collect();
    for node in &nodes {
        assert_eq!(fixture.insert(node, Origin::Inbound), Inserted::Waiting);
        assert!(!fixture.answered(node), "it is no node of the table");
    }
    assert!(fixture.table.is_empty() && fixture.due().is_none());
    assert_eq!(fixture.insert(&nodes[0], Origin::Told(public(100_000))), Inserted::Added);
    fixture.missed(&nodes[1]);
    fixture.table.admit_inbound(fixture.now);
    let known: Vec<bool> = nodes.iter().map(|node| fixture.knows(node)).collect();
    assert_eq!(known, [true, false, true, true], "who fell silent meanwhile waits no more");
    assert!(nodes.iter().all(|node| !fixture.is_verified(node)), "they are to answer once more");
}

/// Who waits and answers is given a place before who waits and was never heard.
#[test]
fn r75_who_answered_while_it_waited_goes_first() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(BUCKET_NODES + 3).collect();
    let (placed, waiting) = nodes.split_at(BUCKET_NODES);
    placed.iter().for_each(|node| fixture.verify(node));
    for node in waiting {
        assert_eq!(fixture.find(node), Inserted::Waiting);
    }
    fixture.answered(&waiting[1]);
    fixture.lose(&placed[0]);
    assert!(fixture.knows(&waiting[1]) && !fixture.knows(&waiting[2]));
}

#[test]
fn r81_whoever_comes_is_checked_at_once() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.insert(&node(1), Origin::Inbound), Inserted::Added);
    assert_eq!(fixture.due(), Some(node(1)));
}

#[test]
fn an_endpoint_that_does_not_answer_is_left_alone_for_a_minute() {
    let mut fixture = Fixture::new();
    let victim = public(1);
    let claims: Vec<_> = (1..=8).map(|n| (record(n, 1, victim), victim)).collect();
    let mut probes = Vec::new();
    let end = fixture.now + 5 * QUIET;
    while fixture.now < end {
        claims.iter().for_each(|claim| _ = fixture.find(claim));
        while let Some(due) = fixture.due() {
            probes.push(fixture.now);
            fixture.missed(&due);
        }
        fixture.now = fixture.now + SECOND;
    }
    assert_eq!(probes.len(), 5, "{probes:?}");
    assert!(probes.windows(2).all(|pair| pair[1] - pair[0] >= QUIET));
}

#[test]
fn who_was_dropped_is_not_probed_again_at_once() {
    let mut fixture = Fixture::new();
    let nodes: Vec<_> = of_distance(256).take(BUCKET_NODES + 1).collect();
    nodes.iter().for_each(|node| _ = fixture.find(node));
    nodes[..BUCKET_NODES].iter().for_each(|node| assert!(fixture.answered(node)));
    fixture.lose(&nodes[0]);
    fixture.lose(&nodes[BUCKET_NODES]);
    assert_eq!(fixture.find(&nodes[0]), Inserted::Added);
    let due: Vec<_> = std::iter::from_fn(|| fixture.due()).collect();
    assert!(!due.contains(&nodes[0]), "it was silent a moment ago");
    fixture.now = fixture.now + QUIET;
    let due: Vec<_> = std::iter::from_fn(|| fixture.due()).collect();
    assert!(due.contains(&nodes[0]));
}

#[test]
fn whoever_answers_at_an_endpoint_answers_for_itself_only() {
    let mut fixture = Fixture::new();
    let claim = |n| (record(n, 1, public(1)), public(1));
    fixture.find(&claim(2));
    assert_eq!(fixture.due(), Some(claim(2)));
    fixture.verify(&claim(1));
    fixture.find(&claim(3));
    assert_eq!(fixture.due(), None, "node 2 has not answered there yet");
    fixture.sleep();
    assert_eq!(fixture.due(), Some(claim(1)), "who is verified is checked all the same");
}

#[test]
fn each_distance_is_exhausted_in_the_order_asked() {
    let mut fixture = Fixture::new();
    for distance in [256, 255, 254] {
        of_distance(distance).take(6).for_each(|node| fixture.verify(&node));
    }
    for order in [[254, 255, 256], [256, 254, 255], [255, 256, 254]] {
        let answer = fixture.table.at_distances(order, STRANGER, 16);
        let distances: Vec<_> =
            answer.iter().map(|record| OWN.log_distance(&record.node_id())).collect();
        let expected: Vec<_> = order.iter().flat_map(|distance| [*distance; 6]).take(16).collect();
        assert_eq!(distances, expected);
    }
}

#[test]
fn who_answered_most_is_remembered_first() {
    let mut fixture = Fixture::new();
    for (n, answers) in [(1, 3), (2, 9), (3, 1)] {
        fixture.find(&node(n));
        (0..answers).for_each(|_| assert!(fixture.answered(&node(n))));
    }
    fixture.find(&node(4));
    let answers: Vec<_> = fixture.table.verified().map(Node::answers).collect();
    assert_eq!(answers, [9, 3, 1]);
}

#[test]
fn an_ipv4_mapped_endpoint_is_the_ipv4_one() {
    let mut fixture = Fixture::new();
    let mapped = (record(1, 1, at("20.0.0.1:9")), at("[::ffff:20.0.0.1]:9"));
    assert_eq!(fixture.find(&mapped), Inserted::Added);
    assert!(fixture.answered(&mapped));
    assert_eq!(fixture.table.get(&mapped.0.node_id()).unwrap().at(), at("20.0.0.1:9"));
}

fn voter(n: usize) -> IpAddr {
    public(u32::try_from(n).unwrap()).ip()
}

#[test]
fn r72_it_takes_ten_voters_of_different_prefixes_and_a_majority() {
    let mut votes = Votes::default();
    let (home, lie) = (at("203.0.113.5:9000"), at("198.51.100.6:9000"));
    for n in 0..VOTES_NEEDED {
        assert_eq!(votes.winner(START, Family::V4), None, "{n} voters");
        votes.vote(START, voter(n), home);
    }
    assert_eq!(votes.winner(START, Family::V4), Some(home));
    assert_eq!(votes.winner(START, Family::V6), None);
    (0..VOTES_NEEDED).for_each(|n| votes.vote(START, voter(100 + n), lie));
    assert_eq!(votes.winner(START, Family::V4), None, "half is no majority");
    votes.vote(START, voter(99), home);
    assert_eq!(votes.winner(START, Family::V4), Some(home));
    votes.clear();
    assert_eq!(votes.winner(START, Family::V4), None);
}

#[test]
fn r72_one_prefix_has_one_voice_and_its_last_word_counts() {
    let mut votes = Votes::default();
    let (before, after) = (at("203.0.113.5:9000"), at("203.0.113.77:9000"));
    (0..=255).for_each(|host| votes.vote(START, IpAddr::from([20, 0, 0, host]), before));
    assert_eq!(votes.winner(START, Family::V4), None);
    (0..12).for_each(|n| votes.vote(START, voter(n), before));
    (0..12).for_each(|n| votes.vote(START + SECOND, voter(n), after));
    assert_eq!(votes.winner(START + SECOND, Family::V4), Some(after));
}

#[test]
fn r72_votes_expire_and_are_bounded() {
    let mut votes = Votes::default();
    let home = at("[2001:db8::5]:9000");
    let voter = |n: u16| IpAddr::from([0x2606, 1, n, 0, 0, 0, 0, 1]);
    (0..1_000).for_each(|n| votes.vote(START, voter(n), home));
    assert_eq!(votes.len(), VOTES_MAX);
    assert_eq!(votes.winner(START, Family::V6), Some(home));
    assert_eq!(votes.winner(START + VOTE_LIFE, Family::V6), None);
}

#[test]
fn r72_nobody_votes_for_what_it_cannot_have_seen() {
    let mut votes = Votes::default();
    for seen in ["10.0.0.1:1", "127.0.0.1:1", "0.0.0.0:1", "20.1.1.1:0", "[2001:db8::1]:1"] {
        (0..20).for_each(|n| votes.vote(START, voter(n), at(seen)));
    }
    assert!(votes.is_empty());
}

/// A pool of nodes whose records move between few endpoints, so that ids and prefixes collide.
static POOL: LazyLock<Vec<Vec<(Signed, SocketAddr)>>> = LazyLock::new(|| {
    let place = |n: u32, seq: u32| match (n + seq) % 4 {
        0 => public(n % 16),
        1 => SocketAddr::from(([203, 0, 113, n.to_be_bytes()[3]], 1)),
        2 => at("127.0.0.1:7"),
        _ => SocketAddr::from(([0x2001, 0xdb8, 1, 0, 0, 0, 0, n.to_be_bytes()[3].into()], 1)),
    };
    let of_seq = |n, seq: u32| (record(n, seq.into(), place(n, seq)), place(n, seq));
    (1..=80).map(|n| (1..=4).map(|seq| of_seq(n, seq)).collect()).collect()
});

#[derive(Clone, Debug)]
enum Op {
    Insert { node: usize, seq: usize, origin: Origin },
    Admit,
    Answered { node: usize, seq: usize },
    Missed { node: usize, seq: usize },
    Due { answers: bool },
    Sleep { millis: u64 },
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        Just(Origin::Inbound),
        Just(Origin::Found),
        (0..16u32).prop_map(|n| Origin::Told(public(n))),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let which = || (0..80_usize, 0..4_usize);
    prop_oneof![
        4 => (which(), origin()).prop_map(|((node, seq), origin)| Op::Insert { node, seq, origin }),
        1 => Just(Op::Admit),
        2 => which().prop_map(|(node, seq)| Op::Answered { node, seq }),
        1 => which().prop_map(|(node, seq)| Op::Missed { node, seq }),
        3 => any::<bool>().prop_map(|answers| Op::Due { answers }),
        1 => (0..20_000_u64).prop_map(|millis| Op::Sleep { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/discovery_table.txt"
        )))),
        ..ProptestConfig::default()
    })]

    /// Whatever happens in whatever order: the invariants hold, nobody is told who did not answer
    /// where its record leads, and no silent endpoint is probed twice within a minute.
    #[test]
    fn any_order_of_events_leaves_a_sound_table(ops in prop::collection::vec(op(), 1..400)) {
        let mut fixture = Fixture::poor();
        let mut answered = BTreeSet::new();
        let mut probed = BTreeMap::<SocketAddr, (NodeId, Mono)>::new();
        for op in ops {
            match op {
                Op::Insert { node, seq, origin } => _ = fixture.insert(&POOL[node][seq], origin),
                Op::Admit => fixture.table.admit_inbound(fixture.now),
                Op::Answered { node, seq } => {
                    let node = &POOL[node][seq];
                    probed.retain(|at, (id, _)| (*id, *at) != (node.0.node_id(), node.1));
                    if fixture.answered(node) {
                        answered.insert((node.0.node_id(), node.1));
                    }
                }
                Op::Missed { node, seq } => fixture.missed(&POOL[node][seq]),
                Op::Due { answers } => {
                    let Some(due) = fixture.due() else { continue };
                    if !fixture.is_verified(&due) {
                        let before = probed.insert(due.1, (due.0.node_id(), fixture.now));
                        let quiet = before.is_none_or(|(_, at)| fixture.now - at >= QUIET);
                        prop_assert!(quiet, "{} was probed already", due.1);
                    }
                    if answers {
                        probed.remove(&due.1);
                        answered.extend(fixture.answered(&due).then(|| (due.0.node_id(), due.1)));
                    } else {
                        fixture.missed(&due);
                    }
                }
                Op::Sleep { millis } => fixture.now = fixture.now + Duration::from_millis(millis),
            }
            for node in fixture.table.nodes().filter(|node| node.is_verified()) {
                prop_assert!(answered.contains(&(node.record().node_id(), node.at())));
            }
        }
    }

    /// The closest are the closest, as a sort of everything would have it.
    #[test]
    fn closest_agrees_with_a_sort(nodes in prop::collection::btree_set(0..80_usize, 0..60), n in 0..20_usize) {
        let mut fixture = Fixture::new();
        for node in nodes {
            fixture.find(&POOL[node][0]);
        }
        let target = NodeId([n as u8 * 11; 32]);
        let mut expected: Vec<_> =
            fixture.table.nodes().map(|node| node.record().node_id().xor(&target)).collect();
        expected.sort_unstable();
        expected.truncate(n);
        let closest = fixture.table.closest(&target, n);
        let closest: Vec<_> = closest.iter().map(|(record, _)| record.node_id().xor(&target)).collect();
        prop_assert_eq!(closest, expected);
    }
}
