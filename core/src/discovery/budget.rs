//! How much public-key work strangers can cause: a handshake that answers a challenge costs about
//! 290 µs, whether it is good or not.

use std::time::Duration;

use super::contact::Contact;
use super::table::Prefix;
use crate::allowance::Allowance;
use crate::lru::Lru;
use crate::time::Mono;

/// How many handshakes are taken at once, in all, whoever they are from.
pub const HANDSHAKES_AT_ONCE: u32 = 4096;
/// How long each takes to be forgotten: at most about half of one core goes into handshakes.
pub const HANDSHAKE_EVERY: Duration = Duration::from_micros(500);
/// How many of one /24 (IPv4) or /48 (IPv6) are taken at once.
pub const HANDSHAKES_PER_PREFIX_AT_ONCE: u32 = 64;
/// How long each of those takes to be forgotten.
pub const HANDSHAKE_PER_PREFIX_EVERY: Duration = Duration::from_millis(50);
/// Of how many prefixes the count is kept.
pub const PREFIXES_MAX: usize = 1024;
/// How many more are kept for those that we know where they are, when all of the above is spent: an
/// eighth of it.
pub const HANDSHAKES_KNOWN_AT_ONCE: u32 = HANDSHAKES_AT_ONCE / 8;
/// How long each of those takes to be forgotten.
pub const HANDSHAKE_KNOWN_EVERY: Duration = Duration::from_millis(4);
/// How many of those one known contact has at once: who forges its address spends what is its own,
/// and no other's.
pub const HANDSHAKES_PER_KNOWN_AT_ONCE: u32 = 8;
/// How long each of those takes to be forgotten.
pub const HANDSHAKE_PER_KNOWN_EVERY: Duration = Duration::from_secs(1);
/// Of how many known contacts the count is kept.
pub const KNOWN_MAX: usize = 512;

const _: () = assert!(HANDSHAKE_KNOWN_EVERY.as_micros() == 8 * HANDSHAKE_EVERY.as_micros());
const _: () = assert!(KNOWN_MAX >= HANDSHAKES_KNOWN_AT_ONCE as usize);

/// What is left, in all and for each prefix. A handshake does not show before it was verified that
/// its sender saw the challenge that it answers: who forges sources spends the budget of the
/// prefixes that they forge, and with very many of them that of everybody; but not what is kept for
/// those that we know.
pub(super) struct Budget {
    all: Allowance,
    prefixes: Lru<Prefix, Allowance>,
    all_known: Allowance,
    known: Lru<Contact, Allowance>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            all: Allowance::default(),
            prefixes: Lru::new(PREFIXES_MAX),
            all_known: Allowance::default(),
            known: Lru::new(KNOWN_MAX),
        }
    }
}

impl Budget {
    /// Takes one handshake from `from`, if there is one left. Prefixes count if it is `limited`; if it
    /// is `known`, there is more.
    pub(super) fn take(&mut self, now: Mono, from: Contact, limited: bool, known: bool) -> bool {
        self.take_any(now, from, limited) || (known && self.take_known(now, from))
    }

    fn take_any(&mut self, now: Mono, from: Contact, limited: bool) -> bool {
        if limited {
            let at_once = HANDSHAKES_PER_PREFIX_AT_ONCE;
            let prefix = Prefix::of(from.at.ip());
            if !take_of(&mut self.prefixes, prefix, now, at_once, HANDSHAKE_PER_PREFIX_EVERY) {
                return false;
            }
        }
        self.all.take(now, HANDSHAKES_AT_ONCE, HANDSHAKE_EVERY)
    }

    fn take_known(&mut self, now: Mono, from: Contact) -> bool {
        let at_once = HANDSHAKES_PER_KNOWN_AT_ONCE;
        take_of(&mut self.known, from, now, at_once, HANDSHAKE_PER_KNOWN_EVERY)
            && self.all_known.take(now, HANDSHAKES_KNOWN_AT_ONCE, HANDSHAKE_KNOWN_EVERY)
    }
}

/// Takes one of what is left for this key.
fn take_of<K: Ord + Copy>(
    allowances: &mut Lru<K, Allowance>,
    key: K,
    now: Mono,
    at_once: u32,
    every: Duration,
) -> bool {
    let mut allowance = allowances.get(&key).copied().unwrap_or_default();
    let left = allowance.take(now, at_once, every);
    allowances.insert(key, allowance);
    left
}
