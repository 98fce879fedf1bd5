//! The recorded answers of the real engine: how many of them we give.
//!
//! The floors are what was reached; a change that falls below one fails. The failing cases are
//! printed by their first error (`cargo test -p query conformance -- --nocapture`).

use std::collections::BTreeMap;
use std::path::Path;

use model::Schema;
use serde_json::Value;

use super::support::{describe, run};
use crate::encode::json_value;
use crate::{Cell, HuntResult};

/// Passing hunting-relevant documentation cases at least.
const DOCS_FLOOR: usize = 100;
/// Passing hunting-relevant generated cases at least.
const ENGINE_FLOOR: usize = 703;

struct Report {
    passed: usize,
    total: usize,
    failures: BTreeMap<String, Vec<String>>,
}

#[test]
fn documentation_cases() {
    check("cases.jsonl", DOCS_FLOOR);
}

#[test]
fn engine_cases() {
    check("engine_cases.jsonl", ENGINE_FLOOR);
}

fn check(file: &str, floor: usize) {
    let Some(folder) = testkit::shared_data() else {
        testkit::skip("no shared data for the conformance cases");
        return;
    };
    let path = folder.join("kql").join(file);
    if !path.exists() {
        testkit::skip("no conformance cases in the shared data");
        return;
    }
    let report = run_cases(&path);
    eprintln!(
        "{file}: {} of {} hunting-relevant cases pass",
        report.passed, report.total
    );
    for (why, ids) in &report.failures {
        eprintln!("  {:4} {why}: {}", ids.len(), ids.join(" "));
    }
    assert!(
        report.passed >= floor,
        "{} cases pass, {floor} did before",
        report.passed
    );
}

fn run_cases(path: &Path) -> Report {
    let text = std::fs::read_to_string(path).expect("the cases");
    let mut report = Report {
        passed: 0,
        total: 0,
        failures: BTreeMap::new(),
    };
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        if case["hunting_relevant"] != true || case["expect_error"] == true {
            continue;
        }
        report.total += 1;
        match run_case(&case) {
            Ok(()) => report.passed += 1,
            Err(why) => {
                let id = case["id"].as_str().unwrap_or_default().replace(' ', "_");
                let why: String = why.chars().take(110).collect();
                report.failures.entry(why).or_default().push(id);
            }
        }
    }
    report
}

fn run_case(case: &Value) -> Result<(), String> {
    let query = case["query"].as_str().expect("a query");
    let empty = BTreeMap::new();
    let result = run(query, Schema::hunting(), &empty).map_err(|e| describe(&e))?;
    let names: Vec<Value> = result
        .columns
        .iter()
        .map(|(n, _)| Value::from(&**n))
        .collect();
    if case["expected_columns"] != Value::from(names.clone()) {
        return Err(format!("columns {}", Value::from(names)));
    }
    let types: Vec<Value> = result
        .columns
        .iter()
        .map(|(_, t)| Value::from(t.as_str()))
        .collect();
    if case["expected_types"].is_array() && case["expected_types"] != Value::from(types.clone()) {
        return Err(format!("types {}", Value::from(types)));
    }
    let expected = case["expected_rows"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    compare(&rows_of(&result), &expected, case["ordered"] == true)
}

/// Rows in the encoding of the cases: timespans as ticks.
fn rows_of(result: &HuntResult) -> Vec<Value> {
    let mut rows = Vec::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            let cells = batch.cells(row).map(|cell| match cell {
                Cell::TimeSpan(ticks) => Value::from(ticks),
                other => {
                    let mut text = String::new();
                    json_value(other, &mut text);
                    serde_json::from_str(&text).expect("JSON")
                }
            });
            rows.push(Value::Array(cells.collect()));
        }
    }
    rows
}

fn compare(actual: &[Value], expected: &[Value], ordered: bool) -> Result<(), String> {
    if actual.len() != expected.len() {
        return Err(format!(
            "rows: {} instead of {}",
            actual.len(),
            expected.len()
        ));
    }
    if ordered && actual.iter().zip(expected).all(|(a, e)| same(a, e)) {
        return Ok(());
    }
    // Ties may be in any order, so sorted results too are compared as multisets.
    let mut left: Vec<&Value> = expected.iter().collect();
    for row in actual {
        let Some(at) = left.iter().position(|candidate| same(row, candidate)) else {
            let wanted = left.first().map(ToString::to_string).unwrap_or_default();
            return Err(format!("row {row} is not expected, for example {wanted}"));
        };
        left.swap_remove(at);
    }
    Ok(())
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            let (x, y) = (
                x.as_f64().unwrap_or(f64::NAN),
                y.as_f64().unwrap_or(f64::NAN),
            );
            (x - y).abs() <= 1e-9 * x.abs().max(y.abs())
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)) || same_set(x, y)
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

/// Arrays from `make_set` and its kin have no order of their own.
fn same_set(x: &[Value], y: &[Value]) -> bool {
    let mut left: Vec<&Value> = y.iter().collect();
    x.len() == y.len()
        && x.iter()
            .all(|item| match left.iter().position(|other| item == *other) {
                Some(at) => {
                    left.swap_remove(at);
                    true
                }
                None => false,
            })
}
