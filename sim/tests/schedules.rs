//! Any schedule of any faults: whatever happens to hosts and network, nothing happens that must
//! never happen, and no node breaks an invariant of its own.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, FileFailurePersistence};
use stayfound_sim::oracle::Kind;
use stayfound_sim::run::run;
use stayfound_sim::scenario::Scenario;
use stayfound_sim::scenario::text::FAULTS;
use stayfound_sim::trace::Trace;

fn config(cases: u32) -> Config {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/sim_schedules.txt");
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(kept)) as _);
    Config { cases, failure_persistence, ..Config::default() }
}

/// What follows the host in the line of a fault; some of each, the first the plainest.
fn arguments(word: &str) -> &'static [&'static str] {
    match word {
        "move" => &[
            "to new",
            "to new",
            "to home",
            "to mobile",
            "to cloud",
            "to 198.18.0.1",
            "to 198.18.0.2:3611",
        ],
        "up" | "down" => &["198.18.8.1", "198.18.8.2", "172.17.0.1"],
        "side" => &["0", "1", "2"],
        "load" => &["A,B,C,D", "A,B,C,E", "E,D,C,B,A", "B,A"],
        "cut" | "mend" => &["A", "B", "C", "D", "E", "F"],
        "access" => &["wired", "bad-wifi", "geo"],
        "mtu" => &["1500", "1280", "600", "68"],
        "nat" => &["port-restricted", "full-cone", "restricted", "symmetric carrier"],
        "clock" => &["1ms", "-3s", "2d", "-2d"],
        "drift" => &["0ppm", "200ppm", "-500000ppm"],
        "unsync" => &["1", "3", "200"],
        "lie" => &["withhold", "replay", "forge", "boast", "hang-up", "babble", "hush", "crowd"],
        "missee" => &["203.0.113.9:3610", "198.18.0.1:3610"],
        _ => &[""],
    }
}

/// A line of a schedule, soon after the one before or much later. Only one operator of four, the
/// last, is Byzantine.
fn line() -> impl Strategy<Value = String> {
    let gap = select(vec!["+0s", "+1ms", "+50ms", "+1s", "+10s", "+40s", "+5m", "+1h"]);
    let host = select(vec!["A", "B", "C", "D", "E", "F"]);
    // Half of what happens is what happens most.
    let often = ["move", "crash", "start", "offline", "resume"].map(String::from);
    let word = FAULTS.iter().map(|form| form.word.to_owned()).collect::<Vec<_>>();
    let word = prop_oneof![select(often.to_vec()), select(word)];
    (gap, word, host, any::<Index>()).prop_map(|(gap, word, host, which)| {
        let arguments = arguments(&word);
        let host = if word == "lie" || word == "missee" { "D" } else { host };
        format!("{gap} {word} {host} {}", arguments[which.index(arguments.len())])
    })
}

fn header() -> impl Strategy<Value = String> {
    let line = |values: &[&'static str]| select(values.to_vec());
    (
        0..1_000_u32,
        line(&["forwarded 0", "forwarded all", "forwarded 2"]),
        line(&["loss 0.0 %", "loss 5.0 %"]),
        line(&["noise 0.0 % duplicated 0.0 % corrupted", "noise 5.0 % duplicated 5.0 % corrupted"]),
        line(&["disks fast", "disks slow"]),
        line(&["bootstrap manifest", "bootstrap hints", "bootstrap line"]),
        line(&["seqs one", "seqs milliseconds", "seqs ahead"]),
        line(&["latency continental", "latency satellite"]),
    )
        .prop_map(|(seed, a, b, c, d, e, f, g)| {
            format!("seed {seed}\nspares 1\nstrangers 1\n{a}\n{b}\n{c}\n{d}\n{e}\n{f}\n{g}\n")
        })
}

/// Leaves out whatever cannot be: two hosts at one address.
fn possible(mut text: Vec<String>) -> Scenario {
    loop {
        match text.join("\n").parse::<Scenario>() {
            Ok(scenario) => return scenario,
            Err(error) => {
                let what = &error.what;
                let expected = what.contains("two hosts") || what.contains("to be another");
                assert!(expected, "{error}");
                text.remove(error.line - 1);
            }
        }
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn nothing_happens_that_must_never_happen(
        header in header(),
        lines in prop::collection::vec(line(), 1..40),
    ) {
        let head = header.lines().map(str::to_owned).chain(["0s start all".into()]);
        let scenario = possible(head.chain(lines).chain(["+30s start A".into()]).collect());
        if let Some(finding) = run(&scenario, Trace::default()).finding {
            let wrong = matches!(finding.kind, Kind::Safety | Kind::Panic);
            prop_assert!(!wrong, "{finding} of\n{scenario}");
        }
    }
}
