//! The tests of this crate.

mod conditions;
mod encode;
mod limits;
mod profiles;
mod oracle;
mod scan;
mod spec;
mod store;
mod support;
mod table;
