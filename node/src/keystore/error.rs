//! Why keystores are not opened, or not written. No message contains a password or a secret.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::directory::KEYSTORES_MAX;
use super::kdf::SCRYPT_BYTES_MAX;
use super::password::PASSWORD_BYTES_MAX;

/// Why keystores are not opened, or not written. Unless a variant says otherwise, nothing was.
#[derive(Debug)]
pub enum KeystoreError {
    /// The directory cannot be listed.
    Unlistable(PathBuf, io::Error),
    /// No file in this directory is named as a keystore.
    NoKeystores(PathBuf),
    /// More keystores than any cluster has validators.
    TooMany(PathBuf),
    /// A file that is named almost as a keystore, but has no index.
    Misnamed(PathBuf),
    /// Two keystores of one index.
    SameIndex(PathBuf, PathBuf),
    /// A keystore or password file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The path of a keystore or password file is no file's.
    NotAFile(PathBuf),
    /// A keystore or password file is larger than it may be: its bytes, and how many it may have.
    TooLarge(PathBuf, u64, u64),
    /// The file is no keystore that can be opened, whatever the password.
    Flawed(PathBuf, Flaw),
    /// No password file beside this keystore, and no password was given for all.
    NoPassword(PathBuf),
    /// A password file holds none.
    PasswordFile(PathBuf, PasswordFlaw),
    /// What was typed, or read from standard input, is no password.
    Asked(PasswordFlaw),
    /// Nobody can be asked for a password.
    Prompt(io::Error),
    /// The password does not open the keystore.
    WrongPassword {
        /// The keystore.
        keystore: PathBuf,
        /// The file that the password was in; `None` if it is the one given for all.
        password: Option<PathBuf>,
    },
    /// A file cannot be written, or is there already. What was there before is unchanged.
    Unwritable(PathBuf, io::Error),
}

/// Why a text is no keystore that we can open. Members are named by their path, as in
/// `crypto.kdf.function`.
#[derive(Debug)]
pub enum Flaw {
    /// The text is no JSON.
    NotJson(serde_json::Error),
    /// Another version than 4.
    Version(u64),
    /// A member is missing.
    Missing(&'static str),
    /// A member is no text.
    NotText(&'static str),
    /// A member is no whole number from 0 to 2^64 - 1.
    NotWhole(&'static str),
    /// A member is not in hex.
    NotHex(&'static str),
    /// A member has another number of bytes than it must have.
    Length {
        /// The member.
        path: &'static str,
        /// The bytes it has.
        found: usize,
        /// The bytes it must have.
        expected: usize,
    },
    /// A function that we do not know.
    Unsupported {
        /// The member.
        path: &'static str,
        /// The beginning of what it says.
        found: String,
        /// What it might say.
        known: &'static str,
    },
    /// A number that costs more time or memory than any keystore should, or means nothing.
    Limits {
        /// The member.
        path: &'static str,
        /// What it says.
        found: u64,
        /// What it might say.
        limits: RangeInclusive<u64>,
    },
    /// The cost parameter `n` of scrypt is no power of two.
    NotPowerOfTwo(u64),
    /// scrypt would take more memory than we give it: so many bytes.
    Memory(u64),
}

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordFlaw {
    /// Nothing is left of it without control codes.
    Empty,
    /// It has more than [`PASSWORD_BYTES_MAX`] bytes.
    TooLong,
    /// It is not in UTF-8.
    NotUtf8,
}

impl Flaw {
    pub(super) fn unsupported(path: &'static str, found: &str, known: &'static str) -> Self {
        const SHOWN_CHARS_MAX: usize = 32;
        Self::Unsupported { path, found: found.chars().take(SHOWN_CHARS_MAX).collect(), known }
    }
}

impl fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ASK: &str = "give the directory that charon wrote (validator_keys)";
        match self {
            Self::Unlistable(path, why) => {
                write!(f, "the directory {} cannot be listed: {why}; {ASK}", path.display())
            }
            Self::NoKeystores(path) => {
                write!(f, "no keystore-0.json or the like in {}; {ASK}", path.display())
            }
            Self::TooMany(path) => write!(
                f,
                "more than {KEYSTORES_MAX} keystores in {}; no cluster has so many validators; {ASK}",
                path.display()
            ),
            Self::Misnamed(path) => write!(
                f,
                "{} is not named as charon names a keystore (keystore-0.json); rename it, or move \
                 it elsewhere",
                path.display()
            ),
            Self::SameIndex(one, other) => write!(
                f,
                "{} and {} have the same index; move one of them elsewhere",
                one.display(),
                other.display()
            ),
            Self::Unreadable(path, why) => {
                write!(f, "{} cannot be read: {why}; it must be this user's", path.display())
            }
            Self::NotAFile(path) => write!(f, "{} is no file; {ASK}", path.display()),
            Self::TooLarge(path, found, most) => write!(
                f,
                "{} is too large: {found} bytes, where {most} are the most; {ASK}",
                path.display()
            ),
            Self::Flawed(path, flaw) => write!(
                f,
                "the keystore {} cannot be opened: {flaw}; give the file as charon wrote it",
                path.display()
            ),
            Self::NoPassword(path) => write!(
                f,
                "no password for the keystore {}: put it in {}, or give one for all",
                path.display(),
                path.with_extension("txt").display()
            ),
            Self::PasswordFile(path, flaw) => write!(
                f,
                "the password in {} {flaw}; put the password of the keystore beside it there",
                path.display()
            ),
            Self::Asked(flaw) => write!(f, "the password given {flaw}; give that of the keystores"),
            Self::Prompt(why) => write!(
                f,
                "the password cannot be asked for: {why}; give it in one line on standard input"
            ),
            Self::WrongPassword { keystore, password } => {
                wrong_password(f, keystore, password.as_deref())
            }
            Self::Unwritable(path, why) => write!(
                f,
                "{} cannot be written: {why}; give a directory of this user without keystores",
                path.display()
            ),
        }
    }
}

fn wrong_password(
    f: &mut fmt::Formatter<'_>,
    keystore: &Path,
    password: Option<&Path>,
) -> fmt::Result {
    let keystore = keystore.display();
    match password {
        Some(path) => write!(
            f,
            "wrong password: that in {} does not open the keystore {keystore} (unless the keystore \
             is damaged); put the right one there",
            path.display()
        ),
        None => write!(
            f,
            "wrong password: the one given does not open the keystore {keystore} (unless the \
             keystore is damaged); put its own in a file of the same name that ends in .txt, or \
             give the right one"
        ),
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(why) => write!(f, "it is no JSON ({why})"),
            Self::Version(found) => {
                write!(f, "it is of version {found}, and only version 4 (EIP-2335) is known")
            }
            Self::Missing(path) => write!(f, "{path} is missing"),
            Self::NotText(path) => write!(f, "{path} is no text"),
            Self::NotWhole(path) => write!(f, "{path} is no whole number, or too large for one"),
            Self::NotHex(path) => {
                write!(f, "{path} is not in hex (two digits for each byte, no 0x)")
            }
            Self::Length { path, found, expected } => {
                write!(f, "{path} has {found} bytes, not {expected}")
            }
            Self::Unsupported { path, found, known } => {
                write!(f, "{path} is {found:?}, and only {known} is known")
            }
            Self::Limits { path, found, limits } => {
                write!(f, "{path} is {found}, not within {} to {}", limits.start(), limits.end())
            }
            Self::NotPowerOfTwo(n) => {
                write!(f, "crypto.kdf.params.n is {n}, which is no power of two")
            }
            Self::Memory(bytes) => write!(
                f,
                "scrypt would take {} MiB of memory for it, where {} are the most",
                bytes >> 20,
                SCRYPT_BYTES_MAX >> 20
            ),
        }
    }
}

impl fmt::Display for PasswordFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong => write!(f, "has more than {PASSWORD_BYTES_MAX} bytes"),
            Self::NotUtf8 => f.write_str("is not in UTF-8"),
        }
    }
}

impl std::error::Error for KeystoreError {}
impl std::error::Error for Flaw {}
impl std::error::Error for PasswordFlaw {}
