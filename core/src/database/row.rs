//! The stored form of an entry.

use std::fmt;

use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use bytes::Bytes;

use super::{Entry, Provenance, Versions};
use crate::cluster::OperatorIndex;
use crate::record::{NodeId, Signed};
use crate::time::Wall;
use crate::wire::Address;

/// The version of the stored form.
const VERSION: u8 = 1;

/// One row of the driver's store: what is held of one node, as bytes that only the core reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose.
    pub key: NodeId,
    /// What.
    pub value: Bytes,
}

/// A stored row that cannot be believed. It is left out; the rest of the database stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Whose row.
    pub key: NodeId,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stored row of node {} is damaged: {}", self.key, self.why)
    }
}

/// RLP; every version begins with its number.
#[derive(RlpEncodable, RlpDecodable)]
struct Stored {
    version: u8,
    provenance: Vec<u8>,
    first: u64,
    updated: u64,
    reached: Vec<Address>,
    versions: Vec<Bytes>,
}

impl Row {
    pub(super) fn encode(key: NodeId, entry: &Entry) -> Self {
        let stored = Stored {
            version: VERSION,
            provenance: encode_provenance(entry.provenance),
            first: entry.first.0,
            updated: entry.updated.0,
            reached: entry.reached.map(Address).into_iter().collect(),
            versions: entry.versions.iter().map(|r| Bytes::copy_from_slice(r.as_bytes())).collect(),
        };
        Self { key, value: alloy_rlp::encode(stored).into() }
    }

    pub(super) fn decode(&self) -> Result<Entry, Damage> {
        let damage = |why: String| Damage { key: self.key, why };
        let mut rest = &self.value[..];
        let stored = Stored::decode(&mut rest).map_err(|error| damage(error.to_string()))?;
        if !rest.is_empty() || stored.version != VERSION {
            return Err(damage(format!("unknown form (version {})", stored.version)));
        }
        let mut versions: Option<Versions> = None;
        for bytes in &stored.versions {
            let record = Signed::from_bytes(bytes).map_err(|error| damage(error.to_string()))?;
            if record.node_id() != self.key {
                return Err(damage("it holds the record of another node".into()));
            }
            match &mut versions {
                Some(versions) => versions.merge(record),
                None => versions = Some(record.into()),
            }
        }
        Ok(Entry {
            versions: versions.ok_or_else(|| damage("it holds no record".into()))?,
            provenance: decode_provenance(&stored.provenance)
                .ok_or_else(|| damage("unknown provenance".into()))?,
            first: Wall(stored.first),
            updated: Wall(stored.updated),
            reached: stored.reached.first().map(|address| address.0),
        })
    }
}

fn encode_provenance(provenance: Provenance) -> Vec<u8> {
    match provenance {
        Provenance::Own => vec![0],
        Provenance::Manifest => vec![1],
        Provenance::Peer(OperatorIndex(index)) => vec![2, index],
        Provenance::Discovery => vec![3],
    }
}

fn decode_provenance(bytes: &[u8]) -> Option<Provenance> {
    match *bytes {
        [0] => Some(Provenance::Own),
        [1] => Some(Provenance::Manifest),
        [2, index] => Some(Provenance::Peer(OperatorIndex(index))),
        [3] => Some(Provenance::Discovery),
        _ => None,
    }
}
