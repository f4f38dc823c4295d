//! `sweep`: many runs, a part for each block of seeds.

use std::io::{IsTerminal, stderr};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use stayfound_sim::coverage::Coverage;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::sweep::{Progress, Sweep, SweepError, Swept};

use super::say;
use super::which::{named, parse_seeds};

pub(super) const EXAMPLES: &str = "\
Examples:
  stayfound-sim sweep --seeds 0..10000 --block 100 --out parts --jobs 8
  stayfound-sim merge parts --out results       tables of all parts, and a manifest
  stayfound-sim sweep --seeds 0..100 --block 100 --out parts    one block: a task of an engine
  stayfound-sim sweep --seeds 0..50 --scenario one.txt --out parts    one scenario, many seeds

A block whose part is there is done: after whatever went wrong, the same command goes on. A part \
that is damaged is run again.

At the end of 10,000 seeds or more (with --coverage, of any) it says where the runs have been: how \
often each rare branch was taken, and which kinds of faults happened in one run.

Exit codes: those of `run`, of the failing seed that comes first; 14 if 10,000 seeds or more, each \
with a scenario of its own, never came to something; 65 if a part is there that is \
not of this sweep; 74 if a part cannot be written (then it is not there).";

#[derive(Args)]
pub(crate) struct Arguments {
    /// The seeds, from A up to but not including B
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// A scenario for all of them, in a file as docs/scenarios.md describes; else each draws its own
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// How many seeds a part holds: best 30 to 300 seconds of work
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    block: u64,
    /// The directory of the parts
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many runs go on at once
    #[arg(long, value_name = "N", default_value = "1")]
    jobs: NonZeroUsize,
    /// Keep every event as a row: a hundred times as many rows
    #[arg(long)]
    events: bool,
    /// Say where the runs have been, however few they are
    #[arg(long)]
    coverage: bool,
    /// Fail if they have not been everywhere, however few they are
    #[arg(long)]
    require_coverage: bool,
    /// Print one JSON object: failures, and where the runs have been
    #[arg(long)]
    json: bool,
    /// Say nothing of progress
    #[arg(long)]
    quiet: bool,
}

/// How far it is: a bar on a terminal, elsewhere a line for each block.
struct Shown {
    bar: Option<ProgressBar>,
    lines: bool,
    blocks: (usize, usize),
}

pub(super) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { seeds, scenario, block, out, jobs, events, quiet, .. } = arguments;
    let scenario = scenario.as_deref().map(named).transpose()?;
    let (seeds, out) = (seeds.clone(), out.clone());
    let sweep = Sweep { scenario, seeds, block: *block, events: *events, out, jobs: *jobs };
    let mut shown = Shown::new(&sweep, *quiet);
    let swept = sweep.run(&mut |progress| shown.tell(progress));
    shown.end();
    let swept = swept.map_err(|error| match error {
        SweepError::Io(path, error) => Failure::io("write", &path, &error),
        other => Failure { code: exit::DATA, text: other.to_string() },
    })?;
    match arguments.json {
        true => say(&json(&swept).to_string()),
        false => tell(&sweep, &swept, arguments.coverage),
    }
    let Swept { failures, coverage } = swept;
    let judged = is_judged(&sweep, &coverage) || arguments.require_coverage;
    Ok(match failures.first() {
        Some(failure) => exit::of(failure.kind),
        None if judged && !coverage.missing().is_empty() => exit::COVERAGE,
        None => exit::OK,
    })
}

/// Only what the generator draws can come everywhere.
fn is_judged(sweep: &Sweep, coverage: &Coverage) -> bool {
    sweep.scenario.is_none() && coverage.is_judged()
}

fn tell(sweep: &Sweep, swept: &Swept, coverage: bool) {
    for failure in &swept.failures {
        say(&format!("{failure}\n"));
    }
    if coverage || is_judged(sweep, &swept.coverage) {
        say(&format!("{}\n", swept.coverage));
    }
    let seeds = sweep.seeds.end - sweep.seeds.start;
    say(&format!("{seeds} seeds, {} failed", swept.failures.len()));
}

fn json(swept: &Swept) -> Value {
    let failures = swept.failures.iter().map(|failure| {
        json!({
            "seed": failure.seed,
            "kind": failure.kind.to_string(),
            "finding": failure.finding,
            "command": failure.command,
        })
    });
    json!({ "failures": failures.collect::<Vec<_>>(), "coverage": swept.coverage.json() })
}

impl Shown {
    fn new(sweep: &Sweep, quiet: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} seeds{msg}, {eta} to go");
        let style = style.expect("a template that is right");
        let seeds = sweep.seeds.end - sweep.seeds.start;
        let bar =
            (!quiet && stderr().is_terminal()).then(|| ProgressBar::new(seeds).with_style(style));
        Self { lines: !quiet && bar.is_none(), bar, blocks: (0, sweep.blocks().count()) }
    }

    fn tell(&mut self, progress: &Progress) {
        match (progress, &self.bar) {
            (Progress::Run, Some(bar)) => bar.inc(1),
            (Progress::Run, None) => {}
            (Progress::Damaged(path, damage), bar) => {
                let text = format!("{}: {damage}; run again", path.display());
                match bar {
                    Some(bar) => bar.println(text),
                    None => eprintln!("{text}"), // whoever wants quiet wants to know of this
                }
            }
            (Progress::Block(block), bar) => {
                self.blocks.0 += 1;
                let (seeds, failed) = (&block.seeds, block.failures.len());
                if let Some(bar) = bar.as_ref().filter(|_| block.was_there) {
                    bar.inc(seeds.end - seeds.start);
                }
                if self.lines {
                    let (done, of) = self.blocks;
                    let there = if block.was_there { ", was there" } else { "" };
                    let Range { start, end } = seeds;
                    eprintln!("block {start}..{end}: {failed} failed{there} ({done} of {of})");
                }
            }
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
