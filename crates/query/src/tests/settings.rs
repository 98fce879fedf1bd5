//! How an engine is set does not change what it answers.

use std::collections::BTreeMap;

use super::conditions::Shape;
use super::encode;
use super::support::{describe, now, run_in};
use crate::{Engine, Limits, Settings, prepare};

/// The answer with two parts of a plan at once and batches of one row.
fn in_two_parts(query: &str) -> String {
    let engine = Engine::new(Settings {
        parallelism: 2,
        batch_rows: 1,
        ..Settings::default()
    });
    let prepared = prepare(query, &Shape, now());
    match run_in(&engine, &prepared, &BTreeMap::new(), Limits::default()) {
        Ok(result) => encode::json(&result),
        Err(error) => panic!("{query}: {}", describe(&error)),
    }
}

#[test]
fn a_join_runs_in_parts() {
    let query = "range k from 1 to 9 step 1 | join kind=leftsemi (range k from 2 to 4 step 2) on k";
    let sorted = in_two_parts(&format!("{query} | order by k asc"));
    assert_eq!(sorted, in_two_parts("range k from 2 to 4 step 2"));
}

#[test]
fn a_window_over_a_window_keeps_the_order() {
    let sums = in_two_parts(
        "range k from 1 to 500 step 1 | order by k asc | extend before = prev(k)
        | extend sum = row_cumsum(1, before == 100) | summarize wrong = countif(sum != iff(k <= 100, k, k - 100))",
    );
    assert_eq!(sums, in_two_parts("print wrong = 0"));
}
