//! Node ids: 256-bit names in one metric space with the keys of the DHT.

use std::fmt;

use crate::keys::Point;

/// keccak-256 of a public key's coordinates x ‖ y (EIP-778, identity scheme "v4").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 32]);

impl NodeId {
    /// The id of the node that holds this key.
    #[must_use]
    pub fn of(point: &Point) -> Self {
        Self(super::keccak256(&point.coordinates()))
    }

    /// The distance of two ids: their exclusive or, big endian (discv5-theory, "Distance").
    #[must_use]
    pub fn xor(&self, other: &NodeId) -> [u8; 32] {
        std::array::from_fn(|i| self.0[i] ^ other.0[i])
    }

    /// The logarithmic distance: the bit length of [`Self::xor`], `0..=256`, zero to itself (R47).
    #[must_use]
    pub fn log_distance(&self, other: &NodeId) -> u16 {
        let distance = self.xor(other);
        let Some(first) = distance.iter().position(|byte| *byte != 0) else { return 0 };
        let zeros = 8 * first + distance[first].leading_zeros() as usize;
        256 - u16::try_from(zeros).expect("fewer than 256 leading zeros")
    }
}

impl fmt::Display for NodeId {
    /// All 64 hex digits; the alternate form (`{:#}`) the first 8 only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if f.alternate() { 4 } else { 32 };
        self.0[..shown].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self:#})")
    }
}
