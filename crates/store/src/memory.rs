//! What a cell holds of each tenant: memtable chunks and the list of segments.
//!
//! One immutable value per tenant behind an `Arc`; readers take the `Arc` and see one moment, writers
//! replace it. The commit thread adds chunks, flush and compaction move them on; all writers go
//! through [`Memory::update`], which holds the lock for microseconds.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use model::{TenantId, Ticks};
use rows::arrow::array::UInt32Array;
use rows::arrow::compute::{concat_batches, take_record_batch};
use rows::{RecordBatch, conform};

use crate::Error;
use crate::manifest::PartitionKey;
use crate::segment::SegmentFile;

/// Chunks at the end of a partition are merged while the one before is at most this many times
/// larger: a partition has a logarithm of chunks, and a row is copied as often at most.
const MERGE_RATIO: usize = 2;
/// Chunks of this many rows are not merged further.
const MERGED_ROWS_MAX: usize = 8_192;

/// Chunks of more rows fill their buffers well enough.
const TIGHT_ROWS_MAX: usize = 256;
/// Chunks of fewer bytes are not worth a copy.
const TIGHT_BYTES_MIN: usize = 64 << 10;

/// Rows that are durable in the log and not yet in a segment.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) batch: RecordBatch,
    /// Least and greatest of the sequence numbers under which the rows were first logged.
    pub(crate) sequences: (u64, u64),
    /// Number of the oldest log file that has any of the rows.
    pub(crate) oldest_file: u64,
    pub(crate) bytes: usize,
}

impl Chunk {
    pub(crate) fn new(batch: RecordBatch, sequences: (u64, u64), oldest_file: u64) -> Self {
        let batch = tight(batch);
        let bytes = batch.get_array_memory_size();
        Self {
            batch,
            sequences,
            oldest_file,
            bytes,
        }
    }
}

/// The same rows in buffers of their size: a decoder's have room for a thousand rows, and a quiet
/// tenant's one row would hold it for hours.
fn tight(batch: RecordBatch) -> RecordBatch {
    let rows = batch.num_rows();
    if rows > TIGHT_ROWS_MAX || batch.get_array_memory_size() < TIGHT_BYTES_MIN {
        return batch;
    }
    let all = UInt32Array::from_iter_values((0..=u32::MAX).take(rows));
    take_record_batch(&batch, &all).unwrap_or(batch)
}

/// One partition's rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partition {
    /// As they came; a chunk that was copied forward may come back after younger ones at a restart.
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// In order of their making.
    pub(crate) segments: Vec<Arc<SegmentFile>>,
    /// The first so many chunks are being flushed: they stay as they are until that is done.
    frozen: usize,
    /// When the oldest chunk's first row came.
    pub(crate) oldest_at: Option<Ticks>,
}

impl Partition {
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunks.iter().map(|c| c.bytes).sum()
    }

    /// Greatest sequence number among the chunks.
    pub(crate) fn newest_sequence(&self) -> u64 {
        let newest = self.chunks.iter().map(|c| c.sequences.1).max();
        newest.unwrap_or(0)
    }

    /// Draws all chunks for a flush.
    fn freeze(&mut self) {
        self.frozen = self.chunks.len();
    }

    /// Takes away what a flush has written; rows that came meanwhile stay.
    pub(crate) fn flushed(&mut self, drawn: &[Arc<Chunk>], file: Arc<SegmentFile>, now: Ticks) {
        self.chunks
            .retain(|c| !drawn.iter().any(|d| Arc::ptr_eq(c, d)));
        self.frozen = 0;
        self.oldest_at = (!self.chunks.is_empty()).then_some(now);
        self.segments.push(file);
    }

    fn push(&mut self, chunk: Chunk, at: Ticks) {
        self.oldest_at.get_or_insert(at);
        let mut chunk = chunk;
        // INVARIANT: a chunk that a flush has drawn is never merged with a younger one: the flush
        // would take away what it did not write, or leave in memory what it did.
        while let Some(last) = self.chunks.get(self.frozen..).and_then(<[_]>::last) {
            let (rows, before) = (chunk.batch.num_rows(), last.batch.num_rows());
            if before > rows * MERGE_RATIO || rows + before > MERGED_ROWS_MAX {
                break;
            }
            // Columns of two types cannot be merged; both chunks are good as they are.
            let Ok(merged) = merge(last, &chunk) else {
                break;
            };
            chunk = merged;
            self.chunks.pop();
        }
        self.chunks.push(Arc::new(chunk));
    }
}

fn merge(first: &Chunk, second: &Chunk) -> Result<Chunk, Error> {
    let schema = crate::snapshot::union_schema(
        [first.batch.schema_ref(), second.batch.schema_ref()].into_iter(),
    );
    let batches = [
        conform(&first.batch, &schema).map_err(Error::Rows)?,
        conform(&second.batch, &schema).map_err(Error::Rows)?,
    ];
    let batch = concat_batches(&schema, &batches).map_err(Error::Rows)?;
    let (a, b) = (first.sequences, second.sequences);
    let sequences = (a.0.min(b.0), a.1.max(b.1));
    Ok(Chunk::new(
        batch,
        sequences,
        first.oldest_file.min(second.oldest_file),
    ))
}

/// One tenant's rows in this region.
#[derive(Debug, Clone, Default)]
pub(crate) struct TenantRows {
    pub(crate) partitions: BTreeMap<PartitionKey, Arc<Partition>>,
}

impl TenantRows {
    pub(crate) fn partition(&mut self, key: &PartitionKey) -> &mut Partition {
        if !self.partitions.contains_key(key) {
            self.partitions.insert(key.clone(), Arc::default());
        }
        Arc::make_mut(self.partitions.entry(key.clone()).or_default())
    }

    /// Adds a chunk; the bytes of its partition's chunks before and after.
    pub(crate) fn push(&mut self, key: &PartitionKey, chunk: Chunk, at: Ticks) -> (usize, usize) {
        let partition = self.partition(key);
        let before = partition.chunk_bytes();
        partition.push(chunk, at);
        (before, partition.chunk_bytes())
    }

    /// Draws the chunks of these partitions for a flush.
    pub(crate) fn freeze(&mut self, keys: &[PartitionKey]) -> Vec<(PartitionKey, Arc<Partition>)> {
        let mut drawn = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(partition) = self.partitions.get_mut(key) {
                Arc::make_mut(partition).freeze();
                drawn.push((key.clone(), partition.clone()));
            }
        }
        drawn
    }

    fn chunk_bytes(&self) -> usize {
        self.partitions.values().map(|p| p.chunk_bytes()).sum()
    }
}

/// All tenants' rows.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    tenants: RwLock<HashMap<TenantId, Arc<TenantRows>>>,
    /// Bytes of all chunks, as of the last [`Self::measure`].
    bytes: AtomicUsize,
}

impl Memory {
    /// The tenant's rows at this moment.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<TenantRows> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).cloned().unwrap_or_default()
    }

    /// Everyone's rows at this moment, by tenant.
    pub(crate) fn all(&self) -> BTreeMap<TenantId, Arc<TenantRows>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants
            .iter()
            .map(|(tenant, rows)| (*tenant, rows.clone()))
            .collect()
    }

    /// Changes a tenant's rows; readers see all of the change or nothing.
    pub(crate) fn update<T>(
        &self,
        tenant: TenantId,
        change: impl FnOnce(&mut TenantRows) -> T,
    ) -> T {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(tenants.entry(tenant).or_default()))
    }

    /// Bytes of all chunks, counted a moment ago.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts the bytes of all chunks anew.
    pub(crate) fn measure(&self) -> usize {
        let bytes = self.all().values().map(|t| t.chunk_bytes()).sum();
        self.bytes.store(bytes, Ordering::Relaxed);
        bytes
    }

    /// Notes that a partition's chunks grew, so that a limit is noticed before the next count.
    pub(crate) fn grew(&self, from: usize, to: usize) {
        let change = |bytes: usize| bytes.saturating_add(to).saturating_sub(from);
        let relaxed = Ordering::Relaxed;
        let changed = self
            .bytes
            .fetch_update(relaxed, relaxed, |b| Some(change(b)));
        debug_assert!(changed.is_ok(), "the closure always answers");
    }

    /// The oldest log file that is still needed; `None` if no row waits for a flush.
    pub(crate) fn oldest_file(&self) -> Option<u64> {
        let all = self.all();
        let chunks = all
            .values()
            .flat_map(|t| t.partitions.values())
            .flat_map(|p| &p.chunks);
        chunks.map(|c| c.oldest_file).min()
    }
}
