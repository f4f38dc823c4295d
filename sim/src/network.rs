//! The network, as seen from above the QUIC session: links open, carry bytes, follow a moving
//! dialler, close and fail, each after a latency.
//!
//! What is modelled, and what the real transport does to deserve it:
//!
//! * A dial reaches whoever has the address now. The dialler's side opens after one round trip,
//!   the acceptor's half a round trip later: with mutual TLS 1.3 the dialler is done before its
//!   own certificate has been judged. Each side refuses a key that its node does not admit; the
//!   dialler also refuses any key but the one that it expected.
//! * Nobody at the address, or a lost answer: the dial fails after [`DIAL_TIMEOUT`].
//! * Bytes are in order per link and direction. Loss delays them.
//! * A dialler that moves keeps its links once a packet from its new address arrives (with its
//!   next bytes or its next keep-alive); an acceptor that moves loses them, because a QUIC client
//!   drops packets from another address than it dialled. A crash is silent.
//! * Whoever hears nothing on a link for [`IDLE_TIMEOUT`] closes it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::chance::{Chance, Stream};
use stayfound_core::keys::PublicKey;
use stayfound_core::node::{DialId, Input, LinkId};

use crate::event::{Event, HostId};
use crate::moment::Moment;
use crate::queue::Queue;

mod link;
mod path;

pub use link::Side;
use link::{End, EndState, Link};
use path::Paths;
pub use path::{Latency, Loss};

/// How long a dial waits for an answer.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a link may be silent before an end gives it up.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an end of a link that has nothing to say says so.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A link or an attempt to open one, numbered through the life of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wire(u64);

/// What is under way in the network.
#[derive(Clone, Copy, Debug)]
pub enum Due {
    /// The first flight of a handshake arrives at the address that was dialled.
    Hello(Wire),
    /// The acceptor's flight, with its certificate, arrives at the dialler.
    Answer(Wire),
    /// The dialler's certificate arrives at the acceptor.
    Finish(Wire),
    /// The dialler waits no longer.
    GiveUp(Wire),
    /// The next bytes from this side arrive at the other.
    Bytes(Wire, Side),
    /// A packet arrives from the dialler's new address.
    Rebind(Wire, SocketAddr),
    /// The notice that this side has closed arrives at the other.
    Closing(Wire, Side),
    /// This side has heard nothing since the outage of this number began.
    Idle(Wire, Side, u32),
}

/// Something that reaches a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// On which host.
    pub host: HostId,
    /// What.
    pub what: Arrival,
}

/// What reaches a process: the inputs of a node that come from the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A link opened.
    Opened {
        /// Its number at this end.
        link: LinkId,
        /// Whose key the far end proved.
        peer: PublicKey,
        /// Where the far end is seen.
        remote: SocketAddr,
        /// The dial that it answers.
        dial: Option<DialId>,
    },
    /// A dial came to nothing.
    DialFailed(DialId),
    /// Bytes.
    Bytes(LinkId, Bytes),
    /// The far end is seen elsewhere now.
    Moved(LinkId, SocketAddr),
    /// The link is gone.
    Closed(LinkId),
}

/// A node named a link that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchLink(pub LinkId);

/// A link that is open at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLink {
    /// The dialler and its number for the link, then the acceptor and its own.
    pub ends: [(HostId, LinkId); 2],
    /// Whether bytes get through at this moment.
    pub works: bool,
}

/// The network.
pub struct Network {
    paths: Paths,
    sites: Vec<Site>,
    at: BTreeMap<SocketAddr, HostId>,
    links: BTreeMap<Wire, Link>,
    wires: u64,
    deliveries: VecDeque<Delivery>,
}

/// What the network knows of one host.
struct Site {
    key: PublicKey,
    address: Option<SocketAddr>,
    /// The number of its running process.
    process: Option<u32>,
    links: BTreeMap<LinkId, (Wire, Side)>,
    links_opened: u64,
    chance: Stream,
}

impl Arrival {
    /// As the node's driver puts it.
    #[must_use]
    pub fn input(&self) -> Input<'_> {
        match self {
            Self::Opened { link, peer, remote, dial } => {
                Input::LinkOpened { link: *link, peer: *peer, remote: *remote, dial: *dial }
            }
            Self::DialFailed(dial) => Input::DialFailed { dial: *dial },
            Self::Bytes(link, bytes) => Input::LinkBytes { link: *link, bytes },
            Self::Moved(link, remote) => Input::LinkMoved { link: *link, remote: *remote },
            Self::Closed(link) => Input::LinkClosed { link: *link },
        }
    }
}

impl Network {
    /// A network without hosts.
    #[must_use]
    pub fn new(latency: Latency, loss: Loss, chance: &Chance) -> Self {
        let salt = chance.stream("network latency of pairs").draw();
        Self {
            paths: Paths { latency, loss, salt },
            sites: Vec::new(),
            at: BTreeMap::new(),
            links: BTreeMap::new(),
            wires: 0,
            deliveries: VecDeque::new(),
        }
    }

    /// A host with this key, not yet attached.
    pub fn add(&mut self, key: PublicKey, chance: &Chance) -> HostId {
        let host = HostId(self.sites.len());
        let chance = chance.stream(&format!("network packets of host {}", host.0));
        let links = BTreeMap::new();
        let site = Site { key, address: None, process: None, links, links_opened: 0, chance };
        self.sites.push(site);
        host
    }

    /// Where a host is, seen from outside.
    #[must_use]
    pub fn address(&self, host: HostId) -> Option<SocketAddr> {
        self.sites[host.0].address
    }

    /// Who is at an address.
    #[must_use]
    pub fn holder(&self, address: SocketAddr) -> Option<HostId> {
        self.at.get(&address).copied()
    }

    /// Whether this end is open.
    #[must_use]
    pub fn is_open(&self, host: HostId, link: LinkId) -> bool {
        self.sites[host.0].links.contains_key(&link)
    }

    /// Every link that is open at both ends.
    pub fn open_links(&self) -> impl Iterator<Item = OpenLink> {
        self.links.values().filter_map(|link| {
            let acceptor = link.acceptor.as_ref().filter(|end| end.state == EndState::Open)?;
            let dialler = Some(&link.dialler).filter(|end| end.state == EndState::Open)?;
            let ends = [(dialler.host, dialler.number), (acceptor.host, acceptor.number)];
            Some(OpenLink { ends, works: !link.broken })
        })
    }

    /// Takes the next thing that reaches a process now.
    pub fn deliver(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// A process starts on a host.
    pub fn started(&mut self, host: HostId, process: u32) {
        let site = &mut self.sites[host.0];
        assert!(site.process.is_none() && site.links.is_empty(), "{host:?} runs already");
        (site.process, site.links_opened) = (Some(process), 0);
    }

    /// The process of a host dies without a word.
    pub fn died(&mut self, host: HostId, now: Moment, queue: &mut Queue<Event>) {
        self.sites[host.0].process = None;
        let dialling =
            |link: &Link| link.dialler.host == host && link.dialler.state == EndState::Opening;
        self.links.retain(|_, link| !dialling(link));
        for (wire, side) in std::mem::take(&mut self.sites[host.0].links).into_values() {
            self.link_mut(wire).end_mut(side).state = EndState::Closed;
            self.refresh(wire, now, queue);
            self.forget_if_over(wire);
        }
    }

    /// A host is at `address` from now on, or nowhere.
    ///
    /// # Panics
    /// If another host is there.
    pub fn moved(
        &mut self,
        host: HostId,
        address: Option<SocketAddr>,
        now: Moment,
        queue: &mut Queue<Event>,
    ) {
        if let Some(left) = self.sites[host.0].address.take() {
            self.at.remove(&left);
        }
        self.sites[host.0].address = address;
        if let Some(address) = address {
            let other = self.at.insert(address, host);
            assert!(other.is_none(), "{address} is taken by {other:?}");
        }
        let touched: Vec<_> = self.sites[host.0].links.values().copied().collect();
        for (wire, side) in touched {
            self.refresh(wire, now, queue);
            if side == Side::Dialler {
                let silence = self.up_to(host, KEEP_ALIVE);
                self.rebind(wire, now + silence, queue);
            }
        }
    }

    /// A node dials.
    pub fn dial(
        &mut self,
        (host, dial): (HostId, DialId),
        (expected, target): (PublicKey, SocketAddr),
        now: Moment,
        queue: &mut Queue<Event>,
    ) {
        let site = &self.sites[host.0];
        let process = site.process.expect("only a running node dials");
        let wire = Wire(self.wires);
        self.wires += 1;
        let sent_from = site.address;
        self.links.insert(wire, Link::dialled((host, process), dial, expected, target, sent_from));
        queue.push(now + DIAL_TIMEOUT, Due::GiveUp(wire).into());
        // Nobody there: the packet goes as far as a host's would, and nothing comes back.
        let far = self.holder(target).unwrap_or(host);
        if sent_from.is_some() {
            let way = self.flight(host, far);
            queue.push(now + way, Due::Hello(wire).into());
        }
    }

    /// A node says something on a link.
    ///
    /// # Errors
    /// If it has no such link.
    pub fn say(
        &mut self,
        (host, number): (HostId, LinkId),
        bytes: Bytes,
        now: Moment,
        queue: &mut Queue<Event>,
    ) -> Result<(), NoSuchLink> {
        let (wire, side) = self.find(host, number)?;
        let link = self.link_mut(wire);
        link.stream_mut(side).waiting.push_back(bytes);
        if link.broken {
            link.stream_mut(side).held += 1;
            if side == Side::Dialler {
                self.rebind(wire, now, queue);
            }
        } else {
            self.carry(wire, side, now, queue);
        }
        Ok(())
    }

    /// A node closes a link.
    ///
    /// # Errors
    /// If it has no such link.
    pub fn close(
        &mut self,
        (host, number): (HostId, LinkId),
        now: Moment,
        queue: &mut Queue<Event>,
    ) -> Result<(), NoSuchLink> {
        let (wire, side) = self.find(host, number)?;
        self.shut(wire, side);
        self.announce_close(wire, side, now, queue);
        self.forget_if_over(wire);
        Ok(())
    }

    /// Something that was under way happens. `admits` answers for the node of a host whether it
    /// lets a key in.
    pub fn handle(
        &mut self,
        due: Due,
        now: Moment,
        queue: &mut Queue<Event>,
        admits: &dyn Fn(HostId, &PublicKey) -> bool,
    ) {
        let (Due::Hello(wire)
        | Due::Answer(wire)
        | Due::Finish(wire)
        | Due::GiveUp(wire)
        | Due::Bytes(wire, _)
        | Due::Rebind(wire, _)
        | Due::Closing(wire, _)
        | Due::Idle(wire, _, _)) = due;
        if !self.links.contains_key(&wire) {
            return; // it was given up before
        }
        match due {
            Due::Hello(_) => self.on_hello(wire, now, queue),
            Due::Answer(_) => self.on_answer(wire, now, queue, admits),
            Due::Finish(_) => self.on_finish(wire, now, queue, admits),
            Due::GiveUp(_) => self.on_give_up(wire),
            Due::Bytes(_, from) => self.on_bytes(wire, from),
            Due::Rebind(_, from) => self.on_rebind(wire, from, now, queue),
            Due::Closing(_, from) => self.on_closing(wire, from, now, queue),
            Due::Idle(_, side, outage) => self.on_idle(wire, side, outage),
        }
        self.forget_if_over(wire);
    }

    fn forget_if_over(&mut self, wire: Wire) {
        if self.links.get(&wire).is_some_and(Link::is_over) {
            self.links.remove(&wire);
        }
    }

    fn on_hello(&mut self, wire: Wire, now: Moment, queue: &mut Queue<Event>) {
        let Some(host) = self.holder(self.links[&wire].target) else { return };
        let Some(process) = self.sites[host.0].process else { return };
        let link = self.link_mut(wire);
        let dialler = link.dialler.host;
        link.acceptor = Some(End { host, process, number: LinkId(0), state: EndState::Opening });
        let way = self.flight(host, dialler);
        queue.push(now + way, Due::Answer(wire).into());
    }

    fn on_answer(
        &mut self,
        wire: Wire,
        now: Moment,
        queue: &mut Queue<Event>,
        admits: &dyn Fn(HostId, &PublicKey) -> bool,
    ) {
        let link = &self.links[&wire];
        let (host, dial, target) = (link.dialler.host, link.dial, link.target);
        if self.sites[host.0].address != link.sent_from {
            return; // a handshake does not migrate (RFC 9000 §9)
        }
        let acceptor = link.acceptor.as_ref().expect("an answer comes from somebody").host;
        let peer = self.sites[acceptor.0].key;
        if peer != link.expected || !admits(host, &peer) {
            self.links.remove(&wire);
            return self.deliveries.push_back(Delivery { host, what: Arrival::DialFailed(dial) });
        }
        let link = self.opened(wire, Side::Dialler);
        let dial = Some(dial);
        let what = Arrival::Opened { link, peer, remote: target, dial };
        self.deliveries.push_back(Delivery { host, what });
        let arrival = now + self.flight(host, acceptor);
        queue.push(arrival, Due::Finish(wire).into());
        self.link_mut(wire).stream_mut(Side::Dialler).arrived_last = arrival;
        self.refresh(wire, now, queue);
    }

    fn on_finish(
        &mut self,
        wire: Wire,
        now: Moment,
        queue: &mut Queue<Event>,
        admits: &dyn Fn(HostId, &PublicKey) -> bool,
    ) {
        self.refresh(wire, now, queue);
        if !self.works(&self.links[&wire]) || self.links[&wire].dialler.state != EndState::Open {
            return;
        }
        let link = &self.links[&wire];
        let host = link.acceptor.as_ref().expect("somebody answered").host;
        let (dialler, remote) =
            (link.dialler.host, link.sent_from.expect("it sent from somewhere"));
        let peer = self.sites[dialler.0].key;
        if !admits(host, &peer) {
            self.shut(wire, Side::Acceptor);
            return self.announce_close(wire, Side::Acceptor, now, queue);
        }
        let link = self.opened(wire, Side::Acceptor);
        let what = Arrival::Opened { link, peer, remote, dial: None };
        self.deliveries.push_back(Delivery { host, what });
        self.refresh(wire, now, queue);
    }

    fn on_give_up(&mut self, wire: Wire) {
        let link = &self.links[&wire];
        if link.dialler.state != EndState::Opening {
            return;
        }
        let (host, what) = (link.dialler.host, Arrival::DialFailed(link.dial));
        self.links.remove(&wire);
        self.deliveries.push_back(Delivery { host, what });
    }

    fn on_bytes(&mut self, wire: Wire, from: Side) {
        let link = self.link_mut(wire);
        let Some((host, number)) = link.open_end(from.other()) else { return };
        if link.broken {
            link.stream_mut(from).held += 1;
            return;
        }
        let next = link.stream_mut(from).waiting.pop_front();
        let mut bytes = next.expect("every arrival has its bytes");
        let chance = &mut self.sites[host.0].chance;
        // A stream has no seams: now and then a frame comes in two pieces.
        if bytes.len() > 1 && chance.hits(1, 8) {
            let head = bytes.split_to(1 + chance.below(bytes.len() as u64 - 1) as usize);
            self.deliveries.push_back(Delivery { host, what: Arrival::Bytes(number, head) });
        }
        self.deliveries.push_back(Delivery { host, what: Arrival::Bytes(number, bytes) });
    }

    fn on_rebind(&mut self, wire: Wire, from: SocketAddr, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let (Some((dialler, _)), Some((host, number))) =
            (link.open_end(Side::Dialler), link.open_end(Side::Acceptor))
        else {
            return;
        };
        let sent_before_another_move = self.sites[dialler.0].address != Some(from);
        let nobody_there = self.sites[host.0].address != Some(link.target);
        if sent_before_another_move || nobody_there || link.sent_from == Some(from) {
            return;
        }
        self.link_mut(wire).sent_from = Some(from);
        self.deliveries.push_back(Delivery { host, what: Arrival::Moved(number, from) });
        self.refresh(wire, now, queue);
    }

    fn on_closing(&mut self, wire: Wire, from: Side, now: Moment, queue: &mut Queue<Event>) {
        self.refresh(wire, now, queue);
        if self.links[&wire].broken {
            return; // the notice is lost: silence will tell
        }
        self.fail(wire, from.other());
    }

    fn on_idle(&mut self, wire: Wire, side: Side, outage: u32) {
        let link = &self.links[&wire];
        if link.broken && link.outage == outage {
            self.fail(wire, side);
        }
    }

    /// An end opens; answers its number.
    fn opened(&mut self, wire: Wire, side: Side) -> LinkId {
        let end = self.links.get_mut(&wire).expect("it is opening").end_mut(side);
        let site = &mut self.sites[end.host.0];
        assert_eq!(end.state, EndState::Opening);
        (end.state, end.number) = (EndState::Open, LinkId(site.links_opened));
        site.links_opened += 1;
        site.links.insert(end.number, (wire, side));
        end.number
    }

    /// An end closes without telling its process.
    fn shut(&mut self, wire: Wire, side: Side) {
        let end = self.links.get_mut(&wire).expect("it is there").end_mut(side);
        if end.state == EndState::Open {
            self.sites[end.host.0].links.remove(&end.number);
        }
        end.state = EndState::Closed;
    }

    /// An end closes, and its process hears of it if it had heard of the link.
    fn fail(&mut self, wire: Wire, side: Side) {
        let told = self.links[&wire].open_end(side);
        self.shut(wire, side);
        if let Some((host, number)) = told {
            self.deliveries.push_back(Delivery { host, what: Arrival::Closed(number) });
        }
    }

    /// A notice of closing goes out once; if it is lost, the far end's next keep-alive calls for
    /// another.
    fn announce_close(&mut self, wire: Wire, from: Side, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let (Some(near), Some(far)) = (link.host(from), link.host(from.other())) else { return };
        let site = &mut self.sites[near.0];
        let mut way = self.paths.packet(near.0, far.0, &mut site.chance);
        if self.paths.loses(&mut site.chance) {
            way += self.up_to(near, KEEP_ALIVE);
        }
        queue.push(now + way, Due::Closing(wire, from).into());
    }

    /// Sends the next bytes of this side on their way, behind those before them.
    fn carry(&mut self, wire: Wire, from: Side, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let (Some(near), Some(far)) = (link.host(from), link.host(from.other())) else {
            unreachable!("an open link has two ends");
        };
        let way = self.paths.bytes(near.0, far.0, &mut self.sites[near.0].chance);
        let stream = self.link_mut(wire).stream_mut(from);
        stream.arrived_last = stream.arrived_last.max(now + way);
        queue.push(stream.arrived_last, Due::Bytes(wire, from).into());
    }

    /// The dialler of a broken link sends a packet from where it is now.
    fn rebind(&mut self, wire: Wire, sent: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let (dialler, acceptor) = (link.host(Side::Dialler), link.host(Side::Acceptor));
        let (Some(near), Some(far)) = (dialler, acceptor) else { return };
        let Some(from) = self.sites[near.0].address.filter(|at| Some(*at) != link.sent_from) else {
            return;
        };
        let way = self.paths.bytes(near.0, far.0, &mut self.sites[near.0].chance);
        queue.push(sent + way, Due::Rebind(wire, from).into());
    }

    /// Looks whether packets still get through, and lets time-outs run, or lets what was held up
    /// go on.
    fn refresh(&mut self, wire: Wire, now: Moment, queue: &mut Queue<Event>) {
        let link = &self.links[&wire];
        let works = self.works(link);
        if link.dialler.state == EndState::Opening || works != link.broken {
            return;
        }
        if !works {
            let link = self.link_mut(wire);
            (link.broken, link.outage) = (true, link.outage + 1);
            let outage = link.outage;
            for side in [Side::Dialler, Side::Acceptor] {
                let Some((host, _)) = self.links[&wire].open_end(side) else { continue };
                let heard_before = self.up_to(host, KEEP_ALIVE);
                let silence = IDLE_TIMEOUT - heard_before;
                queue.push(now + silence, Due::Idle(wire, side, outage).into());
            }
        } else if Side::BOTH.iter().all(|side| link.open_end(*side).is_some()) {
            let link = self.link_mut(wire);
            (link.broken, link.outage) = (false, link.outage + 1);
            for side in Side::BOTH {
                for _ in 0..std::mem::take(&mut self.link_mut(wire).stream_mut(side).held) {
                    self.carry(wire, side, now, queue);
                }
            }
        }
    }

    /// Whether packets get through, both ways.
    fn works(&self, link: &Link) -> bool {
        let Some(acceptor) = &link.acceptor else { return false };
        let at = |end: &End, address: Option<SocketAddr>| {
            let site = &self.sites[end.host.0];
            site.process == Some(end.process) && site.address.is_some() && site.address == address
        };
        at(acceptor, Some(link.target)) && at(&link.dialler, link.sent_from)
    }

    fn find(&self, host: HostId, number: LinkId) -> Result<(Wire, Side), NoSuchLink> {
        self.sites[host.0].links.get(&number).copied().ok_or(NoSuchLink(number))
    }

    fn link_mut(&mut self, wire: Wire) -> &mut Link {
        self.links.get_mut(&wire).expect("an end that is open keeps its link")
    }

    fn flight(&mut self, from: HostId, to: HostId) -> Duration {
        self.paths.flight(from.0, to.0, &mut self.sites[from.0].chance)
    }

    fn up_to(&mut self, host: HostId, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).expect("seconds");
        Duration::from_nanos(self.sites[host.0].chance.below(nanos))
    }
}

#[cfg(test)]
mod tests;
