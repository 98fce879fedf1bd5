//! Whether detection goes on: steps that fail, scheduled rules that fail, how far rows wait.
//!
//! In memory alone: after a restart a step or rule that still fails says so with its next try.

use std::sync::PoisonError;

use access::{Counter, Gauge, Granted, Label, ReadTenant};
use model::{Code, DetectionRuleId, Span100ns, TenantId, Ticks, limits};

use crate::cell::Cell;
use crate::{Error, StepReport};

/// The step that examines rows.
pub(crate) const STEP_DETECT: &str = "detect";
/// Seconds that a scheduled rule which failed rests at least.
const REST_SECONDS_MIN: i64 = 60;

const FAILED: Counter = Counter::new(
    "detection_steps_failed_total",
    "Steps of detection that failed, by step and code.",
);
const RULES_FAILED: Counter = Counter::new(
    "detection_scheduled_rules_failed_total",
    "Runs of scheduled rules that failed, by code.",
);
const ALERTS: Counter = Counter::new("detection_alerts_total", "Alerts made.");
const TENANTS_FAILING: Gauge = Gauge::new(
    "detection_tenants_failing",
    "Tenants of whom a step of detection failed when it was tried last.",
);
const RULES_FAILING: Gauge = Gauge::new(
    "detection_scheduled_rules_failing",
    "Scheduled rules, counted by tenant, whose last run failed.",
);
const LAG_ROWS: Gauge = Gauge::new("detection_lag_rows", "Rows that wait for detection.");
const LAG_BYTES: Gauge = Gauge::new(
    "detection_lag_bytes",
    "Bytes in memory of rows that wait for detection.",
);
const LAG_SECONDS: Gauge = Gauge::new(
    "detection_lag_seconds",
    "Seconds for which the oldest row that waits for detection has waited.",
);
const LAST_STEP: Gauge = Gauge::new(
    "detection_last_step_timestamp_seconds",
    "When a step over all tenants ended last, in seconds since 1970.",
);

/// A step that failed when it was tried last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failing {
    code: Code,
    since: Ticks,
    /// The frame that the tries ended with, and how often it was tried.
    frame: u64,
    times: u32,
    /// Whether trying again gives the same.
    is_lasting: bool,
}

impl Failing {
    /// Whether the frame was tried often enough, with failures that come from its rows.
    pub(super) fn is_hopeless(&self, frame: u64) -> bool {
        self.is_lasting && self.frame == frame && self.times >= limits::DETECTION_TRIES_MAX
    }
}

/// Why a scheduled rule does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    /// Of the last failure.
    pub code: Code,
    /// What happened, for who may read the rule.
    pub message: String,
    /// When it failed first without a good run after it.
    pub since: Ticks,
    /// The window that it failed with last: from, included, to, not included.
    pub window: (Ticks, Ticks),
    /// When it is tried again.
    pub(super) until: Ticks,
}

/// How detection of a tenant is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DetectionHealth {
    /// The step that failed when it was tried last, why, and since when.
    pub failing: Option<(&'static str, Code, Ticks)>,
    /// Scheduled rules whose last run failed.
    pub rules_failing: usize,
    /// Rows of the catalogue that do not open.
    pub rows_damaged: usize,
    /// Rows that wait.
    pub lag_rows: usize,
    /// Their bytes in memory.
    pub lag_bytes: usize,
    /// When the oldest of them came.
    pub lag_since: Option<Ticks>,
}

impl DetectionHealth {
    /// Whether every step goes on, every scheduled rule runs and every row opens.
    pub fn is_well(&self) -> bool {
        self.failing.is_none() && self.rules_failing == 0 && self.rows_damaged == 0
    }
}

impl Cell {
    /// How the step failed when it was tried last, if it did.
    pub(super) fn failing_step(&self, id: TenantId, step: &'static str) -> Option<Failing> {
        let failing = self.inner.detection.failing.lock();
        let failing = failing.unwrap_or_else(PoisonError::into_inner);
        failing.get(&(id, step)).cloned()
    }

    /// Notes the frame that is tried now.
    pub(super) fn note_trying(&self, id: TenantId, frame: u64) {
        let trying = self.inner.detection.trying.lock();
        let mut trying = trying.unwrap_or_else(PoisonError::into_inner);
        trying.insert(id, frame);
    }

    pub(super) fn report_step(
        &self,
        id: TenantId,
        step: &'static str,
        done: Result<u64, Error>,
        report: &mut StepReport,
    ) {
        let cx = &self.inner.cx;
        let failing = self.inner.detection.failing.lock();
        let mut failing = failing.unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(alerts) => {
                report.alerts += alerts;
                if alerts > 0 {
                    cx.metrics.add(&ALERTS, &[], alerts);
                }
                if failing.remove(&(id, step)).is_some() {
                    let fields = [("tenant", id.into()), ("step", step.into())];
                    cx.info("step_recovered", &fields);
                }
            }
            Err(error) => {
                report.failures += 1;
                let code = error.code();
                let labels = [("step", Label::from(step)), ("code", Label::from(code))];
                cx.metrics.add(&FAILED, &labels, 1);
                let frame = self.frame_tried(id);
                let former = failing.get(&(id, step));
                let same = former.filter(|f| f.frame == frame);
                let now = Failing {
                    code,
                    since: former.map_or(cx.now(), |f| f.since),
                    frame,
                    times: same.map_or(1, |f| f.times.saturating_add(1)),
                    is_lasting: error.is_of_the_rows(),
                };
                let fields = [
                    ("tenant", id.into()),
                    ("step", step.into()),
                    ("times", u64::from(now.times).into()),
                ];
                cx.error("step_failed", code, &fields);
                failing.insert((id, step), now);
            }
        }
    }

    fn frame_tried(&self, id: TenantId) -> u64 {
        let trying = self.inner.detection.trying.lock();
        let trying = trying.unwrap_or_else(PoisonError::into_inner);
        trying.get(&id).copied().unwrap_or(0)
    }

    /// Whether a scheduled rule waits after a failure.
    pub(super) fn is_resting(&self, id: TenantId, rule: &DetectionRuleId) -> bool {
        let failed = self.rule_failure(id, rule);
        failed.is_some_and(|f| self.inner.cx.now() < f.until)
    }

    /// Why a scheduled rule of the tenant failed last, if its last run did.
    pub(super) fn rule_failure(&self, id: TenantId, rule: &DetectionRuleId) -> Option<RuleFailure> {
        let failed = self.inner.detection.failed_rules.lock();
        let failed = failed.unwrap_or_else(PoisonError::into_inner);
        failed.get(&(id, rule.clone())).cloned()
    }

    /// A run was good, or the rule has changed.
    pub(super) fn rule_recovered(&self, id: TenantId, rule: &DetectionRuleId) {
        let failed = self.inner.detection.failed_rules.lock();
        let mut failed = failed.unwrap_or_else(PoisonError::into_inner);
        failed.remove(&(id, rule.clone()));
    }

    /// Notes that a run failed; it is tried again after its next window.
    pub(super) fn rule_failed(
        &self,
        id: TenantId,
        rule: &detect::schedule::ScheduledRule,
        window: (Ticks, Ticks),
        error: &Error,
    ) {
        let cx = &self.inner.cx;
        let code = error.code();
        let now = cx.now();
        let least = now.saturating_add(Span100ns::seconds(REST_SECONDS_MIN));
        let until = window.1.saturating_add(rule.frequency).max(least);
        let rule_id = &rule.reference.id;
        // Its tables rest in another cell of the tenant, which runs it.
        let is_elsewhere = matches!(code, Code::WrongRegion | Code::ServiceRefused);
        {
            let failed = self.inner.detection.failed_rules.lock();
            let mut failed = failed.unwrap_or_else(PoisonError::into_inner);
            let key = (id, rule_id.clone());
            let since = failed.get(&key).filter(|f| f.code == code);
            let since = since.map_or(now, |f| f.since);
            failed.insert(
                key,
                RuleFailure {
                    code,
                    message: described(error),
                    since,
                    window,
                    until,
                },
            );
        }
        if !is_elsewhere {
            cx.metrics
                .add(&RULES_FAILED, &[("code", Label::from(code))], 1);
            let fields = [
                ("tenant", id.into()),
                ("rule", self.rule_in_log(id, rule_id)),
                ("window_end", access::Value::At(window.1)),
            ];
            cx.warn("scheduled_rule_failed", code, &fields);
        }
    }

    /// A rule as a log line may name it: its id if that is 128 bits or the operator's; of another id of a
    /// tenant's own the keyed token that the audit record has beside the id.
    fn rule_in_log(&self, id: TenantId, rule: &DetectionRuleId) -> access::Value {
        let digits: String = rule.as_str().chars().filter(|c| *c != '-').collect();
        if let Ok(bits) = digits.parse::<model::AlertId>() {
            return bits.into();
        }
        let token = self.store().rule_token(id, rule);
        access::Value::Id(token.unwrap_or([0; 16]))
    }

    /// How detection of the tenant is.
    pub fn detection_health(&self, grant: &Granted<ReadTenant>) -> DetectionHealth {
        self.health_of(grant.tenant())
    }

    fn health_of(&self, id: TenantId) -> DetectionHealth {
        let lag = self.store().detection_lag(Some(id));
        let failing = self.inner.detection.failing.lock();
        let failing = failing.unwrap_or_else(PoisonError::into_inner);
        let first = failing.iter().find(|((tenant, _), _)| *tenant == id);
        DetectionHealth {
            failing: first.map(|((_, step), f)| (*step, f.code, f.since)),
            rules_failing: self.rules_failing(Some(id)),
            rows_damaged: self.store().damaged_row_count(id),
            lag_rows: lag.rows,
            lag_bytes: lag.bytes,
            lag_since: lag.oldest_at,
        }
    }

    fn rules_failing(&self, of: Option<TenantId>) -> usize {
        let failed = self.inner.detection.failed_rules.lock();
        let failed = failed.unwrap_or_else(PoisonError::into_inner);
        let is_meant = |((tenant, _), f): &(&(TenantId, DetectionRuleId), &RuleFailure)| {
            of.is_none_or(|id| id == *tenant)
                && !matches!(f.code, Code::WrongRegion | Code::ServiceRefused)
        };
        failed.iter().filter(is_meant).count()
    }

    /// Tenants of whom a step of detection failed when it was tried last.
    pub fn tenants_failing(&self) -> usize {
        let failing = self.inner.detection.failing.lock();
        let failing = failing.unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<TenantId> = failing.keys().map(|(id, _)| *id).collect();
        ids.dedup();
        ids.len()
    }

    /// Writes the figures of detection as of now.
    pub(super) fn measure_detection(&self) {
        let cx = &self.inner.cx;
        let (now, lag) = (cx.now(), self.store().detection_lag(None));
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let waited = lag.oldest_at.map_or(0, |at| now.since(at).0);
        let set = |gauge: &Gauge, value: i64| cx.metrics.set(gauge, &[], value);
        set(&TENANTS_FAILING, number(self.tenants_failing()));
        set(&RULES_FAILING, number(self.rules_failing(None)));
        set(&LAG_ROWS, number(lag.rows));
        set(&LAG_BYTES, number(lag.bytes));
        set(&LAG_SECONDS, waited / model::ticks::PER_SECOND);
        set(&LAST_STEP, now.unix_millis() / 1_000);
    }
}

#[cfg(test)]
impl Cell {
    /// As if the frame had been tried often enough.
    pub(crate) fn hopeless(&self, id: TenantId, frame: u64) {
        let failing = Failing {
            code: Code::TooLarge,
            since: self.inner.cx.now(),
            frame,
            times: limits::DETECTION_TRIES_MAX,
            is_lasting: true,
        };
        let all = &self.inner.detection.failing;
        all.lock().unwrap().insert((id, STEP_DETECT), failing);
    }

    /// As after a start.
    pub(crate) fn forget_progress(&self, id: TenantId) {
        self.inner.detection.tenants.lock().unwrap().remove(&id);
    }
}

/// What happened, for who may read the rule: findings speak of its own query.
fn described(error: &Error) -> String {
    match error {
        Error::Query(diagnostics) => {
            let first = diagnostics
                .iter()
                .find(|d| d.severity == model::Severity::Error);
            first.map_or_else(
                || error.to_string(),
                |d| format!("{}: {}", d.code, d.message),
            )
        }
        other => other.to_string(),
    }
}
