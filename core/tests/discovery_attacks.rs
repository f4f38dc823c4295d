//! Attacks on discovery, each with the property that must hold against it.

mod lone;
mod peer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use lone::{Lone, address, config, node_id};
use peer::hands::{accepted, drawn, is_ponged, ping, refused};
use peer::{Forgery, Heard, Peer, answer, ask, key, key_at, node, nodes, pass, settings};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::discovery::budget::HANDSHAKES_PER_PREFIX_AT_ONCE;
use stayfound_core::discovery::challenge::{
    CHALLENGES_MAX, CHALLENGES_PER_CONTACT_MAX, FAILURES_MAX,
};
use stayfound_core::discovery::cipher::Mask;
use stayfound_core::discovery::handshake::ChallengeData;
use stayfound_core::discovery::lookup::QUERIES_MAX;
use stayfound_core::discovery::message::Message;
use stayfound_core::discovery::packet::{PACKET_BYTES_MAX, Packet};
use stayfound_core::discovery::request::{NODES_PACKETS_MAX, NODES_RECORDS_MAX};
use stayfound_core::discovery::table::{BUCKET_INBOUND, PREFIX_TABLE_MAX, QUIET};
use stayfound_core::discovery::vote::VOTES_NEEDED;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::{Config, Counter, Event};
use stayfound_core::record::{Endpoints, NodeId, Signed};

const NEAR: &str = "192.0.2.7:9000";
const VICTIM: &str = "203.0.113.66:53";

/// An address of its own prefix for each.
fn apart(place: usize) -> String {
    format!("20.{}.{}.7:9000", place / 256, place % 256)
}

/// What an attacker that forges a source can send from there, never having seen what went there.
#[derive(Clone, Debug)]
enum Forged {
    Ordinary { id: u16, content: usize },
    Handshake { id: u16, content: usize },
    WhoAreYou,
    Bytes(Vec<u8>),
    Wait(u64),
}

fn forged() -> impl Strategy<Value = Forged> {
    prop_oneof![
        4 => (1..4u16, 0..200usize).prop_map(|(id, content)| Forged::Ordinary { id, content }),
        2 => (1..4u16, 16..200usize).prop_map(|(id, content)| Forged::Handshake { id, content }),
        1 => Just(Forged::WhoAreYou),
        1 => prop::collection::vec(any::<u8>(), 0..1400).prop_map(Forged::Bytes),
        1 => (0..5_000u64).prop_map(Forged::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/discovery_attacks.txt"
        )))),
        ..ProptestConfig::with_cases(64)
    })]

    /// Reflection: an address that has not proved itself is never sent more than came from it.
    #[test]
    fn no_more_goes_to_an_unproved_address_than_came_from_it(
        steps in prop::collection::vec(forged(), 1..60),
    ) {
        let mut lone = node();
        let (mut came, mut went) = (0, 0);
        for step in steps {
            let bytes = match step {
                Forged::Ordinary { id, content } => {
                    let mut peer = Peer::new(id, VICTIM);
                    let own = peer.id;
                    peer.raw(0, &own.0, &vec![7; content])
                }
                Forged::Handshake { id, content } => {
                    let mut peer = Peer::new(id, VICTIM);
                    let public = peer.key.public_key();
                    let head = [&peer.id.0[..], &[64, 33], &[9; 64], public.as_bytes()];
                    let auth = [&head.concat()[..], peer.record.as_bytes()].concat();
                    peer.raw(2, &auth, &vec![7; content])
                }
                Forged::WhoAreYou => Peer::new(1, VICTIM).challenge(&[3; 12], 0),
                Forged::Bytes(bytes) => bytes,
                Forged::Wait(millis) => {
                    lone.pass(Duration::from_millis(millis));
                    vec![]
                }
            };
            if !bytes.is_empty() {
                came += bytes.len();
                Peer::new(1, VICTIM).send(&mut lone, &bytes);
            }
            went += lone.datagrams.drain(..).map(|(_, bytes)| bytes.len()).sum::<usize>();
            prop_assert!(went <= came, "{went} bytes out for {came} in");
        }
        prop_assert_eq!(lone.count(Counter::Sessions), 0);
    }
}

/// Many more challenges than are kept: the oldest are forgotten, whoever is honest gets in.
#[test]
fn a_flood_of_strangers_leaves_room_for_the_next() {
    let mut lone = node();
    let mut first = Peer::new(1, NEAR);
    let (data, _) = drawn(&mut lone, &mut first);
    for place in 0..2 * CHALLENGES_MAX {
        let mut peer = Peer::new(2, &apart(place));
        let random = peer.random();
        peer.send(&mut lone, &random);
        assert_eq!(lone.datagrams.drain(..).count(), 1);
    }
    let ping = ping(&mut first);
    let late = first.shake(&data, 0, &ping);
    first.send(&mut lone, &late);
    assert_eq!(lone.count(Counter::HandshakesUnasked), 1, "its challenge is forgotten");
    let (data, _) = drawn(&mut lone, &mut first);
    accepted(&mut lone, &mut first, &data, 0);
}

/// A flood of handshakes costs at most three verifications per challenge, and each prefix has its
/// own budget.
#[test]
fn a_flood_of_handshakes_spends_the_budget_of_its_prefix_only() {
    let mut lone = node();
    let forgery = Forgery { signer: Some(key(999)), ..Forgery::default() };
    let mut verified = 0;
    for place in 0..200u16 {
        let mut peer = Peer::new(place + 1, &format!("20.0.0.{place}:9000"));
        let (data, _) = drawn(&mut lone, &mut peer);
        let before = lone.count(Counter::HandshakesInvalid);
        for _ in 0..10 {
            refused(&mut lone, &mut peer, &data, &forgery);
        }
        let cost = lone.count(Counter::HandshakesInvalid) - before;
        assert!(cost <= FAILURES_MAX.into(), "{cost} verifications for one challenge");
        verified += cost;
    }
    assert_eq!(verified, HANDSHAKES_PER_PREFIX_AT_ONCE as usize);
    let mut good = Peer::new(1, "20.0.1.1:9000");
    let (data, _) = drawn(&mut lone, &mut good);
    accepted(&mut lone, &mut good, &data, 0);
}

/// Whoever knows where two nodes are, and no more, cannot part them.
#[test]
fn garbage_ends_no_session() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let mut forger = Peer::new(1, NEAR);
    for content in [16, 44, 600] {
        let own = forger.id;
        for bytes in [
            forger.raw(0, &own.0, &vec![1; content]),
            forger.raw(2, &[&own.0[..], &[64, 33], &[1; 97]].concat(), &vec![1; content]),
            forger.challenge(&[1; 12], 0),
        ] {
            forger.send(&mut lone, &bytes);
        }
    }
    peer.inbox(&mut lone);
    let ping = ping(&mut peer);
    peer.say(&mut lone, &ping);
    assert!(is_ponged(&mut lone, &mut peer));
    ask(&mut lone, 1, &Ask::Ping(peer.record.clone()));
    peer.answers(&mut lone);
    assert!(matches!(answer(&lone, 1), Some(Answer::Pong { .. })));
}

/// Somebody else's id, with its genuine record, does not open a session for who has not its key.
#[test]
fn nobody_is_who_it_is_not() {
    let mut lone = node();
    let (mut forger, attacker) = (Peer::new(1, NEAR), Peer::new(2, NEAR));
    let (data, _) = drawn(&mut lone, &mut forger);
    let theirs = Forgery { signer: Some(attacker.key.clone()), ..Forgery::default() };
    refused(&mut lone, &mut forger, &data, &theirs);
    let record = Some(Some(attacker.record.as_bytes().to_vec()));
    refused(&mut lone, &mut forger, &data, &Forgery { record, ..theirs });
}

/// Records that name a victim's address, from liars that invent them without end: it is probed once
/// a minute, whatever checks and look-ups there are.
#[test]
fn a_victim_is_probed_once_a_minute() {
    let mut lone = node();
    let mut liars: Vec<Peer> = (1..4).map(|n| Peer::new(n, &apart(n.into()))).collect();
    liars.iter_mut().for_each(|liar| liar.connects(&mut lone));
    let victim = address(VICTIM);
    let mut probes = Vec::new();
    let mut number = 1_000;
    for round in 0..60 {
        for liar in &mut liars {
            let invented = (0..16).map(|_| {
                number += 1;
                Signed::sign(&key(number), 1, &Endpoints::at([victim]))
            });
            liar.serves = invented.collect();
        }
        ask(&mut lone, round, &Ask::Find(NodeId([round as u8; 32])));
        for _ in 0..50 {
            pass(&mut lone, &mut liars, Duration::from_millis(100));
            let to_victim = lone.datagrams.extract_if(.., |(to, _)| *to == victim).count();
            probes.extend(std::iter::repeat_n(lone.now, to_victim));
        }
    }
    assert!(probes.len() >= 2, "the test probes nothing");
    let apart = |pair: &[_]| -> Duration { pair[1] - pair[0] };
    let least = probes.windows(2).map(apart).min().expect("two at least");
    assert!(least + Duration::from_millis(200) >= QUIET, "probes {least:?} apart");
}

/// A node that answers, and then names a victim's address in record after record.
#[test]
fn who_moves_to_a_victim_has_it_probed_once() {
    let mut lone = node();
    let mut liar = Peer::new(1, NEAR);
    liar.connects(&mut lone);
    for seq in 2..40 {
        liar.reissues(seq, if seq % 2 == 0 { &[VICTIM] } else { &[NEAR] });
        let id = liar.request_id();
        liar.say(&mut lone, &Message::Ping { id, enr_seq: seq });
        liar.answers(&mut lone);
        lone.pass(Duration::from_millis(100));
    }
    let to_victim = lone.datagrams.iter().filter(|(to, _)| *to == address(VICTIM)).count();
    assert!(to_victim <= 1, "{to_victim} probes in four seconds");
}

/// Unasked, at other distances, or in packets without end: no such record gets in.
#[test]
fn poisoned_answers_leave_nothing_behind() {
    let mut lone = node();
    let mut liar = Peer::new(1, NEAR);
    liar.connects(&mut lone);
    let (other, _) = key_at(&liar.id, 255, 1);
    let other = Peer::of(other, address("20.0.9.9:9000"), 1);
    let unasked = liar.request_id();
    liar.say(&mut lone, &nodes(unasked, 1, std::slice::from_ref(&other.record)));
    ask(&mut lone, 1, &Ask::FindNode(liar.record.clone(), vec![254]));
    let text = liar.told(&mut lone).remove(0);
    let Ok(Message::FindNode { id, .. }) = Message::decode(&text) else { panic!("no FINDNODE") };
    for _ in 0..40 {
        liar.say(&mut lone, &nodes(id, 1 << 32, std::slice::from_ref(&other.record)));
    }
    assert_eq!(answer(&lone, 1), Some(Answer::Nodes(vec![])));
    assert!(lone.datagrams.is_empty(), "{} is probed", other.at);
}

/// Records whose signature is wrong cost a verification each: an answer has only so many.
#[test]
fn an_answer_costs_so_many_verifications() {
    let mut lone = node();
    let mut liar = Peer::new(1, NEAR);
    liar.connects(&mut lone);
    ask(&mut lone, 1, &Ask::FindNode(liar.record.clone(), vec![256]));
    let text = liar.told(&mut lone).remove(0);
    let Ok(Message::FindNode { id, .. }) = Message::decode(&text) else { panic!("no FINDNODE") };
    let mut number = 0;
    for _ in 0..NODES_PACKETS_MAX {
        let mut forged = Vec::new();
        for _ in 0..8 {
            let key;
            (key, number) = key_at(&liar.id, 256, number + 1);
            let at = Endpoints::at([address("20.0.9.9:9000")]);
            forged.extend_from_slice(Signed::sign(&key, 1, &at).as_bytes());
            *forged.last_mut().unwrap() ^= 1;
        }
        let bytes = liar.seal_records(id, NODES_PACKETS_MAX, &forged);
        liar.send(&mut lone, &bytes);
    }
    assert_eq!(answer(&lone, 1), Some(Answer::Nodes(vec![])));
    assert_eq!(lone.count(Counter::RecordsInvalid), NODES_RECORDS_MAX);
}

/// One host with as many ids as it likes has its share of the table, and no more.
#[test]
fn one_prefix_does_not_own_the_table() {
    let mut lone = node();
    for number in 0..200u16 {
        Peer::new(number + 10, &format!("20.0.0.{}:{}", number % 250, 9_000 + number))
            .connects(&mut lone);
        lone.pass(Duration::from_millis(100));
    }
    let mut asker = Peer::new(1, "127.0.0.1:9000");
    asker.connects(&mut lone);
    let found: usize = (240..=256).map(|distance| asker.finds(&mut lone, &[distance]).len()).sum();
    assert!((2..=PREFIX_TABLE_MAX + 1).contains(&found), "{found} of one prefix, and the asker");
}

/// Fewer voters than it takes, however many addresses of one prefix say the same, and a majority
/// that is none.
#[test]
fn our_address_is_not_voted_by_few() {
    let mut lone = Lone::on_host(peer::alone(vec![]), &["10.0.0.2"]);
    let before = lone.own().clone();
    for place in 0..VOTES_NEEDED as u16 - 1 {
        let mut peer = Peer::new(place + 1, &apart(place.into()));
        peer.sees = address(VICTIM);
        peer.connects(&mut lone);
    }
    for place in 0..100u16 {
        let mut peer = Peer::new(place + 100, &format!("20.0.0.{}:9000", place + 8));
        peer.sees = address(VICTIM);
        peer.connects(&mut lone);
    }
    assert_eq!(*lone.own(), before);
    for place in 0..VOTES_NEEDED as u16 {
        let mut peer = Peer::new(place + 300, &apart(place as usize + 300));
        peer.sees = address("198.51.100.99:3610");
        peer.connects(&mut lone);
    }
    assert_ne!(lone.own_address(), Some(address(VICTIM)));
}

/// Every node that is asked invents others that are closer: the look-up ends all the same.
#[test]
fn invented_nodes_do_not_keep_a_look_up_alive() {
    let mut boot = Peer::new(1, NEAR);
    let mut lone = Lone::on_host(peer::alone(vec![boot.record.clone()]), &[peer::HOME]);
    boot.answers(&mut lone);
    let target = NodeId([0x77; 32]);
    let mut liars = BTreeMap::<SocketAddr, Peer>::from([(boot.at, boot)]);
    let (mut number, mut queries) = (1, 0);
    ask(&mut lone, 1, &Ask::Find(target));
    for _ in 0..2_000 {
        while let Some((to, bytes)) = lone.datagrams.pop() {
            let Some(liar) = liars.get_mut(&to) else { continue };
            let text = match liar.hear(&bytes) {
                Heard::Sealed(nonce) => {
                    let bytes = liar.challenge(&nonce, 0);
                    liar.send(&mut lone, &bytes);
                    continue;
                }
                Heard::Message(_, text) | Heard::Handshake(_, text, _) => text,
                Heard::Challenge { .. } => continue,
            };
            let mut invented = Vec::new();
            let distance = liar.id.log_distance(&target);
            if let Ok(Message::FindNode { distances, .. }) = Message::decode(&text)
                && distances.iter().next() == Some(distance)
            {
                queries += 1;
                for _ in 0..4 {
                    let key;
                    (key, number) = key_at(&target, (distance - 1).max(249), number + 1);
                    let at = address(&apart(invented.len() + 4 * queries));
                    invented.push(Peer::of(key, at, 1));
                }
            }
            liar.serves = invented.iter().map(|peer| peer.record.clone()).collect();
            liar.replies(&mut lone, &text);
            liars.extend(invented.into_iter().map(|peer| (peer.at, peer)));
        }
        if answer(&lone, 1).is_some() {
            break;
        }
        lone.pass(Duration::from_millis(50));
    }
    assert!(answer(&lone, 1).is_some(), "no end after {queries} queries");
    assert!(queries <= 2 * QUERIES_MAX, "{queries} queries"); // our own is looked up as well
}

/// Sybils are closest to an operator's id, all of them, and hide its record: another operator that
/// answers is asked as well.
#[test]
fn sybils_around_an_operator_do_not_hide_it() {
    let home = lone::key(0);
    let mut number = 0;
    let mut peers: Vec<Peer> = (0..16)
        .map(|place| {
            let key;
            (key, number) = key_at(&node_id(1), 247, number + 1);
            Peer::of(key, address(&apart(place)), 1).facing(&home)
        })
        .collect();
    let records: Vec<Signed> = peers.iter().map(|peer| peer.record.clone()).collect();
    peers.iter_mut().for_each(|sybil| sybil.serves.clone_from(&records));
    let discovery = Some(settings(records));
    let mut lone = Lone::settled(Config { discovery, ..config(4) }, &[peer::HOME]);
    pass(&mut lone, &mut peers, Duration::from_secs(5));
    let wanted = lone::record(1, 9, &["203.0.113.1:3610"]);
    let mut friend = Peer::of(lone::key(2), address("203.0.113.2:3610"), 9).facing(&home);
    friend.serves = vec![wanted.clone()];
    friend.connects(&mut lone);
    peers.push(friend);
    pass(&mut lone, &mut peers, Duration::from_secs(30));
    let found = |event: &Event| matches!(event, Event::Record { record, .. } if *record == wanted);
    assert!(lone.events.iter().any(found));
}

/// What a peer does with what came to it: it answers the challenge of the packet with this nonce, and
/// no other (R34).
fn challenge_of(lone: &mut Lone, peer: &mut Peer, packet: &[u8]) -> Option<(ChallengeData, u64)> {
    let home = Mask::of(&NodeId::of(&key(0).public_key().point()));
    let nonce = Packet::decode(&home, packet, &mut [0; PACKET_BYTES_MAX]).unwrap().nonce;
    peer.hear_all(lone).into_iter().find_map(|heard| match heard {
        Heard::Challenge { data, nonce: of, enr_seq } if of == nonce => Some((data, enr_seq)),
        _ => None,
    })
}

/// Somebody sends one packet a second in a peer's name, just before the peer's own: the peer has no
/// use for the forger's challenge, and soon gets its own.
#[test]
fn r36_who_forges_a_packet_a_second_keeps_nobody_out() {
    let mut lone = node();
    let (mut peer, mut forger) = (Peer::new(1, NEAR), Peer::new(1, NEAR));
    (0..100).for_each(|_| _ = forger.request_id()); // the two never use one nonce
    for attempt in 0..3 {
        let forged = forger.raw(0, &peer.id.0, &[attempt; 44]);
        forger.send(&mut lone, &forged);
        lone.pass(Duration::from_millis(100));
        let own = peer.random();
        peer.send(&mut lone, &own);
        if let Some((data, enr_seq)) = challenge_of(&mut lone, &mut peer, &own) {
            return accepted(&mut lone, &mut peer, &data, enr_seq);
        }
        lone.pass(Duration::from_millis(900));
    }
    panic!("three attempts, and no challenge that the peer could answer");
}

/// Each of the challenges of one contact can be met, and there are no more than so many.
#[test]
fn r36_each_live_challenge_can_be_met() {
    for which in 0..CHALLENGES_PER_CONTACT_MAX {
        let mut lone = node();
        let mut peer = Peer::new(1, NEAR);
        let mut drawn = Vec::new();
        for _ in 0..3 * CHALLENGES_PER_CONTACT_MAX {
            let random = peer.random();
            for _ in 0..2 {
                peer.send(&mut lone, &random);
                let (data, ..) = peer.challenged(&mut lone);
                if !drawn.contains(&data) {
                    drawn.push(data);
                }
            }
        }
        assert_eq!(drawn.len(), CHALLENGES_PER_CONTACT_MAX);
        accepted(&mut lone, &mut peer, &drawn[which], 0);
        let ping = ping(&mut peer);
        let late = peer.clone().shake(&drawn[0], 0, &ping);
        peer.send(&mut lone, &late);
        assert_eq!(lone.count(Counter::HandshakesUnasked), 1, "the others went with it");
    }
}

/// A flood from one prefix pushes out nobody's challenge but its neighbours'; and not even that of a
/// neighbour whom we know.
#[test]
fn a_flood_from_one_prefix_pushes_out_no_challenge_of_others() {
    let mut lone = node();
    let mut known = Peer::new(2, "20.0.0.7:9000");
    known.connects(&mut lone);
    let mut other = Peer::new(1, NEAR);
    let drawn_by = [&mut known, &mut other].map(|peer| drawn(&mut lone, peer));
    for place in 0..2 * CHALLENGES_MAX {
        let mut forger = Peer::new(3, &format!("20.0.0.{}:{}", place % 256, 1_000 + place));
        let random = forger.random();
        forger.send(&mut lone, &random);
        lone.datagrams.clear();
    }
    for (peer, (data, enr_seq)) in [&mut known, &mut other].into_iter().zip(drawn_by) {
        accepted(&mut lone, peer, &data, enr_seq);
    }
}

/// Forged handshakes spend what their prefix has: a neighbour whom we know has its own.
#[test]
fn a_spent_prefix_still_lets_in_whom_we_know() {
    let mut lone = node();
    let mut known = Peer::new(1_000, "20.0.0.7:9000");
    known.connects(&mut lone);
    let forgery = Forgery { signer: Some(key(999)), ..Forgery::default() };
    for place in 0..HANDSHAKES_PER_PREFIX_AT_ONCE as u16 {
        let mut forger = Peer::new(place + 1, &format!("20.0.0.{}:9001", place % 256));
        let (data, _) = drawn(&mut lone, &mut forger);
        for _ in 0..FAILURES_MAX {
            refused(&mut lone, &mut forger, &data, &forgery);
        }
    }
    assert!(lone.count(Counter::HandshakesDelayed) > 0, "nothing is left for strangers");
    known.forgets();
    let (data, enr_seq) = drawn(&mut lone, &mut known);
    accepted(&mut lone, &mut known, &data, enr_seq);
    let mut stranger = Peer::new(1_001, "20.0.0.8:9000");
    let (data, _) = drawn(&mut lone, &mut stranger);
    refused(&mut lone, &mut stranger, &data, &Forgery::default());
}

/// Handshakes that fail in a peer's name end neither its session nor its place in the table, and not
/// the handshake that it has begun itself.
#[test]
fn r37_who_fails_in_another_s_name_takes_nothing_from_it() {
    let mut lone = node();
    let mut peer = Peer::new(1, NEAR);
    peer.connects(&mut lone);
    let mut forger = Peer::new(1, NEAR);
    // The forger sees none of the challenges that it draws.
    let blind = ChallengeData([7; 63]);
    let forgery = Forgery { signer: Some(key(9)), ..Forgery::default() };
    for _ in 0..2 {
        let forged = forger.random();
        forger.send(&mut lone, &forged);
    }
    let own = peer.random();
    peer.send(&mut lone, &own);
    let (data, enr_seq) = challenge_of(&mut lone, &mut peer, &own).expect("a challenge of its own");
    for _ in 0..FAILURES_MAX {
        refused(&mut lone, &mut forger, &blind, &forgery);
    }
    let table = lone.node.discovery().unwrap().table();
    assert!(table.get(&peer.id).is_some_and(|node| node.is_verified()));
    let in_session = ping(&mut peer);
    peer.say(&mut lone, &in_session);
    assert!(is_ponged(&mut lone, &mut peer));
    accepted(&mut lone, &mut peer, &data, enr_seq);
}

/// At a restart the table is empty, and whoever connects before anybody was found would have it for
/// itself: they are pinged back, and wait.
#[test]
fn r80_whoever_connects_at_a_restart_does_not_own_the_table() {
    let home = NodeId::of(&key(0).public_key().point());
    let mut boot = Peer::new(1, NEAR);
    let mut number = 0;
    let mut at_256 = |place: usize| {
        let key;
        (key, number) = key_at(&home, 256, number + 1);
        Peer::of(key, address(&apart(place)), 1)
    };
    let honest: Vec<Peer> = (0..5).map(&mut at_256).collect();
    let mut sybils: Vec<Peer> = (100..120).map(&mut at_256).collect();
    boot.serves = honest.iter().map(|peer| peer.record.clone()).collect();
    let mut lone = Lone::on_host(peer::alone(vec![boot.record.clone()]), &[peer::HOME]);
    for sybil in &mut sybils {
        sybil.shakes_hands(&mut lone);
        let before = sybil.packets;
        sybil.answers(&mut lone);
        assert!(sybil.packets >= before + 2, "a PONG, and pinged back (R81)");
    }
    assert!(lone.node.discovery().unwrap().table().is_empty());
    let who = |peers: &[Peer]| -> Vec<NodeId> { peers.iter().map(|peer| peer.id).collect() };
    let (good, bad) = (who(&honest), who(&sybils));
    let mut all = [vec![boot], honest, sybils].concat();
    pass(&mut lone, &mut all, Duration::from_secs(10));
    let table = lone.node.discovery().unwrap().table();
    let verified = |id: &&NodeId| table.get(id).is_some_and(|node| node.is_verified());
    let found = good.iter().filter(verified).count();
    assert!(found >= 2, "whoever the boot node told of is known, {found} of them");
    let inbound = bad.iter().filter(verified).count();
    assert!((1..=BUCKET_INBOUND - found).contains(&inbound), "{inbound} have only connected");
}

/// One node that connects, and tells of as many others of its own as anybody could want.
#[test]
fn r80_whoever_connects_and_tells_of_others_does_not_own_a_bucket() {
    let mut lone = node();
    let home = NodeId::of(&key(0).public_key().point());
    let mut number = 0;
    let mut sybils: Vec<Peer> = (0..40)
        .map(|place| {
            let key;
            (key, number) = key_at(&home, 256, number + 1);
            Peer::of(key, address(&apart(place)), 1)
        })
        .collect();
    let records: Vec<Signed> = sybils.iter().map(|peer| peer.record.clone()).collect();
    sybils[0].serves = records;
    sybils.iter_mut().for_each(|sybil| sybil.connects(&mut lone));
    for round in 0..8 {
        ask(&mut lone, round, &Ask::Find(NodeId([round as u8 * 31; 32])));
        pass(&mut lone, &mut sybils, Duration::from_secs(20));
    }
    let table = lone.node.discovery().unwrap().table();
    let known = sybils.iter().filter(|sybil| table.get(&sybil.id).is_some()).count();
    assert_eq!(known, BUCKET_INBOUND);
}
