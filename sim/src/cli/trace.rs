//! `trace`: what happened.

use clap::{Args, ValueEnum};
use serde_json::json;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::run::observe;
use stayfound_sim::table::EventRow;

use super::outcome::Outcome;
use super::say;
use super::which::{Job, One};

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim trace --seed 7                         what changed, a column for each operator
  stayfound-sim trace --scenario my.txt --format jsonl | jq 'select(.kind == \"dial\")'
                                                       every event, a JSON object a line

In a timeline: * a fault, + a link opened, - a link closed, x a dial failed, > it dials.";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// How events are written
    #[arg(long, value_enum, default_value_t = Format::Timeline)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// What changed, for people
    Timeline,
    /// Every event, one JSON object a line
    Jsonl,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Job { scenario, arguments: which, .. } = arguments.one.job()?;
    let (report, observed) = observe(&scenario, true);
    let lanes = scenario.setup.operators;
    if matches!(arguments.format, Format::Timeline) {
        let heads: Vec<String> = (0..lanes).map(|host| format!("{host:<2}")).collect();
        say(&format!("{:>14}  {}", "time", heads.concat()));
    }
    for row in &observed.events {
        match arguments.format {
            Format::Jsonl => say(&object(row)),
            Format::Timeline => timeline(row, lanes).into_iter().for_each(|line| say(&line)),
        }
    }
    let command = format!("stayfound-sim trace {which}");
    let outcome = Outcome { scenario, report, divergence: None, command };
    if outcome.code() != exit::OK {
        eprintln!("{}", outcome.failure());
    }
    Ok(outcome.code())
}

fn object(row: &EventRow) -> String {
    let EventRow { number, at_s, side, host, kind, peer, bytes, text } = row;
    let object = json!({
        "number": number, "at_s": at_s, "side": side, "host": host, "kind": kind, "peer": peer,
        "bytes": bytes, "text": text,
    });
    object.to_string()
}

/// A line with a mark in the column of its operator, if it is worth one.
fn timeline(row: &EventRow, lanes: usize) -> Option<String> {
    let mark = match (row.side.as_str(), row.kind.as_str()) {
        ("fault", _) => '*',
        ("in", "link-opened") => '+',
        ("in", "link-closed") => '-',
        ("in", "dial-failed") => 'x',
        ("out", "dial") => '>',
        ("in", "link-moved" | "manifest") => '~',
        _ => return None,
    };
    let lane = |host: usize| if host as u64 == row.host { mark } else { '.' };
    let lanes: String = (0..lanes).flat_map(|host| [lane(host), ' ']).collect();
    Some(format!("{:>13.6}s  {lanes} {}: {}", row.at_s, row.host, row.text))
}
