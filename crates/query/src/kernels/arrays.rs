//! Functions over arrays and other dynamic values that rearrange them.

use std::collections::HashSet;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::args::{Arg, Call};
use super::convert;
use super::dynamics::sameness;
use crate::json::Json;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::ArrayIff => array_iff(call),
        F::ArrayRotateLeft => rotated(call, |n| n),
        F::ArrayRotateRight => rotated(call, i64::saturating_neg),
        F::ArrayShiftLeft => shifted(call, |n| n),
        F::ArrayShiftRight => shifted(call, i64::saturating_neg),
        F::ArraySplit => {
            let at = call.arg(1)?;
            call.dynamics(|row| split(items(a, row)?, &positions(at, row)?))
        }
        F::JaccardIndex => {
            let b = call.arg(1)?;
            call.reals(|row| jaccard(&items(a, row)?, &items(b, row)?))
        }
        F::SetEquals => {
            let b = call.arg(1)?;
            call.bools(|row| Some(distinct(&items(a, row)?) == distinct(&items(b, row)?)))
        }
        F::Treepath => call.dynamics(|row| {
            let mut paths = Paths::default();
            tree_paths(&a.json(row)?, "", &mut paths);
            Some(Json::Array(paths.order))
        }),
        F::DynamicToJson => call.texts(|row, out| match a.json(row) {
            Some(value) => sorted_keys(value).write(out),
            None => out.push_str("null"),
        }),
        F::EstimateDataSize => call.longs(|row| {
            let sizes = call.args.iter().map(|arg| match arg.json(row) {
                Some(Json::Bool(_)) => 1,
                Some(Json::Long(_) | Json::Real(_)) | None => 8,
                Some(Json::Text(text)) => convert::long_of(text.len()),
                Some(other) => convert::long_of(other.to_text().len()),
            });
            Some(sizes.sum())
        }),
        F::PackPresent => call.dynamics(|row| {
            let mut entries = Vec::new();
            for pair in call.args.chunks(2) {
                if let [key, value] = pair
                    && let Some(value) = value.json(row).filter(|v| !is_empty(v))
                {
                    entries.push((key.text(row).to_owned(), value));
                }
            }
            Some(Json::Bag(entries))
        }),
        other => exec_err!("`{}` does not rearrange arrays", other.as_str()),
    }
}

fn is_empty(value: &Json) -> bool {
    matches!(value, Json::Null) || *value == Json::Text(String::new())
}

pub(super) fn items(arg: &Arg, row: usize) -> Option<Vec<Json>> {
    match arg.json(row)? {
        Json::Array(items) => Some(items),
        _ => None,
    }
}

/// `array_iff`: what is no array stands for each element.
fn array_iff(call: &Call<'_>) -> Result<ArrayRef> {
    let (conditions, then, otherwise) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    call.dynamics(|row| {
        let conditions = items(conditions, row)?;
        let (then, otherwise) = (then.json(row), otherwise.json(row));
        let pick = |side: &Option<Json>, at: usize| match side {
            Some(Json::Array(items)) => items.get(at).cloned().unwrap_or(Json::Null),
            Some(one) => one.clone(),
            None => Json::Null,
        };
        let chosen = conditions.iter().enumerate().map(|(at, condition)| {
            let holds = match condition {
                Json::Bool(b) => Some(*b),
                Json::Long(n) => Some(*n != 0),
                Json::Real(x) => Some(*x != 0.0),
                _ => None,
            };
            match holds {
                Some(true) => pick(&then, at),
                Some(false) => pick(&otherwise, at),
                None => Json::Null,
            }
        });
        Some(Json::Array(chosen.collect()))
    })
}

fn rotated(call: &Call<'_>, left: fn(i64) -> i64) -> Result<ArrayRef> {
    let (array, count) = (call.arg(0)?, call.arg(1)?);
    call.dynamics(|row| {
        let mut items = items(array, row)?;
        let length = convert::long_of(items.len());
        if length > 0 {
            let by = left(count.long(row)?).rem_euclid(length);
            items.rotate_left(usize::try_from(by).ok()?);
        }
        Some(Json::Array(items))
    })
}

fn shifted(call: &Call<'_>, left: fn(i64) -> i64) -> Result<ArrayRef> {
    let (array, count, fill) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    call.dynamics(|row| {
        let items = items(array, row)?;
        let by = left(count.long(row)?);
        let fill = fill.and_then(|f| f.json(row)).unwrap_or(Json::Null);
        let moved = (0_i64..).take(items.len()).map(|at| {
            let from = at.checked_add(by).and_then(|n| usize::try_from(n).ok());
            from.and_then(|n| items.get(n).cloned())
                .unwrap_or_else(|| fill.clone())
        });
        Some(Json::Array(moved.collect()))
    })
}

fn positions(arg: &Arg, row: usize) -> Option<Vec<i64>> {
    match arg.json(row)? {
        Json::Array(items) => items.iter().map(convert::json_to_long).collect(),
        one => Some(vec![convert::json_to_long(&one)?]),
    }
}

fn split(items: Vec<Json>, positions: &[i64]) -> Option<Json> {
    let length = convert::long_of(items.len());
    let mut parts = Vec::new();
    let mut from = 0;
    for position in positions.iter().copied().chain([length]) {
        let to = if position < 0 {
            position + length
        } else {
            position
        };
        let to = to.clamp(from, length);
        let part = items
            .get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
            .unwrap_or_default();
        parts.push(Json::Array(part.to_vec()));
        from = to;
    }
    Some(Json::Array(parts))
}

fn distinct(items: &[Json]) -> HashSet<String> {
    items.iter().map(sameness).collect()
}

fn jaccard(a: &[Json], b: &[Json]) -> Option<f64> {
    let (a, b) = (distinct(a), distinct(b));
    let both = a.intersection(&b).count();
    let either = a.len() + b.len() - both;
    let real = |n: usize| convert::real_of_long(convert::long_of(n));
    (either > 0).then(|| real(both) / real(either))
}

/// The paths to what is in a value, each once: all elements of an array share one.
fn tree_paths(value: &Json, prefix: &str, found: &mut Paths) {
    match value {
        Json::Bag(entries) => {
            for (key, inner) in entries {
                let path = format!("{prefix}['{key}']");
                found.add(&path);
                tree_paths(inner, &path, found);
            }
        }
        Json::Array(items) => {
            let path = format!("{prefix}[0]");
            for inner in items {
                found.add(&path);
                tree_paths(inner, &path, found);
            }
        }
        _ => {}
    }
}

/// Paths in the order in which they were first met.
#[derive(Default)]
struct Paths {
    known: HashSet<String>,
    order: Vec<Json>,
}

impl Paths {
    fn add(&mut self, path: &str) {
        if !self.known.contains(path) {
            self.known.insert(path.to_owned());
            self.order.push(Json::Text(path.to_owned()));
        }
    }
}

fn sorted_keys(value: Json) -> Json {
    match value {
        Json::Bag(mut entries) => {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            let entries = entries.into_iter().map(|(k, v)| (k, sorted_keys(v)));
            Json::Bag(entries.collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted_keys).collect()),
        other => other,
    }
}
