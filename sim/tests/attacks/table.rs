//! The table and the vote: who is known, and where we are.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use stayfound_core::chance::Chance;
use stayfound_core::discovery::Ask;
use stayfound_core::discovery::table::{
    BUCKET_INBOUND, BUCKET_NODES, PREFIX_BUCKET_MAX, PREFIX_TABLE_MAX,
};
use stayfound_core::discovery::vote::VOTES_NEEDED;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_sim::adversary::Adversary;
use stayfound_sim::moment::Units;
use stayfound_sim::scenario::{Bootstrap, Neighbours, Options};
use stayfound_sim::script::Script;

use crate::{
    NODES, at, finds, honest_in_table, honest_nodes_are_found, id, key_within, network, network_of,
    record, secret, table,
};

#[test]
fn inbound_contacts_and_sybils_neither_fill_the_table_nor_hide_a_node() {
    let mut world = network(16);
    let target = record(&world, 5);
    let before: Vec<usize> = (0..NODES).map(|node| honest_in_table(&world, node)).collect();
    // Ids ground to be close to the target's: as close as one in two hundred.
    let mut number = 10_000;
    for host in NODES..NODES + 16 {
        let close = key_within(&target.node_id(), 248, &mut number);
        world.conspires(host, |it| {
            *it = Adversary::new(close, at(host), &Chance::new([2; 32]));
            it.serves = Vec::new(); // they know nobody
        });
    }
    for host in NODES..NODES + 16 {
        for node in 0..NODES {
            let node = record(&world, node);
            world.conspires(host, |it| it.meets(&node));
            world.after(20.ms());
        }
    }
    world.after(60.s());
    for seeker in (0..NODES).filter(|seeker| *seeker != 5) {
        let found = finds(&mut world, seeker, target.node_id());
        assert_eq!(found.as_ref(), Some(&target), "node {seeker} finds who was surrounded");
        let (had, has) = (before[seeker], honest_in_table(&world, seeker));
        assert!(has >= had, "node {seeker} knew {had} honest nodes and knows {has}");
    }
}

#[test]
fn liars_do_not_tell_a_cluster_where_it_is() {
    /// More than it takes for a vote of strangers, each of a prefix of its own.
    const LIARS: usize = VOTES_NEEDED + 2;
    let discovery = Some(Neighbours { boots: 1, walkers: 6 + LIARS });
    let options =
        Options { discovery, bootstrap: Bootstrap::Discovery, forwarded: 0, ..Options::plain(4) };
    let mut world = Script::new(&options);
    let elsewhere: SocketAddr = "203.0.113.66:3610".parse().unwrap();
    let liars = 4 + 7..4 + 7 + LIARS;
    for host in 0..4 + 7 {
        world.number(host).starts();
    }
    for (n, host) in liars.clone().enumerate() {
        let at = format!("24.0.{}.1:3610", host - 4).parse().unwrap();
        let mut liar = Adversary::new(secret(5_000 + n as u64), at, &Chance::new([3; 32]));
        liar.sees = Some(elsewhere);
        world.corrupts(host, liar);
    }
    world.heals_within(30.s());
    for operator in 0..4 {
        let record = record(&world, operator);
        for host in liars.clone() {
            world.conspires(host, |it| it.meets(&record));
        }
    }
    world.after(400.s());
    for operator in 0..4 {
        let at = record(&world, operator).endpoints().udp_addresses().next();
        assert_ne!(at, Some(elsewhere), "operator {operator} believes strangers");
    }
    world.is_well();
}

#[test]
fn who_starts_amid_sybils_comes_to_know_honest_nodes() {
    const SYBILS: usize = 40;
    let newcomer = NODES - 1;
    let mut world = network_of(newcomer, SYBILS);
    world.number(newcomer).starts();
    world.after(10.ms());
    // All in the bucket of half of all nodes, and there before anybody whom it could have asked.
    let (there, mut number) = (record(&world, newcomer), 60_000);
    let far = NodeId(there.node_id().0.map(|it| !it));
    for host in NODES..NODES + SYBILS {
        let key = key_within(&far, 255, &mut number);
        world.corrupts(host, Adversary::new(key, at(host), &Chance::new([7; 32])));
    }
    for _ in 0..4 {
        (NODES..NODES + SYBILS).for_each(|host| world.conspires(host, |it| it.meets(&there)));
        world.after(10.ms());
    }
    world.after(60.s());
    let own = id(&world, newcomer);
    let mut honest = BTreeMap::<u16, usize>::new();
    for node in 0..newcomer {
        *honest.entry(own.log_distance(&id(&world, node))).or_default() += 1;
    }
    let owed: usize = honest.values().map(|n| *n.min(&(BUCKET_NODES - BUCKET_INBOUND))).sum();
    let knows = honest_in_table(&world, newcomer);
    assert!(knows >= owed, "it knows {knows} honest nodes, where {owed} have their place");
    let sybils = table(&world, newcomer).len() - knows;
    assert!(sybils >= BUCKET_INBOUND / 2, "the test fills nothing: {sybils}");
    honest_nodes_are_found(&mut world);
}

#[test]
fn invented_neighbours_do_not_spend_the_quota_of_a_prefix() {
    let victim = NODES - 1;
    let mut world = network_of(victim, 3);
    // Ids that do not exist, all at the victim's /24, before the victim itself is there.
    let beside = |n: u64| SocketAddr::from(([24, 0, victim as u8, 10 + n as u8], 3610));
    let invented: Vec<Signed> = (0..60u64)
        .map(|n| Signed::sign(&secret(40_000 + n), 1, &Endpoints::at([beside(n)])))
        .collect();
    for host in NODES..NODES + 3 {
        world.conspires(host, |it| it.serves.clone_from(&invented));
        for node in 0..victim {
            let node = record(&world, node);
            world.conspires(host, |it| it.meets(&node));
        }
    }
    world.after(60.s());
    for node in 0..victim {
        for host in NODES..NODES + 3 {
            let liar = world.conspires(host, |it| it.record.clone());
            world.ask(node, &Ask::FindNode(liar, (249..=256).collect()));
        }
    }
    world.number(victim).starts();
    world.after(20.s());
    let knowing = (0..victim).filter(|node| table(&world, *node).contains(&at(victim))).count();
    assert!(knowing >= victim / 2, "{knowing} know the victim");
    honest_nodes_are_found(&mut world);
}

#[test]
fn one_prefix_has_its_share_of_every_table_and_no_more() {
    const SYBILS: usize = 40;
    let mut world = network(SYBILS);
    let there = |host: usize| SocketAddr::from(([25, 1, 1, host as u8], 3610));
    let records: Vec<Signed> = (NODES..NODES + SYBILS)
        .map(|host| {
            world.number(host).moves_to(&there(host).to_string());
            let sybil = Adversary::new(secret(host as u64), there(host), &Chance::new([6; 32]));
            let record = sybil.record.clone();
            world.corrupts(host, sybil);
            record
        })
        .collect();
    for host in NODES..NODES + SYBILS {
        world.conspires(host, |it| it.serves.clone_from(&records));
        for node in 0..NODES {
            let node = record(&world, node);
            world.conspires(host, |it| it.meets(&node));
        }
        world.after(100.ms());
    }
    world.after(120.s());
    let mut most = 0;
    for node in 0..NODES {
        let table = world.node_of(node).discovery().expect("it discovers").table();
        let of_them = table.nodes().filter(|it| it.is_verified() && records.contains(it.record()));
        most = most.max(of_them.count());
    }
    assert!(most > PREFIX_BUCKET_MAX, "the test fills nothing: {most}");
    assert!(most <= PREFIX_TABLE_MAX, "{most} of one prefix in a table");
    honest_nodes_are_found(&mut world);
}

#[test]
fn few_liars_and_one_prefix_full_of_them_win_no_vote() {
    const FEW: usize = VOTES_NEEDED - 2; // and one more voice, that of the prefix
    const MANY: usize = 40;
    let honest = 6;
    let discovery = Some(Neighbours { boots: 1, walkers: honest - 1 + FEW + MANY });
    let options =
        Options { discovery, bootstrap: Bootstrap::Discovery, forwarded: 1, ..Options::plain(1) };
    let mut world = Script::new(&options);
    let elsewhere: SocketAddr = "203.0.113.66:3610".parse().unwrap();
    let outside: SocketAddr = "198.18.0.1:3610".parse().unwrap(); // of the router
    for host in 0..=honest {
        world.number(host).starts();
    }
    world.after(30.s());
    for (n, host) in (honest + 1..honest + 1 + FEW + MANY).enumerate() {
        let there = match n < FEW {
            true => at(host - 1),
            false => SocketAddr::from(([25, 1, 1, n as u8], 3610)),
        };
        if n >= FEW {
            world.number(host).moves_to(&there.to_string());
        }
        let mut liar = Adversary::new(secret(5_000 + n as u64), there, &Chance::new([3; 32]));
        liar.sees = Some(elsewhere);
        world.corrupts(host, liar);
        let operator = record(&world, 0);
        world.conspires(host, |it| it.asks_at(&operator, outside, &[]));
        world.after(100.ms());
    }
    world.after(400.s());
    let liars = table(&world, 0).into_iter().filter(|it| (0..=honest).all(|n| at(n) != *it));
    assert!(liars.count() >= FEW, "the test asks nobody");
    let named = record(&world, 0).endpoints().udp_addresses().next();
    assert_ne!(named, Some(elsewhere), "it believes few");
}

#[test]
fn sybils_around_every_operator_do_not_keep_a_cluster_apart() {
    const SYBILS: usize = 20; // more than a look-up has for its result
    const WALKERS: usize = 12;
    let discovery = Some(Neighbours { boots: 1, walkers: WALKERS + 4 * SYBILS });
    let options = Options { discovery, bootstrap: Bootstrap::Discovery, ..Options::plain(4) };
    let mut world = Script::new(&options);
    let first = 4 + 1 + WALKERS;
    for host in 0..first {
        world.number(host).starts();
    }
    world.heals_within(60.s());
    // So close to each operator as nobody else is; they know of one another only.
    let mut number = 50_000;
    for operator in 0..4 {
        let target = id(&world, operator);
        let hosts = first + operator * SYBILS..first + (operator + 1) * SYBILS;
        let records: Vec<Signed> = hosts
            .clone()
            .map(|host| {
                let key = key_within(&target, 246, &mut number);
                let sybil = Adversary::new(key, at(host - 4), &Chance::new([8; 32]));
                let record = sybil.record.clone();
                world.corrupts(host, sybil);
                record
            })
            .collect();
        for host in hosts {
            world.conspires(host, |it| it.serves.clone_from(&records));
            for node in 0..first {
                let node = record(&world, node);
                world.conspires(host, |it| it.meets(&node));
            }
            world.after(100.ms());
        }
    }
    world.after(60.s());
    for (name, n) in ["A", "B", "C", "D"].into_iter().zip(1..) {
        world.node(name).moves_to(&format!("198.18.9.{n}:3610"));
    }
    world.heals_within(60.s());
}
