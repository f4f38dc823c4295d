//! A scripted peer of discovery: it holds a key and makes packets by hand, so that it can do what
//! no honest node does.
#![allow(dead_code, clippy::allow_attributes, reason = "each test tells its own part of the story")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::cluster::Manifest;
use stayfound_core::discovery::cipher::{Cipher, Mask, Nonce};
use stayfound_core::discovery::handshake::{self, ChallengeData, Keys};
use stayfound_core::discovery::message::{Distances, Message, Records, RequestId};
use stayfound_core::discovery::packet::{self, Kind, PACKET_BYTES_MAX, Packet};
use stayfound_core::discovery::{Answer, Ask, Settings};
use stayfound_core::keys::{Point, SecretKey};
use stayfound_core::node::{Config, Event, Input};
use stayfound_core::record::{Endpoints, NodeId, Signed};

use crate::lone::{Lone, address};

pub mod hands;

/// Where the node under test lives.
pub const HOME: &str = "198.51.100.1";
pub const PORT: u16 = 3610;

pub fn home() -> SocketAddr {
    SocketAddr::new(HOME.parse().unwrap(), PORT)
}

/// The key of the peer with this number; 0 is the node under test.
pub fn key(number: u16) -> SecretKey {
    let mut scalar = [9; 32];
    scalar[30..].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_bytes(&scalar).unwrap()
}

pub fn settings(boot: Vec<Signed>) -> Settings {
    Settings { boot, protocols: vec![Bytes::from_static(b"echo")] }
}

pub fn alone(boot: Vec<Signed>) -> Config {
    let (key, discovery) = (key(0), Some(settings(boot)));
    Config { manifest: Manifest::alone(&key), key, external: vec![], hints: vec![], discovery }
}

/// A node that discovers and knows nobody.
pub fn node() -> Lone {
    Lone::on_host(alone(vec![]), &[HOME])
}

/// What a packet to the peer turned out to be.
#[derive(Debug)]
pub enum Heard {
    /// A message that opened, with the nonce of its packet.
    Message(Nonce, Vec<u8>),
    /// An ordinary packet that does not open.
    Sealed(Nonce),
    Challenge {
        data: ChallengeData,
        nonce: Nonce,
        enr_seq: u64,
    },
    /// A handshake, checked against the challenges that the peer posed: its message, and the record
    /// that came with it.
    Handshake(Nonce, Vec<u8>, Option<Signed>),
}

#[derive(Clone)]
struct Session {
    read: Cipher,
    write: Cipher,
}

#[derive(Clone)]
pub struct Peer {
    pub key: SecretKey,
    pub id: NodeId,
    pub at: SocketAddr,
    pub record: Signed,
    /// What it answers to FINDNODE, as far as the distance fits.
    pub serves: Vec<Signed>,
    /// Where it says that it sees the node.
    pub sees: SocketAddr,
    /// The seq that it tells in PING and PONG; that of its record if `None`.
    pub claims: Option<u64>,
    /// How many packets came to it, and of how many bytes in all.
    pub packets: usize,
    pub bytes: usize,
    target: NodeId,
    target_key: Point,
    session: Option<Session>,
    /// The challenges that it posed.
    posed: Vec<ChallengeData>,
    next: u64,
}

/// What of a handshake is not as it should be.
#[derive(Clone, Default)]
pub struct Forgery {
    pub record: Option<Option<Vec<u8>>>,
    pub signer: Option<SecretKey>,
    pub ephemeral: Option<[u8; 33]>,
    pub bad_message: bool,
}

impl Peer {
    /// A peer that answers where its record says.
    pub fn new(number: u16, at: &str) -> Self {
        let at = address(at);
        Self::of(key(number), at, 1)
    }

    pub fn of(key: SecretKey, at: SocketAddr, seq: u64) -> Self {
        let id = NodeId::of(&key.public_key().point());
        let record = Signed::sign(&key, seq, &Endpoints::at([at]));
        let target_key = self::key(0).public_key().point();
        Self {
            key,
            id,
            at,
            record,
            serves: vec![],
            sees: home(),
            claims: None,
            packets: 0,
            bytes: 0,
            target: NodeId::of(&target_key),
            target_key,
            session: None,
            posed: vec![],
            next: 0,
        }
    }

    /// The node under test is another than that of [`key`] 0.
    pub fn facing(mut self, node: &SecretKey) -> Self {
        self.target_key = node.public_key().point();
        self.target = NodeId::of(&self.target_key);
        self
    }

    /// The same peer, seen somewhere else.
    pub fn moved(&self, at: &str) -> Self {
        Self { at: address(at), ..self.clone() }
    }

    /// Signs a newer record of itself.
    pub fn reissues(&mut self, seq: u64, at: &[&str]) {
        let at = at.iter().map(|at| address(at));
        self.record = Signed::sign(&self.key, seq, &Endpoints::at(at));
    }

    pub fn distance(&self) -> u16 {
        self.id.log_distance(&self.target)
    }

    /// Bytes that never come twice.
    fn fresh<const N: usize>(&mut self) -> [u8; N] {
        self.next += 1;
        let mut fresh = [0xa5; N];
        fresh[..8].copy_from_slice(&self.next.to_le_bytes());
        fresh[8..10].copy_from_slice(&self.at.port().to_be_bytes());
        fresh
    }

    pub fn request_id(&mut self) -> RequestId {
        self.next += 1;
        RequestId::from_u64(self.next)
    }

    /// A packet that nobody can open.
    pub fn random(&mut self) -> Vec<u8> {
        let (iv, nonce, content) = (self.fresh(), self.fresh(), self.fresh());
        packet::random(&Mask::of(&self.target), &iv, &nonce, &self.id, &content)
    }

    /// A message in the session.
    pub fn seal(&mut self, message: &Message<'_>) -> Vec<u8> {
        let (iv, nonce) = (self.fresh(), self.fresh());
        let session = self.session.as_ref().expect("the peer has a session");
        packet::ordinary(&Mask::of(&self.target), &iv, &nonce, &self.id, &session.write, message)
    }

    pub fn challenge(&mut self, nonce: &Nonce, enr_seq: u64) -> Vec<u8> {
        let (iv, id_nonce) = (self.fresh(), self.fresh());
        let mask = Mask::of(&self.target);
        let (bytes, data) = packet::who_are_you(&mask, &iv, nonce, &id_nonce, enr_seq);
        self.posed.push(data);
        bytes
    }

    /// The answer to a challenge, as it should be; the session is the new one from now on.
    pub fn shake(&mut self, data: &ChallengeData, enr_seq: u64, message: &Message<'_>) -> Vec<u8> {
        let record = (enr_seq != self.record.seq()).then(|| self.record.as_bytes().to_vec());
        let forgery = Forgery { record: Some(record), ..Forgery::default() };
        self.forge(data, message, &forgery)
    }

    pub fn forge(
        &mut self,
        data: &ChallengeData,
        message: &Message<'_>,
        forgery: &Forgery,
    ) -> Vec<u8> {
        let ephemeral = SecretKey::from_bytes(&self.fresh()).unwrap();
        let public = *ephemeral.public_key().as_bytes();
        let secret = ephemeral.agree(&self.target_key);
        let keys = handshake::derive(&secret, data, &self.id, &self.target);
        let digest = handshake::id_digest(data, &public, &self.target);
        let signature = forgery.signer.as_ref().unwrap_or(&self.key).sign(&digest);
        let own = Some(self.record.as_bytes().to_vec());
        let record = forgery.record.clone().unwrap_or(own);
        let (iv, nonce) = (self.fresh(), self.fresh());
        let Keys { initiator, recipient } = keys;
        let write = Cipher::new(if forgery.bad_message { &[0; 16] } else { &initiator });
        let bytes = packet::handshake(
            &Mask::of(&self.target),
            &iv,
            &nonce,
            &self.id,
            &signature,
            &forgery.ephemeral.unwrap_or(public),
            record.as_deref(),
            &write,
            message,
        );
        self.session = Some(Session { read: Cipher::new(&recipient), write });
        bytes
    }

    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The peer loses its session, as if it had started anew.
    pub fn forgets(&mut self) {
        self.session = None;
    }

    pub fn send(&self, lone: &mut Lone, bytes: &[u8]) {
        lone.input(Input::Datagram { from: self.at, bytes });
    }

    pub fn say(&mut self, lone: &mut Lone, message: &Message<'_>) {
        let bytes = self.seal(message);
        self.send(lone, &bytes);
    }

    /// The packets to this peer, taken out of what the node sent.
    pub fn inbox(&mut self, lone: &mut Lone) -> Vec<Bytes> {
        let mine = |(to, _): &mut (SocketAddr, Bytes)| *to == self.at;
        let inbox: Vec<Bytes> =
            lone.datagrams.extract_if(.., mine).map(|(_, bytes)| bytes).collect();
        self.packets += inbox.len();
        self.bytes += inbox.iter().map(Bytes::len).sum::<usize>();
        inbox
    }

    pub fn hear_all(&mut self, lone: &mut Lone) -> Vec<Heard> {
        self.inbox(lone).iter().map(|bytes| self.hear(bytes)).collect()
    }

    /// Whether a packet is masked for this peer.
    pub fn is_addressed(&self, bytes: &[u8]) -> bool {
        Packet::decode(&Mask::of(&self.id), bytes, &mut [0; PACKET_BYTES_MAX]).is_ok()
    }

    /// Reads one packet; checks everything in it that can be checked.
    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        let mut scratch = [0; PACKET_BYTES_MAX];
        let mask = Mask::of(&self.id);
        let packet = Packet::decode(&mask, bytes, &mut scratch).expect("a packet to this peer");
        let challenge = packet.challenge_data();
        let Packet { ad, nonce, kind, message } = packet;
        match kind {
            Kind::WhoAreYou { enr_seq, .. } => {
                Heard::Challenge { data: challenge.unwrap(), nonce, enr_seq }
            }
            Kind::Ordinary { src } => {
                assert_eq!(src, self.target);
                let session = self.session.as_ref();
                match session.and_then(|it| it.read.open_in_place(&nonce, ad, message)) {
                    Some(length) => Heard::Message(nonce, message[..length].to_vec()),
                    None => Heard::Sealed(nonce),
                }
            }
            Kind::Handshake { src, signature, ephemeral, record } => {
                assert_eq!(src, self.target);
                let proves = |data: &&ChallengeData| {
                    let digest = handshake::id_digest(data, ephemeral, &self.id);
                    self.target_key.verifies(&digest, &signature)
                };
                let data = self.posed.iter().rev().find(proves).expect("it proves who it is");
                let (_, point) = Point::from_bytes(ephemeral).unwrap();
                let secret = self.key.agree(&point);
                let keys = handshake::derive(&secret, data, &self.target, &self.id);
                let read = Cipher::new(&keys.initiator);
                let length = read.open_in_place(&nonce, ad, message).expect("its message opens");
                self.session = Some(Session { read, write: Cipher::new(&keys.recipient) });
                let record = record.map(|bytes| Signed::from_bytes(bytes).expect("a record"));
                Heard::Handshake(nonce, message[..length].to_vec(), record)
            }
        }
    }

    /// The only challenge that the node sent to this peer.
    pub fn challenged(&mut self, lone: &mut Lone) -> (ChallengeData, Nonce, u64) {
        match &self.hear_all(lone)[..] {
            [Heard::Challenge { data, nonce, enr_seq }] => (*data, *nonce, *enr_seq),
            other => panic!("{other:?} instead of one challenge"),
        }
    }

    /// Draws a challenge and answers it with a PING. What the node says then is in the inbox.
    pub fn shakes_hands(&mut self, lone: &mut Lone) {
        let random = self.random();
        self.send(lone, &random);
        let (data, _, enr_seq) = self.challenged(lone);
        let id = self.request_id();
        let enr_seq_told = self.claims.unwrap_or(self.record.seq());
        let bytes = self.shake(&data, enr_seq, &Message::Ping { id, enr_seq: enr_seq_told });
        self.send(lone, &bytes);
    }

    /// Opens a session and answers whatever the node asks then.
    pub fn connects(&mut self, lone: &mut Lone) {
        self.shakes_hands(lone);
        self.answers(lone);
    }

    /// Answers whatever the node asks, as an honest node would, until it asks no more.
    pub fn answers(&mut self, lone: &mut Lone) {
        loop {
            let heard = self.hear_all(lone);
            if heard.is_empty() {
                return;
            }
            for heard in heard {
                match heard {
                    Heard::Sealed(nonce) => {
                        let bytes = self.challenge(&nonce, 0);
                        self.send(lone, &bytes);
                    }
                    Heard::Message(_, text) | Heard::Handshake(_, text, _) => {
                        self.replies(lone, &text);
                    }
                    Heard::Challenge { data, enr_seq, .. } => {
                        let id = self.request_id();
                        let ping = Message::Ping { id, enr_seq: self.record.seq() };
                        let bytes = self.shake(&data, enr_seq, &ping);
                        self.send(lone, &bytes);
                    }
                }
            }
        }
    }

    /// Answers one question.
    pub fn replies(&mut self, lone: &mut Lone, text: &[u8]) {
        let enr_seq = self.claims.unwrap_or(self.record.seq());
        match Message::decode(text).expect("the node speaks the protocol") {
            Message::Ping { id, .. } => {
                let observed = self.sees;
                self.say(lone, &Message::Pong { id, enr_seq, observed });
            }
            Message::FindNode { id, distances } => {
                let own = std::iter::once(&self.record);
                let fits = |record: &&Signed| {
                    distances.iter().any(|d| d == self.id.log_distance(&record.node_id()))
                };
                let records: Vec<Signed> =
                    own.chain(&self.serves).filter(fits).take(8).cloned().collect();
                self.say(lone, &nodes(id, 1, &records));
            }
            _ => {}
        }
    }

    /// What the node says to this peer, one plaintext each; nothing but messages is expected.
    pub fn told(&mut self, lone: &mut Lone) -> Vec<Vec<u8>> {
        let texts = self.hear_all(lone).into_iter().map(|heard| match heard {
            Heard::Message(_, text) => text,
            other => panic!("{other:?} instead of a message"),
        });
        texts.collect()
    }

    /// Asks in the session, and answers with all that comes back.
    pub fn asks(&mut self, lone: &mut Lone, message: &Message<'_>) -> Vec<Vec<u8>> {
        self.say(lone, message);
        self.told(lone)
    }

    /// Asks for these distances, and answers with all records that come back.
    pub fn finds(&mut self, lone: &mut Lone, distances: &[u16]) -> Vec<Signed> {
        let id = self.request_id();
        let texts =
            self.asks(lone, &Message::FindNode { id, distances: Distances::from(distances) });
        let mut found = Vec::new();
        for text in &texts {
            let Message::Nodes { id: mirrored, total, records } = Message::decode(text).unwrap()
            else {
                panic!("something else than NODES")
            };
            assert_eq!((mirrored, total), (id, texts.len() as u64));
            found.extend(records.iter().map(|bytes| Signed::from_bytes(bytes).unwrap()));
        }
        found
    }
}

pub fn nodes(id: RequestId, total: u64, records: &[Signed]) -> Message<'_> {
    Message::Nodes { id, total, records: Records::from(records) }
}

/// The application asks; the answer is found with [`answer`].
pub fn ask(lone: &mut Lone, id: u64, ask: &Ask) {
    lone.input(Input::Ask { id, ask });
}

/// What came of it, if it has ended.
pub fn answer(lone: &Lone, id: u64) -> Option<Answer> {
    lone.events.iter().find_map(|event| match event {
        Event::Answered { id: ended, answer } if *ended == id => Some(answer.clone()),
        _ => None,
    })
}

/// Lets time pass while these peers answer.
pub fn pass(lone: &mut Lone, peers: &mut [Peer], span: Duration) {
    let step = Duration::from_millis(50);
    let end = lone.now + span;
    while lone.now < end {
        loop {
            let before = lone.datagrams.len();
            peers.iter_mut().for_each(|peer| peer.answers(lone));
            if lone.datagrams.len() == before {
                break;
            }
        }
        lone.pass(step.min(end - lone.now));
    }
}

/// A key whose node is at this log distance from `id`, counting numbers up from `from`.
pub fn key_at(id: &NodeId, distance: u16, from: u64) -> (SecretKey, u64) {
    for number in from.. {
        let mut scalar = [5; 32];
        scalar[24..].copy_from_slice(&number.to_be_bytes());
        let key = SecretKey::from_bytes(&scalar).unwrap();
        if NodeId::of(&key.public_key().point()).log_distance(id) == distance {
            return (key, number);
        }
    }
    unreachable!("numbers do not end")
}
