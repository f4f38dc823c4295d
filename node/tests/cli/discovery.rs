//! Boot nodes and questions to them, end to end: the built binary over real sockets.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use stayfound::core::keys::SecretKey;
use stayfound::core::record::{Endpoints, Signed};

use super::process::{DEADLINE, Ended, Process, assert_says, end_of, stayfound, wait_for};

/// A record of somebody, at an address where nobody is.
fn somebody() -> Signed {
    let key = SecretKey::from_bytes(&[7; 32]).expect("a key");
    Signed::sign(&key, 1, &Endpoints::at(["192.0.2.1:3610".parse().expect("an address")]))
}

/// Makes a key, and answers with the record that was made with it.
fn new_key(path: &Path) -> Signed {
    let made = end_of(&["enr", "new", "--key", path.to_str().expect("text")]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    Signed::from_text(made.out.trim_end()).expect("a record")
}

fn boot_node(directory: &Path, name: &str, boot: &[&Signed]) -> (Process, Signed) {
    let mut command = stayfound(&["bootnode", "--listen", "127.0.0.1:0"]);
    command.arg("--key").arg(directory.join(name));
    command.arg("--data-dir").arg(directory.join(format!("{name} data")));
    for node in boot {
        command.args(["--boot", &node.to_text()]);
    }
    let process = Process::start({
        command.env("RUST_LOG", "warn,stayfound=debug");
        command
    });
    let first = process.out.recv_timeout(DEADLINE).expect("it speaks");
    (process, Signed::from_text(first.trim_end()).expect("its first line is its record"))
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out)
        .unwrap_or_else(|why| panic!("{why}: {}{}", ended.out, ended.err))
}

/// Looks for a node until it is found.
fn look_for(target: &str, boot: &Signed) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let ended = end_of(&["lookup", target, "--boot", &boot.to_text(), "--json"]);
        let found = json(&ended);
        assert_eq!(ended.code == Some(0), found["found"] == true, "{found}");
        if ended.code == Some(0) {
            return found;
        }
        assert!(Instant::now() < deadline, "{}", ended.err);
    }
}

#[cfg(unix)]
#[test]
fn a_boot_node_answers_leads_on_and_remembers() {
    let root = tempfile::tempdir().expect("a directory");
    let directory = root.path();
    for name in ["first", "second"] {
        new_key(&directory.join(name));
    }
    let (first, of_first) = boot_node(directory, "first", &[]);
    let (second, of_second) = boot_node(directory, "second", &[&of_first]);

    let pong = end_of(&["ping", &of_first.to_text(), "--json"]);
    assert_eq!(pong.code, Some(0), "{}", pong.err);
    let pong = json(&pong);
    assert_eq!(pong["seq"], of_first.seq());
    assert_eq!(pong["node_id"], of_first.node_id().to_string());
    assert_says(pong["observed"].as_str().expect("an address"), &["127.0.0.1:"]);
    assert!(pong["rtt_ms"].as_f64().is_some_and(|rtt| rtt > 0.0), "{pong}");

    for target in [of_second.node_id().to_string(), of_second.to_text()] {
        assert_eq!(look_for(&target, &of_first)["text"], of_second.to_text());
    }
    let unknown = format!("0x{}", "ab".repeat(32));
    let ended = end_of(&["lookup", &unknown, "--boot", &of_first.to_text()]);
    assert_eq!(ended.code, Some(1));
    assert_says(&ended.err, &["is not found"]);

    wait_for(&first.err, "the nodes that answer are written down");
    first.signal("TERM");
    assert_eq!(first.end().code, Some(0));
    let ended = end_of(&["ping", &of_first.to_text()]);
    assert_eq!((ended.code, &*ended.out), (Some(1), ""));
    assert_says(&ended.err, &["does not answer at 127.0.0.1:"]);
    let ended = end_of(&["lookup", &unknown, "--boot", &of_first.to_text()]);
    assert_eq!(ended.code, Some(1));
    assert_says(&ended.err, &["no boot node answers"]);

    // It is told of nobody, and nobody is told where it is now.
    let (first, of_first_now) = boot_node(directory, "first", &[]);
    assert!(of_first_now.seq() > of_first.seq());
    let found = look_for(&of_second.node_id().to_string(), &of_first_now);
    assert_eq!(found["text"], of_second.to_text());
    for (process, signal) in [(first, "INT"), (second, "TERM")] {
        process.signal(signal);
        assert_eq!(process.end().code, Some(0));
    }
}

#[test]
fn a_record_is_shown_whole_with_the_verdict() {
    let text = somebody().to_text();
    let shown = end_of(&["enr", "show", &text]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let id = somebody().node_id().to_string();
    assert_says(&shown.out, &["valid", &id, "192.0.2.1", "3610", "v4", "secp256k1"]);
    assert!(!shown.out.contains("NOT VALID"), "{}", shown.out);

    // Within the signature.
    let forged =
        format!("{}{}{}", &text[..20], if &text[20..21] == "A" { "B" } else { "A" }, &text[21..]);
    let shown = end_of(&["enr", "show", &forged]);
    assert_eq!(shown.code, Some(1));
    assert_says(&shown.out, &["NOT VALID", &id, "192.0.2.1"]);
    let shown = end_of(&["enr", "show", "--json", &forged]);
    assert_eq!((shown.code, &json(&shown)["valid"]), (Some(1), &Value::Bool(false)));
}

#[test]
fn a_key_is_made_once() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("key");
    let made = new_key(&path);
    let content = fs::read(&path).expect("reads");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).expect("is there")) & 0o777,
        0o600
    );
    assert_eq!(new_key(&path), made);
    let key = path.to_str().expect("text");
    let more =
        ["--seq", "9", "--ip", "192.0.2.1", "--ip", "2001:db8::1", "--udp", "1", "--quic", "2"];
    let full = end_of(&[&["enr", "new", "--key", key][..], &more].concat());
    let full = Signed::from_text(full.out.trim_end()).expect("a record");
    assert_eq!((full.node_id(), full.seq()), (made.node_id(), 9));
    let addresses = |all: &mut dyn Iterator<Item = _>| {
        all.map(|at: std::net::SocketAddr| at.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        addresses(&mut full.endpoints().udp_addresses()),
        ["192.0.2.1:1", "[2001:db8::1]:1"]
    );
    assert_eq!(
        addresses(&mut full.endpoints().quic_addresses()),
        ["192.0.2.1:2", "[2001:db8::1]:2"]
    );
    assert_eq!(fs::read(&path).expect("reads"), content);
    let mapped = ["--ip", "::ffff:192.0.2.1", "--udp", "1"];
    let mapped = end_of(&[&["enr", "new", "--key", key][..], &mapped].concat());
    let mapped = Signed::from_text(mapped.out.trim_end()).expect("a record");
    assert_eq!(addresses(&mut mapped.endpoints().udp_addresses()), ["192.0.2.1:1"]);

    fs::write(&path, "no key").expect("writes");
    let refused = end_of(&["enr", "new", "--key", key]);
    assert_eq!(refused.code, Some(2));
    assert_eq!(fs::read(&path).expect("reads"), b"no key");
}

#[test]
fn what_is_no_node_is_refused_with_its_reason() {
    let root = tempfile::tempdir().expect("a directory");
    let key = root.path().join("key");
    let key = key.to_str().expect("text");
    let (good, id) = (somebody().to_text(), somebody().node_id().to_string());
    let nowhere =
        Signed::sign(&SecretKey::from_bytes(&[8; 32]).expect("a key"), 1, &Endpoints::default());
    let nowhere = nowhere.to_text();
    for (arguments, reason) in [
        (&["ping", "foo"][..], "begins with \"enr:\""),
        (&["ping", "enr:zzz"], "base64"),
        (&["ping", &good[..60]], "no valid ENR"),
        (&["ping", &nowhere], "names no address"),
        (&["lookup", &id, "--boot", &nowhere], "names no address"),
        (&["lookup", "xyz", "--boot", &good], "64 hex digits"),
        (&["lookup", &id[..62], "--boot", &good], "not 62"),
        (&["lookup", &id], "--boot"),
        (&["enr", "show", "enr:AAAA"], "no valid ENR"),
        (&["enr", "show", "foo"], "begins with"),
        (&["enr", "new", "--key", key, "--ip", "224.0.0.1"], "224.0.0.1"),
        (&["enr", "new", "--key", key, "--ip", "192.0.2.1", "--ip", "192.0.2.2"], "second address"),
        (&["bootnode", "--key", key], "cannot be read"),
        (&["bootnode", "--key", key, "--boot", "enr:zzz"], "base64"),
        (&["run", "--lock", "a", "--key", "b", "--data-dir", "c", "--boot", "x"], "begins with"),
        (
            &[
                "run",
                "--lock",
                "a",
                "--key",
                "b",
                "--data-dir",
                "c",
                "--boot",
                &good,
                "--no-discovery",
            ],
            "cannot be used with",
        ),
    ] {
        let ended = end_of(arguments);
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{arguments:?}: {}", ended.err);
        assert_says(&ended.err, &[reason]);
    }
    assert!(!Path::new(key).exists(), "a refusal makes no key");

    new_key(Path::new(key));
    let taken = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let listen = taken.local_addr().expect("is bound");
    let ended = end_of(&["bootnode", "--key", key, "--listen", &listen.to_string()]);
    assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{}", ended.err);
    assert_says(&ended.err, &[&format!("UDP port {}", listen.port()), "in use"]);
}

#[test]
fn every_command_gives_examples() {
    for command in ["enr", "manifest"] {
        assert_says(&end_of(&[command, "--help"]).out, &["Examples:"]);
    }
    for command in [
        &["run"][..],
        &["bootnode"],
        &["lookup"],
        &["ping"],
        &["enr", "show"],
        &["enr", "new"],
        &["devnet"],
    ] {
        let help = end_of(&[command, &["--help"]].concat());
        assert_eq!(help.code, Some(0));
        assert_says(&help.out, &["Examples:", "Exit codes"]);
    }
}
