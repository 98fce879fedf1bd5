//! Seasons, trends and outliers of series.
//!
//! The service's own method is not published in full. Here: the season is the mean per place in the
//! period (found by autocorrelation unless given), the trend a line (or the mean), the residual what
//! is left; anomalies by Tukey's fences between the 10th and 90th percentile, as documented.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::args::{Call, Guard};
use super::series::{array, count, line, numbers};
use crate::json::Json;

/// Autocorrelation above which a period counts.
const PERIOD_SCORE_MIN: f64 = 0.6;
/// Fences are so many ranges wide.
const THRESHOLD: f64 = 1.5;
/// A full score stands so far out.
const TUKEY_LOW: f64 = 0.1;
const TUKEY_HIGH: f64 = 0.9;

pub(super) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let series = call.arg(0)?;
    let long = |at: usize, row: usize| call.optional(at).and_then(|a| a.long(row));
    let real = |at: usize, row: usize| call.optional(at).and_then(|a| a.real(row));
    let text = |at: usize, row: usize| call.optional(at).map_or("linefit", |a| a.text(row));
    match function {
        F::SeriesOutliers => call.dynamics(|row| {
            let values = numbers(series, row)?;
            let low = real(3, row).map_or(TUKEY_LOW, |p| p / 100.0);
            let high = real(4, row).map_or(TUKEY_HIGH, |p| p / 100.0);
            Some(array(scores(&values, low, high).into_iter().map(Some)))
        }),
        F::SeriesSeasonal => call.dynamics(|row| {
            let values = numbers(series, row)?;
            let period = period_of(&values, long(1, row).unwrap_or(-1), call.guard)?;
            Some(array(seasonal(&values, period).into_iter().map(Some)))
        }),
        F::SeriesDecompose => call.dynamics(|row| {
            let values = numbers(series, row)?;
            let held = long(3, row).unwrap_or(0);
            let period = long(1, row).unwrap_or(-1);
            let parts = Parts::of(&values, period, text(2, row), held, call.guard)?;
            Some(parts.tuple())
        }),
        F::SeriesDecomposeForecast => call.dynamics(|row| {
            let values = numbers(series, row)?;
            let held = long(1, row)?;
            let period = long(2, row).unwrap_or(-1);
            let parts = Parts::of(&values, period, text(3, row), held, call.guard)?;
            Some(parts.tuple())
        }),
        F::SeriesDecomposeAnomalies => call.dynamics(|row| {
            let values = numbers(series, row)?;
            let threshold = real(1, row).unwrap_or(THRESHOLD);
            let held = long(4, row).unwrap_or(0);
            let period = long(2, row).unwrap_or(-1);
            let parts = Parts::of(&values, period, text(3, row), held, call.guard)?;
            let residual: Vec<Option<f64>> = parts.residual.iter().copied().map(Some).collect();
            let scores = scores(&residual, TUKEY_LOW, TUKEY_HIGH);
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
    /// The last `held` values are not learned from. Nothing if the query's switch is thrown.
    fn of(
        values: &[Option<f64>],
        seasonality: i64,
        trend: &str,
        held: i64,
        guard: &Guard,
    ) -> Option<Self> {
        let held = usize::try_from(held).unwrap_or(0).min(values.len());
        let learned = values.get(..values.len() - held).unwrap_or_default();
        let line = match trend {
            "none" => (0.0, 0.0),
            "avg" => (0.0, mean(learned)),
            _ => line(learned).unwrap_or((0.0, 0.0)),
        };
        let trend: Vec<f64> = (0..values.len())
            .map(|at| line.1 + line.0 * count(at))
            .collect();
        let detrended: Vec<Option<f64>> = learned
            .iter()
            .zip(&trend)
            .map(|(x, t)| Some((*x)? - t))
            .collect();
        let period = period_of(&detrended, seasonality, guard)?;
        let pattern = if period > 1 {
            pattern(&detrended, period)
        } else {
            vec![0.0]
        };
        let seasonal: Vec<f64> = pattern.iter().copied().cycle().take(values.len()).collect();
        let baseline: Vec<f64> = trend.iter().zip(&seasonal).map(|(t, s)| t + s).collect();
        let residual = values
            .iter()
            .zip(&baseline)
            .map(|(x, b)| x.unwrap_or(*b) - b)
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

fn mean(values: &[Option<f64>]) -> f64 {
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    if known.is_empty() {
        return 0.0;
    }
    known.iter().sum::<f64>() / count(known.len())
}

/// The period asked for, or the one that the series has; 0 for none. Nothing if the query's switch is
/// thrown: looking for a period takes the square of the series.
fn period_of(values: &[Option<f64>], asked: i64, guard: &Guard) -> Option<usize> {
    if asked >= 0 {
        return Some(usize::try_from(asked).unwrap_or(0));
    }
    let center = mean(values);
    let centered: Vec<f64> = values
        .iter()
        .map(|x| x.map_or(0.0, |x| x - center))
        .collect();
    let power: f64 = centered.iter().map(|x| x * x).sum();
    if power == 0.0 {
        return Some(0);
    }
    let score = |lag: usize| {
        let products = centered.iter().zip(centered.iter().skip(lag));
        let overlap = count(centered.len() - lag) / count(centered.len());
        products.map(|(a, b)| a * b).sum::<f64>() / power / overlap
    };
    let most = centered.len() / 2;
    let best = (2..=most)
        .map_while(|lag| guard.check().ok().map(|()| (lag, score(lag))))
        .filter(|(lag, s)| {
            *s >= PERIOD_SCORE_MIN && *s >= score(lag - 1) && (*lag == most || *s >= score(lag + 1))
        })
        .reduce(|a, b| if b.1 > a.1 + 1e-9 { b } else { a });
    guard.check().ok()?;
    Some(best.map_or(0, |(lag, _)| lag))
}

/// The mean of each place in the period.
fn pattern(values: &[Option<f64>], period: usize) -> Vec<f64> {
    (0..period)
        .map(|place| {
            let here: Vec<Option<f64>> =
                values.iter().skip(place).step_by(period).copied().collect();
            mean(&here)
        })
        .collect()
}

/// The median of each place in the period, repeated.
fn seasonal(values: &[Option<f64>], period: usize) -> Vec<f64> {
    if period == 0 {
        return vec![0.0; values.len()];
    }
    let places: Vec<f64> = (0..period)
        .map(|place| {
            let here = values.iter().skip(place).step_by(period);
            let mut known: Vec<f64> = here.copied().flatten().collect();
            known.sort_by(f64::total_cmp);
            quantile(&known, 0.5).unwrap_or(0.0)
        })
        .collect();
    places.into_iter().cycle().take(values.len()).collect()
}

/// Between neighbours, as spreadsheets do it.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * count(sorted.len().checked_sub(1)?);
    let below = super::convert::long_of_real(place.floor())?;
    let at = usize::try_from(below).ok()?;
    let low = *sorted.get(at)?;
    let high = sorted.get(at + 1).copied().unwrap_or(low);
    Some(low + (high - low) * (place - place.floor()))
}

/// How many ranges each value stands outside of the fences; 0 inside of them.
fn scores(values: &[Option<f64>], low: f64, high: f64) -> Vec<f64> {
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
