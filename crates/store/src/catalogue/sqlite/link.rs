//! The SQL of the tenant link's outbox.

use std::collections::BTreeMap;

use model::TenantId;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::{Columns, Error, Result, integer, page, put_leaves, refused};
use crate::catalogue::{LeafRow, LinkQueueRow, LinkRow};

/// Adds entries and moves the counters of their queues.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    rows: &[LinkRow],
) -> Result<()> {
    let mut queues: BTreeMap<[u8; 16], LinkQueueRow> = BTreeMap::new();
    for row in rows {
        let mut queue = match queues.get(&row.destination) {
            Some(queue) => *queue,
            None => queue_of(connection, tenant, row.destination).await?,
        };
        if row.sequence != queue.next_sequence {
            return Err(Error::Conflict {
                what: "an entry of the outbox must carry the next number",
            });
        }
        sqlx::query(
            "INSERT INTO link_entry (tenant, destination, sequence, at, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(tenant.as_bytes().as_slice())
        .bind(row.destination.as_slice())
        .bind(integer(row.sequence, "sequence")?)
        .bind(row.at.0)
        .bind(row.sealed.as_slice())
        .execute(&mut *connection)
        .await
        .map_err(|error| refused(error, "an entry's number must be new"))?;
        queue.next_sequence = queue.next_sequence.saturating_add(1);
        let bytes = u64::try_from(row.sealed.len()).unwrap_or(u64::MAX);
        queue.bytes = queue.bytes.saturating_add(bytes);
        queues.insert(row.destination, queue);
    }
    for queue in queues.into_values() {
        put_queue(connection, tenant, queue).await?;
    }
    Ok(())
}

async fn put_queue(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    queue: LinkQueueRow,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO link_queue (tenant, destination, next_sequence, acknowledged, byte_count)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (tenant, destination) DO UPDATE SET next_sequence = excluded.next_sequence,
             acknowledged = excluded.acknowledged, byte_count = excluded.byte_count",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(queue.destination.as_slice())
    .bind(integer(queue.next_sequence, "next_sequence")?)
    .bind(integer(queue.acknowledged, "acknowledged")?)
    .bind(integer(queue.bytes, "byte_count")?)
    .execute(connection)
    .await
    .map_err(|error| refused(error, "a queue must be new"))?;
    Ok(())
}

async fn queue_of(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    destination: [u8; 16],
) -> Result<LinkQueueRow> {
    let row = sqlx::query(
        "SELECT destination, next_sequence, acknowledged, byte_count FROM link_queue
         WHERE tenant = ?1 AND destination = ?2",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(destination.as_slice())
    .fetch_optional(connection)
    .await
    .map_err(Error::Database)?;
    let new = LinkQueueRow {
        destination,
        next_sequence: 1,
        acknowledged: 0,
        bytes: 0,
    };
    row.as_ref().map_or(Ok(new), |row| queue_row(Columns(row)))
}

fn queue_row(row: Columns<'_>) -> Result<LinkQueueRow> {
    Ok(LinkQueueRow {
        destination: row.array("destination")?,
        next_sequence: row.count("next_sequence")?,
        acknowledged: row.count("acknowledged")?,
        bytes: row.count("byte_count")?,
    })
}

/// Removes what has arrived; the number of entries that this removed.
pub(super) async fn acknowledge(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    destination: [u8; 16],
    upto: u64,
    leaves: &[LeafRow],
) -> Result<u64> {
    let mut queue = queue_of(connection, tenant, destination).await?;
    if upto >= queue.next_sequence {
        return Err(Error::Conflict {
            what: "what was never sent cannot have arrived",
        });
    }
    let removed = sqlx::query(
        "DELETE FROM link_entry WHERE tenant = ?1 AND destination = ?2 AND sequence <= ?3",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(destination.as_slice())
    .bind(integer(upto, "sequence")?)
    .execute(&mut *connection)
    .await
    .map_err(Error::Database)?;
    if queue.acknowledged < upto {
        queue.acknowledged = upto;
        put_queue(connection, tenant, queue).await?;
    }
    put_leaves(connection, leaves).await?;
    Ok(removed.rows_affected())
}

pub(super) async fn entries(
    readers: &SqlitePool,
    tenant: TenantId,
    destination: [u8; 16],
    limit: usize,
) -> Result<Vec<LinkRow>> {
    let rows = sqlx::query(
        "SELECT destination, sequence, at, sealed FROM link_entry
         WHERE tenant = ?1 AND destination = ?2 ORDER BY sequence LIMIT ?3",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(destination.as_slice())
    .bind(page(limit))
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    let read = |row| {
        let row = Columns(row);
        Ok(LinkRow {
            destination: row.array("destination")?,
            sequence: row.count("sequence")?,
            at: row.ticks("at")?,
            sealed: row.sealed()?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn queues(readers: &SqlitePool, tenant: TenantId) -> Result<Vec<LinkQueueRow>> {
    let rows = sqlx::query(
        "SELECT destination, next_sequence, acknowledged, byte_count FROM link_queue
         WHERE tenant = ?1 ORDER BY destination",
    )
    .bind(tenant.as_bytes().as_slice())
    .fetch_all(readers)
    .await
    .map_err(Error::Database)?;
    rows.iter().map(|row| queue_row(Columns(row))).collect()
}
