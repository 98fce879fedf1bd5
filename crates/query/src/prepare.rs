//! A query's text, made ready to run: parsed, bound, and checked for what does not run yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use kql::{Resolved, SchemaSource};
use model::{Diagnostic, Severity, TableName, Ticks};

use crate::lower::support;

/// A query that was looked at, with everything there is to say about it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What `now()` is.
    pub now: Ticks,
    /// The query; `None` beside at least one error.
    pub resolved: Option<Arc<Resolved>>,
    /// Findings, errors among them if it cannot run.
    pub diagnostics: Vec<Diagnostic>,
    /// The tables whose rows it reads: what scope and placement are checked against.
    pub tables: BTreeSet<TableName>,
}

/// Reads `text` against `schema`, with `now` for every `now()` and `ago()`.
pub fn prepare(text: &str, schema: &dyn SchemaSource, now: Ticks) -> Prepared {
    let syntax = kql::parse(text);
    let (resolved, mut diagnostics) = kql::resolve(&syntax, schema, now);
    let tables = resolved.as_ref().map(Resolved::tables).unwrap_or_default();
    if let Some(resolved) = &resolved {
        diagnostics.extend(support::refusals(resolved));
    }
    let fine = diagnostics.iter().all(|d| d.severity != Severity::Error);
    let resolved = resolved.filter(|_| fine).map(Arc::new);
    Prepared {
        now,
        resolved,
        diagnostics,
        tables,
    }
}
