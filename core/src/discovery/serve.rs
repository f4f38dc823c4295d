//! Messages of nodes that have proved who they are: questions are answered, answers go to whoever
//! asked.

use bytes::Bytes;

use super::contact::Contact;
use super::message::{
    Distances, Message, NODES_RECORD_BYTES_MAX, Records, RequestId, TALK_RESPONSE_BYTES_MAX,
};
use super::request::{Body, FETCHES_MAX, NODES_PACKETS_MAX, NODES_RECORDS_MAX, Purpose};
use super::table::{Inserted, Node, Origin};
use super::talk::Opened;
use super::{Act, Answer, Discovery, Talk, relay};
use crate::count::Counter;
use crate::marks::{Mark, mark};
use crate::record::{Claimed, NodeId, Signed};
use crate::time::Mono;

/// How many records one FINDNODE is answered with, in all (R49).
pub const RECORDS_PER_ANSWER_MAX: usize = 16;

impl Discovery {
    pub(super) fn heard(&mut self, now: Mono, from: Contact, message: &Message<'_>) {
        match *message {
            Message::Ping { id, enr_seq } => {
                let pong = Message::Pong { id, enr_seq: self.own_seq(), observed: from.at };
                self.respond(from, &pong);
                self.told_seq(now, from, enr_seq);
            }
            Message::FindNode { id, distances } => self.serve_nodes(from, id, distances),
            Message::TalkRequest { id, protocol, request } => {
                self.serve_talk(now, from, id, protocol, request);
            }
            Message::Pong { id, enr_seq, observed } => {
                let Some(id) = self.asked(&from, id, |body| *body == Body::Ping) else { return };
                self.votes.vote(now, from.at.ip(), observed);
                self.acts.push_back(Act::Observed);
                self.conclude(now, id, Answer::Pong { enr_seq, observed });
                self.told_seq(now, from, enr_seq);
            }
            Message::Nodes { id, total, records } => {
                let find = |body: &Body| matches!(body, Body::FindNode(_));
                let Some(id) = self.asked(&from, id, find) else { return };
                self.take_nodes(now, from, id, total, records);
            }
            Message::TalkResponse { id, response } => {
                let talk = |body: &Body| matches!(body, Body::Talk { .. });
                let Some(id) = self.asked(&from, id, talk) else { return };
                let answer = Answer::Talk(Bytes::copy_from_slice(response));
                self.conclude(now, id, answer);
            }
        }
    }

    /// The request that a response belongs to (R58): asked of this contact, and of this kind.
    fn asked(
        &mut self,
        from: &Contact,
        id: RequestId,
        is_kind: impl Fn(&Body) -> bool,
    ) -> Option<u64> {
        let ours = number(id).and_then(|id| Some((id, self.requests.get(id)?)));
        let ours = ours.filter(|(_, request)| request.to == *from && is_kind(&request.body));
        let ours = ours.map(|(id, _)| id);
        if ours.is_none() {
            self.count(Counter::ResponsesUnasked);
        }
        ours
    }

    /// A node has shaken hands with us: it may belong into the table, and its record may be news.
    pub(super) fn met(&mut self, now: Mono, contact: Contact, record: &Signed) {
        self.seen(record);
        // Only where the record itself says that it answers: an address that it has not proved
        // would have us probe somebody else.
        if record.endpoints().udp_addresses().any(|at| at == contact.at) {
            let origin = self.origin(&contact);
            let inserted = self.table.insert(now, record.clone(), contact.at, origin);
            self.table.came_from(now, &contact.id, contact.at);
            // Who waits for a place is pinged back as well (R81): whoever answers is preferred when
            // there is one.
            if inserted == Inserted::Waiting && !self.requests.is_busy(&contact) {
                self.ask(now, record.clone(), contact.at, Body::Ping, Purpose::Check);
            }
        }
    }

    /// A node says how far its record has come: fetch what is newer than ours (R70).
    fn told_seq(&mut self, now: Mono, from: Contact, enr_seq: u64) {
        // Mostly it is the record that the session began with.
        if self.sessions.peek(&from).is_some_and(|session| session.record.seq() >= enr_seq) {
            return;
        }
        let Some(known) = self.known(&from) else { return };
        let room = self.requests.fetching() < FETCHES_MAX;
        if room && enr_seq > known.seq() && !self.requests.has(&from, Purpose::Fetch) {
            mark(Mark::FetchesNewer);
            self.ask(now, known, from.at, Body::FindNode(vec![0]), Purpose::Fetch);
        }
    }

    /// NODES: our own current record at distance 0 (R48), and of the others only those that
    /// answered (R53), as far as the asker can reach them (R55), in the order asked. The asker's own
    /// record among them: who lost its data learns from it how far its seq had come.
    fn serve_nodes(&mut self, to: Contact, id: RequestId, distances: Distances<'_>) {
        let own = distances.iter().any(|distance| distance == 0);
        let own = own.then(|| self.own.clone()).flatten();
        let room = RECORDS_PER_ANSWER_MAX - usize::from(own.is_some());
        let others = distances.iter().filter(|distance| *distance != 0);
        let others = self.table.at_distances(others, to.at.ip(), room);
        let answered = |it: &Signed| self.table.get(&it.node_id()).is_some_and(Node::is_verified);
        assert!(others.iter().all(answered), "a node that never answered is told of");
        let records: Vec<Signed> = own.into_iter().chain(others).collect();
        let packets = pack(&records);
        let total = packets.len() as u64;
        for packet in packets {
            let records = Records::from(packet);
            self.respond(to, &Message::Nodes { id, total, records });
        }
    }

    /// TALKREQ: the application answers, if it knows the protocol and has not too much to do;
    /// otherwise we do, with nothing (R56).
    fn serve_talk(
        &mut self,
        now: Mono,
        from: Contact,
        id: RequestId,
        protocol: &[u8],
        request: &[u8],
    ) {
        let registered = self.protocols.iter().find(|registered| **registered == protocol);
        let Some(protocol) = registered.cloned() else {
            return self.respond(from, &Message::TalkResponse { id, response: &[] });
        };
        match self.talks.open(now, from, id) {
            Opened::New => {
                let request = Bytes::copy_from_slice(request);
                self.acts.push_back(Act::Talk(Talk { from, id, protocol, request }));
            }
            Opened::Again => {}
            Opened::Full => self.leave_unanswered(from, id),
        }
    }

    /// The application does not answer a TALKREQ.
    pub(super) fn leave_unanswered(&mut self, from: Contact, id: RequestId) {
        self.respond(from, &Message::TalkResponse { id, response: &[] });
        self.count(Counter::TalksUnanswered);
    }

    /// Answers a TALKREQ, unless it was answered already: by us, if it took too long. What is too
    /// long for a packet is cut to nothing: the asker sees an empty answer rather than half of one
    /// (R57).
    pub fn talk_back(&mut self, talk: &Talk, response: &[u8]) {
        if !self.talks.close(talk.from, talk.id) {
            return;
        }
        let fits = response.len() <= TALK_RESPONSE_BYTES_MAX;
        let response = if fits { response } else { &[] };
        self.respond(talk.from, &Message::TalkResponse { id: talk.id, response });
    }

    /// One packet of a NODES answer: what of it counts is kept until the last has come.
    fn take_nodes(&mut self, now: Mono, from: Contact, id: u64, total: u64, records: Records<'_>) {
        let total = total.clamp(1, NODES_PACKETS_MAX);
        let request = self.requests.get_mut(id).expect("a request that was just found");
        request.packets += 1;
        let last = request.packets >= total;
        let Body::FindNode(asked) = &request.body else { unreachable!("a FINDNODE was found") };
        let asked = asked.clone();
        // Bad ones count too: they cost as much as good ones.
        let room = NODES_RECORDS_MAX.saturating_sub(request.received);
        request.received += records.iter().count();
        for bytes in records.iter().take(room) {
            let Some(record) = self.take_record(now, &from, &asked, bytes) else { continue };
            let request = self.requests.get_mut(id).expect("it has not ended yet");
            if request.records.iter().all(|held| held.node_id() != record.node_id()) {
                request.records.push(record);
            }
        }
        if last {
            let request = self.requests.get_mut(id).expect("it has not ended yet");
            let records = std::mem::take(&mut request.records);
            self.conclude(now, id, Answer::Nodes(records));
        }
    }

    /// One record of a NODES answer, if it counts (R52): at a distance that was asked for, with a
    /// good signature, and naming an endpoint that can be where the answerer says.
    fn take_record(
        &mut self,
        now: Mono,
        from: &Contact,
        asked: &[u16],
        bytes: &[u8],
    ) -> Option<Signed> {
        let wanted = |node: &NodeId| asked.contains(&node.log_distance(&from.id));
        let claimed = Claimed::parse(bytes).ok();
        let verified = claimed.and_then(|claimed| self.memory.verify(&claimed, wanted).ok()?);
        let Some(record) = verified else {
            self.count(Counter::RecordsInvalid);
            return None;
        };
        self.seen(&record);
        if record.node_id() == self.id {
            return None;
        }
        if record.node_id() == from.id
            && let Some(session) = self.sessions.get(from)
            && session.record.seq() < record.seq()
        {
            session.record = record.clone();
        }
        let at = self.at(&record)?;
        let its_own = record.node_id() == from.id;
        if relay::may_accept(at.ip(), from.at.ip()) {
            let origin = if its_own { self.origin(from) } else { Origin::Told(from.at) };
            self.table.insert(now, record.clone(), at, origin);
        } else if !its_own {
            return None;
        }
        Some(record)
    }

    /// How a node is known that nobody but itself told of: whoever connects must not become a node
    /// that others told of by telling us its own record.
    pub(super) fn origin(&self, node: &Contact) -> Origin {
        let known = self.watched.contains(&node.id) || self.is_seed(node);
        if known { Origin::Found } else { Origin::Inbound }
    }
}

/// The number of a request of ours: we number them with 8 bytes, and no peer changes that (R44).
fn number(id: RequestId) -> Option<u64> {
    id.as_bytes().try_into().ok().map(u64::from_be_bytes)
}

/// Cuts records into packets, as many into each as fit; one packet at least (R50).
fn pack(mut records: &[Signed]) -> Vec<&[Signed]> {
    let mut packets = Vec::new();
    loop {
        let mut room = NODES_RECORD_BYTES_MAX;
        let fits = records.iter().take_while(|record| {
            let size = record.as_bytes().len();
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        });
        let (packet, rest) = records.split_at(fits.count());
        packets.push(packet);
        if rest.is_empty() {
            return packets;
        }
        records = rest;
    }
}
