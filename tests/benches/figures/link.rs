//! The CPU of opening an authenticated link, over that of a bare mutual-TLS connection.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Runtime, TokioRuntime};
use stayfound::link::Identity;
use stayfound::link::endpoint::Endpoint;
use stayfound::link::handle::Link;
use stayfound::link::report::Report;
use stayfound_core::keys::SecretKey;
use stayfound_core::mesh::{CloseReason, DialId};
use tokio::sync::mpsc::Receiver;

use crate::bare::{Bare, FIRST_WORDS};
use crate::measure::{cpu, percentile, report, rounds, runtime};

const ROUNDS: usize = 40;
const PER_ROUND: usize = 25;
const TARGET: f64 = 1.3;
/// Longer than whatever a closed link still does.
const QUIET: Duration = Duration::from_millis(5);

/// One end: it says its first words on every link that opens, and waits for the other's.
struct End {
    endpoint: Endpoint,
    reports: Receiver<Report>,
}

impl End {
    fn new(own: &SecretKey, other: &SecretKey) -> (Self, std::net::SocketAddr) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket on loopback");
        let address = socket.local_addr().expect("it is bound");
        let identity = Identity::new(own).expect("randomness for a certificate");
        let socket = TokioRuntime.wrap_udp_socket(socket).expect("a tokio runtime runs this");
        let (endpoint, reports) =
            Endpoint::start(socket, identity, [other.public_key()].into()).expect("an endpoint");
        (Self { endpoint, reports }, address)
    }
}

/// Waits until a link is open and the other side's first words are here.
async fn opened(end: &mut End) -> Link {
    let mut link = None;
    let mut heard = 0;
    while heard < FIRST_WORDS {
        match end.reports.recv().await.expect("the endpoint runs") {
            Report::Opened { link: open, .. } => {
                open.send(Bytes::from_static(&[7; FIRST_WORDS])).expect("an empty queue");
                link = Some(open);
            }
            Report::Bytes { bytes, .. } => heard += bytes.len(),
            // The one before was closed.
            Report::Closed { .. } => {}
            Report::Moved { .. }
            | Report::DialFailed { .. }
            | Report::Refused { .. }
            | Report::Died => panic!("nothing fails on loopback"),
        }
    }
    link.expect("words come over an open link")
}

async fn ours(dialler: &mut End, acceptor: &mut End, to: std::net::SocketAddr, key: &SecretKey) {
    dialler.endpoint.dial(DialId(0), key.public_key(), to);
    let (a, _b) = tokio::join!(opened(dialler), opened(acceptor));
    a.close(CloseReason::Superseded);
}

/// What was measured in each round, in microseconds of CPU per link, both ends together.
#[derive(Default)]
struct Costs {
    /// Between nodes that have linked before: the case of every move.
    ours: Vec<f64>,
    /// Between nodes that meet for the first time, so that certificates are verified.
    first: Vec<f64>,
    bare: Vec<f64>,
    /// Bare, between endpoints that were just made, as those of `first` are.
    bare_first: Vec<f64>,
}

/// Lets everything that was begun come to its end: what one measurement leaves behind must not be
/// counted to the next.
async fn quiet() {
    tokio::time::sleep(QUIET).await;
}

/// The CPU of so many links, their ends included, per link.
async fn cost(open: impl AsyncFnOnce()) -> f64 {
    let start = cpu();
    open().await;
    quiet().await;
    (cpu() - start).as_secs_f64() * 1e6 / PER_ROUND as f64
}

async fn measure() -> Costs {
    let [a, b] = [1, 2].map(|scalar| SecretKey::from_bytes(&[scalar; 32]).expect("a key"));
    let pair = || (End::new(&a, &b).0, End::new(&b, &a));
    let (mut dialler, (mut acceptor, to)) = pair();
    let bare = Bare::new(2);
    let mut costs = Costs::default();
    // The first round warms up.
    for round in 0..=rounds(ROUNDS) {
        let mut strangers: Vec<_> = (0..PER_ROUND).map(|_| pair()).collect();
        let bare_strangers: Vec<_> = (0..PER_ROUND).map(|_| Bare::new(2)).collect();
        quiet().await;
        let known = cost(async || {
            for _ in 0..PER_ROUND {
                ours(&mut dialler, &mut acceptor, to, &b).await;
            }
        });
        let known = known.await;
        let first = cost(async || {
            for (dialler, (acceptor, to)) in &mut strangers {
                ours(dialler, acceptor, *to, &b).await;
            }
        });
        let first = first.await;
        let floor = cost(async || {
            for _ in 0..PER_ROUND {
                bare.open(bare.address(1)).await.close(1u8.into(), b"");
            }
        });
        let floor = floor.await;
        let floor_first = cost(async || {
            for bare in &bare_strangers {
                bare.open(bare.address(1)).await.close(1u8.into(), b"");
            }
        });
        let floor_first = floor_first.await;
        if round > 0 {
            costs.ours.push(known);
            costs.first.push(first);
            costs.bare.push(floor);
            costs.bare_first.push(floor_first);
        }
        drop((strangers, bare_strangers));
        quiet().await;
    }
    costs
}

/// The median over the rounds of the ratio within each: whatever slows the machine for a while
/// slows both.
fn ratio(costs: &[f64], floors: &[f64]) -> f64 {
    let mut ratios: Vec<_> = costs.iter().zip(floors).map(|(cost, floor)| cost / floor).collect();
    percentile(&mut ratios, 50)
}

/// Prints the figures.
pub fn figures() {
    let mut costs = runtime().block_on(measure());
    let verdict = |ratio| if ratio <= TARGET { "met" } else { "MISSED" };
    let (known, first) = (ratio(&costs.ours, &costs.bare), ratio(&costs.first, &costs.bare_first));
    let remark = format!("both ends, median of {} times {PER_ROUND} links", rounds(ROUNDS));
    report("mesh.link_cpu", percentile(&mut costs.ours, 50), "us", &remark);
    let remark = "bare quinn and rustls, pinned certificates";
    report("mesh.link_cpu_floor", percentile(&mut costs.bare, 50), "us", remark);
    let remark = format!(
        "between nodes that have linked before; target at most {TARGET}: {}",
        verdict(known)
    );
    report("mesh.link_cpu_ratio", known, "x", &remark);
    report("mesh.link_cpu_first", percentile(&mut costs.first, 50), "us", "at first contact");
    let remark = "bare, between endpoints that were just made";
    report("mesh.link_cpu_first_floor", percentile(&mut costs.bare_first, 50), "us", remark);
    let remark =
        format!("at first contact: two certificates to verify; {TARGET} is {}", verdict(first));
    report("mesh.link_cpu_ratio_first", first, "x", &remark);
}
