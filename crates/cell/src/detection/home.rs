//! At home: digests join incidents, and what changed is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use incident::{Archived, Effect, Found, Input, Summary, What};
use model::{Alert, AlertDigest, IncidentId, TenantId, limits};
use residency::Sharing;
use store::{ActivityRecord, AlertRecord, DetectionCommit, IncidentRecord};

use super::growth::{Incoming, grown_record};
use super::sweep::record;
use super::{Progress, link_key, noise};
use crate::Error;
use crate::cell::{Cell, Tenant};
use crate::stored::{StoredAlert, StoredIncident};
use crate::tenants::home_record;

/// What a step did to incidents.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Joined {
    pub(crate) created: u64,
}

impl Cell {
    /// Lets alerts join incidents; the changes go into the commit. One that has grown since it joined is
    /// weighed again.
    pub(crate) async fn join(
        &self,
        tenant: &Arc<Tenant>,
        progress: &mut Progress,
        alerts: Vec<Incoming>,
        commit: &mut DetectionCommit,
    ) -> Result<Joined, Error> {
        let now = self.inner.cx.now();
        if alerts.is_empty() {
            return Ok(Joined::default());
        }
        let state = &mut progress.incidents;
        let pairs = consent(tenant)?;
        let refused = |_| Error::Internal;
        state.step(Input::Consent(pairs), now).map_err(refused)?;
        let key = link_key(tenant)?;
        state
            .step(Input::Noise(noise(&key)), now)
            .map_err(refused)?;
        let mut changes = Changes::default();
        let naming = self.naming(tenant)?;
        let reduce = |alert: &Alert| naming.digest(alert);
        let news = self.news(tenant.id, alerts, reduce).await?;
        for incoming in news.grown {
            commit.grown.push(grown_record(&incoming)?);
            let outcome = state.step(Input::Grown(Box::new(incoming.0)), now);
            changes.take(outcome.map_err(refused)?);
        }
        for (digest, whole) in news.others {
            let mut entry = match &whole {
                Some(alert) => record(alert)?,
                None => linked(&digest)?,
            };
            let outcome = state
                .step(Input::NewAlert(Box::new(digest)), now)
                .map_err(refused)?;
            entry.incident = outcome.incident;
            commit.alerts.push(entry);
            changes.take(outcome);
        }
        changes.take(state.step(Input::Tick, now).map_err(refused)?);
        self.write_down(tenant.id, changes, progress, commit).await
    }
}

/// What steps of correlation did, in their order.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    effects: Vec<Effect>,
    archived: BTreeMap<IncidentId, Archived>,
    merged: BTreeMap<IncidentId, Summary>,
}

impl Changes {
    pub(crate) fn take(&mut self, outcome: incident::Outcome) {
        self.effects.extend(outcome.effects);
        let archived = outcome.archived.into_iter();
        self.archived.extend(archived.map(|a| (a.incident, a)));
        let merged = outcome.merged.into_iter();
        self.merged.extend(merged.map(|s| (s.id, s)));
    }
}

impl Cell {
    /// Puts new versions of the incidents concerned, the entries of their activity, moved alerts and
    /// the new state into the commit.
    pub(crate) async fn write_down(
        &self,
        tenant: TenantId,
        changes: Changes,
        progress: &mut Progress,
        commit: &mut DetectionCommit,
    ) -> Result<Joined, Error> {
        let mut joined = Joined::default();
        let (mut touched, mut redirected) = (BTreeSet::new(), BTreeMap::new());
        for effect in &changes.effects {
            touched.insert(effect.incident);
            match &effect.what {
                What::Created { .. } => joined.created += 1,
                What::Merged { alerts, .. } => {
                    let moved = alerts.iter().map(|a| (*a, effect.incident));
                    commit.moves.extend(moved);
                }
                What::Linked { alert, .. } => commit.moves.push((*alert, effect.incident)),
                What::Unlinked { alert, to } => commit.moves.push((*alert, *to)),
                What::Redirected { to } => drop(redirected.insert(effect.incident, *to)),
                _ => {}
            }
            let body = serde_json::to_vec(&effect.activity()).map_err(|_| Error::Internal)?;
            commit.activity.push(ActivityRecord {
                incident: effect.incident,
                at: effect.at,
                body,
            });
        }
        settle_moves(commit);
        let reads = self.detect_reads(tenant)?;
        for id in touched {
            // Whether its content opens does not matter: it is written anew.
            let former = self.store().incident_version(&reads, id).await?;
            let version = former.map_or(1, |version| version + 1);
            let stored = changes.stored(id, progress, redirected.get(&id))?;
            commit.incidents.push(incident_record(&stored, version)?);
        }
        progress.write_incidents(commit);
        Ok(joined)
    }
}

/// An alert that this very commit adds is added where it ends up; of several moves of one alert the
/// last counts.
fn settle_moves(commit: &mut DetectionCommit) {
    let last: BTreeMap<_, _> = std::mem::take(&mut commit.moves).into_iter().collect();
    let mut rest = last;
    for alert in &mut commit.alerts {
        if let Some(incident) = rest.remove(&alert.id) {
            alert.incident = Some(incident);
        }
    }
    commit.moves = rest.into_iter().collect();
}

impl Changes {
    /// The incident as it is to be kept. One that came and went within a step is kept too: its number
    /// was given, and its activity log and the alerts' way tell of it.
    fn stored(
        &self,
        id: IncidentId,
        progress: &Progress,
        redirected: Option<&IncidentId>,
    ) -> Result<StoredIncident, Error> {
        if let Some(Found::Held(summary)) = progress.incidents.incident(id) {
            return Ok(StoredIncident {
                summary: *summary,
                archived: None,
                redirected_to: None,
            });
        }
        if let Some(archived) = self.archived.get(&id) {
            return Ok(StoredIncident {
                summary: archived.summary.clone(),
                archived: Some(archived.bytes.clone()),
                redirected_to: None,
            });
        }
        // INVARIANT: an incident that a step touched is held, archived or merged after it.
        let (Some(to), Some(summary)) = (redirected, self.merged.get(&id)) else {
            return Err(Error::Internal);
        };
        Ok(StoredIncident {
            summary: summary.clone(),
            archived: None,
            redirected_to: Some(*to),
        })
    }
}

fn incident_record(stored: &StoredIncident, version: u64) -> Result<IncidentRecord, Error> {
    let summary = &stored.summary;
    let mut body = serde_json::to_vec(stored).map_err(|_| Error::Internal)?;
    if body.len() > limits::DETECTION_ITEM_BYTES_MAX {
        // It can be read, but not worked on any more.
        let without = StoredIncident {
            archived: None,
            ..stored.clone()
        };
        body = serde_json::to_vec(&without).map_err(|_| Error::Internal)?;
    }
    Ok(IncidentRecord {
        number: summary.id,
        version,
        created_at: summary.created_at,
        updated_at: summary.updated_at,
        status: summary.status,
        severity: summary.severity,
        assigned: summary.assigned.clone(),
        body,
    })
}

/// An alert of which only the digest is here.
pub(super) fn linked(digest: &AlertDigest) -> Result<AlertRecord, Error> {
    let body = serde_json::to_vec(&StoredAlert::Digest(Box::new(digest.clone())));
    Ok(AlertRecord {
        id: digest.id,
        created_at: digest.created_at,
        severity: digest.severity,
        incident: None,
        linked: true,
        origin: digest.origin.clone(),
        body: body.map_err(|_| Error::Internal)?,
    })
}

/// The pairs of services that the tenant lets share.
fn consent(tenant: &Tenant) -> Result<Vec<(model::ServiceName, model::ServiceName)>, Error> {
    let record = home_record(tenant)?;
    let services = &tenant.registry.document().services;
    let services: Vec<_> = services.iter().map(|s| s.name.clone()).collect();
    let sharing: &Sharing = &record.settings().sharing;
    let mut pairs = Vec::new();
    for (at, a) in services.iter().enumerate() {
        for b in services.iter().skip(at + 1) {
            if sharing.allows(a, b) {
                pairs.push((a.clone(), b.clone()));
            }
        }
    }
    Ok(pairs)
}
