//! What a row is about: devices, accounts, processes, files, addresses, links, messages.
//!
//! Entities are read from hunting columns, which Windows events have too, whatever names a rule went
//! by. Each carries the keys by which the same thing is recognised elsewhere, in canonical form
//! ([`canon`], `docs/reference/entities.md`): one account with sign-in name, SID and object id is one
//! entity with three keys.
//!
//! Promises
//! - Keys are canonical and sorted; an entity that must not join alerts (`SYSTEM`, loopback, a
//!   program of the operating system) is named but has no key.
//! - Two entities of a row that share a key are one.
//! - At most [`limits::ALERT_ENTITIES_MAX`], values at most [`limits::ALERT_VALUE_BYTES_MAX`] bytes.

pub(crate) mod canon;
mod row;

use model::{Entity, EntityKey, EntityKind, EntityRole, TableName, limits};
use rows::RecordBatch;

use crate::cells::Rows;
use crate::rule::cut;

/// What row `row` of a batch of `table` is about, in order of importance.
pub fn extract(table: &TableName, batch: &RecordBatch, row: usize) -> Vec<Entity> {
    of_row(&Rows::new(table, batch), row)
}

pub(crate) fn of_row(rows: &Rows<'_>, row: usize) -> Vec<Entity> {
    let mut found = Found::default();
    row::collect(rows, row, &mut found);
    found.finish()
}

/// Entities being collected.
#[derive(Debug, Default)]
pub(crate) struct Found {
    all: Vec<Entity>,
}

/// An entity in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    entity: Entity,
}

impl Draft {
    pub(crate) fn new(kind: EntityKind, role: EntityRole, name: &str) -> Self {
        Self {
            entity: Entity {
                kind,
                role,
                name: cut(name.trim(), limits::ALERT_VALUE_BYTES_MAX),
                keys: Vec::new(),
                details: Vec::new(),
            },
        }
    }

    pub(crate) fn key(mut self, key: Option<EntityKey>) -> Self {
        self.entity.keys.extend(key);
        self
    }

    pub(crate) fn detail(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            let value = cut(value, limits::ALERT_VALUE_BYTES_MAX);
            self.entity.details.push((name.to_owned(), value));
        }
        self
    }

    /// Takes away what it could be joined by.
    pub(crate) fn without_keys(mut self) -> Self {
        self.entity.keys.clear();
        self
    }
}

impl Found {
    /// Adds an entity, or what is new about one that is there.
    pub(crate) fn add(&mut self, draft: Draft) {
        let mut entity = draft.entity;
        if entity.name.is_empty() && entity.keys.is_empty() {
            return;
        }
        if entity.name.is_empty() {
            entity.name = entity
                .keys
                .first()
                .map(|k| k.value.clone())
                .unwrap_or_default();
        }
        entity.keys.sort();
        entity.keys.dedup();
        if let Some(known) = self.all.iter_mut().find(|e| is_same(e, &entity)) {
            merge(known, entity);
        } else if self.all.len() < limits::ALERT_ENTITIES_MAX {
            self.all.push(entity);
        }
    }

    pub(crate) fn extend(&mut self, entities: impl IntoIterator<Item = Entity>) {
        for entity in entities {
            self.add(Draft { entity });
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Entity> {
        for entity in &mut self.all {
            entity.details.sort();
            entity
                .details
                .dedup_by(|(later, _), (first, _)| later == first);
        }
        self.all
    }
}

fn is_same(a: &Entity, b: &Entity) -> bool {
    let nameless = a.keys.is_empty() && b.keys.is_empty();
    a.kind == b.kind
        && ((nameless && a.name.eq_ignore_ascii_case(&b.name))
            || a.keys
                .iter()
                .any(|k| b.keys.contains(k) && k.kind != model::KeyKind::Domain)
            || (!nameless && a.keys == b.keys))
}

fn merge(known: &mut Entity, new: Entity) {
    known.role = known.role.min(new.role);
    known.keys.extend(new.keys);
    known.keys.sort();
    known.keys.dedup();
    for (name, value) in new.details {
        if !known.details.iter().any(|(n, _)| *n == name) {
            known.details.push((name, value));
        }
    }
}
