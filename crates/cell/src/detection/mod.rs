//! Detection: rows that are durable are examined, and what is found becomes alerts and incidents.
//!
//! ```text
//! rows after the cursor ─► rules, correlations, vendor alerts ─► alerts
//!   at home:     rows of AlertInfo and AlertEvidence ─► incidents ─► one commit moves the cursor
//!   elsewhere:   alert kept here, its digest into the outbox ─► one commit ─► tenant link ─► home
//! ```
//!
//! Promises
//! - No durable row is skipped: the cursor moves only in the transaction that keeps what was found. A
//!   crash before it examines again, and an alert's id is the same then.
//! - No row stops those after it: alerts and states keep to their bytes (what went is counted and said),
//!   and a frame that cannot be examined at all is passed over after some tries, counted and said.
//! - A state that does not open begins anew, and that is said; a row of an incident or alert that does
//!   not open keeps nothing else from going on.
//! - Rows of `AlertInfo` and `AlertEvidence` are durable before the transaction; made again after a
//!   crash they are dropped as repeats.
//! - Content of an alert stays in the region of its rows; what goes home has no place for it.
//!
//! One detection of a tenant runs at a time; tenants do not wait for each other.

mod growth;
mod health;
mod home;
mod link;
mod rules;
mod scheduled;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Credential, Granted, Maintain, ReadIncidents};
use crypto::kdf::MacKey;
use detect::schedule::ScheduleState;
use detect::{CorrelationState, VendorAlerts};
use model::{
    AlertId, Code, DetectionRuleId, EntityKey, IncidentId, KeyToken, RegionCode, TenantId, Ticks,
    limits,
};
use serde::{Deserialize, Serialize};
use store::{DetectionCommit, StateRecord};

use crate::cell::{Cell, Standing, Tenant};
use crate::link::reference;
use crate::{Error, StepReport};

use health::Failing;
pub(crate) use health::STEP_DETECT;
pub use health::{DetectionHealth, RuleFailure};
pub(crate) use home::Changes;
pub use link::LinkView;
pub(crate) use rules::InForce;
pub use rules::{RuleOrigin, RuleView};
pub(crate) use sweep::OWN_SOURCE;

/// What detection holds of each tenant, in memory.
#[derive(Debug, Default)]
pub(crate) struct Detection {
    tenants: Mutex<BTreeMap<TenantId, Arc<tokio::sync::Mutex<Option<Progress>>>>>,
    /// Scheduled rules that failed with their last window.
    failed_rules: Mutex<BTreeMap<(TenantId, DetectionRuleId), RuleFailure>>,
    /// Steps that failed when they were tried last.
    failing: Mutex<BTreeMap<(TenantId, &'static str), Failing>>,
    /// The frame that the last try of each tenant's step ended with.
    trying: Mutex<BTreeMap<TenantId, u64>>,
}

/// One tenant's detection, as committed last. There is one of it: whoever changes it takes it, and puts it
/// back once the change is committed; else it is read back from the store.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) detectors: Detectors,
    pub(crate) incidents: incident::State,
    /// Versions of the two states in the store; 0 before the first.
    pub(crate) detectors_version: u64,
    pub(crate) incidents_version: u64,
    /// Version of the rules that examined last.
    pub(crate) rules_version: u64,
}

/// What is in progress over several rows; content, and sealed at rest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Detectors {
    pub(crate) correlations: CorrelationState,
    pub(crate) vendor: VendorAlerts,
    /// Windows that scheduled rules have looked at, by rule.
    #[serde(default)]
    pub(crate) schedules: BTreeMap<DetectionRuleId, ScheduleState>,
    /// Alerts that went over the link today, by rule.
    #[serde(default)]
    pub(crate) linked: LinkedToday,
    /// At home: alerts that each other region said it holds back.
    #[serde(default)]
    pub(crate) held_back: BTreeMap<RegionCode, u64>,
    /// Whether it is to be written again.
    #[serde(skip)]
    pub(crate) changed: bool,
}

/// The cap of the tenant link: a rule that matches everything must not copy a mailbox.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LinkedToday {
    day: i64,
    counts: BTreeMap<DetectionRuleId, u32>,
    /// Alerts that stayed here because of it, or because too many waited, ever.
    pub(crate) held_back: u64,
    /// Alerts that wait for room in a full outbox: detection goes on without it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    postponed: BTreeSet<AlertId>,
}

impl LinkedToday {
    /// Whether one more alert of the rule may go on this day.
    pub(crate) fn admit(&mut self, rule: &DetectionRuleId, now: Ticks) -> bool {
        let day = i64::from(now.day());
        if day != self.day {
            self.day = day;
            self.counts.clear();
        }
        let count = self.counts.entry(rule.clone()).or_default();
        if *count >= limits::LINK_ALERTS_PER_RULE_DAY_MAX {
            self.held_back += 1;
            return false;
        }
        *count += 1;
        true
    }

    /// The outbox is full: the alert waits outside it, or stays for good if too many do.
    pub(crate) fn postpone(&mut self, alert: AlertId) {
        // LIMIT: said to the home with the next message, like what the cap holds back.
        if self.postponed.len() < limits::LINK_POSTPONED_MAX || self.postponed.contains(&alert) {
            self.postponed.insert(alert);
        } else {
            self.held_back += 1;
        }
    }

    /// The alert goes now, as it is by now.
    pub(crate) fn goes(&mut self, alert: &AlertId) {
        self.postponed.remove(alert);
    }

    /// Some alerts that wait for room.
    pub(crate) fn waiting(&self, most: usize) -> Vec<AlertId> {
        self.postponed.iter().take(most).copied().collect()
    }

    /// How many do.
    pub(crate) fn postponed(&self) -> u64 {
        u64::try_from(self.postponed.len()).unwrap_or(u64::MAX)
    }
}

impl Detectors {
    /// Lets go of the older half of everything.
    fn shrink(&mut self) {
        self.correlations.shrink(self.correlations.bytes() / 2);
        self.vendor.shrink(self.vendor.bytes() / 2);
        self.schedules.values_mut().for_each(ScheduleState::shrink);
    }

    /// Forgets what belongs to rules that are no more; what rules that stay have seen stays.
    pub(crate) fn retain(&mut self, rules: &rules::Rules) {
        let engines: Vec<_> = rules.engines().map(|(engine, _)| engine.clone()).collect();
        let sets: Vec<_> = engines.iter().map(|engine| engine.rules()).collect();
        self.correlations.retain(&sets);
        self.schedules.retain(|id, _| rules.has(id));
    }
}

impl Progress {
    /// Puts correlation's state into the commit.
    pub(crate) fn write_incidents(&mut self, commit: &mut DetectionCommit) {
        self.incidents_version += 1;
        commit.state = Some(StateRecord {
            version: self.incidents_version,
            body: self.incidents.to_bytes(),
        });
    }
}

impl Cell {
    /// The tenant's progress, read from the store the first time.
    pub(crate) async fn progress(
        &self,
        tenant: TenantId,
    ) -> Result<tokio::sync::OwnedMutexGuard<Option<Progress>>, Error> {
        let slot = {
            let mut tenants = self
                .inner
                .detection
                .tenants
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant).or_default().clone()
        };
        let mut progress = slot.lock_owned().await;
        if progress.is_none() {
            *progress = Some(self.load_progress(tenant).await?);
        }
        Ok(progress)
    }

    /// Puts the detectors' state into the commit, if it has changed. It is made to fit first: what is
    /// kept in progress has limits of its own, and this one is the last.
    pub(crate) fn write_detectors(
        &self,
        id: TenantId,
        progress: &mut Progress,
        commit: &mut DetectionCommit,
    ) -> Result<(), Error> {
        if !progress.detectors.changed {
            return Ok(());
        }
        let encode =
            |detectors: &Detectors| serde_json::to_vec(detectors).map_err(|_| Error::Internal);
        let mut body = encode(&progress.detectors)?;
        while body.len() > limits::DETECTION_STATE_BYTES_MAX {
            let before = body.len();
            progress.detectors.shrink();
            body = encode(&progress.detectors)?;
            let fields = [("tenant", id.into()), ("bytes", bytes_of(&body).into())];
            let cx = &self.inner.cx;
            cx.error("detection_state_cut", Code::TooLarge, &fields);
            if body.len() >= before {
                break;
            }
        }
        progress.detectors_version += 1;
        progress.detectors.changed = false;
        commit.detector_state = Some(StateRecord {
            version: progress.detectors_version,
            body,
        });
        Ok(())
    }

    async fn load_progress(&self, id: TenantId) -> Result<Progress, Error> {
        let stored = self
            .store()
            .detection_state(&self.detect_grant(id)?)
            .await?;
        let (mut detectors, mut incidents) = (None, None);
        let detectors_version = stored.detector_state.as_ref().map(|s| s.version);
        let incidents_version = stored.state.as_ref().map(|s| s.version);
        if let Some(state) = &stored.detector_state {
            detectors = serde_json::from_slice(&state.body).ok();
        }
        if let Some(state) = &stored.state {
            incidents = incident::State::from_bytes(&state.body).ok();
        }
        let detectors_version = detectors_version.or(stored.damaged_detector_state);
        let incidents_version = incidents_version.or(stored.damaged_state);
        for (version, is_there, which) in [
            (detectors_version, detectors.is_some(), "detectors"),
            (incidents_version, incidents.is_some(), "correlation"),
        ] {
            if let Some(version) = version.filter(|_| !is_there) {
                self.note_begun_anew(id, which, version).await?;
            }
        }
        let numbers = IncidentId(stored.next_incident.0.saturating_sub(1));
        Ok(Progress {
            detectors: detectors.unwrap_or_default(),
            incidents: incidents.unwrap_or_else(|| incident::State::after(numbers)),
            detectors_version: detectors_version.unwrap_or(0),
            incidents_version: incidents_version.unwrap_or(0),
            rules_version: stored.rules_version,
        })
    }

    /// A state that does not open is replaced by an empty one: detection goes on, what was in progress is
    /// lost, and the tenant's record says so.
    async fn note_begun_anew(
        &self,
        id: TenantId,
        which: &'static str,
        version: u64,
    ) -> Result<(), Error> {
        let fields = [
            ("tenant", id.into()),
            ("state", which.into()),
            ("version", version.into()),
        ];
        let cx = &self.inner.cx;
        cx.error("detection_state_lost", Code::TenantDamaged, &fields);
        let grant = self.detect_grant(id)?;
        let happened = store::AuditDraft::of(&grant, ledger::Happening::DetectionStateLost)
            .with("state", which)
            .with("version", version);
        self.store().append_audit(vec![happened]).await?;
        Ok(())
    }

    pub(crate) fn detect_reads(&self, id: TenantId) -> Result<Granted<ReadIncidents>, Error> {
        Ok(self.inner.cx.decide(&Credential::system("detect"), id)?)
    }

    pub(crate) fn detect_grant(&self, id: TenantId) -> Result<Granted<Maintain>, Error> {
        Ok(self.inner.cx.decide(&Credential::system("detect"), id)?)
    }

    /// Examines what waits of every tenant, and moves alerts of other geographies home.
    pub async fn detect_step(&self) -> StepReport {
        let mut report = StepReport::default();
        for id in self.store().tenants_behind() {
            self.report_step(id, STEP_DETECT, self.sweep(id).await, &mut report);
        }
        for tenant in self.all_tenants() {
            let done = self.scheduled_step(&tenant).await;
            self.report_step(tenant.id, "scheduled_rules", done, &mut report);
            if matches!(tenant.standing, Standing::Second(_)) {
                let done = self.send_alerts_home(&tenant).await;
                self.report_step(tenant.id, "link", done, &mut report);
            }
        }
        self.measure_detection();
        report
    }
}

fn bytes_of(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

/// The tenant's link secret as a key for references.
pub(crate) fn link_key(tenant: &Tenant) -> Result<MacKey, Error> {
    let secret = tenant.document.link_secret.as_deref();
    let bytes = secret.and_then(crypto::unhex).ok_or(Error::Internal)?;
    let mut bytes: [u8; 32] = bytes.try_into().map_err(|_| Error::Internal)?;
    Ok(MacKey::new(&crypto::Secret::take(&mut bytes)))
}

/// The references of values that identify nobody.
fn noise(key: &MacKey) -> Vec<KeyToken> {
    let token = |(kind, value): &(model::KeyKind, &str)| KeyToken {
        kind: *kind,
        token: reference(
            key,
            &EntityKey {
                kind: *kind,
                value: (*value).to_owned(),
            },
        ),
    };
    incident::WELL_KNOWN.iter().map(token).collect()
}
