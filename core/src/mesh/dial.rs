//! When to dial a peer, and where: the policy of one peer's dialling.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::DialId;
use crate::chance::Stream;
use crate::marks::{Mark, mark};
use crate::planted::{Bug, planted};
use crate::time::Mono;

/// The first back-off.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// The last back-off.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long one address of a round is given before the next is tried beside it.
pub const STAGGER: Duration = Duration::from_millis(250);
/// How long a peer that moved is given to dial us, before we dial its new address.
pub const GRACE: Duration = Duration::from_millis(250);
/// How long a peer is dialled although a link to it seems open: after this, a dead link would
/// have been noticed (the driver's idle time-out).
pub const REDIAL: Duration = Duration::from_secs(30);
/// A link that lived this long proves the way good: the back-off starts anew.
pub const STABLE: Duration = Duration::from_secs(10);
/// How many addresses of a peer are tried in a round.
pub const CANDIDATES_MAX: usize = 8;

const _: () = assert!(BACKOFF_MIN.as_millis() < BACKOFF_MAX.as_millis());
const _: () = assert!(STAGGER.as_millis() <= BACKOFF_MIN.as_millis());
const _: () =
    assert!(super::HELLO_WITHIN.as_millis() < STABLE.as_millis(), "silence proves nothing");

/// The dialling of one peer. A round tries each candidate address once; rounds are spaced by the
/// back-off.
#[derive(Debug)]
pub struct Dialer {
    next_at: Option<Mono>,
    /// The place in the round.
    cursor: usize,
    backoff: Duration,
    /// At most as many as there are candidates: whoever signs record after record, each with
    /// another address, must not make us dial them all.
    in_flight: BTreeMap<DialId, SocketAddr>,
    /// When the last dial was started.
    last: Option<Mono>,
    /// Until when to dial even while linked, because the link is presumably dead.
    redial_until: Option<Mono>,
}

impl Dialer {
    /// A peer that is to be dialled at once.
    pub fn new(now: Mono) -> Self {
        Self {
            next_at: Some(now),
            cursor: 0,
            backoff: BACKOFF_MIN,
            in_flight: BTreeMap::new(),
            last: None,
            redial_until: None,
        }
    }

    /// The next deadline.
    pub fn next_at(&self) -> Option<Mono> {
        self.next_at
    }

    /// Whether dialling goes on although there is a link.
    pub fn redials(&self, now: Mono) -> bool {
        self.redial_until.is_some_and(|until| now < until)
    }

    /// Something about the peer is new: begin a round with no memory of failures, at `at`, but not
    /// in the same breath as the last dial.
    pub fn restart(&mut self, at: Mono) {
        self.cursor = 0;
        self.backoff = BACKOFF_MIN;
        self.next_at = Some(self.last.map_or(at, |last| at.max(last + STAGGER)));
    }

    /// The links there are may be dead: begin a round at `at`, whatever seems open.
    pub fn redial(&mut self, at: Mono) {
        self.restart(at);
        self.redial_until = Some(at + REDIAL);
    }

    /// Our own address changed: dials under way left from the old one and will not answer.
    pub fn forget_in_flight(&mut self) {
        self.in_flight.clear();
        self.last = None;
    }

    /// There is a link now: no dialling.
    pub fn rest(&mut self) {
        self.cursor = 0;
        self.next_at = None;
        self.redial_until = None;
    }

    /// The last link is gone after `lived`: at once if it was a good one, else after the back-off.
    pub fn lost(&mut self, now: Mono, lived: Duration, jitter: &mut Stream) {
        if lived >= STABLE {
            self.restart(now);
        } else {
            mark(Mark::ShortLink);
            self.cursor = 0;
            self.back_off(now, jitter);
        }
    }

    /// Which address to dial now, if the deadline has come. Sets the next deadline.
    pub fn due(
        &mut self,
        now: Mono,
        candidates: &[SocketAddr],
        jitter: &mut Stream,
    ) -> Option<SocketAddr> {
        if self.next_at.is_none_or(|at| at > now) {
            return None;
        }
        let room = self.in_flight.len() < CANDIDATES_MAX;
        let rest = candidates.iter().enumerate().skip(self.cursor).filter(|_| room);
        let next = rest
            .filter(|(_, address)| !self.in_flight.values().any(|dialled| dialled == *address))
            .map(|(place, address)| (place, *address))
            .next();
        if next.is_none() && !self.in_flight.is_empty() {
            mark(Mark::EveryAddressInFlight);
        }
        match next {
            Some((place, _)) if place + 1 < candidates.len() => {
                self.cursor = place + 1;
                self.next_at = Some(now + STAGGER);
            }
            _ => {
                self.cursor = 0;
                self.back_off(now, jitter);
            }
        }
        next.map(|(_, address)| address)
    }

    /// A dial was started.
    pub fn started(&mut self, now: Mono, dial: DialId, address: SocketAddr) {
        self.last = Some(now);
        self.in_flight.insert(dial, address);
        assert!(self.in_flight.len() <= CANDIDATES_MAX, "more dials than candidates");
    }

    /// A dial was answered. If it failed in the middle of a round, the next address is due.
    pub fn answered(&mut self, now: Mono, dial: DialId, failed: bool) {
        let known = self.in_flight.remove(&dial).is_some();
        if known && failed && self.cursor > 0 && self.in_flight.is_empty() {
            self.next_at = self.next_at.map(|at| at.min(now));
        }
    }

    fn back_off(&mut self, now: Mono, jitter: &mut Stream) {
        if planted(Bug::ForgetsBackOff) {
            self.backoff = Duration::from_micros(500);
        }
        self.next_at = Some(now + jitter.jittered(self.backoff));
        if planted(Bug::NeverDialsAgain) {
            self.next_at = None;
        }
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }
}
