//! The last mile of a host: what it adds to every packet, and what it can carry.

use std::fmt;
use std::time::Duration;

use stayfound_core::chance::Stream;

use crate::marks::{Mark, mark};
use crate::moment::Moment;

/// Named last miles. Delays and losses are the presets that hole-punching tests of the field use;
/// rates and queues are those of a usual contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing is added, nothing is in the way: a host in a datacentre.
    #[default]
    Wired,
    /// 5 ± 2 ms, 0.1 % lost.
    HomeWifi,
    /// 40 ± 15 ms, 2 % lost.
    BadWifi,
    /// 25 ± 8 ms, 0.5 % lost.
    FourG,
    /// A satellite in low orbit: 40 ± 7 ms, 1 % lost.
    Leo,
    /// A geostationary satellite: 300 ± 20 ms, 0.5 % lost.
    Geo,
}

/// What a last mile is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mile {
    /// The least delay, and the most that a packet adds; microseconds, one way.
    pub(crate) delay: u64,
    pub(crate) jitter: u64,
    /// Of ten thousand packets so many are lost, in bursts.
    pub(crate) loss: u64,
    /// Bits per second, out and in; `None` for more than anybody here sends.
    rates: Option<[u64; 2]>,
}

/// Bytes that wait for a link that is busy; more are dropped at the tail.
const QUEUE_BYTES: u64 = 64 * 1024;
/// How many packets in a row are lost on average, once one is (Gilbert–Elliott).
pub const BURST: u64 = 3;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Out = 0,
    In = 1,
}

/// The state of a last mile: which directions are losing now, and until when they are busy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Condition {
    losing: [bool; 2],
    busy_until: [Moment; 2],
}

impl Access {
    /// Every preset.
    pub const ALL: [Self; 6] =
        [Self::Wired, Self::HomeWifi, Self::BadWifi, Self::FourG, Self::Leo, Self::Geo];

    pub(crate) fn mile(self) -> Mile {
        let mbit = |out: u64, into: u64| Some([out * 1_000_000, into * 1_000_000]);
        let (delay, jitter, loss, rates) = match self {
            Self::Wired => (0, 0, 0, None),
            Self::HomeWifi => (3_000, 4_000, 10, mbit(20, 100)),
            Self::BadWifi => (25_000, 30_000, 200, mbit(2, 5)),
            Self::FourG => (17_000, 16_000, 50, mbit(5, 20)),
            Self::Leo => (33_000, 14_000, 100, mbit(10, 100)),
            Self::Geo => (280_000, 40_000, 50, mbit(2, 20)),
        };
        Mile { delay, jitter, loss, rates }
    }
}

impl Mile {
    /// What is worst of each preset, in one.
    pub(crate) fn worst() -> Self {
        let worst = |of: fn(&Self) -> u64| {
            Access::ALL.iter().map(|access| of(&access.mile())).max().expect("there are presets")
        };
        let (delay, jitter) = (worst(|it| it.delay), worst(|it| it.jitter));
        Self { delay, jitter, loss: worst(|it| it.loss), rates: None }
    }

    /// The longest that it delays a packet that nothing queues before.
    pub(crate) fn slowest(self) -> Duration {
        Duration::from_micros(self.delay + self.jitter)
    }

    /// The delay of one packet, one way.
    pub(crate) fn delay(self, chance: &mut Stream) -> Duration {
        if self.delay + self.jitter == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(self.delay + chance.below(self.jitter + 1))
    }
}

impl Condition {
    /// One packet passes at this moment: how much later it is at the other end, or `None` if it is
    /// lost on the way or finds the queue full.
    pub(crate) fn pass(
        &mut self,
        mile: Mile,
        way: Way,
        bytes: usize,
        now: Moment,
        chance: &mut Stream,
    ) -> Option<Duration> {
        if self.loses(mile, way, chance) {
            return None;
        }
        Some(mile.delay(chance) + self.queues(mile, way, bytes, now)?)
    }

    /// A chain of two states: good, in which nothing is lost, and losing, in which all is. It leaves
    /// the second after [`BURST`] packets on average.
    fn loses(&mut self, mile: Mile, way: Way, chance: &mut Stream) -> bool {
        if mile.loss == 0 {
            return false;
        }
        let losing = &mut self.losing[way as usize];
        *losing = match *losing {
            true => !chance.hits(1, BURST),
            false => chance.hits(mile.loss, BURST * (10_000 - mile.loss)),
        };
        *losing
    }

    fn queues(&mut self, mile: Mile, way: Way, bytes: usize, now: Moment) -> Option<Duration> {
        let Some(rates) = mile.rates else { return Some(Duration::ZERO) };
        let rate = rates[way as usize];
        let busy_until = &mut self.busy_until[way as usize];
        let waits = if *busy_until > now { *busy_until - now } else { Duration::ZERO };
        if waits.as_nanos() * u128::from(rate) > u128::from(QUEUE_BYTES * 8) * 1_000_000_000 {
            mark(Mark::QueueFull);
            return None;
        }
        let takes = Duration::from_nanos(bytes as u64 * 8 * 1_000_000_000 / rate);
        *busy_until = now + waits + takes;
        Some(waits + takes)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wired => "wired",
            Self::HomeWifi => "home-wifi",
            Self::BadWifi => "bad-wifi",
            Self::FourG => "4g",
            Self::Leo => "leo",
            Self::Geo => "geo",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Units;
    use stayfound_core::chance::Chance;

    #[test]
    fn losses_come_in_bursts_and_at_the_rate_that_is_said() {
        let mut chance = Chance::new([3; 32]).stream("test");
        for access in Access::ALL.into_iter().skip(1) {
            let (mile, mut condition) = (access.mile(), Condition::default());
            let lost: Vec<bool> =
                (0..400_000).map(|_| condition.loses(mile, Way::Out, &mut chance)).collect();
            let total = lost.iter().filter(|lost| **lost).count() as u64;
            let begun = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as u64;
            let expected = 40 * mile.loss;
            assert!((expected * 8 / 10..expected * 12 / 10).contains(&total), "{access}: {total}");
            assert!((24..36).contains(&(total * 10 / begun)), "{access}: {total} in {begun}");
        }
    }

    #[test]
    fn what_is_sent_faster_than_the_line_waits_and_then_is_dropped() {
        let mut chance = Chance::new([3; 32]).stream("test");
        let mile = Mile { loss: 0, jitter: 0, ..Access::BadWifi.mile() };
        let mut condition = Condition::default();
        let now = Moment::default() + 1.s();
        let mut pass = |now| condition.pass(mile, Way::Out, 1_250, now, &mut chance);
        // 1,250 bytes take 5 ms at 2 Mbit/s.
        let first: Vec<_> = (0..3).map(|_| pass(now).unwrap().as_millis()).collect();
        assert_eq!(first, [30, 35, 40]);
        let passed = (0..1_000).filter(|_| pass(now).is_some()).count();
        assert!((45..55).contains(&passed), "a queue of 64 KiB holds 52: {passed}");
        assert_eq!(pass(now + 10.s()).unwrap().as_millis(), 30);
    }

    #[test]
    fn a_wired_host_adds_nothing() {
        let mut chance = Chance::new([3; 32]).stream("test");
        let mut condition = Condition::default();
        let passed =
            condition.pass(Access::Wired.mile(), Way::In, 9_000, Moment::default(), &mut chance);
        assert_eq!(passed, Some(Duration::ZERO));
    }
}
