//! Clusters made on the spot, for trying stayfound out and for its tests. Never for validators.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stayfound_core::cluster::{Manifest, ManifestError, OperatorIndex};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, Signed};

use crate::keyfile;

/// The schema version of the lock that is written.
const VERSION: &str = "v1.10.0";

/// A cluster with fresh keys, in charon's layout on disk: `node0/charon-enr-private-key`,
/// `node0/cluster-lock.json`, `node1/…`.
///
/// The lock carries what tells who belongs to the cluster. It carries no signatures yet, no
/// validators, and random bytes in the place of its hashes: nothing that verifies a lock may
/// accept it.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    manifest: Manifest,
    keys: Vec<SecretKey>,
}

impl Cluster {
    /// Makes a cluster of so many operators in a directory that is there.
    ///
    /// # Errors
    /// What the file system or the system's source of randomness says, or that there cannot be so
    /// many operators.
    pub fn create(directory: &Path, operators: usize) -> io::Result<Self> {
        let secrets: Vec<_> =
            (0..operators).map(|_| keyfile::generate()).collect::<io::Result<_>>()?;
        let keys: Vec<_> = secrets.iter().map(|(key, _)| key.clone()).collect();
        // As charon makes them: seq 0, no address.
        let enr = |key| Signed::sign(key, 0, &Endpoints::default());
        let records: Vec<_> = keys.iter().map(enr).collect();
        let [uuid, hash]: [[u8; 32]; 2] = [random()?, random()?];
        let (name, uuid) = ("stayfound testnet".to_owned(), uuid_text(&uuid));
        let manifest = Manifest::new(name, uuid, hash, threshold(operators), records)
            .map_err(|error: ManifestError| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let cluster = Self { directory: directory.into(), manifest, keys };
        let lock = format!("{:#}\n", cluster.lock()?);
        for (index, (_, digits)) in cluster.indices().zip(&secrets) {
            DirBuilder::new().create(cluster.node_dir(index))?;
            keyfile::write_new(&cluster.key_file(index), digits)?;
            fs::write(cluster.lock_file(index), &lock)?;
        }
        Ok(cluster)
    }

    /// Who belongs to it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The places of its operators.
    pub fn indices(&self) -> impl Iterator<Item = OperatorIndex> + use<> {
        (0..=u8::MAX).take(self.keys.len()).map(OperatorIndex)
    }

    /// An operator's ENR key.
    ///
    /// # Panics
    /// If the cluster does not have it.
    #[must_use]
    pub fn key(&self, operator: OperatorIndex) -> &SecretKey {
        &self.keys[usize::from(operator.0)]
    }

    /// The directory of an operator: what charon's `.charon` is.
    #[must_use]
    pub fn node_dir(&self, operator: OperatorIndex) -> PathBuf {
        self.directory.join(format!("node{operator}"))
    }

    /// The file with an operator's ENR key.
    #[must_use]
    pub fn key_file(&self, operator: OperatorIndex) -> PathBuf {
        self.node_dir(operator).join("charon-enr-private-key")
    }

    /// An operator's copy of the lock.
    #[must_use]
    pub fn lock_file(&self, operator: OperatorIndex) -> PathBuf {
        self.node_dir(operator).join("cluster-lock.json")
    }

    fn lock(&self) -> io::Result<Value> {
        let operator = |record: &Signed| {
            json!({ "address": "", "enr": record.to_text(), "config_signature": "0x",
                "enr_signature": "0x" })
        };
        let operators = self.manifest.operators().iter().map(|each| operator(&each.record));
        Ok(json!({
            "cluster_definition": {
                "name": self.manifest.name(),
                "creator": { "address": "", "config_signature": "0x" },
                "operators": operators.collect::<Vec<_>>(),
                "uuid": self.manifest.uuid(),
                "version": VERSION,
                "num_validators": 0,
                "threshold": self.manifest.threshold(),
                "validators": [],
                "dkg_algorithm": "default",
                "fork_version": "0x10000910",
                "deposit_amounts": null,
                "consensus_protocol": "",
                "target_gas_limit": 36_000_000,
                "compounding": false,
                "config_hash": hex(&random()?),
                "definition_hash": hex(&random()?),
            },
            "distributed_validators": [],
            "signature_aggregate": "0x",
            "lock_hash": hex(self.manifest.hash()),
            "node_signatures": null,
        }))
    }
}

/// How many operators must sign: two thirds at least, as charon's default has it.
fn threshold(operators: usize) -> usize {
    (2 * operators).div_ceil(3)
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".into(), |text, byte| text + &format!("{byte:02x}"))
}

/// A random UUID (RFC 9562, version 4) in upper case, as charon writes it.
fn uuid_text(random: &[u8; 32]) -> String {
    let mut digits = hex(random)[2..34].to_uppercase();
    digits.replace_range(12..13, "4");
    digits.replace_range(16..17, "A");
    for dash in [20, 16, 12, 8] {
        digits.insert(dash, '-');
    }
    digits
}

#[cfg(test)]
mod tests {
    use stayfound_core::cluster::lock::Lock;

    use super::*;

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
