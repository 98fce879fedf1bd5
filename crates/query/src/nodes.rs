//! Operators that DataFusion does not have, each of one input that it passes on row by row.
//!
//! [`Unique`] keeps the first row of each key, streaming, in order: the left side of Kusto's default
//! join. [`InOrder`] makes the order of its input a requirement, so that the planner does not drop a
//! sort below an order-sensitive aggregate. [`Action::Forget`] ends what the planner knows of the rows.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, DataFusionError, Result, exec_err, plan_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning,
    PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, PlanProperties};
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::copies::of_its_own;
use crate::kernels::args::Guard;
use crate::portions::Cut;

/// The first row of each key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Unique {
    pub(crate) input: LogicalPlan,
    pub(crate) keys: Vec<Expr>,
}

/// The input, in its own order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct InOrder {
    pub(crate) input: LogicalPlan,
}

impl PartialOrd for Unique {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self == other).then_some(std::cmp::Ordering::Equal)
    }
}

impl PartialOrd for InOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self == other).then_some(std::cmp::Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for Unique {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "Unique"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.keys.clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unique: {} keys", self.keys.len())
    }

    fn with_exprs_and_inputs(
        &self,
        exprs: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(Self { input, keys: exprs }),
            _ => plan_err!("Unique has one input"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let mut needed = output_columns.to_vec();
        for key in &self.keys {
            #[expect(clippy::iter_over_hash_type, reason = "the positions are sorted below")]
            for column in key.column_refs() {
                needed.push(schema.maybe_index_of_column(column)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

impl UserDefinedLogicalNodeCore for InOrder {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "InOrder"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InOrder")
    }

    /// What is read above, and what the rows are sorted by: without that the planner would not know
    /// that they are.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut sorted_by = HashSet::new();
        let found = self.input.apply(|plan| {
            if let LogicalPlan::Sort(sort) = plan {
                for key in &sort.expr {
                    let columns = key.expr.column_refs();
                    sorted_by.extend(columns.into_iter().map(|column| column.name.clone()));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found.ok()?;
        let fields = self.input.schema().fields().iter().enumerate();
        let keys = fields.filter(|(_, field)| sorted_by.contains(field.name()));
        let mut needed: Vec<usize> = keys.map(|(at, _)| at).collect();
        needed.extend(output_columns);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(Self { input }),
            _ => plan_err!("InOrder has one input"),
        }
    }
}

/// What an [`OneInput`] does with its input.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// [`Unique`] over these keys.
    Unique(Vec<Arc<dyn PhysicalExpr>>),
    /// [`InOrder`], with the order that the input had.
    InOrder(Option<LexOrdering>),
    /// Nothing; but what the planner knows of the rows ends here.
    Forget,
    /// [`Portions`](crate::portions::Portions) by the list in this column.
    Portions(Arc<dyn PhysicalExpr>),
    /// Rows as they are, in batches [`of their own`](of_its_own).
    Own,
}

/// Expressions by which rows are told apart.
type Keys<'a> = &'a [Arc<dyn PhysicalExpr>];

/// The physical form of these nodes, and of what else needs an operator that passes rows on.
#[derive(Debug)]
pub(crate) struct OneInput {
    input: Arc<dyn ExecutionPlan>,
    action: Action,
    guard: Guard,
    properties: Arc<PlanProperties>,
}

impl OneInput {
    /// What goes in, if nothing is done with it.
    pub(crate) fn forgets(&self) -> Option<&Arc<dyn ExecutionPlan>> {
        matches!(self.action, Action::Forget).then_some(&self.input)
    }

    /// Whether its batches are of their own.
    pub(crate) fn owns(&self) -> bool {
        matches!(self.action, Action::Own)
    }

    /// What goes in, and the keys of each of which the first row goes on; `None` for another action.
    pub(crate) fn unique(&self) -> Option<(&Arc<dyn ExecutionPlan>, Keys<'_>)> {
        match &self.action {
            Action::Unique(keys) => Some((&self.input, keys)),
            _ => None,
        }
    }

    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, action: Action, guard: Guard) -> Self {
        let properties = input.properties();
        let known = match action {
            Action::Forget => EquivalenceProperties::new(input.schema()),
            _ => properties.eq_properties.clone(),
        };
        let properties = Arc::new(PlanProperties::new(
            known,
            Partitioning::UnknownPartitioning(1),
            properties.emission_type,
            properties.boundedness,
        ));
        Self {
            input,
            action,
            guard,
            properties,
        }
    }
}

impl DisplayAs for OneInput {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for OneInput {
    fn name(&self) -> &str {
        match self.action {
            Action::Unique(_) => "UniqueExec",
            Action::InOrder(_) => "InOrderExec",
            Action::Forget => "ForgetExec",
            Action::Portions(_) => "PortionsExec",
            Action::Own => "OwnExec",
        }
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        match &self.action {
            Action::InOrder(Some(order)) => vec![Some(OrderingRequirements::from(order.clone()))],
            _ => vec![None],
        }
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // What is forgotten is no reason to move a sort below, whose order would be forgotten too.
        vec![!matches!(self.action, Action::Forget)]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    /// What is learned above while the query runs goes through what only forgets.
    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let children = self.children();
        match (&self.action, phase) {
            (Action::Forget, FilterPushdownPhase::Post) => {
                FilterDescription::from_children(filters, &children)
            }
            _ => Ok(FilterDescription::all_unsupported(&filters, &children)),
        }
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        match self.action {
            Action::Unique(_) => CardinalityEffect::LowerEqual,
            Action::InOrder(_) | Action::Forget | Action::Own => CardinalityEffect::Equal,
            // A row whose list is cut stands in several portions.
            Action::Portions(_) => CardinalityEffect::GreaterEqual,
        }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let exprs = match &self.action {
            Action::Unique(keys) => keys.as_slice(),
            Action::Portions(list) => std::slice::from_ref(list),
            Action::InOrder(_) | Action::Forget | Action::Own => &[],
        };
        for expr in exprs {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self::new(
                input,
                self.action.clone(),
                self.guard.clone(),
            ))),
            _ => plan_err!("{} has one input", self.name()),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let schema = input.schema();
        let keys = match &self.action {
            Action::Unique(keys) => keys,
            Action::InOrder(_) | Action::Forget => return Ok(input),
            Action::Own => {
                let guard = self.guard.clone();
                let own = input.map(move |batch| {
                    guard.check()?;
                    of_its_own(batch?)
                });
                return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, own)));
            }
            Action::Portions(list) => {
                let Some(list) = list.downcast_ref::<PhysicalColumn>() else {
                    return exec_err!("portions go by a column");
                };
                let (at, guard) = (list.index(), self.guard.clone());
                let rows_max = context.session_config().batch_size();
                let portions = input
                    .map(move |batch| {
                        let guard = guard.clone();
                        let cut = batch.and_then(|batch| Cut::new(batch, at, rows_max))?;
                        Ok::<_, DataFusionError>(stream::iter(cut).map(move |portion| {
                            guard.check()?;
                            portion
                        }))
                    })
                    .try_flatten();
                return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, portions)));
            }
        };
        let memory = MemoryConsumer::new("UniqueExec").register(context.memory_pool());
        let mut first = FirstSeen::new(keys.clone(), &schema, memory)?;
        let guard = self.guard.clone();
        let stream = input.map(move |batch| {
            guard.check()?;
            first.keep(&batch?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

/// The keys seen so far.
struct FirstSeen {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    converter: RowConverter,
    seen: HashSet<Box<[u8]>>,
    memory: MemoryReservation,
}

/// Bytes of a set's entry beside the key's own.
const ENTRY_BYTES: usize = 32;

impl FirstSeen {
    fn new(
        keys: Vec<Arc<dyn PhysicalExpr>>,
        schema: &datafusion::arrow::datatypes::Schema,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let fields = keys
            .iter()
            .map(|key| Ok(SortField::new(key.data_type(schema)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            keys,
            converter: RowConverter::new(fields)?,
            seen: HashSet::new(),
            memory,
        })
    }

    fn keep(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = self
            .keys
            .iter()
            .map(|key| key.evaluate(batch)?.into_array(batch.num_rows()))
            .collect::<Result<_>>()?;
        if columns.is_empty() {
            return exec_err!("a unique row needs a key");
        }
        let rows = self.converter.convert_columns(&columns)?;
        let mut grown = 0;
        let fresh: BooleanArray = rows
            .iter()
            .map(|row| {
                let fresh = !self.seen.contains(row.as_ref());
                if fresh {
                    grown += row.as_ref().len() + ENTRY_BYTES;
                    self.seen.insert(row.as_ref().into());
                }
                Some(fresh)
            })
            .collect();
        self.memory.try_grow(grown)?;
        Ok(filter_record_batch(batch, &fresh)?)
    }
}
