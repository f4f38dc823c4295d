//! charon's `cluster-definition.json`, schema v1.0.0 to v1.11.0: what a cluster is to be, before
//! its keys are made. Part of every [`Lock`](super::lock::Lock).

use super::address::Address;
use super::lock::LockError;
use super::version::Version;

mod hash;
mod json;
mod signatures;

pub(super) use hash::check_hash;
pub(super) use json::{DefinitionJson, VersionJson, version};

/// The longest ENR text, in bytes (charon's SSZ limit, as those that follow).
pub const ENR_BYTES_MAX: usize = 1024;
/// The longest `name`, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// The longest `uuid`, in bytes.
pub const UUID_BYTES_MAX: usize = 64;
/// The longest `version`, in bytes.
pub const VERSION_BYTES_MAX: usize = 16;
/// The longest `timestamp`, in bytes.
pub const TIMESTAMP_BYTES_MAX: usize = 32;
/// The longest `dkg_algorithm`, in bytes.
pub const DKG_ALGORITHM_BYTES_MAX: usize = 32;
/// The longest `consensus_protocol`, in bytes.
pub const CONSENSUS_PROTOCOL_BYTES_MAX: usize = 256;
/// The most deposits, and the most amounts of deposits.
pub const DEPOSITS_MAX: usize = 256;
/// The bytes of a signature of secp256k1 that its key can be recovered from: r ‖ s ‖ v.
pub const SIGNATURE_BYTES: usize = 65;
/// The most signatures of one operator (a Safe with several owners, from v1.11.0 on).
pub const SIGNATURES_MAX: usize = 32;

/// A cluster's definition. What its version does not have is empty, zero or false.
///
/// One that was read keeps the limits above. The hashes of one that does not cannot be computed:
/// that panics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The schema.
    pub version: Version,
    /// For people.
    pub name: String,
    /// Who proposed it.
    pub creator: Creator,
    /// Who is to take part, by index.
    pub operators: Vec<Operator>,
    /// It outlives edits.
    pub uuid: String,
    /// When it was made, in RFC 3339.
    pub timestamp: String,
    /// How many validators there are to be.
    pub num_validators: u64,
    /// How many operators must sign for a validator to sign.
    pub threshold: u64,
    /// Of each validator; up to v1.4.0 one for all.
    pub addresses: Vec<Addresses>,
    /// How the keys are made.
    pub dkg_algorithm: String,
    /// The chain: its fork version at genesis.
    pub fork_version: [u8; 4],
    /// What is to be deposited for each validator, in Gwei.
    pub deposit_amounts: Vec<u64>,
    /// How duties are agreed on.
    pub consensus_protocol: String,
    /// What builders are asked for.
    pub target_gas_limit: u64,
    /// Whether validators keep what they earn, up to 2048 ETH.
    pub compounding: bool,
    /// The hash of all but ENRs and signatures, as stored.
    pub config_hash: [u8; 32],
    /// The hash of everything, as stored, if it is.
    pub definition_hash: Option<[u8; 32]>,
}

/// Who proposed a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creator {
    /// Its account.
    pub address: Address,
    /// The account's signature over the config hash (EIP-712), or nothing.
    pub config_signature: Vec<u8>,
}

/// An operator as a definition has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operator {
    /// Its account.
    pub address: Address,
    /// Its ENR, in text; empty before it is known.
    pub enr: String,
    /// The account's signature over the config hash (EIP-712), or nothing.
    pub config_signature: Vec<u8>,
    /// The account's signature over the ENR (EIP-712), or nothing.
    pub enr_signature: Vec<u8>,
}

impl Operator {
    /// Whether it has neither account nor signature, as in every edited cluster.
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        self.address.is_empty() && self.config_signature.is_empty() && self.enr_signature.is_empty()
    }
}

/// Where a validator's money goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The fees.
    pub fee_recipient: Address,
    /// The stake.
    pub withdrawal: Address,
}

impl Definition {
    /// Reads a definition, whole, from its JSON.
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

    /// The addresses of this validator, if the definition has it.
    #[must_use]
    pub fn addresses_of(&self, validator: usize) -> Option<&Addresses> {
        match self.version < Version::V1_5 {
            true => self.addresses.first(),
            false => self.addresses.get(validator),
        }
    }
}
