//! Real nodes that only discover, joined by a network of datagrams with latency and loss: what the
//! situations of discovery are told with.
#![allow(dead_code, clippy::allow_attributes, reason = "each test tells its own part of the story")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::cluster::Manifest;
use stayfound_core::database::Row;
use stayfound_core::discovery::{Answer, Ask, Settings, Sought};
use stayfound_core::keys::SecretKey;
use stayfound_core::node::{Config, Counter, Event, Input, Node, Output, Ticket};
use stayfound_core::record::{NodeId, Signed};
use stayfound_core::step;
use stayfound_core::time::{Mono, Wall};

pub const EPOCH: Wall = Wall(1_700_000_000_000);

pub fn key(place: usize) -> SecretKey {
    let mut scalar = [1; 32];
    scalar[24..].copy_from_slice(&(place as u64 + 1).to_be_bytes());
    SecretKey::from_bytes(&scalar).unwrap()
}

pub fn node_id(place: usize) -> NodeId {
    NodeId::of(&key(place).public_key().point())
}

pub struct Host {
    pub node: Node,
    pub at: SocketAddr,
    pub disk: BTreeMap<NodeId, Row>,
    pub answers: BTreeMap<u64, Answer>,
    pub events: Vec<Event>,
    pub counts: BTreeMap<Counter, usize>,
    /// The lookups that have ended.
    pub sought: Vec<Sought>,
    wake: Option<Mono>,
    writes: Vec<Ticket>,
}

/// Everything that is under way: what arrives when, in order.
pub struct Web {
    pub hosts: Vec<Host>,
    pub now: Mono,
    pub latency: Duration,
    /// One datagram of so many is lost; 0 for none.
    pub loses_one_of: u64,
    /// Datagrams that were sent: from, to, bytes.
    pub sent: Vec<(SocketAddr, SocketAddr, Bytes)>,
    pub records_sent: bool,
    flying: BTreeMap<(Mono, u64), (SocketAddr, SocketAddr, Bytes)>,
    wakes: BTreeSet<(Mono, usize)>,
    by_address: BTreeMap<SocketAddr, usize>,
    next: u64,
    next_ask: u64,
    chance: Stream,
}

impl Web {
    pub fn new(seed: u8) -> Self {
        Self {
            hosts: vec![],
            now: Mono(0),
            latency: Duration::from_millis(20),
            loses_one_of: 0,
            sent: vec![],
            records_sent: false,
            flying: BTreeMap::new(),
            wakes: BTreeSet::new(),
            by_address: BTreeMap::new(),
            next: 0,
            next_ask: 0,
            chance: Chance::new([seed; 32]).stream("web"),
        }
    }

    /// A public address of its own prefix for each host.
    pub fn address(place: usize, home: u16) -> SocketAddr {
        let [high, low] = (place as u16).to_be_bytes();
        let [.., home] = home.to_be_bytes();
        format!("{}.{high}.{low}.{}:9000", 20 + home, home + 1).parse().unwrap()
    }

    /// A node that knows these boot nodes starts.
    pub fn join(&mut self, boot: &[usize]) -> usize {
        let place = self.hosts.len();
        let boot = boot.iter().map(|boot| self.record(*boot)).collect();
        let key = key(place);
        let settings = Settings { boot, protocols: vec![Bytes::from_static(b"echo")] };
        let config = Config {
            manifest: Manifest::alone(&key),
            key,
            external: vec![],
            hints: vec![],
            discovery: Some(settings),
        };
        self.join_as(config, BTreeMap::new())
    }

    pub fn join_as(&mut self, config: Config, disk: BTreeMap<NodeId, Row>) -> usize {
        let place = self.hosts.len();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(place as u64).to_be_bytes());
        let rows: Vec<Row> = disk.values().cloned().collect();
        let wall = EPOCH + self.now.since(Mono(0));
        let node = Node::new(config, seed, self.now, wall, &rows).unwrap();
        let at = Self::address(place, 0);
        self.by_address.insert(at, place);
        let (answers, events, writes) = (BTreeMap::new(), vec![], vec![]);
        let counts = BTreeMap::new();
        let (wake, sought) = (None, Vec::new());
        self.hosts.push(Host { node, at, disk, answers, events, counts, sought, wake, writes });
        self.input(place, Input::AddressUp { ip: at.ip() });
        self.input(place, Input::Bound { local: at });
        place
    }

    /// The host is at another address from now on.
    pub fn moves(&mut self, place: usize, home: u16) {
        let before = self.hosts[place].at;
        let at = Self::address(place, home);
        self.by_address.remove(&before);
        self.by_address.insert(at, place);
        self.hosts[place].at = at;
        self.input(place, Input::AddressDown { ip: before.ip() });
        self.input(place, Input::AddressUp { ip: at.ip() });
        self.input(place, Input::Bound { local: at });
    }

    /// The host is gone, without a word.
    pub fn vanishes(&mut self, place: usize) {
        self.by_address.remove(&self.hosts[place].at);
    }

    pub fn record(&self, place: usize) -> Signed {
        self.hosts[place].node.own_record().expect("it has a record").clone()
    }

    pub fn input(&mut self, place: usize, input: Input<'_>) {
        let mut outputs = Vec::new();
        let host = &mut self.hosts[place];
        let wake = step(&mut host.node, self.now, input, |output| outputs.push(output));
        self.schedule(place, wake);
        outputs.into_iter().for_each(|output| self.perform(place, output));
        while let Some(ticket) = self.hosts[place].writes.pop() {
            self.hosts[place].writes.clear();
            self.input(place, Input::Durable { ticket });
        }
    }

    fn schedule(&mut self, place: usize, wake: Option<Mono>) {
        let before = std::mem::replace(&mut self.hosts[place].wake, wake);
        if let Some(at) = before {
            self.wakes.remove(&(at, place));
        }
        self.wakes.extend(wake.map(|at| (at, place)));
    }

    fn perform(&mut self, place: usize, output: Output) {
        let host = &mut self.hosts[place];
        match output {
            Output::Datagram { to, bytes } => {
                let from = host.at;
                self.send(from, to, bytes);
            }
            Output::Persist { ticket, row } => {
                host.disk.insert(row.key, row);
                host.writes.push(ticket);
            }
            Output::Event(Event::Answered { id, answer }) => drop(host.answers.insert(id, answer)),
            Output::Event(Event::Talk(talk)) => {
                let response = [b"re: ", &talk.request[..]].concat();
                self.input(place, Input::TalkBack { talk: &talk, response: &response });
            }
            Output::Event(event) => host.events.push(event),
            Output::Count(counter) => *host.counts.entry(counter).or_default() += 1,
            Output::Sought(sought) => host.sought.push(sought),
            Output::Dial { .. } | Output::Send { .. } | Output::Close { .. } => {
                unreachable!("a node alone opens no links")
            }
        }
    }

    /// Puts a datagram on its way.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if self.records_sent {
            self.sent.push((from, to, bytes.clone()));
        }
        if self.loses_one_of > 0 && self.chance.hits(1, self.loses_one_of) {
            return;
        }
        let at = self.now + self.chance.jittered(self.latency);
        self.flying.insert((at, self.next), (from, to, bytes));
        self.next += 1;
    }

    /// Lets time pass.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let wake = self.wakes.first().map(|(at, _)| *at);
            let Some(next) = arrival.into_iter().chain(wake).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = next;
            if arrival == Some(next) {
                let (_, (from, to, bytes)) = self.flying.pop_first().expect("it arrives");
                if let Some(place) = self.by_address.get(&to).copied() {
                    self.input(place, Input::Datagram { from, bytes: &bytes });
                }
            } else {
                let (_, place) = self.wakes.pop_first().expect("it wakes");
                self.hosts[place].wake = None;
                self.input(place, Input::Wake);
            }
        }
        self.now = end;
    }

    /// Asks, and lets time pass until the answer is there.
    pub fn ask(&mut self, place: usize, ask: &Ask) -> Answer {
        let id = self.next_ask;
        self.next_ask += 1;
        self.input(place, Input::Ask { id, ask });
        for _ in 0..10_000 {
            if let Some(answer) = self.hosts[place].answers.remove(&id) {
                return answer;
            }
            self.pass(Duration::from_millis(10));
        }
        panic!("no end to {ask:?}");
    }

    pub fn count(&self, place: usize, counter: Counter) -> usize {
        self.hosts[place].counts.get(&counter).copied().unwrap_or_default()
    }
}
