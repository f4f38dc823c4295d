//! The world's own time, which no node can see.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Nanoseconds of virtual time since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The same in seconds: exact to the nanosecond for a hundred days.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// Spans of time, written as one says them: `60.s()`.
pub trait Units {
    /// That many seconds.
    fn s(self) -> Duration;
    /// That many milliseconds.
    fn ms(self) -> Duration;
}

impl Units for u64 {
    fn s(self) -> Duration {
        Duration::from_secs(self)
    }

    fn ms(self) -> Duration {
        Duration::from_millis(self)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        let nanos = u64::try_from(span.as_nanos()).expect("a span of less than 584 years");
        Moment(self.0.checked_add(nanos).expect("the world ends before year 584"))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        assert!(self >= earlier, "time ran backwards: {self} - {earlier}");
        Duration::from_nanos(self.0 - earlier.0)
    }
}

impl fmt::Display for Moment {
    /// Seconds with as many decimals as are needed, three at least: `60.000s`, `60.004021s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let digits = format!("{nanos:09}");
        let decimals = digits.trim_end_matches('0').len().max(3);
        write!(f, "{seconds}.{}s", &digits[..decimals])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_seconds() {
        assert_eq!(Moment(60_000_000_000).to_string(), "60.000s");
        assert_eq!(Moment(60_004_021_000).to_string(), "60.004021s");
        assert_eq!((Moment(0) + 60.s() + 4.ms()).to_string(), "60.004s");
    }
}
