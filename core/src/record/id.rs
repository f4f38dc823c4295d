//! Node ids: 256-bit names in one metric space with the keys of the DHT.

use std::fmt;
use std::str::FromStr;

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

/// Why a text is no node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeIdError {
    /// Something else than hex digits.
    NotHex,
    /// Another number of digits than 64; how many.
    Length(usize),
}

impl fmt::Display for NodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHex => {
                f.write_str("a node id is 64 hex digits, and this holds something else")
            }
            Self::Length(digits) => write!(f, "a node id is 64 hex digits, not {digits}"),
        }
    }
}

impl std::error::Error for NodeIdError {}

impl FromStr for NodeId {
    type Err = NodeIdError;

    /// 64 hex digits of any case, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        let values = digits.iter().map(|digit| char::from(*digit).to_digit(16));
        let values: Vec<u32> = values.collect::<Option<_>>().ok_or(NodeIdError::NotHex)?;
        let (pairs, []) = values.as_chunks::<2>() else {
            return Err(NodeIdError::Length(values.len()));
        };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4 | low) as u8).collect();
        bytes.try_into().map(Self).map_err(|_| NodeIdError::Length(values.len()))
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
