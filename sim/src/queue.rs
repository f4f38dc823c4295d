//! What is due: strictly by (time, sequence), so that a run has one order only.
//!
//! Most of what is scheduled is due within a second, so the queue is a wheel of slots of a
//! millisecond: what is scheduled is laid at the end of its slot, in order of memory, and a slot is
//! put in order when it is due. What is due later waits in a heap until its slot is on the wheel.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::moment::Moment;

/// A slot is 2^20 ns long: about a millisecond.
const SLOT_BITS: u32 = 20;
/// How many slots the wheel has: about a second of them.
const SLOTS: u64 = 1_024;

/// Everything that will happen, earliest first; of one moment, in the order of being scheduled.
#[derive(Debug)]
pub struct Queue<T> {
    /// The slot that is due: the things, the order of those that were there when it became due (the
    /// last first), and of those that came later.
    due: Vec<Entry<T>>,
    order: Vec<Key>,
    added: BinaryHeap<Reverse<Key>>,
    /// Its number, counted from the beginning of time.
    slot: u64,
    /// The slots after it, each at its number modulo [`SLOTS`].
    wheel: Vec<Vec<Entry<T>>>,
    /// Which of them hold something, a bit each.
    holding: [u64; (SLOTS / 64) as usize],
    /// What is due after those.
    later: BinaryHeap<Reverse<Key>>,
    later_things: Vec<Option<T>>,
    later_free: Vec<u32>,
    /// Slots that were emptied, for their memory.
    spare: Vec<Vec<Entry<T>>>,
    scheduled: u64,
}

/// A thing in a slot, until it is taken out.
#[derive(Debug)]
struct Entry<T> {
    at: Moment,
    sequence: u64,
    what: Option<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: Moment,
    sequence: u64,
    place: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            due: Vec::new(),
            order: Vec::new(),
            added: BinaryHeap::new(),
            slot: 0,
            wheel: (0..SLOTS).map(|_| Vec::new()).collect(),
            holding: [0; (SLOTS / 64) as usize],
            later: BinaryHeap::new(),
            later_things: Vec::new(),
            later_free: Vec::new(),
            spare: Vec::new(),
            scheduled: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Schedules `what`.
    pub fn push(&mut self, at: Moment, what: T) {
        let (slot, sequence) = (slot_of(at), self.scheduled);
        self.scheduled += 1;
        if slot <= self.slot {
            self.added.push(Reverse(Key { at, sequence, place: place(self.due.len()) }));
            self.due.push(Entry { at, sequence, what: Some(what) });
        } else if slot < self.slot + SLOTS {
            self.put_on_wheel(Entry { at, sequence, what: Some(what) });
        } else {
            let place = match self.later_free.pop() {
                Some(place) => place,
                None => {
                    self.later_things.push(None);
                    place(self.later_things.len() - 1)
                }
            };
            let was = self.later_things[place as usize].replace(what);
            assert!(was.is_none(), "a free place was taken");
            self.later.push(Reverse(Key { at, sequence, place }));
        }
    }

    /// Takes the next thing, if it is due by then.
    pub fn pop_until(&mut self, until: Moment) -> Option<(Moment, T)> {
        let key = match self.first() {
            Some(key) => key,
            None if self.turn(slot_of(until)) => self.first().expect("it turned to something"),
            None => return None,
        };
        if key.at > until {
            return None;
        }
        match self.order.last() == Some(&key) {
            true => drop(self.order.pop()),
            false => drop(self.added.pop()),
        }
        let what =
            self.due[key.place as usize].what.take().expect("a key has something in its place");
        Some((key.at, what))
    }

    /// The first of the slot that is due.
    fn first(&self) -> Option<Key> {
        let added = self.added.peek().map(|Reverse(key)| *key);
        match (self.order.last().copied(), added) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn put_on_wheel(&mut self, entry: Entry<T>) {
        let index = slot_of(entry.at) % SLOTS;
        let things = &mut self.wheel[index as usize];
        if things.is_empty() {
            self.holding[(index / 64) as usize] |= 1 << (index % 64);
            if things.capacity() == 0
                && let Some(spare) = self.spare.pop()
            {
                *things = spare;
            }
        }
        things.push(entry);
    }

    /// Goes on to the next slot that holds something, if that is not after `last`; answers whether it
    /// did. (Beyond, it would have to look at every slot that is filled before time comes there.)
    fn turn(&mut self, last: u64) -> bool {
        assert!(self.first().is_none(), "what is due comes first");
        self.due.clear();
        let later = self.later.peek().map(|Reverse(key)| slot_of(key.at));
        let Some(slot) = self.next_on_wheel().into_iter().chain(later).min() else { return false };
        if slot > last {
            return false;
        }
        self.slot = slot;
        while let Some(Reverse(key)) = self.later.peek()
            && slot_of(key.at) < slot + SLOTS
        {
            let Reverse(key) = self.later.pop().expect("just looked at");
            let what = self.later_things[key.place as usize].take();
            assert!(what.is_some(), "it waits there");
            self.later_free.push(key.place);
            self.put_on_wheel(Entry { at: key.at, sequence: key.sequence, what });
        }
        let index = slot % SLOTS;
        self.holding[(index / 64) as usize] &= !(1 << (index % 64));
        let things = std::mem::take(&mut self.wheel[index as usize]);
        self.spare.push(std::mem::replace(&mut self.due, things));
        let entries = self.due.iter().enumerate();
        self.order.extend(entries.map(|(index, entry)| Key {
            at: entry.at,
            sequence: entry.sequence,
            place: place(index),
        }));
        self.order.sort_unstable_by(|a, b| b.cmp(a));
        true
    }

    /// The first slot of the wheel after this one that holds something.
    fn next_on_wheel(&self) -> Option<u64> {
        let from = (self.slot + 1) % SLOTS;
        let words = SLOTS / 64;
        // The word that it begins in is looked at twice: its upper bits first, its lower ones last.
        (0..=words).find_map(|step| {
            let word = (from / 64 + step) % words;
            let upper = u64::MAX << (from % 64);
            let mask = match step {
                0 => upper,
                _ if step == words => !upper,
                _ => u64::MAX,
            };
            let bits = self.holding[word as usize] & mask;
            if bits == 0 {
                return None;
            }
            let index = word * 64 + u64::from(bits.trailing_zeros());
            Some(self.slot + 1 + (index + SLOTS - from) % SLOTS)
        })
    }
}

fn slot_of(at: Moment) -> u64 {
    at.0 >> SLOT_BITS
}

fn place(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 things are due at once")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn things_happen_by_time_and_then_in_the_order_of_being_scheduled() {
        let mut queue = Queue::default();
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (3, "b"), (5, "e")] {
            queue.push(Moment(at), what);
        }
        assert_eq!(queue.pop_until(Moment(0)), None);
        assert_eq!(queue.pop_until(Moment(1)), Some((Moment(1), "a")));
        queue.push(Moment(5), "f");
        let rest = std::iter::from_fn(|| queue.pop_until(Moment(5)));
        let rest: Vec<_> = rest.map(|(_, what)| what).collect();
        assert_eq!(rest, ["b", "c", "d", "e", "f"]);
        assert_eq!(queue.pop_until(Moment(u64::MAX)), None);
    }

    proptest! {
        /// As a sorted list would have it, however far apart things are.
        #[test]
        fn the_order_is_that_of_time_and_sequence(
            steps in prop::collection::vec((1_u32..44, any::<u64>(), 0_usize..4), 1..400)
        ) {
            let mut queue = Queue::default();
            let mut expected = std::collections::BTreeSet::new();
            let mut now = 0;
            for (sequence, (bits, span, pops)) in steps.into_iter().enumerate() {
                let at = now + (span & ((1 << bits) - 1));
                queue.push(Moment(at), sequence);
                expected.insert((at, sequence));
                for _ in 0..pops {
                    // Time goes on, whether something is due or not.
                    now += span >> (64 - bits);
                    while expected.first().is_some_and(|it| it.0 <= now) {
                        let (at, what) = expected.pop_first().unwrap();
                        prop_assert_eq!(queue.pop_until(Moment(now)), Some((Moment(at), what)));
                    }
                    prop_assert_eq!(queue.pop_until(Moment(now)), None);
                }
            }
            let end = Moment(u64::MAX);
            while let Some((at, what)) = expected.pop_first() {
                prop_assert_eq!(queue.pop_until(end), Some((Moment(at), what)));
            }
            prop_assert_eq!(queue.pop_until(end), None);
        }
    }
}
