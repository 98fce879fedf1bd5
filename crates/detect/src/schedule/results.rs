//! Rows of a run to alerts: entities, grouping, what was reported before.
//!
//! Rows that name the same entities are one alert, whose id comes from rule, version, window end and
//! entities. Look-backs overlap, so a later run finds the same rows again: an alert is only made of
//! rows that are newer than those its entities were last reported with.

use std::collections::BTreeMap;

use model::{Alert, AlertId, Entity, EntityKind, Ticks, limits};
use serde_json::Value;

use super::document::{EntityMapping, ScheduledRule};
use super::windows::{Reported, ScheduleState, Window};
use crate::alert::{Making, SOURCE_SCHEDULED, labelled};
use crate::entities::{Draft, Found, canon};
use crate::fit::bounded;

/// What a query gave.
#[derive(Debug, Clone, Copy)]
pub struct ResultRows<'a> {
    /// Names of the columns.
    pub columns: &'a [String],
    /// One value a column.
    pub rows: &'a [Vec<Value>],
}

/// What a run gave.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The alerts, in the order in which their entities appear.
    pub alerts: Vec<Alert>,
    /// Alerts beyond the run's limit.
    pub over: u64,
    /// Rows that named no entity.
    pub nameless: u64,
    /// Rows that were reported by an earlier run.
    pub known: u64,
}

/// Rows with the same entities.
struct Group {
    entities: Vec<Entity>,
    first_at: Ticks,
    last_at: Ticks,
    rows: u64,
}

impl ScheduledRule {
    /// The columns that the rule needs and the result does not have.
    pub fn missing_columns<'r>(&'r self, columns: &[String]) -> Vec<&'r str> {
        let has = |name: &str| columns.iter().any(|c| c == name);
        let required = self.required_columns.iter().map(String::as_str);
        required.filter(|name| !has(name)).collect()
    }

    /// The alerts of a run over `window`, and notes that it is done. The same state, window and rows
    /// give the same alerts.
    pub fn finish(
        &self,
        state: &mut ScheduleState,
        window: Window,
        result: &ResultRows<'_>,
        making: &Making<'_>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let (groups, order) = self.groups(state, window, result, making, &mut outcome);
        for tuple in order {
            let Some(group) = groups.get(&tuple) else {
                continue;
            };
            if outcome.alerts.len() >= limits::SCHEDULE_ALERTS_PER_RUN_MAX {
                outcome.over += 1;
                continue;
            }
            if self.deduplicate {
                let new = Reported {
                    newest: group.last_at,
                    found: window.to,
                };
                let known = state.reported.entry(tuple.clone()).or_insert(new);
                known.newest = group.last_at.max(known.newest);
            }
            outcome
                .alerts
                .push(self.alert(window, &tuple, group, making));
        }
        state.forget(self, window);
        state.finish(self, window);
        outcome
    }

    fn groups(
        &self,
        state: &mut ScheduleState,
        window: Window,
        result: &ResultRows<'_>,
        making: &Making<'_>,
        outcome: &mut Outcome,
    ) -> (BTreeMap<String, Group>, Vec<String>) {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut order = Vec::new();
        for (number, row) in result.rows.iter().enumerate() {
            let cell = |name: &str| {
                let at = result.columns.iter().position(|c| c == name)?;
                row.get(at)
            };
            let entities = self.entities_of(&cell);
            if entities.is_empty() {
                outcome.nameless += 1;
                continue;
            }
            let at = cell(&self.time_column)
                .and_then(Value::as_str)
                .and_then(Ticks::parse)
                .unwrap_or(window.to);
            let mut tuple = tuple(&entities);
            tuple = bounded(&tuple, limits::SCHEDULE_TUPLE_BYTES_MAX, making.hash);
            if !self.deduplicate {
                tuple = format!("{tuple}#{number}");
            } else if let Some(reported) = state.reported.get_mut(&tuple) {
                reported.found = reported.found.max(window.to);
                if at <= reported.newest {
                    outcome.known += 1;
                    continue;
                }
            }
            let group = groups.entry(tuple.clone()).or_insert_with(|| {
                order.push(tuple);
                Group {
                    entities,
                    first_at: at,
                    last_at: at,
                    rows: 0,
                }
            });
            group.first_at = group.first_at.min(at);
            group.last_at = group.last_at.max(at);
            group.rows += 1;
        }
        (groups, order)
    }

    fn entities_of<'v>(&self, cell: &impl Fn(&str) -> Option<&'v Value>) -> Vec<Entity> {
        let mut found = Found::default();
        for mapping in &self.entities {
            let text = |name: &str| {
                let column = mapping.columns.get(name)?;
                match cell(column)? {
                    Value::String(text) => Some(text.clone()),
                    Value::Null => None,
                    other => Some(other.to_string()),
                }
            };
            if let Some(draft) = entity(mapping, &|name| text(name).unwrap_or_default()) {
                found.add(draft);
            }
        }
        found.finish()
    }

    fn alert(&self, window: Window, tuple: &str, group: &Group, making: &Making<'_>) -> Alert {
        let version = self.reference.version.to_be_bytes();
        let end = window.to.0.to_be_bytes();
        let id = self.reference.id.as_str().as_bytes();
        let parts: [&[u8]; 4] = [id, &version, &end, tuple.as_bytes()];
        Alert {
            id: AlertId::from_bytes((making.hash)(&labelled("scheduled", &parts))),
            vendor_id: None,
            rule: self.reference.clone(),
            title: self.title.clone(),
            description: format!("{}\n\nrows: {}", self.description, group.rows),
            severity: self.severity,
            category: self.category.clone(),
            techniques: self.techniques.clone(),
            service: self.service.clone(),
            origin: making.region.clone(),
            detection_source: SOURCE_SCHEDULED.to_owned(),
            created_at: making.now,
            first_at: group.first_at,
            last_at: group.last_at,
            entities: group.entities.clone(),
            records: Vec::new(),
        }
    }
}

impl ScheduleState {
    /// Forgets the half of the entities that was not found for longest.
    pub fn shrink(&mut self) {
        let mut times: Vec<Ticks> = self.reported.values().map(|r| r.found).collect();
        times.sort_unstable();
        if let Some(middle) = times.get(times.len() / 2).copied() {
            self.reported.retain(|_, r| r.found > middle);
        }
    }

    /// Forgets entities whose rows no later run can find again, and those beyond the limit that were
    /// not found for longest.
    fn forget(&mut self, rule: &ScheduledRule, window: Window) {
        let back = rule.look_back.0.saturating_mul(2);
        let oldest = Ticks(window.to.0.saturating_sub(back));
        self.reported.retain(|_, r| r.found >= oldest);
        let over = self
            .reported
            .len()
            .saturating_sub(limits::SCHEDULE_REMEMBERED_MAX);
        if over == 0 {
            return;
        }
        let mut by_age: Vec<(Ticks, Ticks, String)> = (self.reported.iter())
            .map(|(tuple, r)| (r.found, r.newest, tuple.clone()))
            .collect();
        by_age.sort();
        for (.., tuple) in by_age.into_iter().take(over) {
            self.reported.remove(&tuple);
        }
    }
}

/// What tells a row's entities from another's: their keys, or names where they have none.
fn tuple(entities: &[Entity]) -> String {
    let one = |e: &Entity| {
        let keys: Vec<String> = (e.keys.iter())
            .map(|k| format!("{}={}", k.kind, k.value))
            .collect();
        let known = if keys.is_empty() {
            e.name.clone()
        } else {
            keys.join("&")
        };
        format!("{}:{known}", e.kind)
    };
    let mut all: Vec<String> = entities.iter().map(one).collect();
    all.sort();
    all.join("|")
}

fn entity(mapping: &EntityMapping, text: &dyn Fn(&str) -> String) -> Option<Draft> {
    let first = |names: &[&str]| {
        let mut values = names.iter().map(|n| text(n));
        values.find(|v| !v.is_empty()).unwrap_or_default()
    };
    let name = match mapping.kind {
        EntityKind::Device => first(&["DeviceName", "DeviceId"]),
        EntityKind::Account | EntityKind::Mailbox => {
            first(&["AccountUpn", "AccountName", "AccountObjectId", "AccountSid"])
        }
        EntityKind::Process | EntityKind::File => first(&["FileName", "SHA256", "SHA1"]),
        EntityKind::Ip => first(&["RemoteIP"]),
        EntityKind::Url => first(&["RemoteUrl"]),
        EntityKind::MailMessage => first(&["EmailSubject", "NetworkMessageId"]),
        EntityKind::OAuthApp | EntityKind::CloudApp => {
            first(&["Application", "OAuthApplicationId"])
        }
        EntityKind::CloudResource => first(&["ResourceID"]),
        EntityKind::Registry => first(&["RegistryKey"]),
        EntityKind::Session => first(&["SessionId"]),
    };
    if name.is_empty() {
        return None;
    }
    let mut draft = Draft::new(mapping.kind, mapping.role, &name)
        .key(canon::device_id(&text("DeviceId")))
        .key(canon::device_name(&text("DeviceName")))
        .key(canon::address(&text("AccountUpn")))
        .key(canon::sid(&text("AccountSid")))
        .key(canon::object_id(&text("AccountObjectId")))
        .key(canon::account_name(
            &text("AccountDomain"),
            &text("AccountName"),
        ))
        .key(canon::sha256(&text("SHA256")))
        .key(canon::sha1(&text("SHA1")))
        .key(canon::ip(&text("RemoteIP")).and_then(canon::ip_key))
        .key(canon::url(&text("RemoteUrl")))
        .key(canon::domain(&text("RemoteUrl")))
        .key(canon::message_id(&text("NetworkMessageId")))
        .key(canon::app_id(&text("OAuthApplicationId")))
        .key(canon::resource(&text("ResourceID")))
        .key(canon::session(&text("SessionId")));
    for name in super::document::KEYS {
        draft = draft.detail(name, &text(name));
    }
    Some(draft)
}
