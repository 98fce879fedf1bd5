//! Rules on rows: what arrives is examined, and what is found becomes alerts.
//!
//! [`compile`] makes an [`Engine`] of rule texts; [`Engine::evaluate`] shows it a stamped batch; what
//! it finds becomes [`model::Alert`]s ([`alert`]), with what they are about ([`entities`]), as rows of
//! `AlertInfo` and `AlertEvidence` ([`alert_rows`]). Several rows that mean something together are
//! [`CorrelationState`]'s; another product's alerts are [`VendorAlerts`]'.
//! Queries on a schedule are [`schedule`]'s; [`starter_pack`] are rules of our own, which
//! [`rule_test`] tests.
//!
//! No I/O, no clock, no randomness: time is an argument, ids are made with a keyed hash that the
//! caller hands in, rule texts are handed in. Whatever is kept between two calls is a value that the
//! caller stores.

pub mod alert;
pub mod alert_rows;
pub mod attack;
mod bulk;
mod cells;
mod check;
mod compile;
mod correlation;
mod engine;
pub mod entities;
mod fit;
mod logsource;
mod pack;
mod place;
mod rule;
pub mod rule_test;
pub mod schedule;
mod source_fields;
mod taxonomy;
mod vendor;
mod version;
mod view;

pub use alert::Making;
pub use check::{check, explain};
pub use compile::{Compiled, compile};
pub use correlation::{CorrelationHit, CorrelationState, Step};
pub use engine::{Detection, Engine, Evaluated, SigmaEngine, is_stamped, newest};
pub use fit::{alert_bytes, fit};
pub use pack::{Pack, starter_pack};
pub use rule::{Problem, Rule, RuleSet, RuleText, WantedSource, Weight};
pub use vendor::VendorAlerts;

#[cfg(test)]
mod tests;
