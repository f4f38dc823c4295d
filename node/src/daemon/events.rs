//! What the log says of the core's events.

use stayfound_core::cluster::Change;
use stayfound_core::node::Event;
use tracing::{error, info, warn};

use crate::status::name;

/// Says what happened.
pub(super) fn log(event: &Event) {
    match event {
        Event::OwnRecord { record } => {
            info!(seq = record.seq(), record = record.to_text(), "our own record is published");
        }
        Event::Record { operator, record } => {
            let addresses: Vec<_> = record.endpoints().quic_addresses().collect();
            info!(%operator, seq = record.seq(), ?addresses, "a new record");
        }
        Event::Linked { operator, remote } => info!(%operator, %remote, "linked"),
        Event::Lost { operator } => info!(%operator, "not linked any more"),
        Event::Manifest { changes } if changes.is_empty() => {
            info!("the lock or manifest was read again: the operators are the same");
        }
        Event::Manifest { changes } => {
            info!(changes = changes.len(), "another manifest is in force");
            changes.iter().for_each(log_change);
        }
        Event::Unauthorised => {
            error!("our key is no operator's any more: nobody is linked until it is one again");
        }
        Event::Equivocation { operator, seq } => {
            warn!(%operator, seq, "signed two records with one sequence number: does it run twice?");
        }
        Event::OtherCluster { operator, theirs } => {
            let lock = hex(theirs);
            warn!(%operator, lock, "runs with another cluster lock than ours: compare them");
        }
        Event::Violated { operator, how } => {
            warn!(%operator, ?how, "broke the protocol; its link is closed");
        }
        Event::Damaged { what } => {
            warn!(what, "a stored row is ignored; peers will send its content again");
        }
        Event::KeyInUseElsewhere => {
            error!("another node runs with our key: stop one of the two");
        }
        Event::Answered { .. } | Event::Talk(_) => {}
        Event::SeqExhausted => {
            error!("our record is at the largest sequence number and can never be replaced");
        }
    }
}

/// Who, by index, by the beginning of the node id and by name.
fn log_change(change: &Change) {
    match change {
        Change::Added { operator, node_id: node } => {
            info!(%operator, node = %format_args!("{node:#}"), name = name(node), "operator added");
        }
        Change::Replaced { operator, before, node_id: node } => {
            let (before, node) = (format!("{before:#}"), format!("{node:#}"));
            info!(%operator, before, node, "operator replaced: the key before has no authority");
        }
        Change::Removed { operator, node_id: node } => {
            info!(%operator, node = %format_args!("{node:#}"), name = name(node), "operator removed");
        }
        Change::Moved { from, operator, node_id: node } => {
            info!(%operator, %from, node = %format_args!("{node:#}"), "operator has another index");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
