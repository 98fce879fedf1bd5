//! The centre, from a cell of another process.

use bytes::Bytes;
use cell::{CentrePort, PeerError};
use crypto::PublicKey;
use futures::future::BoxFuture;
use hyper::Method;

use crate::{Endpoint, Error, Identity};

/// The way to the centre.
#[derive(Debug, Clone)]
pub struct HttpCentre {
    endpoint: Endpoint,
    key: PublicKey,
}

impl HttpCentre {
    /// The centre behind `endpoint`, whose snapshots are signed with `key`.
    pub fn new(endpoint: Endpoint, key: PublicKey) -> Self {
        Self { endpoint, key }
    }

    /// Shows another certificate, and believes another authority.
    pub fn renew(&self, identity: &Identity) -> Result<(), Error> {
        self.endpoint.renew(identity)
    }
}

impl CentrePort for HttpCentre {
    fn key(&self) -> Option<PublicKey> {
        Some(self.key)
    }

    fn submit<'a>(&'a self, batch: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(async move {
            let body = Bytes::copy_from_slice(batch);
            let path = "/centre/v1/batches";
            let answer = self.endpoint.exchange(Method::POST, path, body).await?;
            // Without an acknowledgement nobody knows whether it arrived: it is sent again.
            Ok(Vec::from(answer.unwrap_or_default()))
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, PeerError>> {
        Box::pin(async move {
            let path = "/centre/v1/snapshot";
            let answer = self.endpoint.exchange(Method::GET, path, Bytes::new());
            Ok(answer.await?.map(Vec::from))
        })
    }
}
