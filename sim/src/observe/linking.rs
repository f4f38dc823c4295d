//! Which pairs of operators are linked, and which could be.

use std::collections::BTreeSet;

use crate::moment::Moment;
use crate::table::LinkRow;

/// Two operators, the lower number first.
pub type Pair = (usize, usize);

/// The states of all pairs.
pub(super) struct Linking {
    states: Vec<(Pair, State, Moment)>,
    owed: BTreeSet<Pair>,
    working: BTreeSet<Pair>,
    /// Nanoseconds for which pairs were owed a link, until `owed_since`.
    owed_nanos: u64,
    owed_since: Moment,
    /// Nanoseconds of spans that have ended in which pairs were dead.
    dead_nanos: u64,
    rows: Vec<LinkRow>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Working,
    Dead,
    Apart,
}

impl Linking {
    pub(super) fn new(operators: usize) -> Self {
        let pairs = (0..operators).flat_map(|a| (a + 1..operators).map(move |b| (a, b)));
        Self {
            states: pairs.map(|pair| (pair, State::Apart, Moment::default())).collect(),
            owed: BTreeSet::new(),
            working: BTreeSet::new(),
            owed_nanos: 0,
            owed_since: Moment::default(),
            dead_nanos: 0,
            rows: Vec::new(),
        }
    }

    pub(super) fn owed_pairs(&self) -> &BTreeSet<Pair> {
        &self.owed
    }

    pub(super) fn owed(&mut self, now: Moment, pairs: BTreeSet<Pair>) {
        self.count_owed(now);
        self.owed = pairs;
        self.judge(now);
    }

    pub(super) fn working(&mut self, now: Moment, pairs: BTreeSet<Pair>) {
        self.working = pairs;
        self.judge(now);
    }

    /// The spans of all pairs until now, pair by pair; the seconds for which pairs were owed a
    /// link, and those for which they were dead.
    pub(super) fn finish(mut self, now: Moment) -> (Vec<LinkRow>, [f64; 2]) {
        self.count_owed(now);
        for (pair, state, since) in std::mem::take(&mut self.states) {
            self.ended(pair, state, since, now);
        }
        self.rows.sort_by_key(|row| (row.a, row.b)); // stable: in the order of time
        (self.rows, [self.owed_nanos, self.dead_nanos].map(|nanos| Moment(nanos).seconds()))
    }

    fn count_owed(&mut self, now: Moment) {
        self.owed_nanos += self.owed.len() as u64 * (now.0 - self.owed_since.0);
        self.owed_since = now;
    }

    fn judge(&mut self, now: Moment) {
        for place in 0..self.states.len() {
            let (pair, state, since) = self.states[place];
            let new = match (self.working.contains(&pair), self.owed.contains(&pair)) {
                (true, _) => State::Working,
                (false, true) => State::Dead,
                (false, false) => State::Apart,
            };
            if new != state {
                self.ended(pair, state, since, now);
                self.states[place] = (pair, new, now);
            }
        }
    }

    /// A span is a row if any time passed in it.
    fn ended(&mut self, (a, b): Pair, state: State, from: Moment, to: Moment) {
        if from == to {
            return;
        }
        if state == State::Dead {
            self.dead_nanos += to.0 - from.0;
        }
        let (from_s, to_s) = (from.seconds(), to.seconds());
        let (a, b, state) = (a as u64, b as u64, state.name().into());
        self.rows.push(LinkRow { a, b, state, from_s, to_s });
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Dead => "dead",
            Self::Apart => "apart",
        }
    }
}
