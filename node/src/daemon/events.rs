//! What the log says of the core's events.

use stayfound_core::node::Event;
use tracing::{error, info, warn};

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
