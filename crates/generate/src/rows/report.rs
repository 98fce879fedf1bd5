//! Alerts that the vendor's services raised about something real: `AlertInfo` with evidence of any
//! kind. These tables have no `ReportId`; an alert has one row of evidence for each kind of entity.

use model::{EntityKind, Ticks};

use crate::people::{Device, Person};
use crate::rows::endpoint::{File, Process};
use crate::stage::{Digits, Stage};
use crate::text::push_text;

/// An alert of the vendor.
#[derive(Clone, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) category: &'a str,
    pub(crate) severity: &'a str,
    pub(crate) source: &'a str,
    pub(crate) detection: &'a str,
    /// Name and number of a technique.
    pub(crate) technique: &'a str,
    pub(crate) group: &'a str,
    pub(crate) evidence: Vec<Evidence<'a>>,
}

/// One entity of an alert.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Evidence<'a> {
    Machine(&'a Device),
    /// Somebody, at a machine or in the cloud.
    User(&'a Person, Option<&'a Device>),
    Process(&'a Process<'a>, &'a Device),
    File(&'a File, &'a Device),
    Ip(&'a str),
    /// A message: its id, its subject and whose mailbox it is in.
    Mail(&'a str, &'a str, &'a Person),
}

/// Columns of `AlertEvidence` that hold text and depend on the entity.
const TEXTS: &[&str] = &[
    "DeviceId",
    "DeviceName",
    "FileName",
    "FolderPath",
    "SHA1",
    "SHA256",
    "AccountName",
    "AccountDomain",
    "AccountSid",
    "AccountObjectId",
    "AccountUpn",
    "EvidenceDirection",
    "ThreatFamily",
    "RemoteIP",
    "RemoteUrl",
    "LocalIP",
    "NetworkMessageId",
    "EmailSubject",
    "Application",
    "OAuthApplicationId",
    "ProcessCommandLine",
    "RegistryKey",
    "RegistryValueName",
    "RegistryValueData",
    "CloudResource",
    "CloudPlatform",
    "ResourceType",
    "ResourceID",
    "SubscriptionId",
];

impl Stage<'_> {
    /// `AlertInfo` and its rows of `AlertEvidence`.
    pub(crate) fn report(&mut self, at: Ticks, report: &Report<'_>) {
        let printed = self.begin(at, Digits::Ticks);
        let techniques = techniques(report);
        self.row
            .time("Timestamp", printed)
            .text("AlertId", report.id)
            .text("Title", report.title)
            .text("Category", report.category)
            .text("Severity", report.severity)
            .text("ServiceSource", report.source)
            .text("DetectionSource", report.detection)
            .text("AttackTechniques", &techniques)
            .text("MachineGroup", report.group);
        self.emit("AlertInfo");
        for evidence in &report.evidence {
            self.evidence(at, report, evidence, &techniques);
        }
    }

    fn evidence(&mut self, at: Ticks, of: &Report<'_>, evidence: &Evidence<'_>, techniques: &str) {
        let printed = self.begin(at, Digits::Ticks);
        let role = if matches!(evidence, Evidence::Machine(_) | Evidence::User(..)) {
            "Impacted"
        } else {
            "Related"
        };
        let row = &mut self.row;
        row.time("Timestamp", printed)
            .text("AlertId", of.id)
            .text("Title", of.title)
            .text("Categories", &format!("[\"{}\"]", of.category))
            .text("AttackTechniques", techniques)
            .text("ServiceSource", of.source)
            .text("DetectionSource", of.detection)
            .text("EntityType", evidence.kind().as_str())
            .text("EvidenceRole", role)
            .text("Severity", of.severity)
            .text("MachineGroup", of.group)
            .text("AdditionalFields", &evidence.additional())
            .missing(&["ApplicationId"]);
        let cells = evidence.cells();
        for column in TEXTS {
            match cells.iter().find(|(name, _)| name == column) {
                Some((_, value)) => row.text(column, value),
                None => row.missing_text(&[column]),
            };
        }
        match evidence {
            Evidence::File(file, _) => row.number("FileSize", file.size),
            Evidence::Process(process, _) => row.number("FileSize", process.program.size),
            _ => row.missing(&["FileSize"]),
        };
        self.emit("AlertEvidence");
    }
}

impl<'a> Evidence<'a> {
    pub(crate) fn kind(&self) -> EntityKind {
        match self {
            Self::Machine(_) => EntityKind::Device,
            Self::User(..) => EntityKind::Account,
            Self::Process(..) => EntityKind::Process,
            Self::File(..) => EntityKind::File,
            Self::Ip(_) => EntityKind::Ip,
            Self::Mail(..) => EntityKind::MailMessage,
        }
    }

    fn cells(&self) -> Vec<(&'static str, &'a str)> {
        match self {
            Self::Machine(device) => of_device(device).into(),
            Self::User(person, device) => {
                let mut cells = Vec::from(of_person(person));
                cells.extend(device.iter().flat_map(|d| of_device(d)));
                cells
            }
            Self::Process(process, device) => {
                let mut cells = vec![
                    ("FileName", process.program.file),
                    ("FolderPath", process.program.path.as_str()),
                    ("SHA1", process.program.sha1.as_str()),
                    ("SHA256", process.program.sha256.as_str()),
                    ("ProcessCommandLine", process.command.as_str()),
                    ("AccountName", process.account.name.as_str()),
                    ("AccountDomain", process.account.domain.as_str()),
                    ("AccountSid", process.account.sid.as_str()),
                ];
                cells.extend(of_device(device));
                cells
            }
            Self::File(file, device) => {
                let mut cells = vec![
                    ("FileName", file.name.as_str()),
                    ("FolderPath", file.path.as_str()),
                    ("SHA1", file.sha1.as_str()),
                    ("SHA256", file.sha256.as_str()),
                ];
                cells.extend(of_device(device));
                cells
            }
            Self::Ip(ip) => vec![("RemoteIP", *ip)],
            Self::Mail(id, subject, person) => {
                let mut cells = Vec::from(of_person(person));
                cells.extend([("NetworkMessageId", *id), ("EmailSubject", *subject)]);
                cells
            }
        }
    }

    fn additional(&self) -> String {
        let mut json = format!(
            "{{\"Type\":\"{}\"",
            self.kind().as_str().to_ascii_lowercase()
        );
        if let Self::Process(process, _) = self {
            json.push_str(",\"ProcessId\":\"");
            json.push_str(&process.pid.to_string());
            json.push_str("\",\"CreationTimeUtc\":\"");
            crate::text::push_time(&mut json, process.created);
            json.push_str("Z\",\"CommandLine\":");
            push_text(&mut json, &process.command);
        }
        json.push('}');
        json
    }
}

fn of_device(device: &Device) -> [(&'static str, &str); 2] {
    [("DeviceId", &device.id), ("DeviceName", &device.name)]
}

fn of_person(person: &Person) -> [(&'static str, &str); 5] {
    [
        ("AccountName", &person.account.name),
        ("AccountDomain", &person.account.domain),
        ("AccountSid", &person.account.sid),
        ("AccountObjectId", &person.object_id),
        ("AccountUpn", &person.upn),
    ]
}

fn techniques(report: &Report<'_>) -> String {
    let mut json = String::from("[");
    push_text(&mut json, report.technique);
    json.push(']');
    json
}
