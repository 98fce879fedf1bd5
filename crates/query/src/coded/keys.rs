//! The distinct keys of a join's first side, and their numbers.
//!
//! A key of one text is that text's number. Other keys are a few 64-bit words each: the number of a
//! text, the value of anything else, and one word that says which of those are null. Null is equal to
//! null.
//!
//! [`Keys`] are made while the first side is taken in; then they are shared, and the threads that
//! decode the second side look its rows up ([`Lookup`]).

use std::hash::BuildHasher as _;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, UInt32Array};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::common::{Result, exec_err};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::numbers::{ABSENT, Codes, Texts, small, spread, texts_of};
use crate::scan::stages::{Coded, Input, Step, Stepping};

/// Columns of a key, at most: each has a bit of a word.
pub(super) const KEYS_MAX: usize = 64;

/// A number as a place in a list.
pub(super) fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The distinct keys.
#[derive(Debug)]
pub(super) struct Keys {
    columns: Vec<Key>,
    /// Words of one key; none where a key is one text.
    width: usize,
    /// What hashes begin with: nobody knows it beforehand.
    seed: u64,
    table: HashTable<Known>,
    words: Vec<u64>,
}

#[derive(Debug)]
enum Key {
    Text(Texts),
    /// A whole number, an instant, a truth; with the least and the greatest of them, and whether
    /// some are null.
    Whole(Option<(i64, i64)>, bool),
}

/// A key's number, and half of its hash: that spares most looks at other keys.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u32,
    half: u32,
}

/// What is remembered from batch to batch while keys are read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    codes: Vec<Codes>,
    /// Words of the rows of a batch.
    words: Vec<u64>,
    numbers: Vec<u32>,
    halves: Vec<u32>,
}

impl Keys {
    pub(super) fn new(types: &[DataType]) -> Self {
        let column = |of: &DataType| match of {
            DataType::Utf8 => Key::Text(Texts::default()),
            _ => Key::Whole(None, false),
        };
        let columns: Vec<Key> = types.iter().map(column).collect();
        let width = match columns.as_slice() {
            [Key::Text(_)] => 0,
            _ => columns.len() + 1,
        };
        Self {
            columns,
            width,
            seed: DefaultHashBuilder::default().hash_one(width),
            table: HashTable::new(),
            words: Vec::new(),
        }
    }

    /// Makes room for about as many.
    pub(super) fn expect(&mut self, keys: usize) {
        match self.columns.as_mut_slice() {
            [Key::Text(texts)] => texts.expect(keys),
            _ => self.table.reserve(keys, |known| spread(known.half)),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self.columns.as_slice() {
            [Key::Text(texts)] => texts.len(),
            _ => self.words.len() / self.width.max(1),
        }
    }

    /// The number of each row's key; a new key gets the next one.
    pub(super) fn number(
        &mut self,
        keys: &[ArrayRef],
        reading: &mut Reading,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        out.clear();
        reading
            .codes
            .resize_with(self.columns.len(), Codes::default);
        if let ([Key::Text(texts)], [codes], [key]) = (
            self.columns.as_mut_slice(),
            reading.codes.as_mut_slice(),
            keys,
        ) {
            return numbered(key, texts, codes, out);
        }
        self.learn(keys, reading)?;
        self.look(reading, out);
        let width = self.width;
        for (row, (number, half)) in out.iter_mut().zip(&reading.halves).enumerate() {
            let key = words(&reading.words, row, width);
            if *number != ABSENT && is_same(words(&self.words, place(*number), width), key) {
                continue;
            }
            let is = |known: &Known| {
                let same = || is_same(words(&self.words, place(known.number), width), key);
                known.half == *half && same()
            };
            let hash = |known: &Known| spread(known.half);
            *number = match self.table.entry(spread(*half), is, hash) {
                Entry::Occupied(known) => known.get().number,
                Entry::Vacant(place) => {
                    let number = small(self.words.len() / width)?;
                    self.words.extend_from_slice(key);
                    let half = *half;
                    place.insert(Known { number, half });
                    number
                }
            };
        }
        Ok(())
    }

    /// What may be each key, before any word is looked at: in a step of its own, so that the rows of
    /// a batch do not wait for each other's memory.
    fn look(&self, reading: &Reading, out: &mut Vec<u32>) {
        let candidate = |half: &u32| {
            let is = |known: &Known| known.half == *half;
            let known = self.table.find(spread(*half), is);
            known.map_or(ABSENT, |known| known.number)
        };
        out.extend(reading.halves.iter().map(candidate));
    }

    /// The number of each row's key, [`ABSENT`] where it is not known.
    pub(super) fn find(
        &self,
        keys: &[ArrayRef],
        reading: &mut Reading,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        out.clear();
        reading
            .codes
            .resize_with(self.columns.len(), Codes::default);
        if let ([Key::Text(texts)], [codes], [key]) =
            (self.columns.as_slice(), reading.codes.as_mut_slice(), keys)
        {
            return found(key, texts, codes, out);
        }
        self.read(keys, reading)?;
        self.look(reading, out);
        for (row, (number, half)) in out.iter_mut().zip(&reading.halves).enumerate() {
            if *number != ABSENT {
                let key = words(&reading.words, row, self.width);
                if !is_same(words(&self.words, place(*number), self.width), key) {
                    *number = self.found(key, *half).unwrap_or(ABSENT);
                }
            }
        }
        Ok(())
    }

    fn found(&self, key: &[u64], half: u32) -> Option<u32> {
        let is = |known: &Known| {
            let same = || is_same(words(&self.words, place(known.number), self.width), key);
            known.half == half && same()
        };
        self.table.find(spread(half), is).map(|known| known.number)
    }

    /// Makes words of a batch's keys, of texts that are new, too.
    fn learn(&mut self, keys: &[ArrayRef], reading: &mut Reading) -> Result<()> {
        let width = self.width;
        let Reading { codes, words, .. } = reading;
        begin(words, keys, width);
        let columns = self.columns.iter_mut().zip(codes).zip(keys);
        for (at, ((column, codes), key)) in columns.enumerate() {
            match column {
                Key::Text(texts) => {
                    reading.numbers.clear();
                    numbered(key, texts, codes, &mut reading.numbers)?;
                    write_numbers(words, width, at, &reading.numbers);
                }
                Key::Whole(bounds, nulls) => {
                    let (least, null) = write_values(words, width, at, key)?;
                    *bounds = wider(*bounds, least);
                    *nulls |= null;
                }
            }
        }
        self.hash(reading);
        Ok(())
    }

    /// Makes words of a batch's keys; a text that is not known is [`ABSENT`].
    fn read(&self, keys: &[ArrayRef], reading: &mut Reading) -> Result<()> {
        let width = self.width;
        let Reading { codes, words, .. } = reading;
        begin(words, keys, width);
        let columns = self.columns.iter().zip(codes).zip(keys);
        for (at, ((column, codes), key)) in columns.enumerate() {
            match column {
                Key::Text(texts) => {
                    reading.numbers.clear();
                    found(key, texts, codes, &mut reading.numbers)?;
                    write_numbers(words, width, at, &reading.numbers);
                }
                Key::Whole(..) => {
                    write_values(words, width, at, key)?;
                }
            }
        }
        self.hash(reading);
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "half of a hash is asked for"
    )]
    fn hash(&self, reading: &mut Reading) {
        let folded = |hash: u64, word: &u64| {
            let product =
                u128::from(hash ^ word) * u128::from(0x9e37_79b9_7f4a_7c15_u64 ^ self.seed);
            (product as u64) ^ ((product >> 64) as u64)
        };
        let keys = reading.words.chunks_exact(self.width.max(1));
        let hash = |key: &[u64]| key.iter().fold(self.seed, folded) as u32;
        reading.halves.clear();
        reading.halves.extend(keys.map(hash));
    }

    /// Which texts are among those of a column.
    pub(super) fn know_texts(&self, column: usize, values: &StringArray) -> BooleanArray {
        match self.columns.get(column) {
            Some(Key::Text(texts)) => {
                let mut numbers = Vec::with_capacity(values.len());
                texts.find(values, &mut numbers);
                let known = BooleanBuffer::collect_bool(numbers.len(), |row| {
                    numbers.get(row).is_some_and(|number| *number != ABSENT)
                });
                BooleanArray::new(known, None)
            }
            _ => BooleanArray::from(vec![true; values.len()]),
        }
    }

    /// What is known of a column's values.
    pub(super) fn values(&self, column: usize) -> Values {
        match self.columns.get(column) {
            Some(Key::Text(texts)) => Values::Texts(texts.len()),
            Some(Key::Whole(Some((least, greatest)), false)) => Values::Whole(*least, *greatest),
            _ => Values::Any,
        }
    }

    pub(super) fn size(&self) -> usize {
        let texts = self.columns.iter().map(|column| match column {
            Key::Text(texts) => texts.size(),
            Key::Whole(..) => 0,
        });
        texts.sum::<usize>() + self.words.capacity() * 8 + self.table.capacity() * 9
    }
}

/// The values of a column of keys.
pub(super) enum Values {
    /// So many texts, null among them, that can be asked for.
    Texts(usize),
    /// Their least and greatest; none is null.
    Whole(i64, i64),
    /// Nothing is known.
    Any,
}

fn words(all: &[u64], row: usize, width: usize) -> &[u64] {
    all.get(row * width..(row + 1) * width).unwrap_or_default()
}

/// A few words: less than a call of what compares many.
fn is_same(a: &[u64], b: &[u64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

fn begin(words: &mut Vec<u64>, keys: &[ArrayRef], width: usize) {
    let rows = keys.first().map_or(0, Array::len);
    words.clear();
    words.resize(rows * width, 0);
}

fn write_numbers(words: &mut [u64], width: usize, at: usize, numbers: &[u32]) {
    let of_row = words.iter_mut().skip(at).step_by(width.max(1));
    for (word, number) in of_row.zip(numbers) {
        *word = u64::from(*number);
    }
}

/// Writes the values of a column of keys; says what is the least and the greatest of them, and
/// whether some are null.
fn write_values(
    words: &mut [u64],
    width: usize,
    at: usize,
    key: &ArrayRef,
) -> Result<(Option<(i64, i64)>, bool)> {
    let key = match key.data_type() {
        DataType::Int64 => key.clone(),
        _ => cast(key, &DataType::Int64)?,
    };
    let Some(values) = key.as_primitive_opt::<Int64Type>() else {
        return exec_err!("a key came as {}", key.data_type());
    };
    if values.null_count() == 0 {
        let of_row = words.iter_mut().skip(at).step_by(width.max(1));
        let mut bounds = values.values().first().map(|first| (*first, *first));
        for (word, value) in of_row.zip(values.values()) {
            *word = value.cast_unsigned();
            bounds = bounds.map(|(least, most)| (least.min(*value), most.max(*value)));
        }
        return Ok((bounds, false));
    }
    for (words, value) in words.chunks_exact_mut(width.max(1)).zip(values) {
        match (value, words) {
            (Some(value), words) => {
                if let Some(word) = words.get_mut(at) {
                    *word = value.cast_unsigned();
                }
            }
            (None, [.., nulls]) => *nulls |= 1 << at,
            (None, []) => {}
        }
    }
    Ok((None, true))
}

fn wider(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

fn numbered(
    key: &ArrayRef,
    texts: &mut Texts,
    codes: &mut Codes,
    out: &mut Vec<u32>,
) -> Result<()> {
    let Some(dictionary) = key.as_dictionary_opt::<Int32Type>() else {
        return texts.number(texts_of(key)?, out);
    };
    let null = match dictionary.keys().null_count() {
        0 => ABSENT,
        _ => texts.null_number()?,
    };
    codes.of(dictionary, null, out, |values, numbers| {
        texts.number(texts_of(values)?, numbers)
    })
}

fn found(key: &ArrayRef, texts: &Texts, codes: &mut Codes, out: &mut Vec<u32>) -> Result<()> {
    let Some(dictionary) = key.as_dictionary_opt::<Int32Type>() else {
        texts.find(texts_of(key)?, out);
        return Ok(());
    };
    codes.of(dictionary, texts.null(), out, |values, numbers| {
        texts.find(texts_of(values)?, numbers);
        Ok(())
    })
}

/// Looks rows up: a last column has the number of each row's key, [`ABSENT`] where it is not known.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) keys: Arc<Keys>,
    /// What a row's key is, over columns of `schema`.
    pub(super) of: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) schema: SchemaRef,
    /// Whether rows whose key is not known go no further.
    pub(super) drops: bool,
}

impl Step for Lookup {
    fn begin(&self) -> Result<Box<dyn Stepping>> {
        let of = self.of.iter().map(|key| Coded::new(key, &self.schema));
        Ok(Box::new(LookingUp {
            keys: self.keys.clone(),
            of: of.collect::<Result<_>>()?,
            drops: self.drops,
            reading: Reading::default(),
        }))
    }
}

#[derive(Debug)]
struct LookingUp {
    keys: Arc<Keys>,
    of: Vec<Coded>,
    drops: bool,
    reading: Reading,
}

impl Stepping for LookingUp {
    fn step(&mut self, mut columns: Vec<ArrayRef>, rows: usize) -> Result<(Vec<ArrayRef>, usize)> {
        let mut input = Input::new(&columns, rows);
        let keys = self.of.iter_mut().map(|key| key.run(&mut input));
        let keys: Vec<ArrayRef> = keys.collect::<Result<_>>()?;
        let mut numbers = Vec::with_capacity(rows);
        self.keys.find(&keys, &mut self.reading, &mut numbers)?;
        if !self.drops {
            columns.push(Arc::new(UInt32Array::from(numbers)));
            return Ok((columns, rows));
        }
        let (mut columns, rows) = with_number(columns, &numbers)?;
        numbers.retain(|number| *number != ABSENT);
        columns.push(Arc::new(UInt32Array::from(numbers)));
        Ok((columns, rows))
    }
}

/// The rows that have a number.
fn with_number(mut columns: Vec<ArrayRef>, numbers: &[u32]) -> Result<(Vec<ArrayRef>, usize)> {
    if !numbers.contains(&ABSENT) {
        return Ok((columns, numbers.len()));
    }
    let mut kept = Vec::with_capacity(numbers.len());
    for (row, number) in numbers.iter().enumerate() {
        if *number != ABSENT {
            kept.push(small(row)?);
        }
    }
    let kept = UInt32Array::from(kept);
    for column in &mut columns {
        *column = take(column, &kept, None)?;
    }
    Ok((columns, kept.len()))
}

/// Leaves out rows whose text is not among those of a column of the keys.
#[derive(Clone, Debug)]
pub(super) struct Sieve {
    pub(super) keys: Arc<Keys>,
    /// The column of the keys.
    pub(super) at: usize,
    /// The column of the rows.
    pub(super) column: usize,
}

impl Step for Sieve {
    fn begin(&self) -> Result<Box<dyn Stepping>> {
        Ok(Box::new(Sieving {
            sieve: self.clone(),
            codes: Codes::default(),
            numbers: Vec::new(),
        }))
    }
}

#[derive(Debug)]
struct Sieving {
    sieve: Sieve,
    codes: Codes,
    numbers: Vec<u32>,
}

impl Stepping for Sieving {
    fn step(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<(Vec<ArrayRef>, usize)> {
        let Sieve { keys, at, column } = &self.sieve;
        let (Some(Key::Text(texts)), Some(column)) = (keys.columns.get(*at), columns.get(*column))
        else {
            return Ok((columns, rows));
        };
        self.numbers.clear();
        found(column, texts, &mut self.codes, &mut self.numbers)?;
        with_number(columns, &self.numbers)
    }
}
