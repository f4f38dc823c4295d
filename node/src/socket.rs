//! The one UDP socket of a node.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Binds the socket. `[::]` serves IPv4 as well, whatever the system's default is.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AddrInUse`] if another program has the port.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The address as the rest of the world writes it: a dual-stack socket reports IPv4 peers as
/// IPv4-mapped IPv6 addresses.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
