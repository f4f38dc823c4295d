//! `run`: once, to see whether everything holds.

use std::path::PathBuf;

use clap::Args;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::results::directory::Writer;
use stayfound_sim::results::{MadeBy, Results, RunKey};
use stayfound_sim::run::{Report, observe, run};
use stayfound_sim::scenario::Scenario;
use stayfound_sim::table::Tables;
use stayfound_sim::trace::{Divergence, Trace};

use super::merge::Form;
use super::outcome::Outcome;
use super::progress::Progress;
use super::say;
use super::which::{Job, Which};

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim run --seed 7              one run: its options and schedule, then the verdict
  stayfound-sim run --seed b545d3f        the same for a commit
  stayfound-sim run --scenario my.txt     a scenario of a file (see docs/scenarios.md)
  stayfound-sim run --seed 7 --events     and every event, with what the node wanted done
  stayfound-sim run --seeds 0..1000       many runs; failures say how to run them again
  stayfound-sim run --seeds 0..50 --json  one JSON object per run
  stayfound-sim run --seed 7 --out DIR    what was measured, as tables (see `schema`)";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print every event (of one run only); with --out, write the table of events instead
    #[arg(long)]
    events: bool,
    /// Write what was measured to this directory, as tables
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { which, events, out, form } = arguments;
    if *events && out.is_none() && !which.is_single() {
        return Err(Failure::usage("the events of many runs are a table: give --out DIR as well"));
    }
    let Some(out) = out else {
        let trace = || if *events { Trace::recording() } else { Trace::default() };
        return each(which, "run", &mut |job| Ok((None, run(&job.scenario, trace()))));
    };
    let failed = |error| Failure::io("write results to", out, &error);
    let made_by = MadeBy::this();
    let mut writer = Writer::create(out, form.format(), made_by.clone()).map_err(failed)?;
    let code = each(which, "run", &mut |job| {
        let (report, observed) = observe(&job.scenario, *events);
        let command = format!("stayfound-sim run {}", job.arguments);
        let tables = Tables::of(&job.scenario, &report, observed, command);
        let mut results = Results::new(made_by.clone());
        let (scenario, seed) = (job.name.clone(), job.scenario.seed);
        results.add(RunKey { scenario, seed }, &tables);
        writer.append(&results).map_err(failed)?;
        Ok((None, report))
    })?;
    writer.finish().map_err(failed)?;
    Ok(code)
}

/// What came of a run: where it diverged, if it did, and how it went.
type Came = (Option<Divergence>, Report);

/// Does the same with each run, and says what came of it; answers the exit code.
pub(crate) fn each(
    which: &Which,
    command: &str,
    go: &mut dyn FnMut(&Job) -> Result<Came, Failure>,
) -> Result<u8, Failure> {
    let (mut code, mut failed) = (exit::OK, 0);
    let mut progress = Progress::new(which.count(), which.quiet);
    for job in which.jobs()? {
        if which.is_single() && !which.json {
            print_scenario(&job.scenario);
        }
        let (divergence, report) = go(&job)?;
        let Job { scenario, arguments, .. } = job;
        let command = format!("stayfound-sim {command} {arguments}");
        let outcome = Outcome { scenario, report, divergence, command };
        failed += u64::from(outcome.code() != exit::OK);
        code = if code == exit::OK { outcome.code() } else { code };
        progress.step(&format!("{arguments}, {failed} failed"));
        let text = match (which.json, which.is_single()) {
            (true, _) => outcome.json().to_string(),
            (false, true) => outcome.text(),
            (false, false) if outcome.code() != exit::OK => format!("{}\n", outcome.failure()),
            (false, false) => continue,
        };
        progress.suspend(|| say(&text));
    }
    drop(progress);
    if !which.is_single() && !which.json {
        say(&format!("{} seeds, {failed} failed", which.count()));
    }
    Ok(code)
}

/// As text that can be kept in a file.
fn print_scenario(scenario: &Scenario) {
    let healing = scenario.options.heals_within().as_secs_f64();
    say(&format!("# It heals within {healing:.1} s.\n{scenario}"));
}
