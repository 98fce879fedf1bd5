//! Which service exports which table, and how it writes dynamic columns.

use std::fmt;

/// The service a table's rows come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Service {
    /// Devices.
    Endpoint,
    /// Mail and chat.
    Email,
    /// The directory on the premises.
    Identity,
    /// Sign-ins to the cloud.
    IdentityProtection,
    /// Cloud apps.
    CloudApps,
    /// What belongs to no single service.
    Xdr,
}

impl Service {
    /// The name used in the registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Email => "email",
            Self::Identity => "identity",
            Self::IdentityProtection => "identity_protection",
            Self::CloudApps => "cloud_apps",
            Self::Xdr => "xdr",
        }
    }

    /// The service of a table of the schema.
    pub fn of(table: &str) -> Self {
        match table {
            "AgentsInfo" | "AIAgentsInfo" | "BehaviorEntities" | "BehaviorInfo"
            | "CloudAppEvents" | "OAuthAppInfo" => Self::CloudApps,
            "CallActivityEvents"
            | "CampaignInfo"
            | "FileMaliciousContentInfo"
            | "UrlClickEvents" => Self::Email,
            "GraphAPIAuditEvents" => Self::IdentityProtection,
            t if t.starts_with("AADS") || t.starts_with("EntraId") => Self::IdentityProtection,
            t if t.starts_with("Device") => Self::Endpoint,
            t if t.starts_with("Email") || t.starts_with("Message") => Self::Email,
            t if t.starts_with("Identity") => Self::Identity,
            _ => Self::Xdr,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a table's dynamic columns are JSON text in a string rather than JSON.
pub(crate) fn dynamic_is_text(table: &str) -> bool {
    table.starts_with("Device") || table.starts_with("Alert") || table.starts_with("Behavior")
}

/// Whether the export adds `MachineGroup` to a table that does not document it.
pub(crate) fn has_machine_group(table: &str) -> bool {
    (table.starts_with("Device") && table != "DeviceInfo") || table.starts_with("Alert")
}
