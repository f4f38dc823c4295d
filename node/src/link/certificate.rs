//! The certificate of the libp2p TLS specification: made, and read.

use std::fmt;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, PublicKeyData};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest, Sha256};
use stayfound_core::keys::{Point, SecretKey, Signature};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::nom::Parser;
use x509_parser::oid_registry::{OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ED25519};

/// The extension that carries the host key: 1.3.6.1.4.1.53594.1.1, assigned to libp2p.
const HOST_KEY_ARCS: &[u64] = &[1, 3, 6, 1, 4, 1, 53594, 1, 1];
const HOST_KEY_OID: Oid<'static> = oid!(1.3.6.1.4.1.53594.1.1);

/// What the host key signs begins with this.
const SIGNED_PREFIX: &[u8] = b"libp2p-tls-handshake:";

/// The protobuf of a public key is `Type = Secp256k1 (2)`, `Data = 33 bytes`; the encoding is
/// deterministic (libp2p peer id specification), so these bytes and no others precede the key.
const PUBLIC_KEY_PREFIX: &[u8] = &[0x08, 0x02, 0x12, 33];

/// What a certificate key may sign with, most preferred first, and how a certificate names that.
/// Ours is Ed25519; the libp2p implementations use P-256.
pub(super) static SCHEMES: [(SignatureScheme, Oid<'static>); 2] = [
    (SignatureScheme::ED25519, OID_SIG_ED25519),
    (SignatureScheme::ECDSA_NISTP256_SHA256, OID_SIG_ECDSA_WITH_SHA256),
];

/// The largest certificate that is looked at, in bytes of DER. Ours has about 360.
const CERTIFICATE_BYTES_MAX: usize = 4096;

const DER_SEQUENCE: u8 = 0x30;
const DER_OCTET_STRING: u8 = 0x04;

/// Why a peer's certificate is refused. The handshake fails; nothing else changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The specification demands exactly one certificate.
    ChainLength(usize),
    /// No X.509 certificate in DER, or more than one certificate's bytes.
    Malformed,
    /// Not valid yet, by our clock.
    NotYetValid,
    /// Not valid any more, by our clock.
    Expired,
    /// An extension that must be understood, and is not.
    CriticalExtension,
    /// The extension with the host key is missing.
    NoHostKey,
    /// The extension with the host key stands there twice.
    TwoHostKeys,
    /// The extension holds no secp256k1 key and signature.
    HostKeyMalformed,
    /// The certificate is signed by an algorithm other than Ed25519 and ECDSA on P-256.
    Algorithm,
    /// The certificate is not signed by its own key.
    NotSelfSigned,
    /// The key is none that we let in here.
    Stranger,
    /// The host key did not sign this certificate's key.
    NotProved,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChainLength(n) => {
                return write!(f, "the peer sent {n} certificates instead of one");
            }
            Self::Malformed => "the peer's certificate is no X.509 certificate in DER",
            Self::NotYetValid => "the peer's certificate is not valid yet; compare the clocks",
            Self::Expired => "the peer's certificate has expired; compare the clocks",
            Self::CriticalExtension => "the certificate has a critical extension unknown to us",
            Self::NoHostKey => "the certificate lacks the libp2p public key extension",
            Self::TwoHostKeys => "the certificate has two libp2p public key extensions",
            Self::HostKeyMalformed => "the certificate's extension holds no secp256k1 key",
            Self::Algorithm => "the certificate's key is neither Ed25519 nor on P-256",
            Self::NotSelfSigned => "the certificate is not signed by its own key",
            Self::Stranger => "the peer's key is not admitted here",
            Self::NotProved => "the peer did not prove that it holds its ENR key",
        })
    }
}

impl std::error::Error for Refusal {}

/// Makes a certificate key (Ed25519) and the certificate in which `key` vouches for it.
///
/// # Errors
/// If the operating system gives no randomness.
pub(super) fn make(
    key: &SecretKey,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
    let certificate_key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let extension = host_key_extension(key, &certificate_key.subject_public_key_info());
    let certificate = sign(&certificate_key, vec![extension])?;
    Ok((certificate, PrivateKeyDer::Pkcs8(certificate_key.serialize_der().into())))
}

/// Valid from 1975 to 4096 (rcgen's default): the certificate is worth as much as the key that
/// vouches for it, at any time, and a wrong clock must not keep operators apart.
fn sign(
    key: &KeyPair,
    extensions: Vec<CustomExtension>,
) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = extensions;
    Ok(params.self_signed(key)?.der().clone())
}

/// SignedKey ::= SEQUENCE { publicKey OCTET STRING, signature OCTET STRING }, marked critical: who
/// does not understand it must not take the certificate for an ordinary one.
fn host_key_extension(key: &SecretKey, certificate_spki: &[u8]) -> CustomExtension {
    let public_key = [PUBLIC_KEY_PREFIX, key.public_key().as_bytes()].concat();
    let signature = key.sign(&signed_digest(certificate_spki)).to_der();
    let signature = signature.expect("a signature just made is in range");
    let fields = [der(DER_OCTET_STRING, &public_key), der(DER_OCTET_STRING, &signature)].concat();
    let mut extension =
        CustomExtension::from_oid_content(HOST_KEY_ARCS, der(DER_SEQUENCE, &fields));
    extension.set_criticality(true);
    extension
}

/// A DER value whose length fits the short form.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 0x80, "{} bytes need the long form", content.len());
    let length = u8::try_from(content.len()).expect("checked above");
    [&[tag, length], content].concat()
}

/// libp2p's secp256k1 keys sign the SHA-256 of the message.
fn signed_digest(certificate_spki: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(SIGNED_PREFIX).chain_update(certificate_spki).finalize().into()
}

/// What a peer's certificate says, read but not believed.
pub(super) struct Evidence<'a> {
    certificate: X509Certificate<'a>,
    claimed_key: &'a [u8; 33],
    signature: &'a [u8],
}

impl<'a> Evidence<'a> {
    /// Reads the form, and refuses what the specification says is never to be accepted.
    pub(super) fn read(der: &'a CertificateDer<'_>) -> Result<Self, Refusal> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        // Only one extension matters, and its content is read below.
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let (rest, certificate) = parser.parse(der).map_err(|_| Refusal::Malformed)?;
        if !rest.is_empty() || certificate.signature_algorithm != certificate.signature {
            return Err(Refusal::Malformed);
        }
        let content = host_key_content(&certificate)?;
        let (claimed_key, signature) = read_signed_key(content).ok_or(Refusal::HostKeyMalformed)?;
        Ok(Self { certificate, claimed_key, signature })
    }

    /// The 33 bytes of the host key that it claims.
    pub(super) fn claimed_key(&self) -> &'a [u8; 33] {
        self.claimed_key
    }

    /// The certificate's own key.
    pub(super) fn certificate_key(&self) -> SubjectPublicKeyInfoDer<'a> {
        self.certificate.tbs_certificate.subject_pki.raw.into()
    }

    /// Checks that the certificate is valid now.
    pub(super) fn check_validity(&self, now: UnixTime) -> Result<(), Refusal> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = self.certificate.validity();
        if now < validity.not_before.timestamp() {
            return Err(Refusal::NotYetValid);
        }
        if now > validity.not_after.timestamp() {
            return Err(Refusal::Expired);
        }
        Ok(())
    }

    /// Checks that the certificate is signed by its own key, and that key vouched for by the host
    /// key: the claimed one, whose point is `host`.
    pub(super) fn verify_signatures(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
        host: &Point,
    ) -> Result<(), Refusal> {
        self.verify_self_signed(algorithms)?;
        self.verify_host_key(host)
    }

    fn verify_self_signed(&self, algorithms: &WebPkiSupportedAlgorithms) -> Result<(), Refusal> {
        let oid = &self.certificate.signature_algorithm.algorithm;
        let (scheme, _) =
            SCHEMES.iter().find(|(_, signs)| signs == oid).ok_or(Refusal::Algorithm)?;
        let algorithm = algorithms.mapping.iter().find(|(known, _)| known == scheme);
        let algorithm = algorithm.and_then(|(_, algorithms)| algorithms.first());
        let algorithm = algorithm.expect("the provider verifies the schemes that we name");
        let key = self.certificate_key();
        let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| Refusal::Malformed)?;
        let signed = self.certificate.tbs_certificate.as_ref();
        // Refuses a key of another kind than the algorithm's as well.
        key.verify_signature(*algorithm, signed, &self.certificate.signature_value.data)
            .map_err(|_| Refusal::NotSelfSigned)
    }

    fn verify_host_key(&self, host: &Point) -> Result<(), Refusal> {
        let signature = Signature::from_der(self.signature).ok_or(Refusal::HostKeyMalformed)?;
        let digest = signed_digest(&self.certificate_key());
        if host.verifies(&digest, &signature) { Ok(()) } else { Err(Refusal::NotProved) }
    }
}

fn host_key_content<'a>(certificate: &X509Certificate<'a>) -> Result<&'a [u8], Refusal> {
    let mut content = None;
    for extension in certificate.extensions() {
        if extension.oid == HOST_KEY_OID {
            if content.replace(extension.value).is_some() {
                return Err(Refusal::TwoHostKeys);
            }
        } else if extension.critical {
            return Err(Refusal::CriticalExtension);
        }
    }
    content.ok_or(Refusal::NoHostKey)
}

/// Key and signature of a SignedKey, nothing before, between or after them.
fn read_signed_key(content: &[u8]) -> Option<(&[u8; 33], &[u8])> {
    let (fields, []) = take_der(DER_SEQUENCE, content)? else { return None };
    let (public_key, rest) = take_der(DER_OCTET_STRING, fields)?;
    let (signature, []) = take_der(DER_OCTET_STRING, rest)? else { return None };
    let public_key = public_key.strip_prefix(PUBLIC_KEY_PREFIX)?.try_into().ok()?;
    Some((public_key, signature))
}

/// The content of the DER value that `bytes` begins with, and what follows it. DER wants the
/// shortest form of a length, and a secp256k1 SignedKey always fits the short one.
fn take_der(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, length @ 0..0x80, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*length))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
