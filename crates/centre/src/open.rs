//! Opening the centre, and what it says of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crypto::{PublicKey, Signer as _};
use model::{Epoch, RegionCode, Ticks, limits};
use residency::egress::AllowList;
use residency::{Accepted, Digest, Verified};
use vault::Vault;

use crate::Error;
use crate::database::{Columns, Database, small};
use crate::lock::Lock;

/// Whom the centre trusts.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cells that may send, and the keys that they sign receipts with.
    pub cells: BTreeMap<RegionCode, PublicKey>,
    /// The key that the operator signs allow-lists with.
    pub operator: PublicKey,
    /// The signed allow-list.
    pub allow_list: Vec<u8>,
}

/// The open centre.
pub struct Centre {
    pub(crate) keys: Arc<Vault>,
    pub(crate) database: Database,
    pub(crate) cells: BTreeMap<RegionCode, PublicKey>,
    operator: PublicKey,
    list: RwLock<Arc<Verified<AllowList>>>,
    _lock: Lock,
}

impl fmt::Debug for Centre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Centre({})", self.keys.region())
    }
}

/// What is kept of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStatus {
    /// The epoch.
    pub epoch: Epoch,
    /// Batches received.
    pub batches: u64,
    /// Their facts.
    pub facts: u64,
    /// Distinct indicators.
    pub indicators: u64,
}

/// What the centre holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Oldest first.
    pub epochs: Vec<EpochStatus>,
    /// Of the newest snapshot; 0 before the first.
    pub snapshot_number: u64,
    /// When it was made.
    pub published_at: Option<Ticks>,
}

impl Centre {
    /// Opens the centre's directory, made if there is none. `keys` is a ring of the centre's own, kept
    /// elsewhere; it names the region and geography in which the centre stands.
    pub async fn open(
        directory: &Path,
        keys: Arc<Vault>,
        options: Options,
        now: Ticks,
    ) -> Result<Self, Error> {
        if options.cells.len() > limits::CENTRE_CELLS_MAX {
            return Err(Error::Full { what: "cells" });
        }
        make_directory(directory).map_err(Error::Io)?;
        let lock = Lock::take(directory)?;
        let database = Database::open(directory, &keys, now).await?;
        let list = accept(&database, &options.allow_list, &options.operator).await?;
        Ok(Self {
            keys,
            database,
            cells: options.cells,
            operator: options.operator,
            list: RwLock::new(Arc::new(list)),
            _lock: lock,
        })
    }

    /// The key that snapshots are signed with.
    pub fn key(&self) -> PublicKey {
        self.keys.public_key()
    }

    /// The allow-list in force.
    pub fn allow_list(&self) -> Arc<Verified<AllowList>> {
        self.list
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes a newer allow-list; batches are checked against it from now on.
    pub async fn accept_allow_list(&self, signed: &[u8]) -> Result<Accepted, Error> {
        let list = accept(&self.database, signed, &self.operator).await?;
        let accepted = list.accepted();
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
        Ok(accepted)
    }

    /// What the centre holds.
    pub async fn status(&self) -> Result<Status, Error> {
        let mut tx = self.database.begin().await?;
        let rows = sqlx::query(
            "SELECT epoch, sum(batches) AS batches, sum(facts) AS facts,
                    sum(indicators) AS indicators
             FROM total GROUP BY epoch ORDER BY epoch",
        )
        .fetch_all(tx.connection())
        .await?;
        let epoch = |row| {
            let row = Columns(row);
            Ok(EpochStatus {
                epoch: Epoch(small(row.long("epoch")?, "epoch")?),
                batches: small(row.long("batches")?, "batches")?,
                facts: small(row.long("facts")?, "facts")?,
                indicators: small(row.long("indicators")?, "indicators")?,
            })
        };
        let epochs = rows.iter().map(epoch).collect::<Result<_, Error>>()?;
        let meta = sqlx::query("SELECT snapshot_number, snapshot_published FROM meta WHERE id = 1")
            .fetch_one(tx.connection())
            .await?;
        let meta = Columns(&meta);
        let status = Status {
            epochs,
            snapshot_number: small(meta.long("snapshot_number")?, "snapshot_number")?,
            published_at: meta.maybe_long("snapshot_published")?.map(Ticks),
        };
        tx.commit().await?;
        Ok(status)
    }

    /// Folds the database's log away and closes it. Later calls fail.
    pub async fn close(&self) -> Result<(), Error> {
        self.database.close().await
    }

    /// The oldest epoch that is kept at `now`.
    pub(crate) fn oldest_kept(now: Ticks) -> Epoch {
        Epoch(
            Epoch::at(now)
                .0
                .saturating_sub(limits::CENTRE_EPOCHS_KEPT - 1),
        )
    }
}

/// Verifies a list, refuses one older than was accepted before, and remembers it.
async fn accept(
    database: &Database,
    signed: &[u8],
    operator: &PublicKey,
) -> Result<Verified<AllowList>, Error> {
    let mut tx = database.begin().await?;
    let row = sqlx::query("SELECT allow_list_version, allow_list_digest FROM meta WHERE id = 1")
        .fetch_one(tx.connection())
        .await?;
    let row = Columns(&row);
    let version = row.maybe_long("allow_list_version")?;
    let digest = row.maybe_bytes("allow_list_digest")?;
    let highest = match (version, digest) {
        (Some(version), Some(digest)) => Some(Accepted {
            version: small(version, "allow_list_version")?,
            digest: Digest::from_bytes(digest.try_into().map_err(|_| Error::Damaged {
                what: "allow_list_digest",
            })?),
        }),
        _ => None,
    };
    let list = AllowList::open(signed, operator, highest).map_err(Error::AllowList)?;
    let accepted = list.accepted();
    sqlx::query("UPDATE meta SET allow_list_version = ?1, allow_list_digest = ?2 WHERE id = 1")
        .bind(crate::database::integer(accepted.version)?)
        .bind(accepted.digest.as_bytes().as_slice())
        .execute(tx.connection())
        .await?;
    tx.commit().await?;
    Ok(list)
}

fn make_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
