//! Key shares that authorise an ENR key: the proof that who holds an operator's shares wants this
//! key to speak for it.
//!
//! A lock shows only that the *sum* of all shares signed. Here each share of an operator signs a
//! message of its own kind, under a domain of its own, that names the cluster, the operator and the
//! key; no signature made here is valid anywhere else. The signatures are combined with weights
//! that depend on all keys of the cluster ([`shares`](super::shares)), which is secure without
//! proofs of possession (Boneh, Drijvers and Neven 2018); a plain sum is not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::OperatorIndex;
use super::shares::{Keys, ranges};
use crate::keys::PublicKey;
use crate::keys::bls::{self, Domain, PointError, SecretKey, Signature, SignatureSum};

/// What every message begins with. Long, so that nobody takes it for anything else.
const TAG: &[u8] = b"stayfound/1: the holder of these validator key shares authorises the ENR \
    public key below to speak for this operator in this cluster, and nothing else";

/// Which cluster an authorisation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterId {
    /// That of a lock.
    Lock {
        /// Its uuid, which outlives edits.
        uuid: String,
        /// Its hash, which does not.
        hash: [u8; 32],
    },
    /// One of its own, for a cluster that has no lock.
    Own([u8; 32]),
}

impl ClusterId {
    /// The uuid: empty without a lock.
    #[must_use]
    pub fn uuid(&self) -> &str {
        match self {
            Self::Lock { uuid, .. } => uuid,
            Self::Own(_) => "",
        }
    }

    /// The lock hash, or the id.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        match self {
            Self::Lock { hash, .. } | Self::Own(hash) => hash,
        }
    }
}

/// On whose word a key speaks for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// The lock says so (or the manifest's author): nobody who holds the shares was asked.
    Lock,
    /// Every key share of the operator signed it.
    Shares,
}

impl Authority {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Shares => "shares",
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An operator's authorisation as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorisation {
    /// All shares in one signature.
    Combined([u8; 96]),
    /// One signature of each share, in the order of the validators.
    Each(Vec<[u8; 96]>),
}

/// Why an authorisation authorises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorisationError {
    /// Another number of signatures than validators.
    Count {
        /// The signatures.
        signatures: usize,
        /// The validators.
        validators: usize,
    },
    /// A signature that is none: of this validator's share, or the combined one.
    Point(Option<usize>, PointError),
    /// The signature of this validator's share is not over this cluster, operator and key.
    Share(usize),
    /// The combined signature is not that of all shares over this cluster, operator and key.
    Combined,
    /// There are no keys, or some of them are none, so nothing can be verified by them.
    NoKeys,
}

impl fmt::Display for AuthorisationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = "expected a signature of this cluster, operator and ENR key by";
        match self {
            Self::Count { signatures, validators } => write!(
                f,
                "expected {validators} signatures, one for each validator, found {signatures}"
            ),
            Self::Point(None, why) => write!(f, "expected a signature, found {why}"),
            Self::Point(Some(validator), why) => {
                write!(f, "validator {validator}: expected a signature, found {why}")
            }
            Self::Share(validator) => write!(
                f,
                "validator {validator}: {expected} the operator's share, found one that does not \
                 verify"
            ),
            Self::NoKeys => f.write_str("expected validators whose keys are points, found none"),
            Self::Combined => {
                write!(f, "{expected} all shares of the operator, found one that does not verify")
            }
        }
    }
}

impl std::error::Error for AuthorisationError {}

/// What the shares of an operator sign: purpose and version, cluster, operator, ENR public key.
/// Each field has a length of its own or is led by it, so no two contents give one message.
#[must_use]
pub fn message(cluster: &ClusterId, operator: OperatorIndex, key: &PublicKey) -> Vec<u8> {
    let mut message = TAG.to_vec();
    message.push(0);
    match cluster {
        ClusterId::Lock { uuid, hash } => {
            message.push(1);
            message.extend((uuid.len() as u64).to_be_bytes());
            message.extend(uuid.as_bytes());
            message.extend(hash);
        }
        ClusterId::Own(id) => {
            message.push(2);
            message.extend(id);
        }
    }
    message.extend(u16::from(operator.0).to_be_bytes());
    message.extend(key.as_bytes());
    message
}

/// Signs with all shares of an operator at once: `secrets` in the order of the validators.
///
/// `None` if their weighted sum is zero, which no keys drawn at random come to.
#[must_use]
pub fn sign(keys: &Keys<'_>, secrets: &[SecretKey], message: &[u8]) -> Option<Authorisation> {
    let all = SecretKey::weigh(secrets, &keys.weights(0..keys.validators().len()))?;
    Some(Authorisation::Combined(all.sign(Domain::AUTHORISATION, message).to_bytes()))
}

/// Some of an operator's signatures, to be read and weighed on a thread of its own.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    keys: Keys<'a>,
    first: usize,
    signatures: &'a [[u8; 96]],
    is_combined: bool,
}

/// The weighted sum of some of an operator's signatures.
pub type Partial = Result<SignatureSum, AuthorisationError>;

impl Part<'_> {
    /// Reads and weighs.
    ///
    /// # Errors
    /// [`AuthorisationError::Point`]: the first signature that is none.
    pub fn run(&self) -> Partial {
        let mut signatures = Vec::with_capacity(self.signatures.len());
        for (index, bytes) in (self.first..).zip(self.signatures) {
            let index = (!self.is_combined).then_some(index);
            let signature = Signature::from_bytes(bytes);
            signatures.push(signature.map_err(|why| AuthorisationError::Point(index, why))?);
        }
        let last = self.first + signatures.len();
        let weights = match self.is_combined {
            true => vec![1u128.to_le_bytes()],
            false => self.keys.weights(self.first..last),
        };
        Ok(SignatureSum::weigh(&signatures, &weights))
    }
}

impl Authorisation {
    /// The work of reading it, in at most so many parts of equal size.
    ///
    /// # Errors
    /// [`AuthorisationError::NoKeys`] of a cluster without validators, [`AuthorisationError::Count`].
    pub fn parts<'a>(
        &'a self,
        keys: &Keys<'a>,
        count: usize,
    ) -> Result<Vec<Part<'a>>, AuthorisationError> {
        let validators = keys.validators().len();
        if validators == 0 {
            return Err(AuthorisationError::NoKeys);
        }
        let (signatures, is_combined) = match self {
            Self::Combined(signature) => (std::slice::from_ref(signature), true),
            Self::Each(signatures) => (signatures.as_slice(), false),
        };
        if !is_combined && signatures.len() != validators {
            return Err(AuthorisationError::Count { signatures: signatures.len(), validators });
        }
        let part = |range: std::ops::Range<usize>| {
            let (keys, first) = (*keys, range.start);
            Part { keys, first, signatures: &signatures[range], is_combined }
        };
        Ok(ranges(signatures.len(), count).map(part).collect())
    }

    /// The weighted sum of what came of all [`parts`](Self::parts), in any order: it is to verify
    /// under the operator's weighted sum of keys.
    ///
    /// # Errors
    /// [`AuthorisationError`]: of the first part that failed, or that the sum is nothing.
    pub fn conclude(
        partials: impl IntoIterator<Item = Partial>,
    ) -> Result<Signature, AuthorisationError> {
        let mut total: Option<SignatureSum> = None;
        for partial in partials {
            let partial = partial?;
            match &mut total {
                Some(total) => total.add(&partial),
                None => total = Some(partial),
            }
        }
        total.and_then(|total| total.signature()).ok_or(AuthorisationError::Combined)
    }

    /// Which share's signature is not over the message, when all together are not: one pairing for
    /// each, until one fails.
    #[must_use]
    pub fn culprit(
        &self,
        keys: &Keys<'_>,
        operator: OperatorIndex,
        message: &[u8],
    ) -> Option<usize> {
        let Self::Each(signatures) = self else { return None };
        let mut rows = keys.validators().iter().zip(signatures);
        rows.position(|(validator, signature)| {
            let share = &validator.shares[usize::from(operator.0)];
            let key = bls::PublicKey::from_bytes(share);
            let signature = Signature::from_bytes(signature);
            !key.is_ok_and(|key| {
                signature.is_ok_and(|it| key.verifies(Domain::AUTHORISATION, message, &it))
            })
        })
    }
}
