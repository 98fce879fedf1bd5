//! The oracle itself, on a few queries whose answers one can see.

use kql::resolved::Value;
use model::{Schema, Ticks};

use crate::{Row, run};

fn answer(query: &str) -> Vec<Row> {
    let (resolved, findings) = kql::resolve(&kql::parse(query), Schema::hunting(), Ticks(0));
    run(&resolved.unwrap_or_else(|| panic!("{findings:?}")), &|_| {
        None
    })
    .unwrap()
}

const T: &str = "let T = datatable(k: long, s: string) [1, 'a', 2, 'b', 1, 'c', long(null), 'd'];";

fn longs(query: &str) -> Vec<Option<i64>> {
    let first = |row: Row| match row.first() {
        Some(Value::Long(n)) => Some(*n),
        _ => None,
    };
    answer(query).into_iter().map(first).collect()
}

#[test]
fn filters_keep_what_is_true() {
    assert_eq!(longs(&format!("{T} T | where k < 2")), [Some(1), Some(1)]);
    assert_eq!(longs(&format!("{T} T | where k != 1")), [Some(2), None]);
    assert_eq!(longs(&format!("{T} T | where not(k < 2)")), [Some(2)]);
}

#[test]
fn groups_sorts_and_joins() {
    assert_eq!(
        longs(&format!(
            "{T} T | summarize n = count() by k | project n, k | sort by k asc"
        )),
        [Some(1), Some(2), Some(1)]
    );
    assert_eq!(
        longs("range n from 3 to 1 step -1 | sort by n asc | take 2"),
        [Some(1), Some(2)]
    );
    assert_eq!(
        longs(&format!("{T} T | join kind=inner T on k | count")),
        [Some(6)]
    );
    assert_eq!(longs(&format!("{T} T | join T on k | count")), [Some(4)]);
    assert_eq!(
        longs(&format!(
            "{T} T | join kind=leftanti (T | where k == 1) on k"
        )),
        [Some(2), None]
    );
}

#[test]
fn what_it_does_not_know_it_refuses() {
    let (resolved, _) = kql::resolve(
        &kql::parse("print x = parse_url('a')"),
        Schema::hunting(),
        Ticks(0),
    );
    let refusal = run(&resolved.unwrap(), &|_| None).unwrap_err();
    assert!(refusal.what.contains("ParseUrl"), "{refusal}");
}
