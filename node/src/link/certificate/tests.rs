use rcgen::SerialNumber;
use rustls::crypto::ring::default_provider;

use super::*;

const NOW: u64 = 1_800_000_000; // 2027

fn secret(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("below the order of the curve")
}

fn verify_at(certificate: &CertificateDer<'_>, seconds: u64) -> Result<[u8; 33], Refusal> {
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let algorithms = default_provider().signature_verification_algorithms;
    let evidence = Evidence::read(certificate)?;
    evidence.check_validity(now)?;
    // As the verifier knows it of every key that it admits.
    let point = Point::from_bytes(evidence.claimed_key()).map_err(|_| Refusal::HostKeyMalformed)?;
    evidence.verify_signatures(&algorithms, &point.1)?;
    Ok(*evidence.claimed_key())
}

fn verify(certificate: &CertificateDer<'_>) -> Result<[u8; 33], Refusal> {
    verify_at(certificate, NOW)
}

fn certificate_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("randomness")
}

/// A certificate that lacks nothing, as the tests below spoil it.
fn params(key: &KeyPair, host: &SecretKey) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.custom_extensions = vec![host_key_extension(host, &key.subject_public_key_info())];
    params
}

fn signed(params: &CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
    params.self_signed(key).expect("it signs").der().clone()
}

fn with_extensions(key: &KeyPair, extensions: Vec<CustomExtension>) -> CertificateDer<'static> {
    sign(key, extensions).expect("it signs")
}

fn with_content(key: &KeyPair, content: Vec<u8>) -> CertificateDer<'static> {
    with_extensions(key, vec![CustomExtension::from_oid_content(HOST_KEY_ARCS, content)])
}

/// A SignedKey of any two fields.
fn signed_key(public_key: &[u8], signature: &[u8]) -> Vec<u8> {
    let fields = [der(DER_OCTET_STRING, public_key), der(DER_OCTET_STRING, signature)].concat();
    der(DER_SEQUENCE, &fields)
}

#[test]
fn a_certificate_proves_the_key_that_made_it() {
    let (certificate, _) = make(&secret(1)).expect("randomness");
    assert_eq!(verify(&certificate), Ok(*secret(1).public_key().as_bytes()));
    assert!(certificate.len() < CERTIFICATE_BYTES_MAX / 4, "{} bytes", certificate.len());
}

#[test]
fn a_certificate_on_p256_is_as_good() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("randomness");
    let certificate = signed(&params(&key, &secret(1)), &key);
    assert_eq!(verify(&certificate), Ok(*secret(1).public_key().as_bytes()));
}

#[test]
fn a_certificate_on_p384_is_refused() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("randomness");
    assert_eq!(verify(&signed(&params(&key, &secret(1)), &key)), Err(Refusal::Algorithm));
}

#[test]
fn a_certificate_is_valid_within_its_dates() {
    let key = certificate_key();
    let mut params = params(&key, &secret(1));
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    let certificate = signed(&params, &key);
    let (begin, end) = (1_767_225_600, 1_830_297_600);
    assert_eq!(verify_at(&certificate, begin - 1), Err(Refusal::NotYetValid));
    assert!(verify_at(&certificate, begin).is_ok());
    assert!(verify_at(&certificate, end).is_ok());
    assert_eq!(verify_at(&certificate, end + 1), Err(Refusal::Expired));
}

#[test]
fn our_own_certificate_outlives_any_clock() {
    let (certificate, _) = make(&secret(1)).expect("randomness");
    assert!(verify_at(&certificate, 200_000_000).is_ok(), "a clock that was reset to 1976");
    assert!(verify_at(&certificate, 60_000_000_000).is_ok(), "a clock in the year 3871");
    assert_eq!(verify_at(&certificate, u64::MAX), Err(Refusal::Expired));
}

#[test]
fn a_host_key_that_signed_another_certificate_key_proves_nothing() {
    let (key, other) = (certificate_key(), certificate_key());
    let extension = host_key_extension(&secret(1), &other.subject_public_key_info());
    assert_eq!(verify(&with_extensions(&key, vec![extension])), Err(Refusal::NotProved));
}

#[test]
fn a_signature_by_another_key_proves_nothing() {
    let key = certificate_key();
    let digest = signed_digest(&key.subject_public_key_info());
    let public_key = [PUBLIC_KEY_PREFIX, secret(1).public_key().as_bytes()].concat();
    let signature = secret(2).sign(&digest).to_der().expect("in range");
    let certificate = with_content(&key, signed_key(&public_key, &signature));
    assert_eq!(verify(&certificate), Err(Refusal::NotProved));
}

#[test]
fn a_certificate_signed_by_another_key_is_refused() {
    // The second certificate has the first one's content, and its own key's signature.
    let (key, other) = (certificate_key(), certificate_key());
    let mut params = params(&key, &secret(1));
    params.serial_number = Some(SerialNumber::from(1));
    let (ours, theirs) = (signed(&params, &key), signed(&params, &other));
    let mut mixed = ours.to_vec();
    let signature = mixed.len() - 64;
    mixed[signature..].copy_from_slice(&theirs[theirs.len() - 64..]);
    assert_eq!(verify(&mixed.into()), Err(Refusal::NotSelfSigned));
}

#[test]
fn the_extension_must_stand_there_once() {
    let key = certificate_key();
    let extension = || host_key_extension(&secret(1), &key.subject_public_key_info());
    assert_eq!(verify(&with_extensions(&key, vec![])), Err(Refusal::NoHostKey));
    let twice = with_extensions(&key, vec![extension(), extension()]);
    assert!(matches!(verify(&twice), Err(Refusal::TwoHostKeys | Refusal::Malformed)));
    let mut uncritical = extension();
    uncritical.set_criticality(false);
    assert!(verify(&with_extensions(&key, vec![uncritical])).is_ok(), "critical is optional");
}

#[test]
fn unknown_extensions_matter_only_when_critical() {
    let key = certificate_key();
    let ours = || host_key_extension(&secret(1), &key.subject_public_key_info());
    let mut other = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 53594, 1, 2], vec![5, 0]);
    assert!(verify(&with_extensions(&key, vec![ours(), other.clone()])).is_ok());
    other.set_criticality(true);
    let certificate = with_extensions(&key, vec![ours(), other]);
    assert_eq!(verify(&certificate), Err(Refusal::CriticalExtension));
}

#[test]
fn a_host_key_of_another_form_is_refused() {
    let key = certificate_key();
    let public_key = secret(1).public_key();
    let digest = signed_digest(&key.subject_public_key_info());
    let signature = secret(1).sign(&digest).to_der().expect("in range");
    let good = [PUBLIC_KEY_PREFIX, public_key.as_bytes()].concat();
    assert!(verify(&with_content(&key, signed_key(&good, &signature))).is_ok());

    let ed25519 = [&[0x08, 0x01, 0x12, 32][..], &public_key.as_bytes()[1..]].concat();
    let off_curve = [PUBLIC_KEY_PREFIX, &[2], &[0xff; 32]].concat();
    let mut broken = signature.clone();
    broken[0] ^= 1;
    let contents = [
        vec![],
        vec![5, 0],
        signed_key(&ed25519, &signature),
        signed_key(&good[..36], &signature),
        signed_key(&[&good[..], &[0]].concat(), &signature),
        signed_key(&off_curve, &signature),
        signed_key(&good, &broken),
        signed_key(&good, &[]),
        [signed_key(&good, &signature), vec![0]].concat(),
        der(DER_SEQUENCE, &der(DER_OCTET_STRING, &good)),
    ];
    for content in contents {
        let certificate = with_content(&key, content.clone());
        assert_eq!(verify(&certificate), Err(Refusal::HostKeyMalformed), "{content:02x?}");
    }
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let (certificate, _) = make(&secret(1)).expect("randomness");
    let trailing = [certificate.as_ref(), &[0]].concat();
    let twice = [certificate.as_ref(), certificate.as_ref()].concat();
    let large = vec![0x30; CERTIFICATE_BYTES_MAX + 1];
    for bytes in [vec![], vec![0x30], vec![0xff; 300], trailing, twice, large] {
        assert_eq!(verify(&bytes.into()), Err(Refusal::Malformed));
    }
}

#[test]
fn no_altered_byte_and_no_lost_one_goes_through() {
    let (certificate, _) = make(&secret(1)).expect("randomness");
    let evidence = Evidence::read(&certificate).expect("just made");
    let header = 4; // of the outer sequence
    let signed = header..header + evidence.certificate.tbs_certificate.as_ref().len();
    let signature = certificate.len() - 64..certificate.len();
    for at in 0..certificate.len() {
        assert!(verify(&certificate[..at].to_vec().into()).is_err(), "cut at {at}");
        for flip in [0x01, 0x80, 0xff] {
            let mut altered = certificate.to_vec();
            altered[at] ^= flip;
            let verdict = verify(&altered.into());
            // The framing around both is protected by TLS alone, as X.509 has it.
            if signed.contains(&at) || signature.contains(&at) {
                assert!(verdict.is_err(), "byte {at} altered by {flip:02x}");
            }
        }
    }
}
