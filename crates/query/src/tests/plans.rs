//! Queries whose plans the library's rules would make wrong or refuse, and forms that are planned apart.

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

#[test]
fn a_part_of_a_text_is_that_of_the_array_of_its_parts() {
    for delimiter in [",", ", ", "aa", ""] {
        for at in -4..=4 {
            let rows = format!(
                "datatable(t: string, n: long)['', 1, 'a', 2, 'a,b,c', 345, ', ,', 4, 'aaaaa', 5, 'x, \"y\\\\, z', 6] \
                 | extend parts = split(t, '{delimiter}'), digits = split(n, '4')"
            );
            let of = |text: &str, number: &str| {
                answer(&format!(
                    "{rows} | project a = tostring({text}[{at}]), b = tostring({number}[{at}])"
                ))
            };
            let direct = of(&format!("split(t, '{delimiter}')"), "split(n, '4')");
            assert_eq!(direct, of("parts", "digits"), "'{delimiter}' at {at}");
        }
    }
}

/// 60 MB of text that nobody reads, in a query that may hold 24 MB and has no files.
#[test]
fn neighbouring_rows_need_only_the_columns_that_are_read() {
    let query = "range n from 1 to 100000 step 1 | extend a = strcat(strrep('a', 300), n), b = strcat(strrep('b', 300), n) \
                 | sort by n asc | extend before = prev(n, 3), after = next(n), k = row_number() \
                 | where before == 99990 or k == 2 | project n, before, after, k";
    let limits = crate::Limits {
        memory_bytes: 24 << 20,
        ..crate::Limits::default()
    };
    let prepared = crate::prepare(query, &Shape, super::support::now());
    let result = super::support::run_prepared(&prepared, &BTreeMap::new(), limits);
    let result = result.unwrap_or_else(|error| panic!("{}", describe(&error)));
    assert_eq!(
        encode::json(&result),
        answer(
            "datatable(n: long, before: long, after: long, k: long)[2, long(null), 3, 2, 99993, 99990, 99994, 99993]"
        )
    );
}
