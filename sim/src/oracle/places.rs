//! Where operators have been: what their records may name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use stayfound_core::discovery::vote::VOTES_NEEDED;
use stayfound_core::record::Scope;

/// Of each operator, every address that it may know for its own.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// What its configuration says.
    said: BTreeSet<(usize, SocketAddr)>,
    /// What its interfaces have had.
    interfaces: BTreeSet<(usize, IpAddr)>,
    /// Where operators have seen it over links, and which.
    seen: BTreeMap<(usize, SocketAddr), BTreeSet<usize>>,
    /// From where it has sent datagrams, and to whom: so many as matter.
    sent: BTreeMap<(usize, SocketAddr), BTreeSet<IpAddr>>,
    /// Of which addresses of interfaces its present process has been told.
    told: BTreeSet<(usize, IpAddr)>,
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

    /// It sends somebody a datagram from there.
    pub(super) fn sent(&mut self, who: usize, from: SocketAddr, to: IpAddr) {
        let sent = self.sent.entry((who, from)).or_default();
        if sent.len() < VOTES_NEEDED {
            sent.insert(to);
        }
    }

    /// Its process is told that an interface has this address, or that none has.
    pub(super) fn told(&mut self, who: usize, ip: IpAddr, up: bool) {
        match up {
            true => drop(self.told.insert((who, ip.to_canonical()))),
            false => drop(self.told.remove(&(who, ip.to_canonical()))),
        }
    }

    /// Its process is gone.
    pub(super) fn knows_no_interface(&mut self, who: usize) {
        self.told.retain(|(it, _)| *it != who);
    }

    /// Whether its process knows of a public address of this family.
    pub(super) fn has_public(&self, who: usize, v4: bool) -> bool {
        let fits = |ip: &IpAddr| ip.is_ipv4() == v4 && Scope::of(*ip) == Scope::Global;
        self.told.iter().any(|(it, ip)| *it == who && fits(ip))
    }

    /// Whether it knows of itself that it is there, or so many can have told it as strangers must.
    pub(super) fn is_own(&self, who: usize, at: SocketAddr) -> bool {
        self.said.contains(&(who, at))
            || self.interfaces.contains(&(who, at.ip().to_canonical()))
            || self.sent.get(&(who, at)).is_some_and(|to| to.len() >= VOTES_NEEDED)
    }

    /// Which operators have seen it there.
    pub(super) fn witnesses(&self, who: usize, at: SocketAddr) -> impl Iterator<Item = usize> {
        self.seen.get(&(who, at)).into_iter().flatten().copied()
    }
}
