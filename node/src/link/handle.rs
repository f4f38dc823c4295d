//! Our handle on an open link: where the daemon puts what it wants sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use quinn::{Connection, VarInt};
use stayfound_core::mesh::{CloseReason, FRAME_BYTES_MAX};
use tokio::sync::mpsc;

/// What may wait to be sent over one link, in bytes. A peer that lets more pile up does not read.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// What a waiting frame costs besides its bytes, so that many small ones count, too.
const QUEUE_BYTES_PER_FRAME: usize = 64;
const _: () = assert!(QUEUE_BYTES_MAX >= 8 * FRAME_BYTES_MAX);

/// Why the driver closes such a link.
const NOT_READ: (VarInt, &[u8]) = (VarInt::from_u32(16), b"too much was left unread");

/// Our handle on an open link.
pub struct Link {
    connection: Connection,
    outgoing: mpsc::UnboundedSender<Bytes>,
    queued: Arc<AtomicUsize>,
}

/// Bytes on their way from a [`Link`] to its stream.
pub(super) struct Outgoing {
    pub(super) frames: mpsc::UnboundedReceiver<Bytes>,
    pub(super) queued: Arc<AtomicUsize>,
}

/// The peer does not read: the link is closed.
#[derive(Debug)]
pub struct NotRead;

pub(super) fn link(connection: Connection) -> (Link, Outgoing) {
    let (outgoing, frames) = mpsc::unbounded_channel();
    let queued = Arc::<AtomicUsize>::default();
    (Link { connection, outgoing, queued: queued.clone() }, Outgoing { frames, queued })
}

impl Link {
    /// Queues bytes.
    ///
    /// # Errors
    /// [`NotRead`] if too much is waiting already; the link is closed.
    pub fn send(&self, bytes: Bytes) -> Result<(), NotRead> {
        let cost = cost(&bytes);
        if self.queued.fetch_add(cost, Ordering::Relaxed) + cost > QUEUE_BYTES_MAX {
            self.connection.close(NOT_READ.0, NOT_READ.1);
            return Err(NotRead);
        }
        // Fails only if the link has ended, which is reported on its own.
        let _ = self.outgoing.send(bytes);
        Ok(())
    }

    /// Closes the link, telling the peer why.
    pub fn close(self, why: CloseReason) {
        close(&self.connection, why);
    }
}

/// Closes a connection, telling the peer why.
pub(super) fn close(connection: &Connection, why: CloseReason) {
    let text = match why {
        CloseReason::Superseded => "superseded by another link",
        CloseReason::Violation => "violation of the protocol",
        CloseReason::Silent => "no hello in time",
        CloseReason::Stranger => "no operator of this cluster",
        CloseReason::Unauthorised => "no operator of this cluster any more",
    };
    connection.close(VarInt::from_u32(why as u32), text.as_bytes());
}

pub(super) fn cost(bytes: &Bytes) -> usize {
    bytes.len() + QUEUE_BYTES_PER_FRAME
}
