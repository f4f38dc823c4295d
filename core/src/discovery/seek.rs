//! Lookups under way, and what each is for.

use std::net::SocketAddr;

use super::lookup::{ALPHA, Aim, CLOSEST, Lookup, Query};
use super::request::{Body, Purpose};
use super::table::DISTANCE_MAX;
use super::{Act, Answer, Discovery, contact::Contact};
use crate::count::Counter;
use crate::marks::{Mark, mark};
use crate::record::{NodeId, Signed};
use crate::time::Mono;

/// How many lookups run side by side. More are refused: whoever wants one asks again later.
pub const SEEKS_MAX: usize = 32;
/// How many of the closest nodes hear of us when we looked for ourselves.
pub const NEIGHBOURS: usize = 16;

/// A lookup, numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeekId(pub u64);

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Our own neighbourhood, which is then told that we exist.
    Own,
    /// The half of all nodes that is far from us, because hardly anybody near us answered.
    Far,
    /// Our own neighbourhood once more, when more nodes are known.
    OwnAgain,
    /// A bucket that was not refreshed for long (R78).
    Refresh,
    /// A node whose newest record the owner wants.
    Resolve,
    /// A node that the application asked for, with this number.
    Asked(u64),
}

pub(super) struct Seek {
    goal: Goal,
    lookup: Lookup,
    /// Whether it began with the nodes to ask when nobody else answers.
    with_seeds: bool,
    began: Mono,
    /// How many requests were made before it began anew.
    spent: usize,
}

/// How a lookup went. Only a measurement: nothing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought {
    /// The id that was looked for.
    pub target: NodeId,
    /// What for.
    pub goal: Goal,
    /// When it began.
    pub began: Mono,
    /// Whether it has what it was for: a record of the target, or a node that answered.
    pub found: bool,
    /// How many answers, one through the other, led there; `None` if nothing did.
    pub hops: Option<usize>,
    /// How many requests had been made when it first heard of the target; `None` if it never did.
    pub heard_after: Option<usize>,
    /// How many requests it made.
    pub queries: usize,
}

impl Goal {
    fn aim(self) -> Aim {
        match self {
            Self::Own | Self::Far | Self::OwnAgain | Self::Refresh => Aim::Closest,
            Self::Resolve | Self::Asked(_) => Aim::Record,
        }
    }
}

impl Seek {
    fn outcome(&self) -> Sought {
        let Self { goal, lookup, began, spent, .. } = self;
        Sought {
            target: *lookup.target(),
            goal: *goal,
            began: *began,
            found: match goal.aim() {
                Aim::Closest => lookup.hops().is_some(),
                Aim::Record => lookup.newest().is_some(),
            },
            hops: lookup.hops(),
            heard_after: lookup.heard_after().map(|queries| spent + queries),
            queries: spent + lookup.queries(),
        }
    }
}

impl Discovery {
    /// Looks for a node; answers whether there was room for one more lookup.
    pub(super) fn seek(&mut self, now: Mono, target: NodeId, goal: Goal) -> bool {
        if self.seeks.len() >= SEEKS_MAX || self.own.is_none() {
            return false;
        }
        self.count(Counter::Lookups);
        // Whom we only heard of may be gone, all of them: after a long time off, say. And a few who
        // know one another, such as the operators of one cluster, would keep to themselves, and
        // have nobody left when all of them move.
        let verified = self.table.nodes().filter(|node| node.is_verified());
        let with_seeds = verified.take(CLOSEST).count() < CLOSEST;
        self.begin(now, target, goal, with_seeds, (now, 0));
        true
    }

    /// `tried` is when it began for the first time, and how many requests that cost.
    fn begin(
        &mut self,
        now: Mono,
        target: NodeId,
        goal: Goal,
        with_seeds: bool,
        tried: (Mono, usize),
    ) {
        let mut first = self.table.closest(&target, CLOSEST);
        if with_seeds {
            // A lookup begins with so many only: of those that were stored each with others.
            let mut stored: Vec<&Signed> = self.stored.iter().collect();
            stored.sort_by_key(|seed| seed.node_id().xor(&target));
            let seeds = self.boot.iter().chain(stored);
            first.extend(seeds.filter_map(|seed| Some((seed.clone(), self.at(seed)?))));
        }
        let id = SeekId(self.next_seek);
        self.next_seek += 1;
        let lookup = Lookup::new(target, goal.aim(), self.id, first);
        let (began, spent) = tried;
        self.seeks.insert(id, Seek { goal, lookup, with_seeds, began, spent });
        self.advance(now, id);
    }

    /// Sends every query that a lookup has to make now, and ends it if it has none left.
    pub(super) fn advance(&mut self, now: Mono, id: SeekId) {
        while let Some(query) = self.seeks.get_mut(&id).and_then(|seek| seek.lookup.next()) {
            let Query { to: (record, at), distances } = query;
            let node = record.node_id();
            let body = Body::FindNode(distances.to_vec());
            let may = self.may_probe(now, Contact::new(node, at));
            if !may || !self.ask(now, record, at, body, Purpose::Seek(id)) {
                let seek = self.seeks.get_mut(&id).expect("it has just made a query");
                seek.lookup.failed(&node);
            }
        }
        if self.seeks.get(&id).is_some_and(|seek| seek.lookup.is_done()) {
            let seek = self.seeks.remove(&id).expect("looked up above");
            self.sought(now, seek);
        }
    }

    /// A query of a lookup was answered (with what of it counts, and how much came), or not.
    pub(super) fn heard_of(
        &mut self,
        now: Mono,
        id: SeekId,
        from: &NodeId,
        answer: Option<(Vec<Signed>, usize)>,
    ) {
        let family = self.families;
        let Some(seek) = self.seeks.get_mut(&id) else { return }; // it found what it wanted before
        match answer {
            Some((records, received)) => {
                let contacts = records.into_iter().filter_map(|r| family.at(&r).map(|at| (r, at)));
                seek.lookup.answered(from, contacts, received);
            }
            None => seek.lookup.failed(from),
        }
        self.advance(now, id);
    }

    /// Whether a node may be asked of which nobody but its record may say that it is there: each
    /// endpoint that does not answer is asked once in a while only, whoever names it. What goes to
    /// where something is under way waits for that, and is no probe more.
    fn may_probe(&mut self, now: Mono, to: Contact) -> bool {
        self.sessions.peek(&to).is_some()
            || self.requests.is_busy(&to)
            || self.is_seed(&to)
            || self.table.probe(now, to.id, to.at)
    }

    fn sought(&mut self, now: Mono, seek: Seek) {
        let Seek { goal, ref lookup, with_seeds, began, spent } = seek;
        let closest = lookup.closest();
        // Hardly anybody answered: those that we know have moved or gone, perhaps all at once.
        let others = || self.seeds().any(|seed| !lookup.knows(&seed.node_id()));
        if closest.len() < ALPHA && !with_seeds && others() {
            mark(Mark::BeginsWithSeeds);
            let tried = (began, spent + lookup.queries());
            return self.begin(now, *lookup.target(), goal, true, tried);
        }
        self.acts.push_back(Act::Sought(seek.outcome()));
        match goal {
            Goal::Own | Goal::OwnAgain => {
                self.table.admit_inbound(now);
                if !closest.is_empty() {
                    self.joined(now);
                }
                // A small network is in few buckets: of a node close to us we asked for none of
                // those.
                if goal == Goal::Own && (1..CLOSEST).contains(&closest.len()) {
                    let far = self.table.target_at(DISTANCE_MAX, &mut self.jitter);
                    self.begin(now, far, Goal::Far, with_seeds, (now, 0));
                }
                for (record, at) in closest.into_iter().take(NEIGHBOURS) {
                    self.announce(now, record, at);
                }
            }
            Goal::Far => self.begin(now, self.id, Goal::OwnAgain, with_seeds, (now, 0)),
            Goal::Refresh | Goal::Resolve => {}
            Goal::Asked(id) => {
                let closest = closest.into_iter().map(|(record, _)| record).collect();
                let answer = Answer::Found { newest: lookup.newest().cloned(), closest };
                self.acts.push_back(Act::Answered { id, answer });
            }
        }
    }

    /// Tells a node that we exist and what our seq is, unless it is being told already.
    pub(super) fn announce(&mut self, now: Mono, record: Signed, at: SocketAddr) {
        let contact = Contact::new(record.node_id(), at);
        let purpose = Purpose::Announce(self.own_seq());
        if !self.requests.has(&contact, purpose) && self.may_probe(now, contact) {
            self.ask(now, record, at, Body::Ping, purpose);
        }
    }
}
