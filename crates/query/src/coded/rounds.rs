//! A summary in several rounds, each of some of its groups.
//!
//! A summary that outgrows its memory is made in parts: its groups are told apart by a hash of their
//! keys, and each round reads all rows again and takes those of its groups. That costs a scan for each
//! part, which is much less than putting groups into files in order, and nothing is written.
//!
//! Promise: a group is in exactly one part, whether its keys came as dictionaries or plain. Where rows
//! may differ when they are read again, [`repeats`] says so.

use std::sync::Arc;

use crate::nodes::OneInput;
use crate::scan::SegmentsExec;
use crate::scan::stages::same;
use crate::widen::WidenExec;
use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, exec_err};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

/// LIMIT: parts of a summary, at most; each costs a scan. One that needs more is refused.
pub(super) const PARTS_MAX: u64 = 64;
/// Parts that are made of a part that outgrew its memory.
const SPLIT: u64 = 4;

/// The groups of which the hash leaves `at` when it is divided by `of`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    of: u64,
    at: u64,
}

impl Part {
    /// All groups.
    pub(super) const ALL: Self = Self { of: 1, at: 0 };

    /// The same groups in smaller parts; `None` if there would be too many of them.
    pub(super) fn split(self) -> Option<impl Iterator<Item = Self>> {
        let of = self.of.checked_mul(SPLIT).filter(|of| *of <= PARTS_MAX)?;
        let at = move |n| self.at + n * self.of;
        Some((0..SPLIT).map(move |n| Self { of, at: at(n) }))
    }

    pub(super) fn is_all(self) -> bool {
        self == Self::ALL
    }
}

/// Tells rows of a part from others.
pub(super) struct Sieve {
    part: Part,
    columns: Vec<Hashes>,
    rows: Vec<u64>,
}

/// The hashes of a column's values.
#[derive(Default)]
struct Hashes {
    /// The dictionary that is known; kept, so that it cannot be mistaken for another.
    dictionary: Option<ArrayRef>,
    of_codes: Vec<u64>,
    plain: Vec<u64>,
}

/// Of a value that is missing.
const NULL: u64 = 0x9E37_79B9_7F4A_7C15;

impl Sieve {
    pub(super) fn new(part: Part, keys: usize) -> Self {
        Self {
            part,
            columns: (0..keys).map(|_| Hashes::default()).collect(),
            rows: Vec::new(),
        }
    }

    /// Which rows are of the part; `None`: all.
    pub(super) fn of(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Option<BooleanArray>> {
        if self.part.is_all() {
            return Ok(None);
        }
        self.rows.clear();
        self.rows.resize(rows, 0);
        for (column, key) in self.columns.iter_mut().zip(keys) {
            column.mix(key, &mut self.rows)?;
        }
        let Part { of, at } = self.part;
        let is_in = |hash: &u64| (hash ^ hash >> 32) % of == at;
        Ok(Some(
            self.rows.iter().map(|hash| Some(is_in(hash))).collect(),
        ))
    }
}

/// Two hashes to one, not the same both ways round.
fn mixed(before: u64, hash: u64) -> u64 {
    (before.rotate_left(23) ^ hash).wrapping_mul(NULL)
}

impl Hashes {
    fn mix(&mut self, key: &ArrayRef, rows: &mut [u64]) -> Result<()> {
        let Some(dictionary) = key.as_dictionary_opt::<Int32Type>() else {
            hashes_of(key, &mut self.plain)?;
            for (row, hash) in rows.iter_mut().zip(&self.plain) {
                *row = mixed(*row, *hash);
            }
            return Ok(());
        };
        let values = dictionary.values();
        if !self
            .dictionary
            .as_ref()
            .is_some_and(|known| same(known, values))
        {
            hashes_of(values, &mut self.of_codes)?;
            self.dictionary = Some(values.clone());
        }
        for (row, code) in rows.iter_mut().zip(dictionary.keys()) {
            let hash = match code {
                None => Some(&NULL),
                Some(code) => usize::try_from(code)
                    .ok()
                    .and_then(|at| self.of_codes.get(at)),
            };
            let Some(hash) = hash else {
                return exec_err!("a code without a value");
            };
            *row = mixed(*row, *hash);
        }
        Ok(())
    }
}

/// The hash of each value, the same in every batch.
fn hashes_of(values: &ArrayRef, into: &mut Vec<u64>) -> Result<()> {
    into.clear();
    into.resize(values.len(), 0);
    create_hashes([values], &RandomState::with_seed(0), into)?;
    if let Some(nulls) = values.logical_nulls() {
        for (hash, is_valid) in into.iter_mut().zip(&nulls) {
            if !is_valid {
                *hash = NULL;
            }
        }
    }
    Ok(())
}

/// Whether a plan gives the same rows each time: its operators are among those that take them as they
/// are, one by one or in pairs, and compute nothing that changes.
pub(super) fn repeats(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut all = true;
    plan.apply(|node| {
        let mut steady = is_steady(node.as_ref());
        node.apply_expressions(&mut |expr| {
            steady &= !is_volatile(expr);
            Ok(TreeNodeRecursion::Continue)
        })?;
        all &= steady;
        Ok(if all {
            TreeNodeRecursion::Continue
        } else {
            TreeNodeRecursion::Stop
        })
    })?;
    Ok(all)
}

/// Whether which rows come does not hang on the order in which others do.
fn is_steady(node: &dyn ExecutionPlan) -> bool {
    let known = node.is::<SegmentsExec>()
        || node.is::<DataSourceExec>()
        || node.is::<EmptyExec>()
        || node.is::<FilterExec>()
        || node.is::<ProjectionExec>()
        || node.is::<UnionExec>()
        || node.is::<CoalescePartitionsExec>()
        || node.is::<CooperativeExec>()
        || node.is::<HashJoinExec>()
        || node.is::<WidenExec>()
        || node
            .downcast_ref::<OneInput>()
            .is_some_and(|one| one.forgets().is_some());
    known && node.fetch().is_none()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{DictionaryArray, Int64Array, StringArray};

    use super::*;

    /// The parts that are made if each outgrows its memory until it cannot be split.
    fn smallest(part: Part) -> Vec<Part> {
        match part.split() {
            None => vec![part],
            Some(parts) => parts.flat_map(smallest).collect(),
        }
    }

    #[test]
    fn every_row_is_of_one_part_whatever_its_keys_lie_in() {
        let texts: Vec<Option<String>> = (0..500)
            .map(|n| (n % 11 > 0).then(|| format!("text {}", n % 97)))
            .collect();
        let plain = StringArray::from(texts.clone());
        let coded: DictionaryArray<Int32Type> = texts.iter().map(Option::as_deref).collect();
        let numbers: Int64Array = (0..500).map(|n| (n % 7 > 0).then_some(n % 13)).collect();
        let numbers: ArrayRef = Arc::new(numbers);
        let plain: Vec<ArrayRef> = vec![Arc::new(plain), numbers.clone()];
        let coded: Vec<ArrayRef> = vec![Arc::new(coded), numbers];

        let parts = smallest(Part::ALL);
        assert_eq!(parts.len(), usize::try_from(PARTS_MAX).expect("few parts"));
        let mut of_rows = vec![0; 500];
        for part in parts {
            let rows_of = |keys: &[ArrayRef]| {
                let mine = Sieve::new(part, 2).of(keys, 500).expect("hashes");
                mine.expect("a part of all")
            };
            let mine = rows_of(&plain);
            assert_eq!(mine, rows_of(&coded), "{part:?}");
            assert!(mine.true_count() < 100, "{part:?} is no small part");
            for (row, is_mine) in of_rows.iter_mut().zip(mine.values()) {
                *row += i32::from(is_mine);
            }
        }
        assert_eq!(of_rows, vec![1; 500]);
    }
}
