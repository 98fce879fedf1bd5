//! Joins over segments: keys and columns go by the codes of dictionaries.
//!
//! The first side is kept ([`super::kept`]), the second one passes by ([`super::meet`]): its rows are
//! looked up where they are decoded. What the first side's keys are is asked of the tables below the
//! second, through other joins, too: while they are decoded where the keys are few, so that whole
//! pages of other columns need not be, and afterwards where they are many. A side of which only the first row of each key counts
//! (`innerunique`) is thinned out here.
//!
//! Promises
//! - The same rows as the library's operator gives, those of the second side in their order.
//! - Memory is counted: a first side that outgrows it ends the query with the limit's error.
//! - A cancelled query ends within a batch, also while one key's rows meet millions of others.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{
    DataFusionError, JoinType, NullEquality, Result, ScalarValue, exec_datafusion_err, plan_err,
};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterPhysicalExpr, lit};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt as _;

use super::ByCodes;
use super::among::Among;
use super::kept::{Keeping, Kept};
use super::keys::{KEYS_MAX, Lookup, Sieve, Values};
use super::meet::{Gives, Meeting, Output};
use super::numbers::is_numbered;
use super::source::{Rows, Source, any_sources, uncovered};
use crate::kernels::args::Guard;
use crate::nodes::OneInput;
use crate::scan::stages::{Coded, Input, Step};
use crate::scan::{Asking, Reads};

/// Joins in one another that hand on text as dictionaries; one deeper makes it plain, and counts anew.
const DEPTH_MAX: usize = 16;

/// A join over segments.
#[derive(Clone, Debug)]
pub(crate) struct JoinExec {
    /// The sides: the one that is kept, and the one that passes by it.
    sides: [Side; 2],
    kind: JoinType,
    gives: Gives,
    /// Columns of the first side that go on.
    kept: Vec<usize>,
    /// Rows, at most.
    most: Option<usize>,
    /// What the scan of the second side asks.
    learns: Option<Arc<DynamicFilterPhysicalExpr>>,
    properties: Arc<PlanProperties>,
    guard: Guard,
}

/// A side of a join.
#[derive(Clone, Debug)]
struct Side {
    sources: Vec<Source>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
    /// Of each key the first row only.
    unique: bool,
}

impl Side {
    /// `None` if its rows do not come one after the other, or its keys are of other types.
    fn of(
        plan: &Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        rule: &ByCodes,
        depth: usize,
    ) -> Result<Option<Self>> {
        let schema = plan.schema();
        for key in &keys {
            if !is_numbered(&key.data_type(&schema)?) {
                return Ok(None);
            }
        }
        let plan = uncovered(plan);
        let thinned = plan.downcast_ref::<OneInput>().and_then(OneInput::unique);
        let thinned = thinned.filter(|(_, by)| *by == keys.as_slice());
        let below = thinned.map_or(plan, |(input, _)| input);
        let sources = any_sources(below, rule, depth + 1)?;
        Ok(sources.map(|sources| Self {
            sources,
            keys,
            schema,
            unique: thinned.is_some(),
        }))
    }

    fn types(&self) -> Result<Vec<DataType>> {
        let keys = self.keys.iter().map(|key| key.data_type(&self.schema));
        keys.collect()
    }

    fn ready(&mut self, reads: &Arc<Reads>, rule: &ByCodes) -> Result<()> {
        let sources = std::mem::take(&mut self.sources).into_iter();
        let sources = sources.map(|source| source.ready(reads, rule));
        self.sources = sources.collect::<Result<_>>()?;
        Ok(())
    }

    fn reads(&self) -> Option<Arc<Reads>> {
        self.sources.iter().find_map(Source::reads)
    }

    /// Leaves out rows that are asked not to come; see [`Source::asked`].
    fn asked(&mut self, column: usize, asking: &Asking<'_>) {
        for source in &mut self.sources {
            source.asked(column, asking);
        }
    }

    /// Which key a column is: that itself, or one that comes of the same column below.
    fn key_of(&self, column: usize) -> Option<usize> {
        let is = |key: &Arc<dyn PhysicalExpr>| {
            column_of(key).is_some_and(|key| self.are_same(key, column))
        };
        self.keys.iter().position(is)
    }

    /// Whether two columns are copies of one.
    fn are_same(&self, a: usize, b: usize) -> bool {
        self.sources.iter().all(|source| source.are_same(a, b))
    }

    fn coded(&self) -> Result<Vec<Coded>> {
        let keys = self.keys.iter().map(|key| Coded::new(key, &self.schema));
        keys.collect()
    }
}

impl JoinExec {
    /// `None` if the join is not one for this operator. It is to be made [`Self::plain`] or
    /// [`Self::coded`].
    pub(super) fn of(join: &HashJoinExec, rule: &ByCodes, depth: usize) -> Result<Option<Self>> {
        let is_known = !matches!(join.join_type(), JoinType::LeftMark | JoinType::RightMark);
        if !is_known
            || depth >= DEPTH_MAX
            || join.filter().is_some()
            || join.null_aware
            || join.null_equality() != NullEquality::NullEqualsNull
            || join.on().is_empty()
            || join.on().len() >= KEYS_MAX
            || (!is_one(join) && join.properties().output_ordering().is_some())
        {
            return Ok(None);
        }
        let (left, right) = join.on().iter().cloned().unzip();
        let Some(first) = Side::of(join.left(), left, rule, depth)? else {
            return Ok(None);
        };
        let Some(second) = Side::of(join.right(), right, rule, depth)? else {
            return Ok(None);
        };
        if first.types()? != second.types()? || first.reads().or(second.reads()).is_none() {
            return Ok(None);
        }
        let (kept, columns) = outputs(join, &first.schema, &second.schema)?;
        Ok(Some(Self {
            sides: [first, second],
            kind: *join.join_type(),
            gives: Gives {
                columns,
                schema: Some(join.schema()),
            },
            kept,
            most: join.fetch(),
            learns: learns(join),
            properties: properties(join),
            guard: rule.guard.clone(),
        }))
    }

    /// The operator for plans that know nothing of dictionaries.
    pub(super) fn plain(mut self, rule: &ByCodes) -> Result<Self> {
        if let Some(reads) = self.reads() {
            for side in &mut self.sides {
                side.ready(&reads, rule)?;
            }
        }
        Ok(self)
    }

    /// The operator with text as dictionaries, in batches with schemas of their own; what is read
    /// counts in `reads`.
    pub(super) fn coded(mut self, reads: &Arc<Reads>, rule: &ByCodes) -> Result<Self> {
        for side in &mut self.sides {
            side.ready(reads, rule)?;
        }
        self.gives.schema = None;
        Ok(self)
    }

    /// Where what it reads of segments is counted.
    pub(super) fn reads(&self) -> Option<Arc<Reads>> {
        self.sides.iter().find_map(Side::reads)
    }

    /// Leaves out rows that are asked not to come, by a column of the output; see [`Source::asked`].
    /// What is left out of a side must not make other rows: so only where each row of the output has
    /// one of that side, all of them are given, and not before the first row of each key is chosen,
    /// unless it is the key that is asked.
    pub(super) fn asked(&mut self, column: usize, asking: &Asking<'_>) {
        let [first, second] = &mut self.sides;
        let (is_first, at) = match self.gives.columns.get(column) {
            Some(Output::Kept(place, _)) => match self.kept.get(*place) {
                Some(at) => (true, *at),
                None => return,
            },
            Some(Output::Passing(at, _)) => (false, *at),
            None => return,
        };
        let (side, other) = if is_first {
            (first, second)
        } else {
            (second, first)
        };
        let has_row = match self.kind {
            JoinType::Inner => true,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => is_first,
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => !is_first,
            _ => false,
        };
        let key = side.key_of(at);
        if !has_row || self.most.is_some() || (side.unique && key.is_none()) {
            return;
        }
        side.asked(at, asking);
        // Rows that meet have equal keys.
        if self.kind == JoinType::Inner
            && let Some(at) = key.and_then(|key| column_of(other.keys.get(key)?))
        {
            other.asked(at, asking);
        }
    }

    /// Whether two columns of the output are copies of one.
    pub(super) fn are_same(&self, a: usize, b: usize) -> bool {
        let [first, second] = &self.sides;
        let kept = |place: usize| self.kept.get(place).copied();
        match (self.gives.columns.get(a), self.gives.columns.get(b)) {
            (Some(Output::Kept(a, _)), Some(Output::Kept(b, _))) => {
                let pair = kept(*a).zip(kept(*b));
                pair.is_some_and(|(a, b)| first.are_same(a, b))
            }
            (Some(Output::Passing(a, _)), Some(Output::Passing(b, _))) => second.are_same(*a, *b),
            _ => false,
        }
    }

    /// The whole first side.
    async fn keep(&self, context: Arc<TaskContext>, memory: &MemoryReservation) -> Result<Kept> {
        let [side, _] = &self.sides;
        let column = |at: &usize| side.schema.field(*at).data_type().clone();
        let columns: Vec<DataType> = self.kept.iter().map(column).collect();
        let mut keys = side.coded()?;
        let mut keeping = Keeping::new(&side.types()?, &columns, side.unique);
        keeping.expect(side.sources.iter().map(Source::guess).sum());
        let mut rows = Rows::new(side.sources.clone(), context);
        while let Some((columns, count)) = rows.next().await? {
            self.guard.check()?;
            let of_rows = evaluated(&mut keys, &columns, count)?;
            let kept = self.kept.iter().map(|at| {
                let column = columns.get(*at).cloned();
                column.ok_or_else(|| exec_datafusion_err!("a side without a column of it"))
            });
            keeping.add(&of_rows, &kept.collect::<Result<Vec<_>>>()?)?;
            memory.try_resize(keeping.size())?;
        }
        keeping.whole(&self.guard)
    }

    /// Tells the scans of the second side what the keys of the first one are.
    fn tell(&mut self, kept: &Kept) -> Result<()> {
        let [_, side] = &mut self.sides;
        let told = Told::new(kept, side.keys.len());
        if side.sources.iter().all(Source::is_table) {
            let columns: Vec<_> = side.keys.iter().map(column_of).collect();
            for source in &mut side.sources {
                // A table's rows are looked up where they are decoded.
                let sieves = !source.is_segments();
                for (at, column) in columns.iter().enumerate() {
                    if let Some(column) = column {
                        told.ask(at, *column, source, sieves);
                    }
                }
            }
            return Ok(());
        }
        let Some(learns) = &self.learns else {
            return Ok(());
        };
        let mut all = Vec::new();
        for (at, key) in side.keys.iter().enumerate() {
            all.extend(told.of(at, key, &key.data_type(&side.schema)?));
        }
        learns.update(conjunction(all))?;
        learns.mark_complete();
        Ok(())
    }

    async fn begin(mut self, context: Arc<TaskContext>) -> Result<Running> {
        let memory = MemoryConsumer::new("JoinExec").register(context.memory_pool());
        let kept = self.keep(context.clone(), &memory).await?;
        let rows_max = context.session_config().batch_size();
        // Whether rows of the second side that meet nothing give nothing.
        let drops = !matches!(
            self.kind,
            JoinType::Right | JoinType::Full | JoinType::RightAnti
        );
        if drops {
            self.tell(&kept)?;
        }
        let [_, side] = self.sides;
        let lookup = Arc::new(Lookup {
            keys: kept.keys.clone(),
            of: side.keys,
            schema: side.schema,
            drops,
        });
        let sources = side.sources.into_iter();
        let sources = sources.map(|source| source.then(lookup.clone()));
        Ok(Running {
            rows: Some(Rows::new(sources, context)),
            meeting: Meeting::new(
                kept,
                self.kind,
                side.unique,
                self.gives,
                rows_max,
                self.guard,
            ),
            left: self.most,
            _memory: memory,
        })
    }
}

/// What the columns of the second side's keys have to be to meet the first side, as far as that can
/// be asked of each alone. Of several texts only one is asked for, that with the most values: each
/// is decoded once more for being asked, and the others seldom rule out more.
struct Told<'a> {
    kept: &'a Kept,
    text: Option<usize>,
}

impl<'a> Told<'a> {
    fn new(kept: &'a Kept, keys: usize) -> Self {
        let texts = (0..keys).filter_map(|at| match kept.keys.values(at) {
            Values::Texts(values) => Some((values, at)),
            _ => None,
        });
        let text = texts.max().map(|(_, at)| at);
        Self { kept, text }
    }

    /// Asks it of a source; `sieves` if rows are not looked up there anyway.
    fn ask(&self, at: usize, column: usize, source: &mut Source, sieves: bool) {
        let keys = &self.kept.keys;
        let values = match keys.values(at) {
            Values::Texts(texts) => u64::try_from(texts).unwrap_or(u64::MAX),
            // The bounds of numbers may leave out whole row groups.
            Values::Whole(..) | Values::Any => 0,
        };
        let asking = Asking {
            values,
            test: &|column, data_type| self.of(at, column, data_type),
            step: &|column, data_type| {
                let wanted = sieves && self.text == Some(at) && *data_type == DataType::Utf8;
                let keys = keys.clone();
                wanted.then(|| Arc::new(Sieve { keys, at, column }) as Arc<dyn Step>)
            },
        };
        source.asked(column, &asking);
    }

    fn of(
        &self,
        at: usize,
        column: &Arc<dyn PhysicalExpr>,
        data_type: &DataType,
    ) -> Vec<Arc<dyn PhysicalExpr>> {
        let keys = &self.kept.keys;
        match (keys.values(at), data_type) {
            (Values::Texts(_), DataType::Utf8) if self.text == Some(at) => {
                vec![Arc::new(Among::new(column.clone(), keys.clone(), at))]
            }
            (Values::Whole(least, greatest), DataType::Int64) => {
                let bound = |op, value: i64| -> Arc<dyn PhysicalExpr> {
                    let value = lit(ScalarValue::Int64(Some(value)));
                    Arc::new(BinaryExpr::new(column.clone(), op, value))
                };
                vec![
                    bound(Operator::GtEq, least),
                    bound(Operator::LtEq, greatest),
                ]
            }
            _ => Vec::new(),
        }
    }
}

/// The column that a key is.
fn column_of(key: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    Some(key.downcast_ref::<Column>()?.index())
}

/// Whether the library's operator gives its rows in one part.
fn is_one(join: &HashJoinExec) -> bool {
    join.properties().partitioning.partition_count() == 1
}

/// Those of the library's operator, but that all rows come in one part.
fn properties(join: &HashJoinExec) -> Arc<PlanProperties> {
    if is_one(join) {
        return join.properties().clone();
    }
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(join.schema()),
        Partitioning::UnknownPartitioning(1),
        join.properties().emission_type,
        join.properties().boundedness,
    ))
}

/// The condition of the second side's scan that the library would have the join fill in.
fn learns(join: &HashJoinExec) -> Option<Arc<DynamicFilterPhysicalExpr>> {
    let condition: Arc<dyn Any + Send + Sync> = join.dynamic_expressions_produced().pop()?;
    condition.downcast().ok()
}

/// The columns that a join gives, and those of its first side that are kept for that.
fn outputs(
    join: &HashJoinExec,
    first: &SchemaRef,
    second: &SchemaRef,
) -> Result<(Vec<usize>, Vec<Output>)> {
    let (left, right) = (first.fields().len(), second.fields().len());
    let all: Vec<(bool, usize)> = match join.join_type() {
        JoinType::LeftSemi | JoinType::LeftAnti => (0..left).map(|at| (true, at)).collect(),
        JoinType::RightSemi | JoinType::RightAnti => (0..right).map(|at| (false, at)).collect(),
        _ => {
            let left = (0..left).map(|at| (true, at));
            left.chain((0..right).map(|at| (false, at))).collect()
        }
    };
    let wanted: Vec<usize> = match &join.projection {
        Some(wanted) => wanted.to_vec(),
        None => (0..all.len()).collect(),
    };
    let mut kept = Vec::new();
    let mut columns = Vec::with_capacity(wanted.len());
    for at in wanted {
        let Some((is_first, at)) = all.get(at).copied() else {
            return plan_err!("a join gives a column that it does not have");
        };
        columns.push(if is_first {
            let place = kept.iter().position(|known| *known == at);
            let place = place.unwrap_or_else(|| {
                kept.push(at);
                kept.len() - 1
            });
            Output::Kept(place, first.field(at).data_type().clone())
        } else {
            Output::Passing(at, second.field(at).data_type().clone())
        });
    }
    Ok((kept, columns))
}

fn evaluated(keys: &mut [Coded], columns: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
    let mut input = Input::new(columns, rows);
    keys.iter_mut().map(|key| key.run(&mut input)).collect()
}

/// A join whose first side is kept.
struct Running {
    meeting: Meeting,
    /// Of the second side; none once they have all passed.
    rows: Option<Rows>,
    /// Rows that may still be given.
    left: Option<usize>,
    _memory: MemoryReservation,
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some(batch) = self.more().await? else {
            return Ok(None);
        };
        Ok(Some(match &mut self.left {
            Some(left) => {
                let rows = batch.num_rows().min(*left);
                *left -= rows;
                batch.slice(0, rows)
            }
            None => batch,
        }))
    }

    async fn more(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.meeting.next()? {
                return Ok(Some(batch));
            }
            let next = match &mut self.rows {
                Some(rows) if !self.meeting.is_done() => rows.next().await?,
                _ => None,
            };
            let Some((columns, _)) = next else {
                self.rows = None;
                return self.meeting.rest();
            };
            self.meeting.pass(columns)?;
        }
    }
}

impl DisplayAs for JoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = &self.sides;
        let (first, second) = (first.sources.len(), second.sources.len());
        write!(f, "JoinExec: {}, sources={first}+{second}", self.kind)
    }
}

impl ExecutionPlan for JoinExec {
    fn name(&self) -> &'static str {
        "JoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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
        plan_err!("JoinExec has no input")
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let begun = self.clone().begin(context);
        let stream = async move {
            let running = begun.await?;
            Ok::<_, DataFusionError>(futures::stream::try_unfold(running, |mut running| async {
                let batch = running.next().await?;
                Ok(batch.map(|batch| (batch, running)))
            }))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.properties.eq_properties.schema().clone(),
            futures::stream::once(stream).try_flatten(),
        )))
    }
}
