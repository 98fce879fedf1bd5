//! Published hunting queries and the engine's recorded answers, read in place when they are there.

use model::Schema;
use serde_json::Value;

use super::NOW;
use crate::Resolved;

/// The rows of a file of the shared data, or `None` with a note.
fn rows(file: &str) -> Option<Vec<Value>> {
    let Some(folder) = testkit::shared_data() else {
        testkit::skip(&format!("no shared data: {file}"));
        return None;
    };
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn answer(row: &Value) -> (bool, Option<Resolved>, Vec<String>) {
    let query = row["query"].as_str().unwrap();
    let syntax = crate::parse(query);
    assert_eq!(syntax.root().text().to_string(), query);
    let parses = syntax.diagnostics.is_empty();
    let (resolved, diagnostics) = crate::resolve(&syntax, Schema::hunting(), NOW);
    assert_eq!(
        resolved.is_none(),
        diagnostics
            .iter()
            .any(|d| d.severity == model::Severity::Error)
    );
    (
        parses,
        resolved,
        diagnostics.into_iter().map(|d| d.code).collect(),
    )
}

/// What a file's rows came to.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    well_formed: usize,
    parsed: usize,
    accepted: usize,
    resolved: usize,
    not_yet: usize,
}

#[test]
fn published_queries() {
    let Some(rows) = rows("kql/hunting_queries.jsonl") else {
        return;
    };
    let mut tally = Tally::default();
    for row in &rows {
        let (parses, resolved, codes) = answer(row);
        if row["syntax_ok"] == true {
            tally.well_formed += 1;
            tally.parsed += usize::from(parses);
        }
        if row["semantic_ok_alias"] == true {
            tally.accepted += 1;
            tally.resolved += usize::from(resolved.is_some());
            tally.not_yet += usize::from(codes.iter().any(|c| c.starts_with("KQL04")));
        }
    }
    println!("{tally:?}");
    assert_eq!(tally.parsed, tally.well_formed);
    // The floors reached so far; what is not supported yet says so by its code.
    assert!(tally.resolved >= 1_725);
    assert!(tally.resolved + tally.not_yet >= tally.accepted - 8);
}

fn columns_of(query: &Resolved) -> (Vec<&str>, Vec<&str>) {
    let columns = &query.root.columns;
    let names = columns.iter().map(|f| &*f.name).collect();
    (names, columns.iter().map(|f| f.ty.as_str()).collect())
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect()
}

/// Names and types of the columns against the engine's; `least` resolve, `differ` are known to differ.
fn columns_agree(file: &str, least: usize, differ: &[&str]) {
    let Some(rows) = rows(file) else { return };
    let (mut resolved, mut different) = (0, Vec::new());
    for row in rows.iter().filter(|row| row["expect_error"] != true) {
        let Some(query) = answer(row).1 else { continue };
        resolved += 1;
        // Columns that stand in the data are not known here.
        if !query.probes.is_empty() {
            continue;
        }
        let (names, types) = columns_of(&query);
        let same =
            names == texts(&row["expected_columns"]) && types == texts(&row["expected_types"]);
        if !same {
            different.push(row["id"].as_str().unwrap().to_owned());
        }
    }
    println!("{file}: {resolved} resolve");
    assert_eq!(different, differ);
    assert!(resolved >= least, "{resolved}");
}

#[test]
fn columns_of_documented_answers() {
    // The engine gives a long when such a function's argument is a literal, and an int otherwise;
    // of graphs the page tells no types; and these answers are of a database without tables.
    let differ = [
        "query/all-graph-function.md#L95",
        "query/any-graph-function.md#L92",
        "query/getyear-function.md#L39",
        "query/hour-of-day-function.md#L37",
        "query/let-statement.md#L205",
        "query/monthofyear-function.md#L39",
    ];
    columns_agree("kql/cases.jsonl", 300, &differ);
}

#[test]
fn columns_of_recorded_answers() {
    // The engine shows an internal name for `d[k]`; after `scan` these answers say `int` where those
    // of the documentation, by the same engine, say `long`.
    let differ = [
        "fuzz-0448",
        "fuzz-0449",
        "fuzz-0450",
        "fuzz-0616",
        "fuzz-0891",
        "fuzz-0894",
        "fuzz-0895",
        "fuzz-0930",
        "fuzz-1360",
        "fuzz-1365",
    ];
    columns_agree("kql/engine_cases.jsonl", 990, &differ);
}

#[test]
fn what_the_engine_refuses() {
    let Some(rows) = rows("kql/engine_cases.jsonl") else {
        return;
    };
    let refused = |row: &&Value| row["expect_error"] == true;
    let all = rows.iter().filter(refused).count();
    let here = rows
        .iter()
        .filter(refused)
        .filter(|row| answer(row).1.is_none())
        .count();
    println!("{here} of {all} refused");
    assert!(here * 100 >= all * 90);
}
