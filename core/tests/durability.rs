//! Persist before publish, under a crash at every possible point: whatever survives of the disk,
//! no two of our records with one seq and different content are ever heard.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use stayfound_core::cluster::Manifest;
use stayfound_core::database::{Database, Provenance, Row};
use stayfound_core::keys::SecretKey;
use stayfound_core::mesh::{Frame, Hello, Holding, Reader};
use stayfound_core::node::{Config, FLOOR_WITHIN, Input, LinkId, Node, Output, Ticket};
use stayfound_core::record::{Endpoints, NodeId, Signed};
use stayfound_core::step;
use stayfound_core::time::{Mono, Wall};

const OPERATORS: u8 = 4;
const EPOCH: Wall = Wall(1_700_000_000_000);

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    let records = (0..OPERATORS).map(|i| Signed::sign(&key(i), 0, &Endpoints::default())).collect();
    Manifest::new("test".into(), "UUID".into(), [7; 32], 3, records).unwrap()
});

fn key(operator: u8) -> SecretKey {
    SecretKey::from_bytes(&[operator + 1; 32]).unwrap()
}

/// What can befall the node under test, short of a crash.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Bind(u16),
    Up(u8),
    Down(u8),
    /// A peer opens a link, says hello, and says where it sees us.
    Link {
        peer: u8,
        seen: u8,
        word: Word,
    },
    /// A peer hands back a record of ours that was heard before: one of them.
    HandBack(u8, usize),
    /// So many of the writes that are not durable become so, the oldest first.
    Durable(usize),
    /// So long that a first record waits no more.
    Pass,
}

/// What a peer says of our newest record that anybody heard.
#[derive(Clone, Copy, Debug)]
enum Word {
    /// That it never heard of it.
    Ignorant,
    /// That it holds it; the record itself is lost on the way.
    Claims,
    /// That it holds it, and here it is.
    Proves,
}

/// The end of a process, and how the next begins.
#[derive(Clone, Copy, Debug)]
struct Crash {
    fate: Fate,
    /// How far the clock of the next start is behind the seq of what was heard last, in
    /// milliseconds; `None` if it is right.
    behind: Option<u64>,
    /// Where the next start is.
    up: u8,
    port: u16,
}

/// What is left of the disk.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Of the writes that were not yet reported durable, the first so many are there all the same.
    Kept(usize),
    /// Only what was reported durable.
    Lost,
    /// Nothing.
    Wiped,
}

fn happening(word: impl Strategy<Value = Word>, pass: u32) -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (1u16..4).prop_map(Happening::Bind),
        3 => (0u8..4).prop_map(Happening::Up),
        2 => (0u8..4).prop_map(Happening::Down),
        6 => (1u8..OPERATORS, 0u8..3, word)
            .prop_map(|(peer, seen, word)| Happening::Link { peer, seen, word }),
        2 => (1u8..OPERATORS, 0usize..8).prop_map(|(peer, at)| Happening::HandBack(peer, at)),
        8 => (1usize..8).prop_map(Happening::Durable),
        pass => Just(Happening::Pass),
    ]
}

/// How many outputs a process lives, and how it ends.
fn crash(behind: impl Strategy<Value = Option<u64>>) -> impl Strategy<Value = (usize, Crash)> {
    let fate = prop_oneof![
        2 => (0usize..4).prop_map(Fate::Kept),
        2 => Just(Fate::Lost),
        3 => Just(Fate::Wiped),
    ];
    let next = (fate, behind, 0u8..4, 1u16..4);
    let crash = next.prop_map(|(fate, behind, up, port)| Crash { fate, behind, up, port });
    (1usize..80, crash)
}

/// A node, its disk, and everything that anybody ever heard.
struct Bench {
    node: Node,
    now: Mono,
    next_link: u64,
    links: BTreeMap<LinkId, Reader>,
    /// Writes handed over, not yet durable.
    writing: Vec<(Ticket, Row)>,
    disk: BTreeMap<NodeId, Row>,
    /// Every own record that was on disk at any time.
    durable_ever: Vec<Signed>,
    /// Every own record that a peer ever heard, by seq.
    heard: BTreeMap<u64, Signed>,
    /// The outputs so far, and the crashes to come: after how many more, and how.
    outputs: usize,
    fuses: Vec<(usize, Crash)>,
    /// Wipes after something was heard, and whether something new was heard since the last.
    wipes: usize,
    risen: bool,
}

impl Bench {
    /// A node that crashes after so many outputs, then after so many more, and so on.
    fn new(crashes: &[(usize, Crash)]) -> Self {
        Self {
            node: boot(&BTreeMap::new(), Mono(0), EPOCH),
            now: Mono(0),
            next_link: 0,
            links: BTreeMap::new(),
            writing: Vec::new(),
            disk: BTreeMap::new(),
            durable_ever: Vec::new(),
            heard: BTreeMap::new(),
            outputs: 0,
            fuses: crashes.iter().rev().copied().collect(),
            wipes: 0,
            risen: false,
        }
    }

    fn happen(&mut self, happening: Happening) {
        self.now = Mono(self.now.0 + 5_000_000);
        match happening {
            Happening::Bind(port) => self.bind(port),
            Happening::Up(ip) => self.step(Input::AddressUp { ip: address(ip).ip() }),
            Happening::Down(ip) => self.step(Input::AddressDown { ip: address(ip).ip() }),
            Happening::Link { peer, seen, word } => self.link(peer, seen, word),
            Happening::HandBack(peer, at) => self.hand_back(peer, at),
            Happening::Durable(count) => (0..count).for_each(|_| self.durable()),
            Happening::Pass => {
                self.now = self.now + FLOOR_WITHIN;
                self.step(Input::Wake);
            }
        }
    }

    /// Performs the outputs of one input up to the crash, if one is due among them.
    fn step(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        step(&mut self.node, self.now, input, |output| outputs.push(output));
        for output in outputs {
            self.perform(output);
            self.outputs += 1;
            let Some((left, crash)) = self.fuses.last_mut() else { continue };
            *left -= 1;
            if *left == 0 {
                let crash = *crash;
                self.fuses.pop();
                return self.crash(crash);
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Persist { ticket, row } => self.writing.push((ticket, row)),
            Output::Datagram { .. } => unreachable!("there is no discovery here"),
            Output::Close { link, .. } => drop(self.links.remove(&link)),
            Output::Send { link, bytes } => {
                let reader = self.links.get_mut(&link).expect("a word on an open link");
                reader.push(&bytes);
                while let Some(frame) = self.next_frame(link) {
                    match frame {
                        Frame::Hello(hello) | Frame::Reloaded(hello) if hello.record.is_empty() => {
                        }
                        Frame::Hello(hello) | Frame::Reloaded(hello) => self.hear(&hello.record),
                        Frame::Records(records) => records.iter().for_each(|r| self.hear(r)),
                        Frame::Seen(_) => {}
                    }
                }
            }
            Output::Dial { .. } | Output::Event(_) | Output::Count(_) | Output::Sought(_) => {}
        }
    }

    fn next_frame(&mut self, link: LinkId) -> Option<Frame> {
        let frame = self.links.get_mut(&link)?.next_frame().expect("our own frames are good");
        frame.map(|frame| frame.expect("our own frames are known"))
    }

    /// What a peer hears of us is durable, and never differs from what was heard with that seq.
    fn hear(&mut self, bytes: &[u8]) {
        let record = Signed::from_bytes(bytes).expect("what we send is signed");
        if record.node_id() != own_id() {
            return;
        }
        let durable = self.durable_ever.contains(&record);
        assert!(durable, "{record:?} was published before it was durable");
        if self.newest_heard().is_none_or(|newest| newest.seq() < record.seq()) {
            self.risen = true;
        }
        let before = self.heard.entry(record.seq()).or_insert_with(|| record.clone());
        assert_eq!(*before, record, "two records with seq {}", record.seq());
    }

    fn newest_heard(&self) -> Option<&Signed> {
        self.heard.values().next_back()
    }

    fn bind(&mut self, port: u16) {
        self.step(Input::Bound { local: (Ipv4Addr::UNSPECIFIED, port).into() });
    }

    fn link(&mut self, peer: u8, seen: u8, word: Word) {
        let link = LinkId(self.next_link << 8 | u64::from(peer));
        self.next_link += 1;
        let known = self.newest_heard().cloned();
        let (digest, proof) = match (word, known) {
            (Word::Ignorant, _) | (_, None) => (vec![], None),
            (Word::Claims, Some(known)) => (vec![Holding::from(&known)], None),
            (Word::Proves, Some(known)) => (vec![Holding::from(&known)], Some(known)),
        };
        self.links.insert(link, Reader::default());
        let remote = (Ipv4Addr::new(9, 9, 9, peer), 3610).into();
        self.step(Input::LinkOpened { link, peer: key(peer).public_key(), remote, dial: None });
        self.say(link, &Frame::Hello(Hello { cluster: [7; 32], record: Bytes::new(), digest }));
        self.say(link, &Frame::Seen(address(seen)));
        if let Some(proof) = proof {
            self.say(link, &records(&proof));
        }
    }

    fn hand_back(&mut self, peer: u8, at: usize) {
        let link = self.links.keys().copied().find(|link| link.0 & 0xff == u64::from(peer));
        let record = self.heard.values().nth(at % self.heard.len().max(1));
        if let Some((link, record)) = link.zip(record) {
            let frame = records(record);
            self.say(link, &frame);
        }
    }

    fn say(&mut self, link: LinkId, frame: &Frame) {
        if self.links.contains_key(&link) {
            self.step(Input::LinkBytes { link, bytes: &frame.encode() });
        }
    }

    fn durable(&mut self) {
        if !self.writing.is_empty() {
            let (ticket, row) = self.writing.remove(0);
            self.write(row);
            self.step(Input::Durable { ticket });
        }
    }

    fn write(&mut self, row: Row) {
        if row.key == own_id() {
            let (database, damages) = Database::load(std::slice::from_ref(&row));
            assert_eq!(damages, vec![]);
            self.durable_ever.extend(database.newest(&own_id()).cloned());
        }
        self.disk.insert(row.key, row);
    }

    fn crash(&mut self, crash: Crash) {
        let writing = std::mem::take(&mut self.writing);
        match crash.fate {
            Fate::Kept(count) => {
                writing.into_iter().take(count).for_each(|(_, row)| self.write(row));
            }
            Fate::Lost => {}
            Fate::Wiped => {
                self.disk.clear();
                self.wipes += usize::from(!self.heard.is_empty());
                self.risen = false;
            }
        }
        self.links.clear();
        let right = EPOCH + self.now.since(Mono(0));
        let behind = crash.behind.zip(self.newest_heard());
        let wall = behind.map_or(right, |(behind, heard)| Wall(heard.seq() - behind));
        self.node = boot(&self.disk, self.now, wall);
        self.step(Input::AddressUp { ip: address(crash.up).ip() });
        self.bind(crash.port);
    }

    /// No more crashes; everybody is there, and tells what it knows: our newest record is out.
    fn settle(&mut self) {
        self.fuses.clear();
        self.happen(Happening::Up(3));
        self.happen(Happening::Bind(1));
        for peer in 1..OPERATORS {
            self.happen(Happening::Link { peer, seen: 0, word: Word::Proves });
        }
        self.happen(Happening::Pass);
        while !self.writing.is_empty() {
            self.happen(Happening::Durable(1));
        }
        let held = self.node.database().get(&own_id()).expect("the manifest's at least");
        assert_eq!(held.provenance, Provenance::Own, "our newest record is not ours");
        assert_eq!(self.node.own_record(), Some(held.versions.newest()));
        assert_eq!(self.newest_heard(), Some(held.versions.newest()));
    }
}

fn boot(disk: &BTreeMap<NodeId, Row>, now: Mono, wall: Wall) -> Node {
    let rows: Vec<Row> = disk.values().cloned().collect();
    let manifest = MANIFEST.clone();
    let config = Config { key: key(0), manifest, external: vec![], hints: vec![], discovery: None };
    Node::new(config, [0; 32], now, wall, &rows).unwrap()
}

fn own_id() -> NodeId {
    MANIFEST.operators()[0].node_id
}

fn address(n: u8) -> SocketAddr {
    (Ipv4Addr::new(198, 18, 0, n), 3610).into()
}

fn records(record: &Signed) -> Frame {
    Frame::Records(vec![Bytes::copy_from_slice(record.as_bytes())])
}

fn run(crashes: &[(usize, Crash)], happenings: &[Happening]) -> Bench {
    let mut bench = Bench::new(crashes);
    bench.happen(Happening::Up(0));
    bench.happen(Happening::Bind(1));
    happenings.iter().for_each(|happening| bench.happen(*happening));
    bench.settle();
    bench
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/durability.txt"
        )))),
        ..ProptestConfig::default()
    })]

    /// Whatever the clock of a start says, as long as peers tell what was heard.
    #[test]
    fn no_seq_is_heard_twice_while_peers_remember(
        crashes in prop::collection::vec(crash(prop::option::of(0u64..3)), 1..6),
        happenings in prop::collection::vec(
            happening(prop_oneof![Just(Word::Claims), Just(Word::Proves)], 0), 1..80),
    ) {
        run(&crashes, &happenings);
    }

    /// Whatever peers forgot, and although nobody is waited for without end, as long as the clock
    /// is right.
    #[test]
    fn no_seq_is_heard_twice_while_the_clock_is_right(
        crashes in prop::collection::vec(crash(Just(None)), 1..6),
        happenings in prop::collection::vec(
            happening(prop_oneof![Just(Word::Ignorant), Just(Word::Claims), Just(Word::Proves)], 1),
            1..80,
        ),
    ) {
        run(&crashes, &happenings);
    }
}

/// One long story, and in it one crash of each kind after every single output.
#[test]
fn no_seq_is_heard_twice_wherever_one_story_is_cut() {
    use Happening::{Bind, Durable, HandBack, Link, Up};
    let word = Word::Proves;
    let all_durable = [Durable(6)];
    let linked = [1, 2, 3].map(|peer| Link { peer, seen: 0, word });
    let story = [
        &all_durable[..],
        &linked,
        &all_durable,
        &[Up(1), Durable(1), Bind(2), Durable(1)],
        &linked[1..],
        &[HandBack(2, 0), Up(2), Bind(3)],
        &all_durable,
        &linked,
        &all_durable,
    ]
    .concat();
    let points = run(&[], &story).outputs;
    assert!(points > 100, "{points} outputs are no long story");
    let fates = [
        (Fate::Kept(usize::MAX), None),
        (Fate::Kept(1), None),
        (Fate::Lost, None),
        (Fate::Wiped, None),
        (Fate::Wiped, Some(0)),
    ];
    let (mut wipes, mut risen) = (0, 0);
    for point in 1..=points {
        for (fate, behind) in fates {
            let crash = Crash { fate, behind, up: 3, port: 1 };
            let bench = run(&[(point, crash)], &story);
            wipes += bench.wipes;
            risen += usize::from(bench.wipes > 0 && bench.risen);
        }
    }
    assert!(wipes > points, "only {wipes} wipes after a publication");
    assert_eq!(risen, wipes, "after some wipe nothing new was published");
}

/// Somebody else runs with our key, and is ahead before our answer is durable: what we signed may be
/// a number of theirs.
#[test]
fn a_record_that_was_outrun_before_it_was_durable_is_never_heard() {
    let mut bench = run(&[], &[]);
    let ours = bench.newest_heard().expect("settled").seq();
    let theirs = ours + 3_600_000; // beyond what our clock says
    let (link, _) = bench.links.last_key_value().expect("everybody is linked");
    let link = *link;
    // A number that no clock vouches for is leapt over by less than that.
    let last = theirs + (1 << 32);
    for seq in [theirs, last] {
        bench.say(link, &records(&Signed::sign(&key(0), seq, &Endpoints::at([address(9)]))));
    }
    while !bench.writing.is_empty() {
        bench.durable();
    }
    assert_eq!(bench.newest_heard().map(Signed::seq), Some(ours), "what was outrun is heard");
    bench.settle();
    assert!(bench.newest_heard().is_some_and(|heard| heard.seq() > last));
}
