//! A join says the same of tables in segments as of the same rows in memory, where the library's own
//! operator computes it: all kinds, keys of text and numbers, null ones, one in another, under a
//! summary or not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Code, TableName};

use super::conditions::{File, Shape, batch, schema, tables};
use super::encode;
use super::support::{describe, ends, now, run, run_prepared};
use crate::{Error, Limits, Segment, TableRows, prepare};

const KINDS: [&str; 9] = [
    "innerunique",
    "inner",
    "leftouter",
    "rightouter",
    "fullouter",
    "leftsemi",
    "rightsemi",
    "leftanti",
    "rightanti",
];

/// Left side, right side, keys.
const SIDES: [(&str, &str, &str); 10] = [
    // One text, few values on one side.
    (
        "Events | where Size > 2900",
        "Events | where Size < 9 | project Device, Note, Size",
        "Device",
    ),
    // A text that is different in every row.
    (
        "Events | where Size % 3 != 1",
        "Events | where Size % 2 == 0",
        "Note",
    ),
    // A number that is null in some rows.
    (
        "Events | where Timestamp < datetime(2024-06-01 06:00)",
        "Events | where isnull(Size) or Size < 70 | extend Other = Size",
        "Size",
    ),
    // Several, text and numbers, null and computed ones.
    (
        "Events | where Size < 200 or isnull(Size)",
        "Events | where Size > 100 or isnull(Size) | extend T = tostring(Bag)",
        "Device, Size, $left.Later == $right.T",
    ),
    (
        "Events | extend K = iff(Size % 4 == 0, Device, ''), N = Size % 10, B = Size > 5",
        "Events | where Size between (30 .. 60) | extend K = toupper(Device), N = Size % 7, B = isempty(Bag)",
        "$left.K == $right.Device, N, B",
    ),
    // A column that the files do not have.
    (
        "Events | where Size < 20",
        "Events | where Size < 15 | extend Later = iff(Size == 3, '', 'x')",
        "Later, Size",
    ),
    // Nothing on one side.
    (
        "Events | where Size < 20",
        "Events | where Device == 'nobody'",
        "Device",
    ),
    ("Events | where Size == -1", "Events | take 3", "Note"),
    // Tables beside each other, and rows that are no table's.
    (
        "union (Events | where Size < 30), (Events | where Size > 2990), (print Device = 'PC-1 of dept 1', Note = 'x')",
        "Events | summarize Last = max(Timestamp), n = count() by Device",
        "Device",
    ),
    (
        "datatable(Device: string, Size: long)['PC-1 of dept 1', 1, 'PC-2 of dept 2', 2, 'PC-2 of dept 2', 5, '', int(null)]",
        "Events | where Size < 1000",
        "Device",
    ),
];

/// What comes after; the order of rows is not the join's.
const THEN: [&str; 2] = [
    "extend Row = tostring(pack_all()) | project Row | order by Row asc",
    "summarize n = count(), s = sum(Size), d = count_distinct(Device) by Note = substring(Note, 0, 5), Later | extend Row = tostring(pack_all()) | project Row | order by Row asc",
];

fn hunted(query: &str, tables: &BTreeMap<TableName, TableRows>) -> String {
    match run(query, &Shape, tables) {
        Ok(result) => encode::json(&result),
        Err(error) => panic!("{query}: {}", describe(&error)),
    }
}

/// The same rows in memory, and in segments that keep text as dictionaries, and only in part.
fn stored() -> (
    BTreeMap<TableName, TableRows>,
    Vec<BTreeMap<TableName, TableRows>>,
) {
    let batch = batch();
    let whole = rows::conform(&batch, &schema()).expect("conforms");
    let segment = |dictionary_bytes| {
        let segment: Arc<dyn Segment> = Arc::new(File::new(&batch, dictionary_bytes));
        tables(Vec::new(), vec![segment])
    };
    let segments = [1 << 20, 4_000].map(segment);
    (tables(vec![whole], Vec::new()), segments.into())
}

#[test]
fn a_join_says_the_same_of_segments_as_of_memory() {
    let (memory, segments) = stored();
    let (mut some, mut all) = (0, 0);
    for (at, (left, right, on)) in SIDES.into_iter().enumerate() {
        for (kind_at, kind) in KINDS.into_iter().enumerate() {
            for then in THEN.into_iter().skip((at + kind_at) % 2).take(1) {
                // Columns that a kind does not give are not asked for.
                let then = match kind {
                    "rightsemi" | "rightanti" if then.contains("by Note") => "count",
                    _ => then,
                };
                let left = if left.contains("Note") || left.starts_with("Events") {
                    left.to_owned()
                } else {
                    format!("{left} | extend Note = 'n', Later = ''")
                };
                let query = format!("{left} | join kind={kind} ({right}) on {on} | {then}");
                let expected = hunted(&query, &memory);
                all += 1;
                some += usize::from(expected != "[]" && !expected.contains(r#""Count":0"#));
                for segments in &segments {
                    assert_eq!(hunted(&query, segments), expected, "{query}");
                }
            }
        }
    }
    assert!(some * 10 > all * 8, "{some} of {all} have an answer");
}

/// Joins of joins: what the keys of one side rule out is asked of the tables below the other.
#[test]
fn joins_of_joins_say_the_same() {
    let (memory, segments) = stored();
    // Few enough that a table is asked for them while it is decoded, and too many for that.
    let sides = [
        "(Events | where Size in (3, 5, 8, 100, 2000) | project Note, Device, Size)",
        "(Events | where Size % 9 == 2 | project Note, Device, Size)",
    ];
    let mut turn = 0;
    for first in KINDS {
        for second in [
            "innerunique",
            "inner",
            "leftouter",
            "leftsemi",
            "leftanti",
            "rightouter",
        ] {
            let keys = [
                ("Note", "Size"),
                ("Note, Device", "Device"),
                ("Device", "Note"),
                ("Size", "Device"),
            ];
            turn += 1;
            let turns = [keys[turn % 4], keys[(turn + 2) % 4]];
            for ((on, then), few) in turns
                .into_iter()
                .zip([sides[turn / 2 % 2], sides[turn % 2]])
            {
                // The joined rows pass by the few ones.
                let query = format!(
                    "{few} | join kind={second} (\
                     Events | where Size < 2500 | project Device, Note, Size, Later \
                     | join kind={first} (Events | where Size % 2 == 0 and Size < 400 | project Device, Note, Size, Bag) on {on}) on {then} \
                     | extend Row = tostring(pack_all()) | summarize n = count() by Row | order by Row asc"
                );
                let expected = hunted(&query, &memory);
                for segments in &segments {
                    assert_eq!(hunted(&query, segments), expected, "{query}");
                }
            }
        }
    }
}

/// A key that very many rows have on both sides makes no batch of all its pairs.
#[test]
fn pairs_of_one_key_come_in_portions() {
    let (memory, segments) = stored();
    let query = "Events | extend K = 1 | join kind=inner (Events | extend K = 1 | where Size < 400) on K \
                 | summarize n = count(), s = sum(Size1), d = count_distinct(Device) by Later";
    let expected = hunted(query, &memory);
    assert!(expected.contains(r#""n":1107000"#), "{expected}");
    for segments in &segments {
        assert_eq!(hunted(query, segments), expected);
    }
    let taken =
        "Events | extend K = 1 | join kind=inner (Events | extend K = 1) on K | take 9000 | count";
    for segments in &segments {
        assert_eq!(hunted(taken, segments), r#"[{"Count":9000}]"#);
    }
}

/// Equal values that stand in all rows of a side stand no longer in all rows of an outer join.
#[test]
fn what_is_constant_on_one_side_is_not_in_an_outer_join() {
    let (memory, _) = stored();
    let count = |kind: &str, by: &str| {
        let query = format!(
            "range x from 1 to 30000 step 1 \
             | join kind={kind} (range x from 1 to 60000 step 1 | where x % 2 == 0 | extend Source = 'seen') on x \
             | summarize n = count() by {by} | order by {by} asc"
        );
        hunted(&query, &memory)
    };
    let expected = r#"[{"Source":"","n":15000},{"Source":"seen","n":15000}]"#;
    assert_eq!(count("leftouter", "Source"), expected);
    let expected = r#"[{"Source":"","n":15000},{"Source":"seen","n":30000}]"#;
    assert_eq!(count("fullouter", "Source"), expected);
    let expected = r#"[{"Source":"seen","n":30000}]"#;
    assert_eq!(count("rightouter", "Source"), expected);
}

/// What is computed of text is a dictionary once enough rows have the text's, and none before.
#[test]
fn what_is_computed_of_text_may_be_kept() {
    let (memory, segments) = stored();
    let side = |n: &str| {
        format!(
            "Events | where Size < 3 or Size > 200 | extend {n} = strlen(Note) + 1 | project Size, {n}"
        )
    };
    let query = format!(
        "{} | join kind=inner ({}) on Size | summarize n = count(), s = sum(N), t = sum(M)",
        side("N"),
        side("M")
    );
    let expected = hunted(&query, &memory);
    for segments in &segments {
        assert_eq!(hunted(&query, segments), expected);
        let mut both = segments.clone();
        for (name, table) in &mut both {
            table.memory.clone_from(&memory[name].memory);
        }
        let fourfold = format!("{query} | project n = n / 4, s = s / 4, t = t / 4");
        assert_eq!(hunted(&fourfold, &both), expected);
    }
}

/// 27,000,000,000 pairs, by the same key and by a thousand.
const ENDLESS: [&str; 2] = [
    "Events | extend K = 1 | join kind=inner (Events | extend K = 1) on K | project K, Later, Size \
     | join kind=leftouter (Events | extend K = 1) on K | summarize n = count(), s = sum(Size) by Later",
    "Events | extend K = 1 | join kind=inner (Events | extend K = 1) on K | project K, Device, Size \
     | join kind=inner (Events | extend K = 1 | project K, Device, Note) on K, Device | project Note, Size | where Size > 5 | count",
];

#[test]
fn the_work_of_a_cancelled_join_over_segments_ends_soon() {
    let (_, segments) = stored();
    for query in ENDLESS {
        let prepared = prepare(query, &Shape, now());
        let (cancelled, soon) = (Duration::from_millis(500), Duration::from_secs(2));
        for segments in &segments {
            let limits = Limits::default();
            let (outcome, ended) = ends(&prepared, segments, limits, Some(cancelled), soon);
            assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
            assert!(ended, "{query}");
        }
    }
}

/// What is kept of the first side counts against the query's memory: rows, keys, and text.
#[test]
fn a_join_that_keeps_too_much_is_a_clear_error() {
    let (_, segments) = stored();
    let pairs = "Events | extend K = 1 | join kind=inner (Events | extend K = 1) on K";
    let sides = [
        format!("({pairs} | project Size) | join kind=inner ({pairs} | project Size) on Size"),
        format!(
            "({pairs} | extend T = strcat(Note, Note1)) | join kind=leftouter ({pairs} | extend T = strcat(Note, Note1)) on T"
        ),
    ];
    for query in sides.map(|side| format!("{side} | count")) {
        let limits = Limits {
            memory_bytes: 16 << 20,
            ..Limits::default()
        };
        for segments in &segments {
            let outcome = run_prepared(&prepare(&query, &Shape, now()), segments, limits);
            let error = outcome.expect_err("an error");
            assert_eq!(error.code(), Code::HuntResources, "{query}: {error:?}");
        }
    }
}
