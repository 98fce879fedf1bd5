//! The first rows in some order, over segments: the right ones, and little else is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::TableName;

use super::encode;
use super::scan::{File, Shape, day, early, hunt, properties, schema};
use super::support::{describe, run};
use crate::{Segment, TableRows};

/// Segments of an hour and 40 minutes each, in no order of their times.
fn segments(n: i64, group_rows: usize) -> Vec<File> {
    let order = (0..n).map(|i| i * 7 % n);
    order
        .map(|i| {
            File::new(
                &early(day("2024-06-01") + i * 100 * super::scan::MINUTE, 100),
                group_rows,
            )
        })
        .collect()
}

fn segments_only(query: &str, files: &[File]) -> String {
    let segment = |file: &File| Arc::new(file.clone()) as Arc<dyn Segment>;
    let rows = TableRows {
        schema: schema(),
        memory: Vec::new(),
        segments: files.iter().map(segment).collect(),
        time_column: Some("Timestamp".to_owned()),
        look_back: false,
    };
    let tables = BTreeMap::from([(TableName::new("Events").expect("a name"), rows)]);
    match run(query, &Shape, &tables) {
        Ok(result) => encode::json(&result),
        Err(error) => panic!("{query}: {}", describe(&error)),
    }
}

/// More segments than are at work at once on any machine.
const MANY: i64 = 64;

#[test]
fn a_top_by_time_reads_the_segments_at_that_end_only() {
    for (query, first) in [
        ("Events | top 3 by Timestamp desc", "2024-06-05T10:39:00"),
        (
            "Events | sort by Timestamp desc | take 3",
            "2024-06-05T10:39:00",
        ),
        (
            "Events | where Size >= 0 | top 3 by Timestamp asc",
            "2024-06-01T00:00:00",
        ),
        (
            "Events | extend d = strcat(Device, 'x') | project-rename T = Timestamp | top 3 by T desc | project-rename Timestamp = T",
            "2024-06-05T10:39:00",
        ),
        (
            "union Events, (Events | where Size < 50) | top 3 by Timestamp asc",
            "2024-06-01T00:00:00",
        ),
    ] {
        let files = segments(MANY, 25);
        let rows = segments_only(query, &files);
        assert!(rows.contains(first), "{query}: {rows}");
        let read = files.iter().filter(|f| f.read.load(Ordering::Relaxed) > 0);
        let read = read.count();
        assert!(
            (1..=24).contains(&read),
            "{query}: {read} segments were read"
        );
    }
}

#[test]
fn of_other_columns_only_the_rows_that_come_first_are_read() {
    // Pages of all columns are much more than what is read ahead of one.
    const ROWS: i64 = 100_000;
    let bytes = |query: &str| {
        let rows = early(day("2024-06-01"), ROWS);
        let plain = properties(100_000).set_dictionary_enabled(false).build();
        let files = [File::with(&rows, plain)];
        segments_only(query, &files);
        files[0].read.load(Ordering::Relaxed)
    };
    let time = bytes("Events | summarize max(Timestamp)");
    let all = bytes("Events | summarize max(Timestamp), max(Size), max(Device)");
    let top = bytes("Events | top 3 by Timestamp desc");
    // The page in which these rows lie, of each of the other columns.
    assert!(
        top < time * 2 + (all - time) / 10,
        "{top} of {all}, {time} of them times"
    );
}

#[test]
fn a_top_is_the_beginning_of_all_rows_sorted() {
    let files = segments(9, 25);
    for (rows, order) in [
        ("Events", "Timestamp desc"),
        ("Events", "Timestamp asc, Size desc"),
        ("Events", "Size desc nulls first, Timestamp asc"),
        ("Events", "Size asc nulls last, Timestamp desc"),
        ("Events", "Size asc nulls first, Device desc, Timestamp asc"),
        ("Events", "Device desc, Timestamp asc"),
        ("Events", "Late desc, Timestamp asc"),
        ("Events", "strlen(Device) asc, Timestamp desc"),
        ("Events", "Timestamp desc, strlen(Device) asc"),
        ("Events | where Device has 'd3'", "Timestamp desc"),
        ("Events | where Size % 10 == 3", "Size desc, Timestamp desc"),
        (
            "Events | where isempty(Late) | extend k = Size * 2",
            "k desc, Timestamp asc",
        ),
        ("Events | project Device, Timestamp", "Timestamp asc"),
        (
            "Events | project When = Timestamp, Device, Size",
            "When desc",
        ),
        (
            "Events | serialize n = row_number() | where n < 900 | project-away n",
            "Timestamp asc",
        ),
        (
            "Events | summarize Size = max(Size) by Device, Timestamp = bin(Timestamp, 1h)",
            "Timestamp desc, Device asc",
        ),
        (
            "union (Events | where Size < 9), (Events | where Size > 90)",
            "Timestamp desc, Size asc",
        ),
        (
            "union withsource = S Events, (print Timestamp = datetime(2024-06-03), Device = 'p')",
            "Timestamp desc, Device asc, S asc",
        ),
        (
            "Events | join kind=leftouter (Events | where Size < 3 | distinct Size, D = Device) on Size",
            "Timestamp desc, D asc",
        ),
    ] {
        for n in [1, 2, 7, 100, 5000] {
            let top = format!("{rows} | sort by {order} | take {n}");
            let all = format!(
                "{rows} | sort by {order} | extend Row = row_number() | where Row <= {n} | project-away Row"
            );
            let run = |query: &str| encode::json(&hunt(query, &files));
            assert_eq!(run(&top), run(&all), "{top}");
        }
    }
}

#[test]
fn rows_that_are_left_out_on_the_way_are_not_missed() {
    let query = "Events | where rand() < 0.5 | top 10 by Timestamp desc | count";
    let counted = encode::json(&hunt(query, &segments(1, 100)));
    assert_eq!(counted, r#"[{"Count":10}]"#);
}
