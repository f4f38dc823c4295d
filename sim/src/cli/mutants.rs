//! `mutants`: how soon mistakes planted in the core are found.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use stayfound_core::planted::Bug;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::mutants::{Measured, Plan, by_name, measure, shrink_with};
use stayfound_sim::scenario::Scenario;
use stayfound_sim::shrink::Shrunk;

use super::progress::Progress;
use super::say;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim mutants                                every mistake, from 20 starting points
  stayfound-sim mutants --mutant does-not-relay        one of them
  stayfound-sim mutants --starts 3 --within 100 --json
  stayfound-sim mutants --mutant does-not-relay --starts 1 --keep sim/tests/mutants
                                     and a small scenario that finds it, to be kept

Exit codes: 0 all are found, 1 one is not found within the limit, 2 usage.";

/// A mistake is not found within the limit.
const MISSED: u8 = 1;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Which mistake; all of them if none is given
    #[arg(long, value_name = "NAME")]
    mutant: Vec<String>,
    /// From how many starting points
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    starts: u64,
    /// After how many seeds from a starting point a mistake counts as not found
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    within: u64,
    /// The first starting point
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Write a scenario of each mistake that is found, made small, to this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// As JSON, one object per mistake
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { mutant, starts, within, from, keep, json, quiet } = arguments;
    let bugs = if mutant.is_empty() { Ok(Bug::ALL.to_vec()) } else { named(mutant) }?;
    if starts.checked_mul(*within).and_then(|seeds| from.checked_add(seeds)).is_none() {
        return Err(Failure::usage("there are not that many seeds: give smaller numbers"));
    }
    let plan = Plan { from: *from, starts: *starts, within: *within };
    let mut progress = Progress::new(bugs.len() as u64, *quiet);
    let mut missed = 0;
    if !json {
        say(&format!("{:<26} {:>6} {:>6} {:>6}  first found", "", "median", "most", "ran"));
    }
    for bug in bugs {
        let measured = measure(bug, plan);
        missed += usize::from(!measured.is_found());
        let text = if *json { in_json(&measured).to_string() } else { line(&measured) };
        progress.suspend(|| say(&text));
        if let Some((folder, (seed, _))) = keep.as_ref().zip(measured.first.as_ref()) {
            write(folder, bug, *seed)?;
        }
        progress.step(bug.name());
    }
    drop(progress);
    if !json {
        say(&format!("{missed} not found within {within} seeds of every start"));
    }
    Ok(if missed == 0 { exit::OK } else { MISSED })
}

/// Writes down what is left of a seed's scenario that finds the mistake.
fn write(folder: &Path, bug: Bug, seed: u64) -> Result<(), Failure> {
    let shrunk = shrink_with(bug, &Scenario::draw(seed), &mut |_| {});
    let Shrunk { scenario, verdict, .. } = shrunk.expect("this seed has just found it");
    let sentence = bug.sentence();
    let text =
        format!("# A node {sentence}.\n# {}: {}\n{scenario}", verdict.kind, verdict.sentence);
    let path = folder.join(format!("{}.txt", bug.name()));
    fs::write(&path, text).map_err(|error| Failure::io("write", &path, &error))
}

fn named(names: &[String]) -> Result<Vec<Bug>, Failure> {
    let unknown = |name: &String| {
        let all: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        Failure::usage(format!("no mistake is called `{name}`; there are: {}", all.join(", ")))
    };
    names.iter().map(|name| by_name(name).ok_or_else(|| unknown(name))).collect()
}

fn line(measured: &Measured) -> String {
    let number = |seeds: Option<u64>| seeds.map_or("-".into(), |seeds| seeds.to_string());
    let first = measured.first.as_ref();
    let first = first.map_or("not found".into(), |(seed, finding)| format!("{seed}: {finding}"));
    let (median, most) = (number(measured.median()), number(measured.most()));
    format!("{:<26} {median:>6} {most:>6} {:>6}  {first}", measured.bug.name(), measured.ran)
}

fn in_json(measured: &Measured) -> Value {
    let first = measured.first.as_ref();
    json!({
        "mutant": measured.bug.name(),
        "does": measured.bug.sentence(),
        "median": measured.median(),
        "most": measured.most(),
        "seeds": measured.seeds,
        "ran": measured.ran,
        "first_seed": first.map(|(seed, _)| seed),
        "first_finding": first.map(|(_, finding)| finding.to_string()),
    })
}
