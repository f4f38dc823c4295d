//! What is measured of runs, from the rows of their tables.

use std::collections::BTreeMap;

use super::statistics::Sample;
use crate::results::{Results, RunKey};
use crate::table::{ConvergenceRow, LinkRow, LookupRow, NodeRow, RunRow, moves_known};

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
    /// Of each run with look-ups, bytes per node and second, and how look-ups went.
    pub traffic: Vec<(f64, Share)>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// So many.
    pub hits: u64,
    /// Of so many.
    pub of: u64,
}

impl Measures {
    /// Of results.
    #[must_use]
    pub fn of(results: &Results) -> Self {
        let runs: Vec<_> = results.runs().map(|(key, rows)| (key.clone(), rows.run())).collect();
        let lookups: Vec<Vec<LookupRow>> = results.runs().map(|(_, rows)| rows.rows()).collect();
        let know = results.runs().map(|(_, rows)| times(&rows.rows::<ConvergenceRow>()));
        let dead = results.runs().map(|(_, rows)| false_dead(&rows.rows::<LinkRow>()));
        let stale = results.runs().map(|(_, rows)| stale(&rows.rows::<NodeRow>()));
        let mut goals: BTreeMap<String, Share> = BTreeMap::new();
        for lookup in lookups.iter().flatten() {
            goals.entry(lookup.goal.clone()).or_default().add(lookup.found);
        }
        let hops = lookups.iter().map(|it| {
            let found = it.iter().filter(|lookup| lookup.found);
            found.filter_map(|lookup| Some(lookup.hops? as f64)).collect()
        });
        let queries = lookups.iter().map(|it| it.iter().map(|it| it.queries as f64).collect());
        Self {
            know: Sample::new(know),
            stale: Sample::new(stale),
            false_dead: Sample::new(dead),
            hops: Sample::new(hops),
            queries: Sample::new(queries),
            traffic: runs.iter().filter_map(|(_, run)| traffic(run)).collect(),
            goals,
            runs,
        }
    }

    /// How many runs held.
    #[must_use]
    pub fn held(&self) -> Share {
        let held = self.runs.iter().filter(|(_, run)| run.verdict == "ok").count();
        Share { hits: held as u64, of: self.runs.len() as u64 }
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

/// Every pair has spans, also one that was never dead.
fn false_dead(rows: &[LinkRow]) -> Vec<f64> {
    let mut pairs: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    for row in rows {
        let dead = if row.state == "dead" { row.to_s - row.from_s } else { 0.0 };
        *pairs.entry((row.a, row.b)).or_default() += dead;
    }
    pairs.into_values().collect()
}

fn traffic(run: &RunRow) -> Option<(f64, Share)> {
    let bytes = run.datagram_bytes_per_node_s? + run.link_bytes_per_node_s?;
    let share = Share { hits: run.lookups_found, of: run.lookups };
    (share.of > 0).then_some((bytes, share))
}
