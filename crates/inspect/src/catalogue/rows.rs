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
        for (column, sql, read) in BLOBS {
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
