//! `summarize`: groups and aggregates, with Kusto's answers for groups of nothing.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::{average, count, covariance, min_max, stddev, sum, variance};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, Cast, Expr as Plan, LogicalPlanBuilder, lit};
use kql::functions::AggregateFn as A;
use kql::resolved::{Aggregate, Expr, ExprKind, PathKey, Relation, Set, Value};
use model::ColumnType;

use super::exprs::{missing, named, or_else};
use super::{Lowered, Lowering, Scope, plans};
use crate::aggregates::{Aggregator, BitFold, ELEMENTS_MAX, Gather, unique};
use crate::error::Error;
use crate::json::Json;
use crate::kernels::{Work, convert};
use crate::sketch;

/// How an aggregate is computed, and what its result still needs.
struct Recipe {
    function: Arc<AggregateUDF>,
    /// How many of the arguments are values; the rest were literals.
    values: usize,
    distinct: bool,
    /// What stands for the null of a group of nothing.
    default: Option<ScalarValue>,
    /// The result is a struct of the outputs.
    is_struct: bool,
    /// Values are turned into reals first.
    as_real: bool,
}

impl Recipe {
    fn plain(function: Arc<AggregateUDF>, default: Option<ScalarValue>) -> Self {
        Self {
            function,
            values: 1,
            distinct: false,
            default,
            is_struct: false,
            as_real: false,
        }
    }

    fn real(function: Arc<AggregateUDF>, default: f64) -> Self {
        let default = Some(ScalarValue::Float64(Some(default)));
        Self {
            as_real: true,
            ..Self::plain(function, default)
        }
    }

    fn gathered(gather: Gather, aggregate: &Aggregate, values: usize) -> Self {
        let args = aggregate
            .args
            .iter()
            .take(values)
            .map(|arg| arg.ty)
            .collect();
        let is_struct = Aggregator::is_struct(&gather);
        let udaf = Aggregator::new(gather, args, aggregate.outputs.clone()).into_udaf();
        Self {
            values,
            is_struct,
            ..Self::plain(udaf, None)
        }
    }
}

/// The literal size limit of `make_list` and its kin.
fn limit(aggregate: &Aggregate) -> usize {
    let given = match aggregate.args.get(1).and_then(Expr::as_literal) {
        Some(Value::Long(n)) => usize::try_from(*n).ok(),
        Some(Value::Int(n)) => usize::try_from(*n).ok(),
        _ => None,
    };
    given.unwrap_or(ELEMENTS_MAX).min(ELEMENTS_MAX)
}

/// The precision of a sketch with the literal accuracy asked for.
fn accuracy(aggregate: &Aggregate) -> u32 {
    match aggregate.args.get(1).and_then(Expr::as_literal) {
        Some(Value::Long(n)) => sketch::precision(*n),
        Some(Value::Int(n)) => sketch::precision(i64::from(*n)),
        _ => sketch::DEFAULT_PRECISION,
    }
}

/// The literal percentiles of an aggregate.
fn percentiles(aggregate: &Aggregate, values: usize) -> Vec<f64> {
    let mut wanted = Vec::new();
    for arg in aggregate.args.iter().skip(values) {
        match arg.as_literal() {
            Some(Value::Real(p)) => wanted.push(*p),
            Some(Value::Long(p)) => wanted.push(convert::real_of_long(*p)),
            Some(Value::Int(p)) => wanted.push(f64::from(*p)),
            Some(Value::Dynamic(text)) => {
                let items = Json::of_column(text);
                wanted.extend(
                    items
                        .as_array()
                        .unwrap_or_default()
                        .iter()
                        .filter_map(convert::json_to_real),
                );
            }
            _ => {}
        }
    }
    wanted
}

fn recipe(aggregate: &Aggregate) -> Recipe {
    let ty = aggregate
        .outputs
        .first()
        .copied()
        .unwrap_or(ColumnType::Dynamic);
    let is_ticks = crate::kernels::time::is_ticks(ty);
    let gathered = |gather| Recipe::gathered(gather, aggregate, 1);
    let zero = match ty {
        ColumnType::Real => ScalarValue::Float64(Some(0.0)),
        ColumnType::Int => ScalarValue::Int32(Some(0)),
        _ => ScalarValue::Int64(Some(0)),
    };
    match aggregate.function {
        A::Count => Recipe {
            values: 0,
            ..Recipe::plain(count::count_udaf(), None)
        },
        A::WeightedPercentile => Recipe::gathered(
            Gather::WeightedRanks(percentiles(aggregate, 2), false),
            aggregate,
            2,
        ),
        A::WeightedPercentilesArray => Recipe::gathered(
            Gather::WeightedRanks(percentiles(aggregate, 2), true),
            aggregate,
            2,
        ),
        A::Covariance => Recipe {
            values: 2,
            ..Recipe::real(covariance::covar_samp_udaf(), 0.0)
        },
        A::Covariancep => Recipe {
            values: 2,
            ..Recipe::real(covariance::covar_pop_udaf(), 0.0)
        },
        // The library counts the distinct values of a constant over no rows as one.
        A::CountDistinct if !aggregate.args.iter().any(reads_column) => {
            gathered(Gather::Distinct(sketch::DEFAULT_PRECISION))
        }
        A::CountDistinct
            if aggregate.args.first().is_some_and(|arg| {
                unique::is_counted(&crate::kernels::decimals::data_type(arg.ty))
            }) =>
        {
            gathered(Gather::Unique)
        }
        A::CountDistinct => Recipe {
            distinct: true,
            ..Recipe::plain(count::count_udaf(), None)
        },
        A::Dcount => gathered(Gather::Distinct(accuracy(aggregate))),
        A::Hll => gathered(Gather::Sketch(accuracy(aggregate), false)),
        A::HllMerge => gathered(Gather::Sketch(sketch::DEFAULT_PRECISION, true)),
        A::Tdigest => Recipe::gathered(Gather::Digest(false), aggregate, aggregate.args.len()),
        A::TdigestMerge => gathered(Gather::Digest(true)),
        A::Buildschema => gathered(Gather::Shape),
        A::Sum => Recipe::plain(sum::sum_udaf(), Some(zero)),
        A::Avg if is_ticks => gathered(Gather::MeanTicks),
        A::Avg => Recipe::real(average::avg_udaf(), f64::NAN),
        A::Min if ty == ColumnType::Real => gathered(Gather::RealExtreme(false)),
        A::Max if ty == ColumnType::Real => gathered(Gather::RealExtreme(true)),
        A::Min => Recipe::plain(min_max::min_udaf(), None),
        A::Max => Recipe::plain(min_max::max_udaf(), None),
        A::ArgMin => Recipe::gathered(Gather::Extreme(false), aggregate, aggregate.args.len()),
        A::ArgMax => Recipe::gathered(Gather::Extreme(true), aggregate, aggregate.args.len()),
        A::TakeAny => Recipe::gathered(Gather::Any, aggregate, aggregate.args.len()),
        A::MakeList => gathered(Gather::List {
            limit: limit(aggregate),
            // A dynamic null is a value like another.
            nulls: aggregate
                .args
                .first()
                .is_some_and(|arg| arg.ty == ColumnType::Dynamic),
        }),
        A::MakeListWithNulls => gathered(Gather::List {
            limit: ELEMENTS_MAX,
            nulls: true,
        }),
        A::MakeSet => gathered(Gather::Set {
            limit: limit(aggregate),
        }),
        A::MakeBag => gathered(Gather::Bag {
            limit: limit(aggregate),
        }),
        A::Percentile => gathered(Gather::Ranks(percentiles(aggregate, 1))),
        A::PercentilesArray => gathered(Gather::RankArray(percentiles(aggregate, 1))),
        A::Stdev => Recipe::real(stddev::stddev_udaf(), 0.0),
        A::Stdevp => Recipe::real(stddev::stddev_pop_udaf(), 0.0),
        A::Variance => Recipe::real(variance::var_samp_udaf(), 0.0),
        A::Variancep => Recipe::real(variance::var_pop_udaf(), 0.0),
        A::BinaryAllAnd => gathered(Gather::Bits(BitFold::And)),
        A::BinaryAllOr => gathered(Gather::Bits(BitFold::Or)),
        A::BinaryAllXor => gathered(Gather::Bits(BitFold::Xor)),
    }
}

/// Whether the order of the rows shows in the result.
pub(crate) fn is_order_sensitive(aggregates: &[Aggregate]) -> bool {
    aggregates.iter().any(|aggregate| {
        matches!(
            aggregate.function,
            A::MakeList
                | A::MakeListWithNulls
                | A::MakeSet
                | A::MakeBag
                | A::TakeAny
                | A::ArgMax
                | A::ArgMin
        )
    })
}

impl Lowering<'_> {
    pub(crate) fn summarize(
        &mut self,
        relation: &Relation,
        input: Lowered,
        by: &[Expr],
        aggregates: &[Aggregate],
    ) -> Result<Lowered, Error> {
        if by.is_empty() && aggregates.is_empty() {
            // One row without a column, whatever the input has.
            let plan = LogicalPlanBuilder::empty(true).build()?;
            return self.project(plan, Vec::new(), relation);
        }
        let scope = Scope(&input.columns);
        // Keys, arguments and filters first become columns, so that aggregates only name columns.
        let args = aggregates.iter().flat_map(|a| a.args.iter());
        self.share_paths(by.iter().chain(args));
        let mut prepared = Vec::new();
        let mut keys = Vec::new();
        for key in by {
            let name = self.next_name();
            prepared.push(self.expr(key, &scope)?.alias(&name));
            keys.push(name);
        }
        let mut results = Vec::new();
        // The library holds that what once was unique still decides all columns of a later summary,
        // whatever a join in between has made of it, and drops keys of sorts and groups that it
        // thinks decided. It goes by the names of keys, so each summary has new ones.
        let groups: Vec<String> = keys.iter().map(|_| self.next_name()).collect();
        let mut finished: Vec<Plan> = groups.iter().map(|name| named(name)).collect();
        for aggregate in aggregates {
            let recipe = recipe(aggregate);
            let call = self.aggregate_call(aggregate, &recipe, &scope, &mut prepared)?;
            let name = self.next_name();
            results.push(call.alias(&name));
            self.finish_aggregate(aggregate, &recipe, &name, &mut finished)?;
        }
        self.paths.clear();
        if prepared.is_empty() {
            prepared.push(lit(true).alias(self.next_name()));
        }
        let keys = keys.iter().zip(&groups);
        let keys: Vec<Plan> = keys.map(|(key, group)| named(key).alias(group)).collect();
        let plan = plans::aggregated(plans::projected(input.plan, prepared)?, keys, results)?;
        // The library moves a condition that comes to a constant below a summary without groups,
        // which then makes its one row of nothing. It moves none below a limit.
        let plan = if by.is_empty() {
            LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?
        } else {
            plan
        };
        self.project(plan, finished, relation)
    }

    fn aggregate_call(
        &mut self,
        aggregate: &Aggregate,
        recipe: &Recipe,
        scope: &Scope<'_>,
        prepared: &mut Vec<Plan>,
    ) -> Result<Plan, Error> {
        let mut args = Vec::new();
        for arg in aggregate.args.iter().take(recipe.values) {
            let mut value = self.expr(arg, scope)?;
            let wanted = aggregate.outputs.first().copied();
            if recipe.as_real && arg.ty != ColumnType::Real {
                value = Plan::Cast(Cast::new(
                    Box::new(value),
                    crate::kernels::decimals::data_type(ColumnType::Real),
                ));
            } else if aggregate.function == A::Sum
                && wanted == Some(ColumnType::Long)
                && arg.ty == ColumnType::Int
            {
                value = Plan::Cast(Cast::new(
                    Box::new(value),
                    crate::kernels::decimals::data_type(ColumnType::Long),
                ));
            }
            let name = self.next_name();
            prepared.push(value.alias(&name));
            args.push(named(&name));
        }
        if recipe.values == 0 {
            args.push(lit(1_i64));
        }
        let filter = match &aggregate.filter {
            Some(filter) => {
                let name = self.next_name();
                prepared.push(self.predicate(filter, scope)?.alias(&name));
                Some(Box::new(named(&name)))
            }
            None => None,
        };
        let function = recipe.function.clone();
        let call =
            AggregateFunction::new_udf(function, args, recipe.distinct, filter, Vec::new(), None);
        Ok(Plan::AggregateFunction(call))
    }

    fn finish_aggregate(
        &mut self,
        aggregate: &Aggregate,
        recipe: &Recipe,
        name: &str,
        finished: &mut Vec<Plan>,
    ) -> Result<(), Error> {
        for (at, ty) in aggregate.outputs.iter().enumerate() {
            let mut value = named(name);
            if recipe.is_struct {
                value = self.kernel(Work::Field(at), vec![(value, *ty)], *ty);
            }
            if recipe.as_real && *ty == ColumnType::Decimal {
                // Computed as a real.
                value = self.kernel(Work::Cast, vec![(value, ColumnType::Real)], *ty);
            } else if let Some(default) = &recipe.default {
                value = or_else(value, Plan::Literal(default.clone(), None));
            } else if *ty == ColumnType::String {
                value = or_else(value, missing(*ty)?);
            }
            finished.push(value);
        }
        Ok(())
    }
}

/// Whether a value depends on the row.
fn reads_column(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Column(_) => true,
        ExprKind::Literal(_) | ExprKind::ToScalar(_) => false,
        ExprKind::Call { args, .. } => args.iter().any(reads_column),
        ExprKind::Cast(inner) => reads_column(inner),
        ExprKind::Path { base, key } => {
            reads_column(base) || matches!(key, PathKey::Computed(key) if reads_column(key))
        }
        ExprKind::Member { value, set, .. } => {
            reads_column(value)
                || match set {
                    Set::Exprs(exprs) => exprs.iter().any(reads_column),
                    Set::Array(array) => reads_column(array),
                    Set::Shared(_) => false,
                }
        }
        ExprKind::LookedUp { keys, .. } => keys.iter().any(reads_column),
    }
}
