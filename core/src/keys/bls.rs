//! BLS12-381 with 48-byte public keys (G1) and 96-byte signatures (G2), as Ethereum's validators
//! use it: by the library `blst`, without its thread pool.
//!
//! What has one of these types has been checked: a [`PublicKey`] or [`Signature`] is on the curve,
//! in the subgroup of prime order and not infinity. Sums may be infinity, and verify nothing then.

use std::fmt;

use blst::min_pk::{self, AggregatePublicKey, AggregateSignature};
use blst::{BLST_ERROR, MultiPoint, Pairing, blst_fp12, blst_p1_affine, blst_p2_affine};
use sha2::{Digest, Sha256};

mod scalar;

pub use scalar::Scalar;

/// How many bits a weight has: who grinds for a sum that verifies by chance tries 2^128 times.
pub const WEIGHT_BITS: usize = 128;

/// A factor that nobody could choose: little endian.
pub type Weight = [u8; WEIGHT_BITS / 8];

/// What a signature is for: no signature of one domain is valid in another (RFC 9380 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(&'static [u8]);

impl Domain {
    /// Ethereum's consensus layer, and charon's lock hash.
    pub const ETH2: Self = Self(b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_");

    /// Key shares that authorise an ENR key: here alone.
    pub const AUTHORISATION: Self =
        Self(b"STAYFOUND-AUTHORISATION-V01-CS01-with-BLS12381G2_XMD:SHA-256_SSWU_RO_");
}

/// Why bytes are no point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointError {
    /// Not the compressed encoding, or a coordinate out of range.
    Encoding,
    /// No point of the curve.
    NotOnCurve,
    /// A point outside the subgroup of prime order.
    NotInGroup,
    /// The point at infinity.
    Infinity,
    /// A secret scalar must be above zero and below the order.
    ScalarOutOfRange,
}

impl fmt::Display for PointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "not the compressed encoding of a point",
            Self::NotOnCurve => "no point of BLS12-381",
            Self::NotInGroup => "a point outside the subgroup of prime order",
            Self::Infinity => "the point at infinity",
            Self::ScalarOutOfRange => "zero or not below the order of BLS12-381",
        })
    }
}

impl std::error::Error for PointError {}

impl From<BLST_ERROR> for PointError {
    fn from(error: BLST_ERROR) -> Self {
        match error {
            BLST_ERROR::BLST_BAD_ENCODING => Self::Encoding,
            BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Self::NotOnCurve,
            BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Self::NotInGroup,
            BLST_ERROR::BLST_PK_IS_INFINITY => Self::Infinity,
            other => unreachable!("reading a point ends otherwise: {other:?}"),
        }
    }
}

/// A secret key: a share of a validator's, or a validator's own. Erased when dropped.
// On the heap: whoever moves a key moves a pointer, and leaves no copy of the scalar behind.
#[derive(Clone)]
pub struct SecretKey(Box<min_pk::SecretKey>);

impl SecretKey {
    /// The key with this scalar, 32 bytes big endian.
    ///
    /// # Errors
    /// [`PointError::ScalarOutOfRange`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PointError> {
        let key = min_pk::SecretKey::from_bytes(bytes);
        key.map(|key| Self(Box::new(key))).map_err(|_| PointError::ScalarOutOfRange)
    }

    /// 32 bytes big endian. Whoever takes them erases them.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.sk_to_pk())
    }

    /// Signs a message of any length.
    #[must_use]
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        Signature(self.0.sign(message, domain.0, &[]))
    }

    /// Σ weight · key: signs at once what the keys would sign each. `None` if that is zero.
    #[must_use]
    pub fn weigh(keys: &[Self], weights: &[Weight]) -> Option<Self> {
        assert_eq!(keys.len(), weights.len(), "a weight for each key");
        let terms = keys.iter().zip(weights);
        let terms = terms.map(|(key, weight)| Scalar::from_secret(key).times(&weight.into()));
        terms.fold(Scalar::from(0), |sum, term| sum.plus(&term)).to_secret()
    }

    /// Shamir's shares of the first coefficient: the value at 1 to `count` of the polynomial with
    /// these coefficients, as many as the threshold. `None` if a share is zero, which never happens
    /// to coefficients drawn at random.
    #[must_use]
    pub fn split(coefficients: &[Self], count: usize) -> Option<Vec<Self>> {
        assert!((1..=count).contains(&coefficients.len()), "a threshold from 1 to the count");
        let coefficients: Vec<_> = coefficients.iter().map(Scalar::from_secret).collect();
        (1..=count as u64).map(|at| Scalar::evaluate(&coefficients, at).to_secret()).collect()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bls::SecretKey(of {})", self.public_key())
    }
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(min_pk::PublicKey);

impl PublicKey {
    /// From 48 bytes, compressed.
    ///
    /// # Errors
    /// [`PointError`].
    pub fn from_bytes(bytes: &[u8; 48]) -> Result<Self, PointError> {
        let point = min_pk::PublicKey::uncompress(bytes)?;
        point.validate()?;
        Ok(Self(point))
    }

    /// 48 bytes, compressed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 48] {
        self.0.compress()
    }

    /// Whether `signature` is this key's over the message.
    #[must_use]
    pub fn verifies(&self, domain: Domain, message: &[u8], signature: &Signature) -> bool {
        KeySum::from(self).verifies(domain, message, signature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bls::PublicKey({self})")
    }
}

/// A sum of public keys.
#[derive(Clone, Copy, Debug)]
pub struct KeySum(AggregatePublicKey);

impl KeySum {
    /// Σ key. `None` of none.
    #[must_use]
    pub fn of(keys: &[PublicKey]) -> Option<Self> {
        let keys: Vec<_> = keys.iter().map(|key| &key.0).collect();
        AggregatePublicKey::aggregate(&keys, false).ok().map(Self)
    }

    /// Σ weight · key.
    #[must_use]
    pub fn weigh(keys: &[PublicKey], weights: &[Weight]) -> Self {
        assert_eq!(keys.len(), weights.len(), "a weight for each key");
        let points: Vec<_> = keys.iter().map(|key| key.0).collect();
        Self(points.mult(weights.as_flattened(), WEIGHT_BITS))
    }

    /// Σ scalar · sum.
    #[must_use]
    pub fn combine(sums: &[Self], scalars: &[Scalar]) -> Self {
        assert_eq!(sums.len(), scalars.len(), "a scalar for each sum");
        let points: Vec<_> = sums.iter().map(|sum| sum.0.to_public_key()).collect();
        let scalars: Vec<_> = scalars.iter().map(Scalar::to_little_endian).collect();
        Self(points.mult(scalars.as_flattened(), Scalar::BITS))
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.0.add_aggregate(&other.0);
    }

    /// Whether it is the point at infinity.
    #[must_use]
    pub fn is_infinity(&self) -> bool {
        self.0.to_public_key() == min_pk::PublicKey::default()
    }

    /// Whether `signature` is this sum's over the message. Tells something of its keys only where
    /// none of them could be chosen so that it takes the others away: with weights that depend on
    /// all of them (Boneh, Drijvers, Neven 2018), or with a proof of possession of each.
    #[must_use]
    pub fn verifies(&self, domain: Domain, message: &[u8], signature: &Signature) -> bool {
        let mut pairing = Pairing::new(true, domain.0);
        let key: blst_p1_affine = self.0.to_public_key().into();
        let signature: blst_p2_affine = signature.0.into();
        let added = pairing.aggregate(&key, false, &signature, false, message, &[]);
        pairing.commit();
        added == BLST_ERROR::BLST_SUCCESS && pairing.finalverify(None)
    }
}

impl PartialEq for KeySum {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_public_key() == other.0.to_public_key()
    }
}

impl Eq for KeySum {}

impl From<&PublicKey> for KeySum {
    fn from(key: &PublicKey) -> Self {
        Self(AggregatePublicKey::from_public_key(&key.0))
    }
}

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(min_pk::Signature);

impl Signature {
    /// From 96 bytes, compressed.
    ///
    /// # Errors
    /// [`PointError`].
    pub fn from_bytes(bytes: &[u8; 96]) -> Result<Self, PointError> {
        let point = min_pk::Signature::uncompress(bytes)?;
        point.validate(true)?;
        Ok(Self(point))
    }

    /// 96 bytes, compressed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 96] {
        self.0.compress()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bls::Signature(0x")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A sum of signatures.
#[derive(Clone, Copy, Debug)]
pub struct SignatureSum(AggregateSignature);

impl SignatureSum {
    /// Σ weight · signature.
    #[must_use]
    pub fn weigh(signatures: &[Signature], weights: &[Weight]) -> Self {
        assert_eq!(signatures.len(), weights.len(), "a weight for each signature");
        let points: Vec<_> = signatures.iter().map(|signature| signature.0).collect();
        Self(points.mult(weights.as_flattened(), WEIGHT_BITS))
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.0.add_aggregate(&other.0);
    }

    /// The sum as a signature: `None` if it is the point at infinity.
    #[must_use]
    pub fn signature(&self) -> Option<Signature> {
        let point = self.0.to_signature();
        (point != blst_p2_affine::default().into()).then_some(Signature(point))
    }
}

/// One signature of a batch: who signed what.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The key.
    pub key: KeySum,
    /// The message.
    pub message: &'a [u8],
    /// The signature.
    pub signature: Signature,
}

impl Signed<'_> {
    /// Whether this one is valid.
    #[must_use]
    pub fn verifies(&self, domain: Domain) -> bool {
        self.key.verifies(domain, self.message, &self.signature)
    }
}

/// Whether all of them are valid, by one pairing of their weighted sum: what is false passes only
/// if somebody guesses the weights, which depend on all that is looked at. True of none.
#[must_use]
pub fn verify_all(domain: Domain, batch: &[Signed<'_>]) -> bool {
    if batch.is_empty() {
        return true;
    }
    let mut transcript = Sha256::new();
    for signed in batch {
        let key = signed.key.0.to_public_key();
        transcript.update(key.compress());
        transcript.update((signed.message.len() as u64).to_be_bytes());
        transcript.update(signed.message);
        transcript.update(signed.signature.to_bytes());
    }
    let weights = weights(b"batch", &transcript.finalize().into(), 0..batch.len());
    let signatures: Vec<_> = batch.iter().map(|signed| signed.signature).collect();
    let Some(sum) = SignatureSum::weigh(&signatures, &weights).signature() else {
        return false; // valid ones add up to nothing for one choice of weights in 2^128
    };
    let mut pairing = Pairing::new(true, domain.0);
    for (signed, weight) in batch.iter().zip(&weights) {
        let key: blst_p1_affine = signed.key.0.to_public_key().into();
        let no_signature = (); // their sum comes at the end
        let added = pairing.mul_n_aggregate(
            &key,
            false,
            &no_signature,
            false,
            weight,
            WEIGHT_BITS,
            signed.message,
            &[],
        );
        if added != BLST_ERROR::BLST_SUCCESS {
            return false;
        }
    }
    pairing.commit();
    let (sum, mut expected): (blst_p2_affine, _) = (sum.0.into(), blst_fp12::default());
    Pairing::aggregated(&mut expected, &sum);
    pairing.finalverify(Some(&expected))
}

/// The weights at these places that follow from a transcript, for one purpose.
#[must_use]
pub fn weights(
    purpose: &[u8],
    transcript: &[u8; 32],
    places: std::ops::Range<usize>,
) -> Vec<Weight> {
    let weight = |place: usize| {
        let mut hash = Sha256::new();
        hash.update(b"stayfound weight ");
        hash.update((purpose.len() as u64).to_be_bytes());
        hash.update(purpose);
        hash.update(transcript);
        hash.update((place as u64).to_be_bytes());
        let [weight, _]: [Weight; 2] =
            hash.finalize().as_chunks().0.try_into().expect("32 bytes are two weights");
        // Zero would take its key out of the sum.
        if weight == [0; 16] { 1u128.to_le_bytes() } else { weight }
    };
    places.map(weight).collect()
}
