//! Running a scenario, once to see whether it holds, or twice to see whether it repeats.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::moment::Moment;
use crate::oracle::{Finding, Kind};
use crate::scenario::Scenario;
use crate::trace::{Divergence, Trace};
use crate::world::World;

thread_local! {
    /// Where the last panic of this thread happened, if somebody keeps it: see [`note_panic`].
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// How a run went.
#[derive(Debug)]
pub struct Report {
    /// What was wrong, if anything.
    pub finding: Option<Finding>,
    /// Everything that happened.
    pub trace: Trace,
    /// How much virtual time it took.
    pub until: Moment,
}

/// For a panic hook: keeps where a panic happened, so that a finding can say it, and prints
/// nothing.
pub fn note_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    PANICKED_AT.with(|at| *at.borrow_mut() = place);
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: &Scenario, trace: Trace) -> Report {
    let mut world = World::new(&scenario.setup, &scenario.chance(), trace);
    let ran = catch_unwind(AssertUnwindSafe(|| drive(&mut world, scenario)));
    let finding = match ran {
        Ok(driven) => driven.err(),
        Err(payload) => Some(panicked(&world, payload.as_ref())),
    };
    let until = world.now();
    Report { finding, until, trace: world.into_trace() }
}

/// Runs a scenario twice; answers the first event in which the runs differ, and the first run.
#[must_use]
pub fn check(scenario: &Scenario) -> (Option<Divergence>, Report) {
    let [first, second] = [(); 2].map(|()| run(scenario, Trace::recording()));
    (Divergence::between(first.trace.entries(), second.trace.entries()), first)
}

fn drive(world: &mut World, scenario: &Scenario) -> Result<(), Finding> {
    for line in &scenario.schedule {
        world.advance(line.at)?;
        match &line.fault {
            Some(fault) => {
                world.apply(fault)?;
            }
            None => world.expect_health()?,
        }
    }
    Ok(())
}

fn panicked(world: &World, payload: &(dyn Any + Send)) -> Finding {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    let place = PANICKED_AT.with(|at| at.borrow_mut().take());
    let place = place.map_or(String::new(), |place| format!(" ({place})"));
    let sentence = format!("{} panicked: {text}{place}", world.turn());
    Finding { at: world.now(), kind: Kind::Panic, sentence }
}
