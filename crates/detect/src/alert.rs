//! Detections and hits to alerts.
//!
//! An alert's id is a keyed hash of what was found (rule, version, and row, or window end and group),
//! so that evaluating again makes the same alert. The key is the tenant's and the caller's.

use model::{Alert, AlertId, RecordRef, RegionCode, RuleKind, TableName, Ticks, limits};
use rows::RecordBatch;

use crate::cells::Rows;
use crate::correlation::CorrelationHit;
use crate::engine::Detection;
use crate::entities;
use crate::rule::{Rule, RuleSet, cut};

/// `AlertInfo.DetectionSource` of alerts by single-row rules.
pub const SOURCE_SIGMA: &str = "Sigma rule";
/// `AlertInfo.DetectionSource` of alerts by correlations.
pub const SOURCE_CORRELATION: &str = "Sigma correlation";
/// `AlertInfo.DetectionSource` of alerts by scheduled queries.
pub const SOURCE_SCHEDULED: &str = "Scheduled query";

/// Matched fields that a description quotes.
const QUOTED_MAX: usize = 8;
/// Bytes of one quoted value.
const QUOTED_BYTES_MAX: usize = 256;

/// What the caller knows that a detection does not.
#[derive(Clone, Copy)]
pub struct Making<'a> {
    /// Where the rows and their alerts rest.
    pub region: &'a RegionCode,
    /// When the alerts are made.
    pub now: Ticks,
    /// The keyed hash under the tenant's key.
    pub hash: &'a dyn Fn(&[u8]) -> [u8; 16],
}

impl std::fmt::Debug for Making<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Making")
            .field("region", self.region)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// The alerts of a batch's detections, in their order.
pub fn of_detections(
    rules: &RuleSet,
    table: &TableName,
    batch: &RecordBatch,
    detections: &[Detection],
    making: &Making<'_>,
) -> Vec<Alert> {
    let rows = Rows::new(table, batch);
    detections
        .iter()
        .filter_map(|d| of_detection(rules, &rows, d, making))
        .collect()
}

fn of_detection(
    rules: &RuleSet,
    rows: &Rows<'_>,
    detection: &Detection,
    making: &Making<'_>,
) -> Option<Alert> {
    let rule = rules.rules.get(detection.rule)?;
    let record = &detection.record;
    Some(Alert {
        id: id(rule, &[record.row.as_bytes()], making.hash),
        vendor_id: None,
        rule: rule.reference.clone(),
        title: rule.title.clone(),
        description: described(rule, &detection.matched),
        severity: rule.severity,
        category: rule.category.clone(),
        techniques: rule.techniques.clone(),
        service: detection.service.clone(),
        origin: making.region.clone(),
        detection_source: SOURCE_SIGMA.to_owned(),
        created_at: making.now,
        first_at: record.at,
        last_at: record.at,
        entities: entities::of_row(rows, detection.row),
        records: vec![record.clone()],
    })
}

/// The alert of a correlation's hit.
pub fn of_hit(rules: &RuleSet, hit: &CorrelationHit, making: &Making<'_>) -> Option<Alert> {
    let rule = rules.rules.get(hit.rule)?;
    let mut matched = hit.group.clone();
    matched.push(("rows".to_owned(), hit.rows.to_string()));
    let times = || hit.records.iter().map(|r| r.at);
    Some(Alert {
        id: hit.id,
        vendor_id: None,
        rule: rule.reference.clone(),
        title: rule.title.clone(),
        description: described(rule, &matched),
        severity: rule.severity,
        category: rule.category.clone(),
        techniques: rule.techniques.clone(),
        service: hit.service.clone(),
        origin: making.region.clone(),
        detection_source: SOURCE_CORRELATION.to_owned(),
        created_at: making.now,
        first_at: times().min().unwrap_or(hit.start),
        last_at: times().max().unwrap_or(hit.last_at),
        entities: hit.entities.clone(),
        records: first_records(hit.records.clone()),
    })
}

pub(crate) fn first_records(mut records: Vec<RecordRef>) -> Vec<RecordRef> {
    records.truncate(limits::ALERT_RECORDS_MAX);
    records
}

/// The id of what a rule found; `found` are the parts that tell it from the rule's other finds.
fn id(rule: &Rule, found: &[&[u8]], hash: &dyn Fn(&[u8]) -> [u8; 16]) -> AlertId {
    let word = match rule.reference.kind {
        RuleKind::Sigma => "row",
        _ => "other",
    };
    let version = rule.reference.version.to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![rule.reference.id.as_str().as_bytes(), &version];
    parts.extend_from_slice(found);
    AlertId::from_bytes(hash(&labelled(word, &parts)))
}

/// Parts as one byte string that no other parts make: each with its length.
pub(crate) fn labelled(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = label.as_bytes().to_vec();
    bytes.push(0);
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The rule's words, and what it matched here.
fn described(rule: &Rule, matched: &[(String, String)]) -> String {
    let mut text = cut(&rule.description, limits::ALERT_DESCRIPTION_BYTES_MAX);
    for (at, (field, value)) in matched.iter().take(QUOTED_MAX).enumerate() {
        text.push_str(if at == 0 && !text.is_empty() {
            "\n\n"
        } else if at == 0 {
            ""
        } else {
            "\n"
        });
        text.push_str(field);
        text.push_str(": ");
        text.push_str(&cut(value, QUOTED_BYTES_MAX));
    }
    text
}
