//! Tests of `access`.

mod log;
mod matrix;
mod metrics;
mod scope;
