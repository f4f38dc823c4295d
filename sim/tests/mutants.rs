//! Mistakes planted in the core: for each a scenario is kept that finds it, and that finds nothing in
//! a core without it.
#![cfg(feature = "planted")]

use std::fs;
use std::path::Path;

use stayfound_core::planted::Bug;
use stayfound_sim::mutants::{Plan, measure, run_with};
use stayfound_sim::scenario::Scenario;

/// `stayfound-sim mutants --mutant NAME --starts 1 --keep sim/tests/mutants` writes one.
fn kept(bug: Bug) -> Scenario {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutants"));
    let path = folder.join(format!("{}.txt", bug.name()));
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} is kept for none: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_mistake_is_found_by_the_scenario_that_is_kept_for_it() {
    let missed = Bug::ALL.iter().filter(|bug| run_with(Some(**bug), &kept(**bug)).is_none());
    let missed: Vec<&str> = missed.map(|bug| bug.name()).collect();
    assert!(missed.is_empty(), "not found: {}", missed.join(", "));
}

#[test]
fn nothing_is_found_by_these_scenarios_when_nothing_is_planted() {
    let found = Bug::ALL.iter().filter_map(|bug| {
        let finding = run_with(None, &kept(*bug))?;
        Some(format!("{}: {finding}", bug.name()))
    });
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_measurement_counts_from_each_start_and_stops_at_the_limit() {
    let plan = |starts, within| Plan { from: 0, starts, within };
    let found = measure(Bug::ForgetsToPersist, plan(3, 5));
    assert!(found.is_found());
    assert_eq!(found.seeds.len(), 3);
    assert_eq!(found.ran, found.seeds.iter().flatten().sum::<u64>());
    assert!(found.median() <= found.most() && found.most() <= Some(5));
    let missed = measure(Bug::EvictsFromDatabase, plan(3, 1));
    assert_eq!((missed.seeds, missed.ran), (vec![None], 1));
}
