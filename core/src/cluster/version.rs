//! The schema versions of charon's files.

use std::fmt;

/// A schema version of charon's definitions and locks: v1.0.0 to v1.11.0 (not charon's own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u8);

impl Version {
    /// The first.
    pub const V1_0: Self = Self(0);
    /// The timestamp is hashed.
    pub const V1_1: Self = Self(1);
    /// Byte strings are hex, no longer base64; operators have no nonce.
    pub const V1_2: Self = Self(2);
    /// Hashed with SSZ's types; EIP-712 signatures.
    pub const V1_3: Self = Self(3);
    /// A creator.
    pub const V1_4: Self = Self(4);
    /// Addresses for each validator.
    pub const V1_5: Self = Self(5);
    /// Deposit data.
    pub const V1_6: Self = Self(6);
    /// Builder registrations and node signatures.
    pub const V1_7: Self = Self(7);
    /// Several deposits for each validator.
    pub const V1_8: Self = Self(8);
    /// A consensus protocol.
    pub const V1_9: Self = Self(9);
    /// A gas limit, and compounding: what is written here.
    pub const V1_10: Self = Self(10);
    /// Several signatures of one operator.
    pub const V1_11: Self = Self(11);

    /// The version with this name, such as "v1.10.0".
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        (Self::V1_0.0..=Self::V1_11.0).map(Self).find(|version| version.to_string() == name)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.0", self.0)
    }
}
