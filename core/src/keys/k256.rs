//! secp256k1 by the pure-Rust crate `k256`.

use ::k256::ProjectivePoint;
use ::k256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use ::k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use ::k256::elliptic_curve::BatchNormalize;
use ::k256::elliptic_curve::sec1::ToSec1Point;

/// A secret scalar; erased when dropped.
#[derive(Clone)]
pub struct Secret(SigningKey);

/// A parsed public key.
#[derive(Clone, Copy)]
pub struct Point(VerifyingKey);

impl Secret {
    /// `None` for zero and for values not below the order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// 33 bytes, compressed.
    #[must_use]
    pub fn public_key(&self) -> [u8; 33] {
        compressed(self.0.verifying_key().as_affine())
    }

    /// r ‖ s by RFC 6979, low S.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; 64] {
        let signature: Signature =
            self.0.sign_prehash(digest).expect("a 32-byte digest and a valid key always sign");
        signature.normalize_s().to_bytes().into()
    }

    /// The shared point, 33 bytes compressed.
    #[must_use]
    pub fn agree(&self, with: &Point) -> [u8; 33] {
        // The crate's own ECDH gives x alone; discv5 wants the whole point.
        let shared = ProjectivePoint::from(*with.0.as_affine()) * **self.0.as_nonzero_scalar();
        compressed(&shared.to_affine())
    }
}

impl Point {
    /// `None` if the bytes are no point of the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 33]) -> Option<Self> {
        // The crate also takes SEC1's compact form (tag 5): a second encoding of the same key.
        matches!(bytes[0], 2 | 3).then(|| VerifyingKey::from_sec1_bytes(bytes).ok().map(Self))?
    }

    /// x ‖ y.
    #[must_use]
    pub fn coordinates(&self) -> [u8; 64] {
        let point = self.0.to_sec1_point(false);
        point.as_bytes()[1..].try_into().expect("an uncompressed point is 1 + 64 bytes")
    }

    /// Refuses a high S.
    #[must_use]
    pub fn verifies(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_prehash(digest, &signature).is_ok())
    }
}

/// The key that made r ‖ s over the digest, compressed; `is_odd` is the point's y, of which r is x.
#[must_use]
pub fn recover(digest: &[u8; 32], signature: &[u8; 64], is_odd: bool) -> Option<[u8; 33]> {
    let signature = Signature::from_slice(signature).ok()?;
    let low = signature.normalize_s();
    // To negate s is to negate the point.
    let is_odd = is_odd ^ (low != signature);
    let id = RecoveryId::new(is_odd, false);
    let key = VerifyingKey::recover_from_prehash(digest, &low, id).ok()?;
    Some(compressed(key.as_affine()))
}

/// Public key and shared point of a scalar, each 33 bytes compressed; `None` for zero and for values
/// not below the order. One inversion serves both points.
#[must_use]
pub fn agree_ephemeral(scalar: &[u8; 32], with: &Point) -> Option<([u8; 33], [u8; 33])> {
    let scalar = *::k256::SecretKey::from_slice(scalar).ok()?.to_nonzero_scalar();
    let points = [
        ProjectivePoint::mul_by_generator(&scalar),
        ProjectivePoint::from(*with.0.as_affine()) * scalar,
    ];
    let [public_key, shared] = ProjectivePoint::batch_normalize(&points);
    Some((compressed(&public_key), compressed(&shared)))
}

/// The product of two scalars, of which neither is zero.
///
/// # Panics
/// If one is not below the order.
#[cfg(feature = "remembered-keys")]
pub(super) fn product(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    let [one, other] = [one, other].map(|bytes| {
        *::k256::SecretKey::from_slice(bytes).expect("a scalar below the order").to_nonzero_scalar()
    });
    (one * other).to_bytes().into()
}

fn compressed(point: &::k256::AffinePoint) -> [u8; 33] {
    let point = point.to_sec1_point(true);
    point.as_bytes().try_into().expect("a finite point compresses to 33 bytes")
}

/// DER of r ‖ s; `None` if either is out of range.
pub(super) fn signature_to_der(signature: &[u8; 64]) -> Option<Vec<u8>> {
    Signature::from_slice(signature).ok().map(|signature| signature.to_der().as_bytes().to_vec())
}

/// r ‖ s of DER.
pub(super) fn signature_from_der(der: &[u8]) -> Option<[u8; 64]> {
    Signature::from_der(der).ok().map(|signature| signature.to_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_one_use_is_like_any_other() {
        let with = Secret::from_bytes(&[9; 32]).unwrap().public_key();
        let with = Point::from_bytes(&with).unwrap();
        for byte in 1..=u8::MAX {
            let key = Secret::from_bytes(&[byte; 32]);
            let apart = key.map(|key| (key.public_key(), key.agree(&with)));
            assert_eq!(agree_ephemeral(&[byte; 32], &with), apart, "{byte}");
        }
        assert!(agree_ephemeral(&[0; 32], &with).is_none());
    }

    #[test]
    fn a_key_has_one_encoding() {
        let mut bytes = Secret::from_bytes(&[1; 32]).unwrap().public_key();
        for prefix in 0..=u8::MAX {
            bytes[0] = prefix;
            assert_eq!(Point::from_bytes(&bytes).is_some(), matches!(prefix, 2 | 3), "{prefix}");
        }
    }
}
