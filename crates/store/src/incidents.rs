//! Reading alerts, incidents and their activity.
//!
//! Every function takes the grant to read them; pages are keyset pages, so that what is added meanwhile
//! neither repeats nor hides anything. A row that does not open is left out of lists and named
//! ([`Store::damaged_rows`]); asked for alone it is an error with its name.

use access::{Granted, ReadIncidents, ResidencyRead};
use crypto::Fields;
use model::{AlertId, AlertSeverity, IncidentId, IncidentStatus, RegionCode, Ticks, limits};
use vault::TenantVault;

use crate::Error;
use crate::catalogue::{ActivityRow, AlertFilter, AlertRow, IncidentRow, IncidentRowFilter};
use crate::detection::AlertRecord;
use crate::open::{Store, TenantState};
use crate::row_damage::DamagedRow;

/// An incident in its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentEntry {
    /// Its number.
    pub number: IncidentId,
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
    /// The incident as it was given.
    pub body: Vec<u8>,
}

/// An entry of an incident's activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityEntry {
    /// Its number among the tenant's entries; grows.
    pub sequence: u64,
    /// The incident.
    pub incident: IncidentId,
    /// When.
    pub at: Ticks,
    /// Who did what, as it was given.
    pub body: Vec<u8>,
}

/// Which incidents to list, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Where work on them stands.
    pub status: Option<IncidentStatus>,
    /// Of this severity or a worse one.
    pub severity_min: Option<AlertSeverity>,
    /// Assigned to exactly this.
    pub assigned: Option<String>,
    /// Changed at this instant or later.
    pub updated_since: Option<Ticks>,
    /// Numbers below this one: the last of the page before.
    pub before: Option<IncidentId>,
}

/// How many alerts rest here, for residency reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// Made here.
    pub local: u64,
    /// Came over the tenant link.
    pub linked: u64,
    /// Incidents.
    pub incidents: u64,
}

impl Store {
    /// The tenant's alert of that id.
    pub async fn alert(
        &self,
        grant: &Granted<ReadIncidents>,
        alert: AlertId,
    ) -> Result<Option<AlertRecord>, Error> {
        let state = self.readable(grant)?;
        let row = self.inner.catalogue.alert(state.tenant, alert).await?;
        let opened = row.map(|row| self.opened_alert(&state, row)).transpose()?;
        opened.transpose().map_err(DamagedRow::into_error)
    }

    fn opened_alert(
        &self,
        state: &TenantState,
        row: AlertRow,
    ) -> Result<Result<AlertRecord, DamagedRow>, Error> {
        let id = row.alert;
        let place = DamagedRow {
            table: "alert",
            number: id.to_string(),
        };
        let opened = open_alert(&state.vault, row);
        self.inner.isolate(state, place, id, opened)
    }

    fn opened_incident(
        &self,
        state: &TenantState,
        row: IncidentRow,
    ) -> Result<Result<IncidentEntry, DamagedRow>, Error> {
        let number = row.number;
        let place = DamagedRow {
            table: "incident",
            number: number.to_string(),
        };
        let opened = open_incident(&state.vault, row);
        self.inner.isolate(state, place, number, opened)
    }

    fn opened_activity(
        &self,
        state: &TenantState,
        row: ActivityRow,
    ) -> Result<Result<ActivityEntry, DamagedRow>, Error> {
        let place = DamagedRow {
            table: "activity",
            number: row.sequence.to_string(),
        };
        let opened = state.vault.open_blob(&activity_context(&row), &row.sealed);
        let opened = opened.map_err(Error::from).map(|body| ActivityEntry {
            sequence: row.sequence,
            incident: IncidentId(row.incident),
            at: row.at,
            body,
        });
        self.inner.isolate(state, place, row.sequence, opened)
    }

    /// The version of an incident, whether or not its content opens.
    pub async fn incident_version(
        &self,
        grant: &Granted<ReadIncidents>,
        number: IncidentId,
    ) -> Result<Option<u64>, Error> {
        let state = self.readable(grant)?;
        let row = self.inner.catalogue.incident(state.tenant, number.0);
        Ok(row.await?.map(|row| row.version))
    }

    /// Which of these alerts the tenant has.
    pub async fn known_alerts(
        &self,
        grant: &Granted<ReadIncidents>,
        alerts: &[AlertId],
    ) -> Result<Vec<AlertId>, Error> {
        let state = self.readable(grant)?;
        let known = self.inner.catalogue.known_alerts(state.tenant, alerts);
        Ok(known.await?)
    }

    /// The tenant's alerts that the filter lets through, the newest first.
    pub async fn alerts(
        &self,
        grant: &Granted<ReadIncidents>,
        filter: &AlertFilter,
        limit: usize,
    ) -> Result<Vec<AlertRecord>, Error> {
        let state = self.readable(grant)?;
        // One more than a page tells that there is another.
        let limit = limit.min(limits::PAGE_ITEMS_MAX + 1);
        let (mut filter, mut out) = (*filter, Vec::new());
        // A row that does not open leaves no hole at the end of a page.
        while out.len() < limit {
            let wanted = limit - out.len();
            let rows = self.inner.catalogue.alerts(state.tenant, &filter, wanted);
            let rows = rows.await?;
            let is_last = rows.len() < wanted;
            filter.after = rows.last().map(|r| (r.created_at, r.alert));
            for row in rows {
                out.extend(self.opened_alert(&state, row)?);
            }
            if is_last {
                break;
            }
        }
        Ok(out)
    }

    /// The tenant's incident of that number.
    pub async fn incident(
        &self,
        grant: &Granted<ReadIncidents>,
        number: IncidentId,
    ) -> Result<Option<IncidentEntry>, Error> {
        let state = self.readable(grant)?;
        let row = self.inner.catalogue.incident(state.tenant, number.0);
        let opened = row.await?.map(|row| self.opened_incident(&state, row));
        let opened = opened.transpose()?.transpose();
        opened.map_err(DamagedRow::into_error)
    }

    /// The tenant's incidents that the filter lets through, the newest first.
    pub async fn incidents(
        &self,
        grant: &Granted<ReadIncidents>,
        filter: &IncidentFilter,
        limit: usize,
    ) -> Result<Vec<IncidentEntry>, Error> {
        let state = self.readable(grant)?;
        let assigned = filter.assigned.as_deref();
        let mut filter = IncidentRowFilter {
            status: filter.status,
            severity_min: filter.severity_min,
            assigned: assigned.map(|whom| assigned_token(&state.vault, whom)),
            updated_since: filter.updated_since,
            before: filter.before.map(|n| n.0),
        };
        // One more than a page tells that there is another.
        let limit = limit.min(limits::PAGE_ITEMS_MAX + 1);
        let mut out = Vec::new();
        while out.len() < limit {
            let wanted = limit - out.len();
            let rows = self
                .inner
                .catalogue
                .incidents(state.tenant, &filter, wanted);
            let rows = rows.await?;
            let is_last = rows.len() < wanted;
            filter.before = rows.last().map(|r| r.number);
            for row in rows {
                out.extend(self.opened_incident(&state, row)?);
            }
            if is_last {
                break;
            }
        }
        Ok(out)
    }

    /// The activity of an incident after entry `after` (0: from the first), the oldest first.
    pub async fn activity(
        &self,
        grant: &Granted<ReadIncidents>,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ActivityEntry>, Error> {
        let state = self.readable(grant)?;
        // One more than a page tells that there is another.
        let limit = limit.min(limits::PAGE_ITEMS_MAX + 1);
        let (mut after, mut out) = (after, Vec::new());
        while out.len() < limit {
            let wanted = limit - out.len();
            let catalogue = &self.inner.catalogue;
            let rows = catalogue.activity(state.tenant, incident.0, after, wanted);
            let rows = rows.await?;
            let is_last = rows.len() < wanted;
            after = rows.last().map_or(after, |r| r.sequence);
            for row in rows {
                out.extend(self.opened_activity(&state, row)?);
            }
            if is_last {
                break;
            }
        }
        Ok(out)
    }

    /// How many alerts and incidents of the tenant rest here.
    pub async fn alert_counts(&self, grant: &Granted<ResidencyRead>) -> Result<AlertCounts, Error> {
        self.inner.live(grant)?;
        let tenant = self.inner.tenant(grant.tenant())?.tenant;
        let (local, linked, incidents) = self.inner.catalogue.alert_counts(tenant).await?;
        Ok(AlertCounts {
            local,
            linked,
            incidents,
        })
    }

    fn readable(
        &self,
        grant: &Granted<ReadIncidents>,
    ) -> Result<std::sync::Arc<TenantState>, Error> {
        self.inner.live(grant)?;
        self.inner.tenant(grant.tenant())
    }
}

fn open_alert(vault: &TenantVault, row: AlertRow) -> Result<AlertRecord, Error> {
    const FORM: Error = Error::Form { what: "alert" };
    let plain = vault.open_blob(&alert_context(&row), &row.sealed)?;
    let (len, rest) = plain.split_first().ok_or(FORM)?;
    let (origin, body) = rest.split_at_checked(usize::from(*len)).ok_or(FORM)?;
    let origin = std::str::from_utf8(origin).ok();
    let origin = origin.and_then(|code| RegionCode::new(code).ok());
    Ok(AlertRecord {
        id: row.alert,
        created_at: row.created_at,
        severity: row.severity,
        incident: row.incident.map(IncidentId),
        origin: origin.ok_or(FORM)?,
        linked: row.linked,
        body: body.to_vec(),
    })
}

fn open_incident(vault: &TenantVault, row: IncidentRow) -> Result<IncidentEntry, Error> {
    let body = vault.open_blob(&incident_context(&row), &row.sealed)?;
    Ok(IncidentEntry {
        number: IncidentId(row.number),
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
        status: row.status,
        severity: row.severity,
        body,
    })
}

/// What an alert is sealed for: all of its row but the incident, which may change.
pub(crate) fn alert_context(row: &AlertRow) -> Fields {
    Fields::new("alert")
        .with(row.alert.as_bytes())
        .with(&row.created_at.0.to_le_bytes())
        .with(row.severity.as_str().as_bytes())
        .with(&[u8::from(row.linked)])
}

/// What an incident is sealed for: all of its row.
pub(crate) fn incident_context(row: &IncidentRow) -> Fields {
    Fields::new("incident")
        .with_u64(row.number)
        .with_u64(row.version)
        .with(&row.created_at.0.to_le_bytes())
        .with(&row.updated_at.0.to_le_bytes())
        .with(row.status.as_str().as_bytes())
        .with(row.severity.as_str().as_bytes())
        .with(row.assigned.as_ref().map_or(&[][..], |token| token))
}

pub(crate) fn activity_context(row: &ActivityRow) -> Fields {
    Fields::new("activity")
        .with_u64(row.sequence)
        .with_u64(row.incident)
        .with(&row.at.0.to_le_bytes())
}

/// What an incident is found by that is assigned to somebody.
pub(crate) fn assigned_token(vault: &TenantVault, whom: &str) -> [u8; 16] {
    vault.blind_index("incident-assigned", whom.as_bytes())
}
