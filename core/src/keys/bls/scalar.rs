//! The field that the secret keys of BLS12-381 are numbers of: sums, products, inverses.

#![expect(unsafe_code, reason = "the FFI room: blst's field arithmetic has no safe interface")]

use std::fmt;

use blst::min_pk;
use blst::{
    blst_fr, blst_fr_add, blst_fr_eucl_inverse, blst_fr_from_scalar, blst_fr_from_uint64,
    blst_fr_mul, blst_fr_sub, blst_lendian_from_scalar, blst_scalar, blst_scalar_from_fr,
    blst_scalar_from_lendian,
};
use zeroize::Zeroize;

use super::{SecretKey, Weight};

/// A number modulo the order of the groups. Erased when dropped: it may be part of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar(blst_fr);

impl Scalar {
    /// How many bits it has.
    pub const BITS: usize = 255;

    pub(super) fn from_secret(key: &SecretKey) -> Self {
        let scalar: &blst_scalar = (&*key.0).into();
        Self::from_reduced(scalar)
    }

    /// The key with this scalar: `None` for zero.
    pub(super) fn to_secret(&self) -> Option<SecretKey> {
        let mut bytes = self.to_little_endian();
        bytes.reverse();
        let key = min_pk::SecretKey::from_bytes(&bytes).ok();
        let key = key.map(|key| SecretKey(Box::new(key)));
        bytes.zeroize();
        key
    }

    /// 32 bytes.
    pub(super) fn to_little_endian(&self) -> [u8; 32] {
        let (mut scalar, mut bytes) = (blst_scalar::default(), [0; 32]);
        // SAFETY: both pointers are to live values, and the library writes 32 bytes into the array.
        unsafe {
            blst_scalar_from_fr(&raw mut scalar, &raw const self.0);
            blst_lendian_from_scalar(bytes.as_mut_ptr(), &raw const scalar);
        }
        scalar.b.zeroize();
        bytes
    }

    fn from_reduced(scalar: &blst_scalar) -> Self {
        let mut number = blst_fr::default();
        // SAFETY: both pointers are to live values.
        unsafe { blst_fr_from_scalar(&raw mut number, scalar) };
        Self(number)
    }

    /// The sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = blst_fr::default();
        // SAFETY: all pointers are to live values.
        unsafe { blst_fr_add(&raw mut sum, &raw const self.0, &raw const other.0) };
        Self(sum)
    }

    /// The difference.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut difference = blst_fr::default();
        // SAFETY: all pointers are to live values.
        unsafe { blst_fr_sub(&raw mut difference, &raw const self.0, &raw const other.0) };
        Self(difference)
    }

    /// The product.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        let mut product = blst_fr::default();
        // SAFETY: all pointers are to live values.
        unsafe { blst_fr_mul(&raw mut product, &raw const self.0, &raw const other.0) };
        Self(product)
    }

    /// The inverse, of what is no secret: the time that it takes depends on the number.
    #[must_use]
    pub fn inverse(&self) -> Self {
        assert!(*self != Self::from(0), "zero has no inverse");
        let mut inverse = blst_fr::default();
        // SAFETY: both pointers are to live values.
        unsafe { blst_fr_eucl_inverse(&raw mut inverse, &raw const self.0) };
        Self(inverse)
    }

    /// The value at this place of the polynomial with these coefficients, the constant first.
    #[must_use]
    pub fn evaluate(coefficients: &[Self], at: u64) -> Self {
        let at = Self::from(at);
        let highest_first = coefficients.iter().rev();
        highest_first.fold(Self::from(0), |value, next| value.times(&at).plus(next))
    }
}

impl From<u64> for Scalar {
    fn from(number: u64) -> Self {
        let mut scalar = blst_fr::default();
        // SAFETY: the library reads four 64-bit words, which is what the array has.
        unsafe { blst_fr_from_uint64(&raw mut scalar, [number, 0, 0, 0].as_ptr()) };
        Self(scalar)
    }
}

impl From<&Weight> for Scalar {
    fn from(weight: &Weight) -> Self {
        let mut bytes = [0; 32];
        bytes[..weight.len()].copy_from_slice(weight);
        let mut scalar = blst_scalar::default();
        // SAFETY: the library reads 32 bytes, which is what the array has.
        unsafe { blst_scalar_from_lendian(&raw mut scalar, bytes.as_ptr()) };
        Self::from_reduced(&scalar)
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalar(..)")
    }
}

impl Drop for Scalar {
    fn drop(&mut self) {
        self.0.l.zeroize();
    }
}
