//! Locks that we make ourselves, signed by everybody who has to.

use stayfound_core::cluster::address::Address;
use stayfound_core::cluster::definition::{Addresses, Creator, Definition, Operator};
use stayfound_core::cluster::eip712::{Message, chain_id, signer};
use stayfound_core::cluster::lock::{Lock, Papers};
use stayfound_core::cluster::shares::Validator;
use stayfound_core::cluster::signed::{Deposit, Registration};
use stayfound_core::cluster::version::Version;
use stayfound_core::keys;
use stayfound_core::keys::bls::{Domain, SecretKey, SignatureSum};
use stayfound_core::record::{Endpoints, Signed};

pub const OPERATORS: usize = 4;
pub const THRESHOLD: usize = 3;
const HOODI: [u8; 4] = [0x10, 0, 0x09, 0x10];
pub const VERSIONS: [Version; 10] = [
    Version::V1_2,
    Version::V1_3,
    Version::V1_4,
    Version::V1_5,
    Version::V1_6,
    Version::V1_7,
    Version::V1_8,
    Version::V1_9,
    Version::V1_10,
    Version::V1_11,
];

fn node_key(operator: usize) -> keys::SecretKey {
    keys::SecretKey::from_bytes(&[operator as u8 + 1; 32]).expect("a scalar")
}

/// The key of an account: operators' from 0 on.
fn account(number: usize) -> keys::SecretKey {
    keys::SecretKey::from_bytes(&[number as u8 + 0x40; 32]).expect("a scalar")
}

pub fn address(number: usize) -> Address {
    let key = account(number);
    let by = signer(&[1; 32], &key.sign_recoverable(&[1; 32])).expect("its own signature");
    Address::from_bytes(&by)
}

fn coefficients(validator: usize) -> Vec<SecretKey> {
    let coefficient = |at| {
        let mut bytes = [at as u8 + 1; 32];
        bytes[24..].copy_from_slice(&(validator as u64).to_be_bytes());
        SecretKey::from_bytes(&bytes).expect("a scalar")
    };
    (0..THRESHOLD).map(coefficient).collect()
}

/// A lock of this version on which everybody agrees.
pub fn lock(version: Version, validators: usize) -> Lock {
    let mut lock = Lock {
        definition: definition(version, validators),
        validators: Vec::new(),
        papers: Vec::new(),
        signature_aggregate: Vec::new(),
        lock_hash: [0; 32],
        node_signatures: Vec::new(),
    };
    for index in 0..validators {
        let shares = SecretKey::split(&coefficients(index), OPERATORS).expect("none is zero");
        let secret = &coefficients(index)[0];
        let public_key = secret.public_key().to_bytes();
        let shares = shares.iter().map(|share| share.public_key().to_bytes()).collect();
        lock.validators.push(Validator { public_key, shares });
        lock.papers.push(papers(version, secret, index));
    }
    resign(&mut lock);
    lock
}

fn definition(version: Version, validators: usize) -> Definition {
    let addresses = Addresses { fee_recipient: address(20), withdrawal: address(21) };
    let single = version < Version::V1_5;
    let is_signed = version >= Version::V1_3;
    let operator = |index| Operator {
        address: if is_signed { address(index) } else { Address::default() },
        enr: Signed::sign(&node_key(index), 0, &Endpoints::default()).to_text(),
        ..Operator::default()
    };
    let has_creator = version >= Version::V1_4;
    let mut definition = Definition {
        version,
        name: "ours".into(),
        creator: Creator {
            address: if has_creator { address(9) } else { Address::default() },
            ..Creator::default()
        },
        operators: (0..OPERATORS).map(operator).collect(),
        uuid: "4FC27735-C7AE-479D-B1EE-F3F570F8790A".into(),
        timestamp: "2026-01-01T00:00:00Z".into(),
        num_validators: validators as u64,
        threshold: THRESHOLD as u64,
        addresses: vec![addresses; if single { 1 } else { validators }],
        dkg_algorithm: "default".into(),
        fork_version: HOODI,
        deposit_amounts: if version < Version::V1_8 { vec![] } else { vec![32_000_000_000] },
        consensus_protocol: if version < Version::V1_9 { "" } else { "qbft" }.into(),
        target_gas_limit: if version < Version::V1_10 { 0 } else { 36_000_000 },
        compounding: false,
        config_hash: [0; 32],
        definition_hash: None,
    };
    definition.config_hash = definition.hash_config();
    if is_signed {
        sign_definition(&mut definition);
    }
    definition
}

pub fn sign_definition(definition: &mut Definition) {
    let chain = chain_id(definition.fork_version).expect("a public chain");
    let sign = |number, message: Message<'_>| {
        account(number).sign_recoverable(&message.digest(chain)).to_vec()
    };
    let hash = definition.config_hash;
    for (index, operator) in definition.operators.iter_mut().enumerate() {
        let config = match definition.version == Version::V1_3 {
            true => Message::config_hash(&hash),
            false => Message::operator_config_hash(&hash),
        };
        operator.config_signature = sign(index, config);
        operator.enr_signature = sign(index, Message::enr(&operator.enr));
    }
    if definition.version >= Version::V1_4 {
        definition.creator.config_signature = sign(9, Message::creator_config_hash(&hash));
    }
}

fn papers(version: Version, secret: &SecretKey, index: usize) -> Papers {
    let public_key = secret.public_key().to_bytes();
    let mut deposit = Deposit {
        public_key,
        withdrawal_credentials: [index as u8; 32],
        amount: 32_000_000_000,
        signature: [0; 96],
    };
    deposit.signature = secret.sign(Domain::ETH2, &deposit.signing_root(HOODI)).to_bytes();
    let mut registration = Registration {
        fee_recipient: address(20),
        gas_limit: 36_000_000,
        timestamp: 1_742_213_400,
        public_key,
        signature: [0; 96],
    };
    let root = registration.signing_root(HOODI);
    registration.signature = secret.sign(Domain::ETH2, &root).to_bytes();
    Papers {
        deposits: if version < Version::V1_6 { vec![] } else { vec![deposit] },
        registration: (version >= Version::V1_7).then_some(registration),
    }
}

/// What all shares and all nodes sign, once the content is there.
pub fn resign(lock: &mut Lock) {
    lock.set_hashes();
    let all = (0..lock.validators.len())
        .flat_map(|index| SecretKey::split(&coefficients(index), OPERATORS).expect("none is zero"));
    let signatures = all.map(|share| share.sign(Domain::ETH2, &lock.lock_hash));
    let signatures: Vec<_> = signatures.collect();
    let ones = vec![1u128.to_le_bytes(); signatures.len()];
    let sum = SignatureSum::weigh(&signatures, &ones).signature().expect("a point");
    lock.signature_aggregate = sum.to_bytes().to_vec();
    if lock.definition.version >= Version::V1_7 {
        let sign = |operator| node_key(operator).sign_recoverable(&lock.lock_hash).to_vec();
        lock.node_signatures = (0..OPERATORS).map(sign).collect();
    }
}
