//! Changes, told to programs as JSON: one object a line.

use serde_json::{Value, json};
use stayfound_core::cluster::Change;
use stayfound_core::node::{Event, Violation};
use stayfound_core::record::{NodeId, Signed};

use super::wall;

/// A line for one of the core's events. Operators are counted from 0.
pub(super) fn event(event: &Event) -> Value {
    match event {
        Event::OwnRecord { record } => line("own_record", record_members(record)),
        Event::Record { operator, record } => {
            line("record", merged(json!({ "operator": operator.0 }), record_members(record)))
        }
        Event::Linked { operator, remote } => {
            line("linked", json!({ "operator": operator.0, "remote": remote }))
        }
        Event::Lost { operator } => line("lost", json!({ "operator": operator.0 })),
        Event::Manifest { changes } => {
            let changes: Vec<_> = changes.iter().map(change).collect();
            line("manifest", json!({ "changes": changes }))
        }
        Event::Unauthorised => line("unauthorised", json!({})),
        Event::Equivocation { operator, seq } => {
            line("equivocation", json!({ "operator": operator.0, "seq": seq }))
        }
        Event::OtherCluster { operator, theirs } => {
            line("other_cluster", json!({ "operator": operator.0, "lock_hash": hex(theirs) }))
        }
        Event::Violated { operator, how } => {
            line("violated", json!({ "operator": operator.0, "how": violation(*how) }))
        }
        Event::Damaged { what } => line("damaged", json!({ "what": what })),
        Event::KeyInUseElsewhere => line("key_in_use_elsewhere", json!({})),
        Event::Answered { id, answer } => {
            line("answered", json!({ "id": id, "answer": format!("{answer:?}") }))
        }
        Event::Talk(talk) => line("talk", json!({ "from": talk.from.at.to_string() })),
        Event::SeqExhausted => line("seq_exhausted", json!({})),
    }
}

/// A line with the members `event` and `at_ms` (Unix milliseconds), and what belongs to the event.
pub(super) fn line(event: &str, members: Value) -> Value {
    merged(json!({ "event": event, "at_ms": wall().0 }), members)
}

/// Lower-case hex with 0x, as charon writes it.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".into(), |text, byte| text + &format!("{byte:02x}"))
}

/// A record as every line has it.
pub(super) fn record_members(record: &Signed) -> Value {
    let addresses: Vec<_> = record.endpoints().quic_addresses().collect();
    json!({ "seq": record.seq(), "addresses": addresses, "text": record.to_text() })
}

pub(super) fn merged(mut object: Value, members: Value) -> Value {
    let (Value::Object(all), Value::Object(more)) = (&mut object, members) else {
        panic!("every line is a JSON object");
    };
    all.extend(more);
    object
}

/// Node ids are told in full.
fn change(change: &Change) -> Value {
    let text = |node: &NodeId| node.to_string();
    match change {
        Change::Added { operator, node_id } => {
            json!({ "change": "added", "operator": operator.0, "node_id": text(node_id) })
        }
        Change::Replaced { operator, before, node_id } => {
            let (before, node_id) = (text(before), text(node_id));
            let operator = operator.0;
            json!({ "change": "replaced", "operator": operator, "before": before, "node_id": node_id })
        }
        Change::Removed { operator, node_id } => {
            json!({ "change": "removed", "operator": operator.0, "node_id": text(node_id) })
        }
        Change::Moved { from, operator, node_id } => {
            let (from, operator, node_id) = (from.0, operator.0, text(node_id));
            json!({ "change": "moved", "from": from, "operator": operator, "node_id": node_id })
        }
    }
}

fn violation(how: Violation) -> String {
    match how {
        Violation::Oversized => "oversized".into(),
        Violation::Malformed => "malformed".into(),
        Violation::OutOfOrder => "out_of_order".into(),
        Violation::Version(version) => format!("version_{version}"),
        Violation::Reloads => "reloads".into(),
    }
}
