//! The simulator's event loop under the least that can be on a host: one that pings another every
//! 100 ms, which answers (`pingers` of a scenario). A message is a datagram received.

use std::time::Duration;

use stayfound_sim::moment::Units;
use stayfound_sim::occupant::PING_PERIOD;
use stayfound_sim::scenario::Scenario;
use stayfound_sim::trace::Trace;
use stayfound_sim::world::World;

use crate::measure::{judge_at_least, percentile, process_cpu, report, rounds, size};

const ROUNDS: usize = 5;
/// Of each size, a round simulates so many messages.
const MESSAGES: u32 = 4_000_000;
pub const MESSAGES_OF_HOST_AND_SECOND: u32 = 20;
/// The sizes measured. Of the first and the third the time of an event is compared: 100,000 hosts are
/// beyond every cache.
pub const SIZES: [u32; 4] = [100, 1_000, 10_000, 100_000];
/// Of some sizes, how many messages per CPU-second it is to be at least.
const TARGETS: [(u32, f64); 2] = [(100, 5e6), (100_000, 1e6)];
pub const UNIT: &str = "messages/CPU-s";
/// Where it only shows that it can be measured.
const HOSTS_ELSE: u32 = 500;

/// A world of hosts that have pinged one another for a second.
pub struct Pingers {
    world: World,
    hosts: u32,
}

impl Pingers {
    /// So many hosts.
    pub fn new(hosts: u32) -> Self {
        let text = format!("seed 1\noperators 0\npingers {hosts}\n\n0s start all\n");
        let scenario: Scenario = text.parse().expect("a scenario");
        let mut world = World::new(&scenario.setup, &scenario.chance(), Trace::default());
        for line in &scenario.schedule {
            let start = line.fault.expect("starts only");
            assert_eq!(world.apply(&start), Ok(true), "{start}");
        }
        let mut pingers = Self { world, hosts };
        pingers.advance(1.s()); // until as many answers as pings are on their way
        pingers
    }

    /// Lets so much time pass, a multiple of what is between two pings; answers how many events that
    /// was, and how many of them messages.
    pub fn advance(&mut self, span: Duration) -> [u64; 2] {
        let before = self.world.trace().events();
        let until = self.world.now() + span;
        self.world.advance(until).expect("nothing can go wrong");
        let events = self.world.trace().events() - before;
        // Every event is that one wakes, which it does once in every period, or hears.
        let periods = span.as_nanos() / PING_PERIOD.as_nanos();
        assert!(PING_PERIOD * periods as u32 == span, "{span:?}");
        [events, events - periods as u64 * u64::from(self.hosts)]
    }
}

/// How much time to simulate at a time with so many hosts.
pub fn span(hosts: u32) -> Duration {
    let seconds = MESSAGES / MESSAGES_OF_HOST_AND_SECOND / hosts;
    u64::from(size(seconds.max(1), 1)).s()
}

/// Messages per CPU-second, and nanoseconds per event, of one round.
pub fn round(pingers: &mut Pingers) -> [f64; 2] {
    let span = span(pingers.hosts);
    let before = process_cpu();
    let [events, messages] = pingers.advance(span);
    let cpu = (process_cpu() - before).as_secs_f64();
    // Nothing is lost: what was on its way before makes up for what is afterwards.
    let expected = span.as_secs_f64() * f64::from(MESSAGES_OF_HOST_AND_SECOND * pingers.hosts);
    let share = messages as f64 / expected;
    assert!((0.95..1.05).contains(&share), "{messages} messages, not {expected}");
    [messages as f64 / cpu, cpu * 1e9 / events as f64]
}

/// Prints the figures of rounds of this size; answers the median ones.
pub fn print(hosts: u32, all: &[[f64; 2]]) -> [f64; 2] {
    let median = |which: usize| {
        let mut all: Vec<f64> = all.iter().map(|round| round[which]).collect();
        percentile(&mut all, 50)
    };
    let [messages, event] = [median(0), median(1)];
    let name = format!("sim.ping_{hosts}");
    match TARGETS.iter().find(|(of, _)| *of == hosts) {
        Some((_, least)) => judge_at_least(&name, messages, UNIT, *least, ""),
        None => report(&name, messages, UNIT, ""),
    }
    report(&format!("{name}_event"), event, "ns", "");
    [messages, event]
}

/// How the time of an event grows with the number of hosts.
pub fn print_growth(few: (u32, f64), many: (u32, f64)) {
    let logarithm = f64::from(many.0).ln() / f64::from(few.0).ln();
    let (few_hosts, many_hosts) = (few.0, many.0);
    let remark = format!(
        "an event with {many_hosts} hosts over one with {few_hosts}, cache misses included; the \
         logarithm grows {logarithm:.1} x"
    );
    report("sim.ping_growth", many.1 / few.1, "x", &remark);
}

/// The figures of one size; answers what an event takes.
pub fn figures_of(hosts: u32) -> f64 {
    let mut pingers = Pingers::new(size(hosts, HOSTS_ELSE.min(hosts)));
    let all: Vec<[f64; 2]> = (0..rounds(ROUNDS)).map(|_| round(&mut pingers)).collect();
    let [_, event] = print(hosts, &all);
    event
}
