//! A new alert finds its incident; incidents that it belongs to both of become one.
//!
//! Which alerts are one incident's is a matter of pairs (see `weigh`), so as long as no rule below
//! forbids it, the outcome is the connected parts of a graph and does not depend on the order of
//! arrival. What forbids: an incident that is resolved, classified as no attack, full, assigned or
//! classified otherwise, kept apart by people, or of a service without consent. An alert that may not
//! join opens an incident of its own, and the effect says beside which.
//!
//! An alert that grows (its evidence came later) is weighed again, and incidents are merged as if all of
//! it had been known at once.

use std::collections::{BTreeMap, BTreeSet};

use model::limits::{INCIDENT_ALERTS_MAX, INCIDENT_ENTITIES_MAX};
use model::{AlertDigest, AlertId, Classification, IncidentId, IncidentStatus, Ticks};

use crate::effect::{Actor, Apart, Beside, Cap, Effect, Reason, What};
use crate::incident::{Different, Incident, Summary};
use crate::member::Member;
use crate::rarity::WHOLE;
use crate::state::{Outcome, State, is_live};
use crate::strength::{self, JOIN_WEIGHT};
use crate::weigh;

/// Thousandths of weight that a key must be able to give for its alerts to be looked at: a key that is
/// everywhere adds a little to what others show, and finds nothing itself.
const WALK_WEIGHT: u32 = 100;

/// Which alerts to look at for what a new one is related to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    /// Those of incidents that have room.
    Joinable,
    /// Those of all open incidents.
    Open,
    /// Those of incidents that are done.
    Resolved,
}

impl State {
    pub(crate) fn new_alert(&mut self, digest: &AlertDigest, now: Ticks, outcome: &mut Outcome) {
        if let Some(id) = self.incident_of(digest.id) {
            self.counters.repeated += 1;
            outcome.incident = Some(id);
            return;
        }
        self.counters.alerts += 1;
        let (alert, member) = (digest.id, Member::new(digest, now));
        self.rarity.note(&member, |key| self.noise.contains(key));
        let candidates = self.candidates(&member, Among::Joinable, now);
        self.note_company(&member, &candidates);
        let mut related = self.related(&member, &candidates);
        let mut refused = Vec::new();
        let mut home = None;
        for (id, reason) in &related {
            let Some(apart) = self.forbids(*id, &member) else {
                home = Some((*id, *reason));
                break;
            };
            refused.push((*id, *reason, apart));
        }
        related.retain(|(id, _)| refused.iter().all(|(other, _, _)| other != id));
        let id = if let Some((id, reason)) = home {
            self.join(id, alert, member, reason, now, outcome);
            id
        } else {
            let beside = self.beside(refused, &member, now, outcome);
            self.create(alert, member, beside, now, outcome)
        };
        let id = self.merge_related(id, alert, &related, now, outcome);
        outcome.incident = Some(IncidentId(id));
    }

    /// An alert says more than it did: it is weighed again by all its keys. Its incident takes in those
    /// that it turns out to be related to; nothing is taken apart.
    pub(crate) fn grown(&mut self, digest: &AlertDigest, now: Ticks, outcome: &mut Outcome) {
        let Some(id) = self.places.get(&digest.id).copied() else {
            // Unknown, or of an incident that is archived: where it is, nothing joins any more.
            return self.new_alert(digest, now, outcome);
        };
        outcome.incident = Some(IncidentId(id));
        let member = Member::new(digest, now);
        let former = self
            .incidents
            .get(&id)
            .and_then(|i| i.members.get(&digest.id));
        if former.is_some_and(|former| former.says_as_much(&member)) {
            self.counters.repeated += 1;
            return;
        }
        let full = self.incidents.get(&id).and_then(|incident| {
            let others = incident
                .members
                .iter()
                .filter(|(other, _)| **other != digest.id);
            let others = others.map(|(_, m)| m).chain([&member]);
            let entities = Different::of(others.flat_map(|m| &m.entities));
            (entities > INCIDENT_ENTITIES_MAX).then_some(Apart::Entities)
        });
        if let Some(apart) = full {
            return self.count(id, apart, now, outcome);
        }
        self.rarity.note(&member, |key| self.noise.contains(key));
        self.delist(id);
        self.changed(id, &Actor::System, now, outcome, |incident| {
            incident.members.insert(digest.id, member.clone());
            incident.refresh();
            vec![What::Grown { alert: digest.id }]
        });
        self.enlist(id);
        let mut candidates = self.candidates(&member, Among::Joinable, now);
        candidates.remove(&digest.id);
        self.note_company(&member, &candidates);
        let related = self.related(&member, &candidates);
        let id = self.merge_related(id, digest.id, &related, now, outcome);
        outcome.incident = Some(IncidentId(id));
    }

    /// Takes note of the alerts of other rules that belong to a new one.
    fn note_company(&mut self, member: &Member, candidates: &BTreeSet<AlertId>) {
        let noise = |key: &_| self.noise.contains(key);
        let company: Vec<AlertId> = candidates
            .iter()
            .filter(|alert| {
                self.member(**alert).is_some_and(|(_, other)| {
                    other.rule.id != member.rule.id
                        && weigh::link(other, member, &self.rarity, noise)
                            .is_some_and(|link| link.undoubted >= JOIN_WEIGHT)
                })
            })
            .copied()
            .collect();
        if !company.is_empty() {
            self.rarity.note_company(member);
        }
        for alert in company {
            let incident = self
                .places
                .get(&alert)
                .and_then(|id| self.incidents.get(id));
            if let Some(other) = incident.and_then(|incident| incident.members.get(&alert)) {
                self.rarity.note_company(other);
            }
        }
    }

    /// The incidents that an alert weighs enough with, heaviest first, each with its best reason.
    fn related(&self, member: &Member, candidates: &BTreeSet<AlertId>) -> Vec<(u64, Reason)> {
        let mut best: BTreeMap<u64, Reason> = BTreeMap::new();
        for through in candidates {
            let Some((id, other)) = self.member(*through) else {
                continue;
            };
            let noise = |key: &_| self.noise.contains(key);
            let Some(link) = weigh::link(other, member, &self.rarity, noise) else {
                continue;
            };
            if link.weight < JOIN_WEIGHT {
                continue;
            }
            let reason = Reason {
                through: *through,
                key: link.key,
                gap: link.gap,
                weight: link.weight,
            };
            let held = best.entry(id).or_insert(reason);
            if order(&reason) < order(held) {
                *held = reason;
            }
        }
        let mut related: Vec<(u64, Reason)> = best.into_iter().collect();
        related.sort_by_key(|(id, reason)| (order(reason), *id));
        related
    }

    fn candidates(&mut self, member: &Member, among: Among, now: Ticks) -> BTreeSet<AlertId> {
        let index = match among {
            Among::Joinable | Among::Open => &self.open,
            Among::Resolved => &self.resolved,
        };
        let wanted = |alert: &AlertId| {
            self.places
                .get(alert)
                .and_then(|id| self.incidents.get(id))
                .is_some_and(|incident| {
                    let has_room = incident.members.len() < INCIDENT_ALERTS_MAX;
                    (among != Among::Joinable || has_room)
                        && incident.members.get(alert).is_some_and(|m| is_live(m, now))
                })
        };
        let mut is_cut = false;
        let mut found = BTreeSet::new();
        for key in member.keys.iter().filter(|key| !self.noise.contains(key)) {
            let most = strength::of(key.kind).weight * self.rarity.of_key(key) / WHOLE;
            if most >= WALK_WEIGHT && index.near(key, member.last_at, wanted, &mut found) {
                is_cut = true;
            }
        }
        if is_cut && among == Among::Joinable {
            self.counters.capped_fanout += 1;
        }
        found
    }

    pub(crate) fn member(&self, alert: AlertId) -> Option<(u64, &Member)> {
        let id = *self.places.get(&alert)?;
        Some((id, self.incidents.get(&id)?.members.get(&alert)?))
    }

    /// Why an alert may not join an incident.
    fn forbids(&self, id: u64, member: &Member) -> Option<Apart> {
        let incident = self.incidents.get(&id)?;
        if !incident.is_open() {
            return Some(Apart::Resolved);
        }
        if matches!(
            incident.classification,
            Classification::FalsePositive | Classification::InformationalExpectedActivity
        ) {
            return Some(Apart::Classified);
        }
        if !self.may_all_share(
            &incident.facts.services,
            &BTreeSet::from([member.service.clone()]),
        ) {
            return Some(Apart::NoConsent);
        }
        too_large(incident, 1, std::iter::once(member))
    }

    /// The related incident to name at an alert that opens its own.
    fn beside(
        &mut self,
        mut refused: Vec<(u64, Reason, Apart)>,
        member: &Member,
        now: Ticks,
        outcome: &mut Outcome,
    ) -> Option<Beside> {
        for among in [Among::Open, Among::Resolved] {
            if !refused.is_empty() {
                break;
            }
            let candidates = self.candidates(member, among, now);
            refused = self
                .related(member, &candidates)
                .into_iter()
                .filter_map(|(id, reason)| Some((id, reason, self.forbids(id, member)?)))
                .collect();
        }
        for (id, _, apart) in &refused {
            self.count(*id, *apart, now, outcome);
        }
        refused.first().map(|(id, reason, apart)| Beside {
            incident: IncidentId(*id),
            reason: *reason,
            apart: *apart,
        })
    }

    fn create(
        &mut self,
        alert: AlertId,
        member: Member,
        beside: Option<Beside>,
        now: Ticks,
        outcome: &mut Outcome,
    ) -> u64 {
        self.last += 1;
        let id = self.last;
        let mut incident = Incident::new(now);
        incident.take(alert, member);
        incident.touch(&self.rarity, now);
        self.incidents.insert(id, incident);
        self.enlist(id);
        outcome.effects.push(Effect {
            incident: IncidentId(id),
            at: now,
            actor: Actor::System,
            what: What::Created { alert, beside },
        });
        id
    }

    fn join(
        &mut self,
        id: u64,
        alert: AlertId,
        member: Member,
        reason: Reason,
        now: Ticks,
        outcome: &mut Outcome,
    ) {
        self.open.add(alert, &member);
        self.places.insert(alert, id);
        self.changed(id, &Actor::System, now, outcome, |incident| {
            incident.take(alert, member);
            vec![What::Joined { alert, reason }]
        });
    }

    /// Merges what a new alert shows to be one; gives back where the alert is then.
    fn merge_related(
        &mut self,
        home: u64,
        alert: AlertId,
        related: &[(u64, Reason)],
        now: Ticks,
        outcome: &mut Outcome,
    ) -> u64 {
        let mut others: Vec<(u64, Reason)> = related.to_vec();
        others.sort_by_key(|(id, _)| *id);
        others
            .into_iter()
            .filter(|(id, _)| *id != home)
            .fold(home, |home, (other, reason)| {
                if let Some(apart) = self.keeps_apart(home, other) {
                    self.count(other, apart, now, outcome);
                    return home;
                }
                let (kept, gone) = (home.min(other), home.max(other));
                let why = Some((alert, reason));
                self.merge(kept, gone, why, &Actor::System, now, outcome);
                kept
            })
    }

    /// Why two incidents may not be merged by themselves.
    fn keeps_apart(&self, a: u64, b: u64) -> Option<Apart> {
        let (x, y) = (self.incidents.get(&a)?, self.incidents.get(&b)?);
        if !x.is_open() || !y.is_open() {
            return Some(Apart::Resolved);
        }
        if x.apart.contains(&b) || y.apart.contains(&a) {
            return Some(Apart::KeptApart);
        }
        if (x.classification, x.determination) != (y.classification, y.determination) {
            return Some(Apart::ClassifiedDifferently);
        }
        if x.assigned.is_some() && y.assigned.is_some() && x.assigned != y.assigned {
            return Some(Apart::Assigned);
        }
        self.merge_forbidden(x, y)
    }

    /// Why two incidents may not be merged, not even by a person.
    pub(crate) fn merge_forbidden(&self, x: &Incident, y: &Incident) -> Option<Apart> {
        if !self.may_all_share(&x.facts.services, &y.facts.services) {
            return Some(Apart::NoConsent);
        }
        too_large(x, y.members.len(), y.members.values())
    }

    /// Merges `gone` into `kept`.
    pub(crate) fn merge(
        &mut self,
        kept: u64,
        gone: u64,
        reason: Option<(AlertId, Reason)>,
        actor: &Actor,
        now: Ticks,
        outcome: &mut Outcome,
    ) {
        self.delist(gone);
        self.delist(kept);
        let Some(source) = self.incidents.remove(&gone) else {
            self.enlist(kept);
            return;
        };
        outcome.merged.push(Summary {
            status: IncidentStatus::Redirected,
            alerts: Vec::new(),
            updated_at: now,
            ..source.summary(IncidentId(gone))
        });
        for to in self.redirects.values_mut().filter(|to| **to == gone) {
            *to = kept;
        }
        self.redirects.insert(gone, kept);
        for other in &source.apart {
            if let Some(incident) = self.incidents.get_mut(other) {
                incident.apart.remove(&gone);
                if *other != kept {
                    incident.apart.insert(kept);
                }
            }
        }
        let mut say = |incident, what| {
            outcome.effects.push(Effect {
                incident: IncidentId(incident),
                at: now,
                actor: actor.clone(),
                what,
            });
        };
        say(
            kept,
            What::Merged {
                from: IncidentId(gone),
                alerts: source.members.keys().copied().collect(),
                reason,
            },
        );
        say(
            gone,
            What::Redirected {
                to: IncidentId(kept),
            },
        );
        self.changed(kept, actor, now, outcome, |target| {
            let said = take_in(target, source, kept);
            target.refresh();
            said
        });
        self.enlist(kept);
    }

    /// Counts what a cap or missing consent kept apart; a cap is also said, once per incident.
    fn count(&mut self, id: u64, apart: Apart, now: Ticks, outcome: &mut Outcome) {
        let cap = match apart {
            Apart::Alerts => {
                self.counters.capped_alerts += 1;
                Cap::Alerts
            }
            Apart::Entities => {
                self.counters.capped_entities += 1;
                Cap::Entities
            }
            Apart::NoConsent => {
                self.counters.without_consent += 1;
                return;
            }
            _ => return,
        };
        let is_new = self
            .incidents
            .get_mut(&id)
            .is_some_and(|incident| incident.capped.insert(cap));
        if is_new {
            outcome.effects.push(Effect {
                incident: IncidentId(id),
                at: now,
                actor: Actor::System,
                what: What::Capped(cap),
            });
        }
    }
}

/// Best reasons first: heavier, nearer in time, smaller id.
fn order(reason: &Reason) -> (std::cmp::Reverse<u32>, i64, AlertId) {
    (
        std::cmp::Reverse(reason.weight),
        reason.gap.0,
        reason.through,
    )
}

/// The cap that an incident would go beyond with these alerts more.
pub(crate) fn too_large<'a>(
    incident: &Incident,
    n: usize,
    more: impl Iterator<Item = &'a Member>,
) -> Option<Apart> {
    if incident.members.len() + n > INCIDENT_ALERTS_MAX {
        return Some(Apart::Alerts);
    }
    let more: Vec<&Member> = more.collect();
    let at_most: usize = more.iter().map(|m| m.entities.len()).sum();
    if incident.facts.entities() + at_most <= INCIDENT_ENTITIES_MAX {
        return None;
    }
    let together = Different::of(
        incident
            .members
            .values()
            .chain(more)
            .flat_map(|m| &m.entities),
    );
    (together > INCIDENT_ENTITIES_MAX).then_some(Apart::Entities)
}

/// Moves everything of `source` over; what people said of the target stays, gaps are filled.
fn take_in(target: &mut Incident, source: Incident, kept: u64) -> Vec<What> {
    let mut said = Vec::new();
    let reopens = !target.is_open() && source.is_open();
    if target.assigned.is_none() && source.assigned.is_some() {
        said.push(What::Assigned {
            from: None,
            to: source.assigned.clone(),
        });
        target.assigned = source.assigned;
    }
    if target.classification == Classification::Unknown
        && source.classification != Classification::Unknown
    {
        said.push(What::Classification {
            from: target.classification,
            to: source.classification,
        });
        target.classification = source.classification;
        if target.determination != source.determination {
            said.push(What::Determination {
                from: target.determination,
                to: source.determination,
            });
            target.determination = source.determination;
        }
    }
    if reopens {
        said.push(What::Status {
            from: target.status,
            to: source.status,
        });
        target.status = source.status;
    }
    for tag in source.tags {
        if target.tags.len() < model::limits::INCIDENT_TAGS_MAX && target.tags.insert(tag.clone()) {
            said.push(What::Tagged(tag));
        }
    }
    target.severity_set = target.severity_set.max(source.severity_set);
    target.name_set = target.name_set.take().or(source.name_set);
    target.capped.extend(source.capped);
    target.apart.extend(source.apart);
    target.apart.remove(&kept);
    target.members.extend(source.members);
    said
}
