//! `merge`: parts together, as tables.

use std::path::PathBuf;

use clap::Args;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::results::Format;
use stayfound_sim::results::merge::{MergeError, merge};

use super::say;

pub(super) const EXAMPLES: &str = "\
Examples:
  stayfound-sim merge parts --out results            every part in a directory
  stayfound-sim merge a.part b.part --out results    these
  stayfound-sim merge results more --out all         results and more parts

In any order, in any steps and however often a part is named: the same files, byte for byte. \
A part that is damaged is named and left out.

Exit codes: 0 all well, 65 parts left out or parts that do not belong together, 74 files that \
cannot be read or written.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Parts, directories of parts, and directories of results
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
    /// The directory of the tables and of their manifest
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    form: Form,
}

/// How tables are written.
#[derive(Args)]
pub(crate) struct Form {
    /// How tables are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Form {
    pub(super) fn format(&self) -> Format {
        self.format
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { parts, out, form } = arguments;
    let merged = merge(parts, out, form.format()).map_err(|error| {
        if let MergeError::Nothing(damaged) = &error {
            damaged.iter().for_each(left_out);
        }
        let code = if matches!(error, MergeError::Io(..)) { exit::IO } else { exit::DATA };
        Failure { code, text: error.to_string() }
    })?;
    merged.damaged.iter().for_each(left_out);
    for (name, runs) in merged.manifest.scenarios() {
        let seeds: Vec<String> =
            runs.seeds.iter().map(|[from, to]| format!("{from}..{to}")).collect();
        let (seeds, count, failed) = (seeds.join(", "), runs.runs, runs.failed);
        say(&format!("{name}: {count} runs, seeds {seeds}; {failed} failed"));
    }
    Ok(if merged.damaged.is_empty() { exit::OK } else { exit::DATA })
}

fn left_out((path, damage): &(PathBuf, impl std::fmt::Display)) {
    eprintln!("{}: {damage}; left out", path.display());
}
