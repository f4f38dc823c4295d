//! The CPU of opening an authenticated link, over that of a bare mutual-TLS connection.

use std::net::{Ipv4Addr, UdpSocket};

use bytes::Bytes;
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
            Report::Moved { .. } | Report::DialFailed { .. } | Report::Refused { .. } => {
                panic!("nothing fails on loopback")
            }
        }
    }
    link.expect("words come over an open link")
}

async fn ours(dialler: &mut End, acceptor: &mut End, to: std::net::SocketAddr, key: &SecretKey) {
    dialler.endpoint.dial(DialId(0), key.public_key(), to);
    let (a, _b) = tokio::join!(opened(dialler), opened(acceptor));
    a.close(CloseReason::Superseded);
}

/// What one link costs, in microseconds of CPU, both ends together.
struct Costs {
    /// Between nodes that have linked before: the case of every move.
    ours: f64,
    /// Between nodes that meet for the first time, so that certificates are verified.
    first: f64,
    bare: f64,
    /// Bare, between endpoints that were just made, as those of `first` are.
    bare_first: f64,
}

async fn measure() -> Costs {
    let [a, b] = [1, 2].map(|scalar| SecretKey::from_bytes(&[scalar; 32]).expect("a key"));
    let pair = || (End::new(&a, &b).0, End::new(&b, &a));
    let (mut dialler, (mut acceptor, to)) = pair();
    let bare = Bare::new(2);
    let mut samples: [Vec<f64>; 4] = Default::default();
    for round in 0..=rounds(ROUNDS) {
        let mut strangers: Vec<_> = (0..PER_ROUND).map(|_| pair()).collect();
        let bare_strangers: Vec<_> = (0..PER_ROUND).map(|_| Bare::new(2)).collect();
        let start = cpu();
        for _ in 0..PER_ROUND {
            ours(&mut dialler, &mut acceptor, to, &b).await;
        }
        let known = cpu();
        for (dialler, (acceptor, to)) in &mut strangers {
            ours(dialler, acceptor, *to, &b).await;
        }
        let met = cpu();
        for _ in 0..PER_ROUND {
            bare.open(bare.address(1)).await.close(1u8.into(), b"");
        }
        let end = cpu();
        for bare in &bare_strangers {
            bare.open(bare.address(1)).await.close(1u8.into(), b"");
        }
        let last = cpu();
        // The first round warms up.
        if round > 0 {
            let spans = [known - start, met - known, end - met, last - end];
            for (samples, span) in samples.iter_mut().zip(spans) {
                samples.push(span.as_secs_f64() * 1e6 / PER_ROUND as f64);
            }
        }
    }
    let [ours, first, bare, bare_first] = samples.map(|mut samples| percentile(&mut samples, 50));
    Costs { ours, first, bare, bare_first }
}

/// Prints the figures.
pub fn figures() {
    let Costs { ours, first, bare, bare_first } = runtime().block_on(measure());
    let links = rounds(ROUNDS) * PER_ROUND;
    report("mesh.link_cpu", ours, "us", &format!("both ends, median of {links} links"));
    report("mesh.link_cpu_floor", bare, "us", "bare quinn and rustls, pinned certificates");
    let ratio = ours / bare;
    let verdict = if ratio <= TARGET { "met" } else { "MISSED" };
    let remark =
        format!("between nodes that have linked before; target at most {TARGET}: {verdict}");
    report("mesh.link_cpu_ratio", ratio, "x", &remark);
    let ratio = first / bare_first;
    let verdict = if ratio <= TARGET { "met" } else { "MISSED" };
    let remark = format!("at first contact: two certificates to verify; {TARGET} is {verdict}");
    report("mesh.link_cpu_ratio_first", ratio, "x", &remark);
}
