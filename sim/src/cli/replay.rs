//! `replay`: what happened to a node happens to the core once more.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use stayfound_core::recording::Start;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::replay::{Place, Replayed, Stopped, replay, start_of};

use super::progress::Progress;
use super::say;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound run ... --record node.recording      a node in production, recorded (see docs/replay.md)
  stayfound-sim replay node.recording            does the core do the same again?
  stayfound-sim replay node.recording --json     the same as one JSON object
  stayfound-sim record --seed 7 --host 2 --out DIR    a node of a simulated run, recorded

Exit codes: 0 the same, 12 something else after some input, 13 the node panicked, 2 usage or no \
recording, 65 a damaged recording, 74 it cannot be read.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// In how many parts progress is shown.
const PARTS: usize = 100;
/// What takes less than a second is not worth it.
const LONG_BYTES: usize = 1 << 20;

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let Arguments { file, json, quiet } = arguments;
    let recording = std::fs::read(file).map_err(|error| Failure::io("read", file, &error))?;
    let start = start_of(&recording).map_err(|why| refused(file, &why))?;
    if !json {
        introduce(&start);
    }
    let is_short = recording.len() < LONG_BYTES;
    let mut progress = Progress::new(PARTS as u64, *quiet || is_short);
    let mut parts = 0;
    let replayed = replay(&recording, &mut |read| {
        // In 128 bits, that no recording is too long on a machine of 32.
        let done = (read as u128 * PARTS as u128 / recording.len() as u128) as usize;
        (parts..done).for_each(|_| progress.step("parts of the recording"));
        parts = parts.max(done);
    });
    drop(progress);
    let code = match &replayed {
        Ok(_) => exit::OK,
        Err(Stopped::Differs(_)) => exit::DIVERGENCE,
        Err(Stopped::Panicked { .. }) => exit::PANIC,
        Err(why) => return Err(refused(file, why)),
    };
    say(&if *json { as_json(&start, &replayed).to_string() } else { as_text(&replayed) });
    Ok(code)
}

fn refused(file: &Path, why: &Stopped) -> Failure {
    let code = match why {
        Stopped::Unreadable(_) => exit::USAGE,
        _ => exit::DATA,
    };
    Failure { code, text: format!("{}: {why}", file.display()) }
}

fn introduce(start: &Start) {
    let manifest = start.manifest();
    let (made_by, key, count) = (&start.made_by, start.public_key(), manifest.operators().len());
    // What stands in a file may hold anything, and a terminal obeys some of it.
    say(&format!("{:<12} {}", "made by", made_by.escape_debug()));
    let operator = manifest.by_key(key.as_bytes()).map(|it| it.index.to_string());
    let operator = operator.unwrap_or("none".into());
    let name = manifest.name().escape_debug();
    say(&format!("{:<12} operator {operator} of {count} of \"{name}\", key {key}", "node"));
}

fn as_text(replayed: &Result<Replayed, Stopped>) -> String {
    match replayed {
        Ok(Replayed { inputs, until, digest, ending }) => format!(
            "{:<12} {inputs} until {until}\n{:<12} {ending}\n{:<12} {digest:016x}\n{:<12} the same",
            "inputs", "ends", "digest", "verdict"
        ),
        Err(why) => format!("{:<12} {why}", "verdict"),
    }
}

fn as_json(start: &Start, replayed: &Result<Replayed, Stopped>) -> serde_json::Value {
    let place =
        |Place { number, at, text }: &Place| json!({ "number": number, "at": at.0, "text": text });
    let (verdict, more) = match replayed {
        Ok(Replayed { inputs, until, digest, ending }) => (
            "same",
            json!({
                "inputs": inputs,
                "until": until.0,
                "digest": format!("{digest:016x}"),
                "ends": ending.to_string(),
            }),
        ),
        Err(Stopped::Differs(it)) => (
            "divergence",
            json!({ "input": place(&it.input), "what": it.what, "outputs": it.outputs }),
        ),
        Err(Stopped::Panicked { input, why }) => {
            ("panic", json!({ "input": place(input), "what": why }))
        }
        Err(_) => unreachable!("a recording that is none has no verdict"),
    };
    let (made_by, key) = (&start.made_by, start.public_key().to_string());
    json!({ "made_by": made_by, "key": key, "verdict": verdict, "replay": more })
}
