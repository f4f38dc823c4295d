//! Who is on a host in place of a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use crate::adversary::{Adversary, Persona};
use crate::scenario::PORT;

/// Who starts on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node.
    Node,
    /// An adversary that lies so.
    Liar(Persona),
    /// A [`Pinger`], one of so many.
    Pinger {
        /// Its place among them.
        place: u32,
        /// How many there are.
        of: u32,
    },
}

/// Who is there, once started.
pub(crate) enum Occupant {
    Adversary(Box<Adversary>),
    Pinger(Pinger),
}

/// The least that can be on a host, to see what the world itself costs: every [`PING_PERIOD`] it sends
/// [`PING_BYTES`] to another of its kind, drawn anew each time, which sends them back.
pub struct Pinger {
    place: u32,
    of: u32,
    pings: u32,
}

/// How often a pinger pings.
pub const PING_PERIOD: Duration = Duration::from_millis(100);
/// How much it sends.
pub const PING_BYTES: usize = 64;

/// What the first byte of a datagram says.
const PING: u8 = 0;
const PONG: u8 = 1;

impl Occupant {
    /// What it is, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Adversary(_) => "the adversary",
            Self::Pinger(_) => "the pinger",
        }
    }
}

impl Pinger {
    /// The one with this place (from 0) among so many.
    ///
    /// # Panics
    /// If there is no such place.
    #[must_use]
    pub fn new(place: u32, of: u32) -> Self {
        assert!(place < of, "pinger {place} of {of}");
        Self { place, of, pings: 0 }
    }

    /// Where a pinger is: each in a /24 of its own.
    ///
    /// # Panics
    /// If its place is not below 2^24.
    #[must_use]
    pub fn address(place: u32) -> SocketAddr {
        let [high, a, b, c] = place.to_be_bytes();
        assert_eq!(high, 0, "fewer than 2^24 pingers");
        (Ipv4Addr::new(128 + a, b, c, 1), PORT).into()
    }

    /// When it first pings, after its start: not all at once.
    #[must_use]
    pub fn first(&self) -> Duration {
        let period = PING_PERIOD.as_nanos() as u64;
        Duration::from_nanos(period * u64::from(self.place) / u64::from(self.of))
    }

    /// The next ping, and to whom.
    pub fn pings(&mut self) -> (SocketAddr, Bytes) {
        let mixed = mix(u64::from(self.place) << 32 | u64::from(self.pings));
        let others = u64::from(self.of.max(2) - 1);
        let mut to = ((u128::from(mixed) * u128::from(others)) >> 64) as u32;
        to += u32::from(to >= self.place);
        let mut bytes = [0; PING_BYTES];
        bytes[0] = PING;
        bytes[8..16].copy_from_slice(&mixed.to_le_bytes());
        self.pings += 1;
        (Self::address(to), Bytes::copy_from_slice(&bytes))
    }

    /// The answer to what it heard, if one is due.
    pub fn hears(&mut self, bytes: Bytes) -> Option<Bytes> {
        if bytes.first() != Some(&PING) {
            return None;
        }
        let mut answer = Vec::from(bytes);
        answer[0] = PONG;
        Some(answer.into())
    }
}

/// A number for a number, as if drawn (the finaliser of SplitMix64: Steele et al., OOPSLA 2014).
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl From<Adversary> for Occupant {
    fn from(adversary: Adversary) -> Self {
        Self::Adversary(Box::new(adversary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run;
    use crate::scenario::Scenario;
    use crate::trace::Trace;
    use std::collections::BTreeMap;

    #[test]
    fn pingers_ping_all_others_and_never_themselves() {
        let mut counts = BTreeMap::<SocketAddr, u32>::new();
        let mut pinger = Pinger::new(3, 10);
        for _ in 0..9_000 {
            *counts.entry(pinger.pings().0).or_default() += 1;
        }
        assert!(!counts.contains_key(&Pinger::address(3)));
        assert_eq!(counts.len(), 9);
        assert!(counts.values().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_ping_is_answered_once() {
        let (mut a, mut b) = (Pinger::new(0, 2), Pinger::new(1, 2));
        let (to, ping) = a.pings();
        assert_eq!((to, ping.len()), (Pinger::address(1), PING_BYTES));
        let pong = b.hears(ping).expect("it answers");
        assert_eq!(pong.len(), PING_BYTES);
        assert_eq!(a.hears(pong), None);
        assert_eq!(a.hears(Bytes::new()), None);
    }
    #[test]
    fn in_a_world_without_loss_every_ping_is_heard_and_answered() {
        let scenario: Scenario =
            "operators 0\npingers 10\n0s start all\n10.09s expect health".parse().unwrap();
        let report = run(&scenario, Trace::default());
        assert_eq!(report.finding, None);
        // Ten starts; each wakes 101 times; each ping of the first 10 s has come back.
        let (least, most) = (10 + 1_010 + 2 * 1_000, 10 + 1_010 + 2 * 1_010);
        assert!((least..=most).contains(&report.trace.events()), "{}", report.trace.events());
    }
}
