//! Dynamic values: JSON with the order of properties kept and integers apart from reals.
//!
//! `serde_json::Value` would do neither reliably (whether it keeps the order depends on who else is
//! compiled in), and Kusto's results show both. In columns a dynamic is JSON text; null is a null.
//!
//! Promises: parsing never panics and recurses no deeper than `serde_json` allows (128).

use std::borrow::Cow;
use std::fmt;

use model::{ColumnType, Span100ns, Ticks};
use serde_json::value::RawValue;

/// One dynamic value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Long(i64),
    Real(f64),
    Text(String),
    Array(Vec<Self>),
    Bag(Vec<(String, Self)>),
}

impl Json {
    /// Reads a JSON text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value of a dynamic column's text: text that is not JSON is the string itself.
    pub(crate) fn of_column(text: &str) -> Self {
        let mended = || match without_lone_surrogates(text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(mended) => Self::parse(&mended),
        };
        let parsed = Self::parse(text).or_else(mended);
        parsed.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// What `parse_json` makes of a text: nothing for an empty one, itself if it is not JSON.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return None;
        }
        Some(Self::of_column(text)).filter(|v| *v != Self::Null)
    }

    /// The elements, if it is an array.
    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The properties, if it is a bag.
    pub(crate) fn as_bag(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Bag(entries) => Some(entries),
            _ => None,
        }
    }

    /// Compact JSON text.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Long(n) => {
                use fmt::Write as _;
                let _ = write!(out, "{n}");
            }
            Self::Real(x) => write_real(*x, out),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Bag(entries) => {
                out.push('{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Compact JSON text.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// What `tostring` makes of it: a string without its quotes, anything else as JSON.
    pub(crate) fn display(&self, out: &mut String) {
        match self {
            Self::Null => {}
            Self::Text(text) => out.push_str(text),
            other => other.write(out),
        }
    }
}

/// Where index `at` (negative: from the end) lies in `len` elements.
pub(crate) fn position(at: i64, len: usize) -> Option<usize> {
    let at = if at < 0 {
        i64::try_from(len).ok()?.checked_add(at)?
    } else {
        at
    };
    usize::try_from(at).ok().filter(|at| *at < len)
}

/// A real as JSON: with a point or an exponent; what JSON cannot say is a string.
pub(crate) fn write_real(x: f64, out: &mut String) {
    use fmt::Write as _;
    if x.is_nan() {
        out.push_str("\"NaN\"");
    } else if x.is_infinite() {
        out.push_str(if x > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        });
    } else {
        let _ = write!(out, "{x:?}");
    }
}

/// A string as JSON, with its quotes.
pub(crate) fn write_text(text: &str, out: &mut String) {
    // Writing into a string cannot fail.
    if let Ok(quoted) = serde_json::to_string(text) {
        out.push_str(&quoted);
    }
}

/// An instant or a duration inside a dynamic is its text.
pub(crate) fn of_ticks(ticks: i64, ty: ColumnType) -> Json {
    Json::Text(match ty {
        ColumnType::DateTime => Ticks(ticks).to_string(),
        _ => Span100ns(ticks).to_string(),
    })
}

impl<'de> serde::Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> serde::de::Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Json, E> {
        Ok(Json::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Json, E> {
        Ok(Json::Long(n))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond a long, JSON numbers are reals"
    )]
    fn visit_u64<E>(self, n: u64) -> Result<Json, E> {
        Ok(i64::try_from(n).map_or(Json::Real(n as f64), Json::Long))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Json, E> {
        Ok(Json::Real(x))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(String, Json)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            match entries.iter_mut().find(|(k, _)| *k == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        Ok(Json::Bag(entries))
    }
}

/// One step into a dynamic value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Step {
    Property(String),
    Index(i64),
}

/// The JSON text at `path` inside `text`, without building the values around it. `None` if `text`
/// is not JSON, or nothing (or null) is there.
pub(crate) fn raw_at<'t>(text: &'t str, path: &[Step]) -> Option<&'t str> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = serde::de::DeserializeSeed::deserialize(Walk(path), &mut deserializer).ok()?;
    deserializer.end().ok()?;
    found.map(RawValue::get).filter(|raw| *raw != "null")
}

struct Walk<'p>(&'p [Step]);

impl<'de> serde::de::DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return <&RawValue as serde::Deserialize>::deserialize(d).map(Some);
        }
        d.deserialize_any(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let name = match self.0.first() {
            Some(Step::Property(name)) => Some(name.as_str()),
            _ => None,
        };
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if name == Some(key.as_ref()) {
                found = map.next_value_seed(Walk(self.0.get(1..).unwrap_or_default()))?;
            } else {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let rest = self.0.get(1..).unwrap_or_default();
        let mut found = None;
        match self.0.first() {
            Some(Step::Index(at)) if *at < 0 => {
                // From the end: the length is known only after all of it.
                let items: Vec<&'de RawValue> = {
                    let mut items = Vec::new();
                    while let Some(item) = seq.next_element()? {
                        items.push(item);
                    }
                    items
                };
                let item = position(*at, items.len()).and_then(|at| items.get(at));
                found = match item {
                    Some(item) => {
                        let mut inner = serde_json::Deserializer::from_str(item.get());
                        serde::de::DeserializeSeed::deserialize(Walk(rest), &mut inner)
                            .map_err(serde::de::Error::custom)?
                    }
                    None => None,
                };
            }
            Some(Step::Index(at)) => {
                let mut here = 0;
                loop {
                    if here == *at {
                        match seq.next_element_seed(Walk(rest))? {
                            Some(value) => found = value,
                            None => break,
                        }
                    } else if seq.next_element::<serde::de::IgnoredAny>()?.is_none() {
                        break;
                    }
                    here += 1;
                }
            }
            _ => while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {},
        }
        Ok(found)
    }
}

/// Several paths as a tree, so that one walk finds all of them.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Branch {
    /// Numbers of the paths that end here.
    ends: Vec<usize>,
    properties: Vec<(String, Self)>,
    indexes: Vec<(i64, Self)>,
}

impl Branch {
    /// The tree of `paths`, which are numbered in order.
    pub(crate) fn of(paths: &[Vec<Step>]) -> Self {
        let mut root = Self::default();
        for (number, path) in paths.iter().enumerate() {
            root.grow(path, number);
        }
        root
    }

    fn grow(&mut self, path: &[Step], number: usize) {
        match path.split_first() {
            None => self.ends.push(number),
            Some((Step::Property(name), rest)) => {
                grown(&mut self.properties, name).grow(rest, number);
            }
            Some((Step::Index(at), rest)) => grown(&mut self.indexes, at).grow(rest, number),
        }
    }

    fn is_leaf(&self) -> bool {
        self.properties.is_empty() && self.indexes.is_empty()
    }

    /// Forgets what was found below: of two properties of one name the last counts.
    fn clear(&self, found: &mut [Option<&str>]) {
        for number in &self.ends {
            if let Some(slot) = found.get_mut(*number) {
                *slot = None;
            }
        }
        let below = self.properties.iter().map(|(_, b)| b);
        for branch in below.chain(self.indexes.iter().map(|(_, b)| b)) {
            branch.clear(found);
        }
    }
}

fn grown<'b, K: PartialEq + ToOwned<Owned = K>>(
    all: &'b mut Vec<(K, Branch)>,
    key: &K,
) -> &'b mut Branch {
    let at = all.iter().position(|(known, _)| known == key);
    let at = at.unwrap_or_else(|| {
        all.push((key.to_owned(), Branch::default()));
        all.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or made just now")]
    &mut all[at].1
}

/// What stands at each path of the tree inside `text`, as [`raw_at`] gives it for one.
pub(crate) fn raw_at_all<'t>(text: &'t str, paths: &Branch, found: &mut [Option<&'t str>]) {
    found.fill(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = WalkAll {
        branch: paths,
        found: &mut *found,
    };
    let walked = serde::de::DeserializeSeed::deserialize(seed, &mut deserializer);
    if walked.is_err() || deserializer.end().is_err() {
        found.fill(None);
        return;
    }
    for slot in found {
        *slot = slot.filter(|raw| *raw != "null");
    }
}

struct WalkAll<'p, 'de> {
    branch: &'p Branch,
    found: &'p mut [Option<&'de str>],
}

impl<'de> serde::de::DeserializeSeed<'de> for WalkAll<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        if self.branch.ends.is_empty() {
            return d.deserialize_any(self);
        }
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(d)?.get();
        for number in &self.branch.ends {
            if let Some(slot) = self.found.get_mut(*number) {
                *slot = Some(raw);
            }
        }
        if self.branch.is_leaf() {
            return Ok(());
        }
        // A path goes on where another ends.
        let mut inner = serde_json::Deserializer::from_str(raw);
        serde::Deserializer::deserialize_any(&mut inner, self).map_err(serde::de::Error::custom)
    }
}

impl<'de> serde::de::Visitor<'de> for WalkAll<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let mut all = self.branch.properties.iter();
            match all.find(|(name, _)| *name == *key) {
                Some((_, branch)) => {
                    branch.clear(self.found);
                    map.next_value_seed(WalkAll {
                        branch,
                        found: &mut *self.found,
                    })?;
                }
                None => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.branch.indexes.is_empty() {
            while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut items: Vec<&'de RawValue> = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        for (at, branch) in &self.branch.indexes {
            let item = position(*at, items.len()).and_then(|at| items.get(at));
            if let Some(item) = item {
                let mut inner = serde_json::Deserializer::from_str(item.get());
                let seed = WalkAll {
                    branch,
                    found: &mut *self.found,
                };
                serde::de::DeserializeSeed::deserialize(seed, &mut inner)
                    .map_err(serde::de::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// The JSON text with U+FFFD for each escape of half a character, which many readers refuse: ingestion
/// does the same with what it stores.
pub(crate) fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let is_high = |unit: u16| (0xd800..0xdc00).contains(&unit);
    let is_low = |unit: u16| (0xdc00..0xe000).contains(&unit);
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        let Some(first) = unit(at) else {
            // The escape and what it escapes, which may be another backslash.
            let escaped = text.get(at + 1..).and_then(|rest| rest.chars().next());
            at += 1 + escaped.map_or(0, char::len_utf8);
            continue;
        };
        let is_pair = is_high(first) && unit(at + 6).is_some_and(is_low);
        if !is_pair && (is_high(first) || is_low(first)) {
            out.push_str(text.get(kept..at).unwrap_or_default());
            out.push_str("\\ufffd");
            kept = at + 6;
        }
        at += if is_pair { 12 } else { 6 };
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(out)
}
