//! The memory of one node that only discovers: what the process grows by, over many nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use stayfound_core::discovery::message::{Message, NODES_RECORD_BYTES_MAX, Records, RequestId};
use stayfound_core::discovery::packet::PACKET_BYTES_MAX;
use stayfound_core::discovery::table::{BUCKET_NODES, WAITING_INBOUND};
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::{Event, Input};
use stayfound_core::record::{NodeId, Signed};
use stayfound_tests::client::{Client, Peer, Session};

use crate::lone::{Lone, address, key};
use crate::measure::{judge, resident, rounds};
use crate::packet::session;

/// In so many nodes a page more or less is nothing.
const IDLE_AT_ONCE: usize = 50;
const IDLE_ROUNDS: usize = 20;
const IDLE_TARGET_KIB: f64 = 16.0;
const BUSY_NODES: usize = 60;
const BUSY_TARGET_KIB: f64 = 96.0;
const SESSIONS: u32 = 16;
const ENTRIES: usize = 100;
/// As many strangers as it takes to have [`ENTRIES`] for buckets of 16.
const STRANGERS: u32 = 2_000;
const FIRST_STRANGER: u32 = 1_000;

/// What the process grows by for each of so many.
fn kib_each<T>(count: usize, mut make: impl FnMut(u32) -> T) -> f64 {
    let warm = make(0);
    let before = resident();
    let all: Vec<T> = (1..=count as u32).map(make).collect();
    let grown = resident() - before;
    drop((warm, all));
    grown as f64 / 1024.0 / count as f64
}

/// One of those that a busy node has a session with.
struct Friend {
    client: Client,
    place: u32,
}

/// Everybody else that a node may hear of.
struct World {
    friends: Vec<Friend>,
    strangers: Vec<Signed>,
}

impl World {
    fn new() -> Self {
        let client = |place| Client::new(key(place), [address(place)]);
        let friend = |place| Friend { client: client(place), place };
        let strangers = FIRST_STRANGER..FIRST_STRANGER + STRANGERS;
        Self {
            friends: (500..500 + SESSIONS).map(friend).collect(),
            strangers: strangers.map(|place| client(place).record().clone()).collect(),
        }
    }

    /// A node with sessions to all friends, and a table filled by what two of them tell it: the word
    /// of one fills half of a bucket.
    fn busy(&mut self, place: u32) -> Lone {
        let mut node = Lone::new(place);
        let sessions: Vec<Session> = self
            .friends
            .iter_mut()
            .map(|friend| session(&mut friend.client, &mut node, friend.place))
            .collect();
        self.answer(&mut node, &sessions, &[]);
        let wanted = self.wanted(&node);
        // No more than can wait until the other has told of them as well.
        for part in wanted.chunks(WAITING_INBOUND) {
            self.tell(&mut node, &sessions, 0, part);
            self.tell(&mut node, &sessions, 1, part);
        }
        // What was asked of strangers comes to its end.
        node.pass(Duration::from_secs(5));
        assert_eq!(node.discovery().sessions(), SESSIONS as usize);
        assert_eq!(node.discovery().table().len(), ENTRIES);
        (node.sent, node.events) = Default::default();
        node
    }

    /// The strangers that the buckets still have room for.
    fn wanted(&self, node: &Lone) -> Vec<Signed> {
        let own = node.record().node_id();
        let mut room = BTreeMap::<u16, usize>::new();
        let mut take = |id: &NodeId| {
            let room = room.entry(own.log_distance(id)).or_insert(BUCKET_NODES);
            room.checked_sub(1).map(|left| *room = left).is_some()
        };
        let table = node.discovery().table();
        for held in table.nodes() {
            take(&held.record().node_id());
        }
        let wanted = self.strangers.iter().filter(|record| take(&record.node_id()));
        wanted.take(ENTRIES - table.len()).cloned().collect()
    }

    /// The node asks this friend for nodes, and is told of these.
    fn tell(&mut self, node: &mut Lone, sessions: &[Session], friend: usize, records: &[Signed]) {
        let friend = self.friends[friend].client.record().clone();
        let (near, far): (Vec<Signed>, Vec<Signed>) = records
            .iter()
            .cloned()
            .partition(|record| record.node_id().log_distance(&friend.node_id()) <= 248);
        for (distances, part) in [(233..=248, near), (249..=256, far)] {
            let ask = Ask::FindNode(friend.clone(), distances.collect());
            node.feed(Input::Ask { id: 1, ask: &ask });
            self.answer(node, sessions, &part);
            let told = node.events.drain(..).find_map(|event| match event {
                Event::Answered { id: 1, answer: Answer::Nodes(nodes) } => Some(nodes.len()),
                _ => None,
            });
            assert_eq!(told, Some(part.len()), "all of them are good");
        }
    }

    /// Friends answer what the node asks of them; to FINDNODE they answer with these records.
    fn answer(&mut self, node: &mut Lone, sessions: &[Session], records: &[Signed]) {
        let peer = Peer::new(node.record());
        let mut scratch = [0; PACKET_BYTES_MAX];
        while let Some((to, bytes)) = node.sent.pop() {
            let found = self.friends.iter_mut().zip(sessions);
            let Some((friend, session)) = found.into_iter().find(|(f, _)| address(f.place) == to)
            else {
                continue;
            };
            let client = &mut friend.client;
            let heard = client.hear(session, &bytes, &mut scratch).expect("it is in the session");
            for answer in answers(&heard, records) {
                let bytes = client.say(&peer, session, &answer);
                node.feed(Input::Datagram { from: to, bytes: &bytes });
            }
        }
    }
}

fn answers<'a>(heard: &Message<'_>, records: &'a [Signed]) -> Vec<Message<'a>> {
    match *heard {
        Message::Ping { id, .. } => {
            vec![Message::Pong { id, enr_seq: 1, observed: address(0) }]
        }
        Message::FindNode { id, .. } => nodes(id, records),
        _ => vec![],
    }
}

fn nodes(id: RequestId, records: &[Signed]) -> Vec<Message<'_>> {
    let size = records.iter().map(|record| record.as_bytes().len()).max().unwrap_or(1);
    let packets: Vec<&[Signed]> = match records {
        [] => vec![&[]],
        records => records.chunks(NODES_RECORD_BYTES_MAX / size).collect(),
    };
    let total = packets.len() as u64;
    let message = |packet| Message::Nodes { id, total, records: Records::from(packet) };
    packets.into_iter().map(message).collect()
}

/// Prints the figures.
pub fn figures() {
    let count = IDLE_AT_ONCE * rounds(IDLE_ROUNDS);
    let idle = kib_each(count, |place| {
        let mut node = Lone::new(place);
        node.pass(Duration::from_secs(5));
        node
    });
    let remark = format!("a node that knows nobody, mean of {count}");
    judge("discovery.idle_kib", idle, "KiB", IDLE_TARGET_KIB, &remark);
    let mut world = World::new();
    let count = rounds(BUSY_NODES);
    let busy = kib_each(count, |place| world.busy(place));
    let remark = format!("{SESSIONS} sessions, {ENTRIES} table entries, mean of {count}");
    judge("discovery.busy_kib", busy, "KiB", BUSY_TARGET_KIB, &remark);
}
