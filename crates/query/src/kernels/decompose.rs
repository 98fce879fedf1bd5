//! Seasons, trends and outliers of series.
//!
//! The service's own method is not published in full. Here, in the documented order: the season is
//! the median of each place in the period (found by [`Likeness`] unless given), the trend the mean
//! of what is left (or its line, or nothing), the residual what is left then; anomalies by Tukey's
//! fences, between the 10th and 90th percentile unless the 25th and 75th are asked for.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::args::{Call, Guard};
use super::convert;
use super::series::{array, count, line, numbers};
use super::spectrum::Likeness;
use crate::json::Json;

/// Score from which a period counts. The service asks 0.7 of its own score where only a season is
/// asked for; by [`Likeness`] this gives the same answers to its documentation's examples.
const PERIOD_SCORE_MIN: f64 = 0.6;
/// Fences are so many ranges wide.
const THRESHOLD: f64 = 1.5;
/// Between which shares of the values the usual ones lie: as asked for, or by Tukey's own rule.
const CUSTOM: (f64, f64) = (0.1, 0.9);
const TUKEY: (f64, f64) = (0.25, 0.75);

pub(super) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let series = call.arg(0)?;
    let long = |at: usize, row: usize| call.optional(at).and_then(|a| a.long(row));
    let real = |at: usize, row: usize| call.optional(at).and_then(|a| a.real(row));
    let is_tukey = |at: usize, row: usize| {
        let method = call.optional(at).map_or("ctukey", |a| a.text(row));
        method.eq_ignore_ascii_case("tukey")
    };
    match function {
        F::SeriesOutliers => call.dynamics(|row| {
            let ignored = call.optional(2).and_then(|a| a.json(row));
            let ignored = ignored.and_then(|value| convert::json_to_real(&value));
            let values = numbers(series, row)?.into_iter();
            let values: Vec<_> = values.map(|x| x.filter(|x| Some(*x) != ignored)).collect();
            let share = |at: usize, usual: f64| real(at, row).map_or(usual, |p| p / 100.0);
            let shares = if is_tukey(1, row) {
                TUKEY
            } else {
                (share(3, CUSTOM.0), share(4, CUSTOM.1))
            };
            Some(array(scores(&values, shares).into_iter().map(Some)))
        }),
        F::SeriesSeasonal => call.dynamics(|row| {
            let values = numbers(series, row)?;
            let asked = long(1, row).unwrap_or(-1);
            let period = period_of(&values, asked, PERIOD_SCORE_MIN, call.guard)?;
            let season = seasonal(&values, period, values.len());
            Some(array(season.into_iter().map(Some)))
        }),
        F::SeriesDecompose => call.dynamics(|row| {
            let parts = Parts::of(call, row, [1, 2, 3, 4])?;
            Some(parts.tuple())
        }),
        F::SeriesDecomposeForecast => call.dynamics(|row| {
            let parts = Parts::of(call, row, [2, 3, 1, 4])?;
            Some(parts.tuple())
        }),
        F::SeriesDecomposeAnomalies => call.dynamics(|row| {
            let threshold = real(1, row).unwrap_or(THRESHOLD);
            let parts = Parts::of(call, row, [2, 3, 4, 6])?;
            let residual: Vec<Option<f64>> = parts.residual.iter().copied().map(Some).collect();
            let scores = scores(&residual, if is_tukey(5, row) { TUKEY } else { CUSTOM });
            let flags = scores.iter().map(|s| {
                Json::Long(if *s > threshold {
                    1
                } else if *s < -threshold {
                    -1
                } else {
                    0
                })
            });
            Some(Json::Array(vec![
                Json::Array(flags.collect()),
                array(scores.iter().copied().map(Some)),
                array(parts.baseline.iter().copied().map(Some)),
            ]))
        }),
        other => exec_err!("`{}` does not take series apart", other.as_str()),
    }
}

struct Parts {
    baseline: Vec<f64>,
    seasonal: Vec<f64>,
    trend: Vec<f64>,
    residual: Vec<f64>,
}

impl Parts {
    /// The parts of a row's series, by the arguments at those places: the period, the kind of trend,
    /// how many values at the end are not learned from, and the score from which a period counts.
    /// Nothing if the query's switch is thrown.
    fn of(call: &Call<'_>, row: usize, places: [usize; 4]) -> Option<Self> {
        let [period, trend, held, score] = places.map(|at| call.optional(at));
        let values = numbers(call.optional(0)?, row)?;
        let held = held.and_then(|a| a.long(row)).unwrap_or(0);
        let held = usize::try_from(held).unwrap_or(0).min(values.len());
        let learned = values.get(..values.len() - held).unwrap_or_default();
        let kind = trend.map_or("avg", |a| a.text(row));
        let asked = period.and_then(|a| a.long(row)).unwrap_or(-1);
        let score = score.and_then(|a| a.real(row)).unwrap_or(PERIOD_SCORE_MIN);
        let period = period_of(learned, asked, score, call.guard)?;
        let seasonal = if kind == "linefit" {
            // Else the season would have the slope of one period in it, and what is left a saw.
            let slope = slope_beside(learned, period);
            let middle = count(learned.len().saturating_sub(1)) / 2.0;
            let level = without(learned, |at| slope * (count(at) - middle));
            seasonal(&level.collect::<Vec<_>>(), period, values.len())
        } else {
            seasonal(learned, period, values.len())
        };
        let season = |at: usize| seasonal.get(at).copied().unwrap_or(0.0);
        let (slope, start) = trend_of(kind, &without(learned, season).collect::<Vec<_>>());
        let trend: Vec<f64> = (0..values.len())
            .map(|at| start + slope * count(at))
            .collect();
        let baseline: Vec<f64> = trend.iter().zip(&seasonal).map(|(t, s)| t + s).collect();
        let expected = |at: usize| baseline.get(at).copied().unwrap_or(0.0);
        let residual = without(&values, expected)
            .map(|x| x.unwrap_or(0.0))
            .collect();
        Some(Self {
            baseline,
            seasonal,
            trend,
            residual,
        })
    }

    fn tuple(self) -> Json {
        let parts = [self.baseline, self.seasonal, self.trend, self.residual];
        Json::Array(parts.map(|p| array(p.into_iter().map(Some))).into())
    }
}

/// Slope and start of the trend of that kind.
fn trend_of(kind: &str, values: &[Option<f64>]) -> (f64, f64) {
    match kind {
        "none" => (0.0, 0.0),
        "linefit" => line(values).unwrap_or((0.0, 0.0)),
        _ => (0.0, mean(values)),
    }
}

/// The slope of a series with that period: the median of what it changes by from each point to that of
/// the next period, which neither the season nor a few outliers move.
fn slope_beside(values: &[Option<f64>], period: usize) -> f64 {
    if period == 0 {
        return 0.0;
    }
    let later = values.iter().skip(period);
    let changes = values
        .iter()
        .zip(later)
        .filter_map(|(a, b)| Some((*b)? - (*a)?));
    let mut changes: Vec<f64> = changes.collect();
    changes.sort_by(f64::total_cmp);
    quantile(&changes, 0.5).unwrap_or(0.0) / count(period)
}

/// What is left of the values without a part of each.
fn without(
    values: &[Option<f64>],
    part: impl Fn(usize) -> f64,
) -> impl Iterator<Item = Option<f64>> {
    let values = values.iter().enumerate();
    values.map(move |(at, x)| Some((*x)? - part(at)))
}

fn mean(values: &[Option<f64>]) -> f64 {
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    if known.is_empty() {
        return 0.0;
    }
    known.iter().sum::<f64>() / count(known.len())
}

/// The period asked for, or the one that the series has; 0 for none. Nothing if the query's switch is
/// thrown: looking for a period takes the square of the series.
fn period_of(values: &[Option<f64>], asked: i64, score_min: f64, guard: &Guard) -> Option<usize> {
    if asked >= 0 {
        return Some(usize::try_from(asked).unwrap_or(0));
    }
    let all = (0.0, f64::INFINITY);
    let found = Likeness::of(values).periods(all, score_min, guard)?;
    Some(found.first().map_or(0, |(lag, _)| *lag))
}

/// The median of each place in the period, repeated to a length.
fn seasonal(values: &[Option<f64>], period: usize, length: usize) -> Vec<f64> {
    // A period longer than the series has no place for the rest.
    let period = period.min(length);
    if period == 0 {
        return vec![0.0; length];
    }
    let places: Vec<f64> = (0..period)
        .map(|place| {
            let here = values.iter().skip(place).step_by(period);
            let mut known: Vec<f64> = here.copied().flatten().collect();
            known.sort_by(f64::total_cmp);
            quantile(&known, 0.5).unwrap_or(0.0)
        })
        .collect();
    places.into_iter().cycle().take(length).collect()
}

/// Between neighbours, as spreadsheets do it.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * count(sorted.len().checked_sub(1)?);
    let below = convert::long_of_real(place.floor())?;
    let at = usize::try_from(below).ok()?;
    let low = *sorted.get(at)?;
    let high = sorted.get(at + 1).copied().unwrap_or(low);
    Some(low + (high - low) * (place - place.floor()))
}

/// How many ranges each value stands outside of the fences; 0 inside of them.
fn scores(values: &[Option<f64>], (low, high): (f64, f64)) -> Vec<f64> {
    let mut known: Vec<f64> = values.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (quantile(&known, low), quantile(&known, high)) else {
        return vec![0.0; values.len()];
    };
    let range = (high - low).max(f64::EPSILON);
    values
        .iter()
        .map(|x| match x {
            Some(x) if *x > high => (x - high) / range,
            Some(x) if *x < low => (x - low) / range,
            _ => 0.0,
        })
        .collect()
}
