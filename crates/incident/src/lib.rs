//! Alerts to incidents, across services and geographies, without a name.
//!
//! A pure machine per tenant: [`State::step`] takes an [`Input`] and the time and gives back what
//! changed. Alerts come as digests (`model::AlertDigest`: times, rule, severity, entity references as
//! keyed tokens), so an alert of another geography joins like any other.
//!
//! How alerts join: two alerts weigh what their shared keys say (see `strength`), less for keys that
//! are common at this tenant (see `rarity`) and for time between them (see `weigh`); from
//! [`JOIN_WEIGHT`] on they are one incident's, and incidents that an alert belongs to both of are merged
//! into the older. `docs/decisions/0012-incident-correlation.md` has the reasons and the figures.
//!
//! Promises
//! - Every alert handed in is in exactly one incident; handing it in again changes nothing.
//! - Services without consent between them are never in one incident.
//! - A state that was written and read back goes on exactly as one that was not.
//! - Everything is bounded by `model::limits::INCIDENT_*`; what a cap keeps out of one incident opens
//!   another.
//!
//! Does no I/O, reads no clock, draws no randomness, sees no content.

mod analyst;
mod codec;
mod effect;
mod incident;
mod index;
mod join;
mod member;
mod rarity;
mod score;
mod state;
mod story;
mod strength;
mod tactic;
mod weigh;

pub use analyst::{Change, Update};
pub use codec::BadBytes;
pub use effect::{Activity, Actor, Apart, Beside, Cap, Effect, Reason, Shared, What};
pub use incident::Summary;
pub use state::{Archived, Counters, Found, Input, Outcome, Refusal, State};
pub use story::{Path, Stage, Step, Via, story};
pub use strength::{JOIN_WEIGHT, WELL_KNOWN};
pub use tactic::Tactic;

#[cfg(test)]
mod tests;
