//! Groups over segments: rows go to their groups by the codes of dictionaries.
//!
//! A [`FoldExec`] stands where rows of a summary come straight from tables, or from joins of tables.
//! The projections below the summary are computed where the row groups are decoded, on several
//! threads, for distinct values where there is a dictionary ([`crate::scan::stages`]); here each
//! distinct key of a row group is looked up once, and a row costs a few reads of tables of numbers.
//!
//! Promises
//! - The same groups and results as the library's operator gives. Groups come in the order in which
//!   the rows first have them, memory before segments, tables as the query names them.
//! - Memory is counted. A summary that outgrows it is given up and made anew in several rounds
//!   ([`super::rounds`]), group after group as the rounds have them; where that cannot be, with the
//!   library's operator, which can put groups into temporary files.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::FilterBuilder;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, plan_err, resources_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties,
};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use super::ByCodes;
use super::gather::{self, Gatherer};
use super::groups::Groups;
use super::numbers::is_numbered;
use super::rounds::{PARTS_MAX, Part, Sieve, repeats};
use super::source::{Rows, Source, sources, uncovered};
use crate::copies::in_portions;
use crate::kernels::args::Guard;
use crate::scan::Reads;
use crate::scan::stages::{Coded, Input};

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
#[derive(Clone, Debug)]
pub(crate) struct FoldExec {
    /// The library's operator over the same rows; what is begun anew with.
    whole: Arc<dyn ExecutionPlan>,
    sources: Vec<Source>,
    rule: ByCodes,
    /// What the segments' operators here read, and where that is counted if it came to an answer.
    reads: Arc<Reads>,
    counted: Arc<Reads>,
}

impl FoldExec {
    /// `None` if the summary is not one for this operator.
    pub(super) fn of(
        aggregate: &AggregateExec,
        plan: &Arc<dyn ExecutionPlan>,
        rule: &ByCodes,
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
            if !is_numbered(&key.data_type(&input.schema())?) {
                return Ok(None);
            }
        }
        let Some(sources) = sources(input, rule)? else {
            return Ok(None);
        };
        // All tables of a query count what is read in one place.
        let Some(counted) = sources.iter().find_map(Source::reads) else {
            return Ok(None);
        };
        let reads = Arc::new(Reads::default());
        let ready = sources.into_iter().map(|s| s.ready(&reads, rule));
        Ok(Some(Self {
            whole: plan.clone(),
            sources: ready.collect::<Result<_>>()?,
            rule: rule.clone(),
            reads,
            counted,
        }))
    }

    /// Whether its rows are the same when they are read again.
    fn repeats(&self) -> Result<bool> {
        let aggregate = self.aggregate()?;
        let mut exprs = aggregate.group_expr().input_exprs();
        for (of, filter) in aggregate.aggr_expr().iter().zip(aggregate.filter_expr()) {
            exprs.extend(of.expressions());
            exprs.extend(filter.clone());
        }
        Ok(!exprs.iter().any(is_volatile) && repeats(aggregate.input())?)
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
        let rounds = Rounds {
            exec: self.clone(),
            partition,
            context,
            left: vec![Part::ALL],
        };
        let stream = futures::stream::try_unfold(rounds, |mut rounds| async move {
            let groups = rounds.next().await?;
            Ok::<_, DataFusionError>(groups.map(|groups| (groups, rounds)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.whole.schema(),
            stream.try_flatten(),
        )))
    }
}

/// Groups of one round, in batches.
type Made = BoxStream<'static, Result<RecordBatch>>;

/// A summary, round by round.
struct Rounds {
    exec: FoldExec,
    partition: usize,
    context: Arc<TaskContext>,
    /// What is still to be made, the next part last.
    left: Vec<Part>,
}

impl Rounds {
    async fn next(&mut self) -> Result<Option<Made>> {
        while let Some(part) = self.left.pop() {
            let exec = &self.exec;
            // What is read again is not told again.
            exec.reads.forget();
            let fold = Fold::new(exec, part, &self.context)?;
            let rows = Rows::new(exec.sources.clone(), self.context.clone());
            if let Some((batch, memory)) = fold.all(rows).await? {
                if self.left.is_empty() {
                    exec.counted.add(&exec.reads);
                }
                let rows_max = self.context.session_config().batch_size();
                let batches = in_portions(batch, rows_max).inspect(move |_| {
                    let _held = &memory;
                });
                return Ok(Some(futures::stream::iter(batches).boxed()));
            }
            if part.is_all() && !exec.repeats()? {
                let below = exec.rule.below(&exec.whole)?;
                let all = below.execute(self.partition, self.context.clone())?;
                return Ok(Some(all.boxed()));
            }
            let Some(parts) = part.split() else {
                return resources_err!("a summary does not fit into memory in {PARTS_MAX} parts");
            };
            self.left.extend(parts);
        }
        Ok(None)
    }
}

/// Bytes of text in one column of a batch: its offsets have 31 bits.
const TEXT_BYTES_MAX: usize = i32::MAX as usize;

/// A summary on its way, or a part of one.
struct Fold {
    sieve: Sieve,
    keys: Vec<Coded>,
    groups: Groups,
    gatherers: Vec<Gatherer>,
    schema: SchemaRef,
    memory: MemoryReservation,
    guard: Guard,
}

impl Fold {
    fn new(exec: &FoldExec, part: Part, context: &TaskContext) -> Result<Self> {
        let memory = MemoryConsumer::new("FoldExec")
            .with_can_spill(true)
            .register(context.memory_pool());
        let aggregate = exec.aggregate()?;
        let input = aggregate.input().schema();
        let keys = aggregate.group_expr().input_exprs();
        let types = keys.iter().map(|key| key.data_type(&input));
        let types: Vec<DataType> = types.collect::<Result<_>>()?;
        let keys = keys.iter().map(|key| Coded::new(key, &input));
        let aggregates = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
        let gatherers = aggregates.map(|(a, filter)| Gatherer::new(a, filter.as_ref(), &input));
        Ok(Self {
            sieve: Sieve::new(part, types.len()),
            keys: keys.collect::<Result<_>>()?,
            groups: Groups::new(&types)?,
            gatherers: gatherers.collect::<Result<_>>()?,
            schema: exec.whole.schema(),
            memory,
            guard: exec.rule.guard.clone(),
        })
    }

    /// All of it, and what counts its memory; `None` if it is too large for memory.
    async fn all(mut self, mut rows: Rows) -> Result<Option<(RecordBatch, MemoryReservation)>> {
        let mut places = Vec::new();
        while let Some((columns, count)) = rows.next().await? {
            self.guard.check()?;
            self.add(&columns, count, &mut places)?;
            if self.memory.try_resize(self.size()).is_err() {
                return Ok(None);
            }
        }
        let mut results = 0_usize;
        for gatherer in &mut self.gatherers {
            let bytes = gatherer.bytes_of_results()?;
            if bytes > TEXT_BYTES_MAX {
                return Ok(None);
            }
            results = results.saturating_add(bytes);
        }
        if self.memory.try_resize(self.size() + results).is_err() {
            return Ok(None);
        }
        let count = self.groups.len();
        if count == 0 {
            let none = RecordBatch::new_empty(self.schema);
            return Ok(Some((none, self.memory)));
        }
        let mut columns = self.groups.take()?;
        for gatherer in &mut self.gatherers {
            columns.push(gatherer.take()?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let schema = self.schema.clone();
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(Some((batch, self.memory)))
    }

    fn add(&mut self, columns: &[ArrayRef], rows: usize, places: &mut Vec<usize>) -> Result<()> {
        let mut input = Input::new(columns, rows);
        let keys = self.keys.iter_mut().map(|key| key.run(&mut input));
        let keys: Vec<ArrayRef> = keys.collect::<Result<_>>()?;
        let Some(mine) = self.sieve.of(&keys, rows)? else {
            return self.gather(&keys, &mut input, places);
        };
        let mine = FilterBuilder::new(&mine).optimize().build();
        let sifted = |all: &[ArrayRef]| {
            let all = all.iter().map(|column| mine.filter(column));
            all.collect::<std::result::Result<Vec<_>, _>>()
        };
        let (keys, columns) = (sifted(&keys)?, sifted(columns)?);
        self.gather(&keys, &mut Input::new(&columns, mine.count()), places)
    }

    /// Adds rows of which these are the keys.
    fn gather(
        &mut self,
        keys: &[ArrayRef],
        input: &mut Input<'_>,
        places: &mut Vec<usize>,
    ) -> Result<()> {
        let groups = self.groups.of(keys)?.to_vec();
        let total = self.groups.len();
        places.clear();
        let place = |group: &u32| usize::try_from(*group).unwrap_or(usize::MAX);
        places.extend(groups.iter().map(place));
        for gatherer in &mut self.gatherers {
            gatherer.add(input, &groups, places, total)?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let gathered: usize = self.gatherers.iter().map(Gatherer::size).sum();
        self.groups.size() + gathered
    }
}
