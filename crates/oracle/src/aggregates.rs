//! Aggregates of the rows of one group.

use std::cmp::Ordering;

use kql::functions::AggregateFn;
use kql::resolved::{Aggregate, Value};
use model::{ColumnType, Span100ns};

use crate::Unsupported;
use crate::dynamics::{merged, once};
use crate::json::Json;
use crate::relations::{Row, Rows};
use crate::scalars::{holds, value};
use crate::values::{are_same, compare, is_null, is_same};

/// The outputs of an aggregate over the rows of a group.
pub(crate) fn aggregate(
    this: &Aggregate,
    rows: &[Row],
    shared: &[Rows],
) -> Result<Vec<Value>, Unsupported> {
    let mut counted: Vec<Vec<Value>> = Vec::new();
    for row in rows {
        if let Some(filter) = &this.filter
            && !holds(filter, row, shared)?
        {
            continue;
        }
        let mut args = Vec::new();
        for arg in &this.args {
            args.push(value(arg, row, shared)?);
        }
        counted.push(args);
    }
    let ty = this.outputs.first().copied().unwrap_or(ColumnType::Long);
    if matches!(this.function, AggregateFn::ArgMax | AggregateFn::ArgMin) {
        return arg_extreme(this, &counted);
    }
    if this.function == AggregateFn::Count {
        return Ok(vec![Value::Long(length(counted.len()))]);
    }
    if this.function == AggregateFn::TakeAny {
        return take_any(this, &counted);
    }
    // In a list a dynamic null is a value like another.
    let keeps_nulls = match this.args.first() {
        Some(arg) if arg.ty == ColumnType::Dynamic => this.function == AggregateFn::MakeList,
        _ => this.function == AggregateFn::MakeListWithNulls,
    };
    if keeps_nulls && this.args.len() == 1 {
        let values: Vec<Value> = counted.into_iter().flatten().collect();
        return Ok(vec![list(&values)?]);
    }
    if this.function == AggregateFn::Percentile {
        return percentiles(this, &counted);
    }
    // Nulls are passed over.
    let mut values: Vec<Value> = counted
        .into_iter()
        .filter_map(|args| args.into_iter().next())
        .filter(|v| !is_null(v))
        .collect();
    Ok(vec![match this.function {
        AggregateFn::Sum => sum(&values, ty)?,
        AggregateFn::Avg => mean(&values, ty)?,
        AggregateFn::Min => extreme(&values, ty, Ordering::Less)?,
        AggregateFn::Max => extreme(&values, ty, Ordering::Greater)?,
        AggregateFn::Dcount | AggregateFn::CountDistinct => {
            let mut distinct: Vec<Value> = Vec::new();
            for value in values.drain(..) {
                let mut is_new = true;
                for known in &distinct {
                    is_new &= !is_same(known, &value)?;
                }
                if is_new {
                    distinct.push(value);
                }
            }
            Value::Long(length(distinct.len()))
        }
        AggregateFn::MakeList if this.args.len() == 1 => list(&values)?,
        AggregateFn::MakeSet if this.args.len() == 1 => {
            let all = values.iter().map(Json::of);
            once(all.collect::<Result<Vec<_>, _>>()?).value()
        }
        AggregateFn::MakeBag if this.args.len() == 1 => {
            let all = values.iter().map(Json::of);
            merged(all.collect::<Result<Vec<_>, _>>()?)?.value()
        }
        AggregateFn::Stdev => Value::Real(variance(&values, true)?.sqrt()),
        AggregateFn::Stdevp => Value::Real(variance(&values, false)?.sqrt()),
        AggregateFn::Variance => Value::Real(variance(&values, true)?),
        AggregateFn::Variancep => Value::Real(variance(&values, false)?),
        AggregateFn::BinaryAllAnd | AggregateFn::BinaryAllOr | AggregateFn::BinaryAllXor => {
            bits(this.function, &values)?
        }
        other => return Err(Unsupported::new(other)),
    }])
}

/// An array among the values is flattened.
fn list(values: &[Value]) -> Result<Value, Unsupported> {
    let mut all = Vec::new();
    for value in values {
        match Json::of(value)? {
            Json::Array(elements) => all.extend(elements),
            other => all.push(other),
        }
    }
    Ok(Json::Array(all).value())
}

/// Of one row its values. Of several the oracle knows only those that are all the same.
fn take_any(this: &Aggregate, rows: &[Vec<Value>]) -> Result<Vec<Value>, Unsupported> {
    let Some(first) = rows.first() else {
        return Ok(this.outputs.iter().map(|ty| Value::missing(*ty)).collect());
    };
    for row in rows {
        if !are_same(first, row)? {
            return Err(Unsupported::new("any of several rows"));
        }
    }
    Ok(first.clone())
}

/// Nearest rank: the least value that so many percent of the values do not exceed.
fn percentiles(this: &Aggregate, rows: &[Vec<Value>]) -> Result<Vec<Value>, Unsupported> {
    let mut sorted: Vec<i64> = Vec::new();
    for row in rows {
        match row.first() {
            Some(Value::Long(n)) => sorted.push(*n),
            Some(Value::Null(_)) => {}
            other => return Err(Unsupported::new(other)),
        }
    }
    sorted.sort_unstable();
    let mut out = Vec::new();
    for (percent, ty) in this.args.iter().skip(1).zip(&this.outputs) {
        let percent = match percent.as_literal() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be whole and not negative"
            )]
            Some(Value::Real(x)) if x.fract() == 0.0 && *x > 0.0 => *x as usize,
            other => return Err(Unsupported::new(other)),
        };
        let rank = (sorted.len() * percent).div_ceil(100);
        let found = rank.checked_sub(1).and_then(|at| sorted.get(at));
        out.push(found.map_or(Value::missing(*ty), |n| Value::Long(*n)));
    }
    Ok(out)
}

fn real(value: &Value) -> Result<f64, Unsupported> {
    Ok(match value {
        Value::Int(n) => f64::from(*n),
        #[expect(clippy::cast_precision_loss, reason = "a mean is a real")]
        Value::Long(n) => *n as f64,
        Value::Real(n) => *n,
        other => return Err(Unsupported::new(other.ty())),
    })
}

/// Of a sample, or of a whole population. Of one value and of none it is zero.
fn variance(values: &[Value], sample: bool) -> Result<f64, Unsupported> {
    let numbers: Vec<f64> = values.iter().map(real).collect::<Result<_, _>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a mean is a real")]
    let n = numbers.len() as f64;
    if numbers.len() < 2 {
        return Ok(0.0);
    }
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
    Ok(squares / if sample { n - 1.0 } else { n })
}

fn bits(function: AggregateFn, values: &[Value]) -> Result<Value, Unsupported> {
    let mut all = None;
    for value in values {
        let n = match value {
            Value::Int(n) => i64::from(*n),
            Value::Long(n) => *n,
            other => return Err(Unsupported::new(other.ty())),
        };
        all = Some(match (function, all) {
            (_, None) => n,
            (AggregateFn::BinaryAllAnd, Some(all)) => all & n,
            (AggregateFn::BinaryAllOr, Some(all)) => all | n,
            (_, Some(all)) => all ^ n,
        });
    }
    // Of none nothing says what they are.
    all.map(Value::Long)
        .ok_or_else(|| Unsupported::new((function, "of nothing")))
}

fn length(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Of nothing: zero.
fn sum(values: &[Value], ty: ColumnType) -> Result<Value, Unsupported> {
    let (mut whole, mut real) = (0_i64, 0.0);
    for value in values {
        match value {
            Value::Int(n) => whole = whole.wrapping_add(i64::from(*n)),
            Value::Long(n) => whole = whole.wrapping_add(*n),
            Value::TimeSpan(n) => whole = whole.wrapping_add(n.0),
            Value::Real(n) => real += n,
            other => return Err(Unsupported::new(other.ty())),
        }
    }
    Ok(match ty {
        ColumnType::Long => Value::Long(whole),
        ColumnType::TimeSpan => Value::TimeSpan(Span100ns(whole)),
        ColumnType::Real => Value::Real(real),
        other => return Err(Unsupported::new(other)),
    })
}

/// Of nothing: not a number.
fn mean(values: &[Value], ty: ColumnType) -> Result<Value, Unsupported> {
    if ty != ColumnType::Real {
        return Err(Unsupported::new(ty));
    }
    let mut total = 0.0;
    for value in values {
        total += real(value)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a mean is a real")]
    let n = values.len() as f64;
    Ok(Value::Real(total / n))
}

/// Of nothing: null, of texts the empty one. Of what is not a number among others: that.
fn extreme(values: &[Value], ty: ColumnType, wanted: Ordering) -> Result<Value, Unsupported> {
    let is_nan = |v: &&Value| matches!(v, Value::Real(x) if x.is_nan());
    if let Some(nan) = values.iter().find(is_nan) {
        return Ok(nan.clone());
    }
    let mut best: Option<&Value> = None;
    for value in values {
        let is_better = match best {
            Some(best) => compare(value, best)? == Some(wanted),
            None => true,
        };
        if is_better {
            best = Some(value);
        }
    }
    Ok(best.cloned().unwrap_or_else(|| Value::missing(ty)))
}

/// The compared value, then what is returned beside it: of the first such row.
fn arg_extreme(this: &Aggregate, rows: &[Vec<Value>]) -> Result<Vec<Value>, Unsupported> {
    let wanted = if this.function == AggregateFn::ArgMax {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let mut best: Option<&Vec<Value>> = None;
    for row in rows {
        let Some(value) = row.first().filter(|v| !is_null(v)) else {
            continue;
        };
        let is_better = match best.and_then(|b| b.first()) {
            Some(best) => compare(value, best)? == Some(wanted),
            None => true,
        };
        if is_better {
            best = Some(row);
        }
    }
    Ok(match best {
        Some(row) => row.clone(),
        // Only nulls to compare: any row, which the oracle knows only if it is the only one.
        None if rows.len() == 1 => rows.iter().flatten().cloned().collect(),
        None if rows.len() > 1 => return Err(Unsupported::new("any of several rows")),
        None => this.outputs.iter().map(|ty| Value::missing(*ty)).collect(),
    })
}
