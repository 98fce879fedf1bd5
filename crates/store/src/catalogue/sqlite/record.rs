//! The SQL of exports, audit rows and accepted damage.

use model::{SegmentId, TenantId, Ticks};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::{Columns, Error, Result, integer, page, put_leaves, refused};
use crate::catalogue::{
    AuditRange, AuditRow, EgressOutcome, EgressRow, KeptKind, KeptRow, LeafRow, ParcelRow,
};

pub(super) async fn set_export(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    since: Option<Ticks>,
    given_up: &[EgressRow],
    leaves: &[LeafRow],
) -> Result<()> {
    put_egress(connection, given_up).await?;
    match since {
        Some(since) => sqlx::query(
            "INSERT INTO export (tenant, since) VALUES (?1, ?2)
             ON CONFLICT (tenant) DO UPDATE SET since = excluded.since",
        )
        .bind(tenant.as_bytes().as_slice())
        .bind(since.0),
        None => {
            sqlx::query("DELETE FROM export WHERE tenant = ?1").bind(tenant.as_bytes().as_slice())
        }
    }
    .execute(&mut *connection)
    .await
    .map_err(|error| refused(error, "the tenant has one export"))?;
    put_leaves(connection, leaves).await
}

pub(super) async fn commit_egress(
    connection: &mut SqliteConnection,
    rows: &[EgressRow],
    kept: Option<&KeptRow>,
    leaves: &[LeafRow],
) -> Result<()> {
    put_egress(connection, rows).await?;
    if let Some(kept) = kept {
        put_kept(connection, kept).await?;
    }
    put_leaves(connection, leaves).await
}

/// Notes what became of segments; their parcels go.
async fn put_egress(connection: &mut SqliteConnection, rows: &[EgressRow]) -> Result<()> {
    for row in rows {
        sqlx::query("DELETE FROM parcel WHERE tenant = ?1 AND segment = ?2")
            .bind(row.tenant.as_bytes().as_slice())
            .bind(row.segment.as_bytes().as_slice())
            .execute(&mut *connection)
            .await
            .map_err(Error::Database)?;
        let outcome: i64 = match row.outcome {
            EgressOutcome::Sent => 0,
            EgressOutcome::Dropped => 1,
        };
        sqlx::query(
            "INSERT INTO egress (tenant, segment, sequence, at, outcome, row_count, fact_count,
                                 byte_count, sealed, acknowledged)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .bind(row.tenant.as_bytes().as_slice())
        .bind(row.segment.as_bytes().as_slice())
        .bind(integer(row.sequence, "sequence")?)
        .bind(row.at.0)
        .bind(outcome)
        .bind(integer(row.rows, "row_count")?)
        .bind(integer(row.facts, "fact_count")?)
        .bind(integer(row.bytes, "byte_count")?)
        .bind(row.sealed.as_slice())
        .bind(Some(row.acknowledged.as_slice()).filter(|sealed| !sealed.is_empty()))
        .execute(&mut *connection)
        .await
        .map_err(|error| refused(error, "a segment is exported once"))?;
    }
    Ok(())
}

pub(super) async fn put_parcel(
    connection: &mut SqliteConnection,
    row: &ParcelRow,
    kept: Option<&KeptRow>,
    leaves: &[LeafRow],
) -> Result<()> {
    const WHAT: &str = "a segment has one parcel, before it is exported";
    let put = sqlx::query(
        "INSERT INTO parcel (tenant, segment, at, fact_count, byte_count, receipt, sealed)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
         WHERE NOT EXISTS (SELECT 1 FROM egress WHERE tenant = ?1 AND segment = ?2)",
    )
    .bind(row.tenant.as_bytes().as_slice())
    .bind(row.segment.as_bytes().as_slice())
    .bind(row.at.0)
    .bind(integer(row.facts, "fact_count")?)
    .bind(integer(row.bytes, "byte_count")?)
    .bind(row.receipt.as_slice())
    .bind(row.sealed.as_slice())
    .execute(&mut *connection)
    .await
    .map_err(|error| refused(error, WHAT))?;
    if put.rows_affected() == 0 {
        return Err(Error::Conflict { what: WHAT });
    }
    if let Some(kept) = kept {
        put_kept(connection, kept).await?;
    }
    put_leaves(connection, leaves).await
}

pub(super) async fn parcel(
    readers: &SqlitePool,
    tenant: TenantId,
    segment: SegmentId,
) -> Result<Option<ParcelRow>> {
    let row = sqlx::query(
        "SELECT tenant, segment, at, fact_count, byte_count, receipt, sealed
         FROM parcel WHERE tenant = ?1 AND segment = ?2",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(segment.as_bytes().as_slice())
    .fetch_optional(readers)
    .await
    .map_err(Error::Database)?;
    row.as_ref().map(|row| parcel_row(Columns(row))).transpose()
}

pub(super) async fn parcels(readers: &SqlitePool, tenant: TenantId) -> Result<Vec<ParcelRow>> {
    let rows = sqlx::query(
        "SELECT tenant, segment, at, fact_count, byte_count, receipt, x'' AS sealed
         FROM parcel WHERE tenant = ?1 ORDER BY segment",
    )
    .bind(tenant.as_bytes().as_slice())
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    rows.iter().map(|row| parcel_row(Columns(row))).collect()
}

fn parcel_row(row: Columns<'_>) -> Result<ParcelRow> {
    Ok(ParcelRow {
        tenant: row.tenant()?,
        segment: SegmentId::from_bytes(row.array("segment")?),
        at: row.ticks("at")?,
        facts: row.count("fact_count")?,
        bytes: row.count("byte_count")?,
        receipt: row.get("receipt")?,
        sealed: row.sealed()?,
    })
}

fn kept_number(kind: KeptKind) -> i64 {
    match kind {
        KeptKind::Own => 1,
        KeptKind::Snapshot => 2,
    }
}

pub(super) async fn put_kept(connection: &mut SqliteConnection, row: &KeptRow) -> Result<()> {
    const WHAT: &str = "the version of what is kept must be the former plus one";
    let sql = if row.version == 1 {
        "INSERT INTO kept (tenant, kind, version, sealed) VALUES (?1, ?2, ?3, ?4)"
    } else {
        "UPDATE kept SET version = ?3, sealed = ?4
         WHERE tenant IS ?1 AND kind = ?2 AND version = ?3 - 1"
    };
    let put = sqlx::query(sql)
        .bind(row.tenant.map(|tenant| tenant.as_bytes().to_vec()))
        .bind(kept_number(row.kind))
        .bind(integer(row.version, "version")?)
        .bind(row.sealed.as_slice())
        .execute(connection)
        .await
        .map_err(|error| refused(error, WHAT))?;
    if put.rows_affected() == 0 {
        return Err(Error::Conflict { what: WHAT });
    }
    Ok(())
}

pub(super) async fn kept(
    readers: &SqlitePool,
    tenant: Option<TenantId>,
    kind: KeptKind,
) -> Result<Option<KeptRow>> {
    let row = sqlx::query("SELECT version, sealed FROM kept WHERE tenant IS ?1 AND kind = ?2")
        .bind(tenant.map(|tenant| tenant.as_bytes().to_vec()))
        .bind(kept_number(kind))
        .fetch_optional(readers)
        .await
        .map_err(Error::Database)?;
    let read = |row| {
        let row = Columns(row);
        Ok(KeptRow {
            tenant,
            kind,
            version: row.count("version")?,
            sealed: row.sealed()?,
        })
    };
    row.as_ref().map(read).transpose()
}

fn egress_row(row: Columns<'_>) -> Result<EgressRow> {
    Ok(EgressRow {
        tenant: row.tenant()?,
        segment: SegmentId::from_bytes(row.array("segment")?),
        sequence: row.count("sequence")?,
        at: row.ticks("at")?,
        outcome: match row.count("outcome")? {
            0 => EgressOutcome::Sent,
            1 => EgressOutcome::Dropped,
            _ => return Err(Error::Damaged { what: "outcome" }),
        },
        rows: row.count("row_count")?,
        facts: row.count("fact_count")?,
        bytes: row.count("byte_count")?,
        sealed: row.sealed()?,
        acknowledged: row
            .get::<Option<Vec<u8>>>("acknowledged")?
            .unwrap_or_default(),
    })
}

pub(super) async fn egress(
    readers: &SqlitePool,
    tenant: TenantId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<EgressRow>> {
    let before = before.and_then(|n| i64::try_from(n).ok());
    let rows = sqlx::query(
        "SELECT tenant, segment, sequence, at, outcome, row_count, fact_count, byte_count, sealed,
                acknowledged
         FROM egress WHERE tenant = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(before.unwrap_or(i64::MAX))
    .bind(page(limit))
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    rows.iter().map(|row| egress_row(Columns(row))).collect()
}

pub(super) async fn egress_of(
    readers: &SqlitePool,
    tenant: TenantId,
    segment: SegmentId,
) -> Result<Option<EgressRow>> {
    let row = sqlx::query(
        "SELECT tenant, segment, sequence, at, outcome, row_count, fact_count, byte_count, sealed,
                acknowledged
         FROM egress WHERE tenant = ?1 AND segment = ?2",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(segment.as_bytes().as_slice())
    .fetch_optional(readers)
    .await
    .map_err(Error::Database)?;
    row.as_ref().map(|row| egress_row(Columns(row))).transpose()
}

pub(super) async fn audit(
    readers: &SqlitePool,
    tenant: Option<TenantId>,
    range: AuditRange,
    limit: usize,
) -> Result<Vec<AuditRow>> {
    let rows = sqlx::query(
        "SELECT tenant, sequence, at, sealed FROM audit
         WHERE tenant IS ?1 AND sequence >= ?2 AND at >= ?4 AND at < ?5
         ORDER BY sequence LIMIT ?3",
    )
    .bind(tenant.map(|tenant| tenant.as_bytes().to_vec()))
    .bind(i64::try_from(range.from).unwrap_or(i64::MAX))
    .bind(page(limit))
    .bind(range.since.map_or(i64::MIN, |at| at.0))
    .bind(range.until.map_or(i64::MAX, |at| at.0))
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    let read = |row| {
        let row = Columns(row);
        Ok(AuditRow {
            tenant: row.maybe_tenant()?,
            sequence: row.count("sequence")?,
            at: row.ticks("at")?,
            sealed: row.sealed()?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn accept_damage(
    connection: &mut SqliteConnection,
    accepted: &[(TenantId, Vec<u8>)],
    leaves: &[LeafRow],
) -> Result<()> {
    for (tenant, sealed) in accepted {
        sqlx::query(
            "INSERT INTO log_damage (tenant, sealed) VALUES (?1, ?2)
             ON CONFLICT (tenant) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(tenant.as_bytes().as_slice())
        .bind(sealed.as_slice())
        .execute(&mut *connection)
        .await
        .map_err(|error| refused(error, "the tenant has one list"))?;
    }
    put_leaves(connection, leaves).await
}
