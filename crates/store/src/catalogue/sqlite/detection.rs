//! The SQL of detection: alerts, incidents, activity, states, windows.

use model::{AlertId, AlertSeverity, IncidentStatus, TenantId, Ticks};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::{Columns, Error, Result, integer, link, page, put_leaves, refused};
use crate::catalogue::{
    ActivityRow, AlertFilter, AlertRow, DetectionHead, DetectionTx, IncidentRow, IncidentRowFilter,
    StateKind, StateRow, WindowRow,
};

// ---- enums as numbers ----

fn severity_number(severity: AlertSeverity) -> i64 {
    match severity {
        AlertSeverity::Informational => 0,
        AlertSeverity::Low => 1,
        AlertSeverity::Medium => 2,
        AlertSeverity::High => 3,
    }
}

fn severity(number: u64) -> Result<AlertSeverity> {
    Ok(match number {
        0 => AlertSeverity::Informational,
        1 => AlertSeverity::Low,
        2 => AlertSeverity::Medium,
        3 => AlertSeverity::High,
        _ => return Err(Error::Damaged { what: "severity" }),
    })
}

fn status_number(status: IncidentStatus) -> i64 {
    match status {
        IncidentStatus::Active => 0,
        IncidentStatus::InProgress => 1,
        IncidentStatus::Resolved => 2,
        IncidentStatus::Redirected => 3,
    }
}

fn status(number: u64) -> Result<IncidentStatus> {
    Ok(match number {
        0 => IncidentStatus::Active,
        1 => IncidentStatus::InProgress,
        2 => IncidentStatus::Resolved,
        3 => IncidentStatus::Redirected,
        _ => return Err(Error::Damaged { what: "status" }),
    })
}

fn kind_number(kind: StateKind) -> i64 {
    match kind {
        StateKind::Correlation => 1,
        StateKind::Detectors => 2,
    }
}

// ---- writing ----

/// Gives each of these tenants a cursor that has none.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    cursors: &[(TenantId, u64)],
) -> Result<()> {
    for (tenant, cursor) in cursors {
        make_head(connection, *tenant).await?;
        sqlx::query("UPDATE detection SET cursor = coalesce(cursor, ?2) WHERE tenant = ?1")
            .bind(tenant.as_bytes().as_slice())
            .bind(integer(*cursor, "cursor")?)
            .execute(&mut *connection)
            .await
            .map_err(Error::Database)?;
    }
    Ok(())
}

async fn make_head(connection: &mut SqliteConnection, tenant: TenantId) -> Result<()> {
    sqlx::query(
        "INSERT INTO detection (tenant, cursor, rules_version, next_incident, next_activity)
         VALUES (?1, NULL, 0, 1, 1) ON CONFLICT (tenant) DO NOTHING",
    )
    .bind(tenant.as_bytes().as_slice())
    .execute(connection)
    .await
    .map_err(|error| refused(error, "the tenant has one cursor"))?;
    Ok(())
}

/// The alerts that were there already.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    tx: &DetectionTx,
) -> Result<Vec<AlertId>> {
    make_head(connection, tx.tenant).await?;
    let mut head = read_head(connection, tx.tenant).await?;
    if let Some(cursor) = tx.cursor {
        if head.cursor.is_some_and(|former| cursor < former) {
            return Err(Error::Conflict {
                what: "the detection cursor must not go back",
            });
        }
        head.cursor = Some(cursor);
    }
    head.rules_version = tx.rules_version.unwrap_or(head.rules_version);
    let mut repeated = Vec::new();
    for row in &tx.alerts {
        if !put_alert(connection, tx.tenant, row).await? {
            repeated.push(row.alert);
        }
    }
    for row in &tx.grown {
        grow_alert(connection, tx.tenant, row).await?;
    }
    for (alert, incident) in &tx.moves {
        move_alert(connection, tx.tenant, *alert, *incident).await?;
    }
    for row in &tx.incidents {
        put_incident(connection, tx.tenant, row, &mut head).await?;
    }
    for row in &tx.activity {
        if row.sequence != head.next_activity {
            return Err(Error::Conflict {
                what: "an entry of the activity log must carry the next number",
            });
        }
        put_activity(connection, tx.tenant, row).await?;
        head.next_activity = head.next_activity.saturating_add(1);
    }
    for row in &tx.states {
        put_state(connection, tx.tenant, row).await?;
    }
    for row in &tx.windows {
        put_window(connection, tx.tenant, row).await?;
    }
    link::put(connection, tx.tenant, &tx.link).await?;
    put_head(connection, tx.tenant, head).await?;
    put_leaves(connection, &tx.leaves).await?;
    Ok(repeated)
}

async fn put_head(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    head: DetectionHead,
) -> Result<()> {
    let cursor = head.cursor.map(|cursor| integer(cursor, "cursor"));
    sqlx::query(
        "UPDATE detection SET cursor = ?2, rules_version = ?3, next_incident = ?4,
                next_activity = ?5 WHERE tenant = ?1",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(cursor.transpose()?)
    .bind(integer(head.rules_version, "rules_version")?)
    .bind(integer(head.next_incident, "next_incident")?)
    .bind(integer(head.next_activity, "next_activity")?)
    .execute(connection)
    .await
    .map_err(Error::Database)?;
    Ok(())
}

/// Whether the alert is new.
async fn put_alert(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    row: &AlertRow,
) -> Result<bool> {
    let put = sqlx::query(
        "INSERT INTO alert (tenant, alert, created_at, severity, linked, incident, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (tenant, alert) DO NOTHING",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(row.alert.as_bytes().as_slice())
    .bind(row.created_at.0)
    .bind(severity_number(row.severity))
    .bind(row.linked)
    .bind(row.incident.map(|n| integer(n, "incident")).transpose()?)
    .bind(row.sealed.as_slice())
    .execute(connection)
    .await
    .map_err(Error::Database)?;
    Ok(put.rows_affected() > 0)
}

/// Replaces what an alert says; which incident it is in is for `moves` to say.
async fn grow_alert(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    row: &AlertRow,
) -> Result<()> {
    let put = sqlx::query(
        "UPDATE alert SET severity = ?4, sealed = ?6
         WHERE tenant = ?1 AND alert = ?2 AND created_at = ?3 AND linked = ?5",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(row.alert.as_bytes().as_slice())
    .bind(row.created_at.0)
    .bind(severity_number(row.severity))
    .bind(row.linked)
    .bind(row.sealed.as_slice())
    .execute(connection)
    .await
    .map_err(Error::Database)?;
    if put.rows_affected() == 0 {
        return Err(Error::Missing { what: "alert" });
    }
    Ok(())
}

async fn move_alert(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    alert: AlertId,
    incident: u64,
) -> Result<()> {
    let moved = sqlx::query("UPDATE alert SET incident = ?3 WHERE tenant = ?1 AND alert = ?2")
        .bind(tenant.as_bytes().as_slice())
        .bind(alert.as_bytes().as_slice())
        .bind(integer(incident, "incident")?)
        .execute(connection)
        .await
        .map_err(Error::Database)?;
    super::changed(moved, "alert")
}

async fn put_incident(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    row: &IncidentRow,
    head: &mut DetectionHead,
) -> Result<()> {
    if row.version == 1 {
        if row.number < head.next_incident {
            return Err(Error::Conflict {
                what: "a new incident's number must be new",
            });
        }
        head.next_incident = row.number.saturating_add(1);
    }
    let assigned = row.assigned.map(|token| token.to_vec());
    let sql = if row.version == 1 {
        "INSERT INTO incident (tenant, number, version, created_at, updated_at, status, severity,
                               assigned, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    } else {
        "UPDATE incident SET version = ?3, created_at = ?4, updated_at = ?5, status = ?6,
                severity = ?7, assigned = ?8, sealed = ?9
         WHERE tenant = ?1 AND number = ?2 AND version = ?3 - 1"
    };
    let put = sqlx::query(sql)
        .bind(tenant.as_bytes().as_slice())
        .bind(integer(row.number, "number")?)
        .bind(integer(row.version, "version")?)
        .bind(row.created_at.0)
        .bind(row.updated_at.0)
        .bind(status_number(row.status))
        .bind(severity_number(row.severity))
        .bind(assigned)
        .bind(row.sealed.as_slice())
        .execute(connection)
        .await
        .map_err(|error| refused(error, "a new incident's number must be new"))?;
    if put.rows_affected() == 0 {
        return Err(Error::Conflict {
            what: "an incident's version must be the former plus one",
        });
    }
    Ok(())
}

async fn put_activity(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    row: &ActivityRow,
) -> Result<()> {
    let number = integer(row.incident, "incident")?;
    let known: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM incident WHERE tenant = ?1 AND number = ?2")
            .bind(tenant.as_bytes().as_slice())
            .bind(number)
            .fetch_optional(&mut *connection)
            .await
            .map_err(Error::Database)?;
    known.ok_or(Error::Missing { what: "incident" })?;
    sqlx::query(
        "INSERT INTO activity (tenant, incident, sequence, at, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(number)
    .bind(integer(row.sequence, "sequence")?)
    .bind(row.at.0)
    .bind(row.sealed.as_slice())
    .execute(connection)
    .await
    .map_err(|error| refused(error, "an entry's number must be new"))?;
    Ok(())
}

async fn put_state(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    row: &StateRow,
) -> Result<()> {
    const WHAT: &str = "a state's version must be the former plus one";
    let sql = if row.version == 1 {
        "INSERT INTO detection_state (tenant, kind, version, sealed) VALUES (?1, ?2, ?3, ?4)"
    } else {
        "UPDATE detection_state SET version = ?3, sealed = ?4
         WHERE tenant = ?1 AND kind = ?2 AND version = ?3 - 1"
    };
    let put = sqlx::query(sql)
        .bind(tenant.as_bytes().as_slice())
        .bind(kind_number(row.kind))
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

async fn put_window(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    row: &WindowRow,
) -> Result<()> {
    const WHAT: &str = "a rule's window must follow the one before";
    if row.former.is_some_and(|former| row.end <= former) {
        return Err(Error::Conflict { what: WHAT });
    }
    let query = match row.former {
        None => {
            sqlx::query("INSERT INTO rule_window (tenant, rule, window_end) VALUES (?1, ?2, ?3)")
        }
        Some(_) => sqlx::query(
            "UPDATE rule_window SET window_end = ?3
             WHERE tenant = ?1 AND rule = ?2 AND window_end = ?4",
        ),
    };
    let query = query
        .bind(tenant.as_bytes().as_slice())
        .bind(row.rule.as_slice())
        .bind(row.end.0);
    let query = match row.former {
        None => query,
        Some(former) => query.bind(former.0),
    };
    let put = query
        .execute(connection)
        .await
        .map_err(|error| refused(error, WHAT))?;
    if put.rows_affected() == 0 {
        return Err(Error::Conflict { what: WHAT });
    }
    Ok(())
}

// ---- reading ----

async fn read_head(connection: &mut SqliteConnection, tenant: TenantId) -> Result<DetectionHead> {
    let row = sqlx::query(
        "SELECT cursor, rules_version, next_incident, next_activity
         FROM detection WHERE tenant = ?1",
    )
    .bind(tenant.as_bytes().as_slice())
    .fetch_optional(connection)
    .await
    .map_err(Error::Database)?;
    let Some(row) = row else {
        return Ok(DetectionHead::default());
    };
    let row = Columns(&row);
    Ok(DetectionHead {
        cursor: row.maybe_count("cursor")?,
        rules_version: row.count("rules_version")?,
        next_incident: row.count("next_incident")?,
        next_activity: row.count("next_activity")?,
    })
}

pub(super) async fn head(readers: &SqlitePool, tenant: TenantId) -> Result<DetectionHead> {
    let mut connection = readers.acquire().await.map_err(Error::Database)?;
    read_head(&mut connection, tenant).await
}

pub(super) async fn state(
    readers: &SqlitePool,
    tenant: TenantId,
    kind: StateKind,
) -> Result<Option<StateRow>> {
    let row =
        sqlx::query("SELECT version, sealed FROM detection_state WHERE tenant = ?1 AND kind = ?2")
            .bind(tenant.as_bytes().as_slice())
            .bind(kind_number(kind))
            .fetch_optional(readers)
            .await
            .map_err(Error::Database)?;
    let read = |row| {
        let row = Columns(row);
        Ok(StateRow {
            kind,
            version: row.count("version")?,
            sealed: row.sealed()?,
        })
    };
    row.as_ref().map(read).transpose()
}

/// Columns of an alert, in a statement that goes on with what to choose.
macro_rules! alerts {
    ($rest:literal) => {
        concat!(
            "SELECT alert, created_at, severity, linked, incident, sealed FROM alert
             WHERE tenant = ?1 AND ",
            $rest
        )
    };
}

fn alert_row(row: Columns<'_>) -> Result<AlertRow> {
    Ok(AlertRow {
        alert: AlertId::from_bytes(row.array("alert")?),
        created_at: row.ticks("created_at")?,
        severity: severity(row.count("severity")?)?,
        linked: row.flag("linked")?,
        incident: row.maybe_count("incident")?,
        sealed: row.sealed()?,
    })
}

pub(super) async fn alert(
    readers: &SqlitePool,
    tenant: TenantId,
    alert: AlertId,
) -> Result<Option<AlertRow>> {
    let row = sqlx::query(alerts!("alert = ?2"))
        .bind(tenant.as_bytes().as_slice())
        .bind(alert.as_bytes().as_slice())
        .fetch_optional(readers)
        .await
        .map_err(Error::Database)?;
    row.as_ref().map(|row| alert_row(Columns(row))).transpose()
}

const ALERTS_BY_TIME: &str = alerts!(
    "created_at >= ?2 AND created_at < ?3 AND severity >= ?4
       AND (?5 IS NULL OR incident = ?5) AND (?6 IS NULL OR linked = ?6)
       AND (created_at, alert) < (?7, ?8)
     ORDER BY created_at DESC, alert DESC LIMIT ?9"
);
const ALERTS_OF_INCIDENT: &str = alerts!(
    "created_at >= ?2 AND created_at < ?3 AND severity >= ?4
       AND incident = ?5 AND (?6 IS NULL OR linked = ?6)
       AND (created_at, alert) < (?7, ?8)
     ORDER BY created_at DESC, alert DESC LIMIT ?9"
);

pub(super) async fn alerts(
    readers: &SqlitePool,
    tenant: TenantId,
    filter: &AlertFilter,
    limit: usize,
) -> Result<Vec<AlertRow>> {
    let incident = filter.incident.map(|n| integer(n.0, "incident"));
    let sql = if incident.is_some() {
        ALERTS_OF_INCIDENT
    } else {
        ALERTS_BY_TIME
    };
    // Every id comes before 17 bytes of 0xff.
    let (at, alert) = match filter.after {
        Some((at, alert)) => (at.0, alert.as_bytes().to_vec()),
        None => (i64::MAX, vec![0xff; 17]),
    };
    let rows = sqlx::query(sql)
        .bind(tenant.as_bytes().as_slice())
        .bind(filter.from.map_or(i64::MIN, |at| at.0))
        .bind(filter.to.map_or(i64::MAX, |at| at.0))
        .bind(filter.severity_min.map_or(0, severity_number))
        .bind(incident.transpose()?)
        .bind(filter.linked)
        .bind(at)
        .bind(alert)
        .bind(page(limit))
        .fetch_all(readers)
        .await
        .map_err(Error::Database)?;
    rows.iter().map(|row| alert_row(Columns(row))).collect()
}

/// Those of the ids that are there, in the order of `ids`.
pub(super) async fn known(
    readers: &SqlitePool,
    tenant: TenantId,
    ids: &[AlertId],
) -> Result<Vec<AlertId>> {
    let mut connection = readers.acquire().await.map_err(Error::Database)?;
    let mut found = Vec::new();
    for id in ids {
        let there: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM alert WHERE tenant = ?1 AND alert = ?2")
                .bind(tenant.as_bytes().as_slice())
                .bind(id.as_bytes().as_slice())
                .fetch_optional(&mut *connection)
                .await
                .map_err(Error::Database)?;
        if there.is_some() {
            found.push(*id);
        }
    }
    Ok(found)
}

fn incident_row(row: Columns<'_>) -> Result<IncidentRow> {
    Ok(IncidentRow {
        number: row.count("number")?,
        version: row.count("version")?,
        created_at: row.ticks("created_at")?,
        updated_at: row.ticks("updated_at")?,
        status: status(row.count("status")?)?,
        severity: severity(row.count("severity")?)?,
        assigned: row.maybe_array("assigned")?,
        sealed: row.sealed()?,
    })
}

pub(super) async fn incident(
    readers: &SqlitePool,
    tenant: TenantId,
    number: u64,
) -> Result<Option<IncidentRow>> {
    let Ok(number) = i64::try_from(number) else {
        return Ok(None);
    };
    let row = sqlx::query(
        "SELECT number, version, created_at, updated_at, status, severity, assigned, sealed
         FROM incident WHERE tenant = ?1 AND number = ?2",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(number)
    .fetch_optional(readers)
    .await
    .map_err(Error::Database)?;
    row.as_ref()
        .map(|row| incident_row(Columns(row)))
        .transpose()
}

pub(super) async fn incidents(
    readers: &SqlitePool,
    tenant: TenantId,
    filter: &IncidentRowFilter,
    limit: usize,
) -> Result<Vec<IncidentRow>> {
    let before = filter.before.and_then(|n| i64::try_from(n).ok());
    let rows = sqlx::query(
        "SELECT number, version, created_at, updated_at, status, severity, assigned, sealed
         FROM incident
         WHERE tenant = ?1 AND number < ?2 AND (?3 IS NULL OR status = ?3) AND severity >= ?4
           AND (?5 IS NULL OR assigned = ?5) AND updated_at >= ?6
         ORDER BY number DESC LIMIT ?7",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(before.unwrap_or(i64::MAX))
    .bind(filter.status.map(status_number))
    .bind(filter.severity_min.map_or(0, severity_number))
    .bind(filter.assigned.map(|token| token.to_vec()))
    .bind(filter.updated_since.map_or(i64::MIN, |at| at.0))
    .bind(page(limit))
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    rows.iter().map(|row| incident_row(Columns(row))).collect()
}

pub(super) async fn activity(
    readers: &SqlitePool,
    tenant: TenantId,
    incident: u64,
    after: u64,
    limit: usize,
) -> Result<Vec<ActivityRow>> {
    let (Ok(number), Ok(after)) = (i64::try_from(incident), i64::try_from(after)) else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query(
        "SELECT incident, sequence, at, sealed FROM activity
         WHERE tenant = ?1 AND incident = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?4",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(number)
    .bind(after)
    .bind(page(limit))
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    let read = |row| {
        let row = Columns(row);
        Ok(ActivityRow {
            incident: row.count("incident")?,
            sequence: row.count("sequence")?,
            at: row.ticks("at")?,
            sealed: row.sealed()?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn windows(
    readers: &SqlitePool,
    tenant: TenantId,
) -> Result<Vec<([u8; 16], Ticks)>> {
    let rows =
        sqlx::query("SELECT rule, window_end FROM rule_window WHERE tenant = ?1 ORDER BY rule")
            .bind(tenant.as_bytes().as_slice())
            .fetch_all(readers)
            .await
            .map_err(Error::Database)?;
    let read = |row| {
        Ok((
            Columns(row).array("rule")?,
            Columns(row).ticks("window_end")?,
        ))
    };
    rows.iter().map(read).collect()
}

pub(super) async fn counts(readers: &SqlitePool, tenant: TenantId) -> Result<(u64, u64, u64)> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM alert WHERE tenant = ?1 AND linked = 0) AS local,
                (SELECT count(*) FROM alert WHERE tenant = ?1 AND linked = 1) AS linked,
                (SELECT count(*) FROM incident WHERE tenant = ?1) AS incidents",
    )
    .bind(tenant.as_bytes().as_slice())
    .fetch_one(readers)
    .await
    .map_err(Error::Database)?;
    let row = Columns(&row);
    Ok((
        row.count("local")?,
        row.count("linked")?,
        row.count("incidents")?,
    ))
}
