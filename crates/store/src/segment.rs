//! Segments: sealed Parquet files.
//!
//! Parquet Modular Encryption, uniform AES-256-GCM, encrypted footer, a data key of its own per file.
//! The AAD prefix (format version, geography, tenant, table, segment id, length-prefixed) is not
//! stored in the file, so a copied or misplaced segment does not open. Key metadata is version,
//! region code and key id.
//!
//! Guards (each with a test that fails without it)
//! - Bloom filters are never written: the library would write them in clear beside encrypted columns.
//! - Before its first parse in a process a file's magic must be `PARE` and its SHA-256 the
//!   catalogue's: the library reads a plaintext file without complaint and panics on a damaged length.
//! - [`write`] and [`SegmentFile::new`] are the only places that take a key out of the vault, and keys
//!   in Parquet's property types never meet `Debug`.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{fmt, io};

use bytes::Bytes;
use crypto::Fields;
use futures::FutureExt;
use futures::future::BoxFuture;
use model::{DiskFile, GeographyCode, KeyId, RegionCode, SegmentId, TableName, TenantId, limits};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{Compression, ZstdLevel};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use rows::{RecordBatch, hidden};
use vault::SegmentKey;

use crate::Error;
use crate::catalogue::SegmentRow;
use crate::manifest::Manifest;
use crate::objects::{Objects, segment_path};
use crate::order::Ordered;

/// Magic of a Parquet file with an encrypted footer; a plaintext one has `PAR1`.
pub(crate) const MAGIC: &[u8; 4] = b"PARE";
const FORMAT: u16 = 1;
/// Rows of a batch that is read.
const READ_ROWS: usize = 8_192;

/// What a segment is bound to.
#[derive(Debug, Clone)]
pub(crate) struct Identity<'a> {
    pub(crate) geography: &'a GeographyCode,
    pub(crate) tenant: TenantId,
    pub(crate) table: &'a TableName,
    pub(crate) segment: SegmentId,
}

impl Identity<'_> {
    pub(crate) fn aad_prefix(&self) -> Vec<u8> {
        Fields::new("segment")
            .with(&FORMAT.to_le_bytes())
            .with(self.geography.as_str().as_bytes())
            .with(self.tenant.as_bytes())
            .with(self.table.as_str().as_bytes())
            .with(self.segment.as_bytes())
            .into_bytes()
    }
}

/// Version, region code and key id: all that is readable without a key.
fn key_metadata(region: &RegionCode, key: KeyId) -> Vec<u8> {
    let mut out = FORMAT.to_le_bytes().to_vec();
    out.push(u8::try_from(region.as_str().len()).unwrap_or(0));
    out.extend_from_slice(region.as_str().as_bytes());
    out.extend_from_slice(key.as_bytes());
    out
}

/// Encodes and seals rows as the bytes of a segment.
pub(crate) fn write(
    ordered: &Ordered,
    identity: &Identity<'_>,
    region: &RegionCode,
    key_id: KeyId,
    key: &SegmentKey,
) -> Result<Vec<u8>, Error> {
    let properties = properties(ordered, identity, region, key_id, key)?;
    encode(ordered, identity.segment, properties.build())
}

/// How a segment is written and sealed.
pub(crate) fn properties(
    ordered: &Ordered,
    identity: &Identity<'_>,
    region: &RegionCode,
    key_id: KeyId,
    key: &SegmentKey,
) -> Result<WriterPropertiesBuilder, Error> {
    let failed = |source| Error::Segment {
        segment: identity.segment,
        source,
    };
    let sealing = FileEncryptionProperties::builder(key.expose_for_parquet())
        .with_aad_prefix(identity.aad_prefix())
        .with_aad_prefix_storage(false)
        .with_footer_key_metadata(key_metadata(region, key_id))
        .build()
        .map_err(failed)?;
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(failed)?))
        .set_max_row_group_row_count(Some(limits::ROW_GROUP_ROWS_MAX))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_column_dictionary_enabled(hidden::ROW_ID.into(), false)
        .set_column_statistics_enabled(hidden::ROW_ID.into(), EnabledStatistics::None)
        .set_column_statistics_enabled(hidden::SOURCE_FIELDS.into(), EnabledStatistics::None)
        // INVARIANT: never a bloom filter; parquet 59 writes them in clear.
        .set_bloom_filter_enabled(false)
        .with_file_encryption_properties(sealing);
    for column in ordered.varied_text() {
        let column = ColumnPath::new(vec![column.to_owned()]);
        properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    Ok(properties)
}

pub(crate) fn encode(
    ordered: &Ordered,
    segment: SegmentId,
    properties: WriterProperties,
) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Segment { segment, source };
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, ordered.schema().clone(), Some(properties))
        .map_err(failed)?;
    for slice in ordered.slices() {
        writer.write(&slice?).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    if !out.starts_with(MAGIC) {
        // The library fell back to plaintext: nothing of it may reach the disk.
        return Err(Error::SegmentDamaged { segment });
    }
    Ok(out)
}

/// Footers that were parsed; the oldest goes when there are too many.
#[derive(Debug, Default)]
pub(crate) struct Footers(Mutex<VecDeque<Weak<SegmentFile>>>);

impl Footers {
    fn keep(&self, file: &Arc<SegmentFile>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Arc::downgrade(file));
        let spare = kept.len().saturating_sub(limits::FOOTERS_KEPT_MAX);
        let spare: Vec<_> = kept.drain(..spare).collect();
        drop(kept);
        for file in spare.iter().filter_map(Weak::upgrade) {
            file.forget_footer();
        }
    }
}

/// A committed segment: its row, its manifest, and what was learnt by opening it.
pub(crate) struct SegmentFile {
    pub(crate) row: SegmentRow,
    pub(crate) manifest: Manifest,
    objects: Objects,
    decryption: Arc<FileDecryptionProperties>,
    /// The parsed footer; holds keys, so it goes when the segment goes.
    footer: Mutex<Option<Arc<ParquetMetaData>>>,
    /// Replaced in the catalogue: the file goes with its last reader.
    doomed: AtomicBool,
}

impl fmt::Debug for SegmentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentFile({})", self.row.segment)
    }
}

impl SegmentFile {
    /// Binds a catalogue row to its key. Reads nothing yet.
    pub(crate) fn new(
        row: SegmentRow,
        manifest: Manifest,
        key: &SegmentKey,
        objects: Objects,
    ) -> Result<Self, Error> {
        let identity = Identity {
            geography: &manifest.geography,
            tenant: row.tenant,
            table: &manifest.partition.table,
            segment: row.segment,
        };
        let decryption = FileDecryptionProperties::builder(key.expose_for_parquet())
            .with_aad_prefix(identity.aad_prefix())
            .build()
            .map_err(|source| Error::Segment {
                segment: row.segment,
                source,
            })?;
        let (footer, doomed) = (Mutex::new(None), AtomicBool::new(false));
        Ok(Self {
            row,
            manifest,
            objects,
            decryption,
            footer,
            doomed,
        })
    }

    /// The file is deleted once nobody reads it any more.
    pub(crate) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }

    /// The whole file, checked: nothing that is not the catalogue's file is ever parsed.
    fn checked(&self) -> Result<Bytes, Error> {
        let segment = self.row.segment;
        let path = segment_path(self.row.tenant, segment);
        let damaged = Error::SegmentDamaged { segment };
        let bytes = match self.objects.read(&path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(damaged);
            }
            other => other?,
        };
        if !bytes.starts_with(MAGIC) || crypto::sha256(&bytes) != self.row.digest {
            return Err(damaged);
        }
        Ok(bytes.into())
    }

    fn parse(&self, bytes: &Bytes) -> Result<Arc<ParquetMetaData>, Error> {
        let segment = self.row.segment;
        ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_decryption_properties(Some(self.decryption.clone()))
            .parse_and_finish(bytes)
            .map(Arc::new)
            .map_err(|source| Error::Segment { segment, source })
    }

    /// The parsed footer; parsing it checks the whole file first.
    pub(crate) fn footer(self: &Arc<Self>) -> Result<Arc<ParquetMetaData>, Error> {
        let mut cached = self.footer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(footer) = &*cached {
            return Ok(footer.clone());
        }
        let footer = self.parse(&self.checked()?)?;
        *cached = Some(footer.clone());
        drop(cached);
        self.objects.footers().keep(self);
        Ok(footer)
    }

    fn forget_footer(&self) {
        *self.footer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A reader for a query engine.
    pub(crate) fn reader(self: &Arc<Self>) -> Result<SegmentReader, Error> {
        let path = segment_path(self.row.tenant, self.row.segment);
        let file = self.objects.disk().open(&path);
        let file = file.map_err(|source| Error::Io { path, source })?;
        Ok(SegmentReader {
            segment: self.clone(),
            file: file.into(),
        })
    }

    /// All rows, or only some columns of them, in batches.
    pub(crate) fn read(&self, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>, Error> {
        let segment = self.row.segment;
        let failed = |source| Error::Segment { segment, source };
        let bytes = self.checked()?;
        let footer = self.parse(&bytes)?;
        let options =
            ArrowReaderOptions::new().with_file_decryption_properties(self.decryption.clone());
        let metadata = ArrowReaderMetadata::try_new(footer, options).map_err(failed)?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
        if let Some(columns) = columns {
            let mask = parquet::arrow::ProjectionMask::columns(
                builder.parquet_schema(),
                columns.iter().copied(),
            );
            builder = builder.with_projection(mask);
        }
        let reader = builder.with_batch_size(READ_ROWS).build().map_err(failed)?;
        reader.collect::<Result<_, _>>().map_err(Error::Rows)
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire) {
            // What stays behind after a failure is removed as an orphan at the next start.
            let _ = self
                .objects
                .remove(&segment_path(self.row.tenant, self.row.segment));
        }
    }
}

/// Reads one segment for Parquet's asynchronous reader, decrypting its footer.
pub struct SegmentReader {
    segment: Arc<SegmentFile>,
    file: Arc<dyn DiskFile>,
}

impl fmt::Debug for SegmentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentReader({})", self.segment.row.segment)
    }
}

impl SegmentReader {
    fn read_range(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let len = usize::try_from(range.end.saturating_sub(range.start))
            .map_err(|e| ParquetError::External(Box::new(e)))?;
        let mut buffer = vec![0; len];
        self.file
            .read_exact_at(range.start, &mut buffer)
            .map_err(|e| ParquetError::External(Box::new(e)))?;
        Ok(buffer.into())
    }
}

impl AsyncFileReader for SegmentReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        // A local read from the page cache takes microseconds: no thread is worth it.
        std::future::ready(self.read_range(range)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let footer = self
            .segment
            .footer()
            .map_err(|e| ParquetError::External(Box::new(e)));
        std::future::ready(footer).boxed()
    }
}

/// Whether the bytes parse as Parquet without any key: what must never be so.
#[cfg(test)]
pub(crate) fn opens_without_key(bytes: &[u8]) -> bool {
    ParquetMetaDataReader::new()
        .parse_and_finish(&Bytes::copy_from_slice(bytes))
        .is_ok()
}
