//! What an observer is shown, if there is one.

use super::World;
use crate::event::HostId;
use crate::network::Arrival;
use crate::observe::Way;
use crate::observe::happening::{Ends, Stamp};
use crate::table::EventRow;

impl World {
    /// The observer sees whether a host runs and where it is.
    pub(super) fn look_at(&mut self, id: HostId) {
        let Some(observer) = &mut self.observer else { return };
        let host = &self.hosts[id.0];
        let runs = host.process.as_ref().is_some_and(|process| process.halt.is_none());
        observer.host(self.now, id, (runs, host.starts), self.network.addresses(id));
    }

    /// It sees what a node holds.
    pub(super) fn look_at_database(&mut self, id: HostId) {
        let Some(observer) = &mut self.observer else { return };
        if let Some(process) = &self.hosts[id.0].process {
            observer.holds(self.now, id, process.node.database());
        }
    }

    /// It sees who could talk with whom, which faults change.
    pub(super) fn look_around(&mut self) {
        let Some(observer) = &mut self.observer else { return };
        observer.owed(self.now, self.oracle.reach.owed().pairs);
        self.look_at_links();
    }

    /// It sees who has a working link, if that may have changed.
    pub(super) fn look_at_links(&mut self) {
        let Some(observer) = &mut self.observer else { return };
        if self.links_seen != self.network.changes() {
            self.links_seen = self.network.changes();
            let working = self.network.open_links().filter(|link| link.works);
            observer
                .working(self.now, working.map(|link| link.ends.map(|(host, _)| host.0).into()));
        }
    }

    /// It writes an event down, if that is wanted.
    pub(super) fn look_at_event(
        &mut self,
        host: HostId,
        row: impl FnOnce(Stamp, &Ends<'_>) -> EventRow,
    ) {
        let Some(observer) = &mut self.observer else { return };
        let (number, at, network) = (self.trace.events(), self.now, &self.network);
        let holder = |address| network.holder(address);
        let far = |link| network.far(host, link);
        let ends = Ends { holder: &holder, far: &far };
        observer.event(|| row(Stamp { number, at, host }, &ends));
    }

    /// It sees what reaches a process.
    pub(super) fn look_at_arrival(&mut self, host: HostId, what: &Arrival) {
        let Some(observer) = &mut self.observer else { return };
        match what {
            Arrival::Datagram(_, bytes) => observer.datagram(host, Way::Received, bytes.len()),
            Arrival::Bytes(_, bytes) => observer.frame(host, Way::Received, bytes.len()),
            Arrival::Opened { .. }
            | Arrival::DialFailed(_)
            | Arrival::Moved(..)
            | Arrival::Closed(_) => {}
        }
    }
}
