//! What survives a crash: the rows of the node database.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use stayfound_core::database::Row;
use stayfound_core::record::NodeId;

mod disk;
#[cfg(test)]
mod tests;

pub use disk::DiskStore;

/// Where a node keeps its rows. One node, one store.
pub trait Store: Send {
    /// Every row, in any order.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed.
    fn load(&mut self) -> Result<Vec<Row>, StoreError>;

    /// Writes rows, each in the place of the row of the same key, all or none. They survive a
    /// crash of the machine from the moment that this returns.
    ///
    /// # Errors
    /// [`StoreError`]; none of the rows was written, or what was written is unknown.
    fn put(&mut self, rows: &[Row]) -> Result<(), StoreError>;
}

/// A store that forgets everything when it is dropped.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(BTreeMap<NodeId, Bytes>);

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Vec<Row>, StoreError> {
        Ok(self.0.iter().map(|(key, value)| Row { key: *key, value: value.clone() }).collect())
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        self.0.extend(rows.iter().map(|row| (row.key, row.value.clone())));
        Ok(())
    }
}

/// Why a store cannot be opened, read or written. Whatever was there before is untouched, except
/// by [`StoreError::Failed`].
#[derive(Debug)]
pub enum StoreError {
    /// The data directory cannot be made or used.
    Directory(PathBuf, io::Error),
    /// The database file cannot be opened for reading and writing.
    File(PathBuf, io::Error),
    /// In the place of the database is a link, a directory or a device.
    NotAFile(PathBuf),
    /// The file is something else than a database.
    NotADatabase(PathBuf),
    /// The file is a database, but not one that stayfound made.
    Foreign(PathBuf),
    /// The file is a damaged database.
    Damaged(PathBuf, String),
    /// Another program has the database open: another instance of stayfound.
    InUse(PathBuf),
    /// The database belongs to another node.
    OtherIdentity {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: NodeId,
        /// Who we are.
        ours: NodeId,
    },
    /// The database has a form that this version does not know.
    Version(PathBuf, u64),
    /// Reading or writing failed.
    Failed(PathBuf, String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path, why) => write!(
                f,
                "the data directory {} cannot be used: {why}; give one that this user may write to",
                path.display()
            ),
            Self::File(path, why) => write!(
                f,
                "the database {} cannot be opened: {why}; let this user read and write it",
                path.display()
            ),
            Self::NotAFile(path) => write!(
                f,
                "{} is no file but a link, a directory or a device, and was left as it is; move it \
                 away, or give another data directory",
                path.display()
            ),
            Self::NotADatabase(path) => write!(
                f,
                "{} is no database and was left as it is; move it away, or give another data \
                 directory",
                path.display()
            ),
            Self::Foreign(path) => write!(
                f,
                "the database {} was not made by stayfound and was left as it is; move it away, \
                 or give another data directory",
                path.display()
            ),
            Self::Damaged(path, why) => write!(
                f,
                "the database {} is damaged ({why}) and was left as it is; move it away and start \
                 again: the other operators hold what was in it",
                path.display()
            ),
            Self::InUse(path) => write!(
                f,
                "the database {} is in use by another instance; stop that one, or give this one \
                 a data directory of its own",
                path.display()
            ),
            Self::OtherIdentity { path, owner, ours } => write!(
                f,
                "the database {} belongs to node {owner}, but the key is that of node {ours}; \
                 give each key a data directory of its own",
                path.display()
            ),
            Self::Version(path, version) => write!(
                f,
                "the database {} has form {version}, which this version does not know; run the \
                 version of stayfound that wrote it, or a newer one",
                path.display()
            ),
            Self::Failed(path, why) => write!(
                f,
                "the database {} failed: {why}; look for a full or failing disk",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StoreError {}
