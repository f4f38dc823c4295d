//! For how long something was so, in all.

use crate::moment::Moment;

/// Adds up the time in which it runs, exactly: nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopwatch {
    nanos: u64,
    since: Option<Moment>,
}

impl Stopwatch {
    /// Starts or stops, or goes on as before.
    pub(super) fn set(&mut self, now: Moment, runs: bool) {
        match self.since {
            Some(since) if !runs => {
                self.nanos += now.0 - since.0;
                self.since = None;
            }
            None if runs => self.since = Some(now),
            _ => {}
        }
    }

    /// How many nanoseconds it has run until now.
    pub(super) fn nanos(&self, now: Moment) -> u64 {
        self.nanos + self.since.map_or(0, |since| now.0 - since.0)
    }

    /// The same in seconds.
    pub(super) fn seconds(&self, now: Moment) -> f64 {
        Moment(self.nanos(now)).seconds()
    }
}
