//! A host that is no honest node: it speaks discv5 with a key of its own, answers what it likes,
//! and sends from whatever address it likes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::discovery::cipher::{Cipher, Mask};
use stayfound_core::discovery::contact::Contact;
use stayfound_core::discovery::handshake::{self, ChallengeData, Keys};
use stayfound_core::discovery::message::{Distances, Message, Records, RequestId};
use stayfound_core::discovery::packet::{self, Kind, PACKET_BYTES_MAX, Packet};
use stayfound_core::keys::{Point, PublicKey, SecretKey};
use stayfound_core::record::{Endpoints, NodeId, Signed};

mod operator;
mod walker;

pub use operator::{Lie, Traitor};
pub use walker::Persona;

/// How many records one of its NODES packets holds: as many as surely fit.
const RECORDS_PER_PACKET: usize = 3;
/// How many each of those has that promise 2^32: records with an IPv4 endpoint only.
const RECORDS_PER_FLOOD_PACKET: usize = 6;
/// How many records it invents for one FINDNODE: as many as an answer may have (R49).
const INVENTED_PER_ANSWER: usize = 16;

/// A datagram of its making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// The source address it is given; `None` for the true one.
    pub from: Option<SocketAddr>,
    /// Where it goes.
    pub to: SocketAddr,
    /// What it is.
    pub bytes: Bytes,
}

/// Whom it pretends to be, and the record that it shows for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guise {
    /// The id in whose name it speaks.
    pub src: NodeId,
    /// What its handshakes include; nothing, if it has nothing to show.
    pub record: Option<Signed>,
}

/// Somebody who lies. Whoever shakes hands with it finds a node like any other.
pub struct Adversary {
    key: SecretKey,
    /// How it lies by itself; `None` if a script says what it does.
    pub persona: Option<Persona>,
    /// How many datagrams it still listens to until it roams again, if it does.
    patience: u32,
    /// Its record.
    pub record: Signed,
    /// Whom it is when it opens sessions; `None` for itself.
    pub guise: Option<Guise>,
    /// What it answers to every FINDNODE beside its own record, whatever was asked for.
    pub serves: Vec<Signed>,
    /// What it invents: of these so many at the distances asked for, none of them twice.
    pub invents: Vec<Signed>,
    /// In how many packets it answers every FINDNODE, each of which promises 2^32; `None` for as
    /// many as it takes.
    pub floods: Option<usize>,
    /// Where it says that it sees whoever pings it; `None` for the truth.
    pub sees: Option<SocketAddr>,
    /// Whether it answers requests at all.
    pub answers: bool,
    /// Whether it leaves challenges unanswered until [`Self::yields`].
    pub stalls: bool,
    /// How many datagrams came to it, and how many bytes.
    pub heard: (u64, u64),
    /// How many messages came that it could open: their senders believed its handshakes.
    pub opened: u64,
    /// The id of the latest request that came to it.
    pub asked: Option<RequestId>,
    /// The records that it was given.
    pub learned: Vec<Signed>,
    sessions: BTreeMap<Contact, Session>,
    challenges: BTreeMap<Contact, ChallengeData>,
    /// Challenges that it has not answered yet.
    stalled: Vec<(Contact, ChallengeData)>,
    keys: BTreeMap<NodeId, PublicKey>,
    /// What to ask whom as soon as there is a session.
    wants: BTreeMap<Contact, Vec<u16>>,
    chance: Stream,
    shots: Vec<Shot>,
    requests: u64,
}

struct Session {
    read: Cipher,
    write: Cipher,
}

impl Adversary {
    /// One with this key, whose record names this address.
    #[must_use]
    pub fn new(key: SecretKey, at: SocketAddr, chance: &Chance) -> Self {
        let record = Signed::sign(&key, 1, &Endpoints::at([at]));
        let label = format!("adversary {}", record.node_id());
        Self {
            key,
            persona: None,
            patience: 0,
            record,
            guise: None,
            serves: Vec::new(),
            invents: Vec::new(),
            floods: None,
            sees: None,
            answers: true,
            stalls: false,
            heard: (0, 0),
            opened: 0,
            asked: None,
            learned: Vec::new(),
            sessions: BTreeMap::new(),
            challenges: BTreeMap::new(),
            stalled: Vec::new(),
            keys: BTreeMap::new(),
            wants: BTreeMap::new(),
            chance: chance.stream(&label),
            shots: Vec::new(),
            requests: 0,
        }
    }

    /// What it wants sent.
    pub fn shots(&mut self) -> Vec<Shot> {
        std::mem::take(&mut self.shots)
    }

    /// Sends anything from anywhere.
    pub fn shoots(&mut self, from: Option<SocketAddr>, to: SocketAddr, bytes: Vec<u8>) {
        self.shots.push(Shot { from, to, bytes: bytes.into() });
    }

    /// Makes itself known to a node: opens a session and pings it.
    pub fn meets(&mut self, node: &Signed) {
        self.asks(node, &[]);
    }

    /// Opens a session if there is none, then asks for these distances; for none, it pings.
    pub fn asks(&mut self, node: &Signed, distances: &[u16]) {
        let at = node.endpoints().udp_addresses().next().expect("a node with an address");
        self.asks_at(node, at, distances);
    }

    /// The same, of a node that is not where its record says.
    pub fn asks_at(&mut self, node: &Signed, at: SocketAddr, distances: &[u16]) {
        let contact = Contact::new(node.node_id(), at);
        self.keys.insert(contact.id, *node.public_key());
        self.wants.insert(contact, distances.to_vec());
        if self.sessions.contains_key(&contact) {
            return self.ask(contact);
        }
        let bytes = self.random(&contact.id, &self.src());
        self.shoots(None, contact.at, bytes);
    }

    /// Says anything to a node with which it has a session.
    pub fn tells(&mut self, node: &Signed, message: &Message<'_>) {
        let at = node.endpoints().udp_addresses().next().expect("a node with an address");
        self.says(Contact::new(node.node_id(), at), message);
    }

    /// Answers every challenge that it left unanswered.
    pub fn yields(&mut self) {
        for (contact, challenge) in std::mem::take(&mut self.stalled) {
            self.proves_itself(contact, &challenge);
        }
    }

    /// In whose name it opens sessions.
    fn src(&self) -> NodeId {
        self.guise.as_ref().map_or(self.record.node_id(), |guise| guise.src)
    }

    /// A packet that nobody can open, in the name of any node.
    pub fn random(&mut self, to: &NodeId, src: &NodeId) -> Vec<u8> {
        let (iv, nonce, content) = (self.fresh(), self.fresh(), self.fresh());
        packet::random(&Mask::of(to), &iv, &nonce, src, &content)
    }

    /// A handshake in the name of the signer of `record` against a challenge that was never made,
    /// or that it has not seen.
    pub fn blind_handshake(&mut self, to: &Signed, record: &Signed) -> Vec<u8> {
        let challenge = ChallengeData(self.fresh());
        let (message, _) = self.ping();
        let (src, record) = (record.node_id(), Some(record.clone()));
        let guise = self.guise.replace(Guise { src, record });
        let (bytes, _) = self.shake(to.public_key(), &challenge, &message);
        self.guise = guise;
        bytes
    }

    /// Somebody sent it something.
    pub fn hears(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.heard.0 += 1;
        self.heard.1 += bytes.len() as u64;
        if self.persona.is_some() {
            match self.patience.checked_sub(1) {
                Some(left) => self.patience = left,
                None => return,
            }
        }
        let mut scratch = [0; PACKET_BYTES_MAX];
        let is_to = |id: &NodeId| packet::is_discovery(&Mask::of(id), bytes);
        let names = [self.record.node_id(), self.src()];
        let Some(name) = names.into_iter().find(is_to) else { return };
        let Ok(packet) = Packet::decode(&Mask::of(&name), bytes, &mut scratch) else { return };
        let challenge = packet.challenge_data();
        let Packet { ad, nonce, kind, message } = packet;
        match kind {
            Kind::WhoAreYou { .. } => {
                let asked = self.wants.keys().find(|contact| contact.at == from).copied();
                let Some(contact) = asked else { return };
                let challenge = challenge.expect("of a WHOAREYOU");
                if self.stalls {
                    return self.stalled.push((contact, challenge));
                }
                self.proves_itself(contact, &challenge);
            }
            Kind::Ordinary { src } => {
                let contact = Contact::new(src, from);
                let session = self.sessions.get(&contact);
                match session.and_then(|it| it.read.open_in_place(&nonce, ad, message)) {
                    Some(length) => self.told(contact, &message[..length]),
                    None => self.challenges_back(contact, &nonce),
                }
            }
            Kind::Handshake { src, ephemeral, .. } => {
                let contact = Contact::new(src, from);
                let Some(challenge) = self.challenges.remove(&contact) else { return };
                let Ok((_, point)) = Point::from_bytes(ephemeral) else { return };
                let secret = self.key.agree(&point);
                let own = self.record.node_id();
                let Keys { initiator, recipient } =
                    handshake::derive(&secret, &challenge, &src, &own);
                let session =
                    Session { read: Cipher::new(&initiator), write: Cipher::new(&recipient) };
                if let Some(length) = session.read.open_in_place(&nonce, ad, message) {
                    self.sessions.insert(contact, session);
                    self.told(contact, &message[..length]);
                }
            }
        }
    }

    fn challenges_back(&mut self, contact: Contact, nonce: &[u8; 12]) {
        let (iv, id_nonce) = (self.fresh(), self.fresh());
        let mask = Mask::of(&contact.id);
        let (bytes, data) = packet::who_are_you(&mask, &iv, nonce, &id_nonce, 0);
        self.challenges.insert(contact, data);
        self.shoots(None, contact.at, bytes);
    }

    fn proves_itself(&mut self, contact: Contact, challenge: &ChallengeData) {
        let key = self.keys[&contact.id];
        let (message, _) = self.ping();
        let (bytes, session) = self.shake(&key, challenge, &message);
        self.sessions.insert(contact, session);
        self.shoots(None, contact.at, bytes);
        self.ask(contact);
    }

    fn shake(
        &mut self,
        with: &PublicKey,
        challenge: &ChallengeData,
        message: &Message<'_>,
    ) -> (Vec<u8>, Session) {
        let own = Guise { src: self.record.node_id(), record: Some(self.record.clone()) };
        let Guise { src, record } = self.guise.clone().unwrap_or(own);
        let ephemeral = SecretKey::from_bytes(&self.fresh()).expect("below the order");
        let public = *ephemeral.public_key().as_bytes();
        let point = with.point();
        let to = NodeId::of(&point);
        let secret = ephemeral.agree(&point);
        let Keys { initiator, recipient } = handshake::derive(&secret, challenge, &src, &to);
        let signature = self.key.sign(&handshake::id_digest(challenge, &public, &to));
        let (iv, nonce) = (self.fresh(), self.fresh());
        let (mask, write) = (Mask::of(&to), Cipher::new(&initiator));
        let record = record.as_ref().map(Signed::as_bytes);
        let bytes = packet::handshake(
            &mask, &iv, &nonce, &src, &signature, &public, record, &write, message,
        );
        (bytes, Session { read: Cipher::new(&recipient), write })
    }

    fn ask(&mut self, contact: Contact) {
        let distances = self.wants.get(&contact).cloned().unwrap_or_default();
        if distances.is_empty() {
            let (message, _) = self.ping();
            return self.says(contact, &message);
        }
        let id = self.request();
        self.says(contact, &Message::FindNode { id, distances: Distances::from(&distances[..]) });
    }

    /// Somebody's message: a question gets the answer that the script gives.
    fn told(&mut self, contact: Contact, plaintext: &[u8]) {
        let Ok(message) = Message::decode(plaintext) else { return };
        self.opened += 1;
        if let Message::Ping { id, .. } | Message::FindNode { id, .. } = message {
            self.asked = Some(id);
        }
        match message {
            Message::Nodes { records, .. } => {
                self.learned.extend(records.iter().filter_map(|it| Signed::from_bytes(it).ok()));
            }
            Message::Ping { id, .. } if self.answers => {
                let observed = self.sees.unwrap_or(contact.at);
                self.says(contact, &Message::Pong { id, enr_seq: self.record.seq(), observed });
            }
            Message::FindNode { id, distances } if self.answers => {
                self.serve(contact, id, distances);
            }
            _ => {}
        }
    }

    fn serve(&mut self, contact: Contact, id: RequestId, distances: Distances<'_>) {
        let own = self.record.node_id();
        let invented = self.invents.extract_if(.., |it| {
            distances.iter().any(|distance| distance == own.log_distance(&it.node_id()))
        });
        let invented: Vec<Signed> = invented.take(INVENTED_PER_ANSWER).collect();
        let own = distances.iter().any(|it| it == 0).then(|| self.record.clone());
        let served = self.serves.iter().cloned();
        let records: Vec<Signed> = own.into_iter().chain(served).chain(invented).collect();
        let (per_packet, total) = match self.floods {
            Some(_) => (RECORDS_PER_FLOOD_PACKET, 1 << 32),
            None => (RECORDS_PER_PACKET, records.len().div_ceil(RECORDS_PER_PACKET).max(1) as u64),
        };
        let needed = records.len().div_ceil(per_packet).max(1);
        let mut packets = records.chunks(per_packet).cycle();
        for _ in 0..self.floods.unwrap_or(needed) {
            let records = Records::from(packets.next().unwrap_or_default());
            self.says(contact, &Message::Nodes { id, total, records });
        }
    }

    fn says(&mut self, contact: Contact, message: &Message<'_>) {
        let (iv, nonce) = (self.fresh(), self.fresh());
        let Some(session) = self.sessions.get(&contact) else { return };
        let mask = Mask::of(&contact.id);
        let bytes = packet::ordinary(&mask, &iv, &nonce, &self.src(), &session.write, message);
        self.shoots(None, contact.at, bytes);
    }

    fn ping(&mut self) -> (Message<'static>, RequestId) {
        let id = self.request();
        (Message::Ping { id, enr_seq: self.record.seq() }, id)
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::from_u64(self.requests)
    }

    fn fresh<const N: usize>(&mut self) -> [u8; N] {
        let mut fresh = [0; N];
        for part in fresh.chunks_mut(8) {
            let drawn = self.chance.draw().to_be_bytes();
            part.copy_from_slice(&drawn[..part.len()]);
        }
        fresh
    }
}
