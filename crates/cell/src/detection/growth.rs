//! Alerts that say more than before: a vendor's evidence comes after its alert, or in pieces.
//!
//! An alert only ever grows: what is new about it is added to what was known. So the same message over
//! the link again, or an older one after a newer, changes nothing.
//!
//! Only alerts of vendors grow. One of our own is made of all its rows at once.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Alert, AlertDigest, AlertId, Entity, EntityKey, EntityRef, KeyToken, RecordRef, RuleKind,
    TenantId, limits,
};

use super::sweep::record;
use crate::Error;
use crate::cell::Cell;
use crate::stored::StoredAlert;

/// An alert on its way into an incident: without its content it came over the link.
pub(crate) type Incoming = (AlertDigest, Option<Alert>);

/// What of some alerts is news.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Alerts that are not known, and those that are and say nothing new.
    pub(crate) others: Vec<Incoming>,
    /// Alerts that are known and say more now: all of what is known of them.
    pub(crate) grown: Vec<Incoming>,
}

impl Cell {
    /// Tells alerts that grew from the others; `digest` is the tenant's reduction of an alert.
    pub(crate) async fn news(
        &self,
        tenant: TenantId,
        alerts: Vec<Incoming>,
        digest: impl Fn(&Alert) -> Result<AlertDigest, Error>,
    ) -> Result<News, Error> {
        let mut news = News::default();
        let alerts = folded(alerts, &digest)?;
        let may_grow = |(alert, _): &&Incoming| alert.rule.kind == RuleKind::Vendor;
        let ids: Vec<AlertId> = alerts.iter().filter(may_grow).map(|(a, _)| a.id).collect();
        let reads = self.detect_reads(tenant)?;
        let known = match ids.as_slice() {
            [] => Vec::new(),
            ids => self.store().known_alerts(&reads, ids).await?,
        };
        let known: BTreeSet<AlertId> = known.into_iter().collect();
        for incoming in alerts {
            if !known.contains(&incoming.0.id) {
                news.others.push(incoming);
                continue;
            }
            let former = match self.store().alert(&reads, incoming.0.id).await {
                // Known by its id, and damaged: it is said, and left as it is.
                Err(store::Error::RowDamaged { .. }) => {
                    news.others.push(incoming);
                    continue;
                }
                former => former?.ok_or(Error::Internal)?,
            };
            let stored: StoredAlert =
                serde_json::from_slice(&former.body).map_err(|_| Error::Internal)?;
            let grown = match (stored, &incoming) {
                (StoredAlert::Whole(former), (_, Some(new))) => grown(&former, new)
                    .map(|alert| Ok::<_, Error>((digest(&alert)?, Some(alert))))
                    .transpose()?,
                (StoredAlert::Digest(former), (new, None)) => {
                    grown_digest(&former, new).map(|digest| (digest, None))
                }
                // Content never takes the place of a reference, nor the other way round.
                _ => None,
            };
            match grown {
                Some(grown) => news.grown.push(grown),
                None => news.others.push(incoming),
            }
        }
        Ok(news)
    }
}

/// Several states of one alert as one, in the order in which each alert came first.
fn folded(
    alerts: Vec<Incoming>,
    digest: impl Fn(&Alert) -> Result<AlertDigest, Error>,
) -> Result<Vec<Incoming>, Error> {
    let mut at: BTreeMap<AlertId, usize> = BTreeMap::new();
    let mut out: Vec<Incoming> = Vec::with_capacity(alerts.len());
    for incoming in alerts {
        let Some(held) = at.get(&incoming.0.id).and_then(|n| out.get_mut(*n)) else {
            at.insert(incoming.0.id, out.len());
            out.push(incoming);
            continue;
        };
        let more = match (&held.1, &incoming.1) {
            (Some(former), Some(new)) => grown(former, new)
                .map(|alert| Ok::<_, Error>((digest(&alert)?, Some(alert))))
                .transpose()?,
            (None, None) => grown_digest(&held.0, &incoming.0).map(|d| (d, None)),
            _ => None,
        };
        if let Some(more) = more {
            *held = more;
        }
    }
    Ok(out)
}

/// `former` with what is new in `new`; nothing if that is nothing.
fn grown(former: &Alert, new: &Alert) -> Option<Alert> {
    let records = more_records(&former.records, &new.records);
    let keys: BTreeSet<&EntityKey> = former.entities.iter().flat_map(|e| &e.keys).collect();
    let names: BTreeSet<(_, &str)> = former
        .entities
        .iter()
        .map(|e| (e.kind, e.name.as_str()))
        .collect();
    let says_more = |e: &&Entity| {
        e.keys.iter().any(|k| !keys.contains(k))
            || (e.keys.is_empty() && !names.contains(&(e.kind, e.name.as_str())))
    };
    let is_more = new.entities.iter().any(|e| says_more(&e));
    if records.is_none() && !is_more {
        return None;
    }
    // The new state has what the former had, but for what the vendor's half that waits was too old for.
    let mut entities = new.entities.clone();
    let held: BTreeSet<&EntityKey> = new.entities.iter().flat_map(|e| &e.keys).collect();
    let lost = |e: &&Entity| !e.keys.is_empty() && e.keys.iter().all(|k| !held.contains(k));
    entities.extend(former.entities.iter().filter(lost).cloned());
    entities.truncate(limits::ALERT_ENTITIES_MAX);
    let mut alert = Alert {
        created_at: former.created_at,
        first_at: former.first_at.min(new.first_at),
        last_at: former.last_at.max(new.last_at),
        records: records.unwrap_or_else(|| former.records.clone()),
        entities,
        ..new.clone()
    };
    // Both fitted; together they may not.
    detect::fit(&mut alert);
    Some(alert)
}

fn grown_digest(former: &AlertDigest, new: &AlertDigest) -> Option<AlertDigest> {
    let records = more_records(&former.records, &new.records);
    let keys: BTreeSet<&KeyToken> = former.entities.iter().flat_map(|e| &e.keys).collect();
    let is_more = new.entities.iter().flat_map(|e| &e.keys);
    let is_more = is_more.into_iter().any(|k| !keys.contains(k));
    if records.is_none() && !is_more {
        return None;
    }
    let mut entities = new.entities.clone();
    let held: BTreeSet<&KeyToken> = new.entities.iter().flat_map(|e| &e.keys).collect();
    let lost = |e: &&EntityRef| !e.keys.is_empty() && e.keys.iter().all(|k| !held.contains(k));
    entities.extend(former.entities.iter().filter(lost).cloned());
    entities.truncate(limits::ALERT_ENTITIES_MAX);
    Some(AlertDigest {
        created_at: former.created_at,
        first_at: former.first_at.min(new.first_at),
        last_at: former.last_at.max(new.last_at),
        records: records.unwrap_or_else(|| former.records.clone()),
        entities,
        ..new.clone()
    })
}

/// All records of both, if the later ones have any that is new and has room.
fn more_records(former: &[RecordRef], new: &[RecordRef]) -> Option<Vec<RecordRef>> {
    let mut all: Vec<RecordRef> = former.to_vec();
    let known: BTreeSet<&RecordRef> = former.iter().collect();
    let room = limits::ALERT_RECORDS_MAX.saturating_sub(former.len());
    let more = new.iter().filter(|r| !known.contains(r)).take(room);
    all.extend(more.cloned());
    let is_more = all.len() > former.len();
    all.sort();
    is_more.then_some(all)
}

/// The record that takes the place of an alert's former one.
pub(crate) fn grown_record((digest, whole): &Incoming) -> Result<store::AlertRecord, Error> {
    match whole {
        Some(alert) => record(alert),
        None => super::home::linked(digest),
    }
}
