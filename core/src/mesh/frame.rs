//! Frames: what peers say to one another over a link.
//!
//! On the wire: 4 bytes big-endian length, then that many bytes of RLP `[version, kind, body]`.
//!
//! | kind | body |
//! |---|---|
//! | 1 hello | `[cluster, record, [[node id, seq, content hash], …]]` |
//! | 2 records | `[record, …]` |
//! | 3 seen | `[ip, port]` |
//! | 4 reloaded | as hello |
//!
//! A kind that is not known is skipped, so that a later minor version can say more.

use std::net::SocketAddr;

use alloy_rlp::{Decodable, Encodable, Header, RlpDecodable, RlpEncodable};
use bytes::{Buf, Bytes, BytesMut};

use super::Violation;
use crate::cluster::OPERATORS_MAX;
use crate::planted::{Bug, planted};
use crate::record::{NodeId, RECORD_BYTES_MAX, Signed};
use crate::wire::Address;

/// The version that we speak.
pub const VERSION: u8 = 1;

/// The largest frame, without its length prefix.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// How many records go into one frame.
pub const RECORDS_PER_FRAME_MAX: usize = 128;

const LENGTH_BYTES: usize = 4;
const HOLDING_BYTES_MAX: usize = 80;

const _: () = assert!(RECORDS_PER_FRAME_MAX * (RECORD_BYTES_MAX + 3) + 16 <= FRAME_BYTES_MAX);
const _: () = assert!(OPERATORS_MAX * HOLDING_BYTES_MAX + RECORD_BYTES_MAX + 64 <= FRAME_BYTES_MAX);

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first frame of each side.
    Hello(Hello),
    /// Records, as claimed: of the sender, or relayed.
    Records(Vec<Bytes>),
    /// Where the sender sees the receiver.
    Seen(SocketAddr),
    /// What the sender's hello would say now: it loaded another manifest, so that it may lack what
    /// it refused before.
    Reloaded(Hello),
}

/// Who speaks, and what it holds of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Hello {
    /// The lock hash that the sender runs with.
    pub cluster: [u8; 32],
    /// The sender's own record, as claimed; empty while it has none that is durable.
    pub record: Bytes,
    /// The newest record of each operator that the sender holds.
    pub digest: Vec<Holding>,
}

/// Which record of a node somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Holding {
    /// Whose.
    pub node_id: NodeId,
    /// Its sequence number.
    pub seq: u64,
    /// Its content hash.
    pub content_hash: [u8; 32],
}

impl From<&Signed> for Holding {
    fn from(record: &Signed) -> Self {
        Self { node_id: record.node_id(), seq: record.seq(), content_hash: *record.content_hash() }
    }
}

impl Frame {
    /// The frame as it goes over the wire, length prefix included.
    ///
    /// # Panics
    /// If it is larger than [`FRAME_BYTES_MAX`]: whoever fills a frame heeds the limits.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut body = Vec::new();
        let kind: u8 = match self {
            Self::Hello(hello) => {
                hello.encode(&mut body);
                1
            }
            Self::Records(records) => {
                records.encode(&mut body);
                2
            }
            Self::Seen(address) => {
                Address(*address).encode(&mut body);
                3
            }
            Self::Reloaded(hello) => {
                hello.encode(&mut body);
                4
            }
        };
        let header = Header { list: true, payload_length: 2 + body.len() };
        let length = header.length_with_payload();
        assert!(length <= FRAME_BYTES_MAX, "a frame of {length} bytes");
        let mut out = BytesMut::with_capacity(LENGTH_BYTES + length);
        out.extend_from_slice(&(length as u32).to_be_bytes());
        header.encode(&mut out);
        VERSION.encode(&mut out);
        kind.encode(&mut out);
        out.extend_from_slice(&body);
        assert_eq!(out.len(), LENGTH_BYTES + length);
        out.freeze()
    }

    /// Reads a frame without its length prefix; `None` if its kind is not known.
    fn decode(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let mut rest = bytes;
        let mut items = Header::decode_bytes(&mut rest, true)?;
        let version = u8::decode(&mut items)?;
        if version != VERSION {
            return Err(Violation::Version(version));
        }
        let kind = u8::decode(&mut items)?;
        let frame = match kind {
            1 => Self::Hello(Hello::decode(&mut items)?),
            2 => Self::Records(Vec::decode(&mut items)?),
            3 => Self::Seen(Address::decode(&mut items)?.0),
            4 => Self::Reloaded(Hello::decode(&mut items)?),
            _ => return Ok(None),
        };
        let oversized = match &frame {
            Self::Hello(hello) | Self::Reloaded(hello) => hello.digest.len() > OPERATORS_MAX,
            Self::Records(records) => records.len() > RECORDS_PER_FRAME_MAX,
            Self::Seen(_) => false,
        };
        if oversized || !items.is_empty() || !rest.is_empty() {
            return Err(Violation::Malformed);
        }
        Ok(Some(frame))
    }
}

impl From<alloy_rlp::Error> for Violation {
    fn from(_: alloy_rlp::Error) -> Self {
        Self::Malformed
    }
}

/// Reassembles the frames of one link from bytes that are cut anywhere. Holds less than one frame
/// between calls.
#[derive(Debug, Default)]
pub struct Reader {
    partial: BytesMut,
}

impl Reader {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
    }

    /// The next whole frame: `None` if more bytes are needed, `Some(None)` if its kind is not
    /// known. After a violation the stream has no meaning any more.
    ///
    /// # Errors
    /// [`Violation::Oversized`], [`Violation::Malformed`] or [`Violation::Version`].
    pub fn next_frame(&mut self) -> Result<Option<Option<Frame>>, Violation> {
        let Some(prefix) = self.partial.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(Violation::Oversized);
        }
        if self.partial.len() < LENGTH_BYTES + length {
            if planted(Bug::LosesSplitFrame) {
                self.partial.clear();
            }
            return Ok(None);
        }
        let frame = Frame::decode(&self.partial[LENGTH_BYTES..LENGTH_BYTES + length]);
        self.partial.advance(LENGTH_BYTES + length);
        frame.map(Some)
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.partial.len()
    }
}
