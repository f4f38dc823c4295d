//! RLP of what several rooms write: socket addresses, node ids.

use std::net::{IpAddr, SocketAddr};

use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};

use crate::record::NodeId;

/// A socket address as `[ip, port]`, the ip as 4 or 16 bytes. An IPv4-mapped IPv6 address (what
/// a dual-stack socket reports) is written as the IPv4 address that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) SocketAddr);

#[derive(RlpEncodable, RlpDecodable)]
struct Parts {
    ip: IpAddr,
    port: u16,
}

impl Encodable for Address {
    fn encode(&self, out: &mut dyn BufMut) {
        Parts { ip: self.0.ip().to_canonical(), port: self.0.port() }.encode(out);
    }

    fn length(&self) -> usize {
        Parts { ip: self.0.ip().to_canonical(), port: self.0.port() }.length()
    }
}

impl Decodable for Address {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let Parts { ip, port } = Parts::decode(buf)?;
        Ok(Self(SocketAddr::new(ip.to_canonical(), port)))
    }
}

impl Encodable for NodeId {
    fn encode(&self, out: &mut dyn BufMut) {
        self.0.encode(out);
    }

    fn length(&self) -> usize {
        self.0.length()
    }
}

impl Decodable for NodeId {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        <[u8; 32]>::decode(buf).map(Self)
    }
}
