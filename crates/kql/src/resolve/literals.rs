//! The values that literals say.

use std::fmt::Write as _;
use std::sync::Arc;

use model::{ColumnType, Span100ns, Ticks, ticks};

use crate::resolved::Value;
use crate::syntax::{Kind, Node};

/// The value of a [`Kind::Literal`] node; the error says what is wrong with it.
pub(super) fn literal(node: &Node) -> Result<Value, String> {
    let tokens: Vec<_> = node
        .children_with_tokens()
        .filter_map(rowan::NodeOrToken::into_token)
        .filter(|t| t.kind().matters())
        .collect();
    let [token] = tokens.as_slice() else {
        return tokens
            .iter()
            .map(|t| string(t.text()))
            .collect::<Result<String, _>>()
            .map(|text| Value::String(text.into()));
    };
    let text = token.text();
    match token.kind() {
        Kind::String | Kind::OpenString => string(text).map(|text| Value::String(text.into())),
        Kind::Integer => integer(text),
        Kind::Real => real(text),
        Kind::TimeSpan => timespan(text)
            .map(Value::TimeSpan)
            .ok_or_else(|| format!("`{text}` is not a timespan")),
        Kind::TypedLiteral => typed(text),
        _ => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(format!("`{text}` is not a literal")),
        },
    }
}

fn integer(text: &str) -> Result<Value, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    digits
        .map_or_else(|| text.parse(), |hex| i64::from_str_radix(hex, 16))
        .map(Value::Long)
        .map_err(|_| format!("`{text}` does not fit a long"))
}

fn real(text: &str) -> Result<Value, String> {
    text.parse()
        .map(Value::Real)
        .map_err(|_| format!("`{text}` is not a number"))
}

/// Whether it is `datetime()`, which is the query's instant.
pub(super) fn is_now(node: &Node) -> bool {
    let text = node.text().to_string();
    let ty = text.split_once('(').map_or("", |(name, _)| name).trim();
    let inside = text.split_once('(').map_or("", |(_, rest)| rest);
    ColumnType::parse(ty) == Some(ColumnType::DateTime)
        && inside
            .trim()
            .strip_suffix(')')
            .is_some_and(|inside| inside.trim().is_empty())
}

/// `type(text)`.
fn typed(text: &str) -> Result<Value, String> {
    let bad = || format!("`{text}` is not a literal of that type");
    let (name, rest) = text.split_once('(').ok_or_else(bad)?;
    let ty = ColumnType::parse(name.trim()).ok_or_else(bad)?;
    let inside = rest.strip_suffix(')').unwrap_or(rest).trim();
    let inside = unquoted(inside);
    if inside == "null" || (inside.is_empty() && ty != ColumnType::String) {
        return Ok(Value::Null(ty));
    }
    value_of(ty, &inside).ok_or_else(bad)
}

fn unquoted(text: &str) -> String {
    if text.starts_with(['"', '\'', '@']) {
        string(text).unwrap_or_else(|_| text.to_owned())
    } else {
        text.to_owned()
    }
}

fn value_of(ty: ColumnType, text: &str) -> Option<Value> {
    Some(match ty {
        ColumnType::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => return None,
        },
        ColumnType::Int => match integer(text.trim_start_matches('-')).ok()? {
            Value::Long(n) if text.starts_with('-') => Value::Int(i32::try_from(-n).ok()?),
            Value::Long(n) => Value::Int(i32::try_from(n).ok()?),
            _ => return None,
        },
        ColumnType::Long => match text.strip_prefix('-') {
            Some(_) => Value::Long(text.parse().ok()?),
            None => integer(text).ok()?,
        },
        ColumnType::Real => Value::Real(match text.to_ascii_lowercase().as_str() {
            "nan" => f64::NAN,
            "+inf" | "inf" => f64::INFINITY,
            "-inf" => f64::NEG_INFINITY,
            number => number.parse().ok()?,
        }),
        ColumnType::Decimal => decimal(text)?,
        ColumnType::DateTime => Value::DateTime(datetime(text)?),
        ColumnType::TimeSpan => Value::TimeSpan(timespan(text)?),
        ColumnType::Guid => Value::Guid(guid(text)?),
        ColumnType::String => Value::String(text.into()),
        ColumnType::Dynamic => return None,
    })
}

/// Digits with a point, or with an exponent as in `1e5`.
fn decimal(text: &str) -> Option<Value> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if exponent == 0 {
        return Some(Value::Decimal(number.trim_start_matches('+').into()));
    }
    // LIMIT: beyond this no decimal has digits.
    if !(-DECIMAL_EXPONENT_MAX..=DECIMAL_EXPONENT_MAX).contains(&exponent) {
        return None;
    }
    let places = usize::try_from(exponent.unsigned_abs()).ok()?;
    let (before, after) = if exponent > 0 {
        let padded = format!("{fraction:0<places$}");
        let (moved, rest) = padded.split_at(places);
        (format!("{whole}{moved}"), rest.to_owned())
    } else {
        let padded = format!("{whole:0>places$}");
        let (rest, moved) = padded.split_at(padded.len() - places);
        (format!("0{rest}"), format!("{moved}{fraction}"))
    };
    let sign = if number.starts_with('-') { "-" } else { "" };
    let point = if after.is_empty() { "" } else { "." };
    Some(Value::Decimal(
        format!("{sign}{before}{point}{after}").into(),
    ))
}

/// Places by which an exponent may move a decimal's point.
const DECIMAL_EXPONENT_MAX: i32 = 64;

/// 16 bytes from 32 hexadecimal digits, hyphens and braces aside.
pub(super) fn guid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text
        .trim_matches(['{', '}'])
        .bytes()
        .filter(|b| *b != b'-')
        .map(|b| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        })
        .collect::<Option<_>>()?;
    let pairs: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    (digits.len() == 32)
        .then(|| pairs.try_into().ok())
        .flatten()
}

/// An instant as people write it: ISO 8601 in parts, month/day/year, or as in mails.
pub(super) fn datetime(text: &str) -> Option<Ticks> {
    let text = text.trim();
    // Whatever is said without a zone is in that one.
    let text = text.strip_suffix(" GMT").unwrap_or(text).trim_end();
    if let Some(found) = Ticks::parse(text).or_else(|| mailed(text)) {
        return Some(found);
    }
    // `2014-11-08 15:55:55 +02:00`.
    if let Some((instant, zone)) = text.rsplit_once(' ')
        && zone.starts_with(['+', '-'])
        && zone.contains(':')
        && instant.contains(':')
    {
        return Ticks::parse(&format!("{instant}{zone}"));
    }
    // `datetime(2017 - 08 - 01)`.
    if text.contains(" - ") {
        return datetime(&text.replace(" - ", "-"));
    }
    if text.len() == 4 {
        return Ticks::parse(&format!("{text}-01-01"));
    }
    if text.len() == 7 {
        return Ticks::parse(&format!("{text}-01"));
    }
    // `datetime(2024, 12, 31)`.
    let spelled = text.replace(", ", "-").replace(',', "-");
    let text = spelled.as_str();
    let (date, rest) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let separator = if date.contains('/') { '/' } else { '-' };
    let parts: Vec<&str> = date.split(separator).collect();
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if year.len() == 4 => (*year, *month, *day),
        [month, day, year] if year.len() == 4 => (*year, *month, *day),
        _ => return None,
    };
    let time = match rest {
        "" => String::new(),
        rest if rest.find(':') == Some(1) => format!("T0{rest}"),
        rest => format!("T{rest}"),
    };
    Ticks::parse(&format!("{year}-{month:0>2}-{day:0>2}{time}"))
}

/// `[Sat, ]8 Nov 14[ 15:05[:02]]`, also with hyphens: the forms of RFC 822 and RFC 850.
fn mailed(text: &str) -> Option<Ticks> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let text = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let mut words = text.split([' ', '-']).filter(|word| !word.is_empty());
    let day: u8 = words.next()?.parse().ok()?;
    let name = words.next()?.get(..3)?.to_ascii_lowercase();
    let month = (1..).zip(MONTHS).find(|(_, known)| *known == name)?.0;
    let year = match words.next()?.parse::<u16>().ok()? {
        year @ 0..=49 => 2000 + year,
        year @ 50..=99 => 1900 + year,
        year => year,
    };
    let clock = words.next().unwrap_or("00:00");
    if words.next().is_some() {
        return None;
    }
    Ticks::parse(&format!("{year:04}-{month:02}-{day:02}T{clock:0>5}"))
}

/// A duration: `1.5h`, `[-][d.]hh:mm[:ss[.fffffff]]`, or a number of days.
pub(super) fn timespan(text: &str) -> Option<Span100ns> {
    let text = text.trim();
    if let Some(positive) = text.strip_prefix('-') {
        return timespan(positive)
            .and_then(|s| s.0.checked_neg())
            .map(Span100ns);
    }
    if text.contains(':') {
        return clock(text);
    }
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    let per = match unit.trim() {
        "" | "d" | "day" | "days" => ticks::PER_DAY,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600 * ticks::PER_SECOND,
        "m" | "min" | "minute" | "minutes" => 60 * ticks::PER_SECOND,
        "s" | "sec" | "second" | "seconds" => ticks::PER_SECOND,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => ticks::PER_SECOND / 1_000,
        "micro" | "micros" | "microsecond" | "microseconds" => ticks::PER_SECOND / 1_000_000,
        "tick" | "ticks" => 1,
        "nano" | "nanos" | "nanosecond" | "nanoseconds" => {
            return number.parse::<i64>().ok().map(|n| Span100ns(n / 100));
        }
        _ => return None,
    };
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(per).map(Span100ns);
    }
    let number: f64 = number.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a unit has at most 12 digits")]
    let ticks = (number * per as f64).round();
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    (ticks.abs() < 9e18).then_some(Span100ns(ticks as i64))
}

fn clock(text: &str) -> Option<Span100ns> {
    let (days, rest) = match text.split_once(':')?.0.split_once('.') {
        Some((days, _)) => (days.parse::<i64>().ok()?, text.get(days.len() + 1..)?),
        None => (0, text),
    };
    let mut parts = rest.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits: String = fraction.chars().chain("0000000".chars()).take(7).collect();
            (whole.parse().ok()?, digits.parse::<i64>().ok()?)
        }
    };
    if parts.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    days.checked_mul(ticks::PER_DAY)?
        .checked_add(((hours * 60 + minutes) * 60 + seconds) * ticks::PER_SECOND + fraction)
        .map(Span100ns)
}

/// The text of a string token in any quotes.
pub(super) fn string(token: &str) -> Result<String, String> {
    for fence in ["```", "~~~"] {
        if let Some(inside) = token.strip_prefix(fence) {
            let inside = inside.strip_suffix(fence).unwrap_or(inside);
            return Ok(inside
                .strip_prefix("\r\n")
                .or_else(|| inside.strip_prefix('\n'))
                .unwrap_or(inside)
                .to_owned());
        }
    }
    let token = token.strip_prefix(['h', 'H']).unwrap_or(token);
    let (verbatim, quoted) = match token.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let quote = quoted.chars().next().unwrap_or('"');
    let inside = quoted.strip_prefix(quote).unwrap_or(quoted);
    let inside = inside.strip_suffix(quote).unwrap_or(inside);
    if verbatim {
        return Ok(inside.replace(&format!("{quote}{quote}"), &quote.to_string()));
    }
    unescaped(inside)
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        let escape = letters.next().unwrap_or('\\');
        match escape {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '\\' | '"' | '\'' => out.push(escape),
            'u' => {
                out.push(code_point(&mut letters, 4).ok_or("`\\u` wants four hexadecimal digits")?);
            }
            'U' => {
                out.push(
                    code_point(&mut letters, 8).ok_or("`\\U` wants eight hexadecimal digits")?,
                );
            }
            'x' => {
                out.push(code_point(&mut letters, 2).ok_or("`\\x` wants two hexadecimal digits")?);
            }
            '0'..='7' => {
                let mut code = escape.to_digit(8).unwrap_or_default();
                let mut rest = letters.clone();
                for _ in 0..2 {
                    let Some(digit) = rest.next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    letters.next();
                }
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => return Err(format!("unknown escape `\\{other}` in a string")),
        }
    }
    Ok(out)
}

fn code_point(letters: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let text: String = letters.by_ref().take(digits).collect();
    if text.len() != digits {
        return None;
    }
    let code = u32::from_str_radix(&text, 16).ok()?;
    Some(char::from_u32(code).unwrap_or('\u{fffd}'))
}

/// The value of a [`Kind::DynamicLiteral`] node, as compact JSON.
pub(super) fn dynamic(node: &Node) -> Result<Value, String> {
    let Some(inner) = node.children().next() else {
        return Ok(Value::Null(ColumnType::Dynamic));
    };
    let mut out = String::new();
    json(&inner, &mut out)?;
    Ok(if out == "null" {
        Value::Null(ColumnType::Dynamic)
    } else {
        Value::Dynamic(out.into())
    })
}

fn json(node: &Node, out: &mut String) -> Result<(), String> {
    match node.kind() {
        Kind::JsonArray => {
            out.push('[');
            for (at, child) in node.children().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json(&child, out)?;
            }
            out.push(']');
        }
        Kind::JsonObject => {
            out.push('{');
            for (at, entry) in node.children().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                let mut parts = entry.children();
                let key = parts.next().ok_or("a key is missing")?;
                match literal(&key) {
                    Ok(Value::String(key)) => json_string(&key, out),
                    _ => json_string(key.text().to_string().trim(), out),
                }
                out.push(':');
                json(&parts.next().ok_or("a value is missing")?, out)?;
            }
            out.push('}');
        }
        Kind::DynamicLiteral => match dynamic(node)? {
            Value::Dynamic(text) => out.push_str(&text),
            _ => out.push_str("null"),
        },
        Kind::Literal => json_literal(node, out)?,
        _ => return Err("a dynamic literal wants JSON".to_owned()),
    }
    Ok(())
}

fn json_literal(node: &Node, out: &mut String) -> Result<(), String> {
    let text = node.text().to_string();
    let text = text.trim();
    match text {
        "null" => out.push_str("null"),
        _ if text.starts_with('-') => {
            let number = text.trim_start_matches('-').trim();
            let valid = number.parse::<f64>().is_ok();
            if !valid {
                return Err(format!("`{text}` is not a JSON value"));
            }
            let _ = write!(out, "-{number}");
        }
        _ => json_value(
            &literal(node).map_err(|_| format!("`{text}` is not a JSON value"))?,
            out,
        ),
    }
    Ok(())
}

/// A scalar as JSON, the way `dynamic` holds it.
pub(super) fn json_value(value: &Value, out: &mut String) {
    match value {
        Value::Null(_) => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Long(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Real(n) if n.is_finite() => {
            let _ = write!(out, "{n:?}");
        }
        Value::Real(n) => json_string(
            if n.is_nan() {
                "NaN"
            } else if *n > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            },
            out,
        ),
        Value::Decimal(text) | Value::String(text) => json_string(text, out),
        Value::DateTime(t) => json_string(&t.to_string(), out),
        Value::TimeSpan(s) => json_string(&s.to_string(), out),
        Value::Guid(bytes) => json_string(&guid_text(bytes), out),
        Value::Dynamic(text) => out.push_str(text),
    }
}

fn guid_text(bytes: &[u8; 16]) -> String {
    let mut out = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The elements of a [`Kind::DynamicLiteral`] that is an array of scalars; `None` if it is not.
pub(super) fn elements(json: &Arc<str>) -> Option<Vec<Value>> {
    let mut rest = json.strip_prefix('[')?.strip_suffix(']')?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (value, after) = element(rest)?;
        out.push(value);
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(out)
}

/// The texts in an array of texts.
pub(super) fn strings_of_array(json: &Arc<str>) -> Vec<String> {
    let values = elements(json).unwrap_or_default();
    let texts = values.into_iter().filter_map(|value| match value {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    });
    texts.collect()
}

/// A literal as the text that it is searched for by.
pub(super) fn plain_text(node: &Node, literal: &crate::resolved::Expr) -> String {
    match literal.as_literal() {
        Some(Value::String(text)) => text.to_string(),
        _ => node.text().to_string().trim().to_owned(),
    }
}

/// One scalar at the start of compact JSON that [`json`] wrote.
fn element(text: &str) -> Option<(Value, &str)> {
    if let Some(body) = text.strip_prefix('"') {
        let mut escaped = false;
        for (at, letter) in body.char_indices() {
            match letter {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    let inside = unescaped(body.get(..at)?).ok()?;
                    return Some((Value::String(inside.into()), body.get(at + 1..)?));
                }
                _ => escaped = false,
            }
        }
        return None;
    }
    let end = text.find(',').unwrap_or(text.len());
    let (word, after) = text.split_at_checked(end)?;
    let value = match word {
        "null" => Value::Null(ColumnType::Dynamic),
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if word.starts_with(['[', '{']) => return None,
        _ => match word.parse::<i64>() {
            Ok(n) => Value::Long(n),
            Err(_) => Value::Real(word.parse().ok()?),
        },
    };
    Some((value, after))
}
