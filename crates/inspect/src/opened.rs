//! The opened search: every value that a region's own keys open.
//!
//! Catalogue blobs, key tables, segments and log frames are opened one by one, each checked to be what
//! the catalogue says it is and of the directory's own region and geography; then every value is
//! searched. What does not open is a finding: nothing in a data directory is sealed with other keys.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use crypto::Fields;
use model::{RegionCode, Schema, SegmentId, StreamId, TenantId};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::FileDecryptionProperties;
use serde::{Deserialize, Serialize};
use vault::{FramePlace, KeyTable, TenantVault, Vault};

use crate::catalogue::{self, Catalogue, Owner, Rows, SegmentRow};
use crate::formats::{self, Bytes, key_table, log, segment};
use crate::places::{DataDir, Finding, What};
use crate::{Error, Form, Needles, raw, values};

/// Where a value rests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rests {
    /// In rows of a sealed segment.
    Segment,
    /// In rows of a log frame.
    Log,
    /// In a sealed value of the catalogue.
    Catalogue,
    /// In a sealed value of the centre's database.
    Centre,
}

/// Where a marker was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Found {
    /// Which.
    pub marker: usize,
    /// The region whose keys opened it.
    pub region: RegionCode,
    /// Whose value it stands in; nothing for the cell's own.
    pub tenant: Option<TenantId>,
    /// The table; nothing in the catalogue. `(raw)` for one outside the schema.
    pub table: Option<String>,
    /// The service whose rule placed the row.
    pub service: Option<String>,
    /// The column, `(raw)` for one outside the schema; in the catalogue its table and column.
    pub column: String,
    /// In what.
    pub rests: Rests,
    /// How it was written.
    pub form: Form,
    /// How often.
    pub times: u64,
}

/// What a region holds of a tenant's table for one service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Holding {
    /// Whose.
    pub tenant: TenantId,
    /// The service whose rule placed the rows.
    pub service: String,
    /// The table, `(raw)` for those outside the schema.
    pub table: String,
    /// Segments.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of them on disk.
    pub bytes: u64,
    /// Rows in log frames. These may be in segments as well.
    pub log_rows: u64,
    /// Bytes of the opened frames' batches.
    pub log_bytes: u64,
}

/// What the opened search of one directory found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Opened {
    /// The region.
    pub region: RegionCode,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// Where markers are, by marker.
    pub found: Vec<Found>,
    /// What is held, by tenant, service and table.
    pub holdings: Vec<Holding>,
    /// Values looked at.
    pub values: u64,
}

/// Opens everything in `dir` with the keys of its region and searches every value.
pub fn open(dir: &DataDir, vault: &Vault, needles: &Needles) -> Result<Opened, Error> {
    let mut opening = Opening::new(dir, vault, needles);
    if *vault.region() != dir.region || *vault.geography() != dir.geography {
        opening.finding(
            &dir.path,
            What::WrongRegion,
            "the keys are of another region",
        );
        return Ok(opening.opened);
    }
    let files = files(&dir.path)?;
    let path = catalogue_of(&files).ok_or_else(|| Error::NoCatalogue {
        path: dir.path.clone(),
    })?;
    let rows = match Catalogue::read(path)? {
        Some(mut catalogue) => catalogue.rows()?,
        None => Rows::default(),
    };
    opening.catalogue(path, &rows);
    opening.key_tables(path, &rows, &files)?;
    opening.segments(path, &rows, &files)?;
    opening.logs(&rows, &files)?;
    Ok(opening.finish())
}

/// Opens everything at the centre with its own keys. No marker may be there, sealed or not.
pub fn open_centre(dir: &DataDir, vault: &Vault, needles: &Needles) -> Result<Opened, Error> {
    let mut opening = Opening::new(dir, vault, needles);
    if *vault.region() != dir.region || *vault.geography() != dir.geography {
        let detail = "the keys are of another centre";
        opening.finding(&dir.path, What::WrongRegion, detail);
        return Ok(opening.opened);
    }
    let files = files(&dir.path)?;
    // Nothing rests at a centre that was never opened.
    let Some(path) = catalogue_of(&files) else {
        return Ok(opening.finish());
    };
    let Some(mut database) = Catalogue::read_as(&catalogue::CENTRE, path)? else {
        return Ok(opening.finish());
    };
    let (blobs, damaged) = database.centre_blobs()?;
    if damaged > 0 {
        let detail = format!("{damaged} rows are not of the documented form");
        opening.finding(path, What::BadValue, detail);
    }
    for blob in &blobs {
        let plain = match blob.epoch {
            None => vault.open_cell_blob(&blob.context, &blob.sealed).ok(),
            Some(epoch) => vault
                .known_epoch_seal(epoch)
                .and_then(|seal| seal.open(&blob.context, &blob.sealed))
                .ok(),
        };
        if let Some(plain) = plain {
            opening.value(None, blob.column, Rests::Centre, &plain);
        } else {
            let detail = format!("a value of `{}`", blob.column);
            opening.finding(path, What::DoesNotOpen, detail);
        }
    }
    if !opening.found.is_empty() {
        opening.finding(path, What::AtCentre, "a marker in a sealed value");
    }
    Ok(opening.finish())
}

/// All files of the directory with their first bytes.
fn files(root: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Error> {
    let (mut folders, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for (path, kind) in raw::list(&folder)? {
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                match Bytes::open(&path).and_then(|bytes| bytes.head(16)) {
                    Ok(head) => files.push((path, head)),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(Error::Io { path, source }),
                }
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn catalogue_of(files: &[(PathBuf, Vec<u8>)]) -> Option<&Path> {
    let catalogue = files
        .iter()
        .find(|(_, head)| head.starts_with(catalogue::MAGIC));
    catalogue.map(|(path, _)| path.as_path())
}

/// Files of a format, by their file name.
fn by_name<'a>(files: &'a [(PathBuf, Vec<u8>)], magic: &[u8]) -> BTreeMap<&'a str, &'a Path> {
    let ours = files.iter().filter(|(_, head)| head.starts_with(magic));
    ours.filter_map(|(path, _)| Some((path.file_name()?.to_str()?, path.as_path())))
        .collect()
}

struct Opening<'a> {
    dir: &'a DataDir,
    vault: &'a Vault,
    needles: &'a Needles,
    tenants: BTreeMap<TenantId, std::sync::Arc<TenantVault>>,
    tables: BTreeMap<TenantId, KeyTable>,
    opened: Opened,
    /// How often each was found, by what is the same in all of them.
    found: BTreeMap<Found, u64>,
    holdings: BTreeMap<(TenantId, String, String), Holding>,
}

/// What is known of rows when they are searched.
struct Origin<'a> {
    tenant: TenantId,
    table: &'a str,
    service: &'a str,
    rests: Rests,
}

impl<'a> Opening<'a> {
    fn new(dir: &'a DataDir, vault: &'a Vault, needles: &'a Needles) -> Self {
        Self {
            dir,
            vault,
            needles,
            tenants: BTreeMap::new(),
            tables: BTreeMap::new(),
            opened: Opened {
                region: dir.region.clone(),
                findings: Vec::new(),
                found: Vec::new(),
                holdings: Vec::new(),
                values: 0,
            },
            found: BTreeMap::new(),
            holdings: BTreeMap::new(),
        }
    }
}

impl Opening<'_> {
    fn finish(self) -> Opened {
        let mut opened = self.opened;
        opened.findings.sort_unstable();
        let found = self.found.into_iter();
        opened.found = found
            .map(|(found, times)| Found { times, ..found })
            .collect();
        opened.holdings = self.holdings.into_values().collect();
        opened
    }

    fn finding(&mut self, path: &Path, what: What, detail: impl Into<String>) {
        self.opened.findings.push(Finding::new(path, what, detail));
    }

    fn catalogue(&mut self, path: &Path, rows: &Rows) {
        if rows.damaged > 0 {
            let detail = format!("{} rows are not of the documented form", rows.damaged);
            self.finding(path, What::BadValue, detail);
        }
        for row in &rows.tenants {
            match self.vault.tenant(row.tenant) {
                Ok(vault) => drop(self.tenants.insert(row.tenant, vault)),
                Err(_) => self.finding(path, What::DoesNotOpen, "the ring lacks a tenant's keys"),
            }
        }
        for blob in &rows.blobs {
            let plain = match blob.owner {
                Owner::Cell => self.vault.open_cell_blob(&blob.context, &blob.sealed).ok(),
                Owner::Tenant(tenant) => self.open_blob(tenant, &blob.context, &blob.sealed),
            };
            match plain {
                Some(plain) => self.blob(blob.owner, blob.column, &plain),
                None => self.finding(
                    path,
                    What::DoesNotOpen,
                    format!("a value of `{}`", blob.column),
                ),
            }
        }
    }

    fn open_blob(&self, tenant: TenantId, context: &Fields, sealed: &[u8]) -> Option<Vec<u8>> {
        self.tenants.get(&tenant)?.open_blob(context, sealed).ok()
    }

    fn blob(&mut self, owner: Owner, column: &str, plain: &[u8]) {
        let tenant = match owner {
            Owner::Tenant(tenant) => Some(tenant),
            Owner::Cell => None,
        };
        self.value(tenant, column, Rests::Catalogue, plain);
    }

    fn value(&mut self, tenant: Option<TenantId>, column: &str, rests: Rests, plain: &[u8]) {
        let (region, found) = (&self.dir.region, &mut self.found);
        values::bytes(self.needles, plain, &mut |form, marker| {
            let at = Found {
                marker,
                region: region.clone(),
                tenant,
                table: None,
                service: None,
                column: column.to_owned(),
                rests,
                form,
                times: 0,
            };
            *found.entry(at).or_default() += 1;
        });
        self.opened.values += 1;
    }

    /// The key table of each tenant that the catalogue names. Others are of a commit that did not end:
    /// they open all the same.
    fn key_tables(
        &mut self,
        catalogue: &Path,
        rows: &Rows,
        files: &[(PathBuf, Vec<u8>)],
    ) -> Result<(), Error> {
        let named = by_name(files, key_table::MAGIC);
        for row in rows.tenants.iter().filter(|row| row.generation > 0) {
            let Some(path) = named.get(key_table::name(row.tenant, row.generation).as_str()) else {
                self.finding(
                    catalogue,
                    What::NotInCatalogue,
                    "a tenant's key table is not there",
                );
                continue;
            };
            let bytes = std::fs::read(path).map_err(Error::io(*path))?;
            let vault = self.tenants.get(&row.tenant);
            match vault.map(|vault| vault.open_key_table(&bytes)) {
                Some(Ok(table)) if table.generation() == row.generation => {
                    self.tables.insert(row.tenant, table);
                }
                Some(_) => self.finding(path, What::DoesNotOpen, "a key table"),
                // Found already.
                None => {}
            }
        }
        let current = |name: &str| {
            let mut of = rows.tenants.iter();
            of.any(|row| key_table::name(row.tenant, row.generation) == name)
        };
        for (name, path) in named.iter().filter(|(name, _)| !current(name)) {
            let tenant = name.split('.').next().and_then(|id| id.parse().ok());
            let vault = tenant.and_then(|tenant: TenantId| self.tenants.get(&tenant));
            let Some(vault) = vault else {
                let detail = "a key table of a tenant that the catalogue does not name";
                self.finding(path, What::NotInCatalogue, detail);
                continue;
            };
            let bytes = match std::fs::read(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(Error::io(*path))?,
            };
            // One that is still being written has no end yet.
            let is_unfinished = path.extension().is_some_and(|e| e == "new");
            if !is_unfinished && vault.open_key_table(&bytes).is_err() {
                self.finding(path, What::DoesNotOpen, "a key table");
            }
        }
        Ok(())
    }

    fn segments(
        &mut self,
        catalogue: &Path,
        rows: &Rows,
        files: &[(PathBuf, Vec<u8>)],
    ) -> Result<(), Error> {
        let mut named = by_name(files, segment::MAGIC);
        for row in &rows.segments {
            let name = format!("{}.parquet", row.segment);
            let Some(path) = named.remove(name.as_str()) else {
                self.missing(catalogue, row.segment)?;
                continue;
            };
            let bytes = match std::fs::read(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.missing(catalogue, row.segment)?;
                    continue;
                }
                other => other.map_err(Error::io(path))?,
            };
            // Before it is parsed: the library panics on some damaged files.
            if crypto::sha256(&bytes) != row.digest
                || crate::needles::to_u64(bytes.len()) != row.bytes
            {
                self.finding(
                    path,
                    What::NotInCatalogue,
                    "not the file that the catalogue describes",
                );
            } else if self.segment(catalogue, path, row, bytes)?.is_none() {
                self.finding(path, What::DoesNotOpen, "a segment");
            }
        }
        for path in named.values() {
            self.finding(
                path,
                What::NotInCatalogue,
                "a segment that the catalogue does not name",
            );
        }
        Ok(())
    }

    /// A segment that the catalogue named when it was read: compaction may have replaced it since.
    fn missing(&mut self, catalogue: &Path, segment: SegmentId) -> Result<(), Error> {
        let rows = match Catalogue::read(catalogue)? {
            Some(mut catalogue) => catalogue.rows()?,
            None => Rows::default(),
        };
        if rows.segments.iter().any(|row| row.segment == segment) {
            self.finding(
                catalogue,
                What::NotInCatalogue,
                "a segment that it names is not there",
            );
        }
        Ok(())
    }

    fn segment(
        &mut self,
        catalogue: &Path,
        path: &Path,
        row: &SegmentRow,
        bytes: Vec<u8>,
    ) -> Result<Option<()>, Error> {
        let Some(manifest) = self.open_blob(row.tenant, &row.context(), &row.sealed) else {
            self.finding(catalogue, What::DoesNotOpen, "a segment's manifest");
            return Ok(None);
        };
        self.blob(Owner::Tenant(row.tenant), "segment.sealed", &manifest);
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest) else {
            self.finding(catalogue, What::BadValue, "a segment's manifest");
            return Ok(None);
        };
        if manifest.region != self.dir.region.as_str()
            || manifest.geography != self.dir.geography.as_str()
        {
            self.finding(path, What::WrongRegion, "its manifest names another place");
        }
        let label = Bytes::open(path)
            .and_then(|bytes| segment::read(&bytes))
            .map_err(Error::io(path))?;
        if label.is_ok_and(|label| label.key != row.key) {
            self.finding(
                path,
                What::NotInCatalogue,
                "its key is not the one that the catalogue names",
            );
        }
        let Some(key) = self
            .tables
            .get(&row.tenant)
            .and_then(|table| table.get(row.key).ok())
        else {
            return Ok(None);
        };
        let aad = aad_prefix(self.dir, row.tenant, &manifest.table, row.segment);
        let key = key.expose_for_parquet();
        let decryption = FileDecryptionProperties::builder(key)
            .with_aad_prefix(aad)
            .build();
        let Ok(decryption) = decryption else {
            return Ok(None);
        };
        let holding = self.holding(row.tenant, &manifest.service, &manifest.table);
        holding.segments += 1;
        holding.rows += row.rows;
        holding.bytes += row.bytes;
        let options = ArrowReaderOptions::new().with_file_decryption_properties(decryption);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(
            bytes::Bytes::from(bytes),
            options,
        );
        let Ok(reader) = reader.and_then(ParquetRecordBatchReaderBuilder::build) else {
            return Ok(None);
        };
        for batch in reader {
            let Ok(batch) = batch else { return Ok(None) };
            let origin = Origin {
                tenant: row.tenant,
                table: &manifest.table,
                service: &manifest.service,
                rests: Rests::Segment,
            };
            self.rows(path, &origin, &batch);
        }
        Ok(Some(()))
    }

    fn holding(&mut self, tenant: TenantId, service: &str, table: &str) -> &mut Holding {
        let table = shown_table(table).to_owned();
        let key = (tenant, service.to_owned(), table.clone());
        self.holdings.entry(key).or_insert_with(|| Holding {
            tenant,
            service: service.to_owned(),
            table,
            segments: 0,
            rows: 0,
            bytes: 0,
            log_rows: 0,
            log_bytes: 0,
        })
    }

    fn rows(&mut self, path: &Path, origin: &Origin<'_>, batch: &RecordBatch) {
        let (region, found) = (&self.dir.region, &mut self.found);
        let mut add = |column: &str, form, marker| {
            let at = Found {
                marker,
                region: region.clone(),
                tenant: Some(origin.tenant),
                table: Some(shown_table(origin.table).to_owned()),
                service: Some(origin.service.to_owned()),
                column: shown_column(origin.table, column).to_owned(),
                rests: origin.rests,
                form,
                times: 0,
            };
            *found.entry(at).or_default() += 1;
        };
        // A table outside the schema is a tenant's content by its name already.
        self.needles
            .find(origin.table.as_bytes(), |_, form, marker| {
                add("", form, marker);
            });
        match values::search(self.needles, batch, add) {
            Ok(values) => self.opened.values += values,
            Err(data_type) => {
                let detail = format!("a column of a type that cannot be searched: {data_type}");
                self.finding(path, What::DoesNotOpen, detail);
            }
        }
    }

    fn logs(&mut self, rows: &Rows, files: &[(PathBuf, Vec<u8>)]) -> Result<(), Error> {
        let streams: BTreeMap<StreamId, TenantId> = rows
            .tenants
            .iter()
            .map(|row| (row.stream, row.tenant))
            .collect();
        for (name, path) in by_name(files, log::MAGIC) {
            let Some(id) = log::id_of(name) else { continue };
            let mut frames = Vec::new();
            let mut read = || log::read(&Bytes::open(path)?, id, |frame| frames.push(frame));
            match read() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                // What is wrong with the file's structure is the raw search's to say.
                other => drop(other.map_err(Error::io(path))?),
            }
            for frame in frames {
                let offset = frame.offset;
                let tenant = streams.get(&frame.stream).copied();
                if tenant.is_none_or(|tenant| self.frame(path, tenant, id, frame).is_none()) {
                    let finding = Finding::new(path, What::DoesNotOpen, "a log frame").at(offset);
                    self.opened.findings.push(finding);
                }
            }
        }
        Ok(())
    }

    fn frame(
        &mut self,
        path: &Path,
        tenant: TenantId,
        segment: [u8; 16],
        frame: log::Frame,
    ) -> Option<()> {
        let place = FramePlace {
            segment,
            number: frame.number,
            stream: frame.stream,
            sequence: frame.sequence,
        };
        let plain = self
            .tenants
            .get(&tenant)?
            .open_frame(place, frame.payload)
            .ok()?;
        for (key, encoded) in parts(&plain)? {
            let batch = decode(encoded)?;
            let origin = Origin {
                tenant,
                table: &key.table,
                service: &key.service,
                rests: Rests::Log,
            };
            let holding = self.holding(tenant, &key.service, &key.table);
            holding.log_rows += crate::needles::to_u64(batch.num_rows());
            holding.log_bytes += crate::needles::to_u64(encoded.len());
            self.rows(path, &origin, &batch);
        }
        Some(())
    }
}

/// What a manifest must say; it says more.
#[derive(Deserialize)]
struct Manifest {
    table: String,
    service: String,
    region: String,
    geography: String,
}

/// What a log frame says of rows before them.
#[derive(Deserialize)]
struct PartKey {
    table: String,
    service: String,
}

/// The prefix of a segment's associated data.
pub(crate) fn aad_prefix(
    dir: &DataDir,
    tenant: TenantId,
    table: &str,
    segment: SegmentId,
) -> Vec<u8> {
    Fields::new("segment")
        .with(&1_u16.to_le_bytes())
        .with(dir.geography.as_str().as_bytes())
        .with(tenant.as_bytes())
        .with(table.as_bytes())
        .with(segment.as_bytes())
        .into_bytes()
}

/// The parts of an opened log frame: kind, version, two sequence numbers, number of parts; per part its
/// key as JSON and its batch.
fn parts(plain: &[u8]) -> Option<Vec<(PartKey, &[u8])>> {
    let mut fields = formats::Fields(plain);
    let (kind, version) = (fields.u8()?, fields.u16()?);
    if !(1..=3).contains(&kind) || version != 1 {
        return None;
    }
    let _sequences = (fields.u64()?, fields.u64()?);
    let mut parts = Vec::new();
    for _ in 0..fields.u16()? {
        let key = serde_json::from_slice(fields.sized()?).ok()?;
        parts.push((key, fields.sized()?));
    }
    fields.0.is_empty().then_some(parts)
}

/// A batch: `BWRB`, version, flags, an Arrow IPC stream.
fn decode(encoded: &[u8]) -> Option<RecordBatch> {
    let mut fields = formats::Fields(encoded);
    if fields.take::<4>()? != *b"BWRB" || fields.u16()? != 1 {
        return None;
    }
    let _flags = fields.u8()?;
    let mut reader = StreamReader::try_new(Cursor::new(fields.0), None).ok()?;
    let schema = reader.schema();
    match reader.next() {
        Some(batch) => batch.ok(),
        None => Some(RecordBatch::new_empty(schema)),
    }
}

/// Names outside the schema are content, and a report quotes none.
const RAW: &str = "(raw)";

fn shown_table(table: &str) -> &str {
    match Schema::hunting().table(table) {
        Some(_) => table,
        None => RAW,
    }
}

fn shown_column<'a>(table: &str, column: &'a str) -> &'a str {
    const HIDDEN: [&str; 5] = [
        "_source_fields",
        "_row_id",
        "_ingested_at",
        "_service",
        "_source",
    ];
    let table = Schema::hunting().table(table);
    let known = table.is_some_and(|table| table.columns.iter().any(|c| *c.name == *column));
    if known || HIDDEN.contains(&column) {
        column
    } else {
        RAW
    }
}
