//! What a running node gets from the network that it should not: over real QUIC, on loopback.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Runtime, TokioRuntime};
use stayfound::link::Identity;
use stayfound::link::endpoint::Endpoint;
use stayfound::link::handle::Link;
use stayfound::link::report::Report;
use stayfound::status::Status;
use stayfound::testnet::Cluster;
use stayfound::{Builder, Mesh};
use stayfound_core::chance::Chance;
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::mesh::{FRAME_BYTES_MAX, Frame, Hello};
use stayfound_core::node::{DialId, Event, Violation};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// How long any condition may take to come true; on an idle machine all take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);
const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const HOSTILE: OperatorIndex = OperatorIndex(2);

fn builder(cluster: &Cluster, operator: OperatorIndex) -> Builder {
    let key = cluster.key(operator).clone();
    Mesh::builder(key, cluster.manifest().clone()).listen(ANY_PORT.into())
}

/// Operators 0 and 1, linked, as two honest nodes.
async fn honest(cluster: &Cluster) -> [Mesh; 2] {
    let [a, b] = [0, 1].map(OperatorIndex);
    let first = builder(cluster, a).start().await.expect("starts");
    let second = builder(cluster, b).hint(a, first.local_addr()).start().await.expect("starts");
    until(&first, |status| status.record.is_some() && is_linked(status, b)).await;
    until(&second, |status| status.record.is_some() && is_linked(status, a)).await;
    [first, second]
}

fn is_linked(status: &Status, operator: OperatorIndex) -> bool {
    let operator = status.operator(operator).expect("the cluster has it");
    operator.links.len() == 1 && operator.record.endpoints().quic_addresses().count() == 1
}

async fn until(mesh: &Mesh, holds: impl Fn(&Status) -> bool) {
    let mut status = mesh.status();
    let found = timeout(PATIENCE, status.wait_for(|status| holds(status))).await;
    let Ok(found) = found else { panic!("never: {:#?}", mesh.status().borrow().clone()) };
    found.expect("the node runs");
}

/// What must not change: our own record, and everything about the other honest operator.
fn peace(mesh: &Mesh) -> impl PartialEq + std::fmt::Debug + use<> {
    let status = mesh.status().borrow().clone();
    (status.record, status.operators[1].record.clone(), status.operators[1].links.clone())
}

/// An operator whose key is good and whose words are not.
struct Hostile {
    endpoint: Endpoint,
    reports: Receiver<Report>,
    dials: u64,
}

impl Hostile {
    fn new(cluster: &Cluster) -> Self {
        let socket = UdpSocket::bind(ANY_PORT).expect("binds");
        let socket = TokioRuntime.wrap_udp_socket(socket).expect("a tokio runtime runs this");
        let identity = Identity::new(cluster.key(HOSTILE)).expect("randomness");
        let admitted = cluster.manifest().operators().iter().map(|operator| operator.public_key);
        let (endpoint, reports) =
            Endpoint::start(socket, identity, admitted.collect()).expect("an endpoint");
        Self { endpoint, reports, dials: 0 }
    }

    async fn dial(&mut self, cluster: &Cluster, address: SocketAddr) -> Link {
        let dial = DialId(self.dials);
        self.dials += 1;
        self.endpoint.dial(dial, cluster.manifest().operators()[0].public_key, address);
        loop {
            match timeout(PATIENCE, self.reports.recv()).await.expect("an answer") {
                Some(Report::Opened { link, dial: Some(of), .. }) if of == dial => return link,
                Some(Report::DialFailed { .. }) => panic!("its key is an operator's"),
                Some(_) => {}
                None => panic!("the endpoint runs"),
            }
        }
    }
}

fn framed(payload: &[u8]) -> Bytes {
    [&(payload.len() as u32).to_be_bytes()[..], payload].concat().into()
}

#[tokio::test]
async fn an_operator_that_breaks_the_protocol_loses_its_link_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(directory.path(), 3).expect("creates");
    let meshes = honest(&cluster).await;
    let before = peace(&meshes[0]);
    let mut events = meshes[0].events();
    let mut hostile = Hostile::new(&cluster);
    let hello =
        Hello { cluster: *cluster.manifest().hash(), record: Bytes::new(), digest: Vec::new() };
    let hello = Frame::Hello(hello).encode();
    let early = Frame::Seen("198.51.100.7:3610".parse().expect("an address")).encode();
    let long = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
    for (words, violation) in [
        (Bytes::from(vec![0xff; 5_000]), Violation::Oversized),
        (Bytes::copy_from_slice(&long), Violation::Oversized),
        (framed(&[]), Violation::Malformed),
        (framed(&[7; FRAME_BYTES_MAX]), Violation::Malformed),
        (framed(&[0xc3, 9, 1, 0xc0]), Violation::Version(9)),
        (early, Violation::OutOfOrder),
        ([&hello[..], &hello[..]].concat().into(), Violation::OutOfOrder),
    ] {
        let link = hostile.dial(&cluster, meshes[0].local_addr()).await;
        link.send(words).expect("an empty queue");
        let told = timeout(PATIENCE, async {
            loop {
                let event = events.recv().await.expect("the node runs");
                if let Event::Violated { operator, how } = event {
                    break (operator, how);
                }
            }
        });
        assert_eq!(told.await.expect("it is told"), (HOSTILE, violation));
        assert_eq!(peace(&meshes[0]), before, "after {violation:?}");
    }

    // It is not banned: with better manners it is let in.
    hostile.endpoint.close().await;
    let hint = meshes[0].local_addr();
    let reformed = builder(&cluster, HOSTILE).hint(OperatorIndex(0), hint).start().await;
    let reformed = reformed.expect("starts");
    until(&meshes[0], |status| is_linked(status, HOSTILE)).await;
    for mesh in meshes.into_iter().chain([reformed]) {
        timeout(PATIENCE, mesh.stop()).await.expect("stops").expect("stops well");
    }
}

#[tokio::test]
async fn datagrams_of_nobody_change_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(directory.path(), 3).expect("creates");
    let meshes = honest(&cluster).await;
    let before = peace(&meshes[0]);
    let mut chance = Chance::new([1; 32]).stream("datagrams");
    let socket = UdpSocket::bind(ANY_PORT).expect("binds");
    for _ in 0..2_000 {
        let length = 1 + chance.below(1_472) as usize;
        let mut datagram: Vec<u8> = (0..length).map(|_| chance.draw() as u8).collect();
        if chance.hits(1, 2) {
            // A long header of QUIC version 1 (RFC 9000, 17.2), and then anything.
            datagram.splice(..length.min(5), [0xc0 | datagram[0] & 0x3f, 0, 0, 0, 1]);
        }
        // What the socket of a busy receiver drops is no concern of this test.
        let _ = socket.send_to(&datagram, meshes[0].local_addr());
    }
    // It still answers, and knows what it knew.
    let hint = meshes[0].local_addr();
    let third = builder(&cluster, HOSTILE).hint(OperatorIndex(0), hint).start().await;
    let third = third.expect("starts");
    until(&meshes[0], |status| is_linked(status, HOSTILE)).await;
    assert_eq!(peace(&meshes[0]), before);
    for mesh in meshes.into_iter().chain([third]) {
        timeout(PATIENCE, mesh.stop()).await.expect("stops").expect("stops well");
    }
}
