//! Functions of neighbouring rows.
//!
//! The input has the columns that go on, then the arguments, then the keys. The function begins anew
//! where a key changes from one row to the next.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt64Array,
};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{SchemaRef, i256};
use datafusion::common::{Result, exec_err};
use kql::resolved::WindowFn;
use model::ColumnType;

use crate::kernels::args::{Arg, Cell, Guard};
use crate::kernels::{decimals, order};

/// Rows between two looks at the guard.
const ROWS_PER_LOOK: usize = 4_096;

/// One function of neighbouring rows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct WindowTask {
    pub(crate) function: WindowFn,
    /// Columns that go on.
    pub(crate) width: usize,
    pub(crate) args: Vec<ColumnType>,
    pub(crate) keys: Vec<ColumnType>,
}

impl WindowTask {
    pub(super) fn run(
        &self,
        input: &RecordBatch,
        schema: &SchemaRef,
        guard: &Guard,
    ) -> Result<RecordBatch> {
        let args = typed(input, self.width, &self.args)?;
        let keys = typed(input, self.width + self.args.len(), &self.keys)?;
        let rows = Rows {
            args,
            keys,
            count: input.num_rows(),
            guard,
        };
        let made = match self.function {
            WindowFn::Prev => self.shifted(input, &rows, false)?,
            WindowFn::Next => self.shifted(input, &rows, true)?,
            WindowFn::RowNumber => numbers(&rows)?,
            WindowFn::RowCumsum => sums(&rows)?,
            WindowFn::RowRankDense => ranks(&rows, true)?,
            WindowFn::RowRankMin => ranks(&rows, false)?,
            WindowFn::RowWindowSession => sessions(&rows)?,
        };
        let mut columns: Vec<ArrayRef> = input.columns().iter().take(self.width).cloned().collect();
        columns.push(made);
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }

    /// Values of rows so far away; the default where there is no such row.
    fn shifted(&self, input: &RecordBatch, rows: &Rows<'_>, forward: bool) -> Result<ArrayRef> {
        let offset = rows.arg(1)?;
        let groups = rows.groups()?;
        let mut from: Vec<Option<u64>> = Vec::with_capacity(rows.count);
        for row in 0..rows.count {
            rows.look(row)?;
            let away = offset.long(row).unwrap_or(1);
            let away = if forward { away } else { away.saturating_neg() };
            let target = i64::try_from(row).unwrap_or(i64::MAX).saturating_add(away);
            let found = usize::try_from(target)
                .ok()
                .filter(|t| *t < rows.count && groups.get(*t) == groups.get(row));
            from.push(found.and_then(|t| u64::try_from(t).ok()));
        }
        let mask: BooleanArray = from.iter().map(|f| Some(f.is_some())).collect();
        let (Some(values), Some(defaults)) = (
            input.columns().get(self.width),
            input.columns().get(self.width + 2),
        ) else {
            return exec_err!("a window without its arguments");
        };
        let taken = take(values, &UInt64Array::from(from), None)?;
        Ok(zip(&mask, &taken, defaults)?)
    }
}

fn typed(input: &RecordBatch, from: usize, types: &[ColumnType]) -> Result<Vec<Arg>> {
    let columns = input.columns().iter().skip(from);
    columns
        .zip(types)
        .map(|(array, ty)| Arg::of_array(array, *ty, false))
        .collect()
}

struct Rows<'a> {
    args: Vec<Arg>,
    keys: Vec<Arg>,
    count: usize,
    guard: &'a Guard,
}

impl Rows<'_> {
    fn arg(&self, at: usize) -> Result<&Arg> {
        let Some(arg) = self.args.get(at) else {
            return exec_err!("a window without argument {at}");
        };
        Ok(arg)
    }

    fn look(&self, row: usize) -> Result<()> {
        if row.is_multiple_of(ROWS_PER_LOOK) {
            self.guard.check()?;
        }
        Ok(())
    }

    /// Whether the row belongs to another group than the one before.
    fn changes(&self, row: usize) -> bool {
        row > 0 && self.keys.iter().any(|k| k.cell(row) != k.cell(row - 1))
    }

    fn groups(&self) -> Result<Vec<u32>> {
        let mut groups = Vec::with_capacity(self.count);
        let mut group = 0_u32;
        for row in 0..self.count {
            self.look(row)?;
            group += u32::from(self.changes(row));
            groups.push(group);
        }
        Ok(groups)
    }

    /// Whether the function begins anew at the row.
    fn restarts(&self, row: usize, argument: usize) -> bool {
        let asked = self
            .args
            .get(argument)
            .is_some_and(|arg| arg.cell(row) == Cell::Bool(true));
        row == 0 || asked || self.changes(row)
    }
}

fn numbers(rows: &Rows<'_>) -> Result<ArrayRef> {
    let start = rows.arg(0)?;
    let mut number = 0;
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        number = if rows.restarts(row, 1) {
            start.long(row).unwrap_or(1)
        } else {
            number + 1
        };
        out.push(number);
    }
    Ok(Arc::new(Int64Array::from(out)))
}

fn sums(rows: &Rows<'_>) -> Result<ArrayRef> {
    let term = rows.arg(0)?;
    if term.ty() == ColumnType::Real {
        let mut sum = 0.0;
        let mut out = Vec::with_capacity(rows.count);
        for row in 0..rows.count {
            rows.look(row)?;
            if rows.restarts(row, 1) {
                sum = 0.0;
            }
            sum += term.real(row).unwrap_or(0.0);
            out.push(sum);
        }
        return Ok(Arc::new(Float64Array::from(out)));
    }
    if term.ty() == ColumnType::Decimal {
        return decimal_sums(rows, term);
    }
    let mut sum = 0_i64;
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        if rows.restarts(row, 1) {
            sum = 0;
        }
        sum = sum.wrapping_add(term.long(row).unwrap_or(0));
        out.push(sum);
    }
    Ok(Arc::new(Int64Array::from(out)))
}

fn decimal_sums(rows: &Rows<'_>, term: &Arg) -> Result<ArrayRef> {
    let mut sum = Some(i256::ZERO);
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        if rows.restarts(row, 1) {
            sum = Some(i256::ZERO);
        }
        let next = term.decimal(row).unwrap_or(i256::ZERO);
        sum = sum.and_then(|sum| sum.checked_add(next));
        out.push(sum);
    }
    decimals::column(out)
}

fn ranks(rows: &Rows<'_>, dense: bool) -> Result<ArrayRef> {
    let term = rows.arg(0)?;
    let (mut rank, mut position) = (0, 0);
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        if rows.restarts(row, 1) {
            (rank, position) = (0, 0);
        }
        position += 1;
        let is_same = rank > 0 && row > 0 && same(term.cell(row), term.cell(row - 1));
        if !is_same {
            rank = if dense { rank + 1 } else { position };
        }
        out.push(rank);
    }
    Ok(Arc::new(Int64Array::from(out)))
}

fn same(a: Cell<'_>, b: Cell<'_>) -> bool {
    a == b || order(a, b) == Some(std::cmp::Ordering::Equal)
}

/// Starts of sessions: a new one where the gap or the whole reaches what it is given.
fn sessions(rows: &Rows<'_>) -> Result<ArrayRef> {
    let (time, longest, gap) = (rows.arg(0)?, rows.arg(1)?, rows.arg(2)?);
    let mut start: Option<i64> = None;
    let mut before: Option<i64> = None;
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        let now = time.long(row);
        let goes_on = !rows.restarts(row, 3)
            && match (now, before, start, longest.long(row), gap.long(row)) {
                (Some(now), Some(before), Some(start), Some(longest), Some(gap)) => {
                    now.saturating_sub(before) < gap && now.saturating_sub(start) < longest
                }
                _ => false,
            };
        if !goes_on {
            start = now;
        }
        before = now;
        out.push(start);
    }
    Ok(Arc::new(Int64Array::from(out)))
}
