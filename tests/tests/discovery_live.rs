//! Ours and the public `discv5` crate, over sockets on loopback: each asks the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Endpoints, NodeId, Signed};
use tokio::task::JoinSet;

use live::{Ours, PROTOCOL, Theirs, echo};

mod live;

const A: u32 = 1;
const B: u32 = 2;
/// What each side has outstanding at once.
const AT_ONCE: u32 = 16;
/// How many nodes of each kind a mixed network has.
const EACH: u32 = 20;

/// A record of a node that is nowhere, at this place.
fn stranger(place: u32) -> Signed {
    let key = SecretKey::from_bytes(&live::scalar(place)).unwrap();
    Signed::sign(&key, 1, &Endpoints::at([([127, 0, 0, 1], 9).into()]))
}

#[tokio::test]
async fn ours_shakes_hands_and_pings() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    let answer = ours.ask(Ask::Ping(theirs.record())).await;
    let enr_seq = theirs.record().seq();
    assert_eq!(answer, Answer::Pong { enr_seq, observed: ours.at() });
    // Again, in the session.
    let answer = ours.ask(Ask::Ping(theirs.record())).await;
    assert_eq!(answer, Answer::Pong { enr_seq, observed: ours.at() });
}

#[tokio::test]
async fn theirs_shakes_hands_and_pings() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    for _ in 0..2 {
        let pong = theirs.node.send_ping(live::theirs::enr(&ours.record())).await.unwrap();
        assert_eq!(pong.enr_seq, ours.record().seq());
        assert_eq!((pong.ip, pong.port), (theirs.at().ip(), theirs.at().port()));
    }
}

#[tokio::test]
async fn ours_finds_nodes() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    let answer = ours.ask(Ask::FindNode(theirs.record(), vec![0])).await;
    assert_eq!(answer, Answer::Nodes(vec![theirs.record()]));
    let distances = [256, 255, 254];
    let near = |record: &Signed| distances.contains(&record.node_id().log_distance(&theirs.id()));
    let known: Vec<Signed> = (100..).map(stranger).filter(near).take(12).collect();
    for record in &known {
        theirs.node.add_enr(live::theirs::enr(record)).unwrap();
    }
    let answer = ours.ask(Ask::FindNode(theirs.record(), distances.to_vec())).await;
    let Answer::Nodes(nodes) = answer else { panic!("{answer:?}") };
    // Ours may have come into their table meanwhile; it is not told of itself.
    assert_eq!(ids(&nodes), ids(&known));
}

#[tokio::test]
async fn theirs_finds_nodes() {
    let ours = Ours::start(A, &[]).await;
    let mut others = Vec::new();
    for place in 0..6 {
        others.push(Ours::start(100 + place, &[ours.record()]).await);
    }
    let theirs = Theirs::start(B).await;
    let find = async |distances: Vec<u64>| {
        let asked =
            theirs.node.find_node_designated_peer(live::theirs::enr(&ours.record()), distances);
        let records: Vec<Signed> = asked.await.unwrap().iter().map(live::theirs::signed).collect();
        records
    };
    assert_eq!(find(vec![0]).await, [ours.record()]);
    let all: BTreeSet<NodeId> = others.iter().map(Ours::id).collect();
    let distances: BTreeSet<u64> =
        all.iter().map(|id| id.log_distance(&ours.id()).into()).collect();
    let distances: Vec<u64> = distances.into_iter().collect();
    live::until_async("all that joined are told of", async || {
        let mut told = ids(&find(distances.clone()).await);
        told.remove(&theirs.id());
        told == all
    })
    .await;
}

#[tokio::test]
async fn both_talk() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    let (our, their) = (ours.record(), theirs.record());
    assert_eq!(ours.talk(&their, b"any", b"hello").await, Some(echo(b"hello")));
    assert_eq!(theirs.talk(&our, PROTOCOL, b"hello").await, Some(echo(b"hello")));
    assert_eq!(theirs.talk(&our, b"unknown", b"hello").await, Some(vec![]));
    let long = vec![7; 600];
    assert_eq!(ours.talk(&their, b"any", &long).await, Some(echo(&long)));
    assert_eq!(theirs.talk(&our, PROTOCOL, &long).await, Some(echo(&long)));
}

/// Many at once, the first of which have no session yet; and both sides begin at the same moment.
#[tokio::test]
async fn both_ask_at_once() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
    let (our, their) = (ours.record(), theirs.record());
    for round in 0..4 {
        let mut asked = JoinSet::new();
        for number in 0..AT_ONCE {
            let request = format!("{round} {number}").into_bytes();
            let (node, to, said) = (ours.clone(), their.clone(), request.clone());
            asked.spawn(async move { (node.talk(&to, b"any", &said).await, said) });
            let (node, to, said) = (theirs.clone(), our.clone(), request);
            asked.spawn(async move { (node.insists(to, PROTOCOL, said.clone()).await, said) });
        }
        for (answer, said) in asked.join_all().await {
            assert_eq!(answer, Some(echo(&said)));
        }
    }
}

#[tokio::test]
async fn ours_hears_of_their_new_record() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    theirs.node.send_ping(live::theirs::enr(&ours.record())).await.unwrap();
    theirs.renews(b"2");
    // The PING names the new seq, and ours fetches the record.
    theirs.node.send_ping(live::theirs::enr(&ours.record())).await.unwrap();
    let newest = theirs.record();
    live::until_async("ours holds the new record", async || {
        ours.find(&theirs.id()).await.as_ref() == Some(&newest)
    })
    .await;
}

#[tokio::test]
async fn theirs_hears_of_our_new_record() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    theirs.node.add_enr(live::theirs::enr(&ours.record())).unwrap();
    assert!(ours.talk(&theirs.record(), b"any", b"hello").await.is_some());
    ours.moves().await;
    let target = enr::NodeId::new(&ours.id().0);
    let newest = live::theirs::enr(&ours.record());
    // It is told at once. Should the crate ask where we were before, any later message tells again.
    live::until_async("theirs holds the new record", async || {
        ours.ask(Ask::Ping(theirs.record())).await;
        theirs.node.find_enr(&target).as_ref() == Some(&newest)
    })
    .await;
}

#[tokio::test]
async fn theirs_restarts_in_a_session() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    let (their, at) = (theirs.record(), theirs.at());
    assert!(ours.talk(&their, b"any", b"before").await.is_some());
    drop(theirs);
    let theirs = Theirs::start_at(B, at).await;
    assert_eq!(ours.talk(&their, b"any", b"after").await, Some(echo(b"after")));
    let asked = theirs.talk(&ours.record(), PROTOCOL, b"back").await;
    assert_eq!(asked, Some(echo(b"back")));
}

#[tokio::test]
async fn ours_restarts_in_a_session() {
    let (ours, theirs) = (Ours::start(A, &[]).await, Theirs::start(B).await);
    let at = ours.at();
    assert!(theirs.talk(&ours.record(), PROTOCOL, b"before").await.is_some());
    ours.stops().await;
    let ours = Ours::start_at(A, &[], at).await;
    let asked = theirs.talk(&ours.record(), PROTOCOL, b"after").await;
    assert_eq!(asked, Some(echo(b"after")));
    assert_eq!(ours.talk(&theirs.record(), b"any", b"back").await, Some(echo(b"back")));
}

/// Everybody joins through one node of theirs; then each side looks up every node of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixed_network_finds_everybody() {
    let boot = Theirs::start(1_000).await;
    let (mut ours, mut theirs) = (Vec::new(), vec![]);
    for place in 0..EACH {
        ours.push(Ours::start(1_100 + place, &[boot.record()]).await);
        let other = Theirs::start(1_200 + place).await;
        other.node.add_enr(live::theirs::enr(&boot.record())).unwrap();
        other.finds(&other.id()).await; // how that crate joins
        theirs.push(other);
    }
    for (number, (ours, other)) in ours.iter().zip(&theirs).enumerate() {
        live::until_async(&format!("ours {number} finds theirs"), async || {
            ours.find(&other.id()).await.is_some()
        })
        .await;
        live::until_async(&format!("theirs {number} finds ours"), async || {
            other.finds(&ours.id()).await
        })
        .await;
    }
}

fn ids(records: &[Signed]) -> BTreeSet<NodeId> {
    records.iter().map(Signed::node_id).collect()
}
