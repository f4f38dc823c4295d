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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use stayfound_core::record::NodeId;

    use super::*;

    const STRIDE: usize = 70;

    /// What the protocol id alone makes discovery's, of so many bytes that begin with this one.
    fn discovery(mask: &Mask, first: u8, length: usize) -> Vec<u8> {
        let mut datagram = vec![first; length];
        let (iv, header) = datagram.split_first_chunk_mut::<16>().expect("is long enough");
        header[..9].copy_from_slice(b"discv5\0\x01\0");
        mask.apply(iv, &mut header[..9]);
        datagram
    }

    /// Sorts what came from one sender at once, cut as the system cuts it; answers what stays and
    /// what was put into the inbox.
    fn sorted(split: &Split, datagrams: &[Vec<u8>]) -> (usize, Vec<u8>, Vec<Vec<u8>>) {
        let (before, last) = datagrams.split_at(datagrams.len() - 1);
        assert!(before.iter().all(|whole| whole.len() == STRIDE) && last[0].len() <= STRIDE);
        let mut other = *b"QUIC";
        let mut together = datagrams.concat();
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let meta = |len| RecvMeta {
            addr: (mapped, 9).into(),
            len,
            stride: STRIDE.min(len),
            ..RecvMeta::default()
        };
        let mut metas = [meta(together.len()), meta(4)];
        let mut buffers = [IoSliceMut::new(&mut together), IoSliceMut::new(&mut other)];
        let kept = split.sort(&mut buffers, &mut metas, 2);
        assert_eq!(&buffers[kept - 1][..metas[kept - 1].len], b"QUIC", "the last one stays");
        let stays = if kept == 2 { buffers[0][..metas[0].len].to_vec() } else { Vec::new() };
        let mut batch = Batch::default();
        std::mem::swap(&mut split.inbox.lock().batch, &mut batch);
        let canonical = (Ipv4Addr::LOCALHOST, 9).into();
        assert!(batch.iter().all(|(from, _)| from == canonical));
        (kept, stays, batch.iter().map(|(_, bytes)| bytes.to_vec()).collect())
    }

    #[test]
    fn what_came_at_once_is_told_apart_one_by_one() {
        let own = Mask::of(&NodeId([7; 32]));
        let split = Split { own: own.clone(), inbox: Arc::default() };
        // Which of up to five datagrams are discovery's, the last one whole or shorter.
        for (count, bits, last) in (1..=5)
            .flat_map(|count| (0..1 << count).map(move |bits| (count, bits)))
            .flat_map(|(count, bits)| [STRIDE, 64].map(|last| (count, bits, last)))
        {
            let is_ours = |place: &usize| bits >> place & 1 == 1;
            let datagrams: Vec<Vec<u8>> = (0..count)
                .map(|place| {
                    let length = if place + 1 == count { last } else { STRIDE };
                    match is_ours(&place) {
                        true => discovery(&own, place as u8, length),
                        false => vec![place as u8; length],
                    }
                })
                .collect();
            let of = |ours| {
                let places = (0..count).filter(move |place| is_ours(place) == ours);
                places.map(|place| datagrams[place].clone()).collect::<Vec<_>>()
            };
            let (kept, stays, taken) = sorted(&split, &datagrams);
            assert_eq!(taken, of(true), "{bits:b} of {count}");
            assert_eq!(stays, of(false).concat(), "{bits:b} of {count}");
            assert_eq!(kept, 1 + usize::from(!of(false).is_empty()));
        }
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut batch = Batch::default();
        let from = (Ipv4Addr::LOCALHOST, 9).into();
        let each = 60 + BYTES_PER_DATAGRAM;
        for _ in 0..WAITING_BYTES_MAX / each + 3 {
            batch.push(from, &[0; 60]);
        }
        assert_eq!((batch.iter().count(), batch.lost()), (WAITING_BYTES_MAX / each, 3));
        batch.clear();
        assert_eq!((batch.iter().count(), batch.lost()), (0, 0));
    }
}
