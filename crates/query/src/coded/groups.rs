//! Numbers of several columns made one: what groups are made of.

use datafusion::arrow::array::{ArrayRef, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::numbers::{ENTRY_BYTES, Map, Numbers, UNKNOWN, small};

/// Slots of a table by two numbers, at most; beyond, it is a map.
const SLOTS_MAX: usize = 1 << 20;

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
