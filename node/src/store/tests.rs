use std::fs;
use std::path::Path;

use redb::{Database, TableDefinition};

use super::*;

const OURS: NodeId = NodeId([1; 32]);
const THEIRS: NodeId = NodeId([2; 32]);

fn row(key: u8, value: &'static [u8]) -> Row {
    Row { key: NodeId([key; 32]), value: Bytes::from_static(value) }
}

fn open(directory: &Path) -> Result<DiskStore, StoreError> {
    DiskStore::open(directory, OURS)
}

fn file(directory: &Path) -> PathBuf {
    directory.join(DiskStore::FILE)
}

/// A directory with a database of ours that holds one row, and the file's bytes.
fn closed_database() -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().expect("a directory");
    open(directory.path()).expect("opens").put(&[row(7, b"seven")]).expect("writes");
    let bytes = fs::read(file(directory.path())).expect("reads");
    (directory, bytes)
}

/// Opening fails, and everything in the directory is as it was.
fn refused(directory: &Path, owner: NodeId) -> StoreError {
    let snapshot = || {
        let mut files: Vec<_> = fs::read_dir(directory)
            .expect("lists")
            .map(|entry| entry.expect("lists").path())
            .map(|path| {
                (
                    path.clone(),
                    fs::read(&path).ok(),
                    fs::symlink_metadata(&path).expect("is").modified().ok(),
                )
            })
            .collect();
        files.sort();
        files
    };
    let before = snapshot();
    let error = DiskStore::open(directory, owner).expect_err("must not open");
    assert!(snapshot() == before, "a failed open changed the directory");
    let message = error.to_string();
    assert!(message.contains(&directory.display().to_string()), "no path in: {message}");
    assert!(message.contains(';') || message.contains("move it away"), "no advice in: {message}");
    error
}

fn puts_replace(store: &mut dyn Store) {
    assert_eq!(store.load().expect("loads"), []);
    store.put(&[row(2, b"two"), row(1, b"one")]).expect("writes");
    store.put(&[row(2, b"zwei")]).expect("writes");
    store.put(&[]).expect("writes nothing");
    assert_eq!(store.load().expect("loads"), [row(1, b"one"), row(2, b"zwei")]);
}

#[test]
fn memory_holds_the_last_row_of_each_key() {
    puts_replace(&mut MemoryStore::default());
}

#[test]
fn disk_holds_the_last_row_of_each_key_and_keeps_it() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("not/there/yet");
    puts_replace(&mut open(&directory).expect("opens"));
    let rows = open(&directory).expect("opens again").load().expect("loads");
    assert_eq!(rows, [row(1, b"one"), row(2, b"zwei")]);
}

#[cfg(unix)]
#[test]
fn a_new_data_directory_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("data");
    drop(open(&directory).expect("opens"));
    let mode = fs::metadata(&directory).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let parent = tempfile::tempdir().expect("a directory");
    let blocking = parent.path().join("file");
    fs::write(&blocking, "in the way").expect("writes");
    for directory in [blocking.clone(), blocking.join("data")] {
        let error = open(&directory).expect_err("must not open");
        assert!(matches!(error, StoreError::Directory(..)), "{error:?}");
    }
    assert_eq!(fs::read(&blocking).expect("reads"), b"in the way");
}

#[test]
fn a_database_of_another_identity_is_refused() {
    let (directory, _) = closed_database();
    let error = refused(directory.path(), THEIRS);
    assert!(matches!(error, StoreError::OtherIdentity { owner: OURS, ours: THEIRS, .. }));
    let message = error.to_string();
    assert!(message.contains(&OURS.to_string()) && message.contains(&THEIRS.to_string()));
}

#[test]
fn a_second_instance_is_refused_while_the_first_runs() {
    let (directory, _) = closed_database();
    let first = open(directory.path()).expect("opens");
    assert!(matches!(refused(directory.path(), OURS), StoreError::InUse(_)));
    drop(first);
    open(directory.path()).expect("opens when the first has ended");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let foreign: [&[u8]; 5] = [b"a", b"no database", &[0; 9], &[0x5a; 10_000], &[0; 4_096]];
    // Zeros that somebody else's content follows, in a page of them and in many.
    let begun = [4_096, 40_960].map(|length| {
        let mut content = vec![0; length];
        content[9..4_000].fill(0x5a);
        content
    });
    for content in foreign.into_iter().chain(begun.iter().map(Vec::as_slice)) {
        fs::write(file(directory.path()), content).expect("writes");
        assert!(matches!(refused(directory.path(), OURS), StoreError::NotADatabase(_)));
    }
    fs::remove_file(file(directory.path())).expect("removes");
    fs::create_dir(file(directory.path())).expect("makes a directory");
    assert!(matches!(refused(directory.path(), OURS), StoreError::NotAFile(_)));
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_the_database_is_not_followed() {
    let (elsewhere, sound) = closed_database();
    let directory = tempfile::tempdir().expect("a directory");
    for target in [file(elsewhere.path()), elsewhere.path().join("nothing")] {
        std::os::unix::fs::symlink(&target, file(directory.path())).expect("links");
        assert!(matches!(refused(directory.path(), OURS), StoreError::NotAFile(_)));
        fs::remove_file(file(directory.path())).expect("removes");
    }
    assert!(fs::read(file(elsewhere.path())).expect("reads") == sound);
    assert_eq!(fs::read_dir(elsewhere.path()).expect("lists").count(), 1, "nothing was made");
}

#[test]
fn a_database_of_another_program_is_refused() {
    let others: [TableDefinition<'_, &str, u64>; 2] =
        [TableDefinition::new("meta"), TableDefinition::new("blocks")];
    for table in others {
        let directory = tempfile::tempdir().expect("a directory");
        let database = Database::create(file(directory.path())).expect("makes a database");
        let transaction = database.begin_write().expect("begins");
        transaction.open_table(table).expect("opens").insert("form", 1).expect("inserts");
        transaction.commit().expect("commits");
        drop(database);
        assert!(matches!(refused(directory.path(), OURS), StoreError::Foreign(_)));
    }
}

#[test]
fn a_database_of_an_unknown_form_is_refused() {
    let (directory, _) = closed_database();
    let database = Database::open(file(directory.path())).expect("opens");
    let transaction = database.begin_write().expect("begins");
    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let form = 2_u64.to_be_bytes();
    transaction.open_table(meta).expect("opens").insert("form", &form[..]).expect("inserts");
    transaction.commit().expect("commits");
    drop(database);
    assert!(matches!(refused(directory.path(), OURS), StoreError::Version(_, 2)));
}

#[test]
fn a_damaged_database_is_refused_or_sound() {
    let (directory, sound) = closed_database();
    let path = file(directory.path());
    for at in (0..sound.len()).step_by(sound.len() / 300) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).expect("writes");
        match open(directory.path()) {
            Ok(mut store) => assert_eq!(store.load().expect("loads"), [row(7, b"seven")]),
            Err(error) => {
                assert!(matches!(error, StoreError::NotADatabase(_) | StoreError::Damaged(..)));
                assert!(fs::read(&path).expect("reads") == damaged, "touched when {error}");
            }
        }
    }
    for length in [9, 100, 320, 4_096, sound.len() / 2, sound.len() - 1] {
        fs::write(&path, &sound[..length]).expect("writes");
        assert!(matches!(refused(directory.path(), OURS), StoreError::Damaged(..)), "{length}");
    }
}

#[test]
fn a_crash_while_the_file_was_made_is_forgotten() {
    let (directory, sound) = closed_database();
    let path = file(directory.path());
    // Nothing written; the length alone; the header without its magic number.
    let mut headed = vec![0; sound.len()];
    headed[9..320].copy_from_slice(&sound[9..320]);
    for torn in [vec![], vec![0; sound.len()], headed] {
        fs::write(&path, torn).expect("writes");
        assert_eq!(open(directory.path()).expect("opens").load().expect("loads"), []);
    }
    // A database without its first transaction.
    fs::remove_file(&path).expect("removes");
    drop(Database::create(&path).expect("makes a database"));
    assert_eq!(open(directory.path()).expect("opens").load().expect("loads"), []);
    assert!(matches!(refused(directory.path(), THEIRS), StoreError::OtherIdentity { .. }));
}
