//! Where the rows of a summary or a join come from: tables, and joins of tables.
//!
//! Promise: rows come one source after the other, in the order of the query, whatever thread was
//! first. Up to [`INPUTS_AHEAD`] sources are at work at once.

use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ByCodes;
use super::join::JoinExec;
use crate::nodes::OneInput;
use crate::scan::stages::{Stage, Stages, Step, traced};
use crate::scan::{Asking, Reads, SegmentsExec, joined};

/// Sources of one operator that are read at once.
const INPUTS_AHEAD: usize = 4;
/// Batches of each that wait.
const BATCHES_AHEAD: usize = 4;

/// A part of a plan that gives rows, and what is still to be computed of its columns.
///
/// It is found first, and [`Source::ready`] when it is to be used.
#[derive(Clone, Debug)]
pub(super) struct Source {
    plan: Leaf,
    stages: Vec<Stage>,
}

#[derive(Clone, Debug)]
enum Leaf {
    Segments(SegmentsExec),
    Join(JoinExec),
    /// Anything else; its text is plain.
    Other(Arc<dyn ExecutionPlan>),
}

impl Source {
    fn new(plan: Leaf) -> Self {
        let stages = Vec::new();
        Self { plan, stages }
    }

    /// The same rows with text as dictionaries where it is one; what is read counts in `reads`.
    pub(super) fn ready(mut self, reads: &Arc<Reads>, rule: &ByCodes) -> Result<Self> {
        self.plan = match self.plan {
            Leaf::Segments(segments) => {
                let stages = std::mem::take(&mut self.stages);
                Leaf::Segments(segments.coded(&stages, reads))
            }
            Leaf::Join(join) => Leaf::Join(join.coded(reads, rule)?),
            Leaf::Other(plan) => Leaf::Other(rule.applied(plan)?),
        };
        Ok(self)
    }

    /// How many rows it seems to give; 0 where nothing is known.
    pub(super) fn guess(&self) -> u64 {
        match &self.plan {
            Leaf::Segments(segments) => segments.guess(),
            Leaf::Join(_) | Leaf::Other(_) => 0,
        }
    }

    /// Whether it is a table's segments.
    pub(super) fn is_segments(&self) -> bool {
        matches!(self.plan, Leaf::Segments(_))
    }

    /// Whether it can be [`Source::asked`] at all.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.plan, Leaf::Segments(_) | Leaf::Join(_))
    }

    /// Whether two columns are copies of one.
    pub(super) fn are_same(&self, a: usize, b: usize) -> bool {
        match (traced(&self.stages, a), traced(&self.stages, b)) {
            (Some(a), Some(b)) => match &self.plan {
                Leaf::Segments(segments) => segments.are_same(a, b),
                Leaf::Join(join) => join.are_same(a, b),
                Leaf::Other(_) => a == b,
            },
            _ => a == b,
        }
    }

    /// Leaves out rows that are asked not to come, as far as tables can tell: somebody above must be
    /// about to do so.
    pub(super) fn asked(&mut self, column: usize, asking: &Asking<'_>) {
        let Some(column) = traced(&self.stages, column) else {
            return;
        };
        match &mut self.plan {
            Leaf::Segments(segments) => *segments = segments.asked(column, asking),
            Leaf::Join(join) => join.asked(column, asking),
            Leaf::Other(_) => {}
        }
    }

    /// Where what it reads of segments is counted; `None` if it reads none.
    pub(super) fn reads(&self) -> Option<Arc<Reads>> {
        match &self.plan {
            Leaf::Segments(segments) => Some(segments.reads()),
            Leaf::Join(join) => join.reads(),
            Leaf::Other(_) => None,
        }
    }

    /// The same rows after a step, which is taken where they are decoded if it can be. For a source
    /// that is ready.
    pub(super) fn then(mut self, step: Arc<dyn Step>) -> Self {
        let stage = Stage::Step(step);
        match &mut self.plan {
            Leaf::Segments(segments) => *segments = segments.coded(&[stage], &segments.reads()),
            Leaf::Join(_) | Leaf::Other(_) => self.stages.push(stage),
        }
        self
    }

    fn execute(&self, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match &self.plan {
            Leaf::Segments(segments) => segments.execute(0, context),
            Leaf::Join(join) => join.execute(0, context),
            Leaf::Other(plan) => plan.execute(0, context),
        }
    }
}

/// The plan without what only yields, or only forgets.
pub(super) fn uncovered(plan: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    if let Some(cover) = plan.downcast_ref::<CooperativeExec>() {
        return uncovered(cover.input());
    }
    match plan.downcast_ref::<OneInput>().and_then(OneInput::forgets) {
        Some(input) => uncovered(input),
        None => plan,
    }
}

pub(super) fn stage_of(projection: &ProjectionExec) -> Stage {
    Stage::Compute {
        exprs: projection.expr().iter().map(|p| p.expr.clone()).collect(),
        schema: projection.input().schema(),
    }
}

/// The sources below a plan that projects and unites; `None` if one of them gives rows in several
/// parts at once, or none is a table or a join of tables.
pub(super) fn sources(
    plan: &Arc<dyn ExecutionPlan>,
    rule: &ByCodes,
) -> Result<Option<Vec<Source>>> {
    let found = any_sources(plan, rule, 0)?;
    Ok(found.filter(|found| found.iter().any(|source| source.reads().is_some())))
}

/// The sources below a plan, of whatever kind, as long as each gives its rows one after the other.
/// `depth` joins are around it.
pub(super) fn any_sources(
    plan: &Arc<dyn ExecutionPlan>,
    rule: &ByCodes,
    depth: usize,
) -> Result<Option<Vec<Source>>> {
    let mut found = Vec::new();
    let all = collect(plan, rule, depth, &mut found)?;
    Ok(all.then_some(found))
}

fn collect(
    plan: &Arc<dyn ExecutionPlan>,
    rule: &ByCodes,
    depth: usize,
    into: &mut Vec<Source>,
) -> Result<bool> {
    let plan = uncovered(plan);
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let first = into.len();
        let all = collect(projection.input(), rule, depth, into)?;
        for source in into.iter_mut().skip(first) {
            source.stages.push(stage_of(projection));
        }
        return Ok(all);
    }
    if let Some(coalesce) = plan.downcast_ref::<CoalescePartitionsExec>()
        && coalesce.fetch().is_none()
    {
        return collect(coalesce.input(), rule, depth, into);
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        for input in union.inputs() {
            if !collect(input, rule, depth, into)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let leaf = if let Some(segments) = plan.downcast_ref::<SegmentsExec>() {
        Leaf::Segments(segments.clone())
    } else if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && let Some(join) = JoinExec::of(join, rule, depth)?
    {
        Leaf::Join(join)
    } else if plan.output_partitioning().partition_count() == 1 {
        Leaf::Other(plan.clone())
    } else {
        return Ok(false);
    };
    into.push(Source::new(leaf));
    Ok(true)
}

/// The rows of all sources, one source after the other, some of them read ahead.
pub(super) struct Rows {
    sources: VecDeque<Source>,
    running: VecDeque<Reading>,
    context: Arc<TaskContext>,
}

/// A source at work.
enum Reading {
    Here(SendableRecordBatchStream, Stages),
    There(mpsc::Receiver<RecordBatch>, JoinHandle<Result<()>>, Stages),
}

impl Rows {
    pub(super) fn new(
        sources: impl IntoIterator<Item = Source>,
        context: Arc<TaskContext>,
    ) -> Self {
        Self {
            sources: sources.into_iter().collect(),
            running: VecDeque::new(),
            context,
        }
    }

    fn fill(&mut self) -> Result<()> {
        let alone = self.running.is_empty() && self.sources.len() == 1;
        while self.running.len() < INPUTS_AHEAD
            && let Some(source) = self.sources.pop_front()
        {
            let stages = Stages::new(&source.stages)?;
            let mut stream = source.execute(self.context.clone())?;
            if alone {
                self.running.push_back(Reading::Here(stream, stages));
                continue;
            }
            let (send, batches) = mpsc::channel(BATCHES_AHEAD);
            let ends = tokio::spawn(async move {
                while let Some(batch) = stream.next().await {
                    if send.send(batch?).await.is_err() {
                        break;
                    }
                }
                Ok::<_, DataFusionError>(())
            });
            self.running
                .push_back(Reading::There(batches, ends, stages));
        }
        Ok(())
    }

    /// The next columns, and how many rows they have.
    pub(super) async fn next(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        loop {
            self.fill()?;
            let Some(first) = self.running.front_mut() else {
                return Ok(None);
            };
            let (batch, stages) = match first {
                Reading::Here(stream, stages) => (stream.next().await.transpose()?, stages),
                Reading::There(batches, _, stages) => (batches.recv().await, stages),
            };
            if let Some(batch) = batch {
                let rows = batch.num_rows();
                return stages.run(batch.columns().to_vec(), rows).map(Some);
            }
            if let Some(Reading::There(_, ends, _)) = self.running.pop_front() {
                joined(ends).await?;
            }
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        for reading in &self.running {
            if let Reading::There(_, ends, _) = reading {
                ends.abort();
            }
        }
    }
}
