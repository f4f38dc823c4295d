//! `stayfound bootnode`: a node that only discovers, for others to begin with.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use stayfound_core::cluster::Manifest;
use stayfound_core::discovery::Settings;
use stayfound_core::node::Event;
use stayfound_core::record::{NodeId, Signed};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use tracing::info;

use super::node::{self, parse_node};
use super::printer::Printer;
use super::report::{self, merged, record_members};
use super::{Failure, LAST_WITHIN, stop_requested};
use crate::config::parse_address;
use crate::keyfile;
use crate::mesh::Mesh;
use crate::store::DiskStore;

/// How long a first record that names where we are now is waited for: one write to the disk.
const RECORD_WITHIN: Duration = Duration::from_secs(2);

/// Run a node of discv5 that others can begin with. It belongs to no cluster.
///
/// The first line on standard output is its ENR, for the --boot of others. When it changes, the
/// new one is a line as well.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The node's private key: 64 hex digits, readable by its owner alone. stayfound enr new makes
    /// one
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The UDP address to listen at. [::] serves IPv4 as well
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:3610", value_parser = parse_address)]
    listen: SocketAddr,
    /// Another node to begin with. May be given several times
    #[arg(long, value_name = "ENR", value_parser = parse_node)]
    boot: Vec<Signed>,
    /// Where it remembers its record and the nodes that it knows; made if it is missing. Without
    /// it everything is forgotten at the end
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// An address to publish instead of what is found out, one per family
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    external: Vec<SocketAddr>,
    /// Print the start and each change as a line of JSON instead; members "text" are ENRs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  stayfound enr new --key boot.key
  stayfound bootnode --key boot.key --listen 0.0.0.0:3610 --data-dir /var/lib/stayfound-boot \\
    --external 192.0.2.1:3610

Stops on Ctrl-C and SIGTERM. RUST_LOG=stayfound=debug tells more.
Exit codes: 0 stopped as asked; 1 failed while running; 2 the command line or a file that it
names is not as it must be, or the port is in use.";

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let stop = stop_requested()?;
    tokio::pin!(stop);
    let Arguments { key, listen, boot, data_dir, external, json } = arguments;
    let key = keyfile::read(&key)?;
    let id = NodeId::of(&key.public_key().point());
    let mut builder = Mesh::builder(key.clone(), Manifest::alone(&key))
        .listen(listen)
        .discovery(Settings { boot, ..Settings::default() });
    for address in external {
        builder = builder.external(address);
    }
    if let Some(directory) = data_dir {
        builder = builder.store(Box::new(DiskStore::open(&directory, id)?));
    }
    let mesh = builder.start().await?;
    let gap = |lines| format!("({lines} lines were not read in time)\n");
    let teller = Teller { json, out: Printer::new(io::stdout(), gap)? };
    let ended = tokio::select! {
        told = teller.tell_all(&mesh, &id) => Some(told),
        () = &mut stop => None,
    };
    node::stop(mesh).await?;
    match ended {
        None => {
            teller.stopped();
            Ok(())
        }
        Some(told) => told.and(Err(Failure::running("the node ended by itself"))),
    }
}

/// Tells what others need to know.
struct Teller {
    json: bool,
    out: Printer,
}

impl Teller {
    /// Tells our record, then every new one, until the node ends by itself or nobody reads any
    /// more.
    async fn tell_all(&self, mesh: &Mesh, id: &NodeId) -> Result<(), Failure> {
        let mut events = mesh.events();
        let listen = mesh.local_addr();
        let mut told = first_record(mesh).await;
        info!("listening at {listen}, node id {id}");
        if let Some(record) = &told {
            let members = json!({ "listen": listen, "node_id": id.to_string() });
            self.print("started", record, members);
        }
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = mesh.ended() => return Ok(()),
                why = self.out.failed() => {
                    return Err(Failure::running(format!(
                        "standard output cannot be written: {why}"
                    )));
                }
            };
            let record = match event {
                Ok(Event::OwnRecord { record }) => Some(record),
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => mesh.status().borrow().record.clone(),
                Err(RecvError::Closed) => return Ok(()),
            };
            if let Some(record) = record.filter(|record| told.as_ref() != Some(record)) {
                let kind = if told.is_none() { "started" } else { "own_record" };
                let members = json!({ "listen": listen, "node_id": id.to_string() });
                self.print(kind, &record, members);
                told = Some(record);
            }
        }
    }

    fn print(&self, kind: &str, record: &Signed, members: serde_json::Value) {
        let line = match self.json {
            true => report::line(kind, merged(members, record_members(record))).to_string(),
            false => record.to_text(),
        };
        self.out.print(format!("{line}\n").into_bytes());
    }

    fn stopped(&self) {
        info!("stopped");
        if self.json {
            let line = report::line("stopped", json!({}));
            self.out.print(format!("{line}\n").into_bytes());
        }
        self.out.flush(LAST_WITHIN);
    }
}

/// Our record. The one of before a restart may name another port: then a new one is on its way to
/// the disk, unless what it says was observed from outside and still counts.
async fn first_record(mesh: &Mesh) -> Option<Signed> {
    let (mut status, local) = (mesh.status(), mesh.local_addr());
    let is_here = |record: &Signed| {
        record.endpoints().udp_addresses().any(|named| named.port() == local.port())
    };
    let current = status.wait_for(|status| status.record.as_ref().is_some_and(is_here));
    let _ = timeout(RECORD_WITHIN, current).await;
    mesh.status().borrow().record.clone()
}
