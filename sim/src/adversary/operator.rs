//! A Byzantine operator: it holds a valid key, so everybody lets it in and listens to it.
//!
//! Its node is the real one, so that it dials, answers and moves like any other; what the node hears
//! and says passes through a [`Traitor`], which holds back, twists and adds as it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::keys::SecretKey;
use stayfound_core::mesh::{FRAME_BYTES_MAX, Frame, Hello, Reader, VERSION};
use stayfound_core::node::{CloseReason, DialId, LinkId, Node, Output};
use stayfound_core::record::{Claimed, Endpoints, NodeId, Signed};

use crate::network::Arrival;

/// How many records of others it keeps to replay.
const REPLAYED_MAX: usize = 256;
/// How many records it signs at once, and how many words it has about where it sees somebody: more
/// than anybody takes from one operator at once.
const FLOOD: usize = 100;
/// How many changed copies it makes of each record that it forges.
const FORGERIES: usize = 4;
/// How many more links it dials to each.
const CROWD: usize = 3;
/// Dials of its own begin here; its node counts from 0.
const DIALS_FROM: u64 = 1 << 63;

/// What a Byzantine operator does, from then on or once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// From now on it carries no records, neither its own nor others'.
    Withhold,
    /// From now on it says no hello.
    Hush,
    /// From now on its hello is of another cluster.
    Foreign,
    /// From now on, and at once, it claims to hold of everybody a record newer than any.
    Boast,
    /// It sends everybody every record that it has ever heard, the oldest first.
    Replay,
    /// It sends everybody records in the name of others that these never signed.
    Forge,
    /// It signs two records with one sequence number, and tells each to half of the others.
    Equivocate,
    /// It signs a record with the last sequence number of all.
    Exhaust,
    /// It signs a record that says that it is where another operator is.
    Aim,
    /// It signs record after record, and has word after word about where it sees the others.
    Flood,
    /// It says what is no frame, or none that belongs there.
    Babble,
    /// It opens more links to everybody, and is silent on them.
    Crowd,
    /// It closes every link.
    HangUp,
}

/// What stands between a node and the network if its operator is Byzantine.
pub struct Traitor {
    key: SecretKey,
    node_id: NodeId,
    habits: BTreeSet<Lie>,
    /// Where it says that it sees everybody.
    sees: Option<SocketAddr>,
    /// The highest sequence number that it signed beside its node. From then on its node hears
    /// of no record of its own: it would put right what was told.
    signed: Option<u64>,
    /// Records of others, as they came.
    heard: Vec<Bytes>,
    /// What came on each link.
    readers: BTreeMap<LinkId, Reader>,
    /// Links of which its node does not know.
    own: BTreeSet<LinkId>,
    dials: u64,
    chance: Stream,
}

impl Lie {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::Withhold,
        Self::Hush,
        Self::Foreign,
        Self::Boast,
        Self::Replay,
        Self::Forge,
        Self::Equivocate,
        Self::Exhaust,
        Self::Aim,
        Self::Flood,
        Self::Babble,
        Self::Crowd,
        Self::HangUp,
    ];

    fn is_habit(self) -> bool {
        matches!(self, Self::Withhold | Self::Hush | Self::Foreign | Self::Boast)
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Withhold => "withhold",
            Self::Hush => "hush",
            Self::Foreign => "foreign",
            Self::Boast => "boast",
            Self::Replay => "replay",
            Self::Forge => "forge",
            Self::Equivocate => "equivocate",
            Self::Exhaust => "exhaust",
            Self::Aim => "aim",
            Self::Flood => "flood",
            Self::Babble => "babble",
            Self::Crowd => "crowd",
            Self::HangUp => "hang-up",
        })
    }
}

impl Traitor {
    /// Whoever has this key turns.
    pub(crate) fn new(key: &SecretKey, chance: &Chance) -> Self {
        Self {
            key: key.clone(),
            node_id: NodeId::of(&key.public_key().point()),
            habits: BTreeSet::new(),
            sees: None,
            signed: None,
            heard: Vec::new(),
            readers: BTreeMap::new(),
            own: BTreeSet::new(),
            dials: DIALS_FROM,
            chance: chance.stream("lies"),
        }
    }

    /// Its node starts: no link is open.
    pub(crate) fn starts(&mut self) {
        self.readers.clear();
        self.own.clear();
    }

    /// Of what reaches its host, what its node is told.
    pub(crate) fn hears(&mut self, what: &Arrival) -> Option<Arrival> {
        let for_node = match what {
            Arrival::Opened { link, dial: Some(dial), .. } if dial.0 >= DIALS_FROM => {
                self.own.insert(*link);
                false
            }
            Arrival::DialFailed(dial) => dial.0 < DIALS_FROM,
            Arrival::Moved(link, _) => !self.own.contains(link),
            Arrival::Closed(link) => {
                self.readers.remove(link);
                !self.own.remove(link)
            }
            Arrival::Bytes(link, _) if self.own.contains(link) => false,
            Arrival::Bytes(link, bytes) => {
                let bytes = self.reads(*link, bytes);
                return (!bytes.is_empty()).then_some(Arrival::Bytes(*link, bytes));
            }
            Arrival::Opened { .. } | Arrival::Datagram(..) => true,
        };
        for_node.then(|| what.clone())
    }

    /// The whole frames in what came on a link, as its node is to have them.
    fn reads(&mut self, link: LinkId, bytes: &Bytes) -> Bytes {
        let reader = self.readers.entry(link).or_default();
        reader.push(bytes);
        let mut frames = Vec::new();
        loop {
            match reader.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => frames.extend(frame),
                Err(_) => return bytes.clone(), // another traitor's: its node knows what to do
            }
        }
        let mut heard = BytesMut::new();
        for mut frame in frames {
            if let Frame::Records(records) = &mut frame {
                records.retain(|record| self.notes(record));
            }
            heard.extend_from_slice(&frame.encode());
        }
        heard.freeze()
    }

    /// Keeps a record to replay; answers whether its node may have it.
    fn notes(&mut self, record: &Bytes) -> bool {
        let claimed = Claimed::parse(record);
        let is_own = claimed.is_ok_and(|it| it.public_key() == self.key.public_key().as_bytes());
        if !is_own && self.heard.len() < REPLAYED_MAX && !self.heard.contains(record) {
            self.heard.push(record.clone());
        }
        !is_own || self.signed.is_none()
    }

    /// What its node wants done becomes what is done.
    pub(crate) fn twists(&mut self, outputs: &mut Vec<Output>) {
        outputs.retain_mut(|output| match output {
            Output::Send { bytes, .. } => match self.twisted(bytes) {
                Some(twisted) => {
                    *bytes = twisted;
                    true
                }
                None => false,
            },
            _ => true,
        });
    }

    fn twisted(&self, bytes: &Bytes) -> Option<Bytes> {
        let mut reader = Reader::default();
        reader.push(bytes);
        let frame = reader.next_frame().expect("its node is honest").expect("and says it whole");
        let frame = match frame.expect("and knows what it says") {
            Frame::Hello(hello) if !self.has(Lie::Hush) => Frame::Hello(self.boasts(hello)),
            Frame::Reloaded(hello) => Frame::Reloaded(self.boasts(hello)),
            Frame::Hello(_) => return None,
            Frame::Records(_) if self.has(Lie::Withhold) => return None,
            Frame::Records(records) => Frame::Records(records),
            Frame::Seen(address) => Frame::Seen(self.sees.unwrap_or(address)),
        };
        Some(frame.encode())
    }

    fn boasts(&self, mut hello: Hello) -> Hello {
        if self.has(Lie::Foreign) {
            hello.cluster = hello.cluster.map(|byte| !byte);
        }
        if self.has(Lie::Withhold) {
            hello.record = Bytes::new();
        }
        if self.has(Lie::Boast) {
            for held in &mut hello.digest {
                (held.seq, held.content_hash) = (u64::MAX, [0xff; 32]);
            }
        }
        hello
    }

    fn has(&self, habit: Lie) -> bool {
        self.habits.contains(&habit)
    }

    /// From now on it says that it sees everybody at this address.
    pub(crate) fn missees(&mut self, at: SocketAddr, node: Option<&Node>) -> Vec<Output> {
        self.sees = Some(at);
        let links: Vec<LinkId> = node.into_iter().flat_map(Node::links).map(|it| it.1).collect();
        let mut says = Says { links: &links, outputs: Vec::new() };
        says.all(&Frame::Seen(at));
        says.outputs
    }

    /// It lies: what is done at once, beside what its node wants. Without a running node only
    /// habits change.
    pub(crate) fn lies(&mut self, lie: Lie, node: Option<&Node>) -> Vec<Output> {
        if lie.is_habit() {
            self.habits.insert(lie);
        }
        let Some(node) = node else { return Vec::new() };
        let links: Vec<LinkId> = node.links().map(|(_, link, _)| link).collect();
        let mut says = Says { links: &links, outputs: Vec::new() };
        match lie {
            Lie::Withhold | Lie::Hush | Lie::Foreign => {}
            Lie::Boast => {
                let held = node.database().iter().map(|(_, it)| it.versions.newest().into());
                let hello = Hello { digest: held.collect(), ..self.empty_hello(node) };
                says.all(&Frame::Reloaded(self.boasts(hello)));
            }
            Lie::Replay => says.records(&self.heard.clone()),
            Lie::Forge => says.records(&self.forges(node)),
            Lie::Equivocate => self.equivocates(node, &mut says),
            Lie::Exhaust => {
                let at = self.somewhere();
                says.record(&self.signs(u64::MAX, at));
            }
            Lie::Aim => {
                if let Some(victim) = self.victim(node) {
                    let seq = self.next_seq(node);
                    says.record(&self.signs(seq, victim));
                }
            }
            Lie::Flood => self.floods(node, &mut says),
            Lie::Babble => links.iter().for_each(|link| {
                let (link, bytes) = (*link, self.nonsense(node));
                says.outputs.push(Output::Send { link, bytes });
            }),
            Lie::Crowd => says.outputs = self.crowds(node),
            Lie::HangUp => {
                let why = CloseReason::Superseded;
                says.outputs.extend(links.iter().map(|link| Output::Close { link: *link, why }));
            }
        }
        says.outputs
    }

    fn equivocates(&mut self, node: &Node, says: &mut Says<'_>) {
        let seq = self.next_seq(node);
        let (one, other) = (self.somewhere(), self.somewhere());
        let versions = [one, other].map(|at| self.signs(seq, at));
        let halves = says.links.split_at(says.links.len() / 2);
        for (half, version) in [halves.0, halves.1].into_iter().zip(&versions) {
            let mut says_half = Says { links: half, outputs: Vec::new() };
            says_half.record(version);
            says.outputs.append(&mut says_half.outputs);
        }
    }

    fn floods(&mut self, node: &Node, says: &mut Says<'_>) {
        let first = self.next_seq(node);
        for seq in (0..FLOOD as u64).map(|n| first.saturating_add(n)) {
            let at = self.somewhere();
            says.record(&self.signs(seq, at));
            says.all(&Frame::Seen(self.sees.unwrap_or(at)));
        }
    }

    fn crowds(&mut self, node: &Node) -> Vec<Output> {
        let others = node.manifest().operators().iter().filter(|it| it.node_id != self.node_id);
        let known = others.filter_map(|it| {
            let address = node.database().newest(&it.node_id)?.endpoints().quic_addresses().next();
            Some((it.public_key, address?))
        });
        let dials = known.flat_map(|to| std::iter::repeat_n(to, CROWD)).zip(self.dials..);
        let dials: Vec<Output> = dials
            .map(|((peer, address), n)| Output::Dial { dial: DialId(n), peer, address })
            .collect();
        self.dials += dials.len() as u64;
        dials
    }

    /// Records of others with a bit changed, and one whose signature is good and whose key is
    /// nobody's.
    fn forges(&mut self, node: &Node) -> Vec<Bytes> {
        let others = node.database().iter().filter(|(id, _)| **id != self.node_id);
        let others: Vec<Signed> = others.map(|(_, it)| it.versions.newest().clone()).collect();
        let mut forged: Vec<Bytes> = others
            .iter()
            .flat_map(|record| std::iter::repeat_n(record, FORGERIES))
            .map(|record| {
                let mut bytes = record.as_bytes().to_vec();
                let place = self.chance.below(bytes.len() as u64) as usize;
                bytes[place] ^= 1 << self.chance.below(8);
                bytes.into()
            })
            .collect();
        let mut scalar = [1; 32];
        scalar[..8].copy_from_slice(&self.chance.draw().to_be_bytes());
        if let Ok(nobody) = SecretKey::from_bytes(&scalar) {
            let record = Signed::sign(&nobody, u64::MAX, &Endpoints::at([self.somewhere()]));
            forged.push(Bytes::copy_from_slice(record.as_bytes()));
        }
        forged
    }

    fn nonsense(&mut self, node: &Node) -> Bytes {
        let mut bytes = BytesMut::new();
        match self.chance.below(6) {
            0 => bytes.put_u32(FRAME_BYTES_MAX as u32 + 1),
            1 => bytes.put_slice(&[0, 0, 0, 3, 0xc2, VERSION + 1, 2]),
            2 => bytes.put_slice(&[0, 0, 0, 3, 0xc2, VERSION, 99]), // of a later version: no violation
            3 => (0..64).for_each(|_| bytes.put_u8(self.chance.draw() as u8 & 0x0f)),
            4 => bytes.put_slice(&Frame::Hello(self.empty_hello(node)).encode()), // a second one
            _ => (0..8).for_each(|_| {
                bytes.put_slice(&Frame::Reloaded(self.empty_hello(node)).encode());
            }),
        }
        bytes.freeze()
    }

    fn empty_hello(&self, node: &Node) -> Hello {
        Hello { cluster: *node.manifest().hash(), record: Bytes::new(), digest: Vec::new() }
    }

    fn signs(&mut self, seq: u64, at: SocketAddr) -> Signed {
        self.signed = self.signed.max(Some(seq));
        Signed::sign(&self.key, seq, &Endpoints::at([at]))
    }

    fn next_seq(&self, node: &Node) -> u64 {
        let known = node.database().newest(&self.node_id).map_or(0, Signed::seq);
        known.max(self.signed.unwrap_or(0)).saturating_add(1)
    }

    /// Where another operator is, by its record.
    fn victim(&mut self, node: &Node) -> Option<SocketAddr> {
        let others = node.database().iter().filter(|(id, _)| **id != self.node_id);
        let at: Vec<SocketAddr> =
            others.flat_map(|(_, it)| it.versions.newest().endpoints().quic_addresses()).collect();
        at.get(self.chance.below(at.len().max(1) as u64) as usize).copied()
    }

    /// An address where nobody is (of 203.0.113.0/24, RFC 5737).
    fn somewhere(&mut self) -> SocketAddr {
        let last = 1 + self.chance.below(254) as u8;
        let port = 1_024 + self.chance.below(60_000) as u16;
        (Ipv4Addr::new(203, 0, 113, last), port).into()
    }
}

/// What is said on some links.
struct Says<'a> {
    links: &'a [LinkId],
    outputs: Vec<Output>,
}

impl Says<'_> {
    fn all(&mut self, frame: &Frame) {
        let bytes = frame.encode();
        let says = self.links.iter().map(|link| Output::Send { link: *link, bytes: bytes.clone() });
        self.outputs.extend(says);
    }

    fn record(&mut self, record: &Signed) {
        self.records(&[Bytes::copy_from_slice(record.as_bytes())]);
    }

    fn records(&mut self, records: &[Bytes]) {
        for records in records.chunks(stayfound_core::mesh::RECORDS_PER_FRAME_MAX) {
            self.all(&Frame::Records(records.to_vec()));
        }
    }
}
