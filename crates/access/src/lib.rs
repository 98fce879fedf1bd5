//! Who may do what, and the context that everything is passed.
//!
//! [`Cx`] carries everything with a lifetime (clock, randomness, log, metrics, policy) and is
//! passed first. A [`Credential`] says who asks; [`decide`] asks the policy and answers with a
//! [`Granted`], the proof that data functions take instead of a bare tenant id.
//!
//! Promises
//! - [`decide`] and [`decide_cell`] are the only makers of grants, and a grant is neither `Clone`
//!   nor serialisable: holding one means that the policy was asked about this very request.
//! - What no policy allows is denied. Another tenant's things answer as if they did not exist.
//! - A log line has no place for free text, so a cause that quotes data cannot reach it.
//!
//! Does not know how a credential is presented, hashed or stored: its holder looks it up and hands
//! in what the record says.

mod action;
mod actor;
mod cx;
mod grant;
mod log;
mod metrics;
mod policy;
mod scope;

pub use action::{
    AdministerTenant, CellAction, Hunt, Ingest, Maintain, ManageIncidents, ManageRules,
    ManageSources, ManageTokens, Operate, ReadAudit, ReadEgress, ReadIncidents, ReadTenant,
    ResidencyRead, TenantAction,
};
pub use actor::{Actor, Credential};
pub use cx::Cx;
pub use grant::{Denied, Granted, GrantedCell, Target, decide, decide_cell};
pub use log::{Discard, Field, JsonLines, Level, Line, LogSink, Value, Word};
pub use metrics::{Counter, Gauge, Histogram, Label, Metrics, SECONDS};
pub use policy::{Policy, PolicyError};
pub use scope::{Only, Permission, Permissions, Scope};

#[cfg(test)]
mod tests;
