//! Who is let in: what rustls asks during the handshake, on either side.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
};
use stayfound_core::keys::{Point, PublicKey};

use super::certificate::{Evidence, Refusal, SCHEMES};
use super::known::Known;

/// Lets in whoever proves one of these keys. TLS 1.3 only.
pub(super) struct Verifier {
    /// With their points, because each costs a square root.
    admitted: Vec<(PublicKey, Point)>,
    known: Arc<Known>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(
        provider: &CryptoProvider,
        admitted: &[PublicKey],
        known: Arc<Known>,
    ) -> Self {
        assert!(!admitted.is_empty(), "a verifier that admits nobody");
        let admitted = admitted.iter().map(|key| (*key, key.point())).collect();
        Self { admitted, known, algorithms: provider.signature_verification_algorithms }
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        if !others.is_empty() {
            return Err(Refusal::ChainLength(1 + others.len()));
        }
        let evidence = Evidence::read(certificate)?;
        // Before any signature is checked: a stranger costs us no curve arithmetic.
        let key = evidence.claimed_key();
        let mut admitted = self.admitted.iter();
        let admitted = admitted.find(|(admitted, _)| admitted.as_bytes() == key);
        let (_, point) = admitted.ok_or(Refusal::Stranger)?;
        evidence.check_validity(now)?;
        if !self.known.has(key, certificate) {
            evidence.verify_signatures(&self.algorithms, point)?;
            self.known.remember(key, certificate);
        }
        Ok(())
    }

    /// That the peer holds the certificate's key, too: it signed this handshake with it.
    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !schemes().contains(&signature.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let key = Evidence::read(certificate).map_err(rustls_error)?.certificate_key();
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }
}

fn schemes() -> Vec<SignatureScheme> {
    SCHEMES.iter().map(|(scheme, _)| *scheme).collect()
}

/// The alert that follows tells the peer the kind of refusal: a stranger gets `access_denied`.
fn rustls_error(refusal: Refusal) -> Error {
    Error::InvalidCertificate(match refusal {
        Refusal::Malformed => CertificateError::BadEncoding,
        Refusal::NotYetValid => CertificateError::NotValidYet,
        Refusal::Expired => CertificateError::Expired,
        Refusal::NotSelfSigned => CertificateError::BadSignature,
        Refusal::Stranger => CertificateError::ApplicationVerificationFailure,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

fn only_tls13() -> Error {
    Error::General("only TLS 1.3 is configured".into())
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let admitted: Vec<_> = self.admitted.iter().map(|(key, _)| key).collect();
        f.debug_struct("Verifier").field("admitted", &admitted).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(certificate, others, now).map_err(rustls_error)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(certificate, others, now).map_err(rustls_error)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}
