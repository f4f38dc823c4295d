//! Endpoints that were probed and have not answered: whoever signs records with somebody else's
//! address must not make us send to it again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::record::NodeId;
use crate::time::Mono;

/// How long an endpoint is left alone after a probe that it did not answer.
pub const QUIET: Duration = Duration::from_secs(60);
/// How many such endpoints are remembered. Beyond, the oldest is forgotten: to have one endpoint
/// probed twice within [`QUIET`], somebody must have this many others probed in between.
pub const QUIET_MAX: usize = 512;

/// The endpoints to be left alone.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    endpoints: BTreeMap<SocketAddr, (Mono, NodeId)>,
    by_end: BTreeSet<(Mono, SocketAddr)>,
}

impl Quiet {
    /// When the endpoint may be probed: `now`, or later.
    pub(super) fn over(&self, now: Mono, at: SocketAddr) -> Mono {
        self.endpoints.get(&at).map_or(now, |(until, _)| now.max(*until))
    }

    /// `id` is probed there now.
    pub(super) fn probed(&mut self, now: Mono, id: NodeId, at: SocketAddr) {
        self.forget(at);
        while let Some(&(until, oldest)) = self.by_end.first() {
            if until > now && self.by_end.len() < QUIET_MAX {
                break;
            }
            self.forget(oldest);
        }
        self.endpoints.insert(at, (now + QUIET, id));
        self.by_end.insert((now + QUIET, at));
    }

    /// `id` answered there. That clears its own probe only: other ids that claim the same endpoint
    /// stay unanswered.
    pub(super) fn answered(&mut self, id: &NodeId, at: SocketAddr) {
        if self.endpoints.get(&at).is_some_and(|(_, probed)| probed == id) {
            self.forget(at);
        }
    }

    /// Whatever was probed there.
    pub(super) fn forget(&mut self, at: SocketAddr) {
        if let Some((until, _)) = self.endpoints.remove(&at) {
            self.by_end.remove(&(until, at));
        }
    }

    pub(super) fn check(&self) {
        assert_eq!(self.endpoints.len(), self.by_end.len(), "two views of the same endpoints");
        assert!(self.endpoints.len() <= QUIET_MAX, "more quiet endpoints than allowed");
    }
}
