//! A part: the results of a block of seeds in one file.
//!
//! ```text
//! stayfound-sim part
//! {"format":…}                  the manifest, on one line
//! runs 30 5120                  for each table its rows, and the bytes that follow
//! drawn,0,…
//! …
//! sha256 9f86d081…              of everything before this line
//! ```
//!
//! A part never changes: it is written under another name, made durable, and renamed. So whatever
//! has its name is whole, unless the disk or a person damaged it, which the checksum tells.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::{Malformed, Manifest, Results, manifest::hex};
use crate::table::Tables;

/// The first line of every part.
const MAGIC: &str = "stayfound-sim part\n";
/// What the name of every part ends with.
pub const EXTENSION: &str = "part";

/// Why a file is no part.
#[derive(Debug)]
pub enum Damage {
    /// It cannot be read.
    Io(io::Error),
    /// It does not begin as a part does.
    Foreign,
    /// Its content is not what was written.
    Checksum,
    /// This table is not the one of which its manifest speaks, for this reason.
    Table(String, String),
    /// It is written in another form, by an older or newer program.
    Form(String),
    /// Its content is not what its form demands.
    Malformed(Malformed),
}

/// Reads a part.
///
/// # Errors
/// [`Damage`].
pub fn read(path: &Path) -> Result<Results, Damage> {
    decode(&fs::read(path).map_err(Damage::Io)?)
}

/// Writes a part so that it is there whole or not at all. If another process has written it in the
/// meantime, that one's is replaced by the same bytes.
///
/// # Errors
/// If the disk is full, say. State: nothing has this name that had not before.
pub fn write(path: &Path, results: &Results) -> io::Result<()> {
    replace(path, &encode(results))
}

/// Puts bytes in the place of a file, all or none, durably.
///
/// # Errors
/// If the disk is full, say. State: the file is what it was.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, temporary) = temporary(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
        let _ = fs::remove_file(&temporary); // what is wrong is said already
        return Err(error);
    }
    sync_directory(path)
}

/// A new file beside the one that is to be written, with the number of this process in its name;
/// of processes of one number on several machines each has its own.
#[expect(clippy::disallowed_types, reason = "results are files; no run is under way")]
pub(super) fn temporary(path: &Path) -> io::Result<(fs::File, PathBuf)> {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    let process = std::process::id();
    for attempt in 0_u32.. {
        let temporary = path.with_file_name(format!(".{name}.{process}.{attempt}"));
        match fs::OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    unreachable!("2^32 files of one name")
}

/// Makes a new name durable.
#[expect(clippy::disallowed_types, reason = "results are files; no run is under way")]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn encode(results: &Results) -> Vec<u8> {
    let mut text = format!("{MAGIC}{}\n", results.manifest().json());
    for (place, table) in Tables::ALL.into_iter().enumerate() {
        let rows = results.text(place);
        let count = crate::table::csv::read(table, &rows).count();
        text.push_str(&format!("{} {count} {}\n{rows}", table.name, rows.len()));
    }
    let sum = hex(Sha256::digest(&text));
    text.push_str(&format!("sha256 {sum}\n"));
    text.into_bytes()
}

fn decode(bytes: &[u8]) -> Result<Results, Damage> {
    if !bytes.starts_with(MAGIC.as_bytes()) {
        return Err(Damage::Foreign);
    }
    let end = bytes.len().checked_sub("sha256 \n".len() + 64).ok_or(Damage::Checksum)?;
    let (content, last) = bytes.split_at(end);
    if last != format!("sha256 {}\n", hex(Sha256::digest(content))).as_bytes() {
        return Err(Damage::Checksum);
    }
    // From here on somebody has written what is there.
    let form = |what: &str| Damage::Form(what.into());
    let text = std::str::from_utf8(content).map_err(|_| form("no text"))?;
    let (manifest, mut rest) =
        text[MAGIC.len()..].split_once('\n').ok_or(form("nothing after its first line"))?;
    let json: Json = serde_json::from_str(manifest).map_err(|_| form("no manifest"))?;
    let made_by = Manifest::made_by_of(&json).map_err(Damage::Form)?;
    let mut texts = [""; Tables::ALL.len()];
    for (table, text) in Tables::ALL.into_iter().zip(&mut texts) {
        *text = section(table.name, &mut rest)
            .ok_or_else(|| Damage::Form(format!("no table {} where it should be", table.name)))?;
    }
    Results::parse(made_by, texts).map_err(Damage::Malformed)
}

fn section<'a>(name: &str, rest: &mut &'a str) -> Option<&'a str> {
    let (head, after) = rest.split_once('\n')?;
    let bytes = head.strip_prefix(name)?.split(' ').next_back()?.parse().ok()?;
    let (rows, after) = after.split_at_checked(bytes)?;
    *rest = after;
    Some(rows)
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Foreign => f.write_str("no part of results"),
            Self::Checksum => f.write_str("damaged: its checksum is wrong"),
            Self::Table(file, why) => write!(f, "{file} is not what the manifest says: {why}"),
            Self::Form(what) => write!(f, "no part that this version can read: {what}"),
            Self::Malformed(what) => what.fmt(f),
        }
    }
}
