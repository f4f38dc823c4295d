//! How much public-key work strangers can cause: a handshake that answers a challenge costs about
//! 290 µs, whether it is good or not.

use std::net::SocketAddr;
use std::time::Duration;

use super::table::Prefix;
use crate::allowance::Allowance;
use crate::lru::Lru;
use crate::time::Mono;

/// How many handshakes are taken at once, in all.
pub const HANDSHAKES_AT_ONCE: u32 = 4096;
/// How long each takes to be forgotten: at most about half of one core goes into handshakes.
pub const HANDSHAKE_EVERY: Duration = Duration::from_micros(500);
/// How many of one /24 (IPv4) or /48 (IPv6) are taken at once.
pub const HANDSHAKES_PER_PREFIX_AT_ONCE: u32 = 64;
/// How long each of those takes to be forgotten.
pub const HANDSHAKE_PER_PREFIX_EVERY: Duration = Duration::from_millis(50);
/// Of how many prefixes the count is kept.
pub const PREFIXES_MAX: usize = 1024;

/// What is left, in all and for each prefix. A handshake does not show before it was verified that
/// its sender saw the challenge that it answers: who forges sources spends the budget of the
/// prefixes that they forge, and with very many of them that of everybody.
pub(super) struct Budget {
    all: Allowance,
    prefixes: Lru<Prefix, Allowance>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { all: Allowance::default(), prefixes: Lru::new(PREFIXES_MAX) }
    }
}

impl Budget {
    /// Takes one handshake from `from`, if there is one left.
    pub(super) fn take(&mut self, now: Mono, from: SocketAddr, limited: bool) -> bool {
        if limited {
            let prefix = Prefix::of(from.ip());
            let mut allowance = self.prefixes.get(&prefix).copied().unwrap_or_default();
            let left =
                allowance.take(now, HANDSHAKES_PER_PREFIX_AT_ONCE, HANDSHAKE_PER_PREFIX_EVERY);
            self.prefixes.insert(prefix, allowance);
            if !left {
                return false;
            }
        }
        self.all.take(now, HANDSHAKES_AT_ONCE, HANDSHAKE_EVERY)
    }
}
