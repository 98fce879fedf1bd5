//! `serve`: the cells of a configuration, each on its own listener, and the centre, until Ctrl-C or a
//! termination signal. What does not open does not keep the others from being served.
//!
//! A process with `[link]` has a second listener, behind mutual TLS, for the other processes.

use std::net::SocketAddr;
use std::sync::Arc;

use access::{JsonLines, Level};
use anyhow::Context as _;
use model::Code;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::Global;
use crate::client::{open_configured, passphrase};
use crate::config::{CellFile, Config, LinkFile};
use crate::embedded::Embedded;
use crate::failure::Failure;
use crate::{machine, print};

pub(crate) fn run(global: &Global) -> anyhow::Result<i32> {
    let config = super::configuration(global)?;
    let passphrase = passphrase(global)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let log = Arc::new(JsonLines::new(Level::Info, std::io::stderr()));
        let embedded = open_configured(&config, passphrase.as_ref(), log, false).await?;
        embedded.name_the_sick();
        if embedded.cells.len() > 1 {
            print::note("geography: simulated (all on this machine)");
        }
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        let healthy = |c: &&CellFile| embedded.cells.contains_key(&c.region);
        for cell in config.cells.iter().filter(healthy) {
            let (address, server) =
                listen(&embedded, &cell.region, cell.listen, stopped.clone()).await?;
            print::note(&format!("{} listens on http://{address}", cell.region));
            servers.push(server);
        }
        if let Some(link) = &config.link {
            let linked = listen_linked(&embedded, &config, link, stopped).await?;
            print::note(&format!("link listens on https://{}", linked.address));
            servers.extend([linked.server, linked.renewal]);
        }
        embedded.start_upkeep();
        machine::until_stopped().await?;
        print::note("stopping");
        stop.send_replace(true);
        for server in servers {
            server.await??;
        }
        embedded.close().await
    })?;
    Ok(0)
}

/// The listener for other processes.
struct Linked {
    address: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
    /// What keeps its certificates new.
    renewal: JoinHandle<std::io::Result<()>>,
}

/// Starts the listener for other processes: of the one cell, or of the centre.
async fn listen_linked(
    embedded: &Embedded,
    config: &Config,
    link: &LinkFile,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<Linked> {
    let (listener, renewal) = crate::link::listener(config, link, &embedded.ways).await?;
    let address = listener.listener.local_addr()?;
    let mut told = stopped.clone();
    let until = async move {
        let _ = told.wait_for(|stop| *stop).await;
    };
    let (server, cx) = if let Some(role) = &embedded.centre {
        let (centre, cx) = (role.centre.clone(), role.cx.clone());
        let server = api::serve_centre(listener, centre, cx.clone(), until);
        (tokio::spawn(server), cx)
    } else {
        let cell = embedded.cells.values().next().cloned();
        let cell = cell.context("the cell is not open")?;
        let cx = cell.cx().clone();
        (tokio::spawn(api::serve_peers(listener, cell, until)), cx)
    };
    Ok(Linked {
        address,
        server,
        renewal: tokio::spawn(renewal.keep(cx, stopped)),
    })
}

/// Starts the listener of one cell.
pub(crate) async fn listen(
    embedded: &Embedded,
    region: &model::RegionCode,
    address: SocketAddr,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<(SocketAddr, JoinHandle<std::io::Result<()>>)> {
    let cell = embedded
        .cells
        .get(region)
        .context("the cell is not open")?
        .clone();
    let listener = TcpListener::bind(address).await.map_err(|e| {
        let failure = Failure::new(Code::BadConfig, format!("cannot listen on {address}"));
        anyhow::Error::new(e).context(failure)
    })?;
    let address = listener.local_addr()?;
    let simulated = embedded.cells.len() > 1;
    let until = async move {
        // The sender lives as long as the servers; if it is gone, so is the program.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let options = api::ApiOptions {
        note: simulated.then(|| "geography: simulated (all on this machine)".to_owned()),
        ..api::ApiOptions::default()
    };
    Ok((
        address,
        tokio::spawn(api::serve(listener, cell, options, until)),
    ))
}
