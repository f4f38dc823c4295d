//! How often something may happen: a number at once, each of which is forgotten after a while.

use std::time::Duration;

use crate::time::Mono;

/// What of an allowance is taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    taken: u32,
    /// When the last was forgotten.
    since: Mono,
}

impl Allowance {
    /// Takes one of `at_once`, if one is left; each is forgotten after `every`.
    pub(crate) fn take(&mut self, now: Mono, at_once: u32, every: Duration) -> bool {
        self.forget(now, every);
        let left = self.taken < at_once;
        self.taken += u32::from(left);
        left
    }

    /// When the next is forgotten.
    pub(crate) fn next(&self, every: Duration) -> Mono {
        self.since + every
    }

    fn forget(&mut self, now: Mono, every: Duration) {
        let spans = now.since(self.since).as_nanos() / every.as_nanos();
        match u32::try_from(spans).ok().filter(|spans| *spans < self.taken) {
            Some(spans) => {
                self.taken -= spans;
                self.since = self.since + spans * every;
            }
            None => (self.taken, self.since) = (0, now),
        }
    }
}
