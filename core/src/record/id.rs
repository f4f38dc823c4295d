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
