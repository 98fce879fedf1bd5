//! The region and its registry.

use model::{GeographyCode, RegionCode, RuleId, ServiceName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which region this is; says nothing of any tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegionView {
    /// The region.
    #[schema(value_type = String)]
    pub region: RegionCode,
    /// The geography that it is a deployment of.
    #[schema(value_type = String)]
    pub geography: GeographyCode,
    /// The country that the registry declares it to be in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Version of the registry accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_version: Option<u64>,
    /// The public key that this cell signs with, 64 hex digits.
    pub cell_key: String,
    /// What the operator says of this deployment, for example that its geography is simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Whether the cell serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`: it answers.
    pub status: String,
    /// The region.
    #[schema(value_type = String)]
    pub region: RegionCode,
    /// `ok`, or `failing` if a step of detection failed for some tenant when it was tried last.
    pub detection: String,
}

/// How much of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegistryQuery {
    /// Give the whole document too.
    #[serde(default)]
    pub full: bool,
}

/// The registry accepted last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RegistryView {
    /// Its version.
    pub version: u64,
    /// Digest of its payload.
    pub digest: String,
    /// The deployments.
    pub regions: Vec<RegionSummary>,
    /// The geographies.
    pub geographies: Vec<GeographySummary>,
    /// The services.
    pub services: Vec<ServiceSummary>,
    /// Their storage rules.
    pub rules: Vec<RuleSummary>,
    /// How many countries a tenant may be of.
    pub countries: usize,
    /// All of it, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub document: Option<serde_json::Value>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegionSummary {
    /// Its code.
    #[schema(value_type = String)]
    pub code: RegionCode,
    /// The geography that it is a deployment of.
    #[schema(value_type = String)]
    pub geography: GeographyCode,
    /// The country that its disks are in.
    pub country: String,
    /// Where clients reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A named set of countries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GeographySummary {
    /// Its code.
    #[schema(value_type = String)]
    pub code: GeographyCode,
    /// In English.
    pub name: String,
    /// How many countries it has, those of contained geographies included.
    pub countries: usize,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ServiceName,
    /// How many tables are its.
    pub tables: usize,
}

/// A storage rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleSummary {
    /// Whose.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// Its name.
    #[schema(value_type = String)]
    pub id: RuleId,
    /// Its version.
    pub version: u32,
    /// The month or day whose facts it restates.
    pub as_of: String,
    /// `a` or `b`.
    pub basis: String,
}

/// A registry that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistryAccepted {
    /// Its version.
    pub version: u64,
    /// Digest of its payload.
    pub digest: String,
}
