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
}

/// The answer to `query` as one JSON object; reads back as [`wire::HuntAnswer`].
pub fn json(answer: &HuntAnswer, query: &str) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Written {
        columns: columns(answer),
        rows: RawValue::from_string(present::json_rows(answer))?,
        notices: answer.notices.iter().map(|d| finding(d, query)).collect(),
        is_partial: answer.is_partial,
        stats: wire::HuntStats {
            rows_scanned: answer.stats.rows_scanned,
            segments_opened: answer.stats.segments_opened,
            elapsed_us: answer.stats.elapsed_us,
        },
    })
}

fn columns(answer: &HuntAnswer) -> Vec<wire::Column> {
    let column = |c: &cell::HuntColumn| wire::Column {
        name: c.name.clone(),
        column_type: c.column_type,
    };
    answer.columns.iter().map(column).collect()
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
