//! What the public conformance suite asks of a node (go-ethereum, `devp2p discv5 test`), in its
//! words and at the level of the core: no time passes in these tests, and the suite gives 300 ms.

mod lone;
mod peer;

use lone::Lone;
use peer::hands::{accepted, ping};
use peer::{Heard, Peer, node};
use stayfound_core::discovery::message::{Message, RequestId};
use stayfound_core::node::Counter;

const LISTEN_1: &str = "127.0.0.1:30001";
const LISTEN_2: &str = "127.0.0.2:30002";

/// The suite's client, which answers nothing that the node asks.
fn client(lone: &mut Lone) -> Peer {
    let mut peer = Peer::new(1, LISTEN_1);
    peer.shakes_hands(lone);
    peer.inbox(lone);
    peer
}

/// The one PONG with this id.
fn ponged(lone: &mut Lone, peer: &mut Peer, id: RequestId) {
    let texts = peer.asks(lone, &Message::Ping { id, enr_seq: 1 });
    let [text] = &texts[..] else { panic!("{texts:?} to one PING") };
    let pong = Message::Pong { id, enr_seq: lone.own().seq(), observed: peer.at };
    assert_eq!(Message::decode(text), Ok(pong));
}

#[test]
fn conformance_ping() {
    let mut lone = node();
    let mut peer = client(&mut lone);
    ponged(&mut lone, &mut peer, RequestId::new(&[0, 0, 0, 1]).unwrap());
}

#[test]
fn conformance_ping_large_request_id() {
    let mut lone = node();
    let mut peer = client(&mut lone);
    // PING [9 bytes of id, 1].
    let text = [&[1, 0xcb, 0x89][..], &[1; 9], &[1]].concat();
    let bytes = peer.seal_bytes(&text);
    peer.send(&mut lone, &bytes);
    assert!(peer.inbox(&mut lone).is_empty());
    assert_eq!(lone.count(Counter::MessagesInvalid), 1);
    ponged(&mut lone, &mut peer, RequestId::new(&[1; 8]).unwrap()); // and no harm done
}

#[test]
fn conformance_ping_multi_ip() {
    let mut lone = node();
    let mut one = client(&mut lone);
    let id = one.request_id();
    ponged(&mut lone, &mut one, id);
    let mut two = one.moved(LISTEN_2);
    let message = ping(&mut two);
    two.say(&mut lone, &message);
    let (data, _, enr_seq) = two.challenged(&mut lone);
    accepted(&mut lone, &mut two, &data, enr_seq);
    // The suite keeps one session per node: from the first address it goes on with the second's keys.
    let mut back = two.moved(LISTEN_1);
    back.say(&mut lone, &message);
    let heard = back.hear_all(&mut lone);
    assert!(matches!(heard[..], [Heard::Challenge { .. }]), "{heard:?}");
}

#[test]
fn conformance_handshake_resend() {
    let mut lone = node();
    let mut peer = Peer::new(1, LISTEN_1);
    let packets = [peer.random(), peer.random()];
    peer.send(&mut lone, &packets[0]);
    let first = peer.inbox(&mut lone);
    peer.send(&mut lone, &packets[1]);
    assert_eq!(first.len(), 1);
    assert_eq!(peer.inbox(&mut lone), first, "nonce, IV and header of the first");
}

#[test]
fn conformance_talk_request() {
    let mut lone = node();
    let mut peer = client(&mut lone);
    for id in [RequestId::new(&[0, 0, 0, 1]).unwrap(), RequestId::new(&[]).unwrap()] {
        let talk =
            Message::TalkRequest { id, protocol: b"test-protocol", request: b"test-message" };
        let texts = peer.asks(&mut lone, &talk);
        let [text] = &texts[..] else { panic!("{texts:?} to one TALKREQ") };
        assert_eq!(Message::decode(text), Ok(Message::TalkResponse { id, response: &[] }));
    }
}

#[test]
fn conformance_findnode_zero_distance() {
    let mut lone = node();
    let mut peer = client(&mut lone);
    assert_eq!(peer.finds(&mut lone, &[0]), [lone.own().clone()]);
}

#[test]
fn conformance_findnode_results() {
    let mut lone = node();
    let mut bystanders: Vec<Peer> = (0..5)
        .map(|place| Peer::new(10 + place, &format!("127.0.0.1:{}", 31_000 + place)))
        .collect();
    for bystander in &mut bystanders {
        bystander.shakes_hands(&mut lone);
        let before = bystander.packets;
        bystander.answers(&mut lone); // PONG, and a PING back
        assert!(bystander.packets - before >= 2, "it was not pinged back");
    }
    let mut distances: Vec<u16> = bystanders.iter().map(Peer::distance).collect();
    distances.sort_unstable();
    distances.dedup();
    let mut peer = client(&mut lone);
    let found = peer.finds(&mut lone, &distances);
    for bystander in &bystanders {
        assert!(found.contains(&bystander.record));
    }
}
