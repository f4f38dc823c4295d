//! The store on disk: one redb database in the data directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use redb::{StorageBackend, StorageError, TableDefinition, TableError};
use stayfound_core::database::Row;
use stayfound_core::record::NodeId;

use super::{Store, StoreError};

/// The form of what is below.
const FORM: u64 = 1;
/// `form` and `owner`: what is asked before anything else is read.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// The rows, by node id.
const ROWS: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("rows");
/// A few thousand rows of a few hundred bytes need no more.
const CACHE_BYTES_MAX: usize = 4 << 20;
/// What a redb file begins with (redb, `docs/design.md`).
const REDB_MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// redb's own header, and the page that holds it alone; everything else follows.
const REDB_HEADER_BYTES: usize = 320;
const REDB_PAGE_BYTES: usize = 4_096;

/// The store of one node in one directory. Holds the directory's database locked.
#[derive(Debug)]
pub struct DiskStore {
    path: PathBuf,
    database: Database,
}

impl DiskStore {
    /// The name of the database's file in the data directory.
    pub const FILE: &str = "stayfound.redb";

    /// Opens the store of the node `owner` in this directory, making both if they are missing
    /// (the directory for this user alone).
    ///
    /// # Errors
    /// [`StoreError`]; a database that is there already is as it was.
    pub fn open(directory: &Path, owner: NodeId) -> Result<Self, StoreError> {
        let path = directory.join(Self::FILE);
        let unusable = |error| StoreError::Directory(directory.to_path_buf(), error);
        let is_new = match read_unlocked(&path)? {
            // redb marks and repairs a file while it opens it: whose it is and whether it is sound
            // is found out on a copy in memory.
            Some(bytes) => !is_owned(&path, &open_copy(&path, &bytes)?, owner)?,
            None => true,
        };
        if is_new {
            create_private(directory).map_err(unusable)?;
        }
        let database = Database::builder().set_cache_size(CACHE_BYTES_MAX).create(&path);
        let database = database.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                StoreError::InUse(path.clone())
            }
            DatabaseError::Storage(StorageError::Io(error)) if is_new => unusable(error),
            DatabaseError::Storage(StorageError::Io(error)) => {
                StoreError::File(path.clone(), error)
            }
            error => StoreError::Failed(path.clone(), error.to_string()),
        })?;
        let store = Self { path, database };
        // Another instance may have made the file, and ended, since we looked.
        if !is_owned(&store.path, &store.database, owner)? {
            store.initialise(owner).map_err(|error| store.failed(error))?;
            sync_directory(directory).map_err(unusable)?;
        }
        Ok(store)
    }

    fn initialise(&self, owner: NodeId) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            assert!(meta.is_empty()?, "a database is given an owner once");
            meta.insert("form", &FORM.to_be_bytes()[..])?;
            meta.insert("owner", &owner.0[..])?;
            transaction.open_table(ROWS)?;
        }
        Ok(transaction.commit()?)
    }

    fn failed(&self, error: redb::Error) -> StoreError {
        StoreError::Failed(self.path.clone(), error.to_string())
    }
}

impl Store for DiskStore {
    fn load(&mut self) -> Result<Vec<Row>, StoreError> {
        let read = || -> Result<Vec<Row>, redb::Error> {
            let rows = self.database.begin_read()?.open_table(ROWS)?;
            let rows = rows.iter()?.map(|row| {
                let (key, value) = row?;
                Ok(Row { key: NodeId(key.value()), value: Bytes::copy_from_slice(value.value()) })
            });
            rows.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            // redb's default durability: the commit returns after fsync.
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(ROWS)?;
                for row in rows {
                    table.insert(row.key.0, &row.value[..])?;
                }
            }
            Ok(transaction.commit()?)
        };
        write().map_err(|error| self.failed(error))
    }
}

/// The content of a database that no other instance has open; `None` if there is none yet.
fn read_unlocked(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error: io::Error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotADirectory, Some(parent)) => StoreError::Directory(parent.into(), error),
        _ => StoreError::File(path.into(), error),
    };
    // Where a link leads is not the data directory: perhaps it is charon's.
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(StoreError::NotAFile(path.into()));
    }
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.into())),
        // A file system without locks: redb knows how far it can protect itself there.
        Err(TryLockError::Error(_)) => false,
        Ok(()) => true,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    if locked && is_torn_at_birth(&bytes) {
        file.set_len(0).map_err(failed)?;
        return Ok(None);
    }
    Ok(Some(bytes))
}

/// Whether a crash interrupted redb in making the file: it writes its magic number last, when
/// there is nothing but zeros after the header yet, of which there are many pages.
fn is_torn_at_birth(bytes: &[u8]) -> bool {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let (magic, rest) = (bytes.get(..REDB_MAGIC.len()), bytes.get(REDB_HEADER_BYTES..));
    bytes.is_empty()
        || bytes.len() > REDB_PAGE_BYTES && magic.is_some_and(is_zero) && rest.is_some_and(is_zero)
}

fn open_copy(path: &Path, bytes: &[u8]) -> Result<Database, StoreError> {
    if !bytes.starts_with(REDB_MAGIC) {
        return Err(StoreError::NotADatabase(path.into()));
    }
    let memory = InMemoryBackend::new();
    let filled = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, bytes));
    filled.expect("memory takes what was read into memory before");
    // Otherwise redb trusts the file and may panic over what is in it.
    let copy = Database::builder().set_check_integrity_on_open(true).create_with_backend(memory);
    copy.map_err(|error| StoreError::Damaged(path.into(), error.to_string()))
}

/// Whether the database is `owner`'s; false if it is nobody's yet, because a crash came before its
/// first transaction.
fn is_owned(path: &Path, database: &Database, owner: NodeId) -> Result<bool, StoreError> {
    let failed = |error: redb::Error| StoreError::Failed(path.into(), error.to_string());
    let read = database.begin_read().map_err(|error| failed(error.into()))?;
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => {
            let tables = read.list_tables().map_err(|error| failed(error.into()))?;
            return match tables.count() {
                0 => Ok(false),
                _ => Err(StoreError::Foreign(path.into())),
            };
        }
        Err(TableError::Storage(error)) => return Err(failed(error.into())),
        Err(_) => return Err(StoreError::Foreign(path.into())),
    };
    let bytes = |name: &str| {
        let value = meta.get(name).map_err(|error| failed(error.into()))?;
        Ok(value.map(|value| value.value().to_vec()).unwrap_or_default())
    };
    let foreign = |_| StoreError::Foreign(path.into());
    let form = u64::from_be_bytes(bytes("form")?.try_into().map_err(foreign)?);
    if form != FORM {
        return Err(StoreError::Version(path.into(), form));
    }
    let holder = NodeId(bytes("owner")?.try_into().map_err(foreign)?);
    if holder != owner {
        return Err(StoreError::OtherIdentity { path: path.into(), owner: holder, ours: owner });
    }
    Ok(true)
}

fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Makes the new name in a directory survive a crash of the machine, and the directory's own.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
        for above in directory.canonicalize()?.ancestors().skip(1) {
            // What we may not even read was not made by us.
            let _ = File::open(above).and_then(|above| above.sync_all());
        }
    }
    Ok(())
}
