//! Scheduled rules: a query over a window of what arrived, on a grid of times.
//!
//! Promises
//! - Each window is looked at once, over restarts too: what it found and that it is done are one
//!   commit. After a pause the newest windows are caught up, and older ones are counted.
//! - A rule runs in the cell in which its tables rest; in the tenant's other cells it waits for
//!   nothing. One whose tables rest in several geographies is said to be refused.
//! - A rule that fails rests until its next window and holds up no other.

use std::sync::Arc;

use access::{Credential, Hunt};
use detect::Making;
use detect::schedule::{ResultRows, ScheduleState, ScheduledRule, Window};
use model::Code;
use serde_json::Value;
use store::DetectionCommit;

use crate::cell::{Cell, Tenant};
use crate::{Error, HuntAnswer, HuntOptions, present};

/// Windows of one tenant that one step runs; the next step goes on.
const WINDOWS_PER_STEP: usize = 4;

impl Cell {
    /// Runs what is due of the tenant's scheduled rules; the number of alerts made.
    pub(super) async fn scheduled_step(&self, tenant: &Arc<Tenant>) -> Result<u64, Error> {
        let rules = self.rules_of(tenant.id).scheduled();
        let now = self.inner.cx.now();
        let mut due = Vec::new();
        if !rules.is_empty() {
            let slot = self.progress(tenant.id).await?;
            let progress = slot.as_ref().ok_or(Error::Internal)?;
            let fresh = ScheduleState::default();
            for rule in rules {
                let schedules = &progress.detectors.schedules;
                let state = schedules.get(&rule.reference.id).unwrap_or(&fresh);
                if !self.is_resting(tenant.id, &rule.reference.id) {
                    let windows = state.due(&rule, now).into_iter();
                    due.extend(windows.map(|window| (rule.clone(), window)));
                }
            }
        }
        let mut alerts = 0;
        for (rule, window) in due.into_iter().take(WINDOWS_PER_STEP) {
            match self.run_window(tenant, &rule, window).await {
                Ok(made) => {
                    alerts += made;
                    self.rule_recovered(tenant.id, &rule.reference.id);
                }
                Err(error) => {
                    let span = (window.from, window.to);
                    self.rule_failed(tenant.id, &rule, span, &error);
                }
            }
        }
        Ok(alerts)
    }

    async fn run_window(
        &self,
        tenant: &Arc<Tenant>,
        rule: &ScheduledRule,
        window: Window,
    ) -> Result<u64, Error> {
        let cx = &self.inner.cx;
        let grant = cx.decide::<Hunt>(&Credential::system("detect"), tenant.id)?;
        let options = HuntOptions {
            window: Some((window.from, window.to)),
            ..HuntOptions::default()
        };
        let answer = self.hunt(&grant, &rule.query, options).await?;
        let (columns, rows) = as_values(&answer)?;
        if let Some(missing) = rule.missing_columns(&columns).first() {
            return Err(Error::Bad(format!("the result has no column `{missing}`")));
        }
        let maintain = self.detect_grant(tenant.id)?;
        let vault = self.store().vault().tenant(tenant.id)?;
        let mut slot = self.progress(tenant.id).await?;
        let mut progress = slot.take().ok_or(Error::Internal)?;
        let schedules = &mut progress.detectors.schedules;
        let state = schedules.entry(rule.reference.id.clone()).or_default();
        if !state.due(rule, cx.now()).contains(&window) {
            *slot = Some(progress);
            return Ok(0);
        }
        progress.detectors.changed = true;
        let alerts = {
            let hash = |bytes: &[u8]| vault.blind_index("alert-id-v1", bytes);
            let making = Making {
                region: self.region(),
                now: cx.now(),
                hash: &hash,
            };
            let result = ResultRows {
                columns: &columns,
                rows: &rows,
            };
            let outcome = rule.finish(state, window, &result, &making);
            if outcome.over + outcome.nameless > 0 {
                let lost = [("rows", (outcome.over + outcome.nameless).into())];
                cx.warn("scheduled_rows_without_alert", Code::TooLarge, &lost);
            }
            outcome.alerts
        };
        let made = u64::try_from(alerts.len()).unwrap_or(u64::MAX);
        let mut commit = DetectionCommit::default();
        self.keep(tenant, &mut progress, alerts, &mut commit)
            .await?;
        self.write_detectors(tenant.id, &mut progress, &mut commit)?;
        self.store().commit_detection(&maintain, commit).await?;
        *slot = Some(progress);
        Ok(made)
    }
}

/// Names of the columns, and rows of JSON values.
fn as_values(answer: &HuntAnswer) -> Result<(Vec<String>, Vec<Vec<Value>>), Error> {
    let columns = answer.columns.iter().map(|c| c.name.clone()).collect();
    let rows = serde_json::from_str(&present::json_rows(&answer.columns, &answer.batches))
        .map_err(|_| Error::Internal)?;
    Ok((columns, rows))
}
