//! What a person types, or charon leaves in a file beside the keystore.

use std::fmt;
use std::io::{self, BufRead, IsTerminal};

use rand_core::CryptoRng;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::error::{KeystoreError, PasswordFlaw};
use crate::keyfile::hex;

/// The longest password, in bytes; charon's have 32.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// How much longer a text in UTF-8 can get when it is decomposed: U+FDFA, from 3 bytes to 33.
const NFKD_GROWTH_MAX: usize = 11;

/// A password, as it was given. Overwritten when dropped, and never shown.
pub struct Password(Zeroizing<String>);

impl Password {
    /// A password of this text in UTF-8. Control codes, such as a line's end, are no part of it
    /// (EIP-2335); spaces are.
    ///
    /// # Errors
    /// [`PasswordFlaw`]; the text is in no message.
    pub fn new(text: &[u8]) -> Result<Self, PasswordFlaw> {
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordFlaw::TooLong);
        }
        let text = str::from_utf8(text).map_err(|_| PasswordFlaw::NotUtf8)?;
        let password = Self(Zeroizing::new(text.to_owned()));
        if password.normalised().is_empty() { Err(PasswordFlaw::Empty) } else { Ok(password) }
    }

    /// A random password as charon makes them: 16 bytes in hex.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *bytes);
        Self(hex(&*bytes))
    }

    /// Asks for a password: at the terminal, without showing what is typed, or else by reading one
    /// line from standard input.
    ///
    /// # Errors
    /// [`KeystoreError::Prompt`] or [`KeystoreError::Asked`].
    pub fn ask(prompt: &str) -> Result<Self, KeystoreError> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return read_line(stdin.lock());
        }
        let text = rpassword::prompt_password(prompt).map_err(KeystoreError::Prompt)?;
        let text = Zeroizing::new(text);
        Self::new(text.as_bytes()).map_err(KeystoreError::Asked)
    }

    /// The text itself, as it goes into a file.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The text that keys are derived from: decomposed (NFKD), then without the control codes C0, C1
    /// and DEL.
    // Not kept in place of the text: where a control code parted two accents, normalising what was
    // normalised before can give yet another text.
    pub(super) fn normalised(&self) -> Zeroizing<String> {
        let capacity = NFKD_GROWTH_MAX * self.0.len();
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        let room = text.capacity();
        text.extend(self.0.nfkd().filter(|char| !char.is_control()));
        assert_eq!(text.capacity(), room, "a string that grew left a copy behind");
        text
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

fn read_line(input: impl BufRead) -> Result<Password, KeystoreError> {
    // Room for a line that is too long, to be told from one that just fits with its end.
    const LINE_BYTES_MAX: usize = PASSWORD_BYTES_MAX + 3;
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX));
    let mut input = input.take(LINE_BYTES_MAX as u64);
    input.read_until(b'\n', &mut line).map_err(KeystoreError::Prompt)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Password::new(text).map_err(KeystoreError::Asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_password_without_its_end() {
        let read = |input: &[u8]| read_line(input).map(|password| password.text().to_owned());
        for input in ["pass word \n", "pass word \r\nnext\n", "pass word "] {
            assert_eq!(read(input.as_bytes()).expect("a password"), "pass word ");
        }
        for input in ["", "\n", "\r\npassword", "\u{85}\n"] {
            let error = read(input.as_bytes()).expect_err("must be refused");
            assert!(matches!(error, KeystoreError::Asked(PasswordFlaw::Empty)), "{error}");
        }
        let longest = "x".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(read(format!("{longest}\r\n").as_bytes()).expect("a password"), longest);
        for input in [format!("{longest}x\n"), format!("{longest}x\r\n"), longest.repeat(9)] {
            let error = read(input.as_bytes()).expect_err("must be refused");
            assert!(matches!(error, KeystoreError::Asked(PasswordFlaw::TooLong)), "{error}");
        }
        let error = read(b"p\xff\n").expect_err("must be refused");
        assert!(matches!(error, KeystoreError::Asked(PasswordFlaw::NotUtf8)), "{error}");
    }

    #[test]
    fn passwords_are_normalised_as_eip_2335_says() {
        let normalised = |text: &str| {
            Password::new(text.as_bytes()).expect("a password").normalised().to_string()
        };
        assert_eq!(normalised("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑"), "testpassword🔑");
        assert_eq!(normalised("\0a\u{1f} \u{7f}b\u{80}\u{9f}\u{a0}"), "a b ");
        assert_eq!(normalised("Å"), "A\u{30a}");
        // The longest there is: it must fit without growing.
        let longest = "\u{fdfa}".repeat(PASSWORD_BYTES_MAX / 3);
        assert_eq!(normalised(&longest).len(), longest.len() * NFKD_GROWTH_MAX);
    }
}
