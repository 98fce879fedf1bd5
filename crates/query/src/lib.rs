//! Hunting: a resolved query becomes a DataFusion plan over snapshots, runs within limits, and gives
//! columns and rows.
mod json;
mod kernels;
