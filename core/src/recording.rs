//! Recordings: everything that happened to a node, as bytes, so that it can happen again.
//!
//! A recording holds what the node was made of, every input with its time, and a digest of what the
//! node wanted done after each. The secret key is not in it: what was computed with the key is, in
//! order, and stands in for it. The format is described in `docs/replay.md`.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::database::Row;
use crate::keys::{Holder, Point, SecretKey, Signature};
use crate::node::{Config, Input, Output};
use crate::time::{Mono, Wall};

mod code;
mod digest;
mod frame;
mod input;
mod start;

use code::Writer;
pub use digest::Digest;
pub use frame::{Damage, FRAME_BYTES_MAX, Frame, Frames, Given, MAGIC, Unreadable, VERSION};
pub use input::Room;
pub use start::Start;

/// Something that was computed with the secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computed {
    /// A digest was signed.
    Signed {
        /// Which.
        digest: [u8; 32],
        /// With this signature.
        signature: Signature,
    },
    /// A point was agreed on.
    Agreed {
        /// With the key at this point: x ‖ y.
        with: [u8; 64],
        /// The shared point, compressed.
        shared: [u8; 33],
    },
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was computed with the key meanwhile, in order.
    pub computed: Vec<Computed>,
    /// The digest of all outputs so far, and of the deadlines.
    pub digest: u64,
}

/// Why a recording ends before its node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It does not: the node was stopped.
    Stopped,
    /// The recording was as long as it was allowed to be.
    Limit,
    /// The disk did not keep up.
    Behind,
}

/// What makes a recording of a node. It keeps nothing: bytes are appended to what it is given.
pub struct Recorder {
    notes: Arc<Notes>,
    digest: Digest,
    chain: frame::Chain,
}

/// A key that is noted down: whoever computes with it is asked, and the answers are kept.
struct Notes {
    key: SecretKey,
    /// `None` when nobody wants to know any more.
    computed: Mutex<Option<Vec<Computed>>>,
}

impl Recorder {
    /// Begins the recording of a node that is made of the same arguments next
    /// ([`Node::new`](crate::node::Node::new)): the configuration's key is replaced by one that is
    /// noted down. `made_by` is for people.
    #[must_use]
    pub fn start(
        made_by: &str,
        config: &mut Config,
        seed: [u8; 32],
        (now, wall): (Mono, Wall),
        stored: &[Row],
        out: &mut Vec<u8>,
    ) -> Self {
        let mut chain = frame::Chain::begin(out);
        let start = Start::of(made_by, config, seed, (now, wall));
        chain.frame(frame::START, out, |content| start.encode(content));
        for row in stored {
            chain.frame(frame::ROW, out, |content| start::encode_row(row, content));
        }
        let key = config.key.clone();
        let public_key = key.public_key();
        let notes = Arc::new(Notes { key, computed: Mutex::new(Some(Vec::new())) });
        config.key = SecretKey::held_by(public_key, notes.clone());
        Self { notes, digest: Digest::default(), chain }
    }

    /// An input is about to be handled.
    pub fn input(&mut self, now: Mono, input: &Input<'_>, out: &mut Vec<u8>) {
        self.chain.frame(frame::INPUT, out, |content| input::encode(now, input, content));
    }

    /// It was handled: what came of it, and when the node wants to be woken.
    pub fn outcome(&mut self, outputs: &[Output], wake_at: Option<Mono>, out: &mut Vec<u8>) {
        let computed = self.notes.lock().replace(Vec::new()).expect("we want to know");
        let digest = self.digest.add(outputs, wake_at);
        let outcome = Outcome { computed, digest };
        self.chain.frame(frame::OUTCOME, out, |content| outcome.encode(content));
    }

    /// Nothing more is recorded.
    pub fn end(mut self, why: End, out: &mut Vec<u8>) {
        self.chain.frame(frame::END, out, |content| content.u8(why as u8));
    }
}

impl Drop for Recorder {
    /// The node may go on, and its key is not noted down any more.
    fn drop(&mut self) {
        *self.notes.lock() = None;
    }
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Computed>>> {
        self.computed.lock().expect("nobody panics while holding the notes")
    }

    fn note(&self, computed: Computed) {
        self.lock().iter_mut().for_each(|notes| notes.push(computed));
    }
}

impl Holder for Notes {
    fn sign(&self, digest: &[u8; 32]) -> Signature {
        let signature = self.key.sign(digest);
        self.note(Computed::Signed { digest: *digest, signature });
        signature
    }

    fn agree(&self, with: &Point) -> [u8; 33] {
        let shared = self.key.agree(with);
        self.note(Computed::Agreed { with: with.coordinates(), shared });
        shared
    }
}

impl Outcome {
    fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.digest);
        out.many(&self.computed, |out, computed| match computed {
            Computed::Signed { digest, signature } => {
                out.u8(1);
                out.array(digest);
                out.array(&signature.0);
            }
            Computed::Agreed { with, shared } => {
                out.u8(2);
                out.array(with);
                out.array(shared);
            }
        });
    }

    fn decode(from: &mut code::Reader<'_>) -> Option<Self> {
        let digest = from.u64()?;
        let computed = from.many(|from| {
            Some(match from.u8()? {
                1 => {
                    let digest = from.array()?;
                    Computed::Signed { digest, signature: Signature(from.array()?) }
                }
                2 => Computed::Agreed { with: from.array()?, shared: from.array()? },
                _ => return None,
            })
        })?;
        Some(Self { computed, digest })
    }
}

impl End {
    const ALL: [Self; 3] = [Self::Stopped, Self::Limit, Self::Behind];

    fn decode(from: &mut code::Reader<'_>) -> Option<Self> {
        Self::ALL.get(usize::from(from.u8()?)).copied()
    }
}

#[cfg(test)]
mod tests;
