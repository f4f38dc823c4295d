//! What the fields of charon's files are in JSON, and how they are read and written.
//!
//! A list that is `null` is empty and a field that is `null` absent, as Go writes them; what is
//! unknown is skipped. Every list and string has a limit, which is enforced while it is read.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::ser::{Serialize, Serializer};

use super::address::Address;
use super::lock::LockError;

/// Reads a whole file that is one object. Only if that fails is it read again, to find out where.
///
/// # Errors
/// [`LockError`]: no JSON, or the first field that is not as it must be, with its path.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, LockError> {
    match serde_json::from_slice::<Object<T>>(json) {
        Ok(Object(file)) => Ok(file),
        Err(error) if error.is_data() => Err(locate::<T>(json)),
        Err(error) => Err(LockError::syntax(&error)),
    }
}

fn locate<T: DeserializeOwned>(json: &[u8]) -> LockError {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let Err(error) = serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) else {
        unreachable!("what could not be read once cannot be read again");
    };
    let field = error.path().to_string();
    LockError::content(&field, error.inner())
}

/// Writes a file as charon does: indented by one space.
pub(super) fn write(file: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::new();
    let style = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut json, style);
    file.serialize(&mut writer).expect("its keys are text, and memory takes every byte");
    json
}

/// Hex of either case, with `0x` or without.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}

/// `0x` and two lower-case digits for each byte: a megabyte of them is written at a time.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        let [high, low] = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
        text.extend([char::from(high), char::from(low)]);
    }
    text
}

/// Bytes to be shown: `0x` and two lower-case digits for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How a version writes byte strings.
pub(super) trait Encoding: fmt::Debug {
    /// What it is called.
    const NAME: &'static str;
    /// The bytes, if the text is of this encoding.
    fn decode(text: &str) -> Option<Vec<u8>>;
    /// The text.
    fn encode(bytes: &[u8]) -> String;
}

/// From v1.2.0 on.
#[derive(Debug)]
pub(super) struct InHex;

impl Encoding for InHex {
    const NAME: &'static str = "hex";

    fn decode(text: &str) -> Option<Vec<u8>> {
        unhex(text)
    }

    fn encode(bytes: &[u8]) -> String {
        match bytes {
            [] => String::new(), // as charon writes nothing
            _ => hex(bytes),
        }
    }
}

/// v1.0.0 and v1.1.0.
#[derive(Debug)]
pub(super) struct InBase64;

impl Encoding for InBase64 {
    const NAME: &'static str = "base64";

    fn decode(text: &str) -> Option<Vec<u8>> {
        STANDARD.decode(text).ok()
    }

    fn encode(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }
}

/// So many bytes.
#[derive(Debug)]
pub(super) struct Fixed<E, const N: usize>(pub [u8; N], PhantomData<E>);

impl<E, const N: usize> Fixed<E, N> {
    pub(super) fn new(bytes: [u8; N]) -> Self {
        Self(bytes, PhantomData)
    }
}

impl<'de, E: Encoding, const N: usize> Deserialize<'de> for Fixed<E, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| exactly::<E, N>(text).map(Self::new))
    }
}

/// So many bytes, or none, which is so many zeros.
#[derive(Debug)]
pub(super) struct Zeroed<E, const N: usize>(pub [u8; N], PhantomData<E>);

impl<E, const N: usize> Zeroed<E, N> {
    pub(super) fn new(bytes: [u8; N]) -> Self {
        Self(bytes, PhantomData)
    }
}

impl<'de, E: Encoding, const N: usize> Deserialize<'de> for Zeroed<E, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| match text {
            "" => Ok(Self::new([0; N])),
            _ => exactly::<E, N>(text).map(Self::new),
        })
    }
}

/// At most so many bytes.
#[derive(Debug)]
pub(super) struct Blob<E, const MAX: usize>(pub Vec<u8>, PhantomData<E>);

impl<E, const MAX: usize> Blob<E, MAX> {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }
}

impl<'de, E: Encoding, const MAX: usize> Deserialize<'de> for Blob<E, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| match decode::<E>(text)? {
            bytes if bytes.len() <= MAX => Ok(Self::new(bytes)),
            bytes => Err(format!("expected at most {MAX} bytes, found {}", bytes.len())),
        })
    }
}

/// A string of at most so many bytes.
#[derive(Debug)]
pub(super) struct Text<const MAX: usize>(pub String);

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| match text.len() {
            length if length <= MAX => Ok(Self(text.to_owned())),
            length => Err(format!("expected at most {MAX} bytes, found {length}")),
        })
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "expected an address, 0x and 40 hex digits, or nothing";
        from_text(deserializer, |text| {
            Self::from_text(text).ok_or_else(|| format!("{expected}, found {}", shown(text)))
        })
    }
}

/// A whole number in a string.
#[derive(Debug)]
pub(super) struct Decimal(pub u64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| {
            let is_decimal = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
            let number = is_decimal.then(|| text.parse().ok()).flatten().map(Self);
            number.ok_or_else(|| format!("expected decimal digits, found {}", shown(text)))
        })
    }
}

/// A whole number.
#[derive(Debug)]
pub(super) struct Whole(pub u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// A list of at most so many.
#[derive(Debug)]
pub(super) struct List<T, const MAX: usize>(pub Vec<T>);

// Derived, it would ask for `T: Default`.
impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Entries<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while entries.len() < MAX {
                    match seq.next_element()? {
                        Some(entry) => entries.push(entry),
                        None => return Ok(List(entries)),
                    }
                }
                match seq.next_element::<IgnoredAny>()? {
                    None => Ok(List(entries)),
                    Some(_) => Err(A::Error::custom(format!("expected at most {MAX}, found more"))),
                }
            }
        }

        deserializer.deserialize_any(Entries(PhantomData))
    }
}

/// A struct that is an object in the JSON: serde alone would take a list as well.
#[derive(Debug)]
pub(super) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}

/// A string, and what this makes of it.
pub(super) fn from_text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    struct Parse<P>(P);

    impl<T, P: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Parse<P> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Parse(parse))
}

fn decode<E: Encoding>(text: &str) -> Result<Vec<u8>, String> {
    E::decode(text).ok_or_else(|| format!("expected {}, found {}", E::NAME, shown(text)))
}

/// So many bytes in this encoding.
pub(super) fn exactly<E: Encoding, const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = decode::<E>(text)?;
    <[u8; N]>::try_from(bytes).map_err(|it| format!("expected {N} bytes, found {}", it.len()))
}

/// What an error says of a file, as a terminal may be given it: a file may hold anything, and a
/// terminal obeys some of it.
pub(super) fn printable(text: &str) -> String {
    const PRINTED_MAX: usize = 512;
    let mut printed = String::new();
    for char in text.chars().take(PRINTED_MAX) {
        match char.is_control() {
            true => printed.extend(char.escape_debug()),
            false => printed.push(char),
        }
    }
    if text.chars().nth(PRINTED_MAX).is_some() {
        printed.push('…');
    }
    printed
}

/// As much of a text as it takes to recognise it.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 32;
    let beginning: String = text.chars().take(SHOWN_MAX).collect();
    let dots = if beginning.len() < text.len() { "…" } else { "" };
    format!("{beginning:?}{dots}")
}

impl<E: Encoding, const N: usize> Serialize for Fixed<E, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&E::encode(&self.0))
    }
}

impl<E: Encoding, const N: usize> Serialize for Zeroed<E, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&E::encode(&self.0))
    }
}

impl<E: Encoding, const MAX: usize> Serialize for Blob<E, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&E::encode(&self.0))
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
