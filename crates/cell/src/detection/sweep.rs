//! One step over a tenant's rows: evaluate, make alerts, keep them.

use std::sync::Arc;

use access::{Counter, Granted, Maintain};
use detect::{Making, Step, VendorAlerts, alert, alert_rows};
use model::{Alert, AlertDigest, Code, SourceId, TenantId, limits};
use residency::CellProfile;
use rows::TableRows;
use store::{AlertRecord, DetectionCommit, LinkEntry, Undetected};

use super::growth::grown_record;
use super::home::Joined;
use super::rules::Rules;
use super::{Detectors, Progress, STEP_DETECT};
use crate::Error;
use crate::cell::{Cell, Standing, Tenant};
use crate::naming::Naming;
use crate::stored::StoredAlert;

/// The source of rows that the cell made itself; their alerts exist already.
pub(crate) const OWN_SOURCE: SourceId = store::SYSTEM_SOURCE;

const CUT: Counter = Counter::new(
    "detection_alerts_cut_total",
    "Alerts that were larger than may be stored: details or entities were left out.",
);
const POSTPONED: Counter = Counter::new(
    "link_alerts_postponed_total",
    "Alerts that had to wait outside a full outbox for the tenant link.",
);
const PASSED_OVER: Counter = Counter::new(
    "detection_rows_not_examined_total",
    "Rows that were passed over because examining them failed again and again.",
);

/// What a sweep found, before it is kept.
struct Found {
    alerts: Vec<Alert>,
    detectors: Detectors,
}

impl Cell {
    /// Examines the tenant's next rows; the number of alerts made.
    ///
    /// The tenant's progress is taken, not copied: if the step fails it is read back from the store.
    pub(crate) async fn sweep(&self, id: TenantId) -> Result<u64, Error> {
        let tenant = self.tenant_of(id)?;
        let grant = self.detect_grant(id)?;
        let mut slot = self.progress(id).await?;
        // After a failure frame by frame, so that one frame holds up only itself.
        let failing = self.failing_step(id, STEP_DETECT);
        let bytes_max = match &failing {
            None => limits::DETECTION_STEP_BYTES_MAX,
            Some(_) => 0,
        };
        let waiting = self.store().undetected(&grant, bytes_max)?;
        let Some(upto) = waiting.iter().map(|w| w.sequence).max() else {
            return Ok(0);
        };
        if failing.is_some_and(|f| f.is_hopeless(upto)) {
            self.pass_over(id, &grant, &waiting, upto).await?;
            return Ok(0);
        }
        self.note_trying(id, upto);
        let rules = self.rules_of(id);
        let mut progress = slot.take().ok_or(Error::Internal)?;
        if progress.rules_version != rules.version() {
            progress.detectors.retain(&rules);
            progress.detectors.changed = true;
        }
        let has_vendor = waiting.iter().any(|w| VendorAlerts::reads(&w.table));
        let mut vendor_before = has_vendor.then(|| progress.detectors.vendor.clone());
        let Found {
            mut alerts,
            detectors,
        } = {
            let (cell, tenant) = (self.clone(), tenant.clone());
            let detectors = std::mem::take(&mut progress.detectors);
            let rules = rules.clone();
            let work = move || cell.examine(&tenant, &rules, detectors, &waiting);
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| Error::NotExamined)??
        };
        progress.detectors = detectors;
        self.drop_kept(id, &mut alerts).await?;
        let made = u64::try_from(alerts.len()).unwrap_or(u64::MAX);
        // A rule that matches everything must not make a commit that is refused again and again. Only
        // the last part moves the cursor; after a crash before it the same alerts are made again.
        let mut parts = parts_of(alerts);
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let mut commit = DetectionCommit::default();
            self.keep(&tenant, &mut progress, part, &mut commit).await?;
            if matches!(tenant.standing, Standing::Second(_)) {
                // What went over the link counts at once. Correlations make the same alerts again of the
                // same rows; another product's alerts only grow, so their state waits for the last part.
                let mut swap = |progress: &mut Progress| {
                    if let Some(before) = &mut vendor_before {
                        std::mem::swap(&mut progress.detectors.vendor, before);
                    }
                };
                swap(&mut progress);
                self.write_detectors(id, &mut progress, &mut commit)?;
                swap(&mut progress);
                progress.detectors.changed = true;
            }
            self.store().commit_detection(&grant, commit).await?;
        }
        let mut commit = DetectionCommit {
            cursor: Some(upto),
            rules_version: Some(rules.version()),
            ..DetectionCommit::default()
        };
        self.keep(&tenant, &mut progress, last, &mut commit).await?;
        self.write_detectors(id, &mut progress, &mut commit)?;
        progress.rules_version = rules.version();
        self.store().commit_detection(&grant, commit).await?;
        *slot = Some(progress);
        Ok(made)
    }

    /// Moves the cursor past a frame that no try could examine: better one frame than all that follow.
    async fn pass_over(
        &self,
        id: TenantId,
        grant: &Granted<Maintain>,
        waiting: &[Undetected],
        upto: u64,
    ) -> Result<(), Error> {
        let rows: usize = waiting.iter().map(|w| w.batch.num_rows()).sum();
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let commit = DetectionCommit {
            cursor: Some(upto),
            ..DetectionCommit::default()
        };
        self.store().commit_detection(grant, commit).await?;
        let cx = &self.inner.cx;
        cx.metrics.add(&PASSED_OVER, &[], rows);
        let fields = [
            ("tenant", id.into()),
            ("frame", upto.into()),
            ("rows", rows.into()),
        ];
        cx.error("rows_not_examined", Code::TooLarge, &fields);
        Ok(())
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
        let mut steps: Vec<Vec<Step>> = engines.iter().map(|_| Vec::new()).collect();
        for rows in waiting.iter().filter(|rows| rows.source != OWN_SOURCE) {
            for ((engine, on), steps) in std::iter::zip(&engines, &mut steps) {
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
                steps.extend(found.steps);
                self.note_losses(tenant.id, found.dropped + found.unstamped);
            }
            detectors.changed |= VendorAlerts::reads(&rows.table);
            let vendor = &mut detectors.vendor;
            alerts.extend(vendor.advance(&rows.table, &rows.batch, &making));
        }
        // Rows wait table by table. What happened in which order is told by their times: a correlation is
        // to see a click before the script that it led to.
        for ((engine, on), mut steps) in std::iter::zip(&engines, steps) {
            steps.sort_by_key(|step| (step.record.at.min(step.seen), step.record.row));
            let set = engine.rules();
            detectors.changed |= !steps.is_empty();
            let hits = detectors.correlations.advance(set, &steps, &hash);
            let hits = hits.iter().filter(|h| on.contains(&h.rule));
            alerts.extend(hits.filter_map(|hit| alert::of_hit(set, hit, &making)));
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
                .warn("detections_dropped", Code::Busy, &fields);
        }
    }

    /// Fills the commit with alerts and what follows from them.
    pub(super) async fn keep(
        &self,
        tenant: &Arc<Tenant>,
        progress: &mut Progress,
        mut alerts: Vec<Alert>,
        commit: &mut DetectionCommit,
    ) -> Result<(), Error> {
        self.fit_all(tenant.id, &mut alerts);
        let naming = self.naming(tenant)?;
        match &tenant.standing {
            Standing::Home(_) => {
                self.append_alert_rows(tenant, &alerts).await?;
                let pairs = alerts.into_iter();
                let pairs = pairs.map(|a| Ok((naming.digest(&a)?, Some(a))));
                let pairs = pairs.collect::<Result<_, Error>>()?;
                let joined = self.join(tenant, progress, pairs, commit).await?;
                self.note_joined(tenant.id, joined);
            }
            Standing::Second(profile) => {
                self.keep_far(tenant.id, profile, progress, alerts, &naming, commit)
                    .await?;
            }
        }
        Ok(())
    }

    /// Away from home: alerts are kept here, and what may be told of them goes into the outbox, or waits
    /// outside while that is full.
    async fn keep_far(
        &self,
        id: TenantId,
        profile: &CellProfile,
        progress: &mut Progress,
        alerts: Vec<Alert>,
        naming: &Naming,
        commit: &mut DetectionCommit,
    ) -> Result<(), Error> {
        let now = self.inner.cx.now();
        let digest = |alert: &Alert| naming.digest(alert);
        let pairs = alerts.into_iter();
        let pairs = pairs.map(|a| Ok((digest(&a)?, Some(a))));
        let pairs = pairs.collect::<Result<_, Error>>()?;
        let news = self.news(id, pairs, digest).await?;
        let grown = news.grown.len();
        let mut room = self.link_room(id, profile.home()).await?;
        let before = progress.detectors.linked.postponed();
        for (n, incoming) in news.grown.into_iter().chain(news.others).enumerate() {
            progress.detectors.changed = true;
            let linked = &mut progress.detectors.linked;
            // A rule may say that it is of any service: home knows those that rest here.
            let (alert, service) = (&incoming.0, &incoming.0.service);
            let mut held = profile.services().iter().map(|pin| &pin.service);
            let mut earlier = profile.earlier().iter().map(|e| &e.service);
            let is_held = held.any(|s| s == service) || earlier.any(|s| s == service);
            if is_held && linked.admit(&alert.rule.id, now) {
                if room == 0 {
                    linked.postpone(alert.id);
                } else {
                    room -= 1;
                    linked.goes(&alert.id);
                    commit.outbox.push(entry(profile, alert)?);
                }
            }
            let kept = grown_record(&incoming)?;
            if n < grown {
                commit.grown.push(kept);
            } else {
                commit.alerts.push(kept);
            }
        }
        self.note_postponed(id, before, progress.detectors.linked.postponed());
        Ok(())
    }

    fn note_postponed(&self, id: TenantId, before: u64, now: u64) {
        let more = now.saturating_sub(before);
        if more > 0 {
            let cx = &self.inner.cx;
            cx.metrics.add(&POSTPONED, &[], more);
            let fields = [("tenant", id.into()), ("alerts", more.into())];
            cx.warn("link_alerts_postponed", Code::Busy, &fields);
        }
    }

    /// No alert is larger than may be stored, whatever its rows say.
    fn fit_all(&self, id: TenantId, alerts: &mut [Alert]) {
        let cut = alerts.iter_mut().map(|alert| u64::from(detect::fit(alert)));
        let cut: u64 = cut.sum();
        if cut > 0 {
            let cx = &self.inner.cx;
            cx.metrics.add(&CUT, &[], cut);
            let fields = [("tenant", id.into()), ("alerts", cut.into())];
            cx.warn("alerts_cut", Code::TooLarge, &fields);
        }
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
        self.store().append_system(&grant, placed).await?;
        Ok(())
    }
}

/// What of an alert goes to the tenant's home.
pub(super) fn entry(profile: &CellProfile, alert: &AlertDigest) -> Result<LinkEntry, Error> {
    Ok(LinkEntry {
        destination: profile.home().clone(),
        body: serde_json::to_vec(alert).map_err(|_| Error::Internal)?,
    })
}

/// Alerts in parts that one commit can take.
fn parts_of(alerts: Vec<Alert>) -> Vec<Vec<Alert>> {
    let (mut parts, mut bytes) = (vec![Vec::new()], 0_usize);
    for alert in alerts {
        bytes += detect::alert_bytes(&alert).min(limits::ALERT_BYTES_MAX);
        let is_full = |part: &Vec<Alert>| {
            part.len() >= limits::DETECTION_PART_ALERTS_MAX
                || (bytes > limits::DETECTION_PART_BYTES_MAX && !part.is_empty())
        };
        if parts.last().is_none_or(is_full) {
            bytes = detect::alert_bytes(&alert).min(limits::ALERT_BYTES_MAX);
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(alert);
        }
    }
    parts
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
