//! A lock in JSON, all versions in one: in the order in which charon writes its fields.

use serde::{Deserialize, Serialize};

use super::super::OPERATORS_MAX;
use super::super::address::Address;
use super::super::definition::{
    DEPOSITS_MAX, DefinitionJson, SIGNATURE_BYTES, VersionJson, version,
};
use super::super::json::{
    self, Blob, Decimal, Encoding, Fixed, InBase64, InHex, List, Object, Whole, Zeroed,
};
use super::super::shares::{VALIDATORS_MAX, Validator};
use super::super::signed::{Deposit, Registration};
use super::super::version::Version;
use super::{Lock, LockError, Papers};

/// Where the definition is.
const DEFINITION: &str = "cluster_definition.";

pub(super) fn read(json: &[u8]) -> Result<Lock, LockError> {
    let Some(Object(definition)) = json::read::<LockVersionJson>(json)?.cluster_definition else {
        return Err(LockError::Missing("cluster_definition".into()));
    };
    match version(&definition, DEFINITION)? < Version::V1_2 {
        true => json::read::<LockJson<InBase64>>(json)?.into_lock(),
        false => json::read::<LockJson<InHex>>(json)?.into_lock(),
    }
}

pub(super) fn write(lock: &Lock) -> Vec<u8> {
    match lock.definition.version < Version::V1_2 {
        true => json::write(&LockJson::<InBase64>::new(lock)),
        false => json::write(&LockJson::<InHex>::new(lock)),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LockVersionJson {
    cluster_definition: Option<Object<VersionJson>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(bound = "E: Encoding")]
struct LockJson<E> {
    cluster_definition: Object<DefinitionJson<E>>,
    #[serde(default)]
    distributed_validators: List<Object<ValidatorJson<E>>, VALIDATORS_MAX>,
    signature_aggregate: Option<Blob<E, 96>>,
    lock_hash: Option<Fixed<E, 32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_signatures: Option<List<Blob<InHex, SIGNATURE_BYTES>, OPERATORS_MAX>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(bound = "E: Encoding")]
struct ValidatorJson<E> {
    /// In hex even where all else is base64.
    distributed_public_key: Option<Fixed<InHex, 48>>,
    #[serde(default)]
    public_shares: List<Fixed<E, 48>, OPERATORS_MAX>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_recipient_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_data: Option<Object<DepositJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    builder_registration: Option<Object<RegistrationJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_deposit_data: Option<List<Object<DepositJson>, DEPOSITS_MAX>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct DepositJson {
    pubkey: Zeroed<InHex, 48>,
    withdrawal_credentials: Zeroed<InHex, 32>,
    amount: Decimal,
    signature: Zeroed<InHex, 96>,
}

#[derive(Debug, Deserialize, Serialize)]
struct RegistrationJson {
    message: Object<MessageJson>,
    signature: Zeroed<InHex, 96>,
}

#[derive(Debug, Deserialize, Serialize)]
struct MessageJson {
    fee_recipient: Address,
    gas_limit: Whole,
    timestamp: Whole,
    pubkey: Zeroed<InHex, 48>,
}

impl<E> LockJson<E> {
    fn into_lock(self) -> Result<Lock, LockError> {
        let definition = self.cluster_definition.0.into_definition(DEFINITION)?;
        let version = definition.version;
        let entries = self.distributed_validators.0;
        let mut validators = Vec::with_capacity(entries.len());
        let mut papers = Vec::with_capacity(entries.len());
        for (index, Object(entry)) in entries.into_iter().enumerate() {
            let at = format!("distributed_validators[{index}].");
            let (keys, signed) = entry.into_validator(version, &at)?;
            validators.push(keys);
            papers.push(signed);
        }
        let node_signatures = self.node_signatures.filter(|_| version >= Version::V1_7);
        let node_signatures = node_signatures.unwrap_or_default().0;
        Ok(Lock {
            definition,
            validators,
            papers,
            signature_aggregate: self.signature_aggregate.map_or_else(Vec::new, |blob| blob.0),
            lock_hash: self.lock_hash.ok_or_else(|| LockError::Missing("lock_hash".into()))?.0,
            node_signatures: node_signatures.into_iter().map(|blob| blob.0).collect(),
        })
    }

    fn new(lock: &Lock) -> Self {
        let version = lock.definition.version;
        let entries = lock.validators.iter().zip(&lock.papers);
        let entries = entries.map(|(keys, papers)| ValidatorJson::new(keys, papers, version));
        let signatures = lock.node_signatures.iter().map(|signature| Blob::new(signature.clone()));
        Self {
            cluster_definition: Object(DefinitionJson::new(&lock.definition)),
            distributed_validators: List(entries.map(Object).collect()),
            signature_aggregate: Some(Blob::new(lock.signature_aggregate.clone())),
            lock_hash: Some(Fixed::new(lock.lock_hash)),
            node_signatures: (version >= Version::V1_7).then(|| List(signatures.collect())),
        }
    }
}

impl<E> ValidatorJson<E> {
    fn into_validator(self, version: Version, at: &str) -> Result<(Validator, Papers), LockError> {
        let missing = |field: &str| LockError::Missing(format!("{at}{field}"));
        let fee_recipient = self.fee_recipient_address.filter(|_| version <= Version::V1_5);
        if let Some(address) = fee_recipient.filter(|it| !it.is_empty()) {
            let why = format!("expected nothing, found {address}");
            return Err(LockError::Field { field: format!("{at}fee_recipient_address"), why });
        }
        let public_key = self.distributed_public_key;
        let public_key = public_key.ok_or_else(|| missing("distributed_public_key"))?.0;
        let shares = self.public_shares.0.into_iter().map(|share| share.0).collect();
        let deposits = if version >= Version::V1_8 {
            self.partial_deposit_data.unwrap_or_default().0
        } else {
            let single = self.deposit_data.filter(|_| version >= Version::V1_6);
            single.into_iter().collect()
        };
        let registration = match version >= Version::V1_7 {
            true => Some(self.builder_registration.ok_or_else(|| missing("builder_registration"))?),
            false => None,
        };
        let papers = Papers {
            deposits: deposits.into_iter().map(|Object(deposit)| deposit.into_deposit()).collect(),
            registration: registration.map(|Object(it)| it.into_registration()),
        };
        Ok((Validator { public_key, shares }, papers))
    }

    fn new(keys: &Validator, papers: &Papers, version: Version) -> Self {
        let deposits = papers.deposits.iter().map(|deposit| Object(DepositJson::new(deposit)));
        let single = deposits.clone().next().filter(|_| version < Version::V1_8);
        let has_several = version >= Version::V1_8 && !papers.deposits.is_empty();
        let registration = papers.registration.as_ref().map(RegistrationJson::new);
        Self {
            distributed_public_key: Some(Fixed::new(keys.public_key)),
            public_shares: List(keys.shares.iter().map(|share| Fixed::new(*share)).collect()),
            fee_recipient_address: None,
            deposit_data: single,
            builder_registration: registration.map(Object),
            partial_deposit_data: has_several.then(|| List(deposits.collect())),
        }
    }
}

impl DepositJson {
    fn into_deposit(self) -> Deposit {
        Deposit {
            public_key: self.pubkey.0,
            withdrawal_credentials: self.withdrawal_credentials.0,
            amount: self.amount.0,
            signature: self.signature.0,
        }
    }

    fn new(deposit: &Deposit) -> Self {
        Self {
            pubkey: Zeroed::new(deposit.public_key),
            withdrawal_credentials: Zeroed::new(deposit.withdrawal_credentials),
            amount: Decimal(deposit.amount),
            signature: Zeroed::new(deposit.signature),
        }
    }
}

impl RegistrationJson {
    fn into_registration(self) -> Registration {
        let Object(message) = self.message;
        Registration {
            fee_recipient: message.fee_recipient,
            gas_limit: message.gas_limit.0,
            timestamp: message.timestamp.0,
            public_key: message.pubkey.0,
            signature: self.signature.0,
        }
    }

    fn new(registration: &Registration) -> Self {
        let message = MessageJson {
            fee_recipient: registration.fee_recipient,
            gas_limit: Whole(registration.gas_limit),
            timestamp: Whole(registration.timestamp),
            pubkey: Zeroed::new(registration.public_key),
        };
        Self { message: Object(message), signature: Zeroed::new(registration.signature) }
    }
}
