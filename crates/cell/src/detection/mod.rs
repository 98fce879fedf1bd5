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
//! - Rows of `AlertInfo` and `AlertEvidence` are durable before the transaction; made again after a
//!   crash they are dropped as repeats.
//! - Content of an alert stays in the region of its rows; what goes home has no place for it.
//!
//! One detection of a tenant runs at a time; tenants do not wait for each other.

mod growth;
mod home;
mod link;
mod rules;
mod scheduled;
mod sweep;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::{Credential, Granted, Maintain, ReadIncidents};
use crypto::kdf::MacKey;
use detect::schedule::ScheduleState;
use detect::{CorrelationState, VendorAlerts};
use model::{DetectionRuleId, EntityKey, KeyToken, RegionCode, TenantId, Ticks};
use serde::{Deserialize, Serialize};
use store::{DetectionCommit, StateRecord};

use crate::cell::{Cell, Standing, Tenant};
use crate::link::reference;
use crate::{Error, StepReport};

pub(crate) use home::Changes;
pub use link::LinkView;
pub(crate) use rules::InForce;
pub use rules::{RuleOrigin, RuleView};
pub(crate) use sweep::OWN_SOURCE;

/// What detection holds of each tenant, in memory.
#[derive(Debug, Default)]
pub(crate) struct Detection {
    tenants: Mutex<BTreeMap<TenantId, Arc<tokio::sync::Mutex<Option<Progress>>>>>,
    /// Scheduled rules that failed, until when they rest.
    resting: Mutex<BTreeMap<(TenantId, DetectionRuleId), Ticks>>,
}

/// One tenant's detection, as committed last.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
}

/// The cap of the tenant link: a rule that matches everything must not copy a mailbox.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LinkedToday {
    day: i64,
    counts: BTreeMap<DetectionRuleId, u32>,
    /// Alerts that stayed here because of it, ever.
    pub(crate) held_back: u64,
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
        if *count >= model::limits::LINK_ALERTS_PER_RULE_DAY_MAX {
            self.held_back += 1;
            return false;
        }
        *count += 1;
        true
    }
}

impl Detectors {
    /// Forgets what belongs to rules that are no more; what rules that stay have seen stays.
    pub(crate) fn retain(&mut self, rules: &rules::Rules) {
        let engines: Vec<_> = rules.engines().map(|(engine, _)| engine.clone()).collect();
        let sets: Vec<_> = engines.iter().map(|engine| engine.rules()).collect();
        self.correlations.retain(&sets);
        self.schedules.retain(|id, _| rules.has(id));
    }
}

impl Progress {
    /// Puts the detectors' state into the commit.
    pub(crate) fn write_detectors(&mut self, commit: &mut DetectionCommit) -> Result<(), Error> {
        let body = serde_json::to_vec(&self.detectors).map_err(|_| Error::Internal)?;
        self.detectors_version += 1;
        commit.detector_state = Some(StateRecord {
            version: self.detectors_version,
            body,
        });
        Ok(())
    }

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

    async fn load_progress(&self, id: TenantId) -> Result<Progress, Error> {
        let stored = self
            .store()
            .detection_state(&self.detect_grant(id)?)
            .await?;
        let (mut detectors, mut incidents) = (Detectors::default(), incident::State::new());
        let (mut detectors_version, mut incidents_version) = (0, 0);
        if let Some(state) = stored.detector_state {
            detectors = serde_json::from_slice(&state.body).map_err(|_| Error::Internal)?;
            detectors_version = state.version;
        }
        if let Some(state) = stored.state {
            incidents = incident::State::from_bytes(&state.body).map_err(|_| Error::Internal)?;
            incidents_version = state.version;
        }
        Ok(Progress {
            detectors,
            incidents,
            detectors_version,
            incidents_version,
            rules_version: stored.rules_version,
        })
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
            self.report_step(id, "detect", self.sweep(id).await, &mut report);
        }
        for tenant in self.all_tenants() {
            let done = self.scheduled_step(&tenant).await;
            self.report_step(tenant.id, "scheduled_rules", done, &mut report);
            if matches!(tenant.standing, Standing::Second(_)) {
                let done = self.send_alerts_home(&tenant).await;
                self.report_step(tenant.id, "link", done, &mut report);
            }
        }
        report
    }

    fn report_step(
        &self,
        id: TenantId,
        step: &'static str,
        done: Result<u64, Error>,
        report: &mut StepReport,
    ) {
        match done {
            Ok(alerts) => report.alerts += alerts,
            Err(error) => {
                report.failures += 1;
                let fields = [("tenant", id.into()), ("step", step.into())];
                self.inner.cx.error("step_failed", error.code(), &fields);
            }
        }
    }
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
