//! Nodes in one process, over real QUIC on loopback, that take another manifest while they run.

mod disk;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use disk::Disk;
use stayfound::status::Status;
use stayfound::testnet::Cluster;
use stayfound::{Builder, Mesh};
use stayfound_core::cluster::{Change, Manifest, OperatorIndex};
use stayfound_core::keys::SecretKey;
use stayfound_core::node::{Counter, Event};
use stayfound_core::record::{Endpoints, Signed};
use tokio::time::timeout;

/// How long any condition may take to come true; on an idle machine all take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn builder(cluster: &Cluster, operator: u8) -> Builder {
    let key = cluster.key(OperatorIndex(operator)).clone();
    Mesh::builder(key, cluster.manifest().clone()).listen(any_port())
}

/// Four operators that are linked, the first with this store.
async fn four(cluster: &Cluster, disk: &Disk) -> [Mesh; 4] {
    let store = Box::new(disk.clone());
    let first = builder(cluster, 0).store(store).start().await.expect("starts");
    let hint = first.local_addr();
    let other = async |operator| {
        let builder = builder(cluster, operator).hint(OperatorIndex(0), hint);
        builder.start().await.expect("starts")
    };
    let meshes = [first, other(1).await, other(2).await, other(3).await];
    for mesh in &meshes {
        until(mesh, "linked with all", |status| linked(status) == 3).await;
    }
    meshes
}

/// The same cluster with the key of one operator replaced.
fn with(cluster: &Cluster, operator: u8, key: &SecretKey) -> Manifest {
    let before = cluster.manifest();
    let mut records: Vec<_> = before.operators().iter().map(|it| it.record.clone()).collect();
    records[usize::from(operator)] = Signed::sign(key, 0, &Endpoints::default());
    let (name, uuid) = (before.name().to_owned(), before.uuid().to_owned());
    Manifest::new(name, uuid, [0xed; 32], before.threshold(), records).expect("a cluster")
}

/// With how many a node is linked.
fn linked(status: &Status) -> usize {
    status.operators.iter().filter(|operator| operator.links.len() == 1).count()
}

fn count(mesh: &Mesh, counter: Counter) -> u64 {
    mesh.status().borrow().counters.get(counter)
}

async fn until(mesh: &Mesh, what: &str, holds: impl Fn(&Status) -> bool) {
    let mut status = mesh.status();
    let found = timeout(PATIENCE, status.wait_for(|status| holds(status))).await;
    let Ok(found) = found else { panic!("never: {what}. {:#?}", *mesh.status().borrow()) };
    found.expect("the node runs");
}

async fn stop_all(meshes: impl IntoIterator<Item = Mesh>) {
    for mesh in meshes {
        timeout(PATIENCE, mesh.stop()).await.expect("stops").expect("stops well");
    }
}

#[tokio::test]
async fn a_replaced_key_is_out_at_once_and_the_new_one_is_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(directory.path(), 4).expect("creates");
    let disk = Disk::default();
    let meshes = four(&cluster, &disk).await;
    let [first, second, third, old] = &meshes;
    let record_of_old = old.status().borrow().record.clone().expect("published");
    until(first, "the record is held", |status| status.operators[3].record == record_of_old).await;

    let key = SecretKey::from_bytes(&[9; 32]).expect("a key");
    let manifest = with(&cluster, 3, &key);
    let mut events = first.events();
    let links: Vec<_> = [first, second, third].map(|mesh| mesh.status().borrow().clone()).into();
    for mesh in [first, second, third] {
        let changes = mesh.load(manifest.clone()).await.expect("runs");
        assert!(matches!(changes[..], [Change::Replaced { operator: OperatorIndex(3), .. }]));
        assert_eq!(linked(&mesh.status().borrow()), 2, "closed at once");
    }
    let opened = count(old, Counter::LinksOpened);
    for (mesh, before) in [first, second, third].into_iter().zip(&links) {
        let after = mesh.status().borrow().clone();
        let others = before.operators.iter().zip(&after.operators).take(3);
        assert!(others.clone().all(|(before, after)| before.links == after.links), "the rest stay");
    }
    assert_eq!(events.recv().await, Ok(Event::Lost { operator: OperatorIndex(3) }));
    assert!(matches!(events.recv().await, Ok(Event::Manifest { .. })));

    // The old key hears of it, and does not come in again.
    until(old, "its links are closed", |status| linked(status) == 0).await;
    let failed = count(old, Counter::DialsFailed);
    until(old, "it dials in vain", |it| it.counters.get(Counter::DialsFailed) >= failed + 3).await;
    until(first, "it is refused", |it| it.counters.get(Counter::Strangers) > 0).await;
    assert_eq!(count(old, Counter::LinksOpened), opened);
    assert!(disk.holds(&record_of_old), "nothing is forgotten");

    // The new one does, told of one operator only.
    let new = Mesh::builder(key, manifest).listen(any_port());
    let new = new.hint(OperatorIndex(0), first.local_addr()).start().await.expect("starts");
    for mesh in [first, second, third, &new] {
        until(mesh, "linked with all", |status| linked(status) == 3).await;
    }
    let id = new.status().borrow().operators[3].node_id;
    assert!(
        [first, second, third].iter().all(|it| it.status().borrow().operators[3].node_id == id)
    );
    assert_eq!(count(old, Counter::LinksOpened), opened);
    stop_all(meshes.into_iter().chain([new])).await;
}

#[tokio::test]
async fn a_node_without_authority_goes_on_and_comes_back_when_it_is_named_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(directory.path(), 4).expect("creates");
    let meshes = four(&cluster, &Disk::default()).await;
    let [first, .., last] = &meshes;
    let mut events = last.events();
    let key = SecretKey::from_bytes(&[9; 32]).expect("a key");
    last.load(with(&cluster, 3, &key)).await.expect("runs");
    let status = last.status().borrow().clone();
    assert_eq!((status.own, linked(&status)), (None, 0));
    assert_eq!(serde_json::to_value(&status).expect("is JSON")["authorised"], false);
    let told = timeout(PATIENCE, async {
        while events.recv().await.expect("it runs") != Event::Unauthorised {}
    });
    told.await.expect("it says so");

    // The others still count on it, and are not let in.
    let failed = count(first, Counter::DialsFailed);
    until(first, "dials in vain", |it| it.counters.get(Counter::DialsFailed) > failed).await;
    assert_eq!(linked(&last.status().borrow()), 0);

    last.load(cluster.manifest().clone()).await.expect("runs");
    assert_eq!(last.status().borrow().own, Some(OperatorIndex(3)));
    for mesh in &meshes {
        until(mesh, "linked with all", |status| linked(status) == 3).await;
    }
    stop_all(meshes).await;
}

#[tokio::test]
async fn a_node_that_was_alone_lets_in_who_is_added() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(directory.path(), 2).expect("creates");
    let [one, two] = [0, 1].map(|operator| cluster.key(OperatorIndex(operator)).clone());
    let first = Mesh::builder(one.clone(), Manifest::alone(&one)).listen(any_port());
    let first = first.start().await.expect("starts");
    let hint = first.local_addr();
    let second = Mesh::builder(two, cluster.manifest().clone()).listen(any_port());
    let second = second.hint(OperatorIndex(0), hint).start().await.expect("starts");
    let changes = first.load(cluster.manifest().clone()).await.expect("runs");
    assert!(matches!(changes[..], [Change::Added { operator: OperatorIndex(1), .. }]));
    for mesh in [&first, &second] {
        until(mesh, "linked", |status| linked(status) == 1).await;
    }
    stop_all([first, second]).await;
}
