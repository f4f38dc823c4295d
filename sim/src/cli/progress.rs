//! How far long work has come: one line that changes on a terminal, a line for every tenth
//! otherwise. On standard error, so that results can be redirected.

use std::io::IsTerminal;

/// Work of so many parts.
pub(crate) struct Progress {
    total: u64,
    done: u64,
    shown: bool,
    terminal: bool,
}

/// Less work than this is not worth a line where nobody looks.
const PLAIN_FROM: u64 = 20;

impl Progress {
    /// Work begins; with `quiet` nothing is shown.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let shown = !quiet && total > 1 && (terminal || total >= PLAIN_FROM);
        Self { total, done: 0, shown, terminal }
    }

    /// One more part is done; `note` says more.
    pub(crate) fn step(&mut self, note: &str) {
        self.done += 1;
        let Self { total, done, .. } = *self;
        let tenth = |done: u64| u128::from(done) * 10 / u128::from(total);
        match (self.shown, self.terminal) {
            (false, _) => {}
            (true, true) => eprint!("\r{} {done}/{total} {note} \x1b[K", bar(done, total)),
            (true, false) if tenth(done) > tenth(done - 1) => eprintln!("{done}/{total} {note}"),
            (true, false) => {}
        }
    }

    /// Something to be read in between.
    pub(crate) fn pause(&self) {
        if self.shown && self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.pause();
    }
}

fn bar(done: u64, total: u64) -> String {
    let full = (u128::from(done) * 30 / u128::from(total.max(1))).min(30) as usize;
    format!("[{}{}]", "=".repeat(full), " ".repeat(30 - full))
}
