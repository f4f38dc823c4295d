//! Requests and responses on their way out: which packet carries them.

use std::net::SocketAddr;

use super::cipher::Mask;
use super::contact::Contact;
use super::handshake::{self, ChallengeData};
use super::message::Message;
use super::packet::{self, Nonce, RANDOM_BYTES};
use super::request::{Body, Pending, Purpose, Request, State};
use super::session::{self, Ciphers, Session};
use super::table::Origin;
use super::{Act, Answer, Discovery};
use crate::count::Counter;
use crate::keys::{self, Point, PublicKey};
use crate::marks::{Mark, mark};
use crate::record::Signed;
use crate::time::Mono;

impl Discovery {
    /// Asks a node something; answers whether it was sent or waits for its turn. What comes of it
    /// goes to whoever the purpose names.
    pub(super) fn ask(
        &mut self,
        now: Mono,
        record: Signed,
        at: SocketAddr,
        body: Body,
        purpose: Purpose,
    ) -> bool {
        if self.own.is_none() || record.node_id() == self.id {
            return false;
        }
        let to = Contact::new(record.node_id(), at);
        let Some(id) = self.requests.add(now, to, record, body, purpose) else {
            self.count(Counter::RequestsRefused);
            return false;
        };
        self.send_request(now, id);
        true
    }

    /// Sends a request in its session, or opens one with it, or has it wait.
    pub(super) fn send_request(&mut self, now: Mono, id: u64) {
        let to = self.requests.get(id).expect("a request that is under way").to;
        // While a handshake of ours is under way the peer has no use for older keys. And where we
        // are now, a handshake says at once, with our record. That we have a newer one, some would
        // ask where we were before.
        let outdated = |session: &Session| session.is_before(self.at_since);
        let anew =
            self.requests.pending(&to).is_some() || self.sessions.peek(&to).is_some_and(outdated);
        if let Some(nonce) = if anew { None } else { self.nonce(&to) } {
            let request = self.requests.get(id).expect("looked up above");
            let session = self.sessions.get(&to).expect("it has just given a nonce");
            let message = request.message(id, self.own.as_ref().map_or(0, Signed::seq));
            let iv = iv(&mut self.chance);
            let bytes =
                packet::ordinary(&session.mask, &iv, &nonce, &self.id, session.cipher(), &message);
            self.requests.sent(now, id, State::Sent(nonce));
            self.emit(to.at, bytes);
        } else if self.requests.opens(id) {
            let nonce = session::nonce(0, &mut self.chance);
            let content = random_content(&mut self.chance);
            let mask = Mask::of(&to.id);
            let bytes = packet::random(&mask, &iv(&mut self.chance), &nonce, &self.id, &content);
            self.requests.sent(now, id, State::Sent(nonce));
            self.emit(to.at, bytes);
        }
    }

    /// Answers in the session that the question came in.
    pub(super) fn respond(&mut self, to: Contact, message: &Message<'_>) {
        let Some(nonce) = self.nonce(&to) else { return }; // its nonces have come to their end
        let session = self.sessions.get(&to).expect("it has just given a nonce");
        let iv = iv(&mut self.chance);
        let bytes =
            packet::ordinary(&session.mask, &iv, &nonce, &self.id, session.cipher(), message);
        self.emit(to.at, bytes);
    }

    /// Sends a request again as the answer to the challenge that it drew (R24 to R28).
    pub(super) fn shake_hands(
        &mut self,
        now: Mono,
        id: u64,
        challenge: &ChallengeData,
        enr_seq: u64,
    ) {
        let request = self.requests.get(id).expect("a request that is under way");
        let (to, record) = (request.to, request.record.clone());
        let own = self.own.as_ref().expect("nothing is asked without a record");
        let (public, secret) = agree_ephemeral(&mut self.ephemeral, record.point());
        let keys = handshake::derive(&secret, challenge, &self.id, &to.id);
        let ciphers = Ciphers::of_initiator(&keys);
        let digest = handshake::id_digest(challenge, public.as_bytes(), &to.id);
        let signature = self.key.sign(&digest);
        // Whenever it differs, not only when it is lower: satisfies both texts (R28). And when they
        // know none of ours, which looks like one with seq 0: that of a cluster lock, say.
        let included = (enr_seq != own.seq() || enr_seq == 0).then(|| own.as_bytes());
        let nonce = session::nonce(0, &mut self.chance);
        let bytes = packet::handshake(
            &Mask::of(&to.id),
            &iv(&mut self.chance),
            &nonce,
            &self.id,
            &signature,
            public.as_bytes(),
            included,
            ciphers.write(),
            &request.message(id, own.seq()),
        );
        let pending = Pending { ciphers, own_seq: own.seq() };
        self.requests.challenged(now, id, pending);
        self.requests.sent(now, id, State::Handshaken(nonce));
        self.emit(to.at, bytes);
        self.count(Counter::HandshakesSent);
    }

    /// A request came to nothing, and with it what waited for the session that it was to open.
    pub(super) fn fail(&mut self, now: Mono, id: u64) {
        let behind = self.requests.behind(id);
        self.conclude(now, id, Answer::Silence);
        for id in behind {
            self.conclude(now, id, Answer::Silence);
        }
    }

    /// Ends a request, and tells whoever waits for it.
    pub(super) fn conclude(&mut self, now: Mono, id: u64, answer: Answer) {
        if self.requests.get(id).is_none() {
            return; // it ended with what it waited behind
        }
        let request = self.requests.end(id);
        let Request { to, record, purpose, state, packets, records, received, .. } = request;
        // Of an answer in several packets some may be lost: what came counts.
        let answer = match answer {
            Answer::Silence if packets > 0 => {
                mark(Mark::AnsweredInPart);
                Answer::Nodes(records)
            }
            answer => answer,
        };
        if answer != Answer::Silence {
            for id in self.requests.left_behind(&to) {
                self.send_request(now, id);
            }
            if self.table.get(&to.id).is_none() {
                // Whom a lookup asks, anybody may have told it of.
                let ours = matches!(purpose, Purpose::Application(_));
                let origin = if ours { Origin::Found } else { self.origin(&to) };
                self.table.insert(now, record, to.at, origin);
            }
            self.table.answered(now, &to.id, to.at, &mut self.jitter);
        } else if purpose == Purpose::Check || state != State::Waiting {
            self.table.missed(now, &to.id, to.at);
            self.count(Counter::RequestsUnanswered);
        }
        match (purpose, answer) {
            (Purpose::Seek(seek), Answer::Nodes(records)) => {
                self.heard_of(now, seek, &to.id, Some((records, received)));
            }
            (Purpose::Seek(seek), _) => self.heard_of(now, seek, &to.id, None),
            (Purpose::Application(id), answer) => {
                self.acts.push_back(Act::Answered { id, answer });
            }
            (Purpose::Check | Purpose::Announce(_) | Purpose::Fetch | Purpose::Consult, _) => {}
        }
    }

    pub(super) fn emit(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        assert!(bytes.len() <= packet::PACKET_BYTES_MAX, "a packet of {} bytes", bytes.len());
        self.acts.push_back(Act::Send { to, bytes: bytes.into() });
    }

    /// The next nonce of a session; `None` if there is no session, or no more after this one was
    /// given up.
    fn nonce(&mut self, to: &Contact) -> Option<Nonce> {
        let nonce = self.sessions.get(to)?.nonce(&mut self.chance);
        if nonce.is_none() {
            self.sessions.remove(to);
        }
        nonce
    }
}

/// Random and fresh for every packet (R9).
pub(super) fn iv(chance: &mut crate::chance::Stream) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..8].copy_from_slice(&chance.draw().to_be_bytes());
    iv[8..].copy_from_slice(&chance.draw().to_be_bytes());
    iv
}

/// 44 bytes: what other implementations send, and every peer accepts (R21).
fn random_content(chance: &mut crate::chance::Stream) -> [u8; RANDOM_BYTES] {
    let mut content = [0; RANDOM_BYTES];
    for part in content.chunks_mut(8) {
        let drawn = chance.draw().to_be_bytes();
        part.copy_from_slice(&drawn[..part.len()]);
    }
    content
}

/// A key for this handshake alone (R25), which is not to be computed from what is drawn later: its
/// public key, and the point shared with the peer.
fn agree_ephemeral(chance: &mut crate::chance::Stream, peer: &Point) -> (PublicKey, [u8; 33]) {
    loop {
        let mut scalar = [0; 32];
        for part in scalar.chunks_mut(8) {
            part.copy_from_slice(&chance.draw().to_be_bytes());
        }
        // Out of range once in 2^128 draws.
        if let Ok(agreed) = keys::agree_ephemeral(&scalar, peer) {
            chance.ratchet();
            return agreed;
        }
    }
}
