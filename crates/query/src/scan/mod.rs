//! One table's rows as a query reads them: batches in memory and sealed segments.
//!
//! Segments are read through the decrypting readers that `store` gives; nothing here knows a key or
//! writes a byte. Time conditions leave out whole segments before any of them is opened; statistics
//! of row groups and pages then prune inside ([`groups`]). Every condition that the planner hands
//! over is tested here and nowhere else.
//!
//! A segment may lack columns that came later: a missing string reads as empty, anything else as
//! null, in filters too.

mod bounds;
mod exec;
mod groups;
mod pages;
pub(crate) mod stages;
pub(crate) mod test;
mod tops;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;
use model::Ticks;

use self::bounds::{Meets, TimeBound};
pub(crate) use self::exec::{Asking, ONE_IN, SegmentsExec, joined};
use self::groups::{Condition, Wanted};
pub(crate) use self::tops::Top;
use crate::copies::in_portions;
use crate::kernels::args::Guard;

/// A sealed file of one table's rows.
pub trait Segment: Send + Sync + fmt::Debug {
    /// A name for messages and plans: an opaque id.
    fn name(&self) -> String;
    /// Bytes of the file.
    fn bytes(&self) -> u64;
    /// Rows in it.
    fn rows(&self) -> u64;
    /// Earliest and latest time of its rows; `None` if some row has none.
    fn time(&self) -> Option<(Ticks, Ticks)>;
    /// Opens it. The reader decrypts the footer itself.
    fn open(&self) -> std::result::Result<Box<dyn AsyncFileReader + Send>, OpenError>;
}

/// Why a segment did not open.
pub type OpenError = Box<dyn std::error::Error + Send + Sync>;

/// One table's rows at one moment.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// All columns, hidden ones included.
    pub schema: SchemaRef,
    /// Rows in memory, in this schema.
    pub memory: Vec<RecordBatch>,
    /// Sealed files; each may lack columns of the schema.
    pub segments: Vec<Arc<dyn Segment>>,
    /// The column by which the default look-back and the pruning of segments go.
    pub time_column: Option<String>,
    /// Whether a query that does not say from when gets the default look-back.
    pub look_back: bool,
}

/// What a query read, summed over its tables.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) segments: AtomicU64,
    pub(crate) segments_pruned: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) memory_rows: AtomicU64,
}

impl Reads {
    /// Counts from nothing again.
    pub(crate) fn forget(&self) {
        let all = [
            &self.segments,
            &self.segments_pruned,
            &self.bytes,
            &self.rows,
            &self.memory_rows,
        ];
        for count in all {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Counts what another counted.
    pub(crate) fn add(&self, other: &Self) {
        let pairs = [
            (&self.segments, &other.segments),
            (&self.segments_pruned, &other.segments_pruned),
            (&self.bytes, &other.bytes),
            (&self.rows, &other.rows),
            (&self.memory_rows, &other.memory_rows),
        ];
        for (to, from) in pairs {
            to.fetch_add(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// [`TableRows`] for DataFusion.
#[derive(Debug)]
pub(crate) struct Scan {
    rows: TableRows,
    reads: Arc<Reads>,
    guard: Guard,
}

impl Scan {
    pub(crate) fn new(rows: TableRows, reads: Arc<Reads>, guard: Guard) -> Self {
        Self { rows, reads, guard }
    }

    /// The conditions, taken apart, over the table's schema.
    fn conditions(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Condition>> {
        let schema = DFSchema::try_from(self.rows.schema.clone())?;
        let time = self.rows.time_column.as_deref();
        let mut conditions = Vec::new();
        for filter in filters.iter().flat_map(split_conjunction) {
            conditions.push(Condition {
                expr: state.create_physical_expr(filter.clone(), &schema)?,
                time: time.and_then(|time| TimeBound::of(filter, time)),
            });
        }
        Ok(conditions)
    }

    /// The rows in memory that meet the conditions.
    fn memory(
        &self,
        projection: &[usize],
        conditions: &[Condition],
        batch_rows: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut columns = projection.to_vec();
        for condition in conditions {
            columns.extend(test::columns_of(&condition.expr));
        }
        columns.sort_unstable();
        columns.dedup();
        let mut batches = Vec::with_capacity(self.rows.memory.len());
        for batch in &self.rows.memory {
            for portion in in_portions(batch.project(&columns)?, batch_rows) {
                batches.push(portion?);
            }
        }
        let schema = Arc::new(self.rows.schema.project(&columns)?);
        let place = |at: usize| columns.iter().position(|column| *column == at);
        let output: Vec<usize> = projection.iter().filter_map(|at| place(*at)).collect();
        if conditions.is_empty() {
            return Ok(MemorySourceConfig::try_new_exec(
                &[batches],
                schema,
                Some(output),
            )?);
        }
        let all = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
        let all_hold = conjunction(conditions.iter().map(|c| c.expr.clone()));
        let filter = FilterExecBuilder::new(test::moved(all_hold, place)?, all);
        Ok(Arc::new(filter.apply_projection(Some(output))?.build()?))
    }

    /// The segments whose rows a time condition does not rule out.
    fn wanted(&self, conditions: &[Condition]) -> Vec<Arc<dyn Segment>> {
        let bounds = || conditions.iter().filter_map(|condition| condition.time);
        let kept: Vec<_> = self
            .rows
            .segments
            .iter()
            .filter(|segment| {
                segment.time().is_none_or(|(from, to)| {
                    bounds().all(|bound| bound.meets(from.0, to.0) != Meets::None)
                })
            })
            .cloned()
            .collect();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let pruned = self.rows.segments.len() - kept.len();
        let relaxed = Ordering::Relaxed;
        self.reads.segments.fetch_add(count(kept.len()), relaxed);
        self.reads.segments_pruned.fetch_add(count(pruned), relaxed);
        kept
    }
}

#[async_trait]
impl TableProvider for Scan {
    fn schema(&self) -> SchemaRef {
        self.rows.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let conditions = self.conditions(state, filters)?;
        let every: Vec<usize> = (0..self.rows.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&every);
        let output = Arc::new(self.rows.schema.project(projection)?);
        let batch_rows = state.config().batch_size();
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.rows.memory.is_empty() {
            let rows: usize = self.rows.memory.iter().map(RecordBatch::num_rows).sum();
            let rows = u64::try_from(rows).unwrap_or(u64::MAX);
            self.reads.memory_rows.fetch_add(rows, Ordering::Relaxed);
            parts.push(self.memory(projection, &conditions, batch_rows)?);
        }
        let segments = self.wanted(&conditions);
        if !segments.is_empty() {
            let wanted = Wanted {
                schema: self.rows.schema.clone(),
                projection: projection.clone(),
                output: output.clone(),
                conditions,
                time: self.rows.time_column.clone(),
                batch_rows,
                reads: self.reads.clone(),
                guard: self.guard.clone(),
            };
            parts.push(Arc::new(SegmentsExec::new(segments, Arc::new(wanted))));
        }
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(output))),
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}
