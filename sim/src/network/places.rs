//! Who is at which address.

#![expect(
    clippy::disallowed_types,
    reason = "it is looked into, never walked through: no order shows"
)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::net::SocketAddr;

use crate::event::HostId;

/// Each address that somebody has. Every datagram is looked up here, in networks of any size.
#[derive(Default)]
pub(super) struct Places(HashMap<Place, u32, BuildHasherDefault<Mixer>>);

/// An address as numbers: quicker to hash and to compare.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    high: u64,
    low: u64,
    port: u16,
}

impl Places {
    /// Who is there.
    pub(super) fn holder(&self, address: &SocketAddr) -> Option<HostId> {
        self.0.get(&Place::of(address)).map(|host| HostId(*host as usize))
    }

    /// A host is there from now on.
    ///
    /// # Panics
    /// If another is.
    pub(super) fn take(&mut self, address: &SocketAddr, host: HostId) {
        let host = u32::try_from(host.0).expect("fewer than 2^32 hosts");
        let other = self.0.insert(Place::of(address), host);
        assert!(other.is_none(), "{address} is taken by host {other:?}");
    }

    /// Nobody is there any more.
    pub(super) fn leave(&mut self, address: &SocketAddr) {
        self.0.remove(&Place::of(address)).expect("whoever leaves was there");
    }
}

impl Place {
    fn of(address: &SocketAddr) -> Self {
        let ip = match address {
            SocketAddr::V4(at) => u128::from(at.ip().to_bits()) | 0xffff_0000_0000, // RFC 4291 §2.5.5.2
            SocketAddr::V6(at) => at.ip().to_bits(),
        };
        Self { high: (ip >> 64) as u64, low: ip as u64, port: address.port() }
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.high);
        hasher.write_u64(self.low ^ u64::from(self.port) << 48);
    }
}

/// The same hash on every machine; addresses here are not chosen by an enemy.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, _: &[u8]) {
        unreachable!("places are hashed as words");
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
