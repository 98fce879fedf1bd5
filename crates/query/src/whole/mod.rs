//! Operators that see all rows of their inputs at once, in order: functions of neighbouring rows,
//! `make-series`, `scan`, patterns in graphs.
//!
//! [`Whole`] is one logical node for all of them; its physical form collects each input into one
//! batch, in sight of the memory pool, and hands them to the [`Task`]. Functions of neighbouring rows
//! need no more than a few rows at once: those go through batch by batch.

mod graph;
mod scan;
mod series;
mod window;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef, Result, plan_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, PlanProperties};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

pub(crate) use graph::{ComponentsTask, MatchTask};
pub(crate) use scan::{ScanTask, StepPlan};
pub(crate) use series::SeriesTask;
use window::Passing;
pub(crate) use window::WindowTask;

use crate::copies::{in_portions, of_its_own};
use crate::kernels::args::Guard;

/// What is done with the rows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Task {
    Window(WindowTask),
    Series(SeriesTask),
    Scan(ScanTask),
    Match(MatchTask),
    Components(ComponentsTask),
}

/// All rows of all inputs, then a task over them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Whole {
    pub(crate) inputs: Vec<LogicalPlan>,
    pub(crate) task: Task,
    pub(crate) schema: DFSchemaRef,
}

impl PartialOrd for Whole {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self == other).then_some(std::cmp::Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for Whole {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "Whole"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        // Those of `scan` read more than the input and are planned with the node.
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if inputs.len() != self.inputs.len() {
            return plan_err!("Whole keeps its inputs");
        }
        if let (Task::Window(task), [input]) = (&self.task, inputs.as_slice()) {
            let task = task.over(input.schema().fields().len());
            let schema = window_schema(&self.schema, input.schema(), task.width)?;
            let task = Task::Window(task);
            return Ok(Self {
                inputs,
                task,
                schema,
            });
        }
        Ok(Self {
            inputs,
            ..self.clone()
        })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        if let Task::Window(task) = &self.task {
            return Some(vec![task.needed(output_columns)]);
        }
        let all = self.inputs.iter();
        Some(
            all.map(|input| (0..input.schema().fields().len()).collect())
                .collect(),
        )
    }
}

/// The first columns of the input, and what the function gives.
pub(crate) fn window_schema(
    known: &DFSchemaRef,
    input: &DFSchemaRef,
    width: usize,
) -> Result<DFSchemaRef> {
    let Some(made) = known.fields().len().checked_sub(1) else {
        return plan_err!("a window gives a column");
    };
    let field = |schema: &DFSchemaRef, at: usize| {
        let (qualifier, field) = schema.qualified_field(at);
        (qualifier.cloned(), field.clone())
    };
    let mut fields: Vec<_> = (0..width).map(|at| field(input, at)).collect();
    fields.push(field(known, made));
    let schema = DFSchema::new_with_metadata(fields, known.metadata().clone())?;
    Ok(Arc::new(schema))
}

/// The physical form of [`Whole`].
#[derive(Debug)]
pub(crate) struct WholeExec {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    task: Task,
    /// The task's expressions, planned: those of `scan`.
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    guard: Guard,
    properties: Arc<PlanProperties>,
    schema: SchemaRef,
}

impl WholeExec {
    pub(crate) fn new(
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        task: Task,
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
        guard: Guard,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            datafusion::physical_expr::Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self {
            inputs,
            task,
            exprs,
            guard,
            properties,
            schema,
        }
    }
}

impl DisplayAs for WholeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for WholeExec {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "WholeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition; self.inputs.len()])
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        // The task's expressions do not read the inputs alone, so no rule may look into them.
        let _ = f;
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(
            children,
            self.task.clone(),
            self.exprs.clone(),
            self.schema.clone(),
            self.guard.clone(),
        )))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            inputs.push(input.execute(partition, context.clone())?);
        }
        if let (Task::Window(task), true) = (&self.task, inputs.len() == 1)
            && task.passes()
            && let Some(input) = inputs.pop()
        {
            let passing = Passing::new(task.clone(), self.schema.clone(), self.guard.clone());
            return Ok(self.passed(input, passing));
        }
        let memory = MemoryConsumer::new("WholeExec").register(context.memory_pool());
        let rows_max = context.session_config().batch_size();
        let (task, exprs) = (self.task.clone(), self.exprs.clone());
        let (guard, schema) = (self.guard.clone(), self.schema.clone());
        let work = async move {
            let mut memory = memory;
            let mut batches = Vec::with_capacity(inputs.len());
            for input in inputs {
                batches.push(collect(input, &mut memory, &guard).await?);
            }
            let batch = task.run(&batches, &exprs, &schema, &guard)?;
            memory.try_grow(batch.get_array_memory_size())?;
            Ok::<_, datafusion::common::DataFusionError>((batch, memory))
        };
        let slices = stream::once(work).map_ok(move |(batch, memory)| {
            // The reservation lives as long as the rows do.
            stream::iter(in_portions(batch, rows_max.max(1))).map(move |portion| {
                let _held = &memory;
                portion
            })
        });
        let schema = self.schema.clone();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            slices.try_flatten(),
        )))
    }
}

impl WholeExec {
    /// Rows go through, batch by batch.
    fn passed(
        &self,
        input: SendableRecordBatchStream,
        passing: Passing,
    ) -> SendableRecordBatchStream {
        let guard = self.guard.clone();
        let start = (input, passing, false);
        let rows = stream::try_unfold(start, move |(mut input, mut passing, ended)| {
            let guard = guard.clone();
            async move {
                if ended {
                    return Ok(None);
                }
                while let Some(batch) = input.next().await {
                    guard.check()?;
                    if let Some(made) = passing.next(batch?)? {
                        return Ok(Some((made, (input, passing, false))));
                    }
                }
                let rest = passing.rest()?;
                Ok(rest.map(|made| (made, (input, passing, true))))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

async fn collect(
    mut input: SendableRecordBatchStream,
    memory: &mut MemoryReservation,
    guard: &Guard,
) -> Result<RecordBatch> {
    let schema = input.schema();
    let mut batches = Vec::new();
    while let Some(batch) = input.next().await {
        guard.check()?;
        let batch = of_its_own(batch?)?;
        // Once for the batches, once for their concatenation.
        memory.try_grow(batch.get_array_memory_size().saturating_mul(2))?;
        batches.push(batch);
    }
    Ok(concat_batches(&schema, &batches)?)
}

impl Task {
    fn run(
        &self,
        inputs: &[RecordBatch],
        exprs: &[Arc<dyn PhysicalExpr>],
        schema: &SchemaRef,
        guard: &Guard,
    ) -> Result<RecordBatch> {
        match (self, inputs) {
            (Self::Window(task), [input]) => task.whole(input, schema, guard),
            (Self::Series(task), [input]) => task.run(input, schema, guard),
            (Self::Match(task), [nodes, edges]) => task.run(nodes, edges, schema, guard),
            (Self::Components(task), [nodes, edges]) => task.run(nodes, edges, schema, guard),
            (Self::Scan(task), [input]) => task.run(input, exprs, schema, guard),
            _ => plan_err!("a task over another number of inputs"),
        }
    }
}
