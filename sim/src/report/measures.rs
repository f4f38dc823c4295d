//! What is measured of runs, from the rows of their tables.

use std::collections::{BTreeMap, BTreeSet};

use super::statistics::Sample;
use crate::results::{RunKey, RunRows};
use crate::table::{ConvergenceRow, CountRow, LinkRow, LookupRow, NodeRow, RunRow, moves_known};

/// What is measured of runs.
#[derive(Debug)]
pub struct Measures {
    /// The runs.
    pub runs: Vec<(RunKey, RunRow)>,
    /// Seconds until everyone knew a move that could; infinite where somebody did not.
    pub know: Sample,
    /// Seconds of each operator in which it held wrong addresses.
    pub stale: Sample,
    /// Seconds of each pair of operators in which it was dead although it could talk.
    pub false_dead: Sample,
    /// Hops of look-ups that found what they were for.
    pub hops: Sample,
    /// Requests of look-ups.
    pub queries: Sample,
    /// Of each goal of look-ups, how many found what they were for, and how many there were.
    pub goals: BTreeMap<String, Share>,
    /// Of each run, bytes per node and second, on links and in datagrams.
    pub bytes: Sample,
    /// Of each run with look-ups, bytes per node and second, and how look-ups went.
    pub traffic: Vec<(f64, Share)>,
}

/// What is measured of one run: see [`Measures`].
#[derive(Debug)]
pub struct Observation {
    pub(super) key: RunKey,
    run: RunRow,
    know: Vec<f64>,
    stale: Vec<f64>,
    false_dead: Vec<f64>,
    hops: Vec<f64>,
    queries: Vec<f64>,
    goals: BTreeMap<String, Share>,
    pub(super) faults: BTreeSet<String>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// So many.
    pub hits: u64,
    /// Of so many.
    pub of: u64,
}

impl Observation {
    /// Of one run.
    #[must_use]
    pub fn of(key: &RunKey, rows: &RunRows) -> Self {
        let lookups: Vec<LookupRow> = rows.rows();
        let mut goals: BTreeMap<String, Share> = BTreeMap::new();
        for lookup in &lookups {
            goals.entry(lookup.goal.clone()).or_default().add(lookup.found);
        }
        let found = lookups.iter().filter(|it| it.found);
        Self {
            key: key.clone(),
            run: rows.run(),
            know: times(&rows.rows()),
            stale: stale(&rows.rows()),
            false_dead: false_dead(&rows.rows()),
            hops: found.filter_map(|it| Some(it.hops? as f64)).collect(),
            queries: lookups.iter().map(|it| it.queries as f64).collect(),
            faults: faults(&rows.rows()),
            goals,
        }
    }
}

impl Measures {
    /// Of these runs.
    #[must_use]
    pub fn of(observations: &[&Observation]) -> Self {
        let sample = |pick: fn(&Observation) -> &Vec<f64>| {
            Sample::new(observations.iter().map(|it| pick(it).clone()))
        };
        let mut goals: BTreeMap<String, Share> = BTreeMap::new();
        for (goal, share) in observations.iter().flat_map(|it| &it.goals) {
            let sum = goals.entry(goal.clone()).or_default();
            *sum = Share { hits: sum.hits + share.hits, of: sum.of + share.of };
        }
        Self {
            know: sample(|it| &it.know),
            stale: sample(|it| &it.stale),
            false_dead: sample(|it| &it.false_dead),
            hops: sample(|it| &it.hops),
            queries: sample(|it| &it.queries),
            bytes: Sample::new(observations.iter().filter_map(|it| Some(vec![bytes(&it.run)?]))),
            traffic: observations.iter().filter_map(|it| traffic(&it.run)).collect(),
            runs: observations.iter().map(|it| (it.key.clone(), it.run.clone())).collect(),
            goals,
        }
    }

    /// How many runs held.
    #[must_use]
    pub fn held(&self) -> Share {
        let held = self.runs.iter().filter(|(_, run)| run.verdict == "ok").count();
        Share { hits: held as u64, of: self.runs.len() as u64 }
    }

    /// How many look-ups found what they were for.
    #[must_use]
    pub fn found(&self) -> Share {
        let sum = |pick: fn(&Share) -> u64| self.goals.values().map(pick).sum();
        Share { hits: sum(|it| it.hits), of: sum(|it| it.of) }
    }
}

impl Share {
    fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
    }
}

fn times(rows: &[ConvergenceRow]) -> Vec<f64> {
    moves_known(rows).into_iter().map(|it| it.unwrap_or(f64::INFINITY)).collect()
}

fn stale(rows: &[NodeRow]) -> Vec<f64> {
    rows.iter().filter(|it| it.role == "operator").map(|it| it.stale_s).collect()
}

/// The kinds of faults that were drawn, or of a scenario that was not drawn, those that made a
/// difference. Without a start there is nothing at all.
fn faults(rows: &[CountRow]) -> BTreeSet<String> {
    let of = |source| {
        let counted = rows.iter().filter(move |it| it.source == source && it.times > 0);
        counted.map(|it| it.name.clone()).filter(|it| it != "start").collect::<BTreeSet<_>>()
    };
    let drawn = of("drawn");
    if drawn.is_empty() { of("fault") } else { drawn }
}

/// Every pair has spans, also one that was never dead.
fn false_dead(rows: &[LinkRow]) -> Vec<f64> {
    let mut pairs: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    for row in rows {
        let dead = if row.state == "dead" { row.to_s - row.from_s } else { 0.0 };
        *pairs.entry((row.a, row.b)).or_default() += dead;
    }
    pairs.into_values().collect()
}

fn bytes(run: &RunRow) -> Option<f64> {
    Some(run.datagram_bytes_per_node_s? + run.link_bytes_per_node_s?)
}

fn traffic(run: &RunRow) -> Option<(f64, Share)> {
    let share = Share { hits: run.lookups_found, of: run.lookups };
    (share.of > 0).then_some((bytes(run)?, share))
}
