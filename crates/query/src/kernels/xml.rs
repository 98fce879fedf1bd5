//! `parse_xml`: an XML text as a value.
//!
//! An element is a property of its parent: a string if it has text only, null if it is empty, else a
//! bag of its attributes (`@name`), its text (`#text`, CDATA as `#cdata-section`) and its children;
//! several children of a name make an array. A text that is not well formed gives null.
//!
//! Reads no DTD and knows no entities but the five of XML and characters by number.

use crate::json::Json;

/// Elements in elements.
const DEPTH_MAX: usize = 128;
/// Longer texts give null, as in the service.
const BYTES_MAX: usize = 128 << 10;

/// The value of a document; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Json> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut reader = Reader { rest: text.trim() };
    let mut entries = Vec::new();
    loop {
        reader.blanks();
        if reader.eat("<?xml") {
            let declaration = reader.until("?>")?;
            let mut inner = Reader { rest: declaration };
            let attributes = inner.attributes()?;
            entries.push(("?xml".to_owned(), Json::Bag(attributes)));
        } else if !reader.skip_markup()? {
            break;
        }
    }
    if !reader.rest.starts_with('<') {
        return None;
    }
    entries.push(reader.element(0)?);
    loop {
        reader.blanks();
        if reader.rest.is_empty() {
            return Some(Json::Bag(entries));
        }
        if !reader.skip_markup()? {
            return None;
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// What stands before `end`, and past it.
    fn until(&mut self, end: &str) -> Option<&'t str> {
        let (before, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(before)
    }

    /// A comment, an instruction or a document type; whether there was one.
    fn skip_markup(&mut self) -> Option<bool> {
        if self.eat("<!--") {
            self.until("-->")?;
        } else if self.eat("<?") {
            self.until("?>")?;
        } else if self.rest.starts_with("<!DOCTYPE") {
            self.until(">")?;
        } else {
            return Some(false);
        }
        Some(true)
    }

    fn name(&mut self) -> Option<&'t str> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        let first = name.chars().next()?;
        if !(first.is_alphabetic() || matches!(first, '_' | ':')) {
            return None;
        }
        self.rest = rest;
        Some(name)
    }

    /// `name="value" …`, up to what is no name.
    fn attributes(&mut self) -> Option<Vec<(String, Json)>> {
        let mut found: Vec<(String, Json)> = Vec::new();
        loop {
            self.blanks();
            if self.rest.is_empty() || self.rest.starts_with(['>', '/', '?']) {
                return Some(found);
            }
            let name = format!("@{}", self.name()?);
            self.blanks();
            if !self.eat("=") {
                return None;
            }
            self.blanks();
            let value = if self.eat("\"") {
                self.until("\"")?
            } else if self.eat("'") {
                self.until("'")?
            } else {
                return None;
            };
            if found.iter().any(|(known, _)| *known == name) {
                return None;
            }
            found.push((name, Json::Text(unescaped(value)?)));
        }
    }

    /// One element: its name and value.
    fn element(&mut self, depth: usize) -> Option<(String, Json)> {
        if depth >= DEPTH_MAX || !self.eat("<") {
            return None;
        }
        let name = self.name()?.to_owned();
        let mut entries = self.attributes()?;
        if self.eat("/>") {
            return Some((name, value_of(entries, String::new())));
        }
        if !self.eat(">") {
            return None;
        }
        let mut text = String::new();
        loop {
            let (before, _) = self.rest.split_once('<')?;
            text.push_str(&unescaped(before)?);
            self.rest = self.rest.strip_prefix(before)?;
            if self.eat("</") {
                if self.name()? != name {
                    return None;
                }
                self.blanks();
                return self.eat(">").then(|| (name, value_of(entries, text)));
            }
            if self.eat("<![CDATA[") {
                let data = self.until("]]>")?.to_owned();
                add(&mut entries, "#cdata-section".to_owned(), Json::Text(data));
            } else if !self.skip_markup()? {
                let (child, value) = self.element(depth + 1)?;
                add(&mut entries, child, value);
            }
        }
    }
}

/// Several of one name make an array.
fn add(entries: &mut Vec<(String, Json)>, name: String, value: Json) {
    match entries.iter_mut().find(|(known, _)| *known == name) {
        Some((_, Json::Array(all))) => all.push(value),
        Some((_, one)) => *one = Json::Array(vec![std::mem::replace(one, Json::Null), value]),
        None => entries.push((name, value)),
    }
}

fn value_of(mut entries: Vec<(String, Json)>, text: String) -> Json {
    let has_text = !text.trim().is_empty();
    if entries.is_empty() {
        return if has_text {
            Json::Text(text)
        } else {
            Json::Null
        };
    }
    if has_text {
        // The text stands after the attributes.
        let at = entries
            .iter()
            .take_while(|(name, _)| name.starts_with('@'))
            .count();
        entries.insert(at, ("#text".to_owned(), Json::Text(text.trim().to_owned())));
    }
    Json::Bag(entries)
}

fn unescaped(text: &str) -> Option<String> {
    if !text.contains('&') {
        return Some(text.to_owned());
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, next) = after.split_once(';')?;
        rest = next;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => {
                let number = other.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
    }
    out.push_str(rest);
    Some(out)
}
