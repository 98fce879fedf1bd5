//! Hunting: whose tables, from which region, within which limits. The engine is behind a port.
//!
//! A hunt is refused unless every service that can fill one of its tables rests in this region, now
//! and as far back as older data may lie elsewhere: an answer is never partial without saying so.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use access::{Granted, Hunt, Only};
use futures::future::BoxFuture;
use ingest::RawSchema;
use model::{Code, ColumnType, Diagnostic, Severity, Span, TableName, Ticks, limits};
use rows::RecordBatch;
use store::{TemporaryFiles, View};

use crate::Error;
use crate::cell::{Cell, Standing, Tenant};

/// The tables a tenant's query may name, beyond the shipped schema.
#[derive(Debug, Clone, Default)]
pub struct HuntSchema {
    /// Tables and columns outside the schema.
    pub raw: RawSchema,
    /// Set when nobody waits for the answer any more: then a query is not read to its end.
    pub given_up: Arc<AtomicBool>,
}

/// A query that was read and bound to its tables.
pub struct Prepared {
    /// The tables it reads.
    pub tables: BTreeSet<TableName>,
    /// Findings; any error and it does not run.
    pub diagnostics: Vec<Diagnostic>,
    /// The columns of its result; nothing if there are errors, or if only the data can tell them.
    pub columns: Option<Vec<HuntColumn>>,
    /// Whether it has several results.
    pub has_several: bool,
    /// The engine's own form of it; nothing if there are errors.
    pub plan: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// Limits and knobs of one hunt.
#[derive(Debug)]
pub struct HuntOptions {
    /// Rows of the answer.
    pub rows_max: usize,
    /// Bytes of the answer in memory.
    pub bytes_max: usize,
    /// How long it may run.
    pub time_max: Duration,
    /// How long it may be read and planned.
    pub planning_max: Duration,
    /// Bytes of memory it may hold.
    pub memory_bytes_max: usize,
    /// Bytes it may write to temporary files.
    pub spill_bytes_max: u64,
    /// Every table is seen from this instant until before that one, in place of the default
    /// look-back: a scheduled rule's window.
    pub window: Option<(Ticks, Ticks)>,
    /// Set to stop it.
    pub cancel: Arc<AtomicBool>,
    /// What is known of files beyond the tenant: the cell puts it in.
    pub files: Option<crate::KnownFiles>,
    /// To be dropped when nothing of the hunt runs any more, whether or not somebody still waits for it.
    pub place: Option<HuntPlace>,
}

/// A place among the hunts that run at once; given back when dropped.
#[derive(Debug)]
pub struct HuntPlace(#[expect(dead_code, reason = "dropped")] Seat);

impl Default for HuntOptions {
    fn default() -> Self {
        Self {
            rows_max: limits::HUNT_ROWS_MAX,
            bytes_max: limits::HUNT_BYTES_MAX,
            time_max: Duration::from_secs(limits::HUNT_SECONDS_MAX),
            planning_max: Duration::from_secs(limits::HUNT_PLANNING_SECONDS_MAX),
            memory_bytes_max: limits::HUNT_MEMORY_BYTES_MAX,
            spill_bytes_max: limits::HUNT_SPILL_BYTES_MAX,
            window: None,
            cancel: Arc::default(),
            files: None,
            place: None,
        }
    }
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HuntColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
}

/// What a hunt cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HuntStats {
    /// Rows in memory and segments that were looked at, before filters.
    pub rows_scanned: u64,
    /// Segments that were opened.
    pub segments_opened: u64,
    /// Microseconds from start to end.
    pub elapsed_us: u64,
}

/// The answer of a hunt.
#[derive(Debug, Clone, Default)]
pub struct HuntAnswer {
    /// Its columns, in order.
    pub columns: Vec<HuntColumn>,
    /// Its rows; each batch has the columns in order, typed as in `rows::types`.
    pub batches: Vec<RecordBatch>,
    /// What the reader should know: a default look-back, a result that was cut.
    pub notices: Vec<Diagnostic>,
    /// Whether rows were left out because of a limit.
    pub is_partial: bool,
    /// What it cost.
    pub stats: HuntStats,
    /// How the query calls the result, if it does.
    pub name: Option<String>,
    /// Further results: of further statements, of the parts of a `fork`. Limits are of all together.
    pub also: Vec<AlsoAnswer>,
}

/// A further result of a hunt.
#[derive(Debug, Clone, Default)]
pub struct AlsoAnswer {
    /// How the query calls it, if it does.
    pub name: Option<String>,
    /// Its columns, in order.
    pub columns: Vec<HuntColumn>,
    /// Its rows, as in [`HuntAnswer::batches`].
    pub batches: Vec<RecordBatch>,
}

impl HuntAnswer {
    /// Number of rows of the first result.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// A query engine.
pub trait Hunting: Send + Sync + fmt::Debug {
    /// Reads a query and binds it to the tables it names; `now` is the one instant of `now()`.
    fn prepare(&self, text: &str, schema: &HuntSchema, now: Ticks) -> Prepared;

    /// What can be written at a byte of a query.
    fn complete(&self, text: &str, offset: usize, schema: &HuntSchema) -> HuntCompletions;

    /// The query in the one form; what is wrong with its syntax otherwise.
    fn format(&self, text: &str) -> Result<String, Vec<Diagnostic>>;

    /// Runs it over one moment of the tenant's rows.
    fn run(
        &self,
        prepared: Prepared,
        view: View,
        temporary: TemporaryFiles,
        options: HuntOptions,
    ) -> BoxFuture<'_, Result<HuntAnswer, Error>>;
}

/// What can be written at a place of a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HuntCompletions {
    /// Bytes of the query that an item replaces.
    pub span: Span,
    /// The items, the likeliest first.
    pub items: Vec<HuntCompletion>,
}

/// One thing that can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HuntCompletion {
    /// What to write.
    pub label: String,
    /// What it is: `column`, `table`, `operator`, `function` …
    pub kind: &'static str,
    /// The type of a column, the signatures of a function; may be empty.
    pub detail: String,
    /// One line about it; may be empty.
    pub doc: String,
}

/// Calls a hunt off when its answer is no longer waited for.
struct Interest {
    cancel: Arc<AtomicBool>,
    answered: bool,
}

impl Drop for Interest {
    fn drop(&mut self) {
        if !self.answered {
            self.cancel.store(true, Ordering::Release);
        }
    }
}

#[derive(Debug)]
struct Seat {
    cell: Arc<crate::cell::Inner>,
    tenant: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.cell.hunts.fetch_sub(1, Ordering::AcqRel);
        self.tenant.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Tenant {
    /// The tables outside the shipped schema that a scope covers.
    fn raw_within(&self, scope: &Only<TableName>) -> RawSchema {
        let all = self
            .raw
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if *scope == Only::All {
            return all.clone();
        }
        let mut covered = RawSchema::new();
        for (table, columns) in all.tables().filter(|(table, _)| scope.allows(table)) {
            covered.add_table(table);
            for (column, column_type) in columns {
                covered.add(table, column, *column_type);
            }
        }
        covered
    }
}

impl Cell {
    /// Reads a query without running it: its findings, and whether it could run here.
    pub async fn check_hunt(
        &self,
        grant: &Granted<Hunt>,
        text: &str,
        cancel: Arc<AtomicBool>,
    ) -> Result<Vec<Diagnostic>, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        let mut options = HuntOptions {
            cancel,
            place: Some(HuntPlace(self.take_seat(&tenant)?)),
            ..HuntOptions::default()
        };
        let now = self.inner.cx.now();
        let prepared = self
            .prepare(&tenant, grant, text, now, &mut options)
            .await?;
        self.check_geography(&tenant, &prepared.tables)?;
        Ok(prepared.diagnostics)
    }

    /// What can be written at byte `offset` of a query. Tables that the grant does not cover are as if
    /// they were not there.
    pub async fn complete_hunt(
        &self,
        grant: &Granted<Hunt>,
        text: &str,
        offset: usize,
    ) -> Result<HuntCompletions, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        let place = HuntPlace(self.take_seat(&tenant)?);
        let allowed = &grant.scope().tables;
        let raw = tenant.raw_within(allowed);
        let schema = HuntSchema {
            raw,
            ..HuntSchema::default()
        };
        let (hunting, text) = (self.inner.options.hunting.clone(), text.to_owned());
        let work = move || {
            let found = hunting.complete(&text, offset, &schema);
            drop(place);
            found
        };
        let mut found = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Error::Internal)?;
        found.items.retain(|item| {
            let is_covered = |name: &str| TableName::new(name).is_ok_and(|t| allowed.allows(&t));
            item.kind != "table" || is_covered(&item.label)
        });
        Ok(found)
    }

    /// The query in the one form.
    pub async fn format_hunt(&self, grant: &Granted<Hunt>, text: &str) -> Result<String, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        let place = HuntPlace(self.take_seat(&tenant)?);
        let (hunting, text) = (self.inner.options.hunting.clone(), text.to_owned());
        let work = move || {
            let formatted = hunting.format(&text);
            drop(place);
            formatted
        };
        let formatted = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Error::Internal)?;
        formatted.map_err(Error::Query)
    }

    /// Runs a query over the tenant's rows in this region.
    pub async fn hunt(
        &self,
        grant: &Granted<Hunt>,
        text: &str,
        options: HuntOptions,
    ) -> Result<HuntAnswer, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        // A window's query is asked as of its end.
        let now = options
            .window
            .map_or(self.inner.cx.now(), |(_, until)| until);
        let mut options = HuntOptions {
            place: Some(HuntPlace(self.take_seat(&tenant)?)),
            ..options
        };
        let prepared = self
            .prepare(&tenant, grant, text, now, &mut options)
            .await?;
        if prepared.plan.is_none() || has_errors(&prepared.diagnostics) {
            return Err(Error::Query(prepared.diagnostics));
        }
        if let Some(table) = prepared
            .tables
            .iter()
            .find(|t| !grant.scope().tables.allows(t))
        {
            return Err(Error::Hunt {
                code: Code::Denied,
                message: format!("the credential's scope does not cover table `{table}`"),
            });
        }
        self.check_geography(&tenant, &prepared.tables)?;
        options.files = Some(self.known_files());
        self.note_hunt(grant, text, &prepared.tables).await?;
        let view = self.store().view(grant)?;
        let temporary = self.store().temporary_files().clone();
        let warnings = prepared.diagnostics.clone();
        let hunting = &self.inner.options.hunting;
        let mut answer = hunting.run(prepared, view, temporary, options).await?;
        // What is probably not meant is said beside the rows, too: there may be none because of it.
        answer.notices.extend(warnings);
        Ok(answer)
    }

    /// Who read which rows is on record before the first of them is read. What the program itself asks
    /// is a rule's, and the rule is on record.
    async fn note_hunt(
        &self,
        grant: &Granted<Hunt>,
        text: &str,
        tables: &BTreeSet<TableName>,
    ) -> Result<(), Error> {
        if matches!(grant.actor(), access::Actor::System(_)) {
            return Ok(());
        }
        // A table outside the schema has a name of the tenant's own.
        let known = |table: &&TableName| model::Schema::hunting().table(table.as_str()).is_some();
        let (shipped, own): (Vec<_>, Vec<_>) = tables.iter().partition(known);
        let vault = self.store().vault().tenant(grant.tenant())?;
        // Keyed: whoever guesses a query cannot try it against the record.
        let digest = vault.blind_index("hunt-text", text.as_bytes());
        let end = text.floor_char_boundary(limits::AUDIT_QUERY_BYTES_MAX);
        let mut happened = store::AuditDraft::of(grant, ledger::Happening::RowsHunted)
            .with("tables", listed(&shipped))
            .with("query_digest", crypto::hex(&digest))
            .with_private("query", text.get(..end).unwrap_or_default());
        if !own.is_empty() {
            happened = happened
                .with("own_tables", own.len())
                .with_private("own_table_names", listed(&own));
        }
        self.store().append_audit(vec![happened]).await?;
        Ok(())
    }

    /// Reads a query beside the runtime's workers, within its time for planning; `options` has what
    /// is left of it afterwards. The place stays with the work, however long that goes on unseen.
    async fn prepare(
        &self,
        tenant: &Tenant,
        grant: &Granted<Hunt>,
        text: &str,
        now: Ticks,
        options: &mut HuntOptions,
    ) -> Result<Prepared, Error> {
        // Of tables that the caller may not read not even the names are told.
        let raw = tenant.raw_within(&grant.scope().tables);
        let given_up = options.cancel.clone();
        let schema = HuntSchema { raw, given_up };
        let hunting = self.inner.options.hunting.clone();
        let (text, place) = (text.to_owned(), options.place.take());
        let began = self.inner.cx.now();
        let mut interest = Interest {
            cancel: options.cancel.clone(),
            answered: false,
        };
        let work =
            tokio::task::spawn_blocking(move || (hunting.prepare(&text, &schema, now), place));
        let (prepared, place) = tokio::select! {
            biased;
            done = work => done.map_err(|_| Error::Internal)?,
            () = tokio::time::sleep(options.planning_max) => {
                let seconds = options.planning_max.as_secs();
                return Err(Error::Hunt {
                    code: Code::HuntPlanning,
                    message: format!("the query was not read within {seconds} seconds"),
                });
            }
        };
        interest.answered = true;
        options.place = place;
        let spent = self.inner.cx.now().since(began).as_seconds_f64().max(0.0);
        let spent = Duration::try_from_secs_f64(spent).unwrap_or_default();
        options.planning_max = options.planning_max.saturating_sub(spent);
        Ok(prepared)
    }

    fn take_seat(&self, tenant: &Tenant) -> Result<Seat, Error> {
        let seat = Seat {
            cell: self.inner.clone(),
            tenant: tenant.hunts.clone(),
        };
        let of_cell = self.inner.hunts.fetch_add(1, Ordering::AcqRel);
        let of_tenant = tenant.hunts.fetch_add(1, Ordering::AcqRel);
        if of_cell >= limits::HUNTS_PER_CELL_MAX || of_tenant >= limits::HUNTS_PER_TENANT_MAX {
            return Err(Error::Hunt {
                code: Code::Busy,
                message: "too many hunts run at once".to_owned(),
            });
        }
        Ok(seat)
    }

    /// Whether all rows of the tables, of every service that fills them, rest here.
    pub(crate) fn check_geography(
        &self,
        tenant: &Tenant,
        tables: &BTreeSet<TableName>,
    ) -> Result<(), Error> {
        let mut regions = BTreeMap::new();
        for table in tables {
            // A raw table's service is its source's only one; its rows are where it was taken.
            let Some(service) = tenant.registry.service_of_table(table) else {
                continue;
            };
            let now = tenant.placement.region_of(service).cloned();
            let earlier = match &tenant.standing {
                Standing::Home(record) => record.earlier(),
                Standing::Second(profile) => profile.earlier(),
            };
            let before = earlier
                .iter()
                .filter(|e| e.service == *service)
                .map(|e| e.region.clone());
            let all: BTreeSet<_> = now.clone().into_iter().chain(before).collect();
            match (now, &tenant.standing) {
                (None, Standing::Second(profile)) => {
                    regions.insert(table.clone(), BTreeSet::from([profile.home().clone()]));
                }
                (None, Standing::Home(_)) => {
                    let service = service.clone();
                    return Err(Error::RefusedService {
                        table: table.clone(),
                        service,
                    });
                }
                (Some(_), _) => drop(regions.insert(table.clone(), all)),
            }
        }
        let all: BTreeSet<_> = regions.values().flatten().collect();
        let only_here = all.iter().all(|r| *r == self.region());
        match (only_here, all.len(), regions.iter().next()) {
            (true, ..) => Ok(()),
            (false, 1, Some((table, of))) => Err(Error::ElsewhereTable {
                table: table.clone(),
                region: of.iter().next().cloned().ok_or(Error::Internal)?,
            }),
            _ => Err(Error::SeveralGeographies(named(tenant, &regions))),
        }
    }
}

/// Names in a row of the record, as many as it has room for.
fn listed(tables: &[&TableName]) -> String {
    let names: Vec<&str> = tables.iter().map(|t| t.as_str()).collect();
    let text = names.join(",");
    let end = text.floor_char_boundary(limits::AUDIT_DETAILS_BYTES_MAX / 8);
    text.get(..end).unwrap_or_default().to_owned()
}

fn named(
    tenant: &Tenant,
    regions: &BTreeMap<TableName, BTreeSet<model::RegionCode>>,
) -> Vec<(TableName, model::GeographyCode)> {
    let geography =
        |region: &model::RegionCode| tenant.registry.region(region).map(|r| r.geography.clone());
    let pairs = regions
        .iter()
        .flat_map(|(table, of)| of.iter().map(move |r| (table, r)));
    pairs
        .filter_map(|(table, r)| Some((table.clone(), geography(r)?)))
        .collect()
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}
