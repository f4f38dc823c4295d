//! The command line.

use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use stayfound_sim::oracle::Kind;
use stayfound_sim::run::{Report, check, run};
use stayfound_sim::scenario::Scenario;
use stayfound_sim::table::schema;
use stayfound_sim::trace::{Divergence, Trace};

const EXAMPLES: &str = "\
Examples:
  stayfound-sim run --seed 7              one run: its options and schedule, then the verdict
  stayfound-sim run --seed 7 --events     and every event, with what the node wanted done
  stayfound-sim run --seeds 0..1000       many runs; failures say how to run them again
  stayfound-sim check --seeds 0..20       each twice: the first event that differs, if any
  stayfound-sim run --seeds 0..50 --json  one JSON object per run

Exit codes: 0 all well, 2 usage, 10 safety, 11 liveness, 12 divergence, 13 panic (of many runs, \
that of the first that failed).";

/// Runs stayfound's core in a seeded world: changing addresses, loss, crashes, lost disks. One
/// seed decides everything.
#[derive(Parser)]
#[command(name = "stayfound-sim", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run once, and say whether everything held
    #[command(after_help = EXAMPLES)]
    Run {
        #[command(flatten)]
        which: Which,
        /// Print every event (with --seed only)
        #[arg(long, requires = "seed")]
        events: bool,
    },
    /// Print what the tables of results hold: each column with its type, unit and meaning
    #[command(after_help = EXAMPLES)]
    Schema {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run twice, and report the first event that differs
    #[command(after_help = EXAMPLES)]
    Check {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
struct Which {
    /// The seed of one run
    #[arg(long, required_unless_present = "seeds", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// The seeds of many runs, from A up to but not including B
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Option<Range<u64>>,
    /// One JSON object per run
    #[arg(long)]
    json: bool,
}

/// What came of one seed.
struct Outcome {
    scenario: Scenario,
    report: Report,
    divergence: Option<Divergence>,
    /// The command that repeats it.
    command: String,
}

pub(crate) fn main(cli: &Cli) -> ExitCode {
    let code = match &cli.command {
        Command::Run { which, events } => many(which, "run", &|scenario| {
            let trace = if *events { Trace::recording() } else { Trace::default() };
            (None, run(scenario, trace))
        }),
        Command::Check { which } => many(which, "check", &check),
        Command::Schema { json } => {
            say(&if *json { format!("{:#}", schema::json()) } else { schema::text() });
            0
        }
    };
    ExitCode::from(code)
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let parse = |text: &str| text.trim().parse::<u64>().ok();
    let range = text.split_once("..").and_then(|(from, to)| Some(parse(from)?..parse(to)?));
    let range = range.ok_or("give two numbers, as in 0..1000")?;
    if range.is_empty() {
        return Err(format!("{text} names no seed: the first must be below the second"));
    }
    Ok(range)
}

fn many(
    which: &Which,
    command: &str,
    go: &dyn Fn(&Scenario) -> (Option<Divergence>, Report),
) -> u8 {
    let seeds = which.seeds.clone().unwrap_or_else(|| {
        let seed = which.seed.expect("clap wants one of the two");
        seed..seed + 1
    });
    let single = which.seed.is_some();
    let progress = !single && std::io::stderr().is_terminal();
    let (mut code, mut failed) = (0, 0);
    for seed in seeds.clone() {
        if progress {
            eprint!("\rseed {seed} of {}..{}, {failed} failed ", seeds.start, seeds.end);
        }
        let scenario = Scenario::draw(seed);
        if single && !which.json {
            print_scenario(&scenario);
        }
        let (divergence, report) = go(&scenario);
        let command = format!("stayfound-sim {command} --seed {seed}");
        let outcome = Outcome { scenario, report, divergence, command };
        failed += u64::from(outcome.code() != 0);
        code = if code == 0 { outcome.code() } else { code };
        match (which.json, single) {
            (true, _) => say(&outcome.json().to_string()),
            (false, true) => say(&outcome.text()),
            (false, false) if outcome.code() != 0 => say(&format!("{}\n", outcome.failure())),
            (false, false) => {}
        }
    }
    if progress {
        eprintln!();
    }
    if !single && !which.json {
        say(&format!("{} seeds, {failed} failed", seeds.end - seeds.start));
    }
    code
}

/// A reader that has seen enough (`| head`) is no failure.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn print_scenario(scenario: &Scenario) {
    let mut text = format!("{:<12} {}", "seed", scenario.seed);
    for (name, value) in scenario.options.lines() {
        text.push_str(&format!("\n{name:<12} {value}"));
    }
    text.push_str("\nschedule");
    for line in &scenario.schedule {
        text.push_str(&format!("\n  {line}"));
    }
    say(&text);
}

impl Outcome {
    fn code(&self) -> u8 {
        match (&self.divergence, self.report.finding.as_ref().map(|finding| finding.kind)) {
            (Some(_), _) => 12,
            (None, None) => 0,
            (None, Some(Kind::Safety)) => 10,
            (None, Some(Kind::Liveness)) => 11,
            (None, Some(Kind::Panic)) => 13,
        }
    }

    fn verdict(&self) -> String {
        match (&self.divergence, &self.report.finding) {
            (Some(divergence), _) => format!("divergence: {divergence}"),
            (None, Some(finding)) => finding.to_string(),
            (None, None) => "ok".into(),
        }
    }

    fn failure(&self) -> String {
        format!("{}\n  {}", self.verdict(), self.command)
    }

    fn text(&self) -> String {
        let Report { trace, until, .. } = &self.report;
        let mut text = String::new();
        if self.divergence.is_none() && self.command.contains(" run ") {
            for entry in trace.entries() {
                text.push_str(&format!("{entry}\n"));
            }
        }
        let twice = self.command.contains(" check ").then_some(", twice the same");
        let verdict = match self.code() {
            0 => self.verdict() + twice.unwrap_or_default(),
            _ => self.failure(),
        };
        text.push_str(&format!("{:<12} {verdict}\n", "verdict"));
        text.push_str(&format!("{:<12} {} in {until}\n", "events", trace.events()));
        text.push_str(&format!("{:<12} {:016x}", "trace", trace.hash()));
        text
    }

    fn json(&self) -> Value {
        let options = self.scenario.options.lines().into_iter();
        let options: serde_json::Map<String, Value> =
            options.map(|(name, value)| (name.into(), value.into())).collect();
        let schedule: Vec<String> =
            self.scenario.schedule.iter().map(ToString::to_string).collect();
        let kind = self.report.finding.as_ref().map(|finding| finding.kind.to_string());
        let verdict = match &self.divergence {
            Some(_) => "divergence".into(),
            None => kind.unwrap_or("ok".into()),
        };
        let counts = self.report.counts.iter();
        let counts: serde_json::Map<String, Value> =
            counts.map(|(counter, times)| (counter.name().into(), (*times).into())).collect();
        json!({
            "seed": self.scenario.seed,
            "options": options,
            "schedule": schedule,
            "verdict": verdict,
            "finding": (self.code() != 0).then(|| self.verdict()),
            "command": self.command,
            "events": self.report.trace.events(),
            "virtual_seconds": self.report.until.0 as f64 / 1e9,
            "counts": counts,
            "trace": format!("{:016x}", self.report.trace.hash()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stayfound_sim::moment::Moment;
    use stayfound_sim::oracle::Finding;

    fn outcome(kind: Option<Kind>, divergence: Option<Divergence>) -> Outcome {
        let finding = kind.map(|kind| {
            let sentence = "operator 0 and operator 1 are not linked".into();
            Finding { at: Moment(5_000_000_000), kind, sentence }
        });
        let (trace, until, counts) = (Trace::default(), Moment::default(), Default::default());
        Outcome {
            scenario: Scenario::draw(7),
            report: Report { finding, trace, until, counts },
            divergence,
            command: "stayfound-sim run --seed 7".into(),
        }
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let divergence = Divergence { event: 3, first: None, second: None };
        assert_eq!(outcome(None, None).code(), 0);
        assert_eq!(outcome(Some(Kind::Safety), None).code(), 10);
        assert_eq!(outcome(Some(Kind::Liveness), None).code(), 11);
        assert_eq!(outcome(None, Some(divergence)).code(), 12);
        assert_eq!(outcome(Some(Kind::Panic), None).code(), 13);
    }

    #[test]
    fn a_failure_is_the_command_that_repeats_it() {
        let failed = outcome(Some(Kind::Liveness), None);
        let expected = "liveness at 5.000s: operator 0 and operator 1 are not linked\n  \
                        stayfound-sim run --seed 7";
        assert_eq!(failed.failure(), expected);
        assert!(failed.text().contains(expected));
        assert_eq!(failed.json()["verdict"], "liveness");
        assert_eq!(outcome(None, None).json()["finding"], Value::Null);
    }

    #[test]
    fn seeds_are_a_range() {
        assert_eq!(parse_seeds("3..7"), Ok(3..7));
        for wrong in ["3", "7..3", "3..3", "a..b", "3..=7", "-1..2", "1..", ""] {
            parse_seeds(wrong).expect_err(wrong);
        }
    }
}
