//! The one UDP socket of a node: QUIC and discv5 on one port.
//!
//! A datagram that unmasks to discv5's protocol id under our own node id is discovery's and goes
//! to the [`Inbox`]; every other is QUIC's.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};

mod inbox;
mod outbox;
mod port;

pub(crate) use inbox::{Batch, Inbox, Split};
pub(crate) use outbox::Outbox;
pub(crate) use port::Port;

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

/// A socket that is bound nowhere, loses what is sent and receives nothing: what an endpoint that
/// ends is put on, so that the port is free at once.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl AsyncUdpSocket for Nowhere {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Self)
    }

    fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
        Ok(())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::UNSPECIFIED, 0).into())
    }
}

impl UdpPoller for Nowhere {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A socket that fails whenever it is asked for what was received.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Broken;

#[cfg(test)]
impl AsyncUdpSocket for Broken {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Nowhere)
    }

    fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
        Err(io::ErrorKind::NetworkDown.into())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::NetworkDown.into()))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 1).into())
    }
}
