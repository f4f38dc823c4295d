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
    let places: Vec<usize> = ["seed  ", "operators  ", "s start 0\n", "verdict      ok", "trace  "]
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
fn a_sweep_says_where_it_has_been_and_fails_if_that_is_required_and_not_everywhere() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().to_str().unwrap();
    let sweep = ["sweep", "--seeds", "0..2", "--block", "2", "--quiet", "--out", out];
    let plain = sim(&sweep);
    assert_eq!(stdout(&plain), "2 seeds, 0 failed\n");
    let shown = sim(&[&sweep[..], &["--coverage"]].concat());
    assert_eq!(shown.status.code(), Some(0));
    for text in ["every-address-in-flight", "frame-split", "treason", "2 runs never came to"] {
        assert!(stdout(&shown).contains(text), "no {text:?} in\n{}", stdout(&shown));
    }
    let required = sim(&[&sweep[..], &["--require-coverage", "--json"]].concat());
    assert_eq!(required.status.code(), Some(14));
    let found: serde_json::Value = serde_json::from_str(stdout(&required)).unwrap();
    assert_eq!(found["coverage"]["runs"], 2);
    assert!(found["coverage"]["missing"].as_array().unwrap().contains(&"mark equivocation".into()));
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

/// A scenario that nobody can heal in the second that it allows for: an operator moves twice, another
/// crashes, and much happens that has nothing to do with it.
const IMPATIENT: &str = "\
names ann bob
operators 5
latency intercontinental
0s start all
60s crash 4
+1m start 4
300s move ann to cloud
+100ms up C 198.18.8.2
+0s move bob to home
+200ms expect health
+quiet expect health
";

fn in_file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("impatient.txt");
    std::fs::write(&path, text).expect("written");
    let path = path.to_str().expect("text").to_owned();
    (folder, path)
}

#[test]
fn a_failing_scenario_is_shrunk_to_the_same_failure_blamed_and_replayed() {
    let (folder, path) = in_file(IMPATIENT);
    let failed = sim(&["run", "--scenario", &path]);
    assert_eq!(failed.status.code(), Some(11), "{}", stdout(&failed));
    assert!(stdout(&failed).contains(&format!("\n  stayfound-sim run --scenario {path}\n")));
    let small = folder.path().join("small.txt");
    let small = small.to_str().expect("text");
    let shrunk = sim(&["shrink", "--scenario", &path, "--out", small, "--quiet"]);
    assert_eq!(shrunk.status.code(), Some(11), "{shrunk:?}");
    assert!(shrunk.stderr.is_empty());
    let text = std::fs::read_to_string(small).expect("written");
    let schedule: Vec<&str> =
        text.lines().filter(|line| line.starts_with(|it: char| it.is_ascii_digit())).collect();
    assert!(schedule.len() <= 4, "{text}");
    assert_eq!(sim(&["run", "--scenario", small]).status.code(), Some(11));
    let again = sim(&["shrink", "--scenario", &path, "--json", "--quiet"]);
    let again: serde_json::Value = serde_json::from_str(stdout(&again)).expect("an object");
    let scenario = again["scenario"].as_str().expect("text");
    assert!(text.ends_with(scenario), "twice the same");
    let blamed = sim(&["blame", "--scenario", small]);
    assert_eq!(blamed.status.code(), Some(11));
    assert!(stdout(&blamed).contains("needs: "), "{}", stdout(&blamed));
}

#[test]
fn what_holds_is_neither_shrunk_nor_blamed() {
    let (_folder, path) = in_file("0s start all\n+quiet expect health\n");
    for command in ["shrink", "blame", "run", "check", "trace", "show"] {
        assert_eq!(sim(&[command, "--scenario", &path]).status.code(), Some(0), "{command}");
    }
}

#[test]
fn a_scenario_is_shown_and_traced() {
    let (_folder, path) = in_file("0s start all\n60s move C to new\n+quiet expect health\n");
    let shown = sim(&["show", "--scenario", &path, "--seed", "9"]);
    assert!(stdout(&shown).starts_with("seed         9\n"), "{}", stdout(&shown));
    assert!(stdout(&shown).contains("60.000s move 2 to 198.19.0.1:3610"));
    let timeline = sim(&["trace", "--scenario", &path]);
    assert!(stdout(&timeline).contains("60.000000s  . . * . "), "{}", stdout(&timeline));
    let events = sim(&["trace", "--scenario", &path, "--format", "jsonl"]);
    let events: Vec<serde_json::Value> =
        stdout(&events).lines().map(|it| serde_json::from_str(it).expect("an object")).collect();
    assert!(events.iter().any(|it| it["kind"] == "move" && it["at_s"] == 60.0));
}

#[test]
fn a_bad_scenario_is_usage_and_a_missing_file_is_not() {
    let (_folder, path) = in_file("0s start all\n60s mvoe 2 to home\n");
    let output = sim(&["run", "--scenario", &path]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(
        error.contains("impatient.txt:2:5: expected a fault, found `mvoe`: did you mean move?")
    );
    assert_eq!(sim(&["run", "--scenario", "/nowhere/x.txt"]).status.code(), Some(74));
    let output = sim(&["shrink", "--scenario", &path.replace(".txt", "2.txt")]);
    assert_eq!(output.status.code(), Some(74));
}
