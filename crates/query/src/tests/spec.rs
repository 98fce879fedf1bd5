//! The literate specifications of `spec/kql/*.md`: prose, tables, queries and what they give.
//!
//! A file has blocks of four kinds. `events table=Name` gives rows as JSON lines; the columns are
//! those of all rows, typed by their first value (an ISO instant is a `datetime`; `_row_id` and its
//! like are stored as the store does, and no part of the table's shape). `kql` is a query
//! over the tables so far; `rows` after it is the whole answer in the form of a table with `|`
//! between cells, in any order unless the query's last operator sorts; several results follow one
//! another, each under a line `result NAME`, in the order they have. `kql error=CODE` is a query
//! that is refused so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch,
    StringArray,
};
use kql::{SchemaSource, TableShape};
use model::{ColumnType, TableName, Ticks};
use rows::types;

use super::encode::text_value;
use super::support::{describe, now, run_prepared};
use crate::json::Json;
use crate::kernels::convert::{json_to_bool, json_to_datetime, json_to_long, json_to_real};
use crate::{Error, HuntResult, Limits, ResultBatch, TableRows, prepare};

#[derive(Default)]
struct Tables {
    shapes: BTreeMap<String, TableShape>,
    rows: BTreeMap<TableName, TableRows>,
}

impl SchemaSource for Tables {
    fn table(&self, name: &str) -> Option<TableShape> {
        self.shapes.get(name).cloned()
    }

    fn tables(&self) -> Vec<String> {
        self.shapes.keys().cloned().collect()
    }
}

/// A fenced block: the words after the fence, its text, and its first line in the file.
struct Block<'a> {
    words: Vec<&'a str>,
    text: String,
    line: usize,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for (i, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(words) => {
                open = true;
                let words = words.split_whitespace().collect();
                found.push(Block {
                    words,
                    text: String::new(),
                    line: i + 1,
                });
            }
            None if open => {
                if let Some(block) = found.last_mut() {
                    let _ = writeln!(block.text, "{line}");
                }
            }
            None => {}
        }
    }
    found
}

#[test]
fn specifications_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/kql");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("spec/kql")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        // What is said about mistakes is checked where it is said, in `kql`.
        .filter(|path| !path.ends_with("diagnostics.md") && !path.ends_with("README.md"))
        .collect();
    files.sort();
    let mut failures = String::new();
    let mut checked = 0;
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a file");
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mut answers = Vec::new();
        checked += check_file(&name, &text, &mut failures, &mut answers);
        if testkit::is_updating() {
            testkit::golden(file, &with_answers(&text, &answers));
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(checked >= 30, "only {checked} queries were checked");
}

/// An answer that is not the one in the file: the line where its block begins, and its rows.
type Answer = (usize, String);

/// The text with the blocks that begin at those lines replaced.
fn with_answers(text: &str, answers: &[Answer]) -> String {
    let mut out = String::new();
    let mut skips = false;
    for (i, line) in text.lines().enumerate() {
        if skips && line.starts_with("```") {
            skips = false;
        }
        if !skips {
            out.push_str(line);
            out.push('\n');
        }
        if let Some((_, rows)) = answers.iter().find(|(at, _)| *at == i + 1) {
            out.push_str(rows);
            skips = true;
        }
    }
    out
}

/// Rows in the form of a file, cells in columns.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .enumerate()
            .map(|(i, cell)| format!("{cell:0$}", width(i)));
        let line = cells.collect::<Vec<_>>().join(" | ");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

fn check_file(name: &str, text: &str, failures: &mut String, answers: &mut Vec<Answer>) -> usize {
    let mut tables = Tables::default();
    let mut checked = 0;
    let blocks = blocks(text);
    for (i, block) in blocks.iter().enumerate() {
        match block.words.as_slice() {
            ["events", table] => tables.add(table.trim_start_matches("table="), &block.text),
            ["kql", rest @ ..] => {
                let answer = blocks
                    .get(i + 1)
                    .filter(|b| b.words.first() == Some(&"rows"));
                let mut actual = Vec::new();
                let wanted = answer.map(|b| b.text.as_str());
                let wrong = check_query(&tables, &block.text, rest, wanted, &mut actual);
                if let Err(why) = wrong {
                    let _ = writeln!(failures, "{name}:{}: {why}", block.line);
                    if let Some(answer) = answer.filter(|_| !actual.is_empty()) {
                        answers.push((answer.line, aligned(&actual)));
                    }
                }
                checked += 1;
            }
            ["rows"] => {}
            other => {
                let _ = writeln!(failures, "{name}:{}: unknown block {other:?}", block.line);
            }
        }
    }
    checked
}

fn check_query(
    tables: &Tables,
    query: &str,
    words: &[&str],
    answer: Option<&str>,
    actual: &mut Vec<Vec<String>>,
) -> Result<(), String> {
    let prepared = prepare(query, tables, now());
    let outcome = run_prepared(&prepared, &tables.rows, Limits::default());
    let wanted = words.iter().find_map(|word| word.strip_prefix("error="));
    match (outcome, wanted, answer) {
        (Err(Error::Query { diagnostics }), Some(code), _) => {
            let codes: Vec<_> = diagnostics.iter().map(|d| d.code.clone()).collect();
            if codes.iter().any(|c| c == code) {
                Ok(())
            } else {
                Err(format!("refused with {codes:?}"))
            }
        }
        (Ok(_), Some(code), _) => Err(format!("not refused with {code}")),
        (Err(error), _, _) => Err(describe(&error)),
        (Ok(result), None, Some(answer)) => {
            let ordered = query
                .lines()
                .last()
                .is_some_and(|l| l.contains("order by") || l.contains("sort by"));
            let ordered = ordered || !result.also.is_empty();
            *actual = results(&result);
            compare(actual, &parse_grid(answer), ordered)
        }
        (Ok(_), None, None) => Err("no answer is given".to_owned()),
    }
}

fn compare(actual: &[Vec<String>], wanted: &[Vec<String>], ordered: bool) -> Result<(), String> {
    let (mut a, mut w) = (actual.to_vec(), wanted.to_vec());
    // A line without cells reads as one empty cell.
    for row in a.iter_mut().filter(|row| row.is_empty()) {
        row.push(String::new());
    }
    if !ordered {
        if let Some(rows) = a.get_mut(1..) {
            rows.sort();
        }
        if let Some(rows) = w.get_mut(1..) {
            rows.sort();
        }
    }
    if a == w {
        return Ok(());
    }
    let show = |rows: &[Vec<String>]| {
        rows.iter()
            .map(|r| r.join(" | "))
            .collect::<Vec<_>>()
            .join("\n  ")
    };
    Err(format!("gives\n  {}\ninstead of\n  {}", show(&a), show(&w)))
}

/// All results, with a line before each if there are several.
fn results(result: &HuntResult) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let results = [(&result.name, grid(&result.columns, result.result_batches()))];
    let also = result.also.iter();
    let also = also.map(|also| (&also.name, grid(&also.columns, also.result_batches())));
    for (at, (name, rows)) in results.into_iter().chain(also).enumerate() {
        if !result.also.is_empty() {
            let name = name
                .as_ref()
                .map_or((at + 1).to_string(), ToString::to_string);
            all.push(vec![format!("result {name}")]);
        }
        all.extend(rows);
    }
    all
}

/// Header and rows as text; null is `null`, an empty string nothing.
fn grid(
    columns: &[(Arc<str>, ColumnType)],
    batches: impl Iterator<Item = ResultBatch>,
) -> Vec<Vec<String>> {
    let mut all = vec![columns.iter().map(|(n, _)| n.to_string()).collect()];
    for batch in batches {
        for row in 0..batch.rows() {
            let cells = batch.cells(row).map(|cell| {
                let mut text = String::new();
                text_value(cell, &mut text);
                if cell == crate::Cell::Null {
                    "null".to_owned()
                } else {
                    text
                }
            });
            all.push(cells.collect());
        }
    }
    all
}

fn parse_grid(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

impl Tables {
    fn add(&mut self, name: &str, lines: &str) {
        // Not `serde_json::Value`, which may lose the order of the columns.
        let events: Vec<Json> = lines
            .lines()
            .map(|line| Json::parse(line).expect("an event"))
            .collect();
        let mut columns: Vec<(Arc<str>, ColumnType)> = Vec::new();
        for (key, value) in events.iter().filter_map(Json::as_bag).flatten() {
            if !columns.iter().any(|(n, _)| **n == **key) && *value != Json::Null {
                columns.push((key.as_str().into(), type_of(value)));
            }
        }
        let field = |(n, ty): &(Arc<str>, ColumnType)| {
            rows::hidden::field(n).unwrap_or_else(|| types::field(n, *ty))
        };
        let fields: Vec<_> = columns.iter().map(field).collect();
        let arrays = columns.iter().map(|(n, ty)| array(&events, n, *ty));
        let arrays = columns
            .iter()
            .zip(arrays)
            .map(|((n, _), array)| match &**n {
                rows::hidden::ROW_ID => ids(&array),
                _ => array,
            })
            .collect();
        let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), arrays).expect("a batch");
        let table = TableName::new(name).expect("a table name");
        let rows = TableRows {
            schema,
            memory: vec![batch],
            segments: Vec::new(),
            time_column: None,
            look_back: false,
        };
        self.rows.insert(table.clone(), rows);
        columns.retain(|(n, _)| !rows::hidden::is_hidden(n));
        self.shapes.insert(
            name.to_owned(),
            TableShape {
                name: table,
                columns,
            },
        );
    }
}

/// Ids from their printed form.
fn ids(texts: &ArrayRef) -> ArrayRef {
    let texts = texts.as_any().downcast_ref::<StringArray>().expect("texts");
    let id = |text: Option<&str>| text?.parse::<model::RowId>().ok();
    let ids = texts
        .iter()
        .map(|text| *id(text).expect("an id").as_bytes());
    Arc::new(FixedSizeBinaryArray::try_from_iter(ids).expect("ids"))
}

fn type_of(value: &Json) -> ColumnType {
    match value {
        Json::Bool(_) => ColumnType::Bool,
        Json::Long(_) => ColumnType::Long,
        Json::Real(_) => ColumnType::Real,
        Json::Text(text) if Ticks::parse(text).is_some() => ColumnType::DateTime,
        Json::Text(_) => ColumnType::String,
        _ => ColumnType::Dynamic,
    }
}

fn array(events: &[Json], name: &str, ty: ColumnType) -> ArrayRef {
    let value = |event: &Json| {
        let entry = event.as_bag()?.iter().find(|(key, _)| key == name)?;
        Some(entry.1.clone()).filter(|v| *v != Json::Null)
    };
    let values = events.iter().map(value);
    match ty {
        ColumnType::Bool => Arc::new(values.map(|v| json_to_bool(&v?)).collect::<BooleanArray>()),
        ColumnType::Long => Arc::new(values.map(|v| json_to_long(&v?)).collect::<Int64Array>()),
        ColumnType::Real => Arc::new(values.map(|v| json_to_real(&v?)).collect::<Float64Array>()),
        ColumnType::DateTime => Arc::new(
            values
                .map(|v| json_to_datetime(&v?))
                .collect::<Int64Array>(),
        ),
        ColumnType::Dynamic => {
            Arc::new(values.map(|v| Some(v?.to_text())).collect::<StringArray>())
        }
        _ => Arc::new(StringArray::from_iter_values(values.map(|v| {
            let mut text = String::new();
            if let Some(value) = v {
                value.display(&mut text);
            }
            text
        }))),
    }
}
