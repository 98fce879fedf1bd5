//! Two ends of a connection on this machine, with certificates made for the test.

mod exchange;
mod kit;
