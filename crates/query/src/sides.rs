//! What the library's rules do not see to at the sides of a join, and where a union is sorted.
//!
//! [`MayBeMissing`]: a column that is the same in all rows of a side is null in some rows of an outer
//! join. The library would still count it among those with one value, and a summary by it would think
//! that rows come in the order of its groups, and give groups twice.
//!
//! Likewise a column that has one value in each part of a union but not the same: by that a sort would
//! not sort. Nor may a sort go below a union: what is equal there, as two names of one column are, need
//! not be in the order above, and the library then refuses its own plan.
//!
//! [`SmallerFirst`]: which side of a join is taken in whole.
//! A hash join keeps its first side in memory and passes the other one by it; what it learns of the
//! first one's keys spares the scan of the other rows. So the smaller side goes first, as far as that
//! can be told before anything is read: by the rows of a table's segments.
//!
//! Promise: the rows of a join are the same either way. In which order they come is not said by the
//! language, and is that of the side that passes by.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{JoinType, Result};
use datafusion::physical_expr::{AcrossPartitions, ConstExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;

use crate::kernels::args::Guard;
use crate::nodes::{Action, OneInput};
use crate::scan::{ONE_IN, SegmentsExec};

/// Ends what is known of the rows of a side that may be missing, where that is that a column has one
/// value, and of those of a union that are to be sorted. For before all other rules.
#[derive(Debug)]
pub(crate) struct MayBeMissing {
    pub(crate) guard: Guard,
}

impl PhysicalOptimizerRule for MayBeMissing {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| self.forgotten(plan)).data()
    }

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "may_be_missing"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl MayBeMissing {
    fn forgotten(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
        if let Some(sort) = plan.downcast_ref::<SortExec>() {
            let input = sort.input();
            let differs =
                |known: &ConstExpr| known.across_partitions == AcrossPartitions::Heterogeneous;
            let known = &input.properties().eq_properties;
            if !known.constants().iter().any(differs) && !is_of_union(input) {
                return Ok(Transformed::no(plan));
            }
            let forget = OneInput::new(input.clone(), Action::Forget, self.guard.clone());
            let inputs: Vec<Arc<dyn ExecutionPlan>> = vec![Arc::new(forget)];
            return Ok(Transformed::yes(replace_children_if_necessary(
                plan, inputs,
            )?));
        }
        let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
            return Ok(Transformed::no(plan));
        };
        let (left, right) = match join.join_type() {
            JoinType::Left => (false, true),
            JoinType::Right => (true, false),
            JoinType::Full => (true, true),
            _ => return Ok(Transformed::no(plan)),
        };
        let side = |may_be_missing: bool, side: &Arc<dyn ExecutionPlan>| {
            let known = side.properties().eq_properties.constants();
            if may_be_missing && !known.is_empty() {
                let forget = OneInput::new(side.clone(), Action::Forget, self.guard.clone());
                return Arc::new(forget) as Arc<dyn ExecutionPlan>;
            }
            side.clone()
        };
        let sides = vec![side(left, join.left()), side(right, join.right())];
        Ok(Transformed::yes(replace_children_if_necessary(
            plan, sides,
        )?))
    }
}

/// Whether the rows are those of a union, with no more than columns and conditions in between.
fn is_of_union(mut plan: &Arc<dyn ExecutionPlan>) -> bool {
    while plan.is::<ProjectionExec>() || plan.is::<FilterExec>() {
        let Some(below) = plan.children().pop() else {
            return false;
        };
        plan = below;
    }
    plan.is::<UnionExec>()
}

/// How many times larger the first side must seem: guesses closer than that say nothing.
const CLEARLY: u64 = 2;

/// Exchanges the sides of a join whose first side seems the larger one.
#[derive(Debug)]
pub(crate) struct SmallerFirst;

impl PhysicalOptimizerRule for SmallerFirst {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(exchanged).data()
    }

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "smaller_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn exchanged(plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
        return Ok(Transformed::no(plan));
    };
    let larger = match (rows(join.left().as_ref()), rows(join.right().as_ref())) {
        (Some(left), Some(right)) => left / CLEARLY > right,
        _ => false,
    };
    if !larger || !join.join_type().supports_swap() || join.null_aware {
        return Ok(Transformed::no(plan));
    }
    Ok(Transformed::yes(join.swap_inputs(*join.partition_mode())?))
}

/// How many rows a part of a plan seems to have; `None` where nothing is known.
fn rows(plan: &dyn ExecutionPlan) -> Option<u64> {
    if let Some(scan) = plan.downcast_ref::<SegmentsExec>() {
        return Some(scan.guess());
    }
    let mut inputs = Vec::new();
    for child in plan.children() {
        inputs.push(rows(child.as_ref())?);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return Some(match (join.join_type(), inputs.as_slice()) {
            (JoinType::LeftSemi | JoinType::LeftAnti, [left, _]) => *left,
            (JoinType::RightSemi | JoinType::RightAnti, [_, right]) => *right,
            (_, inputs) => inputs.iter().copied().max()?,
        });
    }
    match inputs.as_slice() {
        [] => {
            let known = StatisticsContext::new().compute(plan, &StatisticsArgs::new());
            let rows = *known.ok()?.num_rows.get_value()?;
            u64::try_from(rows).ok()
        }
        [input] => {
            let fewer = plan.is::<FilterExec>() || plan.is::<AggregateExec>();
            let rows = if fewer { input / ONE_IN } else { *input };
            let most = plan.fetch().and_then(|most| u64::try_from(most).ok());
            Some(most.map_or(rows, |most| rows.min(most)))
        }
        inputs if plan.is::<UnionExec>() => Some(inputs.iter().sum()),
        _ => None,
    }
}
