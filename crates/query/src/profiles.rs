//! What is known of files beyond the tenant's rows (`FileProfile`), asked through a port.
//!
//! [`FileProfile`] is the logical node. Its physical form goes through the batches as they come, asks
//! for hashes that it has not asked for before, and adds the columns of
//! [`kql::resolved::FILE_PROFILE`]. No more than a given number of different files is asked for.
//!
//! A hash goes to the port and nowhere else: what answers stands in the cell.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchemaRef, Result, exec_err, plan_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::PlanProperties;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements,
};
use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use kql::resolved::FILE_PROFILE;
use model::{ColumnType, Ticks};

use crate::kernels::args::{Arg, Cell, Guard};
use crate::kernels::decimals;

/// What is told of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAnswer {
    /// So many have it at least, and the first day on which that could be said.
    Known {
        /// Owner groups, at least.
        groups: u32,
        /// Midnight of that day.
        first_seen: Ticks,
    },
    /// Nothing may be said of it.
    Unknown,
    /// It could not be looked up.
    Failed,
}

/// Who knows files beyond the tenant's rows.
pub trait Profiles: Send + Sync + fmt::Debug {
    /// Where the answers are from, in words for the reader; `None` if there is nothing to answer from.
    fn source(&self) -> Option<String>;

    /// One answer per hash (64 lower-case hex digits), in their order.
    fn files<'a>(&'a self, sha256: &'a [String]) -> BoxFuture<'a, Vec<FileAnswer>>;
}

/// What a query's look-ups go through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookups {
    pub(crate) port: Option<Arc<dyn Profiles>>,
    /// Set if there were more files than may be asked for.
    pub(crate) cut: Arc<AtomicBool>,
}

/// Rows with what is known of a file of theirs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FileProfile {
    pub(crate) input: LogicalPlan,
    /// Position of the hash in the input.
    pub(crate) sha256: usize,
    pub(crate) files_max: usize,
    pub(crate) schema: DFSchemaRef,
}

impl PartialOrd for FileProfile {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self == other).then_some(std::cmp::Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for FileProfile {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "FileProfile"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileProfile")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(Self {
                input,
                ..self.clone()
            }),
            _ => plan_err!("FileProfile has one input"),
        }
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        // Positions must stay what they are.
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }
}

/// The physical form of [`FileProfile`].
#[derive(Debug)]
pub(crate) struct FileProfileExec {
    input: Arc<dyn ExecutionPlan>,
    sha256: usize,
    files_max: usize,
    lookups: Lookups,
    guard: Guard,
    properties: Arc<PlanProperties>,
    schema: SchemaRef,
}

impl FileProfileExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        node: &FileProfile,
        lookups: Lookups,
        guard: Guard,
    ) -> Self {
        let schema: SchemaRef = Arc::new(node.schema.as_arrow().clone());
        Self::of(input, (node.sha256, node.files_max), lookups, guard, schema)
    }

    fn of(
        input: Arc<dyn ExecutionPlan>,
        (sha256, files_max): (usize, usize),
        lookups: Lookups,
        guard: Guard,
        schema: SchemaRef,
    ) -> Self {
        let of_input = input.properties();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(1),
            of_input.emission_type,
            of_input.boundedness,
        ));
        Self {
            input,
            sha256,
            files_max,
            lookups,
            guard,
            properties,
            schema,
        }
    }
}

impl DisplayAs for FileProfileExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for FileProfileExec {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "FileProfileExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let _ = f;
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self::of(
                input,
                (self.sha256, self.files_max),
                self.lookups.clone(),
                self.guard.clone(),
                self.schema.clone(),
            ))),
            _ => plan_err!("{} has one input", self.name()),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let asking = Asking {
            sha256: self.sha256,
            files_max: self.files_max,
            lookups: self.lookups.clone(),
            schema: self.schema.clone(),
            known: BTreeMap::new(),
        };
        let guard = self.guard.clone();
        let work = move |(mut input, mut asking): (SendableRecordBatchStream, Asking)| {
            let guard = guard.clone();
            async move {
                guard.check()?;
                let Some(batch) = input.next().await else {
                    return Ok(None);
                };
                let batch = asking.extended(&batch?).await?;
                Ok(Some((batch, (input, asking))))
            }
        };
        let stream = stream::try_unfold((input, asking), work);
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema.clone(),
            stream,
        )))
    }
}

/// What was asked and answered so far.
struct Asking {
    sha256: usize,
    files_max: usize,
    lookups: Lookups,
    schema: SchemaRef,
    known: BTreeMap<String, FileAnswer>,
}

impl Asking {
    async fn extended(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(column) = batch.columns().get(self.sha256) else {
            return exec_err!("the column of hashes is missing");
        };
        let hashes = Arg::of_array(column, ColumnType::String, false)?;
        let hashes: Vec<Option<String>> = (0..batch.num_rows())
            .map(|row| match hashes.cell(row) {
                Cell::Text(text) => canonical(text),
                _ => None,
            })
            .collect();
        self.ask(&hashes).await?;
        let answers: Vec<(Option<&str>, Option<FileAnswer>)> = hashes
            .iter()
            .map(|hash| {
                let answer = hash.as_ref().and_then(|h| self.known.get(h)).copied();
                (hash.as_deref(), answer)
            })
            .collect();
        let mut columns = batch.columns().to_vec();
        columns.extend(
            FILE_PROFILE
                .iter()
                .map(|(name, ty)| filled(name, *ty, &answers)),
        );
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// Asks for the files of these rows that were not asked for, as long as there may be more.
    async fn ask(&mut self, hashes: &[Option<String>]) -> Result<()> {
        let Some(port) = &self.lookups.port else {
            return Ok(());
        };
        let mut wanted: Vec<String> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for hash in hashes.iter().flatten() {
            if self.known.contains_key(hash) || !seen.insert(hash) {
                continue;
            }
            if self.known.len() + wanted.len() >= self.files_max {
                self.lookups.cut.store(true, Ordering::Relaxed);
                break;
            }
            wanted.push(hash.clone());
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let answers = port.files(&wanted).await;
        if answers.len() != wanted.len() {
            return exec_err!("as many answers as files were asked for");
        }
        self.known.extend(wanted.into_iter().zip(answers));
        Ok(())
    }
}

/// A SHA-256 as files are known by it; `None` if the text is none.
fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

/// One added column. What nobody knows here is null, a string empty.
fn filled(name: &str, ty: ColumnType, rows: &[(Option<&str>, Option<FileAnswer>)]) -> ArrayRef {
    let known = |answer: &Option<FileAnswer>| match answer {
        Some(FileAnswer::Known { groups, first_seen }) => Some((*groups, *first_seen)),
        _ => None,
    };
    match name {
        "GlobalPrevalence" => {
            let groups = |(_, answer): &(_, _)| known(answer).map(|(groups, _)| i64::from(groups));
            Arc::new(rows.iter().map(groups).collect::<Int64Array>())
        }
        "GlobalFirstSeen" => {
            let first = |(_, answer): &(_, _)| known(answer).map(|(_, first)| first.0);
            Arc::new(rows.iter().map(first).collect::<Int64Array>())
        }
        "SHA256" => {
            let hash = |(hash, answer): &(Option<&str>, _)| {
                known(answer).and(*hash).unwrap_or_default().to_owned()
            };
            Arc::new(StringArray::from_iter_values(rows.iter().map(hash)))
        }
        "ProfileAvailability" => {
            let word = |(_, answer): &(_, Option<FileAnswer>)| match answer {
                Some(FileAnswer::Known { .. }) => "Available",
                Some(FileAnswer::Unknown) => "Missing",
                Some(FileAnswer::Failed) => "Error",
                // No hash, or one file too many.
                None => "",
            };
            Arc::new(StringArray::from_iter_values(rows.iter().map(word)))
        }
        _ if ty == ColumnType::String => {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "")))
        }
        _ => new_null_array(&decimals::data_type(ty), rows.len()),
    }
}
