//! `kql`: formatting, checking and completing the text of queries.
//!
//! Reads the files that it is given and the shipped schema; opens no data directory and asks no
//! server, so a tenant's own tables are unknown to it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use model::{Clock as _, Code, Diagnostic, Schema, Severity};
use serde_json::{Value, json};

use super::{file_error, write_file};
use crate::cli::{CompleteQuery, FormatQueries, Global, Kql, Output};
use crate::failure::Failure;
use crate::machine::MachineClock;
use crate::{print, view};

pub(crate) fn run(global: &Global, command: Kql) -> anyhow::Result<i32> {
    match command {
        Kql::Fmt(options) => format_files(&options),
        Kql::Check { files } => check(global, &files),
        Kql::Complete(options) => complete(global, &options),
    }
}

/// A text with the name that findings show.
struct Source {
    name: String,
    text: String,
}

fn read(path: &Path) -> anyhow::Result<Source> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return Ok(Source {
            name: "standard input".to_owned(),
            text,
        });
    }
    let text = std::fs::read_to_string(path).map_err(|e| file_error("read", path, e))?;
    Ok(Source {
        name: path.display().to_string(),
        text,
    })
}

// Formatting.

fn format_files(options: &FormatQueries) -> anyhow::Result<i32> {
    let standard_input = [PathBuf::from("-")];
    let files = if options.files.is_empty() {
        &standard_input
    } else {
        options.files.as_slice()
    };
    let mut exit = 0;
    for path in files {
        let source = read(path)?;
        let formatted = match formatted(&source) {
            Ok(formatted) => formatted,
            Err(findings) => {
                print::note(findings.trim_end());
                exit = 2;
                continue;
            }
        };
        let is_same = formatted == source.text;
        if options.check {
            if !is_same {
                print::out(&format!("{}\n", source.name))?;
                exit = exit.max(1);
            }
        } else if !options.write || path.as_os_str() == "-" {
            print::out(&formatted)?;
        } else if !is_same {
            write_file(path, formatted.as_bytes())?;
        }
    }
    Ok(exit)
}

/// Every query of the text in the one form, or what is wrong with them.
fn formatted(source: &Source) -> Result<String, String> {
    let mut queries = Vec::new();
    let mut findings = String::new();
    for part in kql::queries(&source.text) {
        let text = source.text.get(part.clone()).unwrap_or_default();
        let syntax = kql::parse(text);
        for finding in shifted(syntax.diagnostics.clone(), part.start) {
            findings.push_str(&finding.render(&source.name, &source.text));
        }
        queries.push(kql::formatted(&syntax).unwrap_or_else(|| format!("{}\n", text.trim())));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    if queries.is_empty() {
        // Comments alone.
        return Ok(source.text.clone());
    }
    Ok(queries.join("\n"))
}

/// Findings of a part of a text, as of the whole.
fn shifted(findings: Vec<Diagnostic>, by: usize) -> impl Iterator<Item = Diagnostic> {
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    findings.into_iter().map(move |mut finding| {
        finding.span.start = finding.span.start.saturating_add(by);
        finding.span.end = finding.span.end.saturating_add(by);
        finding
    })
}

// Checking.

fn check(global: &Global, files: &[PathBuf]) -> anyhow::Result<i32> {
    let now = MachineClock.now();
    let (mut n_queries, mut n_errors) = (0_u64, 0_u64);
    let mut all = Vec::new();
    for path in files {
        let source = read(path)?;
        for (number, part) in kql::queries(&source.text).into_iter().enumerate() {
            let text = source.text.get(part.clone()).unwrap_or_default();
            let prepared = query::prepare(text, Schema::hunting(), now);
            n_queries += 1;
            for finding in shifted(prepared.diagnostics, part.start) {
                n_errors += u64::from(finding.severity == Severity::Error);
                if is_text(global) {
                    print::out(&format!("{}\n", finding.render(&source.name, &source.text)))?;
                } else {
                    all.push(as_value(&source, number + 1, &finding));
                }
            }
        }
    }
    if is_text(global) {
        let errors = if n_errors == 1 { "error" } else { "errors" };
        let queries = if n_queries == 1 { "query" } else { "queries" };
        print::note(&format!("{n_queries} {queries}, {n_errors} {errors}"));
    } else {
        let columns = [
            ("FILE", "/file"),
            ("LINE", "/line"),
            ("COLUMN", "/column"),
            ("SEVERITY", "/severity"),
            ("CODE", "/code"),
            ("MESSAGE", "/message"),
            ("HELP", "/help"),
        ];
        view::list(global, &all, &columns, "nothing is wrong")?;
    }
    Ok(i32::from(n_errors > 0))
}

/// Findings are for people unless a form was asked for, in a pipe too.
fn is_text(global: &Global) -> bool {
    matches!(global.format, None | Some(Output::Table))
}

fn as_value(source: &Source, number: usize, finding: &Diagnostic) -> Value {
    let (line, column) = position(&source.text, finding.span.start as usize);
    let (end_line, end_column) = position(&source.text, finding.span.end as usize);
    json!({
        "file": source.name,
        "query": number,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "help": finding.help,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "start": finding.span.start,
        "end": finding.span.end,
    })
}

/// Line and column of a byte, from 1, columns in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

// Completing.

fn complete(global: &Global, options: &CompleteQuery) -> anyhow::Result<i32> {
    let source = read(&options.file)?;
    let end = source.text.trim_end_matches(['\r', '\n']).len();
    let offset = options.offset.unwrap_or(end);
    if offset > source.text.len() {
        let message = format!("the text has {} bytes", source.text.len());
        return Err(Failure::new(Code::BadRequest, message).into());
    }
    let found = kql::complete(&source.text, offset, Schema::hunting());
    let items: Vec<Value> = found
        .items
        .iter()
        .map(|item| {
            json!({
                "label": item.label,
                "kind": item.kind.as_str(),
                "detail": item.detail,
                "doc": item.doc,
                "start": found.span.start,
                "end": found.span.end,
            })
        })
        .collect();
    let columns = [
        ("LABEL", "/label"),
        ("KIND", "/kind"),
        ("DETAIL", "/detail"),
        ("DOC", "/doc"),
    ];
    view::list(global, &items, &columns, "nothing can be written here")
}
