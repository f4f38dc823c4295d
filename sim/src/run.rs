//! Running a scenario, once to see whether it holds, or twice to see whether it repeats.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

#[cfg(feature = "remembered-keys")]
use stayfound_core::keys::remembered::remembering;
use stayfound_core::node::Counter;

use crate::event::HostId;
use crate::moment::Moment;
use crate::observe::Observed;
use crate::oracle::{Finding, Kind};
use crate::scenario::Scenario;
use crate::trace::{Divergence, Trace};
use crate::world::World;

thread_local! {
    /// Whether this thread is in a run, whose panics are findings.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of this thread happened, if somebody keeps it: see [`note_panic`].
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Without the feature nothing is remembered.
#[cfg(not(feature = "remembered-keys"))]
fn remembering<R>(work: impl FnOnce() -> R) -> R {
    work()
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
    /// How often each thing happened, at all nodes together.
    pub counts: BTreeMap<Counter, u64>,
    /// How often each rare branch of the core, and of the world, was taken.
    pub marks: [BTreeMap<&'static str, u64>; 2],
}

/// For a panic hook: keeps where a panic in a run happened, so that the finding can say it.
/// Answers whether it was one; any other is for the hook to print.
pub fn note_panic(info: &PanicHookInfo<'_>) -> bool {
    let place = info.location().map(ToString::to_string);
    PANICKED_AT.with(|at| *at.borrow_mut() = place);
    RUNNING.get()
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: &Scenario, trace: Trace) -> Report {
    remembering(|| run_plainly(scenario, trace))
}

/// [`run`] with nothing remembered from other nodes and runs: slower, and otherwise the same.
#[must_use]
pub fn run_plainly(scenario: &Scenario, trace: Trace) -> Report {
    let mut world = World::new(&scenario.setup, &scenario.chance(), trace);
    let finding = hold(&mut world, scenario);
    report(world, finding)
}

/// Runs a scenario and measures it; with `events`, every event is written down as well. The trace
/// is that of [`run`].
#[must_use]
pub fn observe(scenario: &Scenario, events: bool) -> (Report, Observed) {
    remembering(|| {
        let mut world = World::new(&scenario.setup, &scenario.chance(), Trace::default());
        world.watch(events);
        let finding = hold(&mut world, scenario);
        let observed = world.observed().expect("it was watched");
        (report(world, finding), observed)
    })
}

/// Runs a scenario and records every process of a host.
#[must_use]
pub fn record(scenario: &Scenario, host: HostId) -> (Report, Vec<Vec<u8>>) {
    let mut world = World::new(&scenario.setup, &scenario.chance(), Trace::default());
    world.record(host);
    let finding = hold(&mut world, scenario);
    let recordings = world.recordings(host);
    (report(world, finding), recordings)
}

/// Runs a scenario in this world; answers what was wrong.
fn hold(world: &mut World, scenario: &Scenario) -> Option<Finding> {
    taken(); // whatever came before is of another run
    match caught(|| drive(world, scenario)) {
        Ok(driven) => driven.err(),
        Err(why) => {
            let sentence = format!("{} panicked: {why}", world.turn());
            Some(Finding { at: world.now(), kind: Kind::Panic, sentence })
        }
    }
}

/// Does something in which a panic is a finding; answers what it said, and where it was.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    RUNNING.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    RUNNING.set(false);
    done.map_err(|payload| said(payload.as_ref()))
}

fn report(world: World, finding: Option<Finding>) -> Report {
    let (until, counts, marks) = (world.now(), world.counts(), taken());
    Report { finding, until, counts, marks, trace: world.into_trace() }
}

fn taken() -> [BTreeMap<&'static str, u64>; 2] {
    let core = stayfound_core::marks::take().into_iter().map(|(mark, times)| (mark.name(), times));
    let world = crate::marks::take().into_iter().map(|(mark, times)| (mark.name(), times));
    [core.collect(), world.collect()]
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

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    let place = PANICKED_AT.with(|at| at.borrow_mut().take());
    let place = place.map_or(String::new(), |place| format!(" ({place})"));
    format!("{text}{place}")
}
