//! What the world waits for.

use std::net::{IpAddr, SocketAddr};

use stayfound_core::node::{Input, Ticket};

use crate::network::Due;

/// A host, by its place in the world: the operators first, by index, then strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// Everything that can be due.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something in the network.
    Network(Due),
    /// Something that concerns one process of a host, and nobody if that process is gone.
    Local {
        /// The host.
        host: HostId,
        /// The number of the process.
        process: u32,
        /// What.
        what: Local,
    },
}

/// What a process hears from its own host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// Its deadline has come.
    Wake,
    /// Its writes up to this one are durable.
    Durable(Ticket),
    /// Its socket is bound here.
    Bound(SocketAddr),
    /// An interface has this address.
    Up(IpAddr),
    /// No interface has this address any more.
    Down(IpAddr),
}

impl Local {
    /// As the node's driver puts it.
    #[must_use]
    pub fn input(self) -> Input<'static> {
        match self {
            Self::Wake => Input::Wake,
            Self::Durable(ticket) => Input::Durable { ticket },
            Self::Bound(local) => Input::Bound { local },
            Self::Up(ip) => Input::AddressUp { ip },
            Self::Down(ip) => Input::AddressDown { ip },
        }
    }
}

impl From<Due> for Event {
    fn from(due: Due) -> Self {
        Self::Network(due)
    }
}
