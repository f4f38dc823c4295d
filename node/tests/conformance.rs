//! What the public conformance suite of discv5 asks, anew: seven questions of a stranger's to a
//! running `stayfound bootnode`, which each test starts afresh; and two that are proposed for it.

#![cfg(target_os = "linux")] // elsewhere 127.0.0.2 is no address of the host

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use stayfound_core::discovery::message::{Distances, Message, Records, RequestId};
use stayfound_core::discovery::packet::PACKET_BYTES_MAX;
use stayfound_core::keys::SecretKey;
use stayfound_core::record::{Claimed, Endpoints, Signed};
use stayfound_tests::client::{Challenge, Client, Peer, Session};
use tempfile::TempDir;

/// How long the suite waits for each packet.
const READ_WITHIN: Duration = Duration::from_millis(300);
/// A bystander answers as soon as it is asked; five take turns.
const ANSWERED_WITHIN: Duration = Duration::from_millis(20);
/// How long it gives a node to check whom it has met (R81).
const CHECKED_WITHIN: Duration = Duration::from_secs(60);
const BYSTANDERS: u8 = 5;
/// For a process to start, even on a slow machine.
const DEADLINE: Duration = Duration::from_secs(120);

const LISTEN_1: &str = "127.0.0.1:0";
const LISTEN_2: &str = "127.0.0.2:0";

/// A running `stayfound bootnode`, killed at the end.
struct BootNode {
    child: Child,
    record: Signed,
    _directory: TempDir,
}

impl BootNode {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        fs::write(&key, "11".repeat(32)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stayfound"));
        command.args(["bootnode", "--listen", LISTEN_1, "--key"]).arg(&key);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (teller, told) = mpsc::channel();
        thread::spawn(move || lines.next().map(|line| teller.send(line)));
        let line = told.recv_timeout(DEADLINE).expect("it tells its record").unwrap();
        let record = Signed::from_text(&line).expect("its first line is its record");
        Self { child, record, _directory: directory }
    }

    fn at(&self) -> SocketAddr {
        self.record.endpoints().udp_addresses().next().expect("a boot node says where it is")
    }
}

impl Drop for BootNode {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// One identity of the suite's, and the keys it holds last, whatever address they were made for.
struct Tester {
    client: Client,
    node: Peer,
    at: SocketAddr,
    session: Option<Session>,
    next_id: u32,
}

/// What a node sent.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Challenge(Challenge, Vec<u8>),
    Pong { id: RequestId, observed: SocketAddr },
    Nodes { id: RequestId, total: u64, records: Vec<Vec<u8>> },
    Talk { id: RequestId, response: Vec<u8> },
}

fn bind(at: &str) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_read_timeout(Some(READ_WITHIN)).unwrap();
    socket
}

impl Tester {
    /// Like the suite's, it says of itself nowhere where it is: so no node asks it anything.
    fn new(node: &BootNode) -> Self {
        Self::with(node, 0, None)
    }

    /// One whose record says where it is, so that a node checks it.
    fn bystander(node: &BootNode, number: u8, at: &UdpSocket) -> Self {
        Self::with(node, number, at.local_addr().ok())
    }

    fn with(node: &BootNode, number: u8, at: Option<SocketAddr>) -> Self {
        let key = SecretKey::from_bytes(&[0x20 + number; 32]).unwrap();
        let client = Client::new(key, at);
        let (peer, at) = (Peer::new(node.record.clone()), node.at());
        Self { client, node: peer, at, session: None, next_id: 1 }
    }

    /// Request ids of four bytes, as the suite has them.
    fn id(&mut self) -> RequestId {
        self.next_id += 1;
        RequestId::new(&self.next_id.to_be_bytes()).unwrap()
    }

    fn ping(&mut self) -> (RequestId, Message<'static>) {
        let id = self.id();
        (id, Message::Ping { id, enr_seq: self.client.record().seq() })
    }

    /// Sends a message with the keys it has, or something that nobody can read.
    fn send(&mut self, from: &UdpSocket, message: &Message<'_>) {
        let bytes = match &self.session {
            Some(session) => self.client.say(&self.node, session, message),
            None => self.client.probe(&self.node).1,
        };
        from.send_to(&bytes, self.at).unwrap();
    }

    /// The next packet.
    fn read(&mut self, at: &UdpSocket) -> Option<Said> {
        let packet = receive(at, self.at)?;
        if let Some(challenge) = self.client.challenge(&packet) {
            return Some(Said::Challenge(challenge, packet));
        }
        let session = self.session.as_ref().expect("only a challenge needs no session");
        let mut scratch = [0; PACKET_BYTES_MAX];
        let said = self.client.hear(session, &packet, &mut scratch);
        Some(match said.expect("a packet in the session") {
            Message::Pong { id, observed, .. } => Said::Pong { id, observed },
            Message::Nodes { id, total, records } => {
                let records = records.iter().map(<[u8]>::to_vec).collect();
                Said::Nodes { id, total, records }
            }
            Message::TalkResponse { id, response } => {
                Said::Talk { id, response: response.to_vec() }
            }
            other => panic!("nothing was said that asks for {other:?}"),
        })
    }

    /// Answers a challenge with a message.
    fn shake(&mut self, from: &UdpSocket, challenge: &Said, message: &Message<'_>) {
        let Said::Challenge(challenge, _) = challenge else { panic!("{challenge:?}") };
        let (session, bytes) = self.client.shake(&self.node, challenge, message);
        self.session = Some(session);
        from.send_to(&bytes, self.at).unwrap();
    }

    /// Sends, shakes hands if asked to, and answers with what comes then.
    fn ask(&mut self, from: &UdpSocket, message: &Message<'_>) -> Option<Said> {
        self.send(from, message);
        match self.read(from)? {
            challenge @ Said::Challenge(..) => {
                self.shake(from, &challenge, message);
                self.read(from)
            }
            said => Some(said),
        }
    }

    /// A PING that is answered.
    fn pings(&mut self, from: &UdpSocket) {
        let (id, ping) = self.ping();
        let observed = from.local_addr().unwrap();
        assert_eq!(self.ask(from, &ping), Some(Said::Pong { id, observed }));
    }

    /// FINDNODE, and the records of all packets of the answer.
    fn finds(&mut self, from: &UdpSocket, distances: &[u16]) -> Vec<Signed> {
        let sent = self.id();
        let find = Message::FindNode { id: sent, distances: Distances::from(distances) };
        let mut said = self.ask(from, &find);
        let (mut all, mut packets) = (Vec::new(), 0);
        loop {
            let Some(Said::Nodes { id, total, records }) = said else { panic!("{said:?}") };
            assert_eq!(id, sent);
            assert!((1..=6).contains(&total), "{total} packets");
            packets += 1;
            let signed = |bytes: &Vec<u8>| Claimed::parse(bytes).unwrap().verify().unwrap();
            all.extend(records.iter().map(signed));
            if packets == total {
                return all;
            }
            said = self.read(from);
        }
    }

    /// Answers whatever the node asks for as long as something comes at once; whether it was a
    /// PING.
    fn is_pinged(&mut self, at: &UdpSocket) -> bool {
        let mut pinged = false;
        while let Some(packet) = receive(at, self.at) {
            let session = self.session.as_ref().expect("it has pinged before");
            let mut scratch = [0; PACKET_BYTES_MAX];
            let asked = self.client.hear(session, &packet, &mut scratch);
            let answer = match asked.expect("a packet in the session") {
                Message::Ping { id, .. } => {
                    pinged = true;
                    Message::Pong { id, enr_seq: self.client.record().seq(), observed: self.at }
                }
                Message::FindNode { id, .. } => {
                    Message::Nodes { id, total: 1, records: Records::from(&[][..]) }
                }
                other => panic!("nobody asked for {other:?}"),
            };
            self.send(at, &answer);
        }
        pinged
    }
}

/// The next datagram of this node.
fn receive(at: &UdpSocket, node: SocketAddr) -> Option<Vec<u8>> {
    let mut packet = [0; 2048];
    loop {
        match at.recv_from(&mut packet) {
            Ok((size, from)) if from == node => return Some(packet[..size].to_vec()),
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return None;
            }
            Err(e) => panic!("loopback fails: {e}"),
        }
    }
}

#[test]
fn ping() {
    let (node, at) = (BootNode::start(), bind(LISTEN_1));
    Tester::new(&node).pings(&at);
}

#[test]
fn ping_large_request_id() {
    let (node, at) = (BootNode::start(), bind(LISTEN_1));
    let mut tester = Tester::new(&node);
    tester.pings(&at);
    // PING, a list of 11 bytes: an id of 9, and seq 1.
    let ping = [&[0x01, 0xcb, 0x89][..], &[7; 9], &[0x01]].concat();
    let session = tester.session.clone().unwrap();
    let bytes = tester.client.say_bytes(&tester.node, &session, &ping);
    at.send_to(&bytes, node.at()).unwrap();
    assert_eq!(tester.read(&at), None);
    // The session stays.
    tester.pings(&at);
}

#[test]
fn ping_multi_ip() {
    let (node, first, second) = (BootNode::start(), bind(LISTEN_1), bind(LISTEN_2));
    let mut tester = Tester::new(&node);
    tester.pings(&first);
    // The same keys from elsewhere: who are you?
    let (id, ping) = tester.ping();
    tester.send(&second, &ping);
    let challenge = tester.read(&second).expect("a challenge");
    tester.shake(&second, &challenge, &ping);
    let observed = second.local_addr().unwrap();
    assert_eq!(tester.read(&second), Some(Said::Pong { id, observed }));
    // And those keys from where it was first.
    let (_, ping) = tester.ping();
    tester.send(&first, &ping);
    let said = tester.read(&first);
    assert!(matches!(said, Some(Said::Challenge(..))), "{said:?}");
}

#[test]
fn handshake_resend() {
    let (node, at) = (BootNode::start(), bind(LISTEN_1));
    let mut tester = Tester::new(&node);
    let (nonce, probe) = tester.client.probe(&tester.node);
    at.send_to(&probe, node.at()).unwrap();
    let first = tester.read(&at);
    let Some(Said::Challenge(challenge, _)) = &first else { panic!("{first:?}") };
    assert_eq!(challenge.nonce, nonce);
    let (_, ping) = tester.ping();
    tester.send(&at, &ping);
    assert_eq!(tester.read(&at), first, "the same challenge, byte by byte");
}

#[test]
fn talk_request() {
    let (node, at) = (BootNode::start(), bind(LISTEN_1));
    let mut tester = Tester::new(&node);
    for id in [tester.id(), RequestId::new(&[]).unwrap()] {
        let talk = Message::TalkRequest { id, protocol: b"test-protocol", request: &[] };
        assert_eq!(tester.ask(&at, &talk), Some(Said::Talk { id, response: vec![] }));
    }
}

#[test]
fn findnode_zero_distance() {
    let (node, at) = (BootNode::start(), bind(LISTEN_1));
    let mut tester = Tester::new(&node);
    assert_eq!(tester.finds(&at, &[0]), std::slice::from_ref(&node.record));
}

#[test]
fn findnode_wrong_ip() {
    let (node, first, second) = (BootNode::start(), bind(LISTEN_1), bind(LISTEN_2));
    let mut tester = Tester::new(&node);
    tester.pings(&first);
    let find = Message::FindNode { id: tester.id(), distances: Distances::from(&[0][..]) };
    tester.send(&second, &find);
    let said = tester.read(&second);
    assert!(matches!(said, Some(Said::Challenge(..))), "{said:?}");
    assert_eq!(tester.read(&second), None, "who has not proved where it is is told nothing");
    assert_eq!(tester.finds(&first, &[0]), std::slice::from_ref(&node.record));
}

#[test]
fn unsolicited_nodes() {
    let (node, at) = (BootNode::start(), bind(LISTEN_1));
    let mut tester = Tester::new(&node);
    tester.pings(&at);
    let key = SecretKey::from_bytes(&[0x77; 32]).unwrap();
    let nowhere = bind(LISTEN_1); // held, so that nobody else answers there
    let stranger = Signed::sign(&key, 1, &Endpoints::at([nowhere.local_addr().unwrap()]));
    let records = Records::from(std::slice::from_ref(&stranger));
    let told = Message::Nodes { id: tester.id(), total: 1, records };
    tester.send(&at, &told);
    assert_eq!(tester.read(&at), None);
    assert_eq!(receive(&nowhere, node.at()), None, "nobody is asked of whom nobody wanted to hear");
    let distance = stranger.node_id().log_distance(&node.record.node_id());
    assert_eq!(tester.finds(&at, &[distance]), []);
    tester.pings(&at);
}

#[test]
fn findnode_results() {
    let node = BootNode::start();
    let mut bystanders: Vec<(Tester, UdpSocket)> = (1..=BYSTANDERS)
        .map(|number| {
            let at = bind(LISTEN_1);
            let mut tester = Tester::bystander(&node, number, &at);
            tester.pings(&at);
            at.set_read_timeout(Some(ANSWERED_WITHIN)).unwrap();
            (tester, at)
        })
        .collect();
    let mut unchecked: BTreeSet<usize> = (0..bystanders.len()).collect();
    let end = Instant::now() + CHECKED_WITHIN;
    while !unchecked.is_empty() {
        assert!(Instant::now() < end, "{unchecked:?} were never pinged back");
        unchecked.retain(|number| {
            let (tester, at) = &mut bystanders[*number];
            !tester.is_pinged(at)
        });
    }
    let all: BTreeSet<_> = bystanders.iter().map(|(tester, _)| tester.client.id()).collect();
    let distances: BTreeSet<u16> =
        all.iter().map(|id| id.log_distance(&node.record.node_id())).collect();
    let distances: Vec<u16> = distances.into_iter().collect();
    let at = bind(LISTEN_1);
    let mut tester = Tester::new(&node);
    // The suite asks up to five times; but all have answered by now, so that once is enough.
    let found = tester.finds(&at, &distances);
    assert_eq!(found.len(), all.len());
    assert_eq!(found.iter().map(Signed::node_id).collect::<BTreeSet<_>>(), all);
}
