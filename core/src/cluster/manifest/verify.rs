//! Whether a manifest holds: its keys and shares, and each operator's authorisation.

use super::super::authorisation::{self, Authorisation, AuthorisationError, Authority, message};
use super::super::check::{Check, Verdict};
use super::super::shares::{self, Keys, Sums};
use super::super::{ManifestError, OperatorIndex};
use super::{Document, Operator};
use crate::keys::bls::{self, Domain, Signed};

/// A share of the work, for a thread of its own.
#[derive(Clone, Debug, Default)]
pub struct Part<'a> {
    keys: Option<shares::Part<'a>>,
    signatures: Vec<(usize, authorisation::Part<'a>)>,
}

/// What came of a part.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    keys: Option<shares::Partial>,
    signatures: Vec<(usize, authorisation::Partial)>,
}

impl Part<'_> {
    /// Does the work.
    #[must_use]
    pub fn run(&self) -> Partial {
        let signatures = self.signatures.iter();
        Partial {
            keys: self.keys.as_ref().map(shares::Part::run),
            signatures: signatures.map(|(operator, part)| (*operator, part.run())).collect(),
        }
    }
}

impl Document {
    /// All checks, one after the other.
    #[must_use]
    pub fn verify(&self) -> Verdict {
        self.conclude(self.parts(1).iter().map(Part::run).collect())
    }

    /// The work of verification, in at most so many parts of about equal size.
    #[must_use]
    pub fn parts(&self, count: usize) -> Vec<Part<'_>> {
        let count = count.max(1);
        let mut parts = vec![Part::default(); count];
        let Ok(keys) = self.keys() else { return Vec::new() };
        for (part, some) in parts.iter_mut().zip(keys.parts(count)) {
            part.keys = Some(some);
        }
        for (index, operator) in self.operators.iter().enumerate() {
            let Some(authorisation) = &operator.authorisation else { continue };
            // Another number of signatures than validators: `conclude` says so.
            let Ok(some) = authorisation.parts(&keys, count) else { continue };
            for (place, some) in some.into_iter().enumerate() {
                parts[(index + place) % count].signatures.push((index, some));
            }
        }
        parts
    }

    fn keys(&self) -> Result<Keys<'_>, shares::ShapeError> {
        Keys::new(&self.validators, self.operators.len(), self.threshold)
    }

    /// The verdict, from what came of all [`parts`](Self::parts), in any order.
    #[must_use]
    pub fn conclude(&self, partials: Vec<Partial>) -> Verdict {
        let mut checks = vec![self.operator_keys()];
        let mut authorities = vec![Authority::Lock; self.operators.len()];
        let keys = match self.keys() {
            Ok(keys) => keys,
            Err(why) => {
                checks.push(Check::failed(SHAPE, why.to_string()));
                return self.demand(Verdict { checks, authorities });
            }
        };
        checks.push(match self.validators.is_empty() {
            true => Check::not_applicable(SHAPE, "the cluster has no validators"),
            false => Check::passed(SHAPE),
        });
        let mut signatures = vec![Vec::new(); self.operators.len()];
        let mut of_keys = Vec::new();
        for partial in partials {
            of_keys.extend(partial.keys);
            for (operator, sum) in partial.signatures {
                signatures[operator].push(sum);
            }
        }
        let concluded = keys.conclude(of_keys);
        checks.extend(concluded.checks);
        // Shares that are not this cluster's authorise nobody.
        let sound = !checks.iter().any(Check::has_failed);
        let verified = self.authorisations(&keys, concluded.sums.as_ref(), signatures);
        for ((place, authority), verified) in authorities.iter_mut().enumerate().zip(verified) {
            let name = format!("authorisation of operator {place}");
            checks.push(match verified {
                Some(Ok(())) => {
                    if sound {
                        *authority = Authority::Shares;
                    }
                    Check::passed(name)
                }
                Some(Err(why)) => Check::failed(name, why),
                None => Check::not_applicable(
                    name,
                    "there is none: its key speaks on the word of whoever built the manifest alone",
                ),
            });
        }
        self.demand(Verdict { checks, authorities })
    }

    fn demand(&self, mut verdict: Verdict) -> Verdict {
        if self.require_authorisation {
            verdict.require_authorisation();
        }
        verdict
    }

    fn operator_keys(&self) -> Check {
        let records = self.operators.iter().map(|operator| operator.record.clone()).collect();
        let cluster = super::Manifest::new(String::new(), String::new(), [0; 32], 1, records);
        let faults: Vec<ManifestError> = cluster.err().into_iter().collect();
        Check::faultless("operator keys", &faults)
    }

    /// What came of each operator's authorisation, if it has one: why not, in words.
    fn authorisations(
        &self,
        keys: &Keys<'_>,
        sums: Option<&Sums>,
        signatures: Vec<Vec<authorisation::Partial>>,
    ) -> Vec<Option<Result<(), String>>> {
        let messages = self.operators.iter().enumerate();
        let messages: Vec<_> = messages.map(|(place, it)| self.message(place, it)).collect();
        let claims = self.operators.iter().zip(signatures).enumerate();
        let claims: Vec<_> = claims
            .map(|(place, (operator, partials))| {
                let authorisation = operator.authorisation.as_ref()?;
                let claim = || {
                    authorisation.parts(keys, 1)?;
                    let signature = Authorisation::conclude(partials)?;
                    let sums = sums.ok_or(AuthorisationError::NoKeys)?;
                    Ok(Signed { key: sums.operators[place], message: &messages[place], signature })
                };
                Some(claim())
            })
            .collect();
        let valid: Vec<_> = claims.iter().flatten().flatten().copied().collect();
        let all_hold = bls::verify_all(Domain::AUTHORISATION, &valid);
        let verdict = |(place, claim): (usize, Option<Result<Signed<'_>, AuthorisationError>>)| {
            let verified =
                claim?.and_then(|claim| match all_hold || claim.verifies(Domain::AUTHORISATION) {
                    true => Ok(()),
                    false => Err(self.culprit(keys, place, &messages[place])),
                });
            Some(verified.map_err(|why| why.to_string()))
        };
        claims.into_iter().enumerate().map(verdict).collect()
    }

    fn culprit(&self, keys: &Keys<'_>, place: usize, message: &[u8]) -> AuthorisationError {
        let authorisation = self.operators[place].authorisation.as_ref();
        let culprit = authorisation.and_then(|it| it.culprit(keys, index(place), message));
        culprit.map_or(AuthorisationError::Combined, AuthorisationError::Share)
    }

    fn message(&self, place: usize, operator: &Operator) -> Vec<u8> {
        message(&self.cluster, index(place), operator.record.public_key())
    }
}

const SHAPE: &str = "key shares";

fn index(place: usize) -> OperatorIndex {
    OperatorIndex(u8::try_from(place).expect("at most 256 operators"))
}
