//! What the exit code says.

use crate::oracle::Kind;

/// All is well.
pub const OK: u8 = 0;
/// Wrong usage, or a scenario that is none.
pub const USAGE: u8 = 2;
/// Something happened that must never happen.
pub const SAFETY: u8 = 10;
/// Something that must happen did not.
pub const LIVENESS: u8 = 11;
/// Two runs of one scenario differ.
pub const DIVERGENCE: u8 = 12;
/// A node broke one of its own invariants.
pub const PANIC: u8 = 13;
/// Enough runs, and something that none of them came to.
pub const COVERAGE: u8 = 14;
/// From here on it is not the core that failed.
pub const INFRASTRUCTURE: u8 = 64;
/// A file is not what it should be (as in BSD's sysexits).
pub const DATA: u8 = 65;
/// A file cannot be read or written.
pub const IO: u8 = 74;

/// The codes, for `--help`.
pub const CODES: &str = "\
Exit codes: 0 all well, 2 usage, 10 safety, 11 liveness, 12 divergence, 13 panic (of many runs, \
that of the first that failed), 14 a sweep never came to something, 74 a file cannot be read or written.";

/// The code of a kind of finding.
#[must_use]
pub fn of(kind: Kind) -> u8 {
    match kind {
        Kind::Safety => SAFETY,
        Kind::Liveness => LIVENESS,
        Kind::Panic => PANIC,
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Failure {
    /// What the user gave cannot be used.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }

    /// A file or a disk failed.
    #[must_use]
    pub fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self { code: IO, text: format!("cannot {what} {}: {error}", path.display()) }
    }
}
