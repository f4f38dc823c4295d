//! What a node says to its peers, and what it does about what they say: the record exchange.

use std::net::SocketAddr;

use bytes::Bytes;

use super::quota::Waiting;
use super::{Event, Node};
use crate::cluster::OperatorIndex;
use crate::count::Counter;
use crate::database::{Provenance, Verdict};
use crate::marks::{Mark, mark};
use crate::mesh::{Frame, Hello, Holding, LinkId, RECORDS_PER_FRAME_MAX};
use crate::planted::{Bug, planted};
use crate::record::{Claimed, Signed};

impl Node {
    /// A link opened: say who we are, what we hold, and where we see the peer.
    pub(super) fn greet(&mut self, link: LinkId, remote: SocketAddr) {
        let Some(dialled) = self.mesh.link(link).map(|link| link.dialled) else {
            mark(Mark::GoneBeforeGreeting);
            return; // superseded in the same breath
        };
        if !dialled && planted(Bug::SilentWhenDialled) {
            return;
        }
        let hello = self.hello();
        self.mesh.say(link, &Frame::Hello(hello));
        if !planted(Bug::KeepsSightings) {
            self.mesh.say(link, &Frame::Seen(remote));
        }
    }

    /// Who we are, and what we hold.
    pub(super) fn hello(&self) -> Hello {
        let own = match planted(Bug::GreetsBeforePersist) {
            true => self.database.newest(&self.identity.node_id()),
            false => self.published.as_ref(),
        };
        let own = own.map(Signed::as_bytes).unwrap_or_default();
        Hello {
            cluster: *self.manifest.hash(),
            record: Bytes::copy_from_slice(own),
            digest: self.shareable().map(Holding::from).collect(),
        }
    }

    /// The peer's address changed under its link: tell it.
    pub(super) fn peer_moved(&mut self, link: LinkId, remote: SocketAddr) {
        if self.mesh.link(link).is_some() {
            self.mesh.say(link, &Frame::Seen(remote));
            self.reached(link);
        }
    }

    /// The peer said hello: send what it lacks.
    pub(super) fn greeted(&mut self, link: LinkId, from: OperatorIndex, hello: Hello, first: bool) {
        self.introduced(link, from, &hello);
        let Some(remote) = self.mesh.link(link).map(|link| link.remote) else { return };
        self.reached(link);
        if first && self.searching.is_some() {
            self.resolver.linked(self.now, from, &mut self.jitter);
        }
        if first {
            self.emit(Event::Linked { operator: from, remote });
        }
        self.complete(link, from, &hello.digest);
    }

    /// The peer loaded another manifest: it lacks what it refused before.
    pub(super) fn reloaded(&mut self, link: LinkId, from: OperatorIndex, hello: &Hello) {
        self.introduced(link, from, hello);
        self.complete(link, from, &hello.digest);
    }

    fn introduced(&mut self, link: LinkId, from: OperatorIndex, hello: &Hello) {
        if hello.cluster != *self.manifest.hash() {
            self.emit(Event::OtherCluster { operator: from, theirs: hello.cluster });
        }
        if !hello.record.is_empty() {
            self.heard_records(link, from, std::slice::from_ref(&hello.record));
        }
    }

    /// Sends a peer what it lacks by its own word.
    fn complete(&mut self, link: LinkId, from: OperatorIndex, digest: &[Holding]) {
        self.heed_digest(from, digest);
        let lacks = |record: &&Signed| {
            let held = digest.iter().find(|held| held.node_id == record.node_id());
            held.is_none_or(|held| {
                (held.seq, held.content_hash) < (record.seq(), *record.content_hash())
            })
        };
        let lacking: Vec<Bytes> = self
            .shareable()
            .filter(lacks)
            .filter(|it| !planted(Bug::GreetsWithItsOwn) || self.published.as_ref() == Some(*it))
            .map(|record| Bytes::copy_from_slice(record.as_bytes()))
            .collect();
        for records in lacking.chunks(RECORDS_PER_FRAME_MAX) {
            self.mesh.say(link, &Frame::Records(records.to_vec()));
        }
    }

    /// A peer told what it holds. If it claims a record of ours that is newer than any we know, it
    /// sends it next, and that is the proof we wait for.
    fn heed_digest(&mut self, from: OperatorIndex, digest: &[Holding]) {
        let own = self.identity.node_id();
        let known = self.database.newest(&own).map_or(0, Signed::seq);
        #[cfg(feature = "planted")]
        digest.iter().filter(|it| it.node_id == own).for_each(|it| self.identity.claims(it.seq));
        let is_proof = planted(Bug::BelievesClaimedSeq);
        if is_proof || digest.iter().all(|held| held.node_id != own || held.seq <= known) {
            self.identity.vouched(from);
            self.reissue();
        }
    }

    /// A peer sent records: take those that are an operator's, signed, and news to us.
    pub(super) fn heard_records(&mut self, link: LinkId, from: OperatorIndex, records: &[Bytes]) {
        for bytes in records {
            let counter = match self.heard_record(link, from, bytes) {
                Ok(()) => Counter::RecordsAccepted,
                Err(refused) => refused,
            };
            self.count(counter);
        }
    }

    /// The cheapest check first: a signature costs more than all the others.
    fn heard_record(
        &mut self,
        link: LinkId,
        from: OperatorIndex,
        bytes: &[u8],
    ) -> Result<(), Counter> {
        let claimed = Claimed::parse(bytes).map_err(|_| Counter::RecordsInvalid)?;
        let operator = self.manifest.by_key(claimed.public_key()).ok_or(Counter::RecordsStrange)?;
        let (operator, node) = (operator.index, operator.node_id);
        if !self.database.wants(&node, &claimed) || self.quotas.holds(operator, &claimed) {
            return Err(Counter::RecordsStale);
        }
        let record = claimed.verify().map_err(|_| Counter::RecordsInvalid)?;
        let news = self.manifest.authorise(record).ok_or(Counter::RecordsStrange)?;
        assert_eq!(news.operator(), operator, "one key, one operator");
        let change = self.quotas.take(self.now, Waiting { from: Some((link, from)), news });
        self.accept(&change.ok_or(Counter::RecordsDelayed)?);
        Ok(())
    }

    /// News of an operator: keep it, tell the others, act on it.
    pub(super) fn accept(&mut self, Waiting { from, news }: &Waiting) {
        let (link, from) = from.unzip();
        let (operator, record) = (news.operator(), news.record());
        let node = record.node_id();
        let before = self.database.get(&node).map(|entry| entry.versions.clone());
        let provenance = from.map_or(Provenance::Discovery, Provenance::Peer);
        let verdict = self.database.merge(record.clone(), provenance, self.wall());
        if verdict == Verdict::Stale {
            mark(Mark::OutrunWhileWaiting);
            return; // it waited, and our own record has outrun it
        }
        if !planted(Bug::ForgetsToPersist) {
            self.persist(&node);
        }
        let flagged = before.as_ref().is_some_and(|before| before.rival().is_some());
        if verdict == Verdict::Equivocation && !flagged {
            mark(Mark::Equivocation);
            self.emit(Event::Equivocation { operator, seq: record.seq() });
        }
        if Some(operator) == self.own_index {
            // Our own signature proves how far we had come.
            from.into_iter().for_each(|from| self.identity.vouched(from));
            return self.handed_back();
        }
        if !planted(Bug::DoesNotRelay) {
            self.tell_all(record, link);
        }
        self.search_learns(record);
        let before = before.map(|before| before.newest().clone());
        self.changed(operator, before.as_ref(), record);
    }

    /// If an operator's newest record is another than before, that is where it is now.
    pub(super) fn changed(
        &mut self,
        operator: OperatorIndex,
        before: Option<&Signed>,
        record: &Signed,
    ) {
        if self.database.newest(&record.node_id()) != before {
            self.renewed(operator, before, record);
            self.emit(Event::Record { operator, record: record.clone() });
        }
    }

    /// Where an operator sees us.
    pub(super) fn seen(&mut self, link: LinkId, from: OperatorIndex, address: SocketAddr) {
        let Some(observer) = self.mesh.link(link).map(|link| link.remote) else { return };
        if !self.sightings.take(self.now, from) {
            return self.count(Counter::SightingsIgnored);
        }
        self.identity.observed(from, link, observer, address);
        self.reconsider();
    }

    /// Pushes a record to every link but the one it came over. Records are signed, so anybody may
    /// carry them.
    pub(super) fn tell_all(&mut self, record: &Signed, except: Option<LinkId>) {
        let bytes = Bytes::copy_from_slice(record.as_bytes());
        self.mesh.say_all(&Frame::Records(vec![bytes]), except);
    }

    fn renewed(&mut self, operator: OperatorIndex, before: Option<&Signed>, record: &Signed) {
        let addresses: Vec<SocketAddr> = record.endpoints().quic_addresses().collect();
        let moved = before.is_none_or(|before| {
            !before.endpoints().quic_addresses().eq(addresses.iter().copied())
        });
        self.mesh.renewed(self.now, operator, &addresses, moved);
    }

    /// Notes where the peer of a link is, once it has answered there.
    fn reached(&mut self, link: LinkId) {
        let link = self.mesh.link(link).expect("an open link");
        let node = self.manifest.get(link.operator).expect("a peer is an operator").node_id;
        let record = self.database.newest(&node).expect("the manifest's at least").clone();
        let record = self.manifest.authorise(record).expect("an operator's");
        if let Some(reachable) = link.reachable(record)
            && self.database.reached(&reachable)
        {
            self.persist(&node);
        }
    }

    /// The operators' newest records.
    pub(super) fn operators_newest(&self) -> impl Iterator<Item = &Signed> {
        let operators = self.manifest.operators().iter();
        operators.filter_map(|operator| self.database.newest(&operator.node_id))
    }

    /// The operators' newest records as others may hear of them: our own only when durable.
    fn shareable(&self) -> impl Iterator<Item = &Signed> {
        self.manifest.operators().iter().filter_map(|operator| {
            if Some(operator.index) == self.own_index {
                self.published.as_ref()
            } else {
                self.database.newest(&operator.node_id)
            }
        })
    }
}
