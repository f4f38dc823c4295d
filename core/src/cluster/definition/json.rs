//! A definition in JSON, all versions in one: in the order in which charon writes its fields.

use serde::{Deserialize, Serialize};

use super::super::OPERATORS_MAX;
use super::super::address::Address;
use super::super::json::{
    self, Blob, Decimal, Encoding, Fixed, InBase64, InHex, List, Object, Text, Whole,
};
use super::super::lock::LockError;
use super::super::shares::VALIDATORS_MAX;
use super::super::version::Version;
use super::{
    Addresses, CONSENSUS_PROTOCOL_BYTES_MAX, Creator, DEPOSITS_MAX, DKG_ALGORITHM_BYTES_MAX,
    Definition, ENR_BYTES_MAX, NAME_BYTES_MAX, Operator, SIGNATURE_BYTES, SIGNATURES_MAX,
    TIMESTAMP_BYTES_MAX, UUID_BYTES_MAX,
};

/// Gwei in an ETH.
const ETH: u64 = 1_000_000_000;

/// What is put before the version in a message is enough to recognise it by.
const VERSION_TEXT_MAX: usize = 1 << 10;

pub(super) fn read(json: &[u8]) -> Result<Definition, LockError> {
    match version(&json::read::<VersionJson>(json)?, "")? < Version::V1_2 {
        true => json::read::<DefinitionJson<InBase64>>(json)?.into_definition(""),
        false => json::read::<DefinitionJson<InHex>>(json)?.into_definition(""),
    }
}

pub(super) fn write(definition: &Definition) -> Vec<u8> {
    match definition.version < Version::V1_2 {
        true => json::write(&DefinitionJson::<InBase64>::new(definition)),
        false => json::write(&DefinitionJson::<InHex>::new(definition)),
    }
}

/// All that must be known before the rest can be read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct VersionJson {
    version: Option<Text<VERSION_TEXT_MAX>>,
}

/// The version; `at` is the path of the definition.
pub(in super::super) fn version(file: &VersionJson, at: &str) -> Result<Version, LockError> {
    let name = file.version.as_ref().map_or("", |text| &text.0);
    match Version::from_name(name) {
        Some(version) => Ok(version),
        None if name.is_empty() => Err(LockError::Missing(format!("{at}version"))),
        None => Err(LockError::Version { field: format!("{at}version"), version: name.into() }),
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, bound = "E: Encoding")]
pub(in super::super) struct DefinitionJson<E> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Text<NAME_BYTES_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<Object<CreatorJson<E>>>,
    operators: List<Object<OperatorJson<E>>, OPERATORS_MAX>,
    uuid: Option<Text<UUID_BYTES_MAX>>,
    version: Option<Text<VERSION_TEXT_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Text<TIMESTAMP_BYTES_MAX>>,
    num_validators: Option<Whole>,
    threshold: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_recipient_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawal_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validators: Option<List<Object<AddressesJson>, VALIDATORS_MAX>>,
    dkg_algorithm: Option<Text<DKG_ALGORITHM_BYTES_MAX>>,
    fork_version: Option<Fixed<InHex, 4>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_amounts: Option<List<Decimal, DEPOSITS_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consensus_protocol: Option<Text<CONSENSUS_PROTOCOL_BYTES_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_gas_limit: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compounding: Option<bool>,
    config_hash: Option<Fixed<E, 32>>,
    definition_hash: Option<Blob<E, 32>>,
}

// Derived, it would ask for `E: Default`.
impl<E> Default for DefinitionJson<E> {
    fn default() -> Self {
        Self {
            name: None,
            creator: None,
            operators: List::default(),
            uuid: None,
            version: None,
            timestamp: None,
            num_validators: None,
            threshold: None,
            fee_recipient_address: None,
            withdrawal_address: None,
            validators: None,
            dkg_algorithm: None,
            fork_version: None,
            deposit_amounts: None,
            consensus_protocol: None,
            target_gas_limit: None,
            compounding: None,
            config_hash: None,
            definition_hash: None,
        }
    }
}

/// As many signatures as an operator can have.
type SignatureJson<E> = Blob<E, { SIGNATURE_BYTES * SIGNATURES_MAX }>;

#[derive(Debug, Deserialize, Serialize)]
#[serde(bound = "E: Encoding")]
struct CreatorJson<E> {
    address: Option<Address>,
    config_signature: Option<SignatureJson<E>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(bound = "E: Encoding")]
struct OperatorJson<E> {
    address: Option<Address>,
    enr: Option<Text<ENR_BYTES_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<Whole>,
    config_signature: Option<SignatureJson<E>>,
    enr_signature: Option<SignatureJson<E>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct AddressesJson {
    fee_recipient_address: Option<Address>,
    withdrawal_address: Option<Address>,
}

impl<E> DefinitionJson<E> {
    /// The definition at this path of the file.
    pub(in super::super) fn into_definition(self, at: &str) -> Result<Definition, LockError> {
        let missing = |field: &str| LockError::Missing(format!("{at}{field}"));
        let file_version = VersionJson { version: self.version };
        let version = version(&file_version, at)?;
        let since = |first| version >= first;
        let num_validators = self.num_validators.ok_or_else(|| missing("num_validators"))?.0;
        let creator = self.creator.filter(|_| since(Version::V1_3));
        let operators = self.operators.0.into_iter().enumerate();
        let operators = operators.map(|(index, Object(operator))| {
            operator.into_operator(version, &format!("{at}operators[{index}]."))
        });
        let addresses = match since(Version::V1_5) {
            false => vec![Addresses {
                fee_recipient: self.fee_recipient_address.unwrap_or_default(),
                withdrawal: self.withdrawal_address.unwrap_or_default(),
            }],
            true => {
                let entries = self.validators.unwrap_or_default().0;
                entries.into_iter().map(|Object(it)| it.into_addresses()).collect()
            }
        };
        let amounts = self.deposit_amounts.filter(|_| since(Version::V1_8)).unwrap_or_default();
        let protocol = self.consensus_protocol.filter(|_| since(Version::V1_9));
        let gas_limit = self.target_gas_limit.filter(|_| since(Version::V1_10));
        let uuid = self.uuid.map_or_else(String::new, |text| text.0);
        let definition = Definition {
            version,
            name: self.name.map_or_else(String::new, |text| text.0),
            creator: match creator {
                Some(Object(creator)) => creator.into_creator(version, &format!("{at}creator."))?,
                None => Creator::default(),
            },
            operators: operators.collect::<Result<_, _>>()?,
            uuid: (!uuid.is_empty()).then_some(uuid).ok_or_else(|| missing("uuid"))?,
            timestamp: self.timestamp.map_or_else(String::new, |text| text.0),
            num_validators,
            threshold: self.threshold.ok_or_else(|| missing("threshold"))?.0,
            addresses,
            dkg_algorithm: self.dkg_algorithm.map_or_else(String::new, |text| text.0),
            fork_version: self.fork_version.ok_or_else(|| missing("fork_version"))?.0,
            deposit_amounts: amounts.0.into_iter().map(|amount| amount.0).collect(),
            consensus_protocol: protocol.map_or_else(String::new, |text| text.0),
            target_gas_limit: gas_limit.map_or(0, |number| number.0),
            compounding: self.compounding.unwrap_or_default() && since(Version::V1_10),
            config_hash: self.config_hash.ok_or_else(|| missing("config_hash"))?.0,
            definition_hash: hash(self.definition_hash, &format!("{at}definition_hash"))?,
        };
        definition.check_counts(at)?;
        definition.check_amounts(at)?;
        Ok(definition)
    }

    /// The definition as its version writes it.
    pub(in super::super) fn new(definition: &Definition) -> Self {
        let version = definition.version;
        let since = |first| version >= first;
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let one = definition.addresses.first().filter(|_| version <= Version::V1_4);
        let given = |address: Option<&Address>| address.filter(|it| !it.is_empty()).copied();
        let entries = definition.addresses.iter().map(|it| Object(AddressesJson::new(it)));
        let amounts = definition.deposit_amounts.iter().map(|amount| Decimal(*amount));
        let operators = definition.operators.iter();
        let operators = operators.map(|operator| Object(OperatorJson::new(operator, version)));
        let creator = || Object(CreatorJson::new(&definition.creator));
        Self {
            name: set(&definition.name).map(Text),
            creator: since(Version::V1_4).then(creator),
            operators: List(operators.collect()),
            uuid: Some(Text(definition.uuid.clone())),
            version: Some(Text(version.to_string())),
            timestamp: set(&definition.timestamp).map(Text),
            num_validators: Some(Whole(definition.num_validators)),
            threshold: Some(Whole(definition.threshold)),
            fee_recipient_address: given(one.map(|it| &it.fee_recipient)),
            withdrawal_address: given(one.map(|it| &it.withdrawal)),
            validators: since(Version::V1_5).then(|| List(entries.collect())),
            dkg_algorithm: Some(Text(definition.dkg_algorithm.clone())),
            fork_version: Some(Fixed::new(definition.fork_version)),
            deposit_amounts: since(Version::V1_8).then(|| List(amounts.collect())),
            consensus_protocol: since(Version::V1_9)
                .then(|| Text(definition.consensus_protocol.clone())),
            target_gas_limit: since(Version::V1_10).then_some(Whole(definition.target_gas_limit)),
            compounding: since(Version::V1_10).then_some(definition.compounding),
            config_hash: Some(Fixed::new(definition.config_hash)),
            definition_hash: Some(Blob::new(
                definition.definition_hash.map_or_else(Vec::new, Vec::from),
            )),
        }
    }
}

/// A hash that may be absent or empty.
fn hash<E>(hash: Option<Blob<E, 32>>, field: &str) -> Result<Option<[u8; 32]>, LockError> {
    match hash.map_or_else(Vec::new, |hash| hash.0) {
        none if none.is_empty() => Ok(None),
        hash => match <[u8; 32]>::try_from(hash) {
            Ok(hash) => Ok(Some(hash)),
            Err(hash) => {
                let why = format!("expected 32 bytes, found {}", hash.len());
                Err(LockError::Field { field: field.into(), why })
            }
        },
    }
}

fn signature<E>(
    signature: Option<SignatureJson<E>>,
    version: Version,
    field: String,
) -> Result<Vec<u8>, LockError> {
    let bytes = signature.map_or_else(Vec::new, |signature| signature.0);
    let is_possible = match version < Version::V1_11 {
        true => bytes.len() <= SIGNATURE_BYTES,
        false => bytes.len().is_multiple_of(SIGNATURE_BYTES),
    };
    if is_possible {
        return Ok(bytes);
    }
    let why = format!("expected {SIGNATURE_BYTES} bytes, found {}", bytes.len());
    Err(LockError::Field { field, why })
}

impl<E> CreatorJson<E> {
    fn into_creator(self, version: Version, at: &str) -> Result<Creator, LockError> {
        let signature = signature(self.config_signature, version, format!("{at}config_signature"))?;
        let creator =
            Creator { address: self.address.unwrap_or_default(), config_signature: signature };
        if version == Version::V1_3 && creator != Creator::default() {
            let why = format!("expected none in {version}, found {}", creator.address);
            return Err(LockError::Field { field: at.trim_end_matches('.').into(), why });
        }
        Ok(creator)
    }

    fn new(creator: &Creator) -> Self {
        Self {
            address: Some(creator.address),
            config_signature: Some(Blob::new(creator.config_signature.clone())),
        }
    }
}

impl<E> OperatorJson<E> {
    fn into_operator(self, version: Version, at: &str) -> Result<Operator, LockError> {
        let nonce = self.nonce.map_or(0, |number| number.0);
        if nonce != 0 && version <= Version::V1_1 {
            let why = format!("expected 0, found {nonce}");
            return Err(LockError::Field { field: format!("{at}nonce"), why });
        }
        let signature = |it, field| signature(it, version, format!("{at}{field}"));
        Ok(Operator {
            address: self.address.unwrap_or_default(),
            enr: self.enr.map_or_else(String::new, |text| text.0),
            config_signature: signature(self.config_signature, "config_signature")?,
            enr_signature: signature(self.enr_signature, "enr_signature")?,
        })
    }

    fn new(operator: &Operator, version: Version) -> Self {
        Self {
            address: Some(operator.address),
            enr: Some(Text(operator.enr.clone())),
            nonce: (version <= Version::V1_1).then_some(Whole(0)),
            config_signature: Some(Blob::new(operator.config_signature.clone())),
            enr_signature: Some(Blob::new(operator.enr_signature.clone())),
        }
    }
}

impl AddressesJson {
    fn into_addresses(self) -> Addresses {
        Addresses {
            fee_recipient: self.fee_recipient_address.unwrap_or_default(),
            withdrawal: self.withdrawal_address.unwrap_or_default(),
        }
    }

    fn new(addresses: &Addresses) -> Self {
        Self {
            fee_recipient_address: Some(addresses.fee_recipient),
            withdrawal_address: Some(addresses.withdrawal),
        }
    }
}

impl Definition {
    fn check_counts(&self, at: &str) -> Result<(), LockError> {
        let (announced, found) = (self.num_validators, self.addresses.len());
        let (field, why) = if announced > VALIDATORS_MAX as u64 {
            ("num_validators", format!("expected at most {VALIDATORS_MAX}, found {announced}"))
        } else if self.version >= Version::V1_5 && announced != found as u64 {
            let why =
                format!("expected {announced} entries, as num_validators says, found {found}");
            ("validators", why)
        } else {
            return Ok(());
        };
        Err(LockError::Field { field: format!("{at}{field}"), why })
    }

    fn check_amounts(&self, at: &str) -> Result<(), LockError> {
        let most = if self.compounding { 2048 * ETH } else { 32 * ETH };
        let amounts = self.deposit_amounts.iter().enumerate();
        for (index, amount) in amounts {
            if !(ETH..=most).contains(amount) {
                let field = format!("{at}deposit_amounts[{index}]");
                let why = format!("expected {ETH} to {most} Gwei, found {amount}");
                return Err(LockError::Field { field, why });
            }
        }
        let sum: u64 = self.deposit_amounts.iter().sum(); // at most 256 × 2048 ETH
        if sum < 32 * ETH && !self.deposit_amounts.is_empty() {
            let why = format!("expected {} Gwei or more in all, found {sum}", 32 * ETH);
            return Err(LockError::Field { field: format!("{at}deposit_amounts"), why });
        }
        Ok(())
    }
}
