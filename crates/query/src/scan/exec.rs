//! The plan's operator over segments: row groups decoded on several threads, given in order.
//!
//! While the query works on one row group's rows the next ones are read, decrypted, decoded and
//! filtered elsewhere. The order of rows is that of the segments, however many threads there are; for
//! a top by time it is that of their times ([`super::tops`]).
//!
//! What is projected right above the scan is computed there too, before rows are handed on.
//!
//! Rows of which nothing is asked but how many there are come from the segments' manifests: a segment
//! whose times all meet the conditions is not opened for them.
//!
//! LIMIT: [`workers`] row groups at once, each with at most [`AHEAD_BYTES`] of rows that wait (or one
//! batch). A scan whose rows are no longer wanted stops after the batch that is at work.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::bounds::Meets;
use super::groups::{self, Group, Job, Wanted};
use super::stages::{self, Stage, Step};
use super::tops::{self, Top};
use super::{Reads, Segment};

/// LIMIT: bytes of decoded rows of one row group that wait to be taken, about.
const AHEAD_BYTES: usize = 4 << 20;
/// Batches of one row group that wait, at most.
const AHEAD_BATCHES: usize = 16;
/// Processors that one scan may keep busy, at most.
const WORKERS_MAX: usize = 8;
/// Row groups under way for each processor. Rows go on in order, so that a group that is done before
/// its turn waits; another one has to be at work meanwhile.
const GROUPS_PER_WORKER: usize = 2;

/// Processors that a scan keeps busy.
fn workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(WORKERS_MAX)
}

/// Segments of a table as rows.
#[derive(Clone, Debug)]
pub(crate) struct SegmentsExec {
    segments: Vec<Arc<dyn Segment>>,
    wanted: Arc<Wanted>,
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    stages: Vec<Stage>,
    top: Option<Top>,
    /// Whether text may be given as dictionaries, in batches with schemas of their own.
    as_codes: bool,
    properties: Arc<PlanProperties>,
}

impl SegmentsExec {
    pub(super) fn new(segments: Vec<Arc<dyn Segment>>, wanted: Arc<Wanted>) -> Self {
        let properties = properties(wanted.output.clone());
        Self {
            segments,
            wanted,
            dynamic: Vec::new(),
            stages: Vec::new(),
            top: None,
            as_codes: false,
            properties,
        }
    }

    /// The same rows, projected.
    pub(crate) fn with_stage(&self, stage: &Stage, output: SchemaRef) -> Self {
        let mut scan = self.clone();
        scan.stages.push(stage.clone());
        scan.properties = properties(output);
        scan
    }

    /// The same rows for a top, which may want those at one end of the table's time first, and not all.
    pub(crate) fn for_top(&self, top: Top) -> Self {
        let mut scan = self.clone();
        top.sort(&mut scan.segments, &self.wanted);
        scan.top = Some(top);
        scan
    }

    /// The same rows after more stages, text as dictionaries where it lies so; what is read counts
    /// in `reads`. For who knows what to expect: batches are not of the operator's schema.
    pub(crate) fn coded(&self, stages: &[Stage], reads: &Arc<Reads>) -> Self {
        let mut scan = self.clone();
        scan.stages.extend_from_slice(stages);
        scan.as_codes = true;
        let wanted = Wanted {
            reads: reads.clone(),
            ..self.wanted.as_ref().clone()
        };
        scan.wanted = Arc::new(wanted);
        scan
    }

    /// How many rows it seems to give: all of the segments', or a fifth of them if something is
    /// asked of them that few rows may meet.
    pub(crate) fn guess(&self) -> u64 {
        let rows = self.segments.iter().map(|segment| segment.rows());
        let rows = rows.fold(0, u64::saturating_add);
        let mut conditions = self.wanted.conditions.iter();
        if conditions.any(|c| c.time.is_none() && !is_met_by_most(&c.expr)) {
            rows / ONE_IN
        } else {
            rows
        }
    }

    /// The same rows but for those that are asked not to come, if the column that says so comes from
    /// the segments as it is. Somebody above must be about to leave those out.
    pub(crate) fn asked(&self, column: usize, asking: &Asking<'_>) -> Self {
        let mut scan = self.clone();
        let Some(at) = stages::traced(&self.stages, column) else {
            return scan;
        };
        let Some(field) = self.wanted.output.fields().get(at) else {
            return scan;
        };
        if asking.values.saturating_mul(FEW) <= self.guess() {
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
            scan.dynamic
                .extend((asking.test)(&column, field.data_type()));
        } else if let Some(step) = (asking.step)(column, field.data_type()) {
            scan.stages.push(Stage::Step(step));
        }
        scan
    }

    /// Whether two columns are copies of one.
    pub(crate) fn are_same(&self, a: usize, b: usize) -> bool {
        let traced = |column| stages::traced(&self.stages, column);
        a == b || traced(a).is_some_and(|a| traced(b) == Some(a))
    }

    /// Whether all that is asked of a segment is how many rows it has.
    fn is_known(&self, segment: &Arc<dyn Segment>) -> bool {
        let wanted = &self.wanted;
        let bare = wanted.projection.is_empty() && self.dynamic.is_empty();
        bare && self.stages.is_empty()
            && wanted.conditions.iter().all(|condition| {
                let pair = condition.time.zip(segment.time());
                pair.is_some_and(|(bound, (from, to))| bound.meets(from.0, to.0) == Meets::All)
            })
    }

    /// Where what is read is counted.
    pub(crate) fn reads(&self) -> Arc<Reads> {
        self.wanted.reads.clone()
    }
}

/// What is asked of a column.
pub(crate) struct Asking<'a> {
    /// How many values there are to meet, at most.
    pub(crate) values: u64,
    pub(crate) test: &'a Test<'a>,
    pub(crate) step: &'a MakeStep<'a>,
}

/// Makes conditions over a column of a type for while rows are decoded: other columns of rows that do
/// not meet them need not be, but this one is decoded once more.
type Test<'a> = dyn Fn(&Arc<dyn PhysicalExpr>, &DataType) -> Vec<Arc<dyn PhysicalExpr>> + 'a;

/// Makes what leaves rows out once they are decoded, if that is not done anyway.
type MakeStep<'a> = dyn Fn(usize, &DataType) -> Option<Arc<dyn Step>> + 'a;

/// Values are few when there are so many times as many rows: then whole pages have none of them.
const FEW: u64 = 50;

/// A condition is thought to leave one row of these: the library's own guess.
pub(crate) const ONE_IN: u64 = 5;

/// Whether a condition says only what a value is not.
fn is_met_by_most(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let binary = condition.downcast_ref::<BinaryExpr>();
    binary.is_some_and(|binary| *binary.op() == Operator::NotEq)
        || condition.downcast_ref::<IsNotNullExpr>().is_some()
}

fn properties(output: SchemaRef) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(output),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

impl DisplayAs for SegmentsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentsExec: segments={}", self.segments.len())?;
        for condition in &self.wanted.conditions {
            write!(f, ", {}", condition.expr)?;
        }
        for expr in &self.dynamic {
            write!(f, ", {expr}")?;
        }
        if !self.stages.is_empty() {
            write!(f, ", stages={}", self.stages.len())?;
        }
        if let Some(top) = &self.top {
            write!(f, ", {top}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for SegmentsExec {
    fn name(&self) -> &'static str {
        "SegmentsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in &self.dynamic {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        plan_err!("SegmentsExec has no input")
    }

    /// What a join or a top learns while it runs spares rows here; it tests them itself, too.
    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        found: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters = found.parent_filters.len();
        let answer =
            FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters]);
        if filters == 0 || !self.stages.is_empty() || !matches!(phase, FilterPushdownPhase::Post) {
            return Ok(answer);
        }
        let mut dynamic = self.dynamic.clone();
        dynamic.extend(found.parent_filters.into_iter().map(|f| f.filter));
        let node = Self {
            dynamic,
            ..self.clone()
        };
        Ok(answer.with_updated_node(Arc::new(node)))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let output = self.properties.eq_properties.schema().clone();
        let job = Arc::new(Job {
            wanted: self.wanted.clone(),
            dynamic: self.dynamic.clone(),
            stages: self.stages.clone(),
            top: self.top.clone(),
            output: (!self.as_codes).then(|| output.clone()),
            stop: AtomicBool::new(false),
            runtime: Handle::current(),
        });
        let (known, segments): (Vec<_>, Vec<_>) = self
            .segments
            .iter()
            .cloned()
            .partition(|s| self.is_known(s));
        let feed = Feed {
            job,
            known: known.into(),
            left: 0,
            segments: segments.into(),
            opening: VecDeque::new(),
            groups: VecDeque::new(),
            running: VecDeque::new(),
        };
        let stream = futures::stream::try_unfold(feed, |mut feed| async move {
            let batch = feed.next().await?;
            Ok::<_, DataFusionError>(batch.map(|batch| (batch, feed)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(output, stream)))
    }
}

/// Rows on their way, in order.
struct Feed {
    job: Arc<Job>,
    /// Segments of which only the number of rows is asked.
    known: VecDeque<Arc<dyn Segment>>,
    /// Rows of such a segment that are still to be given.
    left: u64,
    segments: VecDeque<Arc<dyn Segment>>,
    opening: VecDeque<JoinHandle<Result<Vec<Group>>>>,
    groups: VecDeque<Group>,
    running: VecDeque<Running>,
}

/// A row group at work.
struct Running {
    batches: mpsc::Receiver<RecordBatch>,
    ends: JoinHandle<Result<()>>,
}

impl Feed {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(rows) = self.known_rows() {
            return groups::bare(&self.job, rows).map(Some);
        }
        loop {
            self.fill().await?;
            let Some(first) = self.running.front_mut() else {
                return Ok(None);
            };
            if let Some(batch) = first.batches.recv().await {
                return Ok(Some(batch));
            }
            if let Some(first) = self.running.pop_front() {
                joined(first.ends).await?;
            }
        }
    }

    /// How many rows come next without anything of them being read.
    fn known_rows(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.left = self.known.pop_front()?.rows();
            let read = &self.job.wanted.reads.rows;
            read.fetch_add(self.left, Ordering::Relaxed);
        }
        let rows_max = self.job.wanted.batch_rows;
        let rows = usize::try_from(self.left).map_or(rows_max, |left| left.min(rows_max));
        self.left = self
            .left
            .saturating_sub(u64::try_from(rows).unwrap_or(u64::MAX));
        Some(rows)
    }

    /// Sets as many row groups to work as may be.
    async fn fill(&mut self) -> Result<()> {
        let workers = workers();
        while self.running.len() < workers * GROUPS_PER_WORKER {
            while self.opening.len() < workers
                && let Some(segment) = self.segments.pop_front()
            {
                if tops::rules_out(&self.job, segment.as_ref())? {
                    continue;
                }
                let job = self.job.clone();
                let work = move || groups::open(&job, &segment);
                self.opening.push_back(tokio::task::spawn_blocking(work));
            }
            if let Some(group) = self.groups.pop_front() {
                self.running.push_back(self.start(group));
            } else if let Some(opening) = self.opening.pop_front() {
                self.groups.extend(joined(opening).await?);
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    fn start(&self, group: Group) -> Running {
        let job = self.job.clone();
        let row_bytes = group.row_bytes(&job.wanted);
        let batch_bytes = row_bytes.saturating_mul(job.wanted.batch_rows);
        let ahead = (AHEAD_BYTES / batch_bytes.max(1)).clamp(1, AHEAD_BATCHES);
        let (send, batches) = mpsc::channel(ahead);
        let work = move || group.read(&job, |batch| send.blocking_send(batch).is_ok());
        Running {
            batches,
            ends: tokio::task::spawn_blocking(work),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.job.stop.store(true, Ordering::Relaxed);
    }
}

/// What a thread found; its panic goes on here.
pub(crate) async fn joined<T>(task: JoinHandle<Result<T>>) -> Result<T> {
    match task.await {
        Ok(found) => found,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        },
    }
}
