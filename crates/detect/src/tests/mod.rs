//! Rows in, detections, alerts and entities out.

mod alerts;
mod bounds;
mod conformance;
mod correlation;
mod engine;
mod entities;
mod help;
mod pack;
mod places;
mod schedule;
