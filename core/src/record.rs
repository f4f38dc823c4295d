//! The node record (ENR, EIP-778) and its ladder of trust.
//!
//! A record arrives as bytes and climbs: [`Claimed`] (well-formed, believed in nothing) →
//! [`Signed`] (its signature verified, its node id known) →
//! [`Authorised`](crate::cluster::Authorised) (its key is an operator's) →
//! [`Reachable`](crate::mesh::Reachable) (its node answered). Only the room that makes a check can
//! make its rung, and the next function does not accept the rung below, so no check can be skipped.

use std::fmt;
use std::sync::Arc;

use sha3::{Digest, Keccak256};

use crate::keys::{Point, PublicKey, SecretKey, Signature};

mod endpoint;
mod error;
mod id;
mod memory;
mod rlp;
mod text;

#[cfg(feature = "enr")]
mod convert;

pub use endpoint::{Endpoints, Scope, is_usable};
pub use error::RecordError;
pub use id::{NodeId, NodeIdError};
pub(crate) use memory::Memory;
pub use memory::RECORDS_REMEMBERED_MAX;

/// The largest record, in bytes of RLP (EIP-778, R60).
pub const RECORD_BYTES_MAX: usize = 300;

/// Bytes from somebody that have the form of a record: canonical RLP, sorted unique keys, scheme
/// "v4", a 33-byte key, a 64-byte signature, at most 300 bytes. Nothing in it may be believed.
#[derive(Clone, Copy, Debug)]
pub struct Claimed<'a> {
    bytes: &'a [u8],
    /// The RLP items after the signature: seq and pairs, as signed.
    content: &'a [u8],
    /// The RLP items after seq: key, value, key, value, …
    pairs: &'a [u8],
    signature: Signature,
    seq: u64,
    public_key: &'a [u8; 33],
}

/// A claimed record with the id of the node that it claims to be of: on this rung a record at a
/// distance that nobody asked for is refused before its signature costs anything.
pub struct Identified<'a> {
    claimed: Claimed<'a>,
    public_key: PublicKey,
    point: Point,
    node_id: NodeId,
}

/// A record whose signature verified. Says nothing about whether its endpoint answers, nor
/// whether its key belongs to anybody. Cloning counts a reference.
#[derive(Clone)]
pub struct Signed(Arc<Inner>);

struct Inner {
    bytes: Box<[u8]>,
    seq: u64,
    public_key: PublicKey,
    /// Kept, because every handshake with the node takes it.
    point: Point,
    node_id: NodeId,
    content_hash: [u8; 32],
    /// Kept, because every packet from the node asks for them.
    endpoints: Endpoints,
}

impl<'a> Claimed<'a> {
    /// Reads the form of a record; checks everything but the signature. Allocates nothing.
    ///
    /// # Errors
    /// The first rule of EIP-778 that the bytes break.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge(bytes.len()));
        }
        rlp::parse(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The sequence number it claims.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The key it claims, 33 bytes, not yet known to be on the curve.
    #[must_use]
    pub fn public_key(&self) -> &'a [u8; 33] {
        self.public_key
    }

    /// The addresses and ports it claims.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::from_pairs(self.pairs())
    }

    /// Every pair in key order, as in [`Signed::pairs`].
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        rlp::pairs(self.pairs)
    }

    /// keccak-256 over RLP(seq, pairs): what is signed, and what tells two contents apart.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        rlp::content_hash(self.content)
    }

    /// Whose record it claims to be (a tenth of the cost of the signature).
    ///
    /// # Errors
    /// [`RecordError::Key`].
    pub fn identify(&self) -> Result<Identified<'a>, RecordError> {
        let (public_key, point) = Point::from_bytes(self.public_key).map_err(RecordError::Key)?;
        Ok(Identified { claimed: *self, public_key, point, node_id: NodeId::of(&point) })
    }

    /// Checks the signature (about 60 µs: check whatever is cheaper first).
    ///
    /// # Errors
    /// [`RecordError::Key`] or [`RecordError::Signature`].
    pub fn verify(&self) -> Result<Signed, RecordError> {
        self.identify()?.verify()
    }
}

impl Identified<'_> {
    /// The id of the node whose record it claims to be.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`RecordError::Signature`].
    pub fn verify(self) -> Result<Signed, RecordError> {
        let Self { claimed, public_key, point, node_id } = self;
        let content_hash = claimed.content_hash();
        if !point.verifies(&content_hash, &claimed.signature) {
            return Err(RecordError::Signature);
        }
        let (bytes, seq, endpoints) = (claimed.bytes.into(), claimed.seq, claimed.endpoints());
        let inner = Inner { bytes, seq, public_key, point, node_id, content_hash, endpoints };
        Ok(Signed(Arc::new(inner)))
    }
}

impl Signed {
    /// Reads and verifies in one go: for bytes that no cheaper check can refuse.
    ///
    /// # Errors
    /// As [`Claimed::parse`] and [`Claimed::verify`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        Claimed::parse(bytes)?.verify()
    }

    /// Reads the text form: `enr:` and URL-safe base64 without padding (EIP-778).
    ///
    /// # Errors
    /// [`RecordError::Prefix`], [`RecordError::Base64`], or as [`Signed::from_bytes`].
    pub fn from_text(text: &str) -> Result<Self, RecordError> {
        Self::from_bytes(&text::decode(text)?)
    }

    /// The bytes that the text form stands for, whatever they are.
    ///
    /// # Errors
    /// [`RecordError::Prefix`] or [`RecordError::Base64`].
    pub fn bytes_of_text(text: &str) -> Result<Vec<u8>, RecordError> {
        text::decode(text)
    }

    /// Makes and signs a record with these endpoints. The same arguments give the same bytes.
    #[must_use]
    pub fn sign(key: &SecretKey, seq: u64, endpoints: &Endpoints) -> Self {
        let public_key = key.public_key();
        let point = public_key.point();
        let mut pairs = endpoints.pairs();
        pairs.push((b"id", rlp::value(b"v4")));
        pairs.push((b"secp256k1", rlp::value(public_key.as_bytes())));
        pairs.sort_unstable_by_key(|(name, _)| *name);
        let content = rlp::content(seq, &pairs);
        let content_hash = rlp::content_hash(&content);
        let bytes = rlp::record(&key.sign(&content_hash), &content);
        assert!(bytes.len() <= RECORD_BYTES_MAX, "endpoints alone cannot outgrow a record");
        Self(Arc::new(Inner {
            bytes: bytes.into(),
            seq,
            public_key,
            point,
            node_id: NodeId::of(&point),
            content_hash,
            endpoints: *endpoints,
        }))
    }

    /// The canonical bytes (RLP).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The text form, `enr:…`.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::encode(self.as_bytes())
    }

    /// The sequence number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// The key that signed it.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The point of that key.
    #[must_use]
    pub fn point(&self) -> &Point {
        &self.0.point
    }

    /// keccak-256 of the key's coordinates (EIP-778).
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.0.node_id
    }

    /// keccak-256 over RLP(seq, pairs): equal for two encodings of one content, however signed.
    #[must_use]
    pub fn content_hash(&self) -> &[u8; 32] {
        &self.0.content_hash
    }

    /// The addresses and ports that it names.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.0.endpoints
    }

    /// Every pair in key order: key, and value as the RLP item that it is (a string's or a
    /// list's, header included).
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let claimed = rlp::parse(&self.0.bytes).expect("a Signed record was parsed before");
        rlp::pairs(claimed.pairs)
    }

    /// The rank that the join goes by: seq first, then content, then signature, so that any two
    /// different records are ordered and every honest node prefers the same one.
    #[must_use]
    pub fn rank(&self) -> (u64, &[u8; 32], &[u8]) {
        (self.0.seq, &self.0.content_hash, &self.0.bytes)
    }
}

impl PartialEq for Signed {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for Signed {}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} seq {})", self.node_id(), self.seq())
    }
}

fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}
