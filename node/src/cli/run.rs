//! `stayfound run`: one operator's node.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use stayfound_core::cluster::authorisation::Authority;
use stayfound_core::cluster::{Manifest, OperatorIndex};
use stayfound_core::discovery::Settings;
use stayfound_core::record::Signed;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::node::{self, parse_node};
use super::printer::Printer;
use super::progress::Progress;
use super::reload::{Refused, Requests};
use super::report::{self, hex};
use super::{Failure, LAST_WITHIN, silence, stop_requested};
use crate::cluster::{Kind, Verdicts};
use crate::config::{Checked, Config, ConfigError, Demand, Hint, Source, parse_address};
use crate::mesh::Mesh;
use crate::recording::Recording;
use crate::status::{Status, name};

/// Run the node of one operator, from charon's own files.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: Cluster,
    /// Believe the lock or manifest as it stands: for one that charon itself runs with --no-verify.
    /// Whoever can write the file then decides who is let in
    #[arg(long, conflicts_with = "require_authorisation")]
    no_verify: bool,
    /// Refuse to run unless every operator's ENR key is authorised by its key shares, as no lock
    /// but a manifest can say
    #[arg(long)]
    require_authorisation: bool,
    /// charon's charon-enr-private-key of this operator. It is only read, and must be readable by
    /// its owner alone (chmod 600)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where this node keeps its database; made if it is missing. Never charon's own directory, and
    /// another for each key
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The UDP address to listen at: the one port to forward. [::] serves IPv4 as well
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:3610", value_parser = parse_address)]
    listen: SocketAddr,
    /// An address to publish instead of what is found out, one per family (behind a forwarded
    /// port, say)
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    external: Vec<SocketAddr>,
    /// An address at which an operator may answer, where no better one is known. Operators are
    /// counted from 0, in the order of the lock (charon's peer index)
    #[arg(long = "hint", value_name = "OPERATOR=ADDR")]
    hints: Vec<Hint>,
    /// A boot node of discv5: whom to ask for operators that answer nowhere any more. May be given
    /// several times
    #[arg(long, value_name = "ENR", value_parser = parse_node)]
    boot: Vec<Signed>,
    /// Take no part in discv5: operators are found through one another alone
    #[arg(long, conflicts_with = "boot")]
    no_discovery: bool,
    /// Record everything that happens to the node in this file, which must be new, so that
    /// stayfound-sim replay can repeat it. It shows what was said and heard; the key is not in it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How many MiB the recording may get; then it ends, and the node goes on
    #[arg(long, value_name = "MIB", default_value = "256", requires = "record")]
    record_limit: NonZeroU32,
    /// Print the start and each change as a line of JSON on standard output, beside the log on
    /// standard error
    #[arg(long)]
    json: bool,
}

/// Which file says who belongs.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Cluster {
    /// charon's cluster-lock.json. It is only read
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// A cluster-manifest.json (stayfound manifest build), instead of a lock. It is only read
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

impl Cluster {
    fn source(self, demand: Demand) -> Source {
        let (kind, path) = match (self.lock, self.manifest) {
            (Some(lock), None) => (Kind::Lock, lock),
            (None, Some(manifest)) => (Kind::Manifest, manifest),
            _ => unreachable!("the command line has exactly one of both"),
        };
        Source { kind, path, demand }
    }
}

const EXAMPLES: &str = "\
Examples:
  The operator of .charon, told where operators 0 and 2 (counted from 0) may answer:
    stayfound run --lock .charon/cluster-lock.json --key .charon/charon-enr-private-key \\
      --data-dir /var/lib/stayfound --hint 0=198.51.100.7:3610 --hint 2=203.0.113.9:3610

  Told of nobody, but of a node that knows others (stayfound bootnode, or any node of discv5):
    stayfound run --lock .charon/cluster-lock.json --key .charon/charon-enr-private-key \\
      --data-dir /var/lib/stayfound --boot enr:-Iq4...

  From a manifest in which every operator must be authorised by its key shares:
    stayfound run --manifest cluster-manifest.json --require-authorisation \\
      --key .charon/charon-enr-private-key --data-dir /var/lib/stayfound

  Behind a router that forwards UDP port 40000 to this host's port 3610:
    stayfound run --lock .charon/cluster-lock.json --key .charon/charon-enr-private-key \\
      --data-dir /var/lib/stayfound --external 192.0.2.1:40000

  Recorded, so that stayfound-sim replay can repeat what happened (docs/replay.md says what a
  recording shows):
    stayfound run --lock .charon/cluster-lock.json --key .charon/charon-enr-private-key \\
      --data-dir /var/lib/stayfound --record /var/tmp/node.recording

Whoever starts for the first time knows nobody: give it a --hint or a --boot (what it has learned it
keeps). Stops on Ctrl-C and SIGTERM. Reads the lock or manifest again on SIGHUP: whoever is no
operator by it any more loses its link at once, and a file that is not as it must be changes nothing.
RUST_LOG=stayfound=debug tells more.
Exit codes: 0 stopped as asked; 1 failed while running; 2 the command line or a file that it
names is not as it must be; 5 the key is that of no operator of it.";

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (stop, reloads) = (stop_requested()?, Requests::new()?);
    tokio::pin!(stop);
    let Arguments { key, data_dir, listen, external, hints, boot, no_discovery, json, .. } =
        arguments;
    let (record, record_limit) = (arguments.record, arguments.record_limit);
    let demand = match (arguments.no_verify, arguments.require_authorisation) {
        (true, _) => Demand::Nothing,
        (false, false) => Demand::Checks,
        (false, true) => Demand::Authorisation,
    };
    let cluster = arguments.cluster.source(demand);
    let verdicts = Verdicts::of(&data_dir);
    let config = Config {
        cluster: cluster.clone(),
        key,
        data_dir,
        listen,
        external: external.clone(),
        hints,
    };
    let checked = tokio::select! {
        checked = check(config) => checked?,
        // What is being verified is left to the end of the process.
        () = &mut stop => return Ok(()),
    };
    let Checked { key, manifest, own, hints, store } = checked;
    silence::warn_of_unreachable(listen, &hints, &boot);
    let mut builder = Mesh::builder(key, manifest.clone()).listen(listen).store(Box::new(store));
    if !no_discovery {
        builder = builder.discovery(Settings { boot, ..Settings::default() });
    }
    for address in external {
        builder = builder.external(address);
    }
    for (operator, address) in &hints {
        builder = builder.hint(*operator, *address);
    }
    if let Some(path) = record {
        builder = builder.record(recording(&path, record_limit)?);
    }
    let mesh = builder.start().await?;
    let status = mesh.status();
    let missed = move |lines| format!("{}\n", missed(lines, &status.borrow()));
    let out = json.then(|| Printer::new(io::stdout(), missed)).transpose()?;
    let teller = Teller { manifest, kind: cluster.kind, own, out };
    let ended = tokio::select! {
        told = teller.tell_all(&mesh) => Some(told),
        never = reloads.serve(cluster, verdicts, &teller.manifest, &mesh, |outcome| teller.reloaded(outcome)) => {
            match never {}
        }
        never = silence::warn_when_alone(&mesh, &hints) => match never {},
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

fn recording(path: &Path, limit: NonZeroU32) -> Result<Recording, Failure> {
    let recording = Recording::create(path, u64::from(limit.get()) << 20).map_err(|why| {
        let path = path.display();
        Failure::usage(match why.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{path} is there already: --record needs the name of a new file")
            }
            _ => format!("{path} cannot be made for --record: {why}"),
        })
    })?;
    warn!(
        "recording to {}: whoever reads it learns all that this node says and hears, but not its key",
        path.display()
    );
    Ok(recording)
}

/// Looks at everything, which may take minutes, on a thread on which that holds nothing up.
async fn check(config: Config) -> Result<Checked, ConfigError> {
    let looking = spawn_blocking(move || {
        let progress = Progress::new("parts of the lock or manifest verified");
        let checked = config.check(|done, of| progress.tell(done, of));
        progress.end();
        checked
    });
    looking.await.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()))
}

/// Tells people, through the log, and programs, as JSON, what happens.
struct Teller {
    manifest: Manifest,
    /// What it was read from.
    kind: Kind,
    own: OperatorIndex,
    /// Standard output, if JSON is wanted there.
    out: Option<Printer>,
}

/// On whose word the operators' keys speak.
fn authorities(kind: Kind, manifest: &Manifest) -> String {
    let word = match kind {
        Kind::Manifest => "of whoever built the manifest alone",
        Kind::Lock | Kind::Authorisation => "of the lock alone",
    };
    let all = manifest.operators();
    let by_shares = all.iter().filter(|operator| operator.authority == Authority::Shares).count();
    match by_shares {
        0 => format!("verified; every operator's ENR key stands on the word {word}"),
        _ if by_shares == all.len() => {
            "verified; every operator's ENR key is authorised by its key shares".into()
        }
        _ => {
            let others = all.iter().filter(|operator| operator.authority == Authority::Lock);
            let others: Vec<_> = others.map(|operator| operator.index.to_string()).collect();
            format!(
                "verified; the ENR keys of {by_shares} of {} operators are authorised by their key \
                 shares, those of {} stand on the word {word}",
                all.len(),
                others.join(", ")
            )
        }
    }
}

/// What stands in the place of so many changes: how everything stands after them.
fn missed(changes: impl Serialize, status: &Status) -> Value {
    report::line("missed", json!({ "changes": changes, "status": status }))
}

impl Teller {
    /// Tells who we are, then every change (the log is told by the node itself), until the node
    /// ends by itself, or whoever reads the JSON is gone: that ends the node.
    async fn tell_all(&self, mesh: &Mesh) -> Result<(), Failure> {
        // From here on no change is lost: it stands in the status told first, or follows.
        let mut events = mesh.events();
        self.started(mesh.local_addr(), &mesh.status().borrow());
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = mesh.ended() => return Ok(()),
                why = self.unread() => {
                    return Err(Failure::running(format!(
                        "standard output cannot be written: {why}"
                    )));
                }
            };
            match event {
                Ok(event) => self.print(&report::event(&event)),
                Err(RecvError::Lagged(changes)) => {
                    self.print(&missed(changes, &mesh.status().borrow()));
                }
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    fn started(&self, listen: SocketAddr, status: &Status) {
        let manifest = &self.manifest;
        let (count, threshold) = (manifest.operators().len(), manifest.threshold());
        let (lock_hash, last) = (hex(manifest.hash()), count - 1);
        // What stands in a file may hold anything, and a terminal obeys some of it.
        let (called, uuid) = (manifest.name().escape_debug(), manifest.uuid().escape_debug());
        info!("cluster \"{called}\", uuid {uuid}, lock hash {lock_hash}");
        self.believed(manifest);
        let own_name = status.operator(self.own).map(|own| name(&own.node_id));
        let (own, own_name) = (self.own, own_name.unwrap_or_default());
        info!(
            "we are operator {own} ({own_name}), counted 0 to {last}; threshold {threshold} of {count}"
        );
        match &status.record {
            Some(record) => info!("our ENR has seq {}: {}", record.seq(), record.to_text()),
            None => info!("our ENR is made as soon as we know whether peers hold an older one"),
        }
        info!("listening at {listen}");
        let cluster = json!({
            "name": manifest.name(),
            "uuid": manifest.uuid(),
            "lock_hash": lock_hash,
            "threshold": threshold,
            "verified": manifest.is_verified(),
        });
        let members = json!({ "cluster": cluster, "listen": listen, "status": status });
        self.print(&report::line("started", members));
    }

    /// How far what is in force can be believed.
    fn believed(&self, manifest: &Manifest) {
        match manifest.is_verified() {
            true => info!("{}", authorities(self.kind, manifest)),
            false => warn!(
                "NOT VERIFIED (--no-verify): whoever wrote the lock or manifest decides who is let in"
            ),
        }
    }

    fn reloaded(&self, outcome: Result<&Manifest, &Refused>) {
        match outcome {
            Ok(manifest) => self.believed(manifest),
            Err(why) => self.refused(why),
        }
    }

    fn refused(&self, why: &Refused) {
        error!("the manifest in force stays: {why}");
        self.print(&report::line("refused", json!({ "why": why.to_string() })));
    }

    fn stopped(&self) {
        info!("stopped");
        self.print(&report::line("stopped", json!({})));
        self.out.iter().for_each(|out| out.flush(LAST_WITHIN));
    }

    /// One line on standard output.
    fn print(&self, line: &Value) {
        if let Some(out) = &self.out {
            out.print(format!("{line}\n").into_bytes());
        }
    }

    /// Comes when nobody can read the JSON any more.
    async fn unread(&self) -> String {
        match &self.out {
            Some(out) => out.failed().await,
            None => std::future::pending().await,
        }
    }
}
