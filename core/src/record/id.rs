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

    /// The logarithmic distance, 0 to 256: the bit length of the ids' XOR, 0 for a node itself
    /// (discv5-theory.md, "Nodes, Records and Distances"; R47).
    #[must_use]
    pub fn log_distance(&self, other: &Self) -> u16 {
        let differs = self.0.iter().zip(&other.0).position(|(a, b)| a != b);
        differs.map_or(0, |at| {
            let same = 8 * at as u32 + (self.0[at] ^ other.0[at]).leading_zeros();
            (256 - same) as u16
        })
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
