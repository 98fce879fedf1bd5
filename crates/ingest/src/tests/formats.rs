//! Telling formats apart.

use super::record;
use crate::Format;

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
