//! Functions of texts beside the operators that compare them.

use kql::functions::ScalarFn;
use kql::resolved::Value;
use model::ColumnType;

use crate::Unsupported;
use crate::json::Json;
use crate::patterns::{Found, Pattern};
use crate::scalars::text;

/// The value of a function of texts and patterns; nothing if it is none of them.
pub(crate) fn of_patterns(
    function: ScalarFn,
    args: &[Value],
) -> Result<Option<Value>, Unsupported> {
    Ok(Some(match (function, args) {
        (ScalarFn::MatchesRegex, [a, pattern]) => {
            let found = Pattern::read(&text(pattern))?.find(&letters(a), 0)?;
            Value::Bool(found.is_some())
        }
        // A group that has no part in the match, and no match, give the empty text.
        (ScalarFn::Extract, [pattern, Value::Long(group), a]) => {
            let letters = letters(a);
            let found = Pattern::read(&text(pattern))?.find(&letters, 0)?;
            let group = usize::try_from(*group).map_err(Unsupported::new)?;
            string(part(
                &letters,
                found.unwrap_or_default().get(group).copied().flatten(),
            ))
        }
        (ScalarFn::ExtractAll, [pattern, a]) => {
            let letters = letters(a);
            let mut all = Vec::new();
            for found in matches(&Pattern::read(&text(pattern))?, &letters)? {
                let groups = found.iter().skip(1);
                let mut groups: Vec<Json> = groups
                    .map(|group| Json::Text(part(&letters, *group)))
                    .collect();
                all.extend(match groups.len() {
                    0 => return Err(Unsupported::new("a pattern without a group")),
                    1 => groups.pop(),
                    _ => Some(Json::Array(groups)),
                });
            }
            if all.is_empty() {
                return Err(Unsupported::new("all of no matches"));
            }
            Json::Array(all).value()
        }
        (ScalarFn::ReplaceRegex, [a, pattern, by]) if !text(by).contains('\\') => {
            let letters = letters(a);
            let (mut replaced, mut at) = (String::new(), 0);
            for found in matches(&Pattern::read(&text(pattern))?, &letters)? {
                let (from, to) = found.first().copied().flatten().unwrap_or((at, at));
                replaced.push_str(&part(&letters, Some((at, from))));
                replaced.push_str(&text(by));
                at = to;
            }
            replaced.push_str(&part(&letters, Some((at, letters.len()))));
            string(replaced)
        }
        (ScalarFn::Trim | ScalarFn::TrimStart | ScalarFn::TrimEnd, [pattern, a]) => {
            let pattern = text(pattern);
            let mut letters = letters(a);
            if function != ScalarFn::TrimEnd {
                let found = Pattern::read(&format!("^({pattern})"))?.find(&letters, 0)?;
                let end = found.and_then(|found| found.first().copied().flatten());
                letters.drain(..end.map_or(0, |(_, end)| end));
            }
            if function != ScalarFn::TrimStart {
                let found = Pattern::read(&format!("({pattern})$"))?.find(&letters, 0)?;
                let start = found.and_then(|found| found.first().copied().flatten());
                letters.truncate(start.map_or(letters.len(), |(start, _)| start));
            }
            string(letters.into_iter().collect())
        }
        _ => return Ok(None),
    }))
}

/// The matches one after the other. Those of nothing it does not know.
fn matches(pattern: &Pattern, letters: &[char]) -> Result<Vec<Found>, Unsupported> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(found) = pattern.find(letters, at)? {
        match found.first().copied().flatten() {
            Some((from, to)) if from < to => at = to,
            _ => return Err(Unsupported::new("a match of nothing")),
        }
        all.push(found);
    }
    Ok(all)
}

fn part(letters: &[char], place: Option<(usize, usize)>) -> String {
    let part = place.and_then(|(from, to)| letters.get(from..to));
    part.unwrap_or_default().iter().collect()
}

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
