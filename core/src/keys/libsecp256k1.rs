//! secp256k1 by the C library (feature `libsecp256k1`).
//!
//! The crate's own signing and key derivation re-randomise a context after every call, which makes
//! them slower than `k256`; those two go to the C functions directly, with one context made once.
//! The context is not randomised: that is a second defence, behind code that takes the same time
//! for every secret, and the core has no randomness to give. The rest is the crate's safe API, which
//! does without: it touches no secret (parsing, verification) or no context (agreement).

#![expect(unsafe_code, reason = "the FFI room: two calls into libsecp256k1 with our own context")]

use std::ptr;
use std::sync::OnceLock;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::ffi::{self, CPtr};
use secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey, ecdh, ecdsa};

/// A secret scalar; erased when dropped.
#[derive(Clone)]
pub struct Secret(SecretKey);

/// A parsed public key.
#[derive(Clone, Copy)]
pub struct Point(PublicKey);

impl Secret {
    /// `None` for zero and for values not below the order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SecretKey::from_secret_bytes(*bytes).ok().map(Self)
    }

    /// 33 bytes, compressed.
    #[must_use]
    pub fn public_key(&self) -> [u8; 33] {
        // SAFETY: only filled in and handed on once the library has filled it in.
        let mut point = unsafe { ffi::PublicKey::new() };
        // SAFETY: the context lives for ever and can sign; both other pointers are to live values
        // of the types that the library expects, the scalar being 32 bytes.
        let made = unsafe {
            ffi::secp256k1_ec_pubkey_create(context(), &raw mut point, self.0.as_c_ptr())
        };
        assert_eq!(made, 1, "a SecretKey is a scalar in range");
        PublicKey::from(point).serialize()
    }

    /// r ‖ s by RFC 6979, low S.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; 64] {
        // SAFETY: only filled in and handed on once the library has filled it in.
        let mut signature = unsafe { ffi::Signature::new() };
        // SAFETY: the context lives for ever and can sign; digest and scalar are 32 bytes each; the
        // nonce function is the library's own and takes null for "no further data".
        let signed = unsafe {
            ffi::secp256k1_ecdsa_sign(
                context(),
                &raw mut signature,
                digest.as_ptr(),
                self.0.as_c_ptr(),
                ffi::secp256k1_nonce_function_rfc6979,
                ptr::null(),
            )
        };
        assert_eq!(signed, 1, "a 32-byte digest and a valid key always sign");
        ecdsa::Signature::from(signature).serialize_compact()
    }

    /// The shared point, 33 bytes compressed.
    #[must_use]
    pub fn agree(&self, with: &Point) -> [u8; 33] {
        // In constant time, which multiplying the public key by a "tweak" would not be.
        let xy = ecdh::shared_secret_point(&with.0, &self.0);
        let mut compressed = [0; 33];
        compressed[0] = 2 + (xy[63] & 1); // SEC1: whether y is odd
        compressed[1..].copy_from_slice(&xy[..32]);
        compressed
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl Point {
    /// `None` if the bytes are no point of the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 33]) -> Option<Self> {
        PublicKey::from_byte_array_compressed(*bytes).ok().map(Self)
    }

    /// x ‖ y.
    #[must_use]
    pub fn coordinates(&self) -> [u8; 64] {
        let [_, xy @ ..] = self.0.serialize_uncompressed();
        xy
    }

    /// Refuses a high S.
    #[must_use]
    pub fn verifies(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        ecdsa::Signature::from_compact(signature).is_ok_and(|signature| {
            ecdsa::verify(&signature, Message::from_digest(*digest), &self.0).is_ok()
        })
    }
}

/// The key that made r ‖ s over the digest, compressed; `is_odd` is the point's y, of which r is x.
#[must_use]
pub fn recover(digest: &[u8; 32], signature: &[u8; 64], is_odd: bool) -> Option<[u8; 33]> {
    let id = if is_odd { RecoveryId::One } else { RecoveryId::Zero };
    // The library recovers from a high S as from a low one.
    let signature = RecoverableSignature::from_compact(signature, id).ok()?;
    let key = signature.recover_ecdsa(Message::from_digest(*digest)).ok()?;
    Some(key.serialize())
}

/// Public key and shared point of a scalar, each 33 bytes compressed; `None` for zero and for values
/// not below the order.
#[must_use]
pub fn agree_ephemeral(scalar: &[u8; 32], with: &Point) -> Option<([u8; 33], [u8; 33])> {
    let secret = Secret::from_bytes(scalar)?;
    Some((secret.public_key(), secret.agree(with)))
}

/// The one context, made at first use.
fn context() -> *const ffi::Context {
    static CONTEXT: OnceLock<Secp256k1<All>> = OnceLock::new();
    CONTEXT.get_or_init(Secp256k1::new).ctx().as_ptr()
}

#[cfg(test)]
mod tests {
    use super::super::k256;
    use super::*;

    /// Both back-ends for one key; the scalars of few bits and just below the order come first.
    struct Both {
        c: Secret,
        rust: k256::Secret,
    }

    /// The order of the curve, less 1, 2, … for the first few keys.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];

    fn scalar(number: u16) -> [u8; 32] {
        let mut scalar = [0; 32];
        match number {
            0..8 => scalar[31] = number as u8 + 1,
            8..16 => {
                scalar = ORDER;
                scalar[31] -= number as u8 - 7;
            }
            _ => scalar = random("scalar", number),
        }
        scalar
    }

    /// Bytes that look random and are the same in every run.
    fn random(label: &str, number: u16) -> [u8; 32] {
        use sha3::{Digest, Keccak256};
        Keccak256::new().chain_update(label).chain_update(number.to_be_bytes()).finalize().into()
    }

    fn both(number: u16) -> Both {
        let scalar = scalar(number);
        let (c, rust) = (Secret::from_bytes(&scalar), k256::Secret::from_bytes(&scalar));
        Both { c: c.unwrap(), rust: rust.unwrap() }
    }

    const KEYS: u16 = 1000;

    #[test]
    fn the_same_public_keys() {
        for key in (0..KEYS).map(both) {
            let bytes = key.c.public_key();
            assert_eq!(bytes, key.rust.public_key());
            let (c, rust) = (Point::from_bytes(&bytes), k256::Point::from_bytes(&bytes));
            assert_eq!(c.unwrap().coordinates(), rust.unwrap().coordinates());
        }
    }

    #[test]
    fn the_same_signatures_and_the_same_verdicts() {
        for number in 0..KEYS {
            let key = both(number);
            let bytes = key.c.public_key();
            let c = Point::from_bytes(&bytes).unwrap();
            let rust = k256::Point::from_bytes(&bytes).unwrap();
            let digest = match number % 8 {
                0 => [0; 32],
                1 => [0xff; 32],
                2 => ORDER,
                _ => random("digest", number),
            };
            let signature = key.c.sign(&digest);
            assert_eq!(signature, key.rust.sign(&digest), "key {number}");
            for (altered, verdict) in alterations(&signature, number) {
                assert_eq!(c.verifies(&digest, &altered), verdict, "key {number}");
                assert_eq!(rust.verifies(&digest, &altered), verdict, "key {number}");
            }
            let other = random("other digest", number);
            assert!(!c.verifies(&other, &signature) && !rust.verifies(&other, &signature));
        }
    }

    #[test]
    fn the_same_keys_are_recovered() {
        let mut recovered = 0;
        for number in 0..KEYS {
            let (key, digest) = (both(number), random("digest", number));
            let signature = key.c.sign(&digest);
            let keys = [false, true].map(|is_odd| recover(&digest, &signature, is_odd));
            assert!(keys.contains(&Some(key.c.public_key())), "key {number}");
            for (altered, _) in alterations(&signature, number) {
                for is_odd in [false, true] {
                    let found = recover(&digest, &altered, is_odd);
                    assert_eq!(found, k256::recover(&digest, &altered, is_odd), "key {number}");
                    recovered += u32::from(found.is_some());
                }
            }
            // Negating s negates the point: the other one, and the same key.
            let high =
                <[u8; 64]>::try_from([&signature[..32], &negated(&signature[32..])].concat());
            let high = high.unwrap();
            assert_eq!([true, false].map(|is_odd| recover(&digest, &high, is_odd)), keys);
        }
        assert!(recovered > 4 * u32::from(KEYS), "most of them are somebody's");
    }

    /// The signature, and what is none: high S, a flipped bit, r or s out of range, garbage.
    fn alterations(signature: &[u8; 64], number: u16) -> Vec<([u8; 64], bool)> {
        let with = |r: &[u8], s: &[u8]| <[u8; 64]>::try_from([r, s].concat()).unwrap();
        let (r, s) = signature.split_at(32);
        let mut flipped = *signature;
        flipped[usize::from(number) / 8 % 64] ^= 1 << (number % 8);
        vec![
            (*signature, true),
            (with(r, &negated(s)), false),
            (flipped, false),
            (with(&[0; 32], s), false),
            (with(r, &[0; 32]), false),
            (with(&ORDER, s), false),
            (with(r, &ORDER), false),
            (with(&[0xff; 32], &[0xff; 32]), false),
            (with(&random("r", number), &random("s", number)), false),
            ([0; 64], false),
        ]
    }

    /// ORDER − s: as valid mathematically, and refused.
    fn negated(s: &[u8]) -> [u8; 32] {
        let (mut out, mut borrow) = ([0; 32], 0);
        for at in (0..32).rev() {
            let difference = i16::from(ORDER[at]) - i16::from(s[at]) - borrow;
            borrow = i16::from(difference < 0);
            out[at] = difference.rem_euclid(256) as u8;
        }
        assert_eq!(borrow, 0);
        out
    }

    #[test]
    fn a_high_s_is_refused_for_its_height_alone() {
        let key = both(100);
        let signature = key.c.sign(&[7; 32]);
        let high = negated(&signature[32..]);
        assert_eq!(negated(&high), signature[32..], "negating twice is the same signature");
        let mut malleated =
            ecdsa::Signature::from_compact(&[&signature[..32], &high].concat()).unwrap();
        malleated.normalize_s();
        assert_eq!(malleated.serialize_compact(), signature);
    }

    #[test]
    fn the_same_shared_secrets() {
        for number in 0..KEYS {
            let (ours, theirs) = (both(number), both(number.wrapping_mul(31) % KEYS));
            let (one, other) = (ours.c.public_key(), theirs.c.public_key());
            let shared = ours.c.agree(&Point::from_bytes(&other).unwrap());
            assert_eq!(shared, ours.rust.agree(&k256::Point::from_bytes(&other).unwrap()));
            assert_eq!(shared, theirs.c.agree(&Point::from_bytes(&one).unwrap()));
            let (scalar, with) = (scalar(number), Point::from_bytes(&other).unwrap());
            assert_eq!(agree_ephemeral(&scalar, &with), Some((one, shared)));
            let with = k256::Point::from_bytes(&other).unwrap();
            assert_eq!(k256::agree_ephemeral(&scalar, &with), Some((one, shared)));
        }
    }

    #[test]
    fn the_same_bytes_are_keys() {
        let above = |by: u8| {
            let mut scalar = ORDER;
            scalar[31] += by;
            scalar
        };
        for scalar in [[0; 32], ORDER, above(1), [0xff; 32]] {
            assert!(Secret::from_bytes(&scalar).is_none());
            assert!(k256::Secret::from_bytes(&scalar).is_none());
            let (c, rust) = (both(0).c.public_key(), both(0).rust.public_key());
            let (c, rust) = (Point::from_bytes(&c), k256::Point::from_bytes(&rust));
            assert!(agree_ephemeral(&scalar, &c.unwrap()).is_none());
            assert!(k256::agree_ephemeral(&scalar, &rust.unwrap()).is_none());
        }
        let mut points = 0;
        for number in 0..KEYS {
            let mut bytes = [0; 33];
            bytes[0] = (number % 8) as u8; // 2 and 3 are right; 4, 6 and 7 are other forms of SEC1
            bytes[1..].copy_from_slice(&random("x", number));
            let is_point = Point::from_bytes(&bytes).is_some();
            assert_eq!(is_point, k256::Point::from_bytes(&bytes).is_some(), "{bytes:x?}");
            points += u16::from(is_point);
        }
        assert!(points > KEYS / 16, "half of all x are on the curve");
        for prefix in 0..=u8::MAX {
            let x_too_large = std::array::from_fn(|at| if at == 0 { prefix } else { 0xff });
            assert!(Point::from_bytes(&x_too_large).is_none());
            assert!(k256::Point::from_bytes(&x_too_large).is_none());
        }
    }
}
