//! Rows from outside of the tenant's tables (`externaldata`), read through a port that the operator
//! configures: an allow-list of pinned addresses and local files.
//!
//! Without a port, or for an address that it does not give, a query is refused.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::ArrayRef;
use model::ColumnType;

use crate::error::Error;
use crate::json::Json;
use crate::kernels::args::{Call, Guard};

/// What the operator lets queries read.
pub trait External: Send + Sync + fmt::Debug {
    /// The bytes that stand for an address.
    fn read(&self, address: &str) -> Result<Bytes, Unread>;
}

/// Why nothing was read for an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unread {
    /// It is not on the list.
    NotListed,
    /// It is, and what should stand for it cannot be used: why, in words for the reader.
    Failed(&'static str),
}

/// Columns being filled.
pub(crate) struct Columns {
    names: Vec<Arc<str>>,
    types: Vec<ColumnType>,
    values: Vec<Vec<Option<Json>>>,
}

impl Columns {
    pub(crate) fn new(columns: &[(Arc<str>, ColumnType)]) -> Self {
        Self {
            names: columns.iter().map(|(name, _)| name.clone()).collect(),
            types: columns.iter().map(|(_, ty)| *ty).collect(),
            values: vec![Vec::new(); columns.len()],
        }
    }

    /// Adds the rows of one file.
    pub(crate) fn add(&mut self, address: &str, bytes: &[u8], properties: &[(String, String)]) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let named = |wanted: &str| {
            let mut all = properties.iter();
            let found = all.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.to_ascii_lowercase())
        };
        let format = named("format").unwrap_or_else(|| format_of(address));
        let skip = usize::from(named("ignoreFirstRecord").is_some_and(|v| v == "true"));
        match format.as_str() {
            "json" | "multijson" => self.add_json(text),
            "csv" => self.add_separated(text, ',', skip),
            "tsv" | "tsve" => self.add_separated(text, '\t', skip),
            "psv" => self.add_separated(text, '|', skip),
            "scsv" => self.add_separated(text, ';', skip),
            "sohsv" => self.add_separated(text, '\u{1}', skip),
            "raw" => self.add_row(vec![text.to_owned()]),
            _ => {
                for line in text.lines().skip(skip) {
                    self.add_row(vec![line.to_owned()]);
                }
            }
        }
    }

    fn add_row(&mut self, fields: Vec<String>) {
        let mut fields = fields.into_iter();
        for values in &mut self.values {
            values.push(fields.next().map(Json::Text));
        }
    }

    fn add_separated(&mut self, text: &str, separator: char, skip: usize) {
        for record in records(text, separator).into_iter().skip(skip) {
            self.add_row(record);
        }
    }

    /// One object after the other, or an array of them.
    fn add_json(&mut self, text: &str) {
        let objects: Vec<Json> = match Json::parse(text) {
            Some(Json::Array(items)) => items,
            Some(one) => vec![one],
            None => text.lines().filter_map(Json::parse).collect(),
        };
        for object in objects {
            let bag = object.as_bag().unwrap_or_default();
            for (name, values) in self.names.iter().zip(&mut self.values) {
                let found = bag.iter().find(|(key, _)| **key == **name);
                values.push(found.map(|(_, v)| v.clone()).filter(|v| *v != Json::Null));
            }
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<ArrayRef>, Error> {
        let guard = Guard::default();
        let mut arrays = Vec::with_capacity(self.values.len());
        for (ty, values) in self.types.iter().zip(self.values) {
            let call = Call {
                args: &[],
                rows: values.len(),
                result: *ty,
                guard: &guard,
            };
            let mut values = values.into_iter();
            let is_dynamic = *ty == ColumnType::Dynamic;
            arrays.push(call.converted(|_| {
                let value = values.next().flatten()?;
                match value {
                    Json::Text(text) if is_dynamic => Json::of_text(&text),
                    value => Some(value),
                }
            })?);
        }
        Ok(arrays)
    }
}

fn format_of(address: &str) -> String {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    let path = path.strip_suffix(".gz").unwrap_or(path);
    let end = path.rsplit('.').next().unwrap_or_default();
    match end {
        "json" | "tsv" | "psv" | "txt" | "raw" => end.to_owned(),
        _ => "csv".to_owned(),
    }
}

/// The records of separated values; quotes as in RFC 4180.
fn records(text: &str, separator: char) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let (mut record, mut field, mut in_quotes) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if in_quotes && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if in_quotes => in_quotes = false,
            '"' if field.is_empty() => in_quotes = true,
            _ if in_quotes => field.push(letter),
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' => {
                record.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut record));
            }
            _ if letter == separator => record.push(std::mem::take(&mut field)),
            _ => field.push(letter),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        all.push(record);
    }
    all.retain(|r| r.iter().any(|f| !f.is_empty()));
    all
}
