//! Requests that wait for their answer, or for their turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::contact::Contact;
use super::message::{DISTANCE_MAX, Distances, Message, RequestId};
use super::packet::{HANDSHAKE_PLAINTEXT_BYTES_MAX, Nonce};
use super::seek::SeekId;
use super::session::Ciphers;
use crate::record::Signed;
use crate::time::Mono;

/// How long an answer may take. R4 recommends about 500 ms, but a round trip by geostationary
/// satellite takes 600.
pub const ROUND_TRIP_WITHIN: Duration = Duration::from_secs(1);
/// How long a request may take in all, waiting for its turn and a handshake of its own included: a
/// peer that challenges again and again does not keep it alive.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(4);
/// How many requests wait for an answer or their turn, in all. More fail at once.
pub const REQUESTS_MAX: usize = 1024;
/// How many of them may be to one contact.
pub const REQUESTS_PER_CONTACT_MAX: usize = 64;
/// How many of them may fetch records of which peers told: whoever tells us of new records without
/// end must not use up the room of everything else. As many as hear at once of a record of ours
/// (`TOLD_MAX`): when all of a neighbourhood moves, all of it is fetched.
pub const FETCHES_MAX: usize = 64;
/// How many packets one NODES answer may have (R51).
pub const NODES_PACKETS_MAX: u64 = 16;
/// How many records one NODES answer may have: three per packet, as one implementation sends them.
pub const NODES_RECORDS_MAX: usize = 48;

/// How many distances one FINDNODE of ours asks for.
pub const DISTANCES_MAX: usize = 16;
/// How long a TALKREQ of ours is, protocol and request together: with our record it must still fit
/// a handshake packet.
pub const TALK_REQUEST_BYTES_MAX: usize = 700;

const _: () = assert!(4 * ROUND_TRIP_WITHIN.as_millis() <= REQUEST_WITHIN.as_millis());
const _: () = assert!(4 * FETCHES_MAX < REQUESTS_MAX);
const _: () = assert!(TALK_REQUEST_BYTES_MAX + 32 < HANDSHAKE_PLAINTEXT_BYTES_MAX);
const _: () = assert!(DISTANCES_MAX * 3 + 32 < HANDSHAKE_PLAINTEXT_BYTES_MAX);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Ping,
    FindNode(Vec<u16>),
    Talk { protocol: Bytes, request: Bytes },
}

impl Body {
    /// Whether it fits a packet even as the answer to a challenge, and can be asked at all.
    pub(super) fn fits(&self) -> bool {
        match self {
            Self::Ping => true,
            Self::FindNode(distances) => {
                distances.len() <= DISTANCES_MAX && distances.iter().all(|d| *d <= DISTANCE_MAX)
            }
            Self::Talk { protocol, request } => {
                protocol.len() + request.len() <= TALK_REQUEST_BYTES_MAX
            }
        }
    }
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The table asks whether the node still answers.
    Check,
    /// To tell the node that we exist, and that our record has this seq.
    Announce(u64),
    /// The node's own newest record.
    Fetch,
    /// Another node's record, which this one may hold.
    Consult,
    /// A lookup asks.
    Seek(SeekId),
    /// The application asks.
    Application(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Another request has to come to an end, or to a session, first.
    Waiting,
    /// Sent, as a packet with this nonce.
    Sent(Nonce),
    /// Sent as the answer to a challenge, as a packet with this nonce.
    Handshaken(Nonce),
}

pub(super) struct Request {
    pub(super) to: Contact,
    /// The node's record: its key is what a handshake needs.
    pub(super) record: Signed,
    pub(super) body: Body,
    pub(super) purpose: Purpose,
    pub(super) state: State,
    /// Whether it ever answered a challenge.
    shaken: bool,
    deadline: Mono,
    /// When it ends, whatever else happens.
    until: Mono,
    /// How many packets of a NODES answer came, and what they held.
    pub(super) packets: u64,
    pub(super) records: Vec<Signed>,
    /// How many records they were, good or not.
    pub(super) received: usize,
}

/// The keys of a handshake that we sent.
pub(super) struct Pending {
    pub(super) ciphers: Ciphers,
    /// The seq of the record that we sent, or that the peer has.
    pub(super) own_seq: u64,
}

/// What is under way with one contact, while anything is.
#[derive(Default)]
struct Line {
    /// Everything to this contact, in the order in which it was asked.
    requests: Vec<u64>,
    /// Whose turn comes when there is a session.
    waiting: VecDeque<u64>,
    /// The request that opens a session, while there is none.
    opening: Option<u64>,
    /// The keys of a handshake that we sent: valid when the peer has used them (R32).
    pending: Option<Pending>,
}

/// All requests.
#[derive(Default)]
pub(super) struct Requests {
    all: BTreeMap<u64, Request>,
    lines: BTreeMap<Contact, Line>,
    by_nonce: BTreeMap<Nonce, u64>,
    deadlines: BTreeSet<(Mono, u64)>,
    /// How many fetch a record.
    fetching: usize,
    next: u64,
}

impl Request {
    /// Whether it answered a challenge before.
    pub(super) fn is_shaken(&self) -> bool {
        self.shaken
    }

    pub(super) fn message(&self, id: u64, own_seq: u64) -> Message<'_> {
        let id = RequestId::from_u64(id);
        match &self.body {
            Body::Ping => Message::Ping { id, enr_seq: own_seq },
            Body::FindNode(distances) => {
                Message::FindNode { id, distances: Distances::from(&distances[..]) }
            }
            Body::Talk { protocol, request } => Message::TalkRequest { id, protocol, request },
        }
    }
}

impl Requests {
    /// A new request, waiting for its turn; `None` if there are too many.
    pub(super) fn add(
        &mut self,
        now: Mono,
        to: Contact,
        record: Signed,
        body: Body,
        purpose: Purpose,
    ) -> Option<u64> {
        if self.all.len() >= REQUESTS_MAX {
            return None;
        }
        let line = self.lines.entry(to).or_default();
        if line.requests.len() >= REQUESTS_PER_CONTACT_MAX {
            return None;
        }
        let id = self.next;
        self.next += 1;
        line.requests.push(id);
        let deadline = now + 2 * ROUND_TRIP_WITHIN; // what it waits for may take a handshake
        self.deadlines.insert((deadline, id));
        self.fetching += usize::from(purpose == Purpose::Fetch);
        let request = Request {
            to,
            record,
            body,
            purpose,
            state: State::Waiting,
            shaken: false,
            deadline,
            until: now + REQUEST_WITHIN,
            packets: 0,
            records: Vec::new(),
            received: 0,
        };
        self.all.insert(id, request);
        Some(id)
    }

    /// How many there have been.
    pub(super) fn asked(&self) -> u64 {
        self.next
    }

    pub(super) fn get(&self, id: u64) -> Option<&Request> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Request> {
        self.all.get_mut(&id)
    }

    /// The request that a packet with this nonce carried to this contact's address.
    pub(super) fn by_nonce(&self, nonce: &Nonce) -> Option<(u64, &Request)> {
        let id = *self.by_nonce.get(nonce)?;
        Some((id, &self.all[&id]))
    }

    /// Whether something to this contact is under way for the same purpose.
    pub(super) fn has(&self, to: &Contact, purpose: Purpose) -> bool {
        let line = self.lines.get(to);
        line.is_some_and(|line| line.requests.iter().any(|id| self.all[id].purpose == purpose))
    }

    /// Whether anything to this contact is under way.
    pub(super) fn is_busy(&self, to: &Contact) -> bool {
        self.lines.contains_key(to)
    }

    /// How many requests fetch a record.
    pub(super) fn fetching(&self) -> usize {
        self.fetching
    }

    /// Without a session one request at a time opens one: answers whether this is it, or else has
    /// it wait for its turn.
    pub(super) fn opens(&mut self, id: u64) -> bool {
        let line = self.line(id);
        match line.opening {
            Some(opening) => {
                if opening != id && !line.waiting.contains(&id) {
                    line.waiting.push_back(id);
                }
                opening == id
            }
            None => {
                line.opening = Some(id);
                true
            }
        }
    }

    /// A request was sent, and has from now on this long for its answer.
    pub(super) fn sent(&mut self, now: Mono, id: u64, state: State) {
        let request = self.all.get_mut(&id).expect("a request that is under way");
        if let State::Sent(nonce) | State::Handshaken(nonce) = request.state {
            self.by_nonce.remove(&nonce);
        }
        request.state = state;
        request.shaken |= matches!(state, State::Handshaken(_));
        if let State::Sent(nonce) | State::Handshaken(nonce) = state {
            self.by_nonce.insert(nonce, id);
        }
        self.extend(now, id);
    }

    fn extend(&mut self, now: Mono, id: u64) {
        let request = self.all.get_mut(&id).expect("a request that is under way");
        self.deadlines.remove(&(request.deadline, id));
        request.deadline = (now + ROUND_TRIP_WITHIN).min(request.until);
        self.deadlines.insert((request.deadline, id));
    }

    /// A challenge voids every other request in flight to that contact (R33): they wait until the
    /// handshake is answered.
    pub(super) fn challenged(&mut self, now: Mono, id: u64, pending: Pending) {
        let line = self.line(id);
        (line.opening, line.pending) = (Some(id), Some(pending));
        let others: Vec<u64> = line.requests.iter().copied().filter(|other| *other != id).collect();
        for other in others {
            self.sent(now, other, State::Waiting);
            let waiting = &mut self.line(other).waiting;
            if !waiting.contains(&other) {
                waiting.push_back(other);
            }
        }
        let waiting = &mut self.line(id).waiting;
        waiting.retain(|waits| *waits != id);
    }

    /// The keys of a handshake of ours that the contact has not yet used.
    pub(super) fn pending(&self, contact: &Contact) -> Option<&Ciphers> {
        self.lines.get(contact)?.pending.as_ref().map(|pending| &pending.ciphers)
    }

    /// The contact has used the keys of our handshake: answers them, and its record.
    pub(super) fn proved(&mut self, contact: &Contact) -> Option<(Pending, Signed)> {
        let line = self.lines.get_mut(contact)?;
        let pending = line.pending.take()?;
        let opening = line.opening.expect("the request that shook hands is under way");
        Some((pending, self.all[&opening].record.clone()))
    }

    /// There is a session now: whose turn has come. A request that was to open one goes out again,
    /// in the session, unless its own handshake is under way or was what opened it.
    pub(super) fn ready(&mut self, contact: &Contact) -> Vec<u64> {
        let Some(line) = self.lines.get_mut(contact) else { return Vec::new() };
        let opened = if line.pending.is_none() { line.opening.take() } else { None };
        let opened = opened.filter(|id| !matches!(self.all[id].state, State::Handshaken(_)));
        opened.into_iter().chain(line.waiting.drain(..)).collect()
    }

    /// What waits for a request that ended without opening a session: its turn has come.
    pub(super) fn left_behind(&mut self, contact: &Contact) -> Vec<u64> {
        let line = self.lines.get_mut(contact).filter(|line| line.opening.is_none());
        line.map(|line| line.waiting.drain(..).collect()).unwrap_or_default()
    }

    /// What waits behind a request that is to open a session: it fails with it.
    pub(super) fn behind(&self, id: u64) -> Vec<u64> {
        let line = &self.lines[&self.all[&id].to];
        match line.opening {
            Some(opening) if opening == id => line.waiting.iter().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Ends a request, answered or not.
    pub(super) fn end(&mut self, id: u64) -> Request {
        let request = self.all.remove(&id).expect("a request that is under way");
        self.deadlines.remove(&(request.deadline, id));
        self.fetching -= usize::from(request.purpose == Purpose::Fetch);
        if let State::Sent(nonce) | State::Handshaken(nonce) = request.state {
            self.by_nonce.remove(&nonce);
        }
        let line = self.lines.get_mut(&request.to).expect("a request stands in a line");
        line.requests.retain(|other| *other != id);
        line.waiting.retain(|other| *other != id);
        if line.opening == Some(id) {
            (line.opening, line.pending) = (None, None);
        }
        if line.requests.is_empty() {
            self.lines.remove(&request.to);
        }
        request
    }

    /// A request whose time is up.
    pub(super) fn due(&self, now: Mono) -> Option<u64> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn line(&mut self, id: u64) -> &mut Line {
        let to = self.all[&id].to;
        self.lines.get_mut(&to).expect("a request stands in a line")
    }

    /// Panics if an invariant is broken.
    pub(super) fn check(&self) {
        assert_eq!(self.all.len(), self.deadlines.len());
        assert!(self.all.len() <= REQUESTS_MAX);
        let sent = |request: &&Request| !matches!(request.state, State::Waiting);
        assert_eq!(self.all.values().filter(sent).count(), self.by_nonce.len());
        let lined: usize = self.lines.values().map(|line| line.requests.len()).sum();
        assert_eq!(lined, self.all.len(), "every request stands in one line");
        let fetches = |request: &&Request| request.purpose == Purpose::Fetch;
        assert_eq!(self.all.values().filter(fetches).count(), self.fetching);
        assert!(self.all.values().all(|request| request.deadline <= request.until));
        for line in self.lines.values() {
            assert!(!line.requests.is_empty(), "an empty line");
            assert!(line.pending.is_none() || line.opening.is_some(), "keys of no handshake");
        }
    }
}
