//! From a run to its rows.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::rows::{CountRow, OptionRow, RunRow, Tables};
use crate::observe::Observed;
use crate::run::Report;
use crate::scenario::{FaultKind, Scenario};
use crate::table::ConvergenceRow;

impl Tables {
    /// The rows of one run; `command` repeats it.
    #[must_use]
    pub fn of(scenario: &Scenario, report: &Report, observed: Observed, command: String) -> Self {
        Self {
            runs: vec![run(scenario, report, &observed, command)],
            counts: counts(scenario, report, &observed),
            options: options(scenario),
            convergence: observed.convergence,
            links: observed.links,
            lookups: observed.lookups,
            nodes: observed.nodes,
            events: observed.events,
        }
    }
}

/// The first 16 hex digits of the SHA-256 of a scenario as it is written.
#[must_use]
pub fn scenario_hash(scenario: &Scenario) -> String {
    let digest = Sha256::digest(scenario.to_string());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn run(scenario: &Scenario, report: &Report, observed: &Observed, command: String) -> RunRow {
    let Observed { convergence, lookups, nodes, moves, owed_s, .. } = observed;
    let finding = report.finding.as_ref();
    let times = times_known(convergence);
    let up_s: f64 = nodes.iter().map(|node| node.up_s).sum();
    let per_node_s = |bytes: u64| (up_s > 0.0).then(|| bytes as f64 / up_s);
    RunRow {
        scenario_hash: scenario_hash(scenario),
        verdict: finding.map_or("ok".into(), |finding| finding.kind.to_string()),
        found_s: finding.map(|finding| finding.at.seconds()),
        finding: finding.map(|finding| finding.sentence.clone()),
        command,
        trace: format!("{:016x}", report.trace.hash()),
        hosts: nodes.len() as u64,
        operators: nodes.iter().filter(|node| node.role == "operator").count() as u64,
        took_s: report.until.seconds(),
        events: report.trace.events(),
        moves: *moves,
        moves_known: times.len() as u64,
        know_p50_s: quantile(&times, 50),
        know_p99_s: quantile(&times, 99),
        know_max_s: times.last().copied(),
        stale_s: nodes.iter().map(|node| node.stale_s).sum(),
        false_dead_s: observed.false_dead_s,
        owed_s: *owed_s,
        datagram_bytes_per_node_s: per_node_s(
            nodes.iter().map(|node| node.datagram_bytes_sent).sum(),
        ),
        link_bytes_per_node_s: per_node_s(nodes.iter().map(|node| node.link_bytes_sent).sum()),
        lookups: lookups.len() as u64,
        lookups_found: lookups.iter().filter(|lookup| lookup.found).count() as u64,
    }
}

/// How long it took until the last came to know each move, of those that everyone came to know
/// that could; sorted.
fn times_known(convergence: &[ConvergenceRow]) -> Vec<f64> {
    let mut times: Vec<f64> = moves_known(convergence).into_iter().flatten().collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Of each move that anyone could come to know, how long it took until the last did that could, in
/// seconds; `None` if not everyone did.
pub(crate) fn moves_known(convergence: &[ConvergenceRow]) -> Vec<Option<f64>> {
    let mut moves: BTreeMap<u64, (bool, f64)> = BTreeMap::new();
    let counts = |row: &&ConvergenceRow| row.took_s.is_some() || row.owed_s > 0.0;
    for row in convergence.iter().filter(counts) {
        let (all, longest) = moves.entry(row.number).or_insert((true, 0.0));
        *all &= row.took_s.is_some();
        *longest = longest.max(row.owed_s);
    }
    moves.into_values().map(|(all, longest)| all.then_some(longest)).collect()
}

/// The nearest rank: of n sorted values the one in place ⌈n · percent / 100⌉.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

fn counts(scenario: &Scenario, report: &Report, observed: &Observed) -> Vec<CountRow> {
    let row = |source: &str, name: String, times| CountRow { source: source.into(), name, times };
    let core = report.counts.iter();
    let core = core.map(|(counter, times)| row("core", counter.name().into(), *times));
    let faults = observed.faults.iter().map(|(name, times)| row("fault", name.clone(), *times));
    let drawn = FaultKind::ALL.into_iter().map(|kind| {
        row("drawn", kind.to_string(), u64::from(scenario.options.mix.contains(&kind)))
    });
    let [of_core, of_world] = &report.marks;
    let marks = of_core.iter().map(|(name, times)| row("mark", (*name).into(), *times));
    let of_world = of_world.iter().map(|(name, times)| row("world", (*name).into(), *times));
    core.chain(marks).chain(of_world).chain(faults).chain(drawn).collect()
}

fn options(scenario: &Scenario) -> Vec<OptionRow> {
    let lines = scenario.options.lines().into_iter();
    lines.map(|(name, value)| OptionRow { name: name.into(), value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64, took_s: Option<f64>, owed_s: f64) -> ConvergenceRow {
        let (mover, moved_s, observer, outcome) = (0, 1.0, 1, String::new());
        ConvergenceRow { number, mover, moved_s, observer, outcome, took_s, owed_s }
    }

    #[test]
    fn a_move_is_known_when_the_last_that_could_know_it_does() {
        let known = [row(0, Some(9.0), 2.0), row(0, Some(3.0), 3.0), row(0, None, 0.0)];
        let not_by_all = [row(1, Some(1.0), 1.0), row(1, None, 4.0)];
        let by_nobody = [row(2, None, 0.0)];
        assert_eq!(times_known(&[&known[..], &not_by_all, &by_nobody].concat()), [3.0]);
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([50, 99, 100].map(|it| quantile(&sorted, it).unwrap()), [100.0, 198.0, 200.0]);
        assert_eq!([50, 99].map(|it| quantile(&[7.0], it).unwrap()), [7.0, 7.0]);
        assert_eq!(quantile(&[], 50), None);
    }
}
