//! How far long work has come: a bar on a terminal, a line for every tenth elsewhere. On standard
//! error, so that results can be redirected.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// Work of so many parts.
pub(crate) struct Progress {
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    lines: bool,
}

/// Less work than this is not worth a line where nobody watches.
const LINES_FROM: u64 = 20;

impl Progress {
    /// Work begins; with `quiet` nothing is shown.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} to go");
        let style = style.expect("a template that is right");
        let shown = !quiet && total > 1;
        let bar = (shown && stderr().is_terminal()).then(|| ProgressBar::new(total));
        let bar = bar.map(|bar| bar.with_style(style));
        Self { total, done: 0, lines: shown && bar.is_none() && total >= LINES_FROM, bar }
    }

    /// One more part is done; `note` says more.
    pub(crate) fn step(&mut self, note: &str) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.set_message(note.to_owned());
            bar.inc(1);
        }
        let tenth = |done: u64| u128::from(done) * 10 / u128::from(self.total);
        if self.lines && tenth(self.done) > tenth(self.done - 1) {
            eprintln!("{}/{} {note}", self.done, self.total);
        }
    }

    /// Prints something else meanwhile.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
