//! How common a key or a rule is at this tenant, over the last days.
//!
//! A key that is seen at many places (a shared administrator, a proxy's address, a tool's hash) or on
//! many days says less about two alerts that share it: the continuous form of cutting hubs out of the
//! graph. Up to a number of places that its kind allows, the figure is exactly 1, so that ordinary
//! alerts correlate the same in whatever order they arrive. A key that is everywhere today and was
//! nowhere before is an outbreak rather than a hub, and is allowed more places.
//!
//! A rule is common when it fires at many places where nothing else does: the alerts of an intrusion
//! have company, those of a noisy rule stand alone. At a place where it fired alone on an earlier day it
//! is usual.
//!
//! Counts alerts only: what never raised one is not known here.
//! Limits: `INCIDENT_RARITY_*`.

use std::collections::{BTreeMap, BTreeSet};

use model::limits::{INCIDENT_RARITY_DAYS, INCIDENT_RARITY_KEYS_MAX, INCIDENT_RARITY_PLACES_MAX};
use model::{AlertSeverity, DetectionRuleId, KeyToken};

use crate::member::Member;
use crate::strength;

/// Days on which a key may be seen before it counts as everyday.
const DAYS_FREE: u32 = 3;
/// Places at which a rule may fire before it counts as common.
const RULE_PLACES_FREE: u32 = 8;
/// Times more places that a key may have which is new.
const OUTBREAK: u32 = 4;
/// Days after which the memory is old enough to call a key new.
const MEMORY_DAYS_MIN: i32 = 3;
/// The least that is left of a common rule's alerts, in thousandths.
const RULE_LEAST: u32 = 100;
/// Everything, in thousandths.
pub(crate) const WHOLE: u32 = 1_000;

/// Where and when something was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// The last day, as [`model::Ticks::day`].
    pub(crate) newest: i32,
    /// Days seen, bit `n` for `newest - n`.
    pub(crate) days: u32,
    /// A short hash of each place, and the last day there.
    pub(crate) places: BTreeMap<u32, i32>,
}

impl Seen {
    fn note(&mut self, day: i32, places: impl Iterator<Item = u32>) {
        if self.days == 0 {
            self.newest = day;
        }
        if day > self.newest {
            let by = day.saturating_sub(self.newest).unsigned_abs();
            self.days = self.days.checked_shl(by).unwrap_or(0);
            self.newest = day;
        }
        let age = self.newest.saturating_sub(day).unsigned_abs();
        self.days |= 1_u32.checked_shl(age).unwrap_or(0);
        self.days &= (1_u32 << INCIDENT_RARITY_DAYS.unsigned_abs()) - 1;
        for place in places {
            let last = self.places.entry(place).or_insert(day);
            *last = (*last).max(day);
        }
        let oldest = self.newest.saturating_sub(INCIDENT_RARITY_DAYS);
        self.places.retain(|_, last| *last > oldest);
        while self.places.len() > INCIDENT_RARITY_PLACES_MAX {
            let Some(place) = self.places.iter().map(|(p, d)| (*d, *p)).min() else {
                return;
            };
            self.places.remove(&place.1);
        }
    }

    fn n_places(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }
}

/// Where and when a rule fired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fired {
    pub(crate) seen: Seen,
    /// The first day at each of those places.
    pub(crate) since: BTreeMap<u32, i32>,
    /// The places where an alert of another rule belonged to it.
    pub(crate) company: BTreeSet<u32>,
}

/// The memory of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rarity {
    /// The day of the first alert, and of the last.
    pub(crate) days: Option<(i32, i32)>,
    pub(crate) keys: BTreeMap<KeyToken, Seen>,
    pub(crate) rules: BTreeMap<DetectionRuleId, Fired>,
}

impl Rarity {
    /// Takes note of a new alert.
    pub(crate) fn note(&mut self, alert: &Member, is_noise: impl Fn(&KeyToken) -> bool) {
        let day = alert.last_at.day();
        for key in &alert.keys {
            let class = strength::of(key.kind).class;
            let places = alert.places(class, &is_noise);
            self.keys
                .entry(*key)
                .or_default()
                .note(day, places.iter().map(short));
        }
        let places = rule_places(alert);
        let fired = self.rules.entry(alert.rule.id.clone()).or_default();
        fired.seen.note(day, places.iter().map(short));
        for place in fired.seen.places.keys() {
            let first = fired.since.entry(*place).or_insert(day);
            *first = (*first).min(day);
        }
        let known = |place: &u32| fired.seen.places.contains_key(place);
        fired.company.retain(known);
        fired.since.retain(|place, _| known(place));
        let (first, last) = self.days.unwrap_or((day, day));
        self.days = Some((first.min(day), last.max(day)));
        forget(&mut self.keys, |seen| seen.newest);
        forget(&mut self.rules, |fired| fired.seen.newest);
    }

    /// Takes note that an alert of another rule belongs to this one. Who is common already stays so:
    /// noise at a place does not become telling because an intrusion comes by.
    pub(crate) fn note_company(&mut self, alert: &Member) {
        if self.of_rule(alert) < WHOLE {
            return;
        }
        if let Some(fired) = self.rules.get_mut(&alert.rule.id) {
            let places = rule_places(alert);
            let known = |place: &u32| fired.seen.places.contains_key(place);
            fired.company.extend(places.iter().map(short).filter(known));
        }
    }

    /// How rare a key is, in thousandths.
    pub(crate) fn of_key(&self, key: &KeyToken) -> u32 {
        self.keys.get(key).map_or(WHOLE, |seen| {
            let mut free = strength::of(key.kind).places;
            if self.is_new(seen) {
                free *= OUTBREAK;
            }
            share(free, seen.n_places())
        })
    }

    /// How rare an alert's rule is, in thousandths. A severe alert is not made less of because its
    /// rule fires often: that may be the attack.
    pub(crate) fn of_rule(&self, alert: &Member) -> u32 {
        if alert.severity == AlertSeverity::High {
            return WHOLE;
        }
        self.rules.get(&alert.rule.id).map_or(WHOLE, |fired| {
            let day = alert.last_at.day();
            let places = rule_places(alert);
            let is_usual = places.iter().map(short).any(|place| {
                !fired.company.contains(&place)
                    && fired.since.get(&place).is_some_and(|first| *first < day)
            });
            if is_usual {
                return RULE_LEAST;
            }
            let n = fired.seen.places.len() - fired.company.len().min(fired.seen.places.len());
            let alone = u32::try_from(n).unwrap_or(u32::MAX);
            if alone <= RULE_PLACES_FREE {
                return WHOLE;
            }
            let by_day = share(DAYS_FREE, fired.seen.days.count_ones());
            (share(RULE_PLACES_FREE, alone) * by_day / WHOLE).max(RULE_LEAST)
        })
    }

    fn is_new(&self, seen: &Seen) -> bool {
        self.remembers() && seen.days.is_power_of_two()
    }

    /// True if the memory is old enough to call a key new.
    pub(crate) fn remembers(&self) -> bool {
        self.days
            .is_some_and(|(first, last)| last.saturating_sub(first) >= MEMORY_DAYS_MIN)
    }
}

/// `free / n` in thousandths, at most 1.
fn share(free: u32, n: u32) -> u32 {
    if n <= free { WHOLE } else { WHOLE * free / n }
}

/// Where a rule fired.
fn rule_places(alert: &Member) -> Vec<KeyToken> {
    alert.places(strength::Class::File, |_| false)
}

/// 32 bits of a token: places are only counted, and at most 32 of them.
fn short(token: &KeyToken) -> u32 {
    let [a, b, c, d, ..] = token.token;
    u32::from_le_bytes([a, b, c, d])
}

/// Drops an eighth, longest unseen first, when there are too many.
fn forget<K: Ord + Clone, V>(seen: &mut BTreeMap<K, V>, newest: impl Fn(&V) -> i32) {
    if seen.len() <= INCIDENT_RARITY_KEYS_MAX {
        return;
    }
    let mut by_age: Vec<(i32, K)> = seen.iter().map(|(k, v)| (newest(v), k.clone())).collect();
    by_age.sort();
    for (_, key) in by_age.into_iter().take(INCIDENT_RARITY_KEYS_MAX / 8) {
        seen.remove(&key);
    }
}
