//! Which rules examine whose rows.
//!
//! The starter pack and the cell's own rules are compiled into one engine for all tenants; a tenant's
//! own rules, if it has any, into a small one beside it. A rule of the cell with the id of one of the
//! starter pack stands in its place; a tenant's rule with the id of a shared one does so for that
//! tenant, switched off included.
//!
//! New rules are compiled beside the old ones and then put in their place: rows that are being
//! examined end with the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use access::{Credential, Granted, GrantedCell, Maintain, ManageRules, Operate};
use detect::schedule::{ScheduledRule, compile_scheduled};
use detect::{Engine, Problem, RuleText, Weight};
use model::{AlertSeverity, DetectionRuleId, RuleKind, RuleRef, TenantId};
use store::RuleEntry;

use crate::Error;
use crate::cell::Cell;
use crate::naming::{Naming, Shipped};

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleOrigin {
    /// Shipped with the program.
    Starter,
    /// The cell's operator added it, for all tenants.
    Cell,
    /// The tenant added it.
    Tenant,
}

impl RuleOrigin {
    /// As lists name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starter => "starter",
            Self::Cell => "cell",
            Self::Tenant => "tenant",
        }
    }
}

/// A rule, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView {
    /// Its id.
    pub id: DetectionRuleId,
    /// One line.
    pub title: String,
    /// What sort of rule.
    pub kind: RuleKind,
    /// How bad what it finds is.
    pub severity: AlertSeverity,
    /// Tactic.
    pub category: String,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// Where it comes from.
    pub origin: RuleOrigin,
    /// Whether it runs.
    pub enabled: bool,
    /// Its text.
    pub text: String,
}

/// Rules in force in a cell.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    shared: RwLock<Arc<Set>>,
    tenants: RwLock<BTreeMap<TenantId, Arc<Set>>>,
}

/// Rules of one owner: everybody, or a tenant.
#[derive(Debug, Default)]
struct Set {
    engine: Option<Arc<dyn Engine>>,
    scheduled: Vec<Arc<ScheduledRule>>,
    views: BTreeMap<DetectionRuleId, RuleView>,
    /// The rules that ship with the program, in force or replaced; of the shared set alone.
    shipped: Arc<Shipped>,
}

/// The rules of one tenant, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    shared: Arc<Set>,
    own: Option<Arc<Set>>,
}

impl Rules {
    /// A hash that changes when any of the rules does.
    pub(crate) fn version(&self) -> u64 {
        let of = |set: &Set| set.engine.as_ref().map_or(0, |e| e.rules().version());
        let all = of(&self.shared) ^ self.own.as_deref().map_or(0, of).rotate_left(1);
        // A catalogue's numbers have 63 bits.
        all & (u64::MAX >> 1)
    }

    /// Each engine with those of its rules, by index, that run for the tenant.
    pub(crate) fn engines(&self) -> impl Iterator<Item = (&Arc<dyn Engine>, BTreeSet<usize>)> {
        let shared = self.shared.engine.as_ref().map(|e| (e, &*self.shared));
        let own = self.own.as_deref();
        let own = own.and_then(|set| set.engine.as_ref().map(|e| (e, set)));
        shared.into_iter().chain(own).map(|(engine, set)| {
            let rules = engine.rules().rules().iter().enumerate();
            let on = rules.filter(|(_, rule)| self.is_on(set, &rule.reference));
            (engine, on.map(|(at, _)| at).collect())
        })
    }

    fn is_on(&self, set: &Set, rule: &RuleRef) -> bool {
        let own = self.own.as_deref();
        let is_own = own.is_some_and(|own| std::ptr::eq(own, set));
        let replaced = !is_own && own.is_some_and(|own| own.views.contains_key(&rule.id));
        !replaced && set.views.get(&rule.id).is_some_and(|view| view.enabled)
    }

    /// The scheduled rules that run for the tenant.
    pub(crate) fn scheduled(&self) -> Vec<Arc<ScheduledRule>> {
        let own = self.own.as_deref();
        let sets = std::iter::once(&*self.shared).chain(own);
        sets.flat_map(|set| {
            let on = set.scheduled.iter();
            on.filter(|rule| self.is_on(set, &rule.reference)).cloned()
        })
        .collect()
    }

    /// Whether there is such a rule, running or not.
    pub(crate) fn has(&self, id: &DetectionRuleId) -> bool {
        let own = self.own.as_deref();
        self.shared.views.contains_key(id) || own.is_some_and(|own| own.views.contains_key(id))
    }

    /// The rules as a list, by id.
    fn views(&self) -> Vec<RuleView> {
        let mut views = self.shared.views.clone();
        if let Some(own) = &self.own {
            views.extend(own.views.clone());
        }
        views.into_values().collect()
    }
}

impl Cell {
    /// The rules that examine the tenant's rows now.
    pub(crate) fn rules_of(&self, tenant: TenantId) -> Rules {
        let force = &self.inner.rules;
        let shared = force.shared.read().unwrap_or_else(PoisonError::into_inner);
        let tenants = force.tenants.read().unwrap_or_else(PoisonError::into_inner);
        Rules {
            shared: shared.clone(),
            own: tenants.get(&tenant).cloned(),
        }
    }

    /// The rules that ship with the program.
    pub(crate) fn shipped_rules(&self) -> Arc<Shipped> {
        let shared = self.inner.rules.shared.read();
        let shared = shared.unwrap_or_else(PoisonError::into_inner);
        shared.shipped.clone()
    }

    /// Titles of the rules that are known here, by their ids as they may be told.
    pub(crate) fn told_titles(
        &self,
        tenant: TenantId,
        naming: &Naming,
    ) -> Result<BTreeMap<DetectionRuleId, String>, Error> {
        let rules = self.rules_of(tenant);
        let own = rules.own.iter().flat_map(|own| own.views.values());
        let views = rules.shared.views.values().chain(own);
        let told = views.map(|view| Ok((naming.rule_id(&view.id)?, view.title.clone())));
        told.collect()
    }

    /// Reads and compiles all rules; called when the cell opens.
    pub(crate) async fn load_rules(&self) -> Result<(), Error> {
        self.reload_shared().await?;
        for tenant in self.all_tenants() {
            self.reload_own(tenant.id).await?;
        }
        Ok(())
    }

    async fn reload_shared(&self) -> Result<(), Error> {
        let entries = self.store().cell_rules().await?;
        let set = tokio::task::spawn_blocking(move || shared_set(&entries))
            .await
            .map_err(|_| Error::Internal)?;
        self.note_problems(&set.1);
        let force = &self.inner.rules;
        *force.shared.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set.0);
        Ok(())
    }

    async fn reload_own(&self, tenant: TenantId) -> Result<(), Error> {
        let system = Credential::system("detect");
        let grant = self.inner.cx.decide::<Maintain>(&system, tenant)?;
        let entries = self.store().rules(&grant).await?;
        let force = &self.inner.rules;
        if entries.is_empty() {
            let mut tenants = force
                .tenants
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            tenants.remove(&tenant);
            return Ok(());
        }
        let compile = move || {
            let texts: Vec<_> = entries
                .iter()
                .map(|e| of_entry(e, RuleOrigin::Tenant))
                .collect();
            set_of(&texts)
        };
        let set = tokio::task::spawn_blocking(compile)
            .await
            .map_err(|_| Error::Internal)?;
        self.note_problems(&set.1);
        let mut tenants = force
            .tenants
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        tenants.insert(tenant, Arc::new(set.0));
        Ok(())
    }

    /// A stored rule that does not compile was good for an older program: it is said, and not run.
    fn note_problems(&self, problems: &[Problem]) {
        let errors = problems
            .iter()
            .filter(|p| p.weight == Weight::Error)
            .count();
        if errors > 0 {
            let count = u64::try_from(errors).unwrap_or(u64::MAX);
            self.inner.cx.warn(
                "rules_refused",
                model::Code::BadDocument,
                &[("rules", count.into())],
            );
        }
    }

    /// The tenant's rules with those for all tenants, by id.
    pub fn rules(&self, grant: &Granted<ManageRules>) -> Vec<RuleView> {
        self.rules_of(grant.tenant()).views()
    }

    /// Adds or replaces a rule of the tenant. A text with errors changes nothing.
    pub async fn put_rule(
        &self,
        grant: &Granted<ManageRules>,
        text: String,
        enabled: bool,
    ) -> Result<RuleView, Error> {
        let (id, kind) = only_rule(&text)?;
        self.store()
            .put_rule(grant, &id, kind, enabled, &text)
            .await?;
        self.reload_own(grant.tenant()).await?;
        let own = self.rules_of(grant.tenant()).own.ok_or(Error::Internal)?;
        own.views.get(&id).cloned().ok_or(Error::Internal)
    }

    /// Adds or replaces a rule for all tenants of the cell.
    pub async fn put_cell_rule(
        &self,
        grant: &GrantedCell<Operate>,
        text: String,
        enabled: bool,
    ) -> Result<RuleView, Error> {
        let (id, kind) = only_rule(&text)?;
        self.store()
            .put_cell_rule(grant, &id, kind, enabled, &text)
            .await?;
        self.reload_shared().await?;
        let shared = self.inner.rules.shared.read();
        let shared = shared.unwrap_or_else(PoisonError::into_inner);
        shared.views.get(&id).cloned().ok_or(Error::Internal)
    }

    /// The rules for all tenants of the cell, by id: those that ship with the program and its own.
    pub fn cell_rules(&self, _grant: &GrantedCell<Operate>) -> Vec<RuleView> {
        let shared = self.inner.rules.shared.read();
        let shared = shared.unwrap_or_else(PoisonError::into_inner);
        shared.views.values().cloned().collect()
    }

    /// Switches a rule on or off for all tenants of the cell that have none of their own in its place.
    pub async fn switch_cell_rule(
        &self,
        grant: &GrantedCell<Operate>,
        id: &DetectionRuleId,
        enabled: bool,
    ) -> Result<RuleView, Error> {
        let rules = self.cell_rules(grant);
        let rule = rules.into_iter().find(|rule| rule.id == *id);
        let text = rule.ok_or(Error::NotFound("rule"))?.text;
        self.put_cell_rule(grant, text, enabled).await
    }

    /// Switches a rule on or off for the tenant. A shared rule becomes the tenant's own copy.
    pub async fn switch_rule(
        &self,
        grant: &Granted<ManageRules>,
        id: &DetectionRuleId,
        enabled: bool,
    ) -> Result<RuleView, Error> {
        let rules = self.rules_of(grant.tenant());
        let is_own = rules.own.is_some_and(|own| own.views.contains_key(id));
        if is_own {
            self.store().set_rule_enabled(grant, id, enabled).await?;
            self.reload_own(grant.tenant()).await?;
        } else {
            let shared = rules.shared.views.get(id);
            let text = shared.ok_or(Error::NotFound("rule"))?.text.clone();
            return self.put_rule(grant, text, enabled).await;
        }
        let own = self.rules_of(grant.tenant()).own.ok_or(Error::Internal)?;
        own.views.get(id).cloned().ok_or(Error::Internal)
    }
}

/// A text with where it comes from and whether its rules run.
struct Document {
    name: String,
    text: String,
    origin: RuleOrigin,
    enabled: bool,
}

impl Document {
    fn as_rule(&self) -> RuleText<'_> {
        RuleText {
            name: &self.name,
            text: &self.text,
        }
    }
}

/// The starter pack with the cell's rules, which stand in place of those with their ids.
fn shared_set(entries: &[RuleEntry]) -> (Set, Vec<Problem>) {
    let replaced: BTreeSet<&DetectionRuleId> = entries.iter().map(|e| &e.id).collect();
    let pack = detect::starter_pack();
    let mut texts: Vec<Document> = Vec::new();
    let mut shipped = Shipped::new();
    for starter in pack.sigma.iter().chain(pack.scheduled) {
        let rules = rules_in(starter);
        let is_replaced = rules.iter().any(|rule| replaced.contains(&rule.id));
        shipped.extend(rules.into_iter().map(|rule| (rule.id, rule.version)));
        if !is_replaced {
            texts.push(Document {
                name: starter.name.to_owned(),
                text: starter.text.to_owned(),
                origin: RuleOrigin::Starter,
                enabled: true,
            });
        }
    }
    texts.extend(entries.iter().map(|e| of_entry(e, RuleOrigin::Cell)));
    let (mut set, problems) = set_of(&texts);
    set.shipped = Arc::new(shipped);
    (set, problems)
}

fn of_entry(entry: &RuleEntry, origin: RuleOrigin) -> Document {
    Document {
        name: entry.id.to_string(),
        text: entry.text.clone(),
        origin,
        enabled: entry.enabled,
    }
}

/// A document with a query is a scheduled rule; the others are Sigma's.
fn is_scheduled(text: &str) -> bool {
    text.trim_start().starts_with('{') || text.lines().any(|line| line.starts_with("query:"))
}

fn rules_in(text: &RuleText<'_>) -> Vec<RuleRef> {
    if is_scheduled(text.text) {
        let compiled = compile_scheduled(&[*text]);
        return compiled.rules.into_iter().map(|r| r.reference).collect();
    }
    let compiled = detect::compile(&[*text]);
    let rules = compiled.engine.rules().rules();
    rules.iter().map(|r| r.reference.clone()).collect()
}

/// Compiles texts; every rule of a text is of its origin.
fn set_of(texts: &[Document]) -> (Set, Vec<Problem>) {
    let (scheduled, sigma): (Vec<&Document>, Vec<&Document>) =
        texts.iter().partition(|t| is_scheduled(&t.text));
    let sigma: Vec<RuleText<'_>> = sigma.into_iter().map(Document::as_rule).collect();
    let scheduled: Vec<RuleText<'_>> = scheduled.into_iter().map(Document::as_rule).collect();
    let compiled = detect::compile(&sigma);
    let schedules = compile_scheduled(&scheduled);
    let by_name: BTreeMap<&str, &Document> = texts.iter().map(|t| (t.name.as_str(), t)).collect();
    let of_sigma = compiled.engine.rules().rules().iter();
    let of_sigma = of_sigma.map(|rule| (rule.text.as_str(), sigma_view(rule)));
    let of_schedules = schedules.rules.iter();
    let of_schedules = of_schedules.map(|rule| (rule.text.as_str(), scheduled_view(rule)));
    let mut views = BTreeMap::new();
    for (name, mut view) in of_sigma.chain(of_schedules) {
        if let Some(text) = by_name.get(name) {
            view.origin = text.origin;
            view.enabled = text.enabled;
            view.text.clone_from(&text.text);
            views.insert(view.id.clone(), view);
        }
    }
    let mut problems = compiled.problems;
    problems.extend(schedules.problems);
    let set = Set {
        engine: Some(Arc::new(compiled.engine)),
        scheduled: schedules.rules.into_iter().map(Arc::new).collect(),
        views,
        shipped: Arc::default(),
    };
    (set, problems)
}

/// A rule's view, but for what its text says.
fn sigma_view(rule: &detect::Rule) -> RuleView {
    RuleView {
        id: rule.reference.id.clone(),
        title: rule.title.clone(),
        kind: rule.reference.kind,
        severity: rule.severity,
        category: rule.category.clone(),
        techniques: rule.techniques.clone(),
        origin: RuleOrigin::Starter,
        enabled: true,
        text: String::new(),
    }
}

fn scheduled_view(rule: &ScheduledRule) -> RuleView {
    RuleView {
        id: rule.reference.id.clone(),
        title: rule.title.clone(),
        kind: rule.reference.kind,
        severity: rule.severity,
        category: rule.category.clone(),
        techniques: rule.techniques.clone(),
        origin: RuleOrigin::Starter,
        enabled: true,
        text: String::new(),
    }
}

/// The id and kind of the rule that a text is for: the one of its rules that makes alerts.
fn only_rule(text: &str) -> Result<(DetectionRuleId, RuleKind), Error> {
    let texts = [RuleText { name: "rule", text }];
    let (rules, problems): (Vec<RuleRef>, Vec<Problem>) = if is_scheduled(text) {
        let compiled = compile_scheduled(&texts);
        let rules = compiled.rules.into_iter().map(|r| r.reference).collect();
        (rules, compiled.problems)
    } else {
        let compiled = detect::compile(&texts);
        let rules = compiled.engine.rules().rules().iter();
        let rules = rules.filter(|r| r.alerts).map(|r| r.reference.clone());
        (rules.collect(), compiled.problems)
    };
    let errors = problems.iter().filter(|p| p.weight == Weight::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    if !errors.is_empty() {
        return Err(Error::BadRule(errors));
    }
    match rules.as_slice() {
        [rule] => Ok((rule.id.clone(), rule.kind)),
        [] => Err(Error::BadRule(vec![
            "the text has no rule that makes alerts".to_owned(),
        ])),
        _ => Err(Error::BadRule(vec![
            "the text has several rules that make alerts: add them one by one".to_owned(),
        ])),
    }
}
