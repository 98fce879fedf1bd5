//! `series_*`: functions over arrays of numbers.
//!
//! An element that is no number is missing; what is computed of it is missing too.

use std::cmp::Ordering;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::args::{Arg, Call};
use super::arrays::items;
use super::convert;
use super::decompose;
use crate::json::Json;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::SeriesAbs => each(call, f64::abs),
        F::SeriesAcos => each(call, f64::acos),
        F::SeriesAsin => each(call, f64::asin),
        F::SeriesAtan => each(call, f64::atan),
        F::SeriesCeiling => each(call, f64::ceil),
        F::SeriesFloor => each(call, f64::floor),
        F::SeriesCos => each(call, f64::cos),
        F::SeriesSin => each(call, f64::sin),
        F::SeriesTan => each(call, f64::tan),
        F::SeriesExp => each(call, f64::exp),
        F::SeriesLog => each(call, f64::ln),
        F::SeriesSign => each(call, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        F::SeriesAdd => pairs(call, |a, b| {
            arithmetic(a, b, i64::checked_add, |a, b| a + b)
        }),
        F::SeriesSubtract => pairs(call, |a, b| {
            arithmetic(a, b, i64::checked_sub, |a, b| a - b)
        }),
        F::SeriesMultiply => pairs(call, |a, b| {
            arithmetic(a, b, i64::checked_mul, |a, b| a * b)
        }),
        F::SeriesDivide => pairs(call, |a, b| Some(Json::Real(real(a)? / real(b)?))),
        F::SeriesPow => pairs(call, |a, b| Some(Json::Real(real(a)?.powf(real(b)?)))),
        F::SeriesEquals => compared(call, |a, b| a.partial_cmp(&b).is_some_and(Ordering::is_eq)),
        F::SeriesNotEquals => compared(call, |a, b| a.partial_cmp(&b).is_none_or(Ordering::is_ne)),
        F::SeriesLess => compared(call, |a, b| a < b),
        F::SeriesLessEquals => compared(call, |a, b| a <= b),
        F::SeriesGreater => compared(call, |a, b| a > b),
        F::SeriesGreaterEquals => compared(call, |a, b| a >= b),
        F::SeriesFillConst | F::SeriesFillForward | F::SeriesFillBackward | F::SeriesFillLinear => {
            filled(function, call)
        }
        F::SeriesFir => fir(call),
        F::SeriesIir => iir(call),
        F::SeriesMagnitude => call.reals(|row| {
            let squares = numbers(a, row)?.into_iter().map(|x| Some(x? * x?));
            Some(squares.sum::<Option<f64>>()?.sqrt())
        }),
        F::SeriesProduct => call.reals(|row| numbers(a, row)?.into_iter().product()),
        F::SeriesSum => call.reals(|row| numbers(a, row)?.into_iter().sum()),
        F::SeriesDotProduct => call.reals(|row| Some(dot(&common(call, row)?))),
        F::SeriesCosineSimilarity => call.reals(|row| {
            let pairs = common(call, row)?;
            let squares =
                |side: fn(&(f64, f64)) -> f64| pairs.iter().map(|p| side(p) * side(p)).sum::<f64>();
            Some(dot(&pairs) / (squares(|p| p.0) * squares(|p| p.1)).sqrt())
        }),
        F::SeriesPearsonCorrelation => call.reals(|row| correlation(&aligned(call, row)?)),
        F::SeriesStats | F::SeriesStatsDynamic => stats(call, function == F::SeriesStats),
        F::SeriesFitLine | F::SeriesFitLineDynamic => {
            call.dynamics(|row| fit(&numbers(a, row)?, function == F::SeriesFitLine))
        }
        F::SeriesOutliers
        | F::SeriesSeasonal
        | F::SeriesDecompose
        | F::SeriesDecomposeAnomalies
        | F::SeriesDecomposeForecast => decompose::run(function, call),
        other => exec_err!("`{}` is not a function over series", other.as_str()),
    }
}

fn real(value: &Json) -> Option<f64> {
    match value {
        Json::Long(n) => Some(convert::real_of_long(*n)),
        Json::Real(x) => Some(*x),
        _ => None,
    }
}

/// The elements as numbers; `None` for a value that is no array.
pub(super) fn numbers(arg: &Arg, row: usize) -> Option<Vec<Option<f64>>> {
    Some(items(arg, row)?.iter().map(real).collect())
}

pub(super) fn array(values: impl IntoIterator<Item = Option<f64>>) -> Json {
    let values = values.into_iter();
    Json::Array(values.map(|x| x.map_or(Json::Null, Json::Real)).collect())
}

pub(super) fn count(n: usize) -> f64 {
    convert::real_of_long(convert::long_of(n))
}

fn each(call: &Call<'_>, f: fn(f64) -> f64) -> Result<ArrayRef> {
    let series = call.arg(0)?;
    call.dynamics(|row| Some(array(numbers(series, row)?.into_iter().map(|x| x.map(f)))))
}

/// Both sides element by element; what is no array stands for each element.
fn both(call: &Call<'_>, row: usize) -> Option<Vec<(Json, Json)>> {
    let (a, b) = (call.optional(0)?.json(row)?, call.optional(1)?.json(row)?);
    let length = match (&a, &b) {
        (Json::Array(a), Json::Array(b)) => a.len().max(b.len()),
        (Json::Array(a), _) | (_, Json::Array(a)) => a.len(),
        _ => return None,
    };
    let pick = |side: &Json, at: usize| match side {
        Json::Array(items) => items.get(at).cloned().unwrap_or(Json::Null),
        one => one.clone(),
    };
    Some((0..length).map(|at| (pick(&a, at), pick(&b, at))).collect())
}

fn pairs(call: &Call<'_>, f: fn(&Json, &Json) -> Option<Json>) -> Result<ArrayRef> {
    call.dynamics(|row| {
        let pairs = both(call, row)?;
        let made = pairs.iter().map(|(a, b)| f(a, b).unwrap_or(Json::Null));
        Some(Json::Array(made.collect()))
    })
}

/// Whole numbers stay whole.
fn arithmetic(
    a: &Json,
    b: &Json,
    whole: fn(i64, i64) -> Option<i64>,
    broken: fn(f64, f64) -> f64,
) -> Option<Json> {
    if let (Json::Long(a), Json::Long(b)) = (a, b)
        && let Some(n) = whole(*a, *b)
    {
        return Some(Json::Long(n));
    }
    Some(Json::Real(broken(real(a)?, real(b)?)))
}

fn compared(call: &Call<'_>, holds: fn(f64, f64) -> bool) -> Result<ArrayRef> {
    call.dynamics(|row| {
        let pairs = both(call, row)?;
        let made = pairs.iter().map(|(a, b)| match (real(a), real(b)) {
            (Some(a), Some(b)) => Json::Bool(holds(a, b)),
            _ => Json::Null,
        });
        Some(Json::Array(made.collect()))
    })
}

/// Both series as numbers of the same length, without a missing one.
fn aligned(call: &Call<'_>, row: usize) -> Option<Vec<(f64, f64)>> {
    let pairs = both(call, row)?;
    pairs
        .iter()
        .map(|(a, b)| Some((real(a)?, real(b)?)))
        .collect()
}

/// The numbers that both series have, as far as the shorter one goes; `None` if one is empty.
fn common(call: &Call<'_>, row: usize) -> Option<Vec<(f64, f64)>> {
    let pairs = both(call, row)?;
    let is_empty = |at: usize| {
        call.optional(at)?
            .json(row)
            .map(|v| v == Json::Array(vec![]))
    };
    if is_empty(0)? || is_empty(1)? {
        return None;
    }
    let known = pairs.iter().filter_map(|(a, b)| Some((real(a)?, real(b)?)));
    Some(known.collect())
}

fn dot(pairs: &[(f64, f64)]) -> f64 {
    pairs.iter().map(|(a, b)| a * b).sum()
}

fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = count(pairs.len());
    let mean = |side: fn(&(f64, f64)) -> f64| pairs.iter().map(side).sum::<f64>() / n;
    let (mean_a, mean_b) = (mean(|p| p.0), mean(|p| p.1));
    let mut sums = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (a - mean_a, b - mean_b);
        sums = (sums.0 + a * b, sums.1 + a * a, sums.2 + b * b);
    }
    (n > 0.0).then(|| sums.0 / (sums.1 * sums.2).sqrt())
}

fn filled(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let series = call.arg(0)?;
    let marker_at = if function == F::SeriesFillConst { 2 } else { 1 };
    call.dynamics(|row| {
        let items = items(series, row)?;
        let marker = call.optional(marker_at).and_then(|m| m.json(row));
        let marker = marker.unwrap_or(Json::Null);
        let is_missing = |item: &Json| super::dynamics::same(&marker, item);
        Some(Json::Array(match function {
            F::SeriesFillConst => {
                let value = call.optional(1)?.json(row)?;
                let fill = |item: Json| {
                    if is_missing(&item) {
                        value.clone()
                    } else {
                        item
                    }
                };
                items.into_iter().map(fill).collect()
            }
            F::SeriesFillForward => fill_along(items.into_iter(), is_missing),
            F::SeriesFillBackward => {
                let mut back = fill_along(items.into_iter().rev(), is_missing);
                back.reverse();
                back
            }
            _ => {
                let edges = call
                    .optional(2)
                    .is_none_or(|e| e.json(row) != Some(Json::Bool(false)));
                // A constant that is null leaves the nulls as they are.
                let constant = match call.optional(3) {
                    Some(constant) => constant.json(row).unwrap_or(Json::Null),
                    None => Json::Real(0.0),
                };
                let numbers = items
                    .iter()
                    .map(|item| real(item).filter(|_| !is_missing(item)));
                let numbers = numbers.collect::<Vec<_>>();
                let made = interpolated(&numbers, edges, constant);
                let is_whole = items.iter().any(|item| matches!(item, Json::Long(_)))
                    && !items.iter().any(|item| matches!(item, Json::Real(_)));
                // Whole numbers stay whole, cut toward zero.
                let cut = |item: Json| match item {
                    Json::Real(x) if is_whole => {
                        convert::long_of_real(x).map_or(Json::Null, Json::Long)
                    }
                    item => item,
                };
                made.into_iter().map(cut).collect()
            }
        }))
    })
}

fn fill_along(items: impl Iterator<Item = Json>, is_missing: impl Fn(&Json) -> bool) -> Vec<Json> {
    let mut last = Json::Null;
    items
        .map(|item| {
            if !is_missing(&item) {
                last = item;
            }
            last.clone()
        })
        .collect()
}

fn interpolated(values: &[Option<f64>], edges: bool, constant: Json) -> Vec<Json> {
    let known: Vec<(usize, f64)> = values
        .iter()
        .enumerate()
        .filter_map(|(at, x)| Some((at, (*x)?)))
        .collect();
    if known.is_empty() {
        return vec![constant; values.len()];
    }
    (0..values.len())
        .map(|at| {
            let before = known.iter().rev().find(|(k, _)| *k <= at);
            let after = known.iter().find(|(k, _)| *k >= at);
            match (before, after) {
                (Some((a, x)), Some((b, y))) if a != b => {
                    let share = count(at - a) / count(b - a);
                    Json::Real(x + (y - x) * share)
                }
                (Some((_, x)), Some(_)) => Json::Real(*x),
                (Some((_, x)), None) | (None, Some((_, x))) if edges => Json::Real(*x),
                _ => Json::Null,
            }
        })
        .collect()
}

fn fir(call: &Call<'_>) -> Result<ArrayRef> {
    let (series, filter) = (call.arg(0)?, call.arg(1)?);
    let flag = |at: usize, row: usize| call.optional(at).and_then(|f| f.json(row));
    call.dynamics(|row| {
        let whole = items(series, row)?
            .iter()
            .chain(&items(filter, row)?)
            .all(|item| matches!(item, Json::Long(_)));
        let values = numbers(series, row)?;
        let filter: Vec<f64> = numbers(filter, row)?.into_iter().collect::<Option<_>>()?;
        let sum: f64 = filter.iter().sum();
        let is_negative = filter.iter().any(|x| *x < 0.0);
        let normalize = match flag(2, row) {
            Some(value) => value == Json::Bool(true),
            None => !is_negative && sum != 0.0,
        };
        if normalize && is_negative {
            return None;
        }
        let center = flag(3, row) == Some(Json::Bool(true));
        let ahead = if center { filter.len() / 2 } else { 0 };
        let made = (0..values.len()).map(|at| {
            call.guard.check().ok()?;
            let mut total = 0.0;
            for (back, weight) in filter.iter().enumerate() {
                let from = (at + ahead).checked_sub(back);
                let value = from.and_then(|n| values.get(n).copied()).flatten();
                total += weight * value.unwrap_or(0.0);
            }
            let total = if normalize { total / sum } else { total };
            Some(match convert::long_of_real(total) {
                Some(n) if whole && !normalize => Json::Long(n),
                _ => Json::Real(total),
            })
        });
        Some(Json::Array(made.collect::<Option<_>>()?))
    })
}

fn iir(call: &Call<'_>) -> Result<ArrayRef> {
    let (series, above, below) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    call.dynamics(|row| {
        let values = numbers(series, row)?;
        let above: Vec<f64> = numbers(above, row)?.into_iter().collect::<Option<_>>()?;
        let below: Vec<f64> = numbers(below, row)?.into_iter().collect::<Option<_>>()?;
        let first = below.first().copied().filter(|x| *x != 0.0)?;
        let mut out: Vec<f64> = Vec::with_capacity(values.len());
        for at in 0..values.len() {
            call.guard.check().ok()?;
            let mut total = 0.0;
            for (back, weight) in above.iter().enumerate() {
                let value = at.checked_sub(back).and_then(|n| values.get(n).copied());
                total += weight * value.flatten().unwrap_or(0.0);
            }
            for (back, weight) in below.iter().enumerate().skip(1) {
                let made = at.checked_sub(back).and_then(|n| out.get(n).copied());
                total -= weight * made.unwrap_or(0.0);
            }
            out.push(total / first);
        }
        Some(array(out.into_iter().map(Some)))
    })
}

fn stats(call: &Call<'_>, as_tuple: bool) -> Result<ArrayRef> {
    let series = call.arg(0)?;
    call.dynamics(|row| {
        let values = numbers(series, row)?;
        let finite_only = call
            .optional(1)
            .is_some_and(|f| f.json(row) == Some(Json::Bool(true)));
        let known: Vec<(usize, f64)> = values
            .iter()
            .enumerate()
            .filter_map(|(at, x)| Some((at, x.filter(|x| x.is_finite())?)))
            .collect();
        // One that is none makes all of it unknown, unless such are to be left out.
        if !finite_only && known.len() < values.len() {
            return None;
        }
        let n = count(known.len());
        let sum: f64 = known.iter().map(|(_, x)| x).sum();
        let mean = sum / n;
        let squares: f64 = known.iter().map(|(_, x)| (x - mean) * (x - mean)).sum();
        let variance = if known.len() > 1 {
            squares / (n - 1.0)
        } else {
            0.0
        };
        let extreme = |better: fn(f64, f64) -> bool| {
            let best = |a: (usize, f64), b: (usize, f64)| if better(b.1, a.1) { b } else { a };
            known.iter().copied().reduce(best)
        };
        let (low, high) = (extreme(|a, b| a < b)?, extreme(|a, b| a > b)?);
        let place = |at: usize| Json::Long(convert::long_of(at));
        let parts = [
            ("min", Json::Real(low.1)),
            ("min_idx", place(low.0)),
            ("max", Json::Real(high.1)),
            ("max_idx", place(high.0)),
            ("avg", Json::Real(mean)),
            ("stdev", Json::Real(variance.sqrt())),
            ("variance", Json::Real(variance)),
            ("sum", Json::Real(sum)),
            ("len", place(known.len())),
        ];
        Some(bag_or_tuple(parts.into_iter(), as_tuple))
    })
}

pub(super) fn bag_or_tuple<'n>(
    parts: impl Iterator<Item = (&'n str, Json)>,
    as_tuple: bool,
) -> Json {
    if as_tuple {
        return Json::Array(parts.map(|(_, value)| value).collect());
    }
    Json::Bag(
        parts
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// Slope and start of the line of least squares.
pub(super) fn line(values: &[Option<f64>]) -> Option<(f64, f64)> {
    let known: Vec<(f64, f64)> = values
        .iter()
        .enumerate()
        .filter_map(|(at, y)| Some((count(at), (*y)?)))
        .collect();
    let n = count(known.len());
    let (mean_x, mean_y) = (
        known.iter().map(|p| p.0).sum::<f64>() / n,
        known.iter().map(|p| p.1).sum::<f64>() / n,
    );
    let above: f64 = known.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = known.iter().map(|(x, _)| (x - mean_x) * (x - mean_x)).sum();
    if known.is_empty() {
        return None;
    }
    let slope = if below == 0.0 { 0.0 } else { above / below };
    Some((slope, mean_y - slope * mean_x))
}

fn fit(values: &[Option<f64>], as_tuple: bool) -> Option<Json> {
    let (slope, start) = line(values)?;
    let fitted: Vec<f64> = (0..values.len())
        .map(|at| start + slope * count(at))
        .collect();
    let known: Vec<(f64, f64)> = values
        .iter()
        .zip(&fitted)
        .filter_map(|(y, f)| Some(((*y)?, *f)))
        .collect();
    let n = count(known.len());
    let mean = known.iter().map(|(y, _)| y).sum::<f64>() / n;
    let total: f64 = known.iter().map(|(y, _)| (y - mean) * (y - mean)).sum();
    let residual: f64 = known.iter().map(|(y, f)| (y - f) * (y - f)).sum();
    let rsquare = if total == 0.0 {
        1.0
    } else {
        1.0 - residual / total
    };
    let by = |sum: f64| if n > 1.0 { sum / (n - 1.0) } else { 0.0 };
    let parts = [
        ("rsquare", Json::Real(rsquare)),
        ("slope", Json::Real(slope)),
        ("variance", Json::Real(by(total))),
        ("rvariance", Json::Real(by(residual))),
        ("interception", Json::Real(start)),
        ("line_fit", array(fitted.into_iter().map(Some))),
    ];
    Some(bag_or_tuple(parts.into_iter(), as_tuple))
}
