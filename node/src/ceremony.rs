//! A whole cluster made on one machine, every secret included: for trying stayfound out, and for
//! its tests. Never for validators with money: whoever ran this knew every key.

use std::io;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use stayfound_core::cluster::address::Address;
use stayfound_core::cluster::authorisation::{message, sign};
use stayfound_core::cluster::definition::{Addresses, Creator, Definition, Operator};
use stayfound_core::cluster::lock::{Lock, Papers};
use stayfound_core::cluster::manifest::{AuthorisationFile, Document};
use stayfound_core::cluster::shares::{Keys, Validator};
use stayfound_core::cluster::signed::{Deposit, Registration};
use stayfound_core::cluster::version::Version;
use stayfound_core::cluster::{ManifestError, OPERATORS_MAX, OperatorIndex};
use stayfound_core::keys::SecretKey;
use stayfound_core::keys::bls::{self, Domain};
use stayfound_core::record::{Endpoints, Signed};
use zeroize::Zeroizing;

use crate::keyfile;

mod directory;

pub use directory::{KEY, KEYSTORES, LOCK, MANIFEST, WriteError, authorisation_name, node_dir};

/// The testnet Hoodi: its fork version at genesis, and when that was, in Unix seconds.
const FORK_VERSION: [u8; 4] = [0x10, 0x00, 0x09, 0x10];
const GENESIS: u64 = 1_742_213_400;
/// Nobody's address.
const NOBODY: [u8; 20] = [0xde; 20];
const DEPOSIT_GWEI: u64 = 32_000_000_000;
const GAS_LIMIT: u64 = 36_000_000;
/// Withdrawal credentials of an account.
const TO_AN_ACCOUNT: u8 = 1;

/// What is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceremony {
    /// For people.
    pub name: String,
    /// How many operators, 1 to 256.
    pub operators: usize,
    /// How many of them must sign.
    pub threshold: usize,
    /// How many validators.
    pub validators: usize,
    /// When, in RFC 3339, or nothing.
    pub timestamp: String,
}

/// A cluster and all its secrets.
#[derive(Debug)]
pub struct Cluster {
    /// As charon writes it, v1.10.0.
    pub lock: Lock,
    /// Everybody authorised.
    pub document: Document,
    /// Each operator's ENR key.
    pub keys: Vec<SecretKey>,
    /// The same as their files have them.
    scalars: Vec<Zeroizing<[u8; 32]>>,
    /// Each validator's shares, by operator.
    pub shares: Vec<Vec<bls::SecretKey>>,
}

/// A generator that nobody can foresee.
///
/// # Errors
/// The operating system gives no randomness.
pub fn random() -> io::Result<ChaCha20Rng> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

impl Ceremony {
    /// How many operators must sign: two thirds at least, as charon's default has it.
    #[must_use]
    pub fn threshold_of(operators: usize) -> usize {
        (2 * operators).div_ceil(3)
    }

    /// Makes the cluster. The same generator makes the same cluster.
    ///
    /// # Errors
    /// [`ManifestError`]: there is no cluster of so many.
    pub fn perform(&self, rng: &mut ChaCha20Rng) -> Result<Cluster, ManifestError> {
        if !(1..=OPERATORS_MAX).contains(&self.operators) {
            return Err(ManifestError::OperatorCount(self.operators));
        }
        if !(1..=self.operators).contains(&self.threshold) {
            let Self { threshold, operators, .. } = *self;
            return Err(ManifestError::Threshold { threshold, operators });
        }
        let (keys, scalars): (Vec<_>, Vec<_>) =
            (0..self.operators).map(|_| draw(rng, |it| SecretKey::from_bytes(it).ok())).unzip();
        let mut definition = self.definition(rng);
        for (operator, key) in definition.operators.iter_mut().zip(&keys) {
            // As charon makes them: seq 0, no address.
            operator.enr = Signed::sign(key, 0, &Endpoints::default()).to_text();
        }
        let (validators, secrets): (Vec<_>, Vec<_>) =
            (0..self.validators).map(|_| self.validator(rng)).unzip();
        let owners: Vec<&bls::SecretKey> = secrets.iter().map(|(owner, _)| owner).collect();
        let papers = owners.iter().map(|owner| papers(owner)).collect();
        let shares: Vec<_> = secrets.iter().map(|(_, shares)| shares.clone()).collect();
        let lock = sign_lock(definition, validators, papers, &shares, &keys);
        let document = authorise_all(&lock, &shares)?;
        Ok(Cluster { lock, document, keys, scalars, shares })
    }

    fn definition(&self, rng: &mut ChaCha20Rng) -> Definition {
        let nobody = Address::from_bytes(&NOBODY);
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Definition {
            version: Version::V1_10,
            name: self.name.clone(),
            creator: Creator::default(),
            operators: vec![Operator::default(); self.operators],
            uuid: crate::keystore::uuid(id),
            timestamp: self.timestamp.clone(),
            num_validators: self.validators as u64,
            threshold: self.threshold as u64,
            addresses: vec![
                Addresses { fee_recipient: nobody, withdrawal: nobody };
                self.validators
            ],
            dkg_algorithm: "default".into(),
            fork_version: FORK_VERSION,
            deposit_amounts: Vec::new(),
            consensus_protocol: String::new(),
            target_gas_limit: GAS_LIMIT,
            compounding: false,
            config_hash: [0; 32],
            definition_hash: None,
        }
    }

    /// A validator, its key and its shares.
    fn validator(
        &self,
        rng: &mut ChaCha20Rng,
    ) -> (Validator, (bls::SecretKey, Vec<bls::SecretKey>)) {
        loop {
            let coefficients: Vec<_> = (0..self.threshold)
                .map(|_| draw(rng, |it| bls::SecretKey::from_bytes(it).ok()).0)
                .collect();
            // One draw in 2^255 has a share of zero.
            let Some(shares) = bls::SecretKey::split(&coefficients, self.operators) else {
                continue;
            };
            let public = |key: &bls::SecretKey| key.public_key().to_bytes();
            let validator = Validator {
                public_key: public(&coefficients[0]),
                shares: shares.iter().map(public).collect(),
            };
            return (validator, (coefficients[0].clone(), shares));
        }
    }
}

impl Cluster {
    /// An operator's ENR key as its file has it: 64 hex digits.
    ///
    /// # Panics
    /// If the cluster does not have the operator.
    #[must_use]
    pub fn key_text(&self, operator: OperatorIndex) -> Zeroizing<String> {
        keyfile::hex(&*self.scalars[usize::from(operator.0)])
    }

    /// The authorisation of an operator, as its file has it.
    ///
    /// # Panics
    /// If the cluster does not have the operator.
    #[must_use]
    pub fn authorisation(&self, operator: OperatorIndex) -> Option<AuthorisationFile> {
        let of = &self.document.operators[usize::from(operator.0)];
        Some(AuthorisationFile {
            cluster: self.document.cluster.clone(),
            operator,
            record: of.record.clone(),
            authorisation: of.authorisation.clone()?,
        })
    }
}

/// A key of either curve, and its scalar.
fn draw<K>(
    rng: &mut ChaCha20Rng,
    key: impl Fn(&[u8; 32]) -> Option<K>,
) -> (K, Zeroizing<[u8; 32]>) {
    loop {
        let mut scalar = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *scalar);
        // Of secp256k1 one draw in 2^128 is no key; of BLS12-381 every other.
        if let Some(key) = key(&scalar) {
            return (key, scalar);
        }
    }
}

/// What a validator signs: its deposit and its registration with builders.
fn papers(owner: &bls::SecretKey) -> Papers {
    let public_key = owner.public_key().to_bytes();
    let mut withdrawal_credentials = [0; 32];
    withdrawal_credentials[0] = TO_AN_ACCOUNT;
    withdrawal_credentials[12..].copy_from_slice(&NOBODY);
    let signed = |root: [u8; 32]| owner.sign(Domain::ETH2, &root).to_bytes();
    let mut deposit =
        Deposit { public_key, withdrawal_credentials, amount: DEPOSIT_GWEI, signature: [0; 96] };
    deposit.signature = signed(deposit.signing_root(FORK_VERSION));
    let mut registration = Registration {
        fee_recipient: Address::from_bytes(&NOBODY),
        gas_limit: GAS_LIMIT,
        timestamp: GENESIS,
        public_key,
        signature: [0; 96],
    };
    registration.signature = signed(registration.signing_root(FORK_VERSION));
    Papers { deposits: vec![deposit], registration: Some(registration) }
}

fn sign_lock(
    definition: Definition,
    validators: Vec<Validator>,
    papers: Vec<Papers>,
    shares: &[Vec<bls::SecretKey>],
    keys: &[SecretKey],
) -> Lock {
    let mut lock = Lock {
        definition,
        validators,
        papers,
        signature_aggregate: Vec::new(),
        lock_hash: [0; 32],
        node_signatures: Vec::new(),
    };
    lock.set_hashes();
    // The sum of all signatures is the signature of the sum of all keys.
    let all = shares.concat();
    let ones = vec![1u128.to_le_bytes(); all.len()];
    if let Some(sum) = bls::SecretKey::weigh(&all, &ones) {
        lock.signature_aggregate = sum.sign(Domain::ETH2, &lock.lock_hash).to_bytes().to_vec();
    }
    let signatures = keys.iter().map(|key| key.sign_recoverable(&lock.lock_hash).to_vec());
    lock.node_signatures = signatures.collect();
    lock
}

fn authorise_all(lock: &Lock, shares: &[Vec<bls::SecretKey>]) -> Result<Document, ManifestError> {
    let mut document = Document::of_lock(lock)?;
    let (operators, threshold) = (document.operators.len(), document.threshold);
    let validators = document.validators.clone();
    let keys = Keys::new(&validators, operators, threshold).expect("split so");
    for (place, operator) in document.operators.iter_mut().enumerate() {
        let index = OperatorIndex(u8::try_from(place).expect("at most 256 operators"));
        let said = message(&document.cluster, index, operator.record.public_key());
        let secrets: Vec<_> = shares.iter().map(|shares| shares[place].clone()).collect();
        operator.authorisation = sign(&keys, &secrets, &said);
    }
    Ok(document)
}
