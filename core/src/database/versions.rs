//! What is held of one node's records: the join.

use crate::planted::{Bug, planted};
use crate::record::{Claimed, Signed};

/// The newest record of a node and, if the node signed two contents with that seq, the next best
/// of them as evidence. A pure function of the set of records ever merged: of those with the
/// greatest seq, the two greatest by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    newest: Signed,
    rival: Option<Signed>,
}

impl From<Signed> for Versions {
    fn from(record: Signed) -> Self {
        Self { newest: record, rival: None }
    }
}

impl Versions {
    /// The record that counts.
    #[must_use]
    pub fn newest(&self) -> &Signed {
        &self.newest
    }

    /// The other record with the same seq, if the node equivocated.
    #[must_use]
    pub fn rival(&self) -> Option<&Signed> {
        self.rival.as_ref()
    }

    /// Every record held.
    pub fn iter(&self) -> impl Iterator<Item = &Signed> {
        std::iter::once(&self.newest).chain(&self.rival)
    }

    /// Whether merging such a record would change anything.
    pub(super) fn wants(&self, claimed: &Claimed<'_>) -> bool {
        if claimed.seq() != self.newest.seq() {
            return claimed.seq() > self.newest.seq();
        }
        let content = claimed.content_hash();
        match self.iter().find(|held| *held.content_hash() == content) {
            Some(held) => claimed.as_bytes() > held.as_bytes(),
            None => self.rival.as_ref().is_none_or(|rival| content > *rival.content_hash()),
        }
    }

    /// Merges one record.
    pub fn merge(&mut self, record: Signed) {
        assert_eq!(record.node_id(), self.newest.node_id(), "records of two nodes do not join");
        if record.seq() != self.newest.seq() || planted(Bug::AcceptsEqualSeq) {
            if record.seq() >= self.newest.seq() {
                *self = Self::from(record);
            }
            return;
        }
        let mut held: Vec<Signed> = self.iter().cloned().chain([record]).collect();
        // Greatest first; of two encodings of one content the first is kept.
        held.sort_unstable_by(|a, b| b.rank().cmp(&a.rank()));
        held.dedup_by(|later, kept| later.content_hash() == kept.content_hash());
        let mut held = held.into_iter();
        self.newest = held.next().expect("three records leave one at least");
        self.rival = held.next();
    }

    /// Merges everything that another database holds of this node.
    pub fn join(&mut self, other: &Self) {
        other.iter().for_each(|record| self.merge(record.clone()));
    }
}
