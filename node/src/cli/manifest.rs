//! `stayfound manifest`: built, verified, shown.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use stayfound_core::cluster::authorisation::{Authority, ClusterId};
use stayfound_core::cluster::check::{Check, Outcome, Verdict};
use stayfound_core::cluster::manifest::Document;
use stayfound_core::record::NodeId;

use super::Failure;
use super::authorise::write_new;
use super::node::print;
use super::progress::Progress;
use super::report::hex;
use crate::cluster::{ClusterFile, ClusterFileError, Content, Kind, read_authorisation};
use crate::parallel::threads;
use crate::status::name;

/// Build, verify or show a manifest: who belongs to a cluster, and on whose word.
#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Command {
    Build(Build),
    /// Check everything in a manifest or a lock of any version, and print a line for each check
    Verify(Look),
    /// Show who belongs by a manifest or a lock, and on whose word; then what verify prints
    Show(Look),
}

const EXAMPLES: &str = "\
Examples:
  stayfound manifest build --lock .charon/cluster-lock.json authorisation-*.json
  stayfound manifest verify .charon/cluster-lock.json
  stayfound manifest show cluster-manifest.json";

/// Build a manifest from a lock and the operators' authorisations.
#[derive(Args)]
#[command(after_help = BUILD_EXAMPLES)]
pub(super) struct Build {
    /// charon's cluster-lock.json
    #[arg(long, value_name = "FILE")]
    lock: PathBuf,
    /// What `stayfound authorise` wrote for each operator. One without stays on the lock's word
    #[arg(value_name = "AUTHORISATION")]
    authorisations: Vec<PathBuf>,
    /// Where the manifest is written
    #[arg(long, value_name = "FILE", default_value = "cluster-manifest.json")]
    out: PathBuf,
    /// Let nobody run from this manifest unless every operator is authorised by its shares
    #[arg(long)]
    require_authorisation: bool,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

const BUILD_EXAMPLES: &str = "\
Examples:
  stayfound manifest build --lock .charon/cluster-lock.json authorisation-*.json
  stayfound manifest build --lock .charon/cluster-lock.json --require-authorisation \\
    --out cluster-manifest.json authorisation-0.json authorisation-1.json authorisation-2.json \\
    authorisation-3.json

Exit codes: 0 built; 1 the file cannot be written; 2 a file is not as it must be, or does not hold.";

/// What is looked at.
#[derive(Args)]
#[command(after_help = LOOK_EXAMPLES)]
pub(super) struct Look {
    /// A cluster-manifest.json, or charon's cluster-lock.json
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

const LOOK_EXAMPLES: &str = "\
Examples:
  stayfound manifest verify cluster-manifest.json
  stayfound manifest verify --json .charon/cluster-lock.json
  stayfound manifest show cluster-manifest.json

Exit codes: 0 every check passed, or does not apply to this file; 1 a check failed; 2 the file
cannot be read.";

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Build(arguments) => build(&arguments),
        Command::Verify(arguments) => look(&arguments, false),
        Command::Show(arguments) => look(&arguments, true),
    }
}

/// The verdict of a file in which nothing fails.
pub(super) fn verified(file: &ClusterFile) -> Result<Verdict, ClusterFileError> {
    let verdict = verify(file);
    file.holds(&verdict)?;
    Ok(verdict)
}

fn verify(file: &ClusterFile) -> Verdict {
    let progress = Progress::new("parts verified");
    let verdict = file.verify(threads().get(), |done, of| progress.tell(done, of));
    progress.end();
    verdict
}

fn build(arguments: &Build) -> Result<(), Failure> {
    let file = ClusterFile::read(Kind::Lock, &arguments.lock)?;
    verified(&file)?;
    let Content::Lock(lock) = &file.content else { unreachable!("it was read as a lock") };
    let mut document = Document::of_lock(lock).map_err(Failure::usage)?;
    document.require_authorisation = arguments.require_authorisation;
    for path in &arguments.authorisations {
        let authorisation = read_authorisation(path)?;
        let refuse = |why: String| Failure::usage(format!("{}: {why}", path.display()));
        let place = usize::from(authorisation.operator.0);
        if document.operators.get(place).is_some_and(|it| it.authorisation.is_some()) {
            let operator = authorisation.operator;
            return Err(refuse(format!("operator {operator} has an authorisation already")));
        }
        document.take(authorisation).map_err(|why| refuse(why.to_string()))?;
    }
    let built = ClusterFile::of(&arguments.out, document);
    let verdict = verified(&built)?;
    let Content::Manifest(document) = &built.content else { unreachable!("it was built so") };
    write_new(&arguments.out, &document.to_json())?;
    let by_shares = verdict.authorities.iter().filter(|it| **it == Authority::Shares).count();
    let (count, out) = (document.operators.len(), arguments.out.display());
    let text =
        format!("{out}: {by_shares} of {count} operators are authorised by their key shares");
    let value = json!({
        "out": out.to_string(), "hash": hex(&document.hash()), "operators": count,
        "authorised_by_shares": by_shares,
    });
    Ok(print(arguments.json, &value, &text)?)
}

fn look(arguments: &Look, is_shown: bool) -> Result<(), Failure> {
    let file = ClusterFile::read_any(&arguments.file)?;
    let verdict = verify(&file);
    let mut text = String::new();
    let mut value = json!({
        "file": arguments.file.display().to_string(),
        "kind": file.kind().as_str(),
        "checks": verdict.checks,
    });
    if is_shown {
        let shown = Shown::of(&file);
        text += &shown.text(&verdict);
        value["content"] = shown.json(&verdict);
    }
    for check in &verdict.checks {
        writeln!(text, "{}", line(check)).expect("a string takes everything");
    }
    let failed = verdict.failures().count();
    if failed == 0 {
        text += "every check passed, or does not apply";
    }
    value["passed"] = (failed == 0).into();
    print(arguments.json, &value, text.trim_end())?;
    match failed {
        0 => Ok(()),
        failed => Err(Failure::running(format!(
            "{}: {failed} of {} checks failed",
            arguments.file.display(),
            verdict.checks.len()
        ))),
    }
}

fn line(check: &Check) -> String {
    let (word, why) = match &check.outcome {
        Outcome::Passed => ("passed", ""),
        Outcome::Failed(why) => ("FAILED", why.as_str()),
        Outcome::NotApplicable(why) => ("n/a", why.as_str()),
    };
    format!("{word:6}  {}  {}", check.name, printable(why)).trim_end().to_owned()
}

/// What stands in a file may hold anything, and a terminal obeys some of it; quotes it does not.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for letter in text.chars() {
        match letter {
            '\'' | '"' => printable.push(letter),
            letter => printable.extend(letter.escape_debug()),
        }
    }
    printable
}

/// What a lock and a manifest both have.
struct Shown {
    version: String,
    cluster: Result<Document, String>,
}

impl Shown {
    fn of(file: &ClusterFile) -> Self {
        match &file.content {
            Content::Lock(lock) => Self {
                version: lock.definition.version.to_string(),
                cluster: Document::of_lock(lock).map_err(|why| why.to_string()),
            },
            Content::Manifest(document) => Self {
                version: stayfound_core::cluster::manifest::VERSION.into(),
                cluster: Ok(Document::clone(document)),
            },
        }
    }

    fn text(&self, verdict: &Verdict) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            writeln!(text, "{name:12}  {}", printable(value)).expect("a string takes everything");
        };
        line("version", &self.version);
        let document = match &self.cluster {
            Ok(document) => document,
            Err(why) => {
                line("cluster", &format!("none: {why}"));
                return text;
            }
        };
        line("name", &document.name);
        match &document.cluster {
            ClusterId::Lock { uuid, hash } => {
                line("uuid", uuid);
                line("lock hash", &hex(hash));
            }
            ClusterId::Own(id) => line("id", &hex(id)),
        }
        let (operators, validators) = (document.operators.len(), document.validators.len());
        line("threshold", &format!("{} of {operators}", document.threshold));
        line(
            "required",
            match document.require_authorisation {
                true => "every operator must be authorised by its shares",
                false => "no authorisation: the word of the lock is enough",
            },
        );
        for ((place, operator), authority) in
            document.operators.iter().enumerate().zip(&verdict.authorities)
        {
            let node_id = operator.record.node_id();
            line(
                &format!("operator {place}"),
                &format!(
                    "{}, authority {authority}, {}",
                    name(&node_id),
                    operator.record.to_text()
                ),
            );
        }
        line("validators", &validators.to_string());
        for (place, validator) in document.validators.iter().enumerate() {
            line(&format!("validator {place}"), &hex(&validator.public_key));
        }
        text
    }

    fn json(&self, verdict: &Verdict) -> Value {
        let document = match &self.cluster {
            Ok(document) => document,
            Err(why) => return json!({ "version": self.version, "no_cluster": why }),
        };
        let operators = document.operators.iter().enumerate().zip(&verdict.authorities);
        let operators = operators.map(|((index, operator), authority)| {
            let node_id: NodeId = operator.record.node_id();
            json!({
                "index": index, "enr": operator.record.to_text(), "node_id": node_id.to_string(),
                "enr_public_key": operator.record.public_key().to_string(),
                "name": name(&node_id), "authority": authority,
                "address": operator.address.map(|address| hex(&address)),
            })
        });
        let validators = document.validators.iter().map(|validator| hex(&validator.public_key));
        json!({
            "version": self.version,
            "name": document.name,
            "uuid": document.cluster.uuid(),
            "hash": hex(document.cluster.hash()),
            "threshold": document.threshold,
            "require_authorisation": document.require_authorisation,
            "operators": operators.collect::<Vec<_>>(),
            "validators": validators.collect::<Vec<_>>(),
        })
    }
}
