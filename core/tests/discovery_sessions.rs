//! What sessions are bound to, how they are renewed, and when they go. Tests are named after the
//! statements of the specification that they check.

mod lone;
mod peer;

use std::time::Duration;

use peer::hands::{accepted, drawn, is_ponged, ping};
use peer::{Heard, Peer, answer, ask, node};
use stayfound_core::discovery::challenge::CHALLENGE_WITHIN;
use stayfound_core::discovery::cipher::Mask;
use stayfound_core::discovery::packet::{Kind, PACKET_BYTES_MAX, Packet};
use stayfound_core::discovery::session::{PREVIOUS_FOR, SESSIONS_MAX};
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::{Counter, Input};
use stayfound_core::record::{Endpoints, Signed};

const NEAR: &str = "192.0.2.7:9000";

#[test]
fn r38_a_handshake_counts_once_and_in_time() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    let (data, _) = drawn(&mut lone, &mut peer);
    let ping = ping(&mut peer);
    let bytes = peer.shake(&data, 0, &ping);
    peer.send(&mut lone, &bytes);
    peer.answers(&mut lone);
    let sessions = lone.count(Counter::Sessions);
    peer.send(&mut lone, &bytes);
    assert!(peer.inbox(&mut lone).is_empty());
    // Under another challenge it proves nothing.
    let mut late = Peer::new(2, "192.0.2.8:9000");
    let (data, _) = drawn(&mut lone, &mut late);
    let bytes = late.shake(&data, 0, &ping);
    lone.pass(CHALLENGE_WITHIN);
    late.send(&mut lone, &bytes);
    assert!(late.inbox(&mut lone).is_empty(), "its time is over");
    drawn(&mut lone, &mut late);
    late.send(&mut lone, &bytes);
    assert!(late.inbox(&mut lone).is_empty(), "it answers another challenge");
    assert_eq!(lone.count(Counter::Sessions), sessions);
    assert_eq!(lone.count(Counter::HandshakesUnasked), 2);
    assert_eq!(lone.count(Counter::HandshakesInvalid), 1);
}

#[test]
fn r39_a_handshake_counts_at_its_endpoint_only() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    let (data, _) = drawn(&mut lone, &mut peer);
    let ping = ping(&mut peer);
    let bytes = peer.shake(&data, 0, &ping);
    let mut elsewhere = peer.moved("192.0.2.8:9000");
    elsewhere.send(&mut lone, &bytes);
    assert!(elsewhere.inbox(&mut lone).is_empty());
    drawn(&mut lone, &mut elsewhere); // even with a challenge of its own there
    elsewhere.send(&mut lone, &bytes);
    assert!(elsewhere.inbox(&mut lone).is_empty());
    assert_eq!(lone.count(Counter::Sessions), 0);
}

#[test]
fn r40_the_session_used_longest_ago_makes_room() {
    let mut lone = node();
    let at = |place: usize| format!("20.{}.{}.7:9000", place / 256, place % 256);
    let mut first = Peer::new(1, &at(0));
    let mut second = Peer::new(2, &at(1));
    first.connects(&mut lone);
    second.connects(&mut lone);
    let ping = ping(&mut first);
    for place in 2..=SESSIONS_MAX {
        if place == SESSIONS_MAX / 2 {
            assert_eq!(first.asks(&mut lone, &ping).len(), 1);
        }
        let mut other = Peer::new(place as u16 + 1, &at(place));
        other.shakes_hands(&mut lone);
        lone.datagrams.clear();
        lone.now = lone.now + Duration::from_millis(1);
    }
    second.inbox(&mut lone);
    second.say(&mut lone, &ping);
    assert!(matches!(second.hear_all(&mut lone)[..], [Heard::Challenge { .. }]), "it had to go");
    first.inbox(&mut lone);
    assert_eq!(first.asks(&mut lone, &ping).len(), 1, "it was used since");
}

#[test]
fn r41_who_roams_shakes_hands_again() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let mut elsewhere = peer.moved("192.0.2.8:9000");
    let ping = ping(&mut peer);
    elsewhere.say(&mut lone, &ping);
    let (data, _, enr_seq) = elsewhere.challenged(&mut lone);
    assert_eq!(peer.asks(&mut lone, &ping).len(), 1, "the old session stays where it is");
    accepted(&mut lone, &mut elsewhere, &data, enr_seq);
    assert_eq!(peer.asks(&mut lone, &ping).len(), 1);
}

#[test]
fn r42_nonces_are_counted_and_random() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let mut nonces = Vec::new();
    for _ in 0..50 {
        let ping = ping(&mut peer);
        peer.say(&mut lone, &ping);
        nonces.extend(peer.hear_all(&mut lone).into_iter().map(|heard| match heard {
            Heard::Message(nonce, _) => nonce,
            other => panic!("{other:?}"),
        }));
    }
    let count = |nonce: &[u8; 12]| u32::from_be_bytes(*nonce.first_chunk().unwrap());
    assert!(nonces.is_sorted_by(|a, b| count(a) + 1 == count(b)));
    let mut random: Vec<&[u8]> = nonces.iter().map(|nonce| &nonce[4..]).collect();
    random.sort_unstable();
    random.dedup();
    assert_eq!(random.len(), 50);
}

#[test]
fn r43_each_side_writes_with_its_own_key() {
    // The peer derives both keys by itself, in both roles: it could not read otherwise.
    let mut lone = node();
    let mut recipient = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(recipient.record.clone()));
    recipient.answers(&mut lone);
    assert!(matches!(answer(&lone, 1), Some(Answer::Pong { .. })));
    let mut initiator = Peer::new(2, "192.0.2.9:9000");
    initiator.connects(&mut lone);
    assert_eq!(initiator.finds(&mut lone, &[0]), [lone.own().clone()]);
}

#[test]
fn handshakes_that_cross_leave_both_sides_with_a_session() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    let random = peer.random();
    peer.send(&mut lone, &random);
    let heard = peer.hear_all(&mut lone);
    let [Heard::Sealed(theirs), Heard::Challenge { data, .. }] = &heard[..] else {
        panic!("{heard:?}")
    };
    let challenge = peer.challenge(theirs, 0);
    let ping = ping(&mut peer);
    let mut initiator = peer.clone();
    let handshake = initiator.shake(data, 0, &ping);
    peer.send(&mut lone, &challenge);
    peer.send(&mut lone, &handshake);
    // The node has shaken hands, and was shaken by: it reads what either session says.
    let heard = peer.inbox(&mut lone);
    assert!(matches!(peer.hear(&heard[0]), Heard::Handshake(..)));
    initiator.say(&mut lone, &ping);
    assert!(is_ponged(&mut lone, &mut initiator));
    peer.say(&mut lone, &ping);
    assert!(is_ponged(&mut lone, &mut peer));
    initiator.say(&mut lone, &ping);
    assert!(is_ponged(&mut lone, &mut initiator));
}

#[test]
fn a_record_without_an_address_is_an_identity_all_the_same() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.record = Signed::sign(&peer.key, 1, &Endpoints::default());
    let (data, enr_seq) = drawn(&mut lone, &mut peer);
    accepted(&mut lone, &mut peer, &data, enr_seq);
}

/// Keys that were given up come not back because somebody sends again what was sent under them.
#[test]
fn a_packet_of_old_keys_that_comes_again_changes_no_keys() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let old = ping(&mut peer);
    let old = peer.seal(&old);
    peer.shakes_hands(&mut lone);
    peer.answers(&mut lone);
    lone.pass(PREVIOUS_FOR);
    peer.answers(&mut lone);
    peer.send(&mut lone, &old);
    assert!(matches!(peer.hear_all(&mut lone)[..], [Heard::Challenge { .. }]));
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    peer.answers(&mut lone);
    assert!(matches!(answer(&lone, 1), Some(Answer::Pong { .. })));
}

/// A host that was put back to an earlier state, twice: with fresh randomness the two never seal two
/// messages with one nonce, nor shake hands with one key; with the same, or none, they do the same.
#[test]
fn r42_who_was_put_back_draws_no_nonce_again() {
    let said = |fresh: Option<[u8; 32]>| {
        let mut lone = node();
        let mut peer = Peer::new(1, NEAR);
        peer.connects(&mut lone);
        fresh.iter().for_each(|fresh| lone.input(Input::Entropy { fresh }));
        ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
        let in_session = peer.hear_all(&mut lone);
        let [Heard::Message(nonce, _)] = in_session[..] else { panic!("{in_session:?}") };
        ask(&mut lone, 2, &Ask::Ping(peer.record.clone()));
        let Heard::Message(of, _) = peer.hear_all(&mut lone).remove(0) else { panic!("no PING") };
        peer.forgets();
        let bytes = peer.challenge(&of, 1);
        peer.send(&mut lone, &bytes);
        let handshake = peer.inbox(&mut lone).remove(0);
        assert!(matches!(peer.hear(&handshake), Heard::Handshake(..)));
        let mut scratch = [0; PACKET_BYTES_MAX];
        let packet = Packet::decode(&Mask::of(&peer.id), &handshake, &mut scratch).unwrap();
        let Kind::Handshake { ephemeral, .. } = packet.kind else { panic!("no handshake") };
        (nonce, *ephemeral)
    };
    let (first, second) = (said(Some([1; 32])), said(Some([2; 32])));
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_eq!(first, said(Some([1; 32])));
    assert_eq!(said(None), said(None));
}
