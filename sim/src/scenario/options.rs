//! What is drawn once for a whole run.

use std::fmt;

use crate::host::DiskSpeed;
use crate::network::{Access, Latency, Loss, Noise};
#[cfg(doc)]
use crate::occupant::Role;

/// The choices of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many operators the cluster has.
    pub operators: usize,
    /// How many more operators the first manifest does not name: they run once another does.
    pub spares: usize,
    /// How many hosts run a node that is no operator of it, but dials the operators.
    pub strangers: usize,
    /// How many operators are behind a router that forwards their port.
    pub forwarded: usize,
    /// How many of these have fixed their address.
    pub fixed: usize,
    /// How many more operators are behind a router that forwards nothing, each of a kind drawn from
    /// those of homes.
    pub natted: usize,
    /// The last miles of the operators.
    pub miles: Miles,
    /// How far apart the hosts are.
    pub latency: Latency,
    /// How many packets are lost.
    pub loss: Loss,
    /// What else happens to datagrams.
    pub noise: Noise,
    /// How fast the disks are.
    pub disks: DiskSpeed,
    /// IPv4, IPv6 or both.
    pub families: Families,
    /// What interfaces operators have beside their first.
    pub interfaces: Interfaces,
    /// Who else speaks discv5, if the operators do.
    pub discovery: Option<Neighbours>,
    /// How many of the walkers, from the last, are adversaries.
    pub liars: usize,
    /// How many more hosts there are that only ping one another ([`Role::Pinger`]).
    pub pingers: usize,
    /// How operators find one another at first.
    pub bootstrap: Bootstrap,
    /// Where sequence numbers begin.
    pub seqs: SeqStyle,
    /// What kinds of faults were drawn.
    pub mix: Vec<FaultKind>,
    /// How many times something happens, each followed by quiet.
    pub episodes: usize,
}

/// Nodes that only discover, each in a network prefix of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// Boot nodes: everybody is given their records.
    pub boots: usize,
    /// Others.
    pub walkers: usize,
}

/// The last miles of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miles {
    /// All have this one.
    All(Access),
    /// Each has one of its own.
    Mixed,
}

/// The families of the hosts' addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Each address is of one or the other.
    Mixed,
}

/// The interfaces of operators beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interfaces {
    /// None.
    One,
    /// Each has a private address where nobody else is.
    Private,
    /// Every other one or so is connected to the Internet a second time.
    Public,
    /// Each has none, either or both of these.
    Mixed,
}

/// How operators find one another when nothing is stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// The manifest's records name everybody's address.
    Manifest,
    /// They do, but every third operator is elsewhere by now.
    Outdated,
    /// They name none; everybody is given everybody's address.
    Hints,
    /// They name none; each is given the address of the next only.
    Line,
    /// They name none, and nobody is given any: discovery finds them.
    Discovery,
}

/// The sequence numbers of the manifest's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeqStyle {
    /// 1, as EIP-778 begins.
    One,
    /// Unix milliseconds of some moment in the year before, as charon writes.
    Millis,
    /// Unix milliseconds of a year ahead: the clock of whoever made the manifest was wrong, or
    /// the nodes' clocks are.
    Ahead,
}

/// What can happen, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// One operator gets another address.
    Move,
    /// Several operators get other addresses at once.
    MoveMany,
    /// One operator gets another address again and again.
    Flap,
    /// One operator is bound to another port.
    Rebind,
    /// Two operators exchange their addresses.
    Swap,
    /// One operator moves, and a stranger gets its address.
    Handover,
    /// One operator is cut off and comes back at its address, or at another.
    Outage,
    /// A node dies and starts again.
    Crash,
    /// A node dies, loses its disk, perhaps moves, and starts again.
    Wipe,
    /// An interface beside the first of an operator comes or goes, perhaps for a while only.
    Interface,
    /// Several nodes, perhaps all, die at once and start again one by one.
    Blackout,
    /// A node dies and starts again only after the others have been well without it; or never.
    Absence,
    /// Every operator that can gets another address at once, and some lose their disks: only
    /// discovery brings them together again.
    Exodus,
    /// Packets from one operator to another are lost for a while, the other way they are not.
    Cut,
    /// They are lost again and again.
    Flaky,
    /// Some operators hear only one another for a while.
    Partition,
    /// A firewall is before one operator for a while.
    Block,
    /// One operator leaves its network and comes back in another: another address, another last mile, perhaps behind another router.
    Roam,
    /// The router before one operator loses its mappings, or forwards nothing for a while.
    Router,
    /// Packets of some size do not reach one operator for a while.
    Narrow,
    /// One process is not scheduled for a while.
    Pause,
    /// One host sleeps for a while.
    Suspend,
    /// The wall clock of one host is put forward or back, and perhaps its node starts anew.
    Clock,
    /// The monotonic clock of one host is too fast or too slow from now on.
    Drift,
    /// A node dies in the middle of a write.
    Tear,
    /// A node dies, and its disk had lied about the last writes.
    Unsync,
    /// A node dies and starts again from an older state of its disk.
    Rollback,
    /// A node dies, and a bit of its disk is another when it starts again.
    Rot,
    /// Operators, at most as many as are tolerated, turn Byzantine: they lie, and go on lying.
    Treason,
    /// Operators load another manifest, one after the other: somebody is added, removed or replaced,
    /// or all have other places.
    Reload,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 30] = [
        Self::Move,
        Self::MoveMany,
        Self::Flap,
        Self::Rebind,
        Self::Swap,
        Self::Handover,
        Self::Outage,
        Self::Crash,
        Self::Wipe,
        Self::Interface,
        Self::Blackout,
        Self::Absence,
        Self::Exodus,
        Self::Cut,
        Self::Flaky,
        Self::Partition,
        Self::Block,
        Self::Roam,
        Self::Router,
        Self::Narrow,
        Self::Pause,
        Self::Suspend,
        Self::Clock,
        Self::Drift,
        Self::Tear,
        Self::Unsync,
        Self::Rollback,
        Self::Rot,
        Self::Treason,
        Self::Reload,
    ];
}

impl Options {
    /// The least surprising choices: operators of one continent with fixed lines, each found
    /// through the manifest. For scripts, which name what differs.
    #[must_use]
    pub fn plain(operators: usize) -> Self {
        Self {
            operators,
            spares: 0,
            strangers: 0,
            forwarded: 0,
            fixed: 0,
            natted: 0,
            miles: Miles::All(Access::Wired),
            latency: Latency::Continental,
            loss: Loss(0),
            noise: Noise::default(),
            disks: DiskSpeed::Fast,
            families: Families::V4,
            interfaces: Interfaces::One,
            discovery: None,
            liars: 0,
            pingers: 0,
            bootstrap: Bootstrap::Manifest,
            seqs: SeqStyle::Millis,
            mix: Vec::new(),
            episodes: 0,
        }
    }

    /// How many hosts there are, in this order: operators, spares, strangers, boot nodes, walkers,
    /// pingers.
    #[must_use]
    pub fn hosts(&self) -> usize {
        let neighbours = self.discovery.map_or(0, |it| it.boots + it.walkers);
        self.operators + self.spares + self.strangers + neighbours + self.pingers
    }

    /// Whether the host with this number is a walker, and none that lies.
    #[must_use]
    pub fn is_walker(&self, host: usize) -> bool {
        let Some(Neighbours { boots, walkers }) = self.discovery else { return false };
        let first = self.operators + self.spares + self.strangers + boots;
        (first..first + walkers - self.liars).contains(&host)
    }

    /// Name and value of each, and what follows from them; for tables.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let heals_within = format!("{:.1} s", self.heals_within().as_secs_f64());
        self.header().into_iter().chain([("heals_within", heals_within)]).collect()
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} boots {} walkers", self.boots, self.walkers)
    }
}

impl fmt::Display for Miles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(access) => access.fmt(f),
            Self::Mixed => f.write_str("mixed"),
        }
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
            Self::Mixed => "mixed",
        })
    }
}

impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Private => "private",
            Self::Public => "public",
            Self::Mixed => "mixed",
        })
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Outdated => "outdated",
            Self::Hints => "hints",
            Self::Line => "line",
            Self::Discovery => "discovery",
        })
    }
}

impl fmt::Display for SeqStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Millis => "milliseconds",
            Self::Ahead => "ahead",
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Move => "move",
            Self::MoveMany => "move-many",
            Self::Flap => "flap",
            Self::Rebind => "rebind",
            Self::Swap => "swap",
            Self::Handover => "handover",
            Self::Outage => "outage",
            Self::Crash => "crash",
            Self::Wipe => "wipe",
            Self::Interface => "interface",
            Self::Blackout => "blackout",
            Self::Absence => "absence",
            Self::Exodus => "exodus",
            Self::Cut => "cut",
            Self::Flaky => "flaky",
            Self::Partition => "partition",
            Self::Block => "block",
            Self::Roam => "roam",
            Self::Router => "router",
            Self::Narrow => "narrow",
            Self::Pause => "pause",
            Self::Suspend => "suspend",
            Self::Clock => "clock",
            Self::Drift => "drift",
            Self::Tear => "tear",
            Self::Unsync => "unsync",
            Self::Rollback => "rollback",
            Self::Rot => "rot",
            Self::Treason => "treason",
            Self::Reload => "reload",
        })
    }
}
