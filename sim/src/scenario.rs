//! One run: the world it happens in, and what happens to whom and when.
//!
//! A scenario says everything in lines, so that a run can be read and written (see [`text`]):
//!
//! ```text
//! 0.417s start 0
//! 260.000s move 2 to 198.18.0.9:3610
//! 261.250s crash 3
//! 261.250s wipe 3
//! 270.000s start 3
//! 510.000s expect health
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::adversary::Lie;
use crate::event::HostId;
use crate::moment::Moment;
use crate::network::{Access, Router};
use crate::world::Setup;

/// The port that stayfound listens at unless told otherwise.
pub(crate) const PORT: u16 = 3610;

pub(crate) mod build;
pub(crate) mod draw;
mod healing;
mod options;
mod population;
pub mod text;

pub use options::{
    Bootstrap, Families, FaultKind, Interfaces, Miles, Neighbours, Options, SeqStyle,
};

/// Something done to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// To whom.
    pub host: HostId,
    /// What.
    pub what: What,
}

/// What is done to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its node starts, with what its disk holds.
    Start,
    /// Its node dies; what was not durable may be lost.
    Crash,
    /// Its disk is emptied, while its node does not run.
    Wipe,
    /// It is seen at this address from now on; if it was offline, it is online again.
    Move(SocketAddr),
    /// Its first interface is cut off.
    Offline,
    /// An interface beside its first has this address now.
    Up(IpAddr),
    /// That interface is gone.
    Down(IpAddr),
    /// It is on this side of a partition: nothing passes between sides. Everybody begins on side 0.
    Side(u8),
    /// The manifest in force at its node is another from now on, running or not.
    Load(Roster),
    /// Packets from it to this host are lost from now on; those the other way are not.
    Cut(HostId),
    /// They arrive again.
    Mend(HostId),
    /// A firewall drops everything that it sends and that is sent to it, and it is not told.
    Block,
    /// The firewall is gone.
    Unblock,
    /// It has this last mile now.
    Access(Access),
    /// Packets above so many bytes do not pass.
    Mtu(u16),
    /// Its first interface is behind a router of this kind now, which forwards nothing.
    Nat(Router),
    /// Its first interface has its public address itself now.
    Direct,
    /// The router that it is behind loses its mappings.
    Reboot,
    /// The router forwards its port to it.
    Forward,
    /// The router does so no more, and says nothing.
    Unforward,
    /// Its process does nothing until it is resumed; what arrives waits, as far as there is room.
    Pause,
    /// It sleeps, and its monotonic clock with it, until it is resumed; what arrives is lost.
    Suspend,
    /// It goes on.
    Resume,
    /// Its wall clock is put forward by so many milliseconds.
    Clock(i64),
    /// Its monotonic clock is so many millionths too fast.
    Drift(i32),
    /// Its node dies, and the row that was being written is half there.
    Tear,
    /// Its node dies, and so many of the last writes that were said to be durable are gone.
    Unsync(u8),
    /// What its disk holds now is kept elsewhere.
    Snapshot,
    /// Its disk is put back to what was kept, or to nothing, while its node does not run.
    Rollback,
    /// One bit of what its disk holds is another, while its node does not run.
    Rot,
    /// Its operator is Byzantine from now on, if it was not before, and does this.
    Lie(Lie),
    /// The same, and from now on it says that it sees everybody at this address.
    Missee(SocketAddr),
}

/// How many operators a manifest may name that is loaded in a run.
pub const ROSTER_MAX: usize = 16;

/// The operators of a manifest: hosts, in the order of their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roster {
    hosts: [u8; ROSTER_MAX],
    count: u8,
}

impl Roster {
    /// A manifest of these hosts.
    ///
    /// # Panics
    /// If there are too many.
    #[must_use]
    pub fn new(named: &[HostId]) -> Self {
        assert!((1..=ROSTER_MAX).contains(&named.len()), "a manifest of {} hosts", named.len());
        let mut hosts = [0; ROSTER_MAX];
        for (place, host) in hosts.iter_mut().zip(named) {
            *place = u8::try_from(host.0).expect("operators come first");
        }
        Self { hosts, count: named.len() as u8 }
    }

    /// Who is named, by place.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.hosts[..usize::from(self.count)].iter().map(|host| HostId(usize::from(*host)))
    }
}

/// One line of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Moment,
    /// What; `None` where everything that is owed is expected to be so.
    pub fault: Option<Fault>,
}

/// Everything that decides a run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What else is drawn on the way: latencies, losses, the nodes' own seeds.
    pub seed: u64,
    /// What was drawn, for people.
    pub options: Options,
    /// The world.
    pub setup: Setup,
    /// What happens, in order of time.
    pub schedule: Vec<Line>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Some(fault) => write!(f, "{} {fault}", self.at),
            None => write!(f, "{} expect health", self.at),
        }
    }
}
