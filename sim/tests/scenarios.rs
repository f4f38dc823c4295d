//! The scenarios that are kept as text, each named after its situation; those of the documentation;
//! and that the documentation names everything that a text can say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stayfound_sim::run::run;
use stayfound_sim::scenario::Scenario;
use stayfound_sim::scenario::text::{FAULTS, KEYS, NETWORKS, OTHER_KEYS, PRESETS};
use stayfound_sim::trace::Trace;

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn scenarios() -> Vec<PathBuf> {
    let folder = fs::read_dir(top().join("tests/scenarios")).expect("the folder is there");
    let files = folder.map(|entry| entry.expect("it can be listed").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
    files.sort();
    assert!(files.len() > 20, "scenarios are kept there");
    files
}

fn parse(path: &Path) -> Scenario {
    let text = fs::read_to_string(path).expect("it can be read");
    let mut include = |path: &str| fs::read_to_string(path).map_err(|it| it.to_string());
    Scenario::parse(&path.to_string_lossy(), &text, &mut include)
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_scenario_that_is_kept_holds() {
    let mut failures = Vec::new();
    for path in scenarios() {
        let scenario = parse(&path);
        let last = scenario.schedule.last().expect("something happens");
        assert_eq!(last.fault, None, "{} expects nothing", path.display());
        if let Some(finding) = run(&scenario, Trace::default()).finding {
            let name = path.file_name().expect("it has a name").to_string_lossy();
            let command = format!("stayfound-sim run --scenario tests/scenarios/{name}");
            failures.push(format!("{finding}\n  {command}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_scenario_that_is_kept_says_what_it_shows() {
    for path in scenarios() {
        let text = fs::read_to_string(&path).expect("it can be read");
        let says = text.lines().next().is_some_and(|line| line.starts_with("# "));
        assert!(says, "{} begins with no comment", path.display());
    }
}

fn documentation() -> String {
    fs::read_to_string(top().join("docs/scenarios.md")).expect("it can be read")
}

/// What is between ```` ```scenario ```` and ```` ``` ````.
fn examples() -> Vec<String> {
    let text = documentation();
    let parts = text.split("```scenario\n").skip(1);
    parts.map(|part| part.split("```").next().expect("the first of some").to_owned()).collect()
}

#[test]
fn the_documentations_examples_hold() {
    let examples = examples();
    assert!(examples.len() > 5);
    for example in examples {
        let mut include = |path: &str| match path {
            "docs/homes.txt" => Ok("preset homes\noperators 7\n".into()),
            _ => Err("there is no such file".into()),
        };
        let scenario = Scenario::parse("docs/example.txt", &example, &mut include);
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        let finding = run(&scenario, Trace::default()).finding;
        assert_eq!(finding, None, "of the example\n{example}");
    }
}

#[test]
fn the_documentation_names_everything_and_has_an_example_of_every_fault() {
    let text = documentation();
    let keys = KEYS.iter().chain(FAULTS).map(|form| form.word);
    let names = PRESETS.iter().map(|it| it.0).chain(NETWORKS.iter().map(|it| it.0));
    for word in keys.chain(names).chain(OTHER_KEYS) {
        assert!(text.contains(&format!("`{word}")), "docs/scenarios.md does not explain {word}");
    }
    let mut shown = BTreeSet::new();
    for example in examples() {
        let words = example.lines().filter_map(|line| line.split_whitespace().nth(1));
        shown.extend(words.map(str::to_owned));
    }
    for form in FAULTS {
        assert!(shown.contains(form.word), "docs/scenarios.md has no example of {}", form.word);
    }
}
