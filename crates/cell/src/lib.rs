//! One region: the service behind the API.
//!
//! A [`Cell`] owns the region's store, knows its tenants, sources and tokens, places and stores what
//! arrives, examines it with rules and joins alerts into incidents, answers hunts through the [`Hunting`]
//! port, talks to the tenant's other cells through the [`PeerPort`], hands facts to the [`CentrePort`],
//! and moves stored data on with idempotent steps.
//!
//! Promises
//! - Every function that touches a tenant's rows or settings takes the grant that allows it.
//! - A row is stored here only with a placement for this region; a row of another region is handed
//!   back in memory, neither stored nor forwarded.
//! - Which region a token belongs to is told from its prefix alone, alike for real and invented ones.
//!
//! Does not speak HTTP, read configuration or choose a query engine.

mod cell;
mod detection;
mod error;
mod evidence;
mod export;
mod hunt;
mod incidents;
mod ingestion;
pub mod link;
mod naming;
mod peers;
pub mod present;
mod reads;
mod residence;
mod rule_check;
mod sources;
mod stored;
mod tenants;
mod tokens;
mod upkeep;
mod viewing;

pub use cell::{Cell, CellOptions};
pub use detection::{DetectionHealth, LinkView, RuleFailure, RuleOrigin, RuleView};
pub use error::Error;
pub use evidence::{EntityView, Subject};
pub use export::{EgressView, ExportWaits, FileProfile, KnownFiles};
pub use hunt::{
    AlsoAnswer, HuntAnswer, HuntColumn, HuntCompletion, HuntCompletions, HuntOptions, HuntPlace,
    HuntSchema, HuntStats, Hunting, Prepared,
};
pub use incidents::{
    ActivityView, AlertDetail, AlertView, IncidentDetail, IncidentView, ReadyHunt,
};
pub use ingestion::{IngestOutcome, IngestRequest, Misdirected};
pub use peers::{CentrePort, NoCentre, NoPeers, PeerError, PeerPort};
pub use residence::{Explanation, ResidencyReport, ServiceResidence, TableResidence};
pub use rule_check::{Queries, check_rules, is_scheduled_rule};
pub use sources::{SourceRequest, SourceView};
pub use tenants::{ProvisionRequest, TenantView};
pub use tokens::{Minted, Refusal, TokenRequest, region_of_token};
pub use upkeep::StepReport;

pub use detect::{Problem as RuleProblem, RuleText, Weight};
pub use incident::{Activity, Change, Path, Stage, Step, Summary, Tactic, Update};
pub use ingest::{Format, Rejected, Tally};
pub use ledger::Leaf;
pub use residency::egress::{AllowList, Prevalence, PrevalenceBucket, Receipt};
pub use residency::{
    Candidate, CentreMode, CountryCode, Digest, GeographyChoice, Outcome, Pin, Place, Plan,
    Registry, ServicePlan, Settings, Sharing, TenantFacts, Verdict, render_plan,
};
pub use store::{
    AlertFilter, AuditEntry, AuditRange, DamagedRow, EgressOutcome, Error as StoreError,
    IncidentFilter, PartitionStatus, SourceCounts, TokenEntry, View,
};

#[cfg(test)]
mod tests;
