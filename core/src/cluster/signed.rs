//! What a validator signs beside its duties, and how Ethereum's consensus layer has it signed.

use sha2::{Digest, Sha256};

use super::address::Address;
use super::ssz::{Container, Root};

/// What kind of thing is signed (builder and consensus specifications).
const APPLICATION_BUILDER: [u8; 4] = [0, 0, 0, 1];
const DEPOSIT: [u8; 4] = [3, 0, 0, 0];

/// A deposit of a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// The validator's key.
    pub public_key: [u8; 48],
    /// Who may withdraw.
    pub withdrawal_credentials: [u8; 32],
    /// Gwei.
    pub amount: u64,
    /// The validator's signature.
    pub signature: [u8; 96],
}

impl Deposit {
    /// What stands for none in hashes.
    pub(super) const NONE: Self = Self {
        public_key: [0; 48],
        withdrawal_credentials: [0; 32],
        amount: 0,
        signature: [0; 96],
    };

    /// What the validator signs, on the chain with this fork version at genesis (`DepositMessage`).
    #[must_use]
    pub fn signing_root(&self, fork_version: [u8; 4]) -> [u8; 32] {
        signing_root(self.message().finish(), DEPOSIT, fork_version)
    }

    /// The root with the signature (`DepositData`).
    pub(super) fn root(&self) -> Root {
        let mut fields = self.message();
        fields.fixed::<96>(&self.signature);
        fields.finish()
    }

    fn message(&self) -> Container {
        let mut fields = Container::default();
        fields.fixed::<48>(&self.public_key);
        fields.fixed::<32>(&self.withdrawal_credentials);
        fields.u64(self.amount);
        fields
    }
}

/// What a validator asks of builders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Who gets the fees.
    pub fee_recipient: Address,
    /// The gas limit.
    pub gas_limit: u64,
    /// When, in seconds since 1970.
    pub timestamp: u64,
    /// The validator's key.
    pub public_key: [u8; 48],
    /// The validator's signature.
    pub signature: [u8; 96],
}

impl Registration {
    /// What the validator signs, on the chain with this fork version at genesis
    /// (`ValidatorRegistrationV1`).
    #[must_use]
    pub fn signing_root(&self, fork_version: [u8; 4]) -> [u8; 32] {
        signing_root(self.message_root(), APPLICATION_BUILDER, fork_version)
    }

    /// The root with the signature.
    pub(super) fn root(&self) -> Root {
        let mut fields = Container::default();
        fields.root(self.message_root());
        fields.fixed::<96>(&self.signature);
        fields.finish()
    }

    fn message_root(&self) -> Root {
        let mut fields = Container::default();
        fields.bytes(self.fee_recipient.bytes().as_ref().map_or(&[], <[u8; 20]>::as_slice));
        fields.u64(self.gas_limit);
        fields.u64(self.timestamp);
        fields.fixed::<48>(&self.public_key);
        fields.finish()
    }
}

/// `compute_signing_root` in the domain of this kind at genesis (consensus specifications, phase 0).
fn signing_root(object: Root, kind: [u8; 4], fork_version: [u8; 4]) -> [u8; 32] {
    let mut fork = Container::default();
    fork.bytes(&fork_version);
    fork.root([0; 32]); // no genesis yet, no root of its validators
    let fork = fork.finish();
    let hash = Sha256::new().chain_update(object).chain_update(kind);
    hash.chain_update(&fork[..28]).finalize().into()
}
