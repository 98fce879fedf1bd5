//! One exchange over mutual TLS: a POST or GET of bytes, a bounded answer.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use cell::PeerError;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::{Code, limits};

use crate::tls::{Error, Identity, Party};

/// Connections that are kept open to one party.
const IDLE_CONNECTIONS: usize = 4;

type TlsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The way to one party. Clones are the same way: what renews one renews all.
#[derive(Debug, Clone)]
pub struct Endpoint {
    base: Uri,
    party: Party,
    client: Arc<RwLock<TlsClient>>,
}

impl Endpoint {
    /// A party at `https://HOST:PORT`; its certificate must carry `party`'s name.
    pub fn new(identity: &Identity, party: &Party, base: &str) -> Result<Self, Error> {
        let base: Uri = base.parse().map_err(|_| Error::Name)?;
        if base.scheme_str() != Some("https") || base.host().is_none() {
            return Err(Error::Address);
        }
        Ok(Self {
            base,
            client: Arc::new(RwLock::new(client(identity, party)?)),
            party: party.clone(),
        })
    }

    /// Shows another certificate and believes another authority from now on. Connections made before
    /// are not used again; a request that is under way ends on its own.
    pub fn renew(&self, identity: &Identity) -> Result<(), Error> {
        let fresh = client(identity, &self.party)?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Sends `body` and returns what came back with status 200.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Option<Bytes>, PeerError> {
        let patience = Duration::from_secs(limits::LINK_SECONDS_MAX);
        tokio::time::timeout(patience, self.ask(method, path, body))
            .await
            .unwrap_or(Err(PeerError::Unreachable))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Option<Bytes>, PeerError> {
        let authority = self.base.authority().map_or("", |a| a.as_str());
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{authority}{path}"))
            .header(hyper::header::CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(body))
            .map_err(|_| PeerError::Unreachable)?;
        let client = {
            let held = self.client.read().unwrap_or_else(PoisonError::into_inner);
            held.clone()
        };
        let response = client.request(request).await;
        let response = response.map_err(|_| PeerError::Unreachable)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), limits::LINK_ANSWER_BYTES_MAX);
        let bytes = body.collect().await;
        let bytes = bytes.map_err(|_| PeerError::Unreachable)?.to_bytes();
        match status {
            StatusCode::OK => Ok(Some(bytes)),
            StatusCode::NO_CONTENT => Ok(None),
            _ => Err(PeerError::Refused(code_of(&bytes))),
        }
    }
}

fn client(identity: &Identity, party: &Party) -> Result<TlsClient, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(limits::LINK_CONNECT_SECONDS_MAX)));
    let tls = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(identity.client()?)
        .https_only()
        .with_server_name_resolver(FixedServerNameResolver::new(party.server_name()?))
        .enable_http1()
        .wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build(tls);
    Ok(client)
}

/// The code of a refusal: the first word of its body.
fn code_of(body: &[u8]) -> Code {
    let word = body.split(u8::is_ascii_whitespace).next();
    let word = word.and_then(|w| std::str::from_utf8(w).ok()).unwrap_or("");
    Code::parse(word).unwrap_or(Code::Internal)
}
