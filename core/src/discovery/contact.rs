//! Whom we talk to: a node at an address.

use std::net::SocketAddr;

use crate::record::NodeId;

/// A node at one of its addresses: what sessions, challenges and requests are kept by (R39, R40).
/// The same node at another address is another contact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Contact {
    /// Which node.
    pub id: NodeId,
    /// Where: canonical, see [`Contact::new`].
    pub at: SocketAddr,
}

impl Contact {
    /// The contact with its address in the one form that compares equal however a socket reports
    /// it: an IPv4-mapped IPv6 address as IPv4, no IPv6 scope id, no flow label.
    #[must_use]
    pub fn new(id: NodeId, at: SocketAddr) -> Self {
        Self { id, at: SocketAddr::new(at.ip().to_canonical(), at.port()) }
    }
}
