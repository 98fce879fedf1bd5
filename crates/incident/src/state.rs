//! The machine: what it holds, what it takes, what it gives back.
//!
//! Promises
//! - A refused input changes nothing.
//! - What is derived (the indexes, which incident an alert is in) is made of the incidents alone.
//! - Whether and when [`Input::Tick`] comes changes what is archived, never what joins what.

use std::collections::{BTreeMap, BTreeSet};

use model::limits::{
    INCIDENT_ALERTS_HELD_MAX, INCIDENT_CONSENTS_MAX, INCIDENT_JOIN_DAYS_MAX,
    INCIDENT_NOISE_KEYS_MAX, INCIDENT_QUIET_DAYS_MAX, INCIDENT_REMEMBERED_MAX, INCIDENTS_HELD_MAX,
};
use model::{AlertDigest, AlertId, IncidentId, KeyToken, ServiceName, Span100ns, Ticks};

use crate::analyst::Change;
use crate::codec::{self, BadBytes};
use crate::effect::{Actor, Effect, What};
use crate::incident::{Incident, Summary};
use crate::index::Index;
use crate::member::Member;
use crate::rarity::Rarity;

/// One tenant's incidents and what correlation remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Number of the last incident made.
    pub(crate) last: u64,
    pub(crate) incidents: BTreeMap<u64, Incident>,
    /// Incidents that were merged, and into which that is still held.
    pub(crate) redirects: BTreeMap<u64, u64>,
    /// Alerts of archived incidents, with the incident and the alert's arrival.
    pub(crate) remembered: BTreeMap<AlertId, (u64, Ticks)>,
    pub(crate) rarity: Rarity,
    /// Pairs of services that may share; the smaller name first.
    pub(crate) consent: BTreeSet<(ServiceName, ServiceName)>,
    /// Keys of values that identify nobody.
    pub(crate) noise: BTreeSet<KeyToken>,
    pub(crate) counters: Counters,
    /// Derived: the alerts that others may join through.
    pub(crate) open: Index,
    /// Derived: the alerts of incidents that are resolved.
    pub(crate) resolved: Index,
    /// Derived: where each alert is.
    pub(crate) places: BTreeMap<AlertId, u64>,
}

/// How often something was met, since the state began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Alerts taken.
    pub alerts: u64,
    /// Alerts that came again.
    pub repeated: u64,
    /// Joins and merges that a cap on an incident's alerts kept apart.
    pub capped_alerts: u64,
    /// Joins and merges that a cap on an incident's entities kept apart.
    pub capped_entities: u64,
    /// Alerts compared with the nearest others of a key only, because there were more.
    pub capped_fanout: u64,
    /// Incidents archived because too many were held.
    pub archived_early: u64,
    /// Joins and merges that missing consent kept apart.
    pub without_consent: u64,
}

/// What the machine takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// An alert, of this region or over the tenant link.
    NewAlert(Box<AlertDigest>),
    /// An alert of which more is known than before: evidence came after it. It stays where it is, and
    /// what the new keys relate it to joins it there; taken as new if it is not known.
    Grown(Box<AlertDigest>),
    /// A person changes an incident.
    Analyst {
        /// The person.
        who: String,
        /// The incident.
        incident: IncidentId,
        /// What to change.
        change: Box<Change>,
    },
    /// Time has passed: incidents that are quiet for long are archived.
    Tick,
    /// The pairs of services that may share from now on, in place of the ones before. Incidents that
    /// exist are not taken apart.
    Consent(Vec<(ServiceName, ServiceName)>),
    /// The keys that join nothing from now on, in place of the ones before; see
    /// [`crate::WELL_KNOWN`].
    Noise(Vec<KeyToken>),
    /// An incident that was archived is wanted again, as the bytes given then; the caller drops them.
    Recall(Vec<u8>),
}

/// An incident that is held no longer. The caller keeps the bytes, so that a person can still work on
/// it: [`Input::Recall`] brings it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its number.
    pub incident: IncidentId,
    /// As it last was.
    pub summary: Summary,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// In the order in which it happened.
    pub effects: Vec<Effect>,
    /// Incidents that were archived.
    pub archived: Vec<Archived>,
    /// Incidents that were merged into others, as they last were: redirected, their alerts handed on.
    /// Also one that this very step created.
    pub merged: Vec<Summary>,
    /// The incident that the alert is in, for [`Input::NewAlert`] and [`Input::Grown`].
    pub incident: Option<IncidentId>,
}

/// Why an input was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such incident is held; it may be archived.
    #[error("incident {0} is not held")]
    UnknownIncident(IncidentId),
    /// No such alert is held.
    #[error("alert {0} is not held")]
    UnknownAlert(AlertId),
    /// The incident was merged into another one.
    #[error("incident {from} was merged into incident {to}")]
    Redirected {
        /// The one asked for.
        from: IncidentId,
        /// The one to ask for.
        to: IncidentId,
    },
    /// Only merging redirects.
    #[error("the status `redirected` cannot be set")]
    StatusRedirected,
    /// The determination belongs to another classification.
    #[error("the determination `{determination}` needs the classification `{needed}`")]
    DeterminationMismatch {
        /// As asked for.
        determination: model::Determination,
        /// What it needs.
        needed: model::Classification,
    },
    /// A text or list is longer than its limit.
    #[error("{what} is longer than {max}")]
    TooLong {
        /// Which, as in a sentence.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A text is empty.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// The services of the two may not share.
    #[error("the tenant does not let these services share")]
    NoConsent,
    /// The incident would be too large.
    #[error("the incident would have more than {max} {what}")]
    TooLarge {
        /// Alerts or entities.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The alert is there already, or alone where it is.
    #[error("alert {0} would not move")]
    NothingToMove(AlertId),
    /// A merge names the same incident twice, or only one.
    #[error("a merge needs two different incidents or more")]
    NothingToMerge,
    /// The archived incident is held again already, or its number was never given out.
    #[error("incident {0} cannot be recalled")]
    NotRecallable(IncidentId),
    /// The archived incident cannot be read.
    #[error("the archived incident cannot be read")]
    BadArchive(#[source] BadBytes),
}

/// Where an incident is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Held.
    Held(Box<Summary>),
    /// Merged into this one.
    Redirected(IncidentId),
}

impl State {
    /// The state of a tenant that has no alerts yet. No services share until [`Input::Consent`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of a tenant whose former one was lost: numbers of incidents go on after `last`.
    pub fn after(last: IncidentId) -> Self {
        Self {
            last: last.0,
            ..Self::default()
        }
    }

    /// The state as bytes, for [`Self::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::write_state(self)
    }

    /// A state that [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadBytes> {
        let mut state = codec::read_state(bytes)?;
        for id in state.incidents.keys().copied().collect::<Vec<_>>() {
            state.enlist(id);
        }
        Ok(state)
    }

    /// Takes one input at the time `now`.
    pub fn step(&mut self, input: Input, now: Ticks) -> Result<Outcome, Refusal> {
        let mut outcome = Outcome::default();
        match input {
            Input::NewAlert(digest) => self.new_alert(&digest, now, &mut outcome),
            Input::Grown(digest) => self.grown(&digest, now, &mut outcome),
            Input::Analyst {
                who,
                incident,
                change,
            } => self.analyst(who, incident, *change, now, &mut outcome)?,
            Input::Tick => self.tick(now, &mut outcome),
            Input::Consent(pairs) => self.consent = consents(pairs)?,
            Input::Noise(keys) => {
                if keys.len() > INCIDENT_NOISE_KEYS_MAX {
                    return Err(Refusal::TooLong {
                        what: "the list of noise keys",
                        max: INCIDENT_NOISE_KEYS_MAX,
                    });
                }
                self.noise = keys.into_iter().collect();
            }
            Input::Recall(bytes) => self.recall(&bytes, now)?,
        }
        self.keep_within_limits(now, &mut outcome);
        Ok(outcome)
    }

    /// An incident.
    pub fn incident(&self, id: IncidentId) -> Option<Found> {
        if let Some(incident) = self.incidents.get(&id.0) {
            return Some(Found::Held(Box::new(incident.summary(id))));
        }
        self.redirects
            .get(&id.0)
            .map(|to| Found::Redirected(IncidentId(*to)))
    }

    /// Every incident held, by number.
    pub fn incidents(&self) -> impl Iterator<Item = Summary> + '_ {
        self.incidents
            .iter()
            .map(|(id, incident)| incident.summary(IncidentId(*id)))
    }

    /// The incident that an alert is in.
    pub fn incident_of(&self, alert: AlertId) -> Option<IncidentId> {
        let archived = || self.remembered.get(&alert).map(|(id, _)| id);
        self.places
            .get(&alert)
            .or_else(archived)
            .map(|id| IncidentId(*id))
    }

    /// How often something was met.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// True if alerts of these two services may be in one incident.
    pub(crate) fn may_share(&self, a: &ServiceName, b: &ServiceName) -> bool {
        a == b || self.consent.contains(&pair(a.clone(), b.clone()))
    }

    /// True if all services of both sides may be in one incident.
    pub(crate) fn may_all_share(
        &self,
        a: &BTreeSet<ServiceName>,
        b: &BTreeSet<ServiceName>,
    ) -> bool {
        a.iter().all(|x| b.iter().all(|y| self.may_share(x, y)))
    }

    /// Puts an incident's alerts where they can be found.
    pub(crate) fn enlist(&mut self, id: u64) {
        let Some(incident) = self.incidents.get(&id) else {
            return;
        };
        let index = if incident.is_open() {
            &mut self.open
        } else {
            &mut self.resolved
        };
        for (alert, member) in &incident.members {
            index.add(*alert, member);
            self.places.insert(*alert, id);
        }
    }

    /// Takes an incident's alerts from where they can be found.
    pub(crate) fn delist(&mut self, id: u64) {
        let Some(incident) = self.incidents.get(&id) else {
            return;
        };
        for (alert, member) in &incident.members {
            self.open.remove(*alert, member);
            self.resolved.remove(*alert, member);
            self.places.remove(alert);
        }
    }

    /// Changes an incident's alerts, and says what else changed with them.
    pub(crate) fn changed(
        &mut self,
        id: u64,
        actor: &Actor,
        now: Ticks,
        outcome: &mut Outcome,
        change: impl FnOnce(&mut Incident) -> Vec<What>,
    ) {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return;
        };
        let (severity, name) = (incident.severity(), incident.name().to_owned());
        let mut whats = change(incident);
        incident.touch(&self.rarity, now);
        if incident.severity() != severity {
            whats.push(What::Severity {
                from: severity,
                to: incident.severity(),
            });
        }
        if incident.name() != name {
            whats.push(What::Name {
                from: name,
                to: incident.name().to_owned(),
            });
        }
        outcome.effects.extend(whats.into_iter().map(|what| Effect {
            incident: IncidentId(id),
            at: now,
            actor: actor.clone(),
            what,
        }));
    }

    /// Works out again what follows from an incident's alerts, and says what changed.
    pub(crate) fn refresh(&mut self, id: u64, actor: &Actor, now: Ticks, outcome: &mut Outcome) {
        self.changed(id, actor, now, outcome, |incident| {
            incident.refresh();
            Vec::new()
        });
    }

    fn tick(&mut self, now: Ticks, outcome: &mut Outcome) {
        let due: Vec<u64> = self
            .incidents
            .iter()
            .filter(|(_, incident)| {
                let days = if incident.is_open() {
                    INCIDENT_QUIET_DAYS_MAX
                } else {
                    INCIDENT_JOIN_DAYS_MAX
                };
                incident.touched_at.saturating_add(Span100ns::days(days)) < now
            })
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.archive(id, now, outcome);
        }
        self.remembered.retain(|_, (_, arrived_at)| {
            arrived_at.saturating_add(Span100ns::days(INCIDENT_JOIN_DAYS_MAX)) >= now
        });
    }

    /// Archives the longest quiet, those done first, until what is held is within its limits.
    fn keep_within_limits(&mut self, now: Ticks, outcome: &mut Outcome) {
        while self.incidents.len() > INCIDENTS_HELD_MAX
            || self.places.len() > INCIDENT_ALERTS_HELD_MAX
        {
            let quietest = self
                .incidents
                .iter()
                .map(|(id, i)| (i.is_open(), i.touched_at, *id))
                .min();
            let Some((_, _, id)) = quietest else {
                break;
            };
            self.counters.archived_early += 1;
            self.archive(id, now, outcome);
        }
        while self.remembered.len() > INCIDENT_REMEMBERED_MAX {
            let oldest = self.remembered.iter().map(|(a, (_, at))| (*at, *a)).min();
            let Some((_, alert)) = oldest else { break };
            self.remembered.remove(&alert);
        }
        while self.redirects.len() > INCIDENT_REMEMBERED_MAX {
            self.redirects.pop_first();
        }
    }

    fn archive(&mut self, id: u64, now: Ticks, outcome: &mut Outcome) {
        self.delist(id);
        let Some(incident) = self.incidents.remove(&id) else {
            return;
        };
        for (alert, member) in &incident.members {
            self.remembered.insert(*alert, (id, member.arrived_at));
        }
        self.redirects.retain(|_, to| *to != id);
        for other in &incident.apart {
            if let Some(other) = self.incidents.get_mut(other) {
                other.apart.remove(&id);
            }
        }
        outcome.effects.push(Effect {
            incident: IncidentId(id),
            at: now,
            actor: Actor::System,
            what: What::Archived,
        });
        outcome.archived.push(Archived {
            incident: IncidentId(id),
            summary: incident.summary(IncidentId(id)),
            bytes: codec::write_archived(id, &incident),
        });
    }

    fn recall(&mut self, bytes: &[u8], now: Ticks) -> Result<(), Refusal> {
        let (id, mut incident) = codec::read_archived(bytes).map_err(Refusal::BadArchive)?;
        let is_known = self.incidents.contains_key(&id) || self.redirects.contains_key(&id);
        let is_held = |alert: &AlertId| self.incident_of(*alert).is_some_and(|at| at.0 != id);
        if is_known || id > self.last || incident.members.keys().any(is_held) {
            return Err(Refusal::NotRecallable(IncidentId(id)));
        }
        for alert in incident.members.keys() {
            self.remembered.remove(alert);
        }
        incident.touched_at = now;
        incident.apart.retain(|other| {
            let other = self.incidents.get_mut(other);
            other.is_some_and(|o| o.apart.insert(id) || o.apart.contains(&id))
        });
        self.incidents.insert(id, incident);
        self.enlist(id);
        Ok(())
    }
}

/// A number that stands for an alert's lifetime in correlation: true while it may draw others in.
pub(crate) fn is_live(member: &Member, now: Ticks) -> bool {
    let days = Span100ns::days(INCIDENT_JOIN_DAYS_MAX);
    member.arrived_at.saturating_add(days) >= now
}

fn pair(a: ServiceName, b: ServiceName) -> (ServiceName, ServiceName) {
    if a <= b { (a, b) } else { (b, a) }
}

fn consents(
    pairs: Vec<(ServiceName, ServiceName)>,
) -> Result<BTreeSet<(ServiceName, ServiceName)>, Refusal> {
    if pairs.len() > INCIDENT_CONSENTS_MAX {
        return Err(Refusal::TooLong {
            what: "the list of consents",
            max: INCIDENT_CONSENTS_MAX,
        });
    }
    Ok(pairs.into_iter().map(|(a, b)| pair(a, b)).collect())
}
