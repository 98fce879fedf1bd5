//! Functions of instants and durations, by a calendar that is counted out year by year.

use std::fmt::Write as _;

use kql::functions::ScalarFn;
use kql::resolved::Value;
use model::{ColumnType, Span100ns, Ticks};

use crate::scalars::text;
use crate::values::is_null;

const SECOND: i64 = 10_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A day of the calendar: year, month and day from 1.
#[derive(Clone, Copy)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

fn month_lengths(year: i64) -> [i64; 12] {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

impl Date {
    /// Days are counted from 0001-01-01, a Monday.
    fn of(mut days: i64) -> Self {
        let mut year = 1;
        loop {
            for (month, length) in (1..).zip(month_lengths(year)) {
                if days < length {
                    let day = days + 1;
                    return Self { year, month, day };
                }
                days -= length;
            }
            year += 1;
        }
    }

    fn days(self) -> i64 {
        let years: i64 = (1..self.year).flat_map(month_lengths).sum();
        let months = usize::try_from(self.month - 1).unwrap_or(0);
        years + month_lengths(self.year).iter().take(months).sum::<i64>() + self.day - 1
    }

    /// So many months on; a day that the month does not have is its last.
    fn months_on(self, months: i64) -> Self {
        let month = self.year * 12 + self.month - 1 + months;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let at = usize::try_from(month - 1).unwrap_or(0);
        let last = month_lengths(year).get(at).copied().unwrap_or(28);
        let day = self.day.min(last);
        Self { year, month, day }
    }
}

/// The value of a function of time; nothing if it is none of them.
pub(crate) fn of_times(function: ScalarFn, args: &[Value]) -> Option<Value> {
    use ColumnType::{DateTime, Int, Long, TimeSpan};
    let start = |unit: &'static str, end: bool| match args {
        [Value::DateTime(t)] => Some(instant(bound(unit, t.0, 0, end)?)),
        [Value::DateTime(t), Value::Long(offset)] => Some(instant(bound(unit, t.0, *offset, end)?)),
        _ => Some(Value::Null(DateTime)),
    };
    let part = |name: &str| match args {
        [Value::DateTime(t)] => Some(Value::Int(i32::try_from(part(name, t.0)?).ok()?)),
        _ => Some(Value::Null(Int)),
    };
    Some(match (function, args) {
        (ScalarFn::Startofday, _) => start("day", false)?,
        (ScalarFn::Startofweek, _) => start("week", false)?,
        (ScalarFn::Startofmonth, _) => start("month", false)?,
        (ScalarFn::Startofyear, _) => start("year", false)?,
        (ScalarFn::Endofday, _) => start("day", true)?,
        (ScalarFn::Endofweek, _) => start("week", true)?,
        (ScalarFn::Endofmonth, _) => start("month", true)?,
        (ScalarFn::Endofyear, _) => start("year", true)?,
        (ScalarFn::Hourofday, _) => part("hour")?,
        (ScalarFn::Dayofmonth, _) => part("day")?,
        (ScalarFn::Dayofyear, _) => part("dayofyear")?,
        (ScalarFn::Monthofyear, _) => part("month")?,
        (ScalarFn::Getyear, _) => part("year")?,
        (ScalarFn::Dayofweek, [Value::DateTime(t)]) => {
            let days = (t.0.div_euclid(DAY) + 1).rem_euclid(7);
            Value::TimeSpan(Span100ns(days * DAY))
        }
        (ScalarFn::Dayofweek, _) => Value::Null(TimeSpan),
        (ScalarFn::DatetimePart, [_, t]) if is_null(t) => Value::Null(Int),
        (ScalarFn::DatetimePart, [name, Value::DateTime(t)]) => {
            Value::Int(i32::try_from(self::part(&text(name), t.0)?).ok()?)
        }
        (ScalarFn::DatetimeDiff, [_, a, b]) if is_null(a) || is_null(b) => Value::Null(Long),
        (ScalarFn::DatetimeDiff, [name, Value::DateTime(a), Value::DateTime(b)]) => {
            let name = text(name);
            Value::Long(boundaries(&name, a.0)? - boundaries(&name, b.0)?)
        }
        (ScalarFn::DatetimeAdd, [_, n, t]) if is_null(n) || is_null(t) => Value::Null(DateTime),
        (ScalarFn::DatetimeAdd, [name, Value::Long(n), Value::DateTime(t)]) => {
            instant(moved(&text(name), *n, t.0)?)
        }
        (ScalarFn::FormatDatetime, [t, _]) if is_null(t) => Value::String("".into()),
        (ScalarFn::FormatDatetime, [Value::DateTime(t), form]) => {
            Value::String(formatted(t.0, &text(form))?.into())
        }
        _ => return None,
    })
}

fn instant(ticks: i64) -> Value {
    Value::DateTime(Ticks(ticks))
}

fn date(ticks: i64) -> Date {
    Date::of(ticks.div_euclid(DAY))
}

/// How many boundaries of a part lie between the first day and an instant.
fn boundaries(part: &str, ticks: i64) -> Option<i64> {
    let date = date(ticks);
    let months = date.year * 12 + date.month - 1;
    Some(match part {
        "year" => date.year,
        "quarter" => months.div_euclid(3),
        "month" => months,
        // A week begins on Sunday.
        "week" => (ticks.div_euclid(DAY) + 1).div_euclid(7),
        "day" => ticks.div_euclid(DAY),
        "hour" => ticks.div_euclid(HOUR),
        "minute" => ticks.div_euclid(MINUTE),
        "second" => ticks.div_euclid(SECOND),
        "millisecond" => ticks.div_euclid(SECOND / 1_000),
        _ => return None,
    })
}

fn part(name: &str, ticks: i64) -> Option<i64> {
    let date = date(ticks);
    let first = Date {
        month: 1,
        day: 1,
        ..date
    };
    Some(match name {
        "year" => date.year,
        "quarter" => (date.month - 1) / 3 + 1,
        "month" => date.month,
        "day" => date.day,
        "dayofyear" => date.days() - first.days() + 1,
        "hour" => ticks.rem_euclid(DAY) / HOUR,
        "minute" => ticks.rem_euclid(HOUR) / MINUTE,
        "second" => ticks.rem_euclid(MINUTE) / SECOND,
        "millisecond" => ticks.rem_euclid(SECOND) / (SECOND / 1_000),
        _ => return None,
    })
}

fn moved(part: &str, n: i64, ticks: i64) -> Option<i64> {
    let months = |months: i64| date(ticks).months_on(months).days() * DAY + ticks.rem_euclid(DAY);
    Some(match part {
        "year" => months(12 * n),
        "quarter" => months(3 * n),
        "month" => months(n),
        "week" => ticks + n * 7 * DAY,
        "day" => ticks + n * DAY,
        "hour" => ticks + n * HOUR,
        "minute" => ticks + n * MINUTE,
        "second" => ticks + n * SECOND,
        _ => return None,
    })
}

/// The first instant of the day, week, month or year, so many of them on; or its last.
fn bound(unit: &str, ticks: i64, offset: i64, end: bool) -> Option<i64> {
    let days = ticks.div_euclid(DAY);
    let this = date(ticks);
    let first = match unit {
        "day" => days,
        "week" => days - (days + 1).rem_euclid(7),
        "month" => Date { day: 1, ..this }.days(),
        "year" => {
            let (month, day) = (1, 1);
            Date { month, day, ..this }.days()
        }
        _ => return None,
    };
    let start = moved(unit, offset + i64::from(end), first * DAY)?;
    Some(if end { start - 1 } else { start })
}

/// Runs of one letter are parts, as long as the run; other signs are themselves.
fn formatted(ticks: i64, form: &str) -> Option<String> {
    let mut text = String::new();
    let letters: Vec<char> = form.chars().collect();
    for run in letters.chunk_by(|a, b| a == b) {
        let letter = *run.first()?;
        let number = match letter {
            'y' => part("year", ticks)?,
            'M' => part("month", ticks)?,
            'd' => part("day", ticks)?,
            'H' => part("hour", ticks)?,
            'm' => part("minute", ticks)?,
            's' => part("second", ticks)?,
            c if c.is_ascii_alphabetic() => return None,
            c => {
                text.extend(run.iter().map(|_| c));
                continue;
            }
        };
        let number = if letter == 'y' && run.len() == 2 {
            number % 100
        } else {
            number
        };
        write!(text, "{number:0width$}", width = run.len()).ok()?;
    }
    Some(text)
}
