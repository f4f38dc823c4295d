//! Why a file is no manifest that can be read.

use std::fmt;

use super::super::{ManifestError, OPERATORS_MAX, OperatorIndex};
use super::VERSION;
use crate::record::RecordError;

/// What is wrong with a manifest or an authorisation file: one sentence that says what to do.
/// Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentError {
    /// Not JSON, or not of this shape.
    Json {
        /// The field, as far as one was reached.
        field: String,
        /// What the JSON reader says, with line and column.
        why: String,
    },
    /// A version that is not known.
    Version(String),
    /// The operator at this place has another index.
    Index {
        /// The place.
        place: usize,
        /// The index.
        index: usize,
    },
    /// An operator's ENR is no record by EIP-778.
    Enr {
        /// The operator's index.
        operator: usize,
        /// The rule that it breaks.
        why: RecordError,
    },
    /// The content is not that which the hash is of.
    Hash {
        /// The hash of the content.
        expected: [u8; 32],
        /// The one in the file.
        found: [u8; 32],
    },
    /// The file is not written as this content is.
    Form {
        /// The first line that differs, from 1.
        line: usize,
    },
    /// Each field can be read, but together they are no cluster.
    Manifest(ManifestError),
    /// An authorisation for another cluster.
    OtherCluster {
        /// The operator that it names.
        operator: OperatorIndex,
    },
    /// An authorisation for an operator that the cluster does not have.
    NoOperator {
        /// The operator that it names.
        operator: OperatorIndex,
        /// How many there are.
        operators: usize,
    },
}

const BUILD_AGAIN: &str =
    "take an unaltered copy, or build it again from the lock with `stayfound manifest build`";

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { field, why } if field.is_empty() || field == "." => {
                write!(f, "this is no manifest ({why}); {BUILD_AGAIN}")
            }
            Self::Json { field, why } => write!(f, "the field {field}: {why}; {BUILD_AGAIN}"),
            Self::Version(version) => write!(
                f,
                "the field version: expected {VERSION:?}, found {version:?}; if it was built by a \
                 newer stayfound, update this one"
            ),
            Self::Index { place, index } => write!(
                f,
                "the field operators[{place}].index: expected {place}, found {index}; {BUILD_AGAIN}"
            ),
            Self::Enr { operator, why } => write!(
                f,
                "the field operators[{operator}].enr is no node record: {why}; {BUILD_AGAIN}"
            ),
            Self::Hash { expected, found } => {
                f.write_str("the field hash: expected 0x")?;
                expected.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(" for this content, found 0x")?;
                found.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, ": the file was altered; {BUILD_AGAIN}")
            }
            Self::Form { line } => write!(
                f,
                "from line {line} on the file is not written as its content is written (spaces, \
                 letter case, order); {BUILD_AGAIN}"
            ),
            Self::Manifest(why) => write!(f, "this makes no cluster: {why}; {BUILD_AGAIN}"),
            Self::OtherCluster { operator } => write!(
                f,
                "the authorisation of operator {operator} is for another cluster, or for this one \
                 before its lock was edited; let the operator run `stayfound authorise` with the \
                 lock of today"
            ),
            Self::NoOperator { operator, operators } => write!(
                f,
                "there is no operator {operator}: the cluster has 0 to {}, and at most \
                 {OPERATORS_MAX}",
                operators.saturating_sub(1)
            ),
        }
    }
}

impl std::error::Error for DocumentError {}

impl From<ManifestError> for DocumentError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}
