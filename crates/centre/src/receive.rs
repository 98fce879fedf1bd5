//! Taking a parcel.
//!
//! [`Received`] exists only if everything was checked: a known cell signed it, the list permits every
//! column, its epoch is open. Then batch and counts are written in one transaction, so that a batch counts
//! once: the same one again is acknowledged and changes nothing, another under its id is refused.
//!
//! A contributor is what the cell says: a cell that lies can invent owner groups (`docs/threats.md`).

use std::collections::{BTreeMap, BTreeSet};

use crypto::Fields;
use model::{
    CountBucket, Day, Epoch, IndicatorToken, RegionCode, SegmentId, Span100ns, Technique, Ticks,
    limits,
};
use residency::Verified;
use residency::egress::parcel::{self, Acknowledgement, Receipt};
use residency::egress::{Batch, Value};
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};
use vault::EpochSeal;

use crate::database::{Columns, integer, small};
use crate::{Centre, Error};

/// How far a cell's clock may be ahead of the centre's.
const CLOCK_AHEAD: Span100ns = Span100ns::days(1);

/// A parcel that was checked.
#[derive(Debug)]
pub struct Received {
    region: RegionCode,
    parcel: Vec<u8>,
    receipt: Verified<Receipt>,
    batch: Batch,
}

impl Received {
    /// The region that sent it.
    pub fn region(&self) -> &RegionCode {
        &self.region
    }

    /// What its cell signed.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The batch.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The bytes as they came.
    pub fn parcel(&self) -> &[u8] {
        &self.parcel
    }
}

/// What the centre answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The batch.
    pub batch: SegmentId,
    /// Whether it had been received before.
    pub repeated: bool,
    /// The signed [`Acknowledgement`]; the same bytes each time.
    pub signed: Vec<u8>,
}

/// Rows of one statement: SQLite binds at most 32,766 values.
const ROWS_PER_STATEMENT: usize = 500;

/// An indicator as it is indexed, its token, and what the batch says of it.
type Row<'a> = ([u8; 16], &'a IndicatorToken, &'a Sighting);

/// What one batch says of one indicator.
struct Sighting {
    first_day: Day,
    count: CountBucket,
    techniques: BTreeSet<Technique>,
}

/// A parcel as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The region that sent it.
    pub region: RegionCode,
    /// The batch.
    pub batch: SegmentId,
    /// The bytes as they came.
    pub parcel: Vec<u8>,
}

impl Centre {
    /// Takes a parcel that came from the cell of `region`, as the transport authenticated it.
    pub async fn receive(
        &self,
        region: &RegionCode,
        parcel: &[u8],
        now: Ticks,
    ) -> Result<Ack, Error> {
        let received = self.check(region, parcel, now)?;
        self.keep(&received, now).await
    }

    /// Checks everything about a parcel that does not depend on others. Nothing is kept yet.
    pub fn check(&self, region: &RegionCode, parcel: &[u8], now: Ticks) -> Result<Received, Error> {
        let key = self.cells.get(region).ok_or(Error::UnknownCell)?;
        let (receipt, batch) = parcel::open(parcel, region, key, &self.allow_list())?;
        let epoch = batch.header().epoch;
        let newest = Epoch::at(now.saturating_add(CLOCK_AHEAD));
        if epoch < Self::oldest_kept(now) || epoch > newest {
            return Err(Error::EpochClosed { epoch });
        }
        Ok(Received {
            region: region.clone(),
            parcel: parcel.to_vec(),
            receipt,
            batch,
        })
    }

    /// Keeps and counts what was checked.
    pub async fn keep(&self, received: &Received, now: Ticks) -> Result<Ack, Error> {
        let header = received.batch.header();
        let mut tx = self.database.begin().await?;
        let known: Option<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT digest, received_at FROM batch WHERE region = ?1 AND batch = ?2",
        )
        .bind(received.region.as_str())
        .bind(header.batch.as_bytes().as_slice())
        .fetch_optional(tx.connection())
        .await?;
        if let Some((known, received_at)) = known {
            tx.commit().await?;
            if known != received.receipt.digest.as_bytes() {
                return Err(Error::OtherBatch);
            }
            return self.acknowledge(received, Ticks(received_at), true);
        }
        let seal = self.keys.epoch_seal(header.epoch)?;
        put_batch(tx.connection(), received, &seal, now).await?;
        put_contributor(tx.connection(), received, &seal).await?;
        let indicators = put_sightings(tx.connection(), &received.batch, &seal).await?;
        put_totals(tx.connection(), received, indicators).await?;
        tx.commit().await?;
        self.acknowledge(received, now, false)
    }

    /// Signs for a parcel that is kept: of the same parcel the same bytes, since the time is the first's.
    fn acknowledge(
        &self,
        received: &Received,
        received_at: Ticks,
        repeated: bool,
    ) -> Result<Ack, Error> {
        let signed = Acknowledgement::sign(&received.receipt, received_at, &*self.keys);
        Ok(Ack {
            batch: received.batch.header().batch,
            repeated,
            signed: signed.map_err(Error::NotSigned)?,
        })
    }

    /// The parcels of an epoch that are still kept, opened: for whoever checks what the centre holds.
    pub async fn held(&self, epoch: Epoch) -> Result<Vec<Held>, Error> {
        let mut tx = self.database.begin().await?;
        let rows = sqlx::query(
            "SELECT region, batch, sealed FROM batch
             WHERE epoch = ?1 AND sealed IS NOT NULL ORDER BY region, batch",
        )
        .bind(i64::from(epoch.0))
        .fetch_all(tx.connection())
        .await?;
        tx.commit().await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let seal = self.keys.known_epoch_seal(epoch)?;
        let held = |row| {
            let damaged = || Error::Damaged { what: "batch" };
            let row = Columns(row);
            let region = RegionCode::new(&row.text("region")?).map_err(|_| damaged())?;
            let batch: [u8; 16] = row.bytes("batch")?.try_into().map_err(|_| damaged())?;
            let batch = SegmentId::from_bytes(batch);
            let context = batch_context(&region, batch);
            Ok(Held {
                parcel: seal.open(&context, &row.bytes("sealed")?)?,
                region,
                batch,
            })
        };
        rows.iter().map(held).collect()
    }
}

/// Which row and column a sealed parcel is.
pub(crate) fn batch_context(region: &RegionCode, batch: SegmentId) -> Fields {
    Fields::new("centre-batch")
        .with(region.as_str().as_bytes())
        .with(batch.as_bytes())
}

/// Which row and column a sealed token is.
pub(crate) fn indicator_context(index: &[u8]) -> Fields {
    Fields::new("centre-indicator").with(index)
}

async fn put_batch(
    connection: &mut SqliteConnection,
    received: &Received,
    seal: &EpochSeal,
    now: Ticks,
) -> Result<(), Error> {
    let header = received.batch.header();
    let context = batch_context(&received.region, header.batch);
    sqlx::query(
        "INSERT INTO batch (region, batch, epoch, digest, received_at, facts, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(received.region.as_str())
    .bind(header.batch.as_bytes().as_slice())
    .bind(i64::from(header.epoch.0))
    .bind(received.receipt.digest.as_bytes().as_slice())
    .bind(now.0)
    .bind(integer(received.receipt.facts)?)
    .bind(seal.seal(&context, &received.parcel))
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_contributor(
    connection: &mut SqliteConnection,
    received: &Received,
    seal: &EpochSeal,
) -> Result<(), Error> {
    let header = received.batch.header();
    let index = seal.index("contributor", header.contributor.as_bytes());
    sqlx::query(
        "INSERT INTO contributor (epoch, region, contributor) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    )
    .bind(i64::from(header.epoch.0))
    .bind(received.region.as_str())
    .bind(index.as_slice())
    .execute(&mut *connection)
    .await?;
    let of_region: i64 =
        sqlx::query_scalar("SELECT count(*) FROM contributor WHERE epoch = ?1 AND region = ?2")
            .bind(i64::from(header.epoch.0))
            .bind(received.region.as_str())
            .fetch_one(connection)
            .await?;
    // A cell has no more tenants than this: one that claims more is not honest.
    if small::<usize>(of_region, "contributor")? > limits::TENANTS_MAX {
        return Err(Error::Full {
            what: "contributors of this region",
        });
    }
    Ok(())
}

/// Counts the batch's contributor for each of its indicators; answers how many indicators are new.
async fn put_sightings(
    connection: &mut SqliteConnection,
    batch: &Batch,
    seal: &EpochSeal,
) -> Result<u64, Error> {
    let header = batch.header();
    let epoch = i64::from(header.epoch.0);
    let contributor = seal.index("contributor", header.contributor.as_bytes());
    let sightings = sightings(batch);
    let index = |token: IndicatorToken| seal.index("indicator", token.as_bytes());
    let all: Vec<Row<'_>> = sightings
        .iter()
        .map(|(token, sighting)| (index(*token), token, sighting))
        .collect();
    let mut created = 0;
    for rows in all.chunks(ROWS_PER_STATEMENT) {
        let joined = put_seen(connection, epoch, &contributor, rows).await?;
        created += put_indicators(connection, epoch, &joined, seal).await?;
        for (index, _, sighting) in rows {
            for technique in &sighting.techniques {
                put_technique(connection, epoch, index, &contributor, *technique).await?;
            }
        }
    }
    Ok(created)
}

/// Notes that `contributor` has seen these; answers those that it had not seen before.
async fn put_seen<'a>(
    connection: &mut SqliteConnection,
    epoch: i64,
    contributor: &[u8; 16],
    rows: &[Row<'a>],
) -> Result<Vec<Row<'a>>, Error> {
    let statement = |rows: &[Row<'a>], conflict: &'static str| {
        let head = "INSERT INTO seen (epoch, indicator, contributor, first_day, count) ";
        let mut statement = QueryBuilder::<Sqlite>::new(head);
        statement.push_values(rows, |mut row, (index, _, sighting)| {
            row.push_bind(epoch)
                .push_bind(index.to_vec())
                .push_bind(contributor.to_vec())
                .push_bind(i64::from(sighting.first_day.0))
                .push_bind(i64::from(sighting.count.code()));
        });
        statement.push(conflict);
        statement
    };
    let mut added = statement(rows, " ON CONFLICT DO NOTHING RETURNING indicator");
    let added = added.build().fetch_all(&mut *connection).await?;
    let added: BTreeSet<Vec<u8>> = added
        .iter()
        .map(|row| Columns(row).bytes("indicator"))
        .collect::<Result<_, Error>>()?;
    let (joined, again): (Vec<_>, Vec<_>) = rows
        .iter()
        .copied()
        .partition(|(index, ..)| added.contains(index.as_slice()));
    if !again.is_empty() {
        let conflict = " ON CONFLICT DO UPDATE SET first_day = min(first_day, excluded.first_day),
                                                   count = max(count, excluded.count)";
        statement(&again, conflict)
            .build()
            .execute(connection)
            .await?;
    }
    Ok(joined)
}

/// One owner group more has seen these; answers how many of them it is the first for.
async fn put_indicators(
    connection: &mut SqliteConnection,
    epoch: i64,
    rows: &[Row<'_>],
    seal: &EpochSeal,
) -> Result<u64, Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let head = "INSERT INTO indicator (epoch, indicator, owner_groups, counted, sealed) ";
    let mut statement = QueryBuilder::<Sqlite>::new(head);
    statement.push_values(rows, |mut row, (index, token, _)| {
        row.push_bind(epoch)
            .push_bind(index.to_vec())
            .push("1, 0")
            .push_bind(seal.seal(&indicator_context(index), token.as_bytes()));
    });
    statement
        .push(" ON CONFLICT DO UPDATE SET owner_groups = owner_groups + 1 RETURNING owner_groups");
    let rows = statement.build().fetch_all(connection).await?;
    let mut first = 0;
    for row in &rows {
        first += u64::from(Columns(row).long("owner_groups")? == 1);
    }
    Ok(first)
}

async fn put_technique(
    connection: &mut SqliteConnection,
    epoch: i64,
    index: &[u8; 16],
    contributor: &[u8; 16],
    technique: Technique,
) -> Result<(), Error> {
    let (number, sub) = technique.numbers();
    let added = sqlx::query(
        "INSERT INTO technique_seen (epoch, indicator, number, sub, contributor)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )
    .bind(epoch)
    .bind(index.as_slice())
    .bind(i64::from(number))
    .bind(i64::from(sub))
    .bind(contributor.as_slice())
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO technique (epoch, indicator, number, sub, owner_groups, counted)
         VALUES (?1, ?2, ?3, ?4, 1, 0)
         ON CONFLICT DO UPDATE SET owner_groups = owner_groups + 1",
    )
    .bind(epoch)
    .bind(index.as_slice())
    .bind(i64::from(number))
    .bind(i64::from(sub))
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_totals(
    connection: &mut SqliteConnection,
    received: &Received,
    indicators: u64,
) -> Result<(), Error> {
    let indicators: i64 = sqlx::query_scalar(
        "INSERT INTO total (epoch, region, batches, facts, indicators) VALUES (?1, ?2, 1, ?3, ?4)
         ON CONFLICT DO UPDATE SET batches = batches + 1, facts = facts + ?3,
                                   indicators = indicators + ?4
         RETURNING indicators",
    )
    .bind(i64::from(received.batch.header().epoch.0))
    .bind(received.region.as_str())
    .bind(integer(received.receipt.facts)?)
    .bind(integer(indicators)?)
    .fetch_one(connection)
    .await?;
    // Each region for itself: a cell that went mad does not fill the others' room.
    if small::<u64>(indicators, "indicators")? > limits::CENTRE_INDICATORS_PER_CELL_MAX {
        return Err(Error::Full {
            what: "indicators of this region",
        });
    }
    Ok(())
}

/// The facts by indicator. A text that an exception let through is kept with the batch and counted
/// nowhere.
fn sightings(batch: &Batch) -> BTreeMap<IndicatorToken, Sighting> {
    let mut all: BTreeMap<IndicatorToken, Sighting> = BTreeMap::new();
    for fact in batch.facts() {
        let Value::Token(token) = fact.value else {
            continue;
        };
        let count = fact.count.unwrap_or(CountBucket::of(1));
        let sighting = all.entry(token).or_insert_with(|| Sighting {
            first_day: fact.day,
            count,
            techniques: BTreeSet::new(),
        });
        sighting.first_day = sighting.first_day.min(fact.day);
        sighting.count = sighting.count.max(count);
        sighting.techniques.extend(fact.technique);
    }
    all
}
