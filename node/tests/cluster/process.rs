//! Processes of the built binary, and what they have told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

/// Longer than anything here takes, even on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// How many of a process's last lines of log a failure shows.
const LOG_LINES_SHOWN: usize = 40;

/// What a process is called. Another may have the name when the one before has ended.
pub type Name = &'static str;

/// One call of `stayfound run`.
pub struct Run {
    pub lock: PathBuf,
    pub key: PathBuf,
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub hints: Vec<(usize, SocketAddr)>,
    pub boot: Vec<String>,
    /// Whether it believes its lock without a look.
    pub is_credulous: bool,
}

/// Everything that runs.
pub struct Processes {
    running: BTreeMap<Name, Process>,
    heard: Receiver<(Name, Heard)>,
    teller: Sender<(Name, Heard)>,
}

/// A running process, how it stands by its own words, and those words. Killed if the test ends
/// before it.
pub struct Process {
    child: Child,
    /// Standard output and standard error, until it closes them by ending.
    open_pipes: usize,
    may_end: bool,
    /// Where it listens; `None` until it has said so.
    pub listen: Option<SocketAddr>,
    own: usize,
    /// The record that it holds of each operator, itself included.
    pub records: Vec<Record>,
    /// Where it last told to be linked with each operator.
    pub links: Vec<Option<SocketAddr>>,
    events: Vec<Value>,
    log: Vec<String>,
    /// How many events, and lines of the log, [`Processes::forget`] was called after.
    forgotten: (usize, usize),
}

/// A record as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    pub seq: u64,
    pub addresses: Vec<SocketAddr>,
    pub text: String,
}

/// The member `status` of a line, as far as it is looked at.
#[derive(Deserialize)]
struct Status {
    own: usize,
    operators: Vec<OperatorStatus>,
}

#[derive(Deserialize)]
struct OperatorStatus {
    record: Record,
    links: Vec<SocketAddr>,
}

enum Heard {
    Event(String),
    Log(String),
    PipeClosed,
}

impl Run {
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stayfound"));
        command.args(["run", "--json", "--listen", &self.listen.to_string()]);
        command.arg("--lock").arg(&self.lock).arg("--key").arg(&self.key);
        command.arg("--data-dir").arg(&self.data_dir);
        for (operator, address) in &self.hints {
            command.arg("--hint").arg(format!("{operator}={address}"));
        }
        if self.is_credulous {
            command.arg("--no-verify");
        }
        for enr in &self.boot {
            command.args(["--boot", enr]);
        }
        // Refusals are warned of once in a while; this tells each.
        command.env("RUST_LOG", "warn,stayfound=debug");
        command
    }
}

impl Processes {
    pub fn new() -> Self {
        let (teller, heard) = mpsc::channel();
        Self { running: BTreeMap::new(), heard, teller }
    }

    /// A process that runs.
    pub fn get(&self, name: Name) -> &Process {
        &self.running[name]
    }

    /// Whether there is one.
    pub fn runs(&self, name: Name) -> bool {
        self.running.contains_key(name)
    }

    /// Starts a process, and waits until it says where it listens.
    pub fn start(&mut self, name: Name, run: &Run) {
        self.spawn(name, run);
        self.until(|all| all.get(name).listen.is_none().then(|| format!("{name} has not started")));
    }

    /// Starts a process.
    pub fn spawn(&mut self, name: Name, run: &Run) {
        let mut command = run.command();
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary starts");
        let (out, err) = (child.stdout.take(), child.stderr.take());
        hear_lines(name, out.expect("is piped"), Heard::Event, &self.teller);
        hear_lines(name, err.expect("is piped"), Heard::Log, &self.teller);
        let before = self.running.insert(name, Process::new(child));
        assert!(before.is_none(), "{name} runs already");
    }

    /// Sends a signal and waits for the end.
    pub fn end(&mut self, name: Name, signal: &str) -> Ended {
        let pid = self.running[name].child.id();
        self.expect_end(name);
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
        assert!(kill.expect("sh runs").success(), "{name} cannot be sent SIG{signal}");
        self.ended(name)
    }

    /// Starts a process that is to end by itself, and waits for that.
    pub fn refused(&mut self, name: Name, run: &Run) -> Ended {
        self.spawn(name, run);
        self.expect_end(name);
        self.ended(name)
    }

    fn expect_end(&mut self, name: Name) {
        self.running.get_mut(name).expect("it runs").may_end = true;
    }

    fn ended(&mut self, name: Name) -> Ended {
        self.until(|all| (all.get(name).open_pipes > 0).then(|| format!("{name} does not end")));
        let mut process = self.running.remove(name).expect("it ran");
        let code = process.child.wait().expect("it ended").code();
        let (events, log) = (std::mem::take(&mut process.events), process.log.join(""));
        Ended { code, events, log }
    }

    /// Hears what all have to say until nothing lacks. `lack` says in a sentence what does.
    pub fn until(&mut self, lack: impl Fn(&Self) -> Option<String>) {
        let deadline = Instant::now() + DEADLINE;
        while let Some(lack) = lack(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok((name, heard)) => self.hear(name, heard),
                Err(_) => panic!("{lack}{}", self.logs()),
            }
        }
    }

    fn hear(&mut self, name: Name, heard: Heard) {
        let process = self.running.get_mut(name).expect("it speaks until both pipes are closed");
        match heard {
            Heard::Event(line) => process.tell(&line),
            Heard::Log(line) => process.log.push(line),
            Heard::PipeClosed => process.open_pipes -= 1,
        }
        let ended = process.open_pipes == 0 && !process.may_end;
        assert!(!ended, "{name} ended by itself{}", self.logs());
    }

    /// Whatever was said up to now is of the past: [`Process::told`] and [`Process::logged`] begin
    /// anew.
    pub fn forget(&mut self) {
        for process in self.running.values_mut() {
            process.forgotten = (process.events.len(), process.log.len());
        }
    }

    /// The last lines of every log, for whoever has to find out what went wrong.
    pub fn logs(&self) -> String {
        let tails = self.running.iter().map(|(name, process)| {
            let skipped = process.log.len().saturating_sub(LOG_LINES_SHOWN);
            format!("\n\n{name} logged\n{}", process.log[skipped..].join(""))
        });
        tails.collect()
    }
}

/// A process that ended: its exit code, unless a signal killed it, and all that it said.
pub struct Ended {
    pub code: Option<i32>,
    pub events: Vec<Value>,
    pub log: String,
}

impl Process {
    fn new(child: Child) -> Self {
        Self {
            child,
            open_pipes: 2,
            may_end: false,
            listen: None,
            own: 0,
            records: Vec::new(),
            links: Vec::new(),
            events: Vec::new(),
            log: Vec::new(),
            forgotten: (0, 0),
        }
    }

    /// What it told on standard output since [`Processes::forget`].
    pub fn told(&self) -> &[Value] {
        &self.events[self.forgotten.0..]
    }

    /// Whether since [`Processes::forget`] a line of its log said this of this address.
    pub fn logged(&self, what: &str, remote: SocketAddr) -> bool {
        let remote = format!("remote={remote}");
        let mut log = self.log[self.forgotten.1..].iter();
        log.any(|line| line.contains(what) && line.split_whitespace().any(|word| word == remote))
    }

    fn tell(&mut self, line: &str) {
        let event: Value = serde_json::from_str(line).expect("a line of JSON");
        let operator = || parsed::<usize>(&event["operator"]);
        let is_news = match event["event"].as_str().expect("every line names its event") {
            "started" => {
                self.listen = Some(parsed(&event["listen"]));
                self.stands(parsed(&event["status"]));
                true
            }
            "missed" => {
                self.stands(parsed(&event["status"]));
                true
            }
            "own_record" => put(&mut self.records[self.own], parsed(&event)),
            "record" => put(&mut self.records[operator()], parsed(&event)),
            "linked" => put(&mut self.links[operator()], Some(parsed(&event["remote"]))),
            "lost" => put(&mut self.links[operator()], None),
            "stopped" => true,
            _ => panic!("no node of a sound cluster tells: {event}"),
        };
        // What the status at the start has already may follow it.
        if is_news {
            self.events.push(event);
        }
    }

    fn stands(&mut self, status: Status) {
        self.own = status.own;
        self.links = status.operators.iter().map(|each| each.links.first().copied()).collect();
        self.records = status.operators.into_iter().map(|each| each.record).collect();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers whether it was something else before.
fn put<T: PartialEq>(place: &mut T, value: T) -> bool {
    let is_news = *place != value;
    *place = value;
    is_news
}

fn parsed<'de, T: Deserialize<'de>>(value: &'de Value) -> T {
    T::deserialize(value).unwrap_or_else(|error| panic!("{error}: {value}"))
}

/// Passes on each line of a pipe, and its end.
fn hear_lines(
    name: Name,
    pipe: impl Read + Send + 'static,
    kind: fn(String) -> Heard,
    teller: &Sender<(Name, Heard)>,
) {
    let teller = teller.clone();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = String::new();
        while pipe.read_line(&mut line).is_ok_and(|read| read > 0) {
            // Nobody hears it when the test has failed.
            let _ = teller.send((name, kind(std::mem::take(&mut line))));
        }
        let _ = teller.send((name, Heard::PipeClosed));
    });
}
