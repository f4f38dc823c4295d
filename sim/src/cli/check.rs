//! `check`: twice, to see whether it repeats.

use clap::Args;
use stayfound_sim::exit::Failure;
use stayfound_sim::run::check;

use super::run::each;
use super::which::Which;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim check --seed 7        one run, twice: the first event that differs, if any
  stayfound-sim check --scenario my.txt
  stayfound-sim check --seeds 0..20   each of many runs twice";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    each(&arguments.which, "check", &mut |job| Ok(check(&job.scenario)))
}
