//! Which runs: one seed, or many.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use stayfound_sim::exit::Failure;
use stayfound_sim::results::DRAWN;
use stayfound_sim::scenario::Scenario;
use stayfound_sim::sweep::Named;

/// Which run a command is about.
#[derive(Args)]
pub(crate) struct One {
    /// The seed: a number, or a commit id (at least 7 hexadecimal digits, of which the first 7 are
    /// the number)
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    pub(crate) seed: Option<u64>,
    /// The scenario, in a file as docs/scenarios.md describes; a seed then stands for the file's own
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
}

/// Which runs a command is about.
#[derive(Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) one: One,
    /// The seeds of many runs, from A up to but not including B
    #[arg(long, value_name = "A..B", value_parser = parse_seeds, conflicts_with = "seed")]
    pub(crate) seeds: Option<Range<u64>>,
    /// One JSON object per run
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// One run to do.
pub(crate) struct Job {
    pub(crate) scenario: Scenario,
    /// What its scenario is called in results.
    pub(crate) name: String,
    /// The arguments that name it: `--seed 7`.
    pub(crate) arguments: String,
}

impl One {
    /// The run.
    pub(crate) fn job(&self) -> Result<Job, Failure> {
        if self.seed.is_none() && self.scenario.is_none() {
            return Err(Failure::usage("say which run: give --seed N or --scenario FILE"));
        }
        let file = self.scenario.as_deref().map(|path| Ok((path, read(path)?))).transpose()?;
        Ok(job(file.as_ref(), self.seed))
    }
}

impl Which {
    /// Whether it is about one run, of which everything is printed.
    pub(crate) fn is_single(&self) -> bool {
        self.seeds.is_none()
    }

    /// How many runs.
    pub(crate) fn count(&self) -> u64 {
        self.seeds.as_ref().map_or(1, |seeds| seeds.end - seeds.start)
    }

    /// The runs, each made when it is asked for.
    pub(crate) fn jobs(&self) -> Result<Box<dyn Iterator<Item = Job> + '_>, Failure> {
        let Some(seeds) = self.seeds.clone() else {
            return Ok(Box::new([self.one.job()?].into_iter()));
        };
        let path = self.one.scenario.as_deref();
        let file = path.map(|path| Ok((path, read(path)?))).transpose()?;
        Ok(Box::new(seeds.map(move |seed| job(file.as_ref(), Some(seed)))))
    }
}

/// A scenario from a file, for many seeds.
pub(crate) fn named(path: &Path) -> Result<Named, Failure> {
    let Job { name, arguments, scenario } = job(Some(&(path, read(path)?)), None);
    Ok(Named { name, arguments, scenario })
}

/// The run of a scenario that was read, or of one that is drawn.
fn job(file: Option<&(&Path, Scenario)>, seed: Option<u64>) -> Job {
    let by_seed = seed.map_or(String::new(), |seed| format!("--seed {seed}"));
    let Some((path, scenario)) = file else {
        let scenario = Scenario::draw(seed.expect("a scenario without a file has a seed"));
        return Job { scenario, name: DRAWN.into(), arguments: by_seed };
    };
    let scenario = seed.map_or_else(|| scenario.clone(), |seed| scenario.with_seed(seed));
    let (name, path) = (path.file_stem().unwrap_or_default(), path.to_string_lossy());
    let arguments = format!("--scenario {} {by_seed}", quoted(&path)).trim_end().to_owned();
    Job { scenario, name: name.to_string_lossy().into_owned(), arguments }
}

/// Reads a scenario from a file, and what it includes.
fn read(path: &Path) -> Result<Scenario, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => Failure::usage(format!("{} is no text", path.display())),
        _ => Failure::io("read", path, &error),
    })?;
    let mut include = |path: &str| std::fs::read_to_string(path).map_err(|it| it.to_string());
    Scenario::parse(&path.to_string_lossy(), &text, &mut include)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// A path as a shell takes it for one word.
pub(crate) fn quoted(path: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+=:@%".contains(letter);
    match !path.is_empty() && path.chars().all(plain) {
        true => path.into(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

/// How many digits of a commit id count: as many as git abbreviates one to at least, so that a
/// longer form of it is the same seed.
const COMMIT_DIGITS: usize = 7;

/// A number, or a commit id.
pub(crate) fn parse_seed(text: &str) -> Result<u64, String> {
    if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        return text.parse().map_err(|_| format!("a seed is at most {}", u64::MAX));
    }
    let commit = (COMMIT_DIGITS..=40).contains(&text.len());
    if commit && text.bytes().all(|it| it.is_ascii_hexdigit()) {
        let digits = &text[..COMMIT_DIGITS];
        return Ok(u64::from_str_radix(digits, 16).expect("seven hexadecimal digits"));
    }
    Err("give a number, or a commit id of 7 to 40 hexadecimal digits".into())
}

/// The seeds from one up to, but not including, another.
pub(crate) fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let parse = |text: &str| text.trim().parse::<u64>().ok();
    let range = text.split_once("..").and_then(|(from, to)| Some(parse(from)?..parse(to)?));
    let range = range.ok_or("give two numbers, as in 0..1000")?;
    if range.is_empty() {
        return Err(format!("{text} names no seed: the first must be below the second"));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range() {
        assert_eq!(parse_seeds("3..7"), Ok(3..7));
        for wrong in ["3", "7..3", "3..3", "a..b", "3..=7", "-1..2", "1..", ""] {
            parse_seeds(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn a_seed_is_a_number_or_a_commit_however_long_its_id_is_written() {
        assert_eq!(parse_seed("7"), Ok(7));
        assert_eq!(parse_seed("1234567"), Ok(1_234_567), "a plain number stays one");
        assert_eq!(parse_seed("cd3d140"), Ok(0xcd3_d140));
        assert_eq!(parse_seed("CD3D1400aa"), Ok(0xcd3_d140));
        assert_eq!(parse_seed(&"b545d3f7".repeat(5)), Ok(0xb54_5d3f));
        let long = "a".repeat(41);
        for wrong in ["", "-1", "cd3d14", "xyzxyzx", "1.5", "18446744073709551616", &long] {
            parse_seed(wrong).expect_err(wrong);
        }
    }
}
