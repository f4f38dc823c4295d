//! Discovery as its users see it: nodes that join, move, vanish and are found.

mod web;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::cluster::Manifest;
use stayfound_core::discovery::{Answer, Ask, Goal, Settings};
use stayfound_core::node::Config;
use stayfound_core::record::{Endpoints, Signed};
use web::{Web, node_id};

/// A network of this many nodes, one joining every 100 ms, and how long it settles.
fn network(seed: u8, nodes: usize) -> Web {
    let mut web = Web::new(seed);
    for place in 0..nodes {
        let boot = if place == 0 { vec![] } else { vec![0] };
        web.join(&boot);
        web.pass(Duration::from_millis(100));
    }
    web
}

fn newest(answer: Answer) -> Option<u64> {
    let Answer::Found { newest, .. } = answer else { panic!("{answer:?} to a lookup") };
    newest.map(|record| record.seq())
}

#[test]
fn two_nodes_ping_and_talk() {
    let mut web = network(1, 2);
    let zero = web.record(0);
    let Answer::Pong { enr_seq, observed } = web.ask(1, &Ask::Ping(zero.clone())) else {
        panic!("no pong")
    };
    assert_eq!((enr_seq, observed), (zero.seq(), web.hosts[1].at));
    let talk = |protocol: &'static [u8]| Ask::Talk {
        node: zero.clone(),
        protocol: Bytes::from_static(protocol),
        request: Bytes::from_static(b"hello"),
    };
    assert_eq!(web.ask(1, &talk(b"echo")), Answer::Talk(Bytes::from_static(b"re: hello")));
    assert_eq!(web.ask(1, &talk(b"none")), Answer::Talk(Bytes::new()));
    assert_eq!(web.ask(1, &Ask::FindNode(zero.clone(), vec![0])), Answer::Nodes(vec![zero]));
}

#[test]
fn everybody_finds_everybody() {
    let mut web = network(2, 50);
    web.pass(Duration::from_secs(10));
    for place in 0..50 {
        for step in [1, 7, 23] {
            let target = (place + step) % 50;
            let found = newest(web.ask(place, &Ask::Find(node_id(target))));
            assert_eq!(found, Some(web.record(target).seq()), "{place} looks for {target}");
        }
    }
    let sought = web.hosts.iter().flat_map(|host| &host.sought);
    let asked: Vec<_> = sought.filter(|it| matches!(it.goal, Goal::Asked(_))).collect();
    assert_eq!(asked.len(), 150);
    for it in asked {
        let (hops, heard_after) = (it.hops.expect("found"), it.heard_after.expect("found"));
        assert!(it.found && hops <= heard_after && heard_after <= it.queries, "{it:?}");
        assert!(hops == 0 || heard_after > 0, "known without a request is known before: {it:?}");
    }
}

#[test]
fn who_moves_is_found_at_its_new_address() {
    let mut web = network(3, 30);
    web.pass(Duration::from_secs(10));
    for mover in [3, 9, 27] {
        web.moves(mover, 1);
    }
    web.pass(Duration::from_secs(5));
    for mover in [3, 9, 27] {
        let Answer::Found { newest, .. } = web.ask(14, &Ask::Find(node_id(mover))) else {
            panic!()
        };
        let found = newest.expect("it is found").endpoints().udp_addresses().next();
        assert_eq!(found, Some(web.hosts[mover].at), "{mover} is found where it is");
    }
}

/// In a small network most of the buckets that a joiner asks a boot node close to it for are empty.
#[test]
fn a_joiner_close_to_the_boot_node_gets_to_know_the_network() {
    let mut web = network(4, 21);
    web.pass(Duration::from_secs(10));
    let distance = |place: usize| node_id(place).log_distance(&node_id(0));
    assert!((1..21).any(|place| distance(place) < 254), "one is close");
    for place in 1..21 {
        let table = web.hosts[place].node.discovery().expect("it has discovery").table();
        let known = table.verified().count();
        assert!(known >= 10, "{place}, at distance {}, knows {known}", distance(place));
    }
}

/// A record in a cluster lock has seq 0, which in a WHOAREYOU stands for a record that is unknown.
#[test]
fn a_record_with_seq_0_proves_who_we_are() {
    let mut web = network(5, 1);
    let keys = [1_000, 1_001].map(web::key);
    let records = keys.iter().map(|key| Signed::sign(key, 0, &Endpoints::default())).collect();
    let manifest = Manifest::new("name".into(), "uuid".into(), [0; 32], 2, records);
    let [key, _] = keys;
    let config = Config {
        key,
        manifest: manifest.expect("a cluster"),
        external: vec![],
        hints: vec![],
        discovery: Some(Settings::default()),
    };
    let operator = web.join_as(config, BTreeMap::new());
    assert!(web.hosts[operator].node.own_record().is_none(), "it waits for its peers");
    let answer = web.ask(operator, &Ask::Ping(web.record(0)));
    assert!(matches!(answer, Answer::Pong { .. }), "{answer:?}");
}
