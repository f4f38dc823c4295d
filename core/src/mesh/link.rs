//! One link, and which of several links to one peer stays.

use std::net::SocketAddr;
use std::time::Duration;

use super::LinkId;
use super::frame::Reader;
use crate::allowance::Allowance;
use crate::cluster::{Authorised, OperatorIndex};
use crate::planted::{Bug, planted};
use crate::record::NodeId;
use crate::time::Mono;

/// Two links that opened within this time may have been dialled at the same moment by both sides.
pub const CROSSING: Duration = Duration::from_secs(1);
/// How long a peer may stay silent on a link that it opened or answered.
pub const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How many links to one peer are kept until the side that decides has decided.
pub const LINKS_PER_PEER_MAX: usize = 4;

/// How often at once a peer may say that it loaded another manifest: we answer with all that it
/// lacks.
pub const RELOADS_AT_ONCE: u32 = 4;
/// How long each takes to be forgotten.
pub const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// One open link.
#[derive(Debug)]
pub struct Link {
    /// Who is at its other end.
    pub operator: OperatorIndex,
    /// Whether we dialled it.
    pub dialled: bool,
    /// Where the peer is seen.
    pub remote: SocketAddr,
    /// When it opened.
    pub opened: Mono,
    /// Whether the peer has said hello.
    pub greeted: bool,
    /// Its frames.
    pub reader: Reader,
    /// How often the peer has loaded another manifest.
    pub reloads: Allowance,
}

/// An operator's record whose node answered at an address: it said hello over a link on which the
/// transport had proved its key. Made by the mesh alone.
#[derive(Clone, Debug)]
pub struct Reachable {
    record: Authorised,
    at: SocketAddr,
}

impl Reachable {
    /// Whose record it is.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.record.record().node_id()
    }

    /// Where the node answered.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }
}

impl Link {
    /// Lets the record of this link's peer up the ladder, once the peer has said hello.
    pub fn reachable(&self, record: Authorised) -> Option<Reachable> {
        let answered = self.greeted && record.operator() == self.operator;
        answered.then_some(Reachable { record, at: self.remote })
    }
}

/// Which of two links to one peer goes; `None` if the other side decides that.
///
/// Both sides may dial at the same moment, and each sees the two links open at slightly different
/// times, perhaps in a different order. So that they never close one each, only the side with the
/// lower node id decides between links that opened at about the same time: of two that crossed
/// (each side dialled one, and the peer is seen at one address) the one that it dialled stays,
/// otherwise the newer. Links that are well apart in time look the same from both sides: there the
/// newer replaces the older, because a node that moved and dials again must not wait for a dead
/// link.
pub fn loser(
    (old_id, old): (LinkId, &Link),
    (new_id, new): (LinkId, &Link),
    we_are_lower: bool,
) -> Option<LinkId> {
    let apart = new.opened - old.opened;
    if !we_are_lower && !planted(Bug::BothSidesClose) {
        return (apart >= 2 * CROSSING).then_some(old_id);
    }
    let crossed = old.dialled != new.dialled && old.remote == new.remote && apart < CROSSING;
    Some(if (crossed && old.dialled) || planted(Bug::KeepsOldLink) { new_id } else { old_id })
}
