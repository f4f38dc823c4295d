//! Where runs have been: which rare branches they came to, and which faults happened in one run.
//!
//! What a sweep never meets, it does not test. So each mark, each of the core's counters and each pair
//! of fault kinds is counted, and a sweep that is large enough fails if one of them is zero.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use stayfound_core::marks as core;
use stayfound_core::node::Counter;

use crate::marks as world;
use crate::scenario::FaultKind;
use crate::table::CountRow;

/// So many seeds are to come everywhere.
pub const SEEDS_JUDGED: u64 = 10_000;

/// The core's counters that no run of the generator can raise, and why.
const BEYOND: [(Counter, &str); 14] = [
    (Counter::UnknownFrames, "every node is of one version"),
    (Counter::PacketsMissed, "the driver counts it"),
    (Counter::PacketsUnsent, "the driver counts it"),
    (Counter::TalksUnanswered, "no application registers a protocol"),
    (Counter::RequestsRefused, "nobody asks a thousand things at once"),
    (Counter::HandshakesDelayed, "thousands of handshakes in a second"),
    (Counter::PacketsOfWrongSize, "one corrupted bit changes no size"),
    (Counter::PacketsWithMessage, "one corrupted bit in a WHOAREYOU that leaves its size right"),
    (Counter::PacketsWithoutTag, "one corrupted bit in the size of an authdata"),
    (Counter::PacketsCutInHead, "one corrupted bit in the size of an authdata"),
    (Counter::PacketsCutInHandshake, "one corrupted bit in a size of a handshake"),
    (Counter::PacketsTooShortToChallenge, "every packet of a node is long enough"),
    (Counter::PacketsOfOurOwn, "nobody claims the id of whom it sends to"),
    (Counter::MessagesInvalid, "whoever has a session, adversaries too, says what can be read"),
];
/// The marks of the core that 10,000 seeds did not come to, and why.
const BEYOND_MARKS: [(core::Mark, &str); 2] = [
    (
        core::Mark::OutrunWhileWaiting,
        "a record of its own that is handed back must wait for its turn",
    ),
    (
        core::Mark::NewerThanHandshake,
        "honest nodes show their newest record, and adversaries their only",
    ),
];

/// How often something was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// In all.
    pub times: u64,
    /// In how many runs.
    pub runs: u64,
    /// The first seed.
    pub first: Option<u64>,
}

/// Where some runs have been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    runs: u64,
    /// By source (`core`, `mark` or `world`) and name.
    met: BTreeMap<(String, String), Met>,
    /// In how many runs two kinds of faults happened, by their places in [`FaultKind::ALL`], the lower
    /// first; a kind with itself is the kind.
    kinds: BTreeMap<(usize, usize), u64>,
}

impl Coverage {
    /// One run: what was counted in it.
    pub fn add(&mut self, seed: u64, counts: &[CountRow]) {
        self.runs += 1;
        for row in counts.iter().filter(|row| row.times > 0) {
            if ["core", "mark", "world"].contains(&row.source.as_str()) {
                let met = self.met.entry((row.source.clone(), row.name.clone())).or_default();
                met.add(Met { times: row.times, runs: 1, first: Some(seed) });
            }
        }
        let drawn = |kind: &&FaultKind| {
            let name = kind.to_string();
            counts.iter().any(|row| row.source == "drawn" && row.name == name && row.times > 0)
        };
        let all = FaultKind::ALL.iter().enumerate();
        let happened: Vec<usize> =
            all.filter(|(_, kind)| drawn(kind)).map(|(place, _)| place).collect();
        for (at, one) in happened.iter().enumerate() {
            for other in &happened[at..] {
                *self.kinds.entry((*one, *other)).or_default() += 1;
            }
        }
    }

    /// Those runs and these, which are others.
    pub fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        for (key, met) in &other.met {
            self.met.entry(key.clone()).or_default().add(*met);
        }
        for (pair, runs) in &other.kinds {
            *self.kinds.entry(*pair).or_default() += runs;
        }
    }

    /// Whether there were enough runs to come everywhere.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.runs >= SEEDS_JUDGED
    }

    /// Everything that no run met, in words.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let marks =
            Self::marks().into_iter().filter(|(source, name)| self.met(source, name).runs == 0);
        let marks = marks.map(|(source, name)| format!("{source} {name}"));
        let kinds = FaultKind::ALL;
        let pairs = (0..kinds.len()).flat_map(|one| (one..kinds.len()).map(move |two| (one, two)));
        let pairs = pairs.filter(|pair| !self.kinds.contains_key(pair));
        let pairs = pairs.map(|(one, two)| match one == two {
            true => kinds[one].to_string(),
            false => format!("{} with {}", kinds[one], kinds[two]),
        });
        marks.chain(pairs).collect()
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let marks = Self::marks().into_iter().map(|(source, name)| {
            let Met { times, runs, first } = self.met(source, name);
            json!({ "source": source, "name": name, "times": times, "runs": runs, "first": first })
        });
        let pairs = self.kinds.iter().map(|((one, two), runs)| {
            let [one, two] = [one, two].map(|place| FaultKind::ALL[*place].to_string());
            json!({ "kinds": [one, two], "runs": runs })
        });
        json!({
            "runs": self.runs,
            "marks": marks.collect::<Vec<_>>(),
            "pairs": pairs.collect::<Vec<_>>(),
            "missing": self.missing(),
            "judged": self.is_judged(),
        })
    }

    fn met(&self, source: &str, name: &str) -> Met {
        self.met.get(&(source.into(), name.into())).copied().unwrap_or_default()
    }

    /// Everything that runs are to meet: source and name.
    fn marks() -> Vec<(&'static str, &'static str)> {
        let beyond = |counter: &Counter| BEYOND.iter().any(|(it, _)| it == counter);
        let counters = Counter::ALL.into_iter().filter(|counter| !beyond(counter));
        let counters = counters.map(|counter| ("core", counter.name()));
        let beyond = |mark: &core::Mark| BEYOND_MARKS.iter().any(|(it, _)| it == mark);
        let marks = core::Mark::ALL.iter().filter(|mark| !beyond(mark));
        let marks = marks.map(|mark| ("mark", mark.name()));
        let of_world = world::Mark::ALL.iter().map(|mark| ("world", mark.name()));
        counters.chain(marks).chain(of_world).collect()
    }
}

impl Met {
    fn add(&mut self, other: Self) {
        self.times += other.times;
        self.runs += other.runs;
        self.first = self.first.into_iter().chain(other.first).min();
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<6} {:<28} {:>10} {:>7}  first seed", "", "mark", "times", "runs")?;
        for (source, name) in Self::marks() {
            let Met { times, runs, first } = self.met(source, name);
            let first = first.map_or("never".into(), |seed| seed.to_string());
            writeln!(f, "{source:<6} {name:<28} {times:>10} {runs:>7}  {first}")?;
        }
        writeln!(f, "\nRuns in which two kinds of faults happened (999 for more):")?;
        for (one, kind) in FaultKind::ALL.iter().enumerate() {
            write!(f, "{:>3} {:<10}", one + 1, kind.to_string())?;
            for other in 0..=one {
                let runs = self.kinds.get(&(other, one)).copied().unwrap_or_default();
                write!(f, " {:>3}", runs.min(999))?;
            }
            writeln!(f)?;
        }
        write!(f, "{:>14}", "")?;
        (1..=FaultKind::ALL.len()).try_for_each(|place| write!(f, " {place:>3}"))?;
        writeln!(f)?;
        let missing = self.missing();
        if missing.is_empty() {
            return write!(f, "\n{} runs have been everywhere.", self.runs);
        }
        let judged = match self.is_judged() {
            true => "",
            false => " (too few to judge)",
        };
        writeln!(f, "\n{} runs never came to{judged}:", self.runs)?;
        missing.iter().try_for_each(|what| writeln!(f, "  {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, &str)]) -> Vec<CountRow> {
        let row = |(source, name): &(&str, &str)| CountRow {
            source: (*source).into(),
            name: (*name).into(),
            times: 2,
        };
        rows.iter().map(row).collect()
    }

    fn everything() -> Vec<(&'static str, String)> {
        let kinds = FaultKind::ALL.iter().map(|kind| ("drawn", kind.to_string()));
        let marks = Coverage::marks().into_iter().map(|(source, name)| (source, name.to_owned()));
        marks.chain(kinds).collect()
    }

    #[test]
    fn what_is_never_met_is_missing_and_nothing_else() {
        let all = everything();
        for left_out in 0..all.len() {
            let mut rows: Vec<(&str, &str)> = all.iter().map(|(s, n)| (*s, n.as_str())).collect();
            let (source, name) = rows.remove(left_out);
            let mut coverage = Coverage::default();
            coverage.add(3, &counts(&rows));
            let missing = coverage.missing();
            match source {
                "drawn" => {
                    assert_eq!(missing.len(), FaultKind::ALL.len(), "{name}: {missing:?}");
                    assert!(missing.iter().all(|it| it.contains(name)), "{name}: {missing:?}");
                }
                _ => assert_eq!(missing, [format!("{source} {name}")]),
            }
        }
        let mut coverage = Coverage::default();
        let rows: Vec<(&str, &str)> = all.iter().map(|(s, n)| (*s, n.as_str())).collect();
        coverage.add(3, &counts(&rows));
        assert!(coverage.missing().is_empty() && !coverage.is_judged());
    }

    #[test]
    fn runs_add_up_in_any_order() {
        let of = |seed, rows: &[(&str, &str)]| {
            let mut coverage = Coverage::default();
            coverage.add(seed, &counts(rows));
            coverage
        };
        let parts = [
            of(7, &[("mark", "leaps-seq"), ("drawn", "move")]),
            of(2, &[("mark", "leaps-seq"), ("drawn", "move"), ("drawn", "cut")]),
            of(5, &[("core", "dials")]),
        ];
        let sum = |order: [usize; 3]| {
            let mut sum = Coverage::default();
            order.iter().for_each(|part| sum.merge(&parts[*part]));
            sum
        };
        let first = sum([0, 1, 2]);
        assert!([[0, 2, 1], [1, 0, 2], [2, 1, 0]].map(sum).iter().all(|it| *it == first));
        assert_eq!(first.met("mark", "leaps-seq"), Met { times: 4, runs: 2, first: Some(2) });
        assert_eq!(first.runs, 3);
    }
}
