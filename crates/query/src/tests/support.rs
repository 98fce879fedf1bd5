//! Running a query in a test: over given tables, on a runtime of its own, at a fixed instant.

use std::collections::BTreeMap;
use std::time::Duration;

use kql::SchemaSource;
use model::{TableName, Ticks};

use crate::{Cancel, Engine, Error, HuntResult, Limits, Prepared, TableRows, prepare};

/// 2024-06-15T12:00:00Z.
pub(super) fn now() -> Ticks {
    Ticks::parse("2024-06-15T12:00:00Z").expect("an instant")
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

pub(super) fn run_prepared(
    prepared: &Prepared,
    tables: &BTreeMap<TableName, TableRows>,
    limits: Limits,
) -> Result<HuntResult, Error> {
    run_in(&Engine::default(), prepared, tables, limits)
}

pub(super) fn run_in(
    engine: &Engine,
    prepared: &Prepared,
    tables: &BTreeMap<TableName, TableRows>,
    limits: Limits,
) -> Result<HuntResult, Error> {
    let sources = |name: &TableName| tables.get(name).cloned();
    runtime().block_on(engine.run(prepared, sources, limits, &Cancel::default()))
}

pub(super) fn run(
    text: &str,
    schema: &dyn SchemaSource,
    tables: &BTreeMap<TableName, TableRows>,
) -> Result<HuntResult, Error> {
    run_prepared(&prepare(text, schema, now()), tables, Limits::default())
}

/// An error with its causes and diagnostics, on one line.
pub(super) fn describe(error: &Error) -> String {
    if let Error::Query { diagnostics } = error {
        let first = diagnostics
            .first()
            .map(|d| format!("{} {}", d.code, d.message));
        return first.unwrap_or_default();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text.replace('\n', " ")
}

/// Tells when it is dropped.
pub(super) struct Held(pub(super) Option<std::sync::mpsc::Sender<()>>);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.take().map(|gone| gone.send(()));
    }
}

/// Runs a query, cancels it after a while, and says whether its thread ended soon after that (or after
/// the answer, if that came first).
pub(super) fn ends(
    prepared: &Prepared,
    tables: &BTreeMap<TableName, TableRows>,
    limits: Limits,
    cancel_after: Option<Duration>,
    soon: Duration,
) -> (Result<HuntResult, Error>, bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let (gone, is_gone) = std::sync::mpsc::channel();
    let held = Box::new(Held(Some(gone)));
    let cancel = Cancel::holding(std::sync::Arc::default(), Some(held));
    let switch = cancel.clone();
    let engine = Engine::default();
    let outcome = runtime.block_on(async {
        if let Some(after) = cancel_after {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                switch.cancel();
            });
        } else {
            drop(switch);
        }
        engine
            .run(prepared, |name| tables.get(name).cloned(), limits, &cancel)
            .await
    });
    drop(cancel);
    let ended = is_gone.recv_timeout(soon);
    let late = ended == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
    (outcome, !late)
}
