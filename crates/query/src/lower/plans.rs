//! Nodes of a plan whose columns go by names of our own.
//!
//! The library's builder would look through the whole plan below once per expression for what a name
//! may mean, which makes a long query cost the cube of its length. A name of our own means one thing,
//! so here a node is made of its expressions as they stand. Only rows as they come from a table, whose
//! columns go by the table's name too, are left to the builder; nothing is below them.

use std::sync::Arc;

use datafusion::common::{Column, NullEquality};
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder, Sort,
    SortExpr, Union,
};

use super::exprs::named;
use crate::error::Error;
use crate::widen;

/// Whether an expression finds all columns by their bare names.
pub(crate) fn is_plain(plan: &LogicalPlan) -> bool {
    plan.schema().iter().all(|(table, _)| table.is_none())
}

/// `exprs`, each with a name of its own, of the rows of `plan`.
pub(crate) fn projected(plan: LogicalPlan, exprs: Vec<Expr>) -> Result<LogicalPlan, Error> {
    if is_plain(&plan) {
        return Ok(widen::projected(Arc::new(plan), exprs)?);
    }
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}

/// The same rows under other names, one for each of `columns`.
pub(crate) fn renamed(
    plan: LogicalPlan,
    columns: &[String],
    names: &[String],
) -> Result<LogicalPlan, Error> {
    let (input, exprs) = match widen::parts(&plan) {
        Some((input, exprs)) if exprs.len() == names.len() => (input.clone(), exprs),
        _ => {
            let exprs = columns.iter().map(|name| named(name)).collect();
            (Arc::new(plan), exprs)
        }
    };
    let exprs = exprs.into_iter().zip(names);
    let exprs = exprs.map(|(expr, name)| expr.unalias().alias(name));
    projected(Arc::unwrap_or_clone(input), exprs.collect())
}

/// All rows of all plans; columns go by their places, under the names of the first.
///
/// All at once: one pair in another would be planned anew at each of its levels. Where all give the
/// same names, the library does not collect the names of all of them again and again.
pub(crate) fn united(plans: Vec<LogicalPlan>) -> Result<LogicalPlan, Error> {
    let plans: Vec<_> = plans.into_iter().map(Arc::new).collect();
    Ok(match <[_; 1]>::try_from(plans) {
        Ok([only]) => Arc::unwrap_or_clone(only),
        Err(plans) => LogicalPlan::Union(Union::try_new_with_loose_types(plans)?),
    })
}

/// The rows of `plan` for which `predicate` holds.
pub(crate) fn filtered(plan: LogicalPlan, predicate: Expr) -> Result<LogicalPlan, Error> {
    if let LogicalPlan::Union(union) = &plan
        && let Some(plans) = widen::each_filtered(&union.inputs, &predicate)?
    {
        return united(plans);
    }
    if is_plain(&plan) {
        let filter = Filter::try_new(predicate, Arc::new(plan))?;
        return Ok(LogicalPlan::Filter(filter));
    }
    Ok(LogicalPlanBuilder::from(plan).filter(predicate)?.build()?)
}

/// One row per group of `plan`, a projection's: the keys, then the results.
pub(crate) fn aggregated(
    plan: LogicalPlan,
    keys: Vec<Expr>,
    results: Vec<Expr>,
) -> Result<LogicalPlan, Error> {
    let node = Aggregate::try_new(Arc::new(plan), keys, results)?;
    Ok(LogicalPlan::Aggregate(node))
}

/// The rows of `plan`, a projection's, in order.
pub(crate) fn sorted(plan: LogicalPlan, expr: Vec<SortExpr>) -> LogicalPlan {
    LogicalPlan::Sort(Sort {
        expr,
        input: Arc::new(plan),
        fetch: None,
    })
}

/// Two projections joined where all their keys are the same; nulls are the same as nulls.
pub(crate) fn joined(
    left: LogicalPlan,
    right: LogicalPlan,
    kind: JoinType,
    on: impl Iterator<Item = (Column, Column)>,
) -> Result<LogicalPlan, Error> {
    let on = on.map(|(l, r)| (Expr::Column(l), Expr::Column(r)));
    let join = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on.collect(),
        None,
        kind,
        JoinConstraint::On,
        NullEquality::NullEqualsNull,
        false,
    )?;
    Ok(LogicalPlan::Join(join))
}
