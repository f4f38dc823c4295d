//! Clusters and networks that find one another through discovery alone.

use std::time::Duration;

use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::record::{NodeId, Signed};
use stayfound_sim::moment::Units;
use stayfound_sim::network::Loss;
use stayfound_sim::scenario::{Bootstrap, Neighbours, Options};
use stayfound_sim::script::Script;

/// A cluster of four in which no address is written down anywhere, among strangers: a boot node
/// (E) and others.
fn among(walkers: usize) -> Options {
    let discovery = Some(Neighbours { boots: 1, walkers });
    Options { discovery, bootstrap: Bootstrap::Discovery, ..Options::plain(4) }
}

/// Nodes that only discover: a boot node and others, started one after the other.
fn network(nodes: usize, loss: u16) -> Script {
    let discovery = Some(Neighbours { boots: 1, walkers: nodes - 1 });
    let mut world = Script::new(&Options { discovery, loss: Loss(loss), ..Options::plain(0) });
    for node in 0..nodes {
        world.number(node).starts();
        world.after(100.ms());
    }
    world.after(30.s());
    world
}

fn own(world: &Script, node: usize) -> Signed {
    world.node_of(node).own_record().expect("it has a record").clone()
}

/// What `seeker` finds of `target`: of packets that are lost one look-up in a few has bad luck
/// with the last hop, as its user would see and try again; never thrice.
fn finds(world: &mut Script, seeker: usize, target: NodeId) -> Option<Signed> {
    (0..3).find_map(|_| match world.ask(seeker, &Ask::Find(target)) {
        Answer::Found { newest, .. } => newest,
        answer => panic!("{answer:?} to a look-up"),
    })
}

fn everybody_is_found(world: &mut Script, nodes: usize, lookups: usize) {
    for n in 0..lookups {
        let (seeker, target) = (n * 7 % nodes, (n * 31 + 11) % nodes);
        if seeker == target {
            continue;
        }
        let record = own(world, target);
        let found = finds(world, seeker, record.node_id());
        let (found, wanted) = (found.map(|it| it.seq()), Some(record.seq()));
        assert_eq!(found, wanted, "node {seeker} looks for node {target}");
    }
}

#[test]
fn a_cluster_without_any_address_comes_together() {
    let mut world = Script::started(&among(12));
    world.at(300.s()).is_well();
}

#[test]
fn all_four_move_at_once_and_one_loses_its_database() {
    let mut world = Script::started(&among(20));
    world.at(60.s());
    for (name, n) in ["A", "B", "C", "D"].into_iter().zip(1..) {
        world.node(name).moves_to(&format!("198.18.9.{n}:3610"));
    }
    world.node("B").crashes();
    world.node("B").loses_its_disk();
    world.after(2.s()).node("B").starts();
    let took = world.heals_within(60.s());
    assert!(took > Duration::ZERO);
}

#[test]
fn what_the_table_held_is_enough_when_the_boot_node_is_gone() {
    let mut world = Script::started(&among(12));
    world.at(180.s()).node("E").crashes();
    for name in ["A", "B", "C", "D"] {
        world.node(name).crashes();
    }
    for (name, n) in ["A", "B", "C", "D"].into_iter().zip(1..) {
        world.node(name).moves_to(&format!("198.18.9.{n}:3610"));
        world.node(name).starts();
    }
    world.heals_within(60.s());
}

#[test]
fn a_partition_ends() {
    let mut world = Script::started(&among(12));
    world.at(60.s());
    for host in [0, 1, 5, 6, 7, 8, 9] {
        world.number(host).is_on_side(1);
    }
    world.after(30.s()).node("A").moves_to("198.18.9.1:3610");
    world.node("C").moves_to("198.18.9.3:3610");
    world.after(600.s());
    for host in [0, 1, 5, 6, 7, 8, 9] {
        world.number(host).is_on_side(0);
    }
    world.heals_within(800.s());
}

#[test]
fn fifty_nodes_with_loss_find_one_another_and_again_when_all_have_moved() {
    let mut world = network(50, 50);
    everybody_is_found(&mut world, 50, 50);
    // The boot node stays: everybody else is somewhere else at once.
    for node in 1..50 {
        world.number(node).moves_to(&format!("25.0.{node}.1:3610"));
    }
    world.after(60.s());
    everybody_is_found(&mut world, 50, 50);
    for node in 1..50 {
        let record = own(&world, node);
        let at = record.endpoints().udp_addresses().next().map(|at| at.to_string());
        assert_eq!(at, Some(format!("25.0.{node}.1:3610")));
    }
}

#[test]
fn fifty_nodes_heal_from_a_partition() {
    let mut world = network(50, 10);
    for node in 25..50 {
        world.number(node).is_on_side(1);
    }
    world.after(600.s());
    // Each side has gone on by itself.
    for (seeker, target) in [(3, 17), (30, 44)] {
        let id = own(&world, target).node_id();
        assert!(finds(&mut world, seeker, id).is_some(), "node {seeker} looks for node {target}");
    }
    for node in 25..50 {
        world.number(node).is_on_side(0);
    }
    world.after(360.s()); // one refresh
    everybody_is_found(&mut world, 50, 50);
}

#[test]
fn five_hundred_nodes_with_loss_find_one_another() {
    let mut world = network(500, 50);
    everybody_is_found(&mut world, 500, 40);
}
