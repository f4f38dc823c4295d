//! Ethereum addresses, as charon's files write them.

use std::fmt;

use super::json::unhex;

/// An address, or none. Its text is kept: up to v1.2.0 the text is what is hashed, and there the
/// case of its letters (EIP-55) matters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Address(Option<[u8; 42]>);

impl Address {
    /// `0x` and 40 digits, or nothing at all.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(None));
        }
        let address = Self(Some(text.as_bytes().try_into().ok()?));
        (text.starts_with("0x") && address.bytes().is_some()).then_some(address)
    }

    /// The address with these bytes, in lower case.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 20]) -> Self {
        Self::from_text(&format!("{}", super::json::Hex(bytes))).expect("0x and 40 digits")
    }

    /// `0x` and 40 digits, or nothing at all.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.0.as_ref().map_or(&[][..], <[u8; 42]>::as_slice);
        std::str::from_utf8(text).expect("it was made of text")
    }

    /// Its 20 bytes, if there is one.
    #[must_use]
    pub fn bytes(&self) -> Option<[u8; 20]> {
        self.0.and_then(|_| unhex(self.as_str())?.try_into().ok())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
