//! Values to numbers: what groups are made of.
//!
//! A value gets the next number when it is first met. Of a dictionary each value is looked up once,
//! its rows then go by their codes. Numbers of several columns become one by [`Pairs`].

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use crate::aggregates::unique::Spread;
use crate::scan::stages::same;

/// Not met yet.
const UNKNOWN: u32 = u32::MAX;
/// Slots of a table by two numbers, at most; beyond, it is a map.
const SLOTS_MAX: usize = 1 << 20;
/// Bytes of an entry of a hash map, about.
const ENTRY_BYTES: usize = 24;

type Map<K> = HashMap<K, u32, BuildHasherDefault<Spread>>;

/// Whether values of this type can be numbered here, equal ones alike as where the library groups.
pub(super) fn is_numbered(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Int64 | DataType::Int32 | DataType::Boolean
    )
}

/// The distinct values of one column.
pub(super) struct Numbers {
    of: DataType,
    known: Known,
    /// The dictionary whose codes are known; kept, so that it cannot be mistaken for another.
    dictionary: Option<ArrayRef>,
    codes: Vec<u32>,
    scratch: Vec<usize>,
}

enum Known {
    Longs {
        numbers: Map<i64>,
        values: Vec<Option<i64>>,
        null: Option<u32>,
    },
    Others(Box<dyn GroupValues>),
}

impl Numbers {
    pub(super) fn new(of: &DataType) -> Result<Self> {
        let known = if *of == DataType::Int64 {
            Known::Longs {
                numbers: Map::default(),
                values: Vec::new(),
                null: None,
            }
        } else {
            let schema = Schema::new(vec![Field::new("value", of.clone(), true)]);
            Known::Others(new_group_values(Arc::new(schema), &GroupOrdering::None)?)
        };
        Ok(Self {
            of: of.clone(),
            known,
            dictionary: None,
            codes: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match &self.known {
            Known::Longs { values, .. } => values.len(),
            Known::Others(values) => values.len(),
        }
    }

    /// The number of each row's value.
    pub(super) fn of(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        out.clear();
        let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else {
            return self.plain(column, out);
        };
        self.learn(dictionary.keys(), dictionary.values())?;
        let keys = dictionary.keys();
        if keys.null_count() == 0 {
            out.extend(keys.values().iter().map(|code| self.code(*code)));
        } else {
            let null = self.null()?;
            out.extend(
                keys.iter()
                    .map(|code| code.map_or(null, |code| self.code(code))),
            );
        }
        Ok(())
    }

    /// The number of null.
    pub(super) fn null(&mut self) -> Result<u32> {
        let mut number = Vec::new();
        self.plain(&new_null_array(&self.of.clone(), 1), &mut number)?;
        let number = number.first().copied();
        number.ok_or_else(|| exec_datafusion_err!("null has no number"))
    }

    fn code(&self, code: i32) -> u32 {
        let at = usize::try_from(code).unwrap_or(usize::MAX);
        self.codes.get(at).copied().unwrap_or(UNKNOWN)
    }

    /// Looks up the values of these codes that were not met before.
    fn learn(&mut self, keys: &Int32Array, values: &ArrayRef) -> Result<()> {
        if !self
            .dictionary
            .as_ref()
            .is_some_and(|known| same(known, values))
        {
            self.codes.clear();
            self.codes.resize(values.len(), UNKNOWN);
            self.dictionary = Some(values.clone());
        }
        let mut unknown = Vec::new();
        let mut meet = |code: i32| {
            let at = usize::try_from(code).unwrap_or(usize::MAX);
            if let Some(number) = self.codes.get_mut(at)
                && *number == UNKNOWN
            {
                *number = 0;
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
        self.plain(&take(values, &unknown, None)?, &mut numbers)?;
        for (code, number) in unknown.values().iter().zip(numbers) {
            let at = usize::try_from(*code).unwrap_or(usize::MAX);
            if let Some(slot) = self.codes.get_mut(at) {
                *slot = number;
            }
        }
        Ok(())
    }

    fn plain(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        match &mut self.known {
            Known::Longs {
                numbers,
                values,
                null,
            } => {
                let Some(longs) = column.as_primitive_opt::<Int64Type>() else {
                    return exec_err!("longs came as {}", column.data_type());
                };
                longs_of(longs, numbers, values, null, out)
            }
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
        self.dictionary = None;
        match &mut self.known {
            Known::Longs {
                numbers,
                values,
                null,
            } => {
                numbers.clear();
                *null = None;
                Ok(Arc::new(Int64Array::from(std::mem::take(values))))
            }
            Known::Others(values) => {
                let values = values.emit(EmitTo::All)?.into_iter().next();
                values.ok_or_else(|| exec_datafusion_err!("values without a column"))
            }
        }
    }

    pub(super) fn size(&self) -> usize {
        let known = match &self.known {
            Known::Longs {
                numbers, values, ..
            } => numbers.capacity() * ENTRY_BYTES + values.capacity() * 16,
            Known::Others(values) => values.size(),
        };
        known + self.codes.capacity() * 4 + self.scratch.capacity() * 8
    }
}

fn longs_of(
    longs: &Int64Array,
    numbers: &mut Map<i64>,
    values: &mut Vec<Option<i64>>,
    null: &mut Option<u32>,
    out: &mut Vec<u32>,
) -> Result<()> {
    let mut number_of = |value: i64| {
        let next = small(values.len())?;
        Ok::<_, datafusion::common::DataFusionError>(*numbers.entry(value).or_insert_with(|| {
            values.push(Some(value));
            next
        }))
    };
    if longs.null_count() == 0 {
        // Instants come in order, so their bins come in runs.
        let mut last: Option<(i64, u32)> = None;
        for value in longs.values() {
            let number = match last {
                Some((known, number)) if known == *value => number,
                _ => number_of(*value)?,
            };
            last = Some((*value, number));
            out.push(number);
        }
        return Ok(());
    }
    for value in longs {
        let number = match (value, *null) {
            (Some(value), _) => {
                let next = small(values.len())?;
                *numbers.entry(value).or_insert_with(|| {
                    values.push(Some(value));
                    next
                })
            }
            (None, Some(number)) => number,
            (None, None) => {
                let next = small(values.len())?;
                values.push(None);
                *null = Some(next);
                next
            }
        };
        out.push(number);
    }
    Ok(())
}

fn small(number: usize) -> Result<u32> {
    match u32::try_from(number) {
        Ok(number) if number < UNKNOWN => Ok(number),
        _ => exec_err!("too many distinct values"),
    }
}

/// Pairs of numbers and their numbers.
pub(super) struct Pairs {
    /// By the first number times `stride` plus the second, while that is small.
    table: Vec<u32>,
    stride: usize,
    /// Instead of the table.
    map: Option<Map<u64>>,
    /// The pairs by their numbers.
    made: Vec<(u32, u32)>,
}

impl Pairs {
    pub(super) fn new() -> Self {
        Self {
            table: Vec::new(),
            stride: 1,
            map: None,
            made: Vec::new(),
        }
    }

    pub(super) fn made(&self) -> &[(u32, u32)] {
        &self.made
    }

    /// The pair's number, and whether it is new.
    pub(super) fn number(&mut self, a: u32, b: u32) -> Result<(u32, bool)> {
        if self.map.is_none() {
            let at = self.slot(a, b);
            if let Some(number) = at.and_then(|at| self.table.get(at)) {
                if *number != UNKNOWN {
                    return Ok((*number, false));
                }
            } else {
                self.grow(a, b);
            }
        }
        let next = small(self.made.len())?;
        if let Some(map) = &mut self.map {
            let number = *map.entry(key(a, b)).or_insert(next);
            if number == next {
                self.made.push((a, b));
            }
            return Ok((number, number == next));
        }
        let at = self.slot(a, b);
        let Some(slot) = at.and_then(|at| self.table.get_mut(at)) else {
            return exec_err!("a pair without a place");
        };
        *slot = next;
        self.made.push((a, b));
        Ok((next, true))
    }

    fn slot(&self, a: u32, b: u32) -> Option<usize> {
        let (a, b) = (usize::try_from(a).ok()?, usize::try_from(b).ok()?);
        (b < self.stride).then(|| a.checked_mul(self.stride)?.checked_add(b))?
    }

    /// Makes room for a pair, or a map of the table.
    #[cold]
    fn grow(&mut self, a: u32, b: u32) {
        let above = |n: u32| usize::try_from(n).unwrap_or(usize::MAX >> 8) + 1;
        let stride = above(b).next_power_of_two().max(self.stride);
        let held = self.table.len() / self.stride;
        let rows = above(a).max(held).next_power_of_two();
        self.stride = stride;
        let slots = rows.saturating_mul(stride);
        if slots > SLOTS_MAX {
            self.table = Vec::new();
            let numbered = self.made.iter().zip(0..);
            self.map = Some(numbered.map(|((a, b), n)| (key(*a, *b), n)).collect());
            return;
        }
        let mut table = vec![UNKNOWN; slots];
        for ((a, b), number) in self.made.iter().zip(0..) {
            if let Some(slot) = self.slot(*a, *b).and_then(|at| table.get_mut(at)) {
                *slot = number;
            }
        }
        self.table = table;
    }

    pub(super) fn size(&self) -> usize {
        let map = self.map.as_ref().map_or(0, Map::capacity);
        self.table.capacity() * 4 + map * ENTRY_BYTES + self.made.capacity() * 8
    }
}

fn key(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// The groups of several columns.
pub(super) struct Groups {
    columns: Vec<Numbers>,
    /// The numbers of the first columns and the next one to one number.
    pairs: Vec<Pairs>,
    numbers: Vec<u32>,
    next: Vec<u32>,
}

impl Groups {
    pub(super) fn new(types: &[DataType]) -> Result<Self> {
        Ok(Self {
            columns: types.iter().map(Numbers::new).collect::<Result<_>>()?,
            pairs: types.iter().skip(1).map(|_| Pairs::new()).collect(),
            numbers: Vec::new(),
            next: Vec::new(),
        })
    }

    /// The group of each row; a new one has the next number.
    pub(super) fn of(&mut self, keys: &[ArrayRef]) -> Result<&[u32]> {
        let mut columns = self.columns.iter_mut().zip(keys);
        let Some((first, key)) = columns.next() else {
            return exec_err!("groups without keys");
        };
        first.of(key, &mut self.numbers)?;
        for ((column, key), pairs) in columns.zip(&mut self.pairs) {
            column.of(key, &mut self.next)?;
            for (number, next) in self.numbers.iter_mut().zip(&self.next) {
                *number = pairs.number(*number, *next)?.0;
            }
        }
        Ok(&self.numbers)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match (self.pairs.last(), self.columns.first()) {
            (Some(pairs), _) => pairs.made().len(),
            (None, Some(column)) => column.len(),
            (None, None) => 0,
        }
    }

    /// The keys of all groups; none is left.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let mut keys = Vec::with_capacity(self.columns.len());
        let mut left: Option<Vec<u32>> = None;
        let before = self.pairs_before();
        for (column, pairs) in self.columns.iter_mut().zip(&before).rev() {
            let values = column.take()?;
            let Some(pairs) = pairs else {
                // The first column: its numbers are what is left of the groups.
                keys.push(match left.take() {
                    Some(numbers) => take(&values, &UInt32Array::from(numbers), None)?,
                    None => values,
                });
                break;
            };
            let pair = |number: u32| {
                let at = usize::try_from(number).unwrap_or(usize::MAX);
                pairs.get(at).copied().unwrap_or_default()
            };
            let (first, second): (Vec<u32>, Vec<u32>) = match left.take() {
                Some(numbers) => numbers.into_iter().map(pair).unzip(),
                None => pairs.iter().copied().unzip(),
            };
            keys.push(take(&values, &UInt32Array::from(second), None)?);
            left = Some(first);
        }
        keys.reverse();
        Ok(keys)
    }

    /// For each column what joined it to those before it.
    fn pairs_before(&self) -> Vec<Option<Vec<(u32, u32)>>> {
        let pairs = self.pairs.iter().map(|pairs| Some(pairs.made().to_vec()));
        std::iter::once(None).chain(pairs).collect()
    }

    pub(super) fn size(&self) -> usize {
        let columns: usize = self.columns.iter().map(Numbers::size).sum();
        let pairs: usize = self.pairs.iter().map(Pairs::size).sum();
        columns + pairs + (self.numbers.capacity() + self.next.capacity()) * 4
    }
}
