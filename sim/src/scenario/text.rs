//! Scenarios as text: a header, then a schedule, one thing a line. `docs/scenarios.md` describes it.
//!
//! ```text
//! seed 7
//! operators 4
//!
//! 0s start all
//! 60s move C to home       # or to an address
//! +200ms crash D
//! +0s wipe D
//! +1m start D
//! +quiet expect health
//! ```
//!
//! What is printed is expanded: every option, every time from the beginning, every address. So
//! nothing but the meaning of the lines themselves decides what a text stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::{Fault, Line, Options, PORT, Scenario, What, build, draw, population};
use crate::event::HostId;
use crate::moment::Moment;
use crate::world::Setup;
use cursor::{Cursor, Hosts, Word};
use trouble::{Trouble, expected, quoted};

mod cursor;
mod faults;
mod header;
mod possible;
mod presets;
mod syntax;
mod time;
mod trouble;

pub use faults::FAULTS;
pub use header::KEYS;
pub use presets::{NETWORKS, PRESETS};
pub use trouble::TextError;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its word.
    pub word: &'static str,
    /// What follows (after the host, of a fault).
    pub rest: &'static str,
}

/// The keys of a header that set no option.
pub const OTHER_KEYS: [&str; 4] = ["seed", "names", "preset", "include"];

/// No file is longer.
const FILE_BYTES_MAX: usize = 4 << 20;
/// So many files in one another, and so many in all.
const DEPTH_MAX: usize = 8;
const FILES_MAX: usize = 64;
/// So many lines of a schedule in all.
const SCHEDULE_MAX: usize = 100_000;
/// So much of the lives of discovery nodes is drawn at once: a week of 10,000.
const HOST_MINUTES_MAX: u64 = 10_000 * 7 * 24 * 60;

/// Reads a file by its path: its text, or why there is none.
pub type Read<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

impl Scenario {
    /// The scenario of a text, which was read from `file`; what it includes is read by `read`.
    ///
    /// # Errors
    /// The first line that is not as it should be, or that cannot be; for what follows from several
    /// lines, one of them.
    pub fn parse(file: &str, text: &str, read: Read<'_>) -> Result<Self, TextError> {
        let mut reader = Reader::new(read);
        reader.file(file, text, None)?;
        reader.finish()
    }

    /// The same with another value of a key of the header; `None` if that cannot be.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Option<Self> {
        let header = self.header().map(|(name, old)| match name == key {
            true => format!("{name} {value}\n"),
            false => format!("{name} {old}\n"),
        });
        self.with_header(header.collect())
    }

    /// The same with the default of a key of the header; `None` if that cannot be.
    #[must_use]
    pub fn without(&self, key: &str) -> Option<Self> {
        let header = self.header().filter(|(name, _)| *name != key);
        self.with_header(header.map(|(name, value)| format!("{name} {value}\n")).collect())
    }

    /// The same with everything else that chance decides decided otherwise.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        let setup = build::setup(&self.options, &draw::chance(seed));
        Self { seed, setup, ..self.clone() }
    }

    fn header(&self) -> impl Iterator<Item = (&'static str, String)> {
        [("seed", self.seed.to_string())].into_iter().chain(self.options.header())
    }

    fn with_header(&self, header: String) -> Option<Self> {
        let schedule = self.schedule.iter().map(|line| format!("{line}\n"));
        schedule.fold(header, |text, line| text + &line).parse().ok()
    }

    /// The first line of the schedule that cannot be, by its number from 0, and why.
    ///
    /// # Errors
    /// If there is one.
    pub fn is_possible(&self) -> Result<(), (usize, String)> {
        possible::check(&self.setup, &self.schedule)
    }
}

impl FromStr for Scenario {
    type Err = TextError;

    /// The scenario of a text that includes nothing.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let none = "a text that is no file includes none";
        Self::parse("scenario", text, &mut |_| Err(none.into()))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in self.header() {
            writeln!(f, "{key:<12} {value}")?;
        }
        self.schedule.iter().try_fold((), |(), line| write!(f, "\n{line}"))?;
        writeln!(f)
    }
}

/// A line of a file, for messages.
#[derive(Clone, Debug)]
struct Place {
    file: String,
    line: usize,
    source: String,
}

/// What a line of a schedule asks for.
enum Deed {
    Fault(Fault),
    StartAll,
    /// The discovery nodes live their lives for so long, so many times as fast.
    Churn(Duration, u64),
    /// A host moves to a network of this kind.
    MoveInto(HostId, &'static str),
    ExpectHealth,
}

struct Reader<'r> {
    read: Read<'r>,
    seed: u64,
    options: Options,
    names: BTreeMap<String, usize>,
    /// The hosts, once the schedule has begun; the header is over then.
    hosts: Option<Hosts>,
    /// Where each key was set last.
    set: BTreeMap<String, Place>,
    planned: Vec<(Moment, Deed, Place)>,
    /// The files that are being read, and how many there were.
    open: Vec<String>,
    files: usize,
    last: Place,
}

impl Place {
    fn error(&self, trouble: Trouble) -> TextError {
        let Self { file, line, source } = self.clone();
        TextError { file, line, column: trouble.column, what: trouble.what, source }
    }
}

impl<'r> Reader<'r> {
    fn new(read: Read<'r>) -> Self {
        let last = Place { file: String::new(), line: 1, source: String::new() };
        Self {
            read,
            seed: 0,
            options: Options::plain(4),
            names: BTreeMap::new(),
            hosts: None,
            set: BTreeMap::new(),
            planned: Vec::new(),
            open: Vec::new(),
            files: 0,
            last,
        }
    }

    /// Reads a file that is included there.
    fn file(&mut self, file: &str, text: &str, by: Option<&Place>) -> Result<(), TextError> {
        let top = Place { file: file.into(), line: 1, source: String::new() };
        self.files += 1;
        let refused = match () {
            () if self.open.iter().any(|open| open == file) => "it includes itself".into(),
            () if self.open.len() >= DEPTH_MAX => {
                format!("more than {DEPTH_MAX} files in one another")
            }
            () if self.files > FILES_MAX => format!("more than {FILES_MAX} files"),
            () if text.len() > FILE_BYTES_MAX => {
                format!("a file of more than {FILE_BYTES_MAX} bytes")
            }
            () => String::new(),
        };
        if !refused.is_empty() {
            let what = format!("{} is not read: {refused}", quoted(file));
            return Err(by.unwrap_or(&top).error(Trouble::at(1, what)));
        }
        self.open.push(file.into());
        for (source, line) in text.lines().zip(1..) {
            let place = Place { file: file.into(), line, source: source.into() };
            self.line(source, &place)?;
            self.last = place;
        }
        self.open.pop();
        Ok(())
    }

    fn line(&mut self, source: &str, place: &Place) -> Result<(), TextError> {
        let nobody = Hosts::default();
        let mut cursor = Cursor::new(source, &nobody);
        let Some(first) = cursor.peek() else { return Ok(()) };
        let scheduled = first.text.starts_with(|it: char| it.is_ascii_digit() || it == '+');
        if scheduled {
            return self.schedule(source, place);
        }
        cursor.word("a key").expect("it was looked at");
        if first.text == "include" {
            return self.include(&mut cursor, place);
        }
        self.key(first, &mut cursor, place).map_err(|trouble| place.error(trouble))?;
        cursor.end().map_err(|trouble| place.error(trouble))
    }

    fn key(
        &mut self,
        key: Word<'_>,
        cursor: &mut Cursor<'_>,
        place: &Place,
    ) -> Result<(), Trouble> {
        if FAULTS.iter().any(|form| form.word == key.text) || key.text == "expect" {
            let what = format!("what happens begins with its time, as in `60s {}`", key.text);
            return Err(Trouble::at(key.column, what));
        }
        if self.hosts.is_some() {
            let what = "the schedule has begun: every line begins with its time, as in 60s or +60s";
            return Err(Trouble::at(key.column, what));
        }
        match key.text {
            "seed" => {
                let word = cursor.word("a seed")?;
                let wrong = || format!("expected a number below 2^64, found {}", quoted(word.text));
                self.seed = word.text.parse().map_err(|_| Trouble::at(word.column, wrong()))?;
            }
            "names" => self.names(cursor)?,
            "preset" => self.preset(cursor, place)?,
            _ => {
                let known = || KEYS.iter().map(|form| form.word).chain(OTHER_KEYS);
                header::parse(key.text, &mut self.options, cursor).unwrap_or_else(|| {
                    let what = expected("a key or a time", key.text, known());
                    Err(Trouble::at(key.column, what))
                })?;
            }
        }
        self.set.insert(key.text.into(), place.clone());
        Ok(())
    }

    fn names(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Trouble> {
        let mut names = BTreeMap::new();
        while names.is_empty() || cursor.peek().is_some() {
            let word = cursor.word("a name")?;
            let fits = word.text.len() > 1
                && word.text.starts_with(char::is_alphabetic)
                && word.text.chars().all(|it| it.is_alphanumeric() || "-_".contains(it))
                && word.text != "all";
            if !fits {
                let what = "a name has two letters or more, digits, - and _";
                return Err(Trouble::at(word.column, what));
            }
            if names.insert(word.text.to_owned(), names.len()).is_some() {
                let what = format!("{} is a name already", quoted(word.text));
                return Err(Trouble::at(word.column, what));
            }
        }
        self.names = names;
        Ok(())
    }

    fn preset(&mut self, cursor: &mut Cursor<'_>, place: &Place) -> Result<(), Trouble> {
        let word = cursor.word("a preset")?;
        let Some((_, text)) = PRESETS.iter().find(|(name, _)| *name == word.text) else {
            let known = PRESETS.iter().map(|(name, _)| *name);
            return Err(Trouble::at(word.column, expected("a preset", word.text, known)));
        };
        for line in text.lines() {
            let mut cursor = Cursor::new(line, cursor.hosts);
            let key = cursor.word("a key").expect("presets have no empty lines");
            self.key(key, &mut cursor, place).expect("presets are right");
        }
        Ok(())
    }

    fn include(&mut self, cursor: &mut Cursor<'_>, place: &Place) -> Result<(), TextError> {
        let fail = |column, what: String| Err(place.error(Trouble::at(column, what)));
        let word = cursor.word("a file").map_err(|trouble| place.error(trouble))?;
        cursor.end().map_err(|trouble| place.error(trouble))?;
        if Path::new(word.text).is_absolute() {
            return fail(
                word.column,
                "what is included is named from the file that includes it".into(),
            );
        }
        let file = beside(&place.file, word.text);
        match (self.read)(&file) {
            Ok(text) => self.file(&file, &text, Some(place)),
            Err(why) => fail(word.column, format!("cannot read {}: {why}", quoted(&file))),
        }
    }

    fn schedule(&mut self, source: &str, place: &Place) -> Result<(), TextError> {
        if self.hosts.is_none() {
            self.settle(place)?;
        }
        let hosts = self.hosts.take().expect("the header is over");
        let planned = self.planned_by(&mut Cursor::new(source, &hosts));
        self.hosts = Some(hosts);
        let (at, deed) = planned.map_err(|trouble| place.error(trouble))?;
        if self.planned.len() >= SCHEDULE_MAX {
            let what = format!("a schedule of more than {SCHEDULE_MAX} lines");
            return Err(place.error(Trouble::at(1, what)));
        }
        self.planned.push((at, deed, place.clone()));
        Ok(())
    }

    /// The header is over.
    fn settle(&mut self, here: &Place) -> Result<(), TextError> {
        header::settle(&mut self.options).map_err(|(key, what)| {
            let place = self.set.get(key).unwrap_or(here);
            place.error(Trouble::at(1, format!("{key} cannot be so: {what}")))
        })?;
        let hosts = Hosts::of(&self.options, std::mem::take(&mut self.names));
        if hosts.names.len() > hosts.count {
            let what = format!("there are {} names for {} hosts", hosts.names.len(), hosts.count);
            return Err(self.set["names"].error(Trouble::at(1, what)));
        }
        self.hosts = Some(hosts);
        Ok(())
    }

    fn planned_by(&self, cursor: &mut Cursor<'_>) -> Result<(Moment, Deed), Trouble> {
        let at = self.time(cursor.word("a time")?)?;
        let word = cursor.word("a fault, or expect")?;
        let deed = match word.text {
            "expect" => cursor.keyword("health").map(|()| Deed::ExpectHealth)?,
            "start" if cursor.takes("all") => Deed::StartAll,
            "churn" => self.churn(cursor)?,
            "move" => match cursor.ahead(2).and_then(network) {
                Some(name) => {
                    let host = cursor.host()?;
                    cursor.keyword("to")?;
                    cursor.keyword(name)?;
                    Deed::MoveInto(host, name)
                }
                None => Deed::Fault(faults::parse(word, cursor)?),
            },
            _ => Deed::Fault(faults::parse(word, cursor)?),
        };
        cursor.end()?;
        Ok((at, deed))
    }

    /// `for SPAN [times NUMBER]`.
    fn churn(&self, cursor: &mut Cursor<'_>) -> Result<Deed, Trouble> {
        cursor.keyword("for")?;
        let word = cursor.word("how long")?;
        let span = time::span(word)?;
        let minutes = span.as_secs() / population::STEP.as_secs();
        let walkers = self.options.discovery.map_or(0, |it| it.walkers as u64);
        if walkers * minutes > HOST_MINUTES_MAX {
            let most = HOST_MINUTES_MAX / walkers;
            let what =
                format!("of {walkers} walkers no more than {most} minutes are drawn at once");
            return Err(Trouble::at(word.column, what));
        }
        let times = if cursor.takes("times") { syntax::times(cursor)? } else { 1 };
        Ok(Deed::Churn(span, times))
    }

    /// From the beginning, or with a `+` from the line before.
    fn time(&self, word: Word<'_>) -> Result<Moment, Trouble> {
        let before = self.planned.last().map_or(Moment::default(), |(at, ..)| *at);
        let at = match word.text.strip_prefix('+') {
            None => Moment::default() + time::span(word)?,
            Some("quiet") => before + self.options.heals_within(),
            Some(text) => before + time::span(Word { text, column: word.column + 1 })?,
        };
        if at < before {
            let what = format!("time runs backwards: the line before is at {before}");
            return Err(Trouble::at(word.column, what));
        }
        if at > Moment::default() + time::MOST {
            return Err(Trouble::at(word.column, "that is after more than ten years"));
        }
        Ok(at)
    }

    fn finish(mut self) -> Result<Scenario, TextError> {
        let last = self.last.clone();
        if self.planned.is_empty() {
            let what = "nothing happens: expected a schedule, which begins as in `0s start all`";
            return Err(last.error(Trouble::at(1, what)));
        }
        let hosts = self.hosts.take().expect("a schedule has begun");
        let chance = draw::chance(self.seed);
        let setup = build::setup(&self.options, &chance);
        let mut fresh = Fresh::new(&setup, &self.planned);
        let mut lines = Vec::new();
        for (at, deed, place) in &self.planned {
            let expanded = match *deed {
                Deed::Churn(span, times) => {
                    let walkers =
                        (0..setup.hosts.len()).filter(|host| self.options.is_walker(*host));
                    let walkers = walkers.map(|host| (HostId(host), setup.hosts[host].address));
                    population::churn(walkers, (*at, *at + span), times, &chance)
                }
                _ => {
                    let faults = expand(deed, &hosts, &mut fresh).into_iter();
                    faults.map(|fault| Line { at: *at, fault }).collect()
                }
            };
            lines.extend(expanded.into_iter().map(|line| (line, place)));
        }
        // Lives go on beside what the lines after them say.
        lines.sort_by_key(|(line, _)| line.at);
        let (schedule, places): (Vec<Line>, Vec<&Place>) = lines.into_iter().unzip();
        possible::check(&setup, &schedule)
            .map_err(|(line, why)| places[line].error(Trouble::at(1, why)))?;
        let Self { seed, options, .. } = self;
        Ok(Scenario { seed, options, setup, schedule })
    }
}

/// The path of a file that is named from another, without `.` and, where it can be, `..`: so that a
/// file has one name.
fn beside(file: &str, name: &str) -> String {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for part in folder.join(name).components() {
        let up = part == Component::ParentDir;
        match path.components().next_back() {
            Some(Component::Normal(_)) if up => drop(path.pop()),
            _ if part == Component::CurDir => {}
            _ => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}

fn network(word: Word<'_>) -> Option<&'static str> {
    NETWORKS.iter().map(|(name, _)| *name).find(|name| *name == word.text)
}

/// The lines that a deed stands for.
fn expand(deed: &Deed, hosts: &Hosts, fresh: &mut Fresh) -> Vec<Option<Fault>> {
    match *deed {
        Deed::Fault(fault) => vec![Some(fault)],
        Deed::ExpectHealth => vec![None],
        Deed::Churn(..) => unreachable!("lives are no deeds of one moment"),
        Deed::StartAll => {
            let spares = hosts.operators - hosts.spares..hosts.operators;
            let all = (0..hosts.count).filter(|host| !spares.contains(host)).map(HostId);
            all.map(|host| Some(Fault { host, what: What::Start })).collect()
        }
        Deed::MoveInto(host, name) => {
            let (_, made_of) = NETWORKS.iter().find(|(it, _)| *it == name).expect("it was found");
            let faults = made_of.iter().map(|line| {
                let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
                let line = format!("{word} {} {rest}", host.0);
                let mut cursor = Cursor::new(&line, hosts);
                let word = cursor.word("a fault").expect("networks have no empty lines");
                Some(faults::parse(word, &mut cursor).expect("networks are right"))
            });
            let moved = Fault { host, what: What::Move(fresh.address(host)) };
            faults.chain([Some(moved)]).collect()
        }
    }
}

/// Addresses that nobody has had and no line names.
struct Fresh {
    v6: Vec<bool>,
    taken: BTreeSet<SocketAddr>,
    given: u32,
}

impl Fresh {
    fn new(setup: &Setup, planned: &[(Moment, Deed, Place)]) -> Self {
        let named = planned.iter().filter_map(|(_, deed, _)| match deed {
            Deed::Fault(Fault { what: What::Move(to), .. }) => Some(*to),
            _ => None,
        });
        let v6 = setup.hosts.iter().map(|host| host.address.is_ipv6()).collect();
        Self { v6, taken: named.collect(), given: 0 }
    }

    /// Of the upper half of 198.18.0.0/15 (RFC 2544), or of 2001:db8:1::/48 (RFC 3849): those that a
    /// world begins with are below.
    fn address(&mut self, host: HostId) -> SocketAddr {
        loop {
            let n = self.given;
            self.given += 1;
            let [_, _, high, low] = (n / 250 * 256 + n % 250 + 1).to_be_bytes();
            let address = match self.v6[host.0] {
                true => {
                    let [high, low] = [(n >> 16) as u16, n as u16];
                    SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, high, low), PORT))
                }
                false => (Ipv4Addr::new(198, 19, high, low), PORT).into(),
            };
            if !self.taken.contains(&address) {
                return address;
            }
        }
    }
}

#[cfg(test)]
mod tests;
