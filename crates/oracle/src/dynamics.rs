//! Functions of arrays and bags.
//!
//! Of what is no array (no bag) where one is wanted they give null, or refuse where nothing says so.

use kql::functions::ScalarFn;
use kql::resolved::Value;
use model::ColumnType;

use crate::Unsupported;
use crate::json::Json;
use crate::scalars::text;
use crate::values::is_null;

type Answer = Result<Value, Unsupported>;

/// The value of a function of arrays and bags; nothing if it is none of them.
pub(crate) fn of_dynamics(
    function: ScalarFn,
    args: &[Value],
) -> Result<Option<Value>, Unsupported> {
    Ok(Some(match (function, args) {
        (ScalarFn::ArrayLength, [a]) => match Json::of(a)? {
            Json::Array(elements) => Value::Long(whole(elements.len())),
            _ => Value::Null(ColumnType::Long),
        },
        (ScalarFn::PackArray, _) => {
            let elements = args.iter().map(Json::of).collect::<Result<_, _>>()?;
            Json::Array(elements).value()
        }
        (ScalarFn::BagPack, _) => {
            let mut entries = Vec::new();
            for pair in args.chunks(2) {
                let [key, value] = pair else {
                    return Err(Unsupported::new(function));
                };
                entries.push((text(key), Json::of(value)?));
            }
            merged([Json::Bag(entries)])?.value()
        }
        (ScalarFn::ParseJson, [Value::String(text)]) => match Json::parse(text) {
            Some(json) => json.value(),
            // A text that is no JSON is itself.
            None if text.is_empty() => Value::Null(ColumnType::Dynamic),
            None => Json::Text(text.to_string()).value(),
        },
        (ScalarFn::ParseJson, [a]) => a.clone(),
        (ScalarFn::Gettype, [a]) => Value::String(kind(a)?.into()),
        (ScalarFn::ArrayConcat, _) => {
            let mut all = Vec::new();
            for arg in args {
                all.extend(elements(arg)?);
            }
            Json::Array(all).value()
        }
        // Both ends included; it does not know steps that lead nowhere.
        (ScalarFn::RangeArray, [Value::Long(from), Value::Long(to), Value::Long(step)])
            if *step > 0 && to.saturating_sub(*from) < 1_000 =>
        {
            let (mut all, mut at) = (Vec::new(), *from);
            while at <= *to {
                all.push(Json::Long(at));
                at += step;
            }
            Json::Array(all).value()
        }
        (ScalarFn::RangeArray, [from, to, step]) if [from, to, step].iter().any(|v| is_null(v)) => {
            Value::Null(ColumnType::Dynamic)
        }
        (ScalarFn::ArrayReverse, [a]) => {
            Json::Array(elements(a)?.into_iter().rev().collect()).value()
        }
        (ScalarFn::ArraySlice, [a, Value::Long(from), Value::Long(to)]) => slice(a, *from, *to)?,
        (ScalarFn::ArrayIndexOf, [a, sought]) => {
            let sought = Json::of(sought)?;
            let found = elements(a)?.iter().position(|one| *one == sought);
            Value::Long(found.map_or(-1, whole))
        }
        (ScalarFn::SetHasElement, [a, sought]) => {
            Value::Bool(elements(a)?.contains(&Json::of(sought)?))
        }
        (ScalarFn::SetUnion | ScalarFn::SetIntersect | ScalarFn::SetDifference, [a, b]) => {
            set(function, elements(a)?, &elements(b)?).value()
        }
        (ScalarFn::BagKeys, [a]) => match Json::of(a)? {
            Json::Bag(entries) => Json::Array(
                entries
                    .into_iter()
                    .map(|(key, _)| Json::Text(key))
                    .collect(),
            )
            .value(),
            _ => Value::Null(ColumnType::Dynamic),
        },
        (ScalarFn::BagHasKey, [a, key]) => match Json::of(a)? {
            Json::Bag(entries) => Value::Bool(entries.iter().any(|(known, _)| *known == text(key))),
            _ => return Err(Unsupported::new(function)),
        },
        (ScalarFn::BagMerge, _) => {
            let bags: Vec<Json> = args.iter().map(Json::of).collect::<Result<_, _>>()?;
            merged(bags)?.value()
        }
        (ScalarFn::ArraySortAsc | ScalarFn::ArraySortDesc, [a]) => {
            sorted(a, function == ScalarFn::ArraySortDesc)?
        }
        (ScalarFn::ArraySum, [a]) => array_sum(a)?,
        (ScalarFn::StrcatArray, [a, delimiter]) => {
            let all: Vec<String> = elements(a)?.iter().map(plain).collect();
            Value::String(all.join(&text(delimiter)).into())
        }
        _ => return Ok(None),
    }))
}

/// The text of a value: a text without its quotes, of nothing the empty one.
pub(crate) fn plain(json: &Json) -> String {
    match json {
        Json::Null => String::new(),
        Json::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Bags in one; of two values under one key the first stays.
pub(crate) fn merged(bags: impl IntoIterator<Item = Json>) -> Result<Json, Unsupported> {
    let mut merged: Vec<(String, Json)> = Vec::new();
    for bag in bags {
        match bag {
            Json::Bag(entries) => {
                for (key, value) in entries {
                    if merged.iter().all(|(known, _)| *known != key) {
                        merged.push((key, value));
                    }
                }
            }
            Json::Null => {}
            other => return Err(Unsupported::new(other)),
        }
    }
    Ok(Json::Bag(merged))
}

fn elements(value: &Value) -> Result<Vec<Json>, Unsupported> {
    match Json::of(value)? {
        Json::Array(elements) => Ok(elements),
        other => Err(Unsupported::new(("no array", other))),
    }
}

fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn kind(value: &Value) -> Result<&'static str, Unsupported> {
    if value.ty() != ColumnType::Dynamic {
        return Err(Unsupported::new(value.ty()));
    }
    Ok(match Json::of(value)? {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Long(_) => "long",
        Json::Real(_) => "double",
        Json::Text(_) => "string",
        Json::Array(_) => "array",
        Json::Bag(_) => "dictionary",
    })
}

/// Both ends included; negative ones count from the end.
fn slice(value: &Value, from: i64, to: i64) -> Answer {
    let all = elements(value)?;
    let at = |n: i64| if n < 0 { n + whole(all.len()) } else { n };
    let (from, to) = (at(from), at(to));
    let inside = |n: usize| (from..=to).contains(&whole(n));
    let kept = all.iter().enumerate().filter(|(n, _)| inside(*n));
    Ok(Json::Array(kept.map(|(_, one)| one.clone()).collect()).value())
}

/// Each element once, in the order it is met.
pub(crate) fn once(all: impl IntoIterator<Item = Json>) -> Json {
    let mut kept = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    Json::Array(kept)
}

fn set(function: ScalarFn, a: Vec<Json>, b: &[Json]) -> Json {
    match function {
        ScalarFn::SetUnion => once(a.into_iter().chain(b.iter().cloned())),
        ScalarFn::SetIntersect => once(a.into_iter().filter(|one| b.contains(one))),
        _ => once(a.into_iter().filter(|one| !b.contains(one))),
    }
}

/// Numbers by size, texts by code points, nulls last. Of several kinds it does not know.
fn sorted(value: &Value, descending: bool) -> Answer {
    let all = elements(value)?;
    let (nulls, mut rest): (Vec<Json>, Vec<Json>) = all.into_iter().partition(|v| *v == Json::Null);
    let longs = rest.iter().all(|v| matches!(v, Json::Long(_)));
    let texts = rest.iter().all(|v| matches!(v, Json::Text(_)));
    if !longs && !texts {
        return Err(Unsupported::new("an array of several kinds, in order"));
    }
    rest.sort_by(|a, b| {
        let order = match (a, b) {
            (Json::Long(a), Json::Long(b)) => a.cmp(b),
            (Json::Text(a), Json::Text(b)) => a.chars().cmp(b.chars()),
            _ => std::cmp::Ordering::Equal,
        };
        if descending { order.reverse() } else { order }
    });
    rest.extend(nulls);
    Ok(Json::Array(rest).value())
}

/// Nulls do not count; null if an element is no number.
fn array_sum(value: &Value) -> Answer {
    let mut sum = 0.0;
    for one in elements(value)? {
        sum += match one {
            Json::Null => 0.0,
            #[expect(clippy::cast_precision_loss, reason = "the sum is a real")]
            Json::Long(n) => n as f64,
            Json::Real(x) => x,
            _ => return Ok(Value::Null(ColumnType::Real)),
        };
    }
    Ok(Value::Real(sum))
}
