//! Packets on their way in: which session they belong to, challenges and handshakes.

use std::net::SocketAddr;

use super::challenge::{Challenge, Drawn};
use super::cipher::Mask;
use super::contact::Contact;
use super::handshake::{self, ChallengeData};
use super::message::Message;
use super::packet::{self, CHALLENGEABLE_BYTES_MIN, Kind, PACKET_BYTES_MAX, Packet};
use super::request::{Pending, State};
use super::send::iv;
use super::session::{Ciphers, Session};
use super::table::Prefix;
use super::{Discovery, is_limited};
use crate::count::Counter;
use crate::keys::{Point, Signature};
use crate::marks::{Mark, mark};
use crate::record::{Claimed, Signed, is_usable};
use crate::time::Mono;

/// What a handshake claims.
struct Handshake<'a> {
    signature: Signature,
    ephemeral: &'a [u8; 33],
    record: Option<&'a [u8]>,
}

/// Why a handshake was refused. State: a challenge counts the failure; no session is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// No record, and none stored (R30); or not that of the node that the packet names (R29).
    Record,
    /// The ephemeral key is no point, or the signature is not over this challenge (R31).
    Proof,
    /// The message does not decrypt under any challenge of ours (R31).
    Message,
}

impl Refused {
    fn counter(self) -> Counter {
        match self {
            Self::Record => Counter::HandshakesOfNoRecord,
            Self::Proof => Counter::HandshakesUnproved,
            Self::Message => Counter::HandshakesSealed,
        }
    }
}

impl Discovery {
    /// A datagram arrived. Whatever is wrong with it, it costs a counter and nothing else.
    pub fn datagram(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]) {
        if self.own.is_none() || !is_usable(from) {
            return self.count(Counter::PacketsIgnored);
        }
        // A dual-stack socket reports IPv4 as IPv4-mapped.
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let mut scratch = [0; PACKET_BYTES_MAX];
        let packet = match Packet::decode(&self.mask, bytes, &mut scratch) {
            Ok(packet) => packet,
            Err(error) => return self.refuse(error.counter()),
        };
        let challenge = packet.challenge_data();
        let Packet { ad, nonce, kind, message } = packet;
        match kind {
            Kind::Ordinary { src } => {
                let contact = Contact::new(src, from);
                let opened = src != self.id && self.open(now, &contact, &nonce, ad, message);
                match opened.then(|| plaintext(message)) {
                    Some(text) => self.said(now, contact, text),
                    None => self.challenge(now, contact, &nonce, bytes.len()),
                }
            }
            Kind::WhoAreYou { enr_seq, .. } => {
                let challenge = challenge.expect("a WHOAREYOU has challenge data");
                self.challenged(now, from, &nonce, &challenge, enr_seq);
            }
            Kind::Handshake { src, signature, ephemeral, record } => {
                let contact = Contact::new(src, from);
                let handshake = Handshake { signature, ephemeral, record };
                if self.shaken(now, contact, &handshake, &nonce, ad, message) {
                    self.said(now, contact, plaintext(message));
                }
            }
        }
    }

    /// A datagram is no packet to us, for this reason.
    fn refuse(&mut self, reason: Counter) {
        self.count(Counter::PacketsInvalid);
        self.count(reason);
    }

    /// Decrypts with the session's keys, or with those of a handshake of ours, which are proved by
    /// that (R32).
    fn open(
        &mut self,
        now: Mono,
        contact: &Contact,
        nonce: &packet::Nonce,
        ad: &[u8],
        message: &mut [u8],
    ) -> bool {
        // What does not open keeps no session alive: anybody can send it in the peer's name.
        let opens = |session: &mut Session| session.open(now, nonce, ad, message).is_some();
        if self.sessions.get_if(contact, opens) {
            return true;
        }
        let pending = self.requests.pending(contact);
        if pending.is_none_or(|pending| pending.open(nonce, ad, message).is_none()) {
            return false;
        }
        let (pending, record) = self.requests.proved(contact).expect("they have just decrypted");
        self.establish(now, *contact, record, pending);
        true
    }

    /// New keys are proved: there is a session now, and whoever waited for one has its turn.
    fn establish(&mut self, now: Mono, contact: Contact, record: Signed, keys: Pending) {
        let Pending { ciphers, own_seq } = keys;
        match self.sessions.get(&contact) {
            Some(session) => {
                mark(Mark::SessionRenewed);
                session.renew(now, record, ciphers, own_seq);
            }
            None => {
                let session = Session::new(Mask::of(&contact.id), record, ciphers, own_seq);
                self.sessions.insert(contact, session);
            }
        }
        self.count(Counter::Sessions);
        for id in self.requests.ready(&contact) {
            self.send_request(now, id);
        }
    }

    /// We cannot read this: who are you? Never more bytes than came (63 for 87).
    fn challenge(&mut self, now: Mono, to: Contact, nonce: &packet::Nonce, size: usize) {
        if to.id == self.id {
            return self.refuse(Counter::PacketsOfOurOwn);
        }
        if size < CHALLENGEABLE_BYTES_MIN {
            return self.refuse(Counter::PacketsTooShortToChallenge);
        }
        if let Drawn::Again(data) = self.challenges.draw(now, &to, nonce) {
            mark(Mark::ChallengedAgain);
            let bytes = packet::who_are_you_again(&Mask::of(&to.id), &data);
            return self.emit(to.at, bytes);
        }
        // Whom we know is not counted with its neighbours: nobody can flood it away from next door.
        let counts = is_limited(to.at) && !self.is_known(&to);
        let prefix = counts.then(|| Prefix::of(to.at.ip()));
        let record = self.known(&to);
        let enr_seq = record.as_ref().map_or(0, Signed::seq);
        let id_nonce = iv(&mut self.chance);
        let mask = Mask::of(&to.id);
        let (bytes, data) =
            packet::who_are_you(&mask, &iv(&mut self.chance), nonce, &id_nonce, enr_seq);
        self.challenges.add(now, to, *nonce, data, record, prefix);
        self.emit(to.at, bytes);
        self.count(Counter::Challenges);
    }

    /// The newest record that we hold of whoever is there: who makes us forget it in one place, and
    /// then tells an older one, changes nothing (R69).
    pub(super) fn known(&self, contact: &Contact) -> Option<Signed> {
        let remembered = self.memory.get(&contact.id);
        let in_table = self.table.get(&contact.id).map(super::table::Node::record);
        let in_session = self.sessions.peek(contact).map(|session| &session.record);
        let held = [remembered, in_table, in_session].into_iter().flatten();
        held.max_by_key(|record| record.rank()).cloned()
    }

    /// Somebody challenges the packet with this nonce. It counts only from where that packet went
    /// (R34), and only once (R35), whatever was challenged in between: otherwise a peer could have
    /// us shake hands for ever by challenging two requests in turn.
    fn challenged(
        &mut self,
        now: Mono,
        from: SocketAddr,
        nonce: &packet::Nonce,
        challenge: &ChallengeData,
        enr_seq: u64,
    ) {
        let asked = self.requests.by_nonce(nonce).filter(|(_, request)| request.to.at == from);
        let Some((id, request)) = asked else {
            return self.count(Counter::ChallengesUnasked);
        };
        assert_ne!(request.state, State::Waiting, "what waits has no nonce");
        if request.is_shaken() {
            mark(Mark::ChallengedTwice);
            self.fail(now, id);
        } else {
            self.shake_hands(now, id, challenge, enr_seq);
        }
    }

    /// Somebody answers a challenge of ours. Answers whether it is proved who it is, and its
    /// message decrypted.
    fn shaken(
        &mut self,
        now: Mono,
        contact: Contact,
        handshake: &Handshake<'_>,
        nonce: &packet::Nonce,
        ad: &[u8],
        message: &mut [u8],
    ) -> bool {
        let challenges = self.challenges.live(now, &contact);
        if challenges.is_empty() {
            self.count(Counter::HandshakesUnasked);
            return false;
        }
        let known = self.is_known(&contact);
        if !self.budget.take(now, contact, is_limited(contact.at), known) {
            self.count(Counter::HandshakesDelayed);
            return false;
        }
        match self.prove(&contact, handshake, &challenges, (nonce, ad, message)) {
            Ok((record, ciphers)) => {
                self.challenges.met(&contact);
                // It has found us where we are now.
                let keys = Pending { ciphers, own_seq: self.own_seq() };
                self.establish(now, contact, record.clone(), keys);
                self.met(now, contact, &record);
                true
            }
            Err((refused, against)) => {
                self.challenges.failed(now, &contact, against);
                self.count(Counter::HandshakesInvalid);
                self.count(refused.counter());
                false
            }
        }
    }

    /// The order of checks of R37, but for one: decryption comes before the signatures. It says which
    /// of our challenges is answered, at the price of one agreement however many there are; and who
    /// has not seen them fails there, so that a forger of addresses costs no verification at all. A
    /// refusal says against which challenge it is, if that is known.
    fn prove<'c>(
        &mut self,
        contact: &Contact,
        handshake: &Handshake<'_>,
        challenges: &'c [Challenge],
        sealed: (&packet::Nonce, &[u8], &mut [u8]),
    ) -> Result<(Signed, Ciphers), (Refused, Option<&'c ChallengeData>)> {
        let claimed = handshake.record.map(Claimed::parse);
        let claimed = claimed.transpose().map_err(|_| (Refused::Record, None))?;
        let answered = self.answered(contact, handshake, challenges, sealed);
        let (challenge, ciphers) = answered.map_err(|refused| (refused, None))?;
        let record = self.identify(contact, handshake, claimed, challenge);
        let record = record.map_err(|refused| (refused, Some(&challenge.data)))?;
        Ok((record, ciphers))
    }

    /// The challenge under which the message decrypts, and the keys that follow from it.
    fn answered<'c>(
        &self,
        contact: &Contact,
        handshake: &Handshake<'_>,
        challenges: &'c [Challenge],
        (nonce, ad, message): (&packet::Nonce, &[u8], &mut [u8]),
    ) -> Result<(&'c Challenge, Ciphers), Refused> {
        let (_, ephemeral) = Point::from_bytes(handshake.ephemeral).map_err(|_| Refused::Proof)?;
        let secret = self.key.agree(&ephemeral);
        let opened = challenges.iter().find_map(|challenge| {
            let keys = handshake::derive(&secret, &challenge.data, &contact.id, &self.id);
            let ciphers = Ciphers::of_recipient(&keys);
            ciphers.open(nonce, ad, message).map(|_| (challenge, ciphers))
        });
        opened.ok_or(Refused::Message)
    }

    /// Whose handshake it is: its record and its signature over the challenge are good.
    fn identify(
        &mut self,
        contact: &Contact,
        handshake: &Handshake<'_>,
        claimed: Option<Claimed<'_>>,
        challenge: &Challenge,
    ) -> Result<Signed, Refused> {
        let included = claimed.map(|claimed| {
            let verified = self.memory.verify(&claimed, |node| *node == contact.id);
            verified.ok().flatten().ok_or(Refused::Record)
        });
        // An older record than the one we hold is of the same key, and replaces nothing (R69).
        let record = match (included.transpose()?, challenge.record.clone()) {
            (Some(included), Some(stored)) if stored.seq() > included.seq() => {
                mark(Mark::NewerThanHandshake);
                stored
            }
            (Some(included), _) => included,
            (None, stored) => stored.ok_or(Refused::Record)?,
        };
        let digest = handshake::id_digest(&challenge.data, handshake.ephemeral, &self.id);
        if !record.point().verifies(&digest, &handshake.signature) {
            return Err(Refused::Proof);
        }
        Ok(record)
    }

    /// Whether a contact is where a record of it says that is no hearsay: an operator's, a seed's, or
    /// that of a node which answered there.
    fn is_known(&self, contact: &Contact) -> bool {
        let in_table = self.table.get(&contact.id);
        let answers = in_table.is_some_and(|node| node.is_verified() && node.at() == contact.at);
        let watched = || {
            let record = self.watched.contains(&contact.id).then(|| self.known(contact)).flatten();
            record.is_some_and(|r| r.endpoints().udp_addresses().any(|at| at == contact.at))
        };
        answers || watched() || self.is_seed(contact)
    }

    /// A message of whoever has proved who it is.
    fn said(&mut self, now: Mono, from: Contact, plaintext: &[u8]) {
        match Message::decode(plaintext) {
            Ok(message) => self.heard(now, from, &message),
            Err(_) => self.count(Counter::MessagesInvalid),
        }
    }
}

/// What a message decrypted to: without its tag.
fn plaintext(message: &[u8]) -> &[u8] {
    &message[..message.len() - super::cipher::TAG_BYTES]
}
