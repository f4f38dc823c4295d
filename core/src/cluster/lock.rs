//! charon's `cluster-lock.json`, schema v1.0.0 to v1.11.0: a definition, the validator keys and
//! key shares that were made for it, and signatures by all of them.
//!
//! [`Lock::read`] takes the file apart; [`Lock::verify`] says whether it may be believed. Identity
//! comes from the ENR's public key. To be an operator's, an ENR must be a record by EIP-778, which
//! is stricter than charon: charon accepts unsorted keys, a missing `id`, an uncompressed key and
//! trailing bytes, but never writes them. The `=` with which charon up to v0.9 padded its ENRs is
//! dropped.

use super::definition::Definition;
use super::shares::Validator;
use super::signed::{Deposit, Registration};
use super::{Manifest, ManifestError};
use crate::record::{RecordError, Signed};

mod error;
mod hash;
mod json;
mod verify;

pub use error::LockError;
pub use verify::{AGGREGATE, Part, Partial};

/// The largest lock file worth opening; a driver refuses a larger one unread.
///
/// A validator takes about 1.4 kB, and 0.12 kB more for each operator: 256 MiB hold what charon
/// itself allows (65,536 validators) for a cluster of 20, and a path to something that is no lock
/// at all cannot exhaust the memory.
pub const LOCK_BYTES_MAX: usize = 256 << 20;

/// A lock. What its version does not have is empty.
///
/// One that was read has papers for each validator, and in them what its version has. The hash of
/// one that has not cannot be computed: that panics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// What was agreed on.
    pub definition: Definition,
    /// The keys of each validator.
    pub validators: Vec<Validator>,
    /// What each validator signed, in the same order.
    pub papers: Vec<Papers>,
    /// One signature by all key shares over the lock hash: 96 bytes, or what the file has instead.
    pub signature_aggregate: Vec<u8>,
    /// The hash of everything above but the aggregate, as stored.
    pub lock_hash: [u8; 32],
    /// By each operator's ENR key over the stored lock hash: 65 bytes each, or what the file has
    /// instead.
    pub node_signatures: Vec<Vec<u8>>,
}

/// What a validator signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Papers {
    /// Its deposits, from v1.6.0 on; up to v1.7.0 one at most.
    pub deposits: Vec<Deposit>,
    /// Its registration with builders, from v1.7.0 on.
    pub registration: Option<Registration>,
}

impl Lock {
    /// Reads a lock, whole, from its JSON.
    ///
    /// # Errors
    /// [`LockError`]: the first field that is not as it must be.
    pub fn read(json: &[u8]) -> Result<Self, LockError> {
        json::read(json)
    }

    /// Its JSON, as charon writes this version.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::write(self)
    }

    /// Who belongs, whatever [`verify`](Self::verify) says.
    ///
    /// # Errors
    /// [`ManifestError`]: an ENR that is none, counts, threshold, keys that stand twice.
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        let definition = &self.definition;
        let enrs = definition.operators.iter().enumerate();
        let records = enrs.map(|(operator, it)| {
            record(&it.enr).map_err(|why| ManifestError::Enr { operator, why })
        });
        let records = records.collect::<Result<_, _>>()?;
        let threshold = usize::try_from(definition.threshold).unwrap_or(usize::MAX);
        let (name, uuid) = (definition.name.clone(), definition.uuid.clone());
        Manifest::new(name, uuid, self.lock_hash, threshold, records)
    }
}

/// The record in an operator's ENR text.
fn record(enr: &str) -> Result<Signed, RecordError> {
    Signed::from_text(enr.trim_end_matches('='))
}
