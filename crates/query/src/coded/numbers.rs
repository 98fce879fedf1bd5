//! Values to numbers: what groups and the keys of joins are made of.
//!
//! A value gets the next number when it is first met. Of a dictionary each value is looked up once,
//! its rows then go by their codes.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, StringArray, new_null_array,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::keys::place;
use crate::aggregates::unique::Spread;
use crate::scan::stages::same;

/// Not met yet.
pub(super) const UNKNOWN: u32 = u32::MAX;
/// Looked for, and not there.
pub(super) const ABSENT: u32 = u32::MAX - 1;
/// Bytes of an entry of a hash map, about.
pub(super) const ENTRY_BYTES: usize = 24;

pub(super) type Map<K> = HashMap<K, u32, BuildHasherDefault<Spread>>;

/// Whether values of this type can be numbered here, equal ones alike as where the library groups.
pub(super) fn is_numbered(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Int64 | DataType::Int32 | DataType::Boolean
    )
}

/// Numbers of the values of one dictionary, each found once.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// The dictionary that is known; kept, so that it cannot be mistaken for another.
    dictionary: Option<ArrayRef>,
    numbers: Vec<u32>,
}

impl Codes {
    /// Adds the number of each row's value to `out`. `number` finds those of values not met before;
    /// `null` is that of null.
    pub(super) fn of(
        &mut self,
        dictionary: &DictionaryArray<Int32Type>,
        null: u32,
        out: &mut Vec<u32>,
        number: impl FnMut(&ArrayRef, &mut Vec<u32>) -> Result<()>,
    ) -> Result<()> {
        let keys = dictionary.keys();
        self.learn(keys, dictionary.values(), number)?;
        if keys.null_count() == 0 {
            out.extend(keys.values().iter().map(|code| self.number(*code)));
        } else {
            let codes = keys.iter();
            out.extend(codes.map(|code| code.map_or(null, |code| self.number(code))));
        }
        Ok(())
    }

    fn number(&self, code: i32) -> u32 {
        let at = usize::try_from(code).unwrap_or(usize::MAX);
        self.numbers.get(at).copied().unwrap_or(UNKNOWN)
    }

    fn learn(
        &mut self,
        keys: &Int32Array,
        values: &ArrayRef,
        mut number: impl FnMut(&ArrayRef, &mut Vec<u32>) -> Result<()>,
    ) -> Result<()> {
        if !self
            .dictionary
            .as_ref()
            .is_some_and(|known| same(known, values))
        {
            self.numbers.clear();
            self.numbers.resize(values.len(), UNKNOWN);
            self.dictionary = Some(values.clone());
        }
        let mut unknown = Vec::new();
        let mut meet = |code: i32| {
            let at = usize::try_from(code).unwrap_or(usize::MAX);
            if let Some(number) = self.numbers.get_mut(at)
                && *number == UNKNOWN
            {
                *number = ABSENT;
                unknown.push(code);
            }
        };
        if keys.null_count() == 0 {
            keys.values().iter().for_each(|code| meet(*code));
        } else {
            keys.iter().flatten().for_each(&mut meet);
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown = Int32Array::from(unknown);
        let mut numbers = Vec::with_capacity(unknown.len());
        number(&take(values, &unknown, None)?, &mut numbers)?;
        for (code, number) in unknown.values().iter().zip(numbers) {
            let at = usize::try_from(*code).unwrap_or(usize::MAX);
            if let Some(slot) = self.numbers.get_mut(at) {
                *slot = number;
            }
        }
        Ok(())
    }

    /// Knows no dictionary any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn size(&self) -> usize {
        self.numbers.capacity() * 4
    }
}

/// The distinct values of one column.
pub(super) struct Numbers {
    of: DataType,
    known: Known,
    codes: Codes,
    scratch: Vec<usize>,
}

enum Known {
    Longs(Longs),
    Texts(Texts),
    Others(Box<dyn GroupValues>),
}

impl Numbers {
    pub(super) fn new(of: &DataType) -> Result<Self> {
        let known = match of {
            DataType::Int64 => Known::Longs(Longs::default()),
            DataType::Utf8 => Known::Texts(Texts::default()),
            _ => {
                let schema = Schema::new(vec![Field::new("value", of.clone(), true)]);
                Known::Others(new_group_values(Arc::new(schema), &GroupOrdering::None)?)
            }
        };
        Ok(Self {
            of: of.clone(),
            known,
            codes: Codes::default(),
            scratch: Vec::new(),
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match &self.known {
            Known::Longs(longs) => longs.values.len(),
            Known::Texts(texts) => texts.len(),
            Known::Others(values) => values.len(),
        }
    }

    /// The number of each row's value.
    pub(super) fn of(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        out.clear();
        let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else {
            return self.plain(column, out);
        };
        let null = match dictionary.keys().null_count() {
            0 => UNKNOWN,
            _ => self.null()?,
        };
        let mut codes = std::mem::take(&mut self.codes);
        let found = codes.of(dictionary, null, out, |values, numbers| {
            self.plain(values, numbers)
        });
        self.codes = codes;
        found
    }

    /// The number of null.
    pub(super) fn null(&mut self) -> Result<u32> {
        let mut number = Vec::new();
        self.plain(&new_null_array(&self.of.clone(), 1), &mut number)?;
        let number = number.first().copied();
        number.ok_or_else(|| exec_datafusion_err!("null has no number"))
    }

    fn plain(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        match &mut self.known {
            Known::Longs(known) => {
                let Some(longs) = column.as_primitive_opt::<Int64Type>() else {
                    return exec_err!("longs came as {}", column.data_type());
                };
                known.number(longs, out)
            }
            Known::Texts(texts) => texts.number(texts_of(column)?, out),
            Known::Others(values) => {
                values.intern(std::slice::from_ref(column), &mut self.scratch)?;
                for number in &self.scratch {
                    out.push(small(*number)?);
                }
                Ok(())
            }
        }
    }

    /// All values by their numbers; none is left.
    pub(super) fn take(&mut self) -> Result<ArrayRef> {
        self.codes.forget();
        match &mut self.known {
            Known::Longs(longs) => {
                let values = std::mem::take(longs).values;
                Ok(Arc::new(Int64Array::from(values)))
            }
            Known::Texts(texts) => Ok(Arc::new(std::mem::take(texts).into_array()?)),
            Known::Others(values) => {
                let values = values.emit(EmitTo::All)?.into_iter().next();
                values.ok_or_else(|| exec_datafusion_err!("values without a column"))
            }
        }
    }

    pub(super) fn size(&self) -> usize {
        let known = match &self.known {
            Known::Longs(longs) => longs.size(),
            Known::Texts(texts) => texts.size(),
            Known::Others(values) => values.size(),
        };
        known + self.codes.size() + self.scratch.capacity() * 8
    }
}

/// A column of text.
pub(super) fn texts_of(column: &ArrayRef) -> Result<&StringArray> {
    let texts = column.as_string_opt::<i32>();
    texts.ok_or_else(|| exec_datafusion_err!("text came as {}", column.data_type()))
}

/// Distinct whole numbers and their numbers. Null is one of them.
#[derive(Default)]
struct Longs {
    numbers: Map<i64>,
    values: Vec<Option<i64>>,
    null: Option<u32>,
}

impl Longs {
    /// Adds the number of each value to `out`; a new value gets the next one.
    fn number(&mut self, longs: &Int64Array, out: &mut Vec<u32>) -> Result<()> {
        if longs.null_count() == 0 {
            // Instants come in order, so their bins come in runs.
            let mut last: Option<(i64, u32)> = None;
            for value in longs.values() {
                let number = match last {
                    Some((known, number)) if known == *value => number,
                    _ => self.number_of(*value)?,
                };
                last = Some((*value, number));
                out.push(number);
            }
            return Ok(());
        }
        for value in longs {
            out.push(match (value, self.null) {
                (Some(value), _) => self.number_of(value)?,
                (None, Some(number)) => number,
                (None, None) => {
                    let next = small(self.values.len())?;
                    self.values.push(None);
                    *self.null.insert(next)
                }
            });
        }
        Ok(())
    }

    fn number_of(&mut self, value: i64) -> Result<u32> {
        let next = small(self.values.len())?;
        Ok(*self.numbers.entry(value).or_insert_with(|| {
            self.values.push(Some(value));
            next
        }))
    }

    fn size(&self) -> usize {
        self.numbers.capacity() * ENTRY_BYTES + self.values.capacity() * 16
    }
}

pub(super) fn small(number: usize) -> Result<u32> {
    match u32::try_from(number) {
        Ok(number) if number < ABSENT => Ok(number),
        _ => exec_err!("too many distinct values"),
    }
}

/// Texts one after the other, by their numbers.
#[derive(Debug, Default)]
pub(super) struct List {
    data: Vec<u8>,
    /// Where each text ends in `data`.
    ends: Vec<u32>,
}

impl List {
    fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of a text that is added, and where it starts.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<(u32, u32)> {
        let number = small(self.ends.len())?;
        let start = u32::try_from(self.data.len());
        self.data.extend_from_slice(text);
        let (Ok(start), Ok(end)) = (start, u32::try_from(self.data.len())) else {
            return exec_err!("too much text in one column");
        };
        self.ends.push(end);
        Ok((number, start))
    }

    /// Whether a text starts here.
    fn has(&self, start: u32, text: &[u8]) -> bool {
        let start = place(start);
        self.data.get(start..start.saturating_add(text.len())) == Some(text)
    }

    /// The texts as a column; one of them may be null.
    pub(super) fn into_array(self, null: Option<u32>) -> Result<StringArray> {
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0_i32);
        for end in &self.ends {
            let Ok(end) = i32::try_from(*end) else {
                return exec_err!("too much text in one column");
            };
            offsets.push(end);
        }
        let nulls = null.map(|null| (0..self.ends.len()).map(|at| at != place(null)).collect());
        Ok(StringArray::try_new(
            OffsetBuffer::new(offsets.into()),
            Buffer::from_vec(self.data),
            nulls.map(NullBuffer::new),
        )?)
    }

    pub(super) fn size(&self) -> usize {
        self.data.capacity() + self.ends.capacity() * 4
    }
}

/// Distinct texts and their numbers. Null is one of them.
#[derive(Debug, Default)]
pub(super) struct Texts {
    hasher: DefaultHashBuilder,
    table: HashTable<Text>,
    list: List,
    null: Option<u32>,
    candidates: Candidates,
}

/// Texts that lie near enough for no value to wait for memory.
const NEAR: usize = 4096;

/// Half of a value's hash, and what has the same.
type Candidates = Vec<(u32, Option<Text>)>;

/// A text's number, where it lies, and half of its hash: that spares most looks at other texts.
#[derive(Clone, Copy, Debug)]
struct Text {
    number: u32,
    half: u32,
    start: u32,
    length: u32,
}

impl Text {
    fn is(&self, text: &[u8], list: &List) -> bool {
        place(self.length) == text.len() && list.has(self.start, text)
    }
}

/// A whole hash of its half.
pub(super) fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Texts {
    /// Makes room for about as many.
    pub(super) fn expect(&mut self, texts: usize) {
        self.table.reserve(texts, |text| spread(text.half));
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds the number of each value to `out`; a new value gets the next one.
    pub(super) fn number(&mut self, values: &StringArray, out: &mut Vec<u32>) -> Result<()> {
        if self.len() < NEAR {
            for value in values {
                let half = self.half(value);
                out.push(match value {
                    None => self.null_number()?,
                    Some(text) => self.number_of(text.as_bytes(), half)?,
                });
            }
            return Ok(());
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        self.look(values, &mut candidates);
        for (value, (half, candidate)) in values.iter().zip(&candidates) {
            out.push(match (value, candidate) {
                (None, _) => self.null_number()?,
                (Some(text), Some(known)) if known.is(text.as_bytes(), &self.list) => known.number,
                (Some(text), _) => self.number_of(text.as_bytes(), *half)?,
            });
        }
        self.candidates = candidates;
        Ok(())
    }

    /// What may be each value, before any text is looked at: in steps of their own, so that the
    /// values of a batch do not wait for each other's memory.
    fn look(&self, values: &StringArray, candidates: &mut Candidates) {
        candidates.clear();
        candidates.extend(values.iter().map(|text| (self.half(text), None)));
        for (half, candidate) in candidates {
            let is = |known: &Text| known.half == *half;
            *candidate = self.table.find(spread(*half), is).copied();
        }
    }

    /// The number of null, which is known from here on.
    pub(super) fn null_number(&mut self) -> Result<u32> {
        if let Some(number) = self.null {
            return Ok(number);
        }
        let (number, _) = self.list.push(&[])?;
        Ok(*self.null.insert(number))
    }

    fn number_of(&mut self, text: &[u8], half: u32) -> Result<u32> {
        let is = |known: &Text| known.half == half && known.is(text, &self.list);
        match self.table.entry(spread(half), is, |text| spread(text.half)) {
            Entry::Occupied(known) => Ok(known.get().number),
            Entry::Vacant(place) => {
                let (number, start) = self.list.push(text)?;
                place.insert(Text {
                    number,
                    half,
                    start,
                    length: small(text.len())?,
                });
                Ok(number)
            }
        }
    }

    /// Adds the number of each value to `out`, [`ABSENT`] where it is not known.
    pub(super) fn find(&self, values: &StringArray, out: &mut Vec<u32>) {
        let mut candidates = Candidates::new();
        self.look(values, &mut candidates);
        let found = |(text, (half, candidate)): (Option<&str>, &(u32, Option<Text>))| {
            let Some(text) = text else {
                return self.null();
            };
            match candidate {
                None => ABSENT,
                Some(known) if known.is(text.as_bytes(), &self.list) => known.number,
                Some(_) => self.found(text.as_bytes(), *half).unwrap_or(ABSENT),
            }
        };
        out.extend(values.iter().zip(&candidates).map(found));
    }

    /// The number of null, [`ABSENT`] where it was not met.
    pub(super) fn null(&self) -> u32 {
        self.null.unwrap_or(ABSENT)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "half of a hash is asked for"
    )]
    fn half(&self, text: Option<&str>) -> u32 {
        self.hasher.hash_one(text.unwrap_or_default().as_bytes()) as u32
    }

    fn found(&self, text: &[u8], half: u32) -> Option<u32> {
        let is = |known: &Text| known.half == half && known.is(text, &self.list);
        let known = self.table.find(spread(half), is);
        known.map(|known| known.number)
    }

    /// The texts by their numbers.
    fn into_array(self) -> Result<StringArray> {
        self.list.into_array(self.null)
    }

    pub(super) fn size(&self) -> usize {
        let table = self.table.capacity() * 17 + self.candidates.capacity() * 24;
        table + self.list.size()
    }
}
