//! Why a node cannot start, or ended.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use stayfound_core::node::StartError;

use crate::store::StoreError;

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
    /// The endpoint at this address ended by itself: its UDP socket failed for good.
    EndpointDied(SocketAddr),
    /// The node has ended already.
    Stopped,
}

impl MeshError {
    pub(crate) fn bind(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse(address),
            _ => Self::Bind(address, error),
        }
    }
}

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortInUse(address) => write!(
                f,
                "UDP port {} of {} is in use by another program; stop that one, or listen at \
                 another port",
                address.port(),
                address.ip()
            ),
            Self::Bind(address, why) => write!(
                f,
                "cannot listen at {address}: {why}; give an address of this host, or 0.0.0.0 for \
                 all of them"
            ),
            Self::Store(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::Randomness => f.write_str("the operating system gives no randomness"),
            Self::Interfaces(why) => write!(
                f,
                "the addresses of this host cannot be watched: {why}; listen at one address of \
                 this host instead of all"
            ),
            Self::EndpointDied(address) => write!(
                f,
                "the UDP socket at {address} failed for good, so that no operator can be reached; \
                 start the node again"
            ),
            Self::Stopped => f.write_str("the node has stopped already"),
        }
    }
}

impl std::error::Error for MeshError {}
