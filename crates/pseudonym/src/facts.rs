//! Rows to facts.
//!
//! A [`Gatherer`] reads the batches of one segment. For each column that the list permits as an
//! indicator it counts the rows by (value, day, technique); then it says which indicators need a token,
//! and makes the batch of the tokens it is given.
//!
//! Promises
//! - A column that is not on the list is not read.
//! - The epoch is that of the rows' arrival, one for a segment. A row's day is its own if that is near
//!   its arrival, else the day of its arrival: a strange date would single somebody out.
//! - A tenant's own domains and addresses make no fact, nor do the senders of mail that did not come
//!   from outside and the addresses of those who connect to the tenant's devices.
//! - The same rows in any order and any cutting into batches make the same batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crypto::Signer;
use model::{
    Code, ContributorToken, CountBucket, Day, Epoch, Indicator, IndicatorClass, IndicatorToken,
    RegionCode, RowId, Schema, SegmentId, TableName, Technique, Ticks, limits,
};
use residency::Verified;
use residency::egress::{
    AllowList, Batch, Entry, Fact, Header, NotTaken, Shape, Transform, Value,
    parcel::{self, Parcel},
};
use rows::arrow::array::{Array, Int64Array, StringArray};
use rows::{RecordBatch, hidden};

use crate::canonical;

/// Something in which nobody's clear identity is left. Only this crate makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pseudonymised<T>(T);

impl<T> Pseudonymised<T> {
    /// To look at.
    pub fn get(&self) -> &T {
        &self.0
    }
}

impl Pseudonymised<Batch> {
    /// Signs it, with its receipt, for the wire.
    pub fn pack(
        &self,
        region: &RegionCode,
        made_at: Ticks,
        signer: &dyn Signer,
    ) -> Result<Parcel, residency::Error> {
        parcel::pack_batch(&self.0, region, made_at, signer)
    }
}

/// First line of what is kept of an [`Own`].
const OWN_FORMAT: &str = "bailiwick-own v1";

/// What belongs to the tenant, and so says nothing to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own(BTreeSet<Indicator>);

impl Own {
    /// Of the tenant's domains and public addresses, in any form.
    pub fn new<'a>(
        domains: impl IntoIterator<Item = &'a str>,
        addresses: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let of = canonical::indicator;
        let domains = domains
            .into_iter()
            .filter_map(|text| of(IndicatorClass::RegistrableDomain, text));
        let addresses = addresses
            .into_iter()
            .filter_map(|text| of(IndicatorClass::ExternalIp, text));
        Self(domains.chain(addresses).collect())
    }

    /// For keeping: a line of the format, then per indicator its class, a tab and its canonical form, in
    /// order.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{OWN_FORMAT}\n");
        for indicator in &self.0 {
            text.push_str(indicator.class.label());
            text.push('\t');
            text.push_str(&indicator.canonical);
            text.push('\n');
        }
        text.into_bytes()
    }

    /// Reads back what was kept; nothing if it is of another form. A line of a class, or of a version of
    /// a canonical form, that this program does not have is left out: it is learnt again.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, lines) = text.split_once('\n')?;
        let read = |line: &str| {
            let (label, canonical) = line.split_once('\t')?;
            let mut classes = IndicatorClass::ALL.into_iter();
            Some(Indicator {
                class: classes.find(|class| class.label() == label)?,
                canonical: canonical.into(),
            })
        };
        let all = lines.lines().take(limits::OWN_INDICATORS_MAX);
        (head == OWN_FORMAT).then(|| Self(all.filter_map(read).collect()))
    }

    /// Learns the tenant's domains from its mail: those that receive what comes from outside.
    pub fn learn(&mut self, table: &TableName, rows: &RecordBatch) {
        if table.as_str() != "EmailEvents" {
            return;
        }
        let inside = inside(table, rows);
        let recipients = rows.column_by_name("RecipientDomain");
        let recipients = recipients.and_then(|c| c.as_any().downcast_ref::<StringArray>());
        let Some(recipients) = recipients else { return };
        let received: BTreeSet<&str> = recipients
            .iter()
            .zip(inside)
            .filter_map(|(domain, inside)| domain.filter(|_| !inside))
            .collect();
        let of = |text: &&str| canonical::indicator(IndicatorClass::RegistrableDomain, text);
        for domain in received.iter().filter_map(of) {
            if self.0.len() < limits::OWN_INDICATORS_MAX {
                self.0.insert(domain);
            }
        }
    }
}

/// Values that were read and made no fact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Not an indicator: an internal address, a name without a known suffix, a damaged hash.
    pub not_indicators: u64,
    /// The tenant's own.
    pub own: u64,
    /// Of rows in which the column does not name the outside.
    pub inside: u64,
}

/// Why no facts were made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rows lack a column that every stored row has, or it is of another type.
    #[error("column `{column}` of `{table}` is missing or of another type")]
    Column {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// The rows arrived in more than one epoch; a segment's do not.
    #[error("the rows arrived in epoch {first} and in epoch {other}")]
    SeveralEpochs {
        /// That of the first row.
        first: Epoch,
        /// Another.
        other: Epoch,
    },
    /// More distinct facts than one batch may have.
    #[error("a batch has at most {} facts", limits::EGRESS_FACTS_MAX)]
    TooMany,
    /// An indicator that was wanted got no token.
    #[error("an indicator has no token")]
    NoToken,
    /// The gate refused the batch.
    #[error("the batch was not made")]
    NotTaken(#[from] NotTaken),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Column { .. } | Self::SeveralEpochs { .. } | Self::NoToken => Code::Internal,
            Self::TooMany => Code::TooLarge,
            Self::NotTaken(source) => source.code(),
        }
    }
}

/// What a fact is about, in clear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Indicator(Indicator),
    Text(Box<str>),
}

/// What facts are counted by: shape, subject (positions), day, technique.
type Key = (usize, usize, Day, Option<Technique>);

/// Counts the facts of one segment.
#[derive(Debug)]
pub struct Gatherer<'a> {
    list: &'a Verified<AllowList>,
    own: &'a Own,
    epoch: Option<Epoch>,
    shapes: Vec<Shape>,
    /// Each subject's position.
    subjects: BTreeMap<Subject, usize>,
    counts: BTreeMap<Key, u64>,
    dropped: Dropped,
}

impl<'a> Gatherer<'a> {
    /// For one segment.
    pub fn new(list: &'a Verified<AllowList>, own: &'a Own) -> Self {
        Self {
            list,
            own,
            epoch: None,
            shapes: Vec::new(),
            subjects: BTreeMap::new(),
            counts: BTreeMap::new(),
            dropped: Dropped::default(),
        }
    }

    /// Whether the list wants anything of this table.
    pub fn wants(list: &AllowList, table: &TableName) -> bool {
        list.values_of(table.as_str()).next().is_some()
    }

    /// Reads rows of `table` with their hidden columns. `techniques` are those of the alerts that name
    /// a row.
    pub fn add(
        &mut self,
        table: &TableName,
        rows: &RecordBatch,
        techniques: &BTreeMap<RowId, BTreeSet<Technique>>,
    ) -> Result<(), Error> {
        let list = self.list;
        let mut entries = list.values_of(table.as_str()).peekable();
        if entries.peek().is_none() || rows.num_rows() == 0 {
            return Ok(());
        }
        let days = self.days(table, rows)?;
        let inside = inside(table, rows);
        let techniques = row_techniques(rows, techniques);
        for entry in entries {
            // A segment of before the column was in the schema says nothing about it.
            let Some(column) = rows.column_by_name(&entry.column) else {
                continue;
            };
            let column = column.as_any().downcast_ref::<StringArray>();
            let column = column.ok_or_else(|| Error::Column {
                table: table.clone(),
                column: entry.column.clone(),
            })?;
            let rows = Rows {
                days: &days,
                techniques: &techniques,
                inside: &inside,
            };
            self.add_column(entry, column, &rows)?;
        }
        Ok(())
    }

    /// The epoch of the rows; none before the first.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The indicators that need a token, in order.
    pub fn wanted(&self) -> Vec<Indicator> {
        let indicator = |subject: &Subject| match subject {
            Subject::Indicator(indicator) => Some(indicator.clone()),
            Subject::Text(_) => None,
        };
        self.subjects.keys().filter_map(indicator).collect()
    }

    /// Values that make no fact.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// The batch of segment `batch`; nothing if there is no fact.
    pub fn finish(
        self,
        batch: SegmentId,
        contributor: ContributorToken,
        tokens: &BTreeMap<Indicator, IndicatorToken>,
    ) -> Result<Option<Pseudonymised<Batch>>, Error> {
        let Some(epoch) = self.epoch.filter(|_| !self.counts.is_empty()) else {
            return Ok(None);
        };
        let value = |(subject, at): (Subject, usize)| {
            let value = match subject {
                Subject::Text(text) => Value::Text(text.into()),
                Subject::Indicator(indicator) => {
                    Value::Token(*tokens.get(&indicator).ok_or(Error::NoToken)?)
                }
            };
            Ok((at, value))
        };
        let values: BTreeMap<usize, Value> = self
            .subjects
            .into_iter()
            .map(value)
            .collect::<Result<_, Error>>()?;
        // Shapes in order, and only those that a fact has.
        let used: BTreeSet<usize> = self.counts.keys().map(|(shape, ..)| *shape).collect();
        let mut shapes: Vec<(Shape, usize)> = Vec::new();
        for (at, shape) in self.shapes.into_iter().enumerate() {
            if used.contains(&at) {
                shapes.push((shape, at));
            }
        }
        shapes.sort();
        let number: BTreeMap<usize, u16> = (0..)
            .zip(&shapes)
            .map(|(to, (_, from))| (*from, to))
            .collect();
        let fact = |((shape, subject, day, technique), n): (Key, u64)| {
            let shape = *number.get(&shape)?;
            let (of, _) = shapes.get(usize::from(shape))?;
            Some(Fact {
                shape,
                value: values.get(&subject)?.clone(),
                day,
                technique,
                count: of.has_count.then(|| CountBucket::of(n)),
            })
        };
        let facts = self.counts.into_iter().filter_map(fact).collect();
        let header = Header {
            batch,
            contributor,
            epoch,
        };
        let shapes = shapes.iter().map(|(shape, _)| shape.clone()).collect();
        let batch = Batch::new(self.list, header, shapes, facts)?;
        Ok(Some(Pseudonymised(batch)))
    }

    fn add_column(
        &mut self,
        entry: &Entry,
        column: &StringArray,
        rows: &Rows<'_>,
    ) -> Result<(), Error> {
        let shape = self.shape(entry);
        let with_technique = self.list.has_technique();
        // Values repeat: each is brought to its canonical form once a batch.
        let mut seen: HashMap<&str, Known> = HashMap::new();
        for ((at, day), text) in rows.days.iter().enumerate().zip(column.iter()) {
            let Some(text) = text.filter(|text| !text.is_empty()) else {
                continue;
            };
            if rows.inside.get(at).is_some_and(|inside| *inside) {
                self.dropped.inside += 1;
                continue;
            }
            let known = *seen
                .entry(text)
                .or_insert_with(|| self.know(entry.transform, text));
            let subject = match known {
                Known::Subject(subject) => subject,
                Known::NotIndicator => {
                    self.dropped.not_indicators += 1;
                    continue;
                }
                Known::Own => {
                    self.dropped.own += 1;
                    continue;
                }
            };
            let of_row = rows.techniques.get(at).map_or(&[None][..], Vec::as_slice);
            for technique in of_row {
                let key = (shape, subject, *day, technique.filter(|_| with_technique));
                *self.counts.entry(key).or_default() += 1;
            }
            if self.counts.len() > limits::EGRESS_FACTS_MAX {
                return Err(Error::TooMany);
            }
        }
        Ok(())
    }

    fn know(&mut self, transform: Transform, text: &str) -> Known {
        let subject = match transform.indicator() {
            None => Subject::Text(cut(text).into()),
            Some(class) => match canonical::indicator(class, text) {
                None => return Known::NotIndicator,
                Some(own) if self.own.0.contains(&own) => return Known::Own,
                Some(indicator) => Subject::Indicator(indicator),
            },
        };
        let next = self.subjects.len();
        Known::Subject(*self.subjects.entry(subject).or_insert(next))
    }

    fn shape(&mut self, entry: &Entry) -> usize {
        let has = |transform| {
            let found = self
                .list
                .entry(entry.table.as_str(), &entry.column, transform);
            found.is_some()
        };
        let shape = Shape {
            table: entry.table.clone(),
            column: entry.column.clone(),
            transform: entry.transform,
            has_count: has(Transform::CountBucket),
            has_technique: self.list.has_technique(),
        };
        if let Some(at) = self.shapes.iter().position(|known| *known == shape) {
            return at;
        }
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    /// The day of each row, and the epoch of all.
    fn days(&mut self, table: &TableName, rows: &RecordBatch) -> Result<Vec<Day>, Error> {
        let ticks = |name: &str| {
            rows.column_by_name(name)?
                .as_any()
                .downcast_ref::<Int64Array>()
        };
        let arrived = ticks(hidden::INGESTED_AT).ok_or_else(|| Error::Column {
            table: table.clone(),
            column: hidden::INGESTED_AT.to_owned(),
        })?;
        let known = Schema::hunting().table(table.as_str());
        let own = known.and_then(|table| ticks(table.time_column.as_deref()?));
        let mut days = Vec::with_capacity(rows.num_rows());
        for (at, arrived) in arrived.iter().enumerate() {
            let arrived = Day::of(Ticks(arrived.unwrap_or_default()));
            let other = Epoch::of(arrived);
            let first = *self.epoch.get_or_insert(other);
            if first != other {
                return Err(Error::SeveralEpochs { first, other });
            }
            let own = own.filter(|own| own.is_valid(at)).map(|own| own.value(at));
            let own = own.map(|ticks| Day::of(Ticks(ticks)));
            days.push(own.filter(|own| is_near(*own, arrived)).unwrap_or(arrived));
        }
        Ok(days)
    }
}

/// What is known of a batch's rows, row by row; an empty list says the same of all.
struct Rows<'a> {
    days: &'a [Day],
    techniques: &'a [Vec<Option<Technique>>],
    inside: &'a [bool],
}

/// What a text turned out to be.
#[derive(Debug, Clone, Copy)]
enum Known {
    Subject(usize),
    NotIndicator,
    Own,
}

fn is_near(own: Day, arrived: Day) -> bool {
    let least = Epoch::of(arrived).first_day().0;
    let least = least
        .saturating_sub(limits::EGRESS_DAYS_LATE_MAX)
        .max(arrived.0.saturating_sub(limits::EGRESS_DAYS_LATE_MAX));
    (least..=arrived.0.saturating_add(1)).contains(&own.0)
}

/// Whether the other side of a row is inside, or came to the tenant by itself; empty for tables where
/// it never does. A sender of outgoing mail is the tenant; who connects to its devices may be anybody.
fn inside(table: &TableName, rows: &RecordBatch) -> Vec<bool> {
    let (column, outside): (_, fn(&str) -> bool) = match table.as_str() {
        "EmailEvents" => ("EmailDirection", |text| text == "Inbound"),
        "DeviceNetworkEvents" => ("ActionType", |text| {
            !text.starts_with("Inbound") && !text.starts_with("Listening")
        }),
        _ => return Vec::new(),
    };
    let found = rows.column_by_name(column);
    match found.and_then(|column| column.as_any().downcast_ref::<StringArray>()) {
        Some(values) => values
            .iter()
            .map(|text| !text.is_some_and(outside))
            .collect(),
        // Rows that do not say it count as inside.
        None => vec![true; rows.num_rows()],
    }
}

/// The techniques of each row; `None` alone for a row that no alert names.
fn row_techniques(
    rows: &RecordBatch,
    techniques: &BTreeMap<RowId, BTreeSet<Technique>>,
) -> Vec<Vec<Option<Technique>>> {
    let ids = hidden::row_ids(rows).filter(|_| !techniques.is_empty());
    let Some(ids) = ids else { return Vec::new() };
    let of_row = |id: RowId| match techniques.get(&id) {
        Some(found) if !found.is_empty() => found.iter().copied().map(Some).collect(),
        _ => vec![None],
    };
    ids.map(of_row).collect()
}

/// At most as many bytes as a batch takes, cut at a character.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(limits::EGRESS_TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default()
}
