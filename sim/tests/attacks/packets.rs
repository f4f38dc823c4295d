//! Packets: floods, reflection, handshakes of those who are somebody else.

use std::net::SocketAddr;

use stayfound_core::discovery::budget::{
    HANDSHAKE_PER_PREFIX_EVERY, HANDSHAKES_AT_ONCE, HANDSHAKES_PER_PREFIX_AT_ONCE,
};
use stayfound_core::discovery::challenge::{CHALLENGES_MAX, FAILURES_MAX};
use stayfound_core::discovery::packet::CHALLENGEABLE_BYTES_MIN;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::Counter;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_sim::adversary::{Adversary, Guise};
use stayfound_sim::moment::Units;
use stayfound_sim::script::Script;

use crate::{
    NODES, at, finds, honest_nodes_are_found, id, network, network_of, record, secret, stranger,
    table,
};

#[test]
fn reflection_gives_the_victim_less_than_the_attacker_spends() {
    let mut world = network(2);
    let (attacker, victim) = (NODES, NODES + 1);
    let before = world.conspires(victim, |it| it.heard);
    let mut spent = 0;
    for node in 0..NODES {
        let to = id(&world, node);
        spent += world.conspires(attacker, |it| {
            (0..20u64)
                .map(|n| {
                    let src = NodeId::of(&secret(1_000 + n).public_key().point());
                    let mut bytes = it.random(&to, &src);
                    bytes.truncate(
                        [CHALLENGEABLE_BYTES_MIN - 1, CHALLENGEABLE_BYTES_MIN][n as usize % 2],
                    );
                    let size = bytes.len() as u64;
                    it.shoots(Some(at(victim)), at(node), bytes);
                    size
                })
                .sum::<u64>()
        });
    }
    world.after(60.s());
    let got = world.conspires(victim, |it| it.heard.1) - before.1;
    assert!(got > 0, "nodes do challenge whoever they cannot read");
    // 63 bytes for 87, and nothing for less.
    assert!(100 * got <= 37 * spent, "{got} bytes reached the victim for {spent}");
}

#[test]
fn a_flood_of_packets_from_nowhere_leaves_no_trace() {
    let mut world = network(1);
    let (node, to) = (3, id(&world, 3));
    // Its own challenge comes first, and it keeps it waiting.
    let target = record(&world, node);
    world.conspires(NODES, |it| {
        it.stalls = true;
        it.meets(&target);
    });
    world.after(100.ms());
    for burst in 0..20u64 {
        world.conspires(NODES, |it| {
            for n in 0..250u64 {
                let n = burst * 250 + n;
                let mut src = [0xee; 32];
                src[..8].copy_from_slice(&n.to_be_bytes());
                let bytes = it.random(&to, &NodeId(src));
                let from = SocketAddr::from(([203, 0, (n >> 8) as u8, n as u8], 1024));
                it.shoots(Some(from), at(node), bytes);
            }
        });
        world.after(30.ms());
    }
    world.conspires(NODES, Adversary::yields);
    world.after(200.ms());
    assert!(world.count_of(node, Counter::Challenges) >= 5_000, "each drew its challenge");
    const { assert!(CHALLENGES_MAX < 5_000, "which cannot all be kept") };
    assert_eq!(world.count_of(node, Counter::HandshakesUnasked), 1, "the first is forgotten");
    world.conspires(NODES, |it| {
        it.stalls = false;
        it.meets(&target);
    });
    world.after(1.s());
    assert!(world.conspires(NODES, |it| it.opened) > 0, "whoever comes now has room");
    honest_nodes_are_found(&mut world);
}

#[test]
fn handshakes_that_answer_no_challenge_cost_nothing() {
    let mut world = network(1);
    let node = record(&world, 3);
    for _ in 0..20 {
        world.conspires(NODES, |it| {
            for n in 0..50u64 {
                let bytes = it.blind_handshake(&node, &stranger(2_000 + n));
                it.shoots(None, at(3), bytes);
            }
        });
        world.after(100.ms());
    }
    assert_eq!(world.count_of(3, Counter::HandshakesUnasked), 1_000);
    assert_eq!(world.count_of(3, Counter::HandshakesInvalid), 0, "none was looked at");
    honest_nodes_are_found(&mut world);
}

#[test]
fn garbage_in_the_name_of_another_ends_no_session() {
    let mut world = network(1);
    let (a, b) = (id(&world, 3), id(&world, 4));
    assert_eq!(finds(&mut world, 3, b).map(|it| it.node_id()), Some(b));
    let handshakes = world.count_of(3, Counter::HandshakesSent);
    for _ in 0..50 {
        // To each in the name and from the address of the other.
        world.conspires(NODES, |it| {
            let bytes = it.random(&a, &b);
            it.shoots(Some(at(4)), at(3), bytes);
            let bytes = it.random(&b, &a);
            it.shoots(Some(at(3)), at(4), bytes);
        });
        world.after(50.ms());
    }
    let node = record(&world, 4);
    assert!(matches!(world.ask(3, &Ask::Ping(node)), Answer::Pong { .. }));
    assert_eq!(world.count_of(3, Counter::HandshakesSent), handshakes, "the old session lives");
    honest_nodes_are_found(&mut world);
}

#[test]
fn nobody_is_banned_for_what_others_send_in_its_name() {
    let mut world = network(1);
    let to = id(&world, 0);
    for victim in 1..NODES {
        let src = id(&world, victim);
        world.conspires(NODES, |it| {
            for _ in 0..50 {
                let bytes = it.random(&to, &src);
                it.shoots(Some(at(victim)), at(0), bytes);
                it.shoots(Some(at(victim)), at(0), vec![0xff; 200]);
            }
        });
    }
    world.after(1.s());
    let boot = record(&world, 0);
    for victim in 1..NODES {
        let answer = world.ask(victim, &Ask::Ping(boot.clone()));
        assert!(matches!(answer, Answer::Pong { .. }), "node {victim} is answered: {answer:?}");
    }
    honest_nodes_are_found(&mut world);
}

#[test]
fn handshakes_against_live_challenges_cost_a_budget_and_no_more() {
    let mut world = network_of(NODES - 1, 1);
    let (node, seconds) = (record(&world, 3), 5);
    let before = world.count_of(3, Counter::HandshakesInvalid);
    // One challenge: no more than so many verifications, whatever is sent against it.
    assails(&mut world, 3, &[(SocketAddr::from(([203, 1, 1, 1], 1024)), stranger(2_000))], 10);
    let cost = world.count_of(3, Counter::HandshakesInvalid) - before;
    assert_eq!(cost, u64::from(FAILURES_MAX), "one challenge");
    // Very many challenges from one /24, each assailed; meanwhile a node joins elsewhere.
    let before = world.count_of(3, Counter::HandshakesInvalid);
    world.number(NODES - 1).starts();
    for second in 0..seconds {
        let forged: Vec<_> = (0..100u64)
            .map(|n| {
                let at = SocketAddr::from(([203, 0, 113, n as u8], 1024 + second as u16));
                (at, stranger(3_000 + n))
            })
            .collect();
        assails(&mut world, 3, &forged, 2);
    }
    let cost = world.count_of(3, Counter::HandshakesInvalid) - before;
    let refilled = 1_000 * (seconds + 1) / HANDSHAKE_PER_PREFIX_EVERY.as_millis() as u64;
    let budget = u64::from(HANDSHAKES_PER_PREFIX_AT_ONCE) + refilled;
    assert!(cost <= budget, "{cost} verifications, where {budget} are allowed");
    assert!(cost >= HANDSHAKES_PER_PREFIX_AT_ONCE.into(), "the test spends nothing: {cost}");
    const { assert!(HANDSHAKES_AT_ONCE > 8 * HANDSHAKES_PER_PREFIX_AT_ONCE) };
    let answer = world.ask(NODES - 1, &Ask::Ping(node));
    assert!(matches!(answer, Answer::Pong { .. }), "who is elsewhere gets in: {answer:?}");
    honest_nodes_are_found(&mut world);
}

/// From each of these addresses, in the name of the node, draws a challenge and answers it so
/// often without having seen it. Takes a second.
fn assails(world: &mut Script, node: usize, forged: &[(SocketAddr, Signed)], times: usize) {
    let target = record(world, node);
    world.conspires(NODES, |it| {
        for (from, forged) in forged {
            let bytes = it.random(&target.node_id(), &forged.node_id());
            it.shoots(Some(*from), at(node), bytes);
        }
    });
    world.after(100.ms());
    world.conspires(NODES, |it| {
        for (from, forged) in forged {
            for _ in 0..times {
                let bytes = it.blind_handshake(&target, forged);
                it.shoots(Some(*from), at(node), bytes);
            }
        }
    });
    world.after(900.ms());
}

#[test]
fn whoever_spends_the_budget_of_a_victims_prefix_parts_it_from_nobody() {
    let mut world = network(1);
    let victim = 5;
    let wanted = record(&world, victim);
    for second in 0..20u64 {
        for node in [3, 4] {
            let forged: Vec<_> = (0..100u64)
                .map(|n| {
                    let [.., low] = (second * 100 + n).to_be_bytes();
                    let beside = SocketAddr::from(([24, 0, victim as u8, low], 1_024 + n as u16));
                    (beside, stranger(4_000 + n))
                })
                .collect();
            assails(&mut world, node, &forged, 3);
            let delayed = world.count_of(node, Counter::HandshakesDelayed);
            assert!(delayed > 0, "the budget of the victim's prefix is spent");
            // Whom they know they hear, and whoever looks for the victim finds it.
            let there = record(&world, node);
            let answer = world.ask(victim, &Ask::Ping(there));
            assert!(matches!(answer, Answer::Pong { .. }), "second {second}: {answer:?}");
            assert_eq!(finds(&mut world, node, wanted.node_id()).as_ref(), Some(&wanted));
        }
    }
    // One that knows nobody any more is heard soon after.
    world.number(victim).crashes();
    world.number(victim).loses_its_disk();
    world.number(victim).starts();
    world.after(30.s());
    for node in [3, 4] {
        let there = record(&world, node);
        let answer = world.ask(victim, &Ask::Ping(there));
        assert!(matches!(answer, Answer::Pong { .. }), "node {node}: {answer:?}");
    }
    honest_nodes_are_found(&mut world);
}

#[test]
fn nobody_is_believed_to_be_somebody_else() {
    let mut world = network(2);
    let (node, victim) = (record(&world, 3), record(&world, 5));
    let own = Signed::sign(&secret(NODES as u64), 1 << 60, &Endpoints::at([at(NODES)]));
    // As itself it is believed: the scenario can fail.
    world.conspires(NODES + 1, |it| it.meets(&node));
    world.after(2.s());
    assert!(world.conspires(NODES + 1, |it| it.opened) > 0);
    // With its own record, the newest that there is, with the victim's, with none where the node holds the victim's: its own
    // key is all that it can sign with.
    for record in [Some(own), Some(victim.clone()), None] {
        let before = world.count_of(3, Counter::HandshakesInvalid);
        world.conspires(NODES, |it| {
            it.guise = Some(Guise { src: victim.node_id(), record });
            it.meets(&node);
        });
        world.after(2.s());
        assert_eq!(world.conspires(NODES, |it| it.opened), 0, "it is believed");
        assert!(world.count_of(3, Counter::HandshakesInvalid) > before, "it was not challenged");
    }
    let found = finds(&mut world, 3, victim.node_id());
    assert_eq!(found.as_ref(), Some(&victim));
    assert!(table(&world, 3).contains(&at(5)) && !table(&world, 3).contains(&at(NODES)));
    honest_nodes_are_found(&mut world);
}
