//! The two ciphers of discv5: AES-128-CTR hides headers, AES-128-GCM seals messages. Both keep the
//! key schedule, so that a packet pays for its own blocks only.

use std::fmt;

use aes::Aes128Enc;
use aes::cipher::consts::U12;
use aes::cipher::{InnerIvInit, StreamCipher, StreamCipherCoreWrapper};
use aes_gcm::{AeadInOut, AesGcm, KeyInit};
use ctr::{CtrCore, flavors};

use crate::record::NodeId;

/// The nonce of a packet: unique under its session key (R13).
pub type Nonce = [u8; 12];

/// The bytes that authenticate a sealed message (R15).
pub const TAG_BYTES: usize = 16;

/// Hides the headers of packets to one node (R8). Whoever knows the node's id can remove it: it
/// keeps middleboxes from recognising the protocol, no more.
#[derive(Clone)]
pub struct Mask(Aes128Enc);

/// The key stream of one packet's header.
pub(super) type KeyStream<'a> = StreamCipherCoreWrapper<CtrCore<&'a Aes128Enc, flavors::Ctr128BE>>;

impl Mask {
    /// The mask of packets to this node: its key is the first half of the id.
    #[must_use]
    pub fn of(dest: &NodeId) -> Self {
        let key: &[u8; 16] = dest.0.first_chunk().expect("an id has 32 bytes");
        Self(Aes128Enc::new(key.into()))
    }

    /// Masks a header, or unmasks it: the same operation. The counter is the whole IV, 128 bits
    /// big endian.
    pub fn apply(&self, iv: &[u8; 16], header: &mut [u8]) {
        self.key_stream(iv).apply_keystream(header);
    }

    /// For a header that is unmasked piece by piece.
    pub(super) fn key_stream(&self, iv: &[u8; 16]) -> KeyStream<'_> {
        KeyStream::from_core(CtrCore::inner_iv_init(&self.0, iv.into()))
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask(..)")
    }
}

/// Seals and opens messages under one session key (R15).
#[derive(Clone)]
pub struct Cipher(AesGcm<Aes128Enc, U12>);

impl Cipher {
    /// The cipher with this key.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        Self(AesGcm::new(key.into()))
    }

    /// Opens a sealed message (ciphertext ‖ tag) where it lies and answers with the length of the
    /// plaintext, which is then at its beginning. `None` if it is not authentic; the bytes are
    /// unchanged then, so that another key can be tried on them.
    #[must_use]
    pub fn open_in_place(&self, nonce: &Nonce, ad: &[u8], message: &mut [u8]) -> Option<usize> {
        let (text, tag) = message.split_last_chunk_mut::<TAG_BYTES>()?;
        let length = text.len();
        let tag: &[u8; TAG_BYTES] = tag;
        self.0.decrypt_inout_detached(nonce.into(), ad, text.into(), tag.into()).ok()?;
        Some(length)
    }

    /// Seals the bytes of `packet` after the first `from` where they lie, those before being the
    /// associated data, and appends the tag.
    ///
    /// # Panics
    /// If there are fewer than `from` bytes.
    pub fn seal_in_place(&self, nonce: &Nonce, packet: &mut Vec<u8>, from: usize) {
        let (ad, text) = packet.split_at_mut(from);
        let sealed = self.0.encrypt_inout_detached(nonce.into(), ad, text.into());
        packet.extend_from_slice(&sealed.expect("a packet is far below the limits of GCM"));
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}
