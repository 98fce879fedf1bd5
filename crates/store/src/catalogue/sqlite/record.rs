//! The SQL of exports, audit rows and accepted damage.

use model::{SegmentId, TenantId, Ticks};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::{Columns, Error, Result, integer, page, put_leaves, refused};
use crate::catalogue::{AuditRange, AuditRow, EgressOutcome, EgressRow, LeafRow};

pub(super) async fn set_export(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    since: Option<Ticks>,
    leaves: &[LeafRow],
) -> Result<()> {
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
    leaves: &[LeafRow],
) -> Result<()> {
    for row in rows {
        let outcome: i64 = match row.outcome {
            EgressOutcome::Sent => 0,
            EgressOutcome::Dropped => 1,
        };
        sqlx::query(
            "INSERT INTO egress (tenant, segment, sequence, at, outcome, row_count, fact_count,
                                 byte_count, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
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
        .execute(&mut *connection)
        .await
        .map_err(|error| refused(error, "a segment is exported once"))?;
    }
    put_leaves(connection, leaves).await
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
        "SELECT tenant, segment, sequence, at, outcome, row_count, fact_count, byte_count, sealed
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
        "SELECT tenant, segment, sequence, at, outcome, row_count, fact_count, byte_count, sealed
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
