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

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use access::{Actor, Granted, Maintain};
use ledger::Happening;
use model::{KeyId, SegmentId, Span100ns, TenantId, Ticks, limits};
use rows::{RecordBatch, hidden};
use tokio::sync::oneshot;
use vault::{KeyTable, SegmentKey};

use crate::Error;
use crate::catalogue::{self, FlushCommit, PartitionRow, SegmentRow};
use crate::commit::{Forward, ForwardFrame, LogStatus, Message};
use crate::leaves::{Draft, Sequences};
use crate::manifest::{Manifest, PartitionKey};
use crate::memory::{Chunk, Partition, TenantRows};
use crate::objects::{Objects, key_table_path, segment_folder, segment_path};
use crate::open::{Store, TenantState, manifest_context};
use crate::order::{Ordered, time_column};
use crate::segment::{self, Identity, SegmentFile};
use crate::snapshot::raw_columns;

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
    /// Flushes what is due at `now` for the tenant of `grant`. Goes on to its end if the caller stops
    /// waiting.
    pub async fn flush_step(
        &self,
        grant: &Granted<Maintain>,
        now: Ticks,
    ) -> Result<FlushReport, Arc<Error>> {
        self.inner.live(grant)?;
        let (store, tenant, actor) = (self.clone(), grant.tenant(), *grant.actor());
        detached(async move {
            let _one = store.inner.reconciling.lock().await;
            let log = store.inner.trim().await?;
            let state = store.inner.writable(tenant)?;
            let rows = store.inner.memory.of(tenant);
            let (due, quiet) = store.due(&rows, now, log);
            if !quiet.is_empty() {
                store.forward(&state, quiet).await?;
            }
            if log.files > limits::LOG_SEGMENTS_MAX {
                store.forward_undetected(&state, log).await?;
            }
            store.flush(actor, &state, due).await
        })
        .await
    }

    /// Flushes everything of the tenant of `grant`.
    pub async fn flush_all(&self, grant: &Granted<Maintain>) -> Result<FlushReport, Arc<Error>> {
        self.inner.live(grant)?;
        let (store, tenant, actor) = (self.clone(), grant.tenant(), *grant.actor());
        detached(async move {
            let _one = store.inner.reconciling.lock().await;
            let state = store.inner.writable(tenant)?;
            let rows = store.inner.memory.of(tenant);
            let all = rows.partitions.iter().filter(|(_, p)| !p.chunks.is_empty());
            let all = all.map(|(key, _)| key.clone()).collect();
            store.flush(actor, &state, all).await
        })
        .await
    }

    /// The partitions to flush, and the chunks to copy forward.
    fn due(
        &self,
        rows: &TenantRows,
        now: Ticks,
        log: LogStatus,
    ) -> (Vec<PartitionKey>, Vec<(PartitionKey, Arc<Chunk>)>) {
        let bytes_of_tenant: usize = rows.partitions.values().map(|p| p.chunk_bytes()).sum();
        let largest_from = self.largest_from();
        let pressed = log.files > limits::LOG_SEGMENTS_MAX;
        let is_quiet = bytes_of_tenant < limits::QUIET_MEMTABLE_BYTES_MAX;
        let age_max = Span100ns::seconds(limits::MEMTABLE_AGE_SECONDS_MAX);
        let (mut due, mut quiet) = (Vec::new(), Vec::new());
        for (key, partition) in rows.partitions.iter().filter(|(_, p)| !p.chunks.is_empty()) {
            let old = partition
                .oldest_at
                .is_some_and(|at| now.since(at) >= age_max);
            let bytes = partition.chunk_bytes();
            let large = bytes >= limits::MEMTABLE_PARTITION_BYTES_MAX || bytes >= largest_from;
            let in_oldest = partition
                .chunks
                .iter()
                .filter(|c| c.oldest_file <= log.oldest);
            let holds_log = pressed && in_oldest.clone().next().is_some();
            if old || large || (holds_log && !is_quiet) {
                due.push(key.clone());
            } else if holds_log {
                quiet.extend(in_oldest.map(|c| (key.clone(), c.clone())));
            }
        }
        (due, quiet)
    }

    /// While memory is over its limit, the bytes from which a partition goes, so that the largest of
    /// all tenants bring it down to half; more than any has otherwise.
    fn largest_from(&self) -> usize {
        let memory = &self.inner.memory;
        if memory.bytes() <= limits::MEMTABLE_BYTES_MAX
            || memory.measure() <= limits::MEMTABLE_BYTES_MAX
        {
            return usize::MAX;
        }
        let all = memory.all();
        let partitions = all.values().flat_map(|t| t.partitions.values());
        let mut sizes: Vec<usize> = partitions.map(|p| p.chunk_bytes()).collect();
        sizes.sort_unstable();
        let mut kept = 0;
        let over = sizes.into_iter().find(|bytes| {
            kept += bytes;
            kept > limits::MEMTABLE_BYTES_MAX / 2
        });
        over.map_or(usize::MAX, |bytes| bytes.max(1))
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

    /// Copies forward what keeps the oldest log file for detection: a tenant whose cursor nobody moves
    /// must not keep everyone's log.
    async fn forward_undetected(
        &self,
        state: &TenantState,
        log: LogStatus,
    ) -> Result<(), Arc<Error>> {
        let frames = self.inner.lag.in_files_up_to(state.tenant, log.oldest);
        if frames.is_empty() {
            return Ok(());
        }
        let forward = |frame| ForwardFrame {
            vault: state.vault.clone(),
            stream: state.stream,
            frame,
        };
        let (reply, answer) = oneshot::channel();
        let frames = frames.into_iter().map(forward).collect();
        self.inner
            .queue
            .send(Message::ForwardFrames(frames, reply))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn flush(
        &self,
        actor: Actor,
        state: &TenantState,
        due: Vec<PartitionKey>,
    ) -> Result<FlushReport, Arc<Error>> {
        let mut report = FlushReport::default();
        if !due.is_empty() {
            self.settle().await?;
            self.inner.queue.secure().await?;
            // Drawn in one step with the freeze: what comes later is not of this flush.
            let frozen = |rows: &mut TenantRows| rows.freeze(&due);
            let drawn = self.inner.memory.update(state.tenant, frozen);
            let draws = drawn.iter().map(|(key, partition)| Draw {
                key: key.clone(),
                batches: partition.chunks.iter().map(|c| c.batch.clone()).collect(),
                sequence: partition.newest_sequence(),
                level: 0,
            });
            let written = self.write_segments(state, draws.collect()).await?;
            for w in &written {
                report.segments += 1;
                report.rows += w.row.rows;
                report.bytes += w.row.bytes;
            }
            let now = self.inner.cx.now();
            let draft = Draft::new(Some(state.tenant), now, actor, Happening::SegmentsFlushed)
                .with("segments", report.segments)
                .with("rows", report.rows);
            self.commit_flush(state, drawn, written, draft).await?;
        }
        report.log_files = self.inner.trim().await?.files;
        Ok(report)
    }

    async fn commit_flush(
        &self,
        state: &TenantState,
        drawn: Vec<(PartitionKey, Arc<Partition>)>,
        written: Vec<Written>,
        draft: Draft,
    ) -> Result<(), Error> {
        let mut writer = self.inner.writer.lock().await;
        let staged = self.stage(&writer, state, written, &[])?;
        let leaf = match writer.seal(&self.inner.vault, draft) {
            Ok(leaf) => leaf,
            Err(error) => return Err(self.unstage(&mut writer, staged.paths, error)),
        };
        let files = &staged.files;
        let commit = FlushCommit {
            tenant: state.tenant,
            added: files.iter().map(|f| f.row.clone()).collect(),
            flushed: files.iter().map(|f| flushed_row(state.tenant, f)).collect(),
            key_table_before: staged.before,
            key_table_after: staged.table.generation(),
            leaves: vec![leaf.clone()],
        };
        if let Err(error) = self.inner.catalogue.commit_flush(&commit).await {
            return Err(self.unstage(&mut writer, staged.paths, error.into()));
        }
        writer.committed(&leaf);
        writer.key_tables.insert(state.tenant, staged.table);
        let now = self.inner.cx.now();
        self.inner.memory.update(state.tenant, |rows| {
            for ((key, partition), file) in drawn.iter().zip(staged.files) {
                let chunks = &partition.chunks;
                rows.partition(key).flushed(chunks, Arc::new(file), now);
            }
        });
        self.inner.memory.measure();
        self.remove_key_table(state.tenant, staged.before);
        Ok(())
    }

    /// Asks the catalogue for an empty transaction: that succeeds only if this process is still its
    /// writer and no earlier transaction can come back any more. Only then may a key table of the next
    /// generation be written over one that an earlier attempt left, and what that attempt wrote goes.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let mut writer = self.inner.writer.lock().await;
        self.inner.catalogue.put_leaves(&[]).await?;
        for path in std::mem::take(&mut writer.doubtful) {
            // What stays behind is removed as an orphan at the next start.
            let _ = self.inner.objects.remove(&path);
        }
        Ok(())
    }

    /// Writes the key table that has the new keys and lacks the removed ones; after an error nothing
    /// of it is left, nor of the new segments.
    pub(crate) fn stage(
        &self,
        writer: &Sequences,
        state: &TenantState,
        written: Vec<Written>,
        removed: &[KeyId],
    ) -> Result<Staged, Error> {
        let mut paths = segment_paths(&written);
        let staged = self.try_stage(writer, state, written, removed);
        match staged {
            Ok((before, files, table, path)) => {
                paths.push(path);
                Ok(Staged {
                    before,
                    files,
                    table,
                    paths,
                })
            }
            Err(error) => {
                self.inner.objects.discard(&paths);
                Err(error)
            }
        }
    }

    fn try_stage(
        &self,
        writer: &Sequences,
        state: &TenantState,
        written: Vec<Written>,
        removed: &[KeyId],
    ) -> Result<(u64, Vec<SegmentFile>, KeyTable, PathBuf), Error> {
        let former = writer.key_tables.get(&state.tenant);
        let former = former.ok_or(Error::NoTenant {
            tenant: state.tenant,
        })?;
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
        // A table of that generation is left from an attempt that surely did not commit (`settle`).
        self.inner.objects.remove(&path)?;
        self.inner
            .objects
            .put(&path, &state.vault.seal_key_table(&table))?;
        Ok((former.generation(), files, table, path))
    }

    /// After a transaction that failed: removes what it names, unless it may have happened.
    pub(crate) fn unstage(
        &self,
        writer: &mut Sequences,
        paths: Vec<PathBuf>,
        error: Error,
    ) -> Error {
        match &error {
            Error::Catalogue(catalogue::Error::Database(_)) => writer.doubtful.extend(paths),
            // Whoever owns the directory now knows what is an orphan.
            Error::Catalogue(catalogue::Error::Fenced) => {}
            _ => self.inner.objects.discard(&paths),
        }
        error
    }

    pub(crate) fn remove_key_table(&self, tenant: TenantId, generation: u64) {
        if generation > 0 {
            let path = key_table_path(tenant, generation);
            self.inner.objects.discard(&[path]);
        }
    }

    /// Writes segments on a thread for blocking work; nothing names them yet. After an error none of
    /// them is left.
    pub(crate) async fn write_segments(
        &self,
        state: &TenantState,
        draws: Vec<Draw>,
    ) -> Result<Vec<Written>, Error> {
        let inner = self.inner.clone();
        let vault = state.vault.clone();
        let work = move || {
            inner.objects.create_dir(&segment_folder(vault.tenant()))?;
            let mut written = Vec::with_capacity(draws.len());
            for draw in draws {
                match write_one(&inner.cx, &inner.vault, &vault, &inner.objects, draw) {
                    Ok(w) => written.push(w),
                    Err(error) => {
                        inner.objects.discard(&segment_paths(&written));
                        return Err(error);
                    }
                }
            }
            Ok(written)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Error::Closed)?
    }
}

/// What is durable and not yet named by the catalogue.
pub(crate) struct Staged {
    /// Generation of the key table that the catalogue names.
    pub(crate) before: u64,
    pub(crate) files: Vec<SegmentFile>,
    pub(crate) table: KeyTable,
    /// All of it, to take back.
    pub(crate) paths: Vec<PathBuf>,
}

pub(crate) fn segment_paths(written: &[Written]) -> Vec<PathBuf> {
    let paths = written
        .iter()
        .map(|w| segment_path(w.row.tenant, w.row.segment));
    paths.collect()
}

/// Runs to its end whatever becomes of the caller: a transaction that is dropped half-way would
/// leave this process in doubt of what the catalogue holds.
pub(crate) async fn detached<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(Error::Closed.into()))
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
    let ordered = Ordered::new(&draw.key.table, &draw.batches)?;
    drop(draw.batches);
    let segment = SegmentId::random(&*cx.random);
    let (key_id, key) = (KeyId::random(&*cx.random), vault.new_segment_key());
    let identity = Identity {
        geography: region.geography(),
        tenant: vault.tenant(),
        table: &draw.key.table,
        segment,
    };
    let bytes = segment::write(&ordered, &identity, region.region(), key_id, &key)?;
    objects.put(&segment_path(vault.tenant(), segment), &bytes)?;
    let manifest = Manifest {
        version: Manifest::VERSION,
        region: region.region().clone(),
        geography: region.geography().clone(),
        time: time_column(&draw.key.table).and_then(|name| ordered.range(&name)),
        raw_columns: raw_columns(&draw.key.table, ordered.schema()),
        sequence: draw.sequence,
        memory_bytes: u64::try_from(ordered.bytes()).unwrap_or(u64::MAX),
        partition: draw.key,
    };
    let ingested = ordered.range(hidden::INGESTED_AT).unwrap_or_default();
    let mut row = SegmentRow {
        segment,
        tenant: vault.tenant(),
        partition: vault.blind_index("partition", &manifest.partition.to_bytes()),
        level: draw.level,
        rows: u64::try_from(ordered.rows()).unwrap_or(u64::MAX),
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
