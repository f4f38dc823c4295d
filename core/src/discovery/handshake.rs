//! What a handshake computes: session keys, and the digest by which the initiator proves its
//! identity (discv5-theory.md, "Handshake Steps").

use std::fmt;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use super::packet::CHALLENGE_BYTES;
use crate::record::NodeId;

const KEY_AGREEMENT: &[u8] = b"discovery v5 key agreement";
const IDENTITY_PROOF: &[u8] = b"discovery v5 identity proof";

/// The WHOAREYOU that a handshake answers: masking IV and header, unmasked (R24). Both sides
/// compute with it, so a handshake proves nothing under another challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengeData(pub [u8; CHALLENGE_BYTES]);

/// The keys of a session. Each side writes with its own and reads with the other's (R43).
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// What the initiator (who answers the challenge) writes with.
    pub initiator: [u8; 16],
    /// What the recipient (who made the challenge) writes with.
    pub recipient: [u8; 16],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// The keys that follow from the shared point of ephemeral and static key (33 bytes compressed):
/// HKDF-SHA-256 with the challenge as salt (R26).
#[must_use]
pub fn derive(
    secret: &[u8; 33],
    challenge: &ChallengeData,
    initiator: &NodeId,
    recipient: &NodeId,
) -> Keys {
    let mut output = [0; 32];
    Hkdf::<Sha256>::new(Some(&challenge.0), secret)
        .expand_multi_info(&[KEY_AGREEMENT, &initiator.0, &recipient.0], &mut output)
        .expect("32 bytes are one block of output");
    let [first, last] = *output.as_chunks().0 else { unreachable!("32 bytes are two keys") };
    Keys { initiator: first, recipient: last }
}

/// What the initiator signs with its static key (R27): SHA-256 over the challenge, its ephemeral
/// key and the recipient's id.
#[must_use]
pub fn id_digest(challenge: &ChallengeData, ephemeral: &[u8; 33], recipient: &NodeId) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [IDENTITY_PROOF, &challenge.0, ephemeral, &recipient.0] {
        hash.update(part);
    }
    hash.finalize().into()
}
