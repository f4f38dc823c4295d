//! The cluster's own protocol over links: who dials whom and when, which link stays, and frames.
//!
//! The mesh is full: every operator holds a link to every other. It knows links and peers; what
//! frames say is [`crate::node`]'s to act on.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use crate::allowance::Allowance;
use crate::chance::Stream;
use crate::cluster::{Manifest, Operator, OperatorIndex};
use crate::count::Counter;
use crate::keys::PublicKey;
use crate::marks::{Mark, mark};
use crate::planted::{Bug, planted};
use crate::record::{NodeId, is_usable};
use crate::time::Mono;

mod dial;
mod frame;
mod link;
mod load;

pub use dial::{BACKOFF_MAX, BACKOFF_MIN, CANDIDATES_MAX, GRACE, STAGGER};
pub use frame::{FRAME_BYTES_MAX, Frame, Hello, Holding, RECORDS_PER_FRAME_MAX, Reader, VERSION};
pub use link::{
    CROSSING, HELLO_WITHIN, LINKS_PER_PEER_MAX, RELOAD_EVERY, RELOADS_AT_ONCE, Reachable,
};

use dial::Dialer;
use link::Link;
pub(crate) use load::Disowned;

/// A link: one authenticated, ordered, reliable stream of bytes each way between us and a peer
/// (in production a QUIC connection with mutual TLS). The driver numbers links, never reusing a
/// number in the life of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One attempt to open a link, numbered by the core. The driver answers each with
/// [`LinkOpened`](crate::node::Input::LinkOpened) or [`DialFailed`](crate::node::Input::DialFailed),
/// exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Why the core closes a link. The number is the QUIC application error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum CloseReason {
    /// Another link to the same peer takes its place.
    Superseded = 1,
    /// The peer broke the protocol.
    Violation = 2,
    /// The peer said no hello in time.
    Silent = 3,
    /// The peer's key is no operator's, or our own.
    Stranger = 4,
    /// The manifest that we loaded makes the peer's key no operator's any more, or ours.
    Unauthorised = 5,
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame longer than 64 KiB was announced.
    Oversized,
    /// Not RLP of the frame's kind.
    Malformed,
    /// The first frame must be a hello, and only the first.
    OutOfOrder,
    /// Another version of the protocol.
    Version(u8),
    /// Manifests are not loaded that often.
    Reloads,
}

/// What the mesh wants done, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Dial {
        dial: DialId,
        peer: PublicKey,
        address: SocketAddr,
    },
    Send {
        link: LinkId,
        bytes: Bytes,
    },
    Close {
        link: LinkId,
        why: CloseReason,
    },
    /// A link opened: say hello on it.
    Opened {
        link: LinkId,
        remote: SocketAddr,
    },
    /// The peer is at another address now: tell it.
    Moved {
        link: LinkId,
        remote: SocketAddr,
    },
    /// The peer said hello; `first` if it was not linked before.
    Greeted {
        link: LinkId,
        from: OperatorIndex,
        hello: Hello,
        first: bool,
    },
    Records {
        link: LinkId,
        from: OperatorIndex,
        records: Vec<Bytes>,
    },
    Seen {
        link: LinkId,
        from: OperatorIndex,
        address: SocketAddr,
    },
    /// The peer loaded another manifest.
    Reloaded {
        link: LinkId,
        from: OperatorIndex,
        hello: Hello,
    },
    /// This link is gone, and what was told over it; `lost` if the peer is linked no more.
    Gone {
        link: LinkId,
        from: OperatorIndex,
        lost: bool,
    },
    Violated {
        from: OperatorIndex,
        how: Violation,
    },
    Count(Counter),
}

struct Peer {
    key: PublicKey,
    node_id: NodeId,
    hints: Vec<SocketAddr>,
    dialer: Dialer,
    /// Whether it said hello on a link, and has had one ever since.
    linked: bool,
}

impl Peer {
    /// A peer that is to be dialled at once.
    fn new(operator: &Operator, now: Mono, hints: Vec<SocketAddr>) -> Self {
        let (key, node_id) = (operator.public_key, operator.node_id);
        Self { key, node_id, hints, dialer: Dialer::new(now), linked: false }
    }
}

/// All peers and all links.
pub(crate) struct Mesh {
    own_id: NodeId,
    /// Whether our socket is bound: before that there is nothing to dial from.
    awake: bool,
    peers: BTreeMap<OperatorIndex, Peer>,
    links: BTreeMap<LinkId, Link>,
    dials: BTreeMap<DialId, OperatorIndex>,
    next_dial: u64,
    jitter: Stream,
    actions: VecDeque<Action>,
}

/// Where a peer may answer, best first.
pub(crate) trait Addresses {
    /// The addresses of a node's newest record, then where it was last reached.
    fn of(&self, node: &NodeId) -> Vec<SocketAddr>;
}

impl Mesh {
    /// A mesh with every operator of the manifest but `own_id`, each to be dialled at once.
    pub(crate) fn new(manifest: &Manifest, own_id: NodeId, jitter: Stream, now: Mono) -> Self {
        let others = manifest.operators().iter().filter(|operator| operator.node_id != own_id);
        let peers = others.map(|operator| (operator.index, Peer::new(operator, now, Vec::new())));
        Self {
            own_id,
            awake: false,
            peers: peers.collect(),
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            next_dial: 0,
            jitter,
            actions: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The earliest deadlines: of dialling, and of a silent link.
    pub(crate) fn deadlines(&self) -> (Option<Mono>, Option<Mono>) {
        let dialers = self.peers.values().filter(|_| self.awake);
        let dial = dialers.filter_map(|peer| peer.dialer.next_at()).min();
        let silent = self.links.values().filter(|link| !link.greeted);
        (dial, silent.map(|link| link.opened + HELLO_WITHIN).min())
    }

    /// Every link over which the peer has said hello.
    pub(crate) fn greeted(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().filter(|(_, link)| link.greeted).map(|(id, link)| (*id, link))
    }

    /// Whose link this is.
    pub(crate) fn link(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    /// Says something on one link.
    pub(crate) fn say(&mut self, link: LinkId, frame: &Frame) {
        assert!(self.links.contains_key(&link), "{link:?} is not open");
        self.actions.push_back(Action::Send { link, bytes: frame.encode() });
    }

    /// Says something on every link but one.
    pub(crate) fn say_all(&mut self, frame: &Frame, except: Option<LinkId>) {
        let bytes = frame.encode();
        for link in self.links.keys().copied().filter(|link| Some(*link) != except) {
            self.actions.push_back(Action::Send { link, bytes: bytes.clone() });
        }
    }

    /// An address at which a peer may answer; ignored if not usable or if there are too many.
    pub(crate) fn hint(&mut self, now: Mono, operator: OperatorIndex, address: SocketAddr) {
        let open = self.is_open(operator);
        let Some(peer) = self.peers.get_mut(&operator) else { return };
        if !is_usable(address) || peer.hints.contains(&address) {
            return;
        }
        // The newest hints are the ones to keep: somebody gave them because the old ones failed.
        peer.hints.insert(0, address);
        peer.hints.truncate(CANDIDATES_MAX);
        if !open {
            peer.dialer.restart(now);
        }
    }

    /// A link opened.
    pub(crate) fn opened(
        &mut self,
        now: Mono,
        id: LinkId,
        key: &PublicKey,
        remote: SocketAddr,
        dial: Option<DialId>,
    ) {
        assert!(!self.links.contains_key(&id), "{id:?} opened twice");
        if let Some(dial) = dial {
            self.answered(now, dial, false);
        }
        let Some(operator) = self.operator_of(key) else {
            self.actions.push_back(Action::Count(Counter::Strangers));
            self.actions.push_back(Action::Close { link: id, why: CloseReason::Stranger });
            return;
        };
        self.actions.push_back(Action::Count(Counter::LinksOpened));
        let link = Link {
            operator,
            dialled: dial.is_some(),
            remote,
            opened: now,
            greeted: false,
            reader: Reader::default(),
            reloads: Allowance::default(),
        };
        self.links.insert(id, link);
        self.actions.push_back(Action::Opened { link: id, remote });
        self.peer(operator).dialer.rest();
        self.settle(now, id);
    }

    /// The peer of a link is seen elsewhere.
    pub(crate) fn moved(&mut self, id: LinkId, remote: SocketAddr) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.remote != remote {
            link.remote = remote;
            mark(Mark::PeerMoved);
            self.actions.push_back(Action::Moved { link: id, remote });
        }
    }

    /// A link is gone.
    pub(crate) fn closed(&mut self, now: Mono, id: LinkId) {
        let Some(link) = self.links.remove(&id) else { return };
        let from = link.operator;
        let last = !self.is_open(from);
        let peer = self.peers.get_mut(&from).expect("a link has a peer");
        let lost = last && std::mem::take(&mut peer.linked);
        if last && !planted(Bug::ForgetsLostLink) {
            peer.dialer.lost(now, now - link.opened, &mut self.jitter);
        }
        self.actions.push_back(Action::Gone { link: id, from, lost });
    }

    /// A dial was answered.
    pub(crate) fn answered(&mut self, now: Mono, dial: DialId, failed: bool) {
        if let Some(operator) = self.dials.remove(&dial) {
            self.peer(operator).dialer.answered(now, dial, failed);
            if failed && planted(Bug::ForgetsHints) {
                self.peer(operator).hints.clear();
            }
        }
        if failed {
            self.actions.push_back(Action::Count(Counter::DialsFailed));
        }
    }

    /// Bytes arrived on a link: [`Mesh::read`] them.
    pub(crate) fn heard(&mut self, id: LinkId, bytes: &[u8]) {
        if let Some(link) = self.links.get_mut(&id) {
            link.reader.push(bytes);
        }
    }

    /// Takes one frame from what was heard; answers whether there may be another. One at a time,
    /// so that what a frame says is acted on before the next is looked at.
    pub(crate) fn read(&mut self, now: Mono, id: LinkId) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        match link.reader.next_frame() {
            Ok(None) => return false,
            Ok(Some(None)) => self.actions.push_back(Action::Count(Counter::UnknownFrames)),
            Ok(Some(Some(frame))) => self.said(now, id, frame),
            Err(how) => self.violated(now, id, how),
        }
        true
    }

    /// A peer published a new record, with these addresses; `moved` if they are others than before.
    /// It dials us if it moved; if it does not, we dial it.
    pub(crate) fn renewed(
        &mut self,
        now: Mono,
        operator: OperatorIndex,
        addresses: &[SocketAddr],
        moved: bool,
    ) {
        let mut links = self.links.values().filter(|link| link.operator == operator).peekable();
        let linked = links.peek().is_some();
        let seen_there = links.any(|link| addresses.contains(&link.remote));
        let dialer = &mut self.peer(operator).dialer;
        if !linked {
            dialer.restart(now);
        } else if moved && !seen_there && !addresses.is_empty() {
            dialer.redial(now + GRACE);
        }
    }

    /// Our own address changed. A QUIC client drops packets from a server that moved, so links
    /// that peers dialled are dead, and it is ours to dial again. `lost_socket` if the socket or
    /// the interface changed, so that links that we dialled are in doubt as well.
    pub(crate) fn we_moved(&mut self, now: Mono, lost_socket: bool) {
        if !self.awake || planted(Bug::NeverRedials) {
            return;
        }
        let links = &self.links;
        for (operator, peer) in &mut self.peers {
            let mut ours = links.values().filter(|link| link.operator == *operator);
            if lost_socket {
                peer.dialer.forget_in_flight();
                peer.dialer.redial(now);
            } else if !ours.any(|link| link.dialled) {
                peer.dialer.redial(now);
            }
        }
    }

    /// Our socket is bound for the first time: dial everybody.
    pub(crate) fn start(&mut self, now: Mono) {
        self.awake = true;
        self.peers.values_mut().for_each(|peer| peer.dialer.restart(now));
    }

    /// Does what is due; answers whether anything was.
    pub(crate) fn wake(&mut self, now: Mono, addresses: &impl Addresses) -> bool {
        let (dial, hello) = self.deadlines();
        if dial.into_iter().chain(hello).all(|at| at > now) {
            return false;
        }
        let silent = |link: &Link| !link.greeted && now >= link.opened + HELLO_WITHIN;
        let silent: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| silent(link)).map(|(id, _)| *id).collect();
        for id in silent {
            mark(Mark::SilentLink);
            self.actions.push_back(Action::Count(Counter::Violations));
            self.close(now, id, CloseReason::Silent);
        }
        let due = |peer: &Peer| self.awake && peer.dialer.next_at().is_some_and(|at| at <= now);
        let due: Vec<OperatorIndex> =
            self.peers.iter().filter(|(_, peer)| due(peer)).map(|(index, _)| *index).collect();
        for operator in due {
            self.dial(now, operator, addresses);
        }
        true
    }

    fn dial(&mut self, now: Mono, operator: OperatorIndex, addresses: &impl Addresses) {
        let open = self.is_open(operator);
        let peer = self.peers.get_mut(&operator).expect("a due peer");
        if open && !peer.dialer.redials(now) {
            return peer.dialer.rest();
        }
        if open {
            mark(Mark::DialsThoughLinked);
        }
        let mut candidates: Vec<SocketAddr> = Vec::new();
        for address in addresses.of(&peer.node_id).into_iter().chain(peer.hints.iter().copied()) {
            if !candidates.contains(&address) && candidates.len() < CANDIDATES_MAX {
                candidates.push(address);
            }
        }
        if let Some(address) = peer.dialer.due(now, &candidates, &mut self.jitter) {
            let dial = DialId(self.next_dial);
            self.next_dial += 1;
            peer.dialer.started(now, dial, address);
            self.dials.insert(dial, operator);
            self.actions.push_back(Action::Count(Counter::Dials));
            self.actions.push_back(Action::Dial { dial, peer: peer.key, address });
        }
    }

    fn said(&mut self, now: Mono, id: LinkId, frame: Frame) {
        let link = self.links.get_mut(&id).expect("a frame comes over a link");
        let from = link.operator;
        if link.greeted == matches!(frame, Frame::Hello(_)) {
            return self.violated(now, id, Violation::OutOfOrder);
        }
        let reloaded = matches!(frame, Frame::Reloaded(_));
        if reloaded && !link.reloads.take(now, RELOADS_AT_ONCE, RELOAD_EVERY) {
            return self.violated(now, id, Violation::Reloads);
        }
        self.actions.push_back(Action::Count(Counter::Frames));
        let action = match frame {
            Frame::Hello(hello) => {
                link.greeted = true;
                let first = !std::mem::replace(&mut self.peer(from).linked, true);
                Action::Greeted { link: id, from, hello, first }
            }
            Frame::Records(records) => Action::Records { link: id, from, records },
            Frame::Seen(address) => Action::Seen { link: id, from, address },
            Frame::Reloaded(hello) => Action::Reloaded { link: id, from, hello },
        };
        self.actions.push_back(action);
    }

    fn violated(&mut self, now: Mono, id: LinkId, how: Violation) {
        let from = self.links[&id].operator;
        self.actions.push_back(Action::Count(Counter::Violations));
        self.actions.push_back(Action::Violated { from, how });
        self.close(now, id, CloseReason::Violation);
    }

    /// Closes all links to a peer but those that may stay beside the newest.
    fn settle(&mut self, now: Mono, newest: LinkId) {
        let new = &self.links[&newest];
        let operator = new.operator;
        let we_are_lower = self.own_id < self.peers[&operator].node_id;
        let others =
            self.links.iter().filter(|(id, link)| link.operator == operator && **id != newest);
        let mut losers: Vec<LinkId> = others
            .filter_map(|(id, old)| link::loser((*id, old), (newest, new), we_are_lower))
            .collect();
        losers.dedup(); // the newest can lose to several
        for loser in losers {
            mark(Mark::LinkSuperseded);
            self.close(now, loser, CloseReason::Superseded);
        }
        // Too many while the other side decides: ours go first, because what it keeps of links
        // that crossed is what it dialled itself.
        let open = || self.links.iter().filter(|(_, link)| link.operator == operator);
        if open().count() > LINKS_PER_PEER_MAX {
            mark(Mark::TooManyLinks);
            let (oldest, _) = open()
                .find(|(id, link)| link.dialled && **id != newest)
                .or(open().next())
                .expect("many");
            self.close(now, *oldest, CloseReason::Superseded);
        }
    }

    fn close(&mut self, now: Mono, id: LinkId, why: CloseReason) {
        self.actions.push_back(Action::Close { link: id, why });
        self.closed(now, id);
    }

    /// Whether a peer has said hello on a link that is open.
    pub(crate) fn is_linked(&self, operator: OperatorIndex) -> bool {
        self.peers.get(&operator).is_some_and(|peer| peer.linked)
    }

    fn is_open(&self, operator: OperatorIndex) -> bool {
        self.links.values().any(|link| link.operator == operator)
    }

    /// All peers: their places and their ids.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (OperatorIndex, NodeId)> {
        self.peers.iter().map(|(operator, peer)| (*operator, peer.node_id))
    }

    fn operator_of(&self, key: &PublicKey) -> Option<OperatorIndex> {
        self.peers.iter().find(|(_, peer)| peer.key == *key).map(|(operator, _)| *operator)
    }

    fn peer(&mut self, operator: OperatorIndex) -> &mut Peer {
        self.peers.get_mut(&operator).expect("links and dials are of peers only")
    }

    /// Panics if an invariant is broken.
    pub(crate) fn check(&self) {
        for (operator, peer) in &self.peers {
            let open = self.links.values().filter(|link| link.operator == *operator).count();
            assert!(open <= LINKS_PER_PEER_MAX, "{open} links to operator {operator}");
            assert!(
                open == 0 || self.own_id > peer.node_id || open == 1,
                "the lower side keeps one link to operator {operator}, not {open}"
            );
            assert!(open > 0 || !peer.linked, "operator {operator} is linked by no link");
            assert!(open > 0 || peer.dialer.next_at().is_some(), "operator {operator} forgotten");
            assert!(peer.hints.len() <= CANDIDATES_MAX);
        }
        for link in self.links.values() {
            assert!(self.peers.contains_key(&link.operator), "a link to nobody");
            assert!(link.reader.pending() < 4 + FRAME_BYTES_MAX, "a whole frame was left unread");
        }
        assert!(self.actions.is_empty(), "actions were left undone");
    }
}
