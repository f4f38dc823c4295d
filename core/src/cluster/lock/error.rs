//! Why a file is no lock or definition that can be read.

use std::fmt;

use super::super::json::shown;
use super::super::version::Version;

/// What is wrong with a lock or a definition: one sentence that names the field and says what to
/// do. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockError {
    /// Not JSON, or no object.
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column: how many bytes of the line could be read.
        column: usize,
        /// What the JSON reader says.
        why: String,
    },
    /// The JSON breaks off.
    Truncated {
        /// The line, from 1.
        line: usize,
        /// The column: how many bytes of the line could be read.
        column: usize,
    },
    /// This field is absent, `null` or empty.
    Missing(String),
    /// A schema version that is not known.
    Version {
        /// The field.
        field: String,
        /// What stands there.
        version: String,
    },
    /// This field is not as it must be.
    Field {
        /// Its path.
        field: String,
        /// What was expected, what was found.
        why: String,
    },
}

/// What helps against every file whose content is not what charon writes.
const TAKE_ANOTHER: &str = "take an unaltered copy from another operator of the cluster";

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line, column, why } => write!(
                f,
                "this is not the JSON of a lock (line {line}, column {column}: {why}); give the \
                 path of charon's cluster-lock.json"
            ),
            Self::Truncated { line, column } => write!(
                f,
                "the JSON breaks off at line {line}, column {column}; copy the file again, whole"
            ),
            Self::Missing(field) => write!(
                f,
                "the field {field} is missing or empty; give charon's cluster-lock.json as charon \
                 wrote it"
            ),
            Self::Version { field, version } => write!(
                f,
                "the field {field} is {}, but only {} to {} can be read; if charon is newer than \
                 that, update stayfound",
                shown(version),
                Version::V1_0,
                Version::V1_11
            ),
            Self::Field { field, why } => write!(f, "the field {field}: {why}; {TAKE_ANOTHER}"),
        }
    }
}

impl std::error::Error for LockError {}

impl LockError {
    /// Where the JSON itself is broken.
    pub(in super::super) fn syntax(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_eof() { Self::Truncated { line, column } } else { Self::not_json(error) }
    }

    /// Of a field of whole JSON, at this path.
    pub(in super::super) fn content(field: &str, error: &serde_json::Error) -> Self {
        match field {
            "." => Self::not_json(error), // the file itself
            _ => Self::Field { field: field.into(), why: sentence(error) },
        }
    }

    fn not_json(error: &serde_json::Error) -> Self {
        Self::NotJson { line: error.line(), column: error.column(), why: sentence(error) }
    }
}

/// What the reader says, without the place that it repeats at the end.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
