//! Rows of alerts that the vendor's own services raised. These tables have no `ReportId`.

use model::Ticks;

use crate::people::{Device, Person};
use crate::rows::endpoint::File;
use crate::stage::{Digits, Stage};

/// A vendor's alert about a file on somebody's machine.
#[derive(Clone, Debug)]
pub(crate) struct VendorAlert<'w> {
    pub(crate) id: String,
    pub(crate) title: &'static str,
    pub(crate) category: &'static str,
    pub(crate) severity: &'static str,
    /// JSON text of a list.
    pub(crate) techniques: &'static str,
    pub(crate) device: &'w Device,
    pub(crate) person: &'w Person,
    pub(crate) file: File,
}

impl<'w> Stage<'w> {
    /// `AlertInfo` and one row of `AlertEvidence` for each of machine, file and account.
    pub(crate) fn vendor_alert(&mut self, at: Ticks, alert: &VendorAlert<'w>) {
        let printed = self.begin(at, Digits::Ticks);
        self.row
            .time("Timestamp", printed)
            .text("AlertId", &alert.id)
            .text("Title", alert.title)
            .text("Category", alert.category)
            .text("Severity", alert.severity)
            .text("ServiceSource", "Microsoft Defender for Endpoint")
            .text("DetectionSource", "Antivirus")
            .text("AttackTechniques", alert.techniques)
            .text("MachineGroup", alert.device.group);
        self.emit("AlertInfo");
        for entity in ["Machine", "File", "User"] {
            self.alert_evidence(at, alert, entity);
        }
    }

    fn alert_evidence(&mut self, at: Ticks, alert: &VendorAlert<'w>, entity: &str) {
        let printed = self.begin(at, Digits::Ticks);
        let row = &mut self.row;
        row.time("Timestamp", printed)
            .text("AlertId", &alert.id)
            .text("Title", alert.title)
            .text("Categories", &format!("[\"{}\"]", alert.category))
            .text("AttackTechniques", alert.techniques)
            .text("ServiceSource", "Microsoft Defender for Endpoint")
            .text("DetectionSource", "Antivirus")
            .text("EntityType", entity)
            .text(
                "EvidenceRole",
                if entity == "Machine" {
                    "Impacted"
                } else {
                    "Related"
                },
            )
            .text("Severity", alert.severity)
            .text(
                "AdditionalFields",
                &format!("{{\"Type\":\"{}\"}}", entity.to_ascii_lowercase()),
            )
            .raw(&alert.device.fragment);
        if entity == "File" {
            row.text("FileName", &alert.file.name)
                .text("FolderPath", &alert.file.path)
                .text("SHA1", &alert.file.sha1)
                .text("SHA256", &alert.file.sha256)
                .number("FileSize", alert.file.size);
        } else {
            row.missing_text(&["FileName", "FolderPath", "SHA1", "SHA256"])
                .missing(&["FileSize"]);
        }
        if entity == "User" {
            row.raw(&alert.person.account.as_five);
        } else {
            row.missing_text(&[
                "AccountName",
                "AccountDomain",
                "AccountSid",
                "AccountObjectId",
                "AccountUpn",
            ]);
        }
        row.missing(&["ApplicationId"]).missing_text(&[
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
        ]);
        self.emit("AlertEvidence");
    }
}
