//! Where data may rest, and the proof that it was asked.
//!
//! A signed [`Registry`] says which regions exist, which geographies and countries there are, which
//! service a table belongs to, and where each service's storage rule wants its data. [`plan`] turns a
//! tenant's country and geography into one region per service, or a refusal; the [`Provisioning`]
//! record pins that; a [`CellProfile`] tells a tenant's second cell its part; and [`place`] mints the
//! [`Placement`] without which nothing is stored.
//!
//! Promises
//! - Pure functions over signed documents: no I/O, no clock, no randomness. The caller holds bytes,
//!   keys and the time.
//! - No geography is a constant of this program: `data/default_registry.json` is data, and an
//!   operator replaces it by configuration.
//! - The same documents give the same answer on every machine; the order is written at [`plan`].
//! - What comes from outside is used only after its signature was checked over its exact bytes.
//!
//! What may leave for the centre is in [`egress`]: the allow-list, the batch that it permits, its
//! receipt and the snapshot that comes back. Nothing in the other modules knows of it.

pub mod egress;
pub mod signed;

mod country;
mod error;
mod place;
mod plan;
mod profile;
mod provisioning;
mod registry;
mod render;

pub use country::CountryCode;
pub use error::Error;
pub use place::{NotHere, Placement, TenantPlacement, place, service_of};
pub use plan::{
    Candidate, GeographyChoice, Outcome, Pin, Plan, RuleRef, ServicePlan, TenantFacts, Verdict,
    plan,
};
pub use profile::{CellProfile, Opaque, Order, ProfileInput, ProfileSource};
pub use provisioning::{CentreMode, Earlier, Provisioning, Settings, Sharing};
pub use registry::{
    Basis, Case, Country, Document, Draft, Geography, Place, Region, Registry, Rule, Service, Want,
};
pub use render::render_plan;
pub use signed::{Accepted, Digest, Kind, Verified};

/// The registry that is shipped, unsigned: an operator signs it, or one made from it.
pub const DEFAULT_REGISTRY: &str = include_str!("../data/default_registry.json");

#[cfg(test)]
mod tests;
