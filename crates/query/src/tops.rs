//! What a top wants, told to the scans below it.
//!
//! [`TellTops`] looks for sorts of which only the first rows are kept, and hands their order down to
//! the scans that the rows come from, through operators that take one row to at most one and do not
//! care for their order. How many rows are wanted goes with it as long as no row is left out on the
//! way. The scans then read first what may come first ([`Top`]); the sort stays where it is.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;

use crate::nodes::OneInput;
use crate::scan::{SegmentsExec, Top};
use crate::widen::WidenExec;

/// Tells scans what the tops above them want. For before the scans are told what a top learns.
#[derive(Debug)]
pub(crate) struct TellTops;

impl PhysicalOptimizerRule for TellTops {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(told_by).data()
    }

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "tell_tops"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn told_by(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(sort) = plan.downcast_ref::<SortExec>() else {
        return Ok(Transformed::no(plan));
    };
    let Some(rows) = sort.fetch() else {
        return Ok(Transformed::no(plan));
    };
    let keys = sort.expr().iter();
    let keys: Vec<_> = keys.map(|key| (column(&key.expr), key.options)).collect();
    let Some(input) = told(sort.input(), &top(keys, Some(rows)))? else {
        return Ok(Transformed::no(plan));
    };
    let plan = replace_children_if_necessary(plan, vec![input])?;
    Ok(Transformed::yes(plan))
}

/// Which column an expression is, if it is one.
fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    Some(expr.downcast_ref::<Column>()?.index())
}

/// The order as far as it goes by columns.
fn top(keys: Vec<(Option<usize>, SortOptions)>, rows: Option<usize>) -> Top {
    let all = keys.len();
    let known = keys
        .into_iter()
        .map_while(|(column, options)| Some((column?, options)));
    let keys: Vec<_> = known.collect();
    let rows = rows.filter(|_| keys.len() == all);
    Top { keys, rows }
}

/// The plan with scans that know of the top; `None` if there are none.
fn told(plan: &Arc<dyn ExecutionPlan>, wanted: &Top) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if wanted.keys.is_empty() {
        return Ok(None);
    }
    if let Some(scan) = plan.downcast_ref::<SegmentsExec>() {
        return Ok(Some(Arc::new(scan.for_top(wanted.clone()))));
    }
    let moved = |rows: Option<usize>, below: &dyn Fn(usize) -> Option<usize>| {
        let keys = wanted.keys.iter();
        top(keys.map(|(at, how)| (below(*at), *how)).collect(), rows)
    };
    let wanted = if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let exprs = projection.expr();
        moved(wanted.rows, &|at| column(&exprs.get(at)?.expr))
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        if filter.fetch().is_some() {
            return Ok(None);
        }
        let projection = filter.projection().as_deref();
        moved(None, &|at| {
            projection.map_or(Some(at), |p| p.get(at).copied())
        })
    } else if let Some(widen) = plan.downcast_ref::<WidenExec>() {
        moved(wanted.rows, &|at| widen.below(at))
    } else if plan.is::<UnionExec>()
        || plan.is::<CoalescePartitionsExec>() && plan.fetch().is_none()
        || plan
            .downcast_ref::<OneInput>()
            .is_some_and(|one| one.forgets().is_some())
    {
        wanted.clone()
    } else {
        return Ok(None);
    };
    let mut any = false;
    let mut children = Vec::new();
    for child in plan.children() {
        let knows = told(child, &wanted)?;
        any |= knows.is_some();
        children.push(knows.unwrap_or_else(|| child.clone()));
    }
    if !any {
        return Ok(None);
    }
    replace_children_if_necessary(plan.clone(), children).map(Some)
}
