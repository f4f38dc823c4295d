//! Progress of long work, on standard error: a bar on a terminal; elsewhere a line now and then.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is printed where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one piece of work.
pub(super) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    printed: Mutex<Instant>,
}

impl Progress {
    /// Of work that is called this, such as "keystores opened".
    pub(super) fn new(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} to go");
        let style = style.expect("a template that is right");
        let bar = || ProgressBar::new(0).with_style(style).with_message(what);
        let bar = io::stderr().is_terminal().then(bar);
        Self { what, bar, printed: Mutex::new(Instant::now()) }
    }

    /// So much of it is done.
    pub(super) fn tell(&self, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            return;
        }
        let mut printed = self.printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if printed.elapsed() >= LINE_EVERY {
            *printed = Instant::now();
            let _ = writeln!(io::stderr(), "{done} of {of} {}", self.what); // whoever reads is gone
        }
    }

    /// It has ended, however: the bar goes.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
