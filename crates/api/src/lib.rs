//! The HTTP interface of one cell: routes, wire types, description.
//!
//! [`router`] makes the service of one listener, which is one cell's. [`routes`] lists every route with
//! who may use it, [`openapi`] describes them, and [`wire`] has the types that go over the wire, for
//! clients too. [`present`] writes the rows of an answer as text, for whoever hunts without HTTP.
//!
//! Promises
//! - A token of another region is answered 421 from its prefix alone, before the body, alike for real
//!   and invented tenants.
//! - The tenant comes from the credential, or is in the path and the policy was asked about it.
//! - Every refusal has a stable code, a sentence and the request's id; no cause's text is in it.
//! - Bodies are bounded each and together; a handler's panic is one request's failure.
//!
//! [`serve`] listens; [`call_locally`] asks the same routes as the local operator, without a network.
//!
//! [`serve_peers`] listens for other cells and [`serve_centre`] for the centre's, behind mutual TLS.
//!
//! Does not choose certificates, and does not decide anything that the policy or the cell decides.

mod call;
mod centre;
mod connection;
mod convert;
mod failure;
mod hunting;
mod local;
mod page;
mod peers;
mod router;
mod routes;
mod secure;
mod serve;
mod serving;
pub mod wire;

pub use cell::present;
pub use centre::serve_centre;
pub use hunting::{finding, json as hunt_json};
pub use local::{LocalAnswer, LocalRequest, call_locally};
pub use peers::{PeerListener, WhoIs, serve_peers};
pub use router::{Access, Route, openapi, router, routes};
pub use serve::serve;

/// How a listener serves its cell.
#[derive(Debug, Clone, Default)]
pub struct ApiOptions {
    /// What the operator says of this deployment, shown to everybody.
    pub note: Option<String>,
    /// Whether the cell's figures are shown without a token: for a listener that only the machine
    /// itself can reach.
    pub metrics_open: bool,
}

#[cfg(test)]
mod tests;
