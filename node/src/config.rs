//! What a person configures, and what is wrong with it. Everything is looked at before anything
//! is made or changed.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use stayfound_core::cluster::check::Verdict;
use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::keys::{PublicKey, SecretKey};
use stayfound_core::record::{NodeId, is_usable};

use crate::cluster::{ClusterFile, ClusterFileError, Kind, Verdicts};
use crate::keyfile::{self, KeyFileError};
use crate::parallel::threads;
use crate::status::name;
use crate::store::{DiskStore, StoreError};

/// What a node is told by its operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who belongs.
    pub cluster: Source,
    /// charon's `charon-enr-private-key`.
    pub key: PathBuf,
    /// Where the node keeps its database.
    pub data_dir: PathBuf,
    /// The UDP address to listen at.
    pub listen: SocketAddr,
    /// The addresses to publish, one per family at most.
    pub external: Vec<SocketAddr>,
    /// Where operators may answer.
    pub hints: Vec<Hint>,
}

/// `2=198.51.100.7:3610`: an address at which an operator may answer, the operator counted from 0
/// as in charon's lock (its peer index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Which operator; perhaps one that the cluster does not have.
    pub operator: u64,
    /// Where.
    pub address: SocketAddr,
}

/// Which file says who belongs, and how much of it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A lock, or a manifest.
    pub kind: Kind,
    /// The file.
    pub path: PathBuf,
    /// How much of it must hold.
    pub demand: Demand,
}

/// What must hold of the file that says who belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: it is believed as it stands.
    Nothing,
    /// Every check.
    Checks,
    /// Every check, and that every operator is authorised by its key shares.
    Authorisation,
}

/// A configuration that holds together.
#[derive(Debug)]
pub struct Checked {
    /// Our ENR key.
    pub key: SecretKey,
    /// Our cluster.
    pub manifest: Manifest,
    /// Our place in it.
    pub own: OperatorIndex,
    /// Where operators may answer.
    pub hints: Vec<(OperatorIndex, SocketAddr)>,
    /// Our database, open.
    pub store: DiskStore,
}

/// What is wrong with a configuration. Nothing was made or changed.
#[derive(Debug)]
pub enum ConfigError {
    /// The file that says who belongs does not, or does not hold.
    Cluster(ClusterFileError),
    /// The key cannot be read.
    Key(KeyFileError),
    /// The key is that of no operator.
    NotAnOperator {
        /// The key file.
        key: PathBuf,
        /// Its public key.
        public_key: PublicKey,
        /// The lock or manifest.
        cluster: PathBuf,
        /// Its operators.
        operators: Vec<(OperatorIndex, NodeId)>,
    },
    /// This address cannot be published.
    External(SocketAddr),
    /// Two addresses of one family are to be published.
    ExternalTwice(SocketAddr, SocketAddr),
    /// A hint for an operator that the cluster, of so many, does not have.
    HintOperator(Hint, usize),
    /// A hint for ourselves.
    HintOwn(Hint, usize),
    /// A hint whose address cannot be dialled.
    HintAddress(Hint),
    /// The data directory is not there, and its path leads up and down, so that it cannot be told
    /// where it would be made.
    DataDirectory(PathBuf),
    /// The data directory is charon's directory, holds something of charon's, or would have to be
    /// made in it.
    CharonsDirectory(PathBuf, PathBuf),
    /// Nothing can listen at this address.
    Listen(SocketAddr, io::Error),
    /// The database cannot be opened.
    Store(StoreError),
}

impl Config {
    /// Reads and checks everything, then opens the database, which is made if it is missing.
    /// `progress` is told how much of the verification is done, and of how much.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self, progress: impl Fn(usize, usize) + Sync) -> Result<Checked, ConfigError> {
        let Source { kind, path, demand } = &self.cluster;
        let file = ClusterFile::read(*kind, path).map_err(ConfigError::Cluster)?;
        let manifest = file.manifest().map_err(ConfigError::Cluster)?;
        let key = keyfile::read(&self.key).map_err(ConfigError::Key)?;
        let public_key = key.public_key();
        let Some(operator) = manifest.by_key(public_key.as_bytes()) else {
            return Err(self.not_an_operator(&manifest, public_key));
        };
        let (own, node_id) = (operator.index, operator.node_id);
        self.check_external()?;
        let hints = self.hints.iter().map(|hint| hint.check(&manifest, own));
        let hints = hints.collect::<Result<_, _>>()?;
        self.keep_out_of_charons_directory()?;
        // The node binds it anew; here it is asked before a database is made.
        UdpSocket::bind(self.listen).map_err(|why| ConfigError::Listen(self.listen, why))?;
        let verdicts = Verdicts::of(&self.data_dir);
        let believed = demand.believe(&file, manifest, &verdicts, progress);
        let (manifest, verdict) = believed.map_err(ConfigError::Cluster)?;
        let store = DiskStore::open(&self.data_dir, node_id).map_err(ConfigError::Store)?;
        if let Some(verdict) = verdict {
            verdicts.remember(&file, &verdict);
        }
        Ok(Checked { key, manifest, own, hints, store })
    }

    fn not_an_operator(&self, manifest: &Manifest, public_key: PublicKey) -> ConfigError {
        let operators = manifest.operators().iter().map(|each| (each.index, each.node_id));
        ConfigError::NotAnOperator {
            key: self.key.clone(),
            public_key,
            cluster: self.cluster.path.clone(),
            operators: operators.collect(),
        }
    }

    fn check_external(&self) -> Result<(), ConfigError> {
        for (at, address) in self.external.iter().enumerate() {
            if !is_usable(*address) {
                return Err(ConfigError::External(*address));
            }
            let mut before = self.external[..at].iter();
            if let Some(other) = before.find(|other| other.is_ipv4() == address.is_ipv4()) {
                return Err(ConfigError::ExternalTwice(*other, *address));
            }
        }
        Ok(())
    }

    /// charon's directory is the one of the lock, or of the key, wherever links lead.
    fn keep_out_of_charons_directory(&self) -> Result<(), ConfigError> {
        // A directory that is not there yet would be made in the nearest one that is.
        let there = |path: &&Path| or_current(path).canonicalize().is_ok();
        let Some(nearest) = self.data_dir.ancestors().find(there) else { return Ok(()) };
        let to_make = self.data_dir.strip_prefix(nearest).expect("it is an ancestor");
        if to_make.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(ConfigError::DataDirectory(self.data_dir.clone()));
        }
        let written = or_current(nearest).canonicalize();
        let written = written.map_err(|_| ConfigError::DataDirectory(self.data_dir.clone()))?;
        // A manifest is ours: it may lie beside the database.
        let lock = (self.cluster.kind == Kind::Lock).then_some(&self.cluster.path);
        for file in lock.into_iter().chain([&self.key]) {
            let given = file.parent().map(or_current).and_then(|path| path.canonicalize().ok());
            let real = file.canonicalize().ok().and_then(|path| path.parent().map(PathBuf::from));
            for charons in given.into_iter().chain(real) {
                let is_ours = to_make.as_os_str().is_empty() && is_ours(&written);
                if written == charons || (written.starts_with(&charons) && !is_ours) {
                    return Err(ConfigError::CharonsDirectory(self.data_dir.clone(), written));
                }
            }
        }
        Ok(())
    }
}

/// Whether a directory holds nothing yet, or our database: inside charon's own, one that was made
/// for us.
fn is_ours(directory: &Path) -> bool {
    let is_empty = || fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
    directory.join(DiskStore::FILE).is_file() || is_empty()
}

/// The empty path stands for the current directory.
fn or_current(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

impl Source {
    /// Who belongs, if the file holds; its verdict is remembered here.
    ///
    /// # Errors
    /// [`ClusterFileError`].
    pub fn load(&self, verdicts: &Verdicts) -> Result<Manifest, ClusterFileError> {
        let file = ClusterFile::read(self.kind, &self.path)?;
        let manifest = file.manifest()?;
        let (manifest, verdict) = self.demand.believe(&file, manifest, verdicts, |_, _| {})?;
        if let Some(verdict) = verdict {
            verdicts.remember(&file, &verdict);
        }
        Ok(manifest)
    }
}

impl Demand {
    /// Who belongs, if the file holds as much as is demanded; and what it came to, if it was looked
    /// at just now.
    ///
    /// # Errors
    /// [`ClusterFileError::Refused`].
    fn believe(
        self,
        file: &ClusterFile,
        manifest: Manifest,
        verdicts: &Verdicts,
        progress: impl Fn(usize, usize) + Sync,
    ) -> Result<(Manifest, Option<Verdict>), ClusterFileError> {
        if self == Self::Nothing {
            return Ok((manifest, None));
        }
        let recalled = verdicts.recall(file);
        let is_fresh = recalled.is_none();
        let verdict = recalled.unwrap_or_else(|| file.verify(threads().get(), progress));
        let mut demanded = verdict.clone();
        if self == Self::Authorisation {
            demanded.require_authorisation();
        }
        file.holds(&demanded)?;
        file.is_signed(&verdict)?;
        Ok((manifest.with_verdict(&verdict), is_fresh.then_some(verdict)))
    }
}

impl Hint {
    fn check(
        self,
        manifest: &Manifest,
        own: OperatorIndex,
    ) -> Result<(OperatorIndex, SocketAddr), ConfigError> {
        let count = manifest.operators().len();
        let index = u8::try_from(self.operator).map(OperatorIndex).ok();
        let Some(operator) = index.and_then(|index| manifest.get(index)) else {
            return Err(ConfigError::HintOperator(self, count));
        };
        if operator.index == own {
            return Err(ConfigError::HintOwn(self, count));
        }
        if !is_usable(self.address) {
            return Err(ConfigError::HintAddress(self));
        }
        Ok((operator.index, self.address))
    }
}

impl FromStr for Hint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (operator, address) = text.split_once('=').ok_or(
            "no \"=\" in it; write the operator, counted from 0, and its address: \
             2=198.51.100.7:3610",
        )?;
        let operator = operator.parse().map_err(|_| {
            format!("{operator:?} is no operator; operators are numbers, counted from 0")
        })?;
        Ok(Self { operator, address: parse_address(address)? })
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.operator, self.address)
    }
}

/// An IP address with a port. An IPv4-mapped IPv6 address is the IPv4 address that it maps.
///
/// # Errors
/// What is wrong, with an example of how it should be.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().map_err(|_| {
        format!(
            "{text:?} is no IP address with a port; write it like 198.51.100.7:3610 or \
             [2001:db8::7]:3610"
        )
    })?;
    Ok(match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => (v4, v6.port()).into(),
            None => address, // with its zone, if it has one
        },
        SocketAddr::V4(_) => address,
    })
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(why) => why.fmt(f),
            Self::Key(why) => why.fmt(f),
            Self::NotAnOperator { key, public_key, cluster, operators } => {
                let node_id = NodeId::of(&public_key.point());
                write!(
                    f,
                    "the key in {} is that of no operator in {}; give the key and the lock or \
                     manifest of one and the same cluster\n  the key:     ENR public key {public_key}, \
                     node id {node_id:#} ({})",
                    key.display(),
                    cluster.display(),
                    name(&node_id)
                )?;
                operators.iter().try_for_each(|(index, node_id)| {
                    let name = name(node_id);
                    write!(f, "\n  operator {:>3}: node id {node_id:#} ({name})", index.0)
                })
            }
            Self::External(address) => write!(
                f,
                "--external {address} cannot be published; give an address and a port at which \
                 the other operators reach this node"
            ),
            Self::ExternalTwice(one, other) => write!(
                f,
                "--external {one} and --external {other} are of one family; give one IPv4 and one \
                 IPv6 address at most"
            ),
            Self::HintOperator(hint, count) => write!(
                f,
                "--hint {hint} names no operator of this cluster; operators are counted from 0 as \
                 in the lock: 0 to {}",
                count - 1
            ),
            Self::HintOwn(hint, count) => write!(
                f,
                "--hint {hint} names this node itself; operators are counted from 0 as in the \
                 lock: 0 to {}, and this key is that of operator {}",
                count - 1,
                hint.operator
            ),
            Self::HintAddress(hint) => write!(
                f,
                "--hint {hint} has an address that cannot be dialled; give an address and a port \
                 at which operator {} (counted from 0) may answer",
                hint.operator
            ),
            Self::DataDirectory(data_dir) => write!(
                f,
                "--data-dir {} is not there yet and leads up and down (\"..\"); give its plain path",
                data_dir.display()
            ),
            Self::CharonsDirectory(data_dir, charons) => write!(
                f,
                "--data-dir {} would write into {}, the directory of charon's files (where the lock \
                 or the key is), which stayfound only reads; give a directory elsewhere, or an \
                 empty one in it that you made yourself",
                data_dir.display(),
                charons.display()
            ),
            Self::Listen(address, why) if why.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "UDP port {} is in use ({address}); stop the program that has it, or give another \
                 port with --listen",
                address.port()
            ),
            Self::Listen(address, why) => write!(
                f,
                "nothing can listen at {address}: {why}; give an address of this host (0.0.0.0 for \
                 all of them) and a port from 1024 up with --listen"
            ),
            Self::Store(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_mapped_address_is_of_ipv4() {
        let parsed = |text: &str| parse_address(text).map(|address| address.to_string());
        let same = ["198.51.100.7:3610", "[2001:db8::7]:3610", "[fe80::1%2]:3610"];
        assert!(same.iter().all(|text| parsed(text).as_deref() == Ok(*text)));
        assert_eq!(parsed("[::ffff:198.51.100.7]:3610").as_deref(), Ok("198.51.100.7:3610"));
        let hint: Hint = "2=[::ffff:198.51.100.7]:3610".parse().expect("a hint");
        assert_eq!(hint.to_string(), "2=198.51.100.7:3610");
    }
}
