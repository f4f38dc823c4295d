//! Links: QUIC connections whose two ends have proved their ENR keys within the TLS handshake.
//!
//! TLS names no secp256k1 keys, so each end makes a certificate key of its own and signs *that*
//! with its ENR key, in an extension of a self-signed certificate: the format of the libp2p TLS
//! specification. A key that is not admitted fails the handshake itself, on either side.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use stayfound_core::keys::{PublicKey, SecretKey};

pub use self::certificate::Refusal;
use self::known::Known;
use self::verifier::Verifier;

mod certificate;
#[doc(hidden)] // public for the benchmarks, as are the next two
pub mod endpoint;
mod gate;
#[doc(hidden)]
pub mod handle;
mod known;
mod places;
#[doc(hidden)]
pub mod report;
mod stream;
mod verifier;

/// The application protocol that both ends must name (RFC 7301).
pub const ALPN: &[u8] = b"stayfound/1";

/// Our end of every link: a certificate that proves our ENR key.
pub struct Identity {
    provider: Arc<CryptoProvider>,
    certificate: CertificateDer<'static>,
    resolver: Arc<SingleCertAndKey>,
    known: Arc<Known>,
}

impl Identity {
    /// Makes a certificate key and certifies it with our ENR key. It lives as long as this value:
    /// the specification allows one for many connections, and making one costs a signature.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn new(key: &SecretKey) -> Result<Self, rcgen::Error> {
        let (certificate, certificate_key) = certificate::make(key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let signer = provider.key_provider.load_private_key(certificate_key);
        let signer = signer.expect("the provider signs with the key that its own curve made");
        let certified = CertifiedKey::new(vec![certificate.clone()], signer);
        let resolver = Arc::new(certified.into());
        Ok(Self { provider, certificate, resolver, known: Arc::default() })
    }

    /// The certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Forgets the certificates of all other keys than these.
    fn remember_only(&self, admitted: &[PublicKey]) {
        self.known.retain(admitted);
    }

    /// How to accept: whoever proves one of these keys is let in.
    ///
    /// # Panics
    /// If `admitted` is empty: then nobody could ever get in.
    #[must_use]
    pub fn server(&self, admitted: &[PublicKey]) -> rustls::ServerConfig {
        let verifier = Verifier::new(&self.provider, admitted, self.known.clone());
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .expect("ring has the suites of TLS 1.3")
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(self.resolver.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        // No resumption: a resumed session would skip the certificate, and hardly saves anything.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    }

    /// How to dial the holder of this key, and nobody else. Serves any number of dials.
    #[must_use]
    pub fn client(&self, expected: PublicKey) -> rustls::ClientConfig {
        let verifier = Verifier::new(&self.provider, &[expected], self.known.clone());
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .expect("ring has the suites of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.resolver.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false; // as the specification demands
        config
    }
}

/// Which of these keys, those that were admitted, the peer of an open connection proved; `None` if
/// its handshake went past the verifiers above.
#[must_use]
pub fn peer_key(connection: &quinn::Connection, admitted: &[PublicKey]) -> Option<PublicKey> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let evidence = certificate::Evidence::read(chain.first()?).ok()?;
    admitted.iter().find(|key| key.as_bytes() == evidence.claimed_key()).copied()
}
