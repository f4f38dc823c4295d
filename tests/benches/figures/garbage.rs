//! A million packets from spoofed sources, none of which means anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use stayfound_core::discovery::cipher::Cipher;
use stayfound_core::discovery::message::{Message, RequestId};
use stayfound_core::discovery::packet;
use stayfound_core::keys::{SecretKey, Signature};
use stayfound_core::node::{Counter, Input};
use stayfound_core::record::NodeId;
use stayfound_tests::client::{Client, Peer};

use crate::lone::{Lone, key};
use crate::measure::{cpu_us_each, judge, percentile, report, resident, rounds};

const PACKETS: usize = 1_000_000;
const PER_ROUND: usize = 2_500;
const TARGET_US: f64 = 2.0;
/// What a million packets may leave behind: the challenges that wait, and what the allocator keeps.
const MEMORY_MAX: usize = 4 << 20;

/// What strangers send.
const KINDS: [(&str, Counter, Garbage); 4] = [
    ("random bytes", Counter::PacketsInvalid, noise),
    ("ordinary packets of unknown nodes", Counter::Challenges, ordinary),
    ("challenges of nothing", Counter::ChallengesUnasked, challenge),
    ("handshakes without a challenge", Counter::HandshakesUnasked, handshake),
];

type Garbage = fn(&mut Client, &Peer) -> Vec<u8>;

fn noise(client: &mut Client, _: &Peer) -> Vec<u8> {
    let [size] = client.random();
    let bytes: [u8; 1280] = client.random();
    bytes[..63 + 4 * usize::from(size)].to_vec()
}

fn ordinary(client: &mut Client, to: &Peer) -> Vec<u8> {
    let src = NodeId(client.random());
    packet::random(to.mask(), &client.random(), &client.random(), &src, &client.random())
}

fn challenge(client: &mut Client, to: &Peer) -> Vec<u8> {
    packet::who_are_you(to.mask(), &client.random(), &client.random(), &client.random(), 0).0
}

fn handshake(client: &mut Client, to: &Peer) -> Vec<u8> {
    let src = NodeId(client.random());
    packet::handshake(
        to.mask(),
        &client.random(),
        &client.random(),
        &src,
        &Signature(client.random()),
        &client.random(),
        Some(client.record().clone().as_bytes()),
        &Cipher::new(&client.random()),
        &Message::Ping { id: RequestId::from_u64(1), enr_seq: 1 },
    )
}

/// An address of the Internet.
fn spoofed(client: &mut Client) -> SocketAddr {
    let [a, b, c, d] = client.random();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(20 + a % 60, b, c, d)), 9000)
}

/// Prints the figures.
pub fn figures() {
    let mut node = Lone::new(0);
    let key: SecretKey = key(1);
    let (mut client, peer) = (Client::new(key, []), Peer::new(node.record()));
    let mut worst = 0f64;
    let (mut before, mut most) = (None, 0);
    let rounds = rounds(PACKETS / PER_ROUND / KINDS.len());
    for (name, counter, garbage) in KINDS {
        let mut spans = Vec::new();
        let counted = node.count(counter);
        for _ in 0..rounds {
            let packets: Vec<(SocketAddr, Vec<u8>)> = (0..PER_ROUND)
                .map(|_| (spoofed(&mut client), garbage(&mut client, &peer)))
                .collect();
            spans.push(cpu_us_each(packets.iter(), |(from, bytes)| {
                node.feed(Input::Datagram { from: *from, bytes });
            }));
            node.sent = Vec::new(); // a driver has sent it
            drop(packets);
            // The first round fills what is there to be filled.
            let before = *before.get_or_insert_with(resident);
            most = most.max(resident().saturating_sub(before));
        }
        assert_eq!(node.count(counter) - counted, rounds * PER_ROUND, "{name}");
        let each = percentile(&mut spans, 50);
        report("discovery.garbage_kind_us", each, "us", name);
        worst = worst.max(each);
    }
    let proved = node.count(Counter::Sessions) + node.count(Counter::HandshakesInvalid);
    assert_eq!(proved, 0, "a public-key operation");
    assert_eq!(
        node.discovery().sessions() + node.discovery().table().len(),
        0,
        "a change of state"
    );
    let remark = format!(
        "the worst of {} kinds, {} packets in all",
        KINDS.len(),
        rounds * PER_ROUND * KINDS.len()
    );
    judge("discovery.garbage_us", worst, "us", TARGET_US, &remark);
    let (most, max) = (most as f64 / 1024.0, MEMORY_MAX as f64 / 1024.0);
    judge("discovery.garbage_kib", most, "KiB", max, "what the process grew by meanwhile");
}
