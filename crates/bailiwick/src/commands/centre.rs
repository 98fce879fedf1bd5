//! `centre`: what the centre holds, and a snapshot made now.
//!
//! Both open the centre's own directory and key ring, and nothing of a cell. They are for whoever may
//! open those: a running centre has no listener that an operator could ask, so it is stopped before.

use std::sync::Arc;

use access::Discard;
use model::Code;
use serde_json::json;

use super::{configuration, show};
use crate::cli::{Centre, Global};
use crate::client::{open_configured, passphrase};
use crate::config::Config;
use crate::embedded::CentreRole;
use crate::failure::Failure;

pub(crate) fn run(global: &Global, command: Centre) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    if config.centre.is_none() {
        let failure = Failure::new(Code::BadConfig, "the configuration has no `[centre]`");
        return Err(failure
            .with_help("use the configuration of the process that has it")
            .into());
    }
    let alone = Config {
        cells: Vec::new(),
        peers: Vec::new(),
        link: None,
        ..config
    };
    let passphrase = passphrase(global)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let told = runtime.block_on(async {
        let log = Arc::new(Discard);
        let embedded = open_configured(&alone, passphrase.as_ref(), log, false).await?;
        let role = embedded.centre.as_ref();
        let role = role.ok_or_else(|| Failure::new(Code::Internal, "the centre is not open"))?;
        let told = match command {
            Centre::Status => status(role).await,
            Centre::Publish => publish(role).await,
        };
        embedded.close().await?;
        told
    })?;
    show(global, &told)
}

async fn status(role: &CentreRole) -> anyhow::Result<serde_json::Value> {
    let status = role.centre.status().await.map_err(failed)?;
    let epoch = |e: &centre::EpochStatus| {
        json!({
            "epoch": e.epoch.0,
            "batches": e.batches,
            "facts": e.facts,
            "indicators": e.indicators,
        })
    };
    let list = role.centre.allow_list().accepted();
    Ok(json!({
        "key": role.centre.key(),
        "allow_list_version": list.version,
        "allow_list_digest": list.digest.to_string(),
        "snapshot_number": status.snapshot_number,
        "published_at": status.published_at.map(|at| at.to_string()),
        "epochs": status.epochs.iter().map(epoch).collect::<Vec<_>>(),
    }))
}

async fn publish(role: &CentreRole) -> anyhow::Result<serde_json::Value> {
    let made = role.centre.publish(role.cx.now()).await.map_err(failed)?;
    Ok(json!({
        "snapshot_number": made.number,
        "figures": made.figures,
        "bytes": made.bytes.len(),
    }))
}

fn failed(error: centre::Error) -> Failure {
    Failure::new(error.code(), error.to_string())
}
