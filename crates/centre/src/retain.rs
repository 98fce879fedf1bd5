//! The end of an epoch: its key first, then its rows. And, earlier, of parcels as they came.
//!
//! Once the key is gone nothing of the epoch opens any more, on this disk or on a copy of it; the rows
//! are deleted after that, and a crash in between leaves rows that the next call deletes.

use model::{Epoch, Span100ns, Ticks, limits};

use crate::database::{Columns, small};
use crate::{Centre, Error};

/// What was destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// The epochs, oldest first.
    pub epochs: Vec<Epoch>,
    /// Their batches.
    pub batches: u64,
    /// Parcels of epochs that go on.
    pub parcels: u64,
}

impl Centre {
    /// Destroys the epochs that are not kept any more at `now`, and the parcels that were kept long
    /// enough.
    pub async fn expire(&self, now: Ticks) -> Result<Expired, Error> {
        let oldest = Self::oldest_kept(now);
        self.keys.destroy_epochs_before(oldest)?;
        let mut tx = self.database.begin().await?;
        let rows = sqlx::query(
            "SELECT epoch, sum(batches) AS batches FROM total WHERE epoch < ?1
             GROUP BY epoch ORDER BY epoch",
        )
        .bind(i64::from(oldest.0))
        .fetch_all(tx.connection())
        .await?;
        let mut expired = Expired::default();
        for row in &rows {
            let epoch = small(Columns(row).long("epoch")?, "epoch")?;
            expired.epochs.push(Epoch(epoch));
            expired.batches += small::<u64>(Columns(row).long("batches")?, "batches")?;
        }
        for sql in [
            "DELETE FROM technique_seen WHERE epoch < ?1",
            "DELETE FROM technique WHERE epoch < ?1",
            "DELETE FROM seen WHERE epoch < ?1",
            "DELETE FROM indicator WHERE epoch < ?1",
            "DELETE FROM contributor WHERE epoch < ?1",
            "DELETE FROM batch WHERE epoch < ?1",
            "DELETE FROM total WHERE epoch < ?1",
        ] {
            sqlx::query(sql)
                .bind(i64::from(oldest.0))
                .execute(tx.connection())
                .await?;
        }
        let last = now.saturating_add(Span100ns::days(-limits::CENTRE_PARCEL_DAYS_MAX));
        let parcels = sqlx::query(
            "UPDATE batch SET sealed = NULL WHERE received_at < ?1 AND sealed IS NOT NULL",
        )
        .bind(last.0)
        .execute(tx.connection())
        .await?;
        expired.parcels = parcels.rows_affected();
        tx.commit().await?;
        Ok(expired)
    }
}
