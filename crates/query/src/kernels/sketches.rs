//! What is asked of sketches and digests, and what makes one of several.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;

use super::args::{Arg, Call};
use super::convert;
use crate::json::Json;
use crate::sketch::{Digest, Hll};

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::DcountHll => call.longs(|row| Some(Hll::from_json(&a.json(row)?)?.estimate())),
        F::HllMerge => call.dynamics(|row| {
            let mut all = call.args.iter().filter_map(|arg| sketch(arg, row));
            let mut merged = all.next()?;
            for other in all {
                merged.merge(&other);
            }
            Some(merged.to_json())
        }),
        F::TdigestMerge => call.dynamics(|row| {
            let mut all = call.args.iter().filter_map(|arg| digest(arg, row));
            let mut merged = all.next()?;
            for other in all {
                merged.merge(&other);
            }
            merged.compress();
            Some(merged.to_json())
        }),
        F::PercentileTdigest => {
            let percent = call.arg(1)?;
            call.converted(|row| digest(a, row)?.percentile(percent.real(row)?))
        }
        F::PercentilesArrayTdigest => call.dynamics(|row| {
            let digest = digest(a, row)?;
            let mut wanted = Vec::new();
            for arg in call.args.iter().skip(1) {
                match arg.json(row)? {
                    Json::Array(items) => wanted.extend(items.iter().map(convert::json_to_real)),
                    one => wanted.push(convert::json_to_real(&one)),
                }
            }
            let found = wanted.into_iter().map(|p| digest.percentile(p?));
            Some(Json::Array(
                found.map(|v| v.unwrap_or(Json::Null)).collect(),
            ))
        }),
        F::RankTdigest => {
            let value = call.arg(1)?;
            call.reals(|row| Some(digest(a, row)?.rank(number(value, row)?)))
        }
        F::PercentrankTdigest => {
            let value = call.arg(1)?;
            call.reals(|row| Some(digest(a, row)?.percent_rank(number(value, row)?)))
        }
        other => exec_err!("`{}` asks nothing of a sketch", other.as_str()),
    }
}

fn sketch(arg: &Arg, row: usize) -> Option<Hll> {
    Hll::from_json(&arg.json(row)?)
}

fn digest(arg: &Arg, row: usize) -> Option<Digest> {
    Digest::from_json(&arg.json(row)?)
}

/// A number, instant or duration as a real.
fn number(arg: &Arg, row: usize) -> Option<f64> {
    arg.real(row)
        .or_else(|| convert::json_to_real(&arg.json(row)?))
}
