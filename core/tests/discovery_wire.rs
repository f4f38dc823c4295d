//! The wire of discv5: everything round-trips, no bytes panic, and there is one encoding of each
//! thing. Tests named `rNN_…` check that statement of the specification.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use alloy_rlp::Encodable;
use hkdf::hmac::{Hmac, Mac};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;
use sha2::{Digest, Sha256};
use stayfound_core::discovery::cipher::{Cipher, Mask, TAG_BYTES};
use stayfound_core::discovery::contact::Contact;
use stayfound_core::discovery::handshake::{self, ChallengeData, Keys};
use stayfound_core::discovery::message::{
    Distances, Message, MessageError, NODES_RECORD_BYTES_MAX, Records, RequestId,
    TALK_RESPONSE_BYTES_MAX,
};
use stayfound_core::discovery::packet::{
    self, CHALLENGEABLE_BYTES_MIN, HANDSHAKE_PLAINTEXT_BYTES_MAX, Kind, Nonce, PACKET_BYTES_MAX,
    PACKET_BYTES_MIN, PLAINTEXT_BYTES_MAX, Packet, PacketError, RANDOM_BYTES, is_discovery,
};
use stayfound_core::keys::{Point, SecretKey, Signature};
use stayfound_core::record::{Endpoints, NodeId, RECORD_BYTES_MAX, Signed};

const A: NodeId = NodeId([0xaa; 32]);
const B: NodeId = NodeId([0xbb; 32]);
const IV: [u8; 16] = [0x17; 16];
const NONCE: Nonce = *b"a fine nonce";

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

/// Records of several sizes.
static RECORDS: LazyLock<Vec<Signed>> = LazyLock::new(|| {
    let short = Endpoints::default();
    let ip = Some(Ipv4Addr::LOCALHOST);
    let long = Endpoints { ip, udp: Some(9000), quic: Some(9001), ..short };
    let seqs = [0, 1, 0x7f, 0x80, u64::MAX];
    seqs.iter().flat_map(|&seq| [short, long].map(|at| Signed::sign(&key(9), seq, &at))).collect()
});

/// What messages of every type are made of.
#[derive(Clone, Debug)]
struct Parts {
    kind: u8,
    id: RequestId,
    number: u64,
    observed: SocketAddr,
    distances: Vec<u16>,
    records: Vec<Signed>,
    protocol: Vec<u8>,
    payload: Vec<u8>,
}

impl Parts {
    fn message(&self) -> Message<'_> {
        let Self { kind, id, number, observed, .. } = *self;
        match kind {
            1 => Message::Ping { id, enr_seq: number },
            2 => Message::Pong { id, enr_seq: number, observed },
            3 => Message::FindNode { id, distances: Distances::from(&self.distances[..]) },
            4 => Message::Nodes { id, total: number, records: Records::from(&self.records[..]) },
            5 => Message::TalkRequest { id, protocol: &self.protocol, request: &self.payload },
            6 => Message::TalkResponse { id, response: &self.payload },
            _ => unreachable!("there are six types"),
        }
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let bytes = |most: usize| prop::collection::vec(any::<u8>(), 0..most);
    let observed =
        any::<(std::net::IpAddr, u16)>().prop_map(|(ip, port)| (ip.to_canonical(), port).into());
    let number = prop_oneof![any::<u64>(), 0u64..300];
    let records = prop::collection::vec((0..10usize).prop_map(|at| RECORDS[at].clone()), 0..5);
    let distances = prop::collection::vec(0u16..=256, 0..9);
    (1u8..=6, bytes(9), number, observed, distances, records, bytes(40), bytes(300)).prop_map(
        |(kind, id, number, observed, distances, records, protocol, payload)| {
            let id = RequestId::new(&id).unwrap();
            Parts { kind, id, number, observed, distances, records, protocol, payload }
        },
    )
}

fn encode(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(out.len(), message.length());
    out
}

/// A packet put together by hand, in the layout of R7 and R10.
fn raw(flag: u8, authdata: &[u8], message: &[u8]) -> Vec<u8> {
    raw_with(b"discv5", 1, flag, authdata.len() as u16, authdata, message)
}

fn raw_with(
    protocol: &[u8; 6],
    version: u16,
    flag: u8,
    authdata_size: u16,
    authdata: &[u8],
    message: &[u8],
) -> Vec<u8> {
    let (version, size) = (version.to_be_bytes(), authdata_size.to_be_bytes());
    let header: [&[u8]; 6] = [protocol, &version, &[flag], &NONCE, &size, authdata];
    let mut header = header.concat();
    Mask::of(&B).apply(&IV, &mut header);
    [&IV[..], &header, message].concat()
}

/// Authdata of a handshake that declares these sizes and has so many bytes after them.
fn handshake_authdata(signature: u8, ephemeral: u8, bytes: usize) -> Vec<u8> {
    [&A.0[..], &[signature, ephemeral], &vec![5; bytes]].concat()
}

/// What a packet says, out of the buffer it was read into.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    ad: Vec<u8>,
    nonce: Nonce,
    flag: u8,
    authdata: Vec<u8>,
    message: Vec<u8>,
}

fn read(datagram: &[u8]) -> Result<Read, PacketError> {
    let mut scratch = [0xee; PACKET_BYTES_MAX];
    let packet = Packet::decode(&Mask::of(&B), datagram, &mut scratch)?;
    let (flag, authdata) = match packet.kind {
        Kind::Ordinary { src } => (0, src.0.to_vec()),
        Kind::WhoAreYou { id_nonce, enr_seq } => {
            (1, [&id_nonce[..], &enr_seq.to_be_bytes()].concat())
        }
        Kind::Handshake { src, signature, ephemeral, record } => {
            let record = record.unwrap_or_default();
            (2, [&src.0[..], &[64, 33], &signature.0, ephemeral, record].concat())
        }
    };
    let ad = packet.ad.to_vec();
    Ok(Read { ad, nonce: packet.nonce, flag, authdata, message: packet.message.to_vec() })
}

impl Read {
    /// The datagram again, from what was understood of it.
    fn datagram(&self) -> Vec<u8> {
        let size = (self.authdata.len() as u16).to_be_bytes();
        let header: [&[u8]; 5] =
            [b"discv5\0\x01", &[self.flag], &self.nonce, &size, &self.authdata];
        let mut header = header.concat();
        assert_eq!(self.ad[16..], header, "the associated data is the header, unmasked");
        Mask::of(&B).apply(self.ad.first_chunk().unwrap(), &mut header);
        [&self.ad[..16], &header, &self.message].concat()
    }
}

/// The plaintext of a packet to B.
fn open(datagram: &[u8], cipher: &Cipher) -> Option<Vec<u8>> {
    let mut scratch = [0; PACKET_BYTES_MAX];
    let packet = Packet::decode(&Mask::of(&B), datagram, &mut scratch).unwrap();
    let length = cipher.open_in_place(&packet.nonce, packet.ad, packet.message)?;
    Some(packet.message[..length].to_vec())
}

/// A PING from A to B.
fn ping(iv: &[u8; 16], nonce: &Nonce, cipher: &Cipher) -> Vec<u8> {
    let message = Message::Ping { id: RequestId::from_u64(1), enr_seq: 2 };
    packet::ordinary(&Mask::of(&B), iv, nonce, &A, cipher, &message)
}

fn handshake_ping(record: Option<&[u8]>, cipher: &Cipher) -> Vec<u8> {
    let message = Message::Ping { id: RequestId::from_u64(1), enr_seq: 2 };
    let (dest, signature) = (Mask::of(&B), Signature([3; 64]));
    packet::handshake(&dest, &IV, &NONCE, &A, &signature, &[4; 33], record, cipher, &message)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../proptest-regressions/discovery_wire.txt"
        )))),
        ..ProptestConfig::default()
    }
}

/// What is read from bytes is written as these bytes, but for an address that is IPv4 in truth.
fn assert_canonical(plaintext: &[u8]) -> Result<(), TestCaseError> {
    let Ok(message) = Message::decode(plaintext) else { return Ok(()) };
    let again = encode(&message);
    if again != plaintext {
        let is_mapped =
            |bytes: &[u8]| bytes.windows(12).any(|w| w == [&[0; 10][..], &[255; 2]].concat());
        prop_assert!(matches!(message, Message::Pong { .. }), "{:?}", message);
        prop_assert!(is_mapped(plaintext) && !is_mapped(&again), "{:02x?}", plaintext);
    }
    prop_assert_eq!(Message::decode(&again), Ok(message));
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn messages_round_trip(parts in parts()) {
        let message = parts.message();
        let plaintext = encode(&message);
        let read = Message::decode(&plaintext).unwrap();
        prop_assert_eq!(read, message);
        prop_assert_eq!(encode(&read), plaintext);
    }

    #[test]
    fn no_bytes_panic_as_a_message(bytes in prop::collection::vec(any::<u8>(), 0..1_300)) {
        assert_canonical(&bytes)?;
        for kind in 0..8 {
            assert_canonical(&[&[kind], &bytes[..]].concat())?;
            let mut framed = vec![kind];
            alloy_rlp::Header { list: true, payload_length: bytes.len() }.encode(&mut framed);
            framed.extend_from_slice(&bytes);
            assert_canonical(&framed)?;
        }
    }

    #[test]
    fn a_message_has_one_encoding(parts in parts(), place in any::<Index>(), byte in any::<u8>()) {
        let plaintext = encode(&parts.message());
        let place = place.index(plaintext.len());
        let mut mutated = plaintext.clone();
        mutated[place] = byte;
        assert_canonical(&mutated)?;
        mutated = plaintext.clone();
        mutated.insert(place, byte);
        assert_canonical(&mutated)?;
        mutated = plaintext.clone();
        mutated.remove(place);
        assert_canonical(&mutated)?;
        prop_assert!(Message::decode(&plaintext[..place]).is_err());
    }

    #[test]
    fn ordinary_packets_round_trip(
        parts in parts(), iv: [u8; 16], nonce: Nonce, src: [u8; 32], key: [u8; 16],
    ) {
        let (src, cipher) = (NodeId(src), Cipher::new(&key));
        let message = parts.message();
        prop_assume!(message.length() <= PLAINTEXT_BYTES_MAX);
        let datagram = packet::ordinary(&Mask::of(&B), &iv, &nonce, &src, &cipher, &message);
        prop_assert_eq!(datagram.len(), CHALLENGEABLE_BYTES_MIN + message.length());
        let packet = read(&datagram).unwrap();
        prop_assert_eq!((packet.nonce, packet.flag), (nonce, 0));
        prop_assert_eq!(&packet.ad[..16], &iv);
        prop_assert_eq!(&packet.authdata, &src.0);
        prop_assert_eq!(packet.datagram(), datagram.clone());
        let plaintext = open(&datagram, &cipher).unwrap();
        prop_assert_eq!(Message::decode(&plaintext), Ok(message));
    }

    #[test]
    fn handshake_packets_round_trip(
        parts in parts(), iv: [u8; 16], nonce: Nonce, src: [u8; 32], key: [u8; 16],
        seal in prop::collection::vec(any::<u8>(), 97),
        record in prop::option::of(prop::collection::vec(any::<u8>(), 1..=RECORD_BYTES_MAX)),
    ) {
        let (src, cipher) = (NodeId(src), Cipher::new(&key));
        let signature = Signature(*seal.first_chunk().unwrap());
        let ephemeral = seal.last_chunk().unwrap();
        let (message, record) = (parts.message(), record.as_deref());
        prop_assume!(message.length() <= HANDSHAKE_PLAINTEXT_BYTES_MAX);
        let datagram = packet::handshake(
            &Mask::of(&B), &iv, &nonce, &src, &signature, ephemeral, record, &cipher, &message,
        );
        prop_assert_eq!(read(&datagram).unwrap().datagram(), datagram.clone());
        let mut scratch = [0; PACKET_BYTES_MAX];
        let packet = Packet::decode(&Mask::of(&B), &datagram, &mut scratch).unwrap();
        prop_assert_eq!(packet.nonce, nonce);
        prop_assert_eq!(packet.kind, Kind::Handshake { src, signature, ephemeral, record });
        let plaintext = open(&datagram, &cipher).unwrap();
        prop_assert_eq!(Message::decode(&plaintext), Ok(message));
    }

    #[test]
    fn challenges_round_trip(iv: [u8; 16], nonce: Nonce, id_nonce: [u8; 16], enr_seq: u64) {
        let dest = Mask::of(&B);
        let (datagram, challenge) = packet::who_are_you(&dest, &iv, &nonce, &id_nonce, enr_seq);
        prop_assert_eq!(read(&datagram).unwrap().datagram(), datagram.clone());
        prop_assert_eq!(packet::who_are_you_again(&dest, &challenge), datagram.clone());
        let mut scratch = [0; PACKET_BYTES_MAX];
        let packet = Packet::decode(&dest, &datagram, &mut scratch).unwrap();
        prop_assert_eq!(packet.nonce, nonce);
        prop_assert_eq!(packet.kind, Kind::WhoAreYou { id_nonce, enr_seq });
        prop_assert_eq!(packet.challenge_data(), Some(challenge));
    }

    #[test]
    fn random_packets_round_trip(
        iv: [u8; 16], nonce: Nonce, content in prop::collection::vec(any::<u8>(), RANDOM_BYTES),
    ) {
        let content: [u8; RANDOM_BYTES] = content.try_into().unwrap();
        let datagram = packet::random(&Mask::of(&B), &iv, &nonce, &A, &content);
        let packet = read(&datagram).unwrap();
        prop_assert_eq!(packet.datagram(), datagram);
        prop_assert_eq!(packet.message, content);
        prop_assert_eq!(packet.authdata, A.0);
        prop_assert_eq!((packet.flag, packet.nonce), (0, nonce));
    }

    /// Whatever the datagram, and whatever its header once it is ours.
    #[test]
    fn no_bytes_panic_as_a_packet(
        bytes in prop::collection::vec(any::<u8>(), 0..1_400),
        flag in 0u8..4,
        size in prop_oneof![select(vec![24u16, 32, 33, 34, 130, 131, 431]), any::<u16>()],
    ) {
        let ours = raw_with(b"discv5", 1, flag, size, &bytes, &[]);
        for datagram in [&bytes, &ours] {
            let told_apart = is_discovery(&Mask::of(&B), datagram);
            match read(datagram) {
                Ok(packet) => {
                    prop_assert!(told_apart);
                    // `raw_with` masked what turns out to be message too: it is read as it came.
                    prop_assert_eq!(&packet.datagram(), datagram);
                }
                Err(PacketError::Size(_) | PacketError::Protocol | PacketError::Flag(_)) => {
                    prop_assert!(!told_apart);
                }
                Err(PacketError::Version(_)) => prop_assert!(false, "{:02x?}", datagram),
                Err(_) => prop_assert!(told_apart),
            }
        }
    }

    /// No bit of a packet is without meaning: a changed one is refused, or means something else,
    /// and then the message does not open.
    #[test]
    fn a_changed_packet_does_not_open(place in any::<Index>(), bit in 0u8..8, with_record: bool) {
        let (cipher, record) = (Cipher::new(&[6; 16]), RECORDS[0].as_bytes());
        for datagram in [
            ping(&IV, &NONCE, &cipher),
            handshake_ping(with_record.then_some(record), &cipher),
        ] {
            prop_assert!(open(&datagram, &cipher).is_some());
            let mut changed = datagram.clone();
            changed[place.index(datagram.len())] ^= 1 << bit;
            if let Ok(packet) = read(&changed) {
                prop_assert_eq!(packet.datagram(), changed.clone());
                prop_assert!(open(&changed, &cipher).is_none());
            }
        }
    }

    #[test]
    fn a_contact_is_the_same_however_a_socket_reports_it(
        ip: Ipv4Addr, port: u16, scope: u32, flow: u32,
    ) {
        let contact = Contact::new(A, (ip, port).into());
        prop_assert_eq!(contact.at, SocketAddr::from((ip, port)));
        let mapped = std::net::SocketAddrV6::new(ip.to_ipv6_mapped(), port, flow, scope);
        prop_assert_eq!(Contact::new(A, mapped.into()), contact);
        let v6 = std::net::SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), port, flow, scope);
        prop_assert_eq!(Contact::new(A, v6.into()).at, SocketAddr::from((*v6.ip(), port)));
    }

    #[test]
    fn log_distance_is_the_bit_length_of_the_xor(a: [u8; 32], bit in 0usize..256) {
        let a = NodeId(a);
        prop_assert_eq!(a.log_distance(&a), 0);
        let mut b = a;
        b.0[31 - bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(a.log_distance(&b), bit as u16 + 1);
        prop_assert_eq!(b.log_distance(&a), bit as u16 + 1);
        for lower in 0..bit {
            b.0[31 - lower / 8] ^= a.0[lower % 32] & 1 << (lower % 8);
        }
        prop_assert_eq!(a.log_distance(&b), bit as u16 + 1);
    }

    #[test]
    fn request_ids_are_the_bytes_they_were_made_of(
        bytes in prop::collection::vec(any::<u8>(), 0..12), number: u64,
    ) {
        let id = RequestId::new(&bytes);
        prop_assert_eq!(id.is_some(), bytes.len() <= 8);
        if let Some(id) = id {
            prop_assert_eq!(id.as_bytes(), &bytes[..]);
        }
        let id = RequestId::from_u64(number);
        prop_assert_eq!(id.as_bytes(), &number.to_be_bytes());
    }

    #[test]
    fn r08_the_header_is_masked_with_a_counter_of_128_bits(
        high in prop_oneof![Just(u64::MAX), any::<u64>()],
        low in prop_oneof![Just(u64::MAX), (u64::MAX - 20)..=u64::MAX, any::<u64>()],
        dest: [u8; 32],
        header in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let counter = u128::from(high) << 64 | u128::from(low);
        let aes = Aes128Enc::new_from_slice(&dest[..16]).unwrap();
        let mut expected = header.clone();
        for (number, block) in expected.chunks_mut(16).enumerate() {
            let mut key = counter.wrapping_add(number as u128).to_be_bytes().into();
            aes.encrypt_block(&mut key);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        }
        let mut masked = header;
        Mask::of(&NodeId(dest)).apply(&counter.to_be_bytes(), &mut masked);
        prop_assert_eq!(masked, expected);
    }
}

#[test]
fn r01_no_packet_is_larger_than_1280_bytes() {
    let cipher = Cipher::new(&[6; 16]);
    let largest = [7; TALK_RESPONSE_BYTES_MAX];
    let message = Message::TalkResponse { id: RequestId::from_u64(1), response: &largest };
    let datagram = packet::ordinary(&Mask::of(&B), &IV, &NONCE, &A, &cipher, &message);
    assert_eq!(datagram.len(), 1280);
    assert_eq!(open(&datagram, &cipher), Some(encode(&message)));

    let larger = [&datagram[..], &[0]].concat();
    assert_eq!(read(&larger), Err(PacketError::Size(1281)));
    assert!(!is_discovery(&Mask::of(&B), &larger));
    assert_eq!(read(&vec![0; 65_507]), Err(PacketError::Size(65_507)));
}

#[test]
#[should_panic(expected = "a packet of 1281 bytes")]
fn r01_a_larger_packet_of_our_own_is_a_bug() {
    let response = &[7; TALK_RESPONSE_BYTES_MAX + 1];
    let message = Message::TalkResponse { id: RequestId::from_u64(1), response };
    let _ = packet::ordinary(&Mask::of(&B), &IV, &NONCE, &A, &Cipher::new(&[6; 16]), &message);
}

#[test]
fn r01_a_handshake_with_the_largest_record_has_room_for_a_request() {
    let request = &[7; HANDSHAKE_PLAINTEXT_BYTES_MAX - 1 - 3 - 9 - 1 - 3];
    let message = Message::TalkRequest { id: RequestId::from_u64(1), protocol: &[], request };
    assert_eq!(message.length(), HANDSHAKE_PLAINTEXT_BYTES_MAX);
    let (cipher, record) = (Cipher::new(&[6; 16]), [8; RECORD_BYTES_MAX]);
    let (dest, signature) = (Mask::of(&B), Signature([3; 64]));
    let datagram = packet::handshake(
        &dest,
        &IV,
        &NONCE,
        &A,
        &signature,
        &[4; 33],
        Some(&record),
        &cipher,
        &message,
    );
    assert_eq!(datagram.len(), 1280);
    assert_eq!(open(&datagram, &cipher), Some(encode(&message)));
}

#[test]
fn r02_no_packet_is_smaller_than_63_bytes() {
    let (challenge, _) = packet::who_are_you(&Mask::of(&B), &IV, &NONCE, &[1; 16], 0);
    assert_eq!(challenge.len(), PACKET_BYTES_MIN);
    assert!(read(&challenge).is_ok() && is_discovery(&Mask::of(&B), &challenge));
    for size in 0..PACKET_BYTES_MIN {
        assert_eq!(read(&challenge[..size]), Err(PacketError::Size(size)));
        assert!(!is_discovery(&Mask::of(&B), &challenge[..size]));
    }
}

#[test]
fn r07_a_packet_is_iv_header_and_message() {
    let datagram = ping(&IV, &NONCE, &Cipher::new(&[6; 16]));
    let packet = read(&datagram).unwrap();
    let parts = (&datagram[..16], &datagram[16..71], &datagram[71..]);
    assert_eq!(parts.0, IV);
    assert_ne!(parts.1, &packet.ad[16..]);
    assert_eq!(parts.2, packet.message);
}

#[test]
fn r09_the_masking_iv_is_the_packets_own() {
    let cipher = Cipher::new(&[6; 16]);
    let (one, other) = (ping(&[1; 16], &NONCE, &cipher), ping(&[2; 16], &NONCE, &cipher));
    assert_eq!((&one[..16], &other[..16]), (&[1; 16][..], &[2; 16][..]));
    let same = one[16..39].iter().zip(&other[16..39]).filter(|(a, b)| a == b).count();
    assert!(same < 8, "{same} bytes of the masked header are as in the other packet");
    assert_eq!(open(&one, &cipher), open(&other, &cipher));
}

#[test]
fn r10_the_static_header_has_23_bytes() {
    let datagram = ping(&IV, &NONCE, &Cipher::new(&[6; 16]));
    let mut header = datagram[16..39].to_vec();
    Mask::of(&B).apply(&IV, &mut header);
    assert_eq!(header, [&b"discv5"[..], &[0, 1], &[0], &NONCE, &[0, 32]].concat());
}

#[test]
fn r11_another_protocol_version_or_flag_is_dropped() {
    let with = |protocol, version, flag| raw_with(protocol, version, flag, 32, &A.0, &[0; 16]);
    assert!(read(&with(b"discv5", 1, 0)).is_ok());
    let mut refused = vec![(with(b"discv4", 1, 0), PacketError::Protocol)];
    for version in [0, 2, 0x0100, u16::MAX] {
        refused.push((with(b"discv5", version, 0), PacketError::Version(version)));
    }
    for flag in 3..=u8::MAX {
        refused.push((with(b"discv5", 1, flag), PacketError::Flag(flag)));
    }
    for (datagram, error) in refused {
        assert_eq!(read(&datagram), Err(error));
        assert!(!is_discovery(&Mask::of(&B), &datagram), "{error}");
    }
    // To another node.
    let datagram = with(b"discv5", 1, 0);
    let mut scratch = [0; PACKET_BYTES_MAX];
    let refused = Packet::decode(&Mask::of(&A), &datagram, &mut scratch).unwrap_err();
    assert_eq!(refused, PacketError::Protocol);
    assert!(is_discovery(&Mask::of(&B), &datagram) && !is_discovery(&Mask::of(&A), &datagram));
}

#[test]
fn r12_authdata_beyond_the_packet_is_dropped() {
    for flag in 0..=2 {
        for size in [49, 50, 1280, u16::MAX] {
            let datagram = raw_with(b"discv5", 1, flag, size, &A.0, &[0; 16]);
            assert_eq!(read(&datagram), Err(PacketError::AuthdataOverrun(size.into())));
        }
    }
}

#[test]
fn r13_a_message_opens_under_the_nonce_in_its_header() {
    let cipher = Cipher::new(&[6; 16]);
    for datagram in [ping(&IV, &NONCE, &cipher), handshake_ping(None, &cipher)] {
        let mut packet = read(&datagram).unwrap();
        assert_eq!(packet.nonce, NONCE);
        let other = *b"another none";
        assert_eq!(cipher.open_in_place(&other, &packet.ad, &mut packet.message), None);
        assert!(cipher.open_in_place(&NONCE, &packet.ad, &mut packet.message).is_some());
    }
    assert_ne!(ping(&IV, &NONCE, &cipher)[71..], ping(&IV, &[1; 12], &cipher)[71..]);
}

#[test]
fn r14_a_message_is_bound_to_iv_and_unmasked_header() {
    let cipher = Cipher::new(&[6; 16]);
    for datagram in [ping(&IV, &NONCE, &cipher), handshake_ping(None, &cipher)] {
        let mut packet = read(&datagram).unwrap();
        let header = [&b"discv5\0\x01"[..], &[packet.flag], &NONCE].concat();
        assert_eq!(packet.ad[..37], [&IV[..], &header].concat());
        let masked = &datagram[..packet.ad.len()];
        assert_eq!(cipher.open_in_place(&NONCE, masked, &mut packet.message), None);
        for place in 0..packet.ad.len() {
            let mut other = packet.ad.clone();
            other[place] ^= 1;
            assert_eq!(cipher.open_in_place(&NONCE, &other, &mut packet.message), None);
        }
        // Nothing of what was tried in vain is left behind.
        assert!(cipher.open_in_place(&NONCE, &packet.ad, &mut packet.message).is_some());
    }
}

#[test]
fn r15_a_message_is_type_and_list_with_a_tag() {
    let cipher = Cipher::new(&[6; 16]);
    let datagram = ping(&IV, &NONCE, &cipher);
    let plaintext = open(&datagram, &cipher).unwrap();
    assert_eq!(plaintext, [&[1, 0xca, 0x88][..], &1u64.to_be_bytes(), &[2]].concat());
    assert_eq!(datagram.len(), 71 + plaintext.len() + TAG_BYTES);
    assert_eq!(open(&datagram, &Cipher::new(&[7; 16])), None);
    for length in 0..TAG_BYTES {
        let short = raw(0, &A.0, &vec![0; length]);
        assert_eq!(read(&short), Err(PacketError::MessageTooShort(length)));
        assert_eq!(cipher.open_in_place(&NONCE, &[], &mut vec![0; length]), None);
    }
}

#[test]
fn r16_the_authdata_of_an_ordinary_packet_is_an_id() {
    let packet = read(&raw(0, &A.0, &[9; 16])).unwrap();
    assert_eq!((packet.flag, packet.authdata), (0, A.0.to_vec()));
    for size in [0, 24, 31, 33, 64, 131] {
        let refused = read(&raw(0, &vec![1; size], &[9; 40]));
        assert_eq!(refused, Err(PacketError::AuthdataSize(size)));
    }
}

#[test]
fn r17_a_whoareyou_has_24_bytes_of_authdata_and_no_message() {
    let authdata = [&[1; 16][..], &0x0203u64.to_be_bytes()].concat();
    let mut scratch = [0; PACKET_BYTES_MAX];
    let datagram = raw(1, &authdata, &[]);
    let packet = Packet::decode(&Mask::of(&B), &datagram, &mut scratch).unwrap();
    assert_eq!(packet.kind, Kind::WhoAreYou { id_nonce: [1; 16], enr_seq: 0x0203 });
    assert_eq!((packet.nonce, packet.message.len()), (NONCE, 0));
    let made = packet::who_are_you(&Mask::of(&B), &IV, &NONCE, &[1; 16], 0x0203).0;
    assert_eq!(made, datagram);

    let trailing = read(&raw(1, &authdata, &[0]));
    assert_eq!(trailing, Err(PacketError::UnexpectedMessage(1)));
    for size in [0, 23, 25, 32] {
        let refused = read(&raw(1, &vec![1; size], &[9; 40]));
        assert_eq!(refused, Err(PacketError::AuthdataSize(size)));
    }
}

#[test]
fn r19_a_handshake_carries_signature_key_and_record() {
    let cipher = Cipher::new(&[6; 16]);
    for record in [None, Some(&[0xc0][..]), Some(RECORDS[1].as_bytes())] {
        let datagram = handshake_ping(record, &cipher);
        let size = 34 + 64 + 33 + record.map_or(0, <[u8]>::len);
        let packet = read(&datagram).unwrap();
        assert_eq!(packet.ad.len(), 39 + size);
        assert_eq!(packet.ad[37..39], (size as u16).to_be_bytes());
        assert_eq!(packet.authdata, packet.ad[39..]);
        let mut scratch = [0; PACKET_BYTES_MAX];
        let packet = Packet::decode(&Mask::of(&B), &datagram, &mut scratch).unwrap();
        let (signature, ephemeral) = (Signature([3; 64]), &[4; 33]);
        assert_eq!(packet.kind, Kind::Handshake { src: A, signature, ephemeral, record });
        assert_eq!(packet.challenge_data(), None);
    }
}

#[test]
fn r20_a_handshake_of_other_sizes_is_dropped() {
    for size in 0..34 {
        let refused = read(&raw(2, &vec![1; size], &[9; 60]));
        assert_eq!(refused, Err(PacketError::HandshakeHead(size)));
    }
    let with = |signature, ephemeral, bytes| {
        read(&raw(2, &handshake_authdata(signature, ephemeral, bytes), &[9; 60]))
    };
    assert!(with(64, 33, 97).is_ok());
    for (signature, ephemeral, bytes) in [(64, 33, 96), (64, 33, 0), (255, 255, 509), (65, 33, 97)]
    {
        let error = PacketError::HandshakeOverrun { signature, ephemeral };
        assert_eq!(with(signature, ephemeral, bytes), Err(error));
    }
    for (signature, ephemeral) in [(0, 0), (63, 34), (65, 32), (64, 32), (33, 64), (64, 34)] {
        let error = PacketError::HandshakeScheme { signature, ephemeral };
        assert_eq!(with(signature, ephemeral, 600), Err(error));
    }
}

#[test]
fn r21_a_packet_without_a_session_is_long_enough_to_be_answered() {
    let datagram = packet::random(&Mask::of(&B), &IV, &NONCE, &A, &[1; RANDOM_BYTES]);
    assert_eq!(datagram.len(), 115);
    assert!(
        datagram.len() >= CHALLENGEABLE_BYTES_MIN && PACKET_BYTES_MIN < CHALLENGEABLE_BYTES_MIN
    );
}

#[test]
fn r24_the_challenge_is_the_whoareyou_unmasked() {
    let dest = Mask::of(&B);
    let (datagram, challenge) = packet::who_are_you(&dest, &IV, &NONCE, &[1; 16], 7);
    let header = [&b"discv5\0\x01\x01"[..], &NONCE, &[0, 24], &[1; 16], &7u64.to_be_bytes()];
    assert_eq!(challenge.0[..], [&IV[..], &header.concat()].concat());
    let mut scratch = [0; PACKET_BYTES_MAX];
    let packet = Packet::decode(&dest, &datagram, &mut scratch).unwrap();
    assert_eq!(packet.challenge_data(), Some(challenge));
    let ordinary = ping(&IV, &NONCE, &Cipher::new(&[6; 16]));
    assert_eq!(Packet::decode(&dest, &ordinary, &mut scratch).unwrap().challenge_data(), None);
}

#[test]
fn r25_both_sides_agree_on_a_compressed_point() {
    let (ephemeral, own) = (key(1), key(2));
    let at_a = ephemeral.agree(&own.public_key().point());
    let at_b = own.agree(&Point::from_bytes(ephemeral.public_key().as_bytes()).unwrap().1);
    assert_eq!(at_a, at_b);
    assert!(Point::from_bytes(&at_a).is_ok(), "33 bytes that are a point");
    assert_ne!(at_a, key(3).agree(&own.public_key().point()));
}

/// HKDF spelled out: extract with the challenge as key, expand by one block.
#[test]
fn r26_the_keys_are_derived_by_hkdf() {
    fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
    let (secret, challenge) = ([2; 33], ChallengeData([1; 63]));
    let prk = hmac(&challenge.0, &[&secret]);
    let output = hmac(&prk, &[b"discovery v5 key agreement", &A.0, &B.0, &[1]]);
    let Keys { initiator, recipient } = handshake::derive(&secret, &challenge, &A, &B);
    assert_eq!([initiator, recipient].concat(), output);
    assert_ne!(handshake::derive(&secret, &challenge, &B, &A).initiator, initiator);
    assert_ne!(handshake::derive(&secret, &ChallengeData([0; 63]), &A, &B).initiator, initiator);
}

#[test]
fn r27_the_identity_proof_covers_challenge_key_and_recipient() {
    let (challenge, ephemeral) = (ChallengeData([1; 63]), [2; 33]);
    let digest = handshake::id_digest(&challenge, &ephemeral, &B);
    let text = b"discovery v5 identity proof";
    let input = [&text[..], &challenge.0, &ephemeral, &B.0].concat();
    assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(input)));

    let signature = key(1).sign(&digest);
    assert!(key(1).public_key().point().verifies(&digest, &signature));
    for other in [
        handshake::id_digest(&ChallengeData([0; 63]), &ephemeral, &B),
        handshake::id_digest(&challenge, &[3; 33], &B),
        handshake::id_digest(&challenge, &ephemeral, &A),
    ] {
        assert!(!key(1).public_key().point().verifies(&other, &signature));
    }
}

#[test]
fn r44_request_ids_have_up_to_8_bytes_and_are_mirrored() {
    for id in [&[][..], &[0], &[0x7f], &[0x80], &[0, 0, 1], &[0; 8], &[0xff; 8]] {
        let mut items = Vec::new();
        id.encode(&mut items);
        items.push(1);
        let mut request = vec![1];
        alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut request);
        request.extend_from_slice(&items);
        let message = Message::decode(&request).unwrap();
        assert_eq!(message.id().as_bytes(), id);
        let pong = Message::TalkResponse { id: message.id(), response: b"" };
        assert_eq!(Message::decode(&encode(&pong)).unwrap().id().as_bytes(), id);
        assert_eq!(encode(&pong)[2..], [&items[..items.len() - 1], &[0x80]].concat());
    }
    assert_eq!(
        Message::decode(&[1, 0xcb, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
        Err(MessageError::RequestId(9)),
    );
}

#[test]
fn r45_a_ping_carries_the_sequence_number() {
    let id = RequestId::new(&[1]).unwrap();
    for (enr_seq, item) in [(0, &[0x80][..]), (1, &[1]), (0x80, &[0x81, 0x80])] {
        let message = Message::Ping { id, enr_seq };
        let list = 0xc0 + 1 + item.len() as u8;
        assert_eq!(encode(&message), [&[1, list, 1], item].concat());
        assert_eq!(Message::decode(&encode(&message)), Ok(message));
    }
}

#[test]
fn r46_an_ipv4_address_is_observed_as_4_bytes() {
    let (id, enr_seq) = (RequestId::new(&[1]).unwrap(), 1);
    let v4 = SocketAddr::from(([127, 0, 0, 1], 5000));
    let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 5000));
    let expected = [2, 0xca, 1, 1, 0x84, 127, 0, 0, 1, 0x82, 0x13, 0x88];
    for observed in [v4, mapped] {
        let message = Message::Pong { id, enr_seq, observed };
        assert_eq!(encode(&message), expected);
    }
    let read = Ok(Message::Pong { id, enr_seq, observed: v4 });
    assert_eq!(Message::decode(&expected), read);
    let ip = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let foreign = [&[2, 0xd6, 1, 1, 0x90], &ip[..], &[0x82, 0x13, 0x88]].concat();
    assert_eq!(Message::decode(&foreign), read);

    let observed = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 5000));
    let message = Message::Pong { id, enr_seq, observed };
    assert_eq!(encode(&message).len(), foreign.len());
    assert_eq!(Message::decode(&encode(&message)), Ok(message));
    for length in [0, 3, 5, 15, 17] {
        let ip = vec![9; length];
        let items = [&[1, 1, 0x80 + length as u8], &ip[..], &[0x82, 0x13, 0x88]].concat();
        let pong = [&[2, 0xc0 + items.len() as u8], &items[..]].concat();
        assert_eq!(Message::decode(&pong), Err(MessageError::Ip(length)));
    }
}

#[test]
fn r47_distances_are_0_to_256() {
    let id = RequestId::new(&[1]).unwrap();
    let all: Vec<u16> = (0..=256).collect();
    let message = Message::FindNode { id, distances: Distances::from(&all[..]) };
    let plaintext = encode(&message);
    let Ok(Message::FindNode { distances, .. }) = Message::decode(&plaintext) else { panic!() };
    assert!(distances.iter().eq(0..=256));
    for distance in [257u64, 1 << 16, (1 << 16) + 1, u64::MAX] {
        let item = alloy_rlp::encode(distance);
        let list = [&[0xc0 + item.len() as u8], &item[..]].concat();
        let find = [&[3, 0xc1 + list.len() as u8, 1], &list[..]].concat();
        assert_eq!(Message::decode(&find), Err(MessageError::Distance(distance)));
    }
}

#[test]
#[should_panic(expected = "257")]
fn r47_a_larger_distance_of_our_own_is_a_bug() {
    let _ = Distances::from(&[257][..]);
}

#[test]
fn r50_a_nodes_packet_holds_what_fits_and_says_how_many_there_are() {
    let id = RequestId::from_u64(1);
    let cipher = Cipher::new(&[6; 16]);
    for record in RECORDS.iter() {
        let fits = NODES_RECORD_BYTES_MAX / record.as_bytes().len();
        let records = vec![record.clone(); fits];
        let message = Message::Nodes { id, total: 127, records: Records::from(&records[..]) };
        let datagram = packet::ordinary(&Mask::of(&B), &IV, &NONCE, &A, &cipher, &message);
        let plaintext = open(&datagram, &cipher).unwrap();
        let Ok(Message::Nodes { total, records, .. }) = Message::decode(&plaintext) else {
            panic!()
        };
        assert_eq!((total, records.iter().count()), (127, fits));
        assert!(records.iter().all(|one| one == record.as_bytes()));
    }
    // Nothing to tell is one packet too.
    let none = Message::Nodes { id, total: 1, records: Records::from(&[][..]) };
    assert_eq!(encode(&none)[11..], [1, 0xc0]);
    // Every byte of the room is there.
    let list = 3 + NODES_RECORD_BYTES_MAX;
    assert_eq!(1 + 3 + 9 + 1 + list, PLAINTEXT_BYTES_MAX);
}

#[test]
fn r50_records_are_lists() {
    let nodes = |items: &[u8]| {
        let list = [&[0xc0 + items.len() as u8], items].concat();
        [&[4, 0xc2 + list.len() as u8, 1, 1], &list[..]].concat()
    };
    let plaintext = nodes(&[0xc0, 0xc1, 5]);
    let Ok(Message::Nodes { records, .. }) = Message::decode(&plaintext) else { panic!() };
    assert!(records.iter().eq([&[0xc0][..], &[0xc1, 5]]));
    for items in [&[5][..], &[0xc0, 0x81, 0x80], &[0xc2, 5]] {
        assert!(matches!(Message::decode(&nodes(items)), Err(MessageError::Rlp(_))));
    }
}

#[test]
fn r57_an_answer_has_up_to_1177_bytes() {
    assert_eq!(TALK_RESPONSE_BYTES_MAX, 1177);
    let length = |bytes: usize| {
        let response = &vec![7; bytes];
        Message::TalkResponse { id: RequestId::from_u64(1), response }.length()
    };
    assert_eq!(length(1177), PLAINTEXT_BYTES_MAX);
    assert_eq!(length(1178), PLAINTEXT_BYTES_MAX + 1);
}

#[test]
fn r59_what_is_malformed_is_an_error() {
    use alloy_rlp::Error as Rlp;
    let cases: [(&[u8], MessageError); 14] = [
        (&[], MessageError::Empty),
        (&[0, 0xc2, 1, 1], MessageError::UnknownType(0)),
        (&[7, 0xc2, 1, 1], MessageError::UnknownType(7)),
        (&[0xff], MessageError::UnknownType(0xff)),
        (&[1], MessageError::Rlp(Rlp::InputTooShort)),
        (&[1, 0xc2, 1, 1, 0], MessageError::Trailing),
        (&[1, 0xc0], MessageError::Elements),
        (&[1, 0xc1, 1], MessageError::Elements),
        (&[1, 0xc3, 1, 1, 1], MessageError::Elements),
        (&[1, 0xc2, 1, 0], MessageError::Rlp(Rlp::LeadingZero)),
        (&[1, 0xc3, 1, 0x81, 1], MessageError::Rlp(Rlp::NonCanonicalSingleByte)),
        (&[1, 0xcb, 1, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0], MessageError::Rlp(Rlp::Overflow)),
        (&[1, 0xc3, 1, 0x82, 1], MessageError::Rlp(Rlp::InputTooShort)),
        (&[1, 2], MessageError::Rlp(Rlp::UnexpectedString)),
    ];
    for (plaintext, error) in cases {
        assert_eq!(Message::decode(plaintext), Err(error), "{plaintext:02x?}");
    }
}
