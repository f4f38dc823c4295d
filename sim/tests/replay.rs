//! What happened to a node in a run happens to it once more, from its recording.

use std::net::SocketAddr;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::node::{Input, LinkId, Node};
use stayfound_core::recording::{End, Frame, Frames, MAGIC, Recorder, Room, Unreadable};
use stayfound_core::step;
use stayfound_sim::event::HostId;
use stayfound_sim::replay::{Ending, Replayed, Stopped, replay};
use stayfound_sim::run::{record, run};
use stayfound_sim::scenario::Scenario;
use stayfound_sim::trace::Trace;

/// The recording of the last start of an operator of a drawn run.
fn recorded() -> Vec<u8> {
    record(&Scenario::draw(2), HostId(0)).1.pop().expect("it was started")
}

/// Its first frames, so many.
fn beginning(count: usize) -> Vec<u8> {
    let mut recording = recorded();
    let end = frames(&recording)[count].0;
    recording.truncate(end);
    recording
}

fn again(recording: &[u8]) -> Result<Replayed, Stopped> {
    replay(recording, &mut |_| {})
}

/// Where each frame begins, and what it is.
fn frames(recording: &[u8]) -> Vec<(usize, Frame<'_>)> {
    let mut frames = Frames::of(recording).expect("a recording");
    let mut all = Vec::new();
    loop {
        let at = frames.read();
        let Some(frame) = frames.next().expect("is whole") else { return all };
        all.push((at, frame));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "../proptest-regressions/replay.txt",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_node_of_any_run_does_the_same_again(seed in any::<u32>(), host in any::<prop::sample::Index>()) {
        let scenario = Scenario::draw(seed.into());
        let host = HostId(host.index(scenario.setup.hosts.len()));
        let (report, recordings) = record(&scenario, host);
        prop_assert_eq!(report.trace.hash(), run(&scenario, Trace::default()).trace.hash());
        for recording in recordings {
            let replayed = again(&recording);
            prop_assert!(replayed.is_ok(), "seed {}, {:?}: {}", seed, host, replayed.unwrap_err());
        }
    }
}

#[test]
fn a_recording_knows_how_it_ends() {
    let last = recorded();
    let replayed = again(&last).expect("the same");
    assert_eq!(replayed.ending, Ending::Ended(End::Stopped));
    assert!(replayed.inputs > 10, "{replayed:?}");
    let died = again(&last[..last.len() - 1]).expect("a torn tail is no damage");
    assert_eq!((died.inputs, died.digest), (replayed.inputs, replayed.digest));
    assert!(matches!(died.ending, Ending::CutOff(bytes) if bytes > 0), "{died:?}");
}

/// A crash may cut it anywhere: what is there is replayed, and nothing is made up.
#[test]
fn a_recording_may_be_cut_anywhere() {
    let recording = beginning(60);
    let starts = frames(&recording);
    assert!(matches!(again(&recording[..MAGIC.len()]), Err(Stopped::Unreadable(_))));
    assert_eq!(again(&recording[..MAGIC.len() + 5]), Err(Stopped::Empty));
    for (at, _) in starts.into_iter().skip(1).step_by(7) {
        for cut in [at, at + 3, at + 11] {
            let replayed = again(&recording[..cut]).expect("is as it was");
            let cut_off = Ending::CutOff(cut - at);
            assert_eq!(replayed.ending, if cut == at { Ending::Open } else { cut_off });
        }
    }
}

#[test]
fn a_flipped_bit_is_found_in_its_frame() {
    let recording = beginning(60);
    let starts = frames(&recording);
    for (number, window) in starts.windows(2).enumerate().step_by(7) {
        let (begin, end) = (window[0].0, window[1].0);
        for at in [begin, begin + 5, begin + 8, begin + 9, end - 1] {
            let mut damaged = recording.clone();
            damaged[at] ^= 0x10;
            match again(&damaged) {
                Err(Stopped::Damaged(damage)) => {
                    assert_eq!((damage.frame, damage.at), (number as u64, begin), "{damage}");
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_is_no_recording_is_refused() {
    assert_eq!(again(b""), Err(Stopped::Unreadable(Unreadable::NoRecording)));
    assert_eq!(again(b"a page of text"), Err(Stopped::Unreadable(Unreadable::NoRecording)));
    let newer = [&MAGIC[..], &[9]].concat();
    assert_eq!(again(&newer), Err(Stopped::Unreadable(Unreadable::Version(9))));
}

/// The same recording, as if another input had been given than the node got in truth.
fn with_another_input(scenario: &Scenario, recording: &[u8], change: &Change) -> (Vec<u8>, u64) {
    let mut frames = Frames::of(recording).expect("a recording");
    let mut next = || frames.next().expect("is whole");
    let Some(Frame::Start(start)) = next() else { panic!("it begins with the start") };
    let mut config = scenario.setup.hosts[0].config.clone();
    let (times, mut out) = ((start.now, start.wall), Vec::new());
    let mut recorder = Recorder::start("a test", &mut config, start.seed, times, &[], &mut out);
    let mut node = Node::new(config, start.seed, start.now, start.wall, &[]).expect("a node");
    let (mut number, mut changed) = (0, None);
    while let Some(frame) = next() {
        let Frame::Input(given) = frame else { continue };
        let mut room = Room::default();
        let (now, input) = given.input(&mut room);
        match change(&input).filter(|_| changed.is_none()) {
            Some(other) => {
                changed = Some(number);
                recorder.input(now, &other.as_input(), &mut out);
            }
            None => recorder.input(now, &input, &mut out),
        }
        let mut outputs = Vec::new();
        let wake_at = step(&mut node, now, input, |output| outputs.push(output));
        recorder.outcome(&outputs, wake_at, &mut out);
        number += 1;
    }
    recorder.end(End::Stopped, &mut out);
    (out, changed.expect("there is one to change"))
}

type Change = dyn Fn(&Input<'_>) -> Option<Other>;

/// An input in the place of another.
enum Other {
    Bytes(LinkId, Vec<u8>),
    Datagram(SocketAddr, Vec<u8>),
    Bound(SocketAddr),
    Wake,
}

impl Other {
    fn as_input(&self) -> Input<'_> {
        match self {
            Self::Bytes(link, bytes) => Input::LinkBytes { link: *link, bytes },
            Self::Datagram(from, bytes) => Input::Datagram { from: *from, bytes },
            Self::Bound(local) => Input::Bound { local: *local },
            Self::Wake => Input::Wake,
        }
    }
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    *flipped.first_mut().expect("not empty") ^= 0x80;
    flipped
}

#[test]
fn one_input_that_was_another_is_found_where_it_was() {
    let scenario = Scenario::draw(41); // the shortest of the first that have discovery
    let recording = record(&scenario, HostId(0)).1.remove(0);
    let changes: [&Change; 4] = [
        &|input| match input {
            Input::LinkBytes { link, bytes } => Some(Other::Bytes(*link, flipped(bytes))),
            _ => None,
        },
        &|input| match input {
            Input::Datagram { from, bytes } => Some(Other::Datagram(*from, flipped(bytes))),
            _ => None,
        },
        &|input| match input {
            Input::Bound { local } => Some(Other::Bound((local.ip(), local.port() + 1).into())),
            _ => None,
        },
        &|input| matches!(input, Input::LinkOpened { .. }).then_some(Other::Wake),
    ];
    const BOUND: usize = 2;
    for (what, change) in changes.iter().enumerate() {
        let (recording, number) = with_another_input(&scenario, &recording, *change);
        match again(&recording) {
            // Where the socket is bound shows only in the record, which waits for peers.
            Err(Stopped::Differs(it)) if what == BOUND => assert!(it.input.number >= number),
            Err(Stopped::Differs(it)) => assert_eq!(it.input.number, number, "change {what}"),
            other => panic!("change {what} at input {number}: {other:?}"),
        }
    }
}
