//! The tests of this crate.

mod conformance;
mod hunting;
mod support;
mod table;
