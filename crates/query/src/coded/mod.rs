//! Operators over segments that go by the codes of dictionaries.
//!
//! [`ByCodes`] looks through a plan once it is made. A summary whose rows come straight from tables
//! becomes a [`fold::FoldExec`], a join over tables a [`join::JoinExec`], and a projection right over
//! a table's segments is computed where they are decoded. Between these operators text stays the
//! dictionary that it is in its segment: a distinct value is looked up or copied once per row group,
//! and a row costs a few reads of tables of numbers.
//!
//! Promise: the same rows as the library's operators give.

mod among;
mod elements;
mod fold;
mod gather;
mod groups;
mod join;
mod kept;
mod keys;
mod meet;
mod numbers;
mod rounds;
mod source;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{
    Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;

use self::fold::FoldExec;
use self::join::JoinExec;
use crate::copies::below_sorts;
use crate::kernels::args::Guard;
use crate::scan::SegmentsExec;
use crate::watch::WatchJoins;

/// Puts the operators of this module where they belong, and sees to it that other joins can be
/// stopped ([`crate::watch`]).
#[derive(Clone, Debug)]
pub(crate) struct ByCodes {
    guard: Guard,
}

impl ByCodes {
    pub(crate) fn new(guard: Guard) -> Self {
        Self { guard }
    }

    /// The plan with these operators in it.
    pub(super) fn applied(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        self.guard.check()?;
        let plan = plan.transform_down(|plan| self.replaced(plan)).data()?;
        let plan = WatchJoins::new(self.guard.clone()).watch(plan)?;
        below_sorts(plan, &self.guard)
    }

    /// The plan with these operators below its first one.
    pub(super) fn below(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let children = plan.children().into_iter().cloned();
        let children: Result<Vec<_>> = children.map(|child| self.applied(child)).collect();
        replace_children_if_necessary(plan.clone(), children?)
    }

    fn replaced(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
        // Nothing below these two is looked at: they have their own copies.
        let jump = TreeNodeRecursion::Jump;
        if let Some(aggregate) = plan.downcast_ref::<AggregateExec>()
            && let Some(fold) = FoldExec::of(aggregate, &plan, self)?
        {
            return Ok(Transformed::new(Arc::new(fold), true, jump));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>()
            && let Some(join) = JoinExec::of(join, self, 0)?
        {
            return Ok(Transformed::new(Arc::new(join.plain(self)?), true, jump));
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>()
            && let Some(scan) = computed_in_scan(projection)
        {
            return Ok(Transformed::yes(scan));
        }
        Ok(Transformed::no(plan))
    }
}

impl PhysicalOptimizerRule for ByCodes {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.applied(plan)
    }

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "by_codes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A projection that computes something right over segments, computed by their operator.
fn computed_in_scan(projection: &ProjectionExec) -> Option<Arc<dyn ExecutionPlan>> {
    let mut exprs = projection.expr().iter();
    if !exprs.any(|p| p.expr.downcast_ref::<Column>().is_none()) {
        return None;
    }
    let below = source::uncovered(projection.input());
    let segments = below.downcast_ref::<SegmentsExec>()?;
    let stage = source::stage_of(projection);
    Some(Arc::new(segments.with_stage(&stage, projection.schema())))
}
