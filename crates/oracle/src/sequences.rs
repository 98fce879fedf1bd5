//! What looks at rows in their order: functions of neighbouring rows, `scan`, `make-series`.

use kql::resolved::{Axis, Expr, ScanOutput, ScanStep, Value, WindowFn};
use model::ColumnType;

use crate::Unsupported;
use crate::json::Json;
use crate::relations::{Row, Rows, values};
use crate::scalars::{holds, value};
use crate::values::{are_same, arithmetic, compare, convert, is_null};

/// One function of neighbouring rows.
pub(crate) struct Window<'a> {
    pub(crate) function: WindowFn,
    pub(crate) args: &'a [Expr],
    pub(crate) keys: &'a [Expr],
}

impl Window<'_> {
    /// The rows with one more column.
    pub(crate) fn rows(&self, rows: Rows, shared: &[Rows]) -> Result<Rows, Unsupported> {
        let mut inputs = Vec::new();
        // Which run of rows with equal keys a row is in.
        let mut runs = Vec::new();
        let (mut run, mut last) = (0_usize, None::<Row>);
        for row in &rows {
            inputs.push(values(self.args, row, shared)?);
            let key = values(self.keys, row, shared)?;
            if let Some(last) = &last
                && !are_same(last, &key)?
            {
                run += 1;
            }
            last = Some(key);
            runs.push(run);
        }
        let mut out = Vec::new();
        let (mut so_far, mut rank) = (None, Rank::default());
        for (at, mut row) in rows.into_iter().enumerate() {
            let begins = at == 0 || runs.get(at) != runs.get(at - 1);
            let arg = |n: usize| inputs.get(at).and_then(|args| args.get(n));
            let next = match self.function {
                WindowFn::Prev | WindowFn::Next => self.neighbour(at, &inputs, &runs)?,
                WindowFn::RowNumber => {
                    let restarts = begins || arg(1) == Some(&Value::Bool(true));
                    match so_far.filter(|_| !restarts) {
                        Some(Value::Long(n)) => Value::Long(n + 1),
                        _ => arg(0).cloned().unwrap_or(Value::Long(1)),
                    }
                }
                WindowFn::RowCumsum => {
                    let restarts = begins || arg(1) == Some(&Value::Bool(true));
                    let term = arg(0).ok_or_else(|| Unsupported::new(self.function))?;
                    // A null adds nothing, also at the beginning.
                    let zero = convert(&Value::Int(0), term.ty())?;
                    let before = so_far.filter(|_| !restarts).unwrap_or(zero);
                    if is_null(term) {
                        before
                    } else {
                        arithmetic('+', &before, term, term.ty())?
                    }
                }
                WindowFn::RowRankDense | WindowFn::RowRankMin => {
                    let restarts = begins || arg(1) == Some(&Value::Bool(true));
                    let term = |at: usize| inputs.get(at).and_then(|args| args.first());
                    rank.next(
                        restarts,
                        at > 0 && same(term(at), term(at.wrapping_sub(1)))?,
                    );
                    Value::Long(match self.function {
                        WindowFn::RowRankMin => rank.least,
                        _ => rank.dense,
                    })
                }
                WindowFn::RowWindowSession => {
                    let restarts = begins || arg(3) == Some(&Value::Bool(true));
                    let before = inputs.get(at.wrapping_sub(1)).and_then(|args| args.first());
                    let start = so_far.filter(|_| !restarts);
                    session(inputs.get(at), before, start)?
                }
            };
            so_far = Some(next.clone());
            row.push(next);
            out.push(row);
        }
        Ok(out)
    }

    /// The value of a row so far away in the same run, else the default.
    fn neighbour(&self, at: usize, inputs: &[Row], runs: &[usize]) -> Result<Value, Unsupported> {
        let args = inputs.get(at).map(Vec::as_slice);
        let (value, offset, default) = match args {
            Some([value]) => (value, 1, None),
            Some([value, offset]) => (value, whole(offset)?, None),
            Some([value, offset, default]) => (value, whole(offset)?, Some(default)),
            _ => return Err(Unsupported::new(self.function)),
        };
        let offset = if self.function == WindowFn::Prev {
            -offset
        } else {
            offset
        };
        let other = i64::try_from(at).ok().and_then(|at| at.checked_add(offset));
        let other = other.and_then(|at| usize::try_from(at).ok());
        let found = other.filter(|other| runs.get(*other) == runs.get(at));
        let found = found.and_then(|other| inputs.get(other)?.first());
        let found = found.or(default).cloned();
        Ok(found.unwrap_or_else(|| Value::missing(value.ty())))
    }
}

/// Ranks of the row, of those since the last restart.
#[derive(Default)]
struct Rank {
    rows: i64,
    dense: i64,
    least: i64,
}

impl Rank {
    fn next(&mut self, restarts: bool, is_same: bool) {
        if restarts {
            *self = Self::default();
        }
        self.rows += 1;
        if self.rows == 1 || !is_same {
            self.dense += 1;
            self.least = self.rows;
        }
    }
}

fn same(a: Option<&Value>, b: Option<&Value>) -> Result<bool, Unsupported> {
    let of = |value: Option<&Value>| value.cloned().into_iter().collect::<Row>();
    are_same(&of(a), &of(b))
}

/// The start of the session that the row is in, by its time, how long a session is at most, and what
/// gap ends it: what reaches either begins a new one.
fn session(
    args: Option<&Row>,
    before: Option<&Value>,
    start: Option<Value>,
) -> Result<Value, Unsupported> {
    let Some([now, longest, gap, ..]) = args.map(Vec::as_slice) else {
        return Err(Unsupported::new(WindowFn::RowWindowSession));
    };
    let is_past = |from: &Value, away: &Value| -> Result<bool, Unsupported> {
        let end = arithmetic('+', from, away, from.ty())?;
        Ok(compare(now, &end)? != Some(std::cmp::Ordering::Less))
    };
    match (start, before) {
        (Some(start), Some(before))
            if !is_null(&start)
                && !is_null(before)
                && !is_null(now)
                && !is_past(&start, longest)?
                && !is_past(before, gap)? =>
        {
            Ok(start)
        }
        _ => Ok(now.clone()),
    }
}

fn whole(value: &Value) -> Result<i64, Unsupported> {
    match value {
        Value::Long(n) => Ok(*n),
        Value::Int(n) => Ok(i64::from(*n)),
        other => Err(Unsupported::new(other)),
    }
}

/// What every row of a `scan` is compared with.
pub(crate) struct Scan<'a> {
    /// The row that no row was taken yet.
    pub(crate) missing: Row,
    pub(crate) declared: &'a [(ColumnType, Expr)],
    pub(crate) steps: &'a [ScanStep],
    pub(crate) match_id: bool,
    pub(crate) keys: &'a [usize],
}

/// A match on its way: of each step so far the row that it took last with the declared columns.
#[derive(Clone, Default)]
struct Match {
    held: Vec<Option<Row>>,
    id: i64,
}

impl Scan<'_> {
    /// Rows that meet the condition of a step, with the declared columns as they are then.
    pub(crate) fn rows(&self, rows: Rows, shared: &[Rows]) -> Result<Rows, Unsupported> {
        let known = |step: &&ScanStep| step.output != ScanOutput::Last && !step.optional;
        if let Some(step) = self.steps.iter().find(|step| !known(step)) {
            return Err(Unsupported::new((step.output, step.optional)));
        }
        let mut beginning = Row::new();
        for (_, expr) in self.declared {
            beginning.push(value(expr, &[], shared)?);
        }
        let mut states: Vec<Option<Match>> = vec![None; self.steps.len()];
        let (mut matches, mut last, mut out) = (0, None::<Row>, Vec::new());
        for row in rows {
            let key: Row = self
                .keys
                .iter()
                .filter_map(|at| row.get(*at).cloned())
                .collect();
            if let Some(last) = &last
                && !are_same(last, &key)?
            {
                states.fill(None);
                matches = 0;
            }
            last = Some(key);
            for (at, step) in self.steps.iter().enumerate().rev() {
                let taken = self.taken(&row, at, &mut states, &beginning, shared)?;
                let Some((mut taken, next)) = taken else {
                    continue;
                };
                if taken.held.is_empty() {
                    taken.held = vec![None; self.steps.len()];
                    taken.id = matches;
                    matches += 1;
                }
                let mut made = [row.as_slice(), &next].concat();
                if let Some(held) = taken.held.get_mut(at) {
                    *held = Some(made.clone());
                }
                if self.match_id {
                    made.push(Value::Long(taken.id));
                }
                if step.output == ScanOutput::All {
                    out.push(made);
                }
                if let Some(state) = states.get_mut(at) {
                    *state = Some(taken);
                }
            }
        }
        Ok(out)
    }

    /// The match that goes on with this row at this step, and the declared columns then: that of the
    /// step before, else its own; at the first step, else a new one.
    fn taken(
        &self,
        row: &[Value],
        at: usize,
        states: &mut [Option<Match>],
        beginning: &[Value],
        shared: &[Rows],
    ) -> Result<Option<(Match, Row)>, Unsupported> {
        let Some(step) = self.steps.get(at) else {
            return Ok(None);
        };
        let before = at.checked_sub(1);
        for from in before.into_iter().chain([at]) {
            let held = states.get(from).cloned().flatten();
            if held.is_none() && at > 0 {
                continue;
            }
            let state = held.unwrap_or_default();
            let seen = self.seen(row, &state, beginning);
            if !holds(&step.condition, &seen, shared)? {
                continue;
            }
            if let Some(moved) = states.get_mut(from) {
                *moved = None;
            }
            let own = state.held.get(at).and_then(Option::as_ref);
            let own = own.and_then(|own| own.get(row.len()..));
            let mut next = own.unwrap_or(beginning).to_vec();
            for (column, expr) in &step.assignments {
                if let Some(cell) = next.get_mut(*column) {
                    *cell = value(expr, &seen, shared)?;
                }
            }
            return Ok(Some((state, next)));
        }
        Ok(None)
    }

    /// What expressions read: the row, per step what it holds, the declared columns as they begin.
    fn seen(&self, row: &[Value], state: &Match, beginning: &[Value]) -> Row {
        let nothing = [self.missing.as_slice(), beginning].concat();
        let mut seen = row.to_vec();
        for at in 0..self.steps.len() {
            let held = state.held.get(at).and_then(Option::as_ref);
            seen.extend_from_slice(held.unwrap_or(&nothing));
        }
        seen.extend_from_slice(beginning);
        seen
    }
}

/// The rows of a summary (keys, axis, aggregates) as one row per key: arrays with an element for each
/// bin of the axis, then the axis.
pub(crate) fn series(
    rows: Rows,
    keys: usize,
    axis: &Axis,
    defaults: &[Expr],
    shared: &[Rows],
) -> Result<Rows, Unsupported> {
    if axis.nonempty {
        return Err(Unsupported::new("nonempty"));
    }
    let bound = |expr: &Option<Expr>| expr.as_ref().map(|e| value(e, &[], shared)).transpose();
    let (from, to) = (bound(&axis.from)?, bound(&axis.to)?);
    let step = value(&axis.step, &[], shared)?;
    let defaults = values(defaults, &[], shared)?;
    let mut groups: Vec<(Row, Rows)> = Vec::new();
    for row in rows {
        let key: Row = row.iter().take(keys).cloned().collect();
        let rest: Row = row.into_iter().skip(keys).collect();
        let mut found = None;
        for (at, (known, _)) in groups.iter().enumerate() {
            if are_same(known, &key)? {
                found = Some(at);
            }
        }
        match found.and_then(|at| groups.get_mut(at)) {
            Some((_, members)) => members.push(rest),
            None => groups.push((key, vec![rest])),
        }
    }
    let mut out = Vec::new();
    for (key, members) in groups {
        let bins = bins(&members, from.as_ref(), to.as_ref(), &step, axis.inclusive)?;
        let mut arrays: Vec<Vec<Json>> = vec![Vec::new(); defaults.len()];
        let mut line = Vec::new();
        for bin in bins {
            let mut found = None;
            for member in &members {
                if let Some(start) = member.first()
                    && compare(start, &bin)? == Some(std::cmp::Ordering::Equal)
                {
                    found = member.get(1..);
                }
            }
            for (array, value) in arrays.iter_mut().zip(found.unwrap_or(&defaults)) {
                array.push(Json::of(value)?);
            }
            line.push(match &bin {
                Value::DateTime(t) => Json::Text(t.to_string()),
                other => Json::of(other)?,
            });
        }
        arrays.push(line);
        let arrays = arrays.into_iter().map(|array| Json::Array(array).value());
        out.push(key.into_iter().chain(arrays).collect());
    }
    Ok(out)
}

/// The starts of the bins: from the start, else the first there is; up to the end, which is left out
/// if it is not inclusive, else to the last there is.
fn bins(
    members: &[Row],
    from: Option<&Value>,
    to: Option<&Value>,
    step: &Value,
    inclusive: bool,
) -> Result<Vec<Value>, Unsupported> {
    use std::cmp::Ordering::{Greater, Less};
    let starts: Vec<&Value> = members.iter().filter_map(|row| row.first()).collect();
    let furthest = |wanted| -> Result<Option<Value>, Unsupported> {
        let mut best: Option<&Value> = None;
        for start in &starts {
            if best.is_none_or(|best| compare(start, best).ok().flatten() == Some(wanted)) {
                best = Some(start);
            }
        }
        Ok(best.cloned())
    };
    let first = match from {
        Some(from) => Some(from.clone()),
        None => furthest(Less)?,
    };
    let last = match to {
        Some(to) => Some(to.clone()),
        None => furthest(Greater)?,
    };
    let (Some(mut at), Some(last)) = (first, last) else {
        return Ok(Vec::new());
    };
    let includes_last = inclusive || to.is_none();
    let mut bins = Vec::new();
    while bins.len() < 10_000 {
        match compare(&at, &last)? {
            Some(Less) => {}
            Some(std::cmp::Ordering::Equal) if includes_last => {}
            _ => return Ok(bins),
        }
        bins.push(at.clone());
        at = arithmetic('+', &at, step, at.ty())?;
    }
    Err(Unsupported::new("too many bins"))
}
