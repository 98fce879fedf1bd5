//! Groups over segments: rows go to their groups by the codes of dictionaries.
//!
//! [`FoldScans`] finds summaries whose rows come straight from tables and puts a [`FoldExec`] there.
//! The projections below the summary are computed where the row groups are decoded, on several
//! threads, for distinct values where there is a dictionary ([`crate::scan::stages`]); here each
//! distinct key of a row group is looked up once, and a row costs a few reads of tables of numbers.
//! Other projections right over a table's segments move there too.
//!
//! Promises
//! - The same groups and results as the library's operator gives. Groups come in the order in which
//!   the rows first have them, memory before segments, tables as the query names them.
//! - Memory is counted. A summary that outgrows it is given up and begun anew with the library's
//!   operator, which can put groups into temporary files.

mod gather;
mod keys;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, InputOrderMode,
    PlanProperties,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::gather::Gatherer;
use self::keys::Groups;
use crate::engine::BATCH_ROWS;
use crate::kernels::args::Guard;
use crate::scan::stages::{Coded, Input, Stage, Stages};
use crate::scan::{Reads, SegmentsExec};

/// Inputs of one summary that are read at once.
const INPUTS_AHEAD: usize = 4;
/// Batches of each that wait.
const BATCHES_AHEAD: usize = 4;

/// Puts the operators of this module where they belong.
#[derive(Debug)]
pub(crate) struct FoldScans {
    guard: Guard,
}

impl FoldScans {
    pub(crate) fn new(guard: Guard) -> Self {
        Self { guard }
    }

    fn folded(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
        if let Some(aggregate) = plan.downcast_ref::<AggregateExec>()
            && let Some(fold) = FoldExec::of(aggregate, &plan, &self.guard)?
        {
            // Nothing below it is looked at: it has its own copies.
            let jump = TreeNodeRecursion::Jump;
            return Ok(Transformed::new(Arc::new(fold), true, jump));
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>()
            && let Some(scan) = computed_in_scan(projection)
        {
            return Ok(Transformed::yes(scan));
        }
        Ok(Transformed::no(plan))
    }
}

impl PhysicalOptimizerRule for FoldScans {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.guard.check()?;
        plan.transform_down(|plan| self.folded(plan)).data()
    }

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "fold_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A projection that computes something right over segments, computed by their operator.
fn computed_in_scan(projection: &ProjectionExec) -> Option<Arc<dyn ExecutionPlan>> {
    let computes = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Column>().is_none();
    if !projection.expr().iter().any(|p| computes(&p.expr)) {
        return None;
    }
    let below = uncovered(projection.input());
    let segments = below.downcast_ref::<SegmentsExec>()?;
    let scan = segments.with_stage(&stage_of(projection), projection.schema());
    Some(Arc::new(scan))
}

fn stage_of(projection: &ProjectionExec) -> Stage {
    Stage {
        exprs: projection.expr().iter().map(|p| p.expr.clone()).collect(),
        schema: projection.input().schema(),
    }
}

/// The plan without what only yields.
fn uncovered(plan: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    match plan.downcast_ref::<CooperativeExec>() {
        Some(cover) => uncovered(cover.input()),
        None => plan,
    }
}

/// Where rows of a summary come from.
#[derive(Clone, Debug)]
struct Source {
    plan: Arc<dyn ExecutionPlan>,
    /// What is still to be computed of its columns.
    stages: Vec<Stage>,
}

/// The sources below a plan; `None` if it does more than projecting and uniting.
fn sources(plan: &Arc<dyn ExecutionPlan>, top: bool) -> Option<Vec<Source>> {
    let plan = uncovered(plan);
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let mut found = sources(projection.input(), top)?;
        for source in &mut found {
            source.stages.push(stage_of(projection));
        }
        return Some(found);
    }
    if let Some(coalesce) = plan.downcast_ref::<CoalescePartitionsExec>() {
        return match coalesce.fetch() {
            None => sources(coalesce.input(), top),
            Some(_) => None,
        };
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        let found = union.inputs().iter().map(|input| sources(input, false));
        return Some(
            found
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect(),
        );
    }
    let is_one = plan.output_partitioning().partition_count() == 1;
    let is_ours = plan.downcast_ref::<SegmentsExec>().is_some();
    (is_one && (is_ours || !top)).then(|| {
        vec![Source {
            plan: plan.clone(),
            stages: Vec::new(),
        }]
    })
}

/// The part of a summary that takes rows: itself, or what goes before it where rows come in parts.
fn taking_rows(aggregate: &AggregateExec) -> Option<&AggregateExec> {
    match aggregate.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => Some(aggregate),
        AggregateMode::Final | AggregateMode::FinalPartitioned => {
            let below = uncovered(aggregate.input());
            let below = match below.downcast_ref::<CoalescePartitionsExec>() {
                Some(coalesce) if coalesce.fetch().is_none() => uncovered(coalesce.input()),
                _ => below,
            };
            let partial = below.downcast_ref::<AggregateExec>()?;
            (*partial.mode() == AggregateMode::Partial).then_some(partial)
        }
        _ => None,
    }
}

/// A summary over segments.
#[derive(Debug)]
pub(crate) struct FoldExec {
    /// The library's operator over the same rows; what is begun anew with.
    whole: Arc<dyn ExecutionPlan>,
    sources: Vec<Source>,
    guard: Guard,
    /// What the segments' operators here read, and where that is counted if it came to an answer.
    reads: Arc<Reads>,
    counted: Vec<Arc<Reads>>,
}

impl FoldExec {
    /// `None` if the summary is not one for this operator.
    fn of(
        aggregate: &AggregateExec,
        plan: &Arc<dyn ExecutionPlan>,
        guard: &Guard,
    ) -> Result<Option<Self>> {
        let Some(taking) = taking_rows(aggregate) else {
            return Ok(None);
        };
        let (group_by, input) = (taking.group_expr(), taking.input());
        let is_plain = [aggregate, taking].iter().all(|part| {
            part.limit_options().is_none() && *part.input_order_mode() == InputOrderMode::Linear
        });
        if !is_plain
            || group_by.is_true_no_grouping()
            || group_by.has_grouping_set()
            || !taking.aggr_expr().iter().all(|a| gather::is_gathered(a))
        {
            return Ok(None);
        }
        for key in group_by.input_exprs() {
            if !keys::is_numbered(&key.data_type(&input.schema())?) {
                return Ok(None);
            }
        }
        let Some(mut sources) = sources(input, true) else {
            return Ok(None);
        };
        let reads = Arc::new(Reads::default());
        let mut counted = Vec::new();
        for source in &mut sources {
            if let Some(segments) = source.plan.downcast_ref::<SegmentsExec>() {
                counted.push(segments.reads());
                let coded = segments.coded(&std::mem::take(&mut source.stages), &reads);
                source.plan = Arc::new(coded);
            }
        }
        if counted.is_empty() {
            return Ok(None);
        }
        counted.truncate(1);
        Ok(Some(Self {
            whole: plan.clone(),
            sources,
            guard: guard.clone(),
            reads,
            counted,
        }))
    }

    fn aggregate(&self) -> Result<&AggregateExec> {
        if let Some(aggregate) = self.whole.downcast_ref().and_then(taking_rows) {
            Ok(aggregate)
        } else {
            plan_err!("a summary takes rows")
        }
    }
}

impl DisplayAs for FoldExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FoldExec: sources={}", self.sources.len())
    }
}

impl ExecutionPlan for FoldExec {
    fn name(&self) -> &'static str {
        "FoldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.whole.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        plan_err!("FoldExec has no input")
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let aggregate = self.aggregate()?;
        let memory = MemoryConsumer::new("FoldExec")
            .with_can_spill(true)
            .register(context.memory_pool());
        let fold = Fold::new(aggregate, self.whole.schema(), memory, self.guard.clone())?;
        let rows = Rows::new(&self.sources, context.clone());
        let (whole, reads) = (self.whole.clone(), self.reads.clone());
        let counted = self.counted.clone();
        let stream = async move {
            match fold.all(rows).await? {
                Some(batch) => {
                    for to in &counted {
                        to.add(&reads);
                    }
                    let batches = sliced(batch).into_iter().map(Ok);
                    Ok::<_, DataFusionError>(futures::stream::iter(batches).boxed())
                }
                None => Ok(whole.execute(partition, context)?.boxed()),
            }
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.whole.schema(),
            futures::stream::once(stream).try_flatten(),
        )))
    }
}

fn sliced(batch: RecordBatch) -> Vec<RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
    let length = |start| BATCH_ROWS.min(batch.num_rows() - start);
    starts
        .map(|start| batch.slice(start, length(start)))
        .collect()
}

/// The rows of all sources, one source after the other, some of them read ahead.
struct Rows {
    sources: VecDeque<Source>,
    running: VecDeque<Reading>,
    context: Arc<TaskContext>,
}

/// A source at work.
enum Reading {
    Here(SendableRecordBatchStream, Stages),
    There(mpsc::Receiver<RecordBatch>, JoinHandle<Result<()>>, Stages),
}

impl Rows {
    fn new(sources: &[Source], context: Arc<TaskContext>) -> Self {
        Self {
            sources: sources.to_vec().into(),
            running: VecDeque::new(),
            context,
        }
    }

    fn fill(&mut self) -> Result<()> {
        let alone = self.running.is_empty() && self.sources.len() == 1;
        while self.running.len() < INPUTS_AHEAD
            && let Some(source) = self.sources.pop_front()
        {
            let stages = Stages::new(&source.stages)?;
            let mut stream = source.plan.execute(0, self.context.clone())?;
            if alone {
                self.running.push_back(Reading::Here(stream, stages));
                continue;
            }
            let (send, batches) = mpsc::channel(BATCHES_AHEAD);
            let ends = tokio::spawn(async move {
                while let Some(batch) = stream.next().await {
                    if send.send(batch?).await.is_err() {
                        break;
                    }
                }
                Ok(())
            });
            self.running
                .push_back(Reading::There(batches, ends, stages));
        }
        Ok(())
    }

    /// The next columns, and how many rows they have.
    async fn next(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        loop {
            self.fill()?;
            let Some(first) = self.running.front_mut() else {
                return Ok(None);
            };
            let (batch, stages) = match first {
                Reading::Here(stream, stages) => (stream.next().await.transpose()?, stages),
                Reading::There(batches, _, stages) => (batches.recv().await, stages),
            };
            if let Some(batch) = batch {
                let rows = batch.num_rows();
                return Ok(Some((stages.run(batch.columns().to_vec(), rows)?, rows)));
            }
            if let Some(Reading::There(_, ends, _)) = self.running.pop_front() {
                crate::scan::joined(ends).await?;
            }
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        for reading in &self.running {
            if let Reading::There(_, ends, _) = reading {
                ends.abort();
            }
        }
    }
}

/// A summary on its way.
struct Fold {
    keys: Vec<Coded>,
    groups: Groups,
    gatherers: Vec<Gatherer>,
    schema: SchemaRef,
    memory: MemoryReservation,
    guard: Guard,
}

impl Fold {
    fn new(
        aggregate: &AggregateExec,
        schema: SchemaRef,
        memory: MemoryReservation,
        guard: Guard,
    ) -> Result<Self> {
        let input = aggregate.input().schema();
        let keys = aggregate.group_expr().input_exprs();
        let types = keys.iter().map(|key| key.data_type(&input));
        let types: Vec<DataType> = types.collect::<Result<_>>()?;
        let keys = keys.iter().map(|key| Coded::new(key, &input));
        let aggregates = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
        let gatherers = aggregates.map(|(a, filter)| Gatherer::new(a, filter.as_ref(), &input));
        Ok(Self {
            keys: keys.collect::<Result<_>>()?,
            groups: Groups::new(&types)?,
            gatherers: gatherers.collect::<Result<_>>()?,
            schema,
            memory,
            guard,
        })
    }

    /// The whole summary; `None` if it is too large for memory.
    async fn all(mut self, mut rows: Rows) -> Result<Option<RecordBatch>> {
        let mut places = Vec::new();
        while let Some((columns, count)) = rows.next().await? {
            self.guard.check()?;
            self.add(&columns, count, &mut places)?;
            if self.memory.try_resize(self.size()).is_err() {
                return Ok(None);
            }
        }
        let count = self.groups.len();
        if count == 0 {
            return Ok(Some(RecordBatch::new_empty(self.schema)));
        }
        let mut columns = self.groups.take()?;
        for gatherer in &mut self.gatherers {
            columns.push(gatherer.take()?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let schema = self.schema.clone();
        Ok(Some(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?))
    }

    fn add(&mut self, columns: &[ArrayRef], rows: usize, places: &mut Vec<usize>) -> Result<()> {
        let mut input = Input::new(columns, rows);
        let keys = self.keys.iter_mut().map(|key| key.run(&mut input));
        let keys: Vec<ArrayRef> = keys.collect::<Result<_>>()?;
        let groups = self.groups.of(&keys)?.to_vec();
        let total = self.groups.len();
        places.clear();
        let place = |group: &u32| usize::try_from(*group).unwrap_or(usize::MAX);
        places.extend(groups.iter().map(place));
        for gatherer in &mut self.gatherers {
            gatherer.add(&mut input, &groups, places, total)?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let gathered: usize = self.gatherers.iter().map(Gatherer::size).sum();
        self.groups.size() + gathered
    }
}
