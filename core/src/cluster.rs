//! Who belongs: the operators of a cluster, by index and by key.
//!
//! A [`Manifest`] is what the rest of the core asks; [`lock`] reads and verifies one of charon's
//! `cluster-lock.json`. Permanence is not authority: the database forgets nothing, the manifest
//! decides who is let in.

use std::collections::BTreeMap;
use std::fmt;

use self::authorisation::Authority;
use self::check::Verdict;
use crate::keys::{PublicKey, SecretKey};
use crate::record::{Endpoints, NodeId, RecordError, Signed};

pub mod address;
pub mod authorisation;
mod change;
pub mod check;
pub mod definition;
pub mod eip712;
mod json;
pub mod lock;
pub mod manifest;
pub mod shares;
pub mod signed;
pub mod ssz;
pub mod version;

pub use change::Change;
pub(crate) use change::Places;

/// The most operators a cluster has (charon's SSZ list limit).
pub const OPERATORS_MAX: usize = 256;

/// The place of an operator in its cluster's definition, from 0 (charon's `PeerIdx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorIndex(pub u8);

impl fmt::Display for OperatorIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its place.
    pub index: OperatorIndex,
    /// Its ENR key: its identity.
    pub public_key: PublicKey,
    /// The id that follows from the key.
    pub node_id: NodeId,
    /// The record that the manifest carries.
    pub record: Signed,
    /// On whose word its key speaks for it.
    pub authority: Authority,
}

/// A cluster: who its operators are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    name: String,
    uuid: String,
    hash: [u8; 32],
    threshold: usize,
    operators: Vec<Operator>,
    by_node_id: BTreeMap<NodeId, OperatorIndex>,
    is_verified: bool,
}

/// Why something is no manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// A cluster has 1 to 256 operators.
    OperatorCount(usize),
    /// The threshold is 0 or above the number of operators.
    Threshold {
        /// The threshold.
        threshold: usize,
        /// The number of operators.
        operators: usize,
    },
    /// An operator's ENR is no record by EIP-778.
    Enr {
        /// The operator's index, from 0.
        operator: usize,
        /// The rule that it breaks.
        why: RecordError,
    },
    /// Two operators have one key.
    SharedKey(OperatorIndex, OperatorIndex),
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OperatorCount(n) => {
                write!(f, "a cluster has 1 to {OPERATORS_MAX} operators, not {n}")
            }
            Self::Threshold { threshold, operators } => {
                write!(f, "threshold {threshold} is not within 1 to {operators}, the operators")
            }
            Self::Enr { operator, why } => {
                write!(f, "cluster_definition.operators[{operator}].enr is no node record: {why}")
            }
            Self::SharedKey(a, b) => write!(f, "operators {a} and {b} have one and the same key"),
        }
    }
}

impl std::error::Error for ManifestError {}

/// A record whose key is an operator's: the rung of the ladder that a link needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorised {
    operator: OperatorIndex,
    record: Signed,
}

impl Authorised {
    /// Whose record it is.
    #[must_use]
    pub fn operator(&self) -> OperatorIndex {
        self.operator
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> &Signed {
        &self.record
    }
}

impl Manifest {
    /// A cluster of these operators, in the order of their indices.
    ///
    /// # Errors
    /// [`ManifestError`]: counts, threshold, keys that stand twice.
    pub fn new(
        name: String,
        uuid: String,
        hash: [u8; 32],
        threshold: usize,
        records: Vec<Signed>,
    ) -> Result<Self, ManifestError> {
        let count = records.len();
        if !(1..=OPERATORS_MAX).contains(&count) {
            return Err(ManifestError::OperatorCount(count));
        }
        if !(1..=count).contains(&threshold) {
            return Err(ManifestError::Threshold { threshold, operators: count });
        }
        let mut by_node_id = BTreeMap::new();
        let mut operators = Vec::with_capacity(count);
        for (index, record) in (0..=u8::MAX).map(OperatorIndex).zip(records) {
            if let Some(other) = by_node_id.insert(record.node_id(), index) {
                return Err(ManifestError::SharedKey(other, index));
            }
            let (public_key, node_id) = (*record.public_key(), record.node_id());
            let authority = Authority::Lock;
            operators.push(Operator { index, public_key, node_id, record, authority });
        }
        assert_eq!(operators.len(), by_node_id.len());
        Ok(Self { name, uuid, hash, threshold, operators, by_node_id, is_verified: false })
    }

    /// The same cluster, as far as a verdict about its lock or manifest goes: verified if nothing
    /// failed, each operator on the authority that was found.
    #[must_use]
    pub fn with_verdict(mut self, verdict: &Verdict) -> Self {
        assert_eq!(self.operators.len(), verdict.authorities.len(), "an authority of each");
        self.is_verified = verdict.failures().next().is_none();
        for (operator, authority) in self.operators.iter_mut().zip(&verdict.authorities) {
            operator.authority = *authority;
        }
        self
    }

    /// Whether the lock or manifest that it was read from has been verified.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.is_verified
    }

    /// A cluster of one: a node that only discovers, such as a boot node.
    #[must_use]
    pub fn alone(key: &SecretKey) -> Self {
        let record = Signed::sign(key, 0, &Endpoints::default());
        Self::new(String::new(), String::new(), [0; 32], 1, vec![record])
            .expect("one operator and a threshold of one")
    }

    /// The cluster's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster's uuid: it outlives edits.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The lock hash: it changes with every edit.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// How many operators must sign for a validator to sign.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The operators, by index.
    #[must_use]
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// The operator at this place, if the cluster has it.
    #[must_use]
    pub fn get(&self, index: OperatorIndex) -> Option<&Operator> {
        self.operators.get(usize::from(index.0))
    }

    /// The operator with this node id.
    #[must_use]
    pub fn by_node_id(&self, node_id: &NodeId) -> Option<&Operator> {
        self.by_node_id.get(node_id).and_then(|index| self.get(*index))
    }

    /// The operator with this key, given as bytes: no point arithmetic.
    #[must_use]
    pub fn by_key(&self, key: &[u8; 33]) -> Option<&Operator> {
        self.operators.iter().find(|operator| operator.public_key.as_bytes() == key)
    }

    /// f = ⌊(n − 1) / 3⌋: how many operators may lie.
    #[must_use]
    pub fn faults_tolerated(&self) -> usize {
        (self.operators.len() - 1) / 3
    }

    /// Lets a record up the ladder if its key is an operator's.
    #[must_use]
    pub fn authorise(&self, record: Signed) -> Option<Authorised> {
        let operator = self.by_node_id(&record.node_id())?.index;
        Some(Authorised { operator, record })
    }
}
