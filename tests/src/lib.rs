//! What the tests of this crate share.

use std::fs;
use std::io::{self, Write as _};
use std::panic::Location;
use std::path::{Path, PathBuf};

use proptest::test_runner::{Config, FileFailurePersistence};

pub mod client;

/// How many cases a property is tried with; what fails is kept in `proptest-regressions/` at the
/// top of the workspace, in a file named like the test's own.
#[must_use]
#[track_caller]
pub fn proptest_config(cases: u32) -> Config {
    let test = Path::new(Location::caller().file()).with_extension("txt");
    let name = test.file_name().expect("a source file has a name");
    let path = workspace().join("proptest-regressions").join(name);
    let path = path.into_os_string().into_string().expect("the workspace's path is UTF-8");
    let persistence = FileFailurePersistence::Direct(path.leak());
    Config { cases, failure_persistence: Some(Box::new(persistence)), ..Config::default() }
}

/// Where this file or directory of the shared fixtures is. They live beside the repository, in
/// `../shared` (the variable `STAYFOUND_SHARED` names another place). Where they are missing the
/// answer is `None`, the caller has nothing to test, and a line on standard error says so.
///
/// # Panics
/// If they are missing and the variable `CI` is set to anything: nothing is skipped there.
#[must_use]
pub fn shared(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("STAYFOUND_SHARED")
        .map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!is_ci, "{} is missing", path.display());
    // Not eprintln: the test harness would swallow the line of a test that passes.
    let _ = writeln!(io::stderr(), "skipped: {} is missing", path.display());
    None
}

/// The top of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the workspace")
}

/// The bytes in this hex.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "hex has two digits per byte: {text}");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Every JSON file in this directory, and in those within.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn json_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("reads") {
        let path = entry.expect("reads").path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}
