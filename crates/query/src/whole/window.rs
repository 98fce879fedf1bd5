//! Functions of neighbouring rows.
//!
//! The input has the columns that go on, then the arguments, then the keys. The function begins anew
//! where a key changes from one row to the next.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt64Array,
};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{concat_batches, take};
use datafusion::arrow::datatypes::{SchemaRef, i256};
use datafusion::common::{Result, exec_err};
use kql::resolved::WindowFn;
use model::ColumnType;

use crate::copies::of_its_own;
use crate::kernels::args::{Arg, Cell, Guard};
use crate::kernels::{decimals, order};

/// Rows between two looks at the guard.
const ROWS_PER_LOOK: usize = 4_096;

/// Rows that `prev` and `next` may look away, at most, to be computed batch by batch.
const AWAY_MAX: i64 = 10_000;

/// What a function knows of the rows that went before.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Whether there are any; then the first row of what is given next is the last of them.
    began: bool,
    /// A row's number, its rank, or a sum.
    number: i64,
    real: f64,
    decimal: Option<i256>,
    position: i64,
    /// Where the session began, and the time of the last row.
    session: (Option<i64>, Option<i64>),
}

impl State {
    fn goes_before(&self, row: usize) -> bool {
        self.began && row == 0
    }
}

/// A function on its way through the rows: what it still needs of those that went before, or what
/// still waits for those that come.
#[derive(Debug)]
pub(super) struct Passing {
    task: WindowTask,
    schema: SchemaRef,
    guard: Guard,
    state: State,
    kept: Option<RecordBatch>,
}

impl Passing {
    pub(super) fn new(task: WindowTask, schema: SchemaRef, guard: Guard) -> Self {
        Self {
            task,
            schema,
            guard,
            state: State::default(),
            kept: None,
        }
    }

    /// Rows that come next; those of which all is known are given.
    pub(super) fn next(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let before = self.kept.take();
        let known = before.as_ref().map_or(0, RecordBatch::num_rows);
        let all = match before {
            Some(before) => concat_batches(&batch.schema(), [&before, &batch])?,
            None => batch,
        };
        let rows = all.num_rows();
        let away = self.task.away();
        let made = self
            .task
            .run(&all, &self.schema, &self.guard, &mut self.state)?;
        self.state.began = true;
        // Copies: what is kept is not to keep all the rest.
        let keep = away.min(rows);
        self.kept = Some(of_its_own(all.slice(rows - keep, keep))?);
        let given = if self.task.function == WindowFn::Next {
            made.slice(0, rows - keep)
        } else {
            made.slice(known, rows - known)
        };
        Ok((given.num_rows() > 0).then_some(given))
    }

    /// The rows that waited for more.
    pub(super) fn rest(&mut self) -> Result<Option<RecordBatch>> {
        let waiting = self
            .kept
            .take()
            .filter(|_| self.task.function == WindowFn::Next);
        let Some(waiting) = waiting else {
            return Ok(None);
        };
        self.task
            .run(&waiting, &self.schema, &self.guard, &mut self.state)
            .map(Some)
    }
}

/// One function of neighbouring rows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct WindowTask {
    pub(crate) function: WindowFn,
    /// Columns that go on.
    pub(crate) width: usize,
    pub(crate) args: Vec<ColumnType>,
    pub(crate) keys: Vec<ColumnType>,
    /// How far `prev` and `next` look, if that is the same for all rows.
    pub(crate) offset: Option<i64>,
}

impl WindowTask {
    /// Whether it can go through the rows batch by batch.
    pub(super) fn passes(&self) -> bool {
        match self.function {
            WindowFn::Prev | WindowFn::Next => self
                .offset
                .is_some_and(|rows| (0..=AWAY_MAX).contains(&rows)),
            _ => true,
        }
    }

    /// Rows that are kept from batch to batch.
    fn away(&self) -> usize {
        match self.function {
            WindowFn::Prev | WindowFn::Next => self
                .offset
                .and_then(|rows| usize::try_from(rows).ok())
                .unwrap_or(1),
            _ => 1,
        }
    }

    /// All rows at once.
    pub(super) fn whole(
        &self,
        input: &RecordBatch,
        schema: &SchemaRef,
        guard: &Guard,
    ) -> Result<RecordBatch> {
        self.run(input, schema, guard, &mut State::default())
    }

    /// The same of an input that has fewer of the columns that go on.
    pub(super) fn over(&self, columns: usize) -> Self {
        Self {
            width: columns.saturating_sub(self.args.len() + self.keys.len()),
            ..self.clone()
        }
    }

    /// The columns of the input that are needed for these of the output.
    pub(super) fn needed(&self, output: &[usize]) -> Vec<usize> {
        let own = self.width..self.width + self.args.len() + self.keys.len();
        let on = output.iter().copied().filter(|at| *at < self.width);
        on.chain(own).collect()
    }

    /// The rows with the function's value. With a state, the first row is one that went before, whose
    /// value is in it.
    fn run(
        &self,
        input: &RecordBatch,
        schema: &SchemaRef,
        guard: &Guard,
        state: &mut State,
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
            WindowFn::RowNumber => numbers(&rows, state)?,
            WindowFn::RowCumsum => sums(&rows, state)?,
            WindowFn::RowRankDense => ranks(&rows, true, state)?,
            WindowFn::RowRankMin => ranks(&rows, false, state)?,
            WindowFn::RowWindowSession => sessions(&rows, state)?,
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

fn numbers(rows: &Rows<'_>, state: &mut State) -> Result<ArrayRef> {
    let start = rows.arg(0)?;
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        if state.goes_before(row) {
            out.push(state.number);
            continue;
        }
        state.number = if rows.restarts(row, 1) {
            start.long(row).unwrap_or(1)
        } else {
            state.number + 1
        };
        out.push(state.number);
    }
    Ok(Arc::new(Int64Array::from(out)))
}

fn sums(rows: &Rows<'_>, state: &mut State) -> Result<ArrayRef> {
    let term = rows.arg(0)?;
    match term.ty() {
        ColumnType::Real => {
            let next = |sum: f64, row| sum + term.real(row).unwrap_or(0.0);
            let out = running(rows, state, |s| &mut s.real, 0.0, next)?;
            Ok(Arc::new(Float64Array::from(out)))
        }
        ColumnType::Decimal => {
            let next =
                |sum: Option<i256>, row| sum?.checked_add(term.decimal(row).unwrap_or(i256::ZERO));
            let zero = Some(i256::ZERO);
            decimals::column(running(rows, state, |s| &mut s.decimal, zero, next)?)
        }
        _ => {
            let next = |sum: i64, row| sum.wrapping_add(term.long(row).unwrap_or(0));
            let out = running(rows, state, |s| &mut s.number, 0, next)?;
            Ok(Arc::new(Int64Array::from(out)))
        }
    }
}

/// The sum at each row.
fn running<T: Copy>(
    rows: &Rows<'_>,
    state: &mut State,
    sum: fn(&mut State) -> &mut T,
    zero: T,
    next: impl Fn(T, usize) -> T,
) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        if !state.goes_before(row) {
            let before = if rows.restarts(row, 1) {
                zero
            } else {
                *sum(state)
            };
            *sum(state) = next(before, row);
        }
        out.push(*sum(state));
    }
    Ok(out)
}

fn ranks(rows: &Rows<'_>, dense: bool, state: &mut State) -> Result<ArrayRef> {
    let term = rows.arg(0)?;
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        if state.goes_before(row) {
            out.push(state.number);
            continue;
        }
        if rows.restarts(row, 1) {
            (state.number, state.position) = (0, 0);
        }
        state.position += 1;
        let is_same = state.number > 0 && row > 0 && same(term.cell(row), term.cell(row - 1));
        if !is_same {
            state.number = if dense {
                state.number + 1
            } else {
                state.position
            };
        }
        out.push(state.number);
    }
    Ok(Arc::new(Int64Array::from(out)))
}

fn same(a: Cell<'_>, b: Cell<'_>) -> bool {
    a == b || order(a, b) == Some(std::cmp::Ordering::Equal)
}

/// Starts of sessions: a new one where the gap or the whole reaches what it is given.
fn sessions(rows: &Rows<'_>, state: &mut State) -> Result<ArrayRef> {
    let (time, longest, gap) = (rows.arg(0)?, rows.arg(1)?, rows.arg(2)?);
    let (mut start, mut before) = state.session;
    let mut out = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        rows.look(row)?;
        if state.goes_before(row) {
            out.push(start);
            continue;
        }
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
    state.session = (start, before);
    Ok(Arc::new(Int64Array::from(out)))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    const ROWS: i64 = 40;

    /// A column that goes on, then the arguments, then a key.
    fn input(task: &WindowTask) -> RecordBatch {
        let long = |f: &dyn Fn(i64) -> Option<i64>| -> ArrayRef {
            Arc::new((0..ROWS).map(f).collect::<Int64Array>())
        };
        let restart: ArrayRef = Arc::new(
            (0..ROWS)
                .map(|n| Some(n % 11 == 5))
                .collect::<BooleanArray>(),
        );
        let time = long(&|n| Some(n * n % 50 + n * 3));
        let value = long(&|n| (n % 5 > 0).then_some(n / 3));
        let mut columns = vec![long(&Some)];
        columns.extend(match task.function {
            WindowFn::Prev | WindowFn::Next => {
                vec![value, long(&|_| task.offset), long(&|n| Some(-n))]
            }
            WindowFn::RowNumber => vec![long(&|_| Some(7)), restart],
            WindowFn::RowCumsum | WindowFn::RowRankDense | WindowFn::RowRankMin => {
                vec![value, restart]
            }
            WindowFn::RowWindowSession => {
                vec![time, long(&|_| Some(30)), long(&|_| Some(9)), restart]
            }
        });
        columns.push(long(&|n| Some(n / 13)));
        let named = columns.into_iter().enumerate();
        RecordBatch::try_from_iter(named.map(|(at, c)| (format!("c{at}"), c))).expect("a batch")
    }

    fn task(function: WindowFn, offset: Option<i64>) -> WindowTask {
        let args = match function {
            WindowFn::Prev | WindowFn::Next => vec![ColumnType::Long; 3],
            WindowFn::RowWindowSession => {
                let times = [
                    ColumnType::DateTime,
                    ColumnType::TimeSpan,
                    ColumnType::TimeSpan,
                ];
                times.into_iter().chain([ColumnType::Bool]).collect()
            }
            _ => vec![ColumnType::Long, ColumnType::Bool],
        };
        WindowTask {
            function,
            width: 1,
            args,
            keys: vec![ColumnType::Long],
            offset,
        }
    }

    #[test]
    fn in_pieces_and_at_once_are_the_same() {
        let mut tasks: Vec<WindowTask> = [0, 1, 2, 5, 39, 60]
            .into_iter()
            .flat_map(|n| [task(WindowFn::Prev, Some(n)), task(WindowFn::Next, Some(n))])
            .collect();
        for function in [
            WindowFn::RowNumber,
            WindowFn::RowCumsum,
            WindowFn::RowRankDense,
            WindowFn::RowRankMin,
            WindowFn::RowWindowSession,
        ] {
            tasks.push(task(function, None));
        }
        for task in tasks {
            let input = input(&task);
            let fields = ["c0", "made"].map(|name| Field::new(name, DataType::Int64, true));
            let schema: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
            let guard = Guard::default();
            let whole = task.whole(&input, &schema, &guard).expect("rows");
            assert!(task.passes());
            for size in [1, 2, 3, 7, 100] {
                let mut passing = Passing::new(task.clone(), schema.clone(), guard.clone());
                let mut made = Vec::new();
                for start in (0..input.num_rows()).step_by(size) {
                    let piece = input.slice(start, size.min(input.num_rows() - start));
                    made.extend(passing.next(piece).expect("rows"));
                }
                made.extend(passing.rest().expect("rows"));
                let made = concat_batches(&schema, &made).expect("a batch");
                assert_eq!(made, whole, "{task:?} in pieces of {size}");
            }
        }
    }
}
