//! What is done to the copies.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use futures::executor::block_on;
use model::{KeyId, Random, SegmentId};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use vault::{KeyTable, TenantVault, Vault};

use super::copy::{append, find};
use super::{ControlKind, Damage};
use crate::catalogue::{self, Catalogue, SegmentRow, TenantRow};
use crate::formats::{key_table, log, segment};
use crate::marker::Planted;
use crate::opened::aad_prefix;
use crate::{DataDir, Error, Places, What};

pub(super) fn log(copy: &Places, marker: usize, text: &str) -> Result<Damage, Error> {
    for dir in &copy.data {
        if let Some(path) = find(dir, log::MAGIC, ".log")? {
            append(&path, format!("user={text}").as_bytes())?;
            let damage = Damage::bytes(ControlKind::Log, Some(dir), path, marker);
            return Ok(damage.and(What::Malformed));
        }
    }
    Err(Error::Control {
        what: "no directory has a log file",
    })
}

pub(super) fn clear_segment(
    copy: &Places,
    marker: usize,
    text: &str,
    random: &dyn Random,
) -> Result<Damage, Error> {
    for dir in &copy.data {
        if let Some(sealed) = find(dir, segment::MAGIC, ".parquet")? {
            let path = sealed.with_file_name(format!("{}.parquet", SegmentId::random(random)));
            let bytes = parquet("AccountUpn", text, WriterProperties::builder())?;
            append(&path, &bytes)?;
            let damage = Damage::bytes(ControlKind::Segment, Some(dir), path, marker);
            return Ok(damage.and(What::UnknownFile));
        }
    }
    Err(Error::Control {
        what: "no directory has a segment",
    })
}

pub(super) fn catalogue(copy: &Places, marker: usize, text: &str) -> Result<Damage, Error> {
    let dir = first(copy)?;
    let path = catalogue_of(dir)?;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let changed = write(&path, async |connection: &mut SqliteConnection| {
        let sql = "UPDATE leaf SET sealed = ?1 WHERE rowid = (SELECT min(rowid) FROM leaf)";
        let done = sqlx::query(sql).bind(utf16).execute(connection).await?;
        Ok(done.rows_affected())
    })?;
    if changed == 0 {
        return Err(Error::Control {
            what: "the catalogue has no leaf",
        });
    }
    let damage = Damage::bytes(ControlKind::Catalogue, Some(dir), path, marker);
    Ok(damage.and(What::Clear))
}

pub(super) fn temporary(copy: &Places, marker: usize, text: &str) -> Result<Damage, Error> {
    let dir = first(copy)?;
    let path = dir.path.join("tmp").join("00000000000000ff.tmp");
    append(
        &path,
        crypto::hex(text.as_bytes()).to_ascii_uppercase().as_bytes(),
    )?;
    let damage = Damage::bytes(ControlKind::Temporary, Some(dir), path, marker);
    Ok(damage.and(What::UnknownFile))
}

/// In the copy of the log output, or in a file of its own if there is none.
pub(super) fn log_lines(
    copy: &Places,
    into: &Path,
    marker: usize,
    text: &str,
) -> Result<Damage, Error> {
    let path = copy
        .open
        .first()
        .cloned()
        .unwrap_or_else(|| into.join("open-lines"));
    append(
        &path,
        format!("{{\"account\":\"{}\"}}\n", text.to_uppercase()).as_bytes(),
    )?;
    Ok(Damage::bytes(ControlKind::LogLines, None, path, marker))
}

pub(super) fn moved_segment(copy: &Places) -> Result<Damage, Error> {
    for from in &copy.data {
        let Some(to) = copy.data.iter().find(|dir| dir.region != from.region) else {
            break;
        };
        let Some(segment) = find_sealed(from)? else {
            continue;
        };
        let below = segment.strip_prefix(&from.path).unwrap_or(&segment);
        let path = to.path.join(below);
        append(&path, &fs::read(&segment).map_err(Error::io(&segment))?)?;
        return Ok(Damage {
            kind: ControlKind::MovedSegment,
            region: Some(to.region.clone()),
            path,
            marker: 0,
            hit: false,
            finding: Some(What::WrongRegion),
            misplaced: false,
        });
    }
    Err(Error::Control {
        what: "two regions are needed, one with a segment",
    })
}

fn find_sealed(dir: &DataDir) -> Result<Option<std::path::PathBuf>, Error> {
    find(dir, segment::MAGIC, ".parquet")
}

/// What a row is sealed into the wrong place with.
pub(super) struct Sealed<'a> {
    pub(super) dir: &'a DataDir,
    pub(super) vault: &'a Vault,
    pub(super) marker: usize,
    pub(super) text: &'a str,
    pub(super) planted: &'a Planted,
    pub(super) random: &'a dyn Random,
}

/// All of it right (key, table, manifest, digest, catalogue), only the place is wrong.
pub(super) fn sealed_elsewhere(s: &Sealed<'_>) -> Result<Damage, Error> {
    let catalogue = catalogue_of(s.dir)?;
    let rows = Catalogue::read(&catalogue)?
        .map(|mut c| c.rows())
        .transpose()?;
    let tenants = rows.unwrap_or_default().tenants;
    // Its own tenant, if that has keys here as well; else whoever is at home here.
    let own = tenants.iter().find(|row| row.tenant == s.planted.tenant);
    let row = own.or(tenants.first()).ok_or(Error::Control {
        what: "the last region has no tenant",
    })?;
    let keys = s.vault.tenant(row.tenant).map_err(|_| Error::Control {
        what: "a tenant's keys are not in the ring",
    })?;
    let (key, segment) = (KeyId::random(s.random), SegmentId::random(s.random));
    let data_key = keys.new_segment_key();
    let sealing = FileEncryptionProperties::builder(data_key.expose_for_parquet())
        .with_aad_prefix(aad_prefix(s.dir, row.tenant, &s.planted.table, segment))
        .with_aad_prefix_storage(false)
        .with_footer_key_metadata(key_metadata(s.dir, key))
        .build()
        .map_err(Error::Parquet)?;
    let properties = WriterProperties::builder().with_file_encryption_properties(sealing);
    let bytes = parquet(&s.planted.column, s.text, properties)?;
    let path = s.dir.path.join("segments").join(row.tenant.to_string());
    let path = path.join(format!("{segment}.parquet"));
    append(&path, &bytes)?;

    let table = key_table(s.dir, row, &keys)?.next(vec![(key, data_key)], &[]);
    let generation = table.generation();
    let name = key_table::name(row.tenant, generation);
    append(
        &s.dir.path.join("keytables").join(name),
        &keys.seal_key_table(&table),
    )?;
    let mut segment = SegmentRow {
        segment,
        tenant: row.tenant,
        partition: keys.blind_index("partition", segment.as_bytes()),
        level: 0,
        rows: 1,
        bytes: crate::needles::to_u64(bytes.len()),
        digest: crypto::sha256(&bytes),
        key,
        sealed: Vec::new(),
    };
    segment.sealed = keys.seal_blob(&segment.context(), &manifest(s));
    insert(&catalogue, &segment, generation)?;
    Ok(Damage {
        kind: ControlKind::SealedElsewhere,
        region: Some(s.dir.region.clone()),
        path,
        marker: s.marker,
        hit: false,
        finding: None,
        misplaced: true,
    })
}

fn manifest(s: &Sealed<'_>) -> Vec<u8> {
    let manifest = serde_json::json!({
        "version": 1,
        "table": s.planted.table,
        "service": "control",
        "region": s.dir.region,
        "geography": s.dir.geography,
    });
    manifest.to_string().into_bytes()
}

fn key_metadata(dir: &DataDir, key: KeyId) -> Vec<u8> {
    let region = dir.region.as_str().as_bytes();
    let len = u8::try_from(region.len()).unwrap_or(0);
    [&[1, 0, len], region, key.as_bytes()].concat()
}

fn key_table(dir: &DataDir, row: &TenantRow, keys: &TenantVault) -> Result<KeyTable, Error> {
    if row.generation == 0 {
        return Ok(KeyTable::default());
    }
    let name = key_table::name(row.tenant, row.generation);
    let path = dir.path.join("keytables").join(name);
    let bytes = fs::read(&path).map_err(Error::io(&path))?;
    keys.open_key_table(&bytes).map_err(|_| Error::Control {
        what: "a tenant's key table does not open",
    })
}

fn insert(catalogue: &Path, row: &SegmentRow, generation: u64) -> Result<(), Error> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    write(catalogue, async |connection: &mut SqliteConnection| {
        sqlx::query("UPDATE tenant SET key_table_generation = ?1 WHERE tenant = ?2")
            .bind(number(generation))
            .bind(row.tenant.as_bytes().to_vec())
            .execute(&mut *connection)
            .await?;
        let sql = "INSERT INTO segment (segment, tenant, partition, level, row_count, byte_count,
                       digest, data_key, ingested_from, ingested_to, created_at, sealed)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0, ?9)";
        sqlx::query(sql)
            .bind(row.segment.as_bytes().to_vec())
            .bind(row.tenant.as_bytes().to_vec())
            .bind(row.partition.to_vec())
            .bind(i64::from(row.level))
            .bind(number(row.rows))
            .bind(number(row.bytes))
            .bind(row.digest.to_vec())
            .bind(row.key.as_bytes().to_vec())
            .bind(row.sealed.clone())
            .execute(connection)
            .await
            .map(drop)
    })
}

/// Changes a catalogue of the copy.
fn write<T>(
    path: &Path,
    change: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
) -> Result<T, Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .disable_statement_logging();
    let done = block_on(async {
        let mut connection = options.connect().await?;
        let done = change(&mut connection).await?;
        connection.close().await?;
        Ok(done)
    });
    done.map_err(|source| Error::Catalogue {
        path: path.to_owned(),
        source,
    })
}

/// One row with one text, without compression.
fn parquet(
    column: &str,
    text: &str,
    properties: WriterPropertiesBuilder,
) -> Result<Vec<u8>, Error> {
    let schema = Schema::new(vec![Field::new(column, DataType::Utf8, false)]);
    let texts = Arc::new(StringArray::from(vec![text]));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![texts]).map_err(Error::Arrow)?;
    let properties = properties
        .set_compression(Compression::UNCOMPRESSED)
        .build();
    let mut bytes = Vec::new();
    let writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties));
    let mut writer = writer.map_err(Error::Parquet)?;
    writer.write(&batch).map_err(Error::Parquet)?;
    writer.close().map_err(Error::Parquet)?;
    Ok(bytes)
}

fn first(copy: &Places) -> Result<&DataDir, Error> {
    copy.data.first().ok_or(Error::Control {
        what: "there is no data directory",
    })
}

fn catalogue_of(dir: &DataDir) -> Result<std::path::PathBuf, Error> {
    find(dir, catalogue::MAGIC, "")?.ok_or_else(|| Error::NoCatalogue {
        path: dir.path.clone(),
    })
}
