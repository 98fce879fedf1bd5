//! Instants and durations in ticks of 100 ns, Kusto's resolution.
//!
//! [`Ticks`] counts from 0001-01-01T00:00:00Z, so every Kusto `datetime` (years 1 to 9999) fits an
//! `i64` and no tick is lost; Arrow's nanoseconds end in 2262. All instants are UTC.
//!
//! Does not know leap seconds: a second field of 60 is read as the first tick of the next minute.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ticks in one second.
pub const PER_SECOND: i64 = 10_000_000;
/// Ticks in one day.
pub const PER_DAY: i64 = 86_400 * PER_SECOND;
/// 1970-01-01 in ticks.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;
/// The last tick of 9999-12-31.
const MAX: i64 = 3_155_378_975_999_999_999;

/// An instant: 100-ns ticks since 0001-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ticks(pub i64);

/// A duration in 100-ns ticks, Kusto's `timespan`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span100ns(pub i64);

impl Ticks {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.9999999Z.
    pub const MAX: Self = Self(MAX);

    /// From seconds and nanoseconds since 1970; `None` outside years 1 to 9999.
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Option<Self> {
        let ticks = seconds
            .checked_mul(PER_SECOND)?
            .checked_add(i64::from(nanoseconds / 100))?
            .checked_add(UNIX_EPOCH)?;
        (0..=MAX).contains(&ticks).then_some(Self(ticks))
    }

    /// Milliseconds since 1970, rounded down.
    pub fn unix_millis(self) -> i64 {
        (self.0 - UNIX_EPOCH).div_euclid(PER_SECOND / 1000)
    }

    /// Days since 0001-01-01: the ingestion day of a partition.
    pub fn day(self) -> i32 {
        i32::try_from(self.0.div_euclid(PER_DAY)).unwrap_or(0)
    }

    /// Midnight of `day` (see [`Self::day`]).
    pub fn from_day(day: i32) -> Self {
        Self(i64::from(day) * PER_DAY)
    }

    /// This instant plus `span`, held inside years 1 to 9999.
    #[must_use]
    pub fn saturating_add(self, span: Span100ns) -> Self {
        Self(self.0.saturating_add(span.0).clamp(0, MAX))
    }

    /// The time between `earlier` and this instant.
    pub fn since(self, earlier: Self) -> Span100ns {
        Span100ns(self.0 - earlier.0)
    }

    /// Reads an RFC 3339-like instant: `T` or a blank between date and time, 0 to 9 fraction digits
    /// (those beyond 100 ns are cut), `Z`, an offset, or nothing (UTC, as the export writes), or a date alone.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = text.as_bytes();
        let (date, rest) = (bytes.get(..10)?, bytes.get(10..)?);
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
            return None;
        };
        let day = days_from_civil(
            digits(&[*y1, *y2, *y3, *y4])?,
            digits(&[*m1, *m2])?,
            digits(&[*d1, *d2])?,
        )?;
        let of_day = if rest.is_empty() {
            0
        } else {
            parse_time(rest)?
        };
        let ticks = day.checked_mul(PER_DAY)?.checked_add(of_day)?;
        (0..=MAX).contains(&ticks).then_some(Self(ticks))
    }

    /// Year, month and day.
    pub fn date(self) -> (i64, i64, i64) {
        civil_from_days(self.0.div_euclid(PER_DAY))
    }
}

impl Span100ns {
    /// A duration of whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds * PER_SECOND)
    }

    /// A duration of whole days.
    pub const fn days(days: i64) -> Self {
        Self(days * PER_DAY)
    }

    /// As seconds; precise to a tick below 2^53 ticks.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a figure for people; 2^53 ticks are 28 years"
    )]
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / PER_SECOND as f64
    }
}

/// RFC 3339 with seven fraction digits, as Kusto prints it.
impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let t = self.0.rem_euclid(PER_DAY);
        let (s, fraction) = (t / PER_SECOND, t % PER_SECOND);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:07}Z",
            s / 3600,
            s / 60 % 60,
            s % 60
        )
    }
}

/// `[-][d.]hh:mm:ss[.fffffff]`, as Kusto prints it.
impl fmt::Display for Span100ns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0.unsigned_abs();
        let (per_second, per_day) = (PER_SECOND.unsigned_abs(), PER_DAY.unsigned_abs());
        if self.0 < 0 {
            f.write_str("-")?;
        }
        if t >= per_day {
            write!(f, "{}.", t / per_day)?;
        }
        let s = t % per_day / per_second;
        write!(f, "{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)?;
        match t % per_second {
            0 => Ok(()),
            fraction => write!(f, ".{fraction:07}"),
        }
    }
}

impl Serialize for Ticks {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ticks {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 instant"))
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0'))
    })
}

fn parse_time(rest: &[u8]) -> Option<i64> {
    let [b'T' | b't' | b' ', rest @ ..] = rest else {
        return None;
    };
    let [h1, h2, b':', m1, m2, rest @ ..] = rest else {
        return None;
    };
    let (hour, minute) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (digits(&[*s1, *s2])?, rest),
        _ => (0, rest),
    };
    let (fraction, rest) = match rest {
        [b'.' | b',', rest @ ..] => {
            let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            if n == 0 || n > 12 {
                return None;
            }
            let (seen, after) = rest.split_at(n);
            let ticks = digits(seen.get(..n.min(7))?)?
                * 10_i64.pow(7_u32.saturating_sub(u32::try_from(n.min(7)).ok()?));
            (ticks, after)
        }
        _ => (0, rest),
    };
    let offset_minutes = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = hours * 60 + minutes;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = hour * 3600 + (minute - offset_minutes) * 60 + second;
    Some(seconds * PER_SECOND + fraction)
}

/// Days since 0001-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level
/// date algorithms"); `None` for a day that does not exist.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=in_month).contains(&day) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(era * 146_097 + days - 306)
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 306;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}
