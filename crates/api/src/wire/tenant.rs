//! Tenants: where their data goes, what they chose, their sources.

use std::collections::BTreeSet;

use model::{
    GeographyCode, OwnerGroupId, RegionCode, RuleId, ServiceName, SourceId, TenantId, Ticks,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items of the page, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = 100, minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// `next_page_token` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// What is known of a tenant before it is provisioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Two letters, or a name that the registry knows.
    #[schema(example = "FR")]
    pub country: String,
    /// The geography it chose; without one, the registry's suggestion for the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "EU")]
    pub geography: Option<GeographyCode>,
}

/// Where everything of a tenant would rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// What confirms exactly this plan: hand it in as `confirmed`.
    pub digest: String,
    /// Version of the registry that it was made with.
    pub registry_version: u64,
    /// The tenant's country.
    pub country: String,
    /// The tenant's geography.
    #[schema(value_type = String)]
    pub geography: GeographyCode,
    /// `chosen`, or `suggested` by the registry for the country.
    pub geography_choice: String,
    /// The region that keeps the tenant's own data and its record.
    #[schema(value_type = String)]
    pub home: RegionCode,
    /// One entry per service, by name.
    pub services: Vec<ServicePlan>,
    /// The plan as text, for people.
    pub rendered: String,
}

/// The decision about one service, with everything that was weighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServicePlan {
    /// The decision.
    #[serde(flatten)]
    pub pin: Pin,
    /// The month or day whose facts the rule restates.
    pub as_of: String,
    /// The wanted places in order, and what became of each.
    pub candidates: Vec<Candidate>,
}

/// One wanted place and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    /// The place.
    pub place: Place,
    /// `picked`, `no_region`, or `not_reached`.
    pub verdict: String,
    /// The regions that satisfy it, in the order of the pick.
    #[schema(value_type = Vec<String>)]
    pub regions: Vec<RegionCode>,
}

/// The decision about one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// The service.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// The rule that decided.
    #[schema(value_type = String)]
    pub rule: RuleId,
    /// Its version.
    pub rule_version: u32,
    /// `a`: the tenant's own geography; `b`: the storage rule of the service.
    pub basis: String,
    /// The places that the rule wants for this tenant, best first.
    pub wanted: Vec<Place>,
    /// Where it goes, or that it goes nowhere.
    pub outcome: Outcome,
}

/// A place as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Any country of this geography.
    #[schema(value_type = String)]
    Geography(GeographyCode),
    /// This country.
    Country(String),
}

/// What a rule came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// New records rest here.
    Placed {
        /// The region.
        #[schema(value_type = String)]
        region: RegionCode,
        /// The geography that the region is a deployment of.
        #[schema(value_type = String)]
        geography: GeographyCode,
        /// The country that the region is in.
        country: String,
    },
    /// No deployed region satisfies the rule; records of the service are rejected.
    Refused {
        /// The countries in which a region would satisfy it.
        countries: Vec<String>,
    },
}

/// A tenant to be provisioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvisionRequest {
    /// What the operator calls it; sealed, known at home only.
    pub name: String,
    /// Two letters, or a name that the registry knows.
    #[schema(example = "FR")]
    pub country: String,
    /// The geography it chose; as in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "EU")]
    pub geography: Option<GeographyCode>,
    /// `digest` of the plan that was shown.
    pub confirmed: String,
    /// Retention, consent, centre.
    pub settings: Settings,
    /// An id of the caller's, 32 hex digits, so that a retry is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
}

/// Country and geography put right before the first record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Two letters, or a name that the registry knows.
    pub country: String,
    /// The geography it chose; as in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub geography: Option<GeographyCode>,
    /// `digest` of the plan that was shown.
    pub confirmed: String,
}

/// A plan that was shown and is now confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    /// `digest` of the plan.
    pub confirmed: String,
}

/// What a tenant chooses beside its place, and may change later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Days that records are kept after their ingestion, 30 to 180.
    #[schema(example = 180)]
    pub retention_days: i64,
    /// Which services may see each other's data; none if it is not said.
    #[serde(default)]
    pub sharing: Sharing,
    /// What the centre may be told: `off` or `facts`; `off` if it is not said.
    #[serde(default = "off")]
    #[schema(example = "off")]
    pub centre: String,
    /// Whether hunts may read rows from the tenant's other cells.
    #[serde(default = "yes")]
    pub federated_reads: bool,
    /// The provider or parent it counts with; without one it counts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner_group: Option<OwnerGroupId>,
}

fn off() -> String {
    "off".to_owned()
}

fn yes() -> bool {
    true
}

/// Which services may see each other's data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// None with any other.
    #[default]
    None,
    /// All with all.
    All,
    /// These pairs; which of a pair stands first means nothing.
    #[schema(value_type = Vec<Vec<String>>)]
    Pairs(BTreeSet<(ServiceName, ServiceName)>),
}

/// What of the settings is to change; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// Days that records are kept after their ingestion, 30 to 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<i64>,
    /// Which services may see each other's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// What the centre may be told: `off` or `facts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre: Option<String>,
    /// Whether hunts may read rows from the tenant's other cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_reads: Option<bool>,
}

/// A tenant as this region knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// The tenant.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Its name; only at home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its home region.
    #[schema(value_type = String)]
    pub home: RegionCode,
    /// Its country; only at home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Its geography; only at home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub geography: Option<GeographyCode>,
    /// Version of the signed record, or of the profile in a second cell.
    pub version: u64,
    /// Version of the registry that it accepted.
    pub registry_version: u64,
    /// Digest of that registry.
    pub registry_digest: String,
    /// Where each service rests; in a second cell, only those held there.
    pub services: Vec<Pin>,
    /// What it chose; only at home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// When its first record arrived here; the placement is fixed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_record_at: Option<Ticks>,
    /// Second cells that have not taken the newest profile yet.
    #[schema(value_type = Vec<String>)]
    pub pending: Vec<RegionCode>,
    /// How detection of the tenant is in this region; only when one tenant is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<Detection>,
    /// What is missing before anything can leave this region for the centre, though the tenant wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_waits_for: Option<String>,
}

/// How detection of a tenant is in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detection {
    /// `ok` or `failing`.
    pub status: String,
    /// The step that failed when it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Ticks>,
    /// Scheduled rules whose last run failed.
    pub rules_failing: usize,
    /// Rows of the catalogue that do not open and are left out.
    pub rows_damaged: usize,
    /// Rows that wait to be examined.
    pub lag_rows: usize,
    /// Their bytes in memory.
    pub lag_bytes: usize,
    /// When the oldest of them came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lag_since: Option<Ticks>,
}

/// Tenants, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TenantPage {
    /// The tenants of this page.
    pub tenants: Vec<Tenant>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A source to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceRequest {
    /// What its owner calls it.
    pub name: String,
    /// The services whose rows it may bring.
    #[schema(value_type = Vec<String>, example = json!(["endpoint", "identity"]))]
    pub services: Vec<ServiceName>,
    /// The tenant id that its envelopes carry, if they carry one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_tenant: Option<String>,
    /// Computers that are domain controllers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domain_controllers: Vec<String>,
    /// An id of the caller's, 32 hex digits, so that a retry is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceId>,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// Its id.
    #[schema(value_type = String)]
    pub source: SourceId,
    /// What its owner calls it; only at home.
    pub name: String,
    /// The services whose rows it may bring.
    #[schema(value_type = Vec<String>)]
    pub services: Vec<ServiceName>,
    /// The tenant id that its envelopes carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_tenant: Option<String>,
    /// Computers that are domain controllers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domain_controllers: Vec<String>,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Ticks,
    /// Whether it is switched off.
    pub disabled: bool,
    /// What it brought to this region.
    pub counts: SourceCounts,
    /// When its last row was stored here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_stored_at: Option<Ticks>,
}

/// What a source brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SourceCounts {
    /// Rows stored.
    pub stored: u64,
    /// Of these, raw ones.
    pub raw: u64,
    /// Rows that had been stored before.
    pub duplicate: u64,
    /// Records refused.
    pub rejected: u64,
    /// Records that belong to another region.
    pub wrong_region: u64,
}

/// Sources, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SourcePage {
    /// The sources of this page.
    pub sources: Vec<Source>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
