//! The built binary: what bad input gets, and that a node starts and stops.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use stayfound::core::cluster::OperatorIndex;
use stayfound::store::DiskStore;
use stayfound::testnet::Cluster;

/// Longer than anything here takes, even on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A cluster of four in a directory of its own, and how operator 0 is run.
struct Fixture {
    root: tempfile::TempDir,
    cluster: Cluster,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::create(root.path(), 4).expect("creates");
        Self { root, cluster }
    }

    fn lock(&self) -> PathBuf {
        self.cluster.lock_file(OperatorIndex(0))
    }

    fn key(&self) -> PathBuf {
        self.cluster.key_file(OperatorIndex(0))
    }

    fn data_dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn run(&self) -> Run {
        Run {
            lock: self.lock(),
            key: self.key(),
            data_dir: self.data_dir(),
            listen: "127.0.0.1:0".into(),
            more: Vec::new(),
        }
    }

    /// What `run` says when it refuses, with nothing made or changed.
    fn refused(&self, run: &Run, code: i32) -> String {
        let before = snapshot(self.root.path());
        let ended = run.start().end();
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert!(snapshot(self.root.path()) == before, "files changed by a refusal: {}", ended.err);
        assert_eq!(ended.out, "");
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        ended.err
    }

    fn refused_lock(&self, content: &str) -> String {
        fs::write(self.lock(), content).expect("writes");
        let said = self.refused(&self.run(), 2);
        assert_says(&said, &[&self.lock().display().to_string()]);
        said
    }

    fn refused_key(&self, content: &str) -> String {
        fs::write(self.key(), content).expect("writes");
        let said = self.refused(&self.run(), 2);
        assert_says(&said, &[&self.key().display().to_string()]);
        said
    }

    fn refused_data_dir(&self, data_dir: PathBuf) -> String {
        let said = self.refused(&Run { data_dir: data_dir.clone(), ..self.run() }, 2);
        assert_says(&said, &[&data_dir.display().to_string()]);
        said
    }

    fn refused_with(&self, more: &[&str]) -> String {
        let more = more.iter().map(|word| (*word).to_owned()).collect();
        self.refused(&Run { more, ..self.run() }, 2)
    }
}

/// One call of `stayfound run`.
struct Run {
    lock: PathBuf,
    key: PathBuf,
    data_dir: PathBuf,
    listen: String,
    more: Vec<String>,
}

impl Run {
    fn start(&self) -> Process {
        let mut command = stayfound(&["run", "--listen", &self.listen]);
        command.arg("--lock").arg(&self.lock).arg("--key").arg(&self.key);
        command.arg("--data-dir").arg(&self.data_dir).args(&self.more);
        Process::start(command)
    }
}

/// A running process; killed if the test ends before it.
struct Process {
    child: Child,
    out: mpsc::Receiver<String>,
    err: mpsc::Receiver<String>,
}

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary starts");
        let out = lines(child.stdout.take().expect("is piped"));
        let err = lines(child.stderr.take().expect("is piped"));
        Self { child, out, err }
    }

    /// Waits for the end and answers with what was not read before.
    fn end(mut self) -> Ended {
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
    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stayfound(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stayfound"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

fn end_of(arguments: &[&str]) -> Ended {
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
fn wait_for(lines: &mpsc::Receiver<String>, words: &str) -> String {
    loop {
        let line = lines.recv_timeout(DEADLINE).expect("the line comes");
        if line.contains(words) {
            return line;
        }
    }
}

/// Every file and directory below a path: kind, content.
fn snapshot(path: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
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
fn assert_says(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
}

#[test]
fn help_is_no_failure_and_gives_examples() {
    let help = end_of(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert_says(&help.out, &["run", "devnet"]);
    let help = end_of(&["run", "--help"]);
    assert_eq!(help.code, Some(0));
    assert_says(
        &help.out,
        &["Examples:", "--hint 0=198.51.100.7:3610", "counted from 0", "Exit codes"],
    );
    assert_says(&end_of(&["devnet", "--help"]).out, &["Examples:", "--base-port"]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    for arguments in [
        &[][..],
        &["walk"],
        &["run"],
        &["run", "--lock", "a", "--key", "b", "--data-dir", "c", "--speed", "9"],
        &["devnet", "--operators", "3"],
        &["devnet", "--operators", "33"],
        &["devnet", "--base-port", "0"],
    ] {
        let ended = end_of(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
        assert_says(&ended.err, &["--help"]);
    }
}

#[test]
fn a_lock_that_is_none_is_refused() {
    let fixture = Fixture::new();
    let sound = fs::read_to_string(fixture.lock()).expect("reads");
    assert_says(&fixture.refused_lock("not JSON"), &["not the JSON of a lock"]);
    assert_says(&fixture.refused_lock(""), &["breaks off"]);
    assert_says(&fixture.refused_lock(&sound[..sound.len() / 2]), &["breaks off"]);
    let said = fixture.refused_lock(&sound.replace("v1.10.0", "v9.0.0"));
    assert_says(&said, &["cluster_definition.version", "v9.0.0"]);
    let said = fixture.refused_lock(&sound.replacen("\"enr:-", "\"enr:+", 1));
    assert_says(&said, &["cluster_definition.operators[0].enr"]);

    let [first, second] =
        [0, 1].map(|at| fixture.cluster.manifest().operators()[at].record.to_text());
    let said = fixture.refused_lock(&sound.replace(&second, &first));
    assert_says(&said, &["operators 0 and 1", "one and the same key"]);

    let large = fs::File::create(fixture.lock()).expect("creates");
    large.set_len(300 << 20).expect("a file of holes");
    let ended = fixture.run().start().end();
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.err, &["larger than 256 MiB"]);
    large.set_len(0).expect("empties it");

    // The key file in its place: hex may begin like a number, and none of it is to be shown.
    fs::write(fixture.key(), "7".repeat(64)).expect("writes");
    let said = fixture.refused(&Run { lock: fixture.key(), ..fixture.run() }, 2);
    assert_says(&said, &["not the JSON of a lock"]);
    let said = said.replace(&fixture.key().display().to_string(), "");
    assert!(!said.contains('7'), "key material in: {said}");

    fs::remove_file(fixture.lock()).expect("removes");
    let said = fixture.refused(&fixture.run(), 2);
    assert_says(
        &said,
        &[&fixture.lock().display().to_string(), "cannot be read", "cluster-lock.json"],
    );
    let said = fixture.refused(&Run { lock: fixture.root.path().into(), ..fixture.run() }, 2);
    assert_says(&said, &["it is no file"]);
}

#[test]
fn a_key_file_that_holds_no_key_is_refused() {
    let fixture = Fixture::new();
    let sound = fs::read_to_string(fixture.key()).expect("reads");
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for (content, reason) in [
        (format!("0x{sound}"), "0x"),
        (sound[..62].to_owned(), "too short: 62"),
        (format!("{sound}00"), "too long"),
        (sound.replacen(|_| true, "z", 1), "something else than 64 hex digits"),
        ("0".repeat(64), "zero or not below the order"),
        (order.to_owned(), "zero or not below the order"),
        (String::new(), "too short: 0"),
    ] {
        let said = fixture.refused_key(&content);
        assert_says(&said, &[reason]);
        assert!(!said.contains(&sound[2..30]), "key material in: {said}");
    }
    fs::remove_file(fixture.key()).expect("removes");
    assert_says(&fixture.refused(&fixture.run(), 2), &["cannot be read", "charon-enr-private-key"]);
}

#[cfg(unix)]
#[test]
fn a_key_file_open_to_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    fs::set_permissions(fixture.key(), fs::Permissions::from_mode(0o640)).expect("sets the mode");
    let advice = format!("chmod 600 {}", fixture.key().display());
    assert_says(&fixture.refused(&fixture.run(), 2), &["mode 0640", &advice]);
}

#[test]
fn a_key_of_no_operator_is_an_identity_that_does_not_match() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let said = fixture.refused(&Run { key: other.key(), ..fixture.run() }, 5);
    let key = other.cluster.key(OperatorIndex(0)).public_key().to_string();
    assert_says(&said, &["no operator", &key, &other.key().display().to_string()]);
    for operator in fixture.cluster.manifest().operators() {
        let line = format!("operator {:>3}: node id {:#}", operator.index.0, operator.node_id);
        assert_says(&said, &[&line]);
    }
}

#[test]
fn addresses_and_hints_that_make_no_sense_are_refused() {
    let fixture = Fixture::new();
    let refused = |more: &[&str]| fixture.refused_with(more);
    let beyond = refused(&["--hint", "4=198.51.100.7:3610"]);
    assert_says(&beyond, &["--hint 4=198.51.100.7:3610", "counted from 0", "0 to 3"]);
    assert_says(&refused(&["--hint", "999999=198.51.100.7:3610"]), &["0 to 3"]);
    let own = refused(&["--hint", "0=198.51.100.7:3610"]);
    assert_says(&own, &["names this node itself", "counted from 0", "0 to 3"]);
    assert_says(&refused(&["--hint", "1=198.51.100.7:0"]), &["cannot be dialled"]);
    assert_says(&refused(&["--hint", "1=0.0.0.0:3610"]), &["cannot be dialled"]);
    assert_says(
        &refused(&["--hint", "198.51.100.7:3610"]),
        &["2=198.51.100.7:3610", "counted from 0"],
    );
    assert_says(&refused(&["--hint", "1=198.51.100.7"]), &["198.51.100.7:3610"]);
    assert_says(&refused(&["--hint", "b=198.51.100.7:3610"]), &["counted from 0"]);
    assert_says(&refused(&["--external", "198.51.100.7"]), &["no IP address with a port"]);
    assert_says(&refused(&["--external", "0.0.0.0:3610"]), &["--external 0.0.0.0:3610"]);
    let twice = refused(&["--external", "198.51.100.7:1", "--external", "198.51.100.8:1"]);
    assert_says(&twice, &["one family"]);
}

#[test]
fn a_port_in_use_is_refused() {
    let fixture = Fixture::new();
    let taken = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let listen = taken.local_addr().expect("is bound");
    let said = fixture.refused(&Run { listen: listen.to_string(), ..fixture.run() }, 2);
    assert_says(&said, &[&format!("UDP port {} is in use", listen.port()), "--listen"]);
    // TEST-NET-1 (RFC 5737) is no address of any host.
    let said = fixture.refused(&Run { listen: "192.0.2.1:3610".into(), ..fixture.run() }, 2);
    assert_says(&said, &["192.0.2.1:3610", "an address of this host"]);

    let base = listen.port().checked_sub(1).expect("an ephemeral port").to_string();
    let ended = end_of(&["devnet", "--base-port", &base]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert_says(&ended.err, &[&listen.port().to_string(), "in use"]);
}

#[test]
fn charons_directory_is_never_written_to() {
    let fixture = Fixture::new();
    let charons = fixture.cluster.node_dir(OperatorIndex(0));
    let reason = "the directory of charon's files";
    assert_says(&fixture.refused_data_dir(charons.clone()), &[reason]);
    assert_says(&fixture.refused_data_dir(charons.join("../node0/./")), &[reason]);
    assert_says(&fixture.refused_data_dir(charons.join("new/data")), &[reason]);
    #[cfg(unix)]
    {
        let link = fixture.root.path().join("link");
        std::os::unix::fs::symlink(&charons, &link).expect("links");
        assert_says(&fixture.refused_data_dir(link), &[reason]);
    }
    // The directory of the lock, where it is not that of the key.
    let lock = fixture.cluster.lock_file(OperatorIndex(1));
    let data_dir = fixture.cluster.node_dir(OperatorIndex(1));
    let said = fixture.refused(&Run { lock, data_dir, ..fixture.run() }, 2);
    assert_says(&said, &[reason]);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_refused() {
    let fixture = Fixture::new();
    let file = fixture.root.path().join("file");
    fs::write(&file, "in the way").expect("writes");
    assert_says(&fixture.refused_data_dir(file.clone()), &["cannot be used"]);
    assert_says(&fixture.refused_data_dir(file.join("data")), &["cannot be used"]);

    fs::create_dir(fixture.data_dir()).expect("makes");
    fs::write(fixture.data_dir().join(DiskStore::FILE), "no database").expect("writes");
    assert_says(&fixture.refused_data_dir(fixture.data_dir()), &["is no database"]);
}

#[test]
fn a_database_of_another_identity_is_refused() {
    let fixture = Fixture::new();
    let [ours, theirs] = [0, 1].map(|at| fixture.cluster.manifest().operators()[at].node_id);
    drop(DiskStore::open(&fixture.data_dir(), theirs).expect("opens"));
    let said = fixture.refused_data_dir(fixture.data_dir());
    assert_says(&said, &[&ours.to_string(), &theirs.to_string()]);
}

#[cfg(unix)]
#[test]
fn a_node_tells_who_it_is_and_stops_when_asked() {
    for signal in ["INT", "TERM"] {
        let fixture = Fixture::new();
        let charons = snapshot(&fixture.cluster.node_dir(OperatorIndex(0)));
        let node = fixture.run().start();
        let manifest = fixture.cluster.manifest();
        let cluster = wait_for(&node.err, "uuid");
        assert_says(&cluster, &[manifest.name(), manifest.uuid(), "lock hash 0x"]);
        wait_for(&node.err, "not yet verified");
        assert_says(
            &wait_for(&node.err, "we are"),
            &["operator 0 (", "counted 0 to 3", "threshold 3 of 4"],
        );
        wait_for(&node.err, "our ENR");
        wait_for(&node.err, "listening at 127.0.0.1:");
        wait_for(&node.err, "enr:");
        node.signal(signal);
        let ended = node.end();
        assert_eq!(ended.code, Some(0), "SIG{signal}: {}", ended.err);
        assert_says(&ended.err, &["stopped"]);
        assert!(snapshot(&fixture.cluster.node_dir(OperatorIndex(0))) == charons);
    }
}

#[cfg(unix)]
#[test]
fn a_second_instance_on_one_data_directory_is_refused() {
    let fixture = Fixture::new();
    let first = fixture.run().start();
    wait_for(&first.err, "enr:");
    let second = fixture.run().start().end();
    assert_eq!(second.code, Some(2), "{}", second.err);
    assert_says(&second.err, &["in use by another instance", DiskStore::FILE]);
    first.signal("TERM");
    assert_eq!(first.end().code, Some(0));
}

#[cfg(unix)]
#[test]
fn changes_are_told_as_json() {
    let fixture = Fixture::new();
    let json = || vec!["--json".to_owned()];
    let first = Run { more: json(), ..fixture.run() }.start();
    let parsed = |line: &str| -> serde_json::Value { serde_json::from_str(line).expect("JSON") };
    let started = parsed(&wait_for(&first.out, "\"event\":\"started\""));
    assert_eq!(started["status"]["own"], 0);
    assert_eq!(started["cluster"]["uuid"], fixture.cluster.manifest().uuid());
    assert_eq!(started["cluster"]["verified"], false);
    let own = parsed(&wait_for(&first.out, "\"event\":\"own_record\""));
    assert_eq!(own["addresses"][0], started["listen"]);
    let listen = started["listen"].as_str().expect("an address");

    let second = Run {
        key: fixture.cluster.key_file(OperatorIndex(1)),
        data_dir: fixture.root.path().join("data1"),
        more: vec!["--hint".into(), format!("0={listen}")],
        ..fixture.run()
    };
    let second = second.start();
    assert_says(&wait_for(&second.err, "linked"), &["operator=0", listen]);
    let record = parsed(&wait_for(&first.out, "\"event\":\"record\""));
    assert_eq!(record["operator"], 1);
    assert!(record["text"].as_str().is_some_and(|text| text.starts_with("enr:")));

    second.signal("TERM");
    assert_eq!(second.end().code, Some(0));
    assert_eq!(parsed(&wait_for(&first.out, "\"event\":\"lost\""))["operator"], 1);
    first.signal("TERM");
    let ended = first.end();
    assert_eq!(ended.code, Some(0));
    assert_says(ended.out.lines().last().expect("a last line"), &["\"event\":\"stopped\""]);
}

#[test]
fn a_devnet_heals_twice() {
    let ended = end_of(&["devnet", "--operators", "5"]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    assert_says(&ended.out, &["operator 2", "moved", "operator 3", "lost its data", "healed"]);
    assert!(!ended.out.contains('\x1b'), "no escapes without a terminal: {}", ended.out);
    assert_eq!(ended.err, "");
}
