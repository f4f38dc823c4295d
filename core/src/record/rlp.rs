//! The RLP of a record: `[signature, seq, k, v, k, v, …]`, strictly canonical.

use alloy_rlp::{Decodable, Encodable, Header};

use super::{Claimed, RecordError, keccak256};
use crate::keys::{KeyError, Signature};

/// Everything EIP-778 asks of the form; size and signature are the caller's.
pub(super) fn parse(bytes: &[u8]) -> Result<Claimed<'_>, RecordError> {
    let mut rest = bytes;
    let content = &mut Header::decode_bytes(&mut rest, true)?;
    if !rest.is_empty() {
        return Err(RecordError::Rlp(alloy_rlp::Error::UnexpectedLength));
    }
    if content.is_empty() {
        return Err(RecordError::Incomplete);
    }
    let signature = Header::decode_bytes(content, false)?;
    let signed: &[u8] = content;
    if signed.is_empty() {
        return Err(RecordError::Incomplete);
    }
    let seq = u64::decode(content)?;
    let pairs: &[u8] = content;
    let public_key = check_pairs(pairs)?;
    let signature: [u8; 64] =
        signature.try_into().map_err(|_| RecordError::SignatureLength(signature.len()))?;
    Ok(Claimed { bytes, content: signed, pairs, signature: Signature(signature), seq, public_key })
}

/// Checks order, completeness, scheme and key length; answers with the public key's bytes.
fn check_pairs(mut rest: &[u8]) -> Result<&[u8; 33], RecordError> {
    let mut last: Option<&[u8]> = None;
    let mut scheme = None;
    let mut public_key = None;
    while !rest.is_empty() {
        let key = Header::decode_bytes(&mut rest, false)?;
        if rest.is_empty() {
            return Err(RecordError::Incomplete);
        }
        let value = item(&mut rest)?;
        if last.is_some_and(|last| last >= key) {
            return Err(RecordError::KeyOrder);
        }
        last = Some(key);
        match key {
            b"id" => scheme = Some(value),
            b"secp256k1" => public_key = Some(value),
            _ => {}
        }
    }
    if scheme.and_then(string) != Some(b"v4") {
        return Err(RecordError::Scheme);
    }
    let public_key = public_key.and_then(string).ok_or(RecordError::Key(KeyError::Length(0)))?;
    public_key.try_into().map_err(|_| RecordError::Key(KeyError::Length(public_key.len())))
}

/// The pairs of a record that was parsed before.
pub(super) fn pairs(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| {
            let key = Header::decode_bytes(&mut rest, false).expect("a parsed record");
            (key, item(&mut rest).expect("a parsed record"))
        })
    })
}

/// The payload of an item that is a byte string.
pub(super) fn string(mut item: &[u8]) -> Option<&[u8]> {
    Header::decode_bytes(&mut item, false).ok()
}

/// Takes one whole item, header included, a string's or a list's.
fn item<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RecordError> {
    let before = *rest;
    let header = Header::decode(rest)?;
    *rest = &rest[header.payload_length..];
    Ok(&before[..before.len() - rest.len()])
}

/// A byte string as an RLP item.
pub(super) fn value(bytes: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(bytes)
}

/// The items that are signed: seq and the pairs, whose values are whole items.
pub(super) fn content(seq: u64, pairs: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let mut out = alloy_rlp::encode(seq);
    for (key, value) in pairs {
        key.encode(&mut out);
        out.extend_from_slice(value);
    }
    out
}

pub(super) fn content_hash(content: &[u8]) -> [u8; 32] {
    keccak256(&list(content))
}

/// The whole record.
pub(super) fn record(signature: &Signature, content: &[u8]) -> Vec<u8> {
    let mut items = value(&signature.0);
    items.extend_from_slice(content);
    list(&items)
}

fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len() + 3);
    Header { list: true, payload_length: items.len() }.encode(&mut out);
    out.extend_from_slice(items);
    out
}
