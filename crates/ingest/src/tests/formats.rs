//! Telling formats apart.

use std::collections::BTreeSet;

use super::{cell, codes, record, text};
use crate::{Format, RawSchema, SourceContext};

#[test]
fn the_first_record_tells() {
    let export = record("DeviceEvents", "{}");
    let long = record(
        "DeviceEvents",
        &format!(r#"{{"FileName":"{}"}}"#, "x".repeat(3 << 20)),
    );
    let cases: &[(&str, Option<Format>)] = &[
        (&export, Some(Format::DefenderExport)),
        (&long, Some(Format::DefenderExport)),
        (
            &format!("\u{feff}\r\n {export}"),
            Some(Format::DefenderExport),
        ),
        (&format!("[{export}]"), Some(Format::DefenderExport)),
        (
            &format!("{{\"records\":[\n{export}"),
            Some(Format::DefenderExport),
        ),
        ("ElfFile\0rest", Some(Format::WindowsEvtx)),
        (
            r#"{"@timestamp":"x","winlog":{"event_id":1}}"#,
            Some(Format::WindowsJson),
        ),
        (r#"{"winlog.event_id":1}"#, Some(Format::WindowsJson)),
        (
            r#"{"Channel":"Security","EventID":4624}"#,
            Some(Format::WindowsJson),
        ),
        (
            r#"{"event_id":1,"event_data":{}}"#,
            Some(Format::WindowsJson),
        ),
        (r#"{"Event":{"System":{}}}"#, Some(Format::WindowsJson)),
        (r#"{"eventVersion":"1.08","eventName":"x"}"#, None),
        ("#separator \\x09\n", None),
        ("", None),
        ("\u{feff}", None),
    ];
    for (body, expected) in cases {
        let head: String = body.chars().take(60).collect();
        assert_eq!(
            Format::sniff(body.as_bytes(), None, None),
            *expected,
            "{head}"
        );
    }
}

#[test]
fn else_the_name_or_the_type_does() {
    assert_eq!(
        Format::sniff(b"", Some("Log.EVTX"), None),
        Some(Format::WindowsEvtx)
    );
    assert_eq!(
        Format::sniff(b"", None, Some("application/x-ms-evtx")),
        Some(Format::WindowsEvtx)
    );
    assert_eq!(
        Format::sniff(b"", Some("é"), Some("application/json")),
        None
    );
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
    }
}

#[test]
fn plain_records_go_to_the_named_raw_table() {
    let decode = |table: Option<&str>| {
        let table = table.map(|t| model::TableName::new(t).unwrap());
        let context = SourceContext {
            envelope_tenant: None,
            known_raw: &RawSchema::new(),
            domain_controllers: &BTreeSet::new(),
            raw_table: table.as_ref(),
            time_column: None,
        };
        let body = b"{\"eventName\":\"x\",\"n\":1}\n{\"TimeGenerated\":\"2026-01-01\"}\n[1]\n";
        crate::decode(Format::Json, body, &context).unwrap()
    };
    let decoded = decode(Some("Trail"));
    assert_eq!(codes(&decoded), ["malformed_record"]);
    let rows = &decoded.batches[0];
    assert_eq!((rows.table.as_str(), rows.known), ("Trail", false));
    assert_eq!(text(rows, "eventName", 0), "\"x\"");
    assert_eq!(cell(rows, "Timestamp", 1), "2026-01-01T00:00:00.0000000Z");
    assert_eq!(codes(&decode(None))[0], "bad_category");
    assert_eq!(codes(&decode(Some("DeviceEvents")))[0], "bad_category");
}

/// Decodes plain JSON for table `Trail`.
fn plain(time_column: Option<&str>, body: &str) -> crate::Decoded {
    let (known, none) = (RawSchema::new(), BTreeSet::new());
    let table = model::TableName::new("Trail").unwrap();
    let context = SourceContext {
        envelope_tenant: None,
        known_raw: &known,
        domain_controllers: &none,
        raw_table: Some(&table),
        time_column,
    };
    crate::decode(Format::Json, body.as_bytes(), &context).unwrap()
}

#[test]
fn a_row_outside_the_schema_finds_its_time_and_keeps_the_column_it_came_from() {
    let cases = [
        (r#"{"@timestamp":"2026-01-02T03:04:05Z"}"#, "@timestamp"),
        (r#"{"timestamp":"2026-01-02T03:04:05Z"}"#, "timestamp"),
        (r#"{"time":"2026-01-02 03:04:05"}"#, "time"),
        (
            r#"{"TimeGenerated":"2026-01-02T03:04:05Z"}"#,
            "TimeGenerated",
        ),
        (r#"{"CreationTime":"2026-01-02T03:04:05"}"#, "CreationTime"),
        (r#"{"eventTime":"2026-01-02T03:04:05Z"}"#, "eventTime"),
        (r#"{"ts":1767323045}"#, "ts"),
        (r#"{"ts":"1767323045.000000"}"#, "ts"),
        (r#"{"ts":1767323045000}"#, "ts"),
        (r#"{"ts":1767323045000000}"#, "ts"),
        (r#"{"ts":1767323045000000000}"#, "ts"),
    ];
    for (record, column) in cases {
        let decoded = plain(None, record);
        let rows = &decoded.batches[0];
        let time = cell(rows, "Timestamp", 0);
        assert_eq!(time, "2026-01-02T03:04:05.0000000Z", "{record}");
        assert_ne!(cell(rows, column, 0), "no column", "{record}");
        assert_eq!(decoded.tally.untimed, 0, "{record}");
    }
    let zeek = plain(None, r#"{"ts":1331901000.123456}"#);
    let time = cell(&zeek.batches[0], "Timestamp", 0);
    assert_eq!(time, "2012-03-16T12:30:00.1234560Z", "no digit is lost");
    let best = plain(None, r#"{"ts":1,"Timestamp":"2026-01-02T03:04:05Z"}"#);
    let time = cell(&best.batches[0], "Timestamp", 0);
    assert_eq!(time, "2026-01-02T03:04:05.0000000Z", "its own name first");
}

#[test]
fn a_named_time_column_goes_first_and_rows_without_time_are_counted() {
    let body =
        "{\"seen\":\"2026-01-02\",\"Timestamp\":\"2020-01-01\"}\n{\"Timestamp\":\"2020-01-01\"}";
    let decoded = plain(Some("seen"), body);
    let rows = &decoded.batches[0];
    assert_eq!(cell(rows, "Timestamp", 0), "2026-01-02T00:00:00.0000000Z");
    assert_eq!(cell(rows, "Timestamp", 1), "2020-01-01T00:00:00.0000000Z");
    assert_eq!(decoded.tally.untimed, 0);
    let decoded = plain(None, "{\"a\":1}\n{\"time\":\"later\"}\n{\"time\":-3}");
    assert_eq!((decoded.read, decoded.tally.untimed), (3, 3));
    assert_eq!(cell(&decoded.batches[0], "Timestamp", 0), "null");
}

#[test]
fn every_record_says_where_it_begins() {
    let body = "{\"a\":1}\n\n  {\"b\":2}{\"c\":3}\nnone\n[{\"d\":4}]\n";
    let decoded = plain(None, body);
    let starts: Vec<&str> = decoded
        .starts
        .iter()
        .map(|at| body.get(usize::try_from(*at).unwrap()..).unwrap())
        .collect();
    let begins = ["{\"a\"", "{\"b\"", "{\"c\"", "none", "{\"d\""];
    assert_eq!(starts.len(), begins.len());
    for (start, begin) in starts.iter().zip(begins) {
        assert!(start.starts_with(begin), "{start}");
    }
    assert_eq!(decoded.tally.raw_records, [0, 1, 2, 4]);
}

#[test]
fn a_request_is_decompressed_and_told_apart() {
    let known = RawSchema::new();
    let none = BTreeSet::new();
    let context = SourceContext {
        envelope_tenant: Some(super::TENANT),
        known_raw: &known,
        domain_controllers: &none,
        raw_table: None,
        time_column: None,
    };
    let row = record("DeviceEvents", r#"{"Timestamp":"2026-01-01"}"#);
    let body = super::body::gzip(row.as_bytes());
    let decoded = crate::decode_request(None, None, None, &body, &context).unwrap();
    assert_eq!((decoded.read, decoded.rejected.len()), (1, 0));
    let error = crate::decode_request(None, None, None, b"a,b,c", &context).unwrap_err();
    assert_eq!(error.code().as_str(), "bad_format");
    let error = crate::decode_request(None, Some("br"), None, &body, &context).unwrap_err();
    assert_eq!(error.code().as_str(), "unsupported_media");
}
