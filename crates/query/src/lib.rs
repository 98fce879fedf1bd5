//! Hunting: a resolved query becomes a DataFusion plan over snapshots, runs within limits, and gives
//! columns and rows.
mod aggregates;
mod error;
mod json;
mod kernels;
mod lower;
mod nodes;
mod planner;
mod scan;
