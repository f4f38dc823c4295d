//! The state machine of one operator: one way in, one ordered queue out.

use std::net::SocketAddr;

use crate::cluster::{Manifest, OperatorIndex};
use crate::database::{Database, Row};
use crate::keys::SecretKey;
use crate::record::Signed;
use crate::time::{Mono, Wall};

mod input;
mod output;

pub use input::{DialId, Input, LinkId};
pub use output::{CloseReason, Counter, Event, Output, Ticket};

/// Who we are and whom we know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our ENR key.
    pub key: SecretKey,
    /// Our cluster.
    pub manifest: Manifest,
    /// Addresses that the operator fixed, one per family at most: they outrank every other.
    pub external: Vec<SocketAddr>,
    /// Addresses at which operators may answer.
    pub hints: Vec<(OperatorIndex, SocketAddr)>,
}

/// Why a node cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Our key is no operator's.
    NotAnOperator,
    /// Two or more fixed addresses of one family, or one that is not usable.
    External(SocketAddr),
    /// A hint for an operator that the cluster does not have, or an address that is not usable.
    Hint(OperatorIndex, SocketAddr),
}

/// What the deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A peer is to be dialled.
    Dial,
    /// A link has been silent since it opened.
    Hello,
}

/// One operator's node.
pub struct Node;

impl Node {
    /// Starts
    pub fn new(_config: Config, _seed: [u8; 32], _now: Mono, _wall: Wall, _stored: &[Row]) -> Result<Self, StartError> { todo!() }
    /// h
    pub fn handle(&mut self, _now: Mono, _input: Input<'_>) { todo!() }
    /// p
    pub fn poll(&mut self) -> Option<Output> { todo!() }
    /// w
    pub fn wake_at(&self) -> Option<(Mono, Why)> { todo!() }
    /// Whether a key belongs to another operator of our cluster.
    pub fn admits(&self, _key: &[u8; 33]) -> bool { todo!() }
    /// Our place in the cluster.
    pub fn own_index(&self) -> OperatorIndex { todo!() }
    /// Our own newest durable (published) record.
    pub fn own_record(&self) -> Option<&Signed> { todo!() }
    /// m
    pub fn manifest(&self) -> &Manifest { todo!() }
    /// d
    pub fn database(&self) -> &Database { todo!() }
    /// The links over which a peer has said hello: operator, link, where it is seen.
    pub fn links(&self) -> impl Iterator<Item = (OperatorIndex, LinkId, SocketAddr)> { std::iter::empty() }
    /// Panics if an invariant is broken. For simulators and debug builds.
    pub fn check(&self) { todo!() }
}

/// The driver's whole contract
pub fn step(node: &mut Node, now: Mono, input: Input<'_>, mut emit: impl FnMut(Output)) -> Option<Mono> {
    node.handle(now, input);
    while let Some(output) = node.poll() {
        emit(output);
    }
    let next = node.wake_at().map(|(at, _)| at);
    assert!(next.is_none_or(|at| at > now), "a deadline in the past would spin the driver");
    next
}
