//! The CPU of a handshake in the core, both sides, over that of its cryptographic operations.

use std::hint::black_box;

use stayfound_core::discovery::cipher::{Cipher, Mask};
use stayfound_core::discovery::handshake::{ChallengeData, derive, id_digest};
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::keys::{Point, SecretKey, Signature, agree_ephemeral};
use stayfound_core::node::{Counter, Event, Input};
use stayfound_core::record::{Claimed, NodeId};

use crate::lone::{Lone, address, key};
use crate::measure::{cpu_us_each, judge, percentile, report, rounds};

const ROUNDS: usize = 21;
const PER_ROUND: u32 = 40;
const TARGET: f64 = 1.15;
const RECIPIENT: u32 = 0;

/// One PING to a node that has never heard of the asker, until all is said.
fn ours(initiator: &mut Lone, place: u32, recipient: &mut Lone) {
    let ask = Ask::Ping(recipient.record());
    initiator.feed(Input::Ask { id: 1, ask: &ask });
    while !initiator.sent.is_empty() || !recipient.sent.is_empty() {
        for (_, bytes) in std::mem::take(&mut initiator.sent) {
            recipient.feed(Input::Datagram { from: address(place), bytes: &bytes });
        }
        for (_, bytes) in std::mem::take(&mut recipient.sent) {
            initiator.feed(Input::Datagram { from: address(RECIPIENT), bytes: &bytes });
        }
    }
    let pong =
        |event: &Event| matches!(event, Event::Answered { id: 1, answer: Answer::Pong { .. } });
    assert!(initiator.events.iter().any(pong), "the handshake came to nothing");
}

/// What both sides compute, from what came over the wire to what goes over it.
struct Floor {
    initiator: SecretKey,
    initiator_id: NodeId,
    record: Vec<u8>,
    record_signature: Signature,
    recipient: SecretKey,
    recipient_point: Point,
    recipient_id: NodeId,
    challenge: ChallengeData,
    ephemeral: [u8; 32],
}

impl Floor {
    fn new(place: u32) -> Self {
        let (initiator, recipient) = (key(place), key(RECIPIENT));
        let record = Lone::new(place).record();
        // RLP: a list of more than 55 bytes, of which the first are a string of 64.
        let signature = record.as_bytes()[4..].first_chunk().expect("a record has a signature");
        let recipient_point = recipient.public_key().point();
        let mut ephemeral = [9; 32];
        ephemeral[..4].copy_from_slice(&place.to_be_bytes());
        Self {
            initiator_id: record.node_id(),
            record_signature: Signature(*signature),
            record: record.as_bytes().to_vec(),
            recipient_id: NodeId::of(&recipient_point),
            challenge: ChallengeData([place as u8; 63]),
            initiator,
            recipient,
            recipient_point,
            ephemeral,
        }
    }

    fn run(&self) {
        let Self { initiator_id, recipient_id, challenge, .. } = self;
        // The initiator: key generation, agreement, derivation, signature.
        let agreed = agree_ephemeral(&self.ephemeral, &self.recipient_point);
        let (public, secret) = agreed.expect("in range");
        let initiated = derive(&secret, challenge, initiator_id, recipient_id);
        let signature = self.initiator.sign(&id_digest(challenge, public.as_bytes(), recipient_id));
        // The recipient: the record, the proof of identity, agreement, derivation.
        let claimed = Claimed::parse(&self.record).expect("a record");
        let (_, from) = Point::from_bytes(claimed.public_key()).expect("a key");
        assert!(NodeId::of(&from) == *initiator_id);
        assert!(from.verifies(&claimed.content_hash(), &self.record_signature));
        let (_, with) = Point::from_bytes(public.as_bytes()).expect("a key");
        let digest = id_digest(challenge, public.as_bytes(), recipient_id);
        assert!(from.verifies(&digest, &signature));
        let received = derive(&self.recipient.agree(&with), challenge, initiator_id, recipient_id);
        assert!(initiated == received, "both sides have the same keys");
        // Both: the ciphers, three headers to mask and unmask, two messages to seal and open.
        for dest in [initiator_id, recipient_id] {
            let mask = Mask::of(dest);
            (0..3).for_each(|_| mask.apply(&[1; 16], black_box(&mut [0; 71])));
            for key in [&initiated.initiator, &initiated.recipient] {
                let (cipher, mut message) = (Cipher::new(key), vec![5; 71 + 34]);
                message.reserve(16);
                match dest == initiator_id {
                    true => cipher.seal_in_place(&[2; 12], &mut message, 71),
                    false => {
                        let (ad, message) = message.split_at_mut(71);
                        black_box(cipher.open_in_place(&[2; 12], ad, message));
                    }
                }
            }
        }
    }
}

/// Prints the figure.
pub fn figures() {
    let mut recipient = Lone::new(RECIPIENT);
    let (mut spans, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let count = rounds(ROUNDS) as u32;
    for round in 0..count {
        let places = 1 + round * PER_ROUND..1 + (round + 1) * PER_ROUND;
        let mut initiators: Vec<_> =
            places.clone().map(|place| (place, Lone::new(place))).collect();
        let bare: Vec<_> = places.map(Floor::new).collect();
        let span = cpu_us_each(initiators.iter_mut(), |(place, initiator)| {
            ours(initiator, *place, &mut recipient);
        });
        let floor = cpu_us_each(bare.iter(), Floor::run);
        spans.push(span);
        floors.push(floor);
        ratios.push(span / floor);
        recipient.events.clear();
    }
    assert_eq!(recipient.count(Counter::Sessions), (count * PER_ROUND) as usize);
    let remark = format!("both sides, in memory, median of {ROUNDS} times {PER_ROUND}");
    report("discovery.handshake_cpu", percentile(&mut spans, 50), "us", &remark);
    let floor = percentile(&mut floors, 50);
    report("discovery.handshake_cpu_floor", floor, "us", "its cryptographic operations");
    let ratio = percentile(&mut ratios, 50);
    judge("discovery.handshake_cpu_ratio", ratio, "x", TARGET, "median of the rounds' ratios");
}
