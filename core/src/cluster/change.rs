//! What one manifest changes in another.

use std::collections::BTreeMap;

use super::{Manifest, Operator, OperatorIndex};
use crate::record::NodeId;

/// What became of an operator when a manifest took the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A key that was no operator's is one's, at a place whose key, if it had one, goes on
    /// elsewhere.
    Added {
        /// The place.
        operator: OperatorIndex,
        /// The id of the key.
        node_id: NodeId,
    },
    /// The key of a place is no operator's any more, and a new one has the place.
    Replaced {
        /// The place.
        operator: OperatorIndex,
        /// The id of the key that lost its authority.
        before: NodeId,
        /// The id of the key that gained it.
        node_id: NodeId,
    },
    /// The key of a place is no operator's any more, and no new one has the place.
    Removed {
        /// The place in the manifest before.
        operator: OperatorIndex,
        /// The id of the key.
        node_id: NodeId,
    },
    /// The key goes on at another place.
    Moved {
        /// The place in the manifest before.
        from: OperatorIndex,
        /// The place.
        operator: OperatorIndex,
        /// The id of the key.
        node_id: NodeId,
    },
}

impl Manifest {
    /// What becomes of the operators when `next` takes the place of this manifest: first of its
    /// operators, by index, then of those that it has no more.
    #[must_use]
    pub fn changes_to(&self, next: &Self) -> Vec<Change> {
        let added = next.operators().iter().filter_map(|operator| self.change_to(next, operator));
        let gone = self.operators().iter().filter(|old| next.by_node_id(&old.node_id).is_none());
        let removed = gone.filter(|old| !self.is_replaced(next, old)).map(|old| {
            let (operator, node_id) = (old.index, old.node_id);
            Change::Removed { operator, node_id }
        });
        added.chain(removed).collect()
    }

    fn change_to(&self, next: &Self, new: &Operator) -> Option<Change> {
        let (operator, node_id) = (new.index, new.node_id);
        if let Some(old) = self.by_node_id(&node_id) {
            let from = old.index;
            return (from != operator).then_some(Change::Moved { from, operator, node_id });
        }
        let old = self.get(operator).filter(|old| next.by_node_id(&old.node_id).is_none());
        Some(match old.map(|old| old.node_id) {
            Some(before) => Change::Replaced { operator, before, node_id },
            None => Change::Added { operator, node_id },
        })
    }

    /// Whether a key that was no operator's has the place of one that is none any more.
    fn is_replaced(&self, next: &Self, old: &Operator) -> bool {
        let new = next.get(old.index);
        new.is_some_and(|new| self.by_node_id(&new.node_id).is_none())
    }
}

/// Where operators whose authority goes on have their places when a manifest takes the place of
/// another.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<OperatorIndex, OperatorIndex>);

impl Places {
    /// The operators of `before` that are operators of `next`. The default is that none is.
    pub(crate) fn between(before: &Manifest, next: &Manifest) -> Self {
        let stays = |old: &Operator| Some((old.index, next.by_node_id(&old.node_id)?.index));
        Self(before.operators().iter().filter_map(stays).collect())
    }

    /// The new place of who had this one; `None` if its authority is gone.
    pub(crate) fn of(&self, before: OperatorIndex) -> Option<OperatorIndex> {
        self.0.get(&before).copied()
    }

    /// Gives everything its new place; answers what has none, by its place before.
    pub(crate) fn renumber<T>(
        &self,
        all: &mut BTreeMap<OperatorIndex, T>,
    ) -> BTreeMap<OperatorIndex, T> {
        let mut gone = BTreeMap::new();
        for (before, one) in std::mem::take(all) {
            match self.of(before) {
                Some(place) => assert!(all.insert(place, one).is_none(), "two at one place"),
                None => assert!(gone.insert(before, one).is_none()),
            }
        }
        gone
    }
}
