//! The nodes of a devnet, and what each lacks.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::record::NodeId;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::strangers::Strangers;
use crate::cli::{Failure, STOP_WITHIN, wall};
use crate::mesh::Mesh;
use crate::status::{Row, Status, Table, name};
use crate::store::{DiskStore, StoreError};
use crate::testnet::Cluster;

/// The nodes of one cluster.
pub(super) struct Net {
    cluster: Cluster,
    directory: PathBuf,
    base_port: Option<u16>,
    nodes: BTreeMap<OperatorIndex, Running>,
    /// Where each listened at first: all that anybody is told.
    first: BTreeMap<OperatorIndex, SocketAddr>,
    /// Below or at this, a record is of the past.
    old_seq: BTreeMap<OperatorIndex, u64>,
    changed: Arc<Notify>,
    strangers: Strangers,
}

/// A node, in a runtime of its own so that it can be killed.
struct Running {
    mesh: Mesh,
    status: watch::Receiver<Status>,
    runtime: NodeRuntime,
}

/// A runtime that may be dropped within another.
struct NodeRuntime(Option<Runtime>);

impl Drop for NodeRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What operator `at` lacks of operator `of`.
pub(super) struct Lack {
    at: OperatorIndex,
    of: OperatorIndex,
    /// Its record, as it is now.
    pub(super) record: bool,
    /// A link with it, where it is now.
    pub(super) link: bool,
}

impl Net {
    pub(super) fn create(
        directory: &Path,
        operators: u8,
        base_port: Option<u16>,
        strangers: Strangers,
    ) -> Result<Self, Failure> {
        let cluster = Cluster::create(directory, operators.into())?;
        Ok(Self {
            cluster,
            directory: directory.into(),
            base_port,
            nodes: BTreeMap::new(),
            first: BTreeMap::new(),
            old_seq: BTreeMap::new(),
            changed: Arc::default(),
            strangers,
        })
    }

    fn manifest(&self) -> &Manifest {
        self.cluster.manifest()
    }

    /// An operator as people call it: `operator 2 (misty-otter)`.
    pub(super) fn called(&self, operator: OperatorIndex) -> String {
        let node_id = self.manifest().get(operator).expect("the cluster has it").node_id;
        format!("operator {operator} ({})", name(&node_id))
    }

    pub(super) fn introduction(&self) -> String {
        let manifest = self.manifest();
        format!(
            "a cluster of {} operators, counted from 0, threshold {}; keys, lock and manifest in {}\n\
             the manifest is verified: each operator's key share authorises its ENR key\n\
             seq is the sequence number of an operator's record: of two records the higher one counts",
            manifest.operators().len(),
            manifest.threshold(),
            self.directory.display()
        )
    }

    /// Starts every node and tells each where the others are now.
    pub(super) async fn start_all(&mut self) -> Result<(), Failure> {
        for operator in self.cluster.indices() {
            let port = self.port(operator.0.into());
            let address = self.start(operator, port).await?;
            self.first.insert(operator, address);
        }
        for (operator, node) in &self.nodes {
            for (other, address) in self.first.iter().filter(|(other, _)| *other != operator) {
                node.mesh.hint(*other, *address)?;
            }
        }
        Ok(())
    }

    /// Moves a node to another port while it runs; answers from where to where.
    pub(super) async fn move_away(
        &mut self,
        operator: OperatorIndex,
    ) -> Result<(SocketAddr, SocketAddr), Failure> {
        let seq = self.seq(operator);
        self.old_seq.insert(operator, seq);
        let to = loopback(self.port_after(operator, 1));
        let mesh = &self.nodes[&operator].mesh;
        let from = mesh.local_addr();
        Ok((from, mesh.rebind(to).await?))
    }

    /// Lets so many nodes of no cluster join, through the boot node.
    pub(super) async fn strangers_join(&mut self, count: usize) -> Result<(), Failure> {
        self.strangers.join(count).await?;
        self.strangers.joined().await
    }

    /// How many nodes each stranger has had an answer of: the fewest, and the most.
    pub(super) fn known_to_strangers(&self) -> (usize, usize) {
        self.strangers.known()
    }

    /// Kills every node at once, removes the data of one, and starts each at another port, told of
    /// nobody but the boot node. Answers when the first of them started.
    pub(super) async fn scatter(&mut self, loser: OperatorIndex) -> Result<Instant, Failure> {
        let all: Vec<OperatorIndex> = self.cluster.indices().collect();
        for operator in &all {
            self.kill(*operator).await?;
        }
        fs::remove_dir_all(self.data_dir(loser))?;
        self.first.clear();
        let begun = Instant::now();
        for operator in all {
            self.start(operator, self.port_after(operator, 2)).await?;
        }
        Ok(begun)
    }

    /// Ends a node without a word to anybody and removes its data; answers the seq of its record.
    pub(super) async fn kill_and_wipe(&mut self, operator: OperatorIndex) -> Result<u64, Failure> {
        let seq = self.kill(operator).await?;
        fs::remove_dir_all(self.data_dir(operator))?;
        Ok(seq)
    }

    /// Ends a node without a word to anybody; answers the seq of its record.
    async fn kill(&mut self, operator: OperatorIndex) -> Result<u64, Failure> {
        let seq = self.seq(operator);
        self.old_seq.insert(operator, seq);
        let mut node = self.nodes.remove(&operator).expect("it runs");
        let runtime = node.runtime.0.take().expect("it runs");
        // Waits until no task of the node runs any more; only then its handle goes, which would
        // have let it say goodbye.
        let killed = spawn_blocking(move || runtime.shutdown_timeout(STOP_WITHIN));
        killed.await.map_err(Failure::running)?;
        drop(node.mesh);
        Ok(seq)
    }

    /// Starts a node that was killed, at another port, told where the others were at first;
    /// answers from where to where.
    pub(super) async fn start_elsewhere(
        &mut self,
        operator: OperatorIndex,
    ) -> Result<(SocketAddr, SocketAddr), Failure> {
        let from = self.first[&operator];
        let to = self.start(operator, self.port_after(operator, 1)).await?;
        Ok((from, to))
    }

    async fn start(&mut self, operator: OperatorIndex, port: u16) -> Result<SocketAddr, Failure> {
        let node_id = self.manifest().operators()[usize::from(operator.0)].node_id;
        let store = open_when_free(&self.data_dir(operator), node_id).await?;
        let key = self.cluster.key(operator).clone();
        let mut builder = Mesh::builder(key, self.manifest().clone())
            .listen(loopback(port))
            .boot(self.strangers.record().clone())
            .store(Box::new(store));
        for (other, address) in self.first.iter().filter(|(other, _)| **other != operator) {
            builder = builder.hint(*other, *address);
        }
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let runtime = NodeRuntime(Some(runtime));
        let handle = runtime.0.as_ref().expect("was just made").handle();
        let mesh = handle.spawn(builder.start()).await.map_err(Failure::running)??;
        let (status, address) = (mesh.status(), mesh.local_addr());
        let (mut watched, changed) = (status.clone(), self.changed.clone());
        tokio::spawn(async move {
            // Ends with the node.
            while watched.changed().await.is_ok() {
                changed.notify_waiters();
            }
        });
        self.nodes.insert(operator, Running { mesh, status, runtime });
        Ok(address)
    }

    /// Comes when any node's status changes after this call.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + use<'_> {
        self.changed.notified()
    }

    /// The sequence number of a node's own record.
    pub(super) fn seq(&self, operator: OperatorIndex) -> u64 {
        let status = self.nodes[&operator].status.borrow();
        status.record.as_ref().map_or(0, |record| record.seq())
    }

    /// Whoever runs and lacks something of another who does.
    pub(super) fn lacks(&self) -> Vec<Lack> {
        let lacks = self.pairs().map(|(at, of)| {
            let status = self.nodes[&at].status.borrow();
            let known = status.operator(of).expect("the cluster has it");
            let (address, old_seq) = (self.nodes[&of].mesh.local_addr(), self.old_seq.get(&of));
            let names_it = known.record.endpoints().quic_addresses().any(|named| named == address);
            let is_old = old_seq.is_some_and(|old| known.record.seq() <= *old);
            let is_linked = known.links.contains(&address);
            Lack { at, of, record: !names_it || is_old, link: !is_linked }
        });
        lacks.filter(|lack| lack.record || lack.link).collect()
    }

    /// How many pairs of operators could lack something.
    pub(super) fn pair_count(&self) -> usize {
        self.pairs().count()
    }

    fn pairs(&self) -> impl Iterator<Item = (OperatorIndex, OperatorIndex)> {
        let all = self.nodes.keys().flat_map(|at| self.nodes.keys().map(move |of| (*at, *of)));
        all.filter(|(at, of)| at != of)
    }

    /// How each node sees itself.
    pub(super) fn table(&self) -> Table {
        let peers = self.manifest().operators().len() - 1;
        let rows = self.manifest().operators().iter().map(|operator| {
            let mut row = Row {
                operator: operator.index,
                name: name(&operator.node_id),
                address: None,
                seq: operator.record.seq(),
                links: (0, peers),
                changed: None,
            };
            if let Some(node) = self.nodes.get(&operator.index) {
                let status = node.status.borrow();
                if let Some(record) = &status.record {
                    row.address = record.endpoints().quic_addresses().next();
                    row.seq = record.seq();
                }
                let linked = status.operators.iter().filter(|other| !other.links.is_empty());
                row.links.0 = linked.count();
                row.changed = status.operators.iter().filter_map(|other| other.changed).max();
            }
            row
        });
        Table { rows: rows.collect(), now: wall() }
    }

    /// Stops every node.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        let mut stopping = JoinSet::new();
        for (_, node) in self.nodes {
            stopping.spawn(async move {
                let stopped = timeout(STOP_WITHIN, node.mesh.stop()).await;
                drop(node.runtime);
                stopped
            });
        }
        while let Some(stopped) = stopping.join_next().await {
            let stopped =
                stopped.map_err(|why| Failure::running(format!("a node broke: {why}")))?;
            stopped.map_err(|_| Failure::running("a node did not stop in time"))??;
        }
        self.strangers.stop().await
    }

    fn data_dir(&self, operator: OperatorIndex) -> PathBuf {
        self.directory.join(format!("data{operator}"))
    }

    fn port(&self, place: u16) -> u16 {
        self.base_port.map_or(0, |base| base + place)
    }

    fn port_after(&self, operator: OperatorIndex, moves: u16) -> u16 {
        let operators = u16::try_from(self.cluster.indices().count()).expect("256 at most");
        self.port(moves * operators + u16::from(operator.0))
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, of, .. } = self;
        match (self.record, self.link) {
            (true, true) => write!(
                f,
                "operator {at} neither holds the newest record of operator {of} nor is linked \
                 with it"
            ),
            (true, false) => write!(f, "operator {at} lacks the newest record of operator {of}"),
            (false, _) => write!(f, "operator {at} is not linked with operator {of}"),
        }
    }
}

/// Opens a database that a node which was killed may still be letting go of.
async fn open_when_free(directory: &Path, owner: NodeId) -> Result<DiskStore, Failure> {
    let begun = Instant::now();
    loop {
        match DiskStore::open(directory, owner) {
            Err(StoreError::InUse(_)) if begun.elapsed() < STOP_WITHIN => {
                sleep(Duration::from_millis(1)).await;
            }
            opened => return opened.map_err(Failure::running),
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
