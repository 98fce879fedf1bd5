//! A hunt's answer as wire types.

use cell::HuntAnswer;
use model::Diagnostic;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::present;
use crate::wire;

/// [`wire::HuntAnswer`] as it is written: the rows are one text already.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    columns: Vec<wire::Column>,
    rows: Box<RawValue>,
    notices: Vec<wire::Finding>,
    is_partial: bool,
    stats: wire::HuntStats,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<WrittenAlso>,
}

/// [`wire::AlsoAnswer`] as it is written.
#[derive(Debug, Serialize)]
struct WrittenAlso {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    columns: Vec<wire::Column>,
    rows: Box<RawValue>,
}

/// The answer to `query` as one JSON object; reads back as [`wire::HuntAnswer`].
pub fn json(answer: &HuntAnswer, query: &str) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Written {
        columns: columns(&answer.columns),
        rows: rows(&answer.columns, &answer.batches)?,
        notices: answer.notices.iter().map(|d| finding(d, query)).collect(),
        is_partial: answer.is_partial,
        stats: wire::HuntStats {
            rows_scanned: answer.stats.rows_scanned,
            segments_opened: answer.stats.segments_opened,
            elapsed_us: answer.stats.elapsed_us,
        },
        name: answer.name.clone(),
        also: answer.also.iter().map(also).collect::<Result<_, _>>()?,
    })
}

fn also(also: &cell::AlsoAnswer) -> Result<WrittenAlso, serde_json::Error> {
    Ok(WrittenAlso {
        name: also.name.clone(),
        columns: columns(&also.columns),
        rows: rows(&also.columns, &also.batches)?,
    })
}

fn rows(
    columns: &[cell::HuntColumn],
    batches: &[rows::RecordBatch],
) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(present::json_rows(columns, batches))
}

fn columns(columns: &[cell::HuntColumn]) -> Vec<wire::Column> {
    let column = |c: &cell::HuntColumn| wire::Column {
        name: c.name.clone(),
        column_type: c.column_type,
    };
    columns.iter().map(column).collect()
}

/// A finding about `query`.
pub fn finding(diagnostic: &Diagnostic, query: &str) -> wire::Finding {
    let (line, column) = place(query, diagnostic.span.start as usize);
    wire::Finding {
        code: diagnostic.code.clone(),
        severity: diagnostic.severity,
        start: diagnostic.span.start,
        end: diagnostic.span.end,
        line,
        column,
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
        rendered: diagnostic.render("query", query),
    }
}

/// Line and character of a byte, both from 1.
fn place(text: &str, at: usize) -> (u64, u64) {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut end = at.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line = before.bytes().filter(|b| *b == b'\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count();
    (count(line) + 1, count(column) + 1)
}
