//! A node of ours that only discovers.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use stayfound::Mesh;
use stayfound_core::cluster::Manifest;
use stayfound_core::discovery::{Answer, Ask, Settings};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{NodeId, Signed};

use super::{PROTOCOL, echo, scalar};

/// It answers every TALKREQ in [`PROTOCOL`] with its echo. Dropping it ends it.
pub struct Ours {
    pub mesh: Mesh,
    id: NodeId,
}

impl Ours {
    /// A node with the key of this place, at a free port of loopback.
    pub async fn start(place: u32, boot: &[Signed]) -> Self {
        Self::start_at(place, boot, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// A node with the key of this place, here.
    pub async fn start_at(place: u32, boot: &[Signed], at: SocketAddr) -> Self {
        let key = SecretKey::from_bytes(&scalar(place)).expect("a scalar in range");
        let id = NodeId::of(&key.public_key().point());
        let settings = Settings { boot: boot.to_vec(), protocols: vec![] };
        let mesh = Mesh::builder(key.clone(), Manifest::alone(&key))
            .listen(at)
            .discovery(settings)
            .talk(PROTOCOL, |talk| {
                let answer = echo(talk.request());
                talk.answer(answer);
            })
            .start()
            .await
            .expect("a node on loopback");
        mesh.status().wait_for(|status| status.record.is_some()).await.expect("it runs");
        Self { mesh, id }
    }

    pub fn record(&self) -> Signed {
        self.mesh.status().borrow().record.clone().expect("it had one when it began")
    }

    pub fn id(&self) -> NodeId {
        self.id
    }

    pub fn at(&self) -> SocketAddr {
        self.mesh.local_addr()
    }

    /// Asks; answers what came of it.
    pub async fn ask(&self, ask: Ask) -> Answer {
        self.mesh.ask(ask).await.expect("it runs")
    }

    /// One TALKREQ and what came of it.
    pub async fn talk(&self, to: &Signed, protocol: &[u8], request: &[u8]) -> Option<Vec<u8>> {
        let protocol = Bytes::copy_from_slice(protocol);
        let request = Bytes::copy_from_slice(request);
        match self.ask(Ask::Talk { node: to.clone(), protocol, request }).await {
            Answer::Talk(response) => Some(response.to_vec()),
            Answer::Silence => None,
            other => panic!("{other:?} answers no TALKREQ"),
        }
    }

    /// The newest record of a node that a lookup finds.
    pub async fn find(&self, target: &NodeId) -> Option<Signed> {
        match self.ask(Ask::Find(*target)).await {
            Answer::Found { newest, .. } => newest,
            Answer::Silence => None,
            other => panic!("{other:?} answers no lookup"),
        }
    }

    /// Ends it; its port is free then.
    pub async fn stops(self) {
        self.mesh.stop().await.expect("nothing failed");
    }

    /// Moves to another free port.
    pub async fn moves(&self) {
        let before = self.record();
        let at = self.mesh.rebind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a free port");
        let mut status = self.mesh.status();
        let moved = status.wait_for(|now| {
            let newer = now.record.as_ref().filter(|record| **record != before);
            newer.is_some_and(|record| record.endpoints().udp_addresses().any(|is| is == at))
        });
        moved.await.expect("it runs");
    }
}
