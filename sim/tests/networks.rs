//! Networks of nodes that only discover: under loss, when everybody moves, and after a partition.
//!
//! What can be promised when addresses change, and is held to here:
//!
//! * Whoever moves tells those that it is in touch with, at the address where it knows them. So
//!   everybody may move, the boot nodes included, as long as not all do so in one moment: no
//!   address of the beginning needs to be left.
//! * Of those that move in one moment each needs one node that stayed and that it knows; which of
//!   all nodes they are does not matter, and a boot node need not be among them.
//! * When every address changes in one moment, nobody holds an address that is still somebody's,
//!   and no protocol finds anyone; until one boot node is again where its record says.

use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::record::{NodeId, Signed};
use stayfound_sim::moment::Units;
use stayfound_sim::network::Loss;
use stayfound_sim::scenario::{Neighbours, Options};
use stayfound_sim::script::Script;

/// Nodes, of which the first is everybody's boot node, started one after the other.
fn network(nodes: usize, loss: u16) -> Script {
    network_of(nodes, nodes, loss)
}

/// The same, of which the nodes from `started` on have yet to start.
fn network_of(nodes: usize, started: usize, loss: u16) -> Script {
    let discovery = Some(Neighbours { boots: 1, walkers: nodes - 1 });
    let mut world = Script::new(&Options { discovery, loss: Loss(loss), ..Options::plain(0) });
    for node in 0..started {
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
        if seeker != target {
            is_found(world, seeker, target);
        }
    }
}

fn is_found(world: &mut Script, seeker: usize, target: usize) {
    let record = own(world, target);
    let found = finds(world, seeker, record.node_id());
    let (found, wanted) = (found.map(|it| it.seq()), Some(record.seq()));
    assert_eq!(found, wanted, "node {seeker} looks for node {target}");
}

/// Where a node is after so many moves, each time in a prefix where nobody was.
fn place(node: usize, moves: usize) -> String {
    format!("{}.{}.{}.1:3610", 24 + moves, node / 250, node % 250)
}

/// Everybody's record says where it is.
fn everybody_says_where_it_is(
    world: &Script,
    nodes: impl IntoIterator<Item = usize>,
    moves: usize,
) {
    for node in nodes {
        let at = own(world, node).endpoints().udp_addresses().next().map(|at| at.to_string());
        assert_eq!(at, Some(place(node, moves)), "node {node}");
    }
}

#[test]
fn fifty_nodes_with_loss_find_one_another_and_again_when_all_have_moved() {
    let mut world = network(50, 50);
    everybody_is_found(&mut world, 50, 50);
    // The boot node stays: everybody else is somewhere else at once.
    for node in 1..50 {
        world.number(node).moves_to(&place(node, 1));
    }
    world.after(60.s());
    everybody_is_found(&mut world, 50, 50);
    everybody_says_where_it_is(&world, 1..50, 1);
}

#[test]
fn fifty_nodes_that_all_moved_in_one_moment_need_one_boot_node_back_where_it_was() {
    let mut world = network(50, 10);
    for node in 0..50 {
        world.number(node).moves_to(&place(node, 1));
    }
    world.after(120.s());
    // No address that anybody holds is anybody's.
    let wanted = own(&world, 30);
    assert_ne!(finds(&mut world, 7, wanted.node_id()), Some(wanted));
    world.number(0).moves_to("24.0.0.1:3610");
    world.after(120.s());
    everybody_is_found(&mut world, 50, 50);
    everybody_says_where_it_is(&world, 1..50, 1);
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
        is_found(&mut world, seeker, target);
    }
    for node in 25..50 {
        world.number(node).is_on_side(0);
    }
    world.after(360.s()); // one refresh
    everybody_is_found(&mut world, 50, 50);
}

#[test]
fn a_partition_for_hours_ends_through_the_boot_node() {
    let mut world = network(40, 10);
    for node in 20..40 {
        world.number(node).is_on_side(1);
    }
    // Each side has more nodes than a look-up needs, and forgets every node of the other.
    world.after(80 * 60.s());
    for node in 20..40 {
        world.number(node).is_on_side(0);
    }
    world.after(50 * 60.s()); // a turn of the boot node, and a look-up of one's neighbourhood
    everybody_is_found(&mut world, 40, 40);
}

#[test]
fn fifty_nodes_go_on_without_their_boot_node_and_take_it_back() {
    let newcomer = 49;
    let mut world = network_of(50, newcomer, 10);
    world.number(0).is_on_side(1);
    world.after(600.s());
    (1..newcomer).for_each(|node| is_found(&mut world, node, 1 + node % 48));
    world.number(newcomer).starts(); // knows the boot node only
    world.after(60.s());
    let wanted = own(&world, newcomer);
    assert_ne!(finds(&mut world, 3, wanted.node_id()), Some(wanted), "nobody has met it");
    world.number(0).is_on_side(0);
    world.after(90.s()); // the longest pause of who knows nobody, and some
    for node in [0, newcomer] {
        for other in [3, 17, 31, 45] {
            is_found(&mut world, node, other);
            is_found(&mut world, other, node);
        }
    }
}

#[test]
fn five_hundred_nodes_with_loss_find_one_another_and_again_when_all_have_moved_twice() {
    const NODES: usize = 500;
    let mut world = network(NODES, 50);
    everybody_is_found(&mut world, NODES, 40);
    // One after the other, the boot node among them: no address of the beginning is left.
    for n in 0..NODES {
        let node = n * 7 % NODES;
        world.number(node).moves_to(&place(node, 1));
        world.after(100.ms());
    }
    world.after(10.s());
    everybody_is_found(&mut world, NODES, 40);
    everybody_says_where_it_is(&world, 0..NODES, 1);
    // In one moment, all but one in ten; the boot node is nowhere that anybody knows of.
    let stays = |node: &usize| node % 10 == 3;
    for node in (0..NODES).filter(|node| !stays(node)) {
        world.number(node).moves_to(&place(node, 2));
    }
    world.after(60.s());
    everybody_is_found(&mut world, NODES, 40);
    everybody_says_where_it_is(&world, (0..NODES).filter(|node| !stays(node)), 2);
}

/// Every second node is cut off: from the boot node, and from half of whoever it knows, old or new.
/// (Cut off are not those that started last. All of them know the same first nodes far from them,
/// and hardly one another.)
#[test]
fn five_hundred_nodes_heal_from_a_partition() {
    const NODES: usize = 500;
    let newcomer = NODES - 1;
    let mut world = network_of(NODES, newcomer, 10);
    for node in (1..NODES).step_by(2) {
        world.number(node).is_on_side(1);
    }
    // Longer than it takes to have asked everybody and to have given up who is on the other side.
    world.after(450.s());
    // Each side has gone on by itself, moves included, with the boot node and without.
    for node in [16, 17] {
        world.number(node).moves_to(&place(node, 1));
    }
    world.number(newcomer).starts(); // knows the boot node only, which is on the other side
    world.after(30.s());
    for n in 0..10 {
        is_found(&mut world, 3 + 14 * n, 17 + 26 * n);
        is_found(&mut world, 2 + 14 * n, 16 + 26 * n);
    }
    for node in (1..NODES).step_by(2) {
        world.number(node).is_on_side(0);
    }
    world.after(90.s()); // the longest pause of who knows nobody, and some
    everybody_is_found(&mut world, NODES, 40);
    for (seeker, target) in [(5, 16), (4, 17), (7, newcomer), (newcomer, 9), (newcomer, 8)] {
        is_found(&mut world, seeker, target);
    }
}
