//! An alert as its incident remembers it.
//!
//! Everything that correlation, the summary and the story need, and no content: the record keys of the
//! digest are reduced to the [`Stage`] that their tables say.
//!
//! Promises
//! - At most `INCIDENT_ALERT_KEYS_MAX` keys, and a bounded number of techniques, whatever the digest has.
//! - `first_at <= last_at`.

use std::collections::BTreeSet;

use model::limits::INCIDENT_ALERT_KEYS_MAX;
use model::{
    AlertDigest, AlertId, AlertSeverity, EntityKind, EntityRef, KeyKind, KeyToken, RegionCode,
    RuleRef, ServiceName, Ticks,
};

use crate::story::Stage;
use crate::strength;
use crate::tactic::Tactic;

/// Techniques kept of one alert, and bytes of one: an id is at most `T1234.567`.
const TECHNIQUES_MAX: usize = 16;
const TECHNIQUE_BYTES_MAX: usize = 16;

/// See the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) rule: RuleRef,
    pub(crate) severity: AlertSeverity,
    pub(crate) tactic: Option<Tactic>,
    pub(crate) techniques: Vec<String>,
    pub(crate) service: ServiceName,
    pub(crate) origin: RegionCode,
    pub(crate) stage: Stage,
    pub(crate) first_at: Ticks,
    pub(crate) last_at: Ticks,
    /// When it was handed in; what expires is counted from here, so that old data correlates as new.
    pub(crate) arrived_at: Ticks,
    pub(crate) entities: Vec<EntityRef>,
    /// The entities' keys, sorted, each once.
    pub(crate) keys: Vec<KeyToken>,
}

/// Keys of devices and of accounts, those first that most sources of one place have: a person known by
/// name here and by number there would count as two.
const DEVICE_KEYS: &[KeyKind] = &[KeyKind::DeviceName, KeyKind::DeviceId];
const ACCOUNT_KEYS: &[KeyKind] = &[
    KeyKind::AccountName,
    KeyKind::AccountSid,
    KeyKind::Address,
    KeyKind::AccountObjectId,
];

impl Member {
    pub(crate) fn new(digest: &AlertDigest, arrived_at: Ticks) -> Self {
        let (first_at, last_at) = if digest.first_at <= digest.last_at {
            (digest.first_at, digest.last_at)
        } else {
            (digest.last_at, digest.first_at)
        };
        let entities = bounded(&digest.entities);
        Self {
            rule: digest.rule.clone(),
            severity: digest.severity,
            tactic: Tactic::parse(&digest.category),
            techniques: digest
                .techniques
                .iter()
                .filter(|t| t.len() <= TECHNIQUE_BYTES_MAX)
                .take(TECHNIQUES_MAX)
                .cloned()
                .collect(),
            service: digest.service.clone(),
            origin: digest.origin.clone(),
            stage: Stage::of(digest),
            first_at,
            last_at,
            arrived_at,
            keys: keys_of(&entities),
            entities,
        }
    }

    /// Whether everything that counts of `other` is said here already.
    pub(crate) fn says_as_much(&self, other: &Self) -> bool {
        let same = Self {
            arrived_at: self.arrived_at,
            ..other.clone()
        };
        *self == same
    }

    /// Where it happened, for how common a rule or a key of this class is: its devices, else its
    /// accounts; each entity by one key, and none that `is_noise` says identifies nobody.
    pub(crate) fn places(
        &self,
        class: strength::Class,
        is_noise: impl Fn(&KeyToken) -> bool,
    ) -> Vec<KeyToken> {
        let by_device = self.entity_tokens(EntityKind::Device, DEVICE_KEYS, &is_noise);
        if class != strength::Class::Device && !by_device.is_empty() {
            return by_device;
        }
        if class == strength::Class::Account {
            return Vec::new();
        }
        let mut accounts = self.entity_tokens(EntityKind::Account, ACCOUNT_KEYS, &is_noise);
        accounts.extend(self.entity_tokens(EntityKind::Mailbox, ACCOUNT_KEYS, &is_noise));
        accounts
    }

    fn entity_tokens(
        &self,
        kind: EntityKind,
        preferred: &[KeyKind],
        is_noise: &impl Fn(&KeyToken) -> bool,
    ) -> Vec<KeyToken> {
        self.entities
            .iter()
            .filter(|entity| entity.kind == kind && !entity.keys.iter().any(is_noise))
            .filter_map(|entity| {
                preferred
                    .iter()
                    .find_map(|wanted| entity.keys.iter().find(|key| key.kind == *wanted))
            })
            .copied()
            .collect()
    }
}

fn bounded(entities: &[EntityRef]) -> Vec<EntityRef> {
    let mut room = INCIDENT_ALERT_KEYS_MAX;
    let mut kept = Vec::new();
    for entity in entities {
        let keys: Vec<KeyToken> = entity.keys.iter().take(room).copied().collect();
        room -= keys.len();
        if !keys.is_empty() {
            kept.push(EntityRef {
                kind: entity.kind,
                role: entity.role,
                keys,
            });
        }
    }
    kept
}

pub(crate) fn keys_of(entities: &[EntityRef]) -> Vec<KeyToken> {
    let keys: BTreeSet<KeyToken> = entities
        .iter()
        .flat_map(|entity| entity.keys.iter().copied())
        .collect();
    keys.into_iter().collect()
}

/// The order of an incident's alerts: by time, then by id.
pub(crate) fn in_time<'a>(
    members: impl Iterator<Item = (&'a AlertId, &'a Member)>,
) -> Vec<(AlertId, &'a Member)> {
    let mut sorted: Vec<(AlertId, &Member)> = members.map(|(id, m)| (*id, m)).collect();
    sorted.sort_by_key(|(id, m)| (m.first_at, m.last_at, *id));
    sorted
}
