//! A query's text, made ready to run: parsed, bound, and checked for what does not run yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kql::resolved::{Found, Op, Relation};
use kql::{Resolved, SchemaSource, TableShape};
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
    /// The query again, if its columns stand in the data.
    pub(crate) again: Option<Arc<Again>>,
}

/// What it takes to bind a query anew once the data told about its columns.
#[derive(Debug)]
pub(crate) struct Again {
    syntax: kql::Syntax,
    shapes: BTreeMap<String, TableShape>,
    addresses: BTreeSet<String>,
    now: Ticks,
}

impl Again {
    /// The query with what was found.
    pub(crate) fn resolve(&self, found: &[Found]) -> Result<Resolved, Vec<Diagnostic>> {
        let (resolved, mut diagnostics) = kql::resolve_with(&self.syntax, self, self.now, found);
        if let Some(resolved) = &resolved {
            diagnostics.extend(support::refusals(resolved));
        }
        let fine = diagnostics.iter().all(|d| d.severity != Severity::Error);
        resolved.filter(|_| fine).ok_or(diagnostics)
    }
}

impl SchemaSource for Again {
    fn table(&self, name: &str) -> Option<TableShape> {
        self.shapes.get(name).cloned()
    }

    fn tables(&self) -> Vec<String> {
        self.shapes.keys().cloned().collect()
    }

    fn external(&self, address: &str) -> bool {
        self.addresses.contains(address)
    }
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
    let again = resolved
        .as_ref()
        .filter(|resolved| !resolved.probes.is_empty())
        .map(|resolved| {
            let shape = |name: String| Some((name.clone(), schema.table(&name)?));
            Arc::new(Again {
                shapes: schema.tables().into_iter().filter_map(shape).collect(),
                addresses: addresses(resolved),
                syntax,
                now,
            })
        });
    Prepared {
        now,
        resolved,
        diagnostics,
        tables,
        again,
    }
}

/// The addresses that the query was allowed to read.
fn addresses(resolved: &Resolved) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Relation> = resolved.relations().collect();
    while let Some(relation) = open.pop() {
        if let Op::External { addresses, .. } = &relation.op {
            found.extend(addresses.iter().map(ToString::to_string));
        }
        open.extend(relation.inputs());
    }
    found
}
