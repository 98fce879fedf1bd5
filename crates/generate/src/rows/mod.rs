//! One function per table: what a scene says goes in, a row with all documented columns comes out.
//!
//! A column that a row has no value for is written as the export writes it, `null` or `""`. The
//! tests compare every row's keys with the schema in both directions.

pub(crate) mod alerts;
pub(crate) mod cloud;
pub(crate) mod device_event;
pub(crate) mod email;
pub(crate) mod endpoint;
pub(crate) mod identity;
pub(crate) mod report;
