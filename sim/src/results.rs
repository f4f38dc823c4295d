//! The results of many runs: rows by run, and what made them.
//!
//! Putting results together ([`Results::merge`]) is commutative, associative and idempotent: a run
//! is a pure function of version, scenario and seed, so whoever has the same run has the same rows.
//! Written down they are a part, one file ([`part`]), or a directory of tables ([`directory`]).

use std::collections::BTreeMap;
use std::fmt;

use crate::oracle::Kind;
use crate::table::{EventRow, KEY, Row, RunRow, Tables, Value, csv};

pub mod directory;
mod format;
mod manifest;
pub mod merge;
#[cfg(feature = "parquet")]
mod parquet;
pub mod part;

pub use format::Format;
pub use manifest::{MadeBy, Manifest, Runs};

/// The name of the scenarios that their seeds draw.
pub const DRAWN: &str = "drawn";

/// Which run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunKey {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
}

/// The rows of one run as CSV, table by table in the order of [`Tables::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunRows([String; Tables::ALL.len()]);

/// Rows of runs, in order of scenario and seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Results {
    made_by: MadeBy,
    runs: BTreeMap<RunKey, RunRows>,
}

/// Results that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Other code made them. State: neither has changed.
    MadeBy(Box<[MadeBy; 2]>),
    /// They have the same run with different rows in this table. State: neither has changed.
    Rows(RunKey, &'static str),
}

/// Where results are no results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// In which table.
    pub table: &'static str,
    /// What is wrong.
    pub what: String,
}

impl Results {
    /// Of no run yet.
    #[must_use]
    pub fn new(made_by: MadeBy) -> Self {
        Self { made_by, runs: BTreeMap::new() }
    }

    /// What made them.
    #[must_use]
    pub fn made_by(&self) -> &MadeBy {
        &self.made_by
    }

    /// Every run, in order.
    pub fn runs(&self) -> impl Iterator<Item = (&RunKey, &RunRows)> {
        self.runs.iter()
    }

    /// Adds a run.
    ///
    /// # Panics
    /// If it was there before: whoever runs knows what it has run.
    pub fn add(&mut self, key: RunKey, tables: &Tables) {
        assert_eq!(tables.runs.len(), 1, "the tables of one run");
        let mut rows = RunRows::default();
        for (text, values) in rows.0.iter_mut().zip(tables.rows()) {
            for values in values {
                let run = [Value::Text(key.scenario.clone()), Value::Count(key.seed)];
                csv::write(run.into_iter().chain(values), text);
            }
        }
        let before = self.runs.insert(key, rows);
        assert!(before.is_none(), "a run is run once");
    }

    /// Takes what others have.
    ///
    /// # Errors
    /// [`Conflict`].
    pub fn merge(&mut self, other: Self) -> Result<(), Conflict> {
        let made_by = self.made_by.merged(&other.made_by)?;
        for (key, rows) in &other.runs {
            let Some(own) = self.runs.get(key) else { continue };
            if let Some(table) = own.difference(rows) {
                return Err(Conflict::Rows(key.clone(), table));
            }
        }
        self.made_by = made_by;
        self.runs.extend(other.runs);
        Ok(())
    }

    /// Results from the text of their tables, each without its header.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(made_by: MadeBy, texts: [&str; Tables::ALL.len()]) -> Result<Self, Malformed> {
        let mut runs: BTreeMap<RunKey, RunRows> = BTreeMap::new();
        for ((place, table), text) in Tables::ALL.into_iter().enumerate().zip(texts) {
            let malformed = |what: String| Malformed { table: table.name, what };
            for record in csv::read(table, text) {
                let (values, bytes) = record.map_err(|it| malformed(it.to_string()))?;
                let key = RunKey::of(&values);
                // The table of runs comes first.
                let rows = match place {
                    0 => runs.entry(key).or_default(),
                    _ => runs.get_mut(&key).ok_or_else(|| {
                        malformed(format!("a row of {key}, of which there is no run"))
                    })?,
                };
                if place == 0 && !rows.0[0].is_empty() {
                    return Err(malformed("a run that is there twice".into()));
                }
                if place == 0 && !is_verdict(&RunRow::from_values(&values[KEY.len()..]).verdict) {
                    return Err(malformed("a verdict that there is not".into()));
                }
                rows.0[place].push_str(bytes);
            }
        }
        Ok(Self { made_by, runs })
    }

    /// The text of a table, without its header.
    fn text(&self, place: usize) -> String {
        self.runs.values().map(|rows| rows.0[place].as_str()).collect()
    }

    /// What is said of them all.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::new(self.made_by.clone());
        self.runs().for_each(|(key, rows)| manifest.add(key, &rows.run()));
        manifest
    }
}

fn is_verdict(text: &str) -> bool {
    text == "ok" || Kind::ALL.iter().any(|kind| kind.to_string() == text)
}

impl RunKey {
    /// Whose row it is.
    fn of(values: &[Value]) -> Self {
        match &values[..KEY.len()] {
            [Value::Text(scenario), Value::Count(seed)] => {
                Self { scenario: scenario.clone(), seed: *seed }
            }
            other => unreachable!("a row that was read begins with {other:?}"),
        }
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} of {}", self.seed, self.scenario)
    }
}

impl RunRows {
    /// The rows of a table, by its place in [`Tables::ALL`].
    #[must_use]
    pub fn of(&self, place: usize) -> &str {
        &self.0[place]
    }

    /// The rows of a table of its own kind.
    #[must_use]
    pub fn rows<R: Row>(&self) -> Vec<R> {
        let place = Tables::ALL.iter().position(|it| it.name == R::TABLE.name);
        let place = place.expect("a table of results");
        let records = csv::read(Tables::ALL[place], &self.0[place]);
        let values = records.map(|it| it.expect("it was read or written before").0);
        values.map(|values| R::from_values(&values[KEY.len()..])).collect()
    }

    /// Whether every event is a row.
    #[must_use]
    pub fn has_events(&self) -> bool {
        Tables::ALL
            .iter()
            .zip(&self.0)
            .any(|(it, text)| it.name == EventRow::TABLE.name && !text.is_empty())
    }

    /// The row of the run itself.
    #[must_use]
    pub fn run(&self) -> RunRow {
        let record = csv::read(Tables::ALL[0], &self.0[0]).next();
        let record = record.expect("a run has a row").expect("it was read or written before");
        RunRow::from_values(&record.0[KEY.len()..])
    }

    /// The first table in which it differs.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let differs = |place: &usize| self.0[*place] != other.0[*place];
        (0..Tables::ALL.len()).find(differs).map(|place| Tables::ALL[place].name)
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MadeBy(two) => {
                let [one, other] = two.as_ref();
                write!(
                    f,
                    "made by {one}, and by {other}: results of different code are not put together"
                )
            }
            Self::Rows(key, "events") => {
                write!(f, "{key} differs in the table events: was one made with --events?")
            }
            Self::Rows(key, table) => write!(
                f,
                "{key} is there twice, with different rows in the table {table}: a run has one \
                 result; run it with `check` and throw the wrong part away"
            ),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}: {}", self.table, self.what)
    }
}
