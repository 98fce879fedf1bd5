//! A join that looks at the query's switch while it is built.
//!
//! A hash join takes in its left side row by row and then makes its table of all of them at once,
//! without a pause in which a cancelled query could end. It evaluates its keys batch by batch,
//! though, and a key can look. Nor does it pause while the rows of one batch meet millions of others
//! with the same key; a condition on the pairs is evaluated for each few thousand of them, and looks.
//!
//! A join in parts has its rows apart by its keys as they are, so there the condition alone looks: the
//! table of a part is made without a pause.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use crate::kernels::args::Guard;

/// Makes the first left key of every hash join a [`Looking`] one, unless it is in parts, and its
/// condition; where it has none it gets one that holds.
#[derive(Debug)]
pub(crate) struct WatchJoins {
    guard: Guard,
}

impl WatchJoins {
    pub(crate) fn new(guard: Guard) -> Self {
        Self { guard }
    }

    /// The plan with all its joins watched.
    pub(crate) fn watch(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| self.watched(plan)).data()
    }

    fn watched(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
        let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
            return Ok(Transformed::no(plan));
        };
        let mut on = join.on().to_vec();
        let Some((left, _)) = on.first_mut() else {
            return Ok(Transformed::no(plan));
        };
        if *join.partition_mode() != PartitionMode::Partitioned {
            *left = self.looking(left.clone());
        }
        let filter = match join.filter() {
            Some(filter) => JoinFilter::new(
                self.looking(filter.expression().clone()),
                filter.column_indices().to_vec(),
                filter.schema().clone(),
            ),
            None => JoinFilter::new(self.looking(lit(true)), Vec::new(), Schema::empty().into()),
        };
        let watched = join.builder().with_on(on).with_filter(Some(filter));
        Ok(Transformed::yes(watched.build_exec()?))
    }

    fn looking(&self, inner: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        let guard = self.guard.clone();
        Arc::new(Looking { inner, guard })
    }
}

/// An expression that fails once the query is cancelled.
#[derive(Debug)]
struct Looking {
    inner: Arc<dyn PhysicalExpr>,
    guard: Guard,
}

impl PartialEq for Looking {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Looking {}

impl Hash for Looking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Looking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Looking {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.inner.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.inner.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.guard.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(inner) if children.is_empty() => Ok(Arc::new(Self {
                inner,
                guard: self.guard.clone(),
            })),
            _ => plan_err!("a key has one expression"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
