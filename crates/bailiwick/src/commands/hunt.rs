//! `hunt`: a query to the tenant's home, or to the region that the home names, and its rows.

use std::io::Read as _;

use model::Code;
use serde_json::{Value, json};

use super::{file_error, tenant_id};
use crate::cli::{Global, Hunt, Output};
use crate::client::{Ask, Client, Reply};
use crate::failure::Failure;
use crate::{grid, print, view};

pub(crate) fn run(global: &Global, options: &Hunt) -> anyhow::Result<i32> {
    let query = query_of(options)?;
    let client = Client::connect(global)?;
    let format = view::format_of(global);
    let wire = match format {
        Output::Table | Output::Json => "json",
        Output::Ndjson => "ndjson",
        Output::Csv => "csv",
    };
    let tenant = options.tenant.as_deref().map(tenant_id).transpose()?;
    let ask = Ask {
        tenant,
        ..Ask::post("/api/v1/hunt", &json!({ "query": query, "format": wire }))
    };
    let reply = match (&client, tenant) {
        (Client::Local(_), None) => {
            let failure = Failure::new(Code::BadRequest, "a data directory holds several tenants");
            return Err(failure.with_help("name one: `--tenant T`").into());
        }
        (Client::Local(_), Some(tenant)) => client.call_home(tenant, &ask)?,
        (Client::Http(_), _) => client.call(&ask)?,
    };
    let reply = match elsewhere(&reply).filter(|region| client.reaches(region)) {
        // The tables rest in another region, to which there is a way.
        Some(region) => client.call_region(&region, &ask)?,
        None => reply,
    };
    if reply.status == 421 {
        let failure = reply.refusal().with_help(
            "ask that region: `--server A,B` and `--token A,B` with its address and a token that was made there",
        );
        return Err(failure.into());
    }
    let bytes = reply.good()?;
    if format == Output::Table {
        return table(&serde_json::from_slice(&bytes)?, options.wide);
    }
    let mut text = String::from_utf8(bytes)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    print::out(&text)?;
    Ok(0)
}

fn query_of(options: &Hunt) -> anyhow::Result<String> {
    if let Some(query) = &options.query {
        return Ok(query.clone());
    }
    if let Some(path) = &options.file {
        return std::fs::read_to_string(path).map_err(|e| file_error("read", path, e));
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// The region that a refusal names.
fn elsewhere(reply: &Reply) -> Option<String> {
    if reply.status != 421 {
        return None;
    }
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    let region = body.pointer("/details/region")?.as_str()?;
    Some(region.to_owned())
}

/// A hunt's answer as tables, notices and cost below.
fn table(answer: &Value, wide: bool) -> anyhow::Result<i32> {
    let also = answer.get("also").and_then(Value::as_array);
    let results: Vec<&Value> = [answer]
        .into_iter()
        .chain(also.into_iter().flatten())
        .collect();
    let mut n_rows = 0;
    for (at, result) in results.iter().enumerate() {
        if results.len() > 1 {
            let name = result.get("name").and_then(Value::as_str);
            let name = name.map_or_else(|| (at + 1).to_string(), ToOwned::to_owned);
            let gap = if at > 0 { "\n" } else { "" };
            print::out(&format!("{gap}result {}\n", print::visible(&name)))?;
        }
        n_rows += one_table(result, wide)?;
    }
    let notices = answer.get("notices").and_then(Value::as_array);
    for notice in notices.into_iter().flatten() {
        let part = |name: &str| notice.get(name).and_then(Value::as_str);
        if let Some(message) = part("message") {
            print::note(&format!("notice: {message}"));
        }
        if let Some(help) = part("help") {
            print::note(&format!("hint: {help}"));
        }
    }
    let us = answer
        .pointer("/stats/elapsed_us")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let n = u64::try_from(n_rows).unwrap_or(u64::MAX);
    print::note(&format!(
        "{}, {}.{:03} s",
        print::rows(n),
        us / 1_000_000,
        us / 1_000 % 1_000
    ));
    Ok(0)
}

/// One result; how many rows it has.
fn one_table(result: &Value, wide: bool) -> anyhow::Result<usize> {
    let (names, rows) = cells(result);
    let width = if wide { None } else { print::width() };
    if rows.is_empty() {
        print::note("no rows");
        return Ok(0);
    }
    let shown = grid::fit(&names, &rows, width);
    print::out(&shown.text)?;
    if let Some(hidden) = shown.hidden {
        print::note(&hidden);
    }
    Ok(rows.len())
}

/// The rows of an answer, aligned.
pub(crate) fn table_text(answer: &Value) -> String {
    let (names, rows) = cells(answer);
    print::table(&names.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

fn cells(answer: &Value) -> (Vec<String>, Vec<Vec<String>>) {
    let items = |name: &str| answer.get(name).and_then(Value::as_array);
    let columns: Vec<&Value> = items("columns").into_iter().flatten().collect();
    let part = |column: &Value, name: &str| {
        column
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let names = columns.iter().map(|c| part(c, "name")).collect();
    let is_time: Vec<bool> = columns
        .iter()
        .map(|c| part(c, "type") == "datetime")
        .collect();
    let row = |row: &Value| {
        let cells = row.as_array().into_iter().flatten().zip(&is_time);
        cells.map(|(cell, is_time)| text(cell, *is_time)).collect()
    };
    (
        names,
        items("rows").into_iter().flatten().map(row).collect(),
    )
}

fn text(cell: &Value, is_time: bool) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) if is_time => short_time(text),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An instant without the zeros that end its fraction.
fn short_time(text: &str) -> String {
    match text.strip_suffix('Z').and_then(|t| t.split_once('.')) {
        None => text.to_owned(),
        Some((whole, fraction)) => match fraction.trim_end_matches('0') {
            "" => format!("{whole}Z"),
            fraction => format!("{whole}.{fraction}Z"),
        },
    }
}
