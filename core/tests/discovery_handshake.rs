//! How a session comes to be, against a peer that plays by the rules and against one that does
//! not. Tests are named after the statements of the specification that they check.

mod lone;
mod peer;

use std::time::Duration;

use peer::hands::{accepted, drawn, is_ponged, ping, refused};
use peer::{Forgery, Heard, Peer, answer, ask, node};
use stayfound_core::discovery::challenge::{CHALLENGE_WITHIN, FAILURES_MAX};
use stayfound_core::discovery::message::Message;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::Counter;
use stayfound_core::record::Signed;

const NEAR: &str = "192.0.2.7:9000";

#[test]
fn r18_the_id_nonce_is_random() {
    let mut lone = node();
    let (mut one, mut two) = (Peer::new(1, NEAR), Peer::new(1, "192.0.2.8:9000"));
    let (one, two) = (drawn(&mut lone, &mut one).0.0, drawn(&mut lone, &mut two).0.0);
    assert_ne!(one[..16], two[..16], "masking IV");
    assert_ne!(one[39..55], two[39..55], "id-nonce");
}

#[test]
fn r21_the_first_packet_is_random_and_long_enough() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    let inbox = peer.inbox(&mut lone);
    assert_eq!(inbox.iter().map(|bytes| bytes.len()).collect::<Vec<_>>(), [115]);
    assert!(matches!(peer.hear(&inbox[0]), Heard::Sealed(_)));
}

#[test]
fn r22_a_challenge_names_the_seq_of_the_stored_record() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    assert_eq!(drawn(&mut lone, &mut peer).1, 0);
    lone.pass(CHALLENGE_WITHIN);
    peer.reissues(77, &[NEAR]);
    peer.connects(&mut lone);
    let mut elsewhere = peer.moved("192.0.2.8:9000");
    assert_eq!(drawn(&mut lone, &mut elsewhere).1, 77);
    // A session that does not open the packet draws one as well.
    peer.forgets();
    assert_eq!(drawn(&mut lone, &mut peer).1, 77);
}

#[test]
fn r23_the_record_of_a_challenge_is_kept_with_it() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let mut elsewhere = peer.moved("192.0.2.8:9000");
    let (data, enr_seq) = drawn(&mut lone, &mut elsewhere);
    assert_eq!(enr_seq, 1, "so no record need come with the handshake");
    accepted(&mut lone, &mut elsewhere, &data, enr_seq);
}

#[test]
fn r25_every_handshake_has_its_own_ephemeral_key_and_r18_iv() {
    let mut lone = node();
    let mut seen = Vec::new();
    for number in 1..9 {
        let mut peer = Peer::new(number, &format!("192.0.2.{number}:9000"));
        ask(&mut lone, number.into(), &Ask::Ping(peer.record.clone()));
        let heard = peer.hear_all(&mut lone);
        let [Heard::Sealed(nonce)] = &heard[..] else { panic!("{heard:?}") };
        let bytes = peer.challenge(nonce, 0);
        peer.send(&mut lone, &bytes);
        let packet = peer.inbox(&mut lone).remove(0);
        peer.hear(&packet);
        seen.push((packet.slice(..16), packet.slice(16 + 23 + 34 + 64..16 + 23 + 34 + 64 + 33)));
    }
    for (place, one) in seen.iter().enumerate() {
        assert!(seen[..place].iter().all(|other| other.0 != one.0 && other.1 != one.1));
    }
}

#[test]
fn r28_the_record_is_included_whenever_its_seq_differs() {
    let own = node().own().seq();
    for (enr_seq, included) in [(0, true), (own - 1, true), (own, false), (own + 1, true)] {
        let mut lone = node();
        let mut peer = Peer::new(1, NEAR);
        ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
        let heard = peer.hear_all(&mut lone);
        let [Heard::Sealed(nonce)] = &heard[..] else { panic!("{heard:?}") };
        let bytes = peer.challenge(nonce, enr_seq);
        peer.send(&mut lone, &bytes);
        let heard = peer.hear_all(&mut lone);
        let [Heard::Handshake(_, _, record)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(record.as_ref(), included.then(|| lone.own()), "for enr-seq {enr_seq}");
    }
}

#[test]
fn r29_the_record_must_belong_to_the_sender() {
    let mut lone = node();
    let (mut peer, other) = (Peer::new(1, NEAR), Peer::new(2, NEAR));
    let (data, _) = drawn(&mut lone, &mut peer);
    // Another node's record, and that node's signature: all is right but the id in the packet.
    let record = Some(Some(other.record.as_bytes().to_vec()));
    let forgery = Forgery { record, signer: Some(other.key.clone()), ..Forgery::default() };
    refused(&mut lone, &mut peer, &data, &forgery);
    // Its own record, with a signature that does not verify.
    let mut bytes = peer.record.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    refused(
        &mut lone,
        &mut peer,
        &data,
        &Forgery { record: Some(Some(bytes)), ..Forgery::default() },
    );
    accepted(&mut lone, &mut peer, &data, 0);
}

#[test]
fn r29_an_older_record_replaces_nothing() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.reissues(5, &[NEAR]);
    peer.connects(&mut lone);
    let mut rewound = Peer::new(1, NEAR);
    rewound.forgets();
    let (data, enr_seq) = drawn(&mut lone, &mut rewound);
    assert_eq!(enr_seq, 5);
    accepted(&mut lone, &mut rewound, &data, enr_seq);
    rewound.answers(&mut lone);
    let mut third = Peer::new(3, "203.0.113.3:9000");
    third.connects(&mut lone);
    let found = third.finds(&mut lone, &[peer.distance()]);
    let of_peer = |record: &&Signed| record.node_id() == peer.id;
    assert_eq!(found.iter().filter(of_peer).collect::<Vec<_>>(), [&peer.record]);
}

#[test]
fn r30_no_record_and_none_stored_is_no_session() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    let (data, _) = drawn(&mut lone, &mut peer);
    refused(&mut lone, &mut peer, &data, &Forgery { record: Some(None), ..Forgery::default() });
}

#[test]
fn r31_a_session_takes_a_proof_and_a_message_that_opens() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    let (data, _) = drawn(&mut lone, &mut peer);
    let stranger = Some(peer::key(9));
    refused(&mut lone, &mut peer, &data, &Forgery { signer: stranger, ..Forgery::default() });
    refused(&mut lone, &mut peer, &data, &Forgery { bad_message: true, ..Forgery::default() });
    accepted(&mut lone, &mut peer, &data, 0);
}

#[test]
fn r31_an_ephemeral_key_that_is_no_point_is_refused() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    let (data, _) = drawn(&mut lone, &mut peer);
    refused(
        &mut lone,
        &mut peer,
        &data,
        &Forgery { ephemeral: Some([0; 33]), ..Forgery::default() },
    );
    refused(
        &mut lone,
        &mut peer,
        &data,
        &Forgery { ephemeral: Some([0xff; 33]), ..Forgery::default() },
    );
    accepted(&mut lone, &mut peer, &data, 0);
}

#[test]
fn r32_old_keys_count_until_new_ones_are_proved() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let old = peer.clone();
    // The node asks, and somebody who saw the packet's nonce challenges it.
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    let heard = peer.hear_all(&mut lone);
    let [Heard::Message(nonce, _)] = &heard[..] else { panic!("{heard:?}") };
    let bytes = peer.challenge(nonce, 0);
    peer.send(&mut lone, &bytes);
    let heard = peer.hear_all(&mut lone);
    assert!(matches!(heard[..], [Heard::Handshake(..)]), "{heard:?}");
    // The peer itself knows nothing of that and goes on as before.
    let mut old = old;
    let ping = ping(&mut old);
    let text = old.asks(&mut lone, &ping);
    assert!(matches!(Message::decode(&text[0]), Ok(Message::Pong { .. })));
    // Whatever the request comes to, the session outlives it.
    lone.pass(Duration::from_secs(2));
    assert_eq!(answer(&lone, 1), Some(Answer::Silence));
    old.inbox(&mut lone);
    assert_eq!(old.asks(&mut lone, &ping).len(), 1);
}

#[test]
fn r33_c03_requests_without_a_session_wait_for_it() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    for id in 1..=3 {
        ask(&mut lone, id, &Ask::Ping(peer.record.clone()));
    }
    let heard = peer.hear_all(&mut lone);
    let [Heard::Sealed(nonce)] = &heard[..] else { panic!("one at a time, not {heard:?}") };
    let bytes = peer.challenge(nonce, 0);
    peer.send(&mut lone, &bytes);
    let heard = peer.hear_all(&mut lone);
    let [Heard::Handshake(_, text, _)] = &heard[..] else { panic!("{heard:?}") };
    let Ok(Message::Ping { id, .. }) = Message::decode(text) else { panic!() };
    let pong = Message::Pong { id, enr_seq: 1, observed: peer::home() };
    peer.say(&mut lone, &pong);
    let waited = peer.hear_all(&mut lone);
    assert!(waited.len() >= 2 && waited.iter().all(|heard| matches!(heard, Heard::Message(..))));
}

#[test]
fn r33_a_challenge_voids_what_else_is_in_flight() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    for id in 1..=3 {
        ask(&mut lone, id, &Ask::Ping(peer.record.clone()));
    }
    let heard = peer.hear_all(&mut lone);
    let [_, Heard::Message(nonce, _), _] = &heard[..] else { panic!("{heard:?}") };
    peer.forgets();
    let bytes = peer.challenge(nonce, 1);
    peer.send(&mut lone, &bytes);
    let heard = peer.hear_all(&mut lone);
    let [Heard::Handshake(_, text, _)] = &heard[..] else { panic!("{heard:?}") };
    let Ok(Message::Ping { id, .. }) = Message::decode(text) else { panic!() };
    let pong = Message::Pong { id, enr_seq: 1, observed: peer::home() };
    peer.say(&mut lone, &pong);
    assert!(answer(&lone, 2).is_some());
    peer.answers(&mut lone);
    for id in [1, 3] {
        assert!(matches!(answer(&lone, id), Some(Answer::Pong { .. })), "{id} is asked again");
    }
}

#[test]
fn r34_c04_a_challenge_counts_only_for_what_was_sent_there() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    let heard = peer.hear_all(&mut lone);
    let [Heard::Sealed(nonce)] = &heard[..] else { panic!("{heard:?}") };
    let unasked = peer.challenge(&[7; 12], 0);
    peer.send(&mut lone, &unasked);
    let good = peer.challenge(nonce, 0);
    peer.moved("192.0.2.8:9000").send(&mut lone, &good);
    peer.moved("192.0.2.7:9001").send(&mut lone, &good);
    assert!(lone.datagrams.is_empty(), "neither is answered, to nobody");
    assert_eq!(lone.count(Counter::ChallengesUnasked), 3);
    peer.send(&mut lone, &good);
    assert!(matches!(peer.hear_all(&mut lone)[..], [Heard::Handshake(..)]));
}

#[test]
fn r34_a_dual_stack_socket_reports_the_same_address() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    let heard = peer.hear_all(&mut lone);
    let [Heard::Sealed(nonce)] = &heard[..] else { panic!("{heard:?}") };
    let bytes = peer.challenge(nonce, 0);
    peer.moved("[::ffff:192.0.2.7]:9000").send(&mut lone, &bytes);
    assert!(matches!(peer.hear_all(&mut lone)[..], [Heard::Handshake(..)]));
}

#[test]
fn r35_a_second_challenge_fails_the_request() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    let heard = peer.hear_all(&mut lone);
    let [Heard::Sealed(nonce)] = &heard[..] else { panic!("{heard:?}") };
    let bytes = peer.challenge(nonce, 0);
    peer.send(&mut lone, &bytes);
    let heard = peer.hear_all(&mut lone);
    let [Heard::Handshake(nonce, ..)] = &heard[..] else { panic!("{heard:?}") };
    let bytes = peer.challenge(nonce, 0);
    peer.send(&mut lone, &bytes);
    assert!(peer.inbox(&mut lone).is_empty());
    assert_eq!(answer(&lone, 1), Some(Answer::Silence));
}

/// Two requests, challenged in turn, must not keep each other alive.
#[test]
fn r35_whoever_challenges_in_turn_comes_to_an_end() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    ask(&mut lone, 2, &Ask::Ping(peer.record.clone()));
    for _ in 0..1_000 {
        for heard in peer.hear_all(&mut lone) {
            match heard {
                Heard::Sealed(nonce) | Heard::Message(nonce, _) => {
                    let bytes = peer.challenge(&nonce, 0);
                    peer.send(&mut lone, &bytes);
                }
                Heard::Handshake(..) => {
                    let ping = ping(&mut peer);
                    peer.say(&mut lone, &ping);
                }
                Heard::Challenge { .. } => panic!("the node knows the peer's keys"),
            }
        }
        lone.pass(Duration::from_millis(10));
    }
    assert!(answer(&lone, 1).is_some() && answer(&lone, 2).is_some());
    let shaken = lone.count(Counter::HandshakesSent);
    assert!(shaken <= 16, "{shaken} handshakes in ten seconds");
}

#[test]
fn r36_a_challenge_is_repeated_while_it_waits() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    let first = peer.random();
    peer.send(&mut lone, &first);
    let challenge = peer.inbox(&mut lone);
    let second = peer.random();
    peer.send(&mut lone, &second);
    assert_eq!(peer.inbox(&mut lone), challenge, "byte for byte");
    lone.pass(CHALLENGE_WITHIN);
    peer.send(&mut lone, &second);
    assert_ne!(peer.inbox(&mut lone), challenge, "then there is a new one");
}

#[test]
fn r37_a_challenge_outlives_some_failures_only() {
    for (failures, lives) in [(FAILURES_MAX - 1, true), (FAILURES_MAX, false)] {
        let mut lone = node();
        let mut peer = Peer::new(1, NEAR);
        let (data, _) = drawn(&mut lone, &mut peer);
        for _ in 0..failures {
            let forgery = Forgery { signer: Some(peer::key(9)), ..Forgery::default() };
            refused(&mut lone, &mut peer, &data, &forgery);
        }
        let ping = ping(&mut peer);
        let good = peer.shake(&data, 0, &ping);
        peer.send(&mut lone, &good);
        assert_eq!(is_ponged(&mut lone, &mut peer), lives, "after {failures} failures");
        let unasked = lone.count(Counter::HandshakesUnasked);
        assert_eq!(unasked, usize::from(!lives), "a dropped challenge costs no verification");
    }
}

#[test]
fn r37_a_bad_handshake_ends_no_session() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let mut forger = Peer::new(1, NEAR);
    let (data, _) = drawn(&mut lone, &mut forger);
    for _ in 0..=FAILURES_MAX {
        let forgery = Forgery { signer: Some(peer::key(9)), ..Forgery::default() };
        refused(&mut lone, &mut forger, &data, &forgery);
    }
    let ping = ping(&mut peer);
    assert_eq!(peer.asks(&mut lone, &ping).len(), 1);
}
