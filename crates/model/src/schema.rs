//! The hunting schema: tables, columns, types and a privacy class per column.
//!
//! The schema is data (`data/hunting_schema.txt`), read once. Names are case-sensitive: some
//! tables of the public schema spell `LogonId`, others `LogonID`.
//!
//! Does not say which service places a table's rows: that is the registry's (`residency`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::TableName;

/// The name that the Sentinel copy of every table uses for its time column; an alias here.
pub const TIME_ALIAS: &str = "TimeGenerated";

/// A Kusto scalar type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// `true` or `false`.
    Bool,
    /// An instant in ticks of 100 ns since 0001-01-01, UTC.
    DateTime,
    /// A decimal number of 34 digits.
    Decimal,
    /// Any JSON value.
    Dynamic,
    /// A 128-bit identifier.
    Guid,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A 64-bit IEEE 754 number.
    Real,
    /// Text; never null.
    String,
    /// A duration in ticks of 100 ns.
    TimeSpan,
}

impl ColumnType {
    /// The name used in KQL and in the schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::DateTime => "datetime",
            Self::Decimal => "decimal",
            Self::Dynamic => "dynamic",
            Self::Guid => "guid",
            Self::Int => "int",
            Self::Long => "long",
            Self::Real => "real",
            Self::String => "string",
            Self::TimeSpan => "timespan",
        }
    }

    /// The type of that name, Kusto's synonyms included (`date`, `time`, `double` …).
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "bool" | "boolean" => Self::Bool,
            "datetime" | "date" => Self::DateTime,
            "decimal" => Self::Decimal,
            "dynamic" => Self::Dynamic,
            "guid" | "uuid" | "uniqueid" => Self::Guid,
            "int" => Self::Int,
            "long" => Self::Long,
            "real" | "double" => Self::Real,
            "string" => Self::String,
            "timespan" | "time" => Self::TimeSpan,
            _ => return None,
        })
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a column's values can say about people (docs/privacy-classes.md).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyClass {
    /// Time, hash, port, flag, verdict, version, record key.
    Technical,
    /// Tenant, subscription, domain, group, department, policy, app.
    OrganisationalIdentifier,
    /// IP or MAC address, IP-derived place, client fingerprint.
    NetworkIdentifier,
    /// Subject, command line, path, URL, registry, query text, free JSON.
    Content,
    /// Person, account, mail address, device, session.
    DirectIdentifier,
}

impl PrivacyClass {
    /// The name used in the schema and in the egress allow-list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Technical => "technical",
            Self::OrganisationalIdentifier => "organisational_identifier",
            Self::NetworkIdentifier => "network_identifier",
            Self::Content => "content",
            Self::DirectIdentifier => "direct_identifier",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "technical" => Self::Technical,
            "organisational_identifier" => Self::OrganisationalIdentifier,
            "network_identifier" => Self::NetworkIdentifier,
            "content" => Self::Content,
            "direct_identifier" => Self::DirectIdentifier,
            _ => return None,
        })
    }
}

/// How a table's rows relate to time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// Something happened at a moment.
    Event,
    /// What was so at a moment; later rows replace earlier ones in meaning.
    State,
    /// Knowledge that does not belong to a tenant's devices or people.
    Reference,
}

impl TableKind {
    /// The name used in the schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::State => "state",
            Self::Reference => "reference",
        }
    }
}

/// One column of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Case-sensitive name.
    pub name: Arc<str>,
    /// Type of its values.
    pub column_type: ColumnType,
    /// What its values can say about people.
    pub privacy: PrivacyClass,
    /// A misspelling under which old senders still write it.
    pub alias: Option<Arc<str>>,
}

/// One table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Case-sensitive name.
    pub name: TableName,
    /// How its rows relate to time.
    pub kind: TableKind,
    /// The column that carries the row's own time; `None` if it has none and `_ingested_at` serves.
    pub time_column: Option<Arc<str>>,
    /// Not yet final in the public documentation.
    pub preview: bool,
    /// Superseded in the public documentation.
    pub deprecated: bool,
    /// Columns in documented order.
    pub columns: Vec<Column>,
    by_name: HashMap<Arc<str>, usize>,
}

impl Table {
    /// The column of that exact name (or old alias), with its position.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        let at = *self.by_name.get(name)?;
        Some((at, self.columns.get(at)?))
    }
}

/// A set of tables.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    tables: BTreeMap<TableName, Arc<Table>>,
}

impl Schema {
    /// The public advanced-hunting schema that ships with the program: 66 tables.
    pub fn hunting() -> &'static Self {
        static HUNTING: LazyLock<Schema> = LazyLock::new(|| {
            // The file is part of the program and a test reads all of it: damage cannot reach a user.
            Schema::parse(include_str!("../data/hunting_schema.txt")).unwrap_or_default()
        });
        &HUNTING
    }

    /// The table of that exact name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        TableName::new(name)
            .ok()
            .and_then(|name| self.tables.get(&name))
    }

    /// All tables by name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// Reads the text form described in the head of the data file. The error is the bad line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut schema = Self::default();
        let mut open: Option<Table> = None;
        for line in text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            match (words.as_slice(), &mut open) {
                (["table", name, kind, time, flags @ ..], _) => {
                    if let Some(table) = open.take() {
                        schema.tables.insert(table.name.clone(), Arc::new(table));
                    }
                    open = Some(parse_table(name, kind, time, flags).ok_or(line)?);
                }
                ([name, ty, class, alias @ ..], Some(table)) => {
                    let column = parse_column(name, ty, class, alias).ok_or(line)?;
                    let at = table.columns.len();
                    for key in [Some(&column.name), column.alias.as_ref()]
                        .into_iter()
                        .flatten()
                    {
                        if table.by_name.insert(key.clone(), at).is_some() {
                            return Err(format!("{line}: column named twice"));
                        }
                    }
                    table.columns.push(column);
                }
                _ => return Err(line.to_owned()),
            }
        }
        if let Some(table) = open.take() {
            schema.tables.insert(table.name.clone(), Arc::new(table));
        }
        Ok(schema)
    }
}

fn parse_table(name: &str, kind: &str, time: &str, flags: &[&str]) -> Option<Table> {
    Some(Table {
        name: TableName::new(name).ok()?,
        kind: match kind {
            "event" => TableKind::Event,
            "state" => TableKind::State,
            "reference" => TableKind::Reference,
            _ => return None,
        },
        time_column: (time != "_ingested_at").then(|| time.into()),
        preview: flags.contains(&"preview"),
        deprecated: flags.contains(&"deprecated"),
        columns: Vec::new(),
        by_name: HashMap::new(),
    })
}

fn parse_column(name: &str, ty: &str, class: &str, rest: &[&str]) -> Option<Column> {
    let alias = match rest {
        [] => None,
        [word] => Some(word.strip_prefix("alias=")?.into()),
        _ => return None,
    };
    Some(Column {
        name: name.into(),
        column_type: ColumnType::parse(ty)?,
        privacy: PrivacyClass::parse(class)?,
        alias,
    })
}
