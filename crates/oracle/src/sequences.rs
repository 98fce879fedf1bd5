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
        let mut so_far = None;
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
                other => return Err(Unsupported::new(other)),
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

fn whole(value: &Value) -> Result<i64, Unsupported> {
    match value {
        Value::Long(n) => Ok(*n),
        Value::Int(n) => Ok(i64::from(*n)),
        other => Err(Unsupported::new(other)),
    }
}

/// `scan` of one step: rows that meet its condition, with the declared columns as they are then.
/// `missing` is the row that no row was taken yet.
pub(crate) fn scan(
    rows: Rows,
    missing: Row,
    declared: &[(ColumnType, Expr)],
    steps: &[ScanStep],
    keys: &[usize],
    shared: &[Rows],
) -> Result<Rows, Unsupported> {
    let [step] = steps else {
        return Err(Unsupported::new("scan with several steps"));
    };
    if step.output != ScanOutput::All {
        return Err(Unsupported::new(step.output));
    }
    let mut beginning = Row::new();
    for (_, expr) in declared {
        beginning.push(value(expr, &[], shared)?);
    }
    let mut state = beginning.clone();
    let mut taken: Option<Row> = None;
    let mut last: Option<Row> = None;
    let mut out = Vec::new();
    for row in rows {
        let key: Row = keys.iter().filter_map(|at| row.get(*at).cloned()).collect();
        if let Some(last) = &last
            && !are_same(last, &key)?
        {
            state.clone_from(&beginning);
            taken = None;
        }
        last = Some(key);
        // The state of a step is the row that it took last, and the declared columns.
        let before = taken.clone().unwrap_or_else(|| missing.clone());
        let seen = [row.as_slice(), &before, &state, &beginning].concat();
        if !holds(&step.condition, &seen, shared)? {
            continue;
        }
        let mut next = state.clone();
        for (at, expr) in &step.assignments {
            if let Some(cell) = next.get_mut(*at) {
                *cell = value(expr, &seen, shared)?;
            }
        }
        state = next;
        out.push([row.as_slice(), &state].concat());
        taken = Some(row);
    }
    Ok(out)
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
