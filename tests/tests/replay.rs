//! What happened to real nodes, over real QUIC and discv5 on loopback, happens to the core once more.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use stayfound::Mesh;
use stayfound::recording::Recording;
use stayfound::testnet::Cluster;
use stayfound_core::discovery::{Answer, Ask, Settings};
use stayfound_core::recording::End;
use stayfound_sim::replay::{Ending, Replayed, replay};
use tokio::time::timeout;

/// How long any condition may take to come true; on an idle machine all take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);
const NO_LIMIT: u64 = u64::MAX;
const OPERATORS: usize = 4;

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

async fn until_all_linked(mesh: &Mesh) {
    let mut status = mesh.status();
    let linked = status.wait_for(|status| {
        let linked = status.operators.iter().filter(|operator| !operator.links.is_empty());
        status.record.is_some() && linked.count() == OPERATORS - 1
    });
    timeout(PATIENCE, linked).await.expect("in time").expect("the node runs");
}

fn same(path: &PathBuf) -> Replayed {
    let recording = fs::read(path).expect("reads");
    replay(&recording, &mut |_| {}).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[tokio::test]
async fn every_node_of_a_cluster_does_the_same_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(&directory.path().join("cluster"), OPERATORS).expect("creates");
    let path = |name: String| directory.path().join(name);
    let (mut meshes, mut paths): (Vec<Mesh>, Vec<PathBuf>) = Default::default();
    for operator in cluster.indices() {
        let file = path(format!("{operator}.recording"));
        let recording = Recording::create(&file, NO_LIMIT).expect("a new file");
        let (key, manifest) = (cluster.key(operator).clone(), cluster.manifest().clone());
        let builder = Mesh::builder(key, manifest).listen(any_port());
        let builder = builder.discovery(Settings::default()).record(recording);
        let known = cluster.indices().zip(&meshes);
        let builder = known.fold(builder, |it, (peer, mesh)| it.hint(peer, mesh.local_addr()));
        meshes.push(builder.start().await.expect("starts"));
        paths.push(file);
    }
    for mesh in &meshes {
        until_all_linked(mesh).await;
    }
    // discv5 too, with a handshake: what the key answers in it is recorded.
    let record = meshes[1].status().borrow().record.clone().expect("it is linked");
    let answer = timeout(PATIENCE, meshes[0].ask(Ask::Ping(record))).await.expect("in time");
    assert!(matches!(answer, Ok(Answer::Pong { .. })), "{answer:?}");
    meshes[2].rebind(any_port()).await.expect("moves");
    meshes[3].load(cluster.manifest().clone()).await.expect("runs");
    for mesh in meshes {
        timeout(PATIENCE, mesh.stop()).await.expect("stops").expect("stops well");
    }
    for path in &paths {
        let replayed = same(path);
        assert_eq!(replayed.ending, Ending::Ended(End::Stopped));
        assert!(replayed.inputs > 10, "{replayed:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    // A file that is there is somebody's.
    assert!(Recording::create(&paths[0], NO_LIMIT).is_err());
}
