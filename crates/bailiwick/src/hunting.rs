//! Binds the query engine to the cell's port.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cell::{
    AlsoAnswer, HuntAnswer, HuntColumn, HuntCompletion, HuntCompletions, HuntOptions, HuntSchema,
    HuntStats, Hunting, KnownFiles, Prepared, View,
};
use futures::future::BoxFuture;
use kql::{SchemaSource, TableShape};
use model::{Diagnostic, Schema, Severity, Span, TableName, Ticks};
use query::over_store::{SealedSpill, table_rows};
use query::{Cancel, Engine, FileAnswer, Limits, Profiles, Settings};
use rows::arrow::datatypes::Schema as ArrowSchema;
use rows::{RecordBatch, types};
use store::TemporaryFiles;

use crate::beside::{Beside, Feeds};

/// KQL over DataFusion, with what stands beside the rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct KqlHunting(pub(crate) Beside);

/// The shipped tables with the tenant's extra columns, the tenant's own tables, and the addresses that
/// the operator lets queries name.
struct TenantTables<'a>(&'a HuntSchema, &'a Feeds);

impl SchemaSource for TenantTables<'_> {
    fn table(&self, name: &str) -> Option<TableShape> {
        let known = SchemaSource::table(Schema::hunting(), name);
        let id = TableName::new(name).ok()?;
        let raw = self
            .0
            .raw
            .tables()
            .find(|(table, _)| **table == id)
            .map(|(_, columns)| columns);
        let extra = raw
            .into_iter()
            .flatten()
            .map(|(column, ty)| (column.as_str().into(), *ty));
        match (known, raw.is_some()) {
            (Some(mut shape), _) => {
                shape.columns.extend(extra);
                Some(shape)
            }
            (None, true) => Some(TableShape {
                name: id,
                columns: extra.collect(),
            }),
            (None, false) => None,
        }
    }

    fn tables(&self) -> Vec<String> {
        let known = SchemaSource::tables(Schema::hunting());
        let raw = self.0.raw.tables().map(|(table, _)| table.to_string());
        let mut all: Vec<String> = known.into_iter().chain(raw).collect();
        all.sort();
        all.dedup();
        all
    }

    fn external(&self, address: &str) -> bool {
        self.1.has(address)
    }

    fn is_given_up(&self) -> bool {
        self.0.given_up.load(Ordering::Relaxed)
    }
}

/// What the cell knows of files, as the engine asks for it.
#[derive(Debug)]
struct Files(KnownFiles);

impl Profiles for Files {
    fn source(&self) -> Option<String> {
        let (number, at) = self.0.snapshot()?;
        Some(format!(
            "the centre's snapshot {number} of {}",
            model::Day::of(at)
        ))
    }

    fn files<'a>(&'a self, sha256: &'a [String]) -> BoxFuture<'a, Vec<FileAnswer>> {
        Box::pin(async move {
            let Ok(found) = self.0.look_up(sha256).await else {
                return vec![FileAnswer::Failed; sha256.len()];
            };
            let answer = |told: Option<residency::egress::Prevalence>| match told {
                Some(told) => FileAnswer::Known {
                    groups: told.groups.at_least(),
                    first_seen: told.first_day.start(),
                },
                None => FileAnswer::Unknown,
            };
            found.into_iter().map(answer).collect()
        })
    }
}

impl Hunting for KqlHunting {
    fn prepare(&self, text: &str, schema: &HuntSchema, now: Ticks) -> Prepared {
        let prepared = query::prepare(text, &TenantTables(schema, &self.0.feeds), now);
        Prepared {
            tables: prepared.tables.clone(),
            diagnostics: prepared.diagnostics.clone(),
            columns: columns_of(&prepared),
            has_several: prepared
                .resolved
                .as_ref()
                .is_some_and(|r| !r.also.is_empty()),
            plan: prepared.resolved.is_some().then(|| Box::new(prepared) as _),
        }
    }

    fn complete(&self, text: &str, offset: usize, schema: &HuntSchema) -> HuntCompletions {
        let found = kql::complete(text, offset, &TenantTables(schema, &self.0.feeds));
        let items = found.items.into_iter().map(|item| HuntCompletion {
            label: item.label,
            kind: item.kind.as_str(),
            detail: item.detail,
            doc: item.doc,
        });
        HuntCompletions {
            span: found.span,
            items: items.collect(),
        }
    }

    fn format(&self, text: &str) -> Result<String, Vec<Diagnostic>> {
        let syntax = kql::parse(text);
        kql::formatted(&syntax).ok_or(syntax.diagnostics)
    }

    fn run(
        &self,
        prepared: Prepared,
        view: View,
        temporary: TemporaryFiles,
        options: HuntOptions,
    ) -> BoxFuture<'_, Result<HuntAnswer, cell::Error>> {
        Box::pin(run(&self.0, prepared, view, temporary, options))
    }
}

/// The result's columns, if the query alone tells them.
fn columns_of(prepared: &query::Prepared) -> Option<Vec<HuntColumn>> {
    let resolved = prepared.resolved.as_ref()?;
    let known = resolved.probes.is_empty();
    let columns = resolved.root.columns.iter().filter(|field| !field.hidden);
    let columns = columns.map(|field| HuntColumn {
        name: field.name.to_string(),
        column_type: field.ty,
    });
    known.then(|| columns.collect())
}

async fn run(
    beside: &Beside,
    prepared: Prepared,
    view: View,
    temporary: TemporaryFiles,
    options: HuntOptions,
) -> Result<HuntAnswer, cell::Error> {
    let plan = prepared.plan.ok_or(cell::Error::Internal)?;
    let plan = plan
        .downcast::<query::Prepared>()
        .map_err(|_| cell::Error::Internal)?;
    let mut tables = std::collections::BTreeMap::new();
    for table in &plan.tables {
        let rows = view.table(table, &rows::Predicate::all())?;
        tables.insert(table.clone(), table_rows(rows, true));
    }
    let limits = Limits {
        rows: options.rows_max,
        bytes: options.bytes_max,
        seconds: options.time_max.as_secs(),
        planning: options.planning_max,
        memory_bytes: options.memory_bytes_max,
        window: options.window,
        ..Limits::default()
    };
    let place = options.place;
    let held = place.map(|place| -> Box<dyn Any + Send + Sync> { Box::new(place) });
    let guard = Cancel::holding(options.cancel.clone(), held);
    let started = tokio::time::Instant::now();
    let settings = Settings {
        temporary: Some(Arc::new(SealedSpill::new(
            temporary,
            options.spill_bytes_max,
        ))),
        profiles: options
            .files
            .map(|files| -> Arc<dyn Profiles> { Arc::new(Files(files)) }),
        external: Some(beside.feeds.clone()),
        reference: beside.reference.clone(),
        ..Settings::default()
    };
    let engine = Engine::new(settings);
    let ran = engine
        .run(&plan, |table| tables.get(table).cloned(), limits, &guard)
        .await;
    let result = ran.map_err(|error| match error {
        query::Error::Query { diagnostics } => cell::Error::Query(diagnostics),
        other => cell::Error::Hunt {
            code: other.code(),
            message: other.to_string(),
        },
    })?;
    let elapsed = started.elapsed();
    answer(
        &result,
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
    )
}

/// How to see what the default left out.
fn help_of(notice: &query::Notice) -> Option<String> {
    let query::Notice::LookBack { .. } = notice else {
        return None;
    };
    Some(
        "older rows: `| where Timestamp > datetime(2019-01-01)`; rows without a time are not shown either: `| where isnull(Timestamp)`"
            .to_owned(),
    )
}

fn answer(result: &query::HuntResult, elapsed_us: u64) -> Result<HuntAnswer, cell::Error> {
    let (columns, batches) = rows_of(&result.columns, &result.batches)?;
    let also = result.also.iter().map(|also| {
        let (columns, batches) = rows_of(&also.columns, &also.batches)?;
        Ok(AlsoAnswer {
            name: also.name.as_ref().map(ToString::to_string),
            columns,
            batches,
        })
    });
    let also = also.collect::<Result<Vec<_>, cell::Error>>()?;
    let notices = result.notices.iter().map(|notice| Diagnostic {
        code: notice.code().to_owned(),
        severity: Severity::Notice,
        span: Span::default(),
        message: notice.to_string(),
        help: help_of(notice),
    });
    let cut = |n: &query::Notice| matches!(n.code(), "rows_cut" | "bytes_cut");
    Ok(HuntAnswer {
        columns,
        batches,
        is_partial: result.notices.iter().any(cut),
        notices: notices.collect(),
        stats: HuntStats {
            rows_scanned: result.stats.segment_rows,
            segments_opened: result.stats.segments_read,
            elapsed_us,
        },
        name: result.name.as_ref().map(ToString::to_string),
        also,
    })
}

/// Columns and rows of one result.
fn rows_of(
    columns: &[(Arc<str>, model::ColumnType)],
    made: &[RecordBatch],
) -> Result<(Vec<HuntColumn>, Vec<RecordBatch>), cell::Error> {
    let columns: Vec<HuntColumn> = columns
        .iter()
        .map(|(name, ty)| HuntColumn {
            name: name.to_string(),
            column_type: *ty,
        })
        .collect();
    // Columns get their own names and Kusto types back; two may have the same name in a plan.
    let mut batches = Vec::with_capacity(made.len());
    for batch in made {
        let fields: Vec<_> = columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| {
                let field = types::field(&column.name, column.column_type);
                let ty = array.data_type().clone();
                field.with_data_type(ty).with_nullable(true)
            })
            .collect();
        let schema = Arc::new(ArrowSchema::new(fields));
        let batch = RecordBatch::try_new(schema, batch.columns().to_vec());
        batches.push(batch.map_err(|_| cell::Error::Internal)?);
    }
    Ok((columns, batches))
}
