//! The event loop: hosts, network and oracle under one clock, in one order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stayfound_core::chance::Chance;
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::node::{Config, Counter, Event as Told, Input, LinkId, Node, Output};
use stayfound_core::record::{NodeId, Signed};
use stayfound_core::recording::End;
use stayfound_core::step;

use crate::event::{Event, HostId, Local};
use crate::host::{Disk, DiskSpeed, Halt, Host, SOCKET_DATAGRAMS, Uplink, Waiting};
use crate::moment::Moment;
use crate::network::{Access, Arrival, Due, Latency, Loss, Network, Noise, OpenLink};
use crate::observe::happening::{self};
use crate::observe::{Observed, Observer, Way};
use crate::occupant::{Occupant, Role};
use crate::oracle::{Finding, Oracle, View};
use crate::queue::Queue;
use crate::trace::{Trace, input_in_words};

mod faults;
mod occupants;
mod watch;

/// More events than this in one run, and something does not come to rest ...
pub const EVENTS_MAX: u64 = 4_000_000;
/// ... but for so many more for each host and simulated second.
pub const EVENTS_OF_HOST_AND_SECOND: u64 = 100;
/// Of the events of nodes that are no operators, one of so many is followed by the core's own check.
const CHECKED_OF: u64 = 16;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The hosts: the operators in the order of their indices, then strangers.
    pub hosts: Vec<HostSetup>,
    /// How many of the hosts are operators.
    pub operators: usize,
    /// Whether discovery can bring operators together that know nobody's address.
    pub discovery: bool,
    /// How far apart the hosts are.
    pub latency: Latency,
    /// How many packets are lost.
    pub loss: Loss,
    /// What else happens to datagrams.
    pub noise: Noise,
    /// How fast the disks are.
    pub disks: DiskSpeed,
    /// How soon who moved is linked again.
    pub relinks_within: Duration,
}

/// One host of a [`Setup`].
#[derive(Clone, Debug)]
pub struct HostSetup {
    /// Its node.
    pub config: Config,
    /// How it is connected.
    pub uplink: Uplink,
    /// Where it is, seen from outside, by its first interface.
    pub address: SocketAddr,
    /// The addresses of its other interfaces.
    pub others: BTreeSet<IpAddr>,
    /// Its last mile.
    pub access: Access,
    /// Whether its socket takes both address families.
    pub dual_stack: bool,
    /// Who starts there.
    pub role: Role,
}

/// Everything, at one moment.
pub struct World {
    now: Moment,
    queue: Queue<Event>,
    hosts: Vec<Host>,
    /// Who is on each in place of a node.
    occupants: Vec<Option<Occupant>>,
    /// The records of the operators in every manifest that names them.
    listed: Vec<Signed>,
    network: Network,
    oracle: Oracle,
    trace: Trace,
    outputs: Vec<Output>,
    /// Whose turn it is, for whoever asks after a panic.
    turn: HostId,
    /// When the last fault was.
    quiet_since: Moment,
    /// What came of what applications asked.
    answers: BTreeMap<(HostId, u64), Answer>,
    /// Who watches, if anybody does, and up to which change of the network it has seen the links.
    observer: Option<Box<Observer>>,
    links_seen: u64,
}

impl World {
    /// A world in which nothing runs yet.
    #[must_use]
    pub fn new(setup: &Setup, chance: &Chance, trace: Trace) -> Self {
        let mut world = Self {
            now: Moment::default(),
            queue: Queue::default(),
            hosts: Vec::new(),
            occupants: Vec::new(),
            listed: Vec::new(),
            network: Network::new(setup.latency, setup.loss, setup.noise, chance),
            oracle: Oracle::default(),
            trace,
            outputs: Vec::new(),
            turn: HostId(0),
            quiet_since: Moment::default(),
            answers: BTreeMap::new(),
            observer: None,
            links_seen: 0,
        };
        if setup.discovery {
            world.oracle.add_discovery();
        }
        world.oracle.expect_relinks_within(setup.relinks_within);
        for (place, host) in setup.hosts.iter().enumerate() {
            let label = |what: &str| chance.stream(&format!("{what} of host {place}"));
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&label("seeds").draw().to_le_bytes());
            world.add(
                host,
                place < setup.operators,
                Host {
                    config: host.config.clone(),
                    uplink: host.uplink,
                    address: host.address,
                    forwards: matches!(host.uplink, Uplink::Forwarded { .. }),
                    online: true,
                    others: host.others.clone(),
                    dual_stack: host.dual_stack,
                    disk: Disk::new(setup.disks, label("disk")),
                    wall_error: 0,
                    drift: 0,
                    process: None,
                    role: host.role,
                    traitor: None,
                    starts: 0,
                    chance: Chance::new(seed),
                    told_at: Moment::default(),
                    notices: label("notices"),
                    counts: BTreeMap::new(),
                    recordings: None,
                },
            );
            let id = world.network.add(host.config.key.public_key(), chance);
            assert_eq!(id, HostId(place));
            world.network.begins_with(id, host.access);
            let at = world.hosts[place].attachment();
            world.network.attach(id, at, world.now, &mut world.queue);
        }
        for host in (0..setup.operators).map(HostId) {
            let named = world.named(host);
            world.oracle.loaded(host, &named);
            world.oracle.reach.begins_with(host, &named);
        }
        world
    }

    fn add(&mut self, setup: &HostSetup, is_operator: bool, host: Host) {
        let own = setup.config.key.public_key();
        if is_operator {
            let manifest = &setup.config.manifest;
            let listed = &manifest.by_key(own.as_bytes()).expect("an operator is listed").record;
            self.oracle.add_operator(listed);
            let said = listed.endpoints().quic_addresses().chain(setup.config.external.clone());
            self.oracle.configured(HostId(self.hosts.len()), said);
            self.listed.push(listed.clone());
            self.oracle.reach.add_configured(setup);
        } else {
            self.oracle.add_stranger(own);
        }
        self.hosts.push(host);
        self.occupants.push(None);
    }

    /// Measures what happens from now on; with `events`, writes down every event as well.
    ///
    /// # Panics
    /// If something has happened before.
    pub fn watch(&mut self, events: bool) {
        assert!(self.trace.events() == 0, "too late to watch");
        let id = |host: &Host| NodeId::of(&host.config.key.public_key().point());
        let ids: Vec<NodeId> = self.hosts.iter().map(id).collect();
        let at: Vec<_> = self.hosts.iter().map(Host::addresses).collect();
        let operators = self.oracle.operators();
        self.observer = Some(Box::new(Observer::new(&ids, &at, operators, events)));
    }

    /// Records every process of a host from now on.
    ///
    /// # Panics
    /// If one runs.
    pub fn record(&mut self, host: HostId) {
        assert!(self.hosts[host.0].process.is_none(), "too late to record");
        self.hosts[host.0].recordings.get_or_insert_default();
    }

    /// The recordings of a host's processes, in order, when nothing more is to happen.
    pub fn recordings(&mut self, host: HostId) -> Vec<Vec<u8>> {
        let host = &mut self.hosts[host.0];
        let mut recordings = host.recordings.take().unwrap_or_default();
        let running = host.process.as_mut().and_then(|process| process.recorder.take());
        if let Some((recorder, recording)) = running.zip(recordings.last_mut()) {
            recorder.end(End::Stopped, recording);
        }
        recordings
    }

    /// What was measured, when nothing more is to happen; `None` if nobody watched.
    pub fn observed(&mut self) -> Option<Observed> {
        let now = self.now;
        self.observer.take().map(|observer| observer.finish(now))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Whose turn it is.
    #[must_use]
    pub fn turn(&self) -> String {
        self.oracle.name(self.turn)
    }

    /// What has happened.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What has happened, when nothing more is to.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    /// The node that runs on a host.
    #[must_use]
    pub fn node(&self, host: HostId) -> Option<&Node> {
        self.hosts[host.0].process.as_ref().map(|process| &process.node)
    }

    /// How often something happened at a host, through all its starts.
    #[must_use]
    pub fn count(&self, host: HostId, counter: Counter) -> u64 {
        self.hosts[host.0].counts.get(&counter).copied().unwrap_or_default()
    }

    /// How often each thing happened at all hosts together.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Counter, u64> {
        let hosts = || (0..self.hosts.len()).map(HostId);
        let sum = |counter| hosts().map(|host| self.count(host, counter)).sum();
        Counter::ALL.into_iter().map(|counter| (counter, sum(counter))).collect()
    }

    /// Every link that is open at both ends.
    pub fn open_links(&self) -> impl Iterator<Item = OpenLink> {
        self.network.open_links()
    }

    /// An application asks its node something; see [`World::answer`].
    ///
    /// # Errors
    /// The first thing that must not be.
    pub fn ask(&mut self, host: HostId, id: u64, ask: &Ask) -> Result<(), Finding> {
        self.feed(host, Input::Ask { id, ask })
    }

    /// What came of what was asked with this number, once.
    pub fn answer(&mut self, host: HostId, id: u64) -> Option<Answer> {
        self.answers.remove(&(host, id))
    }

    /// Lets everything happen that is due until then.
    ///
    /// # Errors
    /// The first thing that must not be.
    pub fn advance(&mut self, until: Moment) -> Result<(), Finding> {
        assert!(until >= self.now, "time ran backwards: {until} after {}", self.now);
        while let Some((at, event)) = self.queue.pop_until(until) {
            self.happen(at, event)?;
        }
        self.now = until;
        Ok(())
    }

    /// Lets things happen until the oracle has nothing to say.
    ///
    /// # Errors
    /// What it says when `within` has passed, or the first thing that must not be.
    pub fn advance_to_health(&mut self, within: Duration) -> Result<Duration, Finding> {
        let (since, until) = (self.now, self.now + within);
        loop {
            let verdict = self.verdict();
            if verdict.is_ok() {
                self.settled();
                return Ok(self.now - since);
            }
            let Some((at, event)) = self.queue.pop_until(until) else {
                self.now = until;
                return verdict.map(|()| within);
            };
            self.happen(at, event)?;
        }
    }

    /// What is wrong, if nothing more is to happen. What is owed and done counts as known from
    /// now on.
    ///
    /// # Errors
    /// Who lacks what, since when.
    pub fn expect_health(&mut self) -> Result<(), Finding> {
        self.on_time()?;
        self.verdict()?;
        self.settled();
        Ok(())
    }

    fn settled(&mut self) {
        self.oracle.settled();
        self.look_around();
    }

    /// Whoever must have done something by now has.
    fn on_time(&mut self) -> Result<(), Finding> {
        let network = &self.network;
        self.oracle.on_time(self.now, |a, b| {
            let between = |link: &OpenLink| {
                let [(x, _), (y, _)] = link.ends;
                link.works && ((x, y) == (a, b) || (x, y) == (b, a))
            };
            network.open_links().any(|link| between(&link))
        })
    }

    /// The next event.
    fn happen(&mut self, at: Moment, event: Event) -> Result<(), Finding> {
        assert!(at >= self.now, "the queue went back in time");
        self.now = at;
        self.on_time()?;
        if self.trace.events() > EVENTS_MAX && self.trace.events() > self.events_max() {
            let sentence =
                format!("{} events: something does not come to rest", self.trace.events());
            return Err(Finding::liveness(at, sentence));
        }
        match event {
            Event::Network(Due::Datagram(datagram)) => {
                let Some(host) = self.network.receiver(&datagram, at) else { return Ok(()) };
                if self.occupants[host.0].is_some() {
                    self.occupant_hears(host, datagram.from, datagram.bytes);
                    return Ok(());
                }
                self.arrive(host, Arrival::Datagram(datagram.from, datagram.bytes))
            }
            Event::Network(due) => {
                let hosts = &self.hosts;
                self.network.handle(due, at, &mut self.queue, &|host, key| {
                    let process = hosts[host.0].process.as_ref();
                    process.is_some_and(|process| process.node.admits(key.as_bytes()))
                });
                while let Some(delivery) = self.network.deliver() {
                    self.arrive(delivery.host, delivery.what)?;
                }
                self.look_at_links();
                Ok(())
            }
            Event::Local { host, process, what } => self.local(host, process, what),
        }
    }

    fn events_max(&self) -> u64 {
        let host_seconds = self.hosts.len() as u64 * (self.now.0 / 1_000_000_000);
        EVENTS_MAX + EVENTS_OF_HOST_AND_SECOND * host_seconds
    }

    fn arrive(&mut self, host: HostId, what: Arrival) -> Result<(), Finding> {
        assert!(self.occupants[host.0].is_none(), "only datagrams get to it: it dials nobody");
        if self.waits(host, &what) {
            return Ok(());
        }
        match &what {
            Arrival::Opened { link, peer, remote, .. } => {
                self.oracle.link_opened(self.now, host, *link, *peer)?;
                if let Some(wire) = self.network.wire(host, *link) {
                    self.oracle.begins(self.now, wire);
                }
                self.oracle.link_seen(host, *link, *remote);
            }
            Arrival::Closed(link) => self.oracle.link_closed(self.now, host, *link),
            // The bytes came in two pieces, and the first made the node close the link.
            Arrival::Bytes(link, _) if !self.network.is_open(host, *link) => return Ok(()),
            Arrival::DialFailed(_) | Arrival::Bytes(..) | Arrival::Datagram(..) => {}
            Arrival::Moved(link, remote) => self.oracle.link_seen(host, *link, *remote),
        }
        self.look_at_arrival(host, &what);
        let Some(traitor) = &mut self.hosts[host.0].traitor else {
            return self.feed(host, what.input());
        };
        match traitor.hears(&what) {
            Some(heard) => self.feed(host, heard.input()),
            None => {
                self.trace.event(self.now, host, || "the traitor hears".into());
                self.trace.input(&what.input());
                Ok(())
            }
        }
    }

    /// Whether a process is not told this now: later, or never.
    fn waits(&mut self, host: HostId, what: &Arrival) -> bool {
        let Some(process) = &mut self.hosts[host.0].process else { return false };
        let is_datagram = matches!(what, Arrival::Datagram(..));
        let keeps = match process.halt {
            None => return false,
            Some(Halt::Paused) => !is_datagram || process.datagrams_waiting() < SOCKET_DATAGRAMS,
            Some(Halt::Suspended(_)) => !is_datagram,
        };
        if keeps {
            process.waiting.push(Waiting::Arrival(what.clone()));
        }
        true
    }

    fn local(&mut self, id: HostId, process: u32, what: Local) -> Result<(), Finding> {
        if self.occupants[id.0].is_some() {
            self.occupant_wakes(id);
            return Ok(());
        }
        let host = &mut self.hosts[id.0];
        let Some(running) = host.process.as_mut().filter(|running| running.number == process)
        else {
            return Ok(()); // that process is gone
        };
        match what {
            Local::Wake if running.wake_at != Some(self.now) => return Ok(()), // put off
            Local::Wake => {
                running.wake_at = None;
                self.oracle.woke(self.now, id)?;
            }
            Local::Durable(ticket) => {
                assert_eq!(host.disk.done(), ticket, "writes are done in order");
                self.oracle.durable(self.now, id, ticket);
            }
            Local::Bound(_) | Local::Up(_) | Local::Down(_) => {}
        }
        if self.process(id).halt.is_some() {
            self.process(id).waiting.push(Waiting::Local(what));
            return Ok(());
        }
        self.feed(id, what.input())
    }

    /// Gives a node an input, does what it wants, and has the oracle look.
    fn feed(&mut self, id: HostId, input: Input<'_>) -> Result<(), Finding> {
        self.turn = id;
        self.trace.event(self.now, id, || input_in_words(&input));
        self.trace.input(&input);
        self.look_at_event(id, |stamp, ends| happening::input(stamp, &input, ends));
        let Host { process, recordings, .. } = &mut self.hosts[id.0];
        let process = process.as_mut().expect("only what runs is fed");
        let mut recording = recordings.as_mut().and_then(|all| all.last_mut());
        let mut outputs = std::mem::take(&mut self.outputs);
        let mono = process.clock.mono(self.now);
        if let Some((recorder, recording)) = process.recorder.as_mut().zip(recording.as_mut()) {
            recorder.input(mono, &input, recording);
        }
        let left = match input {
            Input::AddressDown { ip } if shows_newest(&process.node) => Some(ip),
            _ => None,
        };
        match input {
            Input::AddressUp { ip } => self.oracle.told_of_interface(id, ip, true),
            Input::AddressDown { ip } => self.oracle.told_of_interface(id, ip, false),
            _ => {}
        }
        let next = step(&mut process.node, mono, input, |output| outputs.push(output));
        if let Some((ip, newest)) = left.zip(newest_own(&process.node)) {
            self.oracle.left(self.now, id, ip, newest)?;
        }
        if let Some((recorder, recording)) = process.recorder.as_mut().zip(recording) {
            recorder.outcome(&outputs, next, recording);
        }
        let wake_at = next.map(|next| process.clock.moment(next).max(self.now));
        if wake_at != process.wake_at {
            process.wake_at = wake_at;
            self.wakes(id, wake_at);
        }
        let writes = self.observer.is_some()
            && outputs.iter().any(|output| matches!(output, Output::Persist { .. }));
        if let Some(traitor) = &mut self.hosts[id.0].traitor {
            traitor.twists(&mut outputs);
        }
        for output in outputs.drain(..) {
            self.trace.output(&output);
            self.look_at_event(id, |stamp, ends| happening::output(stamp, &output, ends));
            self.perform(id, output)?;
        }
        self.outputs = outputs;
        if writes {
            self.look_at_database(id);
        }
        self.look_at_links();
        self.observe(id)
    }

    /// A process is to be woken then, if anything is.
    fn wakes(&mut self, id: HostId, at: Option<Moment>) {
        let process = self.process(id).number;
        if let Some(at) = at {
            self.queue.push(at, Event::Local { host: id, process, what: Local::Wake });
        }
    }

    fn perform(&mut self, id: HostId, output: Output) -> Result<(), Finding> {
        let now = self.now;
        match output {
            Output::Dial { dial, peer, address } => {
                self.oracle.dialled(now, id, peer, address);
                self.network.dial((id, dial), (peer, address), now, &mut self.queue);
            }
            Output::Send { link, bytes } => {
                self.oracle.said(now, id, &bytes)?;
                if let Some(observer) = &mut self.observer {
                    observer.frame(id, Way::Sent, bytes.len());
                }
                let said = self.network.say((id, link), bytes, now, &mut self.queue);
                said.or_else(|_| self.misuse(id, link, "says something on"))?;
            }
            Output::Close { link, why } => {
                self.oracle.closes(now, (id, link), why, &self.network)?;
                let closed = self.network.close((id, link), now, &mut self.queue);
                closed.or_else(|_| self.misuse(id, link, "closes"))?;
                self.oracle.link_closed(now, id, link);
            }
            Output::Persist { ticket, row } => {
                self.oracle.wrote(id, ticket, &row);
                let host = &mut self.hosts[id.0];
                let process = host.process.as_ref().expect("it has just asked").number;
                let at = host.disk.write(now, ticket, row);
                let what = Local::Durable(ticket);
                self.queue.push(at, Event::Local { host: id, process, what });
            }
            Output::Count(counter) => *self.hosts[id.0].counts.entry(counter).or_default() += 1,
            Output::Datagram { to, bytes } => {
                if let Some(observer) = &mut self.observer {
                    observer.datagram(id, Way::Sent, bytes.len());
                }
                self.network.send(id, None, (to, bytes), now, &mut self.queue);
                if let Some(from) = self.network.seen_from(id, to, now) {
                    self.oracle.datagram_seen(id, from, to);
                }
            }
            Output::Event(Told::Answered { id: ask, answer }) => {
                self.answers.insert((id, ask), answer);
            }
            Output::Sought(sought) => {
                self.oracle.sought(now, id, &sought);
                if let Some(observer) = &mut self.observer {
                    let process = self.hosts[id.0].process.as_ref().expect("it has just looked");
                    // A clock that has slept since says it a little late.
                    let began = process.clock.moment(sought.began).min(now);
                    observer.sought(now, id, began, &sought);
                }
            }
            Output::Event(Told::Violated { operator, how }) => {
                self.oracle.accuses(now, id, operator, how)?;
            }
            Output::Event(Told::SeqExhausted) => self.oracle.exhausted(now, id)?,
            Output::Event(_) => {}
        }
        Ok(())
    }

    /// A node does something to a link that is not open: wrong, unless it could not know yet.
    fn misuse(&self, host: HostId, link: LinkId, does: &str) -> Result<(), Finding> {
        let process = self.hosts[host.0].process.as_ref();
        if process.is_some_and(|process| process.is_to_hear_of_the_end_of(link)) {
            return Ok(());
        }
        let name = self.oracle.name(host);
        let sentence = format!("{name} {does} link {}, which is not open", link.0);
        Err(Finding::safety(self.now, sentence))
    }

    fn observe(&mut self, id: HostId) -> Result<(), Finding> {
        let node = &self.hosts[id.0].process.as_ref().expect("it was just fed").node;
        // With debug assertions it checks itself. Its check walks through its whole table, which is
        // most of what a large network would cost: who only discovers is checked now and then.
        let is_due = self.is_operator(id) || self.trace.events().is_multiple_of(CHECKED_OF);
        if !cfg!(debug_assertions) && is_due {
            node.check();
        }
        let links = links(node);
        let view = View { database: node.database(), own: node.own_record(), links: &links };
        self.oracle.observe(self.now, id, view)
    }

    fn verdict(&self) -> Result<(), Finding> {
        let operators = || self.hosts[..self.oracle.operators()].iter();
        let nodes = || operators().map(|host| host.process.as_ref().map(|it| &it.node));
        let links: Vec<_> = nodes().map(|node| node.map(links).unwrap_or_default()).collect();
        let views: Vec<Option<View<'_>>> = nodes()
            .zip(&links)
            .map(|(node, links)| {
                node.map(|it| View { database: it.database(), own: it.own_record(), links })
            })
            .collect();
        let addresses: Vec<_> =
            (0..self.oracle.operators()).map(|who| self.network.addresses(HostId(who))).collect();
        let open: Vec<OpenLink> = self.network.open_links().collect();
        self.oracle.verdict(&views, &open, &addresses).map_err(|sentence| {
            let quiet = (self.now - self.quiet_since).as_secs_f64();
            Finding::liveness(self.now, format!("{sentence}, {quiet:.3} s after the last fault"))
        })
    }
}

fn newest_own(node: &Node) -> Option<&Signed> {
    let own = node.own_record()?.node_id();
    node.database().newest(&own)
}

/// Whether the newest record of its own is the one that others may hear of.
fn shows_newest(node: &Node) -> bool {
    newest_own(node) == node.own_record()
}

fn links(node: &Node) -> Vec<(OperatorIndex, LinkId)> {
    node.links().map(|(operator, link, _)| (operator, link)).collect()
}
