//! `key`: the linkage secret of an epoch, which two people bring half by half.
//!
//! Opens the data directory as the local operator does: the lock is taken, so the cells must not run,
//! and each import is in the cell's record of what happened.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{Credential, Discard, Operate};
use cell::Cell;
use model::{Clock as _, Code, Epoch, RegionCode};
use serde_json::{Value, json};
use store::AuditDraft;
use vault::{Import, LinkageShare};
use zeroize::Zeroizing;

use super::{configuration, file_error};
use crate::cli::{Global, Key};
use crate::client::{open_configured, passphrase};
use crate::embedded::Embedded;
use crate::failure::Failure;
use crate::machine::{MachineClock, MachineRandom};
use crate::print;
use crate::view::{self, Column};

const IMPORTED: [Column; 5] = [
    ("REGION", "/region"),
    ("EPOCH", "/epoch"),
    ("STATE", "/state"),
    ("PERSON", "/person"),
    ("FINGERPRINT", "/fingerprint"),
];
const KEPT: [Column; 3] = [
    ("REGION", "/region"),
    ("EPOCH", "/epoch"),
    ("FINGERPRINT", "/fingerprint"),
];

/// Bytes of a share's file that are read; a line has far fewer.
const SHARE_BYTES_MAX: u64 = 4_096;

pub(crate) fn run(global: &Global, command: Key) -> anyhow::Result<i32> {
    match command {
        Key::Share { epoch, output } => share(epoch, &output),
        Key::Import {
            purpose: _,
            epoch,
            person,
            share,
            region,
        } => import(global, Epoch(epoch), &person, &share, region.as_deref()),
        Key::List => list(global),
    }
}

/// Writes a share that nobody else can read.
fn share(epoch: Option<u32>, output: &PathBuf) -> anyhow::Result<i32> {
    let epoch = epoch.map_or_else(|| Epoch::at(MachineClock.now()), Epoch);
    let share = LinkageShare::random(epoch, &MachineRandom);
    let line = Zeroizing::new(format!("{}\n", share.to_line().as_str()));
    write_private(output, line.as_bytes())?;
    print::note(&format!(
        "one share of the linkage secret of epoch {epoch} is in `{}`\nanother person draws the other one; both go to every cell, and the files are then destroyed",
        output.display()
    ));
    Ok(0)
}

/// A new file that only its owner reads.
fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            let message = format!("`{}` exists", path.display());
            let failure = Failure::new(Code::Conflict, message);
            return failure.with_help("name another one").into();
        }
        file_error("write", path, e)
    })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|e| file_error("write", path, e))
}

fn import(
    global: &Global,
    epoch: Epoch,
    person: &str,
    file: &Path,
    region: Option<&str>,
) -> anyhow::Result<i32> {
    let person = person.trim();
    if person.is_empty() {
        return Err(Failure::new(Code::BadRequest, "a share is brought by somebody").into());
    }
    let share = read_share(file)?;
    if share.epoch() != epoch {
        let message = format!(
            "the share is of epoch {}, not of epoch {epoch}",
            share.epoch()
        );
        return Err(Failure::new(Code::BadRequest, message).into());
    }
    with_cells(global, async |embedded| {
        let cells = chosen(embedded, region)?;
        let mut done = Vec::new();
        for (region, cell) in cells {
            let answer = import_into(cell, &share, person).await?;
            done.push(json!({
                "region": region,
                "epoch": epoch.0,
                "person": person,
                "state": match &answer {
                    Import::WaitsForSecond => "waits for the second person's share",
                    Import::Complete { .. } => "complete",
                },
                "fingerprint": match &answer {
                    Import::WaitsForSecond => None,
                    Import::Complete { fingerprint } => Some(fingerprint),
                },
            }));
        }
        view::list(global, &done, &IMPORTED, "no regions")
    })
}

/// Into one ring, and into the cell's record.
async fn import_into(cell: &Cell, share: &LinkageShare, person: &str) -> anyhow::Result<Import> {
    let grant = cell
        .cx()
        .decide_cell::<Operate>(&Credential::local_operator())
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
    let refused = |code: Code, what: String| {
        Failure::new(code, format!("region `{}`: {what}", cell.region()))
    };
    let answer = cell
        .store()
        .vault()
        .import_share(share, person)
        .map_err(|e| refused(e.code(), e.to_string()))?;
    let mut draft = AuditDraft::of_cell(&grant, ledger::Happening::KeyImported)
        .with("purpose", "linkage")
        .with("epoch", share.epoch())
        .with_private("person", person);
    if let Import::Complete { fingerprint } = &answer {
        draft = draft.with("fingerprint", fingerprint);
    }
    let noted = cell.store().append_audit(vec![draft]).await;
    noted.map_err(|e| refused(e.code(), e.to_string()))?;
    Ok(answer)
}

fn read_share(path: &Path) -> anyhow::Result<LinkageShare> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(SHARE_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(SHARE_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|e| file_error("read", path, e))?;
    text.parse().map_err(|e: vault::Error| {
        Failure::new(e.code(), e.to_string())
            .with_help("`bailiwick key share` writes one")
            .into()
    })
}

fn list(global: &Global) -> anyhow::Result<i32> {
    with_cells(global, async |embedded| {
        let mut kept: Vec<Value> = Vec::new();
        for (region, cell) in &embedded.cells {
            let vault = cell.store().vault();
            for epoch in vault.linkage_epochs() {
                let linkage = vault.linkage(epoch);
                let linkage = linkage.map_err(|e| Failure::new(e.code(), e.to_string()))?;
                kept.push(json!({
                    "region": region,
                    "epoch": epoch.0,
                    "fingerprint": linkage.fingerprint(),
                }));
            }
        }
        view::list(
            global,
            &kept,
            &KEPT,
            "no linkage secret is in these key rings",
        )
    })
}

/// The regions of the configuration, or the one that was named.
fn chosen<'a>(
    embedded: &'a Embedded,
    region: Option<&str>,
) -> anyhow::Result<Vec<(&'a RegionCode, &'a Cell)>> {
    let Some(name) = region else {
        return Ok(embedded.cells.iter().collect());
    };
    let found = embedded
        .cells
        .iter()
        .find(|(code, _)| code.as_str() == name);
    let none = || {
        let message = format!("the configuration has no region `{name}`");
        Failure::new(Code::BadConfig, message)
    };
    Ok(vec![found.ok_or_else(none)?])
}

/// Opens all cells of the configuration, or none.
fn with_cells(
    global: &Global,
    work: impl AsyncFnOnce(&Embedded) -> anyhow::Result<i32>,
) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    let passphrase = passphrase(global)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let embedded = open_configured(&config, passphrase.as_ref(), Arc::new(Discard), false);
        let embedded = embedded.await?.whole()?;
        let done = work(&embedded).await;
        let closed = embedded.close().await;
        let code = done?;
        closed?;
        Ok(code)
    })
}
