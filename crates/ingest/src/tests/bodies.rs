//! What may stand around records, and what damage costs.

use model::limits;

use super::{codes, record, run};
use crate::{Decoded, Format};

fn login(n: u32) -> String {
    record(
        "DeviceLogonEvents",
        &format!(r#"{{"Timestamp":"2026-07-18T15:00:00Z","ReportId":{n}}}"#),
    )
}

fn export(body: &str) -> Decoded {
    let decoded = run(Format::DefenderExport, body.as_bytes());
    let rows: usize = decoded.batches.iter().map(|b| b.batch.num_rows()).sum();
    assert_eq!(
        rows + decoded.rejected.len(),
        usize::try_from(decoded.read).unwrap()
    );
    decoded
}

/// The records that made rows, and the refusals as `record:code`.
fn outcome(body: &str) -> (Vec<u64>, Vec<String>) {
    let decoded = export(body);
    let rows = decoded
        .batches
        .iter()
        .flat_map(|b| b.record.clone())
        .collect();
    let refused = decoded
        .rejected
        .iter()
        .map(|r| format!("{}:{}", r.record, r.code))
        .collect();
    (rows, refused)
}

fn all(body: &str, n: u64) {
    assert_eq!(outcome(body), ((0..n).collect(), vec![]), "{body}");
}

#[test]
fn every_wrapping_is_taken() {
    let (a, b, c) = (login(1), login(2), login(3));
    all(&a, 1);
    all(&format!("{a}\n"), 1);
    all(&format!("{a}\n{b}\n{c}"), 3);
    all(&format!("{a}\r\n\r\n  \r\n{b}\r\n"), 2);
    all(&format!("\u{feff}{a}\n\u{feff}{b}\n"), 2);
    all(&format!("{a}{b} {c}"), 3);
    all(&format!("[{a},{b}]"), 2);
    all(&format!("[\n{a},\n{b}\n]\n"), 2);
    all(&format!("{{\"records\":[{a},{b}]}}"), 2);
    all(
        &format!("{{ \"records\" : [\r\n  {a},\r\n  {b}\r\n]}}\r\n"),
        2,
    );
    all(
        &format!("{{\"records\":[\n{a}\n,{b}\n],\"more\":{{\"x\":[1]}}}}"),
        2,
    );
    all(&format!("{{\"source\":\"hub\",\"records\":[{a},{b}]}}"), 2);
    // Event hub messages, one a line.
    all(
        &format!("{{\"records\":[{a},{b}]}}\n{{\"records\":[{c}]}}\n[{a}]\n{b}"),
        5,
    );
    let pretty = login(1).replace(',', ",\n  ").replace('{', "{\n  ");
    all(&pretty, 1);
    all(&format!("{{\"records\":[\n  {pretty},\n  {pretty}\n]}}"), 2);
    all("", 0);
    all(" \r\n\u{feff} \n", 0);
    all("[]", 0);
    all("{\"records\":[]}", 0);
}

#[test]
fn a_bad_line_costs_that_line() {
    let (a, b) = (login(1), login(2));
    let cut = a.get(..a.len() / 2).unwrap();
    let refused = |n: u64| vec![format!("{n}:malformed_json")];
    assert_eq!(
        outcome(&format!("{a}\nnot json\n{b}\n")),
        (vec![0, 2], refused(1))
    );
    assert_eq!(
        outcome(&format!("{cut}\n{a}\n{b}\n")),
        (vec![1, 2], refused(0))
    );
    assert_eq!(
        outcome(&format!("{a}\n{b}\n{cut}")),
        (vec![0, 1], refused(2))
    );
    // Cut where a pretty document could go on: the next line begins anew.
    let comma = a.get(..=a.rfind(',').unwrap()).unwrap();
    assert_eq!(
        outcome(&format!("{comma}\n{a}\n{b}\n")),
        (vec![1, 2], refused(0))
    );
    assert_eq!(outcome(&format!("{a} x\n{b}")), (vec![0, 2], refused(1)));
    let place = export(&format!("{a}\n{{\"x\":tru}}\n{b}")).rejected[0].offset;
    assert_eq!(place, Some(a.len() as u64 + 1 + 5));
}

#[test]
fn damage_in_a_document_keeps_what_came_before() {
    let (a, b, c) = (login(1), login(2), login(3));
    let cut = c.get(..c.len() / 2).unwrap();
    for body in [
        format!("{{\"records\":[{a},{b},{cut}"),
        format!("{{\"records\":[\n{a},\n{b},\n{cut}"),
        format!("[{a},{b} {c}]"),
        format!("{{\"records\":[{a},{b},]}}"),
        format!("[{a},{b}"),
    ] {
        let (rows, refused) = outcome(&body);
        assert_eq!(rows, [0, 1], "{body}");
        assert_eq!(refused, ["2:malformed_json"], "{body}");
    }
    let decoded = export(&format!("[{a},{b},x,{c}]"));
    assert_eq!(
        decoded.rejected[0].offset,
        Some((a.len() + b.len() + 3) as u64)
    );
}

#[test]
fn what_is_no_object_is_no_record() {
    let a = login(1);
    let (rows, refused) = outcome(&format!("[1,{a},\"x\",[{a}],null,{{}}]"));
    assert_eq!(rows, [1]);
    assert_eq!(
        refused,
        [
            "0:malformed_record",
            "2:malformed_record",
            "3:malformed_record",
            "4:malformed_record",
            "5:tenant_mismatch"
        ]
    );
    // Wrappers inside wrappers would recurse as deep as the sender likes.
    let nested = "{\"x\":1,\"records\":[".repeat(50_000) + &"]}".repeat(50_000);
    assert_eq!(codes(&export(&nested)), ["malformed_record"]);
}

#[test]
fn a_record_may_be_as_long_as_the_limit_and_no_longer() {
    let of = |bytes: usize| {
        let empty = record(
            "DeviceEvents",
            r#"{"Timestamp":"2026-07-18","FileName":""}"#,
        )
        .len();
        let name = "x".repeat(bytes - empty);
        record(
            "DeviceEvents",
            &format!(r#"{{"Timestamp":"2026-07-18","FileName":"{name}"}}"#),
        )
    };
    assert_eq!(of(limits::RECORD_BYTES_MAX).len(), limits::RECORD_BYTES_MAX);
    let good = login(1);
    let body = format!(
        "{}\n{}\n{good}",
        of(limits::RECORD_BYTES_MAX),
        of(limits::RECORD_BYTES_MAX + 1)
    );
    assert_eq!(
        outcome(&body),
        (vec![0, 2], vec!["1:record_too_large".to_owned()])
    );
    // Many members, far beyond the limit, in one line.
    let many = record(
        "DeviceEvents",
        &format!("{{{}\"z\":0}}", "\"a\":0,".repeat(1_000_000)),
    );
    assert_eq!(
        outcome(&format!("{many}\n{good}")),
        (vec![1], vec!["0:record_too_large".to_owned()])
    );
}

#[test]
fn a_record_may_nest_as_deep_as_the_limit_and_no_deeper() {
    let of = |depth: usize| {
        // Envelope and properties are two.
        let n = depth - 2;
        let value = "[".repeat(n) + &"]".repeat(n);
        record(
            "CloudAppEvents",
            &format!(r#"{{"Timestamp":"2026-07-18","RawEventData":{value}}}"#),
        )
    };
    let body = [
        of(limits::JSON_DEPTH_MAX),
        of(limits::JSON_DEPTH_MAX + 1),
        of(500_000),
        login(1),
    ]
    .join("\n");
    let refused = ["1:too_deep", "2:too_deep"].map(str::to_owned).to_vec();
    assert_eq!(outcome(&body), (vec![0, 3], refused));
}

#[test]
fn a_request_may_have_as_many_records_as_the_limit() {
    let row = "{\"records\":0}";
    let lines = |n: usize| format!("{row}\n").repeat(n);
    let max = limits::REQUEST_RECORDS_MAX;
    let decoded = export(&lines(max));
    assert_eq!(decoded.read, max as u64);
    assert!(
        decoded
            .rejected
            .iter()
            .all(|r| r.code.as_str() == "tenant_mismatch")
    );
    for body in [
        lines(max + 5),
        format!("[{}]", vec![row; max + 5].join(",")),
    ] {
        let decoded = export(&body);
        assert_eq!(decoded.read, max as u64 + 1);
        let last = decoded.rejected.last().unwrap();
        assert_eq!(last.code.as_str(), "too_many_records");
        assert_eq!(last.record, max as u64);
        let at = usize::try_from(last.offset.unwrap()).unwrap();
        assert!(body.get(at..).unwrap().starts_with(row));
    }
}

#[test]
fn a_body_that_is_not_utf8_is_refused_with_its_place() {
    let known = crate::RawSchema::new();
    let none = std::collections::BTreeSet::new();
    let context = crate::SourceContext {
        envelope_tenant: None,
        known_raw: &known,
        domain_controllers: &none,
        raw_table: None,
        time_column: None,
    };
    let error = crate::decode(Format::WindowsJson, b"{\"a\":\"\xff\"}", &context).unwrap_err();
    assert_eq!(error.code().as_str(), "bad_format");
    assert_eq!(error.to_string(), "the body is not UTF-8 at byte 6");
    let line = vec![b' '; limits::REQUEST_BYTES_DECODED_MAX + 1];
    let error = crate::decode(Format::WindowsJson, &line, &context).unwrap_err();
    assert_eq!(error.code().as_str(), "too_large");
}
