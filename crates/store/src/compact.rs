//! Few large segments instead of many small ones.
//!
//! A reconciler: [`Store::compact_step`] merges the level-0 segments of one partition into one of
//! level 1, rows unchanged. Readers of the former files keep them until they are done; then the files
//! go. A segment that the tenant's export wants is not merged; what waited for it too long is dropped
//! from it first.

use std::sync::Arc;

use access::{Actor, Granted, Maintain};
use ledger::Happening;
use model::{KeyId, SegmentId, limits};

use crate::Error;
use crate::catalogue::CompactionCommit;
use crate::egress::Export;
use crate::flush::{Draw, Written, detached, segment_paths};
use crate::leaves::Draft;
use crate::manifest::PartitionKey;
use crate::memory::TenantRows;
use crate::open::{Store, TenantState};
use crate::segment::SegmentFile;

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Segments replaced.
    pub removed: u64,
    /// Segments that replace them.
    pub added: u64,
    /// Rows in them.
    pub rows: u64,
}

impl Store {
    /// Merges the segments of one partition of the tenant of `grant`, if any are due. Goes on to its
    /// end if the caller stops waiting.
    pub async fn compact_step(
        &self,
        grant: &Granted<Maintain>,
    ) -> Result<CompactionReport, Arc<Error>> {
        self.inner.live(grant)?;
        let (store, tenant, actor) = (self.clone(), grant.tenant(), *grant.actor());
        detached(async move {
            let _one = store.inner.reconciling.lock().await;
            let state = store.inner.writable(tenant)?;
            let now = store.inner.cx.now();
            store.drop_late(tenant, actor.to_string(), now).await?;
            let rows = store.inner.memory.of(tenant);
            match due(&rows, &state.export()) {
                None => Ok(CompactionReport::default()),
                Some((key, files)) => Ok(store.compact(actor, &state, key, files).await?),
            }
        })
        .await
    }

    async fn compact(
        &self,
        actor: Actor,
        state: &TenantState,
        key: PartitionKey,
        files: Vec<Arc<SegmentFile>>,
    ) -> Result<CompactionReport, Error> {
        self.settle().await?;
        let reading = files.clone();
        let read = move || {
            let mut batches = Vec::new();
            for file in &reading {
                batches.append(&mut file.read(None)?);
            }
            Ok::<_, Error>(batches)
        };
        let batches = tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| Error::Closed)??;
        let draw = Draw {
            key: key.clone(),
            batches,
            sequence: files.iter().map(|f| f.manifest.sequence).max().unwrap_or(0),
            level: 1,
        };
        let written = self.write_segments(state, vec![draw]).await?;
        let before: u64 = files.iter().map(|f| f.row.rows).sum();
        let after: u64 = written.iter().map(|w| w.row.rows).sum();
        if before != after {
            // INVARIANT: a compaction neither gains nor loses a row; the former files stay.
            self.inner.objects.discard(&segment_paths(&written));
            return Err(Error::Form {
                what: "compacted rows",
            });
        }
        let report = CompactionReport {
            removed: u64::try_from(files.len()).unwrap_or(u64::MAX),
            added: u64::try_from(written.len()).unwrap_or(u64::MAX),
            rows: after,
        };
        let at = self.inner.cx.now();
        let draft = Draft::new(Some(state.tenant), at, actor, Happening::SegmentsMerged)
            .with("removed", report.removed)
            .with("added", report.added)
            .with("rows", report.rows);
        self.commit_compaction(state, &key, &files, written, draft)
            .await?;
        Ok(report)
    }

    async fn commit_compaction(
        &self,
        state: &TenantState,
        key: &PartitionKey,
        former_files: &[Arc<SegmentFile>],
        written: Vec<Written>,
        draft: Draft,
    ) -> Result<(), Error> {
        let mut writer = self.inner.writer.lock().await;
        let removed: Vec<SegmentId> = former_files.iter().map(|f| f.row.segment).collect();
        let removed_keys: Vec<KeyId> = former_files.iter().map(|f| f.row.key).collect();
        let staged = self.stage(&writer, state, written, &removed_keys)?;
        let leaf = match writer.seal(&self.inner.vault, draft) {
            Ok(leaf) => leaf,
            Err(error) => return Err(self.unstage(&mut writer, staged.paths, error)),
        };
        let commit = CompactionCommit {
            tenant: state.tenant,
            added: staged.files.iter().map(|f| f.row.clone()).collect(),
            removed: removed.clone(),
            key_table_before: staged.before,
            key_table_after: staged.table.generation(),
            leaves: vec![leaf.clone()],
        };
        if let Err(error) = self.inner.catalogue.commit_compaction(&commit).await {
            return Err(self.unstage(&mut writer, staged.paths, error.into()));
        }
        writer.committed(&leaf);
        writer.key_tables.insert(state.tenant, staged.table);
        self.inner.memory.update(state.tenant, |rows| {
            let segments = &mut rows.partition(key).segments;
            segments.retain(|s| !removed.contains(&s.row.segment));
            segments.extend(staged.files.into_iter().map(Arc::new));
        });
        state.change_export(|export| export.done.retain(|segment| !removed.contains(segment)));
        for file in former_files {
            file.doom();
        }
        self.remove_key_table(state.tenant, staged.before);
        Ok(())
    }
}

/// The first partition with enough small segments, and those of them that fit the limits.
fn due(rows: &TenantRows, export: &Export) -> Option<(PartitionKey, Vec<Arc<SegmentFile>>)> {
    for (key, partition) in &rows.partitions {
        let (mut bytes, mut n_rows, mut memory) = (0, 0, 0);
        let fits = |file: &&Arc<SegmentFile>| {
            bytes += file.row.bytes;
            n_rows += file.row.rows;
            memory += file.manifest.memory_bytes;
            bytes <= limits::COMPACT_BYTES_MAX
                && n_rows <= limits::COMPACT_ROWS_MAX
                && memory <= limits::COMPACT_MEMORY_BYTES_MAX
        };
        let small = partition.segments.iter();
        let small = small.filter(|s| is_small(s) && !export.wants(s));
        let files: Vec<_> = small.take_while(fits).cloned().collect();
        if files.len() >= limits::COMPACT_SEGMENTS_MIN {
            return Some((key.clone(), files));
        }
    }
    None
}

/// Whether enough files like this one fit into a compaction; a larger one is good as it is, and must
/// not keep the small ones behind it waiting.
fn is_small(file: &SegmentFile) -> bool {
    let n = u64::try_from(limits::COMPACT_SEGMENTS_MIN).unwrap_or(u64::MAX);
    file.row.level == 0
        && file.row.bytes <= limits::COMPACT_BYTES_MAX / n
        && file.row.rows <= limits::COMPACT_ROWS_MAX / n
        && file.manifest.memory_bytes <= limits::COMPACT_MEMORY_BYTES_MAX / n
}
