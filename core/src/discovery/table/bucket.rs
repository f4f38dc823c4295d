//! One bucket: the nodes at one logarithmic distance, and those that wait for a place.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::prefix::{PREFIX_BUCKET_MAX, Prefix};
use super::{CHECK_MIN, MISS_APART, MISSES_FORGIVEN, MISSES_MAX, MISSES_STRANGER};
use crate::record::{NodeId, Signed};
use crate::time::Mono;

/// How many nodes a bucket holds: k (R73).
pub const BUCKET_NODES: usize = 16;
/// How many of them may be nodes that nobody vouches for: neither whoever connects nor whoever tells
/// of others must own the bucket (R80).
pub const BUCKET_INBOUND: usize = BUCKET_NODES / 2;
/// How many nodes wait for a place (R75).
pub const WAITING_MAX: usize = 10;
/// How many of them may be nodes that nobody vouches for.
pub const WAITING_INBOUND: usize = WAITING_MAX / 2;

/// How a node became known (R80).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It connected to us, and nobody else has told of it.
    Inbound,
    /// One other node has told of it, the one at this address. That is not enough: of two nodes of
    /// one owner each would vouch for the other.
    Told(SocketAddr),
    /// Two nodes of different owners have told of it, or it needs no other's word: an operator's, a
    /// boot node, one that was stored, or one that the application asked for.
    Found,
}

impl Origin {
    /// The same node once more.
    fn and(self, again: Self) -> Self {
        match (self, again) {
            (Self::Found, _) | (_, Self::Found) => Self::Found,
            (Self::Told(one), Self::Told(other)) if independent(one, other) => Self::Found,
            (Self::Inbound, known) | (known, _) => known,
        }
    }

    /// What this is worth for a node at that address: nobody vouches for a neighbour.
    pub(super) fn of(self, at: SocketAddr) -> Self {
        match self {
            Self::Told(by) if !independent(by, at) => Self::Inbound,
            origin => origin,
        }
    }

    fn is_vouched(self) -> bool {
        self == Self::Found
    }
}

/// Whether two addresses are likely to have different owners; on this host and in private networks
/// every one is its own.
fn independent(one: SocketAddr, other: SocketAddr) -> bool {
    match (Prefix::limited(one.ip()), Prefix::limited(other.ip())) {
        (Some(one), Some(other)) => one != other,
        _ => one != other,
    }
}

/// A node of the table.
#[derive(Debug)]
pub struct Node {
    pub(super) record: Signed,
    pub(super) at: SocketAddr,
    pub(super) origin: Origin,
    /// Whether it answered at `at`, and did not fail since.
    pub(super) verified: bool,
    /// How often it ever answered, wherever it was.
    pub(super) answers: u32,
    /// How often in a row it did not answer.
    pub(super) misses: u32,
    pub(super) last_miss: Mono,
    /// The time from the next answer to the check after it.
    pub(super) spacing: Duration,
    /// When it is to be checked; `None` while it is being checked.
    pub(super) check_at: Option<Mono>,
}

/// A node that waits for a place in its bucket.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) record: Signed,
    pub(super) at: SocketAddr,
    pub(super) origin: Origin,
    /// Whether it answered there while it waited.
    pub(super) answered: bool,
}

/// What a miss leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays as it is.
    Forgiven,
    /// It stays, as a node that has yet to answer.
    Doubted,
    /// It goes.
    Dropped,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Least recently seen first (R74).
    pub(super) nodes: Vec<Node>,
    /// Newest last.
    pub(super) waiting: Vec<Candidate>,
}

impl Node {
    /// Its newest known record.
    #[must_use]
    pub fn record(&self) -> &Signed {
        &self.record
    }

    /// Where it is asked: one of the endpoints of its record.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Whether it answered there: only then is it told to others (R53).
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// How often it answered.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.answers
    }

    /// Whether it is worth asking: it answers, or was not tried yet.
    pub(super) fn is_promising(&self) -> bool {
        self.verified || self.misses == 0
    }

    pub(super) fn id(&self) -> NodeId {
        self.record.node_id()
    }

    pub(super) fn new(candidate: Candidate, check_at: Mono) -> Self {
        Self {
            record: candidate.record,
            at: candidate.at,
            origin: candidate.origin,
            verified: false,
            answers: 0,
            misses: 0,
            last_miss: Mono(0),
            spacing: CHECK_MIN,
            check_at: Some(check_at),
        }
    }

    /// It is told of again.
    pub(super) fn vouched(&mut self, again: Origin) {
        self.origin = self.origin.and(again);
    }

    /// Counts a miss and says what follows from it. Several requests may time out in one moment of
    /// silence: that is one miss.
    pub(super) fn missed(&mut self, now: Mono, replaceable: bool) -> Verdict {
        if self.misses == 0 || now.since(self.last_miss) >= MISS_APART {
            self.misses += 1;
            self.last_miss = now;
        }
        self.spacing = CHECK_MIN;
        if self.misses < self.patience(replaceable) {
            Verdict::Forgiven
        } else if replaceable || self.answers == 0 || self.misses >= MISSES_MAX {
            Verdict::Dropped
        } else {
            Verdict::Doubted
        }
    }

    /// The misses that are not forgiven any more (R77).
    fn patience(&self, replaceable: bool) -> u32 {
        match self.answers {
            0 if replaceable => 1,
            answers => MISSES_STRANGER + (answers / 10).min(MISSES_FORGIVEN),
        }
    }
}

impl Bucket {
    pub(super) fn place(&self, id: &NodeId) -> Option<usize> {
        self.nodes.iter().position(|node| node.id() == *id)
    }

    /// How many nodes nobody vouches for.
    fn inbound(&self) -> usize {
        self.nodes.iter().filter(|node| !node.origin.is_vouched()).count()
    }

    /// Whether who waits would be given a place; a poor table has none for whoever just connects.
    fn has_room(&self, waiting: &Candidate, poor: bool) -> bool {
        self.nodes.len() < BUCKET_NODES
            && (waiting.origin.is_vouched() || self.inbound() < BUCKET_INBOUND)
            && waiting.is_admissible(poor)
    }

    /// Whether one more verified node at this address were too many of its prefix.
    pub(super) fn is_prefix_full(&self, ip: IpAddr) -> bool {
        Prefix::limited(ip).is_some_and(|prefix| self.of_prefix(prefix) >= PREFIX_BUCKET_MAX)
    }

    fn of_prefix(&self, prefix: Prefix) -> usize {
        let verified = self.nodes.iter().filter(|node| node.verified);
        verified.filter(|node| Prefix::limited(node.at.ip()) == Some(prefix)).count()
    }

    /// Takes a place in the queue, as the newest. What was known of the same node before is
    /// superseded, unless it is the newer record.
    pub(super) fn wait(&mut self, mut candidate: Candidate) {
        if let Some(before) = self.leave_queue(&candidate.record.node_id()) {
            candidate = candidate.or_newer(before);
        }
        self.waiting.push(candidate);
        let inbound = |waiting: &Candidate| !waiting.origin.is_vouched();
        if self.waiting.iter().filter(|waiting| inbound(waiting)).count() > WAITING_INBOUND {
            let oldest = self.waiting.iter().position(inbound).expect("some are inbound");
            self.waiting.remove(oldest);
        }
        if self.waiting.len() > WAITING_MAX {
            self.waiting.remove(0);
        }
    }

    /// Who waits was asked something there, and did or did not answer: then it waits no more.
    pub(super) fn tried(&mut self, id: &NodeId, at: SocketAddr, answered: bool) {
        let place = self.waiting.iter().position(|w| w.record.node_id() == *id && w.at == at);
        match place {
            Some(place) if answered => self.waiting[place].answered = true,
            Some(place) => _ = self.waiting.remove(place),
            None => {}
        }
    }

    pub(super) fn leave_queue(&mut self, id: &NodeId) -> Option<Candidate> {
        let place = self.waiting.iter().position(|waiting| waiting.record.node_id() == *id)?;
        Some(self.waiting.remove(place))
    }

    /// One of those that wait and for which there is room: who is vouched for before who is not, then
    /// who answered before who did not, then the newest.
    pub(super) fn take_waiting(&mut self, poor: bool) -> Option<Candidate> {
        let fit = self.waiting.iter().enumerate();
        let fit = fit.filter(|(_, waiting)| self.has_room(waiting, poor));
        let rank = |(place, waiting): &(usize, &Candidate)| {
            (waiting.origin.is_vouched(), waiting.answered, *place)
        };
        let (place, _) = fit.max_by_key(rank)?;
        Some(self.waiting.remove(place))
    }

    /// Whether somebody would take the place of a node of this origin.
    pub(super) fn is_replaceable(&self, origin: Origin, poor: bool) -> bool {
        let fits = |waiting: &Candidate| {
            let vouched = waiting.origin.is_vouched() || !origin.is_vouched();
            (vouched || self.inbound() < BUCKET_INBOUND) && waiting.is_admissible(poor)
        };
        self.waiting.iter().any(fits)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn check(&self, own: &NodeId, distance: u16, poor: bool) {
        assert!(!self.is_empty(), "an empty bucket takes no memory");
        assert!(self.nodes.len() <= BUCKET_NODES && self.waiting.len() <= WAITING_MAX);
        assert!(self.inbound() <= BUCKET_INBOUND, "inbound nodes own bucket {distance}");
        assert!(!self.waiting.iter().any(|waiting| self.has_room(waiting, poor)), "idle room");
        let waiting = self.waiting.iter().map(|waiting| waiting.record.node_id());
        let mut ids: Vec<NodeId> = self.nodes.iter().map(Node::id).chain(waiting).collect();
        assert!(ids.iter().all(|id| own.log_distance(id) == distance), "in the wrong bucket");
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "a node is twice in a bucket");
        for prefix in self.nodes.iter().filter_map(|node| Prefix::limited(node.at.ip())) {
            assert!(self.of_prefix(prefix) <= PREFIX_BUCKET_MAX, "too many of {prefix:?}");
        }
    }
}

impl Candidate {
    pub(super) fn new(record: Signed, at: SocketAddr, origin: Origin) -> Self {
        Self { record, at, origin: origin.of(at), answered: false }
    }

    /// Whether it may be given a place at all.
    fn is_admissible(&self, poor: bool) -> bool {
        !poor || self.origin != Origin::Inbound
    }

    /// The same node as told before and now: the newer record, the better origin.
    fn or_newer(mut self, before: Candidate) -> Self {
        self.origin = before.origin.and(self.origin);
        if before.record.seq() >= self.record.seq() {
            (self.record, self.at) = (before.record, before.at);
            self.answered = before.answered;
        }
        self
    }
}
