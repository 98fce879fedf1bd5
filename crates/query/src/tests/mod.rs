//! The tests of this crate.

mod conformance;
mod hunting;
mod limits;
mod scan;
mod spec;
mod support;
mod table;
