//! The life of hosts that nobody looks after: at homes, in clouds and in datacentres, with addresses
//! that change, lines that fail and machines that start anew.
//!
//! Rates are those that were measured, as far as anybody has: of address changes by Padmanabhan et
//! al. (IMC 2016) and DIMES, of outages by a survey of homes; the mix of sites, the spread of
//! durations and the restarts are assumptions. Each is a constant with its source.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use stayfound_core::chance::{Chance, Stream};

use super::{Fault, Line, PORT, What};
use crate::event::HostId;
use crate::moment::Moment;

/// Chance decides once a minute.
pub(super) const STEP: Duration = Duration::from_secs(60);
const MINUTES_OF_DAY: u64 = 24 * 60;

/// Of a hundred hosts, those at homes and in clouds; the others are in datacentres (assumed).
const HOMES: u64 = 60;
const CLOUDS: u64 = 30;
/// Of a hundred homes, those whose address changes every day, every week, or whenever the line comes
/// back; the others keep theirs (shapes: IMC 2016, DIMES; weights assumed).
const DAILY: u64 = 25;
const WEEKLY: u64 = 5;
const EVERY_TIME: u64 = 10;
/// Of a hundred outages of a home that keeps its address, those after which it has another.
const OUTAGE_RENUMBERS: u64 = 30;
/// Of two new addresses one is of another network (IMC 2016: almost half).
const OTHER_NETWORK: (u64, u64) = (1, 2);
/// Days between two outages of a home (a survey of homes: 43 % have one a month), between two restarts
/// of a node, and between two times that a cloud's machine is stopped and started (assumed).
const OUTAGE_DAYS: u64 = 14;
const RESTART_DAYS: u64 = 14;
const STOP_DAYS: u64 = 90;
/// Days between two losses of a database (assumed).
const LOSS_DAYS: u64 = 365;

/// A span of time that is drawn: its quantiles at 0, 5, 25, 50, 75, 95 and 100 hundredths, in seconds,
/// and straight lines between them. Integers, so that every machine draws the same.
struct Spread([u64; 7]);

/// How long a home has no address when it gets another: log-normal, median 15 s, 95 % within 120 s.
const GAP: Spread = Spread([1, 2, 6, 15, 35, 120, 400]);
/// How long an outage of a home lasts: log-normal, median 4 min, 95 % within 3 h.
const OUTAGE: Spread = Spread([2, 5, 50, 240, 1_140, 10_800, 86_400]);
/// How long a restart takes.
const RESTART: Spread = Spread([2, 5, 10, 20, 40, 120, 300]);

impl Spread {
    fn draw(&self, chance: &mut Stream) -> Duration {
        const AT: [u64; 7] = [0, 5, 25, 50, 75, 95, 100];
        let millis = chance.below(100_000);
        let place = AT.windows(2).position(|pair| millis < pair[1] * 1_000).expect("below 100");
        let (from, to) = (AT[place] * 1_000, AT[place + 1] * 1_000);
        let (least, most) = (self.0[place] * 1_000, self.0[place + 1] * 1_000);
        Duration::from_millis(least + (most - least) * (millis - from) / (to - from))
    }
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    /// At home; its address changes after so many days, and when the line was down in so many of a
    /// hundred cases.
    Home {
        renumbers_after: Option<u64>,
        outage_renumbers: u64,
    },
    Cloud,
    Datacentre,
}

/// One host whose life is being drawn.
struct Life {
    host: HostId,
    site: Site,
    at: SocketAddr,
    /// How many addresses it has had.
    moves: u32,
    /// When its address changes next by itself.
    renumbered_at: Option<Moment>,
    chance: Stream,
    lines: Vec<Line>,
}

/// What happens to these hosts, which are at these addresses, each in a /24 of its own, in the time
/// from `from` to `until`; every rate is so many `times` what it is.
pub(super) fn churn(
    hosts: impl Iterator<Item = (HostId, SocketAddr)>,
    (from, until): (Moment, Moment),
    times: u64,
    chance: &Chance,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (host, at) in hosts {
        let chance = chance.stream(&format!("life of host {}", host.0));
        let life = Life::new(host, at, (from, times), chance);
        lines.extend(life.live((from, until), times));
    }
    lines.sort_by_key(|line| line.at);
    lines
}

impl Life {
    fn new(host: HostId, at: SocketAddr, (from, times): (Moment, u64), mut chance: Stream) -> Self {
        let site = Site::draw(&mut chance);
        let days = match site {
            Site::Home { renumbers_after, .. } => renumbers_after,
            Site::Cloud | Site::Datacentre => None,
        };
        let renumbered_at = days.map(|days| {
            let minutes = (days * MINUTES_OF_DAY / times).max(1);
            from + STEP * chance.below(minutes) as u32
        });
        Self { host, site, at, moves: 0, renumbered_at, chance, lines: Vec::new() }
    }

    fn live(mut self, (from, until): (Moment, Moment), times: u64) -> Vec<Line> {
        let mut now = from;
        while now < until {
            let busy = self.lives_a_minute(now, times);
            now = now + STEP.max(busy);
        }
        // Whoever is away when time is up stays away.
        self.lines.retain(|line| line.at < until);
        self.lines
    }

    /// What happens in this minute, if anything does: how long it takes.
    fn lives_a_minute(&mut self, now: Moment, times: u64) -> Duration {
        if self.renumbered_at.is_some_and(|at| at <= now) {
            return self.is_renumbered(now, times);
        }
        let site = self.site;
        match site {
            Site::Home { outage_renumbers, .. } if self.happens(OUTAGE_DAYS, times) => {
                let back = OUTAGE.draw(&mut self.chance);
                let to = match self.chance.hits(outage_renumbers, 100) {
                    true => self.another_address(),
                    false => self.at,
                };
                self.is_away(now, back, to)
            }
            Site::Cloud if self.happens(STOP_DAYS, times) => {
                let back = RESTART.draw(&mut self.chance);
                let to = self.another_address();
                self.line(now, What::Crash);
                self.line(now, What::Offline);
                self.line(now + back, What::Move(to));
                self.line(now + back, What::Start);
                back
            }
            _ if self.happens(RESTART_DAYS, times) => self.restarts(now, false),
            _ if self.happens(LOSS_DAYS, times) => self.restarts(now, true),
            _ => Duration::ZERO,
        }
    }

    fn is_renumbered(&mut self, now: Moment, times: u64) -> Duration {
        let Site::Home { renumbers_after: Some(days), .. } = self.site else {
            unreachable!("only homes are renumbered");
        };
        // 24 h and up to one hour (IMC 2016: multiples of a day).
        let minutes = days * MINUTES_OF_DAY + self.chance.below(60);
        self.renumbered_at = Some(now + STEP * (minutes / times).max(1) as u32);
        let gap = GAP.draw(&mut self.chance);
        let to = self.another_address();
        self.is_away(now, gap, to)
    }

    fn is_away(&mut self, now: Moment, span: Duration, to: SocketAddr) -> Duration {
        self.line(now, What::Offline);
        self.line(now + span, What::Move(to));
        span
    }

    fn restarts(&mut self, now: Moment, empty: bool) -> Duration {
        let back = RESTART.draw(&mut self.chance);
        self.line(now, What::Crash);
        if empty {
            self.line(now, What::Wipe);
        }
        self.line(now + back, What::Start);
        back
    }

    fn line(&mut self, at: Moment, what: What) {
        self.lines.push(Line { at, fault: Some(Fault { host: self.host, what }) });
    }

    /// Whether something happens in this minute that happens once in so many days.
    fn happens(&mut self, days: u64, times: u64) -> bool {
        let minutes = days * MINUTES_OF_DAY;
        self.chance.hits(times.min(minutes), minutes)
    }

    /// Its next address: in its network, or in another that is also its own.
    fn another_address(&mut self) -> SocketAddr {
        self.moves += 1;
        let SocketAddr::V4(at) = self.at else { unreachable!("populations are of IPv4") };
        let [network, high, low, _] = at.ip().octets();
        let (numerator, denominator) = OTHER_NETWORK;
        let network = match self.chance.hits(numerator, denominator) {
            true => 24 + (network - 24 + 1) % 70, // below 100.64.0.0/10 (RFC 6598)
            false => network,
        };
        let last = 1 + (self.moves % 250) as u8;
        self.at = (Ipv4Addr::new(network, high, low, last), PORT).into();
        self.at
    }
}

impl Site {
    fn draw(chance: &mut Stream) -> Self {
        let of = chance.below(100);
        if of >= HOMES {
            return if of < HOMES + CLOUDS { Self::Cloud } else { Self::Datacentre };
        }
        let kind = chance.below(100);
        let renumbers_after = match kind {
            _ if kind < DAILY => Some(1),
            _ if kind < DAILY + WEEKLY => Some(7),
            _ => None,
        };
        let every_time = (DAILY + WEEKLY..DAILY + WEEKLY + EVERY_TIME).contains(&kind);
        let outage_renumbers = if every_time { 100 } else { OUTAGE_RENUMBERS };
        Self::Home { renumbers_after, outage_renumbers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Units;
    use std::collections::BTreeMap;

    fn lives(count: usize, days: u64) -> Vec<Line> {
        let at = |n: usize| {
            let [high, low] = (n as u16).to_be_bytes();
            SocketAddr::from((Ipv4Addr::new(24, high, low, 1), PORT))
        };
        let hosts = (0..count).map(|n| (HostId(n), at(n)));
        let span = (Moment::default(), Moment::default() + (days * 86_400).s());
        churn(hosts, span, 1, &Chance::new([5; 32]))
    }

    #[test]
    fn a_population_lives_at_the_rates_that_are_said() {
        let (count, days) = (2_000, 28);
        let lines = lives(count, days);
        let mut of = BTreeMap::<&str, u64>::new();
        for line in &lines {
            *of.entry(line.fault.unwrap().what.word()).or_default() += 1;
        }
        let host_days = count as u64 * days;
        let per_host_day = |word: &str| of[word] as f64 / host_days as f64;
        // Homes: 0.15 of all are renumbered daily, 0.03 weekly; an outage in 14 days each.
        let offline = 0.15 + 0.03 / 7.0 + 0.6 / 14.0 + 0.3 / 90.0;
        assert!((per_host_day("offline") / offline - 1.0).abs() < 0.1, "{of:?}");
        let crashes = 1.0 / 14.0 + 1.0 / 365.0 + 0.3 / 90.0;
        assert!((per_host_day("crash") / crashes - 1.0).abs() < 0.1, "{of:?}");
        assert!(of["wipe"] > 0 && of["start"].abs_diff(of["crash"]) < 10, "{of:?}");
    }

    #[test]
    fn nobody_is_ever_where_another_is() {
        let lines = lives(500, 60);
        let mut owners = BTreeMap::<SocketAddr, HostId>::new();
        for Fault { host, what } in lines.iter().filter_map(|line| line.fault) {
            if let What::Move(to) = what {
                assert_eq!(*owners.entry(to).or_insert(host), host, "{to}");
            }
        }
        assert!(owners.len() > 1_000);
        assert!(lines.is_sorted_by_key(|line| line.at));
    }

    #[test]
    fn spans_have_the_median_that_is_said() {
        let mut chance = Chance::new([5; 32]).stream("test");
        for (spread, median, late) in [(GAP, 15, 120), (OUTAGE, 240, 10_800)] {
            let mut drawn: Vec<u64> =
                (0..10_000).map(|_| spread.draw(&mut chance).as_secs()).collect();
            drawn.sort_unstable();
            assert!(drawn[5_000].abs_diff(median) <= median / 20, "{}", drawn[5_000]);
            assert!(drawn[9_500].abs_diff(late) <= late / 10, "{}", drawn[9_500]);
        }
    }
}
