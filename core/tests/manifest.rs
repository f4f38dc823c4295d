//! Manifests: one content, one file; who is authorised by it, and what a liar may try.

mod secrets;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use secrets::{Cluster, any_cluster, id, three_of_four};
use stayfound_core::cluster::OperatorIndex;
use stayfound_core::cluster::authorisation::{Authorisation, Authority, ClusterId, message, sign};
use stayfound_core::cluster::check::{Outcome, Verdict};
use stayfound_core::cluster::manifest::{AuthorisationFile, Document, DocumentError, Operator};
use stayfound_core::keys::SecretKey;
use stayfound_core::keys::bls::Domain;
use stayfound_core::record::{Endpoints, Signed};

fn enr(place: u8) -> Signed {
    Signed::sign(&SecretKey::from_bytes(&[place; 32]).unwrap(), 0, &Endpoints::default())
}

/// The document of a cluster, with nobody authorised.
fn document(cluster: &Cluster) -> Document {
    let operator = |place: usize| Operator {
        record: enr(place as u8 + 1),
        address: (place == 2).then_some([place as u8; 20]),
        authorisation: None,
    };
    Document {
        cluster: id(),
        name: "a \"name\" with\nevery sort of é".into(),
        threshold: cluster.threshold,
        require_authorisation: false,
        operators: (0..cluster.operators()).map(operator).collect(),
        validators: cluster.validators.clone(),
    }
}

fn authorisation(cluster: &Cluster, place: usize, record: &Signed) -> AuthorisationFile {
    let operator = OperatorIndex(place as u8);
    let said = message(&id(), operator, record.public_key());
    let authorisation = sign(&cluster.keys(), &cluster.of(place), &said).expect("not zero");
    AuthorisationFile { cluster: id(), operator, record: record.clone(), authorisation }
}

/// The same with everybody authorised.
fn authorised(cluster: &Cluster) -> Document {
    let mut document = document(cluster);
    for place in 0..cluster.operators() {
        let file = authorisation(cluster, place, &document.operators[place].record);
        document.take(file).expect("of this cluster");
    }
    document
}

fn has_passed(verdict: &Verdict) -> bool {
    verdict.failures().next().is_none()
}

fn outcome<'v>(verdict: &'v Verdict, name: &str) -> &'v Outcome {
    let check = verdict.checks.iter().find(|check| check.name == name);
    &check.unwrap_or_else(|| panic!("{name} is no check of {verdict:?}")).outcome
}

fn failure<'v>(verdict: &'v Verdict, name: &str) -> &'v str {
    match outcome(verdict, name) {
        Outcome::Failed(why) => why,
        other => panic!("{name} was to fail: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../proptest-regressions/manifest.txt"
        )))),
        ..ProptestConfig::with_cases(32)
    })]

    #[test]
    fn what_is_written_is_read(cluster in any_cluster(), is_authorised in any::<bool>()) {
        let mut document = if is_authorised { authorised(&cluster) } else { document(&cluster) };
        document.require_authorisation = is_authorised;
        prop_assert_eq!(Document::read(&document.to_json()), Ok(document.clone()));
        let verdict = document.verify();
        prop_assert!(has_passed(&verdict), "{:?}", verdict);
        let authority = if is_authorised { Authority::Shares } else { Authority::Lock };
        prop_assert_eq!(&verdict.authorities, &vec![authority; cluster.operators()]);
        let manifest = document.manifest().expect("a cluster").with_verdict(&verdict);
        prop_assert!(manifest.operators().iter().all(|operator| operator.authority == authority));
    }

    /// However the work is cut, the verdict is the same.
    #[test]
    fn parts_come_to_one_verdict(
        cluster in any_cluster(),
        parts in 1usize..9,
        spoilt in any::<prop::sample::Index>(),
    ) {
        let mut document = authorised(&cluster);
        let each = |place: usize| {
            let operator = OperatorIndex(place as u8);
            let said = message(&id(), operator, document.operators[place].record.public_key());
            let secrets = cluster.of(place);
            let each = secrets.iter().map(|it| it.sign(Domain::AUTHORISATION, &said).to_bytes());
            Authorisation::Each(each.collect())
        };
        let all: Vec<_> = (0..cluster.operators()).map(each).collect();
        for (operator, each) in document.operators.iter_mut().zip(all) {
            operator.authorisation = Some(each);
        }
        let spoilt = spoilt.index(cluster.operators() + 1);
        if spoilt > 0 {
            document.operators[spoilt - 1].authorisation = Some(Authorisation::Combined([7; 96]));
        }
        let partials = document.parts(parts).iter().rev().map(|part| part.run()).collect();
        let verdict = document.conclude(partials);
        prop_assert_eq!(&verdict, &document.verify());
        prop_assert_eq!(has_passed(&verdict), spoilt == 0);
    }

    /// No byte of a manifest can change.
    #[test]
    fn a_changed_byte_is_refused(
        cluster in any_cluster(),
        place in any::<prop::sample::Index>(),
        change in 1u8..=255,
    ) {
        let mut json = authorised(&cluster).to_json();
        let place = place.index(json.len());
        json[place] ^= change;
        prop_assert!(Document::read(&json).is_err(), "byte {}", place);
    }

    #[test]
    fn a_cut_or_longer_file_is_refused(
        cluster in any_cluster(),
        place in any::<prop::sample::Index>(),
        more in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        let json = authorised(&cluster).to_json();
        prop_assert!(Document::read(&json[..place.index(json.len())]).is_err());
        prop_assert!(Document::read(&[json, more].concat()).is_err());
    }

    /// Somebody who changes a field and makes the hash anew is caught by the shares.
    #[test]
    fn an_altered_content_is_refused(
        cluster in any_cluster(),
        place in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        what in 0..5,
    ) {
        let mut document = authorised(&cluster);
        document.require_authorisation = true;
        let place = place.index(document.operators.len());
        match what {
            0 => document.operators[place].record = enr(200),
            1 => document.cluster = ClusterId::Own([7; 32]),
            2 => {
                let validator = other.index(document.validators.len());
                document.validators[validator].shares[place] =
                    cluster.secrets[validator][place].sign(Domain::ETH2, b"").to_bytes()[..48]
                        .try_into().unwrap();
            }
            3 => {
                let authorisation = document.operators[place].authorisation.clone();
                let other = (place + 1) % document.operators.len();
                prop_assume!(other != place);
                document.operators[other].authorisation = authorisation;
            }
            _ => {
                prop_assume!(document.validators.len() > 1);
                document.validators.swap(0, 1);
            }
        }
        let read = Document::read(&document.to_json()).expect("well formed");
        prop_assert!(!has_passed(&read.verify()), "{:?}", read.verify());
    }

    #[test]
    fn bytes_are_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Document::read(&bytes).is_err());
        prop_assert!(AuthorisationFile::read(&bytes).is_err());
    }
}

#[test]
fn authorisation_files_are_read_as_written() {
    let cluster = three_of_four();
    let file = authorisation(&cluster, 2, &enr(3));
    assert_eq!(AuthorisationFile::read(&file.to_json()), Ok(file));
}

#[test]
fn an_authorisation_of_another_cluster_is_refused() {
    let cluster = three_of_four();
    let mut document = document(&cluster);
    let before = document.clone();
    let mut file = authorisation(&cluster, 2, &enr(3));
    file.cluster = ClusterId::Lock { uuid: id().uuid().into(), hash: [9; 32] };
    let refused = DocumentError::OtherCluster { operator: OperatorIndex(2) };
    assert_eq!(document.take(file.clone()), Err(refused));
    // Relabelled, it is taken and does not verify.
    file.cluster = id();
    let said = message(&ClusterId::Own([9; 32]), OperatorIndex(2), enr(3).public_key());
    file.authorisation = sign(&cluster.keys(), &cluster.of(2), &said).unwrap();
    assert_eq!(document, before, "a refusal changes nothing");
    document.take(file).expect("it claims to be of this cluster");
    let verdict = document.verify();
    let why = failure(&verdict, "authorisation of operator 2");
    assert!(why.contains("expected a signature of this cluster, operator and ENR key"), "{why}");
    assert_eq!(verdict.authorities, [Authority::Lock; 4]);
    let mut file = authorisation(&cluster, 2, &enr(3));
    file.operator = OperatorIndex(4);
    let refused = DocumentError::NoOperator { operator: OperatorIndex(4), operators: 4 };
    assert_eq!(document.take(file), Err(refused));
}

/// The lost ENR key: the shares authorise a new one.
#[test]
fn a_new_key_takes_the_place_of_the_old() {
    let cluster = three_of_four();
    let mut document = authorised(&cluster);
    document.take(authorisation(&cluster, 2, &enr(77))).expect("of this cluster");
    let verdict = document.verify();
    assert!(has_passed(&verdict), "{verdict:?}");
    let manifest = document.manifest().expect("a cluster").with_verdict(&verdict);
    assert!(manifest.by_node_id(&enr(3).node_id()).is_none(), "the old key has no authority");
    let operator = manifest.by_node_id(&enr(77).node_id()).expect("the new one has");
    assert_eq!((operator.index, operator.authority), (OperatorIndex(2), Authority::Shares));
}

/// The holder of one share of each validator signs for another's ENR key.
#[test]
fn the_shares_of_another_operator_authorise_nothing() {
    let cluster = three_of_four();
    let mut document = authorised(&cluster);
    let said = message(&id(), OperatorIndex(1), enr(99).public_key());
    document.operators[1].record = enr(99);
    document.operators[1].authorisation = sign(&cluster.keys(), &cluster.of(3), &said);
    failure(&document.verify(), "authorisation of operator 1");
}

#[test]
fn authorisation_can_be_demanded() {
    let cluster = three_of_four();
    let mut document = authorised(&cluster);
    document.operators[1].authorisation = None;
    let verdict = document.verify();
    assert!(has_passed(&verdict));
    let expected = [Authority::Shares, Authority::Lock, Authority::Shares, Authority::Shares];
    assert_eq!(verdict.authorities, expected);
    let outcome = outcome(&verdict, "authorisation of operator 1");
    assert!(matches!(outcome, Outcome::NotApplicable(_)), "{outcome:?}");
    document.require_authorisation = true;
    let verdict = document.verify();
    let why = failure(&verdict, "required authorisation");
    assert!(why.starts_with("operator 1: expected its key shares' authorisation"), "{why}");
}

#[test]
fn every_failure_says_where() {
    let cluster = three_of_four();
    let mut document = authorised(&cluster);
    document.validators[1].shares.pop();
    let verdict = document.verify();
    assert!(failure(&verdict, "key shares").starts_with("validator 1: expected 4 shares"));
    let mut document = authorised(&cluster);
    document.operators[2].record = document.operators[0].record.clone();
    let why = failure(&document.verify(), "operator keys").to_owned();
    assert_eq!(why, "operators 0 and 2 have one and the same key");
    let mut document = authorised(&cluster);
    document.validators[2].shares[1] = cluster.validators[0].shares[1];
    let verdict = document.verify();
    let why = failure(&verdict, "share polynomials");
    assert!(why.starts_with("validator 2, share of operator 1: expected"), "{why}");
    assert_eq!(verdict.authorities, [Authority::Lock; 4], "nobody, in a cluster that is unsound");
    let mut document = authorised(&cluster);
    let said = message(&id(), OperatorIndex(0), enr(1).public_key());
    let mut each: Vec<_> =
        cluster.of(0).iter().map(|it| it.sign(Domain::AUTHORISATION, &said).to_bytes()).collect();
    each[1] = each[0];
    document.operators[0].authorisation = Some(Authorisation::Each(each.clone()));
    let why = failure(&document.verify(), "authorisation of operator 0").to_owned();
    assert!(why.starts_with("validator 1: expected"), "{why}");
    each.pop();
    document.operators[0].authorisation = Some(Authorisation::Each(each));
    let why = failure(&document.verify(), "authorisation of operator 0").to_owned();
    assert_eq!(why, "expected 3 signatures, one for each validator, found 2");
}

#[test]
fn nobody_authorises_where_there_are_no_validators() {
    let mut document = authorised(&three_of_four());
    document.validators.clear();
    for authorisation in [Authorisation::Each(vec![]), Authorisation::Combined([7; 96])] {
        document.operators[1].authorisation = Some(authorisation);
        let verdict = document.verify();
        let why = failure(&verdict, "authorisation of operator 1");
        assert_eq!(why, "expected validators whose keys are points, found none");
        assert_eq!(verdict.authorities, [Authority::Lock; 4]);
    }
}

/// What a person may have done to the file: the error names the field.
#[test]
fn errors_name_the_field() {
    let json = String::from_utf8(authorised(&three_of_four()).to_json()).unwrap();
    let share = json.lines().find(|line| line.starts_with("        \"0x")).unwrap().trim();
    for (from, to, expected) in [
        ("\"threshold\": 3", "\"threshold\": \"3\"", "the field threshold: invalid type: string"),
        ("\"threshold\": 3", "\"threshold\": 0", "threshold 0 is not within 1 to 4"),
        ("\"threshold\": 3", "\"threshold\": 5", "threshold 5 is not within 1 to 4"),
        ("\"threshold\": 3", "\"threshold\": 2", "the field hash: expected 0x"),
        ("\"threshold\": 3", "\"quorum\": 3", "unknown field `quorum`"),
        ("\"index\": 2", "\"index\": 3", "operators[2].index: expected 2, found 3"),
        ("stayfound/1", "stayfound/2", "expected \"stayfound/1\", found \"stayfound/2\""),
        ("\"threshold\": 3", "\"threshold\":  3", "the file is not written as"),
        ("\"lock_hash\": ", "\"id\": ", "the field cluster: expected uuid and lock_hash, or id"),
        (share, "\"0x12\"", "validators[0].shares[0]: expected 0x and 96 hex digits, found 4"),
        ("\"enr\": \"enr:", "\"enr\": \"enr:!", "operators[0].enr is no node record"),
    ] {
        assert!(json.contains(from), "{from}");
        let error = Document::read(json.replacen(from, to, 1).as_bytes()).expect_err(to);
        assert!(error.to_string().contains(expected), "{to}: {error}");
    }
}

#[test]
fn what_an_error_quotes_is_short_and_printable() {
    let json = String::from_utf8(authorised(&three_of_four()).to_json()).unwrap();
    let long = "x".repeat(1 << 20);
    for (member, key) in [
        ("threshold", "\\u001b[2J"),
        ("index", "\\u001b[2J"),
        ("combined", "\\u0007"),
        ("public_key", long.as_str()),
    ] {
        let altered = json.replacen(&format!("\"{member}\""), &format!("\"{key}\""), 1);
        assert_ne!(altered, json);
        let error = Document::read(altered.as_bytes()).expect_err(member).to_string();
        assert!(!error.contains(char::is_control) && error.len() < 2_000, "{error:?}");
    }
}

#[test]
fn counts_have_limits() {
    let full = authorised(&three_of_four());
    let mut none = full.clone();
    none.operators.clear();
    let error = Document::read(&none.to_json()).unwrap_err();
    assert_eq!(
        error.to_string().split(';').next(),
        Some("this makes no cluster: a cluster has 1 to 256 operators, not 0")
    );
    let mut many = full.clone();
    many.operators = vec![many.operators[0].clone(); 257];
    let error = Document::read(&many.to_json()).unwrap_err();
    assert!(error.to_string().contains("operators: expected at most 256, found more"), "{error}");
    let mut many = full;
    many.validators = vec![many.validators[0].clone(); 65_537];
    let error = Document::read(&many.to_json()).unwrap_err();
    assert!(error.to_string().contains("validators: expected at most 65536"), "{error}");
}

/// A cluster that is of no lock has an id of its own.
#[test]
fn a_cluster_may_have_an_id_of_its_own() {
    let mut document = document(&three_of_four());
    document.cluster = ClusterId::Own([9; 32]);
    assert_eq!(Document::read(&document.to_json()), Ok(document));
}
