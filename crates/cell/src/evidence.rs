//! What is known of one device or one person: the alerts and incidents that name them.
//!
//! An alert whose content rests elsewhere is found by the references that came over the tenant link,
//! so the list is whole at the tenant's home although the names stay at their origin.

use std::collections::BTreeSet;

use access::{Granted, ReadIncidents};
use model::{
    AlertId, Entity, EntityKey, EntityKind, EntityRole, IncidentId, KeyKind, KeyToken, Ticks,
    limits,
};
use store::AlertFilter;

use crate::Error;
use crate::cell::Cell;
use crate::incidents::{AlertView, IncidentView, ReadyHunt, distinct, hunts, incident_view};
use crate::viewing::{Shown, Viewing, left_out};

/// Alerts that are looked through, the newest first.
const LOOKED_THROUGH_MAX: usize = 10_000;
/// Alerts and incidents that an answer lists.
const LISTED_MAX: usize = 200;
/// Days that ready-made hunts look back if no alert says when.
const DAYS_BACK: i64 = 7;

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A computer, by its id, its full name or the first part of it.
    Device,
    /// A person's or service's account, by address, object id, security identifier or
    /// `domain\name`.
    User,
}

/// What is known of a device or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityView {
    /// The device or user as alerts name it; several if the text fits several, none if no alert
    /// whose content is here names it.
    pub entities: Vec<Entity>,
    /// The alerts, the newest first, at most 200.
    pub alerts: Vec<AlertView>,
    /// Their incidents, the newest first.
    pub incidents: Vec<IncidentView>,
    /// All alerts that were found, listed or not.
    pub alerts_found: usize,
    /// Whether older alerts were not looked through.
    pub is_cut: bool,
    /// Hunts to go on with.
    pub hunts: Vec<ReadyHunt>,
    /// What the reader should know.
    pub notice: Option<String>,
}

impl Subject {
    fn is_of(self, kind: EntityKind) -> bool {
        match self {
            Self::Device => kind == EntityKind::Device,
            Self::User => matches!(kind, EntityKind::Account | EntityKind::Mailbox),
        }
    }

    fn keys(self) -> &'static [KeyKind] {
        match self {
            Self::Device => &[KeyKind::DeviceId, KeyKind::DeviceName],
            Self::User => &[
                KeyKind::Address,
                KeyKind::AccountObjectId,
                KeyKind::AccountSid,
                KeyKind::AccountName,
            ],
        }
    }

    /// The keys that somebody who writes `text` may mean, in canonical form.
    fn candidates(self, text: &str) -> BTreeSet<EntityKey> {
        let key = |kind: &KeyKind| EntityKey {
            kind: *kind,
            value: match kind {
                KeyKind::AccountSid => text.to_uppercase(),
                KeyKind::DeviceId => text.to_owned(),
                _ => text.to_lowercase(),
            },
        };
        self.keys().iter().map(key).collect()
    }

    /// Whether an entity is meant.
    fn means(self, text: &str, entity: &Entity) -> bool {
        let meant = |key: &EntityKey| {
            let whole = key.value.eq_ignore_ascii_case(text);
            let first = key.kind == KeyKind::DeviceName
                && key
                    .value
                    .split('.')
                    .next()
                    .is_some_and(|first| first.eq_ignore_ascii_case(text));
            self.keys().contains(&key.kind) && (whole || first)
        };
        self.is_of(entity.kind) && entity.keys.iter().any(meant)
    }

    /// Somebody of whom no alert speaks, so that ready-made hunts can be made.
    fn unknown(self, text: &str) -> Entity {
        let kind = match self {
            Self::Device => EntityKind::Device,
            Self::User => EntityKind::Account,
        };
        let is_sid = text.to_ascii_uppercase().starts_with("S-1-");
        let is_hex = |c: char| c.is_ascii_hexdigit() || c == '-';
        let is_guid = text.len() == 36 && text.chars().all(is_hex);
        let is_device_id = text.len() == 40 && text.chars().all(is_hex);
        let key = match self {
            Self::Device if is_device_id => KeyKind::DeviceId,
            Self::Device => KeyKind::DeviceName,
            Self::User if is_sid => KeyKind::AccountSid,
            Self::User if is_guid => KeyKind::AccountObjectId,
            Self::User if text.contains('@') => KeyKind::Address,
            Self::User => KeyKind::AccountName,
        };
        let candidates = self.candidates(text);
        Entity {
            kind,
            role: EntityRole::Related,
            name: text.to_owned(),
            keys: candidates.into_iter().filter(|k| k.kind == key).collect(),
            details: Vec::new(),
        }
    }
}

impl Cell {
    /// The alerts and incidents that name a device or a user.
    pub async fn entity(
        &self,
        grant: &Granted<ReadIncidents>,
        subject: Subject,
        text: &str,
    ) -> Result<EntityView, Error> {
        let text = text.trim();
        if text.is_empty() || text.len() > limits::NAME_BYTES_MAX {
            return Err(Error::Bad("this names no device and no user".to_owned()));
        }
        let kind = match subject {
            Subject::Device => "device",
            Subject::User => "user",
        };
        self.note_read(grant, kind, text).await?;
        let viewing = self.viewing(grant)?;
        let (mut all, is_cut) = self.newest_alerts(grant, &viewing).await?;
        let before = all.len();
        // That an alert names somebody is content as well.
        all.retain(|shown| shown.may_read);
        let notice = left_out(before - all.len());
        let named = all.iter().filter_map(|shown| shown.whole.as_deref());
        let named = named.flat_map(|alert| &alert.entities);
        let named: Vec<Entity> = named.filter(|e| subject.means(text, e)).cloned().collect();
        let entities = distinct(named);
        let known = entities.iter().flat_map(|e| e.keys.iter().cloned());
        let known = known.filter(|key| subject.keys().contains(&key.kind));
        let mut keys = subject.candidates(text);
        keys.extend(known);
        let tokens: BTreeSet<KeyToken> = keys
            .iter()
            .map(|key| KeyToken {
                kind: key.kind,
                token: viewing.naming.reference(key),
            })
            .collect();
        let names = |shown: &Shown| {
            let mut entities = shown.digest.entities.iter();
            entities.any(|e| subject.is_of(e.kind) && e.keys.iter().any(|key| tokens.contains(key)))
        };
        let mut alerts: Vec<AlertView> = Vec::new();
        alerts.extend(all.into_iter().filter(names).map(|shown| shown.view));
        let incidents: BTreeSet<IncidentId> = alerts.iter().filter_map(|a| a.incident).collect();
        let mut listed = Vec::new();
        for id in incidents.into_iter().rev().take(LISTED_MAX) {
            let entry = self.store().incident(grant, id).await?;
            listed.extend(entry.as_ref().map(incident_view).transpose()?);
        }
        let now = self.inner.cx.now();
        let days = model::Span100ns::days(-DAYS_BACK);
        let first = alerts.iter().map(|a| a.first_at).min();
        let last = alerts.iter().map(|a| a.last_at).max();
        let first = first.unwrap_or(now.saturating_add(days));
        let subjects = match entities.as_slice() {
            [] => vec![subject.unknown(text)],
            known => known.to_vec(),
        };
        let regions = self.regions_of(grant.tenant())?;
        let hunts = hunts(first, last.unwrap_or(now), &subjects, &regions);
        let alerts_found = alerts.len();
        alerts.truncate(LISTED_MAX);
        Ok(EntityView {
            entities,
            alerts,
            incidents: listed,
            alerts_found,
            is_cut,
            hunts,
            notice,
        })
    }

    /// The newest alerts, and whether there are older ones.
    async fn newest_alerts(
        &self,
        grant: &Granted<ReadIncidents>,
        viewing: &Viewing,
    ) -> Result<(Vec<Shown>, bool), Error> {
        let mut all: Vec<Shown> = Vec::new();
        let mut after: Option<(Ticks, AlertId)> = None;
        while all.len() < LOOKED_THROUGH_MAX {
            let filter = AlertFilter {
                after,
                ..AlertFilter::default()
            };
            let page = self.store().alerts(grant, &filter, limits::PAGE_ITEMS_MAX);
            let page = page.await?;
            for record in &page {
                all.push(viewing.show(record)?);
            }
            after = all.last().map(|s| (s.view.created_at, s.view.id));
            if page.len() < limits::PAGE_ITEMS_MAX {
                return Ok((all, false));
            }
        }
        Ok((all, true))
    }
}
