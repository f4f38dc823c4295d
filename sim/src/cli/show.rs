//! `show`: a scenario as text, with everything written out.

use clap::Args;
use stayfound_sim::exit::{self, Failure};

use super::say;
use super::which::One;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim show --seed 7 > seven.txt    what a seed stands for, to be changed and run
  stayfound-sim show --scenario my.txt       a file with its defaults, includes and networks written out";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    say(arguments.one.job()?.scenario.to_string().trim_end());
    Ok(exit::OK)
}
