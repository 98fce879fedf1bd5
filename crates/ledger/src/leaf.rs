//! One leaf: who did what, when, to what.

use std::collections::BTreeMap;

use model::{TenantId, Ticks};
use serde::{Deserialize, Serialize};

/// Version of the leaf's form.
const VERSION: u16 = 1;

/// What happened. Names are part of the format: they are added to, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A tenant was provisioned in its home region.
    TenantProvisioned,
    /// A provisioning record was replaced before the first record, or accepted a newer registry.
    TenantChanged,
    /// A second region learned of a tenant by a signed cell profile.
    ProfileAccepted,
    /// A registry was accepted.
    RegistryAccepted,
    /// A source was added.
    SourceAdded,
    /// A source was switched off or on.
    SourceSwitched,
    /// A token was minted.
    TokenCreated,
    /// A token was taken back.
    TokenRevoked,
    /// Rows were written into sealed segments.
    SegmentsFlushed,
    /// Segments were merged into others with the same rows.
    SegmentsMerged,
    /// Somebody at the machine opened the data directory.
    LocalAccess,
    /// A detection rule was added or replaced.
    RuleChanged,
    /// A detection rule was switched on or off.
    RuleSwitched,
    /// Alerts, without content, arrived in another region of the tenant.
    LinkDelivered,
    /// Alerts, without content, came from another region of the tenant.
    LinkReceived,
    /// Rows were read by a hunt.
    RowsHunted,
    /// Rows were read for another region of the tenant, under the reader's own grant.
    RowsLent,
    /// An alert's content was read where it rests, from another region.
    AlertRead,
    /// Somebody worked on an incident.
    IncidentChanged,
    /// What the centre may be told was changed.
    CentreChanged,
    /// Which services may share alerts was changed.
    ConsentChanged,
    /// The export to the centre was switched on or off.
    ExportSwitched,
    /// Facts were packed for the centre: from now on they may have left.
    FactsPacked,
    /// The centre acknowledged facts, or there were none in a segment.
    FactsSent,
    /// Segments waited too long for the export and were dropped from it.
    ExportDropped,
    /// A secret was imported into the key ring.
    KeyImported,
    /// Somebody accepted that part of the log is lost.
    LogDamageAccepted,
    /// What detection had in progress could not be read and began anew.
    DetectionStateLost,
    /// Incidents, alerts, or what they say of a device or a person, were read.
    IncidentsRead,
}

/// One leaf of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Form of the leaf.
    pub version: u16,
    /// Position in the sequence of its tenant (or of the cell).
    pub sequence: u64,
    /// Whose; nothing for the cell's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tenant: Option<TenantId>,
    /// When.
    pub at: Ticks,
    /// Who, as `access::Actor` prints it.
    pub actor: String,
    /// What.
    pub happening: Happening,
    /// Opaque ids, versions, counts and digests that say to what; sorted by name.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
}

impl Leaf {
    /// A leaf without details.
    pub fn new(
        sequence: u64,
        tenant: Option<TenantId>,
        at: Ticks,
        actor: impl ToString,
        happening: Happening,
    ) -> Self {
        Self {
            version: VERSION,
            sequence,
            tenant,
            at,
            actor: actor.to_string(),
            happening,
            details: BTreeMap::new(),
        }
    }

    /// The same with one detail more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }

    /// Canonical JSON: fields in the order above, details sorted, no blanks.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and a string map always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|leaf: &Self| leaf.version == VERSION)
    }
}
