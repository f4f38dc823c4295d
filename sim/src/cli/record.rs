//! `record`: a node of a simulated run, as production would record it.

use std::path::PathBuf;

use clap::Args;
use stayfound_sim::event::HostId;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::run::record;

use super::say;
use super::which::One;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim record --seed 7 --host 2 --out DIR    DIR/1.recording, and one for each restart
  stayfound-sim replay DIR/1.recording                does the core do the same again?";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// Whose node: operators come first, from 0
    #[arg(long, value_name = "HOST", default_value_t = 0)]
    host: usize,
    /// The directory that the recordings are written to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { one, host, out } = arguments;
    let scenario = one.job()?.scenario;
    let hosts = scenario.setup.hosts.len();
    if *host >= hosts {
        return Err(Failure::usage(format!(
            "there is no host {host}: the scenario has {hosts}, counted from 0"
        )));
    }
    let (report, recordings) = record(&scenario, HostId(*host));
    std::fs::create_dir_all(out).map_err(|error| Failure::io("make", out, &error))?;
    for (start, recording) in (1..).zip(&recordings) {
        let path = out.join(format!("{start}.recording"));
        std::fs::write(&path, recording).map_err(|error| Failure::io("write", &path, &error))?;
        say(&format!("{}", path.display()));
    }
    if let Some(finding) = &report.finding {
        say(&finding.to_string());
        return Ok(exit::of(finding.kind));
    }
    Ok(exit::OK)
}
