//! Reading a lock of our own: in every version, with every mistake that a file can have, and with
//! arbitrary bytes. The locks of others are in `lock_fixtures.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use stayfound_core::cluster::lock::{Lock, LockError};
use stayfound_core::cluster::{Manifest, ManifestError, OPERATORS_MAX, OperatorIndex};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, RecordError, Signed};
use stayfound_tests::proptest_config;

const HASH: [u8; 32] = [0xab; 32];

fn key(scalar: u8) -> SecretKey {
    SecretKey::from_bytes(&[scalar; 32]).unwrap()
}

fn enr(scalar: u8) -> String {
    Signed::sign(&key(scalar), 0, &Endpoints::default()).to_text()
}

fn hash_hex() -> String {
    HASH.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock(version: &str) -> Value {
    let operators: Vec<_> = (1..=4)
        .map(|scalar| json!({ "address": "", "enr": enr(scalar), "enr_signature": null }))
        .collect();
    let hash = match version {
        "v1.0.0" | "v1.1.0" => STANDARD.encode(HASH),
        _ => format!("0x{}", hash_hex()),
    };
    json!({
        "cluster_definition": {
            "name": "ours",
            "operators": operators,
            "uuid": "4FC27735-C7AE-479D-B1EE-F3F570F8790A",
            "version": version,
            "num_validators": 0,
            "threshold": 3,
            "fork_version": "0x10000910",
            "config_hash": hash,
            "definition_hash": hash,
            "deposit_amounts": null,
            "something_new": { "deep": [1, "two", null] },
        },
        "distributed_validators": null,
        "lock_hash": hash,
    })
}

/// The manifest of a lock that can be read.
fn manifest(json: &[u8]) -> Manifest {
    Lock::read(json).unwrap().manifest().unwrap()
}

fn read(json: &[u8]) -> Result<Lock, LockError> {
    Lock::read(json)
}

/// Why the operators of a lock with this field replaced are no cluster.
fn no_cluster(pointer: &str, value: Value) -> ManifestError {
    Lock::read(&spoiled(pointer, Some(value))).unwrap().manifest().unwrap_err()
}

/// The error of a lock with this field replaced, or removed.
fn error_with(pointer: &str, value: Option<Value>) -> LockError {
    read(&spoiled(pointer, value)).unwrap_err()
}

fn spoiled(pointer: &str, value: Option<Value>) -> Vec<u8> {
    let mut lock = lock("v1.10.0");
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = lock.pointer_mut(parent).unwrap();
    match value {
        Some(value) => parent[field] = value,
        None => drop(parent.as_object_mut().unwrap().remove(field)),
    }
    serde_json::to_vec(&lock).unwrap()
}

const VERSIONS: [&str; 12] = [
    "v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0", "v1.5.0", "v1.6.0", "v1.7.0", "v1.8.0",
    "v1.9.0", "v1.10.0", "v1.11.0",
];

#[test]
fn every_version_is_read() {
    for version in VERSIONS {
        let manifest = manifest(lock(version).to_string().as_bytes());
        assert_eq!(manifest.name(), "ours");
        assert_eq!(manifest.uuid(), "4FC27735-C7AE-479D-B1EE-F3F570F8790A");
        assert_eq!(manifest.threshold(), 3);
        assert_eq!(manifest.hash(), &HASH);
        let keys: Vec<_> = manifest.operators().iter().map(|one| one.public_key).collect();
        assert_eq!(keys, [1, 2, 3, 4].map(|scalar| key(scalar).public_key()));
    }
}

#[test]
fn what_charon_writes_differently_at_times_is_read_all_the_same() {
    let enr_padded = format!("{}==", enr(1));
    for (pointer, value) in [
        ("/cluster_definition/name", None),
        ("/cluster_definition/name", Some(json!(""))),
        ("/cluster_definition/name", Some(json!(null))),
        ("/cluster_definition/name", Some(json!("n".repeat(256)))),
        ("/cluster_definition/uuid", Some(json!("u".repeat(64)))),
        ("/cluster_definition/operators/0/enr", Some(json!(enr_padded))),
        ("/lock_hash", Some(json!(hash_hex()))),
        ("/lock_hash", Some(json!(format!("0x{}", hash_hex().to_uppercase())))),
    ] {
        let lock = read(&spoiled(pointer, value.clone()));
        let lock = lock.unwrap_or_else(|error| panic!("{pointer} {value:?}: {error}"));
        let manifest = lock.manifest().unwrap();
        assert_eq!(manifest.hash(), &HASH);
        assert_eq!(manifest.operators()[0].public_key, key(1).public_key());
    }
}

#[test]
fn a_field_that_is_missing_is_named() {
    for (pointer, field) in [
        ("/cluster_definition", "cluster_definition"),
        ("/cluster_definition/version", "cluster_definition.version"),
        ("/cluster_definition/uuid", "cluster_definition.uuid"),
        ("/cluster_definition/threshold", "cluster_definition.threshold"),
        ("/cluster_definition/num_validators", "cluster_definition.num_validators"),
        ("/cluster_definition/fork_version", "cluster_definition.fork_version"),
        ("/cluster_definition/config_hash", "cluster_definition.config_hash"),
        ("/lock_hash", "lock_hash"),
    ] {
        let missing = LockError::Missing(field.into());
        assert_eq!(error_with(pointer, None), missing);
        assert_eq!(error_with(pointer, Some(json!(null))), missing);
        assert!(missing.to_string().contains(field));
    }
}

#[test]
fn a_field_of_another_type_is_named() {
    let number = "expected a whole number";
    for (pointer, value, field, expected) in [
        ("/cluster_definition", json!([]), "cluster_definition", "expected an object"),
        (
            "/cluster_definition/version",
            json!(1),
            "cluster_definition.version",
            "expected a string",
        ),
        (
            "/cluster_definition/name",
            json!(["ours"]),
            "cluster_definition.name",
            "expected a string",
        ),
        ("/cluster_definition/threshold", json!("3"), "cluster_definition.threshold", number),
        ("/cluster_definition/threshold", json!(3.0), "cluster_definition.threshold", number),
        ("/cluster_definition/threshold", json!(-3), "cluster_definition.threshold", number),
        (
            "/cluster_definition/operators",
            json!({}),
            "cluster_definition.operators",
            "expected a list",
        ),
        (
            "/cluster_definition/operators/3",
            json!("enr:"),
            "cluster_definition.operators[3]",
            "expected an object",
        ),
        (
            "/cluster_definition/operators/3/enr",
            json!(7),
            "cluster_definition.operators[3].enr",
            "expected a string",
        ),
        (
            "/cluster_definition/operators/1/address",
            json!("0x12"),
            "cluster_definition.operators[1].address",
            "expected an address",
        ),
        (
            "/cluster_definition/deposit_amounts",
            json!([32_000_000_000_u64]),
            "cluster_definition.deposit_amounts[0]",
            "expected a string",
        ),
        (
            "/cluster_definition/deposit_amounts",
            json!(["+32000000000"]),
            "cluster_definition.deposit_amounts[0]",
            "expected decimal digits",
        ),
        (
            "/cluster_definition/fork_version",
            json!("0x1000"),
            "cluster_definition.fork_version",
            "expected 4 bytes, found 2",
        ),
        ("/lock_hash", json!([171]), "lock_hash", "expected a string"),
        ("/node_signatures", json!(["0x", 1]), "node_signatures[1]", "expected a string"),
        (
            "/distributed_validators",
            json!([{ "distributed_public_key": "0x00" }]),
            "distributed_validators[0].distributed_public_key",
            "expected 48 bytes, found 1",
        ),
    ] {
        assert_names(&spoiled_anywhere(pointer, value), field, expected);
    }
}

/// A lock in which this, of an entry of a list too, is something else.
fn spoiled_anywhere(pointer: &str, value: Value) -> Vec<u8> {
    let mut lock = lock("v1.10.0");
    match lock.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => return spoiled(pointer, Some(value)),
    }
    serde_json::to_vec(&lock).unwrap()
}

#[track_caller]
fn assert_names(json: &[u8], field: &str, about: &str) {
    let error = read(json).unwrap_err();
    let LockError::Field { field: named, why } = &error else { panic!("{field}: {error}") };
    assert_eq!(named, field, "{error}");
    assert!(why.contains(about), "{error}");
    assert!(error.to_string().contains(&format!("the field {field}: ")), "{error}");
}

#[test]
fn an_unknown_version_is_refused_with_the_range_that_is_known() {
    let field = "cluster_definition.version";
    for version in ["v1.12.0", "v0.9.0", "v2.0.0", "1.7.0", "v1.7", "V1.7.0", "v1.7.0 ", "v1.07.0"]
    {
        let error = error_with("/cluster_definition/version", Some(json!(version)));
        assert_eq!(error, LockError::Version { field: field.into(), version: version.into() });
        assert!(error.to_string().contains("v1.0.0 to v1.11.0"), "{error}");
    }
    let error = error_with("/cluster_definition/version", Some(json!("é".repeat(500))));
    assert!(error.to_string().len() < 250, "a sentence stays short: {error}");
    let long = spoiled("/cluster_definition/version", Some(json!("é".repeat(1 << 20))));
    assert_names(&long, field, "at most 1024 bytes");
}

#[test]
fn what_is_too_long_is_refused() {
    for (field, value, most) in [
        ("uuid", json!("x".repeat(65)), "at most 64 bytes, found 65"),
        ("name", json!("x".repeat(257)), "at most 256 bytes, found 257"),
        ("timestamp", json!("x".repeat(33)), "at most 32 bytes, found 33"),
        ("dkg_algorithm", json!("x".repeat(33)), "at most 32 bytes, found 33"),
        ("consensus_protocol", json!("x".repeat(257)), "at most 256 bytes, found 257"),
        ("operators", json!(vec![json!({}); OPERATORS_MAX + 1]), "at most 256, found more"),
        ("deposit_amounts", json!(vec!["32000000000"; 257]), "at most 256, found more"),
        ("validators", json!(vec![json!({}); 65_537]), "at most 65536, found more"),
        ("num_validators", json!(65_537), "at most 65536, found 65537"),
    ] {
        let json = spoiled(&format!("/cluster_definition/{field}"), Some(value));
        assert_names(&json, &format!("cluster_definition.{field}"), most);
    }
    let validators = json!(vec![json!({}); 65_537]);
    let json = spoiled("/distributed_validators", Some(validators));
    assert_names(&json, "distributed_validators", "at most 65536, found more");
    let enr = spoiled_anywhere("/cluster_definition/operators/2/enr", json!("x".repeat(1025)));
    assert_names(&enr, "cluster_definition.operators[2].enr", "at most 1024 bytes, found 1025");
    let signatures = json!(vec!["0x"; OPERATORS_MAX + 1]);
    let json = spoiled("/node_signatures", Some(signatures));
    assert_names(&json, "node_signatures", "at most 256, found more");
}

#[test]
fn amounts_and_counts_obey_charons_rules() {
    let amounts =
        |amounts: &[&str]| spoiled("/cluster_definition/deposit_amounts", Some(json!(amounts)));
    let (field, first) =
        ("cluster_definition.deposit_amounts", "cluster_definition.deposit_amounts[0]");
    assert_names(&amounts(&["999999999", "32000000000"]), first, "found 999999999");
    assert_names(&amounts(&["32000000001"]), first, "to 32000000000 Gwei, found 32000000001");
    assert_names(&amounts(&["16000000000", "8000000000"]), field, "found 24000000000");
    read(&amounts(&["16000000000", "16000000000"])).unwrap();
    let mut compounding = lock("v1.10.0");
    compounding["cluster_definition"]["compounding"] = json!(true);
    compounding["cluster_definition"]["deposit_amounts"] = json!(["2048000000000"]);
    read(compounding.to_string().as_bytes()).unwrap();
    // v1.9.0 does not know of compounding, and v1.7.0 of amounts.
    compounding["cluster_definition"]["version"] = json!("v1.9.0");
    assert_names(compounding.to_string().as_bytes(), first, "to 32000000000 Gwei");
    compounding["cluster_definition"]["version"] = json!("v1.7.0");
    read(compounding.to_string().as_bytes()).unwrap();
    let count = spoiled("/cluster_definition/num_validators", Some(json!(2)));
    assert_names(&count, "cluster_definition.validators", "expected 2 entries");
}

#[test]
fn what_one_version_has_and_another_has_not_is_told_apart() {
    let mut old = lock("v1.1.0");
    old["cluster_definition"]["operators"][1]["nonce"] = json!(1);
    let nonce = "cluster_definition.operators[1].nonce";
    assert_names(old.to_string().as_bytes(), nonce, "expected 0, found 1");
    old["cluster_definition"]["operators"][1]["nonce"] = json!(0);
    read(old.to_string().as_bytes()).unwrap();
    let mut created = lock("v1.3.0");
    created["cluster_definition"]["creator"] =
        json!({ "address": format!("0x{}", "11".repeat(20)), "config_signature": "0x00" });
    assert_names(created.to_string().as_bytes(), "cluster_definition.creator", "expected none");
    for (version, bytes, is_read) in [
        ("v1.10.0", 65, true),
        ("v1.10.0", 66, false),
        ("v1.10.0", 130, false),
        ("v1.11.0", 0, true),
        ("v1.11.0", 64, false),
        ("v1.11.0", 130, true),
        ("v1.11.0", 65 * 32, true),
        ("v1.11.0", 65 * 33, false),
    ] {
        let mut lock = lock(version);
        let signature = format!("0x{}", "11".repeat(bytes));
        lock["cluster_definition"]["operators"][0]["enr_signature"] = json!(signature);
        assert_eq!(read(lock.to_string().as_bytes()).is_ok(), is_read, "{version} {bytes}");
    }
    let key = format!("0x{}", "11".repeat(48));
    let validators = json!([{ "distributed_public_key": key, "public_shares": null }]);
    for (version, error) in [
        ("v1.6.0", None),
        (
            "v1.7.0",
            Some(LockError::Missing("distributed_validators[0].builder_registration".into())),
        ),
    ] {
        let mut lock = lock(version);
        lock["distributed_validators"] = validators.clone();
        assert_eq!(read(lock.to_string().as_bytes()).err(), error);
    }
}

#[test]
fn an_enr_that_is_none_is_named_by_its_operator() {
    let good = enr(3);
    let truncated = &good[..good.len() - 4];
    let forged = good.replacen("QD", "QE", 1);
    for (text, why) in [
        ("", RecordError::Prefix),
        ("enode://00", RecordError::Prefix),
        (&good[4..], RecordError::Prefix),
        (truncated, RecordError::Rlp(alloy_rlp::Error::InputTooShort)),
        (&forged, RecordError::Signature),
    ] {
        let json = spoiled_anywhere("/cluster_definition/operators/2/enr", json!(text));
        let error = read(&json).unwrap().manifest().unwrap_err();
        assert_eq!(error, ManifestError::Enr { operator: 2, why });
        assert!(error.to_string().contains("cluster_definition.operators[2].enr"), "{error}");
    }
}

#[test]
fn operators_that_make_no_cluster_are_refused() {
    let shared_key = |text: String| no_cluster("/cluster_definition/operators/3/enr", json!(text));
    let expected = ManifestError::SharedKey(OperatorIndex(1), OperatorIndex(3));
    assert_eq!(shared_key(enr(2)), expected);
    // The same key, but another text: keys are compared, not strings.
    assert_eq!(shared_key(Signed::sign(&key(2), 7, &Endpoints::default()).to_text()), expected);
    for threshold in [0, 5, usize::MAX] {
        let error = no_cluster("/cluster_definition/threshold", json!(threshold));
        assert_eq!(error, ManifestError::Threshold { threshold, operators: 4 });
    }
    for nobody in [json!(null), json!([])] {
        let error = no_cluster("/cluster_definition/operators", nobody);
        assert_eq!(error, ManifestError::OperatorCount(0));
    }
}

#[test]
fn a_lock_hash_is_32_bytes_in_the_encoding_of_its_version() {
    for (hash, why) in [
        (hash_hex()[2..].to_owned(), "expected 32 bytes, found 31"),
        (format!("0x{}00", hash_hex()), "expected 32 bytes, found 33"),
        ("0x".to_owned(), "expected 32 bytes, found 0"),
        (hash_hex()[1..].to_owned(), "expected hex"),
        (STANDARD.encode(HASH), "expected hex"),
        ("+a".repeat(32), "expected hex"),
    ] {
        assert_names(&spoiled("/lock_hash", Some(json!(hash))), "lock_hash", why);
    }
    let mut old = lock("v1.1.0");
    old["lock_hash"] = json!(format!("0x{}!", hash_hex()));
    assert_names(old.to_string().as_bytes(), "lock_hash", "expected base64");
    old["lock_hash"] = json!(STANDARD.encode([1; 31]));
    assert_names(old.to_string().as_bytes(), "lock_hash", "expected 32 bytes, found 31");
}

#[test]
fn what_is_no_json_is_refused_with_the_place() {
    let whole = serde_json::to_vec_pretty(&lock("v1.10.0")).unwrap();
    for end in 0..whole.len() {
        let error = read(&whole[..end]).unwrap_err();
        assert!(matches!(error, LockError::Truncated { .. }), "{end}: {error}");
    }
    for (bytes, at, about) in [
        (&b"not json"[..], 1, "expected ident"),
        (b"{}\n{}", 2, "trailing characters"),
        (b"\xff\xfe{\0", 1, "expected value"),
        (b"{\"cluster_definition\":{\"version\":\n \"\xff\"}}", 2, "invalid unicode code point"),
        (b"[]", 1, "expected an object"),
        (b"7", 1, "expected an object"),
    ] {
        let error = read(bytes).unwrap_err();
        let LockError::NotJson { line, ref why, .. } = error else { panic!("{error}") };
        assert!(why.contains(about), "{why}");
        assert_eq!(line, at, "{why}");
        assert!(error.to_string().contains(&format!("line {line}")), "{error}");
    }
}

/// A lock is a person's file: whatever it holds, the answer is a value.
fn assert_decided(bytes: &[u8]) {
    match read(bytes) {
        Ok(lock) => {
            assert!(lock.verify().failures().next().is_some(), "nobody signed it");
            let _ = lock.manifest();
            assert_eq!(read(&lock.to_json()), Ok(lock), "written and read again");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (1..=5_u8).prop_map(|scalar| json!(enr(scalar))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(proptest_config(256))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        assert_decided(&bytes);
    }

    #[test]
    fn a_lock_with_altered_bytes_never_panics(
        version in prop::sample::select(VERSIONS.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = lock(version).to_string().into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        assert_decided(&bytes);
    }

    #[test]
    fn a_lock_with_any_value_in_any_field_never_panics(
        pointer in prop::sample::select(vec![
            "/cluster_definition", "/lock_hash", "/distributed_validators",
            "/signature_aggregate", "/node_signatures", "/cluster_definition/creator",
            "/cluster_definition/validators", "/cluster_definition/num_validators",
            "/cluster_definition/deposit_amounts", "/cluster_definition/fork_version",
            "/cluster_definition/name", "/cluster_definition/uuid",
            "/cluster_definition/version", "/cluster_definition/threshold",
            "/cluster_definition/operators", "/cluster_definition/operators/0/enr",
        ]),
        value in json_value(),
    ) {
        assert_decided(&spoiled(pointer, Some(value)));
    }
}
