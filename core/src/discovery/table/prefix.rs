//! The block of addresses that one holder is likely to own, and how many nodes of it are known.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::record::Scope;

/// How many nodes of one prefix are verified in the whole table (R79).
pub const PREFIX_TABLE_MAX: usize = 10;
/// How many nodes of one prefix are verified in one bucket (R79).
pub const PREFIX_BUCKET_MAX: usize = 2;

const _: () = assert!(PREFIX_BUCKET_MAX < PREFIX_TABLE_MAX && PREFIX_TABLE_MAX < 1 << 16);

/// A /24 of IPv4 or a /48 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prefix {
    /// The first three octets.
    V4([u8; 3]),
    /// The first six octets.
    V6([u8; 6]),
}

/// The verified nodes per prefix in the whole table. Addresses of this host and of private networks
/// are not counted: there, one prefix is the normal case.
#[derive(Debug, Default)]
pub(super) struct Prefixes(BTreeMap<Prefix, u16>);

impl Prefix {
    /// The prefix of an address; that of the IPv4 address if it is IPv4-mapped.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    /// The prefix of an address if it counts towards the limits of the table.
    pub(super) fn limited(ip: IpAddr) -> Option<Self> {
        (Scope::of(ip) == Scope::Global).then(|| Self::of(ip))
    }
}

impl Prefixes {
    pub(super) fn is_full(&self, ip: IpAddr) -> bool {
        Prefix::limited(ip).is_some_and(|prefix| self.count(prefix) >= PREFIX_TABLE_MAX)
    }

    pub(super) fn count(&self, prefix: Prefix) -> usize {
        self.0.get(&prefix).copied().unwrap_or(0).into()
    }

    pub(super) fn add(&mut self, ip: IpAddr) {
        let Some(prefix) = Prefix::limited(ip) else { return };
        *self.0.entry(prefix).or_default() += 1;
        assert!(self.count(prefix) <= PREFIX_TABLE_MAX, "{prefix:?} has more than its share");
    }

    pub(super) fn remove(&mut self, ip: IpAddr) {
        let Some(prefix) = Prefix::limited(ip) else { return };
        let count = self.0.get_mut(&prefix).expect("what is removed was counted");
        *count -= 1;
        if *count == 0 {
            self.0.remove(&prefix);
        }
    }

    /// Every prefix with its count.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Prefix, usize)> {
        self.0.iter().map(|(prefix, count)| (*prefix, usize::from(*count)))
    }
}
