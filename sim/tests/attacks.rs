//! Attacks on discovery in whole networks, each with the property that must not break.

use std::net::SocketAddr;

use stayfound_core::chance::Chance;
use stayfound_core::discovery::challenge::CHALLENGES_MAX;
use stayfound_core::discovery::vote::VOTES_NEEDED;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::keys::SecretKey;
use stayfound_core::node::Counter;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_sim::adversary::Adversary;
use stayfound_sim::moment::Units;
use stayfound_sim::scenario::{Bootstrap, Neighbours, Options};
use stayfound_sim::script::Script;

/// The nodes of a network; the hosts from `NODES` on are the adversary's.
const NODES: usize = 24;

fn secret(number: u64) -> SecretKey {
    let mut scalar = [7; 32];
    scalar[24..].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_bytes(&scalar).unwrap()
}

/// Where the host of this number is (as the simulator places nodes that only discover).
fn at(host: usize) -> SocketAddr {
    format!("24.0.{host}.1:3610").parse().unwrap()
}

fn adversary(host: usize, number: u64) -> Adversary {
    Adversary::new(secret(number), at(host), &Chance::new([1; 32]))
}

/// An honest network that has settled, and so many hosts for the adversary.
fn network(adversaries: usize) -> Script {
    let discovery = Some(Neighbours { boots: 1, walkers: NODES - 1 + adversaries });
    let mut world = Script::new(&Options { discovery, ..Options::plain(0) });
    for node in 0..NODES {
        world.number(node).starts();
        world.after(100.ms());
    }
    for host in NODES..NODES + adversaries {
        world.corrupts(host, adversary(host, host as u64));
    }
    world.after(30.s());
    world
}

fn record(world: &Script, node: usize) -> Signed {
    world.node_of(node).own_record().unwrap().clone()
}

fn id(world: &Script, node: usize) -> NodeId {
    record(world, node).node_id()
}

fn finds(world: &mut Script, seeker: usize, target: NodeId) -> Option<Signed> {
    match world.ask(seeker, &Ask::Find(target)) {
        Answer::Found { newest, .. } => newest,
        answer => panic!("{answer:?} to a look-up"),
    }
}

/// What honest nodes owe one another, whatever happens.
fn honest_nodes_are_found(world: &mut Script) {
    for seeker in 0..NODES {
        let target = (seeker + 7) % NODES;
        let wanted = record(world, target);
        let found = finds(world, seeker, wanted.node_id());
        assert_eq!(found.as_ref(), Some(&wanted), "node {seeker} looks for node {target}");
    }
}

#[test]
fn reflection_gives_the_victim_less_than_the_attacker_spends() {
    let mut world = network(2);
    let (attacker, victim) = (NODES, NODES + 1);
    let before = world.conspires(victim, |it| it.heard);
    let mut spent = 0;
    for node in 0..NODES {
        let to = id(&world, node);
        spent += world.conspires(attacker, |it| {
            (0..20u64)
                .map(|n| {
                    let src = NodeId::of(&secret(1_000 + n).public_key().point());
                    let bytes = it.random(&to, &src);
                    let size = bytes.len() as u64;
                    it.shoots(Some(at(victim)), at(node), bytes);
                    size
                })
                .sum::<u64>()
        });
    }
    world.after(60.s());
    let got = world.conspires(victim, |it| it.heard.1) - before.1;
    assert!(got > 0, "nodes do challenge whoever they cannot read");
    assert!(got < spent, "{got} bytes reached the victim for {spent}");
}

#[test]
fn a_flood_of_packets_from_nowhere_leaves_no_trace() {
    let mut world = network(1);
    let (node, to) = (3, id(&world, 3));
    for burst in 0..20u64 {
        world.conspires(NODES, |it| {
            for n in 0..250u64 {
                let n = burst * 250 + n;
                let mut src = [0xee; 32];
                src[..8].copy_from_slice(&n.to_be_bytes());
                let bytes = it.random(&to, &NodeId(src));
                let from = SocketAddr::from(([203, 0, (n >> 8) as u8, n as u8], 1024));
                it.shoots(Some(from), at(node), bytes);
            }
        });
        world.after(100.ms());
    }
    world.after(1.s());
    assert!(world.count_of(node, Counter::Challenges) >= 5_000, "each drew its challenge");
    const { assert!(CHALLENGES_MAX < 5_000, "which cannot all be kept") };
    honest_nodes_are_found(&mut world);
}

#[test]
fn handshakes_that_answer_no_challenge_cost_nothing() {
    let mut world = network(1);
    let node = record(&world, 3);
    for _ in 0..20 {
        world.conspires(NODES, |it| {
            for n in 0..50u64 {
                let src = NodeId::of(&secret(2_000 + n).public_key().point());
                let bytes = it.blind_handshake(&node, &src);
                it.shoots(None, at(3), bytes);
            }
        });
        world.after(100.ms());
    }
    assert_eq!(world.count_of(3, Counter::HandshakesUnasked), 1_000);
    assert_eq!(world.count_of(3, Counter::HandshakesInvalid), 0, "none was looked at");
    honest_nodes_are_found(&mut world);
}

#[test]
fn garbage_in_the_name_of_another_ends_no_session() {
    let mut world = network(1);
    let (a, b) = (id(&world, 3), id(&world, 4));
    assert_eq!(finds(&mut world, 3, b).map(|it| it.node_id()), Some(b));
    let handshakes = world.count_of(3, Counter::HandshakesSent);
    for _ in 0..50 {
        // To each in the name and from the address of the other.
        world.conspires(NODES, |it| {
            let bytes = it.random(&a, &b);
            it.shoots(Some(at(4)), at(3), bytes);
            let bytes = it.random(&b, &a);
            it.shoots(Some(at(3)), at(4), bytes);
        });
        world.after(50.ms());
    }
    let node = record(&world, 4);
    assert!(matches!(world.ask(3, &Ask::Ping(node)), Answer::Pong { .. }));
    assert_eq!(world.count_of(3, Counter::HandshakesSent), handshakes, "the old session lives");
    honest_nodes_are_found(&mut world);
}

#[test]
fn nobody_is_banned_for_what_others_send_in_its_name() {
    let mut world = network(1);
    let to = id(&world, 0);
    for victim in 1..NODES {
        let src = id(&world, victim);
        world.conspires(NODES, |it| {
            for _ in 0..50 {
                let bytes = it.random(&to, &src);
                it.shoots(Some(at(victim)), at(0), bytes);
                it.shoots(Some(at(victim)), at(0), vec![0xff; 200]);
            }
        });
    }
    world.after(1.s());
    let boot = record(&world, 0);
    for victim in 1..NODES {
        let answer = world.ask(victim, &Ask::Ping(boot.clone()));
        assert!(matches!(answer, Answer::Pong { .. }), "node {victim} is answered: {answer:?}");
    }
    honest_nodes_are_found(&mut world);
}

#[test]
fn invented_and_misplaced_records_mislead_nobody() {
    let mut world = network(4);
    // Nodes that do not exist, at addresses where nobody is: every answer is full of them.
    let invented: Vec<Signed> = (0..16u64)
        .map(|n| {
            let at = SocketAddr::from(([203, 0, 113, n as u8 + 1], 3610));
            Signed::sign(&secret(3_000 + n), 1, &Endpoints::at([at]))
        })
        .collect();
    for host in NODES..NODES + 4 {
        world.conspires(host, |it| it.serves = invented.clone());
        for node in 0..NODES {
            let node = record(&world, node);
            world.conspires(host, |it| it.meets(&node));
        }
    }
    world.after(120.s());
    honest_nodes_are_found(&mut world);
    for node in 0..NODES {
        let told = world.ask(node, &Ask::FindNode(record(&world, (node + 1) % NODES), distances()));
        let Answer::Nodes(told) = told else { panic!("{told:?}") };
        assert!(!told.iter().any(|it| invented.contains(it)), "nobody relays what never answered");
    }
}

fn distances() -> Vec<u16> {
    (249..=256).collect()
}

#[test]
fn a_victims_address_in_many_records_is_probed_once_a_minute_by_each() {
    let mut world = network(3);
    let victim = NODES + 2;
    let aimed: Vec<Signed> = (0..16u64)
        .map(|n| Signed::sign(&secret(4_000 + n), 1, &Endpoints::at([at(victim)])))
        .collect();
    for host in [NODES, NODES + 1] {
        world.conspires(host, |it| it.serves = aimed.clone());
        for node in 0..NODES {
            let node = record(&world, node);
            world.conspires(host, |it| it.meets(&node));
        }
    }
    let before = world.conspires(victim, |it| it.heard.0);
    // Look-ups go on all the while.
    for minute in 0..3 {
        for node in 0..NODES {
            let target = id(&world, (node + 3 + minute) % NODES);
            finds(&mut world, node, target);
        }
        world.after(60.s());
    }
    let minutes = world.now_in_seconds() / 60 + 2;
    let got = world.conspires(victim, |it| it.heard.0) - before;
    assert!(got <= NODES as u64 * minutes, "{got} probes by {NODES} nodes in {minutes} minutes");
    honest_nodes_are_found(&mut world);
}

#[test]
fn inbound_contacts_and_sybils_neither_fill_the_table_nor_hide_a_node() {
    let mut world = network(16);
    let target = record(&world, 5);
    let before: Vec<usize> = (0..NODES).map(|node| honest_in_table(&world, node)).collect();
    // Ids ground to be close to the target's: as close as one in two hundred.
    let mut number = 10_000;
    for host in NODES..NODES + 16 {
        let close = loop {
            number += 1;
            let key = secret(number);
            let it = NodeId::of(&key.public_key().point());
            if it.log_distance(&target.node_id()) <= 248 {
                break key;
            }
        };
        world.conspires(host, |it| {
            *it = Adversary::new(close, at(host), &Chance::new([2; 32]));
            it.serves = Vec::new(); // they know nobody
        });
    }
    for host in NODES..NODES + 16 {
        for node in 0..NODES {
            let node = record(&world, node);
            world.conspires(host, |it| it.meets(&node));
            world.after(20.ms());
        }
    }
    world.after(60.s());
    for seeker in (0..NODES).filter(|seeker| *seeker != 5) {
        let found = finds(&mut world, seeker, target.node_id());
        assert_eq!(found.as_ref(), Some(&target), "node {seeker} finds who was surrounded");
        let (had, has) = (before[seeker], honest_in_table(&world, seeker));
        assert!(has >= had, "node {seeker} knew {had} honest nodes and knows {has}");
    }
}

fn honest_in_table(world: &Script, node: usize) -> usize {
    let table = world.node_of(node).discovery().expect("it discovers").table();
    table.nodes().filter(|it| (0..NODES).any(|n| at(n) == it.at())).count()
}

#[test]
fn liars_do_not_tell_a_cluster_where_it_is() {
    /// More than it takes for a vote of strangers, each of a prefix of its own.
    const LIARS: usize = VOTES_NEEDED + 2;
    let discovery = Some(Neighbours { boots: 1, walkers: 6 + LIARS });
    let options =
        Options { discovery, bootstrap: Bootstrap::Discovery, forwarded: 0, ..Options::plain(4) };
    let mut world = Script::new(&options);
    let elsewhere: SocketAddr = "203.0.113.66:3610".parse().unwrap();
    let liars = 4 + 7..4 + 7 + LIARS;
    for host in 0..4 + 7 {
        world.number(host).starts();
    }
    for (n, host) in liars.clone().enumerate() {
        let at = format!("24.0.{}.1:3610", host - 4).parse().unwrap();
        let mut liar = Adversary::new(secret(5_000 + n as u64), at, &Chance::new([3; 32]));
        liar.sees = Some(elsewhere);
        world.corrupts(host, liar);
    }
    world.heals_within(30.s());
    for operator in 0..4 {
        let record = record(&world, operator);
        for host in liars.clone() {
            world.conspires(host, |it| it.meets(&record));
        }
    }
    world.after(400.s());
    for operator in 0..4 {
        let at = record(&world, operator).endpoints().udp_addresses().next();
        assert_ne!(at, Some(elsewhere), "operator {operator} believes strangers");
    }
    world.is_well();
}
