//! From an event to rows: the small language in which the mapping is written, and its interpreter.
//!
//! A [`Group`] says for some ids of a log which table they belong to, what happened
//! (`ActionType`), and where each value goes. What that cannot say is a function of `special`.
//! What has no column goes to `AdditionalFields`, and in any case stays in `_source_fields`.

use std::borrow::Cow;

use super::event::{Event, Log};
use super::{special, table};
use crate::json::{self, Escapes, Kind, Value};
use crate::sink::Cell;

/// Where a value goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// A column, as it is.
    Col(&'static str),
    /// A column, the last part of a path.
    Base(&'static str),
    /// A column, a number in decimal or `0x` hexadecimal.
    Num(&'static str),
    /// A column, what stands before the `\` of an account.
    Domain(&'static str),
    /// A column, what stands after the `\` of an account.
    Account(&'static str),
    /// A column, an address without the prefix of mapped IPv4.
    Address(&'static str),
    /// The columns `MD5`, `SHA1`, `SHA256`; any other hash to `AdditionalFields`.
    Hashes,
    /// A member of `AdditionalFields`.
    Add(&'static str),
    /// A member of `AdditionalFields`, a number in decimal or hexadecimal.
    AddNum(&'static str),
}

/// The first of these values that the event has, and where it goes.
pub(super) type Field = (&'static [&'static str], &'static [To]);

/// What the ids of a log become.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) log: Log,
    pub(super) ids: &'static [u32],
    pub(super) table: &'static str,
    pub(super) action: &'static str,
    pub(super) fields: &'static [&'static [Field]],
    /// What the list cannot say; may change table and action.
    pub(super) special: Option<fn(&Event<'_>, &mut Row<'_>)>,
}

/// One row in the making.
#[derive(Debug)]
pub(super) struct Row<'e> {
    pub(super) table: &'static str,
    pub(super) action: Cow<'e, str>,
    /// Whether a mapping knows the event.
    pub(super) mapped: bool,
    cells: Vec<(&'static str, Cell<'e>)>,
    additional: String,
}

impl<'e> Row<'e> {
    fn new(table: &'static str, action: Cow<'e, str>, mapped: bool) -> Self {
        Self {
            table,
            action,
            mapped,
            cells: Vec::with_capacity(32),
            additional: String::from("{"),
        }
    }

    /// Sets a column unless it is set.
    pub(super) fn text(&mut self, column: &'static str, text: impl Into<Cow<'e, str>>) {
        let text = text.into();
        if !text.is_empty() {
            self.cells.push((column, Cell::Text(text)));
        }
    }

    /// Sets a column to a text that lives only while the event is looked at.
    pub(super) fn owned(&mut self, column: &'static str, text: &str) {
        self.text(column, text.to_owned());
    }

    /// Sets a number column unless it is set.
    pub(super) fn number(&mut self, column: &'static str, number: i64) {
        self.cells.push((column, Cell::Long(number)));
    }

    /// Forgets what was set for these columns.
    pub(super) fn clear(&mut self, columns: &[&str]) {
        self.cells.retain(|(name, _)| !columns.contains(name));
    }

    /// Adds a member of `AdditionalFields`.
    pub(super) fn add(&mut self, name: &str, value: Value<'_>) {
        if self.additional.len() > 1 {
            self.additional.push(',');
        }
        json::write_string(name, &mut self.additional);
        self.additional.push(':');
        value.write_compact(&mut self.additional);
    }

    /// Adds a text to `AdditionalFields`.
    pub(super) fn add_text(&mut self, name: &str, text: &str) {
        let mut quoted = String::with_capacity(text.len() + 2);
        json::write_string(text, &mut quoted);
        let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        let is_plain = !inner.contains('\\');
        self.add(
            name,
            Value {
                kind: Kind::String,
                text: inner,
                escapes: if is_plain {
                    Escapes::None
                } else {
                    Escapes::Any
                },
            },
        );
    }

    /// Adds a number to `AdditionalFields`.
    pub(super) fn add_number(&mut self, name: &str, number: i64) {
        self.add(
            name,
            Value {
                kind: Kind::Number,
                text: &number.to_string(),
                escapes: Escapes::None,
            },
        );
    }

    fn put(&mut self, to: To, value: Value<'e>) {
        match to {
            To::Col(column) => self.cells.push((column, Cell::Value(value))),
            To::Base(column) => self.text(column, base_name(value.text())),
            To::Num(column) => match number(&value.text()) {
                Some(n) => self.number(column, n),
                // The conversion of the column decides.
                None => self.cells.push((column, Cell::Value(value))),
            },
            To::Domain(column) => {
                if let (Some(domain), _) = account(&value.text()) {
                    self.owned(column, domain);
                }
            }
            To::Account(column) => {
                let text = value.text();
                let (_, name) = account(&text);
                self.owned(column, name);
            }
            To::Address(column) => {
                let text = value.text();
                self.owned(column, text.strip_prefix("::ffff:").unwrap_or(&text));
            }
            To::Hashes => self.hashes(&value.text()),
            To::Add(name) => self.add(name, value),
            To::AddNum(name) => match number(&value.text()) {
                Some(n) => self.add_number(name, n),
                None => self.add(name, value),
            },
        }
    }

    /// `MD5=…,SHA256=…,IMPHASH=…`, or one bare hash told by its length.
    fn hashes(&mut self, text: &str) {
        for part in text.split(',') {
            let (name, hash) = match part.split_once('=') {
                Some((name, hash)) => (name.trim(), hash.trim()),
                None => match part.trim().len() {
                    32 => ("MD5", part.trim()),
                    40 => ("SHA1", part.trim()),
                    64 => ("SHA256", part.trim()),
                    _ => continue,
                },
            };
            // The export writes hashes in lower case.
            let hash = hash.to_ascii_lowercase();
            match name.to_ascii_uppercase().as_str() {
                "MD5" => self.text("MD5", hash),
                "SHA1" => self.text("SHA1", hash),
                "SHA256" => self.text("SHA256", hash),
                other => self.add_text(other, &hash),
            }
        }
    }

    /// Table and cells, `ActionType` and `AdditionalFields` among them.
    pub(super) fn finish(mut self) -> (&'static str, Vec<(&'static str, Cell<'e>)>) {
        self.cells.push(("ActionType", Cell::Text(self.action)));
        if self.additional.len() > 1 {
            self.additional.push('}');
            self.cells
                .push(("AdditionalFields", Cell::Json(self.additional)));
        }
        (self.table, self.cells)
    }
}

/// The rows of an event: one, or two for a logon on a domain controller.
pub(super) fn rows<'e>(event: &'e Event<'e>, computer: &str, on_controller: bool) -> Vec<Row<'e>> {
    let group = table::GROUPS
        .iter()
        .find(|g| g.log == event.log && g.ids.contains(&event.id));
    let Some(group) = group else {
        let mut row = generic(event);
        stamp(event, computer, &mut row);
        return vec![row];
    };
    let mut rows = vec![row(group, event)];
    let is_logon = event.log == Log::Security && matches!(event.id, 4624 | 4625);
    if on_controller && is_logon {
        rows.push(row(&table::CONTROLLER_LOGON, event));
    }
    for row in &mut rows {
        if on_controller {
            special::on_controller(event, row);
        }
        stamp(event, computer, row);
    }
    rows
}

fn row<'e>(group: &Group, event: &'e Event<'e>) -> Row<'e> {
    let mut row = Row::new(group.table, Cow::Borrowed(group.action), true);
    for (names, targets) in group.fields.iter().copied().flatten() {
        if let Some(value) = names.iter().find_map(|name| event.get(name)) {
            for to in *targets {
                row.put(*to, value);
            }
        }
    }
    if let Some(special) = group.special {
        special(event, &mut row);
    }
    row
}

/// An event that no group knows: its data as they are, and who did it where the log says so.
fn generic<'e>(event: &'e Event<'e>) -> Row<'e> {
    let action = format!("WindowsEvent:{}/{}", event.channel, event.id);
    let mut row = Row::new("DeviceEvents", Cow::Owned(action), false);
    for ((name, value), own) in event.data.iter().zip(&event.own) {
        if *own {
            row.add(name, *value);
        }
    }
    for (names, targets) in table::GENERIC {
        if let Some(value) = names.iter().find_map(|name| event.get(name)) {
            for to in *targets {
                row.put(*to, value);
            }
        }
    }
    row
}

/// What every row has: when, where, and the event's number.
fn stamp<'e>(event: &'e Event<'e>, computer: &str, row: &mut Row<'e>) {
    if let Some(time) = event.time {
        row.cells.push(("Timestamp", Cell::Time(time)));
    }
    if let Some(record) = event.record.and_then(|n| i64::try_from(n).ok()) {
        row.number("ReportId", record);
    }
    if row.table.starts_with("Identity") {
        row.text("DestinationDeviceName", &*event.computer);
    } else {
        // The name itself: the same computer is the same device whoever ships its events.
        row.owned("DeviceId", computer);
        row.text("DeviceName", &*event.computer);
    }
}

/// The last part of a path with either kind of slash.
pub(super) fn base_name(path: Cow<'_, str>) -> Cow<'_, str> {
    let at = path.rfind(['\\', '/']).map_or(0, |at| at + 1);
    match path {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(at..).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(at..).unwrap_or_default().to_owned()),
    }
}

/// `DOMAIN\name` as its two parts; a bare name has no domain.
pub(super) fn account(text: &str) -> (Option<&str>, &str) {
    match text.split_once('\\') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, text),
    }
}

/// A number in decimal or `0x` hexadecimal. The upper half of 64 bits is read as a bit pattern.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(u64::cast_signed),
        None => text.parse().ok(),
    }
}

/// Every id of every log with its table and the columns that the lists name, for a test that they
/// exist: a misspelt column would be left out without a word.
#[cfg(test)]
pub(crate) fn targets() -> Vec<(String, &'static str, Vec<&'static str>)> {
    let mut out = Vec::new();
    for group in table::GROUPS.iter().chain([&table::CONTROLLER_LOGON]) {
        let columns = group
            .fields
            .iter()
            .copied()
            .flatten()
            .flat_map(|(_, to)| *to);
        let columns: Vec<&str> = columns
            .filter_map(|to| match to {
                To::Col(c)
                | To::Base(c)
                | To::Num(c)
                | To::Domain(c)
                | To::Account(c)
                | To::Address(c) => Some(*c),
                To::Hashes => Some("SHA256"),
                To::Add(_) | To::AddNum(_) => None,
            })
            .collect();
        for id in group.ids {
            out.push((
                format!("{:?}/{id}", group.log),
                group.table,
                columns.clone(),
            ));
        }
    }
    out
}
