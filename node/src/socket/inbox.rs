//! Discovery's datagrams on their way from the socket to whoever handles them.

use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use quinn::udp::RecvMeta;
use stayfound_core::discovery::cipher::Mask;
use stayfound_core::discovery::packet::is_discovery;

use super::canonical;

/// How many bytes of datagrams may wait; whatever comes beyond that is lost, as UDP may be.
const WAITING_BYTES_MAX: usize = 256 * 1024;
/// What a waiting datagram costs besides its bytes, so that many small ones count, too.
const BYTES_PER_DATAGRAM: usize = 40;

/// Where the socket puts discovery's datagrams, for one reader. No datagram is a task switch: the
/// reader is woken once, and takes all that came since.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    reader: Option<Waker>,
}

/// Datagrams that came, in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// From where, and where in the bytes each ends.
    datagrams: Vec<(SocketAddr, usize)>,
    /// How many were lost beside these for want of room.
    lost: u64,
}

/// Tells discovery's datagrams from QUIC's.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    /// The mask of packets to us.
    pub(crate) own: Mask,
    /// Where discovery's go.
    pub(crate) inbox: Arc<Inbox>,
}

impl Batch {
    fn push(&mut self, from: SocketAddr, datagram: &[u8]) {
        let waiting = self.bytes.len() + self.datagrams.len() * BYTES_PER_DATAGRAM;
        if waiting + datagram.len() + BYTES_PER_DATAGRAM > WAITING_BYTES_MAX {
            self.lost += 1;
            return;
        }
        self.bytes.extend_from_slice(datagram);
        self.datagrams.push((from, self.bytes.len()));
    }

    /// The datagrams, and from where each came (canonical: never IPv4-mapped).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut start = 0;
        self.datagrams.iter().map(move |(from, end)| {
            let datagram = &self.bytes[start..*end];
            start = *end;
            (*from, datagram)
        })
    }

    /// How many were lost beside these.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.lost = 0;
    }
}

impl Inbox {
    /// Waits until datagrams are there, and takes all of them in the place of what `batch` held.
    /// Nothing is lost if this is dropped unfinished.
    pub(crate) async fn take(&self, batch: &mut Batch) {
        batch.clear();
        poll_fn(|context| {
            let mut waiting = self.lock();
            if waiting.batch.datagrams.is_empty() {
                waiting.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            std::mem::swap(&mut waiting.batch, batch);
            Poll::Ready(())
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().expect("nobody panics while holding the inbox")
    }
}

impl Split {
    /// Takes discovery's datagrams out of the first `received` buffers. What is QUIC's stays, in
    /// order and in the first buffers; answers how many those are.
    pub(super) fn sort(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
        received: usize,
    ) -> usize {
        let mut waiting = self.inbox.lock();
        let mut kept = 0;
        for place in 0..received {
            let meta = &mut metas[place];
            let before = meta.len;
            meta.len = self.sort_one(&mut buffers[place], meta, &mut waiting.batch);
            if meta.len > 0 || before == 0 {
                buffers.swap(kept, place);
                metas.swap(kept, place);
                kept += 1;
            }
        }
        let reader = match waiting.batch.datagrams.is_empty() {
            true => None,
            false => waiting.reader.take(),
        };
        drop(waiting);
        reader.into_iter().for_each(Waker::wake);
        kept
    }

    /// One buffer, which holds several datagrams of one sender if the system received them at once
    /// (GRO): all of one length but the last, which may be shorter. Answers how many bytes stay.
    fn sort_one(&self, buffer: &mut [u8], meta: &RecvMeta, batch: &mut Batch) -> usize {
        let mut kept = 0;
        let mut start = 0;
        while start < meta.len {
            let end = meta.len.min(start + meta.stride.max(1));
            if is_discovery(&self.own, &buffer[start..end]) {
                batch.push(canonical(meta.addr), &buffer[start..end]);
            } else {
                // All but the last keep their length, so that the stride stays true.
                buffer.copy_within(start..end, kept);
                kept += end - start;
            }
            start = end;
        }
        kept
    }
}
