//! `_source_fields` of one row, parsed once: a flat JSON object in the source's own names.
//!
//! Text without escapes is borrowed from the batch. Blanks are stripped from names, as rules write
//! them (`Threat Name` is `ThreatName`); the first of several of one name stays.

use std::borrow::Cow;
use std::fmt;

use rsigma_eval::EventValue;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value of the object.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Real(f64),
    Text(Cow<'a, str>),
    /// Arrays and objects.
    Tree(serde_json::Value),
}

impl Value<'_> {
    pub(crate) fn event_value(&self) -> EventValue<'_> {
        match self {
            Self::Null => EventValue::Null,
            Self::Bool(b) => EventValue::Bool(*b),
            Self::Int(n) => EventValue::Int(*n),
            Self::Real(n) => EventValue::Float(*n),
            Self::Text(t) => EventValue::Str(Cow::Borrowed(t)),
            Self::Tree(tree) => EventValue::from(tree),
        }
    }

    fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Text(t) => t.trim().parse().ok(),
            _ => None,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(t) => t,
            _ => "",
        }
    }
}

/// The members of the object, by name.
#[derive(Debug)]
pub(crate) struct SourceFields<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> SourceFields<'a> {
    /// `None` if the text is not a JSON object.
    pub(crate) fn parse(json: &'a str) -> Option<Self> {
        let Members(mut members) = serde_json::from_str(json).ok()?;
        for (name, _) in &mut members {
            if name.contains(' ') {
                *name = Cow::Owned(name.replace(' ', ""));
            }
        }
        // Stable: of equal names the first stays the first, and is what the search below finds.
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        members.dedup_by(|(later, _), (first, _)| later == first);
        Some(Self { members })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let at = self
            .members
            .binary_search_by(|(n, _)| n.as_ref().cmp(name))
            .ok()?;
        self.members.get(at).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", Value::text)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.int()
    }

    /// A system field: where the event's data have the same name, it is kept under `System.`.
    pub(crate) fn system_text(&self, name: &str) -> &str {
        let kept = self.text(&format!("System.{name}"));
        if kept.is_empty() {
            self.text(name)
        } else {
            kept
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.members.iter().map(|(name, value)| (&**name, value))
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(32);
                while let Some(Text(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        d.deserialize_map(Object)
    }
}

struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::Text(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a name is text")),
        }
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value<'de>, E> {
        // Beyond an i64 the digits are what rules compare with.
        Ok(i64::try_from(n).map_or_else(|_| Value::Text(n.to_string().into()), Value::Int))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Value<'de>, E> {
        Ok(Value::Real(n))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Tree(serde_json::Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut members = serde_json::Map::new();
        while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
            members.insert(name, value);
        }
        Ok(Value::Tree(serde_json::Value::Object(members)))
    }
}
