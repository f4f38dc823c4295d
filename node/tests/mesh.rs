//! Nodes in one process, over real QUIC on loopback, as a program embeds them.

mod disk;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use disk::Disk;
use stayfound::status::Status;
use stayfound::store::{Store, StoreError};
use stayfound::testnet::Cluster;
use stayfound::{Builder, Mesh, MeshError};
use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::database::Row;
use stayfound_core::keys::SecretKey;
use stayfound_core::node::{Counter, Event, StartError};
use stayfound_core::record::{Endpoints, Signed};
use tokio::time::timeout;

/// How long any condition may take to come true; on an idle machine all take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

fn cluster(operators: usize) -> (tempfile::TempDir, Cluster) {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(directory.path(), operators).expect("creates");
    (directory, cluster)
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn builder(cluster: &Cluster, operator: OperatorIndex) -> Builder {
    Mesh::builder(cluster.key(operator).clone(), cluster.manifest().clone()).listen(any_port())
}

/// Starts every operator, and tells each where those before it are.
async fn start_all(cluster: &Cluster) -> Vec<Mesh> {
    let mut meshes: Vec<Mesh> = Vec::new();
    for operator in cluster.indices() {
        let known = cluster.indices().zip(&meshes);
        let builder = known
            .fold(builder(cluster, operator), |b, (peer, mesh)| b.hint(peer, mesh.local_addr()));
        meshes.push(builder.start().await.expect("starts"));
    }
    meshes
}

async fn stop_all(meshes: Vec<Mesh>) {
    for mesh in meshes {
        timeout(PATIENCE, mesh.stop()).await.expect("stops").expect("stops well");
    }
}

/// Waits until a node's status is as told; says how it stood if it never was.
async fn until(mesh: &Mesh, what: &str, holds: impl Fn(&Status) -> bool) {
    let mut status = mesh.status();
    let found = timeout(PATIENCE, status.wait_for(|status| holds(status))).await;
    if let Ok(found) = found {
        found.expect("the node runs");
        return;
    }
    panic!("never: {what}. {:#?}", mesh.status().borrow().clone());
}

/// Whether every other operator is linked, at the address that its newest record names.
fn all_linked(status: &Status) -> bool {
    let others = status.operators.iter().filter(|operator| Some(operator.index) != status.own);
    status.record.is_some()
        && others.clone().all(|operator| {
            let addresses: Vec<_> = operator.record.endpoints().quic_addresses().collect();
            addresses.len() == 1 && operator.links.len() == 1
        })
}

async fn until_all_linked(meshes: &[Mesh]) {
    for mesh in meshes {
        until(mesh, "linked with all", all_linked).await;
    }
}

/// Waits until every node but this operator's holds its record with this address, and a link.
async fn until_found(meshes: &[Mesh], operator: OperatorIndex, address: SocketAddr) {
    for mesh in meshes.iter().filter(|mesh| mesh.status().borrow().own != Some(operator)) {
        until(mesh, "found where it moved", |status| {
            let found = status.operator(operator).expect("the cluster has it");
            found.record.endpoints().quic_addresses().eq([address]) && found.links.len() == 1
        })
        .await;
    }
}

#[tokio::test]
async fn two_nodes_link() {
    let (_directory, cluster) = cluster(2);
    let meshes = start_all(&cluster).await;
    until_all_linked(&meshes).await;
    for (mesh, other) in [(&meshes[0], &meshes[1]), (&meshes[1], &meshes[0])] {
        let status = mesh.status().borrow().clone();
        let record = status.record.expect("published");
        assert!(record.endpoints().quic_addresses().eq([mesh.local_addr()]));
        assert!(other.status().borrow().operators.iter().any(|peer| peer.record == record));
    }
    stop_all(meshes).await;
}

#[tokio::test]
async fn four_nodes_form_a_full_mesh_and_follow_one_that_moves() {
    let (_directory, cluster) = cluster(4);
    let meshes = start_all(&cluster).await;
    until_all_linked(&meshes).await;
    let mover = OperatorIndex(2);
    let mut events = meshes[0].events();
    let before = meshes[2].local_addr();
    let address = meshes[2].rebind(any_port()).await.expect("moves");
    assert_ne!(address, before);
    assert_eq!(meshes[2].local_addr(), address);
    until_found(&meshes, mover, address).await;
    until(&meshes[2], "the mover is linked with all", all_linked).await;
    let told = timeout(PATIENCE, async {
        loop {
            match events.recv().await.expect("the node runs") {
                Event::Record { operator, record } if operator == mover => break record,
                _ => {}
            }
        }
    });
    let record = told.await.expect("an event tells");
    assert!(record.endpoints().quic_addresses().eq([address]));
    stop_all(meshes).await;
}

#[tokio::test]
async fn a_node_that_lost_its_data_and_moved_is_found_again() {
    let (_directory, cluster) = cluster(4);
    let mut meshes = start_all(&cluster).await;
    until_all_linked(&meshes).await;
    let gone = OperatorIndex(3);
    let mesh = meshes.pop().expect("four");
    let seq = mesh.status().borrow().record.as_ref().expect("published").seq();
    mesh.stop().await.expect("stops");
    // It comes back elsewhere, with an empty database and one address of one peer.
    let hint = meshes[0].local_addr();
    let mesh = builder(&cluster, gone).hint(OperatorIndex(0), hint).start().await;
    meshes.push(mesh.expect("starts"));
    until_found(&meshes, gone, meshes[3].local_addr()).await;
    until_all_linked(&meshes).await;
    let again = meshes[3].status().borrow().record.as_ref().expect("published").seq();
    assert!(again > seq, "{again} is not above {seq}");
    stop_all(meshes).await;
}

#[tokio::test]
async fn a_node_comes_back_at_the_same_port_with_what_it_knew() {
    let (_directory, cluster) = cluster(2);
    let disk = Disk::default();
    let first = builder(&cluster, OperatorIndex(0)).start().await.expect("starts");
    let second = builder(&cluster, OperatorIndex(1))
        .store(Box::new(disk.clone()))
        .hint(OperatorIndex(0), first.local_addr());
    let second = second.start().await.expect("starts");
    until(&second, "linked", all_linked).await;
    let address = second.local_addr();
    let status = second.status().borrow().clone();
    let own = status.record.expect("published");
    let peer = status.operators[0].record.clone();
    second.stop().await.expect("stops");
    assert!(disk.holds(&own) && disk.holds(&peer), "nothing is lost");
    // No hint this time, and the same record, because nothing changed.
    let builder = builder(&cluster, OperatorIndex(1)).store(Box::new(disk)).listen(address);
    let second = builder.start().await.expect("the port is free again");
    until(&second, "linked again", all_linked).await;
    assert_eq!(second.status().borrow().record.as_ref(), Some(&own));
    stop_all(vec![first, second]).await;
}

#[tokio::test]
async fn a_hint_given_later_is_dialled() {
    let (_directory, cluster) = cluster(2);
    let first = builder(&cluster, OperatorIndex(0)).start().await.expect("starts");
    let second = builder(&cluster, OperatorIndex(1)).start().await.expect("starts");
    second.hint(OperatorIndex(0), first.local_addr()).expect("runs");
    let meshes = vec![first, second];
    until_all_linked(&meshes).await;
    stop_all(meshes).await;
}

#[tokio::test]
async fn a_node_on_all_addresses_of_the_host_links() {
    let (_directory, cluster) = cluster(2);
    let first = builder(&cluster, OperatorIndex(0)).start().await.expect("starts");
    let second = builder(&cluster, OperatorIndex(1))
        .listen((Ipv4Addr::UNSPECIFIED, 0).into())
        .hint(OperatorIndex(0), first.local_addr());
    let second = second.start().await.expect("starts");
    until(&second, "linked", |status| !status.operators[0].links.is_empty()).await;
    let published = |status: &Status| {
        let record = status.record.as_ref();
        record.is_some_and(|record| record.endpoints().quic_addresses().count() > 0)
    };
    until(&second, "an interface's address is published", published).await;
    stop_all(vec![first, second]).await;
}

/// A cluster like `cluster`, but with another key in the place of one operator: what an impostor
/// believes, or wants others to believe.
fn usurped(cluster: &Cluster, place: OperatorIndex, by: &SecretKey) -> Manifest {
    let truth = cluster.manifest();
    let records = truth.operators().iter().map(|operator| match operator.index == place {
        true => Signed::sign(by, 0, &Endpoints::default()),
        false => operator.record.clone(),
    });
    let (name, uuid) = (truth.name().to_owned(), truth.uuid().to_owned());
    let records = records.collect();
    Manifest::new(name, uuid, *truth.hash(), truth.threshold(), records).expect("a cluster")
}

#[tokio::test]
async fn an_impostor_is_refused_whoever_dials() {
    let (_directory, cluster) = cluster(4);
    let meshes = start_all(&cluster).await;
    until_all_linked(&meshes).await;
    let (honest, usurper) = (&meshes[0], SecretKey::from_bytes(&[9; 32]).expect("a key"));
    let place = OperatorIndex(1);
    let before = honest.status().borrow().clone();

    // It dials.
    let manifest = usurped(&cluster, place, &usurper);
    let impostor = Mesh::builder(usurper, manifest)
        .listen(any_port())
        .hint(OperatorIndex(0), honest.local_addr());
    let impostor = impostor.start().await.expect("starts");
    until(honest, "a stranger is counted", |s| s.counters.get(Counter::Strangers) > 0).await;
    until(&impostor, "its dial fails", |s| s.counters.get(Counter::DialsFailed) > 0).await;

    // It is dialled, in the place of an operator that is gone.
    let mut meshes = meshes;
    meshes.remove(1).stop().await.expect("stops");
    let honest = &meshes[0];
    let failed = honest.status().borrow().counters.get(Counter::DialsFailed);
    honest.hint(place, impostor.local_addr()).expect("runs");
    until(honest, "the dial fails", |s| s.counters.get(Counter::DialsFailed) > failed).await;

    assert_eq!(impostor.status().borrow().counters.get(Counter::LinksOpened), 0);
    let after = honest.status().borrow().clone();
    assert_eq!(after.operators[1].record, before.operators[1].record);
    assert!(after.operators[1].links.is_empty());
    for other in [2, 3] {
        assert_eq!(after.operators[other], before.operators[other], "nothing else changed");
    }
    meshes.push(impostor);
    stop_all(meshes).await;
}

fn start_error(result: Result<Mesh, MeshError>) -> MeshError {
    match result {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let (_directory, cluster) = cluster(2);
    let first = builder(&cluster, OperatorIndex(0)).start().await.expect("starts");
    let address = first.local_addr();
    let disk = Disk::default();
    let second = || builder(&cluster, OperatorIndex(1)).store(Box::new(disk.clone()));
    let error = start_error(second().listen(address).start().await);
    assert!(matches!(error, MeshError::PortInUse(taken) if taken == address), "{error:?}");
    assert!(error.to_string().contains(&address.port().to_string()), "{error}");

    // Moving there fails as well, and leaves the node where it is.
    let second = second().start().await.expect("starts: nothing was left behind");
    let before = second.local_addr();
    let error = second.rebind(address).await.expect_err("in use");
    assert!(matches!(error, MeshError::PortInUse(taken) if taken == address), "{error:?}");
    assert_eq!(second.local_addr(), before);
    second.hint(OperatorIndex(0), address).expect("runs");
    until(&second, "linked", all_linked).await;
    stop_all(vec![first, second]).await;
}

#[tokio::test]
async fn an_address_of_another_host_cannot_be_bound() {
    let (_directory, cluster) = cluster(2);
    let address: SocketAddr = "192.0.2.1:3610".parse().expect("an address");
    let error = start_error(builder(&cluster, OperatorIndex(0)).listen(address).start().await);
    assert!(matches!(error, MeshError::Bind(named, _) if named == address), "{error:?}");
}

#[tokio::test]
async fn a_key_of_no_operator_does_not_start() {
    let (_directory, cluster) = cluster(2);
    let key = SecretKey::from_bytes(&[9; 32]).expect("a key");
    let builder = Mesh::builder(key, cluster.manifest().clone()).listen(any_port());
    let error = start_error(builder.start().await);
    assert!(matches!(error, MeshError::Start(StartError::NotAnOperator)), "{error:?}");
}

/// A disk that is full from the first write on.
struct Full;

fn full() -> StoreError {
    StoreError::Failed("nodes.redb".into(), "no space left on device".into())
}

impl Store for Full {
    fn load(&mut self) -> Result<Vec<Row>, StoreError> {
        Ok(Vec::new())
    }

    fn put(&mut self, _: &[Row]) -> Result<(), StoreError> {
        Err(full())
    }
}

#[tokio::test]
async fn a_store_that_fails_ends_the_node_before_it_publishes_anything() {
    let (_directory, cluster) = cluster(2);
    let mesh = builder(&cluster, OperatorIndex(0)).store(Box::new(Full)).start().await;
    let mesh = mesh.expect("it can read");
    timeout(PATIENCE, mesh.ended()).await.expect("it ends by itself");
    assert_eq!(mesh.status().borrow().record, None);
    let hint = mesh.hint(OperatorIndex(1), any_port());
    assert!(matches!(hint, Err(MeshError::Stopped)));
    assert!(matches!(mesh.rebind(any_port()).await, Err(MeshError::Stopped)));
    let error = mesh.stop().await.expect_err("it failed");
    assert!(matches!(error, MeshError::Store(_)), "{error:?}");
    assert!(error.to_string().contains("no space left"), "{error}");
}

#[tokio::test]
async fn a_node_that_is_dropped_stops() {
    let (_directory, cluster) = cluster(2);
    let meshes = start_all(&cluster).await;
    until_all_linked(&meshes).await;
    let [first, second] = <[Mesh; 2]>::try_from(meshes).ok().expect("two");
    drop(second);
    until(&first, "its peer is gone", |status| status.operators[1].links.is_empty()).await;
    stop_all(vec![first]).await;
}
