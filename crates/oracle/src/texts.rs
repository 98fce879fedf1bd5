//! Functions of texts beside the operators that compare them.

use kql::functions::ScalarFn;
use kql::resolved::Value;
use model::ColumnType;

use crate::json::Json;
use crate::scalars::text;

/// The value of a function of texts; nothing if it is none of them, or asks what nothing answers.
pub(crate) fn of_texts(function: ScalarFn, args: &[Value]) -> Option<Value> {
    Some(match (function, args) {
        (ScalarFn::Strcat, _) => string(args.iter().map(text).collect::<Vec<_>>().concat()),
        (ScalarFn::StrcatDelim, [delimiter, rest @ ..]) => string(
            rest.iter()
                .map(text)
                .collect::<Vec<_>>()
                .join(&text(delimiter)),
        ),
        (ScalarFn::Split, [a, delimiter]) => Json::Array(parts(a, delimiter)?).value(),
        (ScalarFn::Split, [a, delimiter, Value::Long(at)]) if *at >= 0 => {
            match Json::Array(parts(a, delimiter)?).element(*at) {
                Json::Null => Json::Array(Vec::new()).value(),
                part => Json::Array(vec![part]).value(),
            }
        }
        (ScalarFn::ReplaceString, [a, needle, by]) if !text(needle).is_empty() => {
            string(text(a).replace(&text(needle), &text(by)))
        }
        (ScalarFn::Countof, [a, needle]) if !text(needle).is_empty() => {
            let (letters, wanted) = (letters(a), letters(needle));
            let places = letters.windows(wanted.len());
            whole(places.filter(|place| *place == wanted.as_slice()).count())
        }
        (ScalarFn::Indexof, [a, needle, rest @ ..]) => indexof(a, needle, rest)?,
        (ScalarFn::Strcmp, [a, b]) => Value::Long(match text(a).chars().cmp(text(b).chars()) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        }),
        (ScalarFn::Strrep, [a, Value::Long(times)]) => {
            string(text(a).repeat(usize::try_from(*times).ok()?))
        }
        (ScalarFn::StringSize, [a]) => whole(text(a).len()),
        _ => return None,
    })
}

fn string(text: String) -> Value {
    Value::String(text.into())
}

fn whole(n: usize) -> Value {
    Value::Long(i64::try_from(n).unwrap_or(i64::MAX))
}

fn letters(value: &Value) -> Vec<char> {
    text(value).chars().collect()
}

fn parts(value: &Value, delimiter: &Value) -> Option<Vec<Json>> {
    let delimiter = text(delimiter);
    let text = text(value);
    let part = |part: &str| Json::Text(part.to_owned());
    (!delimiter.is_empty()).then(|| text.split(delimiter.as_str()).map(part).collect())
}

/// Where to begin, how many places to look at (-1: all), which occurrence. It does not know where to
/// begin before or behind the text, nor of an empty needle.
fn indexof(value: &Value, needle: &Value, rest: &[Value]) -> Option<Value> {
    let (letters, wanted) = (letters(value), letters(needle));
    let number = |at: usize, otherwise: i64| match rest.get(at) {
        None => Some(otherwise),
        Some(Value::Long(n)) => Some(*n),
        Some(_) => None,
    };
    let (start, length, occurrence) = (number(0, 0)?, number(1, -1)?, number(2, 1)?);
    if wanted.is_empty() || occurrence < 1 {
        return None;
    }
    if length < -1 {
        return Some(Value::Null(ColumnType::Long));
    }
    let start = usize::try_from(start)
        .ok()
        .filter(|at| *at <= letters.len())?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let end = start.saturating_add(length).min(letters.len());
    let is_there = |at: &usize| letters.get(*at..at + wanted.len()) == Some(wanted.as_slice());
    let nth = usize::try_from(occurrence - 1).ok()?;
    let found = (start..end).filter(is_there).nth(nth);
    Some(found.map_or(Value::Long(-1), whole))
}
