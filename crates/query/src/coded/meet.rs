//! The second side of a join passes by the first one.
//!
//! Its rows come with the numbers of their keys. Pairs are made in portions, so that a key which
//! millions of rows have makes no batch of millions, and a cancelled query ends between two of them.

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, SchemaRef, UInt32Type};
use datafusion::common::{JoinType, Result, exec_datafusion_err};

use super::kept::Kept;
use super::keys::place;
use super::numbers::{ABSENT, small};
use crate::kernels::args::Guard;
use crate::scan::stages::batch;

/// A column of the output.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// Of those kept of the first side.
    Kept(usize, DataType),
    /// Of the second side.
    Passing(usize, DataType),
}

/// What a join gives.
#[derive(Clone, Debug)]
pub(super) struct Gives {
    pub(super) columns: Vec<Output>,
    /// The schema of the batches; `None`: each has its own, and text may be a dictionary.
    pub(super) schema: Option<SchemaRef>,
}

/// Rows of the second side that have been looked up.
struct Passing {
    columns: Vec<ArrayRef>,
    /// The number of each row's key.
    of: Vec<u32>,
    row: usize,
    /// Pairs of that row which were given.
    given: usize,
}

/// A join on its way.
pub(super) struct Meeting {
    kept: Kept,
    kind: JoinType,
    gives: Gives,
    /// Rows of a batch.
    rows_max: usize,
    guard: Guard,
    passing: Option<Passing>,
    /// The keys whose row of the second side has passed, where only the first one of each counts.
    passed: Option<Vec<bool>>,
    /// Keys that were met, where it matters.
    met: Vec<bool>,
    /// Rows of the first side that were looked at in the end.
    looked: usize,
    first: Vec<Option<u32>>,
    second: Vec<Option<u32>>,
}

impl Meeting {
    /// `unique`: only the first row of each key passes by.
    pub(super) fn new(
        kept: Kept,
        kind: JoinType,
        unique: bool,
        gives: Gives,
        rows_max: usize,
        guard: Guard,
    ) -> Self {
        let keys = kept.keys.len();
        let tells = matches!(
            kind,
            JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti
        );
        Self {
            met: vec![false; if tells { keys } else { 0 }],
            passed: unique.then(|| vec![false; keys]),
            kept,
            kind,
            gives,
            rows_max,
            guard,
            passing: None,
            looked: 0,
            first: Vec::new(),
            second: Vec::new(),
        }
    }

    /// Whether no row of the second side can give one.
    pub(super) fn is_done(&self) -> bool {
        let alone = matches!(
            self.kind,
            JoinType::Right | JoinType::Full | JoinType::RightAnti
        );
        self.kept.len() == 0 && !alone
    }

    /// Takes rows of the second side, their last column the numbers of their keys; those before must
    /// have been given.
    pub(super) fn pass(&mut self, mut columns: Vec<ArrayRef>) -> Result<()> {
        let numbers = columns.pop();
        let numbers = numbers
            .as_ref()
            .and_then(|n| n.as_primitive_opt::<UInt32Type>());
        let numbers =
            numbers.ok_or_else(|| exec_datafusion_err!("rows that were not looked up"))?;
        let mut of = numbers.values().to_vec();
        if let Some(passed) = &mut self.passed {
            for number in &mut of {
                match passed.get_mut(place(*number)) {
                    Some(true) => *number = ABSENT,
                    Some(first) => *first = true,
                    None => {}
                }
            }
        }
        if !self.met.is_empty() {
            for number in &of {
                if let Some(met) = self.met.get_mut(place(*number)) {
                    *met = true;
                }
            }
        }
        self.passing = Some(Passing {
            columns,
            of,
            row: 0,
            given: 0,
        });
        Ok(())
    }

    /// The next rows; `None` if those that passed by give no more.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.guard.check()?;
        let Some(passing) = &mut self.passing else {
            return Ok(None);
        };
        self.first.clear();
        self.second.clear();
        match self.kind {
            JoinType::LeftSemi | JoinType::LeftAnti => passing.row = passing.of.len(),
            JoinType::RightSemi | JoinType::RightAnti => {
                let wanted = self.kind == JoinType::RightSemi;
                for (row, number) in passing.of.iter().enumerate() {
                    if (*number != ABSENT) == wanted {
                        self.second.push(Some(small(row)?));
                    }
                }
                passing.row = passing.of.len();
            }
            kind => {
                let alone = matches!(kind, JoinType::Right | JoinType::Full);
                let (first, second) = (&mut self.first, &mut self.second);
                passing.pairs(&self.kept, alone, self.rows_max, first, second)?;
            }
        }
        let done = passing.row >= passing.of.len();
        let rows = self.second.len();
        let batch = match rows {
            0 => None,
            _ => Some(self.batch(rows)?),
        };
        if done {
            self.passing = None;
        }
        Ok(batch)
    }

    /// The next rows of the first side alone, once all of the second side has passed.
    pub(super) fn rest(&mut self) -> Result<Option<RecordBatch>> {
        let wanted = match self.kind {
            JoinType::LeftSemi => true,
            JoinType::Left | JoinType::Full | JoinType::LeftAnti => false,
            _ => return Ok(None),
        };
        self.first.clear();
        self.second.clear();
        self.guard.check()?;
        while self.looked < self.kept.len() && self.first.len() < self.rows_max {
            let met = self.met.get(place(self.kept.key_of(self.looked)));
            if met == Some(&wanted) {
                self.first.push(Some(small(self.looked)?));
            }
            self.looked += 1;
        }
        match self.first.len() {
            0 => Ok(None),
            rows => self.batch(rows).map(Some),
        }
    }

    fn batch(&mut self, rows: usize) -> Result<RecordBatch> {
        let first = UInt32Array::from(std::mem::take(&mut self.first));
        let second = UInt32Array::from(std::mem::take(&mut self.second));
        let passing = self.passing.as_ref();
        let column = |output: &Output| {
            Ok(match output {
                Output::Kept(_, of) if first.is_empty() => new_null_array(of, rows),
                Output::Kept(at, _) => self.kept.column(*at, &first)?,
                Output::Passing(_, of) if second.is_empty() => new_null_array(of, rows),
                Output::Passing(at, _) => {
                    let column = passing.and_then(|passing| passing.columns.get(*at));
                    let column = column.ok_or_else(|| exec_datafusion_err!("no such column"))?;
                    take(column, &second, None)?
                }
            })
        };
        let columns = self.gives.columns.iter().map(column);
        let columns = columns.collect::<Result<_>>()?;
        batch(self.gives.schema.as_ref(), columns, rows)
    }
}

impl Passing {
    /// Up to `rows_max` pairs; a row that meets none is `alone` in one, or left out.
    fn pairs(
        &mut self,
        kept: &Kept,
        alone: bool,
        rows_max: usize,
        first: &mut Vec<Option<u32>>,
        second: &mut Vec<Option<u32>>,
    ) -> Result<()> {
        while second.len() < rows_max
            && let Some(number) = self.of.get(self.row)
        {
            let row = small(self.row)?;
            let meets = match *number {
                ABSENT => &[],
                number => kept.rows_of(number),
            };
            let left = meets.get(self.given..).unwrap_or_default();
            let some = left.len().min(rows_max - second.len());
            first.extend(left.iter().take(some).map(|of| Some(*of)));
            second.extend(std::iter::repeat_n(Some(row), some));
            if meets.is_empty() && alone {
                first.push(None);
                second.push(Some(row));
            }
            if some < left.len() {
                self.given += some;
            } else {
                self.row += 1;
                self.given = 0;
            }
        }
        Ok(())
    }
}
