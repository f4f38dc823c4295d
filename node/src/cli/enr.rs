//! `stayfound enr`: records, read and made.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Claimed, Endpoints, RecordError, Scope, Signed};

use super::Failure;
use super::node::print;
use super::report::hex;
use crate::keyfile::{self, KeyFileError};

/// Read a record (ENR, EIP-778), or make one.
#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Command {
    Show(Show),
    New(New),
}

const EXAMPLES: &str = "\
Examples:
  stayfound enr show enr:-IS4...
  stayfound enr new --key boot.key";

/// Show everything in a record, and whether its signature is that of its key.
#[derive(Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(super) struct Show {
    /// The record, enr:...
    #[arg(value_name = "ENR")]
    text: String,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  stayfound enr show enr:-IS4...
  stayfound enr show --json \"$(cat node.enr)\"

Exit codes: 0 the record is valid; 1 its signature or its key is not; 2 the text is no record.";

/// Make a record, signed with the key in a file; the key is made if the file is missing.
#[derive(Args)]
#[command(after_help = NEW_EXAMPLES)]
pub(super) struct New {
    /// The private key: 64 hex digits, readable by its owner alone. A new one is made if there is
    /// no such file; a file that is there is never changed
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The sequence number: above that of every earlier record of this key
    #[arg(long, value_name = "N", default_value_t = 1)]
    seq: u64,
    /// An address to name, one per family
    #[arg(long, value_name = "IP")]
    ip: Vec<IpAddr>,
    /// The UDP port of discv5
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp: Option<u16>,
    /// The UDP port of QUIC
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    quic: Option<u16>,
}

const NEW_EXAMPLES: &str = "\
Examples:
  stayfound enr new --key boot.key
  stayfound enr new --key boot.key --seq 7 --ip 192.0.2.1 --udp 3610 --quic 3610

Exit codes: 0 made; 2 the key file or an address is not as it must be.";

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(arguments) => show(&arguments),
        Command::New(arguments) => new(&arguments),
    }
}

fn show(arguments: &Show) -> Result<(), Failure> {
    let Show { text, json } = arguments;
    let not_a_record = |why| Failure::usage(format!("no valid ENR: {why}"));
    let bytes = Signed::bytes_of_text(text.trim()).map_err(not_a_record)?;
    let claimed = Claimed::parse(&bytes).map_err(not_a_record)?;
    let verdict = claimed.verify().map(drop);
    print(*json, &as_json(&claimed, &verdict), as_text(&claimed, &verdict).trim_end())?;
    verdict.map_err(|why| Failure::running(format!("the record is not valid: {why}")))
}

fn as_text(record: &Claimed<'_>, verdict: &Result<(), RecordError>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(text, "{name:10}  {value}").expect("a string takes everything");
    };
    line(
        "signature",
        match verdict {
            Ok(()) => "valid".into(),
            Err(why) => format!("NOT VALID: {why}"),
        },
    );
    line(
        "node id",
        match record.identify() {
            Ok(identified) => identified.node_id().to_string(),
            Err(_) => "none: the key is no point of the curve".into(),
        },
    );
    line("seq", record.seq().to_string());
    line("bytes", record.as_bytes().len().to_string());
    for (key, item) in record.pairs() {
        // A key may hold anything, and a terminal obeys some of it.
        line(&String::from_utf8_lossy(key).escape_debug().to_string(), value(record, key, item));
    }
    text
}

fn as_json(record: &Claimed<'_>, verdict: &Result<(), RecordError>) -> Value {
    let pairs = record.pairs().map(|(key, item)| {
        (String::from_utf8_lossy(key).into_owned(), Value::String(value(record, key, item)))
    });
    let node_id = record.identify().ok().map(|identified| identified.node_id().to_string());
    json!({
        "valid": verdict.is_ok(),
        "why_not": verdict.as_ref().err().map(ToString::to_string),
        "node_id": node_id,
        "seq": record.seq(),
        "bytes": record.as_bytes().len(),
        "addresses": record.endpoints().udp_addresses().collect::<Vec<_>>(),
        "pairs": pairs.collect::<Map<_, _>>(),
    })
}

/// A value as people read it; one that has no such form, as the RLP item that it is.
fn value(record: &Claimed<'_>, key: &[u8], item: &[u8]) -> String {
    let Endpoints { ip, ip6, udp, udp6, quic, quic6 } = record.endpoints();
    let known = match key {
        b"id" => Some("v4".into()), // whatever else it is, is no record
        b"secp256k1" => Some(hex(record.public_key())),
        b"ip" => ip.map(|ip| ip.to_string()),
        b"ip6" => ip6.map(|ip| ip.to_string()),
        b"udp" => udp.map(|port| port.to_string()),
        b"udp6" => udp6.map(|port| port.to_string()),
        b"quic" => quic.map(|port| port.to_string()),
        b"quic6" => quic6.map(|port| port.to_string()),
        _ => None,
    };
    known.unwrap_or_else(|| format!("RLP {}", hex(item)))
}

fn new(arguments: &New) -> Result<(), Failure> {
    let endpoints = arguments.endpoints()?;
    let key = read_or_create(&arguments.key)?;
    let record = Signed::sign(&key, arguments.seq, &endpoints);
    Ok(print(false, &Value::Null, &record.to_text())?)
}

impl New {
    fn endpoints(&self) -> Result<Endpoints, Failure> {
        let mut endpoints = Endpoints::default();
        let twice = |ip: IpAddr| {
            Failure::usage(format!("{ip} is the second address of its family: a record names one"))
        };
        for ip in self.ip.iter().map(IpAddr::to_canonical) {
            if !Scope::of(ip).is_usable() {
                return Err(Failure::usage(format!("{ip} is no address that others can reach")));
            }
            let before = match ip {
                IpAddr::V4(ip) => {
                    (endpoints.udp, endpoints.quic) = (self.udp, self.quic);
                    endpoints.ip.replace(ip).is_some()
                }
                IpAddr::V6(ip) => {
                    (endpoints.udp6, endpoints.quic6) = (self.udp, self.quic);
                    endpoints.ip6.replace(ip).is_some()
                }
            };
            if before {
                return Err(twice(ip));
            }
        }
        if self.ip.is_empty() {
            (endpoints.udp, endpoints.quic) = (self.udp, self.quic);
        }
        Ok(endpoints)
    }
}

fn read_or_create(path: &Path) -> Result<SecretKey, Failure> {
    match keyfile::read(path) {
        Err(KeyFileError::Unreadable(_, why)) if why.kind() == io::ErrorKind::NotFound => {
            keyfile::create(path).map_err(|why| {
                Failure::usage(format!("the key file {} cannot be made: {why}", path.display()))
            })
        }
        result => Ok(result?),
    }
}
