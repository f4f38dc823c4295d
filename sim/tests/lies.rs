//! Whoever lies: operators, and strangers.
//!
//! One operator of four is Byzantine: D holds a valid key, and lies. The others hold together, name
//! their true addresses, and end with the same record of D, whatever it signed; the oracle says so after
//! every event, and at the end.

use stayfound_core::node::{Counter, LinkId};
use stayfound_sim::adversary::Lie;
use stayfound_sim::moment::Units;
use stayfound_sim::scenario::{Bootstrap, Neighbours, Options};
use stayfound_sim::script::Script;

const HONEST: [&str; 3] = ["A", "B", "C"];

fn world() -> Script {
    let mut world = Script::started(&Options { forwarded: 4, ..Options::plain(4) });
    world.at(60.s());
    world
}

fn seqs(world: &Script) -> [u64; 3] {
    HONEST.map(|name| world.seq_of(name))
}

fn honest_links(world: &Script) -> [Vec<(LinkId, LinkId)>; 3] {
    [("A", "B"), ("A", "C"), ("B", "C")].map(|(one, other)| world.links(one, other))
}

fn counted(world: &Script, counter: Counter) -> u64 {
    HONEST.into_iter().map(|name| world.count(name, counter)).sum()
}

/// The seq of D's record, as it is held at an honest operator.
fn held_of_d(world: &Script, name: &str) -> u64 {
    let d = world.running("A").manifest().operators()[3].node_id;
    world.running(name).database().newest(&d).expect("the manifest's at least").seq()
}

#[test]
fn nothing_that_one_says_or_does_moves_the_others() {
    for lie in Lie::ALL {
        let mut world = world();
        let before = (seqs(&world), honest_links(&world));
        world.node("D").lies(lie);
        world.after(1.s()).is_well();
        world.after(120.s()).is_well();
        assert_eq!((seqs(&world), honest_links(&world)), before, "{lie}");
    }
}

#[test]
fn all_lies_together_neither_keep_a_mover_from_the_others_nor_a_lost_disk_from_its_seq() {
    let mut world = world();
    for lie in Lie::ALL {
        world.after(100.ms()).node("D").lies(lie);
    }
    world.node("D").missees("198.18.0.66:3610");
    world.after(5.s()).node("B").moves_to("198.18.9.2:3610");
    world.heals_within(60.s());
    let before = world.seq_of("C");
    world.node("C").crashes().node("C").loses_its_disk().node("C").starts();
    world.heals_within(60.s());
    assert!(world.seq_of("C") > before);
}

#[test]
fn one_that_says_it_sees_everybody_elsewhere_is_not_believed_when_they_move() {
    let mut world = world();
    world.node("D").missees("198.18.9.1:3610");
    let before = seqs(&world);
    world.after(60.s()).is_well();
    assert_eq!(seqs(&world), before);
    // Nor of the place from which one has just gone.
    world.node("A").moves_to("198.18.9.1:3610");
    world.heals_within(60.s());
    world.node("A").moves_to("198.18.9.7:3610");
    world.heals_within(60.s());
    world.after(60.s()).is_well();
}

#[test]
fn two_records_with_one_seq_end_as_one_even_for_who_was_away() {
    let mut world = world();
    world.node("B").crashes().node("D").lies(Lie::Equivocate);
    world.after(5.s()).is_well();
    let seq = held_of_d(&world, "A");
    assert!(seq > world.seq_of("D"), "its own node does not know of them");
    world.node("B").starts();
    world.heals_within(60.s());
    assert_eq!(HONEST.map(|name| held_of_d(&world, name)), [seq; 3]);
    world.node("D").lies(Lie::Exhaust);
    world.after(5.s()).is_well();
    assert_eq!(HONEST.map(|name| held_of_d(&world, name)), [u64::MAX; 3]);
}

#[test]
fn what_is_forged_stale_or_too_much_is_counted_and_costs_no_link() {
    let mut world = world();
    let honest = honest_links(&world);
    let kept = |world: &Script| world.links("A", "D");
    let with_liar = kept(&world);
    assert_eq!(counted(&world, Counter::RecordsInvalid), 0);
    world.node("D").lies(Lie::Forge).after(2.s());
    assert!(counted(&world, Counter::RecordsInvalid) >= 12, "a bit changed in each");
    assert!(counted(&world, Counter::RecordsStrange) >= 3, "one of nobody's for each");
    let stale = counted(&world, Counter::RecordsStale);
    world.node("A").moves_to("198.18.9.1:3610");
    world.heals_within(60.s());
    world.node("D").lies(Lie::Replay).after(2.s());
    assert!(counted(&world, Counter::RecordsStale) > stale);
    assert_eq!(counted(&world, Counter::RecordsDelayed), 0);
    world.node("D").lies(Lie::Flood).after(20.s());
    assert!(counted(&world, Counter::RecordsDelayed) > 0);
    assert!(counted(&world, Counter::SightingsIgnored) > 0);
    assert_eq!(HONEST.map(|name| held_of_d(&world, name)), [held_of_d(&world, "A"); 3]);
    world.is_well();
    assert_eq!(honest_links(&world)[2], honest[2], "between two that did not move");
    assert_eq!(kept(&world).len(), with_liar.len(), "lies of this kind are no violation");
}

#[test]
fn who_speaks_nonsense_or_not_at_all_is_shown_out_again_and_again() {
    for lie in [Lie::Babble, Lie::Hush, Lie::Crowd] {
        let mut world = world();
        let honest = honest_links(&world);
        let opened = counted(&world, Counter::LinksOpened);
        for _ in 0..10 {
            world.node("D").lies(lie).node("D").lies(Lie::HangUp).after(20.s());
        }
        assert!(counted(&world, Counter::LinksOpened) > opened + 10, "{lie}");
        assert!(lie != Lie::Hush || counted(&world, Counter::Violations) > 10, "{lie}");
        assert_eq!(honest_links(&world), honest, "{lie}");
        world.is_well();
    }
}

/// A third of the strangers lie, each in its own way, and nobody knows anybody's address at first.
#[test]
fn strangers_that_lie_neither_keep_operators_apart_nor_tell_them_where_they_are() {
    let neighbours = Neighbours { boots: 2, walkers: 18 };
    let options = Options {
        discovery: Some(neighbours),
        liars: 6,
        bootstrap: Bootstrap::Discovery,
        ..Options::plain(4)
    };
    let mut world = Script::new(&options);
    for host in 0..4 + 2 + 18 {
        world.number(host).starts();
    }
    world.heals_within(120.s());
    world.after(300.s());
    for name in ["A", "B", "C", "D"] {
        world.node(name).crashes().node(name).loses_its_disk();
    }
    for (name, n) in ["A", "B", "C", "D"].into_iter().zip(1..) {
        world.node(name).moves_to(&format!("198.18.9.{n}:3610")).node(name).starts();
    }
    world.heals_within(options.heals_within());
    world.after(120.s()).is_well();
    let unanswered: u64 = (0..4).map(|it| world.count_of(it, Counter::RequestsUnanswered)).sum();
    assert!(unanswered > 0, "nobody tells of nodes that do not exist");
}
