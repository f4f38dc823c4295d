//! What arrives from the network changes nothing but a counter, unless it is signed news.

mod lone;

use bytes::Bytes;
use lone::*;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::database::Database;
use stayfound_core::mesh::{FRAME_BYTES_MAX, Frame, Violation};
use stayfound_core::node::{CloseReason, Counter, Event, Input, LinkId};
use stayfound_core::record::Signed;

/// A node that is linked to operators 1 and 2 and holds news of operator 3.
fn at_work() -> (Lone, LinkId) {
    let mut lone = Lone::on_host(config(4), &["198.18.0.1"]);
    let link = lone.greet(1, "198.18.1.1:3610");
    lone.greet(2, "198.18.1.2:3610");
    lone.say(link, &records(&[&record(3, 50, &["198.18.1.3:3610"])]));
    lone.told.clear();
    (lone, link)
}

fn everything(lone: &Lone) -> (Database, Signed, usize) {
    (lone.database(), lone.own().clone(), lone.node.links().count())
}

/// Tells it over the first link and expects that one counter is all that changed.
fn only_counts(frame: &Frame, counter: Counter) {
    let (mut lone, link) = at_work();
    let before = (everything(&lone), lone.count(counter));
    lone.say(link, frame);
    assert_eq!((everything(&lone), lone.count(counter)), (before.0, before.1 + 1), "{frame:?}");
    assert!(lone.told.is_empty(), "it was passed on");
}

#[test]
fn an_old_record_replayed() {
    only_counts(&records(&[&record(3, 49, &["198.18.9.9:1"])]), Counter::RecordsStale);
    only_counts(&records(&[&record(3, 50, &["198.18.1.3:3610"])]), Counter::RecordsStale);
}

#[test]
fn a_record_with_a_bad_signature() {
    let mut bytes = record(3, 51, &["198.18.9.9:1"]).as_bytes().to_vec();
    bytes[20] ^= 1;
    only_counts(&Frame::Records(vec![bytes.into()]), Counter::RecordsInvalid);
}

#[test]
fn bytes_that_are_no_record() {
    for bytes in [&b""[..], b"\xc0", b"enr:", &[0xff; 300], &[0; 1_000]] {
        let frame = Frame::Records(vec![Bytes::copy_from_slice(bytes)]);
        only_counts(&frame, Counter::RecordsInvalid);
    }
}

#[test]
fn a_good_record_of_nobody_in_the_cluster() {
    only_counts(&records(&[&record(77, 1, &["198.18.9.9:1"])]), Counter::RecordsStrange);
}

#[test]
fn a_record_that_another_operator_relays_is_as_good_as_from_its_owner() {
    let (mut lone, link) = at_work();
    let news = record(3, 51, &["198.18.9.9:1"]);
    lone.say(link, &records(&[&news]));
    assert_eq!(lone.node.database().newest(&node_id(3)), Some(&news));
}

#[test]
fn an_operator_that_equivocates_is_flagged_and_everybody_is_told() {
    let (mut lone, link) = at_work();
    let twin = record(3, 50, &["198.18.9.9:1"]);
    lone.say(link, &records(&[&twin]));
    assert!(lone.events.contains(&Event::Equivocation { operator: operator(3), seq: 50 }));
    assert!(lone.node.database().get(&node_id(3)).unwrap().versions.rival().is_some());
    assert_eq!(lone.told.len(), 1, "the other linked operator hears of it");
}

/// The peer that breaks the protocol loses its link, and nothing else happens.
fn violates(bytes: &[u8], how: Violation) {
    let (mut lone, link) = at_work();
    let (database, own, links) = everything(&lone);
    lone.say_bytes(link, bytes);
    assert_eq!(everything(&lone), (database, own, links - 1));
    assert_eq!(lone.closed, [(link, CloseReason::Violation)]);
    assert!(lone.events.contains(&Event::Violated { operator: operator(1), how }), "{how:?}");
    // What it says afterwards is not heard.
    lone.say_bytes(link, &records(&[&record(3, 99, &[])]).encode());
    assert_eq!(lone.node.database().newest(&node_id(3)).unwrap().seq(), 50);
}

#[test]
fn frames_that_break_the_protocol() {
    violates(&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes(), Violation::Oversized);
    violates(&[0xff; 64], Violation::Oversized);
    violates(&[0, 0, 0, 2, 0xc1, 9], Violation::Version(9));
    violates(&[0, 0, 0, 1, 0x01], Violation::Malformed);
    violates(&[0, 0, 0, 0], Violation::Malformed);
    violates(&hello(&[]).encode(), Violation::OutOfOrder);
}

#[test]
fn a_word_before_hello_breaks_the_protocol() {
    let (mut lone, _) = at_work();
    let link = lone.open(3, "198.18.1.3:3610", None);
    lone.say(link, &records(&[&record(3, 99, &[])]));
    assert_eq!(lone.closed, [(link, CloseReason::Violation)]);
    assert_eq!(lone.node.database().newest(&node_id(3)).unwrap().seq(), 50);
}

#[test]
fn what_a_frame_says_before_the_one_that_violates_still_counts() {
    let (mut lone, link) = at_work();
    let good = records(&[&record(3, 51, &[])]).encode();
    lone.say_bytes(link, &[&good[..], &[0xff; 8]].concat());
    assert_eq!(lone.node.database().newest(&node_id(3)).unwrap().seq(), 51);
    assert_eq!(lone.closed, [(link, CloseReason::Violation)]);
}

#[test]
fn a_link_for_a_stranger_or_for_ourselves_is_closed_at_once() {
    for who in [77, 0] {
        let (mut lone, _) = at_work();
        let before = everything(&lone);
        let link = lone.open(who, "198.18.1.3:3610", None);
        assert_eq!(lone.closed, [(link, CloseReason::Stranger)]);
        assert_eq!((everything(&lone), lone.count(Counter::Strangers)), (before, 1));
        assert!(!lone.node.admits(key(who).public_key().as_bytes()));
    }
}

#[test]
fn inputs_about_links_and_dials_that_are_gone_are_ignored() {
    let (mut lone, link) = at_work();
    lone.close(link);
    let before = everything(&lone);
    lone.close(link);
    lone.input(Input::LinkMoved { link, remote: address("198.18.0.9:9") });
    lone.input(Input::LinkBytes { link, bytes: &[1, 2, 3] });
    lone.input(Input::DialFailed { dial: stayfound_core::node::DialId(9_999) });
    lone.input(Input::Hint { operator: operator(99), address: address("198.18.0.9:9") });
    assert_eq!(everything(&lone), before);
}

#[test]
fn a_thousand_links_of_one_operator_leave_a_few() {
    for peer in 1..4 {
        let (mut lone, _) = at_work();
        for n in 0..1_000u16 {
            lone.open(peer, &format!("198.18.1.3:{}", n + 1), None);
        }
        let open =
            1_000 - lone.closed.iter().filter(|(_, w)| *w == CloseReason::Superseded).count();
        assert!(open <= stayfound_core::mesh::LINKS_PER_PEER_MAX, "{open} links stay");
    }
}

#[test]
fn an_operator_that_signs_without_end_does_not_make_everybody_work_without_end() {
    use stayfound_core::node::{CHANGE_EVERY, CHANGES_AT_ONCE};
    let (mut lone, link) = at_work();
    let accepted = lone.count(Counter::RecordsAccepted);
    for seq in 1_000..2_000 {
        lone.say(link, &records(&[&record(3, seq, &["198.18.1.3:3610"])]));
    }
    let burst = lone.count(Counter::RecordsAccepted) - accepted;
    assert!(burst <= CHANGES_AT_ONCE as usize, "{burst} changes in a breath");
    let told: usize = lone.told.values().map(Vec::len).sum();
    assert!(told <= CHANGES_AT_ONCE as usize, "{told} frames to the one other peer");
    // The last word is not lost, and comes as soon as one change is forgotten.
    lone.pass(CHANGE_EVERY);
    assert_eq!(lone.node.database().newest(&node_id(3)).unwrap().seq(), 1_999);
    lone.pass(100 * CHANGE_EVERY);
    lone.say(link, &records(&[&record(3, 2_000, &["198.18.1.3:3610"])]));
    assert_eq!(lone.node.database().newest(&node_id(3)).unwrap().seq(), 2_000);
}

#[test]
fn an_operator_that_sees_us_now_here_now_there_does_not_make_us_sign_without_end() {
    use stayfound_core::node::{CHANGE_EVERY, CHANGES_AT_ONCE};
    // Nobody else is linked who could outvote it about which of our addresses peers see.
    let mut lone = Lone::settled(config(4), &["198.18.0.1", "198.18.0.2"]);
    let link = lone.greet(1, "198.18.1.1:3610");
    let first = lone.own().seq();
    for _ in 0..500 {
        lone.say(link, &seen("198.18.0.1:3610"));
        lone.say(link, &seen("198.18.0.2:3610"));
    }
    let signed = lone.own().seq() - first;
    assert!((1..=u64::from(CHANGES_AT_ONCE)).contains(&signed), "{signed} records in a breath");
    assert_eq!(lone.count(Counter::SightingsIgnored), 1_000 - CHANGES_AT_ONCE as usize);
    // It is heard again when it has calmed down.
    let elsewhere = match lone.own_address() {
        Some(own) if own == address("198.18.0.1:3610") => "198.18.0.2:3610",
        _ => "198.18.0.1:3610",
    };
    lone.pass(CHANGE_EVERY);
    lone.say(link, &seen(elsewhere));
    assert_eq!(lone.own_address(), Some(address(elsewhere)));
}

/// Of the frames that are right in form, but say more than one may.
#[test]
fn frames_that_hold_too_much() {
    use stayfound_core::mesh::{Hello, Holding, RECORDS_PER_FRAME_MAX};
    let bytes = Bytes::copy_from_slice(record(3, 51, &[]).as_bytes());
    let records = Frame::Records(vec![bytes; RECORDS_PER_FRAME_MAX + 1]);
    violates(&records.encode(), Violation::Malformed);
    let (mut lone, _) = at_work();
    let link = lone.open(3, "198.18.1.3:3610", None);
    let digest = vec![Holding::from(&record(3, 51, &[])); 257];
    lone.say(link, &Frame::Hello(Hello { cluster: CLUSTER, record: Bytes::new(), digest }));
    assert_eq!(lone.closed, [(link, CloseReason::Violation)]);
}

#[test]
fn what_a_digest_claims_changes_nothing() {
    let (mut lone, _) = at_work();
    let before = (lone.database(), lone.own().clone());
    let link = lone.open(3, "198.18.1.3:3610", None);
    let claims: Vec<_> = [0, 1, 2, 3, 77].map(|who| record(who, u64::MAX, &[])).into();
    lone.told.clear();
    lone.say(link, &hello(&claims.iter().collect::<Vec<_>>()));
    lone.pass(stayfound_core::node::FLOOR_WITHIN);
    let records = |database: &Database| {
        database.iter().map(|(id, entry)| (*id, entry.versions.clone())).collect::<Vec<_>>()
    };
    assert_eq!(records(&lone.database()), records(&before.0));
    assert_eq!(lone.own(), &before.1);
    assert_eq!(lone.records_told(link), vec![], "it claims to lack nothing");
}

#[test]
fn a_hello_with_the_record_of_another_is_no_other_than_any_relay() {
    use stayfound_core::mesh::Hello;
    let (mut lone, _) = at_work();
    let link = lone.open(3, "198.18.1.3:3610", None);
    let news = record(2, 51, &["198.18.9.9:1"]);
    let bytes = Bytes::copy_from_slice(news.as_bytes());
    lone.say(link, &Frame::Hello(Hello { cluster: CLUSTER, record: bytes, digest: vec![] }));
    assert_eq!(lone.node.database().newest(&node_id(2)), Some(&news));
    let linked: Vec<_> = lone.node.links().map(|(operator, ..)| operator).collect();
    assert_eq!(linked, [operator(1), operator(2), operator(3)], "it proves nobody's presence");
}

#[test]
fn an_operator_that_equivocates_without_end_leaves_two_records() {
    let (mut lone, link) = at_work();
    let twins: Vec<_> =
        (1..500).map(|port: u16| record(3, 51, &[&format!("198.18.9.9:{port}")])).collect();
    for twin in &twins {
        lone.say(link, &records(&[twin]));
    }
    lone.pass(std::time::Duration::from_secs(60));
    let entry = lone.node.database().get(&node_id(3)).unwrap().clone();
    let greatest = twins.iter().max_by_key(|twin| *twin.content_hash());
    assert_eq!(Some(entry.versions.newest()), greatest);
    assert_eq!(entry.versions.iter().count(), 2);
    let flagged = |event: &&Event| matches!(event, Event::Equivocation { .. });
    assert_eq!(lone.events.iter().filter(flagged).count(), 1, "it is told once");
}

#[test]
fn where_peers_cannot_see_us_is_no_news() {
    let (mut lone, link) = at_work();
    let before = everything(&lone);
    for nowhere in [
        "0.0.0.0:3610",
        "198.18.0.1:0",
        "127.0.0.1:3610",
        "10.0.0.1:3610",
        "169.254.0.1:3610",
        "224.0.0.1:3610",
        "255.255.255.255:3610",
        "[::]:3610",
        "[fe80::1]:3610",
        "203.0.113.9:3610", // one word against our own interface
    ] {
        lone.say(link, &seen(nowhere));
    }
    assert_eq!(everything(&lone), before);
}

#[test]
#[should_panic(expected = "time ran backwards")]
fn a_driver_whose_clock_runs_backwards_is_a_bug() {
    let (mut lone, _) = at_work();
    lone.pass(std::time::Duration::from_secs(1));
    lone.now = stayfound_core::time::Mono(0);
    lone.input(Input::Wake);
}

#[test]
#[should_panic(expected = "never asked for")]
fn a_write_that_was_never_asked_for_is_a_bug() {
    let (mut lone, _) = at_work();
    lone.input(Input::Durable { ticket: stayfound_core::node::Ticket(u64::MAX) });
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/hostile.txt"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes_change_nothing(
        bytes in prop::collection::vec(any::<u8>(), 1..2_000),
        kind in any::<u8>(),
        greeted in any::<bool>(),
    ) {
        let (mut lone, link) = at_work();
        let link = if greeted { link } else { lone.open(3, "198.18.1.3:3610", None) };
        let (database, own, links) = everything(&lone);
        // Framed, or the length prefix alone refuses nearly all of it.
        let mut framed = (bytes.len() as u32).to_be_bytes().to_vec();
        framed.extend_from_slice(&[0xc0 + kind.min(0x37), 1, kind % 5]);
        framed.extend_from_slice(&bytes);
        for piece in framed.chunks(97) {
            lone.say_bytes(link, piece);
        }
        let after = everything(&lone);
        prop_assert_eq!((after.0, after.1), (database, own));
        prop_assert!(after.2 + usize::from(greeted) >= links);
    }

    /// Frames of the right form with anything in them.
    #[test]
    fn random_records_change_nothing(
        bytes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20),
        flip in any::<prop::sample::Index>(),
    ) {
        let (mut lone, link) = at_work();
        let before = everything(&lone);
        let mut near = record(3, 51, &["198.18.9.9:1"]).as_bytes().to_vec();
        let place = flip.index(near.len());
        near[place] ^= 0x40;
        let bytes = bytes.into_iter().chain([near]).map(Bytes::from).collect();
        lone.say(link, &Frame::Records(bytes));
        prop_assert_eq!(everything(&lone), before);
    }
}
