//! discv5 over real sockets, on loopback: what embedders ask, and answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use stayfound::Mesh;
use stayfound::core::cluster::{Manifest, OperatorIndex};
use stayfound::core::discovery::{Answer, Ask, Settings};
use stayfound::core::keys::SecretKey;
use stayfound::core::node::Counter;
use stayfound::core::record::{NodeId, Signed};
use stayfound::status::Status;
use stayfound::testnet::Cluster;
use tokio::time::timeout;

/// Longer than anything here takes, even on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);
const ECHO: Bytes = Bytes::from_static(b"echo");
/// A protocol whose handler says nothing.
const SILENT: Bytes = Bytes::from_static(b"silent");
const UNKNOWN: Bytes = Bytes::from_static(b"unknown");

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a key")
}

/// A node that only discovers, and echoes.
async fn alone(byte: u8, boot: &[Signed]) -> Mesh {
    let (key, boot) = (key(byte), boot.to_vec());
    Mesh::builder(key.clone(), Manifest::alone(&key))
        .listen(any_port())
        .discovery(Settings { boot, ..Settings::default() })
        .talk(ECHO, |request| {
            let response = request.request().clone();
            request.answer(response);
        })
        .talk(SILENT, drop)
        .start()
        .await
        .expect("starts")
}

async fn until(mesh: &Mesh, what: &str, is_so: impl FnMut(&Status) -> bool) -> Status {
    let mut status = mesh.status();
    let reached = timeout(DEADLINE, status.wait_for(is_so)).await;
    reached.unwrap_or_else(|_| panic!("never: {what}")).expect("it runs").clone()
}

/// The record of a node, as soon as it says where that listens now.
async fn record(mesh: &Mesh) -> Signed {
    let at = mesh.local_addr();
    let names_it = |record: &Signed| record.endpoints().udp_addresses().any(|named| named == at);
    let says = |status: &Status| status.record.as_ref().is_some_and(names_it);
    until(mesh, "its record says where it is", says).await.record.expect("waited for")
}

async fn ask(mesh: &Mesh, ask: Ask) -> Answer {
    let answer = timeout(DEADLINE, mesh.ask(ask)).await;
    answer.expect("every question ends").expect("it runs")
}

fn talk(node: &Signed, protocol: &Bytes, request: Bytes) -> Ask {
    Ask::Talk { node: node.clone(), protocol: protocol.clone(), request }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_serves_both_and_everything_can_be_asked() {
    let [a, b] = [alone(1, &[]).await, alone(2, &[]).await];
    let (of_a, of_b) = (record(&a).await, record(&b).await);
    let pong = ask(&a, Ask::Ping(of_b.clone())).await;
    assert_eq!(pong, Answer::Pong { enr_seq: of_b.seq(), observed: a.local_addr() });
    let nodes = ask(&a, Ask::FindNode(of_b.clone(), vec![0])).await;
    assert_eq!(nodes, Answer::Nodes(vec![of_b.clone()]));
    let echo = ask(&a, talk(&of_b, &ECHO, Bytes::from_static(b"hello"))).await;
    assert_eq!(echo, Answer::Talk(Bytes::from_static(b"hello")));
    let empty = ask(&b, talk(&of_a, &UNKNOWN, Bytes::from_static(b"hello"))).await;
    assert_eq!(empty, Answer::Talk(Bytes::new()));
    let silent = ask(&b, talk(&of_a, &SILENT, Bytes::from_static(b"hello"))).await;
    assert_eq!(
        silent,
        Answer::Talk(Bytes::new()),
        "who says nothing is heard to say nothing (R56)"
    );
    let discovery = until(&b, "b knows a", |status| {
        status.discovery.is_some_and(|discovery| discovery.verified == 1)
    });
    assert_eq!(discovery.await.discovery.expect("it has discovery").sessions, 1);
    for mesh in [a, b] {
        mesh.stop().await.expect("stops");
    }
}

/// More than the socket, or the system, takes at once: every one is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_questions_at_once_are_answered_each_with_its_own() {
    let [a, b] = [alone(1, &[]).await, alone(2, &[]).await];
    let of_b = record(&b).await;
    ask(&a, Ask::Ping(of_b.clone())).await; // opens the session
    for round in 0..50_u8 {
        let asks = (0..16_u8).map(|place| {
            // Of different lengths, so that some are sent at once and some are not.
            let request = Bytes::from(vec![round ^ place; usize::from(place / 4) + 1]);
            let answered = ask(&a, talk(&of_b, &ECHO, request.clone()));
            async move { (answered.await, request) }
        });
        for (answer, request) in join_all(asks).await {
            assert_eq!(answer, Answer::Talk(request));
        }
    }
    let missed = a.status().borrow().counters.get(Counter::PacketsMissed);
    assert_eq!(missed, 0);
    for mesh in [a, b] {
        mesh.stop().await.expect("stops");
    }
}

async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (place, future) in futures.iter_mut().enumerate() {
            if done[place].is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                done[place] = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_answer_is_silence() {
    let [a, b] = [alone(1, &[]).await, alone(2, &[]).await];
    let of_b = record(&b).await;
    b.stop().await.expect("stops");
    assert_eq!(ask(&a, Ask::Ping(of_b)).await, Answer::Silence);
    a.stop().await.expect("stops");

    let mesh = Mesh::builder(key(1), Manifest::alone(&key(1))).listen(any_port());
    let mesh = mesh.start().await.expect("starts");
    assert_eq!(ask(&mesh, Ask::Find(NodeId([7; 32]))).await, Answer::Silence, "no discovery");
    mesh.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_moves_is_found_where_it_is() {
    let boot = alone(1, &[]).await;
    let boots = [record(&boot).await];
    let [mover, other] = [alone(2, &boots).await, alone(3, &boots).await];
    let before = record(&mover).await;
    until(&boot, "the boot node knows both", |status| {
        status.discovery.is_some_and(|discovery| discovery.verified == 2)
    })
    .await;
    mover.rebind(any_port()).await.expect("moves");
    let after = record(&mover).await;
    assert!(after.seq() > before.seq());
    let newest = timeout(DEADLINE, async {
        loop {
            match ask(&other, Ask::Find(before.node_id())).await {
                Answer::Found { newest: Some(newest), .. } if newest == after => break newest,
                _ => tokio::task::yield_now().await,
            }
        }
    });
    let newest = newest.await.expect("it is found");
    let pong = ask(&other, Ask::Ping(newest)).await;
    assert_eq!(pong, Answer::Pong { enr_seq: after.seq(), observed: other.local_addr() });
    for mesh in [boot, mover, other] {
        mesh.stop().await.expect("stops");
    }
}

/// Nobody is told where anybody is: the mesh forms through one boot node alone, and heals through
/// it when everybody has moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_finds_itself_through_a_boot_node() {
    let root = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(root.path(), 4).expect("creates");
    let boot = alone(9, &[]).await;
    let of_boot = record(&boot).await;
    let mut meshes = Vec::new();
    for index in cluster.indices() {
        let builder = Mesh::builder(cluster.key(index).clone(), cluster.manifest().clone());
        let builder = builder.listen(any_port()).boot(of_boot.clone());
        meshes.push(builder.start().await.expect("starts"));
    }
    until_whole(&meshes, &cluster).await;
    for mesh in &meshes {
        mesh.rebind(any_port()).await.expect("moves");
    }
    until_whole(&meshes, &cluster).await;
    for mesh in meshes.into_iter().chain([boot]) {
        mesh.stop().await.expect("stops");
    }
}

async fn until_whole(meshes: &[Mesh], cluster: &Cluster) {
    for (at, mesh) in meshes.iter().enumerate() {
        for of in cluster.indices().filter(|of| usize::from(of.0) != at) {
            let address = meshes[usize::from(of.0)].local_addr();
            let linked = |status: &Status, of: OperatorIndex| {
                status.operator(of).is_some_and(|other| other.links.contains(&address))
            };
            let what = format!("operator {at} is linked with {of} at {address}");
            until(mesh, &what, |status| linked(status, of)).await;
        }
    }
}
