//! What analysts see of alerts and incidents, and what they change.
//!
//! An alert whose content rests in another geography is shown without it in lists; its content is read
//! where it rests, when somebody looks at it, under that person's grant ([`Cell::alert`]).

use std::collections::BTreeSet;

use access::{Granted, ManageIncidents, ReadIncidents};
use incident::{Activity, Change, Input, Path, Summary};
use model::{
    Alert, AlertDigest, AlertId, AlertSeverity, Entity, EntityKind, IncidentId, KeyKind,
    RegionCode, RuleRef, ServiceName, Ticks, limits,
};
use store::{AlertFilter, AlertRecord, DetectionCommit, IncidentEntry, IncidentFilter};

use crate::Error;
use crate::cell::{Cell, Standing};
use crate::detection::{Changes, link_key};
use crate::link::{LinkRead, reference};
use crate::stored::{StoredAlert, StoredIncident};

/// An alert in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertView {
    /// The alert.
    pub id: AlertId,
    /// The id that a vendor gave it.
    pub vendor_id: Option<String>,
    /// Its title; that of its rule if its content rests elsewhere.
    pub title: String,
    /// How bad.
    pub severity: AlertSeverity,
    /// Tactic.
    pub category: String,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// The service whose rows it rests on.
    pub service: ServiceName,
    /// Where its content rests.
    pub origin: RegionCode,
    /// What found it.
    pub rule: RuleRef,
    /// When it was made.
    pub created_at: Ticks,
    /// Time of the first row behind it.
    pub first_at: Ticks,
    /// Time of the last row behind it.
    pub last_at: Ticks,
    /// The incident that it belongs to.
    pub incident: Option<IncidentId>,
    /// Whether its content is in this cell.
    pub is_here: bool,
}

/// An alert with its content, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertDetail {
    /// As in a list.
    pub view: AlertView,
    /// All of it; nothing if its origin could not be asked.
    pub alert: Option<Alert>,
    /// What the reader should know.
    pub notice: Option<String>,
}

/// An incident in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentView {
    /// Everything that its alerts and people say of it.
    pub summary: Summary,
    /// Counts its changes.
    pub version: u64,
    /// Where it went, if it was merged.
    pub redirected_to: Option<IncidentId>,
}

/// A ready-made hunt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyHunt {
    /// What it answers.
    pub title: String,
    /// The query.
    pub query: String,
}

/// An incident with its alerts and what they are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentDetail {
    /// As in a list.
    pub view: IncidentView,
    /// Its alerts, by time, at most [`limits::INCIDENT_ALERTS_SHOWN_MAX`].
    pub alerts: Vec<AlertView>,
    /// The path it took.
    pub path: Path,
    /// What its alerts are about, as far as their content is in this cell.
    pub entities: Vec<Entity>,
    /// Alerts whose content rests elsewhere, by region.
    pub elsewhere: Vec<(RegionCode, usize)>,
    /// Hunts to go on with.
    pub hunts: Vec<ReadyHunt>,
}

/// An entry of an incident's activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityView {
    /// Its number; grows.
    pub sequence: u64,
    /// Who did what and why.
    pub activity: Activity,
}

impl Cell {
    /// Alerts, the newest first.
    pub async fn alerts(
        &self,
        grant: &Granted<ReadIncidents>,
        filter: &AlertFilter,
        limit: usize,
    ) -> Result<Vec<AlertView>, Error> {
        let records = self.store().alerts(grant, filter, limit).await?;
        records
            .iter()
            .map(|r| self.alert_view(r).map(|(v, _)| v))
            .collect()
    }

    /// One alert with its content, wherever that rests.
    pub async fn alert(
        &self,
        grant: &Granted<ReadIncidents>,
        id: AlertId,
    ) -> Result<AlertDetail, Error> {
        let record = self.store().alert(grant, id).await?;
        let record = record.ok_or(Error::NotFound("alert"))?;
        self.note_read(grant, "alert", &id.to_string()).await?;
        let (view, stored) = self.alert_view(&record)?;
        let (alert, notice) = match stored {
            StoredAlert::Whole(alert) => (Some(*alert), None),
            StoredAlert::Digest(digest) => match self.read_there(grant, &digest).await {
                Ok(alert) => (Some(alert), None),
                Err(error) => {
                    let (region, code) = (&digest.origin, error.code());
                    let notice = format!(
                        "the content of this alert rests in region `{region}`, which could not be asked now ({code})"
                    );
                    (None, Some(notice))
                }
            },
        };
        Ok(AlertDetail {
            view,
            alert,
            notice,
        })
    }

    pub(crate) fn alert_view(
        &self,
        record: &AlertRecord,
    ) -> Result<(AlertView, StoredAlert), Error> {
        let stored: StoredAlert =
            serde_json::from_slice(&record.body).map_err(|_| Error::Internal)?;
        let view = match &stored {
            StoredAlert::Whole(alert) => AlertView {
                id: alert.id,
                vendor_id: alert.vendor_id.clone(),
                title: alert.title.clone(),
                severity: alert.severity,
                category: alert.category.clone(),
                techniques: alert.techniques.clone(),
                service: alert.service.clone(),
                origin: alert.origin.clone(),
                rule: alert.rule.clone(),
                created_at: alert.created_at,
                first_at: alert.first_at,
                last_at: alert.last_at,
                incident: record.incident,
                is_here: true,
            },
            StoredAlert::Digest(digest) => AlertView {
                id: digest.id,
                vendor_id: None,
                title: self.title_of(&digest.rule),
                severity: digest.severity,
                category: digest.category.clone(),
                techniques: digest.techniques.clone(),
                service: digest.service.clone(),
                origin: digest.origin.clone(),
                rule: digest.rule.clone(),
                created_at: digest.created_at,
                first_at: digest.first_at,
                last_at: digest.last_at,
                incident: record.incident,
                is_here: false,
            },
        };
        Ok((view, stored))
    }

    /// Incidents, the newest first.
    pub async fn incidents(
        &self,
        grant: &Granted<ReadIncidents>,
        filter: &IncidentFilter,
        limit: usize,
    ) -> Result<Vec<IncidentView>, Error> {
        let entries = self.store().incidents(grant, filter, limit).await?;
        entries.iter().map(incident_view).collect()
    }

    /// One incident with its alerts.
    pub async fn incident(
        &self,
        grant: &Granted<ReadIncidents>,
        id: IncidentId,
    ) -> Result<IncidentDetail, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        let entry = self.store().incident(grant, id).await?;
        let view = incident_view(&entry.ok_or(Error::NotFound("incident"))?)?;
        self.note_read(grant, "incident", &id.to_string()).await?;
        let filter = AlertFilter {
            incident: Some(id),
            ..AlertFilter::default()
        };
        let records = self
            .store()
            .alerts(grant, &filter, limits::INCIDENT_ALERTS_SHOWN_MAX)
            .await?;
        let key = link_key(&tenant)?;
        let (mut alerts, mut digests) = (Vec::new(), Vec::new());
        let (mut entities, mut elsewhere) = (Vec::new(), std::collections::BTreeMap::new());
        for record in &records {
            let (shown, stored) = self.alert_view(record)?;
            alerts.push(shown);
            match stored {
                StoredAlert::Whole(alert) => {
                    digests.push(alert.digest(|k| reference(&key, k)));
                    entities.extend(alert.entities);
                }
                StoredAlert::Digest(digest) => {
                    *elsewhere.entry(digest.origin.clone()).or_default() += 1;
                    digests.push(*digest);
                }
            }
        }
        alerts.sort_by_key(|a| (a.first_at, a.id));
        let path = incident::story(&view.summary, &digests);
        let entities = distinct(entities);
        Ok(IncidentDetail {
            hunts: hunts(view.summary.first_at, view.summary.last_at, &entities),
            view,
            alerts,
            path,
            entities,
            elsewhere: elsewhere.into_iter().collect(),
        })
    }

    /// What was done to an incident, the oldest first.
    pub async fn incident_activity(
        &self,
        grant: &Granted<ReadIncidents>,
        id: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ActivityView>, Error> {
        let entries = self.store().activity(grant, id, after, limit).await?;
        let view = |entry: store::ActivityEntry| {
            Ok(ActivityView {
                sequence: entry.sequence,
                activity: serde_json::from_slice(&entry.body).map_err(|_| Error::Internal)?,
            })
        };
        entries.into_iter().map(view).collect()
    }

    /// A person's change to an incident. All of it happens or nothing.
    pub async fn change_incident(
        &self,
        grant: &Granted<ManageIncidents>,
        id: IncidentId,
        change: Change,
    ) -> Result<IncidentView, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        if let Standing::Second(profile) = &tenant.standing {
            let home = profile.home();
            return Err(Error::Conflict(format!(
                "the tenant's incidents are at its home region `{home}`"
            )));
        }
        let reads = self.detect_reads(tenant.id)?;
        let now = self.inner.cx.now();
        let mut slot = self.progress(tenant.id).await?;
        let mut next = slot.take().ok_or(Error::Internal)?;
        self.recall(&reads, &mut next.incidents, id).await?;
        let input = Input::Analyst {
            who: grant.actor().to_string(),
            incident: id,
            change: Box::new(change),
        };
        let outcome = match next.incidents.step(input, now) {
            Ok(outcome) => outcome,
            Err(refusal) => {
                // A refused change changes nothing.
                *slot = Some(next);
                return Err(match refusal {
                    incident::Refusal::UnknownIncident(_) => Error::NotFound("incident"),
                    other => Error::Conflict(other.to_string()),
                });
            }
        };
        let mut changes = Changes::default();
        changes.take(outcome);
        let mut commit = DetectionCommit::default();
        self.write_down(tenant.id, changes, &mut next, &mut commit)
            .await?;
        self.store().commit_incidents(grant, commit).await?;
        *slot = Some(next);
        drop(slot);
        let entry = self.store().incident(&reads, id).await?;
        incident_view(&entry.ok_or(Error::NotFound("incident"))?)
    }

    /// An incident that correlation holds no longer is held again, so that it can be worked on.
    async fn recall(
        &self,
        reads: &Granted<ReadIncidents>,
        state: &mut incident::State,
        id: IncidentId,
    ) -> Result<(), Error> {
        if state.incident(id).is_some() {
            return Ok(());
        }
        let Some(entry) = self.store().incident(reads, id).await? else {
            return Ok(());
        };
        let stored: StoredIncident =
            serde_json::from_slice(&entry.body).map_err(|_| Error::Internal)?;
        if let Some(bytes) = stored.archived {
            let recalled = state.step(Input::Recall(bytes), self.inner.cx.now());
            recalled.map_err(|refusal| Error::Conflict(refusal.to_string()))?;
        }
        Ok(())
    }

    /// Asks the cell where an alert's content rests, in the name of whoever looks.
    async fn read_there(
        &self,
        grant: &Granted<ReadIncidents>,
        digest: &AlertDigest,
    ) -> Result<Alert, Error> {
        let read = LinkRead::new(
            grant.tenant(),
            self.region().clone(),
            digest.origin.clone(),
            digest.id,
            grant.actor().to_string(),
            grant.until(),
        );
        let vault = self.store().vault();
        let signed = read.sign(&**vault)?;
        let peers = &self.inner.options.peers;
        let sealed = peers
            .read_alert(&digest.origin, &signed)
            .await
            .map_err(crate::PeerError::of_link)?;
        let body = vault.open_envelope(&read.context(), &sealed)?;
        let alert: Alert = serde_json::from_slice(&body).map_err(|_| Error::Internal)?;
        if alert.id != digest.id {
            return Err(Error::Internal);
        }
        Ok(alert)
    }
}

pub(crate) fn incident_view(entry: &IncidentEntry) -> Result<IncidentView, Error> {
    let stored: StoredIncident =
        serde_json::from_slice(&entry.body).map_err(|_| Error::Internal)?;
    Ok(IncidentView {
        summary: stored.summary,
        version: entry.version,
        redirected_to: stored.redirected_to,
    })
}

/// Entities of several alerts, each once: two that share a key are the same.
pub(crate) fn distinct(entities: Vec<Entity>) -> Vec<Entity> {
    let mut out: Vec<Entity> = Vec::new();
    for entity in entities {
        let same = out
            .iter_mut()
            .find(|o| o.kind == entity.kind && o.keys.iter().any(|key| entity.keys.contains(key)));
        match same {
            Some(known) => {
                known.role = known.role.min(entity.role);
                let keys: BTreeSet<_> = known.keys.drain(..).chain(entity.keys).collect();
                known.keys = keys.into_iter().collect();
            }
            None => out.push(entity),
        }
    }
    out
}

/// Hunts around what an incident or somebody is about, over an hour before and after it.
pub(crate) fn hunts(first_at: Ticks, last_at: Ticks, entities: &[Entity]) -> Vec<ReadyHunt> {
    let hour = model::Span100ns::seconds(3_600);
    let from = first_at.saturating_add(model::Span100ns(-hour.0));
    let to = last_at.saturating_add(hour);
    let window = format!("Timestamp between (datetime({from}) .. datetime({to}))");
    let values = |kind: EntityKind, key: KeyKind| {
        let keys = entities
            .iter()
            .filter(|e| e.kind == kind)
            .flat_map(|e| &e.keys)
            .filter(|k| k.kind == key)
            .map(|k| quoted(&k.value));
        let found: BTreeSet<String> = keys.take(limits::READY_HUNT_VALUES_MAX).collect();
        (!found.is_empty()).then(|| found.into_iter().collect::<Vec<_>>().join(", "))
    };
    // An id is exact; a name stands in where no alert told the id.
    let devices = values(EntityKind::Device, KeyKind::DeviceId)
        .map(|ids| format!("DeviceId in~ ({ids})"))
        .or_else(|| {
            let names = values(EntityKind::Device, KeyKind::DeviceName)?;
            Some(format!("DeviceName in~ ({names})"))
        });
    let ways = [
        (KeyKind::Address, "AccountUpn"),
        (KeyKind::AccountObjectId, "AccountObjectId"),
        (KeyKind::AccountSid, "AccountSid"),
    ];
    let ways = ways.iter().filter_map(|(kind, column)| {
        let found = values(EntityKind::Account, *kind)?;
        Some(format!("{column} in~ ({found})"))
    });
    let accounts: Vec<String> = ways.collect();
    let hashes = values(EntityKind::File, KeyKind::Sha256);
    let people = values(EntityKind::Account, KeyKind::Address)
        .or_else(|| values(EntityKind::Mailbox, KeyKind::Address));
    let mut out = Vec::new();
    let mut add = |title: &str, query: String| {
        out.push(ReadyHunt {
            title: title.to_owned(),
            query,
        });
    };
    if let Some(devices) = devices {
        add(
            "What ran on its devices",
            format!(
                "DeviceProcessEvents\n| where {window}\n| where {devices}\n| project Timestamp, DeviceName, AccountName, FileName, ProcessCommandLine, InitiatingProcessFileName\n| order by Timestamp asc"
            ),
        );
        add(
            "Where its devices connected",
            format!(
                "DeviceNetworkEvents\n| where {window}\n| where {devices}\n| summarize Connections = count(), First = min(Timestamp) by RemoteUrl, RemoteIP, InitiatingProcessFileName\n| order by First asc"
            ),
        );
    }
    if !accounts.is_empty() {
        let accounts = accounts.join(" or ");
        add(
            "Where its people signed in",
            format!(
                "IdentityLogonEvents\n| where {window}\n| where {accounts}\n| project Timestamp, AccountUpn, ActionType, Application, LogonType, IPAddress, Location, DeviceName\n| order by Timestamp asc"
            ),
        );
    }
    if let Some(people) = people {
        add(
            "Mail to and from its people",
            format!(
                "EmailEvents\n| where {window}\n| where RecipientEmailAddress in~ ({people}) or SenderFromAddress in~ ({people})\n| project Timestamp, SenderFromAddress, RecipientEmailAddress, Subject, DeliveryAction, ThreatTypes\n| order by Timestamp asc"
            ),
        );
        add(
            "What its people did in cloud apps",
            format!(
                "CloudAppEvents\n| where {window}\n| where AccountId in~ ({people}) or AccountDisplayName in~ ({people})\n| summarize Actions = count(), First = min(Timestamp) by Application, ActionType, IPAddress\n| order by First asc"
            ),
        );
    }
    if let Some(hashes) = hashes {
        add(
            "Where else its files were seen",
            format!(
                "union DeviceProcessEvents, DeviceFileEvents, DeviceImageLoadEvents\n| where SHA256 in~ ({hashes})\n| summarize Events = count(), First = min(Timestamp) by DeviceName, FileName, SHA256\n| order by First asc"
            ),
        );
    }
    out
}

/// A KQL string literal.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
