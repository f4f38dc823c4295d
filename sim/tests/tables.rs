//! What runs yield: that measuring changes nothing, and that the tables hold the truth.

use std::collections::{BTreeMap, BTreeSet};

use stayfound_core::discovery::{Answer, Ask};
use stayfound_sim::moment::{Moment, Units};
use stayfound_sim::run::{observe, run};
use stayfound_sim::scenario::{Neighbours, Options, Scenario};
use stayfound_sim::script::Script;
use stayfound_sim::table::{LinkRow, Tables};
use stayfound_sim::trace::Trace;

/// The first minutes of a drawn scenario.
fn scenario(seed: u64) -> Scenario {
    let mut scenario = Scenario::draw(seed);
    scenario.schedule.retain(|line| line.at <= Moment::default() + 400.s());
    scenario
}

fn tables(seed: u64, events: bool) -> Tables {
    let scenario = scenario(seed);
    let (report, observed) = observe(&scenario, events);
    Tables::of(&scenario, &report, observed, format!("stayfound-sim run --seed {seed}"))
}

#[test]
fn whoever_is_observed_does_nothing_else() {
    for seed in 0..10 {
        let report = run(&scenario(seed), Trace::default());
        let tables = tables(seed, seed % 2 == 0);
        assert_eq!(tables.runs[0].trace, format!("{:016x}", report.trace.hash()), "seed {seed}");
        assert_eq!(tables.runs[0].events, report.trace.events());
        assert_eq!(tables.events.is_empty(), seed % 2 == 1);
    }
}

#[test]
fn every_value_fits_its_column() {
    for seed in 0..4 {
        for (table, rows) in Tables::ALL.iter().zip(tables(seed, true).rows()) {
            for row in rows {
                assert_eq!(row.len(), table.columns.len(), "{}", table.name);
                for (column, value) in table.columns.iter().zip(&row) {
                    assert!(column.takes(value), "{}.{}: {value:?}", table.name, column.name);
                }
            }
        }
    }
}

#[test]
fn the_states_of_a_link_fill_the_run_without_a_gap_and_differ_from_one_to_the_next() {
    for seed in 0..10 {
        let tables = tables(seed, false);
        let mut pairs: BTreeMap<(u64, u64), Vec<&LinkRow>> = BTreeMap::new();
        for row in &tables.links {
            pairs.entry((row.a, row.b)).or_default().push(row);
        }
        let n = tables.runs[0].operators as usize;
        assert_eq!(pairs.len(), n * (n - 1) / 2, "seed {seed}");
        for rows in pairs.values() {
            assert_eq!(rows[0].from_s, 0.0);
            assert_eq!(rows.last().unwrap().to_s, tables.runs[0].took_s);
            for two in rows.windows(2) {
                assert_eq!(two[0].to_s, two[1].from_s);
                assert_ne!(two[0].state, two[1].state);
            }
        }
    }
}

#[test]
fn sums_agree_with_what_they_are_sums_of() {
    let (mut moves, mut known, mut dead) = (0, 0, 0.0);
    for seed in 0..60 {
        let tables = tables(seed, true);
        let run = &tables.runs[0];
        let sent = tables.events.iter().filter(|it| it.side == "out" && it.kind == "datagram");
        let sent: u64 = sent.map(|it| it.bytes.unwrap()).sum();
        assert_eq!(sent, tables.nodes.iter().map(|node| node.datagram_bytes_sent).sum::<u64>());
        // Whoever lies keeps from its node what it likes.
        let lies = tables.events.iter().filter(|it| it.kind == "lie").map(|it| it.host);
        let liars: BTreeSet<u64> = lies.collect();
        let heard = tables.events.iter().filter(|it| it.side == "in" && it.kind == "bytes");
        let heard = heard.filter(|it| !liars.contains(&it.host));
        let heard: u64 = heard.map(|it| it.bytes.unwrap()).sum();
        let honest = tables.nodes.iter().filter(|node| !liars.contains(&node.host));
        assert_eq!(heard, honest.map(|node| node.link_bytes_received).sum::<u64>());
        let starts = tables.counts.iter().find(|it| it.name == "start").map_or(0, |it| it.times);
        // (A walker that lies starts, and no node with it.)
        assert!(starts >= tables.nodes.iter().map(|node| node.starts).sum::<u64>());
        let pairs = run.moves * (run.operators - 1);
        assert_eq!(tables.convergence.len() as u64, pairs, "seed {seed}");
        assert!(run.moves_known <= run.moves && run.false_dead_s <= run.owed_s);
        (moves, known) = (moves + run.moves, known + run.moves_known);
        dead += run.false_dead_s;
    }
    assert!(moves > 5 && known > 2 && dead > 1.0, "nothing happened: {moves}, {known}, {dead}");
}

#[test]
fn a_move_behind_a_partition_is_stale_for_as_long_as_it_lasts_and_then_known() {
    let mut world = Script::new(&Options::plain(4));
    world.watch();
    for host in 0..4 {
        world.number(host).starts();
    }
    world.at(60.s());
    world.node("D").is_on_side(1);
    world.node("D").moves_to("198.18.9.4:3610");
    world.at(180.s()).node("D").is_on_side(0);
    world.heals_within(60.s());
    let observed = world.observed();
    assert_eq!((observed.moves, observed.convergence.len()), (1, 3));
    for row in &observed.convergence {
        assert_eq!((row.number, row.mover, row.moved_s), (0, 3, 60.0));
        assert_eq!(row.outcome, "known");
        let took = row.took_s.unwrap();
        assert!((120.0..180.0).contains(&took), "{row:?}");
        assert!((took - 120.0 - row.owed_s).abs() < 1e-9, "they could not talk for two minutes");
        let stale = observed.nodes[row.observer as usize].stale_s;
        assert_eq!(stale, took, "it held the address of before for as long");
    }
    assert_eq!(observed.nodes[3].stale_s, 0.0, "nobody else has moved");
    for a in 0..3 {
        let spells = observed.links.iter().filter(|row| (row.a, row.b) == (a, 3));
        let states: Vec<&str> = spells.map(|row| row.state.as_str()).collect();
        assert_eq!(states, ["dead", "working", "apart", "dead", "working"]);
    }
}

#[test]
fn a_lookup_is_a_row_with_its_hops_and_queries() {
    let discovery = Some(Neighbours { boots: 1, walkers: 24 });
    let mut world = Script::new(&Options { discovery, ..Options::plain(0) });
    world.watch();
    for host in 0..25 {
        world.number(host).starts();
        world.after(100.ms());
    }
    world.after(30.s());
    let target = world.node_of(21).own_record().unwrap().node_id();
    let Answer::Found { newest, .. } = world.ask(7, &Ask::Find(target)) else { panic!() };
    assert_eq!(newest.unwrap().node_id(), target);
    let observed = world.observed();
    let asked: Vec<_> = observed.lookups.iter().filter(|it| it.goal == "asked").collect();
    let [lookup] = asked[..] else { panic!("{asked:?}") };
    assert_eq!((lookup.host, lookup.target), (7, Some(21)));
    assert!(lookup.found && lookup.took_s > 0.0 && lookup.began_s >= 32.0, "{lookup:?}");
    assert!(lookup.hops.unwrap() <= 3 && lookup.heard_after.unwrap() < 20, "{lookup:?}");
    assert!((lookup.heard_after.unwrap()..=64).contains(&lookup.queries), "{lookup:?}");
    let joined = observed.lookups.iter().filter(|it| it.goal == "own" && it.found);
    let joined: BTreeSet<u64> = joined.map(|it| it.host).collect();
    assert_eq!(joined.len(), 25, "everybody has found somebody");
}
