//! `report`: results as a page.

use std::path::{Path, PathBuf};

use clap::Args;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::report::{page, playback};
use stayfound_sim::results::directory::{self, MANIFEST};
use stayfound_sim::results::part::{self, Damage};
use stayfound_sim::results::{MadeBy, Results, RunKey};
use stayfound_sim::run::observe;
use stayfound_sim::table::Tables;

use super::say;
use super::which::{One, quoted};

pub(super) const EXAMPLES: &str = "\
Examples:
  stayfound-sim report --seed 7 --out run.html         one run, which the page plays back
  stayfound-sim report --scenario my.txt --out run.html
  stayfound-sim report results --out results.html      the tables that run --out or merge wrote

The page is one file that needs no network: plots with 95 % confidence intervals, a summary, and \
the command that makes it again.

Exit codes: 0 the page is written, whatever was found in the runs; 2 usage, 65 tables that are not \
what their manifest says, 74 files that cannot be read or written.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// A directory of tables, as CSV
    #[arg(value_name = "DIR", conflicts_with_all = ["seed", "scenario"])]
    results: Option<PathBuf>,
    #[command(flatten)]
    one: One,
    /// The page
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { results, one, out } = arguments;
    if out.file_name().is_none() || out.is_dir() {
        return Err(Failure::usage(format!("{}: --out names a file to write", out.display())));
    }
    let (page, of) = match results {
        Some(directory) => of_results(directory, out)?,
        None => of_run(one, out)?,
    };
    part::replace(out, page.as_bytes()).map_err(|it| Failure::io("write", out, &it))?;
    say(&format!("{}: {of}, {} KiB", out.display(), page.len().div_ceil(1024)));
    Ok(exit::OK)
}

fn of_results(from: &Path, out: &Path) -> Result<(String, String), Failure> {
    let results = directory::read(from).map_err(|damage| unreadable(from, damage))?;
    let runs = results.runs().count();
    if runs == 0 {
        return Err(Failure { code: exit::DATA, text: format!("{}: no runs", from.display()) });
    }
    let command = command(&quoted(&from.to_string_lossy()), out);
    Ok((page(&results, &command, None), format!("{runs} runs")))
}

fn of_run(one: &One, out: &Path) -> Result<(String, String), Failure> {
    if one.seed.is_none() && one.scenario.is_none() {
        let text = "say what of: give a directory of tables, --seed N or --scenario FILE";
        return Err(Failure::usage(text));
    }
    let job = one.job()?;
    let (report, observed) = observe(&job.scenario, true);
    let playback = playback::of(&job.scenario, &report, &observed);
    let repeat = format!("stayfound-sim run {}", job.arguments);
    let mut tables = Tables::of(&job.scenario, &report, observed, repeat);
    tables.events.clear(); // the playback has them
    let mut results = Results::new(MadeBy::this());
    results.add(RunKey { scenario: job.name, seed: job.scenario.seed }, &tables);
    let verdict = report.finding.map_or("ok".into(), |it| it.to_string());
    Ok((page(&results, &command(&job.arguments, out), Some(&playback)), verdict))
}

fn command(of: &str, out: &Path) -> String {
    format!("stayfound-sim report {of} --out {}", quoted(&out.to_string_lossy()))
}

fn unreadable(from: &Path, damage: Damage) -> Failure {
    let from_here = from.display();
    match damage {
        Damage::Io(error) if !from.join(MANIFEST).exists() => {
            let hint = "give a directory that `run --out` or `merge --out` wrote";
            let text = format!("{from_here}: no {MANIFEST} ({error}); {hint}");
            Failure { code: exit::IO, text }
        }
        Damage::Io(error) => Failure::io("read", from, &error),
        other => {
            let hint = "write the tables again, as CSV, with `run --out` or `merge --out`";
            Failure { code: exit::DATA, text: format!("{from_here}: {other}; {hint}") }
        }
    }
}
