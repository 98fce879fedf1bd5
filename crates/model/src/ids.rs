//! Typed identifiers.
//!
//! Two shapes: 128 random bits printed as 32 lower-case hex digits ([`TenantId`] …), and short
//! validated words ([`RegionCode`], [`TableName`] …). None of them is a bare `String` in a signature,
//! so one cannot stand where another belongs.
//!
//! Does not draw randomness: `from_bytes` takes the bits, the caller has a `Random`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;

/// An identifier or word was not of its documented shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}")]
pub struct BadId {
    /// What was expected, as in a sentence: `tenant id`.
    pub what: &'static str,
    /// The text as given, cut to 80 characters.
    pub text: String,
}

fn bad(what: &'static str, text: &str) -> BadId {
    BadId {
        what,
        text: text.chars().take(80).collect(),
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id made of these 128 bits.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 128 bits.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// A fresh id from `random`.
            pub fn random(random: &dyn crate::Random) -> Self {
                let mut bytes = [0; 16];
                random.fill(&mut bytes);
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_hex_16(text).map(Self).ok_or_else(|| bad($what, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! word_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The word, checked against its documented shape.
            pub fn new(text: &str) -> Result<Self, BadId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(bad($what, text)) }
            }

            /// The word as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

random_id! {
    /// A customer. Opaque: no name is ever part of a path, a key's metadata or a clear column.
    TenantId, "tenant id"
}
random_id! {
    /// Where a tenant's records come from; fixes the services they may belong to.
    SourceId, "source id"
}
random_id! {
    /// An API token. The secret is separate and kept only as a hash.
    TokenId, "token id"
}
random_id! {
    /// One sealed Parquet file.
    SegmentId, "segment id"
}
random_id! {
    /// One data key, named in a segment's key metadata.
    KeyId, "key id"
}
random_id! {
    /// One request, echoed to the client and into the log.
    RequestId, "request id"
}
random_id! {
    /// A tenant's stream in the shared log; opaque, so the log names no tenant.
    StreamId, "stream id"
}
random_id! {
    /// Identity of a row: a keyed hash of what its source says identifies it (architecture §5.3).
    RowId, "row id"
}
random_id! {
    /// A provider or parent with all its tenants; counts as one contributor at the centre.
    OwnerGroupId, "owner group id"
}
random_id! {
    /// A legal hold or an erasure, as its orders and leaves name it.
    OrderId, "order id"
}

random_id! {
    /// An alert: a keyed hash of its rule and what it matched, so that evaluating again makes the
    /// same alert (architecture §5.7).
    AlertId, "alert id"
}

random_id! {
    /// What an indicator leaves a cell as: a keyed token of one epoch and purpose.
    IndicatorToken, "indicator token"
}
random_id! {
    /// Stands for an owner group at the centre, within one epoch and purpose.
    ContributorToken, "contributor token"
}

word_id! {
    /// A detection rule: 1 to 128 ASCII letters, digits, `-`, `_` or `.` (Sigma uses UUIDs).
    DetectionRuleId, "detection rule id", |t| (1..=128).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
word_id! {
    /// A deployment, for example `eu`: 2 to 16 lower-case ASCII letters, digits or `-`.
    RegionCode, "region code", |t| (2..=16).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
word_id! {
    /// A named set of countries, for example `EU`: 2 to 16 upper-case ASCII letters, digits or `-`.
    GeographyCode, "geography code", |t| (2..=16).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
}
word_id! {
    /// A service whose storage rule places rows, for example `endpoint`.
    ServiceName, "service name", |t| (2..=32).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
word_id! {
    /// A storage rule of the registry, for example `email-country-map`.
    RuleId, "rule id", |t| (2..=64).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
word_id! {
    /// A hunting table: an identifier of ASCII letters, digits and `_` that starts with a letter.
    /// Names are case-sensitive, as in the schema.
    TableName, "table name", |t| (1..=limits::NAME_BYTES_MAX).contains(&t.len())
        && t.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn parse_hex_16(text: &str) -> Option<[u8; 16]> {
    // A UUID's hyphens are accepted: people paste them.
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| *b != b'-')
        .map(|b| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        })
        .collect::<Option<_>>()?;
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        if let [high, low] = pair {
            *byte = (high << 4) | low;
        }
    }
    Some(bytes)
}
