//! Attacks on discovery in whole networks, each with the property that must not break. The attacker
//! lives in the network: it has hosts, forges sources, and speaks the protocol as it likes.
//!
//! | attack | scenario |
//! |---|---|
//! | reflection through WHOAREYOU | `packets::reflection_gives_the_victim_less_than_the_attacker_spends` |
//! | WHOAREYOU flood from forged sources: state | `packets::a_flood_of_packets_from_nowhere_leaves_no_trace` |
//! | handshakes that answer nothing: work | `packets::handshakes_that_answer_no_challenge_cost_nothing` |
//! | handshakes against live challenges: work | `packets::handshakes_against_live_challenges_cost_a_budget_and_no_more` |
//! | a victim's budget spent from forged sources | `packets::whoever_spends_the_budget_of_a_victims_prefix_parts_it_from_nobody` |
//! | session killed by one packet, off the path | `packets::garbage_in_the_name_of_another_ends_no_session` |
//! | somebody else's identity in a handshake | `packets::nobody_is_believed_to_be_somebody_else` |
//! | ban of a victim by packets in its name | `packets::nobody_is_banned_for_what_others_send_in_its_name` |
//! | NODES with records at other distances | `answers::invented_and_misplaced_records_mislead_nobody` |
//! | NODES that nobody asked for | `answers::answers_to_what_others_were_asked_count_for_nothing` |
//! | NODES that promise 2^32 packets | `answers::an_answer_without_end_ends` |
//! | records with a victim's address | `answers::a_victims_address_in_many_records_is_probed_once_a_minute_by_each` |
//! | look-up kept busy by invented ids, ever closer | `answers::ids_ever_closer_neither_hold_nor_mislead_a_look_up` |
//! | table filled by inbound contacts; eclipse | `table::inbound_contacts_and_sybils_neither_fill_the_table_nor_hide_a_node` |
//! | eclipse of a node that starts | `table::who_starts_amid_sybils_comes_to_know_honest_nodes` |
//! | quota of a /24 spent by ids that do not exist | `table::invented_neighbours_do_not_spend_the_quota_of_a_prefix` |
//! | many ids that answer, of one /24 | `table::one_prefix_has_its_share_of_every_table_and_no_more` |
//! | our address voted by liars: enough of them | `table::liars_do_not_tell_a_cluster_where_it_is` |
//! | our address voted by liars: few, or of one /24 | `table::few_liars_and_one_prefix_full_of_them_win_no_vote` |
//! | eclipse of one id by ids ground close to it | `table::sybils_around_every_operator_do_not_keep_a_cluster_apart` |

use std::net::SocketAddr;

use stayfound_core::chance::Chance;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_sim::adversary::Adversary;
use stayfound_sim::moment::Units;
use stayfound_sim::scenario::{Neighbours, Options};
use stayfound_sim::script::Script;

mod answers;
mod packets;
mod table;

/// The nodes of a network; the hosts from `NODES` on are the adversary's.
const NODES: usize = 24;

fn secret(number: u64) -> SecretKey {
    let mut scalar = [7; 32];
    scalar[24..].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_bytes(&scalar).unwrap()
}

/// Where the host of this number is (as the simulator places nodes that only discover).
fn at(host: usize) -> SocketAddr {
    format!("24.0.{host}.1:3610").parse().unwrap()
}

fn adversary(host: usize, number: u64) -> Adversary {
    Adversary::new(secret(number), at(host), &Chance::new([1; 32]))
}

/// An honest network that has settled, and so many hosts for the adversary.
fn network(adversaries: usize) -> Script {
    network_of(NODES, adversaries)
}

/// The same, of which the nodes from `started` on have yet to start.
fn network_of(started: usize, adversaries: usize) -> Script {
    let discovery = Some(Neighbours { boots: 1, walkers: NODES - 1 + adversaries });
    let mut world = Script::new(&Options { discovery, ..Options::plain(0) });
    for node in 0..started {
        world.number(node).starts();
        world.after(100.ms());
    }
    for host in NODES..NODES + adversaries {
        world.corrupts(host, adversary(host, host as u64));
    }
    world.after(30.s());
    world
}

/// The record of a node that may not exist, in a prefix of its own.
fn stranger(number: u64) -> Signed {
    let [.., high, low] = number.to_be_bytes();
    Signed::sign(
        &secret(number),
        1,
        &Endpoints::at([SocketAddr::from(([203, high, low, 1], 3610))]),
    )
}

fn record(world: &Script, node: usize) -> Signed {
    world.node_of(node).own_record().unwrap().clone()
}

fn id(world: &Script, node: usize) -> NodeId {
    record(world, node).node_id()
}

fn finds(world: &mut Script, seeker: usize, target: NodeId) -> Option<Signed> {
    match world.ask(seeker, &Ask::Find(target)) {
        Answer::Found { newest, .. } => newest,
        answer => panic!("{answer:?} to a look-up"),
    }
}

/// What honest nodes owe one another, whatever happens.
fn honest_nodes_are_found(world: &mut Script) {
    for seeker in 0..NODES {
        let target = (seeker + 7) % NODES;
        let wanted = record(world, target);
        let found = finds(world, seeker, wanted.node_id());
        assert_eq!(found.as_ref(), Some(&wanted), "node {seeker} looks for node {target}");
    }
}

/// The nodes in a node's table, where they are.
fn table(world: &Script, node: usize) -> Vec<SocketAddr> {
    let table = world.node_of(node).discovery().expect("it discovers").table();
    table.nodes().map(|it| it.at()).collect()
}

/// How many honest nodes are in a node's table.
fn honest_in_table(world: &Script, node: usize) -> usize {
    table(world, node).into_iter().filter(|it| (0..NODES).any(|n| at(n) == *it)).count()
}

/// A secret key, of the numbers from `from` on the first, whose node is so close to `target`.
fn key_within(target: &NodeId, distance: u16, from: &mut u64) -> SecretKey {
    loop {
        *from += 1;
        let key = secret(*from);
        if NodeId::of(&key.public_key().point()).log_distance(target) <= distance {
            return key;
        }
    }
}
