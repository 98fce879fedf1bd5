//! Rows of detection: alerts, incidents, rules, states and the tenant link's outbox.
//!
//! As in the rest of the catalogue, what is `sealed` was sealed by the caller, and 16 bytes that are not
//! an id are a keyed token of something that is content.

use model::{AlertId, AlertSeverity, IncidentStatus, RuleKind, TenantId, Ticks};

use super::LeafRow;

/// How far a tenant's rows were examined, and the numbers that its next things get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectionHead {
    /// Frames of the tenant's stream up to this sequence number were examined; nothing if detection was
    /// never on.
    pub cursor: Option<u64>,
    /// Version of the rule set that examined them last.
    pub rules_version: u64,
    /// Least number that a new incident may have.
    pub next_incident: u64,
    /// Number of the next entry of the activity log.
    pub next_activity: u64,
}

impl Default for DetectionHead {
    fn default() -> Self {
        Self {
            cursor: None,
            rules_version: 0,
            next_incident: 1,
            next_activity: 1,
        }
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id, a keyed hash.
    pub alert: AlertId,
    /// When it was made.
    pub created_at: Ticks,
    /// How bad.
    pub severity: AlertSeverity,
    /// Whether it came over the tenant link, from the region where its content rests.
    pub linked: bool,
    /// The incident that it belongs to.
    pub incident: Option<u64>,
    /// Origin and content, sealed.
    pub sealed: Vec<u8>,
}

/// An incident, in its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    /// Its number.
    pub number: u64,
    /// Counts its changes, from 1.
    pub version: u64,
    /// When it was made.
    pub created_at: Ticks,
    /// When it was changed last.
    pub updated_at: Ticks,
    /// Where work on it stands.
    pub status: IncidentStatus,
    /// The worst of its alerts.
    pub severity: AlertSeverity,
    /// Keyed token of whom it is assigned to.
    pub assigned: Option<[u8; 16]>,
    /// The rest, sealed.
    pub sealed: Vec<u8>,
}

/// An entry of an incident's activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityRow {
    /// The incident.
    pub incident: u64,
    /// Its number among the tenant's entries.
    pub sequence: u64,
    /// When.
    pub at: Ticks,
    /// Who did what, sealed.
    pub sealed: Vec<u8>,
}

/// Whose state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKind {
    /// What joins alerts into incidents.
    Correlation,
    /// What counts rows for correlation rules.
    Detectors,
}

/// A state, replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// Whose.
    pub kind: StateKind,
    /// Counts its changes, from 1.
    pub version: u64,
    /// The state, sealed.
    pub sealed: Vec<u8>,
}

/// A window that a scheduled rule has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowRow {
    /// Keyed token of the rule.
    pub rule: [u8; 16],
    /// End of the window before; nothing if this is the first one.
    pub former: Option<Ticks>,
    /// Its end.
    pub end: Ticks,
}

/// Something that waits for another region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Keyed token of the region.
    pub destination: [u8; 16],
    /// Its number among those for this region, from 1.
    pub sequence: u64,
    /// When it was put here.
    pub at: Ticks,
    /// The entry, sealed.
    pub sealed: Vec<u8>,
}

/// What ever went out to one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkQueueRow {
    /// Keyed token of the region.
    pub destination: [u8; 16],
    /// Number of the next entry.
    pub next_sequence: u64,
    /// Entries up to this number have arrived.
    pub acknowledged: u64,
    /// Bytes of all entries, as sealed.
    pub bytes: u64,
}

/// One step of detection, all or nothing.
#[derive(Debug, Clone)]
pub struct DetectionTx {
    /// Whose.
    pub tenant: TenantId,
    /// Examined up to here; never moves back.
    pub cursor: Option<u64>,
    /// Version of the rules that examined; `None` if none did.
    pub rules_version: Option<u64>,
    /// New alerts; one that is there already is left as it is.
    pub alerts: Vec<AlertRow>,
    /// Alerts that must be there, made at the same instant: severity and sealed part are replaced.
    pub grown: Vec<AlertRow>,
    /// Alerts that move to another incident.
    pub moves: Vec<(AlertId, u64)>,
    /// New versions of incidents; each must be the former plus one.
    pub incidents: Vec<IncidentRow>,
    /// Entries of activity logs, numbered without a gap.
    pub activity: Vec<ActivityRow>,
    /// New states; each version must be the former plus one.
    pub states: Vec<StateRow>,
    /// Windows of scheduled rules; each must follow the former one.
    pub windows: Vec<WindowRow>,
    /// Entries of the outbox, numbered without a gap.
    pub link: Vec<LinkRow>,
    /// Leaves, in sequence.
    pub leaves: Vec<LeafRow>,
}

impl DetectionTx {
    /// A step that changes nothing.
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            cursor: None,
            rules_version: None,
            alerts: Vec::new(),
            grown: Vec::new(),
            moves: Vec::new(),
            incidents: Vec::new(),
            activity: Vec::new(),
            states: Vec::new(),
            windows: Vec::new(),
            link: Vec::new(),
            leaves: Vec::new(),
        }
    }
}

/// Which alerts to list, the newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Made at this instant or later.
    pub from: Option<Ticks>,
    /// Made before this instant.
    pub to: Option<Ticks>,
    /// Of this severity or a worse one.
    pub severity_min: Option<AlertSeverity>,
    /// Of this incident.
    pub incident: Option<model::IncidentId>,
    /// That came over the tenant link, or did not.
    pub linked: Option<bool>,
    /// Those after this one in the list, the last of the page before.
    pub after: Option<(Ticks, AlertId)>,
}

/// Which incidents to list, the newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IncidentRowFilter {
    /// Where work on them stands.
    pub status: Option<IncidentStatus>,
    /// Of this severity or a worse one.
    pub severity_min: Option<AlertSeverity>,
    /// Keyed token of whom they are assigned to.
    pub assigned: Option<[u8; 16]>,
    /// Changed at this instant or later.
    pub updated_since: Option<Ticks>,
    /// Numbers below this one: the last of the page before.
    pub before: Option<u64>,
}

/// A rule in its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Whose; `None` for a rule of the cell.
    pub tenant: Option<TenantId>,
    /// Keyed token of its id.
    pub rule: [u8; 16],
    /// Counts its texts, from 1.
    pub version: u64,
    /// What sort of rule.
    pub kind: RuleKind,
    /// Whether it runs.
    pub enabled: bool,
    /// When it was changed last.
    pub updated_at: Ticks,
    /// Id and text, sealed.
    pub sealed: Vec<u8>,
}
