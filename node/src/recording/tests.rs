use std::sync::mpsc;

use stayfound_core::cluster::Manifest;
use stayfound_core::keys::SecretKey;
use stayfound_core::node::{Node, step};
use stayfound_core::recording::{Frame, Frames};

use super::*;

const NO_LIMIT: u64 = u64::MAX;

/// A disk that keeps what is written, and can be told to fail or to wait.
#[derive(Clone, Default)]
struct Disk {
    written: Arc<Mutex<Vec<u8>>>,
    full_at: Option<usize>,
    /// Held while the disk is to wait.
    held: Arc<Mutex<()>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _turn = self.held.lock().expect("nobody panics");
        let mut written = self.written.lock().expect("nobody panics");
        let room = self.full_at.map_or(usize::MAX, |full| full - written.len());
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let bytes = &bytes[..bytes.len().min(room)];
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk {
    fn tape(&self, limit: u64) -> (Tape, Node) {
        let key = SecretKey::from_bytes(&[7; 32]).expect("a key");
        let manifest = Manifest::alone(&key);
        let (external, hints, discovery) = (Vec::new(), Vec::new(), None);
        let mut config = Config { key, manifest, external, hints, discovery };
        let times = (Mono(0), Wall(1));
        let recording = Recording::to(self.clone(), limit);
        let tape = Tape::start(recording, &mut config, [1; 32], times, &[]);
        let node = Node::new(config, [1; 32], times.0, times.1, &[]).expect("a node");
        (tape, node)
    }

    fn written(&self) -> Vec<u8> {
        self.written.lock().expect("nobody panics").clone()
    }
}

/// Gives the node this input; answers whether it is still recorded.
fn happens(tape: &mut Tape, node: &mut Node, at: u64, input: Input<'_>) -> bool {
    let mut outputs = Vec::new();
    tape.input(Mono(at), &input);
    let wake_at = step(node, Mono(at), input, |output| outputs.push(output));
    tape.outcome(&outputs, wake_at);
    tape.recorder.is_some()
}

/// How many inputs there are, and how it ends.
fn read(recording: &[u8]) -> (u64, Option<End>) {
    let mut frames = Frames::of(recording).expect("a recording");
    let (mut inputs, mut end) = (0, None);
    while let Some(frame) = frames.next().expect("is whole") {
        match frame {
            Frame::Outcome(_) => inputs += 1,
            Frame::End(why) => end = Some(why),
            _ => {}
        }
    }
    (inputs, end)
}

#[test]
fn everything_is_written_when_it_is_let_go_of() {
    let disk = Disk::default();
    let (mut tape, mut node) = disk.tape(NO_LIMIT);
    for at in 1..=100 {
        assert!(happens(&mut tape, &mut node, at, Input::Wake));
    }
    tape.end(End::Stopped);
    drop(tape);
    assert_eq!(read(&disk.written()), (100, Some(End::Stopped)));
}

#[test]
fn the_input_of_a_panic_is_the_last() {
    let disk = Disk::default();
    let (mut tape, mut node) = disk.tape(NO_LIMIT);
    happens(&mut tape, &mut node, 1, Input::Wake);
    tape.input(Mono(2), &Input::Wake);
    drop(tape);
    let written = disk.written();
    assert_eq!(read(&written), (1, None));
    let mut frames = Frames::of(&written).expect("a recording");
    let mut last = None;
    while let Some(frame) = frames.next().expect("is whole") {
        last = Some(frame);
    }
    assert!(matches!(last, Some(Frame::Input(_))), "{last:?}");
}

#[test]
fn it_ends_at_its_limit() {
    let disk = Disk::default();
    let (mut tape, mut node) = disk.tape(2_000);
    let ended = (1..1_000).find(|at| !happens(&mut tape, &mut node, *at, Input::Wake));
    let ended = ended.expect("it ends");
    assert!(!happens(&mut tape, &mut node, 1_001, Input::Wake));
    drop(tape);
    let written = disk.written();
    assert_eq!(read(&written), (ended, Some(End::Limit)));
    assert!((2_000..2_200).contains(&written.len()), "{}", written.len());
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let disk = Disk { full_at: Some(1_000), ..Disk::default() };
    let (mut tape, mut node) = disk.tape(NO_LIMIT);
    let mut at = 0;
    let mut next = || {
        at += 1;
        at
    };
    while happens(&mut tape, &mut node, next(), Input::Wake) {}
    for _ in 0..100 {
        assert!(!happens(&mut tape, &mut node, next(), Input::Wake));
    }
    assert!(tape.room.is_empty() && tape.shared.lock().bytes.is_empty(), "nothing is kept");
    drop(tape);
    let (_, end) = read(&disk.written());
    assert_eq!((disk.written().len(), end), (1_000, None));
}

#[test]
fn a_slow_disk_ends_the_recording_and_nothing_else() {
    let disk = Disk::default();
    let hold = disk.held.clone();
    let (held, is_held) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let holder = thread::spawn(move || {
        let _turn = hold.lock().expect("nobody panics");
        held.send(()).expect("somebody waits");
        let _ = released.recv();
    });
    is_held.recv().expect("it holds");
    let (mut tape, mut node) = disk.tape(NO_LIMIT);
    let bytes = vec![0; 1 << 20];
    let local = ([127, 0, 0, 1], 9).into();
    let datagram = Input::Datagram { from: local, bytes: &bytes };
    let ended = (1..100).find(|at| !happens(&mut tape, &mut node, *at, datagram));
    let ended = ended.expect("it ends");
    let waiting = tape.shared.lock().bytes.len();
    assert!(waiting < BUFFER_BYTES_MAX + (2 << 20), "{waiting}");
    release.send(()).expect("it waits");
    holder.join().expect("it ends");
    drop(tape);
    assert_eq!(read(&disk.written()), (ended, Some(End::Behind)));
}

#[test]
fn the_secret_key_is_not_in_it() {
    let disk = Disk::default();
    let (mut tape, mut node) = disk.tape(NO_LIMIT);
    let local = ([203, 0, 113, 9], 9).into();
    happens(&mut tape, &mut node, 1, Input::Bound { local });
    tape.end(End::Stopped);
    drop(tape);
    let written = disk.written();
    let mut frames = Frames::of(&written).expect("a recording");
    let mut computed = 0;
    while let Some(frame) = frames.next().expect("is whole") {
        if let Frame::Outcome(outcome) = frame {
            computed += outcome.computed.len();
        }
    }
    assert_eq!(computed, 1, "its record was signed");
    assert!(!written.windows(16).any(|window| window == [7; 16]));
}
