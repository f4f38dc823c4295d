//! Lines for people and programs, written by a thread of their own: whoever does not read them must
//! not keep the node from working, nor from stopping.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

/// How many lines may wait for whoever reads them; more are dropped, and their number is told.
const LINES_MAX: usize = 1024;
/// How long the last lines are given to be read.
const LAST_WITHIN: Duration = Duration::from_millis(300);

/// Where lines go. Clones share one destination.
#[derive(Clone)]
pub(super) struct Printer {
    lines: SyncSender<Line>,
    missed: Arc<AtomicUsize>,
    /// What a gap of so many lines looks like.
    gap: fn(usize) -> String,
    failed: watch::Receiver<Option<String>>,
}

enum Line {
    Text(Vec<u8>),
    /// Everything before it has been written.
    End(SyncSender<()>),
}

impl Printer {
    /// Writes to `out`, each line at once.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(super) fn new(
        out: impl Write + Send + 'static,
        gap: fn(usize) -> String,
    ) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let (fail, failed) = watch::channel(None);
        thread::Builder::new().name("printer".into()).spawn(move || {
            if let Err(why) = write_all(out, &waiting) {
                let _ = fail.send(Some(why.to_string())); // maybe nobody asks
            }
        })?;
        Ok(Self { lines, missed: Arc::default(), gap, failed })
    }

    /// Prints a line, its end included, or counts it as missed.
    pub(super) fn print(&self, line: Vec<u8>) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        let gap = (missed > 0).then(|| (self.gap)(missed).into_bytes());
        let told = gap.is_none_or(|gap| self.lines.try_send(Line::Text(gap)).is_ok());
        let again = if told { 0 } else { missed };
        let full = matches!(self.lines.try_send(Line::Text(line)), Err(TrySendError::Full(_)));
        self.missed.fetch_add(again + usize::from(full), Ordering::Relaxed);
    }

    /// Waits until every line has been written, or for as long as a reader can be expected to take.
    pub(super) fn flush(&self) {
        let (written, end) = sync_channel(1);
        if self.lines.try_send(Line::End(written)).is_ok() {
            let _ = end.recv_timeout(LAST_WITHIN); // whoever does not read has none of it
        }
    }

    /// Waits until nothing can be written any more: whoever read has gone. Answers why.
    pub(super) async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().expect("waited for"),
            Err(_) => "the printer has ended".into(),
        }
    }
}

fn write_all(mut out: impl Write, lines: &Receiver<Line>) -> io::Result<()> {
    while let Ok(line) = lines.recv() {
        match line {
            Line::Text(text) => {
                out.write_all(&text)?;
                out.flush()?;
            }
            Line::End(written) => drop(written.send(())),
        }
    }
    Ok(())
}

/// As a log wants it: each event is one write.
impl Write for Printer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.print(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a line is handed on as soon as it is written
    }
}
