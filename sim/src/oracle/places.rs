//! Where operators have been: what their records may name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Of each operator, every address that it may know for its own.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// What its configuration says.
    said: BTreeSet<(usize, SocketAddr)>,
    /// What its interfaces have had.
    interfaces: BTreeSet<(usize, IpAddr)>,
    /// Where operators have seen it over links, and which.
    seen: BTreeMap<(usize, SocketAddr), BTreeSet<usize>>,
    /// From where anybody had a datagram of it.
    sent: BTreeSet<(usize, SocketAddr)>,
}

impl Places {
    /// Its configuration says that it is there.
    pub(super) fn says(&mut self, who: usize, at: impl IntoIterator<Item = SocketAddr>) {
        self.said.extend(at.into_iter().map(|at| (who, at)));
    }

    /// Its interfaces have these addresses.
    pub(super) fn has(&mut self, who: usize, interfaces: impl IntoIterator<Item = IpAddr>) {
        self.interfaces.extend(interfaces.into_iter().map(|ip| (who, ip.to_canonical())));
    }

    /// An operator sees it there over a link.
    pub(super) fn seen(&mut self, who: usize, at: SocketAddr, by: usize) {
        self.seen.entry((who, at)).or_default().insert(by);
    }

    /// Somebody has a datagram of it from there.
    pub(super) fn sent(&mut self, who: usize, from: SocketAddr) {
        self.sent.insert((who, from));
    }

    /// Whether it knows of itself, or many strangers told it, that it is there.
    pub(super) fn is_own(&self, who: usize, at: SocketAddr) -> bool {
        self.said.contains(&(who, at))
            || self.interfaces.contains(&(who, at.ip().to_canonical()))
            || self.sent.contains(&(who, at))
    }

    /// Which operators have seen it there.
    pub(super) fn witnesses(&self, who: usize, at: SocketAddr) -> impl Iterator<Item = usize> {
        self.seen.get(&(who, at)).into_iter().flatten().copied()
    }
}
