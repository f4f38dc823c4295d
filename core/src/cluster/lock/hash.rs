//! What the lock hash covers, version by version.

use super::super::OPERATORS_MAX;
use super::super::definition::DEPOSITS_MAX;
use super::super::json::Hex;
use super::super::shares::{VALIDATORS_MAX, Validator};
use super::super::signed::Deposit;
use super::super::ssz::{self, Container, Root};
use super::super::version::Version;
use super::{Lock, Papers};

impl Lock {
    /// The lock hash of its content: of all but the signatures over it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        assert_eq!(self.validators.len(), self.papers.len(), "papers for each validator");
        let mut fields = Container::default();
        fields.root(self.definition.hash_definition());
        if self.definition.version < Version::V1_3 {
            fields.root(self.legacy_validators());
            return fields.finish();
        }
        let validators = self.validators.iter().zip(&self.papers);
        let validators = validators.map(|(validator, papers)| self.validator(validator, papers));
        fields.root(ssz::list(validators.collect(), VALIDATORS_MAX));
        fields.finish()
    }

    /// Stores the hashes of its content, those of the definition too.
    pub fn set_hashes(&mut self) {
        self.definition.set_hashes();
        self.lock_hash = self.hash();
    }

    fn legacy_validators(&self) -> Root {
        let mut validators = Container::default();
        for validator in &self.validators {
            let mut fields = Container::default();
            fields.bytes(Hex(&validator.public_key).to_string().as_bytes());
            let mut shares = Container::default();
            validator.shares.iter().for_each(|share| shares.bytes(share));
            fields.root(shares.finish_list(validator.shares.len()));
            validators.root(fields.finish());
        }
        validators.finish_list(self.validators.len())
    }

    fn validator(&self, validator: &Validator, papers: &Papers) -> Root {
        let mut fields = Container::default();
        fields.bytes(&validator.public_key);
        let shares = validator.shares.iter().map(|share| {
            let mut field = Container::default();
            field.bytes(share);
            field.finish()
        });
        fields.root(ssz::list(shares.collect(), OPERATORS_MAX));
        self.papers(&mut fields, papers);
        fields.finish()
    }

    fn papers(&self, fields: &mut Container, papers: &Papers) {
        let deposit = papers.deposits.first().unwrap_or(&Deposit::NONE);
        match self.definition.version {
            version if version < Version::V1_6 => (),
            Version::V1_6 => {
                // Without a container of its own: charon's slip, which has to stay.
                fields.fixed::<48>(&deposit.public_key);
                fields.fixed::<32>(&deposit.withdrawal_credentials);
                fields.u64(deposit.amount);
                fields.fixed::<96>(&deposit.signature);
            }
            Version::V1_7 => fields.root(deposit.root()),
            _ => {
                let deposits = papers.deposits.iter().map(Deposit::root);
                fields.root(ssz::list(deposits.collect(), DEPOSITS_MAX));
            }
        }
        if self.definition.version >= Version::V1_7 {
            let registration = papers.registration.as_ref();
            fields.root(registration.expect("each validator has one from v1.7.0 on").root());
        }
    }
}
