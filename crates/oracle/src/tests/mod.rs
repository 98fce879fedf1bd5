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

fn first_text(query: &str) -> String {
    match answer(query).into_iter().flatten().next() {
        Some(Value::String(text) | Value::Dynamic(text)) => text.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn arrays_and_bags() {
    let expanded = "print d = dynamic([3, null, 'x']) | mv-expand d to typeof(long)";
    assert_eq!(longs(expanded), [Some(3), None, None]);
    assert_eq!(
        first_text("print bag_merge(dynamic({'a': 1}), dynamic({'a': 2, 'b': [1, 2.5]}))"),
        r#"{"a":1,"b":[1,2.5]}"#
    );
    assert_eq!(first_text("print tostring(split('a-b', '-')[1])"), "b");
    assert_eq!(
        first_text(&format!("{T} T | sort by s desc | summarize make_list(s)")),
        r#"["d","c","b","a"]"#
    );
}

#[test]
fn patterns_and_time() {
    assert_eq!(
        first_text(r"print extract(@'([a-z]+)\.(exe|dll)', 1, 'run cmd.exe')"),
        "cmd"
    );
    assert_eq!(
        first_text("print replace_regex('a1b22', '[0-9]+', '#')"),
        "a#b#"
    );
    let month = "datetime_add('month', 1, datetime(2024-01-31))";
    assert_eq!(
        first_text(&format!("print format_datetime({month}, 'yyyy-MM-dd')")),
        "2024-02-29"
    );
    // From Saturday to Sunday.
    let weeks = "datetime_diff('week', datetime(2024-06-16), datetime(2024-06-15))";
    assert_eq!(longs(&format!("print tolong({weeks})")), [Some(1)]);
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
