//! What a failure needs: runs without each kind of fault.

use std::collections::BTreeSet;

use crate::scenario::Scenario;
use crate::shrink::{Verdict, verdict};

/// What there is of a failure when something is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Without {
    /// What was left out: the word of a fault, or a key of the header.
    pub what: &'static str,
    /// What was wrong without it.
    pub verdict: Option<Verdict>,
    /// Whether that is the same failure.
    pub same: bool,
}

/// What a failure needs.
#[derive(Clone, Debug)]
pub struct Blame {
    /// The failure.
    pub verdict: Verdict,
    /// What it is without each thing alone.
    pub without: Vec<Without>,
    /// What is left when one after the other was left out that could be: without any of these it is
    /// no more, or another.
    pub needs: Vec<&'static str>,
}

/// Options that are faults, too: of a network that is as it should be they are at their defaults.
const WEATHER: [&str; 4] = ["loss", "noise", "miles", "natted"];

/// What could be to blame, in the order of the lines.
#[must_use]
pub fn suspects(scenario: &Scenario) -> Vec<&'static str> {
    let bad = |key: &&str| {
        let calm = scenario.without(key).map(|calm| calm.options);
        calm.is_some_and(|calm| calm != scenario.options)
    };
    let mut seen = BTreeSet::from(["start"]);
    let words = scenario.schedule.iter().filter_map(|line| Some(line.fault?.what.word()));
    WEATHER.into_iter().filter(bad).chain(words.filter(|word| seen.insert(word))).collect()
}

/// Runs a scenario without each thing that could be to blame; `None` if it does not fail. Says what
/// it leaves out next.
pub fn blame(scenario: &Scenario, tell: &mut dyn FnMut(&'static str)) -> Option<Blame> {
    let found = verdict(scenario)?;
    let suspects = suspects(scenario);
    let mut without = Vec::new();
    for &what in &suspects {
        tell(what);
        let verdict = verdict(&leave_out(scenario, what));
        let same = verdict.as_ref() == Some(&found);
        without.push(Without { what, verdict, same });
    }
    let (mut left, mut needs) = (scenario.clone(), Vec::new());
    for Without { what, same, .. } in &without {
        let less = leave_out(&left, what);
        if *same && verdict(&less).as_ref() == Some(&found) {
            left = less;
        } else {
            needs.push(*what);
        }
    }
    Some(Blame { verdict: found, without, needs })
}

fn leave_out(scenario: &Scenario, what: &str) -> Scenario {
    if WEATHER.contains(&what) {
        return scenario.without(what).expect("a suspect can be left out");
    }
    let mut less = scenario.clone();
    less.schedule.retain(|line| line.fault.is_none_or(|fault| fault.what.word() != what));
    less
}

/// What people call it.
#[must_use]
pub fn in_words(what: &str) -> &str {
    match what {
        "cut" => "one-way cut",
        "side" => "partition",
        "wipe" => "lost disk",
        "miles" => "last mile",
        "natted" | "nat" => "NAT",
        _ => what,
    }
}
