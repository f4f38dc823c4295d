//! `stayfound lookup`: the newest record of a node, by its id.

use std::str::FromStr;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};
use stayfound_core::discovery::{Answer, Ask};
use stayfound_core::record::{NodeId, Signed};

use super::Failure;
use super::node::{self, ATTEMPTS, parse_node};
use super::report::{merged, record_members};
use crate::mesh::Mesh;

/// Look for the newest record of a node through discv5.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Any record of the node (enr:...), or its node id: 64 hex digits, with or without 0x
    #[arg(value_name = "ENR|NODE_ID")]
    target: Target,
    /// A node to begin with. May be given several times
    #[arg(long, value_name = "ENR", value_parser = parse_node, required = true)]
    boot: Vec<Signed>,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  stayfound lookup a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7 \\
    --boot enr:-Iq4...
  stayfound lookup enr:-IS4... --boot enr:-Iq4... --boot enr:-Ly4... --json

Exit codes: 0 found; 1 nobody answered, or nobody knows the node; 2 an ENR or a node id is none.";

/// Who is looked for.
#[derive(Clone)]
enum Target {
    Record(Signed),
    Id(NodeId),
}

impl Target {
    fn node_id(&self) -> NodeId {
        match self {
            Self::Record(record) => record.node_id(),
            Self::Id(id) => *id,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("enr:") {
            let record = Signed::from_text(text).map_err(|why| format!("no valid ENR: {why}"))?;
            return Ok(Self::Record(record));
        }
        text.parse().map(Self::Id).map_err(|why| format!("no ENR (enr:...), and {why}"))
    }
}

/// What a search came to.
struct Found {
    newest: Option<Signed>,
    /// The nodes closest to the target that answered.
    closest: Vec<Signed>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { target, boot, json } = arguments;
    let mesh = node::start(boot).await?;
    let begun = Instant::now();
    let found = search(&mesh, &target).await;
    let took = begun.elapsed().as_secs_f64() * 1_000.0;
    let stopped = node::stop(mesh).await;
    tell(&target.node_id(), &found?, took, json)?;
    stopped
}

async fn search(mesh: &Mesh, target: &Target) -> Result<Found, Failure> {
    let id = target.node_id();
    let mut found = Found { newest: None, closest: Vec::new() };
    for _ in 0..ATTEMPTS {
        let (lookup, itself) = tokio::join!(mesh.ask(Ask::Find(id)), ask_itself(mesh, target));
        if let Answer::Found { newest, closest } = lookup? {
            found = Found { newest, closest };
        }
        let newest = found.newest.take().into_iter().chain(itself?);
        found.newest = newest.max_by_key(Signed::seq);
        if found.newest.is_some() || !found.closest.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// Whoever is given by a record may still be where that says.
async fn ask_itself(mesh: &Mesh, target: &Target) -> Result<Option<Signed>, Failure> {
    let Target::Record(record) = target else { return Ok(None) };
    match mesh.ask(Ask::FindNode(record.clone(), vec![0])).await? {
        Answer::Nodes(records) => Ok(records.into_iter().max_by_key(Signed::seq)),
        _ => Ok(None),
    }
}

fn tell(id: &NodeId, found: &Found, took: f64, json: bool) -> Result<(), Failure> {
    let Found { newest, closest } = found;
    let texts: Vec<String> = closest.iter().map(Signed::to_text).collect();
    let value = json!({
        "node_id": id.to_string(),
        "found": newest.is_some(),
        "took_ms": took,
        "closest": texts,
    });
    let Some(record) = newest else {
        if json {
            node::print(json, &value, "")?;
        }
        return Err(Failure::running(match closest.len() {
            0 => "no boot node answers".to_owned(),
            1 => format!("{id} is not found: the only node that answers does not know it"),
            asked => format!("{id} is not found: the {asked} nodes closest to it do not know it"),
        }));
    };
    let value: Value = merged(value, record_members(record));
    let addresses: Vec<String> =
        record.endpoints().udp_addresses().map(|address| address.to_string()).collect();
    let text = format!(
        "{}\n{id}, seq {}, at {}, found in {took:.1} ms",
        record.to_text(),
        record.seq(),
        if addresses.is_empty() { "no address".into() } else { addresses.join(" and ") }
    );
    Ok(node::print(json, &value, &text)?)
}
