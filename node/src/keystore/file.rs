//! One keystore: from JSON to a secret and back.

use std::ops::RangeInclusive;

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::Flaw;
use super::kdf::Kdf;
use super::{Cost, Password, Secret};
use crate::keyfile::{hex, nibble};

/// The largest keystore file that is read, in bytes; charon's have 800.
pub const FILE_BYTES_MAX: u64 = 64 << 10;

/// A keystore as it was read: complete, of kinds that we know, and at a price that we pay. What it
/// holds is another matter, for which it takes the password.
#[derive(Clone, Debug)]
pub struct Keystore {
    kdf: Kdf,
    checksum: [u8; 32],
    iv: [u8; 16],
    message: [u8; 32],
    pubkey: Option<[u8; 48]>,
}

impl Keystore {
    /// Reads the JSON of a keystore, version 4 of EIP-2335. Members that are not needed to open it
    /// (`uuid`, `path`, `description`, unknown ones) are not looked at: charon's own files miss some.
    ///
    /// # Errors
    /// What is missing, damaged, unknown or too expensive.
    pub fn parse(json: &[u8]) -> Result<Self, Flaw> {
        let json: Value = serde_json::from_slice(json).map_err(Flaw::NotJson)?;
        let json = &json;
        let version = whole(json, "version", 0..=u64::MAX)?;
        if version != 4 {
            return Err(Flaw::Version(version));
        }
        one_of(json, "crypto.checksum.function", "sha256")?;
        one_of(json, "crypto.cipher.function", "aes-128-ctr")?;
        Ok(Self {
            kdf: Kdf::parse(json)?,
            checksum: array(json, "crypto.checksum.message")?,
            iv: array(json, "crypto.cipher.params.iv")?,
            message: array(json, "crypto.cipher.message")?,
            pubkey: json.get("pubkey").map(|_| array(json, "pubkey")).transpose()?,
        })
    }

    /// The compressed BLS public key that the file states, if it states one: a claim, neither
    /// encrypted nor protected by the checksum.
    #[must_use]
    pub fn pubkey(&self) -> Option<&[u8; 48]> {
        self.pubkey.as_ref()
    }

    /// The secret, or `None` if the checksum says that this is not the password, or that the file is
    /// damaged. It takes from a tenth of a second to many, and scrypt's memory.
    ///
    /// EIP-2335's checksum does not cover the initialisation vector: with a damaged one the password
    /// is found right and the secret is another. Only comparing public keys shows it.
    #[must_use]
    pub fn decrypt(&self, password: &Password) -> Option<Secret> {
        let key = self.kdf.derive(password);
        if checksum(&key, &self.message) != self.checksum {
            return None;
        }
        let mut secret = Secret::new(&self.message);
        apply_cipher(&key, &self.iv, &mut secret);
        Some(secret)
    }

    /// The memory that [`Self::decrypt`] takes, in bytes, as far as it is worth counting.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.kdf.memory_bytes()
    }
}

/// The JSON of a keystore with this secret and its compressed BLS public key, as charon writes it:
/// PBKDF2 at the given cost, path `m/12381/3600/0/0/0`. Salt, initialisation vector and uuid are
/// drawn from `rng`, in this order: the same generator gives the same file.
#[must_use]
pub fn encrypt(
    secret: &Secret,
    pubkey: &[u8; 48],
    password: &Password,
    cost: Cost,
    rng: &mut impl CryptoRng,
) -> String {
    let kdf = Kdf::draw(cost, rng);
    let [mut iv, mut id] = [[0; 16]; 2];
    rng.fill_bytes(&mut iv);
    rng.fill_bytes(&mut id);
    let key = kdf.derive(password);
    let mut message = Secret::new(secret.as_bytes());
    apply_cipher(&key, &iv, &mut message);
    let checksum = checksum(&key, message.as_bytes());
    let json = json!({
        "crypto": {
            "checksum": {"function": "sha256", "message": *hex(&checksum), "params": {}},
            "cipher": {
                "function": "aes-128-ctr",
                "message": *hex(message.as_bytes()),
                "params": {"iv": *hex(&iv)},
            },
            "kdf": kdf.to_json(),
        },
        "description": "",
        "path": "m/12381/3600/0/0/0",
        "pubkey": *hex(pubkey),
        "uuid": uuid(id),
        "version": 4,
    });
    format!("{json:#}\n")
}

/// SHA-256 over the second half of the derived key and the encrypted message.
fn checksum(key: &[u8; 32], message: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(&key[16..]).chain_update(message).finalize().into()
}

/// AES-128-CTR under the first half of the derived key; encrypting and decrypting are the same.
fn apply_cipher(key: &[u8; 32], iv: &[u8; 16], message: &mut Secret) {
    let mut cipher = Ctr128BE::<Aes128>::new_from_slices(&key[..16], iv).expect("16 bytes each");
    cipher.apply_keystream(message.0.as_mut_slice());
}

/// A random uuid (RFC 9562, version 4), in upper case as charon writes it.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes).to_uppercase();
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// The value at this path, whose parts are parted by dots.
fn member<'a>(json: &'a Value, path: &'static str) -> Result<&'a Value, Flaw> {
    path.split('.').try_fold(json, |value, key| value.get(key)).ok_or(Flaw::Missing(path))
}

pub(super) fn text<'a>(json: &'a Value, path: &'static str) -> Result<&'a str, Flaw> {
    member(json, path)?.as_str().ok_or(Flaw::NotText(path))
}

/// A text of which there is one kind that we know.
pub(super) fn one_of(json: &Value, path: &'static str, known: &'static str) -> Result<(), Flaw> {
    let found = text(json, path)?;
    if found == known { Ok(()) } else { Err(Flaw::unsupported(path, found, known)) }
}

pub(super) fn whole(
    json: &Value,
    path: &'static str,
    limits: RangeInclusive<u64>,
) -> Result<u64, Flaw> {
    let found = member(json, path)?.as_u64().ok_or(Flaw::NotWhole(path))?;
    if limits.contains(&found) { Ok(found) } else { Err(Flaw::Limits { path, found, limits }) }
}

/// As many bytes as the hex digits say.
pub(super) fn bytes(json: &Value, path: &'static str) -> Result<Vec<u8>, Flaw> {
    let (pairs, rest) = text(json, path)?.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || !pairs.as_flattened().iter().all(u8::is_ascii_hexdigit) {
        return Err(Flaw::NotHex(path));
    }
    Ok(pairs.iter().map(|[high, low]| nibble(*high) << 4 | nibble(*low)).collect())
}

fn array<const N: usize>(json: &Value, path: &'static str) -> Result<[u8; N], Flaw> {
    let bytes = bytes(json, path)?;
    bytes.as_slice().try_into().map_err(|_| Flaw::Length { path, found: bytes.len(), expected: N })
}
