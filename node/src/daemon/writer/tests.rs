use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::*;

/// What a store was asked to write, batch by batch.
type Batches = Arc<Mutex<Vec<Vec<Row>>>>;

/// A store that writes when it is told to.
struct Gated {
    batches: Batches,
    gate: Option<mpsc::Receiver<()>>,
    broken: bool,
}

fn broken() -> StoreError {
    StoreError::Failed(PathBuf::from("broken"), "on purpose".into())
}

impl Store for Gated {
    fn load(&mut self) -> Result<Vec<Row>, StoreError> {
        if self.broken { Err(broken()) } else { Ok(vec![row(9, 9)]) }
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        if let Some(gate) = &self.gate {
            gate.recv().map_err(|_| broken())?;
        }
        self.batches.lock().expect("no panic").push(rows.to_vec());
        Ok(())
    }
}

fn row(key: u8, value: u8) -> Row {
    Row { key: NodeId([key; 32]), value: Bytes::copy_from_slice(&[value]) }
}

fn open() -> (Box<Gated>, Batches) {
    let batches = Batches::default();
    (Box::new(Gated { batches: batches.clone(), gate: None, broken: false }), batches)
}

fn gated() -> (Box<Gated>, Batches, mpsc::Sender<()>) {
    let (gate, opened) = mpsc::channel();
    let (mut store, batches) = open();
    store.gate = Some(opened);
    (store, batches, gate)
}

async fn durable(writer: &mut Writer) -> Option<Ticket> {
    timeout(Duration::from_secs(10), writer.durable()).await.expect("the thread lives")
}

fn flat(batches: &Batches) -> Vec<Row> {
    batches.lock().expect("no panic").concat()
}

#[tokio::test]
async fn every_row_is_reported_when_it_is_durable() {
    let (store, batches) = open();
    let (mut writer, rows) = Writer::start(store).await.expect("loads");
    assert_eq!(rows, [row(9, 9)]);
    writer.put(Ticket(0), row(1, 1));
    writer.put(Ticket(1), row(2, 1));
    while durable(&mut writer).await != Some(Ticket(1)) {}
    assert_eq!(flat(&batches), [row(1, 1), row(2, 1)]);
}

#[tokio::test]
async fn nothing_is_reported_before_the_store_has_written() {
    let (store, batches, gate) = gated();
    let (mut writer, _) = Writer::start(store).await.expect("loads");
    writer.put(Ticket(0), row(1, 1));
    assert!(timeout(Duration::from_millis(20), writer.durable()).await.is_err());
    assert!(flat(&batches).is_empty());
    gate.send(()).expect("the store waits");
    assert_eq!(durable(&mut writer).await, Some(Ticket(0)));
}

#[tokio::test]
async fn a_slow_disk_gets_the_newest_row_of_each_node_alone() {
    let (store, batches, gate) = gated();
    let (mut writer, _) = Writer::start(store).await.expect("loads");
    for ticket in 0..=255 {
        writer.put(Ticket(ticket.into()), row(1, ticket));
    }
    for _ in 0..2 {
        gate.send(()).expect("the store waits"); // one batch or two
    }
    while durable(&mut writer).await != Some(Ticket(255)) {}
    assert!(flat(&batches).len() <= 2);
    assert_eq!(flat(&batches).last(), Some(&row(1, 255)));
}

#[tokio::test]
async fn closing_waits_for_what_is_queued() {
    let (store, batches, gate) = gated();
    let (writer, _) = Writer::start(store).await.expect("loads");
    writer.put(Ticket(0), row(1, 1));
    writer.put(Ticket(1), row(2, 1));
    let mut closing = Box::pin(writer.close());
    assert!(timeout(Duration::from_millis(20), &mut closing).await.is_err(), "nothing written yet");
    for _ in 0..2 {
        let _ = gate.send(()); // one batch or two
    }
    closing.await.expect("written");
    assert_eq!(flat(&batches), [row(1, 1), row(2, 1)]);
}

#[tokio::test]
async fn a_writer_that_is_dropped_still_writes() {
    let (store, batches, gate) = gated();
    let (writer, _) = Writer::start(store).await.expect("loads");
    let mut done = writer.durable.clone();
    writer.put(Ticket(0), row(1, 1));
    drop(writer);
    gate.send(()).expect("the store waits");
    while done.changed().await.is_ok() {}
    assert_eq!(flat(&batches), [row(1, 1)]);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_no_start() {
    let (mut store, _) = open();
    store.broken = true;
    assert!(matches!(Writer::start(store).await, Err(StoreError::Failed(..))));
}

#[tokio::test]
async fn a_store_that_fails_ends_the_writing() {
    let (store, batches, gate) = gated();
    let (mut writer, _) = Writer::start(store).await.expect("loads");
    drop(gate);
    writer.put(Ticket(0), row(1, 1));
    assert_eq!(durable(&mut writer).await, None);
    writer.put(Ticket(1), row(2, 1)); // nobody writes it, and nobody says that it was written
    assert!(matches!(writer.close().await, Err(StoreError::Failed(..))));
    assert!(flat(&batches).is_empty());
}
