//! What each check says of every public lock and definition of charon.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;

use stayfound_core::cluster::check::{Check, Outcome};
use stayfound_core::cluster::definition::Definition;
use stayfound_core::cluster::lock::Lock;
use stayfound_tests::{json_files, shared};

/// The checks of a lock, in their order. Of a definition those that are marked.
const CHECKS: [(&str, bool); 13] = [
    ("config hash", true),
    ("definition hash", true),
    ("validator count", false),
    ("lock hash", false),
    ("creator signature", true),
    ("operator signatures", true),
    ("operator keys", false),
    ("validator keys", false),
    ("distinct keys", false),
    ("share polynomials", false),
    ("signature aggregate", false),
    ("builder registrations", false),
    ("node signatures", false),
];

/// For each file a letter for each check: it passed (+), failed (F), is not applicable (-).
const VERDICTS: &str = "
charon/charon/app/test-cluster-lock.json ++++--F--FFFF
charon/charon/cmd/test_cluster_lock.json FF+F--++++FF+
charon/charon/examples/cluster-definition-000.json ++-+
charon/charon/examples/cluster-definition-001.json ++++
charon/charon/examples/cluster-definition-002.json +++-
charon/charon/examples/cluster-definition-003.json +++-
charon/charon/examples/cluster-definition-004.json ++--
charon/charon/examples/cluster-definition-005.json ++--
charon/charon/examples/cluster-definition-006.json ++--
charon/charon/examples/cluster-lock-000.json ++++--+++++--
charon/charon/examples/cluster-lock-002.json ++++--+++++--
charon/charon/examples/cluster-lock-003.json +++++++++++++
charon/charon/testdata/cluster_definition_v1_0_0.json ++--
charon/charon/testdata/cluster_definition_v1_10_0.json ++--
charon/charon/testdata/cluster_definition_v1_11_0.json ++--
charon/charon/testdata/cluster_definition_v1_1_0.json ++--
charon/charon/testdata/cluster_definition_v1_2_0.json ++--
charon/charon/testdata/cluster_definition_v1_3_0.json ++--
charon/charon/testdata/cluster_definition_v1_4_0.json ++--
charon/charon/testdata/cluster_definition_v1_5_0.json ++--
charon/charon/testdata/cluster_definition_v1_6_0.json ++--
charon/charon/testdata/cluster_definition_v1_7_0.json ++--
charon/charon/testdata/cluster_definition_v1_8_0.json ++--
charon/charon/testdata/cluster_definition_v1_9_0.json ++--
charon/charon/testdata/cluster_lock_v1_0_0.json ++++--+--FF--
charon/charon/testdata/cluster_lock_v1_10_0.json ++++--+--FFFF
charon/charon/testdata/cluster_lock_v1_11_0.json ++++--+--FFFF
charon/charon/testdata/cluster_lock_v1_1_0.json ++++--+--FF--
charon/charon/testdata/cluster_lock_v1_2_0.json ++++--+--FF--
charon/charon/testdata/cluster_lock_v1_3_0.json ++++--+--FF--
charon/charon/testdata/cluster_lock_v1_4_0.json ++++--+--FF--
charon/charon/testdata/cluster_lock_v1_5_0.json ++++--+--FF--
charon/charon/testdata/cluster_lock_v1_6_0.json ++++--+--FF--
charon/charon/testdata/cluster_lock_v1_7_0.json ++++--+--FFFF
charon/charon/testdata/cluster_lock_v1_8_0.json ++++--+--FFFF
charon/charon/testdata/cluster_lock_v1_9_0.json ++++--+--FFFF
charon/charon-history/cluster-partialdefinition-000.json +F+-
charon/charon-history/manifest-lock.json ++++++++++FFF
charon/charon-history/manifest-lock2.json +++++++++++--
charon/charon-history/manifest-lock3.json FF+F--++++---
charon/dv-spec/lock-real_keys_3_of_4.json ++++--+++++F+
charon/dv-spec/lock-three_validators.json ++++F-+F+-FFF
charon/dv-spec/lock-validator_without_deposit_data.json ++++F-+F+-FFF
charon/obol-sdk/cluster-lock-with-safe.json +++++-+++++++
charon/obol-sdk/clusterLockV1X10-8ba7ab3.json +F+F--++++F++
charon/obol-sdk/clusterLockV1X10-d05fb39.json ++++--+++++++
charon/obol-sdk/clusterLockV1X6-d05fb39.json +++++++++++--
charon/obol-sdk/clusterLockV1X7-d05fb39.json +++++++++++++
charon/obol-sdk/clusterLockV1X8-9905321.json +++++++++++++
charon/obol-sdk/clusterLockV1X8-d05fb39.json +++++++++++++
charon/obol-sdk/clusterLockWithCompoundingWithdrawals-d05fb39.json ++++--+++++++
charon/obol-sdk/clusterLockWithSafe-d05fb39.json +++++-+++++++
charon/obol-sdk/nullDepositAmountsClusterLockV1X8-90cf255.json ++++--+++++++
synthetic/cluster_lock_v1_11_0.json +++++++++++++
synthetic/cluster_lock_v1_3_0.json ++++-++++++--
synthetic/cluster_lock_v1_5_0.json +++++++++++--
synthetic/cluster_lock_v1_9_0.json +++++++++++++
synthetic/rogue_share_lock_v1_10_0.json +++++++++++++
";

/// What an independent implementation found, in the words of the fixtures' own index: the check,
/// and what the index calls it there.
const WORDS: [(usize, &str); 5] =
    [(4, "creator"), (5, "EIP-712"), (10, "aggregate"), (11, "builder"), (12, "node sigs")];

fn letter(check: &Check) -> char {
    match check.outcome {
        Outcome::Passed => '+',
        Outcome::Failed(_) => 'F',
        Outcome::NotApplicable(_) => '-',
    }
}

fn letters(checks: &[Check]) -> String {
    checks.iter().map(letter).collect()
}

/// The checks of whatever charon file this is, if it is one and can be read.
fn checks(json: &[u8]) -> Option<Vec<Check>> {
    let lock = Lock::read(json);
    if let Ok(lock) = &lock {
        assert_eq!(&Lock::read(&lock.to_json()).unwrap(), lock, "written and read again");
        return Some(lock.verify().checks);
    }
    let definition = Definition::read(json).ok()?;
    assert_eq!(Definition::read(&definition.to_json()).unwrap(), definition);
    Some(definition.verify())
}

#[test]
fn every_check_of_every_public_file_says_what_is_stated() {
    let Some(root) = shared("fixtures") else { return };
    let rows = VERDICTS.lines().filter_map(|line| line.split_once(' '));
    let mut expected: BTreeMap<_, _> = rows.collect();
    let mut wrong = Vec::new();
    for path in json_files(&root) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let checks = checks(&fs::read(&path).unwrap());
        let found = checks.as_deref().map(letters);
        if let Some(checks) = &checks {
            let is_lock = checks.len() == CHECKS.len();
            let names = CHECKS.iter().filter(|(_, of_definition)| is_lock || *of_definition);
            assert!(names.map(|(name, _)| *name).eq(checks.iter().map(|check| &*check.name)));
        }
        if expected.remove(name) != found.as_deref() {
            wrong.push(format!("{name} {}", found.unwrap_or_default()));
        }
        for check in checks.iter().flatten().filter(|check| check.outcome != Outcome::Passed) {
            println!("{name}: {check}");
        }
    }
    assert!(wrong.is_empty(), "otherwise than stated:\n{}", wrong.join("\n"));
    assert!(expected.is_empty(), "not found: {:?}", expected.keys());
}

#[test]
fn an_independent_implementation_finds_the_same() {
    let Some(index) = shared("fixtures/charon/INDEX.md") else { return };
    let index = fs::read_to_string(index).unwrap();
    let rows: BTreeMap<_, _> = VERDICTS.lines().filter_map(|line| line.split_once(' ')).collect();
    let mut compared = 0;
    for line in index.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[file, _, hashes, result, _] = &cells[..] else { continue };
        let name = format!("charon/{}", file.trim_matches('`'));
        if let Some(letters) = rows.get(&*name) {
            assert_agrees(&name, letters, hashes, result);
            compared += 1;
        } else {
            assert!(result.starts_with("REJECT"), "{name} is not in the table");
        }
    }
    assert_eq!(compared, rows.keys().filter(|name| name.starts_with("charon/")).count());
}

fn assert_agrees(name: &str, letters: &str, hashes: &str, result: &str) {
    let all: Vec<_> = CHECKS.iter().enumerate().collect();
    let is_lock = letters.len() == all.len();
    let of_file = all.into_iter().filter(|(_, (_, of_definition))| is_lock || *of_definition);
    let found: BTreeMap<_, _> = of_file.map(|(at, _)| at).zip(letters.chars()).collect();
    for (at, word) in [(0, "config"), (1, "definition"), (3, "lock")] {
        let is_wrong = hashes.contains(word);
        assert!(is_wrong || hashes == "ok" || hashes.starts_with("MISMATCH"), "{name}: {hashes}");
        let failed = found.get(&at).map(|letter| *letter == 'F');
        assert_eq!(failed.unwrap_or(is_wrong), is_wrong, "{name}: {hashes}, not {letters}");
    }
    let (_, words) = result.split_once('(').unwrap();
    let (words, _) = words.rsplit_once(')').unwrap();
    for said in words.split("; ") {
        let passed = said.contains(" ok") && !said.contains("BAD");
        if let Some((at, _)) = WORDS.iter().find(|(_, word)| said.starts_with(word)) {
            // "2/4 ok": what is left may be a contract's.
            let is_whole = passed && !said.contains('/');
            assert_eq!(found[at] == '+', is_whole, "{name}: {said}, not {letters}");
            let is_open = said.ends_with("n/a") || said.ends_with("unsigned");
            assert!(!is_open || found[at] == '-', "{name}: {said}, not {letters}");
        } else if said.starts_with("shares") {
            assert_eq!(&letters[7..10] == "+++", passed, "{name}: {said}, not {letters}");
        }
    }
}
