//! Until when somebody must have done something.

use std::collections::BTreeMap;

use crate::moment::Moment;

/// Two operators: of whom something is expected, and with regard to whom.
pub(super) type Pair = (usize, usize);

/// At most one deadline for each pair. Asking whether one has passed costs a comparison.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    at: BTreeMap<Pair, Moment>,
    /// No deadline is before this.
    earliest: Option<Moment>,
}

impl Deadlines {
    pub(super) fn set(&mut self, pair: Pair, at: Moment) {
        self.at.insert(pair, at);
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
    }

    pub(super) fn lift(&mut self, pair: Pair) {
        self.at.remove(&pair);
    }

    pub(super) fn has(&self, pair: Pair) -> bool {
        self.at.contains_key(&pair)
    }

    /// Lifts all but those of these pairs.
    pub(super) fn retain(&mut self, keep: impl Fn(Pair) -> bool) {
        self.at.retain(|pair, _| keep(*pair));
    }

    /// Of those that have passed, the one that passed first.
    pub(super) fn passed(&mut self, now: Moment) -> Option<Pair> {
        if self.earliest.is_none_or(|earliest| now <= earliest) {
            return None;
        }
        let first = self.at.iter().min_by_key(|(_, at)| **at).map(|(pair, at)| (*pair, *at));
        self.earliest = first.map(|(_, at)| at);
        first.filter(|(_, at)| *at < now).map(|(pair, _)| pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_has_passed_and_was_not_lifted_is_told() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.passed(Moment(9)), None);
        deadlines.set((0, 1), Moment(5));
        deadlines.set((1, 0), Moment(3));
        assert_eq!(deadlines.passed(Moment(3)), None);
        assert_eq!(deadlines.passed(Moment(4)), Some((1, 0)));
        deadlines.set((1, 0), Moment(7));
        assert_eq!(deadlines.passed(Moment(5)), None);
        deadlines.lift((0, 1));
        assert_eq!(deadlines.passed(Moment(7)), None);
        assert_eq!(deadlines.passed(Moment(8)), Some((1, 0)));
        deadlines.retain(|(who, _)| who != 1);
        assert_eq!(deadlines.passed(Moment(9)), None);
    }
}
