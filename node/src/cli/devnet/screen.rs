//! What is shown: lines that stay, and below them, in a terminal, a table that is drawn in place.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::status::Table;

/// How often the table is drawn in place at most.
const FRAME: Duration = Duration::from_millis(50);

/// More lines than this may be more than a terminal has, and could not be drawn in place.
const ROWS_MAX: usize = 16;

/// Standard output.
pub(super) struct Screen {
    is_live: bool,
    /// What is drawn in place, as it stands on the screen.
    drawn: String,
    last_frame: Option<Instant>,
}

impl Screen {
    /// A screen for a table of so many rows: a live one, if standard output is a terminal.
    pub(super) fn new(rows: usize) -> Self {
        let is_live = io::stdout().is_terminal() && rows <= ROWS_MAX;
        Self { is_live, drawn: String::new(), last_frame: None }
    }

    /// Whether somebody may be looking on.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Prints a line that stays.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        let below = self.drawn.clone();
        self.replace(&format!("{line}\n"), &below)
    }

    /// Shows the table for now, and below it how far the work has come.
    pub(super) fn draw(&mut self, table: &Table, progress: &str) -> io::Result<()> {
        if !self.is_live || self.last_frame.is_some_and(|last| last.elapsed() < FRAME) {
            return Ok(());
        }
        self.last_frame = Some(Instant::now());
        self.replace("", &format!("\n{table}{progress}\n"))
    }

    /// Shows the table as it is when something is done: the last to be drawn, or lines that stay.
    pub(super) fn settle(&mut self, table: &Table) -> io::Result<()> {
        match self.is_live {
            true => self.replace("", &format!("\n{table}\n")),
            false => self.replace(&table.to_string(), ""),
        }
    }

    /// Leaves what is drawn in place where it stands.
    pub(super) fn leave(&mut self) {
        self.drawn.clear();
    }

    /// In the place of what is drawn: `above`, which stays, and `below`.
    fn replace(&mut self, above: &str, below: &str) -> io::Result<()> {
        let mut text = String::new();
        let lines = self.drawn.lines().count();
        if lines > 0 {
            // To the first of the lines, and nothing left from there on (ECMA-48: CPL, ED).
            write!(text, "\x1b[{lines}F\x1b[J").expect("a string takes everything");
        }
        text.push_str(above);
        if !below.is_empty() {
            // A line that is too long is cut, not wrapped: each stays one line (DECAWM).
            write!(text, "\x1b[?7l{below}\x1b[?7h").expect("a string takes everything");
        }
        below.clone_into(&mut self.drawn);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}
