//! Tests of the interface, against real cells over temporary directories.

mod authority;
mod connections;
mod description;
mod evidence;
mod failures;
mod kit;
mod present;
mod requests;
