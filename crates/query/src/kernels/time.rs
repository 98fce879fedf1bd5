//! Instants and durations: reading, writing, and the calendar. All in ticks of 100 ns, UTC.

use std::fmt::Write as _;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use model::ticks::{PER_DAY, PER_SECOND};
use model::{ColumnType, Ticks};

use super::args::{Call, Cell};
use super::convert;

const PER_MINUTE: i64 = 60 * PER_SECOND;
const PER_HOUR: i64 = 3600 * PER_SECOND;
const PER_MILLISECOND: i64 = PER_SECOND / 1000;
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;

/// The instant, if years 1 to 9999 have it.
pub(crate) fn in_range(ticks: i64) -> Option<i64> {
    (Ticks::MIN.0..=Ticks::MAX.0)
        .contains(&ticks)
        .then_some(ticks)
}

/// Days since 0001-01-01 of a date; months beyond a year carry over, days are cut to the month's.
fn days(year: i64, month0: i64, day: i64) -> Option<i64> {
    let year = year.checked_add(month0.div_euclid(12))?;
    let month = month0.rem_euclid(12) + 1;
    if !(1..=9999).contains(&year) {
        return None;
    }
    let day = day.min(month_length(year, month));
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 306)
}

fn month_length(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// An exact date; `None` for one that does not exist.
fn date(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    days(year, month - 1, day)
}

/// Reads the forms that `todatetime` takes: ISO 8601, `month/day/year`, RFC 822.
pub(crate) fn parse_datetime(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(ticks) = Ticks::parse(text) {
        return Some(ticks.0);
    }
    parse_partial(text)
        .or_else(|| parse_american(text))
        .or_else(|| parse_rfc822(text))
}

/// `2023`, `2023-05`, and ISO texts whose parts lack leading zeros.
fn parse_partial(text: &str) -> Option<i64> {
    let (day, clock) = match text.split_once(['T', ' ']) {
        Some((day, clock)) => (day, Some(clock)),
        None => (text, None),
    };
    let mut parts = day.split(['-', '/', '.']).map(|p| p.parse::<i64>().ok());
    let year = parts.next()??;
    if !(1000..=9999).contains(&year) {
        return None;
    }
    let month = parts.next().map_or(Some(1), |m| m)?;
    let day = parts.next().map_or(Some(1), |d| d)?;
    if parts.next().is_some() {
        return None;
    }
    in_range(date(year, month, day)? * PER_DAY + clock.map_or(Some(0), parse_clock)?)
}

fn parse_american(text: &str) -> Option<i64> {
    let (day, clock) = match text.split_once(' ') {
        Some((day, clock)) => (day, Some(clock)),
        None => (text, None),
    };
    let mut parts = day.split('/').map(|p| p.parse::<i64>().ok());
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    in_range(date(year, month, day)? * PER_DAY + clock.map_or(Some(0), parse_clock)?)
}

/// `[Sat, ]8 Nov 14 15:05:02[ GMT]`.
fn parse_rfc822(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let text = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let words: Vec<&str> = text.split([' ', '-']).filter(|w| !w.is_empty()).collect();
    let (day, month, year, rest) = match words.as_slice() {
        [day, month, year, rest @ ..] => {
            (day.parse().ok()?, month, year.parse::<i64>().ok()?, rest)
        }
        _ => return None,
    };
    let month = month.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|m| *m == month)?;
    let year = match year {
        0..=49 => 2000 + year,
        50..=99 => 1900 + year,
        year => year,
    };
    let clock = match rest {
        [] => 0,
        [clock] | [clock, "GMT" | "UTC" | "Z" | "UT"] => parse_clock(clock)?,
        _ => return None,
    };
    in_range(date(year, convert::long_of(month) + 1, day)? * PER_DAY + clock)
}

/// `15:05[:02[.fraction]]`, an optional `Z`, `GMT`, offset or `AM`/`PM`.
fn parse_clock(text: &str) -> Option<i64> {
    let upper = text.trim().to_ascii_uppercase();
    let zone = [" GMT", " UTC"]
        .iter()
        .find_map(|zone| upper.strip_suffix(zone));
    let upper = zone.map_or(upper.as_str(), str::trim_end);
    let (body, half) = match upper.strip_suffix("PM").map(|b| (b, 12)) {
        Some(found) => (found.0.trim_end(), Some(found.1)),
        None => match upper.strip_suffix("AM") {
            Some(body) => (body.trim_end(), Some(0)),
            None => (upper.trim_end_matches('Z'), None),
        },
    };
    let (body, offset) = match body.rfind(['+', '-']) {
        Some(at) => {
            let (clock, zone) = body.split_at_checked(at)?;
            let minutes = parse_hm(zone.get(1..)?)?;
            (
                clock,
                if zone.starts_with('-') {
                    -minutes
                } else {
                    minutes
                },
            )
        }
        None => (body, 0),
    };
    let mut parts = body.split(':');
    let mut hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let seconds = parts.next().map_or(Some(0), parse_seconds)?;
    if let Some(half) = half {
        hour = hour % 12 + half;
    }
    if parts.next().is_some() || !(0..24).contains(&hour) || !(0..60).contains(&minute) {
        return None;
    }
    Some(hour * PER_HOUR + minute * PER_MINUTE + seconds - offset * PER_MINUTE)
}

fn parse_hm(text: &str) -> Option<i64> {
    let (hours, minutes) = match text.split_once(':') {
        Some((h, m)) => (h.parse::<i64>().ok()?, m.parse::<i64>().ok()?),
        None if text.len() == 4 => (text.get(..2)?.parse().ok()?, text.get(2..)?.parse().ok()?),
        None => (text.parse().ok()?, 0),
    };
    Some(hours * 60 + minutes)
}

/// `02.1234567` as ticks, below a minute.
fn parse_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let whole: i64 = whole.parse().ok()?;
    if !(0..60).contains(&whole) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("0000000".chars()).take(7).collect();
    Some(whole * PER_SECOND + digits.parse::<i64>().ok()?)
}

/// Reads `[-][d.]hh:mm[:ss[.f]]`, `2d`, `1.5h`, `30m`, `10s`, `100ms`, `5 days`, or a count of days.
pub(crate) fn parse_timespan(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let ticks = if body.contains(':') {
        parse_colons(body)?
    } else {
        parse_units(body)?
    };
    Some(if negative { -ticks } else { ticks })
}

fn parse_colons(text: &str) -> Option<i64> {
    let (first, rest) = text.split_once(':')?;
    let (day, hour) = match first.split_once('.') {
        Some((day, hour)) => (day.parse::<i64>().ok()?, hour.parse::<i64>().ok()?),
        None => (0, first.parse::<i64>().ok()?),
    };
    let (minute, seconds) = match rest.split_once(':') {
        Some((minute, seconds)) => (minute.parse::<i64>().ok()?, parse_seconds(seconds)?),
        None => (rest.parse::<i64>().ok()?, 0),
    };
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || day < 0 {
        return None;
    }
    day.checked_mul(PER_DAY)?
        .checked_add(hour * PER_HOUR + minute * PER_MINUTE + seconds)
}

fn parse_units(text: &str) -> Option<i64> {
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.parse().ok()?;
    let per = match unit.trim() {
        // A bare number is whole days.
        "" if number.fract() == 0.0 && !text.contains('.') => PER_DAY,
        "d" | "day" | "days" => PER_DAY,
        "h" | "hr" | "hrs" | "hour" | "hours" => PER_HOUR,
        "m" | "min" | "minute" | "minutes" => PER_MINUTE,
        "s" | "sec" | "second" | "seconds" => PER_SECOND,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => PER_MILLISECOND,
        "micro" | "micros" | "microsecond" | "microseconds" => PER_MILLISECOND / 1000,
        "tick" | "ticks" => 1,
        _ => return None,
    };
    convert::long_of_real((number * convert::real_of_long(per)).round())
}

/// Sunday is 0.
fn weekday(day: i64) -> i64 {
    (day + 1).rem_euclid(7)
}

#[derive(Clone, Copy)]
enum Part {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    DayOfYear,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl Part {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "year" => Self::Year,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" | "week_of_year" | "weekofyear" => Self::Week,
            "day" => Self::Day,
            "dayofyear" => Self::DayOfYear,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Millisecond,
            "microsecond" => Self::Microsecond,
            "nanosecond" => Self::Nanosecond,
            _ => return None,
        })
    }

    /// Ticks of one unit, for the parts that always have as many.
    fn ticks(self) -> Option<i64> {
        Some(match self {
            Self::Week => 7 * PER_DAY,
            Self::Day | Self::DayOfYear => PER_DAY,
            Self::Hour => PER_HOUR,
            Self::Minute => PER_MINUTE,
            Self::Second => PER_SECOND,
            Self::Millisecond => PER_MILLISECOND,
            Self::Microsecond => PER_MILLISECOND / 1000,
            _ => return None,
        })
    }

    fn of(self, t: i64) -> i64 {
        let (year, month, day) = Ticks(t).date();
        let clock = t.rem_euclid(PER_DAY);
        match self {
            Self::Year => year,
            Self::Quarter => (month - 1) / 3 + 1,
            Self::Month => month,
            Self::Week => iso_week(t),
            Self::Day => day,
            Self::DayOfYear => day_of_year(t),
            Self::Hour => clock / PER_HOUR,
            Self::Minute => clock / PER_MINUTE % 60,
            Self::Second => clock / PER_SECOND % 60,
            Self::Millisecond => clock / PER_MILLISECOND % 1000,
            Self::Microsecond => clock % PER_SECOND / 10,
            Self::Nanosecond => clock % PER_SECOND * 100,
        }
    }

    /// The number of this part's boundaries since the year 1.
    fn index(self, t: i64) -> i64 {
        let (year, month, _) = Ticks(t).date();
        match self {
            Self::Year => year,
            Self::Quarter => year * 4 + (month - 1) / 3,
            Self::Month => year * 12 + month,
            // Weeks begin on Sunday.
            Self::Week => (t.div_euclid(PER_DAY) + 1).div_euclid(7),
            other => t.div_euclid(other.ticks().unwrap_or(1)),
        }
    }

    fn add(self, count: i64, t: i64) -> Option<i64> {
        let months = match self {
            Self::Year => count.checked_mul(12)?,
            Self::Quarter => count.checked_mul(3)?,
            Self::Month => count,
            Self::Nanosecond => return in_range(t.checked_add(count / 100)?),
            other => return in_range(t.checked_add(count.checked_mul(other.ticks()?)?)?),
        };
        let (year, month, day) = Ticks(t).date();
        let day = days(year, (month - 1).checked_add(months)?, day)?;
        in_range(
            day.checked_mul(PER_DAY)?
                .checked_add(t.rem_euclid(PER_DAY))?,
        )
    }
}

fn day_of_year(t: i64) -> i64 {
    let (year, ..) = Ticks(t).date();
    t.div_euclid(PER_DAY) - days(year, 0, 1).unwrap_or(0) + 1
}

/// ISO 8601: weeks begin on Monday, the first has the year's first Thursday.
fn iso_week(t: i64) -> i64 {
    let day = t.div_euclid(PER_DAY);
    let thursday = day - day.rem_euclid(7) + 3;
    (day_of_year(thursday * PER_DAY) - 1) / 7 + 1
}

/// The first tick of the unit that holds `t`, `offset` units on.
fn start_of(part: Part, t: i64, offset: i64) -> Option<i64> {
    let (year, month, _) = Ticks(t).date();
    let day = t.div_euclid(PER_DAY);
    let day = match part {
        Part::Year => days(year.checked_add(offset)?, 0, 1)?,
        Part::Month => days(year, (month - 1).checked_add(offset)?, 1)?,
        Part::Week => (day - weekday(day)).checked_add(offset.checked_mul(7)?)?,
        _ => day.checked_add(offset)?,
    };
    in_range(day.checked_mul(PER_DAY)?)
}

fn end_of(part: Part, t: i64, offset: i64) -> Option<i64> {
    // The unit after 9999 has no start: its predecessor ends with the calendar.
    start_of(part, t, offset)?;
    match start_of(part, t, offset.checked_add(1)?) {
        Some(next) => Some(next - 1),
        None => Some(Ticks::MAX.0),
    }
}

/// Functions over instants.
pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let time = call.arg(0)?;
    let offset = |row| call.optional(1).map_or(Some(0), |arg| arg.long(row));
    let start = |part| call.longs(|row| start_of(part, time.long(row)?, offset(row)?));
    let end = |part| call.longs(|row| end_of(part, time.long(row)?, offset(row)?));
    let part = |part: Part| call.longs(|row| Some(part.of(time.long(row)?)));
    match function {
        F::Startofday => start(Part::Day),
        F::Startofweek => start(Part::Week),
        F::Startofmonth => start(Part::Month),
        F::Startofyear => start(Part::Year),
        F::Endofday => end(Part::Day),
        F::Endofweek => end(Part::Week),
        F::Endofmonth => end(Part::Month),
        F::Endofyear => end(Part::Year),
        F::Dayofweek => {
            // The service finds no weekday for the last day of its calendar.
            let is_last = |day: i64| (day + 2) * PER_DAY - 1 > Ticks::MAX.0;
            call.longs(|row| {
                let day = time.long(row)?.div_euclid(PER_DAY);
                (!is_last(day)).then(|| weekday(day) * PER_DAY)
            })
        }
        F::Dayofmonth => part(Part::Day),
        F::Dayofyear => part(Part::DayOfYear),
        F::Hourofday => part(Part::Hour),
        F::WeekOfYear => part(Part::Week),
        F::Monthofyear => part(Part::Month),
        F::Getyear => part(Part::Year),
        F::DatetimeAdd => {
            let (count, time) = (call.arg(1)?, call.arg(2)?);
            call.longs(|row| {
                Part::parse(call.args.first()?.text(row))?.add(count.long(row)?, time.long(row)?)
            })
        }
        F::DatetimeDiff => {
            let (a, b) = (call.arg(1)?, call.arg(2)?);
            call.longs(|row| {
                let (a, b) = (a.long(row)?, b.long(row)?);
                match Part::parse(time.text(row))? {
                    Part::Nanosecond => a.checked_sub(b)?.checked_mul(100),
                    part => Some(part.index(a) - part.index(b)),
                }
            })
        }
        F::DatetimePart => {
            let t = call.arg(1)?;
            call.longs(|row| Some(Part::parse(time.text(row))?.of(t.long(row)?)))
        }
        F::FormatDatetime => {
            let format = call.arg(1)?;
            call.texts(|row, out| {
                if let Some(t) = time.long(row) {
                    format_datetime(t, format.text(row), out);
                }
            })
        }
        F::FormatTimespan => {
            let format = call.arg(1)?;
            call.texts(|row, out| {
                if let Some(t) = time.long(row) {
                    format_timespan(t, format.text(row), out);
                }
            })
        }
        F::MakeDatetime => make_datetime(call),
        F::MakeTimespan => make_timespan(call),
        F::UnixtimeSecondsTodatetime => unixtime(call, PER_SECOND, 1),
        F::UnixtimeMillisecondsTodatetime => unixtime(call, PER_MILLISECOND, 1),
        F::UnixtimeMicrosecondsTodatetime => unixtime(call, 10, 1),
        F::UnixtimeNanosecondsTodatetime => unixtime(call, 1, 100),
        other => exec_err!("`{}` is not a function over instants", other.as_str()),
    }
}

fn unixtime(call: &Call<'_>, ticks: i64, per: i64) -> Result<ArrayRef> {
    let value = call.arg(0)?;
    call.longs(|row| {
        let since = match value.cell(row) {
            Cell::Long(n) => n.checked_mul(ticks)? / per,
            Cell::Real(x) => convert::long_of_real(
                x * convert::real_of_long(ticks) / convert::real_of_long(per),
            )?,
            _ => return None,
        };
        in_range(since.checked_add(UNIX_EPOCH)?)
    })
}

fn make_datetime(call: &Call<'_>) -> Result<ArrayRef> {
    let long = |at: usize, row: usize| call.optional(at).map_or(Some(0), |arg| arg.long(row));
    call.longs(|row| {
        let day = date(long(0, row)?, long(1, row)?, long(2, row)?)?;
        let (hour, minute) = (long(3, row)?, long(4, row)?);
        let second = call.optional(5).map_or(Some(0.0), |arg| arg.real(row))?;
        if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..60.0).contains(&second)
        {
            return None;
        }
        let second = convert::long_of_real((second * convert::real_of_long(PER_SECOND)).round())?;
        in_range(day * PER_DAY + hour * PER_HOUR + minute * PER_MINUTE + second)
    })
}

fn make_timespan(call: &Call<'_>) -> Result<ArrayRef> {
    call.longs(|row| {
        let long = |at: usize| call.optional(at).and_then(|arg| arg.long(row));
        let real = |at: usize| call.optional(at).and_then(|arg| arg.real(row));
        let (day, hour, minute, second) = match call.args.len() {
            2 => (0, long(0)?, long(1)?, 0.0),
            3 => (0, long(0)?, long(1)?, real(2)?),
            _ => (long(0)?, long(1)?, long(2)?, real(3)?),
        };
        if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..60.0).contains(&second)
        {
            return None;
        }
        let second = convert::long_of_real((second * convert::real_of_long(PER_SECOND)).round())?;
        day.checked_mul(PER_DAY)?
            .checked_add(hour * PER_HOUR + minute * PER_MINUTE + second)
    })
}

/// Runs of one letter, as long as its specifiers get, and single characters between.
fn format_runs(format: &str, days_max: usize) -> Vec<(char, usize)> {
    let longest = |c: char| match c {
        'y' => 4,
        'f' | 'F' => 7,
        'd' | 'D' => days_max,
        _ => 2,
    };
    let mut runs: Vec<(char, usize)> = Vec::new();
    for c in format.chars() {
        match runs.last_mut() {
            Some((last, n)) if *last == c && c.is_ascii_alphabetic() && *n < longest(c) => *n += 1,
            _ => runs.push((c, 1)),
        }
    }
    runs
}

fn format_datetime(t: i64, format: &str, out: &mut String) {
    let (year, month, day) = Ticks(t).date();
    let clock = t.rem_euclid(PER_DAY);
    let hour = clock / PER_HOUR;
    for (letter, n) in format_runs(format, 2) {
        let _ = match letter {
            'y' if n <= 2 => write!(out, "{:0n$}", year % 100),
            'y' => write!(out, "{year:0n$}"),
            'M' => write!(out, "{month:0n$}"),
            'd' => write!(out, "{day:0n$}"),
            'h' => write!(out, "{:0n$}", (hour + 11) % 12 + 1),
            'H' => write!(out, "{hour:0n$}"),
            'm' => write!(out, "{:0n$}", clock / PER_MINUTE % 60),
            's' => write!(out, "{:0n$}", clock / PER_SECOND % 60),
            'f' => write_fraction(clock % PER_SECOND, n, false, out),
            'F' => write_fraction(clock % PER_SECOND, n, true, out),
            't' => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            other => (0..n).try_for_each(|_| write!(out, "{other}")),
        };
    }
}

fn format_timespan(t: i64, format: &str, out: &mut String) {
    let size = t.checked_abs().unwrap_or(i64::MAX);
    if t < 0 {
        out.push('-');
    }
    let clock = size % PER_DAY;
    for (letter, n) in format_runs(format, 8) {
        let _ = match letter {
            'd' | 'D' => write!(out, "{:0n$}", size / PER_DAY),
            'h' | 'H' => write!(out, "{:0n$}", clock / PER_HOUR),
            'm' => write!(out, "{:0n$}", clock / PER_MINUTE % 60),
            's' => write!(out, "{:0n$}", clock / PER_SECOND % 60),
            'f' => write_fraction(clock % PER_SECOND, n, false, out),
            'F' => write_fraction(clock % PER_SECOND, n, true, out),
            other => (0..n).try_for_each(|_| write!(out, "{other}")),
        };
    }
}

fn write_fraction(ticks: i64, digits: usize, trim: bool, out: &mut String) -> std::fmt::Result {
    let text = format!("{ticks:07}");
    let cut = text.get(..digits.min(7)).unwrap_or(&text);
    let cut = if trim { cut.trim_end_matches('0') } else { cut };
    write!(out, "{cut}")
}

/// Whether a type is counted in ticks.
pub(crate) fn is_ticks(ty: ColumnType) -> bool {
    ty == ColumnType::DateTime || ty == ColumnType::TimeSpan
}
