//! Which rules examine whose rows.
//!
//! The starter pack and the cell's own rules are compiled into one engine for all tenants; a tenant's
//! own rules, if it has any, into a small one beside it. A rule of the cell with the id of one of the
//! starter pack stands in its place; a tenant's rule with the id of a shared one does so for that
//! tenant, switched off included.
//!
//! A tenant that only switches a shared rule keeps no copy of it: the rule stays the cell's, and the next
//! version of its text is the tenant's as well. Such a switch is stored as a rule without a text.
//!
//! A rule that is switched on can run: a scheduled rule's query is bound to the tenant's tables first.
//!
//! New rules are compiled beside the old ones and then put in their place: rows that are being
//! examined end with the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use access::{Credential, Granted, GrantedCell, Maintain, ManageRules, Only, Operate};
use detect::schedule::{ScheduledRule, compile_scheduled};
use detect::{Engine, Problem, RuleText, Weight};
use model::{AlertSeverity, Code, DetectionRuleId, RuleKind, RuleRef, TenantId, limits};
use store::RuleEntry;

use super::health::RuleFailure;
use crate::Error;
use crate::cell::{Cell, Standing, Tenant};
use crate::hunt::HuntSchema;
use crate::naming::{Naming, Shipped};
use crate::rule_check::{Queries, check_rules, is_scheduled_rule as is_scheduled, query_problems};

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
    /// Why it does not run, if its last run failed.
    pub failing: Option<RuleFailure>,
}

/// Rules in force in a cell.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    shared: RwLock<Arc<Set>>,
    tenants: RwLock<BTreeMap<TenantId, Arc<Set>>>,
    /// Tenants of whom a rule is being checked.
    checking: Mutex<BTreeSet<TenantId>>,
}

/// Rules of one owner: everybody, or a tenant.
#[derive(Debug, Default)]
struct Set {
    engine: Option<Arc<dyn Engine>>,
    scheduled: Vec<Arc<ScheduledRule>>,
    views: BTreeMap<DetectionRuleId, RuleView>,
    /// The rules that ship with the program, in force or replaced; of the shared set alone.
    shipped: Arc<Shipped>,
    /// Shared rules that the tenant switched on or off.
    switches: BTreeMap<DetectionRuleId, bool>,
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
        let own = self.own.as_deref();
        let switched = own.map_or(0, Set::switches_version);
        let all = of(&self.shared) ^ own.map_or(0, of).rotate_left(1) ^ switched.rotate_left(2);
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
        let other = own.filter(|_| !is_own);
        let replaced = other.is_some_and(|own| own.views.contains_key(&rule.id));
        let switched = other.and_then(|own| own.switches.get(&rule.id).copied());
        let set = || set.views.get(&rule.id).is_some_and(|view| view.enabled);
        !replaced && switched.unwrap_or_else(set)
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
            for (id, enabled) in &own.switches {
                if let Some(view) = views.get_mut(id) {
                    view.enabled = *enabled;
                }
            }
            views.extend(own.views.clone());
        }
        views.into_values().collect()
    }

    fn view(&self, id: &DetectionRuleId) -> Option<RuleView> {
        self.views().into_iter().find(|view| view.id == *id)
    }
}

impl Set {
    /// A number that changes when a switch does.
    fn switches_version(&self) -> u64 {
        let all = self.switches.iter();
        let all = all.map(|(id, on)| format!("{}={on};", id.as_str()));
        let digest = crypto::sha256(all.collect::<String>().as_bytes());
        let empty = self.switches.is_empty();
        let first = digest.first_chunk().copied().unwrap_or_default();
        if empty { 0 } else { u64::from_be_bytes(first) }
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
        let shared = self.rules_of(tenant).shared;
        // A text that is the shared rule's is a copy of it.
        let is_switch = move |e: &RuleEntry| {
            let known = shared.views.get(&e.id);
            e.text.is_empty() || known.is_some_and(|view| view.text == e.text)
        };
        let compile = move || {
            let (switches, own): (Vec<_>, Vec<_>) = entries.iter().partition(|e| is_switch(e));
            let own = own.into_iter().map(|e| of_entry(e, RuleOrigin::Tenant));
            let (mut set, problems) = set_of(&own.collect::<Vec<_>>());
            let switches = switches.into_iter().map(|e| (e.id.clone(), e.enabled));
            set.switches = switches.collect();
            (set, problems)
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
                Code::BadDocument,
                &[("rules", count.into())],
            );
        }
    }

    /// The tenant's rules with those for all tenants, by id.
    pub fn rules(&self, grant: &Granted<ManageRules>) -> Vec<RuleView> {
        let views = self.rules_of(grant.tenant()).views().into_iter();
        views.map(|view| self.with_failure(grant, view)).collect()
    }

    /// A scheduled rule that is on, with why it does not run.
    fn with_failure(&self, grant: &Granted<ManageRules>, view: RuleView) -> RuleView {
        if view.kind != RuleKind::Scheduled || !view.enabled {
            return view;
        }
        let failing = self.rule_failure(grant.tenant(), &view.id);
        // One whose tables rest in another region of the tenant runs there.
        let is_here = |f: &RuleFailure| !matches!(f.code, Code::WrongRegion | Code::ServiceRefused);
        RuleView {
            failing: failing.filter(is_here),
            ..view
        }
    }

    /// Everything that is wrong with a rule's text, as the tenant's tables are now. One at a time of a
    /// tenant; the work ends soon after `stop` is set, and is given up after
    /// [`limits::RULE_CHECK_SECONDS_MAX`].
    pub async fn check_rule(
        &self,
        grant: &Granted<ManageRules>,
        text: String,
        stop: Arc<AtomicBool>,
    ) -> Result<Vec<Problem>, Error> {
        let seat = self.checking_seat(grant.tenant())?;
        let tenant = self.tenant_of(grant.tenant())?;
        let cell = self.clone();
        let ends = StopOnDrop(stop.clone());
        let look = move || {
            let _seat = seat;
            let (schema, others) = cell.tables_of(&tenant, &stop);
            let queries = cell.queries(&schema, others);
            let text = RuleText {
                name: "rule",
                text: &text,
            };
            check_rules(&[text], &queries, &stop)
        };
        let done = within_time(look).await;
        drop(ends);
        done
    }

    /// The same for a rule for all tenants of the cell: which tables of their own they have is not asked.
    pub async fn check_cell_rule(
        &self,
        _grant: &GrantedCell<Operate>,
        text: String,
        stop: Arc<AtomicBool>,
    ) -> Result<Vec<Problem>, Error> {
        let seat = self.checking_seat(NOBODY)?;
        let ends = StopOnDrop(stop.clone());
        let cell = self.clone();
        let look = move || {
            let _seat = seat;
            let schema = HuntSchema {
                given_up: stop.clone(),
                ..HuntSchema::default()
            };
            let text = RuleText {
                name: "rule",
                text: &text,
            };
            check_rules(&[text], &cell.queries(&schema, true), &stop)
        };
        let done = within_time(look).await;
        drop(ends);
        done
    }

    fn queries<'a>(&'a self, schema: &'a HuntSchema, others: bool) -> Queries<'a> {
        Queries {
            hunting: &*self.inner.options.hunting,
            schema,
            now: self.inner.cx.now(),
            others,
        }
    }

    /// A place to check or compile a rule of the tenant; given back when the work has ended.
    fn checking_seat(&self, tenant: TenantId) -> Result<CheckSeat, Error> {
        let checking = self.inner.rules.checking.lock();
        let mut checking = checking.unwrap_or_else(PoisonError::into_inner);
        let busy = checking.len() >= limits::RULE_CHECKS_MAX || checking.contains(&tenant);
        if busy {
            return Err(Error::Hunt {
                code: Code::Busy,
                message: "another rule of the tenant, or of too many, is being checked".to_owned(),
            });
        }
        checking.insert(tenant);
        Ok(CheckSeat {
            cell: self.clone(),
            tenant,
        })
    }

    /// The tenant's tables outside the schema, and whether there may be others elsewhere.
    fn tables_of(&self, tenant: &Tenant, stop: &Arc<AtomicBool>) -> (HuntSchema, bool) {
        let raw = tenant.raw.read().unwrap_or_else(PoisonError::into_inner);
        let schema = HuntSchema {
            raw: raw.clone(),
            given_up: stop.clone(),
        };
        let services = tenant.registry.document().services.iter();
        let mut regions = services.filter_map(|s| tenant.placement.region_of(&s.name));
        let is_second = matches!(tenant.standing, Standing::Second(_));
        (schema, is_second || regions.any(|r| r != self.region()))
    }

    /// Refuses a scheduled rule that could not run: for the tenant, or, of a rule for all tenants, for any.
    fn check_runs(
        &self,
        tenant: Option<&Tenant>,
        text: &str,
        stop: &Arc<AtomicBool>,
    ) -> Result<(), Error> {
        if !is_scheduled(text) {
            return Ok(());
        }
        let text = RuleText { name: "rule", text };
        let (schema, others) = if let Some(tenant) = tenant {
            self.tables_of(tenant, stop)
        } else {
            let given_up = stop.clone();
            let raw = ingest::RawSchema::new();
            (HuntSchema { raw, given_up }, true)
        };
        let queries = self.queries(&schema, others);
        let mut wrong = Vec::new();
        for rule in compile_scheduled(&[text]).rules {
            let (problems, tables) = query_problems(&text, &rule, &queries);
            let errors = problems.iter().filter(|p| p.weight == Weight::Error);
            wrong.extend(errors.map(ToString::to_string));
            let rests = tenant.map_or(Ok(()), |tenant| self.check_geography(tenant, &tables));
            // If the tables rest in one other region, the rule runs there.
            if let Err(error @ (Error::SeveralGeographies(_) | Error::RefusedService { .. })) =
                rests
            {
                wrong.push(error.to_string());
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Error::BadRule(wrong))
    }

    /// Adds or replaces a rule of the tenant. A text with errors changes nothing.
    pub async fn put_rule(
        &self,
        grant: &Granted<ManageRules>,
        text: String,
        enabled: bool,
    ) -> Result<RuleView, Error> {
        for_all_tables(grant)?;
        let seat = self.checking_seat(grant.tenant())?;
        let tenant = self.tenant_of(grant.tenant())?;
        let maintain = self.detect_grant(grant.tenant())?;
        let entries = self.store().rules(&maintain).await?;
        let cell = self.clone();
        let stop = Arc::<AtomicBool>::default();
        let ends = StopOnDrop(stop.clone());
        let compile = move || {
            let _seat = seat;
            let (id, kind) = only_rule(&text)?;
            if enabled {
                cell.check_runs(Some(&tenant), &text, &stop)?;
            }
            beside_others(&entries, &id, &text)?;
            Ok::<_, Error>((id, kind, text))
        };
        let (id, kind, text) = within_time(compile).await??;
        drop(ends);
        self.store()
            .put_rule(grant, &id, kind, enabled, &text)
            .await?;
        self.rule_recovered(grant.tenant(), &id);
        self.reload_own(grant.tenant()).await?;
        let view = self.rules_of(grant.tenant()).view(&id);
        view.ok_or(Error::Internal)
    }

    /// Adds or replaces a rule for all tenants of the cell.
    pub async fn put_cell_rule(
        &self,
        grant: &GrantedCell<Operate>,
        text: String,
        enabled: bool,
    ) -> Result<RuleView, Error> {
        let seat = self.checking_seat(NOBODY)?;
        let entries = self.store().cell_rules().await?;
        let cell = self.clone();
        let stop = Arc::<AtomicBool>::default();
        let ends = StopOnDrop(stop.clone());
        let compile = move || {
            let _seat = seat;
            let (id, kind) = only_rule(&text)?;
            if enabled {
                cell.check_runs(None, &text, &stop)?;
            }
            beside_others(&entries, &id, &text)?;
            Ok::<_, Error>((id, kind, text))
        };
        let (id, kind, text) = within_time(compile).await??;
        drop(ends);
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
        let view = rules.into_iter().find(|rule| rule.id == *id);
        let view = view.ok_or(Error::NotFound("rule"))?;
        let entries = self.store().cell_rules().await?;
        let kept = entries.iter().find(|entry| entry.id == *id);
        match kept {
            _ if view.enabled == enabled => return Ok(view),
            Some(own) if enabled && !own.text.is_empty() => {
                return self.put_cell_rule(grant, view.text, enabled).await;
            }
            Some(_) => {
                let store = self.store();
                store.set_cell_rule_enabled(grant, id, enabled).await?;
            }
            // A shipped one stays what it is.
            None => {
                let store = self.store();
                let put = store.put_cell_rule(grant, id, view.kind, enabled, "");
                put.await?;
            }
        }
        self.reload_shared().await?;
        let rules = self.cell_rules(grant);
        let view = rules.into_iter().find(|rule| rule.id == *id);
        view.ok_or(Error::Internal)
    }

    /// Switches a rule on or off for the tenant. A shared rule stays what it is.
    pub async fn switch_rule(
        &self,
        grant: &Granted<ManageRules>,
        id: &DetectionRuleId,
        enabled: bool,
    ) -> Result<RuleView, Error> {
        for_all_tables(grant)?;
        let rules = self.rules_of(grant.tenant());
        let view = rules.view(id).ok_or(Error::NotFound("rule"))?;
        let own = rules.own.as_deref();
        let is_own = own.is_some_and(|own| own.views.contains_key(id));
        let is_kept = is_own || own.is_some_and(|own| own.switches.contains_key(id));
        if view.enabled == enabled {
            return Ok(self.with_failure(grant, view));
        }
        if enabled && is_own {
            let tenant = self.tenant_of(grant.tenant())?;
            let (cell, text) = (self.clone(), view.text.clone());
            let seat = self.checking_seat(grant.tenant())?;
            let stop = Arc::<AtomicBool>::default();
            let _ends = StopOnDrop(stop.clone());
            let look = move || {
                let _seat = seat;
                cell.check_runs(Some(&tenant), &text, &stop)
            };
            within_time(look).await??;
        }
        let store = self.store();
        if is_kept {
            store.set_rule_enabled(grant, id, enabled).await?;
        } else {
            store.put_rule(grant, id, view.kind, enabled, "").await?;
        }
        self.rule_recovered(grant.tenant(), id);
        self.reload_own(grant.tenant()).await?;
        let view = self.rules_of(grant.tenant()).view(id);
        view.ok_or(Error::Internal)
    }
}

/// Who a rule for all tenants belongs to.
const NOBODY: TenantId = TenantId::from_bytes([0; 16]);

/// A place among the rules that are checked at once.
struct CheckSeat {
    cell: Cell,
    tenant: TenantId,
}

impl Drop for CheckSeat {
    fn drop(&mut self) {
        let checking = self.cell.inner.rules.checking.lock();
        let mut checking = checking.unwrap_or_else(PoisonError::into_inner);
        checking.remove(&self.tenant);
    }
}

/// Work on a rule's text, given up after [`limits::RULE_CHECK_SECONDS_MAX`].
async fn within_time<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let most = std::time::Duration::from_secs(limits::RULE_CHECK_SECONDS_MAX);
    let done = tokio::time::timeout(most, tokio::task::spawn_blocking(work)).await;
    let late = |_| Error::Hunt {
        code: Code::TooLarge,
        message: format!(
            "the rule could not be checked within {} seconds",
            limits::RULE_CHECK_SECONDS_MAX
        ),
    };
    done.map_err(late)?.map_err(|_| Error::Internal)
}

/// Tells the work that nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Refuses a rule that does not go with the owner's others: all their patterns together have a limit.
fn beside_others(entries: &[RuleEntry], id: &DetectionRuleId, text: &str) -> Result<(), Error> {
    let others = entries.iter().filter(|e| e.id != *id && !e.text.is_empty());
    let mut texts: Vec<Document> = others.map(|e| of_entry(e, RuleOrigin::Tenant)).collect();
    texts.push(Document {
        name: id.to_string(),
        text: text.to_owned(),
        origin: RuleOrigin::Tenant,
        enabled: true,
    });
    let (_, problems) = set_of(&texts);
    let wrong = problems.iter().filter(|p| p.weight == Weight::Error);
    let wrong = wrong.filter(|p| p.source == id.as_str());
    let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::BadRule(wrong))
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
    // Without a text an entry only switches a shipped rule.
    let (switches, own): (Vec<_>, Vec<_>) = entries.iter().partition(|e| e.text.is_empty());
    let replaced: BTreeSet<&DetectionRuleId> = own.iter().map(|e| &e.id).collect();
    let pack = detect::starter_pack();
    let mut texts: Vec<Document> = Vec::new();
    let mut shipped = Shipped::new();
    for starter in pack.sigma.iter().chain(pack.scheduled) {
        let rules = rules_in(starter);
        let is_replaced = rules.iter().any(|rule| replaced.contains(&rule.id));
        let switch = switches.iter().find(|e| rules.iter().any(|r| r.id == e.id));
        shipped.extend(rules.into_iter().map(|rule| (rule.id, rule.version)));
        if !is_replaced {
            texts.push(Document {
                name: starter.name.to_owned(),
                text: starter.text.to_owned(),
                origin: RuleOrigin::Starter,
                enabled: switch.is_none_or(|e| e.enabled),
            });
        }
    }
    texts.extend(own.into_iter().map(|e| of_entry(e, RuleOrigin::Cell)));
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
        switches: BTreeMap::new(),
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
        failing: None,
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
        failing: None,
    }
}

/// Refuses whoever may read only some of the tenant's tables.
fn for_all_tables(grant: &Granted<ManageRules>) -> Result<(), Error> {
    match grant.scope().tables {
        Only::All => Ok(()),
        Only::These(_) => Err(Error::LimitedToTables),
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
