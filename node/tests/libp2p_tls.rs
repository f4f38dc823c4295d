//! Our certificates against another implementation of the libp2p TLS specification: each parses
//! the other's, and each completes a real QUIC handshake with the other, dialling and accepting.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use libp2p_identity::{Keypair, PeerId, secp256k1};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::CertificateDer;
use stayfound::link::{ALPN, Identity, peer_key};
use stayfound_core::keys::SecretKey;

fn secret(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("below the order of the curve")
}

fn identity(byte: u8) -> Identity {
    Identity::new(&secret(byte)).expect("randomness")
}

/// The same key in libp2p's hands.
fn keypair(byte: u8) -> Keypair {
    let key = secp256k1::SecretKey::try_from_bytes([byte; 32]).expect("a valid scalar");
    secp256k1::Keypair::from(key).into()
}

fn peer_id(byte: u8) -> PeerId {
    keypair(byte).public().to_peer_id()
}

fn server_endpoint(mut config: rustls::ServerConfig) -> (quinn::Endpoint, SocketAddr) {
    config.alpn_protocols = vec![ALPN.to_vec()];
    let config = QuicServerConfig::try_from(config).expect("TLS 1.3 suites");
    let config = quinn::ServerConfig::with_crypto(Arc::new(config));
    let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into());
    let endpoint = endpoint.expect("a free port");
    let address = endpoint.local_addr().expect("bound");
    (endpoint, address)
}

fn client_endpoint() -> quinn::Endpoint {
    quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port")
}

/// Both ends of one handshake, each as far as it got.
async fn shake(
    server: rustls::ServerConfig,
    mut client: rustls::ClientConfig,
) -> (Result<quinn::Connection, String>, Result<quinn::Connection, String>) {
    let (endpoint, address) = server_endpoint(server);
    client.alpn_protocols = vec![ALPN.to_vec()];
    let client = QuicClientConfig::try_from(client).expect("TLS 1.3 suites");
    let dialler = client_endpoint();
    let dial = dialler.connect_with(quinn::ClientConfig::new(Arc::new(client)), address, "peer");
    let dial = dial.expect("a valid address");
    let accept = async {
        let incoming = endpoint.accept().await.expect("the endpoint is open");
        incoming.await.map_err(|error| error.to_string())
    };
    let dial = async { dial.await.map_err(|error| error.to_string()) };
    tokio::join!(accept, dial)
}

fn certificate_of(connection: &quinn::Connection) -> CertificateDer<'static> {
    let identity = connection.peer_identity().expect("the handshake is over");
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().expect("rustls");
    chain[0].clone()
}

#[test]
fn libp2p_reads_our_certificate() {
    let identity = identity(1);
    let certificate = libp2p_tls::certificate::parse(identity.certificate());
    assert_eq!(certificate.expect("it is in libp2p's format").peer_id(), peer_id(1));
}

#[tokio::test]
async fn libp2p_dials_us() {
    let admitted = [secret(2).public_key(), secret(3).public_key()];
    let client = libp2p_tls::make_client_config(&keypair(2), Some(peer_id(1)));
    let (accepted, dialled) =
        shake(identity(1).server(&admitted), client.expect("it has a key")).await;
    let (accepted, dialled) = (accepted.expect("admitted"), dialled.expect("expected"));
    assert_eq!(peer_key(&accepted, &admitted), Some(secret(2).public_key()));
    assert_eq!(peer_key(&accepted, &admitted[1..]), None);
    let ours = certificate_of(&dialled);
    assert_eq!(libp2p_tls::certificate::parse(&ours).expect("verified").peer_id(), peer_id(1));
}

#[tokio::test]
async fn we_dial_libp2p() {
    let server = libp2p_tls::make_server_config(&keypair(1)).expect("it has a key");
    let (accepted, dialled) = shake(server, identity(2).client(secret(1).public_key())).await;
    let (accepted, dialled) = (accepted.expect("any key"), dialled.expect("expected"));
    let expected = secret(1).public_key();
    assert_eq!(peer_key(&dialled, &[expected]), Some(expected));
    let ours = certificate_of(&accepted);
    assert_eq!(libp2p_tls::certificate::parse(&ours).expect("verified").peer_id(), peer_id(2));
}

#[tokio::test]
async fn libp2p_refuses_another_key_than_it_dialled() {
    let admitted = [secret(2).public_key()];
    let client = libp2p_tls::make_client_config(&keypair(2), Some(peer_id(3)));
    let (accepted, dialled) =
        shake(identity(1).server(&admitted), client.expect("it has a key")).await;
    assert!(accepted.is_err());
    assert!(dialled.is_err());
}

#[tokio::test]
async fn we_refuse_a_libp2p_stranger_on_either_side() {
    let admitted = [secret(3).public_key()];
    let client = libp2p_tls::make_client_config(&keypair(2), Some(peer_id(1)));
    let (accepted, _) = shake(identity(1).server(&admitted), client.expect("it has a key")).await;
    let refusal = accepted.expect_err("key 2 is not admitted");
    assert!(refusal.contains("ApplicationVerificationFailure"), "{refusal}");

    let server = libp2p_tls::make_server_config(&keypair(1)).expect("it has a key");
    let (accepted, dialled) = shake(server, identity(2).client(secret(3).public_key())).await;
    let refusal = dialled.expect_err("key 1 is not the one dialled");
    assert!(refusal.contains("ApplicationVerificationFailure"), "{refusal}");
    assert!(accepted.is_err());
}

#[tokio::test]
async fn a_libp2p_key_of_another_kind_is_refused() {
    let admitted = [secret(2).public_key()];
    let ed25519 = Keypair::ed25519_from_bytes([2; 32]).expect("32 bytes");
    let client = libp2p_tls::make_client_config(&ed25519, Some(peer_id(1)));
    let (accepted, _) = shake(identity(1).server(&admitted), client.expect("it has a key")).await;
    let refusal = accepted.expect_err("an Ed25519 identity");
    assert!(refusal.contains("HostKeyMalformed"), "{refusal}");
}
