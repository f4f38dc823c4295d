//! Our record against the `enr` crate's: both read the same bytes, and whatever they decide
//! differently is named in [`DIFFERENCES`] with its reason. Any other difference fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use alloy_rlp::{Decodable, Header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use enr::Enr;
use enr::k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sha3::{Digest, Keccak256};
use stayfound_core::keys::{KeyError, SecretKey};
use stayfound_core::record::{RECORD_BYTES_MAX, RecordError, Signed, is_usable};
use stayfound_tests::proptest_config;

type Theirs = Enr<SigningKey>;

/// What both made of one input.
#[derive(Debug)]
struct Case {
    ours: Result<Signed, RecordError>,
    theirs: Result<Theirs, String>,
    /// Whether the text had its prefix; bytes need none.
    has_prefix: bool,
    /// How many bytes `enr` left unread.
    unread: usize,
}

/// A decision that differs on purpose, and how to recognise it.
struct Difference {
    name: &'static str,
    why: &'static str,
    explains: fn(&Case) -> bool,
}

const DIFFERENCES: [Difference; 6] = [
    Difference {
        name: "an address or port that does not decode",
        why: "EIP-778 leaves values to whoever uses them: by its signature the record is valid, \
              only that endpoint is not usable. go-ethereum decides as we do. A cluster must not \
              lose an operator's newest record over a field that nobody asked for.",
        explains: |case| {
            case.theirs.is_err() && case.ours.as_ref().is_ok_and(has_undecodable_endpoint)
        },
    },
    Difference {
        name: "an `ed25519` value that is a list",
        why: "That key means nothing in the scheme \"v4\": its value is one like any other.",
        explains: |case| {
            let is_list = |(key, item): (&[u8], &[u8])| key == b"ed25519" && item[0] >= 0xc0;
            case.theirs.is_err() && case.ours.as_ref().is_ok_and(|ours| ours.pairs().any(is_list))
        },
    },
    Difference {
        name: "an uncompressed public key",
        why: "EIP-778: secp256k1 is the compressed key, 33 bytes. With two encodings one identity \
              would have two keys.",
        explains: |case| {
            case.ours == Err(RecordError::Key(KeyError::Length(65))) && key_tag(case) == Some(4)
        },
    },
    Difference {
        name: "a compact public key (SEC1 tag 5)",
        why: "The same: EIP-778 knows the compressed form only (tags 2 and 3).",
        explains: |case| {
            case.ours == Err(RecordError::Key(KeyError::NotOnCurve)) && key_tag(case) == Some(5)
        },
    },
    Difference {
        name: "bytes after the record",
        why: "What we decode is always the whole input, and a record has one encoding. `enr` \
              leaves them in the buffer for whoever decodes a longer message.",
        explains: |case| {
            let refused = RecordError::Rlp(alloy_rlp::Error::UnexpectedLength);
            case.theirs.is_ok() && case.unread > 0 && case.ours == Err(refused)
        },
    },
    Difference {
        name: "text without the prefix",
        why: "The text form begins with \"enr:\" (EIP-778).",
        explains: |case| {
            case.theirs.is_ok() && !case.has_prefix && case.ours == Err(RecordError::Prefix)
        },
    },
];

/// The first byte of the public key, where `enr` accepted it.
fn key_tag(case: &Case) -> Option<u8> {
    let mut item = case.theirs.as_ref().ok()?.get_raw_rlp("secp256k1")?;
    Header::decode_bytes(&mut item, false).ok()?.first().copied()
}

fn has_undecodable_endpoint(record: &Signed) -> bool {
    record.pairs().any(|(key, mut item)| match key {
        b"ip" => <[u8; 4]>::decode(&mut item).is_err(),
        b"ip6" => <[u8; 16]>::decode(&mut item).is_err(),
        b"tcp" | b"tcp6" | b"udp" | b"udp6" => u16::decode(&mut item).is_err(),
        _ => false,
    })
}

/// Has both decide the bytes; the name of the difference, if they differ.
fn decide_bytes(bytes: &[u8]) -> Option<&'static str> {
    let rest = &mut &bytes[..];
    let theirs = Theirs::decode(rest).map_err(|error| error.to_string());
    decide(Case { ours: Signed::from_bytes(bytes), theirs, has_prefix: true, unread: rest.len() })
}

fn decide_text(text: &str) -> Option<&'static str> {
    let (ours, theirs) = (Signed::from_text(text), text.parse::<Theirs>());
    let payload = text.strip_prefix("enr:");
    let unread = theirs.as_ref().map_or(0, |theirs| {
        let bytes = URL_SAFE_NO_PAD.decode(payload.unwrap_or(text)).unwrap();
        bytes.len() - alloy_rlp::encode(theirs).len()
    });
    decide(Case { ours, theirs, has_prefix: payload.is_some(), unread })
}

fn decide(case: Case) -> Option<&'static str> {
    match (&case.ours, &case.theirs) {
        (Err(_), Err(_)) => None,
        (Ok(ours), Ok(theirs)) => {
            assert_same(ours, theirs);
            None
        }
        _ => {
            let difference = DIFFERENCES.iter().find(|difference| (difference.explains)(&case));
            let difference = difference.unwrap_or_else(|| panic!("without a name: {case:?}"));
            assert!(!difference.why.is_empty());
            Some(difference.name)
        }
    }
}

/// Where both accept, every field is the same, and each converts to the other.
fn assert_same(ours: &Signed, theirs: &Theirs) {
    assert_eq!(ours.as_bytes(), alloy_rlp::encode(theirs));
    assert_eq!(ours.to_text(), theirs.to_base64());
    assert_eq!(ours.seq(), theirs.seq());
    assert_eq!(ours.node_id().0, theirs.node_id().raw());
    let key = theirs.public_key().to_sec1_point(true);
    assert_eq!(ours.public_key().as_bytes(), key.as_bytes());
    assert!(ours.pairs().eq(theirs.iter().map(|(key, item)| (key.as_slice(), item))));
    assert_eq!(&Signed::try_from(theirs).unwrap(), ours);
    assert_eq!(&Theirs::try_from(ours).unwrap(), theirs);

    let endpoints = ours.endpoints();
    let port = |key: &str| theirs.get_decodable::<u16>(key).and_then(Result::ok);
    assert_eq!((endpoints.ip, endpoints.ip6), (theirs.ip4(), theirs.ip6()));
    assert_eq!((endpoints.udp, endpoints.udp6), (theirs.udp4(), theirs.udp6()));
    assert_eq!((endpoints.quic, endpoints.quic6), (port("quic"), port("quic6")));

    // Two deliberate differences more. Without `udp6`, `udp` holds for the IPv6 address too (devp2p,
    // enr.md), which `enr` leaves to its callers. And what cannot be dialled, such as 0.0.0.0 or
    // port 0, is no address of ours.
    let udp6 = theirs.udp6().or(theirs.udp4());
    let v4 = theirs.udp4_socket().map(SocketAddr::from);
    let v6 = theirs.ip6().zip(udp6).map(SocketAddr::from);
    let usable = v4.into_iter().chain(v6).filter(|address| is_usable(*address));
    assert!(endpoints.udp_addresses().eq(usable));
}

// Records of any kind, made of parts so that each rule can be broken by itself.

/// A record before it is encoded: everything as RLP items.
#[derive(Clone, Debug)]
struct Draft {
    key: u8,
    seq: Vec<u8>,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    sorted: bool,
    signing: Signing,
    /// Bytes of the signed content that are altered before signing.
    edits: Vec<(Index, u8)>,
    /// So many bytes in all, by a pair of its own.
    size: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Signing {
    Right,
    HighS,
    OtherKey,
    OtherContent,
    Short,
    WithRecoveryId,
    Empty,
}

fn secret(scalar: u8) -> SecretKey {
    SecretKey::from_bytes(&[scalar; 32]).unwrap()
}

fn point(scalar: u8) -> VerifyingKey {
    *SigningKey::from_slice(&[scalar; 32]).unwrap().verifying_key()
}

fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { list: true, payload_length: items.len() }.encode(&mut out);
    out.extend_from_slice(items);
    out
}

fn string(bytes: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(bytes)
}

impl Draft {
    /// A plain record: what every other draft varies.
    fn plain(key: u8) -> Self {
        Self {
            key,
            seq: alloy_rlp::encode(7_u64),
            pairs: vec![
                (b"id".to_vec(), string(b"v4")),
                (b"secp256k1".to_vec(), string(secret(key).public_key().as_bytes())),
            ],
            sorted: true,
            signing: Signing::Right,
            edits: Vec::new(),
            size: None,
        }
    }

    fn with(mut self, key: &[u8], item: Vec<u8>) -> Self {
        self.pairs.retain(|(one, _)| one != key);
        self.pairs.push((key.to_vec(), item));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut content = self.content(None);
        if let Some(size) = self.size {
            // The padding's own headers take a few bytes, so its length is searched for.
            let record = |content: &[u8]| list(&[&string(&[0xff; 64]), content].concat()).len();
            let padded = (0..size).map(|padding| self.content(Some(padding)));
            content = padded.into_iter().find(|content| record(content) == size).unwrap_or(content);
        }
        for (at, byte) in &self.edits {
            let at = at.index(content.len());
            content[at] = *byte;
        }
        list(&[string(&self.sign(&content)), content].concat())
    }

    fn content(&self, padding: Option<usize>) -> Vec<u8> {
        let mut pairs = self.pairs.clone();
        pairs.extend(padding.map(|padding| (b"zz".to_vec(), string(&vec![0xaa; padding]))));
        if self.sorted {
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            pairs.dedup_by(|one, other| one.0 == other.0);
        }
        let pairs = pairs.into_iter().flat_map(|(key, item)| [string(&key), item]);
        [self.seq.clone()].into_iter().chain(pairs).flatten().collect()
    }

    fn sign(&self, content: &[u8]) -> Vec<u8> {
        let signed =
            |key: u8, content: &[u8]| secret(key).sign(&keccak256(&list(content))).0.to_vec();
        let right = signed(self.key, content);
        match self.signing {
            Signing::Right => right,
            Signing::HighS => {
                let (r, s) = Signature::from_slice(&right).unwrap().split_scalars();
                Signature::from_scalars(r, -s).unwrap().to_vec()
            }
            Signing::OtherKey => signed(self.key + 1, content),
            Signing::OtherContent => signed(self.key, &content[1..]),
            Signing::Short => right[..63].to_vec(),
            Signing::WithRecoveryId => [right, vec![1]].concat(),
            Signing::Empty => Vec::new(),
        }
    }
}

fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// An item: strings and lists of any kind, and what ports and addresses look like.
fn item() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u16>().prop_map(alloy_rlp::encode),
        any::<[u8; 4]>().prop_map(|ip| string(&ip)),
        any::<[u8; 16]>().prop_map(|ip| string(&ip)),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| string(&bytes)),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|items| list(&items)),
        prop::collection::vec(any::<u16>(), 0..4).prop_map(|ports| alloy_rlp::encode(&ports)),
        // Not RLP, or not canonical.
        prop::collection::vec(any::<u8>(), 0..5),
        (0..=0x7f_u8).prop_map(|byte| vec![0x81, byte]),
        select(vec![vec![0x82, 0, 30], vec![0xb8, 2, 1, 1], vec![0xf8, 0], vec![0x84, 1]]),
    ]
}

/// Fields that decode, weighted towards those that mean something.
fn field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let ports = select(vec!["tcp", "tcp6", "udp", "udp6", "quic", "quic6"]);
    let names = ["id", "ip", "ip6", "tcp", "udp", "udp6", "quic", "secp256k1", "ed25519", "eth"];
    prop_oneof![
        4 => (ports, any::<u16>()).prop_map(|(name, port)| (name.into(), alloy_rlp::encode(port))),
        3 => any::<[u8; 4]>().prop_map(|ip| (b"ip".to_vec(), string(&ip))),
        3 => any::<[u8; 16]>().prop_map(|ip| (b"ip6".to_vec(), string(&ip))),
        1 => Just((b"ip".to_vec(), string(&[0; 4]))),
        2 => (prop::collection::vec(any::<u8>(), 0..4), item()),
        2 => (select(names.to_vec()), item()).prop_map(|(name, item)| (name.into(), item)),
    ]
}

fn public_key(key: u8) -> impl Strategy<Value = Vec<u8>> {
    let (point, other) = (point(key), point(key + 1));
    let compressed = point.to_sec1_point(true).as_bytes().to_vec();
    prop_oneof![
        12 => Just(compressed.clone()),
        1 => Just(point.to_sec1_point(false).as_bytes().to_vec()),
        1 => Just(compact(&point)),
        1 => Just(other.to_sec1_point(true).as_bytes().to_vec()),
        1 => (any::<Index>(), any::<u8>()).prop_map(move |(at, byte)| {
            let mut bytes = compressed.clone();
            bytes[at.index(33)] = byte;
            bytes
        }),
        1 => prop::collection::vec(any::<u8>(), 31..35),
    ]
}

fn seq() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => any::<u64>().prop_map(alloy_rlp::encode),
        2 => (0..300_u64).prop_map(alloy_rlp::encode),
        1 => Just(alloy_rlp::encode(u64::MAX)),
        1 => item(),
    ]
}

fn signing() -> impl Strategy<Value = Signing> {
    use Signing::*;
    prop_oneof![
        12 => Just(Right),
        1 => select(vec![HighS, OtherKey, OtherContent, Short, WithRecoveryId, Empty]),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let identity = (1..200_u8).prop_flat_map(|key| (Just(key), public_key(key)));
    let fields = prop::collection::vec(field(), 0..7);
    let scheme = prop_oneof![
        12 => Just(Some(string(b"v4"))),
        1 => Just(None),
        1 => item().prop_map(Some),
    ];
    let sizes = prop::option::of(RECORD_BYTES_MAX - 4..RECORD_BYTES_MAX + 4);
    let edits = prop_oneof![
        4 => Just(Vec::new()),
        1 => prop::collection::vec((any::<Index>(), any::<u8>()), 1..3),
    ];
    let sorted = prop::bool::weighted(0.9);
    (identity, seq(), fields, scheme, sorted, signing(), edits, sizes).prop_map(
        |((key, public_key), seq, mut pairs, scheme, sorted, signing, edits, size)| {
            // First, so that sorting (which is stable) and dropping repetitions keeps them.
            let scheme = scheme.map(|scheme| (b"id".to_vec(), scheme));
            let identity = (b"secp256k1".to_vec(), string(&public_key));
            pairs.splice(0..0, scheme.into_iter().chain([identity]));
            Draft { key, seq, pairs, sorted, signing, edits, size }
        },
    )
}

#[test]
fn every_difference_is_reached() {
    // A key that its x alone stands for: half of all are.
    let is_compact = |key: &u8| {
        let read = VerifyingKey::from_sec1_bytes(&compact(&point(*key)));
        read.is_ok_and(|read| read == point(*key))
    };
    let key = (1..200).find(is_compact).unwrap();
    let (tag_4, tag_5) = (point(key).to_sec1_point(false), compact(&point(key)));
    let plain = Draft::plain(key);
    let text = Signed::from_bytes(&plain.encode()).unwrap().to_text();
    assert_eq!((decide_bytes(&plain.encode()), decide_text(&text)), (None, None));
    for (number, reached) in [
        (0, decide_bytes(&plain.clone().with(b"udp", string(&[0, 30])).encode())),
        (1, decide_bytes(&plain.clone().with(b"ed25519", list(&[])).encode())),
        (2, decide_bytes(&plain.clone().with(b"secp256k1", string(tag_4.as_bytes())).encode())),
        (3, decide_bytes(&plain.clone().with(b"secp256k1", string(&tag_5)).encode())),
        (4, decide_bytes(&[plain.encode(), vec![0]].concat())),
        (4, decide_text(&format!("{text}AAAA"))),
        (5, decide_text(&text[4..])),
    ] {
        assert_eq!(reached, Some(DIFFERENCES[number].name));
    }
}

/// SEC1's tag 5: the coordinate x alone.
fn compact(point: &VerifyingKey) -> Vec<u8> {
    let mut bytes = point.to_sec1_point(true).as_bytes().to_vec();
    bytes[0] = 5;
    bytes
}

proptest! {
    #![proptest_config(proptest_config(2048))]

    #[test]
    fn records_of_every_kind(draft in draft()) {
        decide_bytes(&draft.encode());
    }

    #[test]
    fn records_with_altered_bytes(
        draft in draft(),
        edits in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        end in prop::option::weighted(0.1, any::<Index>()),
        trailing in prop::collection::vec(any::<u8>(), 0..2),
    ) {
        let mut bytes = draft.encode();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes.extend(trailing);
        decide_bytes(&bytes);
    }

    #[test]
    fn texts_of_every_kind(
        draft in draft(),
        prefix in prop_oneof![4 => Just("enr:"), 1 => select(vec!["", "ENR:", "enr", "enr:enr:"])],
        edit in prop::option::weighted(0.3, (any::<Index>(), "[A-Za-z0-9_+/=-]")),
        suffix in prop_oneof![4 => Just(""), 1 => select(vec!["=", "==", "A", "AAAA", " ", "\n"])],
    ) {
        let mut payload = URL_SAFE_NO_PAD.encode(draft.encode());
        if let Some((at, character)) = edit {
            let at = at.index(payload.len());
            payload.replace_range(at..=at, &character);
        }
        decide_text(&format!("{prefix}{payload}{suffix}"));
    }

    #[test]
    fn texts_that_are_none(text in "(enr:)?[ -~]{0,80}") {
        decide_text(&text);
    }
}
