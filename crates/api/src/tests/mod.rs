//! Tests of the interface, against real cells over temporary directories.

mod authority;
mod connections;
mod description;
mod evidence;
mod failures;
mod handshakes;
mod kit;
mod present;
mod requests;
