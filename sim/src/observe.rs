//! What a run yields for whoever measures: the rows of the tables.
//!
//! An observer sees what the network and the disks see, and the truth about addresses. It changes
//! nothing: a run has the same trace with it and without.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use stayfound_core::database::Database;
use stayfound_core::discovery::{Goal, Sought};
use stayfound_core::record::NodeId;

use crate::event::HostId;
use crate::moment::Moment;
use crate::observe::happening::Stamp;
use crate::scenario::Fault;
use crate::table::{ConvergenceRow, EventRow, LinkRow, LookupRow, NodeRow};

pub mod happening;
mod knowing;
mod linking;
pub mod recording;
mod stopwatch;

use knowing::Knowing;
use linking::Linking;
pub use linking::Pair;
use recording::Recording;
use stopwatch::Stopwatch;

/// Watches a world.
pub struct Observer {
    operators: Vec<NodeId>,
    ids: BTreeMap<NodeId, HostId>,
    hosts: Vec<Tally>,
    knowing: Knowing,
    linking: Linking,
    lookups: Vec<LookupRow>,
    faults: BTreeMap<String, u64>,
    /// Everything that happened, if somebody wants it.
    events: Option<Vec<EventRow>>,
    recording: Option<Recording>,
}

/// What is measured of one host.
#[derive(Clone, Default)]
struct Tally {
    up: Stopwatch,
    starts: u64,
    /// Numbers and bytes of datagrams sent and received.
    datagrams: [Traffic; 2],
    /// Numbers and bytes of frames sent and pieces received.
    frames: [Traffic; 2],
}

#[derive(Clone, Copy, Default)]
struct Traffic {
    number: u64,
    bytes: u64,
}

/// Which way something goes, seen from a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The host sends it.
    Sent,
    /// It reaches the host.
    Received,
}

/// What was observed of a run.
#[derive(Debug)]
pub struct Observed {
    /// Who came to know which move when.
    pub convergence: Vec<ConvergenceRow>,
    /// The states of the links of each pair.
    pub links: Vec<LinkRow>,
    /// The look-ups that ended.
    pub lookups: Vec<LookupRow>,
    /// The hosts.
    pub nodes: Vec<NodeRow>,
    /// How often each fault made a difference, by its first word.
    pub faults: BTreeMap<String, u64>,
    /// Everything that happened, if somebody wanted it.
    pub events: Vec<EventRow>,
    /// What hosts were and knew, if somebody wanted every event.
    pub recording: Option<Recording>,
    /// How many moves there were.
    pub moves: u64,
    /// For how long pairs were allowed to talk, all of them together, in seconds.
    pub owed_s: f64,
    /// For how long they were and had no working link.
    pub false_dead_s: f64,
}

impl Observer {
    /// An observer of a world in which nothing has happened yet: of the ids of all hosts and where
    /// they are, of which the first so many are operators, and of whether every event is to be
    /// written down.
    #[must_use]
    pub fn new(ids: &[NodeId], at: &[Vec<SocketAddr>], operators: usize, events: bool) -> Self {
        let recording = events.then(|| Recording::new(ids));
        let (n, operators) = (operators, ids[..operators].to_vec());
        let ids = ids.iter().enumerate().map(|(host, id)| (*id, HostId(host))).collect();
        Self {
            knowing: Knowing::new(&at[..n]),
            linking: Linking::new(n),
            hosts: vec![Tally::default(); at.len()],
            lookups: Vec::new(),
            faults: BTreeMap::new(),
            events: events.then(Vec::new),
            recording,
            operators,
            ids,
        }
    }

    /// Something is done to a host that makes a difference.
    pub fn fault(&mut self, stamp: Stamp, fault: &Fault) {
        let row = happening::fault(stamp, fault);
        *self.faults.entry(row.kind.clone()).or_default() += 1;
        self.event(|| row);
    }

    /// Whether a node runs on a host and is not halted, how many have started there, and where
    /// others reach it.
    pub fn host(
        &mut self,
        now: Moment,
        host: HostId,
        (runs, starts): (bool, u32),
        at: &[SocketAddr],
    ) {
        let tally = &mut self.hosts[host.0];
        tally.starts = starts.into();
        tally.up.set(now, runs);
        if let Some(recording) = &mut self.recording {
            recording.host(now, host.0, runs, at);
        }
        if host.0 < self.operators.len() {
            self.knowing.operator(now, host.0, runs, at);
        }
    }

    /// These pairs of operators can talk from now on.
    pub fn owed(&mut self, now: Moment, pairs: impl IntoIterator<Item = Pair>) {
        self.linking.owed(now, pairs.into_iter().collect());
        self.knowing.owed(now, self.linking.owed_pairs());
    }

    /// These pairs of hosts have a working link from now on.
    pub fn working(&mut self, now: Moment, pairs: impl IntoIterator<Item = Pair>) {
        let n = self.operators.len();
        let pairs = pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b)));
        self.linking.working(now, pairs.filter(|(_, b)| *b < n).collect());
    }

    /// The database of a host may hold other records than before.
    pub fn holds(&mut self, now: Moment, host: HostId, database: &Database) {
        if host.0 >= self.operators.len() {
            return;
        }
        for (signer, node) in self.operators.iter().enumerate() {
            let record = database.newest(node);
            if let Some(recording) = &mut self.recording {
                recording.holds(now, host.0, signer, record.map(|it| it.seq()));
            }
            let named = record.map(|it| it.endpoints().quic_addresses().collect());
            self.knowing.holds(now, host.0, signer, named.unwrap_or_default());
        }
    }

    /// A datagram of so many bytes.
    pub fn datagram(&mut self, host: HostId, way: Way, bytes: usize) {
        self.hosts[host.0].datagrams[way as usize].add(bytes);
    }

    /// So many bytes on a link.
    pub fn frame(&mut self, host: HostId, way: Way, bytes: usize) {
        self.hosts[host.0].frames[way as usize].add(bytes);
    }

    /// A look-up ended that a node began so many seconds after the world.
    pub fn sought(&mut self, now: Moment, host: HostId, began: Moment, sought: &Sought) {
        self.lookups.push(LookupRow {
            host: host.0 as u64,
            goal: goal(sought.goal).into(),
            target: self.ids.get(&sought.target).map(|host| host.0 as u64),
            began_s: began.seconds(),
            took_s: Moment(now.0 - began.0).seconds(),
            found: sought.found,
            hops: sought.hops.map(|hops| hops as u64),
            heard_after: sought.heard_after.map(|queries| queries as u64),
            queries: sought.queries as u64,
        });
    }

    /// Writes an event down, if that is wanted.
    pub fn event(&mut self, event: impl FnOnce() -> EventRow) {
        if let Some(events) = &mut self.events {
            events.push(event());
        }
    }

    /// Nothing more happens.
    #[must_use]
    pub fn finish(mut self, now: Moment) -> Observed {
        let moves = self.knowing.moves();
        let stale = self.knowing.stale(now);
        let (links, [owed_s, false_dead_s]) = self.linking.finish(now);
        let n = self.operators.len();
        let nodes = self.hosts.iter_mut().enumerate().map(|(host, tally)| {
            let (role, stale_s) = match stale.get(host) {
                Some(stale) => ("operator", *stale),
                None => ("other", 0.0),
            };
            tally.row(now, host, role, stale_s)
        });
        let nodes: Vec<NodeRow> = nodes.collect();
        assert_eq!(stale.len(), n);
        Observed {
            convergence: self.knowing.finish(now),
            links,
            lookups: self.lookups,
            nodes,
            faults: self.faults,
            events: self.events.unwrap_or_default(),
            recording: self.recording,
            moves,
            owed_s,
            false_dead_s,
        }
    }
}

impl Tally {
    fn row(&mut self, now: Moment, host: usize, role: &str, stale_s: f64) -> NodeRow {
        let ([out, into], [said, heard]) = (self.datagrams, self.frames);
        NodeRow {
            host: host as u64,
            role: role.into(),
            up_s: self.up.seconds(now),
            starts: self.starts,
            datagrams_sent: out.number,
            datagram_bytes_sent: out.bytes,
            datagrams_received: into.number,
            datagram_bytes_received: into.bytes,
            frames_sent: said.number,
            link_bytes_sent: said.bytes,
            link_bytes_received: heard.bytes,
            stale_s,
        }
    }
}

impl Traffic {
    fn add(&mut self, bytes: usize) {
        self.number += 1;
        self.bytes += bytes as u64;
    }
}

fn goal(goal: Goal) -> &'static str {
    match goal {
        Goal::Own => "own",
        Goal::Far => "far",
        Goal::OwnAgain => "own-again",
        Goal::Refresh => "refresh",
        Goal::Resolve => "resolve",
        Goal::Asked(_) => "asked",
    }
}
