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

#[test]
fn a_request_is_decompressed_and_told_apart() {
    let known = RawSchema::new();
    let none = BTreeSet::new();
    let context = SourceContext {
        envelope_tenant: Some(super::TENANT),
        known_raw: &known,
        domain_controllers: &none,
        raw_table: None,
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
