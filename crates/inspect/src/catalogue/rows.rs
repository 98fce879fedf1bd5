//! The catalogue's rows, as far as opening what they name takes.

use crypto::Fields;
use model::{KeyId, SegmentId, StreamId, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Catalogue;
use crate::Error;

/// Whose key opens a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Tenant(TenantId),
    Cell,
}

/// A sealed value and what it is sealed for.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) owner: Owner,
    /// Which column.
    pub(crate) column: &'static str,
    pub(crate) context: Fields,
    pub(crate) sealed: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct TenantRow {
    pub(crate) tenant: TenantId,
    pub(crate) stream: StreamId,
    pub(crate) generation: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct SegmentRow {
    pub(crate) segment: SegmentId,
    pub(crate) tenant: TenantId,
    pub(crate) partition: [u8; 16],
    pub(crate) level: u8,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) key: KeyId,
    pub(crate) sealed: Vec<u8>,
}

impl SegmentRow {
    /// What the manifest is sealed for: all of the row that says what the file is.
    pub(crate) fn context(&self) -> Fields {
        Fields::new("manifest")
            .with(self.segment.as_bytes())
            .with(&self.partition)
            .with(&self.digest)
            .with(self.key.as_bytes())
            .with(&[self.level])
            .with_u64(self.rows)
            .with_u64(self.bytes)
    }
}

/// Everything that names or is something sealed.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) tenants: Vec<TenantRow>,
    pub(crate) segments: Vec<SegmentRow>,
    /// All sealed values but the segments' manifests.
    pub(crate) blobs: Vec<Blob>,
    /// Rows that are not of the documented form.
    pub(crate) damaged: usize,
}

impl Catalogue {
    pub(crate) fn rows(&mut self) -> Result<Rows, Error> {
        let mut rows = Rows::default();
        if !self.is_ours()? {
            rows.damaged = 1;
            return Ok(rows);
        }
        for row in
            self.query("SELECT tenant, stream, key_table_generation FROM tenant".to_owned())?
        {
            match tenant(&row) {
                Some(tenant) => rows.tenants.push(tenant),
                None => rows.damaged += 1,
            }
        }
        let segments = "SELECT segment, tenant, partition, level, row_count, byte_count, digest,
                        data_key, sealed FROM segment ORDER BY tenant, segment";
        for row in self.query(segments.to_owned())? {
            match segment(&row) {
                Some(segment) => rows.segments.push(segment),
                None => rows.damaged += 1,
            }
        }
        let tables =
            self.texts("SELECT name FROM sqlite_schema WHERE type = 'table'".to_owned())?;
        for (column, sql, read) in BLOBS.iter().chain(BLOBS_OF_DETECTION) {
            // An older format lacks some.
            let Some((table, name)) = column.split_once('.') else {
                continue;
            };
            if !tables.iter().any(|known| known == table) {
                continue;
            }
            let columns = format!("SELECT name FROM pragma_table_xinfo('{table}')");
            if !self.texts(columns)?.iter().any(|known| known == name) {
                continue;
            }
            for row in self.query((*sql).to_owned())? {
                match blob(&row, column, *read) {
                    Some(blob) => rows.blobs.push(blob),
                    None => rows.damaged += 1,
                }
            }
        }
        Ok(rows)
    }
}

/// What a blob's row says beside it: owner and context.
type Reader = fn(&SqliteRow) -> Option<(Owner, Fields)>;

const BLOBS: &[(&str, &str, Reader)] = &[
    (
        "tenant_document.sealed",
        "SELECT sealed, tenant, version FROM tenant_document",
        |row| {
            let context = Fields::new("tenant-document").with_u64(number(row, "version")?);
            Some((owner(row)?, context))
        },
    ),
    (
        "tenant_raw_schema.sealed",
        "SELECT sealed, tenant FROM tenant_raw_schema",
        |row| Some((owner(row)?, Fields::new("raw-schema"))),
    ),
    (
        "source.sealed",
        "SELECT sealed, tenant, source FROM source",
        |row| {
            Some((
                owner(row)?,
                Fields::new("source").with(&bytes::<16>(row, "source")?),
            ))
        },
    ),
    (
        "token.sealed",
        "SELECT sealed, tenant, token FROM token",
        |row| {
            Some((
                owner(row)?,
                Fields::new("token").with(&bytes::<16>(row, "token")?),
            ))
        },
    ),
    (
        "registry.sealed",
        "SELECT sealed, version FROM registry",
        |row| {
            let context = Fields::new("registry").with_u64(number(row, "version")?);
            Some((Owner::Cell, context))
        },
    ),
    (
        "leaf.sealed",
        "SELECT sealed, tenant, sequence FROM leaf",
        |row| {
            let context = Fields::new("leaf").with_u64(number(row, "sequence")?);
            Some((owner(row)?, context))
        },
    ),
];

const BLOBS_OF_DETECTION: &[(&str, &str, Reader)] = &[
    (
        "detection_state.sealed",
        "SELECT sealed, tenant, kind, version FROM detection_state",
        |row| {
            let kind = u8::try_from(number(row, "kind")?).ok()?;
            let context = Fields::new("detection-state").with(&[kind]);
            Some((owner(row)?, context.with_u64(number(row, "version")?)))
        },
    ),
    (
        "alert.sealed",
        "SELECT sealed, tenant, alert, created_at, severity, linked FROM alert",
        |row| {
            let context = Fields::new("alert")
                .with(&bytes::<16>(row, "alert")?)
                .with(&time(row, "created_at")?)
                .with(word(row, "severity", &SEVERITIES)?)
                .with(&[u8::try_from(number(row, "linked")?).ok()?]);
            Some((owner(row)?, context))
        },
    ),
    (
        "incident.sealed",
        "SELECT sealed, tenant, number, version, created_at, updated_at, status, severity, assigned
         FROM incident",
        |row| {
            let assigned: Option<Vec<u8>> = row.try_get("assigned").ok()?;
            let context = Fields::new("incident")
                .with_u64(number(row, "number")?)
                .with_u64(number(row, "version")?)
                .with(&time(row, "created_at")?)
                .with(&time(row, "updated_at")?)
                .with(word(row, "status", &STATUSES)?)
                .with(word(row, "severity", &SEVERITIES)?)
                .with(&assigned.unwrap_or_default());
            Some((owner(row)?, context))
        },
    ),
    (
        "activity.sealed",
        "SELECT sealed, tenant, incident, sequence, at FROM activity",
        |row| {
            let context = Fields::new("activity")
                .with_u64(number(row, "sequence")?)
                .with_u64(number(row, "incident")?)
                .with(&time(row, "at")?);
            Some((owner(row)?, context))
        },
    ),
    (
        "rule.sealed",
        "SELECT sealed, tenant, rule, version, kind FROM rule",
        |row| {
            let context = Fields::new("rule")
                .with(&bytes::<16>(row, "rule")?)
                .with_u64(number(row, "version")?)
                .with(word(row, "kind", &RULE_KINDS)?);
            Some((owner(row)?, context))
        },
    ),
    (
        "link_entry.sealed",
        "SELECT sealed, tenant, destination, sequence FROM link_entry",
        |row| {
            let context = Fields::new("link-entry")
                .with(&bytes::<16>(row, "destination")?)
                .with_u64(number(row, "sequence")?);
            Some((owner(row)?, context))
        },
    ),
    (
        "egress.sealed",
        "SELECT sealed, tenant, segment, sequence, at, outcome, row_count, fact_count, byte_count
         FROM egress",
        |row| {
            let context = Fields::new("egress")
                .with(&bytes::<16>(row, "segment")?)
                .with_u64(number(row, "sequence")?)
                .with(&time(row, "at")?)
                .with(&[u8::try_from(number(row, "outcome")?).ok()?])
                .with_u64(number(row, "row_count")?)
                .with_u64(number(row, "fact_count")?)
                .with_u64(number(row, "byte_count")?);
            Some((owner(row)?, context))
        },
    ),
    (
        "egress.acknowledged",
        "SELECT acknowledged AS sealed, tenant, segment FROM egress
         WHERE acknowledged IS NOT NULL",
        |row| {
            let context = Fields::new("egress-acknowledged");
            Some((owner(row)?, context.with(&bytes::<16>(row, "segment")?)))
        },
    ),
    (
        "parcel.receipt",
        "SELECT receipt AS sealed, tenant, segment, at, fact_count, byte_count FROM parcel",
        |row| Some((owner(row)?, parcel("parcel-receipt", row)?)),
    ),
    (
        "parcel.sealed",
        "SELECT sealed, tenant, segment, at, fact_count, byte_count FROM parcel",
        |row| Some((owner(row)?, parcel("parcel", row)?)),
    ),
    (
        "kept.sealed",
        "SELECT sealed, tenant, kind, version FROM kept",
        |row| {
            let kind = u8::try_from(number(row, "kind")?).ok()?;
            let context = Fields::new("kept").with(&[kind]);
            Some((owner(row)?, context.with_u64(number(row, "version")?)))
        },
    ),
    (
        "log_damage.sealed",
        "SELECT sealed, tenant FROM log_damage",
        |row| Some((owner(row)?, Fields::new("log-damage"))),
    ),
    (
        "audit.sealed",
        "SELECT sealed, tenant, sequence FROM audit",
        |row| {
            let context = Fields::new("audit").with_u64(number(row, "sequence")?);
            Some((owner(row)?, context))
        },
    ),
];

const SEVERITIES: [&str; 4] = ["Informational", "Low", "Medium", "High"];
const STATUSES: [&str; 4] = ["active", "inProgress", "resolved", "redirected"];
const RULE_KINDS: [&str; 4] = ["sigma", "correlation", "scheduled", "vendor"];

/// What a parcel, or the receipt beside it, is sealed for.
fn parcel(what: &str, row: &SqliteRow) -> Option<Fields> {
    let context = Fields::new(what)
        .with(&bytes::<16>(row, "segment")?)
        .with(&time(row, "at")?)
        .with_u64(number(row, "fact_count")?)
        .with_u64(number(row, "byte_count")?);
    Some(context)
}

/// The word that a number of the catalogue stands for.
fn word<'a>(row: &SqliteRow, column: &str, words: &[&'a str]) -> Option<&'a [u8]> {
    let at = usize::try_from(number(row, column)?).ok()?;
    words.get(at).map(|word| word.as_bytes())
}

fn time(row: &SqliteRow, column: &str) -> Option<[u8; 8]> {
    let ticks: i64 = row.try_get(column).ok()?;
    Some(ticks.to_le_bytes())
}

fn blob(row: &SqliteRow, column: &'static str, read: Reader) -> Option<Blob> {
    let (owner, context) = read(row)?;
    Some(Blob {
        owner,
        column,
        context,
        sealed: row.try_get("sealed").ok()?,
    })
}

fn tenant(row: &SqliteRow) -> Option<TenantRow> {
    Some(TenantRow {
        tenant: TenantId::from_bytes(bytes(row, "tenant")?),
        stream: StreamId::from_bytes(bytes(row, "stream")?),
        generation: number(row, "key_table_generation")?,
    })
}

fn segment(row: &SqliteRow) -> Option<SegmentRow> {
    Some(SegmentRow {
        segment: SegmentId::from_bytes(bytes(row, "segment")?),
        tenant: TenantId::from_bytes(bytes(row, "tenant")?),
        partition: bytes(row, "partition")?,
        level: u8::try_from(number(row, "level")?).ok()?,
        rows: number(row, "row_count")?,
        bytes: number(row, "byte_count")?,
        digest: bytes(row, "digest")?,
        key: KeyId::from_bytes(bytes(row, "data_key")?),
        sealed: row.try_get("sealed").ok()?,
    })
}

/// No tenant: the cell's own.
fn owner(row: &SqliteRow) -> Option<Owner> {
    let id: Option<Vec<u8>> = row.try_get("tenant").ok()?;
    match id {
        None => Some(Owner::Cell),
        Some(id) => Some(Owner::Tenant(TenantId::from_bytes(id.try_into().ok()?))),
    }
}

fn bytes<const N: usize>(row: &SqliteRow, column: &str) -> Option<[u8; N]> {
    let bytes: Vec<u8> = row.try_get(column).ok()?;
    bytes.try_into().ok()
}

fn number(row: &SqliteRow, column: &str) -> Option<u64> {
    let number: i64 = row.try_get(column).ok()?;
    u64::try_from(number).ok()
}
