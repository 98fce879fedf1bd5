//! What queries give: columns, types and rows, or why not. One line of JSON each.

use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use crate::engine::{self, Bench, rows_of};

/// Prints the answer to every query of a file of lines with `id` and `query`.
#[expect(clippy::print_stdout, reason = "that is what it is asked for")]
pub(crate) fn print(queries: &Path) -> Result<(), Failure> {
    let lines = crate::lines_of(queries)?;
    let answers = engine::each(&lines, answer);
    for (answer, _) in answers {
        println!("{answer}");
    }
    Ok(())
}

fn answer(bench: &Bench, line: &Value) -> Value {
    let id = line.get("id").cloned().unwrap_or_default();
    let query = line
        .get("query")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let prepared = bench.prepare(query, model::Schema::hunting());
    if prepared.resolved.is_none() {
        return json!({"id": id, "error": engine::first_finding(&prepared)});
    }
    match bench.run(&prepared) {
        Ok(result) => {
            let columns = result
                .columns
                .iter()
                .map(|(name, ty)| json!([&**name, ty.as_str()]));
            let columns: Vec<Value> = columns.collect();
            json!({"id": id, "columns": columns, "rows": rows_of(&result)})
        }
        Err(why) => json!({"id": id, "error": why}),
    }
}
