//! `count_distinct`: exact, over all groups at once.
//!
//! Every distinct value of the query is kept once and has a number; a group is a set of numbers. So a
//! value that many groups have costs each of them eight bytes, and a group of one value costs no more.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt32Array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{and, filter, is_not_null, take};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::physical_expr_common::binary_map::{ArrowBytesMap, OutputType};

/// Bytes of an entry of a hash set, about.
const ENTRY_BYTES: usize = 18;

/// Whether values of this type are counted here.
pub(crate) fn is_counted(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Int64)
}

/// The type of a group's state: its values.
pub(super) fn state_type(of: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", of.clone(), true)))
}

/// Spreads numbers that are small and dense.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_i64(&mut self, n: i64) {
        self.write_u64(n.cast_unsigned());
    }
}

/// Distinct values and their numbers, from 0.
enum Values {
    Text(ArrowBytesMap<i32, u32>, u32),
    Long(HashMap<i64, u32>, Vec<i64>),
}

impl Values {
    fn new(of: &DataType) -> Self {
        match of {
            DataType::Int64 => Self::Long(HashMap::new(), Vec::new()),
            _ => Self::Text(ArrowBytesMap::new(OutputType::Utf8), 0),
        }
    }

    /// The numbers of values, none of which is null.
    fn number(&mut self, values: &ArrayRef) -> Result<Vec<u32>> {
        let mut numbers = Vec::with_capacity(values.len());
        match self {
            Self::Text(map, known) => {
                let new = |_: Option<&[u8]>| {
                    let number = *known;
                    *known += 1;
                    number
                };
                map.insert_if_new(values, new, |number| numbers.push(number));
            }
            Self::Long(map, known) => {
                let Some(longs) = values.as_primitive_opt::<Int64Type>() else {
                    return exec_err!("longs came as {}", values.data_type());
                };
                for value in longs.values() {
                    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                    numbers.push(*map.entry(*value).or_insert_with(|| {
                        known.push(*value);
                        next
                    }));
                }
            }
        }
        if numbers.len() != values.len() {
            return exec_err!("a value without a number");
        }
        Ok(numbers)
    }

    /// All values by their numbers; none is left.
    fn take(&mut self) -> ArrayRef {
        match self {
            Self::Text(map, known) => {
                *known = 0;
                map.take().into_state()
            }
            Self::Long(map, known) => {
                map.clear();
                Arc::new(Int64Array::from(std::mem::take(known)))
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Text(map, _) => map.size(),
            Self::Long(map, known) => map.capacity() * ENTRY_BYTES + known.capacity() * 8,
        }
    }
}

/// The sets of all groups.
pub(super) struct Unique {
    of: DataType,
    values: Values,
    /// Group in the upper half, number of the value in the lower.
    pairs: HashSet<u64, BuildHasherDefault<Spread>>,
    counts: Vec<i64>,
}

fn pair(group: usize, number: u32) -> Result<u64> {
    if let Ok(group) = u32::try_from(group) {
        Ok(u64::from(group) << 32 | u64::from(number))
    } else {
        exec_err!("too many groups")
    }
}

fn parts(pair: u64) -> (usize, u32) {
    let half = |n: u64| u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (
        usize::try_from(half(pair >> 32)).unwrap_or(usize::MAX),
        half(pair),
    )
}

impl Unique {
    pub(super) fn new(of: DataType) -> Self {
        Self {
            values: Values::new(&of),
            of,
            pairs: HashSet::default(),
            counts: Vec::new(),
        }
    }

    fn add(&mut self, values: &ArrayRef, groups: &[usize]) -> Result<()> {
        let numbers = self.values.number(values)?;
        for (number, group) in numbers.into_iter().zip(groups) {
            if self.pairs.insert(pair(*group, number)?)
                && let Some(count) = self.counts.get_mut(*group)
            {
                *count += 1;
            }
        }
        Ok(())
    }

    /// The values of every group; nothing is left of them here.
    fn take_lists(&mut self) -> Result<ListArray> {
        let mut pairs: Vec<u64> = std::mem::take(&mut self.pairs).into_iter().collect();
        pairs.sort_unstable();
        let numbers = UInt32Array::from_iter_values(pairs.iter().map(|pair| parts(*pair).1));
        let values = take(&self.values.take(), &numbers, None)?;
        let counts = std::mem::take(&mut self.counts);
        let lengths = counts.iter().map(|n| usize::try_from(*n).unwrap_or(0));
        let field = Arc::new(Field::new("item", self.of.clone(), true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(ListArray::try_new(field, offsets, values, None)?)
    }

    /// Adds lists of values from row `first` on; the group of a row is what `group` says.
    fn add_lists(
        &mut self,
        lists: &ListArray,
        first: usize,
        group: impl Fn(usize) -> Option<usize>,
    ) -> Result<()> {
        for row in (first..lists.len()).filter(|row| lists.is_valid(*row)) {
            let group = group(row).ok_or_else(|| exec_datafusion_err!("a row without a group"))?;
            let values = lists.value(row);
            self.add(&values, &vec![group; values.len()])?;
        }
        Ok(())
    }
}

impl GroupsAccumulator for Unique {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let Some(values) = values.first() else {
            return exec_err!("count_distinct of nothing");
        };
        self.counts
            .resize(total_num_groups.max(self.counts.len()), 0);
        let keep = match (values.null_count(), opt_filter) {
            (0, None) => return self.add(values, group_indices),
            (0, Some(wanted)) => wanted.clone(),
            (_, None) => is_not_null(values)?,
            (_, Some(wanted)) => and(&is_not_null(values)?, &plain(wanted))?,
        };
        let keep = plain(&keep);
        let groups = group_indices.iter().zip(keep.values().iter());
        let groups: Vec<usize> = groups.filter(|(_, keep)| *keep).map(|(g, _)| *g).collect();
        self.add(&filter(values, &keep)?, &groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let gone = emit_to.take_needed(&mut self.counts);
        match emit_to {
            EmitTo::All => {
                self.pairs.clear();
                self.values = Values::new(&self.of);
            }
            EmitTo::First(n) => {
                let left = std::mem::take(&mut self.pairs).into_iter().map(parts);
                self.pairs = left
                    .filter(|(group, _)| *group >= n)
                    .map(|(group, number)| pair(group - n, number))
                    .collect::<Result<_>>()?;
            }
        }
        Ok(Arc::new(Int64Array::from(gone)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let lists = self.take_lists()?;
        let n = match emit_to {
            EmitTo::All => lists.len(),
            EmitTo::First(n) => n.min(lists.len()),
        };
        self.counts = vec![0; lists.len() - n];
        self.add_lists(&lists, n, |row| row.checked_sub(n))?;
        Ok(vec![Arc::new(lists.slice(0, n))])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let Some(lists) = values.first().and_then(|a| a.as_list_opt::<i32>()) else {
            return exec_err!("not the state of a count_distinct");
        };
        self.counts
            .resize(total_num_groups.max(self.counts.len()), 0);
        self.add_lists(lists, 0, |row| group_indices.get(row).copied())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut own = Self::new(self.of.clone());
        let rows = values.first().map_or(0, Array::len);
        let groups: Vec<usize> = (0..rows).collect();
        own.update_batch(values, &groups, opt_filter, rows)?;
        own.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.values.size()
            + self.pairs.capacity() * ENTRY_BYTES
            + self.counts.capacity() * 8
    }
}

/// Null as false.
fn plain(of: &BooleanArray) -> BooleanArray {
    match of.nulls() {
        None => of.clone(),
        Some(valid) => BooleanArray::new(of.values() & valid.inner(), None),
    }
}

/// Where there are no groups: all rows are one.
pub(super) struct Whole(Unique);

impl Whole {
    pub(super) fn new(of: DataType) -> Self {
        Self(Unique::new(of))
    }
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whole").finish_non_exhaustive()
    }
}

impl Accumulator for Whole {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, Array::len);
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let n = self.0.counts.first().copied().unwrap_or(0);
        Ok(ScalarValue::Int64(Some(n)))
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.counts.resize(1, 0);
        let state = self.0.state(EmitTo::All)?;
        let state = state.iter().map(|a| ScalarValue::try_from_array(a, 0));
        state.collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, Array::len);
        self.0.merge_batch(states, &vec![0; rows], 1)
    }
}
