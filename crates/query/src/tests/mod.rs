//! The tests of this crate.

mod conditions;
mod encode;
mod limits;
mod oracle;
mod profiles;
mod scan;
mod spec;
mod store;
mod support;
mod table;
