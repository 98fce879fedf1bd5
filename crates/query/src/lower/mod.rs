//! Lowering: a resolved query to a DataFusion logical plan. Pure: no I/O, no clock.
//!
//! Every column of every intermediate plan has a generated name (`k17`), unique in the query, so
//! that nothing depends on how DataFusion resolves names; user names come back with the result.

mod aggregate;
mod exprs;
mod join;
pub(crate) mod lookback;
mod plans;
pub(crate) mod support;
mod wide;

pub(crate) use exprs::balanced;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr as Plan, Extension, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_expr::create_physical_expr;
use kql::resolved::{Expanded, Expr, Op, Relation, SharedId, SortKey, Value};
use model::{ColumnType, TableName, Ticks, limits};
use reference::Reference;

use crate::engine::BATCH_ROWS;
use crate::error::Error;
use crate::external::External;
use crate::kernels::args::Guard;
use crate::kernels::expand::Expansion;
use crate::kernels::regexes::Patterns;
use crate::kernels::{Work, convert};
use crate::nodes::InOrder;
use crate::portions::Portions;
use lookback::{SourceId, SourceIds};

/// A table as lowering sees it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) provider: Arc<dyn TableProvider>,
    /// The column by which the default look-back goes; `None` for reference tables.
    pub(crate) time_column: Option<String>,
}

/// The rows of a shared relation that was computed before.
#[derive(Clone, Debug)]
pub(crate) struct SharedRows {
    pub(crate) types: Vec<ColumnType>,
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

/// The default look-back, or a scheduled query's window: which sources it applies to, from when, and
/// until when.
#[derive(Clone, Debug)]
pub(crate) struct LookBack {
    pub(crate) sources: BTreeSet<SourceId>,
    pub(crate) from: Ticks,
    /// First instant that is left out.
    pub(crate) until: Option<Ticks>,
}

/// A plan and the generated names of its columns, in the relation's order.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) plan: LogicalPlan,
    pub(crate) columns: Vec<String>,
    /// The rows are sorted and later operators kept their order.
    pub(crate) ordered: bool,
}

/// The columns that an expression may read.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a>(pub(crate) &'a [String]);

impl Scope<'_> {
    pub(crate) fn column(&self, at: usize) -> Result<Plan, Error> {
        match self.0.get(at) {
            Some(name) => Ok(exprs::named(name)),
            None => Err(Error::internal(format!("column {at} is out of range"))),
        }
    }
}

/// The state of lowering one query.
pub(crate) struct Lowering<'a> {
    pub(crate) table: &'a dyn Fn(&TableName) -> Option<Table>,
    pub(crate) lookback: LookBack,
    pub(crate) shared: Vec<SharedRows>,
    pub(crate) guard: Guard,
    pub(crate) patterns: Patterns,
    pub(crate) external: Option<Arc<dyn External>>,
    pub(crate) reference: Arc<Reference>,
    /// Rows of a batch of those that are known now.
    pub(crate) batch_rows: usize,
    /// What the operator that is being lowered takes of dynamic values.
    paths: Vec<exprs::SharedPaths>,
    ids: SourceIds,
    names: usize,
    sets: u64,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(
        table: &'a dyn Fn(&TableName) -> Option<Table>,
        lookback: LookBack,
        guard: Guard,
    ) -> Self {
        Self {
            table,
            lookback,
            shared: Vec::new(),
            guard,
            patterns: Patterns::default(),
            external: None,
            reference: Arc::default(),
            batch_rows: BATCH_ROWS,
            paths: Vec::new(),
            ids: SourceIds::default(),
            names: 0,
            sets: 0,
        }
    }

    /// Takes what was computed before; sources are numbered on from there.
    pub(crate) fn resume(&mut self, shared: &[SharedRows], sources: usize) {
        self.shared = shared.to_vec();
        self.ids.skip(sources);
    }

    /// A whole relation: its columns in order and nothing else.
    pub(crate) fn finished(&mut self, relation: &Relation) -> Result<LogicalPlan, Error> {
        let lowered = self.relation(relation)?;
        let columns: Vec<Plan> = lowered
            .columns
            .iter()
            .map(|name| exprs::named(name))
            .collect();
        if columns.is_empty() {
            return Ok(lowered.plan);
        }
        plans::projected(lowered.plan, columns)
    }

    pub(crate) fn next_name(&mut self) -> String {
        self.names += 1;
        format!("k{}", self.names)
    }

    /// A number that tells this set from others of the query.
    pub(crate) fn next_set(&mut self) -> u64 {
        self.sets += 1;
        self.sets
    }

    pub(crate) fn shared_rows(&self, id: SharedId) -> Result<&SharedRows, Error> {
        match self.shared.get(id.0) {
            Some(rows) => Ok(rows),
            None => Err(Error::internal(format!(
                "shared relation {} is not computed",
                id.0
            ))),
        }
    }

    /// A relation and everything below it.
    pub(crate) fn relation(&mut self, relation: &Relation) -> Result<Lowered, Error> {
        // A query may say the same thing many times over.
        self.guard.check()?;
        match &relation.op {
            Op::Source { table, columns } => self.source(relation, table, columns),
            Op::Values { rows } => self.values(relation, rows),
            Op::Range { from, to, step } => self.range(relation, [from, to, step]),
            Op::Shared(id) => self.read_shared(relation, *id),
            Op::Filter { input, predicate } => self.filter(input, predicate),
            Op::Project { input, exprs } => self.project_all(relation, input, exprs),
            Op::Summarize {
                input,
                by,
                aggregates,
            } => {
                let mut input = self.relation(input)?;
                if input.ordered && aggregate::is_order_sensitive(aggregates) {
                    input = in_order(input);
                }
                self.summarize(relation, input, by, aggregates)
            }
            Op::Distinct { input } => self.distinct(input),
            Op::Take { input, rows } => self.take(input, *rows),
            Op::Sort { input, keys } => {
                let input = self.relation(input)?;
                self.sort(input, keys)
            }
            Op::Join {
                left,
                right,
                kind,
                on,
            } => {
                let left = self.relation(left)?;
                let right = self.relation(right)?;
                self.join(relation, left, right, *kind, on)
            }
            Op::Union { inputs } => self.union(relation, inputs),
            Op::MvExpand {
                input,
                columns,
                bags,
                item_index,
                rows_max,
            } => {
                let input = self.relation(input)?;
                let to = columns.iter().map(|column| column.to).collect();
                let expansion = Expansion::new(to, *bags, *item_index, *rows_max);
                self.mv_expand(relation, input, columns, expansion)
            }
            _ => self.wide(relation),
        }
    }

    fn filter(&mut self, input: &Relation, predicate: &Expr) -> Result<Lowered, Error> {
        let input = self.relation(input)?;
        let predicate = self.predicate(predicate, &Scope(&input.columns))?;
        let plan = plans::filtered(input.plan, predicate)?;
        Ok(Lowered { plan, ..input })
    }

    fn project_all(
        &mut self,
        relation: &Relation,
        input: &Relation,
        exprs: &[Expr],
    ) -> Result<Lowered, Error> {
        let input = self.relation(input)?;
        let scope = Scope(&input.columns);
        self.share_paths(exprs.iter());
        let exprs = exprs
            .iter()
            .map(|expr| self.expr(expr, &scope))
            .collect::<Result<_, _>>();
        self.paths.clear();
        let lowered = self.project(input.plan, exprs?, relation)?;
        Ok(Lowered {
            ordered: input.ordered,
            ..lowered
        })
    }

    fn distinct(&mut self, input: &Relation) -> Result<Lowered, Error> {
        let input = self.relation(input)?;
        // Under new names: see `summarize`.
        let columns: Vec<String> = input.columns.iter().map(|_| self.next_name()).collect();
        let keys = input.columns.iter().zip(&columns);
        let keys: Vec<Plan> = keys
            .map(|(name, new)| exprs::named(name).alias(new))
            .collect();
        let plan = plans::aggregated(input.plan, keys, Vec::new())?;
        Ok(Lowered {
            plan,
            columns,
            ordered: false,
        })
    }

    fn take(&mut self, input: &Relation, rows: u64) -> Result<Lowered, Error> {
        let input = self.relation(input)?;
        let most = rows.min(i64::MAX.unsigned_abs());
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let plan = LogicalPlanBuilder::from(input.plan)
            .limit(0, Some(most))?
            .build()?;
        Ok(Lowered { plan, ..input })
    }

    /// A projection to the relation's columns under new names. A relation without columns keeps its
    /// rows: it gets one that nobody reads.
    pub(crate) fn project(
        &mut self,
        plan: LogicalPlan,
        exprs: Vec<Plan>,
        relation: &Relation,
    ) -> Result<Lowered, Error> {
        if exprs.len() != relation.columns.len() {
            return Err(Error::internal(
                "a projection of another width than its relation",
            ));
        }
        let mut columns = Vec::with_capacity(exprs.len());
        let mut named = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let name = self.next_name();
            named.push(expr.alias(&name));
            columns.push(name);
        }
        if named.is_empty() {
            named.push(lit(true).alias(self.next_name()));
        }
        let plan = plans::projected(plan, named)?;
        Ok(Lowered {
            plan,
            columns,
            ordered: false,
        })
    }

    fn source(
        &mut self,
        relation: &Relation,
        table: &TableName,
        columns: &[Arc<str>],
    ) -> Result<Lowered, Error> {
        let id = self.ids.next();
        let Some(found) = (self.table)(table) else {
            return Err(Error::internal(format!(
                "table `{}` has no rows to read",
                table.as_str()
            )));
        };
        let schema = found.provider.schema();
        let reference = TableReference::bare(table.as_str());
        let stored = |name: &str| Plan::Column(Column::new(Some(reference.clone()), name));
        let mut plan =
            LogicalPlanBuilder::scan(reference.clone(), provider_as_source(found.provider), None)?;
        // A window goes by arrival: what comes late is in the window in which it came.
        let by_arrival = self
            .lookback
            .until
            .map(|_| rows::hidden::INGESTED_AT.to_owned());
        if let Some(time) = found
            .time_column
            .filter(|_| self.lookback.sources.contains(&id))
            .map(|time| by_arrival.unwrap_or(time))
            && schema.column_with_name(&time).is_some()
        {
            plan = plan.filter(stored(&time).gt_eq(lit(self.lookback.from.0)))?;
            if let Some(until) = self.lookback.until {
                plan = plan.filter(stored(&time).lt(lit(until.0)))?;
            }
        }
        let mut exprs = Vec::with_capacity(columns.len());
        for (name, field) in columns.iter().zip(&relation.columns) {
            let known = schema.column_with_name(name).is_some_and(|(_, stored)| {
                *stored.data_type() == crate::kernels::decimals::data_type(field.ty)
            });
            exprs.push(if known {
                stored(name)
            } else if &**name == rows::hidden::ROW_ID && schema.column_with_name(name).is_some() {
                let id = vec![(stored(name), ColumnType::String)];
                self.kernel(Work::RowId, id, ColumnType::String)
            } else {
                exprs::missing(field.ty)?
            });
        }
        self.project(plan.build()?, exprs, relation)
    }

    fn values(&mut self, relation: &Relation, rows: &[Vec<Value>]) -> Result<Lowered, Error> {
        if relation.columns.is_empty() {
            let plan = LogicalPlanBuilder::empty(true).build()?;
            return Ok(Lowered {
                plan,
                columns: Vec::new(),
                ordered: false,
            });
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(relation.columns.len());
        for (at, field) in relation.columns.iter().enumerate() {
            let values = rows
                .iter()
                .map(|row| {
                    row.get(at)
                        .map_or_else(|| exprs::scalar(&Value::missing(field.ty)), exprs::scalar)
                })
                .collect::<Result<Vec<ScalarValue>, Error>>()?;
            arrays.push(if values.is_empty() {
                datafusion::arrow::array::new_empty_array(&crate::kernels::decimals::data_type(
                    field.ty,
                ))
            } else {
                ScalarValue::iter_to_array(values)?
            });
        }
        let batch = self.batch(relation, arrays)?;
        let schema = batch.schema();
        self.memory(&schema, vec![batch])
    }

    /// A batch with generated names.
    fn batch(&mut self, relation: &Relation, arrays: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
        let fields: Vec<Field> = relation
            .columns
            .iter()
            .map(|field| {
                Field::new(
                    self.next_name(),
                    crate::kernels::decimals::data_type(field.ty),
                    true,
                )
            })
            .collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }

    /// A scan of rows in memory, whose column names are unique in the query.
    pub(crate) fn memory(
        &mut self,
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<Lowered, Error> {
        let table = MemTable::try_new(schema.clone(), vec![batches])?;
        let name = TableReference::bare(self.next_name());
        let columns: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        // Aliased away from the table's name, as every column.
        let exprs: Vec<Plan> = columns
            .iter()
            .map(|column| Plan::Column(Column::new(Some(name.clone()), column)).alias(column))
            .collect();
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None)?
            .project(exprs)?
            .build()?;
        Ok(Lowered {
            plan,
            columns,
            ordered: false,
        })
    }

    fn read_shared(&mut self, relation: &Relation, id: SharedId) -> Result<Lowered, Error> {
        let shared = self.shared_rows(id)?.clone();
        // A relation read twice must have two sets of names.
        let fields: Vec<Field> = shared
            .schema
            .fields()
            .iter()
            .map(|field| {
                field
                    .as_ref()
                    .clone()
                    .with_name(self.next_name())
                    .with_nullable(true)
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let batches = shared
            .batches
            .iter()
            .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()))
            .collect::<Result<_, _>>()?;
        let lowered = self.memory(&schema, batches)?;
        let exprs = lowered
            .columns
            .iter()
            .take(relation.columns.len())
            .map(|name| exprs::named(name))
            .collect();
        self.project(lowered.plan, exprs, relation)
    }

    /// `range`: the bounds are known now.
    fn range(&mut self, relation: &Relation, bounds: [&Expr; 3]) -> Result<Lowered, Error> {
        let ty = relation
            .columns
            .first()
            .map_or(ColumnType::Long, |field| field.ty);
        let mut values = Vec::new();
        for bound in bounds {
            let plan = self.expr(bound, &Scope(&[]))?;
            values.push(constant(&plan)?);
        }
        let array: ArrayRef = if ty == ColumnType::Real {
            let reals: Vec<f64> = values.iter().filter_map(real_of).collect();
            Arc::new(datafusion::arrow::array::Float64Array::from(range_reals(
                &reals,
                &self.guard,
            )?))
        } else {
            let longs: Vec<i64> = values.iter().filter_map(long_of).collect();
            let longs =
                datafusion::arrow::array::Int64Array::from(range_longs(&longs, &self.guard)?);
            datafusion::arrow::compute::cast(&longs, &crate::kernels::decimals::data_type(ty))?
        };
        if array.len() > limits::HUNT_RANGE_ROWS_MAX {
            let max = limits::HUNT_RANGE_ROWS_MAX;
            return Err(Error::Range { max });
        }
        let array = self.guard.keep(array)?;
        let batch = self.batch(relation, vec![array])?;
        let schema = batch.schema();
        let rows = batch.num_rows();
        let starts = (0..rows).step_by(self.batch_rows);
        let batches = starts
            .map(|start| batch.slice(start, self.batch_rows.min(rows - start)))
            .collect();
        self.memory(&schema, batches)
    }

    fn sort(&mut self, input: Lowered, keys: &[SortKey]) -> Result<Lowered, Error> {
        let scope = Scope(&input.columns);
        let mut order = Vec::with_capacity(keys.len());
        for key in keys {
            let mut expr = self.expr(&key.expr, &scope)?;
            if key.expr.ty == ColumnType::Real {
                expr = self.kernel(
                    Work::NanToNull,
                    vec![(expr, ColumnType::Real)],
                    ColumnType::Real,
                );
            }
            order.push(expr.sort(!key.descending, key.nulls_first));
        }
        let plan = plans::sorted(input.plan, order);
        Ok(Lowered {
            plan,
            columns: input.columns,
            ordered: true,
        })
    }

    fn union(&mut self, relation: &Relation, inputs: &[Relation]) -> Result<Lowered, Error> {
        let mut columns: Option<Vec<String>> = None;
        let mut plans = Vec::with_capacity(inputs.len());
        for input in inputs {
            let lowered = self.relation(input)?;
            plans.push(match &columns {
                Some(names) => plans::renamed(lowered.plan, &lowered.columns, names)?,
                None => lowered.plan,
            });
            columns.get_or_insert(lowered.columns);
        }
        let columns = columns.ok_or_else(|| Error::internal("a union of nothing"))?;
        let plan = plans::united(plans)?;
        if plans::is_plain(&plan) {
            return Ok(Lowered {
                plan,
                columns,
                ordered: false,
            });
        }
        let exprs = columns.iter().map(|name| exprs::named(name)).collect();
        self.project(plan, exprs, relation)
    }

    fn mv_expand(
        &mut self,
        relation: &Relation,
        input: Lowered,
        columns: &[Expanded],
        expansion: Expansion,
    ) -> Result<Lowered, Error> {
        let scope = Scope(&input.columns);
        let mut args = Vec::with_capacity(columns.len());
        for column in columns {
            args.push((scope.column(column.column)?, ColumnType::Dynamic));
        }
        let list = self.next_name();
        let mut kept: Vec<Plan> = input
            .columns
            .iter()
            .map(|name| exprs::named(name))
            .collect();
        kept.push(
            self.kernel(Work::Expand(expansion.clone()), args, ColumnType::Dynamic)
                .alias(&list),
        );
        let column = Column::new_unqualified(&list);
        let lists = plans::projected(input.plan, kept)?;
        let node = Arc::new(Portions::new(lists, column.clone())?);
        let plan = LogicalPlanBuilder::from(LogicalPlan::Extension(Extension { node }))
            .unnest_column(column)?
            .build()?;
        let mut exprs = Vec::with_capacity(relation.columns.len());
        for (at, name) in input.columns.iter().enumerate() {
            match columns.iter().position(|column| column.column == at) {
                Some(field) => {
                    let ty = expansion
                        .to
                        .get(field)
                        .copied()
                        .unwrap_or(ColumnType::Dynamic);
                    let value =
                        self.kernel(Work::Field(field), vec![(exprs::named(&list), ty)], ty);
                    exprs.push(if ty == ColumnType::String {
                        exprs::or_else(value, exprs::missing(ty)?)
                    } else {
                        value
                    });
                }
                None => exprs.push(exprs::named(name)),
            }
        }
        if expansion.item_index {
            let ty = ColumnType::Long;
            let work = Work::Field(expansion.to.len());
            exprs.push(self.kernel(work, vec![(exprs::named(&list), ty)], ty));
        }
        let lowered = self.project(plan, exprs, relation)?;
        Ok(Lowered {
            ordered: input.ordered,
            ..lowered
        })
    }
}

/// Makes the order of the rows one that the planner must keep.
pub(crate) fn in_order(input: Lowered) -> Lowered {
    let node = Arc::new(InOrder { input: input.plan });
    Lowered {
        plan: LogicalPlan::Extension(Extension { node }),
        ..input
    }
}

/// The value of an expression that reads no column.
pub(crate) fn constant(plan: &Plan) -> Result<ScalarValue, Error> {
    let schema = DFSchema::empty();
    let expr = create_physical_expr(
        plan,
        &schema,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    let array = expr.evaluate(&batch)?.into_array(1)?;
    Ok(ScalarValue::try_from_array(&array, 0)?)
}

fn long_of(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Int64(n) => *n,
        ScalarValue::Int32(n) => n.map(i64::from),
        _ => None,
    }
}

fn real_of(value: &ScalarValue) -> Option<f64> {
    match value {
        ScalarValue::Float64(x) => *x,
        other => long_of(other).map(convert::real_of_long),
    }
}

fn range_longs(bounds: &[i64], guard: &Guard) -> Result<Vec<i64>, Error> {
    let [from, to, step] = bounds else {
        return Ok(Vec::new());
    };
    let mut values = Vec::new();
    let mut at = Some(*from);
    while let Some(value) = at {
        let inside = if *step > 0 {
            value <= *to
        } else {
            value >= *to
        };
        if *step == 0 || !inside || values.len() > limits::HUNT_RANGE_ROWS_MAX {
            break;
        }
        guard.check()?;
        values.push(value);
        at = value.checked_add(*step);
    }
    Ok(values)
}

fn range_reals(bounds: &[f64], guard: &Guard) -> Result<Vec<f64>, Error> {
    let [from, to, step] = bounds else {
        return Ok(Vec::new());
    };
    let mut values = Vec::new();
    let mut n = 0.0;
    loop {
        let value = from + n * step;
        let inside = if *step > 0.0 {
            value <= *to
        } else {
            value >= *to
        };
        if *step == 0.0 || !inside || values.len() > limits::HUNT_RANGE_ROWS_MAX {
            return Ok(values);
        }
        guard.check()?;
        values.push(value);
        n += 1.0;
    }
}
