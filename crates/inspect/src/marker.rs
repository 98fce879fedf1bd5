//! Markers: what was planted and can be found again.

use model::TenantId;
use serde::Serialize;

/// Something that occurs once in the world.
#[derive(Clone, PartialEq, Debug)]
pub enum Marker {
    /// A text of at least eight bytes. A mail address is searched in its halves, too, where these occur
    /// in no other marker.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A fraction.
    Real(f64),
    /// A guid, hyphenated.
    Guid(String),
}

/// A marker and whose it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Planted {
    /// The tenant whose row carries it.
    pub tenant: TenantId,
    /// The table whose row carries it.
    pub table: String,
    /// The column that carries it.
    pub column: String,
    /// What to search for.
    pub marker: Marker,
}

/// How a marker was written where it was found. Case is ignored in all but base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As it is.
    Utf8,
    /// Two bytes a character, in either byte order for ASCII.
    Utf16,
    /// Base64 of either alphabet, at any of three alignments.
    Base64,
    /// Hexadecimal digits of its bytes.
    Hex,
    /// Percent-encoded, all of it or what a URL demands.
    Percent,
    /// One half of a mail address.
    MailPart,
    /// The sixteen bytes of a guid.
    GuidBytes,
    /// A number, equal as a value.
    Value,
}
