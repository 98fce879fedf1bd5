//! Detection's side of the store: rows that wait, and what became of them.
//!
//! ```text
//! Durable rows ─► undetected(grant) ─► rules ─► alerts ─► incidents ─► commit_detection(cursor, …)
//! ```
//!
//! Promises
//! - Every row that became durable while detection was on is handed out, frame by frame in the order of
//!   the tenant's stream, until a commit has moved the cursor past it; after a crash, again.
//! - A commit is one transaction: cursor, alerts, incidents, activity, states, windows, outbox and audit
//!   rows, or nothing. The cursor never moves back.
//! - An alert that is there already is left as it is, whatever is committed of that id as new; only what
//!   says that it has grown replaces it.
//!
//! Bodies are given in clear and sealed here under the tenant's key; what they say is the caller's
//! business. Does not evaluate or correlate.

use access::{Granted, Maintain, ManageIncidents};
use crypto::Fields;
use model::{
    AlertId, AlertSeverity, DetectionRuleId, IncidentId, IncidentStatus, RegionCode, ServiceName,
    SourceId, TableName, TenantId, Ticks, limits,
};
use rows::arrow::array::{Array, FixedSizeBinaryArray};
use rows::{RecordBatch, hidden};
use vault::TenantVault;

use crate::Error;
use crate::audit::AuditDraft;
use crate::catalogue::{
    self, ActivityRow, AlertRow, DetectionHead, DetectionTx, IncidentRow, LinkRow, StateKind,
    StateRow, WindowRow,
};
use crate::flush::detached;
use crate::incidents::{activity_context, alert_context, assigned_token, incident_context};
use crate::lag::DetectionLag;
use crate::link::{destination, entry_context};
use crate::open::{Inner, Store, TenantState};
use crate::row_damage::DamagedRow;
use crate::rules::rule_token;

/// Rows of one partition of a frame that wait for detection.
#[derive(Debug, Clone)]
pub struct Undetected {
    /// The frame's number in the tenant's stream. A commit whose cursor is this number says that all
    /// rows of this frame, and of those before, were examined.
    pub sequence: u64,
    /// Their table.
    pub table: TableName,
    /// Their service.
    pub service: ServiceName,
    /// Where they came from.
    pub source: SourceId,
    /// The rows, hidden columns included.
    pub batch: RecordBatch,
}

/// An alert to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRecord {
    /// Its id: the same detection evaluated again has the same.
    pub id: AlertId,
    /// When it was made.
    pub created_at: Ticks,
    /// How bad.
    pub severity: AlertSeverity,
    /// The incident that it belongs to.
    pub incident: Option<IncidentId>,
    /// The region where its rows and content rest.
    pub origin: RegionCode,
    /// Whether it came over the tenant link.
    pub linked: bool,
    /// The alert, or its digest, as the caller encodes it.
    pub body: Vec<u8>,
}

/// An incident to be stored, in its next version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRecord {
    /// Its number: for a new one, [`DetectionState::next_incident`] or greater.
    pub number: IncidentId,
    /// 1 for a new one, else the former plus one.
    pub version: u64,
    /// When it was made.
    pub created_at: Ticks,
    /// When it was changed.
    pub updated_at: Ticks,
    /// Where work on it stands.
    pub status: IncidentStatus,
    /// The worst of its alerts.
    pub severity: AlertSeverity,
    /// Whom it is assigned to, to be found by; content.
    pub assigned: Option<String>,
    /// The incident as the caller encodes it.
    pub body: Vec<u8>,
}

/// An entry of an incident's activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityRecord {
    /// The incident.
    pub incident: IncidentId,
    /// When.
    pub at: Ticks,
    /// Who did what, as the caller encodes it.
    pub body: Vec<u8>,
}

/// A state that the caller keeps, replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRecord {
    /// 1 for the first one, else the former plus one.
    pub version: u64,
    /// The state as the caller encodes it.
    pub body: Vec<u8>,
}

/// A window that a scheduled rule has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRecord {
    /// The rule, the tenant's own or the cell's.
    pub rule: DetectionRuleId,
    /// End of the window before; nothing if this is the rule's first.
    pub former: Option<Ticks>,
    /// Its end.
    pub end: Ticks,
}

/// Something for another region of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    /// Which region.
    pub destination: RegionCode,
    /// What crosses, as the caller encodes it.
    pub body: Vec<u8>,
}

/// One step of detection or correlation, committed as a whole.
#[derive(Debug, Clone, Default)]
pub struct DetectionCommit {
    /// Everything up to this frame was examined; nothing if this is not about rows that wait.
    pub cursor: Option<u64>,
    /// Version of the rules that examined.
    pub rules_version: Option<u64>,
    /// Alerts. One that is there already is left as it is.
    pub alerts: Vec<AlertRecord>,
    /// Alerts that are there and say more now: severity and body take the place of the ones before. When
    /// it was made and whether it came over the link must be as they were.
    pub grown: Vec<AlertRecord>,
    /// Alerts that move to another incident.
    pub moves: Vec<(AlertId, IncidentId)>,
    /// Incidents.
    pub incidents: Vec<IncidentRecord>,
    /// Entries of their activity logs, in order.
    pub activity: Vec<ActivityRecord>,
    /// State of correlation.
    pub state: Option<StateRecord>,
    /// State of detectors.
    pub detector_state: Option<StateRecord>,
    /// Windows of scheduled rules.
    pub windows: Vec<WindowRecord>,
    /// For other regions.
    pub outbox: Vec<LinkEntry>,
    /// For the record, of this tenant.
    pub audit: Vec<AuditDraft>,
}

/// What was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DetectionCommitted {
    /// Alerts that were there before.
    pub repeated: Vec<AlertId>,
}

/// Where detection of a tenant stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectionState {
    /// Examined up to this frame; nothing if detection was never on.
    pub cursor: Option<u64>,
    /// Version of the rules that examined last.
    pub rules_version: u64,
    /// Least number that a new incident may have.
    pub next_incident: IncidentId,
    /// State of correlation.
    pub state: Option<StateRecord>,
    /// State of detectors.
    pub detector_state: Option<StateRecord>,
    /// Version of the state of correlation if it is there and does not open.
    pub damaged_state: Option<u64>,
    /// The same of the detectors' state.
    pub damaged_detector_state: Option<u64>,
}

impl Store {
    /// The oldest rows of the tenant that wait, whole frames in order: at least one, and otherwise no
    /// more than `bytes_max` in memory. They are handed out until a commit moves the cursor.
    pub fn undetected(
        &self,
        grant: &Granted<Maintain>,
        bytes_max: usize,
    ) -> Result<Vec<Undetected>, Error> {
        self.inner.live(grant)?;
        let state = self.inner.writable(grant.tenant())?;
        let mut out = Vec::new();
        for frame in self.inner.lag.oldest(state.tenant, bytes_max) {
            for part in &*frame.parts {
                out.push(Undetected {
                    sequence: frame.sequence,
                    table: part.key.table.clone(),
                    service: part.key.service.clone(),
                    source: source_of(&part.batch).ok_or(Error::Form { what: "source" })?,
                    batch: part.batch.clone(),
                });
            }
        }
        Ok(out)
    }

    /// The tenants with rows that wait, by id; without those whose log is damaged.
    pub fn tenants_behind(&self) -> Vec<TenantId> {
        let mut behind = self.inner.lag.tenants();
        behind.retain(|tenant| self.inner.writable(*tenant).is_ok());
        behind
    }

    /// How far detection is behind, for one tenant or for the cell.
    pub fn detection_lag(&self, tenant: Option<TenantId>) -> DetectionLag {
        self.inner.lag.figures(tenant)
    }

    /// Returns once rows have come that wait for detection, at once if some came since the last call.
    pub async fn rows_came(&self) {
        self.inner.lag.comes.notified().await;
    }

    /// Where detection of the tenant stands.
    pub async fn detection_state(
        &self,
        grant: &Granted<Maintain>,
    ) -> Result<DetectionState, Error> {
        self.inner.live(grant)?;
        let tenant = self.inner.tenant(grant.tenant())?;
        let head = self.inner.catalogue.detection_head(tenant.tenant).await?;
        let (state, damaged_state) = self.state_of(&tenant, StateKind::Correlation).await?;
        let (detector_state, damaged_detector_state) =
            self.state_of(&tenant, StateKind::Detectors).await?;
        Ok(DetectionState {
            cursor: head.cursor,
            rules_version: head.rules_version,
            next_incident: IncidentId(head.next_incident),
            state,
            detector_state,
            damaged_state,
            damaged_detector_state,
        })
    }

    /// A state, or the version of one that does not open.
    async fn state_of(
        &self,
        tenant: &TenantState,
        kind: StateKind,
    ) -> Result<(Option<StateRecord>, Option<u64>), Error> {
        let row = self.inner.catalogue.detection_state(tenant.tenant, kind);
        let Some(row) = row.await? else {
            return Ok((None, None));
        };
        let (version, number) = (row.version, state_number(kind));
        let context = state_context(kind, version);
        let opened = tenant.vault.open_blob(&context, &row.sealed);
        let place = DamagedRow {
            table: "detection_state",
            number: number.to_string(),
        };
        let opened = opened.map_err(Error::from);
        let opened = self
            .inner
            .isolate(tenant, place, u64::from(number), opened)?;
        Ok(match opened {
            Ok(body) => (Some(StateRecord { version, body }), None),
            Err(_) => (None, Some(version)),
        })
    }

    /// Commits one step of detection or correlation. Goes on to its end if the caller stops waiting.
    pub async fn commit_detection(
        &self,
        grant: &Granted<Maintain>,
        commit: DetectionCommit,
    ) -> Result<DetectionCommitted, Error> {
        self.inner.live(grant)?;
        self.inner.queue.secure().await?;
        self.commit_step(grant.tenant(), commit).await
    }

    /// Commits what somebody did with incidents. A cursor, alerts, windows and an outbox are not theirs
    /// to commit.
    pub async fn commit_incidents(
        &self,
        grant: &Granted<ManageIncidents>,
        commit: DetectionCommit,
    ) -> Result<DetectionCommitted, Error> {
        self.inner.live(grant)?;
        let of_detection = commit.cursor.is_some()
            || commit.rules_version.is_some()
            || commit.detector_state.is_some()
            || !commit.alerts.is_empty()
            || !commit.grown.is_empty()
            || !commit.windows.is_empty()
            || !commit.outbox.is_empty();
        if of_detection {
            return Err(Error::NotGranted);
        }
        self.commit_step(grant.tenant(), commit).await
    }

    async fn commit_step(
        &self,
        tenant: TenantId,
        commit: DetectionCommit,
    ) -> Result<DetectionCommitted, Error> {
        check_size(&commit)?;
        let state = self.inner.tenant(tenant)?;
        if let Some(cursor) = commit.cursor {
            // INVARIANT: rows that are not durable yet were not examined.
            let newest = self.inner.lag.newest(tenant);
            if newest.is_none_or(|newest| cursor > newest) {
                return Err(Error::Catalogue(catalogue::Error::Conflict {
                    what: "the detection cursor must name a frame that was handed out",
                }));
            }
        }
        if commit.audit.iter().any(|d| d.0.tenant != Some(tenant)) {
            return Err(Error::NotGranted);
        }
        let inner = self.inner.clone();
        detached(async move { inner.commit_step(&state, commit).await }).await
    }
}

impl Inner {
    async fn commit_step(
        &self,
        state: &TenantState,
        commit: DetectionCommit,
    ) -> Result<DetectionCommitted, Error> {
        let mut writer = self.writer.lock().await;
        let head = match (commit.activity.is_empty(), commit.incidents.is_empty()) {
            (true, _) => DetectionHead::default(),
            _ => self.catalogue.detection_head(state.tenant).await?,
        };
        let link = self.seal_outbox(state, commit.outbox).await?;
        let vault = &*state.vault;
        let drafts = self.dated(commit.audit)?;
        let states = [
            (StateKind::Correlation, commit.state),
            (StateKind::Detectors, commit.detector_state),
        ];
        let states = states.into_iter().filter_map(|(kind, s)| Some((kind, s?)));
        let tx = DetectionTx {
            tenant: state.tenant,
            cursor: commit.cursor,
            rules_version: commit.rules_version,
            alerts: commit
                .alerts
                .into_iter()
                .map(|r| seal_alert(vault, r))
                .collect(),
            grown: commit
                .grown
                .into_iter()
                .map(|r| seal_alert(vault, r))
                .collect(),
            moves: commit.moves.into_iter().map(|(id, n)| (id, n.0)).collect(),
            incidents: commit
                .incidents
                .into_iter()
                .map(|r| seal_incident(vault, r))
                .collect(),
            activity: (head.next_activity..)
                .zip(commit.activity)
                .map(|(sequence, r)| seal_activity(vault, sequence, &r))
                .collect(),
            states: states
                .map(|(kind, s)| seal_state(vault, kind, &s))
                .collect(),
            windows: commit
                .windows
                .iter()
                .map(|w| WindowRow {
                    rule: rule_token(vault, &w.rule),
                    former: w.former,
                    end: w.end,
                })
                .collect(),
            link,
            leaves: writer.seal_all(&self.vault, drafts)?,
        };
        let repeated = self.catalogue.commit_detection(&tx).await?;
        writer.all_committed(&tx.leaves);
        if let Some(cursor) = tx.cursor {
            self.lag.advance(state.tenant, cursor);
        }
        Ok(DetectionCommitted { repeated })
    }

    /// Numbers and seals what goes out. The writer's lock keeps the numbers.
    async fn seal_outbox(
        &self,
        state: &TenantState,
        outbox: Vec<LinkEntry>,
    ) -> Result<Vec<LinkRow>, Error> {
        if outbox.is_empty() {
            return Ok(Vec::new());
        }
        let at = self.cx.now();
        let mut queues = self.catalogue.link_queues(state.tenant).await?;
        let mut rows = Vec::with_capacity(outbox.len());
        for entry in outbox {
            let token = destination(&state.vault, &entry.destination);
            let known = queues.iter().position(|q| q.destination == token);
            let index = known.unwrap_or_else(|| {
                queues.push(catalogue::LinkQueueRow {
                    destination: token,
                    next_sequence: 1,
                    acknowledged: 0,
                    bytes: 0,
                });
                queues.len() - 1
            });
            let Some(queue) = queues.get_mut(index) else {
                continue;
            };
            let sequence = queue.next_sequence;
            queue.next_sequence += 1;
            // LIMIT: the other region has not taken anything for long. Whoever commits asks for the room
            // first ([`Store::link_room`]); this is the last guard.
            if sequence - queue.acknowledged > limits::LINK_OUTBOX_ENTRIES_MAX {
                return Err(Error::DetectionBehind);
            }
            let context = entry_context(&token, sequence);
            rows.push(LinkRow {
                destination: token,
                sequence,
                at,
                sealed: state.vault.seal_blob(&context, &entry.body),
            });
        }
        Ok(rows)
    }
}

fn check_size(commit: &DetectionCommit) -> Result<(), Error> {
    let too_large = |what| Err(Error::TooLarge { what });
    if commit.alerts.len() > limits::DETECTION_COMMIT_ALERTS_MAX
        || commit.grown.len() > limits::DETECTION_COMMIT_ALERTS_MAX
        || commit.moves.len() > limits::DETECTION_COMMIT_ALERTS_MAX
        || commit.outbox.len() > limits::DETECTION_COMMIT_ALERTS_MAX
    {
        return too_large("number of alerts");
    }
    if commit.incidents.len() > limits::DETECTION_COMMIT_INCIDENTS_MAX
        || commit.activity.len() > limits::DETECTION_COMMIT_INCIDENTS_MAX
    {
        return too_large("number of incidents");
    }
    let alerts = commit.alerts.iter().chain(&commit.grown);
    let bodies = alerts.map(|r| r.body.len());
    let bodies = bodies
        .chain(commit.incidents.iter().map(|r| r.body.len()))
        .chain(commit.activity.iter().map(|r| r.body.len()))
        .chain(commit.outbox.iter().map(|r| r.body.len()));
    if bodies
        .max()
        .is_some_and(|n| n > limits::DETECTION_ITEM_BYTES_MAX)
    {
        return too_large("alert or incident");
    }
    let states = [&commit.state, &commit.detector_state];
    let states = states.into_iter().flatten().map(|s| s.body.len());
    if states
        .max()
        .is_some_and(|n| n > limits::DETECTION_STATE_BYTES_MAX)
    {
        return too_large("detection state");
    }
    Ok(())
}

/// The source that all rows of a batch came from.
pub(crate) fn source_of(batch: &RecordBatch) -> Option<SourceId> {
    let column = batch.column_by_name(hidden::SOURCE)?;
    let column = column.as_any().downcast_ref::<FixedSizeBinaryArray>()?;
    let first = (!column.is_empty()).then(|| column.value(0))?;
    Some(SourceId::from_bytes(first.try_into().ok()?))
}

fn seal_alert(vault: &TenantVault, record: AlertRecord) -> AlertRow {
    let mut row = AlertRow {
        alert: record.id,
        created_at: record.created_at,
        severity: record.severity,
        linked: record.linked,
        incident: record.incident.map(|n| n.0),
        sealed: Vec::new(),
    };
    // `u8` length of the origin's code, the code, the body.
    let origin = record.origin.as_str().as_bytes();
    let mut plain = Vec::with_capacity(origin.len() + record.body.len() + 1);
    plain.push(u8::try_from(origin.len()).unwrap_or(0));
    plain.extend_from_slice(origin);
    plain.extend_from_slice(&record.body);
    row.sealed = vault.seal_blob(&alert_context(&row), &plain);
    row
}

fn seal_incident(vault: &TenantVault, record: IncidentRecord) -> IncidentRow {
    let mut row = IncidentRow {
        number: record.number.0,
        version: record.version,
        created_at: record.created_at,
        updated_at: record.updated_at,
        status: record.status,
        severity: record.severity,
        assigned: record.assigned.map(|whom| assigned_token(vault, &whom)),
        sealed: Vec::new(),
    };
    row.sealed = vault.seal_blob(&incident_context(&row), &record.body);
    row
}

fn seal_activity(vault: &TenantVault, sequence: u64, record: &ActivityRecord) -> ActivityRow {
    let mut row = ActivityRow {
        incident: record.incident.0,
        sequence,
        at: record.at,
        sealed: Vec::new(),
    };
    row.sealed = vault.seal_blob(&activity_context(&row), &record.body);
    row
}

fn seal_state(vault: &TenantVault, kind: StateKind, record: &StateRecord) -> StateRow {
    StateRow {
        kind,
        version: record.version,
        sealed: vault.seal_blob(&state_context(kind, record.version), &record.body),
    }
}

fn state_number(kind: StateKind) -> u8 {
    match kind {
        StateKind::Correlation => 1,
        StateKind::Detectors => 2,
    }
}

fn state_context(kind: StateKind, version: u64) -> Fields {
    Fields::new("detection-state")
        .with(&[state_number(kind)])
        .with_u64(version)
}
