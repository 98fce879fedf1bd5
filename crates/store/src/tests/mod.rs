//! Tests of the store.

mod append;
mod catalogue;
mod damage;
mod disks;
mod guards;
mod kit;
mod local;
mod log;
mod memory_catalogue;
mod merge;
mod model;
mod temporary;
