//! The floor: quinn and rustls with certificates pinned on both sides, and nothing of ours. The
//! transport is configured as ours is, and a link's first words are as long.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// What each side says first, in bytes: about a hello in a cluster of four.
pub const FIRST_WORDS: usize = 500;

/// Lets in exactly the certificates that it was made with.
#[derive(Debug)]
struct Pinned {
    certificates: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match self.certificates.contains(certificate) {
            true => Ok(()),
            false => Err(Error::General("not pinned".into())),
        }
    }

    fn verified(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verified(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verified(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Endpoints that know one another.
pub struct Bare {
    endpoints: Vec<quinn::Endpoint>,
    client: quinn::ClientConfig,
}

impl Bare {
    /// So many endpoints on loopback, each of which accepts and speaks first.
    pub fn new(count: usize) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (certificate, key) = certificate();
        let certificates = vec![certificate.clone()];
        let pinned = Arc::new(Pinned { certificates, provider: provider.clone() });
        let chain = vec![certificate];
        let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(pinned.clone())
            .with_single_cert(chain.clone(), key.clone_key())
            .expect("key and certificate fit");
        server.alpn_protocols = vec![b"bare".to_vec()];
        server.send_tls13_tickets = 0;
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_auth_cert(chain, key)
            .expect("key and certificate fit");
        client.alpn_protocols = vec![b"bare".to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        client.enable_sni = false;
        let transport = Arc::new(transport());
        let quic = QuicServerConfig::try_from(server).expect("TLS 1.3");
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(quic));
        server.transport_config(transport.clone());
        let quic = QuicClientConfig::try_from(client).expect("TLS 1.3");
        let mut client = quinn::ClientConfig::new(Arc::new(quic));
        client.transport_config(transport);
        let endpoints = (0..count).map(|_| endpoint(server.clone())).collect();
        Self { endpoints, client }
    }

    /// Where an endpoint accepts.
    pub fn address(&self, endpoint: usize) -> SocketAddr {
        self.endpoints[endpoint].local_addr().expect("it is bound")
    }

    /// Opens a connection from the first endpoint; done when both sides have heard the other's
    /// first words.
    pub async fn open(&self, to: SocketAddr) -> quinn::Connection {
        let connecting = self.endpoints[0].connect_with(self.client.clone(), to, "bare");
        let connection = connecting.expect("an address").await.expect("a handshake");
        exchange(&connection).await;
        connection
    }
}

async fn exchange(connection: &quinn::Connection) {
    let mut outgoing = connection.open_uni().await.expect("a stream");
    outgoing.write_all(&[7; FIRST_WORDS]).await.expect("first words");
    let mut incoming = connection.accept_uni().await.expect("the other's stream");
    incoming.read_exact(&mut [0; FIRST_WORDS]).await.expect("the other's first words");
}

fn endpoint(server: quinn::ServerConfig) -> quinn::Endpoint {
    let endpoint = quinn::Endpoint::server(server, (Ipv4Addr::LOCALHOST, 0).into());
    let endpoint = endpoint.expect("a socket on loopback");
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await.expect("a handshake");
                exchange(&connection).await;
                connection.closed().await;
            });
        }
    });
    endpoint
}

fn transport() -> quinn::TransportConfig {
    let mut config = quinn::TransportConfig::default();
    config.keep_alive_interval(Some(std::time::Duration::from_secs(10))).mtu_discovery_config(None);
    config
}

fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["bare".into()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS #8");
    (certificate.der().clone(), key)
}
