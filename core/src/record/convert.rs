//! Conversions to and from `enr::Enr` (feature `enr`), for those who embed.
//!
//! Both ways go through the canonical bytes and check them anew, because the two types do not
//! promise the same. What `enr` has and [`Signed`] refuses: a public key that is not compressed
//! (EIP-778 demands 33 bytes), an ed25519 key (not the scheme "v4"). What [`Signed`] has and `enr`
//! refuses: a record whose `ip`, `ip6`, `tcp`, `tcp6`, `udp` or `udp6` does not decode; its
//! signature is valid, only that endpoint is not usable. What both have reads the same, except
//! that `enr` does not take `udp` for the port of an IPv6 address where `udp6` is missing.

use alloy_rlp::Decodable;
use enr::{Enr, EnrKey};

use super::{RecordError, Signed};

/// Of any key type, so of `discv5::Enr` too.
impl<K: EnrKey> TryFrom<&Enr<K>> for Signed {
    type Error = RecordError;

    fn try_from(record: &Enr<K>) -> Result<Self, RecordError> {
        Self::from_bytes(&alloy_rlp::encode(record))
    }
}

impl<K: EnrKey> TryFrom<&Signed> for Enr<K> {
    type Error = alloy_rlp::Error;

    fn try_from(record: &Signed) -> Result<Self, alloy_rlp::Error> {
        Self::decode(&mut record.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use enr::k256::ecdsa::SigningKey;

    use super::*;
    use crate::keys::{KeyError, SecretKey};
    use crate::record::{Claimed, Endpoints};

    const SCALAR: [u8; 32] = [7; 32];

    fn theirs() -> SigningKey {
        SigningKey::from_slice(&SCALAR).unwrap()
    }

    #[test]
    fn a_record_of_ours_is_the_same_record_there_and_back() {
        let key = SecretKey::from_bytes(&SCALAR).unwrap();
        let addresses = ["192.0.2.7:3610", "[2001:db8::7]:3611"]
            .map(|address| address.parse::<SocketAddr>().unwrap());
        let ours = Signed::sign(&key, u64::MAX, &Endpoints::at(addresses));
        let record = Enr::<SigningKey>::try_from(&ours).unwrap();
        assert_eq!(record.seq(), u64::MAX);
        assert_eq!(record.node_id().raw(), ours.node_id().0);
        assert_eq!(record.udp4_socket().map(SocketAddr::from), Some(addresses[0]));
        assert_eq!(record.udp6_socket().map(SocketAddr::from), Some(addresses[1]));
        assert_eq!(Signed::try_from(&record).unwrap(), ours);
    }

    #[test]
    fn a_record_that_enr_makes_is_one_of_ours() {
        let mut builder = Enr::builder();
        builder.seq(3).udp4(9000).add_value("eth", &vec![1_u8, 2]);
        let record = builder.build(&theirs()).unwrap();
        let ours = Signed::try_from(&record).unwrap();
        assert_eq!((ours.seq(), ours.endpoints().udp), (3, Some(9000)));
        assert_eq!(ours.to_text(), record.to_base64());
        assert_eq!(Enr::<SigningKey>::try_from(&ours).unwrap(), record);
    }

    #[test]
    fn an_uncompressed_key_is_refused() {
        // RLP of [signature, 1, "id", "v4", "secp256k1", 65 bytes], which `enr` reads.
        let key = theirs();
        let point = key.verifying_key().to_sec1_point(false);
        let mut content = alloy_rlp::encode(1_u64);
        for item in [&b"id"[..], b"v4", b"secp256k1", point.as_bytes()] {
            content.extend(alloy_rlp::encode(item));
        }
        let signature = key.sign_v4(&list(&content)).unwrap();
        let mut items = alloy_rlp::encode(signature.as_slice());
        items.extend(&content);
        let record = Enr::<SigningKey>::decode(&mut list(&items).as_slice()).unwrap();
        let refused = RecordError::Key(KeyError::Length(65));
        assert_eq!(Signed::try_from(&record), Err(refused));
    }

    #[test]
    fn an_ip_that_does_not_decode_is_refused_by_enr_only() {
        let key = SecretKey::from_bytes(&SCALAR).unwrap();
        let mut content = alloy_rlp::encode(1_u64);
        for item in [&b"id"[..], b"v4", b"ip", b"abc", b"secp256k1", key.public_key().as_bytes()] {
            content.extend(alloy_rlp::encode(item));
        }
        let signature = key.sign(&crate::record::keccak256(&list(&content)));
        let mut items = alloy_rlp::encode(signature.0.as_slice());
        items.extend(&content);
        let bytes = list(&items);
        let ours = Claimed::parse(&bytes).unwrap().verify().unwrap();
        assert_eq!(ours.endpoints(), Endpoints::default());
        assert_eq!(Enr::<SigningKey>::try_from(&ours), Err(alloy_rlp::Error::UnexpectedLength));
    }

    fn list(items: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut out);
        out.extend_from_slice(items);
        out
    }
}
