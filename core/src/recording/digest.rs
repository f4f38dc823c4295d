//! What a node wanted done, as one number that depends on every byte of it.

use sha2::{Digest as _, Sha256};

use super::code::Writer;
use crate::discovery::Answer;
use crate::node::{Event, Output};
use crate::record::Signed;
use crate::time::Mono;

/// The digest of everything that a node wanted done so far: the first 8 bytes of a chain of SHA-256.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    before: [u8; 32],
    /// Room for what is hashed.
    room: Vec<u8>,
}

impl Digest {
    /// One more step: what it led to, and when the node wants to be woken. Answers the digest.
    pub fn add(&mut self, outputs: &[Output], wake_at: Option<Mono>) -> u64 {
        self.room.clear();
        let mut out = Writer(&mut self.room);
        out.maybe(wake_at, |out, Mono(at)| out.u64(at));
        out.many(outputs, |out, output| write(output, out));
        self.before =
            Sha256::new().chain_update(self.before).chain_update(&self.room).finalize().into();
        let (first, _) = self.before.split_first_chunk().expect("32 bytes begin with 8");
        u64::from_le_bytes(*first)
    }
}

fn write(output: &Output, out: &mut Writer<'_>) {
    match output {
        Output::Dial { dial, peer, address } => {
            out.u8(1);
            out.u64(dial.0);
            out.array(peer.as_bytes());
            out.address(*address);
        }
        Output::Send { link, bytes } => {
            out.u8(2);
            out.u64(link.0);
            out.bytes(bytes);
        }
        Output::Close { link, why } => {
            out.u8(3);
            out.u64(link.0);
            out.u8(*why as u8);
        }
        Output::Datagram { to, bytes } => {
            out.u8(4);
            out.address(*to);
            out.bytes(bytes);
        }
        Output::Persist { ticket, row } => {
            out.u8(5);
            out.u64(ticket.0);
            out.array(&row.key.0);
            out.bytes(&row.value);
        }
        Output::Event(event) => {
            out.u8(6);
            told(event, out);
        }
        Output::Count(counter) => {
            out.u8(7);
            out.u8(*counter as u8);
        }
        Output::Sought(sought) => {
            out.u8(8);
            out.bytes(format!("{sought:?}").as_bytes());
        }
    }
}

/// Events are rare enough to go by their words, in which records are not whole.
fn told(event: &Event, out: &mut Writer<'_>) {
    out.bytes(format!("{event:?}").as_bytes());
    match event {
        Event::OwnRecord { record } | Event::Record { record, .. } => records([record], out),
        Event::Answered { answer: Answer::Nodes(nodes), .. } => records(nodes, out),
        Event::Answered { answer: Answer::Found { newest, closest }, .. } => {
            records(newest.iter().chain(closest), out);
        }
        _ => {}
    }
}

fn records<'a>(records: impl IntoIterator<Item = &'a Signed>, out: &mut Writer<'_>) {
    records.into_iter().for_each(|record| out.bytes(record.as_bytes()));
}
