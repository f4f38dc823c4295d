//! Who knows where whom is.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::linking::Pair;
use super::stopwatch::Stopwatch;
use crate::moment::Moment;
use crate::table::ConvergenceRow;

/// What each operator knows of each other.
pub(super) struct Knowing {
    operators: Vec<Operator>,
    /// What the first knows of the second: `knower * operators + signer`.
    pairs: Vec<Knowledge>,
    moves: u64,
    rows: Vec<ConvergenceRow>,
}

struct Operator {
    runs: bool,
    /// Where it is now, and where it was last.
    at: Vec<SocketAddr>,
    last: Vec<SocketAddr>,
}

#[derive(Clone, Default)]
struct Knowledge {
    /// The addresses that the record names.
    named: Vec<SocketAddr>,
    /// Runs while they are wrong.
    stale: Stopwatch,
    /// Runs while the two can talk.
    owed: Stopwatch,
    awaited: Option<Awaited>,
}

/// A move that is not known yet.
#[derive(Clone)]
struct Awaited {
    number: u64,
    since: Moment,
    /// What the stopwatch of the time owed showed then.
    owed_before: u64,
}

impl Knowing {
    pub(super) fn new(at: &[Vec<SocketAddr>]) -> Self {
        let operator =
            |at: &Vec<SocketAddr>| Operator { runs: false, at: at.clone(), last: at.clone() };
        Self {
            operators: at.iter().map(operator).collect(),
            pairs: vec![Knowledge::default(); at.len() * at.len()],
            moves: 0,
            rows: Vec::new(),
        }
    }

    /// How many moves there were.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// Whether an operator runs, and where it is.
    pub(super) fn operator(&mut self, now: Moment, who: usize, runs: bool, at: &[SocketAddr]) {
        let operator = &mut self.operators[who];
        if operator.runs == runs && operator.at == at {
            return;
        }
        let moved = !at.is_empty() && !at.iter().any(|there| operator.last.contains(there));
        (operator.runs, operator.at) = (runs, at.to_vec());
        if !at.is_empty() {
            operator.last = at.to_vec();
        }
        if moved {
            self.moved(now, who);
        }
        for other in self.others(who) {
            self.judge(now, (other, who));
            self.judge(now, (who, other));
        }
    }

    /// The record of `signer` that `knower` holds names these addresses.
    pub(super) fn holds(
        &mut self,
        now: Moment,
        knower: usize,
        signer: usize,
        named: Vec<SocketAddr>,
    ) {
        let place = self.place(knower, signer);
        if self.pairs[place].named != named && knower != signer {
            self.pairs[place].named = named;
            self.judge(now, (knower, signer));
        }
    }

    /// Which pairs can talk.
    pub(super) fn owed(&mut self, now: Moment, owed: &BTreeSet<Pair>) {
        for knower in 0..self.operators.len() {
            for signer in self.others(knower) {
                let pair = (knower.min(signer), knower.max(signer));
                let place = self.place(knower, signer);
                self.pairs[place].owed.set(now, owed.contains(&pair));
            }
        }
    }

    /// For how many seconds each held records that were wrong.
    pub(super) fn stale(&self, now: Moment) -> Vec<f64> {
        let n = self.operators.len();
        let nanos = |knower: usize| -> u64 {
            let of = &self.pairs[knower * n..(knower + 1) * n];
            of.iter().map(|it| it.stale.nanos(now)).sum()
        };
        (0..n).map(|knower| Moment(nanos(knower)).seconds()).collect()
    }

    /// Every move and what became of it for each other, in this order.
    pub(super) fn finish(mut self, now: Moment) -> Vec<ConvergenceRow> {
        for mover in 0..self.operators.len() {
            for observer in self.others(mover) {
                self.settle(now, (observer, mover), "pending");
            }
        }
        self.rows.sort_by_key(|row| (row.number, row.observer));
        self.rows
    }

    fn moved(&mut self, now: Moment, mover: usize) {
        for observer in self.others(mover) {
            self.settle(now, (observer, mover), "overtaken");
            let number = self.moves;
            let place = self.place(observer, mover);
            let pair = &mut self.pairs[place];
            let owed_before = pair.owed.nanos(now);
            pair.awaited = Some(Awaited { number, since: now, owed_before });
        }
        self.moves += 1;
    }

    fn judge(&mut self, now: Moment, (knower, signer): (usize, usize)) {
        let place = self.place(knower, signer);
        let (pair, at) = (&mut self.pairs[place], &self.operators[signer].at);
        let knows = pair.named.iter().any(|named| at.contains(named));
        let both_run = self.operators[knower].runs && self.operators[signer].runs;
        let stale = both_run && !at.is_empty() && !pair.named.is_empty() && !knows;
        pair.stale.set(now, stale);
        if knows && self.operators[knower].runs {
            self.settle(now, (knower, signer), "known");
        }
    }

    /// A move that was awaited came to this.
    fn settle(&mut self, now: Moment, (observer, mover): (usize, usize), outcome: &str) {
        let place = self.place(observer, mover);
        let pair = &mut self.pairs[place];
        let Some(Awaited { number, since, owed_before }) = pair.awaited.take() else { return };
        let owed = Moment(pair.owed.nanos(now) - owed_before);
        self.rows.push(ConvergenceRow {
            number,
            mover: mover as u64,
            moved_s: since.seconds(),
            observer: observer as u64,
            outcome: outcome.into(),
            took_s: (outcome == "known").then(|| Moment(now.0 - since.0).seconds()),
            owed_s: owed.seconds(),
        });
    }

    fn others(&self, who: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.operators.len()).filter(move |other| *other != who)
    }

    fn place(&self, knower: usize, signer: usize) -> usize {
        knower * self.operators.len() + signer
    }
}
