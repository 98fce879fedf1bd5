//! Ids, instants, codes and diagnostics.

use std::collections::BTreeSet;

use expect_test::expect;

use crate::{Code, Diagnostic, RegionCode, Span, Span100ns, TableName, TenantId, Ticks};

#[test]
fn ids_round_trip_and_take_hyphens() {
    let id: TenantId = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
    assert!("0011".parse::<TenantId>().is_err());
    assert!(
        "zz112233445566778899aabbccddeeff"
            .parse::<TenantId>()
            .is_err()
    );
    assert!(RegionCode::new("EU").is_err());
    assert!(TableName::new("Device Events").is_err());
    assert!(TableName::new("_hidden").is_err());
}

#[test]
fn instants_are_read_in_every_documented_form() {
    let check = |text: &str, expected: &str| {
        assert_eq!(
            Ticks::parse(text).map(|t| t.to_string()).as_deref(),
            Some(expected),
            "{text}"
        );
    };
    check(
        "2026-07-18T15:02:23.0616003Z",
        "2026-07-18T15:02:23.0616003Z",
    );
    check("2026-07-18T15:02:23", "2026-07-18T15:02:23.0000000Z");
    check("2026-07-18 15:02:23.5", "2026-07-18T15:02:23.5000000Z");
    check(
        "2026-07-18T15:02:23.123456789Z",
        "2026-07-18T15:02:23.1234567Z",
    );
    for zone in ["+99:99", "+24:00", "-05:60", "+0260"] {
        assert_eq!(
            Ticks::parse(&format!("2026-07-18T15:02:23{zone}")),
            None,
            "{zone}"
        );
    }
    check("2026-07-18T15:02:23+02:00", "2026-07-18T13:02:23.0000000Z");
    check("2026-07-18", "2026-07-18T00:00:00.0000000Z");
    check("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.0000000Z");
    check(
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59.9999999Z",
    );
    check("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.0000000Z");
    for text in [
        "",
        "2026-13-01",
        "2026-02-30",
        "2026-07-18T25:00:00",
        "2026-07-18T15:02:23x",
        "yesterday",
    ] {
        assert_eq!(Ticks::parse(text), None, "{text}");
    }
    assert_eq!(Ticks::from_unix(0, 0), Ticks::parse("1970-01-01"));
    assert_eq!(Ticks::from_unix(i64::MAX, 0), None);
    assert_eq!(Ticks::MAX.to_string(), "9999-12-31T23:59:59.9999999Z");
}

#[test]
fn every_day_of_four_centuries_round_trips() {
    let first = Ticks::parse("1900-01-01").unwrap().day();
    for day in first..first + 146_097 {
        let text = Ticks::from_day(day).to_string();
        assert_eq!(Ticks::parse(&text).unwrap().day(), day, "{text}");
    }
}

#[test]
fn durations_print_as_kusto_does() {
    assert_eq!(Span100ns::days(1).to_string(), "1.00:00:00");
    assert_eq!(Span100ns(-15_000_000).to_string(), "-00:00:01.5000000");
    assert_eq!(
        Span100ns(i64::MIN).to_string(),
        "-10675199.02:48:05.4775808"
    );
}

#[test]
fn codes_are_unique_and_explained() {
    let texts: BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
    assert_eq!(texts.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(code.summary().ends_with('.'), "{code}");
        assert!((400..600).contains(&code.status()), "{code}");
    }
}

#[test]
fn a_diagnostic_points_at_its_place() {
    let source = "DeviceNetworkEvents\n| where RemoteIp == \"10.0.0.7\"";
    let d = Diagnostic::error("KQL0207", Span::new(28, 36), "unknown column `RemoteIp`")
        .with_help("a column with a similar name exists: `RemoteIP`");
    expect![[r#"
        error[KQL0207]: unknown column `RemoteIp`
          --> query:2:9
          2 | | where RemoteIp == "10.0.0.7"
            |         ^^^^^^^^
          help: a column with a similar name exists: `RemoteIP`
    "#]]
    .assert_eq(&d.render("query", source));
}
