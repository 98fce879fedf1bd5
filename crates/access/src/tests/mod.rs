//! Tests of `access`.

mod compile;
mod log;
mod matrix;
mod metrics;
mod scope;
