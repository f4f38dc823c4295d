//! What was looked at in a lock or manifest, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::authorisation::Authority;

/// What the checks are: a verdict of other checks than these is none any more.
pub const CHECKS_VERSION: u32 = 1;

/// The check that every operator is authorised by its key shares, where that is demanded.
pub const REQUIRED: &str = "required authorisation";

/// How many faults of one kind a sentence names; the rest are counted.
const NAMED_MAX: usize = 8;

/// What looking at a lock or manifest came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was looked at.
    pub checks: Vec<Check>,
    /// On whose word each operator's key speaks, by index.
    pub authorities: Vec<Authority>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "why", rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold: the place, what was expected, what was found.
    Failed(String),
    /// There is nothing to look at, or no way to look at it here: why.
    NotApplicable(String),
}

impl Verdict {
    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.has_failed())
    }

    /// Adds the demand that every operator is authorised by its shares.
    pub fn require_authorisation(&mut self) {
        let missing = self.authorities.iter().enumerate();
        let missing = missing.filter(|(_, authority)| **authority != Authority::Shares);
        let missing: Vec<_> = missing
            .map(|(index, _)| {
                format!("operator {index}: expected its key shares' authorisation, found none that holds")
            })
            .collect();
        self.checks.push(Check::faultless(REQUIRED, &missing));
    }
}

impl Check {
    /// It holds.
    #[must_use]
    pub fn passed(name: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Passed }
    }

    /// It does not hold.
    #[must_use]
    pub fn failed(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Failed(why.into()) }
    }

    /// It could not be looked at.
    #[must_use]
    pub fn not_applicable(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::NotApplicable(why.into()) }
    }

    /// It holds if there are no faults; otherwise it names them, the first ones.
    #[must_use]
    pub fn faultless<F: fmt::Display>(name: impl Into<String>, faults: &[F]) -> Self {
        if faults.is_empty() {
            return Self::passed(name);
        }
        Self::failed(name, named(faults))
    }

    /// Whether it failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// The first of them, and how many more there are.
pub(super) fn named<F: fmt::Display>(faults: &[F]) -> String {
    let named = faults.iter().take(NAMED_MAX).map(F::to_string);
    let mut text = named.collect::<Vec<_>>().join("; ");
    if faults.len() > NAMED_MAX {
        text += &format!("; and {} more", faults.len() - NAMED_MAX);
    }
    text
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(f, "{}: passed", self.name),
            Outcome::Failed(why) => write!(f, "{}: failed: {why}", self.name),
            Outcome::NotApplicable(why) => write!(f, "{}: not applicable: {why}", self.name),
        }
    }
}
