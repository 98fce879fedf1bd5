//! What goes over the wire: one type per request and answer.
//!
//! All types read and write both ways, because the command line client uses the same ones. They are
//! converted by hand from and to the types of the cell, so that a change inside does not change the
//! interface unseen. Requests refuse fields that they do not know; answers may gain fields, and a
//! client ignores those.
//!
//! Does not validate beyond shape: the cell does.

mod alerts;
mod data;
mod evidence;
mod hunt;
mod ingest;
mod region;
mod tenant;
mod token;

pub use alerts::{
    Activity, ActivityPage, Alert, AlertDetail, AlertPage, AlertQuery, DamagedRow, Entity,
    Incident, IncidentChange, IncidentDetail, IncidentPage, IncidentQuery, ReadyHunt, RecordName,
    Rule, RuleFailure, RuleName, RulePage, RuleSwitch, RuleText, Step, Via,
};
pub use data::{
    Explanation, FlushReport, Leaf, LeafPage, ResidencyReport, ServiceResidence, TableResidence,
};
pub use evidence::{
    AuditPage, AuditQuery, AuditRow, Egress, EgressPage, EntityDetail, FileProfile, Left, Link,
    LinkPage, Receipt, RuleDraft, RuleProblem, RuleProblems, SnapshotName, Waiting,
};
pub use hunt::{
    AlsoAnswer, Column, Completion, CompletionRequest, Completions, Finding, Findings,
    FormatRequest, Formatted, HuntAnswer, HuntFormat, HuntRequest, HuntStats,
};
pub use ingest::{IngestAnswer, IngestQuery, Misdirected, Rejection};
pub use region::{
    GeographySummary, Health, RegionSummary, RegionView, RegistryAccepted, RegistryQuery,
    RegistryView, RuleSummary, ServiceSummary,
};
pub use tenant::{
    Candidate, Confirmed, Correction, Detection, Outcome, PageQuery, Pin, Place, Plan, PlanRequest,
    ProvisionRequest, ServicePlan, Settings, SettingsChange, Sharing, Source, SourceCounts,
    SourcePage, SourceRequest, Tenant, TenantPage,
};
pub use token::{MintedToken, Token, TokenPage, TokenRequest};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Error {
    /// The stable code: what a program goes by.
    #[schema(example = "not_found")]
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// The request, as in the log and in the header `x-request-id`.
    pub request_id: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// More for programs; which members there are depends on the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<serde_json::Value>,
}

/// A body that is not JSON; only its description is needed.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(
    dead_code,
    reason = "stands for bytes in the description and is never made"
)]
pub(crate) struct Octets(Vec<u8>);
