//! What it costs to verify a whole lock, part by part, and what grows faster than it should; what is
//! left of it at a restart; and its memory.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use stayfound::Mesh;
use stayfound::ceremony::{Ceremony, Cluster};
use stayfound::cluster::{ClusterFile, Kind, Verdicts};
use stayfound::config::{Config, Demand, Source};
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::cluster::lock::Lock;

use crate::measure::{cpu, judge, peak_resident, percentile, report, rounds, runtime, size};

const OPERATORS: usize = 10;
const VALIDATORS: u32 = 1_000;
const ROUNDS: usize = 5;
const GROWTH_TARGET: f64 = 2.2;
const RESTARTS: usize = 21;
const RESTART_TARGET_MS: f64 = 50.0;
const MEMORY_TARGET: f64 = 8.0;

fn cluster(validators: usize) -> Cluster {
    let threshold = Ceremony::threshold_of(OPERATORS);
    let (name, timestamp) = (String::new(), String::new());
    let ceremony = Ceremony { name, operators: OPERATORS, threshold, validators, timestamp };
    ceremony.perform(&mut ChaCha20Rng::from_seed([5; 32])).expect("a cluster")
}

/// The milliseconds of CPU of each part.
fn parts(json: &[u8]) -> BTreeMap<&'static str, f64> {
    let mut spent = BTreeMap::new();
    let mut begun = cpu();
    let mut lap = |what: &'static str| {
        let now = cpu();
        *spent.entry(what).or_default() += (now - begun).as_secs_f64() * 1e3;
        begun = now;
    };
    let lock = Lock::read(json).expect("a lock");
    lap("read");
    let parts = lock.parts(1);
    let partials = parts.iter().map(|part| {
        let partial = part.run();
        lap(part.name());
        partial
    });
    let partials = partials.collect();
    let verdict = lock.conclude(partials);
    lap("conclude");
    assert!(verdict.failures().next().is_none(), "{verdict:?}");
    let all = spent.values().sum();
    spent.insert("all", all);
    spent
}

fn verification() {
    let [single, double] = [1, 2].map(|times| {
        let validators = times * size(VALIDATORS, 4) as usize;
        cluster(validators).lock.to_json()
    });
    let mut of: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for _ in 0..rounds(ROUNDS) {
        let (once, twice) = (parts(&single), parts(&double));
        for (part, span) in once {
            let (spans, ratios) = of.entry(part).or_default();
            spans.push(span);
            ratios.push(twice[part] / span);
        }
    }
    for (part, (mut spans, mut ratios)) in of {
        let remark = format!("of a lock of {} kB, one thread", single.len() / 1000);
        report(&format!("cluster.lock_{part}"), percentile(&mut spans, 50), "ms", &remark);
        let (name, remark) = (format!("cluster.lock_{part}_growth"), "twice the validators");
        judge(&name, percentile(&mut ratios, 50), "x", GROWTH_TARGET, remark);
    }
}

/// From nothing to a running node, in a process that runs already.
async fn start(config: &Config) -> f64 {
    let begun = Instant::now();
    let checked = config.check(|_, _| {}).expect("it holds");
    let mesh = Mesh::builder(checked.key, checked.manifest)
        .listen(config.listen)
        .store(Box::new(checked.store));
    let mesh = mesh.start().await.expect("it starts");
    let took = begun.elapsed().as_secs_f64() * 1e3;
    mesh.stop().await.expect("it stops");
    took
}

fn restart(directory: &Path) {
    let cluster = cluster(size(VALIDATORS, 4) as usize);
    let [path, keys, data_dir] = ["manifest", "keys", "data"].map(|name| directory.join(name));
    fs::create_dir(&keys).expect("makes");
    let key = keys.join("charon-enr-private-key");
    fs::write(&path, cluster.document.to_json()).expect("writes");
    write_private(&key, &cluster.key_text(OperatorIndex(0)));
    let listen: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let cluster = Source { kind: Kind::Manifest, path, demand: Demand::Authorisation };
    let (external, hints) = (Vec::new(), Vec::new());
    let config = Config { cluster, key, data_dir, listen, external, hints };
    let runtime = runtime();
    let first = runtime.block_on(start(&config));
    report("cluster.first_start", first, "ms", "everything is verified");
    let file = ClusterFile::read(Kind::Manifest, &config.cluster.path).expect("reads");
    assert!(Verdicts::of(&config.data_dir).recall(&file).is_some(), "it is remembered");
    let restarts = (0..rounds(RESTARTS)).map(|_| runtime.block_on(start(&config)));
    let mut restarts: Vec<_> = restarts.collect();
    let remark = "to a node that is bound; wall clock, median";
    judge("cluster.restart", percentile(&mut restarts, 50), "ms", RESTART_TARGET_MS, remark);
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("writes");
}

fn memory(directory: &Path) {
    let path = directory.join("lock");
    fs::write(&path, cluster(size(VALIDATORS, 4) as usize).lock.to_json()).expect("writes");
    let bytes = fs::metadata(&path).expect("is there").len();
    let grown = peak_resident(|| {
        let file = ClusterFile::read(Kind::Lock, &path).expect("a lock");
        let verdict = file.verify(2, |_, _| {});
        file.holds(&verdict).expect("it holds");
    });
    let remark =
        format!("read and verified on two threads, over the {} kB of the file", bytes / 1000);
    report("cluster.lock_peak_memory", grown as f64 / 1024.0, "KiB", &remark);
    // Below that size a page more or less is everything.
    if bytes > 1_000_000 {
        let ratio = grown as f64 / bytes as f64;
        judge("cluster.lock_peak_memory_ratio", ratio, "x", MEMORY_TARGET, &remark);
    }
}

/// Prints the figures.
pub fn figures() {
    let directory = tempfile::tempdir().expect("a directory");
    verification();
    restart(directory.path());
}

/// Prints the figure of memory.
pub fn memory_figures() {
    let directory = tempfile::tempdir().expect("a directory");
    memory(directory.path());
}
