//! Alerts: what a detection says, and what it is about.
//!
//! An [`Alert`] is what an analyst sees and holds names; it rests sealed where the rows behind it rest.
//! An [`AlertDigest`] is the same without any content: times, rule, technique, severity, record keys
//! and entity references. Incidents are built of digests alone, so that an alert of another geography
//! joins in without a name crossing (architecture §3, tenant link kind 1).
//!
//! Does not compute references or ids: both are keyed hashes, whose keys `vault` holds.

use serde::{Deserialize, Serialize};

use crate::ids::{AlertId, DetectionRuleId, RegionCode, RowId, ServiceName, TableName};
use crate::ticks::Ticks;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name as written in rows, documents and answers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of this name, upper and lower case alike.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str().eq_ignore_ascii_case(text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use named;

named! {
    /// Severity as in `AlertInfo.Severity`; a Sigma rule's `critical` is `High` here.
    AlertSeverity {
        /// Worth knowing.
        Informational = "Informational",
        /// Unusual, rarely harmful alone.
        Low = "Low",
        /// Needs a look.
        Medium = "Medium",
        /// Needs a look now.
        High = "High",
    }
}

named! {
    /// Kind of an entity, with the name that `AlertEvidence.EntityType` has for it.
    EntityKind {
        /// A computer.
        Device = "Machine",
        /// A person's or service's account.
        Account = "User",
        /// One run of a program.
        Process = "Process",
        /// A file, known by its hash.
        File = "File",
        /// An address.
        Ip = "Ip",
        /// A link, or the domain of one.
        Url = "Url",
        /// A mailbox.
        Mailbox = "Mailbox",
        /// A message.
        MailMessage = "MailMessage",
        /// An application with rights of its own (OAuth).
        OAuthApp = "OAuthApplication",
        /// A cloud application.
        CloudApp = "CloudApplication",
        /// A resource in a cloud.
        CloudResource = "CloudResource",
        /// A registry key or value.
        Registry = "RegistryKey",
        /// A logon session.
        Session = "LogonSession",
    }
}

named! {
    /// Part of an entity in an alert, as in `AlertEvidence.EvidenceRole`.
    EntityRole {
        /// It was harmed or used.
        Impacted = "Impacted",
        /// It has to do with it.
        Related = "Related",
    }
}

named! {
    /// One way of recognising an entity again. Two entities that share a key of one kind are the
    /// same; the canonical form of each is written in `docs/reference/entities.md`.
    KeyKind {
        /// The device's id.
        DeviceId = "device_id",
        /// The device's full name, lower case.
        DeviceName = "device_name",
        /// A sign-in name or mail address, lower case: one person's is usually both.
        Address = "address",
        /// A Windows security identifier, upper case.
        AccountSid = "account_sid",
        /// The directory's object id, lower case.
        AccountObjectId = "account_object_id",
        /// `domain\name`, lower case.
        AccountName = "account_name",
        /// Device, process id and start time.
        Process = "process",
        /// SHA-256, lower-case hexadecimal.
        Sha256 = "sha256",
        /// SHA-1, lower-case hexadecimal.
        Sha1 = "sha1",
        /// An address in its shortest form; IPv4 inside IPv6 is IPv4.
        IpAddress = "ip_address",
        /// A whole link.
        Url = "url",
        /// A host name, lower case.
        Domain = "domain",
        /// The network message id.
        MessageId = "message_id",
        /// An application's id.
        AppId = "app_id",
        /// Device and logon id, or a cloud session's id.
        Session = "session",
        /// Device, key and value name, lower case.
        Registry = "registry",
        /// A cloud resource's id.
        ResourceId = "resource_id",
    }
}

named! {
    /// How an alert came about.
    RuleKind {
        /// A Sigma rule on one row.
        Sigma = "sigma",
        /// A Sigma correlation over several rows.
        Correlation = "correlation",
        /// A KQL query on a schedule.
        Scheduled = "scheduled",
        /// An alert that another product made and exported.
        Vendor = "vendor",
    }
}

/// A way of recognising an entity, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityKey {
    /// Which way.
    pub kind: KeyKind,
    /// The canonical value; content.
    pub value: String,
}

/// Something that an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Its part.
    pub role: EntityRole,
    /// How an analyst would call it; content.
    pub name: String,
    /// Ways of recognising it, sorted; none if it is nothing to join alerts by, such as `SYSTEM`.
    pub keys: Vec<EntityKey>,
    /// More of what `AlertEvidence` has a column for, by that column's name, sorted; content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
}

/// A row that an alert rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordRef {
    /// The row's table.
    pub table: TableName,
    /// The row.
    pub row: RowId,
    /// The row's own time.
    pub at: Ticks,
}

/// The rule behind an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleRef {
    /// Its id.
    pub id: DetectionRuleId,
    /// Its version: another text is another version.
    pub version: u64,
    /// What sort of rule.
    pub kind: RuleKind,
}

/// What an analyst sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Keyed hash of tenant, rule, version and row (or window and entities): the same detection
    /// evaluated again is the same alert.
    pub id: AlertId,
    /// The id that the vendor gave it, for alerts that another product made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// What found it.
    pub rule: RuleRef,
    /// One line.
    pub title: String,
    /// What it means.
    pub description: String,
    /// How bad.
    pub severity: AlertSeverity,
    /// Tactic as in `AlertInfo.Category`, for example `InitialAccess`.
    pub category: String,
    /// ATT&CK technique ids, for example `T1566.002`, sorted.
    pub techniques: Vec<String>,
    /// The service whose rows it rests on.
    pub service: ServiceName,
    /// The region where its rows and content rest.
    pub origin: RegionCode,
    /// `AlertInfo.DetectionSource`: the product or engine that found it.
    pub detection_source: String,
    /// When it was made.
    pub created_at: Ticks,
    /// Time of the first row behind it.
    pub first_at: Ticks,
    /// Time of the last row behind it.
    pub last_at: Ticks,
    /// What it is about, in order of importance.
    pub entities: Vec<Entity>,
    /// The rows behind it, at most [`crate::limits::ALERT_RECORDS_MAX`].
    pub records: Vec<RecordRef>,
}

/// 128 bits that stand for an entity's key: a keyed hash under the tenant's link secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyToken {
    /// Which way of recognising.
    pub kind: KeyKind,
    /// The keyed hash; 32 hexadecimal digits when serialised.
    #[serde(with = "token_text")]
    pub token: [u8; 16],
}

/// A token as 32 lower-case hexadecimal digits.
mod token_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ids::AlertId;

    pub(super) fn serialize<S: Serializer>(token: &[u8; 16], s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&AlertId::from_bytes(*token))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 16], D::Error> {
        Ok(*AlertId::deserialize(d)?.as_bytes())
    }
}

/// An entity without its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRef {
    /// What it is.
    pub kind: EntityKind,
    /// Its part.
    pub role: EntityRole,
    /// Ways of recognising it, sorted.
    pub keys: Vec<KeyToken>,
}

/// An alert without content: all that correlation needs and all that crosses the tenant link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDigest {
    /// The alert.
    pub id: AlertId,
    /// What found it.
    pub rule: RuleRef,
    /// How bad.
    pub severity: AlertSeverity,
    /// Tactic.
    pub category: String,
    /// ATT&CK technique ids, sorted.
    pub techniques: Vec<String>,
    /// The service whose rows it rests on.
    pub service: ServiceName,
    /// The region where its content rests.
    pub origin: RegionCode,
    /// When it was made.
    pub created_at: Ticks,
    /// Time of the first row behind it.
    pub first_at: Ticks,
    /// Time of the last row behind it.
    pub last_at: Ticks,
    /// What it is about, in order of importance.
    pub entities: Vec<EntityRef>,
    /// The rows behind it.
    pub records: Vec<RecordRef>,
}

impl Alert {
    /// The alert without its content; `token` is the keyed hash under the tenant's link secret.
    pub fn digest(&self, token: impl Fn(&EntityKey) -> [u8; 16]) -> AlertDigest {
        let reference = |entity: &Entity| {
            let mut keys: Vec<KeyToken> = entity
                .keys
                .iter()
                .map(|key| KeyToken {
                    kind: key.kind,
                    token: token(key),
                })
                .collect();
            keys.sort_unstable();
            EntityRef {
                kind: entity.kind,
                role: entity.role,
                keys,
            }
        };
        AlertDigest {
            id: self.id,
            rule: self.rule.clone(),
            severity: self.severity,
            category: self.category.clone(),
            techniques: self.techniques.clone(),
            service: self.service.clone(),
            origin: self.origin.clone(),
            created_at: self.created_at,
            first_at: self.first_at,
            last_at: self.last_at,
            entities: self.entities.iter().map(reference).collect(),
            records: self.records.clone(),
        }
    }
}
