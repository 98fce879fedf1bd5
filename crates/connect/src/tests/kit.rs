//! An authority, certificates of its parties, and a small server.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{Identity, Party, party_of};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn identity(&self, names: &[String]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.to_vec()).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let authority = self.0.pem();
        let key = key.serialize_pem();
        Identity::from_pem(
            certificate.pem().as_bytes(),
            key.as_bytes(),
            authority.as_bytes(),
        )
        .unwrap()
    }

    pub(crate) fn of(&self, party: &Party) -> Identity {
        self.identity(&[party.name()])
    }
}

pub(crate) fn cell(region: &str) -> Party {
    Party::Cell(region.parse().unwrap())
}

/// Answers each connection once with `status` and the caller's name, or `answer` if one is given.
pub(crate) async fn server(
    identity: &Identity,
    known: Vec<Party>,
    status: &'static str,
    answer: Option<Vec<u8>>,
) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(identity.server().unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let who = chain.first().and_then(|c| party_of(c, &known));
            let who = who.map_or("nobody".to_owned(), Party::name);
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            let body = answer.clone().unwrap_or_else(|| who.into_bytes());
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}
