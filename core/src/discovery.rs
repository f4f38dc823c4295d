//! discv5 v5.1: finds the newest record of a node by its id, with no fixed address to ask.
//!
//! [`Discovery`] is the machine: datagrams and deadlines go in, [`Act`]s come out. It composes
//! the rooms below and knows nothing of clusters; [`crate::node`] owns one. Source: ethereum/devp2p, discv5-wire.md and discv5-theory.md. R-numbers name the
//! statements of those texts that a test of ours checks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use crate::chance::{Chance, Stream};
use crate::count::Counter;
use crate::keys::SecretKey;
use crate::record::{Memory, NodeId, Scope, Signed};
use crate::time::Mono;

pub mod budget;
pub mod challenge;
pub mod cipher;
pub mod contact;
pub mod handshake;
pub mod lookup;
pub mod message;
pub mod packet;
mod receive;
pub mod relay;
pub mod request;
pub mod seeds;
pub mod seek;
mod send;
mod serve;
pub mod session;
pub mod table;
pub mod talk;
mod upkeep;
pub mod vote;

use budget::Budget;
use challenge::Challenges;
use cipher::Mask;
use contact::Contact;
use message::RequestId;
use request::{Body, Purpose, Requests};
use seek::Seek;
pub use seek::{Goal, SeekId, Sought};
use session::Session;
use table::{Origin, Table};
use talk::Talks;
use upkeep::Upkeep;
use vote::Votes;

/// How many TALKREQ protocols can be registered.
pub const PROTOCOLS_MAX: usize = 16;
/// How many watched nodes are asked for the record of another.
pub const WATCHED_ASKED_MAX: usize = 16;

/// What the machine wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Send this datagram.
    Send {
        /// Where.
        to: SocketAddr,
        /// One whole packet.
        bytes: Bytes,
    },
    /// A record of a watched node, its signature verified: perhaps news, perhaps not.
    Record(Signed),
    /// What the application asked for has ended.
    Answered {
        /// The number that it was asked with.
        id: u64,
        /// What came of it.
        answer: Answer,
    },
    /// A node asks something in a registered protocol; [`Discovery::talk_back`] answers, within
    /// [`TALK_WITHIN`](talk::TALK_WITHIN).
    Talk(Talk),
    /// What others observe of our address may have changed: ask [`Discovery::observed`].
    Observed,
    /// Something happened once more.
    Count(Counter),
    /// A lookup has ended.
    Sought(Sought),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// PONG: the node's seq, and where it sees us.
    Pong {
        /// The seq of its record.
        enr_seq: u64,
        /// Our address, as it sees it.
        observed: SocketAddr,
    },
    /// NODES: what of it counts.
    Nodes(Vec<Signed>),
    /// TALKRESP.
    Talk(Bytes),
    /// A lookup has ended.
    Found {
        /// The newest record of the target that was seen.
        newest: Option<Signed>,
        /// The nodes closest to the target that answered, closest first.
        closest: Vec<Signed>,
    },
    /// Nothing in time, or it could not be asked.
    Silence,
}

/// What an application can ask other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// PING: [`Answer::Pong`].
    Ping(Signed),
    /// FINDNODE at these log distances, 0 to 256: [`Answer::Nodes`].
    FindNode(Signed, Vec<u16>),
    /// TALKREQ: [`Answer::Talk`].
    Talk {
        /// Whom.
        node: Signed,
        /// The protocol.
        protocol: Bytes,
        /// What to say in it.
        request: Bytes,
    },
    /// A lookup of a node by its id: [`Answer::Found`].
    Find(NodeId),
}

/// A TALKREQ of somebody, to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// Who asks, and where.
    pub from: Contact,
    /// Its request id.
    pub id: RequestId,
    /// The protocol.
    pub protocol: Bytes,
    /// What it says.
    pub request: Bytes,
}

/// What discovery begins with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Boot nodes: whom to ask when nobody else is known.
    pub boot: Vec<Signed>,
    /// The TALKREQ protocols that the application answers; at most [`PROTOCOLS_MAX`].
    pub protocols: Vec<Bytes>,
}

/// discv5 for one node.
pub struct Discovery {
    key: SecretKey,
    id: NodeId,
    /// The header mask of packets to us.
    mask: Mask,
    families: Families,
    /// Our record, as others may see it; without one we are silent.
    own: Option<Signed>,
    /// The seq of the first of our records that named where we are now.
    at_since: u64,
    /// Whom to ask as well while few are known: boot nodes.
    boot: Vec<Signed>,
    /// And those that answered before the last restart.
    stored: Vec<Signed>,
    /// Whose records the owner wants to hear of.
    watched: BTreeSet<NodeId>,
    protocols: Vec<Bytes>,
    talks: Talks,
    memory: Memory,
    table: Table,
    votes: Votes,
    sessions: crate::lru::Lru<Contact, Session>,
    challenges: Challenges,
    budget: Budget,
    requests: Requests,
    seeks: BTreeMap<SeekId, Seek>,
    next_seek: u64,
    upkeep: Upkeep,
    acts: VecDeque<Act>,
    /// Packets: initialisation vectors, nonces and id-nonces, which everybody may see.
    chance: Stream,
    /// Ephemeral keys, which nobody may.
    ephemeral: Stream,
    /// Schedules, so that packets more or less shift no schedule.
    jitter: Stream,
}

impl Discovery {
    /// A machine that is silent until it has a record ([`Discovery::set_record`]).
    #[must_use]
    pub fn new(key: SecretKey, chance: &Chance, settings: Settings) -> Self {
        let Settings { mut boot, protocols } = settings;
        assert!(protocols.len() <= PROTOCOLS_MAX, "too many protocols");
        let id = NodeId::of(&key.public_key().point());
        boot.retain(|node| node.node_id() != id);
        Self {
            key,
            id,
            mask: Mask::of(&id),
            families: Families { v4: true, v6: true },
            own: None,
            at_since: 0,
            boot,
            stored: Vec::new(),
            watched: BTreeSet::new(),
            protocols,
            talks: Talks::default(),
            memory: Memory::default(),
            table: Table::new(id),
            votes: Votes::default(),
            sessions: crate::lru::Lru::new(session::SESSIONS_MAX),
            challenges: Challenges::default(),
            budget: Budget::default(),
            requests: Requests::default(),
            seeks: BTreeMap::new(),
            next_seek: 0,
            upkeep: Upkeep::default(),
            acts: VecDeque::new(),
            chance: chance.stream("discovery packets"),
            ephemeral: chance.stream("discovery ephemeral keys"),
            jitter: chance.stream("discovery schedule"),
        }
    }

    /// The owner wants to hear of every record of these nodes ([`Act::Record`]), and no more of
    /// others.
    pub fn watch(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        self.watched = nodes.into_iter().collect();
    }

    /// Our record is this one from now on, durable and published. The neighbourhood hears of it
    /// at once; the first one also begins everything.
    ///
    /// # Panics
    /// If it is another node's, or older than the one before: who heard of that keeps it (R69).
    pub fn set_record(&mut self, now: Mono, record: Signed) {
        assert_eq!(record.node_id(), self.id, "a record of another node");
        assert!(record.seq() >= self.own_seq(), "our own record went back");
        let before = self.own.replace(record.clone());
        if before.as_ref() == Some(&record) {
            return;
        }
        if before.is_some_and(|before| before.endpoints() != record.endpoints()) {
            self.at_since = record.seq();
        }
        self.memory.remember(&record);
        self.start_or_tell(now);
    }

    /// Our socket is bound here: nodes are asked at an address of a family that it has.
    pub fn bound(&mut self, local: SocketAddr) {
        let ip = local.ip().to_canonical();
        let both = ip.is_ipv6() && ip.is_unspecified();
        self.families = Families { v4: ip.is_ipv4() || both, v6: ip.is_ipv6() };
    }

    /// Nonces and ephemeral keys depend on these bytes as well from now on; no schedule does.
    pub fn mix(&mut self, fresh: &[u8; 32]) {
        self.chance.mix(fresh);
        self.ephemeral.mix(fresh);
    }

    /// Where a node says that it answers, as far as we can ask there: IPv4 first.
    fn at(&self, record: &Signed) -> Option<SocketAddr> {
        self.families.at(record)
    }

    /// We are somewhere else now: what strangers saw of us is of the past, and who we are in touch
    /// with must hear from where we are.
    pub fn moved(&mut self, now: Mono) {
        self.votes.clear();
        self.acts.push_back(Act::Observed);
        if self.own.is_some() {
            self.start_or_tell(now);
        }
    }

    /// A record that the owner vouches for, an operator's say: its node belongs into the table if
    /// it answers.
    pub fn learn(&mut self, now: Mono, record: &Signed) {
        if record.node_id() == self.id {
            return;
        }
        self.memory.remember(record);
        if let Some(at) = self.at(record) {
            self.table.insert(now, record.clone(), at, Origin::Found);
        }
    }

    /// Looks for the newest record of a node: asks the node itself wherever it was last, and those
    /// closest to its id. `known` are its records that are held, the one that counts first (there are
    /// two if it signed two with one seq, and either may lead to it); `reached` is where it answered.
    /// Whatever is found comes as [`Act::Record`], if the node is watched. Answers whether there was
    /// room for the lookup.
    ///
    /// # Panics
    /// If no record is held, or they are of several nodes.
    pub fn resolve(&mut self, now: Mono, known: &[&Signed], reached: Option<SocketAddr>) -> bool {
        let record = *known.first().expect("a record is held of whoever is looked for");
        let node = record.node_id();
        assert!(known.iter().all(|other| other.node_id() == node), "records of several nodes");
        if self.own.is_none() {
            return false;
        }
        let said = known.iter().flat_map(|record| record.endpoints().udp_addresses());
        let contacts = said.chain(reached).map(|at| Contact::new(node, at));
        let contacts: BTreeSet<Contact> =
            contacts.filter(|contact| self.families.has(contact.at)).collect();
        for contact in contacts {
            if !self.requests.has(&contact, Purpose::Fetch) {
                let body = Body::FindNode(vec![0]);
                self.ask(now, record.clone(), contact.at, body, Purpose::Fetch);
            }
        }
        self.ask_watched(now, &node);
        self.seek(now, node, Goal::Resolve)
    }

    /// Asks the watched nodes that answer whether they hold a record of this one: of the nodes
    /// closest to its id a stranger may own all, of these none.
    fn ask_watched(&mut self, now: Mono, target: &NodeId) {
        let others = self.watched.iter().filter(|node| *node != target);
        let nodes =
            others.filter_map(|node| self.table.get(node)).filter(|node| node.is_verified());
        let nodes: Vec<(Signed, SocketAddr)> =
            nodes.map(|node| (node.record().clone(), node.at())).take(WATCHED_ASKED_MAX).collect();
        for (record, at) in nodes {
            let distances = vec![record.node_id().log_distance(target)];
            self.ask(now, record, at, Body::FindNode(distances), Purpose::Consult);
        }
    }

    /// The application asks; what comes of it is [`Act::Answered`], with this number.
    pub fn ask_for(&mut self, now: Mono, id: u64, ask: &Ask) {
        let asked = match ask {
            Ask::Find(target) => self.seek(now, *target, Goal::Asked(id)),
            Ask::Ping(node) => self.ask_node(now, id, node, Body::Ping),
            Ask::FindNode(node, distances) => {
                self.ask_node(now, id, node, Body::FindNode(distances.clone()))
            }
            Ask::Talk { node, protocol, request } => {
                let (protocol, request) = (protocol.clone(), request.clone());
                self.ask_node(now, id, node, Body::Talk { protocol, request })
            }
        };
        if !asked {
            self.acts.push_back(Act::Answered { id, answer: Answer::Silence });
        }
    }

    fn ask_node(&mut self, now: Mono, id: u64, node: &Signed, body: Body) -> bool {
        let at = self.at(node).filter(|_| body.fits());
        at.is_some_and(|at| self.ask(now, node.clone(), at, body, Purpose::Application(id)))
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// Where many independent strangers see us, per family (R72).
    #[must_use]
    pub fn observed(&mut self, now: Mono, v6: bool) -> Option<SocketAddr> {
        self.votes.winner(now, if v6 { vote::Family::V6 } else { vote::Family::V4 })
    }

    /// Our record, as others see it.
    #[must_use]
    pub fn own_record(&self) -> Option<&Signed> {
        self.own.as_ref()
    }

    /// The nodes that we know.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Panics if an invariant is broken.
    pub fn check(&self) {
        self.requests.check();
        // A walk through all of both, after every event, would be most of what a simulation does:
        // now and then is enough to catch what stays wrong.
        if self.requests.asked().is_multiple_of(16) {
            self.challenges.check();
            self.table.check();
        }
        assert!(self.seeks.len() <= seek::SEEKS_MAX);
        assert!(self.sessions() <= session::SESSIONS_MAX && self.votes.len() <= vote::VOTES_MAX);
        assert!(self.own.is_some() || self.requests.deadline().is_none(), "asked without a record");
    }

    fn own_seq(&self) -> u64 {
        self.own.as_ref().map_or(0, Signed::seq)
    }

    fn count(&mut self, counter: Counter) {
        self.acts.push_back(Act::Count(counter));
    }

    /// A verified record of another node, from wherever: the owner hears of it if it watches the
    /// node.
    fn seen(&mut self, record: &Signed) {
        if self.watched.contains(&record.node_id()) {
            self.acts.push_back(Act::Record(record.clone()));
        }
    }
}

/// The address families of our socket.
#[derive(Clone, Copy)]
struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    fn at(self, record: &Signed) -> Option<SocketAddr> {
        record.endpoints().udp_addresses().find(|at| self.has(*at))
    }

    fn has(self, at: SocketAddr) -> bool {
        if at.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// Whether prefix limits and budgets per source apply to an address: loopback and local networks
/// are exempt (R79).
fn is_limited(address: SocketAddr) -> bool {
    Scope::of(address.ip()) == Scope::Global
}
