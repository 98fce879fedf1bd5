//! Running a prepared query within limits.
//!
//! One runtime environment per query: its own memory pool, and temporary files only through the
//! factory that the caller gives (sealed ones), or none at all.
//!
//! Promises
//! - Rows, bytes and time are bounded: too many rows or bytes give a partial result with a notice,
//!   too much time, planning or memory an error.
//! - A cancelled or dropped query stops: its thread and its kernels look at the switch.
//! - A panic below becomes this query's error.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TempFileFactory};
use datafusion::optimizer::OptimizerRule as _;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use futures::StreamExt as _;
use kql::Resolved;
use kql::resolved::{Found, Relation};
use model::{ColumnType, Span100ns, TableName, Ticks, limits};
use reference::Reference;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::copies::{of_its_own, slice_bytes};
use crate::error::Error;
use crate::external::External;
use crate::found;
use crate::kernels::args::Guard;
use crate::kernels::decimals;
use crate::kernels::lookups::is_supplied;
use crate::kernels::memory::Budget;
use crate::lower::{LookBack, Lowering, SharedRows, Table, lookback};
use crate::planner::{HuntPlanner, logical_rules, physical_rules};
use crate::prepare::{Again, Prepared};
use crate::profiles::{Lookups, Profiles};
use crate::result::{AlsoResult, HuntResult, Notice, Stats};
use crate::scan::{Reads, Scan, TableRows};
use crate::spill::Stoppable;
use crate::widen::Through;

/// How queries run.
#[derive(Clone)]
pub struct Settings {
    /// Parts of a plan that may run at once. One keeps small pools reliable, and the order in which
    /// groups were first seen, of which the language says nothing.
    pub parallelism: usize,
    /// Rows of a batch, at least one; 8,192 by default. Fewer let few rows meet what many would: for
    /// tests.
    pub batch_rows: usize,
    /// Where sorts and groups put what does not fit in memory, sealed
    /// ([`crate::over_store::SealedSpill`]); `None`: nowhere, they fail.
    pub temporary: Option<Arc<dyn TempFileFactory>>,
    /// What `externaldata` may read; `None`: nothing.
    pub external: Option<Arc<dyn External>>,
    /// What look-ups answer from; empty: they give null.
    pub reference: Arc<Reference>,
    /// Who answers `FileProfile`; `None`: nobody, and its columns hold nothing.
    pub profiles: Option<Arc<dyn Profiles>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallelism: 1,
            batch_rows: BATCH_ROWS,
            temporary: None,
            external: None,
            reference: Arc::default(),
            profiles: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("parallelism", &self.parallelism)
            .field("batch_rows", &self.batch_rows)
            .field("temporary", &self.temporary.is_some())
            .field("external", &self.external.is_some())
            .field("reference", &self.reference)
            .field("profiles", &self.profiles.is_some())
            .finish()
    }
}

/// What one query may use; `model::limits` by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Rows of the result.
    pub rows: usize,
    /// Bytes of the result's columns.
    pub bytes: usize,
    /// Seconds from start to result.
    pub seconds: u64,
    /// How long of them it may be planned.
    pub planning: Duration,
    /// Bytes of memory.
    pub memory_bytes: usize,
    /// Days a query looks back in tables that it does not restrict in time.
    pub look_back_days: i64,
    /// Every table is seen from this instant until before that one, whatever the query says, and
    /// there is no default look-back: a scheduled query's window.
    pub window: Option<(Ticks, Ticks)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: limits::HUNT_ROWS_MAX,
            bytes: limits::HUNT_BYTES_MAX,
            seconds: limits::HUNT_SECONDS_MAX,
            planning: Duration::from_secs(limits::HUNT_PLANNING_SECONDS_MAX),
            memory_bytes: limits::HUNT_MEMORY_BYTES_MAX,
            look_back_days: limits::HUNT_LOOKBACK_DAYS,
            window: None,
        }
    }
}

/// Rows of a batch unless the settings say otherwise.
pub(crate) const BATCH_ROWS: usize = 8_192;

/// Bytes that a sort sets aside for merging what it wrote to temporary files.
const MERGE_BYTES_MAX: usize = 10 << 20;

/// Runs prepared queries.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    settings: Settings,
}

impl Engine {
    /// With these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Runs `prepared` over the rows that `sources` gives, once per table. Needs a tokio runtime.
    pub async fn run(
        &self,
        prepared: &Prepared,
        sources: impl Fn(&TableName) -> Option<TableRows>,
        limits: Limits,
        cancel: &Guard,
    ) -> Result<HuntResult, Error> {
        let Some(resolved) = prepared.resolved.clone() else {
            return Err(Error::Query {
                diagnostics: prepared.diagnostics.clone(),
            });
        };
        let tables = prepared
            .tables
            .iter()
            .filter_map(|name| Some((name.clone(), sources(name)?)));
        let pool: Arc<dyn MemoryPool> =
            Arc::new(FairSpillPool::new(Budget::operators(limits.memory_bytes)));
        let budget = Arc::new(Budget::new(pool.clone(), limits.memory_bytes));
        let guard = cancel.with_memory(budget);
        let lookups = self.lookups();
        let state = self.state(limits, pool, &guard, &lookups)?;
        let mut run = Run::new(
            resolved,
            prepared.now,
            tables.collect(),
            limits,
            guard.clone(),
        );
        run.again.clone_from(&prepared.again);
        run.external.clone_from(&self.settings.external);
        run.reference = self.settings.reference.clone();
        run.lookups = lookups;
        let planning = run.planning.clone();
        let outcome = on_own_thread(run.execute(state), &guard)?;
        let mut interest = StopOnDrop {
            guard,
            planning,
            answered: false,
        };
        interest.answer(outcome, limits).await
    }

    /// A port that has nothing to answer from is none.
    fn lookups(&self) -> Lookups {
        let port = self.settings.profiles.clone();
        Lookups {
            port: port.filter(|port| port.source().is_some()),
            ..Lookups::default()
        }
    }

    fn state(
        &self,
        limits: Limits,
        pool: Arc<dyn MemoryPool>,
        guard: &Guard,
        lookups: &Lookups,
    ) -> Result<SessionState, Error> {
        let disk = match &self.settings.temporary {
            Some(files) => DiskManagerMode::Custom(Arc::new(Stoppable {
                files: files.clone(),
                guard: guard.clone(),
            })),
            None => DiskManagerMode::Disabled,
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
            .build_arc()?;
        let mut config = SessionConfig::new()
            .with_target_partitions(self.settings.parallelism.max(1))
            .with_batch_size(self.settings.batch_rows.max(1))
            .with_information_schema(false);
        let options = config.options_mut();
        // What a sort sets aside for merging must leave small budgets something to sort in.
        options.execution.sort_spill_reservation_bytes =
            (limits.memory_bytes / 8).min(MERGE_BYTES_MAX);
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.execution.parquet.schema_force_view_types = false;
        options.execution.collect_statistics = false;
        // It would take rows out of an order that the planner does not know of: that of a window.
        options.optimizer.enable_round_robin_repartition = false;
        // Parts of a union stay as they are: what we put in their place later is not parted by hashes.
        options.optimizer.prefer_existing_union = true;
        // The check compares nullability, which the planner's own rewrites of `in` lists change.
        options.execution.skip_physical_aggregate_schema_check = true;
        Ok(SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_optimizer_rules(logical_rules(guard))
            .with_physical_optimizer_rules(physical_rules(guard))
            .with_query_planner(Arc::new(HuntPlanner {
                guard: guard.clone(),
                lookups: lookups.clone(),
            }))
            .build())
    }
}

/// Throws the switch when the answer is no longer waited for: a timeout, or a caller that went.
struct StopOnDrop {
    guard: Guard,
    planning: Arc<Planning>,
    answered: bool,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if !self.answered {
            self.guard.cancel();
        }
    }
}

/// What a query's thread will say. It says nothing if it panics.
type Outcome = oneshot::Receiver<Result<HuntResult, Error>>;

/// Bytes of the stack of a query's thread. Plans are walked and polled recursively, and a query may
/// be `QUERY_OPERATORS_DEPTH_MAX` operators deep; only what is used is ever backed by memory.
const STACK_BYTES: usize = 256 << 20;

/// Runs a query on a thread of its own: deep plans overflow the stacks of a runtime's workers, and a
/// busy plan keeps a worker from its other tasks. Timers and tasks are the caller's runtime's.
fn on_own_thread(
    query: impl Future<Output = Result<HuntResult, Error>> + Send + 'static,
    guard: &Guard,
) -> Result<Outcome, Error> {
    let (send, outcome) = oneshot::channel();
    let (runtime, guard) = (Handle::current(), guard.clone());
    let work = move || {
        let result = runtime.block_on(async {
            tokio::select! {
                biased;
                () = guard.cancelled() => Err(Error::Cancelled),
                result = query => result,
            }
        });
        // The caller may have gone.
        let _ = send.send(result);
    };
    std::thread::Builder::new()
        .name("hunt".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map_err(|source| Error::Engine {
            source: DataFusionError::IoError(source),
        })?;
    Ok(outcome)
}

impl StopOnDrop {
    async fn answer(&mut self, outcome: Outcome, limits: Limits) -> Result<HuntResult, Error> {
        let seconds = limits.seconds;
        let outcome = tokio::select! {
            biased;
            outcome = outcome => outcome,
            () = self.guard.cancelled() => return Err(Error::Cancelled),
            () = self.planning.exceeds(limits.planning) => {
                return Err(Error::Planning { seconds: limits.planning.as_secs() });
            }
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {
                return Err(Error::Timeout { seconds });
            }
        };
        self.answered = true;
        match outcome {
            Ok(Err(_)) if self.guard.is_cancelled() => Err(Error::Cancelled),
            Ok(Err(Error::Resources { .. })) => Err(Error::Resources {
                bytes: limits.memory_bytes,
            }),
            Ok(result) => result,
            Err(_) => Err(Error::Panicked),
        }
    }
}

/// Whether a query is being planned. It is planned in several pieces: each shared relation on its own,
/// and anew when the data told about columns.
#[derive(Debug, Default)]
struct Planning(AtomicBool);

/// A piece of planning; ends when dropped.
struct Piece<'a>(&'a Planning);

/// How often it is looked whether a query is still planned.
const PLANNING_LOOK: Duration = Duration::from_millis(50);

impl Planning {
    fn begin(&self) -> Piece<'_> {
        self.0.store(true, Ordering::Relaxed);
        Piece(self)
    }

    /// Returns once planning was seen for so long, all pieces together.
    async fn exceeds(&self, most: Duration) {
        let look = PLANNING_LOOK.min(most);
        let mut seen = Duration::ZERO;
        loop {
            tokio::time::sleep(look).await;
            if self.0.load(Ordering::Relaxed) {
                seen += look;
                if seen >= most {
                    return;
                }
            }
        }
    }
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// One query on its way.
struct Run {
    resolved: Arc<Resolved>,
    now: Ticks,
    tables: BTreeMap<TableName, Table>,
    limits: Limits,
    guard: Guard,
    reads: Arc<Reads>,
    planning: Arc<Planning>,
    again: Option<Arc<Again>>,
    external: Option<Arc<dyn External>>,
    reference: Arc<Reference>,
    lookups: Lookups,
}

impl Run {
    fn new(
        resolved: Arc<Resolved>,
        now: Ticks,
        tables: BTreeMap<TableName, TableRows>,
        limits: Limits,
        guard: Guard,
    ) -> Self {
        let reads = Arc::new(Reads::default());
        let tables = tables
            .into_iter()
            .map(|(name, rows)| {
                let time_column = rows.time_column.clone().filter(|_| rows.look_back);
                let provider = Arc::new(Scan::new(rows, reads.clone(), guard.clone()));
                (
                    name,
                    Table {
                        provider,
                        time_column,
                    },
                )
            })
            .collect();
        Self {
            resolved,
            now,
            tables,
            limits,
            guard,
            reads,
            planning: Arc::default(),
            again: None,
            external: None,
            reference: Arc::default(),
            lookups: Lookups::default(),
        }
    }

    fn lookback(&self) -> LookBack {
        let days = self.limits.look_back_days;
        let time_of = |name: &TableName| self.tables.get(name)?.time_column.clone();
        if let Some((from, until)) = self.limits.window {
            return LookBack {
                sources: lookback::timed(&self.resolved, &time_of),
                from,
                until: Some(until),
            };
        }
        LookBack {
            sources: lookback::unrestricted(&self.resolved, &time_of),
            from: self.now.saturating_add(Span100ns::days(-days)),
            until: None,
        }
    }

    /// Looks for what the next probe wants, if its rows are there, and binds the query anew.
    fn learn(&mut self, shared: &[SharedRows], found: &mut Vec<Found>) -> Result<(), Error> {
        let Some(again) = self.again.clone() else {
            return Ok(());
        };
        while let Some(probe) = self.resolved.probes.get(found.len())
            && let Some(rows) = shared.get(probe.shared.0)
        {
            found.push(found::find(probe, rows, &self.guard)?);
            let _piece = self.planning.begin();
            let resolved = again
                .resolve(found)
                .map_err(|diagnostics| Error::Query { diagnostics })?;
            self.resolved = Arc::new(resolved);
        }
        Ok(())
    }

    /// What is known before the first row is read.
    fn first_notices(&self, lookback: &LookBack) -> Vec<Notice> {
        let mut notices = Vec::new();
        if !lookback.sources.is_empty() && self.limits.window.is_none() {
            let days = self.limits.look_back_days;
            notices.push(Notice::LookBack { days });
        }
        let functions = self.resolved.without_data.iter();
        let functions = functions.filter(|name| !is_supplied(name, &self.reference));
        notices.extend(functions.map(|function| Notice::NoData { function }));
        if self.resolved.profiled.is_empty() {
            return notices;
        }
        let port = self.lookups.port.as_ref();
        notices.push(match port.and_then(|port| port.source()) {
            Some(source) => Notice::FileProfile { source },
            None => Notice::NoData {
                function: "FileProfile",
            },
        });
        let others = self.resolved.profiled.iter();
        let others = others.filter(|p| p.by.as_ref() != Some(&p.asked));
        notices.extend(others.map(|p| Notice::FileProfileBy {
            asked: p.asked.to_string(),
            by: p.by.as_ref().map(ToString::to_string),
        }));
        notices
    }

    async fn execute(mut self, state: SessionState) -> Result<HuntResult, Error> {
        let mut lookback = self.lookback();
        let mut notices = self.first_notices(&lookback);
        let mut memory = MemoryConsumer::new("shared").register(&state.runtime_env().memory_pool);
        let mut shared = Vec::with_capacity(self.resolved.shared.len());
        let tables = self.tables.clone();
        let table = |name: &TableName| tables.get(name).cloned();
        let mut sources = 0;
        let mut found = Vec::new();
        while let Some(relation) = self.resolved.shared.get(shared.len()).cloned() {
            let plan = {
                let mut lowering = Lowering::new(&table, lookback.clone(), self.guard.clone());
                lowering.resume(&shared, sources);
                self.plan(&state, lowering, &relation)?
            };
            sources += lookback::count(&relation);
            let stream = self.start(&state, plan).await?;
            shared.push(collect_shared(&relation, stream, &mut memory).await?);
            let known = found.len();
            self.learn(&shared, &mut found)?;
            if found.len() > known {
                lookback = self.lookback();
            }
        }
        let mut budget = self.limits;
        let mut results = Vec::with_capacity(self.resolved.also.len() + 1);
        for relation in self.results() {
            let plan = {
                let mut lowering = Lowering::new(&table, lookback.clone(), self.guard.clone());
                lowering.resume(&shared, sources);
                self.plan(&state, lowering, &relation)?
            };
            sources += lookback::count(&relation);
            let stream = self.start(&state, plan).await?;
            let collected = collect(stream, budget, self.limits).await?;
            budget.rows -= collected.rows;
            budget.bytes -= collected.bytes;
            if let Some(cut) = collected.cut
                && !notices.contains(&cut)
            {
                notices.push(cut);
            }
            results.push(rows_of(&relation, &collected.batches)?);
        }
        if self.lookups.cut.load(Ordering::Relaxed) {
            notices.push(Notice::FileProfileCut);
        }
        self.result(results, notices)
    }

    /// The relations that are answered, in order.
    fn results(&self) -> Vec<Relation> {
        let also = self.resolved.also.iter().map(|also| &also.relation);
        [&self.resolved.root]
            .into_iter()
            .chain(also)
            .cloned()
            .collect()
    }

    fn plan(
        &self,
        state: &SessionState,
        mut lowering: Lowering<'_>,
        relation: &Relation,
    ) -> Result<datafusion::logical_expr::LogicalPlan, Error> {
        self.guard.check()?;
        lowering.external.clone_from(&self.external);
        lowering.reference = self.reference.clone();
        lowering.batch_rows = state.config().batch_size();
        let _piece = self.planning.begin();
        let plan = lowering.finished(relation)?;
        self.guard.check()?;
        // Tables are wide and queries need little of them: every other rule is spared the rest.
        let narrow = |plan| OptimizeProjections::new().rewrite(plan, state);
        let mut plan = narrow(plan)?.data;
        // What is wide no longer asks for less of its tables, too.
        let through = plan.transform_down(|plan| Through.rewrite(plan, state))?;
        plan = through.data;
        if through.transformed {
            plan = narrow(plan)?.data;
        }
        Ok(state.optimize(&plan)?)
    }

    async fn start(
        &self,
        state: &SessionState,
        plan: datafusion::logical_expr::LogicalPlan,
    ) -> Result<SendableRecordBatchStream, Error> {
        let piece = self.planning.begin();
        let physical = state
            .query_planner()
            .create_physical_plan(&plan, state)
            .await?;
        drop(piece);
        Ok(execute_stream(physical, state.task_ctx())?)
    }

    fn result(&self, results: Vec<Rows>, notices: Vec<Notice>) -> Result<HuntResult, Error> {
        let read = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
        let stats = Stats {
            segments_read: read(&self.reads.segments),
            segments_pruned: read(&self.reads.segments_pruned),
            segment_bytes: read(&self.reads.bytes),
            segment_rows: read(&self.reads.rows),
            memory_rows: read(&self.reads.memory_rows),
        };
        let mut results = results.into_iter();
        let (columns, batches) = results
            .next()
            .ok_or_else(|| Error::internal("a query without a result"))?;
        let also = results.zip(&self.resolved.also);
        let also = also.map(|((columns, batches), also)| AlsoResult {
            name: also.name.clone(),
            columns,
            batches,
            render: also.render.clone(),
        });
        Ok(HuntResult {
            columns,
            batches,
            notices,
            stats,
            render: self.resolved.render.clone(),
            name: self.resolved.name.clone(),
            also: also.collect(),
        })
    }
}

/// A result's columns and batches.
type Rows = (Vec<(Arc<str>, ColumnType)>, Vec<RecordBatch>);

/// A relation's rows under the names and with the types that the query gives.
fn rows_of(relation: &Relation, batches: &[RecordBatch]) -> Result<Rows, Error> {
    let columns: Vec<(Arc<str>, ColumnType)> = relation
        .columns
        .iter()
        .map(|field| (field.name.clone(), field.ty))
        .collect();
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, ty)| {
            // Decimals are wider here than where they are stored.
            rows::types::field(name, *ty)
                .with_nullable(true)
                .with_data_type(decimals::data_type(*ty))
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batches = batches
        .iter()
        .map(|batch| rename(&schema, batch))
        .collect::<Result<_, _>>()?;
    Ok((columns, batches))
}

/// The same rows under the names that the query gives; a column nobody named is left out.
fn rename(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let columns = batch.columns().iter().take(schema.fields().len());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns.cloned().collect(),
        &options,
    )?)
}

async fn collect_shared(
    relation: &Relation,
    mut stream: SendableRecordBatchStream,
    memory: &mut MemoryReservation,
) -> Result<SharedRows, Error> {
    let types = relation.columns.iter().map(|field| field.ty).collect();
    let schema = stream.schema();
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = of_its_own(batch?)?;
        memory.try_grow(batch.get_array_memory_size())?;
        batches.push(batch);
    }
    Ok(SharedRows {
        types,
        schema,
        batches,
    })
}

struct Collected {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    cut: Option<Notice>,
}

/// Takes batches until a limit is met; then the rest is left unread and a notice says so. `left` is
/// what results before this one left of the `limits`.
async fn collect(
    mut stream: SendableRecordBatchStream,
    left: Limits,
    limits: Limits,
) -> Result<Collected, Error> {
    let (mut batches, mut rows, mut bytes) = (Vec::new(), 0_usize, 0_usize);
    let mut cut = None;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        if rows + batch.num_rows() > left.rows {
            batches.push(batch.slice(0, left.rows - rows));
            rows = left.rows;
            cut = Some(Notice::RowsCut { rows: limits.rows });
            break;
        }
        let size = slice_bytes(&batch);
        if bytes + size > left.bytes {
            // As many rows as fit if all are of one size; the limit is a bound, not a promise.
            let fit = (left.bytes - bytes).saturating_mul(batch.num_rows()) / size.max(1);
            let fit = fit.min(batch.num_rows());
            batches.push(batch.slice(0, fit));
            (rows, bytes) = (rows + fit, left.bytes);
            cut = Some(Notice::BytesCut {
                bytes: limits.bytes,
            });
            break;
        }
        rows += batch.num_rows();
        bytes += size;
        batches.push(batch);
    }
    Ok(Collected {
        batches,
        rows,
        bytes,
        cut,
    })
}
