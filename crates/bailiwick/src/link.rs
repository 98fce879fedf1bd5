//! Mutual TLS as a configuration describes it: this process's identity, the ways to the others, and
//! who may come in.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use api::{PeerListener, WhoIs};
use connect::{Endpoint, HttpCentre, HttpPeers, Identity, Party, party_of};
use model::{Code, RegionCode};
use tokio::net::TcpListener;

use crate::commands::file_error;
use crate::config::{Config, LinkFile};
use crate::failure::Failure;

/// The ways to other processes.
pub(crate) struct Ways {
    pub(crate) peers: HttpPeers,
    pub(crate) central: Option<HttpCentre>,
}

/// The cells and the centre that a configuration places in other processes.
pub(crate) fn ways(config: &Config) -> anyhow::Result<Ways> {
    let mut ways = Ways {
        peers: HttpPeers::default(),
        central: None,
    };
    let Some(link) = &config.link else {
        return Ok(ways);
    };
    let identity = identity(link)?;
    for peer in &config.peers {
        let party = Party::Cell(peer.region.clone());
        let endpoint = endpoint(&identity, &party, &peer.url)?;
        ways.peers = ways.peers.with(peer.region.clone(), endpoint, peer.key);
    }
    if let Some(central) = &config.central {
        let endpoint = endpoint(&identity, &Party::Centre, &central.url)?;
        ways.central = Some(HttpCentre::new(endpoint, central.key));
    }
    Ok(ways)
}

fn endpoint(identity: &Identity, party: &Party, url: &str) -> anyhow::Result<Endpoint> {
    Endpoint::new(identity, party, url).map_err(|e| {
        let failure = Failure::new(Code::BadConfig, format!("`{url}`: {e}"));
        anyhow::Error::new(failure.with_help("an address is `https://HOST:PORT`"))
    })
}

/// What this process shows, and whom it believes.
pub(crate) fn identity(link: &LinkFile) -> anyhow::Result<Identity> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| file_error("read", path, e));
    let (certificate, key) = (read(&link.certificate)?, read(&link.key)?);
    let identity = Identity::from_pem(&certificate, &key, &read(&link.authority)?);
    let identity = identity.and_then(|identity| identity.server().map(|_| identity));
    identity.map_err(|error| {
        let files = format!(
            "`{}`, `{}`, `{}`",
            link.certificate.display(),
            link.key.display(),
            link.authority.display()
        );
        let failure = Failure::new(Code::BadConfig, format!("{files}: {error}"));
        anyhow::Error::new(error).context(
            failure
                .with_help("`bailiwick tls make` makes an authority and certificates to try with"),
        )
    })
}

/// The regions whose cells may come in.
fn guests(config: &Config) -> Vec<RegionCode> {
    let peers = config.peers.iter().map(|p| p.region.clone());
    let senders = config.centre.iter().flat_map(|c| &c.cells);
    peers.chain(senders.map(|s| s.region.clone())).collect()
}

/// The listener for other processes.
pub(crate) async fn listener(config: &Config, link: &LinkFile) -> anyhow::Result<PeerListener> {
    let tls = identity(link)?.server().context("TLS")?;
    let listener = TcpListener::bind(link.listen).await.map_err(|e| {
        let failure = Failure::new(Code::BadConfig, format!("cannot listen on {}", link.listen));
        anyhow::Error::new(e).context(failure)
    })?;
    let known: Vec<Party> = guests(config).into_iter().map(Party::Cell).collect();
    let who: WhoIs = Arc::new(move |certificate| match party_of(certificate, &known)? {
        Party::Cell(region) => Some(region.clone()),
        Party::Centre => None,
    });
    Ok(PeerListener {
        listener,
        tls: Arc::new(tls),
        who,
    })
}
