//! Records that were verified before: the same record arrives from many peers, and its signature
//! costs more than everything else about it.

use std::collections::BTreeMap;

use super::{Claimed, Identified, NodeId, RecordError, Signed};
use crate::lru::Lru;

/// How many records are remembered, of as many nodes.
pub const RECORDS_REMEMBERED_MAX: usize = 1024;

/// The newest verified record of each of the nodes that were heard of last. A verdict is a pure
/// function of the bytes, so forgetting one costs time only.
pub(crate) struct Memory {
    by_key: Lru<[u8; 33], Signed>,
    keys: BTreeMap<NodeId, [u8; 33]>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { by_key: Lru::new(RECORDS_REMEMBERED_MAX), keys: BTreeMap::new() }
    }
}

impl Memory {
    /// The newest remembered record of a node.
    pub(crate) fn get(&self, node: &NodeId) -> Option<&Signed> {
        self.by_key.peek(self.keys.get(node)?)
    }

    /// Verifies a record of a node that is wanted (`None` otherwise), the cheapest check first, and
    /// remembers it. A record older than what is remembered of its node is not verified: the newer
    /// one is answered in its place.
    ///
    /// # Errors
    /// [`RecordError::Key`] or [`RecordError::Signature`]; nothing is remembered then.
    pub(crate) fn verify(
        &mut self,
        claimed: &Claimed<'_>,
        wanted: impl FnOnce(&NodeId) -> bool,
    ) -> Result<Option<Signed>, RecordError> {
        if let Some(known) = self.by_key.get(claimed.public_key()) {
            if !wanted(&known.node_id()) {
                return Ok(None);
            }
            if known.seq() > claimed.seq() || known.as_bytes() == claimed.as_bytes() {
                return Ok(Some(known.clone()));
            }
            return self.verify_new(claimed.identify()?).map(Some);
        }
        let identified = claimed.identify()?;
        if !wanted(&identified.node_id()) {
            return Ok(None);
        }
        self.verify_new(identified).map(Some)
    }

    fn verify_new(&mut self, identified: Identified<'_>) -> Result<Signed, RecordError> {
        let record = identified.verify()?;
        self.remember(&record);
        Ok(record)
    }

    /// Remembers a record, if it is newer than what is remembered of its node.
    pub(crate) fn remember(&mut self, record: &Signed) {
        let key = *record.public_key().as_bytes();
        if self.by_key.get(&key).is_some_and(|known| known.rank() >= record.rank()) {
            return;
        }
        if let Some((_, forgotten)) = self.by_key.insert(key, record.clone()) {
            self.keys.remove(&forgotten.node_id());
        }
        self.keys.insert(record.node_id(), key);
        debug_assert_eq!(self.by_key.len(), self.keys.len());
    }
}
