//! Results as a directory: a file for each table, and the manifest beside them.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::manifest::hex;
use super::part::{self, Damage};
use super::{Format, MadeBy, Manifest, Results, RunKey};
use crate::table::{EventRow, Row, Table, Tables, csv};

/// The name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// Writes results down as they come, in order of their runs. What is there before is replaced when
/// all is written: the manifest last, which says what belongs to it.
pub struct Writer {
    directory: PathBuf,
    format: Format,
    manifest: Manifest,
    last: Option<RunKey>,
    files: [Option<TableFile>; Tables::ALL.len()],
}

/// A table that is being written.
struct TableFile {
    name: String,
    temporary: PathBuf,
    rows: u64,
    /// `None` when it is finished.
    sink: Option<Box<dyn Sink>>,
}

/// Takes rows, and makes a file of them.
pub(super) trait Sink {
    /// Takes the rows of one run as CSV.
    fn rows(&mut self, text: &str) -> io::Result<()>;

    /// There are no more: makes the file durable, and answers the SHA-256 of its bytes.
    fn finish(self: Box<Self>) -> io::Result<String>;
}

/// A file that is hashed on its way.
#[expect(clippy::disallowed_types, reason = "results are files; no run is under way")]
pub(super) struct Hashed {
    file: BufWriter<fs::File>,
    hasher: Sha256,
}

impl Writer {
    /// Into this directory, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be written to.
    pub fn create(directory: &Path, format: Format, made_by: MadeBy) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut writer = Self {
            directory: directory.into(),
            format,
            manifest: Manifest::new(made_by),
            last: None,
            files: Default::default(),
        };
        for place in 0..Tables::ALL.len() {
            // Events are there only if somebody wanted them.
            if Tables::ALL[place].name != EventRow::TABLE.name {
                writer.file(place)?;
            }
        }
        Ok(writer)
    }

    /// Appends results.
    ///
    /// # Errors
    /// If the disk is full, say.
    ///
    /// # Panics
    /// If a run comes out of order.
    pub fn append(&mut self, results: &Results) -> io::Result<()> {
        for (key, rows) in results.runs() {
            assert!(self.last.as_ref().is_none_or(|last| last < key), "{key} is out of order");
            self.last = Some(key.clone());
            self.manifest.add(key, &rows.run());
            for (place, table) in Tables::ALL.into_iter().enumerate() {
                let text = rows.of(place);
                if text.is_empty() {
                    continue;
                }
                let file = self.file(place)?;
                file.rows += csv::read(table, text).count() as u64;
                file.sink.as_mut().expect("it is not finished").rows(text)?;
            }
        }
        Ok(())
    }

    /// All is there: puts it in its place, and answers the manifest.
    ///
    /// # Errors
    /// If the disk is full, say. State: of what was there before, some may be replaced; then the
    /// manifest tells that they do not belong together.
    pub fn finish(mut self) -> io::Result<Manifest> {
        let mut files = serde_json::Map::new();
        for file in self.files.iter_mut().flatten() {
            let sum = file.sink.take().expect("it is finished once").finish()?;
            files.insert(file.name.clone(), json!({ "rows": file.rows, "sha256": sum }));
        }
        for file in self.files.iter().flatten() {
            fs::rename(&file.temporary, self.directory.join(&file.name))?;
        }
        let mut manifest = self.manifest.json();
        manifest.as_object_mut().expect("it is one").insert("files".into(), Json::Object(files));
        part::replace(&self.directory.join(MANIFEST), format!("{manifest:#}\n").as_bytes())?;
        Ok(self.manifest.clone())
    }

    fn file(&mut self, place: usize) -> io::Result<&mut TableFile> {
        if self.files[place].is_none() {
            let table = Tables::ALL[place];
            let name = format!("{}.{}", table.name, self.format.extension());
            let (file, temporary) = part::temporary(&self.directory.join(&name))?;
            let hashed = Hashed { file: BufWriter::new(file), hasher: Sha256::new() };
            let sink = Some(self.format.sink(table, hashed)?);
            self.files[place] = Some(TableFile { name, temporary, rows: 0, sink });
        }
        Ok(self.files[place].as_mut().expect("it has just been made"))
    }
}

impl Drop for Writer {
    /// What is not in its place by now is thrown away.
    fn drop(&mut self) {
        for file in self.files.iter().flatten() {
            let _ = fs::remove_file(&file.temporary); // it is gone, or what is wrong was said
        }
    }
}

/// Reads a directory that was written as CSV.
///
/// # Errors
/// [`Damage`], of whichever file it is.
pub fn read(directory: &Path) -> Result<Results, Damage> {
    let bytes = fs::read(directory.join(MANIFEST)).map_err(Damage::Io)?;
    let json: Json =
        serde_json::from_slice(&bytes).map_err(|_| Damage::Form("no manifest".into()))?;
    let made_by = Manifest::made_by_of(&json).map_err(Damage::Form)?;
    let files = json.get("files").and_then(Json::as_object);
    let files = files.ok_or(Damage::Form("a manifest that names no files".into()))?;
    let mut texts: [String; Tables::ALL.len()] = Default::default();
    for (table, text) in Tables::ALL.into_iter().zip(&mut texts) {
        let name = format!("{}.csv", table.name);
        match files.get(&name).map(|file| file.get("sha256").and_then(Json::as_str)) {
            Some(sum) => *text = read_table(table, &directory.join(name), sum)?,
            None if table.name == EventRow::TABLE.name => {}
            None => return Err(Damage::Table(name, "it names no such file".into())),
        }
    }
    Results::parse(made_by, texts.each_ref().map(String::as_str)).map_err(Damage::Malformed)
}

fn read_table(table: &Table, path: &Path, sum: Option<&str>) -> Result<String, Damage> {
    let damage = |why: &str| Damage::Table(format!("{}.csv", table.name), why.into());
    let bytes = fs::read(path).map_err(|it| damage(&it.to_string()))?;
    if sum != Some(hex(Sha256::digest(&bytes)).as_str()) {
        return Err(damage("its checksum is wrong"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| damage("it is no text"))?;
    let header = csv::header(table);
    if !text.starts_with(&header) {
        return Err(damage("it has other columns"));
    }
    Ok(text.split_off(header.len()))
}

impl Hashed {
    /// Makes it durable; answers the SHA-256 of what was written.
    pub(super) fn finish(mut self) -> io::Result<String> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(hex(self.hasher.finalize()))
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A table as CSV.
pub(super) struct CsvSink(pub(super) Hashed);

impl Sink for CsvSink {
    fn rows(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    fn finish(self: Box<Self>) -> io::Result<String> {
        self.0.finish()
    }
}
