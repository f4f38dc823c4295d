//! A ceremony from end to end: keys, authorisations, a manifest, and what bad input gets.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stayfound::core::cluster::authorisation::ClusterId;
use stayfound::core::cluster::lock::{Lock, Papers};
use stayfound::core::cluster::manifest::Document;
#[cfg(target_os = "linux")]
use stayfound::core::cluster::shares::VALIDATORS_MAX;
use stayfound::core::cluster::version::Version;

use super::process::{Process, assert_says, end_of, snapshot, stayfound, wait_for};

/// Four operators, two validators, everything in a directory of its own.
struct Made(tempfile::TempDir);

impl Made {
    fn new(seed: &str) -> Self {
        let made = Self(tempfile::tempdir().expect("a directory"));
        let out = made.path("");
        let ended = end_of(&[
            "ceremony",
            "--validators",
            "2",
            "--out",
            &out,
            "--insecure-test-keys",
            "--seed",
            seed,
        ]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_says(&ended.out, &["operators 4, threshold 3, validators 2", "test keys"]);
        made
    }

    fn path(&self, of: &str) -> String {
        self.0.path().join("cluster").join(of).to_str().expect("text").to_owned()
    }

    fn data(&self, of: &str) -> PathBuf {
        self.0.path().join("data").join(of)
    }

    /// `stayfound authorise` with the keystores of one operator and a key.
    fn authorise(&self, keystores: &str, key: &str, out: &str) -> (Option<i32>, String, String) {
        let ended = end_of(&[
            "authorise",
            "--lock",
            &self.path("cluster-lock.json"),
            "--key",
            &self.path(key),
            "--keystores",
            &self.path(keystores),
            "--out",
            &self.path(out),
        ]);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        (ended.code, ended.out, ended.err)
    }

    /// What it says when it refuses, with nothing made or changed.
    fn refused(&self, keystores: &str, key: &str) -> String {
        let before = snapshot(self.0.path());
        let (code, out, err) = self.authorise(keystores, key, "refused.json");
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        assert!(snapshot(self.0.path()) == before, "files changed by a refusal: {err}");
        err
    }

    fn build(&self, authorisations: &[&str], out: &str) -> (Option<i32>, String, String) {
        let (lock, out) = (self.path("cluster-lock.json"), self.path(out));
        let paths: Vec<_> = authorisations.iter().map(|path| self.path(path)).collect();
        let mut arguments = vec!["manifest", "build", "--lock", &lock, "--out", &out];
        arguments.extend(paths.iter().map(String::as_str));
        let ended = end_of(&arguments);
        (ended.code, ended.out, ended.err)
    }

    /// Operator 0, from this lock or manifest.
    fn run(&self, option: &str, file: &str, key: &str, more: &[&str]) -> Process {
        let (file, key) = (self.path(file), self.path(key));
        let mut command = stayfound(&["run", "--listen", "127.0.0.1:0", option, &file]);
        command.args(["--key", &key]).arg("--data-dir").arg(self.data("")).args(more);
        Process::start(command)
    }
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&fs::read(path).expect("reads")).expect("is JSON")
}

fn look(what: &str, path: &str) -> (Option<i32>, Value) {
    let ended = end_of(&["manifest", what, "--json", path]);
    (ended.code, serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}", ended.err)))
}

const AUTHORISATIONS: [&str; 4] = [
    "authorisation-0.json",
    "authorisation-1.json",
    "authorisation-2.json",
    "authorisation-3.json",
];

#[test]
fn a_ceremony_ends_in_a_manifest_that_everybody_authorised() {
    let made = Made::new("whole");
    for (operator, file) in AUTHORISATIONS.into_iter().enumerate() {
        let (keystores, key) = (
            format!("node{operator}/validator_keys"),
            format!("node{operator}/charon-enr-private-key"),
        );
        let (code, out, err) = made.authorise(&keystores, &key, file);
        assert_eq!(code, Some(0), "{err}");
        assert_says(&out, &["2 key shares", &format!("operator {operator}")]);
        let one = fs::read(made.path(file)).expect("reads");
        let other = fs::read(made.path(&format!("node{operator}/{}", file)));
        assert!(one == other.expect("reads"), "signing is deterministic");
    }
    let (code, out, err) = made.build(&AUTHORISATIONS, "built.json");
    assert_eq!(code, Some(0), "{err}");
    assert_says(&out, &["4 of 4 operators"]);
    let built = fs::read(made.path("built.json")).expect("reads");
    assert!(built == fs::read(made.path("cluster-manifest.json")).expect("reads"));
    for file in ["cluster-lock.json", "built.json"] {
        let (code, value) = look("verify", &made.path(file));
        assert_eq!((code, &value["passed"]), (Some(0), &true.into()), "{value}");
    }
    let (_, shown) = look("show", &made.path("built.json"));
    let operators = shown["content"]["operators"].as_array().expect("a list").clone();
    assert_eq!(operators.len(), 4);
    assert!(operators.iter().all(|operator| operator["authority"] == "shares"), "{shown}");
    let (_, shown) = look("show", &made.path("cluster-lock.json"));
    assert_eq!(shown["content"]["operators"][3]["authority"], "lock");
    assert_eq!(shown["content"]["validators"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_seed_makes_the_same_cluster_and_needs_a_word_of_consent() {
    let [one, same, other] = ["one", "one", "other"].map(Made::new);
    let files = |made: &Made| {
        let all = snapshot(made.0.path()).into_iter();
        let relative = |path: PathBuf| path.strip_prefix(made.0.path()).expect("below").to_owned();
        all.map(|(path, content)| (relative(path), content)).collect::<Vec<_>>()
    };
    assert!(files(&one) == files(&same));
    assert_ne!(files(&one), files(&other));
    let ended = end_of(&["ceremony", "--out", &one.path("new"), "--seed", "one"]);
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["--insecure-test-keys"]);
    let before = snapshot(one.0.path());
    let ended = end_of(&["ceremony", "--out", &one.path(""), "--insecure-test-keys"]);
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["is not empty", "nothing is ever overwritten"]);
    assert!(snapshot(one.0.path()) == before);
    for (option, value) in [
        ("--operators", "0"),
        ("--operators", "257"),
        ("--threshold", "0"),
        ("--threshold", "1"),
        ("--threshold", "5"),
        ("--validators", "0"),
        ("--validators", "65537"),
    ] {
        let out = one.path("new");
        let ended = end_of(&["ceremony", "--out", &out, "--insecure-test-keys", option, value]);
        assert_eq!(ended.code, Some(2), "{option} {value}: {}", ended.err);
        assert!(!Path::new(&out).exists());
    }
}

#[test]
fn keystores_that_do_not_fit_are_named() {
    let made = Made::new("keystores");
    let (keystores, key) = ("node1/validator_keys", "node1/charon-enr-private-key");
    let at = |file: &str| made.path(&format!("{keystores}/keystore-insecure-{file}"));
    // Another operator's key; another operator's share among ours.
    assert_says(
        &made.refused(keystores, "node2/charon-enr-private-key"),
        &["the key is that of operator 2", "the shares are those of operator 1"],
    );
    let ours = [at("1.json"), at("1.txt")].map(|path| (fs::read(&path).expect("reads"), path));
    let put = |from: &str| {
        for (extension, (_, path)) in ["json", "txt"].iter().zip(&ours) {
            fs::copy(made.path(&format!("{from}.{extension}")), path).expect("copies");
        }
    };
    put("node2/validator_keys/keystore-insecure-1");
    assert_says(&made.refused(keystores, key), &[&at("1.json"), "operator 2", "operator 1"]);
    put("node1/validator_keys/keystore-insecure-0");
    assert_says(&made.refused(keystores, key), &["validator 0 once more", "give each once"]);
    let other = Made::new("another cluster");
    for (extension, (_, path)) in ["json", "txt"].iter().zip(&ours) {
        let from = format!("node1/validator_keys/keystore-insecure-1.{extension}");
        fs::copy(other.path(&from), path).expect("copies");
    }
    assert_says(&made.refused(keystores, key), &[&at("1.json"), "no share in the lock"]);
    // A wrong password; none at all, and nobody to ask; a share that is not there.
    for (content, path) in &ours {
        fs::write(path, content).expect("writes");
    }
    fs::write(&ours[1].1, "wrong").expect("writes");
    assert_says(&made.refused(keystores, key), &[&at("1.json"), "password"]);
    fs::remove_file(&ours[1].1).expect("removes");
    assert_says(&made.refused(keystores, key), &["password"]);
    fs::remove_file(&ours[0].1).expect("removes");
    assert_says(
        &made.refused(keystores, key),
        &["the shares of 1 of 2 validators are missing", "validator 1", "operator 1"],
    );
    assert_says(&made.refused("node1", key), &["node1", "keystore"]);
    // Nothing is overwritten.
    for (content, path) in &ours {
        fs::write(path, content).expect("writes");
    }
    fs::write(made.path("there.json"), "something").expect("writes");
    let (code, _, err) = made.authorise(keystores, key, "there.json");
    assert_eq!(code, Some(1));
    assert_says(&err, &["there.json", "nothing is overwritten"]);
    assert_eq!(fs::read_to_string(made.path("there.json")).expect("reads"), "something");
    // That is found before the keystores are opened, which may take minutes.
    fs::write(&ours[1].1, "wrong").expect("writes");
    let (code, _, err) = made.authorise(keystores, key, "there.json");
    assert_eq!(code, Some(1));
    assert_says(&err, &["there.json", "nothing is overwritten"]);
}

#[test]
fn authorisations_that_do_not_fit_are_refused() {
    let [made, other] = ["ours", "theirs"].map(Made::new);
    let theirs = other.path("node1/authorisation-1.json");
    fs::copy(theirs, made.path("theirs.json")).expect("copies");
    let (code, _, err) = made.build(&["theirs.json"], "built.json");
    assert_eq!(code, Some(2));
    assert_says(&err, &["theirs.json", "operator 1 is for another cluster"]);
    let (code, _, err) =
        made.build(&["node1/authorisation-1.json", "node1/authorisation-1.json"], "built.json");
    assert_eq!(code, Some(2));
    assert_says(&err, &["operator 1 has an authorisation already"]);
    // Somebody else's signature under our name.
    let mut forged = json(&made.path("node1/authorisation-1.json"));
    forged["authorisation"] =
        json(&made.path("node2/authorisation-2.json"))["authorisation"].clone();
    let sound = fs::read_to_string(made.path("node1/authorisation-1.json")).expect("reads");
    let [from, to] = [&json(&made.path("node1/authorisation-1.json")), &forged]
        .map(|file| file["authorisation"]["combined"].as_str().expect("hex").to_owned());
    fs::write(made.path("forged.json"), sound.replace(&from, &to)).expect("writes");
    let (code, _, err) = made.build(&["forged.json"], "built.json");
    assert_eq!(code, Some(2), "{err}");
    assert_says(&err, &["authorisation of operator 1", "does not verify"]);
    assert!(!Path::new(&made.path("built.json")).exists());
    // Some are missing: that is no fault, unless it is demanded.
    let (code, out, _) = made.build(&["node1/authorisation-1.json"], "some.json");
    assert_eq!(code, Some(0));
    assert_says(&out, &["1 of 4 operators"]);
    let key = "node0/charon-enr-private-key";
    let ended = made.run("--manifest", "some.json", key, &["--require-authorisation"]).end();
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["required authorisation", "operator 0", "operator 2", "operator 3"]);
    assert_says(&ended.err, &["stayfound authorise"]);
    let ended = made.run("--lock", "cluster-lock.json", key, &["--require-authorisation"]).end();
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["required authorisation", "stayfound authorise"]);
}

/// As `| head` is.
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let made = Made::new("head");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = stayfound(&["manifest", "show", &made.path("cluster-manifest.json")]);
    let ended = command.stdout(writer).output().expect("the binary starts");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[cfg(unix)]
#[test]
fn a_lost_key_is_replaced_by_the_shares() {
    let made = Made::new("lost");
    let key = made.path("new.key");
    assert_eq!(end_of(&["enr", "new", "--key", &key]).code, Some(0));
    let (code, out, err) = made.authorise("node0/validator_keys", "new.key", "new-0.json");
    assert_eq!(code, Some(0), "{err}");
    assert_says(
        &out,
        &["it is not the key that operator 0 has in the lock", "takes that one's place"],
    );
    let others = AUTHORISATIONS[1..].iter().zip(1..).map(|(file, at)| format!("node{at}/{file}"));
    let others: Vec<String> = others.collect();
    let all: Vec<&str> =
        std::iter::once("new-0.json").chain(others.iter().map(String::as_str)).collect();
    assert_eq!(made.build(&all, "new.json").0, Some(0));
    // The new key runs from it; the old one is nobody's any more.
    let node = made.run("--manifest", "new.json", "new.key", &["--require-authorisation"]);
    wait_for(&node.err, "every operator's ENR key is authorised by its key shares");
    assert_says(&wait_for(&node.err, "we are"), &["operator 0 ("]);
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
    let old = made.run("--manifest", "new.json", "node0/charon-enr-private-key", &[]).end();
    assert_eq!(old.code, Some(5), "{}", old.err);
}

#[cfg(unix)]
#[test]
fn what_does_not_hold_is_not_run_unless_somebody_insists() {
    let made = Made::new("refused");
    let key = "node0/charon-enr-private-key";
    let sound = fs::read_to_string(made.path("cluster-lock.json")).expect("reads");
    let threshold = sound.replace("\"threshold\": 3", "\"threshold\": 2");
    let threshold = threshold.replace("\"threshold\":3", "\"threshold\":2");
    assert_ne!(threshold, sound);
    fs::write(made.path("altered.json"), threshold).expect("writes");
    let ended = made.run("--lock", "altered.json", key, &[]).end();
    assert_eq!(ended.code, Some(2));
    assert_says(
        &ended.err,
        &["config hash: failed: expected", "share polynomials: failed: validator 0"],
    );
    assert!(!made.data("").exists());
    let node = made.run("--lock", "altered.json", key, &["--no-verify", "--json"]);
    wait_for(&node.err, "NOT VERIFIED");
    let started: Value =
        serde_json::from_str(&wait_for(&node.out, "\"event\":\"started\"")).expect("JSON");
    assert_eq!(started["cluster"]["verified"], false);
    assert_eq!(started["status"]["verified"], false);
    assert_eq!(started["status"]["gauges"]["manifest_unverified"], 1);
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
    assert!(!made.data("verdict.json").exists(), "nothing was verified");
}

#[cfg(unix)]
#[test]
fn a_verdict_is_remembered_of_these_very_bytes() {
    let made = Made::new("remembered");
    let (key, verdict) = ("node0/charon-enr-private-key", made.data("verdict.json"));
    let run = |made: &Made| {
        let node = made.run("--manifest", "cluster-manifest.json", key, &["--json"]);
        let started = wait_for(&node.out, "\"event\":\"started\"");
        node.signal("TERM");
        assert_eq!(node.end().code, Some(0));
        serde_json::from_str::<Value>(&started).expect("JSON")
    };
    let first = run(&made);
    let remembered = fs::read(&verdict).expect("it is remembered");
    let second = run(&made);
    assert!(fs::read(&verdict).expect("reads") == remembered);
    for started in [&first, &second] {
        assert_eq!(started["status"]["verified"], true);
        assert_eq!(started["status"]["operators"][3]["authority"], "shares");
        assert_eq!(started["status"]["gauges"]["operators_authorised_by_shares"], 4);
    }
    // What was remembered of other bytes, or is damaged, counts for nothing.
    let whole = String::from_utf8(remembered.clone()).expect("text");
    let nobody = whole.replace(r#"["shares","shares","shares","shares"]"#, "[]");
    let failed = whole.replacen(r#""outcome":"passed""#, r#""outcome":"failed","why":"?""#, 1);
    assert!(nobody != whole && failed != whole);
    for damaged in ["{}", &nobody, &failed] {
        fs::write(&verdict, damaged).expect("writes");
        assert_eq!(run(&made)["status"]["verified"], true);
        assert!(fs::read(&verdict).expect("reads") == remembered);
    }
    let other = Made::new("somebody else");
    fs::copy(other.path("cluster-manifest.json"), made.path("cluster-manifest.json"))
        .expect("copies");
    let ended = made.run("--manifest", "cluster-manifest.json", key, &[]).end();
    assert_eq!(ended.code, Some(5), "{}", ended.err);
}

/// The largest cluster there is takes long to look at.
#[cfg(target_os = "linux")]
#[test]
fn a_node_stops_when_asked_while_it_verifies() {
    let made = Made::new("stopped");
    let sound = fs::read(made.path("cluster-manifest.json")).expect("reads");
    let mut document = Document::read(&sound).expect("a manifest");
    document.validators = vec![document.validators[0].clone(); VALIDATORS_MAX];
    fs::write(made.path("large.json"), document.to_json()).expect("writes");
    let node = made.run("--manifest", "large.json", "node0/charon-enr-private-key", &[]);
    node.wait_until_it_catches_term();
    node.signal("TERM");
    // It would be refused (2): a validator must not be there twice.
    let ended = node.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

/// Clusters without a lock have no uuid by which they could be told apart.
#[cfg(unix)]
#[test]
fn a_running_node_says_what_it_takes_and_takes_nothing_of_another_cluster() {
    let made = Made::new("own id");
    let sound = fs::read(made.path("cluster-manifest.json")).expect("reads");
    let mut document = Document::read(&sound).expect("a manifest");
    document.operators.iter_mut().for_each(|operator| operator.authorisation = None);
    // Nobody's authority goes unnoticed.
    let stripped = document.to_json();
    let (file, key) = ("cluster-manifest.json", "node0/charon-enr-private-key");
    let node = made.run("--manifest", file, key, &[]);
    wait_for(&node.err, "every operator's ENR key is authorised by its key shares");
    wait_for(&node.err, "listening at");
    fs::write(made.path(file), stripped).expect("writes");
    node.signal("HUP");
    let said = wait_for(&node.err, "the manifest in force stays");
    assert_says(&said, &["operator 0 was authorised by its key shares", "in this file it is not"]);
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
    let node = made.run("--manifest", file, key, &[]);
    wait_for(
        &node.err,
        "every operator's ENR key stands on the word of whoever built the manifest",
    );
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
    let mut put = |id: u8| {
        document.cluster = ClusterId::Own([id; 32]);
        fs::write(made.path("own.json"), document.to_json()).expect("writes");
    };
    put(1);
    let node = made.run("--manifest", "own.json", "node0/charon-enr-private-key", &["--json"]);
    wait_for(&node.out, "\"event\":\"started\"");
    put(2);
    node.signal("HUP");
    let told = wait_for(&node.out, "\"event\":");
    assert_says(&told, &["\"event\":\"refused\"", "another cluster"]);
    put(1);
    node.signal("HUP");
    wait_for(&node.out, "\"event\":\"manifest\"");
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
}

/// charon reads locks of its first versions without a signature: anybody could have written them.
#[test]
fn a_lock_that_nobody_signed_is_run_for_who_insists() {
    let made = Made::new("unsigned");
    let sound = fs::read(made.path("cluster-lock.json")).expect("reads");
    let mut lock = Lock::read(&sound).expect("a lock");
    let definition = &mut lock.definition;
    definition.version = Version::V1_1;
    definition.addresses.truncate(1);
    definition.target_gas_limit = 0;
    lock.papers.iter_mut().for_each(|papers| *papers = Papers::default());
    lock.signature_aggregate.clear();
    lock.node_signatures.clear();
    lock.set_hashes();
    fs::write(made.path("unsigned.json"), lock.to_json()).expect("writes");
    let (code, value) = look("verify", &made.path("unsigned.json"));
    assert_eq!((code, &value["passed"]), (Some(0), &true.into()), "{value}");
    let ended = made.run("--lock", "unsigned.json", "node0/charon-enr-private-key", &[]).end();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert_says(&ended.err, &["nobody signed the lock file", "--no-verify"]);
}

#[test]
fn a_command_line_names_one_file_of_the_cluster() {
    let made = Made::new("command line");
    let (lock, manifest) = (made.path("cluster-lock.json"), made.path("cluster-manifest.json"));
    let key = made.path("node0/charon-enr-private-key");
    for files in [&[][..], &["--lock", &lock, "--manifest", &manifest]] {
        let mut arguments = vec!["run", "--key", &key, "--data-dir", "data"];
        arguments.extend(files);
        let ended = end_of(&arguments);
        assert_eq!(ended.code, Some(2));
        assert_says(&ended.err, &["--lock", "--manifest"]);
    }
    // One in the place of the other.
    let ended =
        made.run("--manifest", "cluster-lock.json", "node0/charon-enr-private-key", &[]).end();
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["is a lock, not a manifest", "with --lock"]);
    let ended =
        made.run("--lock", "cluster-manifest.json", "node0/charon-enr-private-key", &[]).end();
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["is a manifest, not a lock", "with --manifest"]);
    let ended = end_of(&["manifest", "verify", &key]);
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["not the JSON of a lock"]);
    for command in ["ceremony", "authorise"] {
        assert_says(&end_of(&[command, "--help"]).out, &["Examples:", "Exit codes"]);
    }
    for command in ["build", "verify", "show"] {
        assert_says(&end_of(&["manifest", command, "--help"]).out, &["Examples:", "Exit codes"]);
    }
}
