//! Queries whose plans the library's rules would make wrong, or refuse.

use std::collections::BTreeMap;

use super::conditions::Shape;
use super::encode;
use super::support::{describe, run};

fn answer(query: &str) -> String {
    match run(query, &Shape, &BTreeMap::new()) {
        Ok(result) => encode::json(&result),
        Err(error) => panic!("{query}: {}", describe(&error)),
    }
}

#[test]
fn a_union_is_sorted_by_two_names_of_one_column() {
    let rows = "(range k from 1 to 2 step 1 | extend c = k)";
    let sorted = answer(&format!(
        "union {rows}, {rows} | sort by k desc nulls first, c desc"
    ));
    let wanted = "datatable(k: long, c: long)[2, 2, 2, 2, 1, 1, 1, 1]";
    assert_eq!(sorted, answer(wanted));
}

#[test]
fn what_counts_no_rows_is_summarised() {
    let count = "range k from 1 to 3 step 1 | top 0 by k asc | count";
    let sum = answer(&format!("{count} | summarize c = avgif(Count, true)"));
    assert_eq!(sum, answer("print c = 0.0"));
}
