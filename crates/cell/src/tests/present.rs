//! Values as an answer shows them, at their limits.

use std::sync::Arc;

use model::{ColumnType, limits};
use rows::arrow::array::{ArrayRef, StringArray};
use rows::{RecordBatch, types};

use crate::{HuntColumn, present};

fn shown(text: &str) -> String {
    let column = HuntColumn {
        name: "d".to_owned(),
        column_type: ColumnType::Dynamic,
    };
    let schema = rows::arrow::datatypes::Schema::new(vec![types::field("d", ColumnType::Dynamic)]);
    let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap();
    present::json_rows(&[column], &[batch])
}

#[test]
fn a_dynamic_that_is_too_deep_is_shown_as_its_text() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let most = limits::HUNT_DYNAMIC_DEPTH_MAX;
    assert_eq!(shown(&nested(most)), format!("[[{}]]", nested(most)));
    let deeper = nested(most + 1);
    assert_eq!(shown(&deeper), format!("[[\"{deeper}\"]]"));
    // Brackets in a string are none, after an escaped quote either.
    let text = format!("{{\"a\\\"\":\"{}\"}}", "[".repeat(3 * most));
    assert_eq!(shown(&text), format!("[[{text}]]"));
}
