//! A bounded map that forgets what was used longest ago: every map over peer input has a limit,
//! and reaching it must cost no more than any other step.

use std::collections::BTreeMap;

/// At most `max` entries; the one used longest ago makes room. Every call is O(log max), whatever
/// a peer does.
pub(crate) struct Lru<K, V> {
    places: BTreeMap<K, usize>,
    /// A list through `slots`, newest to oldest; free places are `None`.
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<usize>,
    ends: Option<Ends>,
    max: usize,
}

struct Slot<K, V> {
    key: K,
    value: V,
    newer: Option<usize>,
    older: Option<usize>,
}

#[derive(Clone, Copy)]
struct Ends {
    newest: usize,
    oldest: usize,
}

impl<K: Ord + Copy, V> Lru<K, V> {
    /// An empty map, which takes no memory yet.
    pub(crate) fn new(max: usize) -> Self {
        assert!(max > 0, "a map that holds nothing");
        Self { places: BTreeMap::new(), slots: Vec::new(), free: Vec::new(), ends: None, max }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// What is held, now used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        self.touch(place);
        Some(&mut self.slot(place).value)
    }

    /// What is held, now used if it passes this.
    pub(crate) fn get_if(&mut self, key: &K, passes: impl FnOnce(&mut V) -> bool) -> bool {
        let Some(&place) = self.places.get(key) else { return false };
        let passed = passes(&mut self.slot(place).value);
        if passed {
            self.touch(place);
        }
        passed
    }

    /// What is held, without using it.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        let place = *self.places.get(key)?;
        self.slots[place].as_ref().map(|slot| &slot.value)
    }

    /// What is held, to be changed without using it.
    pub(crate) fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        Some(&mut self.slot(place).value)
    }

    /// Holds a value; answers with what is held no more, the former value of this key or the
    /// entry used longest ago.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        let former = match self.remove(&key) {
            Some(value) => Some((key, value)),
            None if self.len() == self.max => self.pop_oldest(),
            None => None,
        };
        let slot = Some(Slot { key, value, newer: None, older: None });
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.places.insert(key, place);
        self.link(place);
        assert!(self.places.len() <= self.max);
        former
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.places.remove(key)?;
        self.unlink(place);
        self.free.push(place);
        self.slots[place].take().map(|slot| slot.value)
    }

    /// Every entry, from the one used last to the one used longest ago.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let mut next = self.ends.map(|ends| ends.newest);
        std::iter::from_fn(move || {
            let slot = self.slots[next?].as_ref().expect("a linked place is in use");
            next = slot.older;
            Some((&slot.key, &slot.value))
        })
    }

    fn touch(&mut self, place: usize) {
        if self.ends.is_some_and(|ends| ends.newest != place) {
            self.unlink(place);
            self.link(place);
        }
    }

    fn pop_oldest(&mut self) -> Option<(K, V)> {
        let key = self.slot(self.ends?.oldest).key;
        self.remove(&key).map(|value| (key, value))
    }

    fn slot(&mut self, place: usize) -> &mut Slot<K, V> {
        self.slots[place].as_mut().expect("a linked place is in use")
    }

    fn link(&mut self, place: usize) {
        let newest = self.ends.map(|ends| ends.newest);
        if let Some(newest) = newest {
            self.slot(newest).newer = Some(place);
        }
        let slot = self.slot(place);
        (slot.newer, slot.older) = (None, newest);
        let oldest = self.ends.map_or(place, |ends| ends.oldest);
        self.ends = Some(Ends { newest: place, oldest });
    }

    fn unlink(&mut self, place: usize) {
        let Slot { newer, older, .. } = *self.slot(place);
        if let Some(newer) = newer {
            self.slot(newer).older = older;
        }
        if let Some(older) = older {
            self.slot(older).newer = newer;
        }
        let ends = self.ends.expect("a linked place");
        let newest = if ends.newest == place { older } else { Some(ends.newest) };
        let oldest = if ends.oldest == place { newer } else { Some(ends.oldest) };
        self.ends = newest.zip(oldest).map(|(newest, oldest)| Ends { newest, oldest });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn it_forgets_what_was_used_longest_ago(steps in prop::collection::vec((0..3u8, 0..8u8), 0..200)) {
            let mut lru = Lru::new(4);
            let mut model: Vec<(u8, usize)> = Vec::new(); // newest first
            for (value, (step, key)) in steps.into_iter().enumerate() {
                let place = model.iter().position(|(held, _)| *held == key);
                match step {
                    0 => {
                        let former = match place {
                            Some(place) => Some(model.remove(place)),
                            None if model.len() == 4 => model.pop(),
                            None => None,
                        };
                        model.insert(0, (key, value));
                        prop_assert_eq!(lru.insert(key, value), former);
                    }
                    1 => {
                        let held = place.map(|place| model.remove(place));
                        model.splice(0..0, held);
                        prop_assert_eq!(lru.get(&key).copied(), held.map(|(_, value)| value));
                    }
                    _ => {
                        let held = place.map(|place| model.remove(place));
                        prop_assert_eq!(lru.remove(&key), held.map(|(_, value)| value));
                    }
                }
                let listed: Vec<(u8, usize)> = lru.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(&listed, &model);
                prop_assert_eq!(lru.len(), model.len());
            }
        }
    }
}
