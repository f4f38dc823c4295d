//! Packets: `masking-iv || masked-header || message` (R7), of three kinds.
//!
//! | flag | kind | authdata |
//! |---|---|---|
//! | 0 | ordinary | `src-id` |
//! | 1 | WHOAREYOU | `id-nonce \|\| enr-seq`, no message |
//! | 2 | handshake | `src-id \|\| sig-size \|\| eph-key-size \|\| signature \|\| eph-pubkey \|\| record?` |

use std::fmt;

use aes::cipher::StreamCipher;

use super::cipher::{Cipher, Mask, TAG_BYTES};
use super::handshake::ChallengeData;
use super::message::Message;
use crate::count::Counter;
use crate::keys::Signature;
use crate::record::{NodeId, RECORD_BYTES_MAX};

pub use super::cipher::Nonce;

/// The smallest packet, a WHOAREYOU (R2).
pub const PACKET_BYTES_MIN: usize = 63;

/// The largest packet (R1).
pub const PACKET_BYTES_MAX: usize = 1280;

/// The smallest ordinary packet: a smaller one is not answered with a challenge, so that a
/// challenge is always smaller than what it answers (R21).
pub const CHALLENGEABLE_BYTES_MIN: usize = HEADER_START + STATIC_BYTES + ID_BYTES + TAG_BYTES;

/// A WHOAREYOU, unmasked (R24).
pub const CHALLENGE_BYTES: usize = HEADER_START + STATIC_BYTES + WHO_ARE_YOU_BYTES;

/// The longest plaintext in an ordinary packet.
pub const PLAINTEXT_BYTES_MAX: usize = PACKET_BYTES_MAX - CHALLENGEABLE_BYTES_MIN;

/// The longest plaintext in a handshake packet, whatever the record that goes with it: what may be
/// asked of a node without a session.
pub const HANDSHAKE_PLAINTEXT_BYTES_MAX: usize = PACKET_BYTES_MAX
    - HEADER_START
    - STATIC_BYTES
    - HANDSHAKE_BYTES_MIN
    - RECORD_BYTES_MAX
    - TAG_BYTES;

/// The random content of an ordinary packet that asks for a challenge (R21): with 44 bytes the
/// packet has 115, which every implementation answers.
pub const RANDOM_BYTES: usize = 44;

/// The length of the masking IV.
const HEADER_START: usize = 16;
/// `protocol-id || version || flag || nonce || authdata-size` (R10).
const STATIC_BYTES: usize = 23;
/// `protocol-id || version`: the only ones that we send and accept (R11).
const PROTOCOL: [u8; 8] = *b"discv5\x00\x01";

const ORDINARY: u8 = 0;
const WHO_ARE_YOU: u8 = 1;
const HANDSHAKE: u8 = 2;

const ID_BYTES: usize = 32;
const WHO_ARE_YOU_BYTES: usize = 24;
/// `src-id || sig-size || eph-key-size`.
const HANDSHAKE_HEAD_BYTES: usize = ID_BYTES + 2;
const SIGNATURE_BYTES: usize = 64;
const EPHEMERAL_BYTES: usize = 33;
const HANDSHAKE_BYTES_MIN: usize = HANDSHAKE_HEAD_BYTES + SIGNATURE_BYTES + EPHEMERAL_BYTES;

const _: () = assert!(CHALLENGE_BYTES == PACKET_BYTES_MIN);
const _: () = assert!(CHALLENGEABLE_BYTES_MIN == 87);
const _: () = assert!(HEADER_START + STATIC_BYTES + ID_BYTES + RANDOM_BYTES == 115);

/// A packet to us whose header is in order. Nothing in it is authentic before the message opens.
#[derive(Debug)]
pub struct Packet<'a> {
    /// What the message is bound to: masking IV and header, unmasked (R14).
    pub ad: &'a [u8],
    /// The nonce of the message; in a WHOAREYOU that of the packet that caused it.
    pub nonce: Nonce,
    /// What the header says beside.
    pub kind: Kind<'a>,
    /// The sealed message, at least a tag; empty in a WHOAREYOU.
    pub message: &'a mut [u8],
}

/// The three kinds of packet, with their authdata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A message under a session, or random bytes for want of one.
    Ordinary {
        /// Who claims to send it.
        src: NodeId,
    },
    /// The challenge to prove an identity.
    WhoAreYou {
        /// Random (R18).
        id_nonce: [u8; 16],
        /// The sequence number of the record that the sender has of the recipient, 0 for none.
        enr_seq: u64,
    },
    /// The proof, with the first message of the session.
    Handshake {
        /// Who claims to send it.
        src: NodeId,
        /// Over [`id_digest`](super::handshake::id_digest), by the sender's static key.
        signature: Signature,
        /// The sender's ephemeral key, 33 bytes, not yet known to be on the curve.
        ephemeral: &'a [u8; EPHEMERAL_BYTES],
        /// The sender's record, if it thinks that we need it: bytes of which nothing is known.
        record: Option<&'a [u8]>,
    },
}

/// Why a datagram is no packet to us. It is dropped before any state is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// So many bytes are no packet (R1, R2).
    Size(usize),
    /// Not masked for our id, or another protocol.
    Protocol,
    /// A version other than 1.
    Version(u16),
    /// A flag above 2.
    Flag(u8),
    /// The authdata would end after the packet does (R12).
    AuthdataOverrun(usize),
    /// The authdata has not the size that the flag asks for (R16, R17).
    AuthdataSize(usize),
    /// A WHOAREYOU with a message (R17).
    UnexpectedMessage(usize),
    /// A message shorter than its tag (R15).
    MessageTooShort(usize),
    /// The authdata of a handshake ends before the sizes of signature and key (R19).
    HandshakeHead(usize),
    /// The authdata of a handshake ends before the signature or the key does (R20).
    HandshakeOverrun {
        /// Bytes that the signature is said to have.
        signature: u8,
        /// Bytes that the ephemeral key is said to have.
        ephemeral: u8,
    },
    /// Signature or key have not the size of identity scheme "v4" (R20).
    HandshakeScheme {
        /// Bytes of the signature, not 64.
        signature: u8,
        /// Bytes of the ephemeral key, or not 33.
        ephemeral: u8,
    },
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size(n) => {
                write!(f, "a packet has {PACKET_BYTES_MIN} to {PACKET_BYTES_MAX} bytes, not {n}")
            }
            Self::Protocol => f.write_str("the packet is not discv5 or not to this node"),
            Self::Version(n) => write!(f, "the packet is of version {n}, not 1"),
            Self::Flag(n) => write!(f, "there is no packet with flag {n}"),
            Self::AuthdataOverrun(n) => {
                write!(f, "the packet ends within its {n} bytes of authdata")
            }
            Self::AuthdataSize(n) => {
                write!(f, "the packet's kind does not have {n} bytes of authdata")
            }
            Self::UnexpectedMessage(n) => {
                write!(f, "a WHOAREYOU has no message, this has {n} bytes")
            }
            Self::MessageTooShort(n) => {
                write!(f, "a message has a tag of {TAG_BYTES} bytes, not {n} in all")
            }
            Self::HandshakeHead(n) => write!(f, "a handshake has more than {n} bytes of authdata"),
            Self::HandshakeOverrun { signature, ephemeral } => write!(
                f,
                "the handshake ends within its {signature} bytes of signature and {ephemeral} of key"
            ),
            Self::HandshakeScheme { signature, ephemeral } => write!(
                f,
                "a handshake has 64 bytes of signature and 33 of key, not {signature} and {ephemeral}"
            ),
        }
    }
}

impl std::error::Error for PacketError {}

impl PacketError {
    /// What counts it.
    #[must_use]
    pub fn counter(self) -> Counter {
        match self {
            Self::Size(_) => Counter::PacketsOfWrongSize,
            Self::Protocol => Counter::PacketsForeign,
            Self::Version(_) => Counter::PacketsOfWrongVersion,
            Self::Flag(_) => Counter::PacketsOfNoKind,
            Self::AuthdataOverrun(_) => Counter::PacketsCutInAuthdata,
            Self::AuthdataSize(_) => Counter::PacketsOfWrongAuthdata,
            Self::UnexpectedMessage(_) => Counter::PacketsWithMessage,
            Self::MessageTooShort(_) => Counter::PacketsWithoutTag,
            Self::HandshakeHead(_) => Counter::PacketsCutInHead,
            Self::HandshakeOverrun { .. } => Counter::PacketsCutInHandshake,
            Self::HandshakeScheme { .. } => Counter::PacketsOfOtherScheme,
        }
    }
}

impl<'a> Packet<'a> {
    /// Reads a datagram: copies it to `scratch` and unmasks its header there with our own mask.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn decode(
        own: &Mask,
        datagram: &[u8],
        scratch: &'a mut [u8; PACKET_BYTES_MAX],
    ) -> Result<Self, PacketError> {
        let size = datagram.len();
        if !is_packet_size(size) {
            return Err(PacketError::Size(size));
        }
        let packet = &mut scratch[..size];
        packet.copy_from_slice(datagram);
        let (iv, header) = packet.split_first_chunk_mut().expect("a packet has at least an IV");
        let (fixed, rest) =
            header.split_first_chunk_mut::<STATIC_BYTES>().expect("and a static header");
        let mut key_stream = own.key_stream(iv);
        key_stream.apply_keystream(fixed);
        let Fixed { flag, nonce, authdata_size } = Fixed::decode(fixed)?;
        let authdata =
            rest.get_mut(..authdata_size).ok_or(PacketError::AuthdataOverrun(authdata_size))?;
        key_stream.apply_keystream(authdata);
        let (ad, message) = packet.split_at_mut(HEADER_START + STATIC_BYTES + authdata_size);
        let ad: &[u8] = ad;
        let kind = Kind::decode(flag, &ad[HEADER_START + STATIC_BYTES..], message.len())?;
        Ok(Self { ad, nonce, kind, message })
    }

    /// What both sides of the handshake compute with, if this is a WHOAREYOU (R24).
    #[must_use]
    pub fn challenge_data(&self) -> Option<ChallengeData> {
        let Kind::WhoAreYou { .. } = self.kind else { return None };
        Some(ChallengeData(self.ad.try_into().expect("the sizes of a WHOAREYOU were checked")))
    }
}

/// Whether a datagram is discv5 to the node with this mask, and of a form that [`Packet::decode`]
/// does not refuse at once: what tells it from QUIC on the same port. Costs one block of AES.
///
/// A datagram that was not made for it is taken for discv5 with probability 3 · 2⁻⁷²: its first 16
/// bytes select one of 2¹²⁸ masks, of which 8 bytes must fit exactly and one may have three values.
#[must_use]
pub fn is_discovery(own: &Mask, datagram: &[u8]) -> bool {
    let Some((iv, header)) = datagram.split_first_chunk() else { return false };
    let Some(mut head) = header.first_chunk::<{ PROTOCOL.len() + 1 }>().copied() else {
        return false;
    };
    if !is_packet_size(datagram.len()) {
        return false;
    }
    own.apply(iv, &mut head);
    let [protocol @ .., flag] = head;
    protocol == PROTOCOL && flag <= HANDSHAKE
}

fn is_packet_size(size: usize) -> bool {
    (PACKET_BYTES_MIN..=PACKET_BYTES_MAX).contains(&size)
}

/// The static header.
struct Fixed {
    flag: u8,
    nonce: Nonce,
    authdata_size: usize,
}

impl Fixed {
    fn decode(bytes: &[u8; STATIC_BYTES]) -> Result<Self, PacketError> {
        let (protocol, rest) = bytes.split_first_chunk::<6>().expect("of 23 bytes");
        let [v0, v1, flag, nonce @ .., a0, a1] = rest else { unreachable!("17 bytes are left") };
        if protocol[..] != PROTOCOL[..6] {
            return Err(PacketError::Protocol);
        }
        let version = u16::from_be_bytes([*v0, *v1]);
        if version != 1 {
            return Err(PacketError::Version(version));
        }
        if *flag > HANDSHAKE {
            return Err(PacketError::Flag(*flag));
        }
        let nonce = nonce.try_into().expect("12 bytes are left");
        Ok(Self { flag: *flag, nonce, authdata_size: u16::from_be_bytes([*a0, *a1]).into() })
    }
}

impl<'a> Kind<'a> {
    fn decode(flag: u8, authdata: &'a [u8], message: usize) -> Result<Self, PacketError> {
        let kind = match flag {
            ORDINARY => {
                let src = authdata.try_into().map_err(|_| size_error(authdata))?;
                Self::Ordinary { src: NodeId(src) }
            }
            WHO_ARE_YOU => return Self::who_are_you(authdata, message),
            HANDSHAKE => Self::handshake(authdata)?,
            _ => unreachable!("the flag was checked"),
        };
        if message < TAG_BYTES {
            return Err(PacketError::MessageTooShort(message));
        }
        Ok(kind)
    }

    fn who_are_you(authdata: &[u8], message: usize) -> Result<Self, PacketError> {
        let authdata: &[u8; WHO_ARE_YOU_BYTES] =
            authdata.try_into().map_err(|_| size_error(authdata))?;
        if message > 0 {
            return Err(PacketError::UnexpectedMessage(message));
        }
        let (id_nonce, enr_seq) = authdata.split_first_chunk().expect("of 24 bytes");
        let enr_seq = u64::from_be_bytes(enr_seq.try_into().expect("8 are left"));
        Ok(Self::WhoAreYou { id_nonce: *id_nonce, enr_seq })
    }

    fn handshake(authdata: &'a [u8]) -> Result<Self, PacketError> {
        let head_error = PacketError::HandshakeHead(authdata.len());
        let (src, rest) = authdata.split_first_chunk().ok_or(head_error)?;
        let (&[signature, ephemeral], rest) = rest.split_first_chunk().ok_or(head_error)?;
        if rest.len() < usize::from(signature) + usize::from(ephemeral) {
            return Err(PacketError::HandshakeOverrun { signature, ephemeral });
        }
        if (usize::from(signature), usize::from(ephemeral)) != (SIGNATURE_BYTES, EPHEMERAL_BYTES) {
            return Err(PacketError::HandshakeScheme { signature, ephemeral });
        }
        let (signature, rest) = rest.split_first_chunk().expect("the sizes were checked");
        let (ephemeral, record) = rest.split_first_chunk().expect("the sizes were checked");
        Ok(Self::Handshake {
            src: NodeId(*src),
            signature: Signature(*signature),
            ephemeral,
            record: (!record.is_empty()).then_some(record),
        })
    }
}

fn size_error(authdata: &[u8]) -> PacketError {
    PacketError::AuthdataSize(authdata.len())
}

/// An ordinary packet with a message under a session. The IV is random and fresh (R9), the nonce
/// unique under the key (R13).
///
/// # Panics
/// If the message is longer than [`PLAINTEXT_BYTES_MAX`].
#[must_use]
pub fn ordinary(
    dest: &Mask,
    iv: &[u8; 16],
    nonce: &Nonce,
    src: &NodeId,
    cipher: &Cipher,
    message: &Message<'_>,
) -> Vec<u8> {
    let mut draft = Draft::new(iv, ORDINARY, nonce, ID_BYTES, message.length() + TAG_BYTES);
    draft.push(&src.0);
    draft.seal(nonce, cipher, message);
    draft.mask(dest)
}

/// An ordinary packet that nobody can open, to draw a challenge from a node with which there is no
/// session (R21).
#[must_use]
pub fn random(
    dest: &Mask,
    iv: &[u8; 16],
    nonce: &Nonce,
    src: &NodeId,
    content: &[u8; RANDOM_BYTES],
) -> Vec<u8> {
    let mut draft = Draft::new(iv, ORDINARY, nonce, ID_BYTES, RANDOM_BYTES);
    draft.push(&src.0);
    draft.push_message(content);
    draft.mask(dest)
}

/// A challenge, and what both sides compute with (R17, R24).
#[must_use]
pub fn who_are_you(
    dest: &Mask,
    iv: &[u8; 16],
    request_nonce: &Nonce,
    id_nonce: &[u8; 16],
    enr_seq: u64,
) -> (Vec<u8>, ChallengeData) {
    let mut draft = Draft::new(iv, WHO_ARE_YOU, request_nonce, WHO_ARE_YOU_BYTES, 0);
    draft.push(id_nonce);
    draft.push(&enr_seq.to_be_bytes());
    let challenge = ChallengeData(draft.packet[..].try_into().expect("a WHOAREYOU has 63 bytes"));
    (draft.mask(dest), challenge)
}

/// The packet of a challenge that was made before: the same bytes again (R36).
#[must_use]
pub fn who_are_you_again(dest: &Mask, challenge: &ChallengeData) -> Vec<u8> {
    mask(dest, challenge.0.to_vec(), CHALLENGE_BYTES)
}

/// The answer to a challenge, with the first message of the session (R19).
///
/// # Panics
/// If record and message together are longer than a packet; they are not if the message has at
/// most [`HANDSHAKE_PLAINTEXT_BYTES_MAX`] bytes.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "a packet has that many parts")]
pub fn handshake(
    dest: &Mask,
    iv: &[u8; 16],
    nonce: &Nonce,
    src: &NodeId,
    signature: &Signature,
    ephemeral: &[u8; EPHEMERAL_BYTES],
    record: Option<&[u8]>,
    cipher: &Cipher,
    message: &Message<'_>,
) -> Vec<u8> {
    let record = record.unwrap_or_default();
    let authdata_size = HANDSHAKE_BYTES_MIN + record.len();
    let mut draft = Draft::new(iv, HANDSHAKE, nonce, authdata_size, message.length() + TAG_BYTES);
    draft.push(&src.0);
    draft.push(&[SIGNATURE_BYTES as u8, EPHEMERAL_BYTES as u8]);
    draft.push(&signature.0);
    draft.push(ephemeral);
    draft.push(record);
    draft.seal(nonce, cipher, message);
    draft.mask(dest)
}

/// A packet that is being written, its header not yet masked.
struct Draft {
    packet: Vec<u8>,
    /// Where the header ends and the message begins.
    header_end: usize,
    size: usize,
}

impl Draft {
    /// Writes the static header; allocates for the whole packet.
    fn new(iv: &[u8; 16], flag: u8, nonce: &Nonce, authdata_size: usize, message: usize) -> Self {
        let header_end = HEADER_START + STATIC_BYTES + authdata_size;
        let size = header_end + message;
        assert!(is_packet_size(size), "a packet of {size} bytes");
        let mut draft = Self { packet: Vec::with_capacity(size), header_end, size };
        draft.push(iv);
        draft.push(&PROTOCOL);
        draft.push(&[flag]);
        draft.push(nonce);
        draft.push(&(authdata_size as u16).to_be_bytes());
        draft
    }

    fn push(&mut self, bytes: &[u8]) {
        self.packet.extend_from_slice(bytes);
    }

    fn push_message(&mut self, bytes: &[u8]) {
        assert_eq!(self.packet.len(), self.header_end, "the authdata is complete");
        self.push(bytes);
    }

    /// Appends the message, sealed and bound to the header as it is, unmasked (R14).
    fn seal(&mut self, nonce: &Nonce, cipher: &Cipher, message: &Message<'_>) {
        assert_eq!(self.packet.len(), self.header_end, "the authdata is complete");
        message.encode(&mut self.packet);
        cipher.seal_in_place(nonce, &mut self.packet, self.header_end);
    }

    fn mask(self, dest: &Mask) -> Vec<u8> {
        assert_eq!(self.packet.len(), self.size, "the packet is complete");
        mask(dest, self.packet, self.header_end)
    }
}

/// Masks the header of a packet that is complete otherwise.
fn mask(dest: &Mask, mut packet: Vec<u8>, header_end: usize) -> Vec<u8> {
    let (iv, header) =
        packet[..header_end].split_first_chunk_mut().expect("a packet has at least an IV");
    dest.apply(iv, header);
    packet
}
