//! Which side of a join is taken in whole.
//!
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
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;

use crate::scan::SegmentsExec;

/// A condition, or a grouping, is thought to leave one row of these: the library's own guess.
const ONE_IN: u64 = 5;
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
        return Some(if scan.is_conditional() {
            scan.rows() / ONE_IN
        } else {
            scan.rows()
        });
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
