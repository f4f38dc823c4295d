//! Putting parts together, in any order.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::{self, MANIFEST, Writer};
use super::part::{self, Damage};
use super::{Conflict, Format, MadeBy, Manifest, Results, RunKey};

/// What was put together.
#[derive(Debug)]
pub struct Merged {
    /// Of all of it.
    pub manifest: Manifest,
    /// How many parts and directories it came from.
    pub sources: usize,
    /// What was left out, and why.
    pub damaged: Vec<(PathBuf, Damage)>,
}

/// Why nothing was put together.
#[derive(Debug)]
pub enum MergeError {
    /// A file cannot be read or written.
    Io(PathBuf, io::Error),
    /// A directory holds neither results nor parts.
    Empty(PathBuf),
    /// These two do not belong together.
    Conflict(PathBuf, PathBuf, Conflict),
    /// None of what was given is whole.
    Nothing(Vec<(PathBuf, Damage)>),
}

/// A part or a directory of results, and the first and last run in it.
struct Source {
    path: PathBuf,
    first: RunKey,
    last: RunKey,
}

/// Puts parts, directories of parts and directories of results together into a directory. Only of
/// sources with runs in common more than one is in memory.
///
/// # Errors
/// [`MergeError`]. State: the directory holds what it held before, but for a disk that failed while
/// files were put in their place.
pub fn merge(sources: &[PathBuf], out: &Path, format: Format) -> Result<Merged, MergeError> {
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    let mut made_by: Option<(PathBuf, MadeBy)> = None;
    for path in expand(sources)? {
        let results = match read(&path) {
            Ok(results) => results,
            Err(damage) => {
                damaged.push((path, damage));
                continue;
            }
        };
        let own = results.made_by();
        let (other, before) = made_by.get_or_insert_with(|| (path.clone(), own.clone()));
        *before = before
            .merged(own)
            .map_err(|conflict| MergeError::Conflict(other.clone(), path.clone(), conflict))?;
        let (first, last) = (results.runs().next(), results.runs().last());
        if let (Some((first, _)), Some((last, _))) = (first, last) {
            whole.push(Source { path, first: first.clone(), last: last.clone() });
        }
    }
    let Some((_, made_by)) = made_by else { return Err(MergeError::Nothing(damaged)) };
    let failed = |error| MergeError::Io(out.into(), error);
    let mut writer = Writer::create(out, format, made_by).map_err(failed)?;
    let count = whole.len();
    for group in groups(whole) {
        writer.append(&together(&group)?).map_err(failed)?;
    }
    let manifest = writer.finish().map_err(failed)?;
    Ok(Merged { manifest, sources: count, damaged })
}

/// Every part that is meant, each once.
fn expand(sources: &[PathBuf]) -> Result<Vec<PathBuf>, MergeError> {
    let mut paths = Vec::new();
    for source in sources {
        if !source.is_dir() || source.join(MANIFEST).exists() {
            paths.push(source.clone());
            continue;
        }
        let parts = parts_in(source).map_err(|error| MergeError::Io(source.clone(), error))?;
        if parts.is_empty() {
            return Err(MergeError::Empty(source.clone()));
        }
        paths.extend(parts);
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn parts_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let hidden =
        |path: &PathBuf| path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
    let is_part = |path: &PathBuf| path.extension().is_some_and(|it| it == part::EXTENSION);
    let paths: Vec<PathBuf> = paths.collect::<io::Result<_>>()?;
    Ok(paths.into_iter().filter(|path| is_part(path) && !hidden(path)).collect())
}

fn read(path: &Path) -> Result<Results, Damage> {
    if path.is_dir() { directory::read(path) } else { part::read(path) }
}

/// In order, and together what may have runs in common.
fn groups(mut sources: Vec<Source>) -> Vec<Vec<Source>> {
    sources.sort_by(|a, b| (&a.first, &a.last, &a.path).cmp(&(&b.first, &b.last, &b.path)));
    let mut groups: Vec<Vec<Source>> = Vec::new();
    let mut last: Option<RunKey> = None;
    for source in sources {
        let overlaps = last.as_ref().is_some_and(|last| source.first <= *last);
        last = last.max(Some(source.last.clone()));
        match groups.last_mut().filter(|_| overlaps) {
            Some(group) => group.push(source),
            None => groups.push(vec![source]),
        }
    }
    groups
}

fn together(group: &[Source]) -> Result<Results, MergeError> {
    let mut all: Option<Results> = None;
    let mut whose: BTreeMap<RunKey, &Path> = BTreeMap::new();
    for Source { path, .. } in group {
        let changed = |damage| MergeError::Io(path.clone(), io::Error::other(format!("{damage}")));
        let results = read(path).map_err(changed)?;
        let keys: Vec<RunKey> = results.runs().map(|(key, _)| key.clone()).collect();
        match &mut all {
            None => all = Some(results),
            Some(all) => all.merge(results).map_err(|conflict| {
                let key = if let Conflict::Rows(key, _) = &conflict { Some(key) } else { None };
                let other = key.and_then(|key| whose.get(key)).copied();
                let other = other.unwrap_or(&group[0].path);
                MergeError::Conflict(other.into(), path.clone(), conflict)
            })?,
        }
        for key in keys {
            whose.entry(key).or_insert(path);
        }
    }
    Ok(all.expect("a group has a member"))
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Empty(path) => {
                let path = path.display();
                write!(f, "{path} holds neither parts (*.part) nor results ({MANIFEST})")
            }
            Self::Conflict(one, other, conflict) => {
                write!(f, "{} and {}: {conflict}", one.display(), other.display())
            }
            Self::Nothing(damaged) => {
                write!(f, "nothing to merge: none of {} files is whole", damaged.len())
            }
        }
    }
}
