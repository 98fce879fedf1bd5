//! What left, what happened, and what is known of a file, a device or a user.

use std::collections::BTreeMap;

use model::{RegionCode, SegmentId, TableName, Ticks};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::alerts::{Alert, Entity, Incident, ReadyHunt};

/// What left of one segment for the centre, or that nothing did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Egress {
    /// The batch: the segment that it was made of.
    #[schema(value_type = String)]
    pub batch: SegmentId,
    /// Number of its ledger leaf.
    pub sequence: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Ticks,
    /// `sent`: what may leave has left; `nothing`: nothing in the segment may leave, and nothing was
    /// sent; `dropped`: it waited too long, or the export was switched off. A batch with facts that was
    /// dropped may have arrived: nobody signed for it.
    pub outcome: String,
    /// Rows of the segment.
    pub rows: u64,
    /// Facts that left.
    pub facts: u64,
    /// Bytes that left.
    pub bytes: u64,
    /// When the centre had it, as it signed; absent if nothing left or nobody signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Ticks>,
    /// The signed receipt of what left; absent if nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// What the gate signed of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The region that sent it.
    #[schema(value_type = String)]
    pub region: RegionCode,
    /// Number of the epoch whose secret made its tokens.
    pub epoch: u32,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Ticks,
    /// Version of the allow-list.
    pub allow_list_version: u64,
    /// SHA-256 of the allow-list.
    pub allow_list_digest: String,
    /// SHA-256 of the bytes that left.
    pub digest: String,
    /// What left, column by column.
    pub left: Vec<Left>,
}

/// Values of one column that left, in one form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Left {
    /// The table.
    #[schema(value_type = String)]
    pub table: TableName,
    /// The column.
    pub column: String,
    /// The form in which its values left.
    pub transform: String,
    /// How many facts.
    pub facts: u64,
}

/// What left, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct EgressPage {
    /// The batches of this page.
    pub egress: Vec<Egress>,
    /// Batches that are packed and may have left, and that the centre has not signed for yet.
    #[serde(default)]
    pub waiting: Waiting,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Batches that wait for the centre's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// How many.
    pub batches: u64,
    /// Their facts.
    pub facts: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The tenant link, as one region sees it: alerts without content go from where they were made to the
/// tenant's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// The region at the other end.
    #[schema(value_type = String)]
    pub with: RegionCode,
    /// Alerts that were ever put into the outbox for it; absent at home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Of these, the ones that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// Bytes of all of them, as sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Alerts that stay where they were made for good, because of the cap per rule and day.
    pub held_back: u64,
}

/// The tenant link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct LinkPage {
    /// One per region at the other end.
    pub links: Vec<Link>,
}

/// Which part of the record of what happened to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Made at this instant or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub since: Option<Ticks>,
    /// Made before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub until: Option<Ticks>,
    /// Items of the page, 1 to 1,000; 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// One row of the record of what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// The number of its ledger leaf.
    pub sequence: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Ticks,
    /// Who.
    pub actor: String,
    /// What.
    pub happening: String,
    /// Opaque ids, versions, counts and digests that say to what: as in the leaf.
    pub details: BTreeMap<String, String>,
    /// What the leaf must not say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub private: BTreeMap<String, String>,
}

/// The record of what happened, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The rows of this page.
    pub audit: Vec<AuditRow>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What the centre's last snapshot says of a file. Nobody outside learns that it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileProfile {
    /// As asked, lower case.
    pub sha256: String,
    /// At least so many owner groups ran or loaded it; absent if fewer than ten did, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_prevalence: Option<u32>,
    /// The first day on which ten had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_day: Option<String>,
    /// What enough owner groups saw it used for: ATT&CK technique ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
    /// The snapshot that says so; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotName>,
}

/// A snapshot of the centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotName {
    /// Its number.
    pub number: u64,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    pub published_at: Ticks,
}

/// What is known of a device or a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntityDetail {
    /// As alerts whose content is here name it; several if the text fits several.
    pub entities: Vec<Entity>,
    /// The alerts that name it, the newest first, at most 200; also those whose content rests
    /// elsewhere.
    pub alerts: Vec<Alert>,
    /// Number of such alerts, listed or not.
    pub alerts_found: usize,
    /// Whether older alerts were not looked through.
    pub is_cut: bool,
    /// Their incidents, the newest first.
    pub incidents: Vec<Incident>,
    /// Hunts to go on with.
    pub hunts: Vec<ReadyHunt>,
    /// What the reader should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// A rule's text to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDraft {
    /// The text, YAML.
    pub text: String,
}

/// Something wrong with a rule's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleProblem {
    /// Title of the rule, if it got that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// `error`: the rule cannot be added; `warning`: it may not do what its writer thinks; `hint`.
    pub weight: String,
    /// What is wrong.
    pub message: String,
}

/// Everything that is wrong with a rule's text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RuleProblems {
    /// The problems, by line.
    pub problems: Vec<RuleProblem>,
}
