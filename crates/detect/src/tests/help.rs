//! Rows for tests, made by the real decoders and stamped as the cell does.

use std::collections::BTreeSet;

use ingest::{Format, RawSchema, SourceContext};
use model::{RegionCode, RowId, ServiceName, SourceId, TableName, Ticks};
use rows::RecordBatch;
use rows::hidden::{Stamp, stamp};
use serde_json::Value;

use crate::{Making, RuleText, SigmaEngine, compile};

/// When the tests' rows arrive.
pub(crate) const ARRIVAL: &str = "2026-07-18T16:00:00Z";

/// Stamped batches of a body.
pub(crate) fn decode(format: Format, body: &[u8]) -> Vec<(TableName, RecordBatch)> {
    decode_as(format, body, None, 0)
}

/// Stamped batches of a body; row ids count from `first`.
pub(crate) fn decode_as(
    format: Format,
    body: &[u8],
    raw_table: Option<&TableName>,
    first: u64,
) -> Vec<(TableName, RecordBatch)> {
    let context = SourceContext {
        envelope_tenant: None,
        known_raw: &RawSchema::new(),
        domain_controllers: &BTreeSet::new(),
        raw_table,
        time_column: None,
    };
    let decoded = ingest::decode(format, body, &context).unwrap();
    assert_eq!(decoded.rejected, [], "the test's rows are well-formed");
    let mut next = first;
    let mut stamped = Vec::new();
    for rows in decoded.batches {
        let ids: Vec<RowId> = (0..rows.batch.num_rows())
            .map(|_| {
                next += 1;
                RowId::from_bytes(u128::from(next).to_be_bytes())
            })
            .collect();
        let batch = stamp(
            &rows.batch,
            &Stamp {
                ingested_at: Ticks::parse(ARRIVAL).unwrap(),
                service: &ServiceName::new("endpoint").unwrap(),
                source: SourceId::from_bytes([7; 16]),
                row_ids: &ids,
            },
        );
        stamped.push((rows.table, batch.unwrap()));
    }
    stamped
}

/// Export records of one table, as JSON text.
pub(crate) fn export(table: &str, properties: &[Value]) -> String {
    let record = |p: &Value| {
        serde_json::json!({
            "time": "2026-07-18T15:02:23Z",
            "operationName": "Publish",
            "category": format!("AdvancedHunting-{table}"),
            "properties": p,
        })
        .to_string()
    };
    properties.iter().map(record).collect::<Vec<_>>().join("\n")
}

/// A stamped batch of one table of the export; row ids count from `first`.
pub(crate) fn rows_from(table: &str, properties: &[Value], first: u64) -> (TableName, RecordBatch) {
    let body = export(table, properties);
    let mut batches = decode_as(Format::DefenderExport, body.as_bytes(), None, first);
    assert_eq!(batches.len(), 1, "one table");
    batches.remove(0)
}

/// A stamped batch of one table of the export.
pub(crate) fn rows_of(table: &str, properties: &[Value]) -> (TableName, RecordBatch) {
    rows_from(table, properties, 0)
}

/// An engine of one text, which must be without errors.
pub(crate) fn engine(text: &str) -> SigmaEngine {
    let compiled = compile(&[RuleText {
        name: "test.yml",
        text,
    }]);
    assert_eq!(compiled.problems, [], "{text}");
    compiled.engine
}

/// A hash for tests: no key, but every byte counts.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 16] {
    let half = |salt: u8| {
        crate::version::Version::new()
            .part(&[salt])
            .part(bytes)
            .finish()
            .to_be_bytes()
    };
    let mut out = [0; 16];
    out[..8].copy_from_slice(&half(1));
    out[8..].copy_from_slice(&half(2));
    out
}

/// Runs `test` with what a caller knows.
pub(crate) fn making<T>(test: impl FnOnce(&Making<'_>) -> T) -> T {
    let region = RegionCode::new("eu").unwrap();
    test(&Making {
        region: &region,
        now: Ticks::parse(ARRIVAL).unwrap(),
        hash: &hash,
    })
}
