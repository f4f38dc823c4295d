//! Output that nobody reads.

use std::io::{ErrorKind, Write};
use std::iter;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use stayfound::core::cluster::OperatorIndex;

use super::process::{DEADLINE, Fixture, Run, assert_says, send, wait_for};

/// A running process of which nothing is read; killed if the test ends before it.
struct Unread(Child);

impl Unread {
    /// Waits for the end; answers the exit code.
    fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.0.try_wait().expect("it is ours") {
                Some(ended) => return ended.code(),
                None if Instant::now() > deadline => panic!("it runs on"),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where whoever writes waits for ever: full already, and nobody reads. Open as long as the second.
fn stalled() -> (Stdio, UnixStream) {
    let (mut writer, reader) = UnixStream::pair().expect("a pair of sockets");
    writer.set_nonblocking(true).expect("can be");
    let full = iter::repeat_with(|| writer.write(&[b'\n'; 4_096])).find_map(Result::err);
    assert_eq!(full.map(|why| why.kind()), Some(ErrorKind::WouldBlock));
    while writer.write(b"\n").is_ok() {} // to the last byte
    writer.set_nonblocking(false).expect("can be");
    (OwnedFd::from(writer).into(), reader)
}

#[test]
fn a_node_whose_output_nobody_reads_works_and_stops() {
    let fixture = Fixture::new();
    let peer = Run { key: fixture.cluster.key_file(OperatorIndex(1)), ..fixture.run() }.start();
    let listening = wait_for(&peer.err, "listening at");
    let at = listening.split_whitespace().find_map(|word| word.parse::<SocketAddr>().ok());
    let hint = format!("1={}", at.expect("it says where"));

    let (out, _out) = stalled();
    let (err, _err) = stalled();
    let run = Run {
        data_dir: fixture.root.path().join("data of the stalled"),
        more: vec!["--json".into(), "--hint".into(), hint],
        ..fixture.run()
    };
    let mut command = run.command();
    let mut node =
        Unread(command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("starts"));
    assert_says(&wait_for(&peer.err, "linked"), &["operator=0"]);
    send(&node.0, "TERM");
    assert_eq!(node.end(), Some(0));
    wait_for(&peer.err, "not linked any more");
    peer.signal("TERM");
    assert_eq!(peer.end().code, Some(0));
}

#[test]
fn a_refusal_that_nobody_reads_is_one_all_the_same() {
    let fixture = Fixture::new();
    let (err, _err) = stalled();
    let run = Run { lock: fixture.root.path().join("no lock"), ..fixture.run() };
    let mut command = run.command();
    let mut node = Unread(command.stdin(Stdio::null()).stderr(err).spawn().expect("starts"));
    assert_eq!(node.end(), Some(2));
}
