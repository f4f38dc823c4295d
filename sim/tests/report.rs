//! The page of results, as far as it can be told without a browser: what it holds, what it asks for,
//! and what bad input gets. `.ci/report` opens it in one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const SCENARIO: &str = "operators 4\n0s start all\n+quiet expect health\n+9s move C to new\n";

fn simulate(directory: &Path, arguments: &[&str]) -> Output {
    let simulator = env!("CARGO_BIN_EXE_stayfound-sim");
    Command::new(simulator).args(arguments).current_dir(directory).output().unwrap()
}

fn fails(directory: &Path, arguments: &[&str], code: i32, what: &str) {
    let Output { status, stderr, .. } = simulate(directory, arguments);
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(what), "{arguments:?}: {said}");
}

#[test]
fn a_page_needs_nothing_else_and_is_the_same_each_time() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("a <b>.txt"), SCENARIO).unwrap();
    let write = || {
        let done =
            simulate(home.path(), &["report", "--scenario", "a <b>.txt", "--out", "it.html"]);
        assert!(done.status.success(), "{done:?}");
        fs::read_to_string(home.path().join("it.html")).unwrap()
    };
    let page = write();
    assert_eq!(page, write());
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    // The name of SVG is the only address, and nobody is asked for it.
    let addresses =
        page.matches("://").count() - page.matches("http://www.w3.org/2000/svg").count();
    assert_eq!(addresses, 0);
    for asks in ["src=", "@import", "url(", "fetch("] {
        assert!(!page.contains(asks), "{asks}");
    }
    assert!(!page.contains("<b>.txt") && page.contains("a &lt;b&gt;.txt"));
    assert!(page.contains("move 2 to "), "a fault of the schedule");
}

#[test]
fn a_page_of_tables_has_their_runs_and_no_playback() {
    let home = TempDir::new().unwrap();
    let done = simulate(home.path(), &["run", "--seeds", "2..4", "--quiet", "--out", "tables"]);
    assert!(done.status.success(), "{done:?}");
    let done = simulate(home.path(), &["report", "tables", "--out", "it.html"]);
    assert!(done.status.success(), "{done:?}");
    let page = fs::read_to_string(home.path().join("it.html")).unwrap();
    assert!(page.contains("<b>2 of 2</b>") && !page.contains("id=\"recording\""));
    assert!(page.contains("stayfound-sim report tables --out it.html"));
    // Results that somebody changed are not shown.
    fs::write(home.path().join("tables/nodes.csv"), "scenario,seed\n").unwrap();
    fails(home.path(), &["report", "tables", "--out", "no.html"], 65, "nodes.csv");
    fs::remove_file(home.path().join("tables/nodes.csv")).unwrap();
    fails(home.path(), &["report", "tables", "--out", "no.html"], 65, "write the tables again");
    assert!(!home.path().join("no.html").exists());
}

#[test]
fn bad_input_is_told_what_to_do() {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join("empty")).unwrap();
    let out = ["--out", "it.html"];
    let with = |first: &[&'static str]| [first, &out].concat();
    fails(home.path(), &with(&["report"]), 2, "--seed N or --scenario FILE");
    fails(home.path(), &with(&["report", "empty"]), 74, "`run --out` or `merge --out`");
    fails(home.path(), &with(&["report", "empty", "--seed", "7"]), 2, "cannot be used with");
    fails(home.path(), &["report", "--seed", "7"], 2, "--out <FILE>");
    fails(home.path(), &["report", "--seed", "7", "--out", "empty"], 2, "names a file");
    fails(home.path(), &["report", "--seed", "7", "--out", "none/it.html"], 74, "cannot write");
}
