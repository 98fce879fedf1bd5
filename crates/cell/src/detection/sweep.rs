//! One step over a tenant's rows: evaluate, make alerts, keep them.

use std::sync::Arc;

use detect::{Making, alert, alert_rows};
use model::{Alert, SourceId, TenantId, limits};
use rows::TableRows;
use store::{AlertRecord, DetectionCommit, LinkEntry, Undetected};

use super::growth::grown_record;
use super::home::Joined;
use super::rules::Rules;
use super::{Detectors, Progress};
use crate::Error;
use crate::cell::{Cell, Standing, Tenant};
use crate::stored::StoredAlert;

/// The source of rows that the cell made itself; their alerts exist already.
pub(crate) const OWN_SOURCE: SourceId = SourceId::from_bytes([0; 16]);

/// What a sweep found, before it is kept.
pub(super) struct Found {
    pub(super) alerts: Vec<Alert>,
    pub(super) detectors: Detectors,
}

impl Cell {
    /// Examines the tenant's next rows; the number of alerts made.
    pub(super) async fn sweep(&self, id: TenantId) -> Result<u64, Error> {
        let tenant = self.tenant_of(id)?;
        let grant = self.detect_grant(id)?;
        let mut slot = self.progress(id).await?;
        let progress = slot.clone().ok_or(Error::Internal)?;
        let waiting = self
            .store()
            .undetected(&grant, limits::DETECTION_STEP_BYTES_MAX)?;
        let Some(upto) = waiting.iter().map(|w| w.sequence).max() else {
            return Ok(0);
        };
        let rules = self.rules_of(id);
        let mut progress = progress;
        if progress.rules_version != rules.version() {
            progress.detectors.retain(&rules);
        }
        let found = {
            let (cell, tenant) = (self.clone(), tenant.clone());
            let detectors = progress.detectors.clone();
            let rules = rules.clone();
            let work = move || cell.examine(&tenant, &rules, detectors, &waiting);
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| Error::Internal)??
        };
        let Found {
            mut alerts,
            mut detectors,
        } = found;
        self.drop_kept(id, &mut alerts).await?;
        let made = u64::try_from(alerts.len()).unwrap_or(u64::MAX);
        // A rule that matches everything must not make a commit that is refused again and again. Only
        // the last part moves the cursor; after a crash before it the same alerts are made again.
        while alerts.len() > limits::DETECTION_PART_ALERTS_MAX {
            let rest = alerts.split_off(limits::DETECTION_PART_ALERTS_MAX);
            let part = Found {
                alerts: std::mem::replace(&mut alerts, rest),
                detectors: progress.detectors.clone(),
            };
            let mut commit = DetectionCommit::default();
            progress = self.keep(&tenant, progress, part, &mut commit).await?;
            self.store().commit_detection(&grant, commit).await?;
            *slot = Some(progress.clone());
        }
        detectors.linked = progress.detectors.linked.clone();
        let mut commit = DetectionCommit {
            cursor: Some(upto),
            rules_version: Some(rules.version()),
            ..DetectionCommit::default()
        };
        let last = Found { alerts, detectors };
        let mut next = self.keep(&tenant, progress, last, &mut commit).await?;
        next.rules_version = rules.version();
        self.store().commit_detection(&grant, commit).await?;
        *slot = Some(next);
        Ok(made)
    }

    /// Leaves out what a step before this one kept, and died before it moved the cursor: made again from
    /// the same rows, these are the same. A vendor's alert that comes again may have grown.
    async fn drop_kept(&self, id: TenantId, alerts: &mut Vec<Alert>) -> Result<(), Error> {
        let own = alerts.iter().filter(|alert| alert.vendor_id.is_none());
        let ids: Vec<_> = own.map(|alert| alert.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let reads = self.detect_reads(id)?;
        let kept = self.store().known_alerts(&reads, &ids).await?;
        let kept: std::collections::BTreeSet<_> = kept.into_iter().collect();
        alerts.retain(|alert| alert.vendor_id.is_some() || !kept.contains(&alert.id));
        Ok(())
    }

    /// What the rules say of the rows. Blocks.
    fn examine(
        &self,
        tenant: &Tenant,
        rules: &Rules,
        mut detectors: Detectors,
        waiting: &[Undetected],
    ) -> Result<Found, Error> {
        let vault = self.store().vault().tenant(tenant.id)?;
        let hash = |bytes: &[u8]| vault.blind_index("alert-id-v1", bytes);
        let making = Making {
            region: self.region(),
            now: self.inner.cx.now(),
            hash: &hash,
        };
        let engines: Vec<_> = rules.engines().collect();
        let mut alerts = Vec::new();
        for rows in waiting.iter().filter(|rows| rows.source != OWN_SOURCE) {
            for (engine, on) in &engines {
                let found = engine.evaluate(&rows.table, &rows.batch);
                let wanted: Vec<_> = found
                    .detections
                    .into_iter()
                    .filter(|d| on.contains(&d.rule))
                    .collect();
                let set = engine.rules();
                alerts.extend(alert::of_detections(
                    set,
                    &rows.table,
                    &rows.batch,
                    &wanted,
                    &making,
                ));
                let hits = detectors.correlations.advance(set, &found.steps, &hash);
                let hits = hits.iter().filter(|h| on.contains(&h.rule));
                alerts.extend(hits.filter_map(|hit| alert::of_hit(set, hit, &making)));
                self.note_losses(tenant.id, found.dropped + found.unstamped);
            }
            let vendor = &mut detectors.vendor;
            alerts.extend(vendor.advance(&rows.table, &rows.batch, &making));
        }
        // Evidence may come after its alert in the same step: the last state of each is the one.
        let mut seen = std::collections::BTreeSet::new();
        alerts.reverse();
        alerts.retain(|a: &Alert| seen.insert(a.id));
        alerts.reverse();
        Ok(Found { alerts, detectors })
    }

    fn note_losses(&self, id: TenantId, lost: u64) {
        if lost > 0 {
            let fields = [("tenant", id.into()), ("rows", lost.into())];
            self.inner
                .cx
                .warn("detections_dropped", model::Code::Busy, &fields);
        }
    }

    /// Fills the commit with alerts and what follows from them; the progress after it.
    pub(super) async fn keep(
        &self,
        tenant: &Arc<Tenant>,
        mut progress: Progress,
        found: Found,
        commit: &mut DetectionCommit,
    ) -> Result<Progress, Error> {
        progress.detectors = found.detectors;
        let naming = self.naming(tenant)?;
        match &tenant.standing {
            Standing::Home(_) => {
                self.append_alert_rows(tenant, &found.alerts).await?;
                let pairs = found.alerts.into_iter();
                let pairs = pairs.map(|a| Ok((naming.digest(&a)?, Some(a))));
                let pairs = pairs.collect::<Result<_, Error>>()?;
                let joined = self.join(tenant, &mut progress, pairs, commit).await?;
                self.note_joined(tenant.id, joined);
            }
            Standing::Second(profile) => {
                let now = self.inner.cx.now();
                let digest = |alert: &Alert| naming.digest(alert);
                let pairs = found.alerts.into_iter();
                let pairs = pairs.map(|a| Ok((digest(&a)?, Some(a))));
                let pairs = pairs.collect::<Result<_, Error>>()?;
                let news = self.news(tenant.id, pairs, digest).await?;
                let grown = news.grown.len();
                for (n, incoming) in news.grown.into_iter().chain(news.others).enumerate() {
                    let linked = &mut progress.detectors.linked;
                    // A rule may say that it is of any service: home knows those that rest here.
                    let (alert, service) = (&incoming.0, &incoming.0.service);
                    let mut held = profile.services().iter().map(|pin| &pin.service);
                    let mut earlier = profile.earlier().iter().map(|e| &e.service);
                    let is_held = held.any(|s| s == service) || earlier.any(|s| s == service);
                    if is_held && linked.admit(&alert.rule.id, now) {
                        let body = serde_json::to_vec(alert);
                        commit.outbox.push(LinkEntry {
                            destination: profile.home().clone(),
                            body: body.map_err(|_| Error::Internal)?,
                        });
                    }
                    let kept = grown_record(&incoming)?;
                    if n < grown {
                        commit.grown.push(kept);
                    } else {
                        commit.alerts.push(kept);
                    }
                }
            }
        }
        progress.write_detectors(commit)?;
        Ok(progress)
    }

    fn note_joined(&self, id: TenantId, joined: Joined) {
        if joined.created > 0 {
            let fields = [("tenant", id.into()), ("incidents", joined.created.into())];
            self.inner.cx.info("incidents_created", &fields);
        }
    }

    /// Rows of `AlertInfo` and `AlertEvidence`, so that alerts can be hunted. A vendor's alerts have
    /// theirs already.
    async fn append_alert_rows(&self, tenant: &Tenant, alerts: &[Alert]) -> Result<(), Error> {
        let own: Vec<Alert> = alerts
            .iter()
            .filter(|a| a.vendor_id.is_none())
            .cloned()
            .collect();
        if own.is_empty() {
            return Ok(());
        }
        let rows = alert_rows::alert_rows(&own).map_err(|e| Error::from(store::Error::Rows(e)))?;
        self.append_own(tenant, vec![rows.info, rows.evidence])
            .await
    }

    /// Stores rows that the cell itself made.
    pub(super) async fn append_own(
        &self,
        tenant: &Tenant,
        rows: Vec<TableRows>,
    ) -> Result<(), Error> {
        let grant = self
            .inner
            .cx
            .decide::<access::Ingest>(&access::Credential::system("detect"), tenant.id)?;
        let placed = self.place_own(tenant, rows)?;
        self.store().append(&grant, placed).await?;
        Ok(())
    }
}

pub(super) fn record(alert: &Alert) -> Result<AlertRecord, Error> {
    let body = serde_json::to_vec(&StoredAlert::Whole(Box::new(alert.clone())));
    Ok(AlertRecord {
        id: alert.id,
        created_at: alert.created_at,
        severity: alert.severity,
        incident: None,
        linked: false,
        origin: alert.origin.clone(),
        body: body.map_err(|_| Error::Internal)?,
    })
}
