//! Rows in, detections, alerts and entities out.

mod alerts;
mod conformance;
mod correlation;
mod engine;
mod entities;
mod help;
mod pack;
mod schedule;
