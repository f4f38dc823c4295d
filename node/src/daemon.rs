//! The loop around the core's `step`: one task owns the core, feeds it what happens, and does what
//! it wants done.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::cluster::{self, Manifest, OperatorIndex};
use stayfound_core::discovery::seeds::SEEDS_KEY;
use stayfound_core::discovery::{Answer, Ask, Talk};
use stayfound_core::keys::PublicKey;
use stayfound_core::mesh::LinkId;
use stayfound_core::node::{Config, Counter, Event, Input, Node, Output, step};
use stayfound_core::recording::End;
use stayfound_core::time::{Mono, Wall};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::alarm::Alarm;
use self::refusals::Refusals;
use self::start::Opened;
use self::writer::Writer;
use crate::error::MeshError;
use crate::interfaces::{self, Change};
use crate::link::endpoint::Endpoint;
use crate::link::handle::Link;
use crate::link::report::{Failure, Report};
use crate::recording::{Recording, Tape};
use crate::socket::{self, Batch, Inbox, Outbox, Port, Split};
use crate::status::{Counters, Status};
use crate::store::Store;
use crate::talk::Talks;

mod alarm;
mod events;
mod refusals;
mod start;
mod writer;

/// How many events may wait for a slow listener.
const EVENTS_MAX: usize = 1024;
/// How long the status may lag behind what is only counted, however many datagrams come.
const PUBLISH_WITHIN: Duration = Duration::from_millis(250);
/// How often the node is given fresh randomness: what a host that was put back to an earlier state
/// draws twice, it draws for no longer.
const ENTROPY_EVERY: Duration = Duration::from_secs(60);

/// What the application asks for.
pub(crate) enum Command {
    Hint { operator: OperatorIndex, address: SocketAddr },
    Load { manifest: Manifest, answer: oneshot::Sender<Vec<cluster::Change>> },
    Rebind { address: SocketAddr, answer: oneshot::Sender<Result<SocketAddr, MeshError>> },
    Ask { ask: Ask, answer: oneshot::Sender<Answer> },
    TalkBack { talk: Talk, response: Bytes },
    Stop,
}

/// What the application looks at.
pub(crate) struct Outlets {
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) local: watch::Sender<SocketAddr>,
}

/// Everything that a running node consists of.
pub(crate) struct Daemon {
    node: Node,
    /// What records it, if anything does.
    tape: Option<Tape>,
    /// Our own key.
    own: PublicKey,
    started: (Instant, Wall),
    wake_at: Option<Mono>,
    /// When the status is to show what was only counted.
    publish_at: Option<Instant>,
    entropy_at: Instant,
    alarm: Alarm,
    endpoint: Endpoint,
    reports: mpsc::Receiver<Report>,
    /// How the socket tells discovery's datagrams from QUIC's, if there is discovery.
    split: Option<Split>,
    inbox: Arc<Inbox>,
    outbox: Outbox,
    /// What was last taken from the inbox.
    batch: Batch,
    links: BTreeMap<LinkId, Link>,
    /// Links that we closed because the peer does not read; the core is yet to be told.
    unread: Vec<LinkId>,
    writer: Writer,
    /// Changes of the host's addresses, from the moment that the socket served all of them.
    changes: Option<mpsc::Receiver<Change>>,
    commands: mpsc::UnboundedReceiver<Command>,
    talks: Talks,
    /// What the application asked and waits for.
    asks: BTreeMap<u64, oneshot::Sender<Answer>>,
    next_ask: u64,
    outlets: Outlets,
    /// Room for what a step wants done.
    outputs: Vec<Output>,
    /// Events of the step under way: they are sent when the status shows them.
    events: Vec<Event>,
    counters: Counters,
    refusals: Refusals,
}

impl Daemon {
    /// Opens everything, and tells the core where it is.
    ///
    /// # Errors
    /// [`MeshError`]; everything is closed again then.
    pub(crate) async fn start(
        config: Config,
        listen: SocketAddr,
        (store, recording): (Box<dyn Store>, Option<Recording>),
        talks: Talks,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Result<Self, MeshError> {
        let own = config.key.public_key();
        let (writer, rows) = Writer::start(store).await.map_err(MeshError::Store)?;
        let opened = match Opened::new(config, listen, &rows, recording).await {
            Ok(opened) => opened,
            Err(error) => {
                writer.close().await.map_err(MeshError::Store)?;
                return Err(error);
            }
        };
        let Opened { node, tape, started, endpoint, reports, split, port, addresses, changes } =
            opened;
        let local = port.local();
        let inbox = split.as_ref().map(|split| split.inbox.clone()).unwrap_or_default();
        let counters = Counters::default();
        let outlets = Outlets {
            events: broadcast::channel(EVENTS_MAX).0,
            status: watch::channel(Status::of(&node, &counters, None, started.1)).0,
            local: watch::channel(local).0,
        };
        let mut daemon = Self {
            node,
            tape,
            own,
            started,
            wake_at: None,
            publish_at: None,
            entropy_at: Instant::now() + ENTROPY_EVERY,
            alarm: Alarm::default(),
            endpoint,
            reports,
            split,
            inbox,
            outbox: Outbox::new(port),
            batch: Batch::default(),
            links: BTreeMap::new(),
            unread: Vec::new(),
            writer,
            changes,
            commands,
            talks,
            asks: BTreeMap::new(),
            next_ask: 0,
            outlets,
            outputs: Vec::new(),
            events: Vec::new(),
            counters,
            refusals: Refusals::default(),
        };
        daemon.stir();
        for ip in addresses {
            daemon.step(Input::AddressUp { ip });
        }
        daemon.step(Input::Bound { local });
        daemon.send_all();
        info!(%local, "started");
        Ok(daemon)
    }

    /// What the application looks at.
    pub(crate) fn outlets(&self) -> &Outlets {
        &self.outlets
    }

    /// Runs until the application says stop or is gone, or until the store or the socket fails.
    pub(crate) async fn run(mut self) -> Result<(), MeshError> {
        let ended = loop {
            if let ControlFlow::Break(ended) = self.turn().await {
                break ended;
            }
        };
        debug!("stopping");
        let Self { endpoint, reports, outbox, links, writer, commands, tape, .. } = self;
        drop((reports, outbox, links));
        let recorded = spawn_blocking(move || tape.map(|mut tape| tape.end(End::Stopped)));
        let (stored, (), recorded) = tokio::join!(writer.close(), endpoint.close(), recorded);
        recorded.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()));
        drop(commands); // last: whoever watches it learns that everything has ended
        stored.map_err(MeshError::Store).and(ended)
    }

    /// Waits for the next thing to happen and acts on it; answers whether to go on. That the store
    /// failed is said when it is closed.
    async fn turn(&mut self) -> ControlFlow<Result<(), MeshError>> {
        let wake_at = self.wake_at.map(|Mono(at)| self.started.0 + Duration::from_nanos(at));
        self.alarm.set(wake_at.into_iter().chain(self.publish_at).chain([self.entropy_at]).min());
        let flow = tokio::select! {
            command = self.commands.recv() => self.commanded(command).await,
            () = self.inbox.take(&mut self.batch) => {
                self.received();
                ControlFlow::Continue(())
            }
            () = self.outbox.has_room() => ControlFlow::Continue(()),
            ticket = self.writer.durable() => match ticket {
                None => ControlFlow::Break(Ok(())),
                Some(ticket) => {
                    self.step(Input::Durable { ticket });
                    ControlFlow::Continue(())
                }
            },
            report = self.reports.recv() => {
                self.reported_all(report.expect("the endpoint, which reports, is ours"))
            }
            change = next(&mut self.changes) => {
                self.step(match change {
                    Change::Up(ip) => Input::AddressUp { ip },
                    Change::Down(ip) => Input::AddressDown { ip },
                });
                ControlFlow::Continue(())
            }
            now = self.alarm.rings() => {
                self.rung(now, wake_at);
                ControlFlow::Continue(())
            }
        };
        self.send_all();
        flow
    }

    /// Does what the application asks for, and all that it has asked for since.
    async fn commanded(&mut self, first: Option<Command>) -> ControlFlow<Result<(), MeshError>> {
        let Some(first) = first else { return ControlFlow::Break(Ok(())) };
        let since = self.commands.len();
        self.command(first).await?;
        for _ in 0..since {
            let Ok(next) = self.commands.try_recv() else { break };
            self.command(next).await?;
        }
        ControlFlow::Continue(())
    }

    async fn command(&mut self, command: Command) -> ControlFlow<Result<(), MeshError>> {
        match command {
            Command::Stop => return ControlFlow::Break(Ok(())),
            Command::Hint { operator, address } => self.step(Input::Hint { operator, address }),
            Command::Load { manifest, answer } => {
                let _ = answer.send(self.load(&manifest)); // maybe nobody waits for it
            }
            Command::Rebind { address, answer } => {
                let _ = answer.send(self.rebind(address).await); // maybe nobody waits for it
            }
            Command::Ask { ask, answer } => {
                let id = self.next_ask;
                self.next_ask += 1;
                self.asks.insert(id, answer);
                self.step(Input::Ask { id, ask: &ask });
            }
            Command::TalkBack { talk, response } => {
                self.step(Input::TalkBack { talk: &talk, response: &response });
            }
        }
        ControlFlow::Continue(())
    }

    /// Handles the datagrams that were taken from the inbox.
    fn received(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        for (from, bytes) in batch.iter() {
            self.step(Input::Datagram { from, bytes });
        }
        self.counters.add(Counter::PacketsMissed, batch.lost());
        self.batch = batch; // for its room
    }

    /// Sends the datagrams of the steps before, together.
    fn send_all(&mut self) {
        self.outbox.flush();
        self.counters.add(Counter::PacketsUnsent, self.outbox.take_lost());
    }

    fn rung(&mut self, now: Instant, wake_at: Option<Instant>) {
        if wake_at.is_some_and(|at| at <= now) {
            self.step(Input::Wake);
        }
        if self.publish_at.is_some_and(|at| at <= now) {
            self.publish();
        }
        if self.entropy_at <= now {
            self.entropy_at = now + ENTROPY_EVERY;
            self.stir();
        }
    }

    /// Gives the node fresh randomness. Without any it goes on with what it has.
    fn stir(&mut self) {
        let mut fresh = [0; 32];
        match getrandom::fill(&mut fresh) {
            Ok(()) => self.step(Input::Entropy { fresh: &fresh }),
            Err(error) => warn!(%error, "the operating system has no randomness"),
        }
    }

    /// Acts on a report, and on all that wait: one at a time they would hardly have a turn beside
    /// the inbox, which anybody can fill, and peers would be taken for silent.
    fn reported_all(&mut self, first: Report) -> ControlFlow<Result<(), MeshError>> {
        let waiting = self.reports.len();
        self.reported(first)?;
        for _ in 0..waiting {
            let Ok(next) = self.reports.try_recv() else { break };
            self.reported(next)?;
        }
        ControlFlow::Continue(())
    }

    fn reported(&mut self, report: Report) -> ControlFlow<Result<(), MeshError>> {
        match report {
            Report::Opened { id, link, peer, remote, dial } => {
                debug!(link = id.0, %remote, %peer, dialled = dial.is_some(), "a link opened");
                self.links.insert(id, link);
                self.step(Input::LinkOpened { link: id, peer, remote, dial });
            }
            Report::DialFailed { dial, remote, why } => {
                self.refusals.happened(remote, true, &why);
                self.step(Input::DialFailed { dial });
            }
            Report::Refused { remote, why } => {
                self.refusals.happened(remote, false, &why);
                if matches!(why, Failure::Stranger) {
                    self.counters.count(Counter::Strangers);
                    self.publish();
                }
            }
            // The last reports of a link may come after we closed it.
            Report::Bytes { id, .. } | Report::Moved { id, .. } | Report::Closed { id, .. }
                if !self.links.contains_key(&id) => {}
            Report::Bytes { id, bytes } => self.step(Input::LinkBytes { link: id, bytes: &bytes }),
            Report::Moved { id, remote } => {
                debug!(link = id.0, %remote, "the peer moved");
                self.step(Input::LinkMoved { link: id, remote });
            }
            Report::Closed { id, why } => {
                debug!(link = id.0, why, "a link closed");
                self.links.remove(&id);
                self.step(Input::LinkClosed { link: id });
            }
            Report::Died => {
                let local = *self.outlets.local.borrow();
                return ControlFlow::Break(Err(MeshError::EndpointDied(local)));
            }
        }
        ControlFlow::Continue(())
    }

    /// Another manifest is in force from now on; answers what that changes.
    fn load(&mut self, manifest: &Manifest) -> Vec<cluster::Change> {
        let changes = self.node.manifest().changes_to(manifest);
        // First, so that the old keys do not come in again while their links are closed.
        self.endpoint.admit(start::admitted(manifest, &self.own));
        self.step(Input::Manifest { manifest });
        changes
    }

    async fn rebind(&mut self, address: SocketAddr) -> Result<SocketAddr, MeshError> {
        let bind = |error| MeshError::bind(address, error);
        let socket = socket::bind(address).map_err(bind)?;
        let port = Arc::new(Port::new(socket, self.split.clone()).map_err(bind)?);
        let local = port.local();
        if local.ip().is_unspecified() && self.changes.is_none() {
            let (addresses, changes) = interfaces::watch().await.map_err(MeshError::Interfaces)?;
            self.changes = Some(changes);
            for ip in addresses {
                self.step(Input::AddressUp { ip });
            }
        }
        self.endpoint.rebind(port.clone()).map_err(bind)?;
        self.outbox.move_to(port);
        info!(%local, "moved");
        self.outlets.local.send_replace(local);
        self.step(Input::Bound { local });
        Ok(local)
    }

    fn step(&mut self, input: Input<'_>) {
        let now = Instant::now() - self.started.0;
        let now = Mono(u64::try_from(now.as_nanos()).expect("584 years have not passed"));
        let mut shows = !is_frequent(&input);
        let mut outputs = std::mem::take(&mut self.outputs);
        if let Some(tape) = &mut self.tape {
            tape.input(now, &input);
        }
        self.wake_at = step(&mut self.node, now, input, |output| outputs.push(output));
        if let Some(tape) = &mut self.tape {
            tape.outcome(&outputs, self.wake_at);
        }
        // A hello says nothing to the application if the peer was linked before, but shows a link.
        shows |= matches!(input, Input::LinkBytes { .. }) && !outputs.is_empty();
        for output in outputs.drain(..) {
            shows |= !is_counted_only(&output);
            self.perform(output);
        }
        self.outputs = outputs;
        match shows {
            true => self.publish(),
            false => drop(self.publish_at.get_or_insert_with(|| Instant::now() + PUBLISH_WITHIN)),
        }
        // Now, not before: whoever begins to listen and then looks at the status misses nothing.
        for event in self.events.drain(..) {
            let _ = self.outlets.events.send(event); // maybe nobody listens
        }
        while let Some(link) = self.unread.pop() {
            debug!(link = link.0, "the peer does not read; closed");
            self.step(Input::LinkClosed { link });
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { dial, peer, address } => {
                debug!(remote = %address, %peer, "dialling");
                self.endpoint.dial(dial, peer, address);
            }
            Output::Send { link, bytes } => {
                // The core may not know yet that we closed it.
                let Some(open) = self.links.get(&link) else { return };
                if open.send(bytes).is_err() {
                    self.links.remove(&link);
                    self.unread.push(link);
                }
            }
            Output::Close { link, why } => {
                debug!(link = link.0, ?why, "closing a link");
                if let Some(open) = self.links.remove(&link) {
                    open.close(why);
                }
                self.unread.retain(|unread| *unread != link);
            }
            Output::Datagram { to, bytes } => self.outbox.send(to, bytes),
            Output::Persist { ticket, row } => {
                if row.key == SEEDS_KEY {
                    debug!("the nodes that answer are written down");
                }
                self.writer.put(ticket, row);
            }
            Output::Event(Event::Answered { id, answer }) => {
                if let Some(asker) = self.asks.remove(&id) {
                    let _ = asker.send(answer); // maybe nobody waits for it any more
                }
            }
            Output::Event(Event::Talk(talk)) => self.talks.handle(talk),
            Output::Event(event) => {
                events::log(&event);
                self.events.push(event);
            }
            Output::Count(counter) => self.counters.count(counter),
            Output::Sought(sought) => debug!(?sought, "a lookup has ended"),
        }
    }

    /// Shows how the node stands now, if that is another than before.
    fn publish(&mut self) {
        self.publish_at = None;
        let (since, wall) = self.started;
        let now = wall + since.elapsed();
        self.outlets.status.send_if_modified(|status| {
            let new = Status::of(&self.node, &self.counters, Some(status), now);
            let modified = new != *status;
            *status = new;
            modified
        });
    }
}

/// Whether it may happen so often that the status is not looked at each time.
fn is_frequent(input: &Input<'_>) -> bool {
    matches!(
        input,
        Input::LinkBytes { .. }
            | Input::Wake
            | Input::Datagram { .. }
            | Input::Ask { .. }
            | Input::TalkBack { .. }
            | Input::Entropy { .. }
    )
}

/// Whether the status shows no more of it than a count.
fn is_counted_only(output: &Output) -> bool {
    matches!(
        output,
        Output::Datagram { .. }
            | Output::Count(_)
            | Output::Sought(_)
            | Output::Event(Event::Answered { .. } | Event::Talk(_))
    )
}

/// The next change of the host's addresses; never, if nobody watches.
async fn next(changes: &mut Option<mpsc::Receiver<Change>>) -> Change {
    match changes {
        Some(changes) => changes.recv().await.expect("the watch goes on while we listen"),
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use stayfound_core::cluster::Manifest;
    use stayfound_core::keys::SecretKey;
    use stayfound_core::record::{Endpoints, Signed};
    use tokio::time::timeout;

    use super::*;
    use crate::store::MemoryStore;

    const DEADLINE: Duration = Duration::from_secs(60);

    /// One of two operators, alone; it runs for as long as the sender is there.
    async fn daemon() -> (Daemon, mpsc::UnboundedSender<Command>) {
        let keys = [1, 2].map(|byte| SecretKey::from_bytes(&[byte; 32]).expect("a key"));
        let records = keys.iter().map(|key| Signed::sign(key, 0, &Endpoints::default()));
        let manifest = Manifest::new("x".into(), "X".into(), [7; 32], 2, records.collect());
        let [key, _] = keys;
        let manifest = manifest.expect("a cluster of two");
        let config =
            Config { key, manifest, external: Vec::new(), hints: Vec::new(), discovery: None };
        let (commands, receiver) = mpsc::unbounded_channel();
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let store: Box<dyn Store> = Box::new(MemoryStore::default());
        let daemon = Daemon::start(config, listen, (store, None), Talks::default(), receiver).await;
        (daemon.expect("starts"), commands)
    }

    #[tokio::test]
    async fn a_node_whose_socket_fails_for_good_ends_and_says_so() {
        let (daemon, _commands) = daemon().await;
        let local = *daemon.outlets().local.borrow();
        daemon.endpoint.break_socket();
        let ended = timeout(DEADLINE, daemon.run()).await.expect("it ends");
        assert!(matches!(ended, Err(MeshError::EndpointDied(at)) if at == local), "{ended:?}");
    }

    #[tokio::test]
    async fn all_reports_that_wait_have_one_turn() {
        let (mut daemon, _commands) = daemon().await;
        let (reports, receiver) = mpsc::channel(8);
        daemon.reports = receiver;
        let remote = *daemon.outlets().local.borrow();
        for _ in 0..3 {
            let refused = Report::Refused { remote, why: Failure::Stranger };
            reports.send(refused).await.expect("there is room");
        }
        let refused = |daemon: &Daemon| daemon.counters.get(Counter::Strangers);
        while refused(&daemon) == 0 {
            assert!(daemon.turn().await.is_continue());
        }
        assert_eq!(refused(&daemon), 3);
    }
}
