//! Whether a lock may be believed: everything that charon looks at when it loads one, and that the
//! keys are points and the shares differ, in parts that may run side by side.

use std::fmt;
use std::ops::Range;

use super::super::authorisation::Authority;
use super::super::check::{Check, Verdict};
use super::super::definition::{SIGNATURE_BYTES, check_hash};
use super::super::json::Hex;
use super::super::shares::{self, Concluded, Keys, ShapeError, ranges};
use super::super::version::Version;
use super::{Lock, record};
use crate::keys::PublicKey;
use crate::keys::bls::{self, Domain, KeySum, Signed, verify_all};

/// The check that somebody who holds the key shares signed the lock at all.
pub const AGGREGATE: &str = "signature aggregate";
const REGISTRATIONS: &str = "builder registrations";
const NODE_SIGNATURES: &str = "node signatures";

/// A part of the work, to be done on a thread of its own.
#[derive(Clone, Debug)]
pub struct Part<'a>(Work<'a>);

#[derive(Clone, Debug)]
enum Work<'a> {
    /// The hashes, and all signatures on secp256k1.
    Identities(&'a Lock),
    /// The keys of a range of validators.
    Shares(shares::Part<'a>),
    /// The registrations of a range of validators.
    Registrations(&'a Lock, Range<usize>),
}

/// What came of a part.
#[derive(Clone, Debug)]
pub struct Partial(Found);

#[derive(Clone, Debug)]
enum Found {
    Identities(Box<Identities>),
    Shares(Box<shares::Partial>),
    Registrations {
        /// How many were looked at.
        count: usize,
        faults: Vec<Fault>,
    },
}

#[derive(Clone, Debug)]
struct Identities {
    lock_hash: [u8; 32],
    /// All that stand before the validators' keys.
    checks: Vec<Check>,
    node_signatures: Check,
}

/// What is wrong with this validator or operator.
#[derive(Clone, Debug)]
struct Fault {
    whose: &'static str,
    index: usize,
    why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.whose, self.index, self.why)
    }
}

impl Part<'_> {
    /// What it looks at, in one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Work::Identities(_) => "identities",
            Work::Shares(_) => "shares",
            Work::Registrations(..) => "registrations",
        }
    }

    /// Does it.
    #[must_use]
    pub fn run(&self) -> Partial {
        Partial(match &self.0 {
            Work::Identities(lock) => Found::Identities(Box::new(lock.identities())),
            Work::Shares(part) => Found::Shares(Box::new(part.run())),
            Work::Registrations(lock, range) => {
                let faults = lock.registration_faults(range.clone());
                Found::Registrations { count: range.len(), faults }
            }
        })
    }
}

impl Lock {
    /// Looks at everything. If nothing failed, the lock may be believed; no key speaks for its
    /// operator on more than the word of the lock.
    #[must_use]
    pub fn verify(&self) -> Verdict {
        self.conclude(self.parts(1).iter().map(Part::run).collect())
    }

    /// The work: what concerns validators in at most so many parts of equal size, twice, and the
    /// rest in one.
    #[must_use]
    pub fn parts(&self, count: usize) -> Vec<Part<'_>> {
        let mut parts = vec![Part(Work::Identities(self))];
        if let Ok(keys) = self.keys() {
            parts.extend(
                keys.with_total().parts(count).into_iter().map(|part| Part(Work::Shares(part))),
            );
        }
        if self.definition.version >= Version::V1_7 {
            let ranges = ranges(self.papers.len(), count);
            parts.extend(ranges.map(|range| Part(Work::Registrations(self, range))));
        }
        parts
    }

    /// What the parts came to, all of them, in any order.
    ///
    /// # Panics
    /// If the partials are not those of its parts.
    #[must_use]
    pub fn conclude(&self, partials: Vec<Partial>) -> Verdict {
        let (mut identities, mut of_shares) = (None, Vec::new());
        let (mut registrations, mut faults) = (0, Vec::new());
        for Partial(found) in partials {
            match found {
                Found::Identities(it) => identities = Some(*it),
                Found::Shares(partial) => of_shares.push(*partial),
                Found::Registrations { count, faults: more } => {
                    registrations += count;
                    faults.extend(more);
                }
            }
        }
        let Identities { lock_hash, mut checks, node_signatures } =
            identities.expect("one part looks at hashes");
        let Concluded { checks: of_keys, sums } = match self.keys() {
            Ok(keys) => keys.conclude(of_shares),
            Err(shape) => without_shape(&shape),
        };
        checks.extend(of_keys);
        checks.push(self.check_aggregate(sums.and_then(|sums| sums.total), &lock_hash));
        checks.push(self.conclude_registrations(registrations, faults));
        checks.push(node_signatures);
        Verdict { checks, authorities: vec![Authority::Lock; self.definition.operators.len()] }
    }

    fn conclude_registrations(&self, looked_at: usize, mut faults: Vec<Fault>) -> Check {
        if self.definition.version < Version::V1_7 {
            return Check::not_applicable(REGISTRATIONS, self.has_none());
        }
        assert_eq!(looked_at, self.papers.len(), "a part of the work was left out");
        faults.sort_by_key(|fault| fault.index);
        Check::faultless(REGISTRATIONS, &faults)
    }

    /// The validators' keys, as the definition says how many shares there are.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn keys(&self) -> Result<Keys<'_>, ShapeError> {
        let threshold = usize::try_from(self.definition.threshold).unwrap_or(usize::MAX);
        Keys::new(&self.validators, self.definition.operators.len(), threshold)
    }

    fn identities(&self) -> Identities {
        let lock_hash = self.hash();
        let mut checks = Vec::from(self.definition.check_hashes());
        let (announced, found) = (self.definition.num_validators, self.validators.len());
        checks.push(match announced == found as u64 {
            true => Check::passed("validator count"),
            false => Check::failed(
                "validator count",
                format!("expected {announced}, as the definition says, found {found}"),
            ),
        });
        checks.push(check_hash("lock hash", &lock_hash, Some(&self.lock_hash)));
        checks.extend(self.definition.check_signatures());
        let keys = self.operator_keys();
        checks.push(check_operator_keys(&keys));
        Identities { lock_hash, checks, node_signatures: self.check_node_signatures(&keys) }
    }

    /// The ENR key of each operator, or why there is none.
    fn operator_keys(&self) -> Vec<Result<PublicKey, String>> {
        let operators = self.definition.operators.iter();
        let keys = operators.map(|operator| match record(&operator.enr) {
            Ok(record) => Ok(*record.public_key()),
            Err(why) => Err(format!("expected a node record, found none: {why}")),
        });
        keys.collect()
    }

    fn check_node_signatures(&self, keys: &[Result<PublicKey, String>]) -> Check {
        if self.definition.version < Version::V1_7 {
            return Check::not_applicable(NODE_SIGNATURES, self.has_none());
        }
        let (expected, found) = (keys.len(), self.node_signatures.len());
        if expected != found {
            let why = format!("expected {expected}, one of each operator, found {found}");
            return Check::failed(NODE_SIGNATURES, why);
        }
        let signatures = self.node_signatures.iter().zip(keys).enumerate();
        let faults = signatures.filter_map(|(index, (signature, key))| {
            let why = self.node_signature_fault(signature, key.as_ref().ok())?;
            Some(Fault { whose: "operator", index, why })
        });
        Check::faultless(NODE_SIGNATURES, &faults.collect::<Vec<_>>())
    }

    fn node_signature_fault(&self, signature: &[u8], key: Option<&PublicKey>) -> Option<String> {
        let Some(key) = key else {
            return Some("expected one by its ENR key, found no such key".into());
        };
        let Ok(signature) = <&[u8; SIGNATURE_BYTES]>::try_from(signature) else {
            let found = signature.len();
            return Some(format!("expected {SIGNATURE_BYTES} bytes, found {found}"));
        };
        match PublicKey::recover(&self.lock_hash, signature) {
            Some(signer) if signer == *key => None,
            Some(signer) => {
                Some(format!("expected one over the lock hash by {key}, found one by {signer}"))
            }
            None => Some(format!("expected one over the lock hash by {key}, found one by no key")),
        }
    }

    fn check_aggregate(&self, sum: Option<KeySum>, lock_hash: &[u8; 32]) -> Check {
        let bytes = self.signature_aggregate.as_slice();
        if bytes.is_empty() && self.definition.version < Version::V1_2 {
            let why = format!("there is none, and {} goes without", self.definition.version);
            return Check::not_applicable(AGGREGATE, why);
        }
        let Ok(bytes) = <&[u8; 96]>::try_from(bytes) else {
            return Check::failed(AGGREGATE, format!("expected 96 bytes, found {}", bytes.len()));
        };
        let signature = match bls::Signature::from_bytes(bytes) {
            Ok(signature) => signature,
            Err(why) => {
                return Check::failed(AGGREGATE, format!("expected a signature, found {why}"));
            }
        };
        let Some(sum) = sum else {
            return match self.validators.is_empty() {
                true => Check::failed(AGGREGATE, "expected key shares that signed, found none"),
                false => Check::not_applicable(AGGREGATE, "some of the keys are none"),
            };
        };
        match sum.verifies(Domain::ETH2, lock_hash, &signature) {
            true => Check::passed(AGGREGATE),
            false => Check::failed(
                AGGREGATE,
                format!(
                    "expected one by all key shares over the lock hash {}, found one that does not \
                     verify",
                    Hex(lock_hash)
                ),
            ),
        }
    }

    /// What is wrong with the registrations of these validators.
    fn registration_faults(&self, range: Range<usize>) -> Vec<Fault> {
        let (mut faults, mut sound) = (Vec::new(), Vec::new());
        for index in range {
            match self.registration(index) {
                Ok(registration) => sound.push((index, registration)),
                Err(why) => faults.push(Fault { whose: "validator", index, why }),
            }
        }
        let batch: Vec<_> = sound.iter().map(|(_, it)| it.signed()).collect();
        if !verify_all(Domain::ETH2, &batch) {
            let bad = sound.iter().filter(|(_, it)| !it.signed().verifies(Domain::ETH2));
            let before = faults.len();
            faults.extend(bad.map(|(index, _)| {
                Fault {
                whose: "validator",
                index: *index,
                why: "expected its signature over the registration, found one that does not verify"
                    .into(),
            }
            }));
            assert!(faults.len() > before, "a batch of valid signatures is valid");
        }
        faults
    }

    /// What has to verify for this validator's registration.
    fn registration(&self, index: usize) -> Result<Signable, String> {
        let registration = self.papers[index].registration.as_ref();
        let registration = registration.expect("each validator has one from v1.7.0 on");
        let public_key = &self.validators[index].public_key;
        if registration.public_key != *public_key {
            let (expected, found) = (Hex(public_key), Hex(&registration.public_key));
            return Err(format!("expected one of its key {expected}, found one of {found}"));
        }
        let Some(addresses) = self.definition.addresses_of(index) else {
            return Err("expected a fee recipient in the definition, found none".into());
        };
        let (expected, found) = (&addresses.fee_recipient, &registration.fee_recipient);
        if expected.bytes() != found.bytes() {
            return Err(format!("expected the fee recipient {expected}, found {found}"));
        }
        let key = bls::PublicKey::from_bytes(public_key);
        let key = key.map_err(|why| format!("expected a public key, found {why}"))?;
        let signature = bls::Signature::from_bytes(&registration.signature);
        let signature = signature.map_err(|why| format!("expected a signature, found {why}"))?;
        let message = registration.signing_root(self.definition.fork_version);
        Ok(Signable { key: KeySum::from(&key), message, signature })
    }

    fn has_none(&self) -> String {
        format!("{} has none", self.definition.version)
    }
}

/// A registration whose signature is still to be verified.
struct Signable {
    key: KeySum,
    message: [u8; 32],
    signature: bls::Signature,
}

impl Signable {
    fn signed(&self) -> Signed<'_> {
        Signed { key: self.key, message: &self.message, signature: self.signature }
    }
}

/// ENRs that are none, and operators that have one key.
fn check_operator_keys(keys: &[Result<PublicKey, String>]) -> Check {
    let mut faults = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    for (index, key) in keys.iter().enumerate() {
        let why = match key {
            Err(why) => Some(why.clone()),
            Ok(key) => seen
                .insert(key, index)
                .map(|other| format!("expected a key of its own, found that of operator {other}")),
        };
        faults.extend(why.map(|why| Fault { whose: "operator", index, why }));
    }
    if keys.is_empty() {
        return Check::failed("operator keys", "expected operators, found none");
    }
    Check::faultless("operator keys", &faults)
}

/// Keys that there cannot be are not looked at one by one.
fn without_shape(shape: &ShapeError) -> Concluded {
    let why = "there are not as many shares as operators, or the threshold cannot be";
    let checks = vec![
        Check::not_applicable("validator keys", why),
        Check::not_applicable("distinct keys", why),
        Check::failed("share polynomials", shape.to_string()),
    ];
    Concluded { checks, sums: None }
}
