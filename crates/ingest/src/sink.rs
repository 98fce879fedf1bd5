//! Rows on their way into the columns of their tables.
//!
//! A record is staged as borrowed members, judged (has it a time, may its table be?), and only then
//! written: a refused record leaves no cell behind.
//!
//! Exporters write the columns of a table in one order, so the columns of a record are guessed to be
//! those of an earlier one ([`Shape`]); a right guess costs one comparison per name and saves the
//! look-ups and the sorting that identity needs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Code, ColumnType, Schema, Table, TableKind, TableName, Ticks, schema::TIME_ALIAS};
use rows::{TableBuilder, TableRows};

use crate::context::{Quota, RAW_BAG, RAW_TIME, SourceContext, TIME_NAMES};
use crate::convert::{self, Outcome};
use crate::json::{self, Kind, Member, Value};
use crate::outcome::Error;

/// Bytes of record text after which a table's rows so far become a batch: far below the 2 GiB that
/// one text column of a batch can hold, whatever escaping adds.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// Orders of columns remembered per table: as many exporters may alternate without a sort.
const SHAPES_MAX: usize = 4;

/// Why a record makes no row.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: Cow<'static, str>,
}

impl Refusal {
    pub(crate) const fn new(code: Code, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }
}

/// Where a member of a record goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    /// A column with a type of its own.
    Typed(usize, ColumnType),
    /// The other name of the time column.
    TimeAlias,
    /// A column outside the schema.
    Raw(usize),
    /// One of the bag's members.
    Bag,
    /// Outside the schema; not yet asked for.
    Unasked,
}

/// One order in which a sender writes a table's columns.
#[derive(Debug)]
struct Shape {
    keys: Vec<Box<str>>,
    slots: Vec<Slot>,
    /// Positions in the order of the names, for identity.
    sorted: Vec<usize>,
    /// Members that may say the row's time, best first.
    times: Vec<usize>,
}

impl Shape {
    fn fits(&self, members: &[Member<'_>]) -> bool {
        self.keys.len() == members.len()
            && self
                .keys
                .iter()
                .zip(members)
                .all(|(key, m)| !m.key.is_escaped() && **key == *m.key.text)
    }
}

/// A table that rows of this request go to.
#[derive(Debug)]
struct Open {
    name: TableName,
    table: Option<Arc<Table>>,
    builder: TableBuilder,
    /// Position of the column with the row's own time.
    time: Option<usize>,
    shapes: Vec<Shape>,
    bytes: usize,
    /// Where a row outside the schema has its time, best first.
    time_names: Vec<Box<str>>,
}

impl Open {
    fn known(table: &Arc<Table>) -> Self {
        let time = table.time_column.as_ref().and_then(|t| table.column(t));
        Self {
            name: table.name.clone(),
            builder: TableBuilder::known(table),
            time: time.map(|(at, _)| at),
            table: Some(table.clone()),
            shapes: Vec::new(),
            bytes: 0,
            time_names: Vec::new(),
        }
    }

    fn raw(name: TableName, time_column: Option<&str>) -> Self {
        let mut builder = TableBuilder::raw(name.clone());
        let time = builder.raw_column(RAW_TIME, ColumnType::DateTime);
        Self {
            name,
            builder,
            time: Some(time),
            table: None,
            shapes: Vec::new(),
            bytes: 0,
            time_names: match time_column {
                Some(name) => vec![name.into(), RAW_TIME.into()],
                None => TIME_NAMES.map(Into::into).to_vec(),
            },
        }
    }

    fn needs_time(&self) -> bool {
        self.table
            .as_ref()
            .is_some_and(|t| t.kind == TableKind::Event && t.time_column.is_some())
    }

    /// The shape that `members` have, made if it is new.
    fn shape(&mut self, members: &[Member<'_>]) -> usize {
        if let Some(at) = self.shapes.iter().position(|s| s.fits(members)) {
            return at;
        }
        let slot = |m: &Member<'_>| {
            let key = m.key.text();
            match &self.table {
                Some(table) => match table.column(&key) {
                    Some((at, column)) => Slot::Typed(at, column.column_type),
                    None if key == TIME_ALIAS && self.time.is_some() => Slot::TimeAlias,
                    None => Slot::Unasked,
                },
                None if key == RAW_TIME => {
                    Slot::Typed(self.time.unwrap_or_default(), ColumnType::DateTime)
                }
                None => Slot::Unasked,
            }
        };
        let slots: Vec<Slot> = members.iter().map(slot).collect();
        let mut sorted: Vec<usize> = (0..members.len()).collect();
        sorted.sort_by_cached_key(|at| members.get(*at).map(|m| m.key.text()));
        let is_time = |s: &Slot| matches!(s, Slot::Typed(at, _) if Some(*at) == self.time);
        let times: Vec<usize> = if self.table.is_some() {
            let time = slots.iter().position(is_time);
            let alias = slots.iter().position(|s| *s == Slot::TimeAlias);
            time.into_iter().chain(alias).collect()
        } else {
            let at = |name: &str| members.iter().position(|m| m.key.text() == name);
            self.time_names.iter().filter_map(|name| at(name)).collect()
        };
        let shape = Shape {
            // A key with escapes never fits again: such a record is looked up each time.
            keys: members.iter().map(|m| m.key.text.into()).collect(),
            times,
            slots,
            sorted,
        };
        if self.shapes.len() >= SHAPES_MAX {
            self.shapes.remove(0);
        }
        self.shapes.push(shape);
        self.shapes.len() - 1
    }
}

/// A cell of a row that a mapping made.
#[derive(Debug)]
pub(crate) enum Cell<'a> {
    /// The source's own value.
    Value(Value<'a>),
    /// Text made from it.
    Text(Cow<'a, str>),
    /// A number made from it.
    Long(i64),
    /// The row's time.
    Time(Ticks),
    /// JSON text of an object.
    Json(String),
}

/// All rows of one request.
#[derive(Debug)]
pub(crate) struct Sink<'c> {
    pub(crate) quota: Quota<'c>,
    open: Vec<Open>,
    by_name: BTreeMap<String, usize>,
    last: usize,
    finished: Vec<TableRows>,
    scratch: String,
    time_column: Option<&'c str>,
    /// Rows outside the schema without a time of their own.
    pub(crate) untimed: u64,
    /// Rows with text that is no text; see [`Value::is_inexact`].
    pub(crate) replaced: u64,
}

impl<'c> Sink<'c> {
    pub(crate) fn new(context: &SourceContext<'c>) -> Self {
        Self {
            quota: Quota::new(context.known_raw),
            open: Vec::new(),
            by_name: BTreeMap::new(),
            last: 0,
            finished: Vec::new(),
            scratch: String::new(),
            time_column: context.time_column,
            untimed: 0,
            replaced: 0,
        }
    }

    /// Whether the table is outside the schema.
    pub(crate) fn is_raw(name: &str) -> bool {
        Schema::hunting().table(name).is_none()
    }

    fn table(&mut self, name: &str) -> Result<usize, Refusal> {
        if self
            .open
            .get(self.last)
            .is_some_and(|o| o.name.as_str() == name)
        {
            return Ok(self.last);
        }
        if let Some(at) = self.by_name.get(name) {
            self.last = *at;
            return Ok(*at);
        }
        let open = if let Some(table) = Schema::hunting().table(name) {
            Open::known(table)
        } else {
            let name = TableName::new(name).map_err(|_| {
                Refusal::new(Code::BadCategory, "the category is not a table's name")
            })?;
            if !self.quota.admit_table(&name) {
                return Err(Refusal::new(
                    Code::TableQuota,
                    "the tenant has as many tables outside the schema as it may",
                ));
            }
            self.quota.note(&name, RAW_TIME, ColumnType::DateTime);
            Open::raw(name, self.time_column)
        };
        self.last = self.open.len();
        self.by_name.insert(name.to_owned(), self.last);
        self.open.push(open);
        Ok(self.last)
    }

    /// Adds the row that `members` are, in the names of the table's own columns. `text_bytes` is the
    /// record's size; `prefix` begins its identity.
    pub(crate) fn append_members(
        &mut self,
        table: &str,
        members: &[Member<'_>],
        record: u64,
        text_bytes: usize,
        prefix: &[u8],
    ) -> Result<(), Refusal> {
        let at = self.table(table)?;
        let Self {
            open,
            quota,
            scratch,
            finished,
            untimed,
            replaced,
            ..
        } = self;
        let Some(open) = open.get_mut(at) else {
            return Ok(());
        };
        let shape = open.shape(members);
        let time = row_time(open, shape, members, scratch)?;
        let mut kept: Vec<&Member<'_>> = Vec::new();
        let mut bag: Vec<&Member<'_>> = Vec::new();
        let mut any_inexact = false;
        if let (Some(column), Some(time)) = (open.time, time) {
            open.builder.set_ticks(column, time.ticks);
        }
        for (n, member) in members.iter().enumerate() {
            let is_time = time.as_ref().is_some_and(|t| t.from == n);
            let slot = open.slot(shape, n, member, quota);
            let outcome = match slot {
                Slot::Typed(at, _) if Some(at) == open.time && is_time => Outcome::Done,
                // Another column was named as the time: this one's value has no cell left.
                Slot::Typed(at, _) if Some(at) == open.time && time.is_some() => homeless(member),
                Slot::TimeAlias if is_time => Outcome::Done,
                Slot::Typed(at, ty) => {
                    convert::set(&mut open.builder, at, ty, member.value, scratch)
                }
                Slot::Raw(at) => convert::set_raw(&mut open.builder, at, member.value),
                Slot::TimeAlias => homeless(member),
                Slot::Bag | Slot::Unasked => {
                    bag.push(member);
                    Outcome::Done
                }
            };
            let is_dynamic = matches!(slot, Slot::Typed(_, ColumnType::Dynamic));
            let inexact = member.key.is_inexact() || loses(member.value, is_dynamic);
            if outcome == Outcome::Kept || inexact {
                kept.push(member);
            }
            any_inexact |= inexact;
        }
        *replaced += u64::from(any_inexact);
        *untimed += u64::from(time.is_none() && open.table.is_none());
        if !bag.is_empty() {
            let at = open.builder.raw_column(RAW_BAG, ColumnType::Dynamic);
            quota.note(&open.name, RAW_BAG, ColumnType::Dynamic);
            open.builder.set_text(at, &object(&bag));
        }
        if !kept.is_empty() {
            open.builder.set_source_fields(&as_sent(&kept));
        }
        let sorted = open.shapes.get(shape).map(|s| s.sorted.iter().copied());
        open.builder.end_row(record, |out| {
            out.extend_from_slice(prefix);
            json::canonical_in_order(members, sorted.into_iter().flatten(), out);
        });
        cut(open, text_bytes, finished)
    }

    /// Adds a row that a mapping made of another source's event. Its values' originals are all in
    /// `source_fields`, so what does not convert needs no second home.
    pub(crate) fn append_mapped(
        &mut self,
        table: &str,
        cells: &[(&str, Cell<'_>)],
        source_fields: &str,
        identity: &[u8],
        record: u64,
    ) -> Result<(), Refusal> {
        let at = self.table(table)?;
        let Self {
            open,
            scratch,
            finished,
            replaced,
            ..
        } = self;
        let mut any_inexact = false;
        let Some(open) = open.get_mut(at) else {
            return Ok(());
        };
        let Some(table) = open.table.clone() else {
            return Ok(());
        };
        for (name, cell) in cells {
            let Some((at, column)) = table.column(name) else {
                continue;
            };
            let ty = column.column_type;
            let value = match cell {
                Cell::Value(value) => *value,
                Cell::Text(text) => Value::plain(text),
                Cell::Json(text) => Value {
                    kind: Kind::Object,
                    text,
                    escapes: json::Escapes::None,
                },
                Cell::Time(time) => {
                    open.builder.set_ticks(at, *time);
                    continue;
                }
                Cell::Long(n) if ty == ColumnType::String => {
                    open.builder.set_text(at, &n.to_string());
                    continue;
                }
                Cell::Long(n) => {
                    open.builder.set_long(at, *n);
                    continue;
                }
            };
            // The first of several sources of a column wins, as the mapping lists them.
            if !open.builder.is_set(at) {
                convert::set(&mut open.builder, at, ty, value, scratch);
                any_inexact |= value.is_inexact();
            }
        }
        *replaced += u64::from(any_inexact);
        open.builder.set_source_fields(source_fields);
        open.builder
            .end_row(record, |out| out.extend_from_slice(identity));
        cut(open, source_fields.len() * 2, finished)
    }

    /// All rows, by table name, and what is new outside the schema.
    pub(crate) fn finish(mut self) -> Result<(Vec<TableRows>, crate::RawSchema), Error> {
        for open in &mut self.open {
            if open.builder.rows() > 0 {
                self.finished
                    .push(open.builder.finish().map_err(Error::Rows)?);
            }
        }
        // Stable: batches of one table stay in the order of their records.
        self.finished.sort_by(|a, b| a.table.cmp(&b.table));
        Ok((self.finished, self.quota.added))
    }
}

impl Open {
    /// The slot of a member, asking the quota the first time a name outside the schema comes.
    fn slot(&mut self, shape: usize, n: usize, member: &Member<'_>, quota: &mut Quota<'_>) -> Slot {
        let Some(slot) = self.shapes.get_mut(shape).and_then(|s| s.slots.get_mut(n)) else {
            return Slot::Bag;
        };
        if *slot == Slot::Unasked {
            let name = member.key.text();
            *slot = if quota.admit_column(&self.name, &name) {
                Slot::Raw(self.builder.raw_column(&name, ColumnType::Dynamic))
            } else {
                Slot::Bag
            };
        }
        *slot
    }
}

/// What becomes of a value that no cell takes.
fn homeless(member: &Member<'_>) -> Outcome {
    if member.value.is_missing() {
        Outcome::Done
    } else {
        Outcome::Kept
    }
}

#[derive(Clone, Copy)]
struct RowTime {
    ticks: Ticks,
    /// The member that said so.
    from: usize,
}

/// The row's own time: its time column, else that column's other name. Never the envelope's, which
/// says when the record was exported.
fn row_time(
    open: &Open,
    shape: usize,
    members: &[Member<'_>],
    scratch: &mut String,
) -> Result<Option<RowTime>, Refusal> {
    let Some(shape) = open.shapes.get(shape) else {
        return Ok(None);
    };
    let mut present = false;
    for from in shape.times.iter().copied() {
        let Some(member) = members.get(from).filter(|m| !m.value.is_missing()) else {
            continue;
        };
        present = true;
        let ticks = match open.table {
            Some(_) => convert::time(member.value, scratch),
            None => convert::any_time(member.value, scratch),
        };
        if let Some(ticks) = ticks {
            return Ok(Some(RowTime { ticks, from }));
        }
    }
    if !open.needs_time() {
        return Ok(None);
    }
    let reason = if present {
        "the event's time cannot be read"
    } else {
        "the event has no time"
    };
    Err(Refusal::new(Code::BadTime, reason))
}

fn cut(open: &mut Open, text_bytes: usize, finished: &mut Vec<TableRows>) -> Result<(), Refusal> {
    open.bytes += text_bytes;
    if open.bytes >= BATCH_BYTES_MAX {
        open.bytes = 0;
        let rows = open
            .builder
            .finish()
            .map_err(|_| Refusal::new(Code::Internal, "rows could not be built"))?;
        finished.push(rows);
    }
    Ok(())
}

/// Whether a cell cannot hold the value's text; JSON inside of a string becomes a dynamic cell's value.
fn loses(value: Value<'_>, is_dynamic: bool) -> bool {
    let inside = || {
        let may = is_dynamic && value.is_escaped() && value.text.contains("\\\\u");
        may && json::has_lone_surrogate(&value.text())
    };
    value.is_inexact() || inside()
}

/// The members as one JSON object; what cannot be said in text stands there as it was sent.
fn as_sent(members: &[&Member<'_>]) -> String {
    let mut out = String::from("{");
    for (n, member) in members.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        for (value, before) in [(member.key, ""), (member.value, ":")] {
            out.push_str(before);
            if value.is_inexact() {
                value.write_as_sent(&mut out);
            } else {
                value.write_compact(&mut out);
            }
        }
    }
    out.push('}');
    out
}

/// The members as one JSON object, in the order they came.
fn object(members: &[&Member<'_>]) -> String {
    let mut out = String::from("{");
    for (n, member) in members.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        member.key.write_compact(&mut out);
        out.push(':');
        member.value.write_compact(&mut out);
    }
    out.push('}');
    out
}
