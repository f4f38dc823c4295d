//! The built binary: what bad input gets, and that a node starts and stops.

use std::fs;
use std::net::UdpSocket;

use stayfound::core::cluster::OperatorIndex;
use stayfound::store::DiskStore;

use self::process::{Fixture, Run, assert_says, end_of, snapshot, wait_for};

mod ceremony;
mod discovery;
mod process;
#[cfg(unix)]
mod reload;
#[cfg(unix)]
mod unread;

#[test]
fn help_is_no_failure_and_gives_examples() {
    let help = end_of(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert_says(&help.out, &["run", "bootnode", "lookup", "ping", "enr", "devnet", "Examples:"]);
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
    // A directory of charon's own within it, and a new one in that.
    let keys = charons.join("validator_keys");
    assert_says(&fixture.refused_data_dir(keys.clone()), &[reason]);
    assert_says(&fixture.refused_data_dir(keys.join("new")), &[reason]);
    // A path that leads down and up again through what is not there.
    let elsewhere = fixture.root.path().join("new");
    assert_says(&fixture.refused_data_dir(elsewhere.join("../node0")), &["plain path"]);
    assert_says(&fixture.refused_data_dir(charons.join("new/../data")), &["plain path"]);
    #[cfg(unix)]
    {
        let link = fixture.root.path().join("link");
        std::os::unix::fs::symlink(&charons, &link).expect("links");
        assert_says(&fixture.refused_data_dir(link), &[reason]);
        // A database that would be made where a link leads, and a directory.
        fs::create_dir(fixture.data_dir()).expect("makes");
        let database = fixture.data_dir().join(DiskStore::FILE);
        std::os::unix::fs::symlink(charons.join("new"), &database).expect("links");
        assert_says(&fixture.refused_data_dir(fixture.data_dir()), &["a link"]);
        let link = fixture.root.path().join("link to nothing");
        std::os::unix::fs::symlink(charons.join("new"), &link).expect("links");
        assert_says(&fixture.refused_data_dir(link), &["cannot be used"]);
    }
    // The directory of the lock, where it is not that of the key.
    let lock = fixture.cluster.lock_file(OperatorIndex(1));
    let data_dir = fixture.cluster.node_dir(OperatorIndex(1));
    let said = fixture.refused(&Run { lock, data_dir, ..fixture.run() }, 2);
    assert_says(&said, &[reason]);
}

#[cfg(unix)]
#[test]
fn an_empty_directory_made_for_us_within_charons_serves() {
    let fixture = Fixture::new();
    let data_dir = fixture.cluster.node_dir(OperatorIndex(0)).join("stayfound");
    fs::create_dir(&data_dir).expect("makes");
    // Once empty, once with our database in it.
    for _ in 0..2 {
        let node = Run { data_dir: data_dir.clone(), ..fixture.run() }.start();
        wait_for(&node.err, "enr:");
        node.signal("TERM");
        assert_eq!(node.end().code, Some(0));
    }
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
    // Zeros, as redb leaves behind where it is interrupted, but only a page of them.
    let mut content = vec![0; 4_096];
    content[9..].fill(b'x');
    for content in [content, vec![0; 4_096]] {
        fs::write(fixture.data_dir().join(DiskStore::FILE), content).expect("writes");
        assert_says(&fixture.refused_data_dir(fixture.data_dir()), &["is no database"]);
    }
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
        wait_for(&node.err, "verified; every operator's ENR key stands on the word of the lock");
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
fn a_node_that_nobody_answers_says_so_and_of_whom_it_cannot_ask() {
    let fixture = Fixture::new();
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("binds"); // held, and answers nothing
    let dead = nobody.local_addr().expect("is bound").to_string();
    let hints = [format!("1={dead}"), "2=[2001:db8::7]:3610".into()];
    let more = hints.into_iter().flat_map(|hint| ["--hint".into(), hint]).collect();
    let node = Run { more, ..fixture.run() }.start();
    let unused = wait_for(&node.err, "is of no use");
    assert_says(&unused, &["WARN", "--hint 2=[2001:db8::7]:3610", "--listen 127.0.0.1:0"]);
    let said = wait_for(&node.err, "nobody is linked");
    let of_one = format!("operator 1 does not answer at [{dead}]");
    assert_says(&said, &["WARN", &of_one, "no address of operator 3 is known", "--hint", "--boot"]);
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
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
    assert_eq!(started["cluster"]["verified"], true);
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
fn a_devnet_heals_three_times() {
    let ended = end_of(&["devnet", "--operators", "5"]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    assert_says(
        &ended.out,
        &[
            "operator 2",
            "moved",
            "operator 3",
            "lost its data",
            "strangers",
            "all operators moved",
            "operator 1",
            "healed",
        ],
    );
    assert!(!ended.out.contains('\x1b'), "no escapes without a terminal: {}", ended.out);
    assert_eq!(ended.err, "");
}
