//! Scenarios as text: what is printed is read as the same, and no text breaks the reader.

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use stayfound_sim::run::run;
use stayfound_sim::scenario::Scenario;
use stayfound_sim::scenario::text::{FAULTS, KEYS, NETWORKS, OTHER_KEYS, PRESETS};
use stayfound_sim::trace::Trace;

fn config(cases: u32) -> Config {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/sim_text.txt");
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(kept)) as _);
    Config { cases, failure_persistence, ..Config::default() }
}

fn read(text: &str) -> Scenario {
    text.parse().unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

fn hash(scenario: &Scenario) -> (u64, u64) {
    let report = run(scenario, Trace::default());
    (report.trace.hash(), report.trace.events())
}

/// A line of words that mean something somewhere.
fn line() -> impl Strategy<Value = String> {
    let words = FAULTS.iter().chain(KEYS).map(|form| form.word);
    let words = words.chain(NETWORKS.iter().map(|it| it.0)).chain(PRESETS.iter().map(|it| it.0));
    let others = "0 1 3 4 A B Z all to 198.18.0.2 198.18.9.9:1 ::1 +1s +quiet 60s 1d expect health \
                  none boots walkers mixed carrier 5ms -1s 9ppm % 1.0 duplicated corrupted # , \
                  wired symmetric 99999999999999999999 1.s é";
    let words: Vec<&'static str> =
        words.chain(OTHER_KEYS).chain(others.split_whitespace()).collect();
    let starts = prop::sample::select(vec!["0s ", "+1s ", "+quiet ", "", ""]);
    let rest = prop::collection::vec(prop::sample::select(words), 0..6);
    (starts, rest).prop_map(|(start, rest)| format!("{start}{}", rest.join(" ")))
}

proptest! {
    #![proptest_config(config(8))]

    #[test]
    fn what_is_printed_is_read_as_the_same(seed in 0..1_000_000_u64) {
        let drawn = Scenario::draw(seed);
        let text = drawn.to_string();
        let read = read(&text);
        prop_assert_eq!((read.seed, &read.options), (drawn.seed, &drawn.options));
        prop_assert_eq!(&read.schedule, &drawn.schedule);
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(hash(&read), hash(&drawn));
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_text_is_a_scenario_or_says_why_not(text in "\\PC{0,200}") {
        let _ = text.parse::<Scenario>().map_err(|error| error.to_string());
    }

    #[test]
    fn any_words_are_a_scenario_or_say_why_not(lines in prop::collection::vec(line(), 1..8)) {
        let text = lines.join("\n");
        if let Ok(scenario) = text.parse::<Scenario>() {
            prop_assert_eq!(read(&scenario.to_string()).to_string(), scenario.to_string());
        }
    }
}

proptest! {
    #![proptest_config(config(48))]

    /// Bytes of a good text are replaced, left out or doubled.
    #[test]
    fn a_damaged_text_is_a_scenario_or_says_why_not(
        seed in 0..40_u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0..3_u8), 1..4),
    ) {
        let mut text: Vec<char> = Scenario::draw(seed).to_string().chars().collect();
        for (at, letter, how) in damage {
            let at = at.index(text.len());
            match how {
                0 => text[at] = letter,
                1 => drop(text.remove(at)),
                _ => text.insert(at, letter),
            }
        }
        let text: String = text.into_iter().collect();
        match text.parse::<Scenario>() {
            Ok(scenario) => drop(read(&scenario.to_string())),
            Err(error) => {
                let line = text.lines().nth(error.line - 1).unwrap_or_default();
                prop_assert_eq!(&error.source, line);
                prop_assert!(error.column <= line.chars().count() + 1, "{}", error);
            }
        }
    }
}
