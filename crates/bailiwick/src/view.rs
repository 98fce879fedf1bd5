//! How answers are shown: lists as tables, one thing as lines of `name  value`, both also as JSON,
//! lines of JSON or CSV.
//!
//! A pipe gets lines of JSON unless `--format` says otherwise; CSV has the columns of the table.

use serde_json::Value;

use crate::cli::{Global, Output};
use crate::print;

/// A column of a list: its heading, and where in an item its value is (a JSON pointer).
pub(crate) type Column = (&'static str, &'static str);

/// The format that was asked for, or what a terminal or a pipe gets.
pub(crate) fn format_of(global: &Global) -> Output {
    global.format.unwrap_or(if print::is_terminal() {
        Output::Table
    } else {
        Output::Ndjson
    })
}

/// Whether answers are written for people.
pub(crate) fn is_for_people(global: &Global) -> bool {
    format_of(global) == Output::Table
}

/// Prints items as a list; `none` is what a person reads when there are none.
pub(crate) fn list(
    global: &Global,
    items: &[Value],
    columns: &[Column],
    none: &str,
) -> anyhow::Result<i32> {
    let format = format_of(global);
    if items.is_empty() && matches!(format, Output::Table) {
        print::note(none);
        return Ok(0);
    }
    let text = match format {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(items)?),
        Output::Ndjson => items.iter().map(|item| item.to_string() + "\n").collect(),
        Output::Table => table(items, columns),
        Output::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(columns.iter().map(|(heading, _)| *heading))?;
            for row in cells(items, columns) {
                writer.write_record(row)?;
            }
            String::from_utf8(writer.into_inner()?)?
        }
    };
    print::out(&text)?;
    Ok(0)
}

/// Items as a table with a heading.
pub(crate) fn table(items: &[Value], columns: &[Column]) -> String {
    let heading: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    print::table(&heading, &cells(items, columns))
}

/// Prints one thing.
pub(crate) fn item(global: &Global, value: &Value) -> anyhow::Result<i32> {
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    let text = match format_of(global) {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        Output::Ndjson => format!("{value}\n"),
        Output::Table => {
            let width = lines.iter().map(|(name, _)| name.chars().count()).max();
            let width = width.unwrap_or(0);
            let line = |(name, value): &(String, String)| {
                format!("{name:<width$}  {}\n", print::visible(value))
            };
            lines.iter().map(line).collect()
        }
        Output::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(lines.iter().map(|(name, _)| name))?;
            writer.write_record(lines.iter().map(|(_, value)| value))?;
            String::from_utf8(writer.into_inner()?)?
        }
    };
    print::out(&text)?;
    Ok(0)
}

fn cells(items: &[Value], columns: &[Column]) -> Vec<Vec<String>> {
    let cell = |item: &Value, pointer: &str| item.pointer(pointer).map(text).unwrap_or_default();
    let row = |item| columns.iter().map(|(_, at)| cell(item, at)).collect();
    items.iter().map(row).collect()
}

/// A value in a cell: strings bare, lists with commas, nothing for null.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
        Value::Array(items) => {
            let parts: Vec<String> = items.iter().map(text).collect();
            parts.join(", ")
        }
        other => other.to_string(),
    }
}

/// Nested values under dotted names; lists of plain values stay on one line.
fn flatten(prefix: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let under = |name: &str| {
        if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}.{name}")
        }
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(&under(name), value, out);
            }
        }
        Value::Array(items) if items.iter().any(|i| i.is_object() || i.is_array()) => {
            for (at, value) in items.iter().enumerate() {
                flatten(&under(&at.to_string()), value, out);
            }
        }
        other => out.push((prefix.to_owned(), text(other))),
    }
}
