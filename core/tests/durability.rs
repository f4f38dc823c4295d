//! Persist before publish, under a crash at every possible point.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::cluster::Manifest;
use stayfound_core::database::{Provenance, Row};
use stayfound_core::keys::SecretKey;
use stayfound_core::mesh::{Frame, Hello, Reader};
use stayfound_core::node::{Config, Input, LinkId, Node, Output, Ticket};
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_core::step;
use stayfound_core::time::{Mono, Wall};

const OPERATORS: u8 = 4;

fn key(operator: u8) -> SecretKey {
    SecretKey::from_bytes(&[operator + 1; 32]).unwrap()
}

fn config() -> Config {
    let records = (0..OPERATORS).map(|i| Signed::sign(&key(i), 0, &Endpoints::default())).collect();
    let manifest = Manifest::new("test".into(), "UUID".into(), [7; 32], 3, records).unwrap();
    Config { key: key(0), manifest, external: vec![], hints: vec![], discovery: None }
}

/// What can befall the node under test.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Bind(u16),
    Up(u8),
    Down(u8),
    /// A peer opens a link, says hello, and says where it sees us.
    Link(u8, u8),
    /// A peer hands back a record of ours that was published before.
    HandBack(u8, prop::sample::Index),
    /// The oldest write that is not durable becomes so.
    Durable,
    Crash,
    WipeAndCrash,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (1u16..4).prop_map(Happening::Bind),
        3 => (0u8..4).prop_map(Happening::Up),
        2 => (0u8..4).prop_map(Happening::Down),
        4 => (1u8..OPERATORS, 0u8..3).prop_map(|(peer, seen)| Happening::Link(peer, seen)),
        2 => (1u8..OPERATORS, any::<prop::sample::Index>())
            .prop_map(|(peer, which)| Happening::HandBack(peer, which)),
        6 => Just(Happening::Durable),
        2 => Just(Happening::Crash),
        1 => Just(Happening::WipeAndCrash),
    ]
}

/// A node, its disk, and everything that anybody ever heard.
struct Bench {
    node: Node,
    now: Mono,
    next_link: u64,
    links: BTreeMap<LinkId, (u8, Reader)>,
    /// Writes handed over, not yet durable.
    writing: Vec<(Ticket, Row)>,
    disk: BTreeMap<NodeId, Row>,
    /// Every own record that was on disk at any time.
    durable_ever: Vec<Signed>,
    /// Every own record that a peer ever heard, by seq.
    heard: BTreeMap<u64, Signed>,
}

impl Bench {
    fn new() -> Self {
        let node = boot(&BTreeMap::new(), Mono(0));
        Self {
            node,
            now: Mono(0),
            next_link: 0,
            links: BTreeMap::new(),
            writing: Vec::new(),
            disk: BTreeMap::new(),
            durable_ever: Vec::new(),
            heard: BTreeMap::new(),
        }
    }

    fn happen(&mut self, happening: Happening) {
        self.now = Mono(self.now.0 + 1_000_000);
        match happening {
            Happening::Bind(port) => {
                self.step(Input::Bound { local: (Ipv4Addr::UNSPECIFIED, port).into() });
            }
            Happening::Up(ip) => self.step(Input::AddressUp { ip: address(ip).ip() }),
            Happening::Down(ip) => self.step(Input::AddressDown { ip: address(ip).ip() }),
            Happening::Link(peer, seen) => self.link(peer, seen),
            Happening::HandBack(peer, which) => self.hand_back(peer, which),
            Happening::Durable => self.durable(),
            Happening::Crash => self.crash(),
            Happening::WipeAndCrash => {
                self.disk.clear();
                self.crash();
            }
        }
    }

    fn step(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        step(&mut self.node, self.now, input, |output| outputs.push(output));
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Persist { ticket, row } => self.writing.push((ticket, row)),
            Output::Datagram { .. } => unreachable!("there is no discovery here"),
            Output::Close { link, .. } => drop(self.links.remove(&link)),
            Output::Send { link, bytes } => {
                let (_, reader) = self.links.get_mut(&link).expect("a word on an open link");
                reader.push(&bytes);
                while let Some(frame) = reader.next_frame().expect("our own frames are good") {
                    match frame.expect("our own frames are known") {
                        Frame::Hello(hello) if hello.record.is_empty() => {}
                        Frame::Hello(hello) => {
                            hear(&mut self.heard, &self.durable_ever, &hello.record)
                        }
                        Frame::Records(records) => {
                            records
                                .iter()
                                .for_each(|r| hear(&mut self.heard, &self.durable_ever, r));
                        }
                        Frame::Seen(_) => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn link(&mut self, peer: u8, seen: u8) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(link, (peer, Reader::default()));
        let remote = (Ipv4Addr::new(9, 9, 9, peer), 3610).into();
        self.step(Input::LinkOpened { link, peer: key(peer).public_key(), remote, dial: None });
        let hello = Hello { cluster: [7; 32], record: Default::default(), digest: vec![] };
        self.say(link, &Frame::Hello(hello));
        self.say(link, &Frame::Seen(address(seen)));
    }

    fn hand_back(&mut self, peer: u8, which: prop::sample::Index) {
        let Some((link, _)) = self.links.iter().find(|(_, (of, _))| *of == peer) else { return };
        let link = *link;
        let heard: Vec<&Signed> = self.heard.values().collect();
        if !heard.is_empty() {
            let record = which.get(&heard).as_bytes().to_vec();
            self.say(link, &Frame::Records(vec![record.into()]));
        }
    }

    fn say(&mut self, link: LinkId, frame: &Frame) {
        if self.links.contains_key(&link) {
            self.step(Input::LinkBytes { link, bytes: &frame.encode() });
        }
    }

    fn durable(&mut self) {
        if self.writing.is_empty() {
            return;
        }
        let (ticket, row) = self.writing.remove(0);
        self.disk.insert(row.key, row);
        let (database, damages) = stayfound_core::database::Database::load(
            &self.disk.values().cloned().collect::<Vec<_>>(),
        );
        assert_eq!(damages, vec![]);
        self.durable_ever.extend(database.newest(&own_id()).cloned());
        self.step(Input::Durable { ticket });
    }

    fn crash(&mut self) {
        self.writing.clear();
        self.links.clear();
        self.node = boot(&self.disk, self.now);
    }
}

/// What a peer hears of us is durable, and never differs from what was heard with that seq before.
fn hear(heard: &mut BTreeMap<u64, Signed>, durable_ever: &[Signed], bytes: &[u8]) {
    let record = Signed::from_bytes(bytes).expect("what we send is signed");
    if record.node_id() != own_id() {
        return;
    }
    assert!(durable_ever.contains(&record), "{record:?} was published before it was durable");
    let before = heard.entry(record.seq()).or_insert_with(|| record.clone());
    assert_eq!(*before, record, "two records with seq {}", record.seq());
}

fn boot(disk: &BTreeMap<NodeId, Row>, now: Mono) -> Node {
    let rows: Vec<Row> = disk.values().cloned().collect();
    let wall = Wall(1_700_000_000_000 + now.0 / 1_000_000);
    Node::new(config(), [0; 32], now, wall, &rows).unwrap()
}

fn own_id() -> NodeId {
    NodeId::of(&key(0).public_key().point())
}

fn address(n: u8) -> SocketAddr {
    (Ipv4Addr::new(198, 18, 0, n), 3610).into()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/durability.txt"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_heard_of_us_is_durable(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut bench = Bench::new();
        for happening in happenings {
            bench.happen(happening);
        }
    }
}

/// The same, with the crash moved through every point of one long story.
#[test]
fn a_crash_at_every_point_of_a_story_never_repeats_a_seq() {
    use Happening::{Bind, Crash, Durable, Link, Up};
    let story = [
        Up(0),
        Bind(1),
        Durable,
        Durable,
        Durable,
        Durable,
        Durable,
        Link(1, 0),
        Link(2, 0),
        Up(1),
        Durable,
        Bind(2),
        Durable,
        Link(3, 1),
        Up(2),
        Durable,
        Durable,
        Durable,
        Durable,
        Bind(3),
    ];
    for point in 0..=story.len() {
        let mut bench = Bench::new();
        for (place, happening) in story.into_iter().enumerate() {
            if place == point {
                bench.happen(Crash);
                bench.happen(Up(3));
                bench.happen(Bind(1));
            }
            bench.happen(happening);
        }
        while !bench.writing.is_empty() {
            bench.happen(Durable);
        }
        // Unless the story ended before anybody could be asked how far our seq had come.
        let held = bench.node.database().get(&own_id()).expect("the manifest's at least");
        let own = Some(held).filter(|held| held.provenance == Provenance::Own);
        assert_eq!(bench.node.own_record(), own.map(|own| own.versions.newest()));
    }
}
