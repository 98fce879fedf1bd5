//! The tests of this crate.

mod conformance;
mod hunting;
mod limits;
mod scan;
mod spec;
mod store;
mod support;
mod table;
