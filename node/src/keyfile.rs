//! charon's `charon-enr-private-key`: 32 bytes in hex, and nothing else.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use stayfound_core::keys::{KeyError, SecretKey};
use zeroize::Zeroizing;

/// Two hex digits for each byte of a scalar.
const DIGITS: usize = 64;
/// More white space around the digits than any editor leaves behind.
const FILE_BYTES_MAX: u64 = 1_024;

/// Why a file gives no key. No message contains any of the file's content.
#[derive(Debug)]
pub enum KeyFileError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The path is no file's.
    NotAFile(PathBuf),
    /// Other users of this machine can read the file; its permission bits.
    Exposed(PathBuf, u32),
    /// The key begins with `0x`.
    Prefix(PathBuf),
    /// Something else than hex digits.
    NotHex(PathBuf),
    /// Fewer digits than a key has; how many.
    TooShort(PathBuf, usize),
    /// More digits than a key has, or a file that is far too large.
    TooLong(PathBuf),
    /// Zero, or not below the order of the curve.
    OutOfRange(PathBuf, KeyError),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ASK: &str = "give the path of charon's charon-enr-private-key, unaltered";
        let (Self::Unreadable(path, _)
        | Self::NotAFile(path)
        | Self::Exposed(path, _)
        | Self::Prefix(path)
        | Self::NotHex(path)
        | Self::TooShort(path, _)
        | Self::TooLong(path)
        | Self::OutOfRange(path, _)) = self;
        let path = path.display();
        match self {
            Self::Unreadable(_, why) => {
                write!(
                    f,
                    "the key file {path} cannot be read: {why}; give the path of charon's \
                     charon-enr-private-key, owned by this user"
                )
            }
            Self::NotAFile(_) => write!(f, "{path} is no file; {ASK}"),
            Self::Exposed(_, mode) => write!(
                f,
                "the key file {path} is open to other users of this machine (mode {mode:04o}); \
                 run: chmod 600 {path}"
            ),
            Self::Prefix(_) => write!(
                f,
                "the key in {path} begins with 0x, which charon does not write; {ASK}, or take the \
                 0x away"
            ),
            Self::NotHex(_) => write!(
                f,
                "the key file {path} holds something else than {DIGITS} hex digits; {ASK}"
            ),
            Self::TooShort(_, digits) => write!(
                f,
                "the key in {path} is too short: {digits} hex digits, not {DIGITS}; {ASK}"
            ),
            Self::TooLong(_) => {
                write!(f, "the key in {path} is too long: more than {DIGITS} hex digits; {ASK}")
            }
            Self::OutOfRange(_, why) => write!(f, "no key in {path}: {why}; {ASK}"),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// Reads the key in this file. White space around the digits is no matter, nor is their case.
///
/// # Errors
/// [`KeyFileError`]; on Unix also if the file is open to anybody but its owner.
pub fn read(path: &Path) -> Result<SecretKey, KeyFileError> {
    let unreadable = |error| KeyFileError::Unreadable(path.into(), error);
    // To open a named pipe would be to wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(KeyFileError::NotAFile(path.into()));
    }
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        // The permissions of the file that is read, not of one that stood there before.
        let metadata = file.metadata().map_err(unreadable)?;
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Exposed(path.into(), mode));
        }
    }
    // Room for the whole file from the start: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(KeyFileError::TooLong(path.into()));
    }
    parse(path, text.trim_ascii())
}

/// A random key, and its digits as charon writes them.
///
/// # Errors
/// The operating system gives no randomness.
pub fn generate() -> io::Result<(SecretKey, Zeroizing<String>)> {
    loop {
        let mut scalar = Zeroizing::new([0; DIGITS / 2]);
        getrandom::fill(&mut *scalar)?;
        // One draw in 2^128 is no key.
        if let Ok(key) = SecretKey::from_bytes(&scalar) {
            return Ok((key, hex(&*scalar)));
        }
    }
}

/// Makes a file with a new key that only its owner can read. Never overwrites.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is something at the path; else what the system says.
pub fn create(path: &Path) -> io::Result<SecretKey> {
    let (key, digits) = generate()?;
    write_new(path, &digits)?;
    Ok(key)
}

/// Makes a file with this text that only its owner can read, and makes it last. Never overwrites.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn parse(path: &Path, digits: &[u8]) -> Result<SecretKey, KeyFileError> {
    if digits.starts_with(b"0x") || digits.starts_with(b"0X") {
        return Err(KeyFileError::Prefix(path.into()));
    }
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(KeyFileError::NotHex(path.into()));
    }
    if digits.len() < DIGITS {
        return Err(KeyFileError::TooShort(path.into(), digits.len()));
    }
    if digits.len() > DIGITS {
        return Err(KeyFileError::TooLong(path.into()));
    }
    let mut scalar = Zeroizing::new([0; DIGITS / 2]);
    for (byte, pair) in scalar.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | nibble(*digit));
    }
    SecretKey::from_bytes(&scalar).map_err(|why| KeyFileError::OutOfRange(path.into(), why))
}

/// The digits of these bytes, in a string that never grew: it leaves no copy behind.
pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        digits.push(char::from_digit(digit.into(), 16).expect("below 16"));
    }
    digits
}

/// The value of one hex digit; the caller knows that it is one.
pub(crate) fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    fn read_file(content: &[u8], mode: u32) -> Result<SecretKey, KeyFileError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("charon-enr-private-key");
        fs::write(&path, content).expect("writes");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("sets the mode");
        }
        read(&path).inspect_err(|error| {
            let message = error.to_string();
            assert!(message.contains(&path.display().to_string()), "no path: {message}");
            assert!(!message.contains("2233"), "key material: {message}");
        })
    }

    fn read_text(text: &str) -> Result<SecretKey, KeyFileError> {
        read_file(text.as_bytes(), 0o600)
    }

    #[test]
    fn a_key_is_read_whatever_its_case_and_the_space_around_it() {
        let mut scalar = [0; 32];
        for (at, byte) in scalar.iter_mut().enumerate() {
            *byte = 0x11 * (at % 16) as u8;
        }
        let expected = SecretKey::from_bytes(&scalar).expect("a key").public_key();
        for text in [KEY, &KEY.to_uppercase(), &format!("\r\n \t{KEY}\r\n")] {
            assert_eq!(read_text(text).expect("reads").public_key(), expected);
        }
        assert_eq!(read_file(KEY.as_bytes(), 0o400).expect("reads").public_key(), expected);
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        let refused = |text: &str| read_text(text).expect_err("must be refused");
        assert!(matches!(refused(&format!("0x{KEY}")), KeyFileError::Prefix(_)));
        assert!(matches!(refused(&KEY[..62]), KeyFileError::TooShort(_, 62)));
        assert!(matches!(refused(&KEY[..63]), KeyFileError::TooShort(_, 63)));
        assert!(matches!(refused(" \n"), KeyFileError::TooShort(_, 0)));
        assert!(matches!(refused(&format!("{KEY}0")), KeyFileError::TooLong(_)));
        assert!(matches!(refused(&KEY.repeat(1_000)), KeyFileError::TooLong(_)));
        assert!(matches!(refused(&KEY.replace('f', "g")), KeyFileError::NotHex(_)));
        assert!(matches!(
            refused(&format!("{} {}", &KEY[..32], &KEY[32..])),
            KeyFileError::NotHex(_)
        ));
        assert!(matches!(refused(&"0".repeat(64)), KeyFileError::OutOfRange(..)));
        assert!(matches!(refused(ORDER), KeyFileError::OutOfRange(..)));
        read_text(&ORDER.replace("4141", "4140")).expect("the largest key");
        assert!(matches!(read_file(&[0xff; 64], 0o600), Err(KeyFileError::NotHex(_))));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_open_to_others_is_refused() {
        for mode in [0o640, 0o604, 0o610, 0o601, 0o620, 0o666] {
            let error = read_file(KEY.as_bytes(), mode).expect_err("must be refused");
            assert!(matches!(error, KeyFileError::Exposed(_, found) if found == mode));
            assert!(error.to_string().contains("chmod 600 "));
        }
    }

    #[test]
    fn a_path_without_a_file_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let missing = directory.path().join("missing");
        assert!(matches!(read(&missing), Err(KeyFileError::Unreadable(..))));
        assert!(matches!(read(directory.path()), Err(KeyFileError::NotAFile(_))));
    }
}
