//! Handshakes with a peer, and packets that no codec would write.

use stayfound_core::discovery::cipher::{Mask, Nonce};
use stayfound_core::discovery::handshake::ChallengeData;
use stayfound_core::discovery::message::{Message, RequestId};
use stayfound_core::node::Counter;

use super::{Forgery, Heard, Peer};
use crate::lone::Lone;

/// The challenge that a packet without a session draws.
pub fn drawn(lone: &mut Lone, peer: &mut Peer) -> (ChallengeData, u64) {
    let random = peer.random();
    peer.send(lone, &random);
    let (data, _, enr_seq) = peer.challenged(lone);
    (data, enr_seq)
}

pub fn ping(peer: &mut Peer) -> Message<'static> {
    Message::Ping { id: peer.request_id(), enr_seq: 1 }
}

/// Sends a forged handshake, of which nothing must come.
pub fn refused(lone: &mut Lone, peer: &mut Peer, data: &ChallengeData, forgery: &Forgery) {
    let ping = ping(peer);
    let bytes = peer.forge(data, &ping, forgery);
    let sessions = lone.count(Counter::Sessions);
    peer.send(lone, &bytes);
    assert!(peer.inbox(lone).is_empty(), "nothing is said to who proves nothing");
    assert_eq!(lone.count(Counter::Sessions), sessions);
}

/// Answers a challenge as it should be; a PONG must come of it.
pub fn accepted(lone: &mut Lone, peer: &mut Peer, data: &ChallengeData, enr_seq: u64) {
    let ping = ping(peer);
    let bytes = peer.shake(data, enr_seq, &ping);
    peer.send(lone, &bytes);
    assert!(is_ponged(lone, peer), "who proves itself is answered");
}

pub fn is_ponged(lone: &mut Lone, peer: &mut Peer) -> bool {
    peer.hear_all(lone).iter().any(|heard| match heard {
        Heard::Message(_, text) => matches!(Message::decode(text), Ok(Message::Pong { .. })),
        _ => false,
    })
}

impl Peer {
    /// A NODES with these bytes for its one record, in the session: what [`Records`] would not write.
    pub fn seal_records(&mut self, id: RequestId, total: u64, record: &[u8]) -> Vec<u8> {
        use alloy_rlp::{Encodable, Header};
        let mut items = Vec::new();
        id.as_bytes().encode(&mut items);
        total.encode(&mut items);
        Header { list: true, payload_length: record.len() }.encode(&mut items);
        items.extend_from_slice(record);
        let mut text = vec![4];
        Header { list: true, payload_length: items.len() }.encode(&mut text);
        text.extend_from_slice(&items);
        self.seal_bytes(&text)
    }

    /// Any plaintext in the session.
    pub fn seal_bytes(&mut self, text: &[u8]) -> Vec<u8> {
        let (id, write) = (self.id, self.session.as_ref().expect("a session").write.clone());
        self.packet(0, &id.0, |nonce, packet, header_end| {
            packet.extend_from_slice(text);
            write.seal_in_place(nonce, packet, header_end);
        })
    }

    /// Any packet whose header is in order.
    pub fn raw(&mut self, flag: u8, authdata: &[u8], content: &[u8]) -> Vec<u8> {
        self.packet(flag, authdata, |_, packet, _| packet.extend_from_slice(content))
    }

    fn packet(
        &mut self,
        flag: u8,
        authdata: &[u8],
        fill: impl FnOnce(&Nonce, &mut Vec<u8>, usize),
    ) -> Vec<u8> {
        let (iv, nonce): ([u8; 16], Nonce) = (self.fresh(), self.fresh());
        let mut bytes = iv.to_vec();
        bytes.extend_from_slice(b"discv5\x00\x01");
        bytes.push(flag);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&u16::try_from(authdata.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(authdata);
        let header_end = bytes.len();
        fill(&nonce, &mut bytes, header_end);
        Mask::of(&self.target).apply(&iv, &mut bytes[16..header_end]);
        bytes
    }
}
