//! Fourier transforms of series, polynomials and broken lines through them, their periods.
//!
//! Transforms are unnormalised forward and divided by the length backward. Lengths that are no power
//! of two go by Bluestein's chirp.
//!
//! A series may have a million values, and some of these functions take the square of that: they look
//! at the query's switch and give nothing when it is thrown.

use std::f64::consts::PI;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::args::{Call, Guard};
use super::convert;
use super::series::{array, bag_or_tuple, count, line, numbers};
use crate::json::Json;

/// A real and an imaginary part.
type Complex = (f64, f64);

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::SeriesFft | F::SeriesIfft => call.dynamics(|row| {
            let real = numbers(a, row)?;
            let imaginary = match call.optional(1) {
                Some(arg) => numbers(arg, row)?,
                None => vec![Some(0.0); real.len()],
            };
            let values: Option<Vec<Complex>> = real
                .iter()
                .enumerate()
                .map(|(at, re)| Some(((*re)?, imaginary.get(at).copied().flatten().unwrap_or(0.0))))
                .collect();
            let made = transformed(&values?, function == F::SeriesIfft, call.guard)?;
            Some(Json::Array(vec![
                array(made.iter().map(|c| Some(c.0))),
                array(made.iter().map(|c| Some(c.1))),
            ]))
        }),
        F::SeriesFitPoly => call.dynamics(|row| {
            let y = numbers(a, row)?;
            // Without an x series the second argument may be the degree.
            let (x, degree) = match (call.optional(1), call.optional(2)) {
                (Some(x), degree) if numbers(x, row).is_some() => {
                    (numbers(x, row), degree.and_then(|d| d.long(row)))
                }
                (Some(degree), _) => (None, degree.long(row)),
                (None, _) => (None, None),
            };
            polynomial(&y, x.as_deref(), degree.unwrap_or(1))
        }),
        F::SeriesFit2lines | F::SeriesFit2linesDynamic => call.dynamics(|row| {
            two_lines(
                &numbers(a, row)?,
                function == F::SeriesFit2lines,
                call.guard,
            )
        }),
        F::SeriesPeriodsDetect => {
            let (least, most, wanted) = (call.arg(1)?, call.arg(2)?, call.arg(3)?);
            call.dynamics(|row| {
                let values = numbers(a, row)?;
                let wanted = usize::try_from(wanted.long(row)?.clamp(0, 1_000)).ok()?;
                let lags = (least.real(row)?, most.real(row)?);
                let found = periods(&values, lags, wanted, call.guard)?;
                Some(Json::Array(vec![
                    array(found.iter().map(|p| Some(p.0))),
                    array(found.iter().map(|p| Some(p.1))),
                ]))
            })
        }
        F::SeriesPeriodsValidate => call.dynamics(|row| {
            let values = numbers(a, row)?;
            let asked: Option<Vec<f64>> = call.args.iter().skip(1).map(|p| p.real(row)).collect();
            let asked = asked?;
            let scores = asked.iter().map(|period| Some(score(&values, *period)));
            let scores: Vec<Option<f64>> = scores.collect();
            Some(Json::Array(vec![
                array(asked.iter().copied().map(Some)),
                array(scores),
            ]))
        }),
        other => exec_err!("`{}` is not a function over series", other.as_str()),
    }
}

fn product(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn transformed(values: &[Complex], inverse: bool, guard: &Guard) -> Option<Vec<Complex>> {
    let n = values.len();
    let mut made = if n.is_power_of_two() || n == 0 {
        halved(values, inverse, guard)?
    } else {
        chirped(values, inverse, guard)?
    };
    if inverse {
        for value in &mut made {
            *value = (value.0 / count(n), value.1 / count(n));
        }
    }
    Some(made)
}

/// By halves; the length is a power of two, so the recursion is as deep as its logarithm.
fn halved(values: &[Complex], inverse: bool, guard: &Guard) -> Option<Vec<Complex>> {
    let n = values.len();
    if n <= 1 {
        return Some(values.to_vec());
    }
    guard.check().ok()?;
    let half = |first: usize| {
        let chosen: Vec<Complex> = values.iter().skip(first).step_by(2).copied().collect();
        halved(&chosen, inverse, guard)
    };
    let (even, odd) = (half(0)?, half(1)?);
    let sign = if inverse { 2.0 } else { -2.0 };
    let mut out = even.clone();
    out.extend(even.iter().copied());
    for (k, (slot, odd)) in out.iter_mut().zip(odd.iter().chain(&odd)).enumerate() {
        let angle = sign * PI * count(k) / count(n);
        let turned = product(*odd, (angle.cos(), angle.sin()));
        *slot = (slot.0 + turned.0, slot.1 + turned.1);
    }
    Some(out)
}

/// Bluestein: a convolution of a power of two.
fn chirped(values: &[Complex], inverse: bool, guard: &Guard) -> Option<Vec<Complex>> {
    let n = values.len();
    let sign = if inverse { 1.0 } else { -1.0 };
    let chirp: Vec<Complex> = (0..n)
        .map(|k| {
            // The square modulo 2n keeps the angle small and exact.
            let square = (k * k) % (2 * n);
            let angle = sign * PI * count(square) / count(n);
            (angle.cos(), angle.sin())
        })
        .collect();
    let size = (2 * n).next_power_of_two();
    let mut a = vec![(0.0, 0.0); size];
    for (slot, (value, turn)) in a.iter_mut().zip(values.iter().zip(&chirp)) {
        *slot = product(*value, *turn);
    }
    let mut b = vec![(0.0, 0.0); size];
    for (k, turn) in chirp.iter().enumerate() {
        for at in [k, (size - k) % size] {
            if let Some(slot) = b.get_mut(at) {
                *slot = (turn.0, -turn.1);
            }
        }
    }
    let (a, b) = (halved(&a, false, guard)?, halved(&b, false, guard)?);
    let both: Vec<Complex> = a.iter().zip(&b).map(|(a, b)| product(*a, *b)).collect();
    let back = halved(&both, true, guard)?.into_iter().zip(&chirp);
    let made =
        back.map(|(value, turn)| product((value.0 / count(size), value.1 / count(size)), *turn));
    Some(made.collect())
}

/// How well a line of fitted values fits.
struct Fit {
    rsquare: f64,
    variance: f64,
    rvariance: f64,
}

fn fit(values: &[Option<f64>], fitted: &[f64]) -> Fit {
    let known: Vec<(f64, f64)> = values
        .iter()
        .zip(fitted)
        .filter_map(|(y, f)| Some(((*y)?, *f)))
        .collect();
    let n = count(known.len());
    let mean = known.iter().map(|(y, _)| y).sum::<f64>() / n;
    let total: f64 = known.iter().map(|(y, _)| (y - mean) * (y - mean)).sum();
    let rest: f64 = known.iter().map(|(y, f)| (y - f) * (y - f)).sum();
    let by = |sum: f64| if n > 1.0 { sum / (n - 1.0) } else { 0.0 };
    Fit {
        rsquare: if total == 0.0 {
            1.0
        } else {
            1.0 - rest / total
        },
        variance: by(total),
        rvariance: by(rest),
    }
}

/// Degrees of polynomials that can be asked for.
const DEGREE_MAX: i64 = 30;

fn polynomial(y: &[Option<f64>], x: Option<&[Option<f64>]>, degree: i64) -> Option<Json> {
    let degree = usize::try_from(degree.clamp(0, DEGREE_MAX)).ok()?;
    let points: Vec<Option<f64>> = match x {
        Some(x) => x.to_vec(),
        None => (0..y.len()).map(|at| Some(count(at))).collect(),
    };
    let known: Vec<(f64, f64)> = points
        .iter()
        .zip(y)
        .filter_map(|(x, y)| Some(((*x)?, (*y)?)))
        .collect();
    if known.is_empty() {
        return None;
    }
    let coefficients = least_squares(&known, degree)?;
    let at = |x: f64| coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c);
    let fitted: Vec<f64> = points.iter().map(|x| x.map_or(f64::NAN, at)).collect();
    let quality = fit(y, &fitted);
    Some(Json::Array(vec![
        Json::Real(quality.rsquare),
        array(coefficients.iter().rev().copied().map(Some)),
        Json::Real(quality.variance),
        Json::Real(quality.rvariance),
        array(fitted.into_iter().map(Some)),
    ]))
}

/// Coefficients from the constant on, by Givens rotations of the rows one by one.
fn least_squares(points: &[(f64, f64)], degree: usize) -> Option<Vec<f64>> {
    let scale = points.iter().map(|p| p.0.abs()).fold(0.0, f64::max);
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let width = (degree + 1).min(points.len());
    // The upper triangle, each row with its right side at the end.
    let mut triangle = vec![vec![0.0_f64; width + 1]; width];
    for (x, y) in points {
        let mut row: Vec<f64> = Vec::with_capacity(width + 1);
        let mut power = 1.0;
        for _ in 0..width {
            row.push(power);
            power *= x / scale;
        }
        row.push(*y);
        for (at, pivot_row) in triangle.iter_mut().enumerate() {
            let (a, b) = (*pivot_row.get(at)?, *row.get(at)?);
            let length = a.hypot(b);
            if length == 0.0 {
                continue;
            }
            let (c, s) = (a / length, b / length);
            for (p, r) in pivot_row.iter_mut().zip(row.iter_mut()).skip(at) {
                (*p, *r) = (c * *p + s * *r, c * *r - s * *p);
            }
        }
    }
    let mut found = vec![0.0; width];
    for at in (0..width).rev() {
        let row = triangle.get(at)?;
        let known: f64 = (at + 1..width)
            .filter_map(|k| Some(row.get(k)? * found.get(k)?))
            .sum();
        let pivot = *row.get(at)?;
        let value = if pivot.abs() < 1e-14 {
            0.0
        } else {
            (row.last()? - known) / pivot
        };
        *found.get_mut(at)? = value;
    }
    let mut power = 1.0;
    for value in &mut found {
        *value /= power;
        power *= scale;
    }
    found.resize(degree + 1, 0.0);
    Some(found)
}

/// The split after which a line of its own fits best.
fn two_lines(values: &[Option<f64>], as_tuple: bool, guard: &Guard) -> Option<Json> {
    let side = |from: usize, to: usize| -> Option<(f64, f64, Vec<f64>, f64)> {
        let part: Vec<Option<f64>> = values.iter().skip(from).take(to - from).copied().collect();
        let (slope, start) = line(&part)?;
        let fitted: Vec<f64> = (0..part.len())
            .map(|at| start + slope * count(at))
            .collect();
        let rest = part.iter().zip(&fitted);
        let rest = rest.filter_map(|(y, f)| Some(((*y)? - f) * ((*y)? - f)));
        let rest: f64 = rest.sum();
        Some((slope, start, fitted, rest))
    };
    let n = values.len();
    let splits = (2..n.saturating_sub(1)).filter_map(|at| {
        guard.check().ok()?;
        let rest = side(0, at)?.3 + side(at, n)?.3;
        Some((at, rest))
    });
    let best = splits.reduce(|a, b| if b.1 < a.1 { b } else { a });
    let split = best.map_or(n, |(at, _)| at);
    let left = side(0, split)?;
    let right = side(split, n).unwrap_or((0.0, 0.0, Vec::new(), 0.0));
    let fitted: Vec<f64> = left.2.iter().chain(&right.2).copied().collect();
    let whole = fit(values, &fitted);
    let (before, after) = values.split_at_checked(split)?;
    let (left_fit, right_fit) = (fit(before, &left.2), fit(after, &right.2));
    let parts = [
        ("rsquare", Json::Real(whole.rsquare)),
        ("split_idx", Json::Long(convert::long_of(split))),
        ("variance", Json::Real(whole.variance)),
        ("rvariance", Json::Real(whole.rvariance)),
        ("line_fit", array(fitted.into_iter().map(Some))),
        ("right_rsquare", Json::Real(right_fit.rsquare)),
        ("right_slope", Json::Real(right.0)),
        ("right_interception", Json::Real(right.1)),
        ("right_variance", Json::Real(right_fit.variance)),
        ("right_rvariance", Json::Real(right_fit.rvariance)),
        ("left_rsquare", Json::Real(left_fit.rsquare)),
        ("left_slope", Json::Real(left.0)),
        ("left_interception", Json::Real(left.1)),
        ("left_variance", Json::Real(left_fit.variance)),
        ("left_rvariance", Json::Real(left_fit.rvariance)),
    ];
    if as_tuple {
        return Some(bag_or_tuple(parts.into_iter(), true));
    }
    // A bag holds what belongs to a side in a bag of its own: `right.slope`.
    let mut bag: Vec<(String, Json)> = Vec::new();
    for (name, value) in parts {
        let Some((side, name)) = name.split_once('_').filter(|(side, _)| is_side(side)) else {
            bag.push((name.to_owned(), value));
            continue;
        };
        match bag.last_mut() {
            Some((last, Json::Bag(entries))) if last == side => {
                entries.push((name.to_owned(), value));
            }
            _ => bag.push((side.to_owned(), Json::Bag(vec![(name.to_owned(), value)]))),
        }
    }
    Some(Json::Bag(bag))
}

fn is_side(name: &str) -> bool {
    matches!(name, "left" | "right")
}

/// Points that a period has, at least; at most it has half of the series.
const PERIOD_MIN: usize = 4;
/// Scores below this are no period.
const SCORE_MIN: f64 = 0.4;

/// How like itself a series is so many places on.
///
/// The service does not publish its score. This one is the autocorrelation of the series without its
/// line, made up for the values that have no partner and then made less again by the root of their
/// share: of a period and its multiples the period has the highest score.
pub(super) struct Likeness {
    flat: Vec<f64>,
    power: f64,
}

impl Likeness {
    pub(super) fn of(values: &[Option<f64>]) -> Self {
        let (slope, start) = line(values).unwrap_or((0.0, 0.0));
        let level =
            |(at, y): (usize, &Option<f64>)| y.map_or(0.0, |y| y - start - slope * count(at));
        let flat: Vec<f64> = values.iter().enumerate().map(level).collect();
        let power = flat.iter().map(|x| x * x).sum();
        Self { flat, power }
    }

    /// From 0 to 1; 0 for what cannot be a period.
    fn score(&self, lag: usize) -> f64 {
        let n = self.flat.len();
        if lag < PERIOD_MIN || lag > n / 2 {
            return 0.0;
        }
        self.at(lag).clamp(0.0, 1.0)
    }

    fn at(&self, lag: usize) -> f64 {
        let n = self.flat.len();
        if self.power == 0.0 || lag >= n {
            return 0.0;
        }
        let both = self.flat.iter().zip(self.flat.iter().skip(lag));
        let sum: f64 = both.map(|(a, b)| a * b).sum();
        let share = count(n - lag) / count(n);
        sum / self.power * count(n) / count(n - lag + 1) * share.sqrt()
    }

    /// The periods with a score of at least `score_min`, the best one first, without multiples of
    /// better ones. Nothing if the query's switch is thrown: this takes the square of the series.
    pub(super) fn periods(
        &self,
        (least, most): (f64, f64),
        score_min: f64,
        guard: &Guard,
    ) -> Option<Vec<(usize, f64)>> {
        let most_points = self.flat.len() / 2;
        let score = |lag: usize| {
            guard.check().ok()?;
            Some(self.at(lag))
        };
        let scores: Vec<f64> = (0..=most_points + 1).map(score).collect::<Option<_>>()?;
        let at = |lag: usize| scores.get(lag).copied().unwrap_or(f64::MIN);
        let mut found: Vec<(usize, f64)> = (PERIOD_MIN..=most_points)
            .filter(|lag| count(*lag) >= least && count(*lag) <= most)
            .map(|lag| (lag, at(lag)))
            .filter(|(lag, s)| *s >= score_min && *s > at(lag - 1) && *s >= at(lag + 1))
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut kept: Vec<(usize, f64)> = Vec::new();
        for (lag, score) in found {
            if !kept.iter().any(|(known, _)| lag % known == 0) {
                kept.push((lag, score.clamp(0.0, 1.0)));
            }
        }
        Some(kept)
    }
}

fn score(values: &[Option<f64>], period: f64) -> f64 {
    let lag = convert::long_of_real(period.round()).and_then(|p| usize::try_from(p).ok());
    lag.map_or(0.0, |lag| Likeness::of(values).score(lag))
}

/// The best periods from the least to the most with their scores, zeros where there are no more.
fn periods(
    values: &[Option<f64>],
    range: (f64, f64),
    wanted: usize,
    guard: &Guard,
) -> Option<Vec<(f64, f64)>> {
    let found = Likeness::of(values).periods(range, SCORE_MIN, guard)?;
    let mut found: Vec<(f64, f64)> = found.iter().map(|(lag, s)| (count(*lag), *s)).collect();
    found.resize(wanted, (0.0, 0.0));
    Some(found)
}
