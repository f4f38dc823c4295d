//! What is done to hosts, and what it means.

use std::net::{IpAddr, SocketAddr};

use stayfound_core::node::{Input, Node, Output, Ticket};

use super::World;
use crate::adversary::Traitor;
use crate::event::{Event, HostId, Local};
use crate::host::{Disk, Halt, Host, Process, Uplink, Waiting};
use crate::marks::{Mark, mark};
use crate::observe::happening::Stamp;
use crate::occupant::{Occupant, Pinger, Role};
use crate::oracle::Finding;
use crate::scenario::{Fault, Roster, What, build};

impl World {
    /// Does something to a host. Answers whether it made a difference: a crash of what does not
    /// run makes none, so that a line less in a scenario never makes another line impossible.
    ///
    /// # Errors
    /// The first thing that must not be.
    pub fn apply(&mut self, fault: &Fault) -> Result<bool, Finding> {
        let host = fault.host;
        self.turn = host;
        if !self.is_possible(fault) {
            return Ok(false);
        }
        self.trace.fault(self.now, fault);
        self.quiet_since = self.now;
        if self.is_operator(host) {
            let process = self.hosts[host.0].process.as_ref();
            let runs = process.is_some_and(|process| process.halt.is_none());
            self.oracle.suffers(self.now, fault, runs);
        }
        match fault.what {
            What::Start => self.start(host)?,
            What::Crash => self.crash(host),
            What::Wipe => self.damage(host, Disk::wipe),
            What::Move(to) => {
                self.reconnect(host, |host| (host.online, host.address) = (true, to));
            }
            What::Offline => self.reconnect(host, |host| host.online = false),
            What::Up(ip) => self.reconnect(host, |host| assert!(host.others.insert(ip))),
            What::Down(ip) => self.reconnect(host, |host| assert!(host.others.remove(&ip))),
            What::Load(roster) => self.load(host, &roster)?,
            What::Lie(lie) => self.betray(host, |it, node| it.lies(lie, node))?,
            What::Missee(at) => self.betray(host, |it, node| it.missees(at, node))?,
            What::Pause => self.halt(host, Halt::Paused),
            What::Suspend => self.halt(host, Halt::Suspended(self.now)),
            What::Resume => self.resume(host)?,
            What::Clock(by) => self.hosts[host.0].wall_error += by,
            What::Drift(rate) => self.drift(host, rate),
            What::Snapshot => self.hosts[host.0].disk.keep(),
            What::Tear => self.tear(host),
            What::Unsync(writes) => {
                self.crash(host);
                self.damage(host, |disk| disk.unsync(writes));
            }
            What::Rollback => self.damage(host, Disk::roll_back),
            What::Rot => self.damage(host, Disk::rot),
            What::Nat(router) => self.reconnect(host, |host| {
                (host.uplink, host.forwards) = (Uplink::Nat(router), false);
            }),
            What::Direct => self.reconnect(host, |host| {
                (host.uplink, host.forwards) = (Uplink::Direct, false);
            }),
            What::Forward => self.reconnect(host, |host| host.forwards = true),
            What::Unforward => self.reconnect(host, |host| host.forwards = false),
            What::Side(_)
            | What::Cut(_)
            | What::Mend(_)
            | What::Block
            | What::Unblock
            | What::Access(_)
            | What::Mtu(_)
            | What::Reboot => self.network.apply(fault, self.now, &mut self.queue),
        }
        if let Some(observer) = &mut self.observer {
            let (number, at) = (self.trace.events(), self.now);
            observer.fault(Stamp { number, at, host }, fault);
        }
        self.look_at(host);
        self.look_around();
        Ok(true)
    }

    fn is_possible(&self, fault: &Fault) -> bool {
        let host = &self.hosts[fault.host.0];
        match fault.what {
            What::Start => {
                host.process.is_none() && self.occupants[fault.host.0].is_none() && host.is_named()
            }
            What::Wipe | What::Rollback | What::Rot => host.process.is_none(),
            What::Crash | What::Tear | What::Unsync(_) => host.process.is_some(),
            What::Pause | What::Suspend => {
                host.process.as_ref().is_some_and(|process| process.halt.is_none())
            }
            What::Resume => host.process.as_ref().is_some_and(|process| process.halt.is_some()),
            What::Cut(to) | What::Mend(to) => to.0 < self.hosts.len() && to != fault.host,
            What::Reboot => host.attachment().behind.is_some(),
            What::Forward => {
                let behind = host.uplink != Uplink::Direct && !host.forwards;
                behind && self.is_free_for(fault.host, host.address)
            }
            What::Unforward => host.forwards,
            What::Nat(router) => host.uplink != Uplink::Nat(router),
            What::Direct => {
                host.uplink != Uplink::Direct && self.is_free_for(fault.host, host.address)
            }
            What::Offline => host.online,
            What::Move(to) => {
                let there = |ip: &IpAddr| SocketAddr::new(*ip, to.port());
                let free = |ip: &IpAddr| self.is_free_for(fault.host, there(ip));
                let elsewhere = !host.online || host.address != to;
                elsewhere && self.is_free_for(fault.host, to) && host.others.iter().all(free)
            }
            What::Up(ip) => {
                let there = SocketAddr::new(ip, host.address.port());
                !host.interfaces().contains(&ip) && self.is_free_for(fault.host, there)
            }
            What::Down(ip) => host.others.contains(&ip),
            What::Drift(rate) => i64::from(rate).abs() < 1_000_000,
            What::Side(_)
            | What::Block
            | What::Unblock
            | What::Access(_)
            | What::Mtu(_)
            | What::Clock(_)
            | What::Snapshot => true,
            What::Load(roster) => {
                let mut named = roster.hosts().chain([fault.host]);
                // Nobody answers for a process that is halted: whoever has it load says so later.
                let answers = host.process.as_ref().is_none_or(|process| process.halt.is_none());
                answers && named.all(|host| self.is_operator(host))
            }
            What::Lie(_) | What::Missee(_) => self.is_operator(fault.host),
        }
    }

    fn is_free_for(&self, host: HostId, address: SocketAddr) -> bool {
        self.network.holder(address).is_none_or(|holder| holder == host)
    }

    pub(super) fn is_operator(&self, host: HostId) -> bool {
        host.0 < self.oracle.operators()
    }

    fn start(&mut self, id: HostId) -> Result<(), Finding> {
        match self.hosts[id.0].role {
            Role::Node => {}
            Role::Liar(persona) => {
                self.infiltrate(id, persona);
                return Ok(());
            }
            Role::Pinger { place, of } => {
                let pinger = Pinger::new(place, of);
                self.wakes_after(id, pinger.first());
                self.occupy(id, Occupant::Pinger(pinger));
                return Ok(());
            }
        }
        let host = &mut self.hosts[id.0];
        host.traitor.iter_mut().for_each(Traitor::starts);
        let process = host.start(self.now);
        let number = process.number;
        self.oracle.started(self.now, id, process.node.database())?;
        self.network.started(id, number);
        self.oracle.attached(id, self.hosts[id.0].interfaces());
        self.look_at_database(id);
        for what in self.hosts[id.0].greeting() {
            self.queue.push(self.now, Event::Local { host: id, process: number, what });
        }
        Ok(())
    }

    /// Whom the manifest in force at a host names, by place.
    pub(super) fn named(&self, id: HostId) -> Vec<HostId> {
        let operators = self.hosts[id.0].config.manifest.operators().iter();
        let host = |node| self.listed.iter().position(|listed| listed.node_id() == node);
        operators.map(|it| HostId(host(it.node_id).expect("manifests name operators"))).collect()
    }

    fn load(&mut self, id: HostId, roster: &Roster) -> Result<(), Finding> {
        let manifest = build::manifest_of(roster, &self.listed);
        let host = &mut self.hosts[id.0];
        host.configure(manifest.clone());
        self.oracle.loaded(id, &roster.hosts().collect::<Vec<_>>());
        match self.hosts[id.0].process {
            Some(_) => self.feed(id, Input::Manifest { manifest: &manifest }),
            None => Ok(()),
        }
    }

    fn crash(&mut self, id: HostId) {
        self.die(id, Disk::crash);
    }

    fn tear(&mut self, id: HostId) {
        self.die(id, Disk::tear);
        self.damage(id, |_| {});
    }

    fn die(&mut self, id: HostId, crash: impl FnOnce(&mut Disk) -> Option<Ticket>) {
        let host = &mut self.hosts[id.0];
        host.process = None;
        if let Some(ticket) = crash(&mut host.disk) {
            self.oracle.durable(self.now, id, ticket);
        }
        self.oracle.died(self.now, id);
        self.network.died(id, self.now, &mut self.queue);
    }

    /// A Byzantine operator does something; what its node does not know of, it is told.
    fn betray(
        &mut self,
        id: HostId,
        deed: impl FnOnce(&mut Traitor, Option<&Node>) -> Vec<Output>,
    ) -> Result<(), Finding> {
        self.oracle.turned(id);
        let host = &mut self.hosts[id.0];
        let turns = || Traitor::new(&host.config.key, &host.chance);
        let traitor = host.traitor.get_or_insert_with(turns);
        let running = host.process.as_ref().filter(|process| process.halt.is_none());
        for output in deed(traitor, running.map(|it| &it.node)) {
            self.trace.output(&output);
            let closed = match output {
                Output::Close { link, .. } => Some(link),
                _ => None,
            };
            self.perform(id, output)?;
            if let Some(link) = closed {
                self.feed(id, Input::LinkClosed { link })?;
            }
        }
        Ok(())
    }

    /// A disk holds something else than was written.
    fn damage(&mut self, id: HostId, damage: impl FnOnce(&mut Disk)) {
        let disk = &mut self.hosts[id.0].disk;
        damage(disk);
        self.oracle.holds(id, disk.rows());
    }

    fn halt(&mut self, id: HostId, halt: Halt) {
        self.process(id).halt = Some(halt);
        self.network.halted(id, true, self.now, &mut self.queue);
    }

    /// What a process was not told while it was halted, it is told now, in the order in which it
    /// happened.
    fn resume(&mut self, id: HostId) -> Result<(), Finding> {
        let now = self.now;
        let process = self.process(id);
        let wake_at = process.resume(now);
        self.wakes(id, wake_at);
        self.network.halted(id, false, now, &mut self.queue);
        // What is told later waits there: of it the node knows nothing when it answers to this.
        while let Some(waiting) = self.process(id).next_waiting() {
            match waiting {
                Waiting::Local(what) => {
                    if what == Local::Wake {
                        mark(Mark::Overslept);
                    }
                    self.feed(id, what.input())?;
                }
                Waiting::Arrival(what) => self.arrive(id, what)?,
            }
        }
        Ok(())
    }

    fn drift(&mut self, id: HostId, rate: i32) {
        let host = &mut self.hosts[id.0];
        host.drift = rate;
        let Some(process) = &mut host.process else { return };
        let deadline = process.wake_at.map(|at| process.clock.mono(at));
        let halted_since = match process.halt {
            Some(Halt::Suspended(since)) => since,
            Some(Halt::Paused) | None => self.now,
        };
        process.clock.drifts(halted_since, rate);
        process.wake_at = deadline.map(|mono| process.clock.moment(mono).max(self.now));
        let wake_at = process.wake_at;
        self.wakes(id, wake_at);
    }

    pub(super) fn process(&mut self, id: HostId) -> &mut Process {
        self.hosts[id.0].process.as_mut().expect("it runs")
    }

    fn reconnect(&mut self, id: HostId, change: impl FnOnce(&mut Host)) {
        let host = &mut self.hosts[id.0];
        let (before, bound) = (host.interfaces(), host.bound());
        change(host);
        let rebound = Some(host.bound()).filter(|now| *now != bound).map(Local::Bound);
        let notices = host.notices(&before).into_iter().chain(rebound);
        self.network.attach(id, host.attachment(), self.now, &mut self.queue);
        self.oracle.attached(id, host.interfaces());
        if let Some(process) = host.process.as_ref().map(|process| process.number) {
            for what in notices {
                let at = host.notice_at(self.now);
                self.queue.push(at, Event::Local { host: id, process, what });
            }
        }
    }
}
