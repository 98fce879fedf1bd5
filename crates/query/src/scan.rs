//! One table's rows as a query reads them: batches in memory and sealed segments.
//!
//! Segments are read through the decrypting readers that `store` gives; nothing here knows a key or
//! writes a byte. Time conditions leave out whole segments before any of them is opened; statistics
//! of row groups and pages then prune inside.
//!
//! A segment may lack columns that came later: a missing string reads as empty, anything else as
//! null, in filters too.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
    replace_columns_with_literals,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::union::UnionExec;
use model::Ticks;

use crate::engine::BATCH_ROWS;

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

/// [`TableRows`] for DataFusion.
#[derive(Debug)]
pub(crate) struct Scan {
    rows: TableRows,
    reads: Arc<Reads>,
}

impl Scan {
    pub(crate) fn new(rows: TableRows, reads: Arc<Reads>) -> Self {
        Self { rows, reads }
    }

    fn memory(&self, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut batches = Vec::with_capacity(self.rows.memory.len());
        for batch in &self.rows.memory {
            let batch = match projection {
                Some(columns) => batch.project(columns)?,
                None => batch.clone(),
            };
            portions(batch, &mut batches)?;
        }
        let schema = match projection {
            Some(columns) => Arc::new(self.rows.schema.project(columns)?),
            None => self.rows.schema.clone(),
        };
        let exec = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
        Ok(exec)
    }

    /// The segments whose rows a time condition does not rule out.
    fn wanted(&self, filters: &[Expr]) -> Vec<&Arc<dyn Segment>> {
        let bounds = match &self.rows.time_column {
            Some(time) => Bounds::of(filters, time),
            None => Bounds::default(),
        };
        let kept: Vec<_> = self
            .rows
            .segments
            .iter()
            .filter(|segment| {
                segment
                    .time()
                    .is_none_or(|(from, to)| bounds.meets(from.0, to.0))
            })
            .collect();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let pruned = self.rows.segments.len() - kept.len();
        self.reads
            .segments
            .fetch_add(count(kept.len()), Ordering::Relaxed);
        self.reads
            .segments_pruned
            .fetch_add(count(pruned), Ordering::Relaxed);
        kept
    }

    fn segments(
        &self,
        state: &dyn Session,
        segments: &[&Arc<dyn Segment>],
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let readers = Arc::new(Readers {
            reads: self.reads.clone(),
        });
        let mut source = ParquetSource::new(self.rows.schema.clone())
            .with_parquet_file_reader_factory(readers)
            .with_pushdown_filters(true)
            .with_reorder_filters(true)
            .with_enable_page_index(true);
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = DFSchema::try_from(self.rows.schema.clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let groups = state
            .config()
            .target_partitions()
            .clamp(1, segments.len().max(1));
        let mut files: Vec<Vec<PartitionedFile>> = vec![Vec::new(); groups];
        for (i, segment) in segments.iter().enumerate() {
            let file = PartitionedFile::new(segment.name(), segment.bytes())
                .with_extension(Arc::clone(segment));
            if let Some(group) = files.get_mut(i % groups) {
                group.push(file);
            }
        }
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(files.into_iter().map(FileGroup::new).collect())
                .with_projection_indices(projection.cloned())?
                .with_expr_adapter(Some(Arc::new(MissingColumns)))
                .build();
        Ok(DataSourceExec::from_data_source(config))
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
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = self.wanted(filters);
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.rows.memory.is_empty() {
            let rows: usize = self.rows.memory.iter().map(RecordBatch::num_rows).sum();
            let rows = u64::try_from(rows).unwrap_or(u64::MAX);
            self.reads.memory_rows.fetch_add(rows, Ordering::Relaxed);
            parts.push(self.memory(projection)?);
        }
        if !wanted.is_empty() {
            parts.push(self.segments(state, &wanted, projection, filters)?);
        }
        match parts.len() {
            0 => {
                let schema = match projection {
                    Some(columns) => Arc::new(self.rows.schema.project(columns)?),
                    None => self.rows.schema.clone(),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

/// Splits a large batch into copies of [`BATCH_ROWS`] rows. Slices would not do: each counts as the
/// whole against a query's memory, so that a sort of a few chunks would seem to need gigabytes.
fn portions(batch: RecordBatch, into: &mut Vec<RecordBatch>) -> Result<()> {
    if batch.num_rows() <= BATCH_ROWS || batch.num_columns() == 0 {
        into.push(batch);
        return Ok(());
    }
    let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
    let step = u32::try_from(BATCH_ROWS).unwrap_or(u32::MAX);
    let mut start = 0;
    while start < rows {
        let end = start.saturating_add(step).min(rows);
        let portion = UInt32Array::from_iter_values(start..end);
        into.push(take_record_batch(&batch, &portion)?);
        start = end;
    }
    Ok(())
}

/// The times that a query's conditions allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bounds {
    from: Option<i64>,
    to: Option<i64>,
}

impl Bounds {
    /// What the conditions, all of which must hold, say of column `time`.
    pub(crate) fn of(filters: &[Expr], time: &str) -> Self {
        let mut bounds = Self::default();
        let mut open: Vec<&Expr> = filters.iter().collect();
        while let Some(filter) = open.pop() {
            let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
                continue;
            };
            if *op == Operator::And {
                open.extend([left.as_ref(), right.as_ref()]);
                continue;
            }
            let (column, op, value) = match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), Expr::Literal(value, _)) => (column, Some(*op), value),
                (Expr::Literal(value, _), Expr::Column(column)) => (column, op.swap(), value),
                _ => continue,
            };
            if let (ScalarValue::Int64(Some(at)), Some(op)) = (value, op)
                && column.name == time
            {
                bounds.narrow(op, *at);
            }
        }
        bounds
    }

    fn narrow(&mut self, op: Operator, at: i64) {
        if matches!(op, Operator::Gt | Operator::GtEq | Operator::Eq) {
            self.from = Some(self.from.map_or(at, |from| from.max(at)));
        }
        if matches!(op, Operator::Lt | Operator::LtEq | Operator::Eq) {
            self.to = Some(self.to.map_or(at, |to| to.min(at)));
        }
    }

    fn meets(self, from: i64, to: i64) -> bool {
        self.from.is_none_or(|wanted| to >= wanted) && self.to.is_none_or(|wanted| from <= wanted)
    }
}

/// Opens segments by the handle that rides on each file.
#[derive(Debug)]
struct Readers {
    reads: Arc<Reads>,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let Some(segment) = file.extension::<Arc<dyn Segment>>() else {
            return exec_err!("a file without its segment");
        };
        self.reads
            .bytes
            .fetch_add(segment.bytes(), Ordering::Relaxed);
        self.reads.rows.fetch_add(segment.rows(), Ordering::Relaxed);
        segment.open().map_err(|source| {
            datafusion::common::DataFusionError::ParquetError(Box::new(
                datafusion::parquet::errors::ParquetError::External(source),
            ))
        })
    }
}

/// Reads a file's missing strings as empty.
#[derive(Debug)]
struct MissingColumns;

impl PhysicalExprAdapterFactory for MissingColumns {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let empty = table
            .fields()
            .iter()
            .filter(|field| !field.is_nullable() && *field.data_type() == DataType::Utf8)
            .filter(|field| file.column_with_name(field.name()).is_none())
            .map(|field| (field.name().clone(), ScalarValue::Utf8(Some(String::new()))))
            .collect();
        let inner = DefaultPhysicalExprAdapterFactory.create(table, file)?;
        Ok(Arc::new(Missing { empty, inner }))
    }
}

#[derive(Debug)]
struct Missing {
    empty: HashMap<String, ScalarValue>,
    inner: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for Missing {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let expr = if self.empty.is_empty() {
            expr
        } else {
            replace_columns_with_literals(expr, &self.empty)?
        };
        self.inner.rewrite(expr)
    }
}
