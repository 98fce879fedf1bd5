//! Clients behind the cell's ports: the tenant link and the centre, over mutual TLS.
//!
//! ```text
//! HttpPeers  (cell::PeerPort)    ── POST /peer/v1/…   ──► the cell of another region
//! HttpCentre (cell::CentrePort)  ── POST /centre/v1/… ──► the centre
//! ```
//!
//! Promises
//! - Both sides show a certificate of the configured authority, and each asks for the other's name:
//!   a cell's certificate does not pass for another region's, nor for the centre's ([`Party`]).
//! - TLS 1.2 or newer, no fallback to anything weaker, no system trust store.
//! - An answer is bounded in size and time; nothing is retried here: the reconciler that called does.
//!
//! Does not read files or configuration, and says nothing about the bytes that it moves: those are
//! signed, and whoever receives them verifies.

mod centre;
mod http;
mod peers;
mod tls;

pub use centre::HttpCentre;
pub use http::Endpoint;
pub use peers::HttpPeers;
pub use tls::{Error, Identity, Party, party_of};

#[cfg(test)]
mod tests;
