//! Where others see us: our external address by the votes of those that answered our PINGs (R72).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::relay::may_relay;
use super::table::{CHECK_MAX, Prefix};
use crate::planted::{Bug, planted};
use crate::record::is_usable;
use crate::time::Mono;

/// How long a vote counts: two checks of a node that answers well, jitter included, so that one
/// lost PONG takes no vote away.
pub const VOTE_LIFE: Duration = Duration::from_secs(15 * 60);
/// How many voters of one mind it takes.
pub const VOTES_NEEDED: usize = 10;
/// How many votes are kept; beyond, the oldest goes.
pub const VOTES_MAX: usize = 256;

const _: () = assert!(VOTE_LIFE.as_secs() >= 2 * CHECK_MAX.as_secs() * 5 / 4);
const _: () = assert!(2 * VOTES_NEEDED < VOTES_MAX);

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The votes: the latest of each prefix, so that one holder of many addresses has one voice.
#[derive(Debug, Default)]
pub struct Votes {
    votes: BTreeMap<Prefix, Vote>,
    /// How many of them there are for each address.
    counts: BTreeMap<SocketAddr, usize>,
    /// None of them was given before this.
    oldest: Mono,
}

#[derive(Debug)]
struct Vote {
    seen: SocketAddr,
    at: Mono,
}

impl Family {
    /// The family of an address; IPv4 if it is IPv4-mapped.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl Votes {
    /// `voter` answered a PING of ours and saw us at `seen`. No vote is one for an address that
    /// cannot be published, of the other family, or that the voter cannot have seen from where it
    /// is (R55).
    pub fn vote(&mut self, now: Mono, voter: IpAddr, seen: SocketAddr) {
        let seen = SocketAddr::new(seen.ip().to_canonical(), seen.port());
        let same_family = Family::of(voter) == Family::of(seen.ip());
        if !is_usable(seen) || !same_family || !may_relay(seen.ip(), voter) {
            return;
        }
        let before = self.votes.insert(Prefix::of(voter), Vote { seen, at: now });
        if before.as_ref().is_none_or(|before| before.seen != seen) {
            *self.counts.entry(seen).or_default() += 1;
            before.iter().for_each(|before| self.uncount(before.seen));
        }
        if self.votes.len() > VOTES_MAX {
            let oldest = self.votes.iter().min_by_key(|(_, vote)| vote.at);
            let oldest = *oldest.expect("there are votes").0;
            let forgotten = self.votes.remove(&oldest).expect("it is one of them");
            self.uncount(forgotten.seen);
        }
    }

    /// Our address of this family, if enough voters and more than half of all agree on it.
    #[must_use]
    pub fn winner(&mut self, now: Mono, family: Family) -> Option<SocketAddr> {
        self.expire(now);
        let counts = || self.counts.iter().filter(|(seen, _)| Family::of(seen.ip()) == family);
        let all: usize = counts().map(|(_, votes)| votes).sum();
        let (seen, votes) = counts().max_by_key(|(_, votes)| **votes)?;
        let needed = if planted(Bug::BelievesOneStranger) { 1 } else { VOTES_NEEDED };
        (*votes >= needed && 2 * votes > all).then_some(*seen)
    }

    fn expire(&mut self, now: Mono) {
        if now.since(self.oldest) < VOTE_LIFE {
            return;
        }
        let mut expired = Vec::new();
        self.votes.retain(|_, vote| {
            let lives = now.since(vote.at) < VOTE_LIFE;
            expired.extend((!lives).then_some(vote.seen));
            lives
        });
        expired.into_iter().for_each(|seen| self.uncount(seen));
        self.oldest = self.votes.values().map(|vote| vote.at).min().unwrap_or(now);
    }

    fn uncount(&mut self, seen: SocketAddr) {
        let votes = self.counts.get_mut(&seen).expect("a vote is counted");
        *votes -= 1;
        if *votes == 0 {
            self.counts.remove(&seen);
        }
    }

    /// How many votes are kept; expired ones until somebody asks for the winner.
    #[must_use]
    pub fn len(&self) -> usize {
        self.votes.len()
    }

    /// Whether there is no vote.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.votes.is_empty()
    }

    /// Our own network changed: what was seen before says nothing any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
