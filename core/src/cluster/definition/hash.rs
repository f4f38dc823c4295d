//! What a definition's hashes cover, version by version.

use super::super::OPERATORS_MAX;
use super::super::address::Address;
use super::super::check::Check;
use super::super::json::Hex;
use super::super::shares::VALIDATORS_MAX;
use super::super::ssz::{self, Container, Root};
use super::super::version::Version;
use super::{
    CONSENSUS_PROTOCOL_BYTES_MAX, DEPOSITS_MAX, DKG_ALGORITHM_BYTES_MAX, Definition, ENR_BYTES_MAX,
    NAME_BYTES_MAX, Operator, SIGNATURE_BYTES, SIGNATURES_MAX, TIMESTAMP_BYTES_MAX, UUID_BYTES_MAX,
    VERSION_BYTES_MAX,
};

/// What is hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// What operators sign: no ENR, no signature.
    Config,
    /// All.
    Definition,
}

impl Definition {
    /// The config hash of its content: of all but ENRs and signatures.
    #[must_use]
    pub fn hash_config(&self) -> [u8; 32] {
        self.root(Scope::Config)
    }

    /// The definition hash of its content, the stored config hash among it (from v1.3.0 on).
    #[must_use]
    pub fn hash_definition(&self) -> [u8; 32] {
        self.root(Scope::Definition)
    }

    /// Stores the hashes of its content.
    pub fn set_hashes(&mut self) {
        self.config_hash = self.hash_config();
        self.definition_hash = Some(self.hash_definition());
    }

    /// Whether the stored hashes are those of the content.
    pub(in super::super) fn check_hashes(&self) -> [Check; 2] {
        [
            check_hash("config hash", &self.hash_config(), Some(&self.config_hash)),
            check_hash("definition hash", &self.hash_definition(), self.definition_hash.as_ref()),
        ]
    }

    fn root(&self, scope: Scope) -> Root {
        match self.version {
            version if version < Version::V1_3 => self.legacy_root(scope),
            version if version < Version::V1_5 => self.single_address_root(scope),
            _ => self.many_addresses_root(scope),
        }
    }

    /// v1.0.0 to v1.2.0: all as text.
    fn legacy_root(&self, scope: Scope) -> Root {
        let mut fields = Container::default();
        fields.bytes(self.uuid.as_bytes());
        fields.bytes(self.name.as_bytes());
        fields.bytes(self.version.to_string().as_bytes());
        fields.u64(self.num_validators);
        fields.u64(self.threshold);
        let addresses = self.addresses.first().copied().unwrap_or_default();
        fields.bytes(addresses.fee_recipient.as_str().as_bytes());
        fields.bytes(addresses.withdrawal.as_str().as_bytes());
        fields.bytes(self.dkg_algorithm.as_bytes());
        fields.bytes(Hex(&self.fork_version).to_string().as_bytes());
        let mut operators = Container::default();
        for operator in &self.operators {
            match scope {
                Scope::Config => operators.bytes(operator.address.as_str().as_bytes()),
                Scope::Definition => operators.root(self.legacy_operator(operator)),
            }
        }
        fields.root(operators.finish_list(self.operators.len()));
        if scope == Scope::Config || self.version != Version::V1_0 {
            fields.bytes(self.timestamp.as_bytes());
        }
        fields.finish()
    }

    fn legacy_operator(&self, operator: &Operator) -> Root {
        let mut fields = Container::default();
        fields.bytes(operator.address.as_str().as_bytes());
        fields.bytes(operator.enr.as_bytes());
        if self.version <= Version::V1_1 {
            fields.u64(0); // the nonce
        }
        fields.bytes(&operator.config_signature);
        fields.bytes(&operator.enr_signature);
        fields.finish()
    }

    /// What all versions from v1.3.0 on begin with.
    fn head(&self) -> Container {
        let mut fields = Container::default();
        fields.byte_list(self.uuid.as_bytes(), UUID_BYTES_MAX);
        fields.byte_list(self.name.as_bytes(), NAME_BYTES_MAX);
        fields.byte_list(self.version.to_string().as_bytes(), VERSION_BYTES_MAX);
        fields.byte_list(self.timestamp.as_bytes(), TIMESTAMP_BYTES_MAX);
        fields.u64(self.num_validators);
        fields.u64(self.threshold);
        fields
    }

    /// v1.3.0 and v1.4.0.
    fn single_address_root(&self, scope: Scope) -> Root {
        let mut fields = self.head();
        let addresses = self.addresses.first().copied().unwrap_or_default();
        fields.bytes(&bytes(&addresses.fee_recipient));
        fields.bytes(&bytes(&addresses.withdrawal));
        fields.byte_list(self.dkg_algorithm.as_bytes(), DKG_ALGORITHM_BYTES_MAX);
        fields.bytes(&self.fork_version);
        fields.root(self.operators_root(scope));
        if self.version == Version::V1_4 {
            fields.root(self.creator_root(scope));
        }
        if scope == Scope::Definition {
            fields.bytes(&self.config_hash);
        }
        fields.finish()
    }

    /// From v1.5.0 on.
    fn many_addresses_root(&self, scope: Scope) -> Root {
        let mut fields = self.head();
        fields.byte_list(self.dkg_algorithm.as_bytes(), DKG_ALGORITHM_BYTES_MAX);
        fields.fixed::<4>(&self.fork_version);
        fields.root(self.operators_root(scope));
        fields.root(self.creator_root(scope));
        let addresses = self.addresses.iter().map(|it| {
            let mut fields = Container::default();
            fields.fixed::<20>(&bytes(&it.fee_recipient));
            fields.fixed::<20>(&bytes(&it.withdrawal));
            fields.finish()
        });
        fields.root(ssz::list(addresses.collect(), VALIDATORS_MAX));
        if self.version >= Version::V1_8 {
            fields.root(ssz::u64_list(&self.deposit_amounts, DEPOSITS_MAX));
        }
        if self.version >= Version::V1_9 {
            fields.byte_list(self.consensus_protocol.as_bytes(), CONSENSUS_PROTOCOL_BYTES_MAX);
        }
        if self.version >= Version::V1_10 {
            fields.u64(self.target_gas_limit);
            fields.bool(self.compounding);
        }
        if scope == Scope::Definition {
            fields.bytes(&self.config_hash);
        }
        fields.finish()
    }

    fn operators_root(&self, scope: Scope) -> Root {
        let operators = self.operators.iter().map(|operator| {
            let mut fields = Container::default();
            self.address(&mut fields, &operator.address);
            if scope == Scope::Definition {
                fields.byte_list(operator.enr.as_bytes(), ENR_BYTES_MAX);
                self.signature(&mut fields, &operator.config_signature);
                self.signature(&mut fields, &operator.enr_signature);
            }
            fields.finish()
        });
        ssz::list(operators.collect(), OPERATORS_MAX)
    }

    fn creator_root(&self, scope: Scope) -> Root {
        let mut fields = Container::default();
        self.address(&mut fields, &self.creator.address);
        if scope == Scope::Definition {
            self.signature(&mut fields, &self.creator.config_signature);
        }
        fields.finish()
    }

    fn address(&self, fields: &mut Container, address: &Address) {
        match self.version < Version::V1_5 {
            true => fields.bytes(&bytes(address)),
            false => fields.fixed::<20>(&bytes(address)),
        }
    }

    fn signature(&self, fields: &mut Container, signature: &[u8]) {
        match self.version {
            version if version < Version::V1_5 => fields.bytes(signature),
            version if version < Version::V1_11 => fields.fixed::<SIGNATURE_BYTES>(signature),
            _ => {
                let (signatures, rest) = signature.as_chunks::<SIGNATURE_BYTES>();
                assert!(rest.is_empty(), "a whole number of signatures");
                let root = |signature: &[u8; SIGNATURE_BYTES]| {
                    let mut field = Container::default();
                    field.bytes(signature);
                    field.finish()
                };
                fields.root(ssz::list(signatures.iter().map(root).collect(), SIGNATURES_MAX));
            }
        }
    }
}

/// The 20 bytes, or none.
fn bytes(address: &Address) -> Vec<u8> {
    address.bytes().map_or_else(Vec::new, Vec::from)
}

/// Whether a stored hash is that of the content.
pub(in super::super) fn check_hash(name: &str, of: &Root, stored: Option<&Root>) -> Check {
    match stored {
        Some(stored) if stored == of => Check::passed(name),
        Some(stored) => {
            let (of, stored) = (Hex(of), Hex(stored));
            Check::failed(name, format!("expected {of}, that of the content, found {stored}"))
        }
        None => {
            Check::failed(name, format!("expected {}, that of the content, found none", Hex(of)))
        }
    }
}
