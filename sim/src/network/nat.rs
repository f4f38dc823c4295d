//! A network address translator for UDP, in the words of RFC 4787: mapping × filtering × expiry ×
//! hairpin. One translates for all hosts inside it; a carrier-grade one stands before others, which
//! are its hosts. (A host whose port is forwarded is seen there, and needs no model.)
//!
//! It keeps a flow for each (inside, remote) pair, as Linux conntrack does. The mapping of an inside
//! endpoint lives as long as one of the flows that share it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::moment::Moment;

/// Which packets of one inside endpoint share an outside port (RFC 4787 §4.1), or which packets from
/// outside a mapping lets in (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependence {
    /// All.
    Endpoint,
    /// Those to, or from, one address.
    Address,
    /// Those to, or from, one address and port.
    AddressAndPort,
}

/// How a translator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Which packets going out share a mapping.
    pub mapping: Dependence,
    /// Which packets a mapping lets in.
    pub filtering: Dependence,
    /// How long a flow lives that nobody has answered.
    pub unreplied: Duration,
    /// How long a flow lives that has seen packets both ways, after the last of them.
    pub stream: Duration,
    /// Whether a host inside reaches another one inside at its outside address (§6).
    pub hairpin: bool,
}

/// Named behaviours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NatKind {
    /// Endpoint-independent mapping and filtering ("full cone").
    FullCone,
    /// Endpoint-independent mapping, filtering by address ("restricted cone").
    Restricted,
    /// Endpoint-independent mapping, filtering by address and port ("port-restricted cone"): most
    /// homes.
    PortRestricted,
    /// Mapping and filtering by address and port ("symmetric"): nobody outside can tell where to send.
    Symmetric,
}

/// RFC 4787 §4.3 keeps to the range that a port was in; nobody has more flows than that here.
const PORTS: std::ops::RangeInclusive<u16> = 1_024..=u16::MAX;
/// Flows that are dead are forgotten when there are this many.
const FLOWS_SWEPT: usize = 1_024;

/// A flow: the last packet, and whether there have been packets both ways.
#[derive(Clone, Copy, Debug)]
struct Flow {
    last: Moment,
    replied: bool,
    port: u16,
}

/// One translator.
#[derive(Clone, Debug)]
pub struct Nat {
    behaviour: Behaviour,
    /// By inside endpoint, then by remote.
    flows: BTreeMap<(SocketAddr, SocketAddr), Flow>,
    /// Who has, or had last, a port.
    ports: BTreeMap<u16, SocketAddr>,
    next_port: u16,
}

impl NatKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::FullCone, Self::Restricted, Self::PortRestricted, Self::Symmetric];

    /// What it does, without hairpin; times are those of Linux conntrack (30 s and 120 s).
    #[must_use]
    pub fn behaviour(self) -> Behaviour {
        use Dependence::{Address, AddressAndPort, Endpoint};
        let (mapping, filtering) = match self {
            Self::FullCone => (Endpoint, Endpoint),
            Self::Restricted => (Endpoint, Address),
            Self::PortRestricted => (Endpoint, AddressAndPort),
            Self::Symmetric => (AddressAndPort, AddressAndPort),
        };
        let (unreplied, stream) = (Duration::from_secs(30), Duration::from_secs(120));
        Behaviour { mapping, filtering, unreplied, stream, hairpin: false }
    }
}

impl fmt::Display for NatKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FullCone => "full-cone",
            Self::Restricted => "restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
        })
    }
}

impl Dependence {
    fn same(self, a: SocketAddr, b: SocketAddr) -> bool {
        match self {
            Self::Endpoint => true,
            Self::Address => a.ip() == b.ip(),
            Self::AddressAndPort => a == b,
        }
    }
}

impl Nat {
    /// A translator that has not seen a packet yet.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        let (flows, ports) = Default::default();
        Self { behaviour, flows, ports, next_port: *PORTS.start() }
    }

    /// Whether it takes a packet from inside that is sent to its own outside address back in.
    #[must_use]
    pub fn hairpins(&self) -> bool {
        self.behaviour.hairpin
    }

    /// A packet goes out; answers the port that it is sent from.
    pub fn outbound(&mut self, inside: SocketAddr, remote: SocketAddr, now: Moment) -> u16 {
        if self.flows.len() >= FLOWS_SWEPT {
            self.sweep(now);
        }
        let port = match self.port_of(inside, remote, now) {
            Some(port) => port,
            None => self.take_port(inside, now),
        };
        let alive = self.alive(inside, remote, now);
        let replied = alive.is_some_and(|flow| flow.replied);
        self.flows.insert((inside, remote), Flow { last: now, replied, port });
        port
    }

    /// The port from which a packet would go out now, if there is a mapping for it.
    #[must_use]
    pub fn port_of(&self, inside: SocketAddr, remote: SocketAddr, now: Moment) -> Option<u16> {
        let shares = |to: SocketAddr| self.behaviour.mapping.same(to, remote);
        let mut mapped = self.flows_of(inside, now).filter(|(to, _)| shares(*to));
        mapped.next().map(|(_, flow)| flow.port)
    }

    /// A packet comes from outside to one of its ports; answers whom inside it reaches.
    pub fn inbound(&mut self, remote: SocketAddr, port: u16, now: Moment) -> Option<SocketAddr> {
        let inside = self.lets_in(remote, port, now)?;
        // Traffic from outside keeps a flow alive that somebody inside has begun (RFC 4787 REQ-6).
        if let Some(flow) = self.flows.get_mut(&(inside, remote)) {
            (flow.last, flow.replied) = (now, true);
        }
        Some(inside)
    }

    /// Whom inside a packet from outside would reach now.
    #[must_use]
    pub fn lets_in(&self, remote: SocketAddr, port: u16, now: Moment) -> Option<SocketAddr> {
        let inside = *self.ports.get(&port)?;
        let mut mapped = self.flows_of(inside, now).filter(|(_, flow)| flow.port == port);
        mapped.any(|(to, _)| self.behaviour.filtering.same(to, remote)).then_some(inside)
    }

    /// It loses all its mappings, as by a restart.
    pub fn reboot(&mut self) {
        self.flows.clear();
        self.ports.clear();
    }

    fn flows_of(
        &self,
        inside: SocketAddr,
        now: Moment,
    ) -> impl Iterator<Item = (SocketAddr, Flow)> {
        let least = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
        let own = self.flows.range((inside, least)..).take_while(move |((of, _), _)| *of == inside);
        own.map(|((_, to), flow)| (*to, *flow)).filter(move |(_, flow)| self.lives(*flow, now))
    }

    fn alive(&self, inside: SocketAddr, remote: SocketAddr, now: Moment) -> Option<Flow> {
        self.flows.get(&(inside, remote)).copied().filter(|flow| self.lives(*flow, now))
    }

    fn lives(&self, flow: Flow, now: Moment) -> bool {
        let Behaviour { unreplied, stream, .. } = self.behaviour;
        now - flow.last < if flow.replied { stream } else { unreplied }
    }

    /// The port that the host uses itself if it is free (RFC 4787 §4.2.1), else the next free one.
    fn take_port(&mut self, inside: SocketAddr, now: Moment) -> u16 {
        let own = Some(inside.port()).filter(|port| PORTS.contains(port));
        let free = |nat: &Self, port: u16| {
            let used = |of: &SocketAddr| nat.flows_of(*of, now).any(|(_, flow)| flow.port == port);
            !nat.ports.get(&port).is_some_and(used)
        };
        let port = own.filter(|port| free(self, *port)).unwrap_or_else(|| {
            loop {
                let port = self.next_port;
                self.next_port = port.checked_add(1).unwrap_or(*PORTS.start());
                if free(self, port) {
                    return port;
                }
            }
        });
        self.ports.insert(port, inside);
        port
    }

    fn sweep(&mut self, now: Moment) {
        let Behaviour { unreplied, stream, .. } = self.behaviour;
        self.flows
            .retain(|_, flow| now - flow.last < if flow.replied { stream } else { unreplied });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Units;

    fn host(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 3610))
    }

    fn remote(n: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([198, 18, 0, n], port))
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + seconds.s()
    }

    /// A table of RFC 4787 §4.1 and §5: which ports two destinations see, and who may answer.
    #[test]
    fn mapping_and_filtering_are_what_their_names_say() {
        for (kind, one_port, by_address, by_any) in [
            (NatKind::FullCone, true, true, true),
            (NatKind::Restricted, true, true, false),
            (NatKind::PortRestricted, true, false, false),
            (NatKind::Symmetric, false, false, false),
        ] {
            let mut nat = Nat::new(kind.behaviour());
            let port = nat.outbound(host(2), remote(1, 7), at(0));
            assert_eq!(port, 3610, "the port is preserved");
            assert_eq!(nat.inbound(remote(1, 7), port, at(0)), Some(host(2)));
            assert_eq!(nat.inbound(remote(1, 8), port, at(0)).is_some(), by_address, "{kind}");
            assert_eq!(nat.inbound(remote(2, 7), port, at(0)).is_some(), by_any, "{kind}");
            assert_eq!(nat.outbound(host(2), remote(2, 7), at(0)) == port, one_port, "{kind}");
            assert_ne!(nat.outbound(host(3), remote(1, 7), at(0)), port, "two hosts, one port");
        }
    }

    #[test]
    fn a_flow_expires_sooner_if_nobody_has_answered() {
        let mut nat = Nat::new(NatKind::PortRestricted.behaviour());
        let port = nat.outbound(host(2), remote(1, 7), at(0));
        assert!(nat.lets_in(remote(1, 7), port, at(29)).is_some());
        assert!(nat.lets_in(remote(1, 7), port, at(30)).is_none());
        nat.outbound(host(2), remote(1, 7), at(40));
        assert!(nat.inbound(remote(1, 7), port, at(41)).is_some());
        assert!(nat.lets_in(remote(1, 7), port, at(160)).is_some());
        assert!(nat.lets_in(remote(1, 7), port, at(161)).is_none());
        nat.outbound(host(2), remote(1, 7), at(200));
        assert!(nat.lets_in(remote(1, 7), port, at(231)).is_none(), "a new flow is unanswered");
    }

    #[test]
    fn after_a_reboot_a_symmetric_translator_gives_another_port() {
        let mut nat = Nat::new(NatKind::Symmetric.behaviour());
        let ports: Vec<u16> = (1..=3).map(|n| nat.outbound(host(2), remote(n, 7), at(0))).collect();
        assert!(ports.iter().all(|port| ports.iter().filter(|it| *it == port).count() == 1));
        nat.reboot();
        assert!(ports.iter().all(|port| nat.lets_in(remote(1, 7), *port, at(0)).is_none()));
    }

    #[test]
    fn dead_flows_are_forgotten() {
        let mut nat = Nat::new(NatKind::Symmetric.behaviour());
        for n in 0..10_000_u64 {
            nat.outbound(host(2), remote((n % 250) as u8, n as u16), at(n));
        }
        assert!(nat.flows.len() <= FLOWS_SWEPT);
    }
}
