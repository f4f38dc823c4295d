//! The command line, as its users see it.

use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stayfound-sim")).args(arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

#[test]
fn a_run_says_its_options_then_its_schedule_then_its_verdict() {
    let output = sim(&["run", "--seed", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let places: Vec<usize> = ["seed  ", "operators  ", "schedule\n", "verdict      ok", "trace  "]
        .map(|text| stdout(&output).find(text).unwrap_or_else(|| panic!("no {text:?}")))
        .into();
    assert!(places.is_sorted(), "{}", stdout(&output));
    assert_eq!(sim(&["run", "--seed", "1"]).stdout, output.stdout);
}

#[test]
fn every_event_is_printed_on_request() {
    let output = sim(&["run", "--seed", "1", "--events"]);
    assert!(stdout(&output).contains("0: start 0"), "{}", stdout(&output));
}

#[test]
fn many_seeds_end_in_a_count() {
    let output = sim(&["run", "--seeds", "0..3"]);
    assert_eq!(stdout(&output), "3 seeds, 0 failed\n");
    let output = sim(&["check", "--seed", "1"]);
    assert!(stdout(&output).contains("verdict      ok, twice the same\n"), "{}", stdout(&output));
    let output = sim(&["check", "--seeds", "0..2"]);
    assert_eq!(stdout(&output), "2 seeds, 0 failed\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json_is_one_object_per_run() {
    let output = sim(&["run", "--seeds", "5..7", "--json"]);
    let runs: Vec<serde_json::Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object per line"))
        .collect();
    assert_eq!(runs.len(), 2);
    for (run, seed) in runs.iter().zip(5..) {
        assert_eq!(run["seed"], seed);
        assert_eq!(run["verdict"], "ok");
        assert_eq!(run["command"], format!("stayfound-sim run --seed {seed}"));
        assert!(run["counts"]["links_opened"].as_u64().expect("a number") > 0);
    }
}

#[test]
fn wrong_usage_is_2_and_says_what_to_do() {
    for arguments in [
        &["run"][..],
        &["run", "--seed", "x"],
        &["run", "--seeds", "5"],
        &["run", "--seeds", "5..5"],
        &["run", "--seed", "1", "--seeds", "0..2"],
        &["walk"],
    ] {
        let output = sim(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    assert!(stdout(&sim(&["run", "--help"])).contains("Examples:"));
}
