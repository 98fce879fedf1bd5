//! What may be linked across tenants, and the words for it: epochs, days, indicators, their tokens.
//!
//! An *indicator* is a value of the outside world (a file's hash, an external address, a registrable
//! domain) in its one canonical form. It leaves a cell only as an [`IndicatorToken`], which
//! [`IndicatorTokens`] makes for one epoch and one purpose.
//!
//! Promises
//! - An [`IndicatorClass`] carries the version of its canonical form in its label, so that tokens of
//!   two forms never meet.
//! - Nothing here makes a canonical form or a token: `pseudonym` does the one, `vault` the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{BadId, IndicatorToken};
use crate::{Code, Ticks};

/// Days of one pseudonym epoch.
pub const EPOCH_DAYS: u32 = 30;

/// A day, counted from 0001-01-01 as [`Ticks::day`] does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Day(pub u32);

/// Thirty days over which tokens stay the same; tokens of two epochs never meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl Day {
    /// The day of an instant.
    pub fn of(at: Ticks) -> Self {
        Self(u32::try_from(at.day()).unwrap_or(0))
    }

    /// Its midnight.
    pub fn start(self) -> Ticks {
        Ticks::from_day(i32::try_from(self.0).unwrap_or(i32::MAX))
    }
}

/// `2026-01-31`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.start().date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl Epoch {
    /// The epoch of a day.
    pub fn of(day: Day) -> Self {
        Self(day.0 / EPOCH_DAYS)
    }

    /// The epoch of an instant.
    pub fn at(at: Ticks) -> Self {
        Self::of(Day::of(at))
    }

    /// Its first day.
    pub fn first_day(self) -> Day {
        Day(self.0.saturating_mul(EPOCH_DAYS))
    }

    /// Its last day.
    pub fn last_day(self) -> Day {
        Day(self.first_day().0.saturating_add(EPOCH_DAYS - 1))
    }

    /// The one before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The one after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Epoch {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let number = text.parse().map(Self);
        number.map_err(|_| BadId {
            what: "epoch number",
            text: text.chars().take(80).collect(),
        })
    }
}

/// What pseudonymised data is used for. Tokens of two purposes never meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// How many owner groups have seen an indicator.
    Prevalence,
    /// What happens to several owner groups at the same time.
    Campaigns,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 2] = [Self::Prevalence, Self::Campaigns];

    /// Its name in labels and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prevalence => "prevalence",
            Self::Campaigns => "campaigns",
        }
    }
}

/// A kind of indicator, with the version of its canonical form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IndicatorClass {
    /// SHA-256 of a file that was executed or loaded.
    FileSha256,
    /// A globally routed address that is not the tenant's.
    ExternalIp,
    /// The part of a domain name that somebody registered.
    RegistrableDomain,
}

impl IndicatorClass {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::FileSha256, Self::ExternalIp, Self::RegistrableDomain];

    /// Its label, version of the canonical form included. A change of the form changes the label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::FileSha256 => "file-sha256/1",
            Self::ExternalIp => "external-ip/1",
            Self::RegistrableDomain => "registrable-domain/1",
        }
    }
}

/// A value in its canonical form. Clear text: it stays in the cell.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Indicator {
    /// What it is.
    pub class: IndicatorClass,
    /// Its canonical form.
    pub canonical: Box<str>,
}

/// Without the value: an indicator may be content.
impl fmt::Debug for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Indicator({}, …)", self.class.label())
    }
}

/// An ATT&CK technique, for example `T1566.002`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Technique {
    number: u16,
    /// 0 without a sub-technique.
    sub: u16,
}

impl Technique {
    /// From its numbers; `None` unless they are 1 to 9999 and 0 (no sub-technique) to 999.
    pub fn from_numbers(number: u16, sub: u16) -> Option<Self> {
        let valid = (1..=9999).contains(&number) && sub <= 999;
        valid.then_some(Self { number, sub })
    }

    /// Technique and sub-technique; 0 without the latter.
    pub const fn numbers(self) -> (u16, u16) {
        (self.number, self.sub)
    }
}

impl fmt::Display for Technique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{:04}", self.number)?;
        if self.sub == 0 {
            return Ok(());
        }
        write!(f, ".{:03}", self.sub)
    }
}

impl FromStr for Technique {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let number = |digits: &str, n: usize| {
            let whole = digits.len() == n && digits.bytes().all(|b| b.is_ascii_digit());
            whole.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let read = || {
            let rest = text.strip_prefix('T')?;
            match rest.split_once('.') {
                None => Self::from_numbers(number(rest, 4)?, 0),
                Some((main, sub)) => {
                    Self::from_numbers(number(main, 4)?, number(sub, 3).filter(|sub| *sub > 0)?)
                }
            }
        };
        read().ok_or_else(|| BadId {
            what: "ATT&CK technique",
            text: text.chars().take(80).collect(),
        })
    }
}

impl Serialize for Technique {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Technique {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How often, in powers of ten: the exact number can single somebody out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CountBucket(u8);

impl CountBucket {
    /// The bucket of a thousand and more.
    pub const LAST: Self = Self(4);

    /// The bucket of a count; 0 counts as 1.
    pub fn of(count: u64) -> Self {
        Self(match count {
            0..=1 => 0,
            2..=9 => 1,
            10..=99 => 2,
            100..=999 => 3,
            _ => 4,
        })
    }

    /// From its code; `None` above the last.
    pub fn from_code(code: u8) -> Option<Self> {
        (code <= Self::LAST.0).then_some(Self(code))
    }

    /// 0 to 4.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The least count in it.
    pub const fn at_least(self) -> u64 {
        match self.0 {
            0 => 1,
            1 => 2,
            2 => 10,
            3 => 100,
            _ => 1_000,
        }
    }
}

/// Why tokens could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// The ring has no linkage secret of this epoch.
    #[error("no linkage secret of epoch {epoch} was imported")]
    NoSecret {
        /// The epoch that was asked for.
        epoch: Epoch,
    },
    /// The maker of tokens is elsewhere and cannot be reached; try again later.
    #[error("the maker of indicator tokens cannot be reached")]
    Unreachable,
}

impl TokensError {
    /// The stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::NoSecret { .. } => Code::LinkageMissing,
            Self::Unreachable => Code::Busy,
        }
    }
}

/// Tokens, as soon as they are there.
pub type TokensFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<IndicatorToken>, TokensError>> + Send + 'a>>;

/// Turns indicators into tokens that link across tenants within an epoch and a purpose.
///
/// Asynchronous and batched, because another version asks a service that sees only blinded values.
pub trait IndicatorTokens: Send + Sync + fmt::Debug {
    /// One token per indicator, in their order.
    fn tokens<'a>(
        &'a self,
        purpose: Purpose,
        epoch: Epoch,
        indicators: &'a [Indicator],
    ) -> TokensFuture<'a>;
}
