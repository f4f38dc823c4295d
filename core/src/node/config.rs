//! Who a node is and whom it knows, and why it cannot start.

use std::fmt;
use std::net::SocketAddr;

use crate::cluster::{Manifest, OperatorIndex};
use crate::discovery;
use crate::keys::SecretKey;
use crate::record::is_usable;

/// Who we are and whom we know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our ENR key.
    pub key: SecretKey,
    /// Our cluster.
    pub manifest: Manifest,
    /// Addresses that the operator fixed, one per family at most: they outrank every other.
    pub external: Vec<SocketAddr>,
    /// Addresses at which operators may answer.
    pub hints: Vec<(OperatorIndex, SocketAddr)>,
    /// How to find who answers nowhere; `None` for no discovery.
    pub discovery: Option<discovery::Settings>,
}

/// Why a node cannot start. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Our key is no operator's.
    NotAnOperator,
    /// A fixed address that cannot be published, or the second of its family.
    External(SocketAddr),
    /// A hint for an operator that the cluster does not have, for ourselves, or with an address
    /// that cannot be dialled.
    Hint(OperatorIndex, SocketAddr),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnOperator => f.write_str("the key is no operator's of this cluster"),
            Self::External(address) => write!(
                f,
                "{address} cannot be published: give one address per family, with a port, that \
                 peers can reach"
            ),
            Self::Hint(operator, address) => write!(
                f,
                "the hint {operator}={address} is for no other operator of this cluster, or its \
                 address cannot be dialled"
            ),
        }
    }
}

impl std::error::Error for StartError {}

pub(super) fn check_external(external: &[SocketAddr]) -> Result<(), StartError> {
    for (place, address) in external.iter().enumerate() {
        let second = external[..place].iter().any(|other| other.is_ipv4() == address.is_ipv4());
        if second || !is_usable(*address) {
            return Err(StartError::External(*address));
        }
    }
    Ok(())
}
