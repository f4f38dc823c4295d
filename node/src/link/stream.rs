//! One open link: a stream of bytes each way over a QUIC connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, VarInt, WriteError};
use stayfound_core::mesh::{CloseReason, FRAME_BYTES_MAX, LinkId};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::endpoint::Report;
use crate::socket::canonical;

/// What may wait to be sent over one link, in bytes. A peer that lets more pile up does not read.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// What a waiting frame costs besides its bytes, so that many small ones count, too.
const QUEUE_BYTES_PER_FRAME: usize = 64;
/// The longest piece of a stream that is handed on at once.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// How often a silent link's path is looked at: quinn does not report a migration.
const PATH_CHECK: Duration = Duration::from_secs(1);

const _: () = assert!(QUEUE_BYTES_MAX >= 8 * FRAME_BYTES_MAX);

/// Why the driver itself closes links: application error code and text, beside those of the core
/// ([`CloseReason`]).
pub(super) const STOPPING: (VarInt, &[u8]) = (VarInt::from_u32(0), b"stopping");
const NOT_READ: (VarInt, &[u8]) = (VarInt::from_u32(16), b"too much was left unread");
const STREAM_ENDED: (VarInt, &[u8]) = (VarInt::from_u32(17), b"the stream ended");

const _: () = assert!(CloseReason::Stranger as u32 <= 15, "the core's codes are below ours");

/// Our handle on an open link.
pub struct Link {
    connection: Connection,
    outgoing: mpsc::UnboundedSender<Bytes>,
    queued: Arc<AtomicUsize>,
}

/// Bytes on their way from a [`Link`] to its stream.
pub(super) struct Outgoing {
    frames: mpsc::UnboundedReceiver<Bytes>,
    queued: Arc<AtomicUsize>,
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
        let text = match why {
            CloseReason::Superseded => "superseded by another link",
            CloseReason::Violation => "violation of the protocol",
            CloseReason::Silent => "no hello in time",
            CloseReason::Stranger => "no operator of this cluster",
        };
        self.connection.close(VarInt::from_u32(why as u32), text.as_bytes());
    }
}

fn cost(bytes: &Bytes) -> usize {
    bytes.len() + QUEUE_BYTES_PER_FRAME
}

/// Carries a link's bytes both ways until it ends, and reports that. `stream` is the peer's, if it
/// has been accepted already.
pub(super) async fn carry(mut path: Path, stream: Option<RecvStream>, outgoing: Outgoing) {
    let (connection, reports) = (path.connection.clone(), path.reports.clone());
    let why = tokio::select! {
        () = reports.closed() => return connection.close(STOPPING.0, STOPPING.1),
        why = write(&connection, outgoing) => why,
        why = read(&mut path, stream) => why,
    };
    connection.close(STREAM_ENDED.0, STREAM_ENDED.1); // if it is still open
    path.report(Report::Closed { id: path.id, why }).await;
}

async fn write(connection: &Connection, mut outgoing: Outgoing) -> String {
    let mut stream = match connection.open_uni().await {
        Ok(stream) => stream,
        Err(error) => return describe(&error),
    };
    while let Some(bytes) = outgoing.frames.recv().await {
        let cost = cost(&bytes);
        match stream.write_chunk(bytes).await {
            Ok(()) => outgoing.queued.fetch_sub(cost, Ordering::Relaxed),
            Err(WriteError::ConnectionLost(error)) => return describe(&error),
            Err(error) => return error.to_string(),
        };
    }
    describe(&connection.closed().await) // whoever let go of the link has closed it
}

async fn read(path: &mut Path, stream: Option<RecvStream>) -> String {
    let mut stream = match stream {
        Some(stream) => stream,
        None => match path.connection.accept_uni().await {
            Ok(stream) => stream,
            Err(error) => return describe(&error),
        },
    };
    let mut ticks = interval(PATH_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let chunk = tokio::select! {
            chunk = stream.read_chunk(CHUNK_BYTES_MAX, true) => Some(chunk),
            _ = ticks.tick() => None,
        };
        // First where the peer is, then what it says from there.
        path.check().await;
        match chunk {
            None => {}
            Some(Ok(Some(chunk))) => {
                path.report(Report::Bytes { id: path.id, bytes: chunk.bytes }).await;
            }
            Some(Ok(None)) => return "the peer ended its stream".into(),
            Some(Err(ReadError::ConnectionLost(error))) => return describe(&error),
            Some(Err(error)) => return error.to_string(),
        }
    }
}

/// Where the peer of a link is seen.
pub(super) struct Path {
    id: LinkId,
    connection: Connection,
    seen: SocketAddr,
    reports: mpsc::Sender<Report>,
}

impl Path {
    pub(super) fn new(id: LinkId, connection: Connection, reports: mpsc::Sender<Report>) -> Self {
        let seen = connection.remote_address();
        Self { id, connection, seen, reports }
    }

    pub(super) fn remote(&self) -> SocketAddr {
        canonical(self.seen)
    }

    async fn check(&mut self) {
        let seen = self.connection.remote_address();
        if std::mem::replace(&mut self.seen, seen) != seen {
            self.report(Report::Moved { id: self.id, remote: self.remote() }).await;
        }
    }

    async fn report(&self, report: Report) {
        // Nobody listens only when the whole node has ended.
        let _ = self.reports.send(report).await;
    }
}

fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            format!("closed by the peer: {}", String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::LocallyClosed => "closed by us".into(),
        other => other.to_string(),
    }
}
