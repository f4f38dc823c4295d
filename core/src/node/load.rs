//! Another manifest: whose authority ends, whose begins.

use bytes::Bytes;

use super::{Event, Node, Output, others};
use crate::cluster::{Manifest, OperatorIndex, Places};
use crate::database::{Provenance, Verdict};
use crate::mesh::{CloseReason, Disowned, Frame, Mesh, RECORDS_PER_FRAME_MAX};
use crate::planted::{Bug, planted};
use crate::record::Signed;
use crate::time::Mono;

impl Node {
    /// This manifest is in force from now on. The database forgets nothing; what else is known of
    /// an operator goes with its key to its place, or is gone with its authority.
    pub(super) fn load(&mut self, manifest: &Manifest) {
        let changes = self.manifest.changes_to(manifest);
        if *manifest == self.manifest {
            return self.emit(Event::Manifest { changes });
        }
        let before = std::mem::replace(&mut self.manifest, manifest.clone());
        let own = manifest.by_node_id(&self.identity.node_id()).map(|own| own.index);
        let had = std::mem::replace(&mut self.own_index, own);
        // Without authority of our own we grant none to anybody.
        let places = match had.and(own) {
            Some(_) => Places::between(&before, manifest),
            None => Places::default(),
        };
        let peers: Vec<_> = self.mesh.peers().map(|(_, node)| node).collect();
        self.renumber(&places);
        self.emit(Event::Manifest { changes });
        if own.is_none() {
            self.emit(Event::Unauthorised);
        }
        let is_new = |(place, node)| (!peers.contains(&node)).then_some(place);
        let added: Vec<OperatorIndex> = self.mesh.peers().filter_map(is_new).collect();
        self.learn_manifest();
        self.search_for(&added);
        self.tell_of(&added);
        if manifest.operators().len() == 1 {
            self.identity.know_floor(); // there is nobody to wait for any more
        }
        // Another quorum may see us elsewhere; and the manifest may name a record of ours that we
        // did not issue.
        self.reconsider();
    }

    /// Everything that goes by an operator's place.
    fn renumber(&mut self, places: &Places) {
        let peers = others(&self.manifest, self.own_index);
        let Disowned { links, lost } = self.mesh.load(self.now, peers, places);
        self.quotas.load(places, &self.manifest);
        self.sightings.load(places);
        self.resolver.load(places);
        self.identity.load(places, self.manifest.faults_tolerated() + 1);
        let why = CloseReason::Unauthorised;
        let links = links.into_iter().filter(|_| !planted(Bug::KeepsLinkOfDisowned));
        self.outputs.extend(links.map(|link| Output::Close { link, why }));
        lost.into_iter().for_each(|operator| self.emit(Event::Lost { operator }));
    }

    /// Takes the records that the manifest carries. What is news goes on to everybody.
    fn learn_manifest(&mut self) {
        for operator in self.manifest.operators().to_vec() {
            let before = self.database.newest(&operator.node_id).cloned();
            let record = operator.record;
            let verdict = self.database.merge(record.clone(), Provenance::Manifest, self.wall());
            if verdict != Verdict::Stale {
                self.persist(&operator.node_id);
            }
            if self.own_index.is_none() || self.own_index == Some(operator.index) {
                continue;
            }
            hint(&mut self.mesh, self.now, operator.index, &record);
            if verdict != Verdict::Stale {
                self.search_learns(&record);
                self.changed(operator.index, before.as_ref(), &record);
                self.tell_all(&record, None);
            }
        }
    }

    /// Tells our peers which manifest we have now, and what we hold of operators that are new to
    /// it: what they sent us of these before, we refused, and they may have refused what we sent.
    fn tell_of(&mut self, added: &[OperatorIndex]) {
        let hello = self.hello();
        self.mesh.say_all(&Frame::Reloaded(hello), None);
        let added = added.iter().filter_map(|added| self.manifest.get(*added));
        let newest = added.filter_map(|operator| self.database.newest(&operator.node_id));
        let records: Vec<Bytes> =
            newest.map(|record| Bytes::copy_from_slice(record.as_bytes())).collect();
        for records in records.chunks(RECORDS_PER_FRAME_MAX) {
            self.mesh.say_all(&Frame::Records(records.to_vec()), None);
        }
    }
}

/// Where a manifest's record says that an operator is. A newer record may name an address that only
/// its neighbours can reach.
pub(super) fn hint(mesh: &mut Mesh, now: Mono, operator: OperatorIndex, record: &Signed) {
    for address in record.endpoints().quic_addresses() {
        mesh.hint(now, operator, address);
    }
}
