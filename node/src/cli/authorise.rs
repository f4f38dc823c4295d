//! `stayfound authorise`: an operator's key shares sign its ENR public key.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::cluster::authorisation::{message, sign};
use stayfound_core::cluster::lock::Lock;
use stayfound_core::cluster::manifest::{AuthorisationFile, Document};
use stayfound_core::keys::{SecretKey, bls};
use stayfound_core::record::{Endpoints, Signed};

use super::manifest::verified;
use super::node::print;
use super::progress::Progress;
use super::report::hex;
use super::{Failure, stop_requested};
use crate::ceremony::authorisation_name;
use crate::cluster::{ClusterFile, Content, Kind};
use crate::keyfile;
use crate::keystore::{Directory, Opened, Password, decrypt_all};
use crate::parallel::threads;

/// Let this operator's validator key shares sign its ENR public key: the last step of a ceremony.
///
/// Each operator runs it on its own machine; nothing secret leaves it. The shares sign one message
/// of a kind of its own, which is valid nowhere else.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// charon's cluster-lock.json
    #[arg(long, value_name = "FILE")]
    lock: PathBuf,
    /// The ENR key to authorise: charon's charon-enr-private-key, or a new one that is to take its
    /// place (stayfound enr new makes one)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The directory of the EIP-2335 keystores with this operator's shares: charon's validator_keys.
    /// The password of keystore-0.json is in keystore-0.txt; you are asked for one where there is no
    /// such file
    #[arg(long, value_name = "DIR")]
    keystores: PathBuf,
    /// Where the authorisation is written [default: authorisation-<operator>.json here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

/// As a shell reports a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

const EXAMPLES: &str = "\
Examples:
  stayfound authorise --lock .charon/cluster-lock.json --key .charon/charon-enr-private-key \\
    --keystores .charon/validator_keys

Give the file to whoever builds the manifest (stayfound manifest build). It is no secret.
Shares that exist only behind a remote signer (Web3Signer, Dirk) cannot sign here: such signers
sign for the consensus layer alone. Their operator stays on the authority of the lock.

Exit codes: 0 written; 1 the file cannot be written; 2 a file is not as it must be, a password is
wrong, or shares are missing.";

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { lock, key, keystores, out, json } = arguments;
    let file = ClusterFile::read(Kind::Lock, &lock)?;
    verified(&file)?;
    let Content::Lock(lock) = &file.content else { unreachable!("it was read as a lock") };
    let key = keyfile::read(&key)?;
    // Opening the keystores may take minutes.
    if let Some(out) = out.as_ref().filter(|out| out.symlink_metadata().is_ok()) {
        return Err(unwritten(out, &io::ErrorKind::AlreadyExists.into()));
    }
    let directory = Directory::open(&keystores)?;
    let password = match directory.needs_password() {
        true => Some(ask()?),
        false => None,
    };
    let progress = Progress::new("keystores opened");
    let opened = decrypt_all(&directory, password.as_ref(), threads(), |done, of| {
        progress.tell(done, of);
    });
    progress.end();
    let shares = Shares::of(lock, opened?)?;
    let authorised = authorise(lock, shares, &key)?;
    let out = out.unwrap_or_else(|| authorisation_name(authorised.operator).into());
    write_new(&out, &authorised.to_json())?;
    tell(lock, &authorised, &out, json)
}

/// Asks for the one password. Who interrupts the prompt must find the terminal as it was: so the
/// signal must not kill the process there, only from then on.
fn ask() -> Result<Password, Failure> {
    let stop = stop_requested()?;
    let password = Password::ask("Password of the keystores that have none beside them: ")?;
    tokio::spawn(async move {
        stop.await;
        std::process::exit(INTERRUPTED);
    });
    Ok(password)
}

/// Makes a file that is not there yet, whole or not at all.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = made.map_err(|why| unwritten(path, &why))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|why| {
        let _ = fs::remove_file(path); // half of it would be in the way of the next
        unwritten(path, &why)
    })
}

fn unwritten(path: &Path, why: &io::Error) -> Failure {
    Failure::running(format!(
        "{} cannot be written: {why}; nothing is overwritten: name another file with --out",
        path.display()
    ))
}

/// The shares of one operator, of every validator, in their order.
struct Shares {
    operator: OperatorIndex,
    secrets: Vec<bls::SecretKey>,
}

impl Shares {
    /// Finds out which share of which validator each is.
    fn of(lock: &Lock, opened: Vec<Opened>) -> Result<Self, Failure> {
        let mut places = BTreeMap::new();
        for (validator, keys) in lock.validators.iter().enumerate() {
            let shares = keys.shares.iter().enumerate();
            places.extend(shares.map(|(operator, share)| (*share, (validator, operator))));
        }
        let mut found: BTreeMap<usize, bls::SecretKey> = BTreeMap::new();
        let mut of: Option<(usize, PathBuf)> = None;
        for Opened { path, pubkey, secret, .. } in opened {
            let shown = path.display();
            let secret = bls::SecretKey::from_bytes(secret.as_bytes()).map_err(|why| {
                Failure::usage(format!("the keystore {shown} holds no key: its secret is {why}"))
            })?;
            let public = secret.public_key().to_bytes();
            if let Some(stated) = pubkey.filter(|stated| *stated != public) {
                return Err(Failure::usage(format!(
                    "the keystore {shown} says that it is of {}, but holds the key of {}: it is \
                     damaged; restore it from a backup",
                    hex(&stated),
                    hex(&public)
                )));
            }
            let Some((validator, operator)) = places.get(&public).copied() else {
                return Err(Failure::usage(format!(
                    "the keystore {shown} holds the key of {}, which is no share in the lock; give \
                     the keystores and the lock of one and the same cluster",
                    hex(&public)
                )));
            };
            match &of {
                Some((other, first)) if *other != operator => {
                    return Err(Failure::usage(format!(
                        "the keystore {shown} holds a share of operator {operator}, and {} one of \
                         operator {other}; give the keystores of one operator",
                        first.display()
                    )));
                }
                _ => of = Some((operator, path.clone())),
            }
            if found.insert(validator, secret).is_some() {
                return Err(Failure::usage(format!(
                    "the keystore {shown} holds the share of validator {validator} once more; give \
                     each once"
                )));
            }
        }
        let (operator, _) = of.expect("a directory has a keystore");
        let missing = (0..lock.validators.len()).filter(|it| !found.contains_key(it));
        let missing: Vec<String> = missing.map(|validator| validator.to_string()).collect();
        if let Some(first) = missing.first() {
            return Err(Failure::usage(format!(
                "the shares of {} of {} validators are missing (the first is that of validator \
                 {first}, counted from 0); all shares of operator {operator} must sign",
                missing.len(),
                lock.validators.len()
            )));
        }
        let operator = OperatorIndex(u8::try_from(operator).expect("at most 256 operators"));
        Ok(Self { operator, secrets: found.into_values().collect() })
    }
}

fn authorise(lock: &Lock, shares: Shares, key: &SecretKey) -> Result<AuthorisationFile, Failure> {
    let Shares { operator, secrets } = shares;
    let document = Document::of_lock(lock).map_err(Failure::usage)?;
    let cluster = document.cluster.clone();
    let public = key.public_key();
    let holder = document.operators.iter().position(|it| *it.record.public_key() == public);
    let record = match holder {
        Some(holder) if holder != usize::from(operator.0) => {
            return Err(Failure::usage(format!(
                "the key is that of operator {holder}, but the shares are those of operator \
                 {operator}; give key and keystores of one operator"
            )));
        }
        Some(holder) => document.operators[holder].record.clone(),
        None => Signed::sign(key, 0, &Endpoints::default()),
    };
    let said = message(&cluster, operator, &public);
    let keys = lock.keys().map_err(Failure::usage)?;
    let authorisation = sign(&keys, &secrets, &said)
        .ok_or_else(|| Failure::running("the shares add up to nothing: they are no random keys"))?;
    let file = AuthorisationFile { cluster, operator, record, authorisation };
    // A fault of this machine must not be found by somebody else.
    let mut document = document;
    document.take(file.clone()).map_err(Failure::running)?;
    let verdict = document.verify();
    let failed: Vec<_> = verdict.failures().map(ToString::to_string).collect();
    assert!(failed.is_empty(), "what was signed does not verify: {failed:?}");
    Ok(file)
}

fn tell(lock: &Lock, file: &AuthorisationFile, out: &Path, json: bool) -> Result<(), Failure> {
    let (operator, key) = (file.operator, file.record.public_key());
    let enr = &lock.definition.operators[usize::from(operator.0)].enr;
    let is_new = Signed::from_text(enr).is_ok_and(|of_lock| of_lock.public_key() != key);
    let (shares, path) = (lock.validators.len(), out.display());
    let mut text = format!(
        "{shares} key shares of operator {operator} authorise the ENR public key {key}\nwritten to \
         {path}: give it to whoever builds the manifest"
    );
    if is_new {
        text += &format!(
            "\nit is not the key that operator {operator} has in the lock: in a manifest with this \
             authorisation it takes that one's place"
        );
    }
    let value = json!({
        "operator": operator.0, "enr_public_key": key.to_string(), "shares": shares,
        "is_new_key": is_new, "out": path.to_string(),
    });
    Ok(print(json, &value, &text)?)
}
