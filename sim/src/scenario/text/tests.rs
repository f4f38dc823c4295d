use super::*;

fn wrong(text: &str) -> String {
    let error = text.parse::<Scenario>().map(|it| it.to_string()).expect_err(text);
    error.to_string()
}

#[test]
fn everything_has_a_default() {
    let scenario: Scenario = "0s start all\n+quiet expect health".parse().unwrap();
    assert_eq!((scenario.seed, &scenario.options), (0, &Options::plain(4)));
    let lines: Vec<String> = scenario.schedule.iter().map(Line::to_string).collect();
    assert_eq!(lines[..2], ["0.000s start 0", "0.000s start 1"]);
    let quiet = Moment::default() + scenario.options.heals_within();
    assert_eq!(lines[4], format!("{quiet} expect health"));
}

#[test]
fn a_network_is_written_out_and_an_address_is_new() {
    let text = "operators 5\nnames ann bob\n0s start all # the usual\n\n\
                60s move C to 198.19.0.1\n+1m30s move bob to home\n+0s load 4 ann,B,2 E";
    let scenario: Scenario = text.parse().unwrap();
    let lines: Vec<String> = scenario.schedule[5..].iter().map(Line::to_string).collect();
    assert_eq!(
        lines,
        [
            "60.000s move 2 to 198.19.0.1:3610",
            "150.000s nat 1 port-restricted",
            "150.000s access 1 home-wifi",
            "150.000s move 1 to 198.19.0.2:3610",
            "150.000s load 4 0,1,2,4",
        ]
    );
}

#[test]
fn presets_and_networks_are_right() {
    for (name, _) in PRESETS {
        let scenario: Scenario = format!("preset {name}\n0s start all").parse().unwrap();
        assert_ne!(scenario.options, Options::plain(4), "{name}");
    }
    for (name, _) in NETWORKS {
        let text = format!("0s start all\n1s move A to {name}");
        assert!(text.parse::<Scenario>().unwrap().schedule.len() > 4, "{name}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_nearest_word() {
    assert_eq!(
        wrong("operators 4\n0s start all\n60s mvoe 2 to home"),
        "scenario:3:5: expected a fault, found `mvoe`: did you mean move?\n  \
         60s mvoe 2 to home\n      ^"
    );
    for (text, what) in [
        ("oprators 4", ":1:1: expected a key or a time, found `oprators`: did you mean operators?"),
        ("latency fsat", ":1:9: expected LATENCY, found `fsat`: one of datacentre,"),
        ("operators 65", ":1:11: expected a number from 0 to 64, found `65`"),
        ("operators", ":1:10: expected a number from 0 to 64, but the line ends"),
        ("loss 1", ":1:6: expected a share from 0.0 % to 25.0 %, found `1`"),
        ("preset home", ":1:8: expected a preset, found `home`: did you mean homes?"),
        ("crash 2", ":1:1: what happens begins with its time, as in `60s crash`"),
        ("0s start all\nseed 3", ":2:1: the schedule has begun"),
        ("0s start 4", ":1:10: there is no host `4`: hosts are 0 to 3, or A to D"),
        (
            "names ann bob\n0s start bbo",
            ":2:10: there is no host `bbo`: hosts are 0 to 3, or A to D, ann, bob",
        ),
        ("9s start all\n1s crash 0", ":2:1: time runs backwards: the line before is at 9.000s"),
        ("9x start all", ":1:1: expected a time with its unit"),
        (
            "1s move A to hmoe",
            ":1:14: expected an address, as in 198.18.9.2:3610, or a network, found `hmoe`: did you mean home?",
        ),
        ("1s move A home", ":1:11: expected `to`, found `home`"),
        ("1s crash A now", ":1:12: expected the end of the line, found `now`"),
        ("1s expect heath", ":1:11: expected `health`, found `heath`"),
        (
            "1s move A to 198.18.0.2",
            ":1:1: two hosts at one address: host 1 is at 198.18.0.2:3610 then",
        ),
        ("1s cut A A", ":1:1: the other host is to be another"),
        ("forwarded 5\n0s start all", ":1:1: forwarded cannot be so: there are 4 operators only"),
        ("families mixed\npreset public\n0s start all", ":1:1: families cannot be so"),
        ("strangers 1\n1s load A A,E", ":2:13: `E` is no operator"),
        ("1s load A A,A", ":1:13: `A` is named twice"),
        ("", ":1:1: nothing happens"),
        ("include more.txt", ":1:9: cannot read `more.txt`: a text that is no file includes none"),
    ] {
        let found = wrong(text);
        assert!(found.contains(what), "{text:?} says\n{found}\ninstead of\n{what}");
    }
}

fn with_files(files: &[(&str, &str)]) -> Result<Scenario, TextError> {
    let mut read = |path: &str| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is none".to_owned())
    };
    let (name, text) = files[0];
    Scenario::parse(name, text, &mut read)
}

#[test]
fn includes_are_read_from_beside_the_file_that_names_them() {
    let scenario = with_files(&[
        ("a/main.txt", "include ../common/homes.txt\noperators 7\ninclude start.txt\n1s crash G"),
        ("common/homes.txt", "preset homes\ninclude lossy.txt"),
        ("common/lossy.txt", "loss 2.5 %"),
        ("a/start.txt", "0s start all"),
    ])
    .unwrap();
    assert_eq!(scenario.options.forwarded, 7, "all, of however many there are in the end");
    assert_eq!(scenario.options.loss.to_string(), "2.5 %");
    assert_eq!(scenario.schedule.len(), 8);
    let error = with_files(&[("a/main.txt", "include b.txt"), ("a/b.txt", "\n0s crsh A")]);
    assert!(error.unwrap_err().to_string().starts_with("a/b.txt:2:4: expected a fault"));
}

#[test]
fn includes_end() {
    let error = with_files(&[("a.txt", "include b.txt"), ("b.txt", "\ninclude ./a.txt")]);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("b.txt:2:1: `a.txt` is not read: it includes itself"), "{error}");
    let many = "include b.txt\n".repeat(70);
    let error = with_files(&[("a.txt", &many), ("b.txt", "seed 1")]).unwrap_err().to_string();
    assert!(error.starts_with("a.txt:64:1: `b.txt` is not read: more than 64 files"), "{error}");
    let deep: Vec<(String, String)> =
        (0..10).map(|n| (format!("{n}"), format!("include {}", n + 1))).collect();
    let deep: Vec<(&str, &str)> = deep.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let error = with_files(&deep).unwrap_err().to_string();
    assert!(error.contains("more than 8 files in one another"), "{error}");
}
