//! Why bytes are no record.

use std::fmt;

use crate::keys::KeyError;

/// The rule of EIP-778 that the bytes break. Nothing has been stored or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The text does not begin with `enr:`.
    Prefix,
    /// The text after the prefix is no URL-safe base64 without padding.
    Base64(String),
    /// More than 300 bytes.
    TooLarge(usize),
    /// The bytes are no canonical RLP, or bytes follow the record.
    Rlp(alloy_rlp::Error),
    /// Fewer than a signature and a sequence number, or a key without a value.
    Incomplete,
    /// The signature is not 64 bytes.
    SignatureLength(usize),
    /// Keys must ascend bytewise, each once.
    KeyOrder,
    /// The identity scheme (`id`) is missing or not "v4".
    Scheme,
    /// `secp256k1` is missing, or is no public key.
    Key(KeyError),
    /// The signature is not that of the record's key over its content.
    Signature,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => f.write_str("a record's text begins with \"enr:\""),
            Self::Base64(why) => write!(f, "no URL-safe base64 without padding: {why}"),
            Self::TooLarge(n) => write!(f, "{n} bytes, but a record has at most 300"),
            Self::Rlp(why) => write!(f, "no canonical RLP: {why}"),
            Self::Incomplete => f.write_str("a signature, a sequence number or a value is missing"),
            Self::SignatureLength(n) => write!(f, "a signature has 64 bytes, not {n}"),
            Self::KeyOrder => f.write_str("keys are not in ascending order, or one stands twice"),
            Self::Scheme => f.write_str("the identity scheme is missing or not \"v4\""),
            Self::Key(why) => write!(f, "{why}"),
            Self::Signature => f.write_str("the signature does not verify"),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<alloy_rlp::Error> for RecordError {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Rlp(error)
    }
}
