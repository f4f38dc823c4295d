//! What the network knows of one host, and the router that may be before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use stayfound_core::chance::Stream;
use stayfound_core::keys::PublicKey;
use stayfound_core::node::LinkId;

use super::access::{Access, Condition};
use super::link::Side;
use super::nat::{Behaviour, Nat, NatKind};
use super::{MTU, Wire};
use crate::event::HostId;

/// A router that translates addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// How it behaves.
    pub kind: NatKind,
    /// Whether it is itself behind a carrier's, of the same kind.
    pub carrier: bool,
    /// Whether hosts behind it reach one another at its outside address.
    pub hairpin: bool,
}

/// Where a host is in the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Where everybody reaches it, the address that it would rather send from first.
    pub addresses: Vec<SocketAddr>,
    /// The router before its first interface, if there is one that forwards nothing.
    pub behind: Option<Behind>,
}

/// Behind which router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The router's outside address.
    pub outside: IpAddr,
    /// The port that the host sends from.
    pub port: u16,
    /// What it is.
    pub router: Router,
}

pub(super) struct Site {
    pub(super) key: PublicKey,
    pub(super) at: Attachment,
    /// Its own router, if a carrier's is before that.
    pub(super) home: Option<Nat>,
    pub(super) condition: Condition,
    pub(super) links: BTreeMap<LinkId, (Wire, Side)>,
    /// Its dials that are not answered yet.
    pub(super) dialling: BTreeSet<Wire>,
    pub(super) links_opened: u64,
    pub(super) chance: Stream,
}

/// What every packet asks of a host, in one cache line.
#[repr(align(64))]
pub(super) struct Gate {
    /// The first of its addresses.
    pub(super) first: Option<SocketAddr>,
    /// Whether its first interface is behind a router.
    pub(super) behind: bool,
    /// On which side of a partition it is.
    pub(super) side: u8,
    pub(super) blocked: bool,
    pub(super) access: Access,
    /// The largest packet, headers and all.
    pub(super) mtu: u16,
    /// The number of its running process.
    pub(super) process: Option<u32>,
    /// Whether that does nothing at present.
    pub(super) halted: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            first: None,
            behind: false,
            side: 0,
            blocked: false,
            access: Access::default(),
            mtu: MTU,
            process: None,
            halted: false,
        }
    }
}

impl Router {
    /// What most homes have.
    pub const HOME: Self = Self::new(NatKind::PortRestricted);

    /// One of this kind, with nothing special.
    #[must_use]
    pub const fn new(kind: NatKind) -> Self {
        Self { kind, carrier: false, hairpin: false }
    }

    pub(super) fn behaviour(self) -> Behaviour {
        Behaviour { hairpin: self.hairpin, ..self.kind.behaviour() }
    }
}

impl Site {
    pub(super) fn new(key: PublicKey, chance: Stream) -> Self {
        Self {
            key,
            at: Attachment::default(),
            home: None,
            condition: Condition::default(),
            links: BTreeMap::new(),
            dialling: BTreeSet::new(),
            links_opened: 0,
            chance,
        }
    }
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let carrier = if self.carrier { " carrier" } else { "" };
        let hairpin = if self.hairpin { " hairpin" } else { "" };
        write!(f, "{}{carrier}{hairpin}", self.kind)
    }
}

/// How a router names a host inside: one address per host, which nobody else sees.
pub(super) fn inside(host: HostId, port: u16) -> SocketAddr {
    let [high, a, b, c] = u32::try_from(host.0).expect("fewer than 2^32 hosts").to_be_bytes();
    assert_eq!(high, 0, "fewer than 2^24 hosts are behind routers");
    (Ipv4Addr::new(10, a, b, c), port).into()
}

/// Whom a router names so.
pub(super) fn host_inside(address: SocketAddr) -> HostId {
    let IpAddr::V4(ip) = address.ip() else { unreachable!("routers name hosts by IPv4") };
    let [_, a, b, c] = ip.octets();
    HostId(u32::from_be_bytes([0, a, b, c]) as usize)
}
