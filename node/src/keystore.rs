//! EIP-2335 keystores, version 4: how the key shares of an operator lie on disk, in charon's layout
//! (`keystore-0.json` with its password in `keystore-0.txt`, one pair for each validator).
//!
//! Of BLS this room knows nothing: whether a secret is that of the public key a file states is for
//! the caller to check, and it must be checked (see [`Keystore::decrypt`]).

mod directory;
mod error;
mod file;
mod kdf;
mod password;

use std::fmt;

use zeroize::Zeroizing;

pub use directory::{
    Directory, Entry, KEYSTORES_MAX, Opened, SCRYPT_TOTAL_BYTES_MAX, THREADS_MAX, create,
    decrypt_all,
};
pub use error::{Flaw, KeystoreError, PasswordFlaw};
pub use file::{FILE_BYTES_MAX, Keystore, encrypt};
pub use kdf::{PBKDF2_ROUNDS_MAX, SCRYPT_BYTES_MAX, SCRYPT_N_MAX, SCRYPT_P_MAX, SCRYPT_R_MAX};
pub use password::{PASSWORD_BYTES_MAX, Password};

/// A BLS secret key as EIP-2335 stores it: 32 bytes, big-endian. Overwritten when dropped, and never
/// shown.
// On the heap: whoever moves a secret moves a pointer, and leaves no copy of the bytes behind.
pub struct Secret(Box<Zeroizing<[u8; 32]>>);

impl Secret {
    /// A secret of these bytes, whatever they are; the caller's copy is the caller's to overwrite.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let mut secret = Self(Box::new(Zeroizing::new([0; 32])));
        secret.0.copy_from_slice(bytes);
        secret
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a wrong guess at the password costs whoever has the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// PBKDF2 with 2^18 rounds, as charon writes.
    Standard,
    /// 2^4 rounds: for keys of tests, whose files are named so that nobody takes them for others.
    Insecure,
}

/// How charon names a keystore file: `keystore-3.json`, or `keystore-insecure-3.json`. In order of
/// the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeystoreName {
    /// The position of the validator in the cluster's lock.
    pub index: u32,
    /// What the name says of the cost; the file itself decides.
    pub cost: Cost,
}

impl KeystoreName {
    /// `None` if charon does not name a keystore so.
    fn parse(file: &str) -> Option<Self> {
        let name = file.strip_prefix("keystore-")?.strip_suffix(".json")?;
        let (cost, index) = match name.strip_prefix("insecure-") {
            Some(index) => (Cost::Insecure, index),
            None => (Cost::Standard, name),
        };
        // Rust's own parser would also take a sign.
        let digits = index.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { index: index.parse().ok().filter(|_| digits)?, cost })
    }
}

impl fmt::Display for KeystoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cost {
            Cost::Standard => write!(f, "keystore-{}.json", self.index),
            Cost::Insecure => write!(f, "keystore-insecure-{}.json", self.index),
        }
    }
}
