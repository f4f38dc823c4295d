//! The commands: a thin shell over the library.
//!
//! Exit codes: 0 all went well; 1 something failed while running; 2 the command line, or a file or
//! directory that it names, is not as it must be; 5 the key is that of no operator of the lock.

use std::fmt;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use stayfound_core::node::StartError;
use stayfound_core::time::Wall;
use tracing_subscriber::EnvFilter;

use self::printer::Printer;
use crate::ceremony::WriteError;
use crate::cluster::ClusterFileError;
use crate::config::ConfigError;
use crate::error::MeshError;
use crate::keyfile::KeyFileError;
use crate::keystore::KeystoreError;
use crate::store::StoreError;

mod authorise;
mod bootnode;
mod ceremony;
mod devnet;
mod enr;
mod lookup;
mod manifest;
mod node;
mod ping;
mod printer;
mod progress;
mod reload;
mod report;
mod run;
mod silence;

/// How long a node is given to stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How long whoever reads our output is given to read the last of it when we were asked to stop.
const LAST_WITHIN: Duration = Duration::from_millis(300);

/// Keeps the operators of a distributed-validator cluster findable for one another, however their
/// addresses move.
#[derive(Parser)]
#[command(name = "stayfound", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Bootnode(bootnode::Arguments),
    Lookup(lookup::Arguments),
    Ping(ping::Arguments),
    #[command(subcommand)]
    Enr(enr::Command),
    Devnet(devnet::Arguments),
    Ceremony(ceremony::Arguments),
    Authorise(authorise::Arguments),
    #[command(subcommand)]
    Manifest(manifest::Command),
}

const EXAMPLES: &str = "\
Examples:
  stayfound devnet                                   a cluster on this machine, that moves and heals
  stayfound ceremony --out cluster                   keys, lock and manifest of a test cluster
  stayfound manifest verify .charon/cluster-lock.json
  stayfound run --lock .charon/cluster-lock.json --key .charon/charon-enr-private-key \\
    --data-dir /var/lib/stayfound --hint 0=198.51.100.7:3610
  stayfound run --help                               more, of each command";

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

/// Runs the command that this process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => {
            // Help goes to standard output and is no failure.
            let printed = answer.print();
            let code = u8::try_from(answer.exit_code()).unwrap_or(Failure::USAGE);
            return if printed.is_ok() { code.into() } else { Failure::RUNNING.into() };
        }
    };
    let log = match Printer::new(io::stderr(), unread) {
        Ok(log) => log,
        Err(why) => {
            let _ = writeln!(io::stderr(), "stayfound: {why}"); // if anybody is left to tell
            return Failure::RUNNING.into();
        }
    };
    match execute(arguments.command, &log) {
        Ok(()) => {
            log.flush(LAST_WITHIN);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            log.print(format!("stayfound: {failure}\n").into_bytes());
            log.flush(STOP_WITHIN);
            failure.code.into()
        }
    }
}

/// What the log says in the place of lines that were dropped.
fn unread(lines: usize) -> String {
    format!("({lines} lines were not read in time)\n")
}

fn execute(command: Command, log: &Printer) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = match command {
        Command::Run(arguments) => {
            log_to("warn,stayfound=info", log.clone());
            runtime.block_on(run::run(arguments))
        }
        Command::Bootnode(arguments) => {
            log_to("warn,stayfound=info", log.clone());
            runtime.block_on(bootnode::run(arguments))
        }
        Command::Lookup(arguments) => {
            log_to("error", log.clone());
            runtime.block_on(lookup::run(arguments))
        }
        Command::Ping(arguments) => {
            log_to("error", log.clone());
            runtime.block_on(ping::run(arguments))
        }
        Command::Enr(command) => enr::run(command),
        Command::Ceremony(arguments) => ceremony::run(arguments),
        Command::Authorise(arguments) => {
            let _in_runtime = runtime.enter();
            authorise::run(arguments)
        }
        Command::Manifest(command) => manifest::run(command),
        Command::Devnet(arguments) => {
            log_to("error", log.clone());
            runtime.block_on(devnet::run(arguments))
        }
    };
    runtime.shutdown_timeout(STOP_WITHIN);
    result
}

/// The log, on standard error, gets what is of this level or above, unless `RUST_LOG` says otherwise.
fn log_to(level: &str, log: Printer) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || log.clone())
        .with_target(false)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // Whoever embeds this may have set one before; then that one stays.
    let _ = subscriber.try_init();
}

/// Comes when the process is asked to stop, by Ctrl-C or SIGTERM. From the call on, not from the
/// first poll on, the signals no longer kill the process.
fn stop_requested() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(windows)]
    {
        let mut ctrl_c = tokio::signal::windows::ctrl_c()?;
        Ok(async move {
            ctrl_c.recv().await;
        })
    }
}

fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Failure {
    /// Something failed while running.
    const RUNNING: u8 = 1;
    /// The command line, or what it names, is not as it must be.
    const USAGE: u8 = 2;
    /// The key is that of no operator of the lock.
    const IDENTITY: u8 = 5;

    fn usage(message: impl fmt::Display) -> Self {
        Self { code: Self::USAGE, message: message.to_string() }
    }

    fn running(message: impl fmt::Display) -> Self {
        Self { code: Self::RUNNING, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ClusterFileError> for Failure {
    fn from(error: ClusterFileError) -> Self {
        Self::usage(error)
    }
}

impl From<KeystoreError> for Failure {
    fn from(error: KeystoreError) -> Self {
        match error {
            KeystoreError::Unwritable(..) => Self::running(error),
            _ => Self::usage(error),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotEmpty(_) => Self::usage(error),
            _ => Self::running(error),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::NotAnOperator { .. } => Self::IDENTITY,
            _ => Self::USAGE,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self::usage(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::usage(error)
    }
}

impl From<MeshError> for Failure {
    fn from(error: MeshError) -> Self {
        let code = match error {
            MeshError::PortInUse(_) | MeshError::Bind(..) => Self::USAGE,
            MeshError::Start(StartError::NotAnOperator) => Self::IDENTITY,
            MeshError::Start(_) => Self::USAGE,
            _ => Self::RUNNING,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::running(error)
    }
}
