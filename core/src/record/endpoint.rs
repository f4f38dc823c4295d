//! The addresses and ports that a record names, and how far an address reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::rlp;

/// `ip`, `ip6` and the ports `udp`, `udp6`, `quic`, `quic6` of a record (EIP-778 and the
/// consensus specification's networking chapter). A value that does not decode counts as absent:
/// the record is valid by its signature, only that endpoint is not usable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// discv5 port.
    pub udp: Option<u16>,
    /// discv5 port over IPv6.
    pub udp6: Option<u16>,
    /// QUIC port.
    pub quic: Option<u16>,
    /// QUIC port over IPv6.
    pub quic6: Option<u16>,
}

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nowhere: unspecified, multicast, reserved, broadcast.
    None,
    /// This host.
    Loopback,
    /// This link (169.254/16, fe80::/10): useless without a zone, which a record cannot carry.
    Link,
    /// A private network, or the inside of a carrier's NAT (RFC 1918, RFC 6598, RFC 4193).
    Private,
    /// The Internet.
    Global,
}

impl Scope {
    /// The scope of an address. An IPv4-mapped IPv6 address has the scope of the IPv4 address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64; // RFC 6598
        if ip.octets()[0] == 0 || ip.octets()[0] >= 224 {
            Self::None // "this network" (RFC 791), multicast, reserved, broadcast
        } else if ip.is_loopback() {
            Self::Loopback
        } else if ip.is_link_local() {
            Self::Link
        } else if ip.is_private() || shared {
            Self::Private
        } else {
            Self::Global
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        if ip.is_unspecified() || ip.is_multicast() {
            Self::None
        } else if ip.is_loopback() {
            Self::Loopback
        } else if ip.is_unicast_link_local() {
            Self::Link
        } else if ip.is_unique_local() {
            Self::Private
        } else {
            Self::Global
        }
    }

    /// Whether an address of this scope can be dialled or published at all.
    #[must_use]
    pub fn is_usable(self) -> bool {
        !matches!(self, Self::None | Self::Link)
    }
}

impl Endpoints {
    /// One address per family at most, each with one UDP port that carries QUIC and discv5 both.
    ///
    /// # Panics
    /// If an address is not usable: whoever publishes has asked [`Scope`] before.
    #[must_use]
    pub fn at(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut endpoints = Self::default();
        for address in addresses {
            assert!(is_usable(address), "{address} is not to be published");
            let port = Some(address.port());
            match address.ip() {
                IpAddr::V4(ip) => {
                    (endpoints.ip, endpoints.udp, endpoints.quic) = (Some(ip), port, port);
                }
                IpAddr::V6(ip) => {
                    (endpoints.ip6, endpoints.udp6, endpoints.quic6) = (Some(ip), port, port);
                }
            }
        }
        endpoints
    }

    /// Where QUIC answers, as far as usable: IPv4 first.
    pub fn quic_addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        addresses((self.ip, self.quic), (self.ip6, self.quic6))
    }

    /// Where discv5 answers, as far as usable: IPv4 first. Without `udp6`, `udp` applies to the
    /// IPv6 address as well (R65).
    pub fn udp_addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        addresses((self.ip, self.udp), (self.ip6, self.udp6.or(self.udp)))
    }

    pub(super) fn from_pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut endpoints = Self::default();
        for (key, item) in pairs {
            match key {
                b"ip" => endpoints.ip = address::<4>(item).map(Ipv4Addr::from),
                b"ip6" => endpoints.ip6 = address::<16>(item).map(Ipv6Addr::from),
                b"udp" => endpoints.udp = port(item),
                b"udp6" => endpoints.udp6 = port(item),
                b"quic" => endpoints.quic = port(item),
                b"quic6" => endpoints.quic6 = port(item),
                _ => {}
            }
        }
        endpoints
    }

    /// As record pairs, values being whole RLP items.
    pub(super) fn pairs(&self) -> Vec<(&'static [u8], Vec<u8>)> {
        let address = |name: &'static [u8], octets: Option<Vec<u8>>| {
            octets.map(|octets| (name, rlp::value(&octets)))
        };
        let port = |name: &'static [u8], port: Option<u16>| {
            port.map(|port| (name, alloy_rlp::encode(port)))
        };
        [
            address(b"ip", self.ip.map(|ip| ip.octets().to_vec())),
            address(b"ip6", self.ip6.map(|ip| ip.octets().to_vec())),
            port(b"udp", self.udp),
            port(b"udp6", self.udp6),
            port(b"quic", self.quic),
            port(b"quic6", self.quic6),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Whether a socket address can be dialled or published: a usable scope and a port.
#[must_use]
pub fn is_usable(address: SocketAddr) -> bool {
    Scope::of(address.ip()).is_usable() && address.port() != 0
}

fn addresses(
    v4: (Option<Ipv4Addr>, Option<u16>),
    v6: (Option<Ipv6Addr>, Option<u16>),
) -> impl Iterator<Item = SocketAddr> {
    let v4 = v4.0.zip(v4.1).map(SocketAddr::from);
    let v6 = v6.0.zip(v6.1).map(SocketAddr::from);
    v4.into_iter().chain(v6).filter(|address| is_usable(*address))
}

fn address<const N: usize>(item: &[u8]) -> Option<[u8; N]> {
    rlp::string(item)?.try_into().ok()
}

/// A port is a canonical RLP integer: no leading zero, two bytes at most.
fn port(mut item: &[u8]) -> Option<u16> {
    alloy_rlp::Decodable::decode(&mut item).ok()
}
