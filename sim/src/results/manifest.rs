//! What is said of results as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::{Conflict, RunKey};
use crate::table::{RunRow, schema};

/// The form of results: another number is another form.
const FORMAT: &str = "stayfound-sim results 1";

/// The code that made results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeBy {
    /// The version of the simulator.
    pub version: String,
    /// The commit that it was built from, if that was known.
    pub commit: Option<String>,
    /// The compilers that built it: one for a part, perhaps several for what was put together.
    pub rustc: BTreeSet<String>,
    /// The first 16 hex digits of the SHA-256 of the description of the tables.
    pub schema: String,
}

/// What is said of results as a whole.
#[derive(Clone, Debug)]
pub struct Manifest {
    made_by: MadeBy,
    scenarios: BTreeMap<String, Runs>,
}

/// The runs of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// The seeds, in ranges of the first and the one after the last.
    pub seeds: Vec<[u64; 2]>,
    /// How many there are.
    pub runs: u64,
    /// Of these, so many with a finding.
    pub failed: u64,
    scenarios: Sha256,
    traces: Sha256,
}

impl MadeBy {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("STAYFOUND_COMMIT").map(String::from),
            rustc: BTreeSet::from([env!("STAYFOUND_RUSTC").into()]),
            schema: hex16(Sha256::digest(schema::json().to_string())),
        }
    }

    /// Of both.
    ///
    /// # Errors
    /// If their runs may differ.
    pub(super) fn merged(&self, other: &Self) -> Result<Self, Conflict> {
        if !self.is_same_code(other) {
            return Err(Conflict::MadeBy(Box::new([self.clone(), other.clone()])));
        }
        Ok(Self { rustc: &self.rustc | &other.rustc, ..self.clone() })
    }

    /// Whether their runs are the same, and written in the same form.
    #[must_use]
    pub fn is_same_code(&self, other: &Self) -> bool {
        let code = |it: &Self| Self { rustc: BTreeSet::new(), ..it.clone() };
        code(self) == code(other)
    }

    fn json(&self) -> Json {
        let Self { version, commit, rustc, schema } = self;
        json!({ "version": version, "commit": commit, "rustc": rustc, "schema": schema })
    }

    fn from_json(json: &Json) -> Option<Self> {
        let text = |name: &str| Some(json.get(name)?.as_str()?.to_owned());
        let commit = json.get("commit")?;
        let rustc = json.get("rustc")?.as_array()?.iter();
        Some(Self {
            version: text("version")?,
            commit: if commit.is_null() { None } else { Some(commit.as_str()?.to_owned()) },
            rustc: rustc.map(|it| it.as_str().map(String::from)).collect::<Option<_>>()?,
            schema: text("schema")?,
        })
    }
}

impl fmt::Display for MadeBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.as_deref().unwrap_or("unknown");
        write!(f, "version {}, commit {commit}, tables {}", self.version, self.schema)
    }
}

impl Manifest {
    /// Of no run yet.
    #[must_use]
    pub fn new(made_by: MadeBy) -> Self {
        Self { made_by, scenarios: BTreeMap::new() }
    }

    /// Of each scenario, by name, its runs.
    #[must_use]
    pub fn scenarios(&self) -> &BTreeMap<String, Runs> {
        &self.scenarios
    }

    /// One more run, in order.
    pub fn add(&mut self, key: &RunKey, row: &RunRow) {
        let runs = self.scenarios.entry(key.scenario.clone()).or_default();
        match runs.seeds.last_mut().filter(|last| last[1] == key.seed) {
            Some(last) => last[1] += 1,
            None => runs.seeds.push([key.seed, key.seed + 1]),
        }
        runs.runs += 1;
        runs.failed += u64::from(row.verdict != "ok");
        runs.scenarios.update(format!("{} {}\n", key.seed, row.scenario_hash));
        runs.traces.update(format!("{} {}\n", key.seed, row.trace));
    }

    /// As it is written down.
    #[must_use]
    pub fn json(&self) -> Json {
        let Json::Object(made_by) = self.made_by.json() else { unreachable!("it is an object") };
        let mut json = json!({ "format": FORMAT });
        let members = json.as_object_mut().expect("it is an object");
        members.extend(made_by);
        let scenarios = self.scenarios.iter().map(|(name, runs)| (name.clone(), runs.json()));
        members.insert("scenarios".into(), Json::Object(scenarios.collect()));
        json
    }

    /// Who made the results that this is said of, if they are of a form that can be read.
    ///
    /// # Errors
    /// What it should be and is not.
    pub fn made_by_of(json: &Json) -> Result<MadeBy, String> {
        if json.get("format").and_then(Json::as_str) != Some(FORMAT) {
            return Err(format!("no {FORMAT:?}"));
        }
        let made_by = MadeBy::from_json(json).ok_or("a manifest that does not say who made it")?;
        if made_by.schema != MadeBy::this().schema {
            return Err(format!("tables of other columns, made by {made_by}"));
        }
        Ok(made_by)
    }
}

impl Runs {
    fn json(&self) -> Json {
        let Self { seeds, runs, failed, scenarios, traces } = self;
        json!({
            "seeds": seeds,
            "runs": runs,
            "failed": failed,
            "scenario_hash": hex16(scenarios.clone().finalize()),
            "trace_hash": hex16(traces.clone().finalize()),
        })
    }
}

/// All digits.
pub(super) fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 16 digits.
fn hex16(digest: impl AsRef<[u8]>) -> String {
    hex(&digest.as_ref()[..8])
}
