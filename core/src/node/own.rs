//! Our own record: when it changes, and what follows when we are somewhere else.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Event, FLOOR_ALONE, FLOOR_WITHIN, Node, Ticket};
use crate::database::{Provenance, Verdict};
use crate::identity::of_this_store;
use crate::marks::{Mark, mark};
use crate::mesh::{BACKOFF_MAX, BACKOFF_MIN};
use crate::planted::{Bug, planted};
use crate::record::Signed;
use crate::time::Mono;

impl Node {
    pub(super) fn bound(&mut self, local: SocketAddr) {
        let before = self.identity.bound(local);
        if let Some(it) = &mut self.searching {
            it.discovery.bound(local);
        }
        self.reissue();
        match before {
            None => {
                self.floor_by = self.now + FLOOR_WITHIN;
                self.mesh.start(self.now);
            }
            Some(before) if before != local => self.lost_socket(),
            Some(_) => {}
        }
        if before.is_none() {
            self.begin_search();
        }
    }

    /// Our socket or our interface is another.
    fn lost_socket(&mut self) {
        self.mesh.we_moved(self.now, true);
        self.search_anew();
    }

    /// An address more leaves links as they are, unless it is where we are from now on, or it ends
    /// a time without any (our record may be the same: behind a NAT, say).
    pub(super) fn address_up(&mut self, ip: IpAddr) {
        let back_online = self.identity.address_up(ip);
        let reissued = self.reissue();
        if reissued || back_online {
            if !reissued {
                mark(Mark::BackOnlineUnchanged);
            }
            self.lost_socket();
        }
    }

    /// With an address, links may be gone.
    pub(super) fn address_down(&mut self, ip: IpAddr) {
        let concerns = self.identity.concerns(ip);
        self.identity.address_down(ip);
        if (!planted(Bug::DoesNotReissue) && self.reissue()) || concerns {
            self.lost_socket();
        }
    }

    /// When to outrun a record of ours that somebody else issued, if one waits for that.
    pub(super) fn outrun_due(&self) -> Option<Mono> {
        let (at, _) = self.outrun?;
        let held = self.database.get(&self.identity.node_id());
        (self.identity.must_outrun(held) && !self.exhausted).then_some(at)
    }

    /// When a first record has waited long enough for f + 1 peers. A clock that is behind what we
    /// are known to have signed is wrong, and proves no number new: then one peer at least is
    /// waited for, or a record of ours that discovery found, but not for ever. (Peers may all have
    /// moved, and without a new record of ours none of them can find us.) The number leaps then.
    pub(super) fn floor_due(&self) -> Option<Mono> {
        let held = self.database.get(&self.identity.node_id());
        let known = held.map_or(0, |held| held.versions.newest().seq());
        let found = held.is_some_and(|held| held.provenance == Provenance::Discovery);
        let told = found || self.identity.is_vouched() || self.wall().0 > known;
        let by = if told { self.floor_by } else { self.floor_by + FLOOR_ALONE };
        self.identity.waits_for_floor(held).then_some(by)
    }

    /// A peer handed back a record of ours that this node did not issue. Once, that is our data
    /// loss; again and again, somebody else runs with our key, and each of us outruns the other:
    /// slower and slower, and the application is told.
    pub(super) fn handed_back(&mut self) {
        mark(Mark::HandedBack);
        if self.outrun.is_some_and(|(at, _)| self.now < at) {
            return; // the answer is due already
        }
        let (_, wait) = self.outrun.unwrap_or((self.now, Duration::ZERO));
        if wait >= 4 * BACKOFF_MIN {
            self.emit(Event::KeyInUseElsewhere);
        }
        self.outrun = Some((self.now + wait, (wait * 2).clamp(BACKOFF_MIN, BACKOFF_MAX)));
        self.reissue();
    }

    /// What peers say of our address changed.
    pub(super) fn reconsider(&mut self) {
        if self.reissue() {
            self.mesh.we_moved(self.now, false);
        }
    }

    /// Signs a new record if it is due; answers whether the addresses in it changed. It is
    /// published when it is durable, not before: otherwise a crash could make us sign two
    /// different records with one sequence number.
    pub(super) fn reissue(&mut self) -> bool {
        if self.outrun.is_some_and(|(at, _)| self.now < at) {
            return false;
        }
        let (own, wall) = (self.identity.node_id(), self.wall());
        let record = match self.identity.reissue(self.database.get(&own), wall) {
            None => return false,
            Some(Err(_)) => {
                if !std::mem::replace(&mut self.exhausted, true) {
                    self.emit(Event::SeqExhausted);
                }
                return false;
            }
            Some(Ok(record)) => record,
        };
        let before = self.database.newest(&own).map(Signed::endpoints);
        let changed = before != Some(record.endpoints());
        let verdict = self.database.merge(record.clone(), Provenance::Own, wall);
        assert_eq!(verdict, Verdict::Newest, "our own new record is above every other");
        let ticket = self.persist(&own);
        self.pending = Some((ticket, record));
        if planted(Bug::PublishesBeforePersist) {
            self.durable(ticket);
        }
        changed
    }

    pub(super) fn durable(&mut self, ticket: Ticket) {
        assert!(ticket.0 < self.next_ticket, "a write that was never asked for is durable");
        let is_durable = |awaited: Ticket| match planted(Bug::WaitsForNextWrite) {
            true => awaited < ticket,
            false => awaited <= ticket || planted(Bug::AnyWriteIsDurable),
        };
        let Some((_, record)) = self.pending.take_if(|(awaited, _)| is_durable(*awaited)) else {
            return;
        };
        if !of_this_store(self.database.get(&self.identity.node_id())) {
            mark(Mark::OutrunBeforeDurable);
            return; // somebody else runs with our key, and its number may be theirs: it is outrun
        }
        self.published = Some(record.clone());
        self.search_as(&record);
        if !planted(Bug::DoesNotTellPeers) {
            self.tell_all(&record, None);
        }
        self.emit(Event::OwnRecord { record });
    }
}
