//! What the simulator takes: its event loop alone, and a cluster with the real core and cryptography.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use stayfound_sim::moment::Units;
use stayfound_sim::scenario::Options;
use stayfound_sim::script::Script;

use crate::measure::{judge, judge_at_least, percentile, process_cpu, rounds, size};
use crate::pingers;

const OPERATORS: usize = 7;
const DAY: Duration = Duration::from_secs(24 * 3_600);
const DAYS: u32 = 7;
const ROUNDS: usize = 5;
const IDLE_DAY_TARGET_MS: f64 = 1.0;
const WEEK_TARGET: f64 = 10_000.0;

/// The event loop, by the number of hosts.
pub fn ping_figures() {
    let [few, _, many, _] = pingers::SIZES.map(|hosts| (hosts, pingers::figures_of(hosts)));
    pingers::print_growth(few, many);
}

/// A cluster that was started a minute ago.
fn cluster() -> Script {
    let mut script = Script::started(&Options::plain(OPERATORS));
    script.after(60.s());
    script
}

fn cpu_of(work: impl FnOnce()) -> Duration {
    let before = process_cpu();
    work();
    process_cpu() - before
}

/// A day on which nothing happens.
pub fn idle_figures() {
    let mut days: Vec<f64> = (0..rounds(ROUNDS))
        .map(|_| {
            let mut script = cluster();
            cpu_of(|| _ = script.after(DAY)).as_secs_f64() * 1e3
        })
        .collect();
    let remark = format!("{OPERATORS} operators, a minute after they started");
    judge("sim.idle_day", percentile(&mut days, 50), "ms", IDLE_DAY_TARGET_MS, &remark);
}

/// When, who moves: everybody once on each day, at a time drawn.
fn moves(days: u32) -> Vec<(Duration, usize)> {
    let mut draws = ChaCha20Rng::seed_from_u64(7);
    let mut moves: Vec<(Duration, usize)> = (0..days)
        .flat_map(|day| (0..OPERATORS).map(move |who| (day, who)))
        .map(|(day, who)| {
            let at = Duration::from_millis(draws.next_u64() % DAY.as_millis() as u64);
            (DAY * day + at, who)
        })
        .collect();
    moves.sort_unstable();
    moves
}

/// A week in which every operator moves once a day, each to an address that nobody had before.
pub fn week_figures() {
    let days = size(DAYS, 1);
    let moves = moves(days);
    let mut rates: Vec<f64> = (0..rounds(ROUNDS))
        .map(|_| {
            let mut script = cluster();
            let (start, week) = (script.now_in_seconds().s(), DAY * days);
            let cpu = cpu_of(|| {
                for (number, (at, who)) in moves.iter().enumerate() {
                    let address = format!("198.51.100.{number}:3610");
                    script.at(start + *at).number(*who).moves_to(&address);
                }
                script.at(start + week);
            });
            script.heals_within(5.s());
            week.as_secs_f64() / cpu.as_secs_f64()
        })
        .collect();
    let remark = format!("{OPERATORS} operators, {} moves in {days} days", moves.len());
    let rate = percentile(&mut rates, 50);
    judge_at_least("sim.week_of_moves", rate, "simulated s/CPU-s", WEEK_TARGET, &remark);
}
