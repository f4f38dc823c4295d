//! Discovery's datagrams on their way to the socket.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::Port;

/// How many datagrams may wait for room in the socket; more are lost, as UDP may be.
const WAITING_MAX: usize = 1024;
/// How many are collected before they are sent.
const COLLECTED_MAX: usize = 64;
/// The largest run that is sent at once: what one UDP datagram can be to the system.
const RUN_BYTES_MAX: usize = 65_000;

const _: () = assert!(COLLECTED_MAX < WAITING_MAX);

/// Sends datagrams without ever waiting: neighbours in the queue that go to one address and have
/// one length are sent at once, where the system can (GSO).
pub(crate) struct Outbox {
    port: Arc<Port>,
    waiting: VecDeque<(SocketAddr, Bytes)>,
    /// There was no room in the socket the last time.
    is_blocked: bool,
    /// Where a run is put together.
    run: Vec<u8>,
    lost: u64,
}

impl Outbox {
    pub(crate) fn new(port: Arc<Port>) -> Self {
        let (waiting, run) = (VecDeque::new(), Vec::new());
        Self { port, waiting, is_blocked: false, run, lost: 0 }
    }

    /// Sends through this socket from now on.
    pub(crate) fn move_to(&mut self, port: Arc<Port>) {
        self.port = port;
        self.is_blocked = false;
    }

    /// Takes a datagram; [`Outbox::flush`] sends it at the latest.
    pub(crate) fn send(&mut self, to: SocketAddr, bytes: Bytes) {
        if self.waiting.len() >= WAITING_MAX {
            self.lost += 1;
            return;
        }
        self.waiting.push_back((to, bytes));
        if self.waiting.len() >= COLLECTED_MAX && !self.is_blocked {
            self.flush();
        }
    }

    /// Sends what waits, as far as there is room for it in the socket.
    pub(crate) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.is_blocked = false;
        let mut run_max = self.port.segments_max();
        while let Some((to, first)) = self.waiting.front() {
            let count = self.run_length(run_max);
            let sent = if count == 1 {
                self.port.send(*to, first, first.len())
            } else {
                self.run.clear();
                let run = self.waiting.range(..count);
                run.for_each(|(_, bytes)| self.run.extend_from_slice(bytes));
                self.port.send(*to, &self.run, first.len())
            };
            match sent {
                Ok(()) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked = true;
                    return;
                }
                // Not every network card and driver can: then one by one.
                Err(_) if count > 1 => run_max = 1,
                // No route, say, or another family than the socket's.
                Err(_) => {
                    self.waiting.pop_front();
                    self.lost += 1;
                }
            }
        }
    }

    /// How many of those in front can be sent at once: to one address, of one length, but the last
    /// may be shorter.
    fn run_length(&self, max: usize) -> usize {
        let mut waiting = self.waiting.iter();
        let (to, first) = waiting.next().expect("something waits");
        let fits = max.min(RUN_BYTES_MAX / first.len().max(1));
        let mut count = 1;
        for (other, bytes) in waiting {
            if count >= fits || other != to || bytes.len() > first.len() || bytes.is_empty() {
                break;
            }
            count += 1;
            if bytes.len() < first.len() {
                break;
            }
        }
        count
    }

    /// Waits until there is room again for what did not fit: then is the time to flush. Never
    /// comes if nothing waits.
    pub(crate) async fn has_room(&self) {
        match self.is_blocked {
            true => self.port.writable().await,
            false => std::future::pending().await,
        }
    }

    /// How many were lost since the last call.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}
