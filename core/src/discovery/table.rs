//! The table of known nodes: 256 buckets by logarithmic distance, kept sparsely (discv5-theory,
//! "Node Table"; R73 to R81).
//!
//! Pure data: it says which node to check next ([`Table::due`]) and is told what came of it
//! ([`Table::answered`], [`Table::missed`]). A node is believed to be where its record says only
//! after it answered there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::relay::may_relay;
use crate::chance::Stream;
use crate::marks::{Mark, mark};
use crate::planted::{Bug, planted};
use crate::record::{NodeId, Signed};
use crate::time::Mono;

mod bucket;
mod prefix;
mod quiet;

pub use bucket::{BUCKET_INBOUND, BUCKET_NODES, Node, Origin, WAITING_INBOUND, WAITING_MAX};
use bucket::{Bucket, Candidate, Verdict};
use prefix::Prefixes;
pub use prefix::{PREFIX_BUCKET_MAX, PREFIX_TABLE_MAX, Prefix};
use quiet::Quiet;
pub use quiet::{QUIET, QUIET_MAX};

/// The farthest logarithmic distance.
pub const DISTANCE_MAX: u16 = 256;
/// From a node's first answer to the next check; doubles with every answer.
pub const CHECK_MIN: Duration = Duration::from_secs(10);
/// The longest time between two checks of a node.
pub const CHECK_MAX: Duration = Duration::from_secs(300);
/// How soon a verified node that missed a check is checked again.
pub const RETRY: Duration = Duration::from_secs(2);
/// Misses closer together than this are one.
pub const MISS_APART: Duration = Duration::from_secs(1);
/// How many misses in a row a node that hardly ever answered is given.
pub const MISSES_STRANGER: u32 = 3;
/// How many more are forgiven a node that answered often (R77): one for every ten answers.
pub const MISSES_FORGIVEN: u32 = 3;
/// How many misses a node that once answered is given while nobody waits for its place: without
/// them, an hour without our own uplink would empty the table.
pub const MISSES_MAX: u32 = 64;

const _: () = assert!(MISS_APART.as_millis() < RETRY.as_millis());
const _: () = assert!(RETRY.as_millis() < CHECK_MIN.as_millis());
const _: () = assert!(CHECK_MIN.as_millis() < CHECK_MAX.as_millis());
const _: () = assert!(MISSES_STRANGER + MISSES_FORGIVEN < MISSES_MAX);

/// What became of a record that was offered to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is in its bucket and due for a check.
    Added,
    /// Its bucket is full, it waits for a place.
    Waiting,
    /// It replaced an older record of the same node; if its endpoint changed, it is due for a check.
    Updated,
    /// Nothing newer than what is known; nothing changed.
    Known,
    /// It is our own, names no such endpoint, or one of a prefix that has its share.
    Refused,
}

/// A node that is to be checked (R76): ask it something at that endpoint.
#[derive(Clone, Debug)]
pub struct Due {
    /// Its record.
    pub record: Signed,
    /// Where to ask.
    pub at: SocketAddr,
}

/// The nodes known. At most [`BUCKET_NODES`] of each distance; takes memory for what it holds only.
#[derive(Debug)]
pub struct Table {
    own: NodeId,
    /// By logarithmic distance; none is empty.
    buckets: BTreeMap<u16, Bucket>,
    /// When each node is to be checked; those being checked are not in it.
    schedule: BTreeSet<(Mono, NodeId)>,
    /// Of the verified nodes.
    prefixes: Prefixes,
    quiet: Quiet,
    /// When each distance was last looked up.
    refreshed: BTreeMap<u16, Mono>,
    /// Whether we have not yet looked around: whoever connects until then, at a restart say, would
    /// have the table for itself (R80).
    poor: bool,
}

impl Table {
    /// The empty table of the node with this id: it is poor, see [`Self::admit_inbound`].
    #[must_use]
    pub fn new(own: NodeId) -> Self {
        Self {
            own,
            buckets: BTreeMap::new(),
            schedule: BTreeSet::new(),
            prefixes: Prefixes::default(),
            quiet: Quiet::default(),
            refreshed: BTreeMap::new(),
            poor: true,
        }
    }

    /// Offers a record, to be asked at `at`, which must be one of the endpoints that it names: what
    /// a node answers elsewhere proves nothing about where its record leads others.
    pub fn insert(
        &mut self,
        now: Mono,
        record: Signed,
        at: SocketAddr,
        origin: Origin,
    ) -> Inserted {
        let (id, at) = (record.node_id(), canonical(at));
        if id == self.own || !names(&record, at) {
            return Inserted::Refused;
        }
        let distance = self.own.log_distance(&id);
        let candidate = Candidate::new(record, at, origin);
        if let Some(place) = self.place(&id) {
            let inserted = self.meet_again(now, place, candidate);
            self.promote(now, distance);
            return inserted;
        }
        if self.is_prefix_full(distance, at.ip()) {
            return Inserted::Refused;
        }
        self.buckets.entry(distance).or_default().wait(candidate);
        self.promote(now, distance);
        if self.place(&id).is_some() { Inserted::Added } else { Inserted::Waiting }
    }

    /// We have looked around, and whoever can be found was found: from now on, whoever connects is
    /// given a place as well, and those first that waited for it (R80).
    pub fn admit_inbound(&mut self, now: Mono) {
        if std::mem::take(&mut self.poor) {
            let distances: Vec<u16> = self.buckets.keys().copied().collect();
            distances.into_iter().for_each(|distance| self.promote(now, distance));
        }
    }

    /// The node answered a request of ours at `at`. Answers whether it is (now) verified; `false`
    /// if it is not in the table, is known elsewhere, or its prefix has its share already.
    pub fn answered(
        &mut self,
        now: Mono,
        id: &NodeId,
        at: SocketAddr,
        jitter: &mut Stream,
    ) -> bool {
        let at = canonical(at);
        self.quiet.answered(id, at);
        self.tried(id, at, true);
        let Some((distance, place)) = self.place(id).filter(|place| self.node(*place).at == at)
        else {
            return false;
        };
        if !self.node((distance, place)).verified {
            if self.is_prefix_full(distance, at.ip()) {
                self.remove(now, (distance, place));
                return false;
            }
            self.prefixes.add(at.ip());
        }
        let bucket = self.buckets.get_mut(&distance).expect("it has a place there");
        let mut node = bucket.nodes.remove(place);
        node.verified = true;
        node.answers = node.answers.saturating_add(1);
        node.misses = 0;
        let spacing = jitter.jittered(node.spacing);
        node.spacing = (node.spacing * 2).min(CHECK_MAX);
        bucket.nodes.push(node);
        self.schedule((distance, self.buckets[&distance].nodes.len() - 1), now + spacing);
        self.check_bucket(distance);
        true
    }

    /// The node did not answer a request of ours at `at`.
    pub fn missed(&mut self, now: Mono, id: &NodeId, at: SocketAddr) {
        let at = canonical(at);
        self.tried(id, at, false);
        let Some(place) = self.place(id).filter(|place| self.node(*place).at == at) else { return };
        let bucket = self.buckets.get_mut(&place.0).expect("it has a place there");
        let replaceable = bucket.is_replaceable(bucket.nodes[place.1].origin, self.poor);
        match bucket.nodes[place.1].missed(now, replaceable) {
            Verdict::Forgiven => {}
            Verdict::Doubted => {
                mark(Mark::NodeDoubted);
                self.doubt(place);
            }
            Verdict::Dropped => {
                // Another id's probe of that endpoint stays that one's: only its answer ends it.
                if self.quiet.over(now, at) <= now {
                    self.quiet.probed(now, *id, at);
                }
                return self.remove(now, place);
            }
        }
        let again = if self.node(place).verified { RETRY } else { QUIET };
        self.schedule(place, now + again);
        self.check_bucket(place.0);
    }

    /// The next node whose check is due, which then counts as being checked until
    /// [`Self::answered`] or [`Self::missed`] is told.
    pub fn due(&mut self, now: Mono) -> Option<Due> {
        while let Some(&(at, id)) = self.schedule.first()
            && at <= now
        {
            let place = self.place(&id).expect("who is scheduled is in the table");
            let (verified, at) = (self.node(place).verified, self.node(place).at);
            let over = self.quiet.over(now, at);
            if !verified && over > now {
                // Another id was probed there and did not answer.
                self.schedule(place, over);
                continue;
            }
            if !verified {
                self.quiet.probed(now, id, at);
            }
            self.unschedule(place);
            return Some(Due { record: self.node(place).record.clone(), at });
        }
        None
    }

    /// Whether this node may be asked something at that endpoint now: if it is not verified there,
    /// that is a probe, and there is one of an endpoint that does not answer within [`QUIET`].
    pub fn probe(&mut self, now: Mono, id: NodeId, at: SocketAddr) -> bool {
        let at = canonical(at);
        if self.get(&id).is_some_and(|node| node.verified && node.at == at) {
            return true;
        }
        let may = self.quiet.over(now, at) <= now;
        if may {
            self.quiet.probed(now, id, at);
        }
        may
    }

    /// A node that was due could not be asked, for want of room: it is due again soon.
    pub fn put_off(&mut self, now: Mono, id: &NodeId) {
        if let Some(place) = self.place(id) {
            let at = self.node(place).at;
            self.quiet.answered(id, at); // it was not probed after all
            self.schedule(place, now + RETRY);
        }
    }

    /// The node has proved by a handshake that it is there: whatever did not answer there before,
    /// it may be asked at once (R81). Verified it is only when it has answered.
    pub fn came_from(&mut self, now: Mono, id: &NodeId, at: SocketAddr) {
        let at = canonical(at);
        let Some(place) = self.place(id) else { return };
        let node = self.node(place);
        if !node.verified && node.at == at && node.check_at.is_some() {
            self.quiet.forget(at);
            self.schedule(place, now);
        }
    }

    /// When the next check is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// The node with this id.
    #[must_use]
    pub fn get(&self, id: &NodeId) -> Option<&Node> {
        self.place(id).map(|place| self.node(place))
    }

    /// The `n` nodes closest to `target`, closest first, of those that answer or were not tried yet.
    #[must_use]
    pub fn closest(&self, target: &NodeId, n: usize) -> Vec<(Signed, SocketAddr)> {
        let promising = self.nodes().filter(|node| node.is_promising());
        let mut nodes: Vec<_> = promising.map(|node| (node.id().xor(target), node)).collect();
        nodes.sort_unstable_by_key(|(distance, _)| *distance);
        nodes.truncate(n);
        nodes.into_iter().map(|(_, node)| (node.record.clone(), node.at)).collect()
    }

    /// At most `max` records for an answer to FINDNODE: only verified nodes (R53), only what the
    /// requester may hear of (R55), each distance exhausted before the next, in the order asked:
    /// sorting would let a full bucket that is of no use hide the one that is asked for first.
    pub fn at_distances(
        &self,
        distances: impl IntoIterator<Item = u16>,
        requester: IpAddr,
        max: usize,
    ) -> Vec<Signed> {
        let mut asked = BTreeSet::new();
        let buckets = distances
            .into_iter()
            .filter(|distance| asked.insert(*distance))
            .filter_map(|distance| self.buckets.get(&distance));
        // Who was seen last is told first.
        let nodes = buckets.flat_map(|bucket| bucket.nodes.iter().rev());
        nodes
            .filter(|node| {
                (node.verified || planted(Bug::RelaysUnverified))
                    && may_relay(node.at.ip(), requester)
            })
            .map(|node| node.record.clone())
            .take(max)
            .collect()
    }

    /// The distance that was not looked up for the longest time, and when it last was (R78); of
    /// those never looked up, the farthest. Distances below the closest known node are left out:
    /// in a network of this size nobody lives there, and a look-up of our own id covers them.
    #[must_use]
    pub fn stalest(&self) -> (u16, Option<Mono>) {
        let mut known = self.buckets.iter().filter(|(_, bucket)| !bucket.nodes.is_empty());
        let closest = known.next().map_or(DISTANCE_MAX, |(distance, _)| *distance);
        let last = |distance: u16| (distance, self.refreshed.get(&distance).copied());
        let distances = (closest..=DISTANCE_MAX).rev().map(last);
        distances.min_by_key(|(_, last)| *last).expect("there is always the farthest distance")
    }

    /// This distance was looked up.
    ///
    /// # Panics
    /// If there is no such distance.
    pub fn refreshed(&mut self, now: Mono, distance: u16) {
        assert!((1..=DISTANCE_MAX).contains(&distance), "{distance} is no bucket");
        self.refreshed.insert(distance, now);
    }

    /// A random id at this distance from our own: what to look up in order to refresh a bucket.
    ///
    /// # Panics
    /// If there is no such distance.
    pub fn target_at(&self, distance: u16, chance: &mut Stream) -> NodeId {
        assert!((1..=DISTANCE_MAX).contains(&distance), "{distance} is no bucket");
        let bit = usize::from(DISTANCE_MAX - distance);
        let mut id = self.own;
        for place in bit..256 {
            let flip = place == bit || chance.hits(1, 2);
            id.0[place / 8] ^= u8::from(flip) << (7 - place % 8);
        }
        id
    }

    /// The verified nodes, who answered most first: whom to ask first after a restart.
    pub fn verified(&self) -> impl Iterator<Item = &Node> {
        let mut nodes: Vec<&Node> = self.nodes().filter(|node| node.verified).collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.answers));
        nodes.into_iter()
    }

    /// Every node, nearest bucket first, in each the least recently seen first.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.buckets.values().flat_map(|bucket| &bucket.nodes)
    }

    /// How many nodes there are, without those that wait for a place.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.values().map(|bucket| bucket.nodes.len()).sum()
    }

    /// Whether no node is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes().next().is_none()
    }

    /// Panics if an invariant of ours is broken. Takes time proportional to the table.
    pub fn check(&self) {
        for (distance, bucket) in &self.buckets {
            bucket.check(&self.own, *distance, self.poor);
        }
        self.quiet.check();
        let mut scheduled = 0;
        let mut prefixes = Prefixes::default();
        for node in self.nodes() {
            assert!(names(&node.record, node.at), "{} is not where its record says", node.id());
            if let Some(at) = node.check_at {
                assert!(self.schedule.contains(&(at, node.id())), "{} is forgotten", node.id());
                scheduled += 1;
            }
            if node.verified {
                assert!(node.answers > 0, "{} never answered", node.id());
                prefixes.add(node.at.ip());
            }
        }
        assert_eq!(scheduled, self.schedule.len(), "somebody is scheduled who is not there");
        assert!(prefixes.iter().eq(self.prefixes.iter()), "prefixes are miscounted");
    }
}

/// A node's place: its distance, and where in that bucket.
type Place = (u16, usize);

impl Table {
    fn place(&self, id: &NodeId) -> Option<Place> {
        let distance = self.own.log_distance(id);
        Some((distance, self.buckets.get(&distance)?.place(id)?))
    }

    fn node(&self, (distance, place): Place) -> &Node {
        &self.buckets[&distance].nodes[place]
    }

    fn node_mut(&mut self, (distance, place): Place) -> &mut Node {
        &mut self.buckets.get_mut(&distance).expect("a place is in a bucket").nodes[place]
    }

    fn is_prefix_full(&self, distance: u16, ip: IpAddr) -> bool {
        let in_bucket = |bucket: &Bucket| bucket.is_prefix_full(ip);
        self.prefixes.is_full(ip) || self.buckets.get(&distance).is_some_and(in_bucket)
    }

    /// A node of the table is told of again: only a higher seq replaces what is known (R69).
    fn meet_again(&mut self, now: Mono, place: Place, told: Candidate) -> Inserted {
        let node = self.node_mut(place);
        node.vouched(told.origin);
        if told.record.seq() <= node.record.seq() {
            return Inserted::Known;
        }
        let stays = names(&told.record, node.at);
        node.record = told.record;
        if !stays {
            mark(Mark::RecordMoves);
            self.doubt(place); // R53: nobody has answered there yet
            let node = self.node_mut(place);
            (node.at, node.misses) = (told.at, 0);
            self.schedule(place, self.quiet.over(now, told.at));
        }
        Inserted::Updated
    }

    /// A node that waits for a place was asked something.
    fn tried(&mut self, id: &NodeId, at: SocketAddr, answered: bool) {
        let distance = self.own.log_distance(id);
        let Some(bucket) = self.buckets.get_mut(&distance) else { return };
        bucket.tried(id, at, answered);
        if bucket.is_empty() {
            self.buckets.remove(&distance);
        }
    }

    fn doubt(&mut self, place: Place) {
        let node = self.node_mut(place);
        let at = node.at;
        if std::mem::take(&mut node.verified) {
            self.prefixes.remove(at.ip());
        }
    }

    fn schedule(&mut self, place: Place, at: Mono) {
        self.unschedule(place);
        let node = self.node_mut(place);
        node.check_at = Some(at);
        let id = node.id();
        self.schedule.insert((at, id));
    }

    fn unschedule(&mut self, place: Place) {
        let node = self.node_mut(place);
        let id = node.id();
        if let Some(at) = node.check_at.take() {
            assert!(self.schedule.remove(&(at, id)), "{id} was not on schedule");
        }
    }

    fn remove(&mut self, now: Mono, place: Place) {
        self.unschedule(place);
        self.doubt(place);
        let bucket = self.buckets.get_mut(&place.0).expect("a place is in a bucket");
        bucket.nodes.remove(place.1);
        let left = bucket.nodes.len();
        self.promote(now, place.0);
        if self.buckets.get(&place.0).is_some_and(|bucket| bucket.nodes.len() > left) {
            mark(Mark::NodeReplaced);
        }
    }

    /// Gives whatever room a bucket has to those that wait, the newest first; they are due at once.
    fn promote(&mut self, now: Mono, distance: u16) {
        let bucket = self.buckets.get_mut(&distance).expect("only of buckets there are");
        while let Some(candidate) = bucket.take_waiting(self.poor) {
            let in_table = self.prefixes.is_full(candidate.at.ip());
            if in_table || bucket.is_prefix_full(candidate.at.ip()) {
                continue;
            }
            let check_at = self.quiet.over(now, candidate.at);
            self.schedule.insert((check_at, candidate.record.node_id()));
            // Behind those that answered: a newcomer was not seen yet.
            bucket.nodes.insert(0, Node::new(candidate, check_at));
        }
        if bucket.is_empty() {
            self.buckets.remove(&distance);
        }
        self.check_bucket(distance);
    }

    fn check_bucket(&self, distance: u16) {
        if cfg!(debug_assertions)
            && let Some(bucket) = self.buckets.get(&distance)
        {
            bucket.check(&self.own, distance, self.poor);
        }
    }
}

/// The one name of an endpoint: IPv4 is never IPv4-mapped.
fn canonical(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip().to_canonical(), at.port())
}

fn names(record: &Signed, at: SocketAddr) -> bool {
    record.endpoints().udp_addresses().any(|address| address == at)
}
