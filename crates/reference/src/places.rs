//! Places of addresses, from a MaxMind DB file (<https://maxmind.github.io/MaxMind-DB/>) in the layout
//! of GeoLite2 and GeoIP2 City, Country and Enterprise. Names are the English ones.
//!
//! The file is held in memory. Limit: [`limits::REFERENCE_PLACES_BYTES_MAX`].

use std::fmt;
use std::net::IpAddr;

use maxminddb::Reader;
use model::limits;
use serde::Deserialize;

/// Words of a database's type of which one says that it holds places.
const LAYOUTS: &[&str] = &["City", "Country", "Enterprise"];

/// A database of places.
pub struct Places(Reader<Vec<u8>>);

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Places").field(&self.layout()).finish()
    }
}

/// Where an address is, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Place<'a> {
    /// The country.
    pub country: Option<&'a str>,
    /// Its largest part that has the place: a state, a province.
    pub state: Option<&'a str>,
    /// The city.
    pub city: Option<&'a str>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
}

/// Why a file of places cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is too large.
    #[error("it has {bytes} bytes, and {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is not a MaxMind DB, or damaged.
    #[error("it is not a MaxMind DB that can be read: {what}")]
    Form {
        /// What is wrong, on one line.
        what: String,
    },
    /// It is one of something else.
    #[error(
        "it is a database `{layout}`, and places stand in one of cities, countries or an enterprise"
    )]
    Layout {
        /// Its type, as it says.
        layout: String,
    },
}

/// What of an entry is read.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    country: Option<Named<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Named<'a>>,
    #[serde(borrow, default)]
    city: Option<Named<'a>>,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
struct Names<'a> {
    #[serde(borrow, default)]
    en: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
}

impl Places {
    /// From the bytes of a file.
    pub fn new(file: Vec<u8>) -> Result<Self, Error> {
        let (bytes, max) = (file.len(), limits::REFERENCE_PLACES_BYTES_MAX);
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        }
        let reader = Reader::from_source(file).map_err(|e| form(&e))?;
        let places = Self(reader);
        let layout = places.layout();
        if LAYOUTS.iter().any(|word| layout.contains(word)) {
            return Ok(places);
        }
        Err(Error::Layout {
            layout: layout.to_owned(),
        })
    }

    /// What the database says it is, `GeoLite2-City` for instance.
    pub fn layout(&self) -> &str {
        &self.0.metadata().database_type
    }

    /// Reads everything once: whether the file is whole. Takes seconds for a large one.
    pub fn verify(&self) -> Result<(), Error> {
        self.0.verify().map_err(|e| form(&e))
    }

    /// Where an address is; `None` if nothing is known of it.
    pub fn place(&self, address: IpAddr) -> Option<Place<'_>> {
        let found = self.0.lookup(address.to_canonical()).ok()?;
        let entry: Entry<'_> = found.decode().ok()??;
        let location = entry.location;
        let place = Place {
            country: entry.country.and_then(|named| named.names.en),
            state: entry
                .subdivisions
                .into_iter()
                .next()
                .and_then(|named| named.names.en),
            city: entry.city.and_then(|named| named.names.en),
            latitude: location.as_ref().and_then(|l| l.latitude),
            longitude: location.as_ref().and_then(|l| l.longitude),
        };
        (place != Place::default()).then_some(place)
    }
}

fn form(error: &dyn fmt::Display) -> Error {
    Error::Form {
        what: error.to_string().replace('\n', " "),
    }
}
