//! Lines for people and programs, written by a thread of their own: whoever does not read them must
//! not keep the node from working, nor from stopping.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

/// How many lines may wait for whoever reads them; more are dropped, and their number is told.
const LINES_MAX: usize = 1024;

/// Where lines go. Clones share one destination.
#[derive(Clone)]
pub(super) struct Printer {
    lines: SyncSender<Line>,
    gap: Arc<Gap>,
    failed: watch::Receiver<Option<String>>,
}

enum Line {
    Text(Vec<u8>),
    /// Everything before it has been written.
    End(SyncSender<()>),
}

/// The lines that were dropped, as long as they are not told of.
struct Gap {
    missed: AtomicUsize,
    /// What stands in the place of so many lines.
    say: Box<dyn Fn(usize) -> String + Send + Sync>,
}

impl Printer {
    /// Writes to `out`, each line at once. In the place of lines that were not read in time stands
    /// what `gap` says of their number.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(super) fn new(
        out: impl Write + Send + 'static,
        gap: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let gap = Arc::new(Gap { missed: AtomicUsize::new(0), say: Box::new(gap) });
        let (fail, failed) = watch::channel(None);
        let theirs = gap.clone();
        thread::Builder::new().name("printer".into()).spawn(move || {
            if let Err(why) = write_all(out, &waiting, &theirs) {
                let _ = fail.send(Some(why.to_string())); // maybe nobody asks
            }
        })?;
        Ok(Self { lines, gap, failed })
    }

    /// Prints a line, its end included, or counts it as missed.
    pub(super) fn print(&self, line: Vec<u8>) {
        let (mut missed, gap) = self.gap.take();
        if gap.is_none_or(|gap| self.queue(gap)) {
            missed = 0;
        }
        if missed > 0 || !self.queue(line) {
            self.gap.missed.fetch_add(missed + 1, Ordering::Relaxed);
        }
    }

    /// Whether there was room for it. Where nothing can be written any more there is.
    fn queue(&self, line: Vec<u8>) -> bool {
        !matches!(self.lines.try_send(Line::Text(line)), Err(TrySendError::Full(_)))
    }

    /// Waits until every line has been written, or for so long.
    pub(super) fn flush(&self, within: Duration) {
        let (written, end) = sync_channel(1);
        if self.lines.try_send(Line::End(written)).is_ok() {
            let _ = end.recv_timeout(within); // whoever does not read has none of it
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

impl Gap {
    /// How many lines were dropped, and what to print in their place, if any were.
    fn take(&self) -> (usize, Option<Vec<u8>>) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        (missed, (missed > 0).then(|| (self.say)(missed).into_bytes()))
    }
}

fn write_all(mut out: impl Write, lines: &Receiver<Line>, gap: &Gap) -> io::Result<()> {
    let mut write = |text: &[u8]| out.write_all(text).and_then(|()| out.flush());
    loop {
        let line = match lines.try_recv() {
            // The reader has caught up: it must not take what it has for all that there was.
            Err(TryRecvError::Empty) => {
                gap.take().1.map_or(Ok(()), |gap| write(&gap))?;
                lines.recv().ok()
            }
            line => line.ok(),
        };
        match line {
            Some(Line::Text(text)) => write(&text)?,
            Some(Line::End(written)) => drop(written.send(())),
            None => return Ok(()),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    /// Takes a line when somebody reads it, and not before.
    struct Slow(SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(line.to_vec()).expect("text");
            self.0.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_told_of_when_somebody_does() {
        let (slow, lines) = sync_channel(0);
        let next = || lines.recv_timeout(DEADLINE).expect("a line comes");
        let printer = Printer::new(Slow(slow), |lines| format!("{lines} missed")).expect("starts");
        let printed = LINES_MAX + 50;
        (0..printed).for_each(|line| printer.print(line.to_string().into_bytes()));
        let mut read = 0;
        let gap = loop {
            match next() {
                line if line == read.to_string() => read += 1,
                gap => break gap,
            }
        };
        assert!(read >= LINES_MAX, "{read} lines fit");
        assert_eq!(gap, format!("{} missed", printed - read));
        printer.print(b"next".into());
        assert_eq!(next(), "next");
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_told() {
        let (slow, lines) = sync_channel(0);
        drop(lines);
        let printer = Printer::new(Slow(slow), |_| String::new()).expect("starts");
        printer.print(b"line".into());
        let why = tokio::time::timeout(DEADLINE, printer.failed()).await.expect("it fails");
        assert!(why.contains("broken pipe"), "{why}");
    }
}
