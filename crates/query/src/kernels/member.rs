//! The set operators: `in`, `has_any`, `has_all` and their kin. Never null.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;
use kql::resolved::MemberOp;
use rows::terms::{Needle, fold};

use super::args::{Arg, Call, Cell};
use super::text::shown;
use super::{convert, operators};
use crate::json::Json;

/// A set whose elements are known before the query runs.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// For `in`: canonical texts (folded for `in~`).
    Texts(Arc<HashSet<String>>),
    /// For `has_any` and `has_all`.
    Needles(Arc<Vec<Needle>>),
}

impl Known {
    pub(crate) fn new(op: MemberOp, elements: impl Iterator<Item = String>) -> Self {
        match op {
            MemberOp::HasAny | MemberOp::HasAll => Self::Needles(Arc::new(
                elements.map(|text| Needle::new(&text, true)).collect(),
            )),
            MemberOp::InCi | MemberOp::NotInCi => {
                Self::Texts(Arc::new(elements.map(|text| fold(&text)).collect()))
            }
            MemberOp::In | MemberOp::NotIn => Self::Texts(Arc::new(elements.collect())),
        }
    }
}

fn negated(op: MemberOp) -> bool {
    matches!(op, MemberOp::NotIn | MemberOp::NotInCi)
}

fn folded(op: MemberOp) -> bool {
    matches!(op, MemberOp::InCi | MemberOp::NotInCi)
}

/// The text under which a value stands in a known set; null is in none.
pub(crate) fn canonical(cell: Cell<'_>) -> Option<String> {
    let mut out = String::new();
    match cell {
        Cell::Null => return None,
        Cell::Dynamic(text) => Json::of_column(text).display(&mut out),
        other => convert::display(other, &mut out),
    }
    Some(out)
}

/// Against a known set: argument 0 is the value.
pub(crate) fn known(op: MemberOp, known: &Known, call: &Call<'_>) -> Result<ArrayRef> {
    let value = call.arg(0)?;
    call.bools(|row| {
        Some(match known {
            Known::Needles(needles) => {
                let text = shown(value, row);
                if op == MemberOp::HasAll {
                    needles.iter().all(|needle| needle.is_in(&text))
                } else {
                    needles.iter().any(|needle| needle.is_in(&text))
                }
            }
            Known::Texts(texts) => {
                let found = match value.cell(row) {
                    Cell::Text(text) if !folded(op) => texts.contains(text),
                    Cell::Text(text) => texts.contains(&fold(text)),
                    other => canonical(other).is_some_and(|text| {
                        texts.contains(&if folded(op) { fold(&text) } else { text })
                    }),
                };
                found != negated(op)
            }
        })
    })
}

/// Against expressions (arguments 1 …), or one array (argument 1).
pub(crate) fn computed(op: MemberOp, array: bool, call: &Call<'_>) -> Result<ArrayRef> {
    let value = call.arg(0)?;
    let rest = call.args.get(1..).unwrap_or_default();
    call.bools(|row| {
        let elements = elements(rest, array, row);
        Some(match op {
            MemberOp::HasAny | MemberOp::HasAll => {
                let text = shown(value, row);
                let mut tests = elements.iter().map(|element| {
                    let mut needle = String::new();
                    element.display(&mut needle);
                    Needle::new(&needle, true).is_in(&text)
                });
                if op == MemberOp::HasAll {
                    tests.all(|t| t)
                } else {
                    tests.any(|t| t)
                }
            }
            _ => {
                let found = value.json(row).is_some_and(|value| {
                    elements.iter().any(|element| equals(op, &value, element))
                });
                found != negated(op)
            }
        })
    })
}

fn elements(rest: &[Arg], array: bool, row: usize) -> Vec<Json> {
    rest.iter()
        .flat_map(|arg| match arg.json(row) {
            Some(Json::Array(items)) if array => items,
            Some(value) => vec![value],
            None => Vec::new(),
        })
        .collect()
}

fn equals(op: MemberOp, value: &Json, element: &Json) -> bool {
    if *value == *element
        || operators::order_json(value, element) == Some(std::cmp::Ordering::Equal)
    {
        return true;
    }
    match (value, element) {
        (Json::Text(a), Json::Text(b)) if folded(op) => fold(a) == fold(b),
        // Elements of an array known only now may be written otherwise than the value.
        (Json::Text(_), Json::Text(_)) => false,
        _ => {
            let (mut a, mut b) = (String::new(), String::new());
            value.display(&mut a);
            element.display(&mut b);
            a == b
        }
    }
}
