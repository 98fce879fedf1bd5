//! The daily snapshot: what may be said.
//!
//! A figure is worked out again only when at least [`limits::PREVALENCE_JOINED_MIN`] owner groups joined
//! the indicator since it was worked out last, and stands still until then: the difference of two
//! snapshots never says what one or two did. It is shown from [`limits::PREVALENCE_GROUPS_MIN`] owner
//! groups on. Techniques are counted in the same way, each for itself.
//!
//! Promises
//! - What is shown of an indicator moves as one: bucket and typical count together; the first day is
//!   worked out once and never again.
//! - The number of a snapshot grows, and a number is used once.
//!
//! Does not add noise. Whoever controls nine owner groups, or a cell, can still find out whether others
//! have an indicator (`docs/threats.md`).

use std::collections::BTreeMap;

use crypto::Fields;
use model::{CountBucket, Day, Epoch, IndicatorToken, Technique, Ticks, limits};
use residency::egress::{Figure, Prevalence, PrevalenceBucket, Section, Snapshot};
use sqlx::sqlite::SqliteConnection;
use vault::EpochSeal;

use crate::database::{Columns, small};
use crate::receive::indicator_context;
use crate::{Centre, Error};

/// A snapshot that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub number: u64,
    /// Indicators in it.
    pub figures: usize,
    /// The signed bytes.
    pub bytes: Vec<u8>,
}

impl Centre {
    /// Makes a snapshot now.
    pub async fn publish(&self, now: Ticks) -> Result<Published, Error> {
        let mut tx = self.database.begin().await?;
        let epochs: Vec<i64> =
            sqlx::query_scalar("SELECT DISTINCT epoch FROM total WHERE epoch >= ?1 ORDER BY epoch")
                .bind(i64::from(Self::oldest_kept(now).0))
                .fetch_all(tx.connection())
                .await?;
        let mut sections = Vec::with_capacity(epochs.len());
        for epoch in epochs {
            let epoch = Epoch(small(epoch, "epoch")?);
            let seal = self.keys.known_epoch_seal(epoch)?;
            settle(tx.connection(), epoch).await?;
            let figures = figures(tx.connection(), epoch, &seal).await?;
            sections.push(Section { epoch, figures });
        }
        let number: i64 = sqlx::query_scalar(
            "UPDATE meta SET snapshot_number = snapshot_number + 1, snapshot_published = ?1
             WHERE id = 1 RETURNING snapshot_number",
        )
        .bind(now.0)
        .fetch_one(tx.connection())
        .await?;
        let number = small(number, "snapshot_number")?;
        let bytes = Snapshot::sign(number, now, &sections, &*self.keys)?;
        sqlx::query("UPDATE meta SET sealed_snapshot = ?1 WHERE id = 1")
            .bind(self.keys.seal_cell_blob(&context(number), &bytes))
            .execute(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(Published {
            number,
            figures: sections.iter().map(|section| section.figures.len()).sum(),
            bytes,
        })
    }

    /// Makes a snapshot if none was made on this day (UTC).
    pub async fn publish_if_due(&self, now: Ticks) -> Result<Option<Published>, Error> {
        let last = self.status().await?.published_at;
        if last.is_some_and(|last| last.day() >= now.day()) {
            return Ok(None);
        }
        self.publish(now).await.map(Some)
    }

    /// The newest snapshot; nothing before the first.
    pub async fn snapshot(&self) -> Result<Option<Vec<u8>>, Error> {
        let mut tx = self.database.begin().await?;
        let row = sqlx::query("SELECT snapshot_number, sealed_snapshot FROM meta WHERE id = 1")
            .fetch_one(tx.connection())
            .await?;
        tx.commit().await?;
        let Some(sealed) = Columns(&row).maybe_bytes("sealed_snapshot")? else {
            return Ok(None);
        };
        let number = small(Columns(&row).long("snapshot_number")?, "snapshot_number")?;
        Ok(Some(self.keys.open_cell_blob(&context(number), &sealed)?))
    }
}

fn context(number: u64) -> Fields {
    Fields::new("centre-snapshot").with_u64(number)
}

/// Works the figures out again that enough owner groups joined. The first day is the day on which the
/// owner group that made the threshold saw it first; the typical count is the one that at least half of
/// the owner groups reach.
async fn settle(connection: &mut SqliteConnection, epoch: Epoch) -> Result<(), Error> {
    let joined_min = i64::from(limits::PREVALENCE_JOINED_MIN);
    let epoch = i64::from(epoch.0);
    sqlx::query(
        "UPDATE indicator SET
             first_day = coalesce(first_day, (
                 SELECT seen.first_day FROM seen
                 WHERE seen.epoch = indicator.epoch AND seen.indicator = indicator.indicator
                 ORDER BY seen.first_day LIMIT 1 OFFSET ?3 - 1)),
             typical_count = (
                 SELECT count FROM (
                     SELECT seen.count, row_number() OVER (ORDER BY seen.count DESC) AS place
                     FROM seen
                     WHERE seen.epoch = indicator.epoch AND seen.indicator = indicator.indicator)
                 WHERE place = (indicator.owner_groups + 1) / 2)
         WHERE epoch = ?1 AND owner_groups - counted >= ?2 AND owner_groups >= ?3",
    )
    .bind(epoch)
    .bind(joined_min)
    .bind(i64::from(limits::PREVALENCE_GROUPS_MIN))
    .execute(&mut *connection)
    .await?;
    for sql in [
        "UPDATE indicator SET counted = owner_groups
         WHERE epoch = ?1 AND owner_groups - counted >= ?2",
        "UPDATE technique SET counted = owner_groups
         WHERE epoch = ?1 AND owner_groups - counted >= ?2",
    ] {
        let query = sqlx::query(sql).bind(epoch).bind(joined_min);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// What is shown of an epoch, in the order of the tokens.
async fn figures(
    connection: &mut SqliteConnection,
    epoch: Epoch,
    seal: &EpochSeal,
) -> Result<Vec<Figure>, Error> {
    let rows = sqlx::query(
        "SELECT indicator, counted, first_day, typical_count, sealed FROM indicator
         WHERE epoch = ?1 AND counted >= ?2",
    )
    .bind(i64::from(epoch.0))
    .bind(i64::from(limits::PREVALENCE_GROUPS_MIN))
    .fetch_all(&mut *connection)
    .await?;
    let mut techniques = techniques(connection, epoch).await?;
    let mut figures = Vec::with_capacity(rows.len());
    for row in &rows {
        let row = Columns(row);
        let damaged = |what| move || Error::Damaged { what };
        let index = row.bytes("indicator")?;
        let token = seal.open(&indicator_context(&index), &row.bytes("sealed")?)?;
        let token: [u8; 16] = token.try_into().map_err(|_| damaged("indicator")())?;
        let count = row
            .maybe_long("typical_count")?
            .ok_or_else(damaged("typical_count"))?;
        let day = row
            .maybe_long("first_day")?
            .ok_or_else(damaged("first_day"))?;
        let groups = PrevalenceBucket::of(small(row.long("counted")?, "counted")?);
        let typical_count = CountBucket::from_code(small(count, "typical_count")?);
        figures.push(Figure {
            token: IndicatorToken::from_bytes(token),
            prevalence: Prevalence {
                groups: groups.ok_or_else(damaged("counted"))?,
                first_day: Day(small(day, "first_day")?),
                typical_count: typical_count.ok_or_else(damaged("typical_count"))?,
                techniques: techniques.remove(&index).unwrap_or_default(),
            },
        });
    }
    figures.sort_by_key(|figure| figure.token);
    Ok(figures)
}

/// Techniques that enough owner groups reported, by the indicator's index.
async fn techniques(
    connection: &mut SqliteConnection,
    epoch: Epoch,
) -> Result<BTreeMap<Vec<u8>, Vec<Technique>>, Error> {
    let rows = sqlx::query(
        "SELECT indicator, number, sub FROM technique
         WHERE epoch = ?1 AND counted >= ?2 ORDER BY indicator, number, sub",
    )
    .bind(i64::from(epoch.0))
    .bind(i64::from(limits::PREVALENCE_GROUPS_MIN))
    .fetch_all(connection)
    .await?;
    let mut all: BTreeMap<Vec<u8>, Vec<Technique>> = BTreeMap::new();
    for row in &rows {
        let row = Columns(row);
        let number = small(row.long("number")?, "technique")?;
        let technique = Technique::from_numbers(number, small(row.long("sub")?, "technique")?);
        let technique = technique.ok_or(Error::Damaged { what: "technique" })?;
        all.entry(row.bytes("indicator")?)
            .or_default()
            .push(technique);
    }
    Ok(all)
}
