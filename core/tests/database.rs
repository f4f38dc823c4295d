//! What the node database remembers, and that to be remembered is not to be let in.

mod lone;

use std::collections::BTreeMap;

use lone::*;
use stayfound_core::database::{Entry, Provenance};
use stayfound_core::mesh::Frame;
use stayfound_core::node::{CHANGE_EVERY, Input};
use stayfound_core::record::Signed;

fn entry(lone: &Lone, operator: u8) -> Entry {
    lone.node.database().get(&node_id(operator)).expect("held").clone()
}

#[test]
fn of_every_record_it_is_known_from_whom_and_since_when() {
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "198.18.1.1:3610");
    lone.pass(CHANGE_EVERY);
    let then = EPOCH + lone.now.since(stayfound_core::time::Mono(0));
    let news = record(3, 50, &["198.18.1.3:3610"]);
    lone.say(link, &records(&[&news]));
    lone.pass(CHANGE_EVERY);
    lone.say(link, &records(&[&news, &record(3, 49, &[])]));

    let third = entry(&lone, 3);
    assert_eq!((third.provenance, third.first), (Provenance::Peer(operator(1)), EPOCH));
    assert_eq!((third.updated, third.versions.newest()), (then, &news));
    let second = entry(&lone, 2);
    assert_eq!((second.provenance, second.updated), (Provenance::Manifest, EPOCH));
    assert_eq!(entry(&lone, 0).provenance, Provenance::Own);
}

#[test]
fn who_left_the_cluster_is_remembered_and_neither_let_in_nor_told_of() {
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "198.18.1.1:3610");
    let news = record(3, 50, &["198.18.1.3:3610"]);
    lone.say(link, &records(&[&news]));

    let mut lone = Lone::restarted(config(3), lone.disk, lone.now);
    lone.up("198.18.0.1");
    lone.bind("0.0.0.0:3610");
    assert_eq!(entry(&lone, 3).versions.newest(), &news, "nothing is ever evicted");
    assert!(!lone.node.admits(key(3).public_key().as_bytes()));
    let link = lone.greet(1, "198.18.1.1:3610");
    assert!(lone.records_told(link).iter().all(|told| told.node_id() != node_id(3)));
    let named = lone.told[&link].iter().any(|frame| match frame {
        Frame::Hello(hello) => hello.digest.iter().any(|held| held.node_id == node_id(3)),
        _ => false,
    });
    assert!(!named, "the digest is of the cluster");
    assert_eq!(lone.dials.iter().filter(|(.., at)| at.ip().to_string() == "198.18.1.3").count(), 0);
}

#[test]
fn whatever_changes_in_the_database_is_on_the_disk() {
    let mut lone = Lone::settled(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "198.18.1.1:3610");
    let news: Vec<Signed> = (1..4).map(|peer| record(peer, 50, &["198.18.1.9:1"])).collect();
    lone.say(link, &records(&news.iter().collect::<Vec<_>>()));
    lone.say(link, &records(&[&record(2, 50, &["198.18.1.9:2"])])); // equivocation
    lone.input(Input::LinkMoved { link, remote: address("198.18.1.1:9") });
    lone.up("203.0.113.5");
    let rows = lone.node.database().iter().map(|(id, _)| (*id, lone.node.database().row(id)));
    assert_eq!(lone.disk, rows.collect::<BTreeMap<_, _>>());
}
