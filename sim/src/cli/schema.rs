//! `schema`: what the tables of results hold.

use clap::Args;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::table::schema;

use super::say;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim schema          each column with its type, unit and meaning
  stayfound-sim schema --json   the same for programs";

#[derive(Args)]
pub(crate) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    say(&if arguments.json { format!("{:#}", schema::json()) } else { schema::text() });
    Ok(exit::OK)
}
