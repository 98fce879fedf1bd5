//! The context that everything is passed first.
//!
//! What has a lifetime hangs here and nowhere else: no globals, so that three cells in one process
//! share nothing by accident. Cloning costs five reference counts.

use std::sync::Arc;

use model::{Clock, Code, Random, Ticks};

use crate::log::Field;
use crate::metrics::Label;
use crate::{
    CellAction, Counter, Credential, Denied, Granted, GrantedCell, Level, Line, LogSink, Metrics,
    Policy, Target, TenantAction, decide, decide_cell,
};

const DENIED: Counter = Counter::new(
    "access_denied_total",
    "Requests that the policy refused, by action and code.",
);

/// Clock, randomness, log, metrics and policy of one cell.
#[derive(Clone, Debug)]
pub struct Cx {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where fresh ids and keys come from.
    pub random: Arc<dyn Random>,
    /// Where log lines go.
    pub log: Arc<dyn LogSink>,
    /// The cell's figures.
    pub metrics: Arc<Metrics>,
    /// Who may do what.
    pub policy: Arc<Policy>,
}

impl Cx {
    /// A context with metrics of its own.
    pub fn new(
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        log: Arc<dyn LogSink>,
        policy: Arc<Policy>,
    ) -> Self {
        Self {
            clock,
            random,
            log,
            metrics: Arc::new(Metrics::default()),
            policy,
        }
    }

    /// The current instant.
    pub fn now(&self) -> Ticks {
        self.clock.now()
    }

    /// Asks the policy whether `credential` may do `A` to `target` now.
    pub fn decide<'a, A: TenantAction>(
        &self,
        credential: &Credential,
        target: impl Into<Target<'a>>,
    ) -> Result<Granted<A>, Denied> {
        decide(&self.policy, credential, target, self.now())
            .inspect_err(|denied| self.count_denied(A::NAME, *denied))
    }

    /// Asks the policy whether `credential` may do `A` to the cell as a whole now.
    pub fn decide_cell<A: CellAction>(
        &self,
        credential: &Credential,
    ) -> Result<GrantedCell<A>, Denied> {
        decide_cell(&self.policy, credential, self.now())
            .inspect_err(|denied| self.count_denied(A::NAME, *denied))
    }

    /// Logs that something happened.
    pub fn info(&self, event: &'static str, fields: &[Field]) {
        self.write(Level::Info, event, None, fields);
    }

    /// Logs that something was refused or put off.
    pub fn warn(&self, event: &'static str, code: Code, fields: &[Field]) {
        self.write(Level::Warn, event, Some(code), fields);
    }

    /// Logs that somebody has to act.
    pub fn error(&self, event: &'static str, code: Code, fields: &[Field]) {
        self.write(Level::Error, event, Some(code), fields);
    }

    /// Logs for whoever changes the program.
    pub fn debug(&self, event: &'static str, fields: &[Field]) {
        self.write(Level::Debug, event, None, fields);
    }

    fn write(&self, level: Level, event: &'static str, code: Option<Code>, fields: &[Field]) {
        self.log.write(&Line {
            at: self.now(),
            level,
            event,
            code,
            fields,
        });
    }

    fn count_denied(&self, action: &'static str, denied: Denied) {
        let labels = [
            ("action", Label::from(action)),
            ("code", Label::from(denied.code())),
        ];
        self.metrics.add(&DENIED, &labels, 1);
    }
}
