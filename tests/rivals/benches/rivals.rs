//! The simulator's event loop beside madsim's and turmoil's: `cargo bench` in this directory. Every
//! result is also a line `figure <name> <value> <unit>`. `cargo test --benches` only shows that every
//! figure can be measured.
//!
//! All three have the same hosts, nothing is lost, and a message takes as long within the same
//! bounds: uniformly in madsim, by a curve of its own in turmoil, and here each pair has a time of its
//! own to which up to 10 ms are added.

use std::time::Duration;

use stayfound_rivals::{in_madsim, in_turmoil};

#[path = "../../benches/figures/measure.rs"]
#[expect(dead_code, reason = "other figures need more of it")]
mod measure;
#[path = "../../benches/figures/pingers.rs"]
mod pingers;

use measure::{judge_at_least, percentile, process_cpu, report, rounds, size};
use pingers::{MESSAGES_OF_HOST_AND_SECOND, Pingers, SIZES, UNIT};

const ROUNDS: usize = 5;
const HOSTS: u32 = SIZES[0];
const OVER_MADSIM: f64 = 10.0;
const OVER_TURMOIL: f64 = 1_000.0;
/// Until as many answers as pings are on their way.
const WARM: Duration = Duration::from_millis(200);

/// What others are measured by: how many messages were received in so much time.
struct Rival<'a> {
    name: &'a str,
    advance: Box<dyn FnMut(Duration) -> u64>,
    /// How much time takes about a CPU-second or more.
    span: Duration,
    rates: Vec<f64>,
}

impl<'a> Rival<'a> {
    fn new(
        name: &'a str,
        span: Duration,
        mut advance: impl FnMut(Duration) -> u64 + 'static,
    ) -> Self {
        advance(WARM);
        Self { name, advance: Box::new(advance), span, rates: Vec::new() }
    }

    /// Messages per CPU-second.
    fn round(&mut self) {
        let before = process_cpu();
        let messages = (self.advance)(self.span) as f64;
        self.rates.push(messages / (process_cpu() - before).as_secs_f64());
        let sent = f64::from(HOSTS * MESSAGES_OF_HOST_AND_SECOND) * self.span.as_secs_f64();
        let share = messages / sent;
        assert!((0.9..1.1).contains(&share), "{}: {messages} messages of {sent}", self.name);
    }

    fn print(&mut self) -> f64 {
        let rate = percentile(&mut self.rates, 50);
        report(&format!("rivals.{}_ping_{HOSTS}", self.name), rate, UNIT, "");
        rate
    }
}

fn rivals() -> [Rival<'static>; 3] {
    let mut madsim = in_madsim::World::new(HOSTS);
    let turmoil = |tick| in_turmoil::World::new(HOSTS, Duration::from_millis(tick));
    let (mut fine, mut coarse) = (turmoil(1), turmoil(10));
    let seconds = |measured| Duration::from_secs(u64::from(size(measured, 1)));
    [
        Rival::new("madsim", seconds(300), move |span| madsim.advance(span)),
        Rival::new("turmoil", seconds(1), move |span| fine.advance(span)),
        Rival::new("turmoil_10_ms", seconds(4), move |span| coarse.advance(span)),
    ]
}

fn main() {
    let (mut ours, mut rivals) = (Pingers::new(HOSTS), rivals());
    let mut all = Vec::new();
    for _ in 0..rounds(ROUNDS) {
        all.push(pingers::round(&mut ours));
        rivals.iter_mut().for_each(Rival::round);
    }
    let [rate, few] = pingers::print(HOSTS, &all);
    let [madsim, turmoil, coarse] = rivals.each_mut().map(Rival::print);
    judge_at_least("sim.ping_over_madsim", rate / madsim, "x", OVER_MADSIM, "medians");
    judge_at_least(
        "sim.ping_over_turmoil",
        rate / turmoil,
        "x",
        OVER_TURMOIL,
        "medians, ticks of 1 ms",
    );
    report("sim.ping_over_turmoil_10_ms", rate / coarse, "x", "medians, ticks of 10 ms");
    let [_, many, _] = [SIZES[1], SIZES[2], SIZES[3]].map(pingers::figures_of);
    pingers::print_growth((HOSTS, few), (SIZES[2], many));
}
