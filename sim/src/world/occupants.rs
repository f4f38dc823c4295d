//! Whoever is on a host in place of a node.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::node::Input;

use super::World;
use crate::adversary::{Adversary, Persona};
use crate::event::{Event, HostId, Local};
use crate::observe::Way;
use crate::occupant::{Occupant, PING_PERIOD};

impl World {
    /// An adversary is on this host in place of a node, or of another adversary.
    ///
    /// # Panics
    /// If a node runs there.
    pub fn corrupt(&mut self, host: HostId, adversary: Adversary) {
        self.occupy(host, adversary.into());
    }

    pub(super) fn occupy(&mut self, host: HostId, occupant: Occupant) {
        assert!(self.hosts[host.0].process.is_none(), "a node runs there");
        if self.occupants[host.0].replace(occupant).is_none() {
            self.network.started(host, 0);
        }
    }

    /// The adversary on this host does something.
    ///
    /// # Panics
    /// If there is none.
    pub fn conspire<T>(&mut self, host: HostId, deed: impl FnOnce(&mut Adversary) -> T) -> T {
        let Some(Occupant::Adversary(adversary)) = &mut self.occupants[host.0] else {
            panic!("no adversary is there");
        };
        let done = deed(adversary);
        self.plot(host);
        done
    }

    /// Whoever is there in place of a node speaks no QUIC.
    pub(super) fn occupant_hears(&mut self, host: HostId, from: SocketAddr, bytes: Bytes) {
        if let Some(observer) = &mut self.observer {
            observer.datagram(host, Way::Received, bytes.len());
        }
        let occupant = self.occupants[host.0].as_mut().expect("it hears");
        self.trace.event(self.now, host, || format!("{} hears", occupant.name()));
        self.trace.input(&Input::Datagram { from, bytes: &bytes });
        match occupant {
            Occupant::Adversary(adversary) => {
                adversary.hears(from, &bytes);
                self.plot(host);
            }
            Occupant::Pinger(pinger) => {
                if let Some(answer) = pinger.hears(bytes) {
                    self.network.send(host, None, (from, answer), self.now, &mut self.queue);
                }
            }
        }
    }

    /// It does something by itself, now and then.
    pub(super) fn occupant_wakes(&mut self, host: HostId) {
        let occupant = self.occupants[host.0].as_mut().expect("it wakes");
        self.trace.event(self.now, host, || format!("{} wakes", occupant.name()));
        let pause = match occupant {
            Occupant::Adversary(adversary) => {
                let pause = adversary.roams();
                self.plot(host);
                pause
            }
            Occupant::Pinger(pinger) => {
                let ping = pinger.pings();
                self.network.send(host, None, ping, self.now, &mut self.queue);
                PING_PERIOD
            }
        };
        self.wakes_after(host, pause);
    }

    /// Sends what an adversary has ready.
    fn plot(&mut self, host: HostId) {
        let Some(Occupant::Adversary(adversary)) = &mut self.occupants[host.0] else {
            unreachable!("only adversaries plot");
        };
        for shot in adversary.shots() {
            let packet = (shot.to, shot.bytes);
            self.network.send(host, shot.from, packet, self.now, &mut self.queue);
        }
    }

    /// An adversary that lies by itself knows the operators and the boot nodes.
    pub(super) fn infiltrate(&mut self, id: HostId, persona: Persona) {
        let host = &self.hosts[id.0];
        let boots = host.config.discovery.iter().flat_map(|settings| &settings.boot);
        let known = boots.chain(&self.listed).cloned().collect();
        let own = (host.config.key.clone(), host.address);
        let adversary = Adversary::walker(persona, own, known, &host.chance);
        self.corrupt(id, adversary);
        self.wakes_after(id, Duration::ZERO);
    }

    pub(super) fn wakes_after(&mut self, id: HostId, pause: Duration) {
        let what = Local::Wake;
        self.queue.push(self.now + pause, Event::Local { host: id, process: 0, what });
    }
}
