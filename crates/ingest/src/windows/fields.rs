//! `_source_fields` of an event: one flat JSON object in the source's own names.
//!
//! Rules on the stream see this object, so it holds what the event log holds: the data under their
//! names and the system fields under the names that rules use (`Channel`, `EventID`,
//! `Provider_Name`, `Computer`, `EventRecordID`, `TimeCreated` …). Where both have a name, the data
//! keep it (rules on cleared logs mean the data's `Channel`) and the system field is
//! `System.<name>`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::json::{self, Value};

/// Writes the object.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    out: String,
    names: BTreeSet<Cow<'n, str>>,
}

impl<'n> Fields<'n> {
    pub(super) fn new() -> Self {
        Self {
            out: String::from("{"),
            names: BTreeSet::new(),
        }
    }

    /// A field of the data. The first of several of one name stays, as for rules.
    pub(super) fn data(&mut self, name: impl Into<Cow<'n, str>>, value: Value<'_>) {
        let name = name.into();
        if !self.names.contains(&name) {
            self.write(&name, value);
            self.names.insert(name);
        }
    }

    /// A system field.
    pub(super) fn system(&mut self, name: impl Into<Cow<'n, str>>, value: Value<'_>) {
        let name = name.into();
        if self.names.contains(&name) {
            self.data(format!("System.{name}"), value);
        } else {
            self.data(name, value);
        }
    }

    /// A name of ours for what the source says under another; nothing if it has the name itself.
    pub(super) fn alias(&mut self, name: &'static str, value: Option<Value<'_>>) {
        if let Some(value) = value {
            self.data(name, value);
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }

    fn write(&mut self, name: &str, value: Value<'_>) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        json::write_string(name, &mut self.out);
        self.out.push(':');
        if value.is_inexact() {
            value.write_as_sent(&mut self.out);
        } else {
            value.write_compact(&mut self.out);
        }
    }
}
