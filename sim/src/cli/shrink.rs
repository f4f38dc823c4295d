//! `shrink`: a failure as a few lines of text.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::shrink::{Shrunk, shrink};

use super::say;
use super::which::{One, quoted};

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim shrink --seed 7 --out small.txt    the same failure in few lines, to be kept
  stayfound-sim shrink --scenario big.txt          printed
  stayfound-sim run --scenario small.txt           and run again

It leaves out lines, then options, then makes numbers smaller, as long as the failure is the same: \
of the same kind, and said in the same sentence but for its numbers.";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// The file to write; without it, the small scenario is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// Where nobody watches, a line is printed after so many runs.
const RUNS_PER_LINE: usize = 50;

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { one, out, json, quiet } = arguments;
    let job = one.job()?;
    let before = job.scenario.schedule.len();
    let bar = if *quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    let lines = !quiet && bar.is_hidden();
    let shrunk = shrink(&job.scenario, &mut |step| {
        let note = format!("{} runs, {} of {before} lines left", step.runs, step.lines);
        if lines && step.runs.is_multiple_of(RUNS_PER_LINE) {
            eprintln!("{note}");
        }
        bar.set_message(note);
        bar.tick();
    });
    bar.finish_and_clear();
    let Some(Shrunk { scenario, verdict, runs }) = shrunk else {
        say("nothing to shrink: everything holds");
        return Ok(exit::OK);
    };
    let after = scenario.schedule.len();
    let code = exit::of(verdict.kind);
    let said = format!("{}: {}", verdict.kind, verdict.sentence);
    let text = format!("# {said}\n{scenario}");
    if let Some(out) = out {
        std::fs::write(out, &text).map_err(|error| Failure::io("write", out, &error))?;
    }
    let command = out.as_deref().map(command);
    if *json {
        let sentence = &verdict.sentence;
        let (kind, scenario) = (verdict.kind.to_string(), scenario.to_string());
        let object = json!({
            "verdict": kind, "finding": sentence, "lines_before": before, "lines": after,
            "runs": runs, "scenario": scenario, "command": command,
        });
        say(&object.to_string());
        return Ok(code);
    }
    let summary = format!("{said}\n{before} lines of schedule became {after} in {runs} runs");
    match command {
        Some(command) => say(&format!("{summary}\n  {command}")),
        None => say(&format!("{text}\n# {}", summary.lines().last().expect("it has two"))),
    }
    Ok(code)
}

fn command(out: &Path) -> String {
    format!("stayfound-sim run --scenario {}", quoted(&out.to_string_lossy()))
}
