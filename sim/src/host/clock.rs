//! The monotonic clock of a process: it begins at zero, may run too fast or too slow, and stops while
//! its host sleeps.

use std::time::Duration;

use stayfound_core::time::Mono;

use crate::moment::Moment;

const MILLION: i128 = 1_000_000;

/// A clock, as a line through one point of the world's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    since: Moment,
    shown: Mono,
    /// Millionths that it is too fast.
    drift: i32,
}

impl Clock {
    /// One that shows zero now.
    pub(crate) fn started(now: Moment, drift: i32) -> Self {
        assert!(i128::from(drift).abs() < MILLION, "a clock that stands still or runs backwards");
        Self { since: now, shown: Mono(0), drift }
    }

    /// What it shows.
    pub(crate) fn mono(&self, now: Moment) -> Mono {
        let passed = (now - self.since).as_nanos() as i128;
        let shown = passed * (MILLION + i128::from(self.drift)) / MILLION;
        Mono(self.shown.0 + u64::try_from(shown).expect("less than 584 years"))
    }

    /// When it shows this, or has just passed it.
    pub(crate) fn moment(&self, shown: Mono) -> Moment {
        let ahead = i128::from(shown.0.saturating_sub(self.shown.0)) * MILLION;
        let rate = MILLION + i128::from(self.drift);
        let passed = (ahead + rate - 1) / rate;
        let moment =
            self.since + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX / 4));
        debug_assert!(self.mono(moment) >= shown);
        moment
    }

    /// It runs at another rate from now on.
    pub(crate) fn drifts(&mut self, now: Moment, drift: i32) {
        let shown = self.mono(now);
        *self = Self { since: now, shown, drift };
    }

    /// It stood still from `since` until now.
    pub(crate) fn slept(&mut self, since: Moment, now: Moment) {
        let shown = self.mono(since);
        *self = Self { since: now, shown, drift: self.drift };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Units;

    #[test]
    fn a_clock_that_drifts_is_woken_when_it_shows_its_deadline() {
        for drift in [-100_000, -200, 0, 1, 200, 100_000] {
            let mut clock = Clock::started(Moment(7), drift);
            for step in [1_u64, 999, 1_000_003, 3_600_000_000_000] {
                let deadline = Mono(clock.mono(Moment(7) + 5.s()).0 + step);
                let at = clock.moment(deadline);
                assert!(clock.mono(at) >= deadline);
                assert!(clock.mono(Moment(at.0 - 1)) < deadline, "{drift} {step}");
            }
            let before = clock.mono(Moment(7) + 5.s());
            clock.drifts(Moment(7) + 5.s(), 0);
            assert_eq!(clock.mono(Moment(7) + 6.s()).0, before.0 + 1_000_000_000);
        }
    }

    #[test]
    fn a_clock_stands_still_while_its_host_sleeps() {
        let mut clock = Clock::started(Moment(0), 0);
        clock.slept(Moment(0) + 10.s(), Moment(0) + 70.s());
        assert_eq!(clock.mono(Moment(0) + 75.s()), Mono(15_000_000_000));
        assert_eq!(clock.moment(Mono(15_000_000_000)), Moment(0) + 75.s());
    }
}
