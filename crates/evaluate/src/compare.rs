//! Equal to the cell: rows of JSON values against the recorded ones.
//!
//! Rows are compared in order where the query fixes it, else as a multiset; reals to one part in
//! 10⁹. The elements of a set have no order of their own, so the arrays of queries that make sets
//! are compared as multisets.

use serde_json::Value;

/// How the answer of one query is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The rows are in order.
    pub(crate) ordered: bool,
    /// Arrays may be sets.
    pub(crate) sets: bool,
}

const RELATIVE: f64 = 1e-9;

/// Why two answers differ.
pub(crate) fn rows(actual: &[Value], expected: &[Value], rules: Rules) -> Result<(), String> {
    if actual.len() != expected.len() {
        let (a, e) = (actual.len(), expected.len());
        return Err(format!("{a} rows instead of {e}: {}", show(actual)));
    }
    if rules.ordered {
        let all = actual.iter().zip(expected);
        return match all.enumerate().find(|(_, (a, e))| !same(a, e, rules)) {
            None => Ok(()),
            Some((at, (a, e))) => Err(format!("row {at} is {a} instead of {e}")),
        };
    }
    let mut left: Vec<&Value> = expected.iter().collect();
    for row in actual {
        let Some(at) = left.iter().position(|e| same(row, e, rules)) else {
            let wanted = left.first().map(ToString::to_string).unwrap_or_default();
            return Err(format!("row {row} is not expected, for example {wanted}"));
        };
        left.swap_remove(at);
    }
    Ok(())
}

fn show(rows: &[Value]) -> String {
    let shown: Vec<String> = rows.iter().take(4).map(ToString::to_string).collect();
    shown.join(" ")
}

fn same(a: &Value, b: &Value, rules: Rules) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || near(x.as_f64(), y.as_f64()),
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len()
                && (x.iter().zip(y).all(|(x, y)| same(x, y, rules))
                    || (rules.sets && same_set(x, y, rules)))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(key, v)| y.get(key).is_some_and(|w| same(v, w, rules)))
        }
        // Decimals are text, with or without zeros at the end.
        (Value::String(x), Value::Number(y)) | (Value::Number(y), Value::String(x)) => {
            near(x.parse().ok(), y.as_f64())
        }
        _ => a == b,
    }
}

fn near(x: Option<f64>, y: Option<f64>) -> bool {
    match (x, y) {
        (Some(x), Some(y)) => (x - y).abs() <= RELATIVE * x.abs().max(y.abs()),
        _ => false,
    }
}

fn same_set(x: &[Value], y: &[Value], rules: Rules) -> bool {
    let mut left: Vec<&Value> = y.iter().collect();
    x.iter().all(
        |item| match left.iter().position(|o| same(item, o, rules)) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        },
    )
}
