//! The command line: one file per command, and what they share.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stayfound_sim::exit;

mod blame;
mod check;
mod merge;
#[cfg(feature = "planted")]
mod mutants;
mod outcome;
mod progress;
mod record;
mod replay;
mod report;
mod run;
mod schema;
mod show;
mod shrink;
mod sweep;
mod trace;
mod validate;
mod which;

const EXAMPLES: &str = "\
Examples:
  stayfound-sim run --seed 7              one run: its options and schedule, then the verdict
  stayfound-sim run --seeds 0..1000       many runs; failures say how to run them again
  stayfound-sim check --seeds 0..20       each twice: the first event that differs, if any
  stayfound-sim help run                  more about a command";

/// Runs stayfound's core in a seeded world: changing addresses, loss, crashes, lost disks. One
/// seed decides everything.
#[derive(Parser)]
#[command(name = "stayfound-sim", version, after_help = help(EXAMPLES))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run once, and say whether everything held
    #[command(after_help = help(run::EXAMPLES))]
    Run(run::Arguments),
    /// Run twice, and report the first event that differs
    #[command(after_help = help(check::EXAMPLES))]
    Check(check::Arguments),
    /// Make a failure small: the same one, as a few lines of text
    #[command(after_help = help(shrink::EXAMPLES))]
    Shrink(shrink::Arguments),
    /// Run without each kind of fault, and say what a failure needs
    #[command(after_help = help(blame::EXAMPLES))]
    Blame(blame::Arguments),
    /// Print what happened
    #[command(after_help = help(trace::EXAMPLES))]
    Trace(trace::Arguments),
    /// Record a node of a run, as production would
    #[command(after_help = help(record::EXAMPLES))]
    Record(record::Arguments),
    /// Give the core what happened to a node, in production say, and see whether it does the same
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Arguments),
    /// Print a scenario as text, with everything written out
    #[command(after_help = show::EXAMPLES)]
    Show(show::Arguments),
    /// Run many seeds and keep the results, a part for each block of them
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(sweep::Arguments),
    /// Put parts together, in any order, as tables
    #[command(after_help = merge::EXAMPLES)]
    Merge(merge::Arguments),
    /// Make a page of plots, and of one run that is played back: one HTML file
    #[command(after_help = report::EXAMPLES)]
    Report(report::Arguments),
    /// Print what the tables of results hold: each column with its type, unit and meaning
    #[command(after_help = schema::EXAMPLES)]
    Schema(schema::Arguments),
    /// Print what is measured here beside what others have measured of the real world
    #[command(after_help = validate::EXAMPLES)]
    Validate(validate::Arguments),
    /// Plant mistakes in the core, and count the seeds until each is found
    #[cfg(feature = "planted")]
    #[command(after_help = mutants::EXAMPLES)]
    Mutants(mutants::Arguments),
}

pub(crate) fn main(cli: &Cli) -> ExitCode {
    let done = match &cli.command {
        Command::Run(arguments) => run::main(arguments),
        Command::Check(arguments) => check::main(arguments),
        Command::Shrink(arguments) => shrink::main(arguments),
        Command::Blame(arguments) => blame::main(arguments),
        Command::Trace(arguments) => trace::main(arguments),
        Command::Record(arguments) => record::main(arguments),
        Command::Replay(arguments) => replay::main(arguments),
        Command::Show(arguments) => show::main(arguments),
        Command::Sweep(arguments) => sweep::main(arguments),
        Command::Merge(arguments) => merge::main(arguments),
        Command::Report(arguments) => report::main(arguments),
        Command::Schema(arguments) => schema::main(arguments),
        Command::Validate(arguments) => validate::main(arguments),
        #[cfg(feature = "planted")]
        Command::Mutants(arguments) => mutants::main(arguments),
    };
    ExitCode::from(done.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.text);
        failure.code
    }))
}

/// Examples, then the exit codes.
fn help(examples: &str) -> String {
    format!("{examples}\n\n{}", exit::CODES)
}

/// A reader that has seen enough (`| head`) is no failure.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
