//! `blame`: what a failure needs.

use clap::Args;
use serde_json::{Value, json};
use stayfound_sim::blame::{Blame, Without, blame, in_words, suspects};
use stayfound_sim::exit::{self, Failure};

use super::progress::Progress;
use super::say;
use super::which::One;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim blame --seed 7               without each kind of fault: is it still there?
  stayfound-sim blame --scenario small.txt   and in one line, as in \"needs: move + one-way cut\"";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let job = arguments.one.job()?;
    let mut progress = Progress::new(suspects(&job.scenario).len() as u64, arguments.quiet);
    let blamed = blame(&job.scenario, &mut |what| progress.step(&format!("without {what}")));
    drop(progress);
    let Some(Blame { verdict, without, needs }) = blamed else {
        say("nothing to blame: everything holds");
        return Ok(exit::OK);
    };
    let needs: Vec<&str> = needs.into_iter().map(in_words).collect();
    if arguments.json {
        let without: Vec<Value> = without.iter().map(row).collect();
        let kind = verdict.kind.to_string();
        let object = json!({
            "verdict": kind, "finding": verdict.sentence, "without": without, "needs": needs,
        });
        say(&object.to_string());
        return Ok(exit::of(verdict.kind));
    }
    say(&format!("{}: {}", verdict.kind, verdict.sentence));
    for Without { what, verdict, same } in &without {
        let found = match (same, verdict) {
            (true, _) => "the same".into(),
            (false, None) => "all well".into(),
            (false, Some(other)) => format!("another: {}", other.sentence),
        };
        say(&format!("  without {what:<10} {found}"));
    }
    let needs = if needs.is_empty() { "no fault".into() } else { needs.join(" + ") };
    say(&format!("needs: {needs}"));
    Ok(exit::of(verdict.kind))
}

fn row(it: &Without) -> Value {
    let finding = it.verdict.as_ref().map(|verdict| verdict.sentence.clone());
    json!({ "what": it.what, "same": it.same, "finding": finding })
}
