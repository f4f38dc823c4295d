//! Whole directories of keystores.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use stayfound::keystore::{
    Cost, Directory, KeystoreError, KeystoreName, Opened, Password, PasswordFlaw, Secret, create,
    decrypt_all, encrypt,
};
use tempfile::TempDir;

use super::{PUBKEY, insecure, password, rng, threads};

/// A secret for each index, to tell them by.
fn secret(index: u32) -> [u8; 32] {
    let mut secret = [0xaa; 32];
    secret[..4].copy_from_slice(&index.to_be_bytes());
    secret
}

fn name(index: u32) -> KeystoreName {
    KeystoreName { index, cost: Cost::Insecure }
}

/// A directory of keystores `0..count`, each with its own password beside it.
fn filled(count: u32) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    // Backwards: that the listing is in order must come from somewhere else.
    for index in (0..count).rev() {
        let password = Password::generate(&mut rng(index.into()));
        let secret = Secret::new(&secret(index));
        let rng = &mut rng(1_000 + u64::from(index));
        let json = encrypt(&secret, &PUBKEY, &password, Cost::Insecure, rng);
        create(directory.path(), name(index), &json, &password).expect("writes");
    }
    directory
}

fn file(directory: &TempDir, name: &str) -> PathBuf {
    directory.path().join(name)
}

fn open_all(
    directory: &Path,
    password: Option<&Password>,
) -> Result<(Vec<Opened>, Vec<usize>), KeystoreError> {
    let directory = Directory::open(directory)?;
    let reports = Mutex::new(Vec::new());
    let report = |done, total| {
        assert_eq!(total, directory.entries().len());
        reports.lock().expect("no panic").push(done);
    };
    let opened = decrypt_all(&directory, password, threads(8), report);
    opened.map(|opened| (opened, reports.into_inner().expect("no panic")))
}

/// The message of the error, which must name this file.
fn refused(directory: &TempDir, password: Option<&Password>, file: &Path) -> KeystoreError {
    let error = open_all(directory.path(), password).expect_err("must be refused");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    error
}

#[test]
fn what_was_written_is_opened_in_the_order_of_indices() {
    let directory = filled(23);
    for other in ["deposit-data.json", "keystore-1.json.bak", "keystore-7.txt", "x-keystore-1.json"]
    {
        fs::write(file(&directory, other), "no matter").expect("writes");
    }
    let (opened, reports) = open_all(directory.path(), None).expect("opens");
    assert_eq!(reports, (0..=23).collect::<Vec<_>>());
    assert_eq!(opened.len(), 23);
    for (opened, index) in opened.iter().zip(0..) {
        assert_eq!(opened.name, name(index));
        assert_eq!(opened.path, file(&directory, &format!("keystore-insecure-{index}.json")));
        assert_eq!(opened.secret.as_bytes(), &secret(index));
        assert_eq!(opened.pubkey, Some(PUBKEY));
    }
    let shown = format!("{:?} {opened:?}", Directory::open(directory.path()).expect("opens"));
    // The bytes of a secret, as Debug would write them, and a password.
    assert!(!shown.contains("170, 170"), "{shown}");
    let text = fs::read_to_string(file(&directory, "keystore-insecure-0.txt")).expect("reads");
    assert!(text.len() == 32 && !shown.contains(&text), "{shown}");
}

#[test]
fn one_password_opens_what_has_none_beside_it() {
    let directory = filled(3);
    fs::write(file(&directory, "keystore-9.json"), insecure("for all")).expect("writes");
    assert!(Directory::open(directory.path()).expect("opens").needs_password());
    let (opened, _) = open_all(directory.path(), Some(&password("for all"))).expect("opens");
    assert_eq!(opened.iter().map(|opened| opened.name.index).collect::<Vec<_>>(), [0, 1, 2, 9]);
    let nine = file(&directory, "keystore-9.json");
    let error = refused(&directory, None, &nine);
    assert!(matches!(error, KeystoreError::NoPassword(_)), "{error}");
    assert!(error.to_string().contains("keystore-9.txt"), "{error}");
    let error = refused(&directory, Some(&password("for none")), &nine);
    assert!(matches!(error, KeystoreError::WrongPassword { password: None, .. }), "{error}");
}

#[test]
fn a_wrong_password_names_its_file_and_stops_the_rest() {
    let directory = filled(40);
    for index in [11, 12, 30] {
        let path = file(&directory, &format!("keystore-insecure-{index}.txt"));
        fs::remove_file(&path).expect("removes");
        fs::write(&path, "wrong").expect("writes");
    }
    let listed = Directory::open(directory.path()).expect("opens");
    for count in [1, 2, 7] {
        let most = Mutex::new(0);
        let opened = decrypt_all(&listed, None, threads(count), |done, _| {
            *most.lock().expect("no panic") = done;
        });
        let error = opened.expect_err("must be refused");
        let KeystoreError::WrongPassword { keystore, password } = &error else { panic!("{error}") };
        assert_eq!(keystore, &file(&directory, "keystore-insecure-11.json"));
        assert_eq!(password.as_ref(), Some(&file(&directory, "keystore-insecure-11.txt")));
        let most = *most.lock().expect("no panic");
        assert!((11..=37).contains(&most), "{most}");
        assert!(count > 1 || most == 11, "{most} were opened one after the other");
    }
}

#[test]
fn a_password_file_that_holds_none_is_named_before_anything_is_opened() {
    let check = |spoil: &dyn Fn(&Path), expected: &dyn Fn(&KeystoreError) -> bool| {
        let directory = filled(3);
        let path = file(&directory, "keystore-insecure-1.txt");
        fs::remove_file(&path).expect("removes");
        spoil(&path);
        let listed = Directory::open(directory.path()).expect("opens");
        // One for all does not stand in for a file that is there.
        let given = password("given");
        let error = decrypt_all(&listed, Some(&given), threads(1), |done, _| panic!("{done}"));
        let error = error.expect_err("must be refused");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(expected(&error), "{error:?}");
    };
    let flaw = |flaw| move |error: &KeystoreError| matches!(error, KeystoreError::PasswordFile(_, found) if *found == flaw);
    let write =
        |content: &'static [u8]| move |path: &Path| fs::write(path, content).expect("writes");
    check(&write(b""), &flaw(PasswordFlaw::Empty));
    check(&write(b"\r\n"), &flaw(PasswordFlaw::Empty));
    check(&write(b"\xff\xfe"), &flaw(PasswordFlaw::NotUtf8));
    check(&write(&[b'x'; 1_025]), &|error| {
        matches!(error, KeystoreError::TooLarge(_, 1_025, 1_024))
    });
    check(&|path| fs::create_dir(path).expect("makes"), &|error| {
        matches!(error, KeystoreError::NotAFile(_))
    });
    #[cfg(unix)]
    check(&|path| std::os::unix::fs::symlink("nowhere", path).expect("links"), &|error| {
        matches!(error, KeystoreError::Unreadable(..))
    });
}

#[test]
fn a_directory_without_keystores_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(file(&directory, "cluster-lock.json"), "{}").expect("writes");
    let error = refused(&directory, None, directory.path());
    assert!(matches!(error, KeystoreError::NoKeystores(_)), "{error}");
    for path in [file(&directory, "missing"), file(&directory, "cluster-lock.json")] {
        let error = Directory::open(&path).expect_err("must be refused");
        assert!(matches!(error, KeystoreError::Unlistable(..)), "{error}");
    }
}

#[test]
fn a_name_that_is_almost_a_keystores_is_refused() {
    for name in ["", "x", "0x", "-1", "+1", "1 ", "4294967296", "insecure-", "insecure-x", "0-old"]
    {
        let directory = filled(1);
        let path = file(&directory, &format!("keystore-{name}.json"));
        fs::write(&path, insecure("x")).expect("writes");
        let error = refused(&directory, None, &path);
        assert!(matches!(error, KeystoreError::Misnamed(_)), "{error}");
    }
    for name in ["keystore-0.json", "keystore-insecure-00.json"] {
        let directory = filled(2);
        fs::write(file(&directory, name), insecure("x")).expect("writes");
        let error = refused(&directory, None, &file(&directory, name));
        assert!(matches!(error, KeystoreError::SameIndex(..)), "{error}");
    }
}

#[test]
fn a_file_that_is_no_keystore_is_named() {
    let directory = filled(2);
    let path = file(&directory, "keystore-7.json");
    fs::create_dir(&path).expect("makes");
    assert!(matches!(refused(&directory, None, &path), KeystoreError::NotAFile(_)));
    fs::remove_dir(&path).expect("removes");
    // A gigabyte that takes no room; were it read, the memory would show.
    File::create(&path).expect("makes").set_len(1 << 30).expect("grows");
    let error = refused(&directory, None, &path);
    assert!(matches!(error, KeystoreError::TooLarge(_, found, _) if found == 1 << 30), "{error}");
    fs::write(&path, "{").expect("writes");
    assert!(matches!(refused(&directory, None, &path), KeystoreError::Flawed(..)));
    let version_3 = insecure("x").replace("\"version\": 4", "\"version\": 3");
    fs::write(&path, version_3).expect("writes");
    assert!(refused(&directory, None, &path).to_string().contains("version 3"));
}

#[test]
fn more_keystores_than_validators_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    for index in 0..=65_536 {
        File::create(file(&directory, &format!("keystore-{index}.json"))).expect("makes");
    }
    assert!(matches!(refused(&directory, None, directory.path()), KeystoreError::TooMany(_)));
}

#[test]
fn nothing_is_overwritten_and_no_half_of_a_pair_is_left() {
    let directory = filled(1);
    let content = |name| fs::read(file(&directory, name)).expect("reads");
    let before = ["keystore-insecure-0.json", "keystore-insecure-0.txt"].map(content);
    let again = |index| create(directory.path(), name(index), "new", &password("new"));
    let error = again(0).expect_err("must be refused");
    assert!(error.to_string().contains("keystore-insecure-0.json"), "{error}");
    assert_eq!(["keystore-insecure-0.json", "keystore-insecure-0.txt"].map(content), before);
    fs::write(file(&directory, "keystore-insecure-5.txt"), "old").expect("writes");
    let error = again(5).expect_err("must be refused");
    assert!(error.to_string().contains("keystore-insecure-5.txt"), "{error}");
    assert_eq!(content("keystore-insecure-5.txt"), b"old");
    assert!(!file(&directory, "keystore-insecure-5.json").exists());
    let missing = create(&file(&directory, "missing"), name(0), "new", &password("new"));
    assert!(matches!(missing, Err(KeystoreError::Unwritable(..))));
}

#[cfg(unix)]
#[test]
fn only_their_owner_reads_what_was_written() {
    use std::os::unix::fs::PermissionsExt;
    let directory = filled(1);
    for name in ["keystore-insecure-0.json", "keystore-insecure-0.txt"] {
        let mode = fs::metadata(file(&directory, name)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
}

/// Where a control code parts two accents, what is normalised twice is another text than what is
/// normalised once: the file must hold what was given.
#[test]
fn a_password_comes_back_from_its_file_as_it_was_given() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "e\u{301}\u{85}\u{316}";
    create(directory.path(), name(0), &insecure(text), &password(text)).expect("writes");
    let (opened, _) = open_all(directory.path(), None).expect("opens");
    assert_eq!(opened.len(), 1);
}
