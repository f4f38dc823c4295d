//! Time, CPU time, medians, and the lines that report them.

use std::time::Duration;

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

/// One result: for people, and as a line that a script can find.
pub fn report(name: &str, value: f64, unit: &str, remark: &str) {
    println!("figure {name} {value:.3} {unit}");
    if !remark.is_empty() {
        println!("       {remark}");
    }
}
