//! What is due: strictly by (time, sequence), so that a run has one order only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::moment::Moment;

/// Everything that will happen, earliest first; of one moment, in the order of being scheduled.
/// The heap moves small keys only; what is to happen waits in a slab.
#[derive(Debug)]
pub struct Queue<T> {
    keys: BinaryHeap<Reverse<Key>>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    scheduled: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: Moment,
    sequence: u64,
    slot: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { keys: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), scheduled: 0 }
    }
}

impl<T> Queue<T> {
    /// Schedules `what`.
    pub fn push(&mut self, at: Moment, what: T) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slab.push(None);
                u32::try_from(self.slab.len() - 1).expect("fewer than 2^32 things are due at once")
            }
        };
        let was = self.slab[slot as usize].replace(what);
        assert!(was.is_none(), "a free slot was taken");
        self.keys.push(Reverse(Key { at, sequence: self.scheduled, slot }));
        self.scheduled += 1;
    }

    /// When the next thing is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Moment> {
        self.keys.peek().map(|Reverse(key)| key.at)
    }

    /// Takes the next thing.
    pub fn pop(&mut self) -> Option<(Moment, T)> {
        let Reverse(key) = self.keys.pop()?;
        let what = self.slab[key.slot as usize].take().expect("a key has something in its slot");
        self.free.push(key.slot);
        Some((key.at, what))
    }

    /// How many things are due.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_by_time_and_then_in_the_order_of_being_scheduled() {
        let mut queue = Queue::default();
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (3, "b"), (5, "e")] {
            queue.push(Moment(at), what);
        }
        assert_eq!(queue.next_at(), Some(Moment(1)));
        assert_eq!(queue.pop(), Some((Moment(1), "a")));
        queue.push(Moment(5), "f"); // in the slot of "a", yet last
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(rest, ["b", "c", "d", "e", "f"]);
        assert!(queue.is_empty());
        assert_eq!(queue.slab.len(), 5);
    }
}
