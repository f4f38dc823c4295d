//! One real node among scripted peers: what the situations of the core are told with.
#![allow(dead_code, clippy::allow_attributes, reason = "each test tells its own part of the story")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::database::{Database, Row};
use stayfound_core::keys::SecretKey;
use stayfound_core::mesh::{Frame, Hello, Reader};
use stayfound_core::node::{
    CloseReason, Config, Counter, DialId, Event, FLOOR_WITHIN, Input, LinkId, Node, Output, Ticket,
};
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_core::step;
use stayfound_core::time::{Mono, Wall};

/// When every story begins.
pub const EPOCH: Wall = Wall(1_700_000_000_000);
pub const CLUSTER: [u8; 32] = [7; 32];

pub fn key(operator: u8) -> SecretKey {
    SecretKey::from_bytes(&[operator + 1; 32]).unwrap()
}

pub fn node_id(operator: u8) -> NodeId {
    NodeId::of(&key(operator).public_key().point())
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A record of an operator that answers at these addresses.
pub fn record(operator: u8, seq: u64, addresses: &[&str]) -> Signed {
    Signed::sign(&key(operator), seq, &Endpoints::at(addresses.iter().map(|a| address(a))))
}

/// A cluster whose records all have this seq and no address.
pub fn manifest(operators: u8, seq: u64) -> Manifest {
    let records = (0..operators).map(|operator| record(operator, seq, &[])).collect();
    Manifest::new("test".into(), "UUID".into(), CLUSTER, 1, records).unwrap()
}

pub fn config(operators: u8) -> Config {
    let manifest = manifest(operators, 0);
    Config { key: key(0), manifest, external: vec![], hints: vec![], discovery: None }
}

/// Operator 0's node, its disk (every write durable at once), and what came out of it.
pub struct Lone {
    pub node: Node,
    pub config: Config,
    pub now: Mono,
    pub next_wake: Option<Mono>,
    pub disk: BTreeMap<NodeId, Row>,
    pub dials: Vec<(Mono, DialId, SocketAddr)>,
    pub closed: Vec<(LinkId, CloseReason)>,
    pub events: Vec<Event>,
    pub counts: BTreeMap<Counter, usize>,
    /// What each open link was told.
    pub told: BTreeMap<LinkId, Vec<Frame>>,
    readers: BTreeMap<LinkId, Reader>,
    next_link: u64,
    writes: Vec<Ticket>,
    pub datagrams: Vec<(SocketAddr, Bytes)>,
}

impl Lone {
    pub fn new(config: Config) -> Self {
        Self::restarted(config, BTreeMap::new(), Mono(0))
    }

    pub fn restarted(config: Config, disk: BTreeMap<NodeId, Row>, now: Mono) -> Self {
        Self::boot([3; 32], config, disk, now)
    }

    fn boot(seed: [u8; 32], config: Config, disk: BTreeMap<NodeId, Row>, now: Mono) -> Self {
        let rows: Vec<Row> = disk.values().cloned().collect();
        let wall = EPOCH + now.since(Mono(0));
        let node = Node::new(config.clone(), seed, now, wall, &rows).unwrap();
        Self {
            node,
            config,
            now,
            next_wake: None,
            disk,
            dials: vec![],
            closed: vec![],
            events: vec![],
            counts: BTreeMap::new(),
            told: BTreeMap::new(),
            readers: BTreeMap::new(),
            next_link: 0,
            writes: vec![],
            datagrams: vec![],
        }
    }

    /// The usual beginning: a host with these addresses, and a socket for all of them.
    pub fn on_host(config: Config, ips: &[&str]) -> Self {
        Self::seeded([3; 32], config, ips)
    }

    /// The same, with a chance of its own.
    pub fn seeded(seed: [u8; 32], config: Config, ips: &[&str]) -> Self {
        let mut lone = Self::boot(seed, config, BTreeMap::new(), Mono(0));
        for ip in ips {
            lone.up(ip);
        }
        lone.bind("0.0.0.0:3610");
        lone
    }

    /// The same, and nobody was there to tell how far our seq had come.
    pub fn settled(config: Config, ips: &[&str]) -> Self {
        let mut lone = Self::on_host(config, ips);
        lone.pass(FLOOR_WITHIN);
        lone
    }

    pub fn input(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.next_wake = step(&mut self.node, self.now, input, |output| outputs.push(output));
        outputs.into_iter().for_each(|output| self.perform(output));
        while let Some(ticket) = self.writes.pop() {
            self.writes.clear(); // the latest stands for all before it
            let mut outputs = Vec::new();
            let input = Input::Durable { ticket };
            self.next_wake = step(&mut self.node, self.now, input, |output| outputs.push(output));
            outputs.into_iter().for_each(|output| self.perform(output));
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { dial, address, .. } => self.dials.push((self.now, dial, address)),
            Output::Close { link, why } => {
                self.closed.push((link, why));
                self.readers.remove(&link);
            }
            Output::Persist { ticket, row } => {
                self.disk.insert(row.key, row);
                self.writes.push(ticket);
            }
            Output::Datagram { to, bytes } => self.datagrams.push((to, bytes)),
            Output::Event(event) => self.events.push(event),
            Output::Count(counter) => *self.counts.entry(counter).or_default() += 1,
            Output::Sought(_) => {}
            Output::Send { link, bytes } => {
                let reader = self.readers.get_mut(&link).expect("a word on an open link");
                reader.push(&bytes);
                while let Some(frame) = reader.next_frame().unwrap() {
                    self.told.entry(link).or_default().extend(frame);
                }
            }
        }
    }

    /// Lets time pass, waking the node whenever it wants to be.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.next_wake.filter(|at| *at <= end) {
            self.now = at;
            self.input(Input::Wake);
        }
        self.now = end;
    }

    pub fn bind(&mut self, local: &str) {
        self.input(Input::Bound { local: address(local) });
    }

    pub fn up(&mut self, ip: &str) {
        self.input(Input::AddressUp { ip: ip.parse::<IpAddr>().unwrap() });
    }

    pub fn down(&mut self, ip: &str) {
        self.input(Input::AddressDown { ip: ip.parse::<IpAddr>().unwrap() });
    }

    /// Opens a link with this peer; a dial is what it answers.
    pub fn open(&mut self, peer: u8, remote: &str, dial: Option<DialId>) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.readers.insert(link, Reader::default());
        let (peer, remote) = (key(peer).public_key(), address(remote));
        self.input(Input::LinkOpened { link, peer, remote, dial });
        link
    }

    /// Opens a link on which the peer says hello and nothing that we lack.
    pub fn greet(&mut self, peer: u8, remote: &str) -> LinkId {
        let link = self.open(peer, remote, None);
        self.say(link, &hello(&[]));
        link
    }

    pub fn say(&mut self, link: LinkId, frame: &Frame) {
        self.say_bytes(link, &frame.encode());
    }

    pub fn say_bytes(&mut self, link: LinkId, bytes: &[u8]) {
        self.input(Input::LinkBytes { link, bytes });
    }

    pub fn close(&mut self, link: LinkId) {
        self.readers.remove(&link);
        self.input(Input::LinkClosed { link });
    }

    pub fn count(&self, counter: Counter) -> usize {
        self.counts.get(&counter).copied().unwrap_or_default()
    }

    pub fn own(&self) -> &Signed {
        self.node.own_record().expect("a record was published")
    }

    pub fn own_address(&self) -> Option<SocketAddr> {
        self.own().endpoints().quic_addresses().next()
    }

    pub fn database(&self) -> Database {
        self.node.database().clone()
    }

    /// Every record told over a link, in order.
    pub fn records_told(&self, link: LinkId) -> Vec<Signed> {
        let frames = self.told.get(&link).into_iter().flatten();
        let bytes = frames.flat_map(|frame| match frame {
            Frame::Hello(hello) if !hello.record.is_empty() => vec![hello.record.clone()],
            Frame::Records(records) => records.clone(),
            Frame::Hello(_) | Frame::Seen(_) | Frame::Reloaded(_) => vec![],
        });
        bytes.map(|bytes| Signed::from_bytes(&bytes).unwrap()).collect()
    }
}

pub fn hello(held: &[&Signed]) -> Frame {
    let digest = held.iter().map(|record| (*record).into()).collect();
    Frame::Hello(Hello { cluster: CLUSTER, record: Bytes::new(), digest })
}

pub fn records(records: &[&Signed]) -> Frame {
    Frame::Records(records.iter().map(|r| Bytes::copy_from_slice(r.as_bytes())).collect())
}

pub fn seen(at: &str) -> Frame {
    Frame::Seen(address(at))
}

pub fn operator(index: u8) -> OperatorIndex {
    OperatorIndex(index)
}
