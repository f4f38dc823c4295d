//! The thread that makes rows durable, in batches, off the daemon's way.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use stayfound_core::database::Row;
use stayfound_core::node::Ticket;
use stayfound_core::record::NodeId;
use tokio::sync::{oneshot, watch};

use crate::store::{Store, StoreError};

/// The daemon's end of the thread. Dropping it lets the thread write what is queued, and end.
pub(super) struct Writer {
    shared: Arc<Shared>,
    durable: watch::Receiver<Option<Ticket>>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// What waits for the store: of each node the newest row alone, so that it never holds more rows
/// than there are nodes, however slow the disk.
#[derive(Default)]
struct Queue {
    rows: BTreeMap<NodeId, Row>,
    latest: Option<Ticket>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics while holding the queue")
    }
}

impl Writer {
    /// Starts the thread; answers what is stored already.
    pub(super) async fn start(mut store: Box<dyn Store>) -> Result<(Self, Vec<Row>), StoreError> {
        let shared = Arc::<Shared>::default();
        let (loaded, rows) = oneshot::channel();
        let (done, durable) = watch::channel(None);
        let theirs = shared.clone();
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            // The store is let go of before `done`, so that whoever has seen the end may open it.
            let done = done;
            let rows = store.load()?;
            let _ = loaded.send(rows); // fails only if the start was given up
            write(store, &theirs, &done)
        });
        let thread = thread.expect("the system has room for a thread");
        let mut writer = Self { shared, durable, thread: Some(thread) };
        match rows.await {
            Ok(rows) => Ok((writer, rows)),
            Err(_) => Err(writer.end().expect_err("only an error keeps the rows back")),
        }
    }

    /// Queues a row.
    pub(super) fn put(&self, ticket: Ticket, row: Row) {
        let mut queue = self.shared.lock();
        assert!(queue.latest.is_none_or(|latest| latest < ticket), "writes out of order");
        queue.latest = Some(ticket);
        queue.rows.insert(row.key, row);
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// The next time that something became durable: the latest ticket that is. `None` if the
    /// store failed; [`Writer::close`] says how. Nothing is lost if this is dropped unfinished.
    pub(super) async fn durable(&mut self) -> Option<Ticket> {
        self.durable.changed().await.ok()?;
        *self.durable.borrow_and_update()
    }

    /// Waits until everything queued is durable, however long the disk takes, and the store
    /// closed.
    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        self.shut();
        while self.durable.changed().await.is_ok() {}
        self.end()
    }

    fn shut(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }

    /// The result of a thread that is at its end.
    fn end(&mut self) -> Result<(), StoreError> {
        let thread = self.thread.take().expect("a thread ends once");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shut();
    }
}

fn write(
    mut store: Box<dyn Store>,
    shared: &Shared,
    done: &watch::Sender<Option<Ticket>>,
) -> Result<(), StoreError> {
    loop {
        let mut queue = shared.lock();
        while queue.rows.is_empty() && !queue.closed {
            queue = shared.changed.wait(queue).expect("nobody panics while holding the queue");
        }
        if queue.rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<Row> = std::mem::take(&mut queue.rows).into_values().collect();
        let latest = queue.latest;
        drop(queue);
        store.put(&rows)?;
        done.send_replace(latest);
    }
}

#[cfg(test)]
mod tests;
