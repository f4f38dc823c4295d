//! One node that only discovers, driven in memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::cluster::Manifest;
use stayfound_core::discovery::{Discovery, Settings};
use stayfound_core::keys::SecretKey;
use stayfound_core::node::{Config, Counter, Event, Input, Node, Output};
use stayfound_core::record::Signed;
use stayfound_core::step;
use stayfound_core::time::{Mono, Wall};

/// A node and what it did.
pub struct Lone {
    node: Node,
    /// Its time, which the owner lets pass.
    pub now: Mono,
    wake: Option<Mono>,
    /// What it sent and nobody has taken.
    pub sent: Vec<(SocketAddr, Bytes)>,
    /// What the application was told and nobody has taken.
    pub events: Vec<Event>,
    counts: BTreeMap<Counter, usize>,
}

impl Lone {
    /// A node with the key of this place, at an address of this place on a private network.
    pub fn new(place: u32) -> Self {
        let key = key(place);
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&place.to_be_bytes());
        let config = Config {
            manifest: Manifest::alone(&key),
            key,
            external: vec![],
            hints: vec![],
            discovery: Some(Settings::default()),
        };
        let now = Mono(0);
        let node = Node::new(config, seed, now, Wall(1_800_000_000_000), &[]);
        let node = node.expect("a node alone starts");
        let (sent, events, counts) = Default::default();
        let mut lone = Self { node, now, wake: None, sent, events, counts };
        let at = address(place);
        lone.feed(Input::AddressUp { ip: at.ip() });
        lone.feed(Input::Bound { local: at });
        assert!(lone.node.own_record().is_some(), "a node alone has a record at once");
        lone.events.clear();
        lone
    }

    /// One input; writes are durable at once.
    pub fn feed(&mut self, input: Input<'_>) {
        let Self { node, now, wake, sent, events, counts } = self;
        let mut written = None;
        *wake = step(node, *now, input, |output| match output {
            Output::Datagram { to, bytes } => sent.push((to, bytes)),
            Output::Persist { ticket, .. } => written = Some(ticket),
            Output::Event(event) => events.push(event),
            Output::Count(counter) => *counts.entry(counter).or_default() += 1,
            Output::Sought(_) => {}
            other => unreachable!("a node alone wants {other:?}"),
        });
        if let Some(ticket) = written {
            self.feed(Input::Durable { ticket });
        }
    }

    /// Lets time pass; what it sends reaches nobody.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.wake.filter(|at| *at <= end) {
            self.now = at;
            self.feed(Input::Wake);
            self.sent.clear();
        }
        self.now = end;
    }

    pub fn record(&self) -> Signed {
        self.node.own_record().expect("it has one since it began").clone()
    }

    pub fn discovery(&self) -> &Discovery {
        self.node.discovery().expect("it was made to discover")
    }

    pub fn count(&self, counter: Counter) -> usize {
        self.counts.get(&counter).copied().unwrap_or_default()
    }
}

/// A key for each place.
pub fn key(place: u32) -> SecretKey {
    let mut scalar = [3; 32];
    scalar[28..].copy_from_slice(&place.to_be_bytes());
    SecretKey::from_bytes(&scalar).expect("a scalar in range")
}

/// A private address for each place: no prefix limit applies there.
pub fn address(place: u32) -> SocketAddr {
    let [_, high, middle, low] = place.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, high, middle, low)), 9000)
}
