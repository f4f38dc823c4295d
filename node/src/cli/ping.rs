//! `stayfound ping`: whether a node of discv5 answers.

use std::time::Instant;

use clap::Args;
use serde_json::json;
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::record::Signed;

use super::Failure;
use super::node::{self, ATTEMPTS, parse_node};
use crate::mesh::Mesh;

/// Ask a node of discv5 whether it is there, what its record's sequence number is, and where it
/// sees us.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The node's record, enr:...
    #[arg(value_name = "ENR", value_parser = parse_node)]
    node: Signed,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  stayfound ping enr:-Iq4...
  stayfound ping --json \"$(head -n 1 bootnode.out)\"

The time is that of one question and its answer, after the handshake.
Exit codes: 0 it answered; 1 it did not; 2 the ENR is none, or names no address.";

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { node, json } = arguments;
    let mesh = node::start([node.clone()]).await?;
    let told = ask(&mesh, &node, json).await;
    let stopped = node::stop(mesh).await;
    told.and(stopped)
}

async fn ask(mesh: &Mesh, node: &Signed, json: bool) -> Result<(), Failure> {
    let mut greeted = false;
    for _ in 0..ATTEMPTS + 1 {
        let begun = Instant::now();
        let answer = mesh.ask(Ask::Ping(node.clone())).await?;
        let Answer::Pong { enr_seq, observed } = answer else { continue };
        // The first answer came with the handshake; the second tells how far away the node is.
        if !std::mem::replace(&mut greeted, true) {
            continue;
        }
        let rtt = begun.elapsed().as_secs_f64() * 1_000.0;
        let (id, held) = (node.node_id(), node.seq());
        let value = json!({ "node_id": id.to_string(), "rtt_ms": rtt, "seq": enr_seq, "observed": observed });
        let newer = match enr_seq > held {
            true => format!(", newer than the {held} of the record given"),
            false => String::new(),
        };
        let text = format!(
            "{id} answered in {rtt:.2} ms\nits record has seq {enr_seq}{newer}\nit sees us at {observed}"
        );
        return Ok(node::print(json, &value, &text)?);
    }
    let at = node.endpoints().udp_addresses().next().expect("it was parsed with one");
    Err(Failure::running(format!("{} does not answer at {at}", node.node_id())))
}
