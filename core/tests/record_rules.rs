//! The statements about records (EIP-778), each with a record made by hand. The vectors in
//! `tests/` decide many more cases.

mod lone;

use std::net::SocketAddr;

use alloy_rlp::Header;
use lone::{Lone, config, key, record};
use sha3::{Digest, Keccak256};
use stayfound_core::record::{Endpoints, NodeId, RECORD_BYTES_MAX, RecordError, Signed};

/// RLP of these bytes as a string.
fn text(bytes: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(bytes)
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut list = Vec::new();
    Header { list: true, payload_length: payload.len() }.encode(&mut list);
    list.extend_from_slice(&payload);
    list
}

/// Operator 0's record of these pairs, whose values are RLP, and of this seq, RLP as well.
fn signed_seq(seq: Vec<u8>, pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs = pairs.iter().flat_map(|(name, value)| [text(name.as_bytes()), value.clone()]);
    let content: Vec<Vec<u8>> = std::iter::once(seq).chain(pairs).collect();
    let digest: [u8; 32] = Keccak256::digest(list(&content)).into();
    let signature = text(&key(0).sign(&digest).0);
    list(&[vec![signature], content].concat())
}

fn signed(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    signed_seq(vec![1], pairs)
}

fn id() -> (&'static str, Vec<u8>) {
    ("id", text(b"v4"))
}

fn point() -> (&'static str, Vec<u8>) {
    ("secp256k1", text(key(0).public_key().as_bytes()))
}

fn error(bytes: &[u8]) -> RecordError {
    Signed::from_bytes(bytes).expect_err("a broken rule")
}

#[test]
fn r60_a_record_has_up_to_300_bytes() {
    let padded = |n: usize| signed(&[id(), point(), ("z", text(&vec![7; n]))]);
    let most = (0..).find(|n| padded(*n).len() == RECORD_BYTES_MAX).expect("some fill it");
    let (fits, not) = (padded(most), padded(most + 1));
    assert_eq!((fits.len(), not.len()), (300, 301));
    assert!(Signed::from_bytes(&fits).is_ok());
    assert_eq!(error(&not), RecordError::TooLarge(301));
}

#[test]
fn r61_keys_ascend_and_are_unique() {
    assert_eq!(error(&signed(&[point(), id()])), RecordError::KeyOrder);
    assert_eq!(error(&signed(&[id(), id(), point()])), RecordError::KeyOrder);
    assert!(Signed::from_bytes(&signed(&[("A", vec![1]), id(), point()])).is_ok());
}

#[test]
fn r62_the_seq_is_a_canonical_integer_of_64_bits() {
    let of = |seq: &[u8]| signed_seq(seq.to_vec(), &[id(), point()]);
    assert_eq!(Signed::from_bytes(&of(&[0x80])).unwrap().seq(), 0);
    assert_eq!(Signed::from_bytes(&of(&text(&[0xff; 8]))).unwrap().seq(), u64::MAX);
    for bad in [&[0x00][..], &text(&[0, 1]), &text(&[0x01; 9]), &[0x81, 0x01]] {
        assert!(matches!(error(&of(bad)), RecordError::Rlp(_)), "{bad:x?}");
    }
}

#[test]
fn r63_the_key_signs_the_content_and_is_the_id() {
    let good = signed(&[id(), point()]);
    let node = Signed::from_bytes(&good).unwrap().node_id();
    let coordinates = key(0).public_key().point().coordinates();
    assert_eq!(node, NodeId(Keccak256::digest(coordinates).into()));
    for place in [5, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        assert!(Signed::from_bytes(&bad).is_err(), "byte {place}");
    }
    let theirs = ("secp256k1", text(key(1).public_key().as_bytes()));
    assert_eq!(error(&signed(&[id(), theirs])), RecordError::Signature);
}

#[test]
fn r64_only_the_identity_is_mandatory() {
    let bare = Signed::from_bytes(&signed(&[id(), point()])).unwrap();
    assert_eq!(bare.endpoints(), Endpoints::default());
    assert_eq!(error(&signed(&[point()])), RecordError::Scheme);
    assert_eq!(error(&signed(&[("id", text(b"v5")), point()])), RecordError::Scheme);
    assert!(matches!(error(&signed(&[id()])), RecordError::Key(_)));
}

#[test]
fn r65_without_a_port_of_its_own_ipv6_has_that_of_ipv4() {
    let ip6 = ("ip6", text(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    let (udp, udp6) = (("udp", text(&[0x23, 0x28])), ("udp6", text(&[0x23, 0x29])));
    let addresses = |pairs: &[(&str, Vec<u8>)]| -> Vec<SocketAddr> {
        Signed::from_bytes(&signed(pairs)).unwrap().endpoints().udp_addresses().collect()
    };
    let at = |port| vec![format!("[2001:db8::1]:{port}").parse().unwrap()];
    assert_eq!(addresses(&[id(), ip6.clone(), point(), udp.clone()]), at(9000));
    assert_eq!(addresses(&[id(), ip6, point(), udp, udp6]), at(9001));
}

#[test]
fn r66_unknown_keys_are_kept_whatever_they_hold() {
    let nested = list(&[list(&[vec![1], list(&[])]), text(b"deep")]);
    let bytes = signed(&[id(), point(), ("zoo", nested.clone())]);
    let record = Signed::from_bytes(&bytes).unwrap();
    assert_eq!(record.as_bytes(), bytes);
    assert!(record.pairs().any(|(name, value)| name == b"zoo" && value == nested));
}

#[test]
fn r67_the_text_is_base64_for_urls_without_padding() {
    let record = record(0, 1, &["192.0.2.1:9000"]);
    let text = record.to_text();
    let body = text.strip_prefix("enr:").expect("its prefix");
    assert!(body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    assert_eq!(Signed::from_text(&text), Ok(record));
    assert_eq!(Signed::from_text(body), Err(RecordError::Prefix));
    assert!(matches!(Signed::from_text(&format!("{text}=")), Err(RecordError::Base64(_))));
}

#[test]
fn r68_every_change_has_a_higher_seq_and_a_signature_of_its_own() {
    let mut lone = Lone::settled(config(1), &["192.0.2.1"]);
    let mut seqs = vec![lone.own().seq()];
    for homes in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"].windows(2) {
        let home = homes[1];
        lone.up(home);
        lone.down(homes[0]);
        let own = lone.own();
        assert_eq!(own.endpoints().ip.map(|ip| ip.to_string()).as_deref(), Some(home));
        assert_eq!(Signed::from_bytes(own.as_bytes()).as_ref(), Ok(own));
        seqs.push(own.seq());
    }
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
}
