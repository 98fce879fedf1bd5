//! From memory to sealed segments.
//!
//! A reconciler: [`Store::flush_step`] looks at what there is, moves what is due, and may be called
//! at any time. Due is a partition that is large or old, the largest ones while all memory is over
//! its limit, and what keeps the oldest log file while the log has too many. A quiet tenant's few
//! rows are copied forward in the log instead of making a small file.
//!
//! Order of one flush: segment files → next key table → catalogue transaction (with its leaf) →
//! memory → former key table removed → log trimmed. A crash in between leaves files that nothing
//! names (removed at start) or rows that are both in the log and in a segment (the catalogue knows
//! how far each partition is flushed).

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{Granted, Maintain};
use ledger::Happening;
use model::{KeyId, Schema, SegmentId, Span100ns, TableName, TenantId, Ticks, limits};
use rows::arrow::array::{Array, AsArray, Int64Array};
use rows::arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use rows::arrow::datatypes::Int64Type;
use rows::{RecordBatch, conform, hidden};
use tokio::sync::oneshot;
use vault::SegmentKey;

use crate::Error;
use crate::catalogue::{FlushCommit, PartitionRow, SegmentRow};
use crate::commit::{Forward, LogStatus, Message};
use crate::leaves::Draft;
use crate::manifest::{Manifest, PartitionKey};
use crate::memory::{Chunk, Partition, TenantRows};
use crate::objects::{Objects, key_table_path, segment_path};
use crate::open::{Store, TenantState, manifest_context};
use crate::segment::{self, Identity, SegmentFile};
use crate::snapshot::{raw_columns, union_schema};

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Segments written.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Log files that remain.
    pub log_files: usize,
}

/// A segment that is written and not yet committed.
pub(crate) struct Written {
    pub(crate) row: SegmentRow,
    pub(crate) manifest: Manifest,
    pub(crate) key: SegmentKey,
}

/// Rows to be written as one segment.
pub(crate) struct Draw {
    pub(crate) key: PartitionKey,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) sequence: u64,
    pub(crate) level: u8,
}

impl Store {
    /// Flushes what is due at `now` for the tenant of `grant`.
    pub async fn flush_step(
        &self,
        grant: &Granted<Maintain>,
        now: Ticks,
    ) -> Result<FlushReport, Arc<Error>> {
        let _one = self.inner.reconciling.lock().await;
        let log = self.inner.trim().await?;
        let state = self.inner.tenant(grant.tenant())?;
        let rows = self.inner.memory.of(state.tenant);
        let (due, quiet) = self.due(&rows, now, log);
        if !quiet.is_empty() {
            self.forward(&state, quiet).await?;
        }
        self.flush(grant, &state, due).await
    }

    /// Flushes everything of the tenant of `grant`.
    pub async fn flush_all(&self, grant: &Granted<Maintain>) -> Result<FlushReport, Arc<Error>> {
        let _one = self.inner.reconciling.lock().await;
        let state = self.inner.tenant(grant.tenant())?;
        let rows = self.inner.memory.of(state.tenant);
        let all = rows.partitions.iter().filter(|(_, p)| !p.chunks.is_empty());
        let all = all.map(|(key, p)| (key.clone(), p.clone())).collect();
        self.flush(grant, &state, all).await
    }

    /// The partitions to flush, and the chunks to copy forward.
    #[expect(clippy::type_complexity, reason = "two lists of what to move")]
    fn due(
        &self,
        rows: &TenantRows,
        now: Ticks,
        log: LogStatus,
    ) -> (
        BTreeMap<PartitionKey, Arc<Partition>>,
        Vec<(PartitionKey, Arc<Chunk>)>,
    ) {
        let bytes_of_tenant: usize = rows.partitions.values().map(|p| p.chunk_bytes()).sum();
        let over = self.memory_bytes() > limits::MEMTABLE_BYTES_MAX;
        let pressed = log.files > limits::LOG_SEGMENTS_MAX;
        let is_quiet = bytes_of_tenant < limits::QUIET_MEMTABLE_BYTES_MAX;
        let age_max = Span100ns::seconds(limits::MEMTABLE_AGE_SECONDS_MAX);
        let (mut due, mut quiet) = (BTreeMap::new(), Vec::new());
        for (key, partition) in rows.partitions.iter().filter(|(_, p)| !p.chunks.is_empty()) {
            let old = partition
                .oldest_at
                .is_some_and(|at| now.since(at) >= age_max);
            let large = partition.chunk_bytes() >= limits::MEMTABLE_PARTITION_BYTES_MAX;
            let in_oldest = partition
                .chunks
                .iter()
                .filter(|c| c.oldest_file <= log.oldest);
            let holds_log = pressed && in_oldest.clone().next().is_some();
            let largest = over && partition.chunk_bytes() * 4 >= bytes_of_tenant;
            if old || large || largest || (holds_log && !is_quiet) {
                due.insert(key.clone(), partition.clone());
            } else if holds_log {
                quiet.extend(in_oldest.map(|c| (key.clone(), c.clone())));
            }
        }
        (due, quiet)
    }

    fn memory_bytes(&self) -> usize {
        let all = self.inner.memory.all();
        all.values()
            .flat_map(|t| t.partitions.values())
            .map(|p| p.chunk_bytes())
            .sum()
    }

    async fn forward(
        &self,
        state: &TenantState,
        chunks: Vec<(PartitionKey, Arc<Chunk>)>,
    ) -> Result<(), Arc<Error>> {
        let forward = |(key, chunk)| Forward {
            vault: state.vault.clone(),
            stream: state.stream,
            key,
            chunk,
        };
        let (reply, answer) = oneshot::channel();
        let chunks = chunks.into_iter().map(forward).collect();
        self.inner.queue.send(Message::Forward(chunks, reply))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn flush(
        &self,
        grant: &Granted<Maintain>,
        state: &TenantState,
        due: BTreeMap<PartitionKey, Arc<Partition>>,
    ) -> Result<FlushReport, Arc<Error>> {
        if due.is_empty() {
            return Ok(FlushReport::default());
        }
        let draws = due.iter().map(|(key, partition)| Draw {
            key: key.clone(),
            batches: partition.chunks.iter().map(|c| c.batch.clone()).collect(),
            sequence: partition
                .chunks
                .iter()
                .map(|c| c.sequences.1)
                .max()
                .unwrap_or(0),
            level: 0,
        });
        let written = self.write_segments(state, draws.collect()).await?;
        let mut report = FlushReport {
            segments: 0,
            rows: 0,
            bytes: 0,
            log_files: 0,
        };
        for w in &written {
            report.segments += 1;
            report.rows += w.row.rows;
            report.bytes += w.row.bytes;
        }
        let draft = Draft::new(
            Some(state.tenant),
            self.inner.cx.now(),
            grant.actor(),
            Happening::SegmentsFlushed,
        )
        .with("segments", report.segments)
        .with("rows", report.rows);
        self.commit_flush(state, written, draft).await?;
        report.log_files = self.inner.trim().await?.files;
        Ok(report)
    }

    async fn commit_flush(
        &self,
        state: &TenantState,
        written: Vec<Written>,
        draft: Draft,
    ) -> Result<(), Error> {
        let mut writer = self.inner.writer.lock().await;
        let leaf = writer.seal(&self.inner.vault, draft)?;
        let former = writer.key_tables.remove(&state.tenant).unwrap_or_default();
        let (files, table) = match self.next_key_table(state, &former, written, &[]) {
            Ok(done) => done,
            Err(error) => {
                writer.key_tables.insert(state.tenant, former);
                return Err(error);
            }
        };
        let commit = FlushCommit {
            tenant: state.tenant,
            added: files.iter().map(|f| f.row.clone()).collect(),
            flushed: files.iter().map(|f| flushed_row(state.tenant, f)).collect(),
            key_table_before: former.generation(),
            key_table_after: table.generation(),
            leaves: vec![leaf.clone()],
        };
        if let Err(error) = self.inner.catalogue.commit_flush(&commit).await {
            // The new table and files are orphans now; the next start removes them.
            writer.key_tables.insert(state.tenant, former);
            return Err(error.into());
        }
        writer.committed(&leaf);
        writer.key_tables.insert(state.tenant, table);
        self.inner.memory.update(state.tenant, |rows| {
            for file in files {
                let partition = rows.partition(&file.manifest.partition);
                let sequence = file.manifest.sequence;
                partition.flushed_sequence = partition.flushed_sequence.max(sequence);
                partition.chunks.retain(|c| c.sequences.1 > sequence);
                let now = self.inner.cx.now();
                partition.oldest_at = (!partition.chunks.is_empty()).then_some(now);
                partition.segments.push(Arc::new(file));
            }
        });
        self.remove_key_table(state.tenant, former.generation());
        Ok(())
    }

    /// Writes the key table that has the new keys and lacks the removed ones.
    pub(crate) fn next_key_table(
        &self,
        state: &TenantState,
        former: &vault::KeyTable,
        written: Vec<Written>,
        removed: &[KeyId],
    ) -> Result<(Vec<SegmentFile>, vault::KeyTable), Error> {
        let mut files = Vec::with_capacity(written.len());
        let mut keys = Vec::with_capacity(written.len());
        for w in written {
            let key = w.row.key;
            let objects = self.inner.objects.clone();
            files.push(SegmentFile::new(w.row, w.manifest, &w.key, objects)?);
            keys.push((key, w.key));
        }
        let table = former.next(keys, removed);
        let path = key_table_path(state.tenant, table.generation());
        // A table of that generation is left from an attempt that did not commit.
        self.inner.objects.remove(&path)?;
        self.inner
            .objects
            .put(&path, &state.vault.seal_key_table(&table))?;
        Ok((files, table))
    }

    pub(crate) fn remove_key_table(&self, tenant: TenantId, generation: u64) {
        if generation > 0 {
            // What stays behind after a failure is removed as an orphan at the next start.
            let _ = self
                .inner
                .objects
                .remove(&key_table_path(tenant, generation));
        }
    }

    /// Writes segments on a thread for blocking work; nothing names them yet.
    pub(crate) async fn write_segments(
        &self,
        state: &TenantState,
        draws: Vec<Draw>,
    ) -> Result<Vec<Written>, Error> {
        let inner = self.inner.clone();
        let (tenant, vault) = (state.tenant, state.vault.clone());
        let work = move || {
            let dir = segment_path(tenant, SegmentId::from_bytes([0; 16]));
            inner.objects.create_dir(dir.parent().unwrap_or(&dir))?;
            let write = |draw| write_one(&inner.cx, &inner.vault, &vault, &inner.objects, draw);
            draws.into_iter().map(write).collect()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Error::Closed)?
    }
}

fn flushed_row(tenant: TenantId, file: &SegmentFile) -> PartitionRow {
    PartitionRow {
        tenant,
        partition: file.row.partition,
        flushed_sequence: file.manifest.sequence,
    }
}

fn write_one(
    cx: &access::Cx,
    region: &vault::Vault,
    vault: &vault::TenantVault,
    objects: &Objects,
    draw: Draw,
) -> Result<Written, Error> {
    let batch = sorted(&draw.key.table, &draw.batches)?;
    let segment = SegmentId::random(&*cx.random);
    let (key_id, key) = (KeyId::random(&*cx.random), vault.new_segment_key());
    let identity = Identity {
        geography: region.geography(),
        tenant: vault.tenant(),
        table: &draw.key.table,
        segment,
    };
    let bytes = segment::write(&batch, &identity, region.region(), key_id, &key)?;
    objects.put(&segment_path(vault.tenant(), segment), &bytes)?;
    let manifest = Manifest {
        version: Manifest::VERSION,
        region: region.region().clone(),
        geography: region.geography().clone(),
        time: time_column(&draw.key.table).and_then(|name| range(&batch, &name)),
        raw_columns: raw_columns(&draw.key.table, batch.schema_ref()),
        sequence: draw.sequence,
        partition: draw.key,
    };
    let ingested = range(&batch, hidden::INGESTED_AT).unwrap_or_default();
    let mut row = SegmentRow {
        segment,
        tenant: vault.tenant(),
        partition: vault.blind_index("partition", &manifest.partition.to_bytes()),
        level: draw.level,
        rows: u64::try_from(batch.num_rows()).unwrap_or(u64::MAX),
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        digest: crypto::sha256(&bytes),
        key: key_id,
        ingested_from: ingested.0,
        ingested_to: ingested.1,
        created_at: cx.now(),
        sealed: Vec::new(),
    };
    row.sealed = vault.seal_blob(&manifest_context(&row), &manifest.to_bytes());
    Ok(Written { row, manifest, key })
}

/// The column of a table's own time; raw tables have `Timestamp` if anything.
pub(crate) fn time_column(table: &TableName) -> Option<String> {
    match Schema::hunting().table(table.as_str()) {
        Some(known) => known.time_column.as_ref().map(ToString::to_string),
        None => Some("Timestamp".to_owned()),
    }
}

/// All rows as one batch in order of their own time, so that a time range is few row groups.
fn sorted(table: &TableName, batches: &[RecordBatch]) -> Result<RecordBatch, Error> {
    let schema = union_schema(batches.iter().map(RecordBatch::schema_ref));
    let conformed = batches
        .iter()
        .map(|b| conform(b, &schema))
        .collect::<Result<Vec<_>, _>>();
    let all = concat_batches(&schema, &conformed.map_err(Error::Rows)?).map_err(Error::Rows)?;
    let by = time_column(table).and_then(|name| all.column_by_name(&name).cloned());
    let by = by.or_else(|| all.column_by_name(hidden::INGESTED_AT).cloned());
    match by.filter(|c| c.as_any().is::<Int64Array>()) {
        None => Ok(all),
        Some(by) => {
            let order = sort_to_indices(&by, None, None).map_err(Error::Rows)?;
            take_record_batch(&all, &order).map_err(Error::Rows)
        }
    }
}

/// Least and greatest instant of a column; nothing if it is absent, of another type, or all null.
fn range(batch: &RecordBatch, column: &str) -> Option<(Ticks, Ticks)> {
    let values = batch
        .column_by_name(column)?
        .as_primitive_opt::<Int64Type>()?;
    if values.null_count() > 0 && values.null_count() < values.len() {
        // A row without a time must not be pruned away with a range.
        return None;
    }
    let least = rows::arrow::compute::min(values)?;
    let greatest = rows::arrow::compute::max(values)?;
    Some((Ticks(least), Ticks(greatest)))
}
