//! The tenant link between processes.

use std::collections::BTreeMap;

use bytes::Bytes;
use cell::{PeerError, PeerPort};
use crypto::PublicKey;
use futures::future::BoxFuture;
use hyper::Method;
use model::RegionCode;

use crate::{Endpoint, Error, Identity};

/// The other cells, by region.
#[derive(Debug, Clone, Default)]
pub struct HttpPeers {
    peers: BTreeMap<RegionCode, (Endpoint, PublicKey)>,
}

impl HttpPeers {
    /// Adds the cell of a region: the way to it, and the key that its documents are signed with.
    #[must_use]
    pub fn with(mut self, region: RegionCode, endpoint: Endpoint, key: PublicKey) -> Self {
        self.peers.insert(region, (endpoint, key));
        self
    }

    /// Shows another certificate, and believes another authority, on every way.
    pub fn renew(&self, identity: &Identity) -> Result<(), Error> {
        let mut ways = self.peers.values();
        ways.try_for_each(|(endpoint, _)| endpoint.renew(identity))
    }

    async fn post(
        &self,
        region: &RegionCode,
        path: &str,
        body: &[u8],
    ) -> Result<Option<Bytes>, PeerError> {
        let (endpoint, _) = self.peers.get(region).ok_or(PeerError::Unreachable)?;
        let body = Bytes::copy_from_slice(body);
        endpoint.exchange(Method::POST, path, body).await
    }
}

impl PeerPort for HttpPeers {
    fn key_of(&self, region: &RegionCode) -> Option<PublicKey> {
        self.peers.get(region).map(|(_, key)| *key)
    }

    fn deliver_profile<'a>(
        &'a self,
        region: &'a RegionCode,
        home: &'a RegionCode,
        profile: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(async move {
            let path = format!("/peer/v1/profile?home={home}");
            self.post(region, &path, profile).await.map(drop)
        })
    }

    fn deliver_alerts<'a>(
        &'a self,
        home: &'a RegionCode,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(async move { self.post(home, "/peer/v1/alerts", message).await.map(drop) })
    }

    fn read_alert<'a>(
        &'a self,
        origin: &'a RegionCode,
        request: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(async move {
            let answer = self.post(origin, "/peer/v1/read", request).await?;
            answer.map(Vec::from).ok_or(PeerError::Unreachable)
        })
    }
}
