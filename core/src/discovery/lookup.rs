//! One look-up: who is closest to an id, or what its newest record is (discv5-theory, "Lookup";
//! R82 to R87).
//!
//! Pure data: [`Lookup::next`] says whom to ask for which distances, and is told what came of it.
//! It runs on disjoint paths: who was first heard of on a path is asked on that path alone, so that
//! one liar spoils one path. Then what all paths found is finished in common.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::table::BUCKET_NODES;
use crate::record::{NodeId, Signed};

mod distances;

pub use distances::{DISTANCES, Distances};

/// How many requests are under way at once (R82), and how many paths there are.
pub const ALPHA: usize = 3;
/// How many nodes are the result: k (R82).
pub const CLOSEST: usize = BUCKET_NODES;
/// How many of its own closest nodes each path asks before it ends. More make a look-up dearer, not
/// safer: measured against networks in which up to six nodes in ten lie.
pub const PATH_CLOSEST: usize = 3;
/// How many requests a path makes at most, whatever it is told.
pub const PATH_QUERIES_MAX: usize = 16;
/// How many requests a look-up makes at most. An undisturbed one makes about twenty.
pub const QUERIES_MAX: usize = 64;
/// How many records of one answer are looked at: a responder should send 16 in all (R49).
pub const ANSWER_MAX: usize = 48;
/// An answer of this many records may have been cut (R49).
pub const ANSWER_CUT: usize = 16;
/// How many nodes of a path wait to be asked; beyond, the farthest is forgotten.
pub const UNASKED_MAX: usize = 64;
/// How many nodes a look-up remembers at most.
pub const CANDIDATES_MAX: usize = QUERIES_MAX + ALPHA * UNASKED_MAX;

const _: () =
    assert!(ALPHA * PATH_QUERIES_MAX + CLOSEST <= QUERIES_MAX, "no path starves the rest");
const _: () = assert!(CLOSEST <= UNASKED_MAX && ANSWER_MAX <= UNASKED_MAX);

/// What a look-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The nodes closest to the target.
    Closest,
    /// The target's newest record: over as soon as the target itself has given it.
    Record,
}

/// A FINDNODE to be sent.
#[derive(Clone, Debug)]
pub struct Query {
    /// Whom to ask, and where.
    pub to: (Signed, SocketAddr),
    /// What for.
    pub distances: Distances,
}

/// A look-up under way, or done.
#[derive(Debug)]
pub struct Lookup {
    own: NodeId,
    target: NodeId,
    aim: Aim,
    /// Everybody heard of, by distance to the target.
    candidates: BTreeMap<[u8; 32], Candidate>,
    /// The requests made, in all and by each path.
    queries: usize,
    path_queries: [usize; ALPHA],
    in_flight: usize,
    newest: Option<Signed>,
    /// How many requests had been made when somebody first told of the target.
    heard_after: Option<usize>,
    found: bool,
}

#[derive(Debug)]
struct Candidate {
    record: Signed,
    at: SocketAddr,
    path: usize,
    /// How many answers led to it, one through the other; none to whom we knew.
    hops: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unasked,
    /// It was asked at that endpoint; `again` if for the hidden distance alone.
    Asked {
        at: SocketAddr,
        again: bool,
    },
    /// Its answer was cut and may hide what matters: it is asked once more.
    Cut,
    Answered,
    Failed,
}

/// A candidate's key: its distance to the target.
type Key = [u8; 32];

impl Lookup {
    /// A look-up of `target` by the node `own` that starts from `seeds`: the closest nodes known.
    #[must_use]
    pub fn new(
        target: NodeId,
        aim: Aim,
        own: NodeId,
        seeds: impl IntoIterator<Item = (Signed, SocketAddr)>,
    ) -> Self {
        let mut lookup = Self {
            own,
            target,
            aim,
            candidates: BTreeMap::new(),
            queries: 0,
            path_queries: [0; ALPHA],
            in_flight: 0,
            newest: None,
            heard_after: None,
            found: false,
        };
        seeds.into_iter().take(UNASKED_MAX).for_each(|seed| lookup.hear(seed, 0, 0));
        // Dealt like cards, so that every path starts as close as the others.
        for (place, candidate) in lookup.candidates.values_mut().enumerate() {
            candidate.path = place % ALPHA;
        }
        lookup
    }

    /// The id that is looked for.
    #[must_use]
    pub fn target(&self) -> &NodeId {
        &self.target
    }

    /// What for.
    #[must_use]
    pub fn aim(&self) -> Aim {
        self.aim
    }

    /// How many requests it made.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// How many requests it had made when it first heard of the target; `None` if it never did.
    #[must_use]
    pub fn heard_after(&self) -> Option<usize> {
        self.heard_after
    }

    /// How many answers, one through the other, led to the target, or, if the closest nodes are
    /// wanted, to the closest that answered; `None` if there is none.
    #[must_use]
    pub fn hops(&self) -> Option<usize> {
        let is_result = |(key, candidate): &(&Key, &Candidate)| match self.aim {
            Aim::Record => **key == [0; 32],
            Aim::Closest => candidate.state.has_answered(),
        };
        self.candidates.iter().find(is_result).map(|(_, candidate)| candidate.hops)
    }

    /// The next request to make now; call until `None`, after every answer and failure.
    #[expect(clippy::should_implement_trait, reason = "None now says nothing about later")]
    pub fn next(&mut self) -> Option<Query> {
        if self.in_flight >= ALPHA {
            return None;
        }
        let (key, in_common) = self.pick()?;
        let candidate = self.candidates.get_mut(&key).expect("what was picked is a candidate");
        let peer = candidate.record.node_id();
        let again = candidate.state == State::Cut;
        candidate.state = State::Asked { at: candidate.at, again };
        self.in_flight += 1;
        self.queries += 1;
        self.path_queries[candidate.path] += usize::from(!in_common);
        let distances = if again {
            Distances::only(peer.log_distance(&self.target))
        } else {
            Distances::towards(&self.target, &peer)
        };
        Some(Query { to: (candidate.record.clone(), candidate.at), distances })
    }

    /// `from` answered with these records, of which each was asked for, with the endpoint at which
    /// it is to be asked itself. `received` counts the refused ones too: it tells whether the
    /// answer was cut.
    pub fn answered(
        &mut self,
        from: &NodeId,
        records: impl IntoIterator<Item = (Signed, SocketAddr)>,
        received: usize,
    ) {
        let key = from.xor(&self.target);
        let Some((path, again)) = self.settle(&key, State::Answered) else { return };
        let mut nearer = false;
        let mut farther = false;
        let distance = from.log_distance(&self.target);
        let hops = self.candidates[&key].hops + 1;
        for heard in records.into_iter().take(ANSWER_MAX) {
            let heard_at = from.log_distance(&heard.0.node_id());
            nearer |= heard_at < distance;
            farther |= heard_at > distance;
            self.hear(heard, path, hops);
        }
        // Some responders sort the distances before they cut. Then the bucket below, which holds
        // nothing closer to the target, hides the target's own.
        if received >= ANSWER_CUT && nearer && !farther && !again && distance > 0 {
            self.candidates.get_mut(&key).expect("it was asked").state = State::Cut;
        }
        self.found |= distance == 0 && self.aim == Aim::Record;
    }

    /// `from` did not answer.
    pub fn failed(&mut self, from: &NodeId) {
        let key = from.xor(&self.target);
        let Some(State::Asked { at, again }) = self.candidates.get(&key).map(|asked| asked.state)
        else {
            return;
        };
        let moved = self.candidates[&key].at != at;
        let state = match again {
            true => State::Answered, // once, which is all that is asked of the result
            false if moved => State::Unasked, // a newer record came while it was asked
            false => State::Failed,
        };
        self.settle(&key, state).expect("it was asked");
    }

    /// Whether it is over: nothing under way, nobody left to ask; or the target itself has given
    /// the record that was looked for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.found || (self.in_flight == 0 && self.pick().is_none())
    }

    /// The closest nodes of those that answered (R85), closest first.
    #[must_use]
    pub fn closest(&self) -> Vec<(Signed, SocketAddr)> {
        let answered = |candidate: &&Candidate| candidate.state.has_answered();
        let nodes = self.candidates.values().filter(answered).take(CLOSEST);
        nodes.map(|candidate| (candidate.record.clone(), candidate.at)).collect()
    }

    /// Whether it has heard of this node.
    #[must_use]
    pub fn knows(&self, node: &NodeId) -> bool {
        self.candidates.contains_key(&node.xor(&self.target))
    }

    /// The newest record of the target that anybody told.
    #[must_use]
    pub fn newest(&self) -> Option<&Signed> {
        self.newest.as_ref()
    }
}

impl Lookup {
    /// Who was asked is in this state now. Answers with its path, and whether it was asked for the
    /// second time; `None` if it was not asked at all.
    fn settle(&mut self, key: &Key, state: State) -> Option<(usize, bool)> {
        let candidate = self.candidates.get_mut(key)?;
        let State::Asked { again, .. } = candidate.state else { return None };
        candidate.state = state;
        self.in_flight -= 1;
        Some((candidate.path, again))
    }

    fn hear(&mut self, (record, at): (Signed, SocketAddr), path: usize, hops: usize) {
        let id = record.node_id();
        if id == self.own {
            return;
        }
        if id == self.target && self.newest.as_ref().is_none_or(|seen| seen.seq() < record.seq()) {
            self.newest = Some(record.clone());
            self.heard_after.get_or_insert(self.queries);
        }
        let key = id.xor(&self.target);
        match self.candidates.get_mut(&key) {
            Some(known) => known.hear(record, at),
            None => {
                let candidate = Candidate { record, at, path, hops, state: State::Unasked };
                self.candidates.insert(key, candidate);
                self.forget_farthest(path);
            }
        }
        assert!(self.candidates.len() <= CANDIDATES_MAX, "a path remembers more than its share");
    }

    /// A path keeps what it can still ask: a liar crowds out nobody but those of its own path.
    fn forget_farthest(&mut self, path: usize) {
        let unasked = |(_, candidate): &(&Key, &Candidate)| {
            candidate.path == path && candidate.state == State::Unasked
        };
        let mut from_farthest = self.candidates.iter().rev().filter(unasked);
        let farthest = from_farthest.next().map(|(key, _)| *key);
        if from_farthest.count() >= UNASKED_MAX {
            self.candidates.remove(&farthest.expect("the first of many"));
        }
    }

    /// Whom to ask next, and whether in common rather than on its own path.
    fn pick(&self) -> Option<(Key, bool)> {
        if self.found || self.queries >= QUERIES_MAX {
            return None;
        }
        let target = self.candidates.first_key_value().filter(|(key, _)| **key == [0; 32]);
        if let Some((key, _)) = target.filter(|(_, target)| target.state == State::Unasked) {
            return Some((*key, true)); // nobody knows its record better
        }
        let mut paths_end = true;
        for path in 0..ALPHA {
            match self.path_next(path) {
                Step::Ask(key) => return Some((key, false)),
                Step::Wait => paths_end = false,
                Step::End => {}
            }
        }
        let open = self.open(|_| true, CLOSEST).find(|(_, candidate)| candidate.state.is_askable());
        open.filter(|_| paths_end).map(|(key, _)| (*key, true))
    }

    fn path_next(&self, path: usize) -> Step {
        let own = || self.candidates.iter().filter(|(_, candidate)| candidate.path == path);
        if own().any(|(_, candidate)| matches!(candidate.state, State::Asked { .. })) {
            return Step::Wait;
        }
        if self.path_queries[path] >= PATH_QUERIES_MAX {
            return Step::End;
        }
        // What a cut answer hides is closer to the target than what it showed.
        let cut = own().find(|(_, candidate)| candidate.state == State::Cut);
        let mut open = self.open(|candidate| candidate.path == path, PATH_CLOSEST);
        let next = cut.or_else(|| open.find(|(_, candidate)| candidate.state.is_askable()));
        next.map_or(Step::End, |(key, _)| Step::Ask(*key))
    }

    /// The closest few of these that have not failed.
    fn open(
        &self,
        which: impl Fn(&Candidate) -> bool,
        n: usize,
    ) -> impl Iterator<Item = (&Key, &Candidate)> {
        let open = move |(_, candidate): &(&Key, &Candidate)| {
            which(candidate) && candidate.state != State::Failed
        };
        self.candidates.iter().filter(open).take(n)
    }
}

/// What a path does next.
enum Step {
    Ask(Key),
    /// Its request is under way.
    Wait,
    /// Its closest have all answered, or it made all the requests it may.
    End,
}

impl Candidate {
    /// Another told of it: a newer record counts until it has answered itself.
    fn hear(&mut self, record: Signed, at: SocketAddr) {
        if record.seq() <= self.record.seq() || self.state.has_answered() {
            return;
        }
        if self.state == State::Failed && at != self.at {
            self.state = State::Unasked; // it moved
        }
        (self.record, self.at) = (record, at);
    }
}

impl State {
    fn is_askable(self) -> bool {
        matches!(self, Self::Unasked | Self::Cut)
    }

    fn has_answered(self) -> bool {
        matches!(self, Self::Answered | Self::Cut | Self::Asked { again: true, .. })
    }
}
