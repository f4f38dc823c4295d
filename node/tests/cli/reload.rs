//! What SIGHUP makes of the lock's file.

use std::fs;

use serde_json::Value;
use stayfound::core::cluster::OperatorIndex;
use stayfound::core::keys::SecretKey;
use stayfound::core::record::{Endpoints, Signed};

use crate::process::{Fixture, Process, Run, assert_says, wait_for};

/// The next line about this event.
fn told(process: &Process, event: &str) -> Value {
    let line = wait_for(&process.out, &format!("\"event\":\"{event}\""));
    serde_json::from_str(&line).expect("a line of JSON")
}

/// The fixture's lock with somebody else's key at this place.
fn replaced(fixture: &Fixture, place: usize, lock: &str) -> String {
    let stranger = SecretKey::from_bytes(&[9; 32]).expect("a key");
    let stranger = Signed::sign(&stranger, 0, &Endpoints::default()).to_text();
    let before = fixture.cluster.manifest().operators()[place].record.to_text();
    assert!(lock.contains(&before));
    lock.replace(&before, &stranger)
}

#[test]
fn on_a_hangup_the_lock_is_read_again() {
    let fixture = Fixture::new();
    let sound = fs::read_to_string(fixture.lock()).expect("reads");
    let more = vec!["--json".into(), "--no-verify".into()]; // the locks of this test are signed by nobody
    let node = Run { more, ..fixture.run() }.start();
    assert_eq!(told(&node, "started")["status"]["authorised"], true);
    let reload = |lock: &str| {
        fs::write(fixture.lock(), lock).expect("writes");
        node.signal("HUP");
    };

    reload(&replaced(&fixture, 2, &sound));
    let changes = told(&node, "manifest")["changes"].clone();
    let before = fixture.cluster.manifest().get(OperatorIndex(2)).expect("one of four").node_id;
    assert_eq!(changes.as_array().map(Vec::len), Some(1), "{changes}");
    assert_eq!((&changes[0]["change"], &changes[0]["operator"]), (&"replaced".into(), &2.into()));
    assert_eq!(changes[0]["before"], before.to_string());
    assert_says(&wait_for(&node.err, "operator replaced"), &["operator=2", &format!("{before:#}")]);

    // What is not as it must be changes nothing.
    for (lock, why) in [
        ("not JSON".to_owned(), "not the JSON of a lock"),
        (sound.replace(fixture.cluster.manifest().uuid(), "ANOTHER"), "another cluster"),
    ] {
        reload(&lock);
        let said = told(&node, "refused")["why"].to_string();
        assert_says(&said, &[&fixture.lock().display().to_string(), why]);
        assert_says(&wait_for(&node.err, "the manifest in force stays"), &["ERROR", why]);
    }
    reload(&replaced(&fixture, 2, &sound));
    assert_eq!(told(&node, "manifest")["changes"], Value::Array(vec![]), "it was in force still");
    wait_for(&node.err, "the operators are the same");

    reload(&replaced(&fixture, 0, &sound));
    told(&node, "unauthorised");
    wait_for(&node.err, "our key is no operator's any more");
    reload(&sound);
    assert_eq!(told(&node, "manifest")["changes"][0]["operator"], 0);

    node.signal("TERM");
    let ended = node.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}
