//! A recording of everything that happens to a node, written by a thread of its own: no disk, full or
//! slow, may hold the node up. What is in it and how to replay it: `docs/replay.md`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use stayfound_core::database::Row;
use stayfound_core::node::{Config, Input, Output};
use stayfound_core::recording::{End, Recorder};
use stayfound_core::time::{Mono, Wall};
use tracing::{debug, warn};

/// How many bytes may wait for the disk; with more, the recording ends. What a node is made of, which
/// is in memory anyway, may wait in any case.
pub const BUFFER_BYTES_MAX: usize = 8 << 20;
/// How long the end of a node waits for the last of its recording.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

const MADE_BY: &str = concat!("stayfound ", env!("CARGO_PKG_VERSION"));

/// Where a recording goes, and how long it may get.
pub struct Recording {
    out: Box<dyn Write + Send>,
    limit: u64,
}

/// A recording that is being made. Dropping it writes what there is.
pub(crate) struct Tape {
    /// `None` when nothing more is recorded.
    recorder: Option<Recorder>,
    shared: Arc<Shared>,
    /// What is not handed over yet.
    room: Vec<u8>,
    /// How many bytes were handed over.
    length: u64,
    limit: u64,
    done: Receiver<()>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// What waits for the disk.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    closed: bool,
    failed: bool,
}

impl Recording {
    /// A recording in a new file that its owner alone can read. It ends once it has `limit` bytes.
    ///
    /// # Errors
    /// What the file system says; that the file is there already is an error, too.
    pub fn create(path: &Path, limit: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self::to(options.open(path)?, limit))
    }

    /// A recording that is written to `out`, which may fail and may block. It ends once it has `limit`
    /// bytes.
    #[must_use]
    pub fn to(out: impl Write + Send + 'static, limit: u64) -> Self {
        Self { out: Box::new(out), limit }
    }
}

impl Tape {
    /// Begins the recording of the node that is made of these arguments next, whose key is noted down
    /// from now on.
    pub(crate) fn start(
        recording: Recording,
        config: &mut Config,
        seed: [u8; 32],
        times: (Mono, Wall),
        stored: &[Row],
    ) -> Self {
        let Recording { out, limit } = recording;
        let mut room = Vec::new();
        let recorder = Recorder::start(MADE_BY, config, seed, times, stored, &mut room);
        let shared = Arc::<Shared>::default();
        let (finished, done) = sync_channel(1);
        let theirs = shared.clone();
        let thread = thread::Builder::new().name("recording".into());
        let spawned = thread.spawn(move || write(out, &theirs, &finished));
        spawned.expect("the system has room for a thread");
        let mut tape = Self { recorder: Some(recorder), shared, room, length: 0, limit, done };
        tape.hand_over();
        tape
    }

    /// An input is about to be handled.
    pub(crate) fn input(&mut self, now: Mono, input: &Input<'_>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, input, &mut self.room);
        }
    }

    /// It was handled.
    pub(crate) fn outcome(&mut self, outputs: &[Output], wake_at: Option<Mono>) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.outcome(outputs, wake_at, &mut self.room);
        let (failed, waiting) = self.hand_over();
        if failed {
            self.recorder = None;
        } else if waiting > BUFFER_BYTES_MAX {
            warn!("the recording ends here: the disk does not keep up; the node goes on");
            self.end(End::Behind);
        } else if self.length >= self.limit {
            warn!(bytes = self.length, "the recording ends here, at its limit; the node goes on");
            self.end(End::Limit);
        }
    }

    /// Nothing more is recorded.
    pub(crate) fn end(&mut self, why: End) {
        if let Some(recorder) = self.recorder.take() {
            recorder.end(why, &mut self.room);
            self.hand_over();
            self.close();
        }
    }

    /// Answers whether writing has failed, and how many bytes wait.
    fn hand_over(&mut self) -> (bool, usize) {
        self.length += self.room.len() as u64;
        let mut queue = self.shared.lock();
        if !queue.failed {
            queue.bytes.extend_from_slice(&self.room);
        }
        let answer = (queue.failed, queue.bytes.len());
        drop(queue);
        self.shared.changed.notify_one();
        self.room.clear();
        answer
    }

    fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for Tape {
    /// If the node panicked, the input at which it did is the last of the recording.
    fn drop(&mut self) {
        self.hand_over();
        self.close();
        let _ = self.done.recv_timeout(CLOSE_WITHIN); // a disk that hangs must not keep us here
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics while holding the queue")
    }
}

fn write(mut out: Box<dyn Write + Send>, shared: &Shared, finished: &SyncSender<()>) {
    loop {
        let mut queue = shared.lock();
        while queue.bytes.is_empty() && !queue.closed {
            queue = shared.changed.wait(queue).expect("nobody panics while holding the queue");
        }
        let bytes = std::mem::take(&mut queue.bytes);
        drop(queue);
        if bytes.is_empty() {
            debug!("the recording is closed");
            break;
        }
        if let Err(error) = out.write_all(&bytes).and_then(|()| out.flush()) {
            warn!(%error, "the recording ends here: it cannot be written; the node goes on");
            let mut queue = shared.lock();
            (queue.failed, queue.bytes) = (true, Vec::new());
            break;
        }
    }
    drop(out);
    let _ = finished.send(()); // maybe nobody waits any more
}

#[cfg(test)]
mod tests;
