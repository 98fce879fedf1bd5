//! The SQL of detection rules.

use model::{RuleKind, TenantId, Ticks};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::{Columns, Error, Result, changed, integer, page, put_leaves, refused};
use crate::catalogue::{LeafRow, RuleRow};

fn kind_number(kind: RuleKind) -> i64 {
    match kind {
        RuleKind::Sigma => 0,
        RuleKind::Correlation => 1,
        RuleKind::Scheduled => 2,
        RuleKind::Vendor => 3,
    }
}

fn kind(number: u64) -> Result<RuleKind> {
    Ok(match number {
        0 => RuleKind::Sigma,
        1 => RuleKind::Correlation,
        2 => RuleKind::Scheduled,
        3 => RuleKind::Vendor,
        _ => return Err(Error::Damaged { what: "kind" }),
    })
}

pub(super) async fn put(
    connection: &mut SqliteConnection,
    row: &RuleRow,
    leaves: &[LeafRow],
) -> Result<()> {
    const WHAT: &str = "a rule's version must be the former plus one";
    let sql = if row.version == 1 {
        "INSERT INTO rule (tenant, rule, version, kind, enabled, updated_at, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    } else {
        "UPDATE rule SET version = ?3, kind = ?4, enabled = ?5, updated_at = ?6, sealed = ?7
         WHERE tenant IS ?1 AND rule = ?2 AND version = ?3 - 1"
    };
    let put = sqlx::query(sql)
        .bind(row.tenant.map(|tenant| tenant.as_bytes().to_vec()))
        .bind(row.rule.as_slice())
        .bind(integer(row.version, "version")?)
        .bind(kind_number(row.kind))
        .bind(row.enabled)
        .bind(row.updated_at.0)
        .bind(row.sealed.as_slice())
        .execute(&mut *connection)
        .await
        .map_err(|error| refused(error, WHAT))?;
    if put.rows_affected() == 0 {
        return Err(Error::Conflict { what: WHAT });
    }
    put_leaves(connection, leaves).await
}

pub(super) async fn set_enabled(
    connection: &mut SqliteConnection,
    tenant: Option<TenantId>,
    rule: [u8; 16],
    enabled: bool,
    at: Ticks,
    leaves: &[LeafRow],
) -> Result<()> {
    let set = sqlx::query(
        "UPDATE rule SET enabled = ?3, updated_at = ?4 WHERE tenant IS ?1 AND rule = ?2",
    )
    .bind(tenant.map(|tenant| tenant.as_bytes().to_vec()))
    .bind(rule.as_slice())
    .bind(enabled)
    .bind(at.0)
    .execute(&mut *connection)
    .await
    .map_err(Error::Database)?;
    changed(set, "rule")?;
    put_leaves(connection, leaves).await
}

pub(super) async fn list(
    readers: &SqlitePool,
    tenant: Option<TenantId>,
    after: Option<[u8; 16]>,
    limit: usize,
) -> Result<Vec<RuleRow>> {
    let rows = sqlx::query(
        "SELECT tenant, rule, version, kind, enabled, updated_at, sealed FROM rule
         WHERE tenant IS ?1 AND rule > ?2 ORDER BY rule LIMIT ?3",
    )
    .bind(tenant.map(|tenant| tenant.as_bytes().to_vec()))
    // Every token comes after the empty string.
    .bind(after.map_or_else(Vec::new, |rule| rule.to_vec()))
    .bind(page(limit))
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    let read = |row| {
        let row = Columns(row);
        Ok(RuleRow {
            tenant: row.maybe_tenant()?,
            rule: row.array("rule")?,
            version: row.count("version")?,
            kind: kind(row.count("kind")?)?,
            enabled: row.flag("enabled")?,
            updated_at: row.ticks("updated_at")?,
            sealed: row.sealed()?,
        })
    };
    rows.iter().map(read).collect()
}
