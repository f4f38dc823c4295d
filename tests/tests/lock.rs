//! Reading a lock of our own: in every version, with every mistake that a file can have, and with
//! arbitrary bytes. The locks of others are in `lock_fixtures.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use stayfound_core::cluster::lock::{LockError, read};
use stayfound_core::cluster::{ManifestError, OPERATORS_MAX};
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
            "deposit_amounts": null,
            "something_new": { "deep": [1, "two", null] },
        },
        "distributed_validators": null,
        "lock_hash": hash,
    })
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
        let manifest = read(lock(version).to_string().as_bytes()).unwrap();
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
        let manifest = read(&spoiled(pointer, value.clone()))
            .unwrap_or_else(|error| panic!("{pointer} {value:?}: {error}"));
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
        ("/lock_hash", "lock_hash"),
    ] {
        let missing = LockError::Missing(field.into());
        assert_eq!(error_with(pointer, None), missing);
        assert_eq!(error_with(pointer, Some(json!(null))), missing);
        assert!(missing.to_string().contains(field));
    }
    let missing = LockError::Missing("cluster_definition.operators[2].enr".into());
    let pointer = "/cluster_definition/operators/2/enr";
    let mut lock = lock("v1.7.0");
    lock.pointer_mut("/cluster_definition/operators/2").unwrap()["enr"] = json!(null);
    assert_eq!(read(lock.to_string().as_bytes()).unwrap_err(), missing);
    lock.pointer_mut(pointer).unwrap().take();
    assert_eq!(read(lock.to_string().as_bytes()).unwrap_err(), missing);
}

#[test]
fn a_field_of_another_type_is_named() {
    let operator_3 = "cluster_definition.operators[3]";
    for (pointer, value, field, expected) in [
        ("/cluster_definition/version", json!(1), "cluster_definition.version", "a string"),
        ("/cluster_definition/name", json!(["ours"]), "cluster_definition.name", "a string"),
        (
            "/cluster_definition/threshold",
            json!("3"),
            "cluster_definition.threshold",
            "a whole number",
        ),
        (
            "/cluster_definition/threshold",
            json!(3.0),
            "cluster_definition.threshold",
            "a whole number",
        ),
        (
            "/cluster_definition/threshold",
            json!(-3),
            "cluster_definition.threshold",
            "a whole number",
        ),
        ("/cluster_definition/operators", json!({}), "cluster_definition.operators", "a list"),
        ("/lock_hash", json!([171]), "lock_hash", "a string"),
    ] {
        let error = error_with(pointer, Some(value));
        assert_eq!(error, LockError::Type { field: field.into(), expected });
        assert!(error.to_string().contains(field));
    }
    let mut lock = lock("v1.7.0");
    lock["cluster_definition"]["operators"][3] = json!("enr:");
    let error = LockError::Type { field: operator_3.into(), expected: "an object" };
    assert_eq!(read(lock.to_string().as_bytes()).unwrap_err(), error);
}

#[test]
fn an_unknown_version_is_refused_with_the_range_that_is_known() {
    for version in ["v1.12.0", "v0.9.0", "v2.0.0", "1.7.0", "v1.7", "V1.7.0", "v1.7.0 "] {
        let error = error_with("/cluster_definition/version", Some(json!(version)));
        assert_eq!(error, LockError::Version(version.into()));
        assert!(error.to_string().contains("v1.0.0 to v1.11.0"), "{error}");
    }
    let error = error_with("/cluster_definition/version", Some(json!("é".repeat(1 << 20))));
    assert_eq!(error, LockError::Version("é".repeat(32)), "a sentence stays short");
}

#[test]
fn what_is_too_long_is_refused() {
    for (pointer, field, most) in [
        ("/cluster_definition/uuid", "cluster_definition.uuid", 64),
        ("/cluster_definition/name", "cluster_definition.name", 256),
    ] {
        let error = error_with(pointer, Some(json!("x".repeat(most + 1))));
        assert_eq!(error, LockError::TooLong { field, bytes: most + 1, most });
    }
    let operators = vec![json!({ "enr": enr(1) }); OPERATORS_MAX + 1];
    let error = error_with("/cluster_definition/operators", Some(json!(operators)));
    assert_eq!(error, LockError::Manifest(ManifestError::OperatorCount(OPERATORS_MAX + 1)));
}

#[test]
fn an_enr_that_is_none_is_named_by_its_operator() {
    let good = enr(3);
    let truncated = &good[..good.len() - 4];
    let forged = good.replacen("QD", "QE", 1);
    for (text, why) in [
        ("enode://00", RecordError::Prefix),
        (&good[4..], RecordError::Prefix),
        (truncated, RecordError::Rlp(alloy_rlp::Error::InputTooShort)),
        (&forged, RecordError::Signature),
    ] {
        let error = error_with("/cluster_definition/operators/2/enr", Some(json!(text)));
        assert_eq!(error, LockError::Enr { operator: 2, why });
        assert!(error.to_string().contains("cluster_definition.operators[2].enr"), "{error}");
    }
}

#[test]
fn operators_that_make_no_cluster_are_refused() {
    let shared_key = error_with("/cluster_definition/operators/3/enr", Some(json!(enr(2))));
    let (one, three) = (index(1), index(3));
    assert_eq!(shared_key, LockError::Manifest(ManifestError::SharedKey(one, three)));
    // The same key, but another text: keys are compared, not strings.
    let other = Signed::sign(&key(2), 7, &Endpoints::default()).to_text();
    let shared_key = error_with("/cluster_definition/operators/3/enr", Some(json!(other)));
    assert_eq!(shared_key, LockError::Manifest(ManifestError::SharedKey(one, three)));
    for threshold in [0, 5, usize::MAX] {
        let error = error_with("/cluster_definition/threshold", Some(json!(threshold)));
        let expected = ManifestError::Threshold { threshold, operators: 4 };
        assert_eq!(error, LockError::Manifest(expected));
        assert!(error.to_string().contains("cluster_definition.threshold"), "{error}");
    }
    for nobody in [json!(null), json!([])] {
        let error = error_with("/cluster_definition/operators", Some(nobody));
        assert_eq!(error, LockError::Manifest(ManifestError::OperatorCount(0)));
    }
}

fn index(index: u8) -> stayfound_core::cluster::OperatorIndex {
    stayfound_core::cluster::OperatorIndex(index)
}

#[test]
fn a_lock_hash_is_32_bytes_in_the_encoding_of_its_version() {
    for (hash, error) in [
        (hash_hex()[2..].to_owned(), LockError::LockHashLength(31)),
        (format!("0x{}00", hash_hex()), LockError::LockHashLength(33)),
        ("0x".to_owned(), LockError::LockHashLength(0)),
        (hash_hex()[1..].to_owned(), LockError::LockHashEncoding { expected: "hex" }),
        (STANDARD.encode(HASH), LockError::LockHashEncoding { expected: "hex" }),
        ("+a".repeat(32), LockError::LockHashEncoding { expected: "hex" }),
    ] {
        assert_eq!(error_with("/lock_hash", Some(json!(hash))), error, "{hash}");
    }
    let mut old = lock("v1.1.0");
    old["lock_hash"] = json!(format!("0x{}!", hash_hex()));
    let error = LockError::LockHashEncoding { expected: "base64" };
    assert_eq!(read(old.to_string().as_bytes()).unwrap_err(), error);
    old["lock_hash"] = json!(STANDARD.encode([1; 31]));
    assert_eq!(read(old.to_string().as_bytes()).unwrap_err(), LockError::LockHashLength(31));
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
        (b"{\"lock_hash\":\n \"\xff\"}", 2, "invalid unicode code point"),
        (b"[]", 1, "expected an object"),
        (b"7", 1, "expected an object"),
        (b"{\"cluster_definition\":\n[]}", 2, "expected an object"),
        (b"{\"lock_hash\":\"\",\"lock_hash\":\"\"}", 1, "duplicate field `lock_hash`"),
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
        Ok(manifest) => assert!((1..=OPERATORS_MAX).contains(&manifest.operators().len())),
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
            "/cluster_definition/name", "/cluster_definition/uuid",
            "/cluster_definition/version", "/cluster_definition/threshold",
            "/cluster_definition/operators", "/cluster_definition/operators/0/enr",
        ]),
        value in json_value(),
    ) {
        assert_decided(&spoiled(pointer, Some(value)));
    }
}
