//! Key shares and the authorisations that they sign: what holds of any cluster, and what a liar
//! may try.

use blst::MultiPoint;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use secrets::{Cluster, any_cluster, id, three_of_four};
use sha2::{Digest, Sha256};
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::cluster::authorisation::{
    Authorisation, AuthorisationError, ClusterId, message, sign,
};
use stayfound_core::cluster::check::Outcome;
use stayfound_core::cluster::shares::{Concluded, Keys, ShapeError};
use stayfound_core::keys;
use stayfound_core::keys::bls::{Domain, SecretKey, Signature, SignatureSum, Signed};

mod secrets;

trait Conclude {
    fn conclude(&self, parts: usize) -> Concluded;
    fn verify(
        &self,
        authorisation: &Authorisation,
        operator: usize,
        message: &[u8],
        parts: usize,
    ) -> Result<(), AuthorisationError>;
}

impl Conclude for Cluster {
    fn conclude(&self, parts: usize) -> Concluded {
        let keys = self.keys().with_total();
        let parts = keys.parts(parts);
        keys.conclude(parts.iter().rev().map(|part| part.run()).collect())
    }

    /// Whether this authorises the message for the operator.
    fn verify(
        &self,
        authorisation: &Authorisation,
        operator: usize,
        message: &[u8],
        parts: usize,
    ) -> Result<(), AuthorisationError> {
        let sums = self.conclude(parts).sums.expect("the keys are points");
        let keys = self.keys();
        let parts = authorisation.parts(&keys, parts)?;
        let signature = Authorisation::conclude(parts.iter().map(|part| part.run()))?;
        let signed = Signed { key: sums.operators[operator], message, signature };
        signed.verifies(Domain::AUTHORISATION).then_some(()).ok_or(AuthorisationError::Combined)
    }
}

fn all_passed(concluded: &Concluded) -> bool {
    concluded.checks.iter().all(|check| check.outcome == Outcome::Passed)
}

fn enr_key(place: u8) -> keys::PublicKey {
    keys::SecretKey::from_bytes(&[place; 32]).expect("in range").public_key()
}

fn failure(concluded: &Concluded, name: &str) -> String {
    let check = concluded.checks.iter().find(|check| check.name == name).expect("it is there");
    match &check.outcome {
        Outcome::Failed(why) => why.clone(),
        other => panic!("{name} was to fail: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/shares.txt"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_split_lies_on_polynomials(cluster in any_cluster(), parts in 1usize..6) {
        let concluded = cluster.conclude(parts);
        prop_assert!(all_passed(&concluded), "{:?}", concluded.checks);
    }

    /// However the work is cut, the sums are the same.
    #[test]
    fn parts_add_up(cluster in any_cluster(), parts in 2usize..6) {
        let [one, many] = [1, parts].map(|parts| cluster.conclude(parts).sums.expect("points"));
        let [one, many] = [one, many].map(|sums| sums.total.expect("it was wanted"));
        let all = SecretKey::weigh(
            &cluster.secrets.concat(),
            &vec![1u128.to_le_bytes(); cluster.secrets.len() * cluster.operators()],
        );
        if let Some(all) = all {
            let signature = all.sign(Domain::ETH2, b"lock");
            prop_assert!(one.verifies(Domain::ETH2, b"lock", &signature));
            prop_assert!(many.verifies(Domain::ETH2, b"lock", &signature));
        }
    }

    /// Any two shares of a validator, or the shares of two validators, changed places.
    #[test]
    fn swapped_shares_are_told(
        cluster in any_cluster(),
        validator in any::<prop::sample::Index>(),
        places in any::<[prop::sample::Index; 2]>(),
    ) {
        let mut cluster = cluster;
        let operators = cluster.operators();
        let [a, b] = places.map(|place| place.index(operators));
        // Where all must sign, any shares lie on some polynomial of so high a degree, and two that
        // changed places may even lie on one through the key: (−1)^i · C(n, i) can be the same.
        prop_assume!(a != b && cluster.threshold < operators);
        let validator = validator.index(cluster.validators.len());
        cluster.validators[validator].shares.swap(a, b);
        let why = failure(&cluster.conclude(2), "share polynomials");
        prop_assert!(why.contains(&format!("validator {validator}")), "{why}");
    }

    /// One key, or two, that are not of their polynomial: only who is off alone can be named.
    #[test]
    fn who_alone_is_off_is_named(
        cluster in any_cluster(),
        validator in any::<prop::sample::Index>(),
        places in any::<[prop::sample::Index; 2]>(),
    ) {
        let mut cluster = cluster;
        let operators = cluster.operators();
        prop_assume!(cluster.threshold < operators);
        let validator = validator.index(cluster.validators.len());
        let places = places.map(|place| place.index(operators + 1));
        for place in places {
            let stranger = SecretKey::from_bytes(&[9 + place as u8; 32]).unwrap();
            let stranger = stranger.public_key().to_bytes();
            match place {
                0 => cluster.validators[validator].public_key = stranger,
                _ => cluster.validators[validator].shares[place - 1] = stranger,
            }
        }
        let why = failure(&cluster.conclude(2), "share polynomials");
        let named = match (places[0] == places[1], places[0]) {
            (false, _) => String::new(),
            (true, 0) => ", its public key".into(),
            (true, place) => format!(", share of operator {}", place - 1),
        };
        let begin = format!("validator {validator}{named}: expected");
        prop_assert!(why.starts_with(&begin), "{why}");
    }

    #[test]
    fn shares_authorise_their_message_alone(
        cluster in any_cluster(),
        operator in any::<prop::sample::Index>(),
        parts in 1usize..4,
    ) {
        let operator = operator.index(cluster.operators());
        let index = OperatorIndex(operator as u8);
        let said = message(&id(), index, &enr_key(1));
        let secrets = cluster.of(operator);
        let combined = sign(&cluster.keys(), &secrets, &said).expect("not zero");
        let each = secrets.iter().map(|it| it.sign(Domain::AUTHORISATION, &said).to_bytes());
        let each = Authorisation::Each(each.collect());
        for authorisation in [&combined, &each] {
            prop_assert_eq!(cluster.verify(authorisation, operator, &said, parts), Ok(()));
            let other_hash = ClusterId::Lock { uuid: "6F7A".into(), hash: [8; 32] };
            let other_uuid = ClusterId::Lock { uuid: "6F7B".into(), hash: [7; 32] };
            for other in [
                message(&id(), index, &enr_key(2)),
                message(&id(), OperatorIndex(index.0 + 1), &enr_key(1)),
                message(&other_hash, index, &enr_key(1)),
                message(&other_uuid, index, &enr_key(1)),
                message(&ClusterId::Own([7; 32]), index, &enr_key(1)),
            ] {
                let verdict = cluster.verify(authorisation, operator, &other, parts);
                prop_assert_eq!(verdict, Err(AuthorisationError::Combined));
            }
            for other in (0..cluster.operators()).filter(|other| *other != operator) {
                let verdict = cluster.verify(authorisation, other, &said, parts);
                prop_assert_eq!(verdict, Err(AuthorisationError::Combined));
            }
        }
    }

    #[test]
    fn the_culprit_among_signatures_is_named(
        cluster in any_cluster(),
        culprit in any::<prop::sample::Index>(),
    ) {
        let said = message(&id(), OperatorIndex(0), &enr_key(1));
        let mut each: Vec<_> = cluster.of(0).iter()
            .map(|it| it.sign(Domain::AUTHORISATION, &said).to_bytes()).collect();
        let culprit = culprit.index(each.len());
        each[culprit] = cluster.of(0)[culprit].sign(Domain::ETH2, &said).to_bytes();
        let each = Authorisation::Each(each);
        prop_assert_eq!(cluster.verify(&each, 0, &said, 2), Err(AuthorisationError::Combined));
        prop_assert_eq!(each.culprit(&cluster.keys(), OperatorIndex(0), &said), Some(culprit));
    }
}

#[test]
fn a_share_of_another_is_named() {
    let mut cluster = three_of_four();
    cluster.validators[1].shares[2] =
        SecretKey::from_bytes(&[9; 32]).unwrap().public_key().to_bytes();
    let why = failure(&cluster.conclude(2), "share polynomials");
    assert!(why.starts_with("validator 1, share of operator 2: expected"), "{why}");
    let mut cluster = three_of_four();
    cluster.validators[2].public_key = cluster.validators[0].shares[0];
    let why = failure(&cluster.conclude(2), "share polynomials");
    assert!(why.starts_with("validator 2, its public key: expected"), "{why}");
}

#[test]
fn bytes_that_are_no_key_are_named() {
    // x = 4 is on G1's curve and not in its subgroup; the last is the encoding of infinity.
    let mut outside = [0; 48];
    (outside[0], outside[47]) = (0x80, 4);
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    for (bytes, what) in [
        (outside, "outside the subgroup"),
        (infinity, "infinity"),
        ([0; 48], "not the compressed encoding"),
        ([0xff; 48], "not the compressed encoding"),
    ] {
        let mut cluster = three_of_four();
        cluster.validators[1].shares[3] = bytes;
        let concluded = cluster.conclude(1);
        let why = failure(&concluded, "validator keys");
        assert!(why.starts_with("validator 1, share of operator 3: "), "{why}");
        assert!(why.contains(what), "{why}");
        assert!(concluded.sums.is_none(), "a sum without a term is none");
    }
}

#[test]
fn repeated_keys_are_named() {
    let mut cluster = three_of_four();
    cluster.validators[1].shares[3] = cluster.validators[1].shares[0];
    let why = failure(&cluster.conclude(1), "distinct keys");
    assert!(
        why.starts_with("validator 1, share of operator 0 and validator 1, share of operator 3"),
        "{why}"
    );
    let mut cluster = three_of_four();
    cluster.validators[2] = cluster.validators[0].clone();
    let why = failure(&cluster.conclude(3), "distinct keys");
    assert!(why.contains("validator 0, its public key and validator 2, its public key"), "{why}");
}

#[test]
fn a_cluster_has_one_shape() {
    let mut cluster = three_of_four();
    cluster.validators[1].shares.pop();
    let error = ShapeError::Shares { validator: 1, shares: 3, operators: 4 };
    assert_eq!(Keys::new(&cluster.validators, 4, 3).unwrap_err(), error);
    for threshold in [0, 5, usize::MAX] {
        let error = ShapeError::Threshold { threshold, operators: 4 };
        assert_eq!(Keys::new(&cluster.validators, 4, threshold).unwrap_err(), error);
    }
}

/// Two signatures that are none, but whose plain sum is that of two that are.
#[test]
fn a_cancelling_pair_is_refused() {
    let cluster = three_of_four();
    let said = message(&id(), OperatorIndex(1), &enr_key(1));
    let one = 1u128.to_le_bytes();
    let mut honest: Vec<Signature> =
        cluster.of(1).iter().map(|it| it.sign(Domain::AUTHORISATION, &said)).collect();
    let sum = |all: &[Signature]| SignatureSum::weigh(all, &vec![one; all.len()]).signature();
    let honest_sum = sum(&honest);
    // s0 + x and s1 − x, where x = s0 − s1: they change places, which a plain sum cannot see.
    honest.swap(0, 1);
    assert_eq!(sum(&honest), honest_sum, "the plain sum is fooled");
    let pair = Authorisation::Each(honest.iter().map(Signature::to_bytes).collect());
    assert_eq!(cluster.verify(&pair, 1, &said, 1), Err(AuthorisationError::Combined));
    assert_eq!(pair.culprit(&cluster.keys(), OperatorIndex(1), &said), Some(0));
}

/// The plain sum of an operator's signatures is no authorisation, and neither is the signature of
/// a sum of keys in which an author's share takes the others away.
#[test]
fn a_plain_sum_is_refused() {
    let cluster = three_of_four();
    let said = message(&id(), OperatorIndex(1), &enr_key(1));
    let ones = vec![1u128.to_le_bytes(); 3];
    let sum = SecretKey::weigh(&cluster.of(1), &ones).unwrap().sign(Domain::AUTHORISATION, &said);
    let plain = Authorisation::Combined(sum.to_bytes());
    assert_eq!(cluster.verify(&plain, 1, &said, 1), Err(AuthorisationError::Combined));
}

#[test]
fn signatures_are_counted_and_read() {
    let cluster = three_of_four();
    let said = message(&id(), OperatorIndex(0), &enr_key(1));
    let good = cluster.of(0)[0].sign(Domain::AUTHORISATION, &said).to_bytes();
    let few = Authorisation::Each(vec![good; 2]);
    let count = AuthorisationError::Count { signatures: 2, validators: 3 };
    assert_eq!(cluster.verify(&few, 0, &said, 1), Err(count));
    let none = Authorisation::Each(vec![good, [0; 96], good]);
    let verdict = cluster.verify(&none, 0, &said, 3);
    assert!(matches!(verdict, Err(AuthorisationError::Point(Some(1), _))), "{verdict:?}");
    let verdict = cluster.verify(&Authorisation::Combined([0; 96]), 0, &said, 3);
    assert!(matches!(verdict, Err(AuthorisationError::Point(None, _))), "{verdict:?}");
}

#[test]
fn a_signature_of_the_consensus_layer_authorises_nothing() {
    let cluster = three_of_four();
    let keys = cluster.keys();
    let said = message(&id(), OperatorIndex(0), &enr_key(1));
    let all = SecretKey::weigh(&cluster.of(0), &keys.weights(0..3)).unwrap();
    let theirs = Authorisation::Combined(all.sign(Domain::ETH2, &said).to_bytes());
    assert_eq!(cluster.verify(&theirs, 0, &said, 1), Err(AuthorisationError::Combined));
}

/// Word for word from `docs/manifest.md`: what others sign and verify must stay the same.
#[test]
fn authorisations_are_what_the_documentation_says() {
    let (cluster, key) = (three_of_four(), enr_key(1));
    let text = b"stayfound/1: the holder of these validator key shares authorises the ENR public \
        key below to speak for this operator in this cluster, and nothing else";
    assert_eq!(text.len(), 150);
    let parts: [&[u8]; 7] =
        [text, &[0, 1], &4u64.to_be_bytes(), b"6F7A", &[7; 32], &[0, 2], key.as_bytes()];
    let said = message(&id(), OperatorIndex(2), &key);
    assert_eq!(said, parts.concat());
    let own = message(&ClusterId::Own([9; 32]), OperatorIndex(2), &key);
    assert_eq!(own, [&text[..], &[0, 2], &[9; 32], &[0, 2], key.as_bytes()].concat());

    let mut hash = Sha256::new_with_prefix("stayfound key shares");
    [3u64, 4, 3].iter().for_each(|count| hash.update(count.to_be_bytes()));
    for validator in &cluster.validators {
        hash.update(validator.public_key);
        validator.shares.iter().for_each(|share| hash.update(share));
    }
    let transcript = hash.finalize();
    let weight = |validator: u64| {
        let hash = Sha256::new_with_prefix("stayfound weight ")
            .chain_update(9u64.to_be_bytes())
            .chain_update("validator")
            .chain_update(transcript)
            .chain_update(validator.to_be_bytes());
        hash.finalize()[..16].to_vec()
    };
    let weights: Vec<u8> = (0..3).flat_map(weight).collect();
    let tag = b"STAYFOUND-AUTHORISATION-V01-CS01-with-BLS12381G2_XMD:SHA-256_SSWU_RO_";
    let signatures = cluster.of(2).into_iter().map(|secret| {
        let secret = blst::min_pk::SecretKey::from_bytes(&secret.to_bytes()).unwrap();
        secret.sign(&said, tag, &[])
    });
    let signatures: Vec<_> = signatures.collect();
    let combined = signatures.mult(&weights, 128).to_signature().compress();
    let ours = sign(&cluster.keys(), &cluster.of(2), &said);
    assert_eq!(ours, Some(Authorisation::Combined(combined)));
}
