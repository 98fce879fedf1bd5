//! The residency walker: says what rests where, with code of its own.
//!
//! ```text
//! raw(places)  every file: of a known format, whole, sealed; no marker in any of its bytes
//! open(dir)    every value that the region's own keys open: which markers lie where
//! open_centre  every value that the centre's keys open: no marker may be there
//! judge        found places against the places that the storage rules give
//! controls     the same searches over a damaged copy: each must hit
//! ```
//!
//! Promises
//! - Shares no code with `store`: formats are read here a second time, from their documentation, so a
//!   mistake of the one is not repeated by the other.
//! - Changes nothing in the directories that it reads, and makes no file beside them. Only
//!   [`controls`] writes, into a folder that the caller gives.
//! - No report quotes what it found: markers are named by their number, places by path and offset.
//!
//! All functions block and read much; call them where that does no harm. Run them on a directory whose
//! process is stopped or idle: files that go while they are looked at are left out, but rows that move
//! from log to segment in that moment may be missed.
//!
//! Does not decide where data belongs (the caller's `expected` does) and opens nothing with keys of
//! another region.

mod attributes;
mod catalogue;
mod controls;
mod error;
mod formats;
mod judge;
mod marker;
mod names;
mod needles;
mod opened;
mod places;
mod raw;
mod shape;
mod values;

pub use controls::{Control, ControlKind, Subject, controls};
pub use error::Error;
pub use judge::{Misplaced, Verdict, judge};
pub use marker::{Form, Marker, Planted};
pub use needles::Needles;
pub use opened::{Found, Holding, Opened, Rests, open, open_centre};
pub use places::{DataDir, Finding, Places, What};
pub use raw::{FileKind, Hit, RawReport, Tally, raw};

#[cfg(test)]
mod tests;
