//! The first side of a join, kept in memory: a number for each row's key, and the columns that go on.
//!
//! Text that goes on is kept as one dictionary per column: of each row group's dictionary the values
//! that rows have, each once. Values of several row groups may be equal; nobody asks.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, UInt32Array, new_empty_array,
};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, exec_datafusion_err};

use super::keys::{Keys, Reading, place};
use super::numbers::{ABSENT, Codes, List, small, texts_of};
use crate::kernels::args::Guard;
use crate::scan::test::plain;

/// Rows for which room is made beforehand, at most.
const EXPECTED_MAX: usize = 1 << 20;
/// Bytes that a key takes once all rows are there: where its rows begin, twice, and whether it was met
/// by the other side and has passed on it.
const KEY_BYTES: usize = 10;
/// Rows between two looks at the query's switch.
const LOOK_EVERY: usize = 1 << 16;

/// One column that goes on.
enum Column {
    Text(Text),
    Other(DataType, Vec<ArrayRef>),
}

/// A column of text: numbers, and the texts that they stand for; [`ABSENT`] is null.
#[derive(Default)]
struct Text {
    numbers: Vec<u32>,
    texts: List,
    codes: Codes,
}

impl Text {
    fn add(&mut self, column: &ArrayRef) -> Result<()> {
        let Self {
            numbers,
            texts,
            codes,
        } = self;
        let mut copied = |values: &ArrayRef, numbers: &mut Vec<u32>| {
            for value in texts_of(values)? {
                numbers.push(match value {
                    Some(text) => texts.push(text.as_bytes())?.0,
                    None => ABSENT,
                });
            }
            Ok(())
        };
        match column.as_dictionary_opt::<Int32Type>() {
            Some(dictionary) => codes.of(dictionary, ABSENT, numbers, copied),
            None => copied(column, numbers),
        }
    }

    fn size(&self) -> usize {
        self.numbers.capacity() * 4 + self.texts.size() + self.codes.size()
    }
}

impl Column {
    fn new(of: &DataType) -> Self {
        match of {
            DataType::Utf8 => Self::Text(Text::default()),
            of => Self::Other(of.clone(), Vec::new()),
        }
    }

    fn add(&mut self, column: &ArrayRef) -> Result<()> {
        match self {
            Self::Text(text) => text.add(column),
            // What is computed of text is a dictionary where the text was one, and may be none in the
            // next batch.
            Self::Other(_, parts) => {
                parts.push(plain(column)?);
                Ok(())
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.size(),
            Self::Other(_, parts) => parts.iter().map(Array::get_array_memory_size).sum(),
        }
    }

    fn whole(self) -> Result<Whole> {
        Ok(match self {
            Self::Text(text) => Whole::Text(text.numbers, Arc::new(text.texts.into_array(None)?)),
            Self::Other(of, parts) if parts.is_empty() => Whole::Other(new_empty_array(&of)),
            Self::Other(_, parts) => {
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                Whole::Other(concat(&parts)?)
            }
        })
    }
}

/// A column of all rows.
enum Whole {
    Text(Vec<u32>, ArrayRef),
    Other(ArrayRef),
}

/// Rows on their way in.
pub(super) struct Keeping {
    keys: Keys,
    reading: Reading,
    /// The number of each row's key.
    of: Vec<u32>,
    columns: Vec<Column>,
    /// The keys that have their row, where only the first row of each is kept.
    met: Option<Vec<bool>>,
    scratch: Vec<u32>,
}

impl Keeping {
    /// Of each key the first row only, if `unique`.
    pub(super) fn new(keys: &[DataType], columns: &[DataType], unique: bool) -> Self {
        Self {
            keys: Keys::new(keys),
            reading: Reading::default(),
            of: Vec::new(),
            columns: columns.iter().map(Column::new).collect(),
            met: unique.then(Vec::new),
            scratch: Vec::new(),
        }
    }

    /// Makes room for about as many rows.
    pub(super) fn expect(&mut self, rows: u64) {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.keys.expect(rows.min(EXPECTED_MAX));
    }

    /// Takes rows: their keys, and the columns that go on.
    pub(super) fn add(&mut self, keys: &[ArrayRef], columns: &[ArrayRef]) -> Result<()> {
        self.keys
            .number(keys, &mut self.reading, &mut self.scratch)?;
        let Some(met) = &mut self.met else {
            self.of.extend_from_slice(&self.scratch);
            for (column, array) in self.columns.iter_mut().zip(columns) {
                column.add(array)?;
            }
            return Ok(());
        };
        met.resize(self.keys.len(), false);
        let mut first = Vec::new();
        for (row, number) in self.scratch.iter().enumerate() {
            if let Some(met @ false) = met.get_mut(place(*number)) {
                *met = true;
                first.push(small(row)?);
                self.of.push(*number);
            }
        }
        let first = UInt32Array::from(first);
        for (column, array) in self.columns.iter_mut().zip(columns) {
            column.add(&take(array, &first, None)?)?;
        }
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::size).sum();
        let rows = self.of.capacity() + self.scratch.capacity();
        // What puts rows in the order of their keys takes as much again, and some words for each key.
        let met = self.met.as_ref().map_or(0, Vec::capacity);
        self.keys.size() + columns + rows * 8 + self.keys.len() * KEY_BYTES + met
    }

    /// All rows, by their keys.
    pub(super) fn whole(self, guard: &Guard) -> Result<Kept> {
        let mut starts = vec![0_u32; self.keys.len() + 1];
        for part in self.of.chunks(LOOK_EVERY) {
            guard.check()?;
            for number in part {
                if let Some(count) = starts.get_mut(place(*number) + 1) {
                    *count += 1;
                }
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut free = starts.clone();
        let mut rows = vec![0_u32; self.of.len()];
        for (part, numbers) in self.of.chunks(LOOK_EVERY).enumerate() {
            guard.check()?;
            for (row, number) in numbers.iter().enumerate() {
                if let Some(at) = free.get_mut(place(*number))
                    && let Some(slot) = rows.get_mut(place(*at))
                {
                    *slot = small(part * LOOK_EVERY + row)?;
                    *at += 1;
                }
            }
        }
        let columns = self.columns.into_iter().map(Column::whole);
        Ok(Kept {
            keys: Arc::new(self.keys),
            of: self.of,
            starts,
            rows,
            columns: columns.collect::<Result<_>>()?,
        })
    }
}

/// The whole first side.
pub(super) struct Kept {
    pub(super) keys: Arc<Keys>,
    /// The number of each row's key.
    of: Vec<u32>,
    /// Where in `rows` those of each key begin; one more than there are keys.
    starts: Vec<u32>,
    rows: Vec<u32>,
    columns: Vec<Whole>,
}

impl Kept {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// The number of a row's key.
    pub(super) fn key_of(&self, row: usize) -> u32 {
        self.of.get(row).copied().unwrap_or(ABSENT)
    }

    /// The rows of a key, in the order in which they came.
    pub(super) fn rows_of(&self, number: u32) -> &[u32] {
        let at = place(number);
        match (self.starts.get(at), self.starts.get(at.saturating_add(1))) {
            (Some(from), Some(until)) => {
                let rows = self.rows.get(place(*from)..place(*until));
                rows.unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// A column of these rows; null where there is none. Text is a dictionary.
    pub(super) fn column(&self, at: usize, rows: &UInt32Array) -> Result<ArrayRef> {
        let column = self.columns.get(at);
        let column = column.ok_or_else(|| exec_datafusion_err!("a column that was not kept"))?;
        Ok(match column {
            Whole::Other(column) => take(column, rows, None)?,
            Whole::Text(numbers, texts) => {
                // Null has a number that is none of a code.
                let code = |row: Option<u32>| {
                    let number = row.and_then(|row| numbers.get(place(row)).copied());
                    number.and_then(|number| i32::try_from(number).ok())
                };
                let codes: Int32Array = rows.iter().map(code).collect();
                Arc::new(DictionaryArray::try_new(codes, texts.clone())?)
            }
        })
    }
}
