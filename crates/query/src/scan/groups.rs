//! Row groups of segments: which of them a query needs, and their rows.
//!
//! [`open`] prunes by statistics: a condition on the table's time that no row of a group can meet
//! leaves the group out, one that every row meets is not asked; other conditions prune groups and
//! pages where their statistics allow. [`Group::read`] decodes the columns of the conditions first,
//! condition by condition, and of the other columns only the rows that are left.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::physical_plan::parquet::{
    PagePruningAccessPlanFilter, ParquetAccessPlan, ParquetFileMetrics, RowGroupAccess,
    RowGroupAccessPlanFilter,
};
use datafusion::logical_expr::ColumnarValue;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions,
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter, RowSelection,
};
use datafusion::parquet::basic::Encoding;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_expr::{PhysicalExpr, expressions};
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use tokio::runtime::Handle;

use super::bounds::{Meets, TimeBound};
use super::pages::Pages;
use super::stages::{Stage, Stages, batch};
use super::test::{self, Test};
use super::tops::Top;
use super::{Reads, Segment};
use crate::engine::BATCH_ROWS;
use crate::kernels::args::{Guard, cancelled};

/// One condition, of which all must hold.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// Over the table's schema.
    pub(super) expr: Arc<dyn PhysicalExpr>,
    /// What it says if it only bounds the table's time.
    pub(super) time: Option<TimeBound>,
}

/// What a scan wants of its segments.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Of the table.
    pub(super) schema: SchemaRef,
    /// Columns of the table, in the order of the output.
    pub(super) projection: Vec<usize>,
    /// Schema of the output.
    pub(super) output: SchemaRef,
    pub(super) conditions: Vec<Condition>,
    /// Name of the table's time.
    pub(super) time: Option<String>,
    /// Rows of a batch.
    pub(super) batch_rows: usize,
    pub(super) reads: Arc<Reads>,
    pub(super) guard: Guard,
}

/// One run of a scan.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) wanted: Arc<Wanted>,
    /// Conditions that become known while the query runs, over the output's schema.
    pub(super) dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// What is computed of the output's columns.
    pub(super) stages: Vec<Stage>,
    /// The schema of the batches; `None`: each has its own, and text may be a dictionary.
    pub(super) output: Option<SchemaRef>,
    /// What a top above wants of the rows.
    pub(super) top: Option<Top>,
    /// Set when nobody waits for rows any more.
    pub(super) stop: AtomicBool,
    pub(super) runtime: Handle,
}

impl Job {
    pub(super) fn check(&self) -> Result<()> {
        self.wanted.guard.check()?;
        if self.stop.load(Ordering::Relaxed) {
            return Err(cancelled());
        }
        Ok(())
    }
}

/// An open segment.
struct File {
    pages: Pages,
    metadata: Arc<ParquetMetaData>,
    /// As it lies there, without dictionaries.
    schema: SchemaRef,
}

/// A row group that may have rows for the query.
pub(super) struct Group {
    file: Arc<File>,
    at: usize,
    selection: Option<RowSelection>,
    conditions: Vec<Condition>,
}

/// Opens a segment and finds the row groups that matter.
pub(super) fn open(job: &Job, segment: &Arc<dyn Segment>) -> Result<Vec<Group>> {
    job.check()?;
    let wanted = &job.wanted;
    let relaxed = Ordering::Relaxed;
    wanted.reads.bytes.fetch_add(segment.bytes(), relaxed);
    wanted.reads.rows.fetch_add(segment.rows(), relaxed);
    let external = |source| DataFusionError::ParquetError(Box::new(ParquetError::External(source)));
    let mut reader = segment.open().map_err(external)?;
    let metadata = job.runtime.block_on(reader.get_metadata(None))?;
    let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let schema = ArrowReaderMetadata::try_new(metadata.clone(), plain)?
        .schema()
        .clone();
    let file = Arc::new(File {
        pages: Pages::new(reader, segment.bytes(), job.runtime.clone()),
        metadata,
        schema,
    });
    let mut groups = Vec::new();
    let mut left = Vec::new();
    for (at, group) in file.metadata.row_groups().iter().enumerate() {
        match file.asked_of(group, wanted) {
            None => left.push(RowGroupAccess::Skip),
            Some(conditions) => {
                left.push(RowGroupAccess::Scan);
                groups.push(Group {
                    file: file.clone(),
                    at,
                    selection: None,
                    conditions,
                });
            }
        }
    }
    let asked = groups.iter().any(|group| !group.conditions.is_empty());
    if let Some(top) = &job.top {
        top.arrange(&mut groups, wanted);
    }
    if !asked && job.dynamic.is_empty() {
        return Ok(groups);
    }
    let mut access = file.pruned(ParquetAccessPlan::new(left), job)?.into_inner();
    groups.retain_mut(|group| {
        let found = access.get_mut(group.at);
        match found.map(|found| std::mem::replace(found, RowGroupAccess::Skip)) {
            Some(RowGroupAccess::Skip) | None => false,
            Some(RowGroupAccess::Scan) => true,
            Some(RowGroupAccess::Selection(rows)) => {
                group.selection = Some(rows);
                true
            }
        }
    });
    Ok(groups)
}

/// Rows of which nothing is read.
pub(super) fn bare(job: &Job, rows: usize) -> Result<RecordBatch> {
    job.check()?;
    Group::finished(job, Vec::new(), rows, &mut Stages::new(&[])?)
}

impl File {
    /// The conditions that some row of a group may miss; `None` if no row can meet one.
    fn asked_of(&self, group: &RowGroupMetaData, wanted: &Wanted) -> Option<Vec<Condition>> {
        let range = wanted.time.as_ref().and_then(|time| {
            let at = self.schema.index_of(time).ok()?;
            range_of(group.columns().get(at)?)
        });
        let mut asked = Vec::with_capacity(wanted.conditions.len());
        for condition in &wanted.conditions {
            match (condition.time, range) {
                (Some(bound), Some((from, to))) => match bound.meets(from, to) {
                    Meets::None => return None,
                    Meets::All => {}
                    Meets::Some => asked.push(condition.clone()),
                },
                _ => asked.push(condition.clone()),
            }
        }
        Some(asked)
    }

    /// Whether the file has the column as the table has it.
    fn has(&self, field: &Field) -> bool {
        self.schema
            .column_with_name(field.name())
            .is_some_and(|(_, own)| own.data_type() == field.data_type())
    }

    /// Leaves out groups and pages by their statistics.
    fn pruned(&self, access: ParquetAccessPlan, job: &Job) -> Result<ParquetAccessPlan> {
        let wanted = &job.wanted;
        let dynamic = job.known()?;
        let exprs = wanted.conditions.iter().map(|c| &c.expr).chain(&dynamic);
        let usable = exprs.filter(|expr| {
            let mut columns = test::columns_of(expr).into_iter();
            columns.all(|at| wanted.schema.fields().get(at).is_some_and(|f| self.has(f)))
        });
        let all = conjunction(usable.cloned());
        let metrics = ParquetFileMetrics::new(0, "", &ExecutionPlanMetricsSet::new());
        let descriptor = self.metadata.file_metadata().schema_descr();
        let mut filter = RowGroupAccessPlanFilter::new(access);
        let builder = PruningPredicateBuilder::new().with_file_schema(wanted.schema.clone());
        if let Ok(predicate) = builder.try_build(all.clone())
            && !predicate.always_true()
        {
            let groups = self.metadata.row_groups();
            filter.prune_by_statistics(&self.schema, descriptor, groups, &predicate, &metrics);
        } else {
            return Ok(filter.build());
        }
        let pages = PagePruningAccessPlanFilter::new(&all, wanted.schema.clone());
        Ok(pages.prune_plan_with_page_index(
            filter.build(),
            &self.schema,
            descriptor,
            &self.metadata,
            &metrics,
        ))
    }
}

impl Job {
    /// What the conditions that become known say now, over the table's schema.
    pub(super) fn known(&self) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let mut known = Vec::with_capacity(self.dynamic.len());
        for expr in &self.dynamic {
            let now = snapshot_physical_expr(expr.clone())?;
            let says_nothing = now
                .downcast_ref::<expressions::Literal>()
                .is_some_and(|literal| {
                    matches!(
                        literal.value(),
                        datafusion::common::ScalarValue::Boolean(Some(true))
                    )
                });
            if !says_nothing {
                let place = |at| self.wanted.projection.get(at).copied();
                known.push(test::moved(now, place)?);
            }
        }
        Ok(known)
    }
}

/// Least and greatest of a column without nulls.
fn range_of(column: &ColumnChunkMetaData) -> Option<(i64, i64)> {
    match column.statistics()? {
        Statistics::Int64(values) if values.null_count_opt() == Some(0) => {
            Some((*values.min_opt()?, *values.max_opt()?))
        }
        _ => None,
    }
}

/// Whether all values of the column chunk are in its dictionary.
fn is_dictionary(column: &ColumnChunkMetaData) -> bool {
    column.dictionary_page_offset().is_some()
        && column.page_encoding_stats_mask().is_some_and(|pages| {
            pages.is_only(Encoding::RLE_DICTIONARY) || pages.is_only(Encoding::PLAIN_DICTIONARY)
        })
}

/// The first failure inside Parquet's reader, which would make text of it.
pub(super) type Failure = Arc<Mutex<Option<DataFusionError>>>;

/// What failed first: inside the reader, or what it says itself.
pub(super) fn first(failure: &Failure, error: DataFusionError) -> DataFusionError {
    let mut slot = failure.lock().unwrap_or_else(PoisonError::into_inner);
    slot.take().unwrap_or(error)
}

/// What is asked of a group.
pub(super) struct Reading<'a> {
    /// Columns by name; those that the file lacks are not read.
    pub(super) columns: Vec<&'a str>,
    /// Which rows; `None`: all.
    pub(super) rows: Option<RowSelection>,
    /// Tested in this order.
    pub(super) predicates: Vec<Box<dyn ArrowPredicate>>,
    /// A column of rows' numbers in the file that is to come along.
    pub(super) numbers: Option<FieldRef>,
}

impl Group {
    /// Rows of the group, before any condition.
    pub(super) fn rows(&self) -> usize {
        let rows = self.metadata().num_rows();
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    fn metadata(&self) -> &RowGroupMetaData {
        self.file.metadata.row_group(self.at)
    }

    /// The number in the file of its first row; `None` if rows cannot be numbered.
    pub(super) fn first_row(&self) -> Option<i64> {
        let groups = self.file.metadata.row_groups();
        groups.iter().try_for_each(|g| g.ordinal().map(|_| ()))?;
        let before = groups.iter().take(self.at);
        Some(before.map(RowGroupMetaData::num_rows).sum())
    }

    /// Least and greatest value of a column of numbers without nulls.
    pub(super) fn range(&self, name: &str) -> Option<(i64, i64)> {
        let at = self.file.schema.index_of(name).ok()?;
        range_of(self.metadata().columns().get(at)?)
    }

    /// Bytes of a row of the output, about.
    pub(super) fn row_bytes(&self, wanted: &Wanted) -> usize {
        let names = wanted.output.fields().iter();
        let columns = names.filter_map(|field| {
            let at = self.file.schema.index_of(field.name()).ok()?;
            self.metadata().columns().get(at)
        });
        let bytes: i64 = columns
            .map(|column| {
                let text = column.unencoded_byte_array_data_bytes();
                text.unwrap_or_else(|| column.uncompressed_size()) + 4 * column.num_values()
            })
            .sum();
        usize::try_from(bytes).unwrap_or(usize::MAX) / self.rows().max(1) + 1
    }

    /// Gives the rows that meet all conditions to `out`, in order, until it wants no more. Of rows
    /// that a top cannot want it may give none.
    pub(super) fn read(
        &self,
        job: &Arc<Job>,
        mut out: impl FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        job.check()?;
        let rows = match self.still_wanted(job)? {
            RowGroupAccess::Skip => return Ok(()),
            RowGroupAccess::Scan => None,
            RowGroupAccess::Selection(rows) => Some(rows),
        };
        let failure = Failure::default();
        let Some(predicates) = self.predicates(job, &failure)? else {
            return Ok(());
        };
        let mut stages = Stages::new(&job.stages)?;
        if predicates.is_empty() && rows.is_none() && job.wanted.projection.is_empty() {
            return self.count(job, &mut stages, out);
        }
        let fields = job.wanted.output.fields();
        let mut reading = Reading {
            columns: fields.iter().map(|f| f.name().as_str()).collect(),
            rows,
            predicates,
            numbers: None,
        };
        if let Some(top) = job.top.as_ref().filter(|top| top.is_of_few(self.rows())) {
            reading = self.best_of(job, top, reading, &failure)?;
        }
        for batch in self.reader(job, reading).map_err(|e| first(&failure, e))? {
            job.check()?;
            let batch = batch.map_err(|e| first(&failure, e.into()))?;
            let batch = Self::output(job, &batch, &mut stages)?;
            if batch.num_rows() > 0 && !out(batch) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The rows that may still be wanted, since other groups were read.
    fn still_wanted(&self, job: &Job) -> Result<RowGroupAccess> {
        let own = match self.selection.clone() {
            None => RowGroupAccess::Scan,
            Some(rows) => RowGroupAccess::Selection(rows),
        };
        if job.known()?.is_empty() {
            return Ok(own);
        }
        let mut access = vec![RowGroupAccess::Skip; self.file.metadata.num_row_groups()];
        if let Some(group) = access.get_mut(self.at) {
            *group = own;
        }
        let left = self.file.pruned(ParquetAccessPlan::new(access), job)?;
        let own = left.into_inner().into_iter().nth(self.at);
        Ok(own.unwrap_or(RowGroupAccess::Skip))
    }

    /// Reads of the group what is asked for.
    pub(super) fn reader(
        &self,
        job: &Job,
        reading: Reading<'_>,
    ) -> Result<ParquetRecordBatchReader> {
        let file = &self.file;
        let numbers = reading.numbers.into_iter().collect();
        let options = ArrowReaderOptions::new()
            .with_schema(self.schema(job)?)
            .with_virtual_columns(numbers)?;
        let metadata = ArrowReaderMetadata::try_new(file.metadata.clone(), options)?;
        let mask = self.mask(reading.columns.into_iter());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.pages.clone(), metadata)
                .with_row_groups(vec![self.at])
                .with_batch_size(job.wanted.batch_rows)
                .with_projection(mask);
        if let Some(rows) = reading.rows {
            builder = builder.with_row_selection(rows);
        }
        if !reading.predicates.is_empty() {
            builder = builder.with_row_filter(RowFilter::new(reading.predicates));
        }
        Ok(builder.build()?)
    }

    /// Rows without columns: nothing is decoded for them.
    fn count(
        &self,
        job: &Job,
        stages: &mut Stages,
        mut out: impl FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let mut left = self.rows();
        while left > 0 {
            let rows = left.min(job.wanted.batch_rows);
            if !out(Self::finished(job, Vec::new(), rows, stages)?) {
                return Ok(());
            }
            left -= rows;
        }
        Ok(())
    }

    fn mask<'a>(&self, names: impl Iterator<Item = &'a str>) -> ProjectionMask {
        let places = names.filter_map(|name| self.file.schema.index_of(name).ok());
        ProjectionMask::roots(self.file.metadata.file_metadata().schema_descr(), places)
    }

    /// The file's schema with dictionaries where conditions, or what follows, can make use of them.
    fn schema(&self, job: &Job) -> Result<SchemaRef> {
        let wanted = &job.wanted;
        let mut tested = Vec::new();
        for condition in &self.conditions {
            tested.extend(test::columns_of(&condition.expr));
        }
        for expr in job.known()? {
            tested.extend(test::columns_of(&expr));
        }
        if job.output.is_none() || !job.stages.is_empty() {
            tested.extend(&wanted.projection);
        }
        let is_tested = |name: &str| {
            let mut fields = tested
                .iter()
                .filter_map(|at| wanted.schema.fields().get(*at));
            fields.any(|field| field.name() == name)
        };
        let columns = self
            .file
            .schema
            .fields()
            .iter()
            .zip(self.metadata().columns());
        let fields: Vec<FieldRef> = columns
            .map(|(field, column)| {
                let use_it = *field.data_type() == DataType::Utf8
                    && is_tested(field.name())
                    && is_dictionary(column);
                if !use_it {
                    return field.clone();
                }
                let dictionary =
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Arc::new(field.as_ref().clone().with_data_type(dictionary))
            })
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The conditions for Parquet's reader, cheap ones first; `None` if one holds for no row.
    fn predicates(
        &self,
        job: &Arc<Job>,
        failure: &Failure,
    ) -> Result<Option<Vec<Box<dyn ArrowPredicate>>>> {
        let wanted = &job.wanted;
        let conditions = self.conditions.iter().map(|c| (false, c.expr.clone()));
        let known = job.known()?.into_iter().map(|expr| (true, expr));
        // What reads the same columns is tested together: they are decoded once.
        let mut together: BTreeMap<(bool, Vec<usize>), Arc<dyn PhysicalExpr>> = BTreeMap::new();
        for (is_spare, expr) in conditions.chain(known) {
            let place = (is_spare, test::columns_of(&expr));
            let all = together.remove(&place);
            let all = conjunction(all.into_iter().chain([expr]));
            together.insert(place, all);
        }
        let mut found = Vec::with_capacity(together.len());
        for ((is_spare, columns), expr) in together {
            let fields: Vec<&FieldRef> = columns
                .iter()
                .filter_map(|at| wanted.schema.fields().get(*at))
                .collect();
            let present = |field: &&&FieldRef| self.file.schema.index_of(field.name()).is_ok();
            if fields.iter().filter(present).count() == 0 {
                if !Self::holds_without_columns(&expr, &columns, &fields)? {
                    return Ok(None);
                }
                continue;
            }
            let cost = self.cost(&fields);
            let fields: Vec<FieldRef> = fields.into_iter().cloned().collect();
            let spares = is_spare.then(Spares::default);
            found.push((cost, self.predicate(job, &expr, fields, failure, spares)?));
        }
        found.sort_by_key(|(cost, _)| *cost);
        Ok(Some(found.into_iter().map(|(_, p)| p).collect()))
    }

    /// A condition over columns that the file does not have, or over none: the same for all rows.
    fn holds_without_columns(
        expr: &Arc<dyn PhysicalExpr>,
        columns: &[usize],
        fields: &[&FieldRef],
    ) -> Result<bool> {
        let arrays = fields.iter().map(|f| rows::types::missing(f, 1)).collect();
        let schema = Schema::new(fields.iter().map(|f| (*f).clone()).collect::<Vec<_>>());
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let batch = RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options)?;
        let answer = test::over(expr.clone(), columns)?.evaluate(&batch)?;
        let answer = match answer {
            ColumnarValue::Array(array) => array,
            ColumnarValue::Scalar(scalar) => scalar.to_array()?,
        };
        let answer = answer.as_any().downcast_ref::<BooleanArray>();
        Ok(answer.is_some_and(|a| a.is_valid(0) && a.value(0)))
    }

    /// What it costs to decode and test the columns, about: text costs most.
    fn cost(&self, fields: &[&FieldRef]) -> i64 {
        let columns = fields.iter().filter_map(|field| {
            let at = self.file.schema.index_of(field.name()).ok()?;
            self.metadata().columns().get(at)
        });
        columns
            .map(|column| {
                let text = column.unencoded_byte_array_data_bytes().is_some();
                let weight = if !text {
                    1
                } else if is_dictionary(column) {
                    8
                } else {
                    32
                };
                column.uncompressed_size().saturating_mul(weight)
            })
            .sum()
    }

    fn predicate(
        &self,
        job: &Arc<Job>,
        expr: &Arc<dyn PhysicalExpr>,
        fields: Vec<FieldRef>,
        failure: &Failure,
        mut spares: Option<Spares>,
    ) -> Result<Box<dyn ArrowPredicate>> {
        let mut test = Test::new(expr, &job.wanted.schema)?;
        let mask = self.mask(fields.iter().map(|f| f.name().as_str()));
        let (job, failure) = (job.clone(), failure.clone());
        let evaluate = move |batch: RecordBatch| {
            if spares.as_ref().is_some_and(Spares::is_little) {
                return Ok(BooleanArray::from(vec![true; batch.num_rows()]));
            }
            let answer = job
                .check()
                .and_then(|()| complete(&fields, &batch))
                .and_then(|batch| test.holds(&batch));
            if let (Some(spares), Ok(answer)) = (&mut spares, &answer) {
                spares.count(answer);
            }
            answer.map_err(|error| {
                let mut slot = failure.lock().unwrap_or_else(PoisonError::into_inner);
                slot.get_or_insert(error);
                ArrowError::ComputeError("a condition failed".to_owned())
            })
        };
        Ok(Box::new(ArrowPredicateFn::new(mask, evaluate)))
    }

    /// A batch of the file as the query wants it.
    fn output(job: &Job, batch: &RecordBatch, stages: &mut Stages) -> Result<RecordBatch> {
        let fields = job.wanted.output.fields().iter();
        let columns = fields.map(|field| column(field, batch));
        Self::finished(
            job,
            columns.collect::<Result<_>>()?,
            batch.num_rows(),
            stages,
        )
    }

    fn finished(
        job: &Job,
        columns: Vec<ArrayRef>,
        rows: usize,
        stages: &mut Stages,
    ) -> Result<RecordBatch> {
        let (columns, rows) = stages.run(columns, rows)?;
        batch(job.output.as_ref(), columns, rows)
    }
}

/// What a condition spares that is tested above the scan all the same.
#[derive(Debug, Default)]
struct Spares {
    seen: usize,
    kept: usize,
}

impl Spares {
    fn count(&mut self, answers: &BooleanArray) {
        self.seen += answers.len();
        self.kept += answers.true_count();
    }

    /// Whether asking on costs more than it spares: most rows seen met the condition.
    fn is_little(&self) -> bool {
        self.seen >= BATCH_ROWS && self.kept > self.seen / 4 * 3
    }
}

/// The columns of a condition, also those that the file does not have.
fn complete(fields: &[FieldRef], batch: &RecordBatch) -> Result<RecordBatch> {
    if batch.num_columns() == fields.len()
        && fields.iter().all(|field| {
            let own = batch.column_by_name(field.name());
            own.is_some_and(|own| is_like(own.data_type(), field.data_type()))
        })
    {
        return Ok(batch.clone());
    }
    let mut columns = Vec::with_capacity(fields.len());
    let mut own = Vec::with_capacity(fields.len());
    for field in fields {
        let column = column(field, batch)?;
        own.push(
            field
                .as_ref()
                .clone()
                .with_data_type(column.data_type().clone()),
        );
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Arc::new(Schema::new(own));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}

fn is_like(own: &DataType, wanted: &DataType) -> bool {
    match own {
        DataType::Dictionary(_, values) => values.as_ref() == wanted,
        own => own == wanted,
    }
}

/// One of the table's columns out of a batch of the file: what is missing is empty or null.
pub(super) fn column(field: &FieldRef, batch: &RecordBatch) -> Result<ArrayRef> {
    Ok(match batch.column_by_name(field.name()) {
        None => rows::types::missing(field, batch.num_rows()),
        Some(own) if is_like(own.data_type(), field.data_type()) => own.clone(),
        Some(own) => cast(own, field.data_type())?,
    })
}
