//! The frames of a recording: each checked, and each bound to all before it.
//!
//! A frame is the length of its content (32 bits, then the same inverted), its kind (one byte), the
//! content, and the first 8 bytes of SHA-256 over the check of the frame before, kind and content.
//! So nothing can be changed, left out, doubled or exchanged unnoticed, and a length that was damaged
//! is not taken for a recording that ends too early.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::code::{Reader, Writer};
use super::input::{self, Room};
use super::start::{self, Start};
use super::{End, Outcome};
use crate::database::Row;
use crate::node::Input;
use crate::time::Mono;

/// What every recording begins with; then comes the version, one byte.
pub const MAGIC: &[u8; 20] = b"stayfound recording\n";
/// The version that is written and read.
pub const VERSION: u8 = 1;
/// The longest content of a frame: a manifest of 256 operators, or what a link said in one go, is far
/// below.
pub const FRAME_BYTES_MAX: usize = 1 << 24;

pub(super) const START: u8 = 1;
pub(super) const ROW: u8 = 2;
pub(super) const INPUT: u8 = 3;
pub(super) const OUTCOME: u8 = 4;
pub(super) const END: u8 = 5;

const HEAD_BYTES: usize = 9;
const CHECK_BYTES: usize = 8;

type Check = [u8; CHECK_BYTES];

/// One frame.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    /// What the node was made of: always the first, and once.
    Start(Box<Start>),
    /// A row that was stored at the start: right after it.
    Row(Row),
    /// Something happens to the node.
    Input(Given<'a>),
    /// What came of the input before.
    Outcome(Outcome),
    /// Nothing more is recorded.
    End(End),
}

/// An input, as bytes that were checked.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a>(&'a [u8]);

/// The frames of a recording, in order. Everything but the last frame, which may have been cut off
/// when the node died, is what was written, or an error.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    whole: &'a [u8],
    /// Where the next frame begins.
    at: usize,
    number: u64,
    check: Check,
    /// The kind of the frame before; 0 before the first.
    before: u8,
    /// The time of the input before, or of the start.
    now: Mono,
}

/// Why bytes are no recording that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not begin as a recording does.
    NoRecording,
    /// It is of a version that this program does not know.
    Version(u8),
}

/// A frame that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its number, from 0.
    pub frame: u64,
    /// Where in the recording it begins, in bytes.
    pub at: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Writes frames, each bound to those before.
pub(super) struct Chain(Check);

impl Chain {
    pub(super) fn begin(out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        Self(first_check(VERSION))
    }

    pub(super) fn frame(
        &mut self,
        kind: u8,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        let begin = out.len();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        write(&mut Writer(out));
        let content = out.len() - begin - HEAD_BYTES;
        assert!(content <= FRAME_BYTES_MAX, "a frame of {content} bytes");
        let length = content as u32;
        out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
        out[begin + 4..begin + 8].copy_from_slice(&(!length).to_le_bytes());
        out[begin + 8] = kind;
        self.0 = check(&self.0, &out[begin + 8..]);
        out.extend_from_slice(&self.0);
    }
}

fn first_check(version: u8) -> Check {
    check(&[0; CHECK_BYTES], &[version])
}

fn check(before: &Check, content: &[u8]) -> Check {
    let hash: [u8; 32] = Sha256::new().chain_update(before).chain_update(content).finalize().into();
    *hash.first_chunk().expect("32 bytes begin with 8")
}

impl<'a> Frames<'a> {
    /// The frames of a recording.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn of(whole: &'a [u8]) -> Result<Self, Unreadable> {
        let rest = whole.strip_prefix(MAGIC).ok_or(Unreadable::NoRecording)?;
        let version = *rest.first().ok_or(Unreadable::NoRecording)?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let (at, check) = (MAGIC.len() + 1, first_check(version));
        Ok(Self { whole, at, number: 0, check, before: 0, now: Mono(0) })
    }

    /// How many bytes of the recording were read.
    #[must_use]
    pub fn read(&self) -> usize {
        self.at
    }

    /// How many bytes follow: of a frame that was cut off, once [`Frames::next`] answered `None`.
    #[must_use]
    pub fn left(&self) -> usize {
        self.whole.len() - self.at
    }

    /// The next frame; `None` at the end, which may be in the middle of a frame.
    ///
    /// # Errors
    /// [`Damage`]; the next call says the same.
    #[expect(clippy::should_implement_trait, reason = "after an error there is no next one")]
    pub fn next(&mut self) -> Result<Option<Frame<'a>>, Damage> {
        let damage = |what| Damage { frame: self.number, at: self.at, what };
        let rest = &self.whole[self.at..];
        let Some((head, rest)) = rest.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [a, b, c, d, e, f, g, h, kind] = *head;
        let length = u32::from_le_bytes([a, b, c, d]);
        if length != !u32::from_le_bytes([e, f, g, h]) {
            return Err(damage("its length is not as it was written"));
        }
        let length = length as usize;
        if length > FRAME_BYTES_MAX {
            return Err(damage("it is longer than a frame can be"));
        }
        if rest.len() < length + CHECK_BYTES {
            return Ok(None);
        }
        let checked = &self.whole[self.at + HEAD_BYTES - 1..][..1 + length];
        let expected = check(&self.check, checked);
        if rest[length..length + CHECK_BYTES] != expected {
            return Err(damage(
                "its content is not as it was written, or a frame before it is gone",
            ));
        }
        if !follows(kind, self.before) {
            return Err(damage("no such frame can be here"));
        }
        let (frame, at) = decode(kind, &rest[..length])
            .ok_or_else(|| damage("its content is of no form that is known"))?;
        if at.is_some_and(|at| at < self.now) {
            return Err(damage("it is of a time before the last"));
        }
        self.now = at.unwrap_or(self.now);
        (self.check, self.before) = (expected, kind);
        self.at += HEAD_BYTES + length + CHECK_BYTES;
        self.number += 1;
        Ok(Some(frame))
    }
}

/// Whether a frame of a kind can come right after one of another, 0 being none.
fn follows(kind: u8, before: u8) -> bool {
    match kind {
        START => before == 0,
        ROW => matches!(before, START | ROW),
        INPUT | END => matches!(before, START | ROW | OUTCOME),
        OUTCOME => before == INPUT,
        _ => false,
    }
}

/// What is in a frame, and of what time it is.
fn decode(kind: u8, content: &[u8]) -> Option<(Frame<'_>, Option<Mono>)> {
    let mut from = Reader(content);
    let (frame, at) = match kind {
        START => {
            let start = Start::decode(&mut from)?;
            let now = start.now;
            (Frame::Start(Box::new(start)), Some(now))
        }
        ROW => (Frame::Row(start::decode_row(&mut from)?), None),
        INPUT => {
            let (now, _) = input::decode(&mut from, &mut Room::default())?;
            (Frame::Input(Given(content)), Some(now))
        }
        OUTCOME => (Frame::Outcome(Outcome::decode(&mut from)?), None),
        END => (Frame::End(End::decode(&mut from)?), None),
        _ => return None,
    };
    from.is_at_end().then_some((frame, at))
}

impl<'a> Given<'a> {
    /// When, and what. `room` holds what the input only borrows.
    #[must_use]
    pub fn input<'b>(&self, room: &'b mut Room) -> (Mono, Input<'b>)
    where
        'a: 'b,
    {
        input::decode(&mut Reader(self.0), room).expect("it was decoded before")
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecording => f.write_str("it is no recording of a node"),
            Self::Version(version) => write!(
                f,
                "it is a recording of version {version}, and this program reads version {VERSION}"
            ),
        }
    }
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frame, at, what } = self;
        write!(f, "frame {frame}, at byte {at}, is damaged: {what}")
    }
}

impl std::error::Error for Damage {}
