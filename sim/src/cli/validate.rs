//! `validate`: measured beside published.

use clap::Args;
use serde_json::{Value, json};
use stayfound_core::chance::Chance;
use stayfound_sim::exit::{self, Failure};
use stayfound_sim::validate::{Figure, PARTS, Scale};

use super::progress::Progress;
use super::say;

pub(crate) const EXAMPLES: &str = "\
Examples:
  stayfound-sim validate          a table; docs/validation.md says what differs, and why
  stayfound-sim validate --json   an object per figure, for programs

A figure that differs is no failure: the exit code is 0.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// What chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As JSON, one object per figure
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8, Failure> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&arguments.seed.to_le_bytes());
    let chance = Chance::new(seed);
    let mut progress = Progress::new(PARTS.len() as u64, arguments.quiet);
    let mut figures = Vec::new();
    for (name, part) in PARTS {
        figures.extend(part(&Scale::FULL, &chance));
        progress.step(name);
    }
    drop(progress);
    if arguments.json {
        figures.iter().for_each(|figure| say(&json(figure).to_string()));
    } else {
        say(&table(&figures));
    }
    Ok(exit::OK)
}

fn json(figure: &Figure) -> Value {
    json!({
        "part": figure.part,
        "name": figure.name,
        "unit": figure.unit,
        "published": figure.published,
        "tolerance": figure.tolerance,
        "measured": figure.measured,
        "agrees": figure.agrees(),
        "source": figure.source,
    })
}

fn table(figures: &[Figure]) -> String {
    let head = format!("{:<46} {:>9} {:>9} {:>6}  {}", "", "measured", "published", "±", "unit");
    let mut lines = vec![head];
    let mut part = "";
    for figure in figures {
        if figure.part != part {
            part = figure.part;
            lines.push(format!("{part} ({})", figure.source));
        }
        let Figure { name, unit, published, tolerance, measured, .. } = figure;
        let differs = if figure.agrees() { "" } else { "  differs" };
        lines.push(format!(
            "  {name:<44} {measured:>9.3} {published:>9.3} {tolerance:>6.2}  {unit}{differs}"
        ));
    }
    let agree = figures.iter().filter(|figure| figure.agrees()).count();
    lines.push(format!("{agree} of {} figures agree", figures.len()));
    lines.join("\n")
}
