//! A computer that runs a node: how it is connected, its disk, and the process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::cluster::Manifest;
use stayfound_core::database::Row;
use stayfound_core::node::{Config, Counter, Node, Ticket};
use stayfound_core::record::{NodeId, Scope};
use stayfound_core::time::{Mono, Wall};

use crate::adversary::{Adversary, Traitor};
use crate::event::Local;
use crate::moment::Moment;

/// The wall clock of every host when the world begins: 2026-01-01T00:00:00Z.
pub const EPOCH: Wall = Wall(1_767_225_600_000);

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
}

/// How long a write takes until it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskSpeed {
    /// 0.1 to 5 ms.
    Fast,
    /// 20 to 800 ms.
    Slow,
}

/// One host.
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) uplink: Uplink,
    /// Where it is or was last, seen from outside, by its first interface.
    pub(crate) address: SocketAddr,
    /// Whether its first interface is connected.
    pub(crate) online: bool,
    /// The addresses of its other interfaces: of the Internet, or of a network of its own where
    /// nobody else is (containers, a laboratory).
    pub(crate) others: BTreeSet<IpAddr>,
    /// Whether its socket is bound to `[::]` rather than to `0.0.0.0`.
    pub(crate) dual_stack: bool,
    pub(crate) disk: Disk,
    pub(crate) process: Option<Process>,
    /// Who is there in place of a node.
    pub(crate) adversary: Option<Adversary>,
    /// What its node's words pass through, if its operator is Byzantine.
    pub(crate) traitor: Option<Traitor>,
    /// How many processes it has had.
    pub(crate) starts: u32,
    pub(crate) chance: Chance,
    /// When its process has heard of the latest change of its interfaces.
    pub(crate) told_at: Moment,
    pub(crate) notices: Stream,
    pub(crate) counts: BTreeMap<Counter, u64>,
}

/// A running node.
pub(crate) struct Process {
    pub(crate) number: u32,
    pub(crate) node: Node,
    /// When it started: the zero of its own time.
    pub(crate) since: Moment,
    /// When it is to be woken.
    pub(crate) wake_at: Option<Moment>,
}

/// What survives a crash, and what is on its way there.
pub(crate) struct Disk {
    rows: BTreeMap<NodeId, Row>,
    writes: VecDeque<(Ticket, Row)>,
    /// When the last of the writes is done: they keep their order.
    done_at: Moment,
    speed: DiskSpeed,
    chance: Stream,
}

impl DiskSpeed {
    /// The longest that a write takes.
    pub(crate) fn slowest(self) -> Duration {
        Duration::from_micros(self.micros().1)
    }

    /// Microseconds: least and most.
    fn micros(self) -> (u64, u64) {
        match self {
            Self::Fast => (100, 5_000),
            Self::Slow => (20_000, 800_000),
        }
    }
}

impl fmt::Display for DiskSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
        })
    }
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Forwarded { fixed: None } => f.write_str("forwarded"),
            Self::Forwarded { fixed: Some(address) } => write!(f, "forwarded, fixed at {address}"),
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
        let wall = EPOCH + (now - Moment::default());
        let stored: Vec<Row> = self.disk.rows.values().cloned().collect();
        let node = Node::new(self.config.clone(), seed, Mono(0), wall, &stored)
            .unwrap_or_else(|error| panic!("the scenario's configuration is wrong: {error}"));
        self.told_at = now;
        let number = self.starts;
        self.process.insert(Process { number, node, since: now, wake_at: None })
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
        self.online.then_some(self.address).into_iter().chain(others).collect()
    }

    fn first_interface(&self) -> Option<IpAddr> {
        match self.uplink {
            Uplink::Direct => self.online.then_some(self.address.ip()),
            Uplink::Forwarded { .. } if self.address.is_ipv4() => {
                Some(Ipv4Addr::new(10, 0, 0, 2).into())
            }
            Uplink::Forwarded { .. } => Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).into()),
        }
    }
}

impl Process {
    /// Its own time.
    pub(crate) fn mono(&self, now: Moment) -> Mono {
        Mono(u64::try_from((now - self.since).as_nanos()).expect("less than 584 years"))
    }
}

impl Disk {
    /// An empty disk.
    pub(crate) fn new(speed: DiskSpeed, chance: Stream) -> Self {
        let (rows, writes) = (BTreeMap::new(), VecDeque::new());
        Self { rows, writes, done_at: Moment::default(), speed, chance }
    }

    /// Takes a write; answers when it will be durable.
    pub(crate) fn write(&mut self, now: Moment, ticket: Ticket, row: Row) -> Moment {
        let (least, most) = self.speed.micros();
        let takes = Duration::from_micros(least + self.chance.below(most - least));
        self.done_at = self.done_at.max(now + takes);
        self.writes.push_back((ticket, row));
        self.done_at
    }

    /// The next write is durable: answers its ticket.
    pub(crate) fn done(&mut self) -> Ticket {
        let (ticket, row) = self.writes.pop_front().expect("a write is done once");
        self.rows.insert(row.key, row);
        ticket
    }

    /// The host crashes: some of the writes under way, the first so many, had reached the disk
    /// although nobody was told. Answers the last of those.
    pub(crate) fn crash(&mut self) -> Option<Ticket> {
        let reached = self.chance.below(self.writes.len() as u64 + 1);
        let last = (0..reached).map(|_| self.done()).last();
        self.writes.clear();
        last
    }

    /// Everything is gone.
    pub(crate) fn wipe(&mut self) {
        assert!(self.writes.is_empty(), "a process is still writing");
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Units;
    use bytes::Bytes;

    fn row(key: u8, value: u8) -> Row {
        Row { key: NodeId([key; 32]), value: Bytes::copy_from_slice(&[value]) }
    }

    #[test]
    fn writes_keep_their_order_and_a_crash_keeps_the_first_so_many() {
        let mut kept = [0; 4];
        for seed in 0..=255 {
            let chance = Chance::new([seed; 32]).stream("disk");
            let mut disk = Disk::new(DiskSpeed::Slow, chance);
            let mut last = Moment::default();
            for n in 0..4 {
                let due =
                    disk.write(Moment::default() + 1.ms(), Ticket(n), row(n as u8 / 2, n as u8));
                assert!(due >= last);
                last = due;
            }
            assert_eq!(disk.done(), Ticket(0));
            let reached = disk.crash().map_or(1, |ticket| ticket.0 as usize + 1);
            kept[reached - 1] += 1;
            let value = |key: u8| disk.rows.get(&NodeId([key; 32])).map(|row| row.value[0]);
            assert_eq!(value(0), Some(u8::from(reached > 1)));
            assert_eq!(value(1), [None, None, None, Some(2), Some(3)][reached]);
            disk.wipe();
            assert!(disk.rows.is_empty());
        }
        assert!(kept.iter().all(|times| *times > 20), "{kept:?}");
    }
}
