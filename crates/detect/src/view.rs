//! One row as rules see it: a borrowed view over a batch that implements the library's `Event`.
//!
//! Three ways of naming a row's values: its source's own fields (`_source_fields`, parsed once per
//! row), Sigma's names for hunting columns ([`crate::taxonomy`]), or the columns themselves with
//! dots into JSON columns.

use std::borrow::Cow;
use std::cell::OnceCell;

use rsigma_eval::{Event, EventValue};
use serde_json::Value as Json;

use crate::cells::{Cell, Rows};
use crate::source_fields::SourceFields;
use crate::taxonomy::{Names, Origin, Renames};

/// How a view names values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Naming {
    /// The source's own fields, and the few names that rules of a category use for others.
    Own(Renames),
    /// Sigma's names for hunting columns.
    Sigma(Names),
    /// The table's columns, and other names for a few of them.
    Columns(Renames),
}

/// What a row's JSON says, parsed when first asked for and shared by the row's views.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    rows: &'a Rows<'a>,
    row: usize,
    own: OnceCell<Option<SourceFields<'a>>>,
    json: Vec<OnceCell<Option<Json>>>,
}

impl<'a> Parsed<'a> {
    pub(crate) fn new(rows: &'a Rows<'a>, row: usize) -> Self {
        Self {
            rows,
            row,
            own: OnceCell::new(),
            json: (0..rows.json_columns).map(|_| OnceCell::new()).collect(),
        }
    }

    /// The source's own fields, if the row has any.
    pub(crate) fn own(&self) -> Option<&SourceFields<'a>> {
        let parse = || {
            let text = self.rows.text(self.row, rows::hidden::SOURCE_FIELDS);
            (!text.is_empty()).then(|| SourceFields::parse(text))?
        };
        self.own.get_or_init(parse).as_ref()
    }

    /// The JSON of a column. What is not JSON is a text.
    fn column(&self, name: &str) -> Option<&Json> {
        let slot = self.json.get(self.rows.json_slot(name)?)?;
        let parse = || {
            let text = self.rows.text(self.row, name);
            let tree = || serde_json::from_str(text).unwrap_or_else(|_| Json::from(text));
            (!text.is_empty()).then(tree)
        };
        slot.get_or_init(parse).as_ref()
    }

    /// A member of a JSON column. Exports often keep JSON as text inside JSON; that is not opened.
    pub(crate) fn member(&self, column: &str, path: &str) -> Option<&Json> {
        let mut at = self.column(column)?;
        if let Some(whole) = at.get(path) {
            return Some(whole);
        }
        for step in path.split('.') {
            at = match at {
                Json::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => at.get(step)?,
            };
        }
        (!at.is_null()).then_some(at)
    }

    /// A text member of a JSON column; empty if there is none.
    pub(crate) fn member_text(&self, column: &str, path: &str) -> Cow<'_, str> {
        match self.member(column, path) {
            Some(Json::String(text)) => Cow::Borrowed(text),
            Some(Json::Number(n)) => Cow::Owned(n.to_string()),
            Some(Json::Bool(b)) => Cow::Owned(b.to_string()),
            _ => Cow::Borrowed(""),
        }
    }
}

/// A row under one way of naming.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'v, 'a> {
    pub(crate) parsed: &'v Parsed<'a>,
    pub(crate) naming: Naming,
}

impl View<'_, '_> {
    /// The value of a field as text, as correlations group by it; empty values are absent.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        let value = self.get_field(field)?;
        let text = value.as_str()?.into_owned();
        (!text.is_empty()).then_some(text)
    }

    fn column(&self, name: &str) -> Option<EventValue<'_>> {
        let Parsed { rows, row, .. } = self.parsed;
        if let Some(cell) = rows.cell(*row, name) {
            return match cell {
                // An object as a whole is its text, so that a rule can look for words in it.
                Cell::Json(text) => self.parsed.column(name).map(|tree| match tree {
                    Json::Object(_) => EventValue::Str(Cow::Borrowed(text)),
                    other => EventValue::from(other),
                }),
                other => Some(event_value(other)),
            };
        }
        // Inside a JSON column, or a raw column whose own name has dots.
        let (column, path) = name.split_once('.')?;
        self.parsed.member(column, path).map(EventValue::from)
    }

    fn renamed(&self, renames: Renames, name: &str) -> Option<EventValue<'_>> {
        let (_, column) = renames.iter().find(|(n, _)| *n == name)?;
        let value = self.column(column)?;
        Some(match value.as_str().as_deref() {
            // What the unified audit log calls success.
            Some("Succeeded" | "Success" | "True" | "PartiallySucceeded") if name == "status" => {
                EventValue::Str(Cow::Borrowed("success"))
            }
            _ => value,
        })
    }

    fn sigma(&self, names: Names, name: &str) -> Option<EventValue<'_>> {
        let mut all = names.iter().filter(|(n, _)| *n == name);
        all.find_map(|(_, from)| self.origin(*from))
    }

    fn origin(&self, from: Origin) -> Option<EventValue<'_>> {
        let Parsed { rows, row, .. } = self.parsed;
        let text = |name| rows.text(*row, name);
        let owned = |t: String| (!t.is_empty()).then_some(EventValue::Str(Cow::Owned(t)));
        match from {
            Origin::Col(name) => self.column(name),
            Origin::Lower(name) => owned(text(name).to_lowercase()),
            Origin::Path(folder, file) => owned(path(text(folder), text(file))),
            Origin::Account(domain, name) => owned(account(text(domain), text(name))),
            Origin::Hashes(md5, sha1, sha256) => owned(hashes(text(md5), text(sha1), text(sha256))),
            Origin::Registry(key, value) => owned(registry(text(key), text(value))),
            Origin::RegistryData(kind, data) => owned(registry_data(text(kind), text(data))),
            Origin::Means(name, words) => meaning(words, text(name)),
            Origin::Json(column, path) => self.parsed.member(column, path).map(EventValue::from),
            Origin::JsonHex(column, path) => {
                let text = self.parsed.member_text(column, path);
                match text.parse::<u64>() {
                    Ok(number) => owned(format!("{number:#x}")),
                    Err(_) => owned(text.into_owned()),
                }
            }
            Origin::JsonMeans(column, path, words) => {
                meaning(words, &self.parsed.member_text(column, path))
            }
        }
    }

    fn visit_text(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        if let Naming::Own(_) = self.naming {
            let mut own = self.parsed.own().into_iter().flat_map(SourceFields::iter);
            return own.any(|(_, value)| match value.event_value() {
                EventValue::Str(text) => visit(&text),
                EventValue::Array(_) | EventValue::Map(_) => {
                    visit(&value.event_value().to_json().to_string())
                }
                _ => false,
            });
        }
        let Parsed { rows, row, .. } = self.parsed;
        rows.names.iter().any(|name| match rows.cell(*row, name) {
            Some(Cell::Text(text) | Cell::Json(text)) => visit(text),
            _ => false,
        })
    }
}

impl Event for View<'_, '_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        match self.naming {
            Naming::Own(renames) => {
                let own = self.parsed.own()?;
                let renamed = || {
                    let (_, name) = renames.iter().find(|(n, _)| *n == path)?;
                    own.get(name)
                };
                own.get(path).or_else(renamed).map(|v| v.event_value())
            }
            Naming::Sigma(names) => self.sigma(names, path),
            Naming::Columns(renames) => self.column(path).or_else(|| self.renamed(renames, path)),
        }
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        self.visit_text(&mut |text| pred(text))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = Vec::new();
        self.visit_text(&mut |text| {
            all.push(Cow::Owned(text.to_owned()));
            false
        });
        all
    }

    fn visit_string_values(&self, visit: &mut dyn FnMut(&str)) {
        self.visit_text(&mut |text| {
            visit(text);
            false
        });
    }

    fn to_json(&self) -> Json {
        let mut all = serde_json::Map::new();
        let mut add = |name: &str| {
            if let Some(value) = self.get_field(name) {
                all.insert(name.to_owned(), value.to_json());
            }
        };
        match self.naming {
            Naming::Own(_) => {
                for (name, _) in self.parsed.own().into_iter().flat_map(SourceFields::iter) {
                    add(name);
                }
            }
            Naming::Sigma(names) => names.iter().for_each(|(name, _)| add(name)),
            Naming::Columns(_) => self.parsed.rows.names.iter().for_each(|name| add(name)),
        }
        Json::Object(all)
    }

    fn top_level_keys(&self) -> Option<Vec<Cow<'_, str>>> {
        let mut keys = Vec::new();
        self.visit_top_level_keys(&mut |key| keys.push(Cow::Owned(key.to_owned())));
        Some(keys)
    }

    fn visit_top_level_keys(&self, visit: &mut dyn FnMut(&str)) -> bool {
        let mut root = |name: &str| visit(name.split('.').next().unwrap_or(name));
        match self.naming {
            Naming::Own(renames) => {
                for (name, _) in self.parsed.own().into_iter().flat_map(SourceFields::iter) {
                    root(name);
                }
                for (name, _) in renames {
                    root(name);
                }
            }
            Naming::Sigma(names) => {
                for (name, _) in names {
                    root(name);
                }
            }
            Naming::Columns(renames) => {
                let Parsed { rows, row, .. } = self.parsed;
                for name in rows.names.iter().filter(|n| rows.cell(*row, n).is_some()) {
                    root(name);
                }
                for (name, _) in renames {
                    root(name);
                }
            }
        }
        true
    }
}

fn event_value(cell: Cell<'_>) -> EventValue<'_> {
    match cell {
        Cell::Text(t) | Cell::Json(t) => EventValue::Str(Cow::Borrowed(t)),
        Cell::Long(n) => EventValue::Int(n),
        Cell::Real(n) => EventValue::Float(n),
        Cell::Bool(b) => EventValue::Bool(b),
        Cell::Time(t) => EventValue::Str(Cow::Owned(t.to_string())),
    }
}

fn meaning(
    words: &'static [(&'static str, &'static str)],
    word: &str,
) -> Option<EventValue<'static>> {
    let (_, means) = words.iter().find(|(w, _)| w.eq_ignore_ascii_case(word))?;
    Some(EventValue::Str(Cow::Borrowed(means)))
}

/// A whole path: the folder column of most rows ends with the file's name already.
pub(crate) fn path(folder: &str, file: &str) -> String {
    if file.is_empty() || folder.is_empty() {
        return format!("{folder}{file}");
    }
    let tail = folder.rsplit(['\\', '/']).next().unwrap_or(folder);
    if tail.eq_ignore_ascii_case(file) {
        return folder.to_owned();
    }
    let slash = if folder.contains('/') && !folder.contains('\\') {
        '/'
    } else {
        '\\'
    };
    format!("{}{slash}{file}", folder.trim_end_matches(['\\', '/']))
}

fn account(domain: &str, name: &str) -> String {
    match (domain, name) {
        (_, "") => String::new(),
        ("", name) => name.to_owned(),
        (domain, name) => format!("{domain}\\{name}"),
    }
}

fn hashes(md5: &str, sha1: &str, sha256: &str) -> String {
    let named = [("MD5", md5), ("SHA1", sha1), ("SHA256", sha256)];
    let filled = named.iter().filter(|(_, value)| !value.is_empty());
    let parts: Vec<String> = filled
        .map(|(name, value)| format!("{name}={}", value.to_uppercase()))
        .collect();
    parts.join(",")
}

/// `key\value` with the hive as Sysmon writes it.
fn registry(key: &str, value: &str) -> String {
    let (hive, rest) = key.split_once('\\').unwrap_or((key, ""));
    let short = match hive.to_ascii_uppercase().as_str() {
        "HKEY_LOCAL_MACHINE" => "HKLM",
        "HKEY_USERS" => "HKU",
        "HKEY_CURRENT_USER" => "HKCU",
        "HKEY_CLASSES_ROOT" => "HKCR",
        _ => hive,
    };
    let parts = [short, rest, value];
    let filled: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    filled.join("\\")
}

/// Numbers as `DWORD (0x00000001)`; text as it is.
fn registry_data(kind: &str, data: &str) -> String {
    let number = || {
        let hex = data.strip_prefix("0x").or_else(|| data.strip_prefix("0X"));
        hex.map_or_else(|| data.parse().ok(), |h| u64::from_str_radix(h, 16).ok())
    };
    match (kind.to_ascii_lowercase().as_str(), number()) {
        ("dword", Some(n)) => format!("DWORD (0x{n:08x})"),
        ("qword", Some(n)) => format!("QWORD (0x{:08x}-0x{:08x})", n >> 32, n & 0xffff_ffff),
        _ => data.to_owned(),
    }
}
