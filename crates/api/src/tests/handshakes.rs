//! Connections that never shake hands keep nobody out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener as _;
use model::limits;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::secure::Secure;

const NAME: &str = "eu.cell.bailiwick.internal";

fn configs() -> (ServerConfig, ClientConfig) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

async fn from(local: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, local));
    socket.bind(SocketAddr::new(address, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// A good peer shakes hands among silent connections of these addresses, before any of those runs out
/// of time.
async fn shakes_among(silent: &[(u8, usize)], good: u8) {
    let (server, client) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let (_keep, config) = tokio::sync::watch::channel(Arc::new(server));
    let mut secure = Secure::new(listener, config);
    let taken = tokio::spawn(async move { secure.accept().await });
    let mut kept = Vec::new();
    for (address, count) in silent {
        for _ in 0..*count {
            kept.push(from(*address, to).await);
        }
    }
    let stream = from(good, to).await;
    let connector = TlsConnector::from(Arc::new(client));
    let shaking = connector.connect(ServerName::try_from(NAME).unwrap(), stream);
    let patience = Duration::from_secs(limits::HANDSHAKE_SECONDS_MAX / 2);
    let stream = tokio::time::timeout(patience, shaking).await;
    let _stream = stream.expect("in time").unwrap();
    tokio::time::timeout(patience, taken)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn one_address_that_says_nothing_keeps_no_peer_out() {
    // Behind the same address as the good one, and behind another.
    let many = limits::HANDSHAKES_MAX + 50;
    for good in [1, 2] {
        shakes_among(&[(1, many)], good).await;
    }
}

#[tokio::test]
async fn many_addresses_that_say_nothing_keep_no_peer_out() {
    let each = limits::HANDSHAKES_PER_ADDRESS_MAX;
    let silent: Vec<_> = (2..8).map(|address| (address, each)).collect();
    shakes_among(&silent, 1).await;
}
