//! Sessions: the keys that two endpoints share, and the nonces that they never use twice.

use std::time::Duration;

use super::cipher::{Cipher, Mask};
use super::handshake::Keys;
use super::packet::Nonce;
use crate::chance::Stream;
use crate::marks::{Mark, mark};
use crate::record::Signed;
use crate::time::Mono;

/// How many sessions are kept; the one used longest ago goes first (R40).
pub const SESSIONS_MAX: usize = 1024;
/// How long the keys before the present ones count: after handshakes that crossed, until both sides
/// have asked each other something ([`CHECK_MIN`](super::table::CHECK_MIN)). Longer, whoever
/// recorded a packet under them could have us write with keys that the peer has given up.
pub const PREVIOUS_FOR: Duration = Duration::from_secs(30);

const _: () = assert!(PREVIOUS_FOR.as_secs() > 2 * super::table::CHECK_MIN.as_secs());

/// One direction each.
pub(super) struct Ciphers {
    read: Cipher,
    write: Cipher,
}

impl Ciphers {
    /// Those of the side that initiated the handshake (R43).
    pub(super) fn of_initiator(keys: &Keys) -> Self {
        Self { read: Cipher::new(&keys.recipient), write: Cipher::new(&keys.initiator) }
    }

    /// Those of the side that challenged.
    pub(super) fn of_recipient(keys: &Keys) -> Self {
        Self { read: Cipher::new(&keys.initiator), write: Cipher::new(&keys.recipient) }
    }

    pub(super) fn write(&self) -> &Cipher {
        &self.write
    }

    /// Decrypts in place; `None` leaves the message as it was.
    pub(super) fn open(&self, nonce: &Nonce, ad: &[u8], message: &mut [u8]) -> Option<usize> {
        self.read.open_in_place(nonce, ad, message)
    }
}

/// What we share with a node at one endpoint.
pub(super) struct Session {
    /// The header mask of packets to the node.
    pub(super) mask: Mask,
    /// The node's record, as far as it has told us.
    pub(super) record: Signed,
    ciphers: Ciphers,
    /// Those before. Both sides may shake hands at the same moment and end with either pair;
    /// whichever the peer goes on with is then ours as well, for a while.
    previous: Option<Box<Ciphers>>,
    renewed: Mono,
    /// How many nonces were used.
    counter: u32,
    /// The seq of our own record that the node has, as far as we have shown it.
    own_seq: u64,
}

impl Session {
    pub(super) fn new(mask: Mask, record: Signed, ciphers: Ciphers, own_seq: u64) -> Self {
        Self { mask, record, ciphers, previous: None, renewed: Mono(0), counter: 0, own_seq }
    }

    /// New keys that are proved: the peer has used them.
    pub(super) fn renew(&mut self, now: Mono, record: Signed, ciphers: Ciphers, own_seq: u64) {
        self.own_seq = self.own_seq.max(own_seq);
        assert_eq!(self.record.node_id(), record.node_id(), "a session is of one node");
        let before = std::mem::replace(&mut self.ciphers, ciphers);
        (self.previous, self.renewed) = (Some(Box::new(before)), now);
        if record.seq() > self.record.seq() {
            self.record = record; // only a higher seq replaces what is known (R69)
        }
    }

    /// Whether the node may not have our record of this seq.
    pub(super) fn is_before(&self, own_seq: u64) -> bool {
        self.own_seq < own_seq
    }

    /// A nonce never used before: counter ‖ 64 random bits (R42). `None` when the counter has come
    /// to its end: then the session must be given up.
    pub(super) fn nonce(&mut self, chance: &mut Stream) -> Option<Nonce> {
        self.counter = self.counter.checked_add(1)?;
        Some(nonce(self.counter, chance))
    }

    pub(super) fn cipher(&self) -> &Cipher {
        self.ciphers.write()
    }

    /// Decrypts in place; answers the length, or `None`, which leaves the message as it was.
    pub(super) fn open(
        &mut self,
        now: Mono,
        nonce: &Nonce,
        ad: &[u8],
        message: &mut [u8],
    ) -> Option<usize> {
        if let Some(length) = self.ciphers.open(nonce, ad, message) {
            return Some(length);
        }
        let previous = self.previous.as_mut().filter(|_| now.since(self.renewed) < PREVIOUS_FOR)?;
        let length = previous.open(nonce, ad, message)?;
        mark(Mark::KeysBefore);
        std::mem::swap(&mut self.ciphers, previous);
        Some(length)
    }
}

/// counter ‖ 64 random bits.
pub(super) fn nonce(counter: u32, chance: &mut Stream) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[..4].copy_from_slice(&counter.to_be_bytes());
    nonce[4..].copy_from_slice(&chance.draw().to_be_bytes());
    nonce
}
