//! The egress allow-list.
//!
//! Each [`Entry`] names one column and the one form in which it may leave. What the form may be depends
//! on the column, and is checked here, so that a list cannot say what nobody meant:
//!
//! - the class is the schema's; a table or column that the schema lacks cannot be named;
//! - a file's hash leaves only of files that were executed or loaded: hashes of files that merely exist
//!   (`DeviceFileEvents`, attachments) can be of private documents;
//! - an address or a domain leaves only of columns that name the other side;
//! - a table's time leaves as a day, a technique only of `AlertInfo.AttackTechniques`, a count only
//!   beside an indicator;
//! - a column leaves as it is only with an *exception*: a sentence in the document that says why. It
//!   exists so that somebody can sign a list that permits too much, and the walker can show that it
//!   notices.

use std::collections::BTreeSet;

use crypto::{PublicKey, Signer};
use model::indicator::IndicatorClass;
use model::{Column, ColumnType, PrivacyClass, Purpose, Schema, Table, TableName, limits};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::signed::{self, Accepted, Kind, Payload, Verified};

/// Tables whose rows say that a file was executed or loaded.
const RAN_TABLES: &[&str] = &["DeviceProcessEvents", "DeviceImageLoadEvents"];
/// Their columns with the hash of that file.
const RAN_COLUMNS: &[&str] = &["SHA256", "InitiatingProcessSHA256"];
/// Columns with the address of the other side.
const REMOTE_ADDRESSES: &[(&str, &str)] = &[
    ("DeviceNetworkEvents", "RemoteIP"),
    ("EmailEvents", "SenderIPv4"),
    ("EmailEvents", "SenderIPv6"),
];
/// Columns with a name, or a URL with a name, of the other side.
const REMOTE_NAMES: &[(&str, &str)] = &[
    ("DeviceNetworkEvents", "RemoteUrl"),
    ("EmailEvents", "SenderFromDomain"),
    ("EmailEvents", "SenderMailFromDomain"),
    ("EmailUrlInfo", "Url"),
    ("EmailUrlInfo", "UrlDomain"),
    ("UrlClickEvents", "Url"),
];
/// Where a fact's technique comes from.
const TECHNIQUES: (&str, &str) = ("AlertInfo", "AttackTechniques");

/// The form in which a column's values may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// A token of the SHA-256.
    IndicatorFileSha256,
    /// A token of the address, if it is a globally routed one.
    IndicatorExternalIp,
    /// A token of the registrable domain.
    IndicatorRegistrableDomain,
    /// The day, without the time.
    Day,
    /// The ATT&CK technique of an alert that names the row.
    Technique,
    /// How many rows, in powers of ten.
    CountBucket,
    /// The text itself.
    KeepText,
}

impl Transform {
    /// All forms.
    pub const ALL: [Self; 7] = [
        Self::IndicatorFileSha256,
        Self::IndicatorExternalIp,
        Self::IndicatorRegistrableDomain,
        Self::Day,
        Self::Technique,
        Self::CountBucket,
        Self::KeepText,
    ];

    /// The kind of indicator whose token leaves.
    pub const fn indicator(self) -> Option<IndicatorClass> {
        match self {
            Self::IndicatorFileSha256 => Some(IndicatorClass::FileSha256),
            Self::IndicatorExternalIp => Some(IndicatorClass::ExternalIp),
            Self::IndicatorRegistrableDomain => Some(IndicatorClass::RegistrableDomain),
            Self::Day | Self::Technique | Self::CountBucket | Self::KeepText => None,
        }
    }

    /// Whether a fact is about this value; the other forms only accompany one.
    pub const fn is_value(self) -> bool {
        self.indicator().is_some() || matches!(self, Self::KeepText)
    }

    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IndicatorFileSha256 => "indicator_file_sha256",
            Self::IndicatorExternalIp => "indicator_external_ip",
            Self::IndicatorRegistrableDomain => "indicator_registrable_domain",
            Self::Day => "day",
            Self::Technique => "technique",
            Self::CountBucket => "count_bucket",
            Self::KeepText => "keep_text",
        }
    }

    /// The computation that reads it; nothing reads a kept text.
    const fn reader(self) -> Option<Computation> {
        Some(match self {
            Self::IndicatorFileSha256
            | Self::IndicatorExternalIp
            | Self::IndicatorRegistrableDomain => Computation::OwnerGroups,
            Self::Day => Computation::FirstDay,
            Self::Technique => Computation::Techniques,
            Self::CountBucket => Computation::TypicalCount,
            Self::KeepText => return None,
        })
    }
}

/// What the centre works out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Computation {
    /// How many owner groups have seen an indicator.
    OwnerGroups,
    /// The day on which so many had seen it that the centre may say so.
    FirstDay,
    /// How often a typical owner group sees it.
    TypicalCount,
    /// Techniques that enough owner groups saw it used for.
    Techniques,
}

/// One column and the form in which it may leave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: String,
    /// The form.
    pub transform: Transform,
    /// What its values can say about people, by the schema.
    pub class: PrivacyClass,
    /// What for.
    pub purpose: Purpose,
    /// What reads it.
    pub read_by: Computation,
    /// Why a column leaves as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
}

/// The columns that may leave. A value exists only if it does not contradict itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowList {
    magic: String,
    format: u16,
    version: u64,
    /// In order of table, column and transform, each once.
    entries: Vec<Entry>,
}

impl AllowList {
    /// A list of these entries, in any order.
    pub fn new(version: u64, mut entries: Vec<Entry>) -> Result<Self, Error> {
        entries.sort();
        let list = Self {
            magic: signed::magic(Kind::EgressAllowList),
            format: Self::FORMAT,
            version,
            entries,
        };
        list.check()?;
        Ok(list)
    }

    /// The list that is shipped, unsigned, for the mode `facts`.
    pub fn facts(version: u64) -> Result<Self, Error> {
        let files = RAN_TABLES.iter().flat_map(|table| {
            let of = |column: &&'static str| (*table, *column, Transform::IndicatorFileSha256);
            RAN_COLUMNS.iter().map(of)
        });
        let addresses = REMOTE_ADDRESSES
            .iter()
            .map(|(table, column)| (*table, *column, Transform::IndicatorExternalIp));
        let names = REMOTE_NAMES
            .iter()
            .map(|(table, column)| (*table, *column, Transform::IndicatorRegistrableDomain));
        let mut wanted = BTreeSet::from([(TECHNIQUES.0, TECHNIQUES.1, Transform::Technique)]);
        for (table, column, transform) in files.chain(addresses).chain(names) {
            wanted.insert((table, column, transform));
            wanted.insert((table, column, Transform::CountBucket));
            wanted.insert((table, "Timestamp", Transform::Day));
        }
        let entries = wanted.into_iter().map(|(table, column, transform)| {
            let no_such = || contradiction(format!("the schema has no column `{table}.{column}`"));
            let (of, found) = column_of(table, column).ok_or_else(no_such)?;
            Ok(Entry {
                table: of.name.clone(),
                column: column.to_owned(),
                transform,
                class: found.privacy,
                purpose: Purpose::Prevalence,
                read_by: transform.reader().ok_or_else(no_such)?,
                exception: None,
            })
        });
        Self::new(version, entries.collect::<Result<_, Error>>()?)
    }

    /// Verifies a signed list; refuses one older than `highest`.
    pub fn open(
        bytes: &[u8],
        pinned: &PublicKey,
        highest: Option<Accepted>,
    ) -> Result<Verified<Self>, Error> {
        signed::open(bytes, pinned, highest)
    }

    /// The signed document.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        let payload = signed::payload(self)?;
        Ok(signed::sign(Kind::EgressAllowList, &payload, signer))
    }

    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The entries, in order of table, column and transform.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a column in a form.
    pub fn entry(&self, table: &str, column: &str, transform: Transform) -> Option<&Entry> {
        let of = |e: &&Entry| {
            e.table.as_str() == table && e.column == column && e.transform == transform
        };
        self.entries.iter().find(of)
    }

    /// The entries whose values facts of this table are about.
    pub fn values_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Entry> {
        let entries = self.entries.iter();
        entries.filter(move |e| e.table.as_str() == table && e.transform.is_value())
    }

    /// Whether facts of this table may carry a day. Without, they cannot be made.
    pub(super) fn has_day(&self, table: &str) -> bool {
        let day = |e: &Entry| e.table.as_str() == table && e.transform == Transform::Day;
        self.entries.iter().any(day)
    }

    /// Whether facts may carry the technique of an alert.
    pub fn has_technique(&self) -> bool {
        self.entry(TECHNIQUES.0, TECHNIQUES.1, Transform::Technique)
            .is_some()
    }
}

impl Payload for AllowList {
    const KIND: Kind = Kind::EgressAllowList;
    const FORMAT: u16 = 1;

    fn version(&self) -> u64 {
        self.version
    }

    fn check(&self) -> Result<(), Error> {
        if self.entries.len() > limits::ALLOW_LIST_ENTRIES_MAX {
            return Err(contradiction(format!(
                "{} entries, at most {} are read",
                self.entries.len(),
                limits::ALLOW_LIST_ENTRIES_MAX
            )));
        }
        let key = |e: &Entry| (e.table.clone(), e.column.clone(), e.transform);
        if !self.entries.is_sorted_by(|a, b| key(a) < key(b)) {
            let what = "the entries are not in order of table, column and transform, each once";
            return Err(contradiction(what.to_owned()));
        }
        self.entries.iter().try_for_each(|e| self.check_entry(e))
    }
}

impl AllowList {
    fn check_entry(&self, entry: &Entry) -> Result<(), Error> {
        let (table, name) = (entry.table.as_str(), entry.column.as_str());
        let refuse = |what: &str| {
            let transform = entry.transform.as_str();
            Err(contradiction(format!(
                "`{table}.{name}` as `{transform}`: {what}"
            )))
        };
        let Some((of, column)) = column_of(table, name) else {
            return refuse("the schema has no such column");
        };
        if column.privacy != entry.class {
            return refuse("the class is not the schema's");
        }
        if entry
            .transform
            .reader()
            .is_some_and(|reader| reader != entry.read_by)
        {
            return refuse("the computation that is named does not read this");
        }
        if entry.purpose != Purpose::Prevalence {
            return refuse("no computation is made for this purpose");
        }
        if !fits(entry.transform, of, column) {
            return refuse("the column may not leave in this form");
        }
        // Of technical columns, too: record keys and hashes of files that nobody ran are among them.
        let kept = entry.transform == Transform::KeepText;
        match &entry.exception {
            None if kept => return refuse("a column is kept as it is only with an exception"),
            Some(_) if !kept => return refuse("an exception where none is needed"),
            Some(why) if why.trim().is_empty() || why.len() > limits::DOCUMENT_TEXT_BYTES_MAX => {
                return refuse("the exception says nothing, or too much");
            }
            _ => {}
        }
        if entry.transform.is_value() && !self.has_day(table) {
            return refuse("the table's day is not on the list, and every fact has one");
        }
        let beside = |e: &&Entry| e.column == name && e.transform.indicator().is_some();
        if entry.transform == Transform::CountBucket && !self.values_of(table).any(|e| beside(&e)) {
            return refuse("nothing of this column is counted");
        }
        Ok(())
    }
}

/// Whether a column may leave in this form at all.
fn fits(transform: Transform, table: &Table, column: &Column) -> bool {
    let (of, name) = (table.name.as_str(), &*column.name);
    let listed = |list: &[(&str, &str)]| list.contains(&(of, name));
    match transform {
        Transform::IndicatorFileSha256 => RAN_TABLES.contains(&of) && RAN_COLUMNS.contains(&name),
        Transform::IndicatorExternalIp => listed(REMOTE_ADDRESSES),
        Transform::IndicatorRegistrableDomain => listed(REMOTE_NAMES),
        Transform::Day => table.time_column.as_deref() == Some(name),
        Transform::Technique => (of, name) == TECHNIQUES,
        Transform::CountBucket | Transform::KeepText => column.column_type == ColumnType::String,
    }
}

fn column_of(table: &str, column: &str) -> Option<(&'static Table, &'static Column)> {
    let table = Schema::hunting().table(table)?;
    let (_, found) = table.column(column)?;
    // An alias is not the column's name.
    (&*found.name == column).then_some((&**table, found))
}

fn contradiction(what: String) -> Error {
    Error::Contradiction {
        kind: Kind::EgressAllowList,
        what,
    }
}
