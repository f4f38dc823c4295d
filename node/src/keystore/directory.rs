//! A directory of keystores, as charon lays it out: listed, opened and filled.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use zeroize::Zeroizing;

use super::error::KeystoreError;
use super::file::{FILE_BYTES_MAX, Keystore};
use super::kdf::SCRYPT_BYTES_MAX;
use super::password::{PASSWORD_BYTES_MAX, Password};
use super::{KeystoreName, Secret};
use crate::keyfile;

/// Most keystores in one directory: one for each validator of the largest cluster.
pub const KEYSTORES_MAX: usize = 65_536;
/// Most threads that open keystores.
pub const THREADS_MAX: usize = 256;
/// Most memory that scrypt may take in all threads together: four keystores of the usual parameters
/// at a time.
pub const SCRYPT_TOTAL_BYTES_MAX: u64 = 1 << 30;

const _: () = assert!(SCRYPT_BYTES_MAX <= SCRYPT_TOTAL_BYTES_MAX, "one keystore must fit");

/// The keystores in a directory, by index: read and checked, not yet opened.
#[derive(Debug)]
pub struct Directory(Vec<Entry>);

/// One keystore of a directory.
#[derive(Debug)]
pub struct Entry {
    /// What the file's name says.
    pub name: KeystoreName,
    /// Where the file is.
    pub path: PathBuf,
    /// What is in it.
    pub keystore: Keystore,
    /// The file beside it that holds its password, if there is one.
    pub password: Option<PathBuf>,
}

/// A keystore that was opened.
#[derive(Debug)]
pub struct Opened {
    /// What the file's name says.
    pub name: KeystoreName,
    /// Where the file is.
    pub path: PathBuf,
    /// The compressed BLS public key that the file states: a claim, to be compared with that of the
    /// secret.
    pub pubkey: Option<[u8; 48]>,
    /// The secret.
    pub secret: Secret,
}

impl Directory {
    /// Lists and reads the keystores of a directory; other files in it are no matter. Whatever can be
    /// wrong with them is found here, before anybody is asked for a password.
    ///
    /// # Errors
    /// Every [`KeystoreError`] that has nothing to do with passwords.
    pub fn open(directory: &Path) -> Result<Self, KeystoreError> {
        let named = list(directory)?;
        if named.is_empty() {
            return Err(KeystoreError::NoKeystores(directory.into()));
        }
        named
            .into_values()
            .map(|(name, path)| Entry::read(name, path))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The keystores, by index; at least one.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Whether there is a keystore without a password file, so that one password for all must be given.
    #[must_use]
    pub fn needs_password(&self) -> bool {
        self.0.iter().any(|entry| entry.password.is_none())
    }
}

impl Entry {
    fn read(name: KeystoreName, path: PathBuf) -> Result<Self, KeystoreError> {
        let json = read_file(&path, FILE_BYTES_MAX)?;
        let keystore =
            Keystore::parse(&json).map_err(|flaw| KeystoreError::Flawed(path.clone(), flaw))?;
        let password = path.with_extension("txt");
        // Not `exists`: a link that leads nowhere is an error, and no reason to ask somebody.
        let password = match fs::symlink_metadata(&password) {
            Ok(_) => Some(password),
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => return Err(KeystoreError::Unreadable(password, why)),
        };
        Ok(Self { name, path, keystore, password })
    }

    /// The password in the file beside the keystore; `None` if there is no such file.
    fn own_password(&self) -> Result<Option<Password>, KeystoreError> {
        let Some(path) = &self.password else { return Ok(None) };
        let text = read_file(path, PASSWORD_BYTES_MAX as u64)?;
        let password = Password::new(&text);
        password.map(Some).map_err(|flaw| KeystoreError::PasswordFile(path.clone(), flaw))
    }

    fn decrypt(&self, password: &Password) -> Result<Opened, KeystoreError> {
        let secret =
            self.keystore.decrypt(password).ok_or_else(|| KeystoreError::WrongPassword {
                keystore: self.path.clone(),
                password: self.password.clone(),
            })?;
        let pubkey = self.keystore.pubkey().copied();
        Ok(Opened { name: self.name, path: self.path.clone(), pubkey, secret })
    }
}

/// Opens all keystores of a directory, on so many threads (fewer where scrypt would take too much
/// memory), in the order of their indices. Each is opened with the password in the file beside it, or
/// else with the one given for all. `progress` is called with how many are open and how many there
/// are: with 0 first, then after each, by one thread at a time.
///
/// # Errors
/// The first by index, after which no further keystore is begun: [`KeystoreError::WrongPassword`], or
/// one about a password file. Password files are all read before the first keystore is opened.
///
/// # Panics
/// If `progress` does.
pub fn decrypt_all(
    directory: &Directory,
    password: Option<&Password>,
    threads: NonZeroUsize,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Vec<Opened>, KeystoreError> {
    let entries = directory.entries();
    let own = entries.iter().map(Entry::own_password).collect::<Result<Vec<_>, _>>()?;
    let passwords = entries.iter().zip(&own).map(|(entry, own)| {
        own.as_ref().or(password).ok_or_else(|| KeystoreError::NoPassword(entry.path.clone()))
    });
    let passwords = passwords.collect::<Result<Vec<_>, _>>()?;
    let done = Mutex::new(0);
    progress(0, entries.len());
    in_parallel(entries.len(), threads.get().min(threads_max(entries)), |at| {
        let opened = entries[at].decrypt(passwords[at])?;
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += 1;
        progress(*done, entries.len());
        Ok(opened)
    })
}

/// Writes a keystore and its password into a directory, as `name` and the same with `.txt`, readable
/// by their owner alone. Nothing is overwritten; if the password cannot be written, the keystore is
/// taken away again. Returns the keystore's path.
///
/// # Errors
/// [`KeystoreError::Unwritable`].
pub fn create(
    directory: &Path,
    name: KeystoreName,
    json: &str,
    password: &Password,
) -> Result<PathBuf, KeystoreError> {
    let path = directory.join(name.to_string());
    let unwritable = |path: &Path, why| KeystoreError::Unwritable(path.into(), why);
    keyfile::write_new(&path, json).map_err(|why| unwritable(&path, why))?;
    let beside = path.with_extension("txt");
    if let Err(why) = keyfile::write_new(&beside, password.text()) {
        fs::remove_file(&path).map_err(|why| unwritable(&path, why))?;
        return Err(unwritable(&beside, why));
    }
    Ok(path)
}

/// The files of a directory that are named as keystores, by index.
fn list(directory: &Path) -> Result<BTreeMap<u32, (KeystoreName, PathBuf)>, KeystoreError> {
    let unlistable = |why| KeystoreError::Unlistable(directory.into(), why);
    let mut named = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(unlistable)? {
        let path = entry.map_err(unlistable)?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if !file.starts_with("keystore-") || !file.ends_with(".json") {
            continue;
        }
        let Some(name) = KeystoreName::parse(&file) else {
            return Err(KeystoreError::Misnamed(path));
        };
        if named.len() == KEYSTORES_MAX {
            return Err(KeystoreError::TooMany(directory.into()));
        }
        if let Some((_, other)) = named.insert(name.index, (name, path.clone())) {
            // In the order of their names: that of the listing is the file system's.
            let [one, other] = if other < path { [other, path] } else { [path, other] };
            return Err(KeystoreError::SameIndex(one, other));
        }
    }
    Ok(named)
}

/// All of a file that is not too large for what it is.
fn read_file(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let unreadable = |why| KeystoreError::Unreadable(path.into(), why);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    // To open a named pipe would be to wait for its writer.
    if !metadata.is_file() {
        return Err(KeystoreError::NotAFile(path.into()));
    }
    let too_large = |bytes| KeystoreError::TooLarge(path.into(), bytes, bytes_max);
    if metadata.len() > bytes_max {
        return Err(too_large(metadata.len()));
    }
    // Room for the whole file from the start: a buffer that grows leaves copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(bytes_max as usize + 1));
    let file = File::open(path).map_err(unreadable)?;
    file.take(bytes_max + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > bytes_max {
        return Err(too_large(content.len() as u64));
    }
    Ok(content)
}

/// How many keystores may be opened at a time.
fn threads_max(entries: &[Entry]) -> usize {
    let largest = entries.iter().map(|entry| entry.keystore.memory_bytes()).max().unwrap_or(0);
    let fit = SCRYPT_TOTAL_BYTES_MAX.checked_div(largest).unwrap_or(u64::MAX);
    assert!(fit > 0, "a keystore beyond the limit was read");
    usize::try_from(fit).unwrap_or(usize::MAX).min(THREADS_MAX)
}

/// What `work` makes of each number below `total`, in order, or its error of the lowest number: all
/// numbers below one that is begun are begun before, and what is begun is ended.
fn in_parallel<T: Send, E: Send>(
    total: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let worker = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= total {
                break;
            }
            let result = work(at);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((at, result));
        }
        done
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(total)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker panicked")).collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    let results: Vec<_> = done.into_iter().map(|(_, result)| result).collect::<Result<_, _>>()?;
    assert_eq!(results.len(), total, "a number was left out without an error");
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::Cost;

    fn entry(kdf: &str) -> Entry {
        let (salt, iv, bytes) = ("00".repeat(32), "00".repeat(16), "00".repeat(32));
        let json = format!(
            r#"{{"version": 4, "crypto": {{
                "checksum": {{"function": "sha256", "message": "{bytes}"}},
                "cipher": {{
                    "function": "aes-128-ctr", "message": "{bytes}", "params": {{"iv": "{iv}"}}
                }},
                "kdf": {{{kdf}, "dklen": 32, "salt": "{salt}"}}}}
            }}}}"#
        );
        let name = KeystoreName { index: 0, cost: Cost::Standard };
        let keystore = Keystore::parse(json.as_bytes()).expect("a keystore");
        Entry { name, path: PathBuf::new(), keystore, password: None }
    }

    #[test]
    fn scrypt_runs_in_as_many_threads_as_there_is_memory_for() {
        let scrypt = |n: u32, r: u32| {
            entry(&format!(r#""function": "scrypt", "params": {{"n": {n}, "r": {r}, "p": 1"#))
        };
        let pbkdf2 = || entry(r#""function": "pbkdf2", "params": {"c": 16, "prf": "hmac-sha256""#);
        assert_eq!(threads_max(&[pbkdf2()]), THREADS_MAX);
        assert_eq!(threads_max(&[pbkdf2(), scrypt(1 << 18, 8)]), 4);
        assert_eq!(threads_max(&[scrypt(1 << 18, 16), scrypt(2, 1)]), 2);
        assert_eq!(threads_max(&[scrypt(2, 1)]), THREADS_MAX);
    }
}
