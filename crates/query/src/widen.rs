//! A table's rows as those of a much wider one.
//!
//! `search`, `find` and `union` over many tables give the columns of all of them, most of which are
//! missing from each: hundreds of constants for every table, which each of the library's rules would
//! look at one by one. [`Widen`] stands for them as one node. It has no expressions; the columns that
//! are there are made below it.
//!
//! Promises
//! - What is asked of the wide rows is asked of the table: [`Through`] takes conditions below, where a
//!   missing column is its constant, and makes a projection of what is left of a projection.
//! - A constant is made once for all batches and all columns that it stands in.
//!
//! Does not decide what is missing: the lowering does.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{
    Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion,
};
use datafusion::common::{
    Column, DFSchema, DFSchemaRef, DataFusionError, Result, ScalarValue, exec_err, plan_err,
};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    BinaryExpr, EmptyRelation, Expr, Extension, Filter, LogicalPlan, Operator, Projection,
    UserDefinedLogicalNodeCore,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, PlanProperties};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase,
    FilterPushdownPropagation,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use futures::StreamExt as _;

use crate::engine::BATCH_ROWS;
use crate::lower::balanced;

/// Constants in a projection from which on they are a node.
const CONSTANTS_MIN: usize = 100;

/// Rows under more columns: those of `input` under their own names, and constants.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Widen {
    input: LogicalPlan,
    /// What is not a column of the input.
    constants: Vec<Option<ScalarValue>>,
    schema: DFSchemaRef,
}

impl PartialOrd for Widen {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self == other).then_some(std::cmp::Ordering::Equal)
    }
}

/// The value of a constant under a name.
fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => constant(&alias.expr),
        _ => None,
    }
}

/// `exprs` of the rows of `input`: a projection, below a [`Widen`] where most of them are constants.
/// Each has a bare name.
pub(crate) fn projected(input: Arc<LogicalPlan>, exprs: Vec<Expr>) -> Result<LogicalPlan> {
    let constants: Vec<_> = exprs.iter().map(|expr| constant(expr).cloned()).collect();
    let many = constants.iter().flatten().count();
    if many < CONSTANTS_MIN || many * 2 < exprs.len() || many == exprs.len() {
        return Ok(LogicalPlan::Projection(Projection::try_new(exprs, input)?));
    }
    let whole = datafusion::logical_expr::logical_plan::projection_schema(&input, &exprs)?;
    let kept = exprs.into_iter().zip(&constants);
    let kept = kept.filter_map(|(expr, constant)| constant.is_none().then_some(expr));
    let input = Projection::try_new(kept.collect(), input)?;
    let node = Arc::new(Widen {
        input: LogicalPlan::Projection(input),
        constants,
        schema: whole,
    });
    Ok(LogicalPlan::Extension(Extension { node }))
}

/// What a projection or a [`Widen`] is made of: its input and all of its expressions.
pub(crate) fn parts(plan: &LogicalPlan) -> Option<(&Arc<LogicalPlan>, Vec<Expr>)> {
    if let LogicalPlan::Projection(projection) = plan {
        return Some((&projection.input, projection.expr.clone()));
    }
    let widen = Widen::of(plan)?;
    let LogicalPlan::Projection(projection) = &widen.input else {
        return None;
    };
    let mut kept = projection.expr.iter();
    let constants = widen.constants.iter();
    let exprs = constants.map(|constant| match constant {
        Some(value) => Some(Expr::Literal(value.clone(), None)),
        None => kept.next().cloned(),
    });
    Some((&projection.input, exprs.collect::<Option<_>>()?))
}

/// A condition on each of several plans under the same names, if one of them is a [`Widen`]: below it,
/// each asks only what it has.
pub(crate) fn each_filtered(
    plans: &[Arc<LogicalPlan>],
    predicate: &Expr,
) -> Result<Option<Vec<LogicalPlan>>> {
    let names = |plan: &LogicalPlan| plan.schema().field_names();
    let Some(first) = plans.first().map(|plan| names(plan)) else {
        return Ok(None);
    };
    let is_wide = plans.iter().any(|plan| Widen::of(plan).is_some());
    if !is_wide || plans.iter().any(|plan| names(plan) != first) {
        return Ok(None);
    }
    let filtered = plans.iter().map(|plan| {
        if let Some(widen) = Widen::of(plan) {
            return widen.filtered(predicate);
        }
        let filter = Filter::try_new(predicate.clone(), plan.clone())?;
        Ok(LogicalPlan::Filter(filter))
    });
    Ok(Some(filtered.collect::<Result<_>>()?))
}

/// A condition without the terms of `and` and `or` that say the same as one before: what is asked of
/// hundreds of missing columns is asked of one constant.
fn unrepeated(expr: Expr) -> Expr {
    if expr.is_volatile() {
        return expr;
    }
    let Expr::BinaryExpr(BinaryExpr { op, .. }) = &expr else {
        return expr;
    };
    let op = *op;
    if !matches!(op, Operator::And | Operator::Or) {
        return expr;
    }
    let mut terms = Vec::new();
    let mut known = HashSet::new();
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        match expr {
            Expr::BinaryExpr(binary) if binary.op == op => {
                left.push(*binary.right);
                left.push(*binary.left);
            }
            other => {
                let term = unrepeated(other);
                if known.insert(term.clone()) {
                    terms.push(term);
                }
            }
        }
    }
    balanced(terms, op)
}

impl Widen {
    fn of(plan: &LogicalPlan) -> Option<&Self> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }

    fn constant(&self, column: &Column) -> Option<&ScalarValue> {
        let at = self.schema.maybe_index_of_column(column)?;
        self.constants.get(at)?.as_ref()
    }

    /// What an expression of the wide rows is of the input's.
    fn below(&self, expr: Expr) -> Result<Expr> {
        let below = |expr: Expr| {
            Ok(match &expr {
                Expr::Column(column) => match self.constant(column) {
                    Some(value) => Transformed::yes(Expr::Literal(value.clone(), None)),
                    None => Transformed::no(expr),
                },
                _ => Transformed::no(expr),
            })
        };
        expr.transform(below).data()
    }

    /// The wide rows for which `predicate` holds.
    fn filtered(&self, predicate: &Expr) -> Result<LogicalPlan> {
        let predicate = unrepeated(self.below(predicate.clone())?);
        let below = Filter::try_new(predicate, Arc::new(self.input.clone()))?;
        let below = vec![LogicalPlan::Filter(below)];
        let node = Arc::new(self.with_exprs_and_inputs(Vec::new(), below)?);
        Ok(LogicalPlan::Extension(Extension { node }))
    }

    /// The same, under its name.
    fn named_below(&self, expr: Expr) -> Result<Expr> {
        let name = expr.qualified_name().1;
        let below = self.below(expr)?;
        let same = below.qualified_name().1 == name;
        Ok(if same { below } else { below.alias(name) })
    }
}

impl UserDefinedLogicalNodeCore for Widen {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "Widen"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    /// Conditions on other columns than constants need no rule of ours.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let fields = self.schema.fields().iter().zip(&self.constants);
        let constants = fields.filter(|(_, constant)| constant.is_some());
        constants.map(|(field, _)| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Widen: to {} columns", self.constants.len())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(Self {
                input,
                constants: self.constants.clone(),
                schema: self.schema.clone(),
            }),
            _ => plan_err!("Widen has one input"),
        }
    }

    /// All: fewer wide columns are another node.
    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}

/// Takes conditions and projections through a [`Widen`], and leaves out one of no rows.
#[derive(Debug)]
pub(crate) struct Through;

impl OptimizerRule for Through {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "through_widen"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Projection(projection) => {
                let Some(widen) = Widen::of(&projection.input) else {
                    return Ok(Transformed::no(plan));
                };
                let exprs = projection.expr.iter().cloned();
                let exprs = exprs.map(|expr| widen.named_below(expr));
                let exprs = exprs.collect::<Result<_>>()?;
                Ok(Transformed::yes(projected(
                    Arc::new(widen.input.clone()),
                    exprs,
                )?))
            }
            LogicalPlan::Filter(filter) => {
                let Some(widen) = Widen::of(&filter.input) else {
                    return Ok(Transformed::no(plan));
                };
                Ok(Transformed::yes(widen.filtered(&filter.predicate)?))
            }
            _ => Ok(match Widen::of(&plan) {
                Some(widen) if is_empty(&widen.input) => {
                    let schema = widen.schema.clone();
                    let produce_one_row = false;
                    Transformed::yes(LogicalPlan::EmptyRelation(EmptyRelation {
                        produce_one_row,
                        schema,
                    }))
                }
                _ => Transformed::no(plan),
            }),
        }
    }
}

fn is_empty(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row)
}

/// A column of the wide rows.
#[derive(Clone, Copy, Debug)]
enum Wide {
    /// A column of the input.
    Of(usize),
    /// One of the constants.
    Always(usize),
}

/// The physical form.
#[derive(Debug)]
pub(crate) struct WidenExec {
    input: Arc<dyn ExecutionPlan>,
    columns: Arc<[Wide]>,
    /// Each once.
    constants: Arc<[ScalarValue]>,
    properties: Arc<PlanProperties>,
}

impl WidenExec {
    pub(crate) fn new(widen: &Widen, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let schema: SchemaRef = Arc::new(widen.schema.as_arrow().clone());
        let below: &DFSchema = widen.input.schema();
        let mut constants: Vec<ScalarValue> = Vec::new();
        let mut columns = Vec::with_capacity(widen.constants.len());
        for (field, constant) in schema.fields().iter().zip(&widen.constants) {
            columns.push(match constant {
                Some(value) => {
                    let known = constants.iter().position(|known| known == value);
                    Wide::Always(known.unwrap_or_else(|| {
                        constants.push(value.clone());
                        constants.len() - 1
                    }))
                }
                None => match below.index_of_column_by_name(None, field.name()) {
                    Some(at) => Wide::Of(at),
                    None => return plan_err!("a wide column that is nowhere below"),
                },
            });
        }
        let properties = properties(schema, &input);
        Ok(Self {
            input,
            columns: columns.into(),
            constants: constants.into(),
            properties,
        })
    }
}

impl WidenExec {
    /// Which column of the input a column is; `None` for one that is constant.
    pub(crate) fn below(&self, column: usize) -> Option<usize> {
        match self.columns.get(column)? {
            Wide::Of(at) => Some(*at),
            Wide::Always(_) => None,
        }
    }
}

fn properties(schema: SchemaRef, input: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
    let known = input.properties();
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(known.partitioning.partition_count()),
        known.emission_type,
        known.boundedness,
    ))
}

impl DisplayAs for WidenExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WidenExec: to {} columns", self.columns.len())
    }
}

impl ExecutionPlan for WidenExec {
    fn name(&self) -> &'static str {
        "WidenExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self {
                properties: properties(self.schema(), &input),
                input,
                columns: self.columns.clone(),
                constants: self.constants.clone(),
            })),
            _ => plan_err!("WidenExec has one input"),
        }
    }

    /// What a top learns while it runs is of use to the scans below.
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        // Columns that are there go by the same names below.
        let below = ChildFilterDescription::from_child(&parent_filters, &self.input)?;
        Ok(FilterDescription::new().with_child(below))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        found: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(found))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (schema, columns) = (self.schema(), self.columns.clone());
        let mut made = Made {
            values: self.constants.clone(),
            arrays: Vec::new(),
        };
        let output = schema.clone();
        let wide = input.map(move |batch| {
            let batch = batch?;
            let rows = batch.num_rows();
            let constants = made.of(rows)?;
            let column = |column: &Wide| match *column {
                Wide::Of(at) => batch.columns().get(at).cloned(),
                Wide::Always(at) => constants.get(at).cloned(),
            };
            let Some(columns) = columns.iter().map(column).collect() else {
                return exec_err!("a wide column that is nowhere below");
            };
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(output.clone(), columns, &options)
                .map_err(DataFusionError::from)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, wide)))
    }
}

/// The constants as columns, as long as the longest batch so far.
struct Made {
    values: Arc<[ScalarValue]>,
    arrays: Vec<ArrayRef>,
}

impl Made {
    fn of(&mut self, rows: usize) -> Result<Vec<ArrayRef>> {
        let have = self.arrays.first().map_or(0, Array::len);
        if self.arrays.is_empty() || have < rows {
            let length = rows.max(BATCH_ROWS);
            let made = self
                .values
                .iter()
                .map(|value| value.to_array_of_size(length));
            self.arrays = made.collect::<Result<_>>()?;
        }
        let arrays = self.arrays.iter();
        Ok(arrays.map(|array| array.slice(0, rows)).collect())
    }
}
