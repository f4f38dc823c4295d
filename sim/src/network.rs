//! The network, as seen from above the QUIC session: links open, carry bytes, follow a moving
//! dialler, close and fail, each after a latency.
//!
//! What is modelled, and what the real transport does to deserve it:
//!
//! * A dial reaches whoever has the address now. The acceptor's side opens when it has judged the
//!   dialler's certificate, after one and a half round trips. With mutual TLS 1.3 the dialler
//!   cannot know that it was let in before it is spoken to: its side opens with the acceptor's
//!   first byte. Each side refuses a key that its node does not admit; the dialler also refuses
//!   any key but the one that it expected.
//! * Nobody at the address, or a lost answer: the dial fails after [`DIAL_TIMEOUT`], and an
//!   acceptor that had opened its side is told.
//! * Bytes are in order per link and direction. Loss delays them.
//! * A dialler that moves keeps its links once a packet from its new address arrives (with its
//!   next bytes or its next keep-alive); an acceptor that moves loses them, because a QUIC client
//!   drops packets from another address than it dialled. A crash is silent.
//! * Whoever hears nothing on a link for [`IDLE_TIMEOUT`] closes it.
//! * Datagrams (discv5) go from where the sender would send from to whoever has the address when
//!   they arrive; they are lost, overtake one another, and nobody is told.
//! * Between two sides of a partition nothing passes, nor through a cut (one way) or a firewall. Of a
//!   link that is cut one way the end that hears nothing gives up first, the other a time-out later.
//! * A host behind a router ([`nat`]) is seen at the router's address, and reached by whom it has sent
//!   something. The ends of a link across one keep its mapping alive; one that was lost moves the
//!   dialler and loses the acceptor.
//! * A last mile ([`Access`]) delays everything. Its bursts of losses and its queue are met by
//!   datagrams: bytes of a link are few, and are sent again when a burst is over.
//! * QUIC needs packets of 1,200 bytes; a path that is narrower carries no link.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::chance::Chance;
use stayfound_core::keys::PublicKey;
use stayfound_core::node::{DialId, Input, LinkId};

use crate::event::{Event, HostId};
use crate::marks::{Mark, mark};
use crate::moment::Moment;
use crate::queue::Queue;

mod access;
mod life;
mod link;
pub mod nat;
mod path;
mod places;
mod route;
mod site;

pub(crate) use access::Mile;
pub use access::{Access, BURST};
pub use link::Side;
use link::{EndState, Link};
use nat::Nat;
use path::Paths;
pub use path::{Latency, Loss, Noise};
use places::Places;
pub use site::{Attachment, Behind, Router};
use site::{Gate, Site};

/// How long a dial waits for an answer.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a link may be silent before an end gives it up.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an end of a link that has nothing to say says so.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The largest packet of a host that nothing limits: Ethernet's.
pub const MTU: u16 = 1_500;

/// A link or an attempt to open one, numbered through the life of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wire(u64);

/// What is under way in the network.
#[derive(Clone, Debug)]
pub enum Due {
    /// The first flight of a handshake arrives at the address that was dialled.
    Hello(Wire),
    /// The acceptor's flight, with its certificate, arrives at the dialler, which answers with
    /// its own.
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
    /// A datagram arrives.
    Datagram(Datagram),
    /// Both ends of a link across a router say something.
    KeepAlive(Wire),
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
    /// A datagram.
    Datagram(SocketAddr, Bytes),
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Where it seems to come from.
    pub from: SocketAddr,
    to: SocketAddr,
    sender: HostId,
    /// Whom it would have reached when it was sent; the sender itself, if nobody.
    far: HostId,
    /// What it says.
    pub bytes: Bytes,
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
    /// Of each site what every packet asks, close together: in large networks, that is what it costs.
    gates: Vec<Gate>,
    at: Places,
    /// By their outside addresses.
    routers: BTreeMap<IpAddr, Nat>,
    /// From whom to whom nothing passes, although it does between others.
    cuts: BTreeSet<(HostId, HostId)>,
    links: BTreeMap<Wire, Link>,
    wires: u64,
    deliveries: VecDeque<Delivery>,
    /// How often a link opened, closed, broke or was mended.
    changes: u64,
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
            Self::Datagram(from, bytes) => Input::Datagram { from: *from, bytes },
        }
    }
}

impl Network {
    /// A network without hosts.
    #[must_use]
    pub fn new(latency: Latency, loss: Loss, noise: Noise, chance: &Chance) -> Self {
        let salt = chance.stream("network latency of pairs").draw();
        Self {
            paths: Paths { latency, loss, noise, salt },
            sites: Vec::new(),
            gates: Vec::new(),
            at: Places::default(),
            routers: BTreeMap::new(),
            cuts: BTreeSet::new(),
            links: BTreeMap::new(),
            wires: 0,
            deliveries: VecDeque::new(),
            changes: 0,
        }
    }

    /// A host with this key, not yet attached.
    pub fn add(&mut self, key: PublicKey, chance: &Chance) -> HostId {
        let host = HostId(self.sites.len());
        let chance = chance.stream(&format!("network packets of host {}", host.0));
        self.sites.push(Site::new(key, chance));
        self.gates.push(Gate::default());
        host
    }

    /// Where a host is, seen from outside.
    #[must_use]
    pub fn addresses(&self, host: HostId) -> &[SocketAddr] {
        &self.sites[host.0].at.addresses
    }

    /// Who is at an address.
    #[must_use]
    pub fn holder(&self, address: SocketAddr) -> Option<HostId> {
        self.at.holder(&address)
    }

    /// Whether this end is open.
    #[must_use]
    pub fn is_open(&self, host: HostId, link: LinkId) -> bool {
        self.sites[host.0].links.contains_key(&link)
    }

    /// Who has the other end of this link, if it is open here.
    #[must_use]
    pub fn far(&self, host: HostId, link: LinkId) -> Option<HostId> {
        let (wire, side) = self.sites[host.0].links.get(&link)?;
        self.links[wire].host(side.other())
    }

    /// Which link an open end belongs to.
    #[must_use]
    pub fn wire(&self, host: HostId, link: LinkId) -> Option<Wire> {
        self.sites[host.0].links.get(&link).map(|(wire, _)| *wire)
    }

    /// The links between two hosts, or attempts to open one, of which no end has closed.
    pub fn whole_between(&self, a: HostId, b: HostId) -> impl Iterator<Item = Wire> {
        self.links.iter().filter_map(move |(wire, link)| {
            let ends = [Some(&link.dialler), link.acceptor.as_ref()];
            let hosts = ends.map(|end| end.map(|end| end.host));
            let closed = ends.into_iter().flatten().any(|end| end.state == EndState::Closed);
            let between = match hosts {
                [Some(x), Some(y)] => (x, y) == (a, b) || (x, y) == (b, a),
                [x, _] => x == Some(a) || x == Some(b),
            };
            (between && !closed).then_some(*wire)
        })
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

    /// How often a link opened, closed, broke or was mended: whoever has seen the links at this
    /// number need not look again.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes the next thing that reaches a process now.
    pub fn deliver(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// A process starts on a host.
    pub fn started(&mut self, host: HostId, process: u32) {
        let site = &mut self.sites[host.0];
        let gate = &mut self.gates[host.0];
        assert!(gate.process.is_none() && site.links.is_empty(), "{host:?} runs already");
        (gate.process, gate.halted, site.links_opened) = (Some(process), false, 0);
    }

    /// The process of a host dies without a word.
    pub fn died(&mut self, host: HostId, now: Moment, queue: &mut Queue<Event>) {
        self.gates[host.0].process = None;
        for (wire, side) in self.ends(host) {
            self.shut(wire, side);
            self.refresh(wire, now, queue);
            self.forget_if_over(wire);
        }
    }

    /// A node sends a datagram; or somebody does in its name, from an address of its choice.
    pub fn send(
        &mut self,
        sender: HostId,
        forged: Option<SocketAddr>,
        (to, bytes): (SocketAddr, Bytes),
        now: Moment,
        queue: &mut Queue<Event>,
    ) {
        let from = match forged {
            Some(from) => from,
            None => match self.sends(sender, to, now) {
                Some(from) => from,
                None => return,
            },
        };
        let far = self.reaches(sender, &from, &to, now).unwrap_or(sender);
        if !self.fits(sender, far, to, bytes.len()) {
            mark(Mark::TooLarge);
            return;
        }
        let noise = self.paths.noise;
        let mut hits = |of: u16| of > 0 && self.sites[sender.0].chance.hits(of.into(), 1_000);
        let (twice, corrupted) = (hits(noise.duplicated), hits(noise.corrupted));
        let bytes = if corrupted { self.corrupt(sender, &bytes) } else { bytes };
        let datagram = Datagram { from, to, sender, far, bytes };
        if corrupted {
            mark(Mark::DatagramCorrupted);
        }
        if twice {
            mark(Mark::DuplicateArrived);
            self.launch(datagram.clone(), now, queue);
        }
        self.launch(datagram, now, queue);
    }

    fn launch(&mut self, datagram: Datagram, now: Moment, queue: &mut Queue<Event>) {
        let Datagram { sender, far, ref bytes, .. } = datagram;
        if let Some(way) = self.transit(sender, far, bytes.len(), now) {
            queue.push(now + way, Due::Datagram(datagram).into());
        }
    }

    /// One of its bits is another. (UDP's checksum would drop most of those; some get through.)
    fn corrupt(&mut self, sender: HostId, bytes: &Bytes) -> Bytes {
        let mut bytes = bytes.to_vec();
        if !bytes.is_empty() {
            let bit = self.sites[sender.0].chance.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes.into()
    }

    /// Who gets this datagram now, if anybody.
    pub fn receiver(&mut self, datagram: &Datagram, now: Moment) -> Option<HostId> {
        let Datagram { from, to, sender, far, .. } = datagram;
        let stayed = self.gates[far.0].first.as_ref() == Some(to);
        let host = if stayed { *far } else { self.reaches(*sender, from, to, now)? };
        if !self.carries(*sender, host) {
            return None;
        }
        self.receives(host, from, to, now);
        self.gates[host.0].process.map(|_| host)
    }

    /// A node dials.
    pub fn dial(
        &mut self,
        (host, dial): (HostId, DialId),
        (expected, target): (PublicKey, SocketAddr),
        now: Moment,
        queue: &mut Queue<Event>,
    ) {
        let wire = Wire(self.wires);
        self.wires += 1;
        let sent_from = self.sends(host, target, now);
        let site = &mut self.sites[host.0];
        let process = self.gates[host.0].process.expect("only a running node dials");
        site.dialling.insert(wire);
        self.links.insert(wire, Link::dialled((host, process), dial, expected, target, sent_from));
        queue.push(now + DIAL_TIMEOUT, Due::GiveUp(wire).into());
        // Nobody there: the packet goes as far as a host's would, and nothing comes back.
        if let Some(from) = sent_from {
            let far = self.reaches(host, &from, &target, now).unwrap_or(host);
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
                self.rebind(wire, (now, now), queue);
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
        let due = match due {
            Due::Datagram(datagram) => {
                let to = self.receiver(&datagram, now);
                let what = Arrival::Datagram(datagram.from, datagram.bytes);
                return self.deliveries.extend(to.map(|host| Delivery { host, what }));
            }
            other => other,
        };
        let (Due::Hello(wire)
        | Due::Answer(wire)
        | Due::Finish(wire)
        | Due::GiveUp(wire)
        | Due::Bytes(wire, _)
        | Due::Rebind(wire, _)
        | Due::Closing(wire, _)
        | Due::KeepAlive(wire)
        | Due::Idle(wire, _, _)) = due
        else {
            unreachable!("datagrams were looked at first");
        };
        if !self.links.contains_key(&wire) {
            return; // it was given up before
        }
        match due {
            Due::Hello(_) => self.on_hello(wire, now, queue),
            Due::Answer(_) => self.on_answer(wire, now, queue, admits),
            Due::Finish(_) => self.on_finish(wire, now, queue, admits),
            Due::GiveUp(_) => self.on_give_up(wire, now, queue),
            Due::Bytes(_, from) => self.on_bytes(wire, from),
            Due::Rebind(_, from) => self.on_rebind(wire, from, now, queue),
            Due::Closing(_, from) => self.on_closing(wire, from, now, queue),
            Due::KeepAlive(_) => self.on_keep_alive(wire, now, queue),
            Due::Idle(_, side, outage) => self.on_idle(wire, side, outage),
            Due::Datagram(_) => unreachable!("datagrams were looked at first"),
        }
        self.forget_if_over(wire);
    }

    fn forget_if_over(&mut self, wire: Wire) {
        if self.links.get(&wire).is_some_and(Link::is_over) {
            self.links.remove(&wire);
        }
    }

    /// The ends of a host that are open, and those that it dials.
    fn ends(&self, host: HostId) -> Vec<(Wire, Side)> {
        let site = &self.sites[host.0];
        let dialling = site.dialling.iter().map(|wire| (*wire, Side::Dialler));
        site.links.values().copied().chain(dialling).collect()
    }

    fn find(&self, host: HostId, number: LinkId) -> Result<(Wire, Side), NoSuchLink> {
        self.sites[host.0].links.get(&number).copied().ok_or(NoSuchLink(number))
    }

    fn link_mut(&mut self, wire: Wire) -> &mut Link {
        self.links.get_mut(&wire).expect("an end that is not closed keeps its link")
    }

    fn flight(&mut self, from: HostId, to: HostId) -> Duration {
        self.paths.flight(self.trip(from, to), &mut self.sites[from.0].chance)
    }

    fn up_to(&mut self, host: HostId, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).expect("seconds");
        Duration::from_nanos(self.sites[host.0].chance.below(nanos))
    }
}

#[cfg(test)]
mod tests;
