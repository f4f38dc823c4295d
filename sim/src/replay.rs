//! A recording of a node, in production or in a run, happens to the core once more: what the node
//! wanted done must be the same after every input.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use stayfound_core::keys::{Holder, Point, Signature};
use stayfound_core::node::{Node, StartError};
use stayfound_core::recording::{
    Computed, Damage, Digest, End, Frame, Frames, Given, Outcome, Room, Start, Unreadable,
};
use stayfound_core::step;
use stayfound_core::time::Mono;

use crate::run::caught;
use crate::trace::{in_words, input_in_words};

/// A recording that was replayed to its end, with the same outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many inputs there were.
    pub inputs: u64,
    /// From the node's start to its last input.
    pub until: Mono,
    /// The digest of all outputs.
    pub digest: u64,
    /// How the recording ends.
    pub ending: Ending,
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Ended(End),
    /// With a whole frame: the node died, or runs on.
    Open,
    /// In the middle of a frame, of which so many bytes are there: the node died.
    CutOff(usize),
}

/// Why a replay stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is no recording.
    Unreadable(Unreadable),
    /// A frame is damaged.
    Damaged(Damage),
    /// It ends before the node was made.
    Empty,
    /// No node can be made of what it says.
    Start(StartError),
    /// The node did something else after this input.
    Differs(Difference),
    /// The node broke an invariant of its own.
    Panicked {
        /// At which input.
        input: Place,
        /// What it said, and where.
        why: String,
    },
}

/// An input of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0.
    pub number: u64,
    /// When it happened.
    pub at: Mono,
    /// In words.
    pub text: String,
}

/// The first input after which recording and replay differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub input: Place,
    /// In what.
    pub what: &'static str,
    /// What the node wanted done in the replay, in words. The recording has a digest of it alone.
    pub outputs: Vec<String>,
}

/// A node to which a recording happens.
struct Player {
    node: Node,
    key: Arc<Answers>,
    digest: Digest,
    inputs: u64,
    until: Mono,
    last: u64,
}

/// Stands in for the secret key: what was computed with it in the recording, in order.
#[derive(Default)]
struct Answers(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    computed: VecDeque<Computed>,
    /// Whether something else was asked than was in the recording.
    missed: bool,
}

/// Replays a recording. `progress` is told how many of its bytes are done.
///
/// # Errors
/// [`Stopped`]: the first thing that is not as it should be.
pub fn replay(recording: &[u8], progress: &mut dyn FnMut(usize)) -> Result<Replayed, Stopped> {
    let mut frames = Frames::of(recording).map_err(Stopped::Unreadable)?;
    let (mut player, mut next) = begin(&mut frames)?;
    let mut ended = None;
    while let Some(frame) = next {
        progress(frames.read());
        let following = frames.next().map_err(Stopped::Damaged)?;
        match (frame, &following) {
            (Frame::Input(given), Some(Frame::Outcome(outcome))) => {
                player.play(&given, Some(outcome))?;
            }
            (Frame::Input(given), _) => player.play(&given, None)?,
            (Frame::End(end), _) => ended = Some(end),
            (Frame::Outcome(_), _) => {}
            (Frame::Start(_) | Frame::Row(_), _) => unreachable!("they come first"),
        }
        next = following;
    }
    let Player { inputs, until, last, .. } = player;
    let ending = match (ended, frames.left()) {
        (Some(end), 0) => Ending::Ended(end),
        (_, 0) => Ending::Open,
        (_, left) => Ending::CutOff(left),
    };
    Ok(Replayed { inputs, until, digest: last, ending })
}

/// What the recording is of: for people, before a long replay.
///
/// # Errors
/// [`Stopped`].
pub fn start_of(recording: &[u8]) -> Result<Start, Stopped> {
    let mut frames = Frames::of(recording).map_err(Stopped::Unreadable)?;
    match frames.next().map_err(Stopped::Damaged)? {
        Some(Frame::Start(start)) => Ok(*start),
        _ => Err(Stopped::Empty),
    }
}

/// Makes the node; answers the first frame after what it is made of.
fn begin<'a>(frames: &mut Frames<'a>) -> Result<(Player, Option<Frame<'a>>), Stopped> {
    let Some(Frame::Start(start)) = frames.next().map_err(Stopped::Damaged)? else {
        return Err(Stopped::Empty);
    };
    let mut rows = Vec::new();
    let next = loop {
        match frames.next().map_err(Stopped::Damaged)? {
            Some(Frame::Row(row)) => rows.push(row),
            next => break next,
        }
    };
    let key = Arc::<Answers>::default();
    let config = start.config(key.clone());
    let node = caught(|| Node::new(config, start.seed, start.now, start.wall, &rows));
    let node = node.map_err(|why| {
        let (number, at, text) = (0, start.now, "the start".into());
        Stopped::Panicked { input: Place { number, at, text }, why }
    })?;
    let node = node.map_err(Stopped::Start)?;
    let (digest, inputs, until, last) = (Digest::default(), 0, start.now, 0);
    Ok((Player { node, key, digest, inputs, until, last }, next))
}

impl Player {
    /// Gives the node an input, and compares what came of it; without an outcome, because the
    /// recording ends here, there is nothing to compare.
    fn play(&mut self, given: &Given<'_>, outcome: Option<&Outcome>) -> Result<(), Stopped> {
        let mut room = Room::default();
        let (now, input) = given.input(&mut room);
        let place = |number| Place { number, at: now, text: input_in_words(&input) };
        self.key.lock().computed.extend(outcome.iter().flat_map(|it| &it.computed));
        let (node, mut outputs) = (&mut self.node, Vec::new());
        let stepped = caught(|| step(node, now, input, |output| outputs.push(output)));
        let asked = std::mem::take(&mut *self.key.lock());
        let Some(outcome) = outcome else {
            // What its key would have answered is not known either.
            return match stepped {
                Err(why) if !asked.missed => {
                    Err(Stopped::Panicked { input: place(self.inputs), why })
                }
                _ => Ok(()),
            };
        };
        let differs = |what| {
            let outputs = outputs.iter().map(in_words).collect();
            Err(Stopped::Differs(Difference { input: place(self.inputs), what, outputs }))
        };
        if asked.missed || !asked.computed.is_empty() {
            return differs("what it computed with its key");
        }
        let wake_at = match stepped {
            Ok(wake_at) => wake_at,
            Err(why) => return Err(Stopped::Panicked { input: place(self.inputs), why }),
        };
        self.last = self.digest.add(&outputs, wake_at);
        if self.last != outcome.digest {
            return differs("what it wanted done, or when to be woken");
        }
        self.inputs += 1;
        self.until = now;
        Ok(())
    }
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().expect("nobody panics while holding it")
    }

    fn answer<T>(&self, fits: impl FnOnce(Computed) -> Option<T>) -> Option<T> {
        let mut pending = self.lock();
        let answer = pending.computed.pop_front().and_then(fits);
        pending.missed |= answer.is_none();
        answer
    }
}

/// What was not recorded is answered with zeros; it is noted that it was asked.
impl Holder for Answers {
    fn sign(&self, asked: &[u8; 32]) -> Signature {
        let answer = self.answer(|computed| match computed {
            Computed::Signed { digest, signature } if digest == *asked => Some(signature),
            _ => None,
        });
        answer.unwrap_or(Signature([0; 64]))
    }

    fn agree(&self, asked: &Point) -> [u8; 33] {
        let answer = self.answer(|computed| match computed {
            Computed::Agreed { with, shared } if with == asked.coordinates() => Some(shared),
            _ => None,
        });
        answer.unwrap_or([0; 33])
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(End::Stopped) => f.write_str("the node was stopped"),
            Self::Ended(End::Limit) => f.write_str("the limit of its size was reached"),
            Self::Ended(End::Behind) => f.write_str("the disk did not keep up"),
            Self::Open => f.write_str("the node died, or still runs"),
            Self::CutOff(bytes) => {
                write!(f, "the node died: of the last frame {bytes} bytes were written")
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input {}, at {}: {}", self.number, self.at, self.text)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "{why}"),
            Self::Damaged(damage) => write!(f, "{damage}"),
            Self::Empty => f.write_str("it ends before the node was made"),
            Self::Start(why) => write!(f, "no node can be made of it: {why}"),
            Self::Panicked { input, why } => write!(f, "the node panicked: {why}\n  {input}"),
            Self::Differs(Difference { input, what, outputs }) => {
                write!(f, "the node does not do the same again: {what}\n  {input}")?;
                outputs.iter().try_for_each(|output| write!(f, "\n    now: {output}"))
            }
        }
    }
}

impl std::error::Error for Stopped {}
