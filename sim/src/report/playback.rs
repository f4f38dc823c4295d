//! What is needed to play a run back, as JSON. Times are seconds.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::observe::Observed;
use crate::observe::recording::{HostChange, Known, Recording};
use crate::run::Report;
use crate::scenario::{Line, Scenario, What};
use crate::table::{EventRow, LinkRow};

/// Marks of messages at most: what does not fit is thinned.
const MARKS: usize = 12_000;
/// So many seconds of messages at most are one mark.
const SPAN: f64 = 5.0;

/// A recorded run.
///
/// # Panics
/// If no recording was made.
#[must_use]
pub fn of(scenario: &Scenario, report: &Report, observed: &Observed) -> Json {
    let recording = observed.recording.as_ref().expect("a recorded run");
    let (marks, sent, every) = marks(&observed.events, report.until.seconds());
    let finding = report.finding.as_ref();
    let lines = scenario.schedule.iter().filter(|line| line.at <= report.until);
    json!({
        "operators": observed.nodes.iter().filter(|it| it.role == "operator").count(),
        "until": report.until.seconds(),
        "verdict": finding.map_or("ok".into(), |it| it.kind.to_string()),
        "finding": finding.map(|it| it.sentence.clone()),
        "found": finding.map(|it| it.at.seconds()),
        "ids": recording.ids.iter().map(|id| hex(&id.0)).collect::<Vec<_>>(),
        "links": observed.links.iter().map(link).collect::<Vec<_>>(),
        "known": recording.known.iter().map(known).collect::<Vec<_>>(),
        "hosts": hosts(recording),
        "faults": lines.filter_map(fault).collect::<Vec<_>>(),
        "marks": marks,
        "sent": sent,
        "every": every,
    })
}

fn link(row: &LinkRow) -> Json {
    json!([row.a, row.b, row.state, tidy(row.from_s), tidy(row.to_s)])
}

fn known(it: &Known) -> Json {
    json!([tidy(it.at.seconds()), it.holder, it.signer, it.seq])
}

fn hosts(recording: &Recording) -> Vec<Json> {
    let change = |it: &HostChange| {
        let addresses: Vec<String> = it.addresses.iter().map(ToString::to_string).collect();
        json!([tidy(it.at.seconds()), it.host, it.runs, addresses.join(" ")])
    };
    recording.hosts.iter().map(change).collect()
}

/// When, to whom, in words, of what kind, and the side or the other host.
fn fault(line: &Line) -> Option<Json> {
    let fault = line.fault.as_ref()?;
    let text = fault.to_string();
    let word = text.split(' ').next().expect("the first of some");
    let other = match fault.what {
        What::Side(side) => Some(usize::from(side)),
        What::Cut(host) | What::Mend(host) => Some(host.0),
        _ => None,
    };
    Some(json!([tidy(line.at.seconds()), fault.host.0, text, word, other]))
}

/// Messages that were sent, of which one stands for all of the same kind from the same to the same
/// host within a span that is as short as the limit allows: when, from, to, kind, how many. If that
/// does not do because there are too many pairs of hosts, one of so many marks is left. And how many
/// messages there were, and of how many marks one is left.
fn marks(events: &[EventRow], until: f64) -> (Vec<Json>, usize, usize) {
    let sent = |row: &&EventRow| row.side == "out" && row.peer.is_some_and(|it| it != row.host);
    let message = |row: &EventRow| matches!(row.kind.as_str(), "bytes" | "datagram" | "dial");
    let sent: Vec<&EventRow> = events.iter().filter(sent).filter(|it| message(it)).collect();
    let mut span = 0.01_f64.max(until / 20_000.0);
    let mut marks = thinned(&sent, span);
    // Longer than a few seconds, a mark would stand for what happens at another time.
    while marks.len() > MARKS && span < SPAN {
        span *= 2.0;
        marks = thinned(&sent, span);
    }
    let every = marks.len().div_ceil(MARKS).max(1);
    // By the golden ratio: every second one might be all questions and no answers.
    let left = |place: usize| (place as u32).wrapping_mul(0x9E37_79B9) <= u32::MAX / every as u32;
    let marks = marks.into_iter().enumerate().filter(|it| left(it.0)).map(|it| it.1);
    (marks.collect(), sent.len(), every)
}

fn thinned(sent: &[&EventRow], span: f64) -> Vec<Json> {
    let mut places = BTreeMap::new();
    let mut marks: Vec<(&EventRow, u64)> = Vec::new();
    for row in sent {
        let key = (row.host, row.peer, &row.kind, (row.at_s / span) as u64);
        let place = *places.entry(key).or_insert(marks.len());
        match marks.get_mut(place) {
            Some((_, times)) => *times += 1,
            None => marks.push((row, 1)),
        }
    }
    let json = |(row, times): &(&EventRow, u64)| {
        json!([tidy(row.at_s), row.host, row.peer, letter(&row.kind), times])
    };
    marks.iter().map(json).collect()
}

fn letter(kind: &str) -> &'static str {
    match kind {
        "bytes" => "l",
        "dial" => "c",
        _ => "d",
    }
}

/// To the tenth of a millisecond: more is not to be seen, and is many bytes.
fn tidy(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_thinned_and_all_are_counted() {
        let row = |i: u64, hosts: u64| EventRow {
            number: i,
            at_s: i as f64 / 1000.0,
            side: "out".into(),
            host: i % hosts,
            kind: "datagram".into(),
            peer: Some((i + 1) % hosts),
            bytes: Some(9),
            text: String::new(),
        };
        let events: Vec<EventRow> = (0..100_000).map(|i| row(i, 3)).collect();
        let (found, sent, every) = marks(&events, 100.0);
        assert!((MARKS / 2 - 10..=MARKS).contains(&found.len()), "{}", found.len());
        let counted: u64 = found.iter().map(|it| it[4].as_u64().unwrap()).sum();
        assert_eq!((sent, counted, every), (100_000, 100_000, 1));
        // As many hosts as messages: none can stand for another.
        let events: Vec<EventRow> = (0..100_000).map(|i| row(i, 100_000)).collect();
        let (found, sent, every) = marks(&events, 100.0);
        assert_eq!((sent, every), (100_000, 9));
        assert!(found.len().abs_diff(100_000 / 9) < 10, "{}", found.len());
        for remainder in 0..9 {
            let some = found.iter().filter(|it| it[1].as_u64().unwrap() % 9 == remainder);
            assert!(some.count() > 1000, "few with {remainder}");
        }
    }
}
