//! One incident: its alerts, what people said of it, and what follows from the alerts.
//!
//! [`Summary`] is what others see. What follows from the alerts is worked out again whenever they
//! change; only the score is kept, because how rare a rule was then is not known later.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AlertId, AlertSeverity, Classification, Determination, EntityKind, EntityRef, EntityRole,
    IncidentId, IncidentStatus, KeyToken, RegionCode, ServiceName, Ticks,
};
use serde::{Deserialize, Serialize};

use crate::effect::Cap;
use crate::member::{Member, in_time};
use crate::rarity::Rarity;
use crate::score::score;
use crate::tactic::Tactic;

/// An incident as analysts list it, without its alerts' content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its number.
    pub id: IncidentId,
    /// The name that people gave it, else the one made of tactics and counts.
    pub name: String,
    /// Where work on it stands.
    pub status: IncidentStatus,
    /// The severity that people gave it, else the highest of its alerts.
    pub severity: AlertSeverity,
    /// Its owner.
    pub assigned: Option<String>,
    /// What it turned out to be.
    pub classification: Classification,
    /// What kind of it.
    pub determination: Determination,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// From 0 to 100: how much it looks like an intrusion.
    pub score: u8,
    /// Its alerts' tactics, in the kill chain's order.
    pub tactics: Vec<Tactic>,
    /// Its alerts' techniques, sorted.
    pub techniques: Vec<String>,
    /// The services that its alerts are of, sorted.
    pub services: Vec<ServiceName>,
    /// The regions where its alerts' content rests, sorted.
    pub origins: Vec<RegionCode>,
    /// Number of different devices.
    pub devices: usize,
    /// Number of different accounts and mailboxes.
    pub accounts: usize,
    /// Number of different entities of all kinds.
    pub entities: usize,
    /// When it was made.
    pub created_at: Ticks,
    /// When it last changed.
    pub updated_at: Ticks,
    /// Time of the first row behind its alerts.
    pub first_at: Ticks,
    /// Time of the last row behind its alerts.
    pub last_at: Ticks,
    /// Its alerts, in the order of time.
    pub alerts: Vec<AlertId>,
    /// Caps that it reached.
    pub capped: Vec<Cap>,
}

/// See the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incident {
    pub(crate) status: IncidentStatus,
    pub(crate) assigned: Option<String>,
    pub(crate) classification: Classification,
    pub(crate) determination: Determination,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) severity_set: Option<AlertSeverity>,
    pub(crate) name_set: Option<String>,
    pub(crate) created_at: Ticks,
    pub(crate) updated_at: Ticks,
    /// When anything last had to do with it; the longest untouched are archived.
    pub(crate) touched_at: Ticks,
    pub(crate) score: u8,
    pub(crate) capped: BTreeSet<Cap>,
    /// Incidents that people keep apart from this one.
    pub(crate) apart: BTreeSet<u64>,
    pub(crate) members: BTreeMap<AlertId, Member>,
    pub(crate) facts: Facts,
}

/// What follows from the alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) severity: AlertSeverity,
    pub(crate) name: String,
    pub(crate) services: BTreeSet<ServiceName>,
    tactics: BTreeSet<Tactic>,
    alerts: usize,
    entities: Different,
    devices: ByRole,
    accounts: ByRole,
}

/// Different entities of a kind, and those of them that were harmed or used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct ByRole {
    all: Different,
    impacted: Different,
}

/// Counts different entities: those that share a key are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Different {
    number: BTreeMap<KeyToken, usize>,
    parent: Vec<usize>,
    n: usize,
}

/// The numbers inside depend on the order of counting, so only the count is compared.
impl PartialEq for Different {
    fn eq(&self, other: &Self) -> bool {
        self.n == other.n
    }
}

impl Eq for Different {}

impl Incident {
    pub(crate) fn new(now: Ticks) -> Self {
        Self {
            status: IncidentStatus::Active,
            assigned: None,
            classification: Classification::Unknown,
            determination: Determination::Unknown,
            tags: BTreeSet::new(),
            severity_set: None,
            name_set: None,
            created_at: now,
            updated_at: now,
            touched_at: now,
            score: 0,
            capped: BTreeSet::new(),
            apart: BTreeSet::new(),
            members: BTreeMap::new(),
            facts: Facts::of(&BTreeMap::new()),
        }
    }

    /// Takes one alert more.
    pub(crate) fn take(&mut self, alert: AlertId, member: Member) {
        self.facts.add(&member);
        self.members.insert(alert, member);
    }

    /// Works out again what follows from the alerts.
    pub(crate) fn refresh(&mut self) {
        self.facts = Facts::of(&self.members);
    }

    /// Takes note of a change to the alerts.
    pub(crate) fn touch(&mut self, rarity: &Rarity, now: Ticks) {
        self.score = score(
            in_time(self.members.iter()).into_iter().map(|(_, m)| m),
            rarity,
        );
        self.updated_at = now;
        self.touched_at = now;
    }

    pub(crate) fn severity(&self) -> AlertSeverity {
        self.severity_set.unwrap_or(self.facts.severity)
    }

    pub(crate) fn name(&self) -> &str {
        self.name_set.as_deref().unwrap_or(&self.facts.name)
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(
            self.status,
            IncidentStatus::Active | IncidentStatus::InProgress
        )
    }

    pub(crate) fn summary(&self, id: IncidentId) -> Summary {
        let sorted = in_time(self.members.iter());
        let each = || self.members.values();
        let tactics: BTreeSet<Tactic> = each().filter_map(|m| m.tactic).collect();
        let techniques: BTreeSet<&String> = each().flat_map(|m| &m.techniques).collect();
        let origins: BTreeSet<&RegionCode> = each().map(|m| &m.origin).collect();
        Summary {
            id,
            name: self.name().to_owned(),
            status: self.status,
            severity: self.severity(),
            assigned: self.assigned.clone(),
            classification: self.classification,
            determination: self.determination,
            tags: self.tags.iter().cloned().collect(),
            score: self.score,
            tactics: tactics.into_iter().collect(),
            techniques: techniques.into_iter().cloned().collect(),
            services: self.facts.services.iter().cloned().collect(),
            origins: origins.into_iter().cloned().collect(),
            devices: self.facts.devices(),
            accounts: self.facts.accounts(),
            entities: self.facts.entities(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            first_at: each().map(|m| m.first_at).min().unwrap_or_default(),
            last_at: each().map(|m| m.last_at).max().unwrap_or_default(),
            alerts: sorted.into_iter().map(|(id, _)| id).collect(),
            capped: self.capped.iter().copied().collect(),
        }
    }
}

impl Facts {
    pub(crate) fn of(members: &BTreeMap<AlertId, Member>) -> Self {
        let mut facts = Self {
            severity: AlertSeverity::Informational,
            name: String::new(),
            services: BTreeSet::new(),
            tactics: BTreeSet::new(),
            alerts: 0,
            entities: Different::default(),
            devices: ByRole::default(),
            accounts: ByRole::default(),
        };
        for member in members.values() {
            facts.count(member);
        }
        facts.rename();
        facts
    }

    fn add(&mut self, member: &Member) {
        self.count(member);
        self.rename();
    }

    fn count(&mut self, member: &Member) {
        self.severity = self.severity.max(member.severity);
        self.services.insert(member.service.clone());
        self.tactics.extend(member.tactic);
        self.alerts += 1;
        for entity in &member.entities {
            self.entities.add(entity);
            match entity.kind {
                EntityKind::Device => self.devices.add(entity),
                EntityKind::Account | EntityKind::Mailbox => self.accounts.add(entity),
                _ => {}
            }
        }
    }

    fn rename(&mut self) {
        self.name = name(&self.tactics, self.alerts, self.devices(), self.accounts());
    }

    pub(crate) const fn entities(&self) -> usize {
        self.entities.n
    }

    fn devices(&self) -> usize {
        self.devices.n()
    }

    fn accounts(&self) -> usize {
        self.accounts.n()
    }
}

impl ByRole {
    fn add(&mut self, entity: &EntityRef) {
        self.all.add(entity);
        if entity.role == EntityRole::Impacted {
            self.impacted.add(entity);
        }
    }

    fn n(&self) -> usize {
        if self.impacted.n == 0 {
            self.all.n
        } else {
            self.impacted.n
        }
    }
}

impl Different {
    pub(crate) fn of<'a>(entities: impl Iterator<Item = &'a EntityRef>) -> usize {
        let mut different = Self::default();
        entities.for_each(|entity| different.add(entity));
        different.n
    }

    fn add(&mut self, entity: &EntityRef) {
        let own = self.parent.len();
        self.parent.push(own);
        self.n += 1;
        for key in &entity.keys {
            let other = *self.number.entry(*key).or_insert(own);
            let (a, b) = (self.root(own), self.root(other));
            if a != b
                && let Some(slot) = self.parent.get_mut(a.max(b))
            {
                *slot = a.min(b);
                self.n -= 1;
            }
        }
    }

    fn root(&self, mut i: usize) -> usize {
        while let Some(&up) = self.parent.get(i).filter(|up| **up != i) {
            i = up;
        }
        i
    }
}

/// A name of tactics and counts alone, so that it may be shown wherever the incident may.
fn name(tactics: &BTreeSet<Tactic>, alerts: usize, devices: usize, accounts: usize) -> String {
    let mut in_order = tactics.iter();
    let (first, last) = (in_order.next(), in_order.next_back());
    let what = match (first, last) {
        (Some(first), Some(last)) if tactics.len() > 2 => format!(
            "multi-stage attack, {} to {}, {} tactics",
            first.words(),
            last.words(),
            tactics.len()
        ),
        (Some(first), Some(last)) => format!("{} and {}", first.words(), last.words()),
        (Some(only), None) => only.words().to_owned(),
        (None, _) => counted(alerts, "alert", "alerts"),
    };
    let places: Vec<String> = [
        (devices, "device", "devices"),
        (accounts, "account", "accounts"),
    ]
    .iter()
    .filter(|(n, _, _)| *n > 0)
    .map(|(n, one, more)| counted(*n, one, more))
    .collect();
    let mut text = if places.is_empty() {
        what
    } else {
        format!("{what} on {}", places.join(" and "))
    };
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn counted(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}
