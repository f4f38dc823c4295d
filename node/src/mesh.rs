//! The handle by which a program embeds a node.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::keys::SecretKey;
use stayfound_core::node::{Event, StartError};
use tokio::sync::{broadcast, watch};

use crate::status::Status;
use crate::store::{Store, StoreError};

/// What a node needs before it can start.
pub struct Builder {
    key: SecretKey,
    manifest: Manifest,
    listen: SocketAddr,
    external: Vec<SocketAddr>,
    hints: Vec<(OperatorIndex, SocketAddr)>,
    store: Option<Box<dyn Store>>,
}

/// A running node: one operator's member of the mesh. Dropping it stops the node without waiting;
/// [`Mesh::stop`] waits until nothing can be lost.
pub struct Mesh {}

/// Why a node cannot start, or ended.
#[derive(Debug)]
pub enum MeshError {
    /// Another program has the UDP port.
    PortInUse(SocketAddr),
    /// The UDP socket cannot be bound.
    Bind(SocketAddr, io::Error),
    /// The store failed. What had been reported durable is.
    Store(StoreError),
    /// Key, addresses or hints do not fit the cluster.
    Start(StartError),
    /// The operating system gives no randomness.
    Randomness,
    /// The interfaces of this host cannot be watched.
    Interfaces(io::Error),
    /// The node has ended already.
    Stopped,
}

impl Builder {
    /// The UDP address to listen at; port 0 lets the system choose. Unspecified addresses
    /// (`0.0.0.0`, `[::]`) stand for every address of this host. Default `0.0.0.0:3610`.
    #[must_use]
    pub fn listen(self, address: SocketAddr) -> Self {
        todo!()
    }

    /// Fixes the address that others are told, one per family at most: it outranks every address
    /// that is found out.
    #[must_use]
    pub fn external(self, address: SocketAddr) -> Self {
        todo!()
    }

    /// An address at which an operator may answer.
    #[must_use]
    pub fn hint(self, operator: OperatorIndex, address: SocketAddr) -> Self {
        todo!()
    }

    /// Where the database is kept. Default: in memory, lost at the end.
    #[must_use]
    pub fn store(self, store: Box<dyn Store>) -> Self {
        todo!()
    }

    /// Loads the store, binds the socket and starts the node within the current tokio runtime.
    ///
    /// # Errors
    /// [`MeshError`]; nothing runs then.
    pub async fn start(self) -> Result<Mesh, MeshError> {
        todo!()
    }
}

impl Mesh {
    /// A node of the operator with this key in this cluster.
    #[must_use]
    pub fn builder(key: SecretKey, manifest: Manifest) -> Builder {
        todo!()
    }

    /// Where the socket is bound now.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }

    /// What happens from now on. A receiver that falls far behind is told how many it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        todo!()
    }

    /// How the node stands, replaced after every step that changed something.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        todo!()
    }

    /// Tells the node an address at which an operator may answer.
    ///
    /// # Errors
    /// [`MeshError::Stopped`].
    pub fn hint(&self, operator: OperatorIndex, address: SocketAddr) -> Result<(), MeshError> {
        todo!()
    }

    /// Moves the node to another UDP socket; answers where it is bound. The old socket stays in
    /// use if the new one cannot be bound.
    ///
    /// # Errors
    /// [`MeshError::PortInUse`], [`MeshError::Bind`], [`MeshError::Stopped`].
    pub async fn rebind(&self, address: SocketAddr) -> Result<SocketAddr, MeshError> {
        todo!()
    }

    /// Waits until the node ends by itself, as it does when its store fails; [`Mesh::stop`] then
    /// says why.
    pub async fn ended(&self) {
        todo!()
    }

    /// Stops the node within two seconds: every write durable, every link closed.
    ///
    /// # Errors
    /// [`MeshError::Store`] if the store failed, now or before.
    pub async fn stop(self) -> Result<(), MeshError> {
        todo!()
    }
}
