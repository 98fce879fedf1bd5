//! Alerts, incidents and rules.

use std::collections::BTreeMap;

use model::{
    AlertId, DetectionRuleId, IncidentId, RegionCode, RowId, ServiceName, TableName, Ticks,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which alerts to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Made at this instant or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub from: Option<Ticks>,
    /// Made before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub to: Option<Ticks>,
    /// Of this severity or a worse one: `Informational`, `Low`, `Medium`, `High`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Of this incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<u64>,
    /// Items of the page, 1 to 1,000; 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// The rule behind an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleName {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DetectionRuleId,
    /// Its version, a hash of its text.
    pub version: String,
    /// `sigma`, `correlation`, `scheduled` or `vendor`.
    pub kind: String,
}

/// An alert in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its id.
    #[schema(value_type = String)]
    pub id: AlertId,
    /// The id that a vendor gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Its title; that of its rule if its content rests elsewhere.
    pub title: String,
    /// `Informational`, `Low`, `Medium` or `High`.
    pub severity: String,
    /// Tactic.
    pub category: String,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// The service whose rows it rests on.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// The region where its content rests.
    #[schema(value_type = String)]
    pub origin: RegionCode,
    /// Whether its content is in this region.
    pub is_here: bool,
    /// What found it.
    pub rule: RuleName,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Ticks,
    /// Time of the first row behind it.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Ticks,
    /// Time of the last row behind it.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Ticks,
    /// The incident that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub incident: Option<IncidentId>,
}

/// Alerts, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AlertPage {
    /// The alerts of this page.
    pub alerts: Vec<Alert>,
    /// Rows of the tenant that lists leave out because they are damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedRow>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Something that an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entity {
    /// As in `AlertEvidence.EntityType`.
    pub kind: String,
    /// `Impacted` or `Related`.
    pub role: String,
    /// How it is called.
    pub name: String,
    /// Ways of recognising it, by kind.
    pub keys: BTreeMap<String, Vec<String>>,
    /// More, by the name of its column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// A row that an alert rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordName {
    /// The row's table.
    #[schema(value_type = String)]
    pub table: TableName,
    /// The row: `residency explain` says why it is where it is.
    #[schema(value_type = String)]
    pub row_id: RowId,
    /// The row's own time.
    #[schema(value_type = String, format = DateTime)]
    pub at: Ticks,
}

/// An alert with its content, wherever that rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertDetail {
    /// As in a list.
    #[serde(flatten)]
    pub alert: Alert,
    /// What it means, and what the rule matched; absent if the content could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The product or engine that found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection_source: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
    /// The rows behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordName>,
    /// What the reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// Which incidents to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// `active`, `inProgress`, `resolved` or `redirected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Of this severity or a worse one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Assigned to exactly this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// Changed at this instant or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub updated_since: Option<Ticks>,
    /// Items of the page, 1 to 1,000; 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// An incident in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// Its number.
    #[schema(value_type = u64)]
    pub id: IncidentId,
    /// Its name.
    pub name: String,
    /// `active`, `inProgress`, `resolved` or `redirected`.
    pub status: String,
    /// `Informational`, `Low`, `Medium` or `High`.
    pub severity: String,
    /// From 0 to 100: how much it looks like an intrusion.
    pub score: u8,
    /// Whom it is assigned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// What it turned out to be.
    pub classification: String,
    /// What kind of it.
    pub determination: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its alerts' tactics, in the order of the kill chain.
    pub tactics: Vec<String>,
    /// Its alerts' techniques.
    pub techniques: Vec<String>,
    /// The services that its alerts are of.
    #[schema(value_type = Vec<String>)]
    pub services: Vec<ServiceName>,
    /// The regions where its alerts' content rests.
    #[schema(value_type = Vec<String>)]
    pub origins: Vec<RegionCode>,
    /// Number of its alerts.
    pub alert_count: usize,
    /// Number of different devices.
    pub devices: usize,
    /// Number of different accounts and mailboxes.
    pub accounts: usize,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Ticks,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Ticks,
    /// Time of the first row behind its alerts.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Ticks,
    /// Time of the last row behind its alerts.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Ticks,
    /// Where it went, if it was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub redirected_to: Option<IncidentId>,
}

/// Incidents, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct IncidentPage {
    /// The incidents of this page.
    pub incidents: Vec<Incident>,
    /// Rows of the tenant that lists leave out because they are damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedRow>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A stretch of an incident's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// `mail`, `click`, `sign-in`, `process`, `directory`, `consent`, `cloud` or `other`.
    pub stage: String,
    /// Time of the first row behind it.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Ticks,
    /// Time of the last row behind it.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Ticks,
    /// Its alerts.
    #[schema(value_type = Vec<String>)]
    pub alerts: Vec<AlertId>,
    /// The kind of key that it shares with an earlier step, and the seconds between the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

/// What a step shares with an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Via {
    /// The earlier step's alert.
    #[schema(value_type = String)]
    pub from: AlertId,
    /// The kind of the key.
    pub key: String,
    /// Whole seconds from that alert to this step's; negative if this step's came first.
    pub seconds: i64,
}

/// A ready-made hunt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyHunt {
    /// What it answers.
    pub title: String,
    /// The query.
    pub query: String,
    /// The region where its rows rest and that is to be asked; absent if no region takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// An incident with its alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentDetail {
    /// As in a list.
    #[serde(flatten)]
    pub incident: Incident,
    /// The path it took, for example `mail → click → sign-in → process → consent`.
    pub path: String,
    /// The path's steps.
    pub steps: Vec<Step>,
    /// Its alerts, by time.
    pub alerts: Vec<Alert>,
    /// What its alerts are about, as far as their content is in this region: a page of it, of at most
    /// `limit` entities and 1 MiB.
    pub entities: Vec<Entity>,
    /// All that they are about, listed or not.
    pub entities_found: usize,
    /// For the next page of entities; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    /// What the reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Number of alerts whose content rests elsewhere, by region.
    pub elsewhere: BTreeMap<String, usize>,
    /// Hunts to go on with.
    pub hunts: Vec<ReadyHunt>,
}

/// What of an incident is to change; what is absent stays. One of `link`, `unlink` and `merge` stands
/// alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentChange {
    /// `active`, `inProgress` or `resolved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whom it is assigned to; an empty text takes it from whoever has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// `unknown`, `truePositive`, `informationalExpectedActivity` or `falsePositive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// What kind of it; each belongs to one classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub determination: Option<String>,
    /// In place of the worst of its alerts; an empty text goes back to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// In place of the made one; an empty text goes back to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tags to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags to take away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// A note for the activity log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// An alert of another incident to move here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub link: Option<AlertId>,
    /// An alert to move out, into an incident of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unlink: Option<AlertId>,
    /// Incidents to merge with this one; the oldest stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<u64>)]
    pub merge: Vec<IncidentId>,
}

/// An entry of an incident's activity log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Activity {
    /// Its number among the incident's entries, from 1 without a gap.
    pub sequence: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Ticks,
    /// Who.
    pub who: String,
    /// What, one word of a fixed list.
    pub what: String,
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The alert that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub alert: Option<AlertId>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Entries of an activity log, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ActivityPage {
    /// The entries of this page.
    pub activity: Vec<Activity>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A detection rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DetectionRuleId,
    /// One line.
    pub title: String,
    /// `sigma`, `correlation` or `scheduled`.
    pub kind: String,
    /// How bad what it finds is.
    pub severity: String,
    /// Tactic.
    pub category: String,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// `starter`, `cell` or `tenant`.
    pub origin: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Its text; only when one rule is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why it does not run: of a scheduled rule whose last run failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<RuleFailure>,
}

/// Why a scheduled rule does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleFailure {
    /// The code of the last failure.
    pub code: String,
    /// What happened.
    pub message: String,
    /// When it failed first without a good run after it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Ticks,
    /// First moment of the window that it failed with last.
    #[schema(value_type = String, format = DateTime)]
    pub window_from: Ticks,
    /// End of that window.
    #[schema(value_type = String, format = DateTime)]
    pub window_to: Ticks,
}

/// A row that does not open: changed on the disk, or brought from elsewhere. It is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DamagedRow {
    /// The catalogue's table.
    pub table: String,
    /// The row: its number or id.
    pub number: String,
}

/// Rules, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RulePage {
    /// The rules of this page.
    pub rules: Vec<Rule>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A rule to be added, or to stand in place of the one with its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// Its text, YAML.
    pub text: String,
    /// Whether it runs.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Whether a rule is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSwitch {
    /// Whether it is to run.
    pub enabled: bool,
}

fn yes() -> bool {
    true
}
