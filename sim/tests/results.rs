//! Results on disk: whatever the order, the steps and the blocks, the same files; and what a
//! damaged file, a foreign one and a full disk come to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_sim::results::merge::{MergeError, merge};
use stayfound_sim::results::{Conflict, Format, MadeBy, Results, RunKey, directory, part};
use stayfound_sim::table::{CountRow, LinkRow, RunRow, Tables};
use tempfile::TempDir;

/// How many runs there are in all.
const RUNS: usize = 12;

/// The rows of a run, as awkward as they can be.
fn tables(number: usize, times: u64) -> Tables {
    let verdict = ["ok", "safety", "liveness", "panic"][number % 4];
    let failed = verdict != "ok";
    let run = RunRow {
        scenario_hash: format!("{number:016x}"),
        verdict: verdict.into(),
        found_s: failed.then_some(0.1 * number as f64),
        finding: failed.then(|| format!("\"{number}\",\n\r{}", ["", "é"][number % 2])),
        command: format!("stayfound-sim run --seed {number}"),
        trace: format!("{:016x}", number * 7),
        hosts: 4,
        operators: 4,
        took_s: 1e-9 * number as f64,
        events: u64::MAX,
        moves: 0,
        moves_known: 0,
        know_p50_s: None,
        know_p99_s: None,
        know_max_s: None,
        stale_s: 0.0,
        false_dead_s: 0.30000000000000004,
        owed_s: 1e21,
        datagram_bytes_per_node_s: None,
        link_bytes_per_node_s: Some(1.0 / 3.0),
        lookups: 0,
        lookups_found: 0,
    };
    let link = |a| LinkRow { a, b: 9, state: String::new(), from_s: 0.0, to_s: 1.0 };
    let count = CountRow { source: "core".into(), name: "dials".into(), times };
    Tables {
        runs: vec![run],
        links: (0..number as u64 % 3).map(link).collect(),
        counts: vec![count],
        ..Tables::default()
    }
}

fn key(number: usize) -> RunKey {
    let scenario = ["drawn", "all-move", "ü, \"quoted\""][number % 3].into();
    RunKey { scenario, seed: number as u64 / 3 }
}

fn results(numbers: impl IntoIterator<Item = usize>) -> Results {
    let mut results = Results::new(MadeBy::this());
    numbers.into_iter().for_each(|number| results.add(key(number), &tables(number, 1)));
    results
}

/// Every file of a directory, by name.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|it| (it.file_name().into_string().unwrap(), fs::read(it.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Which runs a part holds, for each part; every run is in one at least.
fn parts() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let part = prop::collection::btree_set(0..RUNS, 0..RUNS).prop_map(Vec::from_iter);
    prop::collection::vec(part, 1..6).prop_map(|mut parts| {
        let missing = (0..RUNS).filter(|run| !parts.iter().any(|part| part.contains(run)));
        let missing: Vec<usize> = missing.collect();
        parts.push(missing);
        parts
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "../proptest-regressions/results.txt",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn parts_put_together_in_any_order_and_in_any_steps_are_the_same_files(
        parts in parts(),
        order in Just(Vec::from_iter(0..12)).prop_shuffle(),
        cut in 0_usize..6,
        again in 0_usize..6,
    ) {
        let home = TempDir::new().unwrap();
        let at = |name: &str| home.path().join(name);
        let mut paths: Vec<PathBuf> = Vec::new();
        for (number, runs) in parts.iter().enumerate() {
            let path = at(&format!("{}.part", order[number]));
            part::write(&path, &results(runs.iter().copied())).unwrap();
            paths.push(path);
        }
        let mut whole = directory::Writer::create(&at("whole"), Format::Csv, MadeBy::this()).unwrap();
        whole.append(&results(0..RUNS)).unwrap();
        whole.finish().unwrap();
        let expected = files(&at("whole"));

        merge(&paths, &at("at once"), Format::Csv).unwrap();
        prop_assert_eq!(&files(&at("at once")), &expected, "at once");

        // (first ∪ second) ∪ rest, and one of them again, out of a directory each time.
        let cut = cut.min(paths.len() - 1);
        let (first, second) = paths.split_at(cut);
        merge(second, &at("second"), Format::Csv).unwrap();
        let mut steps = vec![at("second"), paths[again.min(paths.len() - 1)].clone()];
        steps.extend_from_slice(first);
        merge(&steps, &at("in steps"), Format::Csv).unwrap();
        prop_assert_eq!(&files(&at("in steps")), &expected, "in steps");
        merge(&[at("in steps"), at("at once")], &at("again"), Format::Csv).unwrap();
        prop_assert_eq!(&files(&at("again")), &expected, "again");
    }

    #[test]
    fn no_damage_goes_unnoticed(place in any::<prop::sample::Index>(), bit in 0..8_u8, cut: bool) {
        let home = TempDir::new().unwrap();
        let path = home.path().join("a.part");
        part::write(&path, &results(0..3)).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] ^= 1_u8 << bit }
        fs::write(&path, &bytes).unwrap();
        prop_assert!(part::read(&path).is_err());
    }
}

#[test]
fn one_run_with_two_results_is_refused_and_says_which() {
    let home = TempDir::new().unwrap();
    let [one, other, out] = ["1.part", "2.part", "out"].map(|name| home.path().join(name));
    part::write(&one, &results([0, 3])).unwrap();
    let mut differs = Results::new(MadeBy::this());
    differs.add(key(3), &tables(3, 2));
    part::write(&other, &differs).unwrap();
    let error = merge(&[one.clone(), other.clone()], &out, Format::Csv).unwrap_err();
    let MergeError::Conflict(a, b, conflict) = &error else { panic!("{error}") };
    assert_eq!((a, b), (&one, &other));
    assert_eq!(conflict, &Conflict::Rows(key(3), "counts"));
    assert!(error.to_string().contains("seed 1 of drawn is there twice"), "{error}");
    assert!(!out.join("manifest.json").exists() && files(&out).is_empty(), "nothing half done");
}

#[test]
fn results_of_other_code_are_not_put_together() {
    let home = TempDir::new().unwrap();
    let [one, other] = ["1.part", "2.part"].map(|name| home.path().join(name));
    part::write(&one, &results([0])).unwrap();
    let made_by = MadeBy { commit: Some("0123".into()), ..MadeBy::this() };
    let mut foreign = Results::new(made_by);
    foreign.add(key(1), &tables(1, 1));
    part::write(&other, &foreign).unwrap();
    let error = merge(&[one, other], &home.path().join("out"), Format::Csv).unwrap_err();
    assert!(error.to_string().contains("commit 0123"), "{error}");
}

fn sim(home: &Path, arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_stayfound-sim");
    Command::new(binary).current_dir(home).args(arguments).output().expect("it runs")
}

const SWEEP: [&str; 7] = ["sweep", "--seeds", "5..8", "--block", "2", "--out", "parts"];

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_sweep_goes_on_where_it_was_whatever_the_blocks_and_jobs() {
    let home = TempDir::new().unwrap();
    let swept = sim(home.path(), &SWEEP);
    assert_eq!((swept.status.code(), text(&swept.stdout)), (Some(0), "3 seeds, 0 failed\n"));
    assert_eq!(text(&swept.stderr).lines().count(), 2, "a line for each block");
    let part = home.path().join("parts/drawn.5-7.part");
    let before = fs::read(&part).unwrap();

    // A damaged part is named and run again, and nothing else is.
    fs::write(&part, &before[..before.len() / 2]).unwrap();
    let merged = sim(home.path(), &["merge", "parts", "--out", "half"]);
    assert_eq!(merged.status.code(), Some(65));
    assert!(text(&merged.stderr).contains("drawn.5-7.part: damaged"), "{merged:?}");
    assert!(text(&merged.stdout).contains("1 runs, seeds 7..8"), "{merged:?}");
    let again = sim(home.path(), &SWEEP);
    assert_eq!(again.status.code(), Some(0));
    assert!(text(&again.stderr).contains("drawn.5-7.part: damaged"), "{again:?}");
    assert!(text(&again.stderr).contains("block 7..8: 0 failed, was there"), "{again:?}");
    assert_eq!(fs::read(&part).unwrap(), before);

    let other = ["sweep", "--seeds", "5..8", "--block", "3", "--out", "other", "--jobs", "2"];
    assert!(text(&sim(home.path(), &[&other[..], &["--quiet"]].concat()).stderr).is_empty());
    for out in ["parts", "other"] {
        let merged = sim(home.path(), &["merge", out, "--out", &format!("{out}-results")]);
        assert_eq!(text(&merged.stdout), "drawn: 3 runs, seeds 5..8; 0 failed\n");
    }
    let results = |name: &str| files(&home.path().join(name));
    assert_eq!(results("parts-results"), results("other-results"));

    let events = sim(home.path(), &[&SWEEP[..], &["--events"]].concat());
    assert_eq!(events.status.code(), Some(65), "parts of another sweep are no work done");
    assert!(text(&events.stderr).contains("was made without --events"), "{events:?}");
}

#[test]
fn runs_that_are_written_at_once_are_those_of_a_sweep() {
    let home = TempDir::new().unwrap();
    let run = sim(home.path(), &["run", "--seeds", "5..8", "--out", "run", "--quiet"]);
    assert_eq!(text(&run.stdout), "3 seeds, 0 failed\n");
    sim(home.path(), &SWEEP);
    sim(home.path(), &["merge", "parts", "--out", "swept"]);
    assert_eq!(files(&home.path().join("run")), files(&home.path().join("swept")));

    let one = sim(home.path(), &["run", "--seed", "6", "--events", "--out", "one"]);
    assert!(text(&one.stdout).contains("verdict      ok"), "{one:?}");
    let events = fs::read_to_string(home.path().join("one/events.csv")).unwrap();
    assert!(events.contains(",fault,0,start,,,start 0\n"), "{events}");
}

#[test]
fn one_scenario_runs_with_many_seeds() {
    let home = TempDir::new().unwrap();
    let scenario = "operators 4\n0s start all\n60s move 2 to home\n180s expect health\n";
    fs::write(home.path().join("a move.txt"), scenario).unwrap();
    let more = ["--seeds", "0..3", "--scenario", "a move.txt", "--out", "parts", "--quiet"];
    let swept = sim(home.path(), &[&["sweep"], &more[..]].concat());
    assert_eq!(swept.status.code(), Some(0), "{swept:?}");
    assert!(home.path().join("parts/a_move.0-3.part").exists());
    let merged = sim(home.path(), &["merge", "parts", "--out", "swept"]);
    assert_eq!(text(&merged.stdout), "a move: 3 runs, seeds 0..3; 0 failed\n");
    let runs = fs::read_to_string(home.path().join("swept/runs.csv")).unwrap();
    assert!(runs.contains("stayfound-sim run --scenario 'a move.txt' --seed 2"), "{runs}");

    // The name is the same, the scenario is another.
    fs::write(home.path().join("a move.txt"), scenario.replace("60s", "61s")).unwrap();
    let other = sim(home.path(), &[&["sweep"], &more[..]].concat());
    assert_eq!(other.status.code(), Some(65));
    assert!(text(&other.stderr).contains("has another scenario for seed 0"), "{other:?}");
}

#[test]
fn what_cannot_be_written_is_not_there() {
    let home = TempDir::new().unwrap();
    let full = |arguments: &str| {
        let binary = env!("CARGO_BIN_EXE_stayfound-sim");
        // Files of at most 8 blocks of 512 bytes: the next write fails, as on a full disk.
        let script = format!("trap '' XFSZ; ulimit -f 8; exec {binary} {arguments}");
        Command::new("sh").current_dir(home.path()).args(["-c", &script]).output().unwrap()
    };
    let swept = full(&SWEEP.join(" "));
    assert_eq!(swept.status.code(), Some(74), "{swept:?}");
    assert!(text(&swept.stderr).contains("drawn.5-7.part: "), "{swept:?}");
    assert!(files(&home.path().join("parts")).is_empty(), "neither a part nor what was begun");
    assert_eq!(sim(home.path(), &SWEEP).status.code(), Some(0), "with room it goes on");
    let merged = full("merge parts --out results");
    assert_eq!(merged.status.code(), Some(74), "{merged:?}");
    assert!(files(&home.path().join("results")).is_empty());
}

/// Every value of every table, read back from Parquet by its own reader.
#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_the_rows_that_csv_does() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use stayfound_sim::table::{Value, csv};

    let home = TempDir::new().unwrap();
    let part = home.path().join("a.part");
    part::write(&part, &results(0..RUNS)).unwrap();
    for (name, format) in [("csv", Format::Csv), ("parquet", Format::Parquet)] {
        merge(std::slice::from_ref(&part), &home.path().join(name), format).unwrap();
    }
    for table in Tables::ALL.into_iter().filter(|table| table.name != "events") {
        let path = |format| home.path().join(format!("{format}/{}.{format}", table.name));
        let text = fs::read_to_string(path("csv")).unwrap();
        let text = text.strip_prefix(&csv::header(table)).unwrap();
        let expected: Vec<Vec<Value>> = csv::read(table, text).map(|it| it.unwrap().0).collect();
        let bytes = bytes::Bytes::from(fs::read(path("parquet")).unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        let value = |field: &Field| match field {
            Field::Str(text) => Value::Text(text.clone()),
            Field::ULong(count) => Value::Count(*count),
            Field::Double(real) => Value::Real(*real),
            Field::Bool(flag) => Value::Flag(*flag),
            Field::Null => Value::Absent,
            other => panic!("{other}"),
        };
        let read: Vec<Vec<Value>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().get_column_iter().map(|(_, field)| value(field)).collect())
            .collect();
        assert_eq!(read, expected, "{}", table.name);
        let names = reader.metadata().file_metadata().schema_descr().columns().to_vec();
        let names: Vec<String> = names.iter().map(|column| column.name().into()).collect();
        assert_eq!(names.join(",") + "\n", csv::header(table));
    }
}
