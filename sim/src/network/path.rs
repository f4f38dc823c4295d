//! How long a packet takes from one host to another, and whether it gets there at once.

use std::fmt;
use std::time::Duration;

use stayfound_core::chance::Stream;

use super::access::Mile;

/// Named latencies, one way: a part that belongs to the pair of hosts and a part that each packet
/// draws anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// One building: 0.1 to 0.5 ms.
    Datacentre,
    /// One continent: 5 to 45 ms.
    Continental,
    /// Across oceans: 60 to 150 ms.
    Intercontinental,
    /// By geostationary satellite: 280 to 360 ms.
    Satellite,
}

/// The share of packets that are lost, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss(pub u16);

/// What happens to datagrams beside loss and delay, in thousandths of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noise {
    /// They arrive twice.
    pub duplicated: u16,
    /// One of their bits arrives as another.
    pub corrupted: u16,
}

/// The paths between all hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paths {
    pub(crate) latency: Latency,
    pub(crate) loss: Loss,
    pub(crate) noise: Noise,
    /// What makes the latency of a pair its own.
    pub(crate) salt: u64,
}

/// First retransmission of a packet of a handshake: no round trip is known yet (RFC 9002 §6.2.2).
const HANDSHAKE_PTO: Duration = Duration::from_secs(1);
/// RFC 9002 §6.2.1: what an end may take to acknowledge.
const ACK_DELAY_MAX: Duration = Duration::from_millis(25);
/// More losses in a row than this are no weather but an outage, which is another fault.
const LOSSES_MAX: u32 = 6;

impl Latency {
    /// Every preset.
    pub const ALL: [Self; 4] =
        [Self::Datacentre, Self::Continental, Self::Intercontinental, Self::Satellite];

    /// The longest way of bytes, over two last miles of the slowest kind, that are lost so many times
    /// in a row.
    pub(crate) fn slowest(self, mile: Mile, losses: u32) -> Duration {
        let (_, base, jitter) = self.micros();
        let packet = Duration::from_micros(base + jitter) + mile.slowest() * 2;
        packet + (packet * 3 + ACK_DELAY_MAX) * doubled(losses)
    }

    /// Microseconds: least and most of a pair's own part, and the most that a packet adds.
    fn micros(self) -> (u64, u64, u64) {
        match self {
            Self::Datacentre => (100, 300, 200),
            Self::Continental => (5_000, 35_000, 10_000),
            Self::Intercontinental => (60_000, 130_000, 20_000),
            Self::Satellite => (280_000, 320_000, 40_000),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Datacentre => "datacentre",
            Self::Continental => "continental",
            Self::Intercontinental => "intercontinental",
            Self::Satellite => "satellite",
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} %", self.0 / 10, self.0 % 10)
    }
}

/// Between whom, and over which last miles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trip {
    pub(crate) ends: [usize; 2],
    pub(crate) miles: [Mile; 2],
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { duplicated, corrupted } = *self;
        write!(f, "{} duplicated, {} corrupted", Loss(duplicated), Loss(corrupted))
    }
}

impl Paths {
    /// One packet's way between the last miles of two hosts.
    pub(crate) fn core(&self, [a, b]: [usize; 2], chance: &mut Stream) -> Duration {
        let (_, _, jitter) = self.latency.micros();
        Duration::from_micros(self.base(a, b) + chance.below(jitter + 1))
    }

    /// One packet's way from end to end.
    pub(crate) fn packet(&self, trip: Trip, chance: &mut Stream) -> Duration {
        let miles = trip.miles.map(|mile| mile.delay(chance));
        self.core(trip.ends, chance) + miles[0] + miles[1]
    }

    /// The way of one flight of a handshake, sent again until it arrives.
    pub(crate) fn flight(&self, trip: Trip, chance: &mut Stream) -> Duration {
        let again = HANDSHAKE_PTO * doubled(self.losses(trip, chance));
        self.packet(trip, chance) + again
    }

    /// The way of bytes of an open link, sent again until they arrive.
    pub(crate) fn bytes(&self, trip: Trip, chance: &mut Stream) -> Duration {
        let timeout = self.packet(trip, chance) * 3 + ACK_DELAY_MAX;
        let again = timeout * doubled(self.losses(trip, chance));
        self.packet(trip, chance) + again
    }

    /// Whether a packet is lost between the last miles.
    pub(crate) fn loses(&self, chance: &mut Stream) -> bool {
        self.loss.0 > 0 && chance.hits(u64::from(self.loss.0), 1_000)
    }

    /// Whether a packet is lost anywhere. Those of a link are sent again after a while: by then a burst
    /// of losses is over.
    pub(crate) fn loses_on(&self, trip: Trip, chance: &mut Stream) -> bool {
        let lost = u64::from(self.loss.0) * 10 + trip.miles[0].loss + trip.miles[1].loss;
        lost > 0 && chance.hits(lost, 10_000)
    }

    fn losses(&self, trip: Trip, chance: &mut Stream) -> u32 {
        let mut losses = 0;
        while losses < LOSSES_MAX && self.loses_on(trip, chance) {
            losses += 1;
        }
        losses
    }

    /// A pure function of the pair, the same both ways: no state for each of n² pairs.
    fn base(&self, a: usize, b: usize) -> u64 {
        let (least, most, _) = self.latency.micros();
        let pair = ((a.min(b) as u64) << 32) | a.max(b) as u64;
        let mixed = (pair ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        least + (mixed >> 32) % (most - least + 1)
    }
}

/// Time-outs double: after k losses (2^k − 1) of them have passed.
fn doubled(losses: u32) -> u32 {
    (1 << losses) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Access;
    use stayfound_core::chance::Chance;

    fn paths(loss: u16) -> (Paths, Stream) {
        let (latency, loss, noise) = (Latency::Continental, Loss(loss), Noise::default());
        (Paths { latency, loss, noise, salt: 7 }, Chance::new([3; 32]).stream("test"))
    }

    fn trip(a: usize, b: usize) -> Trip {
        Trip { ends: [a, b], miles: [Access::Wired.mile(); 2] }
    }

    #[test]
    fn a_pair_has_one_latency_both_ways_and_pairs_differ() {
        let (paths, mut chance) = paths(0);
        assert_eq!(paths.base(1, 2), paths.base(2, 1));
        assert_ne!(paths.base(1, 2), paths.base(1, 3));
        for _ in 0..1_000 {
            let span = paths.packet(trip(1, 2), &mut chance);
            assert!((5..=45).contains(&span.as_millis()), "{span:?}");
        }
    }

    #[test]
    fn loss_delays_and_never_swallows() {
        let (paths, mut chance) = paths(100);
        let late =
            (0..10_000).filter(|_| paths.flight(trip(0, 1), &mut chance) >= HANDSHAKE_PTO).count();
        assert!((800..1_200).contains(&late), "{late} of 10,000 at 10 %");
        let worst = (0..10_000).map(|_| paths.bytes(trip(0, 1), &mut chance)).max().unwrap();
        assert!(worst <= paths.latency.slowest(Access::Wired.mile(), LOSSES_MAX), "{worst:?}");
        assert!(worst > paths.latency.slowest(Access::Wired.mile(), 1), "{worst:?}");
    }
}
