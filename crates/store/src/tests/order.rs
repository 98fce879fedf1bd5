//! Tests of the order in which rows are written, and of what is learnt about columns on the way.

use std::sync::Arc;

use rows::RecordBatch;
use rows::arrow::array::{ArrayRef, Int64Array, StringArray};

use super::kit::table;
use crate::order::Ordered;

/// Rows of one column of every kind that matters, `rows` of them.
fn batch(rows: i64) -> RecordBatch {
    let text = |of: &dyn Fn(i64) -> Option<String>| -> ArrayRef {
        Arc::new((0..rows).map(of).collect::<StringArray>())
    };
    RecordBatch::try_from_iter_with_nullable([
        (
            "Timestamp",
            Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef,
            true,
        ),
        ("Always", text(&|_| Some("same".to_owned())), true),
        ("Never", text(&|_| None), true),
        ("Varied", text(&|n| Some(format!("value {n}"))), true),
        (
            "Half",
            text(&|n| (n % 2 == 0).then(|| "same".to_owned())),
            true,
        ),
    ])
    .unwrap()
}

#[test]
fn only_text_that_differs_between_rows_goes_without_statistics() {
    let ordered = Ordered::new(&table("Raw_CL"), &[batch(1_001), batch(7)]).unwrap();
    assert_eq!(ordered.varied_text(), ["Varied", "Half"]);
    let one = Ordered::new(&table("Raw_CL"), &[batch(1)]).unwrap();
    assert!(one.varied_text().is_empty());
}
