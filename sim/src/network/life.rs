//! The life of a link: handshake, bytes, outage, end.

use std::net::SocketAddr;

use bytes::BytesMut;
use stayfound_core::keys::PublicKey;
use stayfound_core::node::LinkId;

use super::link::{End, EndState, Link, Side};
use super::{Arrival, Delivery, Due, IDLE_TIMEOUT, KEEP_ALIVE, Network, Wire};
use crate::event::{Event, HostId};
use crate::marks::{Mark, mark};
use crate::moment::Moment;
use crate::queue::Queue;

impl Network {
    pub(super) fn on_hello(&mut self, wire: Wire, now: Moment, queue: &mut Queue<Event>) {
        let Link { target, sent_from, dialler, .. } = &self.links[&wire];
        let (dialler, target) = (dialler.host, *target);
        let from = sent_from.expect("it sent from somewhere");
        let Some(host) = self.reaches(dialler, &from, &target, now) else { return };
        let gate = &self.gates[host.0];
        let Some(process) = gate.process.filter(|_| !gate.halted) else { return };
        if !self.carries(dialler, host) || !self.fits_quic(dialler, host, target) {
            return;
        }
        self.receives(host, &from, &target, now);
        self.sends(host, from, now);
        let link = self.link_mut(wire);
        link.acceptor = Some(End { host, process, number: LinkId(0), state: EndState::Opening });
        let way = self.flight(host, dialler);
        queue.push(now + way, Due::Answer(wire).into());
    }

    pub(super) fn on_answer(
        &mut self,
        wire: Wire,
        now: Moment,
        queue: &mut Queue<Event>,
        admits: &dyn Fn(HostId, &PublicKey) -> bool,
    ) {
        let link = &self.links[&wire];
        let host = link.dialler.host;
        if self.seen_from(host, link.target, now) != link.sent_from {
            return; // a handshake does not migrate (RFC 9000 §9)
        }
        let acceptor = link.acceptor.as_ref().expect("an answer comes from somebody").host;
        if !self.carries(acceptor, host) || self.gates[host.0].halted {
            return;
        }
        let (from, target) = (link.sent_from.expect("just compared"), link.target);
        self.receives(host, &target, &from, now);
        self.sends(host, target, now);
        let link = &self.links[&wire];
        let peer = self.sites[acceptor.0].key;
        if peer != link.expected {
            mark(Mark::OtherHostAnswered);
        }
        if peer != link.expected || !admits(host, &peer) {
            return self.fail(wire, Side::Dialler);
        }
        let way = self.flight(host, acceptor);
        queue.push(now + way, Due::Finish(wire).into());
    }

    pub(super) fn on_finish(
        &mut self,
        wire: Wire,
        now: Moment,
        queue: &mut Queue<Event>,
        admits: &dyn Fn(HostId, &PublicKey) -> bool,
    ) {
        let link = &self.links[&wire];
        if !self.works(link, now) {
            return;
        }
        let host = link.acceptor.as_ref().expect("somebody answered").host;
        let (dialler, remote) =
            (link.dialler.host, link.sent_from.expect("it sent from somewhere"));
        let peer = self.sites[dialler.0].key;
        if !admits(host, &peer) {
            mark(Mark::DiallerRefused);
            self.shut(wire, Side::Acceptor);
            return self.announce_close(wire, Side::Acceptor, now, queue);
        }
        let link = self.opened(wire, Side::Acceptor);
        let target = self.links[&wire].target;
        self.receives(host, &remote, &target, now);
        self.keep_alive(wire, now, queue);
        let what = Arrival::Opened { link, peer, remote, dial: None };
        self.deliveries.push_back(Delivery { host, what });
    }

    /// The acceptor's first byte is here: the dialler may take the handshake for done.
    fn settle(&mut self, wire: Wire) {
        let link = &self.links[&wire];
        let acceptor = link.acceptor.as_ref().expect("it has spoken").host;
        let (host, remote, dial) = (link.dialler.host, link.target, Some(link.dial));
        let peer = self.sites[acceptor.0].key;
        let link = self.opened(wire, Side::Dialler);
        let what = Arrival::Opened { link, peer, remote, dial };
        self.deliveries.push_back(Delivery { host, what });
    }

    /// The dialler drops the connection, which tells an acceptor that had opened its end.
    pub(super) fn on_give_up(&mut self, wire: Wire, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        if link.dialler.state != EndState::Opening {
            return;
        }
        if link.open_end(Side::Acceptor).is_some() {
            mark(Mark::GaveUpTooSoon);
            self.announce_close(wire, Side::Dialler, now, queue);
        }
        self.fail(wire, Side::Dialler);
    }

    /// A stream has no seams: now and then frames come joined, or one in two pieces.
    pub(super) fn on_bytes(&mut self, wire: Wire, from: Side) {
        let link = &self.links[&wire];
        if from == Side::Acceptor && link.dialler.state == EndState::Opening && !link.broken {
            self.settle(wire);
        }
        let link = self.links.get_mut(&wire).expect("looked up before");
        let far = link.end(from.other()).expect("both have spoken");
        let (host, number) = (far.host, far.number);
        if far.state == EndState::Closed {
            return;
        }
        let broken = link.broken;
        let stream = link.stream_mut(from);
        let arrived = 1 + std::mem::take(&mut stream.late);
        if broken {
            stream.held += arrived;
            return;
        }
        let chance = &mut self.sites[host.0].chance;
        if stream.waiting.len() > stream.held + arrived && chance.hits(1, 4) {
            mark(Mark::FramesJoined);
            stream.late = arrived; // they come with the next
            return;
        }
        let mut bytes = BytesMut::new();
        stream.waiting.drain(..arrived).for_each(|chunk| bytes.extend_from_slice(&chunk));
        let mut bytes = bytes.freeze();
        if bytes.len() > 1 && chance.hits(1, 8) {
            mark(Mark::FrameSplit);
            let head = bytes.split_to(1 + chance.below(bytes.len() as u64 - 1) as usize);
            self.deliveries.push_back(Delivery { host, what: Arrival::Bytes(number, head) });
        }
        self.deliveries.push_back(Delivery { host, what: Arrival::Bytes(number, bytes) });
    }

    pub(super) fn on_rebind(
        &mut self,
        wire: Wire,
        from: SocketAddr,
        now: Moment,
        queue: &mut Queue<Event>,
    ) {
        let link = &self.links[&wire];
        let Some((host, number)) = link.open_end(Side::Acceptor) else { return };
        if link.dialler.state == EndState::Closed {
            return;
        }
        let (dialler, target) = (link.dialler.host, link.target);
        let sent_before_another_move = self.seen_from(dialler, target, now) != Some(from);
        let nobody_there = self.reaches(dialler, &from, &target, now) != Some(host);
        let cut = !self.passes(dialler, host) || self.gates[host.0].halted;
        if sent_before_another_move || nobody_there || cut || link.sent_from == Some(from) {
            return;
        }
        self.receives(host, &from, &target, now);
        mark(Mark::LinkFollowed);
        self.link_mut(wire).sent_from = Some(from);
        self.deliveries.push_back(Delivery { host, what: Arrival::Moved(number, from) });
        self.refresh(wire, now, queue);
    }

    pub(super) fn on_closing(
        &mut self,
        wire: Wire,
        from: Side,
        now: Moment,
        queue: &mut Queue<Event>,
    ) {
        self.refresh(wire, now, queue);
        if self.links[&wire].broken {
            return; // the notice is lost: silence will tell
        }
        self.fail(wire, from.other());
    }

    pub(super) fn on_idle(&mut self, wire: Wire, side: Side, outage: u32) {
        let link = &self.links[&wire];
        if link.broken && link.outage == outage {
            self.fail(wire, side);
        }
    }

    /// An end opens; answers its number.
    fn opened(&mut self, wire: Wire, side: Side) -> LinkId {
        self.changes += 1;
        let end = self.links.get_mut(&wire).expect("it is opening").end_mut(side);
        let site = &mut self.sites[end.host.0];
        assert_eq!(end.state, EndState::Opening);
        (end.state, end.number) = (EndState::Open, LinkId(site.links_opened));
        site.links_opened += 1;
        site.dialling.remove(&wire);
        site.links.insert(end.number, (wire, side));
        end.number
    }

    /// An end closes without telling its process.
    pub(super) fn shut(&mut self, wire: Wire, side: Side) {
        self.changes += 1;
        let end = self.links.get_mut(&wire).expect("it is there").end_mut(side);
        let site = &mut self.sites[end.host.0];
        match end.state {
            EndState::Open => drop(site.links.remove(&end.number)),
            EndState::Opening => drop(site.dialling.remove(&wire)),
            EndState::Closed => {}
        }
        end.state = EndState::Closed;
    }

    /// An end closes, and its process hears of it if it had heard of the link, or waits for it.
    fn fail(&mut self, wire: Wire, side: Side) {
        let link = &self.links[&wire];
        let Some(end) = link.end(side) else { return };
        let what = match (end.state, side) {
            (EndState::Open, _) => Some(Arrival::Closed(end.number)),
            (EndState::Opening, Side::Dialler) => Some(Arrival::DialFailed(link.dial)),
            (EndState::Opening, Side::Acceptor) | (EndState::Closed, _) => None,
        };
        let host = end.host;
        self.shut(wire, side);
        self.deliveries.extend(what.map(|what| Delivery { host, what }));
    }

    /// A notice of closing goes out once; if it is lost, the far end's next keep-alive calls for
    /// another.
    pub(super) fn announce_close(
        &mut self,
        wire: Wire,
        from: Side,
        now: Moment,
        queue: &mut Queue<Event>,
    ) {
        let link = &self.links[&wire];
        let (Some(near), Some(far)) = (link.host(from), link.host(from.other())) else { return };
        let trip = self.trip(near, far);
        let site = &mut self.sites[near.0];
        let mut way = self.paths.packet(trip, &mut site.chance);
        if self.paths.loses_on(trip, &mut site.chance) {
            mark(Mark::ClosingLost);
            way += self.up_to(near, KEEP_ALIVE);
        }
        queue.push(now + way, Due::Closing(wire, from).into());
    }

    /// Sends the next bytes of this side on their way, behind those before them.
    pub(super) fn carry(&mut self, wire: Wire, from: Side, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let (Some(near), Some(far)) = (link.host(from), link.host(from.other())) else {
            unreachable!("an open link has two ends");
        };
        let way = self.paths.bytes(self.trip(near, far), &mut self.sites[near.0].chance);
        let stream = self.link_mut(wire).stream_mut(from);
        stream.arrived_last = stream.arrived_last.max(now + way);
        queue.push(stream.arrived_last, Due::Bytes(wire, from).into());
    }

    /// The dialler of a broken link sends a packet from where it is now.
    pub(super) fn rebind(
        &mut self,
        wire: Wire,
        (now, sent): (Moment, Moment),
        queue: &mut Queue<Event>,
    ) {
        let link = &self.links[&wire];
        let (dialler, acceptor) = (link.host(Side::Dialler), link.host(Side::Acceptor));
        let (Some(near), Some(far)) = (dialler, acceptor) else { return };
        let (target, before) = (link.target, link.sent_from);
        if self.gates[near.0].halted {
            return;
        }
        let from = match sent > now {
            true => self.seen_from(near, target, now),
            false => self.sends(near, target, now),
        };
        let Some(from) = from.filter(|from| Some(*from) != before) else { return };
        let way = self.paths.bytes(self.trip(near, far), &mut self.sites[near.0].chance);
        queue.push(sent + way, Due::Rebind(wire, from).into());
    }

    /// Looks whether packets still get through, and lets time-outs run, or lets what was held up
    /// go on.
    pub(super) fn refresh(&mut self, wire: Wire, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let has = |side: Side, state: EndState| link.end(side).is_some_and(|it| it.state == state);
        let begun = link.acceptor.is_some() && !has(Side::Acceptor, EndState::Opening);
        let works = self.works(link, now);
        if !begun || works != link.broken {
            return;
        }
        self.changes += 1;
        if !works {
            let link = self.link_mut(wire);
            (link.broken, link.outage) = (true, link.outage + 1);
            let outage = link.outage;
            for side in Side::BOTH {
                let Some((host, _)) = self.links[&wire].open_end(side) else { continue };
                if self.gates[host.0].halted {
                    continue; // its clock stands still, or nobody looks at it
                }
                let heard_before = self.up_to(host, KEEP_ALIVE);
                let mut silence = IDLE_TIMEOUT - heard_before;
                if self.still_hears(wire, side) {
                    silence += IDLE_TIMEOUT; // until the other end gives up
                }
                queue.push(now + silence, Due::Idle(wire, side, outage).into());
            }
        } else if Side::BOTH.iter().all(|side| !has(*side, EndState::Closed)) {
            let link = self.link_mut(wire);
            (link.broken, link.outage) = (false, link.outage + 1);
            for side in Side::BOTH {
                for _ in 0..std::mem::take(&mut self.link_mut(wire).stream_mut(side).held) {
                    self.carry(wire, side, now, queue);
                }
            }
        }
    }

    /// Whether one end of a link that does not work hears the other all the same: where a cut is one
    /// way, only the other waits in vain at first.
    fn still_hears(&self, wire: Wire, side: Side) -> bool {
        let link = &self.links[&wire];
        let (Some(near), Some(far)) = (link.host(side), link.host(side.other())) else {
            return false;
        };
        self.carries(far, near) && !self.carries(near, far) && !self.gates[far.0].halted
    }

    /// Whether packets get through, both ways.
    fn works(&self, link: &Link, now: Moment) -> bool {
        let Some(acceptor) = &link.acceptor else { return false };
        let runs = |end: &End| {
            let gate = &self.gates[end.host.0];
            gate.process == Some(end.process) && !gate.halted
        };
        let (dialler, Some(from)) = (link.dialler.host, link.sent_from) else { return false };
        runs(acceptor)
            && runs(&link.dialler)
            && self.passes(acceptor.host, dialler)
            && self.fits_quic(dialler, acceptor.host, link.target)
            && self.seen_from(dialler, link.target, now) == Some(from)
            && self.reaches(dialler, &from, &link.target, now) == Some(acceptor.host)
    }
}
