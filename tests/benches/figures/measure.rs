//! Time, CPU time, medians, and the lines that report them.

use std::time::Duration;

/// Whether this run measures. `cargo bench` says so with an option of its own; without it (`cargo
/// test --bench figures`) every figure is gone through, to see that it can be measured.
fn measures() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// How many rounds to take: so many where it is measured, else enough for every line to run.
pub fn rounds(measured: usize) -> usize {
    if measures() { measured } else { 2 }
}

/// A runtime of one thread, so that the CPU time of both ends is this thread's.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The CPU time that this thread has used (Linux: the scheduler's own account, in nanoseconds).
pub fn cpu() -> Duration {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat")
        .expect("CPU time is read from Linux's scheduler");
    let nanos = account.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.expect("the first field is nanoseconds on the CPU"))
}

/// The value below which this share (in per cent) of the samples lies.
pub fn percentile(samples: &mut [f64], share: usize) -> f64 {
    assert!(!samples.is_empty() && share <= 100);
    samples.sort_by(f64::total_cmp);
    samples[(samples.len() - 1) * share / 100]
}

/// One result: for people, and as a line that a script can find, if it was measured.
pub fn report(name: &str, value: f64, unit: &str, remark: &str) {
    assert!(value.is_finite() && value > 0.0, "{name} is {value}");
    let word = if measures() { "figure" } else { "not measured:" };
    println!("{word} {name} {value:.3} {unit}");
    if !remark.is_empty() {
        println!("       {remark}");
    }
}
