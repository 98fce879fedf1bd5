//! Published hunting queries over empty tables: none stops the process, and what resolves runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use kql::{SchemaSource, TableShape};
use model::{ColumnType, Schema, TableName};
use rows::{hidden, types};
use serde_json::Value;

use super::support::{describe, now, run_prepared};
use crate::{Limits, TableRows, prepare};

/// Queries that run over empty tables at least.
const RUN_FLOOR: usize = 180;

/// One query in so many is run: planning all of them takes minutes without optimisation.
const STRIDE: usize = 8;

/// The shipped schema with the time alias that Sentinel-connected queries use.
struct Aliased;

impl SchemaSource for Aliased {
    fn table(&self, name: &str) -> Option<TableShape> {
        let mut shape = SchemaSource::table(Schema::hunting(), name)?;
        if !shape
            .columns
            .iter()
            .any(|(column, _)| &**column == model::schema::TIME_ALIAS)
        {
            shape
                .columns
                .push((model::schema::TIME_ALIAS.into(), ColumnType::DateTime));
        }
        Some(shape)
    }

    fn tables(&self) -> Vec<String> {
        SchemaSource::tables(Schema::hunting())
    }
}

pub(super) fn empty_tables() -> BTreeMap<TableName, TableRows> {
    Schema::hunting()
        .tables()
        .map(|table| {
            let mut fields = types::table_schema(table).fields().to_vec();
            fields.extend(
                hidden::ALL
                    .iter()
                    .filter_map(|name| hidden::field(name))
                    .map(Arc::new),
            );
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

#[test]
fn published_queries_run_over_empty_tables() {
    let Some(path) = testkit::shared_data().map(|folder| folder.join("kql/hunting_queries.jsonl"))
    else {
        testkit::skip("no shared data for the hunting queries");
        return;
    };
    let Ok(text) = std::fs::read_to_string(path) else {
        testkit::skip("no hunting queries in the shared data");
        return;
    };
    let tables = empty_tables();
    let (mut ran, mut resolved, mut total) = (0, 0, 0);
    let mut failures: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().step_by(STRIDE) {
        let query: Value = serde_json::from_str(line).expect("a query");
        total += 1;
        let prepared = prepare(query["query"].as_str().unwrap_or_default(), &Aliased, now());
        if prepared.resolved.is_none() {
            continue;
        }
        resolved += 1;
        match run_prepared(&prepared, &tables, Limits::default()) {
            Ok(_) => ran += 1,
            Err(error) => {
                let why: String = describe(&error).chars().take(160).collect();
                failures
                    .entry(why)
                    .or_default()
                    .push(query["id"].as_str().unwrap_or("").to_owned());
            }
        }
    }
    eprintln!("hunting queries: {ran} of {resolved} resolved ones run, of {total}");
    for (why, ids) in &failures {
        eprintln!("  {:4} {why}: {}", ids.len(), ids.join(" "));
    }
    assert!(
        ran >= RUN_FLOOR,
        "{ran} queries run, {RUN_FLOOR} did before"
    );
}
