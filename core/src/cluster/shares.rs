//! The keys of a cluster's validators and their shares: whether they are points of the group,
//! differ, and lie on the polynomials that they are said to be of.
//!
//! All of it is done in one weighted sum per operator. The weight t(v) of a validator follows from
//! the hash of every key in the file, so nobody can choose keys that take each other away. With
//! W(i) = Σ t(v) · share(v, i) of operator i, and W(0) of the validators' own keys:
//! - the shares of each validator lie on a polynomial of degree below the threshold, through its
//!   key at 0, exactly if Σ q(i) / Π (i − j) · W(i) is nothing, for a random polynomial q of the
//!   complementary degree (the dual code; Cascudo and David 2017, "SCRAPE", §2.1);
//! - W(i) is the key under which operator i's combined authorisation verifies (Boneh, Drijvers and
//!   Neven 2018), see [`authorisation`](super::authorisation).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::check::Check;
use crate::keys::bls::{self, KeySum, PointError, PublicKey, Scalar, Weight};

/// The most validators that a cluster has (charon's SSZ list limit).
pub const VALIDATORS_MAX: usize = 65_536;

/// A validator: what a file says of its keys, looked at by nobody yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Its key, compressed.
    pub public_key: [u8; 48],
    /// Its shares, compressed: operator i holds the value at i + 1.
    pub shares: Vec<[u8; 48]>,
}

/// The keys of a cluster: of each validator as many shares as there are operators.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    validators: &'a [Validator],
    operators: usize,
    threshold: usize,
    transcript: [u8; 32],
    wants_total: bool,
}

/// A validator that has another number of shares than there are operators, or a threshold that
/// there cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Another number of shares.
    Shares {
        /// The validator.
        validator: usize,
        /// Its shares.
        shares: usize,
        /// The operators.
        operators: usize,
    },
    /// The threshold is 0 or above the number of operators.
    Threshold {
        /// The threshold.
        threshold: usize,
        /// The operators.
        operators: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shares { validator, shares, operators } => write!(
                f,
                "validator {validator}: expected {operators} shares, one for each operator, found \
                 {shares}"
            ),
            Self::Threshold { threshold, operators } => {
                write!(f, "expected a threshold from 1 to {operators}, found {threshold}")
            }
        }
    }
}

impl std::error::Error for ShapeError {}

/// Some of the validators, to be looked at on a thread of its own.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    keys: Keys<'a>,
    range: Range<usize>,
}

/// The keys of a part, read: a column of the validators' own, then one of each operator's shares.
#[derive(Clone, Debug)]
pub struct Points<'a> {
    part: &'a Part<'a>,
    columns: Vec<Vec<PublicKey>>,
}

/// What came of a part.
#[derive(Clone, Debug)]
pub struct Partial {
    points: Vec<PointFault>,
    repeated: Vec<Repeated>,
    off: Vec<OffPolynomial>,
    sums: Option<Sums>,
}

/// Sums over validators.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Of every share of every operator, if that was wanted: what charon's signature aggregate
    /// verifies under.
    pub total: Option<KeySum>,
    /// Of each operator's shares, weighted: what its combined authorisation verifies under.
    pub operators: Vec<KeySum>,
}

/// What all parts came to.
#[derive(Clone, Debug)]
pub struct Concluded {
    /// Validator keys, distinct keys, share polynomials.
    pub checks: Vec<Check>,
    /// The sums, if every key is a point.
    pub sums: Option<Sums>,
}

/// A key of a validator: its own or an operator's share.
#[derive(Clone, Copy, Debug)]
struct Place {
    validator: usize,
    /// 0 for the validator's own, i + 1 for operator i's.
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "validator {}", self.validator)?;
        match self.column {
            0 => f.write_str(", its public key"),
            column => write!(f, ", share of operator {}", column - 1),
        }
    }
}

/// A key that is none.
#[derive(Clone, Copy, Debug)]
pub struct PointFault {
    place: Place,
    bytes: [u8; 48],
    why: PointError,
}

impl fmt::Display for PointFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected a public key, found {} (0x", self.place, self.why)?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[derive(Clone, Copy, Debug)]
struct Repeated(Place, Place);

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}: expected two keys, found one and the same", self.0, self.1)
    }
}

#[derive(Clone, Copy, Debug)]
struct OffPolynomial {
    validator: usize,
    threshold: usize,
    /// The only one without which the others fit.
    culprit: Option<Place>,
}

impl fmt::Display for OffPolynomial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { validator, threshold, culprit } = self;
        match culprit {
            Some(place) => write!(f, "{place}")?,
            None => write!(f, "validator {validator}")?,
        }
        write!(
            f,
            ": expected key and shares on one polynomial of degree {}, found one of another",
            threshold - 1
        )
    }
}

impl<'a> Keys<'a> {
    /// The keys of a cluster of this shape.
    ///
    /// # Errors
    /// [`ShapeError`]: the first validator that does not have it, or a threshold out of range.
    pub fn new(
        validators: &'a [Validator],
        operators: usize,
        threshold: usize,
    ) -> Result<Self, ShapeError> {
        if !(1..=operators).contains(&threshold) {
            return Err(ShapeError::Threshold { threshold, operators });
        }
        for (index, validator) in validators.iter().enumerate() {
            let shares = validator.shares.len();
            if shares != operators {
                return Err(ShapeError::Shares { validator: index, shares, operators });
            }
        }
        let mut hash = Sha256::new();
        hash.update(b"stayfound key shares");
        for count in [validators.len(), operators, threshold] {
            hash.update((count as u64).to_be_bytes());
        }
        for validator in validators {
            hash.update(validator.public_key);
            hash.update(validator.shares.as_flattened());
        }
        let transcript = hash.finalize().into();
        Ok(Self { validators, operators, threshold, transcript, wants_total: false })
    }

    /// The same, with the plain sum of all shares to be made on the way.
    #[must_use]
    pub fn with_total(self) -> Self {
        Self { wants_total: true, ..self }
    }

    /// The validators.
    #[must_use]
    pub fn validators(&self) -> &'a [Validator] {
        self.validators
    }

    /// The weights of these validators.
    #[must_use]
    pub fn weights(&self, range: Range<usize>) -> Vec<Weight> {
        bls::weights(b"validator", &self.transcript, range)
    }

    /// The work, in at most so many parts of equal size.
    #[must_use]
    pub fn parts(&self, count: usize) -> Vec<Part<'a>> {
        ranges(self.validators.len(), count).map(|range| Part { keys: *self, range }).collect()
    }

    /// What the parts came to, all of them, in any order.
    #[must_use]
    pub fn conclude(&self, partials: Vec<Partial>) -> Concluded {
        let (mut points, mut repeated, mut off) = (Vec::new(), self.repeated_keys(), Vec::new());
        let mut sums = None::<Sums>;
        for partial in partials {
            points.extend(partial.points);
            repeated.extend(partial.repeated);
            off.extend(partial.off);
            match (&mut sums, partial.sums) {
                (Some(sums), Some(more)) => sums.add(&more),
                (none, Some(more)) => *none = Some(more),
                (_, None) => {}
            }
        }
        points.sort_by_key(|fault| (fault.place.validator, fault.place.column));
        let polynomials = match points.is_empty() {
            true => Check::faultless(POLYNOMIALS, &off),
            false => Check::not_applicable(POLYNOMIALS, "some of the keys are none"),
        };
        let checks = vec![
            Check::faultless("validator keys", &points),
            Check::faultless("distinct keys", &repeated),
            polynomials,
        ];
        // A sum that lacks a term is none.
        Concluded { checks, sums: sums.filter(|_| points.is_empty()) }
    }

    /// How many more values than coefficients a polynomial has, its key's among them; at least one.
    fn redundancy(&self) -> usize {
        self.operators + 1 - self.threshold
    }

    /// For each place from 0 on the factor q(i) / Π (i − j), where q is a random polynomial of so
    /// many coefficients: as many as the [`redundancy`](Self::redundancy) or fewer.
    fn factors(&self, coefficients: usize) -> Vec<Scalar> {
        assert!(coefficients <= self.redundancy(), "of so high a degree it tells nothing");
        let random = bls::weights(b"polynomial", &self.transcript, 0..coefficients);
        let random: Vec<_> = random.iter().map(Scalar::from).collect();
        let places = 0..=self.operators as u64;
        let factor = |at: u64| {
            let others = places.clone().filter(|other| *other != at);
            let differences = others.map(|other| Scalar::from(at).minus(&Scalar::from(other)));
            let product = differences.fold(Scalar::from(1), |product, it| product.times(&it));
            Scalar::evaluate(&random, at).times(&product.inverse())
        };
        places.clone().map(factor).collect()
    }

    /// Validators that have one key.
    fn repeated_keys(&self) -> Vec<Repeated> {
        let keys = self.validators.iter().enumerate();
        let keys = keys.map(|(validator, it)| (Place { validator, column: 0 }, &it.public_key));
        repeated(keys)
    }
}

const POLYNOMIALS: &str = "share polynomials";

/// The numbers below `length` in at most `count` ranges, of which no two differ by more than one and
/// none is empty, unless it is the only one.
pub(super) fn ranges(length: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let count = count.clamp(1, length.max(1));
    (0..count).map(move |part| part * length / count..(part + 1) * length / count)
}

fn repeated<'k>(keys: impl Iterator<Item = (Place, &'k [u8; 48])>) -> Vec<Repeated> {
    let mut seen = BTreeMap::new();
    let again = |(place, key)| match seen.entry(key) {
        Entry::Occupied(first) => Some(Repeated(*first.get(), place)),
        Entry::Vacant(free) => {
            free.insert(place);
            None
        }
    };
    keys.filter_map(again).collect()
}

impl Sums {
    fn add(&mut self, more: &Self) {
        match (&mut self.total, &more.total) {
            (Some(total), Some(more)) => total.add(more),
            (None, None) => {}
            _ => unreachable!("parts of one cluster"),
        }
        assert_eq!(self.operators.len(), more.operators.len(), "parts of one cluster");
        for (sum, more) in self.operators.iter_mut().zip(&more.operators) {
            sum.add(more);
        }
    }
}

impl Part<'_> {
    /// Looks at the keys of these validators.
    #[must_use]
    pub fn run(&self) -> Partial {
        let repeated = self.range.clone().flat_map(|validator| {
            let shares = self.keys.validators[validator].shares.iter().enumerate();
            repeated(shares.map(|(at, key)| (Place { validator, column: at + 1 }, key)))
        });
        let repeated = repeated.collect();
        match self.read() {
            Err(points) => Partial { points, repeated, off: Vec::new(), sums: None },
            Ok(read) => {
                let (off, sums) = read.sum();
                Partial { points: Vec::new(), repeated, off, sums }
            }
        }
    }

    /// Decompresses the keys and looks whether they are in the group.
    ///
    /// # Errors
    /// [`PointFault`]: every key that is none.
    pub fn read(&self) -> Result<Points<'_>, Vec<PointFault>> {
        let mut faults = Vec::new();
        let mut columns = vec![Vec::with_capacity(self.range.len()); self.keys.operators + 1];
        for index in self.range.clone() {
            let validator = &self.keys.validators[index];
            let keys = std::iter::once(&validator.public_key).chain(&validator.shares);
            for ((column, points), bytes) in columns.iter_mut().enumerate().zip(keys) {
                match PublicKey::from_bytes(bytes) {
                    Ok(point) => points.push(point),
                    Err(why) => {
                        let place = Place { validator: index, column };
                        faults.push(PointFault { place, bytes: *bytes, why });
                    }
                }
            }
        }
        if faults.is_empty() { Ok(Points { part: self, columns }) } else { Err(faults) }
    }
}

impl Points<'_> {
    /// The sums of a part, and which of its validators are off their polynomials.
    fn sum(&self) -> (Vec<OffPolynomial>, Option<Sums>) {
        let Part { keys, range } = self.part;
        if range.is_empty() {
            return (Vec::new(), None);
        }
        let weighted = self.weigh();
        let factors = keys.factors(keys.redundancy());
        let off = match KeySum::combine(&weighted, &factors).is_infinity() {
            true => Vec::new(),
            false => self.off_polynomial(),
        };
        let total = || {
            let sums = self.columns[1..].iter().map(|column| KeySum::of(column));
            let sums = sums.map(|sum| sum.expect("the range is not empty"));
            sums.reduce(|mut total, sum| {
                total.add(&sum);
                total
            })
        };
        let total = if keys.wants_total { total() } else { None };
        (off, Some(Sums { total, operators: weighted[1..].to_vec() }))
    }

    /// The weighted sum of each column.
    #[must_use]
    pub fn weigh(&self) -> Vec<KeySum> {
        let weights = self.part.keys.weights(self.part.range.clone());
        self.columns.iter().map(|column| KeySum::weigh(column, &weights)).collect()
    }

    /// One by one, who is off.
    fn off_polynomial(&self) -> Vec<OffPolynomial> {
        let Part { keys, range } = self.part;
        let (check, locators) = (keys.factors(keys.redundancy()), self.locators());
        let off = range.clone().enumerate().filter_map(|(row, validator)| {
            let values: Vec<_> =
                self.columns.iter().map(|column| KeySum::from(&column[row])).collect();
            let threshold = keys.threshold;
            let culprit = || locate(&values, &locators).map(|column| Place { validator, column });
            (!KeySum::combine(&values, &check).is_infinity()).then(|| OffPolynomial {
                validator,
                threshold,
                culprit: culprit(),
            })
        });
        let off: Vec<_> = off.collect();
        assert!(!off.is_empty(), "a sum of polynomials of low degree is one");
        off
    }

    /// Factors with a polynomial q, and with x · q.
    fn locators(&self) -> [Vec<Scalar>; 2] {
        let keys = self.part.keys;
        // Of one value more than the coefficients, any could be the one that is off.
        let first = keys.factors(keys.redundancy() - 1);
        let second = (0..).zip(&first).map(|(at, factor)| factor.times(&Scalar::from(at)));
        [first.clone(), second.collect()]
    }
}

/// Which one value is off: if it is the only one, its place is the ratio of the two sums (as in a
/// Reed-Solomon code). It costs two sums, however many places there are.
fn locate(values: &[KeySum], [first, second]: &[Vec<Scalar>; 2]) -> Option<usize> {
    let first = KeySum::combine(values, first);
    if first.is_infinity() {
        return None;
    }
    let second = KeySum::combine(values, second);
    let mut multiple = None::<KeySum>; // of the first sum, from 0 on
    (0..values.len()).find(|_| {
        let found = multiple.map_or_else(|| second.is_infinity(), |multiple| multiple == second);
        match &mut multiple {
            Some(multiple) => multiple.add(&first),
            None => multiple = Some(first),
        }
        found
    })
}
