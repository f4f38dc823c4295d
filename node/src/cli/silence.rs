//! What goes wrong without a sound: nobody answers, or nobody can be asked.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use stayfound_core::cluster::OperatorIndex;
use stayfound_core::record::Signed;
use tokio::time::timeout;
use tracing::warn;

use crate::mesh::Mesh;
use crate::status::Status;

/// How long nobody is linked before that is said: a handshake, and a search, take less.
const ALONE_FOR: Duration = Duration::from_secs(10);
/// How many operators that do not answer are named.
const NAMED_MAX: usize = 8;

/// Where operators may answer, by the command line.
pub(super) type Hints = [(OperatorIndex, SocketAddr)];

/// Warns of whom a socket that listens here can never ask.
pub(super) fn warn_of_unreachable(listen: SocketAddr, hints: &Hints, boot: &[Signed]) {
    for (operator, address) in hints.iter().filter(|(_, address)| !reaches(listen, *address)) {
        warn!("--hint {operator}={address} is of no use: --listen {listen} cannot send there");
    }
    let reached = |node: &&Signed| node.endpoints().udp_addresses().any(|at| reaches(listen, at));
    for node in boot.iter().filter(|node| !reached(node)) {
        let id = node.node_id();
        warn!("--boot node {id:#} is of no use: --listen {listen} cannot send to where it is");
    }
}

/// A socket sends to addresses of its own family, and one of [::] to both.
fn reaches(listen: SocketAddr, to: SocketAddr) -> bool {
    let both = listen.is_ipv6() && listen.ip().is_unspecified();
    both || listen.is_ipv4() == to.is_ipv4()
}

/// Warns whenever nobody has been linked for a while.
pub(super) async fn warn_when_alone(mesh: &Mesh, hints: &Hints) -> Infallible {
    let mut status = mesh.status();
    // An error is the end of the node, which others tell.
    while status.wait_for(is_alone).await.is_ok() {
        if timeout(ALONE_FOR, status.wait_for(|now| !is_alone(now))).await.is_ok() {
            continue;
        }
        warn!("nobody is linked: {}", who_is_missing(&status.borrow(), hints));
        if status.wait_for(|now| !is_alone(now)).await.is_err() {
            break;
        }
    }
    pending().await
}

/// Without authority nobody is to be linked, and a cluster of one has nobody.
fn is_alone(status: &Status) -> bool {
    let all = &status.operators;
    status.own.is_some() && all.len() > 1 && all.iter().all(|operator| operator.links.is_empty())
}

fn who_is_missing(status: &Status, hints: &Hints) -> String {
    let others = status.operators.iter().filter(|operator| Some(operator.index) != status.own);
    let mut missing: Vec<String> = others
        .map(|operator| {
            let of_hints = hints.iter().filter(|(index, _)| *index == operator.index);
            let mut addresses: Vec<SocketAddr> =
                operator.record.endpoints().quic_addresses().collect();
            addresses.extend(of_hints.map(|(_, address)| *address));
            match &addresses[..] {
                [] => format!("no address of operator {} is known", operator.index),
                some => format!("operator {} does not answer at {some:?}", operator.index),
            }
        })
        .collect();
    let more = missing.len().saturating_sub(NAMED_MAX);
    missing.truncate(NAMED_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!(
        "{}{more}. --hint tells where one may answer, --boot whom to ask for all",
        missing.join("; ")
    )
}
