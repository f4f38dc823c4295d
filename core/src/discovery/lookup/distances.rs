//! Which buckets a peer is asked for.

use std::ops::Deref;

use crate::discovery::table::DISTANCE_MAX;
use crate::record::NodeId;

/// How many distances one FINDNODE of a lookup asks for.
pub const DISTANCES: usize = 3;

/// The distances of one FINDNODE, in the order in which they are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distances {
    list: [u16; DISTANCES],
    len: usize,
}

impl Distances {
    /// For a lookup of `target`: the target's own bucket of the peer, then its neighbours, the
    /// farther one first (R84). The target itself is asked for its record: distance 0.
    #[must_use]
    pub fn towards(target: &NodeId, peer: &NodeId) -> Self {
        let distance = peer.log_distance(target);
        if distance == 0 {
            return Self::only(0);
        }
        let neighbours =
            (1..=DISTANCE_MAX).flat_map(|i| [distance + i, distance.saturating_sub(i)]);
        let valid = neighbours.filter(|distance| (1..=DISTANCE_MAX).contains(distance));
        let mut list = std::iter::once(distance).chain(valid);
        let list = std::array::from_fn(|_| list.next().expect("there are 256 distances"));
        Self { list, len: DISTANCES }
    }

    /// This distance alone.
    #[must_use]
    pub fn only(distance: u16) -> Self {
        Self { list: [distance; DISTANCES], len: 1 }
    }
}

impl Deref for Distances {
    type Target = [u16];

    fn deref(&self) -> &[u16] {
        &self.list[..self.len]
    }
}
