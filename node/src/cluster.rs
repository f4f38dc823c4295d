//! The file that says who belongs to a cluster, charon's lock or a manifest of ours: read, verified
//! on several threads, the verdict remembered.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use stayfound_core::cluster::check::{Check, Outcome, REQUIRED, Verdict};
use stayfound_core::cluster::lock::{AGGREGATE, LOCK_BYTES_MAX, Lock, LockError};
use stayfound_core::cluster::manifest::{AuthorisationFile, Document, DocumentError};
use stayfound_core::cluster::{Manifest, ManifestError};

use crate::parallel::in_parallel;

mod verdicts;

pub use verdicts::Verdicts;

/// How many validators a part of the work has at most, so that its progress can be told.
const PART_VALIDATORS: usize = 1_000;

/// Which of the two a file is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// charon's `cluster-lock.json`.
    Lock,
    /// `cluster-manifest.json`.
    Manifest,
    /// `authorisation-<operator>.json`: only part of a manifest.
    Authorisation,
}

/// What is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A lock.
    Lock(Box<Lock>),
    /// A manifest.
    Manifest(Box<Document>),
}

/// A file that was read. Whether it may be believed, [`verify`](Self::verify) says.
#[derive(Clone, Debug)]
pub struct ClusterFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub content: Content,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
}

/// Why a file says nothing about a cluster. Nothing was made or changed.
#[derive(Debug)]
pub enum ClusterFileError {
    /// It cannot be read.
    Unreadable(Kind, PathBuf, io::Error),
    /// It is larger than any.
    Size(Kind, PathBuf),
    /// The file is no JSON object. Nothing of it is shown: it may be the key.
    NotAnObject(Kind, PathBuf),
    /// It is a lock where a manifest is to be, or a manifest where a lock is to be.
    OtherKind(Kind, PathBuf),
    /// It is no lock.
    Lock(PathBuf, LockError),
    /// It is no manifest, or no part of one.
    Manifest(Kind, PathBuf, DocumentError),
    /// It can be read, but its operators are no cluster.
    NoCluster(Kind, PathBuf, ManifestError),
    /// A lock that nobody signed.
    Unsigned(PathBuf),
    /// These checks failed.
    Refused(Kind, PathBuf, Vec<Check>),
}

impl Kind {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Manifest => "manifest",
            Self::Authorisation => "authorisation",
        }
    }

    fn usual_name(self) -> &'static str {
        match self {
            Self::Lock => "charon's cluster-lock.json",
            Self::Manifest => "a cluster-manifest.json (stayfound manifest build)",
            Self::Authorisation => "an authorisation-<operator>.json (stayfound authorise)",
        }
    }
}

impl ClusterFile {
    /// Reads a file that is to be of this kind.
    ///
    /// # Errors
    /// [`ClusterFileError`], but for [`NoCluster`](ClusterFileError::NoCluster) and
    /// [`Refused`](ClusterFileError::Refused).
    pub fn read(kind: Kind, path: &Path) -> Result<Self, ClusterFileError> {
        let json = read(kind, path)?;
        let other = if kind == Kind::Lock { Kind::Manifest } else { Kind::Lock };
        Self::parse(kind, path, &json).map_err(|why| match Self::parse(other, path, &json) {
            Ok(_) => ClusterFileError::OtherKind(other, path.into()),
            Err(_) => why,
        })
    }

    /// Reads a file of either kind, whichever it is.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_any(path: &Path) -> Result<Self, ClusterFileError> {
        let json = read(Kind::Lock, path)?;
        // A lock's version stands in its definition; a manifest's stands first of all.
        let compact = json.iter().filter(|byte| !byte.is_ascii_whitespace());
        let is_manifest = compact.take(11).eq(br#"{"version":"#);
        let kind = if is_manifest { Kind::Manifest } else { Kind::Lock };
        Self::parse(kind, path, &json)
    }

    /// A manifest that is not in its file yet.
    #[must_use]
    pub fn of(path: &Path, document: Document) -> Self {
        let hash = Sha256::digest(document.to_json()).into();
        Self { path: path.into(), content: Content::Manifest(Box::new(document)), hash }
    }

    fn parse(kind: Kind, path: &Path, json: &[u8]) -> Result<Self, ClusterFileError> {
        if json.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(ClusterFileError::NotAnObject(kind, path.into()));
        }
        let content = match kind {
            Kind::Lock => Content::Lock(Box::new(
                Lock::read(json).map_err(|why| ClusterFileError::Lock(path.into(), why))?,
            )),
            Kind::Manifest => Content::Manifest(Box::new(
                Document::read(json)
                    .map_err(|why| ClusterFileError::Manifest(kind, path.into(), why))?,
            )),
            Kind::Authorisation => unreachable!("an authorisation says nothing about a cluster"),
        };
        Ok(Self { path: path.into(), content, hash: Sha256::digest(json).into() })
    }

    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.content {
            Content::Lock(_) => Kind::Lock,
            Content::Manifest(_) => Kind::Manifest,
        }
    }

    pub(crate) fn operator_count(&self) -> usize {
        match &self.content {
            Content::Lock(lock) => lock.definition.operators.len(),
            Content::Manifest(document) => document.operators.len(),
        }
    }

    /// Looks at everything, on so many threads; `progress` is told how many parts of the work are
    /// done, and of how many.
    #[must_use]
    pub fn verify(&self, threads: usize, progress: impl Fn(usize, usize) + Sync) -> Verdict {
        match &self.content {
            Content::Lock(lock) => {
                let parts = lock.parts(part_count(lock.validators.len(), threads));
                lock.conclude(run(&parts, threads, progress, |part| part.run()))
            }
            Content::Manifest(document) => {
                let parts = document.parts(part_count(document.validators.len(), threads));
                document.conclude(run(&parts, threads, progress, |part| part.run()))
            }
        }
    }

    /// Who belongs, whatever [`verify`](Self::verify) says.
    ///
    /// # Errors
    /// [`ClusterFileError::NoCluster`].
    pub fn manifest(&self) -> Result<Manifest, ClusterFileError> {
        let manifest = match &self.content {
            Content::Lock(lock) => lock.manifest(),
            Content::Manifest(document) => document.manifest(),
        };
        manifest.map_err(|why| ClusterFileError::NoCluster(self.kind(), self.path.clone(), why))
    }

    /// That somebody signed it, if it is a lock. charon reads locks of its first versions without
    /// any signature, and then looks at nothing that anybody could not have written: such a lock is
    /// for who insists on it.
    ///
    /// # Errors
    /// [`ClusterFileError::Unsigned`].
    pub fn is_signed(&self, verdict: &Verdict) -> Result<(), ClusterFileError> {
        let is_passed = |check: &Check| check.name == AGGREGATE && check.outcome == Outcome::Passed;
        match self.kind() == Kind::Lock && !verdict.checks.iter().any(is_passed) {
            true => Err(ClusterFileError::Unsigned(self.path.clone())),
            false => Ok(()),
        }
    }

    /// That nothing failed.
    ///
    /// # Errors
    /// [`ClusterFileError::Refused`]: what did.
    pub fn holds(&self, verdict: &Verdict) -> Result<(), ClusterFileError> {
        let failed: Vec<_> = verdict.failures().cloned().collect();
        match failed.is_empty() {
            true => Ok(()),
            false => Err(ClusterFileError::Refused(self.kind(), self.path.clone(), failed)),
        }
    }
}

/// Reads what `stayfound authorise` wrote.
///
/// # Errors
/// [`ClusterFileError`].
pub fn read_authorisation(path: &Path) -> Result<AuthorisationFile, ClusterFileError> {
    let json = read(Kind::Authorisation, path)?;
    let file = AuthorisationFile::read(&json);
    file.map_err(|why| ClusterFileError::Manifest(Kind::Authorisation, path.into(), why))
}

fn part_count(validators: usize, threads: usize) -> usize {
    threads.max(validators.div_ceil(PART_VALIDATORS))
}

fn run<P: Sync, R: Send>(
    parts: &[P],
    threads: usize,
    progress: impl Fn(usize, usize) + Sync,
    work: impl Fn(&P) -> R + Sync,
) -> Vec<R> {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let all = in_parallel(parts.len(), threads, |at| {
        let result = work(&parts[at]);
        progress(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed), parts.len());
        Ok::<_, std::convert::Infallible>(result)
    });
    all.unwrap_or_else(|never| match never {})
}

fn read(kind: Kind, path: &Path) -> Result<Vec<u8>, ClusterFileError> {
    let unreadable = |why| ClusterFileError::Unreadable(kind, path.into(), why);
    // To open a named pipe would be to wait for its writer.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is no file")));
    }
    if metadata.len() > LOCK_BYTES_MAX as u64 {
        return Err(ClusterFileError::Size(kind, path.into()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut json = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(LOCK_BYTES_MAX as u64).read_to_end(&mut json).map_err(unreadable)?;
    Ok(json)
}

impl fmt::Display for ClusterFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind, path, why) => write!(
                f,
                "the {} file {} cannot be read: {why}; give the path of {}, readable by this user",
                kind.as_str(),
                path.display(),
                kind.usual_name()
            ),
            Self::Size(kind, path) => write!(
                f,
                "the {kind} file {} is larger than {} MiB, as no {kind} is; give the path of {}",
                path.display(),
                LOCK_BYTES_MAX >> 20,
                kind.usual_name(),
                kind = kind.as_str()
            ),
            Self::NotAnObject(kind, path) => write!(
                f,
                "the {kind} file {} is not the JSON of a {kind}; give the path of {}",
                path.display(),
                kind.usual_name(),
                kind = kind.as_str()
            ),
            Self::OtherKind(Kind::Lock, path) => write!(
                f,
                "{} is a lock, not a manifest: stayfound run takes it with --lock",
                path.display()
            ),
            Self::OtherKind(_, path) => write!(
                f,
                "{} is a manifest, not a lock: stayfound run takes it with --manifest; elsewhere give \
                 the path of {}",
                path.display(),
                Kind::Lock.usual_name()
            ),
            Self::Lock(path, why) => write!(f, "the lock file {}: {why}", path.display()),
            Self::Manifest(kind, path, why) => {
                write!(f, "the {} file {}: {why}", kind.as_str(), path.display())
            }
            Self::NoCluster(kind, path, why) => write!(
                f,
                "the {} file {}: {why}; take an unaltered copy from another operator of the cluster",
                kind.as_str(),
                path.display()
            ),
            Self::Unsigned(path) => write!(
                f,
                "nobody signed the lock file {}: it has no signature aggregate, as locks of charon's \
                 first versions may have none, so anybody may have written it; if you know where it \
                 comes from, give --no-verify",
                path.display()
            ),
            Self::Refused(kind, path, failed) => {
                let lacks_authorisations = failed.iter().all(|check| check.name == REQUIRED);
                let advice = match lacks_authorisations {
                    true => {
                        "have every operator authorise its key (stayfound authorise), and run from \
                         a manifest with all of it (stayfound manifest build)"
                    }
                    false => {
                        "take an unaltered copy from another operator of the cluster (stayfound \
                         manifest verify shows every check)"
                    }
                };
                let (kind, path) = (kind.as_str(), path.display());
                write!(f, "the {kind} file {path} does not hold; {advice}")?;
                failed.iter().try_for_each(|check| write!(f, "\n  {check}"))
            }
        }
    }
}

impl std::error::Error for ClusterFileError {}
