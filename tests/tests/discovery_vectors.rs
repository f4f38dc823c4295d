//! Every entry of the discv5 v5.1 vectors is decided as the file says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::Value;
use stayfound_core::discovery::cipher::{Cipher, Mask};
use stayfound_core::discovery::handshake::{ChallengeData, derive, id_digest};
use stayfound_core::discovery::message::{Distances, Message, MessageError, Records, RequestId};
use stayfound_core::discovery::packet::{
    self, Kind, PACKET_BYTES_MAX, Packet, PacketError, is_discovery,
};
use stayfound_core::keys::{Point, SecretKey, Signature};
use stayfound_core::record::{Claimed, NodeId, RecordError, Signed};
use stayfound_tests::{shared, unhex};

fn vectors() -> Option<Value> {
    let path = shared("vectors/discv5-v5.1.json")?;
    Some(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

/// The entries of a section, which are as many as this test was written for: each is decided.
fn entries<'a>(vectors: &'a Value, section: &str, count: usize) -> impl Iterator<Item = Entry<'a>> {
    let entries = vectors[section].as_array().unwrap();
    assert_eq!(entries.len(), count, "{section}");
    entries.iter().map(Entry)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value.as_str().unwrap_or_else(|| panic!("{value} is no hex"))).try_into().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap_or_else(|| panic!("{value} is no hex")))
}

fn id(value: &Value) -> NodeId {
    NodeId(array(value))
}

fn secret(value: &Value) -> SecretKey {
    SecretKey::from_bytes(&array(value)).unwrap()
}

fn point(value: &Value) -> Point {
    Point::from_bytes(&bytes(value)).unwrap().1
}

#[derive(Clone, Copy)]
struct Entry<'a>(&'a Value);

impl<'a> Entry<'a> {
    fn name(self) -> &'a str {
        self.0["name"].as_str().unwrap()
    }

    fn reason(self) -> &'a str {
        self.0["rejected_as"].as_str().unwrap()
    }
}

#[test]
fn packets_are_read_as_what_they_are_and_written_again() {
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "packets", 4) {
        let (name, inputs, decoded) = (entry.name(), &entry.0["inputs"], &entry.0["decoded"]);
        let datagram = bytes(&entry.0["packet"]);
        let dest = Mask::of(&id(&inputs["dest_node_id"]));
        assert!(is_discovery(&dest, &datagram), "{name}");
        let mut scratch = [0; PACKET_BYTES_MAX];
        let packet = Packet::decode(&dest, &datagram, &mut scratch).unwrap();
        assert_eq!(packet.ad, bytes(&decoded["message_ad"]), "{name}");
        assert_eq!(packet.nonce, array(&decoded["nonce"]), "{name}");
        assert_eq!(packet.message, bytes(&decoded["message_ciphertext"]), "{name}");
        let again = match packet.kind {
            Kind::Ordinary { src } => assert_ordinary(&vectors, entry, &dest, src, packet),
            Kind::WhoAreYou { .. } => assert_who_are_you(entry, &dest, packet),
            Kind::Handshake { .. } => assert_handshake(&vectors, entry, &dest, packet),
        };
        assert_eq!(again, datagram, "{name}");
    }
}

fn assert_ordinary(
    vectors: &Value,
    entry: Entry<'_>,
    dest: &Mask,
    src: NodeId,
    packet: Packet<'_>,
) -> Vec<u8> {
    let (inputs, decoded) = (&entry.0["inputs"], &entry.0["decoded"]);
    assert_eq!(number(&decoded["flag"]), 0);
    assert_eq!(src, id(&decoded["src_node_id"]));
    assert_eq!(src, id(&vectors["keys"]["node_a"]["node_id"]));
    let cipher = Cipher::new(&array(&inputs["read_key"]));
    let nonce = packet.nonce;
    let length = cipher.open_in_place(&nonce, packet.ad, packet.message).unwrap();
    let message = assert_message(decoded, &packet.message[..length]);
    packet::ordinary(dest, &array(&decoded["masking_iv"]), &nonce, &src, &cipher, &message)
}

fn assert_who_are_you(entry: Entry<'_>, dest: &Mask, packet: Packet<'_>) -> Vec<u8> {
    let (inputs, decoded) = (&entry.0["inputs"], &entry.0["decoded"]);
    assert_eq!(number(&decoded["flag"]), 1);
    let id_nonce = array(&inputs["id_nonce"]);
    let enr_seq = number(&inputs["enr_seq"]);
    assert_eq!(packet.kind, Kind::WhoAreYou { id_nonce, enr_seq });
    assert_eq!(packet.nonce, array(&inputs["request_nonce"]));
    let challenge = ChallengeData(array(&inputs["challenge_data"]));
    assert_eq!(packet.challenge_data(), Some(challenge));
    let iv = array(&decoded["masking_iv"]);
    let (again, made) = packet::who_are_you(dest, &iv, &packet.nonce, &id_nonce, enr_seq);
    assert_eq!(made, challenge);
    assert_eq!(packet::who_are_you_again(dest, &made), again);
    again
}

fn assert_handshake(vectors: &Value, entry: Entry<'_>, dest: &Mask, packet: Packet<'_>) -> Vec<u8> {
    let (inputs, decoded) = (&entry.0["inputs"], &entry.0["decoded"]);
    assert_eq!(number(&decoded["flag"]), 2);
    let Kind::Handshake { src, signature, ephemeral, record } = packet.kind else { panic!() };
    assert_eq!(src, id(&decoded["src_node_id"]));
    assert_eq!(signature, Signature(array(&decoded["id_signature"])));
    assert_eq!(ephemeral, &array(&decoded["eph_pubkey"]));
    let expected = bytes(&decoded["record"]);
    assert_eq!(record, (!expected.is_empty()).then_some(&expected[..]));
    if let Some(record) = record {
        assert_eq!(Signed::from_bytes(record).unwrap().node_id(), src);
    }

    let recipient = id(&inputs["dest_node_id"]);
    let challenge = ChallengeData(array(&inputs["whoareyou_challenge_data"]));
    let digest = id_digest(&challenge, ephemeral, &recipient);
    assert_eq!(digest, array(&decoded["id_signature_hash"]));
    let (key_a, key_b) = (&vectors["keys"]["node_a"], &vectors["keys"]["node_b"]);
    assert_eq!(secret(&key_a["private_key"]).sign(&digest), signature);
    assert!(point(&key_a["public_key"]).verifies(&digest, &signature));

    let ephemeral_secret = secret(&inputs["ephemeral_private_key"]);
    assert_eq!(ephemeral_secret.public_key().as_bytes(), ephemeral);
    let shared = ephemeral_secret.agree(&point(&key_b["public_key"]));
    assert_eq!(shared, array(&decoded["ecdh_shared_secret"]));
    let point = Point::from_bytes(ephemeral).unwrap().1;
    assert_eq!(shared, secret(&key_b["private_key"]).agree(&point));
    let keys = derive(&shared, &challenge, &src, &recipient);
    assert_eq!(keys.initiator, array(&decoded["initiator_key"]));
    assert_eq!(keys.recipient, array(&decoded["recipient_key"]));
    assert_eq!(keys.initiator, array(&inputs["read_key"]));

    let cipher = Cipher::new(&keys.initiator);
    let nonce = packet.nonce;
    let length = cipher.open_in_place(&nonce, packet.ad, packet.message).unwrap();
    let message = assert_message(decoded, &packet.message[..length]);
    let iv = array(&decoded["masking_iv"]);
    packet::handshake(dest, &iv, &nonce, &src, &signature, ephemeral, record, &cipher, &message)
}

fn assert_message<'a>(decoded: &Value, plaintext: &'a [u8]) -> Message<'a> {
    assert_eq!(plaintext, bytes(&decoded["message_plaintext"]));
    let message = Message::decode(plaintext).unwrap();
    assert_is(&decoded["message"], &message);
    message
}

#[test]
fn primitives_give_what_they_should() {
    let Some(vectors) = vectors() else { return };
    let primitives = &vectors["primitives"];
    assert_eq!(primitives.as_object().unwrap().len(), 4);

    let ecdh = &primitives["ecdh"];
    let shared = secret(&ecdh["secret_key"]).agree(&point(&ecdh["public_key"]));
    assert_eq!(shared, array(&ecdh["shared_secret"]));

    let derivation = &primitives["key_derivation"];
    let shared = secret(&derivation["ephemeral_key"]).agree(&point(&derivation["dest_pubkey"]));
    let challenge = ChallengeData(array(&derivation["challenge_data"]));
    let (a, b) = (id(&derivation["node_id_a"]), id(&derivation["node_id_b"]));
    let keys = derive(&shared, &challenge, &a, &b);
    assert_eq!(keys.initiator, array(&derivation["initiator_key"]));
    assert_eq!(keys.recipient, array(&derivation["recipient_key"]));

    let aead = &primitives["aes_gcm"];
    let cipher = Cipher::new(&array(&aead["encryption_key"]));
    let (nonce, ad) = (array(&aead["nonce"]), bytes(&aead["additional_data"]));
    let mut packet = [ad.clone(), bytes(&aead["plaintext"])].concat();
    cipher.seal_in_place(&nonce, &mut packet, ad.len());
    let sealed = &mut packet[ad.len()..];
    assert_eq!(sealed, bytes(&aead["message_ciphertext"]));
    let length = cipher.open_in_place(&nonce, &ad, sealed).unwrap();
    assert_eq!(&sealed[..length], bytes(&aead["plaintext"]));
}

#[test]
fn the_identity_proof_is_signed_as_it_should() {
    let Some(vectors) = vectors() else { return };
    let signing = &vectors["primitives"]["id_nonce_signing"];
    let challenge = ChallengeData(array(&signing["challenge_data"]));
    let ephemeral = array(&signing["ephemeral_pubkey"]);
    let digest = id_digest(&challenge, &ephemeral, &id(&signing["node_id_b"]));
    assert_eq!(digest, array(&signing["signature_hash"]));
    let key = secret(&signing["static_key"]);
    assert_eq!(key.public_key().as_bytes(), &array(&signing["static_public_key"]));
    let signature = key.sign(&digest);
    assert_eq!(signature, Signature(array(&signing["id_signature"])));
    let point = key.public_key().point();
    assert!(point.verifies(&digest, &signature));
    let high_s = &signing["high_s_variant"];
    assert_eq!(high_s["valid"], false);
    assert!(!point.verifies(&digest, &Signature(array(&high_s["signature"]))));
}

#[test]
fn messages_are_read_as_what_they_are_and_written_again() {
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "messages", 24) {
        let (name, plaintext) = (entry.name(), bytes(&entry.0["plaintext"]));
        assert_eq!(entry.0["valid"], true, "{name}");
        let message = Message::decode(&plaintext).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_is(&entry.0["decoded"], &message);
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(again, plaintext, "{name}");
        assert_eq!(message.length(), plaintext.len(), "{name}");
    }
}

/// Whether the message is this, made anew from what the vectors say.
fn assert_is(decoded: &Value, message: &Message<'_>) {
    let id = RequestId::new(&bytes(&decoded["request_id"])).unwrap();
    let seq = || number(&decoded["enr_seq"]);
    let list = |field: &str| decoded[field].as_array().unwrap();
    match decoded["type"].as_str().unwrap() {
        "PING" => assert_eq!(*message, Message::Ping { id, enr_seq: seq() }),
        "PONG" => {
            let observed = SocketAddr::new(
                ip(&decoded["recipient_ip"]),
                number(&decoded["recipient_port"]).try_into().unwrap(),
            );
            assert_eq!(*message, Message::Pong { id, enr_seq: seq(), observed });
        }
        "FINDNODE" => {
            let distances: Vec<u16> =
                list("distances").iter().map(|d| number(d).try_into().unwrap()).collect();
            let distances = Distances::from(&distances[..]);
            assert_eq!(*message, Message::FindNode { id, distances });
        }
        "NODES" => {
            let records: Vec<Signed> = list("records")
                .iter()
                .map(|record| Signed::from_bytes(&bytes(record)).unwrap())
                .collect();
            let (total, records) = (number(&decoded["total"]), Records::from(&records[..]));
            assert_eq!(*message, Message::Nodes { id, total, records });
        }
        "TALKREQ" => {
            let (protocol, request) = (&bytes(&decoded["protocol"]), &bytes(&decoded["request"]));
            assert_eq!(*message, Message::TalkRequest { id, protocol, request });
        }
        "TALKRESP" => {
            let response = &bytes(&decoded["response"]);
            assert_eq!(*message, Message::TalkResponse { id, response });
        }
        other => panic!("{other:?} is not known"),
    }
}

fn ip(value: &Value) -> IpAddr {
    match bytes(value).len() {
        4 => Ipv4Addr::from(array(value)).into(),
        _ => Ipv6Addr::from(array::<16>(value)).into(),
    }
}

#[test]
fn invalid_messages_are_refused_for_the_reason_that_is_given() {
    use alloy_rlp::Error as Rlp;
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "invalid_messages", 19) {
        let (name, reason) = (entry.name(), entry.reason());
        assert_eq!(entry.0["valid"], false, "{name}");
        let plaintext = bytes(&entry.0["plaintext"]);
        let error = Message::decode(&plaintext).expect_err(name);
        let is_for = match reason {
            "empty message" => error == MessageError::Empty,
            "unknown message type" => error == MessageError::UnknownType(plaintext[0]),
            "trailing bytes after message-data" => error == MessageError::Trailing,
            "wrong number of list elements" => error == MessageError::Elements,
            "request-id longer than 8 bytes" => error == MessageError::RequestId(9),
            "recipient-ip is neither 4 nor 16 bytes" => error == MessageError::Ip(5),
            "distance greater than 256" => error == MessageError::Distance(257),
            "element is not a byte string" => error == MessageError::Rlp(Rlp::UnexpectedList),
            "rlp: integer has leading zero" => error == MessageError::Rlp(Rlp::LeadingZero),
            "rlp: integer overflow" => error == MessageError::Rlp(Rlp::Overflow),
            "rlp: non-canonical single byte" => {
                error == MessageError::Rlp(Rlp::NonCanonicalSingleByte)
            }
            "rlp: non-canonical length" => error == MessageError::Rlp(Rlp::NonCanonicalSize),
            _ => panic!("{reason:?} is not known"),
        };
        assert!(is_for, "{name}: {error:?} is not for {reason:?}");
    }
}

#[test]
fn headers_are_masked_with_the_whole_iv_as_counter() {
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "masking", 4) {
        let mut dest = NodeId([0; 32]);
        dest.0[..16].copy_from_slice(&array::<16>(&entry.0["masking_key"]));
        let mut header = bytes(&entry.0["header"]);
        let iv = array(&entry.0["masking_iv"]);
        Mask::of(&dest).apply(&iv, &mut header);
        assert_eq!(header, bytes(&entry.0["masked_header"]), "{}", entry.name());
        Mask::of(&dest).apply(&iv, &mut header);
        assert_eq!(header, bytes(&entry.0["header"]), "{}", entry.name());
    }
}

/// The messages of these are too short to be any, so the packets are refused for that; with a
/// longer message, which does not touch the header, they are read as what they are.
#[test]
fn headers_are_encoded_as_they_should() {
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "header_encodings", 4) {
        let name = entry.name();
        let dest = Mask::of(&id(&entry.0["dest_node_id"]));
        let (mut datagram, authdata) = (bytes(&entry.0["packet"]), bytes(&entry.0["authdata"]));
        let message = bytes(&entry.0["message"]);
        let iv: [u8; 16] = array(&entry.0["masking_iv"]);
        let mut scratch = [0; PACKET_BYTES_MAX];
        let error = Packet::decode(&dest, &datagram, &mut scratch).expect_err(name);
        assert_eq!(error, PacketError::MessageTooShort(message.len()), "{name}");

        datagram.extend_from_slice(&[7; 16]);
        let packet = Packet::decode(&dest, &datagram, &mut scratch).unwrap();
        assert_eq!(packet.message, [message, vec![7; 16]].concat(), "{name}");
        assert_eq!(packet.nonce, array(&entry.0["nonce"]), "{name}");
        assert_eq!(packet.ad[..16], iv, "{name}");
        assert_eq!(packet.ad[39..], authdata, "{name}");
        let flag = match packet.kind {
            Kind::Ordinary { src } => {
                assert_eq!(src.0[..], authdata, "{name}");
                0
            }
            Kind::WhoAreYou { .. } => panic!("{name}"),
            Kind::Handshake { src, signature, ephemeral, record } => {
                let record = record.unwrap_or_default();
                let parts: [&[u8]; 5] = [&src.0, &[64, 33], &signature.0, ephemeral, record];
                assert_eq!(parts.concat(), authdata, "{name}");
                2
            }
        };
        assert_eq!(number(&entry.0["flag"]), flag, "{name}");
        let mut header = packet.ad.to_vec();
        dest.apply(&iv, &mut header[16..]);
        assert_eq!(header, datagram[..header.len()], "{name}");
    }
}

#[test]
fn invalid_packets_are_refused_for_the_reason_that_is_given() {
    use PacketError::*;
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "invalid_packets", 20) {
        let (name, reason) = (entry.name(), entry.reason());
        assert_eq!(entry.0["valid"], false, "{name}");
        let own = Mask::of(&id(&entry.0["dest_node_id"]));
        let datagram = bytes(&entry.0["packet"]);
        let mut scratch = [0; PACKET_BYTES_MAX];
        let error = Packet::decode(&own, &datagram, &mut scratch).expect_err(name);
        let is_for = match reason {
            "smaller than 63 bytes" => matches!(error, Size(..63)),
            "larger than 1280 bytes" => matches!(error, Size(1281..)),
            "protocol-id mismatch" => error == Protocol,
            "unsupported version" => matches!(error, Version(_)),
            "unknown flag" => matches!(error, Flag(_)),
            "WHOAREYOU carries a message" => matches!(error, UnexpectedMessage(_)),
            "authdata-size is not 24 in WHOAREYOU"
            | "authdata-size is not 32 in an ordinary packet" => matches!(error, AuthdataSize(_)),
            "authdata-size beyond end of packet" => matches!(error, AuthdataOverrun(_)),
            "message shorter than a GCM tag" => matches!(error, MessageTooShort(_)),
            "handshake authdata shorter than its head" => matches!(error, HandshakeHead(_)),
            "handshake authdata shorter than its declared parts" => {
                matches!(error, HandshakeOverrun { .. })
            }
            _ => panic!("{reason:?} is not known"),
        };
        assert!(is_for, "{name}: {error:?} is not for {reason:?}");
        let told_apart = !matches!(error, Size(_) | Protocol | Version(_) | Flag(_));
        assert_eq!(is_discovery(&own, &datagram), told_apart, "{name}");
    }
}

/// Where a handshake fails.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    RecordMissing,
    RecordForm(RecordError),
    RecordSignature,
    RecordOfAnother,
    EphemeralKey,
    IdSignature,
    Message,
}

/// Every check that the recipient of a handshake owes, in an order that spends little on bad ones.
fn complete(
    own: &SecretKey,
    challenge: &ChallengeData,
    stored: Option<&Signed>,
    datagram: &[u8],
) -> Result<Vec<u8>, Refused> {
    let recipient = NodeId::of(&own.public_key().point());
    let mut scratch = [0; PACKET_BYTES_MAX];
    let packet = Packet::decode(&Mask::of(&recipient), datagram, &mut scratch).unwrap();
    let Kind::Handshake { src, signature, ephemeral, record } = packet.kind else { panic!() };
    let record = match (record, stored) {
        (Some(record), _) => {
            let claimed = Claimed::parse(record).map_err(Refused::RecordForm)?;
            claimed.verify().map_err(|_| Refused::RecordSignature)?
        }
        (None, Some(stored)) => stored.clone(),
        (None, None) => return Err(Refused::RecordMissing),
    };
    if record.node_id() != src {
        return Err(Refused::RecordOfAnother);
    }
    let (_, point) = Point::from_bytes(ephemeral).map_err(|_| Refused::EphemeralKey)?;
    let digest = id_digest(challenge, ephemeral, &recipient);
    if !record.public_key().point().verifies(&digest, &signature) {
        return Err(Refused::IdSignature);
    }
    let keys = derive(&own.agree(&point), challenge, &src, &recipient);
    let length = Cipher::new(&keys.initiator)
        .open_in_place(&packet.nonce, packet.ad, packet.message)
        .ok_or(Refused::Message)?;
    Ok(packet.message[..length].to_vec())
}

#[test]
fn handshakes_complete_or_fail_where_they_should() {
    let Some(vectors) = vectors() else { return };
    let own = secret(&vectors["keys"]["node_b"]["private_key"]);
    let known = Signed::from_bytes(&bytes(&vectors["packets"][3]["decoded"]["record"])).unwrap();
    assert_eq!(known.node_id(), id(&vectors["keys"]["node_a"]["node_id"]));
    for entry in entries(&vectors, "handshakes", 10) {
        let (name, datagram) = (entry.name(), bytes(&entry.0["packet"]));
        assert_eq!(id(&entry.0["dest_node_id"]), NodeId::of(&own.public_key().point()), "{name}");
        let challenge = ChallengeData(array(&entry.0["stored_challenge_data"]));
        let stored: &[Option<&Signed>] = match entry.0["stored_record_of_initiator"].as_str() {
            None => &[None],
            Some("none, or ENR of node A") => &[None, Some(&known)],
            Some(other) => panic!("{name}: {other:?} is not known"),
        };
        for &stored in stored {
            let outcome = complete(&own, &challenge, stored, &datagram);
            assert_eq!(outcome.is_ok(), entry.0["valid"] == true, "{name}");
            match name {
                "handshake-with-record-valid" => {
                    assert_eq!(outcome, Ok(bytes(&entry.0["message_plaintext"])));
                }
                "record-of-another-identity" => {
                    assert_eq!(outcome, Err(Refused::RecordOfAnother));
                }
                "no-record-when-none-known" => assert_eq!(outcome, Err(Refused::RecordMissing)),
                "signature-for-another-challenge" | "signature-wrong-key" | "signature-high-s" => {
                    assert_eq!(outcome, Err(Refused::IdSignature), "{name}");
                }
                "ephemeral-key-not-on-curve" => assert_eq!(outcome, Err(Refused::EphemeralKey)),
                "message-under-wrong-key" => assert_eq!(outcome, Err(Refused::Message)),
                "record-signature-broken" => assert_eq!(outcome, Err(Refused::RecordSignature)),
                "record-trailing-byte" => {
                    assert!(matches!(outcome, Err(Refused::RecordForm(_))), "{outcome:?}");
                }
                _ => panic!("{name:?} is not known"),
            }
        }
    }
}

#[test]
fn a_valid_handshake_is_made_from_its_keys() {
    let Some(vectors) = vectors() else { return };
    let entry = Entry(&vectors["handshakes"][0]);
    assert_eq!(entry.name(), "handshake-with-record-valid");
    let datagram = bytes(&entry.0["packet"]);
    let recipient = id(&entry.0["dest_node_id"]);
    let mut scratch = [0; PACKET_BYTES_MAX];
    let packet = Packet::decode(&Mask::of(&recipient), &datagram, &mut scratch).unwrap();
    let Kind::Handshake { record, .. } = packet.kind else { panic!() };

    let key = secret(&entry.0["initiator_private_key"]);
    let ephemeral = secret(&entry.0["ephemeral_private_key"]);
    let public = ephemeral.public_key();
    let src = NodeId::of(&key.public_key().point());
    let challenge = ChallengeData(array(&entry.0["stored_challenge_data"]));
    let signature = key.sign(&id_digest(&challenge, public.as_bytes(), &recipient));
    let shared = ephemeral.agree(&point(&vectors["keys"]["node_b"]["public_key"]));
    let keys = derive(&shared, &challenge, &src, &recipient);
    assert_eq!(keys.initiator, array(&entry.0["initiator_key"]));
    let plaintext = bytes(&entry.0["message_plaintext"]);
    let made = packet::handshake(
        &Mask::of(&recipient),
        packet.ad.first_chunk().unwrap(),
        &packet.nonce,
        &src,
        &signature,
        public.as_bytes(),
        record,
        &Cipher::new(&keys.initiator),
        &Message::decode(&plaintext).unwrap(),
    );
    assert_eq!(made, datagram);
}

#[test]
fn log_distances_are_bit_lengths() {
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "log_distances", 6) {
        let (a, b) = (id(&entry.0["a"]), id(&entry.0["b"]));
        let distance = number(&entry.0["log_distance"]);
        assert_eq!(u64::from(a.log_distance(&b)), distance, "{a:#} {b:#}");
        assert_eq!(u64::from(b.log_distance(&a)), distance, "{a:#} {b:#}");
    }
}

/// The distance that a look-up asks a peer for first, and its neighbours, nearest first and the
/// farther of two before the other.
#[test]
fn lookup_distances_start_at_the_distance_of_the_target() {
    let Some(vectors) = vectors() else { return };
    for entry in entries(&vectors, "lookup_distances", 3) {
        let distance = id(&entry.0["peer"]).log_distance(&id(&entry.0["target"]));
        let asked: Vec<u16> = entry.0["distances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|distance| number(distance).try_into().unwrap())
            .collect();
        let around = (1..256).flat_map(|step| [distance + step, distance.saturating_sub(step)]);
        let expected: Vec<u16> = std::iter::once(distance)
            .chain(around)
            .filter(|distance| (1..=256).contains(distance))
            .take(3)
            .collect();
        assert_eq!(asked, expected);
    }
}
