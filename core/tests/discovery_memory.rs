//! What a packet makes us allocate, whatever is in it: measured, byte by byte. Reading allocates
//! nothing; a node that is full to its limits allocates for one packet no more than so much.

mod allocation;
mod lone;
mod peer;

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::Duration;

use allocation::{growth, peak};
use alloy_rlp::Header;
use lone::{Lone, address};
use peer::{Heard, Peer, ask, key, key_at, node};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use stayfound_core::discovery::Ask;
use stayfound_core::discovery::challenge::CHALLENGES_MAX;
use stayfound_core::discovery::cipher::Mask;
use stayfound_core::discovery::message::{Distances, Message, RequestId};
use stayfound_core::discovery::packet::{PACKET_BYTES_MAX, Packet};
use stayfound_core::discovery::request::NODES_PACKETS_MAX;
use stayfound_core::discovery::session::SESSIONS_MAX;
use stayfound_core::node::Input;
use stayfound_core::record::{
    Claimed, Endpoints, NodeId, RECORD_BYTES_MAX, RECORDS_REMEMBERED_MAX, Signed,
};
use stayfound_core::step;

/// Beyond its own bytes, what a record that verified takes: what is known of it, the point of its key
/// among that, and its count.
const RECORD_EXTRA_BYTES_MAX: usize = 320;
/// What a node allocates at most for one packet, above what it held before: a NODES of new records,
/// each of which is remembered, takes a place in the table and is probed.
const PACKET_HANDLED_BYTES_MAX: usize = 48 << 10;
/// What a node that is full to its limits grows by at most, however many packets come.
const FULL_GROWTH_BYTES_MAX: usize = 64 << 10;
/// What it holds then.
const FULL_NODE_BYTES_MAX: usize = 3 << 20;

/// Enough strangers, each of its own prefix, to fill everything that is kept of strangers.
const STRANGERS: u16 = 1_100;

const _: () = assert!(STRANGERS as usize > SESSIONS_MAX);
const _: () = assert!(STRANGERS as usize > RECORDS_REMEMBERED_MAX);

/// An address of its own prefix for each.
fn apart(place: u16) -> String {
    format!("20.{}.{}.7:9000", place / 256, place % 256)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../proptest-regressions/discovery_memory.txt"
        )))),
        ..ProptestConfig::default()
    }
}

/// A change to bytes that were good.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Byte(place, value) if !bytes.is_empty() => {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            Self::Byte(..) => {}
            Self::Cut(place) => bytes.truncate(place.index(bytes.len() + 1)),
            Self::Insert(place, more) => {
                let place = place.index(bytes.len() + 1);
                bytes.splice(place..place, more.iter().copied());
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        6 => any::<(Index, u8)>().prop_map(|(place, value)| Change::Byte(place, value)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(place, more)| Change::Insert(place, more)),
    ];
    // Half of the time none: what is good must be gone through as well.
    prop_oneof![Just(vec![]), prop::collection::vec(change, 1..4)]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    changes.iter().for_each(|change| change.apply(&mut bytes));
    bytes
}

/// RLP that says that it is very long, or is deeper than it is wide.
fn monstrous() -> impl Strategy<Value = Vec<u8>> {
    let long =
        (0xb8..=0xffu8, prop::collection::vec(any::<u8>(), 0..64)).prop_map(|(head, rest)| {
            let length = [0xff; 8];
            [&[head][..], &length[..usize::from((head & 7) + 1)], &rest].concat()
        });
    let deep = (1..1_200usize).prop_map(|depth| {
        // From within: a list of a list of … of nothing.
        let mut headers = Vec::new();
        let mut length = 0;
        while length + 3 < depth {
            let mut header = Vec::new();
            Header { list: true, payload_length: length }.encode(&mut header);
            length += header.len();
            headers.push(header);
        }
        headers.reverse();
        headers.concat()
    });
    prop_oneof![long, deep]
}

fn list(items: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    Header { list: true, payload_length: items.len() }.encode(&mut list);
    list.extend_from_slice(items);
    list
}

/// Some records of other nodes.
static RECORDS: LazyLock<Vec<Signed>> = LazyLock::new(|| {
    let at = |place| Endpoints::at([address(&apart(place))]);
    (5_000..5_040).map(|place| Signed::sign(&key(place), 1, &at(place))).collect()
});

/// Plaintexts: good, damaged, made up.
fn plaintext() -> impl Strategy<Value = Vec<u8>> {
    let id = RequestId::from_u64(7);
    let good = (0..7u8, 0..8usize, changes()).prop_map(move |(kind, n, changes)| {
        let message = match kind {
            0 => Message::Ping { id, enr_seq: u64::MAX },
            1 => Message::Pong { id, enr_seq: 1, observed: address("198.51.100.1:3610") },
            2 => Message::FindNode { id, distances: Distances::from(&[256, 255, 254, 0][..]) },
            3 | 4 => peer::nodes(id, 1 << 32, &RECORDS[..n]),
            5 => Message::TalkRequest { id, protocol: b"echo", request: &[1; 600] },
            _ => Message::TalkResponse { id, response: &[1; 600] },
        };
        let mut text = Vec::new();
        message.encode(&mut text);
        changed(text, &changes)
    });
    let monster = (1..8u8, any::<bool>(), monstrous()).prop_map(|(kind, listed, monster)| {
        let body = if listed { list(&[&[0x07][..], &monster].concat()) } else { monster };
        [&[kind][..], &body].concat()
    });
    prop_oneof![good, monster, prop::collection::vec(any::<u8>(), 0..1100)]
}

/// Reads all of a message; a record in it as far as its form goes.
fn read(text: &[u8]) -> usize {
    match Message::decode(text) {
        Ok(Message::Nodes { records, .. }) => {
            records.iter().filter(|bytes| Claimed::parse(bytes).is_ok()).count()
        }
        Ok(Message::FindNode { distances, .. }) => distances.iter().count(),
        Ok(_) | Err(_) => 0,
    }
}

#[test]
fn what_is_allocated_is_counted() {
    let (block, most) = peak(|| {
        drop(vec![1u8; 5_000]);
        vec![1u8; 1_000]
    });
    assert_eq!((block.len(), most), (1_000, 5_000));
    let mut kept = Vec::new();
    assert_eq!(growth(|| kept = vec![1u8; 300]), 300);
    assert_eq!(growth(|| drop(kept)), 0);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn reading_a_packet_allocates_nothing(
        kind in 0..4u8,
        content in prop::collection::vec(any::<u8>(), 0..1400),
        changes in changes(),
    ) {
        let mut peer = Peer::new(1, &apart(1));
        let own = NodeId::of(&key(0).public_key().point());
        let good = match kind {
            0 => content,
            1 => peer.random(),
            2 => peer.challenge(&[1; 12], 1),
            _ => {
                let head = [&peer.id.0[..], &[64, 33], &[9; 97], peer.record.as_bytes()].concat();
                peer.raw(2, &head, &content)
            }
        };
        let bytes = changed(good, &changes);
        let mask = Mask::of(&own);
        let mut scratch = [0; PACKET_BYTES_MAX];
        let (_, most) = peak(|| Packet::decode(&mask, &bytes, &mut scratch).is_ok());
        prop_assert_eq!(most, 0);
    }

    #[test]
    fn reading_a_message_allocates_nothing(text in plaintext()) {
        let (_, most) = peak(|| read(&text));
        prop_assert_eq!(most, 0);
    }

    #[test]
    fn a_record_takes_its_own_bytes_and_little_more(
        which in any::<Index>(),
        changes in changes(),
        monster in prop::option::of(monstrous()),
    ) {
        let good = which.get(&RECORDS).as_bytes().to_vec();
        let bytes = changed(monster.unwrap_or(good), &changes);
        let (_, most) = peak(|| Claimed::parse(&bytes).is_ok());
        prop_assert_eq!(most, 0);
        let (_, most) = peak(|| Signed::from_bytes(&bytes));
        prop_assert!(most <= RECORD_BYTES_MAX + RECORD_EXTRA_BYTES_MAX, "{} bytes", most);
    }
}

/// A node that holds as much of strangers as it ever does, and two peers with sessions.
struct Full {
    lone: Lone,
    peers: Vec<Peer>,
    asked: u64,
}

impl Full {
    fn new() -> Self {
        let mut lone = node();
        for place in 0..STRANGERS {
            Peer::new(place + 1, &apart(place)).connects(&mut lone);
        }
        let mut peers: Vec<Peer> =
            (0..2).map(|place| Peer::new(4_000 + place, &apart(4_000 + place))).collect();
        peers.iter_mut().for_each(|peer| peer.connects(&mut lone));
        assert_eq!(lone.node.discovery().unwrap().sessions(), SESSIONS_MAX);
        let mut full = Self { lone, peers, asked: 0 };
        full.flood(0);
        full
    }

    /// Packets that nobody can open, from so many sources that all challenges are new ones.
    fn flood(&mut self, round: u8) {
        for place in 0..=CHALLENGES_MAX as u16 {
            let at = format!("2{}.{}.{}.9:9000", 1 + round, place / 256, place % 256);
            let mut stranger = Peer::new(place, &at);
            let random = stranger.random();
            self.most(&stranger, &random);
        }
    }

    /// How much the node allocates at most for this packet from this peer.
    fn most(&mut self, from: &Peer, bytes: &[u8]) -> usize {
        let Lone { node, now, next_wake, .. } = &mut self.lone;
        let input = Input::Datagram { from: from.at, bytes };
        let (next, most) = peak(|| step(node, *now, input, drop));
        *next_wake = next;
        most
    }

    fn sealed(&mut self, text: &[u8]) -> Vec<u8> {
        self.peers[0].seal_bytes(&text[..text.len().min(1_100)])
    }

    /// A handshake that answers a challenge of now.
    fn handshake(&mut self) -> Vec<u8> {
        let peer = &mut self.peers[1];
        let random = peer.random();
        peer.send(&mut self.lone, &random);
        let data = peer.hear_all(&mut self.lone).into_iter().find_map(|heard| match heard {
            Heard::Challenge { data, .. } => Some(data),
            _ => None,
        });
        let id = peer.request_id();
        let ping = Message::Ping { id, enr_seq: u64::MAX };
        peer.shake(&data.expect("a challenge"), 0, &ping)
    }

    /// Packets of an answer that says that it has 2³² of them.
    fn answer(&mut self, records: &[Signed], packets: u64) -> Vec<Vec<u8>> {
        let Self { lone, peers, asked } = self;
        let peer = &mut peers[0];
        peer.inbox(lone);
        *asked += 1;
        let wanted = (241..=256).collect();
        ask(lone, *asked, &Ask::FindNode(peer.record.clone(), wanted));
        let heard = peer.hear_all(lone);
        let id = heard.iter().find_map(|heard| match heard {
            Heard::Message(_, text) => match Message::decode(text) {
                Ok(Message::FindNode { id, .. }) => Some(id),
                _ => None,
            },
            _ => None,
        });
        let id = id.expect("it asks in the session");
        (0..packets).map(|_| peer.seal(&peer::nodes(id, 1 << 32, records))).collect()
    }
}

impl Full {
    /// So many answers with eight records each that nobody has seen before.
    fn hear_of_strangers(&mut self, answers: usize, number: &mut u64) {
        let peer = self.peers[0].clone();
        for _ in 0..answers {
            let records = (0..8).map(|_| {
                let key;
                (key, *number) = key_at(&peer.id, 256, *number + 1);
                Signed::sign(&key, 1, &Endpoints::at([address("20.9.9.9:9000")]))
            });
            let records: Vec<Signed> = records.collect();
            for bytes in self.answer(&records, 1) {
                let most = self.most(&peer, &bytes);
                assert!(most <= PACKET_HANDLED_BYTES_MAX, "{most} bytes for eight records");
            }
            self.lone.datagrams.clear();
            self.lone.events.clear();
            self.lone.pass(Duration::from_millis(100));
        }
    }
}

/// One thing that comes to a node.
#[derive(Clone, Debug)]
enum Step {
    Garbage(Vec<u8>),
    Random(Vec<Change>),
    Sealed(Vec<u8>, Vec<Change>),
    Handshake(Vec<Change>),
    Answer(Index, u64),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..1400).prop_map(Step::Garbage),
        1 => changes().prop_map(Step::Random),
        4 => (plaintext(), changes()).prop_map(|(text, changes)| Step::Sealed(text, changes)),
        2 => changes().prop_map(Step::Handshake),
        2 => (any::<Index>(), 1..=NODES_PACKETS_MAX).prop_map(|(from, n)| Step::Answer(from, n)),
        1 => (0..2_000u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..12)
}

impl Full {
    /// Does it; answers how much was allocated at most for one packet.
    fn run(&mut self, step: &Step) -> usize {
        let (who, packets) = match step {
            Step::Garbage(bytes) => (0, vec![bytes.clone()]),
            Step::Random(changes) => (0, vec![changed(self.peers[0].random(), changes)]),
            Step::Sealed(text, changes) => {
                let bytes = self.sealed(text);
                (0, vec![changed(bytes, changes)])
            }
            Step::Handshake(changes) => {
                let bytes = self.handshake();
                (1, vec![changed(bytes, changes)])
            }
            Step::Answer(from, packets) => {
                let from = from.index(RECORDS.len() - 8);
                (0, self.answer(&RECORDS[from..from + 8], *packets))
            }
            Step::Pass(millis) => {
                self.lone.pass(Duration::from_millis(*millis));
                (0, vec![])
            }
        };
        let from = self.peers[who].clone();
        let most = packets.iter().map(|bytes| self.most(&from, bytes)).max();
        self.lone.datagrams.clear();
        self.lone.events.clear();
        most.unwrap_or_default()
    }
}

#[test]
fn a_full_node_allocates_for_one_packet_no_more_than_so_much() {
    let full = RefCell::new(Full::new());
    let mut runner = TestRunner::new(ProptestConfig { cases: 128, ..config() });
    let result = runner.run(&steps(), |steps| {
        for step in steps {
            let most = full.borrow_mut().run(&step);
            prop_assert!(most <= PACKET_HANDLED_BYTES_MAX, "{} bytes for {:?}", most, step);
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_full_node_grows_no_more() {
    let mut full = None;
    let held = growth(|| full = Some(Full::new()));
    let mut full = full.expect("it was made");
    assert!(held <= FULL_NODE_BYTES_MAX, "{held} bytes");
    let grown = growth(|| {
        for round in 1..4 {
            full.flood(round);
        }
    });
    assert!(grown <= FULL_GROWTH_BYTES_MAX, "{grown} bytes more");
}

/// New records without end: none is remembered but in the place of another.
#[test]
fn records_without_end_are_not_all_kept() {
    let mut full = Full::new();
    let mut number = 0;
    // What is remembered first is held by sessions as well, and the table has room for some.
    full.hear_of_strangers(RECORDS_REMEMBERED_MAX / 8 + 1, &mut number);
    let grown = growth(|| full.hear_of_strangers(60, &mut number));
    assert!(grown <= FULL_GROWTH_BYTES_MAX, "{grown} bytes more");
}
