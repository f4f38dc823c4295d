//! The socket as QUIC and discovery share it.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;

use super::Split;

/// How often in a row the socket is read for discovery alone, or fails, before others have their
/// turn.
const ROUNDS_MAX: usize = 16;

/// A UDP socket that receives and sends in batches where the system can, and keeps discovery's
/// datagrams from QUIC.
#[derive(Debug)]
pub(crate) struct Port {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Nothing is discovery's without it.
    split: Option<Split>,
}

impl Port {
    /// Takes this socket over, within the current tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(socket: UdpSocket, split: Option<Split>) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        Ok(Self { io: tokio::net::UdpSocket::from_std(socket)?, state, local, split })
    }

    /// Where the socket is bound.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// How many datagrams of one length to one address can be sent at once.
    pub(super) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends datagrams to one address, of one length each but the last, which may be shorter.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`], or what the system says; nothing was sent then.
    pub(super) fn send(&self, to: SocketAddr, contents: &[u8], each: usize) -> io::Result<()> {
        if !is_somebodys(to) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let transmit = Transmit {
            destination: self.reached(to),
            ecn: None,
            contents,
            segment_size: (each < contents.len()).then_some(each),
            src_ip: None,
        };
        let send = || self.state.try_send((&self.io).into(), &transmit);
        self.io.try_io(Interest::WRITABLE, send)
    }

    /// Receives what is there, as far as there is room for it. Whatever leaves room was all: then
    /// the runtime is told at once that the socket is empty, and need not ask the system again.
    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let room = buffers.len().min(BATCH_SIZE);
        let mut all = None;
        let received = self.io.try_io(Interest::READABLE, || {
            match self.state.recv((&self.io).into(), buffers, metas)? {
                received if received < room => {
                    all = Some(received);
                    Err(io::ErrorKind::WouldBlock.into())
                }
                received => Ok(received),
            }
        });
        all.map_or(received, Ok)
    }

    /// Waits until something can be sent again.
    pub(super) async fn writable(&self) {
        let _ = self.io.writable().await; // an error comes again when something is sent
    }

    /// An IPv6 socket knows IPv4 addresses by their mapped form only.
    fn reached(&self, to: SocketAddr) -> SocketAddr {
        match (self.local, to) {
            (SocketAddr::V6(_), SocketAddr::V4(to)) => {
                let ip: Ipv6Addr = to.ip().to_ipv6_mapped();
                (ip, to.port()).into()
            }
            _ => to,
        }
    }
}

impl AsyncUdpSocket for Port {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { port: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !is_somebodys(transmit.destination) {
            return Ok(()); // lost, as UDP may be
        }
        let send = || self.state.send((&self.io).into(), transmit);
        self.io.try_io(Interest::WRITABLE, send)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut failed = None;
        for _ in 0..ROUNDS_MAX {
            ready!(self.io.poll_recv_ready(context))?;
            match self.receive(buffers, metas) {
                Ok(received) => {
                    failed = None;
                    let sort = |split: &Split| split.sort(buffers, metas, received);
                    let kept = self.split.as_ref().map_or(received, sort);
                    if kept > 0 {
                        return Poll::Ready(Ok(kept));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // What a network path does to a datagram is no matter; a socket that fails every
                // time is dead.
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Poll::Ready(Err(error));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

/// Whether anybody can be at an address. Anybody can write to us from port 0, and an answer there
/// fails like a batch that the system cannot send (EINVAL): no batch would be tried ever again.
fn is_somebodys(address: SocketAddr) -> bool {
    address.port() != 0
}

/// One waiter for room to send: each has a waker of its own.
struct Writable {
    port: Arc<Port>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let port = self.port.clone();
        let waiting =
            self.waiting.get_or_insert_with(|| Box::pin(async move { port.io.writable().await }));
        let result = ready!(waiting.as_mut().poll(context));
        self.waiting = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::socket;

    const DEADLINE: Duration = Duration::from_secs(60);

    fn port() -> Port {
        let socket = socket::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        Port::new(socket, None).expect("a socket")
    }

    /// Receives datagrams of one byte each until so many have come.
    async fn receive(port: &Port, count: usize) {
        let mut bytes = [[0; 64]; BATCH_SIZE];
        let mut buffers = bytes.each_mut().map(|bytes| IoSliceMut::new(bytes));
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut received = 0;
        while received < count {
            let some = poll_fn(|context| port.poll_recv(context, &mut buffers, &mut metas)).await;
            let some = &metas[..some.expect("a socket that works")];
            received += some.iter().map(|meta| meta.len).sum::<usize>();
        }
        assert_eq!(received, count);
    }

    #[tokio::test]
    async fn nothing_is_left_in_the_socket_whatever_fills_a_batch() {
        let (ours, theirs) = (port(), port());
        theirs.writable().await;
        for count in [1, BATCH_SIZE - 1, BATCH_SIZE, BATCH_SIZE + 1, 2 * BATCH_SIZE, 1] {
            (0..count).for_each(|_| theirs.send(ours.local(), b"1", 1).expect("there is room"));
            timeout(DEADLINE, receive(&ours, count)).await.expect("all of them come");
        }
    }

    #[tokio::test]
    async fn an_answer_to_port_0_leaves_batches_as_they_are() {
        let (ours, theirs) = (port(), port());
        let before = ours.segments_max();
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let transmit = |destination| Transmit {
            destination,
            ecn: None,
            contents: b"answer",
            segment_size: None,
            src_ip: None,
        };
        ours.writable().await;
        ours.try_send(&transmit(nobody)).expect("is lost");
        ours.send(nobody, b"answer", 6).expect_err("nobody is there");
        assert_eq!(ours.segments_max(), before);
        // What this is about: left to the system, it would be otherwise.
        let _ = theirs.state.try_send((&theirs.io).into(), &transmit(nobody));
        if before > 1 && cfg!(target_os = "linux") {
            assert_eq!(theirs.segments_max(), 1);
        }
    }
}
