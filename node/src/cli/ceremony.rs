//! `stayfound ceremony`: a whole cluster on one machine, for trials and tests.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::json;
use sha2::{Digest, Sha256};
use stayfound_core::cluster::shares::VALIDATORS_MAX;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Failure;
use super::node::print;
use super::progress::Progress;
use super::report::hex;
use crate::ceremony::{self, Ceremony};
use crate::keystore::Cost;

/// Make a whole test cluster on this machine: keys, key shares, keystores, lock and manifest.
///
/// Never for validators with money: whoever runs this has every secret of the cluster in one place.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// How many operators
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    operators: u16,
    /// How many of them must sign for a validator to sign [default: two thirds, rounded up]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threshold: Option<u16>,
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=VALIDATORS_MAX as i64))]
    validators: u32,
    /// Where everything is written: a directory that is empty, or not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The cluster's name
    #[arg(long, value_name = "TEXT", default_value = "stayfound test cluster", value_parser = name)]
    name: String,
    /// Make the same cluster whenever this text is given. Whoever knows it knows every secret
    #[arg(long, value_name = "TEXT", requires = "insecure_test_keys")]
    seed: Option<String>,
    /// For tests: keystores that open at once, with passwords and keys that anybody can guess.
    /// --seed needs it
    #[arg(long)]
    insecure_test_keys: bool,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  stayfound ceremony --operators 4 --threshold 3 --validators 2 --out cluster
  stayfound ceremony --operators 7 --out cluster --insecure-test-keys --seed one

Writes for each operator what charon's .charon holds (cluster/node0/charon-enr-private-key,
cluster-lock.json, validator_keys/), its authorisation and the manifest. Then, for operators 0 and 1
on this machine (and 2 and 3 like 1):
  stayfound run --manifest cluster/node0/cluster-manifest.json \\
    --key cluster/node0/charon-enr-private-key --data-dir data0 --listen 127.0.0.1:3610
  stayfound run --manifest cluster/node1/cluster-manifest.json \\
    --key cluster/node1/charon-enr-private-key --data-dir data1 --listen 127.0.0.1:3611 \\
    --hint 0=127.0.0.1:3610

Exit codes: 0 made; 1 a file cannot be written; 2 the command line makes no cluster, or the
directory is not empty.";

fn name(text: &str) -> Result<String, String> {
    use stayfound_core::cluster::definition::NAME_BYTES_MAX;
    match text.len() {
        length if length > NAME_BYTES_MAX => {
            Err(format!("{length} bytes are more than the {NAME_BYTES_MAX} of a cluster's name"))
        }
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let operators = usize::from(arguments.operators);
    let threshold =
        arguments.threshold.map_or_else(|| Ceremony::threshold_of(operators), usize::from);
    if threshold == 1 && operators > 1 {
        return Err(Failure::usage(
            "with a threshold of 1 all operators have one and the same key share, and no lock of \
             such keys is valid; give --threshold 2 or more",
        ));
    }
    let (mut rng, timestamp) = match &arguments.seed {
        // The same whenever it is run.
        Some(seed) => (ChaCha20Rng::from_seed(Sha256::digest(seed).into()), String::new()),
        None => (ceremony::random()?, now()),
    };
    let validators = arguments.validators as usize;
    let ceremony = Ceremony { name: arguments.name, operators, threshold, validators, timestamp };
    let cluster = ceremony.perform(&mut rng).map_err(Failure::usage)?;
    let cost = if arguments.insecure_test_keys { Cost::Insecure } else { Cost::Standard };
    let progress = Progress::new("keystores written");
    let written = cluster.write(&arguments.out, cost, &mut rng, |done, of| progress.tell(done, of));
    progress.end();
    written?;
    let (lock_hash, out) = (hex(&cluster.lock.lock_hash), arguments.out.display().to_string());
    let uuid = cluster.lock.definition.uuid.clone();
    let text = format!(
        "a cluster: operators {operators}, threshold {threshold}, validators {validators}, uuid \
         {uuid}, lock hash {lock_hash}\nin {out}: a directory for each operator from node0 on, \
         cluster-lock.json, cluster-manifest.json\nthese are test keys: whoever has this directory \
         has every secret of the cluster"
    );
    let value = json!({
        "out": out, "uuid": uuid, "lock_hash": lock_hash, "operators": operators,
        "threshold": threshold, "validators": validators,
    });
    Ok(print(arguments.json, &value, &text)?)
}

fn now() -> String {
    let now = OffsetDateTime::from(SystemTime::now());
    let now = now.replace_nanosecond(0).expect("no nanoseconds are in range");
    now.format(&Rfc3339).expect("years from 0 to 9999")
}
