//! A node of the public `discv5` crate.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use discv5::{ConfigBuilder, Discv5, Enr, Event, IpMode, ListenConfig, NodeContact};
use enr::{CombinedKey, NodeId as EnrId};
use stayfound_core::record::{NodeId, Signed};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, DEADLINE, echo, scalar, until_async};

/// It answers every TALKREQ with its echo. Dropping it ends it.
pub struct Theirs {
    pub node: Discv5,
}

impl Theirs {
    /// A node with the key of this place, at a free port of loopback.
    pub async fn start(place: u32) -> Self {
        Self::start_at(place, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// A node with the key of this place, here.
    pub async fn start_at(place: u32, at: SocketAddr) -> Self {
        let socket = bind(at).await;
        let SocketAddr::V4(at) = socket.local_addr().expect("it is bound") else {
            panic!("IPv4 was asked for")
        };
        let secret = || CombinedKey::secp256k1_from_bytes(&mut scalar(place)).expect("a scalar");
        let record = Enr::builder().ip4(*at.ip()).udp4(at.port()).build(&secret());
        let record = record.expect("a small record");
        let listen = ListenConfig::FromSockets { ipv4: Some(Arc::new(socket)), ipv6: None };
        // Without the packet filter, whose bans all nodes of a process share; and with the address
        // that it was given, whatever the others vote.
        let config = ConfigBuilder::new(listen).disable_enr_update().build();
        let mut node = Discv5::new(record, secret(), config).expect("key and record fit");
        node.start().await.expect("a socket that is bound");
        let mut events = node.event_stream().await.expect("it has started");
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let Event::TalkRequest(talk) = event {
                    let answer = echo(talk.body());
                    talk.respond(answer).expect("the node runs as long as its events");
                }
            }
        });
        Self { node }
    }

    /// Its record, as ours read it.
    pub fn record(&self) -> Signed {
        signed(&self.node.local_enr())
    }

    pub fn id(&self) -> NodeId {
        self.record().node_id()
    }

    pub fn at(&self) -> SocketAddr {
        self.node.local_enr().udp4_socket().expect("it has one").into()
    }

    /// One TALKREQ and what came of it.
    pub async fn talk(&self, to: &Signed, protocol: &[u8], request: &[u8]) -> Option<Vec<u8>> {
        let talk = self.node.talk_req(contact(to), protocol.to_vec(), request.to_vec());
        timeout(ANSWER_WITHIN, talk).await.ok()?.ok()
    }

    /// The same, and again if the crate forgets it: what waits for a session while both sides shake
    /// hands it sends neither when the other's handshake renews the one just made, nor ever after.
    pub async fn insists(&self, to: Signed, protocol: &[u8], request: Vec<u8>) -> Option<Vec<u8>> {
        let ask = async {
            loop {
                if let Some(answer) = self.talk(&to, protocol, &request).await {
                    return answer;
                }
            }
        };
        timeout(DEADLINE, ask).await.ok()
    }

    /// Looks a node up; answers whether it was found.
    pub async fn finds(&self, target: &NodeId) -> bool {
        let target = EnrId::new(&target.0);
        let found = self.node.find_node(target).await.expect("it runs");
        found.iter().any(|record| record.node_id() == target)
    }

    /// Changes its record.
    pub fn renews(&self, value: &[u8]) {
        self.node.enr_insert("n", &value).expect("a small value");
    }
}

/// A record of theirs, verified by ours.
pub fn signed(record: &Enr) -> Signed {
    Signed::from_text(&record.to_base64()).expect("a good record")
}

/// A record of ours, verified by theirs.
pub fn enr(record: &Signed) -> Enr {
    record.to_text().parse().expect("a good record")
}

/// Binds a socket, once whoever had the port before has let go of it: the crate's tasks end when
/// they come to it.
async fn bind(at: SocketAddr) -> UdpSocket {
    let mut bound = None;
    until_async("the port is free", async || {
        bound = UdpSocket::bind(at).await.ok();
        bound.is_some()
    })
    .await;
    bound.expect("it was waited for")
}

/// Whom theirs asks when it asks ours.
pub fn contact(to: &Signed) -> NodeContact {
    NodeContact::try_from_enr(enr(to), IpMode::Ip4).expect("it has an address")
}
