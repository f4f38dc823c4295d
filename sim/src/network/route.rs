//! Who gets a packet, and from where it seems to come: addresses, routers, partitions, cuts.

use std::net::SocketAddr;
use std::time::Duration;

use super::access::{Access, Way};
use super::link::Side;
use super::nat::Nat;
use super::path::Trip;
use super::site::{Attachment, Behind, host_inside, inside};
use super::{Due, KEEP_ALIVE, Network, Wire};
use crate::event::{Event, HostId};
use crate::marks::{Mark, mark};
use crate::moment::Moment;
use crate::queue::Queue;
use crate::scenario::{Fault, What};

/// What IP and UDP add to a payload.
const HEADERS: [usize; 2] = [28, 48];
/// What a QUIC client sends at least (RFC 9000 §14.1).
const QUIC_PAYLOAD: usize = 1_200;

impl Network {
    /// Something happens to the network around a host.
    ///
    /// # Panics
    /// If it is not the network's.
    pub fn apply(&mut self, fault: &Fault, now: Moment, queue: &mut Queue<Event>) {
        let Fault { host, what } = *fault;
        let gate = &mut self.gates[host.0];
        match what {
            What::Side(side) => gate.side = side,
            What::Block => gate.blocked = true,
            What::Unblock => gate.blocked = false,
            What::Access(access) => gate.access = access,
            What::Mtu(bytes) => gate.mtu = bytes,
            What::Cut(to) => drop(self.cuts.insert((host, to))),
            What::Mend(to) => drop(self.cuts.remove(&(host, to))),
            What::Reboot => self.reboot(host),
            other => unreachable!("no matter of the network: {other:?}"),
        }
        self.look_again(host, now, queue);
    }

    /// The last mile of a host at first.
    pub fn begins_with(&mut self, host: HostId, access: Access) {
        self.gates[host.0].access = access;
    }

    /// A host is here from now on.
    ///
    /// # Panics
    /// If another host has one of the addresses.
    pub fn attach(&mut self, host: HostId, at: Attachment, now: Moment, queue: &mut Queue<Event>) {
        let site = &mut self.sites[host.0];
        for left in &site.at.addresses {
            self.at.leave(left);
        }
        for address in &at.addresses {
            self.at.take(address, host);
        }
        let gate = &mut self.gates[host.0];
        (gate.first, gate.behind) = (at.addresses.first().copied(), at.behind.is_some());
        let before = std::mem::replace(&mut site.at, at).behind;
        let behind = site.at.behind;
        if before != behind {
            site.home = None;
            self.leave_router(before);
        }
        if let Some(Behind { outside, router, .. }) = behind.filter(|_| before != behind) {
            let nat = || Nat::new(router.behaviour());
            self.routers.entry(outside).or_insert_with(nat);
            self.sites[host.0].home = router.carrier.then(nat);
        }
        self.look_again(host, now, queue);
    }

    /// The process of a host does nothing from now on, or goes on.
    pub fn halted(&mut self, host: HostId, halted: bool, now: Moment, queue: &mut Queue<Event>) {
        self.gates[host.0].halted = halted;
        self.look_again(host, now, queue);
        if halted {
            return;
        }
        for (wire, side) in self.ends(host) {
            let link = &self.links[&wire];
            if link.broken && link.open_end(side).is_some() {
                // What it has missed it notices when its own time-out has run.
                queue.push(now + super::IDLE_TIMEOUT, Due::Idle(wire, side, link.outage).into());
            }
        }
    }

    /// Something has changed for the links of a host.
    fn look_again(&mut self, host: HostId, now: Moment, queue: &mut Queue<Event>) {
        for (wire, side) in self.ends(host) {
            self.refresh(wire, now, queue);
            if side == Side::Dialler {
                let silence = self.up_to(host, KEEP_ALIVE);
                self.rebind(wire, (now, now + silence), queue);
            }
            self.keep_alive(wire, now, queue);
        }
    }

    /// A router that nobody is behind any more is gone.
    fn leave_router(&mut self, left: Option<Behind>) {
        let Some(Behind { outside, .. }) = left else { return };
        let is_there = |it: &Behind| it.outside == outside;
        if !self.sites.iter().any(|site| site.at.behind.as_ref().is_some_and(is_there)) {
            self.routers.remove(&outside);
        }
    }

    fn reboot(&mut self, host: HostId) {
        let site = &mut self.sites[host.0];
        let Some(behind) = site.at.behind else { return };
        match &mut site.home {
            Some(home) => home.reboot(),
            None => self.routers.get_mut(&behind.outside).expect("it is behind it").reboot(),
        }
    }

    /// Where a host sends from to this address: of its own the first of that family, or the first; and
    /// how that is seen from outside. A router before it makes a mapping for it.
    pub(super) fn sends(
        &mut self,
        host: HostId,
        target: SocketAddr,
        now: Moment,
    ) -> Option<SocketAddr> {
        if let Some(own) = self.own_source(host, &target) {
            return Some(*own);
        }
        let site = &mut self.sites[host.0];
        let Behind { outside, port, .. } = site.at.behind?;
        let own = inside(host, port);
        let port = site.home.as_mut().map_or(port, |home| home.outbound(own, target, now));
        let router = self.routers.get_mut(&outside).expect("it is behind it");
        let port = router.outbound(inside(host, port), target, now);
        Some(SocketAddr::new(outside, port))
    }

    /// The same, if the next packet would be seen as the last was.
    pub fn seen_from(&self, host: HostId, target: SocketAddr, now: Moment) -> Option<SocketAddr> {
        if let Some(own) = self.own_source(host, &target) {
            return Some(*own);
        }
        let site = &self.sites[host.0];
        let Behind { outside, port, .. } = site.at.behind?;
        let own = inside(host, port);
        let port = match &site.home {
            Some(home) => home.port_of(own, target, now)?,
            None => port,
        };
        let port = self.routers[&outside].port_of(inside(host, port), target, now)?;
        Some(SocketAddr::new(outside, port))
    }

    /// A router takes what no other interface of that family can send.
    fn own_source(&self, host: HostId, target: &SocketAddr) -> Option<&SocketAddr> {
        if let Some(first) = &self.gates[host.0].first
            && first.is_ipv4() == target.is_ipv4()
        {
            return Some(first);
        }
        let at = &self.sites[host.0].at;
        let fits = at.addresses.iter().find(|own| own.is_ipv4() == target.is_ipv4());
        fits.or(at.addresses.first().filter(|_| at.behind.is_none()))
    }

    /// Who would get a packet of this host, seen from `from`, that is sent to an address.
    pub(super) fn reaches(
        &self,
        sender: HostId,
        from: &SocketAddr,
        to: &SocketAddr,
        now: Moment,
    ) -> Option<HostId> {
        if let Some(host) = self.at.holder(to) {
            return Some(host);
        }
        let router = self.routers.get(&to.ip())?;
        let within = self.sites[sender.0].at.behind.is_some_and(|it| it.outside == to.ip());
        if within && !router.hairpins() {
            return None;
        }
        let Some(mapped) = router.lets_in(*from, to.port(), now) else {
            mark(Mark::RouterRefused);
            return None;
        };
        let host = host_inside(mapped);
        match &self.sites[host.0].home {
            Some(home) => home.lets_in(*from, mapped.port(), now).map(host_inside),
            None => Some(host),
        }
    }

    /// A packet comes to a host: routers before it that let it in take note.
    pub(super) fn receives(
        &mut self,
        host: HostId,
        from: &SocketAddr,
        to: &SocketAddr,
        now: Moment,
    ) {
        if !self.is_behind(host) || self.at.holder(to).is_some() {
            return;
        }
        let Some(router) = self.routers.get_mut(&to.ip()) else { return };
        let Some(mapped) = router.inbound(*from, to.port(), now) else { return };
        if let Some(home) = &mut self.sites[host.0].home {
            home.inbound(*from, mapped.port(), now);
        }
    }

    /// Whether packets pass from one host to another, as far as partitions, cuts and firewalls go.
    pub(super) fn carries(&self, from: HostId, to: HostId) -> bool {
        let [near, far] = [from, to].map(|host| &self.gates[host.0]);
        let free = near.side == far.side && !near.blocked && !far.blocked;
        free && (self.cuts.is_empty() || !self.cuts.contains(&(from, to)))
    }

    /// Both ways.
    pub(super) fn passes(&self, a: HostId, b: HostId) -> bool {
        self.carries(a, b) && self.carries(b, a)
    }

    /// Whether a payload of this size fits between two hosts.
    pub(super) fn fits(&self, a: HostId, b: HostId, to: SocketAddr, payload: usize) -> bool {
        let headers = HEADERS[usize::from(to.is_ipv6())];
        let mtu = self.gates[a.0].mtu.min(self.gates[b.0].mtu);
        payload + headers <= usize::from(mtu)
    }

    pub(super) fn fits_quic(&self, a: HostId, b: HostId, to: SocketAddr) -> bool {
        self.fits(a, b, to, QUIC_PAYLOAD)
    }

    pub(super) fn trip(&self, a: HostId, b: HostId) -> Trip {
        let miles = [a, b].map(|host| self.gates[host.0].access.mile());
        Trip { ends: [a.0, b.0], miles }
    }

    /// How long a datagram takes, or `None` if it is lost on the way.
    pub(super) fn transit(
        &mut self,
        from: HostId,
        to: HostId,
        bytes: usize,
        now: Moment,
    ) -> Option<Duration> {
        let paths = self.paths;
        let chance = &mut self.sites[from.0].chance;
        let way = paths.core([from.0, to.0], chance);
        if paths.loses(chance) {
            return None;
        }
        let mut more = Duration::ZERO;
        for (host, direction) in [(from, Way::Out), (to, Way::In)] {
            let access = self.gates[host.0].access;
            if access == Access::Wired {
                continue;
            }
            let (site, mile) = (&mut self.sites[host.0], access.mile());
            more += site.condition.pass(mile, direction, bytes, now + more, &mut site.chance)?;
        }
        Some(way + more)
    }

    /// Routers forget a flow on which nothing is said: both ends of a link across one say something
    /// now and then.
    pub(super) fn keep_alive(&mut self, wire: Wire, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let translated =
            Side::BOTH.iter().any(|side| link.host(*side).is_some_and(|it| self.is_behind(it)));
        if link.keeps_alive || !translated || link.acceptor.is_none() {
            return;
        }
        self.link_mut(wire).keeps_alive = true;
        queue.push(now + KEEP_ALIVE, Due::KeepAlive(wire).into());
    }

    pub(super) fn on_keep_alive(&mut self, wire: Wire, now: Moment, queue: &mut Queue<Event>) {
        self.link_mut(wire).keeps_alive = false;
        let link = &self.links[&wire];
        let (dialler, acceptor) = (link.dialler.host, link.host(Side::Acceptor));
        let acceptor = acceptor.expect("only links that have reached somebody are kept alive");
        let (target, open) = (link.target, Side::BOTH.map(|it| link.open_end(it).is_some()));
        let awake = |host: HostId| !self.gates[host.0].halted;
        let (out, back) = (open[0] && awake(dialler), open[1] && awake(acceptor));
        if out
            && let Some(from) = self.sends(dialler, target, now)
            && self.carries(dialler, acceptor)
        {
            self.receives(acceptor, &from, &target, now);
        }
        if back
            && let Some(to) = self.links[&wire].sent_from
            && let Some(from) = self.sends(acceptor, to, now)
            && self.carries(acceptor, dialler)
        {
            self.receives(dialler, &from, &to, now);
        }
        self.refresh(wire, now, queue);
        self.rebind(wire, (now, now), queue);
        self.keep_alive(wire, now, queue);
    }

    fn is_behind(&self, host: HostId) -> bool {
        self.gates[host.0].behind
    }
}
