//! Nodes that belong to no cluster, and that nobody of the cluster knows but one.

use std::net::{Ipv4Addr, SocketAddr};

use stayfound_core::cluster::Manifest;
use stayfound_core::discovery::Settings;
use stayfound_core::record::Signed;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cli::{Failure, STOP_WITHIN};
use crate::keyfile;
use crate::mesh::Mesh;

/// The boot node, and whoever joined through it.
pub(super) struct Strangers {
    boot: Mesh,
    record: Signed,
    others: Vec<Mesh>,
}

impl Strangers {
    /// Starts the boot node.
    pub(super) async fn start() -> Result<Self, Failure> {
        let boot = stranger(None).await?;
        let mut status = boot.status();
        let published = status.wait_for(|status| status.record.is_some()).await;
        let record = published.map(|status| status.record.clone()).map_err(Failure::running)?;
        Ok(Self { boot, record: record.expect("waited for"), others: Vec::new() })
    }

    /// The boot node's record.
    pub(super) fn record(&self) -> &Signed {
        &self.record
    }

    /// Lets so many join.
    pub(super) async fn join(&mut self, count: usize) -> Result<(), Failure> {
        for _ in 0..count {
            self.others.push(stranger(Some(self.record.clone())).await?);
        }
        Ok(())
    }

    /// Waits until somebody has answered each.
    pub(super) async fn joined(&self) -> Result<(), Failure> {
        for mesh in &self.others {
            let mut status = mesh.status();
            let known = status.wait_for(|status| status.discovery.is_some_and(|d| d.verified > 0));
            known.await.map_err(Failure::running)?;
        }
        Ok(())
    }

    /// How many nodes each has had an answer of: the fewest, and the most.
    pub(super) fn known(&self) -> (usize, usize) {
        let known = self
            .others
            .iter()
            .map(|mesh| mesh.status().borrow().discovery.map_or(0, |discovery| discovery.verified));
        known.fold((usize::MAX, 0), |(least, most), each| (least.min(each), most.max(each)))
    }

    /// Stops all.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        let mut stopping = JoinSet::new();
        for mesh in self.others.into_iter().chain([self.boot]) {
            stopping.spawn(timeout(STOP_WITHIN, mesh.stop()));
        }
        while let Some(stopped) = stopping.join_next().await {
            let stopped =
                stopped.map_err(|why| Failure::running(format!("a node broke: {why}")))?;
            stopped.map_err(|_| Failure::running("a node did not stop in time"))??;
        }
        Ok(())
    }
}

async fn stranger(boot: Option<Signed>) -> Result<Mesh, Failure> {
    let (key, _) = keyfile::generate()?;
    let listen: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let manifest = Manifest::alone(&key);
    let builder = Mesh::builder(key, manifest).listen(listen).discovery(Settings::default());
    Ok(boot.into_iter().fold(builder, |builder, boot| builder.boot(boot)).start().await?)
}
