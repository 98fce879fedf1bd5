//! What counts as equal, and when a run surprises.

use serde_json::{Value, json};

use crate::compare::{self, Rules};
use crate::known;
use crate::report::{Outcome, Report};

fn rows(value: Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn equal(a: Value, b: Value, ordered: bool, sets: bool) -> bool {
    compare::rows(&rows(a), &rows(b), Rules { ordered, sets }).is_ok()
}

#[test]
fn rows_are_compared_to_the_cell() {
    assert!(equal(json!([[1, "a"]]), json!([[1.0, "a"]]), true, false));
    assert!(!equal(json!([[1, "a"]]), json!([[1, "A"]]), true, false));
    assert!(!equal(json!([[1]]), json!([[1], [1]]), false, false));
    assert!(equal(json!([[1], [2]]), json!([[2], [1]]), false, false));
    assert!(!equal(json!([[1], [2]]), json!([[2], [1]]), true, false));
    assert!(equal(
        json!([[0.1]]),
        json!([[0.100_000_000_000_01]]),
        true,
        false
    ));
    assert!(!equal(json!([[0.1]]), json!([[0.100_001]]), true, false));
    assert!(!equal(json!([[null]]), json!([[""]]), true, false));
}

#[test]
fn arrays_are_sets_only_where_sets_are_made() {
    assert!(equal(json!([[[1, 2]]]), json!([[[2, 1]]]), true, true));
    assert!(!equal(json!([[[1, 2]]]), json!([[[2, 1]]]), true, false));
    assert!(!equal(json!([[[1, 1]]]), json!([[[1, 2]]]), true, true));
}

fn outcome(id: &str, failure: Option<&str>, reported_only: bool) -> Outcome {
    Outcome {
        file: "f".to_owned(),
        id: id.to_owned(),
        families: vec!["x".to_owned()],
        failure: failure.map(str::to_owned),
        reported_only,
    }
}

#[test]
fn a_run_and_the_list_must_agree() {
    let known = known::parse("# why\nf\ta\tnot done\nf\tb\tnot done\nf\tgone\tx\n").unwrap();
    let report = Report {
        outcomes: vec![
            outcome("a", Some("w"), false),
            outcome("b", None, false),
            outcome("c", Some("w"), false),
            outcome("d", Some("w"), true),
            outcome("e", None, false),
        ],
    };
    let surprises = known::surprises(&known, &report);
    assert_eq!(
        surprises,
        ["passes, but is listed as failing: f b", "fails: f c: w"]
    );
    assert_eq!(
        report.totals(),
        "f\n  x                                    2 of     5   40.0 %\n"
    );
}

#[test]
fn a_list_without_reasons_is_refused() {
    assert!(known::parse("f\ta\t \n").is_err());
    assert!(known::parse("f\ta\n").is_err());
    assert!(known::parse("f\ta\tx\nf\ta\ty\n").is_err());
}
