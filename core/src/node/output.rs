//! What a node wants done: one ordered queue.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::cluster::{Change, OperatorIndex};
use crate::count::Counter;
use crate::database::Row;
use crate::discovery::{Answer, Sought, Talk};
use crate::keys::PublicKey;
use crate::mesh::{CloseReason, DialId, LinkId, Violation};
use crate::record::Signed;

/// The number of a write. Writes are numbered upwards; the driver keeps their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Everything a node can want done. The order of the queue is the canonical trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a link to this address, whose holder must prove this key.
    Dial {
        /// The attempt, to be named in the answer.
        dial: DialId,
        /// The key that the far side must prove.
        peer: PublicKey,
        /// Where.
        address: SocketAddr,
    },
    /// Send these bytes on a link, in order.
    Send {
        /// Which.
        link: LinkId,
        /// One whole frame, its length prefix included.
        bytes: Bytes,
    },
    /// Close a link. Nothing more is said about it, either way.
    Close {
        /// Which.
        link: LinkId,
        /// Why, for the peer and for the log.
        why: CloseReason,
    },
    /// Send a datagram from the socket that links use as well.
    Datagram {
        /// Where.
        to: SocketAddr,
        /// The datagram, whole: at most 1280 bytes.
        bytes: Bytes,
    },
    /// Make this row durable, then answer [`Input::Durable`](super::Input::Durable). A row
    /// replaces the row of the same key.
    Persist {
        /// The number of this write.
        ticket: Ticket,
        /// What to write.
        row: Row,
    },
    /// Something the application may want to know.
    Event(Event),
    /// Something happened once more.
    Count(Counter),
    /// A lookup has ended: how it went, for whoever measures.
    Sought(Sought),
}

/// What the application may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Our own record changed, is durable, and is being published.
    OwnRecord {
        /// The new record.
        record: Signed,
    },
    /// An operator's record changed.
    Record {
        /// Whose.
        operator: OperatorIndex,
        /// The new record.
        record: Signed,
    },
    /// The first link to this operator opened, and it said hello.
    Linked {
        /// Who.
        operator: OperatorIndex,
        /// Where.
        remote: SocketAddr,
    },
    /// The last link to this operator is gone.
    Lost {
        /// Who.
        operator: OperatorIndex,
    },
    /// Another manifest is in force. From here on operators are named by their places in it;
    /// before, and for those that are lost with it, by their places in the one before.
    Manifest {
        /// What became of whom; empty if the operators are as before.
        changes: Vec<Change>,
    },
    /// By the manifest that was loaded our key is no operator's: nobody is dialled and nobody let
    /// in until another manifest names it again.
    Unauthorised,
    /// This operator signed two different records with one sequence number.
    Equivocation {
        /// Who.
        operator: OperatorIndex,
        /// The number.
        seq: u64,
    },
    /// This operator runs with another cluster than ours (after an edit of the cluster, say).
    OtherCluster {
        /// Who.
        operator: OperatorIndex,
        /// The lock hash it named.
        theirs: [u8; 32],
    },
    /// This operator broke the protocol; its link is closed.
    Violated {
        /// Who.
        operator: OperatorIndex,
        /// How.
        how: Violation,
    },
    /// A stored row was damaged and is ignored; its content comes back from peers.
    Damaged {
        /// What was wrong, and with which row.
        what: String,
    },
    /// What the application asked for has ended.
    Answered {
        /// Its number.
        id: u64,
        /// What came of it.
        answer: Answer,
    },
    /// A node asks something in a registered protocol; [`Input::TalkBack`](super::Input::TalkBack)
    /// answers.
    Talk(Talk),
    /// Records of ours that this node did not issue keep coming back from peers: somebody else runs
    /// with our key, and the two outrun one another.
    KeyInUseElsewhere,
    /// Our own record is at the largest sequence number: it can never be replaced.
    SeqExhausted,
}
