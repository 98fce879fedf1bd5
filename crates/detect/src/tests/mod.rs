//! Rows in, detections, alerts and entities out.

mod conformance;
mod help;
mod pack;
