//! The only room that names a curve crate: secp256k1 node keys with deterministic signing
//! (RFC 6979, low S) and key agreement, and [`bls`], the keys of validators and their shares.
//! secp256k1 by k256; the feature `libsecp256k1` swaps in the C library; both give the same bytes.

use std::fmt;
use std::sync::Arc;

#[cfg(not(feature = "libsecp256k1"))]
use self::k256 as plain;
#[cfg(feature = "libsecp256k1")]
use self::libsecp256k1 as plain;
#[cfg(not(feature = "remembered-keys"))]
use self::plain as curve;
#[cfg(feature = "remembered-keys")]
use self::remembered as curve;

pub mod bls;
pub mod k256;
#[cfg(feature = "libsecp256k1")]
pub mod libsecp256k1;
#[cfg(feature = "remembered-keys")]
pub mod remembered;

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A secret scalar must be above zero and below the order of the curve.
    ScalarOutOfRange,
    /// A public key is 33 bytes: SEC1 compressed.
    Length(usize),
    /// 33 bytes that are no point of the curve.
    NotOnCurve,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScalarOutOfRange => {
                f.write_str("the secret key is zero or not below the order of secp256k1")
            }
            Self::Length(n) => write!(f, "a public key has 33 bytes (SEC1 compressed), not {n}"),
            Self::NotOnCurve => f.write_str("the public key is no point of secp256k1"),
        }
    }
}

impl std::error::Error for KeyError {}

/// The secret key of a node: what its record is signed with. Erased from memory when dropped.
#[derive(Clone)]
pub struct SecretKey(Held);

/// Where a secret key is.
#[derive(Clone)]
enum Held {
    Here(curve::Secret),
    Elsewhere(PublicKey, Arc<dyn Holder>),
}

/// Whoever computes with a secret key in the key's stead: the key itself need not be here.
pub trait Holder: Send + Sync {
    /// As [`SecretKey::sign`].
    fn sign(&self, digest: &[u8; 32]) -> Signature;
    /// As [`SecretKey::agree`].
    fn agree(&self, with: &Point) -> [u8; 33];
}

/// The public key of a node: 33 bytes, SEC1 compressed, known to be on the curve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 33]);

/// A public key as a point: what verification and agreement work on. Costs a square root to make
/// from a [`PublicKey`], so make it once where several operations follow.
#[derive(Clone, Copy)]
pub struct Point(curve::Point);

/// An ECDSA signature: 64 bytes, r ‖ s, big endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(pub [u8; 64]);

impl SecretKey {
    /// The key with this scalar, 32 bytes big endian.
    ///
    /// # Errors
    /// [`KeyError::ScalarOutOfRange`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = curve::Secret::from_bytes(bytes).ok_or(KeyError::ScalarOutOfRange)?;
        Ok(Self(Held::Here(secret)))
    }

    /// The key that belongs to `public_key`, with which `holder` computes.
    #[must_use]
    pub fn held_by(public_key: PublicKey, holder: Arc<dyn Holder>) -> Self {
        Self(Held::Elsewhere(public_key, holder))
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        match &self.0 {
            Held::Here(secret) => PublicKey(secret.public_key()),
            Held::Elsewhere(public_key, _) => *public_key,
        }
    }

    /// Signs a 32-byte digest: RFC 6979 (HMAC-SHA-256), low S. The same input, the same bytes.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        match &self.0 {
            Held::Here(secret) => Signature(secret.sign(digest)),
            Held::Elsewhere(_, holder) => holder.sign(digest),
        }
    }

    /// Signs so that the key can be recovered: r ‖ s ‖ v, v being 0 or 1.
    #[must_use]
    pub fn sign_recoverable(&self, digest: &[u8; 32]) -> [u8; 65] {
        let mut signature = [0; 65];
        signature[..64].copy_from_slice(&self.sign(digest).0);
        if PublicKey::recover(digest, &signature) != Some(self.public_key()) {
            signature[64] = 1;
        }
        signature
    }

    /// Elliptic-curve Diffie-Hellman: the shared point, 33 bytes compressed (discv5 theory,
    /// "Identity-specific cryptography").
    #[must_use]
    pub fn agree(&self, with: &Point) -> [u8; 33] {
        match &self.0 {
            Held::Here(secret) => secret.agree(&with.0),
            Held::Elsewhere(_, holder) => holder.agree(with),
        }
    }
}

/// What a key that is used once is made for: its public key, and the point that it shares with
/// `with` as [`SecretKey::agree`] gives it. Costs less than the two one by one.
///
/// # Errors
/// [`KeyError::ScalarOutOfRange`].
pub fn agree_ephemeral(scalar: &[u8; 32], with: &Point) -> Result<(PublicKey, [u8; 33]), KeyError> {
    let agreed = curve::agree_ephemeral(scalar, &with.0).ok_or(KeyError::ScalarOutOfRange)?;
    let (public_key, shared) = agreed;
    Ok((PublicKey(public_key), shared))
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public_key())
    }
}

impl PublicKey {
    /// The key in these 33 bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`] or [`KeyError::NotOnCurve`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        Point::from_bytes(bytes).map(|(key, _)| key)
    }

    /// The key that made this signature over the digest: r ‖ s ‖ v, v from 0 or 27 on (SEC1 §4.1.6).
    /// `None` if no key did. A high S is taken for its low counterpart: charon's library makes low
    /// ones, but verifies both.
    #[must_use]
    pub fn recover(digest: &[u8; 32], signature: &[u8; 65]) -> Option<Self> {
        let [compact @ .., v] = signature;
        let is_odd = match v {
            0 | 27 => false,
            1 | 28 => true,
            _ => return None,
        };
        curve::recover(digest, compact, is_odd).map(Self)
    }

    /// SEC1 compressed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// The point of the key.
    #[must_use]
    pub fn point(&self) -> Point {
        Point(curve::Point::from_bytes(&self.0).expect("a PublicKey was checked when it was made"))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Point {
    /// The key in these bytes together with its point: one decompression for both.
    ///
    /// # Errors
    /// [`KeyError::Length`] or [`KeyError::NotOnCurve`].
    pub fn from_bytes(bytes: &[u8]) -> Result<(PublicKey, Self), KeyError> {
        let bytes: &[u8; 33] = bytes.try_into().map_err(|_| KeyError::Length(bytes.len()))?;
        let point = curve::Point::from_bytes(bytes).ok_or(KeyError::NotOnCurve)?;
        Ok((PublicKey(*bytes), Self(point)))
    }

    /// x ‖ y, 64 bytes big endian: what a node id is the hash of (EIP-778).
    #[must_use]
    pub fn coordinates(&self) -> [u8; 64] {
        self.0.coordinates()
    }

    /// Whether `signature` is this key's over `digest`. A high S is refused: such a signature was
    /// altered by somebody who does not hold the key.
    #[must_use]
    pub fn verifies(&self, digest: &[u8; 32], signature: &Signature) -> bool {
        self.0.verifies(digest, &signature.0)
    }
}

impl Signature {
    /// The signature in ASN.1 DER (RFC 3279), as X.509 extensions carry it; `None` if r or s is
    /// out of range, which [`SecretKey::sign`] never gives.
    #[must_use]
    pub fn to_der(&self) -> Option<Vec<u8>> {
        k256::signature_to_der(&self.0)
    }

    /// The signature in this DER; `None` if it is none.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Self> {
        k256::signature_from_der(der).map(Self)
    }
}
