//! From a password to the 32 bytes that encrypt a secret and prove the password.

use std::ops::RangeInclusive;

use pbkdf2::pbkdf2_hmac;
use rand_core::CryptoRng;
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::Flaw;
use super::file::{bytes, one_of, text, whole};
use super::{Cost, Password};
use crate::keyfile::hex;

/// Most rounds of PBKDF2: 64 times charon's, some ten seconds.
pub const PBKDF2_ROUNDS_MAX: u64 = 1 << 24;
/// Largest cost parameter of scrypt: 4 times the usual.
pub const SCRYPT_N_MAX: u64 = 1 << 20;
/// Largest block size parameter of scrypt: 8 times the usual.
pub const SCRYPT_R_MAX: u64 = 64;
/// Largest parallelisation parameter of scrypt: 16 times the usual.
pub const SCRYPT_P_MAX: u64 = 16;
/// Most memory that scrypt may take for one keystore: twice the usual.
pub const SCRYPT_BYTES_MAX: u64 = 512 << 20;

const _: () = {
    assert!(PBKDF2_ROUNDS_MAX <= u32::MAX as u64, "rounds are counted in 32 bits");
    // RFC 7914, section 2, wants r * p below 2^30; the library multiplies before it compares.
    assert!(SCRYPT_R_MAX * SCRYPT_P_MAX < 1 << 30, "r * p must not overflow");
    assert!(128 * SCRYPT_R_MAX * SCRYPT_P_MAX < SCRYPT_BYTES_MAX / 16, "p must be cheap in memory");
};

/// EIP-2335's choice of key derivation functions, with parameters within our limits.
#[derive(Clone, Debug)]
pub(super) enum Kdf {
    /// PBKDF2 with HMAC-SHA256 (RFC 8018).
    Pbkdf2 { rounds: u32, salt: Vec<u8> },
    /// scrypt (RFC 7914).
    Scrypt { params: scrypt::Params, salt: Vec<u8> },
}

impl Kdf {
    /// What charon writes: PBKDF2 with a salt of 32 bytes.
    pub(super) fn draw(cost: Cost, rng: &mut impl CryptoRng) -> Self {
        let rounds = match cost {
            Cost::Standard => 1 << 18,
            Cost::Insecure => 1 << 4,
        };
        let mut salt = vec![0; 32];
        rng.fill_bytes(&mut salt);
        Self::Pbkdf2 { rounds, salt }
    }

    pub(super) fn parse(json: &Value) -> Result<Self, Flaw> {
        whole(json, "crypto.kdf.params.dklen", 32..=32)?;
        let salt = bytes(json, "crypto.kdf.params.salt")?;
        match text(json, "crypto.kdf.function")? {
            "pbkdf2" => {
                one_of(json, "crypto.kdf.params.prf", "hmac-sha256")?;
                let rounds = small(json, "crypto.kdf.params.c", 1..=PBKDF2_ROUNDS_MAX)?;
                Ok(Self::Pbkdf2 { rounds, salt })
            }
            "scrypt" => Ok(Self::Scrypt { params: scrypt_params(json)?, salt }),
            found => Err(Flaw::unsupported("crypto.kdf.function", found, "pbkdf2 or scrypt")),
        }
    }

    /// The member `crypto.kdf` of a keystore.
    pub(super) fn to_json(&self) -> Value {
        let (function, params) = match self {
            Self::Pbkdf2 { rounds, salt } => (
                "pbkdf2",
                json!({"c": rounds, "dklen": 32, "prf": "hmac-sha256", "salt": *hex(salt)}),
            ),
            Self::Scrypt { params, salt } => (
                "scrypt",
                json!({
                    "dklen": 32, "n": params.n(), "p": params.p(), "r": params.r(),
                    "salt": *hex(salt),
                }),
            ),
        };
        json!({"function": function, "message": "", "params": params})
    }

    /// The memory that [`Self::derive`] takes, in bytes, as far as it is worth counting.
    pub(super) fn memory_bytes(&self) -> u64 {
        match self {
            Self::Pbkdf2 { .. } => 0,
            Self::Scrypt { params, .. } => 128 * params.n() * u64::from(params.r()),
        }
    }

    /// Takes as long as the parameters say: at the usual ones, a tenth of a second to a second.
    // The memory of scrypt goes back to the system as it is: the library does not overwrite it.
    pub(super) fn derive(&self, password: &Password) -> Zeroizing<[u8; 32]> {
        let password = password.normalised();
        let mut key = Zeroizing::new([0; 32]);
        match self {
            Self::Pbkdf2 { rounds, salt } => {
                pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, *rounds, &mut *key);
            }
            Self::Scrypt { params, salt } => {
                scrypt::scrypt(password.as_bytes(), salt, params, &mut *key)
                    .expect("32 bytes are a length that scrypt gives");
            }
        }
        key
    }
}

fn scrypt_params(json: &Value) -> Result<scrypt::Params, Flaw> {
    let n = whole(json, "crypto.kdf.params.n", 2..=SCRYPT_N_MAX)?;
    let r = small(json, "crypto.kdf.params.r", 1..=SCRYPT_R_MAX)?;
    let p = small(json, "crypto.kdf.params.p", 1..=SCRYPT_P_MAX)?;
    if !n.is_power_of_two() {
        return Err(Flaw::NotPowerOfTwo(n));
    }
    let bytes = 128 * n * u64::from(r);
    if bytes > SCRYPT_BYTES_MAX {
        return Err(Flaw::Memory(bytes));
    }
    let log_n = u8::try_from(n.ilog2()).expect("a logarithm of 64 bits");
    Ok(scrypt::Params::new(log_n, r, p).expect("our limits are within those of scrypt"))
}

/// A whole number whose limits are below 2^32.
fn small(json: &Value, member: &'static str, limits: RangeInclusive<u64>) -> Result<u32, Flaw> {
    whole(json, member, limits).map(|n| u32::try_from(n).expect("the limits are below 2^32"))
}
