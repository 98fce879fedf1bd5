//! Reconcilers: idempotent steps that look at the state and move it on.
//!
//! [`Cell::step`] does one round of what keeps the store in order, [`Cell::detect_step`] and
//! [`Cell::export_step`] theirs; whoever runs the cell calls each on a timer of its own. A step that fails for one tenant is logged with its code and goes on with the next.

use std::sync::PoisonError;

use access::{Credential, Granted, Maintain};
use model::TenantId;
use store::{CompactionReport, FlushReport};

use crate::Error;
use crate::cell::{Cell, sum};

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepReport {
    /// Segments flushed.
    pub flushed_segments: u64,
    /// Rows in them.
    pub flushed_rows: u64,
    /// Bytes of them.
    pub flushed_bytes: u64,
    /// Segments merged away.
    pub merged_segments: u64,
    /// Alerts made, or sent home.
    pub alerts: u64,
    /// Facts that left for the centre.
    pub facts: u64,
    /// Tenants for which a step failed.
    pub failures: u64,
}

impl StepReport {
    fn add_flush(&mut self, flush: FlushReport) {
        self.flushed_segments += flush.segments;
        self.flushed_rows += flush.rows;
        self.flushed_bytes += flush.bytes;
    }

    fn add_compaction(&mut self, compaction: CompactionReport) {
        self.merged_segments += compaction.removed;
    }
}

impl Cell {
    /// One round: flush what is due, merge what is due, write counts, deliver profiles.
    pub async fn step(&self) -> StepReport {
        let mut report = StepReport::default();
        for tenant in self.all_tenants() {
            if let Err(error) = self.step_tenant(tenant.id, &mut report).await {
                report.failures += 1;
                let fields = [("tenant", tenant.id.into())];
                self.inner.cx.error("step_failed", error.code(), &fields);
            }
            self.deliver_profiles(tenant.id).await;
        }
        if let Err(error) = self.write_counts().await {
            report.failures += 1;
            self.inner.cx.error("counts_not_written", error.code(), &[]);
        }
        report
    }

    async fn step_tenant(&self, id: TenantId, report: &mut StepReport) -> Result<(), Error> {
        let flush = self
            .inner
            .cx
            .decide::<Maintain>(&Credential::system("flush"), id)?;
        report.add_flush(self.store().flush_step(&flush, self.inner.cx.now()).await?);
        let compact = self
            .inner
            .cx
            .decide::<Maintain>(&Credential::system("compact"), id)?;
        report.add_compaction(self.store().compact_step(&compact).await?);
        Ok(())
    }

    /// Moves everything of a tenant from memory into segments now.
    pub async fn flush(&self, grant: &Granted<Maintain>) -> Result<StepReport, Error> {
        let mut report = StepReport::default();
        report.add_flush(self.store().flush_all(grant).await?);
        Ok(report)
    }

    /// Merges what is due of a tenant until nothing is.
    pub async fn compact(&self, grant: &Granted<Maintain>) -> Result<StepReport, Error> {
        let mut report = StepReport::default();
        loop {
            let step = self.store().compact_step(grant).await?;
            if step.removed == 0 {
                return Ok(report);
            }
            report.add_compaction(step);
        }
    }

    /// Writes what sources delivered since the last time. After a crash, counts may lag behind the
    /// rows by what came since; the rows themselves never do.
    pub(crate) async fn write_counts(&self) -> Result<(), Error> {
        let _one = self.inner.changing.lock().await;
        let mut fresh = Vec::new();
        let sources: Vec<_> = {
            let all = self
                .inner
                .sources
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            all.values().cloned().collect()
        };
        for source in &sources {
            let (counts, at) = *source.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            if counts != store::SourceCounts::default() {
                fresh.push((source.clone(), counts, at));
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = fresh
            .iter()
            .map(|(s, c, at)| (s.entry.source, *c, *at))
            .collect();
        self.store().add_counts(&rows).await?;
        for (source, counts, at) in fresh {
            let mut base = source.base.lock().unwrap_or_else(PoisonError::into_inner);
            let mut rest = source.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            base.0 = sum(base.0, counts);
            base.1 = at.or(base.1);
            rest.0.stored -= counts.stored;
            rest.0.raw -= counts.raw;
            rest.0.duplicate -= counts.duplicate;
            rest.0.rejected -= counts.rejected;
            rest.0.wrong_region -= counts.wrong_region;
        }
        Ok(())
    }
}
