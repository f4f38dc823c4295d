//! A cluster, and processes of the built binary.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use stayfound::core::cluster::OperatorIndex;
use stayfound::testnet::Cluster;

/// Longer than anything here takes, even on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster of four in a directory of its own, and how operator 0 is run.
pub struct Fixture {
    pub root: tempfile::TempDir,
    pub cluster: Cluster,
}

impl Fixture {
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::create(root.path(), 4).expect("creates");
        Self { root, cluster }
    }

    pub fn lock(&self) -> PathBuf {
        self.cluster.lock_file(OperatorIndex(0))
    }

    pub fn key(&self) -> PathBuf {
        self.cluster.key_file(OperatorIndex(0))
    }

    pub fn data_dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn run(&self) -> Run {
        Run {
            lock: self.lock(),
            key: self.key(),
            data_dir: self.data_dir(),
            listen: "127.0.0.1:0".into(),
            more: Vec::new(),
        }
    }

    /// What `run` says when it refuses, with nothing made or changed.
    pub fn refused(&self, run: &Run, code: i32) -> String {
        let before = snapshot(self.root.path());
        let ended = run.start().end();
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert!(snapshot(self.root.path()) == before, "files changed by a refusal: {}", ended.err);
        assert_eq!(ended.out, "");
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        ended.err
    }

    pub fn refused_lock(&self, content: &str) -> String {
        fs::write(self.lock(), content).expect("writes");
        let said = self.refused(&self.run(), 2);
        assert_says(&said, &[&self.lock().display().to_string()]);
        said
    }

    pub fn refused_key(&self, content: &str) -> String {
        fs::write(self.key(), content).expect("writes");
        let said = self.refused(&self.run(), 2);
        assert_says(&said, &[&self.key().display().to_string()]);
        said
    }

    pub fn refused_data_dir(&self, data_dir: PathBuf) -> String {
        let said = self.refused(&Run { data_dir: data_dir.clone(), ..self.run() }, 2);
        assert_says(&said, &[&data_dir.display().to_string()]);
        said
    }

    pub fn refused_with(&self, more: &[&str]) -> String {
        let more = more.iter().map(|word| (*word).to_owned()).collect();
        self.refused(&Run { more, ..self.run() }, 2)
    }
}

/// One call of `stayfound run`.
pub struct Run {
    pub lock: PathBuf,
    pub key: PathBuf,
    pub data_dir: PathBuf,
    pub listen: String,
    pub more: Vec<String>,
}

impl Run {
    pub fn start(&self) -> Process {
        Process::start(self.command())
    }

    pub fn command(&self) -> Command {
        let mut command = stayfound(&["run", "--listen", &self.listen]);
        command.arg("--lock").arg(&self.lock).arg("--key").arg(&self.key);
        command.arg("--data-dir").arg(&self.data_dir).args(&self.more);
        command
    }
}

/// A running process; killed if the test ends before it.
pub struct Process {
    child: Child,
    pub out: mpsc::Receiver<String>,
    pub err: mpsc::Receiver<String>,
}

pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary starts");
        let out = lines(child.stdout.take().expect("is piped"));
        let err = lines(child.stderr.take().expect("is piped"));
        Self { child, out, err }
    }

    /// Waits for the end and answers with what was not read before.
    pub fn end(mut self) -> Ended {
        // The pipes close when the process ends.
        let rest = |lines: &mpsc::Receiver<String>| {
            let mut rest = String::new();
            loop {
                match lines.recv_timeout(DEADLINE) {
                    Ok(line) => rest.push_str(&line),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return rest,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("it runs on, saying: {rest}"),
                }
            }
        };
        let (out, err) = (rest(&self.out), rest(&self.err));
        let code = self.child.wait().expect("it ended").code();
        Ended { code, out, err }
    }

    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        send(&self.child, name);
    }

    /// Until SIGTERM no longer kills it: from then on it has to stop by itself.
    #[cfg(target_os = "linux")]
    pub fn wait_until_it_catches_term(&self) {
        const TERM: u64 = 1 << (15 - 1);
        let begin = std::time::Instant::now();
        loop {
            let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
            let status = status.expect("it runs");
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            if caught.expect("a mask of signals") & TERM != 0 {
                return;
            }
            assert!(begin.elapsed() < DEADLINE, "it never catches SIGTERM");
            thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn stayfound(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stayfound"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

pub fn end_of(arguments: &[&str]) -> Ended {
    Process::start(stayfound(arguments)).end()
}

fn lines(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = String::new();
        while pipe.read_line(&mut line).is_ok_and(|read| read > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The first line with these words in it.
pub fn wait_for(lines: &mpsc::Receiver<String>, words: &str) -> String {
    loop {
        let line = lines.recv_timeout(DEADLINE).expect("the line comes");
        if line.contains(words) {
            return line;
        }
    }
}

/// Every file and directory below a path: kind, content.
pub fn snapshot(path: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(path).expect("lists") {
        let path = entry.expect("lists").path();
        if path.is_dir() {
            all.extend(snapshot(&path));
        }
        all.insert(path.clone(), fs::read(&path).ok());
    }
    all
}

#[track_caller]
pub fn assert_says(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
}
#[cfg(unix)]
pub fn send(process: &Child, signal: &str) {
    let kill = format!("kill -{signal} {}", process.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success());
}
