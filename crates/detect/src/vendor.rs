//! Alerts that another product made and exported: rows of `AlertInfo` and `AlertEvidence` to
//! [`Alert`]s.
//!
//! The two halves come in any order, in any number of batches, and more than once. [`VendorAlerts`],
//! one per tenant, joins them: an alert is given as soon as its `AlertInfo` is there, and again,
//! grown, whenever something new about it comes. Its id depends on the vendor's id alone, so the
//! later one replaces the earlier.
//!
//! Promises
//! - The vendor's id, title and severity stay as they are.
//! - Rows that this program made of its own alerts are not taken for a vendor's.
//! - Bounded by [`limits::VENDOR_ALERTS_PENDING_MAX`], [`limits::VENDOR_PENDING_BYTES_MAX`] and
//!   [`limits::VENDOR_PENDING_DAYS_MAX`], by the rows' time of arrival; what had to go is counted.

use std::collections::{BTreeMap, BTreeSet};

use model::ticks::Span100ns;
use model::{
    Alert, AlertId, AlertSeverity, DetectionRuleId, Entity, EntityKind, EntityRole, RecordRef,
    RegionCode, RuleKind, RuleRef, ServiceName, TableName, Ticks, limits,
};
use rows::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::alert::{
    Making, SOURCE_CORRELATION, SOURCE_SCHEDULED, SOURCE_SIGMA, first_records, labelled,
};
use crate::attack;
use crate::cells::Rows;
use crate::entities::{Draft, Found, canon};
use crate::fit::{entities_bytes, fit_entities, record_bytes, text_bytes};
use crate::rule::{cut, sorted};
use crate::version::Version;

/// What `AlertInfo` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Info {
    title: String,
    severity: AlertSeverity,
    category: String,
    techniques: Vec<String>,
    service: String,
    source: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    info: Option<Info>,
    entities: Vec<Entity>,
    records: Vec<RecordRef>,
    first_at: Option<Ticks>,
    last_at: Ticks,
    touched: Ticks,
    /// Bytes at rest, at most.
    #[serde(skip)]
    bytes: usize,
}

/// Bytes at rest around what is kept of one alert.
const PENDING_BYTES: usize = 512;

/// One tenant's vendor alerts in progress. Content: rests sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct VendorAlerts {
    pending: BTreeMap<String, Pending>,
    forgotten: u64,
}

/// The same, before it is measured.
#[derive(Deserialize)]
struct Stored {
    pending: BTreeMap<String, Pending>,
    forgotten: u64,
}

impl From<Stored> for VendorAlerts {
    fn from(stored: Stored) -> Self {
        let mut pending = stored.pending;
        for (id, one) in &mut pending {
            one.bytes = one.measure(id);
        }
        Self {
            pending,
            forgotten: stored.forgotten,
        }
    }
}

impl VendorAlerts {
    /// Whether rows of the table say something here.
    pub fn reads(table: &TableName) -> bool {
        matches!(table.as_str(), "AlertInfo" | "AlertEvidence")
    }

    /// Takes a stamped batch of `AlertInfo` or `AlertEvidence` (others say nothing) and gives the
    /// alerts that are new or have grown, by vendor id.
    pub fn advance(
        &mut self,
        table: &TableName,
        batch: &RecordBatch,
        making: &Making<'_>,
    ) -> Vec<Alert> {
        let rows = Rows::new(table, batch);
        let is_info = match table.as_str() {
            "AlertInfo" => true,
            "AlertEvidence" => false,
            _ => return Vec::new(),
        };
        let mut changed = BTreeSet::new();
        let mut now = Ticks::MIN;
        for row in 0..rows.len() {
            now = now.max(rows.ingested_at(row));
            let id = rows.text(row, "AlertId");
            if id.is_empty() || is_own(rows.text(row, "DetectionSource")) {
                continue;
            }
            if id.len() > limits::VENDOR_ID_BYTES_MAX {
                self.forgotten += 1;
                continue;
            }
            let pending = self.pending.entry(id.to_owned()).or_default();
            pending.touched = pending.touched.max(rows.ingested_at(row));
            if pending.take(&rows, row, is_info) {
                changed.insert(id);
            }
            fit_entities(&mut pending.entities, limits::VENDOR_ENTITY_BYTES_MAX);
            pending.bytes = pending.measure(id);
        }
        let alerts = changed.iter().filter_map(|id| self.alert(id, making));
        let alerts = alerts.collect();
        self.keep_bounds(now);
        alerts
    }

    /// Alerts kept, waiting for a half or for more.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Alerts forgotten because of the limit.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Bytes that they are at rest, at most.
    pub fn bytes(&self) -> usize {
        self.pending.values().map(|p| p.bytes).sum()
    }

    /// Forgets the oldest until the rest is at most so many bytes at rest.
    pub fn shrink(&mut self, bytes_max: usize) {
        self.forget_oldest(limits::VENDOR_ALERTS_PENDING_MAX, bytes_max);
    }

    fn alert(&self, vendor_id: &str, making: &Making<'_>) -> Option<Alert> {
        let pending = self.pending.get(vendor_id)?;
        let info = pending.info.as_ref()?;
        let first_at = pending.first_at.unwrap_or(pending.last_at);
        Some(Alert {
            id: AlertId::from_bytes((making.hash)(&labelled("vendor", &[vendor_id.as_bytes()]))),
            vendor_id: Some(vendor_id.to_owned()),
            rule: rule(info)?,
            title: info.title.clone(),
            description: String::new(),
            severity: info.severity,
            category: info.category.clone(),
            techniques: info.techniques.clone(),
            service: service(&info.service)?,
            origin: RegionCode::clone(making.region),
            detection_source: info.source.clone(),
            created_at: making.now,
            first_at,
            last_at: pending.last_at,
            entities: pending.entities.clone(),
            records: first_records(pending.records.clone()),
        })
    }

    fn keep_bounds(&mut self, now: Ticks) {
        let horizon = Span100ns::days(limits::VENDOR_PENDING_DAYS_MAX);
        self.pending
            .retain(|_, p| now.since(p.touched).0 <= horizon.0);
        let most = limits::VENDOR_PENDING_BYTES_MAX;
        if self.pending.len() > limits::VENDOR_ALERTS_PENDING_MAX || self.bytes() > most {
            // A tenth below the limit, so that not every batch has to do this.
            self.forget_oldest(limits::VENDOR_ALERTS_PENDING_MAX, most / 10 * 9);
        }
    }

    fn forget_oldest(&mut self, number: usize, bytes_max: usize) {
        let mut bytes = self.bytes();
        let mut oldest: Vec<(Ticks, String)> = (self.pending.iter())
            .map(|(id, p)| (p.touched, id.clone()))
            .collect();
        oldest.sort();
        for (_, id) in oldest {
            if self.pending.len() <= number && bytes <= bytes_max {
                break;
            }
            if let Some(pending) = self.pending.remove(&id) {
                bytes = bytes.saturating_sub(pending.bytes);
                self.forgotten += 1;
            }
        }
    }
}

impl Pending {
    fn measure(&self, id: &str) -> usize {
        let records: usize = self.records.iter().map(record_bytes).sum();
        let info = self.info.as_ref().map_or(0, |info| {
            let texts = [&info.title, &info.category, &info.service, &info.source];
            let texts = texts.into_iter().chain(&info.techniques);
            texts.map(|t| text_bytes(t)).sum()
        });
        PENDING_BYTES + text_bytes(id) + info + records + entities_bytes(&self.entities)
    }

    /// Whether the row says something new.
    fn take(&mut self, rows: &Rows<'_>, row: usize, is_info: bool) -> bool {
        let at = rows.at(row);
        let before = self.clone();
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = self.last_at.max(at);
        if let Some(id) = rows.id(row) {
            let record = RecordRef {
                table: rows.table.clone(),
                row: id,
                at,
            };
            let room = self.records.len() < limits::ALERT_RECORDS_MAX;
            if room && !self.records.contains(&record) {
                self.records.push(record);
                self.records.sort();
            }
        }
        if is_info {
            self.info = Some(info(rows, row));
        } else {
            let mut found = Found::default();
            found.extend(std::mem::take(&mut self.entities));
            if let Some(draft) = evidence(rows, row) {
                found.add(draft);
            }
            self.entities = found.finish();
        }
        (&before.info, &before.entities, &before.records)
            != (&self.info, &self.entities, &self.records)
    }
}

fn is_own(source: &str) -> bool {
    [SOURCE_SIGMA, SOURCE_CORRELATION, SOURCE_SCHEDULED].contains(&source)
}

fn info(rows: &Rows<'_>, row: usize) -> Info {
    let text = |name| rows.text(row, name);
    let severity = AlertSeverity::parse(text("Severity"));
    Info {
        title: cut(text("Title"), limits::ALERT_TITLE_BYTES_MAX),
        severity: severity.unwrap_or(AlertSeverity::Informational),
        category: match text("Category") {
            "" => attack::NO_TACTIC.to_owned(),
            category => cut(category, limits::ALERT_WORD_BYTES_MAX),
        },
        techniques: techniques(text("AttackTechniques")),
        service: cut(text("ServiceSource"), limits::ALERT_WORD_BYTES_MAX),
        source: cut(text("DetectionSource"), limits::ALERT_WORD_BYTES_MAX),
    }
}

/// The ids in a list such as `["Spearphishing Link (T1566.002)"]`.
pub(crate) fn techniques(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let ids = words
        .map(|w| w.trim_matches('.'))
        .filter(|w| attack::is_technique(w));
    let mut ids = sorted(ids.map(str::to_ascii_uppercase));
    ids.truncate(limits::ALERT_TECHNIQUES_MAX);
    ids
}

/// The vendor's rule: its product and the alert's title, as far as the export tells.
fn rule(info: &Info) -> Option<RuleRef> {
    let title = Version::new()
        .part(info.service.as_bytes())
        .part(info.title.as_bytes());
    Some(RuleRef {
        id: DetectionRuleId::new(&format!("vendor-{:016x}", title.finish())).ok()?,
        version: 1,
        kind: RuleKind::Vendor,
    })
}

fn service(source: &str) -> Option<ServiceName> {
    let lower = source.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    ServiceName::new(if has("endpoint") || has("antivirus") {
        "endpoint"
    } else if has("identity protection") {
        "identity_protection"
    } else if has("for identity") {
        "identity"
    } else if has("office 365") || has("email") {
        "email"
    } else if has("cloud app") || has("app governance") {
        "cloud_apps"
    } else {
        "xdr"
    })
    .ok()
}

fn evidence(rows: &Rows<'_>, row: usize) -> Option<Draft> {
    let text = |name| rows.text(row, name);
    let role = EntityRole::ALL
        .iter()
        .find(|r| r.as_str() == text("EvidenceRole"));
    let role = role.copied().unwrap_or(EntityRole::Related);
    let kind = match text("EntityType") {
        "Url" | "DnsResolution" => EntityKind::Url,
        "RegistryValue" => EntityKind::Registry,
        "MailCluster" => return None,
        "AzureResource" | "AmazonResource" | "GoogleCloudResource" => EntityKind::CloudResource,
        word => EntityKind::ALL
            .iter()
            .copied()
            .find(|k| k.as_str() == word)?,
    };
    let label = match kind {
        EntityKind::Device => text("DeviceName"),
        EntityKind::Account | EntityKind::Mailbox => {
            match (text("AccountUpn"), text("AccountName")) {
                ("", name) => name,
                (upn, _) => upn,
            }
        }
        EntityKind::Process | EntityKind::File => text("FileName"),
        EntityKind::Ip => match (text("RemoteIP"), text("LocalIP")) {
            ("", local) => local,
            (remote, _) => remote,
        },
        EntityKind::Url => text("RemoteUrl"),
        EntityKind::MailMessage => text("EmailSubject"),
        EntityKind::OAuthApp | EntityKind::CloudApp => text("Application"),
        EntityKind::CloudResource => text("CloudResource"),
        EntityKind::Registry => text("RegistryKey"),
        EntityKind::Session => "",
    };
    let mut draft = keyed(Draft::new(kind, role, label), kind, rows, row);
    for column in DETAILS {
        draft = draft.detail(column, text(column));
    }
    Some(draft)
}

/// Columns that evidence keeps by their own names.
const DETAILS: &[&str] = &[
    "FileName",
    "FolderPath",
    "SHA1",
    "SHA256",
    "ThreatFamily",
    "RemoteIP",
    "LocalIP",
    "RemoteUrl",
    "AccountName",
    "AccountDomain",
    "AccountSid",
    "AccountObjectId",
    "AccountUpn",
    "DeviceId",
    "NetworkMessageId",
    "EmailSubject",
    "OAuthApplicationId",
    "ProcessCommandLine",
    "RegistryKey",
    "RegistryValueName",
    "RegistryValueData",
    "ResourceID",
];

fn keyed(draft: Draft, kind: EntityKind, rows: &Rows<'_>, row: usize) -> Draft {
    let text = |name| rows.text(row, name);
    match kind {
        EntityKind::Device => draft
            .key(canon::device_id(text("DeviceId")))
            .key(canon::device_name(text("DeviceName"))),
        EntityKind::Account | EntityKind::Mailbox => {
            if canon::is_well_known(text("AccountDomain"), text("AccountName"))
                && !text("AccountName").is_empty()
            {
                return draft;
            }
            draft
                .key(canon::address(text("AccountUpn")))
                .key(canon::sid(text("AccountSid")))
                .key(canon::object_id(text("AccountObjectId")))
                .key(canon::account_name(
                    text("AccountDomain"),
                    text("AccountName"),
                ))
        }
        EntityKind::File | EntityKind::Process => draft
            .key(canon::sha256(text("SHA256")))
            .key(canon::sha1(text("SHA1"))),
        EntityKind::Ip => {
            let ip = canon::ip(text("RemoteIP")).or_else(|| canon::ip(text("LocalIP")));
            draft.key(ip.and_then(canon::ip_key))
        }
        EntityKind::Url => draft
            .key(canon::url(text("RemoteUrl")))
            .key(canon::domain(text("RemoteUrl"))),
        EntityKind::MailMessage => draft.key(canon::message_id(text("NetworkMessageId"))),
        EntityKind::OAuthApp => draft.key(canon::app_id(text("OAuthApplicationId"))),
        EntityKind::CloudResource => draft.key(canon::resource(text("ResourceID"))),
        EntityKind::Registry => draft.key(canon::registry(
            text("DeviceId"),
            text("RegistryKey"),
            text("RegistryValueName"),
        )),
        EntityKind::CloudApp | EntityKind::Session => draft,
    }
}
