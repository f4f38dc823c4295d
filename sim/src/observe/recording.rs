//! What else is written down of a run that is to be played back.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use stayfound_core::record::NodeId;

use crate::moment::Moment;

/// Changes of what hosts are and know, in order of time.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The id of each host.
    pub ids: Vec<NodeId>,
    /// Hosts that began or ceased to run, or are elsewhere.
    pub hosts: Vec<HostChange>,
    /// Records that operators came to hold of operators.
    pub known: Vec<Known>,
    states: BTreeMap<usize, (bool, Vec<SocketAddr>)>,
    held: BTreeMap<(usize, usize), Option<u64>>,
}

/// A host is in another state from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostChange {
    /// When.
    pub at: Moment,
    /// Which host.
    pub host: usize,
    /// Whether a node runs on it and is not halted.
    pub runs: bool,
    /// Where others reach it.
    pub addresses: Vec<SocketAddr>,
}

/// An operator holds another record from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// When.
    pub at: Moment,
    /// Who holds it.
    pub holder: usize,
    /// Whose it is.
    pub signer: usize,
    /// Its number; `None` where the disk that held it is lost.
    pub seq: Option<u64>,
}

impl Recording {
    pub(super) fn new(ids: &[NodeId]) -> Self {
        Self { ids: ids.to_vec(), ..Self::default() }
    }

    pub(super) fn host(&mut self, at: Moment, host: usize, runs: bool, addresses: &[SocketAddr]) {
        let state = (runs, addresses.to_vec());
        if self.states.get(&host) != Some(&state) {
            self.hosts.push(HostChange { at, host, runs, addresses: state.1.clone() });
            self.states.insert(host, state);
        }
    }

    pub(super) fn holds(&mut self, at: Moment, holder: usize, signer: usize, seq: Option<u64>) {
        let before = self.held.entry((holder, signer)).or_default();
        if *before != seq {
            *before = seq;
            self.known.push(Known { at, holder, signer, seq });
        }
    }
}
