//! A model that never saw the protocol: who exists, who runs, where, and what has been seen of
//! whom. It says in a sentence what is wrong.
//!
//! Safety, after every event: no sequence number of a node's own record ever stands for two
//! contents; a record is durable at its signer before anybody else holds it, or can; a database
//! never goes back and never drops a record, but for what was not durable in a crash, and for a
//! lost disk; whatever it takes it wants stored at once; no operator has a link to anybody but an
//! operator of the manifest in force there, itself named in it; no operator's record names an address
//! but one of its own interfaces or of its configuration, one at which f + 1 operators saw it, or one
//! from which it has sent to as many as strangers must agree; it names none of an interface that it
//! knows to be gone, if it has another; an operator holds records of operators only, and no more links
//! than the core allows; two honest ones never say that the other broke the protocol, nor close each
//! other's links so that none is left; nobody wakes more than a thousand times in a second.
//!
//! In time, whenever that is ([`Oracle::on_time`]): whoever lost a link dials where it reached the
//! other last, whoever moved is linked again, and whoever discovers looks for those whom it has lost,
//! and now and then for all others.
//!
//! A Byzantine operator may sign and say what it likes; what the others make of it is held to the
//! same.
//!
//! Liveness, when asked: see [`Oracle::verdict`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stayfound_core::cluster::OperatorIndex;
use stayfound_core::database::{Database, Row};
use stayfound_core::keys::PublicKey;
use stayfound_core::mesh::LINKS_PER_PEER_MAX;
use stayfound_core::node::{LinkId, Ticket};
use stayfound_core::record::{NodeId, Signed};

use crate::event::HostId;
use crate::moment::Moment;

mod deadlines;
mod dialling;
mod finding;
mod health;
mod own;
mod parting;
mod places;
mod reach;
mod searching;

use dialling::Dialling;
pub use finding::{Finding, Kind};
use parting::Parting;
use places::Places;
pub use reach::{Owed, Reach};
use searching::Searching;

/// What can be seen of one running node.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Everything that it holds.
    pub database: &'a Database,
    /// Its own record, as others may hear of it.
    pub own: Option<&'a Signed>,
    /// The links over which a peer has said hello.
    pub links: &'a [(OperatorIndex, LinkId)],
}

/// How often a node may want to be woken within a second: more is a loop, not work. (Discovery has
/// some hundreds of requests under way at most, each with a deadline.)
const WAKES_MAX: u32 = 1_000;

/// The model.
#[derive(Default)]
pub struct Oracle {
    subjects: Vec<Subject>,
    /// How many of the subjects, from the first, are operators.
    operators: usize,
    /// What each sequence number of each node stands for.
    contents: BTreeMap<(NodeId, u64), [u8; 32]>,
    /// Every record that has been durable at its signer, and when that was first.
    durable: BTreeMap<(NodeId, [u8; 32]), Moment>,
    /// When an end of the last link between two subjects closed.
    parted: BTreeMap<(usize, usize), Moment>,
    /// Where operators have been.
    places: Places,
    /// Whom they must dial, whom they must look for, and how they part.
    dialling: Dialling,
    searching: Searching,
    parting: Parting,
    /// What the network allows.
    pub reach: Reach,
}

struct Subject {
    key: PublicKey,
    node_id: NodeId,
    /// Whom the manifest in force there names, by place; all operators if that was not said.
    named: Option<Vec<usize>>,
    /// The newest record of each node that it was seen to hold.
    held: BTreeMap<NodeId, Signed>,
    /// The same, as far as it is durable.
    stored: BTreeMap<NodeId, Signed>,
    writes: VecDeque<Write>,
    /// Whose rows it wanted written in the present event.
    asked: BTreeSet<NodeId>,
    /// Its ends of open links.
    links: BTreeMap<LinkId, End>,
    /// Whether its operator is Byzantine.
    traitor: bool,
    /// The record of its own that it showed last.
    shown: Option<Signed>,
    /// Since when wakes are counted, and how many there were: see [`WAKES_MAX`].
    wakes: (Moment, u32),
}

/// An end of an open link.
struct End {
    /// Whose key the far end proved, and who that is.
    peer: PublicKey,
    far: Option<usize>,
    /// Where the far end is seen.
    remote: Option<SocketAddr>,
    /// Whether it has said hello.
    greeted: bool,
}

struct Write {
    ticket: Ticket,
    key: NodeId,
    /// The record in the row. Unknown (`None`) if the same event wrote the row again.
    record: Option<Signed>,
}

impl Oracle {
    /// An operator, with its record in the manifest; operators come before strangers.
    pub fn add_operator(&mut self, listed: &Signed) {
        assert_eq!(self.operators, self.subjects.len(), "operators come first");
        self.operators += 1;
        self.add(*listed.public_key(), listed.node_id());
        let (node, content) = (listed.node_id(), *listed.content_hash());
        self.contents.insert((node, listed.seq()), content);
        self.durable.insert((node, content), Moment::default());
    }

    /// Somebody who is no operator of the cluster.
    pub fn add_stranger(&mut self, key: PublicKey) {
        self.add(key, NodeId::of(&key.point()));
    }

    fn add(&mut self, key: PublicKey, node_id: NodeId) {
        self.subjects.push(Subject {
            key,
            node_id,
            named: None,
            held: BTreeMap::new(),
            stored: BTreeMap::new(),
            writes: VecDeque::new(),
            asked: BTreeSet::new(),
            links: BTreeMap::new(),
            traitor: false,
            shown: None,
            wakes: (Moment::default(), 0),
        });
    }

    /// An operator is Byzantine from now on.
    pub fn turned(&mut self, host: HostId) {
        self.subjects[host.0].traitor = true;
        self.rests(host);
        self.search_ends(host);
    }

    /// Operators discover.
    pub fn add_discovery(&mut self) {
        self.reach.add_discovery();
        self.searching.discovers = true;
    }

    /// The configuration of an operator says that it is at these addresses.
    pub fn configured(&mut self, host: HostId, at: impl IntoIterator<Item = SocketAddr>) {
        self.places.says(host.0, at);
    }

    /// The interfaces of an operator have these addresses.
    pub fn attached(&mut self, host: HostId, interfaces: impl IntoIterator<Item = IpAddr>) {
        self.places.has(host.0, interfaces);
    }

    /// The far end of a link is seen at this address.
    pub fn link_seen(&mut self, host: HostId, link: LinkId, remote: SocketAddr) {
        let Some(end) = self.subjects[host.0].links.get_mut(&link) else { return };
        end.remote = Some(remote);
        let greeted = end.greeted;
        if let Some(far) = end.far.filter(|far| host.0.max(*far) < self.operators) {
            self.places.seen(far, remote, host.0);
            if greeted {
                self.reaches(host, far, remote);
            }
        }
    }

    /// An operator sends somebody a datagram, who sees it come from this address.
    pub fn datagram_seen(&mut self, sender: HostId, from: SocketAddr, to: SocketAddr) {
        if sender.0 < self.operators {
            self.places.sent(sender.0, from, to.ip());
        }
    }

    /// The manifest in force at a host names these, by place.
    pub fn loaded(&mut self, host: HostId, named: &[HostId]) {
        self.subjects[host.0].named = Some(named.iter().map(|host| host.0).collect());
        self.dials_by_manifest(host);
        self.search_by_manifest(host);
    }

    /// Who has this place in the manifest in force at a host.
    fn at_place(&self, host: HostId, place: usize) -> Option<usize> {
        match &self.subjects[host.0].named {
            Some(named) => named.get(place).copied(),
            None => Some(place).filter(|place| *place < self.operators),
        }
    }

    /// Whose place a host is at another's, by the manifest in force there.
    fn place_of(&self, host: HostId, other: usize) -> Option<usize> {
        (0..self.operators).find(|place| self.at_place(host, *place) == Some(other))
    }

    /// Whether an operator may have a link with another by the manifest in force there: it names
    /// both.
    fn grants(&self, host: HostId, other: usize) -> bool {
        let named = |who| self.place_of(host, who).is_some();
        host.0 != other && named(host.0) && named(other)
    }

    /// A process started, and this is what it read from its disk.
    ///
    /// # Errors
    /// If it lacks something that was durable.
    pub fn started(
        &mut self,
        now: Moment,
        host: HostId,
        database: &Database,
    ) -> Result<(), Finding> {
        let name = self.name(host);
        let subject = &mut self.subjects[host.0];
        went_on(&subject.stored, database)
            .map_err(|what| Finding::safety(now, format!("{name} {what} after a restart")))?;
        // What it read may be more than was known to be durable.
        let read = database.iter().map(|(node, entry)| (*node, entry.versions.newest().clone()));
        subject.held = read.collect();
        subject.asked.clear();
        Ok(())
    }

    /// A process died. Its writes that had reached the disk were reported before.
    pub fn died(&mut self, now: Moment, host: HostId) {
        let subject = &mut self.subjects[host.0];
        subject.writes.clear();
        for link in subject.links.keys().copied().collect::<Vec<_>>() {
            self.link_closed(now, host, link);
        }
        self.rests(host);
        self.search_ends(host);
        self.places.knows_no_interface(host.0);
    }

    /// A disk holds this from now on, whatever was written to it.
    pub fn holds<'a>(&mut self, host: HostId, rows: impl Iterator<Item = &'a Row>) {
        let (database, _) = Database::load(rows);
        let stored = database.iter().map(|(node, entry)| (*node, entry.versions.newest().clone()));
        self.subjects[host.0].stored = stored.collect();
    }

    /// A node asked for a write.
    pub fn wrote(&mut self, host: HostId, ticket: Ticket, row: &Row) {
        let subject = &mut self.subjects[host.0];
        // The database says after the event what the last write of a row held. What the writes
        // before it held matters for a node's own record only, and reading a row is expensive.
        let record = (row.key == subject.node_id).then(|| {
            let (database, _) = Database::load(std::slice::from_ref(row));
            database.newest(&row.key).cloned()
        });
        subject.asked.insert(row.key);
        subject.writes.push_back(Write { ticket, key: row.key, record: record.flatten() });
    }

    /// A node is woken at a time that it asked for.
    ///
    /// # Errors
    /// If it asks for that without end.
    pub fn woke(&mut self, now: Moment, host: HostId) -> Result<(), Finding> {
        let (since, wakes) = &mut self.subjects[host.0].wakes;
        if now >= *since + Duration::from_secs(1) {
            (*since, *wakes) = (now, 0);
        }
        *wakes += 1;
        if *wakes > WAKES_MAX {
            let sentence = format!("{} wakes without end", self.name(host));
            return Err(Finding::safety(now, sentence));
        }
        Ok(())
    }

    /// Writes up to this one are durable.
    pub fn durable(&mut self, now: Moment, host: HostId, ticket: Ticket) {
        let subject = &mut self.subjects[host.0];
        let many = subject.writes.iter().take_while(|write| write.ticket <= ticket).count();
        for write in subject.writes.drain(..many) {
            let Some(record) = write.record else { continue };
            if write.key == subject.node_id {
                let proof = (write.key, *record.content_hash());
                self.durable.entry(proof).or_insert(now);
            }
            subject.stored.insert(write.key, record);
        }
    }

    /// A node says something to somebody.
    ///
    /// # Errors
    /// If it carries a record of its own that is not durable.
    pub fn said(&mut self, now: Moment, host: HostId, bytes: &[u8]) -> Result<(), Finding> {
        let subject = &self.subjects[host.0];
        if subject.traitor {
            return Ok(());
        }
        let own = |write: &&Write| write.key == subject.node_id;
        for record in subject.writes.iter().filter(own).filter_map(|write| write.record.as_ref()) {
            let unknown = !self.durable.contains_key(&(record.node_id(), *record.content_hash()));
            let needle = record.as_bytes();
            if unknown && bytes.windows(needle.len()).any(|window| window == needle) {
                let (who, seq) = (self.name(host), record.seq());
                let sentence = format!("{who} says its record with seq {seq} before it is durable");
                return Err(Finding::safety(now, sentence));
            }
        }
        Ok(())
    }

    /// An end of a link opened. (Whether the manifest in force there names the far end is looked at
    /// after the event: it may be another than when the handshake began.)
    ///
    /// # Errors
    /// If it is an operator's and the far end no other operator's.
    pub fn link_opened(
        &mut self,
        now: Moment,
        host: HostId,
        link: LinkId,
        peer: PublicKey,
    ) -> Result<(), Finding> {
        let far = self.subjects.iter().position(|subject| subject.key == peer);
        let end = End { peer, far, remote: None, greeted: false };
        self.subjects[host.0].links.insert(link, end);
        far.into_iter().for_each(|far| self.meets(host, far));
        let fit = far.is_some_and(|far| far < self.operators && far != host.0);
        if host.0 < self.operators && !fit {
            let far = far.map_or("an unknown key".into(), |far| self.name(HostId(far)));
            let sentence = format!("{} has a link to {far}", self.name(host));
            return Err(Finding::safety(now, sentence));
        }
        Ok(())
    }

    /// An end of a link closed.
    pub fn link_closed(&mut self, now: Moment, host: HostId, link: LinkId) {
        let links = &mut self.subjects[host.0].links;
        let Some(far) = links.remove(&link).and_then(|end| end.far) else { return };
        self.parted.insert((host.0.min(far), host.0.max(far)), now);
        if links.values().all(|end| end.far != Some(far)) {
            self.parts(now, host, far);
            self.search_parts(now, host, far);
        }
    }

    /// Looks at a node after an event of its own.
    ///
    /// # Errors
    /// Whatever must never be.
    pub fn observe(&mut self, now: Moment, host: HostId, view: View<'_>) -> Result<(), Finding> {
        self.observe_database(host, view.database)
            .and_then(|()| self.observe_own(host, view.own))
            .and_then(|()| self.observe_links(host, view.links))
            .map_err(|sentence| Finding::safety(now, sentence))?;
        self.observe_hellos(now, host, view.links);
        Ok(())
    }

    fn observe_database(&mut self, host: HostId, database: &Database) -> Result<(), String> {
        went_on(&self.subjects[host.0].held, database)
            .map_err(|what| format!("{} {what}", self.name(host)))?;
        for (node, entry) in database.iter() {
            let subject = &self.subjects[host.0];
            if subject.held.get(node) == Some(entry.versions.newest()) {
                continue;
            }
            let own = *node == subject.node_id;
            self.observe_holding(host, node)?;
            // What a node has not published yet, nobody has seen.
            for record in entry.versions.iter().filter(|_| !own) {
                self.observe_record(host, record)?;
            }
            let newest = entry.versions.newest().clone();
            let subject = &mut self.subjects[host.0];
            if !subject.asked.contains(node) {
                let (name, seq) = (self.name(host), newest.seq());
                return Err(format!(
                    "{name} took seq {seq} of {node:#} and did not want it stored"
                ));
            }
            subject.held.insert(*node, newest);
        }
        let subject = &mut self.subjects[host.0];
        subject.asked.clear();
        let mut seen = BTreeSet::new();
        for write in subject.writes.iter_mut().rev() {
            // Writes of earlier events are settled: the newest of each row is looked at once.
            if !seen.insert(write.key) || write.record.is_some() {
                continue;
            }
            write.record = subject.held.get(&write.key).cloned();
        }
        Ok(())
    }

    /// An operator holds something of this node: a database that takes anybody's records has no
    /// bound.
    fn observe_holding(&self, holder: HostId, node: &NodeId) -> Result<(), String> {
        let operators = &self.subjects[..self.operators];
        if holder.0 < self.operators && operators.iter().all(|it| it.node_id != *node) {
            let name = self.name(holder);
            return Err(format!("{name} holds a record of {node:#}, which is no operator"));
        }
        Ok(())
    }

    /// Somebody holds this record of somebody else, or its signer shows it.
    fn observe_record(&mut self, holder: HostId, record: &Signed) -> Result<(), String> {
        let (node, seq, content) = (record.node_id(), record.seq(), *record.content_hash());
        if self.subjects.iter().any(|it| it.node_id == node && it.traitor) {
            return Ok(());
        }
        let once = *self.contents.entry((node, seq)).or_insert(content) == content;
        if once && self.durable.contains_key(&(node, content)) {
            return Ok(());
        }
        let signer = self.subjects.iter().position(|subject| subject.node_id == node);
        let signer = signer.map_or(format!("{node:#}"), |signer| self.name(HostId(signer)));
        if !once {
            return Err(format!("{signer} has signed two different records with seq {seq}"));
        }
        Err(format!(
            "{} holds {signer}'s record with seq {seq}, which was never durable there",
            self.name(holder)
        ))
    }

    fn observe_links(&self, host: HostId, links: &[(OperatorIndex, LinkId)]) -> Result<(), String> {
        if host.0 >= self.operators {
            return Ok(()); // a stranger may believe what it likes
        }
        let open = &self.subjects[host.0].links;
        if links.len() > LINKS_PER_PEER_MAX * self.operators {
            return Err(format!("{} keeps {} links", self.name(host), links.len()));
        }
        for (link, End { far, .. }) in open {
            if !far.is_some_and(|far| self.grants(host, far)) {
                let far = far.map_or("an unknown key".into(), |far| self.name(HostId(far)));
                let name = self.name(host);
                return Err(format!(
                    "{name} keeps link {} to {far} against the manifest in force",
                    link.0
                ));
            }
        }
        for (operator, link) in links {
            let peer = self.at_place(host, usize::from(operator.0));
            let peer = peer.map(|peer| self.subjects[peer].key);
            if peer.is_none() || open.get(link).map(|end| end.peer) != peer {
                let name = self.name(host);
                return Err(format!(
                    "{name} believes that link {} is open to operator {operator}",
                    link.0
                ));
            }
        }
        Ok(())
    }

    /// Over which links a far end has said hello that it had not before.
    fn observe_hellos(&mut self, now: Moment, host: HostId, links: &[(OperatorIndex, LinkId)]) {
        for (_, link) in links {
            let Some(end) = self.subjects[host.0].links.get_mut(link) else { continue };
            let (greeted, remote) = (std::mem::replace(&mut end.greeted, true), end.remote);
            if let Some((far, remote)) = end.far.filter(|_| !greeted).zip(remote) {
                self.reaches(host, far, remote);
                self.search_greets(now, host, far);
            }
        }
    }

    /// How many operators there are.
    #[must_use]
    pub fn operators(&self) -> usize {
        self.operators
    }

    /// What a host is called.
    #[must_use]
    pub fn name(&self, host: HostId) -> String {
        match host.0.checked_sub(self.operators) {
            None => format!("operator {}", host.0),
            Some(stranger) => format!("stranger {stranger}"),
        }
    }
}

/// Whether a database holds everything that was held before, or something newer; if not, what it
/// did.
fn went_on(held: &BTreeMap<NodeId, Signed>, database: &Database) -> Result<(), String> {
    for (node, before) in held {
        let had = before.seq();
        let Some(now) = database.newest(node) else {
            return Err(format!("dropped the record of {node:#} (seq {had})"));
        };
        if now != before && now.rank() < before.rank() {
            return Err(format!("went back from seq {had} to {} of {node:#}", now.seq()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
