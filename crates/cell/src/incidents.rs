//! What analysts see of alerts and incidents, and what they change.
//!
//! An alert whose content rests in another geography is shown without it in lists; its content is read
//! where it rests, when somebody looks at it, under that person's grant ([`Cell::alert`]). What a grant
//! that is limited to tables shows of an alert is written in [`crate::viewing`].

use std::collections::{BTreeMap, BTreeSet};

use access::{Granted, ManageIncidents, ReadIncidents};
use incident::{Activity, Change, Input, Path, Summary};
use model::{
    Alert, AlertDigest, AlertId, AlertSeverity, Code, Entity, EntityKey, EntityKind, IncidentId,
    KeyKind, KeyToken, RegionCode, RuleRef, ServiceName, TableName, TenantId, Ticks, limits,
};
use store::{AlertFilter, DetectionCommit, IncidentEntry, IncidentFilter};

use crate::Error;
use crate::cell::{Cell, Standing};
use crate::detection::Changes;
use crate::link::LinkRead;
use crate::stored::StoredIncident;
use crate::viewing::{Shown, Viewing, left_out, whole_view};

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
    /// The region where its rows rest; nothing if no region takes them.
    pub region: Option<RegionCode>,
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
    /// What its alerts are about, as far as their content is in this cell: a part of it.
    pub entities: Vec<Entity>,
    /// All that they are about, listed or not.
    pub entities_found: usize,
    /// Alerts whose content rests elsewhere, by region.
    pub elsewhere: Vec<(RegionCode, usize)>,
    /// What the reader should know.
    pub notice: Option<String>,
    /// Hunts to go on with.
    pub hunts: Vec<ReadyHunt>,
}

/// An entry of an incident's activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityView {
    /// Its number among the incident's entries, from 1 without a gap.
    pub sequence: u64,
    /// Who did what and why.
    pub activity: Activity,
}

/// Values of keys that alerts with their content here have, as one reader may see them.
struct Values<'a> {
    cell: &'a Cell,
    grant: &'a Granted<ReadIncidents>,
    viewing: Viewing,
    known: BTreeMap<KeyToken, Option<String>>,
}

impl Values<'_> {
    /// The value of what an entry speaks of.
    async fn of(&mut self, activity: &Activity) -> Result<Option<String>, Error> {
        let Some(shared) = &activity.shared else {
            return Ok(None);
        };
        if let Some(known) = self.known.get(&shared.key) {
            return Ok(known.clone());
        }
        let mut found = None;
        for id in activity.alert.into_iter().chain([shared.through]) {
            let record = match self.cell.store().alert(self.grant, id).await {
                Err(store::Error::RowDamaged { .. }) => continue,
                record => record?,
            };
            let shown = record.map(|r| self.viewing.show(&r)).transpose()?;
            let Some(alert) = shown.and_then(|shown| shown.whole) else {
                continue;
            };
            let mut keys = alert.entities.iter().flat_map(|e| &e.keys);
            let is_it = |key: &&EntityKey| {
                key.kind == shared.key.kind
                    && self.viewing.naming.reference(key) == shared.key.token
            };
            found = keys.find(is_it).map(|key| key.value.clone());
            if found.is_some() {
                break;
            }
        }
        self.known.insert(shared.key, found.clone());
        Ok(found)
    }
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
        let viewing = self.viewing(grant)?;
        let views = records.iter().map(|r| viewing.show(r).map(|s| s.view));
        views.collect()
    }

    /// One alert with its content, wherever that rests.
    pub async fn alert(
        &self,
        grant: &Granted<ReadIncidents>,
        id: AlertId,
    ) -> Result<AlertDetail, Error> {
        let record = self.store().alert(grant, id).await?;
        let record = record.ok_or(Error::NotFound("alert"))?;
        let viewing = self.viewing(grant)?;
        let shown = viewing.show(&record)?;
        let (is_here, region) = (shown.view.is_here, &shown.digest.origin);
        let without = |notice| AlertDetail {
            view: shown.view.clone(),
            alert: None,
            notice,
        };
        if !shown.may_read {
            return Ok(without(left_out(1)));
        }
        if let Some(alert) = shown.whole {
            // A read from elsewhere is on record by itself.
            self.note_read(grant, "alert", &id.to_string()).await?;
            return Ok(AlertDetail {
                view: shown.view,
                alert: Some(*alert),
                notice: None,
            });
        }
        if !is_here && !self.reads_are_federated(grant)? {
            return Ok(without(Some(format!(
                "the content of this alert rests in region `{region}`, and the tenant's federated reads are switched off"
            ))));
        }
        Ok(
            match self.read_there(grant, &viewing, &shown.digest).await {
                Ok(alert) => AlertDetail {
                    view: AlertView {
                        incident: record.incident,
                        ..whole_view(&alert)
                    },
                    alert: Some(alert),
                    notice: None,
                },
                Err(error) if error.code() == Code::Denied => without(Some(format!(
                    "the content of this alert rests in region `{region}`, which does not give it to this credential"
                ))),
                Err(error) => {
                    let code = error.code();
                    without(Some(format!(
                        "the content of this alert rests in region `{region}`, which could not be asked now ({code})"
                    )))
                }
            },
        )
    }

    /// Whether content of the tenant's alerts may be read across regions.
    fn reads_are_federated(&self, grant: &Granted<ReadIncidents>) -> Result<bool, Error> {
        let tenant = self.tenant_of(grant.tenant())?;
        Ok(match &tenant.standing {
            Standing::Home(record) => record.settings().federated_reads,
            Standing::Second(profile) => profile.federated_reads(),
        })
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

    /// One incident with its alerts and the first of its entities.
    pub async fn incident(
        &self,
        grant: &Granted<ReadIncidents>,
        id: IncidentId,
    ) -> Result<IncidentDetail, Error> {
        self.incident_part(grant, id, 0, limits::PAGE_ITEMS_DEFAULT)
            .await
    }

    /// Tells in which region the rows of a table rest.
    pub(crate) fn regions_of(
        &self,
        tenant: TenantId,
    ) -> Result<impl Fn(&str) -> Option<RegionCode>, Error> {
        let tenant = self.tenant_of(tenant)?;
        Ok(move |table: &str| {
            let pins = match &tenant.standing {
                Standing::Home(record) => record.services(),
                Standing::Second(profile) => profile.services(),
            };
            let table = TableName::new(table).ok()?;
            let service = tenant.registry.service_of_table(&table)?;
            let pin = pins.iter().find(|pin| pin.service == *service)?;
            pin.region().cloned()
        })
    }

    /// One incident with its alerts, and at most `limit` of its entities after the first `skip`, which
    /// stay below [`limits::INCIDENT_ENTITY_BYTES_MAX`].
    pub async fn incident_part(
        &self,
        grant: &Granted<ReadIncidents>,
        id: IncidentId,
        skip: usize,
        limit: usize,
    ) -> Result<IncidentDetail, Error> {
        let viewing = self.viewing(grant)?;
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
        let shown = records.iter().map(|record| viewing.show(record));
        let mut shown: Vec<Shown> = shown.collect::<Result<_, _>>()?;
        shown.sort_by_key(|s| (s.view.first_at, s.view.id));
        let (mut alerts, mut digests) = (Vec::new(), Vec::new());
        let (mut entities, mut elsewhere) = (Vec::new(), BTreeMap::new());
        let mut withheld = 0;
        for one in shown {
            withheld += usize::from(!one.may_read);
            if !one.view.is_here {
                *elsewhere.entry(one.digest.origin.clone()).or_default() += 1;
            }
            entities.extend(one.whole.into_iter().flat_map(|alert| alert.entities));
            alerts.push(one.view);
            digests.push(one.digest);
        }
        let path = incident::story(&view.summary, &digests);
        let entities = distinct(entities);
        let regions = self.regions_of(grant.tenant())?;
        let hunts = hunts(
            view.summary.first_at,
            view.summary.last_at,
            &entities,
            &regions,
        );
        let entities_found = entities.len();
        Ok(IncidentDetail {
            hunts,
            view,
            alerts,
            path,
            entities: part_of(entities, skip, limit),
            entities_found,
            elsewhere: elsewhere.into_iter().collect(),
            notice: left_out(withheld),
        })
    }

    /// What was done to an incident, the oldest first, from the entry after number `after`. What two alerts
    /// share is said by its value where one of them has its content here and the reader may see it, and
    /// else by its token.
    pub async fn incident_activity(
        &self,
        grant: &Granted<ReadIncidents>,
        id: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ActivityView>, Error> {
        let (mut number, mut last, mut out) = (0, 0, Vec::new());
        let mut values = Values {
            cell: self,
            grant,
            viewing: self.viewing(grant)?,
            known: BTreeMap::new(),
        };
        // The store numbers a tenant's entries; those before `after` are counted, not opened as words.
        while out.len() < limit {
            let page = limits::PAGE_ITEMS_MAX;
            let entries = self.store().activity(grant, id, last, page).await?;
            let is_last = entries.len() < page;
            last = entries.last().map_or(last, |e| e.sequence);
            for entry in entries {
                number += 1;
                if number <= after || out.len() >= limit {
                    continue;
                }
                let mut activity: Activity =
                    serde_json::from_slice(&entry.body).map_err(|_| Error::Internal)?;
                if let Some(value) = values.of(&activity).await? {
                    activity.why = activity.why_by(&value);
                }
                out.push(ActivityView {
                    sequence: number,
                    activity,
                });
            }
            if is_last {
                break;
            }
        }
        if values.known.values().any(Option::is_some) {
            self.note_read(grant, "incident", &id.to_string()).await?;
        }
        Ok(out)
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
        viewing: &Viewing,
        digest: &AlertDigest,
    ) -> Result<Alert, Error> {
        let read = LinkRead::new(
            grant.tenant(),
            self.region().clone(),
            digest.origin.clone(),
            digest.id,
            grant.actor().to_string(),
            grant.until(),
            viewing.readable().tell(),
        );
        let vault = self.store().vault();
        let signed = read.sign(&**vault)?;
        // Who looks is on record here before anybody is asked, and there when it is answered.
        let happened = store::AuditDraft::of(grant, ledger::Happening::AlertRead)
            .with("alert", digest.id)
            .with("region", &digest.origin);
        self.store().append_audit(vec![happened]).await?;
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

/// Some of an incident's entities, within their number and bytes; at least one, so that paging goes on.
pub(crate) fn part_of(entities: Vec<Entity>, skip: usize, limit: usize) -> Vec<Entity> {
    let mut bytes = 0;
    let mut part = Vec::new();
    for entity in entities.into_iter().skip(skip).take(limit) {
        let details = entity.details.iter().map(|(k, v)| k.len() + v.len());
        let keys = entity.keys.iter().map(|key| key.value.len());
        bytes += entity.name.len() + details.sum::<usize>() + keys.sum::<usize>();
        if bytes > limits::INCIDENT_ENTITY_BYTES_MAX && !part.is_empty() {
            break;
        }
        part.push(entity);
    }
    part
}

/// Hunts around what an incident or somebody is about, over an hour before and after it.
pub(crate) fn hunts(
    first_at: Ticks,
    last_at: Ticks,
    entities: &[Entity],
    regions: &dyn Fn(&str) -> Option<RegionCode>,
) -> Vec<ReadyHunt> {
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
    // Every hunt is over tables of one service.
    let mut add = |title: &str, table: &str, query: String| {
        out.push(ReadyHunt {
            title: title.to_owned(),
            query,
            region: regions(table),
        });
    };
    if let Some(devices) = devices {
        add(
            "What ran on its devices",
            "DeviceProcessEvents",
            format!(
                "DeviceProcessEvents\n| where {window}\n| where {devices}\n| project Timestamp, DeviceName, AccountName, FileName, ProcessCommandLine, InitiatingProcessFileName\n| order by Timestamp asc"
            ),
        );
        add(
            "Where its devices connected",
            "DeviceNetworkEvents",
            format!(
                "DeviceNetworkEvents\n| where {window}\n| where {devices}\n| summarize Connections = count(), First = min(Timestamp) by RemoteUrl, RemoteIP, InitiatingProcessFileName\n| order by First asc"
            ),
        );
    }
    if !accounts.is_empty() {
        let accounts = accounts.join(" or ");
        add(
            "Where its people signed in",
            "IdentityLogonEvents",
            format!(
                "IdentityLogonEvents\n| where {window}\n| where {accounts}\n| project Timestamp, AccountUpn, ActionType, Application, LogonType, IPAddress, Location, DeviceName\n| order by Timestamp asc"
            ),
        );
    }
    if let Some(people) = people {
        add(
            "Mail to and from its people",
            "EmailEvents",
            format!(
                "EmailEvents\n| where {window}\n| where RecipientEmailAddress in~ ({people}) or SenderFromAddress in~ ({people})\n| project Timestamp, SenderFromAddress, RecipientEmailAddress, Subject, DeliveryAction, ThreatTypes\n| order by Timestamp asc"
            ),
        );
        add(
            "What its people did in cloud apps",
            "CloudAppEvents",
            format!(
                "CloudAppEvents\n| where {window}\n| where AccountId in~ ({people}) or AccountDisplayName in~ ({people})\n| summarize Actions = count(), First = min(Timestamp) by Application, ActionType, IPAddress\n| order by First asc"
            ),
        );
    }
    if let Some(hashes) = hashes {
        add(
            "Where else its files were seen",
            "DeviceProcessEvents",
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
