//! Discovery as its users see it: nodes that join, move, vanish and are found.

mod web;

use std::time::Duration;

use bytes::Bytes;
use stayfound_core::discovery::{Answer, Ask};
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
