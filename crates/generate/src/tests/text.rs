//! The writer against a real parser, and the calendar's ends.

use model::Ticks;
use serde_json::Value;

use super::monday;
use crate::countries::{Calendar, Place};
use crate::text::{Row, push_number, push_time};

#[test]
fn any_text_survives() {
    let texts = [
        "",
        "plain",
        r"C:\a\b",
        "\"q\"",
        "a\nb\tc\r",
        "größer 語 🦀",
        "\\",
        "\"",
        "x\\\"y",
    ];
    for text in texts {
        let mut row = Row::default();
        row.text("k", text).number("n", 7);
        let parsed: Value = serde_json::from_str(&format!("{{{}}}", row.as_str())).unwrap();
        assert_eq!(parsed["k"], text);
        assert_eq!(parsed["n"], 7);
    }
    let mut row = Row::default();
    row.text("k", "a\u{1}b");
    let parsed: Value = serde_json::from_str(&format!("{{{}}}", row.as_str())).unwrap();
    assert_eq!(parsed["k"], "a b");
}

#[test]
fn instants_have_the_digits_they_need() {
    for (text, expected) in [
        ("2026-03-02T00:00:00.0000000Z", "2026-03-02T00:00:00"),
        ("2026-12-31T23:59:59.1000000Z", "2026-12-31T23:59:59.1"),
        (
            "0001-01-01T01:02:03.0000001Z",
            "0001-01-01T01:02:03.0000001",
        ),
        ("2026-03-02T10:20:30.0120000Z", "2026-03-02T10:20:30.012"),
    ] {
        let mut out = String::new();
        push_time(&mut out, Ticks::parse(text).unwrap());
        assert_eq!(out, expected);
    }
}

#[test]
fn numbers_are_decimal() {
    for n in [0, 9, 10, 12_345, u64::MAX] {
        let mut out = String::new();
        push_number(&mut out, n);
        assert_eq!(out, n.to_string());
    }
}

#[test]
fn the_calendar_grows_and_stays_inside() {
    let calendar = Calendar::new(&Place::of("SG"), monday(), 2);
    let total = 10_000;
    let mut last = monday();
    for done in 0..total {
        let at = calendar.at(done, total);
        assert!(at >= last, "{done}: {at} {last}");
        last = at;
    }
    assert_eq!(calendar.at(0, total), monday());
    assert!(last < Ticks(monday().0 + 2 * model::ticks::PER_DAY));
}

#[test]
fn weekends_differ_by_country() {
    let friday_noon = Ticks::parse("2026-03-06T09:00:00Z").unwrap();
    assert_eq!(Place::of("IL").local(friday_noon), (11, false));
    assert_eq!(Place::of("NO").local(friday_noon), (10, true));
    let sunday = Ticks::parse("2026-03-08T09:00:00Z").unwrap();
    assert_eq!(Place::of("IL").local(sunday), (11, true));
    assert_eq!(Place::of("??").local(sunday), (9, false));
}
