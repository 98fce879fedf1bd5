//! Functions over dynamic values, and the paths into them.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder, StructArray};
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use model::ColumnType;

use super::args::{Arg, Call, Cell};
use super::text::REPEAT_MAX;
use super::{convert, operators};
use crate::json::{self, Json, Step};
use crate::jsonscan;

/// Elements that `range()` makes at most.
const RANGE_MAX: usize = 1_048_576;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    match function {
        F::ParseJson => parse_json(call),
        F::PackArray => call.dynamics(|row| {
            Some(Json::Array(
                call.args
                    .iter()
                    .map(|arg| arg.json(row).unwrap_or(Json::Null))
                    .collect(),
            ))
        }),
        F::BagPack => call.dynamics(|row| Some(bag_pack(call.args, row))),
        F::BagMerge => call.dynamics(|row| Some(bag_merge(call.args, row))),
        F::Gettype => gettype(call),
        F::ArrayConcat => call.dynamics(|row| {
            let mut all = Vec::new();
            for arg in call.args {
                match arg.json(row) {
                    Some(Json::Array(items)) => all.extend(items),
                    None => {}
                    Some(other) => all.push(other),
                }
            }
            Some(Json::Array(all))
        }),
        F::SetUnion | F::SetIntersect | F::SetDifference => sets(function, call),
        F::Zip => zip(call),
        F::Repeat => repeat(call),
        F::RangeArray => range(call),
        F::BagZip | F::BagKeys | F::BagHasKey | F::BagRemoveKeys | F::BagSetKey => {
            bags(function, call)
        }
        _ => arrays(function, call),
    }
}

fn parse_json(call: &Call<'_>) -> Result<ArrayRef> {
    let text = call.arg(0)?;
    if text.ty() == ColumnType::Dynamic {
        // A string inside a dynamic is read as JSON; anything else is what it is.
        let is_text = |raw: &str| raw.trim_start().starts_with('"');
        if let Some(column) = text.text_column()
            && !column.iter().flatten().any(is_text)
        {
            return Ok(Arc::new(column.clone()));
        }
        return call.texts_or_null(|row, out| {
            let raw = text.text_or_null(row)?;
            if is_text(raw) {
                match Json::of_column(raw) {
                    Json::Text(inner) => Json::of_text(&inner)?.write(out),
                    other => other.write(out),
                }
            } else {
                out.push_str(raw);
            }
            Some(())
        });
    }
    call.texts_or_null(|row, out| {
        let text = text.text(row).trim();
        if text.is_empty() || text == "null" {
            return None;
        }
        let is_json =
            jsonscan::is_json(text) || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if is_json {
            out.push_str(&json::without_lone_surrogates(text));
        } else {
            json::write_text(text, out);
        }
        Some(())
    })
}

/// The path kernel: argument 0 is the base. A base that is a string is read as JSON on the way.
pub(crate) fn path(call: &Call<'_>, steps: &[Step]) -> Result<ArrayRef> {
    let base = call.arg(0)?;
    call.texts_or_null(|row, out| {
        out.push_str(json::raw_at(base.text_or_null(row)?, steps)?);
        Some(())
    })
}

/// Several chains of steps into one value, found in one walk: a struct with a field per chain.
pub(crate) fn paths(call: &Call<'_>, tree: &json::Branch, count: usize) -> Result<ArrayRef> {
    let base = call.arg(0)?;
    let mut columns: Vec<StringBuilder> = (0..count).map(|_| StringBuilder::new()).collect();
    let mut found = vec![None; count];
    for row in 0..call.rows {
        call.guard.check()?;
        match base.text_or_null(row) {
            Some(text) => json::raw_at_all(text, tree, &mut found),
            None => found.fill(None),
        }
        for (column, value) in columns.iter_mut().zip(&found) {
            column.append_option(*value);
        }
    }
    let fields = crate::aggregates::struct_fields(&vec![ColumnType::Dynamic; count]);
    let arrays = columns
        .into_iter()
        .map(|mut c| Arc::new(c.finish()) as ArrayRef)
        .collect();
    Ok(Arc::new(StructArray::try_new(fields, arrays, None)?))
}

/// Access with a key known only at run time: argument 1, a string or a long.
pub(crate) fn computed_path(call: &Call<'_>) -> Result<ArrayRef> {
    let (base, key) = (call.arg(0)?, call.arg(1)?);
    call.texts_or_null(|row, out| {
        let step = match key.cell(row) {
            Cell::Long(at) => Step::Index(at),
            Cell::Text(name) => Step::Property(name.to_owned()),
            Cell::Dynamic(text) => match Json::of_column(text) {
                Json::Long(at) => Step::Index(at),
                Json::Text(name) => Step::Property(name),
                _ => return None,
            },
            _ => return None,
        };
        out.push_str(json::raw_at(base.text_or_null(row)?, &[step])?);
        Some(())
    })
}

/// `extract_json`: the steps of a JSON path such as `$.a[0]["b c"]`.
pub(crate) fn json_path(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, tail) = after.split_at_checked(end)?;
            steps.push(Step::Property(name.to_owned()));
            rest = tail;
        } else {
            let (inside, tail) = rest.strip_prefix('[')?.split_once(']')?;
            let name = inside.trim();
            steps.push(match name.parse() {
                Ok(at) => Step::Index(at),
                Err(_) => Step::Property(name.trim_matches(['"', '\'']).to_owned()),
            });
            rest = tail;
        }
    }
    Some(steps)
}

pub(crate) fn extract_json(call: &Call<'_>) -> Result<ArrayRef> {
    let (path, text) = (call.arg(0)?, call.arg(1)?);
    let constant = path.is_constant().then(|| json_path(path.text(0)));
    call.converted(|row| {
        let steps = match &constant {
            Some(steps) => steps.clone(),
            None => json_path(path.text(row)),
        }?;
        json::raw_at(text.text(row), &steps).map(Json::of_column)
    })
}

fn bag_pack(args: &[Arg], row: usize) -> Json {
    let mut entries: Vec<(String, Json)> = Vec::new();
    for pair in args.chunks(2) {
        if let [key, value] = pair {
            let mut name = String::new();
            convert::display(key.cell(row), &mut name);
            let value = value.json(row).unwrap_or(Json::Null);
            set_key(&mut entries, name, value);
        }
    }
    Json::Bag(entries)
}

/// Sets what a path says, making the bags on the way.
fn set_at(entries: &mut Vec<(String, Json)>, steps: &[Step], value: Json) {
    match steps {
        [Step::Property(name)] => {
            // A key that is set anew goes to the end.
            entries.retain(|(k, _)| k != name);
            entries.push((name.clone(), value));
        }
        [Step::Property(name), rest @ ..] => {
            let at = entries
                .iter()
                .position(|(k, v)| k == name && v.as_bag().is_some());
            let mut inner = match at {
                Some(at) => match entries.get(at) {
                    Some((_, Json::Bag(inner))) => inner.clone(),
                    _ => Vec::new(),
                },
                None => Vec::new(),
            };
            set_at(&mut inner, rest, value);
            set_key(entries, name.clone(), Json::Bag(inner));
        }
        _ => {}
    }
}

fn set_key(entries: &mut Vec<(String, Json)>, key: String, value: Json) {
    match entries.iter_mut().find(|(k, _)| *k == key) {
        Some(entry) => entry.1 = value,
        None => entries.push((key, value)),
    }
}

/// The first bag that has a key gives its value.
fn bag_merge(args: &[Arg], row: usize) -> Json {
    let mut entries: Vec<(String, Json)> = Vec::new();
    for arg in args {
        if let Some(Json::Bag(more)) = arg.json(row) {
            for (key, value) in more {
                if !entries.iter().any(|(k, _)| *k == key) {
                    entries.push((key, value));
                }
            }
        }
    }
    Json::Bag(entries)
}

fn bags(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let bag = call.arg(0)?;
    match function {
        F::BagKeys => bag_keys(call, bag),
        F::BagHasKey => {
            let key = call.arg(1)?;
            call.bools(|row| {
                let value = bag.json(row)?;
                value.as_bag()?;
                let steps = match key.text(row) {
                    path if path.starts_with('$') => json_path(path)?,
                    name => vec![Step::Property(name.to_owned())],
                };
                Some(json::raw_at(&value.to_text(), &steps).is_some())
            })
        }
        F::BagRemoveKeys => {
            let keys = call.arg(1)?;
            call.dynamics(|row| {
                let keys = keys.json(row)?;
                let Json::Bag(mut entries) = bag.json(row)? else {
                    return None;
                };
                for key in keys.as_array()? {
                    let Json::Text(name) = key else { continue };
                    match json_path(name) {
                        Some(steps) => remove_at(&mut entries, &steps),
                        None => entries.retain(|(k, _)| k != name),
                    }
                }
                Some(Json::Bag(entries))
            })
        }
        F::BagSetKey => {
            let (key, value) = (call.arg(1)?, call.arg(2)?);
            call.dynamics(|row| {
                let Json::Bag(mut entries) = bag.json(row)? else {
                    return None;
                };
                let value = value.json(row).unwrap_or(Json::Null);
                match json_path(key.text(row)) {
                    Some(steps) => set_at(&mut entries, &steps, value),
                    None => set_key(&mut entries, key.text(row).to_owned(), value),
                }
                Some(Json::Bag(entries))
            })
        }
        _ => {
            let values = call.arg(1)?;
            call.dynamics(|row| {
                let keys = bag.json(row)?;
                let values = values.json(row);
                let values = values.as_ref().and_then(Json::as_array).unwrap_or_default();
                let mut entries = Vec::new();
                let missing = std::iter::repeat(&Json::Null);
                for (key, value) in keys.as_array()?.iter().zip(values.iter().chain(missing)) {
                    if let Json::Text(name) = key {
                        set_key(&mut entries, name.clone(), value.clone());
                    }
                }
                Some(Json::Bag(entries))
            })
        }
    }
}

fn bag_keys(call: &Call<'_>, bag: &Arg) -> Result<ArrayRef> {
    let mut found = Vec::new();
    call.texts_or_null(|row, out| {
        if bag.ty() == ColumnType::Dynamic
            && jsonscan::keys(bag.text_or_null(row)?, &mut found).is_some()
        {
            out.push('[');
            for (at, key) in found.iter().enumerate() {
                out.push_str(if at > 0 { ",\"" } else { "\"" });
                out.push_str(key);
                out.push('"');
            }
            out.push(']');
            return Some(());
        }
        let value = bag.json(row)?;
        let keys = value.as_bag()?.iter();
        let keys = keys.map(|(key, _)| Json::Text(key.clone()));
        Json::Array(keys.collect()).write(out);
        Some(())
    })
}

fn remove_at(entries: &mut Vec<(String, Json)>, steps: &[Step]) {
    match steps {
        [Step::Property(name)] => entries.retain(|(k, _)| k != name),
        [Step::Property(name), rest @ ..] => {
            if let Some((_, Json::Bag(inner))) = entries.iter_mut().find(|(k, _)| k == name) {
                remove_at(inner, rest);
            }
        }
        _ => {}
    }
}

fn arrays(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let array = call.arg(0)?;
    let items = |row: usize| match array.json(row)? {
        Json::Array(items) => Some(items),
        _ => None,
    };
    match function {
        F::ArrayLength => call.longs(|row| items(row).map(|items| convert::long_of(items.len()))),
        F::ArrayReverse => call.dynamics(|row| {
            let mut items = items(row)?;
            items.reverse();
            Some(Json::Array(items))
        }),
        F::ArraySum => call.reals(|row| {
            let items = items(row)?;
            let mut known = items.iter().filter(|item| **item != Json::Null);
            known.try_fold(0.0, |sum, item| match item {
                Json::Long(_) | Json::Real(_) => Some(sum + convert::json_to_real(item)?),
                _ => None,
            })
        }),
        F::ArraySlice => {
            let (start, end) = (call.arg(1)?, call.arg(2)?);
            call.dynamics(|row| {
                Some(Json::Array(slice(
                    items(row)?,
                    start.long(row)?,
                    end.long(row)?,
                )))
            })
        }
        F::ArraySortAsc => sorted_arrays(call, false),
        F::ArraySortDesc => sorted_arrays(call, true),
        F::SetHasElement => {
            let value = call.arg(1)?;
            call.bools(|row| {
                let value = value.json(row).unwrap_or(Json::Null);
                Some(items(row)?.iter().any(|item| same(item, &value)))
            })
        }
        F::ArrayIndexOf => {
            let value = call.arg(1)?;
            call.longs(|row| {
                let value = value.json(row).unwrap_or(Json::Null);
                index_of(call, &items(row)?, &value, row)
            })
        }
        other => exec_err!("`{}` is not a function over arrays", other.as_str()),
    }
}

/// A text that two values share if they are the [`same`].
pub(crate) fn sameness(value: &Json) -> String {
    match value {
        Json::Long(n) => n.to_string(),
        Json::Real(x) => (if *x == 0.0 { 0.0 } else { *x }).to_string(),
        other => other.to_text(),
    }
}

/// Equal values; an integer equals the real of the same size.
pub(crate) fn same(a: &Json, b: &Json) -> bool {
    a == b || operators::order_json(a, b) == Some(Ordering::Equal)
}

fn index_of(call: &Call<'_>, items: &[Json], value: &Json, row: usize) -> Option<i64> {
    let total = convert::long_of(items.len());
    let start = call.optional(2).map_or(Some(0), |arg| arg.long(row))?;
    let start = if start < 0 {
        (total + start).max(0)
    } else {
        start
    };
    let length = call.optional(3).map_or(Some(-1), |arg| arg.long(row))?;
    if length < -1 {
        return None;
    }
    let end = if length < 0 {
        total
    } else {
        start.saturating_add(length).min(total)
    };
    let nth = call.optional(4).map_or(Some(1), |arg| arg.long(row))?;
    let found = (0_i64..)
        .zip(items)
        .filter(|(at, item)| (start..end).contains(at) && same(item, value))
        .nth(usize::try_from(nth.checked_sub(1)?).ok()?);
    Some(found.map_or(-1, |(at, _)| at))
}

fn slice(items: Vec<Json>, start: i64, end: i64) -> Vec<Json> {
    let total = convert::long_of(items.len());
    let from_end = |at: i64| if at < 0 { total + at } else { at };
    let (start, end) = (from_end(start).max(0), from_end(end));
    (0_i64..)
        .zip(items)
        .filter(|(at, _)| (start..=end).contains(at))
        .map(|(_, item)| item)
        .collect()
}

/// The first array in order; the others, if any, in the order of the first, and null for one of
/// another length.
fn sorted_arrays(call: &Call<'_>, descending: bool) -> Result<ArrayRef> {
    let first = call.arg(0)?;
    let rest = call.args.get(1..).unwrap_or_default();
    // A condition at the end says whether nulls are last.
    let (nulls_last, others) = match rest.split_last() {
        Some((last, others)) if last.ty() == ColumnType::Bool => (Some(last), others),
        _ => (None, rest),
    };
    call.dynamics(|row| {
        let Json::Array(items) = first.json(row)? else {
            return None;
        };
        let order = Sorting {
            descending,
            nulls_first: nulls_last.is_some_and(|arg| arg.json(row) == Some(Json::Bool(false))),
        };
        let mut places: Vec<(usize, &Json)> = items.iter().enumerate().collect();
        places.sort_by(|(_, a), (_, b)| order.compare(a, b));
        let moved = |array: &[Json]| {
            let moved = places.iter().filter_map(|(at, _)| array.get(*at).cloned());
            Json::Array(moved.collect())
        };
        if others.is_empty() {
            return Some(moved(&items));
        }
        let others = others.iter().map(|arg| match arg.json(row) {
            Some(Json::Array(more)) if more.len() == items.len() => moved(&more),
            _ => Json::Null,
        });
        let all = std::iter::once(moved(&items)).chain(others);
        Some(Json::Array(all.collect()))
    })
}

/// How elements of an array are sorted: by what they are, numbers before texts before the rest, and
/// among their like by size.
struct Sorting {
    descending: bool,
    nulls_first: bool,
}

impl Sorting {
    fn compare(&self, a: &Json, b: &Json) -> Ordering {
        let rank = |value: &Json| match value {
            Json::Null if self.nulls_first => 0,
            Json::Long(_) | Json::Real(_) => 1,
            Json::Text(_) => 2,
            Json::Bool(_) | Json::Array(_) | Json::Bag(_) => 3,
            Json::Null => 4,
        };
        rank(a).cmp(&rank(b)).then_with(|| {
            let order = by_size(a, b);
            if self.descending {
                order.reverse()
            } else {
                order
            }
        })
    }
}

/// The order of two values of one kind. A total one even among numbers: a long and a real are
/// compared as reals first, as [`same`] does, and then as longs.
fn by_size(a: &Json, b: &Json) -> Ordering {
    let number = |value: &Json| match value {
        Json::Long(n) => (convert::real_of_long(*n), *n),
        Json::Real(x) => (*x, convert::long_of_real(*x).unwrap_or_default()),
        _ => (0.0, 0),
    };
    match (a, b) {
        (Json::Text(a), Json::Text(b)) => a.cmp(b),
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Long(_) | Json::Real(_), Json::Long(_) | Json::Real(_)) => {
            let ((a, a_long), (b, b_long)) = (number(a), number(b));
            a.total_cmp(&b).then(a_long.cmp(&b_long))
        }
        _ => Ordering::Equal,
    }
}

fn sets(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    call.dynamics(|row| {
        let mut sets = Vec::new();
        for arg in call.args {
            sets.push(match arg.json(row)? {
                Json::Array(items) => items,
                other => vec![other],
            });
        }
        let (first, rest) = sets.split_first()?;
        let text = |item: &Json| call.guard.check().ok().map(|()| item.to_text());
        let texts = |set: &Vec<Json>| set.iter().map(text).collect::<Option<HashSet<_>>>();
        let others: Vec<HashSet<String>> = match function {
            F::SetUnion => Vec::new(),
            _ => rest.iter().map(texts).collect::<Option<_>>()?,
        };
        let is_wanted = |text: &String| match function {
            F::SetUnion => true,
            F::SetIntersect => others.iter().all(|set| set.contains(text)),
            _ => !others.iter().any(|set| set.contains(text)),
        };
        let from = match function {
            F::SetUnion => &sets[..],
            _ => std::slice::from_ref(first),
        };
        let mut seen: Vec<Json> = Vec::new();
        let mut known = HashSet::new();
        for item in from.iter().flatten() {
            let text = text(item)?;
            if is_wanted(&text) && known.insert(text) {
                seen.push(item.clone());
            }
        }
        Some(Json::Array(seen))
    })
}

fn zip(call: &Call<'_>) -> Result<ArrayRef> {
    call.dynamics(|row| {
        let arrays: Vec<Vec<Json>> = call
            .args
            .iter()
            .map(|arg| match arg.json(row) {
                Some(Json::Array(items)) => items,
                Some(other) => vec![other],
                None => Vec::new(),
            })
            .collect();
        let longest = arrays.iter().map(Vec::len).max()?;
        let tuple = |at: usize| {
            Json::Array(
                arrays
                    .iter()
                    .map(|a| a.get(at).cloned().unwrap_or(Json::Null))
                    .collect(),
            )
        };
        Some(Json::Array((0..longest).map(tuple).collect()))
    })
}

fn repeat(call: &Call<'_>) -> Result<ArrayRef> {
    let (value, count) = (call.arg(0)?, call.arg(1)?);
    call.dynamics(|row| {
        let count = usize::try_from(count.long(row)?.clamp(0, REPEAT_MAX)).ok()?;
        let value = value.json(row).unwrap_or(Json::Null);
        Some(Json::Array(vec![value; count]))
    })
}

fn range(call: &Call<'_>) -> Result<ArrayRef> {
    let (start, stop, step) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    let real = [Some(start), Some(stop), step]
        .into_iter()
        .flatten()
        .any(|arg| arg.ty() == ColumnType::Real);
    call.dynamics(|row| {
        let mut items = Vec::new();
        if real {
            let (start, stop) = (start.real(row)?, stop.real(row)?);
            let step = step.map_or(Some(1.0), |arg| arg.real(row))?;
            let mut at = start;
            let mut n = 0.0;
            while items.len() < RANGE_MAX
                && step != 0.0
                && (if step > 0.0 { at <= stop } else { at >= stop })
            {
                items.push(Json::Real(at));
                n += 1.0;
                at = start + n * step;
            }
        } else {
            let ty = start.ty();
            let (mut at, stop) = (start.long(row)?, stop.long(row)?);
            let step = step.map_or(Some(1), |arg| arg.long(row))?;
            while items.len() < RANGE_MAX
                && step != 0
                && (if step > 0 { at <= stop } else { at >= stop })
            {
                items.push(if super::time::is_ticks(ty) {
                    json::of_ticks(at, ty)
                } else {
                    Json::Long(at)
                });
                at = at.checked_add(step)?;
            }
        }
        Some(Json::Array(items))
    })
}

fn gettype(call: &Call<'_>) -> Result<ArrayRef> {
    let value = call.arg(0)?;
    call.texts(|row, out| {
        out.push_str(match (value.ty(), value.json(row)) {
            (ColumnType::Dynamic, None) => "null",
            (ColumnType::Dynamic, Some(inner)) => match inner {
                Json::Null => "null",
                Json::Bool(_) => "bool",
                Json::Long(_) => "long",
                Json::Real(_) => "double",
                Json::Text(_) => "string",
                Json::Array(_) => "array",
                Json::Bag(_) => "dictionary",
            },
            (ty, _) => ty.as_str(),
        });
    })
}
