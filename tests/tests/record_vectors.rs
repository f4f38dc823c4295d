//! Every entry of the EIP-778 vectors is decided as the file says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use alloy_rlp::Header;
use serde_json::Value;
use stayfound_core::keys::{KeyError, SecretKey};
use stayfound_core::record::{Endpoints, RecordError, Signed};
use stayfound_tests::{shared, unhex};

fn vectors() -> Option<Value> {
    let path = shared("vectors/enr-eip778.json")?;
    Some(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

fn entries<'a>(vectors: &'a Value, list: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let entries = vectors[list].as_array().unwrap();
    assert!(!entries.is_empty());
    entries.iter().map(|entry| (entry["name"].as_str().unwrap(), entry))
}

fn bytes(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap())
}

#[test]
fn valid_records_decode_to_what_they_hold() {
    let Some(vectors) = vectors() else { return };
    for list in ["records", "valid_signature_unusual_port"] {
        for (name, entry) in entries(&vectors, list) {
            let text = entry["text"].as_str().unwrap();
            let record = Signed::from_text(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let decoded = &entry["decoded"];
            assert_eq!(record, Signed::from_bytes(&bytes(&decoded["rlp"])).unwrap(), "{name}");
            assert_eq!(record.to_text(), text, "{name}");
            assert_eq!(record.as_bytes(), bytes(&decoded["rlp"]), "{name}");
            assert_eq!(record.as_bytes().len() as u64, decoded["size"].as_u64().unwrap(), "{name}");
            assert_eq!(signature(&record), bytes(&decoded["signature"]), "{name}");
            assert_eq!(record.seq(), decoded["seq"].as_u64().unwrap(), "{name}");
            let key = bytes(&decoded["public_key"]);
            assert_eq!(record.public_key().as_bytes().as_slice(), key, "{name}");
            assert_eq!(record.node_id().0.as_slice(), bytes(&decoded["node_id"]), "{name}");
            assert_eq!(record.content_hash().as_slice(), bytes(&decoded["content_hash"]), "{name}");
            assert_pairs(name, &record, &decoded["pairs"]);
            assert_endpoints(name, &record, &decoded["endpoint"]);
            if entry["usable_for_discovery"] == false {
                assert_eq!(record.endpoints().udp_addresses().count(), 0, "{name}");
            }
        }
    }
}

fn signature(record: &Signed) -> &[u8] {
    let items = &mut record.as_bytes();
    Header::decode(items).unwrap();
    Header::decode_bytes(items, false).unwrap()
}

fn assert_pairs(name: &str, record: &Signed, expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(record.pairs().count(), expected.len(), "{name}");
    for ((key, mut item), expected) in record.pairs().zip(expected) {
        assert_eq!(key, bytes(&expected["key_hex"]), "{name}");
        assert_eq!(item, bytes(&expected["value_rlp"]), "{name}");
        let value = Header::decode_bytes(&mut item, false).ok();
        assert_eq!(value, expected["value"].as_str().map(unhex).as_deref(), "{name}");
    }
}

fn assert_endpoints(name: &str, record: &Signed, expected: &Value) {
    let fields = expected.as_object().unwrap();
    for field in fields.keys() {
        // What this project has no use for: it speaks UDP only.
        let known = ["ip", "ip6", "udp", "udp6", "quic", "quic6", "tcp", "tcp6"];
        assert!(known.contains(&field.as_str()), "{name}: {field}");
    }
    let port = |field| fields.get(field).map(|port| port.as_u64().unwrap().try_into().unwrap());
    let text = |field| fields.get(field).map(|address| address.as_str().unwrap());
    let expected = Endpoints {
        ip: text("ip").map(|ip| ip.parse().unwrap()),
        ip6: text("ip6").map(|ip| ip.parse().unwrap()),
        udp: port("udp"),
        udp6: port("udp6"),
        quic: port("quic"),
        quic6: port("quic6"),
    };
    assert_eq!(record.endpoints(), expected, "{name}");
}

#[test]
fn the_official_example_is_reproduced_bit_for_bit() {
    let Some(vectors) = vectors() else { return };
    let (_, example) =
        entries(&vectors, "records").find(|(_, one)| one["official"] == true).unwrap();
    let scalar = bytes(&example["private_key"]).try_into().unwrap();
    let key = SecretKey::from_bytes(&scalar).unwrap();
    let endpoints =
        Endpoints { ip: Some(Ipv4Addr::LOCALHOST), udp: Some(30303), ..Endpoints::default() };
    assert_eq!(Signed::sign(&key, 1, &endpoints).to_text(), example["text"].as_str().unwrap());
}

/// Whoever made a vector from a key signed as we do, so whatever [`Endpoints`] can express comes out
/// the same.
#[test]
fn what_we_would_have_signed_is_what_stands_there() {
    let Some(vectors) = vectors() else { return };
    let mut reproduced = BTreeSet::new();
    for (name, entry) in entries(&vectors, "records") {
        let Some(scalar) = entry["private_key"].as_str() else { continue };
        let key = SecretKey::from_bytes(&unhex(scalar).try_into().unwrap()).unwrap();
        let record = Signed::from_text(entry["text"].as_str().unwrap()).unwrap();
        assert_eq!(key.public_key(), *record.public_key(), "{name}");
        let ours = Signed::sign(&key, record.seq(), &record.endpoints());
        if ours.content_hash() == record.content_hash() {
            assert_eq!(ours, record, "{name}");
            reproduced.insert(name);
        }
    }
    for name in ["eip-778-example", "minimal", "seq-max", "dual-stack"] {
        assert!(reproduced.contains(name), "{name} is not among {reproduced:?}");
    }
}

#[test]
fn an_ipv6_address_without_udp6_takes_udp() {
    let Some(vectors) = vectors() else { return };
    let name = "ipv6-uses-udp-port";
    let (_, entry) = entries(&vectors, "records").find(|(one, _)| *one == name).unwrap();
    let record = Signed::from_text(entry["text"].as_str().unwrap()).unwrap();
    let addresses: Vec<_> = record.endpoints().udp_addresses().collect();
    assert_eq!(addresses, ["[2001:db8::7]:9000".parse::<SocketAddr>().unwrap()]);
}

#[test]
fn invalid_records_are_refused_for_the_reason_that_is_given() {
    let Some(vectors) = vectors() else { return };
    for (name, entry) in entries(&vectors, "invalid") {
        let refused = match (entry["text"].as_str(), entry["rlp"].as_str()) {
            (Some(text), None) => Signed::from_text(text),
            (None, Some(rlp)) => Signed::from_bytes(&unhex(rlp)),
            _ => panic!("{name} has neither or both"),
        };
        let error = refused.expect_err(name);
        let reason = entry["rejected_as"].as_str().unwrap();
        assert!(is_for(&error, reason), "{name}: {error:?} is not for {reason:?}");
    }
}

/// Whether the error says what the vectors call this.
fn is_for(error: &RecordError, reason: &str) -> bool {
    use RecordError::*;
    match reason {
        "missing enr: prefix" => matches!(error, Prefix),
        "record larger than 300 bytes" => matches!(error, TooLarge(301..)),
        "signature is not 64 bytes" => matches!(error, SignatureLength(_)),
        "signature does not verify" => matches!(error, Signature),
        "fewer than two list elements" | "incomplete key/value pair" => matches!(error, Incomplete),
        "keys not sorted" | "duplicate key" => matches!(error, KeyOrder),
        "unsupported identity scheme" | "no identity scheme" => matches!(error, Scheme),
        "no secp256k1 key" | "public key is not 33 bytes" => {
            matches!(error, Key(KeyError::Length(_)))
        }
        "public key is not on the curve" => matches!(error, Key(KeyError::NotOnCurve)),
        "trailing bytes after the record"
        | "not a list"
        | "signature is not a byte string"
        | "seq is not a byte string"
        | "key is not a byte string" => matches!(error, Rlp(_)),
        _ if reason.starts_with("base64: ") => matches!(error, Base64(_)),
        _ if reason.starts_with("rlp: ") => matches!(error, Rlp(_)),
        _ => panic!("{reason:?} is not known"),
    }
}
