//! The cluster's file, read again while the node runs.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;

use stayfound_core::cluster::authorisation::Authority;
use stayfound_core::cluster::{Manifest, Operator, OperatorIndex};
use tokio::task::spawn_blocking;

use super::report::hex;
use crate::cluster::{ClusterFileError, Verdicts};
use crate::config::Source;
use crate::error::MeshError;
use crate::mesh::Mesh;

/// Requests to read the file again: SIGHUP.
pub(super) struct Requests {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

/// Why a file is not put in force. What was in force stays.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not as it must be.
    File(ClusterFileError),
    /// It is another cluster's: its uuid, or the id of one that has none.
    OtherCluster(PathBuf, String),
    /// This operator was authorised by its shares and is not any more.
    Downgrade(PathBuf, OperatorIndex),
    /// The node has ended.
    Ended(MeshError),
}

impl Requests {
    /// From the call on the signal no longer kills the process.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { hangup: signal(SignalKind::hangup())? })
        }
        #[cfg(windows)]
        {
            Ok(Self {})
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if self.hangup.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }

    /// Reads the file anew whenever that is asked for, and puts what it says in force; `told` gets
    /// that, or why it is not.
    pub(super) async fn serve(
        mut self,
        cluster: Source,
        verdicts: Verdicts,
        before: &Manifest,
        mesh: &Mesh,
        told: impl Fn(Result<&Manifest, &Refused>),
    ) -> Infallible {
        let mut in_force = before.clone();
        loop {
            self.next().await;
            let loaded = reload(&cluster, &verdicts, &in_force, mesh).await;
            told(loaded.as_ref());
            if let Ok(loaded) = loaded {
                in_force = loaded;
            }
        }
    }
}

async fn reload(
    cluster: &Source,
    verdicts: &Verdicts,
    before: &Manifest,
    mesh: &Mesh,
) -> Result<Manifest, Refused> {
    let file = cluster.path.clone();
    let (cluster, verdicts) = (cluster.clone(), verdicts.clone());
    let manifest: Manifest = match spawn_blocking(move || cluster.load(&verdicts)).await {
        Ok(read) => read.map_err(Refused::File)?,
        Err(panicked) => resume_unwind(panicked.into_panic()),
    };
    if !is_same_cluster(before, &manifest) {
        let id = match manifest.uuid() {
            "" => hex(manifest.hash()),
            uuid => uuid.escape_debug().to_string(),
        };
        return Err(Refused::OtherCluster(file, id));
    }
    if let Some(operator) = downgraded(before, &manifest) {
        return Err(Refused::Downgrade(file, operator));
    }
    mesh.load(manifest.clone()).await.map_err(Refused::Ended)?;
    Ok(manifest)
}

/// A uuid outlives edits of a lock. Without one, the id, or the lock's hash, must be the same.
fn is_same_cluster(before: &Manifest, next: &Manifest) -> bool {
    before.uuid() == next.uuid() && (!next.uuid().is_empty() || before.hash() == next.hash())
}

/// An operator whose key shares had spoken, and no longer do: the word of a file alone must not
/// take the place of theirs unnoticed.
fn downgraded(before: &Manifest, next: &Manifest) -> Option<OperatorIndex> {
    let by_shares = |it: &&Operator| it.authority == Authority::Shares;
    let mut before = before.operators().iter().filter(by_shares);
    let is_by_lock =
        |it: &&Operator| next.get(it.index).is_some_and(|next| next.authority == Authority::Lock);
    before.find(is_by_lock).map(|operator| operator.index)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::OtherCluster(file, id) => write!(
                f,
                "{} is of another cluster ({id}); to run for that one, start a node with it",
                file.display(),
            ),
            Self::Downgrade(file, operator) => write!(
                f,
                "{}: the ENR key of operator {operator} was authorised by its key shares, and in this \
                 file it is not; let the operator authorise it (stayfound authorise), or start the \
                 node anew with this file if that is meant",
                file.display(),
            ),
            Self::Ended(error) => error.fmt(f),
        }
    }
}
