//! Why a file is no lock that can be read.

use std::fmt;

use serde_json::error::Category;

use super::super::ManifestError;
use super::VERSIONS;
use crate::record::RecordError;

/// What is wrong with a lock: one sentence that names the field and says what to do. Nothing has
/// been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockError {
    /// Not JSON, or JSON of another shape.
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
    /// This field is of another JSON type.
    Type {
        /// The field.
        field: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// A schema version that is not known.
    Version(String),
    /// This field is too long.
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The most that it may have.
        most: usize,
    },
    /// An operator's ENR is no record by EIP-778.
    Enr {
        /// The operator's index, from 0.
        operator: usize,
        /// The rule that it breaks.
        why: RecordError,
    },
    /// The lock hash is not in the encoding of the file's version.
    LockHashEncoding {
        /// That encoding.
        expected: &'static str,
    },
    /// The lock hash has another number of bytes than 32.
    LockHashLength(usize),
    /// Each field can be read, but together they are no cluster.
    Manifest(ManifestError),
}

/// What helps against every lock whose content is not what charon writes.
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
            Self::Type { field, expected } => {
                write!(f, "the field {field} is not {expected}; {TAKE_ANOTHER}")
            }
            Self::Version(version) => write!(
                f,
                "the field cluster_definition.version is {version:?}, but only {} to {} can be \
                 read; if charon is newer than that, update stayfound",
                VERSIONS[0],
                VERSIONS[VERSIONS.len() - 1]
            ),
            Self::TooLong { field, bytes, most } => {
                write!(f, "the field {field} has {bytes} bytes, at most {most} are allowed; ")?;
                f.write_str(TAKE_ANOTHER)
            }
            Self::Enr { operator, why } => write!(
                f,
                "the field cluster_definition.operators[{operator}].enr is no node record: {why}; \
                 {TAKE_ANOTHER}"
            ),
            Self::LockHashEncoding { expected } => {
                write!(f, "the field lock_hash is not {expected}; {TAKE_ANOTHER}")
            }
            Self::LockHashLength(n) => {
                write!(f, "the field lock_hash has {n} bytes, not 32; {TAKE_ANOTHER}")
            }
            Self::Manifest(why) => {
                let field = match why {
                    ManifestError::Threshold { .. } => "cluster_definition.threshold",
                    ManifestError::OperatorCount(_) | ManifestError::SharedKey(..) => {
                        "cluster_definition.operators"
                    }
                };
                write!(f, "the field {field} makes no cluster: {why}; {TAKE_ANOTHER}")
            }
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Enr { why, .. } => Some(why),
            Self::Manifest(why) => Some(why),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for LockError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => Self::Truncated { line, column },
            Category::Syntax | Category::Data | Category::Io => {
                // The reader repeats the place at the end of its sentence.
                let text = error.to_string();
                let place = format!(" at line {line} column {column}");
                let why = text.strip_suffix(&place).unwrap_or(&text).to_owned();
                Self::NotJson { line, column, why }
            }
        }
    }
}

impl From<ManifestError> for LockError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}
