//! What survives a crash, what is on its way there, and what can become of it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use stayfound_core::chance::Stream;
use stayfound_core::database::Row;
use stayfound_core::node::Ticket;
use stayfound_core::record::NodeId;

use crate::marks::{Mark, mark};
use crate::moment::Moment;

/// How many writes a disk that lies about them can still lose.
pub(crate) const UNSYNCED_MAX: usize = 16;

/// How long a write takes until it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskSpeed {
    /// 0.1 to 5 ms.
    Fast,
    /// 20 to 800 ms.
    Slow,
}

/// One disk.
pub(crate) struct Disk {
    rows: BTreeMap<NodeId, Row>,
    writes: VecDeque<(Ticket, Row)>,
    /// What each of the last writes replaced, the latest last.
    replaced: VecDeque<(NodeId, Option<Row>)>,
    /// What is kept elsewhere.
    snapshot: BTreeMap<NodeId, Row>,
    /// When the last of the writes is done: they keep their order.
    done_at: Moment,
    speed: DiskSpeed,
    chance: Stream,
}

impl DiskSpeed {
    /// The longest that a write takes.
    pub(crate) fn slowest(self) -> Duration {
        Duration::from_micros(self.micros().1)
    }

    /// Microseconds: least and most.
    fn micros(self) -> (u64, u64) {
        match self {
            Self::Fast => (100, 5_000),
            Self::Slow => (20_000, 800_000),
        }
    }
}

impl fmt::Display for DiskSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
        })
    }
}

impl Disk {
    /// An empty disk.
    pub(crate) fn new(speed: DiskSpeed, chance: Stream) -> Self {
        let (rows, writes, replaced, snapshot) = Default::default();
        let done_at = Moment::default();
        Self { rows, writes, replaced, snapshot, done_at, speed, chance }
    }

    /// What a process would read.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// Takes a write; answers when it will be durable.
    pub(crate) fn write(&mut self, now: Moment, ticket: Ticket, row: Row) -> Moment {
        let (least, most) = self.speed.micros();
        let takes = Duration::from_micros(least + self.chance.below(most - least));
        self.done_at = self.done_at.max(now + takes);
        self.writes.push_back((ticket, row));
        self.done_at
    }

    /// The next write is durable: answers its ticket.
    pub(crate) fn done(&mut self) -> Ticket {
        let (ticket, row) = self.writes.pop_front().expect("a write is done once");
        if self.replaced.len() == UNSYNCED_MAX {
            self.replaced.pop_front();
        }
        let key = row.key;
        self.replaced.push_back((key, self.rows.insert(key, row)));
        ticket
    }

    /// The host crashes: some of the writes under way, the first so many, had reached the disk
    /// although nobody was told. Answers the last of those.
    pub(crate) fn crash(&mut self) -> Option<Ticket> {
        let reached = self.chance.below(self.writes.len() as u64 + 1);
        let last = (0..reached).map(|_| self.done()).last();
        self.writes.clear();
        last
    }

    /// The host crashes in the middle of a write: the first that had not reached the disk, if there
    /// is one, is half there.
    pub(crate) fn tear(&mut self) -> Option<Ticket> {
        let under_way = self.writes.clone();
        let last = self.crash();
        let torn = under_way.into_iter().find(|(ticket, _)| last.is_none_or(|last| *ticket > last));
        if let Some((_, row)) = torn {
            mark(Mark::WriteTorn);
            let half = self.chance.below(row.value.len() as u64) as usize;
            self.rows.insert(row.key, Row { key: row.key, value: row.value.slice(..half) });
        }
        last
    }

    /// The last so many writes, of which the disk had said that they are durable, are not there.
    pub(crate) fn unsync(&mut self, writes: u8) {
        assert!(self.writes.is_empty(), "a process is still writing");
        for _ in 0..writes {
            match self.replaced.pop_back() {
                Some((key, Some(before))) => drop(self.rows.insert(key, before)),
                Some((key, None)) => drop(self.rows.remove(&key)),
                None => return,
            }
            mark(Mark::WritesLost);
        }
    }

    /// Everything is gone.
    pub(crate) fn wipe(&mut self) {
        self.put_back(BTreeMap::new());
    }

    /// What it holds is kept elsewhere.
    pub(crate) fn keep(&mut self) {
        self.snapshot = self.rows.clone();
    }

    /// It holds what was kept; nothing, if nothing was.
    pub(crate) fn roll_back(&mut self) {
        self.put_back(self.snapshot.clone());
    }

    /// One bit of one row is another.
    pub(crate) fn rot(&mut self) {
        assert!(self.writes.is_empty(), "a process is still writing");
        let filled: Vec<NodeId> =
            self.rows.values().filter(|row| !row.value.is_empty()).map(|row| row.key).collect();
        if filled.is_empty() {
            return;
        }
        let key = filled[self.chance.below(filled.len() as u64) as usize];
        let row = self.rows.get_mut(&key).expect("just seen");
        let mut value = row.value.to_vec();
        let bit = self.chance.below(value.len() as u64 * 8) as usize;
        value[bit / 8] ^= 1 << (bit % 8);
        row.value = Bytes::from(value);
    }

    fn put_back(&mut self, rows: BTreeMap<NodeId, Row>) {
        assert!(self.writes.is_empty(), "a process is still writing");
        self.rows = rows;
        self.replaced.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Units;
    use stayfound_core::chance::Chance;

    fn row(key: u8, value: &[u8]) -> Row {
        Row { key: NodeId([key; 32]), value: Bytes::copy_from_slice(value) }
    }

    fn disk(seed: u8) -> Disk {
        Disk::new(DiskSpeed::Slow, Chance::new([seed; 32]).stream("disk"))
    }

    fn value(disk: &Disk, key: u8) -> Option<&[u8]> {
        disk.rows.get(&NodeId([key; 32])).map(|row| &row.value[..])
    }

    /// Four writes under way, two to each of two rows; the first is done.
    fn busy(seed: u8) -> Disk {
        let mut disk = disk(seed);
        let mut last = Moment::default();
        for n in 0..4 {
            let due =
                disk.write(Moment::default() + 1.ms(), Ticket(n), row(n as u8 / 2, &[n as u8; 8]));
            assert!(due >= last);
            last = due;
        }
        assert_eq!(disk.done(), Ticket(0));
        disk
    }

    fn finish(disk: &mut Disk) {
        while !disk.writes.is_empty() {
            disk.done();
        }
    }

    #[test]
    fn writes_keep_their_order_and_a_crash_keeps_the_first_so_many() {
        let mut kept = [0; 4];
        for seed in 0..=255 {
            let mut disk = busy(seed);
            let reached = disk.crash().map_or(1, |ticket| ticket.0 as usize + 1);
            kept[reached - 1] += 1;
            assert_eq!(value(&disk, 0).unwrap()[0], u8::from(reached > 1));
            let second = [None, None, None, Some(2), Some(3)][reached];
            assert_eq!(value(&disk, 1).map(|value| value[0]), second);
            disk.wipe();
            assert!(disk.rows.is_empty());
        }
        assert!(kept.iter().all(|times| *times > 20), "{kept:?}");
    }

    #[test]
    fn a_torn_write_is_the_first_that_did_not_reach() {
        let mut torn = 0;
        for seed in 0..=255 {
            let mut disk = busy(seed);
            let reached = disk.tear().map_or(1, |ticket| ticket.0 + 1);
            let halves = disk.rows().filter(|row| row.value.len() < 8).count();
            assert_eq!(halves, usize::from(reached < 4));
            torn += halves;
        }
        assert!(torn > 100);
    }

    #[test]
    fn a_disk_that_lied_goes_back_write_by_write() {
        let mut disk = busy(1);
        finish(&mut disk);
        disk.unsync(1);
        assert_eq!((value(&disk, 0).unwrap()[0], value(&disk, 1).unwrap()[0]), (1, 2));
        disk.unsync(2);
        assert_eq!((value(&disk, 0).unwrap()[0], value(&disk, 1)), (0, None));
        disk.unsync(200);
        assert!(disk.rows.is_empty());
    }

    #[test]
    fn a_snapshot_comes_back_and_a_bit_rots() {
        let mut disk = busy(1);
        disk.keep();
        finish(&mut disk);
        disk.roll_back();
        assert_eq!((value(&disk, 0), value(&disk, 1)), (Some(&[0; 8][..]), None));
        disk.rot();
        let ones: u32 = value(&disk, 0).unwrap().iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(ones, 1);
    }
}
