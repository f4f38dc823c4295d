//! `cluster-manifest.json`: the operators of a cluster, its validators' keys and shares, and the
//! authorisations by which the shares say which ENR key speaks for which operator. The format is
//! described field by field in `docs/manifest.md`.
//!
//! One content has one file: a manifest is read only in the form in which it is written, and ends
//! with a hash of itself, so not a byte of it can change unnoticed.

use sha2::{Digest, Sha256};

use super::authorisation::{Authorisation, ClusterId};
use super::lock::Lock;
use super::shares::Validator;
use super::{Manifest, ManifestError, OperatorIndex};
use crate::record::Signed;

mod error;
mod json;
mod verify;

pub use error::DocumentError;
pub use verify::{Part, Partial};

/// The version that is written and read.
pub const VERSION: &str = "stayfound/1";

/// An operator as a manifest has it; its index is its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its record: what its key is taken from.
    pub record: Signed,
    /// Its Ethereum address, for people.
    pub address: Option<[u8; 20]>,
    /// That its key shares authorise the record's key.
    pub authorisation: Option<Authorisation>,
}

/// A manifest's content. Read, not verified: see [`verify`](Self::verify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Which cluster it is of.
    pub cluster: ClusterId,
    /// For people.
    pub name: String,
    /// How many operators must sign for a validator to sign.
    pub threshold: usize,
    /// Whether every operator must be authorised by its shares.
    pub require_authorisation: bool,
    /// By index.
    pub operators: Vec<Operator>,
    /// Keys and shares.
    pub validators: Vec<Validator>,
}

/// One operator's authorisation in a file of its own: what it hands to who builds the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorisationFile {
    /// Which cluster it is for.
    pub cluster: ClusterId,
    /// Which operator.
    pub operator: OperatorIndex,
    /// The record whose key is authorised.
    pub record: Signed,
    /// By its shares.
    pub authorisation: Authorisation,
}

impl Document {
    /// Reads a manifest, whole, from its JSON.
    ///
    /// # Errors
    /// [`DocumentError`]: the first thing that is not as it must be, or that the file is not the
    /// one and only form of its content, its hash included.
    pub fn read(json: &[u8]) -> Result<Self, DocumentError> {
        let (document, hash) = json::read(json)?;
        let written = json::write(&document, &hash);
        let expected = hash_of(&written);
        if hash != expected {
            return Err(DocumentError::Hash { expected, found: hash });
        }
        is_written_as(json, &written)?;
        Ok(document)
    }

    /// What a lock says, with nobody authorised by its shares.
    ///
    /// # Errors
    /// [`ManifestError`]: an ENR that is none.
    pub fn of_lock(lock: &Lock) -> Result<Self, ManifestError> {
        let of_lock = lock.manifest()?;
        let operators = lock.definition.operators.iter().zip(of_lock.operators());
        let operators = operators.map(|(operator, member)| Operator {
            record: member.record.clone(),
            address: operator.address.bytes(),
            authorisation: None,
        });
        Ok(Self {
            cluster: ClusterId::Lock { uuid: of_lock.uuid().to_owned(), hash: lock.lock_hash },
            name: of_lock.name().to_owned(),
            threshold: of_lock.threshold(),
            require_authorisation: false,
            operators: operators.collect(),
            validators: lock.validators.clone(),
        })
    }

    /// The one file of this content.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::write(self, &self.hash())
    }

    /// SHA-256 of the file that this content has with a `hash` of zeros.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash_of(&json::write(self, &[0; 32]))
    }

    /// Who belongs, whatever [`verify`](Self::verify) says.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        let records = self.operators.iter().map(|operator| operator.record.clone()).collect();
        let (uuid, hash) = (self.cluster.uuid().to_owned(), *self.cluster.hash());
        Manifest::new(self.name.clone(), uuid, hash, self.threshold, records)
    }

    /// Takes an operator's authorisation in, and its key if that is a new one.
    ///
    /// # Errors
    /// [`DocumentError`]: it is for another cluster or for no operator of it. Whether it verifies is
    /// not looked at; the document is as it was.
    pub fn take(&mut self, file: AuthorisationFile) -> Result<(), DocumentError> {
        if file.cluster != self.cluster {
            return Err(DocumentError::OtherCluster { operator: file.operator });
        }
        let operators = self.operators.len();
        let Some(operator) = self.operators.get_mut(usize::from(file.operator.0)) else {
            return Err(DocumentError::NoOperator { operator: file.operator, operators });
        };
        if operator.record.public_key() != file.record.public_key() {
            operator.record = file.record;
        }
        operator.authorisation = Some(file.authorisation);
        Ok(())
    }
}

impl AuthorisationFile {
    /// Reads one from its JSON.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn read(json: &[u8]) -> Result<Self, DocumentError> {
        let file = json::read_authorisation(json)?;
        is_written_as(json, &file.to_json())?;
        Ok(file)
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::write_authorisation(self)
    }
}

/// What the hash in a file has to be, whatever it is.
fn hash_of(file: &[u8]) -> [u8; 32] {
    const AFTER: &[u8] = b"\"\n}\n";
    let content = file.strip_suffix(AFTER).expect("the hash is the last member");
    let (before, _) = content.split_last_chunk::<64>().expect("the digits of the hash");
    Sha256::new()
        .chain_update(before)
        .chain_update([b'0'; 64])
        .chain_update(AFTER)
        .finalize()
        .into()
}

fn is_written_as(json: &[u8], written: &[u8]) -> Result<(), DocumentError> {
    if written == json {
        return Ok(());
    }
    let same = written.iter().zip(json).take_while(|(a, b)| a == b).count();
    let line = json[..same].iter().filter(|byte| **byte == b'\n').count() + 1;
    Err(DocumentError::Form { line })
}
