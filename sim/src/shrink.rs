//! A failure made small: fewer lines, then smaller numbers, as long as it stays the same failure.
//!
//! The same: of the same kind, and said in the same sentence but for its numbers. What is waited
//! for before health is expected is never cut short, unless it was too short from the beginning:
//! whoever does not wait always finds something.

use std::time::Duration;

use crate::moment::Moment;
use crate::oracle::{Finding, Kind};
use crate::run::run;
use crate::scenario::{Line, Scenario};
use crate::trace::Trace;

/// A failure without what differs between two runs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of which kind it is.
    pub kind: Kind,
    /// What is wrong, each number a `#`.
    pub sentence: String,
}

impl From<&Finding> for Verdict {
    fn from(finding: &Finding) -> Self {
        let (mut sentence, mut number) = (String::new(), false);
        for letter in finding.sentence.chars() {
            match letter {
                '0'..='9' if number => {}
                '0'..='9' => sentence.push('#'),
                '.' if number => continue, // its fraction follows
                _ => sentence.push(letter),
            }
            number = letter.is_ascii_digit();
        }
        Self { kind: finding.kind, sentence }
    }
}

/// What was wrong with a scenario, run once.
#[must_use]
pub fn verdict(scenario: &Scenario) -> Option<Verdict> {
    run(scenario, Trace::default()).finding.as_ref().map(Verdict::from)
}

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How many runs there were.
    pub runs: usize,
    /// How many lines of the schedule are left.
    pub lines: usize,
}

/// A failure made small.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The scenario that fails in the same way.
    pub scenario: Scenario,
    /// How it fails.
    pub verdict: Verdict,
    /// How many runs it took.
    pub runs: usize,
}

/// After so many runs what there is is small enough.
pub const RUNS_MAX: usize = 3_000;

/// Makes a failure small; `None` if there is none. Always in the same order, so that the same
/// scenario shrinks to the same.
pub fn shrink(scenario: &Scenario, tell: &mut dyn FnMut(Step)) -> Option<Shrunk> {
    let report = run(scenario, Trace::default());
    let finding = report.finding?;
    let patience = waits(&scenario.schedule).min();
    let mut search = Search {
        verdict: Verdict::from(&finding),
        patience,
        best: scenario.clone(),
        runs: 1,
        tell,
    };
    search.forget_after(finding.at);
    loop {
        let before = search.best.to_string();
        search.fewer_lines();
        search.fewer_keys();
        search.smaller_values();
        search.shorter_gaps();
        if search.best.to_string() == before || search.is_over() {
            let Search { verdict, best: scenario, runs, .. } = search;
            return Some(Shrunk { scenario, verdict, runs });
        }
    }
}

struct Search<'a> {
    verdict: Verdict,
    /// The shortest time for which the scenario waited before it expected health.
    patience: Option<Duration>,
    best: Scenario,
    runs: usize,
    tell: &'a mut dyn FnMut(Step),
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.runs >= RUNS_MAX
    }

    /// Takes a candidate if it fails in the same way.
    fn takes(&mut self, candidate: Scenario) -> bool {
        let healing = candidate.options.heals_within();
        let patience = self.patience.unwrap_or_default().min(healing);
        let fair = waits(&candidate.schedule).all(|waited| waited >= patience);
        if self.is_over() || !fair || candidate.is_possible().is_err() {
            return false;
        }
        self.runs += 1;
        (self.tell)(Step { runs: self.runs, lines: self.best.schedule.len() });
        let same = verdict(&candidate).as_ref() == Some(&self.verdict);
        if same {
            self.best = candidate;
        }
        same
    }

    fn takes_schedule(&mut self, schedule: Vec<Line>) -> bool {
        !schedule.is_empty() && self.takes(Scenario { schedule, ..self.best.clone() })
    }

    /// What comes after the failure has nothing to do with it.
    fn forget_after(&mut self, at: Moment) {
        let schedule = self.best.schedule.iter().copied().filter(|line| line.at <= at).collect();
        self.takes_schedule(schedule);
    }

    /// Delta debugging: leaves out halves, then quarters, down to single lines.
    fn fewer_lines(&mut self) {
        let mut size = self.best.schedule.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.schedule.len() {
                let mut schedule = self.best.schedule.clone();
                schedule.drain(from..(from + size).min(schedule.len()));
                if !self.takes_schedule(schedule) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// Leaves every option at its default, one after the other.
    fn fewer_keys(&mut self) {
        let keys: Vec<&str> = self.best.options.header().into_iter().map(|(key, _)| key).collect();
        for key in keys.into_iter().chain(["seed"]) {
            let best = self.best.to_string();
            let candidate = self.best.without(key).filter(|it| it.to_string() != best);
            if let Some(candidate) = candidate {
                self.takes(candidate);
            }
        }
    }

    /// Makes every number of the header smaller, one after the other.
    fn smaller_values(&mut self) {
        for (key, value) in self.best.options.header() {
            let words: Vec<&str> = value.split(' ').collect();
            for (place, word) in words.iter().enumerate() {
                let Ok(number) = word.parse::<u64>() else { continue };
                let smaller = [0, 1, number / 2, number.saturating_sub(1)];
                for smaller in smaller.into_iter().filter(|it| *it < number) {
                    let smaller = smaller.to_string();
                    let mut words = words.clone();
                    words[place] = &smaller;
                    let candidate = self.best.with(key, &words.join(" "));
                    if candidate.is_some_and(|candidate| self.takes(candidate)) {
                        break;
                    }
                }
            }
        }
    }

    /// Brings every line nearer to the one before, in round numbers, and those after it with it.
    fn shorter_gaps(&mut self) {
        for place in 0..self.best.schedule.len() {
            let at = |place: usize| self.best.schedule[place].at;
            let before = place.checked_sub(1).map_or(Moment::default(), at);
            let gap = (at(place) - before).as_nanos() as u64;
            let second = 1_000_000_000;
            let round = |unit: u64| gap / unit * unit;
            let rounds = [60 * second, 10 * second, second, second / 1_000].map(round);
            let shorter = [0, second, round(2) / 2].into_iter().chain(rounds);
            let mut shorter: Vec<u64> = shorter.filter(|it| *it < gap).collect();
            shorter.sort_unstable();
            for shorter in shorter {
                let mut schedule = self.best.schedule.clone();
                for line in &mut schedule[place..] {
                    line.at = Moment(line.at.0 - gap + shorter);
                }
                if self.takes_schedule(schedule) {
                    break;
                }
            }
        }
    }
}

/// For how long each expectation waited since the line before it.
fn waits(schedule: &[Line]) -> impl Iterator<Item = Duration> {
    let pairs = schedule.iter().enumerate().filter(|(_, line)| line.fault.is_none());
    pairs.map(|(place, line)| {
        let faults = schedule[..place].iter().rev().find(|before| before.fault.is_some());
        line.at - faults.map_or(Moment::default(), |fault| fault.at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(sentence: &str) -> String {
        let finding = Finding::liveness(Moment(5), sentence.into());
        Verdict::from(&finding).sentence
    }

    #[test]
    fn a_verdict_has_no_numbers() {
        let said = "operator 0 and operator 12 are not linked, since 5.000s";
        assert_eq!(verdict_of(said), "operator # and operator # are not linked, since #s");
        let other = "operator 3 and operator 4 are not linked, since 1234.567891s";
        assert_eq!(verdict_of(other), verdict_of(said));
        assert_ne!(verdict_of("operator 3 and operator 4 have 2 links"), verdict_of(said));
    }
}
