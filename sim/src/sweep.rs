//! Many runs, in blocks: a block is a file, and a file that is there is a block that is done.
//!
//! Nobody coordinates: any number of processes, on any number of machines, may sweep into one
//! directory, or into many; their parts are put together afterwards ([`merge`]).
//!
//! [`merge`]: crate::results::merge

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};

use crate::coverage::Coverage;
use crate::oracle::Kind;
use crate::results::part::{self, Damage};
use crate::results::{DRAWN, MadeBy, Results, RunKey};
use crate::run::observe;
use crate::scenario::Scenario;
use crate::table::{Tables, scenario_hash};

/// What to sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The scenario that every seed runs; `None` if each draws its own.
    pub scenario: Option<Named>,
    /// The seeds.
    pub seeds: Range<u64>,
    /// How many of them a part holds; the last may hold fewer.
    pub block: u64,
    /// Whether every event is to be a row.
    pub events: bool,
    /// Where the parts are.
    pub out: PathBuf,
    /// How many runs go on at once.
    pub jobs: NonZeroUsize,
}

/// A scenario that was written down.
#[derive(Clone, Debug)]
pub struct Named {
    /// What it is called in results.
    pub name: String,
    /// The arguments that name it on the command line.
    pub arguments: String,
    /// The scenario.
    pub scenario: Scenario,
}

/// What a sweep says while it goes on.
#[derive(Debug)]
pub enum Progress {
    /// A run has ended.
    Run,
    /// A part is damaged: its block is run again.
    Damaged(PathBuf, Damage),
    /// The part of a block is there.
    Block(Block),
}

/// A block whose part is there.
#[derive(Debug)]
pub struct Block {
    /// Its seeds.
    pub seeds: Range<u64>,
    /// Whether its part was there before.
    pub was_there: bool,
    /// The runs in which something was found.
    pub failures: Vec<Failure>,
    /// Where its runs have been.
    pub coverage: Coverage,
}

/// What came of all blocks.
#[derive(Debug, Default)]
pub struct Swept {
    /// The runs in which something was found, by seed.
    pub failures: Vec<Failure>,
    /// Where the runs have been.
    pub coverage: Coverage,
}

/// A run in which something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// Of what kind the finding is.
    pub kind: Kind,
    /// In a sentence.
    pub finding: String,
    /// The command that repeats it.
    pub command: String,
}

/// Why a sweep ended before all was done.
#[derive(Debug)]
pub enum SweepError {
    /// A part cannot be written. State: it is not there.
    Io(PathBuf, io::Error),
    /// There is a part of this name that is not of this sweep. State: it is as it was.
    Other(PathBuf, String),
}

impl Sweep {
    /// The seeds of each part.
    pub fn blocks(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let Range { start, end } = self.seeds;
        let block = self.block;
        assert!(block > 0, "a block of no seed");
        let mut next = start;
        std::iter::from_fn(move || {
            let seeds = next..end.min(next.saturating_add(block));
            next = seeds.end;
            (!seeds.is_empty()).then_some(seeds)
        })
    }

    /// The part of a block.
    #[must_use]
    pub fn part(&self, seeds: &Range<u64>) -> PathBuf {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        let name = self.name().replace(|letter| !plain(letter), "_");
        self.out.join(format!("{name}.{}-{}.{}", seeds.start, seeds.end, part::EXTENSION))
    }

    fn name(&self) -> &str {
        self.scenario.as_ref().map_or(DRAWN, |named| &named.name)
    }

    fn scenario(&self, seed: u64) -> Scenario {
        let named = self.scenario.as_ref().map(|named| named.scenario.with_seed(seed));
        named.unwrap_or_else(|| Scenario::draw(seed))
    }

    /// Runs whatever is not done. Answers what came of all blocks, those whose parts were there among
    /// them.
    ///
    /// # Errors
    /// [`SweepError`]. State: of what was done until then, every part is there.
    pub fn run(&self, tell: &mut dyn FnMut(&Progress)) -> Result<Swept, SweepError> {
        let failed = |error| SweepError::Io(self.out.clone(), error);
        std::fs::create_dir_all(&self.out).map_err(failed)?;
        let blocks = Mutex::new(self.blocks());
        let stop = AtomicBool::new(false);
        let next = || {
            let mut blocks = blocks.lock().expect("nobody panics while it takes a block");
            blocks.next().filter(|_| !stop.load(Ordering::Relaxed))
        };
        let (done, told) = mpsc::channel();
        // Threads are around whole runs, each with its own copy of what a run keeps per thread.
        std::thread::scope(|threads| {
            for _ in 0..self.jobs.get() {
                let done = done.clone();
                threads.spawn(|| {
                    let done = done;
                    while let Some(seeds) = next() {
                        let ended = self.block(&seeds, &done);
                        stop.fetch_or(ended.is_err(), Ordering::Relaxed);
                        // Whoever listens is there until the last has said all.
                        let _ = done.send(ended.map(Progress::Block));
                    }
                });
            }
            drop(done);
            listen(&told, tell)
        })
    }

    /// Sees to it that the part of a block is there.
    fn block(
        &self,
        seeds: &Range<u64>,
        tell: &mpsc::Sender<Result<Progress, SweepError>>,
    ) -> Result<Block, SweepError> {
        let path = self.part(seeds);
        let results = match part::read(&path) {
            Ok(results) => {
                self.check(seeds, &path, &results)?;
                return Ok(Block::of(seeds, true, &results));
            }
            Err(Damage::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(damage) => Some(damage),
        };
        if let Some(damage) = results {
            let _ = tell.send(Ok(Progress::Damaged(path.clone(), damage)));
        }
        let mut results = Results::new(MadeBy::this());
        for seed in seeds.clone() {
            let (key, tables) = self.observe(seed);
            results.add(key, &tables);
            let _ = tell.send(Ok(Progress::Run));
        }
        part::write(&path, &results).map_err(|error| SweepError::Io(path, error))?;
        Ok(Block::of(seeds, false, &results))
    }

    fn observe(&self, seed: u64) -> (RunKey, Tables) {
        let scenario = self.scenario(seed);
        let (report, observed) = observe(&scenario, self.events);
        let named = self.scenario.as_ref().map(|named| format!("{} ", named.arguments));
        let command = format!("stayfound-sim run {}--seed {seed}", named.unwrap_or_default());
        let key = RunKey { scenario: self.name().into(), seed };
        (key, Tables::of(&scenario, &report, observed, command))
    }

    /// Whether a part is what this sweep would write.
    fn check(&self, seeds: &Range<u64>, path: &Path, results: &Results) -> Result<(), SweepError> {
        let other = |what: String| Err(SweepError::Other(path.into(), what));
        let (own, theirs) = (MadeBy::this(), results.made_by());
        if !own.is_same_code(theirs) {
            return other(format!("was made by {theirs}; this is {own}"));
        }
        let keys = results.runs().map(|(key, _)| key.seed);
        if !keys.eq(seeds.clone()) {
            return other("holds other seeds than its name says".into());
        }
        for (key, rows) in results.runs() {
            let hash = scenario_hash(&self.scenario(key.seed));
            if key.scenario != self.name() || rows.run().scenario_hash != hash {
                return other(format!("has another scenario for {key}"));
            }
        }
        let has_events = results.runs().any(|(_, rows)| rows.has_events());
        if has_events != self.events {
            let has = if has_events { "was made with" } else { "was made without" };
            return other(format!("{has} --events"));
        }
        Ok(())
    }
}

impl Block {
    fn of(seeds: &Range<u64>, was_there: bool, results: &Results) -> Self {
        let mut coverage = Coverage::default();
        for (key, rows) in results.runs() {
            coverage.add(key.seed, &rows.rows());
        }
        Self { seeds: seeds.clone(), was_there, failures: failures(results), coverage }
    }
}

/// Hears of everything until the last has ended.
fn listen(
    told: &mpsc::Receiver<Result<Progress, SweepError>>,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Swept, SweepError> {
    let (mut swept, mut error) = (Swept::default(), None);
    for progress in told {
        match progress {
            Ok(progress) => {
                tell(&progress);
                if let Progress::Block(block) = progress {
                    swept.failures.extend(block.failures);
                    swept.coverage.merge(&block.coverage);
                }
            }
            Err(failed) => drop(error.get_or_insert(failed)),
        }
    }
    swept.failures.sort_by_key(|failure| failure.seed);
    error.map_or(Ok(swept), Err)
}

fn failures(results: &Results) -> Vec<Failure> {
    let failure = |(key, rows): (&RunKey, &crate::results::RunRows)| {
        let run = rows.run();
        let kind = Kind::ALL.into_iter().find(|kind| kind.to_string() == run.verdict)?;
        let finding = run.finding.unwrap_or_default();
        Some(Failure { seed: key.seed, kind, finding, command: run.command })
    };
    results.runs().filter_map(failure).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  {}", self.kind, self.finding, self.command)
    }
}

impl fmt::Display for SweepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Other(path, what) => write!(
                f,
                "{} {what}: sweep into another directory, or throw it away",
                path.display()
            ),
        }
    }
}
