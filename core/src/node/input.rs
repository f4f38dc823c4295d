//! What can happen to a node: the one way in.

use std::net::{IpAddr, SocketAddr};

use crate::cluster::{Manifest, OperatorIndex};
use crate::discovery::{Ask, Talk};
use crate::keys::PublicKey;
use crate::mesh::{DialId, LinkId};

use super::output::Ticket;

/// Everything that can happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A link opened. The transport has proved that `peer` holds its key, and has let in no key
    /// for which [`Node::admits`](super::Node::admits) is false.
    LinkOpened {
        /// Its number.
        link: LinkId,
        /// The key that the peer proved.
        peer: PublicKey,
        /// Where we see the peer.
        remote: SocketAddr,
        /// The dial that it answers; `None` if the peer dialled.
        dial: Option<DialId>,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Which.
        dial: DialId,
    },
    /// Bytes arrived on a link, in order, cut anywhere.
    LinkBytes {
        /// Which.
        link: LinkId,
        /// The next bytes of its stream.
        bytes: &'a [u8],
    },
    /// The peer of a link is now seen at another address (the transport's path changed).
    LinkMoved {
        /// Which.
        link: LinkId,
        /// Where we see the peer now.
        remote: SocketAddr,
    },
    /// A link is gone: closed by the peer, failed or timed out. Not reported for a link that the
    /// core closed.
    LinkClosed {
        /// Which.
        link: LinkId,
    },
    /// The socket is bound here: an address of our own or an unspecified one (then
    /// [`Input::AddressUp`] says which addresses we have), and the port that we answer at.
    Bound {
        /// The socket's local address.
        local: SocketAddr,
    },
    /// An interface of this host has this address now.
    AddressUp {
        /// The address.
        ip: IpAddr,
    },
    /// No interface of this host has this address any more.
    AddressDown {
        /// The address.
        ip: IpAddr,
    },
    /// Everything handed over in [`Output::Persist`](super::Output::Persist) up to and including
    /// this ticket will survive a crash.
    Durable {
        /// The latest durable write.
        ticket: Ticket,
    },
    /// The application knows an address at which an operator may answer.
    Hint {
        /// Whom it may reach.
        operator: OperatorIndex,
        /// Where.
        address: SocketAddr,
    },
    /// This manifest is in force from now on: whoever is no operator of it loses its authority at
    /// once, open links included. The transport must let in by
    /// [`Node::admits`](super::Node::admits) from now on.
    Manifest {
        /// Who belongs now.
        manifest: &'a Manifest,
    },
    /// A datagram that is discv5's arrived
    /// ([`is_discovery`](crate::discovery::packet::is_discovery)).
    Datagram {
        /// From where.
        from: SocketAddr,
        /// The datagram, whole.
        bytes: &'a [u8],
    },
    /// The application asks other nodes something; [`Event::Answered`](super::Event::Answered)
    /// comes once, at once if there is no discovery.
    Ask {
        /// Its number, the application's own.
        id: u64,
        /// What.
        ask: &'a Ask,
    },
    /// The application answers an [`Event::Talk`](super::Event::Talk).
    TalkBack {
        /// Which.
        talk: &'a Talk,
        /// What to say.
        response: &'a [u8],
    },
    /// Fresh randomness of the operating system, to be given at the start and every few minutes: nonces
    /// and ephemeral keys depend on it from now on. A host that was put back to an earlier state, of
    /// a virtual machine say, would otherwise draw the same once more under the same session keys. The
    /// simulator gives none.
    Entropy {
        /// 32 bytes that nobody can know.
        fresh: &'a [u8; 32],
    },
    /// The deadline of [`Node::wake_at`](super::Node::wake_at) has come.
    Wake,
}
