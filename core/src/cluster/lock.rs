//! Reading charon's `cluster-lock.json`, schema v1.0.0 to v1.11.0.
//!
//! Only what the core asks is read: the operators' ENRs, threshold, uuid, name and lock hash.
//! Everything else in the file is skipped. The lock is read, not verified: its hashes and
//! signatures are not looked at, so it is as trustworthy as the place it was taken from.
//!
//! Identity comes from the ENR's public key. The ENR itself must be a record by EIP-778, which is
//! stricter than charon: charon accepts unsorted keys, a missing `id`, an uncompressed key and
//! trailing bytes, but never writes them. The `=` with which charon up to v0.9 padded its ENRs is
//! dropped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_json::Value;

use super::Manifest;
use crate::record::Signed;

mod error;

pub use error::LockError;

/// The largest lock file worth opening; a driver refuses a larger one unread.
///
/// A validator takes about 1.4 kB, and 0.12 kB more for each operator: 256 MiB hold what charon
/// itself allows (65,536 validators) for a cluster of 20, and a path to something that is no lock
/// at all cannot exhaust the memory.
pub const LOCK_BYTES_MAX: usize = 256 << 20;

/// The longest `uuid`, in bytes (charon's SSZ limit).
pub const UUID_BYTES_MAX: usize = 64;

/// The longest `name`, in bytes (charon's SSZ limit).
pub const NAME_BYTES_MAX: usize = 256;

/// Every schema version, oldest first.
const VERSIONS: [&str; 12] = [
    "v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0", "v1.5.0", "v1.6.0", "v1.7.0", "v1.8.0",
    "v1.9.0", "v1.10.0", "v1.11.0",
];

/// Up to here byte strings are standard base64, from the next on hex.
const LAST_IN_BASE64: &str = "v1.1.0";

/// Reads a lock, whole, from its JSON. What is unknown is skipped; a list that is `null` is empty,
/// as Go writes it.
///
/// # Errors
/// [`LockError`]: the first field that is not as it must be.
pub fn read(json: &[u8]) -> Result<Manifest, LockError> {
    let Object(lock) = serde_json::from_slice::<Object<LockJson>>(json)?;
    let Some(Object(definition)) = lock.cluster_definition else {
        return Err(LockError::Missing("cluster_definition".into()));
    };
    let is_base64 = is_base64(text("cluster_definition.version", &definition.version)?)?;
    let records = operators(&definition.operators)?;
    let threshold = threshold(&definition.threshold)?;
    let uuid = text("cluster_definition.uuid", &definition.uuid)?;
    let name = match text("cluster_definition.name", &definition.name) {
        Err(LockError::Missing(_)) => "", // charon omits an empty name
        name => name?,
    };
    for (field, text, most) in [
        ("cluster_definition.uuid", uuid, UUID_BYTES_MAX),
        ("cluster_definition.name", name, NAME_BYTES_MAX),
    ] {
        if text.len() > most {
            return Err(LockError::TooLong { field, bytes: text.len(), most });
        }
    }
    let hash = lock_hash(text("lock_hash", &lock.lock_hash)?, is_base64)?;
    Ok(Manifest::new(name.to_owned(), uuid.to_owned(), hash, threshold, records)?)
}

/// Absent and `null` are one. The fields are taken as whatever they are and looked at one by one
/// afterwards, so that an error can name its field.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LockJson {
    cluster_definition: Option<Object<DefinitionJson>>,
    lock_hash: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DefinitionJson {
    name: Value,
    uuid: Value,
    version: Value,
    threshold: Value,
    operators: Value,
}

/// A struct that is an object in the JSON: serde alone would take a list as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Entries(std::marker::PhantomData)).map(Self)
    }
}

fn text<'a>(field: &str, value: &'a Value) -> Result<&'a str, LockError> {
    match value {
        Value::Null => Err(LockError::Missing(field.into())),
        Value::String(text) if text.is_empty() => Err(LockError::Missing(field.into())),
        Value::String(text) => Ok(text),
        _ => Err(LockError::Type { field: field.into(), expected: "a string" }),
    }
}

/// Whether byte strings are base64 in this version.
fn is_base64(version: &str) -> Result<bool, LockError> {
    let place = |version| VERSIONS.iter().position(|known| *known == version);
    match place(version) {
        Some(known) => Ok(Some(known) <= place(LAST_IN_BASE64)),
        // Enough to recognise it by, however long the string is.
        None => Err(LockError::Version(version.chars().take(32).collect())),
    }
}

fn threshold(value: &Value) -> Result<usize, LockError> {
    let field = "cluster_definition.threshold";
    if value.is_null() {
        return Err(LockError::Missing(field.into()));
    }
    let threshold = value.as_u64().and_then(|threshold| usize::try_from(threshold).ok());
    threshold.ok_or(LockError::Type { field: field.into(), expected: "a whole number" })
}

fn operators(value: &Value) -> Result<Vec<Signed>, LockError> {
    let operators = match value {
        Value::Null => &[],
        Value::Array(operators) => operators.as_slice(),
        _ => {
            let field = "cluster_definition.operators".into();
            return Err(LockError::Type { field, expected: "a list" });
        }
    };
    if operators.len() > super::OPERATORS_MAX {
        return Err(super::ManifestError::OperatorCount(operators.len()).into());
    }
    operators.iter().enumerate().map(|(index, operator)| record(index, operator)).collect()
}

fn record(index: usize, operator: &Value) -> Result<Signed, LockError> {
    let field = format!("cluster_definition.operators[{index}]");
    if !operator.is_object() {
        return Err(LockError::Type { field, expected: "an object" });
    }
    let enr = text(&format!("{field}.enr"), &operator["enr"])?;
    Signed::from_text(enr.trim_end_matches('='))
        .map_err(|why| LockError::Enr { operator: index, why })
}

fn lock_hash(text: &str, is_base64: bool) -> Result<[u8; 32], LockError> {
    let (bytes, encoding) =
        if is_base64 { (STANDARD.decode(text).ok(), "base64") } else { (hex(text), "hex") };
    let bytes = bytes.ok_or(LockError::LockHashEncoding { expected: encoding })?;
    <[u8; 32]>::try_from(bytes).map_err(|bytes| LockError::LockHashLength(bytes.len()))
}

/// Hex of either case, with `0x` or without.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}
