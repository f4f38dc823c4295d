//! One open link: a stream of bytes each way over a QUIC connection.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{Connection, ConnectionError, ReadError, RecvStream, VarInt, WriteError};
use stayfound_core::mesh::{CloseReason, LinkId};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::handle::{Outgoing, cost};
use super::report::Report;
use crate::socket::canonical;

/// The longest piece of a stream that is handed on at once.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
/// How often a silent link's path is looked at: quinn does not report a migration.
const PATH_CHECK: Duration = Duration::from_secs(1);

/// Why the driver itself closes links: application error code and text, beside those of the core
/// ([`CloseReason`]).
pub(super) const STOPPING: (VarInt, &[u8]) = (VarInt::from_u32(0), b"stopping");
const STREAM_ENDED: (VarInt, &[u8]) = (VarInt::from_u32(17), b"the stream ended");

const _: () = assert!(CloseReason::Unauthorised as u32 <= 15, "the core's codes are below ours");

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
