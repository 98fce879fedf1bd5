//! Running one query over the shipped schema with empty tables, at a fixed instant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kql::SchemaSource;
use model::{Schema, TableName, Ticks};
use query::{
    Cancel, Cell, Engine, Error, External, HuntResult, Limits, Prepared, Settings, TableRows,
    Unread, prepare,
};
use reference::{Agents, Reference};
use rows::{hidden, types};
use serde_json::Value;

/// Every `now()` of the evaluation.
const NOW: &str = "2024-06-15T12:00:00Z";

/// Every address that a query may read has no rows.
#[derive(Debug)]
struct Nothing;

impl External for Nothing {
    fn read(&self, _: &str) -> Result<bytes::Bytes, Unread> {
        Ok(bytes::Bytes::new())
    }
}

/// Runs queries over empty tables.
pub(crate) struct Bench {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
    tables: BTreeMap<TableName, TableRows>,
    now: Ticks,
}

impl Bench {
    pub(crate) fn new() -> Result<Self, crate::Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        Ok(Self {
            engine: Engine::new(Settings {
                external: Some(Arc::new(Nothing)),
                reference: Arc::new(Reference {
                    agents: Some(Agents::new(reference::COMMON_AGENTS)?),
                    places: None,
                }),
                ..Settings::default()
            }),
            runtime,
            tables: empty_tables(),
            now: Ticks::parse(NOW).unwrap_or(Ticks(0)),
        })
    }

    pub(crate) fn prepare(&self, text: &str, schema: &dyn SchemaSource) -> Prepared {
        prepare(text, schema, self.now)
    }

    /// Runs what was prepared; says why not.
    pub(crate) fn run(&self, prepared: &Prepared) -> Result<HuntResult, String> {
        let sources = |name: &TableName| self.tables.get(name).cloned();
        let cancel = Cancel::default();
        let run = self
            .engine
            .run(prepared, sources, Limits::default(), &cancel);
        self.runtime.block_on(run).map_err(|e| describe(&e))
    }
}

fn empty_tables() -> BTreeMap<TableName, TableRows> {
    let hidden = || hidden::ALL.iter().filter_map(|name| hidden::field(name));
    Schema::hunting()
        .tables()
        .map(|table| {
            let mut fields = types::table_schema(table).fields().to_vec();
            fields.extend(hidden().map(Arc::new));
            let rows = TableRows {
                schema: Arc::new(rows::arrow::datatypes::Schema::new(fields)),
                memory: Vec::new(),
                segments: Vec::new(),
                time_column: table.time_column.as_ref().map(ToString::to_string),
                look_back: true,
            };
            (table.name.clone(), rows)
        })
        .collect()
}

/// The first diagnostic of a refused text.
pub(crate) fn first_finding(prepared: &Prepared) -> String {
    let first = prepared.diagnostics.first();
    first.map_or_else(String::new, |d| format!("{} {}", d.code, d.message))
}

/// An error with its causes, on one line.
fn describe(error: &Error) -> String {
    if let Error::Query { diagnostics } = error {
        let first = diagnostics.first();
        return first.map_or_else(String::new, |d| format!("{} {}", d.code, d.message));
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Rows in the encoding of the cases: timespans as ticks.
pub(crate) fn rows_of(result: &HuntResult) -> Vec<Value> {
    let mut rows = Vec::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            rows.push(Value::Array(batch.cells(row).map(value).collect()));
        }
    }
    rows
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(b) => Value::Bool(b),
        Cell::Long(n) | Cell::TimeSpan(n) => Value::from(n),
        Cell::Real(x) if x.is_nan() => Value::from("NaN"),
        Cell::Real(x) if x.is_infinite() => {
            Value::from(if x > 0.0 { "Infinity" } else { "-Infinity" })
        }
        Cell::Real(x) => Value::from(x),
        Cell::Text(text) | Cell::Guid(text) => Value::from(text),
        Cell::DateTime(ticks) => Value::from(Ticks(ticks).to_string()),
        Cell::Dynamic(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
    }
}

/// Calls `f` for every line on as many threads as there are processors; the answers in order, each
/// with how long it took.
pub(crate) fn each<T: Send>(
    lines: &[Value],
    f: impl Fn(&Bench, &Value) -> T + Sync,
) -> Vec<(T, Duration)> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        let Ok(bench) = Bench::new() else { return done };
        while let Some((at, line)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            lines.get(at).map(|line| (at, line))
        } {
            let start = Instant::now();
            let answer = f(&bench, line);
            done.push((at, (answer, start.elapsed())));
        }
        done
    };
    let mut all: Vec<(usize, (T, Duration))> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap_or_default())
            .collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, answer)| answer).collect()
}
