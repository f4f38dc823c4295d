//! Drawn scenarios: that they hold, that they repeat, and that they reach what they should.

use std::collections::{BTreeMap, BTreeSet};

use stayfound_core::node::Counter;
use stayfound_sim::oracle::Kind;
use stayfound_sim::run::{check, run, run_plainly};
use stayfound_sim::scenario::{FaultKind, Scenario};
use stayfound_sim::trace::{Divergence, Trace};

const SEEDS: u64 = 80;

#[test]
fn eighty_seeds_hold() {
    let mut counts: BTreeMap<Counter, u64> = BTreeMap::new();
    let mut drawn = BTreeSet::new();
    let mut failures = Vec::new();
    for seed in 0..SEEDS {
        let scenario = Scenario::draw(seed);
        let report = run(&scenario, Trace::default());
        drawn.extend(scenario.options.mix.iter().copied());
        for (counter, times) in report.counts {
            *counts.entry(counter).or_default() += times;
        }
        if let Some(finding) = report.finding {
            failures.push(format!("{finding}\n  stayfound-sim run --seed {seed}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(drawn, BTreeSet::from(FaultKind::ALL), "a kind of fault is never drawn");
    for counter in [
        Counter::LinksOpened,
        Counter::DialsFailed,
        Counter::Frames,
        Counter::RecordsAccepted,
        Counter::RecordsStale,
    ] {
        assert!(counts[&counter] > SEEDS, "{} hardly ever happens", counter.name());
    }
}

#[test]
fn a_run_repeats_to_the_last_byte() {
    for seed in 0..4 {
        let (divergence, report) = check(&Scenario::draw(seed));
        assert_eq!(divergence, None, "stayfound-sim check --seed {seed}");
        assert_eq!(run(&Scenario::draw(seed), Trace::default()).trace.hash(), report.trace.hash());
    }
}

#[test]
fn remembered_cryptography_changes_no_run() {
    for seed in 0..3 {
        let scenario = Scenario::draw(seed);
        let [plain, fresh, warm] =
            [run_plainly, run, run].map(|run| run(&scenario, Trace::default()));
        for report in [fresh, warm] {
            assert_eq!(report.trace.hash(), plain.trace.hash(), "seed {seed}");
            assert_eq!(report.counts, plain.counts, "seed {seed}");
            assert_eq!(report.finding, plain.finding, "seed {seed}");
        }
    }
}

#[test]
fn a_run_that_does_not_repeat_is_found_out() {
    let first = Scenario::draw(3);
    let second = Scenario { seed: 4, ..first.clone() }; // other latencies, other back-offs
    let [a, b] = [first, second].map(|scenario| run(&scenario, Trace::recording()).trace);
    let found = Divergence::between(a.entries(), b.entries()).expect("they differ");
    assert!(found.event > 0, "both begin with the same start");
    assert_ne!(found.first, found.second);
    assert_ne!(a.hash(), b.hash());
}

#[test]
fn a_panic_is_a_finding() {
    let mut scenario = Scenario::draw(0);
    let host = &mut scenario.setup.hosts[0];
    host.config.hints.push((stayfound_core::cluster::OperatorIndex(0), host.address)); // itself
    let finding = run(&scenario, Trace::default()).finding.expect("no node starts like that");
    assert_eq!(finding.kind, Kind::Panic);
    assert!(finding.sentence.starts_with("operator 0 panicked: "), "{finding}");
}

#[test]
fn a_mesh_that_cannot_heal_in_time_is_a_finding() {
    let mut scenario = Scenario::draw(0);
    let last = scenario.schedule.pop().expect("it ends with an expectation");
    let before = scenario.schedule.last().expect("something happened").at;
    scenario.schedule.push(stayfound_sim::scenario::Line { at: before, ..last });
    let finding = run(&scenario, Trace::default()).finding.expect("no mesh heals in no time");
    assert_eq!((finding.kind, finding.at), (Kind::Liveness, before));
    assert!(finding.sentence.ends_with(", 0.000 s after the last fault"), "{finding}");
}
