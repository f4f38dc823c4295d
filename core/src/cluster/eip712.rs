//! What the accounts of operators and creators sign (EIP-712), and who signed it.

use sha3::{Digest, Keccak256};

use super::json::Hex;
use crate::keys::PublicKey;

/// The chain with this fork version at genesis, if it is a public one. Holesky is gone, but
/// clusters that were made on it are not.
#[must_use]
pub fn chain_id(fork_version: [u8; 4]) -> Option<u64> {
    match fork_version {
        [0x00, 0x00, 0x00, 0x00] => Some(1),          // mainnet
        [0x00, 0x00, 0x10, 0x20] => Some(5),          // Goerli
        [0x00, 0x00, 0x00, 0x64] => Some(100),        // Gnosis
        [0x00, 0x00, 0x00, 0x6f] => Some(10_200),     // Chiado
        [0x01, 0x01, 0x70, 0x00] => Some(17_000),     // Holesky
        [0x90, 0x00, 0x00, 0x69] => Some(11_155_111), // Sepolia
        [0x10, 0x00, 0x09, 0x10] => Some(560_048),    // Hoodi
        _ => None,
    }
}

/// A message of one field, a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    kind: &'static str,
    value: std::borrow::Cow<'a, str>,
}

impl<'a> Message<'a> {
    /// An operator's, over the config hash, in v1.3.0.
    #[must_use]
    pub fn config_hash(hash: &[u8; 32]) -> Self {
        Self { kind: "ConfigHash(string config_hash)", value: Hex(hash).to_string().into() }
    }

    /// An operator's, over the config hash, from v1.4.0 on.
    #[must_use]
    pub fn operator_config_hash(hash: &[u8; 32]) -> Self {
        let kind = "OperatorConfigHash(string operator_config_hash)";
        Self { kind, value: Hex(hash).to_string().into() }
    }

    /// The creator's, over the config hash.
    #[must_use]
    pub fn creator_config_hash(hash: &[u8; 32]) -> Self {
        let kind = "CreatorConfigHash(string creator_config_hash)";
        Self { kind, value: Hex(hash).to_string().into() }
    }

    /// An operator's, over its ENR. It binds neither cluster nor time.
    #[must_use]
    pub fn enr(enr: &'a str) -> Self {
        Self { kind: "ENR(string enr)", value: enr.into() }
    }

    /// What is signed for this chain.
    #[must_use]
    pub fn digest(&self, chain_id: u64) -> [u8; 32] {
        let mut chain = [0; 32];
        chain[24..].copy_from_slice(&chain_id.to_be_bytes());
        let domain = keccak(&[
            &keccak(&[b"EIP712Domain(string name,string version,uint256 chainId)"]),
            &keccak(&[b"Obol"]),
            &keccak(&[b"1"]),
            &chain,
        ]);
        let message =
            keccak(&[&keccak(&[self.kind.as_bytes()]), &keccak(&[self.value.as_bytes()])]);
        keccak(&[b"\x19\x01", &domain, &message])
    }
}

/// The account whose key made this signature: r ‖ s ‖ v. `None` if nobody's did.
#[must_use]
pub fn signer(digest: &[u8; 32], signature: &[u8; 65]) -> Option<[u8; 20]> {
    let key = PublicKey::recover(digest, signature)?;
    keccak(&[&key.point().coordinates()]).last_chunk().copied()
}

fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
