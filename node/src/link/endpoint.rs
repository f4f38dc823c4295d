//! The QUIC endpoint: dials, accepts, and reports what comes of it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AsyncUdpSocket, Connecting, Connection, ConnectionError, RecvStream, VarInt};
use stayfound_core::keys::PublicKey;
use stayfound_core::mesh::{CloseReason, DialId, FRAME_BYTES_MAX, LinkId};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::gate::{Gate, Gates};
use super::places::{HANDSHAKES_MAX, HANDSHAKES_PER_NETWORK_MAX, Place, Places};
use super::report::{Failure, Report};
use super::stream::{self, Path};
use super::{Identity, handle, peer_key};
use crate::socket::{Nowhere, canonical};

/// How long a handshake may take, either way.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// From so many handshakes of others at a time on, a peer first has to prove that it receives at the address it sends from
/// (RFC 9000, 8.1.2).
const HANDSHAKES_UNVALIDATED_MAX: usize = 16;

/// How long a peer that answers is told again that we stop. Whoever never answers, such as one
/// that is being dialled, would be told for seconds.
const GOODBYE: Duration = Duration::from_millis(300);
/// How long the socket may stay in use after that.
const RELEASE: Duration = Duration::from_secs(1);

const _: () = assert!(GOODBYE.as_millis() + RELEASE.as_millis() < 2000, "a stop within 2 s");

/// Silence is broken this often, which also keeps NAT bindings open (RFC 4787: 2 minutes).
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A link that was silent this long is dead.
const IDLE: VarInt = VarInt::from_u32(30_000);
/// How much a peer may send before we have read it: two of the largest frames.
const RECEIVE_WINDOW: VarInt = VarInt::from_u32(128 * 1024);
/// How much may be on its way to a peer.
const SEND_WINDOW: u64 = 128 * 1024;

const _: () = assert!(RECEIVE_WINDOW.into_inner() as usize > FRAME_BYTES_MAX + 4);
const _: () = assert!(2 * KEEP_ALIVE.as_millis() < IDLE.into_inner() as u128);
// Nobody can take up a network's places in its name.
const _: () = assert!(HANDSHAKES_UNVALIDATED_MAX < HANDSHAKES_PER_NETWORK_MAX);

/// Never sent: server name indication is off.
const SERVER_NAME: &str = "stayfound";

/// How many reports may wait for the daemon; beyond it links wait, and their peers with them.
const REPORTS_MAX: usize = 256;

/// Dials and accepts on one UDP socket.
pub struct Endpoint {
    quinn: quinn::Endpoint,
    identity: Identity,
    transport: Arc<quinn::TransportConfig>,
    /// How to dial each of those that are let in.
    clients: BTreeMap<PublicKey, quinn::ClientConfig>,
    gates: Gates,
    opener: Opener,
    /// The sockets it has been on, to know when the last user of each is gone.
    sockets: Vec<Weak<dyn AsyncUdpSocket>>,
}

/// What it takes to turn a connection into a link.
#[derive(Clone)]
struct Opener {
    reports: mpsc::Sender<Report>,
    next_link: Arc<AtomicU64>,
}

impl Endpoint {
    /// Starts on this socket, letting in whoever proves one of these keys. Reports come out of
    /// the receiver.
    ///
    /// # Errors
    /// What the system says about the socket.
    pub fn start(
        socket: Arc<dyn AsyncUdpSocket>,
        identity: Identity,
        admitted: Arc<[PublicKey]>,
    ) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        let transport = Arc::new(transport());
        let runtime = Arc::new(quinn::TokioRuntime);
        let sockets = vec![Arc::downgrade(&socket)];
        let config = quinn::EndpointConfig::default();
        let quinn = quinn::Endpoint::new_with_abstract_socket(config, None, socket, runtime)?;
        let (reports, receiver) = mpsc::channel(REPORTS_MAX);
        let opener = Opener { reports, next_link: Arc::default() };
        let (clients, gates) = (BTreeMap::new(), Gates::default());
        tokio::spawn(accept_all(quinn.clone(), opener.clone(), gates.clone()));
        let mut endpoint = Self { quinn, identity, transport, clients, gates, opener, sockets };
        endpoint.admit(admitted);
        Ok((endpoint, receiver))
    }

    /// Lets in whoever proves one of these keys from now on, and nobody else, handshakes under way
    /// included. Links that are open stay: they are the core's to close.
    pub fn admit(&mut self, admitted: Arc<[PublicKey]>) {
        let before = self.gates.now();
        let server = (!admitted.is_empty()).then(|| {
            let tls = server_tls(&self.identity, &admitted);
            let Some(before) = &before.server else { return server(tls, &self.transport) };
            // The same in all else: tokens that were handed out stay good.
            let mut server = (**before).clone();
            server.crypto = tls;
            server
        });
        self.quinn.set_server_config(server.clone());
        self.identity.remember_only(&admitted);
        let (identity, transport) = (&self.identity, &self.transport);
        self.clients.retain(|peer, _| admitted.contains(peer));
        for peer in admitted.iter() {
            let config = || client(identity, *peer, transport);
            self.clients.entry(*peer).or_insert_with(config);
        }
        self.gates.replace(Gate { admitted, server: server.map(Arc::new) });
    }

    /// Dials; answers with [`Report::Opened`] or [`Report::DialFailed`], once.
    pub fn dial(&self, dial: DialId, peer: PublicKey, address: SocketAddr) {
        let config = self.clients.get(&peer).cloned();
        let config = config.unwrap_or_else(|| client(&self.identity, peer, &self.transport));
        let connecting = self.quinn.connect_with(config, address, SERVER_NAME);
        let opener = self.opener.clone();
        tokio::spawn(async move {
            let connected = match connecting {
                Ok(connecting) => within(HANDSHAKE_WITHIN, settle(connecting)).await,
                Err(error) => Err(Failure::Other(error.to_string())),
            };
            match connected {
                Ok((connection, stream)) => {
                    opener.open(connection, peer, Some(stream), Some(dial)).await;
                }
                Err(why) => {
                    opener.report(Report::DialFailed { dial, remote: address, why }).await;
                }
            }
        });
    }

    /// Moves to another socket. Links that we dialled go on from there; the others are lost,
    /// because a QUIC client takes nothing from a server that moved.
    ///
    /// # Errors
    /// What the system says; the old socket stays in use then.
    pub fn rebind(&mut self, socket: Arc<dyn AsyncUdpSocket>) -> io::Result<()> {
        self.sockets.retain(|socket| socket.strong_count() > 0);
        self.sockets.push(Arc::downgrade(&socket));
        self.quinn.rebind_abstract(socket)
    }

    /// Puts it on a socket that fails for good.
    #[cfg(test)]
    pub(crate) fn break_socket(&self) {
        self.quinn.rebind_abstract(Arc::new(crate::socket::Broken)).expect("it has an address");
    }

    /// Closes every link, telling the peers, and lets go of the socket.
    pub async fn close(self) {
        let Self { quinn, sockets, .. } = self;
        quinn.close(stream::STOPPING.0, stream::STOPPING.1);
        if timeout(GOODBYE, quinn.wait_idle()).await.is_err() {
            // Twice, because an endpoint listens at its last socket as well.
            for _ in 0..2 {
                quinn.rebind_abstract(Arc::new(Nowhere)).expect("it has an address");
            }
        }
        drop(quinn);
        // The tasks of quinn and of the links hold the socket until they have noticed.
        let released = async {
            while sockets.iter().any(|socket| socket.strong_count() > 0) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if timeout(RELEASE, released).await.is_err() {
            debug!("the socket is still in use");
        }
    }
}

impl Opener {
    async fn report(&self, report: Report) {
        // The daemon is gone only when everything ends.
        let _ = self.reports.send(report).await;
    }

    /// Reports a link and carries its bytes until it ends.
    async fn open(
        self,
        connection: Connection,
        peer: PublicKey,
        stream: Option<RecvStream>,
        dial: Option<DialId>,
    ) {
        let id = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(id, connection.clone(), self.reports.clone());
        let (link, outgoing) = handle::link(connection);
        self.report(Report::Opened { id, link, peer, remote: path.remote(), dial }).await;
        stream::carry(path, stream, outgoing).await;
    }
}

/// A client takes the handshake for done before the server has seen its certificate. The server's
/// first byte settles it: whoever accepts speaks at once (the core says hello on every link that
/// opens).
async fn settle(connecting: Connecting) -> Result<(Connection, RecvStream), ConnectionError> {
    let connection = connecting.await?;
    let stream = connection.accept_uni().await?;
    Ok((connection, stream))
}

async fn within<T>(
    limit: Duration,
    handshake: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, Failure> {
    match timeout(limit, handshake).await {
        Ok(result) => result.map_err(Failure::from),
        Err(_) => Err(Failure::Other(format!("no answer within {} s", limit.as_secs()))),
    }
}

async fn accept_all(endpoint: quinn::Endpoint, opener: Opener, gates: Gates) {
    let places = Places::default();
    while let Some(incoming) = endpoint.accept().await {
        let Some(place) = places.take(incoming.remote_address().ip()) else {
            incoming.ignore(); // whoever means it tries again
            continue;
        };
        if places.taken() > HANDSHAKES_UNVALIDATED_MAX && incoming.may_retry() {
            let _ = incoming.retry(); // fails only if it may not be retried
            continue;
        }
        tokio::spawn(accept(incoming, place, opener.clone(), gates.clone()));
    }
    // Nobody hears it if we have closed the endpoint.
    opener.report(Report::Died).await;
}

async fn accept(incoming: quinn::Incoming, place: Place, opener: Opener, gates: Gates) {
    let gate = gates.now();
    let Some(server) = gate.server.clone() else { return incoming.ignore() };
    let remote = canonical(incoming.remote_address());
    let connected = within(HANDSHAKE_WITHIN, async { incoming.accept_with(server)?.await }).await;
    match connected {
        Ok(connection) => {
            drop(place);
            let peer = peer_key(&connection, &gate.admitted);
            let peer = peer.expect("the handshake let no other certificate through");
            if gates.now().admitted.contains(&peer) {
                return opener.open(connection, peer, None, None).await;
            }
            handle::close(&connection, CloseReason::Unauthorised); // since a moment ago
            opener.report(Report::Refused { remote, why: Failure::Stranger }).await;
        }
        Err(why) => {
            opener.report(Report::Refused { remote, why }).await;
            drop(place); // not before: what waits to be told is bounded, too
        }
    }
}

/// One stream each way, small windows, and packets that fit every path.
fn transport() -> quinn::TransportConfig {
    let mut config = quinn::TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(RECEIVE_WINDOW)
        .receive_window(RECEIVE_WINDOW)
        .send_window(SEND_WINDOW)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IDLE.into()))
        .mtu_discovery_config(None);
    config
}

fn client(
    identity: &Identity,
    peer: PublicKey,
    transport: &Arc<quinn::TransportConfig>,
) -> quinn::ClientConfig {
    let tls = QuicClientConfig::try_from(identity.client(peer));
    let tls = tls.expect("ring has the cipher suite of QUIC's first packets");
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(transport.clone());
    config.token_store(Arc::new(quinn::NoneTokenStore));
    config
}

fn server_tls(identity: &Identity, admitted: &[PublicKey]) -> Arc<QuicServerConfig> {
    let tls = QuicServerConfig::try_from(identity.server(admitted));
    Arc::new(tls.expect("ring has the cipher suite of QUIC's first packets"))
}

fn server(
    tls: Arc<QuicServerConfig>,
    transport: &Arc<quinn::TransportConfig>,
) -> quinn::ServerConfig {
    let mut config = quinn::ServerConfig::with_crypto(tls);
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    config
        .transport_config(transport.clone())
        .validation_token_config(tokens)
        .max_incoming(HANDSHAKES_MAX)
        .incoming_buffer_size(64 * 1024)
        .incoming_buffer_size_total(1024 * 1024);
    config
}

#[cfg(test)]
mod tests;
