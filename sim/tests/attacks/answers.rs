//! Answers: NODES that lie, and look-ups that they would mislead or keep busy.

use std::net::SocketAddr;

use stayfound_core::chance::Chance;
use stayfound_core::discovery::lookup::{CLOSEST, PATH_QUERIES_MAX};
use stayfound_core::discovery::message::{Message, Records, RequestId};
use stayfound_core::discovery::request::{NODES_PACKETS_MAX, NODES_RECORDS_MAX};
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::Counter;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_sim::adversary::Adversary;
use stayfound_sim::moment::Units;
use stayfound_sim::script::Script;

use crate::{
    NODES, at, finds, honest_nodes_are_found, id, key_within, network, record, secret, stranger,
};

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
    let liar = world.conspires(NODES, |it| it.record.clone());
    let told = world.ask(3, &Ask::FindNode(liar.clone(), vec![255]));
    let Answer::Nodes(told) = told else { panic!("{told:?}") };
    let distance = |it: &Signed| it.node_id().log_distance(&liar.node_id());
    assert!(!told.is_empty() && told.iter().all(|it| distance(it) == 255), "only what was asked");
    for node in 0..NODES {
        let told = world.ask(node, &Ask::FindNode(record(&world, (node + 1) % NODES), distances()));
        let Answer::Nodes(told) = told else { panic!("{told:?}") };
        assert!(!told.iter().any(|it| invented.contains(it)), "nobody relays what never answered");
    }
}

#[test]
fn a_victims_address_in_many_records_is_probed_once_a_minute_by_each() {
    let mut world = network(3);
    let victim = NODES + 2;
    let (before, since) = (world.conspires(victim, |it| it.heard.0), world.now_in_seconds());
    // Ids that never were there before in every answer, and look-ups all the while.
    for minute in 0..3 {
        for host in [NODES, NODES + 1] {
            let numbers = 4_000 + 100 * minute + 50 * host as u64..;
            let aimed = numbers.map(|n| Signed::sign(&secret(n), 1, &Endpoints::at([at(victim)])));
            world.conspires(host, |it| it.serves = aimed.take(16).collect());
        }
        for node in 0..NODES {
            for host in [NODES, NODES + 1] {
                let liar = world.conspires(host, |it| it.record.clone());
                world.ask(node, &Ask::FindNode(liar, distances()));
            }
            let target = id(&world, (node + 3 + minute as usize) % NODES);
            finds(&mut world, node, target);
        }
        world.after(60.s());
    }
    let minutes = (world.now_in_seconds() - since) / 60 + 1;
    let got = world.conspires(victim, |it| it.heard.0) - before;
    assert!(got >= NODES as u64, "the test probes nobody");
    assert!(got <= NODES as u64 * minutes, "{got} probes by {NODES} nodes in {minutes} minutes");
    honest_nodes_are_found(&mut world);
}

/// The longest that a look-up takes: each path has so many queries, and then all in common; of
/// those that nobody answers each takes two seconds at most, with the wait for its turn.
const SECONDS_MAX: u64 = 2 * (PATH_QUERIES_MAX + CLOSEST) as u64;

fn distances() -> Vec<u16> {
    (249..=256).collect()
}

/// Nodes that do not exist, each in a prefix of its own.
fn strangers(from: u64, count: u64) -> Vec<Signed> {
    (from..from + count).map(stranger).collect()
}

fn none_is_in_a_table(world: &Script, invented: &[Signed]) {
    for node in 0..NODES {
        let table = world.node_of(node).discovery().expect("it discovers").table();
        let known = table.nodes().find(|it| invented.contains(it.record()));
        assert!(known.is_none(), "node {node} knows {known:?}");
    }
}

#[test]
fn answers_to_what_others_were_asked_count_for_nothing() {
    let mut world = network(1);
    let (seeker, target) = (record(&world, 3), record(&world, 9));
    world.conspires(NODES, |it| it.meets(&seeker));
    world.after(30.s());
    let invented = strangers(6_000, 12);
    let before = world.count_of(3, Counter::ResponsesUnasked);
    // The ids of requests are counted: it knows those of the next.
    let asked = world.conspires(NODES, |it| it.asked).expect("it was pinged back");
    let last = u64::from_be_bytes(asked.as_bytes().try_into().expect("ids of 8 bytes"));
    let mut guess = last;
    let answer = world.ask_while(3, &Ask::Find(target.node_id()), |world| {
        world.conspires(NODES, |it| {
            for _ in 0..40 {
                guess = if guess > last + 400 { last } else { guess + 1 };
                for some in invented.chunks(3) {
                    let (id, records) = (RequestId::from_u64(guess), Records::from(some));
                    it.tells(&seeker, &Message::Nodes { id, total: 4, records });
                }
            }
        });
    });
    let Answer::Found { newest, closest } = answer else { panic!("{answer:?} to a look-up") };
    assert_eq!(newest.as_ref(), Some(&target));
    assert!(!closest.iter().any(|it| invented.contains(it)));
    assert!(world.count_of(3, Counter::ResponsesUnasked) > before + 100, "it was told, unasked");
    none_is_in_a_table(&world, &invented);
    honest_nodes_are_found(&mut world);
}

#[test]
fn an_answer_without_end_ends() {
    const PACKETS: usize = 60;
    let mut world = network(1);
    let seeker = record(&world, 3);
    let liar = world.conspires(NODES, |it| {
        it.serves = strangers(7_000, 6 * PACKETS as u64);
        it.floods = Some(PACKETS);
        it.record.clone()
    });
    world.conspires(NODES, |it| it.meets(&seeker));
    world.after(2.s());
    let before = world.count_of(3, Counter::ResponsesUnasked);
    let answer = world.ask(3, &Ask::FindNode(liar.clone(), distances()));
    let Answer::Nodes(told) = answer else { panic!("{answer:?}") };
    assert!((1..=NODES_RECORDS_MAX).contains(&told.len()), "{} records", told.len());
    world.after(2.s());
    let ignored = world.count_of(3, Counter::ResponsesUnasked) - before;
    assert!(ignored >= PACKETS as u64 - NODES_PACKETS_MAX, "{ignored} packets too many");
    assert!(matches!(world.ask(3, &Ask::Ping(liar)), Answer::Pong { .. }), "the session lives");
    honest_nodes_are_found(&mut world);
}

#[test]
fn ids_ever_closer_neither_hold_nor_mislead_a_look_up() {
    const LIARS: usize = 16;
    let mut world = network(LIARS);
    let target = record(&world, 9);
    // Closest to the target of all that answer, so that every look-up of it comes to them. Each
    // tells of the others, and in every answer of sixteen more that are closer and do not exist.
    let mut number = 10_000;
    for host in NODES..NODES + LIARS {
        let key = loop {
            let key = key_within(&target.node_id(), 252, &mut number);
            if NodeId::of(&key.public_key().point()).log_distance(&target.node_id()) == 252 {
                break key;
            }
        };
        let mut liar = Adversary::new(key, at(host), &Chance::new([4; 32]));
        let closer = (0..48).map(|_| {
            key_within(&target.node_id(), 251, &mut number);
            stranger(number)
        });
        liar.invents = closer.collect();
        world.corrupts(host, liar);
    }
    makes_themselves_known(&mut world, LIARS);
    let mut invented = 0;
    for seeker in (0..NODES).filter(|seeker| *seeker != 9) {
        let left = |world: &mut Script| -> usize {
            (NODES..NODES + LIARS).map(|host| world.conspires(host, |it| it.invents.len())).sum()
        };
        let (since, before) = (world.now_in_seconds(), left(&mut world));
        let found = finds(&mut world, seeker, target.node_id());
        assert_eq!(found.as_ref(), Some(&target), "node {seeker} is misled");
        let took = world.now_in_seconds() - since;
        assert!(took <= SECONDS_MAX, "node {seeker} looked for {took} s");
        invented += before - left(&mut world);
    }
    assert!(invented > 0, "nobody was told anything");
    // To whom does not exist it would go on for ever.
    let since = world.now_in_seconds();
    let nobody = NodeId(target.node_id().0.map(|it| it ^ 1));
    assert_eq!(finds(&mut world, 3, nobody), None);
    let took = world.now_in_seconds() - since;
    assert!(took <= SECONDS_MAX, "{took} s");
    honest_nodes_are_found(&mut world);
}

/// The adversary's hosts ping every node.
fn makes_themselves_known(world: &mut Script, hosts: usize) {
    for node in 0..NODES {
        let node = record(world, node);
        (NODES..NODES + hosts).for_each(|host| world.conspires(host, |it| it.meets(&node)));
        world.after(100.ms());
    }
    world.after(30.s());
}
