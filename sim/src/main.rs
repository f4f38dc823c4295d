//! `stayfound-sim`: runs the core in a seeded world, and says how to run it again.

use std::process::ExitCode;

use clap::Parser;
use stayfound_sim::run::note_panic;

mod cli;

fn main() -> ExitCode {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !note_panic(info) {
            print(info);
        }
    }));
    cli::main(&cli::Cli::parse())
}
