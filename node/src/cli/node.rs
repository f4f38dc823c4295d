//! What the commands that speak discv5 share: nodes on the command line, and a node of our own for
//! the time of a question.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::Value;
use stayfound_core::cluster::Manifest;
use stayfound_core::record::Signed;
use tokio::time::timeout;

use super::{Failure, STOP_WITHIN};
use crate::keyfile;
use crate::mesh::Mesh;

/// How often a question is asked that nobody answers: datagrams get lost.
pub(super) const ATTEMPTS: usize = 3;

/// The record of a node that is to be asked.
///
/// # Errors
/// Why the text is no record, or that nobody can be asked with it.
pub(super) fn parse_node(text: &str) -> Result<Signed, String> {
    let record = Signed::from_text(text).map_err(|why| format!("no valid ENR: {why}"))?;
    match record.endpoints().udp_addresses().next() {
        Some(_) => Ok(record),
        None => Err("this ENR names no address and UDP port at which its node could be asked; \
                     stayfound enr show tells what it names"
            .into()),
    }
}

/// A node for the time of a question, with a key of its own: it knows these nodes.
pub(super) async fn start(known: impl IntoIterator<Item = Signed>) -> Result<Mesh, Failure> {
    let (key, _) = keyfile::generate()?;
    let manifest = Manifest::alone(&key);
    let known: Vec<Signed> = known.into_iter().collect();
    let mut addresses = known.iter().filter_map(|node| node.endpoints().udp_addresses().next());
    // Not every host has IPv6, and a socket of IPv6 reaches both.
    let listen: SocketAddr = match addresses.any(|address| address.is_ipv6()) {
        true => (Ipv6Addr::UNSPECIFIED, 0).into(),
        false => (Ipv4Addr::UNSPECIFIED, 0).into(),
    };
    let builder = Mesh::builder(key, manifest).listen(listen);
    Ok(known.into_iter().fold(builder, |builder, node| builder.boot(node)).start().await?)
}

/// Ends it.
pub(super) async fn stop(mesh: Mesh) -> Result<(), Failure> {
    let stopped = timeout(STOP_WITHIN, mesh.stop()).await;
    stopped.map_err(|_| Failure::running("the node did not stop in time"))??;
    Ok(())
}

/// Prints an answer: as JSON, or as it is for people. A reader that has seen enough (`| head`) is no
/// failure.
pub(super) fn print(json: bool, value: &Value, text: &str) -> io::Result<()> {
    let printed = match json {
        true => writeln!(io::stdout(), "{value}"),
        false => writeln!(io::stdout(), "{text}"),
    };
    match printed {
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}
