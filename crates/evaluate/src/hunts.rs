//! Published hunting queries over empty tables: each parses, resolves and runs, or is refused with a
//! finding that names what.

use std::time::Duration;

use kql::{SchemaSource, TableShape};
use model::Schema;
use serde_json::Value;

use crate::engine::{self, Bench};
use crate::report::{Outcome, Report};

/// What a query may take over an empty store: ten seconds as it ships. Without optimisation plans
/// take some ten times as long to make.
const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 100 } else { 10 });

/// The shipped schema, with every address that a query reads from mapped to an empty table.
struct Everything;

impl SchemaSource for Everything {
    fn table(&self, name: &str) -> Option<TableShape> {
        SchemaSource::table(Schema::hunting(), name)
    }

    fn tables(&self) -> Vec<String> {
        SchemaSource::tables(Schema::hunting())
    }

    fn external(&self, _: &str) -> bool {
        true
    }
}

pub(crate) fn run(file: &str, lines: &[Value], report: &mut Report) {
    let answers = engine::each(lines, outcome);
    for (line, (mut failure, took)) in lines.iter().zip(answers) {
        if took > TIME_MAX && failure.is_none() {
            failure = Some(format!("took {} ms", took.as_millis()));
        }
        let id = line.get("id").and_then(Value::as_str).unwrap_or_default();
        report.outcomes.push(Outcome {
            file: file.to_owned(),
            id: id.to_owned(),
            families: families(line),
            failure,
            reported_only: false,
        });
    }
}

fn is(line: &Value, key: &str) -> bool {
    line.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn families(line: &Value) -> Vec<String> {
    let query = line
        .get("query")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut families = Vec::new();
    if is(line, "semantic_ok_alias") {
        families.push("* resolve and run".to_owned());
        if query.contains("externaldata") {
            families.push("with externaldata".to_owned());
        }
    } else if is(line, "syntax_ok") {
        families.push("refused by the binder, explained".to_owned());
    } else {
        families.push("syntax errors, explained".to_owned());
    }
    if is(line, "syntax_ok") {
        families.push("* syntax accepted or refused".to_owned());
    }
    families
}

fn outcome(bench: &Bench, line: &Value) -> Option<String> {
    let text = line.get("query").and_then(Value::as_str)?;
    if is(line, "syntax_ok") && !kql::parse(text).diagnostics.is_empty() {
        return Some("does not parse".to_owned());
    }
    let prepared = bench.prepare(text, &Everything);
    if prepared.resolved.is_some() {
        return bench.run(&prepared).err();
    }
    let finding = engine::first_finding(&prepared);
    let explained = !finding.is_empty() && !is(line, "semantic_ok_alias");
    (!explained).then_some(finding)
}
