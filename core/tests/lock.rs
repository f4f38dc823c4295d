//! Locks that we make ourselves, signed by everybody who has to: of every version from v1.2.0 on
//! they verify, are written and read again, and no alteration goes unnoticed.

mod locks;

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::cluster::check::{Check, Outcome};
use stayfound_core::cluster::definition::{Creator, Definition, Operator};
use stayfound_core::cluster::lock::{Lock, Part};
use stayfound_core::cluster::version::Version;
use stayfound_core::keys;

use self::locks::{OPERATORS, VERSIONS, address, lock, resign, sign_definition};

fn failed(lock: &Lock) -> Vec<Check> {
    lock.verify().failures().cloned().collect()
}

#[test]
fn what_everybody_signed_verifies_and_is_read_as_it_was_written() {
    for version in VERSIONS {
        let lock = lock(version, 2);
        for check in lock.verify().checks {
            let is_in_version = match &*check.name {
                "creator signature" => version >= Version::V1_4,
                "operator signatures" => version >= Version::V1_3,
                "builder registrations" | "node signatures" => version >= Version::V1_7,
                _ => true,
            };
            assert_eq!(check.outcome == Outcome::Passed, is_in_version, "{version}: {check}");
            assert!(!check.has_failed(), "{version}: {check}");
        }
        let json = lock.to_json();
        assert_eq!(Lock::read(&json).as_ref(), Ok(&lock), "{version}");
        let definition = lock.definition.to_json();
        assert_eq!(Definition::read(&definition).as_ref(), Ok(&lock.definition), "{version}");
        let manifest = lock.manifest().expect("a cluster");
        assert_eq!(manifest.hash(), &lock.lock_hash);
        assert_eq!(manifest.operators().len(), OPERATORS);
    }
}

#[test]
fn the_fields_stand_in_charons_order() {
    let json = String::from_utf8(lock(Version::V1_10, 1).to_json()).expect("is text");
    let mut rest = json.as_str();
    for key in [
        "{\n \"cluster_definition\": {\n  \"name\": \"ours\",\n",
        "creator",
        "address",
        "config_signature",
        "operators",
        "address",
        "enr",
        "config_signature",
        "enr_signature",
        "uuid",
        "version",
        "timestamp",
        "num_validators",
        "threshold",
        "validators",
        "fee_recipient_address",
        "withdrawal_address",
        "dkg_algorithm",
        "fork_version",
        "deposit_amounts",
        "consensus_protocol",
        "target_gas_limit",
        "compounding",
        "config_hash",
        "definition_hash",
        "distributed_validators",
        "distributed_public_key",
        "public_shares",
        "builder_registration",
        "message",
        "fee_recipient",
        "gas_limit",
        "timestamp",
        "pubkey",
        "signature",
        "partial_deposit_data",
        "pubkey",
        "withdrawal_credentials",
        "amount",
        "signature",
        "signature_aggregate",
        "lock_hash",
        "node_signatures",
    ] {
        let at = rest.find(key).unwrap_or_else(|| panic!("{key} is not where it should be"));
        rest = &rest[at + key.len()..];
    }
}

/// Alters a lock; the stored hashes are then made to match it again, the signatures not.
type Alteration = fn(&mut Lock);

/// Alters a lock, with what another holds.
type AlterationBy = fn(&mut Lock, &Lock);

#[test]
fn each_alteration_fails_its_check_by_name_and_place() {
    let altered: [(Alteration, &str, &[&str]); 22] = [
        (
            |it| it.validators.swap(0, 1),
            "builder registrations",
            &["validator 0", "validator 1", "expected one of its key"],
        ),
        (
            |it| it.validators[1].shares.swap(0, 2),
            "share polynomials",
            &["validator 1", "polynomial of degree 2"],
        ),
        (
            |it| it.validators[1].shares[3] = it.validators[0].shares[3],
            "share polynomials",
            &["validator 1, share of operator 3"],
        ),
        (
            |it| it.validators[1].shares[3] = it.validators[1].shares[0],
            "distinct keys",
            &["validator 1, share of operator 0 and validator 1, share of operator 3"],
        ),
        (
            |it| it.validators[1] = it.validators[0].clone(),
            "distinct keys",
            &["validator 0, its public key and validator 1, its public key"],
        ),
        (
            |it| it.validators[0].public_key[0] ^= 0x80,
            "validator keys",
            &["validator 0, its public key", "not the compressed encoding"],
        ),
        (
            |it| {
                it.validators[1].shares[2] = [0; 48];
                it.validators[1].shares[2][0] = 0xc0;
            },
            "validator keys",
            &["validator 1, share of operator 2", "the point at infinity"],
        ),
        (
            |it| it.validators[1].shares.truncate(3),
            "share polynomials",
            &["validator 1", "expected 4 shares", "found 3"],
        ),
        (|it| it.definition.threshold = 0, "share polynomials", &["from 1 to 4, found 0"]),
        (|it| it.definition.threshold = 5, "share polynomials", &["from 1 to 4, found 5"]),
        (|it| it.definition.threshold = 2, "share polynomials", &["degree 1"]),
        (
            |it| {
                it.validators.pop();
                it.papers.pop();
            },
            "validator count",
            &["expected 2", "found 1"],
        ),
        (
            |it| it.definition.operators[2].enr = it.definition.operators[0].enr.clone(),
            "operator keys",
            &["operator 2", "found that of operator 0"],
        ),
        (
            |it| it.definition.operators[1].enr.truncate(40),
            "operator keys",
            &["operator 1", "expected a node record"],
        ),
        (
            |it| it.definition.operators[1].enr_signature.clear(),
            "operator signatures",
            &["operator 1, ENR signature", "found none"],
        ),
        (
            |it| {
                it.definition.operators[3] =
                    Operator { enr: it.definition.operators[3].enr.clone(), ..Operator::default() }
            },
            "operator signatures",
            &["operator 3", "expected the address"],
        ),
        (
            |it| it.definition.creator = Creator::default(),
            "creator signature",
            &["operators have signed", "found none"],
        ),
        (
            |it| it.definition.creator.config_signature.truncate(64),
            "creator signature",
            &["expected 65 bytes, found 64"],
        ),
        (
            |it| it.definition.name.push('!'),
            "signature aggregate",
            &["all key shares over the lock hash 0x"],
        ),
        (
            |it| it.papers[1].registration.as_mut().expect("v1.10.0").gas_limit += 1,
            "builder registrations",
            &["validator 1: expected its signature"],
        ),
        (
            |it| it.definition.addresses[0].fee_recipient = address(22),
            "builder registrations",
            &["validator 0: expected the fee recipient"],
        ),
        (
            |it| it.papers[0].registration.as_mut().expect("v1.10.0").signature = [0xff; 96],
            "builder registrations",
            &["validator 0: expected a signature, found"],
        ),
    ];
    let sound = lock(Version::V1_10, 2);
    for (alter, name, words) in altered {
        let mut lock = sound.clone();
        alter(&mut lock);
        lock.set_hashes();
        assert_says(&lock, name, words);
    }
}

/// What nothing hashes; also that of another lock.
#[test]
fn each_altered_signature_over_the_lock_hash_fails_its_check() {
    let other = lock(Version::V1_10, 3);
    let altered: [(AlterationBy, &str, &[&str]); 8] = [
        (
            |it, other| it.signature_aggregate = other.signature_aggregate.clone(),
            "signature aggregate",
            &["does not verify"],
        ),
        (
            |it, _| it.signature_aggregate.clear(),
            "signature aggregate",
            &["expected 96", "found 0"],
        ),
        (
            |it, _| it.signature_aggregate[0] = 0,
            "signature aggregate",
            &["expected a signature, found not the compressed encoding"],
        ),
        (|it, _| it.node_signatures.truncate(3), "node signatures", &["expected 4", "found 3"]),
        (
            |it, _| it.node_signatures.swap(0, 1),
            "node signatures",
            &["operator 0: expected one over the lock hash by 031b84c5567b", "operator 1"],
        ),
        (
            |it, other| it.node_signatures[2] = other.node_signatures[2].clone(),
            "node signatures",
            &["operator 2: expected one over the lock hash"],
        ),
        (
            |it, _| it.node_signatures[3].truncate(64),
            "node signatures",
            &["operator 3", "found 64"],
        ),
        (|it, _| it.node_signatures[3][64] = 4, "node signatures", &["operator 3", "by no key"]),
    ];
    let sound = lock(Version::V1_10, 2);
    for (alter, name, words) in altered {
        let mut lock = sound.clone();
        alter(&mut lock, &other);
        assert_says(&lock, name, words);
    }
}

#[track_caller]
fn assert_says(lock: &Lock, name: &str, words: &[&str]) {
    let checks = lock.verify().checks;
    let check = checks.iter().find(|check| check.name == name).expect("is one of the checks");
    assert!(check.has_failed(), "{check}");
    for word in words {
        assert!(check.to_string().contains(word), "{check}, not {word}");
    }
}

#[test]
fn a_signature_that_may_be_a_contracts_is_neither_valid_nor_invalid() {
    let mut lock = lock(Version::V1_11, 1);
    let stranger = address(30);
    lock.definition.operators[2].address = stranger;
    lock.definition.config_hash = lock.definition.hash_config();
    sign_definition(&mut lock.definition);
    // Two owners of a Safe have signed.
    let twice = lock.definition.operators[3].config_signature.repeat(2);
    lock.definition.operators[3].config_signature = twice;
    resign(&mut lock);
    let checks = lock.verify().checks;
    let check = checks.iter().find(|check| check.name == "operator signatures").expect("is one");
    let Outcome::NotApplicable(why) = &check.outcome else { panic!("{check}") };
    for word in [
        "operator 2, config signature",
        "operator 2, ENR signature",
        stranger.as_str(),
        "operator 3, config signature: 2 signatures",
        "ERC-1271",
        "the other 5 verify",
    ] {
        assert!(why.contains(word), "{why}");
    }
    assert!(!why.contains("operator 0") && !why.contains("operator 1"), "{why}");
}

#[test]
fn a_high_s_is_taken_for_its_low_counterpart() {
    /// The order of secp256k1, big endian.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    let mut lock = lock(Version::V1_10, 1);
    for signature in &mut lock.node_signatures {
        let mut borrow = 0;
        for at in (0..32).rev() {
            let difference = i16::from(ORDER[at]) - i16::from(signature[32 + at]) - borrow;
            borrow = i16::from(difference < 0);
            signature[32 + at] = difference.rem_euclid(256) as u8;
        }
        assert!(signature[32] >= 0x80, "a high S");
        signature[64] = 28 - signature[64]; // the other point, in the other notation
    }
    assert_eq!(failed(&lock), []);
    lock.node_signatures[2][64] ^= 27 ^ 28;
    assert_eq!(failed(&lock).len(), 1);
}

#[test]
fn unsigned_definitions_are_what_edited_clusters_have() {
    let mut lock = lock(Version::V1_10, 1);
    for operator in &mut lock.definition.operators {
        *operator = Operator { enr: operator.enr.clone(), ..Operator::default() };
    }
    lock.definition.creator = Creator::default();
    resign(&mut lock);
    assert_eq!(failed(&lock), []);
}

#[test]
fn no_lock_of_nobody_is_sound() {
    let mut lock = lock(Version::V1_10, 1);
    lock.validators.clear();
    lock.papers.clear();
    lock.definition.num_validators = 0;
    lock.definition.addresses.clear();
    lock.set_hashes();
    assert_says(&lock, "signature aggregate", &["found none"]);
    lock.definition.operators.clear();
    lock.set_hashes();
    assert_says(&lock, "operator keys", &["found none"]);
    assert_says(&lock, "share polynomials", &["threshold from 1 to 0, found 3"]);
}

/// Whether a byte at this place is a digit whose case means nothing: of hex from v1.3.0 on.
fn is_case_of_hex(json: &[u8], at: usize, byte: u8) -> bool {
    let begin = json[..at].iter().rposition(|byte| *byte == b'"').map_or(0, |quote| quote + 1);
    json[begin..].starts_with(b"0x") && json[at].eq_ignore_ascii_case(&byte)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "../proptest-regressions/core-lock.txt",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_altered_byte_is_noticed(
        version in prop::sample::select(VERSIONS[1..].to_vec()),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"0123456789abcdef".to_vec())],
    ) {
        static SOUND: OnceLock<Vec<Lock>> = OnceLock::new();
        let sound = SOUND.get_or_init(|| VERSIONS.map(|version| lock(version, 1)).into());
        let sound = sound.iter().find(|lock| lock.definition.version == version);
        let sound = sound.expect("of each version");
        let mut json = sound.to_json();
        let at = at.index(json.len());
        prop_assume!(json[at] != byte && !is_case_of_hex(&json, at, byte));
        json[at] = byte;
        if let Ok(altered) = Lock::read(&json) {
            prop_assert!(altered == *sound || !failed(&altered).is_empty(), "{at}: {byte}");
        }
    }

    #[test]
    fn it_is_one_however_the_work_is_split(
        count in 1usize..9,
        validators in 1usize..6,
        bad in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut lock = lock(Version::V1_10, validators);
        if let Some(bad) = bad {
            let bad = bad.index(validators);
            lock.validators[bad].shares.swap(0, 1);
            lock.papers[bad].registration.as_mut().expect("v1.10.0").timestamp += 1;
        }
        let parts = lock.parts(count);
        prop_assert!(parts.len() <= 1 + 2 * count);
        let partials = parts.iter().rev().map(Part::run).collect();
        prop_assert_eq!(lock.conclude(partials), lock.verify());
    }

    #[test]
    fn a_signature_names_the_key_that_made_it(
        scalar in any::<[u8; 32]>(),
        digest in any::<[u8; 32]>(),
        flip in 0usize..64 * 8,
    ) {
        let Ok(key) = keys::SecretKey::from_bytes(&scalar) else { return Ok(()) };
        let mut signature = key.sign_recoverable(&digest);
        let public_key = Some(key.public_key());
        prop_assert_eq!(keys::PublicKey::recover(&digest, &signature), public_key);
        signature[64] += 27;
        prop_assert_eq!(keys::PublicKey::recover(&digest, &signature), public_key);
        signature[64] = 55 - signature[64];
        prop_assert_ne!(keys::PublicKey::recover(&digest, &signature), public_key);
        signature[64] = 55 - signature[64];
        signature[flip / 8] ^= 1 << (flip % 8);
        prop_assert_ne!(keys::PublicKey::recover(&digest, &signature), public_key);
    }
}
