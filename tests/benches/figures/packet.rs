//! The CPU of an established packet in the core, and over that of its ciphers.

use std::hint::black_box;

use stayfound_core::discovery::cipher::{Cipher, Mask};
use stayfound_core::discovery::message::{Message, RequestId};
use stayfound_core::discovery::packet::PACKET_BYTES_MAX;
use stayfound_core::node::Input;
use stayfound_tests::client::{Client, Peer, Session};

use crate::lone::{Lone, address, key};
use crate::measure::{cpu_us_each, judge, percentile, report, rounds};

const ROUNDS: usize = 41;
const PER_ROUND: usize = 2_000;
const TARGET_US: f64 = 2.5;
const TARGET_RATIO: f64 = 4.0;

const NODE: u32 = 0;
const CLIENT: u32 = 1;

/// A session between a client and a node.
pub fn session(client: &mut Client, node: &mut Lone, place: u32) -> Session {
    let (from, peer) = (address(place), Peer::new(node.record()));
    let (_, probe) = client.probe(&peer);
    node.feed(Input::Datagram { from, bytes: &probe });
    let (_, challenge) = node.sent.pop().expect("a challenge");
    let challenge = client.challenge(&challenge).expect("a challenge");
    let ping = Message::Ping { id: RequestId::from_u64(0), enr_seq: client.record().seq() };
    let (session, proof) = client.shake(&peer, &challenge, &ping);
    node.feed(Input::Datagram { from, bytes: &proof });
    session
}

/// The ciphers of one packet in and one out, nothing else.
struct Floor {
    mask: Mask,
    cipher: Cipher,
    iv: [u8; 16],
    nonce: [u8; 12],
    packet: Vec<u8>,
    answer: Vec<u8>,
}

impl Floor {
    fn new(packet: &[u8], answer: usize) -> Self {
        let mut answer = vec![3; answer];
        answer.truncate(answer.len() - 16);
        let cipher = Cipher::new(&[9; 16]);
        let mut sealed = packet[..packet.len() - 16].to_vec();
        cipher.seal_in_place(&[4; 12], &mut sealed, 71);
        let mask = Mask::of(&stayfound_core::record::NodeId([8; 32]));
        Self { mask, cipher, iv: [1; 16], nonce: [4; 12], packet: sealed, answer }
    }

    fn run(&mut self) {
        let (ad, message) = self.packet.split_at_mut(71);
        assert!(self.cipher.open_in_place(&self.nonce, ad, message).is_some());
        self.mask.apply(&self.iv, black_box(&mut ad[16..]));
        self.cipher.seal_in_place(&self.nonce, &mut self.answer, 71);
        self.mask.apply(&self.iv, black_box(&mut self.answer[16..71]));
    }
}

/// Prints the figures.
pub fn figures() {
    let mut node = Lone::new(NODE);
    let mut client = Client::new(key(CLIENT), [address(CLIENT)]);
    let shared = session(&mut client, &mut node, CLIENT);
    let peer = Peer::new(node.record());
    node.sent.clear();
    let (mut spans, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds(ROUNDS) {
        let ids = round * PER_ROUND..(round + 1) * PER_ROUND;
        let pings: Vec<Vec<u8>> = ids
            .map(|id| Message::Ping { id: RequestId::from_u64(id as u64), enr_seq: 1 })
            .map(|ping| client.say(&peer, &shared, &ping))
            .collect();
        let from = address(CLIENT);
        let span = cpu_us_each(pings.iter(), |bytes| node.feed(Input::Datagram { from, bytes }));
        let mut scratch = [0; PACKET_BYTES_MAX];
        let pongs = node.sent.iter().filter_map(|(_, pong)| {
            let pong = client.hear(&shared, pong, &mut scratch)?;
            matches!(pong, Message::Pong { .. }).then_some(())
        });
        assert_eq!(pongs.count(), PER_ROUND, "every PING is answered");
        let answer = node.sent[0].1.len();
        let mut bare: Vec<Floor> = pings.iter().map(|ping| Floor::new(ping, answer)).collect();
        let floor = cpu_us_each(bare.iter_mut(), Floor::run);
        node.sent.clear();
        spans.push(span);
        floors.push(floor);
        ratios.push(span / floor);
    }
    let remark = format!("a PING in, a PONG out, median of {ROUNDS} times {PER_ROUND}");
    judge("discovery.packet_us", percentile(&mut spans, 50), "us", TARGET_US, &remark);
    let floor = percentile(&mut floors, 50);
    report("discovery.packet_us_floor", floor, "us", "its AES-GCM and CTR");
    let ratio = percentile(&mut ratios, 50);
    judge("discovery.packet_ratio", ratio, "x", TARGET_RATIO, "median of the rounds' ratios");
}
