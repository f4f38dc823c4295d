//! How soon mistakes that are planted in the core are found: how many seeds it takes.

use stayfound_core::planted::{Bug, plant};

use crate::oracle::Finding;
use crate::run::run;
use crate::scenario::Scenario;
use crate::shrink::{Shrunk, Step, shrink};
use crate::trace::Trace;

/// How a measurement goes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first starting point: a seed.
    pub from: u64,
    /// How many starting points there are.
    pub starts: u64,
    /// After how many seeds from a starting point a mistake counts as not found.
    pub within: u64,
}

/// How soon one mistake was found.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which mistake.
    pub bug: Bug,
    /// From each starting point, how many seeds it took; `None` if it was not found.
    pub seeds: Vec<Option<u64>>,
    /// The first seed that found it, and what it said.
    pub first: Option<(u64, Finding)>,
    /// How many seeds were run.
    pub ran: u64,
}

/// The mistake that has this name.
#[must_use]
pub fn by_name(name: &str) -> Option<Bug> {
    Bug::ALL.iter().copied().find(|bug| bug.name() == name)
}

/// What a scenario finds in a core with this mistake in every node, or without any.
#[must_use]
pub fn run_with(bug: Option<Bug>, scenario: &Scenario) -> Option<Finding> {
    plant(bug);
    // A panic of a node is a finding: nothing gets past this.
    let report = run(scenario, Trace::default());
    plant(None);
    report.finding
}

/// Makes a scenario small that finds this mistake; `None` if it finds nothing.
pub fn shrink_with(bug: Bug, scenario: &Scenario, tell: &mut dyn FnMut(Step)) -> Option<Shrunk> {
    plant(Some(bug));
    let shrunk = shrink(scenario, tell);
    plant(None);
    shrunk
}

/// Runs seeds one after the other until the mistake is found from every starting point. The
/// starting points follow one another, each where the search from the one before ended, so that
/// their searches share no seed.
#[must_use]
pub fn measure(bug: Bug, plan: Plan) -> Measured {
    let mut measured = Measured { bug, seeds: Vec::new(), first: None, ran: 0 };
    for _ in 0..plan.starts {
        let took = (1..=plan.within).find(|_| {
            let seed = plan.from + measured.ran;
            measured.ran += 1;
            let finding = run_with(Some(bug), &Scenario::draw(seed));
            let found = finding.is_some();
            measured.first = measured.first.take().or(finding.map(|finding| (seed, finding)));
            found
        });
        measured.seeds.push(took);
        if took.is_none() {
            break; // the limit is missed, whatever the others say
        }
    }
    measured
}

impl Measured {
    /// Whether it was found from every starting point.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.seeds.iter().all(Option::is_some)
    }

    /// The median of the seeds that it took (of two in the middle the greater); `None` if it was
    /// not found from every starting point.
    #[must_use]
    pub fn median(&self) -> Option<u64> {
        let mut seeds = self.seeds.iter().copied().collect::<Option<Vec<u64>>>()?;
        seeds.sort_unstable();
        seeds.get(seeds.len() / 2).copied()
    }

    /// The most seeds that it took; `None` as for the median.
    #[must_use]
    pub fn most(&self) -> Option<u64> {
        self.seeds.iter().copied().collect::<Option<Vec<u64>>>()?.into_iter().max()
    }
}
