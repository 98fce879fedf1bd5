//! Tables of many columns say the same as tables of few: what `union`, `search` and `find` make of
//! columns that most tables do not have changes no answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::datatypes::{Field, Schema as ArrowSchema};
use kql::{SchemaSource, TableShape};
use model::{ColumnType, TableName};
use rows::types;

use super::conditions::File;
use super::encode;
use super::support::{describe, run};
use crate::{Segment, TableRows};

const TABLES: [(&str, &str); 3] = [("P1", "a"), ("P2", "b"), ("P3", "c")];

/// Three tables, each with a column of its own and so many more that nothing is in.
struct Padded(usize);

impl Padded {
    fn columns(&self, name: &str, own: &str) -> Vec<(Arc<str>, ColumnType)> {
        let mut columns: Vec<(Arc<str>, ColumnType)> = vec![
            ("k".into(), ColumnType::Long),
            ("s".into(), ColumnType::String),
            (own.into(), ColumnType::Long),
        ];
        let types = [ColumnType::String, ColumnType::Long, ColumnType::Dynamic];
        for (at, ty) in (0..self.0).zip(types.into_iter().cycle()) {
            columns.push((format!("pad{name}{at}").into(), ty));
        }
        columns
    }
}

impl SchemaSource for Padded {
    fn table(&self, name: &str) -> Option<TableShape> {
        let (name, own) = TABLES.into_iter().find(|(known, _)| *known == name)?;
        Some(TableShape {
            name: TableName::new(name).ok()?,
            columns: self.columns(name, own),
        })
    }

    fn tables(&self) -> Vec<String> {
        TABLES.map(|(name, _)| name.to_owned()).into()
    }
}

fn batch(columns: &[(Arc<str>, ColumnType)], first: i64) -> RecordBatch {
    let rows = || first..first + 6;
    let fields: Vec<Field> = columns.iter().map(|(n, ty)| types::field(n, *ty)).collect();
    let arrays = columns.iter().zip(&fields).enumerate();
    let arrays: Vec<ArrayRef> = arrays
        .map(|(at, ((_, ty), field))| -> ArrayRef {
            match (at, ty) {
                (0, _) => Arc::new(Int64Array::from_iter_values(rows().map(|i| i % 5))),
                (1, _) => Arc::new(StringArray::from_iter_values(rows().map(|i| match i % 4 {
                    0 => "x",
                    1 => "y z",
                    2 => "",
                    _ => "x z",
                }))),
                (2, _) => Arc::new(
                    rows()
                        .map(|i| (i % 3 != 0).then_some(i % 4))
                        .collect::<Int64Array>(),
                ),
                (_, ColumnType::String) => {
                    Arc::new(StringArray::from_iter_values(rows().map(|_| "")))
                }
                _ => new_null_array(field.data_type(), 6),
            }
        })
        .collect();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).expect("a batch")
}

/// Half of the rows in memory, half in a segment.
fn tables(shape: &Padded) -> BTreeMap<TableName, TableRows> {
    let table = |(at, (name, own)): (i64, (&str, &str))| {
        let columns = shape.columns(name, own);
        let (fresh, stored) = (batch(&columns, at), batch(&columns, at + 7));
        let segment: Arc<dyn Segment> = Arc::new(File::in_groups(&stored, 1 << 20, 4));
        let rows = TableRows {
            schema: fresh.schema(),
            memory: vec![fresh],
            segments: vec![segment],
            time_column: None,
            look_back: false,
        };
        (TableName::new(name).expect("a name"), rows)
    };
    (0..).zip(TABLES).map(table).collect()
}

const QUERIES: [&str; 24] = [
    "union withsource=T P1, P2, P3 | where s has 'x' or b > 2 | project T, k, s, a, b, c",
    "union withsource=T P1, P2, P3 | where b == 2 | project T, k, s, a, b, c",
    "union withsource=T P1, P2, P3 | where isnull(b) and isnotnull(a) | project T, k, a, b, c",
    "union withsource=T P* | where T == 'P2' and k > 1 | project T, k, b",
    "union P1, P2, P3 | where not(a > 1) | summarize n = count(), t = sum(b) by s, c",
    "union P1, P2, P3 | where coalesce(a, b, c, 7) in (1, 7) | project k, s, a, b, c",
    "union P1, P2, P3 | where a > 1 or a > 1 or (b > 1 and b > 1) | count",
    "union P1, P2, P3 | where s == '' | distinct k, b",
    "union P1, P2, P3 | where rand() < 2 and k == 3 | project k, a",
    "union (P1 | take 0), P2 | where s has 'z' | project k, s, a, b",
    "union P1, (P2 | where false), P3 | where s has 'z' | summarize make_set(a), count(c)",
    "union (union P1, P2 | where k > 1 | extend own = iff(isnull(a), 'b', 'a')), P3 | where s != 'x' | project k, own, a, b, c",
    "union P1, P2, P3 | order by k asc, s asc, a asc, b asc, c asc | extend before = prev(b) | where k > 2 | project k, before, b",
    "union P1, P2, P3 | top 4 by k desc, s asc, a asc, b asc, c asc | project k, s, a, b, c",
    "union P1, P2, P3 | take 5 | count",
    "union P1, P2 | where k < 3 | join kind=inner (union P2, P3 | where s has 'x') on k | project k, a, b, b1, c",
    "union P1, P2 | where k < 3 | join kind=leftanti (union P2, P3 | where c == 2) on k | project k, a, b",
    "search 'x' | project $table, k, s, a, b, c",
    "search 'x' and not('z') | project $table, k, s",
    "search in (P1, P2) a: '2' or b == 1 | project $table, k, s, a, b",
    "search kind=case_sensitive * | where b == 1 or a == 1 | summarize count() by $table",
    "find where s has 'z' project k, s, b",
    "union P1, P2, P3 | where s has 'x' | project-away k | extend q = a + 1 | summarize max(q), min(c), any = countif(isnull(b))",
    "let T = materialize(union P1, P2, P3 | where k != 0); T | where a == 1 | union (T | where b == 1) | project k, s, a, b",
];

#[test]
fn columns_that_nothing_is_in_change_no_answer() {
    let (narrow, wide) = (Padded(0), Padded(150));
    let (few, many) = (tables(&narrow), tables(&wide));
    for query in QUERIES {
        let ask = |shape: &Padded, tables| {
            let query = format!(
                "{query} | extend Row = tostring(pack_all()) | project Row | order by Row asc"
            );
            match run(&query, shape, tables) {
                Ok(result) => encode::json(&result),
                Err(error) => panic!("{query}: {}", describe(&error)),
            }
        };
        let expected = ask(&narrow, &few);
        assert_ne!(expected, "[]", "{query}");
        assert_eq!(ask(&wide, &many), expected, "{query}");
    }
}

/// All columns, in the order of the tables.
#[test]
fn all_columns_are_given() {
    let wide = Padded(150);
    let result = run(
        "union P1, P2, P3 | where s has 'x' | where k > 2",
        &wide,
        &tables(&wide),
    );
    let result = result.expect("a result");
    let names: Vec<&str> = result.columns.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        (names.len(), names[2], names[153], names[304]),
        (455, "a", "b", "c")
    );
    assert!(result.rows() > 5);
}
