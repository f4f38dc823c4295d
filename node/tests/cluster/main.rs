//! Four processes of the built binary over real sockets, from charon's own files: a full mesh, a
//! move, a loss of data, an impostor. The same story with a real lock and with one of our own.
#![cfg(unix)]

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde_json::Value;
use stayfound::core::cluster::OperatorIndex;
use stayfound::core::cluster::lock::Lock;
use stayfound::core::keys::SecretKey;
use stayfound::core::record::{Endpoints, Signed};
use stayfound::store::DiskStore;
use stayfound::testnet::Cluster;
use tempfile::TempDir;

use self::boot::BootNode;
use self::process::{DEADLINE, Ended, Name, Process, Processes, Record, Run};

mod boot;
mod process;

const OPERATORS: [Name; 4] = ["operator 0", "operator 1", "operator 2", "operator 3"];
const IMPOSTOR: Name = "the impostor";

/// How often an operator is killed while it starts.
const KILLS: usize = 4;

/// A private key that is no operator's.
const IMPOSTORS_KEY: [u8; 32] = [9; 32];

/// The operators of one cluster, each a process with a data directory of its own.
struct Net {
    processes: Processes,
    lock: PathBuf,
    keys: [PathBuf; 4],
    /// The boot nodes that everybody is told of.
    boot: Vec<String>,
    /// Ports that a process has left: held, so that nobody comes to listen there by chance.
    left: Vec<UdpSocket>,
    /// Last, so that it goes when no process uses it any more.
    root: TempDir,
}

impl Net {
    fn new(root: TempDir, lock: PathBuf, keys: [PathBuf; 4]) -> Self {
        Self { processes: Processes::new(), lock, keys, boot: Vec::new(), left: Vec::new(), root }
    }

    fn get(&self, operator: usize) -> &Process {
        self.processes.get(OPERATORS[operator])
    }

    fn listen(&self, operator: usize) -> SocketAddr {
        self.get(operator).listen.expect("it has started")
    }

    /// An operator's record as it is published.
    fn record(&self, operator: usize) -> Record {
        self.get(operator).records[operator].clone()
    }

    fn data_dir(&self, operator: usize) -> PathBuf {
        self.root.path().join(format!("data{operator}"))
    }

    /// How an operator is run, at a port that nobody knows yet.
    fn run(&self, operator: usize, hints: &[(usize, SocketAddr)]) -> Run {
        Run {
            lock: self.lock.clone(),
            key: self.keys[operator].clone(),
            data_dir: self.data_dir(operator),
            listen: any_port(),
            hints: hints.to_vec(),
            boot: self.boot.clone(),
            is_credulous: false,
        }
    }

    fn start(&mut self, operator: usize, hints: &[(usize, SocketAddr)]) {
        let run = self.run(operator, hints);
        self.processes.start(OPERATORS[operator], &run);
    }

    /// Asks a process to stop, as its operator would.
    fn stop(&mut self, name: Name, signal: &str) -> Ended {
        let listened = self.processes.get(name).listen;
        let ended = self.processes.end(name, signal);
        assert_eq!(ended.code, Some(0), "{name} after SIG{signal}: {}", ended.log);
        assert_eq!(ended.events.last().expect("it speaks")["event"], "stopped", "{}", ended.log);
        self.leave(listened);
        ended
    }

    /// Ends an operator without a word to anybody.
    fn kill(&mut self, operator: usize) {
        let listened = self.get(operator).listen;
        let ended = self.processes.end(OPERATORS[operator], "KILL");
        assert_eq!(ended.code, None, "it ended before it was killed: {}", ended.log);
        self.leave(listened);
    }

    /// Starts an operator that has no data, and kills it while it makes its database.
    fn kill_at_birth(&mut self, operator: usize) {
        let run = self.run(operator, &[]);
        let database = run.data_dir.join(DiskStore::FILE);
        let deadline = Instant::now() + DEADLINE;
        self.processes.spawn(OPERATORS[operator], &run);
        while !database.exists() {
            assert!(Instant::now() < deadline, "no database{}", self.processes.logs());
            thread::yield_now();
        }
        self.kill(operator);
    }

    fn leave(&mut self, listened: Option<SocketAddr>) {
        // Fails if somebody listens there already, which serves as well.
        self.left.extend(listened.and_then(|address| UdpSocket::bind(address).ok()));
    }

    /// Waits until everybody who runs holds everybody's newest record, and is linked.
    fn until_whole(&mut self) {
        self.processes.until(|all| {
            let mut pairs = running(all).flat_map(|at| running(all).map(move |of| (at, of)));
            pairs.find_map(|(at, of)| lack(all, at, of))
        });
    }

    /// That since [`Processes::forget`] nobody told any change but of this operator.
    #[track_caller]
    fn assert_only_told_of(&self, operator: Option<usize>) {
        for other in running(&self.processes).filter(|other| Some(*other) != operator) {
            for event in self.get(other).told() {
                let of = event["operator"].as_u64().and_then(|of| usize::try_from(of).ok());
                let is_of_it = operator.is_some() && of == operator;
                assert!(is_of_it, "operator {other} tells {event}{}", self.processes.logs());
            }
        }
    }
}

/// The operators that run.
fn running(all: &Processes) -> impl Iterator<Item = usize> {
    (0..OPERATORS.len()).filter(|operator| all.runs(OPERATORS[*operator]))
}

/// What `at` lacks of `of`.
fn lack(all: &Processes, at: usize, of: usize) -> Option<String> {
    let [ours, theirs] = [at, of].map(|operator| all.get(OPERATORS[operator]));
    let newest = &theirs.records[of];
    if !newest.addresses.iter().copied().eq(theirs.listen) {
        return Some(format!("operator {of} has not published where it is: {newest:?}"));
    }
    if ours.records[of] != *newest {
        return Some(format!("operator {at} does not hold the newest record of {of}"));
    }
    if at != of && ours.links[of].is_none() {
        return Some(format!("operator {at} is not linked with {of}"));
    }
    // A link that takes the place of another, as after a crash of the far side, is told by the far
    // side alone.
    let is_told = ours.links[of] == theirs.listen || theirs.links[at] == ours.listen;
    (at != of && !is_told).then(|| format!("no link joins {at} and {of} where they are now"))
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn story(mut net: Net) {
    let trap = UdpSocket::bind(any_port()).expect("binds");
    all_link_knowing_one(&mut net, trap.local_addr().expect("is bound"));
    all_follow_one_that_moves(&mut net, 2);
    all_follow_one_that_is_killed_and_moves(&mut net, 2);
    all_follow_one_that_lost_its_data(&mut net, 3);
    a_key_of_no_operator_does_not_start(&mut net);
    an_impostor_is_refused_whoever_dials(&mut net, trap);
    for (operator, signal) in [(0, "TERM"), (1, "INT"), (2, "TERM"), (3, "TERM")] {
        net.stop(OPERATORS[operator], signal);
    }
}

/// Everybody is told of operator 0. Operator 0 is told something false: that operator 1 may answer
/// at the trap.
fn all_link_knowing_one(net: &mut Net, trap: SocketAddr) {
    net.start(0, &[(1, trap)]);
    let known = net.listen(0);
    for operator in 1..OPERATORS.len() {
        net.start(operator, &[(0, known)]);
    }
    net.until_whole();
}

fn all_follow_one_that_moves(net: &mut Net, mover: usize) {
    net.processes.forget();
    let before = net.record(mover);
    net.stop(OPERATORS[mover], "TERM");
    net.start(mover, &[]); // its data directory knows the others
    net.until_whole();
    let after = net.record(mover);
    assert!(after.seq > before.seq, "{after:?} is not above {before:?}");
    assert_ne!(after.addresses, before.addresses);
    net.assert_only_told_of(Some(mover));
}

/// It says no goodbye: to the others its links stand until it comes back. Where it starts it is
/// killed again, in the midst of writing where it is now.
fn all_follow_one_that_is_killed_and_moves(net: &mut Net, mover: usize) {
    net.processes.forget();
    let before = net.record(mover);
    for _ in 0..KILLS {
        net.kill(mover);
        net.start(mover, &[]); // its data directory knows the others
    }
    net.until_whole();
    let after = net.record(mover);
    assert!(after.seq > before.seq, "{after:?} is not above {before:?}");
    assert_ne!(after.addresses, before.addresses);
    net.assert_only_told_of(Some(mover));
}

fn all_follow_one_that_lost_its_data(net: &mut Net, loser: usize) {
    net.processes.forget();
    let before = net.record(loser);
    net.kill(loser);
    fs::remove_dir_all(net.data_dir(loser)).expect("removes");
    net.kill_at_birth(loser);
    net.start(loser, &[(0, net.listen(0))]);
    net.until_whole();
    let after = net.record(loser);
    assert!(after.seq > before.seq, "{after:?} is not above {before:?}");
    assert_ne!(after.addresses, before.addresses);
    net.assert_only_told_of(Some(loser));
}

fn a_key_of_no_operator_does_not_start(net: &mut Net) {
    let key = write_key(&net.root.path().join("impostor"), &IMPOSTORS_KEY);
    let data_dir = net.root.path().join("data of nobody");
    let run = Run { key, data_dir, ..net.run(0, &[]) };
    let ended = net.processes.refused(IMPOSTOR, &run);
    assert_eq!(ended.code, Some(5), "{}", ended.log);
    assert!(ended.log.contains("that of no operator"), "{}", ended.log);
    assert!(ended.events.is_empty() && !run.data_dir.exists());
}

/// The impostor believes, by a forged lock, that it is operator 1 of this very cluster. It waits
/// where the trap was.
fn an_impostor_is_refused_whoever_dials(net: &mut Net, trap: UdpSocket) {
    let usurped = 1;
    let honest = [0, 2, 3].map(|operator| (operator, net.listen(operator)));
    let at = trap.local_addr().expect("is bound");
    let run = Run {
        lock: forge(net, usurped),
        key: write_key(&net.root.path().join("impostor"), &IMPOSTORS_KEY),
        data_dir: net.root.path().join("data of the impostor"),
        listen: at,
        hints: honest.to_vec(),
        boot: Vec::new(),
        is_credulous: true,
    };
    drop(trap);

    // It dials everybody.
    net.processes.forget();
    net.processes.start(IMPOSTOR, &run);
    for (operator, address) in honest {
        until_logged(net, OPERATORS[operator], "a stranger was refused", at);
        until_logged(net, IMPOSTOR, "the far side refuses our key", address);
    }
    net.assert_only_told_of(None);

    // It is dialled, when the operator whose place it takes is gone.
    net.stop(OPERATORS[usurped], "TERM");
    for (operator, _) in honest {
        net.processes.until(|all| {
            let linked = all.get(OPERATORS[operator]).links[usurped].is_some();
            linked.then(|| format!("operator {operator} has not lost {usurped}"))
        });
    }
    net.processes.forget();
    until_logged(net, OPERATORS[0], "another key than the operator's answers there; refused", at);
    net.assert_only_told_of(None);

    // It leaves, and the operator itself is let in.
    let ended = net.stop(IMPOSTOR, "TERM");
    let of_itself = ["started", "own_record", "stopped"];
    let is_of_itself = |event: &Value| of_itself.iter().any(|own| event["event"] == *own);
    assert!(ended.events.iter().all(is_of_itself), "it had no link: {:?}", ended.events);
    net.start(usurped, &[]);
    net.until_whole();
    net.assert_only_told_of(Some(usurped));
}

/// Nobody is told of anybody, and no lock names an address.
fn strangers_find_one_another(mut net: Net) {
    let boot = BootNode::start(&write_key(&net.root.path().join("boot"), &IMPOSTORS_KEY));
    net.boot.push(boot.enr.clone());
    for operator in 0..OPERATORS.len() {
        net.start(operator, &[]);
    }
    net.until_whole();
}

fn until_logged(net: &mut Net, name: Name, what: &str, remote: SocketAddr) {
    net.processes.until(|all| {
        let logged = all.get(name).logged(what, remote);
        (!logged).then(|| format!("{name} has not logged of {remote}: {what}"))
    });
}

/// The cluster's lock with the impostor's ENR in the place of an operator's.
fn forge(net: &Net, operator: usize) -> PathBuf {
    let sound = fs::read_to_string(&net.lock).expect("reads");
    let lock = Lock::read(sound.as_bytes()).expect("is a lock");
    let manifest = lock.manifest().expect("is a cluster");
    let usurper = SecretKey::from_bytes(&IMPOSTORS_KEY).expect("a key");
    let usurper = Signed::sign(&usurper, 0, &Endpoints::default());
    let forged =
        sound.replace(&manifest.operators()[operator].record.to_text(), &usurper.to_text());
    assert_ne!(forged, sound);
    let path = net.root.path().join("impostor/cluster-lock.json");
    fs::write(&path, forged).expect("writes");
    path
}

/// A key file in this directory, as charon writes it: hex, for its owner alone.
fn write_key(directory: &Path, key: &[u8; 32]) -> PathBuf {
    fs::create_dir_all(directory).expect("makes");
    let path = directory.join("charon-enr-private-key");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    file.and_then(|mut file| file.write_all(digits.as_bytes())).expect("writes");
    path
}

/// Where this of the shared fixtures is. They live beside the repository, in `../shared` (the
/// variable `STAYFOUND_SHARED` names another place); missing they may be, but not in CI.
fn shared(relative: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("STAYFOUND_SHARED").map_or_else(beside, PathBuf::from);
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!is_ci, "{} is missing", path.display());
    // Not eprintln: the test harness would swallow the line of a test that passes.
    let _ = writeln!(io::stderr(), "skipped: {} is missing", path.display());
    None
}

/// A cluster by a real lock, if there is one.
fn real() -> Option<Net> {
    let lock = shared("fixtures/charon/charon/examples/cluster-lock-003.json")?;
    let root = tempfile::tempdir().expect("a directory");
    let node = |operator: u8| root.path().join(format!("node{operator}"));
    // Its operators' private keys are published.
    let keys = [0, 1, 2, 3].map(|operator| write_key(&node(operator), &[operator + 1; 32]));
    Some(Net::new(root, lock, keys))
}

/// A cluster of our own.
fn own() -> Net {
    let root = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::create(root.path(), OPERATORS.len()).expect("creates");
    let lock = cluster.lock_file(OperatorIndex(0));
    let keys = [0, 1, 2, 3].map(|operator| cluster.key_file(OperatorIndex(operator)));
    Net::new(root, lock, keys)
}

#[test]
fn four_processes_with_a_real_lock() {
    real().into_iter().for_each(story);
}

#[test]
fn four_processes_with_a_lock_of_our_own() {
    story(own());
}

#[test]
fn four_processes_with_a_real_lock_find_one_another_through_a_boot_node() {
    real().into_iter().for_each(strangers_find_one_another);
}

#[test]
fn four_processes_with_a_lock_of_our_own_find_one_another_through_a_boot_node() {
    strangers_find_one_another(own());
}
