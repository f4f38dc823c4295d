//! A computer that runs a node: how it is connected, its disk, and the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::cluster::Manifest;
use stayfound_core::database::Row;
use stayfound_core::node::{Config, Counter, LinkId, Node};
use stayfound_core::record::Scope;
use stayfound_core::recording::Recorder;
use stayfound_core::time::Wall;

use crate::adversary::Traitor;
use crate::event::Local;
use crate::moment::Moment;
use crate::network::{Arrival, Attachment, Behind, Router};
use crate::occupant::Role;

mod clock;
mod disk;

use clock::Clock;
pub use disk::DiskSpeed;
pub(crate) use disk::{Disk, UNSYNCED_MAX};

/// The wall clock of every host when the world begins: 2026-01-01T00:00:00Z.
pub const EPOCH: Wall = Wall(1_767_225_600_000);

/// What recordings say made them.
const MADE_BY: &str = concat!("stayfound-sim ", env!("CARGO_PKG_VERSION"));

/// How late a process may hear of a change of its host's interfaces.
pub(crate) const NOTICE_MAX: Duration = Duration::from_millis(200);

/// How a host is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uplink {
    /// Its interface has the address at which the world sees it.
    Direct,
    /// It has a private address behind a router that forwards the port, so that only others can
    /// tell where it is; unless its operator has fixed the address.
    Forwarded {
        /// What the operator says the address is, for ever.
        fixed: Option<SocketAddr>,
    },
    /// It has a private address behind a router that forwards nothing: it can be reached by whom it
    /// has sent something.
    Nat(Router),
}

/// One host.
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) uplink: Uplink,
    /// Where it is or was last, seen from outside, by its first interface.
    pub(crate) address: SocketAddr,
    /// Whether the router before it forwards its port.
    pub(crate) forwards: bool,
    /// Whether its first interface is connected.
    pub(crate) online: bool,
    /// The addresses of its other interfaces: of the Internet, or of a network of its own where
    /// nobody else is (containers, a laboratory).
    pub(crate) others: BTreeSet<IpAddr>,
    /// Whether its socket is bound to `[::]` rather than to `0.0.0.0`.
    pub(crate) dual_stack: bool,
    pub(crate) disk: Disk,
    /// How far its wall clock is ahead of the true time, in milliseconds.
    pub(crate) wall_error: i64,
    /// How many millionths its monotonic clock is too fast.
    pub(crate) drift: i32,
    pub(crate) process: Option<Process>,
    /// Who starts there.
    pub(crate) role: Role,
    /// What its node's words pass through, if its operator is Byzantine.
    pub(crate) traitor: Option<Traitor>,
    /// How many processes it has had.
    pub(crate) starts: u32,
    pub(crate) chance: Chance,
    /// When its process has heard of the latest change of its interfaces.
    pub(crate) told_at: Moment,
    pub(crate) notices: Stream,
    pub(crate) counts: BTreeMap<Counter, u64>,
    /// Of each of its processes, if they are recorded.
    pub(crate) recordings: Option<Vec<Vec<u8>>>,
}

/// A running node.
pub(crate) struct Process {
    pub(crate) number: u32,
    pub(crate) node: Node,
    /// Its own time.
    pub(crate) clock: Clock,
    /// When it is to be woken.
    pub(crate) wake_at: Option<Moment>,
    /// Whether it does nothing at present.
    pub(crate) halt: Option<Halt>,
    /// What waits until it goes on.
    pub(crate) waiting: Vec<Waiting>,
    /// What makes a recording of it.
    pub(crate) recorder: Option<Recorder>,
}

/// Why a process does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It is not scheduled: its clock goes on, and its socket takes what there is room for.
    Paused,
    /// The host sleeps since then.
    Suspended(Moment),
}

/// Something that a process has not been told yet, because it is halted.
#[derive(Clone, Debug)]
pub(crate) enum Waiting {
    Local(Local),
    Arrival(Arrival),
}

/// How many datagrams the socket of a process keeps that does not read them.
pub(crate) const SOCKET_DATAGRAMS: usize = 64;

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Forwarded { fixed: None } => f.write_str("forwarded"),
            Self::Forwarded { fixed: Some(address) } => write!(f, "forwarded, fixed at {address}"),
            Self::Nat(router) => write!(f, "behind nat, {router}"),
        }
    }
}

impl Host {
    /// Boots the node from what the disk holds.
    pub(crate) fn start(&mut self, now: Moment) -> &mut Process {
        assert!(self.process.is_none(), "it runs already");
        self.starts += 1;
        let mut draws = self.chance.stream(&format!("node, start {}", self.starts));
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&draws.draw().to_le_bytes());
        }
        let wall = self.wall(now);
        let stored: Vec<Row> = self.disk.rows().cloned().collect();
        let clock = Clock::started(now, self.drift);
        let mut config = self.config.clone();
        let recorder = self.recordings.as_mut().map(|recordings| {
            let mut recording = Vec::new();
            let times = (clock.mono(now), wall);
            let recorder =
                Recorder::start(MADE_BY, &mut config, seed, times, &stored, &mut recording);
            recordings.push(recording);
            recorder
        });
        let node = Node::new(config, seed, clock.mono(now), wall, &stored)
            .unwrap_or_else(|error| panic!("the scenario's configuration is wrong: {error}"));
        self.told_at = now;
        let number = self.starts;
        let (wake_at, halt, waiting) = (None, None, Vec::new());
        self.process.insert(Process { number, node, clock, wake_at, halt, waiting, recorder })
    }

    /// What its wall clock shows.
    fn wall(&self, now: Moment) -> Wall {
        let true_time = EPOCH + (now - Moment::default());
        Wall(true_time.0.saturating_add_signed(self.wall_error))
    }

    /// Whether the manifest names its key: a node that is no operator does not start.
    pub(crate) fn is_named(&self) -> bool {
        let own = self.config.key.public_key();
        self.config.manifest.by_key(own.as_bytes()).is_some()
    }

    /// Has another manifest in its configuration from now on, and the hints for those that it names.
    pub(crate) fn configure(&mut self, manifest: Manifest) {
        let before = std::mem::replace(&mut self.config.manifest, manifest);
        let Config { manifest, hints, .. } = &mut self.config;
        let renumbered = hints.iter().filter_map(|(operator, at)| {
            let key = &before.get(*operator).expect("hints are for operators").node_id;
            Some((manifest.by_node_id(key)?.index, *at))
        });
        *hints = renumbered.collect();
    }

    /// What a process hears first: the addresses of its interfaces, then its socket.
    pub(crate) fn greeting(&self) -> Vec<Local> {
        let up = self.interfaces().into_iter().map(Local::Up);
        up.chain([Local::Bound(self.bound())]).collect()
    }

    /// What a process hears, in this order, when the addresses of its interfaces were these before.
    /// Behind a router nothing happens that it could hear of.
    pub(crate) fn notices(&mut self, before: &[IpAddr]) -> Vec<Local> {
        let after = self.interfaces();
        let down = before.iter().filter(|ip| !after.contains(ip)).map(|ip| Local::Down(*ip));
        let up = after.iter().filter(|ip| !before.contains(ip)).map(|ip| Local::Up(*ip));
        let mut notices: Vec<Local> = down.chain(up).collect();
        if self.notices.hits(1, 2) {
            notices.reverse(); // make before break
        }
        notices
    }

    /// Where the socket is bound.
    pub(crate) fn bound(&self) -> SocketAddr {
        let any: IpAddr = match self.dual_stack {
            true => Ipv6Addr::UNSPECIFIED.into(),
            false => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(any, self.address.port())
    }

    /// When the process hears of a change: never before it heard of the one before.
    pub(crate) fn notice_at(&mut self, now: Moment) -> Moment {
        let late = Duration::from_micros(self.notices.below(NOTICE_MAX.as_micros() as u64));
        self.told_at = self.told_at.max(now + late);
        self.told_at
    }

    /// The addresses of its interfaces.
    pub(crate) fn interfaces(&self) -> Vec<IpAddr> {
        self.first_interface().into_iter().chain(self.others.iter().copied()).collect()
    }

    /// Where it is, seen from outside: first where its first interface is.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let others = self.others.iter().filter(|ip| ip.is_ipv4() || self.dual_stack);
        let others = others.filter(|ip| Scope::of(**ip) == Scope::Global);
        let others = others.map(|ip| SocketAddr::new(*ip, self.address.port()));
        let first = self.online && self.router().is_none();
        first.then_some(self.address).into_iter().chain(others).collect()
    }

    /// Where it is in the network.
    pub(crate) fn attachment(&self) -> Attachment {
        let (outside, port) = (self.address.ip(), self.bound().port());
        let behind = self.router().filter(|_| self.online);
        let behind = behind.map(|router| Behind { outside, port, router });
        Attachment { addresses: self.addresses(), behind }
    }

    /// The router before its first interface, if that forwards nothing.
    fn router(&self) -> Option<Router> {
        match self.uplink {
            _ if self.forwards => None,
            Uplink::Direct => None,
            Uplink::Forwarded { .. } => Some(Router::HOME),
            Uplink::Nat(router) => Some(router),
        }
    }

    fn first_interface(&self) -> Option<IpAddr> {
        match self.uplink {
            Uplink::Direct => self.online.then_some(self.address.ip()),
            Uplink::Forwarded { .. } | Uplink::Nat(_) if self.address.is_ipv4() => {
                Some(Ipv4Addr::new(10, 0, 0, 2).into())
            }
            Uplink::Forwarded { .. } | Uplink::Nat(_) => {
                Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).into())
            }
        }
    }
}

impl Process {
    /// It goes on, and is to be told what is waiting: answers when it is to be woken, if that changed.
    pub(crate) fn resume(&mut self, now: Moment) -> Option<Moment> {
        let slept = match self.halt.take().expect("it was halted") {
            Halt::Paused => None,
            Halt::Suspended(since) => Some(since),
        };
        let deadline = self.wake_at.zip(slept).map(|(at, since)| self.clock.mono(at.max(since)));
        if let Some(since) = slept {
            self.clock.slept(since, now);
        }
        let wake_at = deadline.map(|mono| self.clock.moment(mono));
        self.wake_at = wake_at.or(self.wake_at);
        wake_at
    }

    /// The next thing that it has not been told.
    pub(crate) fn next_waiting(&mut self) -> Option<Waiting> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0))
    }

    /// Whether it has not been told yet that this link is closed.
    pub(crate) fn is_to_hear_of_the_end_of(&self, link: LinkId) -> bool {
        let ends = |it: &Waiting| matches!(it, Waiting::Arrival(Arrival::Closed(closed)) if *closed == link);
        self.waiting.iter().any(ends)
    }

    /// How many datagrams its socket holds.
    pub(crate) fn datagrams_waiting(&self) -> usize {
        let datagram = |it: &&Waiting| matches!(it, Waiting::Arrival(Arrival::Datagram(..)));
        self.waiting.iter().filter(datagram).count()
    }
}
