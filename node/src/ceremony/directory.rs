//! The files of a cluster, in charon's layout: `node0/charon-enr-private-key`,
//! `node0/cluster-lock.json`, `node0/validator_keys/keystore-0.json`, `node1/…`, and beside them
//! the manifest.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use stayfound_core::cluster::OperatorIndex;
use zeroize::Zeroizing;

use super::Cluster;
use crate::keyfile;
use crate::keystore::{self, Cost, KeystoreError, KeystoreName, Password, Secret};
use crate::parallel::{in_parallel, threads};

/// The manifest, in each operator's directory and above them.
pub const MANIFEST: &str = "cluster-manifest.json";
/// The lock, in each operator's directory and above them.
pub const LOCK: &str = "cluster-lock.json";
/// An operator's ENR key, in its directory.
pub const KEY: &str = "charon-enr-private-key";
/// An operator's keystores, in its directory.
pub const KEYSTORES: &str = "validator_keys";

/// Why a cluster is not written. What had been written before stays.
#[derive(Debug)]
pub enum WriteError {
    /// There is something in the directory already.
    NotEmpty(PathBuf),
    /// A file or directory cannot be made.
    Unwritable(PathBuf, io::Error),
    /// A keystore cannot be made.
    Keystore(KeystoreError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEmpty(path) => write!(
                f,
                "{} is not empty, and nothing is ever overwritten; give an empty directory, or one \
                 that is not there yet",
                path.display()
            ),
            Self::Unwritable(path, why) => {
                write!(f, "{} cannot be written: {why}", path.display())
            }
            Self::Keystore(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {}

/// The directory of an operator: what charon's `.charon` is.
#[must_use]
pub fn node_dir(directory: &Path, operator: OperatorIndex) -> PathBuf {
    directory.join(format!("node{operator}"))
}

/// The name of an operator's authorisation file.
#[must_use]
pub fn authorisation_name(operator: OperatorIndex) -> String {
    format!("authorisation-{operator}.json")
}

impl Cluster {
    /// Writes everything into a directory that is empty or not there yet; `progress` is told how
    /// many keystores are written, and of how many.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write(
        &self,
        directory: &Path,
        cost: Cost,
        rng: &mut ChaCha20Rng,
        progress: impl Fn(usize, usize) + Sync,
    ) -> Result<(), WriteError> {
        make_empty(directory)?;
        let (lock, manifest) = (self.lock.to_json(), self.document.to_json());
        write(&directory.join(LOCK), &lock)?;
        write(&directory.join(MANIFEST), &manifest)?;
        for index in (0..=u8::MAX).take(self.keys.len()).map(OperatorIndex) {
            let of = node_dir(directory, index);
            make(&of)?;
            make(&of.join(KEYSTORES))?;
            let path = of.join(KEY);
            let unwritable = |why| WriteError::Unwritable(path.clone(), why);
            keyfile::write_new(&path, &self.key_text(index)).map_err(unwritable)?;
            write(&of.join(LOCK), &lock)?;
            write(&of.join(MANIFEST), &manifest)?;
            if let Some(authorisation) = self.authorisation(index) {
                write(&of.join(authorisation_name(index)), &authorisation.to_json())?;
            }
        }
        self.write_keystores(directory, cost, rng, progress)
    }

    fn write_keystores(
        &self,
        directory: &Path,
        cost: Cost,
        rng: &mut ChaCha20Rng,
        progress: impl Fn(usize, usize) + Sync,
    ) -> Result<(), WriteError> {
        let operators = self.keys.len();
        let count = operators * self.shares.len();
        // A generator for each, so that it does not matter which thread is first.
        let seeds = (0..count).map(|_| {
            let mut seed = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *seed);
            seed
        });
        let seeds: Vec<_> = seeds.collect();
        let done = std::sync::atomic::AtomicUsize::new(0);
        in_parallel(count, threads().get(), |at| {
            let (validator, operator) = (at / operators, at % operators);
            let share = &self.shares[validator][operator];
            let rng = &mut ChaCha20Rng::from_seed(*seeds[at]);
            let password = Password::generate(rng);
            let secret = Secret::new(&Zeroizing::new(share.to_bytes()));
            let public_key = share.public_key().to_bytes();
            let json = keystore::encrypt(&secret, &public_key, &password, cost, rng);
            let index = u32::try_from(validator).expect("at most 65,536 validators");
            let of = OperatorIndex(u8::try_from(operator).expect("at most 256 operators"));
            let into = node_dir(directory, of).join(KEYSTORES);
            let name = KeystoreName { index, cost };
            keystore::create(&into, name, &json, &password).map_err(WriteError::Keystore)?;
            progress(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed), count);
            Ok(())
        })?;
        Ok(())
    }
}

fn make_empty(directory: &Path) -> Result<(), WriteError> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(WriteError::NotEmpty(directory.into())),
        },
        Err(why) if why.kind() == io::ErrorKind::NotFound => make(directory),
        Err(why) => Err(WriteError::Unwritable(directory.into(), why)),
    }
}

/// Makes a directory for this user alone: there are secrets in it.
fn make(directory: &Path) -> Result<(), WriteError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(directory);
    made.map_err(|why| WriteError::Unwritable(directory.into(), why))
}

fn write(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    fs::write(path, content).map_err(|why| WriteError::Unwritable(path.into(), why))
}
