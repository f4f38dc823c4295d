//! The handle by which a program embeds a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::panic::resume_unwind;

use bytes::Bytes;
use stayfound_core::cluster::{Change, Manifest, OperatorIndex};
use stayfound_core::discovery::{Answer, Ask, PROTOCOLS_MAX, Settings};
use stayfound_core::keys::SecretKey;
use stayfound_core::node::{Config, Event};
use stayfound_core::record::Signed;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::daemon::{Command, Daemon};
use crate::error::MeshError;
use crate::recording::Recording;
use crate::status::Status;
use crate::store::{MemoryStore, Store};
use crate::talk::{TalkRequest, Talks};

/// The port that nodes listen at by default.
pub const DEFAULT_PORT: u16 = 3610;

/// What a node needs before it can start.
pub struct Builder {
    config: Config,
    listen: SocketAddr,
    store: Box<dyn Store>,
    talks: Talks,
    recording: Option<Recording>,
}

/// A running node: one operator's member of the mesh. Dropping it stops the node without waiting;
/// [`Mesh::stop`] waits until nothing can be lost.
pub struct Mesh {
    commands: mpsc::UnboundedSender<Command>,
    events: broadcast::WeakSender<Event>,
    status: watch::Receiver<Status>,
    local: watch::Receiver<SocketAddr>,
    daemon: JoinHandle<Result<(), MeshError>>,
}

impl Builder {
    /// The UDP address to listen at; port 0 lets the system choose. Unspecified addresses
    /// (`0.0.0.0`, `[::]`) stand for every address of this host; `[::]` serves IPv4 as well.
    /// Default `0.0.0.0:3610`.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Fixes the address that others are told, one per family at most: it outranks every address
    /// that is found out.
    #[must_use]
    pub fn external(mut self, address: SocketAddr) -> Self {
        self.config.external.push(address);
        self
    }

    /// An address at which an operator may answer.
    #[must_use]
    pub fn hint(mut self, operator: OperatorIndex, address: SocketAddr) -> Self {
        self.config.hints.push((operator, address));
        self
    }

    /// Takes part in discv5, on the same UDP port. Without this, or one of the next two, it does
    /// not. The settings replace what was said before.
    #[must_use]
    pub fn discovery(mut self, settings: Settings) -> Self {
        self.config.discovery = Some(settings);
        self
    }

    /// A boot node: whom to ask when nobody else is known.
    #[must_use]
    pub fn boot(mut self, node: Signed) -> Self {
        self.config.discovery.get_or_insert_default().boot.push(node);
        self
    }

    /// Answers the requests (TALKREQ) of other nodes in this protocol. The handler is called
    /// within the node's own task and must not block it: it answers at once
    /// ([`TalkRequest::answer`]), or hands the request to whoever will.
    ///
    /// # Panics
    /// If there are more than [`PROTOCOLS_MAX`] protocols.
    #[must_use]
    pub fn talk(
        mut self,
        protocol: impl Into<Bytes>,
        handler: impl Fn(TalkRequest) + Send + 'static,
    ) -> Self {
        assert!(self.talks.protocols().count() < PROTOCOLS_MAX, "too many protocols");
        self.config.discovery.get_or_insert_default();
        self.talks.register(protocol.into(), Box::new(handler));
        self
    }

    /// Where the database is kept. Default: in memory, lost at the end.
    #[must_use]
    pub fn store(mut self, store: Box<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Records everything that happens to the node, so that it can be replayed. What is recorded is
    /// private, but for the secret key, which is not recorded: see `docs/replay.md`.
    #[must_use]
    pub fn record(mut self, recording: Recording) -> Self {
        self.recording = Some(recording);
        self
    }

    /// Loads the store, binds the socket and starts the node within the current tokio runtime.
    ///
    /// # Errors
    /// [`MeshError`]; nothing runs then.
    pub async fn start(self) -> Result<Mesh, MeshError> {
        let Self { mut config, listen, store, mut talks, recording } = self;
        if let Some(settings) = &mut config.discovery {
            settings.protocols.extend(talks.protocols().cloned());
        }
        let (commands, receiver) = mpsc::unbounded_channel();
        talks.answer_through(commands.downgrade());
        let daemon = Daemon::start(config, listen, (store, recording), talks, receiver).await?;
        let outlets = daemon.outlets();
        Ok(Mesh {
            commands,
            events: outlets.events.downgrade(),
            status: outlets.status.subscribe(),
            local: outlets.local.subscribe(),
            daemon: tokio::spawn(daemon.run()),
        })
    }
}

impl Mesh {
    /// A node of the operator with this key in this cluster.
    #[must_use]
    pub fn builder(key: SecretKey, manifest: Manifest) -> Builder {
        Builder {
            config: Config {
                key,
                manifest,
                external: Vec::new(),
                hints: Vec::new(),
                discovery: None,
            },
            listen: (Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into(),
            store: Box::new(MemoryStore::default()),
            talks: Talks::default(),
            recording: None,
        }
    }

    /// Where the socket is bound now.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        *self.local.borrow()
    }

    /// What happens from now on. A receiver that falls far behind is told how many it missed; one
    /// of a node that has ended is closed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        match self.events.upgrade() {
            Some(events) => events.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    /// How the node stands, replaced after every step that changed something; what is only counted
    /// follows within a quarter of a second. Closed when the node has ended.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Tells the node an address at which an operator may answer.
    ///
    /// # Errors
    /// [`MeshError::Stopped`].
    pub fn hint(&self, operator: OperatorIndex, address: SocketAddr) -> Result<(), MeshError> {
        let hint = Command::Hint { operator, address };
        self.commands.send(hint).map_err(|_| MeshError::Stopped)
    }

    /// Puts another manifest in force; answers what became of whom. Keys that it does not name lose
    /// their authority at once, open links included; the links of the others go on. The database
    /// forgets nothing. If our own key is no operator's by it, every link is closed and nobody is
    /// dialled or let in until another manifest names our key again
    /// ([`Event::Unauthorised`], [`Status::own`]).
    ///
    /// # Errors
    /// [`MeshError::Stopped`].
    pub async fn load(&self, manifest: Manifest) -> Result<Vec<Change>, MeshError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Load { manifest, answer }).map_err(|_| MeshError::Stopped)?;
        answered.await.map_err(|_| MeshError::Stopped)
    }

    /// Asks other nodes something, through discv5. Comes to [`Answer::Silence`] if nobody answers
    /// in time, or if the node has no discovery.
    ///
    /// # Errors
    /// [`MeshError::Stopped`].
    pub async fn ask(&self, ask: Ask) -> Result<Answer, MeshError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Ask { ask, answer }).map_err(|_| MeshError::Stopped)?;
        answered.await.map_err(|_| MeshError::Stopped)
    }

    /// Moves the node to another UDP socket; answers where it is bound. The old socket stays in
    /// use if the new one cannot be bound.
    ///
    /// # Errors
    /// [`MeshError::PortInUse`], [`MeshError::Bind`], [`MeshError::Interfaces`],
    /// [`MeshError::Stopped`].
    pub async fn rebind(&self, address: SocketAddr) -> Result<SocketAddr, MeshError> {
        let (answer, answered) = oneshot::channel();
        let rebind = Command::Rebind { address, answer };
        self.commands.send(rebind).map_err(|_| MeshError::Stopped)?;
        answered.await.map_err(|_| MeshError::Stopped)?
    }

    /// Waits until the node ends by itself, as it does when its store or its socket fails;
    /// [`Mesh::stop`] then says why.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Stops the node: every write durable, every link closed, the socket free. Takes less than two
    /// seconds, and longer only if the disk does.
    ///
    /// # Errors
    /// [`MeshError::Store`] if the store failed, now or before; [`MeshError::EndpointDied`] if the
    /// socket did before.
    ///
    /// # Panics
    /// If the node did: a broken invariant is passed on.
    pub async fn stop(self) -> Result<(), MeshError> {
        let _ = self.commands.send(Command::Stop); // fails if it has ended by itself
        match self.daemon.await {
            Ok(result) => result,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
}
