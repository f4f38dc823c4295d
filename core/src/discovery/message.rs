//! Messages: `message-type(1) || RLP list`, the plaintext of a packet (R44 to R50, R56, R57).
//!
//! Reading is strict: one message, one encoding. What is read borrows from the plaintext and
//! allocates nothing.

use std::fmt;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use alloy_rlp::{Decodable, Encodable, Header};

use super::packet::PLAINTEXT_BYTES_MAX;
use crate::record::{RECORD_BYTES_MAX, Signed};

const PING: u8 = 1;
const PONG: u8 = 2;
const FIND_NODE: u8 = 3;
const NODES: u8 = 4;
const TALK_REQUEST: u8 = 5;
const TALK_RESPONSE: u8 = 6;

/// The largest distance: the bit length of a node id (R47).
pub const DISTANCE_MAX: u16 = 256;

/// The longest request id, in bytes (R44).
pub const REQUEST_ID_BYTES_MAX: usize = 8;

/// The longest request id as RLP.
const REQUEST_ID_LENGTH_MAX: usize = 1 + REQUEST_ID_BYTES_MAX;

/// The RLP header of anything that about fills a packet: 256 to 65535 bytes.
const HEADER_LENGTH_MAX: usize = 3;

/// How many bytes of records one NODES packet holds, whatever the request's id, as long as there
/// are fewer than 128 packets in all (R50).
pub const NODES_RECORD_BYTES_MAX: usize =
    PLAINTEXT_BYTES_MAX - 1 - HEADER_LENGTH_MAX - REQUEST_ID_LENGTH_MAX - 1 - HEADER_LENGTH_MAX;

/// The longest answer in a TALKRESP, whatever the request's id (R57).
pub const TALK_RESPONSE_BYTES_MAX: usize =
    PLAINTEXT_BYTES_MAX - 1 - HEADER_LENGTH_MAX - REQUEST_ID_LENGTH_MAX - HEADER_LENGTH_MAX;

const _: () = assert!(TALK_RESPONSE_BYTES_MAX == 1177);
const _: () = assert!(NODES_RECORD_BYTES_MAX / RECORD_BYTES_MAX == 3);

/// What a response names its request by: 0 to 8 bytes, mirrored as they are (R44).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    length: u8,
    /// Zero after the first `length`.
    bytes: [u8; REQUEST_ID_BYTES_MAX],
}

/// A message, as read from a plaintext or to be written to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Are you there?
    Ping {
        /// Of the request.
        id: RequestId,
        /// The sequence number of the sender's record.
        enr_seq: u64,
    },
    /// Yes.
    Pong {
        /// Of the request.
        id: RequestId,
        /// The sequence number of the sender's record.
        enr_seq: u64,
        /// Where the PING came from, as the sender saw it; never IPv4-mapped (R46).
        observed: SocketAddr,
    },
    /// Which nodes do you know at these distances from you?
    FindNode {
        /// Of the request.
        id: RequestId,
        /// 0 asks for the recipient's own record.
        distances: Distances<'a>,
    },
    /// A part of the answer.
    Nodes {
        /// Of the request.
        id: RequestId,
        /// How many packets the answer has, as claimed (R50, R51).
        total: u64,
        /// Those of this packet.
        records: Records<'a>,
    },
    /// A request of some other protocol.
    TalkRequest {
        /// Of the request.
        id: RequestId,
        /// The name of the protocol.
        protocol: &'a [u8],
        /// What it asks.
        request: &'a [u8],
    },
    /// The answer; empty if the protocol is not known (R56).
    TalkResponse {
        /// Of the request.
        id: RequestId,
        /// What it answers.
        response: &'a [u8],
    },
}

/// Why a plaintext is no message. It is dropped; the session it came over stays (R59).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// Not even a type.
    Empty,
    /// A type that this version does not have.
    UnknownType(u8),
    /// Not canonical RLP, or an item of the wrong kind.
    Rlp(alloy_rlp::Error),
    /// More or fewer items than the type has.
    Elements,
    /// Bytes after the list.
    Trailing,
    /// A request id of so many bytes.
    RequestId(usize),
    /// An IP address of so many bytes.
    Ip(usize),
    /// A distance above [`DISTANCE_MAX`].
    Distance(u64),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the message is empty"),
            Self::UnknownType(kind) => write!(f, "there is no message of type {kind:#04x}"),
            Self::Rlp(error) => write!(f, "the message is not canonical RLP: {error}"),
            Self::Elements => f.write_str("the message has too many or too few items"),
            Self::Trailing => f.write_str("bytes follow the message"),
            Self::RequestId(n) => write!(f, "a request id has at most 8 bytes, not {n}"),
            Self::Ip(n) => write!(f, "an IP address has 4 or 16 bytes, not {n}"),
            Self::Distance(n) => write!(f, "a distance is at most {DISTANCE_MAX}, not {n}"),
        }
    }
}

impl std::error::Error for MessageError {}

impl From<alloy_rlp::Error> for MessageError {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Rlp(error)
    }
}

impl<'a> Message<'a> {
    /// Reads a plaintext.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn decode(plaintext: &'a [u8]) -> Result<Self, MessageError> {
        let (&kind, mut rest) = plaintext.split_first().ok_or(MessageError::Empty)?;
        if !(PING..=TALK_RESPONSE).contains(&kind) {
            return Err(MessageError::UnknownType(kind));
        }
        let items = &mut Header::decode_bytes(&mut rest, true)?;
        if !rest.is_empty() {
            return Err(MessageError::Trailing);
        }
        let message = Self::decode_items(kind, items)?;
        if !items.is_empty() {
            return Err(MessageError::Elements);
        }
        Ok(message)
    }

    fn decode_items(kind: u8, items: &mut &'a [u8]) -> Result<Self, MessageError> {
        let id = bytes(items)?;
        let id = RequestId::new(id).ok_or(MessageError::RequestId(id.len()))?;
        Ok(match kind {
            PING => Self::Ping { id, enr_seq: integer(items)? },
            PONG => Self::Pong { id, enr_seq: integer(items)?, observed: address(items)? },
            FIND_NODE => Self::FindNode { id, distances: Distances::decode(list(items)?)? },
            NODES => {
                let total = integer(items)?;
                Self::Nodes { id, total, records: Records::decode(list(items)?)? }
            }
            TALK_REQUEST => {
                Self::TalkRequest { id, protocol: bytes(items)?, request: bytes(items)? }
            }
            TALK_RESPONSE => Self::TalkResponse { id, response: bytes(items)? },
            _ => unreachable!("the type was checked"),
        })
    }

    /// The id of the request that it is or answers.
    #[must_use]
    pub fn id(&self) -> RequestId {
        match *self {
            Self::Ping { id, .. }
            | Self::Pong { id, .. }
            | Self::FindNode { id, .. }
            | Self::Nodes { id, .. }
            | Self::TalkRequest { id, .. }
            | Self::TalkResponse { id, .. } => id,
        }
    }

    /// Appends the plaintext, [`Message::length`] bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        self.header().encode(out);
        self.id().as_bytes().encode(out);
        match *self {
            Self::Ping { enr_seq, .. } => enr_seq.encode(out),
            Self::Pong { enr_seq, observed, .. } => {
                enr_seq.encode(out);
                observed.ip().to_canonical().encode(out);
                observed.port().encode(out);
            }
            Self::FindNode { distances, .. } => distances.encode(out),
            Self::Nodes { total, records, .. } => {
                total.encode(out);
                records.encode(out);
            }
            Self::TalkRequest { protocol, request, .. } => {
                protocol.encode(out);
                request.encode(out);
            }
            Self::TalkResponse { response, .. } => response.encode(out),
        }
    }

    /// How many bytes the plaintext has.
    #[must_use]
    pub fn length(&self) -> usize {
        1 + self.header().length_with_payload()
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Ping { .. } => PING,
            Self::Pong { .. } => PONG,
            Self::FindNode { .. } => FIND_NODE,
            Self::Nodes { .. } => NODES,
            Self::TalkRequest { .. } => TALK_REQUEST,
            Self::TalkResponse { .. } => TALK_RESPONSE,
        }
    }

    fn header(&self) -> Header {
        let rest = match *self {
            Self::Ping { enr_seq, .. } => enr_seq.length(),
            Self::Pong { enr_seq, observed, .. } => {
                enr_seq.length() + observed.ip().to_canonical().length() + observed.port().length()
            }
            Self::FindNode { distances, .. } => distances.header().length_with_payload(),
            Self::Nodes { total, records, .. } => {
                total.length() + records.header().length_with_payload()
            }
            Self::TalkRequest { protocol, request, .. } => protocol.length() + request.length(),
            Self::TalkResponse { response, .. } => response.length(),
        };
        Header { list: true, payload_length: self.id().as_bytes().length() + rest }
    }
}

impl RequestId {
    /// The id with these bytes; `None` if they are more than 8.
    #[must_use]
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { length: id.len() as u8, bytes })
    }

    /// The id that has this number's 8 bytes, big endian.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        Self { length: REQUEST_ID_BYTES_MAX as u8, bytes: number.to_be_bytes() }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestId(")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A list, as it stands in a plaintext that was checked, or as the caller has it.
#[derive(Debug)]
enum List<'a, T> {
    Read(&'a [u8]),
    Given(&'a [T]),
}

// Not derived: that would ask for T to be Copy.
impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

/// The distances of a FINDNODE, each at most [`DISTANCE_MAX`], in the order asked.
#[derive(Clone, Copy)]
pub struct Distances<'a>(List<'a, u16>);

impl<'a> Distances<'a> {
    fn decode(items: &'a [u8]) -> Result<Self, MessageError> {
        let mut rest = items;
        while !rest.is_empty() {
            let distance = u64::decode(&mut rest)?;
            if distance > DISTANCE_MAX.into() {
                return Err(MessageError::Distance(distance));
            }
        }
        Ok(Self(List::Read(items)))
    }

    /// The distances. As many as fit a packet, and not necessarily different.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        let mut rest = self.0;
        iter::from_fn(move || match &mut rest {
            List::Read([]) => None,
            List::Read(items) => Some(u16::decode(items).expect("checked when it was read")),
            List::Given(given) => given.split_off_first().copied(),
        })
    }

    fn header(&self) -> Header {
        let payload_length = match self.0 {
            List::Read(items) => items.len(),
            List::Given(given) => given.iter().map(Encodable::length).sum(),
        };
        Header { list: true, payload_length }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.header().encode(out);
        match self.0 {
            List::Read(items) => out.extend_from_slice(items),
            List::Given(given) => given.iter().for_each(|distance| distance.encode(out)),
        }
    }
}

impl<'a> From<&'a [u16]> for Distances<'a> {
    /// # Panics
    /// If one is above [`DISTANCE_MAX`].
    fn from(distances: &'a [u16]) -> Self {
        assert!(distances.iter().all(|&distance| distance <= DISTANCE_MAX), "{distances:?}");
        Self(List::Given(distances))
    }
}

impl PartialEq for Distances<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Distances<'_> {}

impl fmt::Debug for Distances<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The records of a NODES: as claimed when read, each an RLP list and nothing else known of it.
#[derive(Clone, Copy)]
pub struct Records<'a>(List<'a, Signed>);

impl<'a> Records<'a> {
    fn decode(items: &'a [u8]) -> Result<Self, MessageError> {
        let mut rest = items;
        while !rest.is_empty() {
            record(&mut rest)?;
        }
        Ok(Self(List::Read(items)))
    }

    /// The bytes of each record (RLP, header included).
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.0;
        iter::from_fn(move || match &mut rest {
            List::Read([]) => None,
            List::Read(items) => Some(record(items).expect("checked when it was read")),
            List::Given(given) => given.split_off_first().map(Signed::as_bytes),
        })
    }

    fn header(&self) -> Header {
        let payload_length = match self.0 {
            List::Read(items) => items.len(),
            List::Given(given) => given.iter().map(|record| record.as_bytes().len()).sum(),
        };
        Header { list: true, payload_length }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.header().encode(out);
        match self.0 {
            List::Read(items) => out.extend_from_slice(items),
            List::Given(given) => {
                given.iter().for_each(|record| out.extend_from_slice(record.as_bytes()));
            }
        }
    }
}

impl<'a> From<&'a [Signed]> for Records<'a> {
    fn from(records: &'a [Signed]) -> Self {
        Self(List::Given(records))
    }
}

impl PartialEq for Records<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Records<'_> {}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records", self.iter().count())
    }
}

/// Takes a byte string.
fn bytes<'a>(items: &mut &'a [u8]) -> Result<&'a [u8], MessageError> {
    item(items, |items| Header::decode_bytes(items, false))
}

/// Takes a list and answers with its items.
fn list<'a>(items: &mut &'a [u8]) -> Result<&'a [u8], MessageError> {
    item(items, |items| Header::decode_bytes(items, true))
}

fn integer<T: Decodable>(items: &mut &[u8]) -> Result<T, MessageError> {
    item(items, T::decode)
}

fn item<'a, T>(
    items: &mut &'a [u8],
    decode: impl FnOnce(&mut &'a [u8]) -> alloy_rlp::Result<T>,
) -> Result<T, MessageError> {
    if items.is_empty() {
        return Err(MessageError::Elements);
    }
    Ok(decode(items)?)
}

/// Takes an IP address and a port. An IPv4-mapped address is the IPv4 address that it is: some
/// write what their dual-stack socket reports (R46).
fn address(items: &mut &[u8]) -> Result<SocketAddr, MessageError> {
    let ip = bytes(items)?;
    let ip = match *ip {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        _ => {
            let ip: [u8; 16] = ip.try_into().map_err(|_| MessageError::Ip(ip.len()))?;
            IpAddr::from(Ipv6Addr::from(ip)).to_canonical()
        }
    };
    Ok(SocketAddr::new(ip, integer(items)?))
}

/// Takes a whole list, header included.
fn record<'a>(items: &mut &'a [u8]) -> alloy_rlp::Result<&'a [u8]> {
    let before = *items;
    Header::decode_bytes(items, true)?;
    Ok(&before[..before.len() - items.len()])
}
