//! Time, CPU time, medians, and the lines that report them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Whether this run measures. `cargo bench` says so with an option of its own; without it (`cargo
/// test --bench figures`) every figure is gone through, to see that it can be measured.
fn measures() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// How many rounds to take: so many where it is measured, else enough for every line to run.
pub fn rounds(measured: usize) -> usize {
    if measures() { measured } else { 2 }
}

/// How large to make what takes long: so large where it is measured, else this small.
pub fn size(measured: u32, else_small: u32) -> u32 {
    if measures() { measured } else { else_small }
}

/// A runtime of one thread, so that the CPU time of both ends is this thread's.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The CPU time that this thread has used.
pub fn cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// The CPU time that all threads of this process have used.
pub fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().expect("CPU time is not negative")
}

/// Calls `f` for every one of these and answers with the CPU time that one took, in microseconds.
pub fn cpu_us_each<T>(all: impl ExactSizeIterator<Item = T>, mut f: impl FnMut(T)) -> f64 {
    let count = all.len();
    let before = cpu();
    all.for_each(&mut f);
    (cpu() - before).as_secs_f64() * 1e6 / count as f64
}

/// The memory that this process has in RAM, in bytes.
pub fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux says how many pages");
    let pages = pages.split_whitespace().nth(1).and_then(|field| field.parse::<usize>().ok());
    pages.expect("the second field is the resident pages") * rustix::param::page_size()
}

/// By how many bytes the memory that this process has in RAM grows at most while this runs.
pub fn peak_resident(work: impl FnOnce()) -> usize {
    // Linux, proc_pid_clear_refs(5): the peak is counted anew from here.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let before = resident();
    work();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    (peak.expect("a number of kB") * 1024).saturating_sub(before)
}

/// The value below which this share (in per cent) of the samples lies.
pub fn percentile(samples: &mut [f64], share: usize) -> f64 {
    assert!(!samples.is_empty() && share <= 100);
    samples.sort_by(f64::total_cmp);
    samples[(samples.len() - 1) * share / 100]
}

/// One result: for people, and as a line that a script can find, if it was measured.
pub fn report(name: &str, value: f64, unit: &str, remark: &str) {
    assert!(value.is_finite() && value >= 0.0, "{name} is {value}");
    let word = if measures() { "figure" } else { "not measured:" };
    println!("{word} {name} {value:.3} {unit}");
    if !remark.is_empty() {
        println!("       {remark}");
    }
}

/// One result that is to be no larger than its target.
pub fn judge(name: &str, value: f64, unit: &str, target: f64, remark: &str) {
    let verdict = if value <= target { "met" } else { "MISSED" };
    report(name, value, unit, &format!("{remark}; target at most {target}: {verdict}"));
}

/// One result that is to be no smaller than its target.
pub fn judge_at_least(name: &str, value: f64, unit: &str, target: f64, remark: &str) {
    let verdict = if value >= target { "met" } else { "MISSED" };
    let remark = if remark.is_empty() { String::new() } else { format!("{remark}; ") };
    report(name, value, unit, &format!("{remark}target at least {target}: {verdict}"));
}
