//! A store in memory that tests share with a node.

use std::sync::{Arc, Mutex};

use stayfound::store::{MemoryStore, Store, StoreError};
use stayfound_core::database::Row;
use stayfound_core::record::Signed;

/// A store that outlives its node, as a disk does, and can be looked at while it runs.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<MemoryStore>>);

impl Store for Disk {
    fn load(&mut self) -> Result<Vec<Row>, StoreError> {
        self.0.lock().expect("no panic").load()
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        self.0.lock().expect("no panic").put(rows)
    }
}

impl Disk {
    /// Whether this very record is in it.
    pub fn holds(&self, record: &Signed) -> bool {
        let rows = self.0.lock().expect("no panic").load().expect("memory");
        let bytes = record.as_bytes();
        let within = |row: &Row| row.value.windows(bytes.len()).any(|window| window == bytes);
        rows.iter().any(|row| row.key == record.node_id() && within(row))
    }
}
