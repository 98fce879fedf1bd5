//! Tests of the store.

mod append;
mod audit;
mod catalogue;
mod damage;
mod detection;
mod disks;
mod egress;
mod guards;
mod incidents;
mod kit;
mod landmark;
mod local;
mod log;
mod memory_catalogue;
mod merge;
mod model;
mod order;
mod temporary;
mod witness;
