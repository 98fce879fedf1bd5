//! Country codes.
//!
//! Two upper-case ASCII letters, as in ISO 3166-1 alpha-2. Which codes exist is the registry's
//! business, not this type's: it also lists `XK` and the withdrawn `AN`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A country by its two-letter code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

/// The text is not two letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a country code is two upper-case letters")]
pub struct BadCountryCode;

impl CountryCode {
    /// The code of these two upper-case letters.
    pub fn new(text: &str) -> Result<Self, BadCountryCode> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(BadCountryCode),
        }
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        // INVARIANT: `new` is the only constructor and takes ASCII letters only.
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountryCode({self})")
    }
}

impl FromStr for CountryCode {
    type Err = BadCountryCode;

    fn from_str(text: &str) -> Result<Self, BadCountryCode> {
        Self::new(text)
    }
}

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}
