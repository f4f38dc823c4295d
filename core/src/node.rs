//! The state machine of one operator: one way in, one ordered queue out.
//!
//! [`Node`] routes each input to its room and gathers what the rooms want in one queue. Its
//! driver's whole contract is the function [`step`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::chance::{Chance, Stream};
use crate::cluster::{Manifest, Operator, OperatorIndex};
use crate::database::{Database, Provenance, Row, Verdict};
use crate::discovery;
use crate::discovery::seeds::SEEDS_KEY;
use crate::identity::Identity;
use crate::marks::{Mark, mark};
use crate::mesh::{Action, Addresses, Mesh};
use crate::planted::{Bug, planted};
use crate::record::{NodeId, Signed, is_usable};
use crate::time::{Mono, Wall};

mod config;
mod discover;
mod exchange;
mod input;
mod load;
mod output;
mod own;
mod quota;
mod resolve;

pub use crate::count::Counter;
pub use crate::identity::SEQ_LEAP;
pub use crate::mesh::{CloseReason, DialId, LinkId, Violation};
use config::check_external;
pub use config::{Config, StartError};
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
            mark(Mark::RowDamaged);
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
        let late = Duration::from_secs(if planted(Bug::WakesTooLate) { 60 } else { 0 });
        all.into_iter().filter_map(|(at, why)| Some((at? + late, why))).min()
    }

    /// Whether a key, SEC1 compressed, belongs to another operator of our cluster: the only keys
    /// that the transport lets in.
    #[must_use]
    pub fn admits(&self, key: &[u8; 33]) -> bool {
        let operator = self.manifest.by_key(key).filter(|_| self.own_index.is_some());
        let fit = operator.is_some_and(|operator| Some(operator.index) != self.own_index);
        fit || planted(Bug::AdmitsStrangers)
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
            mark(Mark::WaitsForFloor);
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
            Input::Datagram { .. }
            | Input::Ask { .. }
            | Input::TalkBack { .. }
            | Input::Entropy { .. } => self.search(input),
            Input::Wake => {}
        }
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
            Action::Reloaded { .. } if planted(Bug::IgnoresReloaded) => {}
            Action::Reloaded { link, from, hello } => self.reloaded(link, from, &hello),
            Action::Gone { link, from, lost } => {
                if lost {
                    self.emit(Event::Lost { operator: from });
                    if self.searching.is_some() && !planted(Bug::NeverSearchesLost) {
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
        let reached = entry.reached.filter(|_| !planted(Bug::ForgetsWhereReached));
        said.filter(|address| identity.reaches(*address)).chain(reached).collect()
    }
}

/// The operators with whom we have to do: all others, if we are one.
fn others(manifest: &Manifest, own: Option<OperatorIndex>) -> impl Iterator<Item = &Operator> {
    let operators = own.map(|_| manifest.operators()).unwrap_or_default();
    operators.iter().filter(move |operator| Some(operator.index) != own)
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
