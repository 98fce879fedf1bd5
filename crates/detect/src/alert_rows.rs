//! Alerts as rows of `AlertInfo` and `AlertEvidence`, so that they can be hunted like any others.
//!
//! One row of `AlertInfo` an alert, one of `AlertEvidence` an entity. Every column that the alert
//! can fill is filled; what an entity says that has no column goes to `AdditionalFields`.

use model::{Alert, Entity, EntityKind, KeyKind, Schema, Table};
use rows::arrow::error::ArrowError;
use rows::{TableBuilder, TableRows};

/// The rows of some alerts, as a decoder would give them: the cell places and stamps them.
#[derive(Debug)]
pub struct AlertRows {
    /// Of `AlertInfo`.
    pub info: TableRows,
    /// Of `AlertEvidence`.
    pub evidence: TableRows,
}

/// Makes the rows. A row's identity is the alert's id, and for evidence the entity's place in it:
/// the same alert made again gives the same rows.
pub fn alert_rows(alerts: &[Alert]) -> Result<AlertRows, ArrowError> {
    let schema = Schema::hunting();
    let table = |name: &str| {
        let missing = || ArrowError::SchemaError(format!("no table `{name}`"));
        schema.table(name).ok_or_else(missing)
    };
    let mut info = Writer::new(table("AlertInfo")?);
    let mut evidence = Writer::new(table("AlertEvidence")?);
    for (record, alert) in (0_u64..).zip(alerts) {
        common(&mut info, alert);
        info.text("Category", &alert.category);
        info.end(record, alert, None);
        for (at, entity) in (0_u64..).zip(&alert.entities) {
            common(&mut evidence, alert);
            evidence.text(
                "Categories",
                &json_list(std::slice::from_ref(&alert.category)),
            );
            entity_columns(&mut evidence, entity);
            evidence.end(record, alert, Some(at));
        }
    }
    Ok(AlertRows {
        info: info.builder.finish()?,
        evidence: evidence.builder.finish()?,
    })
}

/// The id as the rows have it: the vendor's own for its alerts.
pub fn shown_id(alert: &Alert) -> String {
    match &alert.vendor_id {
        Some(id) => id.clone(),
        None => alert.id.to_string(),
    }
}

fn common(writer: &mut Writer<'_>, alert: &Alert) {
    if let Some((at, _)) = writer.table.column("Timestamp") {
        writer.builder.set_ticks(at, alert.last_at);
    }
    writer.text("AlertId", &shown_id(alert));
    writer.text("Title", &alert.title);
    writer.text("Severity", alert.severity.as_str());
    writer.text("ServiceSource", alert.service.as_str());
    writer.text("DetectionSource", &alert.detection_source);
    writer.text("AttackTechniques", &json_list(&alert.techniques));
}

fn entity_columns(writer: &mut Writer<'_>, entity: &Entity) {
    writer.text("EntityType", entity.kind.as_str());
    writer.text("EvidenceRole", entity.role.as_str());
    let mut extra = serde_json::Map::new();
    for (name, value) in &entity.details {
        // A device's own id stands in `DeviceId` of its own evidence alone.
        if !writer.text(name, value) {
            extra.insert(name.clone(), value.as_str().into());
        }
    }
    for key in &entity.keys {
        let column = match (key.kind, entity.kind) {
            (KeyKind::DeviceId, _) => "DeviceId",
            (KeyKind::DeviceName, _) => "DeviceName",
            (KeyKind::Address, _) => "AccountUpn",
            (KeyKind::AccountSid, _) => "AccountSid",
            (KeyKind::AccountObjectId, _) => "AccountObjectId",
            (KeyKind::Sha256, _) => "SHA256",
            (KeyKind::Sha1, _) => "SHA1",
            (KeyKind::IpAddress, _) => "RemoteIP",
            (KeyKind::Url | KeyKind::Domain, _) => "RemoteUrl",
            (KeyKind::MessageId, _) => "NetworkMessageId",
            (KeyKind::AppId, _) => "OAuthApplicationId",
            (KeyKind::ResourceId, _) => "ResourceID",
            (KeyKind::AccountName | KeyKind::Process | KeyKind::Session | KeyKind::Registry, _) => {
                extra.insert(key.kind.as_str().to_owned(), key.value.as_str().into());
                continue;
            }
        };
        writer.text(column, &key.value);
    }
    match entity.kind {
        EntityKind::Device => writer.text("DeviceName", &entity.name),
        EntityKind::Account if !entity.name.contains(['@', '\\']) => {
            writer.text("AccountName", &entity.name)
        }
        EntityKind::File | EntityKind::Process => writer.text("FileName", &entity.name),
        EntityKind::Ip => writer.text("RemoteIP", &entity.name),
        EntityKind::Url => writer.text("RemoteUrl", &entity.name),
        EntityKind::CloudApp => writer.text("Application", &entity.name),
        EntityKind::CloudResource => writer.text("CloudResource", &entity.name),
        _ => false,
    };
    extra.insert("Name".to_owned(), entity.name.as_str().into());
    writer.text(
        "AdditionalFields",
        &serde_json::Value::Object(extra).to_string(),
    );
}

struct Writer<'t> {
    table: &'t Table,
    builder: TableBuilder,
}

impl<'t> Writer<'t> {
    fn new(table: &'t Table) -> Self {
        Self {
            table,
            builder: TableBuilder::known(table),
        }
    }

    /// Whether the table has the column. The first value stays.
    fn text(&mut self, column: &str, value: &str) -> bool {
        let Some((at, _)) = self.table.column(column) else {
            return false;
        };
        if !value.is_empty() {
            self.builder.set_text(at, value);
        }
        true
    }

    fn end(&mut self, record: u64, alert: &Alert, evidence: Option<u64>) {
        self.builder.end_row(record, |out| {
            out.push(b'A');
            out.extend_from_slice(alert.id.as_bytes());
            if let Some(at) = evidence {
                out.extend_from_slice(&at.to_be_bytes());
            }
        });
    }
}

fn json_list(items: &[String]) -> String {
    serde_json::Value::from(items).to_string()
}
