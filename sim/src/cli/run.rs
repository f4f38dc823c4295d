//! `run`: once, to see whether everything holds.

use clap::Args;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::run::{Report, run};
use stayfound_sim::scenario::Scenario;
use stayfound_sim::trace::{Divergence, Trace};

use super::outcome::Outcome;
use super::progress::Progress;
use super::say;
use super::which::{Job, Which};

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim run --seed 7              one run: its options and schedule, then the verdict
  stayfound-sim run --seed b545d3f        the same for a commit
  stayfound-sim run --seed 7 --events     and every event, with what the node wanted done
  stayfound-sim run --seeds 0..1000       many runs; failures say how to run them again
  stayfound-sim run --seeds 0..50 --json  one JSON object per run";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print every event (of one run only)
    #[arg(long, conflicts_with = "seeds")]
    events: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    each(&arguments.which, "run", &|scenario| {
        let trace = if arguments.events { Trace::recording() } else { Trace::default() };
        (None, run(scenario, trace))
    })
}

/// Does the same with each run, and says what came of it; answers the exit code.
pub(crate) fn each(
    which: &Which,
    command: &str,
    go: &dyn Fn(&Scenario) -> (Option<Divergence>, Report),
) -> Result<u8, Failure> {
    let (mut code, mut failed) = (exit::OK, 0);
    let mut progress = Progress::new(which.count(), which.quiet);
    for job in which.jobs() {
        let Job { scenario, arguments } = job?;
        if which.is_single() && !which.json {
            print_scenario(&scenario);
        }
        let (divergence, report) = go(&scenario);
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

fn print_scenario(scenario: &Scenario) {
    let mut text = format!("{:<12} {}", "seed", scenario.seed);
    for (name, value) in scenario.options.lines() {
        text.push_str(&format!("\n{name:<12} {value}"));
    }
    text.push_str("\nschedule");
    for line in &scenario.schedule {
        text.push_str(&format!("\n  {line}"));
    }
    say(&text);
}
