//! A client of discv5 made of the core's codecs alone, with no machine behind it: what a node is
//! tested and measured with, and what a hostile stranger would use.

use std::net::SocketAddr;

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::discovery::cipher::{Cipher, Mask};
use stayfound_core::discovery::handshake::{self, ChallengeData};
use stayfound_core::discovery::message::Message;
use stayfound_core::discovery::packet::{
    self, Kind, Nonce, PACKET_BYTES_MAX, Packet, RANDOM_BYTES,
};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, NodeId, Signed};

/// A key, a record and a source of chance.
pub struct Client {
    key: SecretKey,
    record: Signed,
    mask: Mask,
    chance: Stream,
}

/// Whom a client talks to.
pub struct Peer {
    record: Signed,
    mask: Mask,
}

/// The keys that a client and its peer share.
#[derive(Clone)]
pub struct Session {
    read: Cipher,
    write: Cipher,
}

/// A WHOAREYOU that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Of the packet that it answers.
    pub nonce: Nonce,
    /// What both sides compute with.
    pub data: ChallengeData,
    /// The seq of the client's record that the peer holds, 0 for none.
    pub enr_seq: u64,
}

impl Client {
    /// The client with this key, whose record names these addresses.
    #[must_use]
    pub fn new(key: SecretKey, at: impl IntoIterator<Item = SocketAddr>) -> Self {
        let record = Signed::sign(&key, 1, &Endpoints::at(at));
        let mask = Mask::of(&record.node_id());
        let chance = Chance::new(record.node_id().0).stream("client");
        Self { key, record, mask, chance }
    }

    /// Its record.
    #[must_use]
    pub fn record(&self) -> &Signed {
        &self.record
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.record.node_id()
    }

    /// An ordinary packet of random content, and its nonce.
    pub fn probe(&mut self, to: &Peer) -> (Nonce, Vec<u8>) {
        let (iv, nonce) = (self.random(), self.random());
        let content = self.random::<RANDOM_BYTES>();
        (nonce, packet::random(&to.mask, &iv, &nonce, &self.id(), &content))
    }

    /// The challenge in a datagram; `None` if it is anything else.
    #[must_use]
    pub fn challenge(&self, datagram: &[u8]) -> Option<Challenge> {
        let mut scratch = [0; PACKET_BYTES_MAX];
        let packet = Packet::decode(&self.mask, datagram, &mut scratch).ok()?;
        let Kind::WhoAreYou { enr_seq, .. } = packet.kind else { return None };
        Some(Challenge { nonce: packet.nonce, data: packet.challenge_data()?, enr_seq })
    }

    /// Answers a challenge with a message; the record goes along if the peer holds none.
    pub fn shake(
        &mut self,
        to: &Peer,
        challenge: &Challenge,
        message: &Message<'_>,
    ) -> (Session, Vec<u8>) {
        let ephemeral = SecretKey::from_bytes(&self.random()).expect("out of range once in 2^128");
        let public = ephemeral.public_key();
        let secret = ephemeral.agree(&to.record.public_key().point());
        let keys = handshake::derive(&secret, &challenge.data, &self.id(), &to.id());
        let digest = handshake::id_digest(&challenge.data, public.as_bytes(), &to.id());
        let session =
            Session { read: Cipher::new(&keys.recipient), write: Cipher::new(&keys.initiator) };
        let (iv, nonce) = (self.random(), self.random());
        let bytes = packet::handshake(
            &to.mask,
            &iv,
            &nonce,
            &self.id(),
            &self.key.sign(&digest),
            public.as_bytes(),
            (challenge.enr_seq != self.record.seq()).then_some(self.record.as_bytes()),
            &session.write,
            message,
        );
        (session, bytes)
    }

    /// A packet with a message in a session.
    pub fn say(&mut self, to: &Peer, session: &Session, message: &Message<'_>) -> Vec<u8> {
        let (iv, nonce) = (self.random(), self.random());
        packet::ordinary(&to.mask, &iv, &nonce, &self.id(), &session.write, message)
    }

    /// The same with any bytes in the place of a message.
    pub fn say_bytes(&mut self, to: &Peer, session: &Session, plaintext: &[u8]) -> Vec<u8> {
        let (iv, nonce) = (self.random(), self.random());
        let id = self.id();
        let header = [b"discv5\x00\x01\x00", &nonce[..], &[0, 32], &id.0].concat();
        let end = iv.len() + header.len();
        let mut packet = [&iv[..], &header, plaintext].concat();
        session.write.seal_in_place(&nonce, &mut packet, end);
        to.mask.apply(&iv, &mut packet[iv.len()..end]);
        packet
    }

    /// The message in a datagram that came in a session; `None` if it is anything else.
    #[must_use]
    pub fn hear<'a>(
        &self,
        session: &Session,
        datagram: &[u8],
        scratch: &'a mut [u8; PACKET_BYTES_MAX],
    ) -> Option<Message<'a>> {
        let packet = Packet::decode(&self.mask, datagram, scratch).ok()?;
        let Packet { ad, nonce, message, .. } = packet;
        let length = session.read.open_in_place(&nonce, ad, message)?;
        Message::decode(&message[..length]).ok()
    }

    /// Random bytes.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.chance.draw().to_be_bytes()[..part.len()]);
        }
        bytes
    }
}

impl Peer {
    /// The node with this record.
    #[must_use]
    pub fn new(record: Signed) -> Self {
        let mask = Mask::of(&record.node_id());
        Self { record, mask }
    }

    /// Its record.
    #[must_use]
    pub fn record(&self) -> &Signed {
        &self.record
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.record.node_id()
    }

    /// The mask of packets to it.
    #[must_use]
    pub fn mask(&self) -> &Mask {
        &self.mask
    }
}
