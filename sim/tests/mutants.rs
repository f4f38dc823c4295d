//! Mistakes planted in the core: each is found by a seed that is known to find it.
#![cfg(feature = "planted")]

use std::collections::BTreeSet;

use stayfound_core::planted::Bug;
use stayfound_sim::mutants::{Plan, measure, run_with};
use stayfound_sim::scenario::Scenario;

/// A seed that finds each mistake. When draws change, `stayfound-sim mutants` says which does now.
const FOUND_BY: &[(Bug, u64)] = &[
    (Bug::AcceptsEqualSeq, 14),
    (Bug::EvictsFromDatabase, 15),
    (Bug::ForgetsToPersist, 0),
    (Bug::PublishesBeforePersist, 0),
    (Bug::GreetsBeforePersist, 0),
    (Bug::SignsOldSeq, 15),
    (Bug::TrustsOneObserver, 0),
    (Bug::DoesNotTellPeers, 5),
    (Bug::DoesNotRelay, 13),
    (Bug::GreetsWithItsOwn, 14),
    (Bug::ForgetsBackOff, 0),
    (Bug::NeverDialsAgain, 0),
    (Bug::ForgetsHints, 5),
    (Bug::AdmitsStrangers, 0),
    (Bug::RelaysUnverified, 1),
    (Bug::NeverJoins, 1),
    (Bug::WaitsForNextWrite, 0),
    (Bug::AnyWriteIsDurable, 0),
    (Bug::KeepsSightings, 0),
    (Bug::SilentWhenDialled, 0),
    (Bug::ForgetsLostLink, 0),
    (Bug::IgnoresFound, 1),
];

#[test]
fn every_mistake_is_found_by_the_seed_that_is_known_to_find_it() {
    let mut missed = Vec::new();
    for (bug, seed) in FOUND_BY {
        if run_with(Some(*bug), &Scenario::draw(*seed)).is_none() {
            missed.push(format!("{} is not found by seed {seed}", bug.name()));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn nothing_is_found_by_these_seeds_when_nothing_is_planted() {
    let seeds: BTreeSet<u64> = FOUND_BY.iter().map(|(_, seed)| *seed).collect();
    for seed in seeds {
        let finding = run_with(None, &Scenario::draw(seed));
        assert!(finding.is_none(), "seed {seed}: {}", finding.expect("it is one"));
    }
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
