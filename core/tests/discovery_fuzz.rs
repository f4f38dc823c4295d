//! Packets in any order, as often as one likes, damaged, made up and out of place, against a node
//! with live sessions: nothing panics, every invariant holds (the node checks itself after every
//! input), and nobody is taken for somebody else.

mod lone;
mod peer;

use std::time::Duration;

use bytes::Bytes;
use lone::Lone;
use peer::hands::{drawn, is_ponged, ping};
use peer::{Heard, Peer, answer, ask};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::discovery::message::Message;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::record::NodeId;

const PEERS: usize = 3;

/// One thing that happens. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    /// Bytes that nobody made with care.
    Garbage(usize, Vec<u8>),
    /// A packet whose header is in order, with this flag, authdata and content.
    Raw(usize, u8, Vec<u8>, Vec<u8>),
    /// A packet that was sent before, from this peer's address or that of another.
    Again(usize, usize),
    /// The same with one bit flipped.
    Flipped(usize, usize, usize),
    /// The same, cut.
    Cut(usize, usize, usize),
    /// Any bytes, sealed in the peer's session.
    Sealed(usize, Vec<u8>),
    /// A good message with another body: its type, then these bytes as a list.
    Listed(usize, u8, Vec<u8>),
    /// The peer asks for these distances.
    Find(usize, u16),
    /// The peer loses its session.
    Forgets(usize),
    /// The peer answers whatever it was asked.
    Answers(usize),
    /// The peer challenges whatever came to it.
    Challenges(usize),
    /// What came to the peer is lost.
    Loses(usize),
    /// The peer shakes hands anew.
    Shakes(usize),
    /// The application asks the peer something.
    Ask(usize, u8),
    /// Milliseconds pass.
    Pass(u64),
    /// The node moves.
    Moves(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PEERS;
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let any_packet = 0..1_000usize;
    prop_oneof![
        (who.clone(), bytes(1400)).prop_map(|(p, b)| Step::Garbage(p, b)),
        (who.clone(), 0..4u8, bytes(480), bytes(200))
            .prop_map(|(p, f, a, c)| Step::Raw(p, f, a, c)),
        (who.clone(), any_packet.clone()).prop_map(|(p, i)| Step::Again(p, i)),
        (who.clone(), any_packet.clone(), 0..1280usize * 8)
            .prop_map(|(p, i, bit)| Step::Flipped(p, i, bit)),
        (who.clone(), any_packet, 0..1280usize).prop_map(|(p, i, n)| Step::Cut(p, i, n)),
        (who.clone(), bytes(300)).prop_map(|(p, b)| Step::Sealed(p, b)),
        (who.clone(), 1..8u8, bytes(50)).prop_map(|(p, t, b)| Step::Listed(p, t, b)),
        (who.clone(), 0..300u16).prop_map(|(p, d)| Step::Find(p, d)),
        who.clone().prop_map(Step::Forgets),
        who.clone().prop_map(Step::Answers),
        who.clone().prop_map(Step::Challenges),
        who.clone().prop_map(Step::Loses),
        who.clone().prop_map(Step::Shakes),
        (who, 0..4u8).prop_map(|(p, kind)| Step::Ask(p, kind)),
        (0..3_000u64).prop_map(Step::Pass),
        (1..4u8).prop_map(Step::Moves),
    ]
}

struct Bench {
    lone: Lone,
    peers: Vec<Peer>,
    /// Every packet that went to the node or to a peer.
    packets: Vec<Vec<u8>>,
    asked: u64,
    home: String,
}

impl Bench {
    fn new() -> Self {
        let mut lone = peer::node();
        let mut peers: Vec<Peer> =
            (1..=PEERS as u16).map(|n| Peer::new(n, &format!("20.0.{n}.7:9000"))).collect();
        let records: Vec<_> = peers.iter().map(|peer| peer.record.clone()).collect();
        for peer in &mut peers {
            peer.serves.clone_from(&records);
            peer.connects(&mut lone);
        }
        Self { lone, peers, packets: vec![], asked: 0, home: peer::HOME.into() }
    }

    fn send(&mut self, who: usize, bytes: Vec<u8>) {
        self.peers[who].send(&mut self.lone, &bytes);
        self.packets.push(bytes);
        let out = self.lone.datagrams.iter().map(|(_, bytes)| bytes.to_vec());
        self.packets.extend(out);
        // Under another's id, from its own address: what it gets then it cannot read.
        let peers = &self.peers;
        self.lone.datagrams.retain(|(to, bytes)| {
            peers.iter().any(|peer| peer.at == *to && peer.is_addressed(bytes))
        });
    }

    fn packet(&self, which: usize) -> Vec<u8> {
        let packets = &self.packets;
        if packets.is_empty() { vec![] } else { packets[which % packets.len()].clone() }
    }

    fn run(&mut self, step: Step) {
        let Self { lone, peers, .. } = self;
        match step {
            Step::Garbage(who, bytes) => self.send(who, bytes),
            Step::Raw(who, flag, mut authdata, content) => {
                let id = peers[who].id.0;
                let head = authdata.len().min(id.len());
                authdata[..head].copy_from_slice(&id[..head]);
                if flag == 2 && authdata.len() > 34 {
                    authdata[32..34].copy_from_slice(&[64, 33]);
                }
                let bytes = peers[who].raw(flag, &authdata, &content);
                self.send(who, bytes);
            }
            Step::Again(who, which) => self.send(who, self.packet(which)),
            Step::Flipped(who, which, bit) => {
                let mut bytes = self.packet(which);
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                self.send(who, bytes);
            }
            Step::Cut(who, which, length) => {
                let mut bytes = self.packet(which);
                bytes.truncate(length);
                self.send(who, bytes);
            }
            Step::Sealed(who, text) => self.seal(who, &text),
            Step::Listed(who, kind, body) => {
                let mut text = vec![kind];
                alloy_rlp::Header { list: true, payload_length: body.len() }.encode(&mut text);
                text.extend_from_slice(&body);
                self.seal(who, &text);
            }
            Step::Find(who, distance) => {
                let mut text = vec![3];
                let body = [&[0x01][..], &alloy_rlp::encode(vec![distance])].concat();
                alloy_rlp::Header { list: true, payload_length: body.len() }.encode(&mut text);
                text.extend_from_slice(&body);
                self.seal(who, &text);
            }
            Step::Forgets(who) => peers[who].forgets(),
            Step::Answers(who) => peers[who].answers(lone),
            Step::Challenges(who) => {
                for heard in peers[who].hear_all(lone) {
                    if let Heard::Sealed(nonce)
                    | Heard::Message(nonce, _)
                    | Heard::Handshake(nonce, ..) = heard
                    {
                        let bytes = self.peers[who].challenge(&nonce, 1);
                        self.send(who, bytes);
                    }
                }
            }
            Step::Loses(who) => drop(peers[who].inbox(lone)),
            Step::Shakes(who) => {
                peers[who].inbox(lone);
                let random = peers[who].random();
                peers[who].send(lone, &random);
                peers[who].answers(lone);
            }
            Step::Ask(who, kind) => {
                let node = peers[who].record.clone();
                let (protocol, request) = (Bytes::from_static(b"p"), Bytes::from_static(b"q"));
                let asked = match kind {
                    0 => Ask::Ping(node),
                    1 => Ask::FindNode(node, vec![256, 255, 0]),
                    2 => Ask::Talk { node, protocol, request },
                    _ => Ask::Find(NodeId([kind; 32])),
                };
                self.asked += 1;
                ask(lone, self.asked, &asked);
            }
            Step::Pass(millis) => lone.pass(Duration::from_millis(millis)),
            Step::Moves(place) => {
                let home = format!("198.51.100.{place}");
                if home != self.home {
                    lone.up(&home);
                    lone.down(&std::mem::replace(&mut self.home, home));
                }
            }
        }
    }

    fn seal(&mut self, who: usize, text: &[u8]) {
        if self.peers[who].has_session() {
            let bytes = self.peers[who].seal_bytes(text);
            self.send(who, bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/discovery_fuzz.txt"
        )))),
        ..ProptestConfig::with_cases(96)
    })]

    #[test]
    fn r06_any_packets_in_any_order(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        steps.into_iter().for_each(|step| bench.run(step));
        let Bench { mut lone, mut peers, asked, .. } = bench;
        lone.node.check();
        // Everything that was asked comes to an end, whatever happened.
        lone.pass(Duration::from_secs(300));
        for id in 1..=asked {
            prop_assert!(answer(&lone, id).is_some(), "question {} has no end", id);
        }
        // And whoever is honest is served.
        lone.datagrams.clear();
        for peer in &mut peers {
            peer.forgets();
            let (data, enr_seq) = drawn(&mut lone, peer);
            let ping = ping(peer);
            let bytes = peer.shake(&data, enr_seq, &ping);
            peer.send(&mut lone, &bytes);
            prop_assert!(is_ponged(&mut lone, peer));
            peer.answers(&mut lone);
            ask(&mut lone, 1_000, &Ask::Ping(peer.record.clone()));
            peer.answers(&mut lone);
            let ponged = matches!(answer(&lone, 1_000), Some(Answer::Pong { .. }));
            prop_assert!(ponged);
            lone.events.clear();
        }
    }

    /// What an authenticated peer says is decoded without a panic, whatever it is.
    #[test]
    fn r59_any_plaintext_is_a_message_or_an_error(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&text);
    }
}
