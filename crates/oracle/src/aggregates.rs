//! Aggregates of the rows of one group.

use std::cmp::Ordering;

use kql::functions::AggregateFn;
use kql::resolved::{Aggregate, Value};
use model::{ColumnType, Span100ns};

use crate::Unsupported;
use crate::relations::{Row, Rows};
use crate::scalars::{holds, value};
use crate::values::{compare, is_null, is_same};

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
        other => return Err(Unsupported::new(other)),
    }])
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
        total += match value {
            Value::Int(n) => f64::from(*n),
            #[expect(clippy::cast_precision_loss, reason = "a mean is a real")]
            Value::Long(n) => *n as f64,
            Value::Real(n) => *n,
            other => return Err(Unsupported::new(other.ty())),
        };
    }
    #[expect(clippy::cast_precision_loss, reason = "a mean is a real")]
    let n = values.len() as f64;
    Ok(Value::Real(total / n))
}

/// Of nothing: null, of texts the empty one.
fn extreme(values: &[Value], ty: ColumnType, wanted: Ordering) -> Result<Value, Unsupported> {
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
        None => this.outputs.iter().map(|ty| Value::missing(*ty)).collect(),
    })
}
