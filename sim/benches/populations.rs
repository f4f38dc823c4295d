//! What networks of discovery nodes cost, with the real core and cryptography and hosts that come and
//! go: `cargo bench -p stayfound-sim`, or with another number of nodes after `--`. Every result is also
//! a line `figure <name> <value> <unit>`.
//! `cargo test -p stayfound-sim --bench populations` only shows that it can be measured.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stayfound_core::keys::remembered::remembering;
use stayfound_sim::moment::Moment;
use stayfound_sim::scenario::{Line, Scenario};
use stayfound_sim::trace::Trace;
use stayfound_sim::world::World;

/// Nodes, unless another number is given, and what is expected of so many.
const NODES: usize = 1_000;
const TARGET: f64 = 100.0;
/// Ten thousand are to be simulated for an hour in so many seconds and gibibytes.
const MANY: usize = 10_000;
const MANY_TARGET_S: f64 = 20.0 * 60.0;
const MANY_TARGET_GIB: f64 = 12.0;

/// How long the network has to come together, and how long it is measured then; and both when nothing
/// is measured.
const SPANS: [[u64; 2]; 2] = [[600, 3_600], [60, 120]];

fn main() {
    let measures = std::env::args().any(|argument| argument == "--bench");
    let given = std::env::args().skip(1).find_map(|argument| argument.parse::<usize>().ok());
    let nodes = given.unwrap_or(if measures { NODES } else { 20 });
    let [together, measured] = SPANS[usize::from(!measures)];
    let text = format!(
        "seed 1\noperators 4\ndiscovery 3 boots {nodes} walkers\n\
         0s start all\n{together}s churn for {measured}s\n+{measured}s expect health\n"
    );
    let scenario: Scenario = text.parse().expect("a scenario that is right");
    let [start, hour] = remembering(|| cpu(&scenario, Moment(together * 1_000_000_000)));
    let word = if measures { "figure" } else { "not measured:" };
    let gib = peak_kib() / 1024.0 / 1024.0;
    let rate = measured as f64 / hour.as_secs_f64();
    println!("{word} sim.population_{nodes} {rate:.1} simulated s/CPU-s");
    println!("{word} sim.population_{nodes}_memory {gib:.2} GiB");
    println!(
        "# together within {together} s: {:.1} CPU-s; then {measured} s of churn",
        start.as_secs_f64()
    );
    let verdict = |met: bool| if met { "met" } else { "MISSED" };
    match nodes {
        NODES => println!("# target at least {TARGET}: {}", verdict(rate >= TARGET)),
        MANY => {
            let all = (start + hour).as_secs_f64();
            println!(
                "# all in {all:.0} CPU-s; target at most {MANY_TARGET_S}: {}",
                verdict(all <= MANY_TARGET_S)
            );
            println!("# target at most {MANY_TARGET_GIB} GiB: {}", verdict(gib <= MANY_TARGET_GIB));
        }
        _ => {}
    }
}

/// CPU time until this moment of a scenario, and after it.
fn cpu(scenario: &Scenario, then: Moment) -> [Duration; 2] {
    let begun = process_cpu();
    let mut world = World::new(&scenario.setup, &scenario.chance(), Trace::default());
    let mut lines = scenario.schedule.iter().peekable();
    while let Some(line) = lines.next_if(|line| line.at < then) {
        happen(&mut world, line);
    }
    world.advance(then).expect("nothing is wrong");
    let together = process_cpu();
    lines.for_each(|line| happen(&mut world, line));
    [together - begun, process_cpu() - together]
}

fn happen(world: &mut World, line: &Line) {
    world.advance(line.at).expect("nothing is wrong");
    match &line.fault {
        Some(fault) => _ = world.apply(fault).expect("nothing is wrong"),
        None => world.expect_health().expect("everybody is linked"),
    }
}

fn process_cpu() -> Duration {
    let spec = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(spec.tv_sec).expect("CPU time is not negative");
    Duration::new(seconds, u32::try_from(spec.tv_nsec).expect("below a second"))
}

/// The most memory that the process ever had.
fn peak_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line of it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}
