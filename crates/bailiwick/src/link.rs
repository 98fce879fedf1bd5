//! Mutual TLS as a configuration describes it: this process's identity, the ways to the others, and
//! who may come in. Certificates that are replaced on disk are in force without a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::Cx;
use anyhow::Context as _;
use api::{PeerListener, WhoIs};
use connect::{Endpoint, HttpCentre, HttpPeers, Identity, Party, party_of};
use model::{Code, RegionCode, limits};
use tokio::net::TcpListener;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::commands::file_error;
use crate::config::{Config, LinkFile};
use crate::failure::Failure;

/// The ways to other processes.
#[derive(Debug, Clone)]
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

/// The listener for other processes, and what keeps its certificates new.
pub(crate) async fn listener(
    config: &Config,
    link: &LinkFile,
    ways: &Ways,
) -> anyhow::Result<(PeerListener, Renewal)> {
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
    let (server, tls) = watch::channel(Arc::new(tls));
    let install = move |identity: &Identity| {
        server.send_replace(Arc::new(identity.server()?));
        Ok(())
    };
    let renewal = Renewal {
        seen: fingerprint(link),
        link: link.clone(),
        ways: ways.clone(),
        install: Box::new(install),
    };
    Ok((PeerListener { listener, tls, who }, renewal))
}

/// Puts an identity in force.
type Install = Box<dyn Fn(&Identity) -> Result<(), connect::Error> + Send>;

/// Reads certificate, key and authority again when their files change. Files that cannot be used are
/// said once, and what was in force stays so.
pub(crate) struct Renewal {
    link: LinkFile,
    ways: Ways,
    /// Puts the listener's part in force.
    install: Install,
    /// Of the files as looked at last.
    seen: Option<[u8; 32]>,
}

impl Renewal {
    /// Looks after every hang-up signal, and every `LINK_RENEW_SECONDS_MAX` anyway, until `stopped`.
    pub(crate) async fn keep(
        mut self,
        cx: Cx,
        mut stopped: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut asked = signal(SignalKind::hangup())?;
        let pause = Duration::from_secs(limits::LINK_RENEW_SECONDS_MAX);
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return Ok(()),
                _ = asked.recv() => {}
                () = tokio::time::sleep(pause) => {}
            }
            self.look(&cx);
        }
    }

    fn look(&mut self, cx: &Cx) {
        let now = fingerprint(&self.link);
        if now == self.seen {
            return;
        }
        self.seen = now;
        match self.renew() {
            Ok(()) => cx.info("certificates_renewed", &[]),
            // The new files may be half written: the next look sees that they changed again.
            Err(_) => cx.warn("certificates_not_renewed", Code::BadConfig, &[]),
        }
    }

    fn renew(&self) -> anyhow::Result<()> {
        let identity = identity(&self.link)?;
        (self.install)(&identity)?;
        self.ways.peers.renew(&identity)?;
        if let Some(central) = &self.ways.central {
            central.renew(&identity)?;
        }
        Ok(())
    }
}

/// Of the three files; nothing if one cannot be read.
fn fingerprint(link: &LinkFile) -> Option<[u8; 32]> {
    let mut all = Vec::new();
    for path in [&link.certificate, &link.key, &link.authority] {
        let bytes = Zeroizing::new(std::fs::read(path).ok()?);
        all.extend_from_slice(&crypto::sha256(&bytes));
    }
    Some(crypto::sha256(&all))
}
