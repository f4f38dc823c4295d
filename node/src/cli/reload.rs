//! The cluster's file, read again while the node runs.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;

use stayfound_core::cluster::Manifest;
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
        loop {
            self.next().await;
            told(reload(&cluster, &verdicts, before, mesh).await.as_ref());
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
    mesh.load(manifest.clone()).await.map_err(Refused::Ended)?;
    Ok(manifest)
}

/// A uuid outlives edits of a lock. Without one, the id, or the lock's hash, must be the same.
fn is_same_cluster(before: &Manifest, next: &Manifest) -> bool {
    before.uuid() == next.uuid() && (!next.uuid().is_empty() || before.hash() == next.hash())
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
            Self::Ended(error) => error.fmt(f),
        }
    }
}
