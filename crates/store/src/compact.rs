//! Few large segments instead of many small ones.
//!
//! A reconciler: [`Store::compact_step`] merges the level-0 segments of one partition into one of
//! level 1, rows unchanged. Readers of the former files keep them until they are done; then the files
//! go. Later, a segment will be merged only after the cursors that want it have passed; there are
//! none yet.

use std::sync::Arc;

use access::{Granted, Maintain};
use ledger::Happening;
use model::{KeyId, SegmentId, limits};

use crate::Error;
use crate::catalogue::CompactionCommit;
use crate::flush::{Draw, Written};
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
    /// Merges the segments of one partition of the tenant of `grant`, if any are due.
    pub async fn compact_step(
        &self,
        grant: &Granted<Maintain>,
    ) -> Result<CompactionReport, Arc<Error>> {
        let _one = self.inner.reconciling.lock().await;
        let state = self.inner.tenant(grant.tenant())?;
        let rows = self.inner.memory.of(state.tenant);
        let Some((key, files)) = due(&rows) else {
            return Ok(CompactionReport::default());
        };
        let reading = files.clone();
        let read = move || {
            let batches = reading
                .iter()
                .map(|f| f.read(None))
                .collect::<Result<Vec<_>, _>>()?;
            Ok::<_, Error>(batches.into_iter().flatten().collect::<Vec<_>>())
        };
        let batches = tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| Error::Closed)??;
        let sequence = files.iter().map(|f| f.manifest.sequence).max().unwrap_or(0);
        let draw = Draw {
            key: key.clone(),
            batches,
            sequence,
            level: 1,
        };
        let written = self.write_segments(&state, vec![draw]).await?;
        let before: u64 = files.iter().map(|f| f.row.rows).sum();
        let after: u64 = written.iter().map(|w| w.row.rows).sum();
        if before != after {
            // INVARIANT: a compaction neither gains nor loses a row; the former files stay.
            return Err(Arc::new(Error::Form {
                what: "compacted rows",
            }));
        }
        let report = CompactionReport {
            removed: u64::try_from(files.len()).unwrap_or(u64::MAX),
            added: u64::try_from(written.len()).unwrap_or(u64::MAX),
            rows: after,
        };
        let at = self.inner.cx.now();
        let draft = Draft::new(
            Some(state.tenant),
            at,
            grant.actor(),
            Happening::SegmentsMerged,
        )
        .with("removed", report.removed)
        .with("added", report.added)
        .with("rows", report.rows);
        self.commit_compaction(&state, &key, &files, written, draft)
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
        let leaf = writer.seal(&self.inner.vault, draft)?;
        let former = writer.key_tables.remove(&state.tenant).unwrap_or_default();
        let removed: Vec<SegmentId> = former_files.iter().map(|f| f.row.segment).collect();
        let removed_keys: Vec<KeyId> = former_files.iter().map(|f| f.row.key).collect();
        let next = self.next_key_table(state, &former, written, &removed_keys);
        let (files, table) = match next {
            Ok(done) => done,
            Err(error) => {
                writer.key_tables.insert(state.tenant, former);
                return Err(error);
            }
        };
        let commit = CompactionCommit {
            tenant: state.tenant,
            added: files.iter().map(|f| f.row.clone()).collect(),
            removed: removed.clone(),
            key_table_before: former.generation(),
            key_table_after: table.generation(),
            leaves: vec![leaf.clone()],
        };
        if let Err(error) = self.inner.catalogue.commit_compaction(&commit).await {
            writer.key_tables.insert(state.tenant, former);
            return Err(error.into());
        }
        writer.committed(&leaf);
        writer.key_tables.insert(state.tenant, table);
        self.inner.memory.update(state.tenant, |rows| {
            let segments = &mut rows.partition(key).segments;
            segments.retain(|s| !removed.contains(&s.row.segment));
            segments.extend(files.into_iter().map(Arc::new));
        });
        former_files.iter().for_each(|f| f.doom());
        self.remove_key_table(state.tenant, former.generation());
        Ok(())
    }
}

/// The first partition with enough small segments, and those of them that fit the limits.
fn due(rows: &TenantRows) -> Option<(PartitionKey, Vec<Arc<SegmentFile>>)> {
    for (key, partition) in &rows.partitions {
        let (mut bytes, mut n_rows) = (0, 0);
        let fits = |file: &&Arc<SegmentFile>| {
            bytes += file.row.bytes;
            n_rows += file.row.rows;
            bytes <= limits::COMPACT_BYTES_MAX && n_rows <= limits::COMPACT_ROWS_MAX
        };
        let small = partition.segments.iter().filter(|s| s.row.level == 0);
        let files: Vec<_> = small.take_while(fits).cloned().collect();
        if files.len() >= limits::COMPACT_SEGMENTS_MIN {
            return Some((key.clone(), files));
        }
    }
    None
}
