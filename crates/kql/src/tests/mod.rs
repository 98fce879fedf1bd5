//! Tests of the whole crate; one file per stage.

mod complete;
mod corpus;
mod diagnostics;
mod format;
mod forms;
mod fuzz;
mod limits;
mod manual;
mod mistakes;
mod names;
mod soup;
mod split;
mod syntax;
mod tables;
mod types;

use std::sync::LazyLock;

use model::{Diagnostic, Schema, Ticks};

use crate::Resolved;

/// 2024-05-01T12:00:00Z.
const NOW: Ticks = Ticks(638_501_616_000_000_000);

/// Four small tables of our own.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::parse(
        "table Logon event Timestamp
           Timestamp datetime technical
           User string direct_identifier
           Result string technical
           Port int technical
           Bytes long technical
           Extra dynamic content
         table Process event Timestamp
           Timestamp datetime technical
           User string direct_identifier
           FileName string content
           CommandLine string content
           LogonId long technical
           LogonID string technical
         table Device state Timestamp
           Timestamp datetime technical
           DeviceId string direct_identifier
           Score real technical
           IsServer bool technical
         table Address reference _ingested_at
           Ip string network_identifier
           Port string technical",
    )
    .unwrap()
});

fn resolve(query: &str) -> (Option<Resolved>, Vec<Diagnostic>) {
    let syntax = crate::parse(query);
    assert_eq!(
        syntax.root().text().to_string(),
        query,
        "the tree is lossless"
    );
    let (resolved, diagnostics) = crate::resolve(&syntax, &*SCHEMA, NOW);
    assert_eq!(
        resolved.is_none(),
        diagnostics
            .iter()
            .any(|d| d.severity == model::Severity::Error),
        "{query}"
    );
    (resolved, diagnostics)
}

/// The resolved query, which must be right.
fn resolved(query: &str) -> Resolved {
    let (resolved, diagnostics) = resolve(query);
    let findings: String = diagnostics
        .iter()
        .map(|d| d.render("query", query))
        .collect();
    resolved.unwrap_or_else(|| panic!("{findings}"))
}

/// The findings, rendered.
fn findings(query: &str) -> String {
    let (_, diagnostics) = resolve(query);
    diagnostics
        .iter()
        .map(|d| d.render("query", query))
        .collect()
}
