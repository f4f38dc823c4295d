//! Clusters made on the spot, for trying stayfound out and for its tests. Never for validators.

use std::io;
use std::path::{Path, PathBuf};

use stayfound_core::cluster::check::Verdict;
use stayfound_core::cluster::manifest::Document;
use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::keys::SecretKey;

use crate::ceremony::{self, Ceremony, KEY, LOCK, MANIFEST, node_dir};
use crate::cluster::{ClusterFile, Kind};
use crate::keystore::Cost;
use crate::parallel::threads;

/// A cluster with one validator and fresh keys, in charon's layout on disk:
/// `node0/charon-enr-private-key`, `node0/cluster-lock.json`, `node0/cluster-manifest.json`,
/// `node0/validator_keys/…`, `node1/…`. Its manifest was read back and verified.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    made: ceremony::Cluster,
    manifest: Manifest,
}

impl Cluster {
    /// Makes a cluster of so many operators in a directory that is empty or not there yet.
    ///
    /// # Errors
    /// What the file system or the system's source of randomness says, or that there cannot be so
    /// many operators.
    pub fn create(directory: &Path, operators: usize) -> io::Result<Self> {
        let threshold = Ceremony::threshold_of(operators);
        let (name, timestamp) = ("stayfound testnet".into(), String::new());
        let ceremony = Ceremony { name, operators, threshold, validators: 1, timestamp };
        let mut rng = ceremony::random()?;
        let made = ceremony.perform(&mut rng);
        let made = made.map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        made.write(directory, Cost::Insecure, &mut rng, |_, _| {}).map_err(io::Error::other)?;
        let manifest = read_back(&directory.join(MANIFEST))?;
        Ok(Self { directory: directory.into(), made, manifest })
    }

    /// Who belongs to it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is in its manifest file.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.made.document
    }

    /// The places of its operators.
    pub fn indices(&self) -> impl Iterator<Item = OperatorIndex> + use<> {
        (0..=u8::MAX).take(self.made.keys.len()).map(OperatorIndex)
    }

    /// An operator's ENR key.
    ///
    /// # Panics
    /// If the cluster does not have it.
    #[must_use]
    pub fn key(&self, operator: OperatorIndex) -> &SecretKey {
        &self.made.keys[usize::from(operator.0)]
    }

    /// The directory of an operator: what charon's `.charon` is.
    #[must_use]
    pub fn node_dir(&self, operator: OperatorIndex) -> PathBuf {
        node_dir(&self.directory, operator)
    }

    /// The file with an operator's ENR key.
    #[must_use]
    pub fn key_file(&self, operator: OperatorIndex) -> PathBuf {
        self.node_dir(operator).join(KEY)
    }

    /// An operator's copy of the lock.
    #[must_use]
    pub fn lock_file(&self, operator: OperatorIndex) -> PathBuf {
        self.node_dir(operator).join(LOCK)
    }

    /// An operator's copy of the manifest.
    #[must_use]
    pub fn manifest_file(&self, operator: OperatorIndex) -> PathBuf {
        self.node_dir(operator).join(MANIFEST)
    }
}

fn read_back(path: &Path) -> io::Result<Manifest> {
    let file = ClusterFile::read(Kind::Manifest, path).map_err(io::Error::other)?;
    let verdict: Verdict = file.verify(threads().get(), |_, _| {});
    file.holds(&verdict).map_err(io::Error::other)?;
    Ok(file.manifest().map_err(io::Error::other)?.with_verdict(&verdict))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use stayfound_core::cluster::lock::Lock;

    use super::*;
    use crate::keyfile;

    #[test]
    fn the_files_say_what_the_cluster_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::create(directory.path(), 5).expect("creates");
        assert_eq!(cluster.manifest().threshold(), 4);
        for index in cluster.indices() {
            let json = fs::read(cluster.lock_file(index)).expect("reads");
            let manifest = Lock::read(&json).expect("is a lock").manifest().expect("is a cluster");
            assert_eq!(manifest.name(), cluster.manifest().name());
            assert_eq!(manifest.uuid(), cluster.manifest().uuid());
            assert_eq!(manifest.hash(), cluster.manifest().hash());
            assert_eq!(manifest.threshold(), 4);
            assert_eq!(manifest.operators().len(), 5);
            let key = keyfile::read(&cluster.key_file(index)).expect("is a key").public_key();
            assert_eq!(key, cluster.key(index).public_key());
            assert_eq!(manifest.by_key(key.as_bytes()).map(|operator| operator.index), Some(index));
        }
    }

    #[test]
    fn no_cluster_is_like_another() {
        let parents = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let [one, other] =
            parents.each_ref().map(|parent| Cluster::create(parent.path(), 1).expect("creates"));
        assert_ne!(one.manifest().uuid(), other.manifest().uuid());
        let key = |cluster: &Cluster| cluster.key(OperatorIndex(0)).public_key();
        assert_ne!(key(&one), key(&other));
        let uuid = one.manifest().uuid();
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_cluster_of_none_or_too_many_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        for operators in [0, 257] {
            let error = Cluster::create(directory.path(), operators).expect_err("is refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(fs::read_dir(directory.path()).expect("lists").count(), 0);
    }
}
