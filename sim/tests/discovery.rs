//! Clusters that find themselves through discovery alone.

use std::time::Duration;

use stayfound_sim::moment::Units;
use stayfound_sim::scenario::{Bootstrap, Neighbours, Options};
use stayfound_sim::script::Script;

/// A cluster of four in which no address is written down anywhere, among strangers: a boot node
/// (E) and others.
fn among(walkers: usize) -> Options {
    let discovery = Some(Neighbours { boots: 1, walkers });
    Options { discovery, bootstrap: Bootstrap::Discovery, ..Options::plain(4) }
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
