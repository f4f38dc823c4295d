//! The state machine of one operator: one way in, one ordered queue out.
//!
//! [`Node`] routes each input to its room and gathers what the rooms want in one queue. Its
//! driver's whole contract is the function [`step`].

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::chance::{Chance, Stream};
use crate::cluster::{Manifest, Operator, OperatorIndex};
use crate::database::{Database, Provenance, Row, Verdict};
use crate::discovery;
use crate::discovery::seeds::SEEDS_KEY;
use crate::identity::{Identity, of_this_store};
use crate::keys::SecretKey;
use crate::mesh::{Action, Addresses, BACKOFF_MAX, BACKOFF_MIN, Mesh};
use crate::record::{NodeId, Signed, is_usable};
use crate::time::{Mono, Wall};

mod discover;
mod exchange;
mod input;
mod load;
mod output;
mod quota;
mod resolve;

pub use crate::count::Counter;
pub use crate::identity::SEQ_LEAP;
pub use crate::mesh::{CloseReason, DialId, LinkId, Violation};
use discover::Searching;
use quota::{Quotas, Sightings};
use resolve::Resolver;
pub use resolve::{AGAIN_MAX, LOST_FOR, REFRESH_EVERY};

pub use input::Input;
pub use output::{Event, Output, Ticket};
pub use quota::{CHANGE_EVERY, CHANGES_AT_ONCE};

/// How long a first record waits for a peer to tell what it holds of us. After that nobody is there
/// who could.
pub const FLOOR_WITHIN: Duration = Duration::from_secs(3);
/// How much longer it waits if the clock is behind what we are known to have signed.
pub const FLOOR_ALONE: Duration = Duration::from_secs(30);

/// Who we are and whom we know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our ENR key.
    pub key: SecretKey,
    /// Our cluster.
    pub manifest: Manifest,
    /// Addresses that the operator fixed, one per family at most: they outrank every other.
    pub external: Vec<SocketAddr>,
    /// Addresses at which operators may answer.
    pub hints: Vec<(OperatorIndex, SocketAddr)>,
    /// How to find who answers nowhere; `None` for no discovery.
    pub discovery: Option<discovery::Settings>,
}

/// Why a node cannot start. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Our key is no operator's.
    NotAnOperator,
    /// A fixed address that cannot be published, or the second of its family.
    External(SocketAddr),
    /// A hint for an operator that the cluster does not have, for ourselves, or with an address
    /// that cannot be dialled.
    Hint(OperatorIndex, SocketAddr),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnOperator => f.write_str("the key is no operator's of this cluster"),
            Self::External(address) => write!(
                f,
                "{address} cannot be published: give one address per family, with a port, that \
                 peers can reach"
            ),
            Self::Hint(operator, address) => write!(
                f,
                "the hint {operator}={address} is for no other operator of this cluster, or its \
                 address cannot be dialled"
            ),
        }
    }
}

impl std::error::Error for StartError {}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A peer is to be dialled.
    Dial,
    /// A link has been silent since it opened.
    Hello,
    /// A record whose signer changes too often has waited for its turn.
    Quota,
    /// Our first record has waited long enough for peers that know an earlier one.
    Floor,
    /// A record of ours that somebody else issued is to be outrun.
    Outrun,
    /// Discovery waits for an answer, checks a node or refreshes its table.
    Discovery,
    /// An operator is to be looked for.
    Resolve,
}

/// One operator's node.
pub struct Node {
    manifest: Manifest,
    /// Our place; `None` if the manifest in force does not name our key.
    own_index: Option<OperatorIndex>,
    database: Database,
    identity: Identity,
    mesh: Mesh,
    /// Our newest record that is durable: what others may hear of.
    published: Option<Signed>,
    /// Our newest record, while it is not durable yet.
    pending: Option<(Ticket, Signed)>,
    quotas: Quotas,
    searching: Option<Searching>,
    resolver: Resolver,
    /// Of what is done at intervals.
    jitter: Stream,
    sightings: Sightings,
    next_ticket: u64,
    /// Until when a first record waits, once the socket is bound.
    floor_by: Mono,
    /// When a record of ours that a peer handed back may be outrun, and how long the next will
    /// wait.
    outrun: Option<(Mono, Duration)>,
    /// Whether the application knows that our record can never be replaced.
    exhausted: bool,
    started: (Mono, Wall),
    now: Mono,
    outputs: VecDeque<Output>,
}

impl Node {
    /// A node at the moment of its start, with what it had stored. The order of calls is: this,
    /// [`Input::AddressUp`] for each address of the host, [`Input::Bound`], then whatever happens.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(
        config: Config,
        seed: [u8; 32],
        now: Mono,
        wall: Wall,
        stored: &[Row],
    ) -> Result<Self, StartError> {
        let Config { key, manifest, external, hints, discovery } = config;
        let own = manifest.by_key(key.public_key().as_bytes()).ok_or(StartError::NotAnOperator)?;
        let own_index = own.index;
        check_external(&external)?;
        let chance = Chance::new(seed);
        let seeds = stored.iter().find(|row| row.key == SEEDS_KEY);
        let mut searching = discovery
            .map(|settings| Searching::new(key.clone(), settings, &chance, &manifest, now));
        let seeds_read = seeds.zip(searching.as_mut()).is_none_or(|(row, it)| it.load(row));
        let quorum = manifest.faults_tolerated() + 1;
        let mut identity = Identity::new(key, external, quorum, chance.stream("sequence leaps"));
        if manifest.operators().len() == 1 {
            identity.know_floor(); // there is nobody to wait for
        }
        let mesh = Mesh::new(&manifest, identity.node_id(), chance.stream("dial back-off"), now);
        let (database, damages) = Database::load(stored.iter().filter(|row| row.key != SEEDS_KEY));
        let own = database.get(&identity.node_id());
        let published = own.filter(|own| own.provenance == Provenance::Own);
        let published = published.map(|own| own.versions.newest().clone());
        let mut node = Self {
            own_index: Some(own_index),
            database,
            identity,
            mesh,
            published,
            pending: None,
            quotas: Quotas::default(),
            searching,
            resolver: Resolver::default(),
            jitter: chance.stream("resolve"),
            sightings: Sightings::default(),
            next_ticket: 0,
            floor_by: now,
            outrun: None,
            exhausted: false,
            started: (now, wall),
            now,
            outputs: VecDeque::new(),
            manifest,
        };
        for damage in damages {
            node.emit(Event::Damaged { what: damage.to_string() });
        }
        if !seeds_read {
            let what = "the stored list of nodes to begin a search with is damaged".into();
            node.emit(Event::Damaged { what });
        }
        node.merge_manifest();
        for operator in node.manifest.operators() {
            load::hint(&mut node.mesh, now, operator.index, &operator.record);
        }
        for (operator, address) in hints {
            let known = node.manifest.get(operator).is_some() && operator != own_index;
            if !known || !is_usable(address) {
                return Err(StartError::Hint(operator, address));
            }
            node.mesh.hint(now, operator, address);
        }
        Ok(node)
    }

    /// The only way state changes. Drain [`Node::poll`] to `None` before calling it again.
    ///
    /// # Panics
    /// If time runs backwards, or if outputs were left in the queue.
    pub fn handle(&mut self, now: Mono, input: Input<'_>) {
        assert!(now >= self.now, "time ran backwards: {now} after {}", self.now);
        assert!(self.outputs.is_empty(), "the driver must drain the outputs between inputs");
        self.now = now;
        self.route(input);
        self.drain_mesh();
        self.do_what_is_due();
        self.drain_mesh();
        // What was said or found may have made something due at once.
        while self.mesh.wake(now, &KnownAddresses(&self.database, &self.identity))
            || self.drive_search()
        {
            self.do_what_is_due();
            self.drain_mesh();
        }
        if cfg!(debug_assertions) {
            self.check();
        }
    }

    /// The next output, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The earliest deadline, and what it is for: then [`Input::Wake`] is due. Level-triggered: it
    /// stays until something is done about it; any input does what is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<(Mono, Why)> {
        let (dial, hello) = self.mesh.deadlines();
        let (floor, quota) = (self.floor_due(), self.quotas.deadline());
        let outrun = self.outrun_due();
        let all = [
            (dial, Why::Dial),
            (hello, Why::Hello),
            (quota, Why::Quota),
            (floor, Why::Floor),
            (outrun, Why::Outrun),
            (self.searching.as_ref().map(Searching::deadline), Why::Discovery),
            (self.resolver.deadline(), Why::Resolve),
        ];
        all.into_iter().filter_map(|(at, why)| Some((at?, why))).min()
    }

    /// Whether a key, SEC1 compressed, belongs to another operator of our cluster: the only keys
    /// that the transport lets in.
    #[must_use]
    pub fn admits(&self, key: &[u8; 33]) -> bool {
        let operator = self.manifest.by_key(key).filter(|_| self.own_index.is_some());
        operator.is_some_and(|operator| Some(operator.index) != self.own_index)
    }

    /// Our place in the cluster; `None` if the manifest in force does not name our key.
    #[must_use]
    pub fn own_index(&self) -> Option<OperatorIndex> {
        self.own_index
    }

    /// Our own newest record that is durable, and so may be heard of.
    #[must_use]
    pub fn own_record(&self) -> Option<&Signed> {
        self.published.as_ref()
    }

    /// Our cluster.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Our discovery, if we have any.
    #[must_use]
    pub fn discovery(&self) -> Option<&discovery::Discovery> {
        self.searching.as_ref().map(|it| &it.discovery)
    }

    /// Everything we hold.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The links over which a peer has said hello: who, which, and where the peer is seen.
    pub fn links(&self) -> impl Iterator<Item = (OperatorIndex, LinkId, SocketAddr)> {
        self.mesh.greeted().map(|(id, link)| (link.operator, id, link.remote))
    }

    /// Panics if an invariant is broken. Debug builds call it after every input, the simulator
    /// after every event.
    pub fn check(&self) {
        self.mesh.check();
        self.check_authority();
        self.searching.iter().for_each(|it| it.discovery.check());
        let newest = self.database.newest(&self.identity.node_id());
        if let Some(published) = &self.published {
            let newest = newest.expect("a published record is held");
            assert!(newest.seq() >= published.seq(), "our own record went back");
        }
        if let Some((ticket, _)) = &self.pending {
            assert!(ticket.0 < self.next_ticket, "a ticket from the future");
        }
    }

    /// Only operators of the manifest in force are linked, dialled, heard or looked for, and only
    /// while we are one.
    fn check_authority(&self) {
        let own = self.manifest.by_node_id(&self.identity.node_id());
        assert_eq!(self.own_index, own.map(|own| own.index), "our own place");
        let peers = others(&self.manifest, self.own_index).map(|it| (it.index, it.node_id));
        assert!(self.mesh.peers().eq(peers), "peers by another manifest");
        let named = self.quotas.operators().chain(self.resolver.operators());
        let named = named.chain(self.identity.informants());
        for operator in named {
            assert!(self.own_index.is_some(), "operator {operator} counts without us");
            assert!(self.manifest.get(operator).is_some(), "operator {operator} is none");
        }
    }

    fn do_what_is_due(&mut self) {
        let now = self.now;
        while let Some(change) = self.quotas.due(now) {
            self.accept(&change);
        }
        if self.floor_due().is_some_and(|at| at <= now) {
            self.identity.know_floor();
            self.reissue();
        }
        if self.outrun_due().is_some_and(|at| at <= now) {
            self.reissue();
        }
    }

    fn route(&mut self, input: Input<'_>) {
        let now = self.now;
        match input {
            Input::LinkOpened { link, peer, remote, dial } => {
                self.mesh.opened(now, link, &peer, remote, dial);
            }
            Input::DialFailed { dial } => self.mesh.answered(now, dial, true),
            Input::LinkBytes { link, bytes } => {
                self.mesh.heard(link, bytes);
                while self.mesh.read(now, link) {
                    self.drain_mesh();
                }
            }
            Input::LinkMoved { link, remote } => self.mesh.moved(link, remote),
            Input::LinkClosed { link } => self.mesh.closed(now, link),
            Input::Bound { local } => self.bound(local),
            Input::AddressUp { ip } => self.address_up(ip),
            Input::AddressDown { ip } => self.address_down(ip),
            Input::Durable { ticket } => self.durable(ticket),
            Input::Manifest { manifest } => self.load(manifest),
            Input::Hint { operator, address } => self.mesh.hint(now, operator, address),
            Input::Datagram { .. } | Input::Ask { .. } | Input::TalkBack { .. } => {
                self.search(input);
            }
            Input::Wake => {}
        }
    }

    fn bound(&mut self, local: SocketAddr) {
        let before = self.identity.bound(local);
        if let Some(it) = &mut self.searching {
            it.discovery.bound(local);
        }
        self.reissue();
        match before {
            None => {
                self.floor_by = self.now + FLOOR_WITHIN;
                self.mesh.start(self.now);
            }
            Some(before) if before != local => self.lost_socket(),
            Some(_) => {}
        }
        if before.is_none() {
            self.begin_search();
        }
    }

    /// Our socket or our interface is another.
    fn lost_socket(&mut self) {
        self.mesh.we_moved(self.now, true);
        self.search_anew();
    }

    /// An address more leaves links as they are, unless it is where we are from now on, or it ends
    /// a time without any (our record may be the same: behind a NAT, say).
    fn address_up(&mut self, ip: IpAddr) {
        let back_online = self.identity.address_up(ip);
        if self.reissue() || back_online {
            self.lost_socket();
        }
    }

    /// With an address, links may be gone.
    fn address_down(&mut self, ip: IpAddr) {
        let concerns = self.identity.concerns(ip);
        self.identity.address_down(ip);
        if self.reissue() || concerns {
            self.lost_socket();
        }
    }

    /// When to outrun a record of ours that somebody else issued, if one waits for that.
    fn outrun_due(&self) -> Option<Mono> {
        let (at, _) = self.outrun?;
        let held = self.database.get(&self.identity.node_id());
        (self.identity.must_outrun(held) && !self.exhausted).then_some(at)
    }

    /// When a first record has waited long enough for f + 1 peers. A clock that is behind what we
    /// are known to have signed is wrong, and proves no number new: then one peer at least is
    /// waited for, or a record of ours that discovery found, but not for ever. (Peers may all have
    /// moved, and without a new record of ours none of them can find us.) The number leaps then.
    fn floor_due(&self) -> Option<Mono> {
        let held = self.database.get(&self.identity.node_id());
        let known = held.map_or(0, |held| held.versions.newest().seq());
        let found = held.is_some_and(|held| held.provenance == Provenance::Discovery);
        let told = found || self.identity.is_vouched() || self.wall().0 > known;
        let by = if told { self.floor_by } else { self.floor_by + FLOOR_ALONE };
        self.identity.waits_for_floor(held).then_some(by)
    }

    /// A peer handed back a record of ours that this node did not issue. Once, that is our data
    /// loss; again and again, somebody else runs with our key, and each of us outruns the other:
    /// slower and slower, and the application is told.
    fn handed_back(&mut self) {
        if self.outrun.is_some_and(|(at, _)| self.now < at) {
            return; // the answer is due already
        }
        let (_, wait) = self.outrun.unwrap_or((self.now, Duration::ZERO));
        if wait >= 4 * BACKOFF_MIN {
            self.emit(Event::KeyInUseElsewhere);
        }
        self.outrun = Some((self.now + wait, (wait * 2).clamp(BACKOFF_MIN, BACKOFF_MAX)));
        self.reissue();
    }

    /// What peers say of our address changed.
    fn reconsider(&mut self) {
        if self.reissue() {
            self.mesh.we_moved(self.now, false);
        }
    }

    /// Signs a new record if it is due; answers whether the addresses in it changed. It is
    /// published when it is durable, not before: otherwise a crash could make us sign two
    /// different records with one sequence number.
    fn reissue(&mut self) -> bool {
        if self.outrun.is_some_and(|(at, _)| self.now < at) {
            return false;
        }
        let (own, wall) = (self.identity.node_id(), self.wall());
        let record = match self.identity.reissue(self.database.get(&own), wall) {
            None => return false,
            Some(Err(_)) => {
                if !std::mem::replace(&mut self.exhausted, true) {
                    self.emit(Event::SeqExhausted);
                }
                return false;
            }
            Some(Ok(record)) => record,
        };
        let before = self.database.newest(&own).map(Signed::endpoints);
        let changed = before != Some(record.endpoints());
        let verdict = self.database.merge(record.clone(), Provenance::Own, wall);
        assert_eq!(verdict, Verdict::Newest, "our own new record is above every other");
        let ticket = self.persist(&own);
        self.pending = Some((ticket, record));
        changed
    }

    fn durable(&mut self, ticket: Ticket) {
        assert!(ticket.0 < self.next_ticket, "a write that was never asked for is durable");
        let Some((_, record)) = self.pending.take_if(|(awaited, _)| *awaited <= ticket) else {
            return;
        };
        if !of_this_store(self.database.get(&self.identity.node_id())) {
            return; // somebody else runs with our key, and its number may be theirs: it is outrun
        }
        self.published = Some(record.clone());
        self.search_as(&record);
        self.tell_all(&record, None);
        self.emit(Event::OwnRecord { record });
    }

    /// The manifest's records are the first that we know, and the floor of our own.
    fn merge_manifest(&mut self) {
        let records: Vec<Signed> =
            self.manifest.operators().iter().map(|operator| operator.record.clone()).collect();
        for record in records {
            let node = record.node_id();
            if self.database.merge(record, Provenance::Manifest, self.wall()) != Verdict::Stale {
                self.persist(&node);
            }
        }
    }

    fn persist(&mut self, node: &NodeId) -> Ticket {
        self.write(self.database.row(node))
    }

    fn write(&mut self, row: Row) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.outputs.push_back(Output::Persist { ticket, row });
        ticket
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn count(&mut self, counter: Counter) {
        self.outputs.push_back(Output::Count(counter));
    }

    fn wall(&self) -> Wall {
        let (mono, wall) = self.started;
        wall + (self.now - mono)
    }

    fn drain_mesh(&mut self) {
        while let Some(action) = self.mesh.poll() {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { dial, peer, address } => {
                self.outputs.push_back(Output::Dial { dial, peer, address });
            }
            Action::Send { link, bytes } => self.outputs.push_back(Output::Send { link, bytes }),
            Action::Close { link, why } => self.outputs.push_back(Output::Close { link, why }),
            Action::Opened { link, remote } => self.greet(link, remote),
            Action::Moved { link, remote } => self.peer_moved(link, remote),
            Action::Greeted { link, from, hello, first } => self.greeted(link, from, hello, first),
            Action::Records { link, from, records } => self.heard_records(link, from, &records),
            Action::Seen { link, from, address } => self.seen(link, from, address),
            Action::Reloaded { link, from, hello } => self.reloaded(link, from, &hello),
            Action::Gone { link, from, lost } => {
                if lost {
                    self.emit(Event::Lost { operator: from });
                    if self.searching.is_some() {
                        self.resolver.lost(self.now, from);
                    }
                }
                // A majority that only dead links upheld may be gone with this one.
                self.identity.forget(link);
                self.reconsider();
            }
            Action::Violated { from, how } => self.emit(Event::Violated { operator: from, how }),
            Action::Count(counter) => self.count(counter),
        }
    }
}

/// Where nodes may answer, as far as the database knows: where their records say, if that can mean
/// the same place to us, and where they were reached.
struct KnownAddresses<'a>(&'a Database, &'a Identity);

impl Addresses for KnownAddresses<'_> {
    fn of(&self, node: &NodeId) -> Vec<SocketAddr> {
        let Self(database, identity) = self;
        let Some(entry) = database.get(node) else { return Vec::new() };
        let said = entry.versions.newest().endpoints().quic_addresses();
        said.filter(|address| identity.reaches(*address)).chain(entry.reached).collect()
    }
}

/// The operators with whom we have to do: all others, if we are one.
fn others(manifest: &Manifest, own: Option<OperatorIndex>) -> impl Iterator<Item = &Operator> {
    let operators = own.map(|_| manifest.operators()).unwrap_or_default();
    operators.iter().filter(move |operator| Some(operator.index) != own)
}

fn check_external(external: &[SocketAddr]) -> Result<(), StartError> {
    for (place, address) in external.iter().enumerate() {
        let second = external[..place].iter().any(|other| other.is_ipv4() == address.is_ipv4());
        if second || !is_usable(*address) {
            return Err(StartError::External(*address));
        }
    }
    Ok(())
}

/// The driver's whole contract: feed one input, perform every output in order, and come back with
/// [`Input::Wake`] at the time answered, if nothing else comes first.
pub fn step(
    node: &mut Node,
    now: Mono,
    input: Input<'_>,
    mut perform: impl FnMut(Output),
) -> Option<Mono> {
    // A node that was just made has something to say before anything happened to it.
    while let Some(output) = node.poll() {
        perform(output);
    }
    node.handle(now, input);
    while let Some(output) = node.poll() {
        perform(output);
    }
    let next = node.wake_at().map(|(at, _)| at);
    assert!(next.is_none_or(|at| at > now), "a deadline in the past would spin the driver");
    next
}
