//! JSON: what a `dynamic` holds, as a tree.
//!
//! Reads the compact text of [`Value::Dynamic`] and writes it again, keys in the order they had.
//! Of a key that stands twice it keeps both. Instants and durations in a `dynamic` it does not know.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use kql::resolved::Value;
use model::ColumnType;

use crate::Unsupported;

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
    /// A value as it stands in an array or a bag.
    pub(crate) fn of(value: &Value) -> Result<Self, Unsupported> {
        Ok(match value {
            Value::Null(_) => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Int(n) => Self::Long(i64::from(*n)),
            Value::Long(n) => Self::Long(*n),
            Value::Real(x) if x.is_finite() => Self::Real(*x),
            Value::String(text) => Self::Text(text.to_string()),
            Value::Dynamic(text) => {
                Self::parse(text).ok_or_else(|| Unsupported::new((text, "is no JSON")))?
            }
            other => return Err(Unsupported::new((other.ty(), "in a dynamic"))),
        })
    }

    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null(ColumnType::Dynamic),
            other => Value::Dynamic(other.to_string().into()),
        }
    }

    /// The value under a key of a bag.
    pub(crate) fn property(&self, key: &str) -> Self {
        let Self::Bag(entries) = self else {
            return Self::Null;
        };
        let found = entries.iter().find(|(known, _)| known == key);
        found.map_or(Self::Null, |(_, value)| value.clone())
    }

    /// The element of an array; a negative position counts from the end.
    pub(crate) fn element(&self, at: i64) -> Self {
        let Self::Array(elements) = self else {
            return Self::Null;
        };
        let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
        let at = if at < 0 { at + length } else { at };
        let found = usize::try_from(at).ok().and_then(|at| elements.get(at));
        found.cloned().unwrap_or(Self::Null)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader(text.chars().peekable());
        let value = reader.value()?;
        reader.blanks();
        reader.0.next().is_none().then_some(value)
    }
}

struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.0.next_if(char::is_ascii_whitespace).is_some() {}
    }

    fn sign(&mut self, wanted: char) -> Option<char> {
        self.blanks();
        self.0.next_if_eq(&wanted)
    }

    fn value(&mut self) -> Option<Json> {
        self.blanks();
        match *self.0.peek()? {
            '[' => self.array(),
            '{' => self.bag(),
            '"' => self.text().map(Json::Text),
            _ => self.word(),
        }
    }

    fn array(&mut self) -> Option<Json> {
        let mut elements = Vec::new();
        self.sign('[')?;
        if self.sign(']').is_some() {
            return Some(Json::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if self.sign(',').is_none() {
                self.sign(']')?;
                return Some(Json::Array(elements));
            }
        }
    }

    fn bag(&mut self) -> Option<Json> {
        let mut entries = Vec::new();
        self.sign('{')?;
        if self.sign('}').is_some() {
            return Some(Json::Bag(entries));
        }
        loop {
            self.blanks();
            let key = self.text()?;
            self.sign(':')?;
            entries.push((key, self.value()?));
            if self.sign(',').is_none() {
                self.sign('}')?;
                return Some(Json::Bag(entries));
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        self.sign('"')?;
        loop {
            match self.0.next()? {
                '"' => return Some(text),
                '\\' => text.push(match self.0.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c @ ('"' | '\\' | '/') => c,
                    _ => return None,
                }),
                c => text.push(c),
            }
        }
    }

    /// `null`, a bool or a number.
    fn word(&mut self) -> Option<Json> {
        let mut word = String::new();
        while let Some(c) = self
            .0
            .next_if(|c| !c.is_whitespace() && !",]}".contains(*c))
        {
            word.push(c);
        }
        Some(match word.as_str() {
            "null" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            number if number.contains(|c: char| c.is_ascii_digit()) => match number.parse() {
                Ok(whole) => Json::Long(whole),
                Err(_) => Json::Real(number.parse().ok()?),
            },
            _ => return None,
        })
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => write!(f, "null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Long(n) => write!(f, "{n}"),
            Self::Real(x) => write!(f, "{x:?}"),
            Self::Text(text) => quoted(text, f),
            Self::Array(elements) => {
                write!(f, "[")?;
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if at == 0 { "" } else { "," })?;
                }
                write!(f, "]")
            }
            Self::Bag(entries) => {
                write!(f, "{{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}", if at == 0 { "" } else { "," })?;
                    quoted(key, f)?;
                    write!(f, ":{value}")?;
                }
                write!(f, "}}")
            }
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => write!(f, "\\n")?,
            '\t' => write!(f, "\\t")?,
            '\r' => write!(f, "\\r")?,
            c => write!(f, "{c}")?,
        }
    }
    write!(f, "\"")
}
