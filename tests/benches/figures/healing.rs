//! From the change of address until all others hold the new record and are linked again.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use stayfound::Mesh;
use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, Signed};
use tokio::time::timeout;

use crate::bare::Bare;
use crate::measure::{percentile, report, rounds, runtime};

const OPERATORS: u8 = 4;
const MOVES: usize = 200;
const TARGET_MS: f64 = 250.0;
const DEADLINE: Duration = Duration::from_secs(30);
const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A mesh of four real nodes on loopback, their databases on disk.
async fn cluster(directory: &std::path::Path) -> Vec<Mesh> {
    let key = |i: u8| SecretKey::from_bytes(&[i + 1; 32]).expect("a key");
    let records = (0..OPERATORS).map(|i| Signed::sign(&key(i), 0, &Endpoints::default())).collect();
    let manifest = Manifest::new("bench".into(), "BENCH".into(), [7; 32], 3, records);
    let manifest = manifest.expect("a cluster of four");
    let mut meshes: Vec<Mesh> = Vec::new();
    for i in 0..OPERATORS {
        let own = manifest.operators()[usize::from(i)].node_id;
        let store = stayfound::store::DiskStore::open(&directory.join(i.to_string()), own);
        let mut builder = Mesh::builder(key(i), manifest.clone())
            .listen(ANY_PORT.into())
            .store(Box::new(store.expect("an empty directory")));
        for (other, mesh) in (0..).zip(&meshes) {
            builder = builder.hint(OperatorIndex(other), mesh.local_addr());
        }
        meshes.push(builder.start().await.expect("a node on loopback"));
    }
    for (i, mesh) in meshes.iter().enumerate() {
        for (j, other) in meshes.iter().enumerate().filter(|(j, _)| *j != i) {
            follows(mesh, j, other.local_addr()).await;
        }
    }
    meshes
}

/// Waits until a node holds an operator's record with this address and is linked with it there.
async fn follows(mesh: &Mesh, operator: usize, address: SocketAddr) {
    let mut status = mesh.status();
    let healed = status.wait_for(|status| {
        let operator = &status.operators[operator];
        operator.links.contains(&address)
            && operator.record.endpoints().quic_addresses().any(|named| named == address)
    });
    timeout(DEADLINE, healed).await.expect("the mesh heals").expect("the node runs");
}

async fn heal(meshes: &[Mesh], mover: usize) -> f64 {
    let before = Instant::now();
    let address = meshes[mover].rebind(ANY_PORT.into()).await.expect("a free port");
    for (_, mesh) in meshes.iter().enumerate().filter(|(i, _)| *i != mover) {
        follows(mesh, mover, address).await;
    }
    before.elapsed().as_secs_f64() * 1e3
}

/// The floor: three bare handshakes side by side, first words included.
async fn handshakes(bare: &Bare) -> f64 {
    let before = Instant::now();
    let [a, b, c] = [1, 2, 3].map(|to| bare.open(bare.address(to)));
    let (a, b, c) = tokio::join!(a, b, c);
    let span = before.elapsed().as_secs_f64() * 1e3;
    [a, b, c].iter().for_each(|connection| connection.close(1u8.into(), b""));
    span
}

/// Prints the figures.
pub fn figures() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut healed, mut floor) = (Vec::new(), Vec::new());
    runtime().block_on(async {
        let meshes = cluster(directory.path()).await;
        let bare = Bare::new(usize::from(OPERATORS));
        for number in 0..rounds(MOVES) {
            healed.push(heal(&meshes, number % usize::from(OPERATORS)).await);
            floor.push(handshakes(&bare).await);
        }
        for mesh in meshes {
            mesh.stop().await.expect("a node stops");
        }
    });
    let p99 = percentile(&mut healed, 99);
    let moves = healed.len();
    let remark = format!("{moves} moves of one of {OPERATORS}, all nodes on one thread, loopback");
    report("mesh.move_to_healed_p50", percentile(&mut healed, 50), "ms", &remark);
    let verdict = if p99 < TARGET_MS { "met" } else { "MISSED" };
    let remark = format!("p99; target below {TARGET_MS}: {verdict}");
    report("mesh.move_to_healed", p99, "ms", &remark);
    report("mesh.move_to_healed_max", percentile(&mut healed, 100), "ms", "");
    let remark = "p99 of three bare handshakes side by side";
    report("mesh.move_to_healed_floor", percentile(&mut floor, 99), "ms", remark);
}
