//! A batch: what one segment tells the centre.
//!
//! Layout (little endian; texts are a `u16` length and UTF-8):
//!
//! ```text
//! "BWEB" version:u16 batch:16 contributor:16 epoch:u32 list_version:u64 list_digest:32
//! shapes:u16 { table:text column:text transform:u8 flags:u8 }     flags: 1 count, 2 technique
//! facts:u32  { shape:u16 value day:u32 [technique:u16 sub:u16] [count:u8] }
//! value: 16 bytes of a token, or a text if the shape's transform keeps it
//! ```
//!
//! A technique of 0 says that no alert names the row. Nothing follows the last fact.
//!
//! Promises
//! - One form: shapes and facts stand in order, each once, and every shape is used. Bytes that decode
//!   encode to the same bytes.
//! - A batch exists only if a verified [`AllowList`] has every column in it, in that form.
//!
//! The batch's id is the segment's, so a segment that is exported twice is the same batch.

use std::cmp::Ordering;

use model::{
    Code, ContributorToken, CountBucket, Day, Epoch, IndicatorToken, SegmentId, TableName,
    Technique, limits,
};

use super::allow_list::{AllowList, Transform};
use super::bytes::{Reader, count, put_text};
use crate::Error;
use crate::signed::{Accepted, Digest, Verified};

const MAGIC: [u8; 4] = *b"BWEB";
const VERSION: u16 = 1;
const HAS_COUNT: u8 = 1;
const HAS_TECHNIQUE: u8 = 2;

/// Why a batch was not made or not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The allow-list lacks the column in this form.
    #[error("`{table}.{column}` may not leave as `{}`", transform.as_str())]
    NotAllowed {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The form.
        transform: Transform,
    },
    /// The bytes are not a batch, or not in its one form.
    #[error("not a well-formed batch: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// More bytes or facts than one batch may have.
    #[error(
        "a batch has at most {} facts and {} bytes",
        limits::EGRESS_FACTS_MAX,
        limits::EGRESS_BATCH_BYTES_MAX
    )]
    TooLarge,
    /// A newer program wrote it.
    #[error("the batch has format {found}, newest supported is {VERSION}")]
    Format {
        /// Its format.
        found: u16,
    },
    /// Made under a newer list, or under other bytes of the same version.
    #[error("the batch was made under allow-list {found}, the newest here is {known}")]
    OtherAllowList {
        /// The version that the batch names.
        found: u64,
        /// The version here.
        known: u64,
    },
    /// Batch and receipt do not belong together.
    #[error("the receipt is not of this batch")]
    OtherReceipt,
    /// The receipt is not what a cell of this region signed.
    #[error("the receipt is not accepted")]
    Receipt(#[source] Error),
}

impl NotTaken {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::NotAllowed { .. } => Code::NotAllowed,
            Self::Malformed { .. } | Self::OtherReceipt => Code::BadDocument,
            Self::TooLarge => Code::TooLarge,
            Self::Format { .. } => Code::NewerFormat,
            Self::OtherAllowList { .. } => Code::OtherAllowList,
            Self::Receipt(source) => source.code(),
        }
    }
}

/// Whose facts, when, and under which list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The segment's id.
    pub batch: SegmentId,
    /// Stands for the owner group.
    pub contributor: ContributorToken,
    /// The epoch of all its tokens.
    pub epoch: Epoch,
}

/// What a number of facts have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// The table that was read.
    pub table: TableName,
    /// The column that was read.
    pub column: String,
    /// The form in which its values are here.
    pub transform: Transform,
    /// Whether its facts say how often.
    pub has_count: bool,
    /// Whether its facts may say which technique.
    pub has_technique: bool,
}

/// What a fact is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A token.
    Token(IndicatorToken),
    /// A text, under an exception of the list.
    Text(String),
}

/// Without the text.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(token) => token.fmt(f),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Position in [`Batch::shapes`].
    pub shape: u16,
    /// What it is about.
    pub value: Value,
    /// When.
    pub day: Day,
    /// What it was used for, by an alert.
    pub technique: Option<Technique>,
    /// How many rows say so.
    pub count: Option<CountBucket>,
}

impl Fact {
    fn order(&self, other: &Self) -> Ordering {
        let key = |f: &Self| (f.shape, f.day, f.technique);
        let before = self.shape.cmp(&other.shape);
        before
            .then_with(|| self.value.cmp(&other.value))
            .then_with(|| key(self).cmp(&key(other)))
    }
}

/// Facts of one segment, in forms that a list permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    header: Header,
    list: Accepted,
    shapes: Vec<Shape>,
    facts: Vec<Fact>,
}

impl Batch {
    /// Makes a batch of facts in any order; refuses what `list` lacks.
    pub fn new(
        list: &Verified<AllowList>,
        header: Header,
        shapes: Vec<Shape>,
        mut facts: Vec<Fact>,
    ) -> Result<Self, NotTaken> {
        facts.sort_by(Fact::order);
        let batch = Self {
            header,
            list: list.accepted(),
            shapes,
            facts,
        };
        batch.check(list)?;
        Ok(batch)
    }

    /// Reads a batch; refuses what `list` lacks, whatever list it was made under.
    pub fn decode(bytes: &[u8], list: &Verified<AllowList>) -> Result<Self, NotTaken> {
        if bytes.len() > limits::EGRESS_BATCH_BYTES_MAX {
            return Err(NotTaken::TooLarge);
        }
        let mut r = Reader(bytes);
        let not_ours = || malformed("not a batch");
        if r.array().ok_or_else(not_ours)? != MAGIC {
            return Err(not_ours());
        }
        let found = r.u16().ok_or_else(not_ours)?;
        if found != VERSION {
            return Err(NotTaken::Format { found });
        }
        let batch = read(&mut r)?;
        if !r.0.is_empty() {
            return Err(malformed("bytes after the last fact"));
        }
        batch.check(list)?;
        Ok(batch)
    }

    /// The batch as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.shapes.len() * 64 + self.facts.len() * 28);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(self.header.batch.as_bytes());
        out.extend_from_slice(self.header.contributor.as_bytes());
        out.extend_from_slice(&self.header.epoch.0.to_le_bytes());
        out.extend_from_slice(&self.list.version.to_le_bytes());
        out.extend_from_slice(self.list.digest.as_bytes());
        // `check` bounds both counts.
        out.extend_from_slice(&u16::try_from(self.shapes.len()).unwrap_or(0).to_le_bytes());
        for shape in &self.shapes {
            put_text(&mut out, shape.table.as_str());
            put_text(&mut out, &shape.column);
            out.push(transform_code(shape.transform));
            out.push(
                (u8::from(shape.has_count) * HAS_COUNT)
                    | (u8::from(shape.has_technique) * HAS_TECHNIQUE),
            );
        }
        out.extend_from_slice(&count(self.facts.len()).to_le_bytes());
        for fact in &self.facts {
            let with_technique = self.shape(fact).is_some_and(|shape| shape.has_technique);
            put_fact(&mut out, fact, with_technique);
        }
        out
    }

    /// Whose and when.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The list that it was made under.
    pub fn list(&self) -> Accepted {
        self.list
    }

    /// What its facts have in common, in order.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Its facts, in order.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The shape of one of its facts.
    pub fn shape(&self, fact: &Fact) -> Option<&Shape> {
        self.shapes.get(usize::from(fact.shape))
    }

    fn check(&self, list: &Verified<AllowList>) -> Result<(), NotTaken> {
        let known = list.accepted();
        let same = self.list.version == known.version && self.list.digest == known.digest;
        if self.list.version >= known.version && !same {
            return Err(NotTaken::OtherAllowList {
                found: self.list.version,
                known: known.version,
            });
        }
        if self.facts.len() > limits::EGRESS_FACTS_MAX {
            return Err(NotTaken::TooLarge);
        }
        if !self.shapes.is_sorted_by(|a, b| a < b) || self.shapes.len() > usize::from(u16::MAX) {
            return Err(malformed("the shapes are not in order, each once"));
        }
        self.shapes.iter().try_for_each(|s| check_shape(s, list))?;
        if self.facts.is_empty() {
            return Err(malformed("no facts"));
        }
        let in_order = |a: &Fact, b: &Fact| a.order(b) == Ordering::Less;
        if !self.facts.is_sorted_by(in_order) {
            return Err(malformed("the facts are not in order, each once"));
        }
        let mut used = vec![false; self.shapes.len()];
        for fact in &self.facts {
            self.check_fact(fact)?;
            if let Some(used) = used.get_mut(usize::from(fact.shape)) {
                *used = true;
            }
        }
        if used.contains(&false) {
            return Err(malformed("a shape without facts"));
        }
        Ok(())
    }

    fn check_fact(&self, fact: &Fact) -> Result<(), NotTaken> {
        let no_shape = || malformed("a fact without a shape");
        let shape = self.shape(fact).ok_or_else(no_shape)?;
        let fits = match (&fact.value, shape.transform) {
            (Value::Token(_), transform) => transform.indicator().is_some(),
            (Value::Text(text), Transform::KeepText) => text.len() <= limits::EGRESS_TEXT_BYTES_MAX,
            (Value::Text(_), _) => false,
        };
        if !fits {
            return Err(malformed("a value that is not of its shape"));
        }
        if !may_be_of(self.header.epoch, fact.day) {
            return Err(malformed("a day far from the epoch"));
        }
        if fact.count.is_some() != shape.has_count
            || (fact.technique.is_some() && !shape.has_technique)
        {
            return Err(malformed("a fact that says more or less than its shape"));
        }
        Ok(())
    }
}

/// Whether facts of `day` may stand in a batch of `epoch`.
pub(super) fn may_be_of(epoch: Epoch, day: Day) -> bool {
    let first = epoch.first_day().0;
    let last = epoch.last_day().0;
    (first.saturating_sub(limits::EGRESS_DAYS_LATE_MAX)..=last.saturating_add(1)).contains(&day.0)
}

fn check_shape(shape: &Shape, list: &AllowList) -> Result<(), NotTaken> {
    let table = shape.table.as_str();
    let refuse = |transform| {
        Err(NotTaken::NotAllowed {
            table: shape.table.clone(),
            column: shape.column.clone(),
            transform,
        })
    };
    if !shape.transform.is_value() {
        return Err(malformed("a shape that is about nothing"));
    }
    let has = |transform| list.entry(table, &shape.column, transform).is_some();
    if !has(shape.transform) {
        return refuse(shape.transform);
    }
    if !list.has_day(table) {
        return refuse(Transform::Day);
    }
    if shape.has_count && !has(Transform::CountBucket) {
        return refuse(Transform::CountBucket);
    }
    if shape.has_technique && !list.has_technique() {
        return refuse(Transform::Technique);
    }
    Ok(())
}

fn read(r: &mut Reader<'_>) -> Result<Batch, NotTaken> {
    let short = || malformed("cut short");
    let mut head = || {
        let header = Header {
            batch: SegmentId::from_bytes(r.array()?),
            contributor: ContributorToken::from_bytes(r.array()?),
            epoch: Epoch(r.u32()?),
        };
        let version = r.u64()?;
        let digest = Digest::from_bytes(r.array()?);
        Some((header, Accepted { version, digest }, r.u16()?))
    };
    let (header, list, n_shapes) = head().ok_or_else(short)?;
    let mut shapes = Vec::new();
    for _ in 0..n_shapes {
        shapes.push(read_shape(r).ok_or_else(|| malformed("a shape is damaged"))?);
    }
    let n_facts = r.u32().ok_or_else(short)?;
    if usize::try_from(n_facts).is_ok_and(|n| n > limits::EGRESS_FACTS_MAX) {
        return Err(NotTaken::TooLarge);
    }
    let mut facts = Vec::new();
    for _ in 0..n_facts {
        facts.push(read_fact(r, &shapes).ok_or_else(|| malformed("a fact is damaged"))?);
    }
    Ok(Batch {
        header,
        list,
        shapes,
        facts,
    })
}

fn read_shape(r: &mut Reader<'_>) -> Option<Shape> {
    let table = TableName::new(r.text()?).ok()?;
    let column = r
        .text()
        .filter(|c| c.len() <= limits::NAME_BYTES_MAX)?
        .to_owned();
    let code = r.u8()?;
    let transform = Transform::ALL
        .into_iter()
        .find(|t| transform_code(*t) == code)?;
    let flags = r.u8()?;
    (flags & !(HAS_COUNT | HAS_TECHNIQUE) == 0).then_some(Shape {
        table,
        column,
        transform,
        has_count: flags & HAS_COUNT != 0,
        has_technique: flags & HAS_TECHNIQUE != 0,
    })
}

fn read_fact(r: &mut Reader<'_>, shapes: &[Shape]) -> Option<Fact> {
    let number = r.u16()?;
    let shape = shapes.get(usize::from(number))?;
    let value = match shape.transform {
        Transform::KeepText => Value::Text(r.text()?.to_owned()),
        _ => Value::Token(IndicatorToken::from_bytes(r.array()?)),
    };
    let day = Day(r.u32()?);
    let numbers = if shape.has_technique {
        (r.u16()?, r.u16()?)
    } else {
        (0, 0)
    };
    let technique = match numbers {
        (0, 0) => None,
        (number, sub) => Some(Technique::from_numbers(number, sub)?),
    };
    let count = if shape.has_count {
        Some(CountBucket::from_code(r.u8()?)?)
    } else {
        None
    };
    Some(Fact {
        shape: number,
        value,
        day,
        technique,
        count,
    })
}

fn put_fact(out: &mut Vec<u8>, fact: &Fact, with_technique: bool) {
    out.extend_from_slice(&fact.shape.to_le_bytes());
    match &fact.value {
        Value::Token(token) => out.extend_from_slice(token.as_bytes()),
        Value::Text(text) => put_text(out, text),
    }
    out.extend_from_slice(&fact.day.0.to_le_bytes());
    if with_technique {
        let (number, sub) = fact.technique.map_or((0, 0), Technique::numbers);
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&sub.to_le_bytes());
    }
    if let Some(count) = fact.count {
        out.push(count.code());
    }
}

/// The numbers of the format; never changed.
const fn transform_code(transform: Transform) -> u8 {
    match transform {
        Transform::IndicatorFileSha256 => 1,
        Transform::IndicatorExternalIp => 2,
        Transform::IndicatorRegistrableDomain => 3,
        Transform::Day => 4,
        Transform::Technique => 5,
        Transform::CountBucket => 6,
        Transform::KeepText => 7,
    }
}

const fn malformed(what: &'static str) -> NotTaken {
    NotTaken::Malformed { what }
}
