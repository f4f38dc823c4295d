//! Another manifest: which links stay, which go, and who is dialled.

use super::{LinkId, Mesh, Peer};
use crate::cluster::{Operator, OperatorIndex, Places};
use crate::time::Mono;

/// What a new manifest left without authority, to be closed and told.
pub(crate) struct Disowned {
    /// Links of keys that are no operators' any more.
    pub(crate) links: Vec<LinkId>,
    /// Who was linked, by its place in the manifest before.
    pub(crate) lost: Vec<OperatorIndex>,
}

impl Mesh {
    /// Our peers are these from now on. Of those that stay, links and dials go on under their new
    /// index; who is new is dialled at once. Whoever takes a place over may answer where the one
    /// before was said to: the hints of the place stay with it.
    pub(crate) fn load<'a>(
        &mut self,
        now: Mono,
        others: impl Iterator<Item = &'a Operator>,
        places: &Places,
    ) -> Disowned {
        assert!(self.actions.is_empty(), "what is left undone names operators by their old places");
        let gone = places.renumber(&mut self.peers);
        for operator in others {
            let hints = gone.get(&operator.index).map(|before| before.hints.clone());
            let peer = self.peers.entry(operator.index);
            let peer = peer.or_insert_with(|| Peer::new(operator, now, hints.unwrap_or_default()));
            assert_eq!(peer.node_id, operator.node_id, "a key kept what was another's");
        }
        let renumber = |place: &mut OperatorIndex| match places.of(*place) {
            Some(new) => {
                *place = new;
                true
            }
            None => false,
        };
        self.dials.retain(|_, operator| renumber(operator));
        let open: Vec<LinkId> = self.links.keys().copied().collect();
        self.links.retain(|_, link| renumber(&mut link.operator));
        let links = open.into_iter().filter(|id| !self.links.contains_key(id)).collect();
        let lost = gone.into_iter().filter(|(_, peer)| peer.linked).map(|(place, _)| place);
        Disowned { links, lost: lost.collect() }
    }
}
