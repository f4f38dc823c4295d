//! discv5 over sockets on loopback: ours beside the public `discv5` crate, in one run and one
//! process, on one thread.

use std::sync::Arc;
use std::time::Duration;

use stayfound_core::chance::{Chance, Stream};
use stayfound_core::discovery::{Answer, Ask};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::live::theirs::contact;
use crate::live::{DEADLINE, Ours, PROTOCOL, Theirs};
use crate::measure::{judge, percentile, process_cpu, report, rounds, runtime, size};

const HANDSHAKE_ROUNDS: usize = 21;
const HANDSHAKES: u32 = 25;
const HANDSHAKE_TARGET: f64 = if cfg!(feature = "libsecp256k1") { 0.5 } else { 0.75 };
/// What follows a handshake at once is part of its cost. That a node of ours then joins a network
/// through whom it has met, with a handshake for each that it finds there, is not: a round must end
/// before the 1 s after which it does.
const SETTLE: Duration = Duration::from_millis(20);

const TALK_ROUNDS: usize = 9;
const TALKS_IN_FLIGHT: u32 = 16;
const TALKS_EACH: u32 = 100;
const TALK_TARGET: f64 = 0.6;

const LOOKUP_NODES: u32 = 100;
const LOOKUPS: u32 = 100;
const LOOKUPS_PER_ROUND: usize = 20;
const LOOKUP_TARGET: f64 = 0.25;
/// After the last has joined: then everybody has checked whom it met meanwhile.
const JOINED_WITHIN: Duration = Duration::from_secs(8);

const JOINERS: u32 = 300;
const JOIN_EVERY: Duration = Duration::from_millis(100);
const JOINED_FOR: Duration = Duration::from_secs(30);
const FINDS: u32 = 100;

/// A span of real time, or next to nothing where nothing is measured.
fn span(measured: Duration) -> Duration {
    measured / size(1, 100)
}

/// The microseconds of CPU that something took, per `count`.
async fn cost(count: u32, of: impl Future<Output = ()>) -> f64 {
    let before = process_cpu();
    of.await;
    (process_cpu() - before).as_secs_f64() * 1e6 / f64::from(count)
}

/// Reports two medians, and judges the median of the rounds' ratios.
fn compare(name: &str, rounds: &[(f64, f64)], target: f64, remark: &str) {
    let median =
        |of: fn(&(f64, f64)) -> f64| percentile(&mut rounds.iter().map(of).collect::<Vec<_>>(), 50);
    report(&format!("{name}_us"), median(|(ours, _)| *ours), "us", remark);
    report(&format!("{name}_us_crate"), median(|(_, theirs)| *theirs), "us", "the crate");
    let ratio = median(|(ours, theirs)| ours / theirs);
    judge(&format!("{name}_ratio"), ratio, "x", target, "median of the rounds' ratios");
}

/// Fresh nodes, each of which pings one that has never heard of it.
async fn handshakes() {
    let (count, mut costs) = (size(HANDSHAKES, 5), Vec::new());
    for _ in 0..rounds(HANDSHAKE_ROUNDS) {
        costs.push((our_handshakes(count).await, their_handshakes(count).await));
    }
    // Six datagrams each: after the handshake with its PING and the PONG, another PING and its PONG.
    // Ours pings whoever shook hands with it, the crate whom it shook hands with.
    let remark =
        format!("both sides, the second PING included, median of {} times {count}", costs.len());
    compare("discovery.socket_handshake", &costs, HANDSHAKE_TARGET, &remark);
}

async fn our_handshakes(count: u32) -> f64 {
    let server = Ours::start(0, &[]).await;
    let (to, mut clients) = (server.record(), Vec::new());
    for place in 1..=count {
        clients.push(Ours::start(place, &[]).await);
    }
    sleep(span(SETTLE)).await;
    let handshakes = cost(count, async {
        for client in &clients {
            let answer = client.ask(Ask::Ping(to.clone())).await;
            assert!(matches!(answer, Answer::Pong { .. }), "{answer:?}");
        }
        sleep(span(SETTLE)).await;
    });
    handshakes.await
}

async fn their_handshakes(count: u32) -> f64 {
    let server = Theirs::start(0).await;
    let (to, mut clients) = (server.node.local_enr(), Vec::new());
    for place in 1..=count {
        clients.push(Theirs::start(place).await);
    }
    sleep(span(SETTLE)).await;
    let handshakes = cost(count, async {
        for client in &clients {
            client.node.send_ping(to.clone()).await.expect("a PONG");
        }
        sleep(span(SETTLE)).await;
    });
    handshakes.await
}

/// Round trips of TALKREQ in one session, many in flight.
async fn talks() {
    let [asker, asked] = [Arc::new(Ours::start(0, &[]).await), Arc::new(Ours::start(1, &[]).await)];
    let [their_asker, their_asked] =
        [Arc::new(Theirs::start(2).await), Arc::new(Theirs::start(3).await)];
    let each = size(TALKS_EACH, 5);
    let count = TALKS_IN_FLIGHT * each;
    let mut costs = Vec::new();
    for round in 0..=rounds(TALK_ROUNDS) {
        let to = asked.record();
        let ours = cost(count, async {
            let mut flying = JoinSet::new();
            for _ in 0..TALKS_IN_FLIGHT {
                let (asker, to) = (asker.clone(), to.clone());
                flying.spawn(async move {
                    for _ in 0..each {
                        asker.talk(&to, PROTOCOL, &[7; 32]).await.expect("an answer");
                    }
                });
            }
            flying.join_all().await;
        });
        let ours = ours.await;
        let to = their_asked.record();
        let theirs = cost(count, async {
            let mut flying = JoinSet::new();
            for _ in 0..TALKS_IN_FLIGHT {
                let (asker, contact) = (their_asker.clone(), contact(&to));
                flying.spawn(async move {
                    for _ in 0..each {
                        let talk =
                            asker.node.talk_req(contact.clone(), PROTOCOL.into(), vec![7; 32]);
                        talk.await.expect("an answer");
                    }
                });
            }
            flying.join_all().await;
        });
        let theirs = theirs.await;
        // The first round opens the sessions.
        if round > 0 {
            costs.push((ours, theirs));
        }
    }
    let remark =
        format!("32 B, {TALKS_IN_FLIGHT} in flight, median of {} times {count}", costs.len());
    compare("discovery.talk", &costs, TALK_TARGET, &remark);
}

/// So many pairs of different nodes of so many.
fn pairs(chance: &mut Stream, count: u32, nodes: u32) -> Vec<(usize, usize)> {
    let mut pair = || {
        let from = chance.below(nodes.into());
        let step = 1 + chance.below(u64::from(nodes) - 1);
        (from as usize, ((from + step) % u64::from(nodes)) as usize)
    };
    (0..count).map(|_| pair()).collect()
}

/// Lookups of random existing nodes by random others, once everybody has joined. One network
/// after the other, so that neither pays for the upkeep of the other.
async fn lookups() {
    let nodes = size(LOOKUP_NODES, 8);
    let asked = pairs(&mut Chance::new([1; 32]).stream("lookups"), size(LOOKUPS, 40), nodes);
    let (ours, found) = our_lookups(nodes, &asked).await;
    let (theirs, found_by_crate) = their_lookups(nodes, &asked).await;
    let costs: Vec<(f64, f64)> = ours.into_iter().zip(theirs).collect();
    let remark =
        format!("{nodes} nodes; of {} found: ours {found}, theirs {found_by_crate}", asked.len());
    compare("discovery.lookup", &costs, LOOKUP_TARGET, &remark);
}

async fn our_lookups(nodes: u32, pairs: &[(usize, usize)]) -> (Vec<f64>, u32) {
    let mut all = vec![Ours::start(0, &[]).await];
    for place in 1..nodes {
        let boot = all[0].record();
        all.push(Ours::start(place, &[boot]).await);
    }
    sleep(span(JOINED_WITHIN)).await;
    let (mut costs, mut found) = (Vec::new(), 0);
    for part in pairs.chunks(LOOKUPS_PER_ROUND) {
        let lookups = cost(part.len() as u32, async {
            for (from, to) in part {
                found += u32::from(all[*from].find(&all[*to].id()).await.is_some());
            }
        });
        costs.push(lookups.await);
    }
    (costs, found)
}

async fn their_lookups(nodes: u32, pairs: &[(usize, usize)]) -> (Vec<f64>, u32) {
    let mut all = vec![Theirs::start(0).await];
    for place in 1..nodes {
        let other = Theirs::start(place).await;
        other.node.add_enr(all[0].node.local_enr()).expect("it has an address");
        all.push(other);
    }
    for _ in 0..2 {
        for other in &all {
            other.finds(&other.id()).await; // how that crate joins
        }
    }
    let (mut costs, mut found) = (Vec::new(), 0);
    for part in pairs.chunks(LOOKUPS_PER_ROUND) {
        let lookups = cost(part.len() as u32, async {
            for (from, to) in part {
                found += u32::from(all[*from].finds(&all[*to].id()).await);
            }
        });
        costs.push(lookups.await);
    }
    (costs, found)
}

/// Nodes join one after the other through one of them; a while after the last, random nodes look
/// for random others.
async fn findability() {
    let boot = Ours::start(0, &[]).await;
    let (joiners, finds) = (size(JOINERS, 8), size(FINDS, 10));
    let (mut nodes, began) = (Vec::new(), Instant::now());
    for place in 1..=joiners {
        sleep_until(began + place * span(JOIN_EVERY)).await;
        nodes.push(Ours::start(place, &[boot.record()]).await);
    }
    let took = began.elapsed().as_secs_f64();
    sleep(span(JOINED_FOR)).await;
    let mut found = 0;
    for (from, to) in pairs(&mut Chance::new([2; 32]).stream("finds"), finds, joiners) {
        let newest = timeout(DEADLINE, nodes[from].find(&nodes[to].id())).await;
        found += u32::from(newest.ok().flatten().is_some_and(|it| it == nodes[to].record()));
    }
    let verdict = if found == finds { "met" } else { "MISSED" };
    let remark = format!(
        "of {finds}, {joiners} nodes that joined within {took:.0} s; target {finds}: {verdict}"
    );
    report("discovery.findability", found.into(), "found", &remark);
}

/// Prints the figures of handshakes.
pub fn handshake_figures() {
    runtime().block_on(handshakes());
}

/// Prints the figures of TALKREQ.
pub fn talk_figures() {
    runtime().block_on(talks());
}

/// Prints the figures of lookups.
pub fn lookup_figures() {
    runtime().block_on(lookups());
}

/// Prints the figure of findability.
pub fn find_figures() {
    runtime().block_on(findability());
}
